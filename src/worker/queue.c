#include "worker/queue.h"

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/status.h"
#include "base/sync.h"
#include "worker/expect.h"
#include "worker/probe.h"
#include "worker/share.h"
#include "worker/tracing.h"

enum {
    SPIN_US = 40, /* who polls looks for new jobs so often */
    WORTH_SLEEPING_US = 15,
    SHORT_SLEEP_US = 30,    /* instead of polling */
    LONGEST_SLEEP_US = 2000 /* expectations may be wrong: an error must be noticed */
};

static hsi_exec_run *run_of(const hsi_job *job)
{
    return (hsi_exec_run *)job->run;
}

static const hsi_exec_device *device_of(const hsi_queue *q)
{
    return &q->pool->config.devices[q->device];
}

/* What the flight's job has spent on segments before this one; kept with its first run. */
static uint64_t *spent_by(const hsi_flight *f)
{
    return &run_of(f->jobs[0])->spent_ns[f->jobs[0]->section];
}

/* Has the job's run other jobs than this one, on the CPU perhaps? Segments are of the same
 * job. */
static int is_partial(const hsi_flight *f)
{
    const hsi_exec_model *model = run_of(f->jobs[0])->model;
    return model->crosses ||
           (model->floats && f->jobs[0]->count != model->plan->section_count);
}

/* Is it the last segment of its job? */
static int is_last(const hsi_flight *f)
{
    return f->jobs[0]->done + f->sections == f->jobs[0]->count;
}

/* ---- What to do next (under the lock) --------------------------------------- */

static int free_lane(const hsi_queue *q, uint32_t *lane)
{
    for (*lane = 0; *lane < q->lanes; ++*lane)
        if (q->flights[*lane].state == HSI_FLIGHT_FREE)
            return 1;
    return 0;
}

/* When the next job can be started if nothing ends before; 0: now. */
static uint64_t next_start_us(const hsi_queue *q)
{
    uint32_t lane;
    return free_lane(q, &lane) ? hsi_core_next_due(q->pool->config.core, q->device)
                               : UINT64_MAX;
}

/* The time to begin polling at; 0: now; UINT64_MAX: nothing to poll for. */
static uint64_t next_look_us(const hsi_queue *q)
{
    uint64_t first = UINT64_MAX;
    const uint64_t margin = hsi_expect_margin_us(q);
    for (uint32_t lane = 0; lane < q->lanes; lane++)
        if (q->flights[lane].state == HSI_FLIGHT_RUNNING) {
            if (run_of(q->flights[lane].jobs[0])->probe)
                return 0; /* who measures wants to know exactly when it ends */
            const uint64_t look = hsi_expect_look_us(&q->flights[lane], margin);
            if (look < first)
                first = look;
        }
    const uint64_t due = next_start_us(q);
    return due < first ? due : first;
}

/* ---- Starting jobs -------------------------------------------------------- */

static hsched_status choose_members(hsi_queue *q, hsi_flight *f, uint32_t others,
                                    uint32_t *members, uint32_t *ready)
{
    const hsi_exec_model *model = run_of(f->jobs[0])->model;
    *members = *ready = 1;
    if (f->jobs[0]->done > 0) /* it goes on in the slot that it has */
        *members = run_of(f->jobs[0])->members;
    if (f->jobs[0]->done > 0 || !model->joinable)
        return HSCHED_OK;
    for (uint32_t i = 0; i < model->prepared_count; i++)
        if (model->prepared[i].device == q->device)
            *ready = model->prepared[i].backend->queue_batch(model->prepared[i].section,
                                                             f->count, others, members);
    if (*members < f->count)
        return hsi_error(HSCHED_ERROR_INTERNAL, "model: no slot holds %u runs", f->count);
    return HSCHED_OK;
}

