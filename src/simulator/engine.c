/* The event loop: streams submit runs, the core hands out jobs, executors work them off. */
#include "simulator/engine.h"

#include <math.h>

#include "base/alloc.h"
#include "base/status.h"
#include "simulator/executor.h"

typedef struct stream_state {
    uint64_t submitted, in_flight;
} stream_state;

typedef struct engine_run engine_run;
struct engine_run {
    hsi_core_run core;           /* first: the core's pointers are ours */
    engine_run *next, *previous; /* of those that have not ended */
    const hsi_engine_stream *stream;
    stream_state *state;
    uint64_t number;
    double submit_us, begin_us;
    uint32_t
        *there; /* per section: the devices that its results have crossed to, as bits */
    hsi_job jobs[]; /* and behind them what `there` points to */
};

typedef struct engine {
    const hsi_engine_config *config;
    const hsi_engine_stream *streams;
    uint32_t stream_count;
    stream_state *states;
    hsi_core *core;
    hsi_executor executors[HSI_MAX_DEVICES];
    double capacities[HSI_MAX_DEVICES];
    double now_us;
    engine_run *runs; /* that have not ended */
    uint64_t run_count, random;
    hsi_engine_totals *totals;
} engine;

/* The core's clock; it does not go back, since ours does not. */
static uint64_t core_time(double us)
{
    return (uint64_t)us;
}

/* ---- Submitting ----------------------------------------------------------- */

static uint64_t run_total(const hsi_engine_stream *stream)
{
    return (uint64_t)stream->instances * stream->runs;
}

/* When the stream submits next by itself; INFINITY: never, or not before one of its runs ends. */
static double next_submission(const engine *e, uint32_t stream)
{
    const hsi_engine_stream *s = &e->streams[stream];
    const uint64_t submitted = e->states[stream].submitted;
    if (submitted == run_total(s) || s->instances == 0)
        return INFINITY;
    if (s->period_us > 0)
        return s->first_us + (double)(submitted / s->instances) * s->period_us;
    if (submitted < s->instances)
        return s->first_us;
    return e->states[stream].in_flight < s->instances ? e->now_us : INFINITY;
}

static hsched_status submit(engine *e, uint32_t stream)
{
    const hsi_engine_stream *s = &e->streams[stream];
    const uint32_t sections = s->model->core.section_count;
    engine_run *run = hsi_calloc(
        1, sizeof *run + sections * (sizeof run->jobs[0] + sizeof *run->there));
    if (!run)
        return hsi_out_of_memory("a simulated run");
    run->there = (uint32_t *)(run->jobs + sections);
    run->stream = s;
    run->state = &e->states[stream];
    run->submit_us = e->now_us;
    run->begin_us = -1;
    run->core.model = &s->model->core;
    run->core.jobs = run->jobs;
    run->core.priority = s->priority;
    run->core.drop_late = s->drop_late != 0;
    if (s->deadline_us > 0)
        run->core.deadline_us = (uint64_t)ceil(e->now_us + s->deadline_us);
    hsched_status status =
        hsi_core_submit(e->core, &run->core, NULL, NULL, 0, core_time(e->now_us));
    if (status != HSCHED_OK) {
        hsi_free(run);
        return status;
    }
    run->number = ++e->run_count;
    e->states[stream].submitted++;
    e->states[stream].in_flight++;
    run->next = e->runs;
    if (run->next)
        run->next->previous = run;
    e->runs = run;
    return HSCHED_OK;
}

/* Does the application wait now? It does when it has submitted the first runs of all. */
static int has_submitted_all(const engine *e)
{
    for (uint32_t i = 0; i < e->stream_count; i++)
        if (e->streams[i].period_us == 0 &&
            e->states[i].submitted < e->streams[i].instances && e->streams[i].runs > 0)
            return 0;
    return 1;
}

static hsched_status submit_due(engine *e)
{
    hsched_status status = HSCHED_OK;
    for (uint32_t i = 0; i < e->stream_count; i++)
        while (status == HSCHED_OK && next_submission(e, i) <= e->now_us)
            status = submit(e, i);
    if (status == HSCHED_OK && has_submitted_all(e))
        hsi_core_place_gathered(e->core, core_time(e->now_us));
    return status;
}

