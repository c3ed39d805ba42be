/*
 * Runs that come together are placed together.
 *
 * A run that is placed when it comes goes where it ends first by what is there then. If others
 * follow at once, as when a picture goes to several networks, that is often wrong: of eight runs
 * that could be one batch the first goes alone, and one that would hardly lose anything on the CPU
 * has taken the accelerator when those come that would lose much. So where it is known that a
 * model's runs are followed by others, the first waits for these; how long, says core.h. Waiting
 * for what is about to come, and learning whether it does, is anticipatory scheduling (Iyer and
 * Druschel, "Anticipatory Scheduling: A Disk Scheduling Framework to Overcome Deceptive Idleness in
 * Synchronous I/O", 2001).
 *
 * Who would lose most elsewhere is placed first (the order of HeteroPrio: Bleuse, Kedad-Sidhoum,
 * Monna, Mounié and Trystram, "Scheduling Independent Tasks on Multi-cores with GPU Accelerators",
 * 2015), each knowing of those that were placed before it; then each once more, knowing of all.
 */
#include "sched/internal.h"

#include <string.h>

#include "sched/objective.h"

enum {
    LEAST_US = 10, /* for less no thread comes in time */
    SURE = 2 /* followed so often, more or less, before runs of a model wait for others */
};

/* So long the run may wait for others; 0: it does not. */
static uint64_t window_of(const hsi_core *core, const hsi_core_run *run)
{
    const hsi_core_model *model = run->model;
    const hsi_choices *c = model->choices;
    if (!model->policy->choose || !model->followed || !c || c->count < 2 ||
        run->deadline_us > 0 || run->submitted_us < core->now_us)
        return 0;
    if (model->objective != HSCHED_OBJECTIVE_DEFAULT &&
        model->objective != HSCHED_OBJECTIVE_MAKESPAN)
        return 0;
    const double us = core->config.gather_share * (double)c->least_us;
    return us >= LEAST_US ? (uint64_t)us : 0;
}

/* ---- Learning --------------------------------------------------------------- */

static void close_opening(hsi_gather *g)
{
    uint8_t *followed = g->opener->model->followed;
    if (g->was_followed)
        *followed += *followed < HSI_FOLLOWED_MOST;
    else
        *followed -= *followed > 0;
    g->opener = NULL;
}

/* A run has come: it follows the opener, or it may be one. */
static void learn(hsi_core *core, hsi_core_run *run, uint64_t window_us)
{
    hsi_gather *g = &core->gather;
    if (g->opener && core->now_us > g->open_until_us)
        close_opening(g);
    if (g->opener) {
        g->was_followed = 1;
        g->open_until_us = core->now_us + g->open_us;
    } else if (window_us > 0) {
        g->opener = run;
        g->was_followed = 0;
        g->open_us = window_us;
        g->open_until_us = core->now_us + window_us;
    }
}

/* ---- Gathering -------------------------------------------------------------- */

static void add(hsi_core *core, hsi_core_run *run, uint64_t window_us)
{
    hsi_gather *g = &core->gather;
    if (g->count == 0) {
        g->first_us = core->now_us;
        g->quiet_us = window_us;
        g->allowed_us = 0;
    }
    g->runs[g->count++] = run;
    g->allowed_us += window_us;
    const uint64_t quiet = core->now_us + g->quiet_us;
    const uint64_t most = g->first_us + g->allowed_us;
    g->due_us = quiet < most ? quiet : most;
    run->gathered = 1;
}

int hsi_gather_takes(hsi_core *core, hsi_core_run *run)
{
    hsi_gather *g = &core->gather;
    const uint64_t window_us = window_of(core, run);
    if (hsi_gather_due(core) <= core->now_us)
        hsi_gather_place(core);
    learn(core, run, window_us);
    if (window_us == 0)
        return 0;
    if (g->count == 0 ? *run->model->followed < SURE
                      : run->priority != g->runs[0]->priority)
        return 0;
    add(core, run, window_us);
    if (g->count == HSI_GATHER_MOST)
        hsi_gather_place(core);
    return 1;
}

uint64_t hsi_gather_due(const hsi_core *core)
{
    return core->gather.count > 0 ? core->gather.due_us : UINT64_MAX;
}

void hsi_gather_ended(hsi_core *core, hsi_core_run *run)
{
    hsi_gather *g = &core->gather;
    if (g->opener == run)
        close_opening(g);
    if (!run->gathered)
        return;
    uint32_t i = 0;
    while (g->runs[i] != run)
        i++;
    memmove(&g->runs[i], &g->runs[i + 1], (--g->count - i) * sizeof g->runs[0]);
    run->gathered = 0;
}

/* ---- Placing ---------------------------------------------------------------- */

typedef struct candidate {
    hsi_core_run *run;
    double loss;
} candidate;

static double loss_of(const hsi_core *core, const hsi_core_run *run)
{
    const hsi_gather *g = &core->gather;
    uint32_t alike = 0;
    for (uint32_t i = 0; i < g->count; i++)
        alike += g->runs[i]->model == run->model;
    return hsi_objective_loss(core->config.devices, core->available, run->model, alike);
}

/* Who comes first in a stays so among those that lose the same. */
static uint32_t sort(const hsi_core *core, candidate *sorted)
{
    const hsi_gather *g = &core->gather;
    for (uint32_t i = 0; i < g->count; i++) {
        const candidate new = { g->runs[i], loss_of(core, g->runs[i]) };
        uint32_t at = i;
        for (; at > 0 && sorted[at - 1].loss < new.loss; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = new;
    }
    return g->count;
}

/* Of one priority and without deadlines, they stand in the order in which they came. */
void hsi_gather_place(hsi_core *core)
{
    hsi_gather *g = &core->gather;
    candidate sorted[HSI_GATHER_MOST];
    if (g->count == 0)
        return;
    hsi_core_run *const last = g->runs[g->count - 1];
    const uint32_t count = sort(core, sorted);
    core->stats.gathered += count;
    g->count = 0;
    g->last = last;
    for (uint32_t i = 0; i < count; i++) {
        sorted[i].run->gathered = 0;
        hsi_distribute_ready(core, sorted[i].run);
    }
    for (uint32_t i = 0; i < count && count > 1; i++) {
        hsi_run_withdraw(core, sorted[i].run);
        hsi_work_forget(core, sorted[i].run);
        hsi_distribute_ready(core, sorted[i].run);
    }
    g->last = NULL;
    for (uint32_t i = 0; i < count; i++)
        hsi_run_end_if_done(core, sorted[i].run);
}
