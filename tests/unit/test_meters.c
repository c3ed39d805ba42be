/*
 * Meters in a runtime: files of the CPU's, a scripted device's; what adds up, and what the
 * scheduler makes of it. HSCHED_METERS_ROOT is a folder of the test's, so that this machine's are
 * not seen.
 */
#include "common/queue_runs.h"

#include <math.h>
#include <sched.h>
#include <unistd.h>

#include <hsched/experimental.h>

#include "base/sync.h"
#include "common/cost_cache.h"
#include "runtime/meters.h"
#include "runtime/planner.h"
#include "sched/internal.h"

#define RAPL "sys/class/powercap/intel-rapl:0"
#define INA  "sys/class/hwmon/hwmon0"

static int set_up(void **state)
{
    return make_folder(state) != 0 || setenv("HSCHED_METERS_ROOT", folder, 1) != 0;
}

static hsched_runtime *open_runtime(const hsched_meters *meters)
{
    queue_device_set_meters(meters);
    return queue_runtime_open(&(queue_device_script){ .ready = 4 },
                              &(hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT,
                                                        .cpu_workers = 2,
                                                        .cache_dir = folder });
}

static hsched_meter_reading read_meter(hsched_runtime *rt, uint32_t device)
{
    hsched_meter_reading reading = { HSCHED_METER_READING_INIT };
    assert_ok(hsched_runtime_read_meter(rt, device, &reading));
    return reading;
}

/* ---- Reading ---- */

static void without_meters_it_says_so(void **state)
{
    (void)state;
    hsched_meter_reading reading = { HSCHED_METER_READING_INIT };
    hsched_runtime *rt = open_runtime(NULL);
    for (uint32_t d = 0; d < 2; d++)
        assert_fails(hsched_runtime_read_meter(rt, d, &reading), HSCHED_ERROR_NOT_FOUND,
                     "nothing measures device");
    assert_fails(hsched_runtime_read_meter(rt, 2, &reading), HSCHED_ERROR_NOT_FOUND,
                 "there is no device 2");
    assert_fails(hsched_runtime_read_meter(rt, 0, NULL), HSCHED_ERROR_INVALID_ARGUMENT,
                 "reading is NULL");
    queue_runtime_close(rt);
}

static void counters_count_from_the_beginning(void **state)
{
    (void)state;
    put_file(RAPL "/name", "package-0\n");
    put_file(RAPL "/max_energy_range_uj", "5000000\n");
    put_file(RAPL "/energy_uj", "4000000\n");
    hsched_meters meters = { .known = HSCHED_METERS_JOULES, .joules = 500, .name = "m" };
    hsched_runtime *rt = open_runtime(&meters);
    put_file(RAPL "/energy_uj", "4500000\n");
    hsched_meter_reading cpu = read_meter(rt, 0);
    assert_string_equal(cpu.name, "RAPL package-0");
    assert_true((cpu.known & HSCHED_METER_JOULES) && !(cpu.known & HSCHED_METER_USE));
    assert_true(fabs(cpu.joules - 0.5) < 1e-9);
    put_file(RAPL "/energy_uj", "250000\n"); /* past its end: 0.5 + 0.25 J more */
    cpu = read_meter(rt, 0);
    assert_true(fabs(cpu.joules - 1.25) < 1e-9);
    assert_true((cpu.known & HSCHED_METER_WATTS) && cpu.watts > 0);
    meters.joules = 502.5;
    queue_device_set_meters(&meters);
    assert_true(read_meter(rt, 1).joules == 2.5);
    meters.joules = 1; /* its driver was loaded anew */
    queue_device_set_meters(&meters);
    assert_true(read_meter(rt, 1).joules == 2.5);
    meters.known = 0; /* it cannot tell now */
    queue_device_set_meters(&meters);
    hsched_meter_reading none = { HSCHED_METER_READING_INIT };
    assert_int_equal(hsched_runtime_read_meter(rt, 1, &none), HSCHED_ERROR_NOT_FOUND);
    queue_runtime_close(rt);
}

