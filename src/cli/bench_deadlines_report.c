/* What hsched bench deadlines has found out: as tables, JSON and charts. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/bench_deadlines.h"
#include "cli/bench_report.h"
#include "cli/outputs.h"

/* ---- Numbers -------------------------------------------------------------- */

static double usual_share(const cli_deadlines *d, const cli_deadlines_cell *cell,
                          cli_interval *interval)
{
    double *shares = calloc(d->rounds, sizeof *shares);
    size_t count = 0;
    for (uint32_t r = 0; shares && r < d->rounds; r++)
        if (cell->released[r] > 0)
            shares[count++] = cell->missed[r] / cell->released[r];
    *interval = cli_median_interval(shares, count);
    const double median = cli_median(shares, count);
    free(shares);
    return median;
}

cli_deadlines_share cli_deadlines_missed(const cli_deadlines *d,
                                         const cli_deadlines_cell *cell)
{
    cli_deadlines_share s = { 0 };
    for (uint32_t i = 0; i < d->set.count; i++) {
        s.missed += cli_periodic_missed(&cell->tallies[i]);
        s.released += cell->tallies[i].releases;
    }
    s.share = s.released ? (double)s.missed / (double)s.released : NAN;
    s.interval = cli_share_interval(cell->missed, cell->released, d->rounds);
    s.usual = usual_share(d, cell, &s.usual_interval);
    return s;
}

/* Of the misses with deadlines to those of another order, in the same rounds; NaN: neither has any,
 * or one of the two was not run. */
static double compare(const cli_deadlines *d, uint32_t load, uint32_t order,
                      cli_interval *interval)
{
    *interval = (cli_interval){ NAN, NAN, 0 };
    for (uint32_t o = 0; o < d->order_count; o++) {
        if (d->orders[o] != CLI_ORDER_DEADLINES || o == order)
            continue;
        const cli_deadlines_cell *ours = &d->cells[load][o],
                                 *other = &d->cells[load][order];
        const uint64_t missed = cli_deadlines_missed(d, other).missed;
        if (missed == 0)
            return NAN;
        *interval = cli_share_interval(ours->missed, other->missed, d->rounds);
        return (double)cli_deadlines_missed(d, ours).missed / (double)missed;
    }
    return NAN;
}

/* Of the rounds' medians, without rounds in which nothing ended. */
static cli_interval median_interval(const cli_deadlines *d, const double *medians)
{
    double *kept = calloc(d->rounds, sizeof *kept);
    size_t count = 0;
    for (uint32_t r = 0; kept && r < d->rounds; r++)
        if (!isnan(medians[r]))
            kept[count++] = medians[r];
    const cli_interval interval = cli_median_interval(kept, count);
    free(kept);
    return interval;
}

static double percentile_ms(const cli_periodic_tally *t, double part)
{
    return cli_percentile(t->responses_us, t->count, part) / 1e3;
}

/* In percent of the deadline, which differs from round to round as rates do. */
static double p99_share(const cli_periodic_tally *t)
{
    return 100 * cli_percentile(t->shares, t->count, 0.99);
}

/* With the median rate. */
static double deadline_us(const cli_deadlines *d, uint32_t load, uint32_t network)
{
    return 1e6 * d->deadline /
           (d->set.networks[network].hz * cli_deadlines_usual_rate(d, load));
}

/* ---- Tables --------------------------------------------------------------- */

/* ">95%", or what so many rounds allow. */
typedef struct interval_head {
    char text[16];
} interval_head;

static interval_head head_of(const cli_deadlines *d)
{
    const double level = cli_interval_level(d->rounds);
    interval_head head = { ">INTERVAL" };
    if (level > 0)
        snprintf(head.text, sizeof head.text, ">%.3g%%", 100 * level);
    return head;
}

/* Some rounds may not count: then it says itself that it is of less than the head says. */
static void interval_cell(cli_table *table, const cli_deadlines *d, double scale,
                          cli_interval interval)
{
    char of[16] = "";
    if (interval.level > 0 && interval.level < cli_interval_level(d->rounds) - 1e-9)
        snprintf(of, sizeof of, " (%.3g%%)", 100 * interval.level);
    if (interval.level > 0)
        cli_table_cell(table, "%.3g to %.3g%s", scale * interval.low,
                       scale * interval.high, of);
    else
        cli_table_cell(table, "-");
}

