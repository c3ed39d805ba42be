/*
 * Convolution by own kernels, channels-last, without a copy of the input: an implicit product of
 * matrices. A row of the left one, the floats that a pixel of y depends on, is a list of pointers
 * into x, one for each run of floats that lie side by side: the channels at a tap; where there
 * are few of them those of all taps of a kernel row. What lies outside of x is read from zeros.
 *
 * Tiles of pixels times panels of output channels are computed in registers (panel.h). A block of
 * pixels, small enough that what it reads of x stays in the second-level cache, goes through
 * all panels; its pointers are found once.
 *
 * Parts are ranges of pixels and of panels (grid.h).
 */
#include <math.h>
#include <string.h>

#include "backend/cpu/conv2d.h"
#include "backend/cpu/grid.h"
#include "backend/cpu/packing.h"
#include "backend/cpu/panel.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"

/* Of x that a block reads: half of a second-level cache of 1 MB. */
#define BLOCK_BYTES      (512 * 1024)
#define BLOCK_PIXELS     384
#define MIN_BLOCK_PIXELS 24
/* Below, the taps of a kernel row are read as one run. */
#define FEW_CHANNELS 24

typedef struct direct_state {
    hsi_conv2d conv;
    const hsi_panel_kernels *kernels;
    const float *weights; /* of each group, packed */
    void *owned_weights;
    size_t group_weights; /* floats */
    float *zeros;         /* [depth] */
    float *bias;          /* of each group, with its panels' room */
    size_t group_bias;
    float lo, hi;
    int clamp;  /* else the activation follows, block by block */
    int joined; /* runs are kernel rows */
    int64_t runs, depth;
    int64_t block;     /* pixels */
    int64_t panels;    /* of a group */
    hsi_cpu_grid grid; /* pixels by panels of all groups */
    hsi_panel_chunks chunks;
    size_t edge_offset, sum_offset, scratch_size;
} direct_state;

static void direct_destroy(void *pointer)
{
    direct_state *state = pointer;
    if (!state)
        return;
    hsi_free(state->owned_weights);
    hsi_free(state->zeros);
    hsi_free(state->bias);
    hsi_free(state);
}

static int direct_supports(const hsched_step *step)
{
    hsi_conv2d conv;
    return hsi_conv2d_read(step, &conv);
}

/* ---- Prepare -------------------------------------------------------------- */

static void choose_runs(direct_state *state)
{
    const hsi_conv2d *conv = &state->conv;
    state->joined = conv->kw > 1 && conv->dilation_w == 1 && conv->groups == 1 &&
                    conv->x_pixel == conv->c && conv->c < FEW_CHANNELS;
    state->runs = state->joined ? conv->kh : conv->kh * conv->kw;
    state->depth = state->joined ? conv->kw * conv->c : conv->group_c;
}

/* What a pixel of y reads of x that its neighbours do not. */
static void choose_block(direct_state *state)
{
    const hsi_conv2d *conv = &state->conv;
    const int64_t bytes = hsi_least(conv->stride_h, conv->kh) *
                          hsi_least(conv->stride_w, conv->kw) * conv->c *
                          (int64_t)sizeof(float);
    const int64_t pixels = hsi_least(BLOCK_BYTES / hsi_most(bytes, 1), BLOCK_PIXELS);
    state->block =
        hsi_least(hsi_most(pixels, MIN_BLOCK_PIXELS), conv->n * conv->oh * conv->ow);
}

static hsched_status lay_out_scratch(direct_state *state)
{
    const int64_t width = hsi_panel_width(state->kernels);
    size_t pointers, edges = 0, sums;
    if (!hsi_mul_size((size_t)(state->block * state->runs), sizeof(float *), &pointers) ||
        !hsi_round_up_size(pointers, 64, &state->edge_offset) ||
        (state->joined && !hsi_mul_size((size_t)(state->block * state->runs),
                                        (size_t)state->depth * sizeof(float), &edges)) ||
        !hsi_add_size(state->edge_offset, edges, &edges) ||
        !hsi_round_up_size(edges, 64, &state->sum_offset) ||
        !hsi_mul_size((size_t)(state->block * width), sizeof(float), &sums) ||
        !hsi_add_size(state->sum_offset, sums, &state->scratch_size))
        return hsi_error(HSCHED_ERROR_LIMIT,
                         "scratch memory for a convolution of %lldx%lld taps overflows",
                         (long long)state->conv.kh, (long long)state->conv.kw);
    return HSCHED_OK;
}

