/* MATMUL and FC of any strides. */
#include <stdio.h>

#include "backend/cuda/kernels/matmul.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/nest.h"

/* Where neighbouring threads find their elements nearest to each other: along k? */
static int along_k(int64_t k_stride, int64_t other_stride)
{
    const int64_t k = k_stride < 0 ? -k_stride : k_stride,
                  other = other_stride < 0 ? -other_stride : other_stride;
    return k == 1 || (other != 1 && k <= other);
}

static int fits(int64_t size)
{
    return size < INT32_MAX / 2; /* tiles may reach beyond the end */
}

/* The batch of matrices: all dimensions but the last two. FC has none. */
static hsched_status make_batch(const hsched_step *s, hsi_cuda_nest *batch)
{
    return hsi_cuda_nest_make(
        batch, s->out.rank - 2, s->out.dims, 3,
        (const int64_t *const[]){ s->out.strides, s->in[0].strides, s->in[1].strides });
}

hsched_status hsi_cuda_make_matmul(const hsi_cuda_step *s, hsi_cuda_op **op)
{
    const hsched_step *step = &s->step;
    const hsched_operand *a = &step->in[0], *b = &step->in[1], *out = &step->out;
    const uint32_t row = out->rank - 2, column = out->rank - 1;
    const int is_fc = step->kind == HSCHED_STEP_FC;
    *op = NULL;
    if ((!is_fc && step->kind != HSCHED_STEP_MATMUL) || out->rank < 2)
        return hsi_cuda_unsupported("no product of matrices");
    if (!fits(out->dims[row]) || !fits(out->dims[column]) || !fits(a->dims[column]))
        return hsi_cuda_unsupported("a matrix too large");
    hsi_cuda_matmul_params p = { .m = (uint32_t)out->dims[row],
                                 .n = (uint32_t)out->dims[column],
                                 .k = (uint32_t)a->dims[column],
                                 .out_m = out->strides[row],
                                 .out_n = out->strides[column],
                                 .a_m = a->strides[row],
                                 .a_k = a->strides[column],
                                 .b_k = is_fc ? 1 : b->strides[row],
                                 .b_n = is_fc ? a->dims[column] : b->strides[column],
                                 .act = step->act };
    hsched_status status = make_batch(step, &p.batch);
    if (status != HSCHED_OK)
        return status;
    p.a_along_k = along_k(p.a_k, p.a_m);
    p.b_along_k = along_k(p.b_k, p.b_n);
    p.has_bias = is_fc && step->input_count > 2 && step->in[2].dtype != HSCHED_DTYPE_NONE;
    const uint32_t rows = (uint32_t)hsi_cuda_blocks(p.m, HSI_CUDA_MATMUL_TILE),
                   columns = (uint32_t)hsi_cuda_blocks(p.n, HSI_CUDA_MATMUL_TILE);
    p.row_tiles = hsi_cuda_divide_by(rows);
    p.column_tiles = hsi_cuda_divide_by(columns);
    const uint64_t tiles = (uint64_t)rows * columns;
    if (tiles > INT32_MAX)
        return hsi_cuda_unsupported("a matrix too large");
    const hsi_cuda_kernel_launch launch = { .device = s->device,
                                            .module = HSI_CUDA_MODULE_MATMUL,
                                            .blocks = tiles * p.batch.count,
                                            .threads = HSI_CUDA_MATMUL_THREADS,
                                            .params = &p,
                                            .params_size = sizeof p };
    char kernel[32];
    snprintf(kernel, sizeof kernel, "matmul_%s", hsi_cuda_type_suffix(s->type));
    return hsi_cuda_make_launch(&launch, kernel, op, "own/%s", kernel);
}
