/* The devices of a runtime, and which CPUs its workers are pinned to. */
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "backend/backend.h"
#include "base/alloc.h"
#include "base/log.h"
#include "base/status.h"
#include "base/sync.h"
#include "runtime/runtime.h"
#include "worker/queue.h"

static hsched_status open_device(hsched_runtime *rt, const hsched_backend *backend,
                                 const hsched_device_config *config)
{
    hsi_exec_device *d = &rt->devices[rt->device_count];
    hsched_status status = backend->device_open(config, &d->handle);
    if (status != HSCHED_OK)
        return status;
    d->backend = backend;
    d->has_queue = backend->queue_submit != NULL;
    rt->workers[rt->device_count++] = config->workers;
    return HSCHED_OK;
}

static hsched_status check_names(const hsched_runtime *rt)
{
    for (uint32_t i = 0; i < rt->device_count; i++) {
        hsched_device_info a = { HSCHED_DEVICE_INFO_INIT };
        rt->devices[i].backend->device_info(rt->devices[i].handle, &a);
        for (uint32_t k = 0; k < i; k++) {
            hsched_device_info b = { HSCHED_DEVICE_INFO_INIT };
            rt->devices[k].backend->device_info(rt->devices[k].handle, &b);
            if (strcmp(a.name, b.name) == 0)
                return hsi_error(
                    HSCHED_ERROR_INVALID_ARGUMENT,
                    "hsched_runtime_create: two devices are named '%s'; give each "
                    "simulated device its own name",
                    a.name);
        }
    }
    return HSCHED_OK;
}

/* ---- GPUs ---- */

enum {
    DEFAULT_STREAMS = 8
};

static hsched_status open_gpu(hsched_runtime *rt, const hsched_runtime_config *config,
                              const hsched_backend *backend, int ordinal)
{
    hsched_device_config device = {
        .struct_size = sizeof device,
        .host = &hsi_backend_host,
        .workers = config->gpu_streams ? config->gpu_streams : DEFAULT_STREAMS,
        .ordinal = ordinal,
        .memory_limit = config->gpu_memory_limit,
        .pool = config->gpu_pool,
        .sm_count = config->gpu_sm_count,
        .tuning = config->gpu_tuning,
        .cache_dir = config->cache_dir,
        .no_graphs = (config->flags & HSCHED_RUNTIME_NO_GRAPHS) != 0,
    };
    if (rt->device_count == HSI_MAX_DEVICES)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_runtime_create: more than %d devices", HSI_MAX_DEVICES);
    return open_device(rt, backend, &device);
}

/* Did the user ask for a GPU, so that having none is an error? */
static int asks_for_gpu(const hsched_runtime_config *config)
{
    return config->gpu_count > 0 || config->gpu_sm_count > 0 ||
           config->gpu_memory_limit > 0 || config->gpu_pool != HSCHED_GPU_POOL_GROWING;
}

static hsched_status open_gpus(hsched_runtime *rt, const hsched_runtime_config *config)
{
    if (config->gpu_count > 0 && !config->gpus)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_runtime_create: gpu_count is %u and gpus is NULL",
                         config->gpu_count);
    if (config->flags & HSCHED_RUNTIME_NO_GPU) {
        if (config->gpu_count > 0)
            return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                             "hsched_runtime_create: gpus are given and "
                             "HSCHED_RUNTIME_NO_GPU is set; choose one");
        return HSCHED_OK;
    }
    if (!asks_for_gpu(config) &&
        (config->policy == HSCHED_POLICY_CPU_ONLY || config->sim_count > 0))
        return HSCHED_OK;
    const char *why;
    const hsched_backend *backend = hsi_backend_cuda(&why);
    hsched_status status = HSCHED_OK;
    if (!backend && asks_for_gpu(config))
        return hsi_error(HSCHED_ERROR_NOT_FOUND,
                         "hsched_runtime_create: GPU settings are given, but %s", why);
    if (!backend) {
        hsi_log(HSCHED_LOG_INFO, "the GPU is not used: %s", why);
        return HSCHED_OK;
    }
    for (uint32_t i = 0; i < config->gpu_count && status == HSCHED_OK; i++)
        status = open_gpu(rt, config, backend, config->gpus[i]);
    if (config->gpu_count > 0)
        return status;
    status = open_gpu(rt, config, backend, 0);
    if (status == HSCHED_OK || asks_for_gpu(config))
        return status;
    hsi_log(HSCHED_LOG_WARNING, "the GPU is not used: %s", hsched_error_detail());
    return HSCHED_OK;
}

