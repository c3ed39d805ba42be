/* Views that lowering puts between the operations of one layer, and the form in which images of
 * one, two and three spatial dimensions go through steps that know two. */
#include "plan/passes.h"

#include <string.h>

static hsi_value *add_view(hsi_ir *ir, hsi_op *op, hsi_value *x)
{
    if (op == NULL)
        return NULL;
    op->in[0] = x;
    return hsi_lower_add(ir, op) == HSCHED_OK ? op->out : NULL;
}

hsi_value *hsi_lower_reshape_to(hsi_ir *ir, const char *name, hsi_value *x, uint32_t rank,
                                const int64_t *dims)
{
    if (x == NULL || (x->rank == rank && memcmp(x->dims, dims, rank * sizeof *dims) == 0))
        return x;
    return hsi_lower_reshape(ir, name, x, hsi_ir_value(ir, x->dtype, rank, dims));
}

hsi_value *hsi_lower_transpose(hsi_ir *ir, const char *name, hsi_value *x,
                               const int64_t *perm)
{
    int64_t dims[HSCHED_MAX_DIMS];
    if (x == NULL)
        return NULL;
    for (uint32_t i = 0; i < x->rank; i++)
        dims[i] = x->dims[perm[i]];
    hsi_value *y = hsi_ir_value(ir, x->dtype, x->rank, dims);
    hsi_op *op = y != NULL ? hsi_ir_op(ir, HSI_OP_TRANSPOSE, name, 1, y) : NULL;
    if (op != NULL)
        memcpy(op->perm, perm, x->rank * sizeof *perm);
    return add_view(ir, op, x);
}

hsi_value *hsi_lower_slice(hsi_ir *ir, const char *name, hsi_value *x, uint32_t axis,
                           int64_t start, int64_t step, int64_t count)
{
    int64_t dims[HSCHED_MAX_DIMS];
    if (x == NULL || (start == 0 && step == 1 && count == x->dims[axis]))
        return x;
    memcpy(dims, x->dims, sizeof dims);
    dims[axis] = count;
    hsi_value *y = hsi_ir_value(ir, x->dtype, x->rank, dims);
    hsi_op *op = y != NULL ? hsi_ir_op(ir, HSI_OP_SLICE, name, 1, y) : NULL;
    for (uint32_t i = 0; op != NULL && i < x->rank; i++)
        op->steps[i] = 1;
    if (op != NULL) {
        op->starts[axis] = start;
        op->steps[axis] = step;
    }
    return add_view(ir, op, x);
}

hsi_value *hsi_lower_pad(hsi_ir *ir, const char *name, hsi_value *x, uint32_t axis,
                         int64_t before, int64_t after, float value)
{
    int64_t dims[HSCHED_MAX_DIMS];
    if (x == NULL || (before == 0 && after == 0))
        return x;
    memcpy(dims, x->dims, sizeof dims);
    dims[axis] += before + after;
    hsi_value *y = hsi_ir_value(ir, x->dtype, x->rank, dims);
    hsi_op *op = y != NULL ? hsi_ir_op(ir, HSCHED_STEP_PAD, name, 1, y) : NULL;
    if (op != NULL) {
        op->step.u.pad.before[axis] = before;
        op->step.u.pad.mode = HSCHED_PAD_MODE_CONSTANT;
        op->step.u.pad.value = value;
    }
    return add_view(ir, op, x);
}

/* ---- Images with depth in the batch --------------------------------------- */

hsi_value *hsi_lower_to_planes(hsi_ir *ir, const char *name, hsi_value *x)
{
    static const int64_t depth_first[5] = { 2, 0, 1, 3, 4 };
    const int64_t *d = x->dims;
    if (x->rank == 3)
        return hsi_lower_reshape_to(ir, name, x, 4,
                                    (const int64_t[4]){ d[0], d[1], 1, d[2] });
    if (x->rank == 4)
        return x;
    return hsi_lower_reshape_to(ir, name, hsi_lower_transpose(ir, name, x, depth_first),
                                4, (const int64_t[4]){ d[2] * d[0], d[1], d[3], d[4] });
}

hsched_status hsi_lower_from_planes(hsi_ir *ir, const char *name, hsi_value *planes,
                                    hsi_value *out)
{
    const int64_t *d = out->dims;
    if (planes == NULL)
        return hsi_ir_no_memory();
    if (out->rank == 5) {
        static const int64_t depth_third[5] = { 1, 2, 0, 3, 4 };
        hsi_value *apart = hsi_lower_reshape_to(
            ir, name, planes, 5, (const int64_t[5]){ d[2], d[0], d[1], d[3], d[4] });
        hsi_op *op = apart != NULL ? hsi_ir_op(ir, HSI_OP_TRANSPOSE, name, 1, out) : NULL;
        if (op != NULL)
            memcpy(op->perm, depth_third, sizeof depth_third);
        return add_view(ir, op, apart) != NULL ? HSCHED_OK : hsi_ir_no_memory();
    }
    return hsi_lower_reshape(ir, name, planes, out) != NULL ? HSCHED_OK
                                                            : hsi_ir_no_memory();
}
