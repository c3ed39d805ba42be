/*
 * How much work runs bring to the devices, as far as their policy says so, and asking it where
 * they go. Sums only guide policies: rounding may leave a little where nothing is, which is
 * dropped whenever no run is active.
 */
#include "sched/internal.h"

#include "sched/policy_cost.h"

static void add(hsi_core *core, const hsi_core_run *run, double sign)
{
    for (uint32_t d = 0; d < core->config.device_count; d++)
        core->work_us[d] += sign * (double)run->work_us[d];
}

/* Do all active runs go before this one? Those of one priority do, without deadlines, when it
 * becomes active: it is the latest of them, unless it had to wait for other runs. */
static int all_go_before(const hsi_core *core, const hsi_core_run *run)
{
    const hsi_admission *a = &core->admission;
    if (core->deadlines.count > 0 || core->config.order || run->edge_count > 0 ||
        run->jobs_out > 0 || run->sections_left < run->model->section_count)
        return 0;
    for (uint32_t w = 0; w < HSI_LEVEL_WORDS; w++) {
        const uint32_t level = (uint32_t)(HSCHED_PRIORITY_MAX - run->priority);
        const uint64_t mine = w == level / 64 ? UINT64_C(1) << level % 64 : 0;
        if (a->active_levels[w] & ~mine)
            return 0;
    }
    return 1;
}

static int goes_before(const hsi_core_run *a, const hsi_core_run *b)
{
    return a->key != b->key ? a->key < b->key : a->sequence < b->sequence;
}

static void find_ahead(const hsi_core *core, const hsi_core_run *run, double *ahead_us)
{
    const uint32_t devices = core->config.device_count;
    if (all_go_before(core, run)) {
        for (uint32_t d = 0; d < devices; d++)
            ahead_us[d] = core->work_us[d] - (double)run->work_us[d];
    } else {
        for (uint32_t d = 0; d < devices; d++)
            ahead_us[d] = 0;
        for (const hsi_core_run *r = core->active_runs; r; r = r->next_active)
            for (uint32_t d = 0; d < devices && goes_before(r, run); d++)
                ahead_us[d] += (double)r->work_us[d];
    }
    for (uint32_t d = 0; d < devices; d++)
        if (ahead_us[d] < 0)
            ahead_us[d] = 0;
}

void hsi_work_choose(hsi_core *core, hsi_core_run *run, uint32_t section)
{
    const hsi_core_model *model = run->model;
    double ahead_us[HSI_MAX_DEVICES];
    if (!model->policy->choose)
        return;
    find_ahead(core, run, ahead_us);
    const hsi_place_query query = {
        .model = model,
        .section = section,
        .available = core->available,
        .device_mask = model->sections[section].device_mask & core->available,
        .device_count = core->config.device_count,
        .devices = core->config.devices,
        .backlog = core->backlog,
        .previous_device = run->accelerator,
        .run = run,
        .ahead_us = ahead_us,
        .work_us = core->work_us,
        .spare_watts = hsi_power_spare_watts(core),
        .owed_uj = core->owed_uj,
        .now_us = core->now_us,
    };
    add(core, run, -1);
    model->policy->choose(&query, run);
    add(core, run, 1);
}

void hsi_work_done(hsi_core *core, const hsi_job *job)
{
    hsi_core_run *run = job->run;
    const hsi_choices *c = run->model->choices;
    float *left = &run->work_us[job->device];
    if (!c || c->count == 0 || !(*left > 0))
        return;
    float done = 0;
    for (uint32_t i = 0; i < job->count; i++)
        done += c->section_us[(job->section + i) * c->device_count + job->device];
    if (done > *left || job->count == run->model->section_count)
        done = *left;
    const float before = *left;
    *left -= done;
    core->work_us[job->device] -= (double)before - (double)*left;
}

void hsi_work_forget(hsi_core *core, hsi_core_run *run)
{
    for (uint32_t d = 0; d < core->config.device_count; d++) {
        core->work_us[d] -= (double)run->work_us[d];
        if (core->work_us[d] < 0 || !core->active_runs)
            core->work_us[d] = 0;
        run->work_us[d] = 0;
    }
}

/* Nothing of it is running or done, and nothing of it was moved to the CPU. */
static int has_not_started(const hsi_core_run *run)
{
    if (run->sections_left < run->model->section_count || run->restarting)
        return 0;
    for (uint32_t s = 0; s < run->model->section_count; s++)
        if (run->jobs[s].state == HSI_JOB_RUNNING || run->jobs[s].moved)
            return 0;
    return 1;
}

static int is_replaceable(const hsi_core_run *run)
{
    return run->model->policy->choose && !hsi_run_is_stopping(run) &&
           has_not_started(run);
}

static void distribute_first(hsi_core *core, hsi_core_run *run)
{
    core->stats.replaced++;
    for (uint32_t s = 0; s < run->model->section_count; s++)
        if (run->jobs[s].pending == 0 && run->jobs[s].state == HSI_JOB_WAITING)
            hsi_distribute(core, &run->jobs[s]);
}

/* All of them lose their places first: who chooses looks at nothing that comes behind him. Those
 * that became active first choose first, as they did. */
void hsi_work_replace_all(hsi_core *core)
{
    hsi_core_run *last = NULL;
    for (hsi_core_run *run = core->active_runs; run; run = run->next_active) {
        last = run;
        if (!is_replaceable(run))
            continue;
        hsi_run_withdraw(core, run);
        hsi_work_forget(core, run);
    }
    for (hsi_core_run *run = last; run; run = run->prev_active)
        if (run->jobs_out == 0 && is_replaceable(run))
            distribute_first(core, run);
}
