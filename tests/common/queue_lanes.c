/* Jobs in the lanes of the simulated device, the threads that execute them, and events. */
#include "common/queue_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- Executing (the device's own threads) ------------------------------------------- */

static int events_are_set(const queue_lane *lane)
{
    for (uint32_t i = 0; i < lane->event_count; i++)
        if (!lane->events[i]->set)
            return 0;
    return 1;
}

/* Jobs of one run share a slot: they go one after the other. */
static int is_first_in_slot(const hsched_backend_device *d, const queue_lane *lane)
{
    for (uint32_t i = 0; i < d->lane_count; i++) {
        const queue_lane *other = &d->lanes[i];
        if (other->slot == lane->slot && other->sequence < lane->sequence &&
            (other->state == LANE_PENDING || other->state == LANE_EXECUTING))
            return 0;
    }
    return 1;
}

static queue_lane *choose_lane(hsched_backend_device *d)
{
    queue_lane *chosen = NULL;
    uint64_t candidates = 0;
    if (queue_the.closed_gates[QUEUE_GATE_JOBS])
        return NULL;
    for (uint32_t i = 0; i < d->lane_count; i++) {
        queue_lane *lane = &d->lanes[i];
        if (lane->state != LANE_PENDING || !events_are_set(lane) ||
            !is_first_in_slot(d, lane))
            continue;
        candidates++;
        if (!chosen || (queue_the.script.seed ? queue_random(candidates) == 0
                                              : lane->sequence < chosen->sequence))
            chosen = lane;
    }
    return chosen;
}

static int is_lost(const hsched_backend_device *d)
{
    queue_lock();
    const int lost = d->lost;
    queue_unlock();
    return lost;
}

/* Without the mutex. 0: the device was lost meanwhile. A loss that is meant to happen in this job
 * does so when half of its steps are done. */
static int execute_steps(hsched_backend_device *d, const queue_lane *lane, int losing)
{
    for (uint32_t i = 0; i < lane->step_count; i++) {
        if (losing && i == lane->step_count / 2) {
            queue_lock();
            queue_lose(d);
            queue_unlock();
        }
        if (is_lost(d))
            return 0;
        for (uint32_t m = 0; m < lane->members; m++)
            if (queue_execute_step(lane->slot, lane, m, lane->first_step + i) !=
                HSCHED_OK)
                queue_complain("step %u: %s", lane->first_step + i,
                               hsched_error_detail());
    }
    return 1;
}

/* Under the mutex, given up in between. */
static void execute(hsched_backend_device *d, queue_lane *lane)
{
    const int losing = queue_the.lose_after > 0 && --queue_the.lose_after == 0;
    lane->state = LANE_EXECUTING;
    queue_unlock();
    const int well = execute_steps(d, lane, losing);
    queue_lock();
    lane->state = well ? LANE_DONE : LANE_DROPPED;
    lane->unseen_polls =
        queue_the.script.seed && queue_random(4) == 0 ? (uint32_t)queue_random(20) : 0;
    lane->slot->event.set = 1;
    lane->slot->section->jobs--;
    if (well)
        queue_the.counts[QUEUE_COUNT_EXECUTED]++;
    queue_changed();
}

static void *executor_main(void *argument)
{
    hsched_backend_device *d = argument;
    queue_lock();
    while (!d->closing) {
        queue_lane *lane = choose_lane(d);
        if (lane)
            execute(d, lane);
        else
            queue_wait();
    }
    queue_unlock();
    return NULL;
}

hsched_status queue_start_executors(hsched_backend_device *d)
{
    while (d->executor_count < QUEUE_EXECUTORS) {
        if (pthread_create(&d->executors[d->executor_count], NULL, executor_main, d) != 0)
            return queue_the.host->set_error(HSCHED_ERROR_SYSTEM,
                                             "simulated queue: no thread");
        d->executor_count++;
    }
    return HSCHED_OK;
}

void queue_stop_executors(hsched_backend_device *d)
{
    queue_lock();
    d->closing = 1;
    queue_changed();
    for (uint32_t i = 0; i < d->lane_count; i++)
        if (d->lanes[i].state == LANE_PENDING || d->lanes[i].state == LANE_EXECUTING)
            queue_complain("a device is closed while a job is in lane %u", i);
    queue_unlock();
    for (uint32_t i = 0; i < d->executor_count; i++)
        pthread_join(d->executors[i], NULL);
}

