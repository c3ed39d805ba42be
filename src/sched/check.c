/* What must hold between events, written down as code for the tests. */
#include "sched/internal.h"

#include <stddef.h>

static const char *check_heap(const hsi_heap *heap)
{
    if (heap->count > heap->capacity)
        return "a heap holds more than it has room for";
    for (uint32_t i = 0; i < heap->count; i++) {
        if (*heap->entries[i].heap_index != i)
            return "an element does not know its place in its heap";
        if (i > 0 &&
            hsi_heap_before(&heap->entries[i], &heap->entries[(i - 1) / HSI_HEAP_WIDTH]))
            return "a heap is out of order";
    }
    return NULL;
}

/* The best of those of a level that wait, searched for. */
static int is_head_right(const hsi_admission *admission, uint32_t index)
{
    const hsi_level *level = &admission->levels[index];
    const hsi_head *head = &admission->heads[index];
    if (level->waiting_count == 0)
        return 1;
    if (head->run->key != head->key || head->run->sequence != head->sequence ||
        head->run->state != HSI_RUN_WAITING)
        return 0;
    const hsi_heap_entry own = { .key = head->key, .sequence = head->sequence };
    for (const hsi_core_run *run = level->first; run; run = run->next_active)
        if (run->key < own.key || (run->key == own.key && run->sequence < own.sequence))
            return 0;
    for (uint32_t i = 0; i < level->waiting.count; i++)
        if (hsi_heap_before(&level->waiting.entries[i], &own))
            return 0;
    return 1;
}

/* Up to where runs may become active. */
static int is_end_right(const hsi_admission *admission)
{
    uint32_t before = 0;
    for (uint32_t i = 0; i < admission->end; i++)
        before += admission->levels[i].active;
    return before == admission->active_before && before < admission->active_limit &&
           (admission->end == HSI_LEVELS ||
            before + admission->levels[admission->end].active >= admission->active_limit);
}

static const char *check_levels(const hsi_admission *admission)
{
    uint32_t active = 0, waiting = 0;
    if (!is_end_right(admission))
        return "it is not known from which priorities on runs may become active";
    for (uint32_t i = 0; i < HSI_LEVELS; i++) {
        const hsi_level *level = &admission->levels[i];
        const char *wrong = check_heap(&level->waiting);
        if (wrong)
            return wrong;
        uint32_t listed = 0;
        for (const hsi_core_run *run = level->first; run; run = run->next_active) {
            const hsi_core_run *next = run->next_active;
            listed++;
            if (run->heap_index != UINT32_MAX || run->state != HSI_RUN_WAITING ||
                (next ? next->prev_active : level->last) != run)
                return "the list of runs that wait for admission is broken";
            if (next && (run->key != next->key ? run->key > next->key
                                               : run->sequence >= next->sequence))
                return "the list of runs that wait for admission is out of order";
        }
        if (level->waiting_count != listed + level->waiting.count)
            return "a priority level counts wrongly who waits for admission";
        uint64_t bit = UINT64_C(1) << i % 64;
        if (!(admission->active_levels[i / 64] & bit) != (level->active == 0) ||
            !(admission->waiting_levels[i / 64] & bit) != (level->waiting_count == 0))
            return "the bit of a priority level contradicts its count";
        if (!is_head_right(admission, i))
            return "a priority level does not know which of its runs is next";
        if (level->active > level->peak_active)
            return "more runs of a priority are active than room was made for";
        if (level->active + level->waiting_count > level->outstanding)
            return "more runs of a priority are active or waiting than outstanding";
        active += level->active;
        waiting += level->waiting_count;
        if (level->active > admission->active_limit)
            return "more runs of a priority are active than the limit allows";
        if (level->waiting_count > 0 && active < admission->active_limit)
            return "a run waits for admission though it might be active";
    }
    if (active != admission->active || waiting != admission->waiting)
        return "the counts of active or waiting runs are wrong";
    return NULL;
}

static uint32_t count_executing(const hsi_core *core, uint32_t device,
                                const hsi_batch_queue *queue)
{
    uint32_t count = 0;
    for (const hsi_core_run *run = core->active_runs; run; run = run->next_active) {
        const hsi_job *job = &run->jobs[0];
        count += job->state == HSI_JOB_RUNNING && job->leads && job->device == device &&
                 hsi_jobq_batch_queue(core, job) == queue;
    }
    return count;
}

