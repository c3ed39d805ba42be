/*
 * SOFTMAX along one axis of n elements: out = exp(x - max) / sum of exp(x - max), or its
 * logarithm, x - max - log of that sum.
 *
 * Four forms: the axis is contiguous (a row of n floats at a time); the positions are
 * (blocks of positions side by side, walking along the axis); a row does not fill the lanes
 * (such blocks, through scratch memory); neither (each row goes through scratch memory).
 * Exponentials that are no normal floats are taken as 0.
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "backend/cpu/exp.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/loop.h"

#define LANES  32
#define WIDE   64
#define ACROSS 64 /* positions side by side */
#define FEW    16 /* and so many are worth it to lay them so */

typedef enum softmax_mode {
    SOFTMAX_ROWS,
    SOFTMAX_ACROSS,
    SOFTMAX_SHORT,
    SOFTMAX_STRIDED
} softmax_mode;

/* Rows of n, whose elements are x_stride and y_stride apart. */
typedef struct rows_across {
    int64_t n, x_stride, y_stride;
} rows_across;

typedef struct softmax_state {
    softmax_mode mode;
    int log;
    hsi_loop positions; /* over all dimensions but the axis: x, out */
    rows_across axis;
} softmax_state;

HSI_ISA_INLINE void max_halves(float *lane, int half)
{
    for (int k = 0; k < half; k++)
        lane[k] = lane[k + half] > lane[k] ? lane[k + half] : lane[k];
}

/* ---- Rows ----------------------------------------------------------------- */

/* The largest of n >= width floats; width is 16 or 64. The last of them are looked at again where
 * n is no multiple. */
HSI_ISA_INLINE float max_of(const float *x, int64_t n, int width)
{
    float lane[WIDE], best = -INFINITY;
    for (int k = 0; k < width; k++)
        lane[k] = x[n - width + k];
    for (int k = 0; k < width; k++)
        lane[k] = lane[k] == lane[k] ? lane[k] : -INFINITY; /* no NaN */
    for (int64_t i = 0; i + width <= n; i += width)
        for (int k = 0; k < width; k++)
            lane[k] = x[i + k] > lane[k] ? x[i + k] : lane[k];
    if (width > 16) {
        max_halves(lane, 32);
        max_halves(lane, 16);
    }
    max_halves(lane, 8);
    max_halves(lane, 4);
    for (int k = 0; k < 4; k++)
        best = lane[k] > best ? lane[k] : best;
    return best;
}

HSI_ISA_INLINE float row_max(const float *x, int64_t n)
{
    float best = -INFINITY;
    if (n >= WIDE)
        return max_of(x, n, WIDE);
    if (n >= 16)
        return max_of(x, n, 16);
    for (int64_t i = 0; i < n; i++)
        best = x[i] > best ? x[i] : best;
    return best;
}

/* What a row's elements are compared with: the largest, which none of them is above, and EXP_LOW,
 * which must not be known to the compiler: it would become masks, where a maximum is one
 * instruction. */
typedef struct row_limits {
    float max, low;
} row_limits;

HSI_ISA_INLINE float exp_below(float x, row_limits limits)
{
    const float less = x - limits.max;
    return exp_within(less < limits.low ? limits.low : less);
}

/* lane[k] += y[k] = exp(x[k] - max); x may be y. */
HSI_ISA_INLINE void exp_lanes(const float *x, row_limits limits, float *y, int stores,
                              float *restrict lane)
{
    _Pragma("GCC ivdep") for (int k = 0; k < LANES; k++)
    {
        const float e = exp_below(x[k], limits);
        if (stores)
            y[k] = e;
        lane[k] += e;
    }
}

/* The last `count` of a row of n. Where they are fewer than LANES those before them are computed
 * once more, and not added. */
