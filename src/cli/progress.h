/* A progress bar on standard error, if that is a terminal; else nothing. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdint.h>

typedef struct cli_progress {
    int shown, percent;
} cli_progress;

void cli_progress_begin(cli_progress *progress, int quiet); /* quiet: never show it */
void cli_progress_show(cli_progress *progress, uint64_t done, uint64_t total);
void cli_progress_end(cli_progress *progress); /* wipes it out */

#endif
