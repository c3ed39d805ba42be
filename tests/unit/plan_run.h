/*
 * Executes plans as hard as their contract allows: steps by the reference kernels, in a
 * random interleaving of sections whose dependencies are done, on an arena full of NaNs,
 * with every operand checked against its memory. And checks that a plan keeps the
 * contracts of plan.h and backend.h.
 */
#ifndef TESTS_UNIT_PLAN_RUN_H
#define TESTS_UNIT_PLAN_RUN_H

#include "plan/plan.h"

/* NULL if all is well, else what is wrong (a static text). */
const char *plan_check(const hsi_plan *plan, const hsi_plan_config *config);

/*
 * Runs the plan once. `restart` is the chance in percent that a section, when it has got
 * so far, begins again from its start, as recovery does (only for plans with
 * preserve_section_inputs). PLAN_STEPS_APART: steps run in any order that their data allow
 * (only for plans with parallel_steps). NULL if all is well, else what went wrong.
 */
enum {
    PLAN_STEPS_APART = -1
};
const char *plan_run(const hsi_plan *plan, uint64_t seed, int restart,
                     const void *const *inputs, void *const *outputs);

/* Executes a plan somehow; NULL if all is well, else what went wrong. */
typedef const char *plan_runner(const hsi_plan *plan, const void *const *inputs,
                                void *const *outputs, void *user);

/*
 * Has the plan run on random inputs and compares every output with what the graph means
 * (graph_eval). NULL if all is well, else what is wrong. plan_compare has plan_run do it.
 */
const char *plan_compare_run(const hsched_graph *graph, const hsi_plan *plan,
                             uint64_t seed, plan_runner *run, void *user);
const char *plan_compare(const hsched_graph *graph, const hsi_plan *plan, uint64_t seed,
                         int restart);

#endif