HSI_ISA_INLINE void exp_last(const float *x, row_limits limits, float *y, int stores,
                             int64_t n, int count, float *restrict lane)
{
    float last[LANES];
    if (n < LANES) {
        for (int k = 0; k < LANES; k++)
            last[k] = -INFINITY; /* adds nothing */
        memcpy(last, x, (size_t)n * sizeof *last);
        exp_lanes(last, limits, last, 1, lane);
        if (stores)
            memcpy(y, last, (size_t)n * sizeof *last);
        return;
    }
    _Pragma("GCC ivdep") for (int k = 0; k < LANES; k++)
    {
        const float e = exp_below(x[n - LANES + k], limits);
        if (stores)
            y[n - LANES + k] = e;
        lane[k] += k < LANES - count ? 0 : e;
    }
}

/* The sum of exp(x - max), which is stored to y, too, if `stores`. */
HSI_ISA_INLINE double exp_row(const float *x, row_limits limits, float *y, int stores,
                              int64_t n)
{
    double sum = 0;
    int64_t i = 0;
    while (i < n) {
        const int64_t end = n - i < HSI_BLOCK ? n : i + HSI_BLOCK;
        float lane[LANES] = { 0 };
        for (; i + LANES <= end; i += LANES)
            exp_lanes(x + i, limits, y + i, stores, lane);
        if (i < end)
            exp_last(x, limits, y, stores, n, (int)(end - i), lane);
        i = end;
        sum += (double)hsi_isa_sum(lane, LANES);
    }
    return sum;
}

/* Rows x_pitch and y_pitch apart. */
HSI_ISA_INLINE void rows_body(const float *x, int64_t x_pitch, float *y, int64_t y_pitch,
                              int64_t rows, int64_t n, int log, float low)
{
    for (int64_t r = 0; r < rows; r++, x += x_pitch, y += y_pitch) {
        const float max = row_max(x, n);
        const row_limits limits = { max, low };
        if (log) {
            float none[LANES];
            const float less = logf((float)exp_row(x, limits, none, 0, n));
            _Pragma("GCC ivdep") for (int64_t i = 0; i < n; i++) y[i] =
                (x[i] - max) - less;
        } else {
            const float factor = (float)(1 / exp_row(x, limits, y, 1, n));
            for (int64_t i = 0; i < n; i++)
                y[i] *= factor;
        }
    }
}
HSI_ISA_DISPATCH(rows,
                 (const float *x, int64_t x_pitch, float *y, int64_t y_pitch,
                  int64_t rows, int64_t n, int log, float low),
                 (x, x_pitch, y, y_pitch, rows, n, log, low))

/* ---- Positions side by side ----------------------------------------------- */

HSI_ISA_INLINE void take_max_body(const float *restrict x, float *restrict max,
                                  int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        max[i] = x[i] > max[i] ? x[i] : max[i];
}
HSI_ISA_DISPATCH(take_max, (const float *restrict x, float *restrict max, int64_t count),
                 (x, max, count))

/* sum[i] += y[i] = exp(x[i] - max[i]) */
HSI_ISA_INLINE void exp_each_body(const float *restrict x, const float *restrict max,
                                  float *restrict y, double *restrict sum, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        y[i] = exp_inline(x[i] - max[i]);
    for (int64_t i = 0; i < count; i++)
        sum[i] += (double)y[i];
}
HSI_ISA_DISPATCH(exp_each,
                 (const float *restrict x, const float *restrict max, float *restrict y,
                  double *restrict sum, int64_t count),
                 (x, max, y, sum, count))

HSI_ISA_INLINE void multiply_each_body(float *restrict y, const float *restrict factor,
                                       int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        y[i] *= factor[i];
}
HSI_ISA_DISPATCH(multiply_each,
                 (float *restrict y, const float *restrict factor, int64_t count),
                 (y, factor, count))

/* `count` <= ACROSS neighbouring positions. */
static void softmax_across(const rows_across *s, const float *x, float *y, int64_t count)
{
    float value[ACROSS]; /* the maxima, then what to multiply with */
    double sum[ACROSS];
    for (int64_t i = 0; i < count; i++) {
        value[i] = -INFINITY;
        sum[i] = 0;
    }
    for (int64_t k = 0; k < s->n; k++)
        take_max(x + k * s->x_stride, value, count);
    for (int64_t k = 0; k < s->n; k++)
        exp_each(x + k * s->x_stride, value, y + k * s->y_stride, sum, count);
    for (int64_t i = 0; i < count; i++)
        value[i] = (float)(1 / sum[i]);
    for (int64_t k = 0; k < s->n; k++)
        multiply_each(y + k * s->y_stride, value, count);
}

