/*
 * Charts as an SVG file: panels below each other, with axes, legends and error bars. The same
 * charts give the same bytes. Texts are UTF-8 (what is not becomes '?') and are escaped. Values
 * that are not finite are left out.
 *
 *     cli_svg *svg = cli_svg_open("bench.svg");
 *     cli_svg_add_bars(svg, &(cli_svg_bars){ .title = "Latency", ... });
 *     cli_svg_add_lines(svg, &(cli_svg_lines){ ... });
 *     status = cli_svg_close(svg);
 *
 * Strings and arrays are read during the call only. svg may be NULL: nothing is drawn.
 */
#ifndef CLI_SVG_H
#define CLI_SVG_H

#include <stddef.h>
#include <stdint.h>

typedef struct cli_svg cli_svg;

/* Before time is spent: see cli_check_writable. NULL after an error was printed, and also,
 * without one, if path is NULL: no chart is wanted. */
cli_svg *cli_svg_open(const char *path);
/* Writes the file and frees. Gives CLI_OK or CLI_SYSTEM; CLI_OK for NULL. */
int cli_svg_close(cli_svg *svg);
/* Frees without writing: there is nothing to show. NULL: nothing. */
void cli_svg_discard(cli_svg *svg);

/* ---- Grouped bars --------------------------------------------------------- */

/* A bar in each group; a colour and a line of the legend for the series. */
typedef struct cli_svg_bar_series {
    const char *name;
    const double *values;     /* one per group */
    const double *low, *high; /* likewise, the ends of the error bars; both NULL: none */
} cli_svg_bar_series;

typedef struct cli_svg_bars {
    const char *title;
    const char *note; /* a second line, smaller; NULL: none */
    const char *y_label;
    const char *const *groups; /* names, below the axis */
    uint32_t group_count;
    const cli_svg_bar_series *series;
    uint32_t series_count;
    const double
        *marks; /* one per group: a dashed line across it, for what the bars are to
                                  be compared with; NULL: none */
    const char *marks_name; /* in the legend */
} cli_svg_bars;

/* The y axis begins at 0, or below if there are negative values. */
void cli_svg_add_bars(cli_svg *svg, const cli_svg_bars *bars);

/* ---- Lines over time ------------------------------------------------------ */

typedef enum cli_svg_style {
    CLI_SVG_LINE = 0,
    CLI_SVG_STEPS = 1, /* a value holds until the next one */
    CLI_SVG_POINTS = 2
} cli_svg_style;

typedef struct cli_svg_line_series {
    const char *name;
    const double *x, *y; /* count; x ascending */
    size_t count;
    cli_svg_style style;
} cli_svg_line_series;

/* A moment: a vertical line with its name beside it. */
typedef struct cli_svg_event {
    const char *name;
    double x;
} cli_svg_event;

typedef struct cli_svg_lines {
    const char *title, *note, *x_label, *y_label; /* note: NULL: none */
    const cli_svg_line_series *series;
    uint32_t series_count;
    const cli_svg_event *events;
    uint32_t event_count;
    double x_begin, x_end; /* of the axis; both 0: what the values take */
    const char *const
        *names; /* of the values 0, 1, 2, ... on the y axis; NULL: numbers */
    uint32_t name_count;
} cli_svg_lines;

/* The y axis begins at 0, or below if there are negative values. */
void cli_svg_add_lines(cli_svg *svg, const cli_svg_lines *lines);

#endif
