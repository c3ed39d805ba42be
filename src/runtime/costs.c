/* The runtime's cost table: what its devices and models are known by, reading it, its file. */
#include <hsched/experimental.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/status.h"
#include "base/sync.h"
#include "cost/cache.h"
#include "cost/device.h"
#include "cost/hash.h"
#include "plan/describe.h"
#include "runtime/runtime.h"

/* ---- Devices -------------------------------------------------------------- */

static void describe(const hsched_runtime *rt, const hsched_runtime_config *config,
                     uint32_t device, char text[HSI_COST_DEVICE_TEXT])
{
    hsi_cost_device_facts facts = {
        .info = { HSCHED_DEVICE_INFO_INIT },
        .cpu = { HSCHED_DEVICE_INFO_INIT },
        .is_cpu = device == 0,
        .reference = (config->flags & HSCHED_RUNTIME_REFERENCE) != 0,
        .cpu_libraries = config->cpu_libraries,
    };
    rt->devices[0].backend->device_info(rt->devices[0].handle, &facts.cpu);
    rt->devices[device].backend->device_info(rt->devices[device].handle, &facts.info);
    hsi_cost_describe_device(&facts, text);
}

hsched_status hsi_costs_create(hsched_runtime *rt, const hsched_runtime_config *config)
{
    if (pthread_mutex_init(&rt->costs.mutex, NULL) != 0)
        return hsi_error(HSCHED_ERROR_SYSTEM, "a mutex could not be made");
    if (pthread_mutex_init(&rt->costs.profiling, NULL) != 0) {
        pthread_mutex_destroy(&rt->costs.mutex);
        return hsi_error(HSCHED_ERROR_SYSTEM, "a mutex could not be made");
    }
    hsched_status status = hsi_cost_table_create(&rt->costs.table);
    if (status !=
        HSCHED_OK) { /* hsi_costs_destroy knows by the table whether there are any */
        pthread_mutex_destroy(&rt->costs.profiling);
        pthread_mutex_destroy(&rt->costs.mutex);
        return status;
    }
    if (config->cache_dir) {
        rt->costs.folder = hsi_strdup(config->cache_dir);
        if (!rt->costs.folder)
            return hsi_out_of_memory("a runtime");
    }
    for (uint32_t d = 0; d < rt->device_count && status == HSCHED_OK; d++) {
        char text[HSI_COST_DEVICE_TEXT];
        describe(rt, config, d, text);
        status = hsi_cost_table_add_device(
            rt->costs.table, text, d == 0 ? rt->workers[0] : 1, &rt->costs.devices[d]);
    }
    return status;
}

void hsi_costs_destroy(hsched_runtime *rt)
{
    if (!rt->costs.table)
        return;
    hsi_cost_table_destroy(rt->costs.table);
    hsi_free(rt->costs.folder);
    pthread_mutex_destroy(&rt->costs.profiling);
    pthread_mutex_destroy(&rt->costs.mutex);
}

/* ---- Models --------------------------------------------------------------- */

void hsi_costs_identify(hsched_model *model, const hsched_model_config *config)
{
    const hsi_plan_identity identity = { .graph_hash = hsi_cost_model_hash(model->graph),
                                         .input_layout = config->input_layout,
                                         .output_layout = config->output_layout,
                                         .deterministic = model->deterministic };
    model->cost_hash = hsi_plan_hash(model->plan, &identity);
}

hsi_cost_key hsi_costs_key(const hsched_model *model, hsi_cost_unit unit, uint32_t index,
                           uint32_t device)
{
    const hsched_runtime *rt = model->runtime;
    return (hsi_cost_key){
        .model = model->cost_hash,
        .unit = unit,
        .index = index,
        .device = rt->costs.devices[device],
        .math = hsi_cost_math(rt->devices[device].has_queue, model->math),
        .batch = 1,
        .workers = 1,
    };
}

hsi_cost_work hsi_costs_work(const hsched_model *model, hsi_cost_unit unit,
                             uint32_t index)
{
    const hsi_plan *plan = model->plan;
    uint32_t first = 0, count = plan->step_count;
    if (unit == HSI_COST_STEP) {
        first = index;
        count = 1;
    } else if (unit == HSI_COST_SECTION) {
        first = plan->sections[index].first_step;
        count = plan->sections[index].step_count;
    }
    return hsi_plan_work(plan, first, count);
}

/* ---- The file ------------------------------------------------------------- */

hsched_status hsi_costs_load(hsched_runtime *rt)
{
    hsi_cost_cache_report report;
    hsched_status status = HSCHED_OK;
    pthread_mutex_lock(&rt->costs.mutex);
    if (!rt->costs.loaded)
        status = hsi_cost_cache_load(rt->costs.folder, rt->costs.table, &report);
    rt->costs.loaded |= status != HSCHED_ERROR_OUT_OF_MEMORY;
    pthread_mutex_unlock(&rt->costs.mutex);
    if (status == HSCHED_OK || status == HSCHED_ERROR_OUT_OF_MEMORY)
        return status;
    /* A cache that cannot be read, or is too large for the table, costs time only. */
    hsi_log(HSCHED_LOG_WARNING, "the cost cache is not used: %s", hsched_error_detail());
    return HSCHED_OK;
}

