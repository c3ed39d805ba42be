/* Parameters of kernels/norm.cu. */
#ifndef HSI_BACKEND_CUDA_KERNELS_NORM_H
#define HSI_BACKEND_CUDA_KERNELS_NORM_H

#include <hsched/hsched.h>

#include "backend/cuda/kernels/nest.h"

#define HSI_CUDA_NORM_THREADS  128 /* softmax_warp, softmax_thread, norm_warp, lrn */
#define HSI_CUDA_BLOCK_THREADS 256 /* softmax_block, norm_block */

/* Lines are all dimensions but the axis: nest operands are out and in. */
typedef struct hsi_cuda_softmax_params {
    hsi_cuda_nest lines;
    uint32_t size; /* along the axis */
    int32_t log;
    int64_t out_stride, in_stride;
} hsi_cuda_softmax_params;

/* Nest operands are out, in, scale and bias. */
typedef struct hsi_cuda_norm_params {
    hsi_cuda_nest kept, inside; /* groups; what is in one */
    int32_t rms, scaled, shifted;
    float epsilon;
    hsched_activation act;
} hsi_cuda_norm_params;

/* Lines are all dimensions but the channels: nest operands are out and in. */
typedef struct hsi_cuda_lrn_params {
    hsi_cuda_nest lines;
    uint32_t channels, count; /* elements in all */
    int32_t channels_inside;  /* neighbouring threads take channels, not lines */
    hsi_cuda_divisor inner;   /* groups of channels, or lines */
    int64_t out_stride, in_stride;
    int64_t before, after; /* reach of the window */
    float factor, beta, bias;
} hsi_cuda_lrn_params;

#endif
