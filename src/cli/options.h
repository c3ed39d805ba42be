/* Options: tables that parse the command line and print the help. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "cli/cli.h"

/* Takes an option's value into `target`; 0 if it is not valid, and `expected` is what to
 * say. */
typedef int (*cli_option_parser)(void *target, const char *value);

typedef struct cli_option {
    const char *name;     /* without the dashes */
    const char *argument; /* what stands for the value in the help; NULL: a flag */
    const char *help;
    cli_option_parser parse;
    void *target;
} cli_option;

typedef struct cli_list { /* values of an option that may be repeated; borrowed from argv
                           */
    const char **values;
    uint32_t count, capacity;
} cli_list;

int cli_parse_flag(void *target, const char *value);     /* int */
int cli_parse_string(void *target, const char *value);   /* const char * */
int cli_parse_count(void *target, const char *value);    /* uint32_t, at least 1 */
int cli_parse_uint64(void *target, const char *value);   /* uint64_t */
int cli_parse_positive(void *target, const char *value); /* double, more than 0 */
int cli_parse_number(void *target, const char *value);   /* double */
int cli_parse_append(void *target, const char *value);   /* cli_list */
void cli_list_free(cli_list *list);

/*
 * Parses argv[1..] by the tables (ending in NULL; each table ends in an entry without a
 * name). Takes
 * --name VALUE and --name=VALUE; after "--" all are positional. `help_text` follows the
 * options in the help. Gives 1 to go on; else 0 with *exit_status set (help was printed,
 * or the error).
 */
int cli_parse_options(const cli_command *command, const cli_option *const tables[],
                      const char *help_text, int argc, char **argv, cli_list *positional,
                      int *exit_status);

#endif
