/*
 * The controller: it looks after runs that end and calls the user back. The dependency
 * check itself is the core's; whoever brings an event (a submitting thread, a worker)
 * holds the scheduler lock and acts as the controller for that moment. The thread does
 * what must not happen under the lock or on a worker: completion callbacks, ending accesses
 * to dma-bufs, and giving back runs whose last reference went with their end.
 */
#include <stdio.h>
#include <sys/prctl.h>

#include "base/log.h"
#include "base/status.h"
#include "base/sync.h"
#include "runtime/imports.h"
#include "runtime/tracing.h"

#define TIMER_SLACK_NS 1000UL /* runs are gathered for tens of microseconds */

static void hand_to_controller(hsched_runtime *rt, hsched_run *run)
{
    run->next_ended = NULL;
    if (rt->ended_last)
        rt->ended_last->next_ended = run;
    else
        rt->ended_first = run;
    rt->ended_last = run;
    pthread_cond_signal(&rt->controller_wake);
}

/* Under the lock: drops a reference; if it was the last, the controller disposes of the
 * run. */
static void drop_reference(hsched_runtime *rt, hsched_run *run)
{
    if (atomic_fetch_sub_explicit(&run->references, 1, memory_order_acq_rel) == 1)
        hand_to_controller(rt, run);
}

void hsi_controller_enlist(hsched_runtime *rt, hsched_run *run)
{
    run->previous_in_flight = NULL;
    run->next_in_flight = rt->in_flight;
    if (rt->in_flight)
        rt->in_flight->previous_in_flight = run;
    rt->in_flight = run;
    if (rt->in_flight_count++ == 0)
        hsi_background_set_active(rt, 1);
}

static void delist(hsched_runtime *rt, hsched_run *run)
{
    if (run->previous_in_flight)
        run->previous_in_flight->next_in_flight = run->next_in_flight;
    else
        rt->in_flight = run->next_in_flight;
    if (run->next_in_flight)
        run->next_in_flight->previous_in_flight = run->previous_in_flight;
    if (--rt->in_flight_count > 0)
        return;
    pthread_cond_broadcast(&rt->quiet);
    hsi_background_set_active(rt, 0);
}

static void count_end(hsched_runtime *rt, hsched_run *run, hsched_status status)
{
    hsched_model *model = run->model;
    model->missed += run->exec.core.missed;
    if (status == HSCHED_OK) {
        rt->succeeded++;
        hsi_histogram_add(&model->latency, run->ended_us - run->exec.core.submitted_us);
    } else if (status == HSCHED_ERROR_CANCELLED) {
        rt->cancelled++;
        model->cancelled++;
    } else if (status == HSCHED_ERROR_DEADLINE) {
        model->dropped++; /* the core counts all of them, and misses */
    } else {
        rt->failed++;
        model->failed++;
    }
}

/* The run's end becomes known. */
static void announce_end(hsched_runtime *rt, hsched_run *run)
{
    hsched_status status = run->exec.core.status;
    run->ended_us = hsi_now_us();
    run->ended = 1;
    /* A failure may have come after the cancel that the run ends with. */
    if (status == HSCHED_ERROR_CANCELLED || status == HSCHED_ERROR_DEADLINE ||
        (status != HSCHED_OK && run->detail[0] == '\0'))
        snprintf(run->detail, sizeof run->detail, "model '%s': %s", run->model->name,
                 hsched_status_text(status));
    count_end(rt, run, status);
    if (rt->pool->trace)
        hsi_tracing_run_ended(run);
    for (uint32_t i = 0; i < run->upstream_count; i++)
        drop_reference(rt, run->upstream[i]);
    run->upstream_count = 0;
    pthread_cond_broadcast(&run->ended_cond);
    if (run->callback) {
        hand_to_controller(rt, run); /* which keeps the in-flight reference until then */
    } else {
        delist(rt, run);
        drop_reference(rt, run);
    }
}

/* Dma-bufs are given up first: who has waited for the run may pass them on to a device. */
static void end_run(hsched_runtime *rt, hsched_run *run)
{
    hsi_exec_release_slot(&run->exec);
    if (run->accessing)
        hand_to_controller(rt, run);
    else
        announce_end(rt, run);
}

void hsi_controller_after_events(void *runtime)
{
    hsched_runtime *rt = runtime;
    hsi_core_run *core_run;
    if (rt->pool->trace)
        hsi_tracing_observe(rt);
    while ((core_run = hsi_core_next_ended(rt->core)) != NULL)
        end_run(rt, (hsched_run *)core_run);
    if (rt->power.cap_watts > 0) /* what is kept back may now begin at another time */
        hsi_controller_set_alarm(rt);
}

