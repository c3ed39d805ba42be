/* Activations and normalisations. */
#include "onnx/ops.h"

#include <float.h>
#include <string.h>

#include "base/element.h"
#include "base/status.h"
#include "base/tensor.h"

#define SELU_ALPHA 1.67326319217681884765625f
#define SELU_GAMMA 1.05070102214813232421875f

/* An operator, its activation, and the attributes that are a and b, with their defaults.
 */
static const struct {
    const char *op;
    hsched_activation_kind kind;
    const char *a_name;
    float a;
    const char *b_name;
    float b;
} activations[] = {
    { "Abs", HSCHED_ACTIVATION_ABS, NULL, 0, NULL, 0 },
    { "Ceil", HSCHED_ACTIVATION_CEIL, NULL, 0, NULL, 0 },
    { "Elu", HSCHED_ACTIVATION_ELU, "alpha", 1, NULL, 0 },
    { "Erf", HSCHED_ACTIVATION_ERF, NULL, 0, NULL, 0 },
    { "Exp", HSCHED_ACTIVATION_EXP, NULL, 0, NULL, 0 },
    { "Floor", HSCHED_ACTIVATION_FLOOR, NULL, 0, NULL, 0 },
    { "Gelu", HSCHED_ACTIVATION_GELU, NULL, 0, NULL, 0 },
    { "HardSigmoid", HSCHED_ACTIVATION_HARD_SIGMOID, "alpha", 0.2f, "beta", 0.5f },
    { "HardSwish", HSCHED_ACTIVATION_HARD_SWISH, NULL, 0, NULL, 0 },
    { "LeakyRelu", HSCHED_ACTIVATION_LEAKY_RELU, "alpha", 0.01f, NULL, 0 },
    { "Log", HSCHED_ACTIVATION_LOG, NULL, 0, NULL, 0 },
    { "Mish", HSCHED_ACTIVATION_MISH, NULL, 0, NULL, 0 },
    { "Neg", HSCHED_ACTIVATION_NEG, NULL, 0, NULL, 0 },
    { "Reciprocal", HSCHED_ACTIVATION_RECIPROCAL, NULL, 0, NULL, 0 },
    { "Relu", HSCHED_ACTIVATION_RELU, NULL, 0, NULL, 0 },
    { "Selu", HSCHED_ACTIVATION_SELU, "alpha", SELU_ALPHA, "gamma", SELU_GAMMA },
    { "Sigmoid", HSCHED_ACTIVATION_SIGMOID, NULL, 0, NULL, 0 },
    { "Softplus", HSCHED_ACTIVATION_SOFTPLUS, NULL, 0, NULL, 0 },
    { "Softsign", HSCHED_ACTIVATION_SOFTSIGN, NULL, 0, NULL, 0 },
    { "Sqrt", HSCHED_ACTIVATION_SQRT, NULL, 0, NULL, 0 },
    { "Acos", HSCHED_ACTIVATION_ACOS, NULL, 0, NULL, 0 },
    { "Acosh", HSCHED_ACTIVATION_ACOSH, NULL, 0, NULL, 0 },
    { "Asin", HSCHED_ACTIVATION_ASIN, NULL, 0, NULL, 0 },
    { "Asinh", HSCHED_ACTIVATION_ASINH, NULL, 0, NULL, 0 },
    { "Atan", HSCHED_ACTIVATION_ATAN, NULL, 0, NULL, 0 },
    { "Atanh", HSCHED_ACTIVATION_ATANH, NULL, 0, NULL, 0 },
    { "Cos", HSCHED_ACTIVATION_COS, NULL, 0, NULL, 0 },
    { "Cosh", HSCHED_ACTIVATION_COSH, NULL, 0, NULL, 0 },
    { "Round", HSCHED_ACTIVATION_ROUND, NULL, 0, NULL, 0 },
    { "Sign", HSCHED_ACTIVATION_SIGN, NULL, 0, NULL, 0 },
    { "Sin", HSCHED_ACTIVATION_SIN, NULL, 0, NULL, 0 },
    { "Sinh", HSCHED_ACTIVATION_SINH, NULL, 0, NULL, 0 },
    { "Tan", HSCHED_ACTIVATION_TAN, NULL, 0, NULL, 0 },
    { "Tanh", HSCHED_ACTIVATION_TANH, NULL, 0, NULL, 0 },
    { "ThresholdedRelu", HSCHED_ACTIVATION_THRESHOLDED_RELU, "alpha", 1, NULL, 0 },
};

