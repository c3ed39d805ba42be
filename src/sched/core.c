/*
 * Events and the controller: what may run now, and which runs have ended. Rules:
 * sched/core.h and docs/design/scheduler.md.
 *
 * Every event does its own part, in which runs may end and slots of admission become
 * free, and then calls settle(), which follows the consequences through other runs, one
 * run at a time: a chain of runs may be as long as memory allows, so nothing here
 * recurses.
 */
#include "sched/internal.h"

#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"

static hsched_status check_config(const hsi_core_config *config)
{
    if (config->device_count == 0 || config->device_count > HSI_MAX_DEVICES)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "scheduler: %u devices; give 1 to %d, the CPU first",
                         config->device_count, HSI_MAX_DEVICES);
    for (uint32_t d = 0; d < config->device_count; d++)
        if (config->devices[d].workers == 0)
            return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                             "scheduler: device %u has no workers; give at least one", d);
    if (config->devices[0].max_sections_per_job > 1)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "scheduler: jobs of %u sections on the CPU; give 1 or 0",
                         config->devices[0].max_sections_per_job);
    if (config->devices[0].max_batch > 1 || config->devices[0].own_memory)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "scheduler: the CPU joins no runs and has no memory of its own; "
                         "leave its max_batch and own_memory 0");
    for (uint32_t d = 0; d < config->device_count; d++)
        if (config->devices[d].reserved >= config->devices[d].workers)
            return hsi_error(
                HSCHED_ERROR_INVALID_ARGUMENT,
                "scheduler: %u of %u workers of device %u are reserved; leave "
                "at least one to all priorities",
                config->devices[d].reserved, config->devices[d].workers, d);
    if (config->ageing_us == 0 || config->ageing_us > HSI_AGEING_MAX_US)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "scheduler: ageing of %llu us per priority; give 1 to 2^48",
                         (unsigned long long)config->ageing_us);
    if (config->power_cap_watts < 0)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "scheduler: a power cap of %g W; give 0 or more",
                         config->power_cap_watts);
    if (!(config->gather_share >= 0))
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "scheduler: runs gathered for %g of their time; give 0 or more",
                         config->gather_share);
    if (config->active_limit == 0)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "scheduler: no run may be active; give a limit of at least 1");
    return HSCHED_OK;
}

/* In place of zeros, what they stand for. */
static void settle_device(hsi_core_device *device, uint32_t index)
{
    if (device->max_sections_per_job == 0)
        device->max_sections_per_job = 1;
    if (!(device->load > 0))
        device->load = 1;
    if (!(device->capacity > 0))
        device->capacity = index == 0 ? device->workers : 1;
}

hsched_status hsi_core_create(const hsi_core_config *config, hsi_core **core)
{
    *core = NULL;
    hsched_status status = check_config(config);
    if (status != HSCHED_OK)
        return status;
    hsi_core *made = HSI_NEW(hsi_core);
    if (!made)
        return hsi_out_of_memory("the scheduler");
    made->config = *config;
    for (uint32_t d = 0; d < config->device_count; d++) {
        hsi_core_device *device = &made->config.devices[d];
        settle_device(device, d);
        made->placed_load[d] = device->load;
        made->placed_capacity[d] = device->capacity;
    }
    made->available = (UINT32_C(1) << config->device_count) - 1;
    hsi_admission_init(&made->admission, config->active_limit);
    made->urgent_level = HSI_LEVELS;
    if (!hsi_work_init(made)) {
        hsi_core_destroy(made);
        return hsi_out_of_memory("the scheduler");
    }
    *core = made;
    return HSCHED_OK;
}

void hsi_core_destroy(hsi_core *core)
{
    if (!core)
        return;
    for (uint32_t d = 0; d < core->config.device_count; d++)
        hsi_heap_clear(&core->queues[d]);
    hsi_admission_clear(&core->admission);
    hsi_heap_clear(&core->deadlines);
    hsi_tree_clear(&core->batch_nodes);
    hsi_work_clear(core);
    hsi_free(core);
}

static void advance(hsi_core *core, uint64_t now_us)
{
    if (now_us <= core->now_us)
        return;
    hsi_power_advance(core, now_us);
    core->now_us = now_us;
}

