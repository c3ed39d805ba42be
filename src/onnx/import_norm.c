/*
 * Normalisations by statistics of the tensor itself: layers, instances, groups, root mean squares;
 * and those made of means, arithmetic and square roots: over any dimensions, by given statistics,
 * by a norm.
 */
#include "onnx/ops.h"

#include <float.h>
#include <math.h>
#include <string.h>

typedef struct norm {
    hsi_onnx_import *im;
    const hsi_onnx_node *node;
    hsched_dtype dtype;
    uint32_t rank;
    hsched_status status; /* once it is an error, nothing more is added */
} norm;

static hsched_tensor reduce(norm *n, hsched_reduce_kind kind, hsched_tensor x,
                            uint32_t count, const int64_t *axes)
{
    const char *name = hsi_onnx_made_name(n->im, n->node->label, "reduced");
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (n->status == HSCHED_OK)
        n->status = name ? hsi_onnx_at_node(
                               n->node, hsched_graph_add_reduce(n->im->graph, name, kind,
                                                                x, count, axes, 1, &y))
                         : hsi_onnx_no_memory(n->im, n->node);
    return y;
}

/* `last`: it is the node's output. */
static hsched_tensor pair(norm *n, int last, hsched_binary_kind kind, hsched_tensor a,
                          hsched_tensor b)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (n->status == HSCHED_OK)
        n->status = hsi_onnx_add_pair(n->im, n->node, last, kind, a, b, &y);
    return y;
}

static hsched_tensor act(norm *n, hsched_activation_kind kind, hsched_tensor x)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    const hsched_activation activation = { .kind = kind };
    if (n->status == HSCHED_OK)
        n->status = hsi_onnx_add_act(n->im, n->node, 0, activation, x, &y);
    return y;
}

static hsched_tensor number(norm *n, double value)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (n->status == HSCHED_OK)
        n->status = hsi_onnx_add_number(n->im, n->node, n->dtype, value, &y);
    return y;
}

/* A vector of channels, against `rank` dimensions of which they are number 1. */
static hsched_tensor channels(norm *n, hsched_tensor vector, uint32_t rank)
{
    int64_t axes[HSCHED_MAX_DIMS];
    const char *name = hsi_onnx_made_name(n->im, n->node->label, "channels");
    if (n->status != HSCHED_OK || rank < 3)
        return vector;
    for (uint32_t k = 0; k + 2 < rank; k++)
        axes[k] = k + 1;
    n->status = name ? hsi_onnx_at_node(
                           n->node, hsched_graph_add_unsqueeze(n->im->graph, name, vector,
                                                               rank - 2, axes, &vector))
                     : hsi_onnx_no_memory(n->im, n->node);
    return vector;
}

static hsched_tensor reshape(norm *n, const char *name, hsched_tensor x, uint32_t rank,
                             const int64_t *dims)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (n->status == HSCHED_OK)
        n->status =
            name ? hsi_onnx_at_node(n->node, hsched_graph_add_reshape(n->im->graph, name,
                                                                      x, rank, dims, &y))
                 : hsi_onnx_no_memory(n->im, n->node);
    return y;
}

/* What is left of x when mean (unless `rms`) and deviation over the axes are gone; *mean and
 * *deviation are those. `last`: it is the node's output. */
static hsched_tensor standardise(norm *n, hsched_tensor x, uint32_t count,
                                 const int64_t *axes, double epsilon, int rms, int last,
                                 hsched_tensor *mean, hsched_tensor *deviation)
{
    hsched_tensor centred = x;
    if (!rms) {
        *mean = reduce(n, HSCHED_REDUCE_MEAN, x, count, axes);
        centred = pair(n, 0, HSCHED_BINARY_SUB, x, *mean);
    }
    hsched_tensor square = pair(n, 0, HSCHED_BINARY_MUL, centred, centred);
    hsched_tensor variance = reduce(n, HSCHED_REDUCE_MEAN, square, count, axes);
    variance = pair(n, 0, HSCHED_BINARY_ADD, variance, number(n, epsilon));
    *deviation = act(n, HSCHED_ACTIVATION_SQRT, variance);
    return pair(n, last, HSCHED_BINARY_DIV, centred, *deviation);
}

