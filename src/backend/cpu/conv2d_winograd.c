/*
 * Convolution with 3x3 kernels and stride 1 by Winograd's algorithm (winograd.h), channels-last.
 *
 * A block of tiles, 4x4 or 2x2 pixels each, is taken to its points, [point][tile][c]; then, for
 * one panel of output channels after the other, the products of all points (panel.h) and the way
 * back to pixels, while what was computed is in the cache.
 *
 * Parts are ranges of tiles, or of panels where there are few tiles.
 */
#include <math.h>
#include <string.h>

#include "backend/cpu/conv2d.h"
#include "backend/cpu/grid.h"
#include "backend/cpu/packing.h"
#include "backend/cpu/panel.h"
#include "backend/cpu/winograd.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"

#define MAX_SIDE 6 /* of x, of a tile of 4x4 */

/* Points of a block: some second-level cache, but not so few tiles that weights come from memory
 * for each of them. */
#define BLOCK_BYTES      (1536 * 1024)
#define MIN_BLOCK_POINTS (48 * 36)
#define MAX_BLOCK_POINTS (96 * 36)
/* The transform of a tile and reading it, in products of it with one column. */
#define TILE_COST 12.0

typedef struct winograd_state {
    hsi_conv2d conv;
    const hsi_panel_kernels *kernels;
    const hsi_winograd_transforms *transforms;
    int64_t tile, side, points; /* pixels of y and of x a side; side * side */
    const float *weights;       /* [panel][point][c][columns of the panel] */
    void *owned_weights;
    float *bias;  /* whole panels, zeros where there is none */
    float *zeros; /* [c], and a bias for products */
    float lo, hi;
    int clamp; /* else the activation follows, tile by tile */
    int64_t tiles_h, tiles_w, tiles, panels, block;
    hsi_cpu_grid grid;           /* tiles by panels */
    int64_t in_plane, out_plane; /* floats from point to point */
    size_t out_offset, rows_offset, scratch_size;
} winograd_state;

static void winograd_destroy(void *pointer)
{
    winograd_state *state = pointer;
    if (!state)
        return;
    hsi_free(state->owned_weights);
    hsi_free(state->bias);
    hsi_free(state->zeros);
    hsi_free(state);
}

/* Errors are larger than those of sums: nothing that amplifies them may follow, or that jumps. */
static int is_gentle(hsched_activation act)
{
    float lo, hi;
    switch (act.kind) {
    case HSCHED_ACTIVATION_LEAKY_RELU:
    case HSCHED_ACTIVATION_SIGMOID:
    case HSCHED_ACTIVATION_TANH:
    case HSCHED_ACTIVATION_SILU:
    case HSCHED_ACTIVATION_GELU:
    case HSCHED_ACTIVATION_HARD_SIGMOID:
    case HSCHED_ACTIVATION_HARD_SWISH:
    case HSCHED_ACTIVATION_ELU:
    case HSCHED_ACTIVATION_MISH:
    case HSCHED_ACTIVATION_SOFTPLUS:
        return 1;
    default:
        return hsi_cpu_activation_is_clamp(act, &lo, &hi);
    }
}

static int winograd_supports(const hsched_step *step)
{
    hsi_conv2d conv;
    return hsi_conv2d_read(step, &conv) && is_gentle(step->act) && conv.kh == 3 &&
           conv.kw == 3 && conv.stride_h == 1 && conv.stride_w == 1 &&
           conv.dilation_h == 1 && conv.dilation_w == 1 && conv.groups == 1 &&
           conv.c >= hsi_winograd_4x4()->lanes;
}

/* Enough channels that products outweigh the transforms, and as many pixels or more a side. */
static int is_worth_it(const hsched_step *step, int64_t pixels)
{
    hsi_conv2d conv;
    return hsi_conv2d_read(step, &conv) && conv.c >= 32 && conv.o >= 32 &&
           conv.oh >= pixels && conv.ow >= pixels;
}

/* Not many pixels outside of y. */
static int likely_4x4(const hsched_step *step)
{
    return is_worth_it(step, 13);
}

static int likely_2x2(const hsched_step *step)
{
    return is_worth_it(step, 6) && !likely_4x4(step);
}

/* ---- Prepare -------------------------------------------------------------- */

