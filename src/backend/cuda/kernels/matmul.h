/* Parameters of kernels/matmul.cu. */
#ifndef HSI_BACKEND_CUDA_KERNELS_MATMUL_H
#define HSI_BACKEND_CUDA_KERNELS_MATMUL_H

#include <hsched/hsched.h>

#include "backend/cuda/kernels/nest.h"

/* matmul_...: out [m,n] = act(a [m,k] * b [k,n] + bias [n]), for each matrix of the batch. */
#define HSI_CUDA_MATMUL_TILE    64
#define HSI_CUDA_MATMUL_THREADS 256
typedef struct hsi_cuda_matmul_params {
    uint32_t m, n, k;
    hsi_cuda_divisor row_tiles, column_tiles;
    hsi_cuda_nest batch; /* operands are out, a and b */
    int64_t out_m, out_n, a_m, a_k, b_k, b_n;
    int32_t a_along_k, b_along_k; /* neighbouring threads read neighbours along k */
    int32_t has_bias;             /* in[2], float */
    hsched_activation act;
} hsi_cuda_matmul_params;

/*
 * rows_...: out [m,o] = act(x [m,k] * w [o,k]^T + bias [o]) for m <= 16. A warp takes
 * `together` rows of w at a time and all of x; 2^split_log2 warps of a block share the k of those
 * rows and add up their sums in order.
 */
#define HSI_CUDA_ROWS_MOST 16
typedef struct hsi_cuda_rows_params {
    uint32_t m, o;
    uint32_t groups; /* of k: 16 bytes, or elements */
    uint32_t split_log2;
    int64_t k; /* from one row of w to the next */
    int64_t x_row, out_row;
    int32_t has_bias;
    hsched_activation act;
} hsi_cuda_rows_params;

#endif