static int print_summary(const cli_deadlines *d)
{
    const interval_head head = head_of(d);
    const char *const columns[] = { ">LOAD",         "POLICY",    ">RELEASES",
                                    ">MISSED",       ">MISSED %", head.text,
                                    ">OF A ROUND %", head.text,   ">deadlines / POLICY",
                                    head.text,       NULL };
    cli_table *table = cli_table_create(columns);
    for (uint32_t l = 0; l < d->load_count; l++)
        for (uint32_t o = 0; o < d->order_count; o++) {
            const cli_deadlines_share s = cli_deadlines_missed(d, &d->cells[l][o]);
            cli_interval interval;
            const double ratio = compare(d, l, o, &interval);
            cli_table_cell(table, "%.0f%%", 100 * d->loads[l]);
            cli_table_cell(table, "%s", cli_order_name(d->orders[o]));
            cli_table_cell(table, "%llu", (unsigned long long)s.released);
            cli_table_cell(table, "%llu", (unsigned long long)s.missed);
            cli_number_cell(table, "%.2f", 100 * s.share);
            interval_cell(table, d, 100, s.interval);
            cli_number_cell(table, "%.2f", 100 * s.usual);
            interval_cell(table, d, 100, s.usual_interval);
            cli_number_cell(table, "%.3f", ratio);
            interval_cell(table, d, 1, interval);
        }
    const int ok = cli_table_print(table, 0);
    cli_table_destroy(table);
    return ok ? CLI_OK : cli_no_memory();
}

static int print_networks(const cli_deadlines *d)
{
    const interval_head head = head_of(d);
    const char *const columns[] = {
        ">LOAD",    "POLICY",  "NETWORK", ">HZ",     ">DEADLINE ms", ">RELEASES", ">LATE",
        ">SKIPPED", ">P50 ms", head.text, ">P99 ms", ">P99 %",       NULL
    };
    cli_table *table = cli_table_create(columns);
    for (uint32_t l = 0; l < d->load_count; l++)
        for (uint32_t o = 0; o < d->order_count; o++)
            for (uint32_t i = 0; i < d->set.count; i++) {
                const cli_periodic_tally *t = &d->cells[l][o].tallies[i];
                cli_table_cell(table, "%.0f%%", 100 * d->loads[l]);
                cli_table_cell(table, "%s", cli_order_name(d->orders[o]));
                cli_table_cell(table, "%s",
                               hsched_model_name(d->set.networks[i].compiled));
                cli_table_cell(table, "%.1f",
                               d->set.networks[i].hz * cli_deadlines_usual_rate(d, l));
                cli_table_cell(table, "%.1f", deadline_us(d, l, i) / 1e3);
                cli_table_cell(table, "%llu", (unsigned long long)t->releases);
                cli_table_cell(table, "%llu", (unsigned long long)t->late);
                cli_table_cell(table, "%llu", (unsigned long long)t->skipped);
                cli_number_cell(table, "%.2f", percentile_ms(t, 0.5));
                interval_cell(table, d, 1e-3,
                              median_interval(d, d->cells[l][o].medians_us[i]));
                cli_number_cell(table, "%.2f", percentile_ms(t, 0.99));
                cli_number_cell(table, "%.0f", p99_share(t));
            }
    putchar('\n');
    const int ok = cli_table_print(table, 0);
    cli_table_destroy(table);
    return ok ? CLI_OK : cli_no_memory();
}

int cli_deadlines_print(const cli_deadlines *d)
{
    cli_interval interval;
    const double share = cli_deadlines_measured(d, &interval),
                 level = cli_interval_level(d->rounds);
    printf("the set takes %.3f of the machine at the rates given", share);
    if (level > 0)
        printf(" (%.3g%%: %.3f to %.3f)", 100 * level, interval.low, interval.high);
    printf("\n%u of each network; %u rounds of %.3g s for each load and policy\n\n",
           d->copies, d->rounds, d->seconds / d->rounds);
    const int status = print_summary(d);
    return status == CLI_OK ? print_networks(d) : status;
}

/* ---- JSON ----------------------------------------------------------------- */

