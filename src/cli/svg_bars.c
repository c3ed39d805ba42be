/* Grouped bars. */
#include <math.h>
#include <stdio.h>

#include "cli/svg_plot.h"

static void put_error_bar(const cli_svg_plot *p, double x, double low, double high)
{
    static const char stroke[] = "stroke=\"#222222\" stroke-width=\"1.2\"";
    if (!isfinite(low) || !isfinite(high))
        return;
    cli_svg_stroke(p->out, x, cli_svg_y(p, low), x, cli_svg_y(p, high), stroke);
    cli_svg_stroke(p->out, x - 3, cli_svg_y(p, low), x + 3, cli_svg_y(p, low), stroke);
    cli_svg_stroke(p->out, x - 3, cli_svg_y(p, high), x + 3, cli_svg_y(p, high), stroke);
}

static void put_bar(const cli_svg_plot *p, const cli_svg_bar_series *s, uint32_t group,
                    double x, double width, const char *colour)
{
    const double value = s->values[group];
    if (!isfinite(value))
        return;
    const double top = cli_svg_y(p, fmax(value, 0)),
                 bottom = cli_svg_y(p, fmin(value, 0));
    fprintf(p->out,
            "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\">"
            "<title>",
            x, top, width, bottom - top, colour);
    cli_svg_escaped(p->out, s->name);
    fprintf(p->out, ": %.6g</title></rect>\n", value);
    if (s->low && s->high)
        put_error_bar(p, x + width / 2, s->low[group], s->high[group]);
}

static void put_groups(const cli_svg_plot *p, const cli_svg_bars *bars, int slanted)
{
    const double pitch = (double)CLI_SVG_PLOT / bars->group_count,
                 width = 0.8 * pitch / (bars->series_count ? bars->series_count : 1);
    const double bottom = p->top + CLI_SVG_PLOT_HEIGHT;
    for (uint32_t g = 0; g < bars->group_count; g++) {
        const double left = CLI_SVG_LEFT + pitch * g, middle = left + pitch / 2;
        char more[96] = "text-anchor=\"middle\"";
        for (uint32_t s = 0; s < bars->series_count; s++)
            put_bar(p, &bars->series[s], g, left + 0.1 * pitch + width * s, 0.92 * width,
                    cli_svg_colours[s % CLI_SVG_COLOURS]);
        if (bars->marks && isfinite(bars->marks[g]))
            cli_svg_stroke(
                p->out, left + 0.04 * pitch, cli_svg_y(p, bars->marks[g]),
                left + 0.96 * pitch, cli_svg_y(p, bars->marks[g]),
                "stroke=\"#000000\" stroke-width=\"1.5\" stroke-dasharray=\"5 3\"");
        if (slanted)
            snprintf(more, sizeof more,
                     "text-anchor=\"end\" transform=\"rotate(-25 %.1f %.1f)\"", middle,
                     bottom + 16);
        cli_svg_text(p->out, middle, bottom + 16, more, bars->groups[g]);
    }
}

static void bars_range(const cli_svg_bars *bars, cli_svg_plot *p)
{
    for (uint32_t s = 0; s < bars->series_count; s++) {
        const cli_svg_bar_series *series = &bars->series[s];
        cli_svg_include(series->values, bars->group_count, &p->y_min, &p->y_max);
        cli_svg_include(series->low, bars->group_count, &p->y_min, &p->y_max);
        cli_svg_include(series->high, bars->group_count, &p->y_min, &p->y_max);
    }
    cli_svg_include(bars->marks, bars->group_count, &p->y_min, &p->y_max);
    cli_svg_round_range(&p->y_min, &p->y_max);
}

void cli_svg_add_bars(cli_svg *svg, const cli_svg_bars *bars)
{
    if (!svg || bars->group_count == 0)
        return;
    cli_svg_titles(svg, bars->title, bars->note);
    cli_svg_legend l = { svg, CLI_SVG_LEFT };
    for (uint32_t s = 0; s < bars->series_count; s++)
        cli_svg_legend_entry(&l, bars->series[s].name,
                             cli_svg_colours[s % CLI_SVG_COLOURS], 12);
    if (bars->marks)
        cli_svg_legend_entry(&l, bars->marks_name, "#000000", 2);
    cli_svg_plot p = { .out = svg->out, .top = svg->top + CLI_SVG_LINE_HEIGHT + 8 };
    bars_range(bars, &p);
    double widest = 0;
    for (uint32_t g = 0; g < bars->group_count; g++)
        widest = fmax(widest, cli_svg_text_width(bars->groups[g]));
    const int slanted = widest > (double)CLI_SVG_PLOT / bars->group_count;
    cli_svg_y_axis(&p, bars->y_label);
    put_groups(&p, bars, slanted);
    cli_svg_frame(&p, 0);
    svg->top =
        p.top + CLI_SVG_PLOT_HEIGHT + 24 + (slanted ? 0.45 * widest : 0) + CLI_SVG_GAP;
}
