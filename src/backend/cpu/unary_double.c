/*
 * UNARY on float64. What is arithmetic only is vector code; everything else is a call of the
 * C library for each element.
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/loop.h"

#define LENGTH 512 /* elements that are brought side by side */

static int is_arithmetic(hsched_activation_kind kind)
{
    switch (kind) {
    case HSCHED_ACTIVATION_NONE:
    case HSCHED_ACTIVATION_RELU:
    case HSCHED_ACTIVATION_LEAKY_RELU:
    case HSCHED_ACTIVATION_CLIP:
    case HSCHED_ACTIVATION_HARD_SIGMOID:
    case HSCHED_ACTIVATION_HARD_SWISH:
    case HSCHED_ACTIVATION_SOFTSIGN:
    case HSCHED_ACTIVATION_ABS:
    case HSCHED_ACTIVATION_NEG:
    case HSCHED_ACTIVATION_SQRT:
    case HSCHED_ACTIVATION_RECIPROCAL:
    case HSCHED_ACTIVATION_THRESHOLDED_RELU:
    case HSCHED_ACTIVATION_SIGN:
        return 1;
    default:
        return 0;
    }
}

/* y may be x: each element is read before it is written, which is what ivdep promises.
 * Comparisons are written so that a not-a-number passes through. */
#define ROW(expression)                                                                  \
    _Pragma("GCC ivdep") for (int64_t i = 0; i < n; i++)                                 \
    {                                                                                    \
        const double v = x[i];                                                           \
        y[i] = (expression);                                                             \
    }                                                                                    \
    break

HSI_ISA_INLINE double clamp(double v, double low, double high)
{
    v = v < low ? low : v;
    return v > high ? high : v;
}

HSI_ISA_INLINE void arithmetic_row_body(hsched_activation act, const double *x, double *y,
                                        int64_t n)
{
    const double a = (double)act.a, b = (double)act.b;
    switch (act.kind) {
    case HSCHED_ACTIVATION_RELU:
        ROW(v < 0 ? 0 : v);
    case HSCHED_ACTIVATION_LEAKY_RELU:
        ROW(v < 0 ? a * v : v);
    case HSCHED_ACTIVATION_CLIP:
        ROW(clamp(v, a, b));
    case HSCHED_ACTIVATION_HARD_SIGMOID:
        ROW(clamp(a * v + b, 0, 1));
    case HSCHED_ACTIVATION_HARD_SWISH:
        ROW(v * clamp(v / 6 + 0.5, 0, 1));
    case HSCHED_ACTIVATION_SOFTSIGN:
        ROW(v / (1 + fabs(v)));
    case HSCHED_ACTIVATION_ABS:
        ROW(fabs(v));
    case HSCHED_ACTIVATION_NEG:
        ROW(-v);
    case HSCHED_ACTIVATION_SQRT:
        ROW(sqrt(v));
    case HSCHED_ACTIVATION_RECIPROCAL:
        ROW(1 / v);
    case HSCHED_ACTIVATION_THRESHOLDED_RELU:
        ROW(v > a ? v : 0);
    case HSCHED_ACTIVATION_SIGN:
        ROW(v > 0 ? 1 : v < 0 ? -1 : v);
    default: /* none */
        ROW(v);
    }
}
HSI_ISA_DISPATCH(arithmetic_row,
                 (hsched_activation act, const double *x, double *y, int64_t n),
                 (act, x, y, n))

/* log(1 + exp(v)) without overflow. */
static double softplus(double v)
{
    return (v > 0 ? v : 0) + log1p(exp(-fabs(v)));
}

/* v * tanh(softplus(v)) by e = exp(-|v|), as a ratio that keeps its digits for any v. */
static double mish(double v)
{
    const double e = exp(-fabs(v));
    const double top = v > 0 ? 1 + 2 * e : e * (e + 2);
    return v * (top / (top + (v > 0 ? 2 * e * e : 2)));
}

