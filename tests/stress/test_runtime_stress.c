/* Many threads, models and runs at once: results are bit-equal to those of a run alone,
 * and nothing is lost. Runs under ThreadSanitizer too. */
#include "common/support.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    THREADS = 4,
    MODELS = 3,
    OUTPUT = 10,
    LARGEST = 3 * 48 * 48
};

/* Under a sanitizer everything is many times slower. */
static int rounds(void)
{
    const char *mode = getenv("HSCHED_TEST_MODE");
    return mode && strcmp(mode, "all") != 0 ? 30 : 200;
}

static const int64_t sizes[MODELS] = { 8, 24, 48 };

typedef struct shared {
    hsched_model *models[MODELS];
    float x[MODELS][LARGEST];
    float alone[MODELS][OUTPUT];
    atomic_int callbacks, mismatches, failures;
} shared;

static void make_models(hsched_runtime *rt, shared *s)
{
    for (int m = 0; m < MODELS; m++) {
        s->models[m] = tiny_model(rt, sizes[m], (uint32_t)m + 1, NULL);
        fill(s->x[m], LARGEST, (uint32_t)m + 11);
        hsched_binding in = HSCHED_DATA(s->x[m], sizeof s->x[m]);
        hsched_binding out = HSCHED_DATA(s->alone[m], sizeof s->alone[m]);
        assert_ok(hsched_infer(s->models[m], &in, 1, &out, 1));
    }
}

static void release_models(shared *s)
{
    for (int m = 0; m < MODELS; m++)
        hsched_model_release(s->models[m]);
}

static void count_callback(void *user, hsched_run *run, hsched_status status)
{
    shared *s = user;
    (void)run;
    atomic_fetch_add(&s->callbacks, 1);
    if (status != HSCHED_OK && status != HSCHED_ERROR_CANCELLED)
        atomic_fetch_add(&s->failures, 1);
}

/* Submits a handful, cancels some, waits for all, compares what succeeded. */
static void *submit_and_compare(void *argument)
{
    enum {
        BATCH = 6
    };
    shared *s = argument;
    uint32_t seed = (uint32_t)(uintptr_t)&seed;
    int count = rounds();
    for (int round = 0; round < count; round++) {
        hsched_run *runs[BATCH];
        float y[BATCH][OUTPUT];
        int which[BATCH], cancelled[BATCH];
        for (int i = 0; i < BATCH; i++) {
            which[i] = (int)((next_float(&seed) + 1) / 2 * MODELS) % MODELS;
            cancelled[i] = next_float(&seed) > 0.8f;
            hsched_binding in = HSCHED_DATA(s->x[which[i]], sizeof s->x[0]);
            hsched_binding out = HSCHED_DATA(y[i], sizeof y[i]);
            hsched_run_config config = { HSCHED_RUN_CONFIG_INIT,
                                         .inputs = &in,
                                         .outputs = &out,
                                         .priority = (int)(next_float(&seed) * 50),
                                         .callback = count_callback,
                                         .callback_user = s };
            memset(y[i], 0xff, sizeof y[i]);
            if (hsched_submit(s->models[which[i]], &config, &runs[i]) != HSCHED_OK) {
                atomic_fetch_add(&s->failures, 1);
                return NULL;
            }
            if (cancelled[i])
                hsched_run_cancel(runs[i]);
        }
        for (int i = 0; i < BATCH; i++) {
            hsched_status status = hsched_run_wait(runs[i], HSCHED_FOREVER);
            if (status == HSCHED_OK)
                atomic_fetch_add(&s->mismatches,
                                 memcmp(y[i], s->alone[which[i]], sizeof y[i]) != 0);
            else if (status != HSCHED_ERROR_CANCELLED || !cancelled[i])
                atomic_fetch_add(&s->failures, 1);
            hsched_run_release(runs[i]);
        }
    }
    return NULL;
}

