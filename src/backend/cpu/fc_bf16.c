/*
 * Fully connected with few rows and weights in bfloat16: y [m, o] = act(x [m, k] * weights [o, k]^T
 * + bias). The time is that of reading the weights, and these are half as many bytes. x is
 * float32, a bfloat16 becomes a float by a shift, and the sums are as in float32.
 *
 * Rows of weights are multiplied by fours, and packed in blocks of 32 numbers; what is missing in
 * the last ones is zeros. In a block number i lies beside number 16 + i: a vector of such pairs
 * becomes a vector of the first ones, shifted, and one of the second ones, masked. Rows are fetched
 * ahead: one thread read 67 MB of weights at 28 GB/s, at 26 without, and at 24 where the blocks of
 * four rows lay in one stream.
 */
#include <string.h>

#include "backend/cpu/bf16.h"
#include "backend/cpu/fc.h"
#include "backend/cpu/isa.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"

/* With so many rows a product of matrices is faster. */
#define TOO_MANY_ROWS 4
#define LANES         16
#define DEPTH         32 /* of a block */
#define COLUMNS       4  /* of y, rows of weights, of a block */
#define ROWS          3  /* of x that are multiplied at once */
/* Numbers of a row that are fetched before they are needed. */
#define AHEAD 512
/* Columns of y between two calls of the epilogue; parts are made of so many. */
#define CHUNK 64

#if HSI_ISA_X86
#define TARGET HSI_TARGET_AVX512
#else
#define TARGET
#endif

typedef float floats __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef uint32_t pairs __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

typedef struct fc_state {
    int64_t m, k, o, x_row, y_row;
    int64_t row; /* of weights, in whole blocks */
    uint16_t *weights;
    const float *bias;
    void *owned_bias;
} fc_state;

static int fc_supports(const hsched_step *step)
{
    return hsi_cpu_has_bf16() && hsi_fc_supports(step);
}

static int fc_likely(const hsched_step *step)
{
    return step->in[0].dims[0] < TOO_MANY_ROWS;
}

static void fc_destroy(void *pointer)
{
    fc_state *state = pointer;
    if (!state)
        return;
    hsi_free(state->weights);
    hsi_free(state->owned_bias);
    hsi_free(state);
}

/* Numbers [k, k + DEPTH) of row o of the weights, as far as there are any, into `to`. */
static void pack_run(const hsched_operand *weights, int64_t o, int64_t k, uint16_t *to)
{
    float run[DEPTH] = { 0 };
    uint16_t rounded[DEPTH];
    const float *from = weights->constant;
    const int64_t count = o >= weights->dims[0]          ? 0
                          : weights->dims[1] - k < DEPTH ? weights->dims[1] - k
                                                         : DEPTH;
    for (int64_t i = 0; i < count; i++)
        run[i] = from[o * weights->strides[0] + (k + i) * weights->strides[1]];
    hsi_cpu_to_bf16(rounded, DEPTH, run, DEPTH, 1, DEPTH);
    for (int i = 0; i < LANES; i++) {
        to[2 * i] = rounded[i];
        to[2 * i + 1] = rounded[LANES + i];
    }
}

static hsched_status pack(const hsched_operand *weights, fc_state *state,
                          uint64_t *weight_bytes)
{
    const int64_t rows = (state->o + COLUMNS - 1) / COLUMNS * COLUMNS;
    size_t count, bytes;
    if (!hsi_mul_size((size_t)rows, (size_t)state->row, &count) ||
        !hsi_mul_size(count, sizeof(uint16_t), &bytes) ||
        !(state->weights = hsi_alloc_aligned(bytes)))
        return hsi_out_of_memory("weights in bfloat16");
    uint16_t *to = state->weights;
    for (int64_t o = 0; o < rows; o++)
        for (int64_t k = 0; k < state->row; k += DEPTH, to += DEPTH)
            pack_run(weights, o, k, to);
    *weight_bytes += bytes;
    return HSCHED_OK;
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
        .x_row = x->strides[0],
        .y_row = y->dims[0] == 1 ? y->dims[1] : y->strides[0],
        .row = (x->dims[1] + DEPTH - 1) / DEPTH * DEPTH,
    };
    hsched_status status = pack(&step->in[1], state, &prepared->weight_bytes);
    if (status == HSCHED_OK && step->input_count > 2)
        state->bias = hsi_cpu_keep_constant(context, &step->in[2], &state->owned_bias,
                                            &prepared->weight_bytes, &status);
    if (status != HSCHED_OK) {
        fc_destroy(state);
        return status;
    }
    step->parts = hsi_cpu_parts(step, ((uint64_t)state->o + CHUNK - 1) / CHUNK);
    prepared->state = state;
    return HSCHED_OK;
}

typedef struct sums {
    floats first[ROWS][COLUMNS], second[ROWS][COLUMNS];
} sums;

