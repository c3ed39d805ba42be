/* The list of backends, and what the simulated device does besides computing: time, loss,
 * refusals. (That it computes correctly is tested with all backends in test_backend.c.)
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend/backend.h"
#include "base/alloc.h"
#include "base/sync.h"

/* ---- The list ---- */

static void registry_lists_backends(void **state)
{
    (void)state;
    assert_ptr_equal(hsi_backend_get(0), &hsi_backend_cpu);
    assert_ptr_equal(hsi_backend_get(1), &hsi_backend_sim);
    assert_null(hsi_backend_get(2));
    assert_null(hsi_backend_get(UINT32_MAX));
    for (uint32_t i = 0; hsi_backend_get(i); i++) {
        const hsched_backend *b = hsi_backend_get(i);
        assert_int_equal(b->struct_size, sizeof *b);
        assert_int_equal(b->abi, HSCHED_BACKEND_ABI);
        assert_true(b->name && b->describe && b->device_open && b->device_close &&
                    b->device_info && b->supports && b->section_prepare &&
                    b->section_destroy && b->kernel_name && b->weight_bytes &&
                    b->slot_create && b->slot_destroy && b->run_part);
    }
}

static void backend_info_of_all(void **state)
{
    (void)state;
    static const char *const names[] = { "cpu", "sim", "cuda" };
    for (uint32_t i = 0; i < 3; i++) {
        hsched_backend_info info = { HSCHED_BACKEND_INFO_INIT };
        assert_int_equal(hsched_backend_get_info(i, &info), HSCHED_OK);
        assert_string_equal(info.name, names[i]);
        assert_true(info.detail && info.detail[0]);
        assert_true(i == 2 || info.available);
        assert_int_equal(info.struct_size, sizeof info);
        if (i == 2) /* what there is, or what is missing */
            assert_non_null(strstr(info.detail, "GPU"));
    }
    hsched_backend_info info = { HSCHED_BACKEND_INFO_INIT };
    assert_int_equal(hsched_backend_get_info(3, &info), HSCHED_ERROR_NOT_FOUND);
    assert_non_null(strstr(hsched_error_detail(), "no backend 3"));
    assert_int_equal(hsched_backend_get_info(0, NULL), HSCHED_ERROR_INVALID_ARGUMENT);
    info.struct_size = 0;
    assert_int_equal(hsched_backend_get_info(0, &info), HSCHED_ERROR_INVALID_ARGUMENT);
}

