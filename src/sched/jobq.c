/* The job queues: heaps of jobs, one per device. */
#include "sched/internal.h"

#include <stddef.h>

void hsi_jobq_push(hsi_core *core, hsi_job *job)
{
    hsi_heap_entry entry = { .key = job->run->key,
                             .sequence = job->run->sequence,
                             .section = job->section,
                             .heap_index = &job->heap_index };
    hsi_heap_push(&core->queues[job->device], entry);
}

hsi_job *hsi_jobq_pop(hsi_core *core, uint32_t device)
{
    hsi_heap *queue = &core->queues[device];
    if (queue->count == 0)
        return NULL;
    char *index = (char *)queue->entries[0].heap_index;
    hsi_heap_remove(queue, 0);
    return (hsi_job *)(void *)(index - offsetof(hsi_job, heap_index));
}

void hsi_jobq_remove(hsi_core *core, hsi_job *job)
{
    hsi_heap_remove(&core->queues[job->device], job->heap_index);
}
