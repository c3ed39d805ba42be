/* hsched run: several models at once. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/meters.h"
#include "cli/outputs.h"
#include "cli/pump.h"
#include "cli/session.h"
#include "cli/table.h"
#include "cli/trace.h"

typedef struct run_command {
    cli_session session;
    cli_input_options inputs;
    cli_list models;
    const char *output;
    uint32_t instances;
    uint32_t iterations;
    uint64_t warmup;
    int json;
    cli_trace trace;
    cli_lane *lanes;
    hsched_device_stats *before, *after; /* of each device, around the measured part */
    double *joules; /* that each device has drawn in it; < 0: not known */
    uint32_t device_count;
    double elapsed_us;
} run_command;

static const char help_text[] =
    "All models run at once: N instances of each, every instance with one run in "
    "flight.\n"
    "Latency is from the submission of a run to its end; warm-up runs are not counted.\n"
    "With --output each output of each model's last run is written as DIR/NAME.npy, "
    "with\n"
    "several models as DIR/MODEL/NAME.npy (MODEL-2 for the second of that name).\n"
    "A trace is of the measured runs: each job, step and run, as JSON.\n\n"
    "exit status: 0 success; 1 a run failed; 2 wrong usage; 3 a model or an input could\n"
    "not be loaded; 4 the runtime could not start or a file could not be written.\n";

/* ---- Loading and running -------------------------------------------------- */

static int load_lanes(run_command *r)
{
    r->lanes = calloc(r->models.count, sizeof *r->lanes);
    if (!r->lanes)
        return cli_no_memory();
    for (uint32_t i = 0; i < r->models.count; i++) {
        int status =
            cli_session_model(&r->session, r->models.values[i], &r->lanes[i].model);
        if (status == CLI_OK)
            status = cli_inputs_make(r->lanes[i].model, &r->inputs, r->session.seed,
                                     &r->lanes[i].inputs);
        if (status != CLI_OK)
            return status;
    }
    int status = cli_session_symbols_used(&r->session);
    return status == CLI_OK ? cli_inputs_check_used(&r->inputs) : status;
}

static int read_device_stats(const run_command *r, hsched_device_stats *stats)
{
    for (uint32_t d = 0; d < r->device_count; d++) {
        stats[d] = (hsched_device_stats){ HSCHED_DEVICE_STATS_INIT };
        hsched_status status =
            hsched_runtime_get_device_stats(r->session.runtime, d, &stats[d]);
        if (status != HSCHED_OK)
            return cli_failed(CLI_SYSTEM, status, "device statistics");
    }
    return CLI_OK;
}

static int measure(run_command *r)
{
    r->device_count = hsched_runtime_device_count(r->session.runtime);
    r->before = calloc(r->device_count, sizeof *r->before);
    r->after = calloc(r->device_count, sizeof *r->after);
    r->joules = calloc(r->device_count, sizeof *r->joules);
    if (!r->before || !r->after || !r->joules)
        return cli_no_memory();
    int status = CLI_OK;
    if (r->warmup > 0)
        status = cli_pump(r->lanes, r->models.count, r->instances, r->warmup, 1);
    if (status == CLI_OK)
        status = read_device_stats(r, r->before);
    if (status == CLI_OK)
        status = cli_trace_start(&r->trace, r->session.runtime);
    if (status != CLI_OK)
        return status;
    for (uint32_t d = 0; d < r->device_count; d++)
        r->joules[d] = cli_meter_joules(r->session.runtime, d);
    status = cli_pump(r->lanes, r->models.count, r->instances, r->iterations, r->json);
    for (uint32_t d = 0; d < r->device_count; d++) {
        const double joules = cli_meter_joules(r->session.runtime, d);
        r->joules[d] = joules >= 0 && r->joules[d] >= 0 ? joules - r->joules[d] : -1;
    }
    cli_trace_stop(&r->trace, r->session.runtime);
    uint64_t first = UINT64_MAX, last = 0;
    for (uint32_t i = 0; i < r->models.count; i++) {
        const cli_lane *lane = &r->lanes[i];
        if (lane->succeeded == 0)
            continue;
        first = lane->first_us < first ? lane->first_us : first;
        last = lane->last_us > last ? lane->last_us : last;
    }
    r->elapsed_us = last > 0 ? (double)(last - first) : 0;
    int read = read_device_stats(r, r->after);
    return status != CLI_OK ? status : read;
}

