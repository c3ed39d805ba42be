/* What things cost by a platform's rates: a roofline (Williams, Waterman, Patterson, 2009). */
#include "simulator/platform.h"

/* HSCHED_CLASS_... are single bits from 1 on. */
static uint32_t class_number(const hsched_step *step)
{
    if (step->kind == HSCHED_STEP_CONV2D && step->u.conv2d.groups > 1)
        return HSI_PLATFORM_DEPTHWISE;
    return (uint32_t)__builtin_ctz(hsched_step_kind_class(step->kind));
}

static int is_within(int64_t value, uint32_t limit)
{
    return limit == 0 || value <= (int64_t)limit;
}

int hsi_platform_supports(const hsi_platform_device *device, const hsched_step *step)
{
    if (!(device->classes & hsched_step_kind_class(step->kind)) ||
        (device->without >> step->kind & 1))
        return 0;
    if (step->kind == HSCHED_STEP_SEPARABLE_CONV2D && device->kind != HSI_PLATFORM_CPU)
        return 0; /* as the GPU's backend has it */
    if (step->out.rank >= 2 && !is_within(step->out.dims[1], device->channels))
        return 0;
    if (step->kind == HSCHED_STEP_CONV2D)
        return is_within(step->in[1].dims[2], device->conv_kernel) &&
               is_within(step->in[1].dims[3], device->conv_kernel) &&
               is_within(step->u.conv2d.groups, device->groups);
    if (step->kind == HSCHED_STEP_POOL2D)
        return is_within(step->u.pool2d.kernel[0], device->pool_kernel) &&
               is_within(step->u.pool2d.kernel[1], device->pool_kernel);
    return 1;
}

double hsi_platform_step_us(const hsi_platform_device *device, hsched_math math,
                            const hsched_step *step, double flops, double bytes)
{
    double gflops = device->gflops[HSCHED_MATH_STRICT];
    if (device->gflops[math] > 0) {
        gflops = device->gflops[math];
        if (math == HSCHED_MATH_FP16 || math == HSCHED_MATH_BF16)
            bytes /= 2; /* of activations and weights */
    }
    /* What computes is as efficient as its arithmetic, all else as its access to memory. */
    const uint32_t number = class_number(step);
    const double efficiency = device->efficiency[number];
    const int computes = number <= 1 || number == HSI_PLATFORM_DEPTHWISE;
    /* A GFLOP/s is 1000 operations a microsecond, a GB/s as many bytes. */
    const double arithmetic_us = flops / (1000 * gflops * (computes ? efficiency : 1));
    const double movement_us =
        bytes / (1000 * device->gb_per_s * (computes ? 1 : efficiency));
    return device->step_us + (arithmetic_us > movement_us ? arithmetic_us : movement_us);
}
