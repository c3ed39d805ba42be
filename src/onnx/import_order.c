/* Operators that compare, or add up, the elements along an axis. */
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

/* An attribute before opset 10, then an input. */
static hsched_status top_k_count(hsi_onnx_import *im, const hsi_onnx_node *node,
                                 int64_t *k)
{
    const int64_t *values;
    uint32_t count;
    if (node->version < 10)
        return hsi_onnx_attr_int(node, "k", 0, k);
    hsched_status status = hsi_onnx_ints_input(im, node, 1, &values, &count);
    if (!status && (!values || count != 1))
        return hsi_onnx_malformed(node, "k is not one number");
    if (!status)
        *k = values[0];
    return status;
}

/* The indices, and what they pick where that is wanted. */
hsched_status hsi_onnx_build_top_k(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    int64_t k = 0, largest;
    int axis;
    hsched_tensor x, indices, y;
    const char *name = node->output_count > 1
                           ? hsi_onnx_output_name(im, node, 1)
                           : hsi_onnx_made_name(im, node->label, "part");
    hsched_status status =
        name ? hsi_onnx_input(im, node, 0, &x) : hsi_onnx_no_memory(im, node);
    if (!status)
        status = axis_of(im, node, -1, x, &axis);
    if (!status)
        status = top_k_count(im, node, &k);
    if (!status)
        status = hsi_onnx_attr_int(node, "largest", 1, &largest);
    if (!status)
        status =
            hsi_onnx_at_node(node, hsched_graph_add_top_k(im->graph, name, x, k, axis,
                                                          largest != 0, NULL, &indices));
    if (status)
        return status;
    if (node->output_count > 1)
        hsi_onnx_set_tensor(im, node, 1, indices);
    if (!hsi_onnx_output_used(im, node, 0))
        return HSCHED_OK;
    status = hsi_onnx_at_node(
        node, hsched_graph_add_gather_elements(
                  im->graph, hsi_onnx_output_name(im, node, 0), x, indices, axis, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

hsched_status hsi_onnx_build_cumsum(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *given = hsi_onnx_constant_input(im, node, 1);
    int64_t exclusive, reverse;
    uint32_t axis, rank;
    hsched_tensor x, y;
    if (!given || given->count != 1 ||
        (given->dtype != HSCHED_INT64 && given->dtype != HSCHED_INT32))
        return hsi_onnx_unsupported(im, node, "an axis other than one constant integer");
    if (given->tags)
        hsi_onnx_pin(im, given->tags[0]);
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (status)
        return status;
    rank = hsi_onnx_rank(im, x);
    status = hsi_onnx_axis(node, hsi_onnx_get_int(given, 0), rank, rank, &axis);
    if (!status)
        status = hsi_onnx_attr_int(node, "exclusive", 0, &exclusive);
    if (!status)
        status = hsi_onnx_attr_int(node, "reverse", 0, &reverse);
    if (!status)
        status = hsi_onnx_at_node(
            node, (strcmp(node->op, "CumProd") == 0 ? hsched_graph_add_cumprod
                                                    : hsched_graph_add_cumsum)(
                      im->graph, hsi_onnx_output_name(im, node, 0), x, (int)axis,
                      exclusive != 0, reverse != 0, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}
