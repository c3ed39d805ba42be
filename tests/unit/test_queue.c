/*
 * The runtime with a simulated device with a queue (tests/common/queue_device.h): results,
 * memory of all kinds, events. See test_queue_join.c and test_queue_faults.c for the rest.
 */
#include "common/queue_runs.h"

#include <pthread.h>

#include "common/support.h"
#include "runtime/runtime.h"
#include "zoo/zoo.h"

static const hsched_policy both[] = { HSCHED_POLICY_GPU_ONLY, HSCHED_POLICY_LAYER_TYPE };
/* All that the device can take goes there, with nothing known of costs. */
static const hsched_policy all_there[] = { HSCHED_POLICY_GPU_ONLY, HSCHED_POLICY_COST };

/* ---- Results ------------------------------------------------------------------- */

static void all_memory_gives_the_cpus_bits(void **state)
{
    (void)state;
    for (int p = 0; p < 2; p++)
        for (uint64_t seed = 0; seed < 3; seed++) {
            hsched_runtime *rt =
                queue_runtime_open(&(queue_device_script){ .seed = seed }, NULL);
            queue_net net;
            queue_net_tiny(&net, rt, both[p]);
            queue_try_all_memory(&net);
            queue_expect_no_restarts(rt);
            const hsched_runtime_stats stats = queue_runtime_stats(rt);
            assert_true(p == 0 ? stats.crossings == 0 : stats.crossings > 0);
            assert_true(queue_device_stats(rt).jobs > 0);
            queue_net_free(&net);
            queue_runtime_close(rt);
        }
}

static void steps_are_jobs_of_their_own_if_asked_for(void **state)
{
    (void)state;
    hsched_runtime *rt = queue_runtime_open(NULL, NULL);
    queue_net net;
    queue_trial trials[3];
    queue_net_make(&net, rt, tiny_network(8, 1),
                   &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                           .policy = HSCHED_POLICY_GPU_ONLY,
                                           .flags = HSCHED_MODEL_STEP_JOBS });
    const uint64_t steps = hsched_model_step_count(net.model);
    assert_true(steps > 1);
    queue_trials_make(trials, 3, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN);
    const hsched_device_stats before = queue_device_stats(rt);
    for (int i = 0; i < 3; i++)
        queue_trial_submit(&trials[i]);
    queue_trials_finish(trials, 3);
    const hsched_device_stats after = queue_device_stats(rt);
    assert_int_equal(after.jobs - before.jobs, 3 * steps);
    assert_int_equal(queue_runtime_stats(rt).runs_joined, 0);
    queue_expect_no_restarts(rt);
    queue_trials_free(trials, 3);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

/* The larger ones take long with plain loops: once each, and not under sanitizers. */
static void networks_give_the_cpus_bits(void **state)
{
    static const char *const names[] = { "mlp", "squeezenet1_1", NULL };
    const char *mode = getenv("HSCHED_TEST_MODE");
    const int slow = mode && strcmp(mode, "all") != 0;
    (void)state;
    hsched_runtime *rt = queue_runtime_open(NULL, NULL);
    for (int p = 0; p < 2; p++)
        for (int i = 0; names[i] && !(slow && i > 0); i++) {
            hsched_graph *graph;
            queue_net net;
            queue_trial t;
            assert_ok(zoo_build(names[i], 1, &graph));
            queue_net_make(
                &net, rt, graph,
                &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT, .policy = both[p] });
            queue_trial_make(&t, &net, USER_TENSOR_PLAIN, USER_TENSOR_SHARED, 7);
            queue_trial_run(&t);
            queue_trial_free(&t);
            queue_net_free(&net);
        }
    queue_expect_no_restarts(rt);
    queue_runtime_close(rt);
}

/* Three sections, each with a matrix product; the second begins with a softmax. */
static hsched_graph *wide_network(void)
{
    hsched_graph *g;
    hsched_tensor x;
    assert_ok(hsched_graph_create("wide", &g));
    assert_ok(
        hsched_graph_add_input(g, "x", HSCHED_FLOAT32, 2, (int64_t[]){ 1, 1024 }, &x));
    for (uint32_t i = 0; i < 3; i++) {
        const int64_t weights[] = { i % 2 ? 1024 : 2048, i % 2 ? 2048 : 1024 };
        if (i == 1)
            assert_ok(hsched_graph_add_softmax(g, "softmax", x, 1, &x));
        assert_ok(hsched_graph_add_fully_connected(
            g, NULL, x, constant(g, 2, weights, 0.1f, i), HSCHED_NO_TENSOR, &x));
    }
    assert_ok(hsched_graph_add_output(g, x));
    return g;
}

