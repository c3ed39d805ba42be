/* The last step of a convolution: bias, residual, activation, store. */
#ifndef HSI_BACKEND_CUDA_KERNELS_CONV_OUT_CUH
#define HSI_BACKEND_CUDA_KERNELS_CONV_OUT_CUH

#include "backend/cuda/kernels/common.cuh"
#include "backend/cuda/kernels/conv_shape.h"

/* None, ReLU and clip are one case, without a jump for each element. */
template <int N>
__device__ __forceinline__ void activate(float (&x)[N], const hsi_cuda_conv_out &p)
{
    if (p.clamps) {
#pragma unroll
        for (int i = 0; i < N; i++)
            x[i] = clamp(x[i], p.low, p.high);
    } else {
        float y[N]; /* a loop that is not unrolled needs memory: not x, which is in registers */
#pragma unroll
        for (int i = 0; i < N; i++)
            y[i] = x[i];
#pragma unroll 1
        for (int i = 0; i < N; i++)
            y[i] = apply_act(y[i], p.act);
#pragma unroll
        for (int i = 0; i < N; i++)
            x[i] = y[i];
    }
}

/*
 * Four channels n .. n + 3 below `end`: begin() before the sum of a pixel, end() behind it.
 * out may be the residual: an element is read and written by one thread.
 */
template <typename T> struct conv_out {
    const hsi_cuda_conv_out &p;
    int n, end_n;
    float bias[4]; /* constant: it is read before grid_wait() */

    __device__ __forceinline__ conv_out(const hsi_cuda_conv_out &out, int first, int end)
        : p(out), n(first), end_n(end)
    {
        const float *from = (const float *)p.bias + n;
#pragma unroll
        for (int j = 0; j < 4; j++)
            bias[j] = 0;
        if (!p.bias || n >= end_n)
            return;
        if (p.wide) {
            load_floats<float, 4>(from, bias);
            return;
        }
#pragma unroll
        for (int j = 0; j < 4; j++)
            if (n + j < end_n)
                bias[j] = from[j];
    }

    __device__ __forceinline__ bool any(void) const
    {
        return n < end_n;
    }

    /* bias + residual */
    __device__ __forceinline__ void begin(int m, float (&sum)[4]) const
    {
#pragma unroll
        for (int j = 0; j < 4; j++)
            sum[j] = bias[j];
        if (!p.residual)
            return;
        const T *from = (const T *)p.residual + (int64_t)m * p.residual_pixel + n;
        if (p.wide) {
            float v[4];
            load_floats<T, 4>(from, v);
#pragma unroll
            for (int j = 0; j < 4; j++)
                sum[j] += v[j];
            return;
        }
#pragma unroll
        for (int j = 0; j < 4; j++)
            if (n + j < end_n)
                sum[j] += to_float(from[j]);
    }

    /* The activation, and the store. */
    __device__ __forceinline__ void end(int m, float (&sum)[4]) const
    {
        T *to = (T *)p.out + (int64_t)m * p.out_pixel + n;
        activate(sum, p);
        if (p.wide) {
            store_floats<T, 4>(to, sum);
            return;
        }
#pragma unroll
        for (int j = 0; j < 4; j++)
            if (n + j < end_n)
                to[j] = from_float<T>(sum[j]);
    }
};

#endif
