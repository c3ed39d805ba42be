/*
 * Align, of the library's own domain: input 0 with as many trailing ones as put its first
 * dimension at dimension `axis` of input 1. What operators before opset 7 broadcast by.
 */
#include "onnx/ops.h"

#include <string.h>

#include "base/status.h"

/* How many ones, and the shape with them. */
static hsched_status aligned_shape(hsi_onnx_import *im, const hsi_onnx_node *node,
                                   uint32_t rank, int64_t *dims, uint32_t *ones)
{
    const hsi_onnx_constant *other = hsi_onnx_constant_input(im, node, 1);
    int64_t given;
    uint32_t axis,
        other_rank =
            other ? other->rank : hsi_onnx_rank(im, im->states[node->inputs[1]].tensor);
    hsched_status status = hsi_onnx_attr_int(node, "axis", 0, &given);
    if (!status)
        status = hsi_onnx_axis(node, given, other_rank, other_rank + 1, &axis);
    if (status)
        return status;
    *ones = axis + rank < other_rank ? other_rank - axis - rank : 0;
    for (uint32_t k = 0; k < *ones; k++)
        dims[rank + k] = 1;
    return HSCHED_OK;
}

static hsched_status check_inputs(const hsi_onnx_node *node)
{
    return hsi_onnx_has_input(node, 0) && hsi_onnx_has_input(node, 1)
               ? HSCHED_OK
               : hsi_onnx_malformed(node, "an operand is missing");
}

hsched_status hsi_onnx_fold_align(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *x = hsi_onnx_constant_input(im, node, 0), *result;
    int64_t dims[HSCHED_MAX_DIMS];
    uint32_t ones = 0;
    hsched_status status = check_inputs(node);
    if (status)
        return status;
    memcpy(dims, x->dims, sizeof dims);
    status = aligned_shape(im, node, x->rank, dims, &ones);
    if (!status)
        status = hsi_onnx_reshaped(im, node, x, x->rank + ones, dims, &result);
    if (!status)
        hsi_onnx_set_constant(im, node, 0, result);
    return status;
}

hsched_status hsi_onnx_build_align(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    int64_t dims[HSCHED_MAX_DIMS], axes[HSCHED_MAX_DIMS];
    uint32_t ones = 0;
    hsched_tensor x, y;
    hsched_status status = check_inputs(node);
    if (status || hsi_onnx_constant_input(im, node, 0))
        return status ? status : hsi_onnx_fold_align(im, node);
    status = hsi_onnx_input(im, node, 0, &x);
    if (!status)
        status = aligned_shape(im, node, hsi_onnx_rank(im, x), dims, &ones);
    if (status)
        return status;
    if (ones == 0)
        return hsi_onnx_alias(im, node, 0);
    for (uint32_t k = 0; k < ones; k++)
        axes[k] = hsi_onnx_rank(im, x) + k;
    status = hsi_onnx_at_node(
        node, hsched_graph_add_unsqueeze(im->graph, hsi_onnx_output_name(im, node, 0), x,
                                         ones, axes, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}
