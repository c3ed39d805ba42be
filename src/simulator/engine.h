/*
 * The simulator's engine: the scheduler core (sched/core.h) in virtual time, with devices that
 * take as long over a job as they are said to. No threads, no clock, no I/O: the same input gives
 * the same result on every machine.
 *
 * A job has two phases. While it is being started and fed (the device's job_us, and the crossings
 * of what it takes over and of the model's inputs and outputs) it uses nothing of the device but a
 * worker. What has crossed to a device is there for all later jobs of the run. Then it does its
 * work, the sum of its sections' times alone on an unloaded device. All jobs of a device that are
 * at work share it: each proceeds at the rate
 *
 *     speed-up / (stretch(jobs at work) * load(now))
 *
 * but never slower, all of them together, than one after the other. The CPU's stretch goes by how
 * many workers are busy, beside those of the job itself. Whenever one of these changes, what is
 * left of all jobs goes on at the new rate. The CPU's workers that have no job help those that
 * have: each job's share is at most `team` workers, and k of them make it 1 / (1 - p + p / k) times
 * as fast (Amdahl), p being the model's `parallel`, or as fast as the section's `team` says.
 * Elsewhere the speed-up is 1.
 *
 * Where a model has a stretch curve of its own, a job of another model counts in it as as many of
 * its own as the device does at once, less half of what that other one leaves: what a model leaves
 * of a device is of use to its own jobs, and half of it to others'.
 *
 * Jobs of one model that are at work at the same time take at least as long as one for all of their
 * runs would, by the model's `batch`, since a curve of jobs knows nothing of how large they are.
 *
 * docs/design/simulator.md says what of a real machine this leaves out.
 */
#ifndef HSI_SIMULATOR_ENGINE_H
#define HSI_SIMULATOR_ENGINE_H

#include "plan/placement.h"
#include "sched/core.h"
#include "simulator/curve.h"

enum {
    HSI_ENGINE_BATCH = 64 /* runs that a job can be of, at most */
};

/* From from_us on, a job takes `factor` times as long, for reasons outside. */
typedef struct hsi_engine_load {
    double from_us, factor;
} hsi_engine_load;

typedef struct hsi_engine_device {
    hsi_core_device core;
    hsi_curve stretch; /* of jobs at work */
    uint32_t team;     /* workers that share a job; 0 or 1: one; the CPU only */
    const hsi_engine_load *loads; /* from_us ascending; before the first: 1 */
    uint32_t load_count;
} hsi_engine_device;

typedef struct hsi_engine_model {
    hsi_core_model core;
    /* Times, links and bytes: all devices of the engine; weights and workers are not looked at.
     * What an input or output of the model is, lies in the CPU's memory. */
    const hsi_placement_problem *costs;
    const hsi_curve
        *batch; /* per device: of a job for so many runs, beside one for one */
    const hsi_curve
        *stretch; /* per device: of the model's jobs, by how many are at work; NULL or
                                 no points: as all jobs of the device */
    const float *
        starting_us; /* per device: while a job for whole runs is being started, which is in
                                 its time, no other is; NULL: that takes no time */
    double parallel;       /* of a section's work on the CPU: 0 to 1 */
    const hsi_curve *team; /* per section: what so many workers take of what one takes
                              (hsi_curve_shared_at), faster or slower; NULL: by `parallel` */
    void *user;            /* the caller's */
} hsi_engine_model;

/* Runs that are submitted: `runs` of each of `instances`. With a period all instances submit at
 * first_us, first_us + period_us, ...; without, each submits its next run when one has ended. */
typedef struct hsi_engine_stream {
    const hsi_engine_model *model;
    uint32_t instances, runs;
    double first_us, period_us;
    double deadline_us; /* after the submission; 0: none */
    int priority, drop_late;
} hsi_engine_stream;

typedef struct hsi_engine_job { /* that has ended */
    const hsi_engine_model *model;
    uint32_t device, worker;
    uint32_t section, count; /* sections */
    uint32_t crossings;      /* tensors, of all members */
    uint32_t members;        /* runs that it was of */
    const uint64_t *runs;    /* their numbers */
    double begin_us, end_us;
    double fixed_us,
        work_us; /* of it, as if it had been alone and unloaded on one worker */
} hsi_engine_job;

typedef struct hsi_engine_run { /* that has ended */
    const hsi_engine_model *model;
    uint64_t number; /* from 1, in the order of submission */
    hsched_status status;
    int missed, priority;
    double submit_us, begin_us, end_us; /* begin_us: of its first job; < 0: it had none */
    double deadline_us;                 /* after submit_us; 0: none */
    uint32_t jobs, crossings;
} hsi_engine_run;

typedef struct hsi_engine_config {
    uint32_t device_count; /* device 0 is the CPU */
    hsi_engine_device devices[HSI_MAX_DEVICES];
    uint64_t ageing_us;
    uint32_t active_limit;
    double power_cap_watts; /* this and what follows: as in hsi_core_config */
    double gather_share;
    int64_t (*order)(void *user, const hsi_core_run *run);
    void *order_user;
    double
        jitter; /* each job's work is that of the model times 1 - jitter to 1 + jitter */
    uint64_t seed; /* of that */
    /* Called as things end, in the order of time; a status other than OK ends the simulation.
     * Either may be NULL. */
    hsched_status (*job_ended)(void *user, const hsi_engine_job *job);
    hsched_status (*run_ended)(void *user, const hsi_engine_run *run);
    void *user;
} hsi_engine_config;

typedef struct hsi_engine_totals {
    double end_us; /* when the last run ended */
    hsi_core_stats core;
    double busy_us[HSI_MAX_DEVICES];   /* with at least one job there */
    double worker_us[HSI_MAX_DEVICES]; /* jobs and helpers there, times time */
} hsi_engine_totals;

/* Until all runs have ended. Errors: OUT_OF_MEMORY, those of the core and of the callbacks. */
hsched_status hsi_engine_run_all(const hsi_engine_config *config,
                                 const hsi_engine_stream *streams, uint32_t stream_count,
                                 hsi_engine_totals *totals);

#endif
