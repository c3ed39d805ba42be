/* Runs: submitting, waiting, cancelling, reading; pooled per model, so that a warm run
 * costs no heap. */
#include <string.h>

#include "backend/backend.h"
#include "base/alloc.h"
#include "base/status.h"
#include "base/sync.h"
#include "runtime/bind.h"
#include "runtime/imports.h"
#include "runtime/planner.h"
#include "runtime/tracing.h"
#include "runtime/runtime.h"
#include "worker/queue.h"

/* ---- The pool ------------------------------------------------------------- */

void hsi_run_destroy(hsched_run *run)
{
    pthread_cond_destroy(&run->ended_cond);
    hsi_free(run->exec.core.jobs);
    hsi_free(run->exec.inputs);
    hsi_free(run->exec.outputs);
    hsi_free(run->exec.section_done);
    hsi_free(run->exec.spent_ns);
    hsi_free(run->exec.owned);
    for (uint32_t i = 0; run->exec.shadows && i < run->io_count; i++)
        hsi_free(run->exec.shadows[i]);
    hsi_free(run->exec.shadows);
    hsi_free(run->imports);
    hsi_free(run->upstream);
    hsi_free(run->upstream_core);
    hsi_free(run->edges);
    if (run->kept_outputs.handle)
        run->mapper->backend->memory_destroy(run->mapper->handle, &run->kept_outputs);
    else
        hsi_free(run->kept_outputs.host);
    hsi_free(run);
}

static hsched_status create(hsched_model *model, hsched_run **result)
{
    const hsi_plan *plan = model->plan;
    hsched_run *run = HSI_NEW(hsched_run);
    if (!run)
        return hsi_out_of_memory("a run");
    hsched_status status = hsi_cond_init(&run->ended_cond);
    if (status != HSCHED_OK) {
        hsi_free(run);
        return status;
    }
    run->exec.core.jobs = HSI_NEW_ARRAY(hsi_job, plan->section_count);
    run->io_count = plan->input_count + plan->output_count;
    run->mapper = hsi_runtime_mapper(model->runtime);
    run->exec.inputs = HSI_NEW_ARRAY(hsched_memory, plan->input_count);
    run->exec.outputs = HSI_NEW_ARRAY(hsched_memory, plan->output_count);
    run->exec.owned = HSI_NEW_ARRAY(hsi_exec_owned, run->io_count);
    run->exec.shadows = HSI_NEW_ARRAY(void *, run->io_count);
    run->exec.section_done = HSI_NEW_ARRAY(uint8_t, plan->section_count);
    run->exec.spent_ns = HSI_NEW_ARRAY(uint64_t, plan->section_count);
    run->imports = HSI_NEW_ARRAY(hsched_buffer *, run->io_count);
    run->upstream = HSI_NEW_ARRAY(hsched_run *, plan->input_count);
    run->upstream_core = HSI_NEW_ARRAY(hsi_core_run *, plan->input_count);
    run->edges = HSI_NEW_ARRAY(hsi_core_edge, plan->input_count);
    if (!run->exec.core.jobs || !run->exec.owned || !run->exec.shadows ||
        !run->exec.inputs || !run->exec.outputs || !run->exec.section_done ||
        !run->exec.spent_ns || !run->imports || !run->upstream || !run->upstream_core ||
        !run->edges) {
        hsi_run_destroy(run);
        return hsi_out_of_memory("a run");
    }
    *result = run;
    return HSCHED_OK;
}

hsched_status hsi_run_acquire(hsched_model *model, hsched_run **result)
{
    pthread_mutex_lock(&model->run_mutex);
    hsched_run *run = model->free_runs;
    if (run)
        model->free_runs = run->next_free;
    pthread_mutex_unlock(&model->run_mutex);
    if (!run) {
        hsched_status status = create(model, &run);
        if (status != HSCHED_OK)
            return status;
    }
    /* A run keeps its model from being destroyed; a pooled one must not. */
    run->model = hsched_model_retain(model);
    run->exec.model = &model->exec;
    run->exec.core.model = &model->core;
    memset(run->exec.section_done, 0, model->plan->section_count);
    run->upstream_count = 0;
    run->ended = 0;
    run->ended_us = run->exec.started_us = 0;
    run->exec.restarts = run->exec.batch = 0;
    run->exec.traced_restarts = run->exec.traced_moved = 0;
    run->exec.traced_missed = 0;
    run->exec.device_bound = run->exec.shadowed = 0;
    run->exec.event_slot = NULL;
    run->exec.wait_event = NULL;
    run->exec.event_device = run->mapper;
    run->exec.probe = NULL;
    run->exec.core.priority = 0;
    run->exec.core.drop_late = 0;
    run->allowed_us = run->released_us = 0;
    run->replaced = 0;
    run->callback = NULL;
    run->detail[0] = '\0';
    atomic_store_explicit(&run->references, 1, memory_order_relaxed);
    *result = run;
    return HSCHED_OK;
}

