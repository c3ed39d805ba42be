/* A recurrent layer: the node of ONNX, and what joins its outputs to the layer's one. */
#include "onnx/export.h"

#include <string.h>

#include "base/status.h"

static const char *function_name(hsched_activation_kind kind)
{
    switch (kind) {
    case HSCHED_ACTIVATION_RELU:
        return "Relu";
    case HSCHED_ACTIVATION_TANH:
        return "Tanh";
    case HSCHED_ACTIVATION_SIGMOID:
        return "Sigmoid";
    case HSCHED_ACTIVATION_LEAKY_RELU:
        return "LeakyRelu";
    case HSCHED_ACTIVATION_THRESHOLDED_RELU:
        return "ThresholdedRelu";
    case HSCHED_ACTIVATION_HARD_SIGMOID:
        return "HardSigmoid";
    case HSCHED_ACTIVATION_ELU:
        return "Elu";
    case HSCHED_ACTIVATION_SOFTSIGN:
        return "Softsign";
    case HSCHED_ACTIVATION_SOFTPLUS:
        return "Softplus";
    default:
        return NULL;
    }
}

static hsched_status activations(hsi_onnx_export *e, const hsched_recurrent_config *c,
                                 int directions, int each)
{
    const char *names[6];
    float alpha[6], beta[6];
    uint32_t count = 0, alphas = 0, betas = 0;
    for (int d = 0; d < directions; d++)
        for (int k = 0; k < each; k++) {
            const hsched_activation *act = &c->activations[d][k];
            names[count] = function_name(act->kind);
            if (!names[count++])
                return hsi_error(HSCHED_ERROR_UNSUPPORTED,
                                 "ONNX has no recurrent layer with activation %s; use "
                                 "one of relu, tanh, sigmoid, leaky_relu, "
                                 "thresholded_relu, hard_sigmoid, elu, softsign, "
                                 "softplus",
                                 hsched_activation_name(act->kind));
            if (act->kind == HSCHED_ACTIVATION_LEAKY_RELU ||
                act->kind == HSCHED_ACTIVATION_THRESHOLDED_RELU ||
                act->kind == HSCHED_ACTIVATION_ELU ||
                act->kind == HSCHED_ACTIVATION_HARD_SIGMOID)
                alpha[alphas++] = act->a;
            if (act->kind == HSCHED_ACTIVATION_HARD_SIGMOID)
                beta[betas++] = act->b;
        }
    hsi_onnx_node_texts(e, "activations", names, count);
    if (alphas)
        hsi_onnx_node_floats(e, "activation_alpha", alpha, alphas);
    if (betas)
        hsi_onnx_node_floats(e, "activation_beta", beta, betas);
    return HSCHED_OK;
}

static void inputs_of(hsi_onnx_export *e, const hsi_layer *layer)
{
    uint32_t count = layer->input_count;
    while (count > 3 && layer->inputs[count - 1] == HSCHED_NO_TENSOR)
        count--;
    for (uint32_t k = 0; k < count; k++)
        hsi_onnx_node_input(e, layer->inputs[k] == HSCHED_NO_TENSOR
                                   ? ""
                                   : hsi_onnx_tensor_name(e, layer->inputs[k]));
}

hsched_status hsi_onnx_export_recurrent(hsi_onnx_export *e, const hsi_layer *layer)
{
    static const char *const directions[] = { "forward", "reverse", "bidirectional" };
    static const int64_t first_axis = 0;
    const hsched_recurrent_config *c = &layer->attrs.recurrent;
    const int lstm = c->kind == HSCHED_RECURRENT_LSTM;
    const int gru = c->kind == HSCHED_RECURRENT_GRU;
    const char *packed = hsi_onnx_tensor_name(e, layer->output);
    const char *made[3] = { hsi_onnx_new_name(e, packed), hsi_onnx_new_name(e, packed),
                            lstm ? hsi_onnx_new_name(e, packed) : NULL };
    hsi_onnx_node_begin(e,
                        lstm  ? "LSTM"
                        : gru ? "GRU"
                              : "RNN",
                        made[0], NULL, NULL, NULL);
    hsi_onnx_node_output(e, made[1]);
    if (lstm)
        hsi_onnx_node_output(e, made[2]);
    inputs_of(e, layer);
    hsi_onnx_node_int(e, "hidden_size", c->hidden_size);
    hsi_onnx_node_text(e, "direction", directions[c->direction]);
    hsched_status status =
        activations(e, c, c->direction == HSCHED_RECURRENT_BIDIRECTIONAL ? 2 : 1,
                    lstm  ? 3
                    : gru ? 2
                          : 1);
    if (c->clip > 0)
        hsi_onnx_node_float(e, "clip", c->clip);
    if (gru)
        hsi_onnx_node_int(e, "linear_before_reset", c->linear_before_reset != 0);
    if (lstm)
        hsi_onnx_node_int(e, "input_forget", c->input_forget != 0);
    hsi_onnx_node_end(e);
    const char *axes = hsi_onnx_put_ints(e, packed, &first_axis, 1);
    for (int k = 1; k < (lstm ? 3 : 2); k++)
        made[k] = hsi_onnx_put(e, "Unsqueeze", NULL, made[k], axes);
    hsi_onnx_node_begin(e, "Concat", packed, made[0], made[1], made[2]);
    hsi_onnx_node_int(e, "axis", 0);
    hsi_onnx_node_end(e);
    return status;
}