/* What the device cannot execute the CPU does, in the middle of a run: a section. */
static void unsupported_sections_cross(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 4; seed++) {
        hsched_runtime *rt = queue_runtime_open(
            &(queue_device_script){ .seed = seed / 2,
                                    .unsupported = 1u << HSCHED_STEP_SOFTMAX },
            NULL);
        queue_net net;
        queue_net_make(&net, rt, wide_network(),
                       &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                               .policy = all_there[seed % 2] });
        for (int kind = 0; kind < USER_TENSOR_KEPT; kind++) {
            queue_trial t;
            const hsched_runtime_stats before = queue_runtime_stats(rt);
            const uint64_t jobs = queue_device_stats(rt).jobs;
            queue_trial_make(&t, &net, (user_tensor_kind)kind, (user_tensor_kind)kind, 1);
            queue_trial_run(&t);
            assert_int_equal(queue_runtime_stats(rt).crossings - before.crossings, 2);
            assert_int_equal(queue_device_stats(rt).jobs - jobs, 2);
            queue_trial_free(&t);
        }
        queue_expect_no_restarts(rt);
        queue_net_free(&net);
        queue_runtime_close(rt);
    }
}

/* Small models are one section, but for the steps that the device cannot take. */
static void an_unsupported_step_has_a_section(void **state)
{
    (void)state;
    hsched_runtime *rt = queue_runtime_open(
        &(queue_device_script){ .unsupported = 1u << HSCHED_STEP_SOFTMAX }, NULL);
    queue_net net;
    queue_net_tiny(&net, rt, HSCHED_POLICY_GPU_ONLY);
    queue_try_all_memory(&net);
    queue_expect_no_restarts(rt);
    assert_true(queue_device_stats(rt).jobs > 0);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

/* x's halves a, b as a * t - b * t and a * t + b * t. */
static hsched_graph *rotation(void)
{
    hsched_graph *g;
    hsched_tensor x, t, half[2], with[4], y[2];
    assert_ok(hsched_graph_create("rotation", &g));
    assert_ok(
        hsched_graph_add_input(g, "x", HSCHED_FLOAT32, 3, (int64_t[]){ 2, 5, 8 }, &x));
    t = constant(g, 2, (int64_t[]){ 5, 4 }, 0.3f, 1);
    assert_ok(hsched_graph_add_split(g, NULL, x, -1, 2, NULL, half));
    for (int i = 0; i < 4; i++)
        assert_ok(hsched_graph_add_binary(g, NULL, HSCHED_BINARY_MUL, half[i % 2], t,
                                          &with[i]));
    assert_ok(
        hsched_graph_add_binary(g, NULL, HSCHED_BINARY_SUB, with[0], with[1], &y[0]));
    assert_ok(
        hsched_graph_add_binary(g, NULL, HSCHED_BINARY_ADD, with[2], with[3], &y[1]));
    assert_ok(hsched_graph_add_concat(g, "y", y, 2, -1, &x));
    assert_ok(hsched_graph_add_output(g, x));
    return g;
}

/* A device that lacks a step which fusing makes gets what it was made of. */
static void rotations_stay_formulas_for_who_has_none(void **state)
{
    (void)state;
    for (int lacks = 0; lacks < 2; lacks++) {
        hsched_runtime *rt = queue_runtime_open(
            &(queue_device_script){ .unsupported =
                                        lacks ? UINT64_C(1) << HSCHED_STEP_ROTARY : 0 },
            NULL);
        hsched_graph *g = rotation();
        hsched_model *model;
        hsched_step_info info = { HSCHED_STEP_INFO_INIT };
        assert_ok(hsched_model_compile(
            rt, g,
            &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                    .policy = HSCHED_POLICY_GPU_ONLY },
            &model));
        assert_int_equal(hsched_model_step_count(model), lacks ? 6 : 1);
        assert_ok(hsched_model_step_info(model, 0, &info));
        assert_string_equal(info.kind, lacks ? "binary" : "rotary");
        assert_int_equal(info.device, QUEUE_DEVICE);
        hsched_model_release(model);
        hsched_graph_destroy(g);
        queue_runtime_close(rt);
    }
}

