/*
 * Fully connected, with weights packed in panels while preparing (panel_product.h): the least work
 * for some rows and more, and none of the preparations of a library for what is small.
 */
#include "backend/cpu/fc.h"
#include "backend/cpu/grid.h"
#include "backend/cpu/panel_product.h"
#include "base/alloc.h"
#include "base/status.h"

typedef struct packed_state {
    hsi_panel_product product;
    int64_t m, x_row, y_row;
    hsi_cpu_grid grid;
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
    const hsi_cpu_product product = {
        .rows = state->m,
        .panels = state->product.panels,
        .columns = state->product.columns,
        .width = hsi_panel_width(state->product.kernels),
        .row_cost = HSI_CPU_COLUMN_COST,
    };
    state->grid = hsi_cpu_choose_grid(step, &product);
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
    const hsi_cpu_cell own = hsi_cpu_grid_cell(&state->grid, part);
    const hsi_panel_operands o = {
        .x = (const float *)operands[0] + own.begin * state->x_row,
        .weights = state->packed.weights,
        .bias = state->packed.bias,
        .y = (float *)operands[step->input_count] + own.begin * state->y_row,
        .x_row = state->x_row,
        .y_row = state->y_row,
        .rows = own.end - own.begin,
        .panel = own.panel,
        .panel_end = own.panel_end,
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
