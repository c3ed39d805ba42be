/*
 * A set of networks run periodically for a while, with the library's sources, in one of several
 * orders; and what became of each release.
 */
#ifndef CLI_BENCH_PERIODIC_H
#define CLI_BENCH_PERIODIC_H

#include "cli/bench_set.h"

/* By what the scheduler is told, it chooses who goes first. */
typedef enum cli_order {
    CLI_ORDER_DEADLINES = 0, /* equal priorities, and the deadlines */
    CLI_ORDER_FIFO = 1, /* equal priorities, and no deadlines: as they are submitted */
    CLI_ORDER_PRIORITIES =
        2, /* the higher the rate, the higher the priority; no deadlines */
    CLI_ORDERS
} cli_order;

const char *cli_order_name(cli_order order);
/* 0 if there is none of that name. */
int cli_order_find(const char *name, size_t length, cli_order *order);
/* The priority of a network of the set under CLI_ORDER_PRIORITIES: 0 to CLI_PRIORITY_TOP. */
enum {
    CLI_PRIORITY_TOP =
        15 /* so that all of a GPU's levels are used: see hsched_run_config */
};
int cli_order_priority(const cli_set *set, uint32_t network);

typedef struct cli_periodic {
    const cli_set *set;
    cli_order order;
    double rate;     /* all rates are multiplied by it */
    uint32_t copies; /* sources of each network */
    double seconds;
    double deadline; /* as a share of the period */
    uint64_t seed;   /* of the phases: the same seed, the same releases */
} cli_periodic;

/* What became of the releases of one network, all its copies together. All that were due within
 * the time count, whatever the scheduler did with them, so that orders can be compared:
 * releases = in time + late + skipped + failed. */
typedef struct cli_periodic_tally {
    uint64_t releases;
    uint64_t late;    /* ended after the deadline */
    uint64_t skipped; /* never begun: two runs of their source were still in flight */
    uint64_t failed;
    /* Of those in time and those late: from the release to the end, and that as a share of the
     * deadline. */
    double *responses_us, *shares;
    size_t count, capacity;
} cli_periodic_tally;

/* Adds to `tallies`, one for each network. Gives CLI_OK, CLI_WRONG (a run failed; it is counted)
 * or CLI_SYSTEM. */
int cli_periodic_run(const cli_periodic *periodic, cli_periodic_tally *tallies);
/* The sum of both. Gives CLI_OK or CLI_SYSTEM. */
int cli_periodic_tally_add(cli_periodic_tally *tally, const cli_periodic_tally *more);
void cli_periodic_tally_free(cli_periodic_tally *tally);

static inline uint64_t cli_periodic_missed(const cli_periodic_tally *tally)
{
    return tally->late + tally->skipped + tally->failed;
}

#endif