static json_t *measured_json(const cli_deadlines *d)
{
    cli_interval interval;
    const double share = cli_deadlines_measured(d, &interval);
    json_t *rounds = json_array();
    for (uint32_t r = 0; r < d->rounds; r++)
        cli_json_append(&rounds, cli_json_real(d->measured[r]));
    return json_pack("{s:o, s:o, s:o}", "share", cli_json_real(share), "interval",
                     cli_interval_json(interval), "by_round", rounds);
}

static json_t *network_json(const cli_deadlines *d, uint32_t load, uint32_t order,
                            uint32_t network)
{
    const cli_deadlines_cell *cell = &d->cells[load][order];
    const cli_periodic_tally *t = &cell->tallies[network];
    const double rate = d->set.networks[network].hz * cli_deadlines_usual_rate(d, load);
    const int priority = d->orders[order] == CLI_ORDER_PRIORITIES
                             ? cli_order_priority(&d->set, network)
                             : 0;
    return json_pack(
        "{s:o, s:f, s:f, s:i, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "name",
        cli_json_text(hsched_model_name(d->set.networks[network].compiled)), "hz", rate,
        "deadline_us", deadline_us(d, load, network), "priority", priority, "releases",
        (json_int_t)t->releases, "missed", (json_int_t)cli_periodic_missed(t), "late",
        (json_int_t)t->late, "skipped", (json_int_t)t->skipped, "failed",
        (json_int_t)t->failed, "p50_us", cli_json_real(1e3 * percentile_ms(t, 0.5)),
        "p50_interval_us",
        cli_interval_json(median_interval(d, cell->medians_us[network])), "p99_us",
        cli_json_real(1e3 * percentile_ms(t, 0.99)), "p99_share",
        cli_json_real(p99_share(t) / 100), "max_us",
        cli_json_real(1e3 * percentile_ms(t, 1)));
}

static json_t *order_json(const cli_deadlines *d, uint32_t load, uint32_t order)
{
    const cli_deadlines_cell *cell = &d->cells[load][order];
    const cli_deadlines_share s = cli_deadlines_missed(d, cell);
    cli_interval interval;
    const double ratio = compare(d, load, order, &interval);
    json_t *networks = json_array(), *rounds = json_array();
    for (uint32_t i = 0; i < d->set.count; i++)
        cli_json_append(&networks, network_json(d, load, order, i));
    for (uint32_t r = 0; r < d->rounds; r++)
        cli_json_append(&rounds, json_pack("[f, f]", cell->missed[r], cell->released[r]));
    return json_pack(
        "{s:s, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "policy",
        cli_order_name(d->orders[order]), "releases", (json_int_t)s.released, "missed",
        (json_int_t)s.missed, "share", cli_json_real(s.share), "share_interval",
        cli_interval_json(s.interval), "round_median", cli_json_real(s.usual),
        "round_median_interval", cli_interval_json(s.usual_interval), "deadlines_to_this",
        cli_json_real(ratio), "deadlines_to_this_interval", cli_interval_json(interval),
        "networks", networks, "missed_and_released_by_round", rounds);
}

static json_t *load_json(const cli_deadlines *d, uint32_t load)
{
    json_t *orders = json_array();
    for (uint32_t o = 0; o < d->order_count; o++)
        cli_json_append(&orders, order_json(d, load, o));
    return json_pack("{s:f, s:f, s:o}", "load", d->loads[load], "rate",
                     cli_deadlines_usual_rate(d, load), "policies", orders);
}

json_t *cli_deadlines_json(const cli_deadlines *d)
{
    json_t *loads = json_array(), *set = json_array(), *devices = json_array();
    for (uint32_t i = 0; i < d->set.count; i++)
        cli_json_append(&set, json_pack("{s:o, s:f}", "model",
                                        cli_json_text(d->set.networks[i].model), "hz",
                                        d->set.networks[i].hz));
    for (uint32_t l = 0; l < d->load_count; l++)
        cli_json_append(&loads, load_json(d, l));
    for (uint32_t i = 0; i < hsched_runtime_device_count(d->runtime); i++) {
        hsched_device_info info = { HSCHED_DEVICE_INFO_INIT };
        if (hsched_runtime_device_info(d->runtime, i, &info) == HSCHED_OK)
            cli_json_append(&devices,
                            json_pack("{s:s, s:o, s:i}", "name", info.name, "description",
                                      cli_json_text(info.description), "workers",
                                      (int)info.workers));
    }
    return json_pack("{s:s, s:s, s:o, s:o, s:s, s:i, s:i, s:f, s:f, s:o, s:o}", "bench",
                     "deadlines", "version", hsched_version(), "set", set, "devices",
                     devices, "placement", d->policy ? d->policy : "default", "copies",
                     (int)d->copies, "rounds", (int)d->rounds, "seconds", d->seconds,
                     "deadline", d->deadline, "measured", measured_json(d), "loads",
                     loads);
}

