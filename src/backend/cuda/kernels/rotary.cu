/* ROTARY: both of a pair by one thread, WIDTH pairs at a time where the first ones of all
 * operands lie one behind the other, and the second ones. In place is fine: a thread reads all
 * of its pairs before it writes them. */
#include "backend/cuda/kernels/common.cuh"
#include "backend/cuda/kernels/rotary.h"

typedef hsi_cuda_rotary_params params;

/* The first (`second` == 0) or second ones of pairs. */
template <typename T, int WIDTH>
__device__ __forceinline__ void load_half(const params &p, const uint64_t *addresses,
                                          const int64_t *at, int k, int second,
                                          float (&x)[WIDTH])
{
    const T *from = reinterpret_cast<const T *>(addresses[k - 1]) + at[k] +
                    (second ? p.pair[k] : 0);
    load_floats<T, WIDTH>(from, x);
}

template <typename T, int WIDTH>
__device__ __forceinline__ void turn(const params &p, const hsi_cuda_addresses &a,
                                     uint32_t i)
{
    int64_t at[HSI_CUDA_NEST_OPERANDS];
    float x[2][WIDTH], cosine[2][WIDTH], sine[2][WIDTH], y[2][WIDTH];
    nest_offsets(p.nest, i, at);
#pragma unroll
    for (int second = 0; second < 2; second++) {
        load_half<T, WIDTH>(p, a.in, at, 1, second, x[second]);
        load_half<T, WIDTH>(p, a.in, at, 2, second, cosine[second]);
        load_half<T, WIDTH>(p, a.in, at, 3, second, sine[second]);
    }
#pragma unroll
    for (int k = 0; k < WIDTH; k++) {
        y[0][k] = x[0][k] * cosine[0][k] - x[1][k] * sine[0][k];
        y[1][k] = x[1][k] * cosine[1][k] + x[0][k] * sine[1][k];
    }
    T *out = reinterpret_cast<T *>(a.out) + at[0];
    store_floats(out, y[0]);
    store_floats(out + p.pair[0], y[1]);
}

template <typename T, int WIDTH>
__device__ __forceinline__ void turn_all(const params &p, const hsi_cuda_addresses &a)
{
    const uint32_t step = gridDim.x * blockDim.x;
    for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < p.nest.count / WIDTH;
         i += step)
        turn<T, WIDTH>(p, a, i * WIDTH);
}

#define ROTARY_KERNEL(name, T, width)                                                    \
    extern "C" __global__ void __launch_bounds__(HSI_CUDA_ROTARY_THREADS) name(          \
        const __grid_constant__ params p, const __grid_constant__ hsi_cuda_addresses a)  \
    {                                                                                    \
        turn_all<T, width>(p, a);                                                        \
    }
ROTARY_KERNEL(rotary_f32, float, 1)
ROTARY_KERNEL(rotary_f16, __half, 1)
ROTARY_KERNEL(rotary_bf16, __nv_bfloat16, 1)
ROTARY_KERNEL(rotary_wide_f32, float, 4)
ROTARY_KERNEL(rotary_wide_f16, __half, 8)
ROTARY_KERNEL(rotary_wide_bf16, __nv_bfloat16, 8)
