/* RNN, GRU and LSTM. */
#include "onnx/ops.h"
#include "onnx/recurrent.h"

#include <string.h>

#include "base/status.h"
#include "graph/build.h"

/* The activations that both sides know; those with parameters take them in turn from
 * activation_alpha and activation_beta. */
static const struct {
    const char *name;
    hsched_activation_kind kind;
    int parameters;
    float alpha, beta; /* where the lists do not say */
} functions[] = {
    { "Relu", HSCHED_ACTIVATION_RELU, 0, 0, 0 },
    { "Tanh", HSCHED_ACTIVATION_TANH, 0, 0, 0 },
    { "Sigmoid", HSCHED_ACTIVATION_SIGMOID, 0, 0, 0 },
    { "LeakyRelu", HSCHED_ACTIVATION_LEAKY_RELU, 1, 0.01f, 0 },
    { "ThresholdedRelu", HSCHED_ACTIVATION_THRESHOLDED_RELU, 1, 1, 0 },
    { "HardSigmoid", HSCHED_ACTIVATION_HARD_SIGMOID, 2, 0.2f, 0.5f },
    { "Elu", HSCHED_ACTIVATION_ELU, 1, 1, 0 },
    { "Softsign", HSCHED_ACTIVATION_SOFTSIGN, 0, 0, 0 },
    { "Softplus", HSCHED_ACTIVATION_SOFTPLUS, 0, 0, 0 },
};

/* Names are compared without regard to case, as ONNX Runtime does. */
static int same_name(const ProtobufCBinaryData *text, const char *name)
{
    if (text->len != strlen(name))
        return 0;
    for (size_t i = 0; i < text->len; i++)
        if ((text->data[i] | 32) != (name[i] | 32))
            return 0;
    return 1;
}

static size_t find_function(const ProtobufCBinaryData *text)
{
    size_t k = 0;
    while (k < sizeof functions / sizeof *functions &&
           !same_name(text, functions[k].name))
        k++;
    return k;
}

static hsched_status floats_attr(const hsi_onnx_node *node, const char *name,
                                 const float **values, size_t *count)
{
    const Onnx__AttributeProto *attr = hsi_onnx_attr(node, name);
    *values = attr ? attr->floats : NULL;
    *count = attr ? attr->n_floats : 0;
    if (attr && attr->has_type &&
        attr->type != ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS &&
        attr->type != ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED)
        return hsi_onnx_malformed(node, "attribute '%s' is not a list of floats", name);
    return HSCHED_OK;
}

static hsched_status read_activations(hsi_onnx_import *im, const hsi_onnx_node *node,
                                      hsched_recurrent_config *c)
{
    const size_t each = c->kind == HSCHED_RECURRENT_LSTM  ? 3
                        : c->kind == HSCHED_RECURRENT_GRU ? 2
                                                          : 1;
    const size_t directions = c->direction == HSCHED_RECURRENT_BIDIRECTIONAL ? 2 : 1;
    const Onnx__AttributeProto *attr = hsi_onnx_attr(node, "activations");
    const float *alpha, *beta;
    size_t alphas, betas, next_alpha = 0, next_beta = 0;
    hsched_status status = floats_attr(node, "activation_alpha", &alpha, &alphas);
    if (!status)
        status = floats_attr(node, "activation_beta", &beta, &betas);
    if (status || !attr || attr->n_strings == 0)
        return status;
    if (attr->n_strings != each * directions)
        return hsi_onnx_malformed(node, "it names %zu activations instead of %zu",
                                  attr->n_strings, each * directions);
    for (size_t i = 0; i < attr->n_strings; i++) {
        size_t k = find_function(&attr->strings[i]);
        if (k == sizeof functions / sizeof *functions)
            return hsi_onnx_unsupported(im, node, "the activation '%.*s'",
                                        (int)(attr->strings[i].len & 63),
                                        (const char *)attr->strings[i].data);
        hsched_activation *act = &c->activations[i / each][i % each];
        *act = (hsched_activation){ .kind = functions[k].kind,
                                    .a = functions[k].alpha,
                                    .b = functions[k].beta };
        if (functions[k].parameters >= 1 && next_alpha < alphas)
            act->a = alpha[next_alpha++];
        if (functions[k].parameters >= 2 && next_beta < betas)
            act->b = beta[next_beta++];
    }
    return HSCHED_OK;
}

static hsched_status read_direction(const hsi_onnx_node *node, hsched_recurrent_config *c)
{
    static const char *const names[] = { "forward", "reverse", "bidirectional" };
    int equal = 0;
    for (int k = 0; k < 3; k++) {
        hsched_status status =
            hsi_onnx_attr_is(node, "direction", "forward", names[k], &equal);
        if (status)
            return status;
        c->direction = (hsched_recurrent_direction)k;
        if (equal)
            return HSCHED_OK;
    }
    return hsi_onnx_malformed(node, "attribute 'direction' is neither forward, reverse "
                                    "nor bidirectional");
}

