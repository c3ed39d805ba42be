/* Objectives in simulations: what is drawn, what they change, and what they refuse. */
#include "common/cost_cache.h"

#include <math.h>

#include <hsched/experimental.h>

#include "zoo/zoo.h"

/* Three devices, with crossings that take no time: the CPU, a fast one, a thrifty one. */
#define DEVICE(name, kind, workers, rate)                                                \
    "[device " name "]\nkind = " kind "\nworkers = " workers "\ngflops = " rate          \
    "\ngb_per_s = 10000\n"
#define LINKS                                                                            \
    "[link cpu fast]\nus = 0.01\n[link cpu slow]\nus = 0.01\n[link fast slow]\nus = "    \
    "0.01\n"
#define THREE                                                                            \
    "name = three\n" DEVICE(                                                             \
        "cpu", "cpu", "2",                                                               \
        "10") "watts = 12\nidle_watts = 2\n" DEVICE("fast", "gpu", "1",                  \
                                                    "200") "watts = 60\nidle_watts = "   \
                                                           "3\n" DEVICE(                 \
                                                               "slow", "dla", "1",       \
                                                               "100") "watts "           \
                                                                      "= "               \
                                                                      "6\nidle"          \
                                                                      "_watts "          \
                                                                      "= "               \
                                                                      "1"                \
                                                                      "\n" LINKS
#define IDLE_WATTS 6

static hsched_simulation *open_text(const char *text, const char *policy,
                                    uint32_t instances, uint32_t iterations)
{
    hsched_simulation *sim;
    hsched_graph *graph;
    uint32_t model;
    char path[300];
    snprintf(path, sizeof path, "%s", file_path("test.platform"));
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_ok(hsched_simulation_create(path, &sim));
    assert_ok(zoo_build("alexnet", 1, &graph));
    assert_ok(hsched_simulation_add(
        sim, graph,
        &(hsched_simulation_model_config){ HSCHED_SIMULATION_MODEL_CONFIG_INIT,
                                           .policy = policy, .max_batch = 1 },
        &model));
    hsched_graph_destroy(graph);
    assert_ok(hsched_simulation_submit(
        sim, &(hsched_simulation_stream){ HSCHED_SIMULATION_STREAM_INIT, .model = model,
                                          .instances = instances, .runs = iterations }));
    return sim;
}

static hsched_simulation_report run(hsched_simulation *sim, hsched_objective objective,
                                    double power_cap_watts)
{
    hsched_simulation_report report = { HSCHED_SIMULATION_REPORT_INIT };
    const hsched_simulation_config config = { HSCHED_SIMULATION_CONFIG_INIT,
                                              .objective = objective,
                                              .power_cap_watts = power_cap_watts };
    assert_ok(hsched_simulation_run(sim, &config, &report));
    return report;
}

static hsched_simulation_device_report device(const hsched_simulation *sim, uint32_t d)
{
    hsched_simulation_device_report report = { HSCHED_SIMULATION_DEVICE_REPORT_INIT };
    assert_ok(hsched_simulation_get_device(sim, d, &report));
    return report;
}

/* ---- Tests ---- */

static void energy_is_what_devices_drew(void **state)
{
    (void)state;
    hsched_simulation *sim = open_text(THREE, "cost", 6, 2);
    const hsched_simulation_report all = run(sim, HSCHED_OBJECTIVE_DEFAULT, 0);
    const hsched_simulation_device_report cpu = device(sim, 0), fast = device(sim, 1);
    const double seconds = all.makespan_us / 1e6;
    assert_true(fabs(cpu.joules - seconds * (2 + 10 * cpu.use)) < 1e-9);
    assert_true(fabs(fast.joules - (seconds * 3 + fast.busy_us / 1e6 * 57)) < 1e-9);
    assert_true(fabs(all.joules - cpu.joules - fast.joules - device(sim, 2).joules) <
                1e-9);
    hsched_simulation_destroy(sim);
}

