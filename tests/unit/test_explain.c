/*
 * Explanations, beside what runs really do: where sections go, how many tensors cross, what all
 * takes when it is known what each part takes. On a simulated device with a queue, whose costs the
 * tests write into the table themselves.
 */
#include "common/queue_runs.h"

#include <hsched/experimental.h>
#include <math.h>

#include "base/alloc.h"
#include "common/put_costs.h"
#include "common/support.h"
#include "runtime/planner.h"
#include "unit/random_graph.h"

enum {
    POOLING = 1 << HSCHED_STEP_POOL2D,
    LAYERS = 25
};

static const char nowhere[] = "/dev/null/hsched"; /* no costs of this machine's */

/* ---- What tests begin with ------------------------------------------------ */

static hsched_runtime *open_runtime(uint64_t unsupported)
{
    return queue_runtime_open(
        &(queue_device_script){ .unsupported = unsupported, .ready = 64 },
        &(hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .cache_dir = nowhere });
}

static hsched_explanation *explain(hsched_model *model,
                                   const hsched_explain_config *config,
                                   hsched_explanation_info *info)
{
    hsched_explanation *e;
    *info = (hsched_explanation_info){ HSCHED_EXPLANATION_INFO_INIT };
    assert_ok(hsched_model_explain(model, config, &e));
    assert_ok(hsched_explanation_get_info(e, info));
    return e;
}

static hsched_explained_section section_of(const hsched_explanation *e, uint32_t index)
{
    hsched_explained_section section = { HSCHED_EXPLAINED_SECTION_INIT };
    assert_ok(hsched_explanation_get_section(e, index, &section));
    return section;
}

static hsched_explained_crossing crossing_of(const hsched_explanation *e, uint32_t index)
{
    hsched_explained_crossing crossing = { HSCHED_EXPLAINED_CROSSING_INIT };
    assert_ok(hsched_explanation_get_crossing(e, index, &crossing));
    return crossing;
}

static double sum_of_sections(const hsched_explanation *e,
                              const hsched_explanation_info *info)
{
    double sum = info->crossing_us;
    for (uint32_t s = 0; s < info->sections; s++)
        sum += section_of(e, s).predicted_us;
    return sum;
}

#define assert_near(a, b)                                                                \
    assert_true(fabs((double)(a) - (double)(b)) <= 1e-3 + 1e-5 * fabs((double)(b)))

/* ---- Beside runs ---------------------------------------------------------- */

/* The same sections on the same devices, and as many tensors that cross. Nothing is learnt
 * meanwhile: what the policy knows stays what the explanation was made from. */
static void expect_what_a_run_does(const queue_net *net, const hsched_explanation *e,
                                   const hsched_explanation_info *info)
{
    hsched_runtime *rt = net->runtime;
    hsched_run_times times = { HSCHED_RUN_TIMES_INIT };
    queue_trial t;
    queue_trial_make(&t, net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 3);
    pthread_mutex_lock(&rt->costs.mutex);
    queue_trial_submit(&t);
    assert_ok(hsched_run_wait(t.run, HSCHED_FOREVER));
    pthread_mutex_unlock(&rt->costs.mutex);
    assert_ok(hsched_run_get_times(t.run, &times));
    for (uint32_t s = 0; s < info->sections; s++)
        assert_int_equal(section_of(e, s).device, t.run->exec.core.jobs[s].device);
    assert_int_equal(info->tensors, times.crossings);
    queue_trial_finish(&t);
    queue_trial_free(&t);
}

