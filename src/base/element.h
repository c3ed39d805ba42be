/*
 * Elements one by one: which types the arithmetic takes, and the conversions between
 * types by the rules of hsched_graph_add_cast. The conversions have no branches on
 * values, so that loops over them become vector code where the machine has such.
 */
#ifndef HSI_BASE_ELEMENT_H
#define HSI_BASE_ELEMENT_H

#include <hsched/hsched.h>

#include <math.h>
#include <string.h>

/* int64, int32, int8 or uint8. */
static inline int hsi_is_integer(hsched_dtype dtype)
{
    return dtype == HSCHED_INT64 || dtype == HSCHED_INT32 || dtype == HSCHED_INT8 ||
           dtype == HSCHED_UINT8;
}

/* float16 or bfloat16. */
static inline int hsi_is_narrow_float(hsched_dtype dtype)
{
    return dtype == HSCHED_FLOAT16 || dtype == HSCHED_BFLOAT16;
}

/* What is computed in its own type and has fractions: float32 or float64. */
static inline int hsi_is_real(hsched_dtype dtype)
{
    return dtype == HSCHED_FLOAT32 || dtype == HSCHED_FLOAT64;
}

/* 1 if that kind of arithmetic, or activation, has operands of that type. */
int hsi_binary_takes(hsched_binary_kind kind, hsched_dtype dtype);
static inline int hsi_binary_is_known(hsched_binary_kind kind)
{
    return kind >= HSCHED_BINARY_ADD && kind <= HSCHED_BINARY_SHIFT_RIGHT;
}
static inline int hsi_binary_compares(hsched_binary_kind kind)
{
    return kind >= HSCHED_BINARY_EQUAL && kind <= HSCHED_BINARY_LESS_OR_EQUAL;
}
int hsi_activation_takes(hsched_activation_kind kind, hsched_dtype dtype);

/* ---- Bits ----------------------------------------------------------------- */

static inline __attribute__((always_inline)) float hsi_float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline __attribute__((always_inline)) uint32_t hsi_bits_of_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* ---- Narrow floats. A not-a-number becomes a quiet one. -------------------- */

static inline __attribute__((always_inline)) float hsi_float_of_half(uint16_t half)
{
    uint32_t bits = (uint32_t)(half & 0x7fff) << 13;
    /* The exponent's bias grows by 112; in two steps for infinities, by a subtraction of
     * floats, which is exact, for what is smaller than half's normal numbers. */
    uint32_t normal = bits + (UINT32_C(112) << 23);
    uint32_t special = bits + (UINT32_C(224) << 23);
    special |= bits > UINT32_C(0x0f800000) ? UINT32_C(0x400000) : 0;
    uint32_t small = hsi_bits_of_float(hsi_float_of_bits(bits + (UINT32_C(113) << 23)) -
                                       hsi_float_of_bits(UINT32_C(113) << 23));
    uint32_t result = bits < UINT32_C(0x00800000) ? small : normal;
    result = bits >= UINT32_C(0x0f800000) ? special : result;
    return hsi_float_of_bits(result | (uint32_t)(half & 0x8000) << 16);
}

static inline __attribute__((always_inline)) uint16_t hsi_half_of_float(float value)
{
    uint32_t bits = hsi_bits_of_float(value), sign = bits & UINT32_C(0x80000000);
    bits ^= sign;
    /* Below the normal numbers of half: adding 0.5 rounds at the bit that is half's last
     * one. */
    uint32_t small =
        hsi_bits_of_float(hsi_float_of_bits(bits) + 0.5f) - UINT32_C(0x3f000000);
    uint32_t normal = (bits - (UINT32_C(112) << 23) + 0xfff + (bits >> 13 & 1)) >> 13;
    uint32_t result = bits < (UINT32_C(113) << 23) ? small : normal;
    result = bits >= UINT32_C(0x477ff000) ? UINT32_C(0x7c00) : result; /* 65520 */
    result =
        bits > UINT32_C(0x7f800000) ? UINT32_C(0x7e00) | (bits >> 13 & 0x3ff) : result;
    return (uint16_t)(result | sign >> 16);
}

