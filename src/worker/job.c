#include "worker/job.h"

#include "base/status.h"
#include "base/sync.h"
#include "worker/probe.h"
#include "worker/tracing.h"

static uint32_t wanted_helpers(const hsi_worker *w, const hsi_exec_run *run,
                               const hsi_exec_step *step)
{
    const uint32_t wanted = hsi_probe_helpers(run->probe, step->parts - 1),
                   fair =
                       atomic_load_explicit(&w->pool->fair_helpers, memory_order_relaxed);
    return wanted < fair ? wanted : fair;
}

/* May this step be shared? Members that joined before a model with larger scratch needs
 * was loaded must not touch its steps; they leave by themselves within microseconds. */
static int team_fits(const hsi_worker *w, const hsi_exec_model *model)
{
    return atomic_load_explicit(&w->team.members, memory_order_relaxed) == 0 ||
           w->team_scratch >= model->scratch_size;
}

static hsched_status run_step(hsi_worker *w, const hsi_exec_run *run, uint32_t index)
{
    hsi_exec_step step;
    hsi_exec_describe_step(run, w->device, index, &step);
    if (step.parts > 1 && w->device == 0 && team_fits(w, run->model)) {
        const uint32_t helpers = wanted_helpers(w, run, &step);
        if (atomic_load_explicit(&w->team.members, memory_order_relaxed) < helpers &&
            atomic_load_explicit(&w->pool->idle_cpu_workers, memory_order_relaxed) > 0)
            hsi_worker_recruit(w, helpers);
        const uint32_t members =
            atomic_load_explicit(&w->team.members, memory_order_relaxed);
        if (members > 0) {
            w->helpers = members > w->helpers ? members : w->helpers;
            step.trace = w->trace;
            step.traced_run = run;
            step.traced_step = index;
            return hsi_team_run(&w->team, &step, w->scratch,
                                (uint32_t)(w - w->pool->workers));
        }
    }
    hsched_status status = HSCHED_OK;
    for (uint32_t part = 0; part < step.parts && status == HSCHED_OK; part++)
        status =
            step.backend->run_part(step.slot, step.step, step.operands, part, w->scratch);
    return status;
}

/* The same, and written down. */
static hsched_status run_measured(hsi_worker *w, const hsi_exec_run *run, uint32_t index)
{
    const uint64_t began = hsi_now_ns();
    hsched_status status = run_step(w, run, index);
    run->probe->step_ns[index] = hsi_now_ns() - began;
    return status;
}

uint64_t hsi_job_now_ns(hsi_worker *w)
{
    if (w->clock_ns == 0)
        w->clock_ns = hsi_now_ns();
    return w->clock_ns;
}

/* A device may do something there. */
static hsched_status pass_boundary(hsi_worker *w, const hsi_exec_run *run,
                                   uint32_t section, int began)
{
    if (w->pool->config.devices[w->device].backend->job_boundary)
        w->clock_ns = 0;
    return hsi_exec_boundary(run, w->device, section, began);
}

static hsched_status run_section(hsi_worker *w, const hsi_exec_run *run, uint32_t section,
                                 uint32_t *steps)
{
    const hsi_plan_section *s = &run->model->plan->sections[section];
    const int measured = run->probe && run->probe->step_ns;
    const uint64_t began = measured ? hsi_now_ns() : 0;
    hsched_status status = pass_boundary(w, run, section, 1);
    for (uint32_t i = 0; i < s->step_count && status == HSCHED_OK; i++) {
        const uint64_t began_ns = w->trace ? hsi_job_now_ns(w) : 0;
        status = (measured ? run_measured : run_step)(w, run, s->first_step + i);
        w->clock_ns =
            w->trace ? hsi_trace_step_ended(w, run, s->first_step + i, began_ns, status)
                     : 0;
        if (status != HSCHED_OK && status != HSCHED_ERROR_DEVICE)
            hsi_error_prefix(status, "model step '%s': ",
                             run->model->plan->steps[s->first_step + i].step.name);
        ++*steps;
    }
    if (status == HSCHED_OK)
        status = pass_boundary(w, run, section, 0);
    if (measured)
        run->probe->section_ns[section] = hsi_now_ns() - began;
    return status;
}

/* What a run needs before this device's first job of it; most of it only then. */
static hsched_status prepare(const hsi_worker *w, hsi_exec_run *run)
{
    const hsi_exec_device *events = run->wait_event ? run->event_device : NULL;
    hsched_status status = hsi_exec_acquire_slot(run, 1);
    if (status == HSCHED_OK)
        status = hsi_exec_shadow(run);
    if (status == HSCHED_OK)
        status = hsi_exec_need_host(run, w->device);
    if (status == HSCHED_OK && events)
        status = events->backend->wait_event(events->handle, run->wait_event);
    return status;
}

/* After so many sections: those to come take as long as those that were, as far as is known. */
static int is_long_enough(hsi_worker *w, uint64_t began_ns, uint32_t sections,
                          uint64_t bound_us)
{
    if (bound_us == UINT64_MAX)
        return 0;
    const uint64_t spent_us = (hsi_job_now_ns(w) - began_ns) / 1000;
    return spent_us + spent_us / sections > bound_us;
}

hsched_status hsi_job_execute(hsi_worker *w, const hsi_job *job, uint64_t bound_us,
                              uint32_t *steps, uint32_t *sections)
{
    hsi_exec_run *run = (hsi_exec_run *)job->run;
    hsched_status status = prepare(w, run);
    /* Read now: what was prepared says nothing of how long sections take, and if there is a trace
     * the first step begins now. */
    const uint64_t began_ns = bound_us != UINT64_MAX || w->trace ? hsi_job_now_ns(w) : 0;
    *sections = 0;
    for (uint32_t i = job->done; i < job->count && status == HSCHED_OK; i++) {
        if (*sections > 0 && is_long_enough(w, began_ns, *sections, bound_us))
            break;
        ++*sections;
        uint32_t section = job->section + i;
        /* A device was lost later in the same job: what this section has made is whole,
         * but what it read may be overwritten, so it must not run again. */
        if (run->section_done[section])
            continue;
        status = run_section(w, run, section, steps);
        run->section_done[section] = status == HSCHED_OK;
    }
    return status;
}
