/* Layers become operations: one step, view or join each, or two where a shape has to be
 * adapted. */
#include "plan/passes.h"

#include <math.h>
#include <string.h>

#include "base/status.h"
#include "base/tensor.h"

/* ---- Helpers -------------------------------------------------------------- */

hsched_status hsi_lower_add(hsi_ir *ir, hsi_op *op)
{
    if (op == NULL)
        return hsi_ir_no_memory();
    hsi_ir_insert_before(ir, op, NULL);
    return hsi_fold_constants(ir, op);
}

hsi_value *hsi_lower_reshape(hsi_ir *ir, const char *name, hsi_value *x, hsi_value *out)
{
    if (out == NULL)
        return NULL;
    hsi_op *op = hsi_ir_op(ir, HSI_OP_RESHAPE, name, 1, out);
    if (op == NULL)
        return NULL;
    op->in[0] = x;
    return hsi_lower_add(ir, op) == HSCHED_OK ? out : NULL;
}

/* The value of a graph's tensor that is there before any layer: an input or a constant.
 */
static hsched_status make_leaf(hsi_ir *ir, hsched_tensor index)
{
    const hsi_graph_tensor *tensor = &ir->graph->tensors[index];
    hsi_value *value;
    if (tensor->data != NULL && hsi_lower_dtype(tensor->dtype) != tensor->dtype) {
        value = hsi_lower_narrow_constant(ir, tensor);
    } else if (tensor->data != NULL) {
        value =
            hsi_ir_constant(ir, tensor->dtype, tensor->rank, tensor->dims, tensor->data);
    } else {
        size_t bytes;
        if (!hsi_byte_size(tensor->dtype, tensor->rank, tensor->dims, &bytes))
            return hsi_error(HSCHED_ERROR_LIMIT,
                             "input '%s' of shape %s is too large for this machine",
                             tensor->name, hsi_shape_text(tensor->rank, tensor->dims));
        value = hsi_ir_value(ir, tensor->dtype, tensor->rank, tensor->dims);
        if (value != NULL)
            value->root = hsi_ir_root(ir, HSCHED_STORAGE_INPUT, bytes);
        if (value == NULL || value->root == NULL)
            return hsi_ir_no_memory();
        while (ir->graph->inputs[value->root->index] != index)
            value->root->index++;
        value->channels_last =
            ir->plan->inputs[value->root->index].layout == HSCHED_LAYOUT_NHWC;
        if (value->channels_last)
            hsi_nhwc_strides(value->dims, value->dims[1], value->strides);
        else
            hsi_dense_strides(value->rank, value->dims, value->strides);
    }
    if (value == NULL)
        return hsi_ir_no_memory();
    value->tensor = index;
    if (value->dtype != hsi_lower_dtype(value->dtype)) {
        value = hsi_lower_cast_value(ir, tensor->name, value,
                                     hsi_lower_dtype(value->dtype), HSCHED_NO_TENSOR);
        if (value == NULL)
            return hsi_ir_no_memory();
    }
    ir->tensors[index] = value;
    return HSCHED_OK;
}

static hsched_status leaf_or_result(hsi_ir *ir, hsched_tensor index, hsi_value **value)
{
    *value = NULL;
    if (index == HSCHED_NO_TENSOR)
        return HSCHED_OK;
    if (ir->tensors[index] == NULL) {
        hsched_status status = make_leaf(ir, index);
        if (status != HSCHED_OK)
            return status;
    }
    *value = ir->tensors[index];
    return HSCHED_OK;
}

/* The operation that makes `out` of the layer's inputs, not in the list yet. */
static hsi_op *layer_op(hsi_ir *ir, const hsi_layer *layer, int kind, uint32_t in_count,
                        hsi_value *const *in, hsi_value *out)
{
    hsi_op *op = hsi_ir_op(ir, kind, layer->name, in_count, out);
    if (op == NULL)
        return NULL;
    memcpy(op->in, in, in_count * sizeof *in);
    op->tensor = layer->output;
    op->macs = hsi_layer_macs(ir->graph, layer);
    return op;
}

/* ---- Layers that need more than a change of words ------------------------- */