/* ---- Starting a job --------------------------------------------------------------------- */

static void check_steps(const hsched_backend_slot *slot, const hsched_queue_job *job)
{
    const hsched_backend_section *s = slot->section;
    if (job->step_count == 0 || job->first_step + job->step_count > s->step_count) {
        queue_complain("a job has steps %u to %u of %u", job->first_step,
                       job->first_step + job->step_count, s->step_count);
        return;
    }
    for (uint32_t i = 0; i < job->step_count; i++)
        if (!s->places[job->first_step + i].here)
            queue_complain("step %u is in a job and not for this device",
                           job->first_step + i);
    if (!s->places[0].floats && !s->joinable && s->max_batch > 1 &&
        (!job->arena || !job->arena->device))
        queue_complain("a job of a model with crossings has no arena");
    if (s->places[0].floats && !job->arena &&
        job->first_step != (slot->in_run ? slot->next_step : 0))
        queue_complain("a job has no arena and begins with step %u", job->first_step);
}

/* Under the mutex. */
static void check_job(const hsched_backend_slot *slot, const hsched_queue_job *job,
                      uint32_t lane)
{
    const hsched_backend_section *s = slot->section;
    const hsched_backend_device *d = s->device;
    if (lane >= d->lane_count)
        queue_complain("a job for lane %u of %u", lane, d->lane_count);
    else if (d->lanes[lane].state == LANE_PENDING ||
             d->lanes[lane].state == LANE_EXECUTING)
        queue_complain("a job for lane %u, which has one", lane);
    if (job->members < 1 || job->members > slot->members)
        queue_complain("a job of %u members in a slot of %u", job->members,
                       slot->members);
    if (job->members > 1 && !s->joinable)
        queue_complain("runs are joined that cannot be");
    check_steps(slot, job);
}

/* What a run's first job brings, for all of its jobs. */
static hsched_status begin_run(hsched_backend_slot *slot, const hsched_queue_job *job)
{
    const hsched_backend_section *s = slot->section;
    hsched_memory *next = slot->ios;
    memset(slot->memory, 0xff, slot->members * slot->member_bytes);
    memset(slot->staged, 0, s->step_count);
    for (uint32_t m = 0; m < job->members; m++) {
        for (uint32_t i = 0; i < s->input_count; i++)
            *next++ = job->inputs[m][i];
        for (uint32_t i = 0; i < s->output_count; i++)
            *next++ = job->outputs[m][i];
    }
    slot->arena = job->arena ? *job->arena : (hsched_memory){ 0 };
    const hsched_status status = queue_make_stages(slot, job->members);
    if (status == HSCHED_OK)
        queue_stage_inputs(slot, job->members);
    return status;
}

/* The same memory for all jobs of a run. */
static void check_run(const hsched_backend_slot *slot, const hsched_queue_job *job)
{
    const hsched_backend_section *s = slot->section;
    const hsched_memory *next = slot->ios;
    for (uint32_t m = 0; m < job->members; m++) {
        for (uint32_t i = 0; i < s->input_count; i++, next++)
            if (next->device != job->inputs[m][i].device ||
                next->host != job->inputs[m][i].host)
                queue_complain("input %u has moved between two jobs of a run", i);
        for (uint32_t i = 0; i < s->output_count; i++, next++)
            if (next->device != job->outputs[m][i].device ||
                next->host != job->outputs[m][i].host)
                queue_complain("output %u has moved between two jobs of a run", i);
    }
    if (slot->arena.device != (job->arena ? job->arena->device : 0))
        queue_complain("the arena has moved between two jobs of a run");
}

/* Under the mutex. */
static void note_job(const hsched_backend_section *s, const hsched_queue_job *job,
                     uint32_t lane)
{
    if (queue_the.job_count < QUEUE_MAX_JOBS)
        queue_the.jobs[queue_the.job_count] =
            (queue_device_job){ .members = job->members,
                                .first_step = job->first_step,
                                .step_count = job->step_count,
                                .lane = lane,
                                .priority = job->priority,
                                .device = s->device->ordinal };
    queue_the.job_count++;
    if (s->jobs > queue_the.most_jobs)
        queue_the.most_jobs = s->jobs;
}

