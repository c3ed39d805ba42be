/* RESIZE. The arithmetic of coordinates is that of backend/resize.c to the last bit, since the
 * nearest element depends on it: no product and sum is one instruction there. */
#include "backend/cuda/kernels/common.cuh"
#include "backend/cuda/kernels/resize.h"

typedef hsi_cuda_resize_params params;
typedef hsi_cuda_resize_axis axis;

/* ---- One axis --------------------------------------------------------------- */

/* The coordinate in the input of element `index` of the output. */
__device__ __forceinline__ float coordinate(const params &p, const axis &d,
                                            uint32_t index)
{
    const float x = (float)index, in = (float)d.in_size, out = d.length;
    switch (p.coordinates) {
    case HSCHED_RESIZE_HALF_PIXEL_SYMMETRIC: {
        const float adjustment = (float)d.out_size / out;
        const float start = __fmul_rn(in / 2, 1 - adjustment);
        return __fadd_rn(start, (x + 0.5f) / d.scale) - 0.5f;
    }
    case HSCHED_RESIZE_PYTORCH_HALF_PIXEL:
        return out > 1 ? (x + 0.5f) / d.scale - 0.5f : 0;
    case HSCHED_RESIZE_ALIGN_CORNERS:
        return out == 1 ? 0 : __fmul_rn(x, in - 1) / (out - 1);
    case HSCHED_RESIZE_ASYMMETRIC:
        return x / d.scale;
    case HSCHED_RESIZE_TF_HALF_PIXEL:
        return (x + 0.5f) / d.scale;
    case HSCHED_RESIZE_CROP: {
        const float last = in - 1;
        if (!(out > 1))
            return __fmul_rn(__fmul_rn(0.5f, d.roi_start + d.roi_end), last);
        const float along =
            __fmul_rn(__fmul_rn(x, d.roi_end - d.roi_start), last) / (out - 1);
        return __fadd_rn(__fmul_rn(d.roi_start, last), along);
    }
    case HSCHED_RESIZE_HALF_PIXEL:
    default:
        return (x + 0.5f) / d.scale - 0.5f;
    }
}

/* The element is the extrapolation value. */
__device__ __forceinline__ bool is_outside(const params &p, const axis &d, float at)
{
    return p.coordinates == HSCHED_RESIZE_CROP &&
           !(at >= 0 && at <= (float)(d.in_size - 1));
}

__device__ __forceinline__ int64_t inside(const axis &d, int64_t index)
{
    return index < 0 ? 0 : index >= d.in_size ? d.in_size - 1 : index;
}

__device__ __forceinline__ int64_t nearest_index(const params &p, float at)
{
    switch (p.rounding) {
    case HSCHED_RESIZE_ROUND_UP:
        return (int64_t)floorf(at + 0.5f);
    case HSCHED_RESIZE_FLOOR:
        return (int64_t)floorf(at);
    case HSCHED_RESIZE_CEIL:
        return (int64_t)ceilf(at);
    case HSCHED_RESIZE_ROUND_DOWN:
    default:
        return (int64_t)ceilf(at - 0.5f);
    }
}

/* ---- NEAREST: element `i` of out, as a word of BYTES ------------------------ */

template <int BYTES>
__device__ __forceinline__ void nearest(const params &p, const hsi_cuda_addresses &a)
{
    typedef typename word_of<BYTES>::type word;
    const word *in = reinterpret_cast<const word *>(a.in[0]);
    word *out = reinterpret_cast<word *>(a.out);
    word fill;
    memcpy(&fill, p.fill, sizeof fill);
    const uint32_t step = gridDim.x * blockDim.x;
    for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < p.count; i += step) {
        uint32_t index = i;
        int64_t from = 0, to = 0;
        bool outside = false;
        for (uint32_t d = 0; d < p.rank; d++) {
            const uint32_t next = divide(index, p.dims[d]);
            int64_t at = index - next * p.dims[d].divisor;
            to += at * p.out_strides[d];
            if (p.axis[d] >= 0) {
                const axis &x = p.axes[p.axis[d]];
                const float place = coordinate(p, x, (uint32_t)at);
                outside = outside || is_outside(p, x, place);
                at = inside(x, nearest_index(p, place));
            }
            from += at * p.in_strides[d];
            index = next;
        }
        out[to] = outside ? fill : in[from];
    }
}

/* ---- LINEAR, CUBIC: a sum over the taps of all axes ------------------------- */

/* Elements first .. first + taps - 1 of the input: those outside of it are its edge. */
struct place {
    int64_t first;
    int32_t taps;
    float at, sum; /* of the weights before they are divided by it */
};

/* How much wider than usual windows are: where the output is smaller, they see all. */
__device__ __forceinline__ float stretch(const params &p, const axis &d)
{
    return p.antialias && d.scale < 1 ? d.scale : 1;
}

