/* GRID_SAMPLE and ROI_ALIGN: a thread takes WIDTH channels of a place. Where that is, is computed
 * in float as the CPU does it, to the last bit: this file is compiled without fused operations,
 * but for those that it names. */
#include "backend/cuda/kernels/common.cuh"
#include "backend/cuda/kernels/sample.h"

template <typename T, int WIDTH>
__device__ __forceinline__ void add(const T *x, float weight, float (&sum)[WIDTH])
{
    float value[WIDTH];
    load_floats(x, value);
#pragma unroll
    for (int k = 0; k < WIDTH; k++)
        sum[k] = fmaf(weight, value[k], sum[k]);
}

/* ---- GRID_SAMPLE ------------------------------------------------------------- */

/* The taps of one plane; those of no weight do not count. */
template <typename T, int WIDTH, int TAPS>
__device__ __forceinline__ void add_plane(const T *x, const hsi_grid_place &row,
                                          const hsi_grid_place &column,
                                          const int64_t *strides, float weight,
                                          float (&sum)[WIDTH])
{
#pragma unroll
    for (int i = 0; i < TAPS; i++) {
        if (row.weight[i] == 0)
            continue;
        const T *line = x + row.index[i] * strides[0];
#pragma unroll
        for (int k = 0; k < TAPS; k++)
            if (column.weight[k] != 0)
                add(line + column.index[k] * strides[1],
                    weight * row.weight[i] * column.weight[k], sum);
    }
}

template <typename T, int WIDTH, int SPATIAL, int TAPS>
__device__ __forceinline__ void grid_sample(const hsi_cuda_grid_params &p,
                                            const hsi_cuda_addresses &a)
{
    const uint32_t step = gridDim.x * blockDim.x;
    for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < p.nest.count / WIDTH;
         i += step) {
        int64_t at[3];
        float sum[WIDTH] = {};
        hsi_grid_place plane, row, column;
        nest_offsets(p.nest, i * WIDTH, at);
        const T *x = reinterpret_cast<const T *>(a.in[0]) + at[1];
        const T *point = reinterpret_cast<const T *>(a.in[1]) + at[2];
        hsi_grid_at(&p.way, TAPS, to_float(point[0]), p.sizes[2], &column);
        hsi_grid_at(&p.way, TAPS, to_float(point[p.coordinate_stride]), p.sizes[1], &row);
        if (SPATIAL == 2) {
            add_plane<T, WIDTH, TAPS>(x, row, column, p.strides + 1, 1, sum);
        } else {
            hsi_grid_at(&p.way, TAPS, to_float(point[2 * p.coordinate_stride]),
                        p.sizes[0], &plane);
#pragma unroll 1
            for (int k = 0; k < TAPS; k++)
                if (plane.weight[k] != 0)
                    add_plane<T, WIDTH, TAPS>(x + plane.index[k] * p.strides[0], row,
                                              column, p.strides + 1, plane.weight[k],
                                              sum);
        }
        store_floats(reinterpret_cast<T *>(a.out) + at[0], sum);
    }
}

/* ---- ROI_ALIGN --------------------------------------------------------------- */

__device__ __forceinline__ int64_t image_of(const hsi_cuda_roi_params &p,
                                            const hsi_cuda_addresses &a, int64_t region)
{
    const int64_t at = region * p.index_stride;
    return p.wide_index ? reinterpret_cast<const int64_t *>(a.in[2])[at]
                        : reinterpret_cast<const int32_t *>(a.in[2])[at];
}

/* One sample: its four elements are added, or the largest of them all is kept. */
template <typename T, int WIDTH, bool MAX>
__device__ __forceinline__ void take_sample(const hsi_cuda_roi_params &p, const T *x,
                                            const int64_t (&h)[2], const float (&wh)[2],
                                            const int64_t (&w)[2], const float (&ww)[2],
                                            bool first, float (&result)[WIDTH])
{
#pragma unroll
    for (int tap = 0; tap < 4; tap++) {
        const T *from = x + h[tap / 2] * p.strides[0] + w[tap % 2] * p.strides[1];
        const float weight = wh[tap / 2] * ww[tap % 2];
        if (!MAX) {
            add(from, weight, result);
            continue;
        }
        float value[WIDTH];
        load_floats(from, value);
#pragma unroll
        for (int k = 0; k < WIDTH; k++) {
            const float v = weight * value[k];
            if ((first && tap == 0) || v > result[k])
                result[k] = v;
        }
    }
}