/* ---- Edges between runs --------------------------------------------------- */

static void link_edge(hsi_core_edge *edge, hsi_core_run *to, hsi_core_run *from)
{
    edge->to = to;
    edge->from = from;
    edge->next = NULL;
    if (!from->dependents) {
        edge->prev = edge;
        from->dependents = edge;
        return;
    }
    edge->prev = from->dependents->prev;
    edge->prev->next = edge;
    from->dependents->prev = edge;
}

static void unlink_edge(hsi_core_edge *edge)
{
    hsi_core_run *from = edge->from;
    if (edge->next)
        edge->next->prev = edge->prev;
    else
        from->dependents->prev = edge->prev;
    if (edge == from->dependents)
        from->dependents = edge->next;
    else
        edge->prev->next = edge->next;
    edge->from = NULL;
}

/* ---- Ending --------------------------------------------------------------- */

static void link_active(hsi_core *core, hsi_core_run *run)
{
    run->prev_active = NULL;
    run->next_active = core->active_runs;
    if (run->next_active)
        run->next_active->prev_active = run;
    core->active_runs = run;
}

static void unlink_active(hsi_core *core, hsi_core_run *run)
{
    if (run->prev_active)
        run->prev_active->next_active = run->next_active;
    else
        core->active_runs = run->next_active;
    if (run->next_active)
        run->next_active->prev_active = run->prev_active;
    if (core->next_active == run)
        core->next_active = run->next_active;
}

/* The run has no job in a queue or running. Its dependents are told by settle(). */
static void end_run(hsi_core *core, hsi_core_run *run, hsched_status status)
{
    for (uint32_t i = 0; i < run->edge_count; i++)
        if (run->edges[i].from)
            unlink_edge(&run->edges[i]);
    run->edges = NULL;
    run->edge_count = 0;
    hsi_deadline_ended(core, run);
    if (run->state == HSI_RUN_WAITING)
        hsi_admission_stop_waiting(&core->admission, run);
    if (run->state == HSI_RUN_BLOCKED)
        core->blocked--;
    if (run->state == HSI_RUN_ACTIVE) {
        unlink_active(core, run);
        hsi_gather_ended(core, run);
        hsi_work_ended(core, run);
    }
    hsi_admission_ended(&core->admission, run, run->state == HSI_RUN_ACTIVE);
    hsi_class_seen(core, run);

    run->state = HSI_RUN_ENDED;
    run->status = status;
    run->ended_us = core->now_us;
    core->stats.dropped += status == HSCHED_ERROR_DEADLINE;
    run->next_ended = NULL;
    if (core->last_ended)
        core->last_ended->next_ended = run;
    else
        core->first_ended = run;
    core->last_ended = run;
    if (!core->untold)
        core->untold = run;
}

void hsi_run_withdraw(hsi_core *core, hsi_core_run *run)
{
    /* The first record of a segment is met first; after that its others are not queued
     * any more. */
    for (uint32_t s = 0; run->jobs_out > 0 && s < run->model->section_count; s++) {
        hsi_job *job = &run->jobs[s];
        if (job->state == HSI_JOB_RUNNING && job->paused)
            hsi_paused_release(core, job);
        if (job->state != HSI_JOB_QUEUED)
            continue;
        hsi_jobq_remove(core, job);
        core->backlog[job->device]--;
        run->jobs_out--;
        hsi_distribute_undo(job);
    }
}

void hsi_run_end_if_done(hsi_core *core, hsi_core_run *run)
{
    if (run->restarting && run->jobs_out == 0 && run->sections_left > 0 &&
        !hsi_run_is_stopping(run))
        hsi_recovery_restart(core, run);
    if (run->jobs_out > 0)
        return;
    if (run->sections_left == 0)
        end_run(core, run, HSCHED_OK);
    else if (run->status != HSCHED_OK)
        end_run(core, run, run->status);
    else if (run->cancel_requested)
        end_run(core, run, HSCHED_ERROR_CANCELLED);
    else /* its model's deps and users contradict each other: it must not hang for that */
        end_run(core, run, HSCHED_ERROR_INTERNAL);
}