static void host_table_works(void **state)
{
    (void)state;
    const hsched_backend_host *host = &hsi_backend_host;
    assert_int_equal(host->struct_size, sizeof *host);
    assert_int_equal(host->set_error(HSCHED_ERROR_DEVICE, "cause %d", 7),
                     HSCHED_ERROR_DEVICE);
    assert_string_equal(hsched_error_detail(), "cause 7");
    const uint64_t held = hsi_alloc_bytes();
    unsigned char *memory = host->alloc(100);
    assert_non_null(memory);
    assert_int_equal((uintptr_t)memory % 64, 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(memory[i], 0);
    assert_true(hsi_alloc_bytes() >= held + 100);
    host->free(memory);
    assert_int_equal(hsi_alloc_bytes(), held);
}

/* ---- A simulated device with a section of one addition ---- */

typedef struct fixture {
    hsched_backend_device *device;
    hsched_backend_section *section;
    hsched_backend_slot *slot;
    hsched_step step;
    float a, b, y;
} fixture;

static hsched_status open_sim(const hsched_sim_config *sim, uint32_t workers,
                              hsched_backend_device **device)
{
    hsched_device_config config = { .struct_size = sizeof config,
                                    .host = &hsi_backend_host,
                                    .workers = workers,
                                    .sim = sim };
    return hsi_backend_sim.device_open(&config, device);
}

static void make_fixture(fixture *f, const hsched_sim_config *sim, uint64_t macs)
{
    memset(f, 0, sizeof *f);
    assert_int_equal(open_sim(sim, 1, &f->device), HSCHED_OK);
    f->step = (hsched_step){ .struct_size = sizeof f->step,
                             .kind = HSCHED_STEP_BINARY,
                             .name = "add",
                             .input_count = 2,
                             .out_aliases = -1,
                             .parts = 4,
                             .macs = macs };
    f->step.u.binary.kind = HSCHED_BINARY_ADD;
    f->step.in[0].dtype = f->step.in[1].dtype = f->step.out.dtype = HSCHED_FLOAT32;
    hsched_section_config config = { .struct_size = sizeof config,
                                     .steps = &f->step,
                                     .step_count = 1 };
    assert_int_equal(hsi_backend_sim.section_prepare(f->device, &config, &f->section),
                     HSCHED_OK);
    assert_int_equal(hsi_backend_sim.slot_create(f->section, &f->slot), HSCHED_OK);
    f->a = 1;
    f->b = 2;
}

static void drop_fixture(fixture *f)
{
    hsi_backend_sim.slot_destroy(f->slot);
    hsi_backend_sim.section_destroy(f->section);
    hsi_backend_sim.device_close(f->device);
}

static hsched_status run_part(fixture *f, uint32_t step, uint32_t part)
{
    void *operands[] = { &f->a, &f->b, &f->y };
    return hsi_backend_sim.run_part(f->slot, step, operands, part, NULL);
}

/* One job that executes the step `times` times. Nanoseconds that it took, of which it
 * must have spent the pretended ones: that is a lower bound, so the host's speed does not
 * matter. */
static uint64_t time_job(fixture *f, int times)
{
    const uint64_t began = hsi_now_ns();
    assert_int_equal(hsi_backend_sim.job_boundary(f->slot, 1), HSCHED_OK);
    for (int i = 0; i < times; i++)
        assert_int_equal(run_part(f, 0, 0), HSCHED_OK);
    assert_int_equal(hsi_backend_sim.job_boundary(f->slot, 0), HSCHED_OK);
    return hsi_now_ns() - began;
}

static void jobs_last_as_long_as_configured(void **state)
{
    (void)state;
    fixture f;
    /* 1e6 multiply-accumulates are 2e6 operations: 2 ms at 1 GFLOP/s. */
    hsched_sim_config sim = { HSCHED_SIM_CONFIG_INIT, .gflops = 1 };
    make_fixture(&f, &sim, 1000000);
    assert_true(time_job(&f, 1) >= 2000000);
    assert_true(time_job(&f, 3) >= 6000000);
    drop_fixture(&f);

    sim.crossing_us = 1500;
    make_fixture(&f, &sim, 1000000);
    assert_true(time_job(&f, 1) >= 3500000);
    assert_true(time_job(&f, 0) >= 1500000); /* nothing executed: the hand-over alone */
    drop_fixture(&f);

    /* Without a speed, only the hand-over counts, whatever the work. */
    sim.gflops = 0;
    make_fixture(&f, &sim, UINT64_MAX);
    assert_true(time_job(&f, 1) >= 1500000);
    drop_fixture(&f);
}

static void device_is_lost_after_jobs(void **state)
{
    (void)state;
    fixture f;
    hsched_sim_config sim = { HSCHED_SIM_CONFIG_INIT, .name = "frail",
                              .fail_after_jobs = 2 };
    make_fixture(&f, &sim, 1);
    time_job(&f, 1);
    time_job(&f, 1);
    for (int i = 0; i < 2; i++) { /* and it stays lost */
        assert_int_equal(hsi_backend_sim.job_boundary(f.slot, 1), HSCHED_ERROR_DEVICE);
        assert_non_null(strstr(hsched_error_detail(), "'frail'"));
        assert_non_null(strstr(hsched_error_detail(), "2 jobs"));
    }
    drop_fixture(&f);
}

static void section_computes_in_one_part(void **state)
{
    (void)state;
    fixture f;
    make_fixture(&f, NULL, 1);
    assert_int_equal(f.step.parts, 1);
    f.y = NAN;
    assert_int_equal(run_part(&f, 0, 0), HSCHED_OK);
    assert_true(f.y == 3);
    assert_string_equal(hsi_backend_sim.kernel_name(f.section, 0), "ref");
    assert_int_equal(run_part(&f, 0, 1), HSCHED_ERROR_INTERNAL);
    assert_int_equal(run_part(&f, 1, 0), HSCHED_ERROR_INTERNAL);
    drop_fixture(&f);
}

/* ---- Configuration ---- */

static void info_says_what_was_configured(void **state)
{
    (void)state;
    hsched_backend_device *device;
    char name[] = "npu";
    hsched_sim_config sim = { HSCHED_SIM_CONFIG_INIT, .name = name, .gflops = 250 };
    assert_int_equal(open_sim(&sim, 1, &device), HSCHED_OK);
    name[0] = 'x'; /* the device has a copy */
    hsched_device_info info = { HSCHED_DEVICE_INFO_INIT };
    hsi_backend_sim.device_info(device, &info);
    assert_string_equal(info.name, "npu");
    assert_non_null(strstr(info.description, "250 GFLOP/s"));
    assert_int_equal(info.kind, HSCHED_DEVICE_SIM);
    assert_int_equal(info.workers, 1);
    hsi_backend_sim.device_close(device);

    assert_int_equal(open_sim(NULL, 1, &device), HSCHED_OK); /* all defaults */
    hsi_backend_sim.device_info(device, &info);
    assert_string_equal(info.name, "sim");
    hsi_backend_sim.device_close(device);
    hsi_backend_sim.device_close(NULL);
    hsi_backend_sim.section_destroy(NULL);
    hsi_backend_sim.slot_destroy(NULL);
}

static void bad_configurations_are_refused(void **state)
{
    (void)state;
    static const hsched_sim_config bad[] = {
        { HSCHED_SIM_CONFIG_INIT, .gflops = -1 },
        { HSCHED_SIM_CONFIG_INIT, .gflops = NAN },
        { HSCHED_SIM_CONFIG_INIT, .gflops = INFINITY },
        { HSCHED_SIM_CONFIG_INIT, .crossing_us = -0.5 },
        { HSCHED_SIM_CONFIG_INIT, .crossing_us = INFINITY },
        { HSCHED_SIM_CONFIG_INIT, .layer_classes = 1u << 20 },
        { .struct_size = 3 },
    };
    hsched_backend_device *device = (hsched_backend_device *)&device;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(open_sim(&bad[i], 1, &device), HSCHED_ERROR_INVALID_ARGUMENT);
        assert_null(device);
    }
    assert_int_equal(open_sim(NULL, 2, &device), HSCHED_ERROR_INVALID_ARGUMENT);
    assert_null(device);
}

