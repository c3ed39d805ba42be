#include "backend/cuda/nest.h"

#include <string.h>

#include "backend/cuda/host.h"

static uint64_t magnitude(int64_t stride)
{
    return stride < 0 ? (uint64_t)0 - (uint64_t)stride : (uint64_t)stride;
}

/* With 2^shift the power of two at or above d, multiplier = floor(2^32 (2^shift - d) / d) + 1
 * makes the formula exact for all n < 2^32; for n < 2^31 its sum does not overflow. */
hsi_cuda_divisor hsi_cuda_divide_by(uint32_t divisor)
{
    uint32_t shift = 0;
    while ((UINT64_C(1) << shift) < divisor)
        shift++;
    const uint64_t excess = (UINT64_C(1) << shift) - divisor;
    return (hsi_cuda_divisor){ divisor, (uint32_t)((excess << 32) / divisor + 1), shift };
}

void hsi_cuda_order_dims(uint32_t rank, const int64_t *strides, uint32_t *order)
{
    for (uint32_t d = 0; d < rank; d++) {
        uint32_t at = d;
        for (; at > 0 && magnitude(strides[order[at - 1]]) < magnitude(strides[d]); at--)
            order[at] = order[at - 1];
        order[at] = d;
    }
}

/* Adds a dimension outside the others, as part of the outermost if it continues that. */
static void add_outer(hsi_cuda_nest *nest, uint32_t *sizes, int64_t size,
                      uint32_t operands, const int64_t *strides)
{
    int continues = nest->rank > 0;
    const uint32_t last = nest->rank - 1; /* used only if there is one */
    for (uint32_t k = 0; continues && k < operands; k++)
        continues = strides[k] == nest->strides[k][last] * (int64_t)sizes[last];
    if (continues) {
        sizes[last] *= (uint32_t)size;
        return;
    }
    for (uint32_t k = 0; k < operands; k++)
        nest->strides[k][nest->rank] = strides[k];
    sizes[nest->rank++] = (uint32_t)size;
}

hsched_status hsi_cuda_nest_make(hsi_cuda_nest *nest, uint32_t rank, const int64_t *dims,
                                 uint32_t operands, const int64_t *const *strides)
{
    uint32_t order[HSCHED_MAX_DIMS], sizes[HSI_CUDA_NEST_DIMS];
    int64_t count = 1;
    memset(nest, 0, sizeof *nest);
    for (uint32_t d = 0; d < rank; d++)
        if (dims[d] < 1 || __builtin_mul_overflow(count, dims[d], &count) ||
            count > INT32_MAX)
            return hsi_cuda_host->set_error(HSCHED_ERROR_UNSUPPORTED,
                                            "GPU: a tensor of 2^31 or more elements");
    hsi_cuda_order_dims(rank, strides[0], order);
    for (uint32_t k = rank; k-- > 0;) {
        int64_t at[HSI_CUDA_NEST_OPERANDS];
        for (uint32_t i = 0; i < operands; i++)
            at[i] = strides[i][order[k]];
        if (dims[order[k]] > 1)
            add_outer(nest, sizes, dims[order[k]], operands, at);
    }
    nest->count = (uint32_t)count;
    for (uint32_t d = 0; d < nest->rank; d++)
        nest->dims[d] = hsi_cuda_divide_by(sizes[d]);
    return HSCHED_OK;
}

void hsi_cuda_nest_drop(const hsi_cuda_nest *nest, uint32_t d, hsi_cuda_nest *rest)
{
    *rest = *nest;
    rest->rank--;
    rest->count /= nest->dims[d].divisor;
    for (uint32_t i = d; i < rest->rank; i++) {
        rest->dims[i] = nest->dims[i + 1];
        for (uint32_t k = 0; k < HSI_CUDA_NEST_OPERANDS; k++)
            rest->strides[k][i] = nest->strides[k][i + 1];
    }
}

int hsi_cuda_nest_is_wide(const hsi_cuda_nest *nest, uint32_t operand, uint32_t width,
                          int may_repeat)
{
    const int64_t *strides = nest->strides[operand];
    if (nest->rank == 0 || nest->dims[0].divisor % width != 0)
        return 0;
    if (may_repeat && strides[0] == 0)
        return 1;
    if (strides[0] != 1)
        return 0;
    for (uint32_t d = 1; d < nest->rank; d++)
        if (strides[d] % (int64_t)width != 0)
            return 0;
    return 1;
}