void hsi_run_stop(hsi_core *core, hsi_core_run *run, hsched_status status)
{
    if (run->state == HSI_RUN_ACTIVE) {
        hsi_run_withdraw(core, run);
        hsi_run_end_if_done(core, run);
    } else {
        end_run(core, run, status);
    }
}

/* ---- Going on ------------------------------------------------------------- */

static void unblock(hsi_core *core, hsi_core_run *run)
{
    core->blocked--;
    run->state = HSI_RUN_WAITING;
    hsi_admission_wait(&core->admission, run);
}

static void activate(hsi_core *core, hsi_core_run *run)
{
    run->state = HSI_RUN_ACTIVE;
    link_active(core, run);
    hsi_work_began(core, run);
    run->admitted_us = core->now_us;
    if (hsi_gather_takes(core, run))
        return;
    hsi_distribute_ready(core, run);
    hsi_run_end_if_done(core, run);
}

static void tell_dependents(hsi_core *core, hsi_core_run *run)
{
    while (run->dependents) {
        hsi_core_edge *edge = run->dependents;
        hsi_core_run *to = edge->to;
        unlink_edge(edge);
        to->blockers--;
        if (run->status != HSCHED_OK)
            end_run(core, to, HSCHED_ERROR_UPSTREAM);
        else if (to->blockers == 0)
            unblock(core, to);
    }
}

/* Follows an event's consequences for other runs until there are none left. All endings
 * are told before anyone is admitted, so that the best of all who may now be is. */
static void settle(hsi_core *core)
{
    for (;;) {
        while (core->untold) {
            tell_dependents(core, core->untold);
            core->untold = core->untold->next_ended;
        }
        hsi_core_run *run = hsi_admission_next(&core->admission);
        if (!run)
            return;
        activate(core, run);
    }
}

/* ---- Events --------------------------------------------------------------- */

static hsched_status check_submit(const hsi_core_run *run, hsi_core_run *const *upstream,
                                  uint32_t edge_count)
{
    if (run->state != HSI_RUN_IDLE && run->state != HSI_RUN_ENDED)
        return hsi_error(HSCHED_ERROR_STATE,
                         "submit: the run is in flight; wait until it has ended");
    if (run->priority < HSCHED_PRIORITY_MIN || run->priority > HSCHED_PRIORITY_MAX)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "submit: priority %d; give %d to %d", run->priority,
                         HSCHED_PRIORITY_MIN, HSCHED_PRIORITY_MAX);
    for (uint32_t i = 0; i < edge_count; i++)
        if (upstream[i] == run || upstream[i]->state == HSI_RUN_IDLE)
            return hsi_error(
                HSCHED_ERROR_INVALID_ARGUMENT,
                "submit: upstream run %u of %u %s; submit it before the runs that "
                "take its outputs",
                i, edge_count,
                upstream[i] == run ? "is the run itself" : "was not submitted");
    return HSCHED_OK;
}

/* Smaller goes first; it never changes. */
static int64_t key_of(const hsi_core *core, const hsi_core_run *run)
{
    const hsi_core_config *config = &core->config;
    if (config->order)
        return config->order(config->order_user, run);
    return (int64_t)run->submitted_us - run->priority * (int64_t)config->ageing_us -
           hsi_deadline_gain(core, run);
}

static void reset_run(hsi_core *core, hsi_core_run *run, hsi_core_edge *edges,
                      uint32_t edge_count)
{
    const uint32_t sections = run->model->section_count;
    const size_t from = offsetof(hsi_core_run, state);
    memset((char *)run + from, 0, offsetof(hsi_core_run, counted_ns) - from);
    run->state = HSI_RUN_BLOCKED;
    run->submitted_us = core->now_us;
    run->sequence = ++core->sequence;
    run->edges = edges;
    run->edge_count = edge_count;
    run->sections_left = sections;
    run->key = key_of(core, run);
    for (uint32_t s = 0; s < sections; s++)
        run->jobs[s] = (hsi_job){
            .run = run,
            .section = s,
            .pending = run->model->sections[s].dep_count,
        };
    for (uint32_t i = 0; i < edge_count; i++)
        edges[i] = (hsi_core_edge){ .to = run };
}