void hsi_run_dispose(hsched_run *run)
{
    hsched_model *model = run->model;
    /* Only a run that was never submitted still has some. */
    for (uint32_t i = 0; i < run->upstream_count; i++)
        hsched_run_release(run->upstream[i]);
    run->upstream_count = 0;
    hsi_imports_release(run);
    pthread_mutex_lock(&model->run_mutex);
    run->next_free = model->free_runs;
    model->free_runs = run;
    pthread_mutex_unlock(&model->run_mutex);
    hsched_model_release(model);
}

/* ---- Submitting ----------------------------------------------------------- */

hsched_status hsi_run_check_order(const hsched_model *model, int priority,
                                  hsched_late late)
{
    if (priority < HSCHED_PRIORITY_MIN || priority > HSCHED_PRIORITY_MAX)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "model '%s': priority %d is not between %d and %d", model->name,
                         priority, HSCHED_PRIORITY_MIN, HSCHED_PRIORITY_MAX);
    if (late != HSCHED_LATE_FINISH && late != HSCHED_LATE_DROP)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "model '%s': late is %d, none of hsched_late", model->name,
                         (int)late);
    return HSCHED_OK;
}

static hsched_status check_config(const hsched_model *model,
                                  const hsched_run_config *config)
{
    hsched_status status = hsi_run_check_order(model, config->priority, config->late);
    if (status != HSCHED_OK)
        return status;
    if (config->wait_event && !hsi_runtime_mapper(model->runtime))
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "model '%s': wait_event is set, but this runtime has no GPU",
                         model->name);
    return HSCHED_OK;
}

/* Hands a bound run to the core. Under the scheduler lock. */
static hsched_status hand_over(hsched_run *run, uint64_t now_us)
{
    hsched_runtime *rt = run->model->runtime;
    for (uint32_t i = 0; i < run->upstream_count; i++)
        run->upstream_core[i] = &run->upstream[i]->exec.core;
    run->exec.core.deadline_us = 0;
    if (run->allowed_us &&
        __builtin_add_overflow(run->released_us ? run->released_us : now_us,
                               run->allowed_us, &run->exec.core.deadline_us))
        run->exec.core.deadline_us = UINT64_MAX;
    if (rt->stopping)
        return hsi_error(HSCHED_ERROR_STATE,
                         "model '%s': its runtime was destroyed; no run can be submitted",
                         run->model->name);
    if (rt->in_flight_count >= rt->max_runs)
        return hsi_error(HSCHED_ERROR_BUSY,
                         "model '%s': %llu runs are in flight, which is the most that "
                         "hsched_runtime_config.max_runs allows; wait for one to end",
                         run->model->name, (unsigned long long)rt->in_flight_count);
    hsched_status status = hsi_core_submit(rt->core, &run->exec.core, run->upstream_core,
                                           run->edges, run->upstream_count, now_us);
    if (status != HSCHED_OK)
        return status;
    atomic_store_explicit(&run->references, 2, memory_order_relaxed);
    rt->submitted++;
    hsi_controller_enlist(rt, run);
    return HSCHED_OK;
}

/* A run that is on the CPU alone: its caller, who waits, may execute it. */
static int stays_on_cpu(const hsched_run *run)
{
    return run->model->runtime->device_count == 1 ||
           run->model->core.policy == &hsi_policy_cpu_only;
}

static int has_ended(void *user)
{
    return ((const hsched_run *)user)->ended;
}

/* Submits, and executes what it can until the run has ended. */
static hsched_status submit_and_stand_in(hsched_run *run)
{
    hsched_runtime *rt = run->model->runtime;
    const int threads = hsi_backend_cpu_enter();
    pthread_mutex_lock(&rt->pool->lock);
    const uint64_t now = hsi_now_us();
    hsi_observe_refresh(rt, now);
    const hsched_status status = hand_over(run, now);
    hsi_controller_set_alarm(rt); /* for while it executes */
    if (status == HSCHED_OK)
        hsi_worker_pool_stand_in(rt->pool, has_ended, run);
    else
        hsi_worker_pool_after_events(rt->pool); /* loads may have moved runs */
    hsi_controller_set_alarm(rt);
    pthread_mutex_unlock(&rt->pool->lock);
    hsi_backend_cpu_leave(threads);
    return status;
}

