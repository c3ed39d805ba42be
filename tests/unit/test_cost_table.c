/* The cost table: what is stored is found, what lies between is interpolated, and the answer says
 * which of these it is. And the hash that models are known by. */
#include "common/support.h"

#include <math.h>

#include "base/alloc.h"
#include "cost/cost.h"
#include "cost/hash.h"

static hsi_cost_table *table;
static uint32_t device;

static int make_table(void **state)
{
    (void)state;
    assert_ok(hsi_cost_table_create(&table));
    assert_ok(hsi_cost_table_add_device(table, "cpu: a processor", 4, &device));
    return 0;
}

static int destroy_table(void **state)
{
    (void)state;
    hsi_cost_table_destroy(table);
    table = NULL;
    return 0;
}

static hsi_cost_key key_of(uint32_t index, uint32_t batch, uint32_t workers)
{
    return (hsi_cost_key){ .model = 42,
                           .unit = HSI_COST_SECTION,
                           .index = index,
                           .device = device,
                           .math = HSCHED_MATH_STRICT,
                           .batch = batch,
                           .workers = workers };
}

static void put(uint32_t index, uint32_t batch, uint32_t workers, double us)
{
    const hsi_cost_point point = {
        .key = key_of(index, batch, workers), .us = us, .spread_us = us / 10, .samples = 9
    };
    assert_ok(hsi_cost_table_put(table, &point, 0));
}

static void expect_at(uint32_t index, uint32_t batch, uint32_t workers, uint32_t jobs,
                      double us, hsi_cost_source source)
{
    hsi_cost cost;
    const hsi_cost_key key = key_of(index, batch, workers);
    hsi_cost_table_find(table, &key, jobs, NULL, &cost);
    assert_int_equal(cost.source, source);
    if (!(fabs(cost.us - us) <= 1e-9 * us))
        fail_msg("batch %u, %u workers, %u jobs: %g us, not %g", batch, workers, jobs,
                 cost.us, us);
    if (source != HSI_COST_UNKNOWN && cost.spread_us > 0)
        assert_true(fabs(cost.spread_us - us / 10) <= 1e-9 * us);
}

static void what_is_not_there_is_unknown(void **state)
{
    (void)state;
    expect_at(0, 1, 1, 1, 0, HSI_COST_UNKNOWN);
    put(0, 1, 1, 100);
    expect_at(1, 1, 1, 1, 0, HSI_COST_UNKNOWN);
    expect_at(0, 1, 1, 1, 100, HSI_COST_MEASURED);
    hsi_cost cost;
    hsi_cost_key key = key_of(0, 1, 1);
    key.math = HSCHED_MATH_FP16;
    hsi_cost_table_find(table, &key, 1, NULL, &cost);
    assert_int_equal(cost.source, HSI_COST_UNKNOWN);
    key = key_of(0, 1, 1);
    key.unit = HSI_COST_STEP;
    hsi_cost_table_find(table, &key, 1, NULL, &cost);
    assert_int_equal(cost.source, HSI_COST_UNKNOWN);
    key = key_of(0, 0, 1);
    hsi_cost_table_find(table, &key, 1, NULL, &cost);
    assert_int_equal(cost.source, HSI_COST_UNKNOWN);
    key = key_of(0, 1, 1);
    key.device = 9;
    hsi_cost_table_find(table, &key, 3, NULL, &cost);
    assert_int_equal(cost.source, HSI_COST_UNKNOWN);
    assert_null(hsi_cost_table_get(table, &key));
}

static void between_batches(void **state)
{
    (void)state;
    put(0, 2, 1, 120);
    expect_at(0, 1, 1, 1, 120, HSI_COST_ESTIMATED); /* no faster than two */
    put(0, 16, 1, 400);
    put(0, 1, 1, 100);
    put(0, 4, 1, 160);
    expect_at(0, 1, 1, 1, 100, HSI_COST_MEASURED);
    expect_at(0, 3, 1, 1, 140, HSI_COST_INTERPOLATED);
    expect_at(0, 4, 1, 1, 160, HSI_COST_MEASURED);
    expect_at(0, 10, 1, 1, 280, HSI_COST_INTERPOLATED);
    expect_at(0, 32, 1, 1, 800, HSI_COST_ESTIMATED);
    put(0, 4, 1, 200); /* measured anew */
    expect_at(0, 4, 1, 1, 200, HSI_COST_MEASURED);
    expect_at(0, 3, 1, 1, 160, HSI_COST_INTERPOLATED);
}

