/* hsched inspect: the layers of a network, and the steps it is compiled to. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/outputs.h"
#include "cli/session.h"
#include "cli/table.h"

static const char help_text[] =
    "MACs are multiply-accumulates of one run. A step is what was fused into one "
    "kernel.\n"
    "Activation memory is that of one run in flight; weights are shared by all runs.\n\n"
    "exit status: 0 success; 2 wrong usage; 3 the model could not be loaded or "
    "compiled;\n"
    "4 the runtime could not start.\n";

typedef struct totals {
    uint64_t macs, parameters, parameter_bytes;
} totals;

static int layer_info(const hsched_graph *graph, uint32_t index, hsched_layer_info *layer,
                      hsched_tensor_info *output)
{
    *layer = (hsched_layer_info){ HSCHED_LAYER_INFO_INIT };
    *output = (hsched_tensor_info){ HSCHED_TENSOR_INFO_INIT };
    hsched_status status = hsched_graph_layer_info(graph, index, layer);
    if (status == HSCHED_OK)
        status = hsched_graph_tensor_info(graph, layer->output, output);
    return status == HSCHED_OK ? CLI_OK
                               : cli_failed(CLI_LOAD, status, hsched_graph_name(graph));
}

static int sum_layers(const hsched_graph *graph, totals *sum)
{
    *sum = (totals){ 0 };
    for (uint32_t i = 0; i < hsched_graph_layer_count(graph); i++) {
        hsched_layer_info layer;
        hsched_tensor_info output;
        int status = layer_info(graph, i, &layer, &output);
        if (status != CLI_OK)
            return status;
        sum->macs += layer.macs;
        sum->parameters += layer.parameters;
        sum->parameter_bytes += layer.parameter_bytes;
    }
    return CLI_OK;
}

/* ---- For people ----------------------------------------------------------- */

static int print_ends(const hsched_graph *graph)
{
    uint32_t inputs = hsched_graph_input_count(graph),
             outputs = hsched_graph_output_count(graph);
    for (uint32_t i = 0; i < inputs + outputs; i++) {
        int is_input = i < inputs;
        hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
        char shape[CLI_SHAPE_MAX];
        hsched_status status =
            hsched_graph_tensor_info(graph,
                                     is_input ? hsched_graph_input(graph, i)
                                              : hsched_graph_output(graph, i - inputs),
                                     &info);
        if (status != HSCHED_OK)
            return cli_failed(CLI_LOAD, status, hsched_graph_name(graph));
        printf("  %-7s %s  %s %s\n", is_input ? "input" : "output", info.name,
               hsched_dtype_name(info.dtype), cli_shape(&info, shape));
    }
    return CLI_OK;
}

static int print_layers(const hsched_graph *graph)
{
    static const char *const columns[] = { ">#",    "LAYER",       "KIND", "OUTPUT",
                                           ">MACS", ">PARAMETERS", NULL };
    cli_table *table = cli_table_create(columns);
    int status = CLI_OK;
    for (uint32_t i = 0; i < hsched_graph_layer_count(graph) && status == CLI_OK; i++) {
        hsched_layer_info layer;
        hsched_tensor_info output;
        char shape[CLI_SHAPE_MAX], macs[CLI_SHORT_MAX];
        status = layer_info(graph, i, &layer, &output);
        if (status != CLI_OK)
            break;
        cli_table_cell(table, "%u", i);
        cli_table_cell(table, "%s", layer.name);
        cli_table_cell(table, "%s", layer.kind);
        cli_table_cell(table, "%s", cli_shape(&output, shape));
        cli_table_cell(table, "%s",
                       layer.macs ? cli_short_count((double)layer.macs, macs) : "");
        if (layer.parameters)
            cli_table_cell(table, "%llu", (unsigned long long)layer.parameters);
        else
            cli_table_cell(table, "%s", "");
    }
    printf("\nlayers\n");
    int ok = cli_table_print(table, 2);
    cli_table_destroy(table);
    return status != CLI_OK ? status : ok ? CLI_OK : cli_no_memory();
}

static int step_info(const hsched_model *model, uint32_t index, hsched_step_info *step)
{
    *step = (hsched_step_info){ HSCHED_STEP_INFO_INIT };
    step->output.struct_size = sizeof step->output;
    hsched_status status = hsched_model_step_info(model, index, step);
    return status == HSCHED_OK ? CLI_OK
                               : cli_failed(CLI_LOAD, status, hsched_model_name(model));
}

