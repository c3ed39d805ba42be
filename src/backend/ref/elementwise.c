/* UNARY and BINARY on any shape; operands have out's shape. Both may be in place: an
 * element is written after it was read. */
#include "backend/ref/ref.h"

#include <math.h>

void hsi_ref_unary(const hsched_step *step, const void *const *inputs, void *out)
{
    const float *x = inputs[0];
    float *y = out;
    int64_t index[HSCHED_MAX_DIMS] = { 0 };
    do {
        y[hsi_ref_offset(&step->out, index)] =
            (float)hsi_ref_activate(step->act, x[hsi_ref_offset(&step->in[0], index)]);
    } while (hsi_ref_next(step->out.rank, step->out.dims, index));
}

static double combine(hsched_binary_kind kind, double a, double b)
{
    switch (kind) {
    case HSCHED_BINARY_ADD:
        return a + b;
    case HSCHED_BINARY_SUB:
        return a - b;
    case HSCHED_BINARY_MUL:
        return a * b;
    case HSCHED_BINARY_DIV:
        return a / b;
    case HSCHED_BINARY_MIN:
        return a < b || isnan(a) ? a : b;
    case HSCHED_BINARY_MAX:
        return a > b || isnan(a) ? a : b;
    case HSCHED_BINARY_POW:
        return pow(a, b);
    case HSCHED_BINARY_PRELU:
        return a < 0 ? a * b : a;
    }
    return NAN; /* not reached: hsi_ref_fault refuses other kinds */
}

void hsi_ref_binary(const hsched_step *step, const void *const *inputs, void *out)
{
    const float *a = inputs[0], *b = inputs[1];
    float *y = out;
    int64_t index[HSCHED_MAX_DIMS] = { 0 };
    do {
        double value =
            combine(step->u.binary.kind, a[hsi_ref_offset(&step->in[0], index)],
                    b[hsi_ref_offset(&step->in[1], index)]);
        y[hsi_ref_offset(&step->out, index)] = (float)hsi_ref_activate(step->act, value);
    } while (hsi_ref_next(step->out.rank, step->out.dims, index));
}
