#include "cost/table.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"

hsched_status hsi_cost_table_create(hsi_cost_table **table)
{
    *table = HSI_NEW(hsi_cost_table);
    return *table ? HSCHED_OK : hsi_out_of_memory("a cost table");
}

void hsi_cost_table_destroy(hsi_cost_table *table)
{
    if (!table)
        return;
    for (uint32_t i = 0; i < table->series_count; i++)
        hsi_free(table->series[i].places);
    for (uint32_t i = 0; i < table->device_count; i++)
        hsi_free(table->devices[i]);
    hsi_free(table->series);
    hsi_free(table->buckets);
    hsi_free(table);
}

/* ---- Devices -------------------------------------------------------------- */

hsched_status hsi_cost_table_add_device(hsi_cost_table *table, const char *text,
                                        uint32_t cores, uint32_t *device)
{
    char clean[HSI_COST_DEVICE_TEXT];
    const size_t length = strlen(text);
    *device = 0;
    if (length == 0 || length >= sizeof clean)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "cost table: a device's text has %zu bytes; give 1 to %zu",
                         length, sizeof clean - 1);
    for (size_t i = 0; i <= length; i++)
        clean[i] = text[i] && (text[i] < ' ' || text[i] > '~') ? '_' : text[i];
    for (uint32_t d = 0; d < table->device_count; d++)
        if (strcmp(table->devices[d]->text, clean) == 0) {
            *device = d;
            return HSCHED_OK;
        }
    if (table->device_count == HSI_COST_DEVICES_MAX)
        return hsi_error(HSCHED_ERROR_LIMIT, "cost table: more than %d devices",
                         HSI_COST_DEVICES_MAX);
    hsi_cost_device *made = HSI_NEW(hsi_cost_device);
    if (!made)
        return hsi_out_of_memory("a device of the cost table");
    memcpy(made->text, clean, length + 1);
    made->cores = cores > 0 ? cores : 1;
    *device = table->device_count;
    table->devices[table->device_count++] = made;
    return HSCHED_OK;
}

uint32_t hsi_cost_table_device_count(const hsi_cost_table *table)
{
    return table->device_count;
}

const char *hsi_cost_table_device_text(const hsi_cost_table *table, uint32_t device)
{
    return device < table->device_count ? table->devices[device]->text : "";
}

/* ---- Series --------------------------------------------------------------- */