static hsched_status lower_conv2d(hsi_ir *ir, const hsi_layer *layer, hsi_value **in,
                                  hsi_value *out)
{
    hsi_op *op = layer_op(ir, layer, HSCHED_STEP_CONV2D, 3, in, out);
    if (op == NULL)
        return hsi_ir_no_memory();
    const hsched_conv2d_config *config = &layer->attrs.conv2d;
    memcpy(op->step.u.conv2d.strides, config->strides, sizeof config->strides);
    memcpy(op->step.u.conv2d.pads, config->pads, sizeof config->pads);
    memcpy(op->step.u.conv2d.dilations, config->dilations, sizeof config->dilations);
    op->step.u.conv2d.groups = config->groups;
    return hsi_lower_add(ir, op);
}

static hsched_status lower_plain_convolution(hsi_ir *ir, const hsi_layer *layer,
                                             hsi_value **in, hsi_value *out)
{
    if (layer->kind == HSI_LAYER_CONV2D)
        return lower_conv2d(ir, layer, in, out);
    if (layer->kind == HSI_LAYER_CONV)
        return hsi_lower_conv(ir, layer, in, out);
    return hsi_lower_conv_transpose(ir, layer, in, out);
}

/* Backends pack weights and bias when a model is compiled; what is computed is a composition. */
static hsched_status lower_convolution(hsi_ir *ir, const hsi_layer *layer, hsi_value **in,
                                       hsi_value *out)
{
    hsi_value *bias = in[2], *y = out;
    const int computed = in[1]->data == NULL;
    if (!computed && (bias == NULL || bias->data != NULL))
        return lower_plain_convolution(ir, layer, in, out);
    if (bias != NULL)
        y = hsi_ir_value(ir, out->dtype, out->rank, out->dims);
    if (y == NULL)
        return hsi_ir_no_memory();
    hsi_value *without[3] = { in[0], in[1], NULL };
    hsched_status status = !computed ? lower_plain_convolution(ir, layer, without, y)
                           : layer->kind == HSI_LAYER_CONV_TRANSPOSE
                               ? hsi_lower_computed_conv_transpose(ir, layer, without, y)
                               : hsi_lower_computed_conv(ir, layer, without, y);
    if (status != HSCHED_OK || bias == NULL)
        return status;
    return hsi_lower_add_bias(ir, layer, y, bias, out);
}

static hsched_status lower_fully_connected(hsi_ir *ir, const hsi_layer *layer,
                                           hsi_value **in, hsi_value *out)
{
    hsi_value *x = in[0];
    if (x->rank != 2) {
        int64_t dims[2] = { out->dims[0], in[1]->dims[1] };
        x = hsi_lower_reshape(ir, layer->name, x, hsi_ir_value(ir, x->dtype, 2, dims));
        if (x == NULL)
            return hsi_ir_no_memory();
    }
    hsi_value *operands[3] = { x, in[1], in[2] };
    if (x->dtype == HSCHED_FLOAT64)
        return hsi_lower_fc_of_float64(ir, layer, operands, out);
    return hsi_lower_add(ir, layer_op(ir, layer, HSCHED_STEP_FC, 3, operands, out));
}

static hsched_status lower_batch_norm(hsi_ir *ir, const hsi_layer *layer, hsi_value **in,
                                      hsi_value *out)
{
    const float *scale = in[1]->data, *shift = in[2]->data;
    const float *mean = in[3]->data, *variance = in[4]->data;
    const double epsilon = layer->attrs.batch_norm.epsilon;
    float *factor, *addend;
    hsi_value *operands[3] = { in[0], hsi_ir_weights(ir, 1, in[1]->dims, &factor),
                               hsi_ir_weights(ir, 1, in[1]->dims, &addend) };
    if (operands[1] == NULL || operands[2] == NULL)
        return hsi_ir_no_memory();
    for (int64_t c = 0; c < in[1]->dims[0]; c++) {
        double f = scale[c] / sqrt((double)variance[c] + epsilon);
        factor[c] = (float)f;
        addend[c] = (float)(shift[c] - mean[c] * f);
    }
    return hsi_lower_add(ir, layer_op(ir, layer, HSCHED_STEP_SCALE, 3, operands, out));
}

