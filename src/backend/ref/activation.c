/* Activations in double, straight from the formulas of HSCHED_ACTIVATION_LIST. */
#include "backend/ref/ref.h"

#include <math.h>

static double softplus(double x)
{
    /* log(1 + exp(x)) without overflow. */
    return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
}

/* Comparisons are written so that a NaN passes through. */
static double clamp(double x, double low, double high)
{
    x = x < low ? low : x;
    return x > high ? high : x;
}

double hsi_ref_activate(hsched_activation act, double x)
{
    const double a = act.a, b = act.b;
    switch (act.kind) {
    case HSCHED_ACTIVATION_NONE:
        return x;
    case HSCHED_ACTIVATION_RELU:
        return x < 0 ? 0 : x;
    case HSCHED_ACTIVATION_LEAKY_RELU:
        return x < 0 ? a * x : x;
    case HSCHED_ACTIVATION_CLIP:
        return clamp(x, a, b);
    case HSCHED_ACTIVATION_SIGMOID:
        return 1 / (1 + exp(-x));
    case HSCHED_ACTIVATION_TANH:
        return tanh(x);
    case HSCHED_ACTIVATION_HARD_SIGMOID:
        return clamp(a * x + b, 0, 1);
    case HSCHED_ACTIVATION_HARD_SWISH:
        return x * clamp(x / 6 + 0.5, 0, 1);
    case HSCHED_ACTIVATION_ELU:
        return x < 0 ? a * expm1(x) : x;
    case HSCHED_ACTIVATION_SELU:
        return b * (x < 0 ? a * expm1(x) : x);
    case HSCHED_ACTIVATION_GELU:
        return 0.5 * x * (1 + erf(x / sqrt(2)));
    case HSCHED_ACTIVATION_SILU:
        return x / (1 + exp(-x));
    case HSCHED_ACTIVATION_SOFTPLUS:
        return softplus(x);
    case HSCHED_ACTIVATION_SOFTSIGN:
        return x / (1 + fabs(x));
    case HSCHED_ACTIVATION_MISH:
        return x * tanh(softplus(x));
    case HSCHED_ACTIVATION_ABS:
        return fabs(x);
    case HSCHED_ACTIVATION_NEG:
        return -x;
    case HSCHED_ACTIVATION_EXP:
        return exp(x);
    case HSCHED_ACTIVATION_LOG:
        return log(x);
    case HSCHED_ACTIVATION_SQRT:
        return sqrt(x);
    case HSCHED_ACTIVATION_RECIPROCAL:
        return 1 / x;
    case HSCHED_ACTIVATION_ERF:
        return erf(x);
    case HSCHED_ACTIVATION_FLOOR:
        return floor(x);
    case HSCHED_ACTIVATION_CEIL:
        return ceil(x);
    case HSCHED_ACTIVATION_GELU_TANH:
        return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case HSCHED_ACTIVATION_THRESHOLDED_RELU:
        return x > a ? x : 0;
    case HSCHED_ACTIVATION_ROUND:
        return rint(x);
    case HSCHED_ACTIVATION_SIGN:
        return x > 0 ? 1 : x < 0 ? -1 : x;
    case HSCHED_ACTIVATION_SIN:
        return sin(x);
    case HSCHED_ACTIVATION_COS:
        return cos(x);
    case HSCHED_ACTIVATION_TAN:
        return tan(x);
    case HSCHED_ACTIVATION_ASIN:
        return asin(x);
    case HSCHED_ACTIVATION_ACOS:
        return acos(x);
    case HSCHED_ACTIVATION_ATAN:
        return atan(x);
    case HSCHED_ACTIVATION_SINH:
        return sinh(x);
    case HSCHED_ACTIVATION_COSH:
        return cosh(x);
    case HSCHED_ACTIVATION_ASINH:
        return asinh(x);
    case HSCHED_ACTIVATION_ACOSH:
        return acosh(x);
    case HSCHED_ACTIVATION_ATANH:
        return atanh(x);
    case HSCHED_ACTIVATION_FAKE_QUANTIZE: /* the quotient is a float, as in ONNX */
        return a * clamp(rint((double)((float)x / act.a)), b, b + 255);
    case HSCHED_ACTIVATION_FORCE_INT32:
        break;
    }
    return NAN; /* not reached: hsi_ref_fault refuses other kinds */
}
