/*
 * Fully connected: y [m, o] = act(x [m, k] * weights [o, k]^T + bias).
 *
 * With one row the time is that of reading the weights once: dot products with the weights as they
 * are, four rows of them against some rows of x at a time. With more rows packed panels
 * (fc_packed.c), oneDNN, with the weights transposed while preparing, or with many OpenBLAS.
 */
#include <limits.h>
#include <string.h>

#include "backend/cpu/fc.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/product.h"
#include "backend/cpu/xnnpack.h"
#include "base/alloc.h"
#include "base/status.h"

/* From so many rows on oneDNN's product. Its time over that of the dot products, measured
 * for 512x512 and 2048x1000 weights: 0.6 and 0.8 with 4 rows, 0.4 and 0.5 with 16. */
#define PRODUCT_ROWS 4
/* From so many rows on OpenBLAS's, which packs the weights first. Its time over that of the
 * dot products, measured for the same: 0.9 and 2.0 with 16 rows, 0.7 and 1.3 with 32. */
#define GEMM_ROWS 32
/* Bytes of weights that one row does not wait for: of a second-level cache. */
#define ROW_WEIGHTS ((size_t)1 << 20)
/* Columns of y between two calls of the epilogue. */
#define OWN_CHUNK 64

typedef void dot_function(const float *x, int64_t x_row, const float *weights,
                          int64_t stride, int64_t depth, float *out);

typedef float four_floats __attribute__((vector_size(16)));
typedef int32_t four_ints __attribute__((vector_size(16)));

#define MAX_DOT_ROWS 3
typedef struct dot_functions {
    dot_function *one, *all; /* for one row of x, and for `rows` of them */
    int rows;
} dot_functions;

#if HSI_ISA_X86
#define LANES  16
#define ROWS   3
#define SUFFIX avx512
#define TARGET HSI_TARGET_AVX512
#include "backend/cpu/dot_rows.h"

#define LANES  8
#define ROWS   2
#define SUFFIX avx2
#define TARGET HSI_TARGET_AVX2
#include "backend/cpu/dot_rows.h"
#endif

#define LANES  4
#define ROWS   2
#define SUFFIX base
#define TARGET
#include "backend/cpu/dot_rows.h"

static const dot_functions *choose_dots(void)
{
#if HSI_ISA_X86
    hsi_isa isa = hsi_isa_best();
    if (isa == HSI_ISA_AVX512)
        return &dot_functions_avx512;
    if (isa == HSI_ISA_AVX2)
        return &dot_functions_avx2;
#endif
    return &dot_functions_base;
}

typedef struct fc_state {
    int64_t m, k, o, x_row, y_row;
    const float *weights, *bias;
    int flipped; /* weights are [k,o] here */
    void *owned_weights, *owned_bias;
} fc_state;

static int is_rows(const hsched_operand *operand)
{
    return operand->dtype == HSCHED_FLOAT32 && operand->rank == 2 &&
           (operand->dims[1] == 1 || operand->strides[1] == 1);
}

int hsi_fc_supports(const hsched_step *step)
{
    return step->input_count >= 2 && is_rows(&step->in[0]) && is_rows(&step->out) &&
           step->in[1].constant && step->in[1].rank == 2 &&
           (step->input_count < 3 || step->in[2].dtype == HSCHED_DTYPE_NONE ||
            step->in[2].constant);
}

int hsi_fc_waits_for_weights(const hsched_step *step)
{
    return step->in[0].dims[0] <= 1 && hsi_cpu_operand_span(&step->in[1]) > ROW_WEIGHTS;
}

/* OpenBLAS wants row strides of at least a row, and counts in int. */
static int fits_blas(const hsched_operand *operand)
{
    return operand->dims[0] <= INT_MAX && operand->dims[1] <= INT_MAX &&
           operand->strides[0] >= operand->dims[1] && operand->strides[0] <= INT_MAX;
}

static int gemm_supports(const hsched_step *step)
{
    return hsi_fc_supports(step) && step->in[0].dims[0] >= GEMM_ROWS &&
           fits_blas(&step->in[0]) && fits_blas(&step->out);
}

static int onednn_supports(const hsched_step *step)
{
    return hsi_onednn_multiplies() && hsi_fc_supports(step) &&
           step->in[0].dims[0] >= PRODUCT_ROWS && fits_blas(&step->in[0]) &&
           fits_blas(&step->out);
}

