/* Reductions that are made of other layers. */
#include "onnx/ops.h"

hsched_status hsi_onnx_reduce_nothing(hsi_onnx_import *im, const hsi_onnx_node *node,
                                      hsched_reduce_kind kind, hsched_tensor x)
{
    hsched_activation act = { .kind = HSCHED_ACTIVATION_ABS };
    hsched_tensor y;
    hsched_status status;
    switch (kind) {
    case HSCHED_REDUCE_LOG_SUM:
        act.kind = HSCHED_ACTIVATION_LOG;
        status = hsi_onnx_add_act(im, node, 1, act, x, &y);
        break;
    case HSCHED_REDUCE_L1: /* and the root of one square */
    case HSCHED_REDUCE_L2:
        status = hsi_onnx_add_act(im, node, 1, act, x, &y);
        break;
    case HSCHED_REDUCE_SUM_SQUARE:
        status = hsi_onnx_add_pair(im, node, 1, HSCHED_BINARY_MUL, x, x, &y);
        break;
    default: /* the logarithm of one exponential, too */
        return hsi_onnx_alias(im, node, 0);
    }
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

hsched_status hsi_onnx_reduce_bools(hsi_onnx_import *im, const hsi_onnx_node *node,
                                    hsched_reduce_kind kind, hsched_tensor x,
                                    uint32_t count, const int64_t *axes, int keep_dims)
{
    const char *before = hsi_onnx_made_name(im, node->label, "bytes");
    const char *reduced = hsi_onnx_made_name(im, node->label, "reduced");
    hsched_tensor y;
    if (!before || !reduced)
        return hsi_onnx_no_memory(im, node);
    if (kind != HSCHED_REDUCE_MAX && kind != HSCHED_REDUCE_MIN)
        return hsi_onnx_malformed(node, "its input is bool");
    hsched_status status = hsched_graph_add_cast(im->graph, before, x, HSCHED_UINT8, &y);
    if (!status)
        status = hsched_graph_add_reduce(im->graph, reduced, kind, y, count, axes,
                                         keep_dims, &y);
    if (!status)
        status = hsched_graph_add_cast(im->graph, hsi_onnx_output_name(im, node, 0), y,
                                       HSCHED_BOOL, &y);
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return hsi_onnx_at_node(node, status);
}
