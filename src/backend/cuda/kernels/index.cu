/* GATHER, TUPLE_INDEX and SCATTER. */
#include "backend/cuda/kernels/common.cuh"
#include "backend/cuda/kernels/index.h"

__device__ __forceinline__ int64_t load_index(uint64_t address, int64_t at, int32_t wide)
{
    return wide ? reinterpret_cast<const int64_t *>(address)[at]
                : reinterpret_cast<const int32_t *>(address)[at];
}

/* ---- GATHER: element `i` of out, as a word of BYTES ------------------------- */

template <int BYTES>
__device__ __forceinline__ void gather(const hsi_cuda_gather_params &p,
                                       const hsi_cuda_addresses &a)
{
    typedef typename word_of<BYTES>::type word;
    const word *in = reinterpret_cast<const word *>(a.in[0]);
    word *out = reinterpret_cast<word *>(a.out);
    const uint32_t step = gridDim.x * blockDim.x;
    for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < p.nest.count;
         i += step) {
        int64_t at[3];
        nest_offsets(p.nest, i, at);
        int64_t index = load_index(a.in[1], at[2], p.wide_index);
        if (index < 0)
            index += p.size;
        word x = {};
        if (index >= 0 && index < p.size)
            x = in[at[1] + index * p.stride];
        out[at[0]] = x;
    }
}

/* ---- TUPLE_INDEX: a thread to a tuple --------------------------------------- */

__device__ __forceinline__ void tuples(const hsi_cuda_tuple_params &p,
                                       const hsi_cuda_addresses &a)
{
    const uint32_t step = gridDim.x * blockDim.x;
    for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < p.nest.count;
         i += step) {
        int64_t at[2], place = 0;
        bool inside = true;
        nest_offsets(p.nest, i, at);
        for (uint32_t k = 0; k < p.length; k++) {
            int64_t index = load_index(a.in[0], at[1] + k * p.stride, p.wide_index);
            if (index < 0)
                index += p.dims[k];
            inside = inside && index >= 0 && index < p.dims[k];
            place = inside ? place * p.dims[k] + index : 0;
        }
        reinterpret_cast<int64_t *>(a.out)[at[0]] = inside ? place : p.all;
    }
}

/* ---- SCATTER ---------------------------------------------------------------- */

/* A thread to an element of out, which looks for the updates that are meant for it, in their
 * order: only those with its own place in all other dimensions can be. So the result is the same
 * each time, whatever is done with several for one place. */
template <typename ELEMENT>
__device__ __forceinline__ void scatter(const hsi_cuda_scatter_params &p,
                                        const hsi_cuda_addresses &a)
{
    typedef typename ELEMENT::stored T;
    const T *in = reinterpret_cast<const T *>(a.in[0]);
    const T *updates = reinterpret_cast<const T *>(a.in[2]);
    T *out = reinterpret_cast<T *>(a.out);
    const uint32_t step = gridDim.x * blockDim.x;
    for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < p.count; i += step) {
        uint32_t index = i;
        int64_t to = 0, from = 0, at_index = 0, at_update = 0, own = 0;
        bool reached = true;
        for (uint32_t d = 0; d < p.rank; d++) {
            const uint32_t next = divide(index, p.dims[d]);
            const int64_t at = index - next * p.dims[d].divisor;
            to += at * p.out_strides[d];
            from += at * p.in_strides[d];
            at_index += at * p.index_strides[d];
            at_update += at * p.update_strides[d];
            reached = reached && at < p.update_dims[d];
            if (d == p.axis)
                own = at;
            index = next;
        }
        ELEMENT x(in[from]);
        for (uint32_t k = 0; reached && k < p.updates; k++) {
            const int64_t place =
                load_index(a.in[1], at_index + k * p.index_stride, p.wide_index);
            if (place == own || place == own - p.size)
                x.join(updates[at_update + k * p.update_stride], p.kind);
        }
        out[to] = x.result();
    }
}

