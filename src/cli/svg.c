#include "cli/svg_plot.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/files.h"

enum {
    WIDTH = CLI_SVG_LEFT + CLI_SVG_PLOT + 20,
    TICKS = 6 /* about so many */
};

/* Told apart by most who are colour-blind (Okabe and Ito, 2008). */
const char *const cli_svg_colours[CLI_SVG_COLOURS] = { "#0072b2", "#e69f00", "#009e73",
                                                       "#cc79a7", "#56b4e9", "#d55e00",
                                                       "#8c6d31", "#666666" };

/* ---- The file ------------------------------------------------------------- */

cli_svg *cli_svg_open(const char *path)
{
    if (!path || cli_check_writable("--svg", path) != CLI_OK)
        return NULL;
    cli_svg *svg = calloc(1, sizeof *svg);
    if (svg)
        svg->path = strdup(path);
    if (svg && svg->path)
        svg->out = open_memstream(&svg->body, &svg->size);
    if (svg && svg->out) {
        svg->top = 10;
        return svg;
    }
    cli_svg_discard(svg);
    cli_no_memory();
    return NULL;
}

void cli_svg_discard(cli_svg *svg)
{
    if (!svg)
        return;
    if (svg->out)
        fclose(svg->out);
    free(svg->body);
    free(svg->path);
    free(svg);
}

static int write_file(const cli_svg *svg)
{
    FILE *file = fopen(svg->path, "we");
    if (!file)
        return 0;
    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" "
            "viewBox=\"0 0 %d %.0f\" font-family=\"sans-serif\" font-size=\"12\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n",
            WIDTH, svg->top, WIDTH, svg->top);
    fwrite(svg->body, 1, svg->size, file);
    fputs("</svg>\n", file);
    const int failed = ferror(file);
    return fclose(file) == 0 && !failed;
}

int cli_svg_close(cli_svg *svg)
{
    int status = CLI_OK;
    if (!svg)
        return CLI_OK;
    const int complete = !ferror(svg->out);
    if (fclose(svg->out) != 0 || !complete) {
        status = cli_no_memory();
    } else if (!write_file(svg)) {
        cli_error("--svg %s: %s", svg->path, strerror(errno));
        status = CLI_SYSTEM;
    }
    svg->out = NULL;
    cli_svg_discard(svg);
    return status;
}

/* ---- Text ----------------------------------------------------------------- */

/* Bytes of the character at `text` if it is UTF-8 and may be in XML; else 0. */
static int character_length(const unsigned char *text)
{
    const int length = text[0] < 0x80                      ? 1
                       : text[0] >= 0xc2 && text[0] < 0xe0 ? 2
                       : text[0] >= 0xe0 && text[0] < 0xf0 ? 3
                       : text[0] >= 0xf0 && text[0] < 0xf5 ? 4
                                                           : 0;
    if (length == 1)
        return text[0] >= ' ' && text[0] != 0x7f;
    for (int i = 1; i < length; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    /* Longer than needed, surrogates, beyond the last one, and U+FFFE and U+FFFF. */
    if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) ||
        (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f) ||
        (text[0] == 0xef && text[1] == 0xbf && text[2] >= 0xbe))
        return 0;
    return length;
}

void cli_svg_escaped(FILE *out, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    while (*at) {
        const int length = character_length(at);
        if (*at == '&')
            fputs("&amp;", out);
        else if (*at == '<')
            fputs("&lt;", out);
        else if (*at == '>')
            fputs("&gt;", out);
        else if (*at == '"')
            fputs("&quot;", out);
        else if (length == 0)
            fputc('?', out);
        else
            fwrite(at, 1, (size_t)length, out);
        at += length > 0 ? length : 1;
    }
}

void cli_svg_text(FILE *out, double x, double y, const char *more, const char *text)
{
    fprintf(out, "<text x=\"%.1f\" y=\"%.1f\"%s%s>", x, y, more[0] ? " " : "", more);
    cli_svg_escaped(out, text);
    fputs("</text>\n", out);
}

double cli_svg_text_width(const char *text)
{
    double letters = 0;
    for (; *text; text++)
        letters += ((unsigned char)*text & 0xc0) != 0x80;
    return CLI_SVG_LETTER * letters;
}

/* ---- Axes ----------------------------------------------------------------- */

/* 1, 2 or 5 times a power of ten: about TICKS of them in the range. */
static double nice_step(double range)
{
    const double rough = range / TICKS, power = pow(10, floor(log10(rough)));
    const double digit = rough / power;
    return power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
}

void cli_svg_include(const double *values, size_t count, double *min, double *max)
{
    for (size_t i = 0; values && i < count; i++)
        if (isfinite(values[i])) {
            *min = fmin(*min, values[i]);
            *max = fmax(*max, values[i]);
        }
}

void cli_svg_round_range(double *min, double *max)
{
    if (!(*max - *min > 0) || !isfinite(*max - *min))
        *max = *min + 1;
    const double step = nice_step(*max - *min);
    *min = step * floor(*min / step);
    *max = step * ceil(*max / step * (1 - 1e-12));
}

