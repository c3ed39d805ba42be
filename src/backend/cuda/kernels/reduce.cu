/* REDUCE. Sums are made in an order that depends on the shape alone. */
#include "backend/cuda/kernels/group.cuh"
#include "backend/cuda/kernels/reduce.h"
#include "backend/cuda/kernels/types.cuh"

/* ---- Floats ------------------------------------------------------------------ */

/* A not-a-number is the result. */
struct largest {
    static constexpr float neutral = -INFINITY;
    static __device__ __forceinline__ float of(float a, float b)
    {
        return isnan(b) || b > a ? b : a;
    }
};
struct smallest {
    static constexpr float neutral = INFINITY;
    static __device__ __forceinline__ float of(float a, float b)
    {
        return isnan(b) || b < a ? b : a;
    }
};
struct times {
    static constexpr float neutral = 1;
    static __device__ __forceinline__ float of(float a, float b)
    {
        return a * b;
    }
};

/* A group of threads to an element of out; for windows that lie one behind the other. */
template <typename OPERATION, typename T, int GROUP>
__device__ __forceinline__ void reduce_rows(const hsi_cuda_reduce_params &p,
                                            const hsi_cuda_addresses &a)
{
    __shared__ float memory[HSI_CUDA_REDUCE_BLOCK_THREADS / 32];
    const uint32_t element = blockIdx.x * (blockDim.x / GROUP) + threadIdx.x / GROUP;
    if (element >= p.kept.count)
        return; /* only groups that are warps, and those need no barrier */
    int64_t at[2];
    nest_offsets(p.kept, element, at);
    const T *in = reinterpret_cast<const T *>(a.in[0]) + at[1];
    float result = OPERATION::neutral;
#pragma unroll 4
    for (uint32_t i = threadIdx.x % GROUP; i < p.window.count; i += GROUP) {
        int64_t offset[1];
        nest_offsets(p.window, i, offset);
        result = OPERATION::of(result, to_float(in[offset[0]]));
    }
    result = reduce_group<OPERATION, GROUP>(result, memory);
    if (threadIdx.x % GROUP == 0)
        reinterpret_cast<T *>(a.out)[at[0]] = from_float<T>(result / p.divisor);
}

/* Elements of out side by side, WIDTH to a lane, a block's rows of lanes sharing their
 * windows: for channels-last images, whose channels lie one behind the other. */
template <typename OPERATION, typename T, int WIDTH>
__device__ __forceinline__ void reduce_columns(const hsi_cuda_reduce_params &p,
                                               const hsi_cuda_addresses &a)
{
    __shared__ float memory[WIDTH][HSI_CUDA_REDUCE_BLOCK_THREADS]; /* by row, then lane */
    const uint32_t lanes = 1u << p.lanes_log2;
    const uint32_t row = threadIdx.x >> p.lanes_log2;
    const uint32_t rows = HSI_CUDA_REDUCE_BLOCK_THREADS >> p.lanes_log2;
    const uint32_t column = blockIdx.x * lanes + (threadIdx.x & (lanes - 1));
    const bool exists = column < p.kept.count / WIDTH;
    int64_t at[2];
    float result[WIDTH];
    nest_offsets(p.kept, exists ? column * WIDTH : 0, at);
    const T *in = reinterpret_cast<const T *>(a.in[0]) + at[1];
#pragma unroll
    for (int k = 0; k < WIDTH; k++)
        result[k] = OPERATION::neutral;
    if (exists) {
#pragma unroll 4
        for (uint32_t i = row; i < p.window.count; i += rows) {
            int64_t offset[1];
            float x[WIDTH];
            nest_offsets(p.window, i, offset);
            load_floats(in + offset[0], x);
#pragma unroll
            for (int k = 0; k < WIDTH; k++)
                result[k] = OPERATION::of(result[k], x[k]);
        }
    }
    for (uint32_t half = rows / 2; half > 0; half /= 2) {
        /* Rows half..2*half-1 hand theirs to rows 0..half-1. */
        if (row >= half && row < 2 * half)
#pragma unroll
            for (int k = 0; k < WIDTH; k++)
                memory[k][threadIdx.x] = result[k];
        __syncthreads();
        if (row < half)
#pragma unroll
            for (int k = 0; k < WIDTH; k++)
                result[k] =
                    OPERATION::of(result[k], memory[k][threadIdx.x + half * lanes]);
    }
    if (!exists || row > 0)
        return;
#pragma unroll
    for (int k = 0; k < WIDTH; k++)
        result[k] /= p.divisor;
    store_floats(reinterpret_cast<T *>(a.out) + at[0], result);
}

