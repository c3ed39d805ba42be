/* How runs end: callbacks, timeouts, cancelling, the end of the runtime; which end first. */
#include "common/runtime_fixture.h"

#include <pthread.h>

#include "common/call_counter.h"

static void callbacks_come_once(void **state)
{
    fixture *f = *state;
    static call_counter c = CALL_COUNTER_INIT;
    enum {
        RUNS = 50
    };
    hsched_binding in = HSCHED_DATA(f->x, sizeof f->x);
    hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in,
                                 .callback = count_call, .callback_user = &c };
    for (int i = 0; i < RUNS; i++) {
        hsched_run *run;
        assert_ok(hsched_submit(f->model, &config, &run));
        hsched_run_release(run); /* at once: it still ends and calls back */
    }
    await_calls(&c, RUNS);
    assert_int_equal(c.last, HSCHED_OK);
    hsched_model_stats stats = { HSCHED_MODEL_STATS_INIT };
    assert_ok(hsched_model_get_stats(f->model, &stats));
    assert_int_equal(stats.runs_succeeded, RUNS);
    assert_true(stats.latency_p50_us > 0 && stats.latency_p99_us >= stats.latency_p50_us);
    assert_int_equal(c.calls, RUNS);
}

/* Holds the controller's thread, so that what is submitted in between is certainly in
 * flight. */
typedef struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int entered, open;
} gate;

static void wait_at_gate(void *user, hsched_run *run, hsched_status status)
{
    gate *g = user;
    (void)run;
    (void)status;
    pthread_mutex_lock(&g->mutex);
    g->entered = 1;
    pthread_cond_broadcast(&g->changed);
    while (!g->open)
        pthread_cond_wait(&g->changed, &g->mutex);
    pthread_mutex_unlock(&g->mutex);
}

static void a_gate_in_a_callback_does_not_stop_workers(void **state)
{
    fixture *f = *state;
    /* static: the callback may still be leaving when this function has returned */
    static gate g = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0 };
    float y[TINY_OUTPUT];
    hsched_binding in = HSCHED_DATA(f->x, sizeof f->x), out = HSCHED_DATA(y, sizeof y);
    hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in,
                                 .callback = wait_at_gate, .callback_user = &g };
    hsched_run *run;
    assert_ok(hsched_submit(f->model, &config, &run));
    pthread_mutex_lock(&g.mutex);
    while (!g.entered)
        pthread_cond_wait(&g.changed, &g.mutex);
    pthread_mutex_unlock(&g.mutex);
    for (int i = 0; i < 10; i++)
        assert_ok(hsched_infer(f->model, &in, 1, &out, 1));
    pthread_mutex_lock(&g.mutex);
    g.open = 1;
    pthread_cond_broadcast(&g.changed);
    pthread_mutex_unlock(&g.mutex);
    hsched_run_release(run);
}

static void waiting_can_time_out(void **state)
{
    fixture *f = *state;
    /* A simulated device at a speed that makes the run last some 200 ms at least. */
    hsched_sim_config sim = { HSCHED_SIM_CONFIG_INIT, .gflops = 0.002,
                              .layer_classes = HSCHED_CLASS_CONVOLUTION };
    hsched_runtime *rt = simulated_runtime(1, &sim);
    hsched_model *model = tiny_model(rt, TINY_SIZE, TINY_SEED, NULL);
    hsched_binding in = HSCHED_DATA(f->x, sizeof f->x);
    hsched_run_config run_config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in };
    hsched_run *run;
    const void *data;
    assert_ok(hsched_submit(model, &run_config, &run));
    assert_int_equal(hsched_run_poll(run), 0);
    assert_fails(hsched_run_wait(run, 1000), HSCHED_ERROR_TIMEOUT, "goes on");
    assert_fails(hsched_run_output(run, 0, &data, NULL), HSCHED_ERROR_STATE, "tiny");
    assert_ok(hsched_run_wait(run, HSCHED_FOREVER));
    hsched_run_release(run);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

