/* SOFTMAX, NORM, LRN and REDUCE. */
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

/* ---- REDUCE --------------------------------------------------------------- */

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
    return status;
}

/* As many rows of lanes as there is work for, and lanes that read 128 bytes at least. */
static uint32_t column_lanes_log2(uint32_t window, uint32_t width)
{
    uint32_t log2 = width > 1 ? 3 : 5;
    while (log2 < 8 && window < (uint32_t)HSI_CUDA_BLOCK_THREADS >> log2)
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
        .module = HSI_CUDA_MODULE_NORM,
        .blocks = hsi_cuda_blocks(p->kept.count / width, 1u << p->lanes_log2),
        .threads = HSI_CUDA_BLOCK_THREADS,
        .params = p,
        .params_size = sizeof *p
    };
    char kernel[32];
    snprintf(kernel, sizeof kernel, "reduce_columns_%s%s", wide ? "wide_" : "",
             hsi_cuda_type_suffix(s->type));
    return hsi_cuda_make_launch(&launch, kernel, op, "own/%s", kernel);
}

hsched_status hsi_cuda_make_reduce(const hsi_cuda_step *s, hsi_cuda_op **op)
{
    hsi_cuda_reduce_params p = { .lanes_log2 = 0 };
    *op = NULL;
    hsched_status status = make_reduction(&p, &s->step);
    if (status != HSCHED_OK)
        return status;
    /* What lies side by side in memory is read by neighbouring threads: windows, or else
     * elements of out. */
    const int64_t across = p.kept.rank > 0 ? p.kept.strides[1][0] : 0,
                  along = p.window.rank > 0 ? p.window.strides[0][0] : 0;
    if (p.kept.rank > 0 && across == 1 && along != 1)
        return make_columns(s, &p, op);
    const int small = p.window.count <= 1024;
    const uint32_t threads = small ? HSI_CUDA_NORM_THREADS : HSI_CUDA_BLOCK_THREADS;
    const hsi_cuda_kernel_launch launch = { .device = s->device,
                                            .module = HSI_CUDA_MODULE_NORM,
                                            .blocks = hsi_cuda_blocks(
                                                p.kept.count, small ? threads / 32 : 1),
                                            .threads = threads,
                                            .params = &p,
                                            .params_size = sizeof p };
    char kernel[32];
    snprintf(kernel, sizeof kernel, "reduce_%s_%s", small ? "warp" : "block",
             hsi_cuda_type_suffix(s->type));
    return hsi_cuda_make_launch(&launch, kernel, op, "own/%s", kernel);
}
