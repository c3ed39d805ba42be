#include "backend/cpu/libraries.h"

#include "backend/backend.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cblas.h>
#if HSI_HAVE_ONEDNN
#include <dnnl.h>
#include <omp.h>
#endif

#include "backend/cpu/bf16.h"
#include "backend/cpu/isa.h"
#include "base/log.h"

uint32_t hsi_cpu_libraries_built(void)
{
    return HSCHED_LIBRARY_OWN | HSCHED_LIBRARY_OPENBLAS |
           (HSI_HAVE_ONEDNN ? HSCHED_LIBRARY_ONEDNN : 0) |
           (HSI_HAVE_XNNPACK ? HSCHED_LIBRARY_XNNPACK : 0);
}

/* Appends ", text" (or "text" to an empty one), cut at the end of the room. */
static void append(char *list, size_t size, const char *text)
{
    size_t used = strlen(list);
    snprintf(list + used, size - used, "%s%s", used ? ", " : "", text);
}

void hsi_cpu_libraries_describe(uint32_t libraries, char *text, size_t size)
{
    char part[128];
    text[0] = 0;
#if HSI_HAVE_ONEDNN
    if (libraries & HSCHED_LIBRARY_ONEDNN) {
        const dnnl_version_t *version = dnnl_version();
        snprintf(part, sizeof part, "oneDNN %d.%d.%d", version->major, version->minor,
                 version->patch);
        append(text, size, part);
    }
#endif
    if (libraries & HSCHED_LIBRARY_OPENBLAS) {
        /* "OpenBLAS 0.3.21 NO_AFFINITY ..." */
        const char *config = openblas_get_config();
        const char *space = strchr(config, ' ');
        const char *version = space ? space + 1 : "";
        snprintf(part, sizeof part, "OpenBLAS %.*s (%s)", (int)strcspn(version, " "),
                 version, openblas_get_corename());
        append(text, size, part);
    }
    if (libraries & HSCHED_LIBRARY_XNNPACK)
        append(text, size, "XNNPACK"); /* it does not tell its version */
    snprintf(part, sizeof part, "own kernels (%s)", hsi_isa_name(hsi_isa_best()));
    append(text, size, part);
    if (hsi_cpu_has_bf16())
        append(text, size, hsi_cpu_has_amx() ? "bfloat16 (AMX)" : "bfloat16 (AVX-512)");
}

static void warn_of_environment(void)
{
    const char *core = getenv("OPENBLAS_CORETYPE");
    if (core && *core)
        hsi_log(HSCHED_LOG_WARNING,
                "OPENBLAS_CORETYPE=%s in the environment makes OpenBLAS use its kernels "
                "for that "
                "processor (in use: %s); unset it if that is not this machine's, since "
                "matrix "
                "products may be several times slower",
                core, openblas_get_corename());
}

void hsi_cpu_libraries_start(int keep_openblas_threads)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, warn_of_environment);
    if (!keep_openblas_threads && openblas_get_num_threads() != 1)
        openblas_set_num_threads(1);
}

#if HSI_HAVE_ONEDNN
void hsi_cpu_worker_enter(void)
{
    static _Thread_local int entered;
    if (!entered) {
        omp_set_num_threads(1);
        entered = 1;
    }
}

int hsi_backend_cpu_enter(void)
{
    int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    return threads;
}

void hsi_backend_cpu_leave(int threads)
{
    omp_set_num_threads(threads);
}
#else
void hsi_cpu_worker_enter(void)
{
}

int hsi_backend_cpu_enter(void)
{
    return 1;
}

void hsi_backend_cpu_leave(int threads)
{
    (void)threads;
}
#endif
