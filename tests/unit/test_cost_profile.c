/* Measuring models, through the public API: which entries there are afterwards, not what is in
 * them; on the CPU, a simulated accelerator and a simulated device with a queue. */
#include "common/queue_runs.h"

#include <math.h>

#include <hsched/experimental.h>

#include "common/cost_cache.h"
#include "cost/samples.h"

enum {
    LANES = 8
};

static hsched_runtime_config config_of(uint32_t workers)
{
    return (hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = workers,
                                    .flags =
                                        HSCHED_RUNTIME_NO_PINNING | HSCHED_RUNTIME_NO_GPU,
                                    .cache_dir = folder };
}

static hsched_runtime *open_cpu(uint32_t workers)
{
    hsched_runtime *rt;
    const hsched_runtime_config config = config_of(workers);
    assert_ok(hsched_runtime_create(&config, &rt));
    return rt;
}

static hsched_cost ask(hsched_model *model, hsched_cost_query query)
{
    hsched_cost cost = { HSCHED_COST_INIT };
    query.struct_size = sizeof query;
    assert_ok(hsched_model_get_cost(model, &query, &cost));
    assert_true((cost.us > 0) == (cost.source != HSCHED_COST_UNKNOWN));
    return cost;
}

#define SOURCE(model, ...) ask((model), (hsched_cost_query){ __VA_ARGS__ }).source

static uint32_t sections_of(const hsched_model *model)
{
    hsched_model_stats stats = { HSCHED_MODEL_STATS_INIT };
    assert_ok(hsched_model_get_stats(model, &stats));
    return stats.sections;
}

static hsched_profile_report profile(hsched_model *model, uint32_t flags)
{
    const hsched_profile_config config = { HSCHED_PROFILE_CONFIG_INIT, .seconds = 60,
                                           .repetitions = 2, .flags = flags };
    hsched_profile_report report = { HSCHED_PROFILE_REPORT_INIT };
    assert_ok(hsched_model_profile(model, &config, &report));
    return report;
}

