/* Activations as nodes; those that opset 13 lacks are composed. */
#include "onnx/export.h"

typedef struct single {
    const char *op;
    const char *a, *b; /* attributes that the parameters are, or NULL */
} single;

static const single singles[] = {
    [HSCHED_ACTIVATION_NONE] = { "Identity", NULL, NULL },
    [HSCHED_ACTIVATION_RELU] = { "Relu", NULL, NULL },
    [HSCHED_ACTIVATION_LEAKY_RELU] = { "LeakyRelu", "alpha", NULL },
    [HSCHED_ACTIVATION_SIGMOID] = { "Sigmoid", NULL, NULL },
    [HSCHED_ACTIVATION_TANH] = { "Tanh", NULL, NULL },
    [HSCHED_ACTIVATION_HARD_SIGMOID] = { "HardSigmoid", "alpha", "beta" },
    [HSCHED_ACTIVATION_ELU] = { "Elu", "alpha", NULL },
    [HSCHED_ACTIVATION_SELU] = { "Selu", "alpha", "gamma" },
    [HSCHED_ACTIVATION_SOFTPLUS] = { "Softplus", NULL, NULL },
    [HSCHED_ACTIVATION_SOFTSIGN] = { "Softsign", NULL, NULL },
    [HSCHED_ACTIVATION_ABS] = { "Abs", NULL, NULL },
    [HSCHED_ACTIVATION_NEG] = { "Neg", NULL, NULL },
    [HSCHED_ACTIVATION_EXP] = { "Exp", NULL, NULL },
    [HSCHED_ACTIVATION_LOG] = { "Log", NULL, NULL },
    [HSCHED_ACTIVATION_SQRT] = { "Sqrt", NULL, NULL },
    [HSCHED_ACTIVATION_RECIPROCAL] = { "Reciprocal", NULL, NULL },
    [HSCHED_ACTIVATION_ERF] = { "Erf", NULL, NULL },
    [HSCHED_ACTIVATION_FLOOR] = { "Floor", NULL, NULL },
    [HSCHED_ACTIVATION_CEIL] = { "Ceil", NULL, NULL },
    [HSCHED_ACTIVATION_THRESHOLDED_RELU] = { "ThresholdedRelu", "alpha", NULL },
    [HSCHED_ACTIVATION_ROUND] = { "Round", NULL, NULL },
    [HSCHED_ACTIVATION_SIGN] = { "Sign", NULL, NULL },
    [HSCHED_ACTIVATION_SIN] = { "Sin", NULL, NULL },
    [HSCHED_ACTIVATION_COS] = { "Cos", NULL, NULL },
    [HSCHED_ACTIVATION_TAN] = { "Tan", NULL, NULL },
    [HSCHED_ACTIVATION_ASIN] = { "Asin", NULL, NULL },
    [HSCHED_ACTIVATION_ACOS] = { "Acos", NULL, NULL },
    [HSCHED_ACTIVATION_ATAN] = { "Atan", NULL, NULL },
    [HSCHED_ACTIVATION_SINH] = { "Sinh", NULL, NULL },
    [HSCHED_ACTIVATION_COSH] = { "Cosh", NULL, NULL },
    [HSCHED_ACTIVATION_ASINH] = { "Asinh", NULL, NULL },
    [HSCHED_ACTIVATION_ACOSH] = { "Acosh", NULL, NULL },
    [HSCHED_ACTIVATION_ATANH] = { "Atanh", NULL, NULL },
};

/* x times a number; to `output`, or a new name. */
static const char *times(hsi_onnx_export *e, const char *x, float factor,
                         const char *output)
{
    return hsi_onnx_put(e, "Mul", output, x, hsi_onnx_put_scalar(e, x, factor));
}

static const char *plus(hsi_onnx_export *e, const char *x, float addend)
{
    return hsi_onnx_put(e, "Add", NULL, x, hsi_onnx_put_scalar(e, x, addend));
}

/* y = 0.5 * x * (1 + inner) */
static void gelu_of(hsi_onnx_export *e, const char *x, const char *inner, const char *y)
{
    const char *product = hsi_onnx_put(e, "Mul", NULL, x, plus(e, inner, 1));
    times(e, product, 0.5f, y);
}

static void gelu(hsi_onnx_export *e, const char *x, const char *y)
{
    const char *scaled = times(e, x, 0.70710678118654752f, NULL); /* 1/sqrt(2) */
    gelu_of(e, x, hsi_onnx_put(e, "Erf", NULL, scaled, NULL), y);
}

