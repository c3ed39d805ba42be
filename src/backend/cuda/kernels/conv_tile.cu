/*
 * Convolution (groups == 1) and fully connected layers as an implicit GEMM on tensor cores.
 *
 *   out[m][o] = act(sum over k of A[m][k] * W[o][k] + bias[o] + residual[m][o])
 *
 * m = (n, oy, ox) numbers the pixels of out, k = (r, s, c) the places of a window; A is
 * gathered from x [N,C,H,W], channels-last with a pixel stride; W is [O][kh][kw][C], dense.
 * A block computes a tile of BM pixels by BN channels over its share of k, in k tiles of 128
 * bytes (32 floats or 64 halves). Some of its warps, the producers, copy k tiles into a ring
 * of stages in shared memory with cp.async; the others, the consumers, multiply. For each
 * stage, one barrier says that it is full and one that it is empty.
 *
 * Shared memory of a stage: BM rows of A, then BN rows of W, 128 bytes each. The 16-byte
 * chunk c of row i lies at place c ^ (i & 7): 8 rows of one chunk, which is what ldmatrix
 * reads and 8 chunks of one row, which is what cp.async writes, both touch all banks once.
 *
 * Small images have few tiles: blocks then share k ("splits", blockIdx.y) and the partial
 * sums are added in a fixed order, in a cluster through distributed shared memory, or by the
 * last block that arrives.
 *
 * Programmatic dependent launch: weights are constants, so they are fetched before the
 * previous kernel has ended; nothing else is read or written until grid_wait().
 */
#include "backend/cuda/kernels/common.cuh"
#include "backend/cuda/kernels/conv_load.cuh"
#include "backend/cuda/kernels/conv_out.cuh"
#include "backend/cuda/kernels/conv_tile.h"
#include "backend/cuda/kernels/launch.cuh"