static hsched_status read_config(hsi_onnx_import *im, const hsi_onnx_node *node,
                                 hsched_recurrent_config *c, int64_t *layout)
{
    int64_t before_reset, forget;
    *c = (hsched_recurrent_config){ HSCHED_RECURRENT_CONFIG_INIT };
    c->kind = strcmp(node->op, "LSTM") == 0  ? HSCHED_RECURRENT_LSTM
              : strcmp(node->op, "GRU") == 0 ? HSCHED_RECURRENT_GRU
                                             : HSCHED_RECURRENT_RNN;
    hsched_status status = read_direction(node, c);
    if (!status)
        status = hsi_onnx_attr_int(node, "hidden_size", 0, &c->hidden_size);
    if (!status)
        status = hsi_onnx_attr_float(node, "clip", 0, &c->clip);
    if (!status)
        status = hsi_onnx_attr_int(node, "linear_before_reset", 0, &before_reset);
    if (!status)
        status = hsi_onnx_attr_int(node, "input_forget", 0, &forget);
    if (!status)
        status = hsi_onnx_attr_int(node, "layout", 0, layout);
    if (status)
        return status;
    c->linear_before_reset = before_reset != 0;
    c->input_forget = forget != 0;
    return read_activations(im, node, c);
}

/* Peepholes of zeros change nothing. */
static int has_peepholes(const hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *p = hsi_onnx_constant_input(im, node, 7);
    for (size_t k = 0; p && k < p->count; k++)
        if (hsi_onnx_get_float(p, k) != 0)
            return 1;
    return hsi_onnx_has_input(node, 7) && !p;
}

/* The layer has constant weights. */
static int is_layer(const hsi_onnx_import *im, const hsi_onnx_node *node)
{
    for (uint32_t k = 1; k <= 3; k++)
        if (hsi_onnx_has_input(node, k) && !hsi_onnx_constant_input(im, node, k))
            return 0;
    return !has_peepholes(im, node);
}

/* *x seen with its first dimensions in another order, for layout 1. */
static hsched_status turn(hsi_onnx_import *im, const hsi_onnx_node *node,
                          const char *given_name, const int64_t *perm, hsched_tensor *x)
{
    const char *name =
        given_name ? given_name : hsi_onnx_made_name(im, node->label, "turned");
    if (!name)
        return hsi_onnx_no_memory(im, node);
    return hsi_onnx_at_node(node,
                            hsched_graph_add_transpose(im->graph, name, *x, perm, x));
}

static hsched_status read_inputs(hsi_onnx_import *im, const hsi_onnx_node *node,
                                 int layout, hsched_tensor *inputs)
{
    static const int64_t swap[3] = { 1, 0, 2 };
    for (uint32_t k = 0; k < 7; k++) {
        hsched_status status = HSCHED_OK;
        inputs[k] = HSCHED_NO_TENSOR;
        if (k >= 1 && k <= 3)
            status = hsi_onnx_weights(im, node, k, &inputs[k]);
        else if (k == 0 || hsi_onnx_has_input(node, k))
            status = hsi_onnx_input(im, node, k, &inputs[k]);
        if (!status && layout && (k == 0 || k >= 5) && inputs[k] != HSCHED_NO_TENSOR) {
            if (hsi_onnx_rank(im, inputs[k]) != 3)
                return hsi_onnx_malformed(node, "input %u has not three dimensions", k);
            status = turn(im, node, NULL, swap, &inputs[k]);
        }
        if (status)
            return status;
    }
    return HSCHED_OK;
}

static hsched_status make_output(hsi_onnx_import *im, const hsi_onnx_node *node,
                                 uint32_t k, hsched_recurrent_kind kind, int layout,
                                 hsched_tensor packed)
{
    static const int64_t perm_y[4] = { 2, 0, 1, 3 }, perm_state[3] = { 1, 0, 2 };
    const char *slice = hsi_onnx_made_name(im, node->label, "state");
    const char *name = layout ? hsi_onnx_made_name(im, node->label, "rows")
                              : hsi_onnx_output_name(im, node, k);
    hsched_tensor y;
    if (!slice || !name)
        return hsi_onnx_no_memory(im, node);
    hsched_status status = hsi_onnx_at_node(
        node, hsi_graph_add_recurrent_rows(im->graph, slice, name, packed, kind,
                                           (hsi_recurrent_rows)k, &y));
    if (!status && layout)
        status = turn(im, node, hsi_onnx_output_name(im, node, k),
                      k == 0 ? perm_y : perm_state, &y);
    if (!status)
        hsi_onnx_set_tensor(im, node, k, y);
    return status;
}

hsched_status hsi_onnx_build_recurrent(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsched_recurrent_config config;
    hsched_tensor inputs[7], packed;
    int64_t layout = 0;
    hsched_status status = read_config(im, node, &config, &layout);
    if (!status && !is_layer(im, node))
        return hsi_onnx_write_out_recurrent(im, node, &config, layout != 0);
    if (!status)
        status = read_inputs(im, node, layout != 0, inputs);
    if (status)
        return status;
    const char *name = hsi_onnx_made_name(im, node->label, "packed");
    if (!name)
        return hsi_onnx_no_memory(im, node);
    status = hsi_onnx_at_node(
        node, hsi_graph_add_recurrent(im->graph, name, inputs, &config, &packed));
    uint32_t outputs = config.kind == HSCHED_RECURRENT_LSTM ? 3 : 2;
    for (uint32_t k = 0; k < outputs && !status; k++)
        if (hsi_onnx_output_used(im, node, k))
            status = make_output(im, node, k, config.kind, layout != 0, packed);
    return status;
}
