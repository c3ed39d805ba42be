/*
 * UNARY and BINARY on integers and bool, BINARY on float64, and what gives bool of floats: a loop
 * for each operation and type. Integers wrap around: sums and products are made in unsigned types
 * at least as wide as int.
 */
#include <math.h>

#include "base/alloc.h"
#include "base/element.h"
#include "backend/cpu/blocks.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/loop.h"

/* What is said of integers is said of unsigned ones, too, which are never negative. */
#pragma GCC diagnostic ignored "-Wtype-limits"

/* y may be a or b: each element is read before it is written, which is what ivdep
 * promises. */
#define BINARY_LOOP(name, type, result, expression)                                      \
    HSI_ISA_INLINE void name##_body(const void *const *in, void *out, int64_t n)         \
    {                                                                                    \
        const type *a = in[0], *b = in[1];                                               \
        result *y = out;                                                                 \
        _Pragma("GCC ivdep") for (int64_t i = 0; i < n; i++)                             \
        {                                                                                \
            type u = a[i], v = b[i];                                                     \
            y[i] = (result)(expression);                                                 \
        }                                                                                \
    }                                                                                    \
    HSI_ISA_DISPATCH(name, (const void *const *in, void *out, int64_t n), (in, out, n))

/* Not worth an instruction set: divisions, and calls of the C library. */
#define PLAIN_LOOP(name, type, expression)                                               \
    static void name(const void *const *in, void *out, int64_t n)                        \
    {                                                                                    \
        const type *a = in[0], *b = in[1];                                               \
        type *y = out;                                                                   \
        for (int64_t i = 0; i < n; i++) {                                                \
            type u = a[i], v = b[i];                                                     \
            y[i] = (type)(expression);                                                   \
        }                                                                                \
    }

#define UNARY_LOOP(name, type, expression)                                               \
    HSI_ISA_INLINE void name##_body(const void *const *in, void *out, int64_t n)         \
    {                                                                                    \
        const type *a = in[0];                                                           \
        type *y = out;                                                                   \
        _Pragma("GCC ivdep") for (int64_t i = 0; i < n; i++)                             \
        {                                                                                \
            type x = a[i];                                                               \
            y[i] = (type)(expression);                                                   \
        }                                                                                \
    }                                                                                    \
    HSI_ISA_DISPATCH(name, (const void *const *in, void *out, int64_t n), (in, out, n))

static int64_t power(int64_t x, int64_t exponent)
{
    uint64_t base = (uint64_t)x, result = 1;
    if (exponent < 0) { /* 1 / x^n is a fraction, but for 1 and -1 */
        if (x == 1 || x == -1)
            return exponent % 2 != 0 ? x : 1;
        return 0;
    }
    for (; exponent > 0; exponent >>= 1, base *= base)
        if (exponent & 1)
            result *= base;
    return (int64_t)result;
}

/* 0 where the divisor is 0; -1 apart, since the least integer has no positive
 * counterpart, on which processors trap. */
static inline int64_t quotient(int64_t u, int64_t v)
{
    if (v == 0)
        return 0;
    return v == -1 ? (int64_t)(0 - (uint64_t)u) : u / v;
}

static inline int64_t remainder_of(int64_t u, int64_t v)
{
    return v == 0 || v == -1 ? 0 : u % v;
}

static inline int64_t modulus_of(int64_t u, int64_t v)
{
    int64_t r = remainder_of(u, v);
    return r != 0 && (r < 0) != (v < 0) ? r + v : r;
}

/* The same of 32 bits by way of double, which holds them and whose quotients, without
 * their fraction, are exact: vectors have no division of integers. */
HSI_ISA_INLINE int32_t quotient_32(int32_t u, int32_t v)
{
    int32_t special = v == 0 || v == -1;
    int32_t q = (int32_t)((double)u / (double)(special ? 1 : v));
    int32_t other = v == 0 ? 0 : (int32_t)(0 - (uint32_t)u);
    return special ? other : q;
}

HSI_ISA_INLINE int32_t remainder_32(int32_t u, int32_t v)
{
    return v == 0 ? 0
                  : (int32_t)((uint32_t)u - (uint32_t)quotient_32(u, v) * (uint32_t)v);
}

HSI_ISA_INLINE int32_t modulus_32(int32_t u, int32_t v)
{
    int32_t r = remainder_32(u, v);
    return (r != 0) & ((r < 0) != (v < 0)) ? r + v : r;
}

