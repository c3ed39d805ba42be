/* What the reports of benchmarks share: numbers that may not be known, and how sure they are. */
#ifndef CLI_BENCH_REPORT_H
#define CLI_BENCH_REPORT_H

#include <jansson.h>

#include "cli/statistics.h"
#include "cli/table.h"

/* "1.25" by `format`, for one double; or "-" for what is not known. */
void cli_number_cell(cli_table *table, const char *format, double value);
/* {"low", "high", "level"}; null where there is no number. */
json_t *cli_interval_json(cli_interval interval);

#endif