hsched_status hsi_runtime_open_devices(hsched_runtime *rt,
                                       const hsched_runtime_config *config)
{
    hsched_device_config device = {
        .struct_size = sizeof device,
        .host = &hsi_backend_host,
        .workers = rt->workers[0],
        .cpu_libraries = config->cpu_libraries,
        .reference = (config->flags & HSCHED_RUNTIME_REFERENCE) != 0,
        .keep_openblas_threads =
            (config->flags & HSCHED_RUNTIME_KEEP_OPENBLAS_THREADS) != 0,
        .cpu_tuning = config->cpu_tuning,
        .cache_dir = config->cache_dir,
    };
    if (config->sim_count > HSI_MAX_DEVICES - 1 ||
        (config->sim_count > 0 && !config->sims))
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "hsched_runtime_create: sim_count is %u; give an array of at most %d",
            config->sim_count, HSI_MAX_DEVICES - 1);
    hsched_status status = open_device(rt, &hsi_backend_cpu, &device);
    if (status == HSCHED_OK)
        status = open_gpus(rt, config);
    if (status == HSCHED_OK && config->sim_count > HSI_MAX_DEVICES - rt->device_count)
        status =
            hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                      "hsched_runtime_create: more than %d devices", HSI_MAX_DEVICES);
    /* The caller's structs may be of another size than ours. */
    const char *next = (const char *)config->sims;
    for (uint32_t i = 0; i < config->sim_count && status == HSCHED_OK; i++) {
        hsched_sim_config sim;
        status = hsi_config_read(next, &sim, sizeof sim, "hsched_sim_config");
        device.workers = 1;
        device.sim = &sim;
        if (status == HSCHED_OK)
            status = open_device(rt, &hsi_backend_sim, &device);
        size_t size = sizeof sim;
        if (status == HSCHED_OK)
            memcpy(&size, next, sizeof size); /* struct_size */
        next += size;
    }
    if (status == HSCHED_OK)
        status = check_names(rt);
    return status;
}

void hsi_runtime_close_devices(hsched_runtime *rt)
{
    while (rt->device_count > 0) {
        hsi_exec_device *d = &rt->devices[--rt->device_count];
        d->backend->device_close(d->handle);
    }
}

static hsched_status pin_as_told(hsched_runtime *rt, const hsched_runtime_config *config,
                                 uint32_t workers)
{
    for (uint32_t i = 0; i < workers; i++) {
        int cpu = config->cpus[i % config->cpu_count];
        if (cpu < 0 || cpu >= CPU_SETSIZE)
            return hsi_error(
                HSCHED_ERROR_INVALID_ARGUMENT,
                "hsched_runtime_create: cpus[%u] is %d; give numbers of CPUs from "
                "0 to %d",
                i % config->cpu_count, cpu, CPU_SETSIZE - 1);
        rt->cpus[i] = cpu;
    }
    return HSCHED_OK;
}

hsched_status hsi_runtime_choose_cpus(hsched_runtime *rt,
                                      const hsched_runtime_config *config)
{
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return hsi_error(HSCHED_ERROR_SYSTEM,
                         "hsched_runtime_create: the CPUs of this process are not known");
    uint32_t available = (uint32_t)CPU_COUNT(&allowed);
    uint32_t workers = config->cpu_workers;
    if (workers == 0)
        workers = config->cpus && config->cpu_count ? config->cpu_count : available;
    if (workers > 1024)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_runtime_create: cpu_workers is %u; at most 1024",
                         workers);
    rt->workers[0] = workers;
    rt->cpu_libraries = config->cpu_libraries;
    if ((config->cpus == NULL) != (config->cpu_count == 0))
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "hsched_runtime_create: cpus and cpu_count do not fit together; set "
            "both or neither");
    if (config->flags & HSCHED_RUNTIME_NO_PINNING)
        return HSCHED_OK;
    if (!config->cpus && workers > available)
        return HSCHED_OK;
    rt->cpus = HSI_NEW_ARRAY(int, workers);
    if (!rt->cpus)
        return hsi_out_of_memory("a runtime");
    if (config->cpus)
        return pin_as_told(rt, config, workers);
    int cpu = 0;
    for (uint32_t i = 0; i < workers; i++) {
        while (!CPU_ISSET((unsigned)cpu, &allowed))
            cpu++;
        rt->cpus[i] = cpu++;
    }
    return HSCHED_OK;
}