static hsched_status add_activation(hsi_onnx_import *im, const hsi_onnx_node *node,
                                    hsched_activation activation)
{
    hsched_tensor x, y;
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (!status)
        status = hsi_onnx_at_node(
            node, hsched_graph_add_activation(
                      im->graph, hsi_onnx_output_name(im, node, 0), x, activation, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

hsched_status hsi_onnx_build_activation(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    size_t k = 0;
    while (strcmp(activations[k].op, node->op) !=
           0) /* the table of operators names no other */
        k++;
    hsched_activation activation = { activations[k].kind, activations[k].a,
                                     activations[k].b };
    if (strcmp(node->op, "Selu") == 0 && node->version < 6) {
        activation.a = 1.6732f; /* the defaults had fewer digits */
        activation.b = 1.0507f;
    }
    hsched_status status = HSCHED_OK;
    if (activations[k].a_name)
        status =
            hsi_onnx_attr_float(node, activations[k].a_name, activation.a, &activation.a);
    if (!status && activations[k].b_name)
        status =
            hsi_onnx_attr_float(node, activations[k].b_name, activation.b, &activation.b);
    if (!status && strcmp(node->op, "Gelu") == 0) {
        int by_tanh, by_erf;
        status = hsi_onnx_attr_is(node, "approximate", "none", "tanh", &by_tanh);
        if (!status)
            status = hsi_onnx_attr_is(node, "approximate", "none", "none", &by_erf);
        if (!status && !by_tanh && !by_erf)
            status = hsi_onnx_malformed(
                node, "attribute 'approximate' is neither none nor tanh");
        if (!status && by_tanh)
            activation.kind = HSCHED_ACTIVATION_GELU_TANH;
    }
    return status ? status : add_activation(im, node, activation);
}

/* Clip by max and min, for bounds that are not known yet, for integers and for float64, whose
 * bounds an activation may not hold. */
static hsched_status clip_by_pairs(hsi_onnx_import *im, const hsi_onnx_node *node,
                                   hsched_tensor y)
{
    static const hsched_binary_kind kinds[] = { HSCHED_BINARY_MAX, HSCHED_BINARY_MIN };
    for (uint32_t k = 1; k <= 2; k++) {
        hsched_tensor bound;
        if (!hsi_onnx_has_input(node, k))
            continue;
        hsched_status status = hsi_onnx_input(im, node, k, &bound);
        if (!status)
            status = hsi_onnx_add_pair(im, node, k == 2 || !hsi_onnx_has_input(node, 2),
                                       kinds[k - 1], y, bound, &y);
        if (status)
            return status;
    }
    hsi_onnx_set_tensor(im, node, 0, y); /* x itself, if there is no bound */
    return HSCHED_OK;
}

/* 1 if bound k is given and no constant. */
static int is_computed(const hsi_onnx_import *im, const hsi_onnx_node *node, uint32_t k)
{
    return hsi_onnx_has_input(node, k) && !hsi_onnx_constant_input(im, node, k);
}

/* The bounds are attributes before opset 11, inputs afterwards. */
hsched_status hsi_onnx_build_clip(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsched_activation activation = { HSCHED_ACTIVATION_CLIP, -FLT_MAX, FLT_MAX };
    hsched_tensor x;
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (status)
        return status;
    const hsched_dtype dtype = im->graph->tensors[x].dtype;
    if (node->version >= 11 && (hsi_is_integer(dtype) || dtype == HSCHED_FLOAT64 ||
                                is_computed(im, node, 1) || is_computed(im, node, 2)))
        return clip_by_pairs(im, node, x);
    if (node->version < 11) {
        status = hsi_onnx_attr_float(node, "min", activation.a, &activation.a);
        if (!status)
            status = hsi_onnx_attr_float(node, "max", activation.b, &activation.b);
    } else {
        status = hsi_onnx_float_input(im, node, 1, activation.a, &activation.a);
        if (!status)
            status = hsi_onnx_float_input(im, node, 2, activation.b, &activation.b);
    }
    return status ? status : add_activation(im, node, activation);
}

/* A slope [C] of a tensor [N,C,...] where C is not its last dimension: one for each
 * channel, as before opset 7, which exporters still write. */
static hsched_status slope_of_channels(hsi_onnx_import *im, const hsi_onnx_node *node,
                                       hsched_tensor x, hsched_tensor *slope)
{
    const hsi_graph_tensor *t = &im->graph->tensors[x], *s = &im->graph->tensors[*slope];
    int64_t axes[HSCHED_MAX_DIMS];
    if (s->rank != 1 || t->rank < 3 || s->dims[0] == 1 ||
        s->dims[0] == t->dims[t->rank - 1] || s->dims[0] != t->dims[1])
        return HSCHED_OK;
    const uint32_t count = t->rank - 2;
    for (uint32_t k = 0; k < count; k++)
        axes[k] = k + 1;
    const char *name = hsi_onnx_made_name(im, node->label, "slope");
    if (!name)
        return hsi_onnx_no_memory(im, node);
    return hsi_onnx_at_node(
        node, hsched_graph_add_unsqueeze(im->graph, name, *slope, count, axes, slope));
}

hsched_status hsi_onnx_build_prelu(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsched_tensor x, slope, y;
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (!status)
        status = hsi_onnx_input(im, node, 1, &slope);
    if (!status)
        status = slope_of_channels(im, node, x, &slope);
    if (!status)
        status = hsi_onnx_add_pair(im, node, 1, HSCHED_BINARY_PRELU, x, slope, &y);
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

hsched_status hsi_onnx_build_batch_norm(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsched_tensor in[5], y;
    int64_t spatial, training, is_test = 1;
    float epsilon;
    hsched_status status = hsi_onnx_attr_int(node, "spatial", 1, &spatial);
    if (!status && node->version < 7)
        status = hsi_onnx_attr_int(node, "is_test", 0, &is_test);
    if (!status)
        status = hsi_onnx_attr_int(node, "training_mode", 0, &training);
    if (!status)
        status = hsi_onnx_attr_float(node, "epsilon", 1e-5f, &epsilon);
    if (status)
        return status;
    if (!spatial)
        return hsi_onnx_unsupported(im, node, "spatial=0, statistics for each pixel");
    if (training && node->version >= 14)
        return hsi_onnx_train_batch_norm(im, node, epsilon);
    if (!is_test)
        return hsi_onnx_unsupported(im, node,
                                    "training mode; export the model for inference");
    for (uint32_t k = 1; k < node->output_count; k++)
        if (hsi_onnx_output_used(im, node, k))
            return hsi_onnx_unsupported(im, node, "outputs of training mode");
    status = hsi_onnx_input(im, node, 0, &in[0]);
    if (!status && im->graph->tensors[in[0]].dtype == HSCHED_FLOAT64)
        return hsi_onnx_compose_batch_norm(im, node, epsilon);
    for (uint32_t k = 1; k < 5; k++)
        if (hsi_onnx_has_input(node, k) && !hsi_onnx_constant_input(im, node, k))
            return hsi_onnx_compose_batch_norm(im, node, epsilon);
    for (uint32_t k = 1; k < 5 && !status; k++) {
        status = hsi_onnx_weights(im, node, k, &in[k]);
        if (!status && in[k] == HSCHED_NO_TENSOR)
            status = hsi_onnx_malformed(node, "input %u is missing", k);
    }
    if (!status)
        status = hsi_onnx_at_node(
            node,
            hsched_graph_add_batch_norm(im->graph, hsi_onnx_output_name(im, node, 0),
                                        in[0], in[1], in[2], in[3], in[4], epsilon, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

hsched_status hsi_onnx_build_lrn(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsched_lrn_config config = { HSCHED_LRN_CONFIG_INIT };
    hsched_tensor x, y;
    hsched_status status = hsi_onnx_attr_int(node, "size", 0, &config.size);
    if (!status)
        status = hsi_onnx_attr_float(node, "alpha", 1e-4f, &config.alpha);
    if (!status)
        status = hsi_onnx_attr_float(node, "beta", 0.75f, &config.beta);
    if (!status)
        status = hsi_onnx_attr_float(node, "bias", 1, &config.bias);
    if (status)
        return status;
    if (config.size < 1)
        return hsi_onnx_malformed(node, "attribute 'size' is missing or not positive");
    /* The graph takes 0 as the default. */
    if (config.alpha == 0 || config.beta == 0 || config.bias == 0)
        return hsi_onnx_unsupported(im, node, "alpha, beta or bias 0");
    status = hsi_onnx_input(im, node, 0, &x);
    if (!status)
        status = hsi_onnx_at_node(
            node, hsched_graph_add_lrn(im->graph, hsi_onnx_output_name(im, node, 0), x,
                                       &config, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

/* The logarithm, too. */
static hsched_status add_softmax(hsi_onnx_import *im, const hsi_onnx_node *node,
                                 const char *name, hsched_tensor x, int axis,
                                 hsched_tensor *y)
{
    const int log = strcmp(node->op, "LogSoftmax") == 0;
    return (log ? hsched_graph_add_log_softmax
                : hsched_graph_add_softmax)(im->graph, name, x, axis, y);
}

/* Before opset 13 all dimensions from the axis on are one row: [rows, numbers], then
 * back. */
static hsched_status softmax_of_rows(hsi_onnx_import *im, const hsi_onnx_node *node,
                                     hsched_tensor x, uint32_t axis, hsched_tensor *y)
{
    int64_t dims[HSCHED_MAX_DIMS];
    const char *rows = hsi_onnx_made_name(im, node->label, "rows");
    const char *result = hsi_onnx_made_name(im, node->label, "softmax");
    if (!rows || !result)
        return hsi_onnx_no_memory(im, node);
    uint32_t rank = hsi_onnx_rank(im, x);
    hsi_onnx_symbolic_dims(im, x, dims);
    hsched_status status = hsched_graph_add_flatten(im->graph, rows, x, (int)axis, y);
    if (!status)
        status = add_softmax(im, node, result, *y, 1, y);
    if (!status)
        status = hsched_graph_add_reshape(im->graph, hsi_onnx_output_name(im, node, 0),
                                          *y, rank, dims, y);
    return hsi_onnx_at_node(node, status);
}

hsched_status hsi_onnx_build_softmax(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    int64_t given, dims[HSCHED_MAX_DIMS];
    uint32_t axis;
    hsched_tensor x, y;
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (!status)
        status = hsi_onnx_attr_int(node, "axis", node->version < 13 ? 1 : -1, &given);
    if (status)
        return status;
    uint32_t rank = hsi_onnx_rank(im, x);
    status =
        hsi_onnx_axis(node, given, rank, node->version < 13 ? rank + 1 : rank, &axis);
    if (status)
        return status;
    hsi_onnx_dims(im, x, dims);
    int one_axis = node->version >= 13 || axis + 1 == rank;
    if (!one_axis && axis < rank) {
        one_axis = 1; /* if all that follows is 1, and stays so */
        for (uint32_t k = axis + 1; k < rank; k++)
            one_axis &= dims[k] == 1 && hsi_onnx_dim_tag(im, x, k) == 0;
    }
    if (one_axis)
        status = hsi_onnx_at_node(
            node,
            add_softmax(im, node, hsi_onnx_output_name(im, node, 0), x, (int)axis, &y));
    else
        status = softmax_of_rows(im, node, x, axis, &y);
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}
