#include "worker/pool.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/sync.h"
#include "worker/job.h"
#include "worker/pieces.h"
#include "worker/probe.h"
#include "worker/queue.h"
#include "worker/tracing.h"

/* A worker takes its spare when it needs it; without one it asks the heap then. */
static void give_spare(hsi_worker *w, size_t size)
{
    void *larger = hsi_alloc_aligned(size);
    pthread_mutex_lock(&w->pool->lock);
    if (larger && w->scratch_size < size && w->spare_size < size) {
        void *smaller = w->spare;
        w->spare = larger;
        w->spare_size = size;
        larger = smaller;
    }
    pthread_mutex_unlock(&w->pool->lock);
    hsi_free(larger);
}

void hsi_worker_pool_reserve_scratch(hsi_worker_pool *pool, size_t size)
{
    pthread_mutex_lock(&pool->lock);
    const int is_more = size > pool->scratch_size;
    if (is_more)
        pool->scratch_size = size;
    pthread_mutex_unlock(&pool->lock);
    for (uint32_t i = 0; i < pool->worker_count && is_more; i++)
        give_spare(&pool->workers[i], size);
}

/* ---- Idle workers (all under the lock) ------------------------------------ */

static void add_idle(hsi_worker_pool *pool, hsi_worker *w)
{
    w->next_idle = pool->idle[w->device];
    pool->idle[w->device] = w;
    if (w->device == 0)
        atomic_fetch_add_explicit(&pool->idle_cpu_workers, 1, memory_order_relaxed);
}

/* Of the place in the list that has it. */
static hsi_worker *remove_idle(hsi_worker_pool *pool, hsi_worker **at)
{
    hsi_worker *w = *at;
    *at = w->next_idle;
    if (w->device == 0)
        atomic_fetch_sub_explicit(&pool->idle_cpu_workers, 1, memory_order_relaxed);
    return w;
}

static hsi_worker *wake_one(hsi_worker_pool *pool, hsi_worker **at)
{
    hsi_worker *w = remove_idle(pool, at);
    w->woken = 1;
    pthread_cond_signal(&w->wake);
    return w;
}

static hsi_worker *wake_idle(hsi_worker_pool *pool, uint32_t device)
{
    return pool->idle[device] ? wake_one(pool, &pool->idle[device]) : NULL;
}

/* Telling a thread that it is woken takes the system some microseconds. So of many who are to help
 * the one who asks tells two, and each of them two more. */
static void signal_two(hsi_worker_pool *pool)
{
    for (int i = 0; i < 2 && pool->to_signal; i++) {
        hsi_worker *w = pool->to_signal;
        pool->to_signal = w->next_idle;
        pthread_cond_signal(&w->wake);
    }
}

static hsi_worker *wake_idle_later(hsi_worker_pool *pool)
{
    if (!pool->idle[0])
        return NULL;
    hsi_worker *w = remove_idle(pool, &pool->idle[0]);
    w->woken = 1;
    w->next_idle = pool->to_signal;
    pool->to_signal = w;
    return w;
}

static void set_jobs_waiting(hsi_worker_pool *pool, uint32_t jobs)
{
    atomic_store_explicit(&pool->jobs_waiting, jobs != 0, memory_order_relaxed);
}

/* What is known of who may help whom. Jobs of the highest priority share the workers evenly: many
 * workers on one step gain less than a few on each of several. */
static void set_shares(hsi_worker_pool *pool)
{
    const hsi_core *core = pool->config.core;
    const uint32_t jobs = hsi_core_executing_count(core, 0),
                   workers = pool->config.workers[0];
    atomic_store_explicit(&pool->top_priority, hsi_core_executing(core, 0),
                          memory_order_relaxed);
    atomic_store_explicit(&pool->fair_helpers,
                          jobs > 0 ? (workers - 1) / jobs : workers - 1,
                          memory_order_relaxed);
}

/* After events that `self` (may be NULL) brought: it takes one of its device's jobs
 * itself, next, so that a chain of sections wakes nobody. */
static void notify(hsi_worker_pool *pool, const hsi_worker *self)
{
    for (uint32_t d = 0; d < pool->config.device_count; d++) {
        if (pool->queues[d])
            continue;
        uint32_t queued = hsi_core_startable(pool->config.core, d);
        if (queued > 0 && self && self->device == d)
            queued--;
        if (d == 0)
            set_jobs_waiting(pool, queued);
        while (queued > 0 && wake_idle(pool, d))
            queued--;
        /* A CPU worker that attends to a queue comes back for it. */
        for (uint32_t k = 0; d == 0 && queued > 0 && k < pool->config.device_count; k++)
            if (pool->queues[k] && pool->queues[k]->attended)
                pthread_cond_signal(&pool->queues[k]->attendant);
    }
    pool->config.after_events(pool->config.user);
    for (uint32_t d = 0; d < pool->config.device_count; d++)
        if (pool->queues[d])
            hsi_queue_recall(pool->queues[d]);
}