static void library_row(hsched_activation act, const double *x, double *y, int64_t n)
{
    const double a = (double)act.a, b = (double)act.b;
    switch (act.kind) {
    case HSCHED_ACTIVATION_SIGMOID:
        ROW(1 / (1 + exp(-v)));
    case HSCHED_ACTIVATION_TANH:
        ROW(tanh(v));
    case HSCHED_ACTIVATION_ELU:
        ROW(v < 0 ? a * expm1(v) : v);
    case HSCHED_ACTIVATION_SELU:
        ROW(b * (v < 0 ? a * expm1(v) : v));
    case HSCHED_ACTIVATION_GELU:
        ROW(0.5 * v * erfc(-v * M_SQRT1_2));
    case HSCHED_ACTIVATION_GELU_TANH: /* 1 + tanh(u) is 2 / (1 + exp(-2 u)) */
        ROW(v / (1 + exp(-2 * sqrt(M_2_PI) * (v + 0.044715 * v * v * v))));
    case HSCHED_ACTIVATION_SILU:
        ROW(v / (1 + exp(-v)));
    case HSCHED_ACTIVATION_SOFTPLUS:
        ROW(softplus(v));
    case HSCHED_ACTIVATION_MISH:
        ROW(mish(v));
    case HSCHED_ACTIVATION_EXP:
        ROW(exp(v));
    case HSCHED_ACTIVATION_LOG:
        ROW(log(v));
    case HSCHED_ACTIVATION_ERF:
        ROW(erf(v));
    case HSCHED_ACTIVATION_FLOOR:
        ROW(floor(v));
    case HSCHED_ACTIVATION_CEIL:
        ROW(ceil(v));
    case HSCHED_ACTIVATION_ROUND:
        ROW(rint(v));
    case HSCHED_ACTIVATION_SIN:
        ROW(sin(v));
    case HSCHED_ACTIVATION_COS:
        ROW(cos(v));
    case HSCHED_ACTIVATION_TAN:
        ROW(tan(v));
    case HSCHED_ACTIVATION_ASIN:
        ROW(asin(v));
    case HSCHED_ACTIVATION_ACOS:
        ROW(acos(v));
    case HSCHED_ACTIVATION_ATAN:
        ROW(atan(v));
    case HSCHED_ACTIVATION_SINH:
        ROW(sinh(v));
    case HSCHED_ACTIVATION_COSH:
        ROW(cosh(v));
    case HSCHED_ACTIVATION_ASINH:
        ROW(asinh(v));
    case HSCHED_ACTIVATION_ACOSH:
        ROW(acosh(v));
    default: /* the last that supports lets through */
        ROW(atanh(v));
    }
}

static void unary_row(hsched_activation act, const double *x, int64_t xs, double *y,
                      int64_t ys, int64_t n)
{
    void (*const row)(hsched_activation, const double *, double *, int64_t) =
        is_arithmetic(act.kind) ? arithmetic_row : library_row;
    double block[LENGTH];
    if (xs == 1 && ys == 1) {
        row(act, x, y, n);
        return;
    }
    for (int64_t i = 0; i < n; i += LENGTH) {
        const int64_t count = n - i < LENGTH ? n - i : LENGTH;
        for (int64_t k = 0; k < count; k++)
            block[k] = x[(i + k) * xs];
        row(act, block, block, count);
        for (int64_t k = 0; k < count; k++)
            y[(i + k) * ys] = block[k];
    }
}

static hsched_status unary_run(const hsched_step *step, const void *state,
                               void *slot_state, void *const *operands, uint32_t part,
                               void *scratch)
{
    const hsi_loop *loop = state;
    const double *x = operands[0];
    double *y = operands[1];
    int64_t begin, end;
    hsi_cursor cursor;
    hsi_tile t;
    (void)slot_state;
    (void)scratch;
    hsi_loop_part(loop, part, step->parts, &begin, &end);
    hsi_cursor_begin(&cursor, loop, begin, end);
    while (hsi_cursor_next(&cursor, &t))
        for (int64_t r = 0; r < t.rows; r++)
            unary_row(step->act, x + t.offset[0] + r * t.row_stride[0], t.col_stride[0],
                      y + t.offset[1] + r * t.row_stride[1], t.col_stride[1], t.cols);
    return HSCHED_OK;
}

static int unary_supports(const hsched_step *step)
{
    return step->in[0].dtype == HSCHED_FLOAT64 && step->out.dtype == HSCHED_FLOAT64 &&
           step->act.kind >= HSCHED_ACTIVATION_NONE &&
           step->act.kind <= HSCHED_ACTIVATION_ATANH;
}

static hsched_status unary_prepare(const hsi_cpu_prepare_context *context,
                                   hsched_step *step, hsi_cpu_prepared *prepared)
{
    const int64_t *strides[2] = { step->in[0].strides, step->out.strides };
    hsi_loop *loop = HSI_NEW(hsi_loop);
    (void)context;
    if (loop == NULL)
        return hsi_out_of_memory("the plan of an element-wise step");
    hsi_loop_init(loop, step->out.rank, step->out.dims, 2, strides);
    hsi_lower_parts(step, 2 * hsi_operand_count(&step->out) * sizeof(double),
                    (loop->total + 63) / 64);
    prepared->state = loop;
    return HSCHED_OK;
}

const hsi_cpu_kernel hsi_cpu_kernel_unary_double = {
    .name = "own/unary-double",
    .kind = HSCHED_STEP_UNARY,
    .library = HSCHED_LIBRARY_OWN,
    .supports = unary_supports,
    .prepare = unary_prepare,
    .destroy = hsi_free,
    .run = unary_run,
};
