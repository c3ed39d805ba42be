/*
 * Traces that start and stop while threads submit, cancel and wait, with shared steps and a
 * simulated accelerator: every file is whole, no run is lost, and no result changes. Runs under
 * ThreadSanitizer too.
 */
#include "common/trace_reader.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "common/support.h"

enum {
    THREADS = 3,
    LARGE = 128, /* large enough that steps are shared */
    SMALL = 16,  /* and small enough for the reference kernels of a simulated device */
    INPUT = 3 * LARGE * LARGE,
    OUTPUT = 10
};

/* Under a sanitizer everything is many times slower. */
static int traces(void)
{
    const char *mode = getenv("HSCHED_TEST_MODE");
    return mode && strcmp(mode, "all") != 0 ? 10 : 40;
}

typedef struct shared {
    hsched_runtime *rt;
    hsched_model *model;
    int64_t size;
    float x[INPUT], alone[OUTPUT];
    atomic_int stop, failures, mismatches;
    atomic_int submitted;
} shared;

static void *submit_until_told(void *argument)
{
    shared *s = argument;
    const hsched_binding in = HSCHED_DATA(s->x, sizeof s->x);
    for (int i = 0; !atomic_load(&s->stop); i++) {
        hsched_run *runs[2];
        float y[2][OUTPUT];
        memset(y, 0xff, sizeof y);
        for (int k = 0; k < 2; k++) {
            const hsched_binding out = HSCHED_DATA(y[k], sizeof y[k]);
            hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in,
                                         .outputs = &out, .priority = k };
            if (hsched_submit(s->model, &config, &runs[k]) != HSCHED_OK) {
                atomic_fetch_add(&s->failures, 1);
                return NULL;
            }
            atomic_fetch_add(&s->submitted, 1);
        }
        if (i % 8 == 0)
            hsched_run_cancel(runs[1]);
        for (int k = 0; k < 2; k++) {
            hsched_status status = hsched_run_wait(runs[k], HSCHED_FOREVER);
            if (status == HSCHED_OK)
                atomic_fetch_add(&s->mismatches,
                                 memcmp(y[k], s->alone, sizeof s->alone) != 0);
            else if (status != HSCHED_ERROR_CANCELLED || k == 0 || i % 8 != 0)
                atomic_fetch_add(&s->failures, 1);
            hsched_run_release(runs[k]);
        }
    }
    return NULL;
}

/* Another thread's start or stop is refused, or is the one that counts: never both. */
static void *interfere(void *argument)
{
    shared *s = argument;
    hsched_trace_config config = { HSCHED_TRACE_CONFIG_INIT, .path = "/no/such/folder",
                                   .events_per_thread = 1 };
    while (!atomic_load(&s->stop)) {
        hsched_status status = hsched_trace_start(s->rt, &config);
        if (status != HSCHED_ERROR_STATE && status != HSCHED_ERROR_IO)
            atomic_fetch_add(&s->failures, 1);
        sched_yield();
    }
    return NULL;
}

/* One trace; its models come and go. Gives the runs that are in it. */
static uint64_t trace_once(shared *s, int round)
{
    hsched_trace_config config = { HSCHED_TRACE_CONFIG_INIT, .path = trace_path(),
                                   .events_per_thread = round % 3 == 2 ? 20 : 100000 };
    hsched_trace_stats stats = { HSCHED_TRACE_STATS_INIT };
    hsched_status status;
    do /* who interferes may just have reserved it */
        status = hsched_trace_start(s->rt, &config);
    while (status == HSCHED_ERROR_STATE);
    assert_ok(status);
    hsched_model *model = tiny_model(s->rt, s->size, 5, NULL);
    float y[OUTPUT];
    const hsched_binding in = HSCHED_DATA(s->x, sizeof s->x),
                         out = HSCHED_DATA(y, sizeof y);
    for (int i = 0; i < 3; i++)
        assert_ok(hsched_infer(model, &in, 1, &out, 1));
    hsched_model_release(model);
    assert_ok(hsched_trace_stop(s->rt, &stats));
    json_t *trace = trace_read();
    assert_int_equal(trace_other(trace, "events"), stats.events);
    assert_int_equal(trace_other(trace, "dropped_events"), stats.dropped);
    const uint64_t runs = trace_count(trace, "b", "run", NULL);
    if (round % 3 != 2) {
        assert_int_equal(stats.dropped, 0);
        assert_true(runs >= 3);
        assert_int_equal(
            trace_count_text(trace, "b", "run", "status", "HSCHED_OK") +
                trace_count_text(trace, "b", "run", "status", "in flight") +
                trace_count_text(trace, "b", "run", "status", "HSCHED_ERROR_CANCELLED"),
            runs);
    }
    json_decref(trace);
    return runs;
}

