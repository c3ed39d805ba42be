/*
 * A bias as NVIDIA's libraries want it: in the number format of the output, and there. cuDNN's
 * compiled engines that fuse anything fuse a bias of the output's type: without one, or with a
 * float bias beside halves, only those remain that are compiled at run time (a second each).
 */
#ifndef HSI_BACKEND_CUDA_BIAS_H
#define HSI_BACKEND_CUDA_BIAS_H

#include "backend/cuda/op.h"

typedef struct hsi_cuda_bias {
    CUdeviceptr address; /* 0: none */
    size_t size;
} hsi_cuda_bias;

/* 1 if the step's own bias, float [channels], does not serve as it is. */
int hsi_cuda_bias_needs_copy(const hsi_cuda_step *step);
/* A copy of the bias in[2] of CONV2D or FC in step->type, zeros if the step has none.
 * UNSUPPORTED if a value does not fit the type. The device was entered; waits for the GPU. */
hsched_status hsi_cuda_bias_copy(const hsi_cuda_step *step, hsi_cuda_bias *copy);
void hsi_cuda_bias_free(hsi_cuda_device *device, hsi_cuda_bias *copy);

#endif
