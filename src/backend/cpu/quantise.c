/*
 * FAKE_QUANTIZE: a * min(max(round(x / a), b), b + 255). Divisions would take most of the time:
 * where products and sums are fused the quotient is found by multiplying with 1 / a and put right
 * once, which gives what a division rounds to.
 *
 * After: Markstein, Computation of elementary functions on the IBM RISC System/6000 processor,
 * 1990.
 */
#include "backend/cpu/isa.h"
#include "backend/cpu/kernel.h"

HSI_ISA_INLINE float clamp(float x, float lo, float hi)
{
    x = x < lo ? lo : x;
    return x > hi ? hi : x;
}

/* Limits are whole numbers, so that rounding may come after them; what is then small enough
 * becomes whole by the sum with a number whose last bit is 1. */
HSI_ISA_INLINE float level_of(float quotient, float b)
{
    const float magic = 12582912.0f;
    return clamp(quotient, b, b + 255.0f) + magic - magic;
}

HSI_ISA_INLINE void divide_body(const float *from, float *y, size_t n, float a, float b)
{
    _Pragma("GCC ivdep") for (size_t i = 0; i < n; i++) y[i] =
        a * level_of(from[i] / a, b);
}
HSI_ISA_DISPATCH(divide, (const float *from, float *y, size_t n, float a, float b),
                 (from, y, n, a, b))

#if HSI_ISA_X86
/* What is beyond the limits is their level, whatever it is: no quotient overflows. */
HSI_ISA_INLINE void multiply_body(const float *from, float *y, size_t n, float a, float b)
{
    const float inverse = 1.0f / a, lo = a * (b - 2.0f), hi = a * (b + 257.0f);
    _Pragma("GCC ivdep") for (size_t i = 0; i < n; i++)
    {
        const float x = clamp(from[i], lo, hi), q = x * inverse;
        const float rest = __builtin_fmaf(-q, a, x);
        y[i] = a * level_of(__builtin_fmaf(rest, inverse, q), b);
    }
}

HSI_TARGET_AVX512 HSI_ISA_OPTIMIZE static void multiply_avx512(const float *from,
                                                               float *y, size_t n,
                                                               float a, float b)
{
    multiply_body(from, y, n, a, b);
}

HSI_TARGET_AVX2 HSI_ISA_OPTIMIZE static void multiply_avx2(const float *from, float *y,
                                                           size_t n, float a, float b)
{
    multiply_body(from, y, n, a, b);
}
#endif

void hsi_cpu_fake_quantize(const float *from, float *y, size_t n, float a, float b)
{
#if HSI_ISA_X86
    /* 1 / a, and what is multiplied with it, are no denormals. */
    const int usual = a >= 1e-30f && a <= 1e30f;
    const hsi_isa isa = hsi_isa_best();
    if (usual && isa == HSI_ISA_AVX512) {
        multiply_avx512(from, y, n, a, b);
        return;
    }
    if (usual && isa == HSI_ISA_AVX2) {
        multiply_avx2(from, y, n, a, b);
        return;
    }
#endif
    divide(from, y, n, a, b);
}
