/* Simulations by the public API, and what a network's problem of placement is on a platform. */
#include "common/cost_cache.h"

#include <math.h>

#include <hsched/experimental.h>

#include "simulator/model.h"
#include "zoo/zoo.h"

#define PLATFORMS "examples/platforms/"

static const char small[] = "name = small\n"
                            "[device cpu]\nkind = cpu\nworkers = 2\ngflops = 1\n"
                            "gb_per_s = 1\nstep_us = 3\njob_us = 2\n"
                            "[device gpu]\nkind = gpu\ngflops = 100\ngb_per_s = 10\n"
                            "step_us = 5\njob_us = 30\nwithout = softmax\n"
                            "[link cpu gpu]\nus = 4\ngb_per_s = 2\n"
                            "[link gpu cpu]\nus = 6\n";

static void write_platform(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0, 1);
    assert_int_equal(fclose(file), 0);
}

static hsched_simulation *simulation_of(const char *text)
{
    hsched_simulation *sim;
    char path[300];
    snprintf(path, sizeof path, "%s", file_path("test.platform"));
    write_platform(path, text);
    assert_ok(hsched_simulation_create(path, &sim));
    return sim;
}

static hsched_simulation *open_platform(const char *name)
{
    hsched_simulation *sim;
    char path[200];
    snprintf(path, sizeof path, PLATFORMS "%s.platform", name);
    assert_ok(hsched_simulation_create(path, &sim));
    return sim;
}

static uint32_t add(hsched_simulation *sim, hsched_graph *graph, const char *policy)
{
    uint32_t model;
    assert_ok(
        hsched_simulation_add(sim, graph,
                              &(hsched_simulation_model_config){
                                  HSCHED_SIMULATION_MODEL_CONFIG_INIT, .policy = policy },
                              &model));
    return model;
}

static double run(hsched_simulation *sim, hsched_simulation_report *report)
{
    *report = (hsched_simulation_report){ HSCHED_SIMULATION_REPORT_INIT };
    assert_ok(hsched_simulation_run(sim, NULL, report));
    return report->makespan_us;
}

static double run_burst(const char *platform, const char *network, const char *policy,
                        uint32_t instances, double gpu_load)
{
    hsched_simulation *sim = open_platform(platform);
    hsched_simulation_report report;
    hsched_graph *graph;
    assert_ok(zoo_build(network, 1, &graph));
    const hsched_simulation_stream stream = { HSCHED_SIMULATION_STREAM_INIT,
                                              .model = add(sim, graph, policy),
                                              .instances = instances };
    hsched_graph_destroy(graph);
    assert_ok(hsched_simulation_submit(sim, &stream));
    if (gpu_load != 1)
        assert_ok(hsched_simulation_set_load(sim, "gpu", 0, gpu_load));
    const double us = run(sim, &report);
    assert_int_equal(report.runs_succeeded, instances);
    hsched_simulation_destroy(sim);
    return us;
}

/* ---- The problem of placement --------------------------------------------- */

static hsi_simulated_model *compile(const hsi_platform *platform, hsched_graph *graph,
                                    const hsi_policy *policy)
{
    hsi_simulated_model *model;
    assert_ok(hsi_simulated_model_create(
        platform, NULL, graph, &(hsi_simulated_model_config){ .policy = policy },
        &model));
    return model;
}

static double step_time(const hsched_step *step, double gflops, double gb_per_s,
                        double step_us)
{
    double bytes = 0;
    for (uint32_t k = 0; k <= step->input_count; k++) {
        const hsched_operand *o = k < step->input_count ? &step->in[k] : &step->out;
        double size = o->dtype == HSCHED_FLOAT32 ? 4 : 0;
        for (uint32_t i = 0; i < o->rank; i++)
            size *= (double)o->dims[i];
        bytes += size;
    }
    return step_us +
           fmax(2 * (double)step->macs / (gflops * 1e3), bytes / (gb_per_s * 1e3));
}

