/*
 * Objectives and the power cap in a runtime with a simulated device with a queue: what is refused,
 * what is known of the devices, and that what the cap keeps back begins when it may.
 */
#include "common/queue_runs.h"

#include <pthread.h>
#include <sched.h>

#include <hsched/experimental.h>

#include "common/support.h"
#include "base/sync.h"
#include "runtime/runtime.h"
#include "worker/queue.h"

#define CPU_WATTS    10.0
#define DEVICE_WATTS 50.0
#define IDLE_WATTS   3.0 /* of both */

enum {
    AT_ONCE = 8,
    ROUNDS = 3
};

static const hsched_device_watts watts[] = { { "cpu", CPU_WATTS, 1 },
                                             { "queue0", DEVICE_WATTS, 2 } };
static char folder[64];

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/hsched-power-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static hsched_runtime_config config_of(hsched_objective objective, double power_cap_watts)
{
    return (hsched_runtime_config){
        HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 2,
        .cache_dir = folder,        .policy = HSCHED_POLICY_COST,
        .objective = objective,     .power_cap_watts = power_cap_watts,
        .device_watts = watts,      .device_watts_count = 2
    };
}

static void expect_refused(const hsched_runtime_config *config, hsched_status status,
                           const char *said)
{
    hsched_runtime *rt;
    assert_fails(hsched_runtime_create(config, &rt), status, said);
    assert_null(rt);
}

/* ---- What is refused ---- */

static void what_contradicts_itself_is_refused(void **state)
{
    (void)state;
    static const hsched_device_watts other = { "tpu", 1, 0 }, none = { NULL, 1, 0 },
                                     more = { "cpu", 1, 2 }, nothing = { "cpu", 0, 0 };
    static const struct {
        const hsched_device_watts *watts;
        const char *said;
    } bad[] = { { &other, "no device 'tpu'; it has cpu, queue0" },
                { &none, "number 0 has no device" },
                { &more, "no more when it idles" },
                { &nothing, "no more when it idles" },
                { NULL, "device_watts is NULL" } };
    hsched_runtime_config config = config_of(HSCHED_OBJECTIVE_LATENCY, 0);
    queue_device_begin(&(queue_device_script){ 0 });
    config.policy = HSCHED_POLICY_GPU_ONLY;
    expect_refused(&config, HSCHED_ERROR_INVALID_ARGUMENT, "HSCHED_POLICY_COST");
    config = config_of((hsched_objective)9, 0);
    expect_refused(&config, HSCHED_ERROR_INVALID_ARGUMENT, "objective 9");
    config = config_of(HSCHED_OBJECTIVE_POWER_CAP, 0);
    expect_refused(&config, HSCHED_ERROR_INVALID_ARGUMENT, "go together");
    config = config_of(HSCHED_OBJECTIVE_ENERGY, 10);
    expect_refused(&config, HSCHED_ERROR_INVALID_ARGUMENT, "go together");
    config = config_of(HSCHED_OBJECTIVE_POWER_CAP, -1);
    expect_refused(&config, HSCHED_ERROR_INVALID_ARGUMENT, "go together");
    config = config_of(HSCHED_OBJECTIVE_POWER_CAP, IDLE_WATTS);
    expect_refused(&config, HSCHED_ERROR_INVALID_ARGUMENT, "3 W when they idle");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        config = config_of(HSCHED_OBJECTIVE_DEFAULT, 0);
        config.device_watts = bad[i].watts;
        config.device_watts_count = 1;
        expect_refused(&config, HSCHED_ERROR_INVALID_ARGUMENT, bad[i].said);
    }
    queue_device_end();
}