hsched_status hsi_runs_submit(hsched_run *const *runs, uint32_t count,
                              uint32_t *submitted)
{
    hsched_runtime *rt = runs[0]->model->runtime;
    hsched_status status = HSCHED_OK;
    *submitted = 0;
    pthread_mutex_lock(&rt->pool->lock);
    /* Not before: the core would take a later event's time, and deadlines count from there. */
    const uint64_t now = hsi_now_us();
    hsi_observe_refresh(rt, now);
    while (*submitted < count && status == HSCHED_OK) {
        status = hand_over(runs[*submitted], now);
        *submitted += status == HSCHED_OK;
    }
    hsi_worker_pool_after_events(rt->pool); /* loads may have moved runs, too */
    hsi_controller_set_alarm(rt);
    pthread_mutex_unlock(&rt->pool->lock);
    return status;
}

hsched_status hsi_run_submit_instead(hsched_run *run, hsched_run *old, int both,
                                     int *replaced)
{
    hsched_runtime *rt = run->model->runtime;
    *replaced = 0;
    hsched_status status = hsi_imports_begin(run);
    if (status != HSCHED_OK)
        return status;
    pthread_mutex_lock(&rt->pool->lock);
    const uint64_t now = hsi_now_us();
    hsi_observe_refresh(rt, now);
    const int waits = old && hsi_core_waits(&old->exec.core);
    if (waits || both)
        status = hand_over(run, now);
    else
        status = hsi_error(HSCHED_ERROR_BUSY,
                           "model '%s': the run that was to be replaced has begun",
                           run->model->name);
    if (status == HSCHED_OK && waits) {
        *replaced = old->replaced = 1;
        if (rt->pool->trace)
            hsi_tracing_run_cancelled(old);
        hsi_core_cancel(rt->core, &old->exec.core, now);
    }
    hsi_worker_pool_after_events(rt->pool);
    hsi_controller_set_alarm(rt);
    pthread_mutex_unlock(&rt->pool->lock);
    return status;
}

int hsi_run_waits(hsched_run *run)
{
    pthread_mutex_t *lock = &run->model->runtime->pool->lock;
    pthread_mutex_lock(lock);
    const int waits = hsi_core_waits(&run->exec.core);
    pthread_mutex_unlock(lock);
    return waits;
}

hsched_status hsi_run_make(hsched_model *model, const hsched_run_config *config,
                           hsched_run **result)
{
    hsched_run *run;
    hsched_status status = check_config(model, config);
    if (status == HSCHED_OK)
        status = hsi_run_acquire(model, &run);
    if (status != HSCHED_OK)
        return status;
    status = hsi_bind_inputs(run, config->inputs, config->input_count);
    if (status == HSCHED_OK)
        status = hsi_bind_outputs(run, config->outputs, config->output_count);
    if (status != HSCHED_OK) {
        hsi_run_dispose(run);
        return status;
    }
    run->exec.core.priority = config->priority;
    run->exec.core.drop_late = config->late == HSCHED_LATE_DROP;
    run->allowed_us = config->deadline_us;
    run->exec.wait_event = config->wait_event;
    run->callback = config->callback;
    run->callback_user = config->callback_user;
    *result = run;
    return HSCHED_OK;
}

static hsched_status submit(hsched_model *model, const hsched_run_config *config,
                            int waits, hsched_run **result)
{
    hsched_run *run;
    uint32_t submitted;
    hsched_status status = hsi_run_make(model, config, &run);
    if (status != HSCHED_OK)
        return status;
    status = hsi_imports_begin(run);
    if (status == HSCHED_OK)
        status = waits && stays_on_cpu(run) ? submit_and_stand_in(run)
                                            : hsi_runs_submit(&run, 1, &submitted);
    if (status != HSCHED_OK) {
        hsi_run_dispose(run);
        return status;
    }
    *result = run;
    return HSCHED_OK;
}

