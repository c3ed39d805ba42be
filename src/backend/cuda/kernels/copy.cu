/* Copies between any strides, padding, image input, entry and exit of a batch. */
#include "backend/cuda/kernels/common.cuh"
#include "backend/cuda/kernels/copy.h"

/* ---- COPY: element `i` of a nest over out and in, as words of BYTES ------- */

template <int BYTES>
__device__ __forceinline__ void copy_words(const hsi_cuda_copy_params &p,
                                           const hsi_cuda_addresses &a)
{
    typedef typename word_of<BYTES>::type word;
    const word *in = reinterpret_cast<const word *>(a.in[0]);
    word *out = reinterpret_cast<word *>(a.out);
    const uint32_t step = gridDim.x * blockDim.x;
    for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < p.nest.count;
         i += step) {
        int64_t at[2];
        nest_offsets(p.nest, i, at);
        out[at[0]] = in[at[1]];
    }
}

#define COPY_KERNEL(bytes)                                                               \
    extern "C" __global__ void __launch_bounds__(HSI_CUDA_COPY_THREADS)                  \
        copy_##bytes(const __grid_constant__ hsi_cuda_copy_params p,                     \
                     const __grid_constant__ hsi_cuda_addresses a)                       \
    {                                                                                    \
        copy_words<bytes>(p, a);                                                         \
    }
COPY_KERNEL(1)
COPY_KERNEL(2)
COPY_KERNEL(4)
COPY_KERNEL(8)
COPY_KERNEL(16)

/* ---- Tiles: a member's tensor against the slot's -------------------------- */

/* Between a member's format and the slot's: the same bits, or float and half. */
template <typename TO, typename FROM> struct conversion {
    static __device__ __forceinline__ TO of(FROM x)
    {
        return from_float<TO>(to_float(x));
    }
};
template <typename T> struct conversion<T, T> {
    static __device__ __forceinline__ T of(T x)
    {
        return x;
    }
};

/* One tile on its way through shared memory. Columns are the member's side: a warp reads or
 * writes them there one behind the other, rows likewise on the slot's side. */
