/* Operators that pick by tuples of indices. */
#include "onnx/ops.h"

#include <limits.h>

hsched_status hsi_onnx_build_gather_nd(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsched_tensor x, indices, y;
    int64_t batch;
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (!status)
        status = hsi_onnx_input(im, node, 1, &indices);
    if (!status)
        status = hsi_onnx_attr_int(node, "batch_dims", 0, &batch);
    if (!status && (batch < 0 || batch > INT_MAX))
        return hsi_onnx_malformed(node, "batch_dims is %lld", (long long)batch);
    if (!status)
        status = hsi_onnx_at_node(
            node, hsched_graph_add_gather_nd(im->graph, hsi_onnx_output_name(im, node, 0),
                                             x, indices, (int)batch, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}