void hsi_controller_run_failed(void *runtime, hsi_core_run *core_run, const char *detail)
{
    (void)runtime;
    hsched_run *run = (hsched_run *)core_run;
    if (run->detail[0] == '\0')
        snprintf(run->detail, sizeof run->detail, "%s", detail);
}

void hsi_controller_device_failed(void *runtime, uint32_t device, const char *detail)
{
    hsched_runtime *rt = runtime;
    hsched_device_info info = { HSCHED_DEVICE_INFO_INIT };
    rt->devices[device].backend->device_info(rt->devices[device].handle, &info);
    hsi_log(HSCHED_LOG_WARNING,
            "device '%s' failed and is out of use; its jobs go to the CPU (%s)",
            info.name, detail);
}

/* Wakes who waits for the run's event. */
void hsi_controller_started(void *runtime, hsi_job *const *jobs, uint32_t count)
{
    (void)runtime;
    for (uint32_t i = 0; i < count; i++)
        pthread_cond_broadcast(&((hsched_run *)jobs[i]->run)->ended_cond);
}

static void call_back(hsched_runtime *rt, hsched_run *run)
{
    hsched_run_callback callback = run->callback;
    run->callback = NULL;
    pthread_mutex_unlock(&rt->pool->lock);
    callback(run->callback_user, run, run->exec.core.status);
    pthread_mutex_lock(&rt->pool->lock);
    delist(rt, run);
    drop_reference(rt, run);
}

static void end_accesses(hsched_runtime *rt, hsched_run *run)
{
    pthread_mutex_unlock(&rt->pool->lock);
    hsi_imports_end(run);
    pthread_mutex_lock(&rt->pool->lock);
    announce_end(rt, run);
}

/* Nothing to dispose of: sleeps until there is, or until a deadline has passed or jobs may begin
 * that the power cap has kept back. */
static void watch_times(hsched_runtime *rt)
{
    const uint64_t due = hsi_core_next_tick(rt->core), now = hsi_now_us();
    if (due <= now) {
        hsi_core_tick(rt->core, now);
        hsi_worker_pool_after_events(rt->pool);
        return;
    }
    rt->controller_alarm_us = due;
    if (due == UINT64_MAX)
        pthread_cond_wait(&rt->controller_wake, &rt->pool->lock);
    else
        hsi_cond_wait_until(&rt->controller_wake, &rt->pool->lock, due);
    rt->controller_alarm_us = 0;
}

void hsi_controller_set_alarm(hsched_runtime *rt)
{
    if (hsi_core_next_tick(rt->core) < rt->controller_alarm_us)
        pthread_cond_signal(&rt->controller_wake);
}

static void *controller_main(void *argument)
{
    hsched_runtime *rt = argument;
    pthread_setname_np(pthread_self(), "hsched-control");
    prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS); /* of this thread alone */
    pthread_mutex_lock(&rt->pool->lock);
    for (;;) {
        hsched_run *run = rt->ended_first;
        if (!run) {
            if (rt->controller_stop)
                break;
            watch_times(rt);
            continue;
        }
        rt->ended_first = run->next_ended;
        if (!rt->ended_first)
            rt->ended_last = NULL;
        if (run->accessing) {
            end_accesses(rt, run);
        } else if (run->callback) {
            call_back(rt, run);
        } else {
            pthread_mutex_unlock(&rt->pool->lock);
            hsi_run_dispose(run);
            pthread_mutex_lock(&rt->pool->lock);
        }
    }
    pthread_mutex_unlock(&rt->pool->lock);
    return NULL;
}

hsched_status hsi_controller_start(hsched_runtime *rt)
{
    if (pthread_create(&rt->controller, NULL, controller_main, rt) != 0)
        return hsi_error(HSCHED_ERROR_SYSTEM,
                         "the controller thread could not be started; "
                         "check the limit on threads");
    rt->controller_started = 1;
    return HSCHED_OK;
}

void hsi_controller_stop(hsched_runtime *rt)
{
    if (!rt->controller_started)
        return;
    pthread_mutex_lock(&rt->pool->lock);
    rt->controller_stop = 1;
    pthread_cond_signal(&rt->controller_wake);
    pthread_mutex_unlock(&rt->pool->lock);
    pthread_join(rt->controller, NULL);
    rt->controller_started = 0;
}