static void describe_job(hsi_flight *f, const hsi_exec_model *model,
                         const hsched_memory *arena)
{
    const hsi_job *first = f->jobs[0];
    const hsi_plan_section *sections =
        &model->plan->sections[first->section + first->done];
    f->job = (hsched_queue_job){ .struct_size = sizeof f->job,
                                 .first_step = sections[0].first_step,
                                 .members = f->count,
                                 .inputs = f->inputs,
                                 .outputs = f->outputs,
                                 .arena = arena,
                                 .priority = HSCHED_PRIORITY_MIN };
    for (uint32_t i = 0; i < f->sections; i++)
        f->job.step_count += sections[i].step_count;
    for (uint32_t m = 0; m < f->count; m++) {
        hsi_exec_run *run = run_of(f->jobs[m]);
        f->inputs[m] = run->inputs;
        f->outputs[m] = run->outputs;
        f->wait_events[m] = run->wait_event;
        if (run->core.priority > f->job.priority)
            f->job.priority = run->core.priority;
        if (run->wait_event)
            f->job.wait_events = f->wait_events;
    }
}

/* Has host memory stand in for what the CPU will need, too, and for memory of another device. */
static hsched_status shadow_members(const hsi_queue *q, const hsi_flight *f)
{
    hsched_status status = HSCHED_OK;
    for (uint32_t m = 0; m < f->count && status == HSCHED_OK; m++) {
        hsi_exec_run *run = run_of(f->jobs[m]);
        if (is_partial(f) || hsi_exec_is_elsewhere(run, device_of(q)))
            status = hsi_exec_shadow(run);
    }
    return status;
}

/* Without the lock: gives the job a slot and the device the job. */
static hsched_status start(hsi_queue *q, uint32_t lane, uint32_t others,
                           uint32_t *members, uint32_t *ready)
{
    hsi_flight *f = &q->flights[lane];
    hsi_exec_run *leader = run_of(f->jobs[0]);
    const hsi_exec_model *model = leader->model;
    const hsi_exec_device *d = device_of(q);
    const hsched_memory *arena = NULL;
    hsched_status status = choose_members(q, f, others, members, ready);
    if (status == HSCHED_OK)
        status = hsi_exec_acquire_slot(leader, *members);
    if (status == HSCHED_OK)
        status = shadow_members(q, f);
    if (status == HSCHED_OK && is_partial(f))
        status = hsi_exec_arena(leader, &arena);
    if (status == HSCHED_OK)
        status = hsi_exec_queue_slot(leader, q->device, &f->slot);
    if (status != HSCHED_OK)
        return status;
    describe_job(f, model, arena);
    f->started_ns = f->unfinished_ns = hsi_now_ns();
    return d->backend->queue_submit(f->slot, &f->job, lane);
}

/* Under the lock; gives it up for the log. */
static void lose_device(hsi_queue *q)
{
    hsi_worker_pool *pool = q->pool;
    if (pool->lost_devices & 1u << q->device)
        return;
    pool->lost_devices |= 1u << q->device;
    pthread_mutex_unlock(&pool->lock);
    pool->config.device_failed(pool->config.user, q->device, hsched_error_detail());
    pthread_mutex_lock(&pool->lock);
}

static int runs_come_back(const hsi_queue *q)
{
    for (uint32_t lane = 0; lane < q->lanes; lane++) {
        const hsi_flight *f = &q->flights[lane];
        if (f->state == HSI_FLIGHT_RUNNING && is_partial(f))
            return 1;
    }
    return 0;
}

/* Somebody has to look when the first job should end, or when those held back may start: who
 * attends (he will anyway while he works); for runs that go on on the CPU a worker with
 * nothing else to do, since that saves a thread switch; or the queue's thread. */
static void set_alarm(hsi_queue *q)
{
    const uint64_t look = next_look_us(q);
    if (look == UINT64_MAX || q->summoned)
        return;
    if (q->attended) {
        if (look < q->attendant_us)
            pthread_cond_signal(&q->attendant);
        return;
    }
    q->summoned = runs_come_back(q) && hsi_worker_pool_wake_cpu(q->pool);
    if (!q->summoned && (q->alarm_us == 0 || look < q->alarm_us))
        pthread_cond_signal(&q->wake);
}

/* What has ended here may have queued jobs there. */
static void set_alarms_of_others(const hsi_queue *q)
{
    const hsi_worker_pool *pool = q->pool;
    for (uint32_t d = 1; d < pool->config.device_count; d++)
        if (pool->queues[d] && pool->queues[d] != q &&
            hsi_core_queued(pool->config.core, d) > 0)
            set_alarm(pool->queues[d]);
}

