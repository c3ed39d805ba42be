/* ROTARY. */
#include <stdio.h>
#include <string.h>

#include "backend/cuda/kernels/rotary.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/nest.h"

/* 1 if all operands can be taken 16 bytes at a time, the first ones of pairs and the second. */
static int is_wide(const hsi_cuda_step *s, const hsi_cuda_rotary_params *p,
                   uint32_t width)
{
    for (uint32_t k = 0; k < HSI_CUDA_NEST_OPERANDS; k++) {
        const uint32_t alignment = k == 0 ? s->out_alignment : s->alignment[k - 1];
        if (!hsi_cuda_nest_is_wide(&p->nest, k, width, 0) ||
            p->pair[k] % (int64_t)width != 0 || alignment % 16 != 0)
            return 0;
    }
    return 1;
}

hsched_status hsi_cuda_make_rotary(const hsi_cuda_step *s, hsi_cuda_op **op)
{
    const hsched_step *step = &s->step;
    const uint32_t axis = step->u.rotary.axis;
    const int64_t *strides[HSI_CUDA_NEST_OPERANDS] = { step->out.strides };
    int64_t dims[HSCHED_MAX_DIMS];
    hsi_cuda_rotary_params p;
    *op = NULL;
    for (uint32_t k = 1; k < HSI_CUDA_NEST_OPERANDS; k++)
        strides[k] = step->in[k - 1].strides;
    for (uint32_t k = 0; k < HSI_CUDA_NEST_OPERANDS; k++)
        p.pair[k] = strides[k][axis];
    memcpy(dims, step->out.dims, sizeof dims);
    dims[axis] = 1;
    hsched_status status = hsi_cuda_nest_make(&p.nest, step->out.rank, dims,
                                              HSI_CUDA_NEST_OPERANDS, strides);
    if (status != HSCHED_OK)
        return status;
    const uint32_t most = 16 / (uint32_t)hsi_cuda_type_size(s->type);
    const uint32_t width = is_wide(s, &p, most) ? most : 1;
    const hsi_cuda_kernel_launch launch = { .device = s->device,
                                            .module = HSI_CUDA_MODULE_ROTARY,
                                            .blocks = hsi_cuda_loop_blocks(
                                                s->device, p.nest.count / width,
                                                HSI_CUDA_ROTARY_THREADS),
                                            .threads = HSI_CUDA_ROTARY_THREADS,
                                            .params = &p,
                                            .params_size = sizeof p };
    char kernel[32];
    snprintf(kernel, sizeof kernel, "rotary%s_%s", width > 1 ? "_wide" : "",
             hsi_cuda_type_suffix(s->type));
    return hsi_cuda_make_launch(&launch, kernel, op, "own/%s", kernel);
}