/* The finaliser of MurmurHash3 (Appleby): for the buckets only, nothing is stored by it. */
static uint64_t scatter(uint64_t value)
{
    value = (value ^ value >> 33) * UINT64_C(0xff51afd7ed558ccd);
    value = (value ^ value >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return value ^ value >> 33;
}

static uint64_t hash_of(const hsi_cost_key *key)
{
    const uint64_t what = (uint64_t)key->unit << 32 | key->index;
    const uint64_t where = (uint64_t)key->device << 32 | (uint32_t)key->math;
    return scatter(scatter(key->model ^ what) + where);
}

static int same_series(const hsi_cost_key *a, const hsi_cost_key *b)
{
    return a->model == b->model && a->unit == b->unit && a->index == b->index &&
           a->device == b->device && a->math == b->math;
}

hsi_cost_series *hsi_cost_find_series(const hsi_cost_table *table,
                                      const hsi_cost_key *key)
{
    if (table->bucket_count == 0)
        return NULL;
    uint64_t at = hash_of(key) & (table->bucket_count - 1);
    for (; table->buckets[at] != 0; at = (at + 1) & (table->bucket_count - 1)) {
        hsi_cost_series *series = &table->series[table->buckets[at] - 1];
        if (same_series(&series->key, key))
            return series;
    }
    return NULL;
}

static void insert_bucket(hsi_cost_table *table, uint32_t number)
{
    uint64_t at = hash_of(&table->series[number].key) & (table->bucket_count - 1);
    while (table->buckets[at] != 0)
        at = (at + 1) & (table->bucket_count - 1);
    table->buckets[at] = number + 1;
}

static hsched_status grow_buckets(hsi_cost_table *table)
{
    const uint32_t count = table->bucket_count ? 2 * table->bucket_count : 64;
    uint32_t *buckets = HSI_NEW_ARRAY(uint32_t, count);
    if (!buckets)
        return hsi_out_of_memory("the cost table");
    hsi_free(table->buckets);
    table->buckets = buckets;
    table->bucket_count = count;
    for (uint32_t i = 0; i < table->series_count; i++)
        insert_bucket(table, i);
    return HSCHED_OK;
}

static hsched_status make_series(hsi_cost_table *table, const hsi_cost_key *key,
                                 hsi_cost_series **series)
{
    if (2 * (table->series_count + 1) > table->bucket_count) {
        hsched_status status = grow_buckets(table);
        if (status != HSCHED_OK)
            return status;
    }
    if (!HSI_GROW(table->series, table->series_count, table->series_capacity))
        return hsi_out_of_memory("the cost table");
    *series = &table->series[table->series_count];
    **series = (hsi_cost_series){ .key = *key };
    (*series)->key.batch = (*series)->key.workers = 0;
    insert_bucket(table, table->series_count++);
    return HSCHED_OK;
}

/* ---- Points --------------------------------------------------------------- */

/* The first place of the series that is not before the key's. */
static uint32_t place_of(const hsi_cost_series *series, const hsi_cost_key *key)
{
    uint32_t at = 0;
    while (at < series->count) {
        const hsi_cost_key *k = &series->places[at].point.key;
        if (k->workers > key->workers ||
            (k->workers == key->workers && k->batch >= key->batch))
            break;
        at++;
    }
    return at;
}

hsi_cost_place *hsi_cost_find_place(const hsi_cost_table *table, const hsi_cost_key *key)
{
    hsi_cost_series *series = hsi_cost_find_series(table, key);
    if (!series)
        return NULL;
    const uint32_t at = place_of(series, key);
    if (at == series->count)
        return NULL;
    hsi_cost_place *place = &series->places[at];
    return place->point.key.batch == key->batch &&
                   place->point.key.workers == key->workers
               ? place
               : NULL;
}

static int is_time(double us)
{
    return us > 0 && us < 1e12; /* 11 days; false for NaN */
}

static int is_amount(double value)
{
    return value >= 0 && value < 1e18;
}

static hsched_status check_point(const hsi_cost_table *table, const hsi_cost_point *p)
{
    const hsi_cost_key *key = &p->key;
    if (key->device >= table->device_count || (unsigned)key->math > HSCHED_MATH_BF16 ||
        key->unit < HSI_COST_STEP || key->unit > HSI_COST_AT_ONCE || key->batch < 1 ||
        key->batch > HSI_COST_COUNT_MAX || key->workers < 1 ||
        key->workers > HSI_COST_COUNT_MAX)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "cost table: no such key (device %u, unit %d, math %d, batch %u, "
            "workers %u)",
            key->device, (int)key->unit, (int)key->math, key->batch, key->workers);
    if (!is_time(p->us) || !is_amount(p->spread_us) || !is_amount(p->work.flops) ||
        !is_amount(p->work.bytes) || !(fabs(p->correction.log) <= HSI_COST_LOG_MAX))
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "cost table: no such measurement (%g us, spread %g us, %g flops, "
            "%g bytes)",
            p->us, p->spread_us, p->work.flops, p->work.bytes);
    return HSCHED_OK;
}

static hsched_status insert(hsi_cost_table *table, hsi_cost_series *series,
                            const hsi_cost_point *point, hsi_cost_place **place)
{
    if (table->point_count == HSI_COST_POINTS_MAX)
        return hsi_error(HSCHED_ERROR_LIMIT, "cost table: more than %d entries",
                         HSI_COST_POINTS_MAX);
    if (!HSI_GROW(series->places, series->count, series->capacity))
        return hsi_out_of_memory("the cost table");
    const uint32_t at = place_of(series, &point->key);
    memmove(&series->places[at + 1], &series->places[at],
            (series->count - at) * sizeof series->places[0]);
    series->count++;
    table->point_count++;
    *place = &series->places[at];
    return HSCHED_OK;
}