static void objectives_trade_time_for_energy(void **state)
{
    (void)state;
    hsched_simulation *sim = open_text(THREE, "cost", 6, 3);
    const hsched_simulation_report time = run(sim, HSCHED_OBJECTIVE_MAKESPAN, 0);
    assert_true(device(sim, 1).jobs > 0);
    const hsched_simulation_report energy = run(sim, HSCHED_OBJECTIVE_ENERGY, 0);
    assert_true(device(sim, 2).jobs > device(sim, 1).jobs);
    assert_true(energy.joules < 0.8 * time.joules);
    assert_true(energy.makespan_us > time.makespan_us);
    const hsched_simulation_report again = run(sim, HSCHED_OBJECTIVE_MAKESPAN, 0);
    assert_true(again.makespan_us == time.makespan_us && again.joules == time.joules);
    hsched_simulation_destroy(sim);
}

static void a_cap_is_kept_on_the_average(void **state)
{
    (void)state;
    hsched_simulation *sim = open_text(THREE, "cost", 6, 8);
    const hsched_simulation_report free_run = run(sim, HSCHED_OBJECTIVE_MAKESPAN, 0);
    double last_us = INFINITY;
    for (double cap = 8; cap < 100; cap *= 1.5) {
        const hsched_simulation_report capped = run(sim, HSCHED_OBJECTIVE_POWER_CAP, cap);
        const double watts = 1e6 * capped.joules / capped.makespan_us;
        assert_int_equal(capped.runs_succeeded, 48);
        /* And the last job may draw what it likes. */
        assert_true(watts <= cap * 1.03);
        assert_true(capped.makespan_us >= 0.98 * free_run.makespan_us);
        assert_true(capped.makespan_us <= 1.02 * last_us);
        last_us = capped.makespan_us;
    }
    assert_true(last_us < 1.1 * free_run.makespan_us);
    hsched_simulation_destroy(sim);
}

/* Whatever the policy of the others: the cap is of all devices, but for what the last job that
 * executes draws beyond it. */
static void a_cap_holds_for_other_policies(void **state)
{
    (void)state;
    hsched_simulation *sim = open_text(THREE, "gpu_only", 4, 8);
    hsched_graph *graph;
    uint32_t model;
    assert_ok(zoo_build("mlp", 1, &graph));
    assert_ok(
        hsched_simulation_add(sim, graph,
                              &(hsched_simulation_model_config){
                                  HSCHED_SIMULATION_MODEL_CONFIG_INIT, .policy = "cost" },
                              &model));
    hsched_graph_destroy(graph);
    const hsched_simulation_report capped = run(sim, HSCHED_OBJECTIVE_POWER_CAP, 20);
    const hsched_simulation_device_report fast = device(sim, 1);
    const double beyond = (78 - 20) * fast.busy_us / 1e6 / (double)fast.jobs;
    assert_true(capped.joules <= 20 * capped.makespan_us / 1e6 + beyond);
    assert_true(capped.joules > 0.9 * 20 * capped.makespan_us / 1e6);
    assert_true(device(sim, 1).jobs + device(sim, 2).jobs >= 32);
    hsched_simulation_destroy(sim);
}

static void models_have_objectives_of_their_own(void **state)
{
    (void)state;
    hsched_simulation *sim = open_text(THREE, "cpu_only", 1, 1);
    hsched_graph *graph;
    uint32_t model;
    assert_ok(zoo_build("alexnet", 1, &graph));
    assert_ok(hsched_simulation_add(
        sim, graph,
        &(hsched_simulation_model_config){ HSCHED_SIMULATION_MODEL_CONFIG_INIT,
                                           .policy = "cost", .max_batch = 1,
                                           .objective = HSCHED_OBJECTIVE_ENERGY },
        &model));
    hsched_graph_destroy(graph);
    assert_ok(hsched_simulation_submit(
        sim, &(hsched_simulation_stream){ HSCHED_SIMULATION_STREAM_INIT, .model = model,
                                          .instances = 6, .runs = 3 }));
    run(sim, HSCHED_OBJECTIVE_MAKESPAN, 0); /* but for this one */
    assert_true(device(sim, 2).jobs > device(sim, 1).jobs);
    hsched_simulation_destroy(sim);
}

