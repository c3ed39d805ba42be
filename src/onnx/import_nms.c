/*
 * NonMaxSuppression. Its result has as many rows as boxes are chosen, which no shape here says: the
 * layer's has rows of -1 behind them. That is for the caller to see, so what is made of it may
 * only be outputs of the model, as long as every row stays a row, and -1 what it is.
 */
#include <math.h>
#include <string.h>

#include "onnx/ops.h"

static int is(const hsi_onnx_node *node, const char *op)
{
    return strcmp(node->op, op) == 0;
}

/* A cast that keeps a -1. */
static int keeps_numbers(const hsi_onnx_node *node)
{
    int64_t to = 0;
    if (hsi_onnx_attr_int(node, "to", 0, &to) != HSCHED_OK)
        return 0;
    const hsched_dtype dtype = hsi_onnx_dtype((int32_t)to);
    return dtype == HSCHED_INT64 || dtype == HSCHED_INT32 || dtype == HSCHED_INT8 ||
           dtype == HSCHED_FLOAT32 || dtype == HSCHED_FLOAT16 || dtype == HSCHED_FLOAT64;
}

/* Axes that are known and do not name the rows of a tensor of two dimensions. */
static int spares_rows(hsi_onnx_import *im, const hsi_onnx_node *node, int64_t since,
                       uint32_t input)
{
    const int64_t *axes;
    uint32_t count;
    if (hsi_onnx_ints(im, node, "axes", since, input, &axes, &count) != HSCHED_OK ||
        axes == NULL)
        return 0;
    for (uint32_t k = 0; k < count; k++)
        if (axes[k] != 1 && axes[k] != -1)
            return 0;
    return 1;
}

/* Is every row of the node's result one of input 0's? Of two dimensions, that is. */
static int keeps_rows(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    int64_t axis = 0;
    if (is(node, "Identity"))
        return 1;
    if (is(node, "Cast"))
        return keeps_numbers(node);
    if (is(node, "Gather"))
        return hsi_onnx_attr_int(node, "axis", 0, &axis) == HSCHED_OK &&
               (axis == 1 || axis == -1);
    if (is(node, "Slice"))
        return spares_rows(im, node, 10, 3);
    if (is(node, "Squeeze"))
        return spares_rows(im, node, 13, 1);
    return 0;
}

/* The first node that takes the rows of `value` for something else; NULL if there is none. Names
 * of values only lead from a node to later ones: this ends. `depth` bounds the recursion. */
static const hsi_onnx_node *other_reader(hsi_onnx_import *im, uint32_t value, int depth)
{
    for (uint32_t n = 0; n < im->model->node_count; n++) {
        const hsi_onnx_node *node = &im->model->nodes[n];
        for (uint32_t k = 0; k < node->input_count && node->needed; k++) {
            if (node->inputs[k] != value)
                continue;
            if (k > 0 || depth == 0 || !keeps_rows(im, node))
                return node;
            const hsi_onnx_node *other = other_reader(im, node->outputs[0], depth - 1);
            if (other != NULL)
                return other;
        }
    }
    return NULL;
}

/* Input k, a number for all classes; *given is 0 where it is left out. */
static hsched_status read_number(hsi_onnx_import *im, const hsi_onnx_node *node,
                                 uint32_t k, float *value, int *given)
{
    *given = hsi_onnx_has_input(node, k);
    return hsi_onnx_float_input(im, node, k, 0, value);
}

hsched_status hsi_onnx_build_nms(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsched_nms_config config = { HSCHED_NMS_CONFIG_INIT };
    const int64_t *most;
    uint32_t count;
    int64_t center;
    int given;
    hsched_tensor boxes, scores, y;
    hsched_status status = hsi_onnx_ints_input(im, node, 2, &most, &count);
    if (!status)
        status = read_number(im, node, 3, &config.iou_threshold, &given);
    if (!status)
        status = read_number(im, node, 4, &config.score_threshold, &given);
    if (!status)
        status = hsi_onnx_attr_int(node, "center_point_box", 0, &center);
    if (status)
        return status;
    if (!given)
        config.score_threshold = -INFINITY;
    if (!most || count < 1 || most[0] < 1)
        return hsi_onnx_unsupported(im, node,
                                    "no box that may be chosen: an empty result");
    const hsi_onnx_node *other = other_reader(im, node->outputs[0], 8);
    if (other != NULL)
        return hsi_onnx_unsupported(
            im, node,
            "its result, whose number of rows is found at run time, goes into %.40s, not "
            "only to outputs",
            other->op);
    config.max_per_class = most[0];
    config.center_point_box = center != 0;
    status = hsi_onnx_input(im, node, 0, &boxes);
    if (!status)
        status = hsi_onnx_input(im, node, 1, &scores);
    if (!status)
        status = hsi_onnx_at_node(node, hsched_graph_add_non_max_suppression(
                                            im->graph, hsi_onnx_output_name(im, node, 0),
                                            boxes, scores, &config, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}