static const hsched_runtime_config two_devices = { HSCHED_RUNTIME_CONFIG_INIT,
                                                   .gpus = (const int[]){ 0, 1 },
                                                   .gpu_count = 2 };

/* A run begins on the device with the smaller backlog, and stays there. Half of them find their
 * memory on the other device: it is copied. */
static void share_runs(user_tensor_kind kind)
{
    enum {
        RUNS = 8
    };
    hsched_runtime *rt =
        queue_runtime_open(&(queue_device_script){ .devices = 2 }, &two_devices);
    queue_net net;
    queue_trial trials[RUNS];
    queue_net_make(&net, rt, tiny_network(8, 1),
                   &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT, .max_batch = 1 });
    queue_trials_make(trials, RUNS, &net, kind, kind);
    queue_device_close_gate(QUEUE_GATE_JOBS);
    for (uint32_t i = 0; i < RUNS; i++)
        queue_trial_submit(&trials[i]);
    queue_device_open_gate(QUEUE_GATE_JOBS);
    queue_trials_finish(trials, RUNS);
    queue_device_job job;
    uint32_t jobs[2] = { 0 };
    for (uint64_t k = 0; queue_device_get_job(k, &job); k++)
        jobs[job.device]++;
    assert_int_equal(jobs[0], RUNS / 2);
    assert_int_equal(jobs[1], RUNS / 2);
    queue_expect_no_restarts(rt);
    queue_trials_free(trials, RUNS);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

static void two_devices_share_the_runs(void **state)
{
    (void)state;
    share_runs(USER_TENSOR_PLAIN);
    share_runs(USER_TENSOR_SHARED);
    share_runs(USER_TENSOR_ON_DEVICE);
}

/* Joined runs, and runs that cross, on two devices, some in one's memory and some in none's. */
static void two_devices_use_all_memory(void **state)
{
    enum {
        RUNS = 20
    };
    (void)state;
    for (int i = 0; i < 4; i++) {
        const int crosses = i / 2;
        hsched_runtime *rt = queue_runtime_open(
            &(queue_device_script){ .seed = 1,
                                    .devices = 2,
                                    .ready = 8,
                                    .unsupported =
                                        crosses ? 1u << HSCHED_STEP_SOFTMAX : 0 },
            &two_devices);
        queue_net net;
        queue_trial trials[RUNS];
        queue_net_make(&net, rt, crosses ? wide_network() : tiny_network(8, 1),
                       &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                               .policy = all_there[i % 2] });
        for (uint32_t k = 0; k < RUNS; k++)
            queue_trial_make(&trials[k], &net, (user_tensor_kind)(k % USER_TENSOR_KEPT),
                             (user_tensor_kind)(k % USER_TENSOR_KINDS), k);
        for (int round = 0; round < 2; round++) {
            for (uint32_t k = 0; k < RUNS; k++)
                queue_trial_submit(&trials[k]);
            queue_trials_finish(trials, RUNS);
        }
        queue_expect_no_restarts(rt);
        assert_int_equal(queue_runtime_stats(rt).crossings, crosses ? 4 * RUNS : 0);
        queue_trials_free(trials, RUNS);
        queue_net_free(&net);
        queue_runtime_close(rt);
    }
}

/* ---- Outputs of several devices ---------------------------------------------------- */

/* x -> sigmoid (output) -> convolution (output) -> negation (output if `third`). With
 * layer_type the CPU does the first, the device the second, and the CPU the third. */
static hsched_graph *chain(int third)
{
    hsched_graph *g;
    hsched_tensor x, a, b, c;
    assert_ok(hsched_graph_create("chain", &g));
    assert_ok(
        hsched_graph_add_input(g, "x", HSCHED_FLOAT32, 4, (int64_t[]){ 1, 4, 6, 6 }, &x));
    assert_ok(hsched_graph_add_activation(
        g, "a", x, (hsched_activation){ .kind = HSCHED_ACTIVATION_SIGMOID }, &a));
    assert_ok(hsched_graph_add_conv2d(g, "b", a,
                                      constant(g, 4, (int64_t[]){ 4, 4, 1, 1 }, 0.3f, 1),
                                      HSCHED_NO_TENSOR, NULL, &b));
    assert_ok(hsched_graph_add_output(g, a));
    assert_ok(hsched_graph_add_output(g, b));
    if (third) {
        assert_ok(hsched_graph_add_activation(
            g, "c", b, (hsched_activation){ .kind = HSCHED_ACTIVATION_NEG }, &c));
        assert_ok(hsched_graph_add_output(g, c));
    }
    return g;
}

