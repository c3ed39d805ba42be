/* What the command plan has found out about a model, and the forms it is shown in. */
#ifndef CLI_PLAN_H
#define CLI_PLAN_H

#include <hsched/experimental.h>
#include <stdio.h>

#include "cli/inputs.h"

enum {
    CLI_PLAN_DEVICES = 16
};

typedef struct cli_plan_measured {
    uint32_t runs;    /* of the whole batch; 0: nothing was measured */
    double us;        /* the median, from the first submission to the last end */
    double spread_us; /* of that, between the quartiles */
    uint32_t tensors; /* that passed between devices in the last run of the first kind */
    uint32_t jobs;
} cli_plan_measured;

typedef struct cli_plan {
    hsched_runtime *runtime;
    hsched_model *model;
    hsched_explanation *explanation;
    hsched_explanation_info info; /* the explanation's */
    uint32_t device_count;
    hsched_device_info devices[CLI_PLAN_DEVICES];
    double loads[CLI_PLAN_DEVICES];
    cli_plan_measured measured;
} cli_plan;

/* Reading the explanation: CLI_OK, or CLI_WRONG with the error printed. */
int cli_plan_section(const cli_plan *plan, uint32_t index,
                     hsched_explained_section *info);
int cli_plan_step(const cli_plan *plan, uint32_t index, hsched_explained_step *info,
                  hsched_step_info *step);
int cli_plan_edge(const cli_plan *plan, uint32_t index, hsched_explained_edge *info);
int cli_plan_crossing(const cli_plan *plan, uint32_t index,
                      hsched_explained_crossing *info);

/* plan_measure.c: executes the batch so many times, after some that do not count. CLI_OK, CLI_WRONG
 * (a run failed, which is printed), CLI_LOAD or CLI_SYSTEM. */
int cli_plan_measure(cli_plan *plan, uint32_t runs, uint64_t seed);

/* For people, to standard output. CLI_OK, CLI_WRONG or CLI_SYSTEM. */
int cli_plan_print(const cli_plan *plan);
/* For programs, and for Graphviz. Likewise; what `file` has not taken is for the caller to see. */
int cli_plan_write_json(const cli_plan *plan, FILE *file);
int cli_plan_write_dot(const cli_plan *plan, FILE *file);

#endif