static void expect_error(hsched_simulation *sim, hsched_objective objective, double cap,
                         hsched_status status, const char *said)
{
    const hsched_simulation_config config = { HSCHED_SIMULATION_CONFIG_INIT,
                                              .objective = objective,
                                              .power_cap_watts = cap };
    assert_int_equal(hsched_simulation_run(sim, &config, NULL), status);
    if (!strstr(hsched_error_detail(), said))
        fail_msg("'%s' is not in '%s'", said, hsched_error_detail());
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    hsched_simulation *sim = open_text(THREE, "cost", 1, 1);
    expect_error(sim, (hsched_objective)9, 0, HSCHED_ERROR_INVALID_ARGUMENT,
                 "objective 9");
    expect_error(sim, HSCHED_OBJECTIVE_POWER_CAP, 0, HSCHED_ERROR_INVALID_ARGUMENT,
                 "go together");
    expect_error(sim, HSCHED_OBJECTIVE_ENERGY, 30, HSCHED_ERROR_INVALID_ARGUMENT,
                 "go together");
    expect_error(sim, HSCHED_OBJECTIVE_POWER_CAP, IDLE_WATTS,
                 HSCHED_ERROR_INVALID_ARGUMENT, "draw 6 W when they idle");
    hsched_simulation_destroy(sim);
    sim = open_text(THREE, "gpu_only", 1, 1);
    expect_error(sim, HSCHED_OBJECTIVE_LATENCY, 0, HSCHED_ERROR_INVALID_ARGUMENT,
                 "no model has it");
    hsched_simulation_destroy(sim);
    sim = open_text("name = two\n" DEVICE("cpu", "cpu", "2", "10") "watts = 12\n" DEVICE(
                        "gpu", "gpu", "1", "200") "[link cpu gpu]\nus = 1\n",
                    "cost", 1, 1);
    expect_error(sim, HSCHED_OBJECTIVE_ENERGY, 0, HSCHED_ERROR_NOT_FOUND,
                 "[device gpu] of");
    const hsched_simulation_report unknown = run(sim, HSCHED_OBJECTIVE_LATENCY, 0);
    assert_true(unknown.joules == 0 && device(sim, 1).joules == 0);
    hsched_simulation_destroy(sim);
}

static void objectives_of_models_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *policy;
        hsched_objective objective;
        const char *said;
    } bad[] = { { "cost", (hsched_objective)7, "objective 7" },
                { "cost", HSCHED_OBJECTIVE_POWER_CAP, "hsched_simulation_config" },
                { "gpu_only", HSCHED_OBJECTIVE_ENERGY, "use 'cost'" } };
    hsched_simulation *sim = open_text(THREE, "cost", 1, 1);
    hsched_graph *graph;
    uint32_t model;
    assert_ok(zoo_build("mlp", 1, &graph));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const hsched_simulation_model_config config = {
            HSCHED_SIMULATION_MODEL_CONFIG_INIT,
            .policy = bad[i].policy,
            .objective = bad[i].objective,
        };
        assert_int_equal(hsched_simulation_add(sim, graph, &config, &model),
                         HSCHED_ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(hsched_error_detail(), bad[i].said));
    }
    hsched_graph_destroy(graph);
    hsched_simulation_destroy(sim);
}

static void objectives_have_names(void **state)
{
    (void)state;
    assert_string_equal(hsched_objective_name(HSCHED_OBJECTIVE_DEFAULT), "default");
    assert_string_equal(hsched_objective_name(HSCHED_OBJECTIVE_POWER_CAP), "power_cap");
    assert_string_equal(hsched_objective_name((hsched_objective)77), "default");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(energy_is_what_devices_drew),
        TEST(objectives_trade_time_for_energy),
        TEST(a_cap_is_kept_on_the_average),
        TEST(a_cap_holds_for_other_policies),
        TEST(models_have_objectives_of_their_own),
        TEST(what_cannot_be_is_refused),
        TEST(objectives_of_models_are_checked),
        cmocka_unit_test(objectives_have_names),
    };
    return cmocka_run_group_tests_name("objectives of simulations", tests, NULL, NULL);
}
