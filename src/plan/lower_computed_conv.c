/*
 * Convolutions whose weights are computed at run time, so that no backend can pack them: a product
 * of the weights with the windows of x, which are one view of it (HSI_OP_WINDOW) and, as the
 * columns of a matrix, one copy.
 *
 * A transposed convolution is one of x with zeros between its elements, by the weights turned
 * around.
 */
#include "plan/passes.h"

#include <string.h>

/* x [N,C,D1..Dk], padded, as [N,C,k1..kk,o1..ok]. */
static hsi_value *windows(hsi_ir *ir, const char *name, hsi_value *x,
                          const int64_t *kernel, const int64_t *counts,
                          const int64_t *strides, const int64_t *dilations)
{
    if (x == NULL)
        return NULL;
    const uint32_t k = x->rank - 2;
    int64_t dims[HSCHED_MAX_DIMS] = { x->dims[0], x->dims[1] };
    memcpy(dims + 2, kernel, k * sizeof *dims);
    memcpy(dims + 2 + k, counts, k * sizeof *dims);
    hsi_value *y = hsi_ir_value(ir, x->dtype, 2 + 2 * k, dims);
    hsi_op *op = y != NULL ? hsi_ir_op(ir, HSI_OP_WINDOW, name, 1, y) : NULL;
    if (op == NULL)
        return NULL;
    op->in[0] = x;
    memcpy(op->starts, dilations, k * sizeof *dilations);
    memcpy(op->steps, strides, k * sizeof *strides);
    return hsi_lower_add(ir, op) == HSCHED_OK ? y : NULL;
}

static int64_t product(const int64_t *numbers, uint32_t count)
{
    int64_t all = 1;
    for (uint32_t i = 0; i < count; i++)
        all *= numbers[i];
    return all;
}

hsched_status hsi_lower_columns_product(hsi_ir *ir, const hsi_layer *layer,
                                        hsi_value *columns, hsi_value *weights,
                                        int64_t groups, hsi_value *out)
{
    const char *name = layer->name;
    const int64_t images = out->dims[0], filters = out->dims[1],
                  points = product(out->dims + 2, out->rank - 2);
    if (columns == NULL || weights == NULL)
        return hsi_ir_no_memory();
    int64_t taps = product(columns->dims + 1, columns->rank - 1) / (groups * points);
    columns = hsi_lower_reshape_to(ir, name, columns, 4,
                                   (const int64_t[4]){ images, groups, taps, points });
    weights = hsi_lower_reshape_to(
        ir, name, weights, 4, (const int64_t[4]){ 1, groups, filters / groups, taps });
    hsi_value *y =
        hsi_ir_value(ir, HSCHED_FLOAT32, 4,
                     (const int64_t[4]){ images, groups, filters / groups, points });
    hsi_op *op = columns != NULL && weights != NULL && y != NULL
                     ? hsi_ir_op(ir, HSCHED_STEP_MATMUL, name, 2, y)
                     : NULL;
    if (op == NULL)
        return hsi_ir_no_memory();
    op->in[0] = weights;
    op->in[1] = columns;
    op->macs = (uint64_t)(images * filters * taps) * (uint64_t)points;
    op->tensor = layer->output;
    hsched_status status = hsi_lower_add(ir, op);
    if (status == HSCHED_OK && hsi_lower_reshape(ir, name, y, out) == NULL)
        status = hsi_ir_no_memory();
    return status;
}

hsched_status hsi_lower_add_bias(hsi_ir *ir, const hsi_layer *layer, hsi_value *x,
                                 hsi_value *bias, hsi_value *out)
{
    int64_t dims[HSCHED_MAX_DIMS] = { bias->dims[0], 1, 1, 1, 1, 1, 1, 1 };
    hsi_value *wide = hsi_lower_reshape_to(ir, layer->name, bias, out->rank - 1, dims);
    hsi_op *op = x != NULL && wide != NULL
                     ? hsi_ir_op(ir, HSCHED_STEP_BINARY, layer->name, 2, out)
                     : NULL;
    if (op == NULL)
        return hsi_ir_no_memory();
    op->in[0] = x;
    op->in[1] = wide;
    op->step.u.binary.kind = HSCHED_BINARY_ADD;
    op->tensor = layer->output;
    return hsi_lower_add(ir, op);
}

