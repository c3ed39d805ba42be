#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    WIDTH = 40
};

void cli_progress_begin(cli_progress *progress, int quiet)
{
    *progress = (cli_progress){ !quiet && isatty(STDERR_FILENO), -1 };
}

void cli_progress_show(cli_progress *progress, uint64_t done, uint64_t total)
{
    int percent = total ? (int)(100.0 * (double)done / (double)total) : 100;
    if (!progress->shown || percent == progress->percent)
        return;
    progress->percent = percent;
    char bar[WIDTH + 1] = "";
    memset(bar, '#', (size_t)(percent * WIDTH / 100));
    fprintf(stderr, "\r[%-*s] %3d%%", WIDTH, bar, percent);
    fflush(stderr);
}

void cli_progress_end(cli_progress *progress)
{
    if (progress->shown && progress->percent >= 0)
        fprintf(stderr, "\r%*s\r", WIDTH + 8, "");
}
