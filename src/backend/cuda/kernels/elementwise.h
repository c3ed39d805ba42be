/* Parameters of kernels/elementwise.cu. */
#ifndef HSI_BACKEND_CUDA_KERNELS_ELEMENTWISE_H
#define HSI_BACKEND_CUDA_KERNELS_ELEMENTWISE_H

#include <hsched/hsched.h>

#include "backend/cuda/kernels/nest.h"

#define HSI_CUDA_ELEMENTWISE_THREADS 128

/* Nest operands are out, in[0], and the second input or, for SCALE, the channel's constants. */
typedef struct hsi_cuda_elementwise_params {
    hsi_cuda_nest nest;
    hsched_activation act;
    int32_t binary; /* hsched_binary_kind */
} hsi_cuda_elementwise_params;

#endif
