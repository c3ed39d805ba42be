#include "cli/sim_report.h"

#include <stdio.h>

#include "cli/outputs.h"
#include "cli/table.h"

static hsched_simulation_model_report model_at(const hsched_simulation *simulation,
                                               uint32_t index)
{
    hsched_simulation_model_report m = { HSCHED_SIMULATION_MODEL_REPORT_INIT };
    hsched_simulation_get_model(simulation, index, &m); /* there are so many */
    return m;
}

static hsched_simulation_device_report device_at(const hsched_simulation *simulation,
                                                 uint32_t index)
{
    hsched_simulation_device_report d = { HSCHED_SIMULATION_DEVICE_REPORT_INIT };
    hsched_simulation_get_device(simulation, index, &d);
    return d;
}

/* On the average. */
static double watts_of(const hsched_simulation_report *report)
{
    return report->makespan_us > 0 ? 1e6 * report->joules / report->makespan_us : 0;
}

/* ---- For people ----------------------------------------------------------- */

static int print_models(const hsched_simulation *simulation, uint32_t count)
{
    static const char *const columns[] = {
        "NETWORK",  "POLICY",  ">RUNS",     ">MISSED", ">DROPPED",   ">P50 MS", ">P99 MS",
        ">MEAN MS", ">MAX MS", ">SECTIONS", ">JOBS",   ">CROSSINGS", NULL
    };
    cli_table *table = cli_table_create(columns);
    for (uint32_t i = 0; i < count; i++) {
        const hsched_simulation_model_report m = model_at(simulation, i);
        cli_table_cell(table, "%s", m.name);
        cli_table_cell(table, "%s", m.policy);
        cli_table_cell(table, "%llu", (unsigned long long)m.runs_succeeded);
        cli_table_cell(table, "%llu", (unsigned long long)m.deadline_misses);
        cli_table_cell(table, "%llu", (unsigned long long)m.runs_dropped);
        cli_table_cell(table, "%.3f", m.latency_p50_us / 1000);
        cli_table_cell(table, "%.3f", m.latency_p99_us / 1000);
        cli_table_cell(table, "%.3f", m.latency_mean_us / 1000);
        cli_table_cell(table, "%.3f", m.latency_max_us / 1000);
        cli_table_cell(table, "%u", m.sections);
        cli_table_cell(table, "%llu", (unsigned long long)m.jobs);
        cli_table_cell(table, "%llu", (unsigned long long)m.crossings);
    }
    const int ok = cli_table_print(table, 0);
    cli_table_destroy(table);
    return ok ? CLI_OK : cli_no_memory();
}

static int print_devices(const hsched_simulation *simulation,
                         const hsched_simulation_report *report)
{
    static const char *const columns[] = { "DEVICE",        "KIND",     ">WORKERS",
                                           ">JOBS",         ">BUSY MS", ">BUSY",
                                           ">WORKERS BUSY", ">JOULES",  NULL };
    cli_table *table = cli_table_create(columns);
    for (uint32_t i = 0; i < report->device_count; i++) {
        const hsched_simulation_device_report d = device_at(simulation, i);
        cli_table_cell(table, "%s", d.name);
        cli_table_cell(table, "%s", d.kind);
        cli_table_cell(table, "%u", d.workers);
        cli_table_cell(table, "%llu", (unsigned long long)d.jobs);
        cli_table_cell(table, "%.3f", d.busy_us / 1000);
        cli_table_cell(table, "%.0f%%", 100 * d.busy_us / report->makespan_us);
        cli_table_cell(table, "%.0f%%", 100 * d.use);
        if (d.joules > 0)
            cli_table_cell(table, "%.4f", d.joules);
        else
            cli_table_cell(table, "-");
    }
    const int ok = cli_table_print(table, 0);
    cli_table_destroy(table);
    return ok ? CLI_OK : cli_no_memory();
}

