/* Online correction in virtual time: what goes to the entry, what to the device, what nowhere. */
#include "common/support.h"

#include <math.h>

#include "cost/cost.h"

enum {
    JOB_US = 1000,
    ENTRIES_MAX = 40
};

/* A device that executes sections 0 .. entries - 1 in turn, one job a millisecond. */
typedef struct world {
    hsi_cost_table *table;
    uint32_t device, entries;
    uint64_t now_us;
    uint32_t seed;
    double load;               /* of the device */
    double wrong[ENTRIES_MAX]; /* the truth by what the table says */
    double base[ENTRIES_MAX];
    double jitter;   /* standard deviation */
    double outliers; /* share of jobs that take ten times as long */
    int random_order;
    uint32_t next;
} world;

static double uniform(world *w)
{
    return (next_float(&w->seed) + 1) / 2;
}

static double normal(world *w)
{
    double sum = 0;
    for (int i = 0; i < 12; i++)
        sum += uniform(w);
    return sum - 6;
}

static hsi_cost_key key_of(const world *w, uint32_t entry)
{
    return (hsi_cost_key){ .model = 7,
                           .unit = HSI_COST_SECTION,
                           .index = entry,
                           .device = w->device,
                           .math = HSCHED_MATH_STRICT,
                           .batch = 1,
                           .workers = 1 };
}

static void begin(world *w, uint32_t entries, uint32_t seed)
{
    const char *given =
        getenv("HSCHED_TEST_SEED"); /* other worlds, as many as one likes */
    if (given)
        seed = seed * 2654435761u + (uint32_t)atoi(given);
    *w = (world){ .entries = entries, .seed = seed, .load = 1, .now_us = 1000000 };
    assert_ok(hsi_cost_table_create(&w->table));
    assert_ok(hsi_cost_table_add_device(w->table, "device", 1, &w->device));
    for (uint32_t i = 0; i < entries; i++) {
        w->wrong[i] = 1;
        w->base[i] = JOB_US * (0.5 + uniform(w));
        const hsi_cost_point point = { .key = key_of(w, i),
                                       .us = w->base[i],
                                       .samples = 5 };
        assert_ok(hsi_cost_table_put(w->table, &point, 0));
    }
}

static void end(world *w)
{
    hsi_cost_table_destroy(w->table);
}

static void one_job(world *w)
{
    const uint32_t entry = w->random_order
                               ? (uint32_t)(uniform(w) * w->entries) % w->entries
                               : w->next++ % w->entries;
    double took = w->base[entry] * w->wrong[entry] * w->load;
    took *= exp(w->jitter * normal(w));
    if (uniform(w) < w->outliers)
        took *= 10;
    w->now_us += (uint64_t)took;
    const hsi_cost_key key = key_of(w, entry);
    assert_ok(hsi_cost_table_observe(w->table, w->now_us, &key, 1, took));
}

static void run_for(world *w, uint64_t us)
{
    const uint64_t until = w->now_us + us;
    while (w->now_us < until)
        one_job(w);
}

static double load_of(const world *w)
{
    return hsi_cost_table_load(w->table, w->device, w->now_us);
}

static double correction_of(const world *w, uint32_t entry)
{
    const hsi_cost_key key = key_of(w, entry);
    return exp(hsi_cost_table_get(w->table, &key)->correction.log);
}

static void expect_near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%g is not within %g of %g", value, tolerance, expected);
}

static void expect_corrections(const world *w, double expected, double tolerance)
{
    for (uint32_t i = 0; i < w->entries; i++)
        expect_near(correction_of(w, i), expected, tolerance);
}

/* Does the load pass this threshold within so much time? Returns when, after now. */
static uint64_t until_load(world *w, double threshold, int above)
{
    const uint64_t from = w->now_us;
    while (w->now_us < from + 1000000) {
        one_job(w);
        if ((load_of(w) >= threshold) == above)
            return w->now_us - from;
    }
    return UINT64_MAX;
}

/* ---- Steps of the device -------------------------------------------------- */