static void choose_block(winograd_state *state, hsched_step *step)
{
    const hsi_conv2d *conv = &state->conv;
    state->tiles_h = (conv->oh + state->tile - 1) / state->tile;
    state->tiles_w = (conv->ow + state->tile - 1) / state->tile;
    state->tiles = conv->n * state->tiles_h * state->tiles_w;
    state->panels = (conv->o - 1) / hsi_panel_width(state->kernels) + 1;
    const int64_t fit = BLOCK_BYTES / (state->points * conv->c * (int64_t)sizeof(float));
    const int64_t most = hsi_least(hsi_most(fit, MIN_BLOCK_POINTS / state->points),
                                   MAX_BLOCK_POINTS / state->points);

    const hsi_cpu_product product = { .rows = state->tiles,
                                      .panels = state->panels,
                                      .columns = conv->o,
                                      .width = hsi_panel_width(state->kernels),
                                      .row_cost = TILE_COST };
    state->grid = hsi_cpu_choose_grid(step, &product);
    /* Blocks of the same size. */
    const int64_t share = (state->tiles - 1) / state->grid.row_parts + 1;
    const int64_t blocks = (share - 1) / most + 1;
    state->block = (share - 1) / blocks + 1;
}

/* Points lie some floats more apart than they have: powers of two would meet in the same lines of
 * the first-level cache. */
static hsched_status lay_out_scratch(winograd_state *state)
{
    const int64_t lanes = state->kernels->lanes;
    state->in_plane = state->block * state->conv.c + lanes;
    state->out_plane = state->block * hsi_panel_width(state->kernels) + lanes;
    size_t in, out;
    if (!hsi_mul_size((size_t)state->in_plane, (size_t)state->points * sizeof(float),
                      &in) ||
        !hsi_round_up_size(in, 64, &state->out_offset) ||
        !hsi_mul_size((size_t)state->out_plane, (size_t)state->points * sizeof(float),
                      &out) ||
        !hsi_add_size(state->out_offset, out, &out) ||
        !hsi_round_up_size(out, 64, &state->rows_offset) ||
        !hsi_add_size(state->rows_offset, (size_t)state->block * sizeof(float *),
                      &state->scratch_size))
        return hsi_error(HSCHED_ERROR_LIMIT,
                         "scratch memory for a convolution of %lld channels overflows",
                         (long long)state->conv.c);
    return HSCHED_OK;
}

/* Where point `point` of a panel lies, from the first weight on. */
static size_t panel_at(const winograd_state *state, int64_t panel, int64_t point)
{
    const int64_t c = state->conv.c, column = panel * hsi_panel_width(state->kernels);
    const int64_t vectors = hsi_panel_vectors(state->kernels, state->conv.o - column);
    return (size_t)((state->points * column + point * vectors * state->kernels->lanes) *
                    c);
}

typedef struct kernels_of {
    const winograd_state *state;
    const float *given; /* [o, c, 3, 3] */
} kernels_of;

/* A unit: the kernels of one panel for one channel of x. */
static void transform_kernels(const void *how, void *to, int64_t begin, int64_t end)
{
    const kernels_of *of = how;
    const winograd_state *state = of->state;
    const int64_t c = state->conv.c, width = hsi_panel_width(state->kernels);
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t panel = unit / c, k = unit % c,
                      left = state->conv.o - panel * width;
        const int64_t columns =
                          hsi_panel_vectors(state->kernels, left) * state->kernels->lanes,
                      there = hsi_least(columns, left);
        float *points = (float *)to + panel_at(state, panel, 0) + k * columns;
        state->transforms->kernels(of->given + (panel * width * c + k) * 9, c * 9, there,
                                   points, c * columns);
        for (int64_t p = 0; p < state->points && there < columns; p++)
            memset(points + p * c * columns + there, 0,
                   (size_t)(columns - there) * sizeof *points);
    }
}

