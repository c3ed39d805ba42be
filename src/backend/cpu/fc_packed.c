/*
 * Fully connected, with weights packed in panels while preparing (panel_product.h): the least work
 * for some rows and more, and none of the preparations of a library for what is small. Parts are
 * ranges of rows, or of panels where weights are more than rows.
 */
#include "backend/cpu/fc.h"
#include "backend/cpu/panel_product.h"
#include "base/alloc.h"
#include "base/status.h"

typedef struct packed_state {
    hsi_panel_product product;
    int64_t m, x_row, y_row;
    int by_panels;
    hsi_panel_weights packed;
} packed_state;

static int packed_supports(const hsched_step *step)
{
    return hsi_fc_supports(step) && step->in[0].dims[0] > 0 && step->in[0].dims[1] > 0 &&
           step->out.dims[1] > 0;
}

static int packed_likely(const hsched_step *step)
{
    return !hsi_fc_waits_for_weights(step);
}

static void packed_destroy(void *pointer)
{
    packed_state *state = pointer;
    if (!state)
        return;
    hsi_panel_weights_clear(&state->packed);
    hsi_free(state);
}

static void choose_parts(packed_state *state, hsched_step *step)
{
    const uint32_t by_panels = hsi_cpu_parts(step, (uint64_t)state->product.panels),
                   by_rows = hsi_cpu_parts(step, (uint64_t)state->m);
    state->by_panels = by_panels > by_rows ||
                       (by_panels == by_rows && state->product.columns > state->m);
    step->parts = state->by_panels ? by_panels : by_rows;
}

static hsched_status packed_prepare(const hsi_cpu_prepare_context *context,
                                    hsched_step *step, hsi_cpu_prepared *prepared)
{
    const hsched_operand *x = &step->in[0], *y = &step->out;
    packed_state *state = HSI_NEW(packed_state);
    if (!state)
        return hsi_out_of_memory("a fully connected step");
    hsi_panel_product_init(&state->product, x->dims[1], y->dims[1], step->act);
    state->m = x->dims[0];
    state->x_row = x->strides[0];
    state->y_row = state->m == 1 ? y->dims[1] : y->strides[0];
    choose_parts(state, step);
    const hsched_status status = hsi_panel_weights_init(
        &state->packed, context, &state->product, &step->in[1],
        step->input_count > 2 ? step->in[2].constant : NULL, &prepared->weight_bytes);
    if (status != HSCHED_OK) {
        packed_destroy(state);
        return status;
    }
    prepared->state = state;
    prepared->scratch_size = hsi_panel_product_scratch(&state->product, state->m);
    return HSCHED_OK;
}

static hsched_status packed_run(const hsched_step *step, const void *pointer,
                                void *slot_state, void *const *operands, uint32_t part,
                                void *scratch)
{
    (void)slot_state;
    const packed_state *state = pointer;
    const int64_t all = state->by_panels ? state->product.panels : state->m;
    const int64_t begin = hsi_cpu_part_begin(all, part, step->parts),
                  end = hsi_cpu_part_begin(all, part + 1, step->parts);
    const int64_t row = state->by_panels ? 0 : begin;
    const hsi_panel_operands o = {
        .x = (const float *)operands[0] + row * state->x_row,
        .weights = state->packed.weights,
        .bias = state->packed.bias,
        .y = (float *)operands[step->input_count] + row * state->y_row,
        .x_row = state->x_row,
        .y_row = state->y_row,
        .rows = state->by_panels ? state->m : end - begin,
        .panel = state->by_panels ? begin : 0,
        .panel_end = state->by_panels ? end : state->product.panels,
    };
    hsi_panel_product_run(&state->product, &o, scratch);
    return HSCHED_OK;
}

const hsi_cpu_kernel hsi_cpu_fc_packed = {
    .name = "own/fc-packed",
    .kind = HSCHED_STEP_FC,
    .library = HSCHED_LIBRARY_OWN,
    .supports = packed_supports,
    .likely = packed_likely,
    .prepare = packed_prepare,
    .destroy = packed_destroy,
    .run = packed_run,
};
