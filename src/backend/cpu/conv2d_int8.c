/*
 * Convolution of a tensor on levels by weights of 8 bits (int8.h), channels-last.
 *
 * A part goes through its pixels in bands: rows of an image, or several images, of which so much of
 * x is made bytes that they stay in the second-level cache, padding included; then all panels of
 * weights are multiplied with them. Of a 1x1 convolution with strides only the pixels are made
 * bytes that it reads. Parts are ranges of rows, or of panels where weights are more than pixels.
 */
#include <string.h>

#include "backend/cpu/conv2d.h"
#include "backend/cpu/int8.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"

/* Of x in a band. */
#define BAND_BYTES (256 * 1024)
/* Of each group: with fewer, much of what registers hold would be filled up with zeros. Measured
 * for 32 groups of 8 and 16 channels: 1.3 and 0.5 of oneDNN's time in float32. */
#define MIN_GROUP_INPUTS  4
#define MIN_GROUP_OUTPUTS 16

typedef struct int8_state {
    hsi_conv2d conv;
    hsched_levels levels;
    hsi_int8_weights *weights; /* of each group */
    int64_t panels;            /* of a group */
    hsi_int8_finish finish;
    int finishes; /* else the activation follows, band by band */
    int sampled;  /* 1x1: the bytes are those of y's pixels */
    int64_t *runs;
    int64_t width;        /* pixels of a row of bytes */
    int64_t rows, images; /* of y, of a band at most; several images are whole ones */
    int by_panels;
    size_t table_offset, scratch_size; /* bytes of x are at 0 */
} int8_state;

static void int8_destroy(void *pointer)
{
    int8_state *state = pointer;
    if (!state)
        return;
    for (int64_t g = 0; state->weights && g < state->conv.groups; g++)
        hsi_int8_weights_clear(&state->weights[g]);
    hsi_free(state->weights);
    hsi_free(state->runs);
    hsi_free(state);
}

static int int8_supports(const hsched_step *step)
{
    hsi_conv2d conv;
    return hsi_int8_kernels_best() && hsi_conv2d_read(step, &conv) &&
           (conv.groups == 1 ||
            (conv.group_c >= MIN_GROUP_INPUTS && conv.group_o >= MIN_GROUP_OUTPUTS)) &&
           hsi_int8_has_levels(&step->in[0]);
}

/* ---- Prepare -------------------------------------------------------------- */

/* Rows of bytes that so many rows of y read. */
static int64_t bytes_rows(const int8_state *state, int64_t rows)
{
    const hsi_conv2d *conv = &state->conv;
    return state->sampled
               ? rows
               : (rows - 1) * conv->stride_h + (conv->kh - 1) * conv->dilation_h + 1;
}

static hsched_status make_runs(int8_state *state, int joined)
{
    const hsi_conv2d *conv = &state->conv;
    const int64_t columns = joined ? 1 : conv->kw, count = conv->kh * columns;
    state->runs = HSI_NEW_ARRAY(int64_t, (size_t)count);
    if (!state->runs)
        return hsi_out_of_memory("a convolution of levels");
    for (int64_t r = 0; r < count; r++)
        state->runs[r] = (r / columns * conv->dilation_h * state->width +
                          r % columns * conv->dilation_w) *
                         conv->c;
    return HSCHED_OK;
}

/* Taps of a kernel row lie side by side, unless they are dilated or of some channels only. */
static hsched_status make_weights(const hsched_step *step, int8_state *state,
                                  uint64_t *weight_bytes)
{
    const hsi_conv2d *conv = &state->conv;
    const int joined = conv->groups == 1 && (conv->kw == 1 || conv->dilation_w == 1);
    const int64_t taps = conv->kh * conv->kw,
                  group = conv->group_o * conv->group_c * taps;
    const float *weights = step->in[1].constant,
                *bias = conv->has_bias ? step->in[2].constant : NULL;
    hsi_int8_source source = {
        .columns = conv->group_o,
        .runs = joined ? conv->kh : taps,
        .length = joined ? conv->kw * conv->c : conv->group_c,
        .run = joined ? conv->kw : 1,
        .inner = conv->group_c,
        .outer_step = 1,
        .inner_step = taps,
        .levels = state->levels,
    };
    state->weights = HSI_NEW_ARRAY(hsi_int8_weights, (size_t)conv->groups);
    if (!state->weights)
        return hsi_out_of_memory("a convolution of levels");
    hsched_status status = make_runs(state, joined);
    for (int64_t g = 0; g < conv->groups && status == HSCHED_OK; g++) {
        source.given = weights + g * group;
        source.bias = bias ? bias + g * conv->group_o : NULL;
        status = hsi_int8_weights_make(&source, &state->weights[g], weight_bytes);
    }
    state->panels = state->weights[0].panels;
    return status;
}

