/* What the programs behind make bench-gpu share: time, answers in JSON, a runtime on the
 * first GPU. */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include <hsched/hsched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

/* Prints {"error": "what: why"} and gives 0. */
static inline int bench_failed(const char *what, const char *why)
{
    printf("{\"error\": \"%s: ", what);
    for (; *why; why++)
        putchar(*why == '"' || *why == '\\' || (unsigned char)*why < ' ' ? ' ' : *why);
    printf("\"}\n");
    fflush(stdout);
    return 0;
}

/* 1 if the call succeeded. */
static inline int bench_ok(hsched_status status, const char *what)
{
    if (status == HSCHED_OK)
        return 1;
    const char *detail = hsched_error_detail();
    return bench_failed(what, detail[0] ? detail : hsched_status_text(status));
}

static inline void print_samples(const char *name, const double *samples, uint32_t count)
{
    printf("\"%s\": [", name);
    for (uint32_t i = 0; i < count; i++)
        printf("%s%.3f", i ? ", " : "", samples[i]);
    printf("]");
}

/* A runtime whose models run on the first GPU; *device is its index. 1, or 0 and the reason
 * was printed. */
static inline int open_gpu(const char *tuning, hsched_runtime **runtime, uint32_t *device)
{
    hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT,
                                     .policy = HSCHED_POLICY_GPU_ONLY };
    config.gpu_tuning = strcmp(tuning, "full") == 0   ? HSCHED_GPU_TUNING_FULL
                        : strcmp(tuning, "none") == 0 ? HSCHED_GPU_TUNING_NONE
                                                      : HSCHED_GPU_TUNING_QUICK;
    if (!bench_ok(hsched_runtime_create(&config, runtime), "the runtime"))
        return 0;
    for (*device = 0; *device < hsched_runtime_device_count(*runtime); ++*device) {
        hsched_device_info info = { HSCHED_DEVICE_INFO_INIT };
        if (hsched_runtime_device_info(*runtime, *device, &info) == HSCHED_OK &&
            info.kind == HSCHED_DEVICE_GPU)
            return 1;
    }
    hsched_backend_info backend = { HSCHED_BACKEND_INFO_INIT };
    const char *why = "no GPU was opened";
    for (uint32_t i = 0; hsched_backend_get_info(i, &backend) == HSCHED_OK; i++)
        if (strcmp(backend.name, "cuda") == 0)
            why = backend.detail;
    return bench_failed("the GPU", why);
}

#endif
