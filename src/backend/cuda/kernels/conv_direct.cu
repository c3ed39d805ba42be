/*
 * Convolutions in plain float arithmetic: the strict ones, and those that nothing else takes.
 *
 * x [N,C,H,W] channels-last; a pixel m = (n, oy, ox) of out; k = (r, s, c), c within a group.
 */
#include "backend/cuda/kernels/common.cuh"
#include "backend/cuda/kernels/conv_direct.h"
#include "backend/cuda/kernels/conv_out.cuh"
#include "backend/cuda/kernels/launch.cuh"

namespace
{

/* Where the window of pixel m begins: its place in x, and its element's offset. */
struct corner {
    int y, x, base;
};

__device__ __forceinline__ corner find_corner(const hsi_cuda_window &v, int m)
{
    corner c;
    const int image = (int)divide(m, v.by_out_image), place = m - image * v.out_image;
    const int oy = (int)divide(place, v.by_out_width);
    c.y = oy * v.stride_h - v.pad_top;
    c.x = (place - oy * v.out_width) * v.stride_w - v.pad_left;
    c.base = ((image * v.height + c.y) * v.width + c.x) * v.pixel;
    return c;
}

__device__ __forceinline__ bool is_inside(const hsi_cuda_window &v, int y, int x)
{
    return (uint32_t)y < (uint32_t)v.height && (uint32_t)x < (uint32_t)v.width;
}

/* ---- One thread, one element ---------------------------------------------- */

/* Any groups, any alignment: out [m][o], o varies fastest over threads. */
template <typename T>
__device__ __forceinline__ void each(const hsi_cuda_direct_params &p)
{
    const hsi_cuda_window &v = p.window;
    const int index = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    const int m = (int)divide(min(index, p.count - 1), p.by_outputs);
    const int o = min(index, p.count - 1) - m * p.out.n;
    const int group = (int)divide(o, p.by_group_outputs);
    const corner at = find_corner(v, m);
    grid_wait();
    grid_let_next_start();
    if (index >= p.count)
        return;
    float sum = 0;
    for (int r = 0; r < v.kernel_h; r++) {
        for (int s = 0; s < v.kernel_w; s++) {
            const int dy = r * v.dilation_h, dx = s * v.dilation_w;
            if (!is_inside(v, at.y + dy, at.x + dx))
                continue;
            const T *x = (const T *)p.x + at.base + (dy * v.width + dx) * v.pixel +
                         group * v.channels;
            const T *w = (const T *)p.weights + o * p.weight_output +
                         (r * v.kernel_w + s) * p.weight_tap;
            for (int c = 0; c < v.channels; c++)
                sum += to_float(x[c]) * to_float(w[c]);
        }
    }
    if (p.out.bias)
        sum += ((const float *)p.out.bias)[o];
    if (p.out.residual)
        sum += to_float(
            ((const T *)p.out.residual)[(int64_t)m * p.out.residual_pixel + o]);
    float result[1] = { sum };
    activate(result, p.out);
    ((T *)p.out.out)[(int64_t)m * p.out.out_pixel + o] = from_float<T>(result[0]);
}

/* ---- Tiles ---------------------------------------------------------------- */

/*
 * BM pixels x BN channels of one group, in k tiles of 16, by BM / 4 * BN / 4 threads; a
 * thread has 4 x 4 sums. blockIdx.y is the split of k; the last block of a tile that
 * arrives adds the splits' sums in their order.
 */
template <typename T, int BM, int BN> struct direct_tile {
    static constexpr int K = HSI_CUDA_DIRECT_K;
    static constexpr int THREADS = BM / 4 * (BN / 4);
    static constexpr int ROW_STEP = THREADS / K; /* thread t loads k t % K of rows t / K + .. */
    static constexpr int A_ROWS = BM / ROW_STEP, B_ROWS = BN / ROW_STEP;

    struct memory {
        float a[2][K][BM + 4], b[2][K][BN + 4]; /* rows are multiples of 16 bytes */
    };

    const hsi_cuda_direct_params &p;
    int tile, first_m, first_n, group, end_n;
    corner at[A_ROWS];
    int weights[B_ROWS]; /* where the row begins, or -1 */

    __device__ __forceinline__ direct_tile(const hsi_cuda_direct_params &params)
        : p(params)
    {
        tile = blockIdx.x;
        const int row = (int)divide(tile, p.by_tiles_m);
        first_m = (tile - row * (int)p.by_tiles_m.divisor) * BM;
        group = (int)divide(row, p.by_tiles_n);
        const int outputs = (int)p.by_group_outputs.divisor;
        first_n = group * outputs + (row - group * (int)p.by_tiles_n.divisor) * BN;
        end_n = (group + 1) * outputs;
#pragma unroll
        for (int i = 0; i < A_ROWS; i++) {
            const int m = first_m + (int)threadIdx.x / K + i * ROW_STEP;
            at[i] = find_corner(p.window, m);
            if (m >= p.out.m)
                at[i].y = INT32_MIN / 2; /* outside, whatever is added */
        }
#pragma unroll
        for (int i = 0; i < B_ROWS; i++) {
            const int n = first_n + (int)threadIdx.x / K + i * ROW_STEP;
            weights[i] = n < end_n ? n * p.k : -1;
        }
    }

    __device__ __forceinline__ void fetch(int k_tile, float (&a)[A_ROWS],
                                          float (&b)[B_ROWS]) const
    {
        const hsi_cuda_window &v = p.window;
        const int k = k_tile * K + (int)threadIdx.x % K;
        const int rs = (int)divide(k, v.by_channels), r = (int)divide(rs, v.by_kernel_w);
        const int dy = r * v.dilation_h, dx = (rs - r * v.kernel_w) * v.dilation_w;
        const T *x = (const T *)p.x + (dy * v.width + dx) * v.pixel + k -
                     rs * v.channels + group * v.channels;
#pragma unroll
        for (int i = 0; i < A_ROWS; i++)
            a[i] = k < p.k && is_inside(v, at[i].y + dy, at[i].x + dx)
                       ? to_float(x[at[i].base])
                       : 0.0f;
#pragma unroll
        for (int i = 0; i < B_ROWS; i++)
            b[i] = k < p.k && weights[i] >= 0
                       ? to_float(((const T *)p.weights)[weights[i] + k])
                       : 0.0f;
    }

    __device__ __forceinline__ void store(memory &to, int half, const float (&a)[A_ROWS],
                                          const float (&b)[B_ROWS]) const
    {
        const int k = threadIdx.x % K, row = threadIdx.x / K;
#pragma unroll
        for (int i = 0; i < A_ROWS; i++)
            to.a[half][k][row + i * ROW_STEP] = a[i];
#pragma unroll
        for (int i = 0; i < B_ROWS; i++)
            to.b[half][k][row + i * ROW_STEP] = b[i];
    }

    __device__ __forceinline__ void accumulate(memory &shared, int first, int end,
                                               float (&sum)[4][4]) const
    {
        const int column = threadIdx.x % (BN / 4) * 4, row = threadIdx.x / (BN / 4) * 4;
        float a[A_ROWS], b[B_ROWS];
        if (first < end) {
            fetch(first, a, b);
            store(shared, 0, a, b);
        }
        for (int tile_k = first; tile_k < end; tile_k++) {
            const int half = tile_k - first & 1;
            __syncthreads();
            if (tile_k + 1 < end)
                fetch(tile_k + 1, a, b);
#pragma unroll
            for (int k = 0; k < K; k++) {
                const float4 u = *(const float4 *)&shared.a[half][k][row];
                const float4 w = *(const float4 *)&shared.b[half][k][column];
                const float us[4] = { u.x, u.y, u.z, u.w },
                            ws[4] = { w.x, w.y, w.z, w.w };
#pragma unroll
                for (int i = 0; i < 4; i++)
#pragma unroll
                    for (int j = 0; j < 4; j++)
                        sum[i][j] = fmaf(us[i], ws[j], sum[i][j]);
            }
            if (tile_k + 1 < end)
                store(shared, half ^ 1, a, b); /* read last before the barrier above */
        }
    }

    /* True for the one block of a tile that then has the whole sums. */
    __device__ __forceinline__ bool join(float (&sum)[4][4]) const
    {
        __shared__ uint32_t arrived;
        float4 *tiles = (float4 *)p.partials + (int64_t)tile * p.splits * 4 * THREADS +
                        threadIdx.x;
        float4 *own = tiles + (int64_t)blockIdx.y * 4 * THREADS;
#pragma unroll
        for (int i = 0; i < 4; i++)
            __stcg(own + i * THREADS,
                   make_float4(sum[i][0], sum[i][1], sum[i][2], sum[i][3]));
        __syncthreads();
        if (threadIdx.x == 0) {
            uint32_t *ticket = (uint32_t *)p.tickets + tile;
            __threadfence();
            arrived = atomicAdd(ticket, 1);
            __threadfence();
            if (arrived == (uint32_t)p.splits - 1)
                *ticket = 0;
        }
        __syncthreads();
        if (arrived != (uint32_t)p.splits - 1)
            return false;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            sum[i][0] = sum[i][1] = sum[i][2] = sum[i][3] = 0;
            for (int q = 0; q < p.splits; q++) {
                const float4 v = __ldcg(tiles + (q * 4 + i) * THREADS);
                sum[i][0] += v.x;
                sum[i][1] += v.y;
                sum[i][2] += v.z;
                sum[i][3] += v.w;
            }
        }
        return true;
    }

