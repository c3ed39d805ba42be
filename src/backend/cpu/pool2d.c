/*
 * POOL2D: x [N,C,H,W] -> out [N,C,H',W'], maximum or average over windows.
 *
 * Where channels are neighbours in memory on both sides, an output pixel is a row of C
 * floats and so is each of the window's elements ("taps"): taps are folded into the
 * output eight, four or one at a time; the largest of large windows are found along one axis
 * after the other (pool_by_axis.c). Other strides go element by element. Work is split
 * by output rows and, when there are fewer of them than parts, by channels.
 */
#include <math.h>

#include "backend/cpu/isa.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/loop.h"
#include "backend/cpu/pool_fold.h"

/* Taps from which averages are summed in two levels, so that rounding errors stay small.
 */
#define LONG_WINDOW     64
#define LONG_CHANNELS   256
#define CHANNEL_GRANULE 64

/* ---- Channels last -------------------------------------------------------- */

/* The full windows of the most frequent sizes: `count` output pixels, x_step and y_step
 * apart. */
HSI_ISA_INLINE void pixels_3x3(int is_max, const float *x, int64_t x_step,
                               const tap_grid *g, float *restrict y, int64_t y_step,
                               int64_t count, int64_t n, float factor)
{
    int64_t row = g->row, col = g->col;
    for (int64_t k = 0; k < count; k++, x += x_step, y += y_step) {
        const float *a = x, *b = x + row, *c = x + 2 * row;
        for (int64_t i = 0; i < n; i++) {
            float u = C2(C2(a[i], a[col + i]), a[2 * col + i]);
            float v = C2(C2(b[i], b[col + i]), b[2 * col + i]);
            float w = C2(C2(c[i], c[col + i]), c[2 * col + i]);
            float r = C2(C2(u, v), w);
            r = keep_nan(is_max, r, a[i], a[col + i]);
            r = keep_nan(is_max, r, a[2 * col + i], b[i]);
            r = keep_nan(is_max, r, b[col + i], b[2 * col + i]);
            r = keep_nan(is_max, r, c[i], c[col + i]);
            r = keep_nan(is_max, r, c[2 * col + i], c[2 * col + i]);
            y[i] = is_max ? r : r * factor;
        }
    }
}

HSI_ISA_INLINE void pixels_2x2(int is_max, const float *x, int64_t x_step,
                               const tap_grid *g, float *restrict y, int64_t y_step,
                               int64_t count, int64_t n, float factor)
{
    int64_t row = g->row, col = g->col;
    for (int64_t k = 0; k < count; k++, x += x_step, y += y_step) {
        const float *a = x, *b = x + row;
        for (int64_t i = 0; i < n; i++) {
            float v = C4(a[i], a[col + i], b[i], b[col + i]);
            v = keep_nan(is_max, v, a[i], a[col + i]);
            v = keep_nan(is_max, v, b[i], b[col + i]);
            y[i] = is_max ? v : v * factor;
        }
    }
}

/* Sums of many taps: a row of the window at a time, and these sums then. */
HSI_ISA_INLINE void sum_long(const float *x, const tap_grid *g, float *restrict y,
                             int64_t n)
{
    float part[LONG_CHANNELS];
    const tap_grid row = { 1, g->cols, 0, g->col };
    const float *const tap[1] = { part };
    for (int64_t c = 0; c < n; c += LONG_CHANNELS) {
        int64_t count = n - c < LONG_CHANNELS ? n - c : LONG_CHANNELS;
        for (int64_t r = 0; r < g->rows; r++) {
            fold_grid(0, 1, x + c + r * g->row, &row, part, count);
            fold1(0, r == 0, tap, y + c, count);
        }
    }
}

HSI_ISA_INLINE void multiply(float *y, float factor, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] *= factor;
}

/* One output pixel; an average divides by `divisor`. */
HSI_ISA_INLINE void pool_pixel(int is_max, const float *x, const tap_grid *g,
                               int64_t divisor, float *y, int64_t n)
{
    int64_t taps = g->rows * g->cols;
    if (taps == 0) { /* a window in the padding alone */
        fill(y, is_max ? -INFINITY : 0, n);
        return;
    }
    if (is_max || taps <= LONG_WINDOW)
        fold_grid(is_max, 1, x, g, y, n);
    else
        sum_long(x, g, y, n);
    if (!is_max)
        multiply(y, 1.0f / (float)divisor, n);
}