/* Bands, and where their bytes and places lie in scratch. */
static hsched_status lay_out(int8_state *state)
{
    const hsi_conv2d *conv = &state->conv;
    const int64_t row = state->width * conv->c;
    state->rows = conv->oh;
    while (state->rows > 1 && bytes_rows(state, state->rows) * row > BAND_BYTES)
        state->rows = (state->rows + 1) / 2;
    const int64_t image = bytes_rows(state, state->rows) * row;
    state->images = 1;
    if (state->rows == conv->oh && image < BAND_BYTES)
        state->images = hsi_least(conv->n, BAND_BYTES / image);
    const size_t bytes = (size_t)(state->images * image),
                 pixels = (size_t)(state->images * state->rows * conv->ow);
    size_t table;
    if (bytes > INT32_MAX - 64)
        return HSCHED_ERROR_UNSUPPORTED;
    if (!hsi_round_up_size(bytes + HSI_INT8_SLACK, 64, &state->table_offset) ||
        !hsi_mul_size(pixels, sizeof(int32_t), &table) ||
        !hsi_add_size(state->table_offset, table, &state->scratch_size))
        return HSCHED_ERROR_UNSUPPORTED;
    return HSCHED_OK;
}

static void choose_parts(int8_state *state, hsched_step *step)
{
    const hsi_conv2d *conv = &state->conv;
    const int64_t rows = conv->n * conv->oh, panels = state->panels * conv->groups;
    const uint32_t by_panels = hsi_cpu_parts(step, (uint64_t)panels),
                   by_rows = hsi_cpu_parts(step, (uint64_t)rows);
    state->by_panels = by_panels >= by_rows &&
                       conv->o * conv->kh * conv->kw > conv->n * conv->h * conv->w;
    step->parts = state->by_panels ? by_panels : by_rows;
}

static hsched_status int8_prepare(const hsi_cpu_prepare_context *context,
                                  hsched_step *step, hsi_cpu_prepared *prepared)
{
    (void)context; /* sums are exact, whatever the math */
    int8_state *state = HSI_NEW(int8_state);
    if (!state)
        return hsi_out_of_memory("a convolution of levels");
    hsi_conv2d *conv = &state->conv;
    hsi_conv2d_read(step, conv);
    state->levels = step->in[0].levels;
    state->sampled = conv->kh == 1 && conv->kw == 1;
    state->width = state->sampled ? conv->ow
                                  : (conv->ow - 1) * conv->stride_w +
                                        (conv->kw - 1) * conv->dilation_w + 1;
    state->finishes = hsi_int8_finish_make(step->act, &state->finish);
    hsched_status status = lay_out(state);
    if (status == HSCHED_OK)
        status = make_weights(step, state, &prepared->weight_bytes);
    if (status != HSCHED_OK) {
        int8_destroy(state);
        return status;
    }
    choose_parts(state, step);
    prepared->state = state;
    prepared->detail = state->weights[0].kernels->name;
    prepared->scratch_size = state->scratch_size;
    return HSCHED_OK;
}

/* ---- Run ------------------------------------------------------------------ */

typedef struct band {
    int64_t image, images, row, rows; /* of y */
    uint8_t *bytes;
    int32_t *table;
} band;

/* A row of bytes; NULL: of padding. */
static void read_row(const int8_state *state, const float *x, uint8_t *bytes)
{
    const hsi_conv2d *conv = &state->conv;
    const int64_t c = conv->c, step = state->sampled ? conv->stride_w : 1;
    const int zero = (int)-state->levels.lowest;
    const int64_t begin =
        x ? hsi_least((conv->pad_left + step - 1) / step, state->width) : state->width;
    const int64_t inside = (conv->w + conv->pad_left + step - 1) / step;
    const int64_t end = hsi_most(begin, hsi_least(inside, state->width));
    memset(bytes, zero, (size_t)(begin * c));
    if (step == 1 && conv->x_pixel == c)
        hsi_int8_read(x ? x + (begin - conv->pad_left) * c : x, (end - begin) * c,
                      state->levels, bytes + begin * c);
    else
        for (int64_t i = begin; i < end; i++)
            hsi_int8_read(x + (i * step - conv->pad_left) * conv->x_pixel, c,
                          state->levels, bytes + i * c);
    memset(bytes + end * c, zero, (size_t)((state->width - end) * c));
}

