/* Parameters of kernels/axis.cu: steps along an axis. Lines are all other dimensions: nest operands
 * are out and in. */
#ifndef HSI_BACKEND_CUDA_KERNELS_AXIS_H
#define HSI_BACKEND_CUDA_KERNELS_AXIS_H

#include "backend/cuda/kernels/nest.h"

#define HSI_CUDA_AXIS_THREADS       128  /* ..._thread, ..._warp */
#define HSI_CUDA_AXIS_BLOCK_THREADS 256  /* arg_block */
#define HSI_CUDA_TOP_K_THREADS      1024 /* top_k, at most */
#define HSI_CUDA_TOP_K_MOST         2048 /* elements that are kept of a line */

/* arg_..., top_k */
typedef struct hsi_cuda_rank_params {
    hsi_cuda_nest lines;
    uint32_t size; /* in's along the axis */
    uint32_t kept; /* out's */
    int64_t out_stride, in_stride;
    int32_t stored;         /* hsi_cuda_stored */
    int32_t smallest, last; /* is wanted */
    int32_t nan_first;      /* a not-a-number comes first of the smallest, too */
    uint32_t key_bytes;     /* 4 or 8: that tell elements apart */
} hsi_cuda_rank_params;

/* cumsum_..., cumprod_... */
typedef struct hsi_cuda_cumsum_params {
    hsi_cuda_nest lines;
    uint32_t size;
    int64_t out_stride, in_stride;
    int32_t stored; /* hsi_cuda_stored */
    int32_t exclusive, reverse;
} hsi_cuda_cumsum_params;

#endif
