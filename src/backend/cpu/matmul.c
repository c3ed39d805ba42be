/*
 * Matrix products of two activations by oneDNN or OpenBLAS: out [..., m, n] = act(a [..., m, k]
 * * b [..., k, n]), whose rows may lie apart.
 *
 * A matrix goes to the library as it is if it is contiguous along its rows or its columns,
 * else through a dense copy in scratch. Parts are ranges of the rows of all matrices of
 * the batch.
 */
#include <limits.h>
#include <string.h>

#include "backend/cpu/matmul.h"
#include "backend/cpu/product.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"

/* How a library sees a matrix of which element (i, j) is at i * row + j * column. */
typedef struct blas_matrix {
    int64_t row, column; /* strides */
    int transposed;      /* column-contiguous */
    int copied;          /* to scratch, dense, first */
    int64_t lead;        /* leading dimension, as it is given to the library */
    const char *constant;
    void *owned;
} blas_matrix;

typedef struct matmul_state {
    hsi_matmul of;
    blas_matrix a, b;
    size_t b_offset; /* in scratch; the copy of a is at 0 */
} matmul_state;

static void describe_matrix(blas_matrix *matrix, int64_t rows, int64_t columns)
{
    int64_t row = matrix->row, column = matrix->column;
    if ((columns == 1 || column == 1) && (rows == 1 || row >= columns)) {
        matrix->lead = rows == 1 ? columns : row;
    } else if ((rows == 1 || row == 1) && (columns == 1 || column >= rows)) {
        matrix->transposed = 1;
        matrix->lead = columns == 1 ? rows : column;
    } else {
        matrix->copied = 1;
        matrix->lead = columns;
    }
}

int hsi_matmul_read(const hsched_step *step, hsi_matmul *matmul)
{
    const hsched_operand *a = &step->in[0], *b = &step->in[1], *out = &step->out;
    uint32_t rank = out->rank;
    *matmul = (hsi_matmul){ .batch = 1, .size = (int64_t)hsched_dtype_size(out->dtype) };
    if (step->input_count < 2 || rank < 2 || a->rank != rank || b->rank != rank ||
        (out->dims[rank - 1] != 1 && out->strides[rank - 1] != 1))
        return 0;
    matmul->m = a->dims[rank - 2];
    matmul->k = a->dims[rank - 1];
    matmul->n = b->dims[rank - 1];
    matmul->a_row = a->strides[rank - 2];
    matmul->a_column = a->strides[rank - 1];
    matmul->b_row = b->strides[rank - 2];
    matmul->b_column = b->strides[rank - 1];
    matmul->out_row = out->strides[rank - 2];
    uint32_t left = rank - 2;
    while (left > 0) {
        uint32_t last = left - 1;
        int64_t size = out->dims[last];
        if (size != 1) {
            if (b->strides[last] != 0 || matmul->m < 1)
                break;
            if (matmul->m == 1) {
                matmul->a_row = a->strides[last];
                matmul->out_row = out->strides[last];
            } else if (a->strides[last] != matmul->a_row * matmul->m ||
                       out->strides[last] != matmul->out_row * matmul->m) {
                break;
            }
            matmul->m *= size;
        }
        left--;
    }
    matmul->batch_rank = left;
    for (uint32_t i = 0; i < left; i++) {
        matmul->batch_dims[i] = out->dims[i];
        matmul->a_strides[i] = a->strides[i];
        matmul->b_strides[i] = b->strides[i];
        matmul->out_strides[i] = out->strides[i];
        matmul->batch *= out->dims[i];
    }
    if (matmul->m == 1)
        matmul->out_row = matmul->n;
    return matmul->out_row >= matmul->n;
}

static int read_matmul(const hsched_step *step, matmul_state *state)
{
    *state = (matmul_state){ .b_offset = 0 };
    const hsi_matmul *of = &state->of;
    if (!hsi_matmul_read(step, &state->of))
        return 0;
    state->a = (blas_matrix){ .row = of->a_row, .column = of->a_column };
    state->b = (blas_matrix){ .row = of->b_row, .column = of->b_column };
    describe_matrix(&state->a, of->m, of->k);
    describe_matrix(&state->b, of->k, of->n);
    return 1;
}

static int fits(const hsched_step *step)
{
    matmul_state state;
    return read_matmul(step, &state) && state.of.m <= INT_MAX && state.of.k <= INT_MAX &&
           state.of.n <= INT_MAX && state.a.lead <= INT_MAX && state.b.lead <= INT_MAX &&
           state.of.out_row <= INT_MAX;
}