static void unknown_watts_are_refused(void **state)
{
    (void)state;
    hsched_runtime_config config = config_of(HSCHED_OBJECTIVE_ENERGY, 0);
    queue_device_begin(&(queue_device_script){ 0 });
    config.device_watts_count = 1;
    expect_refused(&config, HSCHED_ERROR_NOT_FOUND, "of 'queue0' it is not known");
    config = config_of(HSCHED_OBJECTIVE_POWER_CAP, 20);
    config.device_watts = NULL;
    config.device_watts_count = 0;
    expect_refused(&config, HSCHED_ERROR_NOT_FOUND, "of 'cpu' it is not known");
    queue_device_end();
}

static void models_are_checked(void **state)
{
    (void)state;
    static const struct {
        hsched_model_config config;
        hsched_status status;
        const char *said;
    } bad[] = {
        { { HSCHED_MODEL_CONFIG_INIT, .objective = HSCHED_OBJECTIVE_POWER_CAP },
          HSCHED_ERROR_INVALID_ARGUMENT,
          "a cap is of all devices" },
        { { HSCHED_MODEL_CONFIG_INIT, .objective = (hsched_objective)8 },
          HSCHED_ERROR_INVALID_ARGUMENT,
          "objective 8" },
        { { HSCHED_MODEL_CONFIG_INIT, .policy = HSCHED_POLICY_GPU_ONLY,
            .objective = HSCHED_OBJECTIVE_LATENCY },
          HSCHED_ERROR_INVALID_ARGUMENT,
          "HSCHED_POLICY_COST" },
        { { HSCHED_MODEL_CONFIG_INIT, .batch_wait_us = 5,
            .objective = HSCHED_OBJECTIVE_LATENCY },
          HSCHED_ERROR_INVALID_ARGUMENT,
          "batch_wait_us is 5" },
        { { HSCHED_MODEL_CONFIG_INIT, .objective = HSCHED_OBJECTIVE_ENERGY },
          HSCHED_ERROR_NOT_FOUND,
          "of 'cpu' it is not known" },
    };
    hsched_runtime_config config = config_of(HSCHED_OBJECTIVE_DEFAULT, 0);
    config.device_watts = NULL;
    config.device_watts_count = 0;
    hsched_runtime *rt = queue_runtime_open(&(queue_device_script){ 0 }, &config);
    hsched_graph *graph = tiny_network(16, 1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        hsched_model *model;
        assert_fails(hsched_model_compile(rt, graph, &bad[i].config, &model),
                     bad[i].status, bad[i].said);
        assert_null(model);
    }
    hsched_graph_destroy(graph);
    queue_runtime_close(rt);
}

/* ---- What is known ---- */

static void models_have_the_runtimes_objective_or_their_own(void **state)
{
    (void)state;
    static const struct {
        hsched_policy policy;
        hsched_objective objective, expected;
    } cases[] = {
        { HSCHED_POLICY_DEFAULT, HSCHED_OBJECTIVE_DEFAULT, HSCHED_OBJECTIVE_ENERGY },
        { HSCHED_POLICY_DEFAULT, HSCHED_OBJECTIVE_LATENCY, HSCHED_OBJECTIVE_LATENCY },
        { HSCHED_POLICY_GPU_ONLY, HSCHED_OBJECTIVE_DEFAULT, HSCHED_OBJECTIVE_DEFAULT }
    };
    const hsched_runtime_config config = config_of(HSCHED_OBJECTIVE_ENERGY, 0);
    hsched_runtime *rt = queue_runtime_open(&(queue_device_script){ 0 }, &config);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hsched_model *model = tiny_model(
            rt, 16, 1,
            &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT, .policy = cases[i].policy,
                                    .objective = cases[i].objective });
        assert_int_equal(model->core.objective, cases[i].expected);
        hsched_model_release(model);
    }
    queue_runtime_close(rt);
}

