/* hsched bench: finds the benchmark and runs it. */
#include <stdio.h>
#include <string.h>

#include "cli/bench.h"

static const cli_bench *const benches[] = {
    &cli_bench_collaborate,
    &cli_bench_deadlines,
    &cli_bench_loadstep,
};
enum {
    BENCHES = sizeof benches / sizeof benches[0]
};

static void print_help(void)
{
    printf("usage: hsched bench %s\n\n%s.\n\nbenchmarks:\n", cli_bench_command.arguments,
           cli_bench_command.summary);
    for (int i = 0; i < BENCHES; i++)
        printf("  %-13s%s\n", benches[i]->name, benches[i]->command->summary);
    printf(
        "\nhsched bench NAME --help tells more. Results are printed as a table, and\n"
        "written as JSON (--json FILE) and as charts (--svg FILE).\n\n"
        "exit status: 0 success; 1 a run failed; 2 wrong usage; 3 a model could not be\n"
        "loaded; 4 the runtime could not start, a file could not be written, or no\n"
        "memory.\n");
}

static int run(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;
    if (!name) {
        cli_error("bench takes the NAME of a benchmark; see hsched bench --help");
        return CLI_USAGE;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        print_help();
        return CLI_OK;
    }
    for (int i = 0; i < BENCHES; i++)
        if (strcmp(benches[i]->name, name) == 0)
            return benches[i]->command->run(argc - 1, argv + 1);
    cli_error("there is no benchmark '%s'; see hsched bench --help", name);
    return CLI_USAGE;
}

const cli_command cli_bench_command = { "bench", "NAME [OPTION]... [ARGUMENT]...",
                                        "Measure what the scheduler is for", run };