uint64_t hsi_queue_busy_ns(const hsi_queue *q, uint64_t now_ns)
{
    return q->busy_ns +
           (q->running > 0 && now_ns > q->busy_since_ns ? now_ns - q->busy_since_ns : 0);
}

/* The device has done with it; returns how many such jobs it had meanwhile. */
static double leave_device(hsi_queue *q, const hsi_flight *f, uint64_t now_ns)
{
    hsi_share_count(q, now_ns);
    const double at_once = hsi_share_at_once(f, now_ns);
    if (f->state == HSI_FLIGHT_ENDING) {
        q->running--;
        if (q->running == 0)
            q->busy_ns += now_ns - q->busy_since_ns;
        q->long_segments +=
            f->bound_us != UINT64_MAX && (now_ns - f->started_ns) / 1000 > f->bound_us;
    }
    return at_once;
}

/* The segment has ended well, and there are more: the jobs go back into the queue, and others
 * that are more urgent go first. */
static void pause_flight(hsi_queue *q, hsi_flight *f)
{
    const uint64_t now_ns = hsi_now_ns();
    const uint32_t count = f->count, sections = f->sections;
    hsi_job *jobs[HSI_QUEUE_BATCH];
    leave_device(q, f, now_ns);
    q->pauses++;
    q->steps += f->job.step_count;
    if (q->pool->trace)
        hsi_trace_flight_ended(q, f, now_ns, HSCHED_OK);
    *spent_by(f) += now_ns - f->started_ns;
    memcpy(jobs, f->jobs, count * sizeof jobs[0]);
    f->state = HSI_FLIGHT_FREE;
    hsi_core_job_paused(q->pool->config.core, jobs, count, sections, now_ns / 1000);
}

/* Reports all jobs of a flight as ended and frees its lane. */
static void end_flight(hsi_queue *q, hsi_flight *f, hsched_status status,
                       const hsi_worker *self)
{
    hsi_core *core = q->pool->config.core;
    const uint64_t now_ns = hsi_now_ns();
    const double at_once = leave_device(q, f, now_ns);
    const uint64_t began_ns = f->started_ns - *spent_by(f);
    if (status == HSCHED_ERROR_DEVICE)
        lose_device(q);
    if (status == HSCHED_OK)
        q->pool->config.ended(q->pool->config.user,
                              &(hsi_ended_job){ .device = q->device,
                                                .first = f->jobs[0],
                                                .count = f->count,
                                                .workers = 1,
                                                .at_once = at_once,
                                                .began_ns = began_ns,
                                                .ended_ns = now_ns });
    if (status == HSCHED_OK) {
        q->jobs++;
        q->steps += f->job.step_count;
        q->runs_joined += f->count > 1 ? f->count : 0;
    }
    if (q->pool->trace)
        hsi_trace_flight_ended(q, f, now_ns, status);
    const uint32_t count = f->count;
    hsi_job *jobs[HSI_QUEUE_BATCH];
    memcpy(jobs, f->jobs, count * sizeof jobs[0]);
    f->state = HSI_FLIGHT_FREE;
    for (uint32_t m = 0; m < count; m++) {
        hsi_exec_run *run = run_of(jobs[m]);
        run->batch = count;
        hsi_probe_job(run->probe, jobs[m], count, began_ns, now_ns);
        for (uint32_t i = 0; i < jobs[m]->count; i++)
            run->section_done[jobs[m]->section + i] = status == HSCHED_OK;
        hsi_core_job_ended(core, jobs[m], status, now_ns / 1000);
    }
    hsi_worker_pool_notify(q->pool, self);
    set_alarms_of_others(q);
}

/* Runs of the job's model that wait, or started by themselves while it did. */
static uint32_t others_of_model(const hsi_queue *q, const hsi_job *job)
{
    const hsi_core_model *model = job->run->model;
    uint32_t count = model->batch_queues ? model->batch_queues[q->device].count : 0;
    for (uint32_t lane = 0; lane < q->lanes; lane++) {
        const hsi_flight *f = &q->flights[lane];
        if (f->state == HSI_FLIGHT_RUNNING && f->jobs[0]->run->model == model)
            count += f->count;
    }
    return count;
}