static const char *device_name(const hsched_runtime *runtime, uint32_t device)
{
    hsched_device_info info = { HSCHED_DEVICE_INFO_INIT };
    return hsched_runtime_device_info(runtime, device, &info) == HSCHED_OK ? info.name
                                                                           : "?";
}

/* What the accelerators leave to the CPU. */
static int print_left_over(const cli_session *session, const hsched_model *model)
{
    const uint32_t devices = hsched_runtime_device_count(session->runtime);
    for (uint32_t d = 1; d < devices; d++) {
        uint32_t found = 0;
        for (uint32_t i = 0; i < hsched_model_step_count(model); i++) {
            hsched_step_info step;
            int status = step_info(model, i, &step);
            if (status != CLI_OK)
                return status;
            if (step.able >> d & 1u)
                continue;
            if (found++ == 0)
                printf("\nno kernel on %s\n", device_name(session->runtime, d));
            printf("  %u %s (%s)\n", i, step.name, step.kind);
        }
    }
    return CLI_OK;
}

static int print_steps(const cli_session *session, const hsched_model *model)
{
    static const char *const columns[] = { ">#",     "STEP",     "KIND",   "KERNEL",
                                           "DEVICE", ">SECTION", ">PARTS", "OUTPUT",
                                           ">MACS",  NULL };
    cli_table *table = cli_table_create(columns);
    int status = CLI_OK;
    for (uint32_t i = 0; i < hsched_model_step_count(model); i++) {
        hsched_step_info step;
        char shape[CLI_SHAPE_MAX], macs[CLI_SHORT_MAX];
        status = step_info(model, i, &step);
        if (status != CLI_OK)
            break;
        cli_table_cell(table, "%u", i);
        cli_table_cell(table, "%s", step.name);
        cli_table_cell(table, "%s", step.kind);
        cli_table_cell(table, "%s", step.kernel ? step.kernel : "");
        cli_table_cell(table, "%s", device_name(session->runtime, step.device));
        cli_table_cell(table, "%u", step.section);
        cli_table_cell(table, "%u", step.parts);
        cli_table_cell(table, "%s", cli_shape(&step.output, shape));
        cli_table_cell(table, "%s",
                       step.macs ? cli_short_count((double)step.macs, macs) : "");
    }
    printf("\nsteps\n");
    int ok = cli_table_print(table, 2);
    cli_table_destroy(table);
    return status != CLI_OK ? status : ok ? CLI_OK : cli_no_memory();
}

static int print_all(const cli_session *session, const hsched_graph *graph,
                     const hsched_model *model)
{
    totals sum;
    char macs[CLI_SHORT_MAX], parameters[CLI_SHORT_MAX], weights[CLI_SHORT_MAX],
        packed[CLI_SHORT_MAX], arena[CLI_SHORT_MAX];
    hsched_model_stats stats = { HSCHED_MODEL_STATS_INIT };
    int status = sum_layers(graph, &sum);
    if (status != CLI_OK)
        return status;
    hsched_status read = hsched_model_get_stats(model, &stats);
    if (read != HSCHED_OK)
        return cli_failed(CLI_LOAD, read, hsched_model_name(model));
    printf("%s: %u layers, %u steps, %u sections, %s MACs, %s parameters (%s)\n",
           hsched_model_name(model), hsched_graph_layer_count(graph),
           hsched_model_step_count(model), stats.sections,
           cli_short_count((double)sum.macs, macs),
           cli_short_count((double)sum.parameters, parameters),
           cli_short_bytes((double)sum.parameter_bytes, weights));
    printf("memory: %s packed weights and constants, %s activations of one run\n",
           cli_short_bytes((double)stats.weight_bytes, packed),
           cli_short_bytes((double)stats.arena_bytes, arena));
    status = print_ends(graph);
    if (status == CLI_OK)
        status = print_layers(graph);
    if (status == CLI_OK)
        status = print_steps(session, model);
    return status == CLI_OK ? print_left_over(session, model) : status;
}

/* ---- For programs --------------------------------------------------------- */

static json_t *layers_json(const hsched_graph *graph)
{
    json_t *layers = json_array();
    for (uint32_t i = 0; i < hsched_graph_layer_count(graph); i++) {
        hsched_layer_info layer;
        hsched_tensor_info output;
        if (layer_info(graph, i, &layer, &output) != CLI_OK) {
            json_decref(layers);
            return NULL;
        }
        cli_json_append(&layers,
                        json_pack("{s:o, s:s, s:s, s:o, s:I, s:I, s:I}", "name",
                                  cli_json_text(layer.name), "kind", layer.kind, "dtype",
                                  hsched_dtype_name(output.dtype), "output",
                                  cli_json_shape(&output), "macs", (json_int_t)layer.macs,
                                  "parameters", (json_int_t)layer.parameters,
                                  "parameter_bytes", (json_int_t)layer.parameter_bytes));
    }
    return layers;
}