/* The list says the same as the totals; the application's ends are where accelerators are. */
static void expect_whole_list(const hsched_explanation *e,
                              const hsched_explanation_info *info)
{
    uint32_t tensors = 0;
    uint64_t bytes = 0, io_bytes = 0;
    double us = 0, io_us = 0;
    for (uint32_t i = 0; i < info->crossings; i++) {
        const hsched_explained_crossing c = crossing_of(e, i);
        const int user =
            c.from_step == HSCHED_EXPLAINED_USER || c.to_step == HSCHED_EXPLAINED_USER;
        assert_int_not_equal(c.from_device, c.to_device);
        assert_true(strlen(c.tensor) > 0 && (c.us > 0 || c.there || c.bytes == 0));
        tensors += !user;
        io_bytes += user ? c.bytes : 0;
        io_us += user ? c.us : 0;
        bytes += user || c.there ? 0 : c.bytes;
        us += user ? 0 : c.us;
        if (!user) {
            assert_true(c.from_step < c.to_step && c.from_section < c.to_section);
            assert_int_equal(section_of(e, c.from_section).device, c.from_device);
            assert_int_equal(section_of(e, c.to_section).device, c.to_device);
        }
    }
    assert_int_equal(tensors, info->tensors);
    assert_int_equal(bytes, info->crossing_bytes);
    assert_int_equal(io_bytes, info->io_bytes);
    assert_near(us, info->crossing_us);
    assert_near(io_us, info->io_us);
}

static void random_graphs_go_where_it_says(void **state)
{
    static const hsched_policy policies[] = { HSCHED_POLICY_GPU_ONLY,
                                              HSCHED_POLICY_LAYER_TYPE,
                                              HSCHED_POLICY_CPU_ONLY,
                                              HSCHED_POLICY_COST };
    (void)state;
    uint64_t crossings = 0;
    for (uint64_t seed = 0; seed < 12; seed++) {
        hsched_explanation_info info;
        hsched_graph *graph;
        queue_net net;
        uint64_t random = seed;
        hsched_runtime *rt = open_runtime((uint32_t)random_graph_next(&random) & 0x3ffe);
        assert_ok(random_graph_make(seed, LAYERS, &graph));
        queue_net_make(&net, rt, graph,
                       &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                               .policy = policies[seed % 4] });
        hsched_explanation *e = explain(net.model, NULL, &info);
        expect_whole_list(e, &info);
        expect_what_a_run_does(&net, e, &info);
        crossings += info.tensors;
        hsched_explanation_destroy(e);
        queue_net_free(&net);
        queue_runtime_close(rt);
    }
    assert_true(crossings > 0);
}

/* What the policy `cost` chooses by costs that are drawn by lot. */
static void cost_chooses_what_it_says(void **state)
{
    (void)state;
    uint64_t random = 5;
    uint32_t elsewhere = 0;
    hsched_runtime *rt = open_runtime(POOLING | 1 << HSCHED_STEP_BINARY);
    for (int round = 0; round < 12; round++) {
        hsched_explanation_info info;
        queue_net net;
        queue_net_tiny(&net, rt, HSCHED_POLICY_COST);
        for (uint32_t s = 0; s < net.model->plan->section_count; s++)
            for (uint32_t d = 0; d < 2; d++)
                put_section(net.model, s, d,
                            (double)random_graph_range(&random, 10, 200));
        assert_ok(hsi_planner_plan(net.model));
        hsched_explanation *e = explain(net.model, NULL, &info);
        assert_true(info.candidates > 0 && info.source == HSCHED_COST_MEASURED);
        expect_whole_list(e, &info);
        expect_what_a_run_does(&net, e, &info);
        elsewhere += info.tensors > 0;
        hsched_explanation_destroy(e);
        queue_net_free(&net);
    }
    assert_true(elsewhere > 0);
    queue_runtime_close(rt);
}

/* The CPU takes longer and draws less. */
static void expect_on_the_cpu(const queue_net *net, const char *said)
{
    hsched_explanation_info info;
    put_sections(net->model, 0, 100);
    put_sections(net->model, QUEUE_DEVICE, 60);
    assert_ok(hsi_planner_plan(net->model));
    hsched_explanation *e = explain(net->model, NULL, &info);
    assert_true(info.candidates > 1);
    for (uint32_t s = 0; s < info.sections; s++) {
        const hsched_explained_section section = section_of(e, s);
        assert_int_equal(section.device, 0);
        assert_non_null(strstr(section.reason_text, said));
    }
    expect_what_a_run_does(net, e, &info);
    hsched_explanation_destroy(e);
}

