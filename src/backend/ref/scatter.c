/* SCATTER on any shape. */
#include "backend/ref/ref.h"
#include "backend/ref/types.h"

#include <math.h>
#include <string.h>

#include "base/element.h"

static double join_real(hsched_scatter_kind kind, double a, double v)
{
    switch (kind) {
    case HSCHED_SCATTER_ADD:
        return a + v;
    case HSCHED_SCATTER_MUL:
        return a * v;
    case HSCHED_SCATTER_MAX:
        return isnan(a) || a > v ? a : v;
    default:
        return isnan(a) || a < v ? a : v;
    }
}

/* Sums and products wrap around. */
static int64_t join_int(hsched_scatter_kind kind, int64_t a, int64_t v)
{
    switch (kind) {
    case HSCHED_SCATTER_ADD:
        return (int64_t)((uint64_t)a + (uint64_t)v);
    case HSCHED_SCATTER_MUL:
        return (int64_t)((uint64_t)a * (uint64_t)v);
    case HSCHED_SCATTER_MAX:
        return a > v ? a : v;
    default:
        return a < v ? a : v;
    }
}

void hsi_ref_scatter(const hsched_step *step, const void *const *inputs, void *out)
{
    const hsched_operand *indices = &step->in[1], *u = &step->in[2], *y = &step->out;
    const hsched_scatter_kind kind = step->u.scatter.kind;
    const uint32_t axis = step->u.scatter.axis;
    const hsched_dtype type = y->dtype;
    const size_t size = hsched_dtype_size(type);
    int64_t at[HSCHED_MAX_DIMS] = { 0 };
    hsi_ref_copy(step, inputs, out);
    do {
        int64_t to[HSCHED_MAX_DIMS], from = hsi_ref_offset(u, at);
        memcpy(to, at, sizeof to);
        to[axis] =
            hsi_ref_get_int(indices->dtype, inputs[1], hsi_ref_offset(indices, at));
        if (to[axis] < 0)
            to[axis] += y->dims[axis];
        if (to[axis] < 0 || to[axis] >= y->dims[axis])
            continue;
        const int64_t place = hsi_ref_offset(y, to);
        if (kind == HSCHED_SCATTER_SET)
            memcpy((char *)out + place * (int64_t)size,
                   (const char *)inputs[2] + from * (int64_t)size, size);
        else if (hsi_is_real(type))
            hsi_ref_put_real(type, out, place,
                             join_real(kind, hsi_ref_get_real(type, out, place),
                                       hsi_ref_get_real(type, inputs[2], from)));
        else
            hsi_ref_put_int(type, out, place,
                            join_int(kind, hsi_ref_get_int(type, out, place),
                                     hsi_ref_get_int(type, inputs[2], from)));
    } while (hsi_ref_next(u->rank, u->dims, at));
}
