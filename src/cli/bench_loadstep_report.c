/* What hsched bench loadstep has found out: as a table, JSON and charts. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/bench_loadstep.h"
#include "cli/bench_report.h"
#include "cli/outputs.h"

/* ---- Over the steps ------------------------------------------------------- */

typedef enum quantity {
    NOTICED,
    PLACED,
    MOVED,
    BACK,
    PLACED_BACK,
    QUANTITIES
} quantity;

static const struct {
    const char *name, *json;
} quantities[QUANTITIES] = {
    [NOTICED] = { "load noticed", "noticed_ms" },
    [PLACED] = { "first run after that", "placed_ms" },
    [MOVED] = { "first run elsewhere", "moved_ms" },
    [BACK] = { "end noticed", "back_ms" },
    [PLACED_BACK] = { "first run after that", "placed_back_ms" },
};

static double quantity_of(const cli_step_findings *f, quantity q)
{
    return q == NOTICED  ? f->noticed_ms
           : q == PLACED ? f->placed_ms
           : q == MOVED  ? f->moved_ms
           : q == BACK   ? f->back_ms
                         : f->placed_back_ms;
}

typedef struct summary {
    double median, most;
    cli_interval interval;
    uint32_t count; /* steps in which it happened: of these */
} summary;

/* `values`: room for one of each step. */
static summary summarise(const cli_loadstep *l, const cli_step_findings *findings,
                         quantity q, double *values)
{
    summary s = { .most = NAN };
    for (uint32_t i = 0; i < l->step_count; i++)
        if (!isnan(quantity_of(&findings[i], q)))
            values[s.count++] = quantity_of(&findings[i], q);
    s.interval = cli_median_interval(values, s.count);
    s.median = cli_median(values, s.count);
    if (s.count > 0)
        s.most = values[s.count - 1];
    return s;
}

/* How many times as long runs took beside the program; the steps are pairs. */
static double slower(const cli_loadstep *l, const cli_step_findings *findings,
                     double *values, cli_interval *interval)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < l->step_count; i++)
        if (findings[i].runs_before > 0 && findings[i].runs_during > 0)
            values[count++] = findings[i].during_ms / findings[i].before_ms;
    *interval = cli_median_interval(values, count);
    return cli_median(values, count);
}

/* ---- Tables --------------------------------------------------------------- */

static void interval_cell(cli_table *table, cli_interval interval)
{
    if (interval.level > 0)
        cli_table_cell(table, "%.1f to %.1f (%.0f%%)", interval.low, interval.high,
                       100 * interval.level);
    else
        cli_table_cell(table, "-");
}

/* "cpu 20 -> 70%": of the runs, those that the device took part in. */
static void use_cell(cli_table *table, const cli_loadstep *l, const cli_step_findings *f)
{
    char text[512] = "";
    size_t used = 0;
    for (uint32_t d = 0; d < l->device_count && used < sizeof text; d++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s %.0f -> %.0f%%",
                                 d ? ", " : "", l->devices[d], 100 * f->use_before[d],
                                 100 * f->use_during[d]);
    cli_table_cell(table, "%s", text);
}