static hsched_status pack(const hsi_cpu_prepare_context *context, winograd_state *state,
                          const hsched_step *step, uint64_t *weight_bytes)
{
    const hsi_conv2d *conv = &state->conv;
    const float *bias = conv->has_bias ? step->in[2].constant : NULL;
    const size_t columns = hsi_panel_floats(state->kernels, 1, conv->o),
                 zeros = (size_t)hsi_most(conv->c, hsi_panel_width(state->kernels));
    state->bias = hsi_alloc_aligned(columns * sizeof(float));
    state->zeros = hsi_alloc_aligned(zeros * sizeof(float));
    if (!state->bias || !state->zeros)
        return hsi_out_of_memory("packed weights of a convolution");
    if (bias)
        memcpy(state->bias, bias, (size_t)conv->o * sizeof(float));
    *weight_bytes += columns * sizeof(float);
    const kernels_of of = { state, step->in[1].constant };
    const hsi_cpu_packing packing = {
        .bytes = hsi_panel_floats(state->kernels, state->points * conv->c, conv->o) *
                 sizeof(float),
        .units = state->panels * conv->c,
        .pack = transform_kernels,
        .how = &of,
        .what = "packed weights of a convolution",
        .layout = "winograd-3x3/2",
        .from = &step->in[1],
    };
    return hsi_cpu_pack(context, &packing, &state->weights, &state->owned_weights,
                        weight_bytes);
}

static hsched_status winograd_prepare(const hsi_cpu_prepare_context *context,
                                      hsched_step *step, hsi_cpu_prepared *prepared,
                                      const hsi_winograd_transforms *transforms)
{
    if (context->math == HSCHED_MATH_STRICT)
        return HSCHED_ERROR_UNSUPPORTED;
    winograd_state *state = HSI_NEW(winograd_state);
    if (!state)
        return hsi_out_of_memory("a convolution");
    hsi_conv2d_read(step, &state->conv);
    state->kernels = hsi_panel_kernels_best();
    state->transforms = transforms;
    state->tile = transforms->tile;
    state->side = state->tile + 2;
    state->points = state->side * state->side;
    state->clamp = hsi_cpu_activation_is_clamp(step->act, &state->lo, &state->hi);
    if (!state->clamp) {
        state->lo = -INFINITY;
        state->hi = INFINITY;
    }
    choose_block(state, step);
    hsched_status status = lay_out_scratch(state);
    if (status == HSCHED_OK)
        status = pack(context, state, step, &prepared->weight_bytes);
    if (status != HSCHED_OK) {
        winograd_destroy(state);
        return status;
    }
    prepared->state = state;
    prepared->scratch_size = state->scratch_size;
    return HSCHED_OK;
}

static hsched_status prepare_4x4(const hsi_cpu_prepare_context *context,
                                 hsched_step *step, hsi_cpu_prepared *prepared)
{
    return winograd_prepare(context, step, prepared, hsi_winograd_4x4());
}

static hsched_status prepare_2x2(const hsi_cpu_prepare_context *context,
                                 hsched_step *step, hsi_cpu_prepared *prepared)
{
    return winograd_prepare(context, step, prepared, hsi_winograd_2x2());
}

/* ---- Run ------------------------------------------------------------------ */

/* The first pixel of y of a tile. */
typedef struct tile_at {
    int64_t image, row, column;
} tile_at;

static tile_at find_tile(const winograd_state *state, int64_t tile)
{
    return (tile_at){ tile / (state->tiles_h * state->tiles_w),
                      tile / state->tiles_w % state->tiles_h * state->tile,
                      tile % state->tiles_w * state->tile };
}

static void transform_block(const winograd_state *state, const float *x, int64_t begin,
                            int64_t tiles, float *points)
{
    const hsi_conv2d *conv = &state->conv;
    for (int64_t t = 0; t < tiles; t++) {
        const tile_at at = find_tile(state, begin + t);
        const float *taps[MAX_SIDE * MAX_SIDE];
        for (int64_t i = 0; i < state->side; i++)
            for (int64_t j = 0; j < state->side; j++) {
                const int64_t row = at.row - conv->pad_top + i,
                              column = at.column - conv->pad_left + j;
                const int inside =
                    row >= 0 && row < conv->h && column >= 0 && column < conv->w;
                taps[state->side * i + j] =
                    inside ? x + ((at.image * conv->h + row) * conv->w + column) *
                                     conv->x_pixel
                           : state->zeros;
            }
        state->transforms->in(taps, conv->c, points + t * conv->c, state->in_plane);
    }
}

