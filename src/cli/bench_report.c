#include "cli/bench_report.h"

#include <math.h>
#include <stdio.h>

#include "cli/outputs.h"

void cli_number_cell(cli_table *table, const char *format, double value)
{
    char text[64];
    snprintf(text, sizeof text, format, value);
    cli_table_cell(table, "%s", isfinite(value) ? text : "-");
}

json_t *cli_interval_json(cli_interval interval)
{
    return json_pack("{s:o, s:o, s:f}", "low", cli_json_real(interval.low), "high",
                     cli_json_real(interval.high), "level", interval.level);
}
