/* ARG, TOP_K and CUMSUM. */
#include "backend/cuda/kernels/axis.h"
#include "backend/cuda/kernels/types.cuh"

/* ---- What comes first ---------------------------------------------------------- */

/* A number for each element, the larger the earlier it comes; equal elements have the same. Of 32
 * bits for all types but int64. */
__device__ __forceinline__ uint64_t key_at(const hsi_cuda_rank_params &p,
                                           uint64_t address, int64_t at)
{
    if (p.key_bytes == 8) {
        const uint64_t key = (uint64_t)load_whole(p.stored, address, at) ^ (1ull << 63);
        return p.smallest ? ~key : key;
    }
    uint32_t key;
    bool is_nan = false;
    if (is_whole(p.stored)) {
        key = (uint32_t)load_whole(p.stored, address, at) ^ 0x80000000u;
    } else {
        const float x = load_real(p.stored, address, at);
        const uint32_t bits = x == 0 ? 0 : __float_as_uint(x); /* two zeros are equal */
        is_nan = isnan(x);
        key = is_nan ? 0xffffffffu : bits >> 31 ? ~bits : bits | 0x80000000u;
    }
    return p.smallest && !(is_nan && p.nan_first) ? ~key : key;
}

struct ranked {
    uint64_t key;
    uint32_t place;
};

/* ---- ARG ------------------------------------------------------------------------ */

__device__ __forceinline__ ranked first_of(const hsi_cuda_rank_params &p, ranked a,
                                           ranked b)
{
    if (a.key != b.key)
        return a.key > b.key ? a : b;
    return (p.last ? a.place > b.place : a.place < b.place) ? a : b;
}

/* The first of elements `from`, `from` + `step`, ... of a line; from < size. */
__device__ __forceinline__ ranked first_in(const hsi_cuda_rank_params &p,
                                           uint64_t address, int64_t at, uint32_t from,
                                           uint32_t step)
{
    ranked best = { key_at(p, address, at + from * p.in_stride), from };
    for (uint32_t i = from + step; i < p.size; i += step)
        best = first_of(p, best, { key_at(p, address, at + i * p.in_stride), i });
    return best;
}

/* A group of threads to a line; for groups of one, lines that lie side by side. */
template <int GROUP>
__device__ __forceinline__ void arg(const hsi_cuda_rank_params &p,
                                    const hsi_cuda_addresses &a)
{
    __shared__ ranked memory[HSI_CUDA_AXIS_BLOCK_THREADS / 32];
    const uint32_t line = blockIdx.x * (blockDim.x / GROUP) + threadIdx.x / GROUP;
    if (line >= p.lines.count)
        return; /* whole groups, of one or of a warp, which need no barrier */
    int64_t at[2];
    nest_offsets(p.lines, line, at);
    /* Where there are fewer elements than threads, some look at the last one, too. */
    const uint32_t lane = threadIdx.x % GROUP;
    ranked best = first_in(p, a.in[0], at[1], lane < p.size ? lane : p.size - 1, GROUP);
    if (GROUP > 1)
#pragma unroll
        for (int offset = 16; offset > 0; offset /= 2) {
            ranked other;
            other.key =
                __shfl_xor_sync(0xffffffffu, (unsigned long long)best.key, offset);
            other.place = __shfl_xor_sync(0xffffffffu, best.place, offset);
            best = first_of(p, best, other);
        }
    if (GROUP > 32) {
        if (threadIdx.x % 32 == 0)
            memory[threadIdx.x / 32] = best;
        __syncthreads();
        for (int warp = 0; warp < GROUP / 32; warp++)
            best = first_of(p, best, memory[warp]);
    }
    if (lane == 0)
        put(a.out, at[0], (int64_t)best.place);
}

/* ---- TOP_K: a block to a line ---------------------------------------------------- */

/*
 * Elements are told apart by their key and, of equal ones, by their place: a number of p.key_bytes
 * + 4 bytes, that of the place upside down. Byte by byte, from the highest, the block finds what
 * the last one that is kept begins with, until there are no more such than are to be kept.
 */