/* 40 us that cannot be shared, 240 that can. */
static void between_workers(void **state)
{
    (void)state;
    put(0, 1, 6, 40 + 240 / 6.0);
    expect_at(0, 1, 3, 1, 160, HSI_COST_ESTIMATED); /* the whole of it shared */
    put(0, 1, 1, 280);
    put(0, 1, 3, 40 + 240 / 3.0);
    for (uint32_t workers = 1; workers <= 6; workers++)
        expect_at(0, 1, workers, 1, 40 + 240.0 / workers,
                  workers == 1 || workers == 3 || workers == 6 ? HSI_COST_MEASURED
                                                               : HSI_COST_INTERPOLATED);
    expect_at(0, 1, 60, 1, 80, HSI_COST_ESTIMATED); /* no faster than with 6 */
}

static void between_jobs_at_once(void **state)
{
    (void)state;
    hsi_cost_source source;
    put(0, 1, 1, 100);
    /* Nothing was measured: each has a core while there are any. */
    const hsi_cost_key alone = key_of(0, 1, 1);
    assert_true(hsi_cost_table_capacity_of(table, &alone, 8) == 0);
    expect_at(0, 1, 1, 4, 100, HSI_COST_ESTIMATED);
    expect_at(0, 1, 1, 8, 200, HSI_COST_ESTIMATED);
    assert_ok(hsi_cost_table_put_stretch(table, device, 8, 5, 0));
    assert_ok(hsi_cost_table_put_stretch(table, device, 2, 1.2, 0));
    assert_ok(hsi_cost_table_put_stretch(table, device, 4, 2.0, 0));
    expect_at(0, 1, 1, 0, 100, HSI_COST_MEASURED);
    expect_at(0, 1, 1, 1, 100, HSI_COST_MEASURED);
    expect_at(0, 1, 1, 2, 120, HSI_COST_MEASURED);
    expect_at(0, 1, 1, 3, 160, HSI_COST_INTERPOLATED);
    expect_at(0, 1, 1, 6, 350, HSI_COST_INTERPOLATED);
    expect_at(0, 1, 1, 16, 1000, HSI_COST_ESTIMATED);
    assert_ok(hsi_cost_table_put_stretch(table, device, 2, 1.5, 0));
    expect_at(0, 1, 1, 2, 150, HSI_COST_MEASURED);
    assert_true(hsi_cost_table_stretch(table, 5, 8, &source) == 1);
    assert_fails(hsi_cost_table_put_stretch(table, device, 1, 1, 0),
                 HSCHED_ERROR_INVALID_ARGUMENT, "cost table");
    assert_fails(hsi_cost_table_put_stretch(table, 7, 2, 1, 0),
                 HSCHED_ERROR_INVALID_ARGUMENT, "cost table");
    assert_fails(hsi_cost_table_put_stretch(table, device, 2, NAN, 0),
                 HSCHED_ERROR_INVALID_ARGUMENT, "cost table");
    for (uint32_t i = 3; i < HSI_COST_STRETCH_MAX; i++)
        assert_ok(hsi_cost_table_put_stretch(table, device, 10 * i, i, 0));
    assert_fails(hsi_cost_table_put_stretch(table, device, 5, 3, 0), HSCHED_ERROR_LIMIT,
                 "cost table");
}

static void put_at_once(uint32_t jobs, double factor)
{
    hsi_cost_point point = { .key = key_of(0, jobs, 1), .us = factor, .samples = 1 };
    point.key.unit = HSI_COST_AT_ONCE;
    assert_ok(hsi_cost_table_put(table, &point, 0));
}

