/*
 * Deadlines: what they are worth in the order, and what follows when they pass. They stand in
 * a heap of their own, so that an event looks at none but those that have passed.
 */
#include "sched/internal.h"

#include <stddef.h>

int hsi_deadline_reserve(hsi_core *core, const hsi_core_run *run)
{
    return run->deadline_us == 0 ||
           hsi_heap_reserve(&core->deadlines, core->deadlines.count + 1);
}

int64_t hsi_deadline_gain(const hsi_core *core, const hsi_core_run *run)
{
    const uint64_t most = core->config.ageing_us / 2;
    if (run->deadline_us == 0)
        return 0;
    if (run->deadline_us <= core->now_us)
        return (int64_t)most;
    const uint64_t left = run->deadline_us - core->now_us;
    return left < most ? (int64_t)(most - left) : 0;
}

void hsi_deadline_submitted(hsi_core *core, hsi_core_run *run)
{
    if (run->deadline_us == 0)
        return;
    const uint64_t latest = INT64_MAX;
    hsi_heap_entry entry = { .key = (int64_t)(run->deadline_us < latest ? run->deadline_us
                                                                        : latest),
                             .sequence = run->sequence,
                             .heap_index = &run->deadline_index };
    hsi_heap_push(&core->deadlines, entry);
}

static void miss(hsi_core *core, hsi_core_run *run)
{
    hsi_heap_remove(&core->deadlines, run->deadline_index);
    run->missed = 1;
    core->stats.missed++;
}

void hsi_deadline_ended(hsi_core *core, hsi_core_run *run)
{
    if (run->deadline_us == 0 || run->missed)
        return;
    if (core->now_us > run->deadline_us)
        miss(core, run);
    else
        hsi_heap_remove(&core->deadlines, run->deadline_index);
}

void hsi_deadlines_pass(hsi_core *core)
{
    const hsi_heap *deadlines = &core->deadlines;
    while (deadlines->count > 0 && (uint64_t)deadlines->entries[0].key < core->now_us) {
        char *index = (char *)deadlines->entries[0].heap_index;
        hsi_core_run *run =
            (hsi_core_run *)(void *)(index - offsetof(hsi_core_run, deadline_index));
        miss(core, run);
        if (!run->drop_late || hsi_run_is_stopping(run))
            continue;
        run->status = HSCHED_ERROR_DEADLINE;
        hsi_run_stop(core, run, HSCHED_ERROR_DEADLINE);
    }
}

uint64_t hsi_deadline_next(const hsi_core *core)
{
    return core->deadlines.count > 0 ? (uint64_t)core->deadlines.entries[0].key + 1
                                     : UINT64_MAX;
}
