/* The trace of a simulation: everything goes into the one ring that any thread may write, which
 * grows, since here nothing forbids to allocate meanwhile. */
#include "base/alloc.h"
#include "base/status.h"
#include "simulator/simulation.h"

static uint64_t to_ns(double us)
{
    return (uint64_t)(us * 1000 + 0.5);
}

static hsched_status put(hsched_simulation *sim, hsi_trace_event event)
{
    hsi_trace_ring *ring = hsi_trace_shared(sim->trace);
    if (!HSI_GROW(ring->records, ring->count, ring->capacity))
        return hsi_out_of_memory("a simulation's trace");
    hsi_trace_put(ring, &event);
    return HSCHED_OK;
}

static const hsi_trace_model *see(hsched_simulation *sim, const hsi_engine_model *model)
{
    const hsi_simulated *simulated = model->user;
    return hsi_trace_see(sim->trace, simulated->model->trace);
}

static void drop_names(hsched_simulation *sim)
{
    for (uint32_t d = 0; d < sim->platform->device_count; d++) {
        hsi_free(sim->track_names[d]);
        sim->track_names[d] = NULL;
    }
}

hsched_status hsi_simulation_trace_begin(hsched_simulation *sim, const char *path)
{
    const hsi_platform *platform = sim->platform;
    hsi_trace_device devices[HSI_PLACEMENT_DEVICES];
    hsched_status status = HSCHED_OK;
    for (uint32_t d = 0; d < platform->device_count; d++) {
        sim->track_names[d] =
            hsi_asprintf("%s (simulated, %s)", platform->devices[d].name, platform->name);
        devices[d] = (hsi_trace_device){ .name = sim->track_names[d],
                                         .threads = platform->devices[d].workers,
                                         .has_lanes = d > 0 };
        if (!sim->track_names[d])
            status = hsi_out_of_memory("a simulation's trace");
    }
    if (status == HSCHED_OK)
        status = hsi_trace_create(path, 1, devices, platform->device_count, &sim->trace);
    if (status != HSCHED_OK) {
        drop_names(sim);
        return status;
    }
    sim->trace->clock = "simulated";
    sim->trace->began_ns = 0;
    return HSCHED_OK;
}

hsched_status hsi_simulation_trace_job(hsched_simulation *sim, const hsi_engine_job *job)
{
    hsched_status status = HSCHED_OK;
    for (uint32_t i = 0; i < job->members && status == HSCHED_OK; i++)
        status = put(sim, (hsi_trace_event){
                              .begin_ns = to_ns(job->begin_us),
                              .end_ns = to_ns(job->end_us),
                              .model = see(sim, job->model),
                              .run = job->runs[i],
                              .kind = i == 0 ? HSI_TRACE_JOB : HSI_TRACE_MEMBER,
                              .device = (uint8_t)job->device,
                              .thread = (uint16_t)job->worker,
                              .status = HSCHED_OK,
                              .job = { .section = job->section,
                                       .count = job->count,
                                       .batch = (uint16_t)job->members,
                                       .crossings = (uint16_t)job->crossings },
                          });
    return status;
}

static hsched_status trace_missed(hsched_simulation *sim, const hsi_engine_run *run)
{
    return put(sim,
               (hsi_trace_event){ .begin_ns = to_ns(run->submit_us + run->deadline_us),
                                  .model = see(sim, run->model),
                                  .run = run->number,
                                  .kind = HSI_TRACE_MISSED });
}

hsched_status hsi_simulation_trace_run(hsched_simulation *sim, const hsi_engine_run *run)
{
    hsched_status status = run->missed ? trace_missed(sim, run) : HSCHED_OK;
    if (status != HSCHED_OK)
        return status;
    return put(
        sim, (hsi_trace_event){
                 .begin_ns = to_ns(run->submit_us),
                 .end_ns = to_ns(run->end_us),
                 .model = see(sim, run->model),
                 .run = run->number,
                 .kind = HSI_TRACE_RUN,
                 .status = (int16_t)run->status,
                 .flags = run->missed ? HSI_TRACE_LATE : 0,
                 .run_end = { .priority = run->priority,
                              .jobs = run->jobs,
                              .wait_us = run->begin_us < 0
                                             ? HSI_TRACE_NEVER
                                             : (uint32_t)(run->begin_us - run->submit_us),
                              .deadline_us = (uint32_t)run->deadline_us },
             });
}

/* What set_load said, up to the end of the last run. */
static hsched_status put_loads(hsched_simulation *sim)
{
    hsched_status status = HSCHED_OK;
    for (uint32_t d = 0; d < sim->platform->device_count; d++)
        for (uint32_t i = 0; i < sim->loads[d].count && status == HSCHED_OK; i++) {
            const hsi_engine_load *step = &sim->loads[d].steps[i];
            if (step->from_us <= sim->totals.end_us)
                status = put(sim, (hsi_trace_event){
                                      .begin_ns = to_ns(step->from_us),
                                      .kind = HSI_TRACE_COUNT,
                                      .device = (uint8_t)d,
                                      .count = { HSI_TRACE_LOAD,
                                                 hsi_trace_percent(step->factor) } });
        }
    return status;
}

hsched_status hsi_simulation_trace_end(hsched_simulation *sim, hsched_status status)
{
    hsched_trace_stats stats;
    if (!sim->trace)
        return status;
    if (status == HSCHED_OK)
        status = put_loads(sim);
    if (status == HSCHED_OK)
        status = hsi_trace_write(sim->trace, &stats);
    hsi_trace_destroy(sim->trace);
    sim->trace = NULL;
    drop_names(sim);
    return status;
}
