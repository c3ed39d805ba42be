/* NORM where groups, or the channels of several, lie side by side: a block of columns at a time,
 * whose statistics go down together; then those of a group's columns are put together. */
#include "backend/cpu/norm.h"

#include "backend/cpu/isa.h"

#define ACROSS HSI_NORM_ACROSS
#define ROWS   32 /* of a block: with ACROSS columns small against the first-level cache */

/* `rows` <= ROWS rows `stride` apart of n <= ACROSS columns: each one's mean, and the sum of
 * squares about it. */
HSI_ISA_INLINE void columns_body(const float *restrict x, int64_t stride, int64_t rows,
                                 int64_t n, float *restrict mean, float *restrict squares)
{
    float rest[ACROSS];
    const float part = 1 / (float)rows;
    for (int64_t i = 0; i < n; i++)
        mean[i] = rest[i] = squares[i] = 0;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i++)
            mean[i] += x[r * stride + i];
    for (int64_t i = 0; i < n; i++)
        mean[i] *= part;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i++) {
            const float d = x[r * stride + i] - mean[i];
            rest[i] += d;
            squares[i] += d * d;
        }
    for (int64_t i = 0; i < n; i++) {
        squares[i] -= rest[i] * rest[i] * part;
        rest[i] *= part;
    }
    /* What the mean lacks goes into doubles with it. */
    for (int64_t i = 0; i < n; i++)
        mean[ACROSS + i] = rest[i];
}
HSI_ISA_DISPATCH(columns,
                 (const float *restrict x, int64_t stride, int64_t rows, int64_t n,
                  float *restrict mean, float *restrict squares),
                 (x, stride, rows, n, mean, squares))

HSI_ISA_INLINE void columns_rms_body(const float *restrict x, int64_t stride,
                                     int64_t rows, int64_t n, float *restrict squares)
{
    for (int64_t i = 0; i < n; i++)
        squares[i] = 0;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i++)
            squares[i] += x[r * stride + i] * x[r * stride + i];
}
HSI_ISA_DISPATCH(columns_rms,
                 (const float *restrict x, int64_t stride, int64_t rows, int64_t n,
                  float *restrict squares),
                 (x, stride, rows, n, squares))

typedef struct column_sums {
    double mean[ACROSS], squares[ACROSS];
} column_sums;

/* As hsi_norm_join for each column: the counts are the same for all. */
HSI_ISA_INLINE void join_body(column_sums *restrict sums, double before, double count,
                              const float *restrict mean, const float *restrict squares,
                              int64_t n)
{
    const double weight = count / (before + count), both = before * weight;
    for (int64_t i = 0; i < n; i++) {
        const double delta = (double)mean[i] + (double)mean[ACROSS + i] - sums->mean[i];
        sums->mean[i] += delta * weight;
        sums->squares[i] += (double)squares[i] + delta * delta * both;
    }
}
HSI_ISA_DISPATCH(join,
                 (column_sums *restrict sums, double before, double count,
                  const float *restrict mean, const float *restrict squares, int64_t n),
                 (sums, before, count, mean, squares, n))

static void sum_columns(const hsi_norm *s, const float *x, int64_t n, column_sums *sums)
{
    float mean[2 * ACROSS] = { 0 }, squares[ACROSS];
    double before = 0;
    hsi_cursor cursor;
    hsi_tile t;
    for (int64_t i = 0; i < n; i++)
        sums->mean[i] = sums->squares[i] = 0;
    hsi_cursor_begin(&cursor, &s->read, 0, s->read.total);
    while (hsi_cursor_next(&cursor, &t))
        for (int64_t r = 0; r < t.rows; r++)
            for (int64_t c = 0; c < t.cols; c += ROWS) {
                const float *from =
                    x + t.offset[0] + r * t.row_stride[0] + c * t.col_stride[0];
                const int64_t rows = t.cols - c < ROWS ? t.cols - c : ROWS;
                if (s->rms)
                    columns_rms(from, t.col_stride[0], rows, n, squares);
                else
                    columns(from, t.col_stride[0], rows, n, mean, squares);
                join(sums, before, (double)rows, mean, squares, n);
                before += (double)rows;
            }
}

/* ---- Applying them -------------------------------------------------------- */

typedef struct column_maps {
    float mean[ACROSS], inverse[ACROSS], rest[ACROSS];
} column_maps;

HSI_ISA_INLINE void apply_some(const column_maps *restrict m, const float *restrict x,
                               const float *restrict scale, int64_t scale_stride,
                               const float *restrict bias, int64_t bias_stride,
                               float *restrict y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] =
            ((x[i] - m->mean[i]) * m->inverse[i] + m->rest[i]) * scale[i * scale_stride] +
            bias[i * bias_stride];
}

HSI_ISA_INLINE void apply_body(const column_maps *restrict m, const float *restrict x,
                               const float *restrict scale, int64_t scale_stride,
                               const float *restrict bias, int64_t bias_stride,
                               float *restrict y, int64_t n)
{
    if (scale_stride && bias_stride)
        apply_some(m, x, scale, 1, bias, 1, y, n);
    else if (scale_stride)
        apply_some(m, x, scale, 1, bias, 0, y, n);
    else if (bias_stride)
        apply_some(m, x, scale, 0, bias, 1, y, n);
    else
        apply_some(m, x, scale, 0, bias, 0, y, n);
}
HSI_ISA_DISPATCH(apply,
                 (const column_maps *restrict m, const float *restrict x,
                  const float *restrict scale, int64_t scale_stride,
                  const float *restrict bias, int64_t bias_stride, float *restrict y,
                  int64_t n),
                 (m, x, scale, scale_stride, bias, bias_stride, y, n))