/* More elements at the ends of a dimension, or, negative, less. */
static hsi_value *extend(hsi_ir *ir, const char *name, hsi_value *x, uint32_t axis,
                         int64_t before, int64_t after)
{
    if (x == NULL)
        return NULL;
    const int64_t cut = before < 0 ? -before : 0, end = after < 0 ? -after : 0;
    x = hsi_lower_slice(ir, name, x, axis, cut, 1, x->dims[axis] - cut - end);
    return hsi_lower_pad(ir, name, x, axis, before < 0 ? 0 : before,
                         after < 0 ? 0 : after, 0);
}

hsched_status hsi_lower_computed_conv(hsi_ir *ir, const hsi_layer *layer, hsi_value **in,
                                      hsi_value *out)
{
    const int flat = layer->kind == HSI_LAYER_CONV2D;
    const hsched_conv2d_config *two = &layer->attrs.conv2d;
    const hsched_conv_config *any = &layer->attrs.conv;
    const int64_t *pads = flat ? two->pads : any->pads;
    const uint32_t k = out->rank - 2;
    hsi_value *x = in[0];
    for (uint32_t i = 0; i < k; i++)
        x = extend(ir, layer->name, x, 2 + i, pads[i], pads[k + i]);
    x = windows(ir, layer->name, x, in[1]->dims + 2, out->dims + 2,
                flat ? two->strides : any->strides,
                flat ? two->dilations : any->dilations);
    return hsi_lower_columns_product(ir, layer, x, in[1],
                                     flat ? two->groups : any->groups, out);
}

/* ---- Transposed ----------------------------------------------------------- */

/* `stride` - 1 zeros behind every element along an axis but the last one. */
static hsi_value *spread_out(hsi_ir *ir, const char *name, hsi_value *x, uint32_t axis,
                             int64_t stride)
{
    if (x == NULL || stride == 1)
        return x;
    int64_t dims[HSCHED_MAX_DIMS];
    const uint32_t rank = x->rank;
    const int64_t in = x->dims[axis];
    memcpy(dims, x->dims, sizeof dims);
    dims[axis] = in * stride;
    const int64_t apart[4] = { product(x->dims, axis), in, 1,
                               product(x->dims + axis + 1, rank - axis - 1) };
    x = hsi_lower_reshape_to(ir, name, x, 4, apart);
    x = hsi_lower_pad(ir, name, x, 2, 0, stride - 1, 0);
    x = hsi_lower_reshape_to(ir, name, x, rank, dims);
    return hsi_lower_slice(ir, name, x, axis, 0, 1, (in - 1) * stride + 1);
}

/* [C,O/groups,k1..kk] turned around, as [groups,O/groups,C/groups,taps]. */
static hsi_value *turn_around(hsi_ir *ir, const char *name, hsi_value *w, int64_t groups)
{
    static const int64_t swap[4] = { 0, 2, 1, 3 };
    const int64_t dims[4] = { groups, w->dims[0] / groups, w->dims[1],
                              product(w->dims + 2, w->rank - 2) };
    for (uint32_t axis = 2; w != NULL && axis < w->rank; axis++)
        if (w->dims[axis] > 1)
            w = hsi_lower_slice(ir, name, w, axis, w->dims[axis] - 1, -1, w->dims[axis]);
    return hsi_lower_transpose(ir, name, hsi_lower_reshape_to(ir, name, w, 4, dims),
                               swap);
}

hsched_status hsi_lower_computed_conv_transpose(hsi_ir *ir, const hsi_layer *layer,
                                                hsi_value **in, hsi_value *out)
{
    static const int64_t ones[3] = { 1, 1, 1 };
    const hsched_conv_transpose_config *c = &layer->attrs.conv_transpose;
    const char *name = layer->name;
    hsi_value *x = in[0];
    for (uint32_t i = 0; i + 2 < out->rank && x != NULL; i++) {
        x = spread_out(ir, name, x, 2 + i, c->strides[i]);
        if (x == NULL)
            break;
        const int64_t reach = (in[1]->dims[2 + i] - 1) * c->dilations[i];
        const int64_t before = reach - c->pads[i];
        const int64_t after = out->dims[2 + i] + reach - before - x->dims[2 + i];
        x = extend(ir, name, x, 2 + i, before, after);
    }
    x = windows(ir, name, x, in[1]->dims + 2, out->dims + 2, ones, c->dilations);
    return hsi_lower_columns_product(
        ir, layer, x, turn_around(ir, name, in[1], c->groups), c->groups, out);
}
