/* Objectives on the command line: --objective, --power-cap, --device-watts. */
#ifndef CLI_OBJECTIVE_H
#define CLI_OBJECTIVE_H

#include "cli/options.h"

typedef struct cli_objective {
    const char *name;
    double power_cap_watts;
    cli_list watts_texts;   /* NAME=WATTS[:IDLE] */
    hsched_objective value; /* made of it */
} cli_objective;

/* Checks the values; *policy, if NULL, becomes "cost" where there is an objective: only that has
 * any. Gives CLI_OK or CLI_USAGE. */
int cli_objective_check(cli_objective *objective, const char **policy);
/* The watts as the library takes them, to be freed with cli_objective_free_watts; NULL if there are
 * none. After cli_objective_check. Gives CLI_OK or CLI_SYSTEM. */
int cli_objective_make_watts(const cli_objective *objective, hsched_device_watts **watts);
void cli_objective_free_watts(const cli_objective *objective, hsched_device_watts *watts);

#endif
