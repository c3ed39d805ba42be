#include "simulator/measured.h"

#include "backend/backend.h"
#include "base/alloc.h"
#include "base/status.h"
#include "cost/cache.h"
#include "cost/device.h"

/* ---- Devices -------------------------------------------------------------- */

static hsched_status open_device(hsi_measured *m, const hsi_platform *platform,
                                 uint32_t device, int gpu)
{
    const hsi_platform_device *d = &platform->devices[device];
    const char *why = NULL;
    const hsched_backend *backend = NULL;
    if (d->kind == HSI_PLATFORM_CPU)
        backend = &hsi_backend_cpu;
    else if (d->kind == HSI_PLATFORM_GPU)
        backend = hsi_backend_cuda(&why);
    else
        return hsi_error(HSCHED_ERROR_UNSUPPORTED,
                         "%s: device '%s' is of kind %s, which nothing here can measure; "
                         "remove it, or write 'costs = rates'",
                         platform->path, d->name, hsi_platform_kind_name(d->kind));
    if (!backend)
        return hsi_error(HSCHED_ERROR_NOT_FOUND,
                         "%s: device '%s' is a GPU, but %s; remove it from the platform",
                         platform->path, d->name, why);
    const hsched_device_config config = { .struct_size = sizeof config,
                                          .host = &hsi_backend_host,
                                          .workers = d->workers,
                                          .ordinal = gpu };
    hsched_status status = backend->device_open(&config, &m->handles[device]);
    if (status != HSCHED_OK)
        return hsi_error_prefix(status, "%s, device '%s': ", platform->path, d->name);
    m->backends[device] = backend;
    m->device_count++;
    return HSCHED_OK;
}

static hsched_status add_to_table(hsi_measured *m, const hsi_platform *platform,
                                  uint32_t device)
{
    hsi_cost_device_facts facts = { .info = { HSCHED_DEVICE_INFO_INIT },
                                    .cpu = { HSCHED_DEVICE_INFO_INIT },
                                    .is_cpu = device == 0 };
    char text[HSI_COST_DEVICE_TEXT];
    m->backends[0]->device_info(m->handles[0], &facts.cpu);
    m->backends[device]->device_info(m->handles[device], &facts.info);
    hsi_cost_describe_device(&facts, text);
    return hsi_cost_table_add_device(m->table, text,
                                     device == 0 ? platform->devices[0].workers : 1,
                                     &m->numbers[device]);
}

hsched_status hsi_measured_open(const hsi_platform *platform, hsi_measured **measured)
{
    hsi_cost_cache_report report;
    int gpus = 0;
    *measured = NULL;
    hsi_measured *m = HSI_NEW(hsi_measured);
    hsched_status status =
        m ? hsi_cost_table_create(&m->table) : hsi_out_of_memory("costs");
    for (uint32_t d = 0; d < platform->device_count && status == HSCHED_OK; d++) {
        status = open_device(m, platform, d, gpus);
        gpus += platform->devices[d].kind == HSI_PLATFORM_GPU;
        if (status == HSCHED_OK)
            status = add_to_table(m, platform, d);
    }
    if (status == HSCHED_OK)
        status = hsi_cost_cache_load(NULL, m->table, &report);
    if (status != HSCHED_OK) {
        hsi_measured_close(m);
        return status;
    }
    *measured = m;
    return HSCHED_OK;
}

void hsi_measured_close(hsi_measured *measured)
{
    if (!measured)
        return;
    for (uint32_t d = 0; d < measured->device_count; d++)
        measured->backends[d]->device_close(measured->handles[d]);
    hsi_cost_table_destroy(measured->table);
    hsi_free(measured);
}

int hsi_measured_supports(const hsi_measured *measured, uint32_t device,
                          const hsched_step *step)
{
    return measured->backends[device]->supports(measured->handles[device], step);
}

/* ---- Times ---------------------------------------------------------------- */

/* 0: it is not known well enough. */
static double find_us(const hsi_measured *m, const hsi_cost_key *key)
{
    hsi_cost cost;
    hsi_cost_table_find(m->table, key, 1, NULL, &cost);
    return cost.source >= HSI_COST_INTERPOLATED ? cost.us : 0;
}

static void add_point(hsi_curve *curve, uint32_t at, double factor)
{
    if (curve->count == HSI_CURVE_MAX)
        return;
    curve->at[curve->count] = at;
    curve->factor[curve->count++] = factor;
}