/* Output columns [*begin, *end) have windows that lie inside the input's width. */
HSI_ISA_INLINE void inner_columns(const hsched_step *step, int64_t *begin, int64_t *end)
{
    int64_t stride = step->u.pool2d.strides[1], pad = step->u.pool2d.pads[1];
    int64_t reach = (step->u.pool2d.kernel[1] - 1) * step->u.pool2d.dilations[1];
    int64_t room =
        step->in[0].dims[3] - 1 - reach + pad; /* the last start, counted from -pad */
    int64_t width = step->out.dims[3];
    *begin = (pad + stride - 1) / stride;
    *end = room < 0 ? 0 : room / stride + 1;
    *begin = *begin < width ? *begin : width;
    *end = *end < width ? *end : width;
    *end = *end > *begin ? *end : *begin;
}

/* One row of output pixels, channels [0, n) of x and y. */
HSI_ISA_INLINE void pool_row_body(const hsched_step *step, const float *x, float *y,
                                  int64_t oh, int64_t n, int is_max)
{
    const int64_t *xs = step->in[0].strides, *ys = step->out.strides;
    const int64_t *kernel = step->u.pool2d.kernel;
    tap_range h = taps_inside(step, 0, oh);
    tap_grid grid = { h.count, 0, step->u.pool2d.dilations[0] * xs[2],
                      step->u.pool2d.dilations[1] * xs[3] };
    int64_t inner, inner_end, x_step = step->u.pool2d.strides[1] * xs[3];
    int side = h.count == 3 && kernel[0] == 3 && kernel[1] == 3   ? 3
               : h.count == 2 && kernel[0] == 2 && kernel[1] == 2 ? 2
                                                                  : 0;
    x += h.first * xs[2];
    y += oh * ys[2];
    inner_columns(step, &inner, &inner_end);
    for (int64_t ow = 0; ow < step->out.dims[3]; ow++) {
        tap_range w = taps_inside(step, 1, ow);
        grid.cols = w.count;
        if (side == 0 || ow < inner || ow >= inner_end) {
            int64_t divisor = step->u.pool2d.count_include_pad ? h.padded * w.padded
                                                               : h.count * w.count;
            pool_pixel(is_max, x + w.first * xs[3], &grid, divisor, y + ow * ys[3], n);
            continue;
        }
        float factor = 1.0f / (float)(side * side);
        if (side == 3)
            pixels_3x3(is_max, x + w.first * xs[3], x_step, &grid, y + ow * ys[3], ys[3],
                       inner_end - ow, n, factor);
        else
            pixels_2x2(is_max, x + w.first * xs[3], x_step, &grid, y + ow * ys[3], ys[3],
                       inner_end - ow, n, factor);
        ow = inner_end - 1;
    }
}

HSI_ISA_INLINE void max_row_body(const hsched_step *step, const float *x, float *y,
                                 int64_t oh, int64_t n)
{
    pool_row_body(step, x, y, oh, n, 1);
}
HSI_ISA_DISPATCH(max_row,
                 (const hsched_step *step, const float *x, float *y, int64_t oh,
                  int64_t n),
                 (step, x, y, oh, n))

HSI_ISA_INLINE void average_row_body(const hsched_step *step, const float *x, float *y,
                                     int64_t oh, int64_t n)
{
    pool_row_body(step, x, y, oh, n, 0);
}
HSI_ISA_DISPATCH(average_row,
                 (const hsched_step *step, const float *x, float *y, int64_t oh,
                  int64_t n),
                 (step, x, y, oh, n))

/* ---- Any strides ---------------------------------------------------------- */

static float pool_element(const hsched_step *step, const float *x, tap_range h,
                          tap_range w)
{
    const int64_t *xs = step->in[0].strides, *dilations = step->u.pool2d.dilations;
    int is_max = step->u.pool2d.kind == HSCHED_POOL_MAX;
    double sum = 0;
    float best = -INFINITY;
    for (int64_t kh = 0; kh < h.count; kh++) {
        for (int64_t kw = 0; kw < w.count; kw++) {
            float v = x[(h.first + kh * dilations[0]) * xs[2] +
                        (w.first + kw * dilations[1]) * xs[3]];
            best = v > best || isnan(v) ? v : best;
            sum += v;
        }
    }
    if (is_max)
        return best;
    int64_t taps = h.count * w.count;
    if (taps == 0)
        return 0;
    if (step->u.pool2d.count_include_pad)
        taps = h.padded * w.padded;
    return (float)(sum / (double)taps);
}

static void pool_row_strided(const hsched_step *step, const float *x, float *y,
                             int64_t oh, int64_t n)
{
    const int64_t *xs = step->in[0].strides, *ys = step->out.strides;
    tap_range h = taps_inside(step, 0, oh);
    for (int64_t ow = 0; ow < step->out.dims[3]; ow++) {
        tap_range w = taps_inside(step, 1, ow);
        for (int64_t c = 0; c < n; c++)
            y[c * ys[1] + oh * ys[2] + ow * ys[3]] =
                pool_element(step, x + c * xs[1], h, w);
    }
}

