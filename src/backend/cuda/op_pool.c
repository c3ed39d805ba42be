/* POOL2D. */
#include <stdio.h>

#include "backend/cuda/kernels/pool.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/nest.h"

/* Every position that a window can touch, in and around the image, is below this. */
#define POSITION_LIMIT (INT64_C(1) << 30)

/* 1 if the one window of out sees every pixel of x and nothing else: a mean, which REDUCE
 * spreads over more threads. */
static int is_mean(const hsched_step *s)
{
    for (int d = 0; d < 2; d++)
        if (s->out.dims[2 + d] != 1 || s->u.pool2d.pads[d] != 0 ||
            s->u.pool2d.kernel[d] != s->in[0].dims[2 + d] ||
            s->u.pool2d.dilations[d] != 1)
            return 0;
    return s->u.pool2d.kind == HSCHED_POOL_AVERAGE;
}

static int fits(const hsched_step *s)
{
    for (int d = 0; d < 2; d++) {
        int64_t reach, spread;
        if (__builtin_mul_overflow(s->out.dims[2 + d], s->u.pool2d.strides[d], &reach) ||
            __builtin_mul_overflow(s->u.pool2d.kernel[d], s->u.pool2d.dilations[d],
                                   &spread))
            return 0;
        if (reach >= POSITION_LIMIT || spread >= POSITION_LIMIT ||
            reach + spread >= POSITION_LIMIT || s->in[0].dims[2 + d] >= POSITION_LIMIT ||
            s->u.pool2d.pads[d] >= POSITION_LIMIT / 2 ||
            s->u.pool2d.pads[2 + d] >= POSITION_LIMIT / 2)
            return 0;
    }
    /* The number of taps divides sums as a 32-bit number. */
    return s->u.pool2d.kernel[0] * s->u.pool2d.kernel[1] < POSITION_LIMIT;
}

static int is_wide(const hsi_cuda_step *s, int64_t width)
{
    if (s->step.out.dims[1] % width != 0 || s->alignment[0] % 16 != 0 ||
        s->out_alignment % 16 != 0)
        return 0;
    for (int d = 0; d < 4; d++)
        if (d != 1 && (s->step.in[0].strides[d] % width != 0 ||
                       s->step.out.strides[d] % width != 0))
            return 0;
    return 1;
}

static void describe_window(hsi_cuda_pool_params *p, const hsched_step *s)
{
    static const int places[3] = { 0, 2, 3 };
    for (int d = 0; d < 2; d++) {
        p->size[d] = (int32_t)s->in[0].dims[2 + d];
        p->kernel[d] = (int32_t)s->u.pool2d.kernel[d];
        p->strides[d] = (int32_t)s->u.pool2d.strides[d];
        p->dilations[d] = (int32_t)s->u.pool2d.dilations[d];
        p->pads[d] = (int32_t)s->u.pool2d.pads[d];
        p->pads[2 + d] = (int32_t)s->u.pool2d.pads[2 + d];
    }
    p->include_pad = s->u.pool2d.count_include_pad;
    for (int k = 0; k < 3; k++) {
        p->in_strides[k] = s->in[0].strides[places[k]];
        p->out_strides[k] = s->out.strides[places[k]];
    }
}

hsched_status hsi_cuda_make_pool(const hsi_cuda_step *s, hsi_cuda_op **op)
{
    const hsched_step *step = &s->step;
    const int64_t *dims = step->out.dims;
    *op = NULL;
    if (is_mean(step)) {
        hsi_cuda_step mean = *s;
        mean.step.kind = HSCHED_STEP_REDUCE;
        mean.step.u.reduce.kind = HSCHED_REDUCE_MEAN;
        return hsi_cuda_make_reduce(&mean, op);
    }
    hsi_cuda_nest whole; /* for its check of the size */
    hsched_status status = hsi_cuda_nest_make(
        &whole, 4, dims, 1, (const int64_t *const[]){ step->out.strides });
    if (status != HSCHED_OK)
        return status;
    if (!fits(step) ||
        (dims[1] > 1 && (step->in[0].strides[1] != 1 || step->out.strides[1] != 1)))
        return hsi_cuda_unsupported("pooling of this shape or layout");
    const uint32_t most = 16 / (uint32_t)hsi_cuda_type_size(s->type);
    const int wide = is_wide(s, most);
    const uint32_t width = wide ? most : 1;
    hsi_cuda_pool_params p = { .count = whole.count / width,
                               .groups = hsi_cuda_divide_by((uint32_t)dims[1] / width),
                               .width = hsi_cuda_divide_by((uint32_t)dims[3]),
                               .height = hsi_cuda_divide_by((uint32_t)dims[2]) };
    describe_window(&p, step);
    const hsi_cuda_kernel_launch launch = { .device = s->device,
                                            .module = HSI_CUDA_MODULE_POOL,
                                            .blocks = hsi_cuda_blocks(
                                                p.count, HSI_CUDA_POOL_THREADS),
                                            .threads = HSI_CUDA_POOL_THREADS,
                                            .params = &p,
                                            .params_size = sizeof p };
    char kernel[48];
    snprintf(kernel, sizeof kernel, "pool_%s%s_%s",
             step->u.pool2d.kind == HSCHED_POOL_MAX ? "max" : "average",
             wide ? "_wide" : "", hsi_cuda_type_suffix(s->type));
    return hsi_cuda_make_launch(&launch, kernel, op, "own/%s", kernel);
}
