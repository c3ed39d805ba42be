/*
 * The job queues: heaps of jobs, one per device, and behind them the batch queues.
 *
 * Whole-run jobs that may be joined stand in a tree per model and device, in the order of
 * their keys. Only the first of a tree is in the device's heap, and not even that while
 * the tree is held back; such ones are linked to the core instead. So taking a batch
 * looks at nothing but the jobs it takes, and those held back are in nobody's way.
 *
 * Whether one is held back depends on its jobs, on how many batches of it are executing,
 * and on the time. It is decided anew when its jobs change, when a batch ends, and when jobs
 * are taken, since time has passed then.
 */
#include "sched/internal.h"

#include <stddef.h>

#include "sched/objective.h"

#define FETCHED_MOST 1024u /* bytes of a run's jobs */

static void heap_push(hsi_core *core, hsi_job *job)
{
    hsi_heap_entry entry = { .key = job->run->key,
                             .sequence = job->run->sequence,
                             .section = job->section,
                             .heap_index = &job->heap_index };
    hsi_heap_push(&core->queues[job->device], entry);
}

static hsi_job *job_of(const hsi_heap_entry *entry)
{
    char *index = (char *)entry->heap_index;
    return (hsi_job *)(void *)(index - offsetof(hsi_job, heap_index));
}

hsi_job *hsi_jobq_first(const hsi_core *core, uint32_t device)
{
    const hsi_heap *heap = &core->queues[device];
    return heap->count > 0 ? job_of(&heap->entries[0]) : NULL;
}

hsi_job *hsi_jobq_second(const hsi_core *core, uint32_t device)
{
    const hsi_heap *heap = &core->queues[device];
    const hsi_heap_entry *second = NULL;
    for (uint32_t i = 1; i <= HSI_HEAP_WIDTH && i < heap->count; i++)
        if (!second || hsi_heap_before(&heap->entries[i], second))
            second = &heap->entries[i];
    return second ? job_of(second) : NULL;
}

/* ---- Batch queues --------------------------------------------------------- */

static void insert(hsi_core *core, hsi_batch_queue *queue, hsi_core_run *run)
{
    hsi_tree_path path;
    hsi_tree_insert(&core->batch_nodes, &queue->order, hsi_run_place(run), run, &path);
    if (queue->count++ == 0 ||
        hsi_tree_before(hsi_run_place(run), hsi_run_place(queue->first)))
        queue->first = run;
}

static void take_out(hsi_core *core, hsi_batch_queue *queue, const hsi_core_run *run)
{
    hsi_tree_remove(&core->batch_nodes, &queue->order, hsi_run_place(run), NULL);
    queue->first = hsi_tree_first(&queue->order);
    queue->count--;
}

/* With many runs queued, each has long left the caches when it is taken: all of a batch are fetched
 * at the same time. */
static void fetch(const void *memory, size_t size)
{
    for (size_t i = 0; i < size; i += 64)
        __builtin_prefetch((const char *)memory + i, 1);
}

/* The first runs, up to `most`. */
static uint32_t take_first(hsi_core *core, hsi_batch_queue *queue, hsi_job **jobs,
                           uint32_t most)
{
    uint32_t count = 0;
    while (count < most && count < queue->count) {
        void *runs[HSI_TREE_WIDTH];
        const uint32_t wanted = most - count;
        const uint32_t taken =
            hsi_tree_take(&core->batch_nodes, &queue->order, runs,
                          wanted < HSI_TREE_WIDTH ? wanted : HSI_TREE_WIDTH);
        for (uint32_t i = 0; i < taken && taken > 1; i++)
            fetch(runs[i], sizeof(hsi_core_run));
        for (uint32_t i = 0; i < taken; i++) {
            hsi_core_run *run = runs[i];
            const size_t size = sizeof *run->jobs * run->model->section_count;
            if (taken > 1)
                fetch(run->jobs, size < FETCHED_MOST ? size : FETCHED_MOST);
            jobs[count++] = &run->jobs[0];
        }
    }
    queue->first = hsi_tree_first(&queue->order);
    queue->count -= count;
    return count;
}

