/* POOL_INDEX: which element of a window is its largest. */
#include "backend/ref/ref.h"

#include <math.h>

/* The number of the element at `at` among all of x. */
static int64_t number_of(const hsched_step *step, const int64_t *at)
{
    const hsched_operand *x = &step->in[0];
    int64_t image = 1, number = 0;
    for (uint32_t d = 2; d < x->rank; d++)
        image *= x->dims[d];
    if (step->u.pool_index.column_major)
        for (uint32_t d = x->rank; d-- > 2;)
            number = number * x->dims[d] + at[d];
    else
        for (uint32_t d = 2; d < x->rank; d++)
            number = number * x->dims[d] + at[d];
    return (at[0] * x->dims[1] + at[1]) * image + number;
}

static int64_t window(const hsched_step *step, const float *x, const int64_t *out)
{
    const hsched_operand *xop = &step->in[0];
    const uint32_t spatial = xop->rank - 2;
    int64_t tap[3] = { 0 }, at[HSCHED_MAX_DIMS] = { out[0], out[1] }, best = -1;
    float largest = 0;
    do {
        int inside = 1;
        for (uint32_t d = 0; d < spatial; d++) {
            at[2 + d] = out[2 + d] * step->u.pool_index.strides[d] -
                        step->u.pool_index.before[d] +
                        tap[d] * step->u.pool_index.dilations[d];
            inside &= at[2 + d] >= 0 && at[2 + d] < xop->dims[2 + d];
        }
        if (!inside)
            continue;
        const float value = x[hsi_ref_offset(xop, at)];
        if (best < 0 || value > largest || (isnan(value) && !isnan(largest))) {
            largest = value;
            best = number_of(step, at);
        }
    } while (hsi_ref_next(spatial, step->u.pool_index.kernel, tap));
    return best;
}

void hsi_ref_pool_index(const hsched_step *step, const void *const *inputs, void *out)
{
    int64_t at[HSCHED_MAX_DIMS] = { 0 };
    do {
        ((int64_t *)out)[hsi_ref_offset(&step->out, at)] = window(step, inputs[0], at);
    } while (hsi_ref_next(step->out.rank, step->out.dims, at));
}
