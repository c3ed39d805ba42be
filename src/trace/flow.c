/*
 * Arrows along a run: from each job to those that need what it has made. They are found when the
 * file is written, from the jobs that the trace holds, so that each connects two slices that are
 * there. Of a run that was restarted, jobs from before that have made nothing that counts.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/status.h"
#include "trace/file.h"
#include "trace/json.h"

static int is_job(const hsi_trace_event *event)
{
    return event->kind == HSI_TRACE_JOB || event->kind == HSI_TRACE_MEMBER;
}

static int by_run_and_time(const void *a, const void *b)
{
    const hsi_trace_event *x = *(const hsi_trace_event *const *)a,
                          *y = *(const hsi_trace_event *const *)b;
    if (x->run != y->run)
        return x->run < y->run ? -1 : 1;
    return (x->begin_ns > y->begin_ns) - (x->begin_ns < y->begin_ns);
}

static size_t count_jobs(const hsi_trace *trace)
{
    size_t count = 0;
    for (uint32_t r = 0; r < trace->ring_count; r++)
        for (uint32_t i = 0; i < trace->rings[r].count; i++)
            count += is_job(&trace->rings[r].records[i]);
    return count;
}

static void list_jobs(const hsi_trace *trace, const hsi_trace_event **jobs)
{
    for (uint32_t r = 0; r < trace->ring_count; r++)
        for (uint32_t i = 0; i < trace->rings[r].count; i++)
            if (is_job(&trace->rings[r].records[i]))
                *jobs++ = &trace->rings[r].records[i];
}

/* Does `to` need a section of `from`? *bytes: of the tensors that pass. */
static int needs(const hsi_trace_event *to, const hsi_trace_event *from, uint64_t *bytes)
{
    const hsi_trace_model *model = to->model;
    int any = 0;
    *bytes = 0;
    for (uint32_t s = to->job.section; s < to->job.section + to->job.count; s++) {
        const hsi_trace_dep *deps = model->deps + model->sections[s].first_dep;
        for (uint32_t d = 0; d < model->sections[s].dep_count; d++)
            if (deps[d].section - from->job.section < from->job.count) {
                any = 1;
                *bytes += deps[d].bytes;
            }
    }
    return any;
}

static void write_end(FILE *file, char phase, const hsi_trace_event *job, uint64_t id,
                      int crosses)
{
    hsi_trace_begin_event(file, crosses ? "crossing" : "next job", phase,
                          HSI_TRACK_DEVICES + job->device, job->thread + 1u,
                          job->begin_ns);
    fprintf(file, ",\"cat\":\"flow\",\"id\":%llu", (unsigned long long)id);
}

static void write_flow(FILE *file, const hsi_trace_event *from, const hsi_trace_event *to,
                       uint64_t bytes, uint64_t id)
{
    const int crosses = from->device != to->device;
    write_end(file, 's', from, id, crosses);
    fprintf(file, ",\"args\":{\"run\":%llu,\"bytes\":%llu}}", (unsigned long long)to->run,
            (unsigned long long)bytes);
    write_end(file, 'f', to, id, crosses);
    fputs(",\"bp\":\"e\"}", file);
}

hsched_status hsi_trace_write_flows(const hsi_trace *trace, FILE *file)
{
    const size_t count = count_jobs(trace);
    const hsi_trace_event **jobs = HSI_NEW_ARRAY(const hsi_trace_event *, count);
    uint64_t id = 0;
    if (!jobs)
        return hsi_out_of_memory("a trace's file");
    list_jobs(trace, jobs);
    qsort(jobs, count, sizeof *jobs, by_run_and_time);
    for (size_t t = 0; t < count; t++)
        for (size_t f = t; f > 0 && jobs[f - 1]->run == jobs[t]->run &&
                           jobs[f - 1]->restarts == jobs[t]->restarts;
             f--) {
            const hsi_trace_event *from = jobs[f - 1];
            uint64_t bytes;
            if (from->status == HSCHED_OK && !(from->flags & HSI_TRACE_CUT_SHORT) &&
                from->end_ns <= jobs[t]->begin_ns && needs(jobs[t], from, &bytes))
                write_flow(file, from, jobs[t], bytes, ++id);
        }
    hsi_free(jobs);
    return HSCHED_OK;
}
