#include "runtime/tracing.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/status.h"
#include "base/sync.h"
#include "plan/describe.h"
#include "worker/tracing.h"

#define DEFAULT_EVENTS 65536u

/* ---- Models --------------------------------------------------------------- */

hsched_status hsi_tracing_describe(hsched_model *model)
{
    return hsi_plan_describe(model->plan, model->name, &model->exec.trace_model);
}

/* ---- Events --------------------------------------------------------------- */

static void put(hsched_runtime *rt, hsi_trace_event event)
{
    hsi_trace_put(hsi_trace_shared(rt->pool->trace), &event);
}

static hsi_trace_event event_of(hsched_run *run, hsi_trace_kind kind, uint64_t begin_ns)
{
    hsi_trace *trace = run->model->runtime->pool->trace;
    return (hsi_trace_event){
        .begin_ns = begin_ns,
        .model = hsi_trace_see(trace, run->exec.model->trace_model),
        .run = run->exec.core.sequence,
        .kind = (uint8_t)kind,
    };
}

static hsi_trace_event instant(hsched_run *run, hsi_trace_kind kind)
{
    return event_of(run, kind, hsi_now_ns());
}

void hsi_tracing_run_cancelled(hsched_run *run)
{
    if (!run->exec.core.cancel_requested)
        put(run->model->runtime, instant(run, HSI_TRACE_CANCEL));
}

static uint32_t at_most_32_bits(uint64_t us)
{
    return us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

static void record_run(hsched_run *run, uint64_t ended_us, uint8_t flags)
{
    const hsi_core_run *core = &run->exec.core;
    const uint64_t started_us = run->exec.started_us;
    hsi_trace_event event = event_of(run, HSI_TRACE_RUN, core->submitted_us * 1000);
    event.end_ns = ended_us * 1000;
    event.status = (int16_t)core->status;
    event.flags = flags | (core->missed ? HSI_TRACE_LATE : 0);
    event.restarts = (uint8_t)core->restarts;
    event.run_end.priority = core->priority;
    event.run_end.jobs = core->jobs_run;
    event.run_end.wait_us =
        started_us ? at_most_32_bits(started_us - core->submitted_us) : HSI_TRACE_NEVER;
    if (core->deadline_us) /* a source's run may be submitted after it; 0 would be none */
        event.run_end.deadline_us =
            core->deadline_us > core->submitted_us
                ? at_most_32_bits(core->deadline_us - core->submitted_us)
                : 1;
    put(run->model->runtime, event);
}

void hsi_tracing_run_ended(hsched_run *run)
{
    record_run(run, run->ended_us, 0);
}

/* Seldom: a device has failed or a deadline has passed, so all runs in flight are looked at. */
static void observe_runs(hsched_runtime *rt)
{
    for (hsched_run *run = rt->in_flight; run; run = run->next_in_flight) {
        const hsi_core_run *core = &run->exec.core;
        if (core->moved != run->exec.traced_moved) {
            hsi_trace_event event = instant(run, HSI_TRACE_MOVED);
            event.moved.jobs = core->moved - run->exec.traced_moved;
            put(rt, event);
        }
        if (core->restarts != run->exec.traced_restarts)
            put(rt, instant(run, HSI_TRACE_RESTARTED));
        if (core->missed != run->exec.traced_missed)
            put(rt, instant(run, HSI_TRACE_MISSED));
        run->exec.traced_moved = core->moved;
        run->exec.traced_restarts = core->restarts;
        run->exec.traced_missed = core->missed;
    }
}

/* What is known from now on. */
static void remember(hsched_runtime *rt, const hsi_core_stats *stats)
{
    rt->traced.incidents = hsi_core_incidents(rt->core);
    rt->traced.restarts = stats->restarts;
    rt->traced.moved = stats->jobs_moved;
    rt->traced.missed = stats->missed;
    rt->traced.replaced = stats->replaced;
}

static void observe_incidents(hsched_runtime *rt)
{
    hsi_core_stats stats;
    hsi_core_get_stats(rt->core, &stats);
    if (stats.restarts != rt->traced.restarts || stats.jobs_moved != rt->traced.moved ||
        stats.missed != rt->traced.missed)
        observe_runs(rt);
    if (stats.replaced != rt->traced.replaced)
        put(rt, (hsi_trace_event){
                    .begin_ns = hsi_now_ns(),
                    .kind = HSI_TRACE_REPLACED,
                    .replaced = { (uint32_t)(stats.replaced - rt->traced.replaced) } });
    remember(rt, &stats);
}

void hsi_tracing_observe(hsched_runtime *rt)
{
    const uint64_t event_ns = hsi_core_now_us(rt->core) * 1000;
    hsi_trace_count(rt->pool->trace, HSI_TRACE_ACTIVE, 0, hsi_core_active_runs(rt->core),
                    event_ns);
    for (uint32_t d = 0; d < rt->device_count; d++) {
        hsi_trace_queued(rt->pool, d, event_ns);
        hsi_trace_count(rt->pool->trace, HSI_TRACE_LOAD, d,
                        hsi_trace_percent(hsi_core_load(rt->core, d)), event_ns);
        if ((rt->pool->lost_devices & ~rt->traced.lost) >> d & 1u)
            put(rt, (hsi_trace_event){ .begin_ns = hsi_now_ns(),
                                       .kind = HSI_TRACE_LOST,
                                       .device = (uint8_t)d });
    }
    rt->traced.lost = rt->pool->lost_devices;
    if (hsi_core_incidents(rt->core) != rt->traced.incidents)
        observe_incidents(rt);
}

/* ---- Starting and stopping ------------------------------------------------ */

/* What there is when the trace begins is not told as news. */
static void take_stock(hsched_runtime *rt)
{
    hsi_core_stats stats;
    hsi_core_get_stats(rt->core, &stats);
    rt->traced.lost = rt->pool->lost_devices;
    remember(rt, &stats);
    for (hsched_run *run = rt->in_flight; run; run = run->next_in_flight) {
        run->exec.traced_moved = run->exec.core.moved;
        run->exec.traced_restarts = run->exec.core.restarts;
        run->exec.traced_missed = run->exec.core.missed;
    }
}

static hsched_status create(hsched_runtime *rt, const hsched_trace_config *config,
                            hsi_trace **trace)
{
    hsi_trace_device devices[HSI_MAX_DEVICES] = { 0 };
    for (uint32_t d = 0; d < rt->device_count; d++) {
        hsched_device_info info = { HSCHED_DEVICE_INFO_INIT };
        rt->devices[d].backend->device_info(rt->devices[d].handle, &info);
        devices[d] = (hsi_trace_device){ .name = info.name,
                                         .threads = rt->workers[d],
                                         .has_lanes = rt->devices[d].has_queue };
    }
    return hsi_trace_create(config->path,
                            config->events_per_thread ? config->events_per_thread
                                                      : DEFAULT_EVENTS,
                            devices, rt->device_count, trace);
}

/* 1: nobody else has a trace, and the caller has it now. */
static int reserve(hsched_runtime *rt)
{
    pthread_mutex_lock(&rt->pool->lock);
    const int is_free = !rt->traced.reserved;
    rt->traced.reserved = 1;
    pthread_mutex_unlock(&rt->pool->lock);
    return is_free;
}

static void unreserve(hsched_runtime *rt)
{
    pthread_mutex_lock(&rt->pool->lock);
    rt->traced.reserved = 0;
    pthread_mutex_unlock(&rt->pool->lock);
}

HSCHED_API hsched_status hsched_trace_start(hsched_runtime *rt,
                                            const hsched_trace_config *user_config)
{
    hsched_trace_config config;
    hsi_trace *trace;
    if (!rt)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_trace_start: runtime is NULL");
    hsched_status status = HSI_CONFIG_READ(user_config, &config);
    if (status != HSCHED_OK)
        return status;
    if (!config.path || !config.path[0])
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_trace_start: no path is given; set "
                         "hsched_trace_config.path to the file to be written");
    if (!reserve(rt))
        return hsi_error(HSCHED_ERROR_STATE,
                         "hsched_trace_start: the runtime has a trace already; stop it "
                         "with hsched_trace_stop first");
    status = create(rt, &config, &trace);
    if (status != HSCHED_OK) {
        unreserve(rt);
        return status;
    }
    pthread_mutex_lock(&rt->pool->lock);
    take_stock(rt);
    hsi_worker_pool_begin_trace(rt->pool, trace);
    hsi_tracing_observe(rt);
    pthread_mutex_unlock(&rt->pool->lock);
    return HSCHED_OK;
}