hsched_status hsi_core_submit(hsi_core *core, hsi_core_run *run,
                              hsi_core_run *const *upstream, hsi_core_edge *edges,
                              uint32_t edge_count, uint64_t now_us)
{
    hsched_status status = check_submit(run, upstream, edge_count);
    if (status == HSCHED_OK && !hsi_deadline_reserve(core, run))
        status = hsi_out_of_memory("the scheduler's deadlines");
    if (status == HSCHED_OK)
        status = hsi_admission_reserve(core, run);
    if (status != HSCHED_OK)
        return status;

    advance(core, now_us);
    reset_run(core, run, edges, edge_count);
    hsi_admission_submitted(&core->admission, run);
    hsi_class_seen(core, run);
    hsi_deadline_submitted(core, run);
    core->blocked++;
    int failed = 0;
    for (uint32_t i = 0; i < edge_count; i++) {
        if (upstream[i]->state != HSI_RUN_ENDED) {
            link_edge(&edges[i], run, upstream[i]);
            run->blockers++;
        } else if (upstream[i]->status != HSCHED_OK) {
            failed = 1;
        }
    }
    if (failed)
        end_run(core, run, HSCHED_ERROR_UPSTREAM);
    else if (run->blockers == 0)
        unblock(core, run);
    settle(core);
    return HSCHED_OK;
}

void hsi_core_tick(hsi_core *core, uint64_t now_us)
{
    advance(core, now_us);
    if (hsi_gather_due(core) <= core->now_us)
        hsi_gather_place(core);
    else if (hsi_deadline_next(core) > core->now_us)
        return;
    hsi_deadlines_pass(core);
    settle(core);
}

int hsi_core_gathers(const hsi_core *core)
{
    return core->gather.count > 0;
}

void hsi_core_place_gathered(hsi_core *core, uint64_t now_us)
{
    advance(core, now_us);
    hsi_gather_place(core);
    settle(core);
}

uint32_t hsi_core_take_batch(hsi_core *core, uint32_t device, hsi_job **jobs,
                             uint32_t most, uint64_t now_us)
{
    if (device >= core->config.device_count)
        return 0;
    hsi_core_tick(core, now_us);
    if (!hsi_power_allows(core, device))
        return 0;
    uint32_t count = hsi_jobq_pop(core, device, jobs, most);
    for (uint32_t k = 0; k < count; k++)
        for (uint32_t i = 0; i < jobs[k]->count; i++)
            jobs[k][i].state = HSI_JOB_RUNNING;
    if (count > 0)
        hsi_executing_began(core, jobs[0]);
    return count;
}

hsi_job *hsi_core_take(hsi_core *core, uint32_t device)
{
    hsi_job *job;
    return hsi_core_take_batch(core, device, &job, 1, core->now_us) ? job : NULL;
}

void hsi_core_set_ready(hsi_core *core, const hsi_core_model *model, uint32_t device,
                        uint32_t ready)
{
    if (model->batch_queues && model->batch_queues[device].ready != ready)
        hsi_jobq_set_ready(core, device, &model->batch_queues[device], ready);
}

uint64_t hsi_core_next_due(const hsi_core *core, uint32_t device)
{
    if (device >= core->config.device_count)
        return UINT64_MAX;
    const hsi_job *first = hsi_jobq_first(core, device);
    uint64_t due = first ? hsi_executing_bars_until(core, first) : UINT64_MAX;
    if (due <= core->now_us)
        due = 0;
    for (const hsi_batch_queue *q = core->held[device]; q && due > 0; q = q->next_held) {
        const uint64_t until = hsi_jobq_held_until(core, device, q);
        if (until < due)
            due = until;
    }
    if (due == UINT64_MAX || hsi_power_allows(core, device))
        return due;
    const uint64_t paid = hsi_power_until(core, device);
    return paid > due ? paid : due;
}

uint64_t hsi_core_next_tick(const hsi_core *core)
{
    uint64_t next = hsi_deadline_next(core);
    const uint64_t gathered = hsi_gather_due(core);
    if (gathered < next)
        next = gathered;
    for (uint32_t d = 0; d < core->config.device_count; d++) {
        if (core->queued[d] == 0 || hsi_power_allows(core, d))
            continue;
        const uint64_t paid = hsi_power_until(core, d);
        if (paid < next)
            next = paid;
    }
    return next;
}