static json_t *able_json(const hsched_runtime *runtime, uint32_t able)
{
    json_t *names = json_array();
    for (uint32_t d = 0; d < hsched_runtime_device_count(runtime); d++)
        if (able >> d & 1u)
            cli_json_append(&names, json_string(device_name(runtime, d)));
    return names;
}

static json_t *steps_json(const cli_session *session, const hsched_model *model)
{
    json_t *steps = json_array();
    for (uint32_t i = 0; i < hsched_model_step_count(model); i++) {
        hsched_step_info step;
        if (step_info(model, i, &step) != CLI_OK) {
            json_decref(steps);
            return NULL;
        }
        cli_json_append(&steps,
                        json_pack("{s:o, s:s, s:s, s:s, s:o, s:i, s:i, s:o, s:I}", "name",
                                  cli_json_text(step.name), "kind", step.kind, "kernel",
                                  step.kernel ? step.kernel : "", "device",
                                  device_name(session->runtime, step.device), "able",
                                  able_json(session->runtime, step.able), "section",
                                  (int)step.section, "parts", (int)step.parts, "output",
                                  cli_json_shape(&step.output), "macs",
                                  (json_int_t)step.macs));
    }
    return steps;
}

static int print_json(const cli_session *session, const hsched_graph *graph,
                      const hsched_model *model)
{
    totals sum;
    hsched_model_stats stats = { HSCHED_MODEL_STATS_INIT };
    int status = sum_layers(graph, &sum);
    if (status != CLI_OK)
        return status;
    hsched_status read = hsched_model_get_stats(model, &stats);
    if (read != HSCHED_OK)
        return cli_failed(CLI_LOAD, read, hsched_model_name(model));
    return cli_json_print(json_pack(
        "{s:o, s:I, s:I, s:I, s:I, s:I, s:i, s:o, s:o}", "name",
        cli_json_text(hsched_model_name(model)), "macs", (json_int_t)sum.macs,
        "parameters", (json_int_t)sum.parameters, "parameter_bytes",
        (json_int_t)sum.parameter_bytes, "packed_bytes", (json_int_t)stats.weight_bytes,
        "arena_bytes", (json_int_t)stats.arena_bytes, "sections", (int)stats.sections,
        "layers", layers_json(graph), "steps", steps_json(session, model)));
}

/* ---- Command -------------------------------------------------------------- */

static int execute(cli_session *session, const cli_list *positional, int json)
{
    hsched_graph *graph = NULL;
    hsched_model *model = NULL;
    if (positional->count != 1) {
        cli_error("inspect takes one MODEL; see hsched inspect --help");
        return CLI_USAGE;
    }
    const char *name = positional->values[0];
    int status = cli_session_check(session);
    if (status == CLI_OK)
        status = cli_session_start(session);
    if (status == CLI_OK)
        status = cli_session_graph(session, name, &graph);
    if (status == CLI_OK)
        status = cli_session_symbols_used(session);
    if (status == CLI_OK)
        status = cli_session_compile(session, name, graph, NULL, &model);
    if (status == CLI_OK)
        status =
            json ? print_json(session, graph, model) : print_all(session, graph, model);
    hsched_model_release(model);
    hsched_graph_destroy(graph);
    return status;
}

static int run(int argc, char **argv)
{
    cli_session session = { CLI_SESSION_INIT };
    cli_list positional = { 0 };
    int json = 0, status;
    const cli_option own[] = {
        { "json", NULL, "print it as JSON", cli_parse_flag, &json }, { 0 }
    };
    cli_option common[CLI_SESSION_OPTIONS];
    cli_session_options(&session, common);
    const cli_option *const tables[] = { own, common, NULL };
    if (cli_parse_options(&cli_inspect_command, tables, help_text, argc, argv,
                          &positional, &status))
        status = execute(&session, &positional, json);
    cli_session_end(&session);
    cli_list_free(&positional);
    return status;
}

const cli_command cli_inspect_command = {
    "inspect", "MODEL",
    "Show a model's layers, shapes, sizes and the steps it is compiled to", run
};
