/* hsched profile: how long steps and sections take, on which device; kept in the cache folder. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/costs.h"
#include "cli/inputs.h"
#include "cli/outputs.h"
#include "cli/session.h"
#include "cli/table.h"

static const char help_text[] =
    "Measures each step alone, with 1, 2, 4, ... CPU workers sharing it, and with as "
    "many\n"
    "runs at once; on accelerators each section, several jobs at once, and joined runs.\n"
    "Shown are medians in microseconds and the distance of the first and third "
    "quartile.\n"
    "Nothing else should run on the machine. Results are kept in $HSCHED_CACHE_DIR "
    "(else\n"
    "$XDG_CACHE_HOME/hsched, else ~/.cache/hsched), in costs.txt.\n"
    "Where there are meters it also measures what devices draw, which --objective "
    "energy\n"
    "has to know: afterwards, not to be measured. A power cap would be measured, too: "
    "there\n"
    "is none here.\n\n"
    "exit status: 0 success; 1 a run failed; 2 wrong usage; 3 a model or an input could\n"
    "not be loaded; 4 the runtime could not start, results could not be kept, or of "
    "some\n"
    "device it is still not known what it draws, with --objective energy.\n";

typedef struct profile_command {
    cli_session session;
    cli_input_options input_options;
    cli_list positional;
    double seconds;
    uint32_t repetitions;
    int json, not_saved;
    int for_energy; /* what is measured is wanted for that */
} profile_command;

/* A model that was measured. */
typedef struct profiled {
    hsched_runtime *runtime;
    hsched_model *model;
    uint32_t max_batch;
    hsched_profile_report report;
} profiled;

static int step_info(const profiled *p, uint32_t index, hsched_step_info *step)
{
    *step = (hsched_step_info){ HSCHED_STEP_INFO_INIT };
    step->output.struct_size = sizeof step->output;
    hsched_status status = hsched_model_step_info(p->model, index, step);
    return status == HSCHED_OK
               ? CLI_OK
               : cli_failed(CLI_WRONG, status, hsched_model_name(p->model));
}

static int device_info(const profiled *p, uint32_t device, hsched_device_info *info)
{
    *info = (hsched_device_info){ HSCHED_DEVICE_INFO_INIT };
    hsched_status status = hsched_runtime_device_info(p->runtime, device, info);
    return status == HSCHED_OK ? CLI_OK : cli_failed(CLI_WRONG, status, "device");
}

static int section_count(const profiled *p, uint32_t *count)
{
    hsched_model_stats stats = { HSCHED_MODEL_STATS_INIT };
    hsched_status status = hsched_model_get_stats(p->model, &stats);
    *count = stats.sections;
    return status == HSCHED_OK
               ? CLI_OK
               : cli_failed(CLI_WRONG, status, hsched_model_name(p->model));
}

/* The most workers, or jobs, that a device was measured with. */
static uint32_t most_workers(const hsched_device_info *info)
{
    return info->kind == HSCHED_DEVICE_CPU ? info->workers : 1;
}

static uint32_t most_jobs(const hsched_device_info *info)
{
    return info->kind == HSCHED_DEVICE_GPU && info->workers > 8 ? 8 : info->workers;
}

/* ---- For people ----------------------------------------------------------- */

static void print_cost(cli_table *table, const hsched_cost *cost)
{
    cli_table_cell(table, "%.1f", cost->us);
    cli_table_cell(table, "%.1f", cost->spread_us);
}

