/*
 * The policy `cost` in a runtime with a simulated device with a queue: what it knows before and
 * after a profile, what it learns from jobs, and that results are right wherever runs go.
 */
#include "common/queue_runs.h"

#include <hsched/experimental.h>
#include <math.h>

#include "base/sync.h"
#include "common/support.h"
#include "common/tiny.h"
#include "common/trace_reader.h"
#include "runtime/planner.h"

enum {
    AT_ONCE = 8,
    ROUNDS = 20
};

static const hsi_choices *choices_of(hsched_model *model)
{
    assert_non_null(model->planned);
    return &model->planned->chosen.choices;
}

static hsched_runtime *open_runtime(char folder[64])
{
    snprintf(folder, 64, "/tmp/hsched-planner-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return queue_runtime_open(&(queue_device_script){ .ready = 4 },
                              &(hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT,
                                                        .cpu_workers = 2,
                                                        .cache_dir = folder });
}

static void close_runtime(hsched_runtime *rt, const char *folder)
{
    char command[128];
    queue_runtime_close(rt);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    assert_int_equal(system(command), 0);
}

static void expect_nothing_failed(hsched_runtime *rt)
{
    const hsched_runtime_stats stats = queue_runtime_stats(rt);
    assert_int_equal(stats.runs_failed, 0);
    assert_int_equal(stats.runs_restarted, 0);
    assert_int_equal(stats.invalid_placements, 0);
}

static void what_is_not_known_goes_to_the_device(void **state)
{
    (void)state;
    char folder[64];
    hsched_runtime *rt = open_runtime(folder);
    queue_net net;
    queue_net_tiny(&net, rt, HSCHED_POLICY_COST);
    assert_int_equal(choices_of(net.model)->count, 0);
    queue_run_many(&net, AT_ONCE, ROUNDS);
    const hsched_device_stats device = queue_device_stats(rt);
    assert_true(device.jobs > 0);
    assert_int_equal(queue_runtime_stats(rt).crossings, 0);
    expect_nothing_failed(rt);
    queue_net_free(&net);
    close_runtime(rt, folder);
}

static void a_profile_gives_choices(void **state)
{
    (void)state;
    char folder[64];
    hsched_runtime *rt = open_runtime(folder);
    queue_net net;
    queue_net_tiny(&net, rt, HSCHED_POLICY_COST);
    assert_ok(hsched_model_profile(
        net.model,
        &(hsched_profile_config){ HSCHED_PROFILE_CONFIG_INIT, .repetitions = 3 }, NULL));
    const hsi_choices *c = choices_of(net.model);
    assert_true(c->count >= 1);
    assert_true(net.model->planned->source >= HSI_COST_INTERPOLATED);
    assert_true(c->batch_count[QUEUE_DEVICE] > 1);
    assert_true(c->team_count == 2);
    for (uint32_t k = 0; k < c->count; k++) {
        double sum = 0;
        for (uint32_t d = 0; d < c->device_count; d++)
            sum += (double)c->list[k].rest_us[d];
        assert_true(sum > 0);
    }
    queue_run_many(&net, AT_ONCE, ROUNDS);
    expect_nothing_failed(rt);
    queue_net_free(&net);

    /* Another model of the same structure knows it from the beginning. */
    queue_net_tiny(&net, rt, HSCHED_POLICY_COST);
    assert_true(choices_of(net.model)->count >= 1);
    queue_net_free(&net);
    close_runtime(rt, folder);
}

static void put_costs(hsched_runtime *rt, hsched_model *model, double cpu_us,
                      double device_us)
{
    for (uint32_t d = 0; d < 2; d++) {
        hsi_cost_point point = { .key = hsi_costs_key(model, HSI_COST_RUN, 0, d),
                                 .us = d ? device_us : cpu_us,
                                 .samples = 1 };
        pthread_mutex_lock(&rt->costs.mutex);
        assert_ok(hsi_cost_table_put(rt->costs.table, &point, 0));
        pthread_mutex_unlock(&rt->costs.mutex);
    }
}

