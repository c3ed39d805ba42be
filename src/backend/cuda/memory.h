/*
 * The GPU's memory as the library uses it: counted, bounded by a limit, from a pool that
 * grows (each block is the driver's) or is fixed (one block, handed out first fit).
 */
#ifndef HSI_BACKEND_CUDA_MEMORY_H
#define HSI_BACKEND_CUDA_MEMORY_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include <cuda.h>
#include <hsched/backend.h>

typedef struct hsi_cuda_block hsi_cuda_block;

typedef struct hsi_cuda_memory {
    pthread_mutex_t mutex; /* a leaf lock */
    int made;              /* the mutex is */
    uint64_t limit;        /* 0: none */
    uint64_t used, peak;
    uint64_t allocations; /* of GPU memory and of pinned host memory */
    hsi_cuda_block
        *blocks;      /* fixed pool: all of it, in order of address, free ones too */
    CUdeviceptr pool; /* fixed pool: its start; else 0 */
} hsi_cuda_memory;

hsched_status hsi_cuda_memory_init(hsi_cuda_memory *memory, uint64_t limit,
                                   hsched_gpu_pool pool);
void hsi_cuda_memory_clear(hsi_cuda_memory *memory); /* everything was freed before */

/* Aligned to 256 bytes. OUT_OF_MEMORY: the limit would be passed, or the GPU has no more; who
 * can do without something else (slot.c) gives it up and tries again. The context is
 * current. Any thread. */
hsched_status hsi_cuda_memory_alloc(hsi_cuda_memory *memory, size_t size,
                                    CUdeviceptr *address);
void hsi_cuda_memory_free(hsi_cuda_memory *memory, CUdeviceptr address, size_t size);

#endif
