/* Sampling at places that come at run time. */
#include "plan/passes.h"

hsched_status hsi_lower_grid_sample(hsi_ir *ir, const hsi_layer *layer, hsi_value **in,
                                    hsi_value *out)
{
    const hsched_grid_sample_config *c = &layer->attrs.grid_sample;
    hsi_op *op = hsi_ir_op(ir, HSCHED_STEP_GRID_SAMPLE, layer->name, 2, out);
    if (op == NULL)
        return hsi_ir_no_memory();
    op->in[0] = in[0];
    op->in[1] = in[1];
    op->tensor = layer->output;
    op->step.u.grid_sample.mode = c->mode;
    op->step.u.grid_sample.padding = c->padding;
    op->step.u.grid_sample.align_corners = c->align_corners != 0;
    return hsi_lower_add(ir, op);
}

hsched_status hsi_lower_roi_align(hsi_ir *ir, const hsi_layer *layer, hsi_value **in,
                                  hsi_value *out)
{
    const hsched_roi_align_config *c = &layer->attrs.roi_align;
    hsi_op *op = hsi_ir_op(ir, HSCHED_STEP_ROI_ALIGN, layer->name, 3, out);
    if (op == NULL)
        return hsi_ir_no_memory();
    for (uint32_t k = 0; k < 3; k++)
        op->in[k] = in[k];
    op->tensor = layer->output;
    op->step.u.roi_align.max = c->kind == HSCHED_POOL_MAX;
    op->step.u.roi_align.sampling_ratio = c->sampling_ratio;
    op->step.u.roi_align.scale = c->spatial_scale;
    op->step.u.roi_align.half_pixel = !c->output_half_pixel;
    return hsi_lower_add(ir, op);
}