static void the_problem_is_what_the_platform_says(void **state)
{
    (void)state;
    hsi_platform *platform;
    assert_ok(hsi_platform_parse("small", small, strlen(small), &platform));
    hsched_graph *graph = tiny_network(16, 1);
    hsi_simulated_model *model = compile(platform, graph, &hsi_policy_layer_type);
    const hsi_placement_problem *p = &model->problem;
    const hsi_plan *plan = model->plan;
    assert_int_equal(p->section_count, plan->section_count);
    assert_int_equal(p->device_count, 2);
    assert_true(p->section_count > 2); /* layer_type has cut */
    assert_true(p->job_us[0] == 2 && p->job_us[1] == 30);
    assert_true(p->workers[0] == 2 && p->workers[1] == 1);
    assert_true(p->weight[0] == 1 && p->weight[1] == 1);
    assert_true(p->links[0][1].us == 4 && p->links[1][0].us == 6);
    assert_true(p->links[1][0].us_per_byte == 0);
    uint64_t inputs = 0, outputs = 0, passing = 0;
    for (uint32_t s = 0; s < p->section_count; s++) {
        const hsi_placement_section *section = &p->sections[s];
        double cpu = 0, gpu = 0;
        uint32_t mask = 3;
        for (uint32_t i = 0; i < plan->sections[s].step_count; i++) {
            const hsched_step *step = &plan->steps[plan->sections[s].first_step + i].step;
            cpu += step_time(step, 1, 1, 3);
            gpu += step_time(step, 100, 10, 5);
            if (step->kind == HSCHED_STEP_SOFTMAX)
                mask = 1;
        }
        assert_int_equal(section->device_mask, mask);
        assert_int_equal(model->sections[s].device_mask, mask);
        assert_true(fabs(p->us[2 * s] - cpu) < 1e-6);
        assert_true(mask == 1 || fabs(p->us[2 * s + 1] - gpu) < 1e-6);
        inputs += section->input_bytes;
        outputs += section->output_bytes;
        for (uint32_t d = 0; d < section->dep_count; d++)
            passing += section->dep_bytes[d];
    }
    /* 3 x 16 x 16 floats in, 10 out. Between: at least what the convolutions pass on. */
    assert_int_equal(inputs, 3 * 16 * 16 * 4);
    assert_int_equal(outputs, 10 * 4);
    assert_true(passing >= (16 * 16 * 16 + 16 * 8 * 8) * 4);
    hsi_simulated_model_destroy(model);
    hsched_graph_destroy(graph);
    hsi_platform_destroy(platform);
}

/* ---- By hand -------------------------------------------------------------- */

/* One run on the CPU alone: jobs' starts and sections, helped by the second worker. */
static void a_run_takes_what_its_sections_take(void **state)
{
    (void)state;
    hsi_platform *platform;
    assert_ok(hsi_platform_parse("small", small, strlen(small), &platform));
    hsched_graph *graph = tiny_network(16, 1);
    hsi_simulated_model *model = compile(platform, graph, &hsi_policy_cpu_only);
    double want = 0;
    for (uint32_t s = 0; s < model->problem.section_count; s++)
        want += 2 + model->problem.us[2 * s] / 2; /* all of the work is parallel */
    hsched_simulation *sim = simulation_of(small);
    hsched_simulation_report report;
    const hsched_simulation_stream stream = { HSCHED_SIMULATION_STREAM_INIT,
                                              .model = add(sim, graph, "cpu_only") };
    assert_ok(hsched_simulation_submit(sim, &stream));
    const double got = run(sim, &report);
    assert_true(fabs(got - want) < 1e-6 * want);
    assert_int_equal(report.jobs, model->problem.section_count);
    assert_int_equal(report.crossings, 0);
    assert_string_equal(report.platform, "small");
    assert_int_equal(report.measured, 0);
    hsched_simulation_model_report m = { HSCHED_SIMULATION_MODEL_REPORT_INIT };
    assert_ok(hsched_simulation_get_model(sim, 0, &m));
    assert_string_equal(m.name, "tiny");
    assert_string_equal(m.policy, "cpu_only");
    assert_true(m.latency_p50_us == got && m.latency_max_us == got);
    hsched_simulation_device_report d = { HSCHED_SIMULATION_DEVICE_REPORT_INIT };
    assert_ok(hsched_simulation_get_device(sim, 1, &d));
    assert_string_equal(d.name, "gpu");
    assert_true(d.jobs == 0 && d.busy_us == 0 && d.use == 0);
    assert_true(run(sim, &report) == got); /* and again */
    hsched_simulation_destroy(sim);
    hsi_simulated_model_destroy(model);
    hsched_graph_destroy(graph);
    hsi_platform_destroy(platform);
}