/* With watts that the scheduler has learnt of when the model was loaded. */
static void energy_goes_where_it_says(void **state)
{
    (void)state;
    hsched_runtime *rt = open_runtime(0);
    queue_net net;
    for (uint32_t d = 0; d < 2; d++)
        assert_ok(hsi_cost_table_put_watts(rt->costs.table, rt->costs.devices[d],
                                           d == 0 ? 10 : 500, 0, 0));
    queue_net_make(&net, rt, tiny_network(8, 1),
                   &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                           .policy = HSCHED_POLICY_COST,
                                           .objective = HSCHED_OBJECTIVE_ENERGY });
    expect_on_the_cpu(&net, "least energy");
    queue_net_free(&net);
    queue_runtime_close(rt);
}

static void a_power_cap_sends_it_where_it_says(void **state)
{
    (void)state;
    static const hsched_device_watts watts[] = { { "cpu", 10, 1 }, { "queue0", 500, 2 } };
    hsched_runtime *rt = queue_runtime_open(
        &(queue_device_script){ .ready = 64 },
        &(hsched_runtime_config){
            HSCHED_RUNTIME_CONFIG_INIT, .cache_dir = nowhere,
            .policy = HSCHED_POLICY_COST, .objective = HSCHED_OBJECTIVE_POWER_CAP,
            .power_cap_watts = 20, .device_watts = watts, .device_watts_count = 2 });
    queue_net net;
    queue_net_tiny(&net, rt, HSCHED_POLICY_COST);
    expect_on_the_cpu(&net, "power cap");
    queue_net_free(&net);
    queue_runtime_close(rt);
}

/* ---- Times ---------------------------------------------------------------- */

