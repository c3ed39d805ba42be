/* The indices of MaxPool, and MaxUnpool: zeros into which elements are put by such indices. */
#include <string.h>

#include "onnx/window.h"

hsched_status hsi_onnx_build_pool_indices(hsi_onnx_import *im, const hsi_onnx_node *node,
                                          hsched_tensor x,
                                          const hsched_pool_config *config)
{
    int64_t order;
    hsched_tensor y;
    hsched_status status = hsi_onnx_attr_int(node, "storage_order", 0, &order);
    for (uint32_t k = 0; k < hsi_onnx_rank(im, x); k++) /* they count all of x */
        hsi_onnx_pin(im, hsi_onnx_dim_tag(im, x, k));
    if (!status)
        status = hsi_onnx_at_node(node, hsched_graph_add_max_pool_indices(
                                            im->graph, hsi_onnx_output_name(im, node, 1),
                                            x, config, order != 0, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 1, y);
    return status;
}

/* The shape that was pooled to x's, as far as that tells. */
static hsched_status unpooled(hsi_onnx_import *im, const hsi_onnx_node *node,
                              hsched_tensor x, uint32_t spatial, int64_t *dims)
{
    hsched_pool_config c = { HSCHED_POOL_CONFIG_INIT };
    hsched_status status = hsi_onnx_read_pool(node, spatial, &c);
    if (status)
        return status;
    hsi_onnx_dims(im, x, dims);
    for (uint32_t k = 0; k < spatial + 2; k++)
        hsi_onnx_pin(im, hsi_onnx_dim_tag(im, x, k));
    for (uint32_t k = 0; k < spatial; k++) {
        int64_t *dim = &dims[2 + k];
        if (__builtin_mul_overflow(*dim - 1, c.strides[k], dim) ||
            __builtin_add_overflow(*dim, c.kernel[k], dim) ||
            __builtin_sub_overflow(*dim, c.pads[k], dim) ||
            __builtin_sub_overflow(*dim, c.pads[spatial + k], dim) || *dim < 1)
            return hsi_onnx_malformed(node, "nothing was pooled to its input");
    }
    return HSCHED_OK;
}

/* Room at the ends, up to a shape that is given. */
static hsched_status make_room(hsi_onnx_import *im, const hsi_onnx_node *node,
                               uint32_t rank, const int64_t *dims, const int64_t *shape,
                               hsched_tensor x, hsched_tensor *y)
{
    int64_t before[HSCHED_MAX_DIMS] = { 0 }, after[HSCHED_MAX_DIMS] = { 0 };
    for (uint32_t k = 0; k < rank; k++) {
        after[k] = shape[k] - dims[k];
        if (after[k] < 0)
            return hsi_onnx_unsupported(im, node,
                                        "an output_shape of less than was pooled");
    }
    return hsched_graph_add_pad(im->graph, hsi_onnx_output_name(im, node, 0), x, before,
                                after, HSCHED_PAD_MODE_CONSTANT, 0, y);
}

hsched_status hsi_onnx_build_max_unpool(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    static const int64_t flat = HSCHED_DIM_INFER;
    int64_t dims[HSCHED_MAX_DIMS], all = 1;
    const int64_t *shape;
    uint32_t spatial, count;
    hsched_tensor x, indices, zeros, y;
    hsched_status status = hsi_onnx_read_image(im, node, &x, &spatial);
    if (!status)
        status = hsi_onnx_input(im, node, 1, &indices);
    if (!status)
        status = hsi_onnx_ints_input(im, node, 2, &shape, &count);
    if (!status)
        status = unpooled(im, node, x, spatial, dims);
    if (status)
        return status;
    const uint32_t rank = spatial + 2;
    if (shape && count != rank)
        return hsi_onnx_malformed(node, "its output_shape has %u numbers, not %u", count,
                                  rank);
    for (uint32_t k = 0; k < rank; k++)
        if (__builtin_mul_overflow(all, dims[k], &all))
            return hsi_onnx_malformed(node, "its result is too large");
    const int resized = shape && memcmp(shape, dims, rank * sizeof *dims) != 0;
    const char *label = node->label, *made[5] = { NULL };
    static const char *const suffixes[5] = { "zeros", "places", "elements", "put",
                                             "whole" };
    for (int k = 0; k < 5; k++)
        if (!(made[k] = hsi_onnx_made_name(im, label, suffixes[k])))
            return hsi_onnx_no_memory(im, node);
    status = hsi_onnx_add_number(im, node, im->graph->tensors[x].dtype, 0, &zeros);
    if (!status)
        status = hsched_graph_add_expand(im->graph, made[0], zeros, 1, &all, &zeros);
    if (!status)
        status =
            hsched_graph_add_reshape(im->graph, made[1], indices, 1, &flat, &indices);
    if (!status)
        status = hsched_graph_add_reshape(im->graph, made[2], x, 1, &flat, &x);
    if (!status)
        status = hsched_graph_add_scatter_elements(im->graph, made[3], zeros, indices, x,
                                                   0, HSCHED_SCATTER_SET, &y);
    if (!status)
        status = hsched_graph_add_reshape(
            im->graph, resized ? made[4] : hsi_onnx_output_name(im, node, 0), y, rank,
            dims, &y);
    if (!status && resized)
        status = make_room(im, node, rank, dims, shape, y, &y);
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return hsi_onnx_at_node(node, status);
}
