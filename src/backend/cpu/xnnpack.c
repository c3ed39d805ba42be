/*
 * Convolutions by XNNPACK, on the thread that executes the part: no thread pool is given to it.
 *
 * An operator carries its packed weights and, from its setup on, the addresses of one call, so that
 * it belongs to one thread at a time: there is one for each part of each slot. In the version of
 * 2022 that Debian 12 has operators cannot share packed weights. Parts are therefore ranges of
 * output channels (of groups), whose operators hold all weights once, and ranges of rows only
 * where there are few weights. A slot more costs the packed weights once more.
 *
 * XNNPACK reads up to XNN_EXTRA_BYTES past what it is given. Where that could be past the end of x
 * the last pixels or rows are copied into scratch, which has room for it.
 *
 * A convolution that is a product of matrices (1x1) takes any number of pixels at a time. For
 * others an operator keeps a list of pointers for the one size of x that it has seen, so all its
 * calls compute the same number of rows, a band, with no padding above or below: a band that
 * needs some has its rows of x copied, with zeros around them.
 *
 * Bias and a clamping activation are in XNNPACK's kernels; a residual and other activations follow
 * band by band, while it is in the cache.
 */
#include "backend/cpu/xnnpack.h"

#if HSI_HAVE_XNNPACK

#include <math.h>
#include <pthread.h>
#include <string.h>

#include <xnnpack.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/log.h"
#include "base/status.h"

/* Of weights that every part may have for itself. */
#define FEW_WEIGHTS ((size_t)64 * 1024)
/* Output channels are shared out in groups of so many: the widest tiles of XNNPACK's. */
#define CHANNELS 16
/* A band has so many pixels at least, so that tiles of pixels that are not full do not count, while
 * what it reads of x stays in the second-level cache. */
#define BAND_PIXELS 64
#define BAND_BYTES  ((size_t)512 * 1024)
/* Of y between two calls of the epilogue. */
#define CHUNK_BYTES (256 * 1024)
/* More scratch is left to other kernels: few rows that are far apart, or very wide ones. */
#define MOST_SCRATCH ((size_t)64 << 20)
/* Of so few pixels all are copied where the last one would have to be. */
#define FEW_PIXELS 64
/* Floats that XNNPACK may read past the end. */
#define EXTRA ((int64_t)(XNN_EXTRA_BYTES / sizeof(float)))

typedef struct xnnpack_state {
    hsi_conv2d conv;
    int flat;        /* 1x1: pixels, not bands of rows */
    int by_channels; /* what parts are ranges of */
    int64_t band;    /* pixels, or rows, of one call at most, or exactly */
    int64_t band_rows_in;
    int64_t pad_right;
    float lo, hi;            /* that XNNPACK clamps to */
    hsi_cpu_epilogue after;  /* what it does not do */
    int has_after, copies_y; /* the residual lies in y: sums are made in scratch */
    const float *weights, *bias;
    void *owned_weights, *owned_bias;
    uint32_t parts;
    size_t y_offset, scratch_size; /* x is at 0 */
} xnnpack_state;

typedef struct xnnpack_slot {
    uint32_t count;
    xnn_operator_t operators[]; /* one for each part */
} xnnpack_slot;

/* ---- The library ---------------------------------------------------------- */

static enum xnn_status started;

static void start(void)
{
    started = xnn_initialize(NULL);
    if (started != xnn_status_success)
        hsi_log(
            HSCHED_LOG_WARNING,
            "XNNPACK does not start on this machine (status %d): other kernels are "
            "taken; leave HSCHED_LIBRARY_XNNPACK out of cpu_libraries to silence this",
            (int)started);
}

int hsi_xnnpack_starts(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start);
    return started == xnn_status_success;
}

static hsched_status to_status(enum xnn_status status, const char *what)
{
    if (status == xnn_status_success)
        return HSCHED_OK;
    if (status == xnn_status_out_of_memory)
        return hsi_out_of_memory(what);
    return hsi_error(
        HSCHED_ERROR_INTERNAL,
        "XNNPACK refused %s (status %d); leave HSCHED_LIBRARY_XNNPACK out of "
        "cpu_libraries to go on without it",
        what, (int)status);
}