/* Rows of a device: its steps, or if these have no times its sections. */
static int print_device_rows(const profiled *p, cli_table *table, uint32_t device,
                             const hsched_device_info *info)
{
    hsched_cost_query query = { HSCHED_COST_QUERY_INIT, .unit = HSCHED_COST_STEP,
                                .device = device };
    uint32_t rows = 0, sections;
    hsched_step_info step;
    hsched_cost cost, shared;
    int status = section_count(p, &sections);
    for (; query.index < hsched_model_step_count(p->model) && status == CLI_OK;
         query.index++) {
        query.workers = 1;
        const int found = cli_cost_measured(p->model, &query, &cost);
        status = found < 0 ? CLI_WRONG : step_info(p, query.index, &step);
        if (found != 1 || status != CLI_OK)
            continue;
        query.workers = most_workers(info);
        const int is_shared = cli_cost_measured(p->model, &query, &shared);
        cli_table_cell(table, "%u", query.index);
        cli_table_cell(table, "%s", step.name);
        cli_table_cell(table, "%s", step.kind);
        cli_table_cell(table, "%s", info->name);
        print_cost(table, &cost);
        cli_table_cell(table, is_shared == 1 ? "%.1f" : "-", shared.us);
        rows++;
    }
    query.workers = 1;
    query.unit = HSCHED_COST_SECTION;
    for (query.index = 0; query.index < sections && rows == 0 && status == CLI_OK;
         query.index++) {
        const int found = cli_cost_measured(p->model, &query, &cost);
        status = found < 0 ? CLI_WRONG : CLI_OK;
        if (found != 1)
            continue;
        cli_table_cell(table, "%u", query.index);
        cli_table_cell(table, "section %u", query.index);
        cli_table_cell(table, "section");
        cli_table_cell(table, "%s", info->name);
        print_cost(table, &cost);
        cli_table_cell(table, "-");
    }
    return status;
}

static int print_whole(const profiled *p, const hsched_device_info *info,
                       const hsched_cost_query *query)
{
    cli_cost_whole w;
    const int found = cli_cost_of_whole(p->model, query, &w);
    if (found != 1)
        return found < 0 ? CLI_WRONG : CLI_OK;
    printf("%s", info->name);
    if (info->kind == HSCHED_DEVICE_CPU)
        printf(", %u worker%s", query->workers, query->workers > 1 ? "s" : "");
    if (query->batch > 1)
        printf(", %u runs joined", query->batch);
    printf(": whole run %.1f us (spread %.1f)", w.run.us, w.run.spread_us);
    if (w.has_sum)
        printf("; sum of %s %.1f us, %+.1f%%", w.of_sections ? "sections" : "steps",
               w.sum_us, 100 * w.difference);
    printf("\n");
    return CLI_OK;
}

/* Any entry shows the stretch of its device: that of section 0 is there if any is. */
static int stretch_of(const profiled *p, uint32_t device, uint32_t jobs,
                      hsched_cost *cost)
{
    uint32_t sections;
    hsched_cost_query query = { HSCHED_COST_QUERY_INIT, .unit = HSCHED_COST_SECTION,
                                .device = device, .jobs = jobs };
    int found = 0;
    if (section_count(p, &sections) != CLI_OK)
        return -1;
    for (; query.index < sections && found == 0; query.index++)
        found = cli_cost_measured(p->model, &query, cost);
    return found;
}

static int print_device_wholes(const profiled *p, uint32_t device,
                               const hsched_device_info *info)
{
    hsched_cost_query query = { HSCHED_COST_QUERY_INIT, .device = device, .workers = 1,
                                .batch = 1 };
    int status = CLI_OK;
    for (; query.workers && status == CLI_OK;
         query.workers = cli_cost_next(query.workers, most_workers(info)))
        status = print_whole(p, info, &query);
    query.workers = 1;
    if (info->kind == HSCHED_DEVICE_GPU)
        for (query.batch = cli_cost_next(1, p->max_batch);
             query.batch && status == CLI_OK;
             query.batch = cli_cost_next(query.batch, p->max_batch))
            status = print_whole(p, info, &query);
    for (uint32_t jobs = cli_cost_next(1, most_jobs(info)); jobs && status == CLI_OK;
         jobs = cli_cost_next(jobs, most_jobs(info))) {
        hsched_cost cost;
        const int found = stretch_of(p, device, jobs, &cost);
        status = found < 0 ? CLI_WRONG : CLI_OK;
        if (found == 1)
            printf("%s: with %u jobs at once each takes %.2f times as long\n", info->name,
                   jobs, cost.stretch);
    }
    return status;
}

