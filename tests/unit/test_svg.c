/* Charts: texts are escaped, ticks are round, bars and lines stand where their values say. */
#include "common/support.h"

#include <math.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/svg.h"

static char path[] = "/tmp/hsched-svg-XXXXXX";

static int make_path(void **state)
{
    (void)state;
    const int file = mkstemp(path);
    return file < 0 ? -1 : close(file);
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

/* The whole file; the caller's. */
static char *drawn(void)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    const long size = ftell(file);
    rewind(file);
    char *text = calloc((size_t)size + 1, 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)size, file), size);
    fclose(file);
    return text;
}

static size_t occurrences(const char *text, const char *what)
{
    size_t count = 0;
    for (; (text = strstr(text, what)); text += strlen(what))
        count++;
    return count;
}

static char *draw_bars(const cli_svg_bars *bars)
{
    cli_svg *svg = cli_svg_open(path);
    assert_non_null(svg);
    cli_svg_add_bars(svg, bars);
    assert_int_equal(cli_svg_close(svg), CLI_OK);
    return drawn();
}

static char *draw_lines(const cli_svg_lines *lines)
{
    cli_svg *svg = cli_svg_open(path);
    assert_non_null(svg);
    cli_svg_add_lines(svg, lines);
    assert_int_equal(cli_svg_close(svg), CLI_OK);
    return drawn();
}

static const char *const groups[] = { "a<b", "c&d" };
static const double values[] = { 2, 10 }, others[] = { 5, NAN }, low[] = { 1, 9 },
                    high[] = { 3, 12 }, marks[] = { 4, NAN };
static const cli_svg_bar_series series[] = {
    { "one \"1\"", values, low, high },
    { "two \xff\x01 \xe2\x82\xac \xed\xa0\x80", others, NULL, NULL },
};
static const cli_svg_bars bars = { .title = "a title",
                                   .note = "a note",
                                   .y_label = "ms",
                                   .groups = groups,
                                   .group_count = 2,
                                   .series = series,
                                   .series_count = 2,
                                   .marks = marks,
                                   .marks_name = "bound" };

static void test_bars(void **state)
{
    (void)state;
    char *text = draw_bars(&bars), *again = draw_bars(&bars);
    assert_string_equal(text, again);
    assert_int_equal(occurrences(text, "<svg "), 1);
    assert_string_equal(text + strlen(text) - 7, "</svg>\n");
    /* Three bars of the four, since one is NaN; with what they are in a tooltip. */
    assert_int_equal(occurrences(text, "<title>"), 3);
    assert_non_null(strstr(text, "one &quot;1&quot;: 10</title>"));
    assert_int_equal(occurrences(text, "stroke-width=\"1.2\""), 6); /* two error bars */
    assert_int_equal(occurrences(text, "stroke-dasharray"), 1);     /* one mark */
    for (int tick = 0; tick <= 12; tick += 2) {
        char label[32];
        snprintf(label, sizeof label, ">%d</text>", tick);
        assert_non_null(strstr(text, label));
    }
    assert_null(strstr(text, ">14</text>"));
    assert_non_null(strstr(text, "a&lt;b") && strstr(text, "c&amp;d") ? text : NULL);
    /* No UTF-8, a control character, and a surrogate; the sign in between is one. */
    assert_non_null(strstr(text, "two ?? \xe2\x82\xac ???"));
    free(text);
    free(again);
}

/* 0 to 12 in 240 pixels: the bar of 10 is 200 high, the one of 2 is 40, on the same line. */
static void test_places_of_bars(void **state)
{
    (void)state;
    char *text = draw_bars(&bars);
    double x, y[2], width, height;
    const char *at = text;
    for (int i = 0, found = 0; found < 2; i++) {
        at = strstr(at + 1, "<rect x=");
        assert_non_null(at);
        double top;
        if (sscanf(
                at,
                "<rect x=\"%lf\" y=\"%lf\" width=\"%lf\" height=\"%lf\" fill=\"#0072b2",
                &x, &top, &width, &height) != 4 ||
            !strstr(at, "<title>one") || height == 12 /* of the legend */ ||
            strncmp(strchr(at, '>') + 1, "<title>one", 10) != 0)
            continue;
        assert_true(fabs(height - (found ? 200 : 40)) < 0.2);
        y[found++] = top + height;
    }
    assert_true(y[0] == y[1]);
    free(text);
}

static void test_negative_and_flat(void **state)
{
    (void)state;
    static const double below[] = { -30, 20 }, zero[] = { 0, 0 };
    cli_svg_bar_series one = { "s", below, NULL, NULL };
    const cli_svg_bars chart = { .title = "t",
                                 .y_label = "y",
                                 .groups = groups,
                                 .group_count = 2,
                                 .series = &one,
                                 .series_count = 1 };
    char *text = draw_bars(&chart);
    assert_non_null(strstr(text, ">-30</text>") ? strstr(text, ">20</text>") : NULL);
    assert_null(strstr(text, ">-0</text>"));
    free(text);
    one.values = zero;
    text = draw_bars(&chart);
    assert_non_null(strstr(text, ">0.2</text>"));
    assert_null(strstr(text, "nan") ? text : strstr(text, "inf"));
    free(text);
}