#define DIVISIONS_64(type)                                                               \
    PLAIN_LOOP(div_##type, type, quotient(u, v))                                         \
    PLAIN_LOOP(mod_##type, type, modulus_of(u, v))                                       \
    PLAIN_LOOP(fmod_##type, type, remainder_of(u, v))
#define DIVISIONS_32(type)                                                               \
    BINARY_LOOP(div_##type, type, type, quotient_32(u, v))                               \
    BINARY_LOOP(mod_##type, type, type, modulus_32(u, v))                                \
    BINARY_LOOP(fmod_##type, type, type, remainder_32(u, v))
DIVISIONS_64(int64_t)
DIVISIONS_32(int32_t)
DIVISIONS_32(int8_t)
DIVISIONS_32(uint8_t)

#define COMPARISONS(type)                                                                \
    BINARY_LOOP(equal_##type, type, uint8_t, u == v)                                     \
    BINARY_LOOP(greater_##type, type, uint8_t, u > v)                                    \
    BINARY_LOOP(greater_or_equal_##type, type, uint8_t, u >= v)                          \
    BINARY_LOOP(less_##type, type, uint8_t, u < v)                                       \
    BINARY_LOOP(less_or_equal_##type, type, uint8_t, u <= v)

/* `wide` is unsigned, `plain` is signed: both hold what the type does. Shifts by too much are
 * made by none first. */
#define INTEGER_LOOPS(type, wide, plain, bits)                                           \
    COMPARISONS(type)                                                                    \
    BINARY_LOOP(add_##type, type, type, (wide)u + (wide)v)                               \
    BINARY_LOOP(sub_##type, type, type, (wide)u - (wide)v)                               \
    BINARY_LOOP(mul_##type, type, type, (wide)u *(wide)v)                                \
    BINARY_LOOP(min_##type, type, type, u < v ? u : v)                                   \
    BINARY_LOOP(max_##type, type, type, u > v ? u : v)                                   \
    BINARY_LOOP(bit_and_##type, type, type, u &v)                                        \
    BINARY_LOOP(bit_or_##type, type, type, u | v)                                        \
    BINARY_LOOP(bit_xor_##type, type, type, u ^ v)                                       \
    BINARY_LOOP(shift_left_##type, type, type,                                           \
                ((wide)v < (bits) ? (wide)u << ((wide)v & ((bits)-1)) : 0))              \
    BINARY_LOOP(shift_right_##type, type, type,                                          \
                ((wide)v < (bits) ? u >> ((wide)v & ((bits)-1))                          \
                 : (plain)u < 0   ? -1                                                   \
                                  : 0))                                                    \
    PLAIN_LOOP(pow_##type, type, power(u, v))                                            \
    UNARY_LOOP(relu_##type, type, x > 0 ? x : 0)                                         \
    UNARY_LOOP(abs_##type, type, (plain)x < 0 ? 0 - (wide)x : (wide)x)                   \
    UNARY_LOOP(neg_##type, type, 0 - (wide)x)                                            \
    UNARY_LOOP(sign_##type, type, ((plain)x > 0) - ((plain)x < 0))                       \
    UNARY_LOOP(none_##type, type, x)

INTEGER_LOOPS(int64_t, uint64_t, int64_t, 64)
INTEGER_LOOPS(int32_t, uint32_t, int32_t, 32)
INTEGER_LOOPS(int8_t, uint32_t, int32_t, 8)
INTEGER_LOOPS(uint8_t, uint32_t, int32_t, 8)

/* fmod(u, v) where |u / v| < 2^28: in doubles the quotient has room, and its product with v is
 * exact. A quotient that was rounded up to an integer gives a negative rest. */
#define NEAR_QUOTIENTS 268435456.0
HSI_ISA_INLINE float near_remainder(float u, float v)
{
    const double a = fabs((double)u), b = fabs((double)v), quotient = a / b;
    const int32_t whole = (int32_t)(quotient < NEAR_QUOTIENTS ? quotient : 0);
    const double rest = a - (double)whole * b;
    return copysignf((float)(rest < 0 ? rest + b : rest), u);
}

HSI_ISA_INLINE float floor_modulus(float r, float v)
{
    const float other = r + v;
    return (r != 0) & ((r < 0) != (v < 0)) ? other : r;
}

static inline double floor_modulus_double(double r, double v)
{
    return r != 0 && (r < 0) != (v < 0) ? r + v : r;
}

BINARY_LOOP(near_mod, float, float, floor_modulus(near_remainder(u, v), v))
BINARY_LOOP(near_fmod, float, float, near_remainder(u, v))
PLAIN_LOOP(far_mod, float, floor_modulus(fmodf(u, v), v))
PLAIN_LOOP(far_fmod, float, fmodf(u, v))

HSI_ISA_INLINE void all_near_body(const float *a, const float *b, int64_t n, int *near)
{
    int all = 1;
    for (int64_t i = 0; i < n; i++)
        all &= (fabs((double)a[i]) < NEAR_QUOTIENTS * fabs((double)b[i])) &
               (fabsf(b[i]) < INFINITY);
    *near = all;
}
HSI_ISA_DISPATCH(all_near, (const float *a, const float *b, int64_t n, int *near),
                 (a, b, n, near))

/* Not for infinity and not-a-number, and divisions by 0. */
#define FLOAT_MOD(name)                                                                  \
    static void name##_float(const void *const *in, void *out, int64_t n)                \
    {                                                                                    \
        int near;                                                                        \
        all_near(in[0], in[1], n, &near);                                                \
        (near ? near_##name : far_##name)(in, out, n);                                   \
    }
COMPARISONS(float)
COMPARISONS(double)
BINARY_LOOP(add_double, double, double, u + v)
BINARY_LOOP(sub_double, double, double, u - v)
BINARY_LOOP(mul_double, double, double, u *v)
BINARY_LOOP(div_double, double, double, u / v)
BINARY_LOOP(min_double, double, double, (u < v) | (u != u) ? u : v)
BINARY_LOOP(max_double, double, double, (u > v) | (u != u) ? u : v)
BINARY_LOOP(prelu_double, double, double, u < 0 ? u * v : u)
PLAIN_LOOP(pow_double, double, pow(u, v))
PLAIN_LOOP(mod_double, double, floor_modulus_double(fmod(u, v), v))
PLAIN_LOOP(fmod_double, double, fmod(u, v))
FLOAT_MOD(mod)
FLOAT_MOD(fmod)

/* Of bool, where anything but 0 is true. */
BINARY_LOOP(equal_bool, uint8_t, uint8_t, (u != 0) == (v != 0))
BINARY_LOOP(and_bool, uint8_t, uint8_t, (u != 0) & (v != 0))
BINARY_LOOP(or_bool, uint8_t, uint8_t, (u != 0) | (v != 0))
BINARY_LOOP(xor_bool, uint8_t, uint8_t, (u != 0) ^ (v != 0))

#define COMPARISON_ENTRIES(type)                                                         \
    [HSCHED_BINARY_EQUAL] = equal_##type, [HSCHED_BINARY_GREATER] = greater_##type,      \
    [HSCHED_BINARY_GREATER_OR_EQUAL] = greater_or_equal_##type,                          \
    [HSCHED_BINARY_LESS] = less_##type,                                                  \
    [HSCHED_BINARY_LESS_OR_EQUAL] = less_or_equal_##type

#define INTEGER_ENTRIES(type)                                                            \
    {                                                                                    \
        COMPARISON_ENTRIES(type),                                                        \
            [HSCHED_BINARY_ADD] = add_##type, [HSCHED_BINARY_SUB] = sub_##type,          \
            [HSCHED_BINARY_MUL] = mul_##type, [HSCHED_BINARY_DIV] = div_##type,          \
            [HSCHED_BINARY_MIN] = min_##type, [HSCHED_BINARY_MAX] = max_##type,          \
            [HSCHED_BINARY_POW] = pow_##type, [HSCHED_BINARY_MOD] = mod_##type,          \
            [HSCHED_BINARY_FMOD] = fmod_##type,                                          \
            [HSCHED_BINARY_BIT_AND] = bit_and_##type,                                    \
            [HSCHED_BINARY_BIT_OR] = bit_or_##type,                                      \
            [HSCHED_BINARY_BIT_XOR] = bit_xor_##type,                                    \
            [HSCHED_BINARY_SHIFT_LEFT] = shift_left_##type,                              \
            [HSCHED_BINARY_SHIFT_RIGHT] = shift_right_##type                             \
    }

/* By the operands' type and the operation; float32 for what elementwise.c does not do. */
static hsi_cpu_block_loop *const binary_loops[][HSCHED_BINARY_SHIFT_RIGHT + 1] = {
    [HSCHED_FLOAT32] = { COMPARISON_ENTRIES(float), [HSCHED_BINARY_MOD] = mod_float,
                         [HSCHED_BINARY_FMOD] = fmod_float },
    [HSCHED_FLOAT64] = { COMPARISON_ENTRIES(double), [HSCHED_BINARY_ADD] = add_double,
                         [HSCHED_BINARY_SUB] = sub_double,
                         [HSCHED_BINARY_MUL] = mul_double,
                         [HSCHED_BINARY_DIV] = div_double,
                         [HSCHED_BINARY_MIN] = min_double,
                         [HSCHED_BINARY_MAX] = max_double,
                         [HSCHED_BINARY_POW] = pow_double,
                         [HSCHED_BINARY_PRELU] = prelu_double,
                         [HSCHED_BINARY_MOD] = mod_double,
                         [HSCHED_BINARY_FMOD] = fmod_double },
    [HSCHED_INT64] = INTEGER_ENTRIES(int64_t),
    [HSCHED_INT32] = INTEGER_ENTRIES(int32_t),
    [HSCHED_INT8] = INTEGER_ENTRIES(int8_t),
    [HSCHED_UINT8] = INTEGER_ENTRIES(uint8_t),
    [HSCHED_BOOL] = { [HSCHED_BINARY_EQUAL] = equal_bool,
                      [HSCHED_BINARY_AND] = and_bool,
                      [HSCHED_BINARY_OR] = or_bool,
                      [HSCHED_BINARY_XOR] = xor_bool },
};

#define UNARY_ENTRIES(type)                                                              \
    {                                                                                    \
        [HSCHED_ACTIVATION_NONE] = none_##type, [HSCHED_ACTIVATION_RELU] = relu_##type,  \
        [HSCHED_ACTIVATION_ABS] = abs_##type, [HSCHED_ACTIVATION_NEG] = neg_##type,      \
        [HSCHED_ACTIVATION_SIGN] = sign_##type                                           \
    }

static hsi_cpu_block_loop *const unary_loops[][HSCHED_ACTIVATION_SIGN + 1] = {
    [HSCHED_INT64] = UNARY_ENTRIES(int64_t),
    [HSCHED_INT32] = UNARY_ENTRIES(int32_t),
    [HSCHED_INT8] = UNARY_ENTRIES(int8_t),
    [HSCHED_UINT8] = UNARY_ENTRIES(uint8_t),
};

/* With an activation behind it the reference kernel takes the step: nothing makes such. */
static int binary_supports(const hsched_step *step)
{
    return hsi_binary_takes(step->u.binary.kind, step->in[0].dtype) &&
           binary_loops[step->in[0].dtype][step->u.binary.kind] != NULL &&
           step->act.kind == HSCHED_ACTIVATION_NONE;
}

static hsched_status binary_prepare(const hsi_cpu_prepare_context *context,
                                    hsched_step *step, hsi_cpu_prepared *prepared)
{
    (void)context;
    return hsi_cpu_blocks_prepare(
        step, 2, binary_loops[step->in[0].dtype][step->u.binary.kind], prepared);
}

static int unary_supports(const hsched_step *step)
{
    return hsi_is_integer(step->out.dtype) && step->in[0].dtype == step->out.dtype &&
           hsi_activation_takes(step->act.kind, step->out.dtype);
}

static hsched_status unary_prepare(const hsi_cpu_prepare_context *context,
                                   hsched_step *step, hsi_cpu_prepared *prepared)
{
    (void)context;
    return hsi_cpu_blocks_prepare(step, 1, unary_loops[step->out.dtype][step->act.kind],
                                  prepared);
}

const hsi_cpu_kernel hsi_cpu_kernel_binary_typed = {
    .name = "own/binary-typed",
    .kind = HSCHED_STEP_BINARY,
    .library = HSCHED_LIBRARY_OWN,
    .supports = binary_supports,
    .prepare = binary_prepare,
    .destroy = hsi_free,
    .run = hsi_cpu_blocks_run,
};

const hsi_cpu_kernel hsi_cpu_kernel_unary_typed = {
    .name = "own/unary-typed",
    .kind = HSCHED_STEP_UNARY,
    .library = HSCHED_LIBRARY_OWN,
    .supports = unary_supports,
    .prepare = unary_prepare,
    .destroy = hsi_free,
    .run = hsi_cpu_blocks_run,
};