HSCHED_API hsched_status hsched_trace_stop(hsched_runtime *rt, hsched_trace_stats *stats)
{
    hsched_trace_stats filled;
    if (!rt)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_trace_stop: runtime is NULL");
    pthread_mutex_lock(&rt->pool->lock);
    if (!rt->pool->trace) {
        pthread_mutex_unlock(&rt->pool->lock);
        return hsi_error(HSCHED_ERROR_STATE,
                         "hsched_trace_stop: the runtime has no trace; start one with "
                         "hsched_trace_start first");
    }
    const uint64_t now_us = hsi_now_us();
    for (hsched_run *run = rt->in_flight; run; run = run->next_in_flight)
        if (!run->ended)
            record_run(run, now_us, HSI_TRACE_CUT_SHORT);
    hsi_trace *trace = hsi_worker_pool_end_trace(rt->pool);
    pthread_mutex_unlock(&rt->pool->lock);
    hsched_status status = hsi_trace_write(trace, &filled);
    hsi_trace_destroy(trace);
    unreserve(rt);
    if (!stats)
        return status;
    hsched_status written =
        hsi_info_write(stats, &filled, sizeof filled, "hsched_trace_stats");
    return status != HSCHED_OK ? status : written;
}

void hsi_tracing_close(hsched_runtime *rt)
{
    if (rt->pool->trace && hsched_trace_stop(rt, NULL) != HSCHED_OK)
        hsi_log(HSCHED_LOG_ERROR, "the trace of a runtime that ends: %s",
                hsched_error_detail());
}