static void a_models_own_jobs_at_once(void **state)
{
    (void)state;
    hsi_cost_source source;
    hsi_cost_key key = key_of(0, 1, 1), joined = key_of(0, 4, 1);
    key.unit = joined.unit = HSI_COST_RUN;
    assert_ok(hsi_cost_table_put_stretch(table, device, 2, 1.25, 0));
    assert_true(hsi_cost_table_stretch_of(table, &key, 2, &source) == 1.25);
    put_at_once(2, 1.75);
    put_at_once(4, 3.25);
    assert_true(hsi_cost_table_stretch_of(table, &key, 1, &source) == 1);
    assert_true(hsi_cost_table_stretch_of(table, &key, 2, &source) == 1.75);
    assert_int_equal(source, HSI_COST_MEASURED);
    assert_true(hsi_cost_table_stretch_of(table, &key, 3, &source) == 2.5);
    assert_int_equal(source, HSI_COST_INTERPOLATED);
    assert_true(hsi_cost_table_stretch_of(table, &key, 8, &source) == 6.5);
    assert_int_equal(source, HSI_COST_ESTIMATED);
    /* Beyond what was measured of it, it goes on as the device's curve does. */
    assert_ok(hsi_cost_table_put_stretch(table, device, 4, 1.5, 0));
    assert_ok(hsi_cost_table_put_stretch(table, device, 8, 1.8, 0));
    assert_true(fabs(hsi_cost_table_stretch_of(table, &key, 8, &source) - 3.25 * 1.2) <
                1e-9);
    assert_int_equal(source, HSI_COST_ESTIMATED);
    /* Two batches of four are no faster than one of eight would be. */
    const uint32_t batches[] = { 1, 4, 8 };
    const double us[] = { 100, 160, 304 };
    for (int i = 0; i < 3; i++) {
        hsi_cost_point point = { .key = key, .us = us[i], .samples = 1 };
        point.key.batch = batches[i];
        assert_ok(hsi_cost_table_put(table, &point, 0));
    }
    assert_true(fabs(hsi_cost_table_stretch_of(table, &joined, 2, &source) - 1.9) < 1e-9);
    /* What is done at the same time: 2 / 1.75 and 4 / 3.25 jobs, of joined ones 2 / 1.9. */
    assert_true(fabs(hsi_cost_table_capacity_of(table, &key, 4) - 4 / 3.25) < 1e-9);
    assert_true(fabs(hsi_cost_table_capacity_of(table, &key, 2) - 2 / 1.75) < 1e-9);
    assert_true(fabs(hsi_cost_table_capacity_of(table, &joined, 2) - 2 / 1.9) < 1e-9);
    /* Of jobs with a core each more may be there than were measured; of others that is not
     * known. */
    hsi_cost_key few = key;
    few.model += 2;
    few.unit = HSI_COST_AT_ONCE;
    few.batch = 2;
    assert_ok(hsi_cost_table_put(
        table, &(hsi_cost_point){ .key = few, .us = 1, .samples = 1 }, 0));
    assert_true(hsi_cost_table_capacity_of(table, &few, 4) == 4 / 1.2);
    key.model++; /* another one goes by the device's */
    assert_true(hsi_cost_table_stretch_of(table, &key, 2, &source) == 1.25);
    assert_true(hsi_cost_table_capacity_of(table, &key, 2) == 1.6);
}

/* 2 GFLOP take 1 ms, 1 MB takes 100 us. */
static void estimates_from_the_work(void **state)
{
    (void)state;
    hsi_cost cost;
    const hsi_cost_key unknown = key_of(9, 1, 1);
    const hsi_cost_work big = { 4e9, 1e6 }, wide = { 0, 3e6 }, both = { 2e7, 3e6 };
    hsi_cost_table_find(table, &unknown, 1, &wide, &cost);
    assert_int_equal(cost.source, HSI_COST_UNKNOWN);
    for (int i = 0; i < 2; i++) { /* the second time they replace what is there */
        hsi_cost_point p = { .key = key_of(0, 1, 1), .us = 1000, .work = { 2e9, 1e6 } };
        assert_ok(hsi_cost_table_put(table, &p, 0));
        p = (hsi_cost_point){ .key = key_of(1, 1, 1), .us = 100, .work = { 0, 1e6 } };
        assert_ok(hsi_cost_table_put(table, &p, 0));
        p = (hsi_cost_point){ .key = key_of(2, 1, 4), .us = 1, .work = { 0, 1e9 } };
        assert_ok(hsi_cost_table_put(table, &p, 0)); /* not alone: no rate */
    }
    hsi_cost_table_find(table, &unknown, 1, &big, &cost);
    assert_int_equal(cost.source, HSI_COST_ESTIMATED);
    assert_true(fabs(cost.us - 2000) < 1e-6);
    hsi_cost_table_find(table, &unknown, 1, &wide, &cost);
    assert_true(fabs(cost.us - 300) < 1e-6);
    hsi_cost_table_find(table, &unknown, 1, &both, &cost);
    assert_true(fabs(cost.us - 300) < 1e-6);
    hsi_cost_table_find(table, &unknown, 8, &both, &cost);
    assert_true(fabs(cost.us - 600) < 1e-6); /* eight jobs on four cores */
    hsi_cost_key batch = key_of(9, 3, 1);
    hsi_cost_table_find(table, &batch, 1, &wide, &cost);
    assert_true(fabs(cost.us - 900) < 1e-6);
    hsi_cost_table_find(table, &unknown, 1, NULL, &cost);
    assert_int_equal(cost.source, HSI_COST_UNKNOWN);
    hsi_cost_key other = unknown;
    other.math = HSCHED_MATH_FP16;
    hsi_cost_table_find(table, &other, 1, &wide, &cost);
    assert_int_equal(cost.source, HSI_COST_UNKNOWN);
}

