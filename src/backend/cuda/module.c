#include "backend/cuda/module.h"

#include "backend/cuda/device.h"
#include "backend/cuda/host.h"

/* The fat binaries, embedded at build time. */
#define EMBED(name, file)                                                                \
    __asm__(".section .rodata\n"                                                         \
            ".balign 64\n"                                                               \
            ".hidden hsi_cuda_image_" #name "\n"                                         \
            ".global hsi_cuda_image_" #name "\n"                                         \
            "hsi_cuda_image_" #name ":\n"                                                \
            ".incbin \"" HSI_CUDA_KERNEL_DIR "/" #file ".fatbin\"\n"                     \
            ".byte 0\n"                                                                  \
            ".previous\n");                                                              \
    extern const char hsi_cuda_image_##name[];
HSI_CUDA_MODULE_LIST(EMBED)
#undef EMBED

static const char *const images[] = {
#define IMAGE(name, file) hsi_cuda_image_##name,
    HSI_CUDA_MODULE_LIST(IMAGE)
#undef IMAGE
};

static hsched_status load(hsi_cuda_device *device, hsi_cuda_module module)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    hsched_status status = HSCHED_OK;
    pthread_mutex_lock(&mutex);
    if (!device->modules[module])
        status = CU_CHECK("loading kernels", cuLibraryLoadData, &device->modules[module],
                          images[module], NULL, NULL, 0, NULL, NULL, 0);
    pthread_mutex_unlock(&mutex);
    return status;
}

/* The limit is the kernel's, and ops with less shared memory may be made after others. */
static hsched_status raise_shared_limit(const hsi_cuda_device *device, CUkernel kernel,
                                        const char *name, uint32_t bytes)
{
    const CUfunction_attribute which = CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
    int now = 0;
    hsched_status status =
        CU_CHECK(name, cuKernelGetAttribute, &now, which, kernel, device->device);
    if (status == HSCHED_OK && (int)bytes > now)
        status = CU_CHECK(name, cuKernelSetAttribute, which, (int)bytes, kernel,
                          device->device);
    return status;
}

hsched_status hsi_cuda_kernel(hsi_cuda_device *device, hsi_cuda_module module,
                              const char *name, uint32_t shared_bytes,
                              CUfunction *function)
{
    CUkernel kernel;
    *function = NULL;
    hsched_status status = load(device, module);
    if (status == HSCHED_OK)
        status =
            CU_CHECK(name, cuLibraryGetKernel, &kernel, device->modules[module], name);
    if (status == HSCHED_OK)
        status = raise_shared_limit(device, kernel, name, shared_bytes);
    if (status == HSCHED_OK)
        *function = (CUfunction)kernel; /* cuLaunchKernel takes either */
    return status;
}
