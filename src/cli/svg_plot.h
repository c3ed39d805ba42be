/* What the kinds of charts share: a panel's texts, axes and legend, in the file under way. */
#ifndef CLI_SVG_PLOT_H
#define CLI_SVG_PLOT_H

#include <stdio.h>

#include "cli/svg.h"

enum { /* in pixels */
    CLI_SVG_LEFT = 100,
    CLI_SVG_PLOT = 780, /* width and height of the part with the values */
    CLI_SVG_PLOT_HEIGHT = 240,
    CLI_SVG_LINE_HEIGHT = 18, /* of text */
    CLI_SVG_LETTER = 7,       /* its width, more or less */
    CLI_SVG_GAP = 24,         /* between panels */
    CLI_SVG_COLOURS = 8
};
extern const char *const cli_svg_colours[CLI_SVG_COLOURS];

struct cli_svg {
    char *path;
    FILE *out; /* into `body`: the height is known last */
    char *body;
    size_t size;
    double top; /* where the next thing is drawn */
};

/* A panel's plot in the file's coordinates and in those of the values. */
typedef struct cli_svg_plot {
    FILE *out;
    double top, x_min, x_max, y_min, y_max;
} cli_svg_plot;

void cli_svg_escaped(FILE *out, const char *text);
/* `more`: further attributes. */
void cli_svg_text(FILE *out, double x, double y, const char *more, const char *text);
double cli_svg_text_width(const char *text);
void cli_svg_stroke(FILE *out, double x1, double y1, double x2, double y2,
                    const char *more);

/* `count` values, or NULL; those that are finite widen the range. */
void cli_svg_include(const double *values, size_t count, double *min, double *max);
/* To whole ticks; what has no height gets some. */
void cli_svg_round_range(double *min, double *max);
double cli_svg_x(const cli_svg_plot *plot, double x);
double cli_svg_y(const cli_svg_plot *plot, double y); /* within the plot */

void cli_svg_y_tick(const cli_svg_plot *plot, double value, const char *text);
void cli_svg_y_axis(const cli_svg_plot *plot, const char *label);
void cli_svg_x_axis(const cli_svg_plot *plot, const char *label);
/* The lines on the left and at the value `base`. */
void cli_svg_frame(const cli_svg_plot *plot, double base);

void cli_svg_titles(cli_svg *svg, const char *title, const char *note);
typedef struct cli_svg_legend {
    cli_svg *svg;
    double x;
} cli_svg_legend;
/* A sample of `height` in the middle of the line, and the name; a new line where it is full. */
void cli_svg_legend_entry(cli_svg_legend *legend, const char *name, const char *colour,
                          double height);

#endif