static void gelu_tanh(hsi_onnx_export *e, const char *x, const char *y)
{
    const char *square = hsi_onnx_put(e, "Mul", NULL, x, x);
    const char *cube = hsi_onnx_put(e, "Mul", NULL, square, x);
    const char *sum = hsi_onnx_put(e, "Add", NULL, x, times(e, cube, 0.044715f, NULL));
    const char *scaled = times(e, sum, 0.79788456080286536f, NULL); /* sqrt(2/pi) */
    gelu_of(e, x, hsi_onnx_put(e, "Tanh", NULL, scaled, NULL), y);
}

static void hard_swish(hsi_onnx_export *e, const char *x, const char *y)
{
    const char *gate = hsi_onnx_new_name(e, y);
    hsi_onnx_node_begin(e, "HardSigmoid", gate, x, NULL, NULL);
    hsi_onnx_node_float(e, "alpha", 1.0f / 6.0f);
    hsi_onnx_node_float(e, "beta", 0.5f);
    hsi_onnx_node_end(e);
    hsi_onnx_put(e, "Mul", y, x, gate);
}

/* There and back where a zero point of 8 bits has that lowest level, else the formula. */
static void fake_quantize(hsi_onnx_export *e, const hsched_activation *a, const char *x,
                          const char *y)
{
    const char *step = hsi_onnx_put_scalar(e, y, a->a);
    if (a->b >= -255 && a->b <= 0) {
        const char *zero = hsi_onnx_put_number(e, y, HSCHED_UINT8, -a->b);
        const char *levels = hsi_onnx_new_name(e, y);
        hsi_onnx_node_begin(e, "QuantizeLinear", levels, x, step, zero);
        hsi_onnx_node_end(e);
        hsi_onnx_node_begin(e, "DequantizeLinear", y, levels, step, zero);
        hsi_onnx_node_end(e);
        return;
    }
    const char *whole =
        hsi_onnx_put(e, "Round", NULL, hsi_onnx_put(e, "Div", NULL, x, step), NULL);
    const char *clipped = hsi_onnx_new_name(e, y);
    const char *low = hsi_onnx_put_scalar(e, y, a->b);
    hsi_onnx_node_begin(e, "Clip", clipped, whole, low,
                        hsi_onnx_put_scalar(e, y, a->b + 255));
    hsi_onnx_node_end(e);
    hsi_onnx_put(e, "Mul", y, clipped, step);
}

int hsi_onnx_is_composed(hsched_activation_kind kind)
{
    return (size_t)kind >= sizeof singles / sizeof *singles || !singles[kind].op;
}

void hsi_onnx_export_activation(hsi_onnx_export *e, const hsi_layer *layer)
{
    const hsched_activation *a = &layer->attrs.activation;
    const char *x = hsi_onnx_tensor_name(e, layer->inputs[0]);
    const char *y = hsi_onnx_tensor_name(e, layer->output);
    const char *low, *gate;
    switch (a->kind) {
    case HSCHED_ACTIVATION_CLIP:
        low = hsi_onnx_put_scalar(e, y, a->a);
        hsi_onnx_node_begin(e, "Clip", y, x, low, hsi_onnx_put_scalar(e, y, a->b));
        hsi_onnx_node_end(e);
        return;
    case HSCHED_ACTIVATION_HARD_SWISH:
        hard_swish(e, x, y);
        return;
    case HSCHED_ACTIVATION_GELU:
        gelu(e, x, y);
        return;
    case HSCHED_ACTIVATION_GELU_TANH:
        gelu_tanh(e, x, y);
        return;
    case HSCHED_ACTIVATION_SILU:
        hsi_onnx_put(e, "Mul", y, x, hsi_onnx_put(e, "Sigmoid", NULL, x, NULL));
        return;
    case HSCHED_ACTIVATION_MISH:
        gate = hsi_onnx_put(e, "Softplus", NULL, x, NULL);
        hsi_onnx_put(e, "Mul", y, x, hsi_onnx_put(e, "Tanh", NULL, gate, NULL));
        return;
    case HSCHED_ACTIVATION_FAKE_QUANTIZE:
        fake_quantize(e, a, x, y);
        return;
    default:
        break;
    }
    const single *s = &singles[a->kind]; /* the graph has checked the kind */
    hsi_onnx_node_begin(e, s->op, y, x, NULL, NULL);
    if (s->a)
        hsi_onnx_node_float(e, s->a, a->a);
    if (s->b)
        hsi_onnx_node_float(e, s->b, a->b);
    hsi_onnx_node_end(e);
}
