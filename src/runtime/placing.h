/*
 * What a model's sections and crossings cost on each device of its runtime, as far as the cost
 * table knows it now: what placements are searched with, and what is said about one.
 */
#ifndef HSI_RUNTIME_PLACING_H
#define HSI_RUNTIME_PLACING_H

#include "plan/placement.h"
#include "runtime/runtime.h"
#include "sched/policy_cost.h"

typedef struct hsi_placing {
    uint64_t
        number; /* of two the one that knows more, having asked later, has the greater */
    /* Weights are 1. Masks leave out devices that are not known, where times are estimates or 0. */
    hsi_placement_problem problem;
    uint32_t
        unknown; /* devices of which some section was never measured or seen, as bits */
    hsi_cost_source source; /* the worst of what is known of the others */
    /* The whole model there; 0: it was never measured or seen, or is not all there. */
    double run_us[HSI_MAX_DEVICES];
    hsi_cost_source run_source[HSI_MAX_DEVICES];
    hsi_cost_source *sources; /* of problem.us, in its order */
    /* The problem's arrays. */
    hsi_placement_section *sections;
    uint64_t *dep_bytes;
    double *us;
} hsi_placing;

/* Also fills in what joined runs and teams of CPU workers gain. Takes the table's lock. Errors:
 * OUT_OF_MEMORY; then it is cleared. */
hsched_status hsi_placing_make(const hsched_model *model, hsi_placing *placing,
                               hsi_choices *sizes);
void hsi_placing_clear(hsi_placing *placing); /* zeroed, too: nothing */

/* 0: nothing is known of the CPU, or of any other device, so there is nothing to choose. */
int hsi_placing_is_known(const hsi_placing *placing);

/* What so many steps weigh where only the time of all together is known. */
double hsi_placing_weight(const hsched_model *model, uint32_t first_step,
                          uint32_t step_count);

/* The entry of the cost table for a unit of the model. Under the table's lock. */
hsi_cost hsi_placing_look_up(const hsched_model *model, hsi_cost_unit unit,
                             uint32_t index, uint32_t device, uint32_t batch,
                             uint32_t workers);

#endif