static uint32_t device_of_last_step(const hsched_model *model)
{
    hsched_step_info info = { HSCHED_STEP_INFO_INIT };
    assert_ok(hsched_model_step_info(model, hsched_model_step_count(model) - 1, &info));
    return info.device;
}

/* Whoever does the last job of a run brings the outputs that lie in the device's memory there,
 * also those that others have made. */
static void the_last_job_brings_all_outputs(void **state)
{
    (void)state;
    for (int third = 0; third < 2; third++) {
        hsched_runtime *rt = queue_runtime_open(NULL, NULL);
        queue_net net;
        /* Channels-last: no step is needed behind the convolution, which would be the CPU's. */
        queue_net_make(&net, rt, chain(third),
                       &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                               .policy = HSCHED_POLICY_LAYER_TYPE,
                                               .output_layout = HSCHED_LAYOUT_NHWC });
        assert_int_equal(device_of_last_step(net.model), third ? 0 : QUEUE_DEVICE);
        queue_try_all_memory(&net);
        queue_expect_no_restarts(rt);
        assert_true(queue_runtime_stats(rt).crossings > 0);
        queue_net_free(&net);
        queue_runtime_close(rt);
    }
}

/* ---- Runs that read other runs' outputs --------------------------------------------- */

/* b reads a's output in place; a's is on the device, and was in a's shadow if it crossed. */
static void chain_runs(hsched_policy first, hsched_policy second, user_tensor_kind kind)
{
    hsched_runtime *rt = queue_runtime_open(NULL, NULL);
    queue_net a, b;
    queue_trial t;
    queue_net_make(&a, rt, chain(0),
                   &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT, .policy = first });
    queue_net_make(&b, rt, chain(1),
                   &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT, .policy = second });
    queue_trial_make(&t, &a, USER_TENSOR_ON_DEVICE, kind, 5);
    float want[3][4 * 6 * 6], got[3][4 * 6 * 6];
    hsched_binding in = HSCHED_DATA(t.want[1], sizeof want[0]), outs[3], wants[3];
    for (int i = 0; i < 3; i++) {
        outs[i] = (hsched_binding)HSCHED_DATA(got[i], sizeof got[i]);
        wants[i] = (hsched_binding)HSCHED_DATA(want[i], sizeof want[i]);
    }
    assert_ok(hsched_infer(b.reference, &in, 1, wants, 3));
    for (int round = 0; round < 3; round++) {
        hsched_run *run;
        memset(got, 0xff, sizeof got);
        queue_device_close_gate(QUEUE_GATE_JOBS);
        queue_trial_submit(&t);
        in = (hsched_binding)HSCHED_RUN_OUTPUT(t.run, 1);
        assert_ok(hsched_submit(b.model,
                                &(hsched_run_config){ HSCHED_RUN_CONFIG_INIT,
                                                      .inputs = &in, .outputs = outs },
                                &run));
        queue_device_open_gate(QUEUE_GATE_JOBS);
        assert_ok(hsched_run_wait(run, HSCHED_FOREVER));
        assert_memory_equal(got, want, sizeof want);
        hsched_run_release(run);
        queue_trial_finish(&t);
    }
    queue_expect_no_restarts(rt);
    queue_trial_free(&t);
    queue_net_free(&a);
    queue_net_free(&b);
    queue_runtime_close(rt);
}

static void runs_read_other_runs_outputs(void **state)
{
    (void)state;
    for (int kind = 0; kind < USER_TENSOR_KINDS; kind++)
        for (int first = 0; first < 2; first++)
            for (int second = 0; second < 2; second++)
                chain_runs(both[first], both[second], (user_tensor_kind)kind);
}

/* ---- Memory ------------------------------------------------------------------------- */

/* Plain memory is staged, other memory is used where it is. */
static void only_plain_memory_is_staged(void **state)
{
    (void)state;
    hsched_runtime *rt = queue_runtime_open(NULL, NULL);
    queue_net net;
    queue_net_tiny(&net, rt, HSCHED_POLICY_GPU_ONLY);
    for (int kind = 0; kind < USER_TENSOR_KEPT; kind++) {
        queue_trial t;
        const uint64_t before = queue_device_stats(rt).staged_bytes;
        queue_trial_make(&t, &net, (user_tensor_kind)kind, (user_tensor_kind)kind, 1);
        queue_trial_run(&t);
        assert_int_equal(
            queue_device_stats(rt).staged_bytes - before,
            kind == USER_TENSOR_PLAIN ? net.in[0].byte_size + net.out[0].byte_size : 0);
        queue_trial_free(&t);
    }
    queue_net_free(&net);
    queue_runtime_close(rt);
}