hsched_status hsi_costs_save(hsched_runtime *rt)
{
    hsi_cost_record *records;
    size_t count;
    pthread_mutex_lock(&rt->costs.mutex);
    hsched_status status = hsi_cost_table_take_dirty(rt->costs.table, &records, &count);
    pthread_mutex_unlock(&rt->costs.mutex);
    if (status != HSCHED_OK)
        return status;
    status = hsi_cost_cache_save(rt->costs.folder, records, count);
    if (status != HSCHED_OK) {
        pthread_mutex_lock(&rt->costs.mutex);
        hsi_cost_table_mark_dirty(rt->costs.table, records, count);
        pthread_mutex_unlock(&rt->costs.mutex);
    }
    hsi_free(records);
    return status;
}

/* ---- Asking --------------------------------------------------------------- */

HSCHED_API const char *hsched_cost_source_name(hsched_cost_source source)
{
    switch (source) {
    case HSCHED_COST_UNKNOWN:
        break;
    case HSCHED_COST_ESTIMATED:
        return "estimated";
    case HSCHED_COST_INTERPOLATED:
        return "interpolated";
    case HSCHED_COST_OBSERVED:
        return "observed";
    case HSCHED_COST_MEASURED:
        return "measured";
    }
    return "unknown";
}

_Static_assert((int)HSCHED_COST_STEP == (int)HSI_COST_STEP &&
                   (int)HSCHED_COST_SECTION == (int)HSI_COST_SECTION &&
                   (int)HSCHED_COST_RUN == (int)HSI_COST_RUN &&
                   (int)HSCHED_COST_MEASURED == (int)HSI_COST_MEASURED &&
                   (int)HSCHED_COST_OBSERVED == (int)HSI_COST_OBSERVED &&
                   (int)HSCHED_COST_INTERPOLATED == (int)HSI_COST_INTERPOLATED &&
                   (int)HSCHED_COST_ESTIMATED == (int)HSI_COST_ESTIMATED,
               "the table's values are the public ones");

static hsched_status check_query(const hsched_model *model, const hsched_cost_query *q)
{
    const hsi_plan *plan = model->plan;
    if ((unsigned)q->unit < HSCHED_COST_STEP || (unsigned)q->unit > HSCHED_COST_RUN)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_cost_query: unit %d is none of HSCHED_COST_STEP, "
                         "_SECTION and _RUN",
                         (int)q->unit);
    const uint32_t count = q->unit == HSCHED_COST_STEP      ? plan->step_count
                           : q->unit == HSCHED_COST_SECTION ? plan->section_count
                                                            : 1;
    if (q->index >= count || q->device >= model->runtime->device_count)
        return hsi_error(
            HSCHED_ERROR_NOT_FOUND,
            "hsched_model_get_cost: there is no number %u of %u on device %u "
            "of %u",
            q->index, count, q->device, model->runtime->device_count);
    return HSCHED_OK;
}

HSCHED_API hsched_status hsched_model_get_cost(hsched_model *model,
                                               const hsched_cost_query *user_query,
                                               hsched_cost *result)
{
    hsched_cost_query query;
    hsi_cost cost;
    if (!model || !user_query || !result)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_model_get_cost: model, query or cost is NULL");
    hsched_runtime *rt = model->runtime;
    hsched_status status = HSI_CONFIG_READ(user_query, &query);
    if (status == HSCHED_OK)
        status = check_query(model, &query);
    if (status == HSCHED_OK)
        status = hsi_costs_load(rt);
    if (status != HSCHED_OK)
        return status;
    const hsi_cost_unit unit = (hsi_cost_unit)query.unit;
    hsi_cost_key key = hsi_costs_key(model, unit, query.index, query.device);
    const hsi_cost_work work = hsi_costs_work(model, unit, query.index);
    key.batch = query.batch ? query.batch : 1;
    key.workers = query.workers ? query.workers : 1;
    pthread_mutex_lock(&rt->costs.mutex);
    hsi_cost_table_find(rt->costs.table, &key, query.jobs, &work, &cost);
    const hsi_cost_point *point = hsi_cost_table_get(rt->costs.table, &key);
    const hsched_cost filled = {
        HSCHED_COST_INIT,
        .source = (hsched_cost_source)cost.source,
        .us = cost.us,
        .spread_us = cost.spread_us,
        .samples = point ? point->samples : 0,
        .stretch = cost.stretch,
        .correction = cost.correction,
        .load = hsi_cost_table_load(rt->costs.table, key.device, hsi_now_us()),
    };
    pthread_mutex_unlock(&rt->costs.mutex);
    return hsi_info_write(result, &filled, sizeof filled, "hsched_cost");
}
