#include "backend/cuda/memory.h"

#include "backend/cuda/api.h"
#include "backend/cuda/host.h"

enum {
    ALIGNMENT = 256
};

struct hsi_cuda_block {
    size_t offset, size;
    int used;
    hsi_cuda_block *next;
};

static size_t rounded(size_t size)
{
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

hsched_status hsi_cuda_memory_init(hsi_cuda_memory *memory, uint64_t limit,
                                   hsched_gpu_pool pool)
{
    if (pthread_mutex_init(&memory->mutex, NULL) != 0)
        return hsi_cuda_host->set_error(HSCHED_ERROR_SYSTEM, "a mutex could not be made");
    memory->made = 1;
    memory->limit = limit;
    if (pool != HSCHED_GPU_POOL_FIXED)
        return HSCHED_OK;
    memory->blocks = HSI_CUDA_NEW(hsi_cuda_block);
    if (!memory->blocks)
        return hsi_cuda_no_memory("the memory pool");
    memory->blocks->size = limit / ALIGNMENT * ALIGNMENT;
    hsched_status status = CU_CHECK("taking the fixed memory pool (gpu_memory_limit)",
                                    cuMemAlloc, &memory->pool, memory->blocks->size);
    memory->allocations++;
    return status;
}

void hsi_cuda_memory_clear(hsi_cuda_memory *memory)
{
    if (!memory->made)
        return;
    if (memory->pool)
        hsi_cuda.cuMemFree(memory->pool);
    while (memory->blocks) {
        hsi_cuda_block *block = memory->blocks;
        memory->blocks = block->next;
        hsi_cuda_host->free(block);
    }
    pthread_mutex_destroy(&memory->mutex);
}

/* ---- The fixed pool: first fit -------------------------------------------- */

static hsched_status pool_alloc(hsi_cuda_memory *memory, size_t size,
                                CUdeviceptr *address)
{
    hsi_cuda_block *b = memory->blocks;
    while (b && (b->used || b->size < size))
        b = b->next;
    if (!b)
        return hsi_cuda_host->set_error(
            HSCHED_ERROR_OUT_OF_MEMORY,
            "GPU: the fixed pool of %llu bytes has no free block of %zu",
            (unsigned long long)memory->limit, size);
    if (b->size > size) {
        hsi_cuda_block *rest = HSI_CUDA_NEW(hsi_cuda_block);
        if (!rest)
            return hsi_cuda_no_memory("the memory pool");
        *rest = (hsi_cuda_block){ b->offset + size, b->size - size, 0, b->next };
        b->size = size;
        b->next = rest;
    }
    b->used = 1;
    *address = memory->pool + b->offset;
    return HSCHED_OK;
}

static void join_with_next(hsi_cuda_block *b)
{
    hsi_cuda_block *next = b->next;
    if (!next || b->used || next->used)
        return;
    b->size += next->size;
    b->next = next->next;
    hsi_cuda_host->free(next);
}

static void pool_free(hsi_cuda_memory *memory, CUdeviceptr address)
{
    hsi_cuda_block *before = NULL, *b = memory->blocks;
    while (memory->pool + b->offset != address) {
        before = b;
        b = b->next;
    }
    b->used = 0;
    join_with_next(b);
    if (before)
        join_with_next(before);
}

/* ---- Both ----------------------------------------------------------------- */

hsched_status hsi_cuda_memory_alloc(hsi_cuda_memory *memory, size_t size,
                                    CUdeviceptr *address)
{
    hsched_status status;
    *address = 0;
    size = rounded(size ? size : 1);
    pthread_mutex_lock(&memory->mutex);
    if (memory->limit && (size > memory->limit || memory->used > memory->limit - size))
        status = hsi_cuda_host->set_error(
            HSCHED_ERROR_OUT_OF_MEMORY,
            "GPU: %zu more bytes would pass gpu_memory_limit (%llu of %llu are used)",
            size, (unsigned long long)memory->used, (unsigned long long)memory->limit);
    else if (memory->pool)
        status = pool_alloc(memory, size, address);
    else
        status = CU_CHECK("taking GPU memory", cuMemAlloc, address, size);
    if (status == HSCHED_OK) {
        memory->allocations += !memory->pool;
        memory->used += size;
        if (memory->used > memory->peak)
            memory->peak = memory->used;
    }
    pthread_mutex_unlock(&memory->mutex);
    return status;
}

void hsi_cuda_memory_free(hsi_cuda_memory *memory, CUdeviceptr address, size_t size)
{
    if (!address)
        return;
    pthread_mutex_lock(&memory->mutex);
    if (memory->pool)
        pool_free(memory, address);
    else
        hsi_cuda.cuMemFree(
            address); /* fails only on a lost context, with which it is gone */
    memory->used -= rounded(size ? size : 1);
    pthread_mutex_unlock(&memory->mutex);
}