/* ---- Runs that have ended ------------------------------------------------- */

static hsched_status report_run(engine *e, engine_run *run)
{
    const hsi_engine_run ended = {
        .model = run->stream->model,
        .number = run->number,
        .status = run->core.status,
        .missed = run->core.missed,
        .priority = run->core.priority,
        .submit_us = run->submit_us,
        .begin_us = run->begin_us,
        .end_us = e->now_us,
        .deadline_us = run->stream->deadline_us,
        .jobs = run->core.jobs_run,
        .crossings = run->core.crossings,
    };
    return e->config->run_ended ? e->config->run_ended(e->config->user, &ended)
                                : HSCHED_OK;
}

static void forget_run(engine *e, engine_run *run)
{
    if (run->next)
        run->next->previous = run->previous;
    if (run->previous)
        run->previous->next = run->next;
    else
        e->runs = run->next;
    run->state->in_flight--;
    hsi_free(run);
}

static hsched_status collect_ended(engine *e)
{
    hsched_status status = HSCHED_OK;
    hsi_core_run *core;
    while ((core = hsi_core_next_ended(e->core)) != NULL) {
        engine_run *run = (engine_run *)core;
        if (status == HSCHED_OK)
            status = report_run(e, run);
        e->totals->end_us = e->now_us;
        forget_run(e, run);
    }
    return status;
}

/* ---- Jobs ----------------------------------------------------------------- */

/* -1 to 1: splitmix64 (Steele, Lea, Flood, 2014). */
static double next_random(engine *e)
{
    uint64_t z = e->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1p-52 - 1;
}

static double pass_us(const hsi_placement_link *link, uint64_t bytes, uint32_t runs)
{
    return bytes > 0 ? link->us + link->us_per_byte * (double)bytes * runs : 0;
}

/*
 * What the job takes over from other devices, once each, and what of the model's inputs and
 * outputs is not where it executes. Runs that are joined have whole runs as jobs, so what holds
 * for the first member holds for all.
 */
static double crossings_us(const hsi_job *job, uint32_t members)
{
    engine_run *run = (engine_run *)job->run;
    const hsi_placement_problem *costs = run->stream->model->costs;
    const uint32_t here = job->device;
    double us = 0;
    for (uint32_t s = job->section; s < job->section + job->count; s++) {
        const hsi_placement_section *section = &costs->sections[s];
        for (uint32_t i = 0; i < section->dep_count; i++) {
            const uint32_t dep = section->deps[i], from = run->jobs[dep].device;
            if (from == here || (run->there[dep] >> here & 1))
                continue;
            us += pass_us(&costs->links[from][here], section->dep_bytes[i], members);
            run->there[dep] |= section->dep_bytes[i] > 0 ? UINT32_C(1) << here : 0;
        }
        if (here != 0)
            us += pass_us(&costs->links[0][here], section->input_bytes, members) +
                  pass_us(&costs->links[here][0], section->output_bytes, members);
    }
    return us;
}

static double work_us(engine *e, const hsi_job *job, uint32_t members)
{
    const hsi_engine_model *model = (const hsi_engine_model *)job->run->model;
    const hsi_placement_problem *costs = model->costs;
    double us = 0;
    for (uint32_t s = job->section; s < job->section + job->count; s++)
        us += costs->us[s * costs->device_count + job->device];
    if (members > 1)
        us *= hsi_curve_at(&model->batch[job->device], members);
    if (e->config->jitter > 0)
        us *= 1 + e->config->jitter * next_random(e);
    return us;
}

static void start_jobs(engine *e, uint32_t device)
{
    hsi_executor *executor = &e->executors[device];
    hsi_executor_worker *worker;
    while ((worker = hsi_executor_idle(executor, e->now_us)) != NULL) {
        const uint32_t count = hsi_core_take_batch(e->core, device, worker->members,
                                                   executor->most, core_time(e->now_us));
        if (count == 0)
            return;
        worker->count = count;
        for (uint32_t i = 0; i < count; i++) {
            engine_run *run = (engine_run *)worker->members[i]->run;
            if (run->begin_us < 0)
                run->begin_us = e->now_us;
        }
        const hsi_job *job = worker->members[0];
        const hsi_engine_model *model = (const hsi_engine_model *)job->run->model;
        hsi_executor_begin(executor, worker, e->now_us,
                           model->costs->job_us[device] + crossings_us(job, count),
                           work_us(e, job, count));
    }
}

