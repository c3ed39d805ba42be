/* What hsched bench loadstep reads from runs and loads that were recorded: made-up ones here. */
#include "common/support.h"

#include <math.h>

#include "cli/bench_loadstep.h"

enum {
    MS = 1000
};

/* Two devices; nothing for 1000 ms, the program from 1000 to 2000 ms, nothing until 3000. */
static cli_step step = { 0, 1000 * MS, 1000 * MS, 2000 * MS, 2000 * MS, 3000 * MS };

static cli_loadstep begin(void)
{
    return (cli_loadstep){ .device_count = 2, .steps = &step, .step_count = 1 };
}

static void end(cli_loadstep *l)
{
    free(l->runs);
    free(l->samples);
}

static void load(cli_loadstep *l, uint64_t ms, uint32_t device, double factor)
{
    assert_true(
        cli_loadstep_add_sample(l, &(cli_step_sample){ ms * MS, device, factor }));
}

/* Runs of `length` one after the other. */
static void runs(cli_loadstep *l, uint64_t from_ms, uint64_t to_ms, uint64_t length,
                 uint32_t devices)
{
    for (uint64_t at = from_ms; at + length <= to_ms; at += length)
        assert_true(cli_loadstep_add_run(
            l, &(cli_step_run){ at * MS, at * MS + 1, (at + length) * MS, devices, 0 }));
}

static cli_step_findings find(const cli_loadstep *l)
{
    cli_step_findings f;
    assert_int_equal(cli_loadstep_find(l, 0, &f), CLI_OK);
    return f;
}

static void a_load_comes_and_goes(void **state)
{
    (void)state;
    cli_loadstep l = begin();
    runs(&l, 0, 1000, 10, 2);
    runs(&l, 1000, 1040, 20, 2);
    runs(&l, 1040, 2000, 20, 1); /* the first one elsewhere */
    runs(&l, 2000, 3000, 10, 2);
    load(&l, 1030, 1, 2.5);
    load(&l, 1500, 1, 3);
    load(&l, 2145, 1, 1);
    const cli_step_findings f = find(&l);
    assert_int_equal(f.device, 1);
    assert_false(f.was_up);
    assert_true(f.noticed_ms == 30);
    assert_true(fabs(f.placed_ms - 40.001) < 1e-9 && f.moved_ms == f.placed_ms);
    assert_true(f.highest == 3 && fabs(f.known - 0.97) < 1e-9 && f.known_before == 0);
    assert_true(f.back_ms == 145 && fabs(f.placed_back_ms - 150.001) < 1e-9);
    assert_true(f.before_ms == 10 && f.during_ms == 20 && f.after_ms == 10);
    assert_true(f.runs_before == 100 && f.runs_during == 50 && f.runs_after == 100);
    assert_true(f.use_before[1] == 1 && f.use_before[0] == 0);
    assert_true(fabs(f.use_during[0] - 0.96) < 1e-9);
    end(&l);
}

static void flickers_are_not_taken_for_it(void **state)
{
    (void)state;
    cli_loadstep l = begin();
    runs(&l, 0, 3000, 10, 1);
    load(&l, 1010, 0, 4); /* for 20 of 100 ms */
    load(&l, 1030, 0, 1);
    load(&l, 1300, 0, 1.2);
    load(&l, 1320, 0, 1); /* and this goes on for most of 100 ms, with a gap */
    load(&l, 1330, 0, 1.3);
    load(&l, 2010, 0, 1); /* a gap that is none */
    load(&l, 2015, 0, 1.2);
    load(&l, 2100, 0, 1.1);
    const cli_step_findings f = find(&l);
    assert_int_equal(f.device, 0);
    assert_true(f.noticed_ms == 300);
    assert_true(f.highest == 4);
    assert_true(isnan(f.moved_ms));
    assert_true(f.back_ms == 100);
    end(&l);
}

static void nothing_is_noticed(void **state)
{
    (void)state;
    cli_loadstep l = begin();
    runs(&l, 0, 1000, 10, 1);
    load(&l, 1100, 0, 1.14);
    const cli_step_findings f = find(&l);
    assert_true(f.device == -1 && !f.was_up);
    assert_true(isnan(f.noticed_ms) && isnan(f.placed_ms) && isnan(f.back_ms));
    assert_true(isnan(f.moved_ms) && isnan(f.during_ms) && f.runs_during == 0);
    end(&l);
}

/* A device that was loaded before says nothing; another one does. */
static void a_load_that_was_there(void **state)
{
    (void)state;
    cli_loadstep l = begin();
    load(&l, 500, 0, 2);
    cli_step_findings f = find(&l);
    assert_true(f.device == -1 && f.was_up && isnan(f.noticed_ms));
    load(&l, 1050, 1, 1.5);
    load(&l, 2500, 1, 1);
    f = find(&l);
    assert_true(f.device == 1 && f.was_up && f.noticed_ms == 50 && f.back_ms == 500);
    assert_true(isnan(f.placed_ms)); /* there were no runs */
    end(&l);
}

/* It never comes back within the step; and a program may be noticed before it says it is there. */
static void edges(void **state)
{
    (void)state;
    cli_loadstep l = begin();
    const uint64_t ready = step.ready_us;
    step.ready_us = 1200 * MS;
    load(&l, 1100, 0, 2);
    const cli_step_findings f = find(&l);
    step.ready_us = ready;
    assert_true(f.device == 0 && f.noticed_ms == 0 && f.known == 1);
    assert_true(isnan(f.back_ms) && isnan(f.placed_back_ms));
    end(&l);
}

static void many_runs_are_thinned(void **state)
{
    (void)state;
    cli_loadstep l = begin();
    assert_int_equal(cli_loadstep_stride(&l), 1);
    runs(&l, 0, 20000, 1, 1);
    assert_true(cli_loadstep_stride(&l) >= 4);
    assert_true(l.run_count / cli_loadstep_stride(&l) > 2000);
    end(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_load_comes_and_goes),
        cmocka_unit_test(flickers_are_not_taken_for_it),
        cmocka_unit_test(nothing_is_noticed),
        cmocka_unit_test(a_load_that_was_there),
        cmocka_unit_test(edges),
        cmocka_unit_test(many_runs_are_thinned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
