/*
 * ARG: of many groups at a time, step by step along the axis; of long ones whose elements lie side
 * by side one after the other: the best element first, then where it is, both in lanes.
 */
#include "base/alloc.h"
#include "base/status.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/loop.h"
#include "backend/ref/ref.h"

#define LANES  16
#define BLOCK  64
#define ACROSS 128

/* Of n elements side by side: which, then where. */
typedef void arg_row(const void *x, int64_t n, int last, int64_t *found);
/* Of each of `width` groups (at most ACROSS), which begin `pitch` apart, n elements `stride`
 * apart. */
typedef void arg_rows(const void *x, int64_t stride, int64_t n, int last, int64_t pitch,
                      int64_t *found, int64_t width);

typedef struct arg_functions {
    arg_row *row;
    arg_rows *rows;
} arg_functions;

typedef struct arg_state {
    hsi_loop loop;         /* x without the axis, output */
    int64_t stride, count; /* of x along the axis */
    int64_t size;          /* of an element */
    int last;
    arg_functions f;
} arg_state;

/* `ahead`: v comes before a, numbers both. A not-a-number comes before all, and stays. */
#define ARG(name, type, ahead)                                                           \
    /* Which, then where. */                                                             \
    HSI_ISA_INLINE int64_t name##_long(const type *x, int64_t n, int last)               \
    {                                                                                    \
        type lane[LANES], a;                                                             \
        int odd = 0;                                                                     \
        int64_t i;                                                                       \
        for (int k = 0; k < LANES; k++)                                                  \
            lane[k] = x[k];                                                              \
        for (i = 0; i + LANES <= n; i += LANES)                                          \
            for (int k = 0; k < LANES; k++) {                                            \
                const type v = x[i + k], u = lane[k];                                    \
                lane[k] = ahead(v, u) ? v : u;                                           \
            }                                                                            \
        for (a = lane[0]; i < n; i++)                                                    \
            a = ahead(x[i], a) ? x[i] : a;                                               \
        for (int k = 1; k < LANES; k++)                                                  \
            a = ahead(lane[k], a) ? lane[k] : a;                                         \
        for (i = 0; i < n; i++)                                                          \
            odd |= x[i] != x[i];                                                         \
        for (i = 0; odd && a == a; i++)                                                  \
            a = x[i] == x[i] ? a : x[i];                                                 \
        if (last) {                                                                      \
            for (i = n - 1; i > 0 && !SAME(x[i], a);)                                    \
                i--;                                                                     \
            return i;                                                                    \
        }                                                                                \
        for (i = 0; i + BLOCK <= n; i += BLOCK) {                                        \
            int hit = 0;                                                                 \
            for (int k = 0; k < BLOCK; k++)                                              \
                hit |= SAME(x[i + k], a);                                                \
            if (hit)                                                                     \
                break;                                                                   \
        }                                                                                \
        while (i + 1 < n && !SAME(x[i], a))                                              \
            i++;                                                                         \
        return i;                                                                        \
    }                                                                                    \
    HSI_ISA_INLINE void name##_row_body(const void *x, int64_t n, int last,              \
                                        int64_t *found)                                  \
    {                                                                                    \
        *found = name##_long(x, n, last);                                                \
    }                                                                                    \
    HSI_ISA_DISPATCH(name##_row, (const void *x, int64_t n, int last, int64_t *found),   \
                     (x, n, last, found))                                                \
    HSI_ISA_INLINE void name##_some(const type *x, int64_t stride, int64_t n, int last,  \
                                    int64_t pitch, int64_t *found, int64_t width)        \
    {                                                                                    \
        type best[ACROSS];                                                               \
        for (int64_t i = 0; i < width; i++) {                                            \
            best[i] = x[i * pitch];                                                      \
            found[i] = 0;                                                                \
        }                                                                                \
        for (int64_t r = 1; r < n; r++) {                                                \
            x += stride;                                                                 \
            for (int64_t i = 0; i < width; i++) {                                        \
                const type v = x[i * pitch], a = best[i];                                \
                const int take = WINS(ahead, v, a) | (last & SAME(v, a));                \
                best[i] = take ? v : a;                                                  \
                found[i] = take ? r : found[i];                                          \
            }                                                                            \
        }                                                                                \
    }                                                                                    \
    HSI_ISA_INLINE void name##_rows_body(const void *x, int64_t stride, int64_t n,       \
                                         int last, int64_t pitch, int64_t *found,        \
                                         int64_t width)                                  \
    {                                                                                    \
        if (pitch == 1)                                                                  \
            name##_some(x, stride, n, last, 1, found, width);                            \
        else                                                                             \
            name##_some(x, stride, n, last, pitch, found, width);                        \
    }                                                                                    \
    HSI_ISA_DISPATCH(name##_rows,                                                        \
                     (const void *x, int64_t stride, int64_t n, int last, int64_t pitch, \
                      int64_t *found, int64_t width),                                    \
                     (x, stride, n, last, pitch, found, width))

