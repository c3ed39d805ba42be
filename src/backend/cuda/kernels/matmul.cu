/* MATMUL and FC of any strides, in plain float arithmetic; FC of few rows, which is bound by
 * reading the weights once. */
#include "backend/cuda/kernels/common.cuh"
#include "backend/cuda/kernels/matmul.h"

/* ---- Any strides: tiles of 64 x 64, 16 of k at a time ---------------------- */

#define TILE  HSI_CUDA_MATMUL_TILE
#define DEPTH 16
#define PITCH (TILE + 4)

/* A thread's four elements of a strip of 64 rows (or columns) and 16 of k: along k for 16
 * neighbouring threads, or along the rows for 64. */
template <typename T> struct strip_loader {
    const T *first;
    int64_t row_stride, k_stride;
    uint32_t row, k, row_step, k_step; /* of element 0, and from one to the next */
    uint32_t rows, depth;              /* how many there are */

    __device__ __forceinline__ strip_loader(const T *memory, uint32_t start,
                                            uint32_t all_rows, uint32_t all_k,
                                            int64_t stride, int64_t stride_k,
                                            bool along_k)
        : first(memory + start * stride), row_stride(stride), k_stride(stride_k),
          rows(all_rows - start), depth(all_k)
    {
        row = along_k ? threadIdx.x / DEPTH : threadIdx.x % TILE;
        k = along_k ? threadIdx.x % DEPTH : threadIdx.x / TILE;
        row_step = along_k ? HSI_CUDA_MATMUL_THREADS / DEPTH : 0;
        k_step = along_k ? 0 : HSI_CUDA_MATMUL_THREADS / TILE;
    }

    __device__ __forceinline__ void load(uint32_t from_k, float (&x)[4]) const
    {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const uint32_t r = row + i * row_step, at = from_k + k + i * k_step;
            x[i] = r < rows && at < depth
                       ? to_float(first[r * row_stride + at * k_stride])
                       : 0.0f;
        }
    }

    __device__ __forceinline__ void store(float (*strip)[PITCH],
                                          const float (&x)[4]) const
    {
#pragma unroll
        for (int i = 0; i < 4; i++)
            strip[k + i * k_step][row + i * row_step] = x[i];
    }
};

template <typename T>
__device__ __forceinline__ void matmul(const hsi_cuda_matmul_params &p,
                                       const hsi_cuda_addresses &addresses)
{
    __shared__ __align__(16) float a[2][DEPTH][PITCH], b[2][DEPTH][PITCH];
    const uint32_t left = divide(blockIdx.x, p.column_tiles);
    const uint32_t column = (blockIdx.x - left * p.column_tiles.divisor) * TILE;
    const uint32_t matrix = divide(left, p.row_tiles);
    const uint32_t row = (left - matrix * p.row_tiles.divisor) * TILE;
    int64_t at[3];
    nest_offsets(p.batch, matrix, at);
    const strip_loader<T> from_a(reinterpret_cast<const T *>(addresses.in[0]) + at[1],
                                 row, p.m, p.k, p.a_m, p.a_k, p.a_along_k);
    const strip_loader<T> from_b(reinterpret_cast<const T *>(addresses.in[1]) + at[2],
                                 column, p.n, p.k, p.b_n, p.b_k, p.b_along_k);
    const uint32_t tx = threadIdx.x % 16, ty = threadIdx.x / 16;
    float sum[4][4] = { { 0 } }, next_a[4], next_b[4];
    from_a.load(0, next_a);
    from_b.load(0, next_b);
    for (uint32_t k = 0, turn = 0; k < p.k; k += DEPTH, turn ^= 1) {
        from_a.store(a[turn], next_a);
        from_b.store(b[turn], next_b);
        __syncthreads(); /* also: all are done with what is overwritten in the next turn */
        from_a.load(k + DEPTH, next_a);
        from_b.load(k + DEPTH, next_b);
#pragma unroll
        for (int d = 0; d < DEPTH; d++) {
            const float4 u = *reinterpret_cast<const float4 *>(&a[turn][d][ty * 4]);
            const float4 v = *reinterpret_cast<const float4 *>(&b[turn][d][tx * 4]);
            const float x[4] = { u.x, u.y, u.z, u.w }, y[4] = { v.x, v.y, v.z, v.w };
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < 4; j++)
                    sum[i][j] += x[i] * y[j];
        }
    }
    T *out = reinterpret_cast<T *>(addresses.out) + at[0];
    const float *bias = reinterpret_cast<const float *>(addresses.in[2]);
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const uint32_t r = row + ty * 4 + i;
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const uint32_t c = column + tx * 4 + j;
            if (r < p.m && c < p.n) {
                const float x = sum[i][j] + (p.has_bias ? bias[c] : 0.0f);
                out[r * p.out_m + c * p.out_n] = from_float<T>(apply_act(x, p.act));
            }
        }
    }
}

