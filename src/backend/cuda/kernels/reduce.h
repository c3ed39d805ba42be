/* Parameters of kernels/reduce.cu. */
#ifndef HSI_BACKEND_CUDA_KERNELS_REDUCE_H
#define HSI_BACKEND_CUDA_KERNELS_REDUCE_H

#include "backend/cuda/kernels/nest.h"

#define HSI_CUDA_REDUCE_WARP_THREADS  128 /* reduce_..._warp, reduce_whole */
#define HSI_CUDA_REDUCE_BLOCK_THREADS 256 /* reduce_..._block, reduce_..._columns */

/* Nest operands are out and in; of `window`, what one element of out is made of, in. */
typedef struct hsi_cuda_reduce_params {
    hsi_cuda_nest kept, window;
    uint32_t lanes_log2; /* columns: threads of a block side by side */
    float divisor;       /* of floats: the window's size, for a mean; else 1 */
    int32_t stored;      /* of integers: hsi_cuda_stored */
    int32_t kind;        /* and hsched_reduce_kind */
} hsi_cuda_reduce_params;

#endif
