/* Parameters of kernels/pool_index.cu. */
#ifndef HSI_BACKEND_CUDA_KERNELS_POOL_INDEX_H
#define HSI_BACKEND_CUDA_KERNELS_POOL_INDEX_H

#include "backend/cuda/kernels/nest.h"

#define HSI_CUDA_POOL_INDEX_THREADS 128

/* Nest operands are out; x along images and channels alone; the number of the first element of x
 * there; the number of the window, row by row. Where x has fewer than three further dimensions, the
 * first of those here have one element. */
typedef struct hsi_cuda_pool_index_params {
    hsi_cuda_nest nest;
    hsi_cuda_divisor rows, columns;                     /* of windows */
    int64_t sizes[3], in_strides[3], number_strides[3]; /* of x */
    int64_t kernel[3], strides[3], before[3], dilations[3];
} hsi_cuda_pool_index_params;

#endif
