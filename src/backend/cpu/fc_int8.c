/*
 * Fully connected, of a tensor on levels by weights of 8 bits (int8.h): the rows of x are the
 * pixels. Parts are ranges of panels; each makes x bytes for itself, which is little beside its
 * products, and goes through so many rows at a time that these stay in the second-level cache.
 */
#include "backend/cpu/fc.h"
#include "backend/cpu/int8.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"

#define BLOCK_BYTES (256 * 1024)

typedef struct int8_state {
    int64_t m, k, o, x_row, y_row;
    hsched_levels levels;
    hsi_int8_weights weights;
    hsi_int8_finish finish;
    int finishes;  /* else the activation follows */
    int64_t block; /* rows */
    size_t table_offset, scratch_size;
} int8_state;

static void int8_destroy(void *pointer)
{
    int8_state *state = pointer;
    if (!state)
        return;
    hsi_int8_weights_clear(&state->weights);
    hsi_free(state);
}

static int int8_supports(const hsched_step *step)
{
    return hsi_int8_kernels_best() && hsi_fc_supports(step) && step->in[0].dims[1] > 0 &&
           hsi_int8_has_levels(&step->in[0]);
}

static hsched_status lay_out(int8_state *state)
{
    size_t bytes, table;
    state->block = BLOCK_BYTES / state->k;
    state->block = state->block < 1          ? 1
                   : state->block > state->m ? state->m
                                             : state->block;
    if (!hsi_mul_size((size_t)state->block, (size_t)state->k, &bytes) ||
        bytes > INT32_MAX - 64 ||
        !hsi_round_up_size(bytes + HSI_INT8_SLACK, 64, &state->table_offset) ||
        !hsi_mul_size((size_t)state->block, sizeof(int32_t), &table) ||
        !hsi_add_size(state->table_offset, table, &state->scratch_size))
        return HSCHED_ERROR_UNSUPPORTED;
    return HSCHED_OK;
}

static hsched_status int8_prepare(const hsi_cpu_prepare_context *context,
                                  hsched_step *step, hsi_cpu_prepared *prepared)
{
    (void)context; /* sums are exact, whatever the math */
    const hsched_operand *x = &step->in[0], *y = &step->out;
    int8_state *state = HSI_NEW(int8_state);
    if (!state)
        return hsi_out_of_memory("a fully connected step of levels");
    *state = (int8_state){ .m = x->dims[0],
                           .k = x->dims[1],
                           .o = y->dims[1],
                           .x_row = x->strides[0],
                           .y_row = y->strides[0],
                           .levels = x->levels };
    const hsi_int8_source source = { .given = step->in[1].constant,
                                     .bias = step->input_count > 2 ? step->in[2].constant
                                                                   : NULL,
                                     .columns = state->o,
                                     .runs = 1,
                                     .length = state->k,
                                     .inner = state->k,
                                     .inner_step = 1,
                                     .levels = state->levels };
    state->finishes = hsi_int8_finish_make(step->act, &state->finish);
    hsched_status status = lay_out(state);
    if (status == HSCHED_OK)
        status = hsi_int8_weights_make(&source, &state->weights, &prepared->weight_bytes);
    if (status != HSCHED_OK) {
        int8_destroy(state);
        return status;
    }
    step->parts = hsi_cpu_parts(step, (uint64_t)state->weights.panels);
    prepared->state = state;
    prepared->detail = state->weights.kernels->name;
    prepared->scratch_size = state->scratch_size;
    return HSCHED_OK;
}

static hsched_status int8_run(const hsched_step *step, const void *pointer,
                              void *slot_state, void *const *operands, uint32_t part,
                              void *scratch)
{
    (void)slot_state;
    static const int64_t run = 0;
    const int8_state *state = pointer;
    const int64_t panels = state->weights.panels, width = hsi_int8_width(&state->weights);
    const hsi_cpu_epilogue epilogue = { .act = step->act };
    uint8_t *bytes = scratch;
    int32_t *table = (int32_t *)((char *)scratch + state->table_offset);
    hsi_int8_call call = { .x = bytes,
                           .at = table,
                           .runs = &run,
                           .begin = hsi_cpu_part_begin(panels, part, step->parts),
                           .end = hsi_cpu_part_begin(panels, part + 1, step->parts),
                           .y_pixel = state->y_row,
                           .finish = &state->finish };
    const int64_t column = call.begin * width;
    const int64_t end = call.end * width < state->o ? call.end * width : state->o;
    for (int64_t row = 0; row < state->m; row += call.pixels) {
        call.pixels = state->m - row < state->block ? state->m - row : state->block;
        call.y = (float *)operands[step->input_count] + row * state->y_row;
        for (int64_t i = 0; i < call.pixels; i++) {
            table[i] = (int32_t)(i * state->k);
            hsi_int8_read((const float *)operands[0] + (row + i) * state->x_row, state->k,
                          state->levels, bytes + table[i]);
        }
        hsi_int8_run(&state->weights, &call);
        if (!state->finishes)
            hsi_cpu_epilogue_run(&epilogue, call.y + column, state->y_row, NULL, 0,
                                 call.pixels, end - column);
    }
    return HSCHED_OK;
}

const hsi_cpu_kernel hsi_cpu_fc_int8 = {
    .name = "own/int8",
    .kind = HSCHED_STEP_FC,
    .library = HSCHED_LIBRARY_OWN,
    .supports = int8_supports,
    .prepare = int8_prepare,
    .destroy = int8_destroy,
    .run = int8_run,
};