static hsi_op *pool_op(hsi_ir *ir, const hsi_layer *layer, hsi_value *x, hsi_value *out,
                       hsched_pool_kind kind)
{
    hsi_op *op = layer_op(ir, layer, HSCHED_STEP_POOL2D, 1, &x, out);
    if (op == NULL)
        return NULL;
    op->step.u.pool2d.kind = kind;
    for (int i = 0; i < 2; i++) {
        op->step.u.pool2d.kernel[i] = x->dims[2 + i];
        op->step.u.pool2d.strides[i] = 1;
        op->step.u.pool2d.dilations[i] = 1;
    }
    return op;
}

static hsched_status lower_pool2d(hsi_ir *ir, const hsi_layer *layer, hsi_value *x,
                                  hsi_value *out)
{
    const hsched_pool2d_config *config = &layer->attrs.pool2d.config;
    hsi_op *op = pool_op(ir, layer, x, out, layer->attrs.pool2d.kind);
    if (op == NULL)
        return hsi_ir_no_memory();
    memcpy(op->step.u.pool2d.kernel, config->kernel, sizeof config->kernel);
    memcpy(op->step.u.pool2d.strides, config->strides, sizeof config->strides);
    memcpy(op->step.u.pool2d.pads, config->pads, sizeof config->pads);
    memcpy(op->step.u.pool2d.dilations, config->dilations, sizeof config->dilations);
    op->step.u.pool2d.count_include_pad = config->count_include_pad;
    return hsi_lower_add(ir, op);
}

static hsched_status lower_image(hsi_ir *ir, const hsi_layer *layer, hsi_value *x,
                                 hsi_value *out)
{
    const hsched_image_config *config = &layer->attrs.image;
    hsi_op *op = layer_op(ir, layer, HSCHED_STEP_IMAGE, 1, &x, out);
    if (op == NULL)
        return hsi_ir_no_memory();
    memcpy(op->step.u.image.mean, config->mean, sizeof config->mean);
    memcpy(op->step.u.image.scale, config->scale, sizeof config->scale);
    op->step.u.image.swap_red_blue = config->swap_red_blue;
    return hsi_lower_add(ir, op);
}

static hsched_status lower_concat(hsi_ir *ir, const hsi_layer *layer, hsi_value **in,
                                  hsi_value *out)
{
    if (layer->input_count == 1)
        return hsi_lower_reshape(ir, layer->name, in[0], out) != NULL
                   ? HSCHED_OK
                   : hsi_ir_no_memory();
    hsi_op *op = layer_op(ir, layer, HSI_OP_CONCAT, layer->input_count, in, out);
    if (op != NULL)
        op->axis = (uint32_t)layer->attrs.concat.axis;
    return hsi_lower_add(ir, op);
}

/* ---- Layers that are one operation with attributes ------------------------ */

static hsched_status lower_simple(hsi_ir *ir, const hsi_layer *layer, int kind,
                                  hsi_value **in, hsi_value *out)
{
    const hsi_layer_attrs *attrs = &layer->attrs;
    hsi_op *op = layer_op(ir, layer, kind, layer->input_count, in, out);
    if (op == NULL)
        return hsi_ir_no_memory();
    switch (layer->kind) {
    case HSI_LAYER_LRN:
        op->step.u.lrn.size = attrs->lrn.size;
        op->step.u.lrn.alpha = attrs->lrn.alpha;
        op->step.u.lrn.beta = attrs->lrn.beta;
        op->step.u.lrn.bias = attrs->lrn.bias;
        break;
    case HSI_LAYER_SOFTMAX:
        op->step.u.softmax.axis = (uint32_t)attrs->softmax.axis;
        op->step.u.softmax.log = attrs->softmax.log;
        break;
    case HSI_LAYER_ACTIVATION:
        op->step.act = attrs->activation;
        break;
    case HSI_LAYER_BINARY:
        op->step.u.binary.kind = attrs->binary;
        break;
    case HSI_LAYER_PAD:
        memcpy(op->step.u.pad.before, attrs->pad.before, sizeof attrs->pad.before);
        op->step.u.pad.mode = attrs->pad.mode;
        op->step.u.pad.value = attrs->pad.value;
        break;
    case HSI_LAYER_SLICE:
        memcpy(op->starts, attrs->slice.starts, sizeof op->starts);
        memcpy(op->steps, attrs->slice.steps, sizeof op->steps);
        break;
    case HSI_LAYER_TRANSPOSE:
        memcpy(op->perm, attrs->transpose.perm, sizeof op->perm);
        break;
    default: /* no attributes */
        break;
    }
    return hsi_lower_add(ir, op);
}