/* Keys' cubic kernel; or a triangle. */
__device__ __forceinline__ float window(const params &p, float x)
{
    const float a = p.cubic_a;
    x = fabsf(x);
    if (p.mode == HSCHED_RESIZE_LINEAR)
        return x < 1 ? 1 - x : 0;
    if (x <= 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

__device__ __forceinline__ float raw_weight(const params &p, const axis &d,
                                            const place &at, int32_t k)
{
    const int64_t index = at.first + k;
    if (p.exclude_outside && (index < 0 || index >= d.in_size))
        return 0;
    return window(p, ((float)index - at.at) * stretch(p, d));
}

__device__ __forceinline__ place place_at(const params &p, const axis &d, float at)
{
    const float reach = p.mode == HSCHED_RESIZE_LINEAR ? 1 : 2;
    const float low = floorf(-reach / stretch(p, d)) + 1;
    place result = { (int64_t)(floorf(at) + low), (int32_t)(2 - 2 * low), at, 0 };
    for (int32_t k = 0; k < result.taps; k++)
        result.sum += raw_weight(p, d, result, k);
    if (result.sum == 0) /* all of it excluded: the nearest edge */
        result.taps = 1;
    return result;
}

/* Adds what the taps of axes K to AXES - 1 give, times `weight`. */
template <typename T, int WIDTH, int AXES, int K> struct taps {
    static __device__ __forceinline__ void add(const params &p,
                                               const place (&places)[AXES], const T *in,
                                               float weight, float (&sum)[WIDTH])
    {
        const axis &d = p.axes[K];
        for (int32_t k = 0; k < places[K].taps; k++) {
            const float w =
                places[K].sum == 0 ? 1 : raw_weight(p, d, places[K], k) / places[K].sum;
            if (w != 0)
                taps<T, WIDTH, AXES, K + 1>::add(
                    p, places, in + inside(d, places[K].first + k) * d.in_stride,
                    weight * w, sum);
        }
    }
};
template <typename T, int WIDTH, int AXES> struct taps<T, WIDTH, AXES, AXES> {
    static __device__ __forceinline__ void add(const params &, const place (&)[AXES],
                                               const T *in, float weight,
                                               float (&sum)[WIDTH])
    {
        float x[WIDTH];
        load_floats<T, WIDTH>(in, x);
#pragma unroll
        for (int i = 0; i < WIDTH; i++)
            sum[i] += weight * x[i];
    }
};

template <typename T, int WIDTH, int AXES>
__device__ __forceinline__ void interpolate(const params &p, const hsi_cuda_addresses &a)
{
    const uint32_t step = gridDim.x * blockDim.x;
    for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < p.count / WIDTH;
         i += step) {
        uint32_t index = i * WIDTH, along[AXES];
        int64_t from = 0, to = 0;
        for (uint32_t d = 0; d < p.rank; d++) {
            const uint32_t next = divide(index, p.dims[d]);
            const uint32_t at = index - next * p.dims[d].divisor;
            to += at * p.out_strides[d];
#pragma unroll
            for (int k = 0; k < AXES; k++)
                if (p.axis[d] == k)
                    along[k] = at;
            if (p.axis[d] < 0)
                from += at * p.in_strides[d];
            index = next;
        }
        place places[AXES];
        bool outside = false;
#pragma unroll
        for (int k = 0; k < AXES; k++) {
            const float at = coordinate(p, p.axes[k], along[k]);
            outside = outside || is_outside(p, p.axes[k], at);
            places[k] = place_at(p, p.axes[k], at);
        }
        float sum[WIDTH];
#pragma unroll
        for (int k = 0; k < WIDTH; k++)
            sum[k] = outside ? p.extrapolation_value : 0;
        if (!outside)
            taps<T, WIDTH, AXES, 0>::add(
                p, places, reinterpret_cast<const T *>(a.in[0]) + from, 1, sum);
        store_floats(reinterpret_cast<T *>(a.out) + to, sum);
    }
}

/* ---- Kernels ---------------------------------------------------------------- */

#define RESIZE_KERNEL(name, call)                                                        \
    extern "C" __global__ void __launch_bounds__(HSI_CUDA_RESIZE_THREADS) name(          \
        const __grid_constant__ params p, const __grid_constant__ hsi_cuda_addresses a)  \
    {                                                                                    \
        call(p, a);                                                                      \
    }
RESIZE_KERNEL(nearest_1, nearest<1>)
RESIZE_KERNEL(nearest_2, nearest<2>)
RESIZE_KERNEL(nearest_4, nearest<4>)
RESIZE_KERNEL(nearest_8, nearest<8>)
RESIZE_KERNEL(nearest_16, nearest<16>)

#define INTERPOLATE_KERNELS(axes, name, T, width)                                        \
    RESIZE_KERNEL(resize_##axes##_##name, (interpolate<T, 1, axes>))                     \
    RESIZE_KERNEL(resize_##axes##_wide_##name, (interpolate<T, width, axes>))
#define INTERPOLATE_ALL(axes)                                                            \
    INTERPOLATE_KERNELS(axes, f32, float, 4)                                             \
    INTERPOLATE_KERNELS(axes, f16, __half, 8)                                            \
    INTERPOLATE_KERNELS(axes, bf16, __nv_bfloat16, 8)
INTERPOLATE_ALL(1)
INTERPOLATE_ALL(2)
INTERPOLATE_ALL(3)
