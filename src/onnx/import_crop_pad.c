/* CenterCropPad, and Pad that wraps around: slices, pads and concatenations. */
#include <string.h>

#include "onnx/ops.h"

/* The sizes that CenterCropPad asks for; the others are x's. */
static hsched_status read_sizes(hsi_onnx_import *im, const hsi_onnx_node *node,
                                hsched_tensor x, int64_t *sizes)
{
    const uint32_t rank = hsi_onnx_rank(im, x);
    const int64_t *given, *axes;
    uint32_t count, axes_count;
    hsched_status status = hsi_onnx_ints_input(im, node, 1, &given, &count);
    if (!status)
        status = hsi_onnx_attr_ints(node, "axes", &axes, &axes_count);
    if (status)
        return status;
    if (!given || count > rank || count != (axes ? axes_count : rank))
        return hsi_onnx_malformed(node, "%u sizes for a tensor of %u dimensions", count,
                                  rank);
    hsi_onnx_dims(im, x, sizes);
    for (uint32_t k = 0; k < count; k++) {
        uint32_t axis;
        status = hsi_onnx_axis(node, axes ? axes[k] : (int64_t)k, rank, rank, &axis);
        if (status)
            return status;
        if (given[k] < 1)
            return hsi_onnx_unsupported(im, node, "a size of %lld", (long long)given[k]);
        hsi_onnx_pin(im, hsi_onnx_dim_tag(im, x, axis));
        sizes[axis] = given[k];
    }
    return HSCHED_OK;
}

/* The odd element of a crop is cut off at the end, that of a padding added there. */
hsched_status hsi_onnx_build_center_crop_pad(hsi_onnx_import *im,
                                             const hsi_onnx_node *node)
{
    int64_t dims[HSCHED_MAX_DIMS], sizes[HSCHED_MAX_DIMS], starts[HSCHED_MAX_DIMS],
        ends[HSCHED_MAX_DIMS], before[HSCHED_MAX_DIMS], after[HSCHED_MAX_DIMS];
    hsched_tensor x, y;
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (!status)
        status = read_sizes(im, node, x, sizes);
    if (status)
        return status;
    const uint32_t rank = hsi_onnx_rank(im, x);
    hsi_onnx_dims(im, x, dims);
    for (uint32_t k = 0; k < rank; k++) {
        const int64_t cut = dims[k] > sizes[k] ? dims[k] - sizes[k] : 0,
                      more = sizes[k] > dims[k] ? sizes[k] - dims[k] : 0;
        starts[k] = cut / 2;
        ends[k] = cut ? cut / 2 + sizes[k] : INT64_MAX;
        before[k] = more / 2;
        after[k] = more - more / 2;
    }
    const char *name = hsi_onnx_made_name(im, node->label, "cut");
    if (!name)
        return hsi_onnx_no_memory(im, node);
    status =
        hsched_graph_add_slice(im->graph, name, x, rank, starts, ends, NULL, NULL, &x);
    if (!status)
        status = hsched_graph_add_pad(im->graph, hsi_onnx_output_name(im, node, 0), x,
                                      before, after, HSCHED_PAD_MODE_CONSTANT, 0, &y);
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return hsi_onnx_at_node(node, status);
}

/* ---- Wrapping around ------------------------------------------------------ */

#define MOST_PIECES 16

typedef struct pieces {
    hsi_onnx_import *im;
    const hsi_onnx_node *node;
    hsched_tensor x, parts[MOST_PIECES];
    uint32_t axis, count;
} pieces;

/* Elements [start, end) along the axis once more. */
static hsched_status add_piece(pieces *p, int64_t start, int64_t end, int64_t size)
{
    const int64_t axis = p->axis;
    if (start == end)
        return HSCHED_OK;
    if (p->count == MOST_PIECES)
        return hsi_onnx_unsupported(p->im, p->node,
                                    "pads of many times its input's size");
    if (start == 0 && end == size) {
        p->parts[p->count++] = p->x;
        return HSCHED_OK;
    }
    const char *name = hsi_onnx_made_name(p->im, p->node->label, "piece");
    if (!name)
        return hsi_onnx_no_memory(p->im, p->node);
    return hsched_graph_add_slice(p->im->graph, name, p->x, 1, &start, &end, &axis, NULL,
                                  &p->parts[p->count++]);
}

static hsched_status wrap_axis(hsi_onnx_import *im, const hsi_onnx_node *node,
                               uint32_t axis, int64_t before, int64_t after,
                               const char *name, hsched_tensor *x)
{
    int64_t dims[HSCHED_MAX_DIMS];
    pieces p = { im, node, *x, { 0 }, axis, 0 };
    hsi_onnx_dims(im, *x, dims);
    const int64_t size = dims[axis];
    hsched_status status = add_piece(&p, size - before % size, size, size);
    for (int64_t k = before / size; k > 0 && !status; k--)
        status = add_piece(&p, 0, size, size);
    if (!status)
        status = add_piece(&p, 0, size, size);
    for (int64_t k = after / size; k > 0 && !status; k--)
        status = add_piece(&p, 0, size, size);
    if (!status)
        status = add_piece(&p, 0, after % size, size);
    if (status)
        return status;
    return hsched_graph_add_concat(im->graph, name, p.parts, p.count, (int)axis, x);
}

hsched_status hsi_onnx_wrap_around(hsi_onnx_import *im, const hsi_onnx_node *node,
                                   hsched_tensor x, const int64_t *before,
                                   const int64_t *after, hsched_tensor *y)
{
    const uint32_t rank = hsi_onnx_rank(im, x);
    uint32_t last = rank;
    hsched_status status = HSCHED_OK;
    for (uint32_t k = 0; k < rank; k++)
        if (before[k] || after[k])
            last = k;
    for (uint32_t k = 0; k < rank && last < rank && !status; k++) {
        if (!before[k] && !after[k])
            continue;
        const char *name = k == last ? hsi_onnx_output_name(im, node, 0)
                                     : hsi_onnx_made_name(im, node->label, "wrapped");
        if (!name)
            return hsi_onnx_no_memory(im, node);
        hsi_onnx_pin(im, hsi_onnx_dim_tag(im, x, k));
        status = wrap_axis(im, node, k, before[k], after[k], name, &x);
    }
    if (!status && last == rank)
        status = hsched_graph_add_pad(im->graph, hsi_onnx_output_name(im, node, 0), x,
                                      before, after, HSCHED_PAD_MODE_CONSTANT, 0, &x);
    *y = x;
    return status;
}
