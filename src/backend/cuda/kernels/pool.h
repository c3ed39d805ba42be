/* Parameters of kernels/pool.cu. */
#ifndef HSI_BACKEND_CUDA_KERNELS_POOL_H
#define HSI_BACKEND_CUDA_KERNELS_POOL_H

#include "backend/cuda/kernels/nest.h"

#define HSI_CUDA_POOL_THREADS 128

/* x [N,C,H,W] and out [N,C,H',W'] channels-last. Positions are below 2^30 in size. */
typedef struct hsi_cuda_pool_params {
    uint32_t count;                         /* groups of channels in all of out */
    hsi_cuda_divisor groups, width, height; /* of out */
    int32_t size[2];                        /* of x: H, W */
    int32_t kernel[2], strides[2], pads[4], dilations[2];
    int32_t include_pad;
    int64_t in_strides[3], out_strides[3]; /* n, h, w */
} hsi_cuda_pool_params;

#endif
