/*
 * Admission of sources where there is an accelerator, a simulated device with a queue: which device
 * runs are taken to use, under which policy, by costs that the test makes up.
 */
#include "common/queue_runs.h"

#include "base/alloc.h"
#include "common/support.h"
#include "common/tiny.h"
#include "runtime/planner.h"

enum {
    CPU_WORKERS = 2,
    CPU_US = 10000, /* a run on one worker */
    DEVICE_US = 1000
};

typedef struct fixture {
    char folder[64];
    hsched_runtime *rt;
    queue_net net;
} fixture;

static void put(hsched_runtime *rt, hsi_cost_key key, double us)
{
    const hsi_cost_point point = { .key = key, .us = us, .samples = 1 };
    pthread_mutex_lock(&rt->costs.mutex);
    assert_ok(hsi_cost_table_put(rt->costs.table, &point, 0));
    pthread_mutex_unlock(&rt->costs.mutex);
}

/* Sections share what a run takes evenly. */
static void put_costs(const fixture *f)
{
    const hsched_model *model = f->net.model;
    for (uint32_t d = 0; d < 2; d++) {
        const double us = d ? DEVICE_US : CPU_US;
        const uint32_t count = model->plan->section_count;
        put(f->rt, hsi_costs_key(model, HSI_COST_RUN, 0, d), us);
        for (uint32_t s = 0; s < count; s++)
            put(f->rt, hsi_costs_key(model, HSI_COST_SECTION, s, d), us / count);
    }
}

static void open_all(fixture *f, hsched_policy policy)
{
    snprintf(f->folder, sizeof f->folder, "/tmp/hsched-admit-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    f->rt = queue_runtime_open(&(queue_device_script){ 0 },
                               &(hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT,
                                                         .cpu_workers = CPU_WORKERS,
                                                         .cache_dir = f->folder });
    queue_net_tiny(&f->net, f->rt, policy);
}

static void close_all(fixture *f)
{
    char command[128];
    queue_net_free(&f->net);
    queue_runtime_close(f->rt);
    snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
    assert_int_equal(system(command), 0);
}

/* No source is started. */
static int give_nothing(void *user, uint64_t release_us, hsched_binding *inputs,
                        hsched_binding *outputs)
{
    (void)user, (void)release_us, (void)inputs, (void)outputs;
    return 0;
}

static char logged[2048]; /* of the last message */

static void keep_message(void *user, hsched_log_level level, const char *message)
{
    (void)user, (void)level;
    if (strstr(message, "source"))
        snprintf(logged, sizeof logged, "%s", message);
}

static hsched_source_config every(uint64_t period_us)
{
    return (hsched_source_config){ HSCHED_SOURCE_CONFIG_INIT, .period_us = period_us,
                                   .fill = give_nothing };
}

static hsched_source *admitted(const fixture *f, uint64_t period_us,
                               hsched_admission admission)
{
    const hsched_source_config config = every(period_us);
    hsched_source_stats stats = { HSCHED_SOURCE_STATS_INIT };
    hsched_source *source;
    logged[0] = '\0';
    assert_ok(hsched_source_create(f->net.model, &config, &source));
    assert_ok(hsched_source_get_stats(source, &stats));
    assert_int_equal(stats.admission, admission);
    return source;
}

static void refused(const fixture *f, uint64_t period_us, const char *said)
{
    const hsched_source_config config = every(period_us);
    hsched_source *source;
    assert_fails(hsched_source_create(f->net.model, &config, &source), HSCHED_ERROR_LIMIT,
                 said);
}

static void lose_device(const fixture *f)
{
    pthread_mutex_lock(&f->rt->pool->lock);
    hsi_core_device_lost(f->rt->core, QUEUE_DEVICE, 0);
    hsi_worker_pool_after_events(f->rt->pool);
    pthread_mutex_unlock(&f->rt->pool->lock);
}

/* ---- Policies that know beforehand ---- */

static void the_policys_device_counts(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, HSCHED_POLICY_GPU_ONLY);
    put_costs(&f);
    hsched_source *source = admitted(&f, 2 * DEVICE_US, HSCHED_ADMISSION_PROVEN);
    refused(&f, DEVICE_US / 2, "takes 1.000 ms at least");
    hsched_source_destroy(source);
    close_all(&f);
    open_all(&f, HSCHED_POLICY_CPU_ONLY);
    put_costs(&f);
    source = admitted(&f, CPU_US, HSCHED_ADMISSION_PROVEN);
    refused(&f, 2 * DEVICE_US, "takes 5.000 ms at least");
    hsched_source_destroy(source);
    close_all(&f);
}

