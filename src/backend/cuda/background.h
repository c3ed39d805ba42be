#ifndef HSI_BACKEND_CUDA_BACKGROUND_H
#define HSI_BACKEND_CUDA_BACKGROUND_H

#include "backend/cuda/section.h"

/* As hsched_backend's queue_batch and background. */
uint32_t hsi_cuda_queue_batch(hsched_backend_section *section, uint32_t joined,
                              uint32_t others, uint32_t *members);
hsched_status hsi_cuda_background(hsched_backend_device *device, int *did);
void hsi_cuda_background_stop(hsched_backend_device *device);
/* Waits, entered, until the piece of background work that is being done, if any, has ended, which
 * it does soon; the mutex is given up meanwhile. 0: there was none. */
int hsi_cuda_background_interrupt(hsched_backend_device *device);
int hsi_cuda_has_background(const hsched_backend_device *device);

#endif