typedef struct panels_of {
    const direct_state *state;
    const float *given; /* [o, c of the group, kh, kw] */
} panels_of;

/* A unit: a panel of a group. */
static void pack_panels(const void *how, void *to, int64_t begin, int64_t end)
{
    const panels_of *of = how;
    const direct_state *state = of->state;
    const hsi_conv2d *conv = &state->conv;
    const int64_t taps = conv->kh * conv->kw, depth = taps * conv->group_c,
                  panels = hsi_panel_count(state->kernels, conv->group_o);
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t g = unit / panels, panel = unit % panels;
        const hsi_panel_source source = { .given = of->given + g * conv->group_o * depth,
                                          .outer = taps,
                                          .inner = conv->group_c,
                                          .columns = conv->group_o,
                                          .outer_stride = 1,
                                          .inner_stride = taps,
                                          .column_stride = depth };
        hsi_panel_pack_some(state->kernels, &source, panel, panel + 1,
                            (float *)to + (size_t)g * state->group_weights);
    }
}

/* A bias, or zeros. */
static hsched_status pack(const hsi_cpu_prepare_context *context, direct_state *state,
                          const hsched_step *step, uint64_t *weight_bytes)
{
    const hsi_conv2d *conv = &state->conv;
    const float *bias = conv->has_bias ? step->in[2].constant : NULL;
    state->group_weights = hsi_panel_floats(
        state->kernels, conv->kh * conv->kw * conv->group_c, conv->group_o);
    state->group_bias = hsi_panel_floats(state->kernels, 1, conv->group_o);
    const size_t groups = (size_t)conv->groups,
                 bias_size = state->group_bias * groups * sizeof(float);
    state->bias = hsi_alloc_aligned(bias_size);
    state->zeros = hsi_alloc_aligned((size_t)state->depth * sizeof(float));
    if (!state->bias || !state->zeros)
        return hsi_out_of_memory("packed weights of a convolution");
    for (int64_t g = 0; g < conv->groups && bias; g++)
        memcpy(state->bias + (size_t)g * state->group_bias, bias + g * conv->group_o,
               (size_t)conv->group_o * sizeof *bias);
    *weight_bytes += bias_size;
    const panels_of of = { state, step->in[1].constant };
    const hsi_cpu_packing packing = {
        .bytes = state->group_weights * groups * sizeof(float),
        .units = hsi_panel_count(state->kernels, conv->group_o) * conv->groups,
        .pack = pack_panels,
        .how = &of,
        .what = "packed weights of a convolution",
        .layout = "panels-by-taps/1",
        .from = &step->in[1],
        .variant = conv->groups,
    };
    return hsi_cpu_pack(context, &packing, &state->weights, &state->owned_weights,
                        weight_bytes);
}

static void choose_parts(direct_state *state, hsched_step *step)
{
    const hsi_conv2d *conv = &state->conv;
    const hsi_cpu_product product = {
        .rows = conv->n * conv->oh * conv->ow,
        .panels = state->panels * conv->groups,
        .columns = conv->o,
        .width = hsi_least(hsi_panel_width(state->kernels), conv->group_o),
        /* As weights, but that taps share what they read of x. */
        .row_cost = HSI_CPU_COLUMN_COST / (double)(conv->kh * conv->kw),
    };
    state->grid = hsi_cpu_choose_grid(step, &product);
}