/* Memory that cannot be registered is wrapped all the same, and staged. */
static void memory_that_cannot_be_registered_is_staged(void **state)
{
    (void)state;
    for (int p = 0; p < 2; p++) {
        hsched_runtime *rt =
            queue_runtime_open(&(queue_device_script){ .never_registers = 1 }, NULL);
        queue_net net;
        queue_trial t;
        queue_net_tiny(&net, rt, both[p]);
        queue_trial_make(&t, &net, USER_TENSOR_WRAPPED, USER_TENSOR_WRAPPED, 1);
        for (int round = 0; round < 3; round++)
            queue_trial_run(&t);
        queue_expect_no_restarts(rt);
        if (p == 0)
            assert_int_equal(queue_device_stats(rt).staged_bytes,
                             3 * (net.in[0].byte_size + net.out[0].byte_size));
        queue_trial_free(&t);
        queue_net_free(&net);
        queue_runtime_close(rt);
    }
}

/* A page that is registered already: the second buffer is staged, the first is not. */
static void two_buffers_in_one_page(void **state)
{
    (void)state;
    queue_single s;
    hsched_buffer *first, *second;
    queue_single_open(&s, HSCHED_POLICY_GPU_ONLY, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN);
    const size_t in_bytes = s.net.in[0].byte_size, out_bytes = s.net.out[0].byte_size;
    char *page = aligned_alloc(4096, 4096);
    assert_non_null(page);
    assert_true(in_bytes + out_bytes <= 4096);
    memcpy(page, s.trial.given[0], in_bytes);
    assert_ok(hsched_buffer_wrap(s.runtime, page, in_bytes, NULL, NULL, &first));
    assert_ok(
        hsched_buffer_wrap(s.runtime, page + in_bytes, out_bytes, NULL, NULL, &second));
    hsched_binding in = HSCHED_BUFFER(first), out = HSCHED_BUFFER(second);
    assert_ok(hsched_infer(s.net.model, &in, 1, &out, 1));
    assert_memory_equal(page + in_bytes, s.trial.want[0], out_bytes);
    assert_int_equal(queue_device_stats(s.runtime).staged_bytes, out_bytes);
    hsched_buffer_release(first);
    hsched_buffer_release(second);
    free(page);
    queue_single_close(&s);
}

static void count_release(void *user, void *data)
{
    (void)data;
    ++*(int *)user;
}

/* hsched_buffer_wrap_on: a piece of another buffer's memory. Neither is the CPU's. */
static void memory_of_the_device_is_wrapped(void **state)
{
    (void)state;
    queue_single s;
    hsched_buffer *whole, *piece;
    void *data;
    int released = 0;
    queue_single_open(&s, HSCHED_POLICY_LAYER_TYPE, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN);
    assert_ok(hsched_buffer_create_on(s.runtime, QUEUE_DEVICE, 4096, &whole));
    const uint64_t address = hsched_buffer_device_address(whole) + 100;
    assert_ok(hsched_buffer_wrap_on(s.runtime, QUEUE_DEVICE, address,
                                    s.net.in[0].byte_size, count_release, &released,
                                    &piece));
    assert_fails(hsched_buffer_map(piece, &data), HSCHED_ERROR_UNSUPPORTED, "device");
    queue_device_write(address, s.trial.given[0], s.net.in[0].byte_size);
    hsched_binding in = HSCHED_BUFFER(piece),
                   out = HSCHED_DATA(s.trial.out[0].data, s.trial.out[0].bytes);
    assert_ok(hsched_infer(s.net.model, &in, 1, &out, 1));
    assert_memory_equal(s.trial.out[0].data, s.trial.want[0], s.trial.out[0].bytes);
    hsched_buffer_release(piece);
    assert_int_equal(released, 1);
    hsched_buffer_release(whole);
    queue_single_close(&s);
}