static void layer_classes_limit_what_is_supported(void **state)
{
    (void)state;
    fixture f;
    hsched_sim_config sim = { HSCHED_SIM_CONFIG_INIT, .name = "convs",
                              .layer_classes =
                                  HSCHED_CLASS_CONVOLUTION | HSCHED_CLASS_ELEMENTWISE };
    make_fixture(&f, &sim, 1);
    assert_int_equal(hsi_backend_sim.supports(f.device, &f.step), 1);
    hsched_step softmax = { .struct_size = sizeof softmax,
                            .kind = HSCHED_STEP_SOFTMAX,
                            .name = "probabilities",
                            .input_count = 1,
                            .out_aliases = -1,
                            .parts = 1 };
    softmax.in[0] = softmax.out = (hsched_operand){
        .dtype = HSCHED_FLOAT32, .rank = 1, .dims = { 3 }, .strides = { 1 }
    };
    assert_int_equal(hsi_backend_sim.supports(f.device, &softmax), 0);
    hsched_section_config config = { .struct_size = sizeof config,
                                     .steps = &softmax,
                                     .step_count = 1 };
    hsched_backend_section *section = f.section;
    assert_int_equal(hsi_backend_sim.section_prepare(f.device, &config, &section),
                     HSCHED_ERROR_UNSUPPORTED);
    assert_null(section);
    assert_non_null(strstr(hsched_error_detail(), "'probabilities'"));
    assert_non_null(strstr(hsched_error_detail(), "'convs'"));
    drop_fixture(&f);

    /* The same step is fine on a device of all classes, but not if it breaks the
     * contract. */
    hsched_backend_device *device;
    assert_int_equal(open_sim(NULL, 1, &device), HSCHED_OK);
    assert_int_equal(hsi_backend_sim.supports(device, &softmax), 1);
    softmax.u.softmax.axis = 1;
    assert_int_equal(hsi_backend_sim.supports(device, &softmax), 0);
    hsi_backend_sim.device_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registry_lists_backends),
        cmocka_unit_test(backend_info_of_all),
        cmocka_unit_test(host_table_works),
        cmocka_unit_test(jobs_last_as_long_as_configured),
        cmocka_unit_test(device_is_lost_after_jobs),
        cmocka_unit_test(section_computes_in_one_part),
        cmocka_unit_test(info_says_what_was_configured),
        cmocka_unit_test(bad_configurations_are_refused),
        cmocka_unit_test(layer_classes_limit_what_is_supported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