static void fc_destroy(void *pointer)
{
    fc_state *state = pointer;
    if (!state)
        return;
    hsi_free(state->owned_weights);
    hsi_free(state->owned_bias);
    hsi_free(state);
}

/* [o,k] as [k,o], in squares that stay in the first-level cache. */
static void transpose_weights(const hsched_operand *weights, float *to)
{
    const int64_t o = weights->dims[0], k = weights->dims[1], square = 32;
    const float *from = weights->constant;
    for (int64_t i0 = 0; i0 < o; i0 += square)
        for (int64_t j0 = 0; j0 < k; j0 += square)
            for (int64_t i = i0; i < o && i < i0 + square; i++)
                for (int64_t j = j0; j < k && j < j0 + square; j++)
                    to[j * o + i] =
                        from[i * weights->strides[0] + j * weights->strides[1]];
}

static hsched_status keep_flipped(const hsched_operand *weights, fc_state *state,
                                  uint64_t *weight_bytes)
{
    const size_t bytes = (size_t)(weights->dims[0] * weights->dims[1]) * sizeof(float);
    float *copy = state->owned_weights = hsi_alloc_aligned(bytes);
    if (copy == NULL)
        return hsi_out_of_memory("transposed weights");
    transpose_weights(weights, copy);
    state->weights = copy;
    *weight_bytes += bytes;
    return HSCHED_OK;
}

static hsched_status prepare(int flip, const hsi_cpu_prepare_context *context,
                             hsched_step *step, hsi_cpu_prepared *prepared)
{
    const hsched_operand *x = &step->in[0], *y = &step->out;
    fc_state *state = HSI_NEW(fc_state);
    if (!state)
        return hsi_out_of_memory("a fully connected step");
    *state = (fc_state){
        .m = x->dims[0],
        .k = x->dims[1],
        .o = y->dims[1],
        .x_row = x->dims[0] == 1 ? x->dims[1] : x->strides[0],
        .y_row = y->dims[0] == 1 ? y->dims[1] : y->strides[0],
        .flipped = flip,
    };
    hsched_status status;
    if (flip)
        status = keep_flipped(&step->in[1], state, &prepared->weight_bytes);
    else
        state->weights =
            hsi_cpu_keep_constant(context, &step->in[1], &state->owned_weights,
                                  &prepared->weight_bytes, &status);
    if (status == HSCHED_OK && step->input_count > 2)
        state->bias = hsi_cpu_keep_constant(context, &step->in[2], &state->owned_bias,
                                            &prepared->weight_bytes, &status);
    if (status != HSCHED_OK) {
        fc_destroy(state);
        return status;
    }
    step->parts = hsi_cpu_parts(step, ((uint64_t)state->o + 15) / 16);
    prepared->state = state;
    return HSCHED_OK;
}

static hsched_status fc_prepare(const hsi_cpu_prepare_context *context, hsched_step *step,
                                hsi_cpu_prepared *prepared)
{
    return prepare(0, context, step, prepared);
}

static hsched_status onednn_prepare(const hsi_cpu_prepare_context *context,
                                    hsched_step *step, hsi_cpu_prepared *prepared)
{
    hsi_onednn_warm_up();
    return prepare(1, context, step, prepared);
}

/* Columns of a part: whole groups of 16, so that only the last group is not full. */
static void part_columns(const hsched_step *step, const fc_state *state, uint32_t part,
                         int64_t *begin, int64_t *end)
{
    int64_t groups = (state->o + 15) / 16;
    *begin = 16 * hsi_cpu_part_begin(groups, part, step->parts);
    *end = 16 * hsi_cpu_part_begin(groups, part + 1, step->parts);
    if (*end > state->o)
        *end = state->o;
}

/* Columns [o, o + count), count <= 4, of all rows of y: no bias yet. Where fewer than
 * four rows of weights are left, each is taken four times. */
static void multiply_columns(const fc_state *state, const dot_functions *dots,
                             const float *x, float *y, int64_t o, int64_t count)
{
    const float *weights = state->weights + o * state->k;
    float out[4 * MAX_DOT_ROWS];
    int64_t m = 0;
    for (; count == 4 && m + dots->rows <= state->m; m += dots->rows) {
        dots->all(x + m * state->x_row, state->x_row, weights, state->k, state->k, out);
        for (int r = 0; r < dots->rows; r++)
            memcpy(y + (m + r) * state->y_row + o, out + 4 * r, 4 * sizeof *out);
    }
    for (; m < state->m; m++) {
        const float *row = x + m * state->x_row;
        float *to = y + m * state->y_row + o;
        if (count == 4) {
            dots->one(row, 0, weights, state->k, state->k, out);
            memcpy(to, out, 4 * sizeof *out);
            continue;
        }
        for (int64_t i = 0; i < count; i++) {
            dots->one(row, 0, weights + i * state->k, 0, state->k, out);
            to[i] = out[0];
        }
    }
}