/* Input 0, with what later layers need to know of it. */
static hsched_tensor begin(norm *n, hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsched_tensor x = HSCHED_NO_TENSOR;
    *n = (norm){ .im = im, .node = node };
    n->status = hsi_onnx_input(im, node, 0, &x);
    if (n->status == HSCHED_OK) {
        n->dtype = im->graph->tensors[x].dtype;
        n->rank = im->graph->tensors[x].rank;
    }
    return x;
}

static hsched_tensor input(norm *n, uint32_t k)
{
    hsched_tensor t = HSCHED_NO_TENSOR;
    if (n->status == HSCHED_OK && !hsi_onnx_has_input(n->node, k))
        n->status = hsi_onnx_malformed(n->node, "input %u is missing", k);
    if (n->status == HSCHED_OK)
        n->status = hsi_onnx_input(n->im, n->node, k, &t);
    return t;
}

static hsched_status end(norm *n, hsched_tensor y)
{
    if (n->status == HSCHED_OK)
        hsi_onnx_set_tensor(n->im, n->node, 0, y);
    return n->status;
}

/* The axes from `from` on; their number. */
static uint32_t axes_from(uint32_t from, uint32_t rank, int64_t *axes)
{
    uint32_t count = 0;
    while (from < rank)
        axes[count++] = from++;
    return count;
}

/* ---- Over the last dimensions --------------------------------------------- */

/* The mean, and the inverse of the deviation, as tensors of their own. */
static void further_outputs(norm *n, hsched_tensor x, uint32_t count, const int64_t *axes,
                            double epsilon, int rms)
{
    hsched_tensor mean = HSCHED_NO_TENSOR, deviation = HSCHED_NO_TENSOR;
    const int wants_mean = hsi_onnx_output_used(n->im, n->node, 1),
              wants_inverse = hsi_onnx_output_used(n->im, n->node, 2);
    if (n->status != HSCHED_OK || (!wants_mean && !wants_inverse))
        return;
    if (n->dtype == HSCHED_FLOAT64) {
        n->status = hsi_onnx_unsupported(n->im, n->node,
                                         "statistics of float64, which are float32");
        return;
    }
    standardise(n, x, count, axes, epsilon, rms, 0, &mean, &deviation);
    if (n->status == HSCHED_OK && wants_mean)
        hsi_onnx_set_tensor(n->im, n->node, 1, mean);
    if (n->status == HSCHED_OK && wants_inverse) {
        hsched_tensor inverse = act(n, HSCHED_ACTIVATION_RECIPROCAL, deviation);
        if (n->status == HSCHED_OK)
            hsi_onnx_set_tensor(n->im, n->node, 2, inverse);
    }
}

hsched_status hsi_onnx_build_layer_norm(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const int rms = strcmp(node->op, "RMSNormalization") == 0;
    norm n;
    int64_t given, axes[HSCHED_MAX_DIMS];
    float epsilon;
    uint32_t axis = 0;
    hsched_tensor y = HSCHED_NO_TENSOR, x = begin(&n, im, node);
    if (n.status == HSCHED_OK)
        n.status = hsi_onnx_attr_int(node, "axis", -1, &given);
    if (n.status == HSCHED_OK)
        n.status = hsi_onnx_attr_float(node, "epsilon", 1e-5f, &epsilon);
    if (n.status == HSCHED_OK)
        n.status = hsi_onnx_axis(node, given, n.rank, n.rank, &axis);
    if (n.status != HSCHED_OK)
        return n.status;
    const hsched_tensor scale = input(&n, 1);
    const hsched_tensor bias =
        !rms && hsi_onnx_has_input(node, 2) ? input(&n, 2) : HSCHED_NO_TENSOR;
    if (n.status == HSCHED_OK)
        n.status = hsi_onnx_at_node(
            node, (rms ? hsched_graph_add_rms_norm : hsched_graph_add_layer_norm)(
                      im->graph, hsi_onnx_output_name(im, node, 0), x, scale, bias,
                      (int)axis, epsilon, &y));
    const uint32_t count = axes_from(axis, n.rank, axes);
    further_outputs(&n, x, count, axes, (double)epsilon, rms);
    return end(&n, y);
}

/* ---- Of channels ---------------------------------------------------------- */