#define SAME(v, a)        (((v) == (a)) | (((v) != (v)) & ((a) != (a))))
#define MORE(v, a)        ((v) > (a))
#define LESS(v, a)        ((v) < (a))
#define WINS(ahead, v, a) (ahead(v, a) | (((v) != (v)) & ((a) == (a))))

#define BOTH(type)                                                                       \
    ARG(max_##type, type, MORE)                                                          \
    ARG(min_##type, type, LESS)

BOTH(float)
BOTH(double)
BOTH(int64_t)
BOTH(int32_t)
BOTH(uint8_t)
BOTH(int8_t)

#define PAIR(type)                                                                       \
    {                                                                                    \
        { max_##type##_row, max_##type##_rows },                                         \
        {                                                                                \
            min_##type##_row, min_##type##_rows                                          \
        }                                                                                \
    }

static const arg_functions functions[][2] = {
    [HSCHED_FLOAT32] = PAIR(float), [HSCHED_INT64] = PAIR(int64_t),
    [HSCHED_INT32] = PAIR(int32_t), [HSCHED_UINT8] = PAIR(uint8_t),
    [HSCHED_INT8] = PAIR(int8_t),   [HSCHED_FLOAT64] = PAIR(double),
};

/* The outputs of one row of a tile. */
static void find_row(const arg_state *s, const char *x, int64_t x_stride, int64_t *y,
                     int64_t y_stride, int64_t n)
{
    int64_t found[ACROSS];
    if (s->stride == 1 && s->count >= BLOCK) {
        for (int64_t i = 0; i < n; i++)
            s->f.row(x + i * x_stride * s->size, s->count, s->last, &y[i * y_stride]);
        return;
    }
    for (int64_t i = 0; i < n; i += ACROSS) {
        const int64_t width = n - i < ACROSS ? n - i : ACROSS;
        s->f.rows(x + i * x_stride * s->size, s->stride, s->count, s->last, x_stride,
                  found, width);
        for (int64_t k = 0; k < width; k++)
            y[(i + k) * y_stride] = found[k];
    }
}

static hsched_status arg_run(const hsched_step *step, const void *state, void *slot_state,
                             void *const *operands, uint32_t part, void *scratch)
{
    const arg_state *s = state;
    int64_t begin, end;
    hsi_cursor cursor;
    hsi_tile t;
    (void)slot_state;
    (void)scratch;
    hsi_loop_part(&s->loop, part, step->parts, &begin, &end);
    hsi_cursor_begin(&cursor, &s->loop, begin, end);
    while (hsi_cursor_next(&cursor, &t))
        for (int64_t r = 0; r < t.rows; r++)
            find_row(s,
                     (const char *)operands[0] +
                         (t.offset[0] + r * t.row_stride[0]) * s->size,
                     t.col_stride[0],
                     (int64_t *)operands[1] + t.offset[1] + r * t.row_stride[1],
                     t.col_stride[1], t.cols);
    return HSCHED_OK;
}

static int arg_supports(const hsched_step *step)
{
    return hsi_ref_fault(step) == NULL && step->act.kind == HSCHED_ACTIVATION_NONE;
}

static hsched_status arg_prepare(const hsi_cpu_prepare_context *context,
                                 hsched_step *step, hsi_cpu_prepared *prepared)
{
    const hsched_operand *x = &step->in[0], *y = &step->out;
    const int64_t *strides[2] = { x->strides, y->strides };
    const uint32_t axis = step->u.arg.axis;
    (void)context;
    arg_state *s = HSI_NEW(arg_state);
    if (s == NULL)
        return hsi_out_of_memory("the plan of an arg");
    hsi_loop_init(&s->loop, y->rank, y->dims, 2, strides);
    s->stride = x->strides[axis];
    s->count = x->dims[axis];
    s->size = (int64_t)hsched_dtype_size(x->dtype);
    s->last = step->u.arg.last != 0;
    s->f = functions[x->dtype][step->u.arg.smallest != 0];
    prepared->state = s;
    hsi_lower_parts(step, hsi_operand_count(x) * (double)s->size, s->loop.total);
    return HSCHED_OK;
}

static const hsi_cpu_kernel arg_kernel = {
    .name = "own/arg",
    .kind = HSCHED_STEP_ARG,
    .library = HSCHED_LIBRARY_OWN,
    .supports = arg_supports,
    .prepare = arg_prepare,
    .destroy = hsi_free,
    .run = arg_run,
};

const hsi_cpu_kernel *const hsi_cpu_kernels_arg[] = { &arg_kernel, NULL };
