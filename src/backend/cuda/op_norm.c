/* SOFTMAX, NORM and LRN. */
#include <stdio.h>
#include <string.h>

#include "backend/cuda/kernels/norm.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/nest.h"

/* All dimensions but `axis`, over out and in. */
static hsched_status make_lines(hsi_cuda_nest *lines, const hsched_step *s, uint32_t axis)
{
    int64_t dims[HSCHED_MAX_DIMS];
    memcpy(dims, s->out.dims, sizeof dims);
    dims[axis] = 1;
    return hsi_cuda_nest_make(
        lines, s->out.rank, dims, 2,
        (const int64_t *const[]){ s->out.strides, s->in[0].strides });
}

/* ---- SOFTMAX -------------------------------------------------------------- */

hsched_status hsi_cuda_make_softmax(const hsi_cuda_step *s, hsi_cuda_op **op)
{
    const hsched_step *step = &s->step;
    const uint32_t axis = step->u.softmax.axis;
    hsi_cuda_softmax_params p = { .log = step->u.softmax.log != 0,
                                  .out_stride = step->out.strides[axis],
                                  .in_stride = step->in[0].strides[axis] };
    *op = NULL;
    if (step->out.dims[axis] > INT32_MAX)
        return hsi_cuda_unsupported("a tensor of 2^31 or more elements");
    p.size = (uint32_t)step->out.dims[axis];
    hsched_status status = make_lines(&p.lines, step, axis);
    if (status != HSCHED_OK)
        return status;
    const int side_by_side = p.lines.rank > 0 && p.lines.strides[0][0] == 1 &&
                             p.lines.strides[1][0] == 1 &&
                             (p.lines.count >= 4096 || p.size <= 8);
    const char *way = side_by_side ? "thread" : p.size <= 256 ? "warp" : "block";
    const uint32_t threads =
        !side_by_side && p.size > 256 ? HSI_CUDA_BLOCK_THREADS : HSI_CUDA_NORM_THREADS;
    const uint32_t lines_each = side_by_side ? threads : p.size <= 256 ? threads / 32 : 1;
    const hsi_cuda_kernel_launch launch = { .device = s->device,
                                            .module = HSI_CUDA_MODULE_NORM,
                                            .blocks = hsi_cuda_blocks(p.lines.count,
                                                                      lines_each),
                                            .threads = threads,
                                            .params = &p,
                                            .params_size = sizeof p };
    char kernel[32];
    snprintf(kernel, sizeof kernel, "softmax_%s_%s", way, hsi_cuda_type_suffix(s->type));
    return hsi_cuda_make_launch(&launch, kernel, op, "own/%s", kernel);
}

/* ---- NORM ----------------------------------------------------------------- */

/* Over groups, and over what is in one: out, in, scale and bias. */
static hsched_status make_groups(hsi_cuda_norm_params *p, const hsched_step *s)
{
    const uint32_t axis = s->u.norm.axis, rank = s->out.rank;
    const int64_t groups = s->u.norm.groups, members = s->out.dims[axis] / groups;
    const hsched_operand *operands[4] = { &s->out, &s->in[0],
                                          p->scaled ? &s->in[1] : NULL,
                                          p->shifted ? &s->in[2] : NULL };
    int64_t kept[HSCHED_MAX_DIMS], inside[HSCHED_MAX_DIMS];
    int64_t strides[4][HSCHED_MAX_DIMS] = { { 0 } }, of_groups[4][HSCHED_MAX_DIMS];
    for (uint32_t d = 0; d < rank; d++) {
        kept[d] = d < axis ? s->out.dims[d] : d == axis ? groups : 1;
        inside[d] = d < axis ? 1 : d == axis ? members : s->out.dims[d];
    }
    for (int k = 0; k < 4; k++) {
        if (operands[k])
            memcpy(strides[k], operands[k]->strides, sizeof strides[k]);
        memcpy(of_groups[k], strides[k], sizeof of_groups[k]);
        of_groups[k][axis] *= members;
    }
    hsched_status status =
        hsi_cuda_nest_make(&p->kept, rank, kept, 4,
                           (const int64_t *const[]){ of_groups[0], of_groups[1],
                                                     of_groups[2], of_groups[3] });
    if (status == HSCHED_OK)
        status = hsi_cuda_nest_make(
            &p->inside, rank, inside, 4,
            (const int64_t *const[]){ strides[0], strides[1], strides[2], strides[3] });
    return status;
}