int hsi_xnnpack_is_first_choice(void)
{
#if defined(__aarch64__)
    return 1;
#else
    return 0;
#endif
}

/* ---- What it can do ------------------------------------------------------- */

static int64_t reach(int64_t outputs, int64_t stride, int64_t taps, int64_t dilation)
{
    return (outputs - 1) * stride + (taps - 1) * dilation + 1;
}

/* Zeros to the right of x that the last column of y sees. */
static int64_t pad_right_of(const hsi_conv2d *conv)
{
    const int64_t needs = reach(conv->ow, conv->stride_w, conv->kw, conv->dilation_w);
    return hsi_most(needs - conv->pad_left - conv->w, 0);
}

/* Output columns are XNNPACK's to count. */
static int counts_the_same(const hsi_conv2d *conv)
{
    const int64_t width = conv->pad_left + conv->w + pad_right_of(conv),
                  window = (conv->kw - 1) * conv->dilation_w + 1;
    return width >= window && (width - window) / conv->stride_w + 1 == conv->ow;
}

int hsi_xnnpack_supports(const hsi_conv2d *conv)
{
    const int64_t sizes[] = { conv->n,        conv->c,          conv->h,
                              conv->w,        conv->o,          conv->oh,
                              conv->ow,       conv->kh,         conv->kw,
                              conv->stride_h, conv->stride_w,   conv->dilation_h,
                              conv->groups,   conv->dilation_w, conv->x_pixel,
                              conv->y_pixel };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (sizes[i] < 1 || sizes[i] > INT32_MAX)
            return 0;
    return conv->pad_top >= 0 && conv->pad_left >= 0 && conv->pad_left <= INT32_MAX &&
           pad_right_of(conv) <= INT32_MAX && conv->x_pixel >= conv->c &&
           conv->y_pixel >= conv->o && counts_the_same(conv);
}

/* ---- Prepare -------------------------------------------------------------- */

void hsi_xnnpack_destroy(void *pointer)
{
    xnnpack_state *state = pointer;
    if (!state)
        return;
    hsi_free(state->owned_weights);
    hsi_free(state->owned_bias);
    hsi_free(state);
}

static int is_flat(const hsi_conv2d *conv)
{
    return conv->kh == 1 && conv->kw == 1 && conv->stride_h == 1 && conv->stride_w == 1 &&
           conv->pad_top == 0 && conv->pad_left == 0 && conv->oh == conv->h &&
           conv->ow == conv->w;
}

/* Rows of x that `rows` rows of y need, and their floats, as they lie in x. */
static int64_t rows_in(const hsi_conv2d *conv, int64_t rows)
{
    return reach(rows, conv->stride_h, conv->kh, conv->dilation_h);
}

static int band_fits(const hsi_conv2d *conv, int64_t rows)
{
    return (double)rows_in(conv, rows) * (double)(conv->w * conv->x_pixel) *
               sizeof(float) <=
           (double)BAND_BYTES;
}

/* The fewest rows that divide all rows of an image and have enough pixels. A depthwise kernel works
 * row by row anyway. */
static int64_t choose_band(const hsi_conv2d *conv)
{
    int64_t best = 1;
    if (conv->group_c == 1 && conv->group_o == 1)
        return best;
    for (int64_t rows = 2; rows <= conv->oh && best * conv->ow < BAND_PIXELS; rows++)
        if (conv->oh % rows == 0 && band_fits(conv, rows))
            best = rows;
    return best;
}

/* Pixels of y between two epilogues. */
static int64_t choose_chunk(const xnnpack_state *state)
{
    const hsi_conv2d *conv = &state->conv;
    const int64_t all = conv->n * conv->oh * conv->ow;
    if (!state->has_after)
        return all;
    return hsi_least(
        hsi_most(CHUNK_BYTES / (conv->o * (int64_t)sizeof(float)), FEW_PIXELS), all);
}

