/*
 * Activations over contiguous floats. Each is one branch-free loop that the compiler
 * turns into vector code; exp, expm1, erf, log and log1p are polynomials good to a few units
 * in the last place over the whole range: overflow gives infinity, underflow zero, NaN stays
 * NaN.
 */
#include "backend/cpu/exp.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/kernel.h"

#include <math.h>
#include <string.h>

/* exp(x) - 1 for x <= 0, without cancellation near 0. */
HSI_ISA_INLINE float expm1_inline(float x)
{
    x = x < -30.0f ? -30.0f : x;
    int32_t n;
    float p = exp_reduced(x, &n);
    float scale = power_of_two(n);
    return scale * p + (scale - 1.0f);
}

/* x = m * 2^n with m in [sqrt(1/2), sqrt(2)), and log(m) as a polynomial. */
HSI_ISA_INLINE float log_inline(float x)
{
    const int tiny = x < 1.17549435e-38f; /* no normal number: made one, and n less */
    const uint32_t bits = bits_of(tiny ? x * 8388608.0f : x);
    const uint32_t above = bits - UINT32_C(0x3f3504f3); /* sqrt(1/2) */
    const int32_t exponent = (int32_t)above >> 23;
    const float n = (float)(exponent - (tiny ? 23 : 0));
    const float m = float_of(bits - ((uint32_t)exponent << 23)) - 1.0f;
    const float z = m * m;
    float p = 7.0376836292e-2f;
    p = p * m - 1.1514610310e-1f;
    p = p * m + 1.1676998740e-1f;
    p = p * m - 1.2420140846e-1f;
    p = p * m + 1.4249322787e-1f;
    p = p * m - 1.6668057665e-1f;
    p = p * m + 2.0000714765e-1f;
    p = p * m - 2.4999993993e-1f;
    p = p * m + 3.3333331174e-1f;
    float y = p * m * z - 2.12194440e-4f * n - 0.5f * z;
    y = m + y + 0.693359375f * n;
    y = x > 3.40282347e38f ? x : y; /* infinity */
    y = x == 0.0f ? -__builtin_inff() : y;
    return x >= 0.0f ? y : __builtin_nanf("");
}

/* log(1 + t) for 0 <= t <= 1, as 2 * atanh(t / (2 + t)). */
HSI_ISA_INLINE float log1p_inline(float t)
{
    float s = t / (2.0f + t);
    float z = s * s;
    float p = 1.0f / 15.0f;
    p = p * z + 1.0f / 13.0f;
    p = p * z + 1.0f / 11.0f;
    p = p * z + 1.0f / 9.0f;
    p = p * z + 1.0f / 7.0f;
    p = p * z + 1.0f / 5.0f;
    p = p * z + 1.0f / 3.0f;
    return 2.0f * (s + s * z * p);
}

HSI_ISA_INLINE float tanh_inline(float x)
{
    float e = expm1_inline(-2.0f * fabsf(x));
    return copysignf(-e / (e + 2.0f), x);
}

/* Two polynomials: an odd one near 0, else 1 - exp(polynomial). */
HSI_ISA_INLINE float erf_inline(float x)
{
    float t = fabsf(x);
    t = t > 4.0f ? 4.0f : t; /* erf(4) rounds to 1 */
    float s = t * t;
    float q = -5.96761703e-4f;
    q = q * s + 4.99119423e-3f;
    q = q * s - 2.67681349e-2f;
    q = q * s + 1.12819925e-1f;
    q = q * s - 3.76125336e-1f;
    q = q * s + 1.28379166e-1f;
    float near = q * t + t;
    float p = -1.72853470e-5f * t + 3.83197126e-4f;
    float u = -3.88396438e-3f * t + 2.42546219e-2f;
    p = p * s + u;
    p = p * t - 1.06777877e-1f;
    p = p * t - 6.34846687e-1f;
    p = p * t - 1.28717512e-1f;
    p = p * t - t;
    float far = 1.0f - exp_inline(p);
    return copysignf(t > 0.927734375f ? far : near, x);
}

/* tanh(log(1 + exp(x))) is a ratio of polynomials in exp(-|x|), which cannot overflow. */
HSI_ISA_INLINE float mish_inline(float x)
{
    float e = exp_inline(-fabsf(x));
    float top = x > 0.0f ? 1.0f + 2.0f * e : e * (e + 2.0f);
    float more = x > 0.0f ? 2.0f * e * e : 2.0f;
    return x * (top / (top + more));
}

HSI_ISA_INLINE float softplus_inline(float x)
{
    return (x < 0.0f ? 0.0f : x) + log1p_inline(exp_inline(-fabsf(x)));
}

