/*
 * Devices and models of a runtime as the simulator's engine takes them (simulator/engine.h): what
 * the scheduler core has been told of them, and what the cost table knows of them now.
 * Explanations and simulations of a runtime are made of it.
 */
#ifndef HSI_RUNTIME_FORESEEN_H
#define HSI_RUNTIME_FORESEEN_H

#include "runtime/placing.h"
#include "runtime/planner.h"
#include "simulator/engine.h"

typedef struct hsi_foreseen {
    hsi_engine_model engine; /* first: policies find the rest by it */
    hsched_model *model;     /* borrowed */
    hsi_planned *planned;    /* what the policy chooses from; NULL: it does not */
    hsi_choices choices;     /* of these, those that use no lost device */
    uint32_t lost;
    float starting_us[HSI_MAX_DEVICES];
    uint8_t followed; /* as runs of the model are by now */
    hsi_curve batch[HSI_MAX_DEVICES], stretch[HSI_MAX_DEVICES];
    hsi_batch_queue queues[HSI_MAX_DEVICES];
    hsi_core_section *core_sections;
    hsi_placement_problem
        problem; /* the placing's, with these times: whole runs are what they
                                      were measured to be */
    double *us;
    hsi_curve *team; /* per section */
    int unshared;    /* of some it is not known what several workers make of them */
} hsi_foreseen;

/* All but loads. Takes the table's lock, then the scheduler's. */
void hsi_foreseen_devices(hsched_runtime *runtime, hsi_engine_config *config);

/* `placing` and `sizes` as hsi_placing_make fills them; the former is borrowed. What is made must
 * not be moved. Errors: OUT_OF_MEMORY; then it is cleared. */
hsched_status hsi_foreseen_init(hsi_foreseen *foreseen, hsched_model *model,
                                const hsi_placing *placing, const hsi_choices *sizes);
void hsi_foreseen_clear(hsi_foreseen *foreseen); /* zeroed, too: nothing */

#endif
