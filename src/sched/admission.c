/*
 * Admission: a run of priority p may become active while fewer than active_limit runs of
 * priority
 * >= p are. The number of active runs at or above a priority grows towards lower
 * priorities, so there is one threshold: all levels above it may be admitted from, none
 * below.
 */
#include "sched/internal.h"

#include <stddef.h>

#include "base/status.h"

static uint32_t level_of(const hsi_core_run *run)
{
    return (uint32_t)(HSCHED_PRIORITY_MAX - run->priority);
}

static void set_bit(uint64_t *words, uint32_t bit)
{
    words[bit / 64] |= UINT64_C(1) << bit % 64;
}

static void clear_bit(uint64_t *words, uint32_t bit)
{
    words[bit / 64] &= ~(UINT64_C(1) << bit % 64);
}

/* The first level >= `from` whose bit is set, or HSI_LEVELS. */
static uint32_t next_bit(const uint64_t *words, uint32_t from)
{
    for (uint32_t w = from / 64; w < HSI_LEVEL_WORDS; w++) {
        uint64_t word = words[w];
        if (w == from / 64)
            word &= ~UINT64_C(0) << from % 64;
        if (word != 0)
            return w * 64 + (uint32_t)__builtin_ctzll(word);
    }
    return HSI_LEVELS;
}

/* The last level before `end` whose bit is set; there is one. */
static uint32_t previous_bit(const uint64_t *words, uint32_t end)
{
    uint32_t w = (end - 1) / 64;
    uint64_t word = words[w] << (63 - (end - 1) % 64) >> (63 - (end - 1) % 64);
    while (word == 0)
        word = words[--w];
    return w * 64 + 63 - (uint32_t)__builtin_clzll(word);
}

/*
 * The most jobs of a run that can be queued at once. The first sections of its jobs wait
 * for nothing, so none of them depends on another; of the sections of a chain there is at
 * most one among them. The depths of the sections are noted in their records, which are
 * not in use yet.
 */
static uint32_t most_jobs(const hsi_core_run *run)
{
    const hsi_core_model *model = run->model;
    uint32_t longest = 1;
    for (uint32_t s = 0; s < model->section_count; s++) {
        const hsi_core_section *section = &model->sections[s];
        uint32_t depth = 0;
        for (uint32_t i = 0; i < section->dep_count; i++)
            if (run->jobs[section->deps[i]].heap_index > depth)
                depth = run->jobs[section->deps[i]].heap_index;
        run->jobs[s].heap_index = ++depth;
        if (depth > longest)
            longest = depth;
    }
    return model->section_count - longest + 1;
}

/*
 * At most min(outstanding, active_limit) runs of one priority are active at a time: so
 * much room in every queue, and no push can fail later.
 */
hsched_status hsi_admission_reserve(hsi_core *core, const hsi_core_run *run)
{
    hsi_admission *admission = &core->admission;
    hsi_level *level = &admission->levels[level_of(run)];
    uint32_t active = level->outstanding < admission->active_limit
                          ? level->outstanding + 1
                          : admission->active_limit;
    uint32_t jobs = run->model->section_count;
    if (jobs > level->peak_jobs)
        jobs = most_jobs(run);
    if (active < level->peak_active)
        active = level->peak_active;
    if (jobs < level->peak_jobs)
        jobs = level->peak_jobs;

    uint64_t others =
        core->job_capacity - (uint64_t)level->peak_active * level->peak_jobs;
    uint64_t capacity = (uint64_t)active * jobs;
    if (level->outstanding == UINT32_MAX || capacity > UINT32_MAX - others)
        return hsi_error(
            HSCHED_ERROR_LIMIT,
            "submitting a run of %u sections at priority %d: the job queues would "
            "need more than 2^32 places; lower the number of active runs",
            run->model->section_count, run->priority);
    capacity += others;

    const uint32_t active_runs = core->run_capacity - level->peak_active + active;
    int ok = hsi_heap_reserve(&level->waiting, level->outstanding + 1);
    ok = ok && hsi_tree_reserve(&core->choosing_nodes, active_runs) &&
         hsi_tree_reserve(&core->batch_nodes, active_runs);
    for (uint32_t d = 0; ok && d < core->config.device_count; d++)
        ok = hsi_heap_reserve(&core->queues[d], (uint32_t)capacity);
    if (!ok)
        return hsi_out_of_memory("the scheduler's queues");
    level->peak_active = active;
    level->peak_jobs = jobs;
    core->job_capacity = (uint32_t)capacity;
    core->run_capacity = active_runs;
    return HSCHED_OK;
}

void hsi_admission_init(hsi_admission *admission, uint32_t active_limit)
{
    admission->active_limit = active_limit;
    admission->end = HSI_LEVELS;
}

void hsi_admission_clear(hsi_admission *admission)
{
    for (uint32_t i = 0; i < HSI_LEVELS; i++)
        hsi_heap_clear(&admission->levels[i].waiting);
}

void hsi_admission_submitted(hsi_admission *admission, const hsi_core_run *run)
{
    admission->levels[level_of(run)].outstanding++;
}

/* ---- Those that wait ------------------------------------------------------ */

static int goes_before(const hsi_core_run *a, const hsi_core_run *b)
{
    return a->key != b->key ? a->key < b->key : a->sequence < b->sequence;
}

