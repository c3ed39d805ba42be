/*
 * Executing sections: what a model and a run look like to a worker, and the slots in
 * between.
 *
 * A slot holds what one run in flight needs: the arena for its activations, the backends'
 * per-run objects, and for every step a table of operand addresses. Addresses in the
 * arena and in the constants are set when the slot is made; those of inputs and outputs,
 * which the user binds anew for each run, are listed as patches and set when the run
 * takes the slot.
 */
#ifndef HSI_WORKER_EXEC_H
#define HSI_WORKER_EXEC_H

#include <pthread.h>

#include <hsched/backend.h>

#include "plan/plan.h"
#include "sched/core.h"

/* A device of the runtime as workers see it. */
typedef struct hsi_exec_device {
    const hsched_backend *backend;
    hsched_backend_device *handle;
} hsi_exec_device;

/*
 * Steps that one device prepared together. The CPU prepares all steps of a model as one,
 * since its sections need nothing apart; other devices prepare section by section.
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
    pthread_mutex_t
        make_mutex; /* held while a run is given a slot, which may have to be made */
    pthread_mutex_t slot_mutex; /* a leaf lock: guards the two below */
    hsi_exec_slot *free_slots;
    uint32_t slot_count;
} hsi_exec_model;

/* One run as workers see it; the first member of hsched_run. */
typedef struct hsi_exec_run {
    hsi_core_run core; /* first: jobs point to it */
    hsi_exec_model *model;
    hsi_exec_slot *slot;
    void **inputs; /* addresses, one per input of the plan */
    void **outputs;
    uint8_t *section_done; /* per section: it has ended well, if not its whole job */
    uint64_t started_us;   /* when the first job began; guarded by the scheduler lock */
} hsi_exec_run;

/* Lays out the operand tables; `model->plan`, prepared and section_prepared are set. */
hsched_status hsi_exec_model_init(hsi_exec_model *model);
void hsi_exec_model_clear(
    hsi_exec_model *model); /* frees slots and tables, not prepared[] */

/* Gives the run a slot, if it has none: a pooled one, else a new one. Any thread, also
 * two for the same run. Errors: OUT_OF_MEMORY and what a backend's slot_create says. */
hsched_status hsi_exec_acquire_slot(hsi_exec_run *run);
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
} hsi_exec_step;

/* Describes step `index` of the plan as executed on `device` for a run that has a slot.
 */
void hsi_exec_describe_step(const hsi_exec_run *run, uint32_t device, uint32_t index,
                            hsi_exec_step *step);

/* Tells a backend that a section begins or ends, if it wants to know. */
hsched_status hsi_exec_boundary(const hsi_exec_run *run, uint32_t device,
                                uint32_t section, int began);

#endif
