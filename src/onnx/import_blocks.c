/* DepthToSpace and SpaceToDepth: blocks of pixels as channels, and back. */
#include "onnx/ops.h"

#include "base/status.h"
#include "graph/compose.h"

static hsched_status read_order(const hsi_onnx_node *node, hsched_block_order *order)
{
    int dcr, crd;
    hsched_status status = hsi_onnx_attr_is(node, "mode", "DCR", "DCR", &dcr);
    if (!status)
        status = hsi_onnx_attr_is(node, "mode", "DCR", "CRD", &crd);
    if (!status && !dcr && !crd)
        status = hsi_onnx_malformed(node, "attribute 'mode' is neither DCR nor CRD");
    if (!status)
        *order = crd ? HSCHED_BLOCK_ORDER_CRD : HSCHED_BLOCK_ORDER_DCR;
    return status;
}

static hsched_status build(hsi_onnx_import *im, const hsi_onnx_node *node, int to_space)
{
    hsched_block_order order;
    int64_t block;
    hsched_tensor x, y;
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (!status)
        status = hsi_onnx_attr_int(node, "blocksize", 0, &block);
    if (!status)
        status = read_order(node, &order);
    if (status)
        return status;
    const char *const names[3] = { hsi_onnx_made_name(im, node->label, "blocks"),
                                   hsi_onnx_made_name(im, node->label, "moved"),
                                   hsi_onnx_output_name(im, node, 0) };
    if (!names[0] || !names[1] || !names[2])
        return hsi_onnx_no_memory(im, node);
    for (uint32_t k = 1; k < hsi_onnx_rank(im, x);
         k++) /* new sizes are computed of these */
        hsi_onnx_pin(im, hsi_onnx_dim_tag(im, x, k));
    status = hsi_compose_blocks(im->graph, names, x, block, order, to_space, &y);
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return hsi_onnx_at_node(node, status);
}

hsched_status hsi_onnx_build_depth_to_space(hsi_onnx_import *im,
                                            const hsi_onnx_node *node)
{
    return build(im, node, 1);
}

hsched_status hsi_onnx_build_space_to_depth(hsi_onnx_import *im,
                                            const hsi_onnx_node *node)
{
    return build(im, node, 0);
}