    __device__ __forceinline__ void finish(const float (&sum)[4][4]) const
    {
        const conv_out<T> last(p.out, first_n + (int)threadIdx.x % (BN / 4) * 4, end_n);
        const int m = first_m + (int)threadIdx.x / (BN / 4) * 4;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            if (m + i >= p.out.m || !last.any())
                continue;
            float v[4];
            last.begin(m + i, v);
#pragma unroll
            for (int j = 0; j < 4; j++)
                v[j] += sum[i][j];
            last.end(m + i, v);
        }
    }
};

template <typename T, int BM, int BN>
__device__ __forceinline__ void tile(const hsi_cuda_direct_params &p)
{
    typedef direct_tile<T, BM, BN> tile_type;
    __shared__ __align__(16) typename tile_type::memory shared;
    const tile_type t(p);
    const int split = blockIdx.y;
    float sum[4][4] = {};
    grid_wait();
    grid_let_next_start();
    t.accumulate(shared, p.k_tiles * split / p.splits, p.k_tiles * (split + 1) / p.splits,
                 sum);
    if (p.splits > 1 && !t.join(sum))
        return;
    t.finish(sum);
}

/* ---- Depthwise ------------------------------------------------------------ */

template <typename T, int C>
__device__ __forceinline__ void store_outputs(const hsi_cuda_conv_out &p, int m, int c,
                                              float (&sum)[C])
{
    T *to = (T *)p.out + (int64_t)m * p.out_pixel + c;
    if (p.residual) {
        float v[C];
        load_floats<T, C>((const T *)p.residual + (int64_t)m * p.residual_pixel + c, v);
#pragma unroll
        for (int j = 0; j < C; j++)
            sum[j] += v[j];
    }
    activate(sum, p);
    store_floats<T, C>(to, sum);
}

