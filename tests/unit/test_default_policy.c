/*
 * What models get that ask for no policy, with a simulated device with a queue and without: where
 * their runs go before and after it is known what they take.
 */
#include "common/queue_runs.h"

#include <hsched/experimental.h>
#include <hsched/policy.h>

#include "common/put_costs.h"
#include "common/support.h"
#include "runtime/planner.h"

static char folder[64]; /* a cost cache of the test's own */

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/hsched-default-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static hsched_runtime *open_runtime(const hsched_policy_plugin *plugin)
{
    return queue_runtime_open(&(queue_device_script){ .ready = 64 },
                              &(hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT,
                                                        .cache_dir = folder,
                                                        .policy_plugin = plugin });
}

static const char *policy_of(hsched_runtime *rt, const hsched_model_config *config)
{
    hsched_model *model = tiny_model(rt, 8, 1, config);
    const char *name = model->core.policy->name;
    hsched_model_release(model);
    return name;
}

/* Where one run goes: how many jobs of it the device has. */
static uint64_t jobs_there(const queue_net *net)
{
    const uint64_t before = queue_device_stats(net->runtime).jobs;
    queue_run_many(net, 1, 1);
    return queue_device_stats(net->runtime).jobs - before;
}

static uint32_t place_here(void *user, const hsched_policy_section *section)
{
    (void)user, (void)section;
    return 0;
}

/* ---- Which ---------------------------------------------------------------- */

static void with_an_accelerator_it_is_cost(void **state)
{
    (void)state;
    hsched_runtime *rt = open_runtime(NULL);
    assert_string_equal(policy_of(rt, NULL), "cost");
    queue_runtime_close(rt);
}

static void without_one_it_is_cpu_only(void **state)
{
    (void)state;
    hsched_runtime *rt;
    assert_ok(hsched_runtime_create(
        &(hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 1,
                                  .flags = HSCHED_RUNTIME_NO_GPU },
        &rt));
    assert_string_equal(policy_of(rt, NULL), "cpu_only");
    hsched_runtime_destroy(rt);
}

static void a_policy_of_the_users_is_his_default(void **state)
{
    (void)state;
    const hsched_policy_plugin plugin = { HSCHED_POLICY_PLUGIN_INIT, .name = "mine",
                                          .place = place_here };
    hsched_runtime *rt = open_runtime(&plugin);
    assert_string_equal(policy_of(rt, NULL), "mine");
    assert_string_equal(
        policy_of(rt, &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                              .flags = HSCHED_MODEL_DETERMINISTIC }),
        "mine");
    queue_runtime_close(rt);
}

/* The same bits each time are those of one device: a placement that follows from measurements
 * would give them up. Who asks for it gets it. */
static void deterministic_models_stay_with_a_rule(void **state)
{
    (void)state;
    const hsched_model_config steady = { HSCHED_MODEL_CONFIG_INIT,
                                         .flags = HSCHED_MODEL_DETERMINISTIC },
                              asked = { HSCHED_MODEL_CONFIG_INIT,
                                        .flags = HSCHED_MODEL_DETERMINISTIC,
                                        .policy = HSCHED_POLICY_COST },
                              contradicts = { HSCHED_MODEL_CONFIG_INIT,
                                              .flags = HSCHED_MODEL_DETERMINISTIC,
                                              .objective = HSCHED_OBJECTIVE_LATENCY };
    hsched_runtime *rt = open_runtime(NULL);
    queue_net net;
    assert_string_equal(policy_of(rt, &asked), "cost");
    hsched_graph *graph = tiny_network(8, 1);
    hsched_model *model;
    assert_fails(hsched_model_compile(rt, graph, &contradicts, &model),
                 HSCHED_ERROR_INVALID_ARGUMENT, "HSCHED_POLICY_COST");
    queue_net_make(&net, rt, graph, &steady);
    assert_string_equal(net.model->core.policy->name, "gpu_only");
    put(net.model, HSI_COST_RUN, 0, 0, 1, 1, 10);
    put(net.model, HSI_COST_RUN, 0, QUEUE_DEVICE, 1, 1, 1e6);
    assert_int_equal(jobs_there(&net), 1);
    queue_net_free(&net);
    queue_runtime_close(rt);

    rt = queue_runtime_open(
        NULL, &(hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .cache_dir = folder,
                                        .policy = HSCHED_POLICY_COST });
    assert_string_equal(policy_of(rt, &steady), "cost");
    queue_runtime_close(rt);
}

