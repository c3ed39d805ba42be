/* The runtime through the public API: what models are given and give back, and configs. */
#include "common/runtime_fixture.h"

#include <dirent.h>
#include <math.h>

#include <hsched/experimental.h>

static void infer_agrees_with_reference(void **state)
{
    fixture *f = *state;
    float y[TINY_OUTPUT], expected[TINY_OUTPUT], sum = 0;
    memset(y, 0xff, sizeof y);
    hsched_binding in = HSCHED_DATA(f->x, sizeof f->x), out = HSCHED_DATA(y, sizeof y);
    assert_ok(hsched_infer(f->model, &in, 1, &out, 1));
    tiny_expected(expected);
    assert_close(y, expected, TINY_OUTPUT);
    for (int i = 0; i < TINY_OUTPUT; i++)
        sum += y[i];
    assert_true(fabsf(sum - 1) < 1e-5f); /* a softmax, so the test cannot pass on zeros */
}

/* How often the threads of CPU workers have gone to sleep. */
static long sleeps_of_workers(void)
{
    char path[300], name[32], line[128];
    long all = 0, sleeps, workers = 0;
    DIR *threads = opendir("/proc/self/task");
    assert_non_null(threads);
    for (struct dirent *entry; (entry = readdir(threads)) != NULL;) {
        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        FILE *file = fopen(path, "r");
        name[0] = '\0';
        while (file && fgets(line, sizeof line, file)) {
            sscanf(line, "Name: %31s", name);
            if (strncmp(name, "hsched-0.", 9) != 0 ||
                sscanf(line, "voluntary_ctxt_switches: %ld", &sleeps) != 1)
                continue;
            all += sleeps;
            workers++;
        }
        if (file)
            fclose(file);
    }
    closedir(threads);
    assert_int_equal(workers, 2);
    return all;
}

static void who_waits_executes(void **state)
{
    fixture *f = *state;
    float y[TINY_OUTPUT], expected[TINY_OUTPUT];
    hsched_binding in = HSCHED_DATA(f->x, sizeof f->x), out = HSCHED_DATA(y, sizeof y);
    hsched_device_stats before = { HSCHED_DEVICE_STATS_INIT }, after = before;
    assert_ok(hsched_infer(f->model, &in, 1, &out, 1));
    tiny_expected(expected);
    hsched_runtime *rt = f->rt;
    assert_ok(hsched_runtime_get_device_stats(rt, 0, &before));
    const long sleeps = sleeps_of_workers();
    for (int i = 0; i < 100; i++) {
        memset(y, 0xff, sizeof y);
        assert_ok(hsched_infer(f->model, &in, 1, &out, 1));
        assert_close(y, expected, TINY_OUTPUT);
    }
    /* A worker that has just started may still go to sleep; one that was woken each time would have
     * done so a hundred times. */
    assert_true(sleeps_of_workers() - sleeps < 50);
    assert_ok(hsched_runtime_get_device_stats(rt, 0, &after));
    assert_true(after.jobs >= before.jobs + 100);
}

static void outputs_that_are_not_bound_are_kept(void **state)
{
    fixture *f = *state;
    float y[TINY_OUTPUT];
    hsched_binding in = HSCHED_DATA(f->x, sizeof f->x), out = HSCHED_DATA(y, sizeof y);
    assert_ok(hsched_infer(f->model, &in, 1, &out, 1));
    hsched_run *run;
    hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in };
    assert_ok(hsched_submit(f->model, &config, &run));
    assert_ok(hsched_run_wait(run, HSCHED_FOREVER));
    assert_int_equal(hsched_run_poll(run), 1);
    const void *data;
    size_t size;
    assert_ok(hsched_run_output(run, 0, &data, &size));
    assert_int_equal(size, sizeof y);
    assert_memory_equal(data, y, sizeof y);
    assert_fails(hsched_run_output(run, 1, &data, &size), HSCHED_ERROR_NOT_FOUND, "tiny");
    hsched_run_times times = { HSCHED_RUN_TIMES_INIT };
    assert_ok(hsched_run_get_times(run, &times));
    assert_true(times.submitted_us > 0 && times.started_us >= times.submitted_us);
    assert_true(times.ended_us >= times.started_us && times.jobs >= 1);
    hsched_run_release(run);
}

