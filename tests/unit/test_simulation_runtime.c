/* Simulations of a runtime: its devices and models, with costs that the tests write into its
 * table. */
#include "common/queue_runs.h"

#include <hsched/experimental.h>
#include <hsched/policy.h>
#include <math.h>

#include "common/put_costs.h"
#include "runtime/planner.h"

static const char nowhere[] = "/dev/null/hsched"; /* no costs of this machine's */

static hsched_runtime *open_runtime(const hsched_policy_plugin *plugin)
{
    return queue_runtime_open(
        &(queue_device_script){ .ready = 64 },
        &(hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .cache_dir = nowhere,
                                  .cpu_workers = 2, .policy_plugin = plugin });
}

static hsched_simulation *simulation_of(hsched_runtime *rt)
{
    hsched_simulation *sim;
    assert_ok(hsched_simulation_create_of(rt, &sim));
    return sim;
}

static void submit(hsched_simulation *sim, hsched_model *model, uint32_t runs)
{
    hsched_simulation_stream stream = { HSCHED_SIMULATION_STREAM_INIT,
                                        .instances = runs };
    assert_ok(hsched_simulation_add_model(sim, model, &stream.model));
    assert_ok(hsched_simulation_submit(sim, &stream));
}

static double makespan(hsched_simulation *sim)
{
    hsched_simulation_report report = { HSCHED_SIMULATION_REPORT_INIT };
    assert_ok(hsched_simulation_run(sim, NULL, &report));
    assert_true(report.measured);
    return report.makespan_us;
}

/* Of so many runs at once, in a simulation of their own. */
static double burst(hsched_model *model, uint32_t runs, const char *loaded, double load)
{
    hsched_simulation *sim = simulation_of(model->runtime);
    submit(sim, model, runs);
    assert_ok(hsched_simulation_set_load(sim, loaded, 0, load));
    const double us = makespan(sim);
    hsched_simulation_destroy(sim);
    return us;
}

#define assert_near(a, b) assert_true(fabs((double)(a) - (double)(b)) <= 1e-3)

static void put_all(const queue_net *net)
{
    put_sections(net->model, 0, 100);
    put_sections(net->model, QUEUE_DEVICE, 60);
    put(net->model, HSI_COST_RUN, 0, QUEUE_DEVICE, 1, 1, 1000);
    put(net->model, HSI_COST_RUN, 0, QUEUE_DEVICE, 1, 4, 1600);
    put(net->model, HSI_COST_RUN, 0, QUEUE_DEVICE, 1, 8, 2600);
}

static void runs_take_what_they_were_measured_to_take(void **state)
{
    (void)state;
    queue_net net;
    hsched_runtime *rt = open_runtime(NULL);
    queue_net_tiny(&net, rt, HSCHED_POLICY_GPU_ONLY);
    put_all(&net);
    assert_near(burst(net.model, 1, "gpu", 1), 1000);
    assert_near(burst(net.model, 4, "gpu", 1), 1600);
    const double start_us = 8; /* is not slowed down */
    assert_int_equal(net.model->plan->section_count, 1);
    assert_near(burst(net.model, 1, "gpu", 3), start_us + 3 * (1000 - start_us));
    assert_near(burst(net.model, 1, "cpu", 3), 1000); /* it is not there */
    queue_net_free(&net);
    queue_runtime_close(rt);
}

static void cpu_workers_make_of_it_what_they_did(void **state)
{
    (void)state;
    queue_net net;
    hsched_runtime *rt = open_runtime(NULL);
    queue_net_tiny(&net, rt, HSCHED_POLICY_CPU_ONLY);
    const uint32_t sections = net.model->plan->section_count;
    put_sections(net.model, 0, 100);
    for (uint32_t s = 0; s < sections; s++)
        put(net.model, HSI_COST_SECTION, s, 0, 2, 1, 70);
    assert_near(burst(net.model, 1, "cpu", 1), 70 * sections);
    assert_near(burst(net.model, 1, "cpu", 2), 140 * sections);
    assert_near(burst(net.model, 2, "cpu", 1), 100 * sections); /* a worker each */
    queue_net_free(&net);
    queue_runtime_close(rt);
}