static void run_threads(const hsched_runtime_config *config, int64_t size)
{
    static shared s;
    pthread_t threads[THREADS + 1];
    memset(&s, 0, sizeof s);
    s.size = size;
    assert_ok(hsched_runtime_create(config, &s.rt));
    s.model = tiny_model(s.rt, size, 1, NULL);
    fill(s.x, INPUT, 7);
    const hsched_binding in = HSCHED_DATA(s.x, sizeof s.x),
                         out = HSCHED_DATA(s.alone, sizeof s.alone);
    assert_ok(hsched_infer(s.model, &in, 1, &out, 1));
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, submit_until_told, &s), 0);
    assert_int_equal(pthread_create(&threads[THREADS], NULL, interfere, &s), 0);
    const int count = traces();
    for (int i = 0; i < count; i++)
        trace_once(&s, i);
    atomic_store(&s.stop, 1);
    for (int i = 0; i <= THREADS; i++)
        pthread_join(threads[i], NULL);
    hsched_runtime_stats stats = { HSCHED_RUNTIME_STATS_INIT };
    assert_ok(hsched_runtime_get_stats(s.rt, &stats));
    hsched_model_release(s.model);
    hsched_runtime_destroy(s.rt);
    assert_int_equal(atomic_load(&s.failures), 0);
    assert_int_equal(atomic_load(&s.mismatches), 0);
    assert_int_equal(stats.runs_submitted, atomic_load(&s.submitted) + 1 + 3 * count);
    assert_int_equal(stats.runs_succeeded + stats.runs_cancelled, stats.runs_submitted);
}

static void workers_that_help_each_other(void **state)
{
    (void)state;
    run_threads(&(hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 3 },
                LARGE);
}

static void with_a_simulated_device(void **state)
{
    (void)state;
    hsched_sim_config sim = { HSCHED_SIM_CONFIG_INIT,
                              .layer_classes = HSCHED_CLASS_CONVOLUTION };
    run_threads(&(hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 2,
                                          .policy = HSCHED_POLICY_LAYER_TYPE,
                                          .sims = &sim, .sim_count = 1 },
                SMALL);
}

/* One run at a time on several workers: steps are shared, and their parts are in the trace. */
static void parts_are_recorded_by_who_computes_them(void **state)
{
    (void)state;
    static shared s;
    memset(&s, 0, sizeof s);
    hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 3 };
    assert_ok(hsched_runtime_create(&config, &s.rt));
    s.model = tiny_model(s.rt, LARGE, 1, NULL);
    const hsched_binding in = HSCHED_DATA(s.x, sizeof s.x),
                         out = HSCHED_DATA(s.alone, sizeof s.alone);
    uint64_t parts = 0;
    /* Whether anybody is idle in time is the system's affair: it is tried until somebody was. */
    while (parts == 0) {
        hsched_trace_config traced = { HSCHED_TRACE_CONFIG_INIT, .path = trace_path() };
        assert_ok(hsched_trace_start(s.rt, &traced));
        for (int i = 0; i < 5; i++)
            assert_ok(hsched_infer(s.model, &in, 1, &out, 1));
        assert_ok(hsched_trace_stop(s.rt, NULL));
        json_t *trace = trace_read();
        parts = trace_count(trace, "X", "part", NULL);
        json_decref(trace);
    }
    hsched_model_release(s.model);
    hsched_runtime_destroy(s.rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_that_help_each_other),
        cmocka_unit_test(with_a_simulated_device),
        cmocka_unit_test(parts_are_recorded_by_who_computes_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