double cli_svg_x(const cli_svg_plot *p, double x)
{
    return CLI_SVG_LEFT + CLI_SVG_PLOT * (x - p->x_min) / (p->x_max - p->x_min);
}

double cli_svg_y(const cli_svg_plot *p, double y)
{
    const double part = (y - p->y_min) / (p->y_max - p->y_min);
    return p->top + CLI_SVG_PLOT_HEIGHT * (1 - fmin(fmax(part, 0), 1));
}

void cli_svg_stroke(FILE *out, double x1, double y1, double x2, double y2,
                    const char *more)
{
    fprintf(out, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" %s/>\n", x1, y1,
            x2, y2, more);
}

/* The k-th tick; no minus zero, and nothing that adding up steps would leave. */
static double tick_at(double min, double step, int k)
{
    const double value = step * (round(min / step) + k);
    return value == 0 ? 0 : value;
}

void cli_svg_y_tick(const cli_svg_plot *p, double value, const char *text)
{
    const double y = cli_svg_y(p, value);
    cli_svg_stroke(p->out, CLI_SVG_LEFT, y, CLI_SVG_LEFT + CLI_SVG_PLOT, y,
                   "stroke=\"#dddddd\"");
    cli_svg_text(p->out, CLI_SVG_LEFT - 6, y + 4, "text-anchor=\"end\"", text);
}

void cli_svg_y_axis(const cli_svg_plot *p, const char *label)
{
    const double step = nice_step(p->y_max - p->y_min);
    char text[32], more[96];
    for (int k = 0; tick_at(p->y_min, step, k) <= p->y_max + step / 1000; k++) {
        snprintf(text, sizeof text, "%.6g", tick_at(p->y_min, step, k));
        cli_svg_y_tick(p, tick_at(p->y_min, step, k), text);
    }
    snprintf(more, sizeof more,
             "text-anchor=\"middle\" transform=\"rotate(-90 16 %.1f)\"",
             p->top + CLI_SVG_PLOT_HEIGHT / 2.0);
    cli_svg_text(p->out, 16, p->top + CLI_SVG_PLOT_HEIGHT / 2.0, more, label);
}

void cli_svg_x_axis(const cli_svg_plot *p, const char *label)
{
    const double bottom = p->top + CLI_SVG_PLOT_HEIGHT,
                 step = nice_step(p->x_max - p->x_min);
    const double first = step * ceil(p->x_min / step - 1e-9);
    char text[32];
    for (int k = 0; tick_at(first, step, k) <= p->x_max + step / 1000; k++) {
        const double x = cli_svg_x(p, tick_at(first, step, k));
        snprintf(text, sizeof text, "%.6g", tick_at(first, step, k));
        cli_svg_stroke(p->out, x, bottom, x, bottom + 4, "stroke=\"#333333\"");
        cli_svg_text(p->out, x, bottom + 16, "text-anchor=\"middle\"", text);
    }
    cli_svg_text(p->out, CLI_SVG_LEFT + CLI_SVG_PLOT / 2.0, bottom + 34,
                 "text-anchor=\"middle\"", label);
}

void cli_svg_frame(const cli_svg_plot *p, double base)
{
    const double y = cli_svg_y(p, base);
    static const char stroke[] = "stroke=\"#333333\"";
    cli_svg_stroke(p->out, CLI_SVG_LEFT, p->top, CLI_SVG_LEFT,
                   p->top + CLI_SVG_PLOT_HEIGHT, stroke);
    cli_svg_stroke(p->out, CLI_SVG_LEFT, y, CLI_SVG_LEFT + CLI_SVG_PLOT, y, stroke);
}

/* ---- Titles and legends --------------------------------------------------- */

void cli_svg_titles(cli_svg *svg, const char *title, const char *note)
{
    cli_svg_text(svg->out, CLI_SVG_LEFT, svg->top + 16,
                 "font-size=\"16\" font-weight=\"bold\"", title);
    svg->top += 24;
    if (note) {
        cli_svg_text(svg->out, CLI_SVG_LEFT, svg->top + 12, "fill=\"#555555\"", note);
        svg->top += CLI_SVG_LINE_HEIGHT;
    }
}

void cli_svg_legend_entry(cli_svg_legend *l, const char *name, const char *colour,
                          double height)
{
    const double width = 20 + cli_svg_text_width(name) + 16;
    if (l->x > CLI_SVG_LEFT && l->x + width > CLI_SVG_LEFT + CLI_SVG_PLOT) {
        l->x = CLI_SVG_LEFT;
        l->svg->top += CLI_SVG_LINE_HEIGHT;
    }
    fprintf(l->svg->out,
            "<rect x=\"%.1f\" y=\"%.1f\" width=\"14\" height=\"%.0f\" fill=\"%s\"/>\n",
            l->x, l->svg->top + (CLI_SVG_LINE_HEIGHT - height) / 2, height, colour);
    cli_svg_text(l->svg->out, l->x + 20, l->svg->top + 13, "", name);
    l->x += width;
}
