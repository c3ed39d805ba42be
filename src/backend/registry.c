/* The backends that this library knows about. */
#include "backend/backend.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/status.h"

static const hsched_backend *const backends[] = { &hsi_backend_cpu, &hsi_backend_sim };

#define BACKEND_COUNT (sizeof backends / sizeof backends[0])

const hsched_backend *hsi_backend_get(uint32_t index)
{
    return index < BACKEND_COUNT ? backends[index] : NULL;
}

const hsched_backend_host hsi_backend_host = {
    .struct_size = sizeof(hsched_backend_host),
    .set_error = hsi_error,
    .log = hsi_log,
    .alloc = hsi_alloc_aligned,
    .free = hsi_free,
};

/*
 * This version has no GPU backend, so "cuda" is listed as not available; whether the
 * machine has the driver that such a backend would need is what people ask next, so it is
 * looked for, once.
 */
static char cuda_detail[512];
static pthread_once_t cuda_once = PTHREAD_ONCE_INIT;

static void look_for_cuda(void)
{
    static const char none[] = "this version has no GPU backend (it is to come as the "
                               "plug-in libhsched_cuda.so)";
    void *driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
    if (driver) {
        snprintf(cuda_detail, sizeof cuda_detail,
                 "%s; an NVIDIA driver is installed (libcuda.so.1)", none);
        dlclose(driver);
    } else {
        const char *why = dlerror();
        snprintf(cuda_detail, sizeof cuda_detail, "%s; no NVIDIA driver was found (%s)",
                 none, why ? why : "libcuda.so.1");
    }
}

HSCHED_API hsched_status hsched_backend_get_info(uint32_t index,
                                                 hsched_backend_info *info)
{
    hsched_backend_info filled = { HSCHED_BACKEND_INFO_INIT };
    if (index < BACKEND_COUNT) {
        filled.name = backends[index]->name;
        filled.detail = backends[index]->describe(&filled.available);
    } else if (index == BACKEND_COUNT) {
        pthread_once(&cuda_once, look_for_cuda);
        filled.name = "cuda";
        filled.detail = cuda_detail;
    } else {
        return hsi_error(HSCHED_ERROR_NOT_FOUND,
                         "there is no backend %u; this library knows %u, counted from 0",
                         index, (unsigned)BACKEND_COUNT + 1);
    }
    return hsi_info_write(info, &filled, sizeof filled, "hsched_backend_info");
}
