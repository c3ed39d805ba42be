#include "worker/tracing.h"

#include "base/sync.h"

static uint16_t number_of(const hsi_worker *w)
{
    return (uint16_t)(w - w->pool->workers - w->pool->first_worker[w->device]);
}

static uint8_t bounded(uint32_t restarts)
{
    return restarts < UINT8_MAX ? (uint8_t)restarts : UINT8_MAX;
}

void hsi_trace_queued(const hsi_worker_pool *pool, uint32_t device, uint64_t now_ns)
{
    hsi_trace_count(pool->trace, HSI_TRACE_QUEUED, device,
                    hsi_core_queued(pool->config.core, device), now_ns);
}

/* ---- Jobs on workers ------------------------------------------------------ */

/* Records a segment of it: so many sections behind those that are done. What the job takes over
 * from other devices is the first segment's. */
static hsi_trace_event *put_job(hsi_trace *trace, hsi_trace_ring *ring,
                                const hsi_job *job, uint32_t sections, uint64_t began_ns)
{
    const hsi_exec_run *run = (const hsi_exec_run *)job->run;
    const hsi_trace_model *model = hsi_trace_see(trace, run->model->trace_model);
    hsi_trace_event *event = hsi_trace_next(ring, began_ns);
    if (event)
        *event = (hsi_trace_event){
            .begin_ns = began_ns,
            .model = model,
            .run = job->run->sequence,
            .kind = HSI_TRACE_JOB,
            .device = job->device,
            .restarts = bounded(job->run->restarts),
            .job = { .section = job->section + job->done,
                     .count = sections,
                     .batch = 1,
                     .crossings = (uint16_t)(job->done == 0 ? job->crossings : 0) },
        };
    return event;
}

void hsi_trace_job_taken(hsi_worker *w)
{
    w->trace = w->pool->trace;
    w->pool->traced_jobs += w->trace != NULL;
}

void hsi_trace_job_ended(hsi_worker *w, const hsi_job *job, uint32_t sections,
                         uint64_t began_ns, uint64_t ended_ns, hsched_status status)
{
    hsi_worker_pool *pool = w->pool;
    hsi_trace *trace = w->trace ? w->trace : pool->trace;
    const uint16_t thread = number_of(w);
    hsi_trace_event *event = put_job(trace, hsi_trace_ring_of(trace, w->device, thread),
                                     job, sections, began_ns);
    if (event) {
        event->end_ns = ended_ns;
        event->thread = thread;
        event->status = (int16_t)status;
    }
    if (!w->trace)
        return;
    w->trace = NULL;
    if (--pool->traced_jobs == 0)
        pthread_cond_broadcast(&pool->untraced);
}

uint64_t hsi_trace_step_ended(const hsi_worker *w, const hsi_exec_run *run, uint32_t step,
                              uint64_t began_ns, hsched_status status)
{
    const uint16_t thread = number_of(w);
    const hsi_trace_step_end end = {
        .begin_ns = began_ns,
        .end_ns = hsi_now_ns(),
        .model = run->model->trace_model,
        .run = run->core.sequence,
        .step = step,
        .device = (uint8_t)w->device,
        .thread = thread,
        .status = status,
    };
    hsi_trace_put_step(hsi_trace_ring_of(w->trace, w->device, thread), &end);
    return end.end_ns;
}

void hsi_trace_part_ended(const hsi_exec_step *step, uint32_t worker, uint32_t part,
                          uint64_t began_ns)
{
    const hsi_exec_run *run = step->traced_run;
    hsi_trace_event *event =
        hsi_trace_next(hsi_trace_ring_of(step->trace, 0, worker), began_ns);
    if (event)
        *event = (hsi_trace_event){
            .begin_ns = began_ns,
            .end_ns = hsi_now_ns(),
            .model = run->model->trace_model,
            .run = run->core.sequence,
            .kind = HSI_TRACE_PART,
            .thread = (uint16_t)worker,
            .part = { step->traced_step, part, step->parts },
        };
}

/* ---- Jobs in lanes -------------------------------------------------------- */

static void record_flight(const hsi_queue *q, const hsi_flight *f, uint64_t ended_ns,
                          hsched_status status, uint8_t flags)
{
    hsi_trace *trace = q->pool->trace;
    for (uint32_t m = 0; m < f->count; m++) {
        hsi_trace_event *event = put_job(trace, hsi_trace_shared(trace), f->jobs[m],
                                         f->sections, f->started_ns);
        if (!event)
            continue;
        event->kind = m == 0 ? HSI_TRACE_JOB : HSI_TRACE_MEMBER;
        event->end_ns = ended_ns;
        event->thread = (uint16_t)(f - q->flights);
        event->status = (int16_t)status;
        event->flags = flags;
        event->job.batch = (uint16_t)f->count;
    }
}

void hsi_trace_flight_ended(const hsi_queue *q, const hsi_flight *f, uint64_t ended_ns,
                            hsched_status status)
{
    record_flight(q, f, ended_ns, status, 0);
}

/* ---- Beginning and ending a trace ----------------------------------------- */

void hsi_worker_pool_begin_trace(hsi_worker_pool *pool, hsi_trace *trace)
{
    pool->trace = trace;
    for (uint32_t d = 0; d < pool->config.device_count; d++)
        hsi_trace_queued(pool, d, trace->began_ns);
}

hsi_trace *hsi_worker_pool_end_trace(hsi_worker_pool *pool)
{
    hsi_trace *trace = pool->trace;
    const uint64_t now_ns = hsi_now_ns();
    for (uint32_t d = 0; d < pool->config.device_count; d++)
        for (uint32_t lane = 0; pool->queues[d] && lane < pool->queues[d]->lanes; lane++)
            if (pool->queues[d]->flights[lane].state >= HSI_FLIGHT_RUNNING)
                record_flight(pool->queues[d], &pool->queues[d]->flights[lane], now_ns,
                              HSCHED_OK, HSI_TRACE_CUT_SHORT);
    pool->trace = NULL;
    while (pool->traced_jobs > 0)
        pthread_cond_wait(&pool->untraced, &pool->lock);
    return trace;
}