static void tell_costs(hsched_runtime *rt, hsched_model *model, double cpu_us,
                       double device_us)
{
    put_costs(rt, model, cpu_us, device_us);
    assert_ok(hsi_planner_plan(model));
    assert_true(choices_of(model)->count >= 1);
}

/* What a choice brings to the devices, and what crosses beside that. */
static double worth_of(const hsi_choices *c, uint32_t choice, double *crossing_us)
{
    double sum = 0;
    for (uint32_t d = 0; d < c->device_count; d++)
        sum += (double)c->list[choice].rest_us[d];
    *crossing_us = (double)c->list[choice].rest_us[c->device_count];
    return sum;
}

/* Passing inputs and outputs was measured with the whole run, and is not counted again. */
static void a_whole_run_is_worth_what_it_was_measured_to_take(void **state)
{
    (void)state;
    char folder[64];
    uint32_t wholes = 0;
    hsched_runtime *rt = open_runtime(folder);
    queue_net net;
    queue_net_make(&net, rt, tiny_network(32, 1),
                   &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                           .policy = HSCHED_POLICY_COST,
                                           .objective = HSCHED_OBJECTIVE_LATENCY });
    tell_costs(rt, net.model, 300, 100);
    const hsi_choices *c = choices_of(net.model);
    for (uint32_t k = 0; k < c->count; k++) {
        double crossing_us;
        const double us = worth_of(c, k, &crossing_us);
        if (c->list[k].uses != 1 && c->list[k].uses != 1 << QUEUE_DEVICE)
            continue;
        assert_true(fabs(us - (c->list[k].uses == 1 ? 300 : 100)) < 1e-3);
        assert_true(crossing_us == 0);
        wholes |= c->list[k].uses;
    }
    assert_int_equal(wholes, 1 | 1 << QUEUE_DEVICE);
    assert_true(fabs((double)c->batch_us[QUEUE_DEVICE][0] - 100) < 1e-3);

    /* With the bytes of the input, half a microsecond, counted again the CPU would be faster. */
    const uint64_t before = queue_device_stats(rt).jobs;
    tell_costs(rt, net.model, 100.2, 100);
    queue_run_many(&net, 1, 1);
    assert_int_equal(queue_device_stats(rt).jobs - before, 1);
    queue_net_free(&net);
    close_runtime(rt, folder);
}

/* Two are at it at the same time, and who began first comes last. */
static void the_newer_plan_stays(void **state)
{
    (void)state;
    char folder[64];
    hsi_planned *older, *newer;
    hsched_runtime *rt = open_runtime(folder);
    queue_net net;
    queue_net_tiny(&net, rt, HSCHED_POLICY_COST);
    put_costs(rt, net.model, 100, 1e6);
    assert_ok(hsi_planner_make(net.model, &older));
    put_costs(rt, net.model, 1e6, 100);
    assert_ok(hsi_planner_make(net.model, &newer));
    hsi_planner_install(net.model, newer);
    hsi_planner_install(net.model, older);
    assert_ptr_equal(net.model->planned, newer);
    assert_ptr_equal(net.model->core.choices, &newer->chosen.choices);
    const uint64_t before = queue_device_stats(rt).jobs;
    queue_run_many(&net, 1, 1);
    assert_int_equal(queue_device_stats(rt).jobs - before, 1); /* by what is true now */
    assert_ok(hsi_planner_plan(net.model));
    assert_ptr_not_equal(net.model->planned, newer);
    queue_net_free(&net);
    close_runtime(rt, folder);
}

/* Larger batches than a model's were measured for another one of the same structure: nothing of it
 * is ever executed as such. */