/* Convolutions there, the rest here: what is executed on two devices is not proven. */
static void sections_have_places_of_their_own(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, HSCHED_POLICY_LAYER_TYPE);
    put_costs(&f);
    hsched_source_destroy(admitted(&f, 2 * CPU_US, HSCHED_ADMISSION_POSSIBLE));
    assert_non_null(
        strstr(logged, "not proven that all deadlines are met on device 'cpu'"));
    close_all(&f);
}

/* What would go to it goes to the CPU. */
static void a_lost_device_has_no_time(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, HSCHED_POLICY_GPU_ONLY);
    put_costs(&f);
    hsched_source_destroy(admitted(&f, 2 * DEVICE_US, HSCHED_ADMISSION_PROVEN));
    lose_device(&f);
    refused(&f, 2 * DEVICE_US, "takes 5.000 ms at least");
    close_all(&f);
}

/* ---- The policy cost ---- */

/* The device does one job's work at a time, however many are there. */
static void put_capacity(const fixture *f)
{
    const uint32_t lanes = f->rt->workers[QUEUE_DEVICE];
    pthread_mutex_lock(&f->rt->costs.mutex);
    assert_ok(hsi_cost_table_put_stretch(
        f->rt->costs.table, f->rt->costs.devices[QUEUE_DEVICE], lanes, lanes, 0));
    pthread_mutex_unlock(&f->rt->costs.mutex);
}

static void open_cost(fixture *f)
{
    open_all(f, HSCHED_POLICY_COST);
    put_costs(f);
    put_capacity(f);
    assert_ok(hsi_planner_plan(f->net.model));
}

/* The device's curve is another model's, which leaves it no room; this one's does two at once. */
static void a_models_own_curve_is_what_is_certain(void **state)
{
    (void)state;
    fixture f;
    open_cost(&f);
    const uint32_t lanes = f.rt->workers[QUEUE_DEVICE];
    hsi_cost_point point = { .key = hsi_costs_key(f.net.model, HSI_COST_AT_ONCE, 0,
                                                  QUEUE_DEVICE),
                             .us = lanes / 2.0,
                             .samples = 5 };
    point.key.batch = lanes;
    pthread_mutex_lock(&f.rt->costs.mutex);
    assert_ok(hsi_cost_table_put(f.rt->costs.table, &point, 0));
    pthread_mutex_unlock(&f.rt->costs.mutex);
    hsched_source *sources[4];
    for (int i = 0; i < 4; i++) /* by the device's curve a third is too much */
        sources[i] = admitted(&f, 2 * DEVICE_US, HSCHED_ADMISSION_POSSIBLE);
    refused(&f, 2 * DEVICE_US, "of 'queue0', which does 2.00");
    for (int i = 0; i < 4; i++)
        hsched_source_destroy(sources[i]);
    close_all(&f);
}

static void without_costs_it_is_said_that_nothing_is_known(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, HSCHED_POLICY_COST);
    hsched_source *first = admitted(&f, 10, HSCHED_ADMISSION_UNKNOWN);
    assert_non_null(strstr(logged, "the policy cost places runs of model 'tiny'"));
    assert_non_null(strstr(logged, "hsched_model_profile measures them"));
    hsched_source_destroy(first);
    close_all(&f);
}

/* What the user says of a run counts as with gpu_only, which it goes as; but it may go elsewhere
 * once it is measured. */
static void without_costs_what_the_user_says_counts(void **state)
{
    (void)state;
    fixture f;
    hsched_source *source, *more;
    hsched_source_stats stats = { HSCHED_SOURCE_STATS_INIT };
    open_all(&f, HSCHED_POLICY_COST);
    put_capacity(&f);
    hsched_source_config config = every(2 * DEVICE_US);
    config.wcet_us = DEVICE_US;
    assert_ok(hsched_source_create(f.net.model, &config, &source));
    assert_ok(hsched_source_get_stats(source, &stats));
    assert_int_equal(stats.admission, HSCHED_ADMISSION_POSSIBLE);
    config.wcet_us = 3 * DEVICE_US / 2;
    assert_fails(hsched_source_create(f.net.model, &config, &more), HSCHED_ERROR_LIMIT,
                 "would need 1.25 of the time of device 'queue0'");
    config.wcet_us = 3 * DEVICE_US;
    assert_fails(hsched_source_create(f.net.model, &config, &more), HSCHED_ERROR_LIMIT,
                 "takes 3.000 ms at least");
    hsched_source_destroy(source);
    close_all(&f);
}

/* A run that is alone takes 1 ms on the device: that is where it is expected, and the shortest
 * there is. 8 us of it are taken for the start of a job, where that was not measured. */