/* Which outputs are this thread's: C channels from c of ACROSS pixels from (image, oy, ox). */
struct depthwise_place {
    int c, image, oy, ox;
};

template <int C, int ACROSS>
__device__ __forceinline__ depthwise_place find_place(const hsi_cuda_depthwise_params &p,
                                                      int index)
{
    depthwise_place at;
    const int columns = (int)divide(index, p.by_channel_groups);
    at.c = (index - columns * (int)p.by_channel_groups.divisor) * C;
    const int rows = (int)divide(columns, p.by_column_groups);
    at.ox = (columns - rows * (int)p.by_column_groups.divisor) * ACROSS;
    at.image = (int)divide(rows, p.by_rows);
    at.oy = rows - at.image * (int)p.by_rows.divisor;
    return at;
}

/* Any window; C channels of one pixel. */
template <typename T, int C>
__device__ __forceinline__ void depthwise_any(const hsi_cuda_depthwise_params &p)
{
    const hsi_cuda_window &v = p.window;
    const int index = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    const depthwise_place at = find_place<C, 1>(p, min(index, p.count - 1));
    const int y = at.oy * v.stride_h - v.pad_top, x = at.ox * v.stride_w - v.pad_left;
    const T *from = (const T *)p.x + (at.image * v.height + y) * v.width * v.pixel + at.c;
    float sum[C] = {};
    if (p.out.bias)
        load_floats<float, C>((const float *)p.out.bias + at.c, sum);
    grid_wait();
    grid_let_next_start();
    if (index >= p.count)
        return;
    for (int r = 0; r < v.kernel_h; r++) {
        for (int s = 0; s < v.kernel_w; s++) {
            const int dy = r * v.dilation_h, column = x + s * v.dilation_w;
            if (!is_inside(v, y + dy, column))
                continue;
            float a[C], w[C];
            load_floats<T, C>(from + (dy * v.width + column) * v.pixel, a);
            load_floats<T, C>(
                (const T *)p.weights + (r * v.kernel_w + s) * p.out.n + at.c, w);
#pragma unroll
            for (int j = 0; j < C; j++)
                sum[j] = fmaf(a[j], w[j], sum[j]);
        }
    }
    const int m = (at.image * v.out_height + at.oy) * v.out_width + at.ox;
    store_outputs<T, C>(p.out, m, at.c, sum);
}

