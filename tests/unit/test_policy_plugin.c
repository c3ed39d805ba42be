/* Policies of the user's: who is asked what, what wrong answers do, and who goes first. */
#include "common/queue_runs.h"

#include <hsched/policy.h>

#include "common/tiny.h"

enum {
    MOST_LANES = 32
};

/* What a policy of these tests answers, and what it was asked. */
typedef struct script {
    uint32_t answer; /* the device, if the section can go there; else the CPU */
    int wrong;       /* answers what is no device */
    uint32_t asked, cuts_asked, orders_asked;
    hsched_policy_run last_run;
    char model[32];
} script;

static uint32_t place(void *user, const hsched_policy_section *section)
{
    script *s = user;
    s->asked++;
    assert_true(section->struct_size >= sizeof *section);
    assert_true(section->section < section->section_count);
    assert_true(section->device_mask & 1);
    assert_int_equal(section->kinds[0], HSCHED_DEVICE_CPU);
    assert_true(section->workers[0] > 0);
    assert_true(section->layer_classes != 0);
    s->last_run = *section->run;
    snprintf(s->model, sizeof s->model, "%s", section->run->model);
    if (s->wrong)
        return s->asked % 2 ? 31 : UINT32_MAX;
    return section->device_mask >> s->answer & 1 ? s->answer : 0;
}

static int cut_at_convolutions(void *user, uint32_t before, uint32_t after)
{
    script *s = user;
    s->cuts_asked++;
    return (before == HSCHED_CLASS_CONVOLUTION) != (after == HSCHED_CLASS_CONVOLUTION);
}

static int64_t by_deadline(void *user, const hsched_policy_run *run)
{
    script *s = user;
    s->orders_asked++;
    return run->deadline_us ? (int64_t)run->deadline_us : INT64_MAX;
}

static hsched_runtime *open_runtime(const hsched_policy_plugin *plugin,
                                    const char *const *sims, uint32_t count)
{
    hsched_sim_config devices[2];
    for (uint32_t i = 0; i < count; i++)
        devices[i] = (hsched_sim_config){ HSCHED_SIM_CONFIG_INIT, .name = sims[i] };
    hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 2,
                                     .sims = devices, .sim_count = count,
                                     .policy_plugin = plugin };
    hsched_runtime *rt;
    assert_ok(hsched_runtime_create(&config, &rt));
    return rt;
}

static uint64_t jobs_of(hsched_runtime *rt, uint32_t device)
{
    hsched_device_stats stats = { HSCHED_DEVICE_STATS_INIT };
    assert_ok(hsched_runtime_get_device_stats(rt, device, &stats));
    return stats.jobs;
}