/* What is known of it, by this profile or another. */
static void print_watts(const profiled *p)
{
    for (uint32_t d = 0; d < hsched_runtime_device_count(p->runtime); d++) {
        hsched_device_info info;
        double watts, idle_watts;
        if (hsched_runtime_get_watts(p->runtime, d, &watts, &idle_watts) == HSCHED_OK &&
            device_info(p, d, &info) == CLI_OK)
            printf("%s draws %.2f W, %.2f W when it idles\n", info.name, watts,
                   idle_watts);
    }
}

static int print_all(const profiled *p)
{
    static const char *const columns[] = { ">#",  "STEP",    "KIND",    "DEVICE",
                                           ">US", ">SPREAD", ">SHARED", NULL };
    hsched_device_info info;
    cli_table *table = cli_table_create(columns);
    int status = CLI_OK;
    for (uint32_t d = 0; d < hsched_runtime_device_count(p->runtime) && status == CLI_OK;
         d++) {
        status = device_info(p, d, &info);
        if (status == CLI_OK)
            status = print_device_rows(p, table, d, &info);
    }
    printf("%s: %u entries measured in %.1f s%s\n", hsched_model_name(p->model),
           p->report.measured, p->report.seconds,
           p->report.skipped ? ", some left out; give more --seconds" : "");
    print_watts(p);
    int ok = cli_table_print(table, 2);
    cli_table_destroy(table);
    if (!ok && status == CLI_OK)
        return cli_no_memory();
    for (uint32_t d = 0; d < hsched_runtime_device_count(p->runtime) && status == CLI_OK;
         d++) {
        status = device_info(p, d, &info);
        if (status == CLI_OK)
            status = print_device_wholes(p, d, &info);
    }
    return status;
}

/* ---- For programs --------------------------------------------------------- */

/* Steps (or sections) of a device with one number of workers. */
static int append_units(const profiled *p, const hsched_device_info *info,
                        hsched_cost_query query, uint32_t count, json_t **list)
{
    for (query.index = 0; query.index < count; query.index++) {
        hsched_cost cost;
        hsched_step_info step;
        const int found = cli_cost_measured(p->model, &query, &cost);
        if (found < 0)
            return CLI_WRONG;
        if (found == 0)
            continue;
        json_t *item =
            json_pack("{s:i, s:s, s:i, s:o, s:o, s:i}", "index", (int)query.index,
                      "device", info->name, "workers", (int)query.workers, "median_us",
                      cli_json_real(cost.us), "spread_us", cli_json_real(cost.spread_us),
                      "samples", (int)cost.samples);
        if (query.unit == HSCHED_COST_STEP) {
            if (step_info(p, query.index, &step) != CLI_OK) {
                json_decref(item);
                return CLI_WRONG;
            }
            json_object_set_new(item, "name", cli_json_text(step.name));
            json_object_set_new(item, "kind", json_string(step.kind));
            json_object_set_new(item, "section", json_integer(step.section));
        }
        cli_json_append(list, item);
    }
    return CLI_OK;
}

static int append_whole(const profiled *p, const hsched_device_info *info,
                        const hsched_cost_query *query, json_t **list)
{
    cli_cost_whole w;
    const int found = cli_cost_of_whole(p->model, query, &w);
    if (found != 1)
        return found < 0 ? CLI_WRONG : CLI_OK;
    json_t *item =
        json_pack("{s:s, s:i, s:i, s:o, s:o, s:i}", "device", info->name, "workers",
                  (int)query->workers, "batch", (int)query->batch, "median_us",
                  cli_json_real(w.run.us), "spread_us", cli_json_real(w.run.spread_us),
                  "samples", (int)w.run.samples);
    if (w.has_sum) {
        json_object_set_new(item, "sum_of",
                            json_string(w.of_sections ? "sections" : "steps"));
        json_object_set_new(item, "sum_us", cli_json_real(w.sum_us));
        json_object_set_new(item, "difference", cli_json_real(w.difference));
    }
    cli_json_append(list, item);
    return CLI_OK;
}