static int print_steps(const cli_loadstep *l, const cli_step_findings *findings)
{
    static const char *const columns[] = { ">STEP",      "DEVICE",      ">NOTICED ms",
                                           ">RUN ms",    ">MOVED ms",   ">LOAD",
                                           ">UP before", ">UP",         ">BACK ms",
                                           ">RUN ms",    ">P50 before", ">during",
                                           ">after",     "RUNS ON",     NULL };
    cli_table *table = cli_table_create(columns);
    for (uint32_t i = 0; i < l->step_count; i++) {
        const cli_step_findings *f = &findings[i];
        cli_table_cell(table, "%u", i + 1);
        cli_table_cell(table, "%s",
                       f->device >= 0 ? l->devices[f->device]
                       : f->was_up    ? "was up"
                                      : "-");
        cli_number_cell(table, "%.1f", f->noticed_ms);
        cli_number_cell(table, "%.1f", f->placed_ms);
        cli_number_cell(table, "%.1f", f->moved_ms);
        cli_number_cell(table, "%.2f", f->device < 0 ? NAN : f->highest);
        cli_number_cell(table, "%.0f%%", f->device < 0 ? NAN : 100 * f->known_before);
        cli_number_cell(table, "%.0f%%", f->device < 0 ? NAN : 100 * f->known);
        cli_number_cell(table, "%.1f", f->back_ms);
        cli_number_cell(table, "%.1f", f->placed_back_ms);
        cli_number_cell(table, "%.2f", f->before_ms);
        cli_number_cell(table, "%.2f", f->during_ms);
        cli_number_cell(table, "%.2f", f->after_ms);
        use_cell(table, l, f);
    }
    const int ok = cli_table_print(table, 0);
    cli_table_destroy(table);
    return ok ? CLI_OK : cli_no_memory();
}

static int print_summary(const cli_loadstep *l, const cli_step_findings *findings,
                         double *values)
{
    static const char *const columns[] = { "AFTER",      "UNTIL",     ">STEPS",
                                           ">MEDIAN ms", ">INTERVAL", ">MOST ms",
                                           NULL };
    cli_table *table = cli_table_create(columns);
    for (int q = 0; q < QUANTITIES; q++) {
        const summary s = summarise(l, findings, (quantity)q, values);
        cli_table_cell(table, "%s", q < BACK ? "it has come" : "it has gone");
        cli_table_cell(table, "%s", quantities[q].name);
        cli_table_cell(table, "%u of %u", s.count, l->step_count);
        cli_number_cell(table, "%.1f", s.median);
        interval_cell(table, s.interval);
        cli_number_cell(table, "%.1f", s.most);
    }
    putchar('\n');
    const int ok = cli_table_print(table, 0);
    cli_table_destroy(table);
    return ok ? CLI_OK : cli_no_memory();
}

int cli_loadstep_print(const cli_loadstep *l, const cli_step_findings *findings)
{
    double *values = calloc(l->step_count + 1, sizeof *values);
    cli_interval interval;
    if (!values)
        return cli_no_memory();
    printf("policy %s; beside the networks: %s\n\n", l->policy, l->background);
    int status = print_steps(l, findings);
    if (status == CLI_OK)
        status = print_summary(l, findings, values);
    const double factor = slower(l, findings, values, &interval);
    if (status == CLI_OK && interval.level > 0)
        printf("\nruns took %.2f times as long beside it (%.0f%%: %.2f to %.2f); %llu "
               "were placed anew while they waited\n",
               factor, 100 * interval.level, interval.low, interval.high,
               (unsigned long long)l->replaced);
    free(values);
    return status;
}

/* ---- JSON ----------------------------------------------------------------- */

static json_t *shares_json(const cli_loadstep *l, const double *shares)
{
    json_t *array = json_array();
    for (uint32_t d = 0; d < l->device_count; d++)
        cli_json_append(&array, cli_json_real(shares[d]));
    return array;
}

static json_t *step_json(const cli_loadstep *l, const cli_step *step,
                         const cli_step_findings *f)
{
    json_t *root = json_pack(
        "{s:i, s:b, s:o, s:f, s:f, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "device",
        f->device, "was_up", f->was_up, "highest_load",
        cli_json_real(f->device < 0 ? NAN : f->highest), "up_before", f->known_before,
        "up", f->known, "runs_before", (json_int_t)f->runs_before, "runs_during",
        (json_int_t)f->runs_during, "runs_after", (json_int_t)f->runs_after,
        "p50_before_ms", cli_json_real(f->before_ms), "p50_during_ms",
        cli_json_real(f->during_ms), "p50_after_ms", cli_json_real(f->after_ms),
        "use_before", shares_json(l, f->use_before), "use_during",
        shares_json(l, f->use_during));
    json_t *times = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I}", "quiet_us", (json_int_t)step->quiet_us,
        "began_us", (json_int_t)step->began_us, "ready_us", (json_int_t)step->ready_us,
        "asked_us", (json_int_t)step->asked_us, "gone_us", (json_int_t)step->gone_us,
        "over_us", (json_int_t)step->over_us);
    int failed = json_object_set_new(root, "times", times);
    for (int q = 0; q < QUANTITIES; q++)
        failed |= json_object_set_new(root, quantities[q].json,
                                      cli_json_real(quantity_of(f, (quantity)q)));
    if (!failed)
        return root;
    json_decref(root);
    return NULL;
}