/* ---- Integers, in 64 bits ------------------------------------------------------ */

__device__ __forceinline__ int64_t fold(int kind, int64_t a, int64_t b)
{
    switch (kind) {
    case HSCHED_REDUCE_MAX:
        return b > a ? b : a;
    case HSCHED_REDUCE_MIN:
        return b < a ? b : a;
    case HSCHED_REDUCE_PROD:
        return (int64_t)((uint64_t)a * (uint64_t)b);
    default:
        return (int64_t)((uint64_t)a + (uint64_t)b);
    }
}

__device__ __forceinline__ int64_t neutral_of(int kind)
{
    switch (kind) {
    case HSCHED_REDUCE_MAX:
        return INT64_MIN;
    case HSCHED_REDUCE_MIN:
        return INT64_MAX;
    default:
        return kind == HSCHED_REDUCE_PROD;
    }
}

/* A warp to an element of out. */
__device__ __forceinline__ void reduce_integers(const hsi_cuda_reduce_params &p,
                                                const hsi_cuda_addresses &a)
{
    const uint32_t element = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    if (element >= p.kept.count)
        return; /* the whole warp */
    int64_t at[2], result = neutral_of(p.kind);
    nest_offsets(p.kept, element, at);
    for (uint32_t i = threadIdx.x % 32; i < p.window.count; i += 32) {
        int64_t offset[1];
        nest_offsets(p.window, i, offset);
        result = fold(p.kind, result, load_whole(p.stored, a.in[0], at[1] + offset[0]));
    }
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2)
        result =
            fold(p.kind, result, __shfl_xor_sync(0xffffffffu, (long long)result, offset));
    if (p.kind == HSCHED_REDUCE_MEAN)
        result /= (int64_t)p.window.count;
    if (threadIdx.x % 32 == 0)
        store_whole(p.stored, a.out, at[0], result);
}

/* ---- Kernels ------------------------------------------------------------------- */

#define REDUCE_KERNEL(name, threads, call)                                               \
    extern "C" __global__ void __launch_bounds__(threads)                                \
        name(const __grid_constant__ hsi_cuda_reduce_params p,                           \
             const __grid_constant__ hsi_cuda_addresses a)                               \
    {                                                                                    \
        call(p, a);                                                                      \
    }
#define REDUCE_KERNELS(kind, operation, name, T, width)                                  \
    REDUCE_KERNEL(reduce_##kind##_warp_##name, HSI_CUDA_REDUCE_WARP_THREADS,             \
                  (reduce_rows<operation, T, 32>))                                       \
    REDUCE_KERNEL(reduce_##kind##_block_##name, HSI_CUDA_REDUCE_BLOCK_THREADS,           \
                  (reduce_rows<operation, T, HSI_CUDA_REDUCE_BLOCK_THREADS>))            \
    REDUCE_KERNEL(reduce_##kind##_columns_##name, HSI_CUDA_REDUCE_BLOCK_THREADS,         \
                  (reduce_columns<operation, T, 1>))                                     \
    REDUCE_KERNEL(reduce_##kind##_columns_wide_##name, HSI_CUDA_REDUCE_BLOCK_THREADS,    \
                  (reduce_columns<operation, T, width>))
#define REDUCE_ALL(kind, operation)                                                      \
    REDUCE_KERNELS(kind, operation, f32, float, 4)                                       \
    REDUCE_KERNELS(kind, operation, f16, __half, 8)                                      \
    REDUCE_KERNELS(kind, operation, bf16, __nv_bfloat16, 8)
REDUCE_ALL(sum, plus)
REDUCE_ALL(max, largest)
REDUCE_ALL(min, smallest)
REDUCE_ALL(prod, times)
REDUCE_KERNEL(reduce_whole, HSI_CUDA_REDUCE_WARP_THREADS, reduce_integers)