hsched_status hsi_cuda_make_norm(const hsi_cuda_step *s, hsi_cuda_op **op)
{
    const hsched_step *step = &s->step;
    hsi_cuda_norm_params p = {
        .rms = step->u.norm.rms != 0,
        .scaled = step->input_count > 1 && step->in[1].dtype != HSCHED_DTYPE_NONE,
        .shifted = step->input_count > 2 && step->in[2].dtype != HSCHED_DTYPE_NONE,
        .epsilon = step->u.norm.epsilon,
        .act = step->act
    };
    *op = NULL;
    hsched_status status = make_groups(&p, step);
    if (status != HSCHED_OK)
        return status;
    const int small = p.inside.count <= 1024;
    const uint32_t threads = small ? HSI_CUDA_NORM_THREADS : HSI_CUDA_BLOCK_THREADS;
    const hsi_cuda_kernel_launch launch = { .device = s->device,
                                            .module = HSI_CUDA_MODULE_NORM,
                                            .blocks = hsi_cuda_blocks(
                                                p.kept.count, small ? threads / 32 : 1),
                                            .threads = threads,
                                            .params = &p,
                                            .params_size = sizeof p };
    char kernel[32];
    snprintf(kernel, sizeof kernel, "norm_%s_%s", small ? "warp" : "block",
             hsi_cuda_type_suffix(s->type));
    return hsi_cuda_make_launch(&launch, kernel, op, "own/%s", kernel);
}

/* ---- LRN ------------------------------------------------------------------ */

hsched_status hsi_cuda_make_lrn(const hsi_cuda_step *s, hsi_cuda_op **op)
{
    const hsched_step *step = &s->step;
    const int64_t size = step->u.lrn.size, channels = step->out.dims[1];
    hsi_cuda_lrn_params p = { .out_stride = step->out.strides[1],
                              .in_stride = step->in[0].strides[1],
                              .factor = step->u.lrn.alpha / (float)size,
                              .beta = step->u.lrn.beta,
                              .bias = step->u.lrn.bias };
    *op = NULL;
    hsched_status status = make_lines(&p.lines, step, 1);
    if (status != HSCHED_OK)
        return status;
    if (channels > INT32_MAX || channels * p.lines.count > INT32_MAX)
        return hsi_cuda_unsupported("a tensor of 2^31 or more elements");
    p.channels = (uint32_t)channels;
    p.count = p.channels * p.lines.count;
    p.before = (size - 1) / 2 < channels ? (size - 1) / 2 : channels;
    p.after = size / 2 < channels ? size / 2 : channels;
    p.channels_inside = p.lines.rank == 0 || p.out_stride <= p.lines.strides[0][0];
    const uint32_t width = p.channels_inside && p.channels % 4 == 0 ? 4 : 1;
    p.inner = hsi_cuda_divide_by(p.channels_inside ? p.channels / width : p.lines.count);
    const hsi_cuda_kernel_launch launch = { .device = s->device,
                                            .module = HSI_CUDA_MODULE_NORM,
                                            .blocks = hsi_cuda_blocks(
                                                p.count / width, HSI_CUDA_NORM_THREADS),
                                            .threads = HSI_CUDA_NORM_THREADS,
                                            .params = &p,
                                            .params_size = sizeof p };
    char kernel[32];
    snprintf(kernel, sizeof kernel, "lrn_%s%s", width > 1 ? "wide_" : "",
             hsi_cuda_type_suffix(s->type));
    return hsi_cuda_make_launch(&launch, kernel, op, "own/%s", kernel);
}