static hsched_status lower_recurrent(hsi_ir *ir, const hsi_layer *layer, hsi_value **in,
                                     hsi_value *out)
{
    const hsched_recurrent_config *config = &layer->attrs.recurrent;
    hsi_op *op = layer_op(ir, layer, HSCHED_STEP_RECURRENT, 7, in, out);
    if (op == NULL)
        return hsi_ir_no_memory();
    op->step.u.recurrent.kind = config->kind;
    op->step.u.recurrent.direction = config->direction;
    op->step.u.recurrent.clip = config->clip;
    op->step.u.recurrent.linear_before_reset = config->linear_before_reset;
    op->step.u.recurrent.input_forget = config->input_forget;
    memcpy(op->step.u.recurrent.activations, config->activations,
           sizeof config->activations);
    return hsi_lower_add(ir, op);
}

/* A choice broadcasts what it chooses from, whatever its type: x, in any case. */
static hsched_status lower_expand(hsi_ir *ir, const hsi_layer *layer, hsi_value *x,
                                  hsi_value *out)
{
    static const uint8_t yes = 1;
    if (hsi_same_dims(x, out))
        return lower_simple(ir, layer, HSI_OP_RESHAPE, &x, out);
    hsi_value *const in[3] = { hsi_ir_constant(ir, HSCHED_BOOL, 0, NULL, &yes), x, x };
    if (in[0] == NULL)
        return hsi_ir_no_memory();
    return hsi_lower_add(ir, layer_op(ir, layer, HSCHED_STEP_WHERE, 3, in, out));
}

