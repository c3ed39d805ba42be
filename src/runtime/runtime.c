/* Making and ending a runtime, its statistics, and buffers made for it. */
#include "base/alloc.h"
#include "base/status.h"
#include "base/sync.h"
#include "buffer/buffer.h"
#include "runtime/meters.h"
#include "runtime/planner.h"
#include "runtime/tracing.h"
#include "worker/queue.h"

#define DEFAULT_AGEING_US 200000u
#define DEFAULT_MAX_RUNS  131072u

/* Joining runs on a device with a queue: two batches of a model keep it busier than one (one
 * begins while the other ends), more only share it. An application that submits several runs
 * one after the other takes a few microseconds for each. docs/benchmarks.md has figures. */
#define BATCHES_AT_ONCE 2
#define JOIN_GAP_US     10
#define JOIN_MOST_US    100

/* An application waits so much longer, at most, for the first of runs that it submits together. */
#define GATHER_SHARE 0.05

/* A third of what a GPU takes for a network of ImageNet's size; a cut costs some 10 us there, while
 * other lanes go on. */
#define DEFAULT_MAX_SEGMENT_US 500

void hsi_runtime_retain(hsched_runtime *rt)
{
    atomic_fetch_add_explicit(&rt->references, 1, memory_order_relaxed);
}

/* The last reference may go long after hsched_runtime_destroy: no thread of ours exists
 * then. */
void hsi_runtime_release(hsched_runtime *rt)
{
    if (atomic_fetch_sub_explicit(&rt->references, 1, memory_order_acq_rel) != 1)
        return;
    hsi_sources_destroy(rt);
    hsi_costs_destroy(rt);
    hsi_meters_close(rt);
    hsi_runtime_close_devices(rt);
    hsi_core_destroy(rt->core);
    hsi_worker_pool_free(rt->pool);
    pthread_cond_destroy(&rt->controller_wake);
    pthread_cond_destroy(&rt->quiet);
    hsi_free(rt->cpus);
    hsi_free(rt->plugin_name);
    hsi_free(rt);
}

void hsi_runtime_core_config(const hsched_runtime *rt, hsi_core_config *result)
{
    hsi_core_config config = { .device_count = rt->device_count,
                               .order = rt->plugin.hooks.order ? hsi_policy_plugin_order
                                                               : NULL,
                               .order_user = (void *)&rt->plugin,
                               .power_cap_watts = rt->power.cap_watts,
                               .ageing_us = rt->ageing_us,
                               .gather_share = GATHER_SHARE,
                               .max_segment_us = rt->max_segment_us };
    uint32_t workers = 0, joinable = 0;
    for (uint32_t d = 0; d < rt->device_count; d++) {
        workers += rt->workers[d];
        /* A job of the CPU is a section, the end of which is its preemption point; one of an
         * accelerator is as long as it can be, and pauses between sections where it must. */
        int queue = rt->devices[d].has_queue;
        config.devices[d] = (hsi_core_device){
            .workers = rt->workers[d],
            .max_sections_per_job = d == 0  ? 1
                                    : queue ? UINT32_MAX
                                            : 8,
            .max_batch = queue ? HSI_QUEUE_BATCH : 1,
            .own_memory = queue,
            .max_batches = BATCHES_AT_ONCE,
            .join_gap_us = JOIN_GAP_US,
            .join_most_us = JOIN_MOST_US,
            .strict = 1,
            .reserved = queue && rt->workers[d] > 1,
            .watts = rt->power.watts[d],
            .idle_watts = rt->power.idle_watts[d],
        };
        joinable += queue ? HSI_QUEUE_BATCH : 0;
    }
    /* Enough runs to keep every worker busy while others wait on another device, and to be
     * joined where that is possible. */
    config.active_limit = 2 * workers + 2 + joinable;
    *result = config;
}

static hsched_status create_core(hsched_runtime *rt)
{
    hsi_core_config config;
    hsi_runtime_core_config(rt, &config);
    return hsi_core_create(&config, &rt->core);
}