/* 0.5 * x * (1 + tanh(u)) = x / (1 + exp(-2u)) */
HSI_ISA_INLINE float gelu_tanh_inline(float x)
{
    float u = 0.797884561f * (x + 0.044715f * x * x * x);
    return x / (1.0f + exp_inline(-2.0f * u));
}

HSI_ISA_INLINE float clamp_inline(float x, float lo, float hi)
{
    x = x < lo ? lo : x;
    return x > hi ? hi : x;
}

/*
 * sin(x), or cos(x) for quarter = 1, for |x| <= SINE_REACH: x = n * pi/2 + r with pi/2 in
 * three parts, then the polynomial of the quarter that r is in. A not-a-number stays one.
 */
#define SINE_REACH 8192.0f
HSI_ISA_INLINE float sine_inline(float x, int32_t quarter)
{
    const float magic = 12582912.0f;
    float shifted = x * 0.636619772f + magic;
    float n = shifted - magic;
    int32_t q = (int32_t)(bits_of(shifted) - bits_of(magic)) + quarter;
    float r = x - n * 1.5703125f;
    r = r - n * 4.837512969970703125e-4f;
    r = r - n * 7.54978995489188216e-8f;
    float z = r * r;
    float s = -1.9515295891e-4f;
    s = s * z + 8.3321608736e-3f;
    s = s * z - 1.6666654611e-1f;
    s = s * z * r + r;
    float c = 2.443315711809948e-5f;
    c = c * z - 1.388731625493765e-3f;
    c = c * z + 4.166664568298827e-2f;
    c = c * z * z - 0.5f * z + 1.0f;
    float y = q & 1 ? c : s;
    return q & 2 ? -y : y;
}

/* atan(t) for t in [0, inf]: of -1/t or (t-1)/(t+1) where that is nearer to 0. */
HSI_ISA_INLINE float atan_inline(float x)
{
    float t = fabsf(x);
    int far = t > 2.414213562f, middle = t > 0.4142135624f;
    float base = far ? 1.570796327f : middle ? 0.7853981634f : 0.0f;
    float top = far ? -1.0f : middle ? t - 1.0f : t;
    float bottom = far ? t : middle ? t + 1.0f : 1.0f;
    float s = top / bottom, z = s * s;
    float p = 8.05374449538e-2f;
    p = p * z - 1.38776856032e-1f;
    p = p * z + 1.99777106478e-1f;
    p = p * z - 3.33329491539e-1f;
    return copysignf(base + (p * z * s + s), x);
}

/* asin(t) for t in [0, 0.5]. */
HSI_ISA_INLINE float asin_near(float t, float z)
{
    float p = 4.2163199048e-2f;
    p = p * z + 2.4181311049e-2f;
    p = p * z + 4.5470025998e-2f;
    p = p * z + 7.4953002686e-2f;
    p = p * z + 1.6666752422e-1f;
    return p * z * t + t;
}

/* Near 1 by the half angle: asin(t) = pi/2 - 2 * asin(sqrt((1 - t) / 2)), and so acos. */
HSI_ISA_INLINE float asin_inline(float x)
{
    float t = fabsf(x);
    int far = t > 0.5f;
    float z = far ? 0.5f * (1.0f - t) : t * t;
    float s = asin_near(far ? sqrtf(z) : t, z);
    return copysignf(far ? 1.570796327f - 2.0f * s : s, x);
}

HSI_ISA_INLINE float acos_inline(float x)
{
    float t = fabsf(x);
    int far = t > 0.5f;
    float z = far ? 0.5f * (1.0f - t) : t * t;
    float s = asin_near(far ? sqrtf(z) : t, z);
    float near = 1.570796327f - copysignf(s, x);
    return far ? (x < 0.0f ? 3.141592654f - 2.0f * s : 2.0f * s) : near;
}

/* By e = exp(|x| / 2), so that what fits does not overflow on the way; a polynomial near
 * 0, where the difference would cancel. */
HSI_ISA_INLINE float sinh_inline(float x)
{
    float t = fabsf(x), z = x * x;
    float near =
        t + t * z * (1.66667160211e-1f + z * (8.33028376239e-3f + z * 2.03721912945e-4f));
    float e = exp_inline(t * 0.5f);
    float far = 0.5f * e * e - 0.5f / e / e;
    return copysignf(t > 1.0f ? far : near, x);
}

HSI_ISA_INLINE float cosh_inline(float x)
{
    float e = exp_inline(fabsf(x) * 0.5f);
    return 0.5f * e * e + 0.5f / e / e;
}

/* One loop for each activation; x is the element, a and b the parameters. from may be y: each
 * element is read before it is written, which is what ivdep promises. */
