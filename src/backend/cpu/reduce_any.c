/*
 * REDUCE of other kinds and types than reduce.c has: the largest, the smallest, products, and
 * everything on integers and float64.
 *
 * The same two forms: neighbouring outputs side by side where their inputs are neighbours, else one
 * output after the other, in lanes where its inputs are contiguous.
 */
#include "base/alloc.h"
#include "base/status.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/loop.h"
#include "backend/ref/ref.h"

#define LANES  64 /* several vectors, since one comparison waits for another */
#define ACROSS 256

typedef void fold_row(const void *x, int64_t stride, int64_t n, void *sum);
typedef void fold_rows(const void *x, int64_t stride, int64_t rows, void *sums,
                       int64_t n);
typedef void finish(const void *sums, void *y, int64_t stride, int64_t n, int64_t count);

typedef struct reduce_functions {
    fold_row *row;
    fold_rows *rows;
    finish *end;
} reduce_functions;

typedef struct reduce_state {
    hsi_loop kept, reduced;
    int across;
    int64_t size; /* of an element */
    const reduce_functions *f;
} reduce_state;

/* Twice `n` lanes become n. */
#define HALVE(fold, n)                                                                   \
    for (int k = 0; k < (n); k++)                                                        \
        lane[k] = fold(lane[k], lane[k + (n)]);

/* Elements of `type` are gathered in `wide`, which begins with `first`; `fold`: of a and v. */
#define FOLD(name, type, wide, first, fold)                                              \
    HSI_ISA_INLINE void name##_row_body(const void *from, int64_t stride, int64_t n,     \
                                        void *to)                                        \
    {                                                                                    \
        const type *x = from;                                                            \
        wide lane[LANES], a = *(wide *)to;                                               \
        int64_t i = 0;                                                                   \
        for (int k = 0; k < LANES; k++)                                                  \
            lane[k] = first;                                                             \
        if (stride == 1)                                                                 \
            for (; i + LANES <= n; i += LANES)                                           \
                for (int k = 0; k < LANES; k++) {                                        \
                    const wide v = (wide)x[i + k], u = lane[k];                          \
                    lane[k] = fold(u, v);                                                \
                }                                                                        \
        for (; i < n; i++) {                                                             \
            const wide v = (wide)x[i * stride];                                          \
            a = fold(a, v);                                                              \
        }                                                                                \
        HALVE(fold, 32)                                                                  \
        HALVE(fold, 16)                                                                  \
        HALVE(fold, 8)                                                                   \
        HALVE(fold, 4)                                                                   \
        HALVE(fold, 2)                                                                   \
        HALVE(fold, 1)                                                                   \
        a = fold(a, lane[0]);                                                            \
        *(wide *)to = a;                                                                 \
    }                                                                                    \
    HSI_ISA_DISPATCH(name##_row,                                                         \
                     (const void *from, int64_t stride, int64_t n, void *to),            \
                     (from, stride, n, to))                                              \
    HSI_ISA_INLINE void name##_rows_body(const void *from, int64_t stride, int64_t rows, \
                                         void *to, int64_t n)                            \
    {                                                                                    \
        const type *x = from;                                                            \
        wide *a = to;                                                                    \
        for (int64_t r = 0; r < rows; r++, x += stride)                                  \
            for (int64_t i = 0; i < n; i++) {                                            \
                const wide v = (wide)x[i];                                               \
                a[i] = fold(a[i], v);                                                    \
            }                                                                            \
    }                                                                                    \
    HSI_ISA_DISPATCH(                                                                    \
        name##_rows,                                                                     \
        (const void *from, int64_t stride, int64_t rows, void *to, int64_t n),           \
        (from, stride, rows, to, n))

/* Writes n results; NULL instead of sums: writes what they begin with to y, as `wide`. */
#define FINISH(name, type, wide, first, result)                                          \
    static void name##_end(const void *from, void *to, int64_t stride, int64_t n,        \
                           int64_t count)                                                \
    {                                                                                    \
        const wide *sums = from;                                                         \
        (void)count;                                                                     \
        for (int64_t i = 0; i < n; i++)                                                  \
            if (sums == NULL)                                                            \
                ((wide *)to)[i] = first;                                                 \
            else                                                                         \
                ((type *)to)[i * stride] = (type)(result);                               \
    }

