/* CAST, WHERE, comparisons, and UNARY and BINARY of integers and bool. In place is fine: an element
 * is read before it is written, by the same thread. */
#include "backend/cuda/kernels/types.cuh"

/* ---- CAST ------------------------------------------------------------------- */

struct cast {
    static __device__ __forceinline__ void run(const hsi_cuda_cast_params &p,
                                               const hsi_cuda_addresses &a, uint32_t i)
    {
        int64_t at[2];
        nest_offsets(p.nest, i, at);
        if (is_whole(p.from)) {
            const int64_t x = load_whole(p.from, a.in[0], at[1]);
            if (p.to_float32)
                store_real(p.to, a.out, at[0], (float)x);
            else
                store_whole(p.to, a.out, at[0], x);
        } else if (p.from == HSI_CUDA_STORED_F64) {
            const double x = reinterpret_cast<const double *>(a.in[0])[at[1]];
            if (p.to_float32)
                store_real(p.to, a.out, at[0], (float)x);
            else
                store_double(p.to, a.out, at[0], x);
        } else {
            store_real(p.to, a.out, at[0], load_real(p.from, a.in[0], at[1]));
        }
    }
};

/* ---- WHERE ------------------------------------------------------------------ */

template <int BYTES> struct where {
    static __device__ __forceinline__ void run(const hsi_cuda_where_params &p,
                                               const hsi_cuda_addresses &a, uint32_t i)
    {
        typedef typename word_of<BYTES>::type word;
        int64_t at[4];
        nest_offsets(p.nest, i, at);
        const bool first = reinterpret_cast<const uint8_t *>(a.in[0])[at[1]] != 0;
        const word *from = reinterpret_cast<const word *>(first ? a.in[1] : a.in[2]);
        reinterpret_cast<word *>(a.out)[at[0]] = from[first ? at[2] : at[3]];
    }
};

/* ---- UNARY: wraps around where the type ends --------------------------------- */

__device__ __forceinline__ int64_t activate_whole(int kind, int64_t x)
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

struct unary_whole {
    static __device__ __forceinline__ void run(const hsi_cuda_typed_params &p,
                                               const hsi_cuda_addresses &a, uint32_t i)
    {
        int64_t at[2];
        nest_offsets(p.nest, i, at);
        const int64_t x = load_whole(p.stored, a.in[0], at[1]);
        store_whole(p.stored, a.out, at[0], activate_whole(p.kind, x));
    }
};

/* ---- BINARY ------------------------------------------------------------------ */

template <typename T> __device__ __forceinline__ bool holds(int kind, T a, T b)
{
    switch (kind) {
    case HSCHED_BINARY_EQUAL:
        return a == b;
    case HSCHED_BINARY_GREATER:
        return a > b;
    case HSCHED_BINARY_GREATER_OR_EQUAL:
        return a >= b;
    case HSCHED_BINARY_LESS:
        return a < b;
    default:
        return a <= b;
    }
}

/* 1 / x^n is a fraction, but for 1 and -1. */
__device__ __forceinline__ uint64_t power(uint64_t base, int64_t exponent)
{
    uint64_t result = 1;
    if (exponent < 0)
        return base == 1 || base == UINT64_MAX ? (exponent % 2 != 0 ? base : 1) : 0;
    for (; exponent > 0; exponent >>= 1, base *= base)
        if (exponent & 1)
            result *= base;
    return result;
}

__device__ __forceinline__ int64_t quotient(int kind, int64_t a, int64_t b)
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

__device__ __forceinline__ int64_t shifted(int kind, int64_t a, int64_t b, int bits)
{
    if (b < 0 || b >= bits)
        return kind == HSCHED_BINARY_SHIFT_RIGHT && a < 0 ? -1 : 0;
    return kind == HSCHED_BINARY_SHIFT_LEFT ? (int64_t)((uint64_t)a << b) : a >> b;
}

__device__ __forceinline__ int64_t combine_whole(int kind, int64_t a, int64_t b, int bits)
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
        return shifted(kind, a, b, bits);
    default:
        return quotient(kind, a, b);
    }
}

struct binary_whole {
    static __device__ __forceinline__ void run(const hsi_cuda_typed_params &p,
                                               const hsi_cuda_addresses &a, uint32_t i)
    {
        int64_t at[3];
        nest_offsets(p.nest, i, at);
        const int64_t x = load_whole(p.stored, a.in[0], at[1]),
                      y = load_whole(p.stored, a.in[1], at[2]);
        if (p.kind >= HSCHED_BINARY_EQUAL && p.kind <= HSCHED_BINARY_LESS_OR_EQUAL)
            put(a.out, at[0], (uint8_t)holds(p.kind, x, y));
        else
            store_whole(p.stored, a.out, at[0], combine_whole(p.kind, x, y, p.bits));
    }
};

/* Floats: with a not-a-number nothing holds. */
struct compare {
    static __device__ __forceinline__ void run(const hsi_cuda_typed_params &p,
                                               const hsi_cuda_addresses &a, uint32_t i)
    {
        int64_t at[3];
        nest_offsets(p.nest, i, at);
        const float x = load_real(p.stored, a.in[0], at[1]),
                    y = load_real(p.stored, a.in[1], at[2]);
        put(a.out, at[0], (uint8_t)holds(p.kind, x, y));
    }
};

/* ---- Kernels ----------------------------------------------------------------- */

template <typename KIND, typename PARAMS>
__device__ __forceinline__ void for_each(const PARAMS &p, const hsi_cuda_addresses &a)
{
    const uint32_t step = gridDim.x * blockDim.x;
    for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < p.nest.count; i += step)
        KIND::run(p, a, i);
}

#define TYPES_KERNEL(name, params, kind)                                                 \
    extern "C" __global__ void __launch_bounds__(HSI_CUDA_TYPES_THREADS) name(           \
        const __grid_constant__ params p, const __grid_constant__ hsi_cuda_addresses a)  \
    {                                                                                    \
        for_each<kind>(p, a);                                                            \
    }
TYPES_KERNEL(types_cast, hsi_cuda_cast_params, cast)
TYPES_KERNEL(types_where_1, hsi_cuda_where_params, where<1>)
TYPES_KERNEL(types_where_2, hsi_cuda_where_params, where<2>)
TYPES_KERNEL(types_where_4, hsi_cuda_where_params, where<4>)
TYPES_KERNEL(types_where_8, hsi_cuda_where_params, where<8>)
TYPES_KERNEL(types_unary, hsi_cuda_typed_params, unary_whole)
TYPES_KERNEL(types_binary, hsi_cuda_typed_params, binary_whole)
TYPES_KERNEL(types_compare, hsi_cuda_typed_params, compare)