/* ---- Results -------------------------------------------------------------- */

static double throughput(const cli_lane *lane)
{
    double elapsed = (double)(lane->last_us - lane->first_us);
    return elapsed > 0 ? (double)lane->succeeded * 1e6 / elapsed : 0;
}

/* How many steps of the model, and how many of its multiply-accumulates, a device has. */
static void count_steps(const hsched_model *model, uint32_t device, uint32_t *steps,
                        uint64_t *macs)
{
    *steps = 0;
    *macs = 0;
    for (uint32_t i = 0; i < hsched_model_step_count(model); i++) {
        hsched_step_info info = { HSCHED_STEP_INFO_INIT };
        if (hsched_model_step_info(model, i, &info) == HSCHED_OK &&
            info.device == device) {
            ++*steps;
            *macs += info.macs;
        }
    }
}

/* Part of the time in which the device's workers were busy. */
static double device_load(const run_command *r, uint32_t d,
                          const hsched_device_info *info)
{
    double busy = r->after[d].busy_us - r->before[d].busy_us;
    return r->elapsed_us > 0 && info->workers ? busy / (r->elapsed_us * info->workers)
                                              : 0;
}

static int device_info(const run_command *r, uint32_t d, hsched_device_info *info)
{
    *info = (hsched_device_info){ HSCHED_DEVICE_INFO_INIT };
    hsched_status status = hsched_runtime_device_info(r->session.runtime, d, info);
    return status == HSCHED_OK ? CLI_OK : cli_failed(CLI_SYSTEM, status, "device");
}

static int print_models(const run_command *r)
{
    static const char *const columns[] = { "MODEL",   ">INSTANCES", ">RUNS",    ">FAILED",
                                           ">P50 ms", ">P99 ms",    ">MEAN ms", ">MAX ms",
                                           ">RUNS/s", NULL };
    cli_table *table = cli_table_create(columns);
    for (uint32_t i = 0; i < r->models.count; i++) {
        const cli_lane *lane = &r->lanes[i];
        cli_table_cell(table, "%s", hsched_model_name(lane->model));
        cli_table_cell(table, "%u", r->instances);
        cli_table_cell(table, "%llu", (unsigned long long)lane->succeeded);
        cli_table_cell(table, "%llu", (unsigned long long)lane->failed);
        cli_table_cell(table, "%.3f", cli_lane_quantile(lane, 0.5) / 1e3);
        cli_table_cell(table, "%.3f", cli_lane_quantile(lane, 0.99) / 1e3);
        cli_table_cell(table, "%.3f", cli_lane_mean(lane) / 1e3);
        cli_table_cell(table, "%.3f", cli_lane_quantile(lane, 1) / 1e3);
        cli_table_cell(table, "%.1f", throughput(lane));
    }
    int ok = cli_table_print(table, 0);
    cli_table_destroy(table);
    return ok ? CLI_OK : cli_no_memory();
}

/* What all devices have drawn for a run in the mean; < 0: some of that is not known. */
static double joules_per_run(const run_command *r)
{
    double joules = 0;
    uint64_t runs = 0;
    for (uint32_t d = 0; d < r->device_count; d++) {
        if (r->joules[d] < 0)
            return -1;
        joules += r->joules[d];
    }
    for (uint32_t i = 0; i < r->models.count; i++)
        runs += r->lanes[i].succeeded;
    return runs > 0 ? joules / (double)runs : -1;
}