/* What the table of costs knows from the cache file; what the user says goes before it. */
static void measured_watts_are_used(void **state)
{
    (void)state;
    hsched_runtime_config config = config_of(HSCHED_OBJECTIVE_DEFAULT, 0);
    config.device_watts_count = 0;
    config.device_watts = NULL;
    hsched_runtime *rt = queue_runtime_open(&(queue_device_script){ 0 }, &config);
    for (uint32_t d = 0; d < 2; d++)
        assert_ok(hsi_cost_table_put_watts(rt->costs.table, rt->costs.devices[d], 20 + d,
                                           d, 1));
    assert_ok(hsi_costs_save(rt));
    queue_runtime_close(rt);
    config = config_of(HSCHED_OBJECTIVE_ENERGY, 0);
    config.device_watts_count = 1;
    rt = queue_runtime_open(&(queue_device_script){ 0 }, &config);
    assert_true(rt->power.watts[0] == CPU_WATTS && rt->power.idle_watts[0] == 1);
    assert_true(rt->power.watts[1] == 21 && rt->power.idle_watts[1] == 1);
    queue_runtime_close(rt);
}

/* What is told and what is gone by is the same, also if it has become known since. */
static void the_scheduler_goes_by_what_is_told(void **state)
{
    (void)state;
    hsched_runtime_config config = config_of(HSCHED_OBJECTIVE_DEFAULT, 0);
    double told, told_idle, used, used_idle;
    config.device_watts_count = 1;
    hsched_runtime *rt = queue_runtime_open(&(queue_device_script){ 0 }, &config);
    for (int i = 1; i < 3; i++) {
        assert_ok(hsi_cost_table_put_watts(rt->costs.table, rt->costs.devices[1], 20 * i,
                                           i, 1));
        for (uint32_t d = 0; d < 2; d++) {
            assert_ok(hsched_runtime_get_watts(rt, d, &told, &told_idle));
            pthread_mutex_lock(&rt->pool->lock);
            hsi_core_get_watts(rt->core, d, &used, &used_idle);
            pthread_mutex_unlock(&rt->pool->lock);
            assert_true(told == used && told_idle == used_idle);
            assert_true(told == (d == 0 ? CPU_WATTS : 20 * i));
        }
    }
    queue_runtime_close(rt);
}

/* What has become known may leave nothing under the cap: it is not taken over then. */
static void the_cap_is_checked_again(void **state)
{
    (void)state;
    hsched_runtime_config config = config_of(HSCHED_OBJECTIVE_DEFAULT, 0);
    hsched_model *model;
    double used, used_idle;
    config.device_watts_count = 1; /* of the CPU, 1 W */
    hsched_runtime *rt = queue_runtime_open(&(queue_device_script){ 0 }, &config);
    assert_ok(hsi_cost_table_put_watts(rt->costs.table, rt->costs.devices[1], 20, 3, 1));
    assert_ok(hsi_costs_save(rt));
    queue_runtime_close(rt);
    config.objective = HSCHED_OBJECTIVE_POWER_CAP;
    config.power_cap_watts = 10;
    rt = queue_runtime_open(&(queue_device_script){ 0 }, &config);
    const hsched_model_config energy = { HSCHED_MODEL_CONFIG_INIT,
                                         .objective = HSCHED_OBJECTIVE_ENERGY };
    model = tiny_model(rt, 16, 1, &energy);
    hsched_model_release(model);
    assert_ok(hsi_cost_table_put_watts(rt->costs.table, rt->costs.devices[1], 20, 9, 1));
    hsched_graph *graph = tiny_network(16, 1);
    assert_fails(hsched_model_compile(rt, graph, &energy, &model),
                 HSCHED_ERROR_INVALID_ARGUMENT, "draw 10 W when they idle");
    hsched_graph_destroy(graph);
    pthread_mutex_lock(&rt->pool->lock);
    hsi_core_get_watts(rt->core, 1, &used, &used_idle);
    pthread_mutex_unlock(&rt->pool->lock);
    assert_true(used == 20 && used_idle == 3);
    queue_runtime_close(rt);
}

/* ---- The cap ---- */