HSCHED_API hsched_status hsched_submit(hsched_model *model,
                                       const hsched_run_config *user_config,
                                       hsched_run **result)
{
    hsched_run_config config;
    if (!model || !result)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_submit: model or run is NULL");
    *result = NULL;
    hsched_status status = HSI_CONFIG_READ(user_config, &config);
    return status == HSCHED_OK ? submit(model, &config, 0, result) : status;
}

HSCHED_API hsched_status hsched_infer(hsched_model *model, const hsched_binding *inputs,
                                      uint32_t input_count, const hsched_binding *outputs,
                                      uint32_t output_count)
{
    hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = inputs,
                                 .input_count = input_count, .outputs = outputs,
                                 .output_count = output_count };
    hsched_run *run;
    if (!model)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT, "hsched_infer: model is NULL");
    hsched_status status = submit(model, &config, 1, &run);
    if (status != HSCHED_OK)
        return status;
    status = hsched_run_wait(run, HSCHED_FOREVER);
    hsched_run_release(run);
    return status;
}

/* ---- Using a run ---------------------------------------------------------- */

/* A queue that has something to do and nobody who looks after it, if the run may be in one. Runs
 * that cross to the CPU are better looked after by a worker, who then goes on with them. */
static hsi_queue *queue_to_attend(const hsched_run *run)
{
    const hsched_runtime *rt = run->model->runtime;
    if (!run->model->exec.mapper || run->model->exec.crosses ||
        run->exec.core.restarts > 0 || (run->model->exec.floats && !run->exec.event_slot))
        return NULL;
    for (uint32_t d = 1; d < rt->device_count; d++)
        if (rt->pool->queues[d] && hsi_queue_needs_attention(rt->pool->queues[d]))
            return rt->pool->queues[d];
    return NULL;
}

/* Who waits submits nothing more that runs of his could be placed together with. Under the lock. */
static void place_gathered(const hsched_run *run)
{
    const hsched_runtime *rt = run->model->runtime;
    if (run->ended || !hsi_core_gathers(rt->core))
        return;
    hsi_core_place_gathered(rt->core, hsi_now_us());
    hsi_worker_pool_after_events(rt->pool);
}

HSCHED_API hsched_status hsched_run_wait(hsched_run *run, uint64_t timeout_us)
{
    if (!run)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT, "hsched_run_wait: run is NULL");
    pthread_mutex_t *lock = &run->model->runtime->pool->lock;
    uint64_t deadline = UINT64_MAX;
    if (timeout_us != HSCHED_FOREVER &&
        __builtin_add_overflow(hsi_now_us(), timeout_us, &deadline))
        deadline = UINT64_MAX;
    hsched_status status = HSCHED_OK;
    pthread_mutex_lock(lock);
    place_gathered(run);
    while (!run->ended && status == HSCHED_OK) {
        hsi_queue *queue = queue_to_attend(run);
        if (queue) {
            hsi_queue_attend(queue, NULL, has_ended, run, deadline);
            if (!run->ended && deadline != UINT64_MAX && hsi_now_us() >= deadline)
                status = HSCHED_ERROR_TIMEOUT;
        } else if (hsi_cond_wait_until(&run->ended_cond, lock, deadline) != 0 &&
                   !run->ended) {
            status = HSCHED_ERROR_TIMEOUT;
        }
    }
    if (run->ended) {
        status = run->exec.core.status;
        if (status != HSCHED_OK)
            hsi_error_set_detail(run->detail);
    }
    pthread_mutex_unlock(lock);
    if (status == HSCHED_ERROR_TIMEOUT)
        hsi_error(status, "model '%s': the run has not ended after %llu us; it goes on",
                  run->model->name, (unsigned long long)timeout_us);
    return status;
}

HSCHED_API int hsched_run_poll(hsched_run *run)
{
    if (!run)
        return 0;
    pthread_mutex_t *lock = &run->model->runtime->pool->lock;
    pthread_mutex_lock(lock);
    place_gathered(run);
    int ended = run->ended;
    pthread_mutex_unlock(lock);
    return ended;
}

HSCHED_API void hsched_run_cancel(hsched_run *run)
{
    if (!run)
        return;
    hsched_runtime *rt = run->model->runtime;
    pthread_mutex_lock(&rt->pool->lock);
    if (!run->ended) {
        if (rt->pool->trace)
            hsi_tracing_run_cancelled(run);
        hsi_core_cancel(rt->core, &run->exec.core, hsi_now_us());
        hsi_worker_pool_after_events(rt->pool);
    }
    pthread_mutex_unlock(&rt->pool->lock);
}