static void what_is_shorter_than_any_place_is_refused(void **state)
{
    (void)state;
    fixture f;
    hsched_source *source;
    open_cost(&f);
    hsched_source_destroy(admitted(&f, 2 * DEVICE_US, HSCHED_ADMISSION_POSSIBLE));
    assert_non_null(strstr(logged, "it is not proven that all deadlines are met"));
    refused(&f, DEVICE_US / 2, "takes 0.992 ms at least");
    hsched_source_config longest = every(2 * DEVICE_US);
    longest.wcet_us = 3 * DEVICE_US;
    assert_fails(hsched_source_create(f.net.model, &longest, &source), HSCHED_ERROR_LIMIT,
                 "takes 2.976 ms at least");
    lose_device(&f);
    refused(&f, 2 * DEVICE_US, "takes 5.000 ms at least");
    close_all(&f);
}

/* In a millisecond the device does one run, and the CPU a fifth: more than the device alone is
 * admitted, more than both is not, wherever a run that is alone would go. */
static void all_devices_together_are_what_there_is(void **state)
{
    (void)state;
    fixture f;
    open_cost(&f);
    hsched_source *first = admitted(&f, 2 * DEVICE_US, HSCHED_ADMISSION_POSSIBLE),
                  *second = admitted(&f, 2 * DEVICE_US, HSCHED_ADMISSION_POSSIBLE),
                  *third = admitted(&f, 10 * DEVICE_US, HSCHED_ADMISSION_POSSIBLE);
    refused(&f, 2 * DEVICE_US,
            "however the policy COST shared its runs out, sources would "
            "need 1.32 times what some device can do");
    assert_non_null(strstr(hsched_error_detail(),
                           "of 'queue0', which does 1.00; 'tiny' is expected to take "
                           "1.000 ms every 10.000 ms"));
    hsched_source_destroy(first);
    hsched_source_destroy(admitted(&f, 2 * DEVICE_US, HSCHED_ADMISSION_POSSIBLE));
    hsched_source_destroy(second);
    hsched_source_destroy(third);
    close_all(&f);
}

/* Where there is nothing to choose from it is as sure as with any policy. */
static void the_cpu_alone_is_one_place(void **state)
{
    (void)state;
    fixture f = { .folder = "" };
    assert_ok(hsched_runtime_create(
        &(hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 1,
                                  .flags = HSCHED_RUNTIME_NO_GPU,
                                  .policy = HSCHED_POLICY_COST },
        &f.rt));
    f.net.model = tiny_model(f.rt, 8, 1, NULL);
    hsched_source_config config = every(2 * CPU_US);
    hsched_source_stats stats = { HSCHED_SOURCE_STATS_INIT };
    hsched_source *source, *more;
    config.wcet_us = CPU_US;
    assert_ok(hsched_source_create(f.net.model, &config, &source));
    assert_ok(hsched_source_get_stats(source, &stats));
    assert_int_equal(stats.admission, HSCHED_ADMISSION_PROVEN);
    config.wcet_us = 2 * CPU_US;
    assert_fails(hsched_source_create(f.net.model, &config, &more), HSCHED_ERROR_LIMIT,
                 "would need 1.50 of the time of device 'cpu'");
    hsched_source_destroy(source);
    hsched_model_release(f.net.model);
    hsched_runtime_destroy(f.rt);
}

static void each_allocation_fails_once(void **state)
{
    (void)state;
    fixture f;
    hsched_source *source;
    open_cost(&f);
    const hsched_source_config config = every(2 * DEVICE_US);
    uint64_t k = 1;
    for (;; k++) {
        const uint64_t held = hsi_alloc_bytes();
        hsi_alloc_fail_after(k);
        const hsched_status status = hsched_source_create(f.net.model, &config, &source);
        hsi_alloc_fail_after(0);
        if (status == HSCHED_OK)
            break;
        assert_int_equal(status, HSCHED_ERROR_OUT_OF_MEMORY);
        assert_true(hsi_alloc_bytes() == held);
    }
    assert_true(k > 20);
    hsched_source_destroy(source);
    close_all(&f);
}

int main(void)
{
    hsched_log_set(keep_message, NULL, HSCHED_LOG_INFO);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_policys_device_counts),
        cmocka_unit_test(sections_have_places_of_their_own),
        cmocka_unit_test(a_lost_device_has_no_time),
        cmocka_unit_test(a_models_own_curve_is_what_is_certain),
        cmocka_unit_test(without_costs_it_is_said_that_nothing_is_known),
        cmocka_unit_test(without_costs_what_the_user_says_counts),
        cmocka_unit_test(what_is_shorter_than_any_place_is_refused),
        cmocka_unit_test(all_devices_together_are_what_there_is),
        cmocka_unit_test(the_cpu_alone_is_one_place),
        cmocka_unit_test(each_allocation_fails_once),
    };
    return cmocka_run_group_tests_name("admission of sources", tests, NULL, NULL);
}
