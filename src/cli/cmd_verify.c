/* hsched verify: every step of a model against the plain reference kernels. */
#include <hsched/experimental.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/inputs.h"
#include "cli/outputs.h"
#include "cli/session.h"
#include "cli/table.h"

static const char help_text[] =
    "Each step's result is compared with what the reference kernels make of the same\n"
    "operands: the error is the 2-norm of the difference by the 2-norm of the "
    "reference.\n"
    "A step diverges if its error exceeds the tolerance or if it has values that are "
    "not\n"
    "finite where the reference's are. Tapped tensors are summed up, and written as\n"
    "DIR/NAME.npy with --output, after a run of the whole model.\n\n"
    "exit status: 0 all steps agree; 1 a step diverged, or the run failed; 2 wrong "
    "usage;\n"
    "3 the model or an input could not be loaded; 4 the runtime could not start or a "
    "file\n"
    "could not be written.\n";

typedef struct verify_command {
    cli_session session;
    cli_input_options input_options;
    cli_list positional, taps;
    double tolerance;
    const char *output;
    int json;
    hsched_graph *graph; /* the reference reads the weights in it */
    hsched_model *model;
    cli_inputs inputs;
    hsched_step_check *checks; /* those made so far, in the order they came in */
    uint32_t check_count, check_capacity;
} verify_command;

/* Keeps a copy: the table needs all of them. */
static int keep_check(void *user, const hsched_step_check *check)
{
    verify_command *v = user;
    if (v->check_count == v->check_capacity)
        return 1;
    v->checks[v->check_count++] = *check;
    return 0;
}

static int diverged(const verify_command *v, const hsched_step_check *check)
{
    /* The other way round, a NaN would pass. */
    return !(check->error <= v->tolerance) || check->not_finite > 0;
}

static const hsched_step_check *first_divergence(const verify_command *v)
{
    for (uint32_t i = 0; i < v->check_count; i++)
        if (diverged(v, &v->checks[i]))
            return &v->checks[i];
    return NULL;
}

static int step_info(const verify_command *v, uint32_t index, hsched_step_info *step)
{
    *step = (hsched_step_info){ HSCHED_STEP_INFO_INIT };
    step->output.struct_size = sizeof step->output;
    hsched_status status = hsched_model_step_info(v->model, index, step);
    return status == HSCHED_OK
               ? CLI_OK
               : cli_failed(CLI_WRONG, status, hsched_model_name(v->model));
}

/* ---- Steps ---------------------------------------------------------------- */

static int print_checks(const verify_command *v)
{
    static const char *const columns[] = { ">#",          "STEP",   "KERNEL",
                                           "OUTPUT",      ">ERROR", ">MAX ABS",
                                           ">NOT FINITE", "",       NULL };
    cli_table *table = cli_table_create(columns);
    int status = CLI_OK;
    for (uint32_t i = 0; i < v->check_count && status == CLI_OK; i++) {
        const hsched_step_check *check = &v->checks[i];
        hsched_step_info step;
        char shape[CLI_SHAPE_MAX];
        status = step_info(v, check->step, &step);
        if (status != CLI_OK)
            break;
        cli_table_cell(table, "%u", check->step);
        cli_table_cell(table, "%s", step.name);
        cli_table_cell(table, "%s", step.kernel ? step.kernel : "");
        cli_table_cell(table, "%s", cli_shape(&step.output, shape));
        cli_table_cell(table, "%.2e", check->error);
        cli_table_cell(table, "%.2e", check->max_abs_error);
        cli_table_cell(table, "%llu", (unsigned long long)check->not_finite);
        cli_table_cell(table, "%s", diverged(v, check) ? "DIVERGES" : "ok");
    }
    int ok = cli_table_print(table, 0);
    cli_table_destroy(table);
    if (status != CLI_OK || !ok)
        return status != CLI_OK ? status : cli_no_memory();
    const hsched_step_check *first = first_divergence(v);
    if (!first) {
        printf("\nall %u steps agree within %g\n", v->check_count, v->tolerance);
        return CLI_OK;
    }
    hsched_step_info step;
    status = step_info(v, first->step, &step);
    if (status == CLI_OK)
        printf(
            "\nfirst divergence: step %u '%s' (%s, kernel %s): error %g, tolerance %g\n",
            first->step, step.name, step.kind, step.kernel ? step.kernel : "",
            first->error, v->tolerance);
    return status;
}

