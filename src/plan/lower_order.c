/* What is found by comparing, or adding up, the elements along an axis: one step each. */
#include "plan/passes.h"

#include <string.h>

/* A dropped dimension goes by a reshape. */
hsched_status hsi_lower_arg(hsi_ir *ir, const hsi_layer *layer, hsi_value *x,
                            hsi_value *out)
{
    int64_t dims[HSCHED_MAX_DIMS];
    memcpy(dims, x->dims, sizeof dims);
    dims[layer->attrs.arg.axis] = 1;
    hsi_value *kept =
        out->rank == x->rank ? out : hsi_ir_value(ir, out->dtype, x->rank, dims);
    hsi_op *op =
        kept != NULL ? hsi_ir_op(ir, HSCHED_STEP_ARG, layer->name, 1, kept) : NULL;
    if (op == NULL)
        return hsi_ir_no_memory();
    op->in[0] = x;
    op->step.u.arg.axis = (uint32_t)layer->attrs.arg.axis;
    op->step.u.arg.smallest = layer->attrs.arg.kind == HSCHED_ARG_MIN;
    op->step.u.arg.last = layer->attrs.arg.select_last;
    if (kept == out)
        op->tensor = layer->output;
    hsched_status status = hsi_lower_add(ir, op);
    if (status == HSCHED_OK && kept != out &&
        hsi_lower_reshape(ir, layer->name, kept, out) == NULL)
        status = hsi_ir_no_memory();
    return status;
}

hsched_status hsi_lower_top_k(hsi_ir *ir, const hsi_layer *layer, hsi_value *x,
                              hsi_value *out)
{
    hsi_op *op = hsi_ir_op(ir, HSCHED_STEP_TOP_K, layer->name, 1, out);
    if (op == NULL)
        return hsi_ir_no_memory();
    op->in[0] = x;
    op->tensor = layer->output;
    op->step.u.top_k.axis = (uint32_t)layer->attrs.top_k.axis;
    op->step.u.top_k.smallest = !layer->attrs.top_k.largest;
    return hsi_lower_add(ir, op);
}

hsched_status hsi_lower_cumsum(hsi_ir *ir, const hsi_layer *layer, hsi_value *x,
                               hsi_value *out)
{
    hsi_op *op = hsi_ir_op(ir, HSCHED_STEP_CUMSUM, layer->name, 1, out);
    if (op == NULL)
        return hsi_ir_no_memory();
    op->in[0] = x;
    op->tensor = layer->output;
    op->step.u.cumsum.axis = (uint32_t)layer->attrs.cumsum.axis;
    op->step.u.cumsum.exclusive = layer->attrs.cumsum.exclusive;
    op->step.u.cumsum.reverse = layer->attrs.cumsum.reverse;
    op->step.u.cumsum.product = layer->attrs.cumsum.product;
    return hsi_lower_add(ir, op);
}