struct beginning {
    uint64_t key, key_mask;
    uint32_t place, place_mask; /* upside down */
    __device__ __forceinline__ bool matches(ranked r) const
    {
        return (r.key & key_mask) == key && (~r.place & place_mask) == place;
    }
    __device__ __forceinline__ bool is_reached_by(ranked r) const
    {
        const uint64_t own = r.key & key_mask;
        return own > key || (own == key && (~r.place & place_mask) >= place);
    }
};

__device__ __forceinline__ uint32_t shift_of(const hsi_cuda_rank_params &p, uint32_t byte)
{
    return 8 * (byte < p.key_bytes ? p.key_bytes - 1 - byte : p.key_bytes + 3 - byte);
}

__device__ __forceinline__ uint32_t byte_of(const hsi_cuda_rank_params &p, ranked r,
                                            uint32_t byte)
{
    const uint64_t from = byte < p.key_bytes ? r.key : (uint64_t)~r.place;
    return (uint32_t)(from >> shift_of(p, byte)) & 255;
}

__device__ __forceinline__ beginning find_last(const hsi_cuda_rank_params &p, uint64_t in,
                                               int64_t at)
{
    __shared__ uint32_t counts[256], chosen, wanted_now, there_now;
    beginning last = { 0, 0, 0, 0 };
    uint32_t wanted = p.kept, there = p.size; /* of those that begin so */
    for (uint32_t byte = 0; there > wanted && byte < p.key_bytes + 4; byte++) {
        for (uint32_t i = threadIdx.x; i < 256; i += blockDim.x)
            counts[i] = 0;
        __syncthreads();
        for (uint32_t i = threadIdx.x; i < p.size; i += blockDim.x) {
            const ranked r = { key_at(p, in, at + i * p.in_stride), i };
            if (last.matches(r))
                atomicAdd(&counts[byte_of(p, r, byte)], 1u);
        }
        __syncthreads();
        if (threadIdx.x == 0) {
            uint32_t value = 255;
            while (counts[value] < wanted)
                wanted -= counts[value--];
            chosen = value;
            wanted_now = wanted;
            there_now = counts[value];
        }
        __syncthreads();
        wanted = wanted_now;
        there = there_now;
        const uint32_t shift = shift_of(p, byte);
        if (byte < p.key_bytes) {
            last.key |= (uint64_t)chosen << shift;
            last.key_mask |= (uint64_t)255 << shift;
        } else {
            last.place |= chosen << shift;
            last.place_mask |= 255u << shift;
        }
    }
    return last;
}

/* Bitonic; count is a power of two. */
__device__ __forceinline__ void sort(uint64_t *keys, uint32_t *places, uint32_t count)
{
    for (uint32_t size = 2; size <= count; size *= 2)
        for (uint32_t stride = size / 2; stride > 0; stride /= 2) {
            for (uint32_t t = threadIdx.x; t < count / 2; t += blockDim.x) {
                const uint32_t i = 2 * t - (t & (stride - 1)), j = i + stride;
                const bool ahead =
                    keys[j] > keys[i] || (keys[j] == keys[i] && places[j] < places[i]);
                if (ahead == ((i & size) == 0)) {
                    const uint64_t key = keys[i];
                    const uint32_t place = places[i];
                    keys[i] = keys[j];
                    places[i] = places[j];
                    keys[j] = key;
                    places[j] = place;
                }
            }
            __syncthreads();
        }
}

__device__ __forceinline__ void top_k(const hsi_cuda_rank_params &p,
                                      const hsi_cuda_addresses &a)
{
    __shared__ uint64_t keys[HSI_CUDA_TOP_K_MOST];
    __shared__ uint32_t places[HSI_CUDA_TOP_K_MOST], taken;
    int64_t at[2];
    nest_offsets(p.lines, blockIdx.x, at);
    const beginning last = find_last(p, a.in[0], at[1]);
    uint32_t room = 1;
    while (room < p.kept)
        room *= 2;
    if (threadIdx.x == 0)
        taken = 0;
    for (uint32_t i = p.kept + threadIdx.x; i < room; i += blockDim.x) {
        keys[i] = 0; /* behind all others */
        places[i] = 0xffffffffu;
    }
    __syncthreads();
    for (uint32_t i = threadIdx.x; i < p.size; i += blockDim.x) {
        const ranked r = { key_at(p, a.in[0], at[1] + i * p.in_stride), i };
        if (last.is_reached_by(r)) {
            const uint32_t to = atomicAdd(&taken, 1u); /* in any order: they are sorted */
            keys[to] = r.key;
            places[to] = i;
        }
    }
    __syncthreads();
    sort(keys, places, room);
    for (uint32_t i = threadIdx.x; i < p.kept; i += blockDim.x)
        put(a.out, at[0] + i * p.out_stride, (int64_t)places[i]);
}