/* ---- Charts --------------------------------------------------------------- */

/* Values of bars, by series and group. */
typedef struct bar_values {
    double value[CLI_LOADS_MAX + CLI_SET_MAX], low[CLI_LOADS_MAX + CLI_SET_MAX],
        high[CLI_LOADS_MAX + CLI_SET_MAX];
} bar_values;

static void draw_misses(const cli_deadlines *d, cli_svg *svg, bar_values *values)
{
    char names[CLI_LOADS_MAX][32];
    const char *groups[CLI_LOADS_MAX];
    cli_svg_bar_series series[CLI_ORDERS];
    const double level = cli_interval_level(d->rounds);
    char note[64] = "of all releases";
    if (level > 0)
        snprintf(note, sizeof note, "of all releases; bars: %.3g%%, over the rounds",
                 100 * level);
    for (uint32_t l = 0; l < d->load_count; l++) {
        snprintf(names[l], sizeof names[l], "load %.0f%%", 100 * d->loads[l]);
        groups[l] = names[l];
    }
    for (uint32_t o = 0; o < d->order_count; o++) {
        for (uint32_t l = 0; l < d->load_count; l++) {
            const cli_deadlines_share s = cli_deadlines_missed(d, &d->cells[l][o]);
            values[o].value[l] = 100 * s.share;
            values[o].low[l] = 100 * s.interval.low;
            values[o].high[l] = 100 * s.interval.high;
        }
        series[o] = (cli_svg_bar_series){ cli_order_name(d->orders[o]), values[o].value,
                                          values[o].low, values[o].high };
    }
    cli_svg_add_bars(svg, &(cli_svg_bars){ .title = "Deadlines missed",
                                           .note = note,
                                           .y_label = "missed, %",
                                           .groups = groups,
                                           .group_count = d->load_count,
                                           .series = series,
                                           .series_count = d->order_count });
}

/* The 99th percentile of each network, as a share of its deadline: those differ widely. */
static void draw_responses(const cli_deadlines *d, uint32_t load, cli_svg *svg,
                           bar_values *values)
{
    const char *groups[CLI_SET_MAX];
    double marks[CLI_SET_MAX];
    char title[96];
    cli_svg_bar_series series[CLI_ORDERS];
    for (uint32_t o = 0; o < d->order_count; o++) {
        for (uint32_t i = 0; i < d->set.count; i++)
            values[o].value[i] = p99_share(&d->cells[load][o].tallies[i]);
        series[o] = (cli_svg_bar_series){ cli_order_name(d->orders[o]), values[o].value,
                                          NULL, NULL };
    }
    for (uint32_t i = 0; i < d->set.count; i++) {
        groups[i] = hsched_model_name(d->set.networks[i].compiled);
        marks[i] = 100;
    }
    snprintf(title, sizeof title, "Response times at load %.0f%%", 100 * d->loads[load]);
    cli_svg_add_bars(svg, &(cli_svg_bars){ .title = title,
                                           .note = "99th percentile, from the release to "
                                                   "the end; without what was skipped",
                                           .y_label = "% of the deadline",
                                           .groups = groups,
                                           .group_count = d->set.count,
                                           .series = series,
                                           .series_count = d->order_count,
                                           .marks = marks,
                                           .marks_name = "deadline" });
}

int cli_deadlines_draw(const cli_deadlines *d, cli_svg *svg)
{
    bar_values *values = calloc(CLI_ORDERS, sizeof *values);
    if (!values)
        return cli_no_memory();
    draw_misses(d, svg, values);
    for (uint32_t l = 0; l < d->load_count; l++)
        draw_responses(d, l, svg, values);
    free(values);
    return CLI_OK;
}
