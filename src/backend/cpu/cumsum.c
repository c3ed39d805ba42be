/* CUMSUM: many groups at a time, step by step along the axis; floats are added up, or multiplied,
 * as doubles. */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/loop.h"
#include "backend/ref/ref.h"

#define ACROSS  1024 /* neighbouring groups, whose sums stay in the first-level cache */
#define CHUNK   32   /* neighbouring groups, whose sums stay in registers */
#define NEAR    256 /* elements to the next along the axis that memory reads ahead over */
#define STREAMS 8   /* groups that are contiguous: the cache follows so many at once */

/* `width` (at most ACROSS) groups, which begin x_pitch and y_pitch apart; along the axis n
 * elements, x_stride and y_stride apart. */
typedef void sum_groups(const void *from, int64_t x_pitch, int64_t x_stride, void *to,
                        int64_t y_pitch, int64_t y_stride, int64_t n, int64_t width,
                        int exclusive);

typedef struct cumsum_state {
    hsi_loop loop;              /* x and output without the axis */
    int64_t x_stride, y_stride; /* along the axis, backwards if reverse */
    int64_t x_first, y_first;   /* where a group begins */
    int64_t count, size;        /* along the axis, of an element */
    int exclusive;
    int64_t each; /* groups at a time */
    sum_groups *sum;
} cumsum_state;

#define RUNNING(name, type, wide, op, first)                                             \
    HSI_ISA_INLINE void name##_some(                                                     \
        const type *restrict x, int64_t x_pitch, int64_t x_stride, type *restrict y,     \
        int64_t y_pitch, int64_t y_stride, int64_t n, int64_t width, int exclusive)      \
    {                                                                                    \
        wide sums[ACROSS];                                                               \
        for (int64_t i = 0; i < width; i++)                                              \
            sums[i] = first;                                                             \
        for (int64_t k = 0; k < n; k++, x += x_stride, y += y_stride)                    \
            for (int64_t i = 0; i < width; i++) {                                        \
                const wide before = sums[i], after = before op(wide) x[i * x_pitch];     \
                y[i * y_pitch] = (type)(exclusive ? before : after);                     \
                sums[i] = after;                                                         \
            }                                                                            \
    }                                                                                    \
    HSI_ISA_INLINE void name##_body(const void *from, int64_t x_pitch, int64_t x_stride, \
                                    void *to, int64_t y_pitch, int64_t y_stride,         \
                                    int64_t n, int64_t width, int exclusive)             \
    {                                                                                    \
        if (x_pitch == 1 && y_pitch == 1 && exclusive)                                   \
            name##_some(from, 1, x_stride, to, 1, y_stride, n, width, 1);                \
        else if (x_pitch == 1 && y_pitch == 1 && width % CHUNK == 0 &&                   \
                 x_stride <= NEAR && x_stride >= -NEAR)                                  \
            for (int64_t i = 0; i < width; i += CHUNK)                                   \
                name##_some((const type *)from + i, 1, x_stride, (type *)to + i, 1,      \
                            y_stride, n, CHUNK, 0);                                      \
        else if (x_pitch == 1 && y_pitch == 1)                                           \
            name##_some(from, 1, x_stride, to, 1, y_stride, n, width, 0);                \
        else if (width == STREAMS && x_stride == 1 && y_stride == 1 && !exclusive)       \
            name##_some(from, x_pitch, 1, to, y_pitch, 1, n, STREAMS, 0);                \
        else                                                                             \
            name##_some(from, x_pitch, x_stride, to, y_pitch, y_stride, n, width,        \
                        exclusive);                                                      \
    }                                                                                    \
    HSI_ISA_DISPATCH(                                                                    \
        name,                                                                            \
        (const void *from, int64_t x_pitch, int64_t x_stride, void *to, int64_t y_pitch, \
         int64_t y_stride, int64_t n, int64_t width, int exclusive),                     \
        (from, x_pitch, x_stride, to, y_pitch, y_stride, n, width, exclusive))

RUNNING(float_sum, float, double, +, 0)
RUNNING(double_sum, double, double, +, 0)
RUNNING(int64_sum, int64_t, uint64_t, +, 0)
RUNNING(int32_sum, int32_t, uint32_t, +, 0)
RUNNING(float_product, float, double, *, 1)
RUNNING(double_product, double, double, *, 1)
RUNNING(int64_product, int64_t, uint64_t, *, 1)
RUNNING(int32_product, int32_t, uint32_t, *, 1)

