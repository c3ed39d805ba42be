/* hsched sim: what came out, for people and for programs. */
#ifndef CLI_SIM_REPORT_H
#define CLI_SIM_REPORT_H

#include <hsched/experimental.h>

#include "cli/session.h"

/* `trace`: the file that was written, or NULL. Give an exit status. */
int cli_sim_print(const hsched_simulation *simulation,
                  const hsched_simulation_report *report, const char *trace);
int cli_sim_print_json(const hsched_simulation *simulation,
                       const hsched_simulation_report *report, const char *trace);

#endif
