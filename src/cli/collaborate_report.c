#include "cli/collaborate_report.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/outputs.h"
#include "cli/svg.h"
#include "cli/table.h"

/* ---- Cells ----------------------------------------------------------------- */

const cli_series *cli_cell_find(const cli_cell *cell, const char *name)
{
    for (uint32_t i = 0; i < cell->series_count; i++)
        if (strcmp(cell->series[i].name, name) == 0 && cell->series[i].count > 0)
            return &cell->series[i];
    return NULL;
}

const cli_series *cli_cell_best_other(const cli_cell *cell)
{
    const cli_series *best = NULL;
    for (uint32_t i = 0; i < cell->series_count; i++) {
        const cli_series *s = &cell->series[i];
        if (s->ours && s->count > 0 && (!best || s->median_us < best->median_us))
            best = s;
    }
    return best;
}

void cli_cell_finish(cli_cell *cell)
{
    for (uint32_t i = 0; i < cell->series_count; i++) {
        cli_series *s = &cell->series[i];
        if (s->count == 0)
            continue;
        cli_sort(s->samples, s->count);
        s->median_us = cli_median(s->samples, s->count);
        s->interval = cli_median_interval(s->samples, s->count);
    }
    const cli_series *gpu = cli_cell_find(cell, "gpu_only");
    const cli_series *cpu = cli_cell_find(cell, "cpu_only");
    if (gpu && cpu)
        cell->sharing_us =
            gpu->median_us * cpu->median_us / (gpu->median_us + cpu->median_us);
}

void cli_cell_clear(cli_cell *cell)
{
    for (uint32_t i = 0; i < cell->series_count; i++)
        free(cell->series[i].samples);
    cell->series_count = 0;
}

/* ---- For people ------------------------------------------------------------ */

static void ms_cell(cli_table *table, double us)
{
    if (us > 0)
        cli_table_cell(table, "%.3f", us / 1000);
    else
        cli_table_cell(table, "-");
}

static void ratio_cell(cli_table *table, double above, double below)
{
    if (above > 0 && below > 0)
        cli_table_cell(table, "%.2f", above / below);
    else
        cli_table_cell(table, "-");
}

static double median_of(const cli_cell *cell, const char *name)
{
    const cli_series *s = cli_cell_find(cell, name);
    return s ? s->median_us : 0;
}

/* The names of all series, in the order in which they come up. */
static uint32_t names_of(const cli_cell *cells, uint32_t count, const char **names)
{
    uint32_t found = 0;
    for (uint32_t c = 0; c < count; c++)
        for (uint32_t i = 0; i < cells[c].series_count; i++) {
            uint32_t k = 0;
            while (k < found && strcmp(names[k], cells[c].series[i].name) != 0)
                k++;
            if (k == found && found < CLI_SERIES_MAX)
                names[found++] = cells[c].series[i].name;
        }
    return found;
}

/* Each row begins with where it was measured. */
#define WHERE "SET", "BESIDE", "MACHINE"

static void where_cells(cli_table *table, const cli_cell *cell)
{
    cli_table_cell(table, "%s", cell->mix);
    cli_table_cell(table, "%s", cell->background);
    cli_table_cell(table, "%s", cell->machine);
}

/* Of a table that has a column for each of some series; it borrows them. */
typedef struct series_columns {
    const char *names[CLI_SERIES_MAX];
    uint32_t count;
    char titles[CLI_SERIES_MAX][48];
    const char *columns[CLI_SERIES_MAX + 6];
} series_columns;

/* names and count are there already; two other columns come last. */
static cli_table *create_table(series_columns *s, const char *last_but_one,
                               const char *last)
{
    static const char *const where[] = { WHERE };
    uint32_t n = sizeof where / sizeof where[0];
    memcpy(s->columns, where, sizeof where);
    for (uint32_t i = 0; i < s->count; i++) {
        snprintf(s->titles[i], sizeof s->titles[i], ">%s", s->names[i]);
        s->columns[n++] = s->titles[i];
    }
    s->columns[n++] = last_but_one;
    s->columns[n++] = last;
    s->columns[n] = NULL;
    return cli_table_create(s->columns);
}

