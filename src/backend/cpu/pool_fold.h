/*
 * POOL2D: which elements a window has ("taps"), and rows of channels folded into one another.
 */
#ifndef HSI_BACKEND_CPU_POOL_FOLD_H
#define HSI_BACKEND_CPU_POOL_FOLD_H

#include <math.h>

#include <hsched/backend.h>

#include "backend/cpu/isa.h"

/* The taps of one output position along one dimension that lie inside the input. */
typedef struct tap_range {
    int64_t first; /* input position of tap 0 of `count` */
    int64_t count;
    int64_t
        padded; /* taps inside the input and its padding: all but what ceil_mode adds */
} tap_range;

HSI_ISA_INLINE tap_range taps_inside(const hsched_step *step, int dim, int64_t position)
{
    int64_t size = step->in[0].dims[2 + dim], dilation = step->u.pool2d.dilations[dim];
    int64_t start = position * step->u.pool2d.strides[dim] - step->u.pool2d.pads[dim];
    int64_t skipped = start < 0 ? (-start + dilation - 1) / dilation : 0;
    int64_t end = start < size ? (size - 1 - start) / dilation + 1 : 0;
    if (end > step->u.pool2d.kernel[dim])
        end = step->u.pool2d.kernel[dim];
    int64_t edge = size + step->u.pool2d.pads[2 + dim];
    int64_t padded = start < edge ? (edge - 1 - start) / dilation + 1 : 0;
    if (padded > step->u.pool2d.kernel[dim])
        padded = step->u.pool2d.kernel[dim];
    return (tap_range){ start + skipped * dilation, end > skipped ? end - skipped : 0,
                        padded };
}

HSI_ISA_INLINE float combine(int is_max, float a, float b)
{
    if (is_max)
        return a > b ? a : b;
    return a + b;
}

/* v, or a NaN if a or b is one: comparisons have lost it. */
HSI_ISA_INLINE float keep_nan(int is_max, float v, float a, float b)
{
    return is_max && __builtin_isunordered(a, b) ? NAN : v;
}

#define C2(a, b)       combine(is_max, (a), (b))
#define C4(a, b, c, d) C2(C2((a), (b)), C2((c), (d)))

/* y[n] = the k taps combined, and with what y holds unless this is the first group. */
HSI_ISA_INLINE void fold1(int is_max, int first, const float *const *tap,
                          float *restrict y, int64_t n)
{
    const float *p0 = tap[0];
    for (int64_t i = 0; i < n; i++)
        y[i] = first ? p0[i] : keep_nan(is_max, C2(y[i], p0[i]), y[i], p0[i]);
}

HSI_ISA_INLINE void fold4(int is_max, int first, const float *const *tap,
                          float *restrict y, int64_t n)
{
    const float *p0 = tap[0], *p1 = tap[1], *p2 = tap[2], *p3 = tap[3];
    for (int64_t i = 0; i < n; i++) {
        float v = C4(p0[i], p1[i], p2[i], p3[i]);
        v = keep_nan(is_max, v, p0[i], p1[i]);
        v = keep_nan(is_max, v, p2[i], p3[i]);
        y[i] = first ? v : keep_nan(is_max, C2(y[i], v), y[i], v);
    }
}

HSI_ISA_INLINE void fold8(int is_max, int first, const float *const *tap,
                          float *restrict y, int64_t n)
{
    const float *p0 = tap[0], *p1 = tap[1], *p2 = tap[2], *p3 = tap[3];
    const float *p4 = tap[4], *p5 = tap[5], *p6 = tap[6], *p7 = tap[7];
    for (int64_t i = 0; i < n; i++) {
        float v = C2(C4(p0[i], p1[i], p2[i], p3[i]), C4(p4[i], p5[i], p6[i], p7[i]));
        v = keep_nan(is_max, v, p0[i], p1[i]);
        v = keep_nan(is_max, v, p2[i], p3[i]);
        v = keep_nan(is_max, v, p4[i], p5[i]);
        v = keep_nan(is_max, v, p6[i], p7[i]);
        y[i] = first ? v : keep_nan(is_max, C2(y[i], v), y[i], v);
    }
}

/* A rectangle of taps: rows `row` and columns `col` floats apart. */
typedef struct tap_grid {
    int64_t rows, cols, row, col;
} tap_grid;

HSI_ISA_INLINE void fold_grid(int is_max, int first, const float *x, const tap_grid *g,
                              float *restrict y, int64_t n)
{
    const float *tap[8];
    int64_t left = g->rows * g->cols;
    int held = 0;
    for (int64_t r = 0; r < g->rows; r++) {
        for (int64_t c = 0; c < g->cols; c++) {
            tap[held++] = x + r * g->row + c * g->col;
            if (held < (left >= 8 ? 8 : left >= 4 ? 4 : 1))
                continue;
            if (held == 8)
                fold8(is_max, first, tap, y, n);
            else if (held == 4)
                fold4(is_max, first, tap, y, n);
            else
                fold1(is_max, first, tap, y, n);
            left -= held;
            held = 0;
            first = 0;
        }
    }
}

HSI_ISA_INLINE void fill(float *y, float value, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = value;
}

/*
 * Largest elements of large windows whose rows overlap: along the width, then along the height
 * (pool_by_axis.c). Bytes of scratch that it takes; 0 if it is no gain, or cannot be.
 */
size_t hsi_cpu_pool_by_axis_scratch(const hsched_step *step);
/* Output rows [begin, end) of the image x, channels last. */
void hsi_cpu_pool_by_axis(const hsched_step *step, const float *x, float *y,
                          int64_t begin, int64_t end, float *scratch);

#endif