/* Whatever device it says, also after the model was compiled. */
static void sections_go_where_the_policy_says(void **state)
{
    (void)state;
    script s = { 0 };
    const hsched_policy_plugin plugin = { HSCHED_POLICY_PLUGIN_INIT, .user = &s,
                                          .place = place };
    hsched_runtime *rt = open_runtime(&plugin, (const char *[]){ "a", "b" }, 2);
    hsched_model *model = tiny_model(rt, TINY_SIZE, TINY_SEED, NULL);
    assert_int_equal(s.asked, 0); /* compiling asks for no place */
    for (uint32_t device = 0; device < 3; device++) {
        const uint64_t jobs = jobs_of(rt, device);
        s.answer = device;
        tiny_expect_cpus_result(rt, model);
        assert_true(jobs_of(rt, device) > jobs);
    }
    assert_true(s.asked >= 3);
    assert_string_equal(s.model, "tiny");
    hsched_runtime_stats stats = { HSCHED_RUNTIME_STATS_INIT };
    assert_ok(hsched_runtime_get_stats(rt, &stats));
    assert_int_equal(stats.invalid_placements, 0);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

static void wrong_answers_mean_the_cpu_and_are_counted(void **state)
{
    (void)state;
    script s = { .wrong = 1 };
    const hsched_policy_plugin plugin = { HSCHED_POLICY_PLUGIN_INIT, .user = &s,
                                          .place = place };
    hsched_runtime *rt = open_runtime(&plugin, (const char *[]){ "a" }, 1);
    hsched_model *model = tiny_model(rt, TINY_SIZE, TINY_SEED, NULL);
    tiny_expect_cpus_result(rt, model);
    hsched_runtime_stats stats = { HSCHED_RUNTIME_STATS_INIT };
    assert_ok(hsched_runtime_get_stats(rt, &stats));
    assert_true(s.asked > 0);
    assert_int_equal(stats.invalid_placements, s.asked);
    assert_int_equal(jobs_of(rt, 1), 0);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

static void sections_end_where_the_policy_cuts(void **state)
{
    (void)state;
    script s = { .answer = 1 };
    hsched_policy_plugin plugin = { HSCHED_POLICY_PLUGIN_INIT, .user = &s,
                                    .place = place };
    hsched_runtime *whole = open_runtime(&plugin, (const char *[]){ "a" }, 1);
    plugin.cut = cut_at_convolutions;
    hsched_runtime *parts = open_runtime(&plugin, (const char *[]){ "a" }, 1);
    hsched_model *one = tiny_model(whole, TINY_SIZE, TINY_SEED, NULL);
    assert_int_equal(s.cuts_asked, 0);
    hsched_model *several = tiny_model(parts, TINY_SIZE, TINY_SEED, NULL);
    assert_true(s.cuts_asked > 0);
    hsched_model_stats stats = { HSCHED_MODEL_STATS_INIT };
    assert_ok(hsched_model_get_stats(one, &stats));
    assert_int_equal(stats.sections, 1);
    assert_ok(hsched_model_get_stats(several, &stats));
    assert_true(stats.sections > 2);
    for (uint32_t i = 1; i < hsched_model_step_count(several); i++) {
        hsched_step_info a = { HSCHED_STEP_INFO_INIT }, b = { HSCHED_STEP_INFO_INIT };
        assert_ok(hsched_model_step_info(several, i - 1, &a));
        assert_ok(hsched_model_step_info(several, i, &b));
        const int a_conv = strcmp(a.kind, "conv2d") == 0;
        const int b_conv = strcmp(b.kind, "conv2d") == 0;
        assert_int_equal(a.section != b.section, a_conv != b_conv);
    }
    tiny_expect_cpus_result(parts, several);
    hsched_model_release(one);
    hsched_model_release(several);
    hsched_runtime_destroy(whole);
    hsched_runtime_destroy(parts);
}

/* A run with a far deadline and a high priority behind one with a near deadline, whatever the
 * library would do. */
static void runs_go_in_the_policys_order(void **state)
{
    (void)state;
    script s = { .answer = 1 };
    const hsched_policy_plugin plugin = { HSCHED_POLICY_PLUGIN_INIT, .user = &s,
                                          .place = place, .order = by_deadline };
    const hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT,
                                           .policy_plugin = &plugin };
    const hsched_model_config alone = { HSCHED_MODEL_CONFIG_INIT, .max_batch = 1 };
    hsched_runtime *rt = queue_runtime_open(NULL, &config);
    queue_net net, other;
    queue_trial blockers[MOST_LANES], far, near;
    queue_device_job job;
    hsched_device_info info = { HSCHED_DEVICE_INFO_INIT };
    queue_net_make(&net, rt, tiny_network(8, 1), &alone);
    queue_net_make(&other, rt, tiny_network(16, 2), &alone);
    assert_ok(hsched_runtime_device_info(rt, QUEUE_DEVICE, &info));
    assert_in_range(info.workers, 1, MOST_LANES);
    queue_trials_make(blockers, info.workers, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN);
    queue_trial_make(&far, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 1);
    queue_trial_make(&near, &other, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 2);
    queue_device_close_gate(QUEUE_GATE_JOBS);
    for (uint32_t i = 0; i < info.workers; i++)
        queue_trial_submit(&blockers[i]);
    queue_device_await(QUEUE_COUNT_STARTED, info.workers);
    far.priority = 100;
    far.deadline_us = 50000000;
    near.priority = -100;
    near.deadline_us = 40000000;
    queue_trial_submit(&far);
    queue_trial_submit(&near);
    queue_device_open_gate(QUEUE_GATE_JOBS);
    queue_trials_finish(blockers, info.workers);
    queue_trial_finish(&far);
    queue_trial_finish(&near);
    assert_int_equal(queue_device_get_job(info.workers, &job), 1);
    assert_int_equal(job.priority, -100);
    assert_true(s.orders_asked >= info.workers + 2);
    queue_trials_free(blockers, info.workers);
    queue_trial_free(&far);
    queue_trial_free(&near);
    queue_net_free(&net);
    queue_net_free(&other);
    queue_runtime_close(rt);
}

static void what_is_refused(void **state)
{
    (void)state;
    hsched_runtime *rt;
    hsched_policy_plugin plugin = { HSCHED_POLICY_PLUGIN_INIT, .name = "empty" };
    hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 1,
                                     .policy_plugin = &plugin };
    assert_fails(hsched_runtime_create(&config, &rt), HSCHED_ERROR_INVALID_ARGUMENT,
                 "place");
    plugin.place = place;
    plugin.struct_size = 4;
    assert_fails(hsched_runtime_create(&config, &rt), HSCHED_ERROR_INVALID_ARGUMENT,
                 "struct_size");
    config.policy_plugin = NULL;
    config.policy = HSCHED_POLICY_PLUGIN;
    assert_fails(hsched_runtime_create(&config, &rt), HSCHED_ERROR_INVALID_ARGUMENT,
                 "policy_plugin");
    config.policy = HSCHED_POLICY_CPU_ONLY;
    assert_ok(hsched_runtime_create(&config, &rt));
    hsched_graph *g = tiny_network(TINY_SIZE, TINY_SEED);
    hsched_model *model;
    assert_fails(
        hsched_model_compile(rt, g,
                             &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                                     .policy = HSCHED_POLICY_PLUGIN },
                             &model),
        HSCHED_ERROR_INVALID_ARGUMENT, "policy_plugin");
    hsched_graph_destroy(g);
    hsched_runtime_destroy(rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sections_go_where_the_policy_says),
        cmocka_unit_test(wrong_answers_mean_the_cpu_and_are_counted),
        cmocka_unit_test(sections_end_where_the_policy_cuts),
        cmocka_unit_test(runs_go_in_the_policys_order),
        cmocka_unit_test(what_is_refused),
    };
    return cmocka_run_group_tests_name("policies of the user's", tests, NULL, NULL);
}