/* A chain takes what its parts take: sections, starting jobs, crossings. */
static void parts_add_up(void **state)
{
    (void)state;
    hsched_explanation_info info;
    queue_net net;
    hsched_runtime *rt = open_runtime(POOLING);
    queue_net_tiny(&net, rt, HSCHED_POLICY_GPU_ONLY);
    put_sections(net.model, 0, 100);
    put_sections(net.model, QUEUE_DEVICE, 30);
    hsched_explanation *e = explain(net.model, NULL, &info);
    assert_true(info.predicted_us > 100 && info.crossing_us > 0 && info.io_us > 0);
    assert_near(sum_of_sections(e, &info), info.predicted_us);
    for (uint32_t s = 0; s < info.sections; s++) {
        const hsched_explained_section section = section_of(e, s);
        double steps = 0;
        for (uint32_t i = section.first_step; i < section.first_step + section.step_count;
             i++) {
            hsched_explained_step step = { HSCHED_EXPLAINED_STEP_INIT };
            assert_ok(hsched_explanation_get_step(e, i, &step));
            assert_int_equal(step.section, s);
            assert_int_equal(step.device, section.device);
            steps += step.predicted_us;
        }
        assert_near(steps, section.predicted_us);
        assert_true(section.measured_us == (section.device == 0 ? 100 : 30));
    }
    hsched_explanation_destroy(e);

    /* Twice as slow there: twice the work, and the crossings as they were. */
    hsched_explanation_info loaded;
    e = explain(net.model,
                &(hsched_explain_config){ HSCHED_EXPLAIN_CONFIG_INIT,
                                          .loads = (const double[]){ 3 },
                                          .load_count = 1 },
                &loaded);
    double cpu_us = 0;
    for (uint32_t s = 0; s < loaded.sections; s++)
        if (section_of(e, s).device == 0)
            cpu_us += section_of(e, s).predicted_us;
    assert_true(cpu_us > 0);
    assert_near(loaded.predicted_us - info.predicted_us, cpu_us * 2 / 3);
    hsched_explanation_destroy(e);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

static void workers_take_what_they_were_measured_to(void **state)
{
    (void)state;
    hsched_explanation_info info;
    queue_net net;
    hsched_runtime *rt = open_runtime(0);
    queue_net_tiny(&net, rt, HSCHED_POLICY_CPU_ONLY);
    const uint32_t sections = net.model->plan->section_count;
    put_sections(net.model, 0, 100);
    for (uint32_t s = 0; s < sections; s++) /* help makes the first one slower */
        put(net.model, HSI_COST_SECTION, s, 0, 2, 1, s == 0 ? 130 : 70);
    hsched_explanation *e = explain(net.model, NULL, &info);
    assert_int_equal(info.source, HSCHED_COST_MEASURED);
    assert_near(info.predicted_us, 130 + 70.0 * (sections - 1));
    assert_near(section_of(e, 0).measured_us, 130);
    assert_near(section_of(e, 0).predicted_us, 130);
    assert_near(info.measured_us, 0);
    hsched_explanation_destroy(e);
    /* A run has more in it than its sections: each has its share of that. */
    put(net.model, HSI_COST_RUN, 0, 0, 2, 1, 777);
    e = explain(net.model, NULL, &info);
    assert_near(info.predicted_us, 777);
    assert_near(section_of(e, 0).predicted_us, 777 * 130 / (130 + 70.0 * (sections - 1)));
    assert_near(info.measured_us, 777);
    assert_int_equal(info.jobs, sections);
    assert_int_equal(info.crossings, 0);
    hsched_explanation_destroy(e);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

static void joined_runs_take_what_they_were_measured_to(void **state)
{
    (void)state;
    hsched_explanation_info one, four;
    queue_net net;
    hsched_runtime *rt = open_runtime(0);
    queue_net_tiny(&net, rt, HSCHED_POLICY_GPU_ONLY);
    put(net.model, HSI_COST_RUN, 0, QUEUE_DEVICE, 1, 1, 1000);
    put(net.model, HSI_COST_RUN, 0, QUEUE_DEVICE, 1, 4, 1600);
    hsched_explanation *e = explain(net.model, NULL, &one);
    assert_near(one.predicted_us, 1000); /* inputs and outputs have passed in that */
    assert_true(one.io_us > 0);
    assert_near(section_of(e, 0).predicted_us, 1000);
    assert_near(one.measured_us, 1000);
    assert_int_equal(one.source, HSCHED_COST_MEASURED);
    hsched_explanation_destroy(e);
    e = explain(net.model,
                &(hsched_explain_config){ HSCHED_EXPLAIN_CONFIG_INIT, .batch = 4 },
                &four);
    assert_near(four.predicted_us, 1600);
    assert_near(four.measured_us, 1600);
    assert_int_equal(four.jobs, 1);
    assert_int_equal(four.io_bytes, one.io_bytes);
    hsched_explanation_destroy(e);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

/* Also where starting a job and passing inputs and outputs are thought to take longer than that;
 * with what sections take and without. */
static void whole_runs_take_what_they_were_measured_to(void **state)
{
    (void)state;
    static const double took[] = { 3, 12, 40, 1000 };
    hsched_runtime *rt = open_runtime(0);
    for (size_t i = 0; i < 2 * sizeof took / sizeof took[0]; i++) {
        hsched_explanation_info info;
        queue_net net;
        const double us = took[i / 2];
        queue_net_tiny(&net, rt, HSCHED_POLICY_COST);
        put_sections(net.model, 0, 5000);
        if (i % 2)
            put_sections(net.model, QUEUE_DEVICE, 60);
        put(net.model, HSI_COST_RUN, 0, QUEUE_DEVICE, 1, 1, us);
        assert_ok(hsi_planner_plan(net.model));
        hsched_explanation *e = explain(net.model, NULL, &info);
        assert_near(info.predicted_us, us);
        assert_near(info.measured_us, us);
        assert_near(sum_of_sections(e, &info), us);
        assert_true(info.io_us > 0);
        hsched_explanation_destroy(e);
        queue_net_free(&net);
    }
    queue_runtime_close(rt);
}

/* The time of the whole is shared out by work, which is next to none here: what is left is where
 * the input is read and the output written. */
static void inputs_and_outputs_pass_where_they_are_used(void **state)
{
    (void)state;
    enum {
        RELUS = 4,
        WIDTH = 64
    };
    hsched_explanation_info info;
    hsched_graph *g;
    hsched_tensor x;
    queue_net net;
    hsched_runtime *rt = open_runtime(0);
    assert_ok(hsched_graph_create("relus", &g));
    assert_ok(
        hsched_graph_add_input(g, "x", HSCHED_FLOAT32, 2, (int64_t[]){ 1, WIDTH }, &x));
    for (int i = 0; i < RELUS; i++) {
        char name[8];
        snprintf(name, sizeof name, "a%d", i);
        assert_ok(hsched_graph_add_activation(
            g, name, x,
            (hsched_activation){ .kind = i % 2 ? HSCHED_ACTIVATION_SIGMOID
                                               : HSCHED_ACTIVATION_RELU },
            &x));
    }
    assert_ok(hsched_graph_add_output(g, x));
    queue_net_make(&net, rt, g,
                   &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                           .policy = HSCHED_POLICY_GPU_ONLY,
                                           .flags = HSCHED_MODEL_STEP_JOBS });
    put(net.model, HSI_COST_RUN, 0, QUEUE_DEVICE, 1, 1, 100);
    hsched_explanation *e = explain(net.model, NULL, &info);
    assert_int_equal(info.sections, RELUS);
    assert_near(info.predicted_us, 100);
    assert_true(info.io_us > 10);
    const double between = section_of(e, 1).predicted_us;
    assert_near(between, section_of(e, 2).predicted_us);
    assert_near(section_of(e, 0).predicted_us - between, info.io_us / 2);
    assert_near(section_of(e, RELUS - 1).predicted_us - between, info.io_us / 2);
    hsched_explanation_destroy(e);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

/* ---- Why, and what else --------------------------------------------------- */

static int has_pooling(hsched_model *model, const hsched_explained_section *section)
{
    int found = 0;
    for (uint32_t i = 0; i < section->step_count; i++) {
        hsched_step_info step = { HSCHED_STEP_INFO_INIT };
        assert_ok(hsched_model_step_info(model, section->first_step + i, &step));
        found |= strcmp(step.kind, "pool2d") == 0;
    }
    return found;
}

static void layers_that_fall_back_are_counted(void **state)
{
    static const hsched_policy policies[] = { HSCHED_POLICY_GPU_ONLY,
                                              HSCHED_POLICY_COST };
    (void)state;
    hsched_runtime *rt = open_runtime(POOLING);
    for (int i = 0; i < 2; i++) {
        hsched_explanation_info info;
        queue_net net;
        uint32_t sections = 0, steps = 0;
        queue_net_tiny(&net, rt, policies[i]);
        hsched_explanation *e = explain(net.model, NULL, &info);
        for (uint32_t s = 0; s < info.sections; s++) {
            const hsched_explained_section section = section_of(e, s);
            const int falls = has_pooling(net.model, &section);
            sections += (uint32_t)falls;
            steps += falls ? section.step_count : 0;
            assert_int_equal(section.device == 0, falls);
            assert_int_equal(section.reason, falls    ? HSCHED_PLACED_AS_ONLY_ONE
                                             : i == 0 ? HSCHED_PLACED_BY_POLICY
                                                      : HSCHED_PLACED_WITHOUT_COSTS);
            assert_true(strlen(section.reason_text) > 0);
            assert_int_equal(section.runner_up, falls ? UINT32_MAX : 0);
            assert_true(section.runner_up_us == 0); /* nothing was measured */
        }
        assert_true(sections > 0 && info.fallback_sections == sections);
        assert_int_equal(info.fallback_steps, steps);
        assert_int_equal(info.candidates, 0);
        assert_true(info.predicted_us == 0 && info.source == HSCHED_COST_UNKNOWN);
        hsched_explanation_destroy(e);
        queue_net_free(&net);
    }
    queue_runtime_close(rt);
}

static void load_moves_the_run(void **state)
{
    (void)state;
    hsched_explanation_info info;
    queue_net net;
    hsched_runtime *rt = open_runtime(POOLING);
    queue_net_tiny(&net, rt, HSCHED_POLICY_COST);
    put_sections(net.model, 0, 1000);
    put_sections(net.model, QUEUE_DEVICE, 100);
    assert_ok(hsi_planner_plan(net.model));
    for (int slow = 0; slow < 2; slow++) {
        const double loads[] = { 1, slow ? 50 : 0 };
        hsched_explanation *e =
            explain(net.model,
                    &(hsched_explain_config){ HSCHED_EXPLAIN_CONFIG_INIT, .loads = loads,
                                              .load_count = 2 },
                    &info);
        for (uint32_t s = 0; s < info.sections; s++) {
            const hsched_explained_section section = section_of(e, s);
            const int pooling = has_pooling(net.model, &section);
            assert_int_equal(section.device, slow || pooling ? 0 : QUEUE_DEVICE);
            if (pooling)
                continue;
            assert_int_equal(section.reason, HSCHED_PLACED_BY_COST);
            assert_int_equal(section.runner_up, slow ? QUEUE_DEVICE : 0);
            /* At least what the section itself takes longer there, but for what is saved of the
             * start of a job and of crossings. */
            assert_true(section.runner_up_us > info.predicted_us + 500);
        }
        hsched_explanation_destroy(e);
    }
    queue_net_free(&net);
    queue_runtime_close(rt);
}

static void a_lost_device_is_the_reason(void **state)
{
    static const hsched_policy policies[] = { HSCHED_POLICY_GPU_ONLY,
                                              HSCHED_POLICY_COST };
    (void)state;
    hsched_runtime *rt = open_runtime(0);
    queue_net nets[2];
    for (int i = 0; i < 2; i++) {
        queue_net_tiny(&nets[i], rt, policies[i]);
        put_sections(nets[i].model, 0, 1000);
        put_sections(nets[i].model, QUEUE_DEVICE, 10);
    }
    assert_ok(hsi_planner_plan(nets[1].model));
    pthread_mutex_lock(&rt->pool->lock);
    hsi_core_device_lost(rt->core, QUEUE_DEVICE, 0);
    hsi_worker_pool_after_events(rt->pool);
    pthread_mutex_unlock(&rt->pool->lock);
    for (int i = 0; i < 2; i++) {
        hsched_explanation_info info;
        hsched_explanation *e = explain(nets[i].model, NULL, &info);
        for (uint32_t s = 0; s < info.sections; s++) {
            assert_int_equal(section_of(e, s).device, 0);
            assert_int_equal(section_of(e, s).reason, HSCHED_PLACED_AFTER_LOSS);
            assert_int_equal(section_of(e, s).runner_up, UINT32_MAX);
        }
        assert_near(info.predicted_us, 1000.0 * info.sections);
        expect_what_a_run_does(&nets[i], e, &info);
        hsched_explanation_destroy(e);
        queue_net_free(&nets[i]);
    }
    queue_runtime_close(rt);
}

/* ---- Edges, life, errors -------------------------------------------------- */

static void edges_are_the_graphs(void **state)
{
    (void)state;
    hsched_explanation_info info;
    queue_net net;
    hsched_runtime *rt = open_runtime(0);
    queue_net_tiny(&net, rt, HSCHED_POLICY_CPU_ONLY);
    hsched_explanation *e = explain(net.model, NULL, &info);
    /* It outlives its model, and the last user of that. */
    queue_net_free(&net);
    uint32_t inputs = 0, outputs = 0;
    for (uint32_t i = 0; i < info.edges; i++) {
        hsched_explained_edge edge = { HSCHED_EXPLAINED_EDGE_INIT };
        assert_ok(hsched_explanation_get_edge(e, i, &edge));
        if (edge.from_step == HSCHED_EXPLAINED_USER) {
            assert_string_equal(edge.tensor, "x");
            assert_int_equal(edge.bytes, 3 * 8 * 8 * sizeof(float));
            inputs++;
        } else if (edge.to_step == HSCHED_EXPLAINED_USER) {
            assert_string_equal(edge.tensor, "y");
            assert_int_equal(edge.bytes, 10 * sizeof(float));
            outputs++;
        } else {
            assert_true(edge.from_step < edge.to_step && edge.to_step < info.steps);
        }
    }
    assert_true(inputs >= 1 && outputs == 1 && info.edges >= info.steps + 1);
    hsched_explanation_destroy(e);
    queue_runtime_close(rt);
}

/* An input that two steps of a section read passes once; an output that two steps write, each its
 * half, passes once as well. */
static void inputs_and_outputs_pass_once(void **state)
{
    (void)state;
    hsched_explanation_info info;
    hsched_graph *g;
    hsched_tensor x, a, b, y;
    queue_net net;
    hsched_runtime *rt = open_runtime(0);
    assert_ok(hsched_graph_create("fork", &g));
    assert_ok(
        hsched_graph_add_input(g, "x", HSCHED_FLOAT32, 2, (int64_t[]){ 3, 32 }, &x));
    assert_ok(hsched_graph_add_activation(
        g, "a", x, (hsched_activation){ .kind = HSCHED_ACTIVATION_RELU }, &a));
    assert_ok(hsched_graph_add_activation(
        g, "b", x, (hsched_activation){ .kind = HSCHED_ACTIVATION_SIGMOID }, &b));
    assert_ok(hsched_graph_add_concat(g, "y", (hsched_tensor[]){ a, b }, 2, 0, &y));
    assert_ok(hsched_graph_add_output(g, y));
    queue_net_make(&net, rt, g,
                   &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                           .policy = HSCHED_POLICY_GPU_ONLY });
    hsched_explanation *e = explain(net.model, NULL, &info);
    assert_int_equal(info.sections, 1);
    assert_int_equal(info.steps, 2); /* there is no copy: each writes its half */
    assert_int_equal(info.io_bytes, 3 * 3 * 32 * sizeof(float));
    assert_int_equal(info.crossings, 3);
    expect_whole_list(e, &info);
    hsched_explanation_destroy(e);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

static void nothing_leaks_without_memory(void **state)
{
    (void)state;
    queue_net net;
    hsched_explanation *e = NULL;
    hsched_runtime *rt = open_runtime(POOLING);
    queue_net_tiny(&net, rt, HSCHED_POLICY_COST);
    put_sections(net.model, 0, 100);
    put_sections(net.model, QUEUE_DEVICE, 90);
    assert_ok(hsi_planner_plan(net.model));
    assert_ok(hsched_runtime_settle(rt));
    const uint64_t bytes = hsi_alloc_bytes();
    hsched_status status = HSCHED_ERROR_OUT_OF_MEMORY;
    uint64_t k = 0;
    while (status == HSCHED_ERROR_OUT_OF_MEMORY && k < 100000) {
        hsi_alloc_fail_after(++k);
        status = hsched_model_explain(net.model, NULL, &e);
        hsi_alloc_fail_after(0);
        if (status != HSCHED_OK) {
            assert_null(e);
            assert_int_equal(hsi_alloc_bytes(), bytes);
        }
    }
    assert_ok(status);
    assert_true(k > 20);
    hsched_explanation_destroy(e);
    assert_int_equal(hsi_alloc_bytes(), bytes);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

static void what_is_wrong_is_said(void **state)
{
    (void)state;
    hsched_explanation *e;
    hsched_explanation_info info;
    queue_net net;
    hsched_runtime *rt = open_runtime(0);
    queue_net_tiny(&net, rt, HSCHED_POLICY_GPU_ONLY);
    const double bad[] = { 1, -2 }, nan[] = { (double)NAN }, three[] = { 1, 1, 1 };
    const struct {
        hsched_explain_config config;
        const char *said;
    } wrong[] = {
        { { HSCHED_EXPLAIN_CONFIG_INIT, .batch = 65 }, "batch is 65" },
        { { HSCHED_EXPLAIN_CONFIG_INIT, .loads = bad, .load_count = 2 },
          "device 1 is -2" },
        { { HSCHED_EXPLAIN_CONFIG_INIT, .loads = nan, .load_count = 1 }, "device 0 is" },
        { { HSCHED_EXPLAIN_CONFIG_INIT, .loads = three, .load_count = 3 }, "2 devices" },
        { { HSCHED_EXPLAIN_CONFIG_INIT, .load_count = 1 }, "loads is NULL" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        e = (hsched_explanation *)&net;
        assert_fails(hsched_model_explain(net.model, &wrong[i].config, &e),
                     HSCHED_ERROR_INVALID_ARGUMENT, wrong[i].said);
        assert_null(e);
    }
    assert_fails(hsched_model_explain(NULL, NULL, &e), HSCHED_ERROR_INVALID_ARGUMENT,
                 "NULL");
    assert_fails(hsched_model_explain(net.model, NULL, NULL),
                 HSCHED_ERROR_INVALID_ARGUMENT, "NULL");
    e = explain(net.model, NULL, &info);
    hsched_explained_section section = { HSCHED_EXPLAINED_SECTION_INIT };
    hsched_explained_step step = { HSCHED_EXPLAINED_STEP_INIT };
    hsched_explained_edge edge = { HSCHED_EXPLAINED_EDGE_INIT };
    hsched_explained_crossing crossing = { HSCHED_EXPLAINED_CROSSING_INIT };
    assert_fails(hsched_explanation_get_section(e, info.sections, &section),
                 HSCHED_ERROR_NOT_FOUND, "there are");
    assert_fails(hsched_explanation_get_step(e, info.steps, &step),
                 HSCHED_ERROR_NOT_FOUND, "there are");
    assert_fails(hsched_explanation_get_edge(e, info.edges, &edge),
                 HSCHED_ERROR_NOT_FOUND, "there are");
    assert_fails(hsched_explanation_get_crossing(e, info.crossings, &crossing),
                 HSCHED_ERROR_NOT_FOUND, "there are");
    assert_fails(hsched_explanation_get_info(NULL, &info), HSCHED_ERROR_INVALID_ARGUMENT,
                 "NULL");
    hsched_explanation_destroy(e);
    hsched_explanation_destroy(NULL);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

static uint32_t never_asked(void *user, const hsched_policy_section *section)
{
    (void)section;
    ++*(int *)user;
    return 0;
}

static void a_policy_of_the_users_is_not_asked(void **state)
{
    (void)state;
    int asked = 0;
    hsched_explanation *e;
    queue_net net;
    const hsched_policy_plugin plugin = { HSCHED_POLICY_PLUGIN_INIT, .name = "mine",
                                          .user = &asked, .place = never_asked };
    hsched_runtime *rt = queue_runtime_open(
        NULL, &(hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .cache_dir = nowhere,
                                        .policy_plugin = &plugin });
    queue_net_tiny(&net, rt, HSCHED_POLICY_PLUGIN);
    assert_fails(hsched_model_explain(net.model, NULL, &e), HSCHED_ERROR_UNSUPPORTED,
                 "'mine'");
    assert_int_equal(asked, 0);
    assert_null(e);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_graphs_go_where_it_says),
        cmocka_unit_test(cost_chooses_what_it_says),
        cmocka_unit_test(energy_goes_where_it_says),
        cmocka_unit_test(a_power_cap_sends_it_where_it_says),
        cmocka_unit_test(parts_add_up),
        cmocka_unit_test(workers_take_what_they_were_measured_to),
        cmocka_unit_test(joined_runs_take_what_they_were_measured_to),
        cmocka_unit_test(whole_runs_take_what_they_were_measured_to),
        cmocka_unit_test(inputs_and_outputs_pass_where_they_are_used),
        cmocka_unit_test(layers_that_fall_back_are_counted),
        cmocka_unit_test(load_moves_the_run),
        cmocka_unit_test(a_lost_device_is_the_reason),
        cmocka_unit_test(edges_are_the_graphs),
        cmocka_unit_test(inputs_and_outputs_pass_once),
        cmocka_unit_test(nothing_leaks_without_memory),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(a_policy_of_the_users_is_not_asked),
    };
    return cmocka_run_group_tests_name("explain", tests, NULL, NULL);
}