/* What a counter says the first time is no gain. */
static void a_counter_may_come_late(void **state)
{
    (void)state;
    hsched_meters meters = { .known = HSCHED_METERS_WATTS, .watts = 10, .name = "m" };
    hsched_runtime *rt = open_runtime(&meters);
    meters.known = HSCHED_METERS_WATTS | HSCHED_METERS_JOULES;
    meters.joules = 5e9;
    queue_device_set_meters(&meters);
    hsi_metered first, second, third;
    assert_int_equal(hsi_meters_read(rt, 1, &first), 1);
    assert_true(first.joules < 5e8); /* 10 W since then */
    meters.joules += 2;
    queue_device_set_meters(&meters);
    assert_int_equal(hsi_meters_read(rt, 1, &second), 1);
    assert_true(fabs(second.joules - first.joules - 2) < 1e-6);
    meters.known =
        HSCHED_METERS_WATTS; /* gone for one reading, of which the watts count */
    meters.watts = 0;
    queue_device_set_meters(&meters);
    assert_int_equal(hsi_meters_read(rt, 1, &third), 1);
    meters.known = HSCHED_METERS_WATTS | HSCHED_METERS_JOULES;
    meters.joules += 3;
    queue_device_set_meters(&meters);
    assert_int_equal(hsi_meters_read(rt, 1, &third), 1);
    assert_true(third.joules == second.joules);
    queue_runtime_close(rt);
}

/* Rails know watts only: they are added up over the time between readings. */
static void watts_add_up(void **state)
{
    (void)state;
    put_file(INA "/name", "ina3221\n");
    put_file(INA "/in1_label", "VDD_GPU_SOC\n");
    put_file(INA "/in1_input", "5000\n");
    put_file(INA "/curr1_input", "2000\n");
    put_file(INA "/in2_label", "VDD_CPU_CV\n");
    put_file(INA "/in2_input", "5000\n");
    put_file(INA "/curr2_input", "400\n");
    hsched_runtime *rt = open_runtime(NULL);
    hsi_metered before, after;
    assert_int_equal(hsi_meters_read(rt, 1, &before), 1);
    assert_true(before.watts == 10);
    while (hsi_now_us() < before.at_us + 2000)
        ;
    assert_int_equal(hsi_meters_read(rt, 1, &after), 1);
    assert_true(fabs(after.joules - before.joules -
                     10e-6 * (double)(after.at_us - before.at_us)) < 1e-9);
    assert_true(read_meter(rt, 0).watts == 2);
    assert_string_equal(read_meter(rt, 0).name, "rail VDD_CPU_CV");
    queue_runtime_close(rt);
}

/* ---- What the scheduler makes of it ---- */

static double load_of(hsched_runtime *rt, uint32_t device)
{
    pthread_mutex_lock(&rt->pool->lock);
    const double load = rt->core->config.devices[device].load;
    pthread_mutex_unlock(&rt->pool->lock);
    return load;
}

static void forget_jobs(hsched_runtime *rt)
{
    pthread_mutex_lock(&rt->pool->lock);
    rt->witness[QUEUE_DEVICE].job_ended_us = 0; /* as a second later */
    pthread_mutex_unlock(&rt->pool->lock);
}