static void sizes_of_batches_are_the_models_own(void **state)
{
    (void)state;
    static const uint32_t sizes[] = { 1, 2, 3, 4, 7, 16 },
                          counts[] = { 1, 2, 2, 3, 3, 5 };
    char folder[64];
    hsched_runtime *rt = open_runtime(folder);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        queue_net net;
        queue_net_make(&net, rt, tiny_network(8, 1),
                       &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                               .policy = HSCHED_POLICY_COST,
                                               .max_batch = sizes[i] });
        hsi_cost_point point = { .key = hsi_costs_key(net.model, HSI_COST_RUN, 0,
                                                      QUEUE_DEVICE),
                                 .us = 500,
                                 .samples = 1 };
        point.key.batch = 64;
        pthread_mutex_lock(&rt->costs.mutex);
        assert_ok(hsi_cost_table_put(rt->costs.table, &point, 0));
        pthread_mutex_unlock(&rt->costs.mutex);
        tell_costs(rt, net.model, 300, 100);
        assert_int_equal(choices_of(net.model)->batch_count[QUEUE_DEVICE], counts[i]);
        queue_net_free(&net);
    }
    close_runtime(rt, folder);
}

/* Whatever the policy was told, results stay right; here it is told that the device is so slow
 * that nothing should go there, and then the reverse. */
static void runs_go_where_they_end_first(void **state)
{
    (void)state;
    char folder[64];
    hsched_runtime *rt = open_runtime(folder);
    queue_net net;
    queue_net_tiny(&net, rt, HSCHED_POLICY_COST);
    for (int slow = 0; slow < 2; slow++) {
        tell_costs(rt, net.model, slow ? 10 : 1e6, slow ? 1e6 : 10);
        queue_trial t;
        queue_trial_make(&t, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 1);
        const uint64_t before = queue_device_stats(rt).jobs;
        queue_trial_run(&t);
        assert_int_equal(queue_device_stats(rt).jobs - before, slow ? 0 : 1);
        queue_trial_free(&t);
    }
    expect_nothing_failed(rt);
    queue_net_free(&net);
    close_runtime(rt, folder);
}

/* A device becomes much slower while runs wait for it: they are placed anew, and where they were
 * executed in the end is told. */
static void what_waits_for_a_slow_device_is_placed_anew(void **state)
{
    (void)state;
    enum {
        RUNS = 64 /* more than the device has lanes */
    };
    static queue_trial trials[RUNS];
    hsi_core_stats stats;
    char folder[64];
    hsched_runtime *rt = open_runtime(folder);
    queue_net net;
    queue_net_make(&net, rt, tiny_network(32, 1),
                   &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                           .policy = HSCHED_POLICY_COST,
                                           .max_batch = 1 });
    tell_costs(rt, net.model, 1e6, 10);
    queue_trials_make(trials, RUNS, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN);
    assert_ok(hsched_trace_start(
        rt, &(hsched_trace_config){ HSCHED_TRACE_CONFIG_INIT, .path = trace_path() }));
    queue_device_close_gate(QUEUE_GATE_JOBS);
    for (uint32_t i = 0; i < RUNS; i++)
        queue_trial_submit(&trials[i]);
    queue_device_await(QUEUE_COUNT_STARTED, 1);
    pthread_mutex_lock(&rt->pool->lock);
    hsi_core_set_speed(rt->core, QUEUE_DEVICE, 1e6, 0, hsi_now_us());
    hsi_core_get_stats(rt->core, &stats);
    hsi_worker_pool_after_events(rt->pool);
    pthread_mutex_unlock(&rt->pool->lock);
    assert_true(stats.replaced > 0 && stats.replaced < RUNS);
    queue_device_open_gate(QUEUE_GATE_JOBS);
    for (uint32_t i = 0; i < RUNS; i++) {
        hsched_run_times times = { HSCHED_RUN_TIMES_INIT };
        assert_ok(hsched_run_wait(trials[i].run, HSCHED_FOREVER));
        assert_ok(hsched_run_get_times(trials[i].run, &times));
        assert_true(times.devices != 0 && times.devices <= 3);
        if (i == 0) /* it had begun */
            assert_int_equal(times.devices, 1 << QUEUE_DEVICE);
    }
    queue_trials_finish(trials, RUNS);
    assert_ok(hsched_trace_stop(rt, NULL));
    json_t *trace = trace_read();
    assert_int_equal(trace_sum(trace, "i", NULL, "runs placed anew", "runs", 0),
                     queue_runtime_stats(rt).runs_replaced);
    assert_true(trace_sum(trace, "C", NULL, "load", "percent", 0) >= 100000000);
    json_decref(trace);
    queue_trials_free(trials, RUNS);
    expect_nothing_failed(rt);
    queue_net_free(&net);
    close_runtime(rt, folder);
}

