/* The program: finds the command and runs it. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

static const cli_command *const commands[] = {
    &cli_run_command,     &cli_info_command, &cli_inspect_command, &cli_verify_command,
    &cli_profile_command, &cli_plan_command, &cli_sim_command,     &cli_bench_command,
    &cli_export_command,  &cli_zoo_command,
};
enum {
    COMMANDS = sizeof commands / sizeof commands[0]
};

static void print_help(void)
{
    printf("usage: hsched COMMAND [OPTION]... [ARGUMENT]...\n\n"
           "Runs several neural networks at once on this machine.\n\ncommands:\n");
    for (int i = 0; i < COMMANDS; i++)
        printf("  %-10s%s\n", commands[i]->name, commands[i]->summary);
    printf(
        "\nhsched COMMAND --help tells more; hsched --version the version.\n"
        "A MODEL is an ONNX file or the name of a network of the zoo (hsched zoo).\n\n"
        "exit status: 0 success; 1 a run failed or verification found a divergence;\n"
        "2 wrong usage; 3 a model or an input could not be loaded; 4 the runtime could\n"
        "not start, a file could not be written, or no memory.\n");
}

static const cli_command *find_command(const char *name)
{
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    cli_error("unknown command '%s'; see hsched --help", name);
    return NULL;
}

/* hsched help COMMAND is hsched COMMAND --help. */
static int help_of(const char *name)
{
    char help[] = "--help";
    const cli_command *command = find_command(name);
    if (!command)
        return CLI_USAGE;
    char *arguments[] = { (char *)command->name, help, NULL };
    return command->run(2, arguments);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    int status = CLI_USAGE;
    if (strcmp(name, "help") == 0 && argc > 2) {
        status = help_of(argv[2]);
    } else if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 ||
               strcmp(name, "help") == 0) {
        print_help();
        status = CLI_OK;
    } else if (strcmp(name, "--version") == 0) {
        printf("hsched %s\n", hsched_version());
        status = CLI_OK;
    } else if (argc < 2) {
        print_help();
    } else {
        const cli_command *command = find_command(name);
        if (command)
            status = command->run(argc - 1, argv + 1);
    }
    /* A full disk or a closed pipe shows only now. */
    if (fflush(stdout) != 0 || ferror(stdout)) {
        cli_error("standard output could not be written");
        if (status == CLI_OK)
            status = CLI_SYSTEM;
    }
    return status;
}