/* The sections of a job are done: who waited for them may run, if the run still goes on.
 */
static void sections_done(hsi_core *core, hsi_job *job)
{
    hsi_core_run *run = job->run;
    const hsi_core_section *sections = &run->model->sections[job->section];
    for (uint32_t i = 0; i < job->count; i++) {
        job[i].state = HSI_JOB_DONE;
        for (uint32_t u = 0; u < sections[i].user_count; u++)
            run->jobs[sections[i].users[u]].pending--;
    }
    run->sections_left -= job->count;
    run->jobs_run++;
    run->executed_on |= 1u << job->device;
    hsi_work_done(job);
    run->crossings += job->crossings;
    core->stats.jobs++;
    core->stats.crossings += job->crossings;
    const int goes_on = !hsi_run_is_stopping(run) && !run->restarting;
    for (uint32_t i = 0; goes_on && i < job->count; i++)
        for (uint32_t u = 0; u < sections[i].user_count; u++) {
            hsi_job *user = &run->jobs[sections[i].users[u]];
            if (user->state == HSI_JOB_WAITING && user->pending == 0)
                hsi_distribute(core, user);
        }
    if (run->sections_left > 0) /* else it ends now, and brings nothing */
        hsi_work_count(core, run);
}

/* A job did not end well, and whether it fails its run depends on where it ran. */
static void job_failed(hsi_core *core, hsi_job *job, hsched_status status)
{
    hsi_core_run *run = job->run;
    uint32_t device = job->device;
    int lost = status == HSCHED_ERROR_DEVICE && device != 0;
    int restart = core->config.devices[device].own_memory || run->restarting;
    if (lost && !restart) {
        hsi_recovery_lose_device(core, device);
        if (!hsi_run_is_stopping(run)) {
            hsi_distribute_moved(core, job);
            return;
        }
    }
    hsi_distribute_undo(job);
    if (!hsi_run_is_stopping(run)) {
        if (restart) {
            if (device != 0)
                hsi_distribute_count_moved(core, run);
            hsi_recovery_begin_restart(core, run);
        } else {
            run->status = status;
            hsi_run_withdraw(core, run);
        }
    }
    if (lost && restart)
        hsi_recovery_lose_device(core, device);
}

void hsi_job_end(hsi_core *core, hsi_job *job, hsched_status status)
{
    hsi_core_run *run = job->run;
    core->backlog[job->device]--;
    run->jobs_out--;
    hsi_executing_ended(core, job);
    hsi_jobq_ended(core, job);
    if (status == HSCHED_OK)
        sections_done(core, job);
    else
        job_failed(core, job, status);
    hsi_run_end_if_done(core, run);
}

void hsi_core_job_ended(hsi_core *core, hsi_job *job, hsched_status status,
                        uint64_t now_us)
{
    advance(core, now_us);
    hsi_job_end(core, job, status);
    settle(core);
}

void hsi_core_job_paused(hsi_core *core, hsi_job *const *jobs, uint32_t count,
                         uint32_t sections, uint64_t now_us)
{
    advance(core, now_us);
    hsi_pause(core, jobs, count, sections);
    settle(core);
}

void hsi_core_cancel(hsi_core *core, hsi_core_run *run, uint64_t now_us)
{
    if (run->state == HSI_RUN_IDLE || run->state == HSI_RUN_ENDED)
        return;
    advance(core, now_us);
    if (hsi_run_is_stopping(run))
        return;
    run->cancel_requested = 1;
    hsi_run_stop(core, run, HSCHED_ERROR_CANCELLED);
    settle(core);
}

/* Less would move runs for what is noise. */
static int is_much(double now, double before)
{
    return now > before * 1.2 || now * 1.2 < before;
}

void hsi_core_set_speed(hsi_core *core, uint32_t device, double load, double capacity,
                        uint64_t now_us)
{
    advance(core, now_us);
    if (device >= core->config.device_count)
        return;
    hsi_core_device *d = &core->config.devices[device];
    hsi_core_device told = { .workers = d->workers, .load = load, .capacity = capacity };
    settle_device(&told, device);
    d->load = told.load;
    d->capacity = told.capacity;
    if (!is_much(d->load, core->placed_load[device]) &&
        !is_much(d->capacity, core->placed_capacity[device]))
        return;
    core->placed_load[device] = d->load;
    core->placed_capacity[device] = d->capacity;
    hsi_work_replace_all(core);
    settle(core);
}

