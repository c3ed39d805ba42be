/* UNARY, BINARY, SCALE: element `i` of a nest over out and the inputs, WIDTH at a time where all
 * of them lie one behind the other. In place is fine: an element is read before it is written,
 * by the same thread. */
#include "backend/cuda/kernels/common.cuh"
#include "backend/cuda/kernels/elementwise.h"

typedef hsi_cuda_elementwise_params params;

/* One value for all if the operand does not move along the innermost dimension. */
template <typename T, int WIDTH>
__device__ __forceinline__ void load_operand(const T *from, bool repeats,
                                             float (&x)[WIDTH])
{
    if (WIDTH > 1 && repeats) {
        x[0] = to_float(*from);
#pragma unroll
        for (int i = 1; i < WIDTH; i++)
            x[i] = x[0];
    } else {
        load_floats<T, WIDTH>(from, x);
    }
}

__device__ __forceinline__ float combine(float a, float b, int kind)
{
    switch (kind) {
    case HSCHED_BINARY_SUB:
        return a - b;
    case HSCHED_BINARY_MUL:
        return a * b;
    case HSCHED_BINARY_DIV:
        return a / b;
    case HSCHED_BINARY_MIN:
        return a < b || isnan(a) ? a : b;
    case HSCHED_BINARY_MAX:
        return a > b || isnan(a) ? a : b;
    case HSCHED_BINARY_POW:
        return powf(a, b);
    case HSCHED_BINARY_PRELU:
        return a < 0 ? a * b : a;
    case HSCHED_BINARY_FMOD:
        return fmodf(a, b);
    case HSCHED_BINARY_MOD: {
        const float r = fmodf(a, b);
        return r != 0 && (r < 0) != (b < 0) ? r + b : r;
    }
    default:
        return a + b;
    }
}

struct unary {
    template <typename T, int WIDTH>
    static __device__ __forceinline__ void run(const params &p,
                                               const hsi_cuda_addresses &a, uint32_t i)
    {
        int64_t at[2];
        float x[WIDTH];
        nest_offsets(p.nest, i, at);
        load_operand(reinterpret_cast<const T *>(a.in[0]) + at[1],
                     p.nest.strides[1][0] == 0, x);
        apply_act_each(x, p.act);
        store_floats(reinterpret_cast<T *>(a.out) + at[0], x);
    }
};

struct binary {
    template <typename T, int WIDTH>
    static __device__ __forceinline__ void run(const params &p,
                                               const hsi_cuda_addresses &a, uint32_t i)
    {
        int64_t at[3];
        float x[WIDTH], y[WIDTH];
        nest_offsets(p.nest, i, at);
        load_operand(reinterpret_cast<const T *>(a.in[0]) + at[1],
                     p.nest.strides[1][0] == 0, x);
        load_operand(reinterpret_cast<const T *>(a.in[1]) + at[2],
                     p.nest.strides[2][0] == 0, y);
        if (p.binary == HSCHED_BINARY_ADD) {
#pragma unroll
            for (int k = 0; k < WIDTH; k++)
                x[k] += y[k];
        } else {
#pragma unroll
            for (int k = 0; k < WIDTH; k++)
                x[k] = combine(x[k], y[k], p.binary);
        }
        apply_act_each(x, p.act);
        store_floats(reinterpret_cast<T *>(a.out) + at[0], x);
    }
};

struct scale {
    template <typename T, int WIDTH>
    static __device__ __forceinline__ void run(const params &p,
                                               const hsi_cuda_addresses &a, uint32_t i)
    {
        int64_t at[3];
        float x[WIDTH], factor[WIDTH], shift[WIDTH];
        nest_offsets(p.nest, i, at);
        load_operand(reinterpret_cast<const T *>(a.in[0]) + at[1],
                     p.nest.strides[1][0] == 0, x);
        const bool repeats = p.nest.strides[2][0] == 0;
        load_operand(reinterpret_cast<const float *>(a.in[1]) + at[2], repeats, factor);
        load_operand(reinterpret_cast<const float *>(a.in[2]) + at[2], repeats, shift);
#pragma unroll
        for (int k = 0; k < WIDTH; k++)
            x[k] = x[k] * factor[k] + shift[k];
        apply_act_each(x, p.act);
        store_floats(reinterpret_cast<T *>(a.out) + at[0], x);
    }
};

template <typename KIND, typename T, int WIDTH>
__device__ __forceinline__ void for_each(const params &p, const hsi_cuda_addresses &a)
{
    const uint32_t step = gridDim.x * blockDim.x;
    for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < p.nest.count / WIDTH;
         i += step)
        KIND::template run<T, WIDTH>(p, a, i * WIDTH);
}

#define ELEMENTWISE_KERNEL(name, kind, T, width)                                         \
    extern "C" __global__ void __launch_bounds__(HSI_CUDA_ELEMENTWISE_THREADS) name(     \
        const __grid_constant__ params p, const __grid_constant__ hsi_cuda_addresses a)  \
    {                                                                                    \
        for_each<kind, T, width>(p, a);                                                  \
    }
#define ELEMENTWISE_KERNELS(kind)                                                        \
    ELEMENTWISE_KERNEL(kind##_f32, kind, float, 1)                                       \
    ELEMENTWISE_KERNEL(kind##_f16, kind, __half, 1)                                      \
    ELEMENTWISE_KERNEL(kind##_bf16, kind, __nv_bfloat16, 1)                              \
    ELEMENTWISE_KERNEL(kind##_wide_f32, kind, float, 4)                                  \
    ELEMENTWISE_KERNEL(kind##_wide_f16, kind, __half, 8)                                 \
    ELEMENTWISE_KERNEL(kind##_wide_bf16, kind, __nv_bfloat16, 8)
ELEMENTWISE_KERNELS(unary)
ELEMENTWISE_KERNELS(binary)
ELEMENTWISE_KERNELS(scale)
