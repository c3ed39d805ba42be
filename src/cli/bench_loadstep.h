/*
 * hsched bench loadstep: networks that run on and on, and another program that comes and goes. What
 * was recorded, and what that says.
 */
#ifndef CLI_BENCH_LOADSTEP_H
#define CLI_BENCH_LOADSTEP_H

#include <jansson.h>

#include "cli/bench_background.h"
#include "cli/inputs.h"
#include "cli/session.h"
#include "cli/statistics.h"
#include "cli/svg.h"
#include "cli/trace.h"

enum {
    CLI_STEP_DEVICES = 16
};

/* Times are microseconds on CLOCK_MONOTONIC. */
typedef struct cli_step_run {
    uint64_t submitted_us, started_us, ended_us;
    uint32_t devices; /* as bits */
    uint32_t lane;
} cli_step_run;

typedef struct cli_step_sample { /* a load that is not what it was, by 2% or more */
    uint64_t time_us;
    uint32_t device;
    double load;
} cli_step_sample;

/* One coming and going. */
typedef struct cli_step {
    uint64_t quiet_us; /* nothing since then */
    uint64_t began_us; /* the program was begun; */
    uint64_t ready_us; /*   its load was there; */
    uint64_t asked_us; /*   it was asked to end; */
    uint64_t gone_us;  /*   had ended; */
    uint64_t over_us;  /*   and nothing until then */
} cli_step;

typedef struct cli_step_lane {
    char *model;
    uint32_t instances;
    hsched_model *compiled;
    cli_inputs inputs;
} cli_step_lane;

typedef struct cli_loadstep {
    cli_step_lane *lanes;
    uint32_t lane_count;
    uint32_t device_count;
    const char *devices[CLI_STEP_DEVICES]; /* names */
    const char *policy, *background;       /* for people */
    double seconds;        /* that the program runs, and that it does not */
    uint32_t steps_wanted; /* times that it comes */
    cli_step *steps;
    uint32_t step_count;
    cli_step_run *runs; /* in the order of their ends */
    size_t run_count, run_capacity;
    cli_step_sample *samples;
    size_t sample_count, sample_capacity;
    uint64_t failed, replaced; /* runs */
} cli_loadstep;

/* Runs the lanes' models, and the program, which was chosen, beside them; the trace is of the first
 * step. Gives CLI_OK, CLI_WRONG (a run failed, which ends it) or CLI_SYSTEM. */
int cli_loadstep_run(cli_loadstep *l, hsched_runtime *runtime, cli_background *background,
                     cli_trace *trace);

/* Records; gives 0 if memory ran out. */
int cli_loadstep_add_run(cli_loadstep *l, const cli_step_run *run);
int cli_loadstep_add_sample(cli_loadstep *l, const cli_step_sample *sample);

/* ---- What it says --------------------------------------------------------- */

/* Milliseconds from the time when the load was there, or had ended, to what is named; 0 if that was
 * before; NaN: it did not happen within the step. */
typedef struct cli_step_findings {
    int device;        /* where the load was noticed first; -1: nowhere */
    int was_up;        /* a device's was up already, and was not looked at */
    double noticed_ms; /* its load was 15% up, and so for most of the next 100 ms */
    double placed_ms;  /* the first run began after that */
    double
        moved_ms;   /* the first run began that was executed elsewhere than most before */
    double highest; /* load of that device */
    double known_before,
        known;      /* shares of the time in which it was 15% up: before the program
                                   came, where it says how much of this is chance, and beside it */
    double back_ms; /* after the end: it was not 15% up, and so for most of 100 ms */
    double placed_back_ms;                 /* the first run began after that */
    double before_ms, during_ms, after_ms; /* medians of the latency of runs */
    uint64_t runs_before, runs_during, runs_after;
    /* Shares of the runs that a device took part in. */
    double use_before[CLI_STEP_DEVICES], use_during[CLI_STEP_DEVICES];
} cli_step_findings;

/* Gives CLI_OK or CLI_SYSTEM. */
int cli_loadstep_find(const cli_loadstep *l, uint32_t step, cli_step_findings *findings);

/* ---- For people and programs ---------------------------------------------- */

/* Of many runs every so many-th is enough to be looked at. */
size_t cli_loadstep_stride(const cli_loadstep *l);

/* Each gives CLI_OK or CLI_SYSTEM. `findings`: one for each step. */
int cli_loadstep_print(const cli_loadstep *l, const cli_step_findings *findings);
json_t *cli_loadstep_json(const cli_loadstep *l, const cli_step_findings *findings,
                          const cli_trace *trace);
int cli_loadstep_draw(const cli_loadstep *l, const cli_step_findings *findings,
                      cli_svg *svg);

#endif
