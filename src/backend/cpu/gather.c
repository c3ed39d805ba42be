/*
 * GATHER: a nest over x (without the axis), indices and output. Where one index is for a row of
 * neighbours it is a copy of that row.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/loop.h"
#include "backend/ref/ref.h"

typedef struct gather_state gather_state;
typedef void gather_loop(const gather_state *s, const hsi_tile *t, const void *from,
                         const void *indices, void *to);

struct gather_state {
    hsi_loop loop;         /* x, indices, output */
    int64_t size;          /* of an element */
    int64_t stride, count; /* of x along the axis */
    int narrow;            /* indices are int32 */
    gather_loop *elements; /* of a row */
};

/* Where element `index` along the axis is, from the one with index 0; -1: out of range. */
HSI_ISA_INLINE int64_t place_of(int64_t index, int64_t count)
{
    index += index < 0 ? count : 0;
    return index < 0 || index >= count ? -1 : index;
}

static int64_t index_at(const gather_state *s, const void *indices, int64_t offset)
{
    return s->narrow ? ((const int32_t *)indices)[offset]
                     : ((const int64_t *)indices)[offset];
}

/* Elements of `type` of a row, by indices of `itype`; of neighbours by neighbours, along an axis of
 * neighbours, without a product for each. */
#define GATHER_LOOP(type, itype)                                                         \
    HSI_ISA_INLINE void type##_by_##itype##_neighbours_body(                             \
        const type *x, const itype *index, type *restrict y, int64_t count, int64_t n)   \
    {                                                                                    \
        for (int64_t c = 0; c < n; c++) {                                                \
            const int64_t place = place_of(index[c], count);                             \
            y[c] = place < 0 ? 0 : x[place];                                             \
        }                                                                                \
    }                                                                                    \
    HSI_ISA_DISPATCH(                                                                    \
        type##_by_##itype##_neighbours,                                                  \
        (const type *x, const itype *index, type *restrict y, int64_t count, int64_t n), \
        (x, index, y, count, n))                                                         \
    static void type##_by_##itype(const gather_state *s, const hsi_tile *t,              \
                                  const void *from, const void *indices, void *to)       \
    {                                                                                    \
        const type *x = from;                                                            \
        const itype *index = indices;                                                    \
        type *y = to;                                                                    \
        const int64_t xs = t->col_stride[0], is = t->col_stride[1],                      \
                      ys = t->col_stride[2], stride = s->stride, count = s->count;       \
        if (xs == 0 && is == 1 && ys == 1 && stride == 1) {                              \
            type##_by_##itype##_neighbours(x, index, y, count, t->cols);                 \
            return;                                                                      \
        }                                                                                \
        for (int64_t c = 0; c < t->cols; c++) {                                          \
            const int64_t place = place_of(index[c * is], count);                        \
            y[c * ys] = place < 0 ? 0 : x[c * xs + place * stride];                      \
        }                                                                                \
    }
GATHER_LOOP(uint8_t, int32_t)
GATHER_LOOP(uint16_t, int32_t)
GATHER_LOOP(uint32_t, int32_t)
GATHER_LOOP(uint64_t, int32_t)
GATHER_LOOP(uint8_t, int64_t)
GATHER_LOOP(uint16_t, int64_t)
GATHER_LOOP(uint32_t, int64_t)
GATHER_LOOP(uint64_t, int64_t)

static gather_loop *loop_of(int64_t size, int narrow)
{
    switch (size) {
    case 1:
        return narrow ? uint8_t_by_int32_t : uint8_t_by_int64_t;
    case 2:
        return narrow ? uint16_t_by_int32_t : uint16_t_by_int64_t;
    case 4:
        return narrow ? uint32_t_by_int32_t : uint32_t_by_int64_t;
    default:
        return narrow ? uint64_t_by_int32_t : uint64_t_by_int64_t;
    }
}

static void gather_row(const gather_state *s, const hsi_tile *t, int64_t row,
                       void *const *operands)
{
    const int64_t size = s->size;
    const char *x =
        (const char *)operands[0] + (t->offset[0] + row * t->row_stride[0]) * size;
    char *y = (char *)operands[2] + (t->offset[2] + row * t->row_stride[2]) * size;
    const int64_t first = t->offset[1] + row * t->row_stride[1];
    if (t->col_stride[1] == 0 && t->col_stride[0] == 1 && t->col_stride[2] == 1) {
        const int64_t place = place_of(index_at(s, operands[1], first), s->count);
        if (place < 0)
            memset(y, 0, (size_t)(t->cols * size));
        else
            memcpy(y, x + place * s->stride * size, (size_t)(t->cols * size));
        return;
    }
    s->elements(s, t, x, (const char *)operands[1] + first * (s->narrow ? 4 : 8), y);
}

static hsched_status gather_run(const hsched_step *step, const void *state,
                                void *slot_state, void *const *operands, uint32_t part,
                                void *scratch)
{
    const gather_state *s = state;
    int64_t begin, end;
    hsi_cursor cursor;
    hsi_tile t;
    (void)slot_state;
    (void)scratch;
    hsi_loop_part(&s->loop, part, step->parts, &begin, &end);
    hsi_cursor_begin(&cursor, &s->loop, begin, end);
    while (hsi_cursor_next(&cursor, &t))
        for (int64_t r = 0; r < t.rows; r++)
            gather_row(s, &t, r, operands);
    return HSCHED_OK;
}

static int gather_supports(const hsched_step *step)
{
    return hsi_ref_fault(step) == NULL && step->act.kind == HSCHED_ACTIVATION_NONE;
}

static hsched_status gather_prepare(const hsi_cpu_prepare_context *context,
                                    hsched_step *step, hsi_cpu_prepared *prepared)
{
    const hsched_operand *x = &step->in[0], *y = &step->out;
    const uint32_t axis = step->u.gather.axis;
    int64_t along[HSCHED_MAX_DIMS];
    (void)context;
    gather_state *s = HSI_NEW(gather_state);
    if (s == NULL)
        return hsi_out_of_memory("the plan of a gather");
    memcpy(along, x->strides, sizeof along);
    along[axis] = 0; /* the index says where */
    const int64_t *strides[3] = { along, step->in[1].strides, y->strides };
    hsi_loop_init(&s->loop, y->rank, y->dims, 3, strides);
    s->size = (int64_t)hsched_dtype_size(y->dtype);
    s->stride = x->strides[axis];
    s->count = x->dims[axis];
    s->narrow = step->in[1].dtype == HSCHED_INT32;
    s->elements = loop_of(s->size, s->narrow);
    prepared->state = s;
    hsi_lower_parts(step, 2 * hsi_operand_count(y) * (double)s->size, s->loop.total);
    return HSCHED_OK;
}

static const hsi_cpu_kernel gather_kernel = {
    .name = "own/gather",
    .kind = HSCHED_STEP_GATHER,
    .library = HSCHED_LIBRARY_OWN,
    .supports = gather_supports,
    .prepare = gather_prepare,
    .destroy = hsi_free,
    .run = gather_run,
};

const hsi_cpu_kernel *const hsi_cpu_kernels_gather[] = { &gather_kernel, NULL };