int cli_sim_print(const hsched_simulation *simulation,
                  const hsched_simulation_report *report, const char *trace)
{
    printf("SIMULATED on %s: %s%s%s\n", report->platform,
           report->measured ? "costs measured on this machine" : "costs from rates",
           report->description[0] ? "; " : "", report->description);
    printf(
        "all has ended after %.3f ms: %llu runs, %llu deadlines missed, %llu dropped\n",
        report->makespan_us / 1000, (unsigned long long)report->runs_succeeded,
        (unsigned long long)report->deadline_misses,
        (unsigned long long)report->runs_dropped);
    if (report->joules > 0)
        printf("drawn: %.4f J, %.2f W on the average", report->joules, watts_of(report));
    if (report->joules > 0 && report->runs_succeeded > 0)
        printf(", %.4f J a run", report->joules / (double)report->runs_succeeded);
    if (report->joules > 0)
        printf("\n");
    printf("\n");
    int status = print_models(simulation, report->model_count);
    printf("\n");
    if (status == CLI_OK)
        status = print_devices(simulation, report);
    if (status == CLI_OK && trace)
        printf("\ntrace (simulated): %s; open it with https://ui.perfetto.dev\n", trace);
    return status;
}

/* ---- For programs --------------------------------------------------------- */

/* null: not known. */
static json_t *joules_json(double joules)
{
    return joules > 0 ? cli_json_real(joules) : json_null();
}

static json_t *model_json(const hsched_simulation_model_report *m)
{
    return json_pack(
        "{s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:i, s:o, s:o, s:o, s:o}", "name",
        cli_json_text(m->name), "policy", m->policy, "runs",
        (json_int_t)m->runs_succeeded, "missed", (json_int_t)m->deadline_misses,
        "dropped", (json_int_t)m->runs_dropped, "jobs", (json_int_t)m->jobs, "crossings",
        (json_int_t)m->crossings, "sections", (int)m->sections, "p50_us",
        cli_json_real(m->latency_p50_us), "p99_us", cli_json_real(m->latency_p99_us),
        "mean_us", cli_json_real(m->latency_mean_us), "max_us",
        cli_json_real(m->latency_max_us));
}

static json_t *device_json(const hsched_simulation_device_report *d)
{
    return json_pack("{s:o, s:s, s:i, s:I, s:o, s:o, s:o}", "name",
                     cli_json_text(d->name), "kind", d->kind, "workers", (int)d->workers,
                     "jobs", (json_int_t)d->jobs, "busy_us", cli_json_real(d->busy_us),
                     "use", cli_json_real(d->use), "joules", joules_json(d->joules));
}

int cli_sim_print_json(const hsched_simulation *simulation,
                       const hsched_simulation_report *report, const char *trace)
{
    json_t *models = json_array(), *devices = json_array();
    for (uint32_t i = 0; i < report->model_count; i++) {
        const hsched_simulation_model_report m = model_at(simulation, i);
        cli_json_append(&models, model_json(&m));
    }
    for (uint32_t i = 0; i < report->device_count; i++) {
        const hsched_simulation_device_report d = device_at(simulation, i);
        cli_json_append(&devices, device_json(&d));
    }
    json_t *root = json_pack(
        "{s:b, s:o, s:o, s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "simulated", 1,
        "platform", cli_json_text(report->platform), "description",
        cli_json_text(report->description), "costs",
        report->measured ? "measured" : "rates", "makespan_us",
        cli_json_real(report->makespan_us), "runs", (json_int_t)report->runs_succeeded,
        "missed", (json_int_t)report->deadline_misses, "dropped",
        (json_int_t)report->runs_dropped, "jobs", (json_int_t)report->jobs, "crossings",
        (json_int_t)report->crossings, "models", models, "devices", devices);
    if (root)
        json_object_set_new(root, "joules", joules_json(report->joules));
    if (root && trace)
        json_object_set_new(root, "trace", cli_json_text(trace));
    return cli_json_print(root);
}
