/* Activations as nodes; those that opset 13 lacks are composed. */
#include "onnx/export.h"

#include "base/element.h"

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

/* Compositions, of x's type. */
typedef struct composition {
    hsi_onnx_export *e;
    hsched_dtype dtype;
} composition;

static const char *number(const composition *c, const char *base, double value)
{
    return hsi_onnx_put_number(c->e, base, c->dtype, value);
}

/* x times a number; to `output`, or a new name. */
static const char *times(const composition *c, const char *x, double factor,
                         const char *output)
{
    return hsi_onnx_put(c->e, "Mul", output, x, number(c, x, factor));
}

static const char *plus(const composition *c, const char *x, double addend)
{
    return hsi_onnx_put(c->e, "Add", NULL, x, number(c, x, addend));
}

/* y = 0.5 * x * (1 + inner) */
static void gelu_of(const composition *c, const char *x, const char *inner, const char *y)
{
    const char *product = hsi_onnx_put(c->e, "Mul", NULL, x, plus(c, inner, 1));
    times(c, product, 0.5, y);
}

static void gelu(const composition *c, const char *x, const char *y)
{
    const char *scaled = times(c, x, 0.70710678118654752, NULL); /* 1/sqrt(2) */
    gelu_of(c, x, hsi_onnx_put(c->e, "Erf", NULL, scaled, NULL), y);
}

static void gelu_tanh(const composition *c, const char *x, const char *y)
{
    const char *square = hsi_onnx_put(c->e, "Mul", NULL, x, x);
    const char *cube = hsi_onnx_put(c->e, "Mul", NULL, square, x);
    const char *sum = hsi_onnx_put(c->e, "Add", NULL, x, times(c, cube, 0.044715, NULL));
    const char *scaled = times(c, sum, 0.79788456080286536, NULL); /* sqrt(2/pi) */
    gelu_of(c, x, hsi_onnx_put(c->e, "Tanh", NULL, scaled, NULL), y);
}

static void clip(const composition *c, const char *x, double low, double high,
                 const char *y)
{
    const char *least = number(c, y, low);
    hsi_onnx_node_begin(c->e, "Clip", y, x, least, number(c, y, high));
    hsi_onnx_node_end(c->e);
}

/* A HardSigmoid has 1/6 as a float only. */
static void hard_swish(const composition *c, const char *x, const char *y)
{
    const char *gate = hsi_onnx_new_name(c->e, y);
    if (c->dtype == HSCHED_FLOAT64) {
        const char *part = hsi_onnx_put(c->e, "Div", NULL, x, number(c, x, 6));
        clip(c, plus(c, part, 0.5), 0, 1, gate);
    } else {
        hsi_onnx_node_begin(c->e, "HardSigmoid", gate, x, NULL, NULL);
        hsi_onnx_node_float(c->e, "alpha", 1.0f / 6.0f);
        hsi_onnx_node_float(c->e, "beta", 0.5f);
        hsi_onnx_node_end(c->e);
    }
    hsi_onnx_put(c->e, "Mul", y, x, gate);
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

/* Opset 13 has no Relu of integers, and no Neg of uint8. 1 if it is one, and written. */
static int integers(hsi_onnx_export *e, hsched_activation_kind kind, hsched_dtype dtype,
                    const char *x, const char *y)
{
    if (kind == HSCHED_ACTIVATION_RELU && hsi_is_integer(dtype)) {
        hsi_onnx_put(e, "Max", y, x, hsi_onnx_put_number(e, y, dtype, 0));
        return 1;
    }
    if (kind != HSCHED_ACTIVATION_NEG || dtype != HSCHED_UINT8)
        return 0;
    const char *wide = hsi_onnx_put_cast(e, NULL, x, HSCHED_INT32);
    hsi_onnx_put_cast(e, y, hsi_onnx_put(e, "Neg", NULL, wide, NULL), dtype);
    return 1;
}

void hsi_onnx_export_activation(hsi_onnx_export *e, const hsi_layer *layer)
{
    const hsched_activation *a = &layer->attrs.activation;
    const char *x = hsi_onnx_tensor_name(e, layer->inputs[0]);
    const char *y = hsi_onnx_tensor_name(e, layer->output);
    const hsched_dtype dtype = e->graph->tensors[layer->inputs[0]].dtype;
    const composition c = { e, dtype };
    const char *gate;
    if (integers(e, a->kind, dtype, x, y))
        return;
    switch (a->kind) {
    case HSCHED_ACTIVATION_CLIP:
        clip(&c, x, (double)a->a, (double)a->b, y);
        return;
    case HSCHED_ACTIVATION_HARD_SWISH:
        hard_swish(&c, x, y);
        return;
    case HSCHED_ACTIVATION_GELU:
        gelu(&c, x, y);
        return;
    case HSCHED_ACTIVATION_GELU_TANH:
        gelu_tanh(&c, x, y);
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