template <typename M, typename S> struct tile_mover {
    typedef typename word_of<4 * sizeof(M)>::type wide_word;
    static constexpr int pieces = 1024 / HSI_CUDA_TILE_THREADS;

    const hsi_cuda_tile_params &p;
    M *tile; /* [rows][pitch], the pitch odd so that neither side meets the same bank */
    M *member;
    S *slot;
    uint32_t row_log2, column_log2, pitch; /* of a whole tile */
    uint32_t rows, columns;                /* of this one: less at the borders */
    bool wide;

    __device__ __forceinline__ tile_mover(const hsi_cuda_tile_params &params, M *memory,
                                          M *member_first, S *slot_first)
        : p(params), tile(memory)
    {
        row_log2 = p.rows_log2;
        column_log2 = 10 - row_log2;
        pitch = (1u << column_log2) + 1;
        uint32_t left = divide(blockIdx.x, p.column_tiles);
        const uint32_t column = (blockIdx.x - left * p.column_tiles.divisor)
                                << column_log2;
        const uint32_t outer = divide(left, p.row_tiles);
        const uint32_t row = (left - outer * p.row_tiles.divisor) << row_log2;
        rows = min(1u << row_log2, p.rows - row);
        columns = min(1u << column_log2, p.columns - column);
        int64_t at[2];
        nest_offsets(p.rest, outer, at);
        wide = p.wide && reinterpret_cast<uintptr_t>(member_first) %
                                 (sizeof(wide_word) < 16 ? sizeof(wide_word) : 16) ==
                             0;
        member = member_first + at[0] + row * p.member_row + column;
        slot = slot_first + at[1] + row + column * p.slot_column;
    }

    __device__ __forceinline__ void read_member()
    {
        if (wide) { /* 256 words of four: one for each thread */
            const uint32_t r = threadIdx.x >> (column_log2 - 2);
            const uint32_t c = (threadIdx.x << 2) & ((1u << column_log2) - 1);
            if (r >= rows || c >= columns)
                return;
            const wide_word word = *reinterpret_cast<const wide_word *>(
                member + (int64_t)r * p.member_row + c);
            const M *x = reinterpret_cast<const M *>(&word);
#pragma unroll
            for (int i = 0; i < 4; i++)
                tile[r * pitch + c + i] = x[i];
            return;
        }
        M x[pieces];
#pragma unroll
        for (int i = 0; i < pieces; i++) {
            const uint32_t e = threadIdx.x + i * HSI_CUDA_TILE_THREADS;
            const uint32_t r = e >> column_log2, c = e & ((1u << column_log2) - 1);
            if (r < rows && c < columns)
                x[i] = member[(int64_t)r * p.member_row + c];
        }
#pragma unroll
        for (int i = 0; i < pieces; i++) {
            const uint32_t e = threadIdx.x + i * HSI_CUDA_TILE_THREADS;
            const uint32_t r = e >> column_log2, c = e & ((1u << column_log2) - 1);
            if (r < rows && c < columns)
                tile[r * pitch + c] = x[i];
        }
    }

    __device__ __forceinline__ void write_member()
    {
        if (wide) {
            const uint32_t r = threadIdx.x >> (column_log2 - 2);
            const uint32_t c = (threadIdx.x << 2) & ((1u << column_log2) - 1);
            if (r >= rows || c >= columns)
                return;
            wide_word word;
            M *x = reinterpret_cast<M *>(&word);
#pragma unroll
            for (int i = 0; i < 4; i++)
                x[i] = tile[r * pitch + c + i];
            *reinterpret_cast<wide_word *>(member + (int64_t)r * p.member_row + c) = word;
            return;
        }
#pragma unroll
        for (int i = 0; i < pieces; i++) {
            const uint32_t e = threadIdx.x + i * HSI_CUDA_TILE_THREADS;
            const uint32_t r = e >> column_log2, c = e & ((1u << column_log2) - 1);
            if (r < rows && c < columns)
                member[(int64_t)r * p.member_row + c] = tile[r * pitch + c];
        }
    }

    /* The slot's side in the order of its memory: few rows (three colours) lie one column
     * behind the other there. */
    __device__ __forceinline__ void write_slot()
    {
        for (uint32_t e = threadIdx.x; e < rows * columns; e += HSI_CUDA_TILE_THREADS) {
            const uint32_t c = e / rows, r = e - c * rows;
            slot[(int64_t)c * p.slot_column + r] =
                conversion<S, M>::of(tile[r * pitch + c]);
        }
    }

    __device__ __forceinline__ void read_slot()
    {
        for (uint32_t e = threadIdx.x; e < rows * columns; e += HSI_CUDA_TILE_THREADS) {
            const uint32_t c = e / rows, r = e - c * rows;
            tile[r * pitch + c] =
                conversion<M, S>::of(slot[(int64_t)c * p.slot_column + r]);
        }
    }
};

template <typename M, typename S>
__device__ __forceinline__ void move_tile(const hsi_cuda_tile_params &p, M *member,
                                          S *slot)
{
    __shared__ M tile[1024 + 128]; /* a pitch of one more, for 128 rows at most */
    tile_mover<M, S> mover(p, tile, member, slot);
    if (p.to_slot) {
        mover.read_member();
        __syncthreads();
        mover.write_slot();
    } else {
        mover.read_slot();
        __syncthreads();
        mover.write_member();
    }
}

#define COPY_TILE_KERNEL(bytes)                                                          \
    extern "C" __global__ void __launch_bounds__(HSI_CUDA_TILE_THREADS)                  \
        copy_tile_##bytes(const __grid_constant__ hsi_cuda_tile_params p,                \
                          const __grid_constant__ hsi_cuda_addresses a)                  \
    {                                                                                    \
        typedef word_of<bytes>::type word;                                               \
        move_tile(p, reinterpret_cast<word *>(a.in[0]),                                  \
                  reinterpret_cast<word *>(a.out));                                      \
    }
COPY_TILE_KERNEL(1)
COPY_TILE_KERNEL(2)
COPY_TILE_KERNEL(4)
COPY_TILE_KERNEL(8)

/* ---- Entry and exit: member blockIdx.y, its address from the table -------- */

template <typename M> __device__ __forceinline__ M *member_of(const hsi_cuda_addresses &a)
{
    const uint64_t *table = reinterpret_cast<const uint64_t *>(a.in[0]);
    return reinterpret_cast<M *>(table[blockIdx.y]);
}