static void find_batches(const hsi_measured *m, hsi_cost_key key, uint32_t max_batch,
                         double one_us, hsi_curve *curve)
{
    *curve = (hsi_curve){ 0 };
    for (uint32_t batch = 1; (batch = hsi_cost_next_number(batch, max_batch)) > 0;) {
        key.batch = batch;
        const double us = find_us(m, &key);
        if (us <= 0)
            return;
        add_point(curve, batch, us / one_us);
    }
}

/* For so many workers: sections as they were measured, and so that they sum up to the run; where
 * only that is known, as that. */
static void find_team(const hsi_measured *m, hsi_cost_key key, uint32_t sections,
                      double run_us, hsi_measured_times *times)
{
    double sum_us = 0;
    int all = 1;
    const double shared_us = find_us(m, &key);
    if (shared_us > 0 && run_us > 0)
        add_point(&times->run_team, key.workers, shared_us / run_us);
    key.unit = HSI_COST_SECTION;
    for (key.index = 0; key.index < sections; key.index++) {
        const double us = find_us(m, &key);
        all &= us > 0;
        sum_us += us;
    }
    const double scale = all && shared_us > 0 ? shared_us / sum_us : 1;
    for (key.index = 0; key.index < sections; key.index++) {
        const double us = scale * find_us(m, &key);
        if (us > 0)
            add_point(&times->team[key.index], key.workers, us / times->us[key.index]);
        else if (shared_us > 0 && run_us > 0)
            add_point(&times->team[key.index], key.workers, shared_us / run_us);
    }
}

/* `key`: of the whole run. 2, 4, ... and all workers, as they are profiled. */
static void find_teams(const hsi_measured *m, hsi_cost_key key,
                       const hsi_measured_query *query, double run_us,
                       hsi_measured_times *times)
{
    times->run_team = (hsi_curve){ 0 };
    for (uint32_t k = 1; (k = hsi_cost_next_number(k, query->workers)) > 0;) {
        key.workers = k;
        find_team(m, key, query->sections, run_us, times);
    }
}

static void fill_stretch(const hsi_cost_table *table, const hsi_cost_key *key,
                         uint32_t most, hsi_curve *curve)
{
    hsi_cost_source source;
    *curve = (hsi_curve){ 0 };
    for (uint32_t jobs = 1; (jobs = hsi_cost_next_number(jobs, most)) > 0;)
        add_point(curve, jobs, hsi_cost_table_stretch_of(table, key, jobs, &source));
}

void hsi_measured_stretch_of(const hsi_cost_table *table, const hsi_cost_key *key,
                             uint32_t most, hsi_curve *curve)
{
    hsi_cost_key own = *key;
    own.unit = HSI_COST_AT_ONCE;
    own.index = 0;
    own.batch = 2;
    fill_stretch(table, &own, hsi_cost_table_get(table, &own) ? most : 0, curve);
}

hsched_status hsi_measured_find(const hsi_measured *m, uint32_t device,
                                const hsi_measured_query *query,
                                hsi_measured_times *times)
{
    const int has_queue = m->backends[device]->queue_submit != NULL;
    hsi_cost_key key = { .model = query->model,
                         .unit = HSI_COST_SECTION,
                         .device = m->numbers[device],
                         .math = hsi_cost_math(has_queue, query->math),
                         .batch = 1,
                         .workers = 1 };
    double sum_us = 0;
    int all = 1;
    for (; key.index < query->sections; key.index++) {
        all &= times->wanted[key.index];
        if (!times->wanted[key.index])
            continue;
        const double us = times->us[key.index] = find_us(m, &key);
        sum_us += us;
        if (us <= 0)
            return hsi_error(
                HSCHED_ERROR_NOT_FOUND,
                "model '%s': how long section %u takes on device %u (%.100s) was not "
                "measured; run hsched profile with the same model, policy and precision",
                query->name, key.index, device,
                hsi_cost_table_device_text(m->table, m->numbers[device]));
    }
    key.unit = HSI_COST_RUN;
    key.index = 0;
    const double run_us = find_us(m, &key);
    for (uint32_t s = 0; all && run_us > 0 && s < query->sections; s++)
        times->us[s] *= run_us / sum_us;
    times->batch = (hsi_curve){ 0 };
    if (run_us > 0)
        find_batches(m, key, query->max_batch, run_us, &times->batch);
    hsi_measured_stretch_of(m->table, &key, query->jobs, &times->stretch);
    if (device == 0)
        find_teams(m, key, query, run_us, times);
    return HSCHED_OK;
}

void hsi_measured_stretch(const hsi_cost_table *table, uint32_t device, uint32_t most,
                          hsi_curve *curve)
{
    fill_stretch(table, &(hsi_cost_key){ .device = device }, most, curve);
}
