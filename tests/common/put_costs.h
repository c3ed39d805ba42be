/* For tests that write the costs of a model into its runtime's table themselves. */
#ifndef TESTS_COMMON_PUT_COSTS_H
#define TESTS_COMMON_PUT_COSTS_H

#include "common/support.h"

#include "runtime/runtime.h"

/* As if it had been measured. */
static inline void put(hsched_model *model, hsi_cost_unit unit, uint32_t index,
                       uint32_t device, uint32_t workers, uint32_t batch, double us)
{
    hsched_runtime *rt = model->runtime;
    hsi_cost_point point = { .key = hsi_costs_key(model, unit, index, device),
                             .us = us,
                             .spread_us = us / 16,
                             .samples = 3 };
    point.key.workers = workers;
    point.key.batch = batch;
    pthread_mutex_lock(&rt->costs.mutex);
    assert_ok(hsi_cost_table_put(rt->costs.table, &point, 0));
    pthread_mutex_unlock(&rt->costs.mutex);
}

/* Two CPU workers take as long as one. */
static inline void put_section(hsched_model *model, uint32_t section, uint32_t device,
                               double us)
{
    for (uint32_t workers = 1; workers <= (device == 0 ? 2 : 1); workers++)
        put(model, HSI_COST_SECTION, section, device, workers, 1, us);
}

static inline void put_sections(hsched_model *model, uint32_t device, double us)
{
    for (uint32_t s = 0; s < model->plan->section_count; s++)
        put_section(model, s, device, us);
}

#endif
