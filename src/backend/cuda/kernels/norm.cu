/* SOFTMAX, NORM and LRN. Sums are made in an order that depends on the shape alone. */
#include "backend/cuda/kernels/common.cuh"
#include "backend/cuda/kernels/group.cuh"
#include "backend/cuda/kernels/norm.h"

/* ---- SOFTMAX: out = exp(x - max) / sum along an axis, or its logarithm ------ */

__device__ __forceinline__ float softmax_of(float less, float sum, float log_sum,
                                            int32_t log)
{
    return log ? less - log_sum : expf(less) / sum;
}

/* A group of threads to a line. What a thread has of a line of usual size stays in its
 * registers; the rest is read three times. */
template <typename T, int GROUP>
__device__ __forceinline__ void softmax_group(const hsi_cuda_softmax_params &p,
                                              const hsi_cuda_addresses &a)
{
    constexpr int kept = 8;
    __shared__ float memory[2][HSI_CUDA_BLOCK_THREADS / 32];
    const uint32_t lane = threadIdx.x % GROUP;
    const uint32_t line = blockIdx.x * (blockDim.x / GROUP) + threadIdx.x / GROUP;
    if (line >= p.lines.count)
        return; /* only groups that are warps, and those need no barrier */
    int64_t at[2];
    nest_offsets(p.lines, line, at);
    T *out = reinterpret_cast<T *>(a.out) + at[0];
    const T *in = reinterpret_cast<const T *>(a.in[0]) + at[1];
    float x[kept];
    float max = -INFINITY, sum = 0;
#pragma unroll
    for (int k = 0; k < kept; k++) {
        const uint32_t i = lane + k * GROUP;
        x[k] = i < p.size ? to_float(in[i * p.in_stride]) : -INFINITY;
    }
#pragma unroll
    for (int k = 0; k < kept; k++)
        max = fmaxf(max, x[k]);
    for (uint32_t i = lane + kept * GROUP; i < p.size; i += GROUP)
        max = fmaxf(max, to_float(in[i * p.in_stride]));
    max = reduce_group<maximum, GROUP>(max, memory[0]);
#pragma unroll
    for (int k = 0; k < kept; k++) {
        const float e = expf(x[k] - max);
        sum += e;
        if (!p.log)
            x[k] = e;
    }
    for (uint32_t i = lane + kept * GROUP; i < p.size; i += GROUP)
        sum += expf(to_float(in[i * p.in_stride]) - max);
    sum = reduce_group<plus, GROUP>(sum, memory[1]);
    const float log_sum = logf(sum);
#pragma unroll
    for (int k = 0; k < kept; k++) {
        const uint32_t i = lane + k * GROUP;
        if (i < p.size)
            out[i * p.out_stride] =
                from_float<T>(p.log ? (x[k] - max) - log_sum : x[k] / sum);
    }
    for (uint32_t i = lane + kept * GROUP; i < p.size; i += GROUP)
        out[i * p.out_stride] = from_float<T>(
            softmax_of(to_float(in[i * p.in_stride]) - max, sum, log_sum, p.log));
}

/* A thread to a line, for many lines that lie side by side. */
template <typename T>
__device__ __forceinline__ void softmax_thread(const hsi_cuda_softmax_params &p,
                                               const hsi_cuda_addresses &a)
{
    const uint32_t line = blockIdx.x * blockDim.x + threadIdx.x;
    if (line >= p.lines.count)
        return;
    int64_t at[2];
    nest_offsets(p.lines, line, at);
    T *out = reinterpret_cast<T *>(a.out) + at[0];
    const T *in = reinterpret_cast<const T *>(a.in[0]) + at[1];
    float max = -INFINITY, sum = 0;
#pragma unroll 8
    for (uint32_t i = 0; i < p.size; i++)
        max = fmaxf(max, to_float(in[i * p.in_stride]));
#pragma unroll 4
    for (uint32_t i = 0; i < p.size; i++)
        sum += expf(to_float(in[i * p.in_stride]) - max);
    const float log_sum = logf(sum);
#pragma unroll 4
    for (uint32_t i = 0; i < p.size; i++)
        out[i * p.out_stride] = from_float<T>(
            softmax_of(to_float(in[i * p.in_stride]) - max, sum, log_sum, p.log));
}

/* ---- NORM: out = act((x - mean) / sqrt(variance + epsilon) * scale + bias) -- */

/* A group of threads to a group of elements, which is read three times. The squares are summed
 * about the first sum's mean, and what that lacks shows in the sum of the differences. */