static void choose_activation(const hsched_step *step, xnnpack_state *state)
{
    const hsi_conv2d *conv = &state->conv;
    float lo, hi;
    state->lo = -INFINITY;
    state->hi = INFINITY;
    state->after.act = step->act;
    if (!conv->has_residual && hsi_cpu_activation_is_clamp(step->act, &lo, &hi) &&
        lo < hi) {
        state->lo = lo;
        state->hi = hi;
        state->after.act = (hsched_activation){ 0 };
    }
    state->has_after =
        conv->has_residual || state->after.act.kind != HSCHED_ACTIVATION_NONE;
    state->copies_y = conv->residual_in_place;
}

static int64_t weights_of_channel(const hsi_conv2d *conv)
{
    return conv->group_c * conv->kh * conv->kw;
}

static int64_t channel_units(const hsi_conv2d *conv)
{
    return conv->groups > 1 ? conv->groups : (conv->o - 1) / CHANNELS + 1;
}

static int64_t row_units(const xnnpack_state *state)
{
    const hsi_conv2d *conv = &state->conv;
    return state->flat ? conv->n * conv->oh * conv->ow : conv->n * conv->oh / state->band;
}

static void choose_parts(hsched_step *step, xnnpack_state *state)
{
    const hsi_conv2d *conv = &state->conv;
    const size_t weights = (size_t)(conv->o * weights_of_channel(conv)) * sizeof(float);
    state->by_channels = weights > FEW_WEIGHTS;
    state->parts = hsi_cpu_parts(
        step, (uint64_t)(state->by_channels ? channel_units(conv) : row_units(state)));
    step->parts = state->parts;
}

/* x that is copied, with what may be read past it; then sums. UNSUPPORTED: too much. */
static hsched_status lay_out_scratch(xnnpack_state *state)
{
    const hsi_conv2d *conv = &state->conv;
    const int64_t rows = state->flat ? hsi_least(state->band, FEW_PIXELS)
                                     : state->band_rows_in,
                  row_floats = state->flat ? conv->x_pixel : conv->w * conv->x_pixel,
                  sums = state->band * (state->flat ? 1 : conv->ow) * conv->o;
    size_t x, y = 0;
    if (!hsi_mul_size((size_t)rows, (size_t)row_floats * sizeof(float), &x) ||
        !hsi_add_size(x, XNN_EXTRA_BYTES, &x) ||
        !hsi_round_up_size(x, 64, &state->y_offset) ||
        (state->copies_y && !hsi_mul_size((size_t)sums, sizeof(float), &y)) ||
        !hsi_add_size(state->y_offset, y, &state->scratch_size) ||
        state->scratch_size > MOST_SCRATCH)
        return HSCHED_ERROR_UNSUPPORTED;
    return HSCHED_OK;
}

/* Packed weights of one slot: channels of a group are filled up to whole tiles. */
static uint64_t packed_bytes(const xnnpack_state *state)
{
    const hsi_conv2d *conv = &state->conv;
    const int depthwise = conv->group_c == 1 && conv->group_o == 1;
    const int64_t channels = depthwise ? conv->o : conv->group_o;
    const int64_t padded = (channels + CHANNELS - 1) / CHANNELS * CHANNELS;
    const uint64_t all = (uint64_t)(depthwise ? padded : padded * conv->groups) *
                         (uint64_t)(weights_of_channel(conv) + 1) * sizeof(float);
    return state->by_channels ? all : all * state->parts;
}

hsched_status hsi_xnnpack_prepare(const hsi_conv2d *conv,
                                  const hsi_cpu_prepare_context *context,
                                  hsched_step *step, hsi_cpu_prepared *prepared)
{
    xnnpack_state *state = HSI_NEW(xnnpack_state);
    if (!state)
        return hsi_out_of_memory("a convolution");
    state->conv = *conv;
    state->flat = is_flat(conv);
    state->pad_right = pad_right_of(conv);
    choose_activation(step, state);
    state->band = state->flat ? choose_chunk(state) : choose_band(conv);
    state->band_rows_in = rows_in(conv, state->band);
    choose_parts(step, state);
    hsched_status status = lay_out_scratch(state);
    if (status == HSCHED_OK)
        state->weights =
            hsi_cpu_keep_constant(context, &step->in[1], &state->owned_weights,
                                  &prepared->weight_bytes, &status);
    if (status == HSCHED_OK && conv->has_bias)
        state->bias = hsi_cpu_keep_constant(context, &step->in[2], &state->owned_bias,
                                            &prepared->weight_bytes, &status);
    if (status != HSCHED_OK) {
        hsi_xnnpack_destroy(state);
        return status;
    }
    prepared->weight_bytes += packed_bytes(state);
    prepared->state = state;
    prepared->scratch_size = state->scratch_size;
    return HSCHED_OK;
}