static json_t *checks_json(const verify_command *v)
{
    json_t *steps = json_array();
    for (uint32_t i = 0; i < v->check_count; i++) {
        const hsched_step_check *check = &v->checks[i];
        hsched_step_info step;
        if (step_info(v, check->step, &step) != CLI_OK) {
            json_decref(steps);
            return NULL;
        }
        cli_json_append(
            &steps,
            json_pack("{s:i, s:o, s:s, s:s, s:o, s:o, s:I, s:b}", "step",
                      (int)check->step, "name", cli_json_text(step.name), "kind",
                      step.kind, "kernel", step.kernel ? step.kernel : "", "error",
                      cli_json_real(check->error), "max_abs_error",
                      cli_json_real(check->max_abs_error), "not_finite",
                      (json_int_t)check->not_finite, "diverges", diverged(v, check)));
    }
    return steps;
}

/* ---- Taps
 * --------------------------------------------------------------------------------------
 */

/* To `list`, or if it is NULL to standard output. */
static void show_tap(const hsched_tensor_info *info, const void *data, json_t **list)
{
    cli_summary s = cli_summarise(info, data);
    char shape[CLI_SHAPE_MAX];
    if (list)
        cli_json_append(list, json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:I}", "name",
                                        cli_json_text(info->name), "dtype",
                                        hsched_dtype_name(info->dtype), "shape",
                                        cli_json_shape(info), "min", cli_json_real(s.min),
                                        "max", cli_json_real(s.max), "mean",
                                        cli_json_real(s.mean), "not_finite",
                                        (json_int_t)s.not_finite));
    else
        printf("tap %s  %s %s  min %.6g  max %.6g  mean %.6g  not finite %llu\n",
               info->name, hsched_dtype_name(info->dtype), cli_shape(info, shape), s.min,
               s.max, s.mean, (unsigned long long)s.not_finite);
}

/* Runs the model and shows the tapped tensors, which follow its own outputs. */
static int show_taps(const verify_command *v, json_t **list)
{
    hsched_run *run = NULL;
    hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = v->inputs.bindings,
                                 .input_count = v->inputs.count };
    uint32_t end = hsched_model_output_count(v->model), first = end - v->taps.count;
    hsched_status failed = hsched_submit(v->model, &config, &run);
    if (failed == HSCHED_OK)
        failed = hsched_run_wait(run, HSCHED_FOREVER);
    int status = failed == HSCHED_OK
                     ? CLI_OK
                     : cli_failed(CLI_WRONG, failed, hsched_model_name(v->model));
    for (uint32_t i = first; i < end && status == CLI_OK; i++) {
        hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
        const void *data;
        size_t size;
        failed = hsched_model_output_info(v->model, i, &info);
        if (failed == HSCHED_OK)
            failed = hsched_run_output(run, i, &data, &size);
        if (failed == HSCHED_OK)
            show_tap(&info, data, list);
        else
            status = cli_failed(CLI_WRONG, failed, v->taps.values[i - first]);
    }
    if (status == CLI_OK && v->output)
        status = cli_make_folder(v->output);
    if (status == CLI_OK && v->output)
        status = cli_outputs_write(v->output, run, v->model, first, end);
    hsched_run_release(run);
    return status;
}

/* ---- Command -------------------------------------------------------------- */