void hsi_core_set_watts(hsi_core *core, uint32_t device, double watts, double idle_watts,
                        uint64_t now_us)
{
    advance(core, now_us);
    if (device >= core->config.device_count)
        return;
    core->config.devices[device].watts = watts;
    core->config.devices[device].idle_watts = idle_watts;
}

void hsi_core_set_drawn(hsi_core *core, uint32_t device, double watts, uint64_t now_us)
{
    advance(core, now_us);
    if (device < core->config.device_count)
        hsi_power_told(core, device, watts);
}

int hsi_core_waits(const hsi_core_run *run)
{
    if (run->state == HSI_RUN_BLOCKED || run->state == HSI_RUN_WAITING)
        return 1;
    if (run->state != HSI_RUN_ACTIVE || run->restarts > 0 || hsi_run_is_stopping(run))
        return 0;
    for (uint32_t s = 0; s < run->model->section_count; s++)
        if (run->jobs[s].state == HSI_JOB_RUNNING || run->jobs[s].state == HSI_JOB_DONE)
            return 0;
    return 1;
}

void hsi_core_device_lost(hsi_core *core, uint32_t device, uint64_t now_us)
{
    advance(core, now_us);
    if (device > 0 && device < core->config.device_count)
        hsi_recovery_lose_device(core, device);
    settle(core);
}

uint32_t hsi_core_lost_devices(const hsi_core *core)
{
    return ((UINT32_C(1) << core->config.device_count) - 1) & ~core->available;
}

int hsi_core_has_ended(const hsi_core *core)
{
    return core->first_ended != NULL;
}

hsi_core_run *hsi_core_next_ended(hsi_core *core)
{
    hsi_core_run *run = core->first_ended;
    if (!run)
        return NULL;
    core->first_ended = run->next_ended;
    if (!core->first_ended)
        core->last_ended = NULL;
    run->next_ended = NULL;
    return run;
}

uint32_t hsi_core_queued(const hsi_core *core, uint32_t device)
{
    return device < core->config.device_count ? core->queued[device] : 0;
}

uint32_t hsi_core_startable(const hsi_core *core, uint32_t device)
{
    if (device >= core->config.device_count || !hsi_power_allows(core, device))
        return 0;
    const hsi_job *first = hsi_jobq_first(core, device);
    if (first && hsi_executing_bars(core, first))
        return core->held[device] != NULL; /* of those some may be due, and better */
    const hsi_job *second = first ? hsi_jobq_second(core, device) : NULL;
    if (second && core->config.devices[device].strict &&
        second->run->priority < first->run->priority)
        return 1;
    return core->queued[device];
}

double hsi_core_load(const hsi_core *core, uint32_t device)
{
    return device < core->config.device_count ? core->config.devices[device].load : 1;
}

void hsi_core_get_watts(const hsi_core *core, uint32_t device, double *watts,
                        double *idle_watts)
{
    const int there = device < core->config.device_count;
    *watts = there ? core->config.devices[device].watts : 0;
    *idle_watts = there ? core->config.devices[device].idle_watts : 0;
}

void hsi_core_get_stats(const hsi_core *core, hsi_core_stats *stats)
{
    *stats = core->stats;
    stats->owed_uj = core->owed_uj;
    stats->now_us = core->now_us;
    stats->active_runs = core->admission.active;
    stats->gathered_runs = core->gather.count;
    stats->waiting_runs = core->admission.waiting;
    stats->blocked_runs = core->blocked;
}

uint64_t hsi_core_now_us(const hsi_core *core)
{
    return core->now_us;
}

uint32_t hsi_core_active_runs(const hsi_core *core)
{
    return core->admission.active;
}

uint64_t hsi_core_incidents(const hsi_core *core)
{
    const hsi_core_stats *stats = &core->stats;
    return stats->restarts + stats->jobs_moved + stats->missed + stats->replaced;
}