static hsched_status own_run(const hsched_step *step, const void *pointer,
                             void *slot_state, void *const *operands, uint32_t part,
                             void *scratch)
{
    (void)slot_state;
    (void)scratch;
    const fc_state *state = pointer;
    float *y = operands[step->input_count];
    const dot_functions *dots = choose_dots();
    int64_t begin, end;
    part_columns(step, state, part, &begin, &end);
    for (int64_t o = begin; o < end; o += OWN_CHUNK) {
        int64_t columns = end - o < OWN_CHUNK ? end - o : OWN_CHUNK;
        for (int64_t i = 0; i < columns; i += 4)
            multiply_columns(state, dots, operands[0], y, o + i,
                             columns - i < 4 ? columns - i : 4);
        hsi_cpu_epilogue epilogue = { .bias = state->bias ? state->bias + o : NULL,
                                      .act = step->act };
        hsi_cpu_epilogue_run(&epilogue, y + o, state->y_row, NULL, 0, state->m, columns);
    }
    return HSCHED_OK;
}

static hsched_status run_with(hsi_multiply *multiply, const hsched_step *step,
                              const fc_state *state, void *const *operands, uint32_t part)
{
    float *y = operands[step->input_count];
    int64_t begin, end;
    part_columns(step, state, part, &begin, &end);
    const hsi_product product = {
        .m = state->m,
        .k = state->k,
        .n = end - begin,
        .a = operands[0],
        .b = state->weights + begin * (state->flipped ? 1 : state->k),
        .c = y + begin,
        .a_lead = state->x_row,
        .b_lead = state->flipped ? state->o : state->k,
        .c_lead = state->y_row,
        .b_flip = !state->flipped,
    };
    const hsched_status status = multiply(&product);
    hsi_cpu_epilogue epilogue = { .bias = state->bias ? state->bias + begin : NULL,
                                  .act = step->act };
    if (status == HSCHED_OK)
        hsi_cpu_epilogue_run(&epilogue, y + begin, state->y_row, NULL, 0, state->m,
                             end - begin);
    return status;
}

static hsched_status openblas_run(const hsched_step *step, const void *state,
                                  void *slot_state, void *const *operands, uint32_t part,
                                  void *scratch)
{
    (void)slot_state;
    (void)scratch;
    return run_with(hsi_openblas_multiply, step, state, operands, part);
}

static hsched_status onednn_run(const hsched_step *step, const void *state,
                                void *slot_state, void *const *operands, uint32_t part,
                                void *scratch)
{
    (void)slot_state;
    (void)scratch;
    return run_with(hsi_onednn_multiply, step, state, operands, part);
}

static const hsi_cpu_kernel onednn_fc = {
    .name = "onednn/fc",
    .kind = HSCHED_STEP_FC,
    .library = HSCHED_LIBRARY_ONEDNN,
    .supports = onednn_supports,
    .prepare = onednn_prepare,
    .destroy = fc_destroy,
    .run = onednn_run,
};

static const hsi_cpu_kernel openblas_fc = {
    .name = "openblas/fc",
    .kind = HSCHED_STEP_FC,
    .library = HSCHED_LIBRARY_OPENBLAS,
    .supports = gemm_supports,
    .prepare = fc_prepare,
    .destroy = fc_destroy,
    .run = openblas_run,
};

static const hsi_cpu_kernel own_fc = {
    .name = "own/fc",
    .kind = HSCHED_STEP_FC,
    .library = HSCHED_LIBRARY_OWN,
    .supports = hsi_fc_supports,
    .prepare = fc_prepare,
    .destroy = fc_destroy,
    .run = own_run,
};

const hsi_cpu_kernel *const hsi_cpu_kernels_fc[] = {
    &hsi_cpu_fc_int8,
#if HSI_HAVE_XNNPACK
    &hsi_cpu_fc_xnnpack,
#endif
#if HSI_HAVE_ONEDNN
    &hsi_cpu_fc_onednn_bf16,
#endif
    &hsi_cpu_fc_bf16,        &hsi_cpu_fc_packed, &onednn_fc, &openblas_fc, &own_fc, NULL,
};