static void what_was_never_measured_is_told(void **state)
{
    (void)state;
    queue_net net;
    uint32_t number;
    hsched_runtime *rt = open_runtime(NULL);
    queue_net_tiny(&net, rt, HSCHED_POLICY_GPU_ONLY);
    hsched_simulation *sim = simulation_of(rt);
    assert_fails(hsched_simulation_add_model(sim, net.model, &number),
                 HSCHED_ERROR_NOT_FOUND, "hsched_model_profile");
    put_sections(net.model, 0, 100);
    assert_fails(hsched_simulation_add_model(sim, net.model, &number),
                 HSCHED_ERROR_NOT_FOUND, "on device 1");
    put_sections(net.model, QUEUE_DEVICE, 60);
    assert_ok(hsched_simulation_add_model(sim, net.model, &number));
    assert_int_equal(number, 0);
    hsched_simulation_destroy(sim);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

static void devices_have_names(void **state)
{
    (void)state;
    hsched_simulation_device_report d = { HSCHED_SIMULATION_DEVICE_REPORT_INIT };
    hsched_runtime *rt = open_runtime(NULL);
    hsched_simulation *sim = simulation_of(rt);
    assert_ok(hsched_simulation_get_device(sim, 0, &d));
    assert_string_equal(d.name, "cpu");
    assert_int_equal(d.workers, 2);
    assert_ok(hsched_simulation_get_device(sim, QUEUE_DEVICE, &d));
    assert_string_equal(d.name, "gpu");
    assert_fails(hsched_simulation_set_load(sim, "npu", 0, 2), HSCHED_ERROR_NOT_FOUND,
                 "it has cpu, gpu");
    hsched_simulation_destroy(sim);
    queue_runtime_close(rt);
}

/* ---- Policies ------------------------------------------------------------- */

static uint32_t place_last_on_cpu(void *user, const hsched_policy_section *section)
{
    ++*(uint32_t *)user;
    assert_string_equal(section->run->model, "tiny");
    return section->section + 1 < section->section_count ? QUEUE_DEVICE : 0;
}

static int cut_everywhere(void *user, uint32_t class_before, uint32_t class_after)
{
    (void)user;
    (void)class_before;
    (void)class_after;
    return 1;
}

static void the_users_policy_is_asked(void **state)
{
    (void)state;
    uint32_t asked = 0;
    queue_net net;
    hsched_simulation_model_report m = { HSCHED_SIMULATION_MODEL_REPORT_INIT };
    hsched_simulation_device_report d = { HSCHED_SIMULATION_DEVICE_REPORT_INIT };
    const hsched_policy_plugin plugin = { HSCHED_POLICY_PLUGIN_INIT, .name = "mine",
                                          .user = &asked, .place = place_last_on_cpu,
                                          .cut = cut_everywhere };
    hsched_runtime *rt = open_runtime(&plugin);
    queue_net_tiny(&net, rt, HSCHED_POLICY_PLUGIN);
    assert_true(net.model->plan->section_count > 1);
    put_all(&net);
    hsched_simulation *sim = simulation_of(rt);
    submit(sim, net.model, 3);
    makespan(sim);
    assert_true(asked >= 3 * net.model->plan->section_count);
    assert_ok(hsched_simulation_get_model(sim, 0, &m));
    assert_string_equal(m.policy, "mine");
    assert_int_equal(m.sections, net.model->plan->section_count);
    assert_ok(hsched_simulation_get_device(sim, 0, &d));
    assert_int_equal(d.jobs, 3);
    hsched_simulation_destroy(sim);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

static uint32_t place_all_there(void *user, const hsched_policy_section *section)
{
    (void)user;
    (void)section;
    return QUEUE_DEVICE;
}

/* Whatever launches the sections that were measured alone have in them, and whatever passing inputs
 * and outputs is thought to take. */
static void sections_together_take_what_the_run_does(void **state)
{
    (void)state;
    static const double took[] = { 3, 12, 100, 1000 };
    const hsched_policy_plugin plugin = { HSCHED_POLICY_PLUGIN_INIT, .name = "there",
                                          .place = place_all_there,
                                          .cut = cut_everywhere };
    hsched_runtime *rt = open_runtime(&plugin);
    for (size_t i = 0; i < sizeof took / sizeof took[0]; i++) {
        queue_net net;
        queue_net_tiny(&net, rt, HSCHED_POLICY_PLUGIN);
        assert_true(net.model->plan->section_count > 1);
        put_sections(net.model, 0, 100);
        put_sections(net.model, QUEUE_DEVICE, 60);
        for (uint32_t batch = 1; batch <= 4; batch *= 2)
            put(net.model, HSI_COST_RUN, 0, QUEUE_DEVICE, 1, batch,
                took[i] * (batch + 3) / 4);
        assert_near(burst(net.model, 1, "gpu", 1), took[i]);
        assert_near(burst(net.model, 4, "gpu", 1), took[i] * 7 / 4);
        queue_net_free(&net);
    }
    queue_runtime_close(rt);
}

/* The policy `cost` with what it chooses from: the CPU, once the other is slow. */
static void cost_goes_where_it_is_faster(void **state)
{
    (void)state;
    queue_net net;
    hsched_runtime *rt = open_runtime(NULL);
    queue_net_tiny(&net, rt, HSCHED_POLICY_COST);
    put_all(&net);
    put(net.model, HSI_COST_RUN, 0, QUEUE_DEVICE, 1, 1,
        40 * net.model->plan->section_count);
    assert_ok(hsi_planner_plan(net.model));
    const double there = burst(net.model, 1, "gpu", 1);
    const double beside = burst(net.model, 1, "gpu", 50);
    assert_near(there, 40 * net.model->plan->section_count);
    assert_near(beside, 100 * net.model->plan->section_count);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

/* ---- With the cost cache's costs ------------------------------------------ */

static const char here[] = "name = here\ncosts = measured\n"
                           "[device cpu]\nkind = cpu\nworkers = 1\n"
                           "[device gpu]\nkind = gpu\n"
                           "[link cpu gpu]\nus = 100000\ngb_per_s = 1\n";

static void put_to_be_saved(hsched_model *model, hsi_cost_unit unit, uint32_t device,
                            double us)
{
    hsched_runtime *rt = model->runtime;
    const hsi_cost_point point = { .key = hsi_costs_key(model, unit, 0, device),
                                   .us = us,
                                   .samples = 3 };
    pthread_mutex_lock(&rt->costs.mutex);
    assert_ok(hsi_cost_table_put(rt->costs.table, &point, 1));
    pthread_mutex_unlock(&rt->costs.mutex);
}

/* A platform whose costs are measured: passing inputs and outputs is in these, whatever its links
 * are. */
static void measured_platforms_pass_inputs_and_outputs_once(void **state)
{
    (void)state;
    char folder[64] = "/tmp/hsched-simulation-XXXXXX", path[80], command[96];
    hsched_runtime *rt;
    hsched_model *model;
    hsched_graph *graph = tiny_network(8, 1);
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/here.platform", folder);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    assert_int_equal(setenv("HSCHED_CACHE_DIR", folder, 1), 0);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(here, file) >= 0);
    assert_int_equal(fclose(file), 0);
    queue_device_begin(&(queue_device_script){ .ready = 64 });
    assert_ok(hsched_runtime_create(
        &(hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 1,
                                  .policy = HSCHED_POLICY_GPU_ONLY },
        &rt));
    assert_ok(hsched_model_compile(rt, graph, NULL, &model));
    assert_int_equal(model->plan->section_count, 1);
    put_to_be_saved(model, HSI_COST_SECTION, 0, 100);
    put_to_be_saved(model, HSI_COST_SECTION, QUEUE_DEVICE, 60);
    put_to_be_saved(model, HSI_COST_RUN, QUEUE_DEVICE, 1000);
    assert_ok(hsi_costs_save(rt));

    hsched_simulation *sim;
    hsched_simulation_stream stream = { HSCHED_SIMULATION_STREAM_INIT, .runs = 2 };
    const hsched_simulation_model_config config = { HSCHED_SIMULATION_MODEL_CONFIG_INIT,
                                                    .policy = "gpu_only" };
    assert_ok(hsched_simulation_create(path, &sim));
    assert_ok(hsched_simulation_add(sim, graph, &config, &stream.model));
    assert_ok(hsched_simulation_submit(sim, &stream));
    assert_near(makespan(sim), 2000);
    hsched_simulation_destroy(sim);
    hsched_model_release(model);
    queue_runtime_close(rt);
    hsched_graph_destroy(graph);
    unsetenv("HSCHED_CACHE_DIR");
    assert_int_equal(system(command), 0);
}

/* ---- Who may do what ------------------------------------------------------ */

static void wrong_calls_are_told(void **state)
{
    (void)state;
    uint32_t number;
    queue_net net;
    hsched_runtime *other, *rt = open_runtime(NULL);
    hsched_simulation *sim, *of_platform;
    hsched_model *model;
    hsched_graph *graph = tiny_network(8, 1);
    queue_net_tiny(&net, rt, HSCHED_POLICY_GPU_ONLY);
    put_all(&net);
    assert_fails(hsched_simulation_create_of(NULL, &sim), HSCHED_ERROR_INVALID_ARGUMENT,
                 "NULL");
    sim = simulation_of(rt);
    assert_fails(hsched_simulation_add_model(sim, NULL, &number),
                 HSCHED_ERROR_INVALID_ARGUMENT, "NULL");
    assert_fails(hsched_simulation_add(sim, graph, NULL, &number), HSCHED_ERROR_STATE,
                 "hsched_simulation_add_model");
    assert_ok(hsched_runtime_create(
        &(hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .cache_dir = nowhere,
                                  .policy = HSCHED_POLICY_CPU_ONLY },
        &other));
    assert_ok(hsched_model_compile(other, graph, NULL, &model));
    assert_fails(hsched_simulation_add_model(sim, model, &number),
                 HSCHED_ERROR_INVALID_ARGUMENT, "another runtime");
    assert_ok(
        hsched_simulation_create("examples/platforms/xavier.platform", &of_platform));
    assert_fails(hsched_simulation_add_model(of_platform, model, &number),
                 HSCHED_ERROR_STATE, "xavier.platform; use hsched_simulation_add");
    hsched_simulation_destroy(of_platform);
    hsched_simulation_destroy(sim);
    hsched_model_release(model);
    hsched_runtime_destroy(other);
    hsched_graph_destroy(graph);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

/* The simulation keeps what it looks at. */
static void the_runtime_may_go_first(void **state)
{
    (void)state;
    hsched_runtime *rt;
    hsched_model *model;
    hsched_graph *graph = tiny_network(8, 1);
    assert_ok(hsched_runtime_create(
        &(hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .cache_dir = nowhere,
                                  .policy = HSCHED_POLICY_CPU_ONLY, .cpu_workers = 1 },
        &rt));
    assert_ok(hsched_model_compile(rt, graph, NULL, &model));
    hsched_graph_destroy(graph);
    put_sections(model, 0, 100);
    const uint32_t sections = model->plan->section_count;
    hsched_simulation *sim = simulation_of(rt);
    submit(sim, model, 2);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
    assert_near(makespan(sim), 200 * sections);
    hsched_simulation_destroy(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_take_what_they_were_measured_to_take),
        cmocka_unit_test(cpu_workers_make_of_it_what_they_did),
        cmocka_unit_test(what_was_never_measured_is_told),
        cmocka_unit_test(devices_have_names),
        cmocka_unit_test(the_users_policy_is_asked),
        cmocka_unit_test(sections_together_take_what_the_run_does),
        cmocka_unit_test(cost_goes_where_it_is_faster),
        cmocka_unit_test(measured_platforms_pass_inputs_and_outputs_once),
        cmocka_unit_test(wrong_calls_are_told),
        cmocka_unit_test(the_runtime_may_go_first),
    };
    return cmocka_run_group_tests_name("simulation_runtime", tests, NULL, NULL);
}