/* ---- Parts ---------------------------------------------------------------- */

/* Output channels [channel, channel + channels) and the groups they are of. */
typedef struct share {
    int64_t channel, channels, groups;
    int64_t x_channel, x_channels;
    int64_t begin, end; /* pixels, or bands */
} share;

static share find_share(const xnnpack_state *state, uint32_t part)
{
    const hsi_conv2d *conv = &state->conv;
    share own = { 0, conv->o, conv->groups, 0, conv->c, 0, row_units(state) };
    if (!state->by_channels) {
        own.begin = hsi_cpu_part_begin(row_units(state), part, state->parts);
        own.end = hsi_cpu_part_begin(row_units(state), part + 1, state->parts);
        return own;
    }
    const int64_t units = channel_units(conv),
                  first = hsi_cpu_part_begin(units, part, state->parts),
                  last = hsi_cpu_part_begin(units, part + 1, state->parts);
    if (conv->groups > 1) {
        own.groups = last - first;
        own.channel = first * conv->group_o;
        own.channels = own.groups * conv->group_o;
        own.x_channel = first * conv->group_c;
        own.x_channels = own.groups * conv->group_c;
    } else {
        own.channel = first * CHANNELS;
        own.channels = hsi_least(last * CHANNELS, conv->o) - own.channel;
    }
    return own;
}

/* ---- Slots ---------------------------------------------------------------- */

void hsi_xnnpack_slot_destroy(void *pointer)
{
    xnnpack_slot *slot = pointer;
    if (!slot)
        return;
    for (uint32_t i = 0; i < slot->count; i++)
        if (slot->operators[i])
            xnn_delete_operator(slot->operators[i]);
    hsi_free(slot);
}

/* Weights of the share's channels, [c,kh,kw] as [kh,kw,c]. */
static void reorder_weights(const xnnpack_state *state, const share *own, float *to)
{
    const hsi_conv2d *conv = &state->conv;
    const int64_t taps = conv->kh * conv->kw, c = conv->group_c;
    const float *from = state->weights + own->channel * taps * c;
    for (int64_t o = 0; o < own->channels; o++, from += taps * c, to += taps * c)
        for (int64_t i = 0; i < c; i++)
            for (int64_t k = 0; k < taps; k++)
                to[k * c + i] = from[i * taps + k];
}

/* Packs the weights, of which XNNPACK keeps no other copy. */
static hsched_status create_operator(const xnnpack_state *state, const share *own,
                                     xnn_operator_t *made)
{
    const hsi_conv2d *conv = &state->conv;
    const int64_t each = weights_of_channel(conv);
    const float *weights = state->weights + own->channel * each;
    float *reordered = NULL;
    if (conv->kh * conv->kw > 1 && conv->group_c > 1) {
        reordered = hsi_alloc_aligned((size_t)(own->channels * each) * sizeof(float));
        if (!reordered)
            return hsi_out_of_memory("weights of a convolution");
        reorder_weights(state, own, reordered);
        weights = reordered;
    }
    const enum xnn_status status = xnn_create_convolution2d_nhwc_f32(
        0, (uint32_t)state->pad_right, 0, (uint32_t)conv->pad_left, (uint32_t)conv->kh,
        (uint32_t)conv->kw, (uint32_t)conv->stride_h, (uint32_t)conv->stride_w,
        (uint32_t)conv->dilation_h, (uint32_t)conv->dilation_w, (uint32_t)own->groups,
        (size_t)conv->group_c, (size_t)(own->channels / own->groups),
        (size_t)conv->x_pixel, (size_t)(state->copies_y ? own->channels : conv->y_pixel),
        weights, state->bias ? state->bias + own->channel : NULL, state->lo, state->hi, 0,
        made);
    hsi_free(reordered);
    return to_status(status, "a convolution");
}

