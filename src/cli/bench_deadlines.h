/* hsched bench deadlines: what it has found out, for those who print it. */
#ifndef CLI_BENCH_DEADLINES_H
#define CLI_BENCH_DEADLINES_H

#include <jansson.h>

#include "cli/bench_periodic.h"
#include "cli/svg.h"

enum {
    CLI_LOADS_MAX = 16
};

/* One order at one load, all rounds. */
typedef struct cli_deadlines_cell {
    cli_periodic_tally tallies[CLI_SET_MAX]; /* responses and shares sorted at the end */
    double *medians_us[CLI_SET_MAX];         /* of each round; NaN: nothing ended in it */
    double *missed, *released;               /* of each round, all networks */
} cli_deadlines_cell;

typedef struct cli_deadlines {
    cli_set set;
    double loads[CLI_LOADS_MAX];
    uint32_t load_count;
    cli_order orders[CLI_ORDERS];
    uint32_t order_count;
    uint32_t rounds, copies;
    double seconds;  /* of each order at each load, all rounds together */
    double deadline; /* as a share of the period */
    double
        *measured; /* of each round: what share of the machine the set took before it */
    const char *policy; /* where things run: --policy, or NULL */
    hsched_runtime *runtime;
    cli_deadlines_cell cells[CLI_LOADS_MAX][CLI_ORDERS]; /* by load and order_count */
} cli_deadlines;

/* By what the rates are multiplied so that the set is that load: in a round, and the median. */
double cli_deadlines_rate(const cli_deadlines *d, uint32_t load, uint32_t round);
double cli_deadlines_usual_rate(const cli_deadlines *d, uint32_t load);
/* The median of `measured`. */
double cli_deadlines_measured(const cli_deadlines *d, cli_interval *interval);

/* What all networks missed of what was released, and the ratio of two orders' misses. */
typedef struct cli_deadlines_share {
    uint64_t missed, released;
    double share;
    cli_interval interval;
    double
        usual; /* the median of the rounds' shares: a few rounds in which the machine was not what
                     it had been measured to be do not change it */
    cli_interval usual_interval;
} cli_deadlines_share;
cli_deadlines_share cli_deadlines_missed(const cli_deadlines *d,
                                         const cli_deadlines_cell *cell);

/* To standard output. Gives CLI_OK or CLI_SYSTEM. */
int cli_deadlines_print(const cli_deadlines *d);
json_t *cli_deadlines_json(const cli_deadlines *d);
/* Adds the charts. Gives CLI_OK or CLI_SYSTEM. */
int cli_deadlines_draw(const cli_deadlines *d, cli_svg *svg);

#endif
