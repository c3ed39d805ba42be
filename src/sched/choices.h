/* What the policy `cost` chooses from, made from what a model's sections cost. */
#ifndef HSI_SCHED_CHOICES_H
#define HSI_SCHED_CHOICES_H

#include "plan/placement.h"
#include "sched/policy_cost.h"

typedef struct hsi_chosen {
    hsi_choices choices; /* batches and teams are whoever's who made it */
    hsi_placement_set set;
    float *numbers; /* the choices' arrays */
} hsi_chosen;

/* Fills in all but batches and teams. `problem` is not needed afterwards. Errors: OUT_OF_MEMORY;
 * there are no choices then. */
hsched_status hsi_choices_make(const hsi_placement_problem *problem, hsi_chosen *chosen);
void hsi_choices_clear(hsi_chosen *chosen); /* zeroed, too: nothing */

#endif