static void a_slower_device_is_noticed_and_forgotten(void **state)
{
    (void)state;
    static const uint32_t entries[] = { 2, 3, 5, 20, 40 };
    for (uint32_t k = 0; k < sizeof entries / sizeof entries[0]; k++)
        for (uint32_t seed = 1; seed <= 10; seed++) {
            /* With two it takes both to tell: see docs/design/cost.md. */
            const double most = entries[k] == 2 ? 0.1 : 0.07;
            world w;
            begin(&w, entries[k], seed);
            w.jitter = 0.03;
            w.random_order = seed % 2;
            run_for(&w, 1000000);
            expect_near(load_of(&w), 1, 0);
            w.load = 2;
            assert_true(until_load(&w, 1.8, 1) < 200000);
            run_for(&w, 3000000);
            expect_near(load_of(&w), 2, 0.3);
            expect_corrections(&w, 1, most);
            w.load = 1;
            assert_true(until_load(&w, 1.001, 0) < 200000);
            run_for(&w, 1000000);
            expect_near(load_of(&w), 1, 0);
            expect_corrections(&w, 1, most);
            end(&w);
        }
}

/* Loads that come and go all the time, which is when a table could go wrong for good. */
static void many_loads_leave_no_trace(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 5; seed++) {
        world w;
        begin(&w, 6, seed);
        w.jitter = 0.05;
        for (int i = 0; i < 200; i++) {
            w.load = 1 + (i % 2) * (0.3 + 3 * uniform(&w));
            run_for(&w, 20000 + (uint64_t)(uniform(&w) * 300000));
        }
        expect_corrections(&w, 1, 0.06);
        end(&w);
    }
}

static void a_load_is_forgotten_when_nothing_runs(void **state)
{
    (void)state;
    world w;
    begin(&w, 10, 1);
    w.load = 3;
    run_for(&w, 500000);
    expect_near(load_of(&w), 3, 0.01);
    w.now_us += 90000;
    expect_near(load_of(&w), 3, 0.01);
    w.now_us += 60000;
    assert_true(load_of(&w) < 2);
    w.now_us += 50000;
    expect_near(load_of(&w), 1, 0);
    end(&w);
}

static void jobs_of_seconds_are_seen_too(void **state)
{
    (void)state;
    world w;
    begin(&w, 4, 1);
    for (uint32_t i = 0; i < 4; i++) {
        w.base[i] *= 1000;
        const hsi_cost_point point = { .key = key_of(&w, i),
                                       .us = w.base[i],
                                       .samples = 1 };
        assert_ok(hsi_cost_table_put(w.table, &point, 0));
    }
    w.load = 2;
    for (int i = 0; i < 6; i++)
        one_job(&w);
    expect_near(load_of(&w), 2, 0.01);
    end(&w);
}

/* ---- Wrong entries -------------------------------------------------------- */

static void a_wrong_entry_is_corrected(void **state)
{
    (void)state;
    static const double factors[] = { 3, 1.3, 0.5 };
    for (uint32_t k = 0; k < 3; k++)
        for (uint32_t entries = 2; entries <= 40; entries += 19) {
            world w;
            begin(&w, entries, 4 + k);
            w.jitter = 0.03;
            w.wrong[1] = factors[k];
            for (int i = 0; i < 20; i++) {
                run_for(&w, 500000);
                expect_near(load_of(&w), 1, 0);
            }
            expect_near(correction_of(&w, 1), factors[k], 0.05 * factors[k]);
            w.wrong[1] = 1;
            for (uint32_t i = 0; i < entries; i++)
                if (i != 1)
                    expect_near(correction_of(&w, i), 1, 0.03);
            end(&w);
        }
}

/* It is the number of entries that counts, not how often one of them runs. */
static void an_entry_that_runs_most_is_one_entry(void **state)
{
    (void)state;
    world w;
    begin(&w, 3, 1);
    w.jitter = 0.03;
    w.wrong[0] = 4;
    for (int i = 0; i < 3000; i++) {
        static const uint32_t order[] = { 0, 0, 0, 1, 0, 0, 0, 2 };
        w.next = order[i % 8];
        one_job(&w);
        if (i > 8)
            expect_near(load_of(&w), 1, 0);
    }
    expect_near(correction_of(&w, 0), 4, 0.2);
    expect_near(correction_of(&w, 1), 1, 0.03);
    end(&w);
}

