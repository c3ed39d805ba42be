/* A model on a platform: its plan, what everything costs there, and what the core knows of it. */
#ifndef HSI_SIMULATOR_MODEL_H
#define HSI_SIMULATOR_MODEL_H

#include "plan/plan.h"
#include "sched/choices.h"
#include "simulator/engine.h"
#include "simulator/measured.h"
#include "trace/model.h"

typedef struct hsi_simulated_model_config {
    const char *name;
    const hsi_policy *policy;
    hsched_math math;
    uint32_t max_batch, batch_wait_us;
    const hsched_symbol *symbols;
    uint32_t symbol_count;
} hsi_simulated_model_config; /* the objective is set for each simulation */

/* Per device: of joined runs, and of jobs at once; the latter has no points where the device's
 * own curve is all that is known. */
typedef struct hsi_problem_curves {
    hsi_curve batch[HSI_PLACEMENT_DEVICES], stretch[HSI_PLACEMENT_DEVICES];
} hsi_problem_curves;

/* What several CPU workers make of a section. */
typedef struct hsi_problem_teams {
    double parallel; /* of rates: the part that they can share */
    hsi_curve *sections,
        run; /* where costs are measured: hsi_measured_times; else NULL */
} hsi_problem_teams;

typedef struct hsi_simulated_model {
    char *name;
    hsched_math math;
    hsched_graph *graph; /* with its symbols set: the plan borrows from it */
    hsi_plan *plan;
    hsi_placement_problem problem; /* what everything costs */
    hsi_chosen chosen; /* what a policy that chooses chooses from; else zeroed */
    hsi_core_section *sections;
    hsi_batch_queue queues[HSI_PLACEMENT_DEVICES];
    hsi_problem_curves curves;
    hsi_problem_teams teams;
    hsi_engine_model engine;
    hsi_trace_model *trace;
    /* A model of a runtime (runtime/simulate.c) has of the above a name, `engine` and `trace`
     * only, and what the engine's points to is the owner's. */
    void *owner;
    void (*release)(void *owner);
} hsi_simulated_model;

/* `measured`: the platform's, or NULL if its costs are rates. Errors: those of compiling;
 * NOT_FOUND (see hsi_measured_find); OUT_OF_MEMORY. */
hsched_status hsi_simulated_model_create(const hsi_platform *platform,
                                         const hsi_measured *measured,
                                         hsched_graph *graph,
                                         const hsi_simulated_model_config *config,
                                         hsi_simulated_model **model);
void hsi_simulated_model_destroy(hsi_simulated_model *model); /* NULL: nothing */

/*
 * problem.c: what a plan's sections cost on a platform, in the form that a search over placements
 * takes: the same numbers that the engine executes. Of the arrays, to be freed by
 * hsi_problem_clear, deps are the plan's. `teams`, whose array is the caller's to free, and
 * `curves` are what the engine needs beside it. Errors: as above.
 */
typedef struct hsi_problem_source {
    const hsi_platform *platform;
    const hsi_measured *measured;
    const hsi_plan *plan;
    const char *name;
    uint64_t hash; /* hsi_plan_hash */
    hsched_math math;
    uint32_t max_batch;
} hsi_problem_source;

hsched_status hsi_problem_fill(const hsi_problem_source *source,
                               hsi_placement_problem *problem, hsi_problem_curves *curves,
                               hsi_problem_teams *teams);
void hsi_problem_clear(hsi_placement_problem *problem);

#endif