HSCHED_API uint32_t hsched_runtime_device_count(const hsched_runtime *rt)
{
    return rt ? rt->device_count : 0;
}

static hsched_status check_device(const hsched_runtime *rt, uint32_t index,
                                  const char *function)
{
    if (!rt)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT, "%s: runtime is NULL", function);
    if (index >= rt->device_count)
        return hsi_error(HSCHED_ERROR_NOT_FOUND,
                         "%s: there is no device %u; there are %u", function, index,
                         rt->device_count);
    return HSCHED_OK;
}

HSCHED_API hsched_status hsched_runtime_device_info(const hsched_runtime *rt,
                                                    uint32_t index,
                                                    hsched_device_info *info)
{
    hsched_status status = check_device(rt, index, "hsched_runtime_device_info");
    if (status != HSCHED_OK)
        return status;
    hsched_device_info filled = { HSCHED_DEVICE_INFO_INIT };
    rt->devices[index].backend->device_info(rt->devices[index].handle, &filled);
    filled.workers = rt->workers[index];
    pthread_mutex_lock(&rt->pool->lock);
    filled.lost = (rt->pool->lost_devices >> index & 1u) != 0;
    pthread_mutex_unlock(&rt->pool->lock);
    return hsi_info_write(info, &filled, sizeof filled, "hsched_device_info");
}

static void add_queue_stats(const hsi_exec_device *device, hsched_device_stats *filled)
{
    hsched_queue_stats stats = { .struct_size = sizeof stats };
    device->backend->queue_stats(device->handle, &stats);
    filled->memory_bytes = stats.memory_bytes;
    filled->memory_peak = stats.memory_peak;
    filled->allocations = stats.allocations;
    filled->tunings = stats.tunings;
    filled->captures = stats.captures;
    filled->graph_launches = stats.graph_launches;
    filled->direct_launches = stats.direct_launches;
    filled->evictions = stats.evictions;
    filled->staged_bytes = stats.staged_bytes;
}

HSCHED_API hsched_status hsched_runtime_get_device_stats(const hsched_runtime *rt,
                                                         uint32_t device,
                                                         hsched_device_stats *stats)
{
    hsched_status status = check_device(rt, device, "hsched_runtime_get_device_stats");
    if (status != HSCHED_OK)
        return status;
    hsched_device_stats filled = { HSCHED_DEVICE_STATS_INIT };
    uint64_t busy_ns = 0;
    pthread_mutex_lock(&rt->pool->lock);
    filled.load = hsi_core_load(rt->core, device);
    const hsi_queue *queue = rt->pool->queues[device];
    for (uint32_t i = 0; !queue && i < rt->workers[device]; i++) {
        const hsi_worker *w = &rt->pool->workers[rt->pool->first_worker[device] + i];
        filled.jobs += w->jobs;
        filled.steps += w->steps;
        filled.pauses += w->pauses;
        filled.long_segments += w->long_segments;
        busy_ns += w->busy_ns;
    }
    if (queue) {
        filled.jobs = queue->jobs;
        filled.steps = queue->steps;
        filled.pauses = queue->pauses;
        filled.long_segments = queue->long_segments;
        busy_ns = hsi_queue_busy_ns(queue, hsi_now_ns());
    }
    pthread_mutex_unlock(&rt->pool->lock);
    if (rt->devices[device].has_queue)
        add_queue_stats(&rt->devices[device], &filled);
    filled.busy_us = (double)busy_ns / 1000.0;
    return hsi_info_write(stats, &filled, sizeof filled, "hsched_device_stats");
}
