/*
 * What is executing on a device, and what that means for others: jobs of lower priorities that are
 * not begun beside it, workers that are kept for higher ones, and jobs that pause for them.
 *
 * A paused job, or batch, stands in the device's heap with its first run's key, and is handed out
 * again as it was. To its runs it is executing all the time, but for one thing: once none of them
 * goes on, there is nobody to wait for, and the job is over.
 */
#include "sched/internal.h"

#include <stddef.h>

#define CLASS_MEMORY_US UINT64_C(2000000)

/* ---- Priorities in use ---------------------------------------------------- */

static uint32_t level_of(const hsi_core_run *run)
{
    return (uint32_t)(HSCHED_PRIORITY_MAX - run->priority);
}

static int is_in_use(const hsi_core *core, uint32_t level)
{
    const hsi_level *l = &core->admission.levels[level];
    return l->outstanding > 0 || core->now_us < l->seen_until_us;
}

static uint32_t most_urgent(const hsi_core *core)
{
    uint32_t level = core->urgent_level;
    while (level < HSI_LEVELS && !is_in_use(core, level))
        level++;
    return level;
}

void hsi_class_seen(hsi_core *core, const hsi_core_run *run)
{
    const uint32_t level = level_of(run);
    const uint64_t memory =
        core->config.class_memory_us ? core->config.class_memory_us : CLASS_MEMORY_US;
    core->admission.levels[level].seen_until_us = core->now_us + memory;
    core->urgent_level = level < core->urgent_level ? level : most_urgent(core);
}

uint64_t hsi_core_segment_us(const hsi_core *core, int priority)
{
    const uint32_t level = (uint32_t)(HSCHED_PRIORITY_MAX - priority);
    return core->config.max_segment_us == 0 || level <= most_urgent(core)
               ? UINT64_MAX
               : core->config.max_segment_us;
}

/* ---- Executing ------------------------------------------------------------ */

static uint32_t first_level(const uint64_t *words)
{
    for (uint32_t w = 0; w < HSI_LEVEL_WORDS; w++)
        if (words[w] != 0)
            return w * 64 + (uint32_t)__builtin_ctzll(words[w]);
    return HSI_LEVELS;
}

void hsi_executing_began(hsi_core *core, hsi_job *leader)
{
    hsi_executing *e = &core->executing[leader->device];
    const uint32_t level = level_of(leader->run);
    leader->executes = 1;
    e->count++;
    if (e->of_level[level]++ == 0)
        e->levels[level / 64] |= UINT64_C(1) << level % 64;
}

void hsi_executing_ended(hsi_core *core, hsi_job *job)
{
    hsi_executing *e = &core->executing[job->device];
    const uint32_t level = level_of(job->run);
    if (!job->executes)
        return;
    job->executes = 0;
    e->count--;
    if (--e->of_level[level] == 0)
        e->levels[level / 64] &= ~(UINT64_C(1) << level % 64);
}

int hsi_core_executing(const hsi_core *core, uint32_t device)
{
    const uint32_t level = first_level(core->executing[device].levels);
    return level < HSI_LEVELS ? HSCHED_PRIORITY_MAX - (int)level : HSCHED_PRIORITY_MIN;
}

uint32_t hsi_core_executing_count(const hsi_core *core, uint32_t device)
{
    const hsi_executing *e = &core->executing[device];
    const uint32_t level = first_level(e->levels);
    return level < HSI_LEVELS ? e->of_level[level] : 0;
}

/* Until when a priority above this level is in use, if no run comes; UINT64_MAX: until one ends. */
static uint64_t in_use_until(const hsi_core *core, uint32_t level)
{
    uint64_t until = 0;
    for (uint32_t i = most_urgent(core); i < level; i++) {
        const hsi_level *l = &core->admission.levels[i];
        if (l->outstanding > 0)
            return UINT64_MAX;
        if (l->seen_until_us > until)
            until = l->seen_until_us;
    }
    return until;
}

uint64_t hsi_executing_bars_until(const hsi_core *core, const hsi_job *job)
{
    const hsi_core_device *device = &core->config.devices[job->device];
    const hsi_executing *e = &core->executing[job->device];
    const uint32_t level = level_of(job->run);
    if (device->strict && first_level(e->levels) < level)
        return UINT64_MAX;
    if (device->reserved == 0 || e->count + device->reserved < device->workers)
        return 0;
    return in_use_until(core, level);
}

/* ---- Pausing -------------------------------------------------------------- */

static int is_whole(const hsi_job *job)
{
    return job->count == job->run->model->section_count;
}

hsi_job *hsi_paused_next(const hsi_job *job)
{
    return is_whole(job) && job->run->next_member ? &job->run->next_member->jobs[0]
                                                  : NULL;
}

static hsi_job *leader_of(hsi_job *job)
{
    return is_whole(job) ? &job->run->leader->jobs[0] : job;
}

uint32_t hsi_paused_members(const hsi_job *leader)
{
    uint32_t count = 0;
    for (const hsi_job *job = leader; job; job = hsi_paused_next(job))
        count++;
    return count;
}

int hsi_paused_is_wanted(const hsi_job *leader)
{
    for (const hsi_job *job = leader; job; job = hsi_paused_next(job))
        if (!hsi_run_is_stopping(job->run) && !job->run->restarting)
            return 1;
    return 0;
}

void hsi_pause(hsi_core *core, hsi_job *const *jobs, uint32_t count, uint32_t sections)
{
    hsi_job *leader = jobs[0];
    const int lost = !(core->available >> leader->device & 1) &&
                     !core->config.devices[leader->device].own_memory;
    hsi_executing_ended(core, leader);
    for (uint32_t k = 0; k < count; k++) {
        jobs[k]->done += sections;
        jobs[k]->paused = 1;
        if (!is_whole(leader))
            continue;
        jobs[k]->run->leader = leader->run;
        jobs[k]->run->next_member = k + 1 < count ? jobs[k + 1]->run : NULL;
    }
    if (!lost && hsi_paused_is_wanted(leader)) {
        hsi_jobq_push_paused(core, leader);
        return;
    }
    for (uint32_t k = 0; k < count; k++) {
        jobs[k]->paused = 0;
        hsi_job_end(core, jobs[k], lost ? HSCHED_ERROR_DEVICE : HSCHED_ERROR_CANCELLED);
    }
}

void hsi_paused_lose(hsi_core *core, hsi_job *leader)
{
    hsi_job *next;
    hsi_jobq_remove(core, leader);
    for (hsi_job *job = leader; job; job = next) {
        next = hsi_paused_next(job);
        job->paused = 0;
        hsi_job_end(core, job, HSCHED_ERROR_DEVICE);
    }
}

void hsi_paused_release(hsi_core *core, hsi_job *job)
{
    hsi_job *leader = leader_of(job), *next;
    if (hsi_paused_is_wanted(leader))
        return;
    hsi_jobq_remove(core, leader);
    for (hsi_job *each = leader; each; each = next) {
        hsi_core_run *run = each->run;
        next = hsi_paused_next(each);
        each->paused = 0;
        core->backlog[each->device]--;
        run->jobs_out--;
        hsi_jobq_ended(core, each);
        hsi_distribute_undo(each);
        if (!hsi_run_is_stopping(run) && each->device != 0)
            hsi_distribute_count_moved(core, run);
        if (run != job->run) /* whose caller sees to that */
            hsi_run_end_if_done(core, run);
    }
}
