/*
 * GATHER: a nest over x (without the axis), indices and output. Where one index is for a row of
 * neighbours it is a copy of that row.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/loop.h"
#include "backend/ref/ref.h"

typedef struct gather_state {
    hsi_loop loop;         /* x, indices, output */
    int64_t size;          /* of an element */
    int64_t stride, count; /* of x along the axis */
    int narrow;            /* indices are int32 */
} gather_state;

/* Where element `index` along the axis is, from the one with index 0; -1: out of range. */
static int64_t place_of(const gather_state *s, const void *indices, int64_t offset)
{
    int64_t index = s->narrow ? ((const int32_t *)indices)[offset]
                              : ((const int64_t *)indices)[offset];
    if (index < 0)
        index += s->count;
    return index < 0 || index >= s->count ? -1 : index;
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
        const int64_t index = place_of(s, operands[1], first);
        if (index < 0)
            memset(y, 0, (size_t)(t->cols * size));
        else
            memcpy(y, x + index * s->stride * size, (size_t)(t->cols * size));
        return;
    }
    for (int64_t c = 0; c < t->cols; c++) {
        const int64_t index = place_of(s, operands[1], first + c * t->col_stride[1]);
        char *to = y + c * t->col_stride[2] * size;
        if (index < 0) {
            memset(to, 0, (size_t)size);
            continue;
        }
        const char *from = x + (c * t->col_stride[0] + index * s->stride) * size;
        if (size == 4)
            memcpy(to, from, 4);
        else if (size == 8)
            memcpy(to, from, 8);
        else
            memcpy(to, from, (size_t)size);
    }
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
