/* What the library's cost table knows of a model, read for people and for programs. */
#ifndef CLI_COSTS_H
#define CLI_COSTS_H

#include <hsched/experimental.h>

/* An entry: 1, it was measured, and *cost is filled in; 0: it was not; -1: an error was
 * printed. */
int cli_cost_measured(hsched_model *model, const hsched_cost_query *query,
                      hsched_cost *cost);

/* The numbers of workers, jobs and joined runs that a profile measures: 1, 2, 4, ... and `most`;
 * 0 after the last. */
uint32_t cli_cost_next(uint32_t number, uint32_t most);

/* The whole model on one device, beside the sum of its steps, or sections if steps have no
 * times. */
typedef struct cli_cost_whole {
    hsched_cost run;
    double sum_us;
    double difference; /* of the sum, as a share of the run */
    int of_sections;
    int has_sum; /* 0: some of it was not measured */
} cli_cost_whole;

/* As above. `query`: device, batch and workers; batches have no sum. */
int cli_cost_of_whole(hsched_model *model, const hsched_cost_query *query,
                      cli_cost_whole *whole);

#endif