/* Under the mutex. */
static void put_in_lane(hsched_backend_slot *slot, const hsched_queue_job *job,
                        uint32_t index)
{
    queue_lane *lane = &slot->section->device->lanes[index];
    *lane = (queue_lane){ .state = LANE_PENDING,
                          .slot = slot,
                          .members = job->members,
                          .first_step = job->first_step,
                          .step_count = job->step_count,
                          .sequence = ++queue_the.sequence };
    for (uint32_t m = 0; job->wait_events && m < job->members; m++)
        if (job->wait_events[m])
            lane->events[lane->event_count++] = job->wait_events[m];
    slot->event.set = 0;
    slot->next_step = job->first_step + job->step_count;
    slot->section->jobs++;
    slot->section->device->launches++;
    note_job(slot->section, job, index);
    queue_count_up(QUEUE_COUNT_STARTED);
}

hsched_status queue_submit(hsched_backend_slot *slot, const hsched_queue_job *job,
                           uint32_t lane)
{
    hsched_backend_device *d = slot->section->device;
    queue_lock();
    queue_count_up(QUEUE_COUNT_SUBMITS);
    queue_wait_for_gate(QUEUE_GATE_SUBMIT);
    hsched_status status = queue_enter(d, QUEUE_CALL_SUBMIT);
    check_job(slot, job, lane);
    const int first = !slot->in_run;
    slot->in_run = status == HSCHED_OK;
    queue_unlock();
    if (status == HSCHED_OK && first)
        status = begin_run(slot, job);
    else if (status == HSCHED_OK)
        check_run(slot, job);
    if (status != HSCHED_OK)
        return status;
    queue_stage_job(slot, job, 1);
    queue_lock();
    if (d->lost)
        status = queue_enter(d, QUEUE_CALL_SUBMIT);
    else
        put_in_lane(slot, job, lane);
    queue_unlock();
    return status;
}

/* ---- Its end -------------------------------------------------------------------------------- */

hsched_status queue_poll(hsched_backend_device *d, uint32_t index, int *done)
{
    hsched_status status = HSCHED_OK;
    queue_lock();
    queue_lane *lane = &d->lanes[index];
    *done = lane->state == LANE_DONE && lane->unseen_polls == 0;
    if (lane->state == LANE_DONE && lane->unseen_polls > 0)
        lane->unseen_polls--;
    if (lane->state == LANE_IDLE)
        queue_complain("lane %u is asked for, which has no job", index);
    if (lane->state == LANE_DROPPED)
        status = queue_the.host->set_error(HSCHED_ERROR_DEVICE,
                                           "simulated queue: the device is lost");
    queue_unlock();
    return status;
}

hsched_status queue_finish(hsched_backend_slot *slot, const hsched_queue_job *job)
{
    queue_lock();
    const hsched_status status = queue_enter(slot->section->device, QUEUE_CALL_FINISH);
    queue_unlock();
    if (status == HSCHED_OK)
        queue_stage_job(slot, job, 0);
    return status;
}

/* ---- Events -------------------------------------------------------------- */

void *queue_slot_event(hsched_backend_slot *slot)
{
    return &slot->event;
}

void queue_event_await(queue_event *event)
{
    queue_lock();
    while (!event->set)
        queue_wait();
    queue_unlock();
}

hsched_status queue_wait_event(hsched_backend_device *d, void *event)
{
    queue_lock();
    queue_count_up(QUEUE_COUNT_WAITS);
    const hsched_status status = queue_enter(d, QUEUE_CALL_WAIT);
    queue_unlock();
    if (status == HSCHED_OK)
        queue_event_await(event);
    return status;
}

queue_event *queue_event_create(void)
{
    return calloc(1, sizeof(queue_event));
}

void queue_event_destroy(queue_event *event)
{
    free(event);
}

void queue_event_set(queue_event *event)
{
    queue_lock();
    event->set = 1;
    queue_changed();
    queue_unlock();
}

int queue_event_is_set(queue_event *event)
{
    queue_lock();
    const int set = event->set;
    queue_unlock();
    return set;
}