HSCHED_API hsched_status hsched_run_output(hsched_run *run, uint32_t index,
                                           const void **data, size_t *size)
{
    if (!run || !data)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_run_output: run or data is NULL");
    *data = NULL;
    if (size)
        *size = 0;
    const hsi_plan *plan = run->model->plan;
    if (index >= plan->output_count)
        return hsi_error(
            HSCHED_ERROR_NOT_FOUND,
            "hsched_run_output: model '%s' has %u outputs, there is no number %u",
            run->model->name, plan->output_count, index);
    pthread_mutex_t *lock = &run->model->runtime->pool->lock;
    pthread_mutex_lock(lock);
    int ended_well = run->ended && run->exec.core.status == HSCHED_OK;
    pthread_mutex_unlock(lock);
    if (!ended_well)
        return hsi_error(
            HSCHED_ERROR_STATE,
            "hsched_run_output: model '%s': the run has not ended well; wait for "
            "it and look at its status first",
            run->model->name);
    if (run->exec.owned[plan->input_count + index].device)
        return hsi_error(
            HSCHED_ERROR_UNSUPPORTED,
            "hsched_run_output: model '%s': output %u was bound to memory of a "
            "device, which the CPU cannot address",
            run->model->name, index);
    *data = run->exec.outputs[index].host;
    if (size)
        *size = plan->outputs[index].byte_size;
    return HSCHED_OK;
}

HSCHED_API hsched_status hsched_run_get_event(hsched_run *run, void **event)
{
    if (!run || !event)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_run_get_event: run or event is NULL");
    *event = NULL;
    pthread_mutex_t *lock = &run->model->runtime->pool->lock;
    if (!run->model->exec.mapper || run->model->exec.crosses)
        return hsi_error(
            HSCHED_ERROR_UNSUPPORTED,
            "hsched_run_get_event: some layers of model '%s' run on the CPU; "
            "wait for the run instead",
            run->model->name);
    pthread_mutex_lock(lock);
    place_gathered(run);
    while (!run->ended && !run->exec.event_slot)
        pthread_cond_wait(&run->ended_cond, lock);
    /* Of a run that starts again on the CPU the event of its lost job tells nothing. */
    hsched_backend_slot *slot = run->exec.core.restarts ? NULL : run->exec.event_slot;
    const hsched_backend *backend = run->exec.event_backend;
    int failed = run->ended && run->exec.core.status != HSCHED_OK;
    pthread_mutex_unlock(lock);
    if (failed || !slot)
        return hsi_error(failed ? HSCHED_ERROR_STATE : HSCHED_ERROR_UNSUPPORTED,
                         "hsched_run_get_event: model '%s': %s", run->model->name,
                         failed ? "the run ended in failure" : "the run went to the CPU");
    *event = backend->queue_event(slot);
    return *event ? HSCHED_OK
                  : hsi_error(HSCHED_ERROR_DEVICE,
                              "hsched_run_get_event: no event could be recorded");
}

HSCHED_API hsched_status hsched_run_get_times(hsched_run *run, hsched_run_times *times)
{
    if (!run)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_run_get_times: run is NULL");
    pthread_mutex_t *lock = &run->model->runtime->pool->lock;
    pthread_mutex_lock(lock);
    hsched_run_times filled = { HSCHED_RUN_TIMES_INIT,
                                .deadline_us = run->exec.core.deadline_us,
                                .submitted_us = run->exec.core.submitted_us,
                                .started_us = run->exec.started_us,
                                .ended_us = run->ended_us,
                                .jobs = run->exec.core.jobs_run,
                                .crossings = run->exec.core.crossings,
                                .batch = run->exec.batch ? run->exec.batch : 1,
                                .devices = run->exec.core.executed_on };
    pthread_mutex_unlock(lock);
    return hsi_info_write(times, &filled, sizeof filled, "hsched_run_times");
}

HSCHED_API hsched_run *hsched_run_retain(hsched_run *run)
{
    if (run)
        atomic_fetch_add_explicit(&run->references, 1, memory_order_relaxed);
    return run;
}

HSCHED_API void hsched_run_release(hsched_run *run)
{
    /* acq_rel: whoever reuses the run sees all that the other holders did. */
    if (run && atomic_fetch_sub_explicit(&run->references, 1, memory_order_acq_rel) == 1)
        hsi_run_dispose(run);
}