static hsched_status create_pool(hsched_runtime *rt)
{
    hsi_worker_pool_config config = {
        .device_count = rt->device_count,
        .devices = rt->devices,
        .workers = rt->workers,
        .cpus = rt->cpus,
        .core = rt->core,
        .after_events = hsi_controller_after_events,
        .device_failed = hsi_controller_device_failed,
        .run_failed = hsi_controller_run_failed,
        .started = hsi_controller_started,
        .ended = hsi_observe_job,
        .background = hsi_background_poke,
        .user = rt,
    };
    return hsi_worker_pool_create(&config, &rt->pool);
}

static hsched_status check_config(const hsched_runtime_config *config)
{
    const uint32_t known =
        HSCHED_RUNTIME_NO_PINNING | HSCHED_RUNTIME_KEEP_OPENBLAS_THREADS |
        HSCHED_RUNTIME_REFERENCE | HSCHED_RUNTIME_NO_GPU | HSCHED_RUNTIME_NO_GRAPHS;
    if (config->flags & ~known)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_runtime_create: flags 0x%x has bits that are not "
                         "HSCHED_RUNTIME_...",
                         config->flags);
    return HSCHED_OK;
}

static void choose_defaults(hsched_runtime *rt, const hsched_runtime_config *config)
{
    rt->policy = rt->steady_policy = config->policy;
    if (config->policy != HSCHED_POLICY_DEFAULT)
        return;
    rt->policy = rt->steady_policy =
        config->policy_plugin ? HSCHED_POLICY_PLUGIN : HSCHED_POLICY_CPU_ONLY;
    if (!config->policy_plugin && hsi_runtime_mapper(rt)) {
        rt->policy = HSCHED_POLICY_COST;
        rt->steady_policy = HSCHED_POLICY_GPU_ONLY;
    }
}

/* After the devices are known. */
static hsched_status set_policy(hsched_runtime *rt, const hsched_runtime_config *config)
{
    hsched_policy_plugin hooks = { 0 };
    hsched_device_kind kinds[HSI_MAX_DEVICES];
    hsched_status status = HSCHED_OK;
    if (config->policy_plugin)
        status = HSI_CONFIG_READ(config->policy_plugin, &hooks);
    if (status != HSCHED_OK)
        return status;
    if (config->policy_plugin && !hooks.place)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_policy_plugin: place is NULL, and it is required");
    rt->plugin_name = hsi_strdup(hooks.name ? hooks.name : "plugin");
    if (!rt->plugin_name)
        return hsi_out_of_memory("a policy");
    hooks.name = rt->plugin_name;
    for (uint32_t d = 0; d < rt->device_count; d++) {
        hsched_device_info info = { HSCHED_DEVICE_INFO_INIT };
        rt->devices[d].backend->device_info(rt->devices[d].handle, &info);
        kinds[d] = info.kind;
    }
    hsi_policy_plugin_init(&rt->plugin, &hooks, kinds, rt->device_count);
    choose_defaults(rt, config);
    return hsi_model_check_policy(rt, config->policy);
}

