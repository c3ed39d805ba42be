/* Lines, steps and points over time. */
#include <math.h>
#include <stdio.h>

#include "cli/svg_plot.h"

static int shown(const cli_svg_plot *p, const cli_svg_line_series *s, size_t i)
{
    return isfinite(s->y[i]) && s->x[i] >= p->x_min && s->x[i] <= p->x_max;
}

/* A path; what is not shown interrupts it. */
static void put_path(const cli_svg_plot *p, const cli_svg_line_series *s,
                     const char *colour)
{
    int drawing = 0;
    double last_y = 0;
    fprintf(p->out,
            "<path fill=\"none\" stroke=\"%s\" stroke-width=\"1.4\" "
            "stroke-linejoin=\"round\" d=\"",
            colour);
    for (size_t i = 0; i < s->count; i++) {
        if (!shown(p, s, i)) {
            drawing = 0;
            continue;
        }
        const double x = cli_svg_x(p, s->x[i]), y = cli_svg_y(p, s->y[i]);
        if (drawing && s->style == CLI_SVG_STEPS)
            fprintf(p->out, "L%.1f %.1f", x, last_y);
        fprintf(p->out, "%c%.1f %.1f", drawing ? 'L' : 'M', x, y);
        drawing = 1;
        last_y = y;
    }
    fputs("\"/>\n", p->out);
}

static void put_points(const cli_svg_plot *p, const cli_svg_line_series *s,
                       const char *colour)
{
    fprintf(p->out, "<g fill=\"%s\" fill-opacity=\"0.6\">\n", colour);
    for (size_t i = 0; i < s->count; i++)
        if (shown(p, s, i))
            fprintf(p->out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"1.6\"/>\n",
                    cli_svg_x(p, s->x[i]), cli_svg_y(p, s->y[i]));
    fputs("</g>\n", p->out);
}

/* Names in turn in two rows, so that two that are close can be read. */
static void put_events(const cli_svg_plot *p, const cli_svg_lines *lines)
{
    for (uint32_t i = 0; i < lines->event_count; i++) {
        const double at = lines->events[i].x;
        if (!isfinite(at) || at < p->x_min || at > p->x_max)
            continue;
        const double x = cli_svg_x(p, at), space = CLI_SVG_LEFT + CLI_SVG_PLOT - x;
        const int left = cli_svg_text_width(lines->events[i].name) + 8 > space;
        cli_svg_stroke(p->out, x, p->top, x, p->top + CLI_SVG_PLOT_HEIGHT,
                       "stroke=\"#000000\" stroke-width=\"1\" stroke-dasharray=\"4 3\"");
        cli_svg_text(p->out, left ? x - 4 : x + 4, p->top + 12 + 14 * (i % 2),
                     left ? "text-anchor=\"end\"" : "", lines->events[i].name);
    }
}

static void lines_range(const cli_svg_lines *lines, cli_svg_plot *p)
{
    p->x_min = INFINITY;
    p->x_max = -INFINITY;
    for (uint32_t s = 0; s < lines->series_count; s++) {
        const cli_svg_line_series *series = &lines->series[s];
        cli_svg_include(series->x, series->count, &p->x_min, &p->x_max);
        cli_svg_include(series->y, series->count, &p->y_min, &p->y_max);
    }
    if (lines->x_begin != 0 || lines->x_end != 0) {
        p->x_min = lines->x_begin;
        p->x_max = lines->x_end;
    }
    if (!(p->x_max - p->x_min > 0)) { /* one value or none */
        p->x_min = isfinite(p->x_min) ? p->x_min : 0;
        p->x_max = p->x_min + 1;
    }
    if (lines->names) {
        p->y_min = -0.5;
        p->y_max = lines->name_count - 0.5;
    } else {
        cli_svg_round_range(&p->y_min, &p->y_max);
    }
}

void cli_svg_add_lines(cli_svg *svg, const cli_svg_lines *lines)
{
    if (!svg)
        return;
    cli_svg_titles(svg, lines->title, lines->note);
    cli_svg_legend l = { svg, CLI_SVG_LEFT };
    for (uint32_t s = 0; s < lines->series_count; s++)
        cli_svg_legend_entry(&l, lines->series[s].name,
                             cli_svg_colours[s % CLI_SVG_COLOURS], 4);
    cli_svg_plot p = { .out = svg->out, .top = svg->top + CLI_SVG_LINE_HEIGHT + 8 };
    lines_range(lines, &p);
    if (lines->names)
        for (uint32_t k = 0; k < lines->name_count; k++)
            cli_svg_y_tick(&p, k, lines->names[k]);
    else
        cli_svg_y_axis(&p, lines->y_label);
    cli_svg_x_axis(&p, lines->x_label);
    for (uint32_t s = 0; s < lines->series_count; s++)
        if (lines->series[s].style == CLI_SVG_POINTS)
            put_points(&p, &lines->series[s], cli_svg_colours[s % CLI_SVG_COLOURS]);
        else
            put_path(&p, &lines->series[s], cli_svg_colours[s % CLI_SVG_COLOURS]);
    put_events(&p, lines);
    cli_svg_frame(&p, lines->names ? p.y_min : 0);
    svg->top = p.top + CLI_SVG_PLOT_HEIGHT + 40 + CLI_SVG_GAP;
}