static inline __attribute__((always_inline)) float hsi_float_of_bfloat(uint16_t narrow)
{
    uint32_t bits = (uint32_t)narrow << 16;
    bits |= (bits & UINT32_C(0x7fffffff)) > UINT32_C(0x7f800000) ? UINT32_C(0x400000) : 0;
    return hsi_float_of_bits(bits);
}

static inline __attribute__((always_inline)) uint16_t hsi_bfloat_of_float(float value)
{
    uint32_t bits = hsi_bits_of_float(value);
    uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    uint32_t quiet = bits >> 16 | 0x40;
    return (uint16_t)((bits & UINT32_C(0x7fffffff)) > UINT32_C(0x7f800000) ? quiet
                                                                           : rounded);
}

/* A float that rounds to narrower ones as the double does: the last bit says whether
 * anything was lost. */
static inline __attribute__((always_inline)) float hsi_float_to_odd(double value)
{
    float nearest = (float)value;
    uint32_t bits = hsi_bits_of_float(nearest);
    double back = (double)nearest;
    /* Towards 0 first, then odd. Infinity from a finite value becomes the largest. */
    uint32_t toward_zero = bits - (fabs(back) > fabs(value) ? 1 : 0);
    return hsi_float_of_bits(back != value && value == value ? toward_zero | 1 : bits);
}

static inline __attribute__((always_inline)) uint16_t hsi_half_of_double(double value)
{
    return hsi_half_of_float(hsi_float_to_odd(value));
}

static inline __attribute__((always_inline)) uint16_t hsi_bfloat_of_double(double value)
{
    return hsi_bfloat_of_float(hsi_float_to_odd(value));
}

/* ---- Floats to integers ---------------------------------------------------- */

/* `low` and `above` are floats: the least that the type holds and the first beyond it;
 * `below_above` is the largest float below that. */
#define HSI_FLOAT_TO_INTEGER(name, real, type, low, above, below_above, least, most)     \
    static inline __attribute__((always_inline)) type name(real x)                       \
    {                                                                                    \
        real c = x < (low) ? (low) : x;                                                  \
        c = c < (above) ? c : (below_above);                                             \
        c = x == x ? c : 0;                                                              \
        type i = (type)c;                                                                \
        return x >= (above) ? (most) : i;                                                \
    }
HSI_FLOAT_TO_INTEGER(hsi_int64_of_float, float, int64_t, -0x1p63f, 0x1p63f,
                     0x1.fffffep62f, INT64_MIN, INT64_MAX)
HSI_FLOAT_TO_INTEGER(hsi_int32_of_float, float, int32_t, -0x1p31f, 0x1p31f,
                     0x1.fffffep30f, INT32_MIN, INT32_MAX)
HSI_FLOAT_TO_INTEGER(hsi_int64_of_double, double, int64_t, -0x1p63, 0x1p63,
                     0x1.fffffffffffffp62, INT64_MIN, INT64_MAX)
HSI_FLOAT_TO_INTEGER(hsi_int32_of_double, double, int32_t, -0x1p31, 0x1p31, 2147483647.0,
                     INT32_MIN, INT32_MAX)
#undef HSI_FLOAT_TO_INTEGER

/* Through int32, which vectors know. */
static inline __attribute__((always_inline)) int8_t hsi_int8_of_double(double x)
{
    int32_t i = hsi_int32_of_double(x);
    i = i < -128 ? -128 : i;
    return (int8_t)(i > 127 ? 127 : i);
}
static inline __attribute__((always_inline)) uint8_t hsi_uint8_of_double(double x)
{
    int32_t i = hsi_int32_of_double(x);
    i = i < 0 ? 0 : i;
    return (uint8_t)(i > 255 ? 255 : i);
}
static inline __attribute__((always_inline)) int8_t hsi_int8_of_float(float x)
{
    int32_t i = hsi_int32_of_float(x);
    i = i < -128 ? -128 : i;
    return (int8_t)(i > 127 ? 127 : i);
}
static inline __attribute__((always_inline)) uint8_t hsi_uint8_of_float(float x)
{
    float c = x > 0 ? x : 0; /* not-a-number, too, is 0 */
    c = c < 255 ? c : 255;
    return (uint8_t)(int32_t)c;
}

#endif
