/*
 * What becomes of jobs and runs whose device is lost or did not execute them.
 *
 * From a device that works on the host's memory single jobs move to the CPU. What a
 * device with memory of its own has made may be gone, so the whole run starts again there;
 * first its running jobs end, so that nobody works on a run that starts anew.
 */
#include "sched/internal.h"

#include <stddef.h>

void hsi_recovery_begin_restart(hsi_core *core, hsi_core_run *run)
{
    if (run->restarting)
        return;
    run->restarting = 1;
    for (uint32_t s = 0; s < run->model->section_count; s++) {
        const hsi_job *job = &run->jobs[s];
        if (job->state == HSI_JOB_QUEUED && job->count > 0 && job->device != 0)
            hsi_distribute_count_moved(core, run);
    }
    hsi_run_withdraw(core, run);
}

void hsi_recovery_restart(hsi_core *core, hsi_core_run *run)
{
    uint32_t sections = run->model->section_count;
    run->restarting = 0;
    hsi_work_forget(core, run);
    run->sections_left = sections;
    run->restarts++;
    core->stats.restarts++;
    for (uint32_t s = 0; s < sections; s++)
        run->jobs[s] = (hsi_job){
            .run = run,
            .section = s,
            .pending = run->model->sections[s].dep_count,
            .moved = 1,
        };
    for (uint32_t s = 0; s < sections; s++)
        if (run->jobs[s].pending == 0)
            hsi_distribute(core, &run->jobs[s]);
}

static int has_used(const hsi_core_run *run, uint32_t device)
{
    for (uint32_t s = 0; s < run->model->section_count; s++)
        if (run->jobs[s].state != HSI_JOB_WAITING && run->jobs[s].device == device)
            return 1;
    return 0;
}

static void restart_users(hsi_core *core, uint32_t device)
{
    hsi_core_run *run;
    core->next_active = core->active_runs;
    while ((run = core->next_active) != NULL) {
        core->next_active = run->next_active; /* others may end with this one */
        if (hsi_run_is_stopping(run) || run->restarting || !has_used(run, device))
            continue;
        hsi_recovery_begin_restart(core, run);
        hsi_run_end_if_done(core, run);
    }
}

void hsi_recovery_lose_device(hsi_core *core, uint32_t device)
{
    if (!(core->available >> device & 1))
        return;
    core->available &= ~(UINT32_C(1) << device);
    if (core->config.devices[device].own_memory) {
        restart_users(core, device);
        return;
    }
    hsi_job *job;
    while ((job = hsi_jobq_any(core, device)) != NULL) {
        if (job->paused) {
            hsi_paused_lose(core, job);
            continue;
        }
        hsi_jobq_remove(core, job);
        core->backlog[device]--;
        job->run->jobs_out--;
        hsi_distribute_moved(core, job);
    }
}