/* `WIDTH` elements, one behind the other on both sides. */
template <typename M, typename S, int WIDTH>
__device__ __forceinline__ void move_elements(M *member, S *slot, int to_slot)
{
    typedef typename word_of<WIDTH * sizeof(M)>::type member_word;
    typedef typename word_of<WIDTH * sizeof(S)>::type slot_word;
    member_word m;
    slot_word s;
    M *in_m = reinterpret_cast<M *>(&m);
    S *in_s = reinterpret_cast<S *>(&s);
    if (to_slot) {
        m = *reinterpret_cast<const member_word *>(member);
#pragma unroll
        for (int i = 0; i < WIDTH; i++)
            in_s[i] = conversion<S, M>::of(in_m[i]);
        *reinterpret_cast<slot_word *>(slot) = s;
    } else {
        s = *reinterpret_cast<const slot_word *>(slot);
#pragma unroll
        for (int i = 0; i < WIDTH; i++)
            in_m[i] = conversion<M, S>::of(in_s[i]);
        *reinterpret_cast<member_word *>(member) = m;
    }
}

template <typename M, typename S, int WIDTH>
__device__ __forceinline__ void move_nest(const hsi_cuda_transfer_params &p, M *member,
                                          S *slot)
{
    const uint32_t step = gridDim.x * blockDim.x;
    for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < p.nest.count / WIDTH;
         i += step) {
        int64_t at[2];
        nest_offsets(p.nest, i * WIDTH, at);
        move_elements<M, S, WIDTH>(member + at[0], slot + at[1], p.to_slot);
    }
}

template <typename M, typename S>
__device__ __forceinline__ void transfer(const hsi_cuda_transfer_params &p,
                                         const hsi_cuda_addresses &a)
{
    constexpr int width = 16 / sizeof(M);
    M *member = member_of<M>(a);
    S *slot = reinterpret_cast<S *>(a.out) + blockIdx.y * p.slot_stride;
    if (p.wide && reinterpret_cast<uintptr_t>(member) % 16 == 0 &&
        reinterpret_cast<uintptr_t>(slot) % (width * sizeof(S)) == 0)
        move_nest<M, S, width>(p, member, slot);
    else
        move_nest<M, S, 1>(p, member, slot);
}

#define TRANSFER_KERNELS(name, M, S)                                                     \
    extern "C" __global__ void __launch_bounds__(HSI_CUDA_COPY_THREADS)                  \
        transfer_##name(const __grid_constant__ hsi_cuda_transfer_params p,              \
                        const __grid_constant__ hsi_cuda_addresses a)                    \
    {                                                                                    \
        transfer<M, S>(p, a);                                                            \
    }                                                                                    \
    extern "C" __global__ void __launch_bounds__(HSI_CUDA_TILE_THREADS)                  \
        transfer_tile_##name(const __grid_constant__ hsi_cuda_tile_params p,             \
                             const __grid_constant__ hsi_cuda_addresses a)               \
    {                                                                                    \
        move_tile(p, member_of<M>(a),                                                    \
                  reinterpret_cast<S *>(a.out) + blockIdx.y * p.slot_stride);            \
    }
TRANSFER_KERNELS(1, uint8_t, uint8_t)
TRANSFER_KERNELS(2, uint16_t, uint16_t)
TRANSFER_KERNELS(4, uint32_t, uint32_t)
TRANSFER_KERNELS(8, uint2, uint2)
TRANSFER_KERNELS(f16, float, __half)
TRANSFER_KERNELS(bf16, float, __nv_bfloat16)

/* ---- PAD: element `i` of out, as a word of BYTES ---------------------------- */

/* The position that one outside a dimension of n elements stands for. */
__device__ __noinline__ int64_t outside_position(int64_t i, int64_t n, int mode)
{
    if (mode == HSCHED_PAD_MODE_CONSTANT)
        return -1;
    if (mode == HSCHED_PAD_MODE_EDGE)
        return i < 0 ? 0 : n - 1;
    if (n == 1)
        return 0;
    const int64_t period = 2 * (n - 1); /* there and back, the border elements once */
    i %= period;
    if (i < 0)
        i += period;
    return i < n ? i : period - i;
}

template <int BYTES>
__device__ __forceinline__ void pad(const hsi_cuda_pad_params &p,
                                    const hsi_cuda_addresses &a)
{
    typedef typename word_of<BYTES>::type word;
    const word *in = reinterpret_cast<const word *>(a.in[0]);
    word *out = reinterpret_cast<word *>(a.out);
    word filled;
    memcpy(&filled, p.fill, sizeof filled);
    const uint32_t step = gridDim.x * blockDim.x;
    for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < p.count; i += step) {
        uint32_t index = i;
        int64_t from = 0, to = 0;
        bool inside = true;
        for (uint32_t d = 0; d < p.rank; d++) {
            const uint32_t next = divide(index, p.dims[d]);
            const int64_t at = index - next * p.dims[d].divisor;
            int64_t position = at - p.before[d];
            if (position < 0 || position >= p.in_dims[d])
                position = outside_position(position, p.in_dims[d], p.mode);
            inside = inside && position >= 0;
            from += position * p.in_strides[d];
            to += at * p.out_strides[d];
            index = next;
        }
        out[to] = inside ? in[from] : filled;
    }
}

