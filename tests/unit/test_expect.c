/* When to look for the end of a job: simulated jobs, and who looks for them. */
#include "common/support.h"

#include "worker/expect.h"

enum {
    MARGIN = 20,
    LOOK_US = 40,
    SLEEP_US = 25,
    ROUNDS = 4000
};

typedef struct outcome {
    uint64_t late_us;   /* the end was noticed so long after it */
    uint64_t polled_us; /* spent polling */
    uint32_t looks;     /* from sleep */
} outcome;

/* A job that takes `took_us`: looks as the queue does, polling once the next look is near. */
static outcome watch(hsi_flight *f, uint64_t took_us)
{
    outcome o = { 0 };
    f->started_ns = f->unfinished_ns = UINT64_C(1000000000);
    const uint64_t started = f->started_ns / 1000, end = started + took_us;
    uint64_t now = started;
    while (now < end) {
        f->unfinished_ns = now * 1000;
        const uint64_t look = hsi_expect_look_us(f, MARGIN);
        if (look > now + 1) {
            now = look;
            o.looks++;
        } else {
            now++;
            o.polled_us++;
        }
    }
    o.late_us = now - end;
    hsi_expect_learn(f, now * 1000);
    return o;
}

static void test_steady_jobs(void **state)
{
    (void)state;
    static const uint64_t lengths[] = { 30, 150, 1000, 20000 };
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        float expected = 0;
        hsi_flight f = { .expected_us = &expected };
        for (int k = 0; k < 30; k++)
            watch(&f, lengths[i]);
        const outcome o = watch(&f, lengths[i]);
        assert_true(o.late_us == 0);
        assert_true(o.polled_us <= 2 * MARGIN && o.looks <= 1);
    }
}

/* Even the first, of which nothing is known, is not late by more than half. */
static void test_longer_than_expected(void **state)
{
    (void)state;
    for (uint64_t took = 100; took < 100000; took = took * 5 / 4) {
        for (float first = 0; first < 1000; first = first * 3 + 10) {
            float expected = first;
            hsi_flight f = { .expected_us = &expected };
            const uint64_t overdue = took > (uint64_t)first ? took - (uint64_t)first : 0;
            const outcome o = watch(&f, took);
            if (overdue > 0) {
                assert_true(o.late_us <= overdue / 2 + 10);
                assert_true(o.polled_us <= 3 * MARGIN && o.looks < 30);
            }
        }
    }
}

/* One that was expected too late is soon expected earlier; one job that took long, since others
 * were in its way, changes little. */
static void test_learning(void **state)
{
    (void)state;
    float expected = 0;
    hsi_flight f = { .expected_us = &expected };
    for (int k = 0; k < 20; k++)
        watch(&f, 5000);
    for (int k = 0; k < 25; k++)
        watch(&f, 300);
    assert_true(watch(&f, 300).late_us == 0);
    assert_true(expected > 250 && expected < 320);
    watch(&f, 900);
    assert_true(expected < 480);
    for (int k = 0; k < 30; k++)
        watch(&f, 900);
    assert_true(watch(&f, 900).late_us == 0);
    assert_true(expected > 700 && expected < 920);
}

/* The margin follows how late sleeping is, quickly up and slowly down, within limits. */
static void test_margin(void **state)
{
    (void)state;
    hsi_queue *q = calloc(1, sizeof *q);
    assert_non_null(q);
    const uint64_t least = hsi_expect_margin_us(q);
    assert_true(least > 0 && least < 20);
    hsi_expect_slept(q, 1000, 1040);
    assert_int_equal(hsi_expect_margin_us(q), least + 40);
    hsi_expect_slept(q, 1000, 1001);
    assert_true(hsi_expect_margin_us(q) > least + 30);
    for (int i = 0; i < 100; i++)
        hsi_expect_slept(q, 1000, 1000);
    assert_int_equal(hsi_expect_margin_us(q), least);
    hsi_expect_slept(q, 1000, 900);
    assert_int_equal(hsi_expect_margin_us(q), least);
    hsi_expect_slept(q, 1000, 900000);
    assert_int_equal(hsi_expect_margin_us(q), 80);
    free(q);
}

/* ---- Polling for several jobs ---- */

typedef struct fixture {
    hsi_queue queue;
    float expected_us[2];
} fixture;

static void set_up(fixture *f, uint32_t running, float first_us, float second_us)
{
    *f = (fixture){ .queue = { .lanes = 2, .running = running },
                    .expected_us = { first_us, second_us } };
    for (uint32_t lane = 0; lane < running; lane++) {
        f->queue.flights[lane].state = HSI_FLIGHT_RUNNING;
        f->queue.flights[lane].expected_us = &f->expected_us[lane];
    }
}

/* The share of the time that one polls who polls whenever he may, and else sleeps. */
static double polled_share(fixture *f)
{
    const uint64_t begin_us = 1000000;
    uint64_t now_us = begin_us, polled_us = 0;
    for (int i = 0; i < ROUNDS; i++)
        if (hsi_expect_may_poll(&f->queue, now_us)) {
            hsi_expect_polled(&f->queue, LOOK_US);
            polled_us += LOOK_US;
            now_us += LOOK_US;
        } else {
            now_us += SLEEP_US;
        }
    return (double)polled_us / (double)(now_us - begin_us);
}

static void test_polling_for_one(void **state)
{
    (void)state;
    fixture f;
    set_up(&f, 1, 500, 0);
    assert_true(polled_share(&f) == 1);
}

static void test_polling_for_short(void **state)
{
    (void)state;
    fixture f;
    set_up(&f, 2, 500, 20);
    assert_true(polled_share(&f) == 1);
}

static void test_polling_for_several(void **state)
{
    (void)state;
    fixture f;
    set_up(&f, 2, 500, 300);
    const double share = polled_share(&f);
    assert_true(share > 0.09 && share < 0.12);
}

/* What one job alone took is owed for a few milliseconds at most. */
static void test_polling_debt_ends(void **state)
{
    (void)state;
    fixture f;
    uint64_t now_us = 1000000;
    set_up(&f, 2, 500, 300);
    f.queue.running = 1;
    for (int i = 0; i < ROUNDS; i++, now_us += LOOK_US) {
        assert_true(hsi_expect_may_poll(&f.queue, now_us));
        hsi_expect_polled(&f.queue, LOOK_US);
    }
    f.queue.running = 2;
    assert_false(hsi_expect_may_poll(&f.queue, now_us));
    assert_true(hsi_expect_may_poll(&f.queue, now_us + 10000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steady_jobs),
        cmocka_unit_test(test_longer_than_expected),
        cmocka_unit_test(test_learning),
        cmocka_unit_test(test_margin),
        cmocka_unit_test(test_polling_for_one),
        cmocka_unit_test(test_polling_for_short),
        cmocka_unit_test(test_polling_for_several),
        cmocka_unit_test(test_polling_debt_ends),
    };
    return cmocka_run_group_tests_name("expectations", tests, NULL, NULL);
}