/* ---- CUMSUM: floats in double, integers in 64 bits -------------------------------- */

__device__ __forceinline__ void load(const hsi_cuda_cumsum_params &p, uint64_t address,
                                     int64_t at, double &x)
{
    x = p.stored == HSI_CUDA_STORED_F64 ? reinterpret_cast<const double *>(address)[at]
                                        : (double)load_real(p.stored, address, at);
}
__device__ __forceinline__ void load(const hsi_cuda_cumsum_params &p, uint64_t address,
                                     int64_t at, unsigned long long &x)
{
    x = (unsigned long long)load_whole(p.stored, address, at);
}

__device__ __forceinline__ void store(const hsi_cuda_cumsum_params &p, uint64_t address,
                                      int64_t at, double x)
{
    if (p.stored == HSI_CUDA_STORED_F64)
        put(address, at, x);
    else
        store_real(p.stored, address, at, (float)x);
}
__device__ __forceinline__ void store(const hsi_cuda_cumsum_params &p, uint64_t address,
                                      int64_t at, unsigned long long x)
{
    store_whole(p.stored, address, at, (int64_t)x);
}

/* What becomes of what is carried along, and a new element. */
struct summed {
    static constexpr int neutral = 0;
    template <typename T> static __device__ __forceinline__ void join(T &to, T x)
    {
        to += x;
    }
};
struct multiplied {
    static constexpr int neutral = 1;
    template <typename T> static __device__ __forceinline__ void join(T &to, T x)
    {
        to *= x;
    }
};

/* A thread to a line, for lines that lie side by side. */
template <typename SUM, typename OPERATION>
__device__ __forceinline__ void cumulate_thread(const hsi_cuda_cumsum_params &p,
                                                const hsi_cuda_addresses &a)
{
    const uint32_t line = blockIdx.x * blockDim.x + threadIdx.x;
    if (line >= p.lines.count)
        return;
    int64_t at[2];
    SUM sum = OPERATION::neutral;
    nest_offsets(p.lines, line, at);
    for (uint32_t k = 0; k < p.size; k++) {
        const uint32_t i = p.reverse ? p.size - 1 - k : k;
        const SUM before = sum;
        SUM x;
        load(p, a.in[0], at[1] + i * p.in_stride, x);
        OPERATION::join(sum, x);
        store(p, a.out, at[0] + i * p.out_stride, p.exclusive ? before : sum);
    }
}

/* A warp to a line, 32 elements at a time. */
template <typename SUM>
__device__ __forceinline__ void cumsum_warp(const hsi_cuda_cumsum_params &p,
                                            const hsi_cuda_addresses &a)
{
    const uint32_t line = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    const uint32_t lane = threadIdx.x % 32;
    if (line >= p.lines.count)
        return; /* the whole warp */
    int64_t at[2];
    SUM carried = 0;
    nest_offsets(p.lines, line, at);
    for (uint32_t first = 0; first < p.size; first += 32) {
        const bool exists = first + lane < p.size;
        const uint32_t k = exists ? first + lane : p.size - 1;
        const uint32_t i = p.reverse ? p.size - 1 - k : k;
        SUM sum = 0;
        if (exists)
            load(p, a.in[0], at[1] + i * p.in_stride, sum);
#pragma unroll
        for (int offset = 1; offset < 32; offset *= 2) {
            const SUM before = __shfl_up_sync(0xffffffffu, sum, offset);
            if (lane >= (uint32_t)offset)
                sum += before;
        }
        SUM before = __shfl_up_sync(0xffffffffu, sum, 1);
        if (lane == 0)
            before = 0;
        if (exists)
            store(p, a.out, at[0] + i * p.out_stride,
                  carried + (p.exclusive ? before : sum));
        carried += __shfl_sync(0xffffffffu, sum, 31);
    }
}