void hsi_worker_pool_notify(hsi_worker_pool *pool, const hsi_worker *self)
{
    notify(pool, self);
}

int hsi_worker_pool_wake_cpu(hsi_worker_pool *pool)
{
    return wake_idle(pool, 0) != NULL;
}

hsi_worker *hsi_worker_pool_wake_cpu_but(hsi_worker_pool *pool, int cpu)
{
    hsi_worker **at = &pool->idle[0];
    if (!*at || !(*at)->next_idle)
        return NULL;
    if ((*at)->cpu == cpu)
        at = &(*at)->next_idle;
    return wake_one(pool, at);
}

static void after_events(hsi_worker_pool *pool, const hsi_worker *self)
{
    notify(pool, self);
    for (uint32_t d = 0; d < pool->config.device_count; d++) {
        hsi_queue *q = pool->queues[d];
        if (!q)
            continue;
        if (hsi_core_queued(pool->config.core, d) > 0)
            hsi_queue_pump(q, self);
        if (hsi_queue_feeds_cpu(q))
            self = NULL; /* it will attend to this one and no other: see attend_for_cpu */
    }
}

void hsi_worker_pool_after_events(hsi_worker_pool *pool)
{
    after_events(pool, NULL);
}

void hsi_worker_recruit(hsi_worker *owner, uint32_t helpers)
{
    hsi_worker_pool *pool = owner->pool;
    pthread_mutex_lock(&pool->lock);
    unsigned members = atomic_load_explicit(&owner->team.members, memory_order_relaxed);
    /* Who idles is for the run with the highest priority, which will ask. */
    if (hsi_core_executing(pool->config.core, 0) > owner->priority)
        helpers = 0;
    const unsigned fair = atomic_load_explicit(&pool->fair_helpers, memory_order_relaxed);
    if (helpers > fair)
        helpers = fair;
    if (members == 0)
        owner->team_scratch = pool->scratch_size;
    while (members < helpers) {
        hsi_worker *w = wake_idle_later(pool);
        if (!w)
            break;
        w->helping = &owner->team;
        w->help_priority = owner->priority;
        members =
            atomic_fetch_add_explicit(&owner->team.members, 1, memory_order_relaxed) + 1;
    }
    signal_two(pool);
    pthread_mutex_unlock(&pool->lock);
}

/* ---- The worker's thread -------------------------------------------------- */

/* Brings the worker's scratch memory up to `size`. Under the lock. */
static int ensure_scratch(hsi_worker *w, size_t size)
{
    if (w->scratch_size >= size)
        return 1;
    if (w->spare_size < size) {
        hsi_free(w->spare);
        w->spare = hsi_alloc_aligned(size);
        w->spare_size = w->spare ? size : 0;
    }
    if (!w->spare)
        return 0;
    hsi_free(w->scratch);
    w->scratch = w->spare;
    w->scratch_size = w->spare_size;
    w->spare = NULL;
    w->spare_size = 0;
    return 1;
}

static void help(hsi_worker *w)
{
    hsi_worker_pool *pool = w->pool;
    hsi_team *team = w->helping;
    const int can_help = ensure_scratch(w, pool->scratch_size);
    const hsi_team_leave leave = { &pool->jobs_waiting, &pool->top_priority,
                                   w->help_priority, &pool->fair_helpers };
    w->helping = NULL;
    pthread_mutex_unlock(&pool->lock);
    uint64_t began = hsi_now_ns();
    if (can_help)
        hsi_team_help(team, w->scratch, (uint32_t)(w - pool->workers), &leave);
    else /* this worker cannot help; the owner computes all parts itself */
        atomic_fetch_sub_explicit(&team->members, 1, memory_order_relaxed);
    uint64_t spent = hsi_now_ns() - began;
    pthread_mutex_lock(&pool->lock);
    w->busy_ns += spent;
}

