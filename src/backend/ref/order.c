/* ARG and TOP_K on any shape, by comparing elements one with another; CUMSUM. */
#include "backend/ref/ref.h"
#include "backend/ref/types.h"

#include <math.h>

#include "base/element.h"

/* 1 if element a of x comes before element b: more, or less where the smallest is wanted;
 * a not-a-number comes first in either case. */
static int is_ahead(const hsched_operand *x, const void *data, int64_t a, int64_t b,
                    int smallest)
{
    if (hsi_is_real(x->dtype)) {
        const double va = hsi_ref_get_real(x->dtype, data, a),
                     vb = hsi_ref_get_real(x->dtype, data, b);
        if (isnan(va) || isnan(vb))
            return !isnan(vb);
        return smallest ? va < vb : va > vb;
    }
    const int64_t va = hsi_ref_get_int(x->dtype, data, a),
                  vb = hsi_ref_get_int(x->dtype, data, b);
    return smallest ? va < vb : va > vb;
}

void hsi_ref_arg(const hsched_step *step, const void *const *inputs, void *out)
{
    const hsched_operand *x = &step->in[0], *y = &step->out;
    const uint32_t axis = step->u.arg.axis;
    const int smallest = step->u.arg.smallest, last = step->u.arg.last;
    int64_t at[HSCHED_MAX_DIMS] = { 0 };
    do {
        const int64_t first = hsi_ref_offset(x, at), stride = x->strides[axis];
        int64_t best = 0;
        for (int64_t i = 1; i < x->dims[axis]; i++) {
            const int64_t a = first + i * stride, b = first + best * stride;
            if (last ? !is_ahead(x, inputs[0], b, a, smallest)
                     : is_ahead(x, inputs[0], a, b, smallest))
                best = i;
        }
        ((int64_t *)out)[hsi_ref_offset(y, at)] = best;
    } while (hsi_ref_next(y->rank, y->dims, at));
}

/* The same with a not-a-number as the largest, and the first of equal ones ahead. */
static int is_above(const hsched_operand *x, const void *data, int64_t first,
                    int64_t stride, int64_t a, int64_t b, int smallest)
{
    const int64_t pa = first + a * stride, pb = first + b * stride;
    const int more = is_ahead(x, data, pa, pb, 0), less = is_ahead(x, data, pb, pa, 0);
    if (more == less)
        return a < b;
    return smallest ? less : more;
}

/* Each is the best of those that come behind the one before it. */
void hsi_ref_top_k(const hsched_step *step, const void *const *inputs, void *out)
{
    const hsched_operand *x = &step->in[0], *y = &step->out;
    const uint32_t axis = step->u.top_k.axis;
    const int smallest = step->u.top_k.smallest;
    const int64_t stride = x->strides[axis];
    int64_t at[HSCHED_MAX_DIMS] = { 0 }, groups[HSCHED_MAX_DIMS];
    for (uint32_t d = 0; d < y->rank; d++)
        groups[d] = d == axis ? 1 : y->dims[d];
    do {
        const int64_t first = hsi_ref_offset(x, at);
        int64_t *to = (int64_t *)out + hsi_ref_offset(y, at), before = -1;
        for (int64_t k = 0; k < y->dims[axis]; k++) {
            int64_t best = -1;
            for (int64_t i = 0; i < x->dims[axis]; i++)
                if ((before < 0 ||
                     is_above(x, inputs[0], first, stride, before, i, smallest)) &&
                    i != before &&
                    (best < 0 ||
                     is_above(x, inputs[0], first, stride, i, best, smallest)))
                    best = i;
            to[k * y->strides[axis]] = before = best;
        }
    } while (hsi_ref_next(y->rank, groups, at));
}

void hsi_ref_cumsum(const hsched_step *step, const void *const *inputs, void *out)
{
    const hsched_operand *x = &step->in[0], *y = &step->out;
    const uint32_t axis = step->u.cumsum.axis;
    const int64_t n = x->dims[axis];
    const int product = step->u.cumsum.product != 0;
    int64_t at[HSCHED_MAX_DIMS] = { 0 }, groups[HSCHED_MAX_DIMS];
    for (uint32_t d = 0; d < y->rank; d++)
        groups[d] = d == axis ? 1 : y->dims[d];
    do {
        const int64_t from = hsi_ref_offset(x, at), to = hsi_ref_offset(y, at);
        double real = product;
        uint64_t whole = (uint64_t)product;
        for (int64_t k = 0; k < n; k++) {
            const int64_t i = step->u.cumsum.reverse ? n - 1 - k : k;
            const int64_t a = from + i * x->strides[axis], b = to + i * y->strides[axis];
            const double before = real;
            const uint64_t whole_before = whole;
            if (hsi_is_real(x->dtype)) {
                const double v = hsi_ref_get_real(x->dtype, inputs[0], a);
                real = product ? real * v : real + v;
                hsi_ref_put_real(y->dtype, out, b,
                                 step->u.cumsum.exclusive ? before : real);
            } else {
                const uint64_t v = (uint64_t)hsi_ref_get_int(x->dtype, inputs[0], a);
                whole = product ? whole * v : whole + v;
                hsi_ref_put_int(
                    y->dtype, out, b,
                    (int64_t)(step->u.cumsum.exclusive ? whole_before : whole));
            }
        }
    } while (hsi_ref_next(y->rank, groups, at));
}
