/*
 * Zero-copy memory. Host memory is the host's own, registered with the driver, so that it
 * outlives a lost GPU: the CPU can still read what is in it.
 */
#include "backend/cuda/user_memory.h"

#include "backend/cuda/host.h"

typedef enum memory_kind {
    OWN_HOST = 1, /* ours, registered */
    USER_HOST,    /* the user's, registered */
    ON_DEVICE
} memory_kind;

typedef struct memory_handle {
    memory_kind kind;
    void *host;
    void *block; /* OWN_HOST: what `host` lies in */
    size_t size;
} memory_handle;

enum {
    PAGE = 4096 /* registration goes by pages, and no page may be registered twice */
};

/* The context without `use`: allocation does not disturb who submits. */
static hsched_status push(hsi_cuda_device *d)
{
    return CU_CHECK("making the context current", cuCtxPushCurrent, d->context);
}

static void pop(void)
{
    CUcontext mine;
    hsi_cuda.cuCtxPopCurrent(&mine);
}

static hsched_status map(void *host, size_t size, unsigned flags, hsched_memory *memory)
{
    CUdeviceptr address = 0;
    hsched_status status =
        CU_CHECK("registering host memory", cuMemHostRegister, host, size,
                 CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP | flags);
    if (status != HSCHED_OK)
        return status == HSCHED_ERROR_INTERNAL ? HSCHED_ERROR_UNSUPPORTED : status;
    status =
        CU_CHECK("registering host memory", cuMemHostGetDevicePointer, &address, host, 0);
    if (status != HSCHED_OK) {
        hsi_cuda.cuMemHostUnregister(host);
        return status;
    }
    memory->host = host;
    memory->device = address;
    return HSCHED_OK;
}

/* A dma-buf may be another device's own memory, which the driver takes only if told so. It
 * refuses all other memory then, so there is no harm in trying. */
static hsched_status map_of_user(void *host, size_t size, hsched_memory *memory)
{
    hsched_status status = map(host, size, 0, memory);
    if (status == HSCHED_ERROR_UNSUPPORTED)
        status = map(host, size, CU_MEMHOSTREGISTER_IOMEMORY, memory);
    return status;
}

static hsched_status create_pushed(int on_device, memory_handle *h, hsched_memory *memory)
{
    if (on_device) {
        h->kind = ON_DEVICE;
        CUdeviceptr address;
        hsched_status status =
            CU_CHECK("taking GPU memory for a buffer", cuMemAlloc, &address, h->size);
        memory->device = status == HSCHED_OK ? address : 0;
        return status;
    }
    h->kind = OWN_HOST;
    if (h->size > SIZE_MAX - 2 * PAGE)
        return hsi_cuda_no_memory("a buffer");
    const size_t pages = (h->size + PAGE - 1) / PAGE * PAGE;
    h->block = hsi_cuda_host->alloc(pages + PAGE);
    if (!h->block)
        return hsi_cuda_no_memory("a buffer");
    h->host = (void *)(((uintptr_t)h->block + PAGE - 1) / PAGE * PAGE);
    hsched_status status = map(h->host, pages, 0, memory);
    if (status != HSCHED_OK)
        hsi_cuda_host->free(h->block);
    return status;
}

hsched_status hsi_cuda_memory_create(hsi_cuda_device *d, size_t size, int on_device,
                                     hsched_memory *memory)
{
    *memory = (hsched_memory){ 0 };
    memory_handle *h = HSI_CUDA_NEW(memory_handle);
    if (!h)
        return hsi_cuda_no_memory("a buffer");
    h->size = size;
    hsched_status status = push(d);
    if (status == HSCHED_OK) {
        status = create_pushed(on_device, h, memory);
        pop();
    }
    if (status != HSCHED_OK) {
        hsi_cuda_host->free(h);
        return status;
    }
    __atomic_fetch_add(&d->memory.allocations, 1, __ATOMIC_RELAXED);
    memory->handle = h;
    return HSCHED_OK;
}

hsched_status hsi_cuda_memory_register(hsi_cuda_device *d, void *host, size_t size,
                                       hsched_memory *memory)
{
    *memory = (hsched_memory){ .host = host };
    memory_handle *h = HSI_CUDA_NEW(memory_handle);
    if (!h)
        return hsi_cuda_no_memory("a buffer");
    *h = (memory_handle){ .kind = USER_HOST, .host = host, .size = size };
    hsched_status status = push(d);
    if (status == HSCHED_OK) {
        status = map_of_user(host, size, memory);
        pop();
    }
    if (status != HSCHED_OK) {
        hsi_cuda_host->free(h);
        return status;
    }
    memory->handle = h;
    return HSCHED_OK;
}

void hsi_cuda_memory_destroy(hsi_cuda_device *d, hsched_memory *memory)
{
    memory_handle *h = memory->handle;
    if (!h)
        return;
    /* On a lost device the calls fail and the driver has forgotten the memory anyway. */
    int current = hsi_cuda.cuCtxPushCurrent(d->context) == CUDA_SUCCESS;
    if (h->kind == ON_DEVICE)
        hsi_cuda.cuMemFree(memory->device);
    else
        hsi_cuda.cuMemHostUnregister(h->host);
    if (current)
        pop();
    if (h->kind == OWN_HOST)
        hsi_cuda_host->free(h->block);
    hsi_cuda_host->free(h);
    *memory = (hsched_memory){ 0 };
}

hsched_status hsi_cuda_memory_copy(hsi_cuda_device *d, uint64_t address, void *host,
                                   size_t size, int to_device)
{
    hsched_status status = push(d);
    if (status != HSCHED_OK)
        return status;
    status = to_device
                 ? CU_CHECK("copying to the GPU", cuMemcpyHtoD, address, host, size)
                 : CU_CHECK("copying from the GPU", cuMemcpyDtoH, host, address, size);
    if (status == HSCHED_OK && to_device)
        status = hsi_cuda_finish_default();
    pop();
    return status;
}

hsched_status hsi_cuda_wait_event(hsi_cuda_device *d, void *event)
{
    hsched_status status = push(d);
    if (status != HSCHED_OK)
        return status;
    status = CU_CHECK("waiting for the user's event", cuEventSynchronize, (CUevent)event);
    pop();
    return status;
}