static void tell_ended(const hsi_worker *w, const hsi_job *job, uint64_t began_ns,
                       uint64_t ended_ns)
{
    const hsi_worker_pool *pool = w->pool;
    pool->config.ended(pool->config.user,
                       &(hsi_ended_job){ .device = w->device,
                                         .first = job,
                                         .count = 1,
                                         .workers = w->helpers + 1,
                                         .at_once = pool->executing[w->device],
                                         .began_ns = began_ns,
                                         .ended_ns = ended_ns });
}

/* Under the lock. A run that is measured is not interrupted. */
static uint64_t bound_of(const hsi_worker_pool *pool, const hsi_exec_run *run)
{
    return run->probe ? UINT64_MAX
                      : hsi_core_segment_us(pool->config.core, run->core.priority);
}

static void execute(hsi_worker *w, hsi_job *job)
{
    hsi_worker_pool *pool = w->pool;
    hsi_exec_run *run = (hsi_exec_run *)job->run;
    const uint64_t bound_us = bound_of(pool, run);
    uint32_t steps = 0, sections = job->count;
    w->priority = run->core.priority;
    uint64_t began = hsi_now_ns();
    if (pool->trace)
        hsi_trace_queued(pool, w->device, began);
    if (run->started_us == 0)
        run->started_us = began / 1000;
    if (run->restarts != run->core.restarts) { /* nothing of it counts any more */
        run->restarts = run->core.restarts;
        memset(run->section_done, 0, run->model->plan->section_count);
    }
    const int has_scratch = ensure_scratch(w, run->model->scratch_size);
    hsi_trace_job_taken(w);
    w->helpers = 0;
    w->clock_ns = 0;
    pool->executing[w->device]++;
    pthread_mutex_unlock(&pool->lock);

    hsched_status status;
    if (!has_scratch) {
        status = hsi_out_of_memory("a worker's scratch memory");
    } else {
        atomic_store_explicit(&w->team.at_work, 1, memory_order_relaxed);
        status = hsi_job_execute(w, job, bound_us, &steps, &sections);
        atomic_store_explicit(&w->team.at_work, 0, memory_order_relaxed);
    }
    uint64_t ended = hsi_job_now_ns(w);

    int lost_now = status == HSCHED_ERROR_DEVICE && w->device != 0;
    pthread_mutex_lock(&pool->lock);
    const int pauses = status == HSCHED_OK && job->done + sections < job->count;
    if (status == HSCHED_OK && !pauses && hsi_exec_must_unshadow(run, job->count)) {
        pthread_mutex_unlock(&pool->lock);
        status = hsi_exec_unshadow(run);
        pthread_mutex_lock(&pool->lock);
    }
    hsi_probe_job(run->probe, job, 1, began, ended);
    if (status == HSCHED_OK && sections == job->count)
        tell_ended(w, job, began, ended);
    pool->executing[w->device]--;
    w->jobs += !pauses;
    w->steps += steps;
    w->busy_ns += ended - began;
    if (lost_now && !(pool->lost_devices & 1u << w->device)) {
        pool->lost_devices |= 1u << w->device;
        pthread_mutex_unlock(&pool->lock);
        pool->config.device_failed(pool->config.user, w->device, hsched_error_detail());
        pthread_mutex_lock(&pool->lock);
    }
    if (status != HSCHED_OK && !lost_now)
        pool->config.run_failed(pool->config.user, job->run, hsched_error_detail());
    if (w->trace || pool->trace)
        hsi_trace_job_ended(w, job, pauses ? sections : job->count - job->done, began,
                            ended, status);
    w->long_segments += bound_us != UINT64_MAX && (ended - began) / 1000 > bound_us;
    w->pauses += (uint64_t)pauses;
    if (pauses)
        hsi_core_job_paused(pool->config.core, &job, 1, sections, ended / 1000);
    else
        hsi_core_job_ended(pool->config.core, job, status, ended / 1000);
}

static int cpu_has_jobs(void *user)
{
    const hsi_worker_pool *pool = user;
    return pool->stopping || hsi_core_startable(pool->config.core, 0) > 0;
}

/* It does not attend to these devices now, for which it may have been woken. `but`: to this one
 * it does; 0: to none. */
static void excuse(hsi_worker *w, uint32_t but)
{
    for (uint32_t d = 1; d < w->pool->config.device_count && w->device == 0; d++)
        if (w->pool->queues[d] && d != but)
            hsi_queue_excuse(w->pool->queues[d]);
}

/* An idle CPU worker looks after a device whose runs come back to the CPU: it will then go on
 * with them itself, without a thread switch. 1 if it did. */