static void devices_by_text(void **state)
{
    (void)state;
    uint32_t again, other;
    char text[400];
    assert_ok(hsi_cost_table_add_device(table, "cpu: a processor", 8, &again));
    assert_int_equal(again, device);
    assert_ok(hsi_cost_table_add_device(table, "gpu:\ta\ncard\xc3\xa4", 1, &other));
    assert_int_equal(other, 1);
    assert_string_equal(hsi_cost_table_device_text(table, other), "gpu:_a_card__");
    assert_string_equal(hsi_cost_table_device_text(table, 2), "");
    assert_fails(hsi_cost_table_add_device(table, "", 1, &other),
                 HSCHED_ERROR_INVALID_ARGUMENT, "text");
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_fails(hsi_cost_table_add_device(table, text, 1, &other),
                 HSCHED_ERROR_INVALID_ARGUMENT, "text");
    for (int i = 2; i < HSI_COST_DEVICES_MAX; i++) {
        snprintf(text, sizeof text, "device %d", i);
        assert_ok(hsi_cost_table_add_device(table, text, 1, &other));
    }
    assert_fails(hsi_cost_table_add_device(table, "one more", 1, &other),
                 HSCHED_ERROR_LIMIT, "devices");
    assert_int_equal(hsi_cost_table_device_count(table), HSI_COST_DEVICES_MAX);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    const hsi_cost_point good = { .key = key_of(0, 1, 1), .us = 1 };
    hsi_cost_point bad[14];
    for (int i = 0; i < 14; i++)
        bad[i] = good;
    bad[0].us = 0;
    bad[1].us = -1;
    bad[2].us = NAN;
    bad[3].us = INFINITY;
    bad[4].spread_us = -1;
    bad[5].work.flops = NAN;
    bad[6].work.bytes = -1;
    bad[7].key.batch = 0;
    bad[8].key.workers = 0;
    bad[9].key.workers = HSI_COST_COUNT_MAX + 1;
    bad[10].key.device = 1;
    bad[11].key.unit = 0;
    bad[12].key.math = (hsched_math)9;
    bad[13].correction.log = NAN;
    for (int i = 0; i < 14; i++)
        assert_fails(hsi_cost_table_put(table, &bad[i], 0), HSCHED_ERROR_INVALID_ARGUMENT,
                     "cost table");
    assert_null(hsi_cost_table_get(table, &good.key));
}

static void it_is_bounded(void **state)
{
    (void)state;
    hsi_cost_point point = { .us = 1 };
    for (uint32_t i = 0; i < HSI_COST_POINTS_MAX; i++) {
        point.key = key_of(i / 4, 1 + i % 4, 1);
        assert_ok(hsi_cost_table_put(table, &point, 0));
    }
    point.key = key_of(1, 9, 1);
    assert_fails(hsi_cost_table_put(table, &point, 0), HSCHED_ERROR_LIMIT, "entries");
    assert_fails(hsi_cost_table_observe(table, 1, &point.key, 1, 5), HSCHED_ERROR_LIMIT,
                 "entries");
    point.key = key_of(1, 1, 1); /* what is there can still be measured anew */
    assert_ok(hsi_cost_table_put(table, &point, 0));
}