template <typename T, int GROUP>
__device__ __forceinline__ void norm_group(const hsi_cuda_norm_params &p,
                                           const hsi_cuda_addresses &a)
{
    __shared__ float memory[3][HSI_CUDA_BLOCK_THREADS / 32];
    const uint32_t lane = threadIdx.x % GROUP;
    const uint32_t group = blockIdx.x * (blockDim.x / GROUP) + threadIdx.x / GROUP;
    if (group >= p.kept.count)
        return; /* only groups that are warps, and those need no barrier */
    const float part = 1.0f / (float)p.inside.count;
    int64_t at[4], i[4];
    nest_offsets(p.kept, group, at);
    const T *in = reinterpret_cast<const T *>(a.in[0]) + at[1];
    float about = 0, rest = 0, squares = 0;
    if (!p.rms) {
#pragma unroll 4
        for (uint32_t k = lane; k < p.inside.count; k += GROUP) {
            nest_offsets(p.inside, k, i);
            about += to_float(in[i[1]]);
        }
        about = reduce_group<plus, GROUP>(about, memory[0]) * part;
    }
#pragma unroll 4
    for (uint32_t k = lane; k < p.inside.count; k += GROUP) {
        nest_offsets(p.inside, k, i);
        const float d = to_float(in[i[1]]) - about;
        rest += d;
        squares += d * d;
    }
    rest = reduce_group<plus, GROUP>(rest, memory[1]) * part;
    squares = reduce_group<plus, GROUP>(squares, memory[2]) * part;
    if (p.rms)
        rest = 0;
    const float variance = fmaxf(squares - rest * rest, 0.0f);
    const float deviation = sqrtf(variance + p.epsilon);
    T *out = reinterpret_cast<T *>(a.out) + at[0];
    const T *scale = reinterpret_cast<const T *>(a.in[1]) + at[2],
            *bias = reinterpret_cast<const T *>(a.in[2]) + at[3];
#pragma unroll 4
    for (uint32_t k = lane; k < p.inside.count; k += GROUP) {
        nest_offsets(p.inside, k, i);
        float y = ((to_float(in[i[1]]) - about) - rest) / deviation;
        if (p.scaled)
            y *= to_float(scale[i[2]]);
        if (p.shifted)
            y += to_float(bias[i[3]]);
        out[i[0]] = from_float<T>(apply_act(y, p.act));
    }
}

/* ---- LRN: x / (bias + factor * sum of squares in the window)^beta ---------- */

/* WIDTH channels of a line to a thread, which share what they read. */
template <typename T, int WIDTH>
__device__ __forceinline__ void lrn(const hsi_cuda_lrn_params &p,
                                    const hsi_cuda_addresses &a)
{
    const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= p.count / WIDTH)
        return;
    const uint32_t outer = divide(i, p.inner), inner = i - outer * p.inner.divisor;
    const int64_t c = (int64_t)(p.channels_inside ? inner : outer) * WIDTH;
    int64_t at[2];
    nest_offsets(p.lines, p.channels_inside ? outer : inner, at);
    T *out = reinterpret_cast<T *>(a.out) + at[0];
    const T *in = reinterpret_cast<const T *>(a.in[0]) + at[1];
    float x[WIDTH], sum[WIDTH];
#pragma unroll
    for (int k = 0; k < WIDTH; k++)
        x[k] = sum[k] = 0;
    int64_t first = c - p.before, last = c + WIDTH - 1 + p.after;
    first = first < 0 ? 0 : first;
    last = last < p.channels ? last : p.channels - 1;
    for (int64_t from = first; from <= last; from++) {
        const float value = to_float(in[from * p.in_stride]);
#pragma unroll
        for (int k = 0; k < WIDTH; k++) {
            const int64_t distance = from - (c + k);
            if (distance == 0)
                x[k] = value;
            if (distance >= -p.before && distance <= p.after)
                sum[k] += value * value;
        }
    }
#pragma unroll
    for (int k = 0; k < WIDTH; k++)
        out[(c + k) * p.out_stride] =
            from_float<T>(x[k] * powf(p.bias + p.factor * sum[k], -p.beta));
}

/* ---- Kernels ---------------------------------------------------------------- */

#define NORM_KERNEL(name, threads, params, call)                                         \
    extern "C" __global__ void __launch_bounds__(threads) name(                          \
        const __grid_constant__ params p, const __grid_constant__ hsi_cuda_addresses a)  \
    {                                                                                    \
        call(p, a);                                                                      \
    }
#define NORM_KERNELS(name, T)                                                            \
    NORM_KERNEL(softmax_warp_##name, HSI_CUDA_NORM_THREADS, hsi_cuda_softmax_params,     \
                (softmax_group<T, 32>))                                                  \
    NORM_KERNEL(softmax_block_##name, HSI_CUDA_BLOCK_THREADS, hsi_cuda_softmax_params,   \
                (softmax_group<T, HSI_CUDA_BLOCK_THREADS>))                              \
    NORM_KERNEL(softmax_thread_##name, HSI_CUDA_NORM_THREADS, hsi_cuda_softmax_params,   \
                (softmax_thread<T>))                                                     \
    NORM_KERNEL(norm_warp_##name, HSI_CUDA_NORM_THREADS, hsi_cuda_norm_params,           \
                (norm_group<T, 32>))                                                     \
    NORM_KERNEL(norm_block_##name, HSI_CUDA_BLOCK_THREADS, hsi_cuda_norm_params,         \
                (norm_group<T, HSI_CUDA_BLOCK_THREADS>))                                 \
    NORM_KERNEL(lrn_##name, HSI_CUDA_NORM_THREADS, hsi_cuda_lrn_params, (lrn<T, 1>))     \
    NORM_KERNEL(lrn_wide_##name, HSI_CUDA_NORM_THREADS, hsi_cuda_lrn_params, (lrn<T, 4>))
NORM_KERNELS(f32, float)
NORM_KERNELS(f16, __half)
NORM_KERNELS(bf16, __nv_bfloat16)
