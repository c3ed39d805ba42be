/*
 * Executing sections: what a model and a run look like to a worker, and the slots in
 * between.
 *
 * A slot holds what one run in flight (or a batch of joined ones) needs. For devices that
 * execute on our threads: the arena for its activations and for every step a table of
 * operand addresses; those in the arena and in the constants are set when that part of the
 * slot is made, which is when it is first needed; those of inputs and outputs, which the
 * user binds anew for each run, are listed as patches and set when the run takes the slot.
 * And the backends' own objects, each made when a device first executes something with it.
 */
#ifndef HSI_WORKER_EXEC_H
#define HSI_WORKER_EXEC_H

#include <pthread.h>

#include <hsched/backend.h>

#include "plan/plan.h"
#include "sched/core.h"
#include "trace/trace.h"

/* A device of the runtime as workers see it. */
typedef struct hsi_exec_device {
    const hsched_backend *backend;
    hsched_backend_device *handle;
    int has_queue; /* jobs go to the device whole, and end there by themselves */
} hsi_exec_device;

/*
 * Steps that one device prepared together. The CPU prepares all steps of a model as one,
 * since its sections need nothing apart, and so do devices with queues (those of their
 * sections); other devices prepare section by section.
 */
typedef struct hsi_exec_prepared {
    const hsched_backend *backend;
    hsched_backend_section *section;
    hsched_step *steps;  /* the array given to section_prepare */
    uint32_t first_step; /* of the plan */
    uint32_t step_count;
    uint32_t device;
} hsi_exec_prepared;

#define HSI_NOT_PREPARED UINT32_MAX

typedef struct hsi_exec_slot hsi_exec_slot;

typedef struct hsi_exec_model {
    const hsi_plan *plan;
    uint32_t device_count;
    hsi_exec_prepared *prepared;
    uint32_t prepared_count;
    uint32_t *section_prepared; /* [section * device_count + device] -> prepared, or
                                   NOT_PREPARED */
    size_t scratch_size;        /* largest of all */
    uint32_t operand_count;     /* of all steps together */
    uint32_t *first_operand;    /* per step */
    const hsi_exec_device
        *mapper;  /* a device with a queue that executes some of it, or NULL:
                                      then the arena is memory that both can reach */
    int crosses;  /* some sections are on the mapper, others are not */
    int floats;   /* where they are is decided run by run */
    int joinable; /* runs may share a slot of the mapper's */
    /* How long jobs take on devices with queues: [device * expectations + section] for one that
     * starts with this section, behind the sections for whole runs in batches of 1, 2, 3, ...;
     * guarded by the scheduler lock. */
    float *expected_us;
    uint32_t expectations;
    /* To cut jobs into segments: for each entry of expected_us, the time that they are cut by,
     * which changes only with much of it, since each segment has a graph of its own; and for each
     * section its share of the work. The scheduler lock, too. */
    float *cut_us;
    const float *section_work;
    float *
        starting_us; /* per device: what starting a job for whole runs takes, lately; likewise */
    int told_long;                /* that a section is longer than a segment should be */
    hsi_trace_model *trace_model; /* what traces say about it */
    pthread_mutex_t
        make_mutex; /* held while a run is given a slot, which may have to be made */
    pthread_mutex_t slot_mutex; /* a leaf lock: guards the two below */
    hsi_exec_slot *free_slots;
    uint32_t slot_count;
} hsi_exec_model;

typedef struct hsi_exec_probe hsi_exec_probe;

typedef struct hsi_exec_owned {
    const hsi_exec_device *device; /* or NULL: the CPU can reach it */
    uint64_t address;
} hsi_exec_owned;