/* The same for products, but one element after the other: a product of many may be too large where
 * that of all before them is 0, and nothing is both. */
template <typename PRODUCT>
__device__ __forceinline__ void cumprod_warp(const hsi_cuda_cumsum_params &p,
                                             const hsi_cuda_addresses &a)
{
    const uint32_t line = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    const uint32_t lane = threadIdx.x % 32;
    if (line >= p.lines.count)
        return; /* the whole warp */
    int64_t at[2];
    PRODUCT carried = 1;
    nest_offsets(p.lines, line, at);
    for (uint32_t first = 0; first < p.size; first += 32) {
        const bool exists = first + lane < p.size;
        const uint32_t k = exists ? first + lane : p.size - 1;
        const uint32_t i = p.reverse ? p.size - 1 - k : k;
        PRODUCT x = 1, product = carried;
        if (exists)
            load(p, a.in[0], at[1] + i * p.in_stride, x);
#pragma unroll
        for (int of = 0; of < 32; of++) {
            const PRODUCT factor = __shfl_sync(0xffffffffu, x, of);
            if (lane >= (uint32_t)of)
                product *= factor;
        }
        PRODUCT before = __shfl_up_sync(0xffffffffu, product, 1);
        if (lane == 0)
            before = carried;
        if (exists)
            store(p, a.out, at[0] + i * p.out_stride, p.exclusive ? before : product);
        carried = __shfl_sync(0xffffffffu, product, 31);
    }
}

/* ---- Kernels ---------------------------------------------------------------------- */

#define AXIS_KERNEL(name, threads, params, call)                                         \
    extern "C" __global__ void __launch_bounds__(threads) name(                          \
        const __grid_constant__ params p, const __grid_constant__ hsi_cuda_addresses a)  \
    {                                                                                    \
        call(p, a);                                                                      \
    }
AXIS_KERNEL(arg_thread, HSI_CUDA_AXIS_THREADS, hsi_cuda_rank_params, arg<1>)
AXIS_KERNEL(arg_warp, HSI_CUDA_AXIS_THREADS, hsi_cuda_rank_params, arg<32>)
AXIS_KERNEL(arg_block, HSI_CUDA_AXIS_BLOCK_THREADS, hsi_cuda_rank_params,
            arg<HSI_CUDA_AXIS_BLOCK_THREADS>)
AXIS_KERNEL(top_k_block, HSI_CUDA_TOP_K_THREADS, hsi_cuda_rank_params, top_k)
AXIS_KERNEL(cumsum_thread_float, HSI_CUDA_AXIS_THREADS, hsi_cuda_cumsum_params,
            (cumulate_thread<double, summed>))
AXIS_KERNEL(cumsum_thread_whole, HSI_CUDA_AXIS_THREADS, hsi_cuda_cumsum_params,
            (cumulate_thread<unsigned long long, summed>))
AXIS_KERNEL(cumprod_thread_float, HSI_CUDA_AXIS_THREADS, hsi_cuda_cumsum_params,
            (cumulate_thread<double, multiplied>))
AXIS_KERNEL(cumprod_thread_whole, HSI_CUDA_AXIS_THREADS, hsi_cuda_cumsum_params,
            (cumulate_thread<unsigned long long, multiplied>))
AXIS_KERNEL(cumprod_warp_float, HSI_CUDA_AXIS_THREADS, hsi_cuda_cumsum_params,
            cumprod_warp<double>)
AXIS_KERNEL(cumprod_warp_whole, HSI_CUDA_AXIS_THREADS, hsi_cuda_cumsum_params,
            cumprod_warp<unsigned long long>)
AXIS_KERNEL(cumsum_warp_float, HSI_CUDA_AXIS_THREADS, hsi_cuda_cumsum_params,
            cumsum_warp<double>)
AXIS_KERNEL(cumsum_warp_whole, HSI_CUDA_AXIS_THREADS, hsi_cuda_cumsum_params,
            cumsum_warp<unsigned long long>)
