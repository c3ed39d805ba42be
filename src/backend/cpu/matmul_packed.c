/*
 * Matrix products of two activations: b is packed in panels in every call, into scratch, which
 * costs little beside the products where a has some rows (panel_product.h). a is read as it lies
 * if its rows do, else a dense copy. Parts are ranges of the rows of all matrices of the
 * batch, or of the panels of the only one where it is wider than high.
 */
#include "backend/cpu/matmul.h"
#include "backend/cpu/panel_product.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"

/* Of packed matrices, in the scratch of each worker. */
#define MAX_PACKED_FLOATS ((int64_t)4 << 20)

typedef struct packed_state {
    hsi_matmul of;
    hsi_panel_product product;
    const float *a, *b; /* constants, or NULL */
    void *owned_a, *owned_b;
    int copies_a, by_panels;
    size_t b_offset, sum_offset; /* in scratch; the copy of a is at 0 */
} packed_state;

static int copies_a(const hsi_matmul *of)
{
    return of->k > 1 && of->a_column != 1;
}

static int packed_supports(const hsched_step *step)
{
    hsi_matmul of;
    if (step->out.dtype != HSCHED_FLOAT32 || !hsi_matmul_read(step, &of) || of.m < 1 ||
        of.k < 1 || of.n < 1 || of.batch < 1)
        return 0;
    return of.k <= MAX_PACKED_FLOATS / ((of.n - 1) / 16 * 16 + 16) &&
           (!copies_a(&of) || of.m <= MAX_PACKED_FLOATS / of.k);
}

/* With few rows packing b costs as much as the products. */
static int packed_likely(const hsched_step *step)
{
    hsi_matmul of;
    return hsi_matmul_read(step, &of) && of.m >= 16;
}

static void packed_destroy(void *pointer)
{
    packed_state *state = pointer;
    if (!state)
        return;
    hsi_free(state->owned_a);
    hsi_free(state->owned_b);
    hsi_free(state);
}

static size_t lay_out_scratch(packed_state *state)
{
    const hsi_matmul *of = &state->of;
    const size_t line = 64 / sizeof(float);
    size_t copy = state->copies_a ? (size_t)(of->m * of->k) : 0;
    copy = (copy + line - 1) / line * line;
    state->b_offset = copy * sizeof(float);
    state->sum_offset =
        state->b_offset +
        hsi_panel_floats(state->product.kernels, of->k, of->n) * sizeof(float);
    /* A panel's rows are whole vectors, of 16 bytes at least. */
    state->sum_offset = (state->sum_offset + 63) / 64 * 64;
    return state->sum_offset + hsi_panel_product_scratch(&state->product, of->m);
}

static hsched_status packed_prepare(const hsi_cpu_prepare_context *context,
                                    hsched_step *step, hsi_cpu_prepared *prepared)
{
    packed_state *state = HSI_NEW(packed_state);
    if (!state)
        return hsi_out_of_memory("a matrix product");
    hsi_matmul *of = &state->of;
    hsi_matmul_read(step, of);
    hsi_panel_product_init(&state->product, of->k, of->n, step->act);
    state->copies_a = copies_a(of);
    prepared->scratch_size = lay_out_scratch(state);
    hsched_status status;
    state->a = hsi_cpu_keep_constant(context, &step->in[0], &state->owned_a,
                                     &prepared->weight_bytes, &status);
    if (status == HSCHED_OK)
        state->b = hsi_cpu_keep_constant(context, &step->in[1], &state->owned_b,
                                         &prepared->weight_bytes, &status);
    if (status != HSCHED_OK) {
        packed_destroy(state);
        return status;
    }
    const uint32_t by_rows = hsi_cpu_parts(step, (uint64_t)(of->batch * of->m)),
                   by_panels = hsi_cpu_parts(step, (uint64_t)state->product.panels);
    state->by_panels = of->batch == 1 && by_panels >= by_rows && of->n > of->m;
    step->parts = state->by_panels ? by_panels : by_rows;
    prepared->state = state;
    return HSCHED_OK;
}

/* Panels [panel, panel_end) of b. */
static void pack(const packed_state *state, const float *b, int64_t panel,
                 int64_t panel_end, float *packed)
{
    const hsi_matmul *of = &state->of;
    const int64_t width = hsi_panel_width(state->product.kernels), column = panel * width;
    const hsi_panel_source source = { .given = b + column * of->b_column,
                                      .outer = 1,
                                      .inner = of->k,
                                      .columns =
                                          hsi_least(panel_end * width, of->n) - column,
                                      .inner_stride = of->b_row,
                                      .column_stride = of->b_column };
    hsi_panel_pack(state->product.kernels, &source, packed + hsi_panel_at(of->k, column));
}

/* Rows of one matrix of a and of out. */
static void run_rows(const packed_state *state, const float *a, float *y, int64_t rows,
                     int64_t panel, int64_t panel_end, char *scratch)
{
    const hsi_matmul *of = &state->of;
    if (state->copies_a)
        hsi_matmul_copy(a, of->a_row, of->a_column, sizeof *a, rows, of->k, scratch);
    const hsi_panel_operands o = {
        .x = state->copies_a ? (const float *)(void *)scratch : a,
        .weights = (const float *)(void *)(scratch + state->b_offset),
        .y = y,
        .x_row = state->copies_a ? of->k : of->a_row,
        .y_row = of->out_row,
        .rows = rows,
        .panel = panel,
        .panel_end = panel_end,
    };
    hsi_panel_product_run(&state->product, &o,
                          (float *)(void *)(scratch + state->sum_offset));
}

static hsched_status packed_run(const hsched_step *step, const void *pointer,
                                void *slot_state, void *const *operands, uint32_t part,
                                void *scratch)
{
    (void)slot_state;
    const packed_state *state = pointer;
    const hsi_matmul *of = &state->of;
    const float *all_a = state->a ? state->a : operands[0],
                *all_b = state->b ? state->b : operands[1], *packed = NULL;
    float *out = operands[step->input_count], *room = scratch;
    const int64_t panels = state->product.panels,
                  units = state->by_panels ? panels : of->batch * of->m;
    int64_t at = hsi_cpu_part_begin(units, part, step->parts),
            end = hsi_cpu_part_begin(units, part + 1, step->parts);
    const int64_t panel = state->by_panels ? at : 0,
                  panel_end = state->by_panels ? end : panels;
    if (state->by_panels) {
        at = 0;
        end = of->m;
    }
    for (int64_t row, rows; at < end; at += rows) {
        int64_t a_offset, b_offset, out_offset;
        row = at % of->m;
        rows = hsi_least(of->m - row, end - at);
        hsi_matmul_offsets(of, at / of->m, &a_offset, &b_offset, &out_offset);
        if (all_b + b_offset != packed) {
            packed = all_b + b_offset;
            pack(state, packed, panel, panel_end, room + state->b_offset / sizeof *room);
        }
        run_rows(state, all_a + a_offset + row * of->a_row,
                 out + out_offset + row * of->out_row, rows, panel, panel_end, scratch);
    }
    return HSCHED_OK;
}

const hsi_cpu_kernel hsi_cpu_matmul_packed = {
    .name = "own/matmul-packed",
    .kind = HSCHED_STEP_MATMUL,
    .library = HSCHED_LIBRARY_OWN,
    .supports = packed_supports,
    .likely = packed_likely,
    .prepare = packed_prepare,
    .destroy = packed_destroy,
    .run = packed_run,
};
