/*
 * SCATTER: the input is copied, then the updates come one after the other, as their indices stand
 * along the axis. Parts share another dimension than that, so that no two touch the same element.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/loop.h"
#include "backend/ref/ref.h"

#define SOME                                                                             \
    8 /* updates of one element after the other are looked for so many at a time */

typedef struct scatter_state scatter_state;

/* n updates u and indices, some elements apart; y is where index 0 is. */
typedef void put_row(const scatter_state *s, const void *indices, int64_t i_stride,
                     const void *u, int64_t u_stride, void *y, int64_t y_stride,
                     int64_t n);

/* Updates `from` to from + count - 1 go to one element after the other, from y[place] on. */
typedef struct run {
    int32_t from, count;
    int64_t place;
} run;
typedef void put_runs(const run *runs, uint32_t count, const void *u, void *y);

typedef struct put_functions {
    put_row *row;
    put_runs *runs;
} put_functions;

struct scatter_state {
    put_functions put;
    int64_t size;                     /* of an element */
    int64_t stride, count;            /* of the output along the axis */
    int64_t updates[HSCHED_MAX_DIMS]; /* the output's strides without the axis */
    uint32_t split;                   /* the dimension that parts share */
    int narrow;                       /* indices are int32 */
    int runs; /* they may name neighbours in memory one after the other */
};

HSI_ISA_INLINE int64_t place_of(const scatter_state *s, const void *indices, int64_t at)
{
    int64_t index =
        s->narrow ? ((const int32_t *)indices)[at] : ((const int64_t *)indices)[at];
    if (index < 0)
        index += s->count;
    return index < 0 || index >= s->count ? -1 : index * s->stride;
}

/* Whether SOME indices from `at` on name one element after the other. */
#define IS_RUN(name, type)                                                               \
    HSI_ISA_INLINE int name(const scatter_state *s, const type *indices)                 \
    {                                                                                    \
        const type first = indices[0];                                                   \
        type differ = 0;                                                                 \
        if (first < 0 || first > s->count - SOME ||                                      \
            indices[SOME - 1] != first + (SOME - 1))                                     \
            return 0;                                                                    \
        for (type j = 0; j < SOME; j++)                                                  \
            differ |= indices[j] ^ (first + j);                                          \
        return differ == 0;                                                              \
    }
IS_RUN(is_run_32, int32_t)
IS_RUN(is_run_64, int64_t)

HSI_ISA_INLINE int is_run(const scatter_state *s, const void *indices, int64_t at)
{
    return s->narrow ? is_run_32(s, (const int32_t *)indices + at)
                     : is_run_64(s, (const int64_t *)indices + at);
}

