/* Parameters of the convolutions in plain float arithmetic (conv_direct.cu). */
#ifndef HSI_BACKEND_CUDA_KERNELS_CONV_DIRECT_H
#define HSI_BACKEND_CUDA_KERNELS_CONV_DIRECT_H

#include "backend/cuda/kernels/conv_shape.h"

#define HSI_CUDA_DIRECT_K 16 /* a k tile of direct_tile */

/* direct_tile: X(pixels, channels) of a block; 16 sums a thread. */
#define HSI_CUDA_DIRECT_LIST(X)                                                          \
    X(32, 32)                                                                            \
    X(64, 64)

typedef struct hsi_cuda_direct_params {
    uint64_t x, weights;
    uint64_t partials; /* splits > 1: float4 [tile][split][row of 4][thread] */
    uint64_t tickets;  /* uint32_t [tile], 0 before and after */
    hsi_cuda_window window;
    hsi_cuda_conv_out out;
    hsi_cuda_divisor
        by_tiles_m; /* tile = (group * tiles_n + tile_n) * tiles_m + tile_m */
    hsi_cuda_divisor by_tiles_n; /* of a group */
    hsi_cuda_divisor by_outputs; /* out.n, and of a group */
    hsi_cuda_divisor by_group_outputs;
    int32_t k, k_tiles, splits;
    int32_t weight_output, weight_tap; /* strides of the weights' o and (r, s) */
    int32_t count;                     /* direct_each: m * n */
} hsi_cuda_direct_params;

/* Depthwise: x, out [N,C,H,W] channels-last, weights [kh][kw][C]. A thread computes
 * `across` neighbours along the width, of 4 channels (or 1). */
typedef struct hsi_cuda_depthwise_params {
    uint64_t x, weights;
    hsi_cuda_window window;
    hsi_cuda_conv_out out;
    hsi_cuda_divisor by_channel_groups, by_column_groups, by_rows;
    int32_t count; /* threads that have work */
} hsi_cuda_depthwise_params;

#endif