static void a_wrong_entry_and_a_slower_device(void **state)
{
    (void)state;
    world w;
    begin(&w, 12, 2);
    w.jitter = 0.03;
    w.wrong[5] = 2.5;
    run_for(&w, 4000000);
    w.load = 2;
    run_for(&w, 4000000);
    expect_near(load_of(&w), 2, 0.15);
    w.load = 1;
    run_for(&w, 4000000);
    expect_near(load_of(&w), 1, 0);
    expect_near(correction_of(&w, 5), 2.5, 0.13);
    expect_near(correction_of(&w, 6), 1, 0.03);
    end(&w);
}

/* What cannot be told apart: docs/design/cost.md. With one entry all is load, and the product,
 * which is what a prediction is, is right. */
static void a_device_with_one_entry_has_only_a_load(void **state)
{
    (void)state;
    world w;
    begin(&w, 1, 1);
    w.wrong[0] = 3;
    run_for(&w, 5000000);
    expect_near(correction_of(&w, 0) * load_of(&w), 3, 0.05);
    expect_near(load_of(&w), 3, 0.05);
    end(&w);
}

static void small_errors_of_all_entries_are_theirs(void **state)
{
    (void)state;
    world w;
    begin(&w, 8, 1);
    for (uint32_t i = 0; i < 8; i++)
        w.wrong[i] = 1.08;
    run_for(&w, 10000000);
    expect_near(load_of(&w), 1, 0);
    expect_corrections(&w, 1.08, 0.01);
    end(&w);
}

/* ---- Noise ---------------------------------------------------------------- */

static void noise_moves_neither(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 20; seed++) {
        world w;
        begin(&w, 2 + seed % 4 * 9, seed);
        w.jitter = 0.1;
        w.outliers = 0.02;
        w.random_order = seed % 2;
        run_for(&w, 200000);
        for (int i = 0; i < 5000; i++) {
            one_job(&w);
            expect_near(load_of(&w), 1, 0.3);
        }
        expect_corrections(&w, 1, 0.12);
        double sum = 0;
        for (uint32_t i = 0; i < w.entries; i++)
            sum += log(correction_of(&w, i));
        expect_near(sum / w.entries, 0, 0.05);
        end(&w);
    }
}

/* Corrections and load could drift against each other: a long time, and they have not. */
static void nothing_drifts(void **state)
{
    (void)state;
    world w;
    begin(&w, 5, 1);
    w.jitter = 0.1;
    w.outliers = 0.01;
    run_for(&w, UINT64_C(300000000));
    expect_near(load_of(&w), 1, 0.2);
    expect_corrections(&w, 1, 0.12);
    end(&w);
}

/* ---- Entries made from jobs ----------------------------------------------- */

static void what_nobody_measured_is_learned(void **state)
{
    (void)state;
    world w;
    hsi_cost cost;
    begin(&w, 6, 1);
    w.jitter = 0.02;
    const hsi_cost_key key = key_of(&w, 20);
    hsi_cost_table_find(w.table, &key, 1, NULL, &cost);
    assert_int_equal(cost.source, HSI_COST_UNKNOWN);
    run_for(&w, 200000);
    w.load =
        2; /* the first job that is seen of it is under load, and ten times too long */
    run_for(&w, 200000);
    assert_ok(hsi_cost_table_observe(w.table, w.now_us, &key, 1, 20000));
    w.load = 1;
    run_for(&w, 500000);
    for (int i = 0; i < 300; i++) {
        one_job(&w);
        w.now_us += JOB_US;
        assert_ok(hsi_cost_table_observe(w.table, w.now_us, &key, 1, JOB_US));
        expect_near(load_of(&w), 1, 0);
    }
    hsi_cost_table_find(w.table, &key, 1, NULL, &cost);
    assert_int_equal(cost.source, HSI_COST_OBSERVED);
    expect_near(cost.us, JOB_US, 0.05 * JOB_US);
    end(&w);
}

static void our_own_jobs_at_once_are_no_load(void **state)
{
    (void)state;
    world w;
    begin(&w, 4, 1);
    assert_ok(hsi_cost_table_put_stretch(w.table, w.device, 4, 2.5, 0));
    for (int i = 0; i < 400; i++) {
        const hsi_cost_key key = key_of(&w, (uint32_t)i % 4);
        w.now_us += JOB_US;
        assert_ok(
            hsi_cost_table_observe(w.table, w.now_us, &key, 4, 2.5 * w.base[i % 4]));
    }
    expect_near(load_of(&w), 1, 0);
    expect_corrections(&w, 1, 0.001);
    end(&w);
}