static json_t *summaries_json(const cli_loadstep *l, const cli_step_findings *findings,
                              double *values)
{
    json_t *root = json_object();
    int failed = 0;
    for (int q = 0; q < QUANTITIES; q++) {
        const summary s = summarise(l, findings, (quantity)q, values);
        failed |= json_object_set_new(
            root, quantities[q].json,
            json_pack("{s:i, s:o, s:o, s:o}", "steps", (int)s.count, "median",
                      cli_json_real(s.median), "interval", cli_interval_json(s.interval),
                      "most", cli_json_real(s.most)));
    }
    cli_interval interval;
    const double factor = slower(l, findings, values, &interval);
    failed |= json_object_set_new(root, "slower",
                                  json_pack("{s:o, s:o}", "median", cli_json_real(factor),
                                            "interval", cli_interval_json(interval)));
    if (!failed)
        return root;
    json_decref(root);
    return NULL;
}

json_t *cli_loadstep_json(const cli_loadstep *l, const cli_step_findings *findings,
                          const cli_trace *trace)
{
    json_t *steps = json_array(), *devices = json_array(), *models = json_array(),
           *runs = json_array(), *loads = json_array();
    double *values = calloc(l->step_count + 1, sizeof *values);
    for (uint32_t d = 0; d < l->device_count; d++)
        cli_json_append(&devices, json_string(l->devices[d]));
    for (uint32_t i = 0; i < l->lane_count; i++)
        cli_json_append(&models,
                        json_pack("{s:o, s:i}", "model", cli_json_text(l->lanes[i].model),
                                  "instances", (int)l->lanes[i].instances));
    for (uint32_t i = 0; i < l->step_count; i++)
        cli_json_append(&steps, step_json(l, &l->steps[i], &findings[i]));
    for (size_t i = 0; i < l->run_count; i += cli_loadstep_stride(l)) {
        const cli_step_run *r = &l->runs[i];
        cli_json_append(&runs,
                        json_pack("[I, I, I, i, i]", (json_int_t)r->submitted_us,
                                  (json_int_t)r->started_us, (json_int_t)r->ended_us,
                                  (int)r->devices, (int)r->lane));
    }
    for (size_t i = 0; i < l->sample_count; i++) {
        const cli_step_sample *s = &l->samples[i];
        cli_json_append(&loads, json_pack("[I, i, f]", (json_int_t)s->time_us,
                                          (int)s->device, s->load));
    }
    json_t *root =
        json_pack("{s:s, s:s, s:s, s:o, s:f, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, "
                  "s:o, s:o, s:o*}",
                  "bench", "loadstep", "version", hsched_version(), "policy", l->policy,
                  "background", cli_json_text(l->background), "seconds", l->seconds,
                  "devices", devices, "models", models, "steps", steps, "summary",
                  values ? summaries_json(l, findings, values) : NULL, "runs",
                  (json_int_t)l->run_count, "failed", (json_int_t)l->failed, "replaced",
                  (json_int_t)l->replaced, "every", (json_int_t)cli_loadstep_stride(l),
                  "submitted_started_ended_devices_model", runs, "loads", loads, "trace",
                  cli_trace_json(trace));
    free(values);
    return root;
}