/* 3x3, no dilation, STRIDE along the width; 4 channels of ACROSS pixels. */
template <typename T, int STRIDE, int ACROSS>
__device__ __forceinline__ void depthwise_3x3(const hsi_cuda_depthwise_params &p)
{
    constexpr int C = 4, COLUMNS = (ACROSS - 1) * STRIDE + 3;
    const hsi_cuda_window &v = p.window;
    const int index = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    const depthwise_place at = find_place<C, ACROSS>(p, min(index, p.count - 1));
    const int y = at.oy * v.stride_h - v.pad_top, x = at.ox * STRIDE - v.pad_left;
    const T *from =
        (const T *)p.x + ((at.image * v.height + y) * v.width + x) * v.pixel + at.c;
    float w[9][C], sum[ACROSS][C] = {};
#pragma unroll
    for (int i = 0; i < 9; i++)
        load_floats<T, C>((const T *)p.weights + i * p.out.n + at.c, w[i]);
    if (p.out.bias) {
#pragma unroll
        for (int i = 0; i < ACROSS; i++)
            load_floats<float, C>((const float *)p.out.bias + at.c, sum[i]);
    }
    grid_wait();
    grid_let_next_start();
    if (index >= p.count)
        return;
#pragma unroll
    for (int r = 0; r < 3; r++) {
        float a[COLUMNS][C];
#pragma unroll
        for (int i = 0; i < COLUMNS; i++) {
#pragma unroll
            for (int j = 0; j < C; j++)
                a[i][j] = 0;
            if (is_inside(v, y + r, x + i))
                load_floats<T, C>(from + (r * v.width + i) * v.pixel, a[i]);
        }
#pragma unroll
        for (int i = 0; i < ACROSS; i++)
#pragma unroll
            for (int s = 0; s < 3; s++)
#pragma unroll
                for (int j = 0; j < C; j++)
                    sum[i][j] = fmaf(a[i * STRIDE + s][j], w[r * 3 + s][j], sum[i][j]);
    }
    const int m = (at.image * v.out_height + at.oy) * v.out_width + at.ox;
#pragma unroll
    for (int i = 0; i < ACROSS; i++)
        if (at.ox + i < v.out_width)
            store_outputs<T, C>(p.out, m + i, at.c, sum[i]);
}

} /* namespace */

#define KERNEL(name, params, body)                                                       \
    extern "C" __global__ void name(const __grid_constant__ params p)                    \
    {                                                                                    \
        body(p);                                                                         \
    }
#define DEPTHWISE(suffix, ...)                                                           \
    KERNEL(depthwise_##suffix, hsi_cuda_depthwise_params, (__VA_ARGS__))
#define KERNELS(suffix, type)                                                            \
    KERNEL(direct_each_##suffix, hsi_cuda_direct_params, each<type>)                     \
    KERNEL(direct_32x32_##suffix, hsi_cuda_direct_params, (tile<type, 32, 32>))          \
    KERNEL(direct_64x64_##suffix, hsi_cuda_direct_params, (tile<type, 64, 64>))          \
    DEPTHWISE(one_##suffix, depthwise_any<type, 1>)                                      \
    DEPTHWISE(any_##suffix, depthwise_any<type, 4>)                                      \
    DEPTHWISE(s1x1_##suffix, depthwise_3x3<type, 1, 1>)                                  \
    DEPTHWISE(s1x2_##suffix, depthwise_3x3<type, 1, 2>)                                  \
    DEPTHWISE(s1x4_##suffix, depthwise_3x3<type, 1, 4>)                                  \
    DEPTHWISE(s2x1_##suffix, depthwise_3x3<type, 2, 1>)                                  \
    DEPTHWISE(s2x2_##suffix, depthwise_3x3<type, 2, 2>)

KERNELS(f32, float)
KERNELS(f16, __half)
KERNELS(bf16, __nv_bfloat16)
