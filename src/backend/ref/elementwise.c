/* UNARY and BINARY on any shape; operands have out's shape. Both may be in place: an
 * element is written after it was read. */
#include "backend/ref/ref.h"

#include <math.h>

#include "backend/ref/types.h"
#include "base/element.h"

/* Wraps around where the type ends, which hsi_ref_put_int sees to. */
static int64_t activate_integer(hsched_activation_kind kind, int64_t x)
{
    switch (kind) {
    case HSCHED_ACTIVATION_RELU:
        return x < 0 ? 0 : x;
    case HSCHED_ACTIVATION_ABS:
        return x < 0 ? (int64_t)(0 - (uint64_t)x) : x;
    case HSCHED_ACTIVATION_NEG:
        return (int64_t)(0 - (uint64_t)x);
    case HSCHED_ACTIVATION_SIGN:
        return (x > 0) - (x < 0);
    default:
        return x;
    }
}

void hsi_ref_unary(const hsched_step *step, const void *const *inputs, void *out)
{
    const hsched_dtype dtype = step->out.dtype;
    int64_t index[HSCHED_MAX_DIMS] = { 0 };
    do {
        const int64_t x = hsi_ref_offset(&step->in[0], index);
        const int64_t y = hsi_ref_offset(&step->out, index);
        if (hsi_is_real(dtype))
            hsi_ref_put_real(
                dtype, out, y,
                hsi_ref_activate(step->act, hsi_ref_get_real(dtype, inputs[0], x)));
        else
            hsi_ref_put_int(
                dtype, out, y,
                activate_integer(step->act.kind, hsi_ref_get_int(dtype, inputs[0], x)));
    } while (hsi_ref_next(step->out.rank, step->out.dims, index));
}

static double floor_mod(double a, double b)
{
    const double r = fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

static double combine(hsched_binary_kind kind, double a, double b)
{
    switch (kind) {
    case HSCHED_BINARY_ADD:
        return a + b;
    case HSCHED_BINARY_SUB:
        return a - b;
    case HSCHED_BINARY_MUL:
        return a * b;
    case HSCHED_BINARY_DIV:
        return a / b;
    case HSCHED_BINARY_MIN:
        return a < b || isnan(a) ? a : b;
    case HSCHED_BINARY_MAX:
        return a > b || isnan(a) ? a : b;
    case HSCHED_BINARY_POW:
        return pow(a, b);
    case HSCHED_BINARY_PRELU:
        return a < 0 ? a * b : a;
    case HSCHED_BINARY_MOD:
        return floor_mod(a, b);
    case HSCHED_BINARY_FMOD:
        return fmod(a, b);
    default:
        break;
    }
    return NAN; /* not reached: hsi_ref_fault refuses other kinds */
}

/* The order of both: negative, 0, positive; NaN if there is none. */
static int holds(hsched_binary_kind kind, double order)
{
    switch (kind) {
    case HSCHED_BINARY_EQUAL:
        return order == 0;
    case HSCHED_BINARY_GREATER:
        return order > 0;
    case HSCHED_BINARY_GREATER_OR_EQUAL:
        return order >= 0;
    case HSCHED_BINARY_LESS:
        return order < 0;
    default:
        return order <= 0;
    }
}

static uint64_t power(uint64_t base, int64_t exponent)
{
    uint64_t result = 1;
    if (exponent < 0) { /* 1 / x^n is a fraction, but for 1 and -1 */
        if (base == 1 || base == UINT64_MAX)
            return exponent % 2 != 0 ? base : 1;
        return 0;
    }
    for (; exponent > 0; exponent >>= 1, base *= base)
        if (exponent & 1)
            result *= base;
    return result;
}

static int64_t divide(hsched_binary_kind kind, int64_t a, int64_t b)
{
    if (b == 0)
        return 0;
    if (b == -1) /* the least integer has no positive counterpart */
        return kind == HSCHED_BINARY_DIV ? (int64_t)(0 - (uint64_t)a) : 0;
    if (kind == HSCHED_BINARY_DIV)
        return a / b;
    const int64_t r = a % b;
    return kind == HSCHED_BINARY_MOD && r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

/* `bits`: of the type. */
static int64_t shift(hsched_binary_kind kind, int64_t a, int64_t b, int64_t bits)
{
    if (b < 0 || b >= bits)
        return kind == HSCHED_BINARY_SHIFT_RIGHT && a < 0 ? -1 : 0;
    return kind == HSCHED_BINARY_SHIFT_LEFT ? (int64_t)((uint64_t)a << b) : a >> b;
}

static int64_t combine_integers(hsched_binary_kind kind, int64_t a, int64_t b,
                                int64_t bits)
{
    const uint64_t u = (uint64_t)a, v = (uint64_t)b;
    switch (kind) {
    case HSCHED_BINARY_ADD:
        return (int64_t)(u + v);
    case HSCHED_BINARY_SUB:
        return (int64_t)(u - v);
    case HSCHED_BINARY_MUL:
        return (int64_t)(u * v);
    case HSCHED_BINARY_MIN:
        return a < b ? a : b;
    case HSCHED_BINARY_MAX:
        return a > b ? a : b;
    case HSCHED_BINARY_POW:
        return (int64_t)power(u, b);
    case HSCHED_BINARY_AND:
    case HSCHED_BINARY_BIT_AND:
        return a & b;
    case HSCHED_BINARY_OR:
    case HSCHED_BINARY_BIT_OR:
        return a | b;
    case HSCHED_BINARY_XOR:
    case HSCHED_BINARY_BIT_XOR:
        return a ^ b;
    case HSCHED_BINARY_SHIFT_LEFT:
    case HSCHED_BINARY_SHIFT_RIGHT:
        return shift(kind, a, b, bits);
    default:
        return divide(kind, a, b);
    }
}

static void binary_element(const hsched_step *step, const void *a, int64_t i,
                           const void *b, int64_t j, void *out, int64_t at)
{
    const hsched_binary_kind kind = step->u.binary.kind;
    const hsched_dtype dtype = step->in[0].dtype;
    if (hsi_is_real(dtype)) {
        const double u = hsi_ref_get_real(dtype, a, i), v = hsi_ref_get_real(dtype, b, j);
        if (hsi_binary_compares(kind))
            ((uint8_t *)out)[at] = (uint8_t)holds(
                kind, isnan(u) || isnan(v) ? (double)NAN : (u > v) - (u < v));
        else
            hsi_ref_put_real(dtype, out, at,
                             hsi_ref_activate(step->act, combine(kind, u, v)));
        return;
    }
    const int64_t u = hsi_ref_get_int(dtype, a, i), v = hsi_ref_get_int(dtype, b, j);
    if (hsi_binary_compares(kind))
        ((uint8_t *)out)[at] = (uint8_t)holds(kind, (u > v) - (u < v));
    else
        hsi_ref_put_int(
            dtype, out, at,
            combine_integers(kind, u, v, 8 * (int64_t)hsched_dtype_size(dtype)));
}

void hsi_ref_binary(const hsched_step *step, const void *const *inputs, void *out)
{
    int64_t index[HSCHED_MAX_DIMS] = { 0 };
    do {
        binary_element(step, inputs[0], hsi_ref_offset(&step->in[0], index), inputs[1],
                       hsi_ref_offset(&step->in[1], index), out,
                       hsi_ref_offset(&step->out, index));
    } while (hsi_ref_next(step->out.rank, step->out.dims, index));
}