static void percentiles_are_ranks(void **state)
{
    (void)state;
    hsched_simulation *sim = simulation_of("name = one\n[device cpu]\nkind = cpu\n"
                                           "gflops = 1\ngb_per_s = 1\n");
    hsched_graph *graph = tiny_network(8, 1);
    hsched_simulation_report report;
    hsched_simulation_model_report m = { HSCHED_SIMULATION_MODEL_REPORT_INIT };
    const hsched_simulation_stream stream = { HSCHED_SIMULATION_STREAM_INIT,
                                              .model = add(sim, graph, NULL),
                                              .instances = 4 };
    assert_ok(hsched_simulation_submit(sim, &stream));
    const double us = run(sim, &report) / 4; /* one after the other, all submitted at 0 */
    assert_ok(hsched_simulation_get_model(sim, 0, &m));
    assert_true(fabs(m.latency_p50_us - 2 * us) < 1e-6);
    assert_true(fabs(m.latency_p99_us - 4 * us) < 1e-6);
    assert_true(fabs(m.latency_mean_us - 2.5 * us) < 1e-6);
    hsched_graph_destroy(graph);
    hsched_simulation_destroy(sim);
}

static void late_runs_are_counted(void **state)
{
    (void)state;
    hsched_simulation *sim = simulation_of(small);
    hsched_graph *graph = tiny_network(16, 1);
    hsched_simulation_report report;
    hsched_simulation_stream stream = { HSCHED_SIMULATION_STREAM_INIT,
                                        .model = add(sim, graph, "cpu_only"),
                                        .instances = 10 };
    assert_ok(hsched_simulation_submit(sim, &stream));
    stream.deadline_us = run(sim, &report) / 3;
    hsched_simulation_destroy(sim);
    for (int drop = 0; drop < 2; drop++) {
        sim = simulation_of(small);
        stream.model = add(sim, graph, "cpu_only");
        stream.late = drop ? HSCHED_LATE_DROP : HSCHED_LATE_FINISH;
        assert_ok(hsched_simulation_submit(sim, &stream));
        run(sim, &report);
        assert_in_range(report.deadline_misses, 3, 9);
        /* What is executing its last section when it is late ends well. */
        assert_true(drop ? report.runs_dropped > 0 : report.runs_dropped == 0);
        assert_true(report.runs_dropped <= report.deadline_misses);
        assert_int_equal(report.runs_succeeded + report.runs_dropped, 10);
        hsched_simulation_destroy(sim);
    }
    hsched_graph_destroy(graph);
}

/* ---- Errors --------------------------------------------------------------- */