static void outputs_on_the_device_are_not_the_cpus(void **state)
{
    (void)state;
    queue_single s;
    const void *data;
    queue_single_open(&s, HSCHED_POLICY_LAYER_TYPE, USER_TENSOR_PLAIN,
                      USER_TENSOR_ON_DEVICE);
    queue_trial_submit(&s.trial);
    assert_ok(hsched_run_wait(s.trial.run, HSCHED_FOREVER));
    assert_fails(hsched_run_output(s.trial.run, 0, &data, NULL), HSCHED_ERROR_UNSUPPORTED,
                 "device");
    queue_trial_finish(&s.trial);
    queue_single_close(&s);
}

/* Warm runs call neither the heap nor take memory of the device's, in whatever memory. */
static void nothing_is_taken_once_warm(void **state)
{
    (void)state;
    for (int p = 0; p < 2; p++) {
        hsched_runtime *rt = queue_runtime_open(NULL, NULL);
        queue_net net;
        queue_trial trials[USER_TENSOR_KINDS];
        queue_net_tiny(&net, rt, both[p]);
        for (int k = 0; k < USER_TENSOR_KINDS; k++)
            queue_trial_make(&trials[k], &net,
                             k == USER_TENSOR_KEPT ? USER_TENSOR_PLAIN
                                                   : (user_tensor_kind)k,
                             (user_tensor_kind)k, (uint64_t)k);
        for (int round = 0; round < 5; round++)
            for (int k = 0; k < USER_TENSOR_KINDS; k++)
                queue_trial_run(&trials[k]);
        assert_ok(hsched_runtime_settle(rt));
        const uint64_t heap = queue_runtime_stats(rt).allocations,
                       device = queue_device_stats(rt).allocations;
        for (int round = 0; round < 20; round++)
            for (int k = 0; k < USER_TENSOR_KINDS; k++)
                queue_trial_run(&trials[k]);
        assert_int_equal(queue_runtime_stats(rt).allocations, heap);
        assert_int_equal(queue_device_stats(rt).allocations, device);
        for (int k = 0; k < USER_TENSOR_KINDS; k++)
            queue_trial_free(&trials[k]);
        queue_net_free(&net);
        queue_runtime_close(rt);
    }
}

/* ---- Events ---------------------------------------------------------------------------- */

/* The input comes late: it is nonsense until the user's event. `kind`: where it lies. */
static void wait_for_input(hsched_policy policy, hsched_graph *graph,
                           user_tensor_kind kind)
{
    hsched_runtime *rt = queue_runtime_open(NULL, NULL);
    queue_net net;
    queue_trial t;
    queue_net_make(&net, rt, graph,
                   &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT, .policy = policy });
    queue_trial_make(&t, &net, kind, USER_TENSOR_ON_DEVICE, 1);
    void *nonsense = malloc(t.in[0].bytes);
    assert_non_null(nonsense);
    memset(nonsense, 0xff, t.in[0].bytes);
    for (int round = 0; round < 3; round++) {
        const uint64_t waits = queue_device_count(QUEUE_COUNT_WAITS),
                       started = queue_device_count(QUEUE_COUNT_STARTED);
        queue_event *event = queue_event_create();
        assert_non_null(event);
        t.wait_event = event;
        user_tensor_put(&t.in[0], nonsense);
        queue_trial_submit(&t);
        if (policy == HSCHED_POLICY_LAYER_TYPE)
            queue_device_await(QUEUE_COUNT_WAITS, waits + 1);
        else
            queue_device_await(QUEUE_COUNT_STARTED, started + 1);
        assert_int_equal(hsched_run_poll(t.run), 0);
        user_tensor_put(&t.in[0], t.given[0]);
        queue_event_set(event);
        queue_trial_finish(&t);
        queue_event_destroy(event);
    }
    free(nonsense);
    queue_expect_no_restarts(rt);
    queue_trial_free(&t);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

static void inputs_are_read_after_the_users_event(void **state)
{
    static const user_tensor_kind kinds[] = { USER_TENSOR_SHARED, USER_TENSOR_WRAPPED,
                                              USER_TENSOR_ON_DEVICE };
    (void)state;
    for (int k = 0; k < 3; k++) {
        wait_for_input(HSCHED_POLICY_GPU_ONLY, tiny_network(8, 1), kinds[k]);
        wait_for_input(HSCHED_POLICY_LAYER_TYPE, chain(0), kinds[k]);
        wait_for_input(HSCHED_POLICY_LAYER_TYPE, chain(1), kinds[k]);
    }
}

