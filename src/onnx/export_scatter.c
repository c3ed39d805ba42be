/* Putting by indices as a node. */
#include "base/status.h"
#include "onnx/export.h"

hsched_status hsi_onnx_export_scatter(hsi_onnx_export *e, const hsi_layer *layer)
{
    const int elements = layer->kind == HSI_LAYER_SCATTER_ELEMENTS;
    if (layer->attrs.scatter.kind != HSCHED_SCATTER_SET)
        return hsi_error(HSCHED_ERROR_UNSUPPORTED,
                         "opset %d, in which models are written, has no reduction here; "
                         "put elements with HSCHED_SCATTER_SET",
                         HSI_ONNX_EXPORT_OPSET);
    const hsched_status status = hsi_onnx_check_indices(e, layer);
    if (status)
        return status;
    hsi_onnx_node_begin(e, elements ? "ScatterElements" : "ScatterND",
                        hsi_onnx_tensor_name(e, layer->output),
                        hsi_onnx_tensor_name(e, layer->inputs[0]),
                        hsi_onnx_tensor_name(e, layer->inputs[1]),
                        hsi_onnx_tensor_name(e, layer->inputs[2]));
    if (elements)
        hsi_onnx_node_int(e, "axis", layer->attrs.scatter.axis);
    hsi_onnx_node_end(e);
    return HSCHED_OK;
}