static const hsi_core_run *next_queued(const hsi_batch_queue *queue,
                                       const hsi_core_run *run)
{
    return hsi_tree_next(&queue->order, hsi_run_place(run));
}

/* *nodes: those of its tree, counted on. */
static const char *check_batch_queue(const hsi_core *core, uint32_t device,
                                     const hsi_batch_queue *queue, uint32_t *nodes)
{
    uint32_t count = 0;
    uint64_t oldest = UINT64_MAX, newest = 0;
    const hsi_core_run *last = NULL;
    const char *wrong = hsi_tree_check(&core->batch_nodes, &queue->order, nodes);
    if (wrong)
        return wrong;
    if (queue->first != hsi_tree_first(&queue->order))
        return "a batch queue does not know its first run";
    for (const hsi_core_run *run = queue->first; run; run = next_queued(queue, run)) {
        const hsi_job *job = &run->jobs[0];
        if (job->state != HSI_JOB_QUEUED || job->device != device ||
            hsi_jobq_batch_queue(core, job) != queue)
            return "a run is in a batch queue where it does not belong";
        if (last && !hsi_tree_before(hsi_run_place(last), hsi_run_place(run)))
            return "a batch queue is out of order";
        if (run->submitted_us < oldest)
            oldest = run->submitted_us;
        if (run->submitted_us > newest)
            newest = run->submitted_us;
        last = run;
        count++;
    }
    if (!last || queue->count != count)
        return "a batch queue counts its jobs wrongly";
    if (queue->shown != (queue->held ? NULL : queue->first))
        return "a batch queue is held and in the device's queue, or neither";
    if (count < hsi_batch_limit(core->config.devices, last->model, device) &&
        (queue->oldest_us != oldest || queue->newest_us != newest))
        return "a batch queue does not know since when its runs wait";
    if (queue->executing != count_executing(core, device, queue))
        return "a batch queue miscounts its batches that are executing";
    if (queue->held && last->model->batch_wait_us == 0 && queue->executing == 0)
        return "a batch queue is held for no reason";
    if (queue->held &&
        count >= hsi_batch_limit(core->config.devices, last->model, device))
        return "a batch queue is held though it has a full batch";
    return NULL;
}

/* The device's heap, the batch queues behind it and those held back. */
static const char *check_queue(const hsi_core *core, uint32_t device, uint32_t *nodes)
{
    const hsi_heap *heap = &core->queues[device];
    const char *wrong = check_heap(heap);
    uint32_t queued = 0;
    for (uint32_t i = 0; i < heap->count && !wrong; i++) {
        const char *index = (const char *)heap->entries[i].heap_index;
        const hsi_job *job =
            (const hsi_job *)(const void *)(index - offsetof(hsi_job, heap_index));
        if (job->paused) {
            queued += hsi_paused_members(job);
            if (job->state != HSI_JOB_RUNNING || job->executes ||
                job->done >= job->count || !hsi_paused_is_wanted(job))
                return "a paused job is executing, done, or nobody's";
            continue;
        }
        const hsi_batch_queue *queue = hsi_jobq_batch_queue(core, job);
        if (queue && queue->shown != job->run)
            return "a job that should be behind another is in its device's queue";
        wrong = queue ? check_batch_queue(core, device, queue, nodes) : NULL;
        queued += queue ? queue->count : 1;
    }
    const hsi_batch_queue *previous = NULL;
    for (const hsi_batch_queue *queue = core->held[device]; queue && !wrong;
         queue = queue->next_held) {
        wrong = check_batch_queue(core, device, queue, nodes);
        queued += queue->count;
        if (!queue->held || queue->prev_held != previous)
            return "the list of batch queues that are held back is broken";
        previous = queue;
    }
    if (!wrong && queued != core->queued[device])
        return "a device's queue counts its jobs wrongly";
    return wrong;
}

/* The numbers of the run's entry: those of all before the next place, less those before its own. */
static void find_own(const hsi_core *core, const hsi_core_run *run, int64_t *own)
{
    hsi_tree_place place = hsi_run_place(run);
    hsi_tree_path path;
    int64_t before[HSI_MAX_DEVICES];
    hsi_tree_find(core->choosing, place, &path);
    hsi_tree_sum_before(&core->choosing_nodes, &path, before);
    place.sequence++;
    hsi_tree_find(core->choosing, place, &path);
    hsi_tree_sum_before(&core->choosing_nodes, &path, own);
    for (uint32_t d = 0; d < core->config.device_count; d++)
        own[d] -= before[d];
}

