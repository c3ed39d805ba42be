/* Comparisons and sums of the elements along an axis as nodes. */
#include "base/status.h"
#include "onnx/export.h"

void hsi_onnx_export_arg(hsi_onnx_export *e, const hsi_layer *layer)
{
    hsi_onnx_node_begin(e, layer->attrs.arg.kind == HSCHED_ARG_MIN ? "ArgMin" : "ArgMax",
                        hsi_onnx_tensor_name(e, layer->output),
                        hsi_onnx_tensor_name(e, layer->inputs[0]), NULL, NULL);
    hsi_onnx_node_int(e, "axis", layer->attrs.arg.axis);
    hsi_onnx_node_int(e, "keepdims", layer->attrs.arg.keep_dims);
    hsi_onnx_node_int(e, "select_last_index", layer->attrs.arg.select_last);
    hsi_onnx_node_end(e);
}

/* Its values are picked by a layer of their own. */
void hsi_onnx_export_top_k(hsi_onnx_export *e, const hsi_layer *layer)
{
    const char *y = hsi_onnx_tensor_name(e, layer->output);
    const char *k = hsi_onnx_put_ints(e, y, &layer->attrs.top_k.k, 1);
    hsi_onnx_node_begin(e, "TopK", hsi_onnx_new_name(e, y),
                        hsi_onnx_tensor_name(e, layer->inputs[0]), k, NULL);
    hsi_onnx_node_output(e, y);
    hsi_onnx_node_int(e, "axis", layer->attrs.top_k.axis);
    hsi_onnx_node_int(e, "largest", layer->attrs.top_k.largest);
    hsi_onnx_node_end(e);
}

hsched_status hsi_onnx_export_cumsum(hsi_onnx_export *e, const hsi_layer *layer)
{
    if (layer->attrs.cumsum.product)
        return hsi_error(HSCHED_ERROR_UNSUPPORTED,
                         "opset %d, in which models are written, has no "
                         "products up to each element",
                         HSI_ONNX_EXPORT_OPSET);
    const char *y = hsi_onnx_tensor_name(e, layer->output);
    const int64_t axis = layer->attrs.cumsum.axis;
    const char *given = hsi_onnx_put_ints(e, y, &axis, 1);
    hsi_onnx_node_begin(e, "CumSum", y, hsi_onnx_tensor_name(e, layer->inputs[0]), given,
                        NULL);
    hsi_onnx_node_int(e, "exclusive", layer->attrs.cumsum.exclusive);
    hsi_onnx_node_int(e, "reverse", layer->attrs.cumsum.reverse);
    hsi_onnx_node_end(e);
    return HSCHED_OK;
}
