/*
 * What the files of the placement search share: the list schedule with its memory, which is
 * made once and then judges any number of placements of one problem; and placements that are
 * constructed.
 */
#ifndef HSI_PLAN_PLACEMENT_JUDGE_H
#define HSI_PLAN_PLACEMENT_JUDGE_H

#include "plan/placement.h"

typedef struct hsi_placement_reader {
    uint32_t section;
    uint64_t bytes;
} hsi_placement_reader;

typedef struct hsi_placement_judge {
    const hsi_placement_problem *problem;
    uint32_t *first_reader; /* section s is read by readers[first_reader[s]] up to, and
                               without, readers[first_reader[s + 1]], ascending */
    hsi_placement_reader *readers;
    uint32_t *waiting, *open;
    double *ready;   /* when all that a section reads is there, as far as it is known */
    double *end;     /* of each section, where it is needed */
    double *free_at; /* of each worker; per device a heap with the smallest first */
    uint32_t first_worker[HSI_PLACEMENT_DEVICES], workers[HSI_PLACEMENT_DEVICES];
    uint64_t
        steps; /* what it has done so far: a count that does not depend on the machine */
} hsi_placement_judge;

/* Of two placements the one with the smaller latency is better; of two with the same, the one
 * with less effort, so that nothing is moved for no gain. */
typedef struct hsi_placement_score {
    double latency_us;
    double
        effort_us; /* of all sections, jobs (both with weights) and crossings together */
} hsi_placement_score;

/* Errors: OUT_OF_MEMORY; clearing is then allowed, and needed. */
hsched_status hsi_placement_judge_init(hsi_placement_judge *judge,
                                       const hsi_placement_problem *problem);
void hsi_placement_judge_clear(hsi_placement_judge *judge);

/* Gives up as soon as the latency is found to be above the limit: it is INFINITY then, the
 * effort of no meaning. */
hsi_placement_score hsi_placement_judge_score(hsi_placement_judge *judge,
                                              const uint8_t *devices, double limit);

/* For schedules of one's own: all workers are free at 0; the worker of the device that is free
 * first is busy until then. */
void hsi_placement_judge_reset(hsi_placement_judge *judge);
void hsi_placement_judge_occupy(hsi_placement_judge *judge, uint32_t device,
                                double until);

/* ---- What things cost ----------------------------------------------------- */

static inline int hsi_placement_can(const hsi_placement_problem *p, uint32_t section,
                                    uint32_t device)
{
    return p->sections[section].device_mask >> device & 1;
}

/* Nothing to hand over costs nothing. */
static inline double hsi_placement_pass_us(const hsi_placement_problem *p, uint32_t from,
                                           uint32_t to, uint64_t bytes)
{
    const hsi_placement_link *link = &p->links[from][to];
    return from == to || bytes == 0 ? 0 : link->us + link->us_per_byte * (double)bytes;
}

/* Executing it there, weight included, as the first of a job or as a later part of one. */
static inline double hsi_placement_execute_us(const hsi_placement_problem *p,
                                              uint32_t section, uint32_t device,
                                              int begins_job)
{
    const double us = p->us[(size_t)section * p->device_count + device];
    return p->weight[device] * (begins_job ? us + p->job_us[device] : us);
}

/* ---- Placements without a search ------------------------------------------ */

/* Every section reads the one before it, and nothing else (placement_chain.c). */
int hsi_placement_is_chain(const hsi_placement_problem *problem);

/* The best placement of a chain. Errors: OUT_OF_MEMORY. */
hsched_status hsi_placement_solve_chain(const hsi_placement_problem *problem,
                                        uint8_t *devices);

/* As if all sections were executed one after the other: good where little overlaps
 * (placement_starts.c). Errors: OUT_OF_MEMORY. */
hsched_status hsi_placement_solve_serial(const hsi_placement_judge *judge,
                                         uint8_t *devices);

/* Each section, in order, where it ends first with those before it where they are. */
void hsi_placement_solve_earliest(hsi_placement_judge *judge, uint8_t *devices);

#endif
