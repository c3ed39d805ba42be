/* What the library does for the plug-in, which is linked with nothing of it. */
#ifndef HSI_BACKEND_CUDA_HOST_H
#define HSI_BACKEND_CUDA_HOST_H

#include <hsched/backend.h>

/* Set when the plug-in is loaded, before anything else of it is called. */
extern const hsched_backend_host *hsi_cuda_host;

#define HSI_CUDA_NEW(type) ((type *)hsi_cuda_host->alloc(sizeof(type)))
#define HSI_CUDA_NEW_ARRAY(type, count)                                                  \
    ((type *)hsi_cuda_new_array((count), sizeof(type)))

/* Zeroed; room for at least one; NULL when there is no memory or the size overflows. */
static inline void *hsi_cuda_new_array(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count ? count : 1, size, &bytes))
        return NULL;
    return hsi_cuda_host->alloc(bytes);
}

static inline size_t hsi_cuda_dtype_size(hsched_dtype dtype)
{
    return hsi_cuda_host->dtype_size(dtype);
}

static inline hsched_status hsi_cuda_no_memory(const char *what)
{
    return hsi_cuda_host->set_error(HSCHED_ERROR_OUT_OF_MEMORY,
                                    "GPU: no host memory for %s", what);
}

#endif
