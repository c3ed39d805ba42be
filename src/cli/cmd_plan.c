/* hsched plan: where a model's steps go, why, and what that is expected to cost. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/files.h"
#include "cli/plan.h"
#include "cli/session.h"

static const char help_text[] =
    "Tells for each step on which device the policy places it on an idle machine, why, "
    "and\n"
    "which device is the runner-up; what steps, crossings and the whole are expected to "
    "take;\n"
    "and how many steps fall back to the CPU because no accelerator can execute them.\n"
    "It measures no times of the model: what `hsched profile MODEL` has measured, with "
    "the\n"
    "same options, is what it predicts from. DEVICE is the name that `hsched info` "
    "shows;\n"
    "gpu is the first GPU.\n\n"
    "exit status: 0 success; 1 a run failed; 2 wrong usage; 3 the model could not be "
    "loaded;\n"
    "4 the runtime could not start, or a file could not be written.\n";

enum {
    MEASURE_MOST = 1000000,
    BATCH_MOST = 64
};

typedef struct plan_command {
    cli_session session;
    cli_list positional, loads;
    uint32_t batch, measure;
    const char *json, *dot;
    cli_plan plan;
} plan_command;

/* ---- Reading the explanation ---------------------------------------------- */

static int checked(const cli_plan *plan, hsched_status status)
{
    return status == HSCHED_OK
               ? CLI_OK
               : cli_failed(CLI_WRONG, status, hsched_model_name(plan->model));
}

int cli_plan_section(const cli_plan *plan, uint32_t index, hsched_explained_section *info)
{
    *info = (hsched_explained_section){ HSCHED_EXPLAINED_SECTION_INIT };
    return checked(plan, hsched_explanation_get_section(plan->explanation, index, info));
}

int cli_plan_step(const cli_plan *plan, uint32_t index, hsched_explained_step *info,
                  hsched_step_info *step)
{
    *info = (hsched_explained_step){ HSCHED_EXPLAINED_STEP_INIT };
    *step = (hsched_step_info){ HSCHED_STEP_INFO_INIT };
    step->output.struct_size = sizeof step->output;
    hsched_status status = hsched_explanation_get_step(plan->explanation, index, info);
    if (status == HSCHED_OK)
        status = hsched_model_step_info(plan->model, index, step);
    return checked(plan, status);
}

int cli_plan_edge(const cli_plan *plan, uint32_t index, hsched_explained_edge *info)
{
    *info = (hsched_explained_edge){ HSCHED_EXPLAINED_EDGE_INIT };
    return checked(plan, hsched_explanation_get_edge(plan->explanation, index, info));
}

int cli_plan_crossing(const cli_plan *plan, uint32_t index,
                      hsched_explained_crossing *info)
{
    *info = (hsched_explained_crossing){ HSCHED_EXPLAINED_CROSSING_INIT };
    return checked(plan, hsched_explanation_get_crossing(plan->explanation, index, info));
}

/* ---- What is asked for ---------------------------------------------------- */

static int is_stdout(const char *path)
{
    return path && strcmp(path, "-") == 0;
}

static int check(const plan_command *c)
{
    if (c->positional.count != 1) {
        cli_error("plan takes one MODEL; see hsched plan --help");
        return CLI_USAGE;
    }
    if (c->batch > BATCH_MOST) {
        cli_error("--batch %u is more than %d", c->batch, BATCH_MOST);
        return CLI_USAGE;
    }
    if (c->measure > MEASURE_MOST) {
        cli_error("--measure %u is more than %d", c->measure, MEASURE_MOST);
        return CLI_USAGE;
    }
    if (c->measure > 0 && c->loads.count > 0) {
        cli_error("--measure executes on this machine as it is, which --load only "
                  "supposes otherwise; leave one of them out");
        return CLI_USAGE;
    }
    if (is_stdout(c->json) && is_stdout(c->dot)) {
        cli_error("--json and --dot cannot both go to standard output");
        return CLI_USAGE;
    }
    return CLI_OK;
}

static int check_files(const plan_command *c)
{
    const int status =
        is_stdout(c->json) ? CLI_OK : cli_check_writable("--json", c->json);
    return status != CLI_OK || is_stdout(c->dot) ? status
                                                 : cli_check_writable("--dot", c->dot);
}

static int find_devices(cli_plan *plan)
{
    plan->device_count = hsched_runtime_device_count(plan->runtime);
    if (plan->device_count > CLI_PLAN_DEVICES)
        plan->device_count = CLI_PLAN_DEVICES;
    for (uint32_t d = 0; d < plan->device_count; d++) {
        plan->devices[d] = (hsched_device_info){ HSCHED_DEVICE_INFO_INIT };
        plan->loads[d] = 1;
        const hsched_status status =
            hsched_runtime_device_info(plan->runtime, d, &plan->devices[d]);
        if (status != HSCHED_OK)
            return cli_failed(CLI_SYSTEM, status, "device");
    }
    return CLI_OK;
}

static int is_called(const hsched_device_info *device, const char *name, size_t length)
{
    return strlen(device->name) == length && strncmp(device->name, name, length) == 0;
}

