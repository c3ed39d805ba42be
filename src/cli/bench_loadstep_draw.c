/* The charts of hsched bench loadstep. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/bench_loadstep.h"

#define TARGET_MS 200 /* what the project wants: placed anew within so much */

/* What all charts over time share. */
typedef struct drawing {
    const cli_loadstep *l;
    cli_svg *svg;
    double origin_us, end_s;
    double *x, *y; /* one for each run, or each change of a load and both ends */
    cli_svg_event *events;
    uint32_t event_count;
} drawing;

static double seconds_at(const drawing *d, uint64_t time_us)
{
    return ((double)time_us - d->origin_us) / 1e6;
}

static void make_events(drawing *d)
{
    for (uint32_t i = 0; i < d->l->step_count; i++) {
        const cli_step *step = &d->l->steps[i];
        d->events[d->event_count++] =
            (cli_svg_event){ i ? "" : "it comes", seconds_at(d, step->ready_us) };
        d->events[d->event_count++] =
            (cli_svg_event){ i ? "" : "it goes", seconds_at(d, step->gone_us) };
    }
}

static void draw_over_time(const drawing *d, cli_svg_lines lines)
{
    lines.x_label = "time, s";
    lines.x_end = d->end_s;
    lines.events = d->events;
    lines.event_count = d->event_count;
    cli_svg_add_lines(d->svg, &lines);
}

static void draw_latencies(const drawing *d)
{
    size_t count = 0;
    for (size_t i = 0; i < d->l->run_count; i += cli_loadstep_stride(d->l)) {
        const cli_step_run *r = &d->l->runs[i];
        d->x[count] = seconds_at(d, r->ended_us);
        d->y[count++] = (double)(r->ended_us - r->submitted_us) / 1e3;
    }
    const cli_svg_line_series series = { "runs", d->x, d->y, count, CLI_SVG_POINTS };
    draw_over_time(d, (cli_svg_lines){ .title = "Latency of runs",
                                       .note = "at their ends",
                                       .y_label = "ms",
                                       .series = &series,
                                       .series_count = 1 });
}

/* A row for each combination of devices that runs were executed on. */
static void draw_devices(const drawing *d)
{
    enum {
        ROWS = 12
    };
    char texts[ROWS][64];
    const char *names[ROWS];
    uint32_t masks[ROWS], rows = 0;
    size_t count = 0;
    for (size_t i = 0; i < d->l->run_count; i += cli_loadstep_stride(d->l)) {
        const uint32_t devices = d->l->runs[i].devices;
        uint32_t row = 0;
        while (row < rows && masks[row] != devices)
            row++;
        if (row == rows && rows < ROWS) {
            size_t used = 0;
            masks[rows] = devices;
            texts[rows][0] = '\0';
            for (uint32_t k = 0; k < d->l->device_count && used < sizeof texts[0]; k++)
                if (devices >> k & 1)
                    used += (size_t)snprintf(texts[rows] + used, sizeof texts[0] - used,
                                             "%s%s", used ? "+" : "", d->l->devices[k]);
            names[rows] = texts[rows];
            rows++;
        }
        d->x[count] = seconds_at(d, d->l->runs[i].started_us);
        d->y[count++] = row < rows ? row : NAN;
    }
    const cli_svg_line_series series = { "runs", d->x, d->y, count, CLI_SVG_POINTS };
    if (rows > 0)
        draw_over_time(d, (cli_svg_lines){ .title = "Where runs were executed",
                                           .note = "at their begins",
                                           .y_label = "",
                                           .series = &series,
                                           .series_count = 1,
                                           .names = names,
                                           .name_count = rows });
}

static void draw_loads(const drawing *d)
{
    cli_svg_line_series series[CLI_STEP_DEVICES];
    size_t used = 0;
    for (uint32_t k = 0; k < d->l->device_count; k++) {
        const size_t first = used;
        d->x[used] = 0;
        d->y[used++] = 1;
        for (size_t i = 0; i < d->l->sample_count; i++) {
            const cli_step_sample *s = &d->l->samples[i];
            if (s->device != k)
                continue;
            d->x[used] = fmax(seconds_at(d, s->time_us), 0);
            d->y[used++] = s->load;
        }
        d->x[used] = d->end_s;
        d->y[used] = d->y[used - 1];
        used++;
        series[k] = (cli_svg_line_series){ d->l->devices[k], d->x + first, d->y + first,
                                           used - first, CLI_SVG_STEPS };
    }
    draw_over_time(d, (cli_svg_lines){ .title = "Load of devices",
                                       .note = "how many times as long jobs take, as the "
                                               "scheduler knows it",
                                       .y_label = "times as long",
                                       .series = series,
                                       .series_count = d->l->device_count });
}

static int draw_delays(const cli_loadstep *l, const cli_step_findings *findings,
                       cli_svg *svg)
{
    static const char *const names[] = { "load noticed", "first run after that",
                                         "end noticed" };
    const uint32_t n = l->step_count;
    double *values = calloc(4 * (size_t)n, sizeof *values);
    char(*texts)[16] = calloc(n, sizeof *texts);
    const char **groups = calloc(n, sizeof *groups);
    cli_svg_bar_series series[3];
    const int ok = values && texts && groups;
    for (uint32_t i = 0; ok && i < n; i++) {
        snprintf(texts[i], sizeof texts[i], "step %u", i + 1);
        groups[i] = texts[i];
        values[i] = findings[i].noticed_ms;
        values[n + i] = findings[i].placed_ms;
        values[2 * (size_t)n + i] = findings[i].back_ms;
        values[3 * (size_t)n + i] = TARGET_MS;
    }
    for (uint32_t s = 0; ok && s < 3; s++)
        series[s] = (cli_svg_bar_series){ names[s], values + (size_t)s * n, NULL, NULL };
    if (ok)
        cli_svg_add_bars(svg, &(cli_svg_bars){ .title = "How soon",
                                               .note = "after the program has come, or "
                                                       "gone",
                                               .y_label = "ms",
                                               .groups = groups,
                                               .group_count = n,
                                               .series = series,
                                               .series_count = 3,
                                               .marks = values + 3 * (size_t)n,
                                               .marks_name = "200 ms" });
    free(values);
    free(texts);
    free(groups);
    return ok ? CLI_OK : cli_no_memory();
}

int cli_loadstep_draw(const cli_loadstep *l, const cli_step_findings *findings,
                      cli_svg *svg)
{
    const size_t points = l->run_count + l->sample_count + 2 * (size_t)l->device_count;
    drawing d = { .l = l,
                  .svg = svg,
                  .origin_us = (double)l->steps[0].quiet_us,
                  .x = calloc(points, sizeof *d.x),
                  .y = calloc(points, sizeof *d.y),
                  .events = calloc(2 * (size_t)l->step_count, sizeof *d.events) };
    int status = d.x && d.y && d.events ? CLI_OK : cli_no_memory();
    if (status == CLI_OK) {
        d.end_s = seconds_at(&d, l->steps[l->step_count - 1].over_us);
        make_events(&d);
        draw_latencies(&d);
        draw_devices(&d);
        draw_loads(&d);
        status = draw_delays(l, findings, svg);
    }
    free(d.x);
    free(d.y);
    free(d.events);
    return status;
}
