/*
 * The policy `cost`: a run goes where its model's objective is served best; if that is the
 * makespan, where it is expected to end first.
 *
 * Ahead of time, whoever knows what a model's sections cost finds the placements worth having
 * at some level of load (plan/placement.h); these are the choices. When a run becomes active,
 * and again whenever a section of it may run, its choices are compared (objective.h), above all
 * by their expected ends: the work of runs that go before it on the devices that the choice uses,
 * by what these do at the same time, then the run's own sections and crossings; all times as many
 * times as long as the device is slowed down at present. This is minimum completion time (Ibarra
 * and Kim, "Heuristic Algorithms for Scheduling Independent Tasks on Nonidentical Processors",
 * 1977), with the placements of a whole run as the machines.
 *
 * A run that has begun changes its choice only for one that is a tenth better.
 */
#ifndef HSI_SCHED_POLICY_COST_H
#define HSI_SCHED_POLICY_COST_H

#include "sched/core.h"

enum {
    HSI_CHOICES_MAX = 16,
    HSI_CHOICE_SIZES = 8 /* batches and teams of 1, 2, 4, ..., 128 */
};

typedef struct hsi_choice {
    uint32_t uses;          /* devices, as bits */
    const uint8_t *devices; /* per section */
    /* [section * (device_count + 1) + device]: microseconds of work that this section and those
     * after it bring to each device; last what it takes to pass tensors between devices. */
    const float *rest_us;
} hsi_choice;

/* Times as they are alone on unloaded devices. All arrays are the caller's. */
typedef struct hsi_choices {
    uint32_t count; /* 0: nothing is known yet; runs then go as with gpu_only */
    uint32_t section_count, device_count;
    hsi_choice list[HSI_CHOICES_MAX];
    const float *section_us; /* [section * device_count + device] */
    float least_us;          /* of a run, alone, with the choice that ends first */
    /* For devices that join runs: what a whole run in a batch of 1 << k takes, all together. */
    uint32_t batch_count[HSI_MAX_DEVICES]; /* 0: not known: no gain is expected */
    float batch_us[HSI_MAX_DEVICES][HSI_CHOICE_SIZES];
    /* What share of the device a job of 1 << k runs takes up; 0: not known: all of it. */
    float fill[HSI_MAX_DEVICES][HSI_CHOICE_SIZES];
    /* What 1 << k CPU workers take for a run, of what one takes. */
    uint32_t team_count; /* 0: not known: as one */
    float team[HSI_CHOICE_SIZES];
} hsi_choices;

#endif