/* The highest priority of its runs; a run that is measured is not cut. */
static uint64_t bound_of(const hsi_queue *q, const hsi_flight *f)
{
    int priority = HSCHED_PRIORITY_MIN;
    for (uint32_t m = 0; m < f->count; m++) {
        if (run_of(f->jobs[m])->probe)
            return UINT64_MAX;
        if (f->jobs[m]->run->priority > priority)
            priority = f->jobs[m]->run->priority;
    }
    return hsi_core_segment_us(q->pool->config.core, priority);
}

/* Gives how long the segment is expected to take; 0: unknown, or nothing bounds it. */
static float begin_flight(const hsi_queue *q, hsi_flight *f, uint64_t now_ns)
{
    hsi_exec_run *leader = run_of(f->jobs[0]);
    if (f->jobs[0]->done == 0) {
        leader->members = f->count;
        *spent_by(f) = 0;
    }
    const float expected_us = hsi_expect_cut(f, leader->members, bound_of(q, f));
    for (uint32_t m = 0; m < f->count; m++) {
        hsi_exec_run *run = run_of(f->jobs[m]);
        if (run->started_us == 0)
            run->started_us = now_ns / 1000;
    }
    return expected_us;
}

/* With no lock held. */
static void tell_long(const hsi_flight *f, float expected_us)
{
    const char *name = run_of(f->jobs[0])->core.model->name;
    if (f->count > 1)
        hsi_log(
            HSCHED_LOG_INFO,
            "model '%s': a section of it takes about %.0f us on the GPU in a batch of "
            "%u, longer than max_segment_us: runs of higher priorities may wait so "
            "long; a smaller hsched_model_config.max_batch makes it shorter",
            name, (double)expected_us, f->count);
    else
        hsi_log(HSCHED_LOG_INFO,
                "model '%s': a section of it takes about %.0f us on the GPU, longer than "
                "max_segment_us: runs of higher priorities may wait so long; it is "
                "shorter if a policy of your own ends sections earlier "
                "(hsched_policy_plugin.cut)",
                name, (double)expected_us);
}

static void note_starting(const hsi_queue *q, const hsi_flight *f, uint64_t now_ns)
{
    float *starting_us = &run_of(f->jobs[0])->model->starting_us[q->device];
    const float took_us = (float)(now_ns - f->started_ns) / 1000;
    if (is_partial(f) || f->segment_us > 0)
        return;
    *starting_us += *starting_us > 0 ? (took_us - *starting_us) / 8 : took_us;
}

static void start_flight(hsi_queue *q, uint32_t lane)
{
    hsi_worker_pool *pool = q->pool;
    hsi_flight *f = &q->flights[lane];
    f->state = HSI_FLIGHT_STARTING;
    const float expected_us = begin_flight(q, f, f->started_ns = hsi_now_ns());
    const int too_long = f->bound_us != UINT64_MAX && f->sections == 1 &&
                         expected_us > (float)f->bound_us &&
                         !run_of(f->jobs[0])->model->told_long;
    if (too_long)
        run_of(f->jobs[0])->model->told_long = 1;
    const uint32_t others = others_of_model(q, f->jobs[0]);
    uint32_t members, ready;
    pthread_mutex_unlock(&pool->lock);
    if (too_long)
        tell_long(f, expected_us);
    hsched_status status = start(q, lane, others, &members, &ready);
    const hsi_exec_device *d = device_of(q);
    if (d->backend->has_background(d->handle))
        pool->config.background(pool->config.user);
    if (status != HSCHED_OK && status != HSCHED_ERROR_DEVICE)
        hsi_log(HSCHED_LOG_INFO, "a job that the GPU could not take goes to the CPU (%s)",
                hsched_error_detail());
    pthread_mutex_lock(&pool->lock);
    hsi_exec_model *model = run_of(f->jobs[0])->model;
    if (model->joinable && f->jobs[0]->done == 0)
        hsi_core_set_ready(pool->config.core, f->jobs[0]->run->model, q->device, ready);
    if (status != HSCHED_OK) {
        end_flight(q, f, status, NULL);
        return;
    }
    run_of(f->jobs[0])->members = members;
    f->expected_us = f->segment_us > 0 ? &f->segment_us : hsi_expect_of(f, members);
    const uint64_t now_ns = hsi_now_ns();
    hsi_share_begin(q, f, now_ns);
    f->state = HSI_FLIGHT_RUNNING;
    note_starting(q, f, now_ns);
    if (q->running++ == 0)
        q->busy_since_ns = f->started_ns;
    for (uint32_t m = 0; m < f->count; m++) {
        if (is_partial(f) || !is_last(f)) /* its end is not the run's */
            continue;
        run_of(f->jobs[m])->event_backend = d->backend;
        run_of(f->jobs[m])->event_slot = f->slot;
    }
    pool->config.started(pool->config.user, f->jobs, f->count);
}