/* Before the first job of ours: others use 60% of the device. */
static void use_by_others_is_load(void **state)
{
    (void)state;
    hsched_meters meters = { .known = HSCHED_METERS_USE, .use = 0.6, .name = "m" };
    hsched_runtime *rt = open_runtime(&meters);
    queue_net net;
    queue_net_tiny(&net, rt, HSCHED_POLICY_COST);
    hsi_meters_work(rt);
    assert_true(fabs(load_of(rt, QUEUE_DEVICE) - 2.5) < 1e-9);
    assert_true(load_of(rt, 0) == 1);
    meters.use = 1; /* what others leave is never nothing */
    queue_device_set_meters(&meters);
    hsi_meters_work(rt);
    assert_true(fabs(load_of(rt, QUEUE_DEVICE) - 20) < 1e-9);
    meters.use = 0.1; /* not to be told from none */
    queue_device_set_meters(&meters);
    hsi_meters_work(rt);
    assert_true(load_of(rt, QUEUE_DEVICE) == 1);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

/* Use is also ours once a job has been there: then jobs tell. */
static void our_own_use_is_no_load(void **state)
{
    (void)state;
    hsched_meters meters = { .known = HSCHED_METERS_USE, .use = 0.9, .name = "m" };
    hsched_runtime *rt = open_runtime(&meters);
    queue_net net, other;
    queue_trial trial;
    queue_net_tiny(&net, rt, HSCHED_POLICY_GPU_ONLY);
    queue_net_tiny(&other, rt, HSCHED_POLICY_COST);
    queue_trial_make(&trial, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 1);
    queue_device_close_gate(QUEUE_GATE_JOBS);
    queue_trial_submit(&trial);
    queue_device_await(QUEUE_COUNT_STARTED, 1);
    pthread_mutex_lock(&rt->pool->lock);
    rt->witness[QUEUE_DEVICE].load = 0; /* what was seen before it began */
    pthread_mutex_unlock(&rt->pool->lock);
    hsi_meters_work(rt);
    assert_true(load_of(rt, QUEUE_DEVICE) == 1);
    queue_device_open_gate(QUEUE_GATE_JOBS);
    queue_trial_finish(&trial);
    hsi_meters_work(rt); /* a moment ago it was executing */
    assert_true(load_of(rt, QUEUE_DEVICE) == 1);
    forget_jobs(rt);
    hsi_meters_work(rt);
    assert_true(fabs(load_of(rt, QUEUE_DEVICE) - 10) < 1e-6);
    queue_trial_free(&trial);
    queue_net_free(&net);
    queue_net_free(&other);
    queue_runtime_close(rt);
}

/* What was drawn counts for the cap: more than the user has said. */
static void what_is_drawn_counts(void **state)
{
    (void)state;
    static const hsched_device_watts watts[] = { { "cpu", 10, 1 }, { "queue0", 50, 2 } };
    hsched_meters meters = { .known = HSCHED_METERS_JOULES, .joules = 1, .name = "m" };
    queue_device_set_meters(&meters);
    hsched_runtime *rt = queue_runtime_open(
        &(queue_device_script){ 0 },
        &(hsched_runtime_config){
            HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 1, .cache_dir = folder,
            .policy = HSCHED_POLICY_COST, .objective = HSCHED_OBJECTIVE_POWER_CAP,
            .power_cap_watts = 20, .device_watts = watts, .device_watts_count = 2 });
    hsi_core_stats stats;
    hsi_meters_work(rt); /* the first reading, to count from */
    meters.joules = 100001;
    queue_device_set_meters(&meters);
    hsi_meters_work(rt);
    pthread_mutex_lock(&rt->pool->lock);
    hsi_core_get_stats(rt->core, &stats);
    assert_true(rt->core->drawn[QUEUE_DEVICE].off_watts > 1000);
    pthread_mutex_unlock(&rt->pool->lock);
    assert_true(stats.owed_uj > 0 && stats.owed_uj <= 20e6);
    queue_net net;
    queue_trial trial; /* others draw it all: that must not stop us */
    queue_net_tiny(&net, rt, HSCHED_POLICY_GPU_ONLY);
    queue_trial_make(&trial, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 1);
    queue_trial_run(&trial);
    queue_trial_free(&trial);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

/* The background thread reads by itself while there is work. */
static void work_has_meters_read(void **state)
{
    (void)state;
    const hsched_meters meters = { .known = HSCHED_METERS_USE, .use = 0.6, .name = "m" };
    hsched_runtime *rt = open_runtime(&meters);
    queue_net net;
    queue_trial trial;
    queue_net_tiny(&net, rt, HSCHED_POLICY_GPU_ONLY);
    queue_trial_make(&trial, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 1);
    uint64_t read_us = 0;
    while (read_us == 0) { /* ends when it was read once */
        queue_trial_run(&trial);
        pthread_mutex_lock(&rt->background.mutex);
        read_us = rt->background.metered_us;
        pthread_mutex_unlock(&rt->background.mutex);
    }
    assert_true(hsi_meters_period_us(rt) >= 100000);
    queue_trial_free(&trial);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

/* Also for a run that begins soon after they were read last and had gone to rest. */
static void a_long_run_has_meters_read(void **state)
{
    (void)state;
    const hsched_meters meters = { .known = HSCHED_METERS_USE, .use = 0.6, .name = "m" };
    hsched_runtime *rt = open_runtime(&meters);
    queue_net net;
    queue_trial trial;
    queue_net_tiny(&net, rt, HSCHED_POLICY_GPU_ONLY);
    queue_trial_make(&trial, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 1);
    queue_trial_run(&trial); /* what it has the thread prepare would wake that again */
    pthread_mutex_lock(&rt->background.mutex);
    rt->background.active_until_us = 0; /* as two seconds later */
    const uint64_t before_us = rt->background.metered_us = hsi_now_us();
    pthread_mutex_unlock(&rt->background.mutex);
    hsi_background_poke(rt); /* so that the thread sees that */
    assert_ok(hsched_runtime_settle(rt));
    queue_device_close_gate(QUEUE_GATE_JOBS);
    queue_trial_submit(&trial);
    uint64_t read_us = before_us;
    while (read_us == before_us) { /* ends when the thread has read them */
        sched_yield();
        pthread_mutex_lock(&rt->background.mutex);
        read_us = rt->background.metered_us;
        pthread_mutex_unlock(&rt->background.mutex);
    }
    assert_true(read_us >= before_us + 100000);
    queue_device_open_gate(QUEUE_GATE_JOBS);
    queue_trial_finish(&trial);
    queue_trial_free(&trial);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

/* ---- Profiles ---- */

/* What the scheduler goes by. */
static double core_watts(hsched_runtime *rt, uint32_t device)
{
    double watts, idle_watts;
    pthread_mutex_lock(&rt->pool->lock);
    hsi_core_get_watts(rt->core, device, &watts, &idle_watts);
    pthread_mutex_unlock(&rt->pool->lock);
    return watts;
}

/* Meters that always say the same, so that what comes out is known. */
static void a_profile_measures_watts(void **state)
{
    (void)state;
    put_file(INA "/name", "ina3221\n");
    put_file(INA "/in1_label", "VDD_CPU_CV\n");
    put_file(INA "/in1_input", "5000\n");
    put_file(INA "/curr1_input", "400\n");
    hsched_meters meters = { .known = HSCHED_METERS_WATTS, .watts = 30, .name = "m" };
    hsched_runtime *rt = open_runtime(&meters);
    queue_net net;
    double watts, idle_watts;
    hsched_profile_report report = { HSCHED_PROFILE_REPORT_INIT };
    queue_net_tiny(&net, rt, HSCHED_POLICY_GPU_ONLY);
    assert_fails(hsched_runtime_get_watts(rt, 0, &watts, &idle_watts),
                 HSCHED_ERROR_NOT_FOUND, "neither");
    assert_true(watts == 0 && idle_watts == 0);
    assert_ok(
        hsched_model_profile(net.model,
                             &(hsched_profile_config){ HSCHED_PROFILE_CONFIG_INIT,
                                                       .repetitions = 2, .seconds = 1 },
                             &report));
    assert_int_equal(report.metered, 2);
    assert_true(fabs(core_watts(rt, 0) - 2) < 1e-6 &&
                fabs(core_watts(rt, QUEUE_DEVICE) - 30) < 1e-6);
    assert_ok(hsched_runtime_get_watts(rt, 0, &watts, &idle_watts));
    assert_true(fabs(watts - 2) < 1e-6 && fabs(idle_watts - 2) < 1e-6);
    assert_ok(hsched_runtime_get_watts(rt, QUEUE_DEVICE, &watts, &idle_watts));
    assert_true(fabs(watts - 30) < 1e-6 && fabs(idle_watts - 30) < 1e-6);
    assert_fails(hsched_runtime_get_watts(rt, 2, NULL, NULL), HSCHED_ERROR_NOT_FOUND,
                 "no device 2");
    queue_net_free(&net);
    queue_runtime_close(rt);

    /* Another runtime knows them from the cache, and so may want energy. */
    queue_device_set_meters(NULL);
    rt = queue_runtime_open(
        &(queue_device_script){ 0 },
        &(hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 2,
                                  .cache_dir = folder, .policy = HSCHED_POLICY_COST,
                                  .objective = HSCHED_OBJECTIVE_ENERGY });
    assert_ok(hsched_runtime_get_watts(rt, QUEUE_DEVICE, &watts, NULL));
    assert_true(fabs(watts - 30) < 1e-6);
    queue_runtime_close(rt);
}

static void without_meters_a_profile_measures_times_only(void **state)
{
    (void)state;
    hsched_runtime *rt = open_runtime(NULL);
    queue_net net;
    hsched_profile_report report = { HSCHED_PROFILE_REPORT_INIT };
    queue_net_tiny(&net, rt, HSCHED_POLICY_GPU_ONLY);
    assert_ok(hsched_model_profile(
        net.model,
        &(hsched_profile_config){ HSCHED_PROFILE_CONFIG_INIT, .repetitions = 1 },
        &report));
    assert_int_equal(report.metered, 0);
    assert_true(report.measured > 0);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(without_meters_it_says_so),
        TEST(counters_count_from_the_beginning),
        TEST(a_counter_may_come_late),
        TEST(watts_add_up),
        TEST(use_by_others_is_load),
        TEST(our_own_use_is_no_load),
        TEST(what_is_drawn_counts),
        TEST(work_has_meters_read),
        TEST(a_long_run_has_meters_read),
        TEST(a_profile_measures_watts),
        TEST(without_meters_a_profile_measures_times_only),
    };
    return cmocka_run_group_tests_name("meters of a runtime", tests, NULL, NULL);
}
