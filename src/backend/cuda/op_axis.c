/* ARG, TOP_K and CUMSUM. */
#include <stdio.h>
#include <string.h>

#include "backend/cuda/kernels/axis.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/nest.h"
#include "backend/cuda/op_types.h"

/* All dimensions but `axis`, over out and in. */
static hsched_status make_lines(hsi_cuda_nest *lines, const hsched_step *s, uint32_t axis)
{
    int64_t dims[HSCHED_MAX_DIMS];
    if (s->in[0].dims[axis] > INT32_MAX)
        return hsi_cuda_unsupported("a tensor of 2^31 or more elements");
    memcpy(dims, s->out.dims, sizeof dims);
    dims[axis] = 1;
    return hsi_cuda_nest_make(
        lines, s->out.rank, dims, 2,
        (const int64_t *const[]){ s->out.strides, s->in[0].strides });
}

/* 1 if neighbouring threads had better take neighbouring lines than elements of one. */
static int are_side_by_side(const hsi_cuda_nest *lines, uint32_t size, int64_t stride)
{
    return size <= 8 || (lines->rank > 0 && lines->strides[1][0] == 1 && stride != 1);
}

static hsched_status launch(const hsi_cuda_step *s, const void *params, size_t size,
                            uint64_t blocks, uint32_t threads, const char *kernel,
                            hsi_cuda_op **op)
{
    const hsi_cuda_kernel_launch launch = { .device = s->device,
                                            .module = HSI_CUDA_MODULE_AXIS,
                                            .blocks = blocks,
                                            .threads = threads,
                                            .params = params,
                                            .params_size = size };
    return hsi_cuda_make_launch(&launch, kernel, op, "own/%s", kernel);
}

/* ---- ARG, TOP_K ----------------------------------------------------------- */

static hsched_status describe(const hsi_cuda_step *s, uint32_t axis, int smallest,
                              hsi_cuda_rank_params *p)
{
    const hsched_operand *in = &s->step.in[0], *out = &s->step.out;
    *p =
        (hsi_cuda_rank_params){ .size = (uint32_t)in->dims[axis],
                                .kept = (uint32_t)out->dims[axis],
                                .out_stride = out->strides[axis],
                                .in_stride = in->strides[axis],
                                .stored = (int32_t)hsi_cuda_stored_as(in->dtype, s->type),
                                .smallest = smallest,
                                .key_bytes = in->dtype == HSCHED_INT64 ? 8 : 4 };
    return make_lines(&p->lines, &s->step, axis);
}

hsched_status hsi_cuda_make_arg(const hsi_cuda_step *s, hsi_cuda_op **op)
{
    hsi_cuda_rank_params p;
    *op = NULL;
    hsched_status status = describe(s, s->step.u.arg.axis, s->step.u.arg.smallest, &p);
    if (status != HSCHED_OK)
        return status;
    p.last = s->step.u.arg.last;
    p.nan_first = 1;
    const int alone = are_side_by_side(&p.lines, p.size, p.in_stride);
    const int small = alone || p.size <= 1024;
    const uint32_t threads = small ? HSI_CUDA_AXIS_THREADS : HSI_CUDA_AXIS_BLOCK_THREADS;
    const uint32_t each = alone ? threads : small ? threads / 32 : 1;
    return launch(s, &p, sizeof p, hsi_cuda_blocks(p.lines.count, each), threads,
                  alone   ? "arg_thread"
                  : small ? "arg_warp"
                          : "arg_block",
                  op);
}

int hsi_cuda_takes_top_k(const hsched_step *step)
{
    return step->out.dims[step->u.top_k.axis] <= HSI_CUDA_TOP_K_MOST;
}

hsched_status hsi_cuda_make_top_k(const hsi_cuda_step *s, hsi_cuda_op **op)
{
    hsi_cuda_rank_params p;
    *op = NULL;
    if (!hsi_cuda_takes_top_k(&s->step))
        return hsi_cuda_unsupported("more than 2048 of the largest elements");
    hsched_status status =
        describe(s, s->step.u.top_k.axis, s->step.u.top_k.smallest, &p);
    if (status != HSCHED_OK)
        return status;
    const uint32_t threads = p.size <= 256    ? 128
                             : p.size <= 4096 ? 256
                                              : HSI_CUDA_TOP_K_THREADS;
    return launch(s, &p, sizeof p, p.lines.count, threads, "top_k_block", op);
}

/* ---- CUMSUM --------------------------------------------------------------- */

hsched_status hsi_cuda_make_cumsum(const hsi_cuda_step *s, hsi_cuda_op **op)
{
    const hsched_step *step = &s->step;
    const uint32_t axis = step->u.cumsum.axis;
    const int whole = step->out.dtype == HSCHED_INT64 || step->out.dtype == HSCHED_INT32;
    char kernel[32];
    hsi_cuda_cumsum_params p = { .size = (uint32_t)step->in[0].dims[axis],
                                 .out_stride = step->out.strides[axis],
                                 .in_stride = step->in[0].strides[axis],
                                 .stored = (int32_t)hsi_cuda_stored_as(step->out.dtype,
                                                                       s->type),
                                 .exclusive = step->u.cumsum.exclusive,
                                 .reverse = step->u.cumsum.reverse };
    *op = NULL;
    hsched_status status = make_lines(&p.lines, step, axis);
    if (status != HSCHED_OK)
        return status;
    const int alone = are_side_by_side(&p.lines, p.size, p.in_stride);
    snprintf(kernel, sizeof kernel, "%s_%s_%s",
             step->u.cumsum.product ? "cumprod" : "cumsum", alone ? "thread" : "warp",
             whole ? "whole" : "float");
    return launch(
        s, &p, sizeof p,
        hsi_cuda_blocks(p.lines.count, HSI_CUDA_AXIS_THREADS / (alone ? 1 : 32)),
        HSI_CUDA_AXIS_THREADS, kernel, op);
}