static int load(verify_command *v)
{
    int status = cli_session_check(&v->session);
    if (status == CLI_OK)
        status = cli_session_start(&v->session);
    if (status == CLI_OK)
        status = cli_session_graph(&v->session, v->positional.values[0], &v->graph);
    if (status == CLI_OK)
        status = cli_session_symbols_used(&v->session);
    if (status == CLI_OK)
        status = cli_session_compile(&v->session, v->positional.values[0], v->graph,
                                     v->taps.count ? &v->taps : NULL, &v->model);
    if (status == CLI_OK)
        status =
            cli_inputs_make(v->model, &v->input_options, v->session.seed, &v->inputs);
    if (status == CLI_OK)
        status = cli_inputs_check_used(&v->input_options);
    if (status != CLI_OK)
        return status;
    v->check_capacity = hsched_model_step_count(v->model);
    v->checks = calloc(v->check_capacity + 1, sizeof *v->checks);
    return v->checks ? CLI_OK : cli_no_memory();
}

static int report(const verify_command *v)
{
    json_t *taps = v->json ? json_array() : NULL;
    int status = v->json ? CLI_OK : print_checks(v);
    if (status == CLI_OK && v->taps.count > 0)
        status = show_taps(v, v->json ? &taps : NULL);
    if (v->json && status == CLI_OK)
        status = cli_json_print(json_pack("{s:o, s:f, s:b, s:o, s:o}", "model",
                                          cli_json_text(hsched_model_name(v->model)),
                                          "tolerance", v->tolerance, "agrees",
                                          first_divergence(v) == NULL, "steps",
                                          checks_json(v), "taps", taps));
    else
        json_decref(taps);
    return status;
}

static int execute(verify_command *v)
{
    if (v->positional.count != 1) {
        cli_error("verify takes one MODEL; see hsched verify --help");
        return CLI_USAGE;
    }
    int status = load(v);
    if (status != CLI_OK)
        return status;
    hsched_status verified =
        hsched_model_verify(v->model, v->inputs.bindings, v->inputs.count, keep_check, v);
    if (verified != HSCHED_OK)
        return cli_failed(CLI_WRONG, verified, v->positional.values[0]);
    if (v->check_count == 0) {
        cli_error("%s: no step was checked", v->positional.values[0]);
        return CLI_WRONG;
    }
    status = report(v);
    return status == CLI_OK && first_divergence(v) ? CLI_WRONG : status;
}

static int run(int argc, char **argv)
{
    verify_command v = { .session = { CLI_SESSION_INIT,
                                      .model_flags = HSCHED_MODEL_KEEP_CONSTANTS },
                         .input_options = { .image = { CLI_IMAGE_OPTIONS_INIT } },
                         .tolerance = 1e-4 };
    const cli_option own[] = {
        { "tolerance", "T", "the largest error allowed (1e-4)", cli_parse_positive,
          &v.tolerance },
        { "tap", "NAME", "show this tensor too; may be repeated", cli_parse_append,
          &v.taps },
        { "output", "DIR", "write the tapped tensors as .npy files", cli_parse_string,
          &v.output },
        { "json", NULL, "print the results as JSON", cli_parse_flag, &v.json },
        { 0 },
    };
    cli_option session[CLI_SESSION_OPTIONS], inputs[CLI_INPUT_OPTIONS];
    cli_session_options(&v.session, session);
    cli_input_options_table(&v.input_options, inputs);
    const cli_option *const tables[] = { own, inputs, session, NULL };
    int status;
    if (cli_parse_options(&cli_verify_command, tables, help_text, argc, argv,
                          &v.positional, &status))
        status = execute(&v);
    hsched_model_release(v.model);
    hsched_graph_destroy(v.graph);
    cli_inputs_free(&v.inputs);
    free(v.checks);
    cli_input_options_free(&v.input_options);
    cli_session_end(&v.session);
    cli_list_free(&v.taps);
    cli_list_free(&v.positional);
    return status;
}

const cli_command cli_verify_command = {
    "verify", "MODEL", "Compare every step with the plain reference kernels", run
};
