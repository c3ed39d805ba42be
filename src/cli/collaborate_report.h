/* What came out of `hsched bench collaborate`: rows of a grid, as a table, JSON and a chart. */
#ifndef CLI_COLLABORATE_REPORT_H
#define CLI_COLLABORATE_REPORT_H

#include "cli/collaborate.h"
#include "cli/statistics.h"
#include "cli/svg.h"

enum {
    CLI_SERIES_MAX = 12,
    CLI_LOADS_MAX = 48
};

/* One arrangement in one cell: makespans. */
typedef struct cli_series {
    const char *name; /* "gpu_only", "cost", ..., "peer eager"; borrowed */
    int ours;         /* a policy that `cost` must not be worse than */
    double *samples;  /* owned by the cell */
    uint32_t count;
    double median_us;
    cli_interval interval;
    double submit_sum_us; /* of the time between two submissions, over all samples */
    double
        simulated_us; /* 0: it was not simulated; not_simulated says why, if it ought to be */
    char not_simulated[320];
} cli_series;

typedef struct cli_cell {
    const char *mix, *background; /* borrowed */
    char machine[64];             /* "8 SMs, 8 workers" */
    cli_series series[CLI_SERIES_MAX];
    uint32_t series_count;
    cli_best best;
    char placement[256]; /* the best static one, for people */
    double
        sharing_us; /* T_gpu T_cpu / (T_gpu + T_cpu); 0: one of them was not measured */
    /* Of the simulation: how loaded the runtime thought its devices while `cost` had its turns, and
     * the medians. */
    int simulated;
    uint32_t device_count, load_samples;
    double sensed[CLI_DEVICES_MAX][CLI_LOADS_MAX], loads[CLI_DEVICES_MAX];
} cli_cell;

/* collaborate_simulate.c. Notes what the runtime senses now; CLI_OK, or an error was printed. */
int cli_cell_note_loads(cli_cell *cell, const cli_machine *machine);
/* The series in virtual time, beside the loads that were noted. What goes wrong is noted in it. */
void cli_cell_simulate(cli_cell *cell, const cli_machine *machine, const cli_mix *mix,
                       uint32_t series, const cli_shares *shares);
/* Times that differ by less were simulated alike: what is left is rounding. */
#define CLI_SIMULATED_TIE 1e-3
/* 1 if two of its series differ by more than their intervals, and are ordered otherwise when
 * simulated. */
int cli_series_swapped(const cli_series *a, const cli_series *b);

/* A series of the cell; NULL: it was not measured. */
const cli_series *cli_cell_find(const cli_cell *cell, const char *name);
/* Of the ones that `cost` is compared with; NULL: there are none. */
const cli_series *cli_cell_best_other(const cli_cell *cell);
/* When all samples are there. */
void cli_cell_finish(cli_cell *cell);
void cli_cell_clear(cli_cell *cell);

/* Each gives CLI_OK or CLI_SYSTEM. */
int cli_grid_print(const cli_cell *cells, uint32_t count);
int cli_grid_json(const char *path, const cli_cell *cells, uint32_t count);
/* A panel for each set and machine. */
int cli_grid_svg(cli_svg *svg, const cli_cell *cells, uint32_t count);

#endif
