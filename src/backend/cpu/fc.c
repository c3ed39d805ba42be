/*
 * Fully connected: y [m, o] = act(x [m, k] * weights [o, k]^T + bias).
 *
 * With few rows the time is that of reading the weights once: dot products with the
 * weights as they are, four rows of them against some rows of x at a time. With many rows
 * a library's product.
 */
#include <limits.h>
#include <string.h>

#include "backend/cpu/gemm.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/kernel.h"
#include "base/alloc.h"
#include "base/status.h"

/* From so many rows on sgemm, which packs the weights first. Its time over that of the
 * dot products, measured for 512x512 and 2048x1000 weights: 0.9 and 2.0 with 16 rows, 0.7
 * and 1.3 with 32. */
#define GEMM_ROWS 32
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
    void *owned_weights, *owned_bias;
} fc_state;

static int is_rows(const hsched_operand *operand)
{
    return operand->dtype == HSCHED_FLOAT32 && operand->rank == 2 &&
           (operand->dims[1] == 1 || operand->strides[1] == 1);
}

static int own_supports(const hsched_step *step)
{
    return step->input_count >= 2 && is_rows(&step->in[0]) && is_rows(&step->out) &&
           step->in[1].constant && step->in[1].rank == 2 &&
           (step->input_count < 3 || step->in[2].dtype == HSCHED_DTYPE_NONE ||
            step->in[2].constant);
}

/* The libraries want row strides of at least a row, and counts in int. */
static int fits_blas(const hsched_operand *operand)
{
    return operand->dims[0] <= INT_MAX && operand->dims[1] <= INT_MAX &&
           operand->strides[0] >= operand->dims[1] && operand->strides[0] <= INT_MAX;
}

static int gemm_supports(const hsched_step *step)
{
    return own_supports(step) && step->in[0].dims[0] >= GEMM_ROWS &&
           fits_blas(&step->in[0]) && fits_blas(&step->out);
}

static int onednn_supports(const hsched_step *step)
{
    return hsi_cpu_gemm_has_onednn() && gemm_supports(step);
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

static hsched_status fc_prepare(const hsi_cpu_prepare_context *context, hsched_step *step,
                                hsi_cpu_prepared *prepared)
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
    };
    hsched_status status;
    state->weights = hsi_cpu_keep_constant(context, &step->in[1], &state->owned_weights,
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

/* A part by a library's product. */
static hsched_status gemm_part(const hsched_step *step, const fc_state *state,
                               void *const *operands, uint32_t part, hsi_cpu_gemm *gemm)
{
    float *y = operands[step->input_count];
    int64_t begin, end;
    part_columns(step, state, part, &begin, &end);
    const hsi_cpu_product product = {
        .m = state->m,
        .n = end - begin,
        .k = state->k,
        .a = operands[0],
        .a_lead = state->x_row,
        .b = state->weights + begin * state->k,
        .b_lead = state->k,
        .b_flip = 1,
        .out = y + begin,
        .out_lead = state->y_row,
    };
    hsched_status status = gemm(&product);
    if (status != HSCHED_OK)
        return status;
    hsi_cpu_epilogue epilogue = { .bias = state->bias ? state->bias + begin : NULL,
                                  .act = step->act };
    hsi_cpu_epilogue_run(&epilogue, y + begin, state->y_row, NULL, 0, state->m,
                         end - begin);
    return HSCHED_OK;
}

static hsched_status onednn_run(const hsched_step *step, const void *pointer,
                                void *slot_state, void *const *operands, uint32_t part,
                                void *scratch)
{
    (void)slot_state;
    (void)scratch;
    return gemm_part(step, pointer, operands, part, hsi_cpu_gemm_onednn);
}

static hsched_status openblas_run(const hsched_step *step, const void *pointer,
                                  void *slot_state, void *const *operands, uint32_t part,
                                  void *scratch)
{
    (void)slot_state;
    (void)scratch;
    return gemm_part(step, pointer, operands, part, hsi_cpu_gemm_openblas);
}

static const hsi_cpu_kernel onednn_fc = {
    .name = "onednn/fc",
    .kind = HSCHED_STEP_FC,
    .library = HSCHED_LIBRARY_ONEDNN,
    .supports = onednn_supports,
    .prepare = fc_prepare,
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
    .supports = own_supports,
    .prepare = fc_prepare,
    .destroy = fc_destroy,
    .run = own_run,
};

const hsi_cpu_kernel *const hsi_cpu_kernels_fc[] = { &onednn_fc, &openblas_fc, &own_fc,
                                                     NULL };