/* `join`: of what is there and an update. One index may be for a row of neighbours. */
#define PUT(name, type, join)                                                            \
    HSI_ISA_INLINE void name##_each(                                                     \
        const scatter_state *s, const void *indices, int64_t i_stride, const type *u,    \
        int64_t u_stride, type *y, int64_t y_stride, int64_t first, int64_t end)         \
    {                                                                                    \
        for (int64_t c = first; c < end; c++) {                                          \
            const int64_t place = place_of(s, indices, c * i_stride);                    \
            type *one = y + c * y_stride + place;                                        \
            if (place >= 0)                                                              \
                *one = (type)join(*one, u[c * u_stride]);                                \
        }                                                                                \
    }                                                                                    \
    HSI_ISA_INLINE void name##_body(                                                     \
        const scatter_state *s, const void *indices, int64_t i_stride, const void *from, \
        int64_t u_stride, void *to, int64_t y_stride, int64_t n)                         \
    {                                                                                    \
        const type *u = from;                                                            \
        type *y = to;                                                                    \
        if (i_stride == 0) {                                                             \
            const int64_t place = place_of(s, indices, 0);                               \
            if (place < 0)                                                               \
                return;                                                                  \
            y += place;                                                                  \
            if (u_stride == 1 && y_stride == 1)                                          \
                for (int64_t c = 0; c < n; c++)                                          \
                    y[c] = (type)join(y[c], u[c]);                                       \
            else                                                                         \
                for (int64_t c = 0; c < n; c++)                                          \
                    y[c * y_stride] = (type)join(y[c * y_stride], u[c * u_stride]);      \
            return;                                                                      \
        }                                                                                \
        int64_t c = 0;                                                                   \
        if (s->runs && i_stride == 1 && u_stride == 1 && y_stride == 0)                  \
            for (; c + SOME <= n; c += SOME) {                                           \
                if (is_run(s, indices, c)) {                                             \
                    type *neighbour = y + place_of(s, indices, c), sum[SOME];            \
                    for (int64_t k = 0; k < SOME; k++)                                   \
                        sum[k] = (type)join(neighbour[k], u[c + k]);                     \
                    memcpy(neighbour, sum, sizeof sum);                                  \
                } else {                                                                 \
                    name##_each(s, indices, 1, u, 1, y, 0, c, c + SOME);                 \
                }                                                                        \
            }                                                                            \
        name##_each(s, indices, i_stride, u, u_stride, y, y_stride, c, n);               \
    }                                                                                    \
    HSI_ISA_INLINE void name##_runs_body(const run *runs, uint32_t count,                \
                                         const void *from, void *to)                     \
    {                                                                                    \
        for (uint32_t k = 0; k < count; k++) {                                           \
            const type *u = (const type *)from + runs[k].from;                           \
            type *y = (type *)to + runs[k].place;                                        \
            _Pragma("GCC ivdep") for (int32_t i = 0; i < runs[k].count; i++) y[i] =      \
                (type)join(y[i], u[i]);                                                  \
        }                                                                                \
    }                                                                                    \
    HSI_ISA_DISPATCH(name##_runs,                                                        \
                     (const run *runs, uint32_t count, const void *from, void *to),      \
                     (runs, count, from, to))                                            \
    HSI_ISA_DISPATCH(name,                                                               \
                     (const scatter_state *s, const void *indices, int64_t i_stride,     \
                      const void *from, int64_t u_stride, void *to, int64_t y_stride,    \
                      int64_t n),                                                        \
                     (s, indices, i_stride, from, u_stride, to, y_stride, n))

/* Not-a-number wins over all; integers wrap around. */
#define SET(a, v)     (v)
#define ADD(a, v)     ((a) + (v))
#define MUL(a, v)     ((a) * (v))
#define ADD_INT(a, v) ((uint64_t)(a) + (uint64_t)(v))
#define MUL_INT(a, v) ((uint64_t)(a) * (uint64_t)(v))
#define MOST(a, v)    ((a) > (v) || (a) != (a) ? (a) : (v))
#define LEAST(a, v)   ((a) < (v) || (a) != (a) ? (a) : (v))

