/* CAST: a loop for each pair of types; integers among themselves by their low bits. */
#include "base/alloc.h"
#include "base/element.h"
#include "backend/cpu/blocks.h"
#include "backend/cpu/isa.h"

typedef uint16_t half;
typedef uint16_t bfloat;
typedef uint8_t boolean;

#define CAST_LOOP(name, from, to, expression)                                            \
    HSI_ISA_INLINE void name##_body(const void *const *in, void *out, int64_t n)         \
    {                                                                                    \
        const from *restrict a = in[0];                                                  \
        to *restrict y = out; /* of another type: never the same memory */               \
        for (int64_t i = 0; i < n; i++) {                                                \
            from x = a[i];                                                               \
            y[i] = (to)(expression);                                                     \
        }                                                                                \
    }                                                                                    \
    HSI_ISA_DISPATCH(name, (const void *const *in, void *out, int64_t n), (in, out, n))

/* From a type whose values are integers, and from one whose are floats of `suffix`, with
 * `x` made plain by `value`. */
#define CASTS_OF_INTEGER(type, value)                                                    \
    CAST_LOOP(type##_to_float, type, float, value)                                       \
    CAST_LOOP(type##_to_double, type, double, value)                                     \
    CAST_LOOP(type##_to_half, type, half, hsi_half_of_double((double)(value)))           \
    CAST_LOOP(type##_to_bfloat, type, bfloat, hsi_bfloat_of_double((double)(value)))     \
    CAST_LOOP(type##_to_int64, type, int64_t, value)                                     \
    CAST_LOOP(type##_to_int32, type, int32_t, value)                                     \
    CAST_LOOP(type##_to_int8, type, int8_t, value)                                       \
    CAST_LOOP(type##_to_uint8, type, uint8_t, value)                                     \
    CAST_LOOP(type##_to_boolean, type, boolean, (value) != 0)

#define CASTS_OF_FLOAT(type, value, suffix)                                              \
    CAST_LOOP(type##_to_float, type, float, value)                                       \
    CAST_LOOP(type##_to_double, type, double, value)                                     \
    CAST_LOOP(type##_to_half, type, half, hsi_half_of_##suffix(value))                   \
    CAST_LOOP(type##_to_bfloat, type, bfloat, hsi_bfloat_of_##suffix(value))             \
    CAST_LOOP(type##_to_int64, type, int64_t, hsi_int64_of_##suffix(value))              \
    CAST_LOOP(type##_to_int32, type, int32_t, hsi_int32_of_##suffix(value))              \
    CAST_LOOP(type##_to_int8, type, int8_t, hsi_int8_of_##suffix(value))                 \
    CAST_LOOP(type##_to_uint8, type, uint8_t, hsi_uint8_of_##suffix(value))              \
    CAST_LOOP(type##_to_boolean, type, boolean, (value) != 0)

CASTS_OF_INTEGER(int64_t, x)
CASTS_OF_INTEGER(int32_t, x)
CASTS_OF_INTEGER(int8_t, x)
CASTS_OF_INTEGER(uint8_t, x)
CASTS_OF_INTEGER(boolean, x != 0)
CASTS_OF_FLOAT(float, x, float)
CASTS_OF_FLOAT(double, x, double)
CASTS_OF_FLOAT(half, hsi_float_of_half(x), float)
CASTS_OF_FLOAT(bfloat, hsi_float_of_bfloat(x), float)

/* As hsi_uint8_of_float. Limits that the compiler knows would become masks, where a minimum and a
 * maximum are one instruction each. */
HSI_ISA_INLINE void bytes_between_body(const float *restrict x, uint8_t *restrict y,
                                       int64_t n, float low, float high)
{
    for (int64_t i = 0; i < n; i++) {
        float c = x[i] > low ? x[i] : low;
        c = c < high ? c : high;
        y[i] = (uint8_t)(int32_t)c;
    }
}
HSI_ISA_DISPATCH(bytes_between,
                 (const float *restrict x, uint8_t *restrict y, int64_t n, float low,
                  float high),
                 (x, y, n, low, high))

static void float_to_bytes(const void *const *in, void *out, int64_t n)
{
    static const volatile float low = 0, high = 255;
    bytes_between(in[0], out, n, low, high);
}

#if HSI_ISA_X86
/* Processors convert halves by themselves, with the same results. */
#include <immintrin.h>

__attribute__((target("avx,f16c"))) static void float_to_half_f16c(const void *const *in,
                                                                   void *out, int64_t n)
{
    const float *x = in[0];
    half *y = out;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm_storeu_si128((__m128i *)(void *)(y + i),
                         _mm256_cvtps_ph(_mm256_loadu_ps(x + i), 0));
    for (; i < n; i++)
        y[i] = hsi_half_of_float(x[i]);
}

__attribute__((target("avx,f16c"))) static void half_to_float_f16c(const void *const *in,
                                                                   void *out, int64_t n)
{
    const half *x = in[0];
    float *y = out;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, _mm256_cvtph_ps(_mm_loadu_si128(
                                    (const __m128i *)(const void *)(x + i))));
    for (; i < n; i++)
        y[i] = hsi_float_of_half(x[i]);
}

static hsi_cpu_block_loop *better_loop(hsched_dtype from, hsched_dtype to)
{
    if (hsi_isa_best() == HSI_ISA_BASE || !__builtin_cpu_supports("f16c"))
        return NULL;
    if (from == HSCHED_FLOAT32 && to == HSCHED_FLOAT16)
        return float_to_half_f16c;
    return from == HSCHED_FLOAT16 && to == HSCHED_FLOAT32 ? half_to_float_f16c : NULL;
}
#else
static hsi_cpu_block_loop *better_loop(hsched_dtype from, hsched_dtype to)
{
    (void)from;
    (void)to;
    return NULL;
}
#endif

#define ROW(type)                                                                        \
    {                                                                                    \
        [HSCHED_FLOAT32] = type##_to_float, [HSCHED_FLOAT64] = type##_to_double,         \
        [HSCHED_FLOAT16] = type##_to_half, [HSCHED_BFLOAT16] = type##_to_bfloat,         \
        [HSCHED_INT64] = type##_to_int64, [HSCHED_INT32] = type##_to_int32,              \
        [HSCHED_INT8] = type##_to_int8, [HSCHED_UINT8] = type##_to_uint8,                \
        [HSCHED_BOOL] = type##_to_boolean                                                \
    }

static hsi_cpu_block_loop *const loops[][HSCHED_FLOAT64 + 1] = {
    [HSCHED_FLOAT32] = ROW(float), [HSCHED_FLOAT64] = ROW(double),
    [HSCHED_FLOAT16] = ROW(half),  [HSCHED_BFLOAT16] = ROW(bfloat),
    [HSCHED_INT64] = ROW(int64_t), [HSCHED_INT32] = ROW(int32_t),
    [HSCHED_INT8] = ROW(int8_t),   [HSCHED_UINT8] = ROW(uint8_t),
    [HSCHED_BOOL] = ROW(boolean),
};

static hsched_status cast_prepare(const hsi_cpu_prepare_context *context,
                                  hsched_step *step, hsi_cpu_prepared *prepared)
{
    hsi_cpu_block_loop *loop = better_loop(step->in[0].dtype, step->out.dtype);
    (void)context;
    if (step->in[0].dtype == HSCHED_FLOAT32 && step->out.dtype == HSCHED_UINT8)
        loop = float_to_bytes;
    if (loop == NULL)
        loop = loops[step->in[0].dtype][step->out.dtype];
    return hsi_cpu_blocks_prepare(step, 1, loop, prepared);
}

static const hsi_cpu_kernel cast_kernel = {
    .name = "own/cast",
    .kind = HSCHED_STEP_CAST,
    .library = HSCHED_LIBRARY_OWN,
    .prepare = cast_prepare,
    .destroy = hsi_free,
    .run = hsi_cpu_blocks_run,
};

const hsi_cpu_kernel *const hsi_cpu_kernels_cast[] = { &cast_kernel, NULL };