/* An operator lists its pointers in the first setup of a size; from then on only what is added to
 * them changes. The list is of addresses in real memory: an address in it must not happen to be
 * that of XNNPACK's own zeros. */
static hsched_status list_pointers(const xnnpack_state *state, xnn_operator_t operator)
{
    const hsi_conv2d *conv = &state->conv;
    float *x = hsi_alloc_aligned(state->y_offset);
    if (!x)
        return hsi_out_of_memory("a slot's convolution");
    const enum xnn_status status =
        xnn_setup_convolution2d_nhwc_f32(operator, 1, (size_t)state->band_rows_in,
                                         (size_t)conv->w, x, x, NULL);
    hsi_free(x);
    return to_status(status, "the size of a convolution");
}

hsched_status hsi_xnnpack_slot_create(const hsched_step *step, const void *pointer,
                                      void **slot_state)
{
    (void)step;
    const xnnpack_state *state = pointer;
    *slot_state = NULL;
    xnnpack_slot *slot =
        hsi_calloc(1, sizeof *slot + (size_t)state->parts * sizeof slot->operators[0]);
    if (!slot)
        return hsi_out_of_memory("a slot's convolution");
    slot->count = state->parts;
    hsched_status status = HSCHED_OK;
    for (uint32_t i = 0; i < state->parts && status == HSCHED_OK; i++) {
        const share own = find_share(state, i);
        status = create_operator(state, &own, &slot->operators[i]);
        if (status == HSCHED_OK && !state->flat)
            status = list_pointers(state, slot->operators[i]);
    }
    if (status != HSCHED_OK) {
        hsi_xnnpack_slot_destroy(slot);
        return status;
    }
    *slot_state = slot;
    return HSCHED_OK;
}

/* ---- Run ------------------------------------------------------------------ */

/* What a part works with. */
typedef struct work {
    const xnnpack_state *state;
    share own;
    xnn_operator_t operator;
    const float *x; /* of the share's first channel, as all of these */
    float *y;
    const float *residual; /* NULL: none, or in y */
    float *x_scratch, *y_scratch;
} work;

static enum xnn_status call(const work *w, int64_t height, int64_t width, const float *x,
                            float *y)
{
    const enum xnn_status status = xnn_setup_convolution2d_nhwc_f32(
        w->operator, 1, (size_t)height, (size_t)width, x, y, NULL);
    return status == xnn_status_success ? xnn_run_operator(w->operator, NULL) : status;
}

/* 1 if what may be read past pixel `end` of x, counted over all images, is x. */
static int may_read_past(const xnnpack_state *state, int64_t end)
{
    const hsi_conv2d *conv = &state->conv;
    return (conv->n * conv->h * conv->w - end) * conv->x_pixel >= EXTRA;
}

/* How many of these pixels are to be copied, from the last one on. */
static int64_t pixels_to_copy(const xnnpack_state *state, int64_t begin, int64_t end)
{
    if (may_read_past(state, end))
        return 0;
    return end - begin <= FEW_PIXELS ? end - begin : hsi_most(EXTRA, 1);
}

/* Pixels [begin, end), at `to`, whose pixels are `to_pixel` apart. */
static enum xnn_status run_pixels(const work *w, int64_t begin, int64_t end, float *to,
                                  int64_t to_pixel)
{
    const hsi_conv2d *conv = &w->state->conv;
    const int64_t copied = pixels_to_copy(w->state, begin, end),
                  direct = end - begin - copied;
    const float *x = w->x + begin * conv->x_pixel;
    enum xnn_status status = xnn_status_success;
    if (direct > 0)
        status = call(w, direct, 1, x, to);
    if (status != xnn_status_success || copied == 0)
        return status;
    hsi_cpu_copy_rows(w->x_scratch, conv->x_pixel, x + direct * conv->x_pixel,
                      conv->x_pixel, copied, w->own.x_channels);
    return call(w, copied, 1, w->x_scratch, to + direct * to_pixel);
}