#define JOINS(type, add, mul)                                                            \
    PUT(add_##type, type, add)                                                           \
    PUT(mul_##type, type, mul)                                                           \
    PUT(max_##type, type, MOST)                                                          \
    PUT(min_##type, type, LEAST)

PUT(set_1, uint8_t, SET)
PUT(set_2, uint16_t, SET)
PUT(set_4, uint32_t, SET)
PUT(set_8, uint64_t, SET)
JOINS(float, ADD, MUL)
JOINS(double, ADD, MUL)
JOINS(int64_t, ADD_INT, MUL_INT)
JOINS(int32_t, ADD_INT, MUL_INT)
JOINS(uint8_t, ADD_INT, MUL_INT)
JOINS(int8_t, ADD_INT, MUL_INT)

#define ALL(type)                                                                        \
    {                                                                                    \
        [HSCHED_SCATTER_ADD] = PAIR(add_##type),                                         \
        [HSCHED_SCATTER_MUL] = PAIR(mul_##type),                                         \
        [HSCHED_SCATTER_MAX] = PAIR(max_##type), [HSCHED_SCATTER_MIN] = PAIR(min_##type) \
    }
#define PAIR(name)                                                                       \
    {                                                                                    \
        name, name##_runs                                                                \
    }

static put_functions put_of(const hsched_step *step, int64_t size)
{
    static const put_functions sets[] = { PAIR(set_1), PAIR(set_2), PAIR(set_4),
                                          PAIR(set_8) };
    static const put_functions functions[][HSCHED_SCATTER_MIN + 1] = {
        [HSCHED_FLOAT32] = ALL(float), [HSCHED_INT64] = ALL(int64_t),
        [HSCHED_INT32] = ALL(int32_t), [HSCHED_UINT8] = ALL(uint8_t),
        [HSCHED_INT8] = ALL(int8_t),   [HSCHED_FLOAT64] = ALL(double),
    };
    if (step->u.scatter.kind != HSCHED_SCATTER_SET)
        return functions[step->out.dtype][step->u.scatter.kind];
    return sets[size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3];
}

/* n times the same element. */
static void fill(char *to, const char *element, int64_t size, int64_t n)
{
    int same = 1;
    for (int64_t k = 1; k < size; k++)
        same &= element[k] == element[0];
    if (same) {
        memset(to, element[0], (size_t)(n * size));
        return;
    }
    for (int64_t i = 0; i < n; i++)
        memcpy(to + i * size, element, (size_t)size);
}

/* What lies in [begin, end) of the shared dimension. */
static void copy_some(const hsched_step *step, const scatter_state *s, const char *x,
                      char *y, int64_t begin, int64_t end)
{
    const hsched_operand *in = &step->in[0], *out = &step->out;
    const int64_t *strides[2] = { in->strides, out->strides };
    int64_t dims[HSCHED_MAX_DIMS];
    hsi_loop loop;
    hsi_cursor cursor;
    hsi_tile t;
    memcpy(dims, out->dims, sizeof dims);
    dims[s->split] = end - begin;
    x += begin * in->strides[s->split] * s->size;
    y += begin * out->strides[s->split] * s->size;
    hsi_loop_init(&loop, out->rank, dims, 2, strides);
    hsi_cursor_begin(&cursor, &loop, 0, loop.total);
    while (hsi_cursor_next(&cursor, &t))
        for (int64_t r = 0; r < t.rows; r++) {
            const char *from = x + (t.offset[0] + r * t.row_stride[0]) * s->size;
            char *to = y + (t.offset[1] + r * t.row_stride[1]) * s->size;
            if (t.col_stride[0] == 1 && t.col_stride[1] == 1)
                memcpy(to, from, (size_t)(t.cols * s->size));
            else if (t.col_stride[0] == 0 && t.col_stride[1] == 1)
                fill(to, from, s->size, t.cols);
            else
                for (int64_t c = 0; c < t.cols; c++)
                    memcpy(to + c * t.col_stride[1] * s->size,
                           from + c * t.col_stride[0] * s->size, (size_t)s->size);
        }
}

/* ---- Rows that share their indices ------------------------------------------- */

#define CHUNK     2048 /* indices that are looked at before they are used for all rows */
#define MOST_RUNS (CHUNK / SOME)

/* Of n indices, CHUNK at most, where they are in range; 0: they are no runs worth mentioning. */
static uint32_t find_runs(const scatter_state *s, const void *indices, int32_t n,
                          run *runs)
{
    uint32_t count = 0;
    for (int32_t i = 0; i < n;) {
        const int64_t place = place_of(s, indices, i);
        int32_t end = i + 1;
        if (place >= 0) {
            while (end + SOME <= n && is_run(s, indices, end) &&
                   place_of(s, indices, end) == place + end - i)
                end += SOME;
            while (end < n && place_of(s, indices, end) == place + end - i)
                end++;
            if (count == MOST_RUNS)
                return 0;
            runs[count++] = (run){ i, end - i, place };
        }
        i = end;
    }
    return count;
}

/* Every row of a tile: chunk by chunk, of each the runs, which are looked for once. */
static void put_rows(const scatter_state *s, const hsi_tile *t, const char *indices,
                     const char *u, char *y)
{
    const int64_t index_size = s->narrow ? 4 : 8;
    run runs[MOST_RUNS];
    for (int64_t c = 0; c < t->cols; c += CHUNK) {
        const int64_t n = t->cols - c < CHUNK ? t->cols - c : CHUNK;
        const char *chunk = indices + c * index_size;
        const uint32_t count = find_runs(s, chunk, (int32_t)n, runs);
        for (int64_t r = 0; r < t->rows; r++) {
            const char *row = u + (r * t->row_stride[2] + c) * s->size;
            char *to = y + r * t->row_stride[0] * s->size;
            if (count > 0)
                s->put.runs(runs, count, row, to);
            else
                s->put.row(s, chunk, 1, row, 1, to, 0, n);
        }
    }
}

/* A nest goes through every dimension upwards, so that of updates for the same element, which
 * differ in the axis only, the later comes later. It is in the order of the updates' memory: of the
 * output's strides that of the axis is missing. */
static void put_some(const hsched_step *step, const scatter_state *s, const char *indices,
                     const char *u, char *y, int64_t begin, int64_t end)
{
    const hsched_operand *in = &step->in[1], *updates = &step->in[2];
    const int64_t *strides[3] = { s->updates, in->strides, updates->strides };
    const int64_t index_size = s->narrow ? 4 : 8;
    int64_t dims[HSCHED_MAX_DIMS];
    hsi_loop loop;
    hsi_cursor cursor;
    hsi_tile t;
    if (end > updates->dims[s->split])
        end = updates->dims[s->split];
    if (begin >= end)
        return;
    memcpy(dims, updates->dims, sizeof dims);
    dims[s->split] = end - begin;
    u += begin * updates->strides[s->split] * s->size;
    indices += begin * in->strides[s->split] * index_size;
    y += begin * s->updates[s->split] * s->size;
    hsi_loop_init(&loop, updates->rank, dims, 3, strides);
    hsi_cursor_begin(&cursor, &loop, 0, loop.total);
    while (hsi_cursor_next(&cursor, &t)) {
        if (s->runs && t.rows > 1 && t.row_stride[1] == 0 && t.col_stride[1] == 1 &&
            t.col_stride[2] == 1 && t.col_stride[0] == 0) {
            put_rows(s, &t, indices + t.offset[1] * index_size, u + t.offset[2] * s->size,
                     y + t.offset[0] * s->size);
            continue;
        }
        for (int64_t r = 0; r < t.rows; r++)
            s->put.row(s, indices + (t.offset[1] + r * t.row_stride[1]) * index_size,
                       t.col_stride[1], u + (t.offset[2] + r * t.row_stride[2]) * s->size,
                       t.col_stride[2], y + (t.offset[0] + r * t.row_stride[0]) * s->size,
                       t.col_stride[0], t.cols);
    }
}

static hsched_status scatter_run(const hsched_step *step, const void *state,
                                 void *slot_state, void *const *operands, uint32_t part,
                                 void *scratch)
{
    const scatter_state *s = state;
    int64_t begin = 0, end = step->out.dims[s->split];
    (void)slot_state;
    (void)scratch;
    if (step->parts > 1)
        hsi_part_range(end, part, step->parts, &begin, &end);
    if (step->out_aliases != 0)
        copy_some(step, s, operands[0], operands[3], begin, end);
    if (s->split ==
        step->u.scatter.axis) /* it has the only dimension, and is not shared */
        end = step->in[2].dims[s->split];
    put_some(step, s, operands[1], operands[2], operands[3], begin, end);
    return HSCHED_OK;
}

static int scatter_supports(const hsched_step *step)
{
    return hsi_ref_fault(step) == NULL && step->act.kind == HSCHED_ACTIVATION_NONE;
}

static hsched_status scatter_prepare(const hsi_cpu_prepare_context *context,
                                     hsched_step *step, hsi_cpu_prepared *prepared)
{
    const hsched_operand *y = &step->out;
    const uint32_t axis = step->u.scatter.axis;
    (void)context;
    scatter_state *s = HSI_NEW(scatter_state);
    if (s == NULL)
        return hsi_out_of_memory("the plan of a scatter");
    s->split = axis;
    for (uint32_t d = 0; d < y->rank; d++)
        if (d != axis && (s->split == axis || y->dims[d] > y->dims[s->split]))
            s->split = d;
    memcpy(s->updates, y->strides, sizeof s->updates);
    s->updates[axis] = 0; /* the index says where */
    s->size = (int64_t)hsched_dtype_size(y->dtype);
    s->stride = y->strides[axis];
    s->count = y->dims[axis];
    s->narrow = step->in[1].dtype == HSCHED_INT32;
    s->runs = s->stride == 1;
    s->put = put_of(step, s->size);
    prepared->state = s;
    hsi_lower_parts(step, 2 * hsi_operand_count(y) * (double)s->size,
                    s->split == axis ? 1 : y->dims[s->split]);
    return HSCHED_OK;
}

static const hsi_cpu_kernel scatter_kernel = {
    .name = "own/scatter",
    .kind = HSCHED_STEP_SCATTER,
    .library = HSCHED_LIBRARY_OWN,
    .supports = scatter_supports,
    .prepare = scatter_prepare,
    .destroy = hsi_free,
    .run = scatter_run,
};

const hsi_cpu_kernel *const hsi_cpu_kernels_scatter[] = { &scatter_kernel, NULL };
