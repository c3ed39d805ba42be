/* Every allocation of a simulation fails once: the call says so, and nothing is left behind. */
#include "common/support.h"

#include <unistd.h>

#include <hsched/experimental.h>

#include "base/alloc.h"

static hsched_status live(hsched_graph *graph, const char *trace)
{
    hsched_simulation *sim = NULL;
    hsched_simulation_report report = { HSCHED_SIMULATION_REPORT_INIT };
    hsched_simulation_stream stream = { HSCHED_SIMULATION_STREAM_INIT, .instances = 12,
                                        .runs = 3 };
    const hsched_simulation_model_config config = { HSCHED_SIMULATION_MODEL_CONFIG_INIT,
                                                    .policy = "layer_type" };
    hsched_status status =
        hsched_simulation_create("examples/platforms/server-h100.platform", &sim);
    if (status == HSCHED_OK)
        status = hsched_simulation_add(sim, graph, &config, &stream.model);
    if (status == HSCHED_OK)
        status = hsched_simulation_submit(sim, &stream);
    if (status == HSCHED_OK)
        status = hsched_simulation_set_load(sim, "gpu", 10, 2);
    if (status == HSCHED_OK)
        status = hsched_simulation_run(
            sim,
            &(hsched_simulation_config){ HSCHED_SIMULATION_CONFIG_INIT, .trace = trace },
            &report);
    if (status == HSCHED_OK)
        assert_int_equal(report.runs_succeeded, 36);
    hsched_simulation_destroy(sim);
    return status;
}

static void each_allocation_fails_once(void **state)
{
    (void)state;
    char trace[] = "/tmp/hsched-simulation-XXXXXX";
    const int file = mkstemp(trace);
    assert_true(file >= 0);
    close(file);
    hsched_graph *graph = tiny_network(16, 1);
    assert_ok(live(graph, trace)); /* whatever is kept for good is there now */
    const uint64_t before = hsi_alloc_bytes();
    uint64_t failures = 0;
    for (uint64_t k = 1; k <= failures + 8; k++) {
        hsi_alloc_fail_after(k);
        const hsched_status status = live(graph, trace);
        hsi_alloc_fail_after(0);
        if (hsi_alloc_bytes() != before)
            fail_msg("allocation %llu: %llu bytes are left behind", (unsigned long long)k,
                     (unsigned long long)(hsi_alloc_bytes() - before));
        if (status == HSCHED_OK)
            continue; /* it may be optional; the end is when none was there to fail */
        if (status != HSCHED_ERROR_OUT_OF_MEMORY)
            fail_msg("allocation %llu: %s (%s)", (unsigned long long)k,
                     hsched_status_name(status), hsched_error_detail());
        failures = k;
    }
    assert_true(failures > 100);
    hsched_graph_destroy(graph);
    assert_int_equal(unlink(trace), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(each_allocation_fails_once) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