static void cancelled_runs_end_and_so_do_their_dependents(void **state)
{
    fixture *f = *state;
    hsched_sim_config sim = { HSCHED_SIM_CONFIG_INIT, .gflops = 0.001,
                              .layer_classes = HSCHED_CLASS_CONVOLUTION };
    hsched_runtime *rt = simulated_runtime(1, &sim);
    hsched_model *model = tiny_model(rt, TINY_SIZE, TINY_SEED, NULL), *next;
    hsched_graph *g;
    hsched_tensor x, y;
    assert_ok(hsched_graph_create("next", &g));
    assert_ok(
        hsched_graph_add_input(g, "x", HSCHED_FLOAT32, 2, (int64_t[]){ 1, 10 }, &x));
    assert_ok(hsched_graph_add_softmax(g, "y", x, 1, &y));
    assert_ok(hsched_graph_add_output(g, y));
    assert_ok(hsched_model_compile(rt, g, NULL, &next));
    hsched_graph_destroy(g);

    call_counter c = CALL_COUNTER_INIT;
    hsched_binding in = HSCHED_DATA(f->x, sizeof f->x);
    hsched_run_config run_config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in,
                                     .callback = count_call, .callback_user = &c };
    hsched_run *run, *dependent;
    assert_ok(hsched_submit(model, &run_config, &run));
    hsched_binding chained = HSCHED_RUN_OUTPUT(run, 0);
    run_config = (hsched_run_config){ HSCHED_RUN_CONFIG_INIT, .inputs = &chained };
    assert_ok(hsched_submit(next, &run_config, &dependent));
    hsched_run_cancel(run);
    hsched_run_cancel(run);
    assert_fails(hsched_run_wait(run, HSCHED_FOREVER), HSCHED_ERROR_CANCELLED, "tiny");
    assert_fails(hsched_run_wait(dependent, HSCHED_FOREVER), HSCHED_ERROR_UPSTREAM,
                 "next");
    await_calls(&c, 1);
    assert_int_equal(c.last, HSCHED_ERROR_CANCELLED);
    hsched_run_cancel(run); /* after its end: nothing */
    hsched_run_release(run);
    hsched_run_release(dependent);
    hsched_model_release(model);
    hsched_model_release(next);
    hsched_runtime_destroy(rt);
    assert_int_equal(c.calls, 1);
}

static void destroying_ends_what_is_in_flight(void **state)
{
    fixture *f = *state;
    hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 1 };
    hsched_runtime *rt;
    assert_ok(hsched_runtime_create(&config, &rt));
    hsched_model *model = tiny_model(rt, TINY_SIZE, TINY_SEED, NULL);
    enum {
        RUNS = 100
    };
    hsched_run *runs[RUNS];
    call_counter c = CALL_COUNTER_INIT;
    hsched_binding in = HSCHED_DATA(f->x, sizeof f->x);
    hsched_run_config run_config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in,
                                     .callback = count_call, .callback_user = &c };
    for (int i = 0; i < RUNS; i++)
        assert_ok(hsched_submit(model, &run_config, &runs[i]));
    hsched_buffer *buffer;
    assert_ok(hsched_buffer_create(rt, 100, &buffer));
    hsched_runtime_destroy(rt);
    assert_int_equal(c.calls, RUNS);
    for (int i = 0; i < RUNS; i++) {
        hsched_status status = hsched_run_wait(runs[i], 0);
        assert_true(status == HSCHED_OK || status == HSCHED_ERROR_CANCELLED);
        hsched_run_release(runs[i]);
    }
    hsched_run *late;
    assert_fails(hsched_submit(model, &run_config, &late), HSCHED_ERROR_STATE,
                 "destroyed");
    hsched_model_release(
        model); /* what is left of the runtime goes with the last of these */
    hsched_buffer_release(buffer);
}

static void urgent_runs_go_first(void **state)
{
    fixture *f = *state;
    hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 1 };
    hsched_runtime *rt;
    assert_ok(hsched_runtime_create(&config, &rt));
    hsched_model *model = tiny_model(rt, TINY_SIZE, TINY_SEED, NULL);
    enum {
        RUNS = 60
    };
    hsched_run *low[RUNS], *urgent;
    hsched_binding in = HSCHED_DATA(f->x, sizeof f->x);
    hsched_run_config run_config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in };
    for (int i = 0; i < RUNS; i++)
        assert_ok(hsched_submit(model, &run_config, &low[i]));
    run_config.priority = 50;
    assert_ok(hsched_submit(model, &run_config, &urgent));
    assert_ok(hsched_run_wait(urgent, HSCHED_FOREVER));
    hsched_run_times it = { HSCHED_RUN_TIMES_INIT };
    assert_ok(hsched_run_get_times(urgent, &it));
    int overtaken_by = 0;
    for (int i = 0; i < RUNS; i++) {
        hsched_run_times other = { HSCHED_RUN_TIMES_INIT };
        assert_ok(hsched_run_wait(low[i], HSCHED_FOREVER));
        assert_ok(hsched_run_get_times(low[i], &other));
        overtaken_by +=
            other.started_us > it.submitted_us && other.started_us < it.started_us;
        hsched_run_release(low[i]);
    }
    /* One may have been taken between the reading of the clock and the submission. */
    assert_true(overtaken_by <= 1);
    hsched_run_release(urgent);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(callbacks_come_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_gate_in_a_callback_does_not_stop_workers,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(waiting_can_time_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cancelled_runs_end_and_so_do_their_dependents,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(destroying_ends_what_is_in_flight, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(urgent_runs_go_first, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("runtime_end", tests, NULL, NULL);
}