typedef struct lists {
    json_t *steps, *sections, *runs, *stretch;
} lists;

static int append_device(const profiled *p, uint32_t device, lists *l)
{
    uint32_t sections;
    hsched_device_info info;
    hsched_cost_query query = { HSCHED_COST_QUERY_INIT, .device = device, .workers = 1,
                                .batch = 1 };
    int status = device_info(p, device, &info);
    if (status == CLI_OK)
        status = section_count(p, &sections);
    for (; query.workers && status == CLI_OK;
         query.workers = cli_cost_next(query.workers, most_workers(&info))) {
        query.unit = HSCHED_COST_STEP;
        status =
            append_units(p, &info, query, hsched_model_step_count(p->model), &l->steps);
        query.unit = HSCHED_COST_SECTION;
        if (status == CLI_OK)
            status = append_units(p, &info, query, sections, &l->sections);
        if (status == CLI_OK)
            status = append_whole(p, &info, &query, &l->runs);
    }
    query.workers = 1;
    for (query.batch = cli_cost_next(1, p->max_batch);
         info.kind == HSCHED_DEVICE_GPU && query.batch && status == CLI_OK;
         query.batch = cli_cost_next(query.batch, p->max_batch))
        status = append_whole(p, &info, &query, &l->runs);
    for (uint32_t jobs = cli_cost_next(1, most_jobs(&info)); jobs && status == CLI_OK;
         jobs = cli_cost_next(jobs, most_jobs(&info))) {
        hsched_cost cost;
        const int found = stretch_of(p, device, jobs, &cost);
        status = found < 0 ? CLI_WRONG : CLI_OK;
        if (found == 1)
            cli_json_append(&l->stretch,
                            json_pack("{s:s, s:i, s:o}", "device", info.name, "jobs",
                                      (int)jobs, "factor", cli_json_real(cost.stretch)));
    }
    return status;
}

static int append_model(const profiled *p, json_t **models)
{
    lists l = { json_array(), json_array(), json_array(), json_array() };
    int status = CLI_OK;
    for (uint32_t d = 0; d < hsched_runtime_device_count(p->runtime) && status == CLI_OK;
         d++)
        status = append_device(p, d, &l);
    cli_json_append(models,
                    json_pack("{s:o, s:i, s:i, s:i, s:f, s:o, s:o, s:o, s:o}", "name",
                              cli_json_text(hsched_model_name(p->model)), "measured",
                              (int)p->report.measured, "skipped", (int)p->report.skipped,
                              "metered", (int)p->report.metered, "seconds",
                              p->report.seconds, "steps", l.steps, "sections", l.sections,
                              "runs", l.runs, "stretch", l.stretch));
    return status;
}

/* ---- Command -------------------------------------------------------------- */

static int profile_one(profile_command *c, const char *name, json_t **models)
{
    profiled p = { .runtime = c->session.runtime,
                   .max_batch = c->session.max_batch ? c->session.max_batch : 16,
                   .report = { HSCHED_PROFILE_REPORT_INIT } };
    cli_inputs inputs = { 0 };
    int status = cli_session_model(&c->session, name, &p.model);
    if (status == CLI_OK)
        status = cli_inputs_make(p.model, &c->input_options, c->session.seed, &inputs);
    if (status == CLI_OK) {
        hsched_profile_config config = {
            HSCHED_PROFILE_CONFIG_INIT,
            .seconds = c->seconds,
            .repetitions = c->repetitions,
            .inputs = inputs.bindings,
            .input_count = inputs.count,
            .flags = c->not_saved ? HSCHED_PROFILE_NOT_SAVED : 0,
        };
        hsched_status done = hsched_model_profile(p.model, &config, &p.report);
        if (done != HSCHED_OK)
            status =
                cli_failed(done == HSCHED_ERROR_IO ? CLI_SYSTEM : CLI_WRONG, done, name);
    }
    if (status == CLI_OK)
        status = c->json ? append_model(&p, models) : print_all(&p);
    cli_inputs_free(&inputs);
    hsched_model_release(p.model);
    return status;
}