/* The tree of runs whose policy chooses: all that are active, in order, with what they bring. */
static const char *check_choosing(const hsi_core *core)
{
    uint32_t active = 0, found = 0, nodes = 0;
    int64_t sums[HSI_MAX_DEVICES] = { 0 }, own[HSI_MAX_DEVICES];
    const hsi_core_run *last = NULL;
    const char *wrong = hsi_tree_check(&core->choosing_nodes, core->choosing, &nodes);
    if (wrong)
        return wrong;
    if (nodes > core->choosing_nodes.capacity)
        return "the tree of runs that are placed by their work has outgrown its room";
    for (const hsi_core_run *run = core->active_runs; run; run = run->next_active)
        active += run->model->policy->choose != NULL;
    for (const hsi_core_run *run = hsi_tree_first(core->choosing); run;
         last = run, run = hsi_tree_next(core->choosing, hsi_run_place(run)), found++) {
        if (run->state != HSI_RUN_ACTIVE ||
            (last && !hsi_tree_before(hsi_run_place(last), hsi_run_place(run))))
            return "the runs that are placed by their work are out of order";
        find_own(core, run, own);
        for (uint32_t d = 0; d < core->config.device_count; d++) {
            if (run->work_us[d] < 0 || own[d] != run->counted_ns[d] ||
                own[d] != (int64_t)(run->work_us[d] * 1e3f))
                return "the work of runs is not the sum of what each brings";
            sums[d] += own[d];
        }
    }
    for (uint32_t d = 0; d < core->config.device_count; d++)
        if (sums[d] != core->work_ns[d])
            return "the work of all runs is not the sum of what each brings";
    return found == active ? NULL
                           : "an active run is not among those placed by their work";
}

static const char *check_gathered(const hsi_core *core)
{
    const hsi_gather *g = &core->gather;
    uint32_t marked = 0;
    for (const hsi_core_run *run = core->active_runs; run; run = run->next_active)
        marked += run->gathered;
    for (uint32_t i = 0; i < g->count; i++) {
        const hsi_core_run *run = g->runs[i];
        if (!run->gathered || run->state != HSI_RUN_ACTIVE || run->jobs_out > 0 ||
            run->priority != g->runs[0]->priority ||
            (i > 0 && run->sequence <= g->runs[i - 1]->sequence))
            return "a run is gathered that should not be, or in the wrong place";
    }
    if (g->count >= HSI_GATHER_MOST || g->last)
        return "runs are gathered that should have been placed";
    return marked == g->count ? NULL : "a run is not among those that are gathered";
}

/* What is executing: counted by priority, in bits, and in the jobs themselves. */
static const char *check_executing(const hsi_core *core, uint32_t device)
{
    const hsi_executing *e = &core->executing[device];
    uint32_t sum = 0, marked = 0;
    for (uint32_t i = 0; i < HSI_LEVELS; i++) {
        sum += e->of_level[i];
        if (!(e->levels[i / 64] >> i % 64 & 1) != (e->of_level[i] == 0))
            return "the bit of a priority that is executing contradicts its count";
    }
    for (const hsi_core_run *run = core->active_runs; run; run = run->next_active)
        for (uint32_t s = 0; s < run->model->section_count; s++)
            marked += run->jobs[s].executes && run->jobs[s].device == device;
    return sum == e->count && marked == e->count
               ? NULL
               : "the jobs that are executing are counted wrongly";
}

