/* ARG on any shape, by comparing elements one with another. */
#include "backend/ref/ref.h"
#include "backend/ref/types.h"

#include <math.h>

/* 1 if element a of x comes before element b: more, or less where the smallest is wanted;
 * a not-a-number comes first in either case. */
static int is_ahead(const hsched_operand *x, const void *data, int64_t a, int64_t b,
                    int smallest)
{
    if (x->dtype == HSCHED_FLOAT32) {
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