static int matmul_supports(const hsched_step *step)
{
    return step->out.dtype == HSCHED_FLOAT32 && fits(step);
}

static int doubles_supports(const hsched_step *step)
{
    return step->out.dtype == HSCHED_FLOAT64 && fits(step);
}

static void matmul_destroy(void *pointer)
{
    matmul_state *state = pointer;
    if (!state)
        return;
    hsi_free(state->a.owned);
    hsi_free(state->b.owned);
    hsi_free(state);
}

static hsched_status lay_out_scratch(const matmul_state *state, size_t *a_size,
                                     size_t *total)
{
    size_t a = 0, b = 0;
    if ((!state->a.copied ||
         (hsi_mul_size((size_t)state->of.m, (size_t)state->of.k, &a) &&
          hsi_mul_size(a, (size_t)state->of.size, &a))) &&
        hsi_round_up_size(a, 64, a_size) &&
        (!state->b.copied ||
         (hsi_mul_size((size_t)state->of.k, (size_t)state->of.n, &b) &&
          hsi_mul_size(b, (size_t)state->of.size, &b))) &&
        hsi_add_size(*a_size, b, total))
        return HSCHED_OK;
    return hsi_error(
        HSCHED_ERROR_LIMIT,
        "copies of matrices [%lld,%lld] and [%lld,%lld] overflow; use smaller ones",
        (long long)state->of.m, (long long)state->of.k, (long long)state->of.k,
        (long long)state->of.n);
}

static hsched_status matmul_prepare(const hsi_cpu_prepare_context *context,
                                    hsched_step *step, hsi_cpu_prepared *prepared)
{
    matmul_state *state = HSI_NEW(matmul_state);
    if (!state)
        return hsi_out_of_memory("a matrix product");
    read_matmul(step, state);
    hsched_status status =
        lay_out_scratch(state, &state->b_offset, &prepared->scratch_size);
    if (status == HSCHED_OK)
        state->a.constant = (const char *)hsi_cpu_keep_constant(
            context, &step->in[0], &state->a.owned, &prepared->weight_bytes, &status);
    if (status == HSCHED_OK)
        state->b.constant = (const char *)hsi_cpu_keep_constant(
            context, &step->in[1], &state->b.owned, &prepared->weight_bytes, &status);
    if (status != HSCHED_OK) {
        matmul_destroy(state);
        return status;
    }
    step->parts = hsi_cpu_parts(step, (uint64_t)(state->of.batch * state->of.m));
    prepared->state = state;
    return HSCHED_OK;
}

#define COPY_MATRIX(type)                                                                \
    for (int64_t i = 0; i < rows; i++)                                                   \
        for (int64_t j = 0; j < columns; j++)                                            \
            ((type *)to)[i * columns + j] = ((const type *)from)[i * row + j * column];

void hsi_matmul_copy(const void *from, int64_t row, int64_t column, int64_t size,
                     int64_t rows, int64_t columns, void *to)
{
    if (size == sizeof(double)) {
        COPY_MATRIX(double)
    } else {
        COPY_MATRIX(float)
    }
}

void hsi_matmul_offsets(const hsi_matmul *matmul, int64_t index, int64_t *a, int64_t *b,
                        int64_t *out)
{
    *a = *b = *out = 0;
    for (uint32_t i = matmul->batch_rank; i-- > 0;) {
        int64_t at = index % matmul->batch_dims[i];
        index /= matmul->batch_dims[i];
        *a += at * matmul->a_strides[i];
        *b += at * matmul->b_strides[i];
        *out += at * matmul->out_strides[i];
    }
}

void hsi_matmul_activate(hsched_activation act, float *y, int64_t rows,
                         const hsi_matmul *matmul)
{
    if (act.kind == HSCHED_ACTIVATION_NONE)
        return;
    if (matmul->out_row == matmul->n)
        hsi_cpu_activate(act, y, (size_t)(rows * matmul->n));
    else
        for (int64_t i = 0; i < rows; i++)
            hsi_cpu_activate(act, y + i * matmul->out_row, (size_t)matmul->n);
}