static int print_devices(const run_command *r)
{
    static const char *const columns[] = { "DEVICE",  ">WORKERS",        ">JOBS",
                                           ">STEPS",  ">BUSY s",         ">LOAD",
                                           ">JOULES", "STEPS OF MODELS", NULL };
    cli_table *table = cli_table_create(columns);
    int status = CLI_OK;
    for (uint32_t d = 0; d < r->device_count && status == CLI_OK; d++) {
        hsched_device_info info;
        char where[1024] = "";
        size_t used = 0;
        status = device_info(r, d, &info);
        for (uint32_t i = 0; i < r->models.count && used < sizeof where; i++) {
            uint32_t steps;
            uint64_t macs;
            count_steps(r->lanes[i].model, d, &steps, &macs);
            used += (size_t)snprintf(where + used, sizeof where - used, "%s%s %u/%u",
                                     i ? ", " : "", hsched_model_name(r->lanes[i].model),
                                     steps, hsched_model_step_count(r->lanes[i].model));
        }
        cli_table_cell(table, "%s%s", info.name ? info.name : "",
                       info.lost ? " (lost)" : "");
        cli_table_cell(table, "%u", info.workers);
        cli_table_cell(table, "%llu",
                       (unsigned long long)(r->after[d].jobs - r->before[d].jobs));
        cli_table_cell(table, "%llu",
                       (unsigned long long)(r->after[d].steps - r->before[d].steps));
        cli_table_cell(table, "%.3f", (r->after[d].busy_us - r->before[d].busy_us) / 1e6);
        cli_table_cell(table, "%.0f%%", 100 * device_load(r, d, &info));
        if (r->joules[d] >= 0)
            cli_table_cell(table, "%.3f", r->joules[d]);
        else
            cli_table_cell(table, "-");
        cli_table_cell(table, "%s", where);
    }
    putchar('\n');
    int ok = cli_table_print(table, 0);
    cli_table_destroy(table);
    if (joules_per_run(r) >= 0)
        printf("\n%.4f J a run, all that the devices have drawn meanwhile\n",
               joules_per_run(r));
    return status != CLI_OK ? status : ok ? CLI_OK : cli_no_memory();
}

static json_t *model_json(const run_command *r, const cli_lane *lane)
{
    json_t *where = json_array();
    for (uint32_t d = 0; d < r->device_count; d++) {
        uint32_t steps;
        uint64_t macs;
        count_steps(lane->model, d, &steps, &macs);
        cli_json_append(&where, json_pack("{s:i, s:i, s:I}", "device", (int)d, "steps",
                                          (int)steps, "macs", (json_int_t)macs));
    }
    return json_pack("{s:o, s:i, s:I, s:I, s:{s:f, s:f, s:f, s:f}, s:f, s:o}", "name",
                     cli_json_text(hsched_model_name(lane->model)), "instances",
                     (int)r->instances, "succeeded", (json_int_t)lane->succeeded,
                     "failed", (json_int_t)lane->failed, "latency_us", "p50",
                     cli_lane_quantile(lane, 0.5), "p99", cli_lane_quantile(lane, 0.99),
                     "mean", cli_lane_mean(lane), "max", cli_lane_quantile(lane, 1),
                     "runs_per_second", throughput(lane), "where", where);
}

static int print_json(const run_command *r)
{
    json_t *models = json_array(), *devices = json_array();
    for (uint32_t i = 0; i < r->models.count; i++)
        cli_json_append(&models, model_json(r, &r->lanes[i]));
    for (uint32_t d = 0; d < r->device_count; d++) {
        hsched_device_info info;
        int status = device_info(r, d, &info);
        if (status != CLI_OK) {
            json_decref(models);
            json_decref(devices);
            return status;
        }
        cli_json_append(
            &devices,
            json_pack("{s:s, s:i, s:b, s:I, s:I, s:f, s:f, s:o}", "name", info.name,
                      "workers", (int)info.workers, "lost", info.lost != 0, "jobs",
                      (json_int_t)(r->after[d].jobs - r->before[d].jobs), "steps",
                      (json_int_t)(r->after[d].steps - r->before[d].steps), "busy_us",
                      r->after[d].busy_us - r->before[d].busy_us, "load",
                      device_load(r, d, &info), "joules",
                      r->joules[d] >= 0 ? json_real(r->joules[d]) : json_null()));
    }
    return cli_json_print(json_pack(
        "{s:s, s:f, s:o, s:o, s:o, s:o*}", "version", hsched_version(), "elapsed_us",
        r->elapsed_us, "models", models, "devices", devices, "joules_per_run",
        joules_per_run(r) >= 0 ? json_real(joules_per_run(r)) : json_null(), "trace",
        cli_trace_json(&r->trace)));
}

