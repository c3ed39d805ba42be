#include "backend/cuda/bias.h"

#include <string.h>

#include "backend/cuda/host.h"

static const char doing[] = "converting a bias";

static int has_bias(const hsi_cuda_step *step)
{
    return step->step.input_count > 2 && step->step.in[2].dtype != HSCHED_DTYPE_NONE;
}

int hsi_cuda_bias_needs_copy(const hsi_cuda_step *step)
{
    return !has_bias(step) || step->type != HSI_CUDA_F32;
}

/* Both round to the nearest, ties to even; a NaN stays one. */
static uint16_t to_bfloat16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* 0 if a finite value becomes infinite. */
static int to_half(float value, uint16_t *half)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
    uint32_t mantissa = (size & 0x7fffff) | 0x800000, shift = 13, result;
    if (size >= 0x7f800000) { /* infinity, NaN */
        *half = (uint16_t)(sign | 0x7c00 | (size > 0x7f800000 ? 0x200 : 0));
        return 1;
    }
    const int exponent = (int)(size >> 23) - 127 + 15;
    if (exponent <= 0) /* subnormal in half: units of 2^-24 */
        shift = exponent < -11 ? 31 : (uint32_t)(14 - exponent);
    const uint32_t half_unit = UINT32_C(1) << (shift - 1), kept = mantissa >> shift;
    mantissa &= (UINT32_C(1) << shift) - 1;
    result = kept + (mantissa > half_unit || (mantissa == half_unit && (kept & 1)));
    if (exponent > 0) /* the implicit one is in `result`; a carry goes to the exponent */
        result += (uint32_t)(exponent - 1) << 10;
    *half = (uint16_t)(sign | result);
    return result < 0x7c00;
}

static hsched_status convert(hsi_cuda_type type, const float *from, int64_t count,
                             void *to)
{
    for (int64_t i = 0; i < count; i++) {
        if (type == HSI_CUDA_F32)
            ((float *)to)[i] = from[i];
        else if (type == HSI_CUDA_BF16)
            ((uint16_t *)to)[i] = to_bfloat16(from[i]);
        else if (!to_half(from[i], &((uint16_t *)to)[i]))
            return hsi_cuda_host->set_error(HSCHED_ERROR_UNSUPPORTED,
                                            "GPU: %s: %g is too large for a half", doing,
                                            (double)from[i]);
    }
    return HSCHED_OK;
}

hsched_status hsi_cuda_bias_copy(const hsi_cuda_step *step, hsi_cuda_bias *copy)
{
    const int64_t count = step->step.in[1].dims[0];
    const size_t bytes = (size_t)count * hsi_cuda_type_size(step->type);
    hsched_status status = HSCHED_OK;
    *copy = (hsi_cuda_bias){ .size = bytes };
    if (has_bias(step) && !step->constants[2])
        return hsi_cuda_host->set_error(HSCHED_ERROR_UNSUPPORTED,
                                        "GPU: %s: it is not constant", doing);
    float *from = HSI_CUDA_NEW_ARRAY(float, (size_t)count); /* zeros */
    void *to = HSI_CUDA_NEW_ARRAY(float, (size_t)count);
    if (!from || !to) {
        status = hsi_cuda_no_memory("a bias");
        goto done;
    }
    if (has_bias(step))
        status = CU_CHECK(doing, cuMemcpyDtoH, from, step->constants[2],
                          (size_t)count * sizeof(float));
    if (status == HSCHED_OK)
        status = convert(step->type, from, count, to);
    if (status == HSCHED_OK)
        status = hsi_cuda_memory_alloc(&step->device->memory, bytes, &copy->address);
    if (status == HSCHED_OK)
        status = CU_CHECK(doing, cuMemcpyHtoD, copy->address, to, bytes);
    /* The copy may come back before the data have arrived, and streams do not wait for it. */
    if (status == HSCHED_OK)
        status = CU_CHECK(doing, cuStreamSynchronize, NULL);
    if (status != HSCHED_OK)
        hsi_cuda_bias_free(step->device, copy);
done:
    hsi_cuda_host->free(from);
    hsi_cuda_host->free(to);
    return status;
}

void hsi_cuda_bias_free(hsi_cuda_device *device, hsi_cuda_bias *copy)
{
    if (copy->address)
        hsi_cuda_memory_free(&device->memory, copy->address, copy->size);
    *copy = (hsi_cuda_bias){ 0 };
}