static hsched_status report_job(const engine *e, uint32_t device,
                                const hsi_executor_worker *worker)
{
    uint64_t runs[HSI_ENGINE_BATCH];
    const hsi_job *job = worker->members[0];
    hsi_engine_job ended = {
        .model = (const hsi_engine_model *)job->run->model,
        .device = device,
        .worker = (uint32_t)(worker - e->executors[device].workers),
        .section = job->section,
        .count = job->count,
        .members = worker->count,
        .runs = runs,
        .begin_us = worker->began_us,
        .end_us = e->now_us,
        .fixed_us = worker->fixed_us,
        .work_us = worker->work_us,
    };
    for (uint32_t i = 0; i < worker->count; i++) {
        runs[i] = ((const engine_run *)worker->members[i]->run)->number;
        ended.crossings += worker->members[i]->crossings;
    }
    return e->config->job_ended ? e->config->job_ended(e->config->user, &ended)
                                : HSCHED_OK;
}

static hsched_status end_jobs(engine *e, uint32_t device)
{
    hsi_executor *executor = &e->executors[device];
    hsched_status status = HSCHED_OK;
    hsi_executor_worker *worker;
    while (status == HSCHED_OK && (worker = hsi_executor_done(executor)) != NULL) {
        status = report_job(e, device, worker);
        for (uint32_t i = 0; i < worker->count; i++)
            hsi_core_job_ended(e->core, worker->members[i], HSCHED_OK,
                               core_time(e->now_us));
        hsi_executor_end(executor, worker);
    }
    return status;
}

/* ---- Time ----------------------------------------------------------------- */

/* A time of the core's at which something happens if nothing happens before: what it calls now
 * has happened, so that it comes with the clock's next tick at the earliest. */
static double core_event(const engine *e, uint64_t time)
{
    if (time == UINT64_MAX)
        return INFINITY;
    return (double)(time > core_time(e->now_us) ? time : core_time(e->now_us) + 1);
}

/* As many jobs' work as the device does at the same time, at best. */
static double capacity_of(const hsi_engine_device *device)
{
    double most = 1;
    for (uint32_t jobs = 2; jobs <= device->core.workers; jobs++)
        most = fmax(most, jobs / hsi_curve_at(&device->stretch, jobs));
    return most;
}

/* A runtime finds out within 200 ms from what jobs take; here it is known at once. */
static void tell_speeds(engine *e)
{
    for (uint32_t d = 0; d < e->config->device_count; d++)
        hsi_core_set_speed(e->core, d, hsi_executor_load(&e->executors[d], e->now_us),
                           e->capacities[d], core_time(e->now_us));
}

static double next_event(engine *e)
{
    double next = core_event(e, hsi_core_next_tick(e->core));
    for (uint32_t i = 0; i < e->stream_count; i++)
        next = fmin(next, next_submission(e, i));
    for (uint32_t d = 0; d < e->config->device_count; d++) {
        hsi_executor *executor = &e->executors[d];
        hsi_executor_set_speeds(executor, e->now_us);
        next = fmin(next, hsi_executor_next(executor, e->now_us));
        if (hsi_executor_idle(executor, e->now_us))
            next = fmin(next, core_event(e, hsi_core_next_due(e->core, d)));
    }
    return next;
}