static void run_threads(const hsched_runtime_config *config)
{
    hsched_runtime *rt;
    static shared s;
    memset(&s, 0, sizeof s);
    assert_ok(hsched_runtime_create(config, &rt));
    make_models(rt, &s);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, submit_and_compare, &s), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    hsched_runtime_stats stats = { HSCHED_RUNTIME_STATS_INIT };
    assert_ok(hsched_runtime_get_stats(rt, &stats));
    release_models(&s);
    hsched_runtime_destroy(rt); /* returns when every callback has returned */
    assert_int_equal(atomic_load(&s.failures), 0);
    assert_int_equal(atomic_load(&s.mismatches), 0);
    assert_int_equal(atomic_load(&s.callbacks), THREADS * rounds() * 6);
    assert_int_equal(stats.runs_submitted, THREADS * rounds() * 6 + MODELS);
    assert_int_equal(stats.runs_succeeded + stats.runs_cancelled, stats.runs_submitted);
}

static void two_workers(void **state)
{
    (void)state;
    run_threads(&(hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 2 });
}

static void more_workers_than_cores(void **state)
{
    (void)state;
    run_threads(&(hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 6 });
}

static void with_a_simulated_device(void **state)
{
    (void)state;
    hsched_sim_config sim = { HSCHED_SIM_CONFIG_INIT,
                              .layer_classes = HSCHED_CLASS_CONVOLUTION };
    run_threads(&(hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 2,
                                          .policy = HSCHED_POLICY_LAYER_TYPE,
                                          .sims = &sim, .sim_count = 1 });
}

/* The same result from one step at a time and from parts over several workers. */
static void parts_do_not_change_results(void **state)
{
    (void)state;
    float x[3 * 96 * 96], one[OUTPUT], many[OUTPUT];
    fill(x, sizeof x / sizeof *x, 5);
    for (int round = 0; round < 20; round++) {
        hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 4 };
        hsched_runtime *rt;
        assert_ok(hsched_runtime_create(&config, &rt));
        hsched_model *model = tiny_model(rt, 96, 3, NULL);
        uint32_t parts = 0;
        for (uint32_t i = 0; i < hsched_model_step_count(model); i++) {
            hsched_step_info info = { HSCHED_STEP_INFO_INIT };
            assert_ok(hsched_model_step_info(model, i, &info));
            parts = info.parts > parts ? info.parts : parts;
        }
        assert_true(parts > 1); /* else this test shows nothing */
        hsched_binding in = HSCHED_DATA(x, sizeof x),
                       out = HSCHED_DATA(many, sizeof many);
        for (int i = 0; i < 10; i++) {
            memset(many, 0xff, sizeof many);
            assert_ok(hsched_infer(model, &in, 1, &out, 1));
            if (round == 0 && i == 0)
                memcpy(one, many, sizeof one);
            assert_memory_equal(one, many, sizeof one);
        }
        hsched_model_release(model);
        hsched_runtime_destroy(rt);
    }
}

/* A network compiled while others run. */
static void models_come_and_go(void **state)
{
    (void)state;
    hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 2 };
    hsched_runtime *rt;
    static shared s;
    memset(&s, 0, sizeof s);
    assert_ok(hsched_runtime_create(&config, &rt));
    make_models(rt, &s);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, submit_and_compare, &s), 0);
    for (int i = 0; i < rounds() / 4; i++) {
        int m = i % MODELS;
        float y[OUTPUT];
        hsched_model *model = tiny_model(rt, sizes[m], (uint32_t)m + 1, NULL);
        hsched_binding in = HSCHED_DATA(s.x[m], sizeof s.x[m]),
                       out = HSCHED_DATA(y, sizeof y);
        assert_ok(hsched_infer(model, &in, 1, &out, 1));
        assert_memory_equal(y, s.alone[m], sizeof y);
        hsched_model_release(model);
    }
    pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&s.failures), 0);
    assert_int_equal(atomic_load(&s.mismatches), 0);
    release_models(&s);
    hsched_runtime_destroy(rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_workers),
        cmocka_unit_test(more_workers_than_cores),
        cmocka_unit_test(with_a_simulated_device),
        cmocka_unit_test(parts_do_not_change_results),
        cmocka_unit_test(models_come_and_go),
    };
    return cmocka_run_group_tests_name("runtime stress", tests, NULL, NULL);
}
