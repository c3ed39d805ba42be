/* Parameters of the implicit GEMM (conv_tile.cu). */
#ifndef HSI_BACKEND_CUDA_KERNELS_CONV_TILE_H
#define HSI_BACKEND_CUDA_KERNELS_CONV_TILE_H

#include <stdint.h>

#include "backend/cuda/kernels/conv_shape.h"

/*
 * X(bm, bn, warps along m, along n, along k): the tiles that exist, for each type. A block
 * has wm * wn * wk warps that multiply; those along k share a k tile and are summed at the
 * end. wk is 1, 2 or 4.
 */
#define HSI_CUDA_CONV_TILE_LIST(X)                                                       \
    X(16, 64, 1, 2, 4)                                                                   \
    X(32, 32, 1, 1, 4)                                                                   \
    X(32, 64, 1, 2, 4)                                                                   \
    X(32, 128, 1, 4, 2)                                                                  \
    X(64, 32, 2, 1, 4)                                                                   \
    X(64, 64, 2, 2, 2)                                                                   \
    X(64, 128, 2, 4, 1)                                                                  \
    X(128, 32, 4, 1, 2)                                                                  \
    X(128, 64, 4, 2, 1)                                                                  \
    X(128, 128, 2, 4, 1)

/* Those that exist with loads of single elements too, for tensors whose channels are no
 * multiple of 16 bytes. */
#define HSI_CUDA_CONV_TILE_LOOSE_LIST(X)                                                 \
    X(32, 32, 1, 1, 4)                                                                   \
    X(64, 32, 2, 1, 4)                                                                   \
    X(64, 64, 2, 2, 2)                                                                   \
    X(128, 64, 4, 2, 1)

/* Warps of a block that copy. */
#define HSI_CUDA_CONV_TILE_PRODUCERS       2
#define HSI_CUDA_CONV_TILE_LOOSE_PRODUCERS 4

#define HSI_CUDA_CONV_TILE_K_BYTES    128 /* a k tile: 32 floats or 64 halves */
#define HSI_CUDA_CONV_TILE_PAD        8 /* floats between the rows of sums in shared memory */
#define HSI_CUDA_CONV_TILE_MAX_KERNEL 15 /* rows and columns of a window, but loose */
#define HSI_CUDA_CONV_TILE_MAX_STAGES 6
#define HSI_CUDA_CONV_TILE_MAX_SPLITS 32

enum {                            /* how x is read */
    HSI_CUDA_CONV_TILE_POINTWISE, /* 1x1 without padding: a row of x's pixels, 16 bytes each */
    HSI_CUDA_CONV_TILE_GATHER /* a window: 16 bytes of one pixel each */
};

enum {                          /* how splits of k are joined */
    HSI_CUDA_CONV_TILE_ALONE,   /* there is one */
    HSI_CUDA_CONV_TILE_TICKETS, /* through the workspace, by the last block that arrives */
    HSI_CUDA_CONV_TILE_CLUSTER /* the splits of a tile are a cluster (compute capability 9.0) */
};

typedef struct hsi_cuda_conv_tile_params {
    uint64_t x, weights;
    uint64_t partials; /* TICKETS: float4 [tile][split][fragment][thread] */
    uint64_t tickets;  /* TICKETS: uint32_t [tile], 0 before and after */
    hsi_cuda_window window;
    hsi_cuda_conv_out out;
    hsi_cuda_divisor by_tiles_m;
    int32_t k;          /* kh * kw * channels of x; loose: runs, padded */
    int32_t weight_row; /* kh * kw * channels of x */
    int32_t run;        /* loose: elements that lie one behind the other in x */
    hsi_cuda_divisor by_padded_run; /* that, padded to whole chunks of 16 bytes */
    int32_t row_runs;               /* a run is a window's whole row, not one pixel */
    int32_t k_tiles, splits, stages;
    int32_t access, join;
} hsi_cuda_conv_tile_params;

#endif
