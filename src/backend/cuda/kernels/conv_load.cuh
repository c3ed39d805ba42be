/* Copying k tiles of pixels and weights into shared memory: the producers of conv_tile.cu. */
#ifndef HSI_BACKEND_CUDA_KERNELS_CONV_LOAD_CUH
#define HSI_BACKEND_CUDA_KERNELS_CONV_LOAD_CUH

#include "backend/cuda/kernels/async.cuh"
#include "backend/cuda/kernels/conv_tile.h"

/*
 * What a producer copies: thread t chunk t % 8 (16 bytes) of the rows t / 8 + i * ROW_STEP,
 * BM rows of pixels and BN rows of weights. Rows behind the last pixel or channel are
 * copies of the last: what becomes of them is not stored.
 */
template <typename T, int BM, int BN, int THREADS> struct copier {
    static constexpr int CHUNK = 16 / sizeof(T);
    static constexpr int BK = HSI_CUDA_CONV_TILE_K_BYTES / sizeof(T);
    static constexpr int ROW_STEP = THREADS / 8;
    static constexpr int A_ROWS = (BM + ROW_STEP - 1) / ROW_STEP;
    static constexpr int B_ROWS = (BN + ROW_STEP - 1) / ROW_STEP;
    static constexpr int A_BYTES = BM * HSI_CUDA_CONV_TILE_K_BYTES;
    static constexpr int STAGE_BYTES = A_BYTES + BN * HSI_CUDA_CONV_TILE_K_BYTES;
    static constexpr int STEP_BYTES = ROW_STEP * HSI_CUDA_CONV_TILE_K_BYTES;
    static_assert(ROW_STEP % 8 == 0, "a thread's rows have one swizzle");

    const hsi_cuda_conv_tile_params &p;
    uint32_t to; /* this thread's chunk of row t / 8 in stage 0 */
    int row, k0; /* t / 8; the first k of this thread's chunk in k tile 0 */
    int base[A_ROWS];    /* where the row's window begins in x, in elements */
    int weights[B_ROWS]; /* where the row begins in the weights */

    __device__ __forceinline__ copier(const hsi_cuda_conv_tile_params &params,
                                      uint32_t ring, int thread)
        : p(params)
    {
        const int chunk = thread % 8;
        row = thread / 8;
        k0 = chunk * CHUNK;
        to = ring + row * HSI_CUDA_CONV_TILE_K_BYTES + ((chunk ^ (row & 7)) << 4);
    }

    static __device__ __forceinline__ bool has_row(int rows, int r)
    {
        return rows % ROW_STEP == 0 || r < rows;
    }

    __device__ __forceinline__ void find_weights(int first_n)
    {
#pragma unroll
        for (int i = 0; i < B_ROWS; i++)
            weights[i] = min(first_n + row + i * ROW_STEP, p.out.n - 1) * p.weight_row;
    }

    /* Where the window of row i's pixel begins: its base, and its place (y, x). */
    __device__ __forceinline__ void find_pixel(int first_m, int i, int &y, int &x)
    {
        const hsi_cuda_window &v = p.window;
        const int m = min(first_m + row + i * ROW_STEP, p.out.m - 1);
        const int image = (int)divide(m, v.by_out_image);
        const int place = m - image * v.out_image;
        const int oy = (int)divide(place, v.by_out_width);
        y = oy * v.stride_h - v.pad_top;
        x = (place - oy * v.out_width) * v.stride_w - v.pad_left;
        base[i] = ((image * v.height + y) * v.width + x) * v.pixel;
    }
};

/* 16 bytes at once. */
template <typename T, int BM, int BN, int THREADS>
struct wide_copier : copier<T, BM, BN, THREADS> {
    typedef copier<T, BM, BN, THREADS> core;
    using core::base;
    using core::p;
    using core::row;
    using core::weights;

