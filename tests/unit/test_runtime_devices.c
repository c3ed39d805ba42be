/* Devices of a runtime: workers that sleep, simulated accelerators, and what is lost with one. */
#include "common/runtime_fixture.h"

#include <dirent.h>
#include <sys/resource.h>
#include <time.h>

/* CPU time of the library's own threads, in ms; OpenBLAS starts one that polls for a
 * while. */
static double own_threads_ms(void)
{
    double total = 0;
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
        char path[300], name[32] = "";
        unsigned long long ns = 0;
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "r");
        if (!file || !fgets(name, sizeof name, file) || strncmp(name, "hsched-", 7) != 0)
            name[0] = '\0';
        if (file)
            fclose(file);
        snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", entry->d_name);
        file = name[0] ? fopen(path, "r") : NULL;
        if (file && fscanf(file, "%llu", &ns) == 1)
            total += (double)ns / 1e6;
        if (file)
            fclose(file);
    }
    closedir(tasks);
    return total;
}

static void idle_workers_sleep(void **state)
{
    fixture *f = *state;
    float y[TINY_OUTPUT];
    hsched_binding in = HSCHED_DATA(f->x, sizeof f->x), out = HSCHED_DATA(y, sizeof y);
    assert_ok(hsched_infer(f->model, &in, 1, &out, 1));
    struct timespec pause = { .tv_nsec = 300000000 };
    double before = own_threads_ms();
    if (before <= 0)
        skip();              /* a kernel without schedstat */
    nanosleep(&pause, NULL); /* the time that is measured, not a synchronisation */
    double used = own_threads_ms() - before;
    if (used > 3) /* 1% of a core: a polling worker would take 100% */
        fail_msg("an idle runtime used %.1f ms of 300", used);
}

/* Convolutions in a row, cut into several sections that make one job on an accelerator.
 */
static hsched_model *row_of_convolutions(hsched_runtime *rt,
                                         const hsched_model_config *config)
{
    hsched_graph *g;
    hsched_tensor t;
    hsched_conv2d_config same = { HSCHED_CONV2D_CONFIG_INIT, .pads = { 1, 1, 1, 1 } };
    assert_ok(hsched_graph_create("row", &g));
    assert_ok(hsched_graph_add_input(g, "x", HSCHED_FLOAT32, 4,
                                     (int64_t[]){ 1, 24, 24, 24 }, &t));
    for (uint32_t i = 0; i < 6; i++)
        assert_ok(hsched_graph_add_conv2d(
            g, NULL, t, constant(g, 4, (int64_t[]){ 24, 24, 3, 3 }, 0.1f, i + 1),
            HSCHED_NO_TENSOR, &same, &t));
    assert_ok(hsched_graph_add_global_pool(g, "y", HSCHED_POOL_AVERAGE, t, &t));
    assert_ok(hsched_graph_add_output(g, t));
    hsched_model *model;
    assert_ok(hsched_model_compile(rt, g, config, &model));
    hsched_graph_destroy(g);
    return model;
}

/* One worker executes a chain; the other one has nothing to do and sleeps on. */
static void chains_of_sections_wake_nobody(void **state)
{
    enum {
        RUNS = 100
    };
    (void)state;
    static float x[24 * 24 * 24];
    float y[24];
    hsched_binding in = HSCHED_DATA(x, sizeof x), out = HSCHED_DATA(y, sizeof y);
    hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 2 };
    hsched_model_config whole = { HSCHED_MODEL_CONFIG_INIT, .max_parts = 1 };
    hsched_runtime *rt;
    assert_ok(hsched_runtime_create(&config, &rt));
    hsched_model *model = row_of_convolutions(rt, &whole);
    hsched_model_stats stats = { HSCHED_MODEL_STATS_INIT };
    assert_ok(hsched_model_get_stats(model, &stats));
    assert_true(stats.sections >= 5);
    struct rusage before, after;
    assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
    for (int i = 0; i < RUNS; i++)
        assert_ok(hsched_infer(model, &in, 1, &out, 1));
    assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
    /* This thread and the worker sleep once a run; waking another for every section would
     * make it at least stats.sections. */
    assert_true(after.ru_nvcsw - before.ru_nvcsw < 4 * RUNS);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

