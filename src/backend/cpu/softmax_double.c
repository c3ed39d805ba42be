/* SOFTMAX on float64, and its logarithm: row after row along the axis, by the C library. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/loop.h"

typedef struct softmax_state {
    hsi_loop loop;                     /* x and out without the axis */
    int64_t count, x_stride, y_stride; /* along it */
} softmax_state;

/* `row` has room for the axis: less the largest, so that nothing overflows. */
static void softmax_row(const softmax_state *s, const double *x, double *y, double *row,
                        int log_of_it)
{
    double most = x[0], sum = 0;
    for (int64_t k = 1; k < s->count; k++)
        most = x[k * s->x_stride] > most ? x[k * s->x_stride] : most;
    for (int64_t k = 0; k < s->count; k++) {
        const double less = x[k * s->x_stride] - most, e = exp(less);
        row[k] = log_of_it ? less : e;
        sum += e;
    }
    const double addend = log(sum);
    for (int64_t k = 0; k < s->count; k++)
        y[k * s->y_stride] = log_of_it ? row[k] - addend : row[k] / sum;
}

static hsched_status softmax_run(const hsched_step *step, const void *state,
                                 void *slot_state, void *const *operands, uint32_t part,
                                 void *scratch)
{
    const softmax_state *s = state;
    const double *x = operands[0];
    double *y = operands[1];
    int64_t begin, end;
    hsi_cursor cursor;
    hsi_tile t;
    (void)slot_state;
    hsi_part_range(s->loop.total, part, step->parts, &begin, &end);
    hsi_cursor_begin(&cursor, &s->loop, begin, end);
    while (hsi_cursor_next(&cursor, &t))
        for (int64_t r = 0; r < t.rows; r++)
            for (int64_t c = 0; c < t.cols; c++)
                softmax_row(s,
                            x + t.offset[0] + r * t.row_stride[0] + c * t.col_stride[0],
                            y + t.offset[1] + r * t.row_stride[1] + c * t.col_stride[1],
                            scratch, step->u.softmax.log);
    return HSCHED_OK;
}

static int softmax_supports(const hsched_step *step)
{
    return step->in[0].dtype == HSCHED_FLOAT64 && step->out.dtype == HSCHED_FLOAT64 &&
           step->u.softmax.axis < step->out.rank &&
           step->act.kind == HSCHED_ACTIVATION_NONE;
}

static hsched_status softmax_prepare(const hsi_cpu_prepare_context *context,
                                     hsched_step *step, hsi_cpu_prepared *prepared)
{
    const hsched_operand *x = &step->in[0], *y = &step->out;
    const uint32_t axis = step->u.softmax.axis;
    const int64_t *strides[2] = { x->strides, y->strides };
    int64_t groups[HSCHED_MAX_DIMS];
    (void)context;
    if (!hsi_mul_size((size_t)y->dims[axis], sizeof(double), &prepared->scratch_size))
        return hsi_out_of_memory("a row of a softmax");
    softmax_state *s = HSI_NEW(softmax_state);
    if (s == NULL)
        return hsi_out_of_memory("the plan of a softmax");
    memcpy(groups, y->dims, sizeof groups);
    groups[axis] = 1;
    hsi_loop_init(&s->loop, y->rank, groups, 2, strides);
    s->count = y->dims[axis];
    s->x_stride = x->strides[axis];
    s->y_stride = y->strides[axis];
    prepared->state = s;
    /* An exponential takes as long as some dozens of bytes. */
    hsi_lower_parts(step, hsi_operand_count(x) * 64, s->loop.total);
    return HSCHED_OK;
}

const hsi_cpu_kernel hsi_cpu_kernel_softmax_double = {
    .name = "own/softmax-double",
    .kind = HSCHED_STEP_SOFTMAX,
    .library = HSCHED_LIBRARY_OWN,
    .supports = softmax_supports,
    .prepare = softmax_prepare,
    .destroy = hsi_free,
    .run = softmax_run,
};