/* One run as workers see it; the first member of hsched_run. */
typedef struct hsi_exec_run {
    hsi_core_run core; /* first: jobs point to it */
    hsi_exec_model *model;
    hsi_exec_slot *slot;
    hsched_memory *inputs; /* one per input of the plan */
    hsched_memory *outputs;
    void **shadows; /* per input, then output: host memory that stands in for memory
                              that the CPU cannot reach; made when needed, kept */
    hsi_exec_owned *owned; /* likewise: memory that only a device can reach */
    int device_bound;      /* some memory of this run is such */
    int shadowed;          /* and its shadows stand in for it */
    void *wait_event;      /* of the user's, or NULL */
    const hsi_exec_device *event_device; /* that knows how to wait for it */
    uint8_t *section_done; /* per section: it has ended well, if not its whole job */
    /* Per section, of the job that begins there: time spent on segments before the present one. A
     * run may have several jobs on a device. */
    uint64_t *spent_ns;
    uint32_t restarts; /* as core.restarts was when section_done was last looked at */
    uint32_t batch;    /* runs in the batch that it was executed in */
    uint32_t members;  /* that its slot holds, if its job is executed in segments */
    const hsched_backend *event_backend; /* of the last job on a device with a queue */
    hsched_backend_slot *event_slot;     /*   or NULL; guarded by the scheduler lock */
    /* Guarded by the scheduler lock. */
    uint64_t started_us; /* when the first job began */
    /* What the trace knows of the core's counts. */
    uint32_t traced_restarts, traced_moved;
    uint8_t traced_missed;
    hsi_exec_probe *probe; /* it is measured; NULL: it is not. See probe.h */
} hsi_exec_run;

/* Lays out the operand tables; `model->plan`, prepared and section_prepared are set. */
hsched_status hsi_exec_model_init(hsi_exec_model *model);
void hsi_exec_model_clear(
    hsi_exec_model *model); /* frees slots and tables, not prepared[] */

/* Gives the run a slot for so many members, if it has none: a pooled one, else a new one.
 * Any thread, also two for the same run. Errors: OUT_OF_MEMORY. */
hsched_status hsi_exec_acquire_slot(hsi_exec_run *run, uint32_t members);
/* The slot's part for devices that execute on our threads, operand addresses included, for a
 * run alone. Errors: OUT_OF_MEMORY and what a backend's slot_create says. */
hsched_status hsi_exec_need_host(hsi_exec_run *run, uint32_t device);
/* The object of a device with a queue, for the slot's number of members. */
hsched_status hsi_exec_queue_slot(hsi_exec_run *run, uint32_t device,
                                  hsched_backend_slot **slot);
/* The host's arena of the run's slot, where tensors cross between devices; made if needed. */
hsched_status hsi_exec_arena(hsi_exec_run *run, const hsched_memory **arena);

/* Is some memory of the run that of another device than this one? */
int hsi_exec_is_elsewhere(const hsi_exec_run *run, const hsi_exec_device *device);
/* Has memory that the CPU cannot reach stand in for by host memory, inputs copied (after the
 * user's event). */
hsched_status hsi_exec_shadow(hsi_exec_run *run);
/* Asked under the scheduler lock of a job of so many sections that has ended well and is not yet
 * reported. 1: it is the last, and outputs lie in shadows: hsi_exec_unshadow is due, without the
 * lock, which is otherwise kept until the job is reported. */
int hsi_exec_must_unshadow(const hsi_exec_run *run, uint32_t sections);
/* Brings outputs from their shadows. */
hsched_status hsi_exec_unshadow(hsi_exec_run *run);
/* Returns the run's slot, if any, to the pool. Not while a job of the run is executing.
 */
void hsi_exec_release_slot(hsi_exec_run *run);

/* What run_part of a step is called with. */
typedef struct hsi_exec_step {
    const hsched_backend *backend;
    hsched_backend_slot *slot;
    void *const *operands;
    uint32_t step; /* as the backend counts them */
    uint32_t parts;
    /* Its parts are recorded there, as those of this step of the plan; NULL: nowhere. */
    hsi_trace *trace;
    const hsi_exec_run *traced_run;
    uint32_t traced_step;
} hsi_exec_step;

/* Describes step `index` of the plan as executed on `device` for a run whose slot has its
 * part for it (hsi_exec_need_host). */
void hsi_exec_describe_step(const hsi_exec_run *run, uint32_t device, uint32_t index,
                            hsi_exec_step *step);

/* Tells a backend that a section begins or ends, if it wants to know. */
hsched_status hsi_exec_boundary(const hsi_exec_run *run, uint32_t device,
                                uint32_t section, int began);

#endif