static hsched_status direct_prepare(const hsi_cpu_prepare_context *context,
                                    hsched_step *step, hsi_cpu_prepared *prepared)
{
    direct_state *state = HSI_NEW(direct_state);
    if (!state)
        return hsi_out_of_memory("a convolution");
    hsched_status status = HSCHED_OK;
    hsi_conv2d_read(step, &state->conv);
    state->kernels = hsi_panel_kernels_best();
    state->panels = (state->conv.group_o - 1) / hsi_panel_width(state->kernels) + 1;
    choose_runs(state);
    choose_block(state);
    state->chunks = hsi_panel_choose_chunks(state->kernels, state->runs, state->depth);
    choose_parts(state, step);
    state->clamp = hsi_cpu_activation_is_clamp(step->act, &state->lo, &state->hi);
    if (!state->clamp) {
        state->lo = -INFINITY;
        state->hi = INFINITY;
    }
    status = lay_out_scratch(state);
    if (status == HSCHED_OK)
        status = pack(context, state, step, &prepared->weight_bytes);
    if (status != HSCHED_OK) {
        direct_destroy(state);
        return status;
    }
    prepared->state = state;
    prepared->scratch_size = state->scratch_size;
    return HSCHED_OK;
}

/* ---- Run ------------------------------------------------------------------ */

typedef struct pixel_at {
    int64_t image, row, column; /* of y */
} pixel_at;

static pixel_at find_pixel(const hsi_conv2d *conv, int64_t pixel)
{
    return (pixel_at){ pixel / (conv->oh * conv->ow), pixel / conv->ow % conv->oh,
                       pixel % conv->ow };
}

static void next_pixel(const hsi_conv2d *conv, pixel_at *at)
{
    if (++at->column < conv->ow)
        return;
    at->column = 0;
    if (++at->row < conv->oh)
        return;
    at->row = 0;
    at->image++;
}

/* A kernel row that is partly outside of x, with zeros there. */
static const float *copy_edge(const hsi_conv2d *conv, const float *row, int64_t column,
                              float *edge)
{
    const int64_t begin = column < 0 ? -column : 0,
                  end = hsi_least(conv->kw, conv->w - column);
    memset(edge, 0, (size_t)(conv->kw * conv->c) * sizeof *edge);
    if (begin < end)
        memcpy(edge + begin * conv->c, row + (column + begin) * conv->c,
               (size_t)((end - begin) * conv->c) * sizeof *edge);
    return edge;
}

/* The pointers of one pixel, `stride` apart; `edges` has room for its runs. */
static void point_to_runs(const direct_state *state, const float *x, pixel_at at,
                          const float **rows, int64_t stride, float *edges)
{
    const hsi_conv2d *conv = &state->conv;
    const int64_t first = at.row * conv->stride_h - conv->pad_top,
                  column = at.column * conv->stride_w - conv->pad_left;
    const float *image = x + at.image * conv->h * conv->w * conv->x_pixel;
    for (int64_t k = 0; k < conv->kh; k++) {
        const int64_t y = first + k * conv->dilation_h;
        const float *row =
            y >= 0 && y < conv->h ? image + y * conv->w * conv->x_pixel : NULL;
        if (state->joined) {
            *rows = !row ? state->zeros
                    : column >= 0 && column + conv->kw <= conv->w
                        ? row + column * conv->c
                        : copy_edge(conv, row, column, edges + k * state->depth);
            rows += stride;
            continue;
        }
        for (int64_t j = 0; j < conv->kw; j++, rows += stride) {
            const int64_t x_at = column + j * conv->dilation_w;
            *rows = row && x_at >= 0 && x_at < conv->w ? row + x_at * conv->x_pixel
                                                       : state->zeros;
        }
    }
}

typedef struct block {
    int64_t begin, pixels;
    const float **rows; /* [runs][pixels] */
} block;

static void find_rows(const direct_state *state, const float *x, const block *b,
                      float *edges)
{
    pixel_at at = find_pixel(&state->conv, b->begin);
    for (int64_t p = 0; p < b->pixels; p++) {
        point_to_runs(state, x, at, b->rows + p, b->pixels,
                      edges + p * state->runs * state->depth);
        next_pixel(&state->conv, &at);
    }
}