/* A bin of the image that begins at x. Sums are made line by line, since there may be many. */
template <typename T, int WIDTH, bool MAX>
__device__ __forceinline__ void take_bin(const hsi_cuda_roi_params &p, const hsi_roi &r,
                                         uint32_t row, uint32_t column, const T *x,
                                         float (&result)[WIDTH])
{
    int64_t rows[2], columns[2], inside = 0;
    hsi_roi_range(&r, 0, row, p.sizes[0], &rows[0], &rows[1]);
    hsi_roi_range(&r, 1, column, p.sizes[1], &columns[0], &columns[1]);
    for (int64_t i = rows[0]; i < rows[1]; i++) {
        int64_t h[2], w[2];
        float wh[2], ww[2], line[WIDTH] = {};
        if (!hsi_roi_sample(&r, 0, row, i, p.sizes[0], h, wh))
            continue;
        for (int64_t k = columns[0]; k < columns[1]; k++) {
            if (!hsi_roi_sample(&r, 1, column, k, p.sizes[1], w, ww))
                continue;
            take_sample<T, WIDTH, MAX>(p, x, h, wh, w, ww, inside == 0,
                                       MAX ? result : line);
            inside++;
        }
        if (!MAX)
#pragma unroll
            for (int k = 0; k < WIDTH; k++)
                result[k] += line[k];
    }
    const double all = (double)r.grid[0] * (double)r.grid[1];
#pragma unroll
    for (int k = 0; k < WIDTH; k++)
        if (!MAX)
            result[k] = all > 0 ? result[k] / (float)all : 0.0f;
        else if ((double)inside < all && result[k] < 0)
            result[k] = 0;
}

template <typename T, int WIDTH, bool MAX>
__device__ __forceinline__ void roi_align(const hsi_cuda_roi_params &p,
                                          const hsi_cuda_addresses &a)
{
    const uint32_t step = gridDim.x * blockDim.x;
    for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < p.nest.count / WIDTH;
         i += step) {
        int64_t at[4];
        float result[WIDTH] = {};
        nest_offsets(p.nest, i * WIDTH, at);
        const int64_t image = image_of(p, a, at[2]);
        if (image >= 0 && image < p.images) {
            const T *region =
                reinterpret_cast<const T *>(a.in[1]) + at[2] * p.region_stride;
            float numbers[4];
#pragma unroll
            for (int k = 0; k < 4; k++)
                numbers[k] = to_float(region[k * p.number_stride]);
            const hsi_roi r = hsi_roi_of(&p.way, numbers, 1);
            const uint32_t row = divide((uint32_t)at[3], p.columns);
            take_bin<T, WIDTH, MAX>(p, r, row, (uint32_t)at[3] - row * p.columns.divisor,
                                    reinterpret_cast<const T *>(a.in[0]) +
                                        image * p.image_stride + at[1],
                                    result);
        }
        store_floats(reinterpret_cast<T *>(a.out) + at[0], result);
    }
}

/* ---- Kernels ----------------------------------------------------------------- */

#define SAMPLE_KERNEL(name, params, call)                                                \
    extern "C" __global__ void __launch_bounds__(HSI_CUDA_SAMPLE_THREADS) name(          \
        const __grid_constant__ params p, const __grid_constant__ hsi_cuda_addresses a)  \
    {                                                                                    \
        call(p, a);                                                                      \
    }
#define GRID_KERNELS(spatial, taps, name, T, width)                                      \
    SAMPLE_KERNEL(grid_##spatial##_##taps##_##name, hsi_cuda_grid_params,                \
                  (grid_sample<T, 1, spatial, taps>))                                    \
    SAMPLE_KERNEL(grid_##spatial##_##taps##_wide_##name, hsi_cuda_grid_params,           \
                  (grid_sample<T, width, spatial, taps>))
#define ROI_KERNELS(kind, max, name, T, width)                                           \
    SAMPLE_KERNEL(roi_##kind##_##name, hsi_cuda_roi_params, (roi_align<T, 1, max>))      \
    SAMPLE_KERNEL(roi_##kind##_wide_##name, hsi_cuda_roi_params,                         \
                  (roi_align<T, width, max>))
#define SAMPLE_KERNELS(name, T, width)                                                   \
    GRID_KERNELS(2, 1, name, T, width)                                                   \
    GRID_KERNELS(2, 2, name, T, width)                                                   \
    GRID_KERNELS(2, 4, name, T, width)                                                   \
    GRID_KERNELS(3, 1, name, T, width)                                                   \
    GRID_KERNELS(3, 2, name, T, width)                                                   \
    GRID_KERNELS(3, 4, name, T, width)                                                   \
    ROI_KERNELS(max, true, name, T, width)                                               \
    ROI_KERNELS(average, false, name, T, width)
SAMPLE_KERNELS(f32, float, 4)
SAMPLE_KERNELS(f16, __half, 8)
SAMPLE_KERNELS(bf16, __nv_bfloat16, 8)