static hsched_status lower_kind(hsi_ir *ir, const hsi_layer *layer, hsi_value **in,
                                hsi_value *out)
{
    switch (layer->kind) {
    case HSI_LAYER_CONV2D:
    case HSI_LAYER_CONV:
    case HSI_LAYER_CONV_TRANSPOSE:
        return lower_convolution(ir, layer, in, out);
    case HSI_LAYER_FULLY_CONNECTED:
        return lower_fully_connected(ir, layer, in, out);
    case HSI_LAYER_MATMUL:
        return hsi_lower_matmul(ir, layer, in[0], in[1], out);
    case HSI_LAYER_POOL2D:
        return lower_pool2d(ir, layer, in[0], out);
    case HSI_LAYER_GLOBAL_POOL:
        return hsi_lower_global_pool(ir, layer, in[0], out);
    case HSI_LAYER_RESIZE:
        return hsi_lower_resize(ir, layer, in[0], out);
    case HSI_LAYER_POOL:
        return hsi_lower_pool(ir, layer, in[0], out);
    case HSI_LAYER_BATCH_NORM:
        return lower_batch_norm(ir, layer, in, out);
    case HSI_LAYER_LRN:
        return lower_simple(ir, layer, HSCHED_STEP_LRN, in, out);
    case HSI_LAYER_SOFTMAX:
        return lower_simple(ir, layer, HSCHED_STEP_SOFTMAX, in, out);
    case HSI_LAYER_NORM:
        return hsi_lower_norm(ir, layer, in, out);
    case HSI_LAYER_ACTIVATION:
        if (layer->attrs.activation.kind == HSCHED_ACTIVATION_NONE)
            return lower_simple(ir, layer, HSI_OP_RESHAPE, in, out);
        return lower_simple(ir, layer, HSCHED_STEP_UNARY, in, out);
    case HSI_LAYER_BINARY:
        return lower_simple(ir, layer, HSCHED_STEP_BINARY, in, out);
    case HSI_LAYER_CONCAT:
        return lower_concat(ir, layer, in, out);
    case HSI_LAYER_SLICE:
        return lower_simple(ir, layer, HSI_OP_SLICE, in, out);
    case HSI_LAYER_PAD:
        return lower_simple(ir, layer, HSCHED_STEP_PAD, in, out);
    case HSI_LAYER_RESHAPE:
    case HSI_LAYER_FLATTEN:
    case HSI_LAYER_SQUEEZE:
    case HSI_LAYER_UNSQUEEZE:
        return lower_simple(ir, layer, HSI_OP_RESHAPE, in, out);
    case HSI_LAYER_TRANSPOSE:
        return lower_simple(ir, layer, HSI_OP_TRANSPOSE, in, out);
    case HSI_LAYER_REDUCE:
        return hsi_lower_reduce(ir, layer, in[0], out);
    case HSI_LAYER_RECURRENT:
        return lower_recurrent(ir, layer, in, out);
    case HSI_LAYER_CAST:
        return hsi_lower_cast(ir, layer, in[0], out);
    case HSI_LAYER_WHERE:
        return lower_simple(ir, layer, HSCHED_STEP_WHERE, in, out);
    case HSI_LAYER_GATHER:
    case HSI_LAYER_GATHER_ELEMENTS:
        return hsi_lower_gather(ir, layer, in, out);
    case HSI_LAYER_GATHER_ND:
        return hsi_lower_gather_nd(ir, layer, in, out);
    case HSI_LAYER_SCATTER_ELEMENTS:
    case HSI_LAYER_SCATTER_ND:
        return hsi_lower_scatter(ir, layer, in, out);
    case HSI_LAYER_ARG:
        return hsi_lower_arg(ir, layer, in[0], out);
    case HSI_LAYER_TOP_K:
        return hsi_lower_top_k(ir, layer, in[0], out);
    case HSI_LAYER_CUMSUM:
        return hsi_lower_cumsum(ir, layer, in[0], out);
    case HSI_LAYER_GRID_SAMPLE:
        return hsi_lower_grid_sample(ir, layer, in, out);
    case HSI_LAYER_ROI_ALIGN:
        return hsi_lower_roi_align(ir, layer, in, out);
    case HSI_LAYER_MAX_POOL_INDICES:
        return hsi_lower_pool_indices(ir, layer, in[0], out);
    case HSI_LAYER_NMS:
        return hsi_lower_nms(ir, layer, in, out);
    case HSI_LAYER_EXPAND:
        return lower_expand(ir, layer, in[0], out);
    case HSI_LAYER_IMAGE_INPUT:
        return lower_image(ir, layer, in[0], out);
    case HSI_LAYER_KINDS:
        break;
    }
    return hsi_error(HSCHED_ERROR_INTERNAL,
                     "layer '%s' is of kind %d, which the compiler "
                     "does not know; please report it",
                     layer->name, (int)layer->kind);
}

/* Steps that go by indices broadcast them, and what is scattered into, themselves. */
static int broadcasts(const hsi_layer *layer, uint32_t i)
{
    return (layer->kind == HSI_LAYER_GATHER_ELEMENTS && i == 1) ||
           (layer->kind == HSI_LAYER_SCATTER_ELEMENTS && i < 2);
}

/* The tensor that operand i is lowered from: of what was expanded for such a step what it was
 * before. */
static hsched_tensor operand_tensor(const hsched_graph *graph, const hsi_layer *layer,
                                    uint32_t i)
{
    const hsched_tensor tensor = layer->inputs[i];
    const uint32_t producer =
        broadcasts(layer, i) ? graph->tensors[tensor].producer : HSI_NO_INDEX;
    if (producer == HSI_NO_INDEX || graph->layers[producer].kind != HSI_LAYER_EXPAND)
        return tensor;
    return graph->layers[producer].inputs[0];
}

static hsched_status lower_layer(hsi_ir *ir, const hsi_layer *layer)
{
    /* conv2d and fully_connected may be given without a place for their bias. */
    uint32_t room = layer->input_count > 5 ? layer->input_count : 5;
    hsi_value **in = HSI_POOL_ARRAY(&ir->temporary, hsi_value *, room);
    if (in == NULL)
        return hsi_ir_no_memory();
    for (uint32_t i = 0; i < layer->input_count; i++) {
        hsched_status status =
            leaf_or_result(ir, operand_tensor(ir->graph, layer, i), &in[i]);
        if (status != HSCHED_OK)
            return status;
    }
    const hsi_graph_tensor *tensor = &ir->graph->tensors[layer->output];
    hsi_value *out =
        hsi_ir_value(ir, hsi_lower_dtype(tensor->dtype), tensor->rank, tensor->dims);
    if (out == NULL)
        return hsi_ir_no_memory();
    out->tensor = layer->output;
    ir->tensors[layer->output] = out;
    return lower_kind(ir, layer, in, out);
}

