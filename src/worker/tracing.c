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

/* Of a segment of it: so many sections behind those that are done. What the job takes over from
 * other devices is the first segment's. */
static hsi_trace_event event_of_job(hsi_trace *trace, const hsi_job *job,
                                    uint32_t sections)
{
    const hsi_exec_run *run = (const hsi_exec_run *)job->run;
    return (hsi_trace_event){
        .model = hsi_trace_see(trace, run->model->trace_model),
        .run = job->run->sequence,
        .kind = HSI_TRACE_JOB,
        .device = job->device,
        .restarts = bounded(job->run->restarts),
        .job = { .section = job->section + job->done,
                 .count = sections,
                 .batch = 1,
                 .crossings = (uint16_t)(job->done == 0 ? job->crossings : 0) },
    };
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
    hsi_trace_event event = event_of_job(trace, job, sections);
    event.begin_ns = began_ns;
    event.end_ns = ended_ns;
    event.thread = number_of(w);
    event.status = (int16_t)status;
    hsi_trace_put(hsi_trace_ring_of(trace, w->device, event.thread), &event);
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
    const hsi_trace_event event = {
        .begin_ns = began_ns,
        .end_ns = hsi_now_ns(),
        .model = run->model->trace_model,
        .run = run->core.sequence,
        .kind = HSI_TRACE_STEP,
        .device = (uint8_t)w->device,
        .thread = thread,
        .status = (int16_t)status,
        .step = { .index = step },
    };
    hsi_trace_put(hsi_trace_ring_of(w->trace, w->device, thread), &event);
    return event.end_ns;
}

void hsi_trace_part_ended(const hsi_exec_step *step, uint32_t worker, uint32_t part,
                          uint64_t began_ns)
{
    const hsi_exec_run *run = step->traced_run;
    hsi_trace_put(hsi_trace_ring_of(step->trace, 0, worker),
                  &(hsi_trace_event){ .begin_ns = began_ns,
                                      .end_ns = hsi_now_ns(),
                                      .model = run->model->trace_model,
                                      .run = run->core.sequence,
                                      .kind = HSI_TRACE_PART,
                                      .thread = (uint16_t)worker,
                                      .step = { step->traced_step, part, step->parts } });
}

/* ---- Jobs in lanes -------------------------------------------------------- */

static void record_flight(const hsi_queue *q, const hsi_flight *f, uint64_t ended_ns,
                          hsched_status status, uint8_t flags)
{
    hsi_trace *trace = q->pool->trace;
    for (uint32_t m = 0; m < f->count; m++) {
        hsi_trace_event event = event_of_job(trace, f->jobs[m], f->sections);
        event.kind = m == 0 ? HSI_TRACE_JOB : HSI_TRACE_MEMBER;
        event.begin_ns = f->started_ns;
        event.end_ns = ended_ns;
        event.thread = (uint16_t)(f - q->flights);
        event.status = (int16_t)status;
        event.flags = flags;
        event.job.batch = (uint16_t)f->count;
        hsi_trace_put(hsi_trace_shared(trace), &event);
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