/* Caps that both devices, one, and none fit under, and all policies. */
static void under_a_cap_all_is_done(void **state)
{
    (void)state;
    static const double caps[] = { 100, 55, 20, 8 };
    static const hsched_policy policies[] = { HSCHED_POLICY_COST, HSCHED_POLICY_GPU_ONLY,
                                              HSCHED_POLICY_CPU_ONLY,
                                              HSCHED_POLICY_LAYER_TYPE };
    for (size_t i = 0; i < sizeof caps / sizeof caps[0]; i++) {
        const hsched_runtime_config config =
            config_of(HSCHED_OBJECTIVE_POWER_CAP, caps[i]);
        hsched_runtime *rt =
            queue_runtime_open(&(queue_device_script){ .ready = 4 }, &config);
        for (size_t k = 0; k < sizeof policies / sizeof policies[0]; k++) {
            queue_net net;
            queue_net_tiny(&net, rt, policies[k]);
            queue_run_many(&net, AT_ONCE, ROUNDS);
            queue_net_free(&net);
        }
        queue_expect_no_restarts(rt);
        queue_runtime_close(rt);
    }
}

/* While the device executes beyond the cap, nothing begins on the CPU, but can be cancelled. */
static void the_cap_keeps_jobs_back(void **state)
{
    (void)state;
    const hsched_runtime_config config = config_of(HSCHED_OBJECTIVE_POWER_CAP, 20);
    hsched_runtime *rt = queue_runtime_open(&(queue_device_script){ 0 }, &config);
    queue_net there, here;
    queue_trial first, second, third;
    queue_net_tiny(&there, rt, HSCHED_POLICY_GPU_ONLY);
    queue_net_tiny(&here, rt, HSCHED_POLICY_CPU_ONLY);
    queue_trial_make(&first, &there, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 1);
    queue_trial_make(&second, &here, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 2);
    queue_trial_make(&third, &here, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 3);
    queue_device_close_gate(QUEUE_GATE_JOBS);
    queue_trial_submit(&first);
    queue_device_await(QUEUE_COUNT_STARTED, 1);
    queue_trial_submit(&second);
    pthread_mutex_lock(&rt->pool->lock);
    assert_int_equal(hsi_core_queued(rt->core, 0), 1);
    assert_int_equal(hsi_core_startable(rt->core, 0), 0);
    pthread_mutex_unlock(&rt->pool->lock);
    queue_trial_submit(&third);
    hsched_run_cancel(third.run);
    assert_int_equal(hsched_run_wait(third.run, HSCHED_FOREVER), HSCHED_ERROR_CANCELLED);
    hsched_run_release(third.run);
    third.run = NULL;
    queue_device_open_gate(QUEUE_GATE_JOBS);
    queue_trial_finish(&first);
    queue_trial_finish(&second);
    queue_trial_free(&first);
    queue_trial_free(&second);
    queue_trial_free(&third);
    queue_net_free(&there);
    queue_net_free(&here);
    queue_runtime_close(rt);
}

/* ---- Waiting for the cap ---- */

typedef struct held {
    hsched_runtime *rt;
    queue_net net;
    queue_trial first, second;
    pthread_t thread;
    hsched_status status;
} held;

static void *wait_for_second(void *argument)
{
    held *h = argument;
    h->status = hsched_run_wait(h->second.run, HSCHED_FOREVER);
    return NULL;
}

static void draws(hsched_runtime *rt, double active, double idle)
{
    pthread_mutex_lock(&rt->pool->lock);
    hsi_core_set_watts(rt->core, QUEUE_DEVICE, active, idle, hsi_now_us());
    hsi_worker_pool_after_events(rt->pool);
    pthread_mutex_unlock(&rt->pool->lock);
}

/* Until when who attends sleeps, as soon as somebody does. */
static uint64_t sleeps_until(hsched_runtime *rt)
{
    const hsi_queue *q = rt->pool->queues[QUEUE_DEVICE];
    for (uint64_t until = 0;; sched_yield()) {
        pthread_mutex_lock(&rt->pool->lock);
        until = q->attended ? q->attendant_us : 0;
        pthread_mutex_unlock(&rt->pool->lock);
        if (until > 0)
            return until;
    }
}

