#include "cli/options.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Values --------------------------------------------------------------- */

int cli_parse_flag(void *target, const char *value)
{
    (void)value;
    *(int *)target = 1;
    return 1;
}

int cli_parse_string(void *target, const char *value)
{
    *(const char **)target = value;
    return value[0] != '\0';
}

int cli_parse_uint64(void *target, const char *value)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 0);
    if (value[0] < '0' || value[0] > '9' || *end != '\0' || errno != 0)
        return 0;
    *(uint64_t *)target = number;
    return 1;
}

int cli_parse_count(void *target, const char *value)
{
    uint64_t number;
    if (!cli_parse_uint64(&number, value) || number < 1 || number > 1000000000)
        return 0;
    *(uint32_t *)target = (uint32_t)number;
    return 1;
}

int cli_parse_number(void *target, const char *value)
{
    char *end;
    double number = strtod(value, &end);
    if (end == value || *end != '\0' || !isfinite(number))
        return 0;
    *(double *)target = number;
    return 1;
}

int cli_parse_positive(void *target, const char *value)
{
    double number;
    if (!cli_parse_number(&number, value) || number <= 0)
        return 0;
    *(double *)target = number;
    return 1;
}

int cli_parse_append(void *target, const char *value)
{
    cli_list *list = target;
    if (list->count == list->capacity) {
        uint32_t capacity = list->capacity ? 2 * list->capacity : 8;
        const char **values = realloc(list->values, capacity * sizeof *values);
        if (!values) {
            cli_no_memory();
            return 0;
        }
        list->values = values;
        list->capacity = capacity;
    }
    list->values[list->count++] = value;
    return 1;
}

void cli_list_free(cli_list *list)
{
    free(list->values);
    *list = (cli_list){ 0 };
}

/* ---- Help ----------------------------------------------------------------- */

enum {
    HELP_COLUMN = 26 /* of the texts, after the two blanks before an option */
};

/* An option that leaves fewer than two blanks before its text gets a line of its own. A text of
 * several lines continues under its first. */
static void print_option(const char *left, const char *text)
{
    const int own_line = strlen(left) + 2 > HELP_COLUMN;
    printf("  %-*s", own_line ? 0 : HELP_COLUMN, left);
    if (own_line)
        printf("\n  %-*s", HELP_COLUMN, "");
    for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1)
        printf("%.*s\n  %-*s", (int)(end - text), text, HELP_COLUMN, "");
    printf("%s\n", text);
}

static void print_help(const cli_command *command, const cli_option *const tables[],
                       const char *help_text)
{
    printf("usage: hsched %s [OPTION]... %s\n\n%s.\n\noptions:\n", command->name,
           command->arguments, command->summary);
    for (uint32_t t = 0; tables[t]; t++)
        for (const cli_option *o = tables[t]; o->name; o++) {
            char left[64];
            snprintf(left, sizeof left, "--%s%s%s", o->name, o->argument ? " " : "",
                     o->argument ? o->argument : "");
            print_option(left, o->help);
        }
    print_option("--help", "this text");
    if (help_text)
        printf("\n%s", help_text);
}

/* ---- Parsing -------------------------------------------------------------- */

static const cli_option *find_option(const cli_option *const tables[], const char *name,
                                     size_t length)
{
    for (uint32_t t = 0; tables[t]; t++)
        for (const cli_option *o = tables[t]; o->name; o++)
            if (strlen(o->name) == length && strncmp(o->name, name, length) == 0)
                return o;
    return NULL;
}

/* Takes the option at argv[*index] and its value; 0 after saying what is wrong. */
static int take_option(const cli_command *command, const cli_option *const tables[],
                       int argc, char **argv, int *index)
{
    const char *argument = argv[*index];
    const char *name = argument + 2, *equals = strchr(name, '=');
    size_t length = equals ? (size_t)(equals - name) : strlen(name);
    const cli_option *option =
        strncmp(argument, "--", 2) == 0 ? find_option(tables, name, length) : NULL;
    const char *value = equals ? equals + 1 : NULL;
    if (!option) {
        cli_error("unknown option '%s'; see hsched %s --help", argument, command->name);
        return 0;
    }
    if (!option->argument && equals) {
        cli_error("--%s takes no value", option->name);
        return 0;
    }
    if (option->argument && !equals) {
        if (*index + 1 >= argc) {
            cli_error("--%s needs a value: %s", option->name, option->argument);
            return 0;
        }
        value = argv[++*index];
    }
    if (option->parse(option->target, value))
        return 1;
    cli_error("'%s' is not a valid value of --%s %s; see hsched %s --help",
              value ? value : "", option->name, option->argument ? option->argument : "",
              command->name);
    return 0;
}

int cli_parse_options(const cli_command *command, const cli_option *const tables[],
                      const char *help_text, int argc, char **argv, cli_list *positional,
                      int *exit_status)
{
    int options_end = 0;
    *exit_status = CLI_USAGE;
    for (int i = 1; i < argc; i++) {
        if (!options_end && strcmp(argv[i], "--") == 0) {
            options_end = 1;
        } else if (!options_end &&
                   (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
            print_help(command, tables, help_text);
            *exit_status = CLI_OK;
            return 0;
        } else if (!options_end && argv[i][0] == '-' && argv[i][1] != '\0') {
            if (!take_option(command, tables, argc, argv, &i))
                return 0;
        } else if (!cli_parse_append(positional, argv[i])) {
            *exit_status = CLI_SYSTEM;
            return 0;
        }
    }
    return 1;
}