/* Prints and destroys it. */
static int finish_table(cli_table *table)
{
    const int ok = cli_table_print(table, 0);
    cli_table_destroy(table);
    return ok ? CLI_OK : cli_no_memory();
}

static int print_times(const cli_cell *cells, uint32_t count)
{
    series_columns s;
    s.count = names_of(cells, count, s.names);
    cli_table *table = create_table(&s, ">OPTIMUM", ">SHARING");
    for (uint32_t c = 0; c < count; c++) {
        where_cells(table, &cells[c]);
        for (uint32_t i = 0; i < s.count; i++)
            ms_cell(table, median_of(&cells[c], s.names[i]));
        ms_cell(table, cells[c].best.optimum_us);
        ms_cell(table, cells[c].sharing_us);
    }
    printf(
        "Makespans, medians in ms. OPTIMUM: the best that whole runs, or the best static "
        "placement found,\nallow; SHARING: T_gpu T_cpu / (T_gpu + T_cpu).\n\n");
    return finish_table(table);
}

/* How long `cost` took, by what the others took. */
static int print_ratios(const cli_cell *cells, uint32_t count)
{
    static const char *const columns[] = { WHERE,
                                           ">COST ms",
                                           ">95% FROM",
                                           ">TO",
                                           ">/ OPTIMUM",
                                           ">/ BEST",
                                           "BEST",
                                           ">/ layer by layer",
                                           ">/ peer eager",
                                           ">/ peer streams",
                                           "STATIC PLACEMENT",
                                           NULL };
    cli_table *table = cli_table_create(columns);
    for (uint32_t c = 0; c < count; c++) {
        const cli_cell *cell = &cells[c];
        const cli_series *cost = cli_cell_find(cell, "cost");
        const cli_series *best = cli_cell_best_other(cell);
        const double us = cost ? cost->median_us : 0;
        where_cells(table, cell);
        ms_cell(table, us);
        ms_cell(table, cost ? cost->interval.low : 0);
        ms_cell(table, cost ? cost->interval.high : 0);
        ratio_cell(table, us, cell->best.optimum_us);
        ratio_cell(table, us, best ? best->median_us : 0);
        cli_table_cell(table, "%s", best ? best->name : "-");
        ratio_cell(table, us, median_of(cell, "layer by layer"));
        ratio_cell(table, us, median_of(cell, "peer eager"));
        ratio_cell(table, us, median_of(cell, "peer streams"));
        cli_table_cell(table, "%s%s", cell->placement,
                       cell->best.complete ? "" : " (search cut short)");
    }
    putchar('\n');
    return finish_table(table);
}

/* ---- What was simulated ------------------------------------------------------ */

int cli_series_swapped(const cli_series *a, const cli_series *b)
{
    if (a->count == 0 || b->count == 0 || !(a->simulated_us > 0) ||
        !(b->simulated_us > 0))
        return 0;
    const double more = 1 + CLI_SIMULATED_TIE;
    return (a->interval.high < b->interval.low &&
            a->simulated_us > more * b->simulated_us) ||
           (b->interval.high < a->interval.low &&
            b->simulated_us > more * a->simulated_us);
}

static void loads_cell(cli_table *table, const cli_cell *cell)
{
    char text[128] = "";
    for (uint32_t d = 0; d < cell->device_count; d++) {
        const size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%.2f", d ? " " : "", cell->loads[d]);
    }
    cli_table_cell(table, "%s", text);
}

/* The pairs that are ordered otherwise, the faster one first. */
static void order_cell(cli_table *table, const cli_cell *cell)
{
    char text[512] = "";
    for (uint32_t i = 0; i < cell->series_count; i++)
        for (uint32_t k = i + 1; k < cell->series_count; k++) {
            const cli_series *a = &cell->series[i], *b = &cell->series[k];
            const int first = a->median_us < b->median_us;
            const size_t used = strlen(text);
            if (cli_series_swapped(a, b))
                snprintf(text + used, sizeof text - used, "%s%s < %s", used ? ", " : "",
                         first ? a->name : b->name, first ? b->name : a->name);
        }
    cli_table_cell(table, "%s", text[0] ? text : "same");
}