#define PAD_KERNEL(bytes)                                                                \
    extern "C" __global__ void __launch_bounds__(HSI_CUDA_COPY_THREADS)                  \
        pad_##bytes(const __grid_constant__ hsi_cuda_pad_params p,                       \
                    const __grid_constant__ hsi_cuda_addresses a)                        \
    {                                                                                    \
        pad<bytes>(p, a);                                                                \
    }
PAD_KERNEL(1)
PAD_KERNEL(2)
PAD_KERNEL(4)
PAD_KERNEL(8)
PAD_KERNEL(16)

/* ---- IMAGE: a block's pixels are read as bytes into shared memory --------- */

__device__ __forceinline__ void read_bytes(uint8_t *to, const uint8_t *from,
                                           uint32_t count)
{
    uint32_t done = 0; /* what wide reads leave over is read byte by byte */
    if (reinterpret_cast<uintptr_t>(from) % 16 == 0) {
        for (uint32_t i = threadIdx.x; i < count / 16; i += blockDim.x)
            reinterpret_cast<uint4 *>(to)[i] = reinterpret_cast<const uint4 *>(from)[i];
        done = count / 16 * 16;
    } else if (reinterpret_cast<uintptr_t>(from) % 4 == 0) {
        for (uint32_t i = threadIdx.x; i < count / 4; i += blockDim.x)
            reinterpret_cast<uint32_t *>(to)[i] =
                reinterpret_cast<const uint32_t *>(from)[i];
        done = count / 4 * 4;
    }
    for (uint32_t i = done + threadIdx.x; i < count; i += blockDim.x)
        to[i] = from[i];
}

/* in: uint8 [images,H,W,C] dense, out: T [images,C,H,W] of any strides; image blockIdx.y */
template <typename T>
__device__ __forceinline__ void image(const hsi_cuda_image_params &p,
                                      const hsi_cuda_addresses &a)
{
    __shared__ __align__(16) uint8_t bytes[HSI_CUDA_IMAGE_PIXELS * 4];
    const uint8_t *in = reinterpret_cast<const uint8_t *>(a.in[0]);
    uint32_t n = blockIdx.y;
    if (p.from_table) {
        in = reinterpret_cast<const uint8_t *const *>(a.in[0])[n / p.images_each];
        n %= p.images_each;
    }
    const uint32_t first = blockIdx.x * HSI_CUDA_IMAGE_PIXELS, channels = p.channels;
    const uint32_t pixels = min((uint32_t)HSI_CUDA_IMAGE_PIXELS, p.pixels - first);
    const uint32_t count = pixels * channels;
    read_bytes(bytes, in + n * p.image_bytes + (int64_t)first * channels, count);
    __syncthreads();
    T *out = reinterpret_cast<T *>(a.out) + blockIdx.y * p.strides[0];
    for (uint32_t e = threadIdx.x; e < count; e += HSI_CUDA_IMAGE_THREADS) {
        uint32_t pixel, c; /* neighbours write side by side */
        if (p.strides[1] == 1) {
            pixel = e / channels;
            c = e - pixel * channels;
        } else {
            c = e / pixels;
            pixel = e - c * pixels;
        }
        const uint32_t h = divide(first + pixel, p.width);
        const uint32_t w = first + pixel - h * p.width.divisor;
        const float x = bytes[pixel * channels + p.source[c]];
        out[c * p.strides[1] + h * p.strides[2] + w * p.strides[3]] =
            from_float<T>((x - p.mean[c]) * p.scale[c]);
    }
}

#define IMAGE_KERNEL(name, T)                                                            \
    extern "C" __global__ void __launch_bounds__(HSI_CUDA_IMAGE_THREADS)                 \
        image_##name(const __grid_constant__ hsi_cuda_image_params p,                    \
                     const __grid_constant__ hsi_cuda_addresses a)                       \
    {                                                                                    \
        image<T>(p, a);                                                                  \
    }
IMAGE_KERNEL(f32, float)
IMAGE_KERNEL(f16, __half)
IMAGE_KERNEL(bf16, __nv_bfloat16)
