/* The benchmarks of hsched bench, each a command of its own: its name in messages and in its
 * help is "bench NAME". */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

#include "cli/cli.h"

/* What they are called by; `command` has the rest. */
typedef struct cli_bench {
    const char *name;
    const cli_command *command;
} cli_bench;

extern const cli_bench cli_bench_collaborate, cli_bench_deadlines, cli_bench_loadstep;

#endif