#define MATMUL_KERNEL(name, T)                                                           \
    extern "C" __global__ void __launch_bounds__(HSI_CUDA_MATMUL_THREADS)                \
        matmul_##name(const __grid_constant__ hsi_cuda_matmul_params p,                  \
                      const __grid_constant__ hsi_cuda_addresses a)                      \
    {                                                                                    \
        matmul<T>(p, a);                                                                 \
    }
MATMUL_KERNEL(f32, float)
MATMUL_KERNEL(f16, __half)
MATMUL_KERNEL(bf16, __nv_bfloat16)

/* ---- FC of few rows --------------------------------------------------------- */

/* Weights pass through once: they are not to push x out of the L1 cache. */
__device__ __forceinline__ uint4 read_once(const uint4 *p)
{
    uint4 v;
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(p));
    return v;
}

/* Adds up `sum` over a warp. What is left of the sums is halved with every exchange: lane l
 * ends with the totals of sums index(l, 0) to index(l, LEFT - 1). */
template <int COUNT, int OFFSET = 16> struct warp_totals {
    static constexpr int left = warp_totals<COUNT / 2, OFFSET / 2>::left;
    static __device__ __forceinline__ void add(float *sum)
    {
        constexpr int half = COUNT / 2;
        const bool upper = threadIdx.x & OFFSET;
#pragma unroll
        for (int i = 0; i < half; i++) {
            const float give = upper ? sum[i] : sum[i + half];
            const float keep = upper ? sum[i + half] : sum[i];
            sum[i] = keep + __shfl_xor_sync(0xffffffffu, give, OFFSET);
        }
        warp_totals<half, OFFSET / 2>::add(sum);
    }
    static __device__ __forceinline__ int first()
    {
        return (threadIdx.x & OFFSET ? COUNT / 2 : 0) +
               warp_totals<COUNT / 2, OFFSET / 2>::first();
    }
};
template <int OFFSET> struct warp_totals<1, OFFSET> {
    static constexpr int left = 1;
    static __device__ __forceinline__ void add(float *sum)
    {
#pragma unroll
        for (int offset = OFFSET; offset > 0; offset /= 2)
            sum[0] += __shfl_xor_sync(0xffffffffu, sum[0], offset);
    }
    static __device__ __forceinline__ int first()
    {
        return 0;
    }
};
template <int COUNT> struct warp_totals<COUNT, 0> {
    static constexpr int left = COUNT;
    static __device__ __forceinline__ void add(float *)
    {
    }
    static __device__ __forceinline__ int first()
    {
        return 0;
    }
};
template <> struct warp_totals<1, 0> {
    static constexpr int left = 1;
    static __device__ __forceinline__ void add(float *)
    {
    }
    static __device__ __forceinline__ int first()
    {
        return 0;
    }
};