/* An objective needs no policy beside it where `cost` is the default. */
static void objectives_need_no_policy(void **state)
{
    (void)state;
    hsched_runtime *rt = queue_runtime_open(
        NULL, &(hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .cache_dir = folder,
                                        .objective = HSCHED_OBJECTIVE_LATENCY });
    hsched_model *model = tiny_model(rt, 8, 1, NULL);
    assert_int_equal(model->core.objective, HSCHED_OBJECTIVE_LATENCY);
    hsched_model_release(model);
    model = tiny_model(rt, 8, 1,
                       &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                               .flags = HSCHED_MODEL_DETERMINISTIC });
    assert_string_equal(model->core.policy->name, "gpu_only");
    assert_int_equal(model->core.objective, HSCHED_OBJECTIVE_DEFAULT);
    hsched_model_release(model);
    queue_runtime_close(rt);
}

/* ---- Where runs go -------------------------------------------------------- */

static void count_unknown(void *user, hsched_log_level level, const char *message)
{
    if (strstr(message, "is not known; it goes to an accelerator")) {
        assert_int_equal(level, HSCHED_LOG_INFO);
        ++*(int *)user;
    }
}

/* With nothing known as with gpu_only, and it is said, once a model; all runs are joined there. */
static void what_is_not_known_goes_to_the_accelerator(void **state)
{
    (void)state;
    enum {
        AT_ONCE = 8,
        ROUNDS = 10
    };
    int told = 0;
    hsched_run_times times = { HSCHED_RUN_TIMES_INIT };
    queue_net net;
    queue_trial trial;
    hsched_runtime *rt = open_runtime(NULL);
    hsched_log_set(count_unknown, &told, HSCHED_LOG_INFO);
    queue_net_make(&net, rt, tiny_network(8, 1), NULL);
    assert_string_equal(net.model->core.policy->name, "cost");
    queue_run_many(&net, AT_ONCE, ROUNDS);
    assert_int_equal(queue_runtime_stats(rt).crossings, 0);
    queue_trial_make(&trial, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 5);
    queue_trial_submit(&trial);
    assert_ok(hsched_run_wait(trial.run, HSCHED_FOREVER));
    assert_ok(hsched_run_get_times(trial.run, &times));
    assert_int_equal(times.devices, 1 << QUEUE_DEVICE);
    queue_trial_finish(&trial);
    queue_trial_free(&trial);
    queue_expect_no_restarts(rt);
    assert_int_equal(told, 1);
    hsched_log_set(NULL, NULL, HSCHED_LOG_WARNING);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

/* A profile makes choices of a model that is loaded, and its cost cache those of the next runtime;
 * which it is then, is a matter of what was measured, here made up. */
static void after_a_profile_they_move(void **state)
{
    (void)state;
    queue_net net;
    hsched_runtime *rt = open_runtime(NULL);
    queue_net_make(&net, rt, tiny_network(8, 1), NULL);
    assert_int_equal(net.model->planned->chosen.choices.count, 0);
    assert_ok(hsched_model_profile(
        net.model,
        &(hsched_profile_config){ HSCHED_PROFILE_CONFIG_INIT, .repetitions = 2 }, NULL));
    assert_true(net.model->planned->chosen.choices.count > 0);
    for (int there = 0; there < 2; there++) {
        for (uint32_t d = 0; d < 2; d++) {
            const double us = d == (there ? QUEUE_DEVICE : 0) ? 20 : 1e6;
            put_sections(net.model, d, us);
            for (uint32_t workers = 1; workers <= (d == 0 ? 2 : 1); workers++)
                put(net.model, HSI_COST_RUN, 0, d, workers, 1, us);
        }
        assert_ok(hsi_planner_plan(net.model));
        assert_int_equal(jobs_there(&net), there);
    }
    queue_net_free(&net);
    queue_runtime_close(rt);

    rt = open_runtime(NULL);
    queue_net_make(&net, rt, tiny_network(8, 1), NULL);
    assert_true(net.model->planned->chosen.choices.count > 0);
    queue_run_many(&net, 2, 3);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(with_an_accelerator_it_is_cost),
        WITH_FOLDER(without_one_it_is_cpu_only),
        WITH_FOLDER(a_policy_of_the_users_is_his_default),
        WITH_FOLDER(deterministic_models_stay_with_a_rule),
        WITH_FOLDER(objectives_need_no_policy),
        WITH_FOLDER(what_is_not_known_goes_to_the_accelerator),
        WITH_FOLDER(after_a_profile_they_move),
    };
    return cmocka_run_group_tests_name("default_policy", tests, NULL, NULL);
}