/* What the runtime has to know to have the objective is what is to be measured: it starts without.
 * Measurements are the same whatever it is. */
static int check_objective(profile_command *c)
{
    cli_objective *objective = &c->session.objective;
    if (objective->value == HSCHED_OBJECTIVE_POWER_CAP) {
        cli_error("profile measures how long things take, and waiting for a power cap is "
                  "no part of that; leave out --power-cap here (--policy cost has models "
                  "cut in the same way)");
        return CLI_USAGE;
    }
    c->for_energy = objective->value == HSCHED_OBJECTIVE_ENERGY;
    if (c->for_energy)
        objective->value = HSCHED_OBJECTIVE_DEFAULT;
    return CLI_OK;
}

static int check_watts(const profile_command *c)
{
    const uint32_t count = hsched_runtime_device_count(c->session.runtime);
    int status = CLI_OK;
    for (uint32_t d = 0; d < count && c->for_energy; d++) {
        hsched_device_info info = { HSCHED_DEVICE_INFO_INIT };
        hsched_status found = hsched_runtime_get_watts(c->session.runtime, d, NULL, NULL);
        if (found == HSCHED_ERROR_NOT_FOUND &&
            hsched_runtime_device_info(c->session.runtime, d, &info) == HSCHED_OK) {
            cli_error("what '%s' draws could not be measured, and --objective energy has "
                      "to know it: there is no meter (see hsched info), or the model is "
                      "not all there; give it as --device-watts %s=W:IDLE",
                      info.name, info.name);
            status = CLI_SYSTEM;
        } else if (found != HSCHED_OK) {
            status = cli_failed(CLI_SYSTEM, found, "what devices draw");
        }
    }
    return status;
}

static int execute(profile_command *c)
{
    json_t *models = NULL;
    if (c->positional.count == 0) {
        cli_error("profile takes at least one MODEL; see hsched profile --help");
        return CLI_USAGE;
    }
    int status = cli_session_check(&c->session);
    if (status == CLI_OK)
        status = check_objective(c);
    if (status == CLI_OK)
        status = cli_session_start(&c->session);
    if (c->json)
        models = json_array();
    for (uint32_t i = 0; i < c->positional.count && status == CLI_OK; i++) {
        if (i > 0 && !c->json)
            printf("\n");
        status = profile_one(c, c->positional.values[i], &models);
    }
    if (status == CLI_OK)
        status = cli_session_symbols_used(&c->session);
    if (status == CLI_OK)
        status = cli_inputs_check_used(&c->input_options);
    if (c->json && status == CLI_OK)
        status = cli_json_print(json_pack("{s:o}", "models", models));
    else
        json_decref(models);
    return status == CLI_OK ? check_watts(c) : status;
}

static int run(int argc, char **argv)
{
    profile_command c = { .session = { CLI_SESSION_INIT },
                          .input_options = { .image = { CLI_IMAGE_OPTIONS_INIT } } };
    const cli_option own[] = {
        { "seconds", "S", "spend at most so long on each model (10)", cli_parse_positive,
          &c.seconds },
        { "repetitions", "N", "of each measurement, if time allows (31)", cli_parse_count,
          &c.repetitions },
        { "no-save", NULL, "do not keep these times", cli_parse_flag, &c.not_saved },
        { "json", NULL, "print the results as JSON", cli_parse_flag, &c.json },
        { 0 },
    };
    cli_option session[CLI_SESSION_OPTIONS], inputs[CLI_INPUT_OPTIONS];
    cli_session_options(&c.session, session);
    cli_input_options_table(&c.input_options, inputs);
    const cli_option *const tables[] = { own, inputs, session, NULL };
    int status;
    if (cli_parse_options(&cli_profile_command, tables, help_text, argc, argv,
                          &c.positional, &status))
        status = execute(&c);
    cli_input_options_free(&c.input_options);
    cli_session_end(&c.session);
    cli_list_free(&c.positional);
    return status;
}

const cli_command cli_profile_command = {
    "profile", "MODEL...", "Measure how long steps take, and keep it for planning", run
};