static void hold(hsi_core *core, uint32_t device, hsi_batch_queue *queue)
{
    queue->held = 1;
    queue->prev_held = NULL;
    queue->next_held = core->held[device];
    if (queue->next_held)
        queue->next_held->prev_held = queue;
    core->held[device] = queue;
}

static void stop_holding(hsi_core *core, uint32_t device, hsi_batch_queue *queue)
{
    queue->held = 0;
    if (queue->prev_held)
        queue->prev_held->next_held = queue->next_held;
    else
        core->held[device] = queue->next_held;
    if (queue->next_held)
        queue->next_held->prev_held = queue->prev_held;
}

/* Until when runs are held back to be joined with those to come, since a batch of theirs is
 * executing, beside which they would gain less; 0: no such reason. */
static uint64_t joining_until(const hsi_core_device *device, const hsi_batch_queue *queue)
{
    if (device->max_batches == 0 || queue->executing == 0 || queue->ready == 1 ||
        queue->first->model->objective == HSCHED_OBJECTIVE_LATENCY ||
        queue->first->priority > queue->executing_priority)
        return 0;
    if (queue->executing >= device->max_batches)
        return UINT64_MAX;
    const uint64_t gap = queue->newest_us + device->join_gap_us;
    const uint64_t most = queue->oldest_us + device->join_most_us;
    return gap < most ? gap : most;
}

uint64_t hsi_jobq_held_until(const hsi_core *core, uint32_t device,
                             const hsi_batch_queue *queue)
{
    const hsi_core_model *model = queue->first->model;
    if (queue->count >= hsi_batch_limit(core->config.devices, model, device))
        return 0;
    const uint64_t wait =
        model->batch_wait_us ? queue->oldest_us + model->batch_wait_us : 0;
    const uint64_t joining = joining_until(&core->config.devices[device], queue);
    return wait > joining ? wait : joining;
}

/* Brings the heap and the list of held queues up to date with the queue's jobs and the
 * time. A job that was shown and has left the queue still knows its place in the heap. */
static void show(hsi_core *core, uint32_t device, hsi_batch_queue *queue)
{
    hsi_core_run *best = queue->first;
    if (best && hsi_jobq_held_until(core, device, queue) > core->now_us)
        best = NULL;
    if (queue->shown != best) {
        if (queue->shown)
            hsi_heap_remove(&core->queues[device], queue->shown->jobs[0].heap_index);
        if (best)
            heap_push(core, &best->jobs[0]);
        queue->shown = best;
    }
    int held = queue->first && !best;
    if (held && !queue->held)
        hold(core, device, queue);
    if (!held && queue->held)
        stop_holding(core, device, queue);
}

static void count_in(hsi_batch_queue *queue, const hsi_core_run *run, int first)
{
    if (first || run->submitted_us < queue->oldest_us)
        queue->oldest_us = run->submitted_us;
    if (first || run->submitted_us > queue->newest_us)
        queue->newest_us = run->submitted_us;
}

static void batch_push(hsi_core *core, hsi_batch_queue *queue, hsi_job *job)
{
    count_in(queue, job->run, queue->count == 0);
    insert(core, queue, job->run);
    show(core, job->device, queue);
}

/* After jobs have left the queue. With a full batch in it, it is not held whatever the times
 * are. */
static void batch_left(hsi_core *core, uint32_t device, hsi_batch_queue *queue)
{
    const hsi_core_run *first = queue->first;
    if (first &&
        queue->count < hsi_batch_limit(core->config.devices, first->model, device))
        for (const hsi_core_run *run = first; run;
             run = hsi_tree_next(&queue->order, hsi_run_place(run)))
            count_in(queue, run, run == first);
    show(core, device, queue);
}

/* ---- Queues --------------------------------------------------------------- */

void hsi_jobq_push(hsi_core *core, hsi_job *job)
{
    hsi_batch_queue *queue = hsi_jobq_batch_queue(core, job);
    core->queued[job->device]++;
    if (queue)
        batch_push(core, queue, job);
    else
        heap_push(core, job);
}

