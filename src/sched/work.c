/*
 * How much work runs bring to the devices, as far as their policy says so, and asking it where
 * they go. Active runs whose policy chooses stand in a tree in the scheduler's order, with the work
 * that each brings: so what goes before a run is summed up on the way from the root to it, however
 * many runs there are.
 */
#include "sched/internal.h"

#include <stddef.h>

#include "base/alloc.h"
#include "sched/policy_cost.h"

int hsi_work_init(hsi_core *core)
{
    core->choosing_nodes.numbers = core->config.device_count;
    core->choosing = hsi_tree_create(&core->choosing_nodes);
    return core->choosing != NULL;
}

void hsi_work_clear(hsi_core *core)
{
    hsi_tree_clear(&core->choosing_nodes);
    hsi_free(core->choosing);
}

void hsi_work_began(hsi_core *core, hsi_core_run *run)
{
    if (!run->model->policy->choose)
        return;
    for (uint32_t d = 0; d < core->config.device_count; d++)
        run->counted_ns[d] = 0;
    hsi_tree_insert(&core->choosing_nodes, core->choosing, hsi_run_place(run), run,
                    &core->found);
    core->found_run = run;
}

void hsi_work_ended(hsi_core *core, hsi_core_run *run)
{
    if (!run->model->policy->choose)
        return;
    for (uint32_t d = 0; d < core->config.device_count; d++) {
        core->work_ns[d] -= run->counted_ns[d];
        run->work_us[d] = 0;
    }
    hsi_tree_remove(&core->choosing_nodes, core->choosing, hsi_run_place(run),
                    run->counted_ns);
    core->found_run = NULL;
}

/* The way to an active run in the tree. */
static const hsi_tree_path *path_to(hsi_core *core, const hsi_core_run *run)
{
    if (core->found_run != run)
        hsi_tree_find(core->choosing, hsi_run_place(run), &core->found);
    core->found_run = run;
    return &core->found;
}

void hsi_work_count(hsi_core *core, hsi_core_run *run)
{
    int64_t more[HSI_MAX_DEVICES];
    const uint32_t devices = core->config.device_count;
    int any = 0;
    if (!run->model->policy->choose)
        return;
    for (uint32_t d = 0; d < devices; d++) {
        const int64_t work = (int64_t)(run->work_us[d] * 1e3f);
        more[d] = work - run->counted_ns[d];
        run->counted_ns[d] = work;
        core->work_ns[d] += more[d];
        any |= more[d] != 0;
    }
    if (any)
        hsi_tree_add(&core->choosing_nodes, path_to(core, run), more);
}

/* Work of the active runs that go before this one. Of runs that are placed together, that is all
 * others: each is to be where it delays the last of them least. */
static void find_ahead(hsi_core *core, const hsi_core_run *run, double *ahead_us)
{
    const hsi_core_run *last = core->gather.last ? core->gather.last : run;
    int64_t sum[HSI_MAX_DEVICES];
    hsi_tree_sum_before(&core->choosing_nodes, path_to(core, last), sum);
    for (uint32_t d = 0; d < core->config.device_count; d++) {
        if (last != run)
            sum[d] += last->counted_ns[d] - run->counted_ns[d];
        ahead_us[d] = (double)sum[d] * 1e-3;
    }
}

void hsi_work_choose(hsi_core *core, hsi_core_run *run, uint32_t section)
{
    const hsi_core_model *model = run->model;
    double ahead_us[HSI_MAX_DEVICES], others_us[HSI_MAX_DEVICES];
    if (!model->policy->choose)
        return;
    find_ahead(core, run, ahead_us);
    for (uint32_t d = 0; d < core->config.device_count; d++)
        others_us[d] = (double)(core->work_ns[d] - run->counted_ns[d]) * 1e-3;
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
        .work_us = others_us,
        .spare_watts = hsi_power_spare_watts(core),
        .owed_uj = core->owed_uj,
        .now_us = core->now_us,
    };
    model->policy->choose(&query, run);
    hsi_work_count(core, run);
}

void hsi_work_done(const hsi_job *job)
{
    hsi_core_run *run = job->run;
    const hsi_choices *c = run->model->choices;
    float *left = &run->work_us[job->device];
    if (!run->model->policy->choose || !c || c->count == 0 || !(*left > 0))
        return;
    float done = 0;
    for (uint32_t i = 0; i < job->count; i++)
        done += c->section_us[(job->section + i) * c->device_count + job->device];
    if (done > *left || job->count == run->model->section_count)
        done = *left;
    *left -= done;
}

void hsi_work_forget(hsi_core *core, hsi_core_run *run)
{
    if (!run->model->policy->choose)
        return;
    for (uint32_t d = 0; d < core->config.device_count; d++)
        run->work_us[d] = 0;
    hsi_work_count(core, run);
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
    return run->model->policy->choose && !run->gathered && !hsi_run_is_stopping(run) &&
           has_not_started(run);
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
        if (run->jobs_out == 0 && is_replaceable(run)) {
            core->stats.replaced++;
            hsi_distribute_ready(core, run);
        }
}
