/* POOL2D: a thread takes WIDTH channels of a pixel of out, neighbours the next channels. */
#include "backend/cuda/kernels/common.cuh"
#include "backend/cuda/kernels/pool.h"

typedef hsi_cuda_pool_params params;

/* Which taps of a window lie inside [0, size): first to before last. */
struct taps {
    int32_t start, first, last;
};

__device__ __forceinline__ taps taps_inside(const params &p, int d, int32_t at)
{
    taps t;
    t.start = at * p.strides[d] - p.pads[d];
    t.first = t.start < 0 ? (-t.start + p.dilations[d] - 1) / p.dilations[d] : 0;
    const int32_t room = p.size[d] - t.start;
    t.last = room <= 0 ? 0 : (room + p.dilations[d] - 1) / p.dilations[d];
    t.last = min(t.last, p.kernel[d]);
    t.first = min(t.first, t.last);
    return t;
}

/* How many taps of a window lie before the end of the padding: what an average divides by
 * that counts padding. */
__device__ __forceinline__ int32_t taps_padded(const params &p, int d, const taps &t)
{
    const int32_t room = p.size[d] + p.pads[2 + d] - t.start;
    return room <= 0 ? 0 : min((room + p.dilations[d] - 1) / p.dilations[d], p.kernel[d]);
}

template <typename T, int WIDTH, bool MAX>
__device__ __forceinline__ void pool(const params &p, const hsi_cuda_addresses &a)
{
    const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= p.count)
        return;
    const uint32_t pixel = divide(i, p.groups), line = divide(pixel, p.width),
                   n = divide(line, p.height);
    const int64_t c = (int64_t)(i - pixel * p.groups.divisor) * WIDTH;
    const uint32_t x = pixel - line * p.width.divisor, y = line - n * p.height.divisor;
    const taps ty = taps_inside(p, 0, y), tx = taps_inside(p, 1, x);
    const T *in = reinterpret_cast<const T *>(a.in[0]) + n * p.in_strides[0] + c;
    float result[WIDTH];
#pragma unroll
    for (int k = 0; k < WIDTH; k++)
        result[k] = MAX ? -INFINITY : 0.0f;
    for (int32_t ky = ty.first; ky < ty.last; ky++) {
        const T *row = in + (ty.start + ky * p.dilations[0]) * p.in_strides[1];
#pragma unroll 3
        for (int32_t kx = tx.first; kx < tx.last; kx++) {
            float value[WIDTH];
            load_floats(row + (tx.start + kx * p.dilations[1]) * p.in_strides[2], value);
#pragma unroll
            for (int k = 0; k < WIDTH; k++)
                if (!MAX)
                    result[k] += value[k];
                else if (value[k] > result[k] || isnan(value[k]))
                    result[k] = value[k]; /* a NaN stays: nothing exceeds it */
        }
    }
    if (!MAX) {
        const int32_t taken = p.include_pad
                                  ? taps_padded(p, 0, ty) * taps_padded(p, 1, tx)
                                  : (ty.last - ty.first) * (tx.last - tx.first);
#pragma unroll
        for (int k = 0; k < WIDTH; k++)
            result[k] = taken > 0 ? result[k] / (float)taken : 0.0f;
    }
    store_floats(reinterpret_cast<T *>(a.out) + n * p.out_strides[0] +
                     y * p.out_strides[1] + x * p.out_strides[2] + c,
                 result);
}

#define POOL_KERNEL(name, T, width, max)                                                 \
    extern "C" __global__ void __launch_bounds__(HSI_CUDA_POOL_THREADS) name(            \
        const __grid_constant__ params p, const __grid_constant__ hsi_cuda_addresses a)  \
    {                                                                                    \
        pool<T, width, max>(p, a);                                                       \
    }
#define POOL_KERNELS(name, T, width)                                                     \
    POOL_KERNEL(pool_max_##name, T, 1, true)                                             \
    POOL_KERNEL(pool_average_##name, T, 1, false)                                        \
    POOL_KERNEL(pool_max_wide_##name, T, width, true)                                    \
    POOL_KERNEL(pool_average_wide_##name, T, width, false)
POOL_KERNELS(f32, float, 4)
POOL_KERNELS(f16, __half, 8)
POOL_KERNELS(bf16, __nv_bfloat16, 8)