static void test_lines(void **state)
{
    (void)state;
    static const double x[] = { 0, 1, 2, 3, 4 }, y[] = { 1, 2, NAN, 4, 3 };
    const cli_svg_line_series lines[] = {
        { "line", x, y, 5, CLI_SVG_LINE },
        { "steps", x, y, 2, CLI_SVG_STEPS },
        { "points", x, y, 5, CLI_SVG_POINTS },
        { "nothing", NULL, NULL, 0, CLI_SVG_LINE },
    };
    const cli_svg_event events[] = { { "begin", 1 }, { "end", 4 }, { "beyond", 9 } };
    const cli_svg_lines chart = { .title = "t",
                                  .x_label = "s",
                                  .y_label = "ms",
                                  .series = lines,
                                  .series_count = 4,
                                  .events = events,
                                  .event_count = 3 };
    char *text = draw_lines(&chart);
    /* The gap: two pieces of two points. 780 pixels for 4, 240 for 4. */
    assert_non_null(strstr(text, "d=\"M100.0 "));
    assert_int_equal(occurrences(text, "<circle"), 4);
    const char *line = strstr(text, "<path"), *steps = strstr(line + 1, "<path");
    double at[8];
    assert_int_equal(sscanf(strstr(line, "d=\""),
                            "d=\"M%lf %lfL%lf %lfM%lf %lfL%lf %lf\"", &at[0], &at[1],
                            &at[2], &at[3], &at[4], &at[5], &at[6], &at[7]),
                     8);
    assert_true(fabs(at[2] - 295) < 0.1 && fabs(at[4] - 685) < 0.1 && at[6] == 880);
    assert_true(fabs(at[1] - at[3] - 60) < 0.2 && fabs(at[3] - at[5] - 120) < 0.2);
    assert_int_equal(sscanf(strstr(steps, "d=\""), "d=\"M%lf %lfL%lf %lfL%lf %lf\"",
                            &at[0], &at[1], &at[2], &at[3], &at[4], &at[5]),
                     6);
    assert_true(at[2] == at[4] && at[3] == at[1]); /* along, then up */
    assert_int_equal(occurrences(text, "stroke-dasharray"), 2);
    assert_non_null(strstr(text, ">begin</text>"));
    assert_null(strstr(text, ">beyond</text>"));
    free(text);
}

static void test_named_values(void **state)
{
    (void)state;
    static const double x[] = { 10, 20, 30 }, y[] = { 0, 1, 0 };
    static const char *const names[] = { "cpu", "gpu" };
    const cli_svg_line_series line = { "runs", x, y, 3, CLI_SVG_POINTS };
    const cli_svg_lines chart = { .title = "t",
                                  .x_label = "s",
                                  .y_label = "device",
                                  .series = &line,
                                  .series_count = 1,
                                  .names = names,
                                  .name_count = 2,
                                  .x_begin = 15,
                                  .x_end = 40 };
    char *text = draw_lines(&chart);
    assert_int_equal(occurrences(text, "<circle"), 2); /* one lies before the axis */
    assert_non_null(strstr(text, ">cpu</text>") ? strstr(text, ">gpu</text>") : NULL);
    free(text);
}

static void test_several_panels(void **state)
{
    (void)state;
    cli_svg *svg = cli_svg_open(path);
    const cli_svg_lines nothing = { .title = "no values",
                                    .x_label = "s",
                                    .y_label = "y" };
    cli_svg_add_bars(svg, &bars);
    cli_svg_add_lines(svg, &nothing);
    assert_int_equal(cli_svg_close(svg), CLI_OK);
    char *text = drawn();
    int width, height;
    assert_int_equal(
        sscanf(strstr(text, "width="), "width=\"%d\" height=\"%d\"", &width, &height), 2);
    const char *second = strstr(text, "no values");
    assert_non_null(second);
    while (strncmp(second, "<text", 5) != 0)
        second--;
    double x, y;
    assert_int_equal(sscanf(second, "<text x=\"%lf\" y=\"%lf\"", &x, &y), 2);
    assert_true(y > 300 && height > y + 300);
    free(text);
}

static void test_files(void **state)
{
    (void)state;
    assert_null(cli_svg_open(NULL));
    assert_null(cli_svg_open("/nonexistent/chart.svg"));
    assert_int_equal(cli_svg_close(NULL), CLI_OK);
    cli_svg_add_bars(NULL, &bars);
    cli_svg_discard(NULL);
    char *before = draw_bars(&bars);
    cli_svg *svg = cli_svg_open(path);
    cli_svg_add_lines(svg,
                      &(cli_svg_lines){ .title = "t", .x_label = "", .y_label = "" });
    cli_svg_discard(svg);
    char *after = drawn();
    assert_string_equal(before, after);
    free(before);
    free(after);
    svg = cli_svg_open("/dev/full");
    assert_non_null(svg);
    cli_svg_add_bars(svg, &bars);
    assert_int_equal(cli_svg_close(svg), CLI_SYSTEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bars),
        cmocka_unit_test(test_places_of_bars),
        cmocka_unit_test(test_negative_and_flat),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_named_values),
        cmocka_unit_test(test_several_panels),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