static uint64_t entry_of(const hsi_cost_table *table, const hsi_cost_key *key)
{
    const hsi_cost_series *series = hsi_cost_find_series(table, key);
    return (uint64_t)(series - table->series) << 32 | key->workers << 16 | key->batch;
}

hsched_status hsi_cost_table_put(hsi_cost_table *table, const hsi_cost_point *point,
                                 int dirty)
{
    hsched_status status = check_point(table, point);
    if (status != HSCHED_OK)
        return status;
    hsi_cost_place *place = hsi_cost_find_place(table, &point->key);
    if (place) {
        hsi_cost_count_rates(table, &place->point, -1);
        hsi_cost_load_forget(&table->devices[point->key.device]->load,
                             entry_of(table, &point->key));
    } else {
        hsi_cost_series *series = hsi_cost_find_series(table, &point->key);
        if (!series)
            status = make_series(table, &point->key, &series);
        if (status == HSCHED_OK)
            status = insert(table, series, point, &place);
        if (status != HSCHED_OK)
            return status;
    }
    *place = (hsi_cost_place){ .point = *point, .dirty = dirty };
    hsi_cost_count_rates(table, point, 1);
    return HSCHED_OK;
}

const hsi_cost_point *hsi_cost_table_get(const hsi_cost_table *table,
                                         const hsi_cost_key *key)
{
    const hsi_cost_place *place = hsi_cost_find_place(table, key);
    return place ? &place->point : NULL;
}

/* ---- Jobs that were seen -------------------------------------------------- */

static void learn(hsi_cost_table *table, const hsi_cost_observation *learned)
{
    const hsi_cost_series *series = &table->series[learned->entry >> 32];
    hsi_cost_key key = series->key;
    key.workers = learned->entry >> 16 & 0xffff;
    key.batch = learned->entry & 0xffff;
    hsi_cost_place *place = hsi_cost_find_place(table, &key);
    hsi_cost_correct(&place->point.correction, learned->lesson, place->point.observed);
    place->dirty = 1;
}

static int is_known(const hsi_cost_point *point)
{
    return !point->observed || point->correction.count >= HSI_COST_KNOWN_AFTER;
}

hsched_status hsi_cost_table_observe(hsi_cost_table *table, uint64_t now_us,
                                     const hsi_cost_key *key, double jobs, double took_us)
{
    hsi_cost_point made = { .key = *key, .us = took_us, .samples = 1, .observed = 1 };
    hsi_cost_observation learned[HSI_COST_LOAD_WINDOW];
    hsi_cost_source source;
    hsched_status status = check_point(table, &made);
    if (status != HSCHED_OK)
        return status;
    const double stretch = hsi_cost_table_stretch_of(table, key, jobs, &source);
    hsi_cost_load *load = &table->devices[key->device]->load;
    const hsi_cost_point *point = hsi_cost_table_get(table, key);
    if (!point) {
        made.us = took_us / (stretch * exp(hsi_cost_load_log(load, now_us)));
        return hsi_cost_table_put(table, &made, 1);
    }
    const double lesson = log(took_us / (point->us * stretch));
    const double vote = lesson - point->correction.log;
    const hsi_cost_observation o = { .time_us = now_us,
                                     .entry = entry_of(table, key),
                                     .lesson = lesson,
                                     .vote = vote,
                                     .weight = took_us / (exp(vote) * fmax(jobs, 1)),
                                     .votes = is_known(point),
                                     .stretch = stretch };
    const uint32_t count = hsi_cost_load_observe(load, &o, took_us, learned);
    for (uint32_t i = 0; i < count; i++)
        learn(table, &learned[i]);
    return HSCHED_OK;
}

double hsi_cost_table_load(const hsi_cost_table *table, uint32_t device, uint64_t now_us)
{
    return device < table->device_count
               ? exp(hsi_cost_load_log(&table->devices[device]->load, now_us))
               : 1;
}