/* An array of structs that are larger than the library's, as a later header's are. */
static void sims_of_another_size_are_all_read(void **state)
{
    (void)state;
    struct {
        hsched_sim_config known;
        uint64_t later;
    } sims[] = { { .known = { .struct_size = sizeof sims[0], .name = "first" } },
                 { .known = { .struct_size = sizeof sims[0], .name = "second" } } };
    hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 1,
                                     .sims = &sims[0].known, .sim_count = 2 };
    hsched_runtime *rt;
    assert_ok(hsched_runtime_create(&config, &rt));
    hsched_device_info info = { HSCHED_DEVICE_INFO_INIT };
    assert_ok(hsched_runtime_device_info(rt, 2, &info));
    assert_string_equal(info.name, "second");
    hsched_runtime_destroy(rt);
}

static void a_lost_device_loses_no_run(void **state)
{
    fixture *f = *state;
    float y[TINY_OUTPUT], expected[TINY_OUTPUT];
    tiny_expected(expected);
    hsched_sim_config sim = { HSCHED_SIM_CONFIG_INIT, .name = "frail",
                              .fail_after_jobs = 7,
                              .layer_classes = HSCHED_CLASS_CONVOLUTION };
    hsched_log_set(NULL, NULL, HSCHED_LOG_ERROR);
    hsched_runtime *rt = simulated_runtime(2, &sim);
    hsched_model *model = tiny_model(rt, TINY_SIZE, TINY_SEED, NULL);
    hsched_binding in = HSCHED_DATA(f->x, sizeof f->x), out = HSCHED_DATA(y, sizeof y);
    for (int i = 0; i < 10; i++) {
        memset(y, 0xff, sizeof y);
        assert_ok(hsched_infer(model, &in, 1, &out, 1));
        assert_close(y, expected, TINY_OUTPUT);
    }
    hsched_device_info info = { HSCHED_DEVICE_INFO_INIT };
    assert_ok(hsched_runtime_device_info(rt, 1, &info));
    assert_string_equal(info.name, "frail");
    assert_int_equal(info.lost, 1);
    hsched_runtime_stats stats = { HSCHED_RUNTIME_STATS_INIT };
    assert_ok(hsched_runtime_get_stats(rt, &stats));
    assert_true(stats.jobs_moved >= 1 && stats.crossings >= 1);
    assert_int_equal(stats.runs_failed, 0);
    hsched_device_stats device = { HSCHED_DEVICE_STATS_INIT };
    assert_ok(hsched_runtime_get_device_stats(rt, 1, &device));
    assert_true(device.jobs >= 7);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
    hsched_log_set(NULL, NULL, HSCHED_LOG_WARNING);
}

/* Sections of a job that ended before its device was lost do not run again: what they
 * read may be overwritten by those behind them. */
static void a_device_may_be_lost_inside_a_job(void **state)
{
    enum {
        COUNT = 24
    };
    (void)state;
    static float x[COUNT * 24 * 24];
    float y[COUNT], expected[COUNT];
    fill(x, sizeof x / sizeof *x, 3);
    hsched_binding in = HSCHED_DATA(x, sizeof x);
    hsched_log_set(NULL, NULL, HSCHED_LOG_ERROR);
    for (uint64_t jobs = 0; jobs < 6; jobs++) { /* 0: never lost */
        hsched_sim_config sim = { HSCHED_SIM_CONFIG_INIT, .fail_after_jobs = jobs,
                                  .layer_classes = HSCHED_CLASS_CONVOLUTION };
        hsched_runtime *rt = simulated_runtime(2, &sim);
        hsched_model *model = row_of_convolutions(rt, NULL);
        hsched_binding out = HSCHED_DATA(jobs ? y : expected, sizeof y);
        for (int i = 0; i < 2; i++) { /* the second run takes the first one's record */
            memset(y, 0xff, sizeof y);
            assert_ok(hsched_infer(model, &in, 1, &out, 1));
            if (jobs)
                assert_close(y, expected, COUNT);
        }
        hsched_runtime_stats stats = { HSCHED_RUNTIME_STATS_INIT };
        assert_ok(hsched_runtime_get_stats(rt, &stats));
        assert_int_equal(stats.jobs_moved, jobs != 0);
        hsched_model_release(model);
        hsched_runtime_destroy(rt);
    }
    hsched_log_set(NULL, NULL, HSCHED_LOG_WARNING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(idle_workers_sleep, set_up, tear_down),
        cmocka_unit_test(chains_of_sections_wake_nobody),
        cmocka_unit_test(sims_of_another_size_are_all_read),
        cmocka_unit_test_setup_teardown(a_lost_device_loses_no_run, set_up, tear_down),
        cmocka_unit_test(a_device_may_be_lost_inside_a_job),
    };
    return cmocka_run_group_tests_name("runtime_devices", tests, NULL, NULL);
}