/* Rows x_stride and y_stride apart, scale and bias being in the maps. */
HSI_ISA_INLINE void apply_folded_body(const column_maps *restrict m,
                                      const float *restrict x, int64_t x_stride,
                                      float *restrict y, int64_t y_stride, int64_t rows,
                                      int64_t n)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i++)
            y[r * y_stride + i] =
                (x[r * x_stride + i] - m->mean[i]) * m->inverse[i] + m->rest[i];
}
HSI_ISA_DISPATCH(apply_folded,
                 (const column_maps *restrict m, const float *restrict x,
                  int64_t x_stride, float *restrict y, int64_t y_stride, int64_t rows,
                  int64_t n),
                 (m, x, x_stride, y, y_stride, rows, n))

/* The rows of one row of a tile. */
static void apply_run(const hsi_norm *s, const column_maps *m, const float *const *at,
                      float *y, const int64_t *stride, int64_t rows, int64_t n)
{
    if (s->folded)
        apply_folded(m, at[HSI_NORM_X], stride[HSI_NORM_X], y, stride[HSI_NORM_Y], rows,
                     n);
    for (int64_t r = 0; r < rows; r++) {
        float *to = y + r * stride[HSI_NORM_Y];
        if (!s->folded)
            apply(m, at[HSI_NORM_X] + r * stride[HSI_NORM_X],
                  at[HSI_NORM_SCALE] + r * stride[HSI_NORM_SCALE], s->scale_stride,
                  at[HSI_NORM_BIAS] + r * stride[HSI_NORM_BIAS], s->bias_stride, to, n);
        if (s->act.kind != HSCHED_ACTIVATION_NONE)
            hsi_cpu_activate(s->act, to, (size_t)n);
    }
}

static void apply_columns(const hsi_norm *s, column_maps *m, const float *const *at,
                          float *y, int64_t n)
{
    hsi_cursor cursor;
    hsi_tile t;
    for (int64_t i = 0; i < n && s->folded; i++) {
        const float scale = at[HSI_NORM_SCALE][i * s->scale_stride];
        m->inverse[i] *= scale;
        m->rest[i] = m->rest[i] * scale + at[HSI_NORM_BIAS][i * s->bias_stride];
    }
    hsi_cursor_begin(&cursor, &s->inside, 0, s->inside.total);
    while (hsi_cursor_next(&cursor, &t))
        for (int64_t r = 0; r < t.rows; r++) {
            const float *row[3];
            for (int k = 0; k < 3; k++)
                row[k] = at[k] + t.offset[k] + r * t.row_stride[k];
            apply_run(s, m, row, y + t.offset[HSI_NORM_Y] + r * t.row_stride[HSI_NORM_Y],
                      t.col_stride, t.cols, n);
        }
}

/* ---- Units ---------------------------------------------------------------- */

/* Groups [first, end) whose columns begin at at[k]. Those of one group may be more than a block;
 * of several they are one. */
static void run_unit(const hsi_norm *s, const float *const *at, float *y, int64_t groups)
{
    const int64_t columns = groups * s->members;
    hsi_norm_sum sums[ACROSS];
    column_sums of_columns;
    column_maps maps;
    for (int64_t g = 0; g < groups; g++)
        sums[g] = (hsi_norm_sum){ 0 };
    for (int64_t c = 0; c < columns; c += ACROSS) {
        const int64_t n = columns - c < ACROSS ? columns - c : ACROSS;
        sum_columns(s, at[HSI_NORM_X] + c, n, &of_columns);
        for (int64_t i = 0; i < n; i++)
            hsi_norm_join(&sums[(c + i) / s->members], (double)s->read.total,
                          of_columns.mean[i], of_columns.squares[i]);
    }
    for (int64_t c = 0; c < columns; c += ACROSS) {
        const int64_t n = columns - c < ACROSS ? columns - c : ACROSS;
        const float *from[3] = { at[0] + c, at[1] + c * s->scale_stride,
                                 at[2] + c * s->bias_stride };
        hsi_norm_map map = { 0 };
        for (int64_t i = 0; i < n; i++) {
            const int64_t g = (c + i) / s->members;
            if (i == 0 || (c + i) % s->members == 0)
                map = hsi_norm_make_map(s, sums[g], at[HSI_NORM_X] + g * s->members,
                                        s->members);
            maps.mean[i] = map.mean;
            maps.inverse[i] = map.inverse;
            maps.rest[i] = map.rest;
        }
        apply_columns(s, &maps, from, y + c, n);
    }
}

void hsi_norm_run_across(const hsi_norm *s, const float *x, const float *scale,
                         const float *bias, float *y, int64_t begin, int64_t end)
{
    const int64_t groups = s->columns / s->members;
    const int64_t each = (groups + s->groups_each - 1) / s->groups_each;
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t first = unit % each * s->groups_each;
        const int64_t count =
            groups - first < s->groups_each ? groups - first : s->groups_each;
        const int64_t column = first * s->members;
        hsi_cursor cursor;
        hsi_tile t;
        hsi_cursor_begin(&cursor, &s->kept, unit / each, unit / each + 1);
        hsi_cursor_next(&cursor, &t);
        const float *at[3] = { x + t.offset[HSI_NORM_X] + column,
                               scale + t.offset[HSI_NORM_SCALE] +
                                   column * s->scale_stride,
                               bias + t.offset[HSI_NORM_BIAS] + column * s->bias_stride };
        run_unit(s, at, y + t.offset[HSI_NORM_Y] + column, count);
    }
}
