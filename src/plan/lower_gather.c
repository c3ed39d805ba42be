/* Picking by indices: one step, for which whole rows are elements of three dimensions. */
#include "plan/passes.h"

#include <string.h>

static hsched_status add_step(hsi_ir *ir, const hsi_layer *layer, uint32_t axis,
                              hsi_value *x, hsi_value *indices, hsi_value *out)
{
    hsi_op *op = x != NULL && indices != NULL && out != NULL
                     ? hsi_ir_op(ir, HSCHED_STEP_GATHER, layer->name, 2, out)
                     : NULL;
    if (op == NULL)
        return hsi_ir_no_memory();
    op->in[0] = x;
    op->in[1] = indices;
    op->step.u.gather.axis = axis;
    if (out->tensor == layer->output)
        op->tensor = layer->output;
    return hsi_lower_add(ir, op);
}

/* x as [before, axis, behind], indices as [1, all of them, 1]. */
hsched_status hsi_lower_gather(hsi_ir *ir, const hsi_layer *layer, hsi_value **in,
                               hsi_value *out)
{
    const uint32_t axis = (uint32_t)layer->attrs.softmax.axis;
    if (layer->kind == HSI_LAYER_GATHER_ELEMENTS)
        return add_step(ir, layer, axis, in[0], in[1], out);
    int64_t x[3] = { 1, in[0]->dims[axis], 1 }, indices[3] = { 1, 1, 1 };
    for (uint32_t d = 0; d < in[0]->rank; d++)
        if (d != axis)
            x[d < axis ? 0 : 2] *= in[0]->dims[d];
    for (uint32_t d = 0; d < in[1]->rank; d++)
        indices[1] *= in[1]->dims[d];
    const int64_t y[3] = { x[0], indices[1], x[2] };
    hsi_value *picked = out->rank == 3 && memcmp(out->dims, y, sizeof y) == 0
                            ? out
                            : hsi_ir_value(ir, out->dtype, 3, y);
    hsched_status status =
        add_step(ir, layer, 1, hsi_lower_reshape_to(ir, layer->name, in[0], 3, x),
                 hsi_lower_reshape_to(ir, layer->name, in[1], 3, indices), picked);
    if (status == HSCHED_OK && picked != out &&
        hsi_lower_reshape(ir, layer->name, picked, out) == NULL)
        status = hsi_ir_no_memory();
    return status;
}