/* Adds a block's products. `rows` is a constant where this is inlined; the sums are then
 * registers. */
TARGET HSI_ISA_INLINE void add_block(sums *s, const float *x, int64_t x_row,
                                     const uint16_t *weights, int64_t w_row,
                                     const int rows)
{
    for (int i = 0; i < COLUMNS; i++) {
        __builtin_prefetch(weights + i * w_row + AHEAD);
        const pairs both = *(const pairs *)(weights + i * w_row);
        const floats first = (floats)(both << 16), second = (floats)(both & 0xffff0000u);
        for (int r = 0; r < rows; r++) {
            s->first[r][i] += *(const floats *)(x + r * x_row) * first;
            s->second[r][i] += *(const floats *)(x + r * x_row + LANES) * second;
        }
    }
}

/* y[r][0..COLUMNS) = x[r] * four rows of weights, r < rows. */
TARGET HSI_ISA_INLINE void dots(const fc_state *state, const float *x,
                                const uint16_t *weights, float (*y)[COLUMNS],
                                const int rows)
{
    const int64_t whole = state->k / DEPTH, rest = state->k % DEPTH;
    sums s;
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < COLUMNS; i++)
            s.first[r][i] = s.second[r][i] = (floats){ 0 };
    for (int64_t b = 0; b < whole; b++, weights += DEPTH)
        add_block(&s, x + b * DEPTH, state->x_row, weights, state->row, rows);
    if (rest) {
        float last[ROWS * DEPTH] = { 0 };
        for (int r = 0; r < rows; r++)
            memcpy(last + r * DEPTH, x + r * state->x_row + whole * DEPTH,
                   (size_t)rest * sizeof *x);
        add_block(&s, last, DEPTH, weights, state->row, rows);
    }
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < COLUMNS; i++) {
            float lanes[LANES];
            const floats sum = s.first[r][i] + s.second[r][i];
            memcpy(lanes, &sum, sizeof lanes);
            y[r][i] = hsi_isa_sum(lanes, LANES);
        }
}

TARGET HSI_ISA_OPTIMIZE static void dots_one(const fc_state *state, const float *x,
                                             const uint16_t *weights, float (*y)[COLUMNS])
{
    dots(state, x, weights, y, 1);
}

TARGET HSI_ISA_OPTIMIZE static void dots_all(const fc_state *state, const float *x,
                                             const uint16_t *weights, float (*y)[COLUMNS])
{
    dots(state, x, weights, y, ROWS);
}

/* Columns [o, o + count), count <= COLUMNS, of all rows of y: no bias yet. */
static void multiply_columns(const fc_state *state, const float *x, float *y, int64_t o,
                             int64_t count)
{
    const uint16_t *weights = state->weights + o * state->row;
    float out[ROWS][COLUMNS];
    for (int64_t m = 0; m < state->m;) {
        const int64_t rows = state->m - m >= ROWS ? ROWS : 1;
        (rows == ROWS ? dots_all : dots_one)(state, x + m * state->x_row, weights, out);
        for (int64_t r = 0; r < rows; r++, m++)
            memcpy(y + m * state->y_row + o, out[r], (size_t)count * sizeof *y);
    }
}

static hsched_status fc_run(const hsched_step *step, const void *pointer,
                            void *slot_state, void *const *operands, uint32_t part,
                            void *scratch)
{
    (void)slot_state;
    (void)scratch;
    const fc_state *state = pointer;
    float *y = operands[step->input_count];
    const int64_t chunks = (state->o + CHUNK - 1) / CHUNK;
    const int64_t end = hsi_cpu_part_begin(chunks, part + 1, step->parts);
    for (int64_t c = hsi_cpu_part_begin(chunks, part, step->parts); c < end; c++) {
        const int64_t o = c * CHUNK, left = state->o - o,
                      columns = left < CHUNK ? left : CHUNK;
        for (int64_t i = 0; i < columns; i += COLUMNS)
            multiply_columns(state, operands[0], y, o + i,
                             columns - i < COLUMNS ? columns - i : COLUMNS);
        hsi_cpu_epilogue epilogue = { .bias = state->bias ? state->bias + o : NULL,
                                      .act = step->act };
        hsi_cpu_epilogue_run(&epilogue, y + o, state->y_row, NULL, 0, state->m, columns);
    }
    return HSCHED_OK;
}

const hsi_cpu_kernel hsi_cpu_fc_bf16 = {
    .name = "own/fc-bf16",
    .kind = HSCHED_STEP_FC,
    .library = HSCHED_LIBRARY_OWN,
    .maths = HSI_CPU_MATH(HSCHED_MATH_BF16),
    .supports = fc_supports,
    .likely = fc_likely,
    .prepare = fc_prepare,
    .destroy = fc_destroy,
    .run = fc_run,
};