/* DIR, or DIR/MODEL where there are several. */
static int write_outputs(const run_command *r)
{
    int status = CLI_OK;
    for (uint32_t i = 0; i < r->models.count && status == CLI_OK; i++) {
        const cli_lane *lane = &r->lanes[i];
        const char *name = hsched_model_name(lane->model);
        char folder[4096];
        uint32_t same = 1;
        for (uint32_t k = 0; k < i; k++)
            same += strcmp(hsched_model_name(r->lanes[k].model), name) == 0;
        int length;
        if (r->models.count == 1)
            length = snprintf(folder, sizeof folder, "%s", r->output);
        else if (same == 1)
            length = snprintf(folder, sizeof folder, "%s/%s", r->output, name);
        else
            length = snprintf(folder, sizeof folder, "%s/%s-%u", r->output, name, same);
        if (length < 0 || (size_t)length >= sizeof folder) {
            cli_error("--output %s: the path is too long", r->output);
            return CLI_SYSTEM;
        }
        status = cli_make_folder(folder);
        if (status == CLI_OK && lane->last_run)
            status = cli_outputs_write(folder, lane->last_run, lane->model, 0,
                                       hsched_model_output_count(lane->model));
    }
    return status;
}

/* ---- Command -------------------------------------------------------------- */

static int execute(run_command *r)
{
    if (r->models.count == 0) {
        cli_error("no MODEL given; see hsched run --help");
        return CLI_USAGE;
    }
    int status = cli_session_check(&r->session);
    if (status == CLI_OK)
        status = cli_session_start(&r->session);
    if (status == CLI_OK && r->output) /* before the time is spent */
        status = cli_make_folder(r->output);
    if (status == CLI_OK)
        status = cli_trace_check(&r->trace);
    if (status == CLI_OK)
        status = load_lanes(r);
    if (status != CLI_OK)
        return status;
    status = measure(r);
    if (status != CLI_OK && status != CLI_WRONG)
        return status;
    /* What succeeded is shown even if something failed. */
    int printed = CLI_OK;
    if (r->json)
        printed = print_json(r);
    else if ((printed = print_models(r)) == CLI_OK &&
             (printed = print_devices(r)) == CLI_OK)
        cli_trace_print(&r->trace);
    if (printed == CLI_OK && r->output)
        printed = write_outputs(r);
    if (status == CLI_OK)
        status = printed;
    return status != CLI_OK ? status : r->trace.exit_status;
}

static int run(int argc, char **argv)
{
    run_command r = { .session = { CLI_SESSION_INIT },
                      .inputs = { .image = { CLI_IMAGE_OPTIONS_INIT } },
                      .instances = 1,
                      .iterations = 10,
                      .warmup = 1 };
    const cli_option own[] = {
        { "instances", "N", "runs in flight of each model (1)", cli_parse_count,
          &r.instances },
        { "iterations", "N", "runs of each instance (10)", cli_parse_count,
          &r.iterations },
        { "warmup", "N", "runs of each instance before that (1)", cli_parse_uint64,
          &r.warmup },
        { "output", "DIR", "write the outputs as .npy files", cli_parse_string,
          &r.output },
        { "json", NULL, "print the results as JSON", cli_parse_flag, &r.json },
        { "trace", "FILE", "write what ran where and when, for ui.perfetto.dev",
          cli_parse_string, &r.trace.path },
        { "trace-events", "N", "room for so many events of each thread (65536)",
          cli_parse_count, &r.trace.events },
        { 0 },
    };
    cli_option session[CLI_SESSION_OPTIONS], inputs[CLI_INPUT_OPTIONS];
    cli_session_options(&r.session, session);
    cli_input_options_table(&r.inputs, inputs);
    const cli_option *const tables[] = { own, inputs, session, NULL };
    int status;
    if (cli_parse_options(&cli_run_command, tables, help_text, argc, argv, &r.models,
                          &status))
        status = execute(&r);
    for (uint32_t i = 0; r.lanes && i < r.models.count; i++)
        cli_lane_free(&r.lanes[i]);
    free(r.lanes);
    free(r.before);
    free(r.after);
    free(r.joules);
    cli_input_options_free(&r.inputs);
    cli_session_end(&r.session);
    cli_list_free(&r.models);
    return status;
}

const cli_command cli_run_command = {
    "run", "MODEL...", "Run models at once and measure latency and throughput", run
};
