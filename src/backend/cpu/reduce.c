/*
 * REDUCE, means and sums of floats: of in[0] over the dimensions in which out's size is 1 and
 * in[0]'s is not. Sums are kept in double, of floats that eight at a time are added up as such.
 * Others: reduce_any.c.
 *
 * Two forms: neighbouring outputs read neighbouring inputs (channels-last images over H
 * and W): a block of sums side by side; otherwise each output sums its inputs, in lanes
 * where they are contiguous.
 */
#include "base/alloc.h"
#include "base/status.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/loop.h"

#define LANES  64
#define SHORT  8   /* floats that are added up as such */
#define ACROSS 256 /* sums side by side */

typedef struct reduce_state {
    hsi_loop kept;    /* over the dimensions that stay: in, out */
    hsi_loop reduced; /* over the others: in */
    int across;
    int rows; /* what is reduced lies one behind the other */
} reduce_state;

/* The sum of eight rows at i, in floats. */
HSI_ISA_INLINE float eight_rows(const float *x, int64_t stride, int64_t i)
{
    const float *y = x + 4 * stride;
    const float a = (x[i] + x[stride + i]) + (x[2 * stride + i] + x[3 * stride + i]);
    const float b = (y[i] + y[stride + i]) + (y[2 * stride + i] + y[3 * stride + i]);
    return a + b;
}

/* sum[n] += the rows x[k * stride .. + n], k < rows. */
HSI_ISA_INLINE void add_rows_body(const float *restrict x, int64_t stride, int64_t rows,
                                  double *restrict sum, int64_t n)
{
    int64_t k = 0;
    for (; k + 8 <= rows; k += 8, x += 8 * stride)
        for (int64_t i = 0; i < n; i++)
            sum[i] += (double)eight_rows(x, stride, i);
    for (; k < rows; k++, x += stride)
        for (int64_t i = 0; i < n; i++)
            sum[i] += (double)x[i];
}
HSI_ISA_DISPATCH(add_rows,
                 (const float *restrict x, int64_t stride, int64_t rows,
                  double *restrict sum, int64_t n),
                 (x, stride, rows, sum, n))

/* x[0] + ... + x[n-1] */
HSI_ISA_INLINE double sum_inline(const float *x, int64_t n)
{
    double lane[LANES] = { 0 }, total = 0;
    int64_t i = 0;
    while (i + LANES <= n) {
        const int64_t rows = (n - i) / LANES, some = rows < SHORT ? rows : SHORT;
        float few[LANES];
        for (int k = 0; k < LANES; k++)
            few[k] = x[i + k];
        for (int64_t j = 1; j < some; j++)
            for (int k = 0; k < LANES; k++)
                few[k] += x[i + j * LANES + k];
        for (int k = 0; k < LANES; k++)
            lane[k] += (double)few[k];
        i += some * LANES;
    }
    for (int k = 0; i < n; i++, k++)
        lane[k] += (double)x[i];
    for (int k = 0; k < 32; k++)
        lane[k] += lane[k + 32];
    for (int k = 0; k < 16; k++)
        lane[k] += lane[k + 16];
    for (int k = 0; k < 8; k++)
        lane[k] += lane[k + 8];
    for (int k = 0; k < 4; k++)
        total += lane[k] + lane[k + 4];
    return total;
}

HSI_ISA_INLINE void add_row_body(const float *x, int64_t n, double *sum)
{
    *sum += sum_inline(x, n);
}
HSI_ISA_DISPATCH(add_row, (const float *x, int64_t n, double *sum), (x, n, sum))

/* y[r * ys] = the sum of a row of n, divided; rows are `pitch` apart. */
HSI_ISA_INLINE void sum_rows_body(const float *x, int64_t pitch, int64_t rows, int64_t n,
                                  float *y, int64_t ys, double divisor)
{
    for (int64_t r = 0; r < rows; r++)
        y[r * ys] = (float)(sum_inline(x + r * pitch, n) / divisor);
}
HSI_ISA_DISPATCH(sum_rows,
                 (const float *x, int64_t pitch, int64_t rows, int64_t n, float *y,
                  int64_t ys, double divisor),
                 (x, pitch, rows, n, y, ys, divisor))

/* The sum of the inputs of one output. */
static double sum_one(const hsi_loop *reduced, const float *x)
{
    double sum = 0;
    hsi_cursor cursor;
    hsi_tile t;
    hsi_cursor_begin(&cursor, reduced, 0, reduced->total);
    while (hsi_cursor_next(&cursor, &t)) {
        for (int64_t r = 0; r < t.rows; r++) {
            const float *row = x + t.offset[0] + r * t.row_stride[0];
            if (t.col_stride[0] == 1) {
                add_row(row, t.cols, &sum);
                continue;
            }
            for (int64_t c = 0; c < t.cols; c++)
                sum += (double)row[c * t.col_stride[0]];
        }
    }
    return sum;
}

