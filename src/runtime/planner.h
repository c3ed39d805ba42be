/*
 * What the policy `cost` chooses from: found from the cost table when a model is loaded or was
 * profiled, and again in the background when jobs have taught the table more.
 */
#ifndef HSI_RUNTIME_PLANNER_H
#define HSI_RUNTIME_PLANNER_H

#include "runtime/runtime.h"
#include "sched/choices.h"

typedef struct hsi_planned {
    atomic_int references;
    hsi_chosen chosen;
    hsi_cost_source source; /* the worst of what it was made from */
    uint64_t number;        /* hsi_placing's: which of two is the newer */
} hsi_planned;

/* The model is prepared and has a policy that chooses: it is planned, now and later on, until it
 * is dismissed. Others: nothing. Errors: OUT_OF_MEMORY. */
hsched_status hsi_planner_admit(hsched_model *model);
void hsi_planner_dismiss(hsched_model *model);

/* Makes the choices anew, from what the table knows now. Any thread; takes the table's lock, then
 * the scheduler's. Errors: OUT_OF_MEMORY; the old ones stay. */
hsched_status hsi_planner_plan(hsched_model *model);
/* Its two halves. What is made is the model's from then on, or gone if it has a newer one already:
 * a profile and the background may be at it at the same time. */
hsched_status hsi_planner_make(const hsched_model *model, hsi_planned **made);
void hsi_planner_install(hsched_model *model, hsi_planned *made);

/* What the policy chooses from at present, to be released by the caller; NULL: the model's does
 * not choose. Takes the scheduler lock. */
hsi_planned *hsi_planner_get(hsched_model *model);
void hsi_planned_release(hsi_planned *planned); /* NULL: nothing */

/* Background work: plans one model of which much was learnt. 1 if there was one. */
int hsi_planner_work(hsched_runtime *rt);

/* observe.c. What a job took goes into the table, and what the table makes of it into the core.
 * Under the scheduler lock. */
void hsi_observe_job(void *runtime, const hsi_ended_job *job);
/* How loaded devices are, also those where nothing runs: before runs are placed. Likewise. */
void hsi_observe_refresh(hsched_runtime *rt, uint64_t now_us);

#endif
