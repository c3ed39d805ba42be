/* RESIZE: every element is a sum over the taps of all axes. */
#include "backend/ref/ref.h"

#include <string.h>

#include "backend/resize.h"

/* The element at `at` of out, whose taps in each dimension are `places`. */
static double blend(const hsched_step *step, const hsi_resize_place *places,
                    const float *x)
{
    const uint32_t rank = step->out.rank;
    int64_t taps[HSCHED_MAX_DIMS], tap[HSCHED_MAX_DIMS] = { 0 };
    double sum = 0;
    for (uint32_t d = 0; d < rank; d++)
        taps[d] = places[d].taps;
    do {
        int64_t from = 0;
        double weight = 1;
        for (uint32_t d = 0; d < rank; d++) {
            from +=
                hsi_resize_index(step, d, &places[d], tap[d]) * step->in[0].strides[d];
            weight *= hsi_resize_weight(step, d, &places[d], tap[d]);
        }
        if (weight != 0)
            sum += weight * x[from];
    } while (hsi_ref_next(rank, taps, tap));
    return sum;
}

void hsi_ref_resize(const hsched_step *step, const void *const *inputs, void *out)
{
    const hsched_operand *y = &step->out;
    const size_t size = hsched_dtype_size(y->dtype);
    const int copies = step->u.resize.mode == HSCHED_RESIZE_NEAREST;
    int64_t at[HSCHED_MAX_DIMS] = { 0 };
    do {
        hsi_resize_place places[HSCHED_MAX_DIMS];
        int64_t from = 0;
        int outside = 0;
        for (uint32_t d = 0; d < y->rank; d++) {
            places[d] = (hsi_resize_place){ .first = at[d], .taps = 1 };
            if (!hsi_resize_is_identity(step, d))
                places[d] = hsi_resize_at(step, d, at[d]);
            outside |= places[d].outside;
            from += hsi_resize_index(step, d, &places[d], 0) * step->in[0].strides[d];
        }
        char *to = (char *)out + (size_t)hsi_ref_offset(y, at) * size;
        if (outside)
            *(float *)to = step->u.resize.extrapolation_value;
        else if (copies)
            memcpy(to, (const char *)inputs[0] + from * (int64_t)size, size);
        else
            *(float *)to = (float)blend(step, places, inputs[0]);
    } while (hsi_ref_next(y->rank, y->dims, at));
}