static void what_is_dirty_is_taken_once(void **state)
{
    (void)state;
    hsi_cost_record *records;
    size_t count;
    put(0, 1, 1, 10);
    const hsi_cost_point point = { .key = key_of(1, 1, 1), .us = 20 };
    assert_ok(hsi_cost_table_put(table, &point, 1));
    assert_ok(hsi_cost_table_put_stretch(table, device, 2, 1.5, 1));
    assert_ok(hsi_cost_table_put_stretch(table, device, 4, 2.5, 0));
    assert_ok(hsi_cost_table_take_dirty(table, &records, &count));
    assert_int_equal(count, 2);
    assert_int_equal(records[0].point.key.index, 1);
    assert_true(records[1].point.us == 0 && records[1].jobs == 2);
    hsi_cost_record *none;
    size_t left;
    assert_ok(hsi_cost_table_take_dirty(table, &none, &left));
    assert_int_equal(left, 0);
    hsi_free(none);
    hsi_cost_table_mark_dirty(table, records, count);
    hsi_free(records);
    assert_ok(hsi_cost_table_take_dirty(table, &records, &count));
    assert_int_equal(count, 2);
    hsi_free(records);
}

/* Whatever was put last is found, beside a list that is searched from its end. */
static void random_tables_agree_with_a_list(void **state)
{
    (void)state;
    enum {
        PUTS = 3000
    };
    static hsi_cost_point list[PUTS];
    const char *given = getenv("HSCHED_TEST_SEED");
    uint32_t seed = given ? (uint32_t)atoi(given) : 1;
    for (uint32_t i = 0; i < PUTS; i++) {
        hsi_cost_key key = key_of(0, 1 + (uint32_t)((next_float(&seed) + 1) * 4),
                                  1 + (uint32_t)((next_float(&seed) + 1) * 3));
        key.index = (uint32_t)((next_float(&seed) + 1) * 20);
        key.model = (uint64_t)((next_float(&seed) + 1) * 3);
        key.unit = next_float(&seed) < 0 ? HSI_COST_STEP : HSI_COST_SECTION;
        list[i] = (hsi_cost_point){ .key = key, .us = 1.5 + next_float(&seed) };
        assert_ok(hsi_cost_table_put(table, &list[i], 0));
    }
    for (uint32_t i = 0; i < PUTS; i++) {
        uint32_t last = PUTS - 1;
        while (memcmp(&list[last].key, &list[i].key, sizeof list[i].key) != 0)
            last--;
        hsi_cost cost;
        hsi_cost_table_find(table, &list[i].key, 1, NULL, &cost);
        assert_int_equal(cost.source, HSI_COST_MEASURED);
        assert_true(cost.us == list[last].us);
        assert_true(hsi_cost_table_get(table, &list[i].key)->us == list[last].us);
    }
}

/* Between two neighbours no answer lies outside them, and more never takes less. */
static void random_interpolations_keep_the_order(void **state)
{
    (void)state;
    uint32_t seed = 5;
    for (uint32_t round = 0; round < 200; round++) {
        double us = 10;
        for (uint32_t batch = 1; batch <= 64;
             batch += 1 + (uint32_t)((next_float(&seed) + 1) * 8))
            put(round, batch, 1, us *= 1.5 + next_float(&seed) * 0.4);
        double before = 0;
        for (uint32_t batch = 1; batch <= 80; batch++) {
            hsi_cost cost;
            const hsi_cost_key key = key_of(round, batch, 1);
            hsi_cost_table_find(table, &key, 1, NULL, &cost);
            assert_true(cost.us >= before);
            before = cost.us;
        }
    }
}

static void without_memory_it_stays_as_it_was(void **state)
{
    (void)state;
    put(0, 1, 1, 100);
    uint64_t failures = 0;
    for (uint64_t k = 1;; k++) {
        const hsi_cost_point point = { .key = key_of(100, 1, 1), .us = 5 };
        hsi_alloc_fail_after(k);
        hsched_status status = HSCHED_OK;
        for (uint32_t i = 0; i < 70 && status == HSCHED_OK; i++) {
            hsi_cost_point p = point;
            p.key.index += i;
            status = hsi_cost_table_put(table, &p, 0);
        }
        hsi_alloc_fail_after(0);
        expect_at(0, 1, 1, 1, 100, HSI_COST_MEASURED);
        if (status == HSCHED_OK)
            break;
        assert_int_equal(status, HSCHED_ERROR_OUT_OF_MEMORY);
        failures++;
    }
    assert_true(failures > 10);
    for (uint32_t i = 0; i < 70; i++)
        expect_at(100 + i, 1, 1, 1, 5, HSI_COST_MEASURED);
}

/* ---- The hash of models --------------------------------------------------- */

typedef struct network {
    const char *name, *layer;
    int64_t size, channels, stride;
    uint32_t seed;
    int softmax;
} network;

