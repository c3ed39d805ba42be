/*
 * What a choice of the policy `cost` is worth to the model's objective, the smaller the better.
 *
 * Two things are expected of each choice: when the run ends, and what energy it adds.
 *
 *   makespan   the end, of which a whole run on a device that joins runs is what one more adds; a
 *              run on several devices must end that much earlier, since it cannot be joined. An end
 *              before that of all others gains nothing: then it is the work that counts. Of choices
 *              that end by the run's deadline, if it has one, the one that takes the least of the
 *              devices; else the earliest
 *   latency    the end of this run as it is: with all of its batch, and split without a malus
 *   energy     the energy, of those that end by the deadline; else of all, the end
 *   power_cap  the end as makespan has it, or what the power allows if that is later: what all that
 *              goes first and the run itself draw, by the watts that the cap leaves. A cap is one
 *              more device that everything has to pass through.
 *
 * Energy: a device's active power for the run's own time there, unloaded (what slows it down is
 * somebody else's, who draws by himself), and all devices' idle power for as long as the run makes
 * the whole last longer. So energy adds up to what is drawn until all has ended, and hurrying pays
 * where idling is dear.
 */
#ifndef HSI_SCHED_OBJECTIVE_H
#define HSI_SCHED_OBJECTIVE_H

#include "sched/policy_cost.h"

typedef struct hsi_worth {
    int late;     /* the smaller first, then */
    double value; /* microseconds or microjoules: of one objective only comparable */
} hsi_worth;

/* Of a choice whose devices are all there. `begun`: the run goes on elsewhere, which is nothing
 * that joining could make better. */
hsi_worth hsi_objective_worth(const hsi_place_query *query, const hsi_core_run *run,
                              uint32_t choice, int begun);

/* The run's own work that a choice brings to a device from the section asked about on. */
double hsi_objective_work_us(const hsi_place_query *query, uint32_t choice,
                             uint32_t device);

/* So many of `waiting` runs of a model are best joined if their mean end counts: a power of two
 * that is at most `limit`, or `limit`. */
uint32_t hsi_objective_batch(const hsi_choices *choices, uint32_t device, double capacity,
                             uint32_t waiting, uint32_t limit);

/* What share of an accelerator a job of so many runs takes up, above 0 and at most 1: others may
 * have the rest, and it is not slowed down before all together take up more than 1. */
double hsi_objective_fill(const hsi_core_model *model, uint32_t device, uint32_t runs);

/* How many times as much time devices spend on one of so many runs of the model if it may not use
 * any of those where they spend the least on it; INFINITY: there are no others. */
double hsi_objective_loss(const hsi_core_device *devices, uint32_t available,
                          const hsi_core_model *model, uint32_t runs);

#endif
