#include "cli/bench_set.h"

#include <stdlib.h>
#include <string.h>

/* MODEL@HZ; changed meanwhile. */
static int parse_network(cli_set *set, char *text)
{
    char *at = strrchr(text, '@');
    double hz = 0;
    if (at)
        *at = '\0';
    if (!at || at == text || !cli_parse_positive(&hz, at + 1) || hz > 1e5) {
        cli_error("'%s%s%s' is not MODEL@HZ, as in mobilenet_v2@60", text, at ? "@" : "",
                  at ? at + 1 : "");
        return CLI_USAGE;
    }
    if (set->count == CLI_SET_MAX) {
        cli_error("--set: at most %d networks", CLI_SET_MAX);
        return CLI_USAGE;
    }
    cli_set_network *network = &set->networks[set->count];
    network->hz = hz;
    network->model = strdup(text);
    if (!network->model)
        return cli_no_memory();
    set->count++;
    return CLI_OK;
}

int cli_set_parse(cli_set *set, const char *text)
{
    char *list = strdup(text), *rest = NULL;
    int status = list ? CLI_OK : cli_no_memory();
    for (char *item = list ? strtok_r(list, ",", &rest) : NULL; item && status == CLI_OK;
         item = strtok_r(NULL, ",", &rest))
        status = parse_network(set, item);
    free(list);
    if (status == CLI_OK && set->count == 0) {
        cli_error("--set '%s' names no network: MODEL@HZ,MODEL@HZ,...", text);
        return CLI_USAGE;
    }
    return status;
}

int cli_set_load(cli_set *set, const cli_session *session)
{
    cli_input_options inputs = { .image = { CLI_IMAGE_OPTIONS_INIT } };
    int status = CLI_OK;
    for (uint32_t i = 0; i < set->count && status == CLI_OK; i++) {
        cli_set_network *network = &set->networks[i];
        status = cli_session_model(session, network->model, &network->compiled);
        if (status == CLI_OK)
            status = cli_inputs_make(network->compiled, &inputs, session->seed,
                                     &network->inputs);
    }
    cli_input_options_free(&inputs);
    return status == CLI_OK ? cli_session_symbols_used(session) : status;
}

void cli_set_free(cli_set *set)
{
    for (uint32_t i = 0; i < set->count; i++) {
        hsched_model_release(set->networks[i].compiled);
        cli_inputs_free(&set->networks[i].inputs);
        free(set->networks[i].model);
    }
    *set = (cli_set){ 0 };
}
