/*
 * POOL2D, the largest of large windows, channels last: the largest along the width of each input
 * row are kept in a ring of as many rows as a window has, and output rows are the largest of these.
 * A window of k x k costs 2 k comparisons, not k * k, where rows are not skipped.
 */
#include "backend/cpu/kernel.h"
#include "backend/cpu/loop.h"
#include "backend/cpu/pool_fold.h"

#define LARGE     16   /* taps */
#define GRANULE   64   /* channels at a time are a multiple of it, or all */
#define RING      8192 /* floats that the ring should not have many more of */
#define MOST_RING ((int64_t)1 << 20)

static int64_t channels_at_once(const hsched_step *step)
{
    const int64_t all = step->out.dims[1];
    int64_t each =
        RING / (step->u.pool2d.kernel[0] * step->out.dims[3]) / GRANULE * GRANULE;
    each = each < GRANULE ? GRANULE : each;
    return each < all ? each : all;
}

size_t hsi_cpu_pool_by_axis_scratch(const hsched_step *step)
{
    const int64_t *kernel = step->u.pool2d.kernel;
    const int64_t width = step->out.dims[3];
    if (step->u.pool2d.kind != HSCHED_POOL_MAX || step->u.pool2d.dilations[0] != 1 ||
        !hsi_is_unit(&step->in[0], 1) || !hsi_is_unit(&step->out, 1) ||
        hsi_operand_count(&step->out) == 0 || kernel[0] < 2 || kernel[1] < 2 ||
        kernel[0] > MOST_RING || kernel[1] > MOST_RING || kernel[0] * kernel[1] < LARGE ||
        step->u.pool2d.strides[0] * 2 > kernel[0])
        return 0;
    if (width > MOST_RING / kernel[0] / channels_at_once(step))
        return 0;
    return ((size_t)(kernel[0] * width * channels_at_once(step)) * sizeof(float) + 63) /
           64 * 64;
}

/* The largest of each window of one input row, n channels. */
HSI_ISA_INLINE void pool_width(const hsched_step *step, const float *x, float *y,
                               int64_t n)
{
    const int64_t column = step->in[0].strides[3];
    for (int64_t ow = 0; ow < step->out.dims[3]; ow++, y += n) {
        const tap_range w = taps_inside(step, 1, ow);
        const tap_grid grid = { 1, w.count, 0, step->u.pool2d.dilations[1] * column };
        if (w.count == 0)
            fill(y, -INFINITY, n);
        else
            fold_grid(1, 1, x + w.first * column, &grid, y, n);
    }
}

/* One output row of `rows` rows of the ring from slot `first` on, which may wrap around. */
HSI_ISA_INLINE void pool_height(const hsched_step *step, const float *ring, int64_t first,
                                int64_t rows, float *y, int64_t n)
{
    const int64_t width = step->out.dims[3], slots = step->u.pool2d.kernel[0],
                  pixel = step->out.strides[3];
    const int64_t before = rows < slots - first ? rows : slots - first;
    const tap_grid upper = { before, 1, width * n, 0 },
                   lower = { rows - before, 1, width * n, 0 };
    for (int64_t ow = 0; ow < width; ow++, y += pixel) {
        if (rows == 0) {
            fill(y, -INFINITY, n);
            continue;
        }
        fold_grid(1, 1, ring + first * width * n + ow * n, &upper, y, n);
        if (rows > before)
            fold_grid(1, 0, ring + ow * n, &lower, y, n);
    }
}

HSI_ISA_INLINE void pool_rows_body(const hsched_step *step, const float *x, float *y,
                                   int64_t begin, int64_t end, int64_t n, float *ring)
{
    const int64_t slots = step->u.pool2d.kernel[0], slot = step->out.dims[3] * n;
    int64_t next = 0; /* the first input row that is not in the ring */
    for (int64_t oh = begin; oh < end; oh++) {
        const tap_range h = taps_inside(step, 0, oh);
        const int64_t behind = h.first + h.count;
        for (next = next > h.first ? next : h.first; next < behind; next++)
            pool_width(step, x + next * step->in[0].strides[2],
                       ring + next % slots * slot, n);
        if (h.count == slots) /* all slots, in any order */
            pool_height(step, ring, 0, slots, y + oh * step->out.strides[2], n);
        else
            pool_height(step, ring, h.count == 0 ? 0 : h.first % slots, h.count,
                        y + oh * step->out.strides[2], n);
    }
}
HSI_ISA_DISPATCH(pool_rows,
                 (const hsched_step *step, const float *x, float *y, int64_t begin,
                  int64_t end, int64_t n, float *ring),
                 (step, x, y, begin, end, n, ring))

void hsi_cpu_pool_by_axis(const hsched_step *step, const float *x, float *y,
                          int64_t begin, int64_t end, float *scratch)
{
    const int64_t all = step->out.dims[1], each = channels_at_once(step);
    for (int64_t c = 0; c < all; c += each)
        pool_rows(step, x + c, y + c, begin, end, all - c < each ? all - c : each,
                  scratch);
}
