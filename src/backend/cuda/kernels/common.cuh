/* What the kernels share: number formats, activations, indices of strided tensors. */
#ifndef HSI_BACKEND_CUDA_KERNELS_COMMON_CUH
#define HSI_BACKEND_CUDA_KERNELS_COMMON_CUH

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>

#include <hsched/hsched.h>

#include "backend/cuda/kernels/nest.h"

/* ---- Number formats: arithmetic is in float, storage in T ----------------- */

__device__ __forceinline__ float to_float(float x)
{
    return x;
}
__device__ __forceinline__ float to_float(__half x)
{
    return __half2float(x);
}
__device__ __forceinline__ float to_float(__nv_bfloat16 x)
{
    return __bfloat162float(x);
}

template <typename T> __device__ __forceinline__ T from_float(float x);
template <> __device__ __forceinline__ float from_float<float>(float x)
{
    return x;
}
template <> __device__ __forceinline__ __half from_float<__half>(float x)
{
    return __float2half_rn(x);
}
template <> __device__ __forceinline__ __nv_bfloat16 from_float<__nv_bfloat16>(float x)
{
    return __float2bfloat16_rn(x);
}

/* ---- Activations: the formulas of HSCHED_ACTIVATION_LIST ------------------ */

__device__ __forceinline__ float softplus(float x)
{
    return fmaxf(x, 0.0f) + log1pf(expf(-fabsf(x)));
}

/* Comparisons let a NaN pass through. */
__device__ __forceinline__ float clamp(float x, float low, float high)
{
    x = x < low ? low : x;
    return x > high ? high : x;
}

/* The rare ones, out of line so that they cost the common ones no registers. */
static __device__ __noinline__ float apply_rare_act(float x, hsched_activation act)
{
    const float a = act.a, b = act.b;
    switch (act.kind) {
    case HSCHED_ACTIVATION_HARD_SIGMOID:
        return clamp(a * x + b, 0.0f, 1.0f);
    case HSCHED_ACTIVATION_ELU:
        return x < 0 ? a * expm1f(x) : x;
    case HSCHED_ACTIVATION_SELU:
        return b * (x < 0 ? a * expm1f(x) : x);
    case HSCHED_ACTIVATION_GELU:
        return 0.5f * x * (1.0f + erff(x * 0.70710678118654752f));
    case HSCHED_ACTIVATION_SOFTPLUS:
        return softplus(x);
    case HSCHED_ACTIVATION_SOFTSIGN:
        return x / (1.0f + fabsf(x));
    case HSCHED_ACTIVATION_MISH:
        return x * tanhf(softplus(x));
    case HSCHED_ACTIVATION_ABS:
        return fabsf(x);
    case HSCHED_ACTIVATION_NEG:
        return -x;
    case HSCHED_ACTIVATION_EXP:
        return expf(x);
    case HSCHED_ACTIVATION_LOG:
        return logf(x);
    case HSCHED_ACTIVATION_SQRT:
        return sqrtf(x);
    case HSCHED_ACTIVATION_RECIPROCAL:
        return 1.0f / x;
    case HSCHED_ACTIVATION_ERF:
        return erff(x);
    case HSCHED_ACTIVATION_FLOOR:
        return floorf(x);
    case HSCHED_ACTIVATION_CEIL:
        return ceilf(x);
    case HSCHED_ACTIVATION_GELU_TANH:
        return 0.5f * x *
               (1.0f + tanhf(0.79788456080286536f * (x + 0.044715f * x * x * x)));
    case HSCHED_ACTIVATION_THRESHOLDED_RELU:
        return x > a ? x : 0.0f;
    case HSCHED_ACTIVATION_TANH:
        return tanhf(x);
    case HSCHED_ACTIVATION_ROUND:
        return rintf(x);
    case HSCHED_ACTIVATION_SIGN:
        return x > 0 ? 1.0f : x < 0 ? -1.0f : x;
    case HSCHED_ACTIVATION_SIN:
        return sinf(x);
    case HSCHED_ACTIVATION_COS:
        return cosf(x);
    case HSCHED_ACTIVATION_TAN:
        return tanf(x);
    case HSCHED_ACTIVATION_ASIN:
        return asinf(x);
    case HSCHED_ACTIVATION_ACOS:
        return acosf(x);
    case HSCHED_ACTIVATION_ATAN:
        return atanf(x);
    case HSCHED_ACTIVATION_SINH:
        return sinhf(x);
    case HSCHED_ACTIVATION_COSH:
        return coshf(x);
    case HSCHED_ACTIVATION_ASINH:
        return asinhf(x);
    case HSCHED_ACTIVATION_ACOSH:
        return acoshf(x);
    case HSCHED_ACTIVATION_ATANH:
        return atanhf(x);
    case HSCHED_ACTIVATION_FAKE_QUANTIZE: /* the quotient as ONNX rounds it */
        return a * clamp(rintf(__fdiv_rn(x, a)), b, b + 255.0f);
    default:
        return x;
    }
}