/* The partial sums of each output in `totals`, [warp][ROWS][M], are added in order. */
template <typename T, int M, int ROWS>
__device__ __forceinline__ void write_rows(const hsi_cuda_rows_params &p,
                                           const hsi_cuda_addresses &a,
                                           const float *totals)
{
    const uint32_t teams = blockDim.x / 32 >> p.split_log2, split = 1u << p.split_log2;
    const float *bias = reinterpret_cast<const float *>(a.in[2]);
    T *out = reinterpret_cast<T *>(a.out);
    for (uint32_t e = threadIdx.x; e < teams * ROWS * M; e += blockDim.x) {
        const uint32_t team = e / (ROWS * M), r = e / M % ROWS, m = e % M;
        const uint32_t o = (blockIdx.x * teams + team) * ROWS + r;
        if (o >= p.o || m >= p.m)
            continue;
        const float *own = totals + team * split * ROWS * M + r * M + m;
        float x = p.has_bias ? bias[o] : 0.0f;
        for (uint32_t s = 0; s < split; s++)
            x += own[s * ROWS * M];
        out[m * p.out_row + o] = from_float<T>(apply_act(x, p.act));
    }
}

/*
 * One warp's work on x [m,k] with m <= M and ROWS rows of w [o,k], WIDTH elements of k at a time:
 * AHEAD loads of each row are issued before the first is used. Rows that do not exist stand for
 * others, which exist.
 */
template <typename T, int M, int ROWS, int AHEAD, int WIDTH> struct row_sums {
    typedef typename word_of<WIDTH * sizeof(T)>::type word;
    const hsi_cuda_rows_params &p;
    const T *x;
    const T *w[ROWS];
    float sum[ROWS * M];

    __device__ __forceinline__ row_sums(const hsi_cuda_rows_params &params,
                                        const hsi_cuda_addresses &a, uint32_t first_row)
        : p(params), x(reinterpret_cast<const T *>(a.in[0]))
    {
#pragma unroll
        for (int r = 0; r < ROWS; r++)
            w[r] =
                reinterpret_cast<const T *>(a.in[1]) + min(first_row + r, p.o - 1) * p.k;
#pragma unroll
        for (int i = 0; i < ROWS * M; i++)
            sum[i] = 0;
    }

    static __device__ __forceinline__ word load(const T *from)
    {
        if constexpr (sizeof(word) == 16)
            return read_once(reinterpret_cast<const uint4 *>(from));
        else
            return *reinterpret_cast<const word *>(from);
    }

    /* Groups from, from + step and so on. TAIL: those at the end and behind it count as 0, and
     * the last is read instead, so that no load waits for a branch. */
    template <bool TAIL> __device__ __forceinline__ void add(uint32_t from, uint32_t step)
    {
        word raw[AHEAD][ROWS];
        int64_t at[AHEAD];
#pragma unroll
        for (int u = 0; u < AHEAD; u++) {
            const uint32_t group = from + u * step;
            at[u] = (int64_t)(TAIL ? min(group, p.groups - 1) : group) * WIDTH;
#pragma unroll
            for (int r = 0; r < ROWS; r++)
                raw[u][r] = load(w[r] + at[u]);
        }
        __syncwarp(); /* keeps the compiler from moving loads to where they are used */
#pragma unroll
        for (int u = 0; u < AHEAD; u++) {
            const bool counts = !TAIL || from + u * step < p.groups;
#pragma unroll
            for (int m = 0; m < M; m++) {
                float value[WIDTH];
                load_floats(x + (m < p.m ? m : 0) * p.x_row + at[u], value);
#pragma unroll
                for (int r = 0; r < ROWS; r++) {
                    const T *weights = reinterpret_cast<const T *>(&raw[u][r]);
#pragma unroll
                    for (int i = 0; i < WIDTH; i++)
                        sum[r * M + m] += counts ? value[i] * to_float(weights[i]) : 0.0f;
                }
            }
        }
    }
};