hsched_status hsi_onnx_build_instance_norm(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    norm n;
    float epsilon;
    hsched_tensor y = HSCHED_NO_TENSOR, x = begin(&n, im, node);
    if (n.status == HSCHED_OK)
        n.status = hsi_onnx_attr_float(node, "epsilon", 1e-5f, &epsilon);
    if (n.status != HSCHED_OK)
        return n.status;
    if (n.rank < 2)
        return hsi_onnx_unsupported(im, node, "an input of %u dimensions", n.rank);
    const hsched_tensor scale = input(&n, 1), bias = input(&n, 2);
    if (n.status == HSCHED_OK)
        n.status = hsi_onnx_at_node(
            node,
            hsched_graph_add_instance_norm(im->graph, hsi_onnx_output_name(im, node, 0),
                                           x, scale, bias, epsilon, &y));
    return end(&n, y);
}

/* One for each group, as before opset 21, to one for each channel. */
static hsched_tensor of_groups(norm *n, hsched_tensor vector, int64_t groups,
                               int64_t channels)
{
    const int64_t apart[2] = { groups, 1 }, wide[2] = { groups, channels / groups };
    const char *label = n->node->label, *name;
    hsched_tensor y =
        reshape(n, hsi_onnx_made_name(n->im, label, "groups"), vector, 2, apart);
    name = hsi_onnx_made_name(n->im, label, "members");
    if (n->status == HSCHED_OK)
        n->status =
            name ? hsi_onnx_at_node(n->node, hsched_graph_add_expand(n->im->graph, name,
                                                                     y, 2, wide, &y))
                 : hsi_onnx_no_memory(n->im, n->node);
    return reshape(n, hsi_onnx_made_name(n->im, label, "channels"), y, 1, &channels);
}

hsched_status hsi_onnx_build_group_norm(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    norm n;
    int64_t groups, dims[HSCHED_MAX_DIMS];
    float epsilon;
    hsched_tensor y = HSCHED_NO_TENSOR, x = begin(&n, im, node);
    if (n.status == HSCHED_OK)
        n.status = hsi_onnx_attr_float(node, "epsilon", 1e-5f, &epsilon);
    if (n.status == HSCHED_OK)
        n.status = hsi_onnx_attr_int(node, "num_groups", 0, &groups);
    if (n.status != HSCHED_OK)
        return n.status;
    if (n.rank < 2)
        return hsi_onnx_unsupported(im, node, "an input of %u dimensions", n.rank);
    hsi_onnx_dims(im, x, dims);
    if (groups < 1 || dims[1] % groups != 0)
        return hsi_onnx_malformed(node, "num_groups does not divide the channels");
    hsched_tensor scale = input(&n, 1), bias = input(&n, 2);
    if (node->version < 21) {
        if (hsi_onnx_dim_tag(im, x, 1))
            hsi_onnx_pin(im, hsi_onnx_dim_tag(im, x, 1));
        scale = of_groups(&n, scale, groups, dims[1]);
        bias = of_groups(&n, bias, groups, dims[1]);
    }
    if (n.status == HSCHED_OK)
        n.status = hsi_onnx_at_node(
            node,
            hsched_graph_add_group_norm(im->graph, hsi_onnx_output_name(im, node, 0), x,
                                        groups, scale, bias, epsilon, &y));
    return end(&n, y);
}

hsched_status hsi_onnx_compose_batch_norm(hsi_onnx_import *im, const hsi_onnx_node *node,
                                          float epsilon)
{
    norm n;
    hsched_tensor x = begin(&n, im, node);
    hsched_tensor y =
        pair(&n, 0, HSCHED_BINARY_SUB, x, channels(&n, input(&n, 3), n.rank));
    hsched_tensor variance =
        pair(&n, 0, HSCHED_BINARY_ADD, input(&n, 4), number(&n, (double)epsilon));
    hsched_tensor deviation = act(&n, HSCHED_ACTIVATION_SQRT, variance);
    hsched_tensor factor = pair(&n, 0, HSCHED_BINARY_DIV, input(&n, 1), deviation);
    y = pair(&n, 0, HSCHED_BINARY_MUL, y, channels(&n, factor, n.rank));
    y = pair(&n, 1, HSCHED_BINARY_ADD, y, channels(&n, input(&n, 2), n.rank));
    return end(&n, y);
}