const char *hsi_core_check(const hsi_core *core)
{
    uint32_t nodes = 0;
    for (uint32_t d = 0; d < core->config.device_count; d++) {
        const char *wrong = check_queue(core, d, &nodes);
        if (!wrong)
            wrong = check_executing(core, d);
        if (wrong)
            return wrong;
        if (core->queued[d] > core->backlog[d])
            return "more jobs are queued than queued or running";
        if (core->queues[d].capacity < core->job_capacity)
            return "a job queue lacks the room that was reserved";
        if (core->queued[d] > 0 && !(core->available >> d & 1))
            return "jobs are queued on a lost device";
    }
    if (nodes > core->batch_nodes.capacity)
        return "the trees of batch queues have outgrown their room";
    const char *unsorted = check_gathered(core);
    if (!unsorted)
        unsorted = check_choosing(core);
    if (unsorted)
        return unsorted;
    if (core->untold)
        return "dependents of an ended run were not told";
    if (!core->first_ended != !core->last_ended)
        return "the list of ended runs has one end only";
    uint32_t active = 0;
    const hsi_core_run *previous = NULL;
    for (const hsi_core_run *run = core->active_runs; run; run = run->next_active) {
        if (run->state != HSI_RUN_ACTIVE || run->prev_active != previous)
            return "the list of active runs is broken";
        previous = run;
        active++;
    }
    if (active != core->admission.active)
        return "the list of active runs does not hold them all";
    return check_levels(&core->admission);
}

static const char *check_job(const hsi_core *core, const hsi_core_run *run,
                             const hsi_job *job)
{
    const hsi_core_section *section = &run->model->sections[job->section];
    uint32_t pending = 0;
    for (uint32_t i = 0; i < section->dep_count; i++)
        pending += run->jobs[section->deps[i]].state != HSI_JOB_DONE;
    if (job->pending != pending)
        return "a section counts its unmet dependencies wrongly";
    if (job->state == HSI_JOB_QUEUED && job->count > 0) {
        const hsi_heap *heap = &core->queues[job->device];
        const hsi_batch_queue *queue = hsi_jobq_batch_queue(core, job);
        const hsi_core_run *found = queue ? queue->first : NULL;
        while (found && found != run)
            found = next_queued(queue, found);
        if (queue && !found)
            return "a queued job is not in its batch queue";
        if ((!queue || queue->shown == run) &&
            (job->heap_index >= heap->count ||
             heap->entries[job->heap_index].heap_index != &job->heap_index))
            return "a queued job is not in its queue";
    }
    if ((job->state == HSI_JOB_QUEUED || job->state == HSI_JOB_RUNNING) &&
        job->count > 0 && pending > 0)
        return "a job is queued or running before its dependencies are done";
    int stopping = hsi_run_is_stopping(run) || run->restarting;
    if (job->state == HSI_JOB_QUEUED && stopping)
        return "a job of a cancelled, failed or restarting run is queued";
    if (job->moved && job->device != 0 &&
        (job->state == HSI_JOB_QUEUED || job->state == HSI_JOB_RUNNING))
        return "a moved job is not on the CPU";
    if (job->state == HSI_JOB_WAITING && pending == 0 && !stopping &&
        run->state == HSI_RUN_ACTIVE && !run->gathered)
        return "a section may run and is not queued";
    return NULL;
}

const char *hsi_core_check_run(const hsi_core *core, const hsi_core_run *run)
{
    if (run->state == HSI_RUN_IDLE || run->state == HSI_RUN_ENDED)
        return "the run is not in flight";
    uint32_t blockers = 0, left = 0, out = 0;
    for (uint32_t i = 0; i < run->edge_count; i++)
        blockers += run->edges[i].from != NULL;
    if (blockers != run->blockers || (blockers > 0) != (run->state == HSI_RUN_BLOCKED))
        return "a run is blocked for no reason, or not blocked though it must be";
    for (uint32_t s = 0; s < run->model->section_count; s++) {
        const hsi_job *job = &run->jobs[s];
        const char *wrong = job->run == run && job->section == s
                                ? check_job(core, run, job)
                                : "a section's record belongs to another section";
        if (wrong)
            return wrong;
        int is_out = job->state == HSI_JOB_QUEUED || job->state == HSI_JOB_RUNNING;
        left += job->state != HSI_JOB_DONE;
        out += is_out && job->count > 0;
        if (is_out && run->state != HSI_RUN_ACTIVE)
            return "a run that is not active has jobs";
    }
    const hsi_heap *deadlines = &core->deadlines;
    if (run->deadline_us != 0 && !run->missed &&
        (run->deadline_index >= deadlines->count ||
         deadlines->entries[run->deadline_index].heap_index != &run->deadline_index))
        return "a run's deadline is not among the deadlines";
    if (left != run->sections_left || out != run->jobs_out)
        return "a run counts its sections or jobs wrongly";
    if (run->state == HSI_RUN_ACTIVE && out == 0 && !run->gathered)
        return "an active run has no jobs and has not ended";
    return NULL;
}
