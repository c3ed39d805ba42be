/* hsched run --trace: a trace of the measured runs. */
#ifndef CLI_TRACE_H
#define CLI_TRACE_H

#include <jansson.h>

#include "cli/cli.h"

typedef struct cli_trace {
    const char *path; /* NULL: none is wanted, and the functions do nothing */
    uint32_t events;  /* of each thread; 0: the library's default */
    int exit_status;  /* of cli_trace_stop: CLI_SYSTEM if the file could not be written */
    hsched_trace_stats stats;
} cli_trace;

/* Can the file be written? Asked before time is spent; makes it. */
int cli_trace_check(const cli_trace *trace);
int cli_trace_start(const cli_trace *trace, hsched_runtime *runtime);
/* A failure is told and noted: the results of the runs are shown all the same. */
void cli_trace_stop(cli_trace *trace, hsched_runtime *runtime);
/* What became of it, on standard output, or NULL if there is no file. */
void cli_trace_print(const cli_trace *trace);
json_t *cli_trace_json(const cli_trace *trace);

#endif
