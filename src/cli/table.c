#include "cli/table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cli_table {
    const char *const *columns;
    uint32_t column_count;
    char **cells;
    size_t count, capacity;
    int failed; /* memory ran out */
};

cli_table *cli_table_create(const char *const columns[])
{
    cli_table *table = calloc(1, sizeof *table);
    if (!table)
        return NULL;
    table->columns = columns;
    while (columns[table->column_count])
        table->column_count++;
    return table;
}

void cli_table_destroy(cli_table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i]);
    free(table->cells);
    free(table);
}

void cli_table_cell(cli_table *table, const char *format, ...)
{
    if (!table || table->failed)
        return;
    if (table->count == table->capacity) {
        size_t capacity = table->capacity ? 2 * table->capacity : 64;
        char **cells = realloc(table->cells, capacity * sizeof *cells);
        if (!cells) {
            table->failed = 1;
            return;
        }
        table->cells = cells;
        table->capacity = capacity;
    }
    va_list arguments;
    va_start(arguments, format);
    char *cell = NULL;
    if (vasprintf(&cell, format, arguments) < 0)
        table->failed = 1;
    else
        table->cells[table->count++] = cell;
    va_end(arguments);
}

/* One line; the last cell has no blanks after it. */
static void print_row(const cli_table *table, char *const *cells, const int *widths,
                      int indent)
{
    printf("%*s", indent, "");
    for (uint32_t c = 0; c < table->column_count; c++) {
        int right = table->columns[c][0] == '>';
        const char *cell = cells ? cells[c] : table->columns[c] + right;
        int last = c + 1 == table->column_count;
        printf("%*s%s",
               right  ? widths[c]
               : last ? 0
                      : -widths[c],
               cell, last ? "\n" : "  ");
    }
}

int cli_table_print(const cli_table *table, int indent)
{
    int *widths = table ? calloc(table->column_count, sizeof *widths) : NULL;
    if (!widths || table->failed) {
        free(widths);
        return 0;
    }
    for (uint32_t c = 0; c < table->column_count; c++)
        widths[c] = (int)strlen(table->columns[c]) - (table->columns[c][0] == '>');
    for (size_t i = 0; i < table->count; i++) {
        int width = (int)strlen(table->cells[i]);
        uint32_t c = (uint32_t)(i % table->column_count);
        widths[c] = width > widths[c] ? width : widths[c];
    }
    print_row(table, NULL, widths, indent);
    for (size_t i = 0; i + table->column_count <= table->count; i += table->column_count)
        print_row(table, table->cells + i, widths, indent);
    free(widths);
    return 1;
}

const char *cli_short_count(double value, char text[CLI_SHORT_MAX])
{
    static const char units[] = " kMGTPE";
    int unit = 0;
    while (value >= 999.5 && units[unit + 1]) {
        value /= 1000;
        unit++;
    }
    if (unit == 0)
        snprintf(text, CLI_SHORT_MAX, "%.0f", value);
    else
        snprintf(text, CLI_SHORT_MAX, "%.3g %c", value, units[unit]);
    return text;
}

const char *cli_short_bytes(double value, char text[CLI_SHORT_MAX])
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", NULL };
    int unit = 0;
    while (value >= 1023.95 && units[unit + 1]) {
        value /= 1024;
        unit++;
    }
    snprintf(text, CLI_SHORT_MAX, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return text;
}

const char *cli_shape(const hsched_tensor_info *info, char text[CLI_SHAPE_MAX])
{
    size_t used = 0;
    used += (size_t)snprintf(text, CLI_SHAPE_MAX, "[");
    for (uint32_t i = 0; i < info->rank && used < CLI_SHAPE_MAX; i++) {
        const char *symbol = info->symbols[i];
        used += (size_t)snprintf(text + used, CLI_SHAPE_MAX - used, "%s%.16s%s%lld",
                                 i ? "," : "", symbol ? symbol : "", symbol ? "=" : "",
                                 (long long)info->dims[i]);
    }
    if (used < CLI_SHAPE_MAX)
        snprintf(text + used, CLI_SHAPE_MAX - used, "]");
    return text;
}
