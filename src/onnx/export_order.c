/* Comparisons of the elements along an axis as nodes. */
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