/* By whether it is a product. */
static sum_groups *const sums[2][HSCHED_FLOAT64 + 1] = {
    { [HSCHED_FLOAT32] = float_sum,
      [HSCHED_FLOAT64] = double_sum,
      [HSCHED_INT64] = int64_sum,
      [HSCHED_INT32] = int32_sum },
    { [HSCHED_FLOAT32] = float_product,
      [HSCHED_FLOAT64] = double_product,
      [HSCHED_INT64] = int64_product,
      [HSCHED_INT32] = int32_product },
};

static hsched_status cumsum_run(const hsched_step *step, const void *state,
                                void *slot_state, void *const *operands, uint32_t part,
                                void *scratch)
{
    const cumsum_state *s = state;
    int64_t begin, end;
    hsi_cursor cursor;
    hsi_tile t;
    (void)slot_state;
    (void)scratch;
    hsi_loop_part(&s->loop, part, step->parts, &begin, &end);
    hsi_cursor_begin(&cursor, &s->loop, begin, end);
    while (hsi_cursor_next(&cursor, &t))
        for (int64_t r = 0; r < t.rows; r++)
            for (int64_t c = 0; c < t.cols; c += s->each)
                s->sum((const char *)operands[0] +
                           (s->x_first + t.offset[0] + r * t.row_stride[0] +
                            c * t.col_stride[0]) *
                               s->size,
                       t.col_stride[0], s->x_stride,
                       (char *)operands[1] + (s->y_first + t.offset[1] +
                                              r * t.row_stride[1] + c * t.col_stride[1]) *
                                                 s->size,
                       t.col_stride[1], s->y_stride, s->count,
                       t.cols - c < s->each ? t.cols - c : s->each, s->exclusive);
    return HSCHED_OK;
}

static int cumsum_supports(const hsched_step *step)
{
    return hsi_ref_fault(step) == NULL && step->act.kind == HSCHED_ACTIVATION_NONE;
}

static hsched_status cumsum_prepare(const hsi_cpu_prepare_context *context,
                                    hsched_step *step, hsi_cpu_prepared *prepared)
{
    const hsched_operand *x = &step->in[0], *y = &step->out;
    const uint32_t axis = step->u.cumsum.axis;
    int64_t groups[HSCHED_MAX_DIMS];
    const int64_t *strides[2] = { x->strides, y->strides };
    (void)context;
    cumsum_state *s = HSI_NEW(cumsum_state);
    if (s == NULL)
        return hsi_out_of_memory("the plan of a cumsum");
    memcpy(groups, y->dims, sizeof groups);
    groups[axis] = 1;
    hsi_loop_init(&s->loop, y->rank, groups, 2, strides);
    s->count = x->dims[axis];
    s->x_stride = x->strides[axis];
    s->y_stride = y->strides[axis];
    if (step->u.cumsum.reverse) {
        s->x_first = (s->count - 1) * s->x_stride;
        s->y_first = (s->count - 1) * s->y_stride;
        s->x_stride = -s->x_stride;
        s->y_stride = -s->y_stride;
    }
    s->size = (int64_t)hsched_dtype_size(x->dtype);
    s->exclusive = step->u.cumsum.exclusive != 0;
    s->each = s->x_stride == 1 || s->x_stride == -1 ? STREAMS : ACROSS;
    s->sum = sums[step->u.cumsum.product != 0][x->dtype];
    prepared->state = s;
    hsi_lower_parts(step, 2 * hsi_operand_count(x) * (double)s->size, s->loop.total);
    return HSCHED_OK;
}

static const hsi_cpu_kernel cumsum_kernel = {
    .name = "own/cumsum",
    .kind = HSCHED_STEP_CUMSUM,
    .library = HSCHED_LIBRARY_OWN,
    .supports = cumsum_supports,
    .prepare = cumsum_prepare,
    .destroy = hsi_free,
    .run = cumsum_run,
};

const hsi_cpu_kernel *const hsi_cpu_kernels_cumsum[] = { &cumsum_kernel, NULL };
