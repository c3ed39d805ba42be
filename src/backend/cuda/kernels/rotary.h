/* Parameters of kernels/rotary.cu. */
#ifndef HSI_BACKEND_CUDA_KERNELS_ROTARY_H
#define HSI_BACKEND_CUDA_KERNELS_ROTARY_H

#include "backend/cuda/kernels/nest.h"

#define HSI_CUDA_ROTARY_THREADS 128

/* The nest is over the pairs; its operands are out, in[0], the cosines and the sines. */
typedef struct hsi_cuda_rotary_params {
    hsi_cuda_nest nest;
    int64_t pair[HSI_CUDA_NEST_OPERANDS]; /* from the first of a pair to the second */
} hsi_cuda_rotary_params;

#endif
