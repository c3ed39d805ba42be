/* Convolutions as nodes. */
#include "onnx/export.h"

typedef struct window {
    const int64_t *strides, *pads, *dilations;
    int64_t groups;
    hsched_auto_pad same; /* as given */
} window;

static window window_of(const hsi_layer *layer)
{
    const hsi_layer_attrs *a = &layer->attrs, *given = &layer->given;
    switch (layer->kind) {
    case HSI_LAYER_CONV2D:
        return (window){ a->conv2d.strides, a->conv2d.pads, a->conv2d.dilations,
                         a->conv2d.groups, given->conv2d.auto_pad };
    case HSI_LAYER_CONV:
        return (window){ a->conv.strides, a->conv.pads, a->conv.dilations, a->conv.groups,
                         given->conv.auto_pad };
    default:
        return (window){ a->conv_transpose.strides, a->conv_transpose.pads,
                         a->conv_transpose.dilations, a->conv_transpose.groups,
                         given->conv_transpose.auto_pad };
    }
}

/* What the result is longer than its pads say: output_padding, and output_sizes that are
 * larger than all that x adds to. */
static void output_padding(hsi_onnx_export *e, const hsi_layer *layer, uint32_t spatial)
{
    const hsched_conv_transpose_config *c = &layer->attrs.conv_transpose;
    const hsi_graph_tensor *x = &e->graph->tensors[layer->inputs[0]],
                           *w = &e->graph->tensors[layer->inputs[1]],
                           *y = &e->graph->tensors[layer->output];
    int64_t longer[3];
    for (uint32_t k = 0; k < spatial; k++)
        longer[k] = y->dims[2 + k] - (x->dims[2 + k] - 1) * c->strides[k] -
                    (w->dims[2 + k] - 1) * c->dilations[k] - 1 + c->pads[k] +
                    c->pads[spatial + k];
    hsi_onnx_node_ints(e, "output_padding", longer, spatial);
}

void hsi_onnx_export_conv(hsi_onnx_export *e, const hsi_layer *layer)
{
    const hsi_graph_tensor *weights = &e->graph->tensors[layer->inputs[1]];
    const uint32_t spatial = weights->rank - 2;
    const int transposed = layer->kind == HSI_LAYER_CONV_TRANSPOSE;
    const int has_bias = layer->input_count > 2 && layer->inputs[2] != HSCHED_NO_TENSOR;
    const window w = window_of(layer);
    hsi_onnx_node_begin(e, transposed ? "ConvTranspose" : "Conv",
                        hsi_onnx_tensor_name(e, layer->output),
                        hsi_onnx_tensor_name(e, layer->inputs[0]),
                        hsi_onnx_tensor_name(e, layer->inputs[1]),
                        has_bias ? hsi_onnx_tensor_name(e, layer->inputs[2]) : NULL);
    hsi_onnx_node_ints(e, "kernel_shape", weights->dims + 2, spatial);
    hsi_onnx_node_ints(e, "strides", w.strides, spatial);
    hsi_onnx_node_ints(e, "dilations", w.dilations, spatial);
    hsi_onnx_node_int(e, "group", w.groups);
    /* Sizes that were asked for stay; the pads follow from them and from the input's. */
    if (transposed && e->graph->symbol_count &&
        layer->given.conv_transpose.output_sizes[0] > 0) {
        hsi_onnx_node_ints(e, "output_shape", layer->attrs.conv_transpose.output_sizes,
                           spatial);
        hsi_onnx_node_text(e, "auto_pad",
                           w.same == HSCHED_PAD_SAME_UPPER ? "SAME_UPPER" : "SAME_LOWER");
        hsi_onnx_node_end(e);
        return;
    }
    if (transposed)
        output_padding(e, layer, spatial);
    /* Explicit pads hold for one size of the input only; those of a transposed convolution
     * that keeps to stride times the size do not depend on it. */
    if (!transposed && e->graph->symbol_count &&
        (w.same == HSCHED_PAD_SAME_UPPER || w.same == HSCHED_PAD_SAME_LOWER))
        hsi_onnx_node_text(e, "auto_pad",
                           w.same == HSCHED_PAD_SAME_UPPER ? "SAME_UPPER" : "SAME_LOWER");
    else
        hsi_onnx_node_ints(e, "pads", w.pads, 2 * spatial);
    hsi_onnx_node_end(e);
}
