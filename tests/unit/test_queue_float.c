/*
 * Policies that decide run by run, on a simulated device with a queue: what passes between the jobs
 * of a run is where the next one reads it, wherever that is. Results are the CPU's, bit by bit.
 */
#include "common/queue_runs.h"

#include "common/dice_policy.h"
#include "common/tiny.h"
#include "zoo/zoo.h"

enum {
    AT_ONCE = 6
};

static hsched_runtime *open_runtime(dice *d, const queue_device_script *script)
{
    const hsched_policy_plugin plugin = dice_policy(d);
    return queue_runtime_open(
        script,
        &(hsched_runtime_config){
            HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 2, .gpus = (const int[]){ 0, 1 },
            .gpu_count = script && script->devices ? script->devices : 1,
            .policy_plugin = &plugin, .policy = HSCHED_POLICY_PLUGIN });
}

/* On how many devices jobs were executed. */
static uint32_t devices_used(hsched_runtime *rt, uint32_t count)
{
    uint32_t used = 0;
    for (uint32_t d = 0; d < count; d++) {
        hsched_device_stats stats = { HSCHED_DEVICE_STATS_INIT };
        assert_ok(hsched_runtime_get_device_stats(rt, d, &stats));
        used += stats.jobs > 0;
    }
    return used;
}

static void expect_nothing_failed(hsched_runtime *rt)
{
    queue_expect_no_restarts(rt);
    assert_int_equal(queue_runtime_stats(rt).invalid_placements, 0);
}

static void any_placement_gives_the_cpus_bits(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        dice d = { .random = seed * 977 + 5, .stay = (uint32_t)seed };
        const uint32_t devices = seed % 3 == 2 ? 2 : 1;
        hsched_runtime *rt =
            open_runtime(&d, &(queue_device_script){ .seed = seed, .devices = devices });
        queue_net net;
        queue_net_tiny(&net, rt, HSCHED_POLICY_PLUGIN);
        queue_try_all_memory(&net);
        expect_nothing_failed(rt);
        assert_int_equal(devices_used(rt, devices + 1), devices + 1);
        queue_net_free(&net);
        queue_runtime_close(rt);
    }
}

/* Branches, concatenations in place, residual connections: tensors with several writers and
 * readers. The CPU's workers and the device work on one run at the same time. */
static void networks_give_the_cpus_bits(void **state)
{
    static const char *const names[] = { "mlp", "squeezenet1_1", NULL };
    const char *mode = getenv("HSCHED_TEST_MODE");
    const int slow = mode && strcmp(mode, "all") != 0; /* plain loops under sanitizers */
    (void)state;
    for (int i = 0; names[i] && !(slow && i > 0); i++) {
        dice d = { .random = 11, .stay = 5 };
        hsched_runtime *rt = open_runtime(&d, &(queue_device_script){ .seed = 3 });
        hsched_graph *graph;
        queue_net net;
        queue_trial t;
        assert_ok(zoo_build(names[i], 1, &graph));
        queue_net_make(&net, rt, graph,
                       &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                               .policy = HSCHED_POLICY_PLUGIN });
        queue_trial_make(&t, &net, USER_TENSOR_PLAIN, USER_TENSOR_SHARED, 7);
        for (int round = 0; round < 2; round++)
            queue_trial_run(&t);
        queue_trial_free(&t);
        expect_nothing_failed(rt);
        queue_net_free(&net);
        queue_runtime_close(rt);
    }
}

static void many_runs_at_once(void **state)
{
    (void)state;
    dice d = { .random = 2, .stay = 6 };
    hsched_runtime *rt =
        open_runtime(&d, &(queue_device_script){ .seed = 1, .ready = 4 });
    queue_net net;
    queue_trial trials[AT_ONCE];
    queue_net_tiny(&net, rt, HSCHED_POLICY_PLUGIN);
    queue_trials_make(trials, AT_ONCE, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN);
    for (int round = 0; round < 20; round++) {
        for (uint32_t i = 0; i < AT_ONCE; i++)
            queue_trial_submit(&trials[i]);
        queue_trials_finish(trials, AT_ONCE);
    }
    queue_trials_free(trials, AT_ONCE);
    expect_nothing_failed(rt);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

/* A run that is on the device as a whole has nothing to do with the host's memory: runs are
 * joined, and give an event. */
static void whole_runs_are_joined(void **state)
{
    (void)state;
    dice d = { .stay = 8, .device = QUEUE_DEVICE };
    hsched_runtime *rt = open_runtime(&d, &(queue_device_script){ .ready = 8 });
    queue_net net;
    queue_trial trials[AT_ONCE];
    queue_net_tiny(&net, rt, HSCHED_POLICY_PLUGIN);
    queue_trials_make(trials, AT_ONCE, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN);
    queue_device_close_gate(QUEUE_GATE_JOBS);
    for (uint32_t i = 0; i < AT_ONCE; i++)
        queue_trial_submit(&trials[i]);
    void *event;
    assert_ok(hsched_run_get_event(trials[0].run, &event));
    assert_non_null(event);
    queue_device_open_gate(QUEUE_GATE_JOBS);
    queue_trials_finish(trials, AT_ONCE);
    queue_trials_free(trials, AT_ONCE);
    assert_true(queue_runtime_stats(rt).runs_joined > 0);
    expect_nothing_failed(rt);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

/* One that is not gives none: the CPU has the rest of it. */
static void parted_runs_have_no_event(void **state)
{
    (void)state;
    dice d = { .random = 1 };
    hsched_runtime *rt = open_runtime(&d, NULL);
    queue_net net;
    queue_trial t;
    queue_net_tiny(&net, rt, HSCHED_POLICY_PLUGIN);
    queue_trial_make(&t, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 1);
    queue_trial_submit(&t);
    void *event;
    assert_fails(hsched_run_get_event(t.run, &event), HSCHED_ERROR_UNSUPPORTED, "CPU");
    queue_trial_finish(&t);
    queue_trial_free(&t);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_placement_gives_the_cpus_bits),
        cmocka_unit_test(networks_give_the_cpus_bits),
        cmocka_unit_test(many_runs_at_once),
        cmocka_unit_test(whole_runs_are_joined),
        cmocka_unit_test(parted_runs_have_no_event),
    };
    return cmocka_run_group_tests_name("placed run by run", tests, NULL, NULL);
}
