/*
 * Slots: what one execution of a model on the GPU needs besides weights: memory, the table of
 * addresses, graphs. And how a job is started on a lane.
 *
 * A slot is in use from its first job until queue_slot_idle, which takes no lock: who ends
 * a run may hold the scheduler's. One that is not in use may be emptied
 * (its memory and graphs given up) when memory is short; it is filled again at its next job.
 */
#ifndef HSI_BACKEND_CUDA_SLOT_H
#define HSI_BACKEND_CUDA_SLOT_H

#include "backend/cuda/section.h"

/* The steps [first, first + count) as a graph; `stays`: without an arena. */
typedef struct hsi_cuda_graph {
    struct hsi_cuda_graph *next;
    uint32_t first, count;
    int stays;
    uint32_t generation;      /* of the variant, when it was captured */
    CUdeviceptr arena;        /* the host's that it was captured for, */
    CUdeviceptr wanted_arena; /*   and that it is wanted for */
    int wanted;               /* to be captured in the background */
    int refused;              /* a library cannot be captured: the job stays without */
    CUgraphExec exec;         /* NULL: not captured yet */
} hsi_cuda_graph;

/* Pinned memory that stands in for memory of the user's that the GPU cannot reach. */
typedef struct hsi_cuda_stage {
    void *host;
    CUdeviceptr device;
} hsi_cuda_stage;

struct hsched_backend_slot {
    hsched_backend_section *section;
    struct hsched_backend_slot *next; /* of the section */
    hsi_cuda_variant *variant;
    CUdeviceptr memory; /* arena, copies of inputs and outputs, workspace; 0: empty */
    size_t memory_bytes;
    uint64_t *table; /* pinned: address per port and member, as last sent */
    CUdeviceptr table_device;
    hsi_cuda_stage *stages; /* per member and input, then output */
    hsi_cuda_graph *graphs;
    CUevent event;
    CUstream stream;         /* of the latest job; NULL: there was none */
    uint32_t lane, sequence; /* of that job */
    atomic_int in_use;       /* from a run's first job until its end */
    int goes_on;             /* the job that is being submitted is not its run's first */
    int capturing;
    uint64_t last_used;
};

hsched_status hsi_cuda_slot_create(hsched_backend_section *section, uint32_t members,
                                   hsched_backend_slot **slot);
void hsi_cuda_slot_destroy(hsched_backend_slot *slot);
void hsi_cuda_slot_idle(hsched_backend_slot *slot);

hsched_status hsi_cuda_submit(hsched_backend_slot *slot, const hsched_queue_job *job,
                              uint32_t lane);
hsched_status hsi_cuda_poll(hsched_backend_device *device, uint32_t lane, int *done);
hsched_status hsi_cuda_finish(hsched_backend_slot *slot, const hsched_queue_job *job);
void *hsi_cuda_slot_event(hsched_backend_slot *slot);

/* graph.c: captures one wanted graph of the slot; *did. Called without `use`. */
hsched_status hsi_cuda_capture(hsched_backend_slot *slot, int *did);
hsi_cuda_graph *hsi_cuda_graph_find(hsched_backend_slot *slot, uint32_t first,
                                    uint32_t count, int stays);
void hsi_cuda_graphs_drop(hsched_backend_slot *slot);

/* evict.c: gives up what is least recently used: slots not in use, then weights of models
 * without slots in use. 1 if something was. Entered. */
int hsi_cuda_evict(hsi_cuda_device *device);

#endif
