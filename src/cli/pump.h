/*
 * Keeps several models busy at once: every instance of a lane has one run in flight and
 * gets the next one as soon as that has ended, until all have done their number of runs.
 */
#ifndef CLI_PUMP_H
#define CLI_PUMP_H

#include "cli/inputs.h"

typedef struct cli_lane {
    hsched_model *model;
    cli_inputs inputs;    /* shared by all runs of the lane */
    double *latencies_us; /* of runs that succeeded, unordered until cli_pump ended, then
                             sorted */
    uint64_t succeeded, failed;
    uint64_t first_us,
        last_us; /* first submission and last end; microseconds, CLOCK_MONOTONIC */
    hsched_run *last_run; /* of instance 0, if it succeeded: for the outputs; owned */
} cli_lane;

/*
 * `iterations` runs of each of `instances` instances of each lane, counting from zero
 * whatever the lanes counted before. Failing runs are counted and the first failure of
 * each lane is printed. Shows progress unless `quiet`. Gives CLI_OK, CLI_WRONG (a run
 * failed) or CLI_SYSTEM.
 */
int cli_pump(cli_lane *lanes, uint32_t lane_count, uint32_t instances,
             uint64_t iterations, int quiet);
void cli_lane_free(cli_lane *lane); /* the model as well */

/* The value below which `part` of the sorted latencies lie; 0 if there are none. */
double cli_lane_quantile(const cli_lane *lane, double part);
double cli_lane_mean(const cli_lane *lane);

#endif
