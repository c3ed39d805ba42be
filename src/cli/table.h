/* A table for people: columns as wide as their widest cell. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <hsched/hsched.h>
#include <stdint.h>

typedef struct cli_table cli_table;

/* `columns`: titles in order, ending in NULL, borrowed; one beginning with '>' is set
 * flush right. */
cli_table *cli_table_create(const char *const columns[]);
void cli_table_destroy(cli_table *table);
/* The next cell; cells fill rows from left to right. */
void cli_table_cell(cli_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* To standard output, rows with `indent` spaces in front. Gives 0 if memory ran out on
 * the way. */
int cli_table_print(const cli_table *table, int indent);

/* "1.23 G", "4.5 M", "678": for counts. Gives `text`. */
#define CLI_SHORT_MAX 24
const char *cli_short_count(double value, char text[CLI_SHORT_MAX]);
/* "1.5 MiB". */
const char *cli_short_bytes(double value, char text[CLI_SHORT_MAX]);
/* "[1,3,224,224]" with "batch=1" where the dimension has a symbol, for tensors of the
 * library. */

#define CLI_SHAPE_MAX 256
const char *cli_shape(const hsched_tensor_info *info, char text[CLI_SHAPE_MAX]);

#endif