static void buffers_are_used_in_place(void **state)
{
    fixture *f = *state;
    float y[TINY_OUTPUT];
    hsched_binding plain_in = HSCHED_DATA(f->x, sizeof f->x),
                   plain_out = HSCHED_DATA(y, sizeof y);
    assert_ok(hsched_infer(f->model, &plain_in, 1, &plain_out, 1));

    hsched_buffer *in_buffer, *out_buffer;
    static float wrapped[8 + TINY_OUTPUT];
    void *mapped;
    assert_ok(hsched_buffer_create(f->rt, 64 + sizeof f->x, &in_buffer));
    assert_ok(hsched_buffer_map(in_buffer, &mapped));
    assert_int_equal((uintptr_t)mapped % 64, 0);
    memcpy((char *)mapped + 64, f->x, sizeof f->x);
    assert_ok(
        hsched_buffer_wrap(f->rt, wrapped, sizeof wrapped, NULL, NULL, &out_buffer));
    hsched_binding in = { .buffer = in_buffer, .offset = 64 };
    hsched_binding out = { .buffer = out_buffer, .offset = 8 * sizeof(float) };
    assert_ok(hsched_infer(f->model, &in, 1, &out, 1));
    assert_memory_equal(wrapped + 8, y, sizeof y);
    for (int i = 0; i < 8; i++)
        assert_true(wrapped[i] == 0);

    in.offset = 128; /* too far */
    assert_fails(hsched_infer(f->model, &in, 1, &out, 1), HSCHED_ERROR_SHAPE,
                 "input 'x'");
    in.offset = 65; /* not aligned */
    assert_fails(hsched_infer(f->model, &in, 1, &out, 1), HSCHED_ERROR_SHAPE,
                 "input 'x'");
    in.offset = 62;
    assert_fails(hsched_infer(f->model, &in, 1, &out, 1), HSCHED_ERROR_INVALID_ARGUMENT,
                 "not aligned");
    hsched_buffer_release(in_buffer);
    hsched_buffer_release(out_buffer);
}

static void count_release(void *user, void *data)
{
    assert_non_null(data);
    ++*(int *)user;
}

static void wrapped_memory_is_released_once(void **state)
{
    fixture *f = *state;
    int released = 0;
    float memory[4];
    hsched_buffer *b;
    assert_ok(
        hsched_buffer_wrap(f->rt, memory, sizeof memory, count_release, &released, &b));
    assert_ptr_equal(hsched_buffer_retain(b), b);
    hsched_buffer_release(b);
    assert_int_equal(released, 0);
    hsched_buffer_release(b);
    assert_int_equal(released, 1);
}

static void bad_bindings_are_explained(void **state)
{
    fixture *f = *state;
    float y[TINY_OUTPUT];
    hsched_run *run;
    hsched_binding in = HSCHED_DATA(f->x, sizeof f->x), out = HSCHED_DATA(y, sizeof y);
    hsched_run_config config = { HSCHED_RUN_CONFIG_INIT };
    assert_fails(hsched_submit(f->model, &config, &run), HSCHED_ERROR_INVALID_ARGUMENT,
                 "inputs is NULL");
    assert_null(run);
    assert_fails(hsched_infer(f->model, &in, 2, &out, 1), HSCHED_ERROR_INVALID_ARGUMENT,
                 "1 input");
    in.size = 8;
    assert_fails(hsched_infer(f->model, &in, 1, &out, 1), HSCHED_ERROR_SHAPE,
                 "[1,3,16,16]");
    in = (hsched_binding){ 0 };
    assert_fails(hsched_infer(f->model, &in, 1, &out, 1), HSCHED_ERROR_INVALID_ARGUMENT,
                 "exactly one");
    in = (hsched_binding)HSCHED_DATA(f->x, sizeof f->x);
    config =
        (hsched_run_config){ HSCHED_RUN_CONFIG_INIT, .inputs = &in, .priority = 101 };
    assert_fails(hsched_submit(f->model, &config, &run), HSCHED_ERROR_INVALID_ARGUMENT,
                 "priority 101");
    config.struct_size = 3;
    assert_fails(hsched_submit(f->model, &config, &run), HSCHED_ERROR_INVALID_ARGUMENT,
                 "struct_size");
    /* A caller compiled against a newer header: fine as long as the new members are zero.
     */
    struct {
        hsched_run_config known;
        uint64_t newer;
    } larger = { { .struct_size = sizeof larger, .inputs = &in }, 0 };
    assert_ok(hsched_submit(f->model, &larger.known, &run));
    assert_ok(hsched_run_wait(run, HSCHED_FOREVER));
    hsched_run_release(run);
    larger.newer = 1;
    assert_fails(hsched_submit(f->model, &larger.known, &run), HSCHED_ERROR_UNSUPPORTED,
                 "newer libhsched");
}