/* ---- The kernel ----------------------------------------------------------- */

/* Output rows [begin, end) of all images, an image at a time. */
static void run_by_axis(const hsched_step *step, const float *x, float *y, int64_t begin,
                        int64_t end, float *scratch)
{
    const int64_t height = step->out.dims[2];
    while (begin < end) {
        const int64_t image = begin / height, first = begin % height;
        const int64_t rows = end - begin < height - first ? end - begin : height - first;
        hsi_cpu_pool_by_axis(step, x + image * step->in[0].strides[0],
                             y + image * step->out.strides[0], first, first + rows,
                             scratch);
        begin += rows;
    }
}

/* Blocks into which the channels are split for `parts` parts. */
static int64_t channel_blocks(const hsched_step *step, uint32_t parts)
{
    int64_t rows = step->out.dims[0] * step->out.dims[2];
    int64_t granules = (step->out.dims[1] + CHANNEL_GRANULE - 1) / CHANNEL_GRANULE;
    if (rows >= (int64_t)parts || rows == 0)
        return 1;
    int64_t blocks = ((int64_t)parts + rows - 1) / rows;
    return blocks < granules ? blocks : granules;
}

static hsched_status pool_run(const hsched_step *step, const void *state,
                              void *slot_state, void *const *operands, uint32_t part,
                              void *scratch)
{
    const float *x = operands[0];
    float *y = operands[1];
    const hsched_operand *in = &step->in[0], *out = &step->out;
    int64_t blocks = channel_blocks(step, step->parts), begin, end;
    int64_t granules = (out->dims[1] + CHANNEL_GRANULE - 1) / CHANNEL_GRANULE;
    int channels_last = hsi_is_unit(in, 1) && hsi_is_unit(out, 1);
    (void)state;
    (void)slot_state;
    if (blocks < 1) /* no channels */
        return HSCHED_OK;
    hsi_part_range(out->dims[0] * out->dims[2] * blocks, part, step->parts, &begin, &end);
    if (blocks == 1 && hsi_cpu_pool_by_axis_scratch(step) > 0) {
        run_by_axis(step, x, y, begin, end, scratch);
        return HSCHED_OK;
    }
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t oh = unit / blocks % out->dims[2], image = unit / blocks / out->dims[2];
        int64_t c0, c1;
        hsi_part_range(granules, (uint32_t)(unit % blocks), (uint32_t)blocks, &c0, &c1);
        c0 *= CHANNEL_GRANULE;
        c1 = c1 * CHANNEL_GRANULE < out->dims[1] ? c1 * CHANNEL_GRANULE : out->dims[1];
        const float *from = x + image * in->strides[0] + c0 * in->strides[1];
        float *to = y + image * out->strides[0] + c0 * out->strides[1];
        if (!channels_last)
            pool_row_strided(step, from, to, oh, c1 - c0);
        else if (step->u.pool2d.kind == HSCHED_POOL_MAX)
            max_row(step, from, to, oh, c1 - c0);
        else
            average_row(step, from, to, oh, c1 - c0);
    }
    return HSCHED_OK;
}

static int pool_supports(const hsched_step *step)
{
    return hsi_is_float(&step->in[0]) && hsi_is_float(&step->out) &&
           step->out.rank == 4 && step->act.kind == HSCHED_ACTIVATION_NONE &&
           (step->u.pool2d.kind == HSCHED_POOL_MAX ||
            step->u.pool2d.kind == HSCHED_POOL_AVERAGE);
}

static hsched_status pool_prepare(const hsi_cpu_prepare_context *context,
                                  hsched_step *step, hsi_cpu_prepared *prepared)
{
    double count = hsi_operand_count(&step->in[0]) + hsi_operand_count(&step->out);
    int64_t rows = step->out.dims[0] * step->out.dims[2];
    (void)context;
    prepared->scratch_size = hsi_cpu_pool_by_axis_scratch(step);
    hsi_lower_parts(step, count * sizeof(float),
                    rows * channel_blocks(step, step->parts));
    return HSCHED_OK;
}

static const hsi_cpu_kernel pool_kernel = {
    .name = "own/pool2d",
    .kind = HSCHED_STEP_POOL2D,
    .library = HSCHED_LIBRARY_OWN,
    .supports = pool_supports,
    .prepare = pool_prepare,
    .run = pool_run,
};

const hsi_cpu_kernel *const hsi_cpu_kernels_pool2d[] = { &pool_kernel, NULL };