static void a_runs_event_marks_its_end(void **state)
{
    (void)state;
    queue_single s;
    void *event;
    queue_single_open(&s, HSCHED_POLICY_GPU_ONLY, USER_TENSOR_ON_DEVICE,
                      USER_TENSOR_ON_DEVICE);
    for (int round = 0; round < 3; round++) {
        queue_device_close_gate(QUEUE_GATE_JOBS);
        queue_trial_submit(&s.trial);
        assert_ok(hsched_run_get_event(s.trial.run, &event));
        assert_int_equal(queue_event_is_set(event), 0);
        queue_device_open_gate(QUEUE_GATE_JOBS);
        queue_event_await(event);
        float got[10];
        user_tensor_get(&s.trial.out[0], s.trial.run, 0, got);
        assert_memory_equal(got, s.trial.want[0], sizeof got);
        queue_trial_finish(&s.trial);
    }
    queue_single_close(&s);
}

static void a_run_that_crosses_has_no_event(void **state)
{
    (void)state;
    queue_single s;
    void *event;
    queue_single_open(&s, HSCHED_POLICY_LAYER_TYPE, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN);
    queue_trial_submit(&s.trial);
    assert_fails(hsched_run_get_event(s.trial.run, &event), HSCHED_ERROR_UNSUPPORTED,
                 "CPU");
    queue_trial_finish(&s.trial);
    queue_single_close(&s);
}

/* ---- Who attends ------------------------------------------------------------------ */

/* Jobs of the model are expected to take so long that nobody looks for their ends by himself. */
static void expect_long_jobs(const queue_net *net)
{
    hsi_exec_model *exec = &net->model->exec;
    pthread_mutex_lock(&net->runtime->pool->lock);
    for (uint32_t i = 0; i < exec->expectations * exec->device_count; i++)
        exec->expected_us[i] = 1e9f;
    pthread_mutex_unlock(&net->runtime->pool->lock);
}

static void set_event(void *event, hsched_run *run, hsched_status status)
{
    (void)run;
    (void)status;
    queue_event_set(event);
}

/* The machine slept, or the device was busy with something else: a job took long, and the next one
 * is expected to. It is noticed all the same when it ends earlier, by whomever: here nobody
 * waits in hsched_run_wait. */
static void wrong_expectations_are_noticed(void **state)
{
    (void)state;
    hsched_runtime *rt = queue_runtime_open(NULL, NULL);
    for (int p = 0; p < 2; p++) {
        queue_net net;
        queue_trial t;
        queue_event *event = queue_event_create();
        assert_non_null(event);
        queue_net_tiny(&net, rt, both[p]);
        queue_trial_make(&t, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 1);
        expect_long_jobs(&net);
        t.callback = set_event;
        t.callback_user = event;
        queue_trial_submit(&t);
        queue_event_await(event);
        queue_trial_finish(&t);
        queue_event_destroy(event);
        queue_trial_free(&t);
        queue_net_free(&net);
    }
    queue_runtime_close(rt);
}

static void *try_to_submit(void *trial)
{
    return (void *)(intptr_t)queue_trial_try(trial);
}

/* The first to the first device, the second therefore to the other one, the third to the first
 * again; both devices take theirs at the same time. */
static void submit_nearly_at_once(queue_trial *first, queue_trial *second,
                                  queue_trial *third)
{
    pthread_t threads[2];
    void *status;
    queue_trial_submit(first);
    queue_device_close_gate(QUEUE_GATE_SUBMIT);
    for (int i = 0; i < 2; i++) {
        const uint64_t before = queue_device_count(QUEUE_COUNT_SUBMITS);
        assert_int_equal(
            pthread_create(&threads[i], NULL, try_to_submit, i ? third : second), 0);
        queue_device_await(QUEUE_COUNT_SUBMITS, before + 1);
    }
    queue_device_open_gate(QUEUE_GATE_SUBMIT);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], &status);
        assert_null(status);
    }
}

/* The only worker is woken to attend to the second device, and finds that the first one could use
 * him as well. He attends to one of them; the run on the other must not be left alone. */