static void append(hsi_level *level, hsi_core_run *run)
{
    run->heap_index = UINT32_MAX;
    run->next_active = NULL;
    run->prev_active = level->last;
    if (level->last)
        level->last->next_active = run;
    else
        level->first = run;
    level->last = run;
}

static void unlink_run(hsi_level *level, const hsi_core_run *run)
{
    if (run->prev_active)
        run->prev_active->next_active = run->next_active;
    else
        level->first = run->next_active;
    if (run->next_active)
        run->next_active->prev_active = run->prev_active;
    else
        level->last = run->prev_active;
}

static void find_head(hsi_admission *admission, uint32_t index)
{
    const hsi_level *level = &admission->levels[index];
    hsi_core_run *run = level->first;
    if (level->waiting.count > 0) {
        char *place = (char *)level->waiting.entries[0].heap_index;
        hsi_core_run *other =
            (hsi_core_run *)(void *)(place - offsetof(hsi_core_run, heap_index));
        if (!run || goes_before(other, run))
            run = other;
    }
    if (run)
        admission->heads[index] = (hsi_head){ run->key, run->sequence, run };
}

static int head_before(const hsi_head *a, const hsi_head *b)
{
    return a->key != b->key ? a->key < b->key : a->sequence < b->sequence;
}

void hsi_admission_wait(hsi_admission *admission, hsi_core_run *run)
{
    const uint32_t index = level_of(run);
    const hsi_head own = { run->key, run->sequence, run };
    hsi_level *level = &admission->levels[index];
    if (!level->last || goes_before(level->last, run))
        append(level, run);
    else
        hsi_heap_push(&level->waiting,
                      (hsi_heap_entry){ .key = run->key,
                                        .sequence = run->sequence,
                                        .heap_index = &run->heap_index });
    if (level->waiting_count++ == 0 || head_before(&own, &admission->heads[index]))
        admission->heads[index] = own;
    set_bit(admission->waiting_levels, index);
    admission->waiting++;
}

void hsi_admission_stop_waiting(hsi_admission *admission, hsi_core_run *run)
{
    const uint32_t index = level_of(run);
    hsi_level *level = &admission->levels[index];
    if (run->heap_index == UINT32_MAX)
        unlink_run(level, run);
    else
        hsi_heap_remove(&level->waiting, run->heap_index);
    if (--level->waiting_count == 0)
        clear_bit(admission->waiting_levels, index);
    else if (admission->heads[index].run == run)
        find_head(admission, index);
    admission->waiting--;
}

/* ---- How many are active -------------------------------------------------- */

/* A run of this level, which is one that may be admitted from, is active now. */
static void count_in(hsi_admission *admission, uint32_t index)
{
    admission->active++;
    if (admission->levels[index].active++ == 0)
        set_bit(admission->active_levels, index);
    admission->active_before++;
    while (admission->active_before >= admission->active_limit) {
        admission->end = previous_bit(admission->active_levels, admission->end);
        admission->active_before -= admission->levels[admission->end].active;
    }
}

static void count_out(hsi_admission *admission, uint32_t index)
{
    admission->active--;
    if (--admission->levels[index].active == 0)
        clear_bit(admission->active_levels, index);
    if (index < admission->end)
        admission->active_before--;
    while (admission->end < HSI_LEVELS) {
        const uint32_t with =
            admission->active_before + admission->levels[admission->end].active;
        if (with >= admission->active_limit)
            break;
        admission->active_before = with;
        admission->end = next_bit(admission->active_levels, admission->end + 1);
    }
}

/* With many runs waiting, each has long left the caches when its turn comes: those that come next
 * are fetched while this one is seen to, first the run, the next time what it points to. */
static void fetch_next(const hsi_admission *admission, uint32_t index)
{
    const hsi_level *level = &admission->levels[index];
    const hsi_core_run *next = admission->heads[index].run;
    if (level->waiting_count == 0)
        return;
    if (next == level->first && next->next_active)
        for (size_t i = 0; i < offsetof(hsi_core_run, counted_ns); i += 64)
            __builtin_prefetch((const char *)next->next_active + i, 1);
    const size_t jobs = sizeof *next->jobs * next->model->section_count;
    for (size_t i = 0; i < jobs && i < 1024; i += 64)
        __builtin_prefetch((const char *)next->jobs + i, 1);
}

hsi_core_run *hsi_admission_next(hsi_admission *admission)
{
    const hsi_head *best = NULL;
    for (uint32_t i = next_bit(admission->waiting_levels, 0); i < admission->end;
         i = next_bit(admission->waiting_levels, i + 1))
        if (!best || head_before(&admission->heads[i], best))
            best = &admission->heads[i];
    if (!best)
        return NULL;
    const uint32_t index = (uint32_t)(best - admission->heads);
    hsi_core_run *run = best->run;
    hsi_admission_stop_waiting(admission, run);
    count_in(admission, index);
    fetch_next(admission, index);
    return run;
}

void hsi_admission_ended(hsi_admission *admission, const hsi_core_run *run,
                         int was_active)
{
    const uint32_t index = level_of(run);
    admission->levels[index].outstanding--;
    if (was_active)
        count_out(admission, index);
}