/* (x - mean) / (deviation + epsilon), which only float64 tells from what standardise makes. */
static hsched_tensor standardise_double(norm *n, hsched_tensor x, uint32_t count,
                                        const int64_t *axes, double epsilon)
{
    hsched_tensor centred =
        pair(n, 0, HSCHED_BINARY_SUB, x, reduce(n, HSCHED_REDUCE_MEAN, x, count, axes));
    hsched_tensor square = pair(n, 0, HSCHED_BINARY_MUL, centred, centred);
    hsched_tensor variance = reduce(n, HSCHED_REDUCE_MEAN, square, count, axes);
    hsched_tensor deviation = act(n, HSCHED_ACTIVATION_SQRT, variance);
    deviation = pair(n, 0, HSCHED_BINARY_ADD, deviation, number(n, epsilon));
    return pair(n, 1, HSCHED_BINARY_DIV, centred, deviation);
}

/* The function's body in the specification adds 1e-9 to the deviation. */
hsched_status hsi_onnx_build_mean_variance(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    static const int64_t usual[] = { 0, 2, 3 };
    norm n;
    const int64_t *axes;
    uint32_t count;
    hsched_tensor mean, deviation, x = begin(&n, im, node);
    if (n.status == HSCHED_OK)
        n.status = hsi_onnx_attr_ints(node, "axes", &axes, &count);
    if (n.status != HSCHED_OK)
        return n.status;
    if (!axes) {
        axes = usual;
        count = 3;
    }
    return end(&n, n.dtype == HSCHED_FLOAT64
                       ? standardise_double(&n, x, count, axes, 1e-9)
                       : standardise(&n, x, count, axes, 1e-18, 0, 1, &mean, &deviation));
}

/* ---- Divided by a norm ---------------------------------------------------- */

/* Along the last dimension, of a known number of floats, of which the largest is 1, or all are 0:
 * one step, the root of the sum being that of the mean times the root of the number. */
static int is_root_mean_square(const norm *n, hsched_tensor x, int64_t axis)
{
    const uint32_t last = n->rank - 1;
    return n->status == HSCHED_OK && n->rank > 0 && n->dtype == HSCHED_FLOAT32 &&
           (axis == -1 || axis == (int64_t)last) && !hsi_onnx_dim_tag(n->im, x, last);
}

static hsched_tensor by_root_mean_square(norm *n, hsched_tensor x)
{
    const int64_t count = n->im->graph->tensors[x].dims[n->rank - 1];
    const hsched_tensor scale = number(n, 1 / sqrt((double)count));
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (n->status == HSCHED_OK) /* far below the mean, so that only zeros feel it */
        n->status = hsi_onnx_at_node(
            n->node, hsched_graph_add_rms_norm(n->im->graph,
                                               hsi_onnx_output_name(n->im, n->node, 0), x,
                                               scale, HSCHED_NO_TENSOR, -1, 1e-30f, &y));
    return y;
}

hsched_status hsi_onnx_build_lp_norm(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    norm n;
    int64_t axis, p;
    hsched_tensor x = begin(&n, im, node);
    if (n.status == HSCHED_OK)
        n.status = hsi_onnx_attr_int(node, "axis", -1, &axis);
    if (n.status == HSCHED_OK)
        n.status = hsi_onnx_attr_int(node, "p", 2, &p);
    if (n.status != HSCHED_OK)
        return n.status;
    if (p != 1 && p != 2)
        return hsi_onnx_unsupported(im, node, "p other than 1 and 2");
    const double least = n.dtype == HSCHED_FLOAT64 ? DBL_MIN : (double)FLT_MIN;
    if (p == 2) { /* the largest becomes 1, so that squares neither overflow nor vanish */
        hsched_tensor most =
            reduce(&n, HSCHED_REDUCE_MAX, act(&n, HSCHED_ACTIVATION_ABS, x), 1, &axis);
        x = pair(&n, 0, HSCHED_BINARY_DIV, x,
                 pair(&n, 0, HSCHED_BINARY_MAX, most, number(&n, least)));
        if (n.dtype != HSCHED_FLOAT64 && is_root_mean_square(&n, x, axis))
            return end(&n, by_root_mean_square(&n, x));
    }
    hsched_tensor by =
        reduce(&n, p == 1 ? HSCHED_REDUCE_L1 : HSCHED_REDUCE_L2, x, 1, &axis);
    /* Zeros stay zeros. */
    by = pair(&n, 0, HSCHED_BINARY_MAX, by, number(&n, least));
    return end(&n, pair(&n, 1, HSCHED_BINARY_DIV, x, by));
}
