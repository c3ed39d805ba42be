/* hsched export: any model as an ONNX file. */
#include "cli/session.h"

static const char help_text[] =
    "Writes the network's layers with their weights as ONNX, opset 13: a network of the "
    "zoo\n"
    "for other programs, or a file as the library understood it. The file appears whole "
    "or\n"
    "not at all.\n\n"
    "exit status: 0 success; 2 wrong usage; 3 the model could not be loaded; 4 the file\n"
    "could not be written.\n";

static int execute(cli_session *session, const cli_list *positional)
{
    hsched_graph *graph = NULL;
    if (positional->count != 2) {
        cli_error("export takes a MODEL and a FILE; see hsched export --help");
        return CLI_USAGE;
    }
    int status = cli_session_check(session);
    if (status == CLI_OK)
        status = cli_session_graph(session, positional->values[0], &graph);
    if (status == CLI_OK)
        status = cli_session_symbols_used(session);
    if (status == CLI_OK) {
        hsched_status saved = hsched_graph_save_onnx(graph, positional->values[1]);
        if (saved != HSCHED_OK)
            status = cli_failed(CLI_SYSTEM, saved, positional->values[1]);
    }
    hsched_graph_destroy(graph);
    return status;
}

static int run(int argc, char **argv)
{
    cli_session session = { CLI_SESSION_INIT, .fix_symbols = 1 };
    cli_list positional = { 0 };
    int status;
    const cli_option own[] = {
        { "symbol", "NAME=VALUE", "write a named dimension as a number; may be repeated",
          cli_parse_append, &session.symbol_texts },
        { "seed", "N", "of the zoo's weights (1)", cli_parse_uint64, &session.seed },
        { 0 },
    };
    const cli_option *const tables[] = { own, NULL };
    if (cli_parse_options(&cli_export_command, tables, help_text, argc, argv, &positional,
                          &status))
        status = execute(&session, &positional);
    cli_session_end(&session);
    cli_list_free(&positional);
    return status;
}

const cli_command cli_export_command = { "export", "MODEL FILE.onnx",
                                         "Write a model as an ONNX file", run };