static uint64_t hash_of(const network *n)
{
    hsched_graph *g;
    hsched_tensor x, y;
    hsched_conv2d_config config = { HSCHED_CONV2D_CONFIG_INIT,
                                    .strides = { n->stride, n->stride } };
    assert_ok(hsched_graph_create(n->name, &g));
    assert_ok(hsched_graph_add_input(g, "x", HSCHED_FLOAT32, 4,
                                     (int64_t[]){ 1, 3, n->size, n->size }, &x));
    assert_ok(hsched_graph_add_conv2d(
        g, n->layer, x,
        constant(g, 4, (int64_t[]){ n->channels, 3, 3, 3 }, 0.3f, n->seed),
        HSCHED_NO_TENSOR, &config, &y));
    if (n->softmax)
        assert_ok(hsched_graph_add_softmax(g, "s", y, 1, &y));
    assert_ok(hsched_graph_add_output(g, y));
    const uint64_t hash = hsi_cost_model_hash(g);
    hsched_graph_destroy(g);
    return hash;
}

static void models_are_known_by_what_their_times_depend_on(void **state)
{
    (void)state;
    const network base = { "a", "conv", 16, 8, 1, 1, 0 };
    network other = base;
    other.name = "b";
    other.layer = "another";
    other.seed = 99;
    assert_true(hash_of(&other) == hash_of(&base));
    network different[4] = { base, base, base, base };
    different[0].size = 17;
    different[1].channels = 9;
    different[2].stride = 2;
    different[3].softmax = 1;
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < i; k++)
            assert_true(hash_of(&different[i]) != hash_of(&different[k]));
    for (int i = 0; i < 4; i++)
        assert_true(hash_of(&different[i]) != hash_of(&base));
}

/* It is in files: it may not change with the compiler, the processor or the version. */
static void the_hash_is_fixed(void **state)
{
    (void)state;
    assert_true(hsi_cost_mix_text(HSI_COST_HASH_INIT, "") != HSI_COST_HASH_INIT);
    assert_true(hsi_cost_mix_text(hsi_cost_mix_text(1, "ab"), "c") !=
                hsi_cost_mix_text(hsi_cost_mix_text(1, "a"), "bc"));
    /* FNV-1a of eight zero bytes. */
    assert_true(hsi_cost_mix(HSI_COST_HASH_INIT, 0) == UINT64_C(0xa8c7f832281a39c5));
}

static void costs_are_of_the_math_that_is_computed_with(void **state)
{
    (void)state;
    assert_int_equal(hsi_cost_math(0, HSCHED_MATH_DEFAULT), HSCHED_MATH_DEFAULT);
    assert_int_equal(hsi_cost_math(0, HSCHED_MATH_STRICT), HSCHED_MATH_STRICT);
    assert_int_equal(hsi_cost_math(0, HSCHED_MATH_FP16), HSCHED_MATH_DEFAULT);
    assert_int_equal(hsi_cost_math(0, HSCHED_MATH_BF16), HSCHED_MATH_BF16);
    assert_int_equal(hsi_cost_math(1, HSCHED_MATH_FP16), HSCHED_MATH_FP16);
}

int main(void)
{
#define WITH_TABLE(test) cmocka_unit_test_setup_teardown(test, make_table, destroy_table)
    const struct CMUnitTest tests[] = {
        WITH_TABLE(what_is_not_there_is_unknown),
        WITH_TABLE(between_batches),
        WITH_TABLE(between_workers),
        WITH_TABLE(between_jobs_at_once),
        WITH_TABLE(a_models_own_jobs_at_once),
        WITH_TABLE(estimates_from_the_work),
        WITH_TABLE(devices_by_text),
        WITH_TABLE(nonsense_is_refused),
        WITH_TABLE(it_is_bounded),
        WITH_TABLE(what_is_dirty_is_taken_once),
        WITH_TABLE(random_tables_agree_with_a_list),
        WITH_TABLE(random_interpolations_keep_the_order),
        WITH_TABLE(without_memory_it_stays_as_it_was),
        cmocka_unit_test(models_are_known_by_what_their_times_depend_on),
        cmocka_unit_test(the_hash_is_fixed),
        cmocka_unit_test(costs_are_of_the_math_that_is_computed_with),
    };
    return cmocka_run_group_tests_name("cost table", tests, NULL, NULL);
}
