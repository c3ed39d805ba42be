/* Measuring a model: how its runs are made to do what is to be measured. */
#ifndef HSI_RUNTIME_PROFILE_H
#define HSI_RUNTIME_PROFILE_H

#include <hsched/experimental.h>

#include "runtime/runtime.h"
#include "worker/probe.h"
#include "worker/queue.h"

enum {
    HSI_PROFILE_RUNS = HSI_QUEUE_BATCH /* at the same time */
};

/*
 * The model as the scheduler core sees it while it is measured: its sections one after the other,
 * all of them on one device where that has them, else on the CPU, each a job of its own or not,
 * joined or not.
 */
typedef struct hsi_profile_shape {
    hsi_core_model core; /* first: the policy finds `device` by it */
    uint32_t device;
    hsi_core_section *sections;
    uint32_t *numbers; /* deps, users and crossing counts of the chain */
    hsi_batch_queue *batch_queues;
} hsi_profile_shape;

/* `max_batch` 1: runs are never joined. Errors: OUT_OF_MEMORY. Cleared in either case. */
hsched_status hsi_profile_shape_init(hsi_profile_shape *shape, const hsched_model *model,
                                     uint32_t device, int by_section, uint32_t max_batch);
void hsi_profile_shape_clear(hsi_profile_shape *shape);

/* What is submitted again and again. */
typedef struct hsi_profile_input {
    hsched_model *model;
    const hsched_binding *inputs;
    uint32_t input_count;
} hsi_profile_input;

/*
 * Submits `count` runs of this shape together, waits for all of them, and has probes[k] tell of
 * run k. DEVICE: the device did not do it, so the CPU did. Errors: those of hsched_submit and of
 * the runs.
 */
hsched_status hsi_profile_run(const hsi_profile_input *input,
                              const hsi_profile_shape *shape,
                              hsi_exec_probe *const *probes, uint32_t count);

/* profile_power.c: what a device draws, for the table. *measured 0: nothing measures it. Errors:
 * those of hsi_profile_run. */
typedef struct hsi_profile_power {
    const hsi_profile_input *input;
    hsi_exec_probe *const *probes; /* HSI_PROFILE_RUNS */
    double seconds;                /* of idling, and of work */
} hsi_profile_power;
hsched_status hsi_profile_measure_power(const hsi_profile_power *power, uint32_t device,
                                        int *measured);
/* How long each of the two may take, of so much in all. */
double hsi_profile_power_seconds(double total);

#endif
