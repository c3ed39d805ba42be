/* Looking up: between what was measured, and beyond it. */
#include <math.h>

#include "base/status.h"
#include "cost/table.h"

static hsi_cost_source worse(hsi_cost_source a, hsi_cost_source b)
{
    return a < b ? a : b;
}

/* ---- Jobs at once --------------------------------------------------------- */

double hsi_cost_table_stretch(const hsi_cost_table *table, uint32_t device, double jobs,
                              hsi_cost_source *source)
{
    *source = HSI_COST_MEASURED;
    if (jobs <= 1 || device >= table->device_count)
        return 1;
    const hsi_cost_device *d = table->devices[device];
    double below = 1, below_factor = 1;
    for (uint32_t i = 0; i < d->stretch_count; i++) {
        const hsi_cost_stretch_point *s = &d->stretch[i];
        if (!(s->jobs < jobs) && !(s->jobs > jobs))
            return s->factor;
        if (s->jobs > jobs) {
            *source = HSI_COST_INTERPOLATED;
            return below_factor +
                   (s->factor - below_factor) * (jobs - below) / (s->jobs - below);
        }
        below = s->jobs;
        below_factor = s->factor;
    }
    *source = HSI_COST_ESTIMATED;
    /* What is full gains nothing from more; those that have a core of their own go on as they
     * did. */
    if (d->cores > below)
        below = d->cores;
    return jobs > below ? below_factor * jobs / below : below_factor;
}

hsched_status hsi_cost_table_put_stretch(hsi_cost_table *table, uint32_t device,
                                         uint32_t jobs, double factor, int dirty)
{
    if (device >= table->device_count || jobs < 2 || jobs > HSI_COST_COUNT_MAX ||
        !(factor > 0 && factor <= HSI_COST_COUNT_MAX))
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "cost table: device %u, %u jobs at once, factor %g", device,
                         jobs, factor);
    hsi_cost_device *d = table->devices[device];
    uint32_t at = 0;
    while (at < d->stretch_count && d->stretch[at].jobs < jobs)
        at++;
    if (at == d->stretch_count || d->stretch[at].jobs != jobs) {
        if (d->stretch_count == HSI_COST_STRETCH_MAX)
            return hsi_error(HSCHED_ERROR_LIMIT,
                             "cost table: more than %d numbers of jobs at once",
                             HSI_COST_STRETCH_MAX);
        for (uint32_t i = d->stretch_count++; i > at; i--)
            d->stretch[i] = d->stretch[i - 1];
    }
    d->stretch[at] =
        (hsi_cost_stretch_point){ .jobs = jobs, .factor = factor, .dirty = dirty };
    return HSCHED_OK;
}

/* ---- Batches and workers -------------------------------------------------- */

typedef struct answer {
    double us, raw_us, spread_us; /* corrected; not corrected; corrected */
    hsi_cost_source source;
} answer;

static answer of_point(const hsi_cost_point *p)
{
    const double factor = exp(p->correction.log);
    return (answer){ .us = p->us * factor,
                     .raw_us = p->us,
                     .spread_us = p->spread_us * factor,
                     .source = p->observed ? HSI_COST_OBSERVED : HSI_COST_MEASURED };
}

static answer between(const answer *a, const answer *b, double share)
{
    return (answer){ .us = a->us + share * (b->us - a->us),
                     .raw_us = a->raw_us + share * (b->raw_us - a->raw_us),
                     .spread_us = a->spread_us + share * (b->spread_us - a->spread_us),
                     .source =
                         worse(HSI_COST_INTERPOLATED, worse(a->source, b->source)) };
}

static answer scaled(const answer *a, double factor)
{
    return (answer){ .us = a->us * factor,
                     .raw_us = a->raw_us * factor,
                     .spread_us = a->spread_us * factor,
                     .source = HSI_COST_ESTIMATED };
}

/* places[0..count - 1]: of one number of workers. */
static answer at_batch(const hsi_cost_place *places, uint32_t count, double batch)
{
    uint32_t above = 0;
    while (above < count && places[above].point.key.batch < batch)
        above++;
    if (above == count) {
        const answer last = of_point(&places[count - 1].point);
        return scaled(&last, batch / places[count - 1].point.key.batch);
    }
    const answer high = of_point(&places[above].point);
    if (!(places[above].point.key.batch > batch))
        return high;
    if (above == 0)
        return scaled(&high, 1);
    const answer low = of_point(&places[above - 1].point);
    const double from = places[above - 1].point.key.batch;
    return between(&low, &high, (batch - from) / (places[above].point.key.batch - from));
}

static uint32_t workers_at(const hsi_cost_series *series, uint32_t at)
{
    return series->places[at].point.key.workers;
}

static uint32_t end_of_workers(const hsi_cost_series *series, uint32_t first)
{
    uint32_t end = first;
    while (end < series->count && workers_at(series, end) == workers_at(series, first))
        end++;
    return end;
}

