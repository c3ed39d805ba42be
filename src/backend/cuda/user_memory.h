#ifndef HSI_BACKEND_CUDA_USER_MEMORY_H
#define HSI_BACKEND_CUDA_USER_MEMORY_H

#include "backend/cuda/device.h"

/* As hsched_backend's memory functions. */
hsched_status hsi_cuda_memory_create(hsched_backend_device *device, size_t size,
                                     int on_device, hsched_memory *memory);
hsched_status hsi_cuda_memory_register(hsched_backend_device *device, void *host,
                                       size_t size, hsched_memory *memory);
void hsi_cuda_memory_destroy(hsched_backend_device *device, hsched_memory *memory);
hsched_status hsi_cuda_memory_copy(hsched_backend_device *device, uint64_t address,
                                   void *host, size_t size, int to_device);
hsched_status hsi_cuda_wait_event(hsched_backend_device *device, void *event);

#endif