/* y = x + h, h' = y: a network with a state. */
static hsched_model *accumulator(hsched_runtime *rt)
{
    hsched_graph *g;
    hsched_tensor x, h, y;
    hsched_model *model;
    assert_ok(hsched_graph_create("accumulator", &g));
    assert_ok(hsched_graph_add_input(g, "x", HSCHED_FLOAT32, 1, (int64_t[]){ 4 }, &x));
    assert_ok(hsched_graph_add_input(g, "h", HSCHED_FLOAT32, 1, (int64_t[]){ 4 }, &h));
    assert_ok(hsched_graph_add_binary(g, "y", HSCHED_BINARY_ADD, x, h, &y));
    assert_ok(hsched_graph_add_output(g, y));
    assert_ok(hsched_model_compile(rt, g, NULL, &model));
    hsched_graph_destroy(g);
    return model;
}

static void a_state_feeds_the_next_run(void **state)
{
    fixture *f = *state;
    hsched_model *model = accumulator(f->rt);
    enum {
        RUNS = 200
    };
    float x[4] = { 1, 2, 3, 4 }, zero[4] = { 0 };
    hsched_run *previous = NULL;
    for (int i = 0; i < RUNS; i++) {
        hsched_binding in[2] = { HSCHED_DATA(x, sizeof x),
                                 HSCHED_DATA(zero, sizeof zero) };
        if (previous)
            in[1] = (hsched_binding)HSCHED_RUN_OUTPUT(previous, 0);
        hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = in };
        hsched_run *run;
        assert_ok(hsched_submit(model, &config, &run));
        hsched_run_release(previous); /* the library keeps it as long as it is needed */
        previous = run;
    }
    assert_ok(hsched_run_wait(previous, HSCHED_FOREVER));
    const void *data;
    assert_ok(hsched_run_output(previous, 0, &data, NULL));
    for (int i = 0; i < 4; i++)
        assert_true(((const float *)data)[i] == (float)RUNS * x[i]);
    hsched_run_release(previous);
    hsched_model_release(model);
}

static void chained_shapes_must_agree(void **state)
{
    fixture *f = *state;
    hsched_model *model = accumulator(f->rt);
    hsched_binding in = HSCHED_DATA(f->x, sizeof f->x);
    hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in };
    hsched_run *run, *second;
    float x[4] = { 0 };
    assert_ok(hsched_submit(f->model, &config, &run));
    hsched_binding both[2] = { HSCHED_DATA(x, sizeof x), HSCHED_RUN_OUTPUT(run, 0) };
    config.inputs = both;
    assert_fails(hsched_submit(model, &config, &second), HSCHED_ERROR_SHAPE,
                 "must agree");
    assert_null(second);
    assert_ok(hsched_run_wait(run, HSCHED_FOREVER));
    hsched_run_release(run);
    hsched_model_release(model);
}

static void taps_show_inner_tensors(void **state)
{
    fixture *f = *state;
    hsched_model *tapped =
        tiny_model(f->rt, TINY_SIZE, TINY_SEED,
                   &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                           .taps = (const char *[]){ "relu1", "conv2" },
                                           .tap_count = 2 });
    assert_int_equal(hsched_model_output_count(tapped), 3);
    hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
    assert_ok(hsched_model_output_info(tapped, 1, &info));
    assert_string_equal(info.name, "relu1");
    assert_int_equal(info.byte_size, 16 * TINY_SIZE * TINY_SIZE * 4);
    float y[TINY_OUTPUT], same[TINY_OUTPUT];
    hsched_binding in = HSCHED_DATA(f->x, sizeof f->x), out = HSCHED_DATA(y, sizeof y);
    assert_ok(hsched_infer(f->model, &in, 1, &out, 1));
    hsched_binding outs[3] = { HSCHED_DATA(same, sizeof same) };
    hsched_run *run;
    hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in, .outputs = outs };
    assert_ok(hsched_submit(tapped, &config, &run));
    assert_ok(hsched_run_wait(run, HSCHED_FOREVER));
    assert_close(same, y, TINY_OUTPUT);
    const void *data;
    assert_ok(hsched_run_output(run, 1, &data, NULL));
    int positive = 0;
    for (int i = 0; i < 16 * TINY_SIZE * TINY_SIZE; i++) {
        assert_true(((const float *)data)[i] >= 0);
        positive += ((const float *)data)[i] > 0;
    }
    assert_true(positive > 16 * TINY_SIZE * TINY_SIZE / 10);
    hsched_run_release(run);
    hsched_model_release(tapped);
    hsched_graph *g = tiny_network(TINY_SIZE, TINY_SEED);
    hsched_model *none;
    hsched_model_config bad = { HSCHED_MODEL_CONFIG_INIT,
                                .taps = (const char *[]){ "nowhere" }, .tap_count = 1 };
    assert_fails(hsched_model_compile(f->rt, g, &bad, &none), HSCHED_ERROR_NOT_FOUND,
                 "nowhere");
    hsched_graph_destroy(g);
}