static void simulated_cell(cli_table *table, const cli_series *s)
{
    if (s && s->simulated_us > 0)
        cli_table_cell(table, "%.3f (%.2f)", s->simulated_us / 1000,
                       s->simulated_us / s->median_us);
    else
        cli_table_cell(table, "-");
}

/* Why something was not. */
static void print_notes(const cli_cell *cells, uint32_t count)
{
    for (uint32_t c = 0; c < count; c++)
        for (uint32_t i = 0; i < cells[c].series_count; i++)
            if (cells[c].series[i].not_simulated[0])
                printf("%s, beside %s, %s, %s could not be simulated: %s\n", cells[c].mix,
                       cells[c].background, cells[c].machine, cells[c].series[i].name,
                       cells[c].series[i].not_simulated);
}

/* Series that were simulated, or ought to be, in some cell. */
static uint32_t simulated_names(const cli_cell *cells, uint32_t count, const char **names)
{
    const char *all[CLI_SERIES_MAX];
    const uint32_t series = names_of(cells, count, all);
    uint32_t found = 0;
    for (uint32_t i = 0; i < series; i++)
        for (uint32_t c = 0; c < count; c++) {
            const cli_series *s = cli_cell_find(&cells[c], all[i]);
            if (!s || !(s->simulated_us > 0 || s->not_simulated[0]))
                continue;
            names[found++] = all[i];
            break;
        }
    return found;
}

static int print_simulated(const cli_cell *cells, uint32_t count)
{
    series_columns s;
    s.count = simulated_names(cells, count, s.names);
    if (s.count == 0)
        return CLI_OK;
    cli_table *table = create_table(&s, "LOADS", "ORDER");
    for (uint32_t c = 0; c < count; c++) {
        where_cells(table, &cells[c]);
        for (uint32_t i = 0; i < s.count; i++)
            simulated_cell(table, cli_cell_find(&cells[c], s.names[i]));
        loads_cell(table, &cells[c]);
        order_cell(table, &cells[c]);
    }
    printf("\nSimulated, ms (and by what was measured), beside the LOADS of the devices "
           "that the runtime sensed.\nORDER: which pairs, apart by more than their "
           "intervals, are the other way round.\n\n");
    const int status = finish_table(table);
    print_notes(cells, count);
    return status;
}

int cli_grid_print(const cli_cell *cells, uint32_t count)
{
    int status = print_times(cells, count);
    if (status == CLI_OK)
        status = print_ratios(cells, count);
    return status == CLI_OK ? print_simulated(cells, count) : status;
}

/* ---- For programs ---------------------------------------------------------- */

static json_t *series_json(const cli_series *s)
{
    json_t *samples = json_array();
    for (uint32_t i = 0; i < s->count; i++)
        cli_json_append(&samples, json_real(s->samples[i]));
    json_t *made =
        json_pack("{s:s, s:f, s:[f, f], s:f, s:o}", "name", s->name, "median_us",
                  s->median_us, "interval_us", s->interval.low, s->interval.high, "level",
                  s->interval.level, "samples_us", samples);
    if (s->simulated_us > 0) {
        json_object_set_new(made, "simulated_us", json_real(s->simulated_us));
        json_object_set_new(made, "simulated_by_measured",
                            json_real(s->simulated_us / s->median_us));
    } else if (s->not_simulated[0]) {
        json_object_set_new(made, "not_simulated", json_string(s->not_simulated));
    }
    return made;
}

/* Pairs as in order_cell; NULL: nothing was simulated. */
static json_t *simulation_json(const cli_cell *cell)
{
    json_t *loads = json_array(), *pairs = json_array();
    for (uint32_t d = 0; d < cell->device_count; d++)
        cli_json_append(&loads, json_real(cell->loads[d]));
    for (uint32_t i = 0; i < cell->series_count; i++)
        for (uint32_t k = i + 1; k < cell->series_count; k++) {
            const cli_series *a = &cell->series[i], *b = &cell->series[k];
            const int first = a->median_us < b->median_us;
            if (cli_series_swapped(a, b))
                cli_json_append(&pairs, json_pack("[s, s]", first ? a->name : b->name,
                                                  first ? b->name : a->name));
        }
    return json_pack("{s:o, s:o}", "loads", loads, "ordered_otherwise", pairs);
}

