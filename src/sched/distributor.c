/* The distributor: where a section runs, and with which following ones in one job. */
#include "sched/internal.h"

static uint32_t ask_policy(hsi_core *core, const hsi_job *job)
{
    const hsi_core_model *model = job->run->model;
    hsi_place_query query = {
        .model = model,
        .section = job->section,
        .device_mask = model->sections[job->section].device_mask & core->available,
        .available = core->available,
        .device_count = core->config.device_count,
        .devices = core->config.devices,
        .backlog = core->backlog,
        .previous_device = job->run->accelerator,
        .run = job->run,
        .now_us = core->now_us,
    };
    uint32_t device = model->policy->place(&query);
    if (device >= HSI_MAX_DEVICES || !(query.device_mask >> device & 1)) {
        core->stats.invalid_placements++;
        return 0;
    }
    return device;
}

/*
 * 1 if the section is waiting for sections of the segment [first, section) only. A
 * section that waits for nothing at all does not follow: as a job of its own it can run
 * beside the segment. It does where that is not the point: on a device that joins runs of
 * this model, which takes whole runs. A moved one does not come here: what it waits for
 * was moved with it, and segments of the CPU are one section long.
 */
static int can_follow(const hsi_core *core, const hsi_job *job, uint32_t first,
                      uint32_t device)
{
    if (job->state != HSI_JOB_WAITING)
        return 0;
    if (job->pending == 0)
        return hsi_batch_limit(core->config.devices, job->run->model, device) > 1;
    const hsi_core_section *section = &job->run->model->sections[job->section];
    uint32_t inside = 0;
    for (uint32_t i = 0; i < section->dep_count; i++)
        inside += section->deps[i] >= first;
    return inside == job->pending;
}

static uint32_t segment_length(hsi_core *core, const hsi_job *jobs, uint32_t first,
                               uint32_t device)
{
    uint32_t limit = core->config.devices[device].max_sections_per_job;
    const hsi_core_model *model = jobs[first].run->model;
    uint32_t left = model->section_count - first;
    if (limit > left)
        limit = left;
    if (model->max_sections_per_job > 0 && limit > model->max_sections_per_job)
        limit = model->max_sections_per_job;
    uint32_t count = 1;
    while (count < limit && can_follow(core, &jobs[first + count], first, device) &&
           ask_policy(core, &jobs[first + count]) == device)
        count++;
    return count;
}

/* Tensors that the job takes over: every dependency outside it is done, so its device is
 * known. */
static uint32_t count_crossings(const hsi_job *job)
{
    const hsi_core_run *run = job->run;
    uint32_t crossings = 0;
    for (uint32_t s = job->section; s < job->section + job->count; s++) {
        const hsi_core_section *section = &run->model->sections[s];
        for (uint32_t i = 0; i < section->dep_count; i++)
            if (run->jobs[section->deps[i]].device != job->device)
                crossings += section->crossing_counts[i];
    }
    return crossings;
}

void hsi_distribute(hsi_core *core, hsi_job *job)
{
    hsi_core_run *run = job->run;
    uint32_t device = 0;
    job->count = 1;
    job->done = 0;
    if (!job->moved) {
        hsi_work_choose(core, run, job->section);
        device = ask_policy(core, job);
        if (device != 0)
            run->accelerator = (uint8_t)device;
        job->count = segment_length(core, run->jobs, job->section, device);
    }
    for (uint32_t i = 0; i < job->count; i++) {
        job[i].device = (uint8_t)device;
        job[i].state = HSI_JOB_QUEUED;
    }
    job->crossings = count_crossings(job);
    core->backlog[device]++;
    run->jobs_out++;
    hsi_jobq_push(core, job);
}

void hsi_distribute_ready(hsi_core *core, hsi_core_run *run)
{
    for (uint32_t s = 0; s < run->model->section_count; s++)
        if (run->jobs[s].pending == 0 && run->jobs[s].state == HSI_JOB_WAITING)
            hsi_distribute(core, &run->jobs[s]);
}

void hsi_distribute_undo(hsi_job *job)
{
    uint32_t count = job->count;
    job->count = 0;
    for (uint32_t i = 0; i < count; i++)
        job[i].state = HSI_JOB_WAITING;
}

void hsi_distribute_count_moved(hsi_core *core, hsi_core_run *run)
{
    run->moved++;
    core->stats.jobs_moved++;
}

void hsi_distribute_moved(hsi_core *core, hsi_job *job)
{
    uint32_t count = job->count;
    for (uint32_t i = 0; i < count; i++)
        job[i].moved = 1;
    hsi_distribute_count_moved(core, job->run);
    hsi_distribute_undo(job);
    /* The others wait for sections of the job, so they come in their turn. */
    for (uint32_t i = 0; i < count; i++)
        if (job[i].pending == 0)
            hsi_distribute(core, &job[i]);
}