/* All that happens at the present time; then time goes on. *more: there is anything to come. */
static hsched_status step(engine *e, int *more)
{
    const uint32_t devices = e->config->device_count;
    hsched_status status = HSCHED_OK;
    for (uint32_t d = 0; d < devices && status == HSCHED_OK; d++)
        status = end_jobs(e, d);
    hsi_core_tick(e->core, core_time(e->now_us));
    tell_speeds(e);
    if (status == HSCHED_OK)
        status = collect_ended(e);
    if (status == HSCHED_OK)
        status = submit_due(e);
    if (status != HSCHED_OK)
        return status;
    for (uint32_t d = 0; d < devices; d++)
        start_jobs(e, d);
    if (hsi_core_has_ended(e->core)) /* a job was taken late: its run was dropped */
        return collect_ended(e);
    const double next = next_event(e);
    *more = next < INFINITY;
    if (!*more)
        return !e->runs ? HSCHED_OK
                        : hsi_error(HSCHED_ERROR_INTERNAL,
                                    "simulation: nothing happens any more after %g us, "
                                    "and run %llu has not ended; please report it",
                                    e->now_us, (unsigned long long)e->runs->number);
    for (uint32_t d = 0; d < devices; d++)
        hsi_executor_advance(&e->executors[d], e->now_us, next);
    e->now_us = next;
    return HSCHED_OK;
}

/* ---- From beginning to end ------------------------------------------------ */

static hsched_status begin(engine *e)
{
    const hsi_engine_config *config = e->config;
    hsi_core_config core = { .device_count = config->device_count,
                             .ageing_us = config->ageing_us,
                             .active_limit = config->active_limit,
                             .order = config->order,
                             .order_user = config->order_user,
                             .power_cap_watts = config->power_cap_watts,
                             .gather_share = config->gather_share };
    for (uint32_t d = 0; d < config->device_count; d++) {
        if (config->devices[d].core.max_batch > HSI_ENGINE_BATCH)
            return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                             "simulation: device %u joins %u runs; give at most %d", d,
                             config->devices[d].core.max_batch, HSI_ENGINE_BATCH);
        core.devices[d] = config->devices[d].core;
        e->capacities[d] = capacity_of(&config->devices[d]);
    }
    hsched_status status = hsi_core_create(&core, &e->core);
    if (status != HSCHED_OK)
        return status;
    for (uint32_t d = 0; d < config->device_count && status == HSCHED_OK; d++)
        status = hsi_executor_init(&e->executors[d], &config->devices[d], d == 0);
    e->states = HSI_NEW_ARRAY(stream_state, e->stream_count);
    if (status == HSCHED_OK && !e->states)
        status = hsi_out_of_memory("a simulation");
    return status;
}

/* What is unfinished after an error ends first: the core refers to it. */
static void finish(engine *e)
{
    for (uint32_t d = 0; e->core && d < e->config->device_count; d++) {
        hsi_executor *executor = &e->executors[d];
        for (uint32_t i = 0; executor->workers && i < executor->device->core.workers; i++)
            for (uint32_t m = 0; m < executor->workers[i].count; m++)
                hsi_core_job_ended(e->core, executor->workers[i].members[m],
                                   HSCHED_ERROR_CANCELLED, core_time(e->now_us));
    }
    for (engine_run *run = e->runs; run; run = run->next)
        hsi_core_cancel(e->core, &run->core, core_time(e->now_us));
    hsi_core_run *core;
    while (e->core && (core = hsi_core_next_ended(e->core)) != NULL)
        forget_run(e, (engine_run *)core);
    hsi_core_destroy(e->core);
    for (uint32_t d = 0; d < e->config->device_count; d++)
        hsi_executor_clear(&e->executors[d]);
    hsi_free(e->states);
}

hsched_status hsi_engine_run_all(const hsi_engine_config *config,
                                 const hsi_engine_stream *streams, uint32_t stream_count,
                                 hsi_engine_totals *totals)
{
    engine e = { .config = config,
                 .streams = streams,
                 .stream_count = stream_count,
                 .random = config->seed,
                 .totals = totals };
    int more = 1;
    *totals = (hsi_engine_totals){ 0 };
    hsched_status status = begin(&e);
    while (status == HSCHED_OK && more)
        status = step(&e, &more);
    for (uint32_t d = 0; d < config->device_count; d++) {
        totals->busy_us[d] = e.executors[d].busy_us;
        totals->worker_us[d] = e.executors[d].worker_us;
    }
    if (e.core)
        hsi_core_get_stats(e.core, &totals->core);
    finish(&e);
    return status;
}
