/* Normalisations by statistics of their input: one step each. */
#include "plan/passes.h"

#include <string.h>

/* A vector of channels against x [N,C,...]. */
static hsi_value *against_channels(hsi_ir *ir, const hsi_layer *layer, hsi_value *vector,
                                   const hsi_value *x)
{
    int64_t dims[HSCHED_MAX_DIMS];
    dims[0] = x->dims[1];
    for (uint32_t d = 1; d + 1 < x->rank; d++)
        dims[d] = 1;
    return hsi_lower_reshape_to(ir, layer->name, vector, x->rank - 1, dims);
}

hsched_status hsi_lower_norm(hsi_ir *ir, const hsi_layer *layer, hsi_value **in,
                             hsi_value *out)
{
    const hsi_norm_kind kind = layer->attrs.norm.kind;
    const int channels = kind == HSI_NORM_INSTANCE || kind == HSI_NORM_GROUP;
    hsi_op *op = hsi_ir_op(ir, HSCHED_STEP_NORM, layer->name, 3, out);
    if (op == NULL)
        return hsi_ir_no_memory();
    op->tensor = layer->output;
    op->in[0] = in[0];
    for (uint32_t i = 1; i < 3; i++) {
        op->in[i] = in[i];
        if (in[i] == NULL || !channels)
            continue;
        op->in[i] = against_channels(ir, layer, in[i], in[0]);
        if (op->in[i] == NULL)
            return hsi_ir_no_memory();
    }
    op->step.u.norm.axis = channels ? 1 : (uint32_t)layer->attrs.norm.axis;
    op->step.u.norm.groups = kind == HSI_NORM_GROUP      ? layer->attrs.norm.groups
                             : kind == HSI_NORM_INSTANCE ? in[0]->dims[1]
                                                         : 1;
    op->step.u.norm.epsilon = layer->attrs.norm.epsilon;
    op->step.u.norm.rms = kind == HSI_NORM_RMS;
    return hsi_lower_add(ir, op);
}