#define HSI_ACTIVATION_LOOP(name, expression)                                            \
    HSI_ISA_INLINE void name##_body(const float *from, float *y, size_t n, float a,      \
                                    float b)                                             \
    {                                                                                    \
        (void)a;                                                                         \
        (void)b;                                                                         \
        _Pragma("GCC ivdep") for (size_t i = 0; i < n; i++)                              \
        {                                                                                \
            float x = from[i];                                                           \
            y[i] = (expression);                                                         \
        }                                                                                \
    }                                                                                    \
    HSI_ISA_DISPATCH(name, (const float *from, float *y, size_t n, float a, float b),    \
                     (from, y, n, a, b))

HSI_ACTIVATION_LOOP(relu, x < 0.0f ? 0.0f : x)
HSI_ACTIVATION_LOOP(leaky_relu, x < 0.0f ? a * x : x)
HSI_ACTIVATION_LOOP(clip, clamp_inline(x, a, b))
HSI_ACTIVATION_LOOP(sigmoid, 1.0f / (1.0f + exp_inline(-x)))
HSI_ACTIVATION_LOOP(tanh_loop, tanh_inline(x))
HSI_ACTIVATION_LOOP(hard_sigmoid, clamp_inline(a *x + b, 0.0f, 1.0f))
HSI_ACTIVATION_LOOP(hard_swish, x *clamp_inline(x / 6.0f + 0.5f, 0.0f, 1.0f))
HSI_ACTIVATION_LOOP(elu, x < 0.0f ? a * expm1_inline(x < 0.0f ? x : 0.0f) : x)
HSI_ACTIVATION_LOOP(selu, b *(x < 0.0f ? a * expm1_inline(x < 0.0f ? x : 0.0f) : x))
HSI_ACTIVATION_LOOP(gelu, 0.5f * x * (1.0f + erf_inline(x * 0.707106781f)))
HSI_ACTIVATION_LOOP(silu, x / (1.0f + exp_inline(-x)))
HSI_ACTIVATION_LOOP(softplus, softplus_inline(x))
HSI_ACTIVATION_LOOP(softsign, x / (1.0f + fabsf(x)))
HSI_ACTIVATION_LOOP(mish, mish_inline(x))
HSI_ACTIVATION_LOOP(abs_loop, fabsf(x))
HSI_ACTIVATION_LOOP(neg, -x)
HSI_ACTIVATION_LOOP(exp_limited, exp_between(x, a, b))
HSI_ACTIVATION_LOOP(sqrt_loop, sqrtf(x))
HSI_ACTIVATION_LOOP(reciprocal, 1.0f / x)
HSI_ACTIVATION_LOOP(erf_loop, erf_inline(x))
HSI_ACTIVATION_LOOP(floor_loop, floorf(x))
HSI_ACTIVATION_LOOP(ceil_loop, ceilf(x))
HSI_ACTIVATION_LOOP(gelu_tanh, gelu_tanh_inline(x))
HSI_ACTIVATION_LOOP(thresholded_relu, x > a ? x : 0.0f)
HSI_ACTIVATION_LOOP(log_loop, log_inline(x))

HSI_ACTIVATION_LOOP(round_loop, rintf(x))
HSI_ACTIVATION_LOOP(sign_loop, x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x)
HSI_ACTIVATION_LOOP(atan_loop, atan_inline(x))
HSI_ACTIVATION_LOOP(sinh_loop, sinh_inline(x))
HSI_ACTIVATION_LOOP(cosh_loop, cosh_inline(x))
HSI_ACTIVATION_LOOP(tan_loop, tanf(x)) /* rare: the C library's, one at a time */
HSI_ACTIVATION_LOOP(asin_loop, asin_inline(x))
HSI_ACTIVATION_LOOP(acos_loop, acos_inline(x))
HSI_ACTIVATION_LOOP(asinh_loop, asinhf(x))
HSI_ACTIVATION_LOOP(acosh_loop, acoshf(x))
HSI_ACTIVATION_LOOP(atanh_loop, atanhf(x))
HSI_ACTIVATION_LOOP(sin_near, sine_inline(x, 0))
HSI_ACTIVATION_LOOP(cos_near, sine_inline(x, 1))
HSI_ACTIVATION_LOOP(sin_far, sinf(x))
HSI_ACTIVATION_LOOP(cos_far, cosf(x))

HSI_ISA_INLINE void is_near_body(const float *x, size_t n, int *near)
{
    int all = 1;
    for (size_t i = 0; i < n; i++)
        all &= fabsf(x[i]) <= SINE_REACH;
    *near = all;
}
HSI_ISA_DISPATCH(is_near, (const float *x, size_t n, int *near), (x, n, near))

/* Limits that the compiler knows would become branches with results of their own, and those
 * masks, where a minimum and a maximum are one instruction each. */
