/*
 * A depthwise convolution and the pointwise one behind it: x [n,c,h,w] -> t [n,c,oh,ow] -> y
 * [n,o,oh,ow]. Some rows of t at a time are computed into scratch (depthwise.h) and multiplied by
 * panels of weights [c,o] (panel_product.h) while they are in the cache.
 *
 * Parts are ranges of rows.
 */
#include "backend/backend.h"
#include "backend/cpu/depthwise.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/libraries.h"
#include "backend/cpu/panel_product.h"
#include "backend/cpu/xnnpack.h"
#include "backend/separable.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"

/* Of t, if a row is not more: some of a second-level cache. The more rows, the more of x is read
 * once for several of them; and all weights are read for each block. */
#define BLOCK_BYTES      (128 * 1024)
#define MOST_BLOCK_BYTES (512 * 1024)

typedef struct separable_state {
    hsi_depthwise depthwise;
    hsi_conv2d pointwise;
    hsi_panel_product product;
    hsi_panel_weights packed;
    int64_t block;     /* rows */
    size_t sum_offset; /* in scratch, behind t */
} separable_state;

static int xnnpack_comes_first(uint32_t libraries)
{
#if HSI_HAVE_XNNPACK
    return (libraries & HSCHED_LIBRARY_XNNPACK) && hsi_xnnpack_is_first_choice();
#else
    (void)libraries;
    return 0;
#endif
}

/* With AVX2 oneDNN's pointwise kernels take 0.9 of the time of own panels: more than what being one
 * step gains. Where XNNPACK is the first choice both convolutions are its. */
uint64_t hsi_cpu_slower_kinds(uint32_t libraries)
{
    const uint32_t built = hsi_cpu_libraries_built(), of = libraries ? libraries : built;
    const int by_onednn = (of & built & HSCHED_LIBRARY_ONEDNN) != 0 && HSI_ISA_X86 &&
                          hsi_isa_best() != HSI_ISA_AVX512;
    return by_onednn || xnnpack_comes_first(of & built)
               ? UINT64_C(1) << HSCHED_STEP_SEPARABLE_CONV2D
               : 0;
}

static int separable_supports(const hsched_step *step)
{
    hsched_step depthwise, pointwise;
    hsi_conv2d conv;
    hsi_separable_split(step, &depthwise, &pointwise);
    return hsi_depthwise_supports(&depthwise) && hsi_conv2d_read(&pointwise, &conv);
}

static void separable_destroy(void *pointer)
{
    separable_state *state = pointer;
    if (!state)
        return;
    hsi_depthwise_clear(&state->depthwise);
    hsi_panel_weights_clear(&state->packed);
    hsi_free(state);
}

static hsched_status lay_out_scratch(separable_state *state, size_t *size)
{
    const hsi_conv2d *conv = &state->pointwise;
    const int64_t row = conv->ow * conv->c * (int64_t)sizeof(float),
                  weights = conv->c * conv->o * (int64_t)sizeof(float),
                  block = hsi_least(hsi_most(weights, BLOCK_BYTES), MOST_BLOCK_BYTES);
    state->block = hsi_most(hsi_least(block / row, conv->n * conv->oh), 1);
    const size_t sums =
        hsi_panel_product_scratch(&state->product, state->block * conv->ow);
    if (!hsi_round_up_size((size_t)(state->block * row), 64, &state->sum_offset) ||
        !hsi_add_size(state->sum_offset, sums, size))
        return hsi_error(HSCHED_ERROR_LIMIT,
                         "scratch memory for a row of %lld pixels overflows",
                         (long long)conv->ow);
    return HSCHED_OK;
}

static hsched_status separable_prepare(const hsi_cpu_prepare_context *context,
                                       hsched_step *step, hsi_cpu_prepared *prepared)
{
    separable_state *state = HSI_NEW(separable_state);
    if (!state)
        return hsi_out_of_memory("a separable convolution");
    hsched_step depthwise, pointwise;
    hsi_separable_split(step, &depthwise, &pointwise);
    hsi_conv2d_read(&pointwise, &state->pointwise);
    const hsi_conv2d *conv = &state->pointwise;
    hsi_panel_product_init(&state->product, conv->c, conv->o, step->act);
    hsched_status status = lay_out_scratch(state, &prepared->scratch_size);
    if (status == HSCHED_OK)
        status = hsi_depthwise_init(&state->depthwise, context, &depthwise,
                                    &prepared->weight_bytes);
    if (status == HSCHED_OK)
        status = hsi_panel_weights_init(
            &state->packed, context, &state->product, &pointwise.in[1],
            conv->has_bias ? pointwise.in[2].constant : NULL, &prepared->weight_bytes);
    if (status != HSCHED_OK) {
        separable_destroy(state);
        return status;
    }
    step->parts = hsi_cpu_parts(step, (uint64_t)(conv->n * conv->oh));
    prepared->state = state;
    return HSCHED_OK;
}

static hsched_status separable_run(const hsched_step *step, const void *pointer,
                                   void *slot_state, void *const *operands, uint32_t part,
                                   void *scratch)
{
    (void)slot_state;
    const separable_state *state = pointer;
    const hsi_conv2d *conv = &state->pointwise;
    float *t = scratch, *sums = (float *)((char *)scratch + state->sum_offset);
    float *y = operands[step->input_count];
    const float *residual = conv->residual_in_place ? y
                            : conv->has_residual    ? operands[5]
                                                    : NULL;
    const int64_t rows = conv->n * conv->oh,
                  end = hsi_cpu_part_begin(rows, part + 1, step->parts);
    hsi_panel_operands o = {
        .x = t,
        .weights = state->packed.weights,
        .bias = state->packed.bias,
        .x_row = conv->c,
        .y_row = conv->y_pixel,
        .residual_row = conv->residual_in_place ? conv->y_pixel : conv->residual_pixel,
        .panel_end = state->product.panels,
    };
    for (int64_t row = hsi_cpu_part_begin(rows, part, step->parts); row < end;
         row += state->block) {
        const int64_t row_end = hsi_least(row + state->block, end),
                      pixel = row * conv->ow;
        hsi_depthwise_rows(&state->depthwise, operands[0], NULL, t, row, row_end);
        o.y = y + pixel * o.y_row;
        o.residual = residual ? residual + pixel * o.residual_row : NULL;
        o.rows = (row_end - row) * conv->ow;
        hsi_panel_product_run(&state->product, &o, sums);
    }
    return HSCHED_OK;
}

static const hsi_cpu_kernel separable_kernel = {
    .name = "own/separable",
    .kind = HSCHED_STEP_SEPARABLE_CONV2D,
    .library = HSCHED_LIBRARY_OWN,
    .supports = separable_supports,
    .prepare = separable_prepare,
    .destroy = separable_destroy,
    .run = separable_run,
};

const hsi_cpu_kernel *const hsi_cpu_kernels_separable_conv2d[] = { &separable_kernel,
                                                                   NULL };