/* Jobs that took long enough tell the table, and the background plans anew. */
static void jobs_teach_the_table(void **state)
{
    (void)state;
    char folder[64];
    hsched_runtime *rt = open_runtime(folder);
    queue_net net;
    /* Jobs that take tens of microseconds with plain loops: also where these are slower still. */
    queue_net_make(&net, rt, tiny_network(32, 1),
                   &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                           .policy = HSCHED_POLICY_COST,
                                           .max_batch = 1 });
    const hsi_planned *first = net.model->planned;
    hsi_cost cost;
    const hsi_cost_key key = hsi_costs_key(net.model, HSI_COST_RUN, 0, QUEUE_DEVICE);
    for (int i = 0; i < 20 && net.model->learn_until == 64; i++)
        queue_run_many(&net, AT_ONCE, ROUNDS);
    assert_ok(hsched_runtime_settle(rt));
    pthread_mutex_lock(&rt->costs.mutex);
    hsi_cost_table_find(rt->costs.table, &key, 1, NULL, &cost);
    pthread_mutex_unlock(&rt->costs.mutex);
    assert_true(cost.source == HSI_COST_OBSERVED && cost.us > 0);
    assert_true(net.model->learn_until > 64);
    assert_ptr_not_equal(net.model->planned, first);
    expect_nothing_failed(rt);
    queue_net_free(&net);
    close_runtime(rt, folder);
}

/* ---- Runs that come together ---- */

/* Runs that the device joins, and that would wait for half an hour for others, as others always
 * came at once. */
static void open_gathering(hsched_runtime **rt, queue_net *net, char folder[64])
{
    *rt = open_runtime(folder);
    queue_net_tiny(net, *rt, HSCHED_POLICY_COST);
    queue_run_many(net, 2, 2); /* batches become ready */
    tell_costs(*rt, net->model, 2 * 36e9, 36e9);
    assert_int_equal(choices_of(net->model)->count, 2);
    pthread_mutex_lock(&(*rt)->pool->lock);
    net->model->followed = HSI_FOLLOWED_MOST;
    pthread_mutex_unlock(&(*rt)->pool->lock);
}

static int has_begun(queue_trial *t)
{
    pthread_mutex_t *lock = &t->net->runtime->pool->lock;
    pthread_mutex_lock(lock);
    const int begun = !t->run->exec.core.gathered;
    pthread_mutex_unlock(lock);
    return begun;
}

static void who_waits_has_submitted_all(void **state)
{
    (void)state;
    enum {
        RUNS = 2
    };
    char folder[64];
    hsched_runtime *rt;
    queue_net net;
    queue_trial trials[RUNS];
    open_gathering(&rt, &net, folder);
    queue_trials_make(trials, RUNS, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN);
    for (uint32_t i = 0; i < RUNS; i++)
        queue_trial_submit(&trials[i]);
    assert_true(!has_begun(&trials[0]) && !has_begun(&trials[1]));
    assert_int_equal(queue_trial_batch(&trials[1]), RUNS);
    queue_trials_finish(trials, RUNS);
    assert_int_equal(queue_runtime_stats(rt).runs_gathered, RUNS);

    queue_trial_submit(&trials[0]);
    while (!hsched_run_poll(trials[0].run)) /* who asks has submitted all, too */
        sched_yield();
    queue_trial_finish(&trials[0]);
    expect_nothing_failed(rt);
    queue_trials_free(trials, RUNS);
    queue_net_free(&net);
    close_runtime(rt, folder);
}