namespace
{

/* ---- The tile ------------------------------------------------------------- */

template <bool FIRST, typename A, typename B> struct choose {
    typedef A type;
};
template <typename A, typename B> struct choose<false, A, B> {
    typedef B type;
};

template <typename T, int BM, int BN, int WM, int WN, int WK, bool LOOSE> struct tile {
    static constexpr int CONSUMERS = 32 * WM * WN * WK;
    static constexpr int PRODUCERS = 32 * (LOOSE ? HSI_CUDA_CONV_TILE_LOOSE_PRODUCERS
                                                 : HSI_CUDA_CONV_TILE_PRODUCERS);
    static constexpr int THREADS = CONSUMERS + PRODUCERS;
    static constexpr int FM = BM / WM / 16, FN = BN / WN / 8; /* fragments of a warp */
    static constexpr int STEPS = 4 / WK; /* of 32 bytes of k, per warp and k tile */
    static constexpr int SUM_ROW = BN + HSI_CUDA_CONV_TILE_PAD;
    static constexpr int GROUPS = BM * BN / 4; /* of 4 sums, which a thread finishes */
    static constexpr int ROUNDS = (GROUPS + THREADS - 1) / THREADS;
    static constexpr int ROW = BN / 4; /* groups of a row */
    static constexpr int ROW_STEP = THREADS / ROW;
    static constexpr int AHEAD = ROUNDS < 4 ? ROUNDS : 4; /* groups of a thread at once */
    static constexpr int STAGES = HSI_CUDA_CONV_TILE_MAX_STAGES;
    typedef typename choose<LOOSE, loose_copier<T, BM, BN, PRODUCERS>,
                            wide_copier<T, BM, BN, PRODUCERS>>::type copying;

    static_assert(THREADS % ROW == 0, "a thread has the same columns in all rows");
    static_assert(FM >= 1 && FN >= 2 && FN % 2 == 0, "ldmatrix loads 16 rows");

    struct place { /* of this warp and lane in the block's tile */
        int row, column; /* of the warp */
        int slice;       /* which steps of a k tile */
        int lane;
    };

    struct fragments {
        uint32_t a[FM][4], b[FN][2];
    };

    static __device__ __forceinline__ place find_place(void)
    {
        const int warp = threadIdx.x / 32;
        place at;
        at.lane = threadIdx.x % 32;
        at.row = warp % WM * (BM / WM);
        at.column = warp / WM % WN * (BN / WN);
        at.slice = warp / (WM * WN);
        return at;
    }

    /* Operands of step `step` (0..3) of the k tile in the stage at `stage`. */
    static __device__ __forceinline__ void load(uint32_t stage, const place &at, int step,
                                                fragments &f)
    {
        const int lane = at.lane, swizzle = lane & 7;
        const uint32_t a = stage + (at.row + (lane & 15)) * HSI_CUDA_CONV_TILE_K_BYTES +
                           (((2 * step + (lane >> 4)) ^ swizzle) << 4);
        const int b_row = at.column + (lane & 7) + (lane >> 4) * 8;
        const uint32_t b = stage + (BM + b_row) * HSI_CUDA_CONV_TILE_K_BYTES +
                           (((2 * step + (lane >> 3 & 1)) ^ swizzle) << 4);
#pragma unroll
        for (int i = 0; i < FM; i++)
            load_matrices(a + i * 16 * HSI_CUDA_CONV_TILE_K_BYTES, f.a[i][0], f.a[i][1],
                          f.a[i][2], f.a[i][3]);
#pragma unroll
        for (int i = 0; i < FN; i += 2)
            load_matrices(b + i * 8 * HSI_CUDA_CONV_TILE_K_BYTES, f.b[i][0], f.b[i][1],
                          f.b[i + 1][0], f.b[i + 1][1]);
    }

    static __device__ __forceinline__ void multiply_step(float (&sums)[FM][FN][4],
                                                         fragments &f)
    {
#pragma unroll
        for (int i = 0; i < FM; i++)
#pragma unroll
            for (int j = 0; j < 4; j++)
                f.a[i][j] = round_operand<T>(f.a[i][j]);
#pragma unroll
        for (int i = 0; i < FN; i++)
#pragma unroll
            for (int j = 0; j < 2; j++)
                f.b[i][j] = round_operand<T>(f.b[i][j]);
#pragma unroll
        for (int i = 0; i < FM; i++)
#pragma unroll
            for (int j = 0; j < FN; j++)
                multiply<T>(sums[i][j], f.a[i], f.b[j]);
    }

    /* The ring: `full` and `empty` are the addresses of one barrier for each stage. */
    struct ring {
        uint32_t stages, full, empty;
    };

    static __device__ __forceinline__ void next_stage(int count, int &stage, int &phase)
    {
        if (++stage == count) {
            stage = 0;
            phase ^= 1;
        }
    }

    /* The producers' part: k tiles first .. end - 1. Weights go ahead of grid_wait(). */
    static __device__ __forceinline__ void produce(const hsi_cuda_conv_tile_params &p,
                                                   const ring &r, int first_m,
                                                   int first_n, int first, int end)
    {
        copying copy(p, r.stages, (int)threadIdx.x - CONSUMERS);
        const int ahead = min(p.stages, end - first);
        copy.find_weights(first_n);
        for (int i = 0; i < ahead; i++)
            copy.copy_weights(i, first + i);
        copy.find_pixels(first_m);
        __syncthreads(); /* the barriers are made */
        grid_wait();
        grid_let_next_start();
        int stage = 0, phase = 1; /* of `empty`: at first there is nothing to wait for */
        for (int k = first; k < end; k++) {
            if (k >= first + ahead) {
                wait_phase(r.empty + 8 * stage, phase);
                copy.copy_weights(stage, k);
            }
            copy.copy_pixels(stage, k);
            if (LOOSE && sizeof(T) == 2)
                arrive(r.full + 8 * stage); /* these were stored, not copied */
            else
                arrive_with_copies(r.full + 8 * stage);
            next_stage(p.stages, stage, phase);
        }
    }

    /* Where a consumer is in the ring. */
    struct reader {
        int stage, phase, stages;
        ring r;
        place at;

        __device__ __forceinline__ uint32_t tile(void) const
        {
            return r.stages + stage * copying::STAGE_BYTES;
        }
    };

    /*
     * One k tile, whose first operands are in `a`; those of the next k tile, if there is
     * one, are loaded into b if STEPS is 1, else a.
     */
    static __device__ __forceinline__ void multiply_tile(reader &at, bool more,
                                                         fragments &a, fragments &b,
                                                         float (&sums)[FM][FN][4])
    {
        const uint32_t from = at.tile(), empty = at.r.empty + 8 * at.stage;
        const int first = at.at.slice * STEPS;
#pragma unroll
        for (int step = 0; step + 1 < STEPS; step++) {
            load(from, at.at, first + step + 1, step % 2 ? a : b);
            multiply_step(sums, step % 2 ? b : a);
        }
        next_stage(at.stages, at.stage, at.phase);
        if (more) {
            wait_phase(at.r.full + 8 * at.stage, at.phase);
            load(at.tile(), at.at, first, STEPS == 1 ? b : a);
        }
        multiply_step(sums, STEPS == 1 ? a : b);
        arrive(empty); /* what this thread read from that stage has been used */
    }

    /* The consumers' part: sums += the products over the k tiles first .. end - 1. */
    static __device__ __forceinline__ void consume(const hsi_cuda_conv_tile_params &p,
                                                   const ring &r, int first, int end,
                                                   float (&sums)[FM][FN][4])
    {
        reader at = { 0, 0, p.stages, r, find_place() };
        fragments a, b;
        if (threadIdx.x == 0) {
            for (int i = 0; i < p.stages; i++) {
                make_barrier(r.full + 8 * i, PRODUCERS);
                make_barrier(r.empty + 8 * i, CONSUMERS);
            }
        }
        __syncthreads();
        grid_wait(); /* for what is read and written after the sums */
        grid_let_next_start();
        if (first >= end)
            return;
        wait_phase(r.full, 0);
        load(r.stages, at.at, at.at.slice * STEPS, a);
        for (int k = first; k < end; k++) {
            multiply_tile(at, k + 1 < end, a, b, sums);
            if (STEPS == 1 && ++k < end)
                multiply_tile(at, k + 1 < end, b, a, sums);
        }
    }

    /* Joins splits through the workspace. True for the one block of a tile that then has
     * the whole sums; the order of the sum does not depend on which block that is. */
    static __device__ __forceinline__ bool join_by_tickets(
        const hsi_cuda_conv_tile_params &p, float (&sums)[FM][FN][4])
    {
        __shared__ uint32_t arrived;
        const int block = blockIdx.x, split = blockIdx.y;
        const bool has_sums = threadIdx.x < CONSUMERS;
        float4 *tiles = (float4 *)p.partials +
                        (int64_t)block * p.splits * FM * FN * CONSUMERS + threadIdx.x;
        float4 *own = tiles + (int64_t)split * FM * FN * CONSUMERS;
        if (has_sums) {
#pragma unroll
            for (int i = 0; i < FM * FN; i++) {
                const float *s = sums[i / FN][i % FN];
                __stcg(own + i * CONSUMERS, make_float4(s[0], s[1], s[2], s[3]));
            }
        }
        __syncthreads();
        if (threadIdx.x == 0) {
            uint32_t *ticket = (uint32_t *)p.tickets + block;
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
        for (int i = 0; i < FM * FN; i++) {
            if (!has_sums)
                break;
            float *s = sums[i / FN][i % FN];
            s[0] = s[1] = s[2] = s[3] = 0;
#pragma unroll 4
            for (int q = 0; q < p.splits; q++) {
                const float4 v = __ldcg(tiles + (q * FM * FN + i) * CONSUMERS);
                s[0] += v.x;
                s[1] += v.y;
                s[2] += v.z;
                s[3] += v.w;
            }
        }
        return true;
    }

    /* Fragments to shared memory: float [WK][BM][SUM_ROW]. */
    static __device__ __forceinline__ void store_sums(float *to,
                                                      const float (&sums)[FM][FN][4])
    {
        const place at = find_place();
        const int row = at.slice * BM + at.row + at.lane / 4;
        float *corner = to + row * SUM_ROW + at.column + at.lane % 4 * 2;
#pragma unroll
        for (int i = 0; i < FM; i++)
#pragma unroll
            for (int j = 0; j < FN; j++) {
                float *place = corner + i * 16 * SUM_ROW + j * 8;
                *(float2 *)place = make_float2(sums[i][j][0], sums[i][j][1]);
                *(float2 *)(place + 8 * SUM_ROW) = make_float2(sums[i][j][2], sums[i][j][3]);
            }
    }

    static __device__ __forceinline__ void add(float (&sum)[4], float4 v)
    {
        sum[0] += v.x;
        sum[1] += v.y;
        sum[2] += v.z;
        sum[3] += v.w;
    }

    /* Sums the warps along k into the first's place. */
    static __device__ __forceinline__ void join_slices(float *from)
    {
        __syncthreads();
#pragma unroll
        for (int i = 0; i < ROUNDS; i++) {
            const int g = (int)threadIdx.x + i * THREADS;
            if (g >= GROUPS)
                break;
            float *at = from + g / (BN / 4) * SUM_ROW + g % (BN / 4) * 4;
            float sum[4] = { 0, 0, 0, 0 };
#pragma unroll
            for (int s = 0; s < WK; s++)
                add(sum, *(const float4 *)(at + s * BM * SUM_ROW));
            *(float4 *)at = make_float4(sum[0], sum[1], sum[2], sum[3]);
        }
    }

    /* Adds 4 sums of the tile: of the warps along k, or of all blocks of the cluster. */
    static __device__ __forceinline__ void gather(const float *from, int blocks,
                                                  float (&sum)[4])
    {
#if __CUDA_ARCH__ >= 900
        if (blocks > 1) {
            const uint32_t address = shared_address(from);
#pragma unroll 8
            for (int q = 0; q < blocks; q++)
                add(sum, load_remote(address, q));
            return;
        }
#endif
#pragma unroll
        for (int s = 0; s < WK; s++)
            add(sum, *(const float4 *)(from + s * BM * SUM_ROW));
    }

    /* Between these two, the stores of all warps of the block, or of the cluster, become
     * visible, or their loads come to an end. */
    static __device__ __forceinline__ void begin_meeting(int blocks)
    {
#if __CUDA_ARCH__ >= 900
        if (blocks > 1) {
            __syncwarp();
            cluster_arrive();
        }
#endif
    }

    static __device__ __forceinline__ void end_meeting(int blocks)
    {
#if __CUDA_ARCH__ >= 900
        if (blocks > 1) {
            __syncwarp();
            cluster_wait();
            return;
        }
#endif
        __syncthreads();
    }

    /*
     * From sums to out. `blocks` > 1: each block of the cluster does its share of the rows.
     * Thread t has 4 columns of the rows t / ROW + i * ROW_STEP; `last` knows the columns.
     */
    static __device__ __forceinline__ void finish(const conv_out<T> &last, float *shared,
                                                  int first_m, int blocks,
                                                  const float (&sums)[FM][FN][4])
    {
        const int share = blocks > 1 ? (BM + blocks - 1) / blocks : BM;
        const int begin = blocks > 1 ? (int)blockIdx.y * share : 0;
        const int end = min(min(begin + share, BM), last.p.m - first_m);
        const int column = (int)threadIdx.x % ROW * 4;
        float sum[AHEAD][4];
        if (threadIdx.x < CONSUMERS)
            store_sums(shared, sums);
        if (WK > 1 && blocks > 1)
            join_slices(shared);
        begin_meeting(blocks);
        int row = begin + (int)threadIdx.x / ROW;
        for (bool first = true; first || row < end; first = false) {
#pragma unroll
            for (int i = 0; i < AHEAD; i++)
                if (row + i * ROW_STEP < end && last.any())
                    last.begin(first_m + row + i * ROW_STEP, sum[i]);
            if (first)
                end_meeting(blocks);
#pragma unroll
            for (int i = 0; i < AHEAD; i++) {
                const int at = row + i * ROW_STEP;
                if (at < end && last.any())
                    gather(shared + at * SUM_ROW + column, blocks, sum[i]);
            }
            if (first && share <= AHEAD * ROW_STEP)
                begin_meeting(blocks); /* this block has read what it needs */
#pragma unroll
            for (int i = 0; i < AHEAD; i++)
                if (row + i * ROW_STEP < end && last.any())
                    last.end(first_m + row + i * ROW_STEP, sum[i]);
            row += AHEAD * ROW_STEP;
        }
        if (share > AHEAD * ROW_STEP)
            begin_meeting(blocks);
        if (blocks > 1) /* others may still read this block's shared memory */
            end_meeting(blocks);
    }

    static __device__ __forceinline__ void run(const hsi_cuda_conv_tile_params &p)
    {
        extern __shared__ __align__(128) unsigned char shared[];
        __shared__ uint64_t barriers[2][STAGES];
        const ring r = { shared_address(shared), shared_address(barriers[0]),
                         shared_address(barriers[1]) };
        const int tile_n = (int)divide(blockIdx.x, p.by_tiles_m);
        const int first_m = ((int)blockIdx.x - tile_n * (int)p.by_tiles_m.divisor) * BM;
        const int first_n = tile_n * BN, split = blockIdx.y;
        const int first = p.k_tiles * split / p.splits;
        const int end = p.k_tiles * (split + 1) / p.splits;
        const conv_out<T> last(p.out, first_n + (int)threadIdx.x % ROW * 4, p.out.n);
        float sums[FM][FN][4] = {};
        if (threadIdx.x < CONSUMERS)
            consume(p, r, first, end, sums);
        else
            produce(p, r, first_m, first_n, first, end);
        __syncthreads(); /* the ring has been used by all: the sums take its place */
        if (p.join == HSI_CUDA_CONV_TILE_TICKETS && !join_by_tickets(p, sums))
            return;
        finish(last, (float *)shared, first_m,
               p.join == HSI_CUDA_CONV_TILE_CLUSTER ? p.splits : 1, sums);
    }
};

} /* namespace */

/* Two blocks fit the registers of a multiprocessor, but for the largest tiles. */
#define TILE_KERNEL(name, type, bm, bn, wm, wn, wk, loose)                               \
    extern "C" __global__ void                                                           \
    __launch_bounds__((tile<type, bm, bn, wm, wn, wk, loose>::THREADS),                  \
                      bm * bn > (loose ? 4096 : 8192) ? 1 : 2)                           \
        name(const __grid_constant__ hsi_cuda_conv_tile_params p)                        \
    {                                                                                    \
        tile<type, bm, bn, wm, wn, wk, loose>::run(p);                                   \
    }
#define TILE_KERNELS(bm, bn, wm, wn, wk)                                                 \
    TILE_KERNEL(tile_f32_##bm##x##bn, float, bm, bn, wm, wn, wk, false)                  \
    TILE_KERNEL(tile_f16_##bm##x##bn, __half, bm, bn, wm, wn, wk, false)                 \
    TILE_KERNEL(tile_bf16_##bm##x##bn, __nv_bfloat16, bm, bn, wm, wn, wk, false)
#define TILE_LOOSE_KERNELS(bm, bn, wm, wn, wk)                                           \
    TILE_KERNEL(tile_loose_f32_##bm##x##bn, float, bm, bn, wm, wn, wk, true)             \
    TILE_KERNEL(tile_loose_f16_##bm##x##bn, __half, bm, bn, wm, wn, wk, true)            \
    TILE_KERNEL(tile_loose_bf16_##bm##x##bn, __nv_bfloat16, bm, bn, wm, wn, wk, true)

HSI_CUDA_CONV_TILE_LIST(TILE_KERNELS)
HSI_CUDA_CONV_TILE_LOOSE_LIST(TILE_LOOSE_KERNELS)