void hsi_queue_excuse(hsi_queue *q)
{
    if (!q->summoned)
        return;
    q->summoned = 0;
    if (!q->attended)
        set_alarm(q);
}

void hsi_queue_pump(hsi_queue *q, const hsi_worker *self)
{
    hsi_core *core = q->pool->config.core;
    uint32_t lane, started = 0;
    if (q->submitting)
        return;
    q->submitting = 1;
    while (free_lane(q, &lane)) {
        hsi_flight *f = &q->flights[lane];
        const uint64_t now_ns = hsi_now_ns();
        f->count =
            hsi_core_take_batch(core, q->device, f->jobs, HSI_QUEUE_BATCH, now_ns / 1000);
        if (hsi_core_has_ended(core)) /* dropped: their deadlines have passed */
            hsi_worker_pool_after_events(q->pool);
        if (f->count == 0)
            break;
        if (q->pool->trace)
            hsi_trace_queued(q->pool, q->device, now_ns);
        start_flight(q, lane);
        started++;
    }
    q->submitting = 0;
    /* A CPU worker with nothing else to do attends right after this, unless he finds that
     * another device needs him first: then he excuses himself. */
    if (self && self->device == 0 && !q->attended && hsi_core_startable(core, 0) == 0 &&
        runs_come_back(q)) {
        q->summoned = 1;
        return;
    }
    if (started || hsi_core_queued(core, q->device))
        set_alarm(q);
}

/* ---- Ending jobs ---------------------------------------------------------- */

/* What outputs of the flight's runs lie in shadows goes where it belongs, if nothing else is to
 * come. Under the lock, given up in between. */
static hsched_status bring_outputs(hsi_queue *q, const hsi_flight *f)
{
    hsched_status status = HSCHED_OK;
    for (uint32_t m = 0; m < f->count && status == HSCHED_OK; m++) {
        hsi_exec_run *run = run_of(f->jobs[m]);
        if (!hsi_exec_must_unshadow(run, f->jobs[m]->count))
            continue;
        pthread_mutex_unlock(&q->pool->lock);
        status = hsi_exec_unshadow(run);
        pthread_mutex_lock(&q->pool->lock);
    }
    return status;
}

/* Brings in what has ended. 1 if something had. Under the lock, given up in between. */
static int collect(hsi_queue *q)
{
    const hsi_exec_device *d = device_of(q);
    int ended = 0;
    for (uint32_t lane = 0; lane < q->lanes; lane++) {
        hsi_flight *f = &q->flights[lane];
        int done = 0;
        if (f->state != HSI_FLIGHT_RUNNING)
            continue;
        hsched_status status = d->backend->queue_poll(d->handle, lane, &done);
        if (status == HSCHED_OK && !done) {
            f->unfinished_ns = hsi_now_ns();
            continue;
        }
        f->state = HSI_FLIGHT_ENDING;
        ended = 1;
        if (status == HSCHED_OK) {
            hsi_expect_learn(f, hsi_now_ns());
            pthread_mutex_unlock(&q->pool->lock);
            status = d->backend->queue_finish(f->slot, &f->job);
            pthread_mutex_lock(&q->pool->lock);
        }
        if (status == HSCHED_OK && !is_last(f)) {
            pause_flight(q, f);
            hsi_worker_pool_notify(q->pool, q->worker);
            set_alarms_of_others(q);
            continue;
        }
        if (status == HSCHED_OK && f->segment_us > 0)
            hsi_expect_learn_whole(f, run_of(f->jobs[0])->members,
                                   *spent_by(f) + hsi_now_ns() - f->started_ns);
        if (status == HSCHED_OK)
            status = bring_outputs(q, f);
        end_flight(q, f, status, q->worker);
    }
    return ended;
}