static void wrong_calls_are_told(void **state)
{
    (void)state;
    hsched_simulation *sim;
    uint32_t model;
    assert_fails(hsched_simulation_create(NULL, &sim), HSCHED_ERROR_INVALID_ARGUMENT,
                 "NULL");
    assert_fails(hsched_simulation_create("/no/such", &sim), HSCHED_ERROR_IO, "/no/such");
    assert_null(sim);
    sim = simulation_of(small);
    hsched_graph *graph = tiny_network(8, 1);
    assert_fails(hsched_simulation_run(sim, NULL, NULL), HSCHED_ERROR_STATE,
                 "hsched_simulation_submit first");
    assert_fails(hsched_simulation_add(
                     sim, graph,
                     &(hsched_simulation_model_config){
                         HSCHED_SIMULATION_MODEL_CONFIG_INIT, .policy = "fastest" },
                     &model),
                 HSCHED_ERROR_NOT_FOUND, "use one of cpu_only, gpu_only, layer_type");
    hsched_simulation_stream stream = { HSCHED_SIMULATION_STREAM_INIT };
    assert_fails(hsched_simulation_submit(sim, &stream), HSCHED_ERROR_NOT_FOUND,
                 "no model 0");
    stream.model = add(sim, graph, NULL);
    stream.priority = 101;
    assert_fails(hsched_simulation_submit(sim, &stream), HSCHED_ERROR_INVALID_ARGUMENT,
                 "priority 101");
    stream.priority = 0;
    stream.period_us = NAN;
    assert_fails(hsched_simulation_submit(sim, &stream), HSCHED_ERROR_INVALID_ARGUMENT,
                 "period_us nan");
    stream.period_us = 0;
    stream.instances = stream.runs = 1 << 13;
    assert_fails(hsched_simulation_submit(sim, &stream), HSCHED_ERROR_LIMIT,
                 "simulate less");
    assert_fails(hsched_simulation_set_load(sim, "npu", 0, 2), HSCHED_ERROR_NOT_FOUND,
                 "it has cpu, gpu");
    assert_fails(hsched_simulation_set_load(sim, "gpu", 0, 0),
                 HSCHED_ERROR_INVALID_ARGUMENT, "a factor from 0.001");
    assert_ok(hsched_simulation_set_load(sim, "gpu", 100, 2));
    assert_fails(hsched_simulation_set_load(sim, "gpu", 100, 1),
                 HSCHED_ERROR_INVALID_ARGUMENT, "in the order of time");
    stream.instances = stream.runs = 1;
    assert_ok(hsched_simulation_submit(sim, &stream));
    assert_fails(hsched_simulation_run(sim,
                                       &(hsched_simulation_config){
                                           HSCHED_SIMULATION_CONFIG_INIT, .jitter = 1 },
                                       NULL),
                 HSCHED_ERROR_INVALID_ARGUMENT, "jitter is 1");
    assert_fails(hsched_simulation_run(
                     sim,
                     &(hsched_simulation_config){ HSCHED_SIMULATION_CONFIG_INIT,
                                                  .trace = "/no/such/trace.json" },
                     NULL),
                 HSCHED_ERROR_IO, "/no/such/trace.json");
    hsched_graph_destroy(graph);
    hsched_simulation_destroy(sim);
}

/* ---- Costs of this machine ------------------------------------------------ */

static void measured_costs_are_the_cost_caches(void **state)
{
    (void)state;
    static const char here[] = "name = here\ncosts = measured\n"
                               "[device cpu]\nkind = cpu\nworkers = 1\n";
    assert_int_equal(setenv("HSCHED_CACHE_DIR", folder, 1), 0);
    hsched_graph *graph = tiny_network(16, 1);
    hsched_simulation *sim = simulation_of(here);
    uint32_t number;
    assert_fails(hsched_simulation_add(sim, graph, NULL, &number), HSCHED_ERROR_NOT_FOUND,
                 "run hsched profile with the same model");
    hsched_simulation_destroy(sim);

    hsched_runtime *rt;
    hsched_model *model;
    const hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 1,
                                           .policy = HSCHED_POLICY_CPU_ONLY };
    assert_ok(hsched_runtime_create(&config, &rt));
    assert_ok(hsched_model_compile(rt, graph, NULL, &model));
    const hsched_profile_config profile = { HSCHED_PROFILE_CONFIG_INIT, .seconds = 60,
                                            .repetitions = 3 };
    assert_ok(hsched_model_profile(model, &profile, NULL));
    const hsched_cost_query query = { HSCHED_COST_QUERY_INIT, .unit = HSCHED_COST_RUN };
    hsched_cost cost = { HSCHED_COST_INIT };
    assert_ok(hsched_model_get_cost(model, &query, &cost));
    assert_int_equal(cost.source, HSCHED_COST_MEASURED);

    hsched_simulation_report report;
    sim = simulation_of(here);
    const hsched_simulation_stream stream = { HSCHED_SIMULATION_STREAM_INIT,
                                              .model = add(sim, graph, NULL), .runs = 3 };
    assert_ok(hsched_simulation_submit(sim, &stream));
    const double us = run(sim, &report);
    assert_int_equal(report.measured, 1);
    /* Corrections that came after the profile are in the runtime's table only. */
    assert_true(fabs(us / (3 * cost.us / cost.correction) - 1) < 1e-4);
    hsched_simulation_destroy(sim);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
    hsched_graph_destroy(graph);
    unsetenv("HSCHED_CACHE_DIR");
}

