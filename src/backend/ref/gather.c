/* GATHER and TUPLE_INDEX on any shape. */
#include "backend/ref/ref.h"
#include "backend/ref/types.h"

#include <string.h>

void hsi_ref_gather(const hsched_step *step, const void *const *inputs, void *out)
{
    const hsched_operand *x = &step->in[0], *indices = &step->in[1], *y = &step->out;
    const uint32_t axis = step->u.gather.axis;
    const size_t size = hsched_dtype_size(y->dtype);
    int64_t at[HSCHED_MAX_DIMS] = { 0 };
    do {
        int64_t from[HSCHED_MAX_DIMS];
        char *to = (char *)out + hsi_ref_offset(y, at) * (int64_t)size;
        memcpy(from, at, sizeof from);
        from[axis] =
            hsi_ref_get_int(indices->dtype, inputs[1], hsi_ref_offset(indices, at));
        if (from[axis] < 0)
            from[axis] += x->dims[axis];
        if (from[axis] < 0 || from[axis] >= x->dims[axis])
            memset(to, 0, size);
        else
            memcpy(to, (const char *)inputs[0] + hsi_ref_offset(x, from) * (int64_t)size,
                   size);
    } while (hsi_ref_next(y->rank, y->dims, at));
}

void hsi_ref_tuple_index(const hsched_step *step, const void *const *inputs, void *out)
{
    const hsched_operand *x = &step->in[0], *y = &step->out;
    const uint32_t last = x->rank - 1;
    const int64_t *dims = step->u.tuple_index.dims;
    int64_t at[HSCHED_MAX_DIMS] = { 0 }, all = 1;
    for (int64_t k = 0; k < x->dims[last]; k++)
        all *= dims[k];
    do {
        const int64_t first = hsi_ref_offset(x, at);
        int64_t place = 0;
        int inside = 1;
        for (int64_t k = 0; k < x->dims[last]; k++) {
            int64_t i =
                hsi_ref_get_int(x->dtype, inputs[0], first + k * x->strides[last]);
            i += i < 0 ? dims[k] : 0;
            inside &= i >= 0 && i < dims[k];
            place = inside ? place * dims[k] + i : 0;
        }
        ((int64_t *)out)[hsi_ref_offset(y, at)] = inside ? place : all;
    } while (hsi_ref_next(y->rank, y->dims, at));
}