/* Without the lock: polls until a job has ended or it is `until_us`. Gives the time of the
 * last round in which none had. */
static uint64_t spin(const hsi_queue *q, const uint8_t *running, uint64_t until_us)
{
    const hsi_exec_device *d = device_of(q);
    uint64_t now = hsi_now_ns(), before = now;
    const uint64_t until = until_us * 1000;
    do {
        before = now;
        for (uint32_t lane = 0; lane < q->lanes; lane++) {
            int done = 0;
            if (running[lane] &&
                (d->backend->queue_poll(d->handle, lane, &done) != HSCHED_OK || done))
                return before;
        }
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
        now = hsi_now_ns();
    } while (now < until);
    return before;
}

/* Sleeps until then or until it is woken. Linux rounds the time that a thread sleeps up by 50 us,
 * usually: not here; the application's thread gets its own slack back. */
static void sleep_until(hsi_queue *q, uint64_t until_us)
{
    const int slack = prctl(PR_GET_TIMERSLACK);
    q->attendant_us = until_us;
    prctl(PR_SET_TIMERSLACK, 1000ul);
    hsi_cond_wait_until(&q->attendant, &q->pool->lock, until_us);
    if (slack > 0)
        prctl(PR_SET_TIMERSLACK, (unsigned long)slack);
    q->attendant_us = 0;
    const uint64_t now = hsi_now_us();
    if (now >= until_us)
        hsi_expect_slept(q, until_us, now);
}

/* Waits, one way or the other, until there may be something to do. */
static void wait_a_while(hsi_queue *q, uint64_t deadline_us)
{
    pthread_mutex_t *lock = &q->pool->lock;
    uint64_t now = hsi_now_us(), look = next_look_us(q);
    if (look <= now + WORTH_SLEEPING_US && look > 0 && !hsi_expect_may_poll(q, now))
        look = now + SHORT_SLEEP_US;
    if (look > now + WORTH_SLEEPING_US) {
        if (q->running > 0 && look > now + LONGEST_SLEEP_US)
            look = now + LONGEST_SLEEP_US;
        sleep_until(q, look < deadline_us ? look : deadline_us);
        return;
    }
    uint64_t until = now + SPIN_US, due = next_start_us(q);
    if (due > now && due < until)
        until = due;
    uint8_t running[HSI_QUEUE_LANES];
    for (uint32_t lane = 0; lane < q->lanes; lane++)
        running[lane] = q->flights[lane].state == HSI_FLIGHT_RUNNING;
    pthread_mutex_unlock(lock);
    const uint64_t unfinished = spin(q, running, until);
    pthread_mutex_lock(lock);
    hsi_expect_polled(q, hsi_now_us() - now);
    for (uint32_t lane = 0; lane < q->lanes; lane++)
        if (running[lane] && q->flights[lane].state == HSI_FLIGHT_RUNNING &&
            q->flights[lane].unfinished_ns < unfinished)
            q->flights[lane].unfinished_ns = unfinished;
}

static int has_work(const hsi_queue *q)
{
    return q->running > 0 || hsi_core_queued(q->pool->config.core, q->device) > 0;
}

void hsi_queue_attend(hsi_queue *q, const hsi_worker *self, int (*stop)(void *user),
                      void *user, uint64_t deadline_us)
{
    if (q->attended)
        return;
    q->attended = 1;
    q->worker = self;
    q->stop = stop;
    q->stop_user = user;
    q->summoned = 0;
    while (!stop(user) && has_work(q)) {
        if (!collect(q) && deadline_us != UINT64_MAX && hsi_now_us() >= deadline_us)
            break;
        hsi_queue_pump(q, self);
        if (!stop(user) && has_work(q))
            wait_a_while(q, deadline_us);
    }
    q->attended = 0;
    q->worker = NULL;
    if (q->pool->stopping)
        pthread_cond_broadcast(&q->wake);
    else if (has_work(q))
        set_alarm(q);
}