static json_t *cell_json(const cli_cell *cell)
{
    json_t *series = json_array();
    const cli_series *best = cli_cell_best_other(cell);
    for (uint32_t i = 0; i < cell->series_count; i++)
        if (cell->series[i].count > 0)
            cli_json_append(&series, series_json(&cell->series[i]));
    return json_pack(
        "{s:s, s:s, s:s, s:o, s:f, s:f, s:s*, s:s, s:b, s:i, s:o*}", "set", cell->mix,
        "beside", cell->background, "machine", cell->machine, "series", series,
        "optimum_us", cell->best.optimum_us, "sharing_us", cell->sharing_us, "best",
        best ? best->name : NULL, "static_placement", cell->placement, "search_complete",
        cell->best.complete, "placements_timed", (int)cell->best.measurements,
        "simulation", cell->simulated ? simulation_json(cell) : NULL);
}

int cli_grid_json(const char *path, const cli_cell *cells, uint32_t count)
{
    json_t *rows = json_array();
    for (uint32_t c = 0; c < count; c++)
        cli_json_append(&rows, cell_json(&cells[c]));
    json_t *root = json_pack("{s:s, s:o}", "version", hsched_version(), "cells", rows);
    return strcmp(path, "-") == 0 ? cli_json_print(root) : cli_json_write(root, path);
}

/* ---- The chart ------------------------------------------------------------- */

/* One panel for each set and machine: the series as bars, a group for each background. */
static int add_panel(cli_svg *svg, const cli_cell *cells, uint32_t count)
{
    const char *names[CLI_SERIES_MAX];
    const uint32_t series = names_of(cells, count, names);
    double *values = calloc((size_t)count * (3 * series + 1), sizeof *values);
    const char **groups = calloc(count, sizeof *groups);
    cli_svg_bar_series bars[CLI_SERIES_MAX];
    char title[256];
    if (!values || !groups) {
        free(values);
        free(groups);
        return cli_no_memory();
    }
    double *marks = values + (size_t)3 * series * count;
    for (uint32_t i = 0; i < series; i++) {
        double *at = values + (size_t)3 * i * count;
        bars[i] = (cli_svg_bar_series){ names[i], at, at + count, at + 2 * count };
        for (uint32_t c = 0; c < count; c++) {
            const cli_series *s = cli_cell_find(&cells[c], names[i]);
            at[c] = s ? s->median_us / 1000 : 0;
            at[count + c] = s ? s->interval.low / 1000 : 0;
            at[2 * count + c] = s ? s->interval.high / 1000 : 0;
        }
    }
    for (uint32_t c = 0; c < count; c++) {
        groups[c] = cells[c].background;
        marks[c] = cells[c].best.optimum_us / 1000;
    }
    snprintf(title, sizeof title, "%s, %s", cells->mix, cells->machine);
    cli_svg_add_bars(svg,
                     &(cli_svg_bars){ .title = title,
                                      .note = "medians with 95% confidence intervals",
                                      .y_label = "makespan, ms",
                                      .groups = groups,
                                      .group_count = count,
                                      .series = bars,
                                      .series_count = series,
                                      .marks = marks,
                                      .marks_name = "optimum" });
    free(values);
    free(groups);
    return CLI_OK;
}

int cli_grid_svg(cli_svg *svg, const cli_cell *cells, uint32_t count)
{
    int status = CLI_OK;
    for (uint32_t first = 0, end; first < count && status == CLI_OK; first = end) {
        for (end = first + 1; end < count; end++)
            if (strcmp(cells[end].mix, cells[first].mix) != 0 ||
                strcmp(cells[end].machine, cells[first].machine) != 0)
                break;
        status = add_panel(svg, cells + first, end - first);
    }
    return status;
}