    uint32_t inside[core::A_ROWS]; /* bit r: row r of the window is in the image; bit 16 + s:
                                      its column s */

    __device__ __forceinline__ wide_copier(const hsi_cuda_conv_tile_params &params,
                                           uint32_t ring, int thread)
        : core(params, ring, thread)
    {
    }

    __device__ __forceinline__ void find_pixels(int first_m)
    {
        const hsi_cuda_window &v = p.window;
        int y[core::A_ROWS], x[core::A_ROWS];
#pragma unroll
        for (int i = 0; i < core::A_ROWS; i++) {
            core::find_pixel(first_m, i, y[i], x[i]);
            inside[i] = 0;
        }
        if (p.access == HSI_CUDA_CONV_TILE_POINTWISE)
            return;
        for (int r = 0; r < v.kernel_h; r++)
#pragma unroll
            for (int i = 0; i < core::A_ROWS; i++)
                if ((uint32_t)(y[i] + r * v.dilation_h) < (uint32_t)v.height)
                    inside[i] |= 1u << r;
        for (int s = 0; s < v.kernel_w; s++)
#pragma unroll
            for (int i = 0; i < core::A_ROWS; i++)
                if ((uint32_t)(x[i] + s * v.dilation_w) < (uint32_t)v.width)
                    inside[i] |= 0x10000u << s;
    }

    __device__ __forceinline__ void copy_weights(int stage, int k_tile) const
    {
        const uint32_t at = core::to + stage * core::STAGE_BYTES + core::A_BYTES;
        const int k = k_tile * core::BK + core::k0;
        const T *from = (const T *)p.weights + k;
#pragma unroll
        for (int i = 0; i < core::B_ROWS; i++)
            if (core::has_row(BN, row + i * core::ROW_STEP))
                copy16(at + i * core::STEP_BYTES, from + weights[i], k < p.k);
    }

    __device__ __forceinline__ void copy_pixels(int stage, int k_tile) const
    {
        const uint32_t at = core::to + stage * core::STAGE_BYTES;
        const int k = k_tile * core::BK + core::k0;
        if (p.access == HSI_CUDA_CONV_TILE_POINTWISE)
            copy_points(at, k);
        else
            copy_windows(at, k);
    }

    __device__ __forceinline__ void copy_points(uint32_t at, int k) const
    {
        const T *from = (const T *)p.x + k;
#pragma unroll
        for (int i = 0; i < core::A_ROWS; i++)
            if (core::has_row(BM, row + i * core::ROW_STEP))
                copy16(at + i * core::STEP_BYTES, from + base[i], k < p.k);
    }

    __device__ __forceinline__ void copy_windows(uint32_t at, int k) const
    {
        const hsi_cuda_window &v = p.window;
        const int rs = (int)divide(k, v.by_channels), r = (int)divide(rs, v.by_kernel_w);
        const int s = rs - r * v.kernel_w;
        const T *from = (const T *)p.x +
                        (r * v.dilation_h * v.width + s * v.dilation_w) * v.pixel + k -
                        rs * v.channels;
        /* Windows have at most 15 rows: behind the end of k nothing is inside. */
        const uint32_t bits = k < p.k ? 1u << r | 0x10000u << s : 0x8000u;
#pragma unroll
        for (int i = 0; i < core::A_ROWS; i++)
            if (core::has_row(BM, row + i * core::ROW_STEP))
                copy16_cached(at + i * core::STEP_BYTES, from + base[i],
                              (inside[i] & bits) == bits);
    }
};

/*
 * Element by element, for channel counts, strides or addresses that are no multiples of 16
 * bytes. k counts runs of elements that lie one behind the other in x, each padded to whole
 * chunks: the channels of a pixel, or where pixels touch, a window's whole row (7 * 3
 * elements of a 7x7 window on 3 channels).
 */
