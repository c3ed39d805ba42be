/* REDUCE on any shape: floats in double, integers in 64 bits. */
#include "backend/ref/ref.h"
#include "backend/ref/types.h"

#include <math.h>

#include "base/element.h"

static double fold_real(hsched_reduce_kind kind, double so_far, double x)
{
    switch (kind) {
    case HSCHED_REDUCE_MAX:
        return isnan(x) || x > so_far ? x : so_far;
    case HSCHED_REDUCE_MIN:
        return isnan(x) || x < so_far ? x : so_far;
    case HSCHED_REDUCE_PROD:
        return so_far * x;
    default:
        return so_far + x;
    }
}

static int64_t fold_int(hsched_reduce_kind kind, int64_t so_far, int64_t x)
{
    switch (kind) {
    case HSCHED_REDUCE_MAX:
        return x > so_far ? x : so_far;
    case HSCHED_REDUCE_MIN:
        return x < so_far ? x : so_far;
    case HSCHED_REDUCE_PROD:
        return (int64_t)((uint64_t)so_far * (uint64_t)x);
    default:
        return (int64_t)((uint64_t)so_far + (uint64_t)x);
    }
}

void hsi_ref_reduce(const hsched_step *step, const void *const *inputs, void *out)
{
    const hsched_operand *xop = &step->in[0], *yop = &step->out;
    const hsched_reduce_kind kind = step->u.reduce.kind;
    const int real = hsi_is_real(xop->dtype);
    int64_t window[HSCHED_MAX_DIMS]; /* what one output element is made of */
    int64_t count = 1;
    for (uint32_t d = 0; d < yop->rank; d++) {
        window[d] = yop->dims[d] == 1 ? xop->dims[d] : 1;
        count *= window[d];
    }
    int64_t index[HSCHED_MAX_DIMS] = { 0 };
    do {
        const int64_t first = hsi_ref_offset(xop, index);
        const int64_t y = hsi_ref_offset(yop, index);
        int64_t k[HSCHED_MAX_DIMS] = { 0 };
        double sum = real ? hsi_ref_get_real(xop->dtype, inputs[0], first) : 0;
        int64_t whole = real ? 0 : hsi_ref_get_int(xop->dtype, inputs[0], first);
        while (hsi_ref_next(xop->rank, window, k)) {
            const int64_t at = first + hsi_ref_offset(xop, k);
            if (real)
                sum = fold_real(kind, sum, hsi_ref_get_real(xop->dtype, inputs[0], at));
            else
                whole = fold_int(kind, whole, hsi_ref_get_int(xop->dtype, inputs[0], at));
        }
        const int mean = kind == HSCHED_REDUCE_MEAN;
        if (real)
            hsi_ref_put_real(yop->dtype, out, y, mean ? sum / (double)count : sum);
        else
            hsi_ref_put_int(yop->dtype, out, y, mean ? whole / count : whole);
    } while (hsi_ref_next(yop->rank, yop->dims, index));
}