/* Linear in 1 / workers: exact where a part can be shared and the rest cannot (Amdahl). */
static answer at_workers(const hsi_cost_series *series, uint32_t workers, double batch)
{
    uint32_t below = UINT32_MAX, below_end = 0;
    for (uint32_t first = 0, end; first < series->count; first = end) {
        end = end_of_workers(series, first);
        const answer high = at_batch(&series->places[first], end - first, batch);
        const uint32_t at = workers_at(series, first);
        if (at == workers)
            return high;
        if (at < workers) {
            below = first;
            below_end = end;
            continue;
        }
        if (below == UINT32_MAX)
            return scaled(&high, (double)at / workers);
        const answer low = at_batch(&series->places[below], below_end - below, batch);
        const double from = 1.0 / workers_at(series, below);
        return between(&low, &high, (from - 1.0 / workers) / (from - 1.0 / at));
    }
    const answer last = at_batch(&series->places[below], below_end - below, batch);
    return scaled(&last, 1);
}

/* ---- A model's jobs at once ------------------------------------------------ */

/* Of more jobs than were measured of the model: as much longer as the device's own curve says of
 * other models, or its cores. */
static double stretch_beyond(const hsi_cost_table *table, const hsi_cost_key *key,
                             const hsi_cost_point *last, double jobs)
{
    hsi_cost_source source;
    return last->us * hsi_cost_table_stretch(table, key->device, jobs, &source) /
           hsi_cost_table_stretch(table, key->device, last->key.batch, &source);
}

static double stretch_of_model(const hsi_cost_table *table, const hsi_cost_key *key,
                               double jobs, hsi_cost_source *source)
{
    hsi_cost_key own = *key;
    own.unit = HSI_COST_AT_ONCE;
    own.index = 0;
    const hsi_cost_series *series = hsi_cost_find_series(table, &own);
    if (!series || series->count == 0)
        return hsi_cost_table_stretch(table, key->device, jobs, source);
    const hsi_cost_point *first = &series->places[0].point,
                         *last = &series->places[series->count - 1].point;
    *source = HSI_COST_ESTIMATED;
    if (jobs > last->key.batch)
        return stretch_beyond(table, key, last, jobs);
    if (jobs < first->key.batch) { /* alone it is 1 */
        *source = HSI_COST_INTERPOLATED;
        return 1 + (first->us - 1) * (jobs - 1) / (first->key.batch - 1);
    }
    const answer found = at_batch(series->places, series->count, jobs);
    *source = found.source;
    return found.us;
}

/* A full device is not made faster by cutting what is joined into jobs. */
static double stretch_of_joined(const hsi_cost_table *table, const hsi_cost_key *key,
                                double jobs)
{
    if (key->unit != HSI_COST_RUN || key->batch < 2)
        return 0;
    const hsi_cost_series *series = hsi_cost_find_series(table, key);
    if (!series || series->count == 0)
        return 0;
    return at_workers(series, key->workers, key->batch * jobs).us /
           at_workers(series, key->workers, key->batch).us;
}

double hsi_cost_table_stretch_of(const hsi_cost_table *table, const hsi_cost_key *key,
                                 double jobs, hsi_cost_source *source)
{
    *source = HSI_COST_MEASURED;
    if (jobs <= 1)
        return 1;
    const double stretch = stretch_of_model(table, key, jobs, source);
    const double joined = stretch_of_joined(table, key, jobs);
    return joined > stretch ? joined : stretch;
}

double hsi_cost_table_capacity_of(const hsi_cost_table *table, const hsi_cost_key *key,
                                  uint32_t most_jobs)
{
    const uint32_t cores =
        key->device < table->device_count ? table->devices[key->device]->cores : 1;
    double most = 0;
    int known = 0;
    for (uint32_t jobs = 1; (jobs = hsi_cost_next_number(jobs, most_jobs)) > 0;) {
        hsi_cost_source source;
        const double stretch = hsi_cost_table_stretch_of(table, key, jobs, &source);
        known |= source >= HSI_COST_INTERPOLATED;
        if (source < HSI_COST_INTERPOLATED && jobs > cores)
            break; /* jobs with a core each go on as they did */
        if (jobs / stretch > most)
            most = jobs / stretch;
    }
    return !known ? 0 : most < 1 ? 1 : most;
}

void hsi_cost_table_find(const hsi_cost_table *table, const hsi_cost_key *key,
                         uint32_t jobs, const hsi_cost_work *work, hsi_cost *cost)
{
    hsi_cost_source source;
    answer found = { 0 };
    *cost = (hsi_cost){ .stretch = 1, .correction = 1 };
    if (key->batch < 1 || key->workers < 1)
        return;
    const hsi_cost_series *series = hsi_cost_find_series(table, key);
    if (series && series->count > 0) {
        found = at_workers(series, key->workers, key->batch);
    } else {
        found.us = found.raw_us = hsi_cost_estimate(table, key, work) * key->batch;
        found.source = HSI_COST_ESTIMATED;
    }
    if (!(found.us > 0))
        return;
    cost->stretch = hsi_cost_table_stretch_of(table, key, jobs, &source);
    cost->us = found.us * cost->stretch;
    cost->spread_us = found.spread_us * cost->stretch;
    cost->correction = found.us / found.raw_us;
    cost->source = worse(found.source, source);
}