HSI_ISA_INLINE void subtract_both_of_each_body(const float *restrict x,
                                               const float *restrict max,
                                               const float *restrict log,
                                               float *restrict y, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        y[i] = (x[i] - max[i]) - log[i];
}
HSI_ISA_DISPATCH(subtract_both_of_each,
                 (const float *restrict x, const float *restrict max,
                  const float *restrict log, float *restrict y, int64_t count),
                 (x, max, log, y, count))

static void log_softmax_across(const rows_across *s, const float *x, float *y,
                               int64_t count)
{
    float max[ACROSS], buffer[ACROSS];
    double sum[ACROSS];
    for (int64_t i = 0; i < count; i++) {
        max[i] = -INFINITY;
        sum[i] = 0;
    }
    for (int64_t k = 0; k < s->n; k++)
        take_max(x + k * s->x_stride, max, count);
    for (int64_t k = 0; k < s->n; k++)
        exp_each(x + k * s->x_stride, max, buffer, sum, count);
    for (int64_t i = 0; i < count; i++)
        buffer[i] = (float)log(sum[i]);
    for (int64_t k = 0; k < s->n; k++)
        subtract_both_of_each(x + k * s->x_stride, max, buffer, y + k * s->y_stride,
                              count);
}

/* ---- The kernel ----------------------------------------------------------- */

static const volatile float exp_low = EXP_LOW; /* row_limits */

static void run_across(int log, const rows_across *rows, const float *x, float *y,
                       int64_t count)
{
    (log ? log_softmax_across : softmax_across)(rows, x, y, count);
}

/* `cols` positions, x_pitch and y_pitch apart; scratch has room for two blocks of them. */
static void run_short(const softmax_state *s, const float *x, int64_t x_pitch, float *y,
                      int64_t y_pitch, int64_t cols, float *scratch)
{
    const rows_across block = { s->axis.n, ACROSS, ACROSS };
    float *results = scratch + s->axis.n * ACROSS;
    for (int64_t c = 0; c < cols; c += ACROSS) {
        const int64_t count = cols - c < ACROSS ? cols - c : ACROSS;
        for (int64_t k = 0; k < s->axis.n; k++)
            for (int64_t i = 0; i < count; i++)
                scratch[k * ACROSS + i] = x[(c + i) * x_pitch + k * s->axis.x_stride];
        run_across(s->log, &block, scratch, results, count);
        for (int64_t k = 0; k < s->axis.n; k++)
            for (int64_t i = 0; i < count; i++)
                y[(c + i) * y_pitch + k * s->axis.y_stride] = results[k * ACROSS + i];
    }
}

static void run_strided(const softmax_state *s, const float *x, int64_t x_pitch, float *y,
                        int64_t y_pitch, int64_t cols, float *row)
{
    const int64_t n = s->axis.n;
    for (int64_t c = 0; c < cols; c++, x += x_pitch, y += y_pitch) {
        for (int64_t k = 0; k < n; k++)
            row[k] = x[k * s->axis.x_stride];
        rows(row, 0, row + n, 0, 1, n, s->log, exp_low);
        hsi_scatter(row + n, y, s->axis.y_stride, n);
    }
}