__device__ __forceinline__ float apply_act(float x, hsched_activation act)
{
    switch (act.kind) {
    case HSCHED_ACTIVATION_NONE:
        return x;
    case HSCHED_ACTIVATION_RELU:
        return x < 0 ? 0.0f : x;
    case HSCHED_ACTIVATION_LEAKY_RELU:
        return x < 0 ? act.a * x : x;
    case HSCHED_ACTIVATION_CLIP:
        return clamp(x, act.a, act.b);
    case HSCHED_ACTIVATION_SIGMOID:
        return 1.0f / (1.0f + expf(-x));
    case HSCHED_ACTIVATION_SILU:
        return x / (1.0f + expf(-x));
    case HSCHED_ACTIVATION_HARD_SWISH:
        return x * clamp(x * (1.0f / 6.0f) + 0.5f, 0.0f, 1.0f);
    default:
        return apply_rare_act(x, act);
    }
}

/* The same for several elements, decided once. */
template <int N>
__device__ __forceinline__ void apply_act_each(float (&x)[N], hsched_activation act)
{
    if (act.kind == HSCHED_ACTIVATION_NONE)
        return;
#pragma unroll
    for (int i = 0; i < N; i++)
        x[i] = act.kind == HSCHED_ACTIVATION_RELU ? (x[i] < 0 ? 0.0f : x[i])
                                                  : apply_act(x[i], act);
}

/* ---- Wide accesses: words of 1 to 32 bytes, addresses multiples of 16 at most ---- */

struct words_32 {
    uint4 low, high;
};
template <int BYTES> struct word_of;
template <> struct word_of<1> {
    typedef uint8_t type;
};
template <> struct word_of<2> {
    typedef uint16_t type;
};
template <> struct word_of<4> {
    typedef uint32_t type;
};
template <> struct word_of<8> {
    typedef uint2 type;
};
template <> struct word_of<16> {
    typedef uint4 type;
};
template <> struct word_of<32> {
    typedef words_32 type;
};

/* N elements that lie one behind the other; p is a multiple of their size, or of 16. */
template <typename T, int N>
__device__ __forceinline__ void load_floats(const T *p, float (&x)[N])
{
    const auto raw = *reinterpret_cast<const typename word_of<N * sizeof(T)>::type *>(p);
    const T *elements = reinterpret_cast<const T *>(&raw);
#pragma unroll
    for (int i = 0; i < N; i++)
        x[i] = to_float(elements[i]);
}

template <typename T, int N>
__device__ __forceinline__ void store_floats(T *p, const float (&x)[N])
{
    typename word_of<N * sizeof(T)>::type raw;
    T *elements = reinterpret_cast<T *>(&raw);
#pragma unroll
    for (int i = 0; i < N; i++)
        elements[i] = from_float<T>(x[i]);
    *reinterpret_cast<typename word_of<N * sizeof(T)>::type *>(p) = raw;
}

/* ---- Indices of strided tensors (nest.h) ---------------------------------- */

/* n < 2^31 */
__device__ __forceinline__ uint32_t divide(uint32_t n, const hsi_cuda_divisor &by)
{
    return (__umulhi(n, by.multiplier) + n) >> by.shift;
}

/* Where element `index` of the nest lies in the first N operands, in elements. */
template <int N>
__device__ __forceinline__ void nest_offsets(const hsi_cuda_nest &nest, uint32_t index,
                                             int64_t (&at)[N])
{
#pragma unroll
    for (int k = 0; k < N; k++)
        at[k] = 0;
    for (uint32_t d = 0; d < nest.rank; d++) {
        uint32_t i = index;
        if (d + 1 < nest.rank) { /* the outermost needs no division */
            index = divide(index, nest.dims[d]);
            i -= index * nest.dims[d].divisor;
        }
#pragma unroll
        for (int k = 0; k < N; k++)
            at[k] += (int64_t)i * nest.strides[k][d];
    }
}

#endif