static void exp_loop(const float *from, float *y, size_t n, float a, float b)
{
    static const volatile float low = EXP_LOW, high = EXP_HIGH;
    (void)a;
    (void)b;
    exp_limited(from, y, n, low, high);
}

static void sin_loop(const float *from, float *y, size_t n, float a, float b)
{
    int near;
    is_near(from, n, &near);
    (near ? sin_near : sin_far)(from, y, n, a, b);
}

static void cos_loop(const float *from, float *y, size_t n, float a, float b)
{
    int near;
    is_near(from, n, &near);
    (near ? cos_near : cos_far)(from, y, n, a, b);
}

typedef void activation_loop(const float *from, float *y, size_t n, float a, float b);

static activation_loop *const loops[] = {
    [HSCHED_ACTIVATION_RELU] = relu,
    [HSCHED_ACTIVATION_LEAKY_RELU] = leaky_relu,
    [HSCHED_ACTIVATION_CLIP] = clip,
    [HSCHED_ACTIVATION_SIGMOID] = sigmoid,
    [HSCHED_ACTIVATION_TANH] = tanh_loop,
    [HSCHED_ACTIVATION_HARD_SIGMOID] = hard_sigmoid,
    [HSCHED_ACTIVATION_HARD_SWISH] = hard_swish,
    [HSCHED_ACTIVATION_ELU] = elu,
    [HSCHED_ACTIVATION_SELU] = selu,
    [HSCHED_ACTIVATION_GELU] = gelu,
    [HSCHED_ACTIVATION_SILU] = silu,
    [HSCHED_ACTIVATION_SOFTPLUS] = softplus,
    [HSCHED_ACTIVATION_SOFTSIGN] = softsign,
    [HSCHED_ACTIVATION_MISH] = mish,
    [HSCHED_ACTIVATION_ABS] = abs_loop,
    [HSCHED_ACTIVATION_NEG] = neg,
    [HSCHED_ACTIVATION_EXP] = exp_loop,
    [HSCHED_ACTIVATION_LOG] = log_loop,
    [HSCHED_ACTIVATION_SQRT] = sqrt_loop,
    [HSCHED_ACTIVATION_RECIPROCAL] = reciprocal,
    [HSCHED_ACTIVATION_ERF] = erf_loop,
    [HSCHED_ACTIVATION_FLOOR] = floor_loop,
    [HSCHED_ACTIVATION_CEIL] = ceil_loop,
    [HSCHED_ACTIVATION_GELU_TANH] = gelu_tanh,
    [HSCHED_ACTIVATION_THRESHOLDED_RELU] = thresholded_relu,
    [HSCHED_ACTIVATION_ROUND] = round_loop,
    [HSCHED_ACTIVATION_SIGN] = sign_loop,
    [HSCHED_ACTIVATION_SIN] = sin_loop,
    [HSCHED_ACTIVATION_COS] = cos_loop,
    [HSCHED_ACTIVATION_TAN] = tan_loop,
    [HSCHED_ACTIVATION_ASIN] = asin_loop,
    [HSCHED_ACTIVATION_ACOS] = acos_loop,
    [HSCHED_ACTIVATION_ATAN] = atan_loop,
    [HSCHED_ACTIVATION_SINH] = sinh_loop,
    [HSCHED_ACTIVATION_COSH] = cosh_loop,
    [HSCHED_ACTIVATION_ASINH] = asinh_loop,
    [HSCHED_ACTIVATION_ACOSH] = acosh_loop,
    [HSCHED_ACTIVATION_ATANH] = atanh_loop,
    [HSCHED_ACTIVATION_FAKE_QUANTIZE] = hsi_cpu_fake_quantize,
};

void hsi_cpu_activate(hsched_activation act, float *y, size_t n)
{
    if ((size_t)act.kind < sizeof loops / sizeof *loops && loops[act.kind])
        loops[act.kind](y, y, n, act.a, act.b);
}

void hsi_cpu_activate_to(hsched_activation act, const float *x, float *y, size_t n)
{
    if ((size_t)act.kind < sizeof loops / sizeof *loops && loops[act.kind])
        loops[act.kind](x, y, n, act.a, act.b);
    else if (x != y)
        memcpy(y, x, n * sizeof *y);
}

int hsi_cpu_activation_is_clamp(hsched_activation act, float *lo, float *hi)
{
    *lo = -INFINITY;
    *hi = INFINITY;
    switch (act.kind) {
    case HSCHED_ACTIVATION_NONE:
        return 1;
    case HSCHED_ACTIVATION_RELU:
        *lo = 0.0f;
        return 1;
    case HSCHED_ACTIVATION_CLIP:
        *lo = act.a;
        *hi = act.b;
        return 1;
    default:
        return 0;
    }
}