static void read_band(const int8_state *state, const float *x, const band *b)
{
    const hsi_conv2d *conv = &state->conv;
    const int64_t rows = bytes_rows(state, b->rows), c = conv->c;
    const int64_t step_h = state->sampled ? 1 : conv->stride_h,
                  step_w = state->sampled ? 1 : conv->stride_w;
    const int64_t row_step = state->sampled ? conv->stride_h : 1;
    uint8_t *bytes = b->bytes;
    int32_t *place = b->table;
    for (int64_t i = 0; i < b->images; i++) {
        const float *image = x + (b->image + i) * conv->h * conv->w * conv->x_pixel;
        for (int64_t r = 0; r < rows; r++, bytes += state->width * c) {
            const int64_t at = b->row * conv->stride_h - conv->pad_top + r * row_step;
            read_row(state,
                     at >= 0 && at < conv->h ? image + at * conv->w * conv->x_pixel
                                             : NULL,
                     bytes);
        }
        for (int64_t r = 0; r < b->rows; r++)
            for (int64_t q = 0; q < conv->ow; q++)
                *place++ =
                    (int32_t)(((i * rows + r * step_h) * state->width + q * step_w) * c);
    }
}

/* The first column of a panel, counted over all groups. */
static int64_t column_of(const int8_state *state, int64_t panel)
{
    return panel / state->panels * state->conv.group_o +
           panel % state->panels * hsi_int8_width(&state->weights[0]);
}

/* Panels [begin, end) of a band. */
static void run_band(const hsched_step *step, const int8_state *state,
                     void *const *operands, const band *b, int64_t begin, int64_t end)
{
    const hsi_conv2d *conv = &state->conv;
    const int64_t first = (b->image * conv->oh + b->row) * conv->ow;
    float *y = (float *)operands[step->input_count] + first * conv->y_pixel;
    const float *residual = conv->residual_in_place ? y : NULL;
    hsi_int8_call call = { .at = b->table,
                           .runs = state->runs,
                           .pixels = b->images * b->rows * conv->ow,
                           .y_pixel = conv->y_pixel,
                           .residual_pixel = conv->residual_in_place
                                                 ? conv->y_pixel
                                                 : conv->residual_pixel,
                           .finish = &state->finish };
    if (conv->has_residual && !conv->residual_in_place)
        residual = (const float *)operands[3] + first * conv->residual_pixel;
    read_band(state, operands[0], b);
    for (int64_t g = 0; g < conv->groups; g++) {
        call.begin = hsi_most(begin - g * state->panels, 0);
        call.end = hsi_least(end - g * state->panels, state->panels);
        call.x = b->bytes + g * conv->group_c;
        call.y = y + g * conv->group_o;
        call.residual = residual ? residual + g * conv->group_o : NULL;
        hsi_int8_run(&state->weights[g], &call);
    }
    if (state->finishes)
        return;
    const hsi_cpu_epilogue epilogue = { .act = step->act };
    const int64_t from = column_of(state, begin), to = column_of(state, end);
    hsi_cpu_epilogue_run(&epilogue, y + from, conv->y_pixel, NULL, 0, call.pixels,
                         to - from);
}

static hsched_status int8_run(const hsched_step *step, const void *pointer,
                              void *slot_state, void *const *operands, uint32_t part,
                              void *scratch)
{
    (void)slot_state;
    const int8_state *state = pointer;
    const hsi_conv2d *conv = &state->conv;
    int64_t at = 0, rows = conv->n * conv->oh, panel = 0,
            panels = state->panels * conv->groups;
    if (state->by_panels) {
        panel = hsi_cpu_part_begin(panels, part, step->parts);
        panels = hsi_cpu_part_begin(panels, part + 1, step->parts);
    } else {
        at = hsi_cpu_part_begin(rows, part, step->parts);
        rows = hsi_cpu_part_begin(rows, part + 1, step->parts);
    }
    band b = { .bytes = scratch,
               .table = (int32_t *)((char *)scratch + state->table_offset) };
    for (; at < rows; at += b.images * b.rows) {
        b.image = at / conv->oh;
        b.row = at % conv->oh;
        b.rows = hsi_least(hsi_least(state->rows, conv->oh - b.row), rows - at);
        b.images = 1;
        if (b.rows == conv->oh)
            b.images = hsi_least(state->images, (rows - at) / conv->oh);
        run_band(step, state, operands, &b, panel, panels);
    }
    return HSCHED_OK;
}

const hsi_cpu_kernel hsi_cpu_conv2d_int8 = {
    .name = "own/int8",
    .kind = HSCHED_STEP_CONV2D,
    .library = HSCHED_LIBRARY_OWN,
    .supports = int8_supports,
    .prepare = int8_prepare,
    .destroy = int8_destroy,
    .run = int8_run,
};
