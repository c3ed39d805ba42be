/* Every allocation of the library fails once: each call then says so, nothing crashes,
 * nothing leaks (AddressSanitizer runs this too), and the next attempt succeeds. */
#include "common/support.h"

#include <sys/mman.h>
#include <unistd.h>

#include <hsched/experimental.h>

#include "base/alloc.h"

enum {
    SIZE = 8,
    INPUT = 3 * SIZE * SIZE,
    OUTPUT = 10
};

/* One whole life: runtime, model, run. Gives the first failure. */
static hsched_status live(hsched_graph *g, const hsched_runtime_config *config, int fd,
                          float *y)
{
    hsched_runtime *rt = NULL;
    hsched_model *model = NULL;
    hsched_run *run = NULL;
    hsched_buffer *buffer = NULL, *imported = NULL;
    hsched_binding in = { 0 };
    hsched_run_config run_config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in };
    const void *data;
    hsched_status status = hsched_runtime_create(config, &rt);
    if (status == HSCHED_OK)
        status = hsched_buffer_create(rt, 100, &buffer);
    if (status == HSCHED_OK)
        status = hsched_buffer_import_fd(rt, fd, 0, INPUT * sizeof(float), 0, &imported);
    in.buffer = imported;
    if (status == HSCHED_OK)
        status = hsched_model_compile(rt, g, NULL, &model);
    if (status == HSCHED_OK)
        status = hsched_submit(model, &run_config, &run);
    if (status == HSCHED_OK)
        status = hsched_run_wait(run, HSCHED_FOREVER);
    if (status == HSCHED_OK)
        status = hsched_run_output(run, 0, &data, NULL);
    if (status == HSCHED_OK)
        memcpy(y, data, OUTPUT * sizeof *y);
    hsched_run_release(run);
    hsched_buffer_release(buffer);
    hsched_buffer_release(imported);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
    return status;
}

static void fail_each(const hsched_runtime_config *config)
{
    float x[INPUT], expected[OUTPUT], y[OUTPUT];
    int fd = memfd_create("hsched-test", 0);
    fill(x, INPUT, 3);
    assert_int_equal(write(fd, x, sizeof x), sizeof x);
    hsched_graph *g = tiny_network(SIZE, 1);
    assert_ok(live(g, config, fd, expected));
    uint64_t failures = 0;
    for (uint64_t k = 1;; k++) {
        uint64_t held = hsi_alloc_bytes();
        hsi_alloc_fail_after(k);
        hsched_status status = live(g, config, fd, y);
        hsi_alloc_fail_after(0);
        assert_int_equal(hsi_alloc_bytes(), held);
        if (status == HSCHED_OK) {
            assert_memory_equal(y, expected, sizeof y);
            /* An allocation may be optional; the end is when none was there to fail. */
            if (k > failures + 8)
                break;
            continue;
        }
        failures = k;
        if (status != HSCHED_ERROR_OUT_OF_MEMORY)
            fail_msg("allocation %llu: %s (%s)", (unsigned long long)k,
                     hsched_status_name(status), hsched_error_detail());
        assert_non_null(strstr(hsched_error_detail(), "memory"));
    }
    assert_true(failures > 50);
    close(fd);
    hsched_graph_destroy(g);
}

/* Measuring a model: the memory that it takes by itself, and what the runs do. */
static void measuring(void **state)
{
    (void)state;
    const hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 1,
                                           .flags = HSCHED_RUNTIME_NO_GPU,
                                           .cache_dir = "/dev/null/none" };
    const hsched_profile_config once = { HSCHED_PROFILE_CONFIG_INIT, .repetitions = 1,
                                         .flags = HSCHED_PROFILE_NOT_SAVED };
    hsched_graph *g = tiny_network(SIZE, 1);
    uint64_t failures = 0;
    for (uint64_t k = 1; k < failures + 8; k++) {
        hsched_runtime *rt;
        hsched_model *model;
        const uint64_t held = hsi_alloc_bytes();
        assert_ok(hsched_runtime_create(&config, &rt));
        assert_ok(hsched_model_compile(rt, g, NULL, &model));
        hsi_alloc_fail_after(k);
        hsched_status status = hsched_model_profile(model, &once, NULL);
        hsi_alloc_fail_after(0);
        if (status != HSCHED_OK) {
            failures = k;
            assert_int_equal(status, HSCHED_ERROR_OUT_OF_MEMORY);
            assert_ok(hsched_model_profile(model, &once, NULL));
        }
        hsched_model_release(model);
        hsched_runtime_destroy(rt);
        assert_int_equal(hsi_alloc_bytes(), held);
    }
    assert_true(failures > 20);
    hsched_graph_destroy(g);
}

static void on_the_cpu(void **state)
{
    (void)state;
    fail_each(&(hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 1,
                                        .cpu_tuning = HSCHED_CPU_TUNING_NONE,
                                        .cache_dir = "/dev/null/none" });
}

static void with_a_simulated_device(void **state)
{
    (void)state;
    hsched_sim_config sim = { HSCHED_SIM_CONFIG_INIT };
    fail_each(&(hsched_runtime_config){
        HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 1,
        .cpu_tuning = HSCHED_CPU_TUNING_NONE, .cache_dir = "/dev/null/none",
        .policy = HSCHED_POLICY_LAYER_TYPE, .sims = &sim, .sim_count = 1 });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(measuring),
        cmocka_unit_test(on_the_cpu),
        cmocka_unit_test(with_a_simulated_device),
    };
    return cmocka_run_group_tests_name("out of memory", tests, NULL, NULL);
}