static void on_the_cpu(void **state)
{
    (void)state;
    hsched_runtime *rt = open_cpu(3);
    hsched_model *model = tiny_model(rt, 16, 1, NULL);
    const uint32_t steps = hsched_model_step_count(model), sections = sections_of(model);
    assert_int_equal(SOURCE(model, .unit = HSCHED_COST_STEP), HSCHED_COST_UNKNOWN);
    const hsched_profile_report report = profile(model, 0);
    assert_int_equal(report.skipped, 0);
    /* With 1, 2 and 3 workers, then 2 and 3 runs at once. */
    assert_int_equal(report.measured, 3 * (steps + sections + 1) + 2);
    assert_true(report.seconds > 0);
    for (uint32_t i = 0; i < steps; i++)
        for (uint32_t workers = 1; workers <= 3; workers++) {
            const hsched_cost cost = ask(
                model, (hsched_cost_query){
                           .unit = HSCHED_COST_STEP, .index = i, .workers = workers });
            assert_int_equal(cost.source, HSCHED_COST_MEASURED);
            assert_int_equal(cost.samples, 2);
            assert_true(cost.stretch == 1 && cost.correction == 1 && cost.load == 1);
            assert_true(cost.spread_us >= 0);
        }
    assert_int_equal(SOURCE(model, .unit = HSCHED_COST_RUN), HSCHED_COST_MEASURED);
    assert_int_equal(SOURCE(model, .unit = HSCHED_COST_RUN, .jobs = 3),
                     HSCHED_COST_MEASURED);
    assert_int_equal(SOURCE(model, .unit = HSCHED_COST_RUN, .jobs = 9),
                     HSCHED_COST_ESTIMATED);
    assert_int_equal(SOURCE(model, .unit = HSCHED_COST_RUN, .batch = 2),
                     HSCHED_COST_ESTIMATED);
    hsched_model_stats stats = { HSCHED_MODEL_STATS_INIT };
    assert_ok(hsched_model_get_stats(model, &stats));
    assert_int_equal(stats.runs_failed + stats.runs_cancelled, 0);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

/* What one process has measured the next one knows; of the same model, by whatever name. */
static void the_next_process_knows(void **state)
{
    (void)state;
    hsched_runtime *rt = open_cpu(2);
    hsched_model *model = tiny_model(rt, 16, 1, NULL);
    profile(model, 0);
    const hsched_cost_query query = { .unit = HSCHED_COST_SECTION };
    const double us = ask(model, query).us;
    hsched_model_release(model);
    hsched_runtime_destroy(rt);

    rt = open_cpu(2);
    hsched_model_config named = { HSCHED_MODEL_CONFIG_INIT, .name = "another" };
    hsched_model *same = tiny_model(rt, 16, 77, &named); /* and other weights */
    hsched_model *other = tiny_model(rt, 12, 1, NULL);
    named.flags = HSCHED_MODEL_NO_FUSION;
    hsched_model *unfused = tiny_model(rt, 16, 1, &named);
    assert_int_equal(ask(same, query).source, HSCHED_COST_MEASURED);
    assert_true(fabs(ask(same, query).us - us) < 0.001);
    /* Of the others there are estimates, from what the processor was seen to do. */
    assert_int_equal(ask(other, query).source, HSCHED_COST_ESTIMATED);
    assert_int_equal(ask(unfused, query).source, HSCHED_COST_ESTIMATED);
    hsched_model_release(same);
    hsched_model_release(other);
    hsched_model_release(unfused);
    hsched_runtime_destroy(rt);
}

static void what_is_not_saved(void **state)
{
    (void)state;
    hsched_runtime *rt = open_cpu(1);
    hsched_model *model = tiny_model(rt, 8, 1, NULL);
    profile(model, HSCHED_PROFILE_NOT_SAVED);
    assert_int_equal(SOURCE(model, .unit = HSCHED_COST_RUN), HSCHED_COST_MEASURED);
    assert_int_not_equal(access(file_path("costs.txt"), F_OK), 0);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

static void what_cannot_be_saved(void **state)
{
    (void)state;
    hsched_runtime *rt;
    hsched_runtime_config config = config_of(1);
    config.cache_dir = "/proc/hsched";
    assert_ok(hsched_runtime_create(&config, &rt));
    hsched_model *model = tiny_model(rt, 8, 1, NULL);
    assert_fails(hsched_model_profile(model, NULL, NULL), HSCHED_ERROR_IO,
                 "/proc/hsched");
    assert_int_equal(SOURCE(model, .unit = HSCHED_COST_RUN), HSCHED_COST_MEASURED);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

/* What the model takes alone is measured all the same. */
static void no_time(void **state)
{
    (void)state;
    hsched_runtime *rt = open_cpu(2);
    hsched_model *model = tiny_model(rt, 8, 1, NULL);
    const hsched_profile_config config = { HSCHED_PROFILE_CONFIG_INIT, .seconds = 1e-9 };
    hsched_profile_report report = { HSCHED_PROFILE_REPORT_INIT };
    assert_ok(hsched_model_profile(model, &config, &report));
    assert_int_equal(report.skipped, 2);
    assert_int_equal(SOURCE(model, .unit = HSCHED_COST_RUN), HSCHED_COST_MEASURED);
    assert_int_equal(ask(model, (hsched_cost_query){ .unit = HSCHED_COST_RUN }).samples,
                     1);
    assert_true(SOURCE(model, .unit = HSCHED_COST_RUN, .workers = 2) <
                HSCHED_COST_MEASURED);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

static void wrong_calls(void **state)
{
    (void)state;
    hsched_runtime *rt = open_cpu(1);
    hsched_model *model = tiny_model(rt, 8, 1, NULL);
    hsched_cost cost = { HSCHED_COST_INIT };
    assert_fails(hsched_model_profile(NULL, NULL, NULL), HSCHED_ERROR_INVALID_ARGUMENT,
                 "model");
    hsched_profile_config bad[] = {
        { HSCHED_PROFILE_CONFIG_INIT, .seconds = -1 },
        { HSCHED_PROFILE_CONFIG_INIT, .seconds = NAN },
        { HSCHED_PROFILE_CONFIG_INIT, .seconds = INFINITY },
        { HSCHED_PROFILE_CONFIG_INIT, .repetitions = 1001 },
        { HSCHED_PROFILE_CONFIG_INIT, .flags = 2 },
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_fails(hsched_model_profile(model, &bad[i], NULL),
                     HSCHED_ERROR_INVALID_ARGUMENT, "hsched_profile_config");
    float x[3] = { 0 };
    const hsched_binding small = HSCHED_DATA(x, sizeof x);
    const hsched_profile_config input = { HSCHED_PROFILE_CONFIG_INIT, .inputs = &small };
    assert_fails(hsched_model_profile(model, &input, NULL), HSCHED_ERROR_SHAPE, "'x'");
    const hsched_cost_query none[] = {
        { HSCHED_COST_QUERY_INIT },
        { HSCHED_COST_QUERY_INIT, .unit = (hsched_cost_unit)4 },
    };
    for (int i = 0; i < 2; i++)
        assert_fails(hsched_model_get_cost(model, &none[i], &cost),
                     HSCHED_ERROR_INVALID_ARGUMENT, "unit");
    const hsched_cost_query missing[] = {
        { HSCHED_COST_QUERY_INIT, .unit = HSCHED_COST_STEP, .index = 99 },
        { HSCHED_COST_QUERY_INIT, .unit = HSCHED_COST_SECTION, .index = 99 },
        { HSCHED_COST_QUERY_INIT, .unit = HSCHED_COST_RUN, .index = 1 },
        { HSCHED_COST_QUERY_INIT, .unit = HSCHED_COST_RUN, .device = 1 },
    };
    for (int i = 0; i < 4; i++)
        assert_fails(hsched_model_get_cost(model, &missing[i], &cost),
                     HSCHED_ERROR_NOT_FOUND, "hsched_model_get_cost");
    assert_fails(hsched_model_get_cost(model, NULL, &cost), HSCHED_ERROR_INVALID_ARGUMENT,
                 "query");
    assert_string_equal(hsched_cost_source_name(HSCHED_COST_OBSERVED), "observed");
    assert_string_equal(hsched_cost_source_name((hsched_cost_source)77), "unknown");
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

/* ---- A simulated accelerator ---------------------------------------------- */

static hsched_runtime *open_sim(uint64_t fail_after_jobs)
{
    hsched_runtime *rt;
    hsched_runtime_config config = config_of(1);
    const hsched_sim_config sim = { HSCHED_SIM_CONFIG_INIT,
                                    .layer_classes = HSCHED_CLASS_CONVOLUTION,
                                    .fail_after_jobs = fail_after_jobs };
    config.policy = HSCHED_POLICY_LAYER_TYPE;
    config.sims = &sim;
    config.sim_count = 1;
    assert_ok(hsched_runtime_create(&config, &rt));
    return rt;
}

static void on_a_simulated_accelerator(void **state)
{
    (void)state;
    hsched_runtime *rt = open_sim(0);
    hsched_model *model = tiny_model(rt, 8, 1, NULL);
    const hsched_profile_report report = profile(model, 0);
    assert_int_equal(report.skipped, 0);
    uint32_t there = 0;
    for (uint32_t i = 0; i < sections_of(model); i++) {
        assert_int_equal(SOURCE(model, .unit = HSCHED_COST_SECTION, .index = i),
                         HSCHED_COST_MEASURED);
        there += SOURCE(model, .unit = HSCHED_COST_SECTION, .index = i, .device = 1) ==
                 HSCHED_COST_MEASURED;
    }
    assert_true(there >= 2 && there < sections_of(model));
    /* Its steps take no time of their own, and not all sections are there. */
    assert_int_not_equal(SOURCE(model, .unit = HSCHED_COST_STEP, .device = 1),
                         HSCHED_COST_MEASURED);
    assert_int_not_equal(SOURCE(model, .unit = HSCHED_COST_RUN, .device = 1),
                         HSCHED_COST_MEASURED);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

static void a_device_that_is_lost(void **state)
{
    (void)state;
    hsched_runtime *rt = open_sim(2);
    hsched_model *model = tiny_model(rt, 8, 1, NULL);
    const hsched_profile_report report = profile(model, 0);
    assert_int_equal(report.skipped, 1);
    assert_int_equal(SOURCE(model, .unit = HSCHED_COST_RUN), HSCHED_COST_MEASURED);
    for (uint32_t i = 0; i < sections_of(model); i++)
        assert_int_equal(
            SOURCE(model, .unit = HSCHED_COST_SECTION, .index = i, .device = 1),
            HSCHED_COST_UNKNOWN);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

/* ---- A device with a queue ------------------------------------------------- */

static hsched_runtime *open_queue(const queue_device_script *script, uint32_t lanes)
{
    hsched_runtime_config config = config_of(1);
    config.flags &= ~(uint32_t)HSCHED_RUNTIME_NO_GPU;
    config.gpu_streams = lanes;
    return queue_runtime_open(script, &config);
}

static void on_a_queue(void **state)
{
    (void)state;
    hsched_runtime *rt = open_queue(&(queue_device_script){ .ready = 64 }, LANES);
    hsched_model *model = tiny_model(
        rt, 8, 1,
        &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                .policy = HSCHED_POLICY_GPU_ONLY, .max_batch = 6 });
    const uint32_t sections = sections_of(model);
    const hsched_profile_report report = profile(model, 0);
    assert_int_equal(report.skipped, 0);
    for (uint32_t i = 0; i < sections; i++)
        assert_int_equal(SOURCE(model, .unit = HSCHED_COST_SECTION, .index = i,
                                .device = QUEUE_DEVICE),
                         HSCHED_COST_MEASURED);
    static const uint32_t batches[] = { 1, 2, 4, 6 };
    for (int i = 0; i < 4; i++)
        assert_int_equal(SOURCE(model, .unit = HSCHED_COST_RUN, .device = QUEUE_DEVICE,
                                .batch = batches[i]),
                         HSCHED_COST_MEASURED);
    assert_int_equal(
        SOURCE(model, .unit = HSCHED_COST_RUN, .device = QUEUE_DEVICE, .batch = 3),
        HSCHED_COST_INTERPOLATED);
    for (uint32_t jobs = 2; jobs <= LANES; jobs *= 2)
        assert_int_equal(
            SOURCE(model, .unit = HSCHED_COST_RUN, .device = QUEUE_DEVICE, .jobs = jobs),
            HSCHED_COST_MEASURED);
    /* The CPU was measured, too, as what goes on if the device cannot. */
    assert_int_equal(SOURCE(model, .unit = HSCHED_COST_RUN), HSCHED_COST_MEASURED);
    /* Jobs of one section, of all, and joined ones: they really were what they are taken for. */
    uint32_t most = 0;
    queue_device_job job = { 0 };
    for (uint64_t k = 0; queue_device_get_job(k, &job); k++)
        most = job.members > most ? job.members : most;
    assert_int_equal(most, 6);
    hsched_model_release(model);
    queue_runtime_close(rt);
}

/* Part of the model only: its jobs are between those of the CPU. */
static void on_a_queue_in_part(void **state)
{
    (void)state;
    hsched_runtime *rt =
        open_queue(&(queue_device_script){ .unsupported = 1u << HSCHED_STEP_POOL2D }, 2);
    hsched_model *model =
        tiny_model(rt, 8, 1,
                   &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                           .policy = HSCHED_POLICY_LAYER_TYPE });
    profile(model, 0);
    uint32_t there = 0;
    for (uint32_t i = 0; i < sections_of(model); i++)
        there += SOURCE(model, .unit = HSCHED_COST_SECTION, .index = i,
                        .device = QUEUE_DEVICE) == HSCHED_COST_MEASURED;
    assert_true(there >= 2 && there < sections_of(model));
    assert_int_equal(SOURCE(model, .unit = HSCHED_COST_SECTION, .device = 0),
                     HSCHED_COST_MEASURED);
    hsched_model_release(model);
    queue_runtime_close(rt);
}

/* Every call that may fail does once; the model is measured all the same, on the CPU at least. */
static void a_queue_with_faults(void **state)
{
    (void)state;
    for (uint64_t k = 1; k < 40; k += 3) {
        hsched_runtime *rt = open_queue(&(queue_device_script){ .ready = 64 }, 2);
        hsched_model *model = tiny_model(
            rt, 8, 1,
            &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                    .policy = HSCHED_POLICY_GPU_ONLY, .max_batch = 2 });
        queue_device_fail_call(k, QUEUE_CALL_SLOT | QUEUE_CALL_SUBMIT | QUEUE_CALL_FINISH,
                               k % 2 ? HSCHED_ERROR_DEVICE : HSCHED_ERROR_OUT_OF_MEMORY);
        profile(model, HSCHED_PROFILE_NOT_SAVED);
        assert_int_equal(SOURCE(model, .unit = HSCHED_COST_RUN), HSCHED_COST_MEASURED);
        hsched_model_release(model);
        queue_runtime_close(rt);
    }
}

static void runs_in_flight_are_in_the_way(void **state)
{
    (void)state;
    hsched_runtime *rt = open_queue(&(queue_device_script){ .ready = 1 }, 2);
    queue_net net;
    queue_trial trial;
    queue_net_tiny(&net, rt, HSCHED_POLICY_GPU_ONLY);
    queue_trial_make(&trial, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 1);
    queue_device_close_gate(QUEUE_GATE_JOBS);
    queue_trial_submit(&trial);
    assert_fails(hsched_model_profile(net.model, NULL, NULL), HSCHED_ERROR_STATE,
                 "in flight");
    queue_device_open_gate(QUEUE_GATE_JOBS);
    queue_trial_finish(&trial);
    queue_trial_free(&trial);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

/* ---- Medians -------------------------------------------------------------- */

static void medians(void **state)
{
    (void)state;
    double spread, one[] = { 7 }, even[] = { 4, 1, 3, 2 }, odd[] = { 100, 1, 3, 2, 4 };
    assert_true(hsi_cost_median(one, 1, &spread) == 7 && spread == 0);
    assert_true(hsi_cost_median(even, 4, &spread) == 2.5 && spread == 1.5);
    assert_true(hsi_cost_median(odd, 5, &spread) == 3 && spread == 2);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(on_the_cpu),
        IN_FOLDER(the_next_process_knows),
        IN_FOLDER(what_is_not_saved),
        IN_FOLDER(what_cannot_be_saved),
        IN_FOLDER(no_time),
        IN_FOLDER(wrong_calls),
        IN_FOLDER(on_a_simulated_accelerator),
        IN_FOLDER(a_device_that_is_lost),
        IN_FOLDER(on_a_queue),
        IN_FOLDER(on_a_queue_in_part),
        IN_FOLDER(a_queue_with_faults),
        IN_FOLDER(runs_in_flight_are_in_the_way),
        cmocka_unit_test(medians),
    };
    return cmocka_run_group_tests_name("profile", tests, NULL, NULL);
}
