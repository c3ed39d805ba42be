/* Putting by indices: one step; for tuples, whole rows are elements of two dimensions. */
#include "plan/passes.h"

#include <string.h>

static hsched_status add_step(hsi_ir *ir, const hsi_layer *layer, uint32_t axis,
                              hsi_value *x, hsi_value *indices, hsi_value *updates,
                              hsi_value *out)
{
    hsi_op *op = x != NULL && indices != NULL && updates != NULL && out != NULL
                     ? hsi_ir_op(ir, HSCHED_STEP_SCATTER, layer->name, 3, out)
                     : NULL;
    if (op == NULL)
        return hsi_ir_no_memory();
    op->in[0] = x;
    op->in[1] = indices;
    op->in[2] = updates;
    op->step.u.scatter.axis = axis;
    op->step.u.scatter.kind = layer->attrs.scatter.kind;
    if (out->tensor == layer->output)
        op->tensor = layer->output;
    return hsi_lower_add(ir, op);
}

/* x as [what tuples are about, behind], indices as [all of them, 1]. */
static hsched_status lower_nd(hsi_ir *ir, const hsi_layer *layer, hsi_value **in,
                              hsi_value *out)
{
    const char *name = layer->name;
    const uint32_t last = in[1]->rank - 1;
    int64_t x[2] = { 1, 1 }, tuples[3] = { 1, 1, in[1]->dims[last] };
    for (uint32_t d = 0; d < in[0]->rank; d++)
        x[d < tuples[2] ? 0 : 1] *= in[0]->dims[d];
    for (uint32_t d = 0; d < last; d++)
        tuples[1] *= in[1]->dims[d];
    const int64_t updates[2] = { tuples[1], x[1] }, indices[2] = { tuples[1], 1 };
    hsi_value *places = hsi_lower_tuples(
        ir, layer, hsi_lower_reshape_to(ir, name, in[1], 3, tuples), in[0]->dims);
    hsi_value *y = out->rank == 2 && memcmp(out->dims, x, sizeof x) == 0
                       ? out
                       : hsi_ir_value(ir, out->dtype, 2, x);
    hsched_status status =
        add_step(ir, layer, 0, hsi_lower_reshape_to(ir, name, in[0], 2, x),
                 hsi_lower_reshape_to(ir, name, places, 2, indices),
                 hsi_lower_reshape_to(ir, name, in[2], 2, updates), y);
    if (status == HSCHED_OK && y != out && hsi_lower_reshape(ir, name, y, out) == NULL)
        status = hsi_ir_no_memory();
    return status;
}

hsched_status hsi_lower_scatter(hsi_ir *ir, const hsi_layer *layer, hsi_value **in,
                                hsi_value *out)
{
    if (layer->kind == HSI_LAYER_SCATTER_ND)
        return lower_nd(ir, layer, in, out);
    return add_step(ir, layer, (uint32_t)layer->attrs.scatter.axis, in[0], in[1], in[2],
                    out);
}