/* Rows were found for the channels of group 0; those of others lie behind them. */
static void move_rows(const direct_state *state, const block *b)
{
    const int64_t count = b->pixels * state->runs;
    for (int64_t i = 0; i < count; i++)
        if (b->rows[i] != state->zeros)
            b->rows[i] += state->conv.group_c;
}

/* Panels [begin, end) of a group. */
static void run_panels(const direct_state *state, const block *b, int64_t group,
                       int64_t begin, int64_t end, float *y, const float *residual,
                       float *sums)
{
    const hsi_conv2d *conv = &state->conv;
    const int64_t width = hsi_panel_width(state->kernels);
    hsi_panel_tile tile = { .runs = state->runs,
                            .depth = state->depth,
                            .y_pixel = conv->y_pixel,
                            .residual_pixel = conv->residual_in_place
                                                  ? conv->y_pixel
                                                  : conv->residual_pixel,
                            .lo = state->lo,
                            .hi = state->hi };
    tile.rows = b->rows;
    tile.row_stride = b->pixels;
    for (int64_t panel = begin; panel < end; panel++) {
        const int64_t column = panel * width, channel = group * conv->group_o + column;
        tile.columns = hsi_least(width, conv->group_o - column);
        tile.weights = state->weights + (size_t)group * state->group_weights +
                       hsi_panel_at(state->runs * state->depth, column);
        tile.bias = state->bias + (size_t)group * state->group_bias + column;
        tile.y = y + b->begin * conv->y_pixel + channel;
        tile.residual =
            residual ? residual + b->begin * tile.residual_pixel + channel : NULL;
        hsi_panel_run_chunks(state->kernels, state->chunks, &tile, b->pixels, sums);
    }
}

/* The activation that is no clamp, on what a block has computed. */
static void activate(const hsched_step *step, const direct_state *state, const block *b,
                     const hsi_cpu_cell *own, float *y)
{
    const hsi_conv2d *conv = &state->conv;
    const int64_t width = hsi_panel_width(state->kernels), panels = state->panels;
    const int64_t from =
        own->panel / panels * conv->group_o + own->panel % panels * width;
    const int64_t to =
        own->panel_end / panels * conv->group_o + own->panel_end % panels * width;
    const hsi_cpu_epilogue epilogue = { .act = step->act };
    hsi_cpu_epilogue_run(&epilogue, y + b->begin * conv->y_pixel + from, conv->y_pixel,
                         NULL, 0, b->pixels, to - from);
}

static hsched_status direct_run(const hsched_step *step, const void *pointer,
                                void *slot_state, void *const *operands, uint32_t part,
                                void *scratch)
{
    (void)slot_state;
    const direct_state *state = pointer;
    const hsi_conv2d *conv = &state->conv;
    float *y = operands[step->input_count];
    const float *residual = conv->residual_in_place ? y
                            : conv->has_residual    ? operands[3]
                                                    : NULL;
    const hsi_cpu_cell own = hsi_cpu_grid_cell(&state->grid, part);
    float *edges = (float *)((char *)scratch + state->edge_offset),
          *sums = (float *)((char *)scratch + state->sum_offset);
    block b = { .rows = scratch };
    for (b.begin = own.begin; b.begin < own.end; b.begin += b.pixels) {
        b.pixels = hsi_least(state->block, own.end - b.begin);
        find_rows(state, operands[0], &b, edges);
        for (int64_t group = 0; group < conv->groups; group++) {
            const int64_t first = group * state->panels;
            if (group > 0)
                move_rows(state, &b);
            run_panels(state, &b, group, hsi_most(own.panel - first, 0),
                       hsi_least(own.panel_end - first, state->panels), y, residual,
                       sums);
        }
        if (!state->clamp)
            activate(step, state, &b, &own, y);
    }
    return HSCHED_OK;
}

const hsi_cpu_kernel hsi_cpu_conv2d_direct = {
    .name = "own/direct",
    .kind = HSCHED_STEP_CONV2D,
    .library = HSCHED_LIBRARY_OWN,
    .supports = direct_supports,
    .prepare = direct_prepare,
    .destroy = direct_destroy,
    .run = direct_run,
};