static int attend_for_cpu(hsi_worker *w)
{
    hsi_worker_pool *pool = w->pool;
    for (uint32_t d = 1; d < pool->config.device_count; d++)
        if (pool->queues[d] && hsi_queue_feeds_cpu(pool->queues[d])) {
            excuse(w, d);
            hsi_queue_attend(pool->queues[d], w, cpu_has_jobs, pool, UINT64_MAX);
            return 1;
        }
    return 0;
}

/* Takes a job and executes it; 0: there is none. Under the lock, which it gives up meanwhile. */
static int work(hsi_worker *w)
{
    hsi_worker_pool *pool = w->pool;
    hsi_job *job = hsi_core_take(pool->config.core, w->device);
    if (hsi_core_has_ended(pool->config.core)) /* dropped: its deadline has passed */
        after_events(pool, NULL);
    if (w->device == 0) {
        set_jobs_waiting(pool, hsi_core_startable(pool->config.core, 0));
        set_shares(pool);
    }
    if (!job)
        return 0;
    excuse(w, 0);
    execute(w, job);
    after_events(pool, w);
    return 1;
}

/*
 * The idle CPU worker whose place this thread may take, or NULL. Where a worker is pinned to the
 * CPU that the thread is on, it is that one: any other may be asked to help, and would wait for
 * this thread to leave the CPU.
 */
static hsi_worker *take_place(hsi_worker_pool *pool)
{
    const int here = sched_getcpu();
    hsi_worker **at = &pool->idle[0];
    uint32_t i = 0;
    while (i < pool->config.workers[0] && pool->workers[i].cpu != here)
        i++;
    while (i < pool->config.workers[0] && *at && *at != &pool->workers[i])
        at = &(*at)->next_idle;
    return *at ? remove_idle(pool, at) : NULL;
}

void hsi_worker_pool_stand_in(hsi_worker_pool *pool, int (*done)(void *user), void *user)
{
    hsi_worker *w = take_place(pool);
    after_events(pool, w);
    if (!w)
        return;
    while (!done(user) && work(w))
        ;
    add_idle(pool, w);
    notify(pool, NULL); /* what it would have taken next */
}

static void *worker_main(void *argument)
{
    hsi_worker *w = argument;
    hsi_worker_pool *pool = w->pool;

    pthread_mutex_lock(&pool->lock);
    while (!pool->stopping) {
        if (w->helping) {
            help(w);
            continue;
        }
        if (w->pieces) {
            hsi_pieces_help(w);
            continue;
        }
        if (work(w) || (w->device == 0 && attend_for_cpu(w)))
            continue;
        excuse(w, 0);
        add_idle(pool, w);
        w->woken = 0;
        while (!w->woken)
            pthread_cond_wait(&w->wake, &pool->lock);
        signal_two(pool);
    }
    pthread_mutex_unlock(&pool->lock);
    hsi_free(w->scratch);
    hsi_free(w->spare);
    w->scratch = w->spare = NULL;
    return NULL;
}

/* ---- Starting and stopping ------------------------------------------------ */

/* Here rather than by the thread itself: it has its name before it has run. */
static void name_thread(const hsi_worker *w)
{
    const hsi_worker_pool *pool = w->pool;
    char name[16];
    snprintf(name, sizeof name, "hsched-%u.%u", w->device,
             (unsigned)(w - pool->workers) - pool->first_worker[w->device]);
    pthread_setname_np(w->thread, name);
}

static int start_thread(hsi_worker *w)
{
    pthread_attr_t attr;
    int error = pthread_attr_init(&attr);
    if (error != 0)
        return error;
    if (w->cpu >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((unsigned)w->cpu, &set);
        error = pthread_attr_setaffinity_np(&attr, sizeof set, &set);
    }
    if (error == 0)
        error = pthread_create(&w->thread, &attr, worker_main, w);
    if (error == 0)
        name_thread(w);
    pthread_attr_destroy(&attr);
    return error;
}

static hsched_status start_worker(hsi_worker_pool *pool, hsi_worker *w, uint32_t device,
                                  int cpu)
{
    w->pool = pool;
    w->device = device;
    w->cpu = cpu;
    hsched_status status = hsi_cond_init(&w->wake);
    if (status != HSCHED_OK)
        return status;
    status = hsi_team_init(&w->team);
    if (status != HSCHED_OK) {
        pthread_cond_destroy(&w->wake);
        return status;
    }
    int error = start_thread(w);
    if (error != 0) {
        hsi_team_clear(&w->team);
        pthread_cond_destroy(&w->wake);
        return hsi_error(error == EINVAL && cpu >= 0 ? HSCHED_ERROR_INVALID_ARGUMENT
                                                     : HSCHED_ERROR_SYSTEM,
                         "a worker thread could not be started on CPU %d: %s; check "
                         "hsched_runtime_config.cpus or the limit on threads",
                         cpu, strerror(error));
    }
    return HSCHED_OK;
}

