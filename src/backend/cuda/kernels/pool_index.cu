/* POOL_INDEX: a thread to a window, whose elements it sees in their order. */
#include "backend/cuda/kernels/common.cuh"
#include "backend/cuda/kernels/pool_index.h"

typedef hsi_cuda_pool_index_params params;

struct largest {
    float value;
    int64_t number; /* -1: none yet */

    /* Of equal ones the first; a not-a-number is larger than all. */
    __device__ __forceinline__ void see(float x, int64_t its_number)
    {
        if (number < 0 || x > value || (isnan(x) && !isnan(value))) {
            value = x;
            number = its_number;
        }
    }
};

/* Tap k of the window that begins at `start`; false outside of x. */
__device__ __forceinline__ bool tap(const params &p, int d, int64_t start, int64_t k,
                                    int64_t *at)
{
    *at = start + k * p.dilations[d];
    return *at >= 0 && *at < p.sizes[d];
}

template <typename T>
__device__ __forceinline__ int64_t find(const params &p, const T *x, int64_t number,
                                        const int64_t (&start)[3])
{
    largest best = { 0, -1 };
    int64_t z, y, at;
    for (int64_t i = 0; i < p.kernel[0]; i++) {
        if (!tap(p, 0, start[0], i, &z))
            continue;
        for (int64_t j = 0; j < p.kernel[1]; j++) {
            if (!tap(p, 1, start[1], j, &y))
                continue;
            const T *line = x + z * p.in_strides[0] + y * p.in_strides[1];
            const int64_t first =
                number + z * p.number_strides[0] + y * p.number_strides[1];
            for (int64_t k = 0; k < p.kernel[2]; k++)
                if (tap(p, 2, start[2], k, &at))
                    best.see(to_float(line[at * p.in_strides[2]]),
                             first + at * p.number_strides[2]);
        }
    }
    return best.number;
}

template <typename T>
__device__ __forceinline__ void pool_index(const params &p, const hsi_cuda_addresses &a)
{
    const uint32_t step = gridDim.x * blockDim.x;
    for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < p.nest.count;
         i += step) {
        int64_t at[4], start[3];
        nest_offsets(p.nest, i, at);
        const uint32_t window = (uint32_t)at[3], line = divide(window, p.columns),
                       plane = divide(line, p.rows);
        const uint32_t places[3] = { plane, line - plane * p.rows.divisor,
                                     window - line * p.columns.divisor };
#pragma unroll
        for (int d = 0; d < 3; d++)
            start[d] = places[d] * p.strides[d] - p.before[d];
        reinterpret_cast<int64_t *>(a.out)[at[0]] =
            find(p, reinterpret_cast<const T *>(a.in[0]) + at[1], at[2], start);
    }
}

#define POOL_INDEX_KERNEL(name, T)                                                       \
    extern "C" __global__ void __launch_bounds__(HSI_CUDA_POOL_INDEX_THREADS)            \
        pool_index_##name(const __grid_constant__ params p,                              \
                          const __grid_constant__ hsi_cuda_addresses a)                  \
    {                                                                                    \
        pool_index<T>(p, a);                                                             \
    }
POOL_INDEX_KERNEL(f32, float)
POOL_INDEX_KERNEL(f16, __half)
POOL_INDEX_KERNEL(bf16, __nv_bfloat16)