template <typename T, int BM, int BN, int THREADS>
struct loose_copier : copier<T, BM, BN, THREADS> {
    typedef copier<T, BM, BN, THREADS> core;
    using core::base;
    using core::p;
    using core::row;
    using core::weights;

    int y[core::A_ROWS], x[core::A_ROWS];

    __device__ __forceinline__ loose_copier(const hsi_cuda_conv_tile_params &params,
                                            uint32_t ring, int thread)
        : core(params, ring, thread)
    {
    }

    __device__ __forceinline__ void find_pixels(int first_m)
    {
#pragma unroll
        for (int i = 0; i < core::A_ROWS; i++)
            core::find_pixel(first_m, i, y[i], x[i]);
    }

    /* The chunk's elements first .. end - 1, zeros elsewhere. Floats are copied in place;
     * halves, which cp.async cannot copy one by one, go through registers. */
    static __device__ __forceinline__ void copy_chunk(uint32_t place, const T *from,
                                                      int first, int end)
    {
        if constexpr (sizeof(T) == 4) {
#pragma unroll
            for (int j = 0; j < core::CHUNK; j++)
                copy4(place + 4 * j, from + j, j >= first && j < end);
        } else {
            uint32_t bits[core::CHUNK];
#pragma unroll
            for (int j = 0; j < core::CHUNK; j++)
                bits[j] = j >= first && j < end
                              ? *(const volatile unsigned short *)(from + j)
                              : 0;
            asm volatile("st.shared.v4.b32 [%0], {%1,%2,%3,%4};" ::"r"(place),
                         "r"(bits[0] | bits[1] << 16), "r"(bits[2] | bits[3] << 16),
                         "r"(bits[4] | bits[5] << 16), "r"(bits[6] | bits[7] << 16)
                         : "memory");
        }
    }

    __device__ __forceinline__ void copy_weights(int stage, int k_tile) const
    {
        const uint32_t at = core::to + stage * core::STAGE_BYTES + core::A_BYTES;
        const int k = k_tile * core::BK + core::k0, run = (int)divide(k, p.by_padded_run);
        const int j = k - run * (int)p.by_padded_run.divisor;
        const int end = k < p.k ? p.run - j : 0;
        const T *from = (const T *)p.weights + run * p.run + j;
#pragma unroll
        for (int i = 0; i < core::B_ROWS; i++)
            if (core::has_row(BN, row + i * core::ROW_STEP))
                copy_chunk(at + i * core::STEP_BYTES, from + weights[i], 0, end);
    }

    __device__ __forceinline__ void copy_pixels(int stage, int k_tile) const
    {
        const hsi_cuda_window &v = p.window;
        const uint32_t at = core::to + stage * core::STAGE_BYTES;
        const int k = k_tile * core::BK + core::k0, run = (int)divide(k, p.by_padded_run);
        const int j = k - run * (int)p.by_padded_run.divisor;
        const int r = p.row_runs ? run : (int)divide(run, v.by_kernel_w);
        const int dy = r * v.dilation_h;
        const int dx = p.row_runs ? 0 : (run - r * v.kernel_w) * v.dilation_w;
        const T *from = (const T *)p.x + (dy * v.width + dx) * v.pixel + j;
        const int height = k < p.k ? v.height : 0;
#pragma unroll
        for (int i = 0; i < core::A_ROWS; i++) {
            int first = 0, end = p.run;
            if (p.row_runs) { /* pixels left and right of the image are zeros */
                first = max(0, -x[i]) * v.channels;
                end = min(v.kernel_w, v.width - x[i]) * v.channels;
            } else if ((uint32_t)(x[i] + dx) >= (uint32_t)v.width) {
                end = 0;
            }
            if ((uint32_t)(y[i] + dy) >= (uint32_t)height)
                end = 0;
            if (core::has_row(BM, row + i * core::ROW_STEP))
                copy_chunk(at + i * core::STEP_BYTES, from + base[i], first - j, end - j);
        }
    }
};

#endif