/* Before the workers, who look at them. */
static hsched_status start_queues(hsi_worker_pool *pool)
{
    const hsi_worker_pool_config *config = &pool->config;
    hsched_status status = HSCHED_OK;
    for (uint32_t d = 0; d < config->device_count && status == HSCHED_OK; d++)
        if (config->devices[d].has_queue)
            status = hsi_queue_start(pool, d, config->workers[d], &pool->queues[d]);
    return status;
}

static hsched_status start_workers(hsi_worker_pool *pool)
{
    const hsi_worker_pool_config *config = &pool->config;
    hsched_status status = HSCHED_OK;
    for (uint32_t d = 0; d < config->device_count; d++) {
        const uint32_t count = config->devices[d].has_queue ? 0 : config->workers[d];
        for (uint32_t i = 0; i < count && status == HSCHED_OK; i++) {
            int cpu = d == 0 && config->cpus ? config->cpus[i] : -1;
            status = start_worker(pool, &pool->workers[pool->worker_count], d, cpu);
            pool->worker_count += status == HSCHED_OK;
        }
    }
    return status;
}

hsched_status hsi_worker_pool_create(const hsi_worker_pool_config *config,
                                     hsi_worker_pool **result)
{
    *result = NULL;
    hsi_worker_pool *pool = HSI_NEW(hsi_worker_pool);
    if (!pool)
        return hsi_out_of_memory("the workers");
    uint32_t total = 0;
    for (uint32_t d = 0; d < config->device_count; d++) {
        pool->first_worker[d] = total;
        total += config->devices[d].has_queue ? 0 : config->workers[d];
    }
    pool->config = *config;
    atomic_init(&pool->top_priority, HSCHED_PRIORITY_MIN);
    pool->workers = HSI_NEW_ARRAY(hsi_worker, total);
    if (!pool->workers || pthread_mutex_init(&pool->lock, NULL) != 0) {
        hsi_free(pool->workers);
        hsi_free(pool);
        return hsi_out_of_memory("the workers");
    }
    hsched_status status = hsi_cond_init(&pool->untraced);
    if (status != HSCHED_OK) {
        pthread_mutex_destroy(&pool->lock);
        hsi_free(pool->workers);
        hsi_free(pool);
        return status;
    }
    status = start_queues(pool);
    if (status == HSCHED_OK)
        status = start_workers(pool);
    if (status != HSCHED_OK) {
        hsi_worker_pool_stop(pool);
        hsi_worker_pool_free(pool);
        return status;
    }
    *result = pool;
    return HSCHED_OK;
}

static void stop_queues(hsi_worker_pool *pool)
{
    for (uint32_t d = 0; d < pool->config.device_count; d++) {
        pthread_mutex_lock(&pool->lock);
        hsi_queue *queue = pool->queues[d];
        pool->queues[d] = NULL; /* who asks for statistics may still come */
        pthread_mutex_unlock(&pool->lock);
        hsi_queue_stop(queue);
    }
}

void hsi_worker_pool_stop(hsi_worker_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->stopping = 1;
    for (uint32_t d = 0; d < pool->config.device_count; d++)
        while (wake_idle(pool, d))
            ;
    for (uint32_t d = 0; d < pool->config.device_count; d++)
        if (pool->queues[d])
            pthread_cond_broadcast(&pool->queues[d]->attendant);
    pthread_mutex_unlock(&pool->lock);
    for (uint32_t i = 0; i < pool->worker_count; i++) {
        hsi_worker *w = &pool->workers[i];
        pthread_join(w->thread, NULL);
    }
    stop_queues(pool); /* the workers have looked at them until now */
    /* Only now: until it was joined, any worker may have been a member of another's team.
     */
    for (uint32_t i = 0; i < pool->worker_count; i++) {
        hsi_team_clear(&pool->workers[i].team);
        pthread_cond_destroy(&pool->workers[i].wake);
    }
    pool->worker_count = 0;
}

void hsi_worker_pool_free(hsi_worker_pool *pool)
{
    if (!pool)
        return;
    pthread_cond_destroy(&pool->untraced);
    pthread_mutex_destroy(&pool->lock);
    hsi_free(pool->workers);
    hsi_free(pool);
}
