/* TUPLE_INDEX: few numbers, one after the other. */
#include "base/alloc.h"
#include "base/status.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/loop.h"
#include "backend/ref/ref.h"

typedef struct tuple_state {
    hsi_loop loop;           /* the first of each tuple, output */
    int64_t stride, members; /* along a tuple */
    int64_t dims[HSCHED_MAX_DIMS], places;
    int narrow; /* indices are int32 */
} tuple_state;

static int64_t place_of(const tuple_state *s, const void *x, int64_t offset)
{
    int64_t place = 0;
    for (int64_t k = 0; k < s->members; k++, offset += s->stride) {
        int64_t i =
            s->narrow ? ((const int32_t *)x)[offset] : ((const int64_t *)x)[offset];
        i += i < 0 ? s->dims[k] : 0;
        if (i < 0 || i >= s->dims[k])
            return s->places;
        place = place * s->dims[k] + i;
    }
    return place;
}

static hsched_status tuple_run(const hsched_step *step, const void *state,
                               void *slot_state, void *const *operands, uint32_t part,
                               void *scratch)
{
    const tuple_state *s = state;
    int64_t begin, end, *y = operands[1];
    hsi_cursor cursor;
    hsi_tile t;
    (void)slot_state;
    (void)scratch;
    hsi_loop_part(&s->loop, part, step->parts, &begin, &end);
    hsi_cursor_begin(&cursor, &s->loop, begin, end);
    while (hsi_cursor_next(&cursor, &t))
        for (int64_t r = 0; r < t.rows; r++)
            for (int64_t c = 0; c < t.cols; c++)
                y[t.offset[1] + r * t.row_stride[1] + c * t.col_stride[1]] =
                    place_of(s, operands[0],
                             t.offset[0] + r * t.row_stride[0] + c * t.col_stride[0]);
    return HSCHED_OK;
}

static int tuple_supports(const hsched_step *step)
{
    return hsi_ref_fault(step) == NULL && step->act.kind == HSCHED_ACTIVATION_NONE;
}

static hsched_status tuple_prepare(const hsi_cpu_prepare_context *context,
                                   hsched_step *step, hsi_cpu_prepared *prepared)
{
    const hsched_operand *x = &step->in[0], *y = &step->out;
    const int64_t *strides[2] = { x->strides, y->strides };
    (void)context;
    tuple_state *s = HSI_NEW(tuple_state);
    if (s == NULL)
        return hsi_out_of_memory("the plan of tuples");
    hsi_loop_init(&s->loop, y->rank, y->dims, 2, strides);
    s->stride = x->strides[x->rank - 1];
    s->members = x->dims[x->rank - 1];
    s->narrow = x->dtype == HSCHED_INT32;
    s->places = 1;
    for (int64_t k = 0; k < s->members; k++) {
        s->dims[k] = step->u.tuple_index.dims[k];
        s->places *= s->dims[k];
    }
    prepared->state = s;
    hsi_lower_parts(step, hsi_operand_count(x) * 16, s->loop.total);
    return HSCHED_OK;
}

static const hsi_cpu_kernel tuple_kernel = {
    .name = "own/tuple_index",
    .kind = HSCHED_STEP_TUPLE_INDEX,
    .library = HSCHED_LIBRARY_OWN,
    .supports = tuple_supports,
    .prepare = tuple_prepare,
    .destroy = hsi_free,
    .run = tuple_run,
};

const hsi_cpu_kernel *const hsi_cpu_kernels_tuple_index[] = { &tuple_kernel, NULL };