/* ---- Outputs, and what they need ------------------------------------------ */

static hsched_status lower_output(hsi_ir *ir, uint32_t index, hsched_tensor tensor)
{
    const hsi_plan_io *io = &ir->plan->outputs[index];
    hsi_value *from;
    if (io->byte_size == 0) /* nothing is to be written */
        return HSCHED_OK;
    hsched_status status = leaf_or_result(ir, tensor, &from);
    if (status != HSCHED_OK)
        return status;
    if (from->dtype != io->dtype) {
        from = hsi_lower_narrow_output(ir, io->name, from, io->dtype);
        if (from == NULL)
            return hsi_ir_no_memory();
    }
    hsi_value *out = hsi_ir_value(ir, io->dtype, io->rank, io->dims);
    hsi_op *op = out != NULL ? hsi_ir_op(ir, HSI_OP_OUTPUT, io->name, 1, out) : NULL;
    hsi_root *root = hsi_ir_root(ir, HSCHED_STORAGE_OUTPUT, io->byte_size);
    if (op == NULL || root == NULL)
        return hsi_ir_no_memory();
    root->index = index;
    out->root = root;
    if (io->layout == HSCHED_LAYOUT_NHWC)
        hsi_nhwc_strides(io->dims, io->dims[1], out->strides);
    else
        hsi_dense_strides(io->rank, io->dims, out->strides);
    op->in[0] = from;
    hsi_ir_insert_before(ir, op, NULL);
    return HSCHED_OK;
}

/* Where no output has elements: a run has a step all the same, whose result nobody reads. */
static hsched_status lower_nothing(hsi_ir *ir)
{
    static const float zero = 0;
    hsi_value *in = hsi_ir_constant(ir, HSCHED_FLOAT32, 0, NULL, &zero);
    hsi_value *out = hsi_ir_value(ir, HSCHED_FLOAT32, 0, NULL);
    hsi_op *op = in && out ? hsi_ir_op(ir, HSCHED_STEP_UNARY, "nothing", 1, out) : NULL;
    if (op == NULL)
        return hsi_ir_no_memory();
    op->in[0] = in;
    op->tensor = HSCHED_NO_TENSOR;
    op->step.act.kind = HSCHED_ACTIVATION_ABS;
    hsi_ir_insert_before(ir, op, NULL);
    return HSCHED_OK;
}

hsched_status hsi_pass_lower(hsi_ir *ir)
{
    const hsched_graph *graph = ir->graph;
    const uint32_t outputs = ir->plan->output_count;
    unsigned char *needed =
        HSI_POOL_ARRAY(&ir->temporary, unsigned char, (size_t)graph->tensor_count + 1);
    ir->tensors =
        HSI_POOL_ARRAY(&ir->temporary, hsi_value *, (size_t)graph->tensor_count + 1);
    if (needed == NULL || ir->tensors == NULL)
        return hsi_ir_no_memory();
    for (uint32_t k = 0; k < outputs; k++)
        needed[ir->output_tensors[k]] = 1;
    for (uint32_t l = graph->layer_count; l-- > 0;) {
        const hsi_layer *layer = &graph->layers[l];
        for (uint32_t i = 0; needed[layer->output] && i < layer->input_count; i++)
            if (layer->inputs[i] != HSCHED_NO_TENSOR)
                needed[operand_tensor(graph, layer, i)] = 1;
    }
    hsched_status status = HSCHED_OK;
    for (uint32_t l = 0; l < graph->layer_count && status == HSCHED_OK; l++)
        if (needed[graph->layers[l].output])
            status = lower_layer(ir, &graph->layers[l]);
    for (uint32_t k = 0; k < outputs && status == HSCHED_OK; k++)
        status = lower_output(ir, k, ir->output_tensors[k]);
    return status == HSCHED_OK && ir->last == NULL ? lower_nothing(ir) : status;
}
