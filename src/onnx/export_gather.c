/* Looking up by indices as a node. Constant indices that are out of range give zeros here, or are
 * left out, while ONNX does not know what they give. */
#include "base/status.h"
#include "onnx/export.h"

static int64_t index_at(const hsi_graph_tensor *t, int64_t k)
{
    return t->dtype == HSCHED_INT64 ? ((const int64_t *)t->data)[k]
                                    : ((const int32_t *)t->data)[k];
}

/* The dimension of x that index number k is for. */
static uint32_t dimension_of(const hsi_layer *layer, const hsi_graph_tensor *indices,
                             int64_t k)
{
    const uint32_t last =
        (uint32_t)(k % (indices->rank > 0 ? indices->dims[indices->rank - 1] : 1));
    switch (layer->kind) {
    case HSI_LAYER_GATHER_ND:
        return (uint32_t)layer->attrs.batch_dims + last;
    case HSI_LAYER_SCATTER_ND:
        return last;
    case HSI_LAYER_SCATTER_ELEMENTS:
        return (uint32_t)layer->attrs.scatter.axis;
    default:
        return (uint32_t)layer->attrs.softmax.axis;
    }
}

hsched_status hsi_onnx_check_indices(const hsi_onnx_export *e, const hsi_layer *layer)
{
    const hsi_graph_tensor *x = &e->graph->tensors[layer->inputs[0]],
                           *indices = &e->graph->tensors[layer->inputs[1]];
    int64_t count = indices->data ? 1 : 0;
    for (uint32_t d = 0; d < indices->rank; d++)
        count *= indices->dims[d];
    for (int64_t k = 0; k < count; k++) {
        const int64_t index = index_at(indices, k),
                      size = x->dims[dimension_of(layer, indices, k)];
        if (index < -size || index >= size)
            return hsi_error(HSCHED_ERROR_UNSUPPORTED,
                             "index %lld is outside a dimension of %lld, which ONNX does "
                             "not allow",
                             (long long)index, (long long)size);
    }
    return HSCHED_OK;
}

hsched_status hsi_onnx_export_gather(hsi_onnx_export *e, const hsi_layer *layer)
{
    const hsched_status status = hsi_onnx_check_indices(e, layer);
    if (status)
        return status;
    const int tuples = layer->kind == HSI_LAYER_GATHER_ND;
    hsi_onnx_node_begin(e,
                        tuples                            ? "GatherND"
                        : layer->kind == HSI_LAYER_GATHER ? "Gather"
                                                          : "GatherElements",
                        hsi_onnx_tensor_name(e, layer->output),
                        hsi_onnx_tensor_name(e, layer->inputs[0]),
                        hsi_onnx_tensor_name(e, layer->inputs[1]), NULL);
    if (tuples)
        hsi_onnx_node_int(e, "batch_dims", layer->attrs.batch_dims);
    else
        hsi_onnx_node_int(e, "axis", layer->attrs.softmax.axis);
    hsi_onnx_node_end(e);
    return HSCHED_OK;
}