/* The sums of n <= ACROSS neighbouring outputs, whose inputs are neighbours too, each divided. */
static void sum_across(const hsi_loop *reduced, const float *x, float *y, int64_t ys,
                       int64_t n, double divisor)
{
    double sum[ACROSS] = { 0 };
    hsi_cursor cursor;
    hsi_tile t;
    hsi_cursor_begin(&cursor, reduced, 0, reduced->total);
    while (hsi_cursor_next(&cursor, &t))
        for (int64_t r = 0; r < t.rows; r++)
            add_rows(x + t.offset[0] + r * t.row_stride[0], t.col_stride[0], t.cols, sum,
                     n);
    for (int64_t i = 0; i < n; i++)
        y[i * ys] = (float)(sum[i] / divisor);
}

static hsched_status reduce_run(const hsched_step *step, const void *state,
                                void *slot_state, void *const *operands, uint32_t part,
                                void *scratch)
{
    const reduce_state *s = state;
    const float *x = operands[0];
    float *y = operands[1];
    int64_t begin, end;
    const double divisor =
        step->u.reduce.kind == HSCHED_REDUCE_MEAN ? (double)s->reduced.total : 1;
    hsi_cursor cursor;
    hsi_tile t;
    (void)slot_state;
    (void)scratch;
    hsi_loop_part(&s->kept, part, step->parts, &begin, &end);
    hsi_cursor_begin(&cursor, &s->kept, begin, end);
    while (hsi_cursor_next(&cursor, &t)) {
        for (int64_t r = 0; r < t.rows; r++) {
            const float *from = x + t.offset[0] + r * t.row_stride[0];
            float *to = y + t.offset[1] + r * t.row_stride[1];
            int64_t ys = t.col_stride[1], each = s->across ? ACROSS : 1;
            if (s->rows) {
                sum_rows(from, t.col_stride[0], t.cols, s->reduced.total, to, ys,
                         divisor);
                continue;
            }
            for (int64_t c = 0; c < t.cols; c += each) {
                if (s->across)
                    sum_across(&s->reduced, from + c, to + c * ys, ys,
                               t.cols - c < each ? t.cols - c : each, divisor);
                else
                    to[c * ys] =
                        (float)(sum_one(&s->reduced, from + c * t.col_stride[0]) /
                                divisor);
            }
        }
    }
    return HSCHED_OK;
}

static int reduce_supports(const hsched_step *step)
{
    const hsched_operand *in = &step->in[0], *out = &step->out;
    if (!hsi_is_float(in) || !hsi_is_float(out) || in->rank != out->rank ||
        step->act.kind != HSCHED_ACTIVATION_NONE ||
        step->u.reduce.kind < HSCHED_REDUCE_MEAN ||
        step->u.reduce.kind > HSCHED_REDUCE_SUM)
        return 0;
    for (uint32_t d = 0; d < in->rank; d++)
        if (in->dims[d] != out->dims[d] && out->dims[d] != 1)
            return 0;
    return 1;
}

static hsched_status reduce_prepare(const hsi_cpu_prepare_context *context,
                                    hsched_step *step, hsi_cpu_prepared *prepared)
{
    const hsched_operand *in = &step->in[0], *out = &step->out;
    const int64_t *strides[2] = { in->strides, out->strides };
    int64_t reduced[HSCHED_MAX_DIMS];
    (void)context;
    reduce_state *s = HSI_NEW(reduce_state);
    if (s == NULL)
        return hsi_out_of_memory("the plan of a mean");
    for (uint32_t d = 0; d < in->rank; d++)
        reduced[d] = out->dims[d] == 1 ? in->dims[d] : 1;
    hsi_loop_init(&s->kept, out->rank, out->dims, 2, strides);
    hsi_loop_init(&s->reduced, in->rank, reduced, 1, strides);
    /* Sums side by side unless the reduction itself is contiguous. */
    s->across = s->kept.total > 1 && hsi_loop_inner(&s->kept, 0) == 1 &&
                (s->reduced.total <= 1 || hsi_loop_inner(&s->reduced, 0) != 1);
    s->rows = !s->across && s->reduced.rank == 1 && hsi_loop_inner(&s->reduced, 0) == 1;
    prepared->state = s;
    hsi_lower_parts(step, hsi_operand_count(in) * sizeof(float), s->kept.total);
    return HSCHED_OK;
}

static const hsi_cpu_kernel reduce_kernel = {
    .name = "own/reduce",
    .kind = HSCHED_STEP_REDUCE,
    .library = HSCHED_LIBRARY_OWN,
    .supports = reduce_supports,
    .prepare = reduce_prepare,
    .destroy = hsi_free,
    .run = reduce_run,
};

const hsi_cpu_kernel *const hsi_cpu_kernels_reduce[] = { &reduce_kernel,
                                                         &hsi_cpu_kernel_reduce_any,
                                                         NULL };
