/* DepthToSpace and SpaceToDepth: blocks of pixels as channels, and back. A reshape, a
 * transpose and a reshape, of which only the transpose moves anything. */
#include "onnx/ops.h"

#include <string.h>

#include "base/status.h"

enum {
    MAX_BLOCK = 1 << 15 /* so that its square is an int64 and a size that exists */
};

typedef struct blocks {
    int64_t batch; /* or its symbol's code */
    int64_t channels, height, width;
    int64_t size;
    int depth_last; /* CRD: a block's pixels lie together among the channels */
} blocks;

static hsched_status read_mode(const hsi_onnx_node *node, int *depth_last)
{
    int first;
    hsched_status status = hsi_onnx_attr_is(node, "mode", "DCR", "DCR", &first);
    if (!status)
        status = hsi_onnx_attr_is(node, "mode", "DCR", "CRD", depth_last);
    if (!status && !first && !*depth_last)
        status = hsi_onnx_malformed(node, "attribute 'mode' is neither DCR nor CRD");
    return status;
}

static hsched_status read_blocks(hsi_onnx_import *im, const hsi_onnx_node *node,
                                 hsched_tensor x, blocks *b)
{
    int64_t dims[HSCHED_MAX_DIMS];
    hsched_status status = hsi_onnx_attr_int(node, "blocksize", 0, &b->size);
    if (!status)
        status = read_mode(node, &b->depth_last);
    if (status)
        return status;
    if (b->size < 1 || b->size > MAX_BLOCK)
        return hsi_onnx_malformed(node, "attribute 'blocksize' is missing or no size");
    if (hsi_onnx_rank(im, x) != 4)
        return hsi_onnx_malformed(node, "its input has %u dimensions instead of 4",
                                  hsi_onnx_rank(im, x));
    hsi_onnx_dims(im, x, dims);
    for (uint32_t k = 1; k < 4; k++) /* new sizes are computed from these */
        hsi_onnx_pin(im, hsi_onnx_dim_tag(im, x, k));
    b->batch = hsi_onnx_symbolic(im, dims[0], hsi_onnx_dim_tag(im, x, 0));
    b->channels = dims[1];
    b->height = dims[2];
    b->width = dims[3];
    return HSCHED_OK;
}

/* x seen as `apart`, its dimensions in another order, and seen as `whole`. */
static hsched_status rearrange(hsi_onnx_import *im, const hsi_onnx_node *node,
                               hsched_tensor x, const int64_t *apart, const int64_t *perm,
                               const int64_t *whole)
{
    const char *split = hsi_onnx_made_name(im, node->label, "blocks");
    const char *moved = hsi_onnx_made_name(im, node->label, "moved");
    hsched_tensor y;
    if (!split || !moved)
        return hsi_onnx_no_memory(im, node);
    hsched_status status = hsched_graph_add_reshape(im->graph, split, x, 6, apart, &y);
    if (!status)
        status = hsched_graph_add_transpose(im->graph, moved, y, perm, &y);
    if (!status)
        status = hsched_graph_add_reshape(im->graph, hsi_onnx_output_name(im, node, 0), y,
                                          4, whole, &y);
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return hsi_onnx_at_node(node, status);
}

hsched_status hsi_onnx_build_depth_to_space(hsi_onnx_import *im,
                                            const hsi_onnx_node *node)
{
    static const int64_t depth_first[6] = { 0, 3, 4, 1, 5, 2 };
    static const int64_t depth_last[6] = { 0, 1, 4, 2, 5, 3 };
    blocks b;
    hsched_tensor x;
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (!status)
        status = read_blocks(im, node, x, &b);
    if (status)
        return status;
    const int64_t s = b.size, channels = b.channels / (s * s);
    if (b.channels % (s * s))
        return hsi_onnx_malformed(node, "%lld channels are no blocks of %lld by %lld",
                                  (long long)b.channels, (long long)s, (long long)s);
    const int64_t first[6] = { b.batch, s, s, channels, b.height, b.width };
    const int64_t last[6] = { b.batch, channels, s, s, b.height, b.width };
    const int64_t whole[4] = { b.batch, channels, b.height * s, b.width * s };
    return rearrange(im, node, x, b.depth_last ? last : first,
                     b.depth_last ? depth_last : depth_first, whole);
}

hsched_status hsi_onnx_build_space_to_depth(hsi_onnx_import *im,
                                            const hsi_onnx_node *node)
{
    static const int64_t depth_first[6] = { 0, 3, 5, 1, 2, 4 };
    static const int64_t depth_last[6] = { 0, 1, 3, 5, 2, 4 };
    blocks b;
    hsched_tensor x;
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (!status)
        status = read_blocks(im, node, x, &b);
    if (status)
        return status;
    const int64_t s = b.size, height = b.height / s, width = b.width / s;
    if (b.height % s || b.width % s)
        return hsi_onnx_malformed(node, "%lld by %lld pixels are no blocks of %lld",
                                  (long long)b.height, (long long)b.width, (long long)s);
    const int64_t apart[6] = { b.batch, b.channels, height, s, width, s };
    const int64_t whole[4] = { b.batch, b.channels * s * s, height, width };
    return rearrange(im, node, x, apart, b.depth_last ? depth_last : depth_first, whole);
}