/* The device executed what was owed for long: when idle it draws almost the cap. A second run is
 * kept back, and a thread waits for it. */
static void keep_back(held *h)
{
    const double cap = 1000;
    const hsched_runtime_config config = config_of(HSCHED_OBJECTIVE_POWER_CAP, cap);
    h->rt = queue_runtime_open(&(queue_device_script){ 0 }, &config);
    queue_net_tiny(&h->net, h->rt, HSCHED_POLICY_GPU_ONLY);
    queue_trial_make(&h->first, &h->net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 1);
    queue_trial_make(&h->second, &h->net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 2);
    draws(h->rt, 5 * cap, cap - watts[0].idle_watts - 1e-4);
    queue_trial_run(&h->first);
    queue_trial_submit(&h->second);
    assert_int_equal(pthread_create(&h->thread, NULL, wait_for_second, h), 0);
    /* What one microsecond above the cap owes takes longer than that. */
    assert_true(sleeps_until(h->rt) > hsi_now_us() + 1000000);
}

static void let_go(held *h)
{
    queue_trial_free(&h->first);
    queue_trial_free(&h->second);
    queue_net_free(&h->net);
    queue_runtime_close(h->rt);
}

/* Who waits sleeps until the cap allows more, and not a while at a time; a cancel wakes him. */
static void who_waits_for_the_cap_is_woken_by_a_cancel(void **state)
{
    (void)state;
    held h = { 0 };
    keep_back(&h);
    hsched_run_cancel(h.second.run);
    assert_int_equal(pthread_join(h.thread, NULL), 0);
    assert_int_equal(h.status, HSCHED_ERROR_CANCELLED);
    hsched_run_release(h.second.run);
    let_go(&h);
}

/* So does anything that lets the job begin earlier. */
static void who_waits_for_the_cap_is_woken_when_it_allows_more(void **state)
{
    (void)state;
    held h = { 0 };
    keep_back(&h);
    draws(h.rt, DEVICE_WATTS, 0);
    assert_int_equal(pthread_join(h.thread, NULL), 0);
    assert_ok(h.status);
    queue_trial_finish(&h.second);
    let_go(&h);
}

/* Waiting for the cap would be measured as work. */
static void under_a_cap_nothing_is_measured(void **state)
{
    (void)state;
    const hsched_runtime_config config = config_of(HSCHED_OBJECTIVE_POWER_CAP, 20);
    hsched_runtime *rt = queue_runtime_open(&(queue_device_script){ 0 }, &config);
    queue_net net;
    hsched_cost cost = { HSCHED_COST_INIT };
    queue_net_tiny(&net, rt, HSCHED_POLICY_COST);
    assert_fails(hsched_model_profile(net.model, NULL, NULL), HSCHED_ERROR_STATE,
                 "power cap of 20 W");
    assert_ok(hsched_model_get_cost(
        net.model,
        &(hsched_cost_query){ HSCHED_COST_QUERY_INIT, .unit = HSCHED_COST_RUN }, &cost));
    assert_int_equal(cost.source, HSCHED_COST_UNKNOWN);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_contradicts_itself_is_refused),
        TEST(unknown_watts_are_refused),
        TEST(models_are_checked),
        TEST(models_have_the_runtimes_objective_or_their_own),
        TEST(measured_watts_are_used),
        TEST(the_scheduler_goes_by_what_is_told),
        TEST(the_cap_is_checked_again),
        TEST(under_a_cap_all_is_done),
        TEST(the_cap_keeps_jobs_back),
        TEST(who_waits_for_the_cap_is_woken_by_a_cancel),
        TEST(who_waits_for_the_cap_is_woken_when_it_allows_more),
        TEST(under_a_cap_nothing_is_measured),
    };
    return cmocka_run_group_tests_name("power", tests, NULL, NULL);
}
