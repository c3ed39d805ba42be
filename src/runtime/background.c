/*
 * Background work: of devices with queues, capturing graphs and choosing kernels; and planning
 * models anew. One thread of low priority; it sleeps when there is none.
 */
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/status.h"
#include "base/sync.h"
#include "runtime/meters.h"
#include "runtime/planner.h"

enum {
    AFTERWARDS_US = 2000000 /* meters are read for so long after the last run */
};

/* One round over the devices. 1 if any did something. */
static int work(hsched_runtime *rt)
{
    int any = 0;
    for (uint32_t i = 0; i < rt->device_count; i++) {
        const hsi_exec_device *d = &rt->devices[i];
        int did = 0;
        if (!d->has_queue)
            continue;
        if (d->backend->background(d->handle, &did) != HSCHED_OK)
            hsi_log(HSCHED_LOG_WARNING, "background work for the GPU failed: %s",
                    hsched_error_detail());
        any |= did;
    }
    return any ||
           hsi_planner_work(rt); /* runs wait for graphs, and for plans they do not */
}

/* Under the mutex. Meters are not read until there is work. */
static int meters_rest(const hsched_runtime *rt)
{
    return !hsi_meters_any(rt) ||
           (!rt->background.active &&
            rt->background.metered_us >= rt->background.active_until_us);
}

/* Under the mutex. When meters are to be read next; UINT64_MAX: not until there is work. */
static uint64_t next_metering_us(const hsched_runtime *rt, uint64_t period_us)
{
    return meters_rest(rt) ? UINT64_MAX : rt->background.metered_us + period_us;
}

/* Under the mutex, given up meanwhile: reads meters if that is due, else sleeps until it is, or
 * until there is something to do. */
static void meter_or_wait(hsched_runtime *rt)
{
    pthread_mutex_unlock(&rt->background.mutex);
    const uint64_t period_us = hsi_meters_any(rt) ? hsi_meters_period_us(rt) : 0;
    pthread_mutex_lock(&rt->background.mutex);
    const uint64_t due = next_metering_us(rt, period_us), now = hsi_now_us();
    if (rt->background.poked || rt->background.stop)
        return;
    if (due == UINT64_MAX) {
        pthread_cond_wait(&rt->background.wake, &rt->background.mutex);
    } else if (due > now) {
        hsi_cond_wait_until(&rt->background.wake, &rt->background.mutex, due);
    } else {
        rt->background.metered_us = now;
        pthread_mutex_unlock(&rt->background.mutex);
        hsi_meters_work(rt);
        pthread_mutex_lock(&rt->background.mutex);
    }
}

/* Under the scheduler lock. The thread is not woken for each of many short runs: only if it may
 * sleep for good, since else it wakes by itself when it is time to read meters again. */
void hsi_background_set_active(hsched_runtime *rt, int active)
{
    if (!rt->background.started || !hsi_meters_any(rt))
        return;
    const uint64_t now = hsi_now_us();
    pthread_mutex_lock(&rt->background.mutex);
    const int rested = meters_rest(rt);
    rt->background.active = active;
    rt->background.active_until_us = now + AFTERWARDS_US;
    if (rested)
        pthread_cond_signal(&rt->background.wake);
    pthread_mutex_unlock(&rt->background.mutex);
}

static void *background_main(void *argument)
{
    hsched_runtime *rt = argument;
    prctl(PR_SET_NAME, "hsched-tune");
    setpriority(PRIO_PROCESS, (id_t)gettid(), 10); /* Linux: of this thread alone */
    pthread_mutex_lock(&rt->background.mutex);
    while (!rt->background.stop) {
        if (!rt->background.poked) {
            rt->background.working = 0;
            pthread_cond_broadcast(&rt->background.idle);
            meter_or_wait(rt);
            continue;
        }
        rt->background.poked = 0;
        pthread_mutex_unlock(&rt->background.mutex);
        int more = work(rt);
        pthread_mutex_lock(&rt->background.mutex);
        rt->background.poked |= more;
    }
    rt->background.working = 0;
    pthread_cond_broadcast(&rt->background.idle);
    pthread_mutex_unlock(&rt->background.mutex);
    return NULL;
}

void hsi_background_poke(void *runtime)
{
    hsched_runtime *rt = runtime;
    if (!rt->background.started)
        return;
    pthread_mutex_lock(&rt->background.mutex);
    rt->background.poked = rt->background.working = 1;
    pthread_cond_signal(&rt->background.wake);
    pthread_mutex_unlock(&rt->background.mutex);
}

hsched_status hsi_background_start(hsched_runtime *rt)
{
    if (rt->device_count < 2 && !hsi_meters_any(rt))
        return HSCHED_OK;
    if (pthread_mutex_init(&rt->background.mutex, NULL) != 0)
        return hsi_error(HSCHED_ERROR_SYSTEM, "a mutex could not be made");
    hsched_status status = hsi_cond_init(&rt->background.wake);
    if (status != HSCHED_OK)
        goto no_wake;
    status = hsi_cond_init(&rt->background.idle);
    if (status != HSCHED_OK)
        goto no_idle;
    if (pthread_create(&rt->background.thread, NULL, background_main, rt) != 0) {
        status =
            hsi_error(HSCHED_ERROR_SYSTEM, "the background thread could not be started; "
                                           "check the limit on threads");
        goto no_thread;
    }
    rt->background.started = 1;
    return HSCHED_OK;
no_thread:
    pthread_cond_destroy(&rt->background.idle);
no_idle:
    pthread_cond_destroy(&rt->background.wake);
no_wake:
    pthread_mutex_destroy(&rt->background.mutex);
    return status;
}

void hsi_background_stop(hsched_runtime *rt)
{
    if (!rt->background.started)
        return;
    for (uint32_t i = 0; i < rt->device_count; i++)
        if (rt->devices[i].has_queue)
            rt->devices[i].backend->background_stop(rt->devices[i].handle);
    pthread_mutex_lock(&rt->background.mutex);
    rt->background.stop = 1;
    pthread_cond_signal(&rt->background.wake);
    pthread_mutex_unlock(&rt->background.mutex);
    pthread_join(rt->background.thread, NULL);
    rt->background.started = 0;
    pthread_cond_destroy(&rt->background.idle);
    pthread_cond_destroy(&rt->background.wake);
    pthread_mutex_destroy(&rt->background.mutex);
}

HSCHED_API hsched_status hsched_runtime_settle(hsched_runtime *rt)
{
    if (!rt)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_runtime_settle: runtime is NULL");
    if (!rt->background.started)
        return HSCHED_OK;
    hsi_background_poke(rt);
    pthread_mutex_lock(&rt->background.mutex);
    while (rt->background.working && !rt->background.stop)
        pthread_cond_wait(&rt->background.idle, &rt->background.mutex);
    pthread_mutex_unlock(&rt->background.mutex);
    return HSCHED_OK;
}