#define REDUCTION(name, type, wide, first, fold, result)                                 \
    FOLD(name, type, wide, first, fold)                                                  \
    FINISH(name, type, wide, first, result)                                              \
    static const reduce_functions name = { name##_row, name##_rows, name##_end };

/* Not-a-number wins over all. */
#define MOST(a, v)    ((a) > (v) || (a) != (a) ? (a) : (v))
#define LEAST(a, v)   ((a) < (v) || (a) != (a) ? (a) : (v))
#define SUM(a, v)     ((a) + (v))
#define PRODUCT(a, v) ((a) * (v))

#define EXTREMES(type, most, least)                                                      \
    REDUCTION(max_##type, type, type, least, MOST, sums[i])                              \
    REDUCTION(min_##type, type, type, most, LEAST, sums[i])

/* Unsigned where it may wrap around. */
#define WHOLE(type, wide, most, least)                                                   \
    EXTREMES(type, most, least)                                                          \
    REDUCTION(sum_##type, type, wide, 0, SUM, sums[i])                                   \
    REDUCTION(prod_##type, type, wide, 1, PRODUCT, sums[i])                              \
    REDUCTION(mean_##type, type, wide, 0, SUM, (int64_t)sums[i] / count)

EXTREMES(float, __builtin_inff(), -__builtin_inff())
REDUCTION(prod_float, float, double, 1, PRODUCT, sums[i])
EXTREMES(double, __builtin_inf(), -__builtin_inf())
REDUCTION(sum_double, double, double, 0, SUM, sums[i])
REDUCTION(prod_double, double, double, 1, PRODUCT, sums[i])
REDUCTION(mean_double, double, double, 0, SUM, sums[i] / (double)count)
EXTREMES(uint8_t, UINT8_MAX, 0)
EXTREMES(int8_t, INT8_MAX, INT8_MIN)
WHOLE(int32_t, uint64_t, INT32_MAX, INT32_MIN)
WHOLE(int64_t, uint64_t, INT64_MAX, INT64_MIN)

#define ALL(type)                                                                        \
    {                                                                                    \
        NULL, &mean_##type, &sum_##type, &max_##type, &min_##type, &prod_##type          \
    }

static const reduce_functions *const functions[][HSCHED_REDUCE_PROD + 1] = {
    [HSCHED_FLOAT32] = { NULL, NULL, NULL, &max_float, &min_float, &prod_float },
    [HSCHED_UINT8] = { NULL, NULL, NULL, &max_uint8_t, &min_uint8_t, NULL },
    [HSCHED_INT8] = { NULL, NULL, NULL, &max_int8_t, &min_int8_t, NULL },
    [HSCHED_INT32] = ALL(int32_t),
    [HSCHED_INT64] = ALL(int64_t),
    [HSCHED_FLOAT64] = ALL(double),
};

static const reduce_functions *functions_of(const hsched_step *step)
{
    const hsched_dtype dtype = step->in[0].dtype;
    const hsched_reduce_kind kind = step->u.reduce.kind;
    if ((size_t)dtype >= sizeof functions / sizeof *functions ||
        kind < HSCHED_REDUCE_MEAN || kind > HSCHED_REDUCE_PROD)
        return NULL;
    return functions[dtype][kind];
}

/* n <= ACROSS outputs: side by side, or 1. */
static void reduce_some(const reduce_state *s, const char *x, char *y, int64_t stride,
                        int64_t n)
{
    uint64_t sums[ACROSS]; /* of whatever type */
    hsi_cursor cursor;
    hsi_tile t;
    s->f->end(NULL, sums, 1, n, 0);
    hsi_cursor_begin(&cursor, &s->reduced, 0, s->reduced.total);
    while (hsi_cursor_next(&cursor, &t))
        for (int64_t r = 0; r < t.rows; r++) {
            const char *row = x + (t.offset[0] + r * t.row_stride[0]) * s->size;
            if (s->across)
                s->f->rows(row, t.col_stride[0], t.cols, sums, n);
            else
                s->f->row(row, t.col_stride[0], t.cols, sums);
        }
    s->f->end(sums, y, stride, n, s->reduced.total);
}

static hsched_status reduce_run(const hsched_step *step, const void *state,
                                void *slot_state, void *const *operands, uint32_t part,
                                void *scratch)
{
    const reduce_state *s = state;
    const int64_t each = s->across ? ACROSS : 1;
    int64_t begin, end;
    hsi_cursor cursor;
    hsi_tile t;
    (void)slot_state;
    (void)scratch;
    hsi_loop_part(&s->kept, part, step->parts, &begin, &end);
    hsi_cursor_begin(&cursor, &s->kept, begin, end);
    while (hsi_cursor_next(&cursor, &t))
        for (int64_t r = 0; r < t.rows; r++) {
            const int64_t from = t.offset[0] + r * t.row_stride[0];
            const int64_t to = t.offset[1] + r * t.row_stride[1];
            for (int64_t c = 0; c < t.cols; c += each)
                reduce_some(
                    s, (const char *)operands[0] + (from + c * t.col_stride[0]) * s->size,
                    (char *)operands[1] + (to + c * t.col_stride[1]) * s->size,
                    t.col_stride[1], t.cols - c < each ? t.cols - c : each);
        }
    return HSCHED_OK;
}

static int reduce_supports(const hsched_step *step)
{
    return hsi_ref_fault(step) == NULL && step->act.kind == HSCHED_ACTIVATION_NONE &&
           functions_of(step) != NULL;
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
        return hsi_out_of_memory("the plan of a reduction");
    for (uint32_t d = 0; d < in->rank; d++)
        reduced[d] = out->dims[d] == 1 ? in->dims[d] : 1;
    hsi_loop_init(&s->kept, out->rank, out->dims, 2, strides);
    hsi_loop_init(&s->reduced, in->rank, reduced, 1, strides);
    s->across = s->kept.total > 1 && hsi_loop_inner(&s->kept, 0) == 1 &&
                (s->reduced.total <= 1 || hsi_loop_inner(&s->reduced, 0) != 1);
    s->size = (int64_t)hsched_dtype_size(in->dtype);
    s->f = functions_of(step);
    prepared->state = s;
    hsi_lower_parts(step, hsi_operand_count(in) * (double)s->size, s->kept.total);
    return HSCHED_OK;
}

const hsi_cpu_kernel hsi_cpu_kernel_reduce_any = {
    .name = "own/reduce_any",
    .kind = HSCHED_STEP_REDUCE,
    .library = HSCHED_LIBRARY_OWN,
    .supports = reduce_supports,
    .prepare = reduce_prepare,
    .destroy = hsi_free,
    .run = reduce_run,
};