/* Rows [first, first + band_rows_in) of an image, with zeros for those that it does not have. */
static const float *copy_rows_in(const work *w, int64_t image, int64_t first)
{
    const hsi_conv2d *conv = &w->state->conv;
    const int64_t row_floats = conv->w * conv->x_pixel;
    float *to = w->x_scratch;
    for (int64_t r = first; r < first + w->state->band_rows_in; r++, to += row_floats)
        if (r >= 0 && r < conv->h)
            hsi_cpu_copy_rows(to, conv->x_pixel,
                              w->x + (image * conv->h + r) * row_floats, conv->x_pixel,
                              conv->w, w->own.x_channels);
        else
            memset(to, 0, (size_t)row_floats * sizeof *to);
    return w->x_scratch;
}

static enum xnn_status run_band(const work *w, int64_t band, float *to)
{
    const xnnpack_state *state = w->state;
    const hsi_conv2d *conv = &state->conv;
    const int64_t row = band * state->band, image = row / conv->oh,
                  first = row % conv->oh * conv->stride_h - conv->pad_top,
                  end = first + state->band_rows_in;
    const int direct = first >= 0 && end <= conv->h &&
                       may_read_past(state, (image * conv->h + end) * conv->w);
    const float *x = direct ? w->x + (image * conv->h + first) * conv->w * conv->x_pixel
                            : copy_rows_in(w, image, first);
    return call(w, state->band_rows_in, conv->w, x, to);
}

/* What XNNPACK has not done, for pixels from `at` on; sums are at `from`. */
static void finish(const work *w, int64_t at, int64_t pixels, const float *from)
{
    const xnnpack_state *state = w->state;
    const hsi_conv2d *conv = &state->conv;
    const float *residual = NULL;
    int64_t residual_pixel = conv->residual_pixel;
    if (!state->has_after)
        return;
    if (state->copies_y) { /* y holds the residual: the sums are what is added */
        residual = from;
        residual_pixel = w->own.channels;
    } else if (w->residual) {
        residual = w->residual + at * conv->residual_pixel;
    }
    hsi_cpu_epilogue_run(&state->after, w->y + at * conv->y_pixel, conv->y_pixel,
                         residual, residual_pixel, pixels, w->own.channels);
}

static enum xnn_status run_share(const work *w)
{
    const xnnpack_state *state = w->state;
    const hsi_conv2d *conv = &state->conv;
    const int64_t step = state->flat ? state->band : 1;
    enum xnn_status status = xnn_status_success;
    for (int64_t i = w->own.begin; i < w->own.end && status == xnn_status_success;
         i += step) {
        const int64_t end = hsi_least(i + step, w->own.end);
        const int64_t each = state->flat ? 1 : state->band * conv->ow, at = i * each;
        float *to = state->copies_y ? w->y_scratch : w->y + at * conv->y_pixel;
        status = state->flat
                     ? run_pixels(w, i, end, to,
                                  state->copies_y ? w->own.channels : conv->y_pixel)
                     : run_band(w, i, to);
        if (status == xnn_status_success)
            finish(w, at, (end - i) * each, to);
    }
    return status;
}

hsched_status hsi_xnnpack_run(const hsched_step *step, const void *pointer,
                              void *slot_state, void *const *operands, uint32_t part,
                              void *scratch)
{
    const xnnpack_state *state = pointer;
    const hsi_conv2d *conv = &state->conv;
    const xnnpack_slot *slot = slot_state;
    work w = { .state = state,
               .own = find_share(state, part),
               .operator= slot->operators[part],
               .x_scratch = scratch,
               .y_scratch = (float *)((char *)scratch + state->y_offset) };
    w.x = (const float *)operands[0] + w.own.x_channel;
    w.y = (float *)operands[step->input_count] + w.own.channel;
    if (conv->has_residual && !conv->residual_in_place)
        w.residual = (const float *)operands[3] + w.own.channel;
    return to_status(run_share(&w), "to run a convolution");
}

#else
typedef int hsi_xnnpack_is_absent; /* a translation unit is never empty */
#endif