static void layouts_of_inputs_can_be_chosen(void **state)
{
    fixture *f = *state;
    hsched_model *nhwc =
        tiny_model(f->rt, TINY_SIZE, TINY_SEED,
                   &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                           .input_layout = HSCHED_LAYOUT_NHWC });
    float y[TINY_OUTPUT], same[TINY_OUTPUT], turned[TINY_INPUT];
    for (int c = 0; c < 3; c++)
        for (int p = 0; p < TINY_SIZE * TINY_SIZE; p++)
            turned[p * 3 + c] = f->x[c * TINY_SIZE * TINY_SIZE + p];
    hsched_binding in = HSCHED_DATA(f->x, sizeof f->x), out = HSCHED_DATA(y, sizeof y);
    assert_ok(hsched_infer(f->model, &in, 1, &out, 1));
    in = (hsched_binding)HSCHED_DATA(turned, sizeof turned);
    out = (hsched_binding)HSCHED_DATA(same, sizeof same);
    assert_ok(hsched_infer(nhwc, &in, 1, &out, 1));
    assert_memory_equal(same, y, sizeof y);
    hsched_model_release(nhwc);
}

static void warm_runs_do_not_allocate(void **state)
{
    fixture *f = *state;
    float y[TINY_OUTPUT];
    hsched_binding in = HSCHED_DATA(f->x, sizeof f->x), out = HSCHED_DATA(y, sizeof y);
    hsched_runtime_stats before = { HSCHED_RUNTIME_STATS_INIT }, after = before;
    for (int i = 0; i < 20; i++)
        assert_ok(hsched_infer(f->model, &in, 1, &out, 1));
    assert_ok(hsched_runtime_get_stats(f->rt, &before));
    for (int i = 0; i < 100; i++)
        assert_ok(hsched_infer(f->model, &in, 1, &out, 1));
    assert_ok(hsched_runtime_get_stats(f->rt, &after));
    assert_int_equal(after.allocations, before.allocations);
    assert_int_equal(after.runs_succeeded, before.runs_succeeded + 100);
}

static int ignore_check(void *user, const hsched_step_check *check)
{
    (void)user;
    (void)check;
    return 0;
}

static void verify_reads_no_more_bindings_than_given(void **state)
{
    fixture *f = *state;
    hsched_model_config config = { HSCHED_MODEL_CONFIG_INIT,
                                   .flags = HSCHED_MODEL_KEEP_CONSTANTS };
    hsched_graph *g;
    hsched_tensor a, b, y;
    hsched_model *model;
    assert_ok(hsched_graph_create("sum", &g));
    assert_ok(hsched_graph_add_input(g, "a", HSCHED_FLOAT32, 1,
                                     (int64_t[]){ TINY_OUTPUT }, &a));
    assert_ok(hsched_graph_add_input(g, "b", HSCHED_FLOAT32, 1,
                                     (int64_t[]){ TINY_OUTPUT }, &b));
    assert_ok(hsched_graph_add_binary(g, "y", HSCHED_BINARY_ADD, a, b, &y));
    assert_ok(hsched_graph_add_output(g, y));
    assert_ok(hsched_model_compile(f->rt, g, &config, &model));
    /* The second stands for whatever lies behind the caller's array. */
    hsched_binding in[] = { HSCHED_DATA(f->x, sizeof f->x),
                            { .run = (hsched_run *)(void *)f->x } };
    assert_fails(hsched_model_verify(model, in, 1, ignore_check, NULL),
                 HSCHED_ERROR_INVALID_ARGUMENT, "has 2 inputs, not 1");
    assert_fails(hsched_model_verify(model, in, 2, ignore_check, NULL),
                 HSCHED_ERROR_INVALID_ARGUMENT, "another run");
    hsched_model_release(model);
    hsched_graph_destroy(g);
}