/* Bursts of one job of each entry, all there from the beginning, which a device that is full
 * with one serves one after the other, in turn or from the first entry on. Each job tells the
 * harmonic mean of how many were there, as queues do. */
static void bursts(world *w, int how_many, double load, int in_turn)
{
    for (int b = 0; b < how_many; b++) {
        double now = 0, shares = 0;
        for (uint32_t i = 0; i < w->entries; i++) {
            const uint32_t entry = in_turn ? (i + (uint32_t)b) % w->entries : i;
            const double took = load * w->base[entry];
            now += took;
            shares += took / (w->entries - i);
            const hsi_cost_key key = key_of(w, entry);
            w->now_us += (uint64_t)took;
            assert_ok(
                hsi_cost_table_observe(w->table, w->now_us, &key, now / shares, now));
        }
    }
}

static void the_order_of_jobs_is_no_load(void **state)
{
    (void)state;
    for (uint32_t entries = 2; entries <= 8; entries += 2)
        for (int in_turn = 0; in_turn < 2; in_turn++) {
            world w;
            begin(&w, entries, 1);
            assert_ok(hsi_cost_table_put_stretch(w.table, w.device, 16, 16, 0));
            bursts(&w, 40, 1, in_turn);
            expect_near(load_of(&w), 1, 0.2);
            bursts(&w, 40, 2, in_turn);
            expect_near(load_of(&w), 2, 0.4);
            end(&w);
        }
}

static void who_shares_a_device_learns_little(void **state)
{
    (void)state;
    world w;
    begin(&w, 5, 1);
    assert_ok(hsi_cost_table_put_stretch(w.table, w.device, 16, 16, 0));
    bursts(&w, 400, 1, 0);
    for (uint32_t i = 0; i + 2 < w.entries; i++) /* two had half of it or more */
        expect_near(correction_of(&w, i), 1, 0);
    end(&w);
}

static void measuring_anew_starts_anew(void **state)
{
    (void)state;
    world w;
    begin(&w, 3, 1);
    w.wrong[2] = 2;
    run_for(&w, 2000000);
    assert_true(correction_of(&w, 2) > 1.5);
    w.base[2] *= 2;
    w.wrong[2] = 1;
    const hsi_cost_point point = { .key = key_of(&w, 2), .us = w.base[2], .samples = 5 };
    assert_ok(hsi_cost_table_put(w.table, &point, 0));
    expect_near(correction_of(&w, 2), 1, 0);
    run_for(&w, 2000000);
    expect_corrections(&w, 1, 0.01);
    end(&w);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    world w;
    begin(&w, 3, 1);
    const hsi_cost_key key = key_of(&w, 0);
    const double bad[] = { 0, -1, NAN, INFINITY, 1e300 };
    for (uint32_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_fails(hsi_cost_table_observe(w.table, w.now_us, &key, 1, bad[i]),
                     HSCHED_ERROR_INVALID_ARGUMENT, "cost table");
    /* Times that go back are read as now. */
    for (int i = 0; i < 100; i++)
        assert_ok(hsi_cost_table_observe(w.table, (uint64_t)(1000000 - i * 1000), &key, 1,
                                         w.base[0]));
    expect_near(load_of(&w), 1, 0);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slower_device_is_noticed_and_forgotten),
        cmocka_unit_test(many_loads_leave_no_trace),
        cmocka_unit_test(a_load_is_forgotten_when_nothing_runs),
        cmocka_unit_test(jobs_of_seconds_are_seen_too),
        cmocka_unit_test(a_wrong_entry_is_corrected),
        cmocka_unit_test(an_entry_that_runs_most_is_one_entry),
        cmocka_unit_test(a_wrong_entry_and_a_slower_device),
        cmocka_unit_test(a_device_with_one_entry_has_only_a_load),
        cmocka_unit_test(small_errors_of_all_entries_are_theirs),
        cmocka_unit_test(noise_moves_neither),
        cmocka_unit_test(nothing_drifts),
        cmocka_unit_test(what_nobody_measured_is_learned),
        cmocka_unit_test(our_own_jobs_at_once_are_no_load),
        cmocka_unit_test(the_order_of_jobs_is_no_load),
        cmocka_unit_test(who_shares_a_device_learns_little),
        cmocka_unit_test(measuring_anew_starts_anew),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests_name("cost: load and corrections", tests, NULL, NULL);
}
