/* hsched zoo: the networks that can be named instead of a file. */
#include <jansson.h>
#include <stdio.h>

#include "cli/options.h"
#include "cli/outputs.h"
#include "cli/table.h"
#include "zoo/zoo.h"

static const char help_text[] = "Networks of the zoo have random weights (--seed of the "
                                "other commands): for trying and\n"
                                "measuring, not for recognising anything.\n\n"
                                "exit status: 0 success; 2 wrong usage.\n";

static int print_table(void)
{
    static const char *const columns[] = { "NETWORK", "WHAT IT IS", NULL };
    cli_table *table = cli_table_create(columns);
    for (uint32_t i = 0; i < zoo_count(); i++) {
        cli_table_cell(table, "%s", zoo_name(i));
        cli_table_cell(table, "%s", zoo_describe(i));
    }
    int ok = cli_table_print(table, 0);
    cli_table_destroy(table);
    return ok ? CLI_OK : cli_no_memory();
}

static int print_json(void)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < zoo_count(); i++)
        cli_json_append(&list, json_pack("{s:s, s:s}", "name", zoo_name(i), "description",
                                         zoo_describe(i)));
    return cli_json_print(list);
}

static int run(int argc, char **argv)
{
    cli_list positional = { 0 };
    int json = 0, status;
    const cli_option own[] = {
        { "json", NULL, "print it as JSON", cli_parse_flag, &json }, { 0 }
    };
    const cli_option *const tables[] = { own, NULL };
    if (cli_parse_options(&cli_zoo_command, tables, help_text, argc, argv, &positional,
                          &status)) {
        if (positional.count > 0) {
            cli_error("unexpected argument '%s'; see hsched zoo --help",
                      positional.values[0]);
            status = CLI_USAGE;
        } else {
            status = json ? print_json() : print_table();
        }
    }
    cli_list_free(&positional);
    return status;
}

const cli_command cli_zoo_command = { "zoo", "",
                                      "List the networks that can be named as MODEL",
                                      run };