static void multiply_panel(const winograd_state *state, int64_t panel, int64_t tiles,
                           const float *points, const float **rows, float *products)
{
    const int64_t c = state->conv.c, column = panel * hsi_panel_width(state->kernels);
    const int64_t columns =
        hsi_panel_vectors(state->kernels, state->conv.o - column) * state->kernels->lanes;
    for (int64_t p = 0; p < state->points; p++) {
        for (int64_t t = 0; t < tiles; t++)
            rows[t] = points + p * state->in_plane + t * c;
        const float *weights = state->weights + panel_at(state, panel, p);
        const hsi_panel_tile tile = { .rows = rows,
                                      .runs = 1,
                                      .depth = c,
                                      .weights = weights,
                                      .next = weights + c * columns,
                                      .next_floats = c * columns,
                                      .bias = state->zeros,
                                      .y = products + p * state->out_plane,
                                      .y_pixel = columns,
                                      .columns = columns,
                                      .lo = -INFINITY,
                                      .hi = INFINITY };
        hsi_panel_run(state->kernels, &tile, tiles);
    }
}

static void finish_panel(const winograd_state *state, const hsched_step *step,
                         int64_t panel, int64_t begin, int64_t tiles,
                         const float *products, float *y, const float *residual)
{
    const hsi_conv2d *conv = &state->conv;
    const int64_t column = panel * hsi_panel_width(state->kernels);
    const int64_t columns =
        hsi_panel_vectors(state->kernels, conv->o - column) * state->kernels->lanes;
    const int64_t residual_pixel =
        conv->residual_in_place ? conv->y_pixel : conv->residual_pixel;
    const hsi_cpu_epilogue epilogue = { .act = step->act };
    hsi_winograd_out out = { .plane = state->out_plane,
                             .channels = hsi_least(columns, conv->o - column),
                             .bias = state->bias + column,
                             .y_row = conv->ow * conv->y_pixel,
                             .y_pixel = conv->y_pixel,
                             .residual_row = conv->ow * residual_pixel,
                             .residual_pixel = residual_pixel,
                             .lo = state->lo,
                             .hi = state->hi };
    for (int64_t t = 0; t < tiles; t++) {
        const tile_at at = find_tile(state, begin + t);
        const int64_t pixel = (at.image * conv->oh + at.row) * conv->ow + at.column;
        out.from = products + t * columns;
        out.rows = hsi_least(state->tile, conv->oh - at.row);
        out.columns = hsi_least(state->tile, conv->ow - at.column);
        out.y = y + pixel * conv->y_pixel + column;
        out.residual = residual ? residual + pixel * residual_pixel + column : NULL;
        state->transforms->out(&out);
        for (int64_t i = 0; i < out.rows && !state->clamp; i++)
            hsi_cpu_epilogue_run(&epilogue, out.y + i * out.y_row, out.y_pixel, NULL, 0,
                                 out.columns, out.channels);
    }
}

static hsched_status winograd_run(const hsched_step *step, const void *pointer,
                                  void *slot_state, void *const *operands, uint32_t part,
                                  void *scratch)
{
    (void)slot_state;
    const winograd_state *state = pointer;
    const hsi_conv2d *conv = &state->conv;
    float *y = operands[step->input_count], *points = scratch,
          *products = (float *)((char *)scratch + state->out_offset);
    const float **rows = (const float **)((char *)scratch + state->rows_offset);
    const float *residual = conv->residual_in_place ? y
                            : conv->has_residual    ? operands[3]
                                                    : NULL;
    const hsi_cpu_cell own = hsi_cpu_grid_cell(&state->grid, part);
    for (int64_t begin = own.begin, tiles; begin < own.end; begin += tiles) {
        tiles = hsi_least(state->block, own.end - begin);
        transform_block(state, operands[0], begin, tiles, points);
        for (int64_t panel = own.panel; panel < own.panel_end; panel++) {
            multiply_panel(state, panel, tiles, points, rows, products);
            finish_panel(state, step, panel, begin, tiles, products, y, residual);
        }
    }
    return HSCHED_OK;
}

const hsi_cpu_kernel hsi_cpu_conv2d_winograd_4x4 = {
    .name = "own/winograd",
    .kind = HSCHED_STEP_CONV2D,
    .library = HSCHED_LIBRARY_OWN,
    .supports = winograd_supports,
    .likely = likely_4x4,
    .prepare = prepare_4x4,
    .destroy = winograd_destroy,
    .run = winograd_run,
};

const hsi_cpu_kernel hsi_cpu_conv2d_winograd_2x2 = {
    .name = "own/winograd-2x2",
    .kind = HSCHED_STEP_CONV2D,
    .library = HSCHED_LIBRARY_OWN,
    .supports = winograd_supports,
    .likely = likely_2x2,
    .prepare = prepare_2x2,
    .destroy = winograd_destroy,
    .run = winograd_run,
};