HSCHED_API hsched_status hsched_runtime_create(const hsched_runtime_config *user_config,
                                               hsched_runtime **runtime)
{
    hsched_runtime_config config;
    if (!runtime)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_runtime_create: runtime is NULL");
    *runtime = NULL;
    hsched_status status = HSI_CONFIG_READ(user_config, &config);
    if (status == HSCHED_OK)
        status = check_config(&config);
    if (status != HSCHED_OK)
        return status;

    hsched_runtime *rt = HSI_NEW(hsched_runtime);
    if (!rt)
        return hsi_out_of_memory("a runtime");
    atomic_init(&rt->references, 1);
    status = hsi_cond_init(&rt->controller_wake);
    if (status != HSCHED_OK) {
        hsi_free(rt);
        return status;
    }
    status = hsi_cond_init(&rt->quiet);
    if (status != HSCHED_OK) {
        pthread_cond_destroy(&rt->controller_wake);
        hsi_free(rt);
        return status;
    }
    status = hsi_runtime_choose_cpus(rt, &config);
    if (status == HSCHED_OK)
        status = hsi_runtime_open_devices(rt, &config);
    if (status == HSCHED_OK)
        status = hsi_meters_open(rt);
    if (status == HSCHED_OK)
        status = set_policy(rt, &config);
    rt->ageing_us = config.ageing_us ? config.ageing_us : DEFAULT_AGEING_US;
    rt->max_segment_us = config.max_segment_us == HSCHED_NEVER ? 0
                         : config.max_segment_us               ? config.max_segment_us
                                                               : DEFAULT_MAX_SEGMENT_US;
    rt->max_runs = config.max_runs ? config.max_runs : DEFAULT_MAX_RUNS;
    if (status == HSCHED_OK)
        status = hsi_costs_create(rt, &config);
    if (status == HSCHED_OK)
        status = hsi_power_create(rt, &config);
    if (status == HSCHED_OK)
        status = hsi_sources_create(rt);
    if (status == HSCHED_OK)
        status = create_core(rt);
    if (status == HSCHED_OK)
        status = create_pool(rt);
    if (status == HSCHED_OK)
        status = hsi_controller_start(rt);
    if (status == HSCHED_OK)
        status = hsi_background_start(rt);
    if (status != HSCHED_OK) {
        hsi_controller_stop(rt);
        if (rt->pool)
            hsi_worker_pool_stop(rt->pool);
        hsi_runtime_release(rt);
        return status;
    }
    *runtime = rt;
    return HSCHED_OK;
}

HSCHED_API void hsched_runtime_destroy(hsched_runtime *rt)
{
    if (!rt)
        return;
    hsi_sources_stop(rt);
    pthread_mutex_lock(&rt->pool->lock);
    rt->stopping = 1;
    uint64_t now = hsi_now_us();
    for (hsched_run *run = rt->in_flight; run; run = run->next_in_flight) {
        if (rt->pool->trace && !run->ended)
            hsi_tracing_run_cancelled(run);
        hsi_core_cancel(rt->core, &run->exec.core, now);
    }
    hsi_worker_pool_after_events(rt->pool);
    while (rt->in_flight_count > 0)
        pthread_cond_wait(&rt->quiet, &rt->pool->lock);
    pthread_mutex_unlock(&rt->pool->lock);
    hsi_background_stop(rt);
    hsi_controller_stop(rt);
    hsi_worker_pool_stop(rt->pool);
    hsi_tracing_close(rt);
    hsi_runtime_release(rt);
}

HSCHED_API hsched_status hsched_runtime_get_stats(const hsched_runtime *rt,
                                                  hsched_runtime_stats *stats)
{
    if (!rt)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_runtime_get_stats: runtime is NULL");
    hsi_core_stats core;
    pthread_mutex_lock(&rt->pool->lock);
    hsi_core_get_stats(rt->core, &core);
    uint64_t runs_joined = 0;
    for (uint32_t d = 0; d < rt->device_count; d++)
        runs_joined += (rt->pool->queues[d] ? rt->pool->queues[d]->runs_joined : 0);
    hsched_runtime_stats filled = {
        HSCHED_RUNTIME_STATS_INIT,
        .runs_submitted = rt->submitted,
        .runs_succeeded = rt->succeeded,
        .runs_failed = rt->failed,
        .runs_cancelled = rt->cancelled,
        .deadline_misses = core.missed,
        .runs_dropped = core.dropped,
        .invalid_placements = core.invalid_placements,
        .jobs = core.jobs,
        .crossings = core.crossings,
        .jobs_moved = core.jobs_moved,
        .allocations = hsi_alloc_count(),
        .bytes_in_use = hsi_alloc_bytes(),
        .runs_restarted = core.restarts,
        .runs_joined = runs_joined,
        .runs_replaced = core.replaced,
        .runs_gathered = core.gathered,
    };
    pthread_mutex_unlock(&rt->pool->lock);
    return hsi_info_write(stats, &filled, sizeof filled, "hsched_runtime_stats");
}