static void what_nothing_here_measures_is_told(void **state)
{
    (void)state;
    hsched_simulation *sim;
    write_platform(file_path("test.platform"),
                   "name = here\ncosts = measured\n[device cpu]\nkind = cpu\n"
                   "[device dla]\nkind = dla\n[link cpu dla]\nus = 1\n");
    assert_fails(hsched_simulation_create(file_path("test.platform"), &sim),
                 HSCHED_ERROR_UNSUPPORTED, "device 'dla' is of kind dla");
    assert_null(sim);
}

/* ---- Platforms that come with the library --------------------------------- */

static void all_platforms_run_networks_with_all_policies(void **state)
{
    (void)state;
    static const char *const platforms[] = { "xavier", "orin-dla", "tx2", "server-h100" };
    static const char *const networks[] = { "alexnet", "resnet50" };
    for (uint32_t n = 0; n < 2; n++)
        for (uint32_t p = 0; p < 4; p++) {
            double us[8];
            uint32_t count = 0;
            for (; hsi_policy_get(count); count++) {
                assert_true(count < 8);
                us[count] = run_burst(platforms[p], networks[n],
                                      hsi_policy_get(count)->name, 2, 1);
                assert_true(us[count] > 50 && us[count] < 2e6);
            }
            /* Whatever the figures: these networks are faster with an accelerator. */
            assert_string_equal(hsi_policy_get(0)->name, "cpu_only");
            assert_string_equal(hsi_policy_get(1)->name, "gpu_only");
            assert_true(us[1] < us[0]);
        }
}

/* M. Kim (2021), experiment 1: beside a program that has the GPU for 0, 40 and 60% of the time, the
 * makespan of eight DenseNet201 grows less with convolutions on the GPU and all else on the CPU. */
static void the_splits_makespan_grows_less_than_the_gpus(void **state)
{
    (void)state;
    static const char *const policies[] = { "gpu_only", "layer_type" };
    double us[2][3];
    for (int p = 0; p < 2; p++)
        for (int hog = 0; hog < 3; hog++) {
            static const double share[] = { 0, 0.4, 0.6 };
            us[p][hog] =
                run_burst("xavier", "densenet201", policies[p], 8, 1 / (1 - share[hog]));
        }
    for (int p = 0; p < 2; p++)
        assert_true(us[p][0] < us[p][1] && us[p][1] < us[p][2]);
    assert_true(us[1][1] / us[1][0] < us[0][1] / us[0][0]);
    assert_true(us[1][2] / us[1][0] < us[0][2] / us[0][0]);
    assert_true(us[1][2] < us[0][2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_problem_is_what_the_platform_says),
        cmocka_unit_test_setup_teardown(a_run_takes_what_its_sections_take, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(percentiles_are_ranks, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(late_runs_are_counted, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(wrong_calls_are_told, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(measured_costs_are_the_cost_caches, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(what_nothing_here_measures_is_told, make_folder,
                                        remove_folder),
        cmocka_unit_test(all_platforms_run_networks_with_all_policies),
        cmocka_unit_test(the_splits_makespan_grows_less_than_the_gpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
