/* Resizing, two dimensions at a time: weights are products of those of the dimensions. */
#include "plan/passes.h"

#include <string.h>

static int is_resized(const hsi_layer *layer, const hsi_value *x, const hsi_value *out,
                      uint32_t k)
{
    const hsched_resize_config *c = &layer->attrs.resize;
    return x->dims[k] != out->dims[k] || c->scales[k] != 1 ||
           (c->coordinates == HSCHED_RESIZE_CROP &&
            (c->roi_start[k] != 0 || c->roi_end[k] != 1));
}

/* The numbers of one dimension. */
static void set_axis(const hsi_layer *layer, hsched_step *step, uint32_t k, int resized,
                     int64_t in, int64_t out)
{
    const hsched_resize_config *c = &layer->attrs.resize;
    step->u.resize.scales[k] = 1;
    step->u.resize.lengths[k] = (float)in;
    step->u.resize.roi_start[k] = 0;
    step->u.resize.roi_end[k] = 1;
    if (!resized)
        return;
    const int given = layer->given.resize.scales[k] > 0;
    step->u.resize.scales[k] = c->scales[k];
    step->u.resize.lengths[k] = given ? c->scales[k] * (float)in : (float)out;
    if (c->coordinates == HSCHED_RESIZE_CROP) {
        step->u.resize.roi_start[k] = c->roi_start[k];
        step->u.resize.roi_end[k] = c->roi_end[k];
    }
}

hsched_status hsi_lower_resize(hsi_ir *ir, const hsi_layer *layer, hsi_value *x,
                               hsi_value *out)
{
    const hsched_resize_config *c = &layer->attrs.resize;
    const uint32_t rank = x->rank;
    uint32_t last = rank; /* the last dimension that is resized */
    for (uint32_t k = 0; k < rank; k++)
        if (is_resized(layer, x, out, k))
            last = k;
    if (last == rank)
        return hsi_lower_reshape(ir, layer->name, x, out) != NULL ? HSCHED_OK
                                                                  : hsi_ir_no_memory();
    for (uint32_t next = 0; next <= last;) {
        int64_t dims[HSCHED_MAX_DIMS];
        int resized[HSCHED_MAX_DIMS] = { 0 }, count = 0;
        memcpy(dims, x->dims, sizeof dims);
        for (; next <= last && count < 2; next++)
            if (is_resized(layer, x, out, next)) {
                dims[next] = out->dims[next];
                resized[next] = 1;
                count++;
            }
        hsi_value *y = next > last ? out : hsi_ir_value(ir, x->dtype, rank, dims);
        hsi_op *op =
            y != NULL ? hsi_ir_op(ir, HSCHED_STEP_RESIZE, layer->name, 1, y) : NULL;
        if (op == NULL)
            return hsi_ir_no_memory();
        op->in[0] = x;
        op->step.u.resize.mode = c->mode;
        op->step.u.resize.coordinates = c->coordinates;
        op->step.u.resize.rounding = c->rounding;
        op->step.u.resize.exclude_outside = c->exclude_outside != 0;
        op->step.u.resize.antialias = c->antialias != 0;
        op->step.u.resize.cubic_a = c->cubic_a;
        op->step.u.resize.extrapolation_value = c->extrapolation_value;
        for (uint32_t k = 0; k < rank; k++)
            set_axis(layer, &op->step, k, resized[k], x->dims[k], dims[k]);
        if (next > last)
            op->tensor = layer->output;
        hsched_status status = hsi_lower_add(ir, op);
        if (status != HSCHED_OK)
            return status;
        x = y;
    }
    return HSCHED_OK;
}
