/* Operators that pick by tuples of indices, and that put by indices. */
#include "onnx/ops.h"

#include <limits.h>
#include <string.h>

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

static hsched_status reduction(const hsi_onnx_node *node, hsched_scatter_kind *kind)
{
    static const char *const names[] = { NULL, "none", "add", "mul", "max", "min" };
    for (int k = HSCHED_SCATTER_SET; k <= HSCHED_SCATTER_MIN; k++) {
        int equal;
        hsched_status status =
            hsi_onnx_attr_is(node, "reduction", "none", names[k], &equal);
        if (status)
            return status;
        if (equal) {
            *kind = (hsched_scatter_kind)k;
            return HSCHED_OK;
        }
    }
    return hsi_onnx_malformed(node, "its reduction is not one that there is");
}

/* Scatter is ScatterElements under its first name. */
hsched_status hsi_onnx_build_scatter(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const char *name = hsi_onnx_output_name(im, node, 0);
    hsched_scatter_kind kind = HSCHED_SCATTER_SET;
    hsched_tensor in[3], y;
    int64_t given;
    uint32_t axis;
    hsched_status status = reduction(node, &kind);
    for (uint32_t k = 0; k < 3 && !status; k++)
        status = hsi_onnx_input(im, node, k, &in[k]);
    if (status)
        return status;
    if (strcmp(node->op, "ScatterND") == 0) {
        status =
            hsched_graph_add_scatter_nd(im->graph, name, in[0], in[1], in[2], kind, &y);
    } else {
        const uint32_t rank = hsi_onnx_rank(im, in[0]);
        status = hsi_onnx_attr_int(node, "axis", 0, &given);
        if (!status)
            status = hsi_onnx_axis(node, given, rank, rank, &axis);
        if (status)
            return status;
        status = hsched_graph_add_scatter_elements(im->graph, name, in[0], in[1], in[2],
                                                   (int)axis, kind, &y);
    }
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return hsi_onnx_at_node(node, status);
}

static hsched_status compressed_to_nothing(hsi_onnx_import *im, const hsi_onnx_node *node,
                                           hsched_tensor x, uint32_t axis)
{
    int64_t dims[HSCHED_MAX_DIMS];
    hsi_onnx_dims(im, x, dims);
    dims[axis] = 0;
    return hsi_onnx_empty_part(im, node, 0, x, dims);
}

/* The places where the condition is true, along the axis, or in the elements one after the
 * other. */
hsched_status hsi_onnx_build_compress(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const int64_t row[1] = { HSCHED_DIM_INFER };
    const hsi_onnx_constant *places;
    const char *flat = hsi_onnx_made_name(im, node->label, "flat");
    const char *name = hsi_onnx_made_name(im, node->label, "places");
    int64_t given;
    uint32_t axis = 0;
    hsched_tensor x, indices, y;
    if (!flat || !name)
        return hsi_onnx_no_memory(im, node);
    if (!hsi_onnx_constant_input(im, node, 1))
        return hsi_onnx_unsupported(im, node,
                                    "a condition that is computed at run time: the size "
                                    "of the result would depend on it");
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (!status)
        status = hsi_onnx_attr_int(node, "axis", 0, &given);
    if (!status && !hsi_onnx_attr(node, "axis"))
        status = hsi_onnx_at_node(
            node, hsched_graph_add_reshape(im->graph, flat, x, 1, row, &x));
    if (!status)
        status = hsi_onnx_track(im);
    if (!status)
        status =
            hsi_onnx_axis(node, given, hsi_onnx_rank(im, x), hsi_onnx_rank(im, x), &axis);
    if (status)
        return status;
    hsi_onnx_pin(im, hsi_onnx_dim_tag(im, x, axis));
    status = hsi_onnx_true_places(im, node, im->graph->tensors[x].dims[axis], &places);
    if (!status && places->count == 0)
        return compressed_to_nothing(im, node, x, axis);
    if (!status)
        status = hsi_onnx_at_node(
            node, hsched_graph_add_constant(im->graph, name, HSCHED_INT64, 1,
                                            places->dims, places->data, places->size,
                                            HSCHED_DATA_COPY, &indices));
    if (!status)
        status = hsi_onnx_at_node(
            node, hsched_graph_add_gather(im->graph, hsi_onnx_output_name(im, node, 0), x,
                                          indices, (int)axis, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}
