#ifndef HSI_BACKEND_CUDA_BACKGROUND_H
#define HSI_BACKEND_CUDA_BACKGROUND_H

#include "backend/cuda/section.h"

/* As hsched_backend's queue_batch and background. */
uint32_t hsi_cuda_queue_batch(hsched_backend_section *section, uint32_t joined,
                              uint32_t waiting, uint32_t *members);
hsched_status hsi_cuda_background(hsched_backend_device *device, int *did);
void hsi_cuda_background_stop(hsched_backend_device *device);
int hsi_cuda_has_background(const hsched_backend_device *device);

#endif