/* For a CPU worker's jobs there may be others, who are woken first; he is told by who finds that
 * there are not enough: notify(). */
void hsi_queue_recall(hsi_queue *q)
{
    if (q->attended && q->attendant_us > 0 &&
        (!has_work(q) || (!q->worker && q->stop(q->stop_user))))
        pthread_cond_signal(&q->attendant);
}

int hsi_queue_needs_attention(const hsi_queue *q)
{
    return !q->attended && has_work(q);
}

int hsi_queue_feeds_cpu(const hsi_queue *q)
{
    return hsi_queue_needs_attention(q) && runs_come_back(q);
}

/* ---- The queue's own thread ----------------------------------------------- */

static int stop_never(void *user)
{
    (void)user;
    return 0;
}

/* Until then or until it is woken; a look in between costs little if jobs take so long. */
static void sleep_alone(hsi_queue *q, uint64_t look_us)
{
    const uint64_t latest_us = hsi_now_us() + LONGEST_SLEEP_US;
    const int early = q->running > 0 && look_us > latest_us;
    q->alarm_us = early ? latest_us : look_us;
    const int is_time = hsi_cond_wait_until(&q->wake, &q->pool->lock, q->alarm_us) != 0;
    q->alarm_us = 0;
    if (early && is_time)
        hsi_queue_attend(q, NULL, stop_never, NULL, hsi_now_us()); /* one look */
}

static void *queue_main(void *argument)
{
    hsi_queue *q = argument;
    hsi_worker_pool *pool = q->pool;
    char name[16];
    snprintf(name, sizeof name, "hsched-q%u", q->device);
    prctl(PR_SET_NAME, name);
    prctl(PR_SET_TIMERSLACK, 1000ul); /* ns: it sleeps until shortly before jobs end */
    pthread_mutex_lock(&pool->lock);
    while (!pool->stopping) {
        const uint64_t look = next_look_us(q);
        if (q->attended || look == UINT64_MAX) {
            q->alarm_us = 0;
            pthread_cond_wait(&q->wake, &pool->lock);
        } else if (look > hsi_now_us()) {
            sleep_alone(q, look);
        } else {
            q->alarm_us = 0;
            hsi_queue_attend(q, NULL, stop_never, NULL, UINT64_MAX);
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

hsched_status hsi_queue_start(hsi_worker_pool *pool, uint32_t device, uint32_t lanes,
                              hsi_queue **result)
{
    *result = NULL;
    hsi_queue *q = HSI_NEW(hsi_queue);
    if (!q)
        return hsi_out_of_memory("a device's queue");
    q->pool = pool;
    q->device = device;
    q->lanes = lanes < HSI_QUEUE_LANES ? lanes : HSI_QUEUE_LANES;
    hsched_status status = hsi_cond_init(&q->wake);
    if (status != HSCHED_OK) {
        hsi_free(q);
        return status;
    }
    status = hsi_cond_init(&q->attendant);
    if (status != HSCHED_OK) {
        pthread_cond_destroy(&q->wake);
        hsi_free(q);
        return status;
    }
    if (pthread_create(&q->thread, NULL, queue_main, q) != 0) {
        pthread_cond_destroy(&q->attendant);
        pthread_cond_destroy(&q->wake);
        hsi_free(q);
        return hsi_error(HSCHED_ERROR_SYSTEM, "a device's thread could not be started; "
                                              "check the limit on threads");
    }
    *result = q;
    return HSCHED_OK;
}

void hsi_queue_stop(hsi_queue *q)
{
    if (!q)
        return;
    pthread_mutex_lock(&q->pool->lock);
    pthread_cond_broadcast(&q->wake);
    /* A thread of the application's that waits for a run may not have noticed yet that there is
     * nothing left to attend to. */
    while (q->attended)
        pthread_cond_wait(&q->wake, &q->pool->lock);
    pthread_mutex_unlock(&q->pool->lock);
    pthread_join(q->thread, NULL);
    pthread_cond_destroy(&q->attendant);
    pthread_cond_destroy(&q->wake);
    hsi_free(q);
}
