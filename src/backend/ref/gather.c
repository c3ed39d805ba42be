/* GATHER on any shape. */
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
