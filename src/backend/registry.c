/* The backends that this library knows about. */
#include "backend/backend.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
    .dtype_size = hsched_dtype_size,
};

/* ---- The GPU plug-in ------------------------------------------------------ */

#define PLUGIN "libhsched_cuda.so"

static const hsched_backend *cuda;
static char cuda_detail[512]; /* why there is none */
static pthread_once_t cuda_once = PTHREAD_ONCE_INIT;

/* Beside this library, or beside the program that it is linked into; then wherever the system
 * looks. HSCHED_CUDA_PLUGIN names another file, or "none". */
static void *open_plugin(void)
{
    const char *told = getenv("HSCHED_CUDA_PLUGIN");
    if (told && *told) {
        if (strcmp(told, "none") == 0) {
            snprintf(cuda_detail, sizeof cuda_detail,
                     "not used: HSCHED_CUDA_PLUGIN is \"none\"");
            return NULL;
        }
        return dlopen(told, RTLD_NOW | RTLD_LOCAL);
    }
    Dl_info self;
    char path[4096];
    if (dladdr((const void *)&hsi_backend_host, &self) && self.dli_fname) {
        const char *slash = strrchr(self.dli_fname, '/');
        int folder = slash ? (int)(slash - self.dli_fname) + 1 : 0;
        static const char *const places[] = { "", "../" };
        for (int i = 0; i < 2; i++) {
            snprintf(path, sizeof path, "%.*s%s" PLUGIN, folder, self.dli_fname,
                     places[i]);
            if (access(path, R_OK) == 0)
                return dlopen(path, RTLD_NOW | RTLD_LOCAL);
        }
    }
    return dlopen(PLUGIN, RTLD_NOW | RTLD_LOCAL);
}

/* A program may be linked with the plug-in's objects instead of loading it. */
extern hsched_backend_entry_function hsched_backend_entry __attribute__((weak));

static void load_cuda(void)
{
    void *plugin = NULL;
    hsched_backend_entry_function *entry = hsched_backend_entry;
    if (!entry)
        plugin = open_plugin();
    if (!entry && !plugin) {
        const char *why = cuda_detail[0] ? NULL : dlerror();
        if (why)
            snprintf(cuda_detail, sizeof cuda_detail,
                     "no GPU: the plug-in " PLUGIN " could not be loaded (%s)", why);
        return;
    }
    if (plugin)
        *(void **)&entry = dlsym(plugin, HSCHED_BACKEND_ENTRY);
    const hsched_backend *found =
        entry ? entry(HSCHED_BACKEND_ABI, &hsi_backend_host) : NULL;
    if (!found || found->struct_size != sizeof *found ||
        found->abi != HSCHED_BACKEND_ABI) {
        snprintf(cuda_detail, sizeof cuda_detail,
                 "no GPU: the plug-in " PLUGIN " is of another version than this library "
                 "(" HSCHED_VERSION_STRING "); install both from the same release");
        if (plugin)
            dlclose(plugin);
        return;
    }
    cuda = found;
}

const hsched_backend *hsi_backend_cuda(const char **why)
{
    pthread_once(&cuda_once, load_cuda);
    if (!cuda) {
        *why = cuda_detail;
        return NULL;
    }
    int available;
    *why = cuda->describe(&available);
    return available ? cuda : NULL;
}

HSCHED_API hsched_status hsched_backend_get_info(uint32_t index,
                                                 hsched_backend_info *info)
{
    hsched_backend_info filled = { HSCHED_BACKEND_INFO_INIT };
    if (index < BACKEND_COUNT) {
        filled.name = backends[index]->name;
        filled.detail = backends[index]->describe(&filled.available);
    } else if (index == BACKEND_COUNT) {
        filled.name = "cuda";
        filled.available = hsi_backend_cuda(&filled.detail) != NULL;
    } else {
        return hsi_error(HSCHED_ERROR_NOT_FOUND,
                         "there is no backend %u; this library knows %u, counted from 0",
                         index, (unsigned)BACKEND_COUNT + 1);
    }
    return hsi_info_write(info, &filled, sizeof filled, "hsched_backend_info");
}
