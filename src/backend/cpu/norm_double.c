/* NORM on float64: group after group, mean first, then the variance about it. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/loop.h"
#include "backend/ref/ref.h"

enum {
    X,
    SCALE,
    BIAS,
    OUT,
    OPERANDS
};

typedef struct norm_state {
    hsi_loop groups, members; /* of all operands; absent ones stand still */
    double count, epsilon;
} norm_state;

/* A row of the members: n elements of each operand, some elements apart. */
typedef struct row {
    const double *x, *scale, *bias;
    double *y;
    const int64_t *stride;
    int64_t n;
} row;

static double sum_of(const row *r)
{
    double sum = 0;
    for (int64_t i = 0; i < r->n; i++)
        sum += r->x[i * r->stride[X]];
    return sum;
}

static double squares_of(const row *r, double mean)
{
    double sum = 0;
    for (int64_t i = 0; i < r->n; i++) {
        const double less = r->x[i * r->stride[X]] - mean;
        sum += less * less;
    }
    return sum;
}

static void write_row(const row *r, double mean, double deviation)
{
    for (int64_t i = 0; i < r->n; i++) {
        double y = (r->x[i * r->stride[X]] - mean) / deviation;
        if (r->scale != NULL)
            y *= r->scale[i * r->stride[SCALE]];
        if (r->bias != NULL)
            y += r->bias[i * r->stride[BIAS]];
        r->y[i * r->stride[OUT]] = y;
    }
}

static const double *moved(const double *from, int64_t offset)
{
    return from != NULL ? from + offset : NULL;
}

/* The three passes over the group that `group` begins; `pass` is 0, 1 or 2. */
static double pass_over(const norm_state *s, const row *group, int pass, double mean,
                        double deviation)
{
    double sum = 0;
    hsi_cursor cursor;
    hsi_tile t;
    hsi_cursor_begin(&cursor, &s->members, 0, s->members.total);
    while (hsi_cursor_next(&cursor, &t))
        for (int64_t k = 0; k < t.rows; k++) {
            const row r = { group->x + t.offset[X] + k * t.row_stride[X],
                            moved(group->scale,
                                  t.offset[SCALE] + k * t.row_stride[SCALE]),
                            moved(group->bias, t.offset[BIAS] + k * t.row_stride[BIAS]),
                            group->y + t.offset[OUT] + k * t.row_stride[OUT],
                            t.col_stride,
                            t.cols };
            if (pass == 0)
                sum += sum_of(&r);
            else if (pass == 1)
                sum += squares_of(&r, mean);
            else
                write_row(&r, mean, deviation);
        }
    return sum;
}

static void normalise(const norm_state *s, const row *group, int rms)
{
    const double mean = rms ? 0 : pass_over(s, group, 0, 0, 1) / s->count;
    const double variance = pass_over(s, group, 1, mean, 1) / s->count;
    pass_over(s, group, 2, mean, sqrt(variance + s->epsilon));
}

static hsched_status norm_run(const hsched_step *step, const void *state,
                              void *slot_state, void *const *operands, uint32_t part,
                              void *scratch)
{
    const norm_state *s = state;
    const double *scale = hsi_ref_has(step, 1) ? operands[1] : NULL,
                 *bias = hsi_ref_has(step, 2) ? operands[2] : NULL;
    int64_t begin, end;
    hsi_cursor cursor;
    hsi_tile t;
    (void)slot_state;
    (void)scratch;
    hsi_part_range(s->groups.total, part, step->parts, &begin, &end);
    hsi_cursor_begin(&cursor, &s->groups, begin, end);
    while (hsi_cursor_next(&cursor, &t))
        for (int64_t r = 0; r < t.rows; r++)
            for (int64_t c = 0; c < t.cols; c++) {
                int64_t at[OPERANDS];
                for (int k = 0; k < OPERANDS; k++)
                    at[k] = t.offset[k] + r * t.row_stride[k] + c * t.col_stride[k];
                const row group = { (const double *)operands[0] + at[X],
                                    moved(scale, at[SCALE]),
                                    moved(bias, at[BIAS]),
                                    (double *)operands[step->input_count] + at[OUT],
                                    NULL,
                                    0 };
                normalise(s, &group, step->u.norm.rms);
            }
    return HSCHED_OK;
}

static int norm_supports(const hsched_step *step)
{
    return step->out.dtype == HSCHED_FLOAT64 && step->out.rank < HSCHED_MAX_DIMS &&
           hsi_ref_fault(step) == NULL;
}

/* The axis is two dimensions: that of groups, and that of their members. */
static hsched_status norm_prepare(const hsi_cpu_prepare_context *context,
                                  hsched_step *step, hsi_cpu_prepared *prepared)
{
    const hsched_operand *operands[OPERANDS] = { &step->in[0], &step->in[1], &step->in[2],
                                                 &step->out };
    const uint32_t axis = step->u.norm.axis, rank = step->out.rank;
    const int64_t groups = step->u.norm.groups, each = step->out.dims[axis] / groups;
    int64_t outer[HSCHED_MAX_DIMS], inner[HSCHED_MAX_DIMS],
        far[OPERANDS][HSCHED_MAX_DIMS] = { 0 }, near[OPERANDS][HSCHED_MAX_DIMS] = { 0 };
    const int64_t *far_strides[OPERANDS], *near_strides[OPERANDS];
    (void)context;
    norm_state *s = HSI_NEW(norm_state);
    if (s == NULL)
        return hsi_out_of_memory("the plan of a norm step");
    for (uint32_t d = 0; d < rank; d++) {
        outer[d] = d < axis ? step->out.dims[d] : d == axis ? groups : 1;
        inner[d] = d < axis ? 1 : d == axis ? each : step->out.dims[d];
    }
    for (int k = 0; k < OPERANDS; k++) {
        const int there = k == OUT || hsi_ref_has(step, (uint32_t)k);
        for (uint32_t d = 0; there && d < rank; d++) {
            near[k][d] = operands[k]->strides[d];
            far[k][d] = operands[k]->strides[d] * (d == axis ? each : 1);
        }
        far_strides[k] = far[k];
        near_strides[k] = near[k];
    }
    hsi_loop_init(&s->groups, rank, outer, OPERANDS, far_strides);
    hsi_loop_init(&s->members, rank, inner, OPERANDS, near_strides);
    s->count = (double)s->members.total;
    s->epsilon = (double)step->u.norm.epsilon;
    prepared->state = s;
    hsi_lower_parts(step, 4 * hsi_operand_count(&step->out) * sizeof(double),
                    s->groups.total);
    return HSCHED_OK;
}

const hsi_cpu_kernel hsi_cpu_kernel_norm_double = {
    .name = "own/norm-double",
    .kind = HSCHED_STEP_NORM,
    .library = HSCHED_LIBRARY_OWN,
    .supports = norm_supports,
    .prepare = norm_prepare,
    .destroy = hsi_free,
    .run = norm_run,
};