typedef struct agreement {
    int steps;
    double error; /* the largest */
} agreement;

static int note_error(void *user, const hsched_step_check *check)
{
    agreement *seen = user;
    seen->steps++;
    seen->error = check->error > seen->error ? check->error : seen->error;
    return 0;
}

/* The square is written over what it is of, which it reads twice. */
static void verify_knows_steps_in_place(void **state)
{
    fixture *f = *state;
    hsched_model_config config = { HSCHED_MODEL_CONFIG_INIT,
                                   .flags = HSCHED_MODEL_KEEP_CONSTANTS };
    hsched_graph *g;
    hsched_tensor x, y;
    hsched_model *model;
    const float data[] = { 1, 2, 4, 8, 16, -1, 3, -5, 7, -9, 0, 1, 0, 2, 0 };
    hsched_binding in = HSCHED_DATA(data, sizeof data);
    agreement seen = { 0 };
    assert_ok(hsched_graph_create("variance", &g));
    assert_ok(hsched_graph_add_input(g, "x", HSCHED_FLOAT32, 2, (int64_t[]){ 3, 5 }, &x));
    assert_ok(hsched_graph_add_reduce_mean(g, "mean", x, 1, (int64_t[]){ 1 }, 1, &y));
    assert_ok(hsched_graph_add_binary(g, "centred", HSCHED_BINARY_SUB, x, y, &y));
    assert_ok(hsched_graph_add_binary(g, "square", HSCHED_BINARY_MUL, y, y, &y));
    assert_ok(hsched_graph_add_reduce_mean(g, "y", y, 1, (int64_t[]){ 1 }, 1, &y));
    assert_ok(hsched_graph_add_output(g, y));
    assert_ok(hsched_model_compile(f->rt, g, &config, &model));
    assert_ok(hsched_model_verify(model, &in, 1, note_error, &seen));
    assert_int_equal(seen.steps, 4);
    assert_true(seen.error < 1e-6);
    hsched_model_release(model);
    hsched_graph_destroy(g);
}

static void configs_are_checked(void **state)
{
    (void)state;
    hsched_runtime *rt;
    hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT,
                                     .policy = (hsched_policy)77 };
    assert_fails(hsched_runtime_create(&config, &rt), HSCHED_ERROR_INVALID_ARGUMENT,
                 "policy 77");
    assert_null(rt);
    config = (hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 100000 };
    assert_fails(hsched_runtime_create(&config, &rt), HSCHED_ERROR_INVALID_ARGUMENT,
                 "100000");
    config = (hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .cpu_count = 1 };
    assert_fails(hsched_runtime_create(&config, &rt), HSCHED_ERROR_INVALID_ARGUMENT,
                 "cpus");
    int none[] = { 1000 };
    config = (hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .cpus = none,
                                      .cpu_count = 1 };
    assert_fails(hsched_runtime_create(&config, &rt), HSCHED_ERROR_INVALID_ARGUMENT,
                 "CPU 1000");
    config = (hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT,
                                      .cpu_tuning = (hsched_cpu_tuning)3 };
    assert_fails(hsched_runtime_create(&config, &rt), HSCHED_ERROR_INVALID_ARGUMENT,
                 "cpu_tuning is 3");
    config = (hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .flags = 1u << 30 };
    assert_fails(hsched_runtime_create(&config, &rt), HSCHED_ERROR_INVALID_ARGUMENT,
                 "flags");
    hsched_runtime_destroy(NULL);
    hsched_model_release(NULL);
    hsched_run_release(NULL);
    hsched_buffer_release(NULL);
    hsched_graph_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(infer_agrees_with_reference, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_waits_executes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(outputs_that_are_not_bound_are_kept, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(buffers_are_used_in_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wrapped_memory_is_released_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(bad_bindings_are_explained, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_state_feeds_the_next_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(chained_shapes_must_agree, set_up, tear_down),
        cmocka_unit_test_setup_teardown(taps_show_inner_tensors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(layouts_of_inputs_can_be_chosen, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(warm_runs_do_not_allocate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(verify_reads_no_more_bindings_than_given, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(verify_knows_steps_in_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(configs_are_checked, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("runtime", tests, NULL, NULL);
}