template <typename T, int M, int ROWS, int AHEAD, int WIDTH>
__device__ __forceinline__ void rows(const hsi_cuda_rows_params &p,
                                     const hsi_cuda_addresses &a)
{
    __shared__ float totals[8 * ROWS * M]; /* at most 8 warps */
    const uint32_t warp = threadIdx.x / 32;
    const uint32_t team = (blockIdx.x * (blockDim.x / 32) + warp) >> p.split_log2;
    row_sums<T, M, ROWS, AHEAD, WIDTH> sums(p, a, team * ROWS);
    const uint32_t step = 32u << p.split_log2;
    const uint32_t lane = threadIdx.x % 32;
    uint32_t from = threadIdx.x & (step - 1) & ~31u; /* lane 0's: all decide alike */
    for (; from + (AHEAD - 1) * step + 31 < p.groups; from += AHEAD * step)
        sums.template add<false>(from + lane, step);
    if (from < p.groups)
        sums.template add<true>(from + lane, step);
    typedef warp_totals<ROWS * M> adder;
    adder::add(sums.sum);
    /* Lanes that differ below the last halving hold the same. */
#pragma unroll
    for (int i = 0; i < adder::left; i++)
        totals[warp * ROWS * M + adder::first() + i] = sums.sum[i];
    __syncthreads();
    write_rows<T, M, ROWS>(p, a, totals);
}

/* rows_mM_rROWS_TYPE: ahead is chosen so that about eight loads are in flight. */
#define ROWS_KERNEL(name, T, M, ROWS, AHEAD, WIDTH)                                      \
    extern "C" __global__ void __launch_bounds__(256)                                    \
        name(const __grid_constant__ hsi_cuda_rows_params p,                             \
             const __grid_constant__ hsi_cuda_addresses a)                               \
    {                                                                                    \
        rows<T, M, ROWS, AHEAD, WIDTH>(p, a);                                            \
    }
#define ROWS_KERNELS(name, T, WIDTH)                                                     \
    ROWS_KERNEL(rows_m1_r1_##name, T, 1, 1, 8, WIDTH)                                    \
    ROWS_KERNEL(rows_m1_r2_##name, T, 1, 2, 4, WIDTH)                                    \
    ROWS_KERNEL(rows_m1_r4_##name, T, 1, 4, 4, WIDTH)                                    \
    ROWS_KERNEL(rows_m2_r1_##name, T, 2, 1, 8, WIDTH)                                    \
    ROWS_KERNEL(rows_m2_r2_##name, T, 2, 2, 4, WIDTH)                                    \
    ROWS_KERNEL(rows_m4_r1_##name, T, 4, 1, 8, WIDTH)                                    \
    ROWS_KERNEL(rows_m4_r2_##name, T, 4, 2, 4, WIDTH)                                    \
    ROWS_KERNEL(rows_m4_r4_##name, T, 4, 4, 2, WIDTH)                                    \
    ROWS_KERNEL(rows_m8_r2_##name, T, 8, 2, 2, WIDTH)                                    \
    ROWS_KERNEL(rows_m8_r4_##name, T, 8, 4, 1, WIDTH)                                    \
    ROWS_KERNEL(rows_m16_r2_##name, T, 16, 2, 2, WIDTH)                                  \
    ROWS_KERNEL(rows_m16_r4_##name, T, 16, 4, 1, WIDTH)                                  \
    ROWS_KERNEL(rows_m1_any_##name, T, 1, 1, 8, 1)                                       \
    ROWS_KERNEL(rows_m2_any_##name, T, 2, 1, 8, 1)                                       \
    ROWS_KERNEL(rows_m4_any_##name, T, 4, 1, 8, 1)                                       \
    ROWS_KERNEL(rows_m8_any_##name, T, 8, 1, 4, 1)                                       \
    ROWS_KERNEL(rows_m16_any_##name, T, 16, 1, 2, 1)
ROWS_KERNELS(f32, float, 4)
ROWS_KERNELS(f16, __half, 8)
ROWS_KERNELS(bf16, __nv_bfloat16, 8)