static hsched_status run_with(hsi_multiply *multiply, const hsched_step *step,
                              const matmul_state *state, void *const *operands,
                              uint32_t part, void *scratch)
{
    const int64_t size = state->of.size;
    const char *all_a = state->a.constant ? state->a.constant : operands[0];
    const char *all_b = state->b.constant ? state->b.constant : operands[1];
    char *out = operands[step->input_count];
    char *b_copy = scratch ? (char *)scratch + state->b_offset : NULL;
    int64_t at = hsi_cpu_part_begin(state->of.batch * state->of.m, part, step->parts);
    int64_t end =
        hsi_cpu_part_begin(state->of.batch * state->of.m, part + 1, step->parts);
    const char *copied_b = NULL; /* which one b_copy holds */
    while (at < end) {
        int64_t row = at % state->of.m, rows = state->of.m - row;
        int64_t a_offset, b_offset, out_offset;
        if (rows > end - at)
            rows = end - at;
        hsi_matmul_offsets(&state->of, at / state->of.m, &a_offset, &b_offset,
                           &out_offset);
        const char *a = all_a + (a_offset + row * state->a.row) * size,
                   *b = all_b + b_offset * size;
        if (state->a.copied) {
            hsi_matmul_copy(a, state->a.row, state->a.column, size, rows, state->of.k,
                            scratch);
            a = scratch;
        }
        if (state->b.copied) {
            if (b != copied_b)
                hsi_matmul_copy(b, state->b.row, state->b.column, size, state->of.k,
                                state->of.n, b_copy);
            copied_b = b;
            b = b_copy;
        }
        void *y = out + (out_offset + row * state->of.out_row) * size;
        const hsi_product product = { .m = rows,
                                      .k = state->of.k,
                                      .n = state->of.n,
                                      .a = a,
                                      .b = b,
                                      .c = y,
                                      .a_lead = state->a.lead,
                                      .b_lead = state->b.lead,
                                      .c_lead = state->of.out_row,
                                      .a_flip = state->a.transposed,
                                      .b_flip = state->b.transposed };
        const hsched_status status = multiply(&product);
        if (status != HSCHED_OK)
            return status;
        hsi_matmul_activate(step->act, y, rows, &state->of);
        at += rows;
    }
    return HSCHED_OK;
}

static hsched_status openblas_run(const hsched_step *step, const void *state,
                                  void *slot_state, void *const *operands, uint32_t part,
                                  void *scratch)
{
    (void)slot_state;
    return run_with(hsi_openblas_multiply, step, state, operands, part, scratch);
}

static hsched_status doubles_run(const hsched_step *step, const void *state,
                                 void *slot_state, void *const *operands, uint32_t part,
                                 void *scratch)
{
    (void)slot_state;
    return run_with(hsi_openblas_multiply_doubles, step, state, operands, part, scratch);
}

static int onednn_supports(const hsched_step *step)
{
    return hsi_onednn_multiplies() && matmul_supports(step);
}

static hsched_status onednn_prepare(const hsi_cpu_prepare_context *context,
                                    hsched_step *step, hsi_cpu_prepared *prepared)
{
    hsi_onednn_warm_up();
    return matmul_prepare(context, step, prepared);
}

static hsched_status onednn_run(const hsched_step *step, const void *state,
                                void *slot_state, void *const *operands, uint32_t part,
                                void *scratch)
{
    (void)slot_state;
    return run_with(hsi_onednn_multiply, step, state, operands, part, scratch);
}

static const hsi_cpu_kernel onednn_matmul = {
    .name = "onednn/matmul",
    .kind = HSCHED_STEP_MATMUL,
    .library = HSCHED_LIBRARY_ONEDNN,
    .supports = onednn_supports,
    .prepare = onednn_prepare,
    .destroy = matmul_destroy,
    .run = onednn_run,
};

static const hsi_cpu_kernel openblas_matmul = {
    .name = "openblas/matmul",
    .kind = HSCHED_STEP_MATMUL,
    .library = HSCHED_LIBRARY_OPENBLAS,
    .supports = matmul_supports,
    .prepare = matmul_prepare,
    .destroy = matmul_destroy,
    .run = openblas_run,
};

static const hsi_cpu_kernel double_matmul = {
    .name = "openblas/matmul-double",
    .kind = HSCHED_STEP_MATMUL,
    .library = HSCHED_LIBRARY_OPENBLAS,
    .supports = doubles_supports,
    .prepare = matmul_prepare,
    .destroy = matmul_destroy,
    .run = doubles_run,
};

const hsi_cpu_kernel *const hsi_cpu_kernels_matmul[] = {
#if HSI_HAVE_ONEDNN
    &hsi_cpu_matmul_onednn_bf16,
#endif
    &hsi_cpu_matmul_packed,      &onednn_matmul, &openblas_matmul, &double_matmul, NULL,
};