/* What becomes of an element: another one, */
template <int BYTES> struct replaced {
    typedef typename word_of<BYTES>::type stored;
    stored x;
    __device__ __forceinline__ explicit replaced(stored first) : x(first)
    {
    }
    __device__ __forceinline__ void join(stored v, int)
    {
        x = v;
    }
    __device__ __forceinline__ stored result() const
    {
        return x;
    }
};

/* or a sum, product, larger or smaller one: of floats */
template <typename T> struct joined_float {
    typedef T stored;
    float x;
    __device__ __forceinline__ explicit joined_float(T first) : x(to_float(first))
    {
    }
    __device__ __forceinline__ void join(T other, int kind)
    {
        const float v = to_float(other);
        switch (kind) {
        case HSCHED_SCATTER_ADD:
            x += v;
            break;
        case HSCHED_SCATTER_MUL:
            x *= v;
            break;
        case HSCHED_SCATTER_MAX:
            x = isnan(x) || x > v ? x : v;
            break;
        default:
            x = isnan(x) || x < v ? x : v;
            break;
        }
    }
    __device__ __forceinline__ T result() const
    {
        return from_float<T>(x);
    }
};

/* or of integers, which wrap around where the type ends. */
template <typename T> struct joined_whole {
    typedef T stored;
    int64_t x;
    __device__ __forceinline__ explicit joined_whole(T first) : x(first)
    {
    }
    __device__ __forceinline__ void join(T v, int kind)
    {
        switch (kind) {
        case HSCHED_SCATTER_ADD:
            x = (int64_t)((uint64_t)x + (uint64_t)(int64_t)v);
            break;
        case HSCHED_SCATTER_MUL:
            x = (int64_t)((uint64_t)x * (uint64_t)(int64_t)v);
            break;
        case HSCHED_SCATTER_MAX:
            x = x > v ? x : v;
            break;
        default:
            x = x < v ? x : v;
            break;
        }
    }
    __device__ __forceinline__ T result() const
    {
        return (T)x;
    }
};

/* ---- Kernels ---------------------------------------------------------------- */

#define INDEX_KERNEL(name, params, call)                                                 \
    extern "C" __global__ void __launch_bounds__(HSI_CUDA_INDEX_THREADS) name(           \
        const __grid_constant__ params p, const __grid_constant__ hsi_cuda_addresses a)  \
    {                                                                                    \
        call(p, a);                                                                      \
    }
INDEX_KERNEL(gather_1, hsi_cuda_gather_params, gather<1>)
INDEX_KERNEL(gather_2, hsi_cuda_gather_params, gather<2>)
INDEX_KERNEL(gather_4, hsi_cuda_gather_params, gather<4>)
INDEX_KERNEL(gather_8, hsi_cuda_gather_params, gather<8>)
INDEX_KERNEL(gather_16, hsi_cuda_gather_params, gather<16>)
INDEX_KERNEL(tuple_index, hsi_cuda_tuple_params, tuples)

#define SCATTER_KERNEL(name, element)                                                    \
    INDEX_KERNEL(scatter_##name, hsi_cuda_scatter_params, scatter<element>)
SCATTER_KERNEL(1, replaced<1>)
SCATTER_KERNEL(2, replaced<2>)
SCATTER_KERNEL(4, replaced<4>)
SCATTER_KERNEL(8, replaced<8>)
SCATTER_KERNEL(f32, joined_float<float>)
SCATTER_KERNEL(f16, joined_float<__half>)
SCATTER_KERNEL(bf16, joined_float<__nv_bfloat16>)
SCATTER_KERNEL(i64, joined_whole<int64_t>)
SCATTER_KERNEL(i32, joined_whole<int32_t>)
SCATTER_KERNEL(i8, joined_whole<int8_t>)
SCATTER_KERNEL(u8, joined_whole<uint8_t>)
