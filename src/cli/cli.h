/*
 * The hsched program: what its commands share. Public headers of the library and the zoo
 * only.
 *
 * A command is a function from its arguments to an exit status. What it prints for people
 * or, with
 * --json, for programs goes to standard output; errors, warnings and the progress bar go
 * to standard error.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <hsched/hsched.h>
#include <stdint.h>

/* Exit statuses; also in docs/man/hsched.1. */
enum {
    CLI_OK = 0,
    CLI_WRONG = 1, /* a run failed, or verification found a divergence */
    CLI_USAGE = 2, /* the command line is not right */
    CLI_LOAD = 3,  /* a model or an input could not be read, compiled or used */
    CLI_SYSTEM =
        4 /* the runtime could not start, a file could not be written, no memory */
};

typedef struct cli_command {
    const char *name;
    const char *arguments;             /* for the usage line: "MODEL..." */
    const char *summary;               /* one line */
    int (*run)(int argc, char **argv); /* argv[0] is the command's name */
} cli_command;

extern const cli_command cli_run_command, cli_info_command, cli_inspect_command,
    cli_verify_command, cli_profile_command, cli_plan_command, cli_sim_command,
    cli_bench_command, cli_export_command, cli_zoo_command;

/* "hsched: ..." and a newline to standard error. */
void cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cli_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* What failed, the status's text and the library's detail; gives `exit_status`. */
int cli_failed(int exit_status, hsched_status status, const char *what);
/* Says that memory ran out; gives CLI_SYSTEM. */
int cli_no_memory(void);

#endif
