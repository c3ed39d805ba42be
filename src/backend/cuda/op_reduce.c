/* REDUCE. */
#include <stdio.h>

#include "backend/cuda/kernels/reduce.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/nest.h"
#include "backend/cuda/op_types.h"

/* A mean is a sum, divided. */
static const char *name_of(hsched_reduce_kind kind)
{
    switch (kind) {
    case HSCHED_REDUCE_MAX:
        return "max";
    case HSCHED_REDUCE_MIN:
        return "min";
    case HSCHED_REDUCE_PROD:
        return "prod";
    default:
        return "sum";
    }
}

static hsched_status make_reduction(hsi_cuda_reduce_params *p, const hsched_step *s)
{
    int64_t window[HSCHED_MAX_DIMS];
    for (uint32_t d = 0; d < s->out.rank; d++)
        window[d] = s->out.dims[d] == 1 ? s->in[0].dims[d] : 1;
    hsched_status status =
        hsi_cuda_nest_make(&p->kept, s->out.rank, s->out.dims, 2,
                           (const int64_t *const[]){ s->out.strides, s->in[0].strides });
    if (status == HSCHED_OK)
        status = hsi_cuda_nest_make(&p->window, s->out.rank, window, 1,
                                    (const int64_t *const[]){ s->in[0].strides });
    p->divisor = s->u.reduce.kind == HSCHED_REDUCE_MEAN ? (float)p->window.count : 1;
    return status;
}

/* As many rows of lanes as there is work for, and lanes that read 128 bytes at least. */
static uint32_t column_lanes_log2(uint32_t window, uint32_t width)
{
    uint32_t log2 = width > 1 ? 3 : 5;
    while (log2 < 8 && window < (uint32_t)HSI_CUDA_REDUCE_BLOCK_THREADS >> log2)
        log2++;
    return log2;
}

static hsched_status make_columns(const hsi_cuda_step *s, hsi_cuda_reduce_params *p,
                                  hsi_cuda_op **op)
{
    uint32_t width = 16 / (uint32_t)hsi_cuda_type_size(s->type);
    int wide = hsi_cuda_nest_is_wide(&p->kept, 0, width, 0) &&
               hsi_cuda_nest_is_wide(&p->kept, 1, width, 0) &&
               s->alignment[0] % 16 == 0 && s->out_alignment % 16 == 0;
    for (uint32_t d = 0; d < p->window.rank; d++)
        wide &= p->window.strides[0][d] % (int64_t)width == 0;
    if (!wide)
        width = 1;
    p->lanes_log2 = column_lanes_log2(p->window.count, width);
    const hsi_cuda_kernel_launch launch = {
        .device = s->device,
        .module = HSI_CUDA_MODULE_REDUCE,
        .blocks = hsi_cuda_blocks(p->kept.count / width, 1u << p->lanes_log2),
        .threads = HSI_CUDA_REDUCE_BLOCK_THREADS,
        .params = p,
        .params_size = sizeof *p
    };
    char kernel[48];
    snprintf(kernel, sizeof kernel, "reduce_%s_columns_%s%s",
             name_of(s->step.u.reduce.kind), wide ? "wide_" : "",
             hsi_cuda_type_suffix(s->type));
    return hsi_cuda_make_launch(&launch, kernel, op, "own/%s", kernel);
}

static hsched_status make_integers(const hsi_cuda_step *s, hsi_cuda_reduce_params *p,
                                   hsi_cuda_op **op)
{
    p->stored = (int32_t)hsi_cuda_stored_as(s->step.out.dtype, s->type);
    p->kind = (int32_t)s->step.u.reduce.kind;
    const hsi_cuda_kernel_launch launch = {
        .device = s->device,
        .module = HSI_CUDA_MODULE_REDUCE,
        .blocks = hsi_cuda_blocks(p->kept.count, HSI_CUDA_REDUCE_WARP_THREADS / 32),
        .threads = HSI_CUDA_REDUCE_WARP_THREADS,
        .params = p,
        .params_size = sizeof *p
    };
    return hsi_cuda_make_launch(&launch, "reduce_whole", op, "own/reduce_whole");
}

hsched_status hsi_cuda_make_reduce(const hsi_cuda_step *s, hsi_cuda_op **op)
{
    hsi_cuda_reduce_params p = { .lanes_log2 = 0 };
    *op = NULL;
    hsched_status status = make_reduction(&p, &s->step);
    if (status != HSCHED_OK)
        return status;
    if (s->step.out.dtype != HSCHED_FLOAT32)
        return make_integers(s, &p, op);
    /* What lies side by side in memory is read by neighbouring threads: windows, or else
     * elements of out. */
    const int64_t across = p.kept.rank > 0 ? p.kept.strides[1][0] : 0,
                  along = p.window.rank > 0 ? p.window.strides[0][0] : 0;
    if (p.kept.rank > 0 && across == 1 && along != 1)
        return make_columns(s, &p, op);
    const int small = p.window.count <= 1024;
    const uint32_t threads =
        small ? HSI_CUDA_REDUCE_WARP_THREADS : HSI_CUDA_REDUCE_BLOCK_THREADS;
    const hsi_cuda_kernel_launch launch = { .device = s->device,
                                            .module = HSI_CUDA_MODULE_REDUCE,
                                            .blocks = hsi_cuda_blocks(
                                                p.kept.count, small ? threads / 32 : 1),
                                            .threads = threads,
                                            .params = &p,
                                            .params_size = sizeof p };
    char kernel[48];
    snprintf(kernel, sizeof kernel, "reduce_%s_%s_%s", name_of(s->step.u.reduce.kind),
             small ? "warp" : "block", hsi_cuda_type_suffix(s->type));
    return hsi_cuda_make_launch(&launch, kernel, op, "own/%s", kernel);
}
