/* Operators that compare the elements along an axis. */
#include "onnx/ops.h"

#include <string.h>

static hsched_status axis_of(hsi_onnx_import *im, const hsi_onnx_node *node,
                             int64_t fallback, hsched_tensor x, int *axis)
{
    int64_t given;
    uint32_t resolved = 0, rank = hsi_onnx_rank(im, x);
    hsched_status status = hsi_onnx_attr_int(node, "axis", fallback, &given);
    if (!status)
        status = hsi_onnx_axis(node, given, rank, rank, &resolved);
    *axis = (int)resolved;
    return status;
}

hsched_status hsi_onnx_build_arg(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsched_arg_kind kind =
        strcmp(node->op, "ArgMin") == 0 ? HSCHED_ARG_MIN : HSCHED_ARG_MAX;
    int64_t keep, last;
    int axis;
    hsched_tensor x, y;
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (!status)
        status = axis_of(im, node, 0, x, &axis);
    if (!status)
        status = hsi_onnx_attr_int(node, "keepdims", 1, &keep);
    if (!status)
        status = hsi_onnx_attr_int(node, "select_last_index", 0, &last);
    if (!status)
        status = hsi_onnx_at_node(
            node, hsched_graph_add_arg(im->graph, hsi_onnx_output_name(im, node, 0), kind,
                                       x, axis, keep != 0, last != 0, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}
