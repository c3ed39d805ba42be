/* The exponential for loops that the compiler turns into vector code (isa.h). */
#ifndef HSI_BACKEND_CPU_EXP_H
#define HSI_BACKEND_CPU_EXP_H

#include <stdint.h>

#include "backend/cpu/isa.h"

HSI_ISA_INLINE float float_of(uint32_t bits)
{
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}

HSI_ISA_INLINE uint32_t bits_of(float value)
{
    uint32_t bits;
    __builtin_memcpy(&bits, &value, sizeof bits);
    return bits;
}

/*
 * x = n * log(2) + r, |r| <= log(2)/2, n in *exponent; gives exp(r) - 1. Adding 1.5 *
 * 2^23 rounds to an integer and leaves it in the low bits of the sum, without a
 * conversion that NaN would make undefined.
 */
HSI_ISA_INLINE float exp_reduced(float x, int32_t *exponent)
{
    const float magic = 12582912.0f;
    float shifted = x * 1.44269504f + magic;
    float n = shifted - magic;
    *exponent = (int32_t)(bits_of(shifted) - bits_of(magic));
    float r = x - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    return p * r * r + r;
}

/* 2^n for -126 <= n <= 127, 0 for -127; anything for an n that came from NaN. */
HSI_ISA_INLINE float power_of_two(int32_t n)
{
    return float_of((uint32_t)(n + 127) << 23);
}

#define EXP_LOW  -87.6f /* n is -126 */
#define EXP_HIGH 89.0f

/* Of an x within these limits, or a not-a-number. The sum that rounds, here of 1.5 * 2^23 + 126 and
 * n, ends in what the exponent of half of 2^n is: 2^128 is no float, but its product with exp(r)
 * can be. At the other end 2^-127, which is none either, becomes 0. */
HSI_ISA_INLINE float exp_within(float x)
{
    const float magic = 12582912.0f + 126.0f;
    const float shifted = x * 1.44269504f + magic, n = shifted - magic;
    float r = x - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    float p = 2 * 1.3814540580e-3f; /* twice exp(r) */
    p = p * r + 2 * 8.3687454461e-3f;
    p = p * r + 2 * 4.1668388993e-2f;
    p = p * r + 2 * 1.6666521132e-1f;
    p = p * r + 2 * 4.9999994040e-1f;
    p = p * r + 2;
    p = p * r + 2;
    return p * float_of(bits_of(shifted) << 23);
}

HSI_ISA_INLINE float exp_between(float x, float low, float high)
{
    x = x < low ? low : x;
    x = x > high ? high : x;
    return exp_within(x);
}

HSI_ISA_INLINE float exp_inline(float x)
{
    return exp_between(x, EXP_LOW, EXP_HIGH);
}

#endif