static void no_device_waits_for_a_worker_who_is_with_another(void **state)
{
    enum {
        ROUNDS = 20
    };
    (void)state;
    hsched_runtime_config config = two_devices;
    config.cpu_workers = 1;
    hsched_runtime *rt = queue_runtime_open(
        &(queue_device_script){ .devices = 2, .unsupported = 1u << HSCHED_STEP_SOFTMAX },
        &config);
    queue_net whole, crossing;
    queue_trial busy, blocked, free_to_go;
    queue_net_make(&whole, rt, chain(0), NULL);
    queue_net_make(&crossing, rt, wide_network(), NULL);
    queue_trial_make(&busy, &whole, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 1);
    queue_trial_make(&blocked, &crossing, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 2);
    queue_trial_make(&free_to_go, &crossing, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 3);
    for (int round = 0; round < ROUNDS; round++) {
        queue_event *event = queue_event_create();
        assert_non_null(event);
        busy.wait_event = blocked.wait_event = event;
        expect_long_jobs(&whole);
        expect_long_jobs(&crossing);
        submit_nearly_at_once(&busy, &free_to_go, &blocked);
        assert_ok(hsched_run_wait(free_to_go.run, 10000000));
        queue_event_set(event);
        queue_trial_finish(&free_to_go);
        queue_trial_finish(&busy);
        queue_trial_finish(&blocked);
        queue_event_destroy(event);
    }
    queue_expect_no_restarts(rt);
    queue_trial_free(&busy);
    queue_trial_free(&blocked);
    queue_trial_free(&free_to_go);
    queue_net_free(&whole);
    queue_net_free(&crossing);
    queue_runtime_close(rt);
}

/* ---- Many threads -------------------------------------------------------------------------- */

enum {
    THREADS = 6,
    RUNS_OF_THREAD = 30
};

static void *infer_often(void *argument)
{
    queue_trial *t = argument;
    intptr_t wrong = 0;
    hsched_binding in = user_tensor_binding(&t->in[0]),
                   out = user_tensor_binding(&t->out[0]);
    for (int i = 0; i < RUNS_OF_THREAD; i++) {
        memset(t->out[0].data, 0xff, t->out[0].bytes);
        wrong += hsched_infer(t->net->model, &in, 1, &out, 1) != HSCHED_OK ||
                 memcmp(t->out[0].data, t->want[0], t->out[0].bytes) != 0;
    }
    return (void *)wrong;
}

static void many_threads_infer(void **state)
{
    (void)state;
    hsched_runtime *rt = queue_runtime_open(
        &(queue_device_script){ .seed = 3 },
        &(hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .gpu_streams = 2 });
    queue_net nets[2];
    queue_trial trials[THREADS];
    pthread_t threads[THREADS];
    for (int p = 0; p < 2; p++)
        queue_net_tiny(&nets[p], rt, both[p]);
    for (int i = 0; i < THREADS; i++)
        queue_trial_make(&trials[i], &nets[i % 2], (user_tensor_kind)(i % 3),
                         (user_tensor_kind)(i % 3), (uint64_t)i);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, infer_often, &trials[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    queue_expect_no_restarts(rt);
    queue_trials_free(trials, THREADS);
    for (int p = 0; p < 2; p++)
        queue_net_free(&nets[p]);
    queue_runtime_close(rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_memory_gives_the_cpus_bits),
        cmocka_unit_test(networks_give_the_cpus_bits),
        cmocka_unit_test(steps_are_jobs_of_their_own_if_asked_for),
        cmocka_unit_test(unsupported_sections_cross),
        cmocka_unit_test(an_unsupported_step_has_a_section),
        cmocka_unit_test(rotations_stay_formulas_for_who_has_none),
        cmocka_unit_test(two_devices_share_the_runs),
        cmocka_unit_test(two_devices_use_all_memory),
        cmocka_unit_test(the_last_job_brings_all_outputs),
        cmocka_unit_test(runs_read_other_runs_outputs),
        cmocka_unit_test(only_plain_memory_is_staged),
        cmocka_unit_test(memory_that_cannot_be_registered_is_staged),
        cmocka_unit_test(two_buffers_in_one_page),
        cmocka_unit_test(memory_of_the_device_is_wrapped),
        cmocka_unit_test(outputs_on_the_device_are_not_the_cpus),
        cmocka_unit_test(nothing_is_taken_once_warm),
        cmocka_unit_test(inputs_are_read_after_the_users_event),
        cmocka_unit_test(a_runs_event_marks_its_end),
        cmocka_unit_test(a_run_that_crosses_has_no_event),
        cmocka_unit_test(wrong_expectations_are_noticed),
        cmocka_unit_test(no_device_waits_for_a_worker_who_is_with_another),
        cmocka_unit_test(many_threads_infer),
    };
    if (getenv("HSCHED_TEST_FILTER"))
        cmocka_set_test_filter(getenv("HSCHED_TEST_FILTER"));
    return cmocka_run_group_tests_name("a device with a queue", tests, NULL, NULL);
}