/* A name, or gpu for the first GPU; the count of devices: there is none. */
static uint32_t find_device(const cli_plan *plan, const char *name, size_t length)
{
    uint32_t d = 0;
    while (d < plan->device_count && !is_called(&plan->devices[d], name, length))
        d++;
    if (d < plan->device_count || length != 3 || strncmp(name, "gpu", 3) != 0)
        return d;
    for (d = 0; d < plan->device_count; d++)
        if (plan->devices[d].kind == HSCHED_DEVICE_GPU)
            break;
    return d;
}

/* "gpu=2.5". */
static int set_load(cli_plan *plan, const char *text)
{
    const char *equals = strchr(text, '=');
    double factor;
    if (!equals || equals == text || !cli_parse_positive(&factor, equals + 1) ||
        factor < 1e-3 || factor > 1e6) {
        cli_error("--load '%s' is not DEVICE=FACTOR with a factor from 0.001 to 1e6, as "
                  "in gpu=2.5",
                  text);
        return CLI_USAGE;
    }
    const uint32_t d = find_device(plan, text, (size_t)(equals - text));
    if (d == plan->device_count) {
        char known[512] = "";
        for (uint32_t i = 0; i < plan->device_count; i++) {
            const size_t used = strlen(known);
            snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "",
                     plan->devices[i].name);
        }
        cli_error("--load '%s': there is no such device; there are %s", text, known);
        return CLI_USAGE;
    }
    plan->loads[d] = factor;
    return CLI_OK;
}

/* ---- Command -------------------------------------------------------------- */

static int write_file(const cli_plan *plan, const char *path,
                      int (*write)(const cli_plan *, FILE *))
{
    if (is_stdout(path))
        return write(plan, stdout); /* main() sees whether it was written */
    FILE *file = fopen(path, "w");
    if (!file) {
        cli_error("%s: could not be opened for writing: %s", path, strerror(errno));
        return CLI_SYSTEM;
    }
    int status = write(plan, file);
    const int bad = ferror(file);
    if ((fclose(file) != 0 || bad) && status == CLI_OK) {
        cli_error("%s: could not be written: %s", path, strerror(errno));
        status = CLI_SYSTEM;
    }
    return status;
}

static int explain(plan_command *c)
{
    cli_plan *plan = &c->plan;
    const hsched_explain_config config = { HSCHED_EXPLAIN_CONFIG_INIT,
                                           .loads = plan->loads,
                                           .load_count = plan->device_count,
                                           .batch = c->batch };
    hsched_status status = hsched_model_explain(plan->model, &config, &plan->explanation);
    plan->info = (hsched_explanation_info){ HSCHED_EXPLANATION_INFO_INIT };
    if (status == HSCHED_OK)
        status = hsched_explanation_get_info(plan->explanation, &plan->info);
    return checked(plan, status);
}

static int execute(plan_command *c)
{
    cli_plan *plan = &c->plan;
    int status = check(c);
    if (status == CLI_OK)
        status = cli_session_check(&c->session);
    if (status == CLI_OK)
        status = check_files(c);
    if (status == CLI_OK)
        status = cli_session_start(&c->session);
    plan->runtime = c->session.runtime;
    if (status == CLI_OK)
        status = find_devices(plan);
    for (uint32_t i = 0; i < c->loads.count && status == CLI_OK; i++)
        status = set_load(plan, c->loads.values[i]);
    if (status == CLI_OK)
        status = cli_session_model(&c->session, c->positional.values[0], &plan->model);
    if (status == CLI_OK)
        status = cli_session_symbols_used(&c->session);
    if (status == CLI_OK)
        status = explain(c);
    if (status == CLI_OK && c->measure > 0)
        status = cli_plan_measure(plan, c->measure, c->session.seed);
    if (status == CLI_OK && c->json)
        status = write_file(plan, c->json, cli_plan_write_json);
    if (status == CLI_OK && c->dot)
        status = write_file(plan, c->dot, cli_plan_write_dot);
    if (status == CLI_OK && !is_stdout(c->json) && !is_stdout(c->dot))
        status = cli_plan_print(plan);
    hsched_explanation_destroy(plan->explanation);
    hsched_model_release(plan->model);
    return status;
}

static int run(int argc, char **argv)
{
    plan_command c = { .session = { CLI_SESSION_INIT } };
    const cli_option own[] = {
        { "load", "DEVICE=FACTOR",
          "suppose that the device takes FACTOR times as long; may be\n"
          "repeated",
          cli_parse_append, &c.loads },
        { "batch", "N", "N runs submitted together (1), at most 64", cli_parse_count,
          &c.batch },
        { "measure", "N", "execute it N times, and compare", cli_parse_count,
          &c.measure },
        { "json", "FILE", "write it as JSON; -: to standard output, alone",
          cli_parse_string, &c.json },
        { "dot", "FILE", "write a picture for Graphviz; -: likewise", cli_parse_string,
          &c.dot },
        { 0 },
    };
    cli_option session[CLI_SESSION_OPTIONS];
    cli_session_options(&c.session, session);
    const cli_option *const tables[] = { own, session, NULL };
    int status;
    if (cli_parse_options(&cli_plan_command, tables, help_text, argc, argv, &c.positional,
                          &status))
        status = execute(&c);
    cli_session_end(&c.session);
    cli_list_free(&c.loads);
    cli_list_free(&c.positional);
    return status;
}

const cli_command cli_plan_command = {
    "plan", "MODEL", "Explain where a model's steps go, why, and at what cost", run
};
