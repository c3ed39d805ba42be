/* Several networks at rates of their own, as a robot has them: MODEL@HZ,MODEL@HZ,... */
#ifndef CLI_BENCH_SET_H
#define CLI_BENCH_SET_H

#include "cli/inputs.h"
#include "cli/session.h"
#include "cli/statistics.h"

enum {
    CLI_SET_MAX = 32
};

typedef struct cli_set_network {
    char *model; /* as given: a file or a name of the zoo */
    double hz;
    hsched_model *compiled;
    cli_inputs inputs; /* shared by all its runs */
} cli_set_network;

typedef struct cli_set {
    cli_set_network networks[CLI_SET_MAX];
    uint32_t count;
} cli_set;

/* Gives CLI_OK, CLI_USAGE or CLI_SYSTEM, and says what is wrong. */
int cli_set_parse(cli_set *set, const char *text);
/* Compiles all, after cli_session_start. Gives CLI_OK, CLI_LOAD or CLI_SYSTEM. */
int cli_set_load(cli_set *set, const cli_session *session);
void cli_set_free(cli_set *set);

/*
 * What share of the machine the set takes at its rates: 1 if it can just be done. Found by
 * keeping the machine busy with the set's networks, in the proportion and in the order of their
 * releases, as many runs in flight as there are networks, or as a device of theirs takes, and
 * timing whole rounds of that. So it has in it what runs lose, or gain, by others beside them,
 * and sections that are shared by devices; no network's time alone tells that. *share is the
 * median of the rounds, 0 after an error. Gives CLI_OK, CLI_WRONG (a run failed) or CLI_SYSTEM.
 */
int cli_set_measure(const cli_set *set, const cli_session *session, double seconds,
                    double *share);

#endif
