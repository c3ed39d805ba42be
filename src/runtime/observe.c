/*
 * Jobs tell the cost table what they took; the table tells the core how loaded devices are.
 *
 * All of it under the scheduler lock, so it is short: a few look-ups in the table, whose own lock
 * is only tried. What comes while somebody else has it (a profile, a plan being made) is lost.
 */
#include <hsched/experimental.h>

#include "base/sync.h"
#include "runtime/meters.h"
#include "runtime/planner.h"

enum {
    SHORTEST_US = 10,  /* shorter jobs say more about the clock than about the device */
    REFRESH_US = 20000 /* loads fade within 200 ms */
};

static const hsched_model *model_of(const hsi_ended_job *job)
{
    return ((const hsched_run *)job->first->run)->model;
}

/* The job's sections as one entry: all of the model, one section, or the first of several with its
 * share of what all were expected to take. 0: nothing to be learnt from. */
static int find_key(const hsched_model *model, const hsi_ended_job *job, double *took_us,
                    hsi_cost_key *key)
{
    const hsi_job *first = job->first;
    const int queue = model->runtime->devices[job->device].has_queue;
    *key = hsi_costs_key(model, HSI_COST_SECTION, first->section, job->device);
    key->workers = job->workers;
    if (queue && first->count == model->plan->section_count) {
        key->unit = HSI_COST_RUN;
        key->index = 0;
        key->batch = job->count;
        return 1;
    }
    if (first->count == 1)
        return 1;
    hsi_cost_key other = *key;
    hsi_cost cost;
    double sum = 0, own = 0;
    for (uint32_t i = 0; i < first->count; i++) {
        other.index = first->section + i;
        hsi_cost_table_find(model->runtime->costs.table, &other, 1, NULL, &cost);
        if (cost.source < HSI_COST_OBSERVED)
            return 0;
        sum += cost.us;
        own = i == 0 ? cost.us : own;
    }
    *took_us *= own / sum;
    return 1;
}

/* So many jobs' work is done at the same time, at best, if all are of the model (NULL: of the one
 * measured last); 0: as the core thinks. */
static double capacity_of(const hsched_runtime *rt, const hsched_model *model,
                          uint32_t device)
{
    const hsi_cost_key key = model
                                 ? hsi_costs_key(model, HSI_COST_AT_ONCE, 0, device)
                                 : (hsi_cost_key){ .device = rt->costs.devices[device] };
    return hsi_cost_table_capacity_of(rt->costs.table, &key, rt->workers[device]);
}

typedef struct speed {
    double load, capacity;
} speed;

/* Models differ in what they leave to others on a device: the mean over its busy time of late. */
static void note_capacity(hsched_runtime *rt, const hsched_model *model, uint32_t device,
                          double took_us)
{
    const double capacity = capacity_of(rt, model, device);
    double *mean = &rt->witness[device].capacity;
    if (*mean > 0 && capacity > 0)
        *mean += (capacity - *mean) * took_us / (took_us + REFRESH_US);
    else if (capacity > 0)
        *mean = capacity;
}

/* With the table's lock, which is given back before the core is told: it may place runs anew. */
static speed find_speed(const hsched_runtime *rt, uint32_t device, uint64_t now_us)
{
    double load = hsi_cost_table_load(rt->costs.table, rt->costs.devices[device], now_us);
    if (load == 1) /* jobs show none, or there were none */
        load = hsi_meters_load(rt, device, now_us);
    const double capacity = rt->witness[device].capacity;
    return (speed){ load, capacity > 0 ? capacity : capacity_of(rt, NULL, device) };
}

void hsi_observe_job(void *runtime, const hsi_ended_job *job)
{
    hsched_runtime *rt = runtime;
    hsched_model *model = (hsched_model *)model_of(job);
    double took_us = (double)(job->ended_ns - job->began_ns) / 1000;
    hsi_cost_key key;
    rt->witness[job->device].job_ended_us = job->ended_ns / 1000;
    rt->witness[job->device].jobs++;
    if (!model->planned || ((const hsi_exec_run *)job->first->run)->probe ||
        took_us < SHORTEST_US || pthread_mutex_trylock(&rt->costs.mutex) != 0)
        return;
    const uint64_t now_us = job->ended_ns / 1000;
    note_capacity(rt, model, job->device, took_us);
    const int learnt = find_key(model, job, &took_us, &key) &&
                       hsi_cost_table_observe(rt->costs.table, now_us, &key, job->at_once,
                                              took_us) == HSCHED_OK;
    const speed now = find_speed(rt, job->device, now_us);
    pthread_mutex_unlock(&rt->costs.mutex);
    if (!learnt)
        return;
    hsi_core_set_speed(rt->core, job->device, now.load, now.capacity, now_us);
    if (++model->learnt == model->learn_until)
        hsi_background_poke(rt);
    hsi_observe_refresh(rt, now_us);
}

void hsi_observe_refresh(hsched_runtime *rt, uint64_t now_us)
{
    speed speeds[HSI_MAX_DEVICES];
    if (!rt->planned_models || (now_us != 0 && now_us < rt->refresh_us) ||
        pthread_mutex_trylock(&rt->costs.mutex) != 0)
        return;
    now_us = now_us ? now_us : hsi_now_us();
    for (uint32_t d = 0; d < rt->device_count; d++)
        speeds[d] = find_speed(rt, d, now_us);
    pthread_mutex_unlock(&rt->costs.mutex);
    rt->refresh_us = now_us + REFRESH_US;
    for (uint32_t d = 0; d < rt->device_count; d++)
        hsi_core_set_speed(rt->core, d, speeds[d].load, speeds[d].capacity, now_us);
}