static void run_tile(const softmax_state *s, const hsi_tile *t, const float *x, float *y,
                     float *scratch)
{
    for (int64_t r = 0; r < t->rows; r++) {
        const float *from = x + t->offset[0] + r * t->row_stride[0];
        float *to = y + t->offset[1] + r * t->row_stride[1];
        switch (s->mode) {
        case SOFTMAX_ROWS:
            rows(from, t->col_stride[0], to, t->col_stride[1], t->cols, s->axis.n, s->log,
                 exp_low);
            break;
        case SOFTMAX_ACROSS:
            for (int64_t c = 0; c < t->cols; c += ACROSS)
                run_across(s->log, &s->axis, from + c, to + c,
                           t->cols - c < ACROSS ? t->cols - c : ACROSS);
            break;
        case SOFTMAX_SHORT:
            run_short(s, from, t->col_stride[0], to, t->col_stride[1], t->cols, scratch);
            break;
        case SOFTMAX_STRIDED:
            run_strided(s, from, t->col_stride[0], to, t->col_stride[1], t->cols,
                        scratch);
            break;
        }
    }
}

static hsched_status softmax_run(const hsched_step *step, const void *state,
                                 void *slot_state, void *const *operands, uint32_t part,
                                 void *scratch)
{
    const softmax_state *s = state;
    int64_t begin, end;
    hsi_cursor cursor;
    hsi_tile t;
    (void)slot_state;
    hsi_part_range(s->positions.total, part, step->parts, &begin, &end);
    hsi_cursor_begin(&cursor, &s->positions, begin, end);
    while (hsi_cursor_next(&cursor, &t))
        run_tile(s, &t, operands[0], operands[1], scratch);
    return HSCHED_OK;
}

static int softmax_supports(const hsched_step *step)
{
    return hsi_is_float(&step->in[0]) && hsi_is_float(&step->out) &&
           step->u.softmax.axis < step->out.rank &&
           step->act.kind == HSCHED_ACTIVATION_NONE;
}

static hsched_status softmax_prepare(const hsi_cpu_prepare_context *context,
                                     hsched_step *step, hsi_cpu_prepared *prepared)
{
    const int64_t *strides[2] = { step->in[0].strides, step->out.strides };
    int64_t dims[HSCHED_MAX_DIMS];
    uint32_t axis = step->u.softmax.axis;
    (void)context;
    softmax_state *s = HSI_NEW(softmax_state);
    if (s == NULL)
        return hsi_out_of_memory("the plan of a softmax step");
    for (uint32_t d = 0; d < step->out.rank; d++)
        dims[d] = d == axis ? 1 : step->out.dims[d];
    hsi_loop_init(&s->positions, step->out.rank, dims, 2, strides);
    s->log = step->u.softmax.log != 0;
    s->axis = (rows_across){ step->out.dims[axis], step->in[0].strides[axis],
                             step->out.strides[axis] };
    const size_t row = (size_t)s->axis.n * sizeof(float);
    const int unit = hsi_is_unit(&step->in[0], axis) && hsi_is_unit(&step->out, axis);
    if (unit && (s->axis.n >= LANES || s->positions.total < FEW)) {
        s->mode = SOFTMAX_ROWS;
    } else if (hsi_loop_inner(&s->positions, 0) == 1 &&
               hsi_loop_inner(&s->positions, 1) == 1) {
        s->mode = SOFTMAX_ACROSS;
    } else if (s->axis.n < LANES) {
        s->mode = SOFTMAX_SHORT;
        prepared->scratch_size = 2 * ACROSS * row;
    } else {
        s->mode = SOFTMAX_STRIDED;
        prepared->scratch_size = (2 * row + 63) & ~(size_t)63;
    }
    prepared->state = s;
    hsi_lower_parts(step,
                    2.0 * sizeof(float) * (double)s->positions.total * (double)s->axis.n,
                    s->positions.total);
    return HSCHED_OK;
}

static const hsi_cpu_kernel softmax_kernel = {
    .name = "own/softmax",
    .kind = HSCHED_STEP_SOFTMAX,
    .library = HSCHED_LIBRARY_OWN,
    .supports = softmax_supports,
    .prepare = softmax_prepare,
    .destroy = hsi_free,
    .run = softmax_run,
};

const hsi_cpu_kernel *const hsi_cpu_kernels_softmax[] = { &softmax_kernel,
                                                          &hsi_cpu_kernel_softmax_double,
                                                          NULL };