void hsi_jobq_push_paused(hsi_core *core, hsi_job *leader)
{
    core->queued[leader->device] += hsi_paused_members(leader);
    heap_push(core, leader);
}

/* A paused job, or batch, leaves the heap. */
static void remove_paused(hsi_core *core, hsi_job *leader)
{
    core->queued[leader->device] -= hsi_paused_members(leader);
    hsi_heap_remove(&core->queues[leader->device], leader->heap_index);
}

void hsi_jobq_remove(hsi_core *core, hsi_job *job)
{
    if (job->paused) {
        remove_paused(core, job);
        return;
    }
    hsi_batch_queue *queue = hsi_jobq_batch_queue(core, job);
    core->queued[job->device]--;
    if (queue) {
        take_out(core, queue, job->run);
        batch_left(core, job->device, queue);
    } else {
        hsi_heap_remove(&core->queues[job->device], job->heap_index);
    }
}

static void show_due(hsi_core *core, uint32_t device)
{
    hsi_batch_queue *next;
    for (hsi_batch_queue *queue = core->held[device]; queue; queue = next) {
        next = queue->next_held;
        show(core, device, queue);
    }
}

static void count_batch(hsi_batch_queue *queue, hsi_job *const *jobs, uint32_t count)
{
    if (queue->executing++ == 0)
        queue->executing_priority = jobs[0]->run->priority;
    for (uint32_t i = 0; i < count; i++)
        if (jobs[i]->run->priority > queue->executing_priority)
            queue->executing_priority = jobs[i]->run->priority;
    jobs[0]->leads = 1;
}

void hsi_jobq_ended(hsi_core *core, hsi_job *job)
{
    if (!job->leads)
        return;
    hsi_batch_queue *queue = hsi_jobq_batch_queue(core, job);
    job->leads = 0;
    queue->executing--;
    show(core, job->device, queue);
}

void hsi_jobq_set_ready(hsi_core *core, uint32_t device, hsi_batch_queue *queue,
                        uint32_t ready)
{
    queue->ready = ready;
    show(core, device, queue);
}

static uint32_t pop_paused(hsi_core *core, hsi_job *leader, hsi_job **jobs, uint32_t most)
{
    uint32_t count = 0;
    if (hsi_paused_members(leader) > most)
        return 0;
    remove_paused(core, leader);
    for (hsi_job *job = leader; job; job = hsi_paused_next(job)) {
        job->paused = 0;
        jobs[count++] = job;
    }
    return count;
}

uint32_t hsi_jobq_pop(hsi_core *core, uint32_t device, hsi_job **jobs, uint32_t most)
{
    show_due(core, device);
    hsi_job *best = hsi_jobq_first(core, device);
    if (!best || most == 0 || hsi_executing_bars(core, best))
        return 0;
    if (best->paused)
        return pop_paused(core, best, jobs, most);
    hsi_batch_queue *queue = hsi_jobq_batch_queue(core, best);
    if (!queue) {
        core->queued[device]--;
        hsi_heap_remove(&core->queues[device], 0);
        jobs[0] = best;
        return 1;
    }
    const hsi_core_device *devices = core->config.devices;
    uint32_t limit = hsi_batch_limit_now(devices, best->run->model, device);
    if (best->run->model->objective == HSCHED_OBJECTIVE_LATENCY)
        limit = hsi_objective_batch(best->run->model->choices, device,
                                    devices[device].capacity, queue->count, limit);
    const uint32_t count = take_first(core, queue, jobs, limit < most ? limit : most);
    core->queued[device] -= count;
    count_batch(queue, jobs, count);
    batch_left(core, device, queue);
    return count;
}

hsi_job *hsi_jobq_any(const hsi_core *core, uint32_t device)
{
    const hsi_batch_queue *held = core->held[device];
    return held ? &held->first->jobs[0] : hsi_jobq_first(core, device);
}
