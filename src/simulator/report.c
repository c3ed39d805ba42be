/* What became of a simulation: noted while it runs, told afterwards. */
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/status.h"
#include "simulator/simulation.h"

void hsi_simulation_reset(hsched_simulation *sim)
{
    for (uint32_t i = 0; i < sim->model_count; i++) {
        hsi_simulated *m = sim->models[i];
        m->succeeded = m->dropped = m->missed = m->jobs = m->crossings = 0;
        m->latency_count = 0;
    }
    for (uint32_t d = 0; d < sim->platform->device_count; d++)
        sim->device_jobs[d] = 0;
    sim->totals = (hsi_engine_totals){ 0 };
}

hsched_status hsi_simulation_note_job(void *simulation, const hsi_engine_job *job)
{
    hsched_simulation *sim = simulation;
    hsi_simulated *m = job->model->user;
    sim->device_jobs[job->device]++;
    m->jobs++;
    m->crossings += job->crossings;
    return sim->trace ? hsi_simulation_trace_job(sim, job) : HSCHED_OK;
}

hsched_status hsi_simulation_note_run(void *simulation, const hsi_engine_run *run)
{
    hsched_simulation *sim = simulation;
    hsi_simulated *m = run->model->user;
    m->missed += run->missed != 0;
    if (run->status == HSCHED_OK) {
        m->succeeded++;
        if (!HSI_GROW(m->latencies, m->latency_count, m->latency_capacity))
            return hsi_out_of_memory("a simulation's latencies");
        m->latencies[m->latency_count++] = run->end_us - run->submit_us;
    } else {
        m->dropped++; /* nothing else fails here */
    }
    return sim->trace ? hsi_simulation_trace_run(sim, run) : HSCHED_OK;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void hsi_simulation_finish(hsched_simulation *sim)
{
    for (uint32_t i = 0; i < sim->model_count; i++)
        if (sim->models[i]->latency_count > 0)
            qsort(sim->models[i]->latencies, sim->models[i]->latency_count,
                  sizeof(double), by_value);
}

/* The smallest latency that so much of all are not above. */
static double percentile(const hsi_simulated *m, double fraction)
{
    if (m->latency_count == 0)
        return 0;
    const uint32_t rank = (uint32_t)ceil(fraction * m->latency_count);
    return m->latencies[rank > 0 ? rank - 1 : 0];
}

static double mean(const hsi_simulated *m)
{
    double sum = 0;
    for (uint32_t i = 0; i < m->latency_count; i++)
        sum += m->latencies[i];
    return m->latency_count > 0 ? sum / m->latency_count : 0;
}

HSCHED_API hsched_status hsched_simulation_get_model(
    const hsched_simulation *sim, uint32_t model, hsched_simulation_model_report *report)
{
    if (!sim || !report)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_simulation_get_model: simulation or report is NULL");
    if (model >= sim->model_count)
        return hsi_error(HSCHED_ERROR_NOT_FOUND,
                         "hsched_simulation_get_model: there is no model %u of %u", model,
                         sim->model_count);
    const hsi_simulated *m = sim->models[model];
    const hsched_simulation_model_report filled = {
        HSCHED_SIMULATION_MODEL_REPORT_INIT,
        .name = m->model->name,
        .policy = m->policy,
        .runs_succeeded = m->succeeded,
        .runs_dropped = m->dropped,
        .deadline_misses = m->missed,
        .jobs = m->jobs,
        .crossings = m->crossings,
        .latency_mean_us = mean(m),
        .latency_p50_us = percentile(m, 0.5),
        .latency_p99_us = percentile(m, 0.99),
        .latency_max_us = percentile(m, 1),
        .sections = m->model->engine.core.section_count,
    };
    return hsi_info_write(report, &filled, sizeof filled,
                          "hsched_simulation_model_report");
}

HSCHED_API hsched_status
hsched_simulation_get_device(const hsched_simulation *sim, uint32_t device,
                             hsched_simulation_device_report *report)
{
    if (!sim || !report)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_simulation_get_device: simulation or report is NULL");
    const hsi_platform *platform = sim->platform;
    if (device >= platform->device_count)
        return hsi_error(HSCHED_ERROR_NOT_FOUND,
                         "hsched_simulation_get_device: there is no device %u of %u",
                         device, platform->device_count);
    const hsi_platform_device *d = &platform->devices[device];
    const double end_us = sim->totals.end_us;
    const hsched_simulation_device_report filled = {
        HSCHED_SIMULATION_DEVICE_REPORT_INIT,
        .name = d->name,
        .kind = hsi_platform_kind_name(d->kind),
        .workers = d->workers,
        .jobs = sim->device_jobs[device],
        .busy_us = sim->totals.busy_us[device],
        .joules = hsi_simulation_joules(sim, device),
        .use = end_us > 0 ? sim->totals.worker_us[device] / (end_us * d->workers) : 0,
    };
    return hsi_info_write(report, &filled, sizeof filled,
                          "hsched_simulation_device_report");
}