static void set_event(void *event, hsched_run *run, hsched_status status)
{
    (void)run;
    (void)status;
    queue_event_set(event);
}

/* Nobody waits, and nobody else comes: after a while it begins all the same. */
static void nobody_has_to_wait_for_it(void **state)
{
    (void)state;
    char folder[64];
    hsched_runtime *rt;
    queue_net net;
    queue_trial trial;
    queue_event *event = queue_event_create();
    assert_non_null(event);
    open_gathering(&rt, &net, folder);
    tell_costs(rt, net.model, 2e5, 1e5);
    queue_trial_make(&trial, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 1);
    trial.callback = set_event;
    trial.callback_user = event;
    queue_trial_submit(&trial);
    queue_event_await(event);
    queue_trial_finish(&trial);
    assert_int_equal(queue_runtime_stats(rt).runs_gathered, 1);
    queue_event_destroy(event);
    queue_trial_free(&trial);
    queue_net_free(&net);
    close_runtime(rt, folder);
}

static void gathered_runs_are_in_nobodys_way(void **state)
{
    (void)state;
    char folder[64];
    hsched_runtime *rt;
    queue_net net;
    queue_trial trial;
    open_gathering(&rt, &net, folder);
    queue_trial_make(&trial, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 1);
    queue_trial_submit(&trial);
    assert_false(has_begun(&trial));
    hsched_run_cancel(trial.run);
    assert_int_equal(hsched_run_wait(trial.run, HSCHED_FOREVER), HSCHED_ERROR_CANCELLED);
    hsched_run_release(trial.run);
    pthread_mutex_lock(&rt->pool->lock);
    net.model->followed = HSI_FOLLOWED_MOST;
    pthread_mutex_unlock(&rt->pool->lock);
    queue_trial_submit(&trial); /* the runtime is destroyed with it */
    assert_false(has_begun(&trial));
    hsched_run_release(trial.run);
    queue_trial_free(&trial);
    queue_net_free(&net);
    close_runtime(rt, folder);
}

static void a_lost_device_costs_no_run(void **state)
{
    (void)state;
    char folder[64];
    hsched_runtime *rt = open_runtime(folder);
    queue_net net;
    queue_trial trials[AT_ONCE];
    queue_net_tiny(&net, rt, HSCHED_POLICY_COST);
    assert_ok(hsched_model_profile(
        net.model,
        &(hsched_profile_config){ HSCHED_PROFILE_CONFIG_INIT, .repetitions = 1 }, NULL));
    queue_trials_make(trials, AT_ONCE, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN);
    for (uint32_t i = 0; i < AT_ONCE; i++)
        queue_trial_submit(&trials[i]);
    pthread_mutex_lock(&rt->pool->lock);
    hsi_core_device_lost(rt->core, QUEUE_DEVICE, 0);
    hsi_worker_pool_after_events(rt->pool);
    pthread_mutex_unlock(&rt->pool->lock);
    queue_trials_finish(trials, AT_ONCE);
    queue_run_many(&net, AT_ONCE, ROUNDS);
    queue_trials_free(trials, AT_ONCE);
    queue_net_free(&net);
    close_runtime(rt, folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_known_goes_to_the_device),
        cmocka_unit_test(a_profile_gives_choices),
        cmocka_unit_test(sizes_of_batches_are_the_models_own),
        cmocka_unit_test(a_whole_run_is_worth_what_it_was_measured_to_take),
        cmocka_unit_test(the_newer_plan_stays),
        cmocka_unit_test(runs_go_where_they_end_first),
        cmocka_unit_test(what_waits_for_a_slow_device_is_placed_anew),
        cmocka_unit_test(jobs_teach_the_table),
        cmocka_unit_test(who_waits_has_submitted_all),
        cmocka_unit_test(nobody_has_to_wait_for_it),
        cmocka_unit_test(gathered_runs_are_in_nobodys_way),
        cmocka_unit_test(a_lost_device_costs_no_run),
    };
    return cmocka_run_group_tests_name("planner", tests, NULL, NULL);
}
