/* What the scheduler core costs, printed; what is tested is that all runs end well. */
#include "unit/test_core_model.h"

#include "base/sync.h"

#define RUNS   1024
#define MODELS 8
#define BATCH  16

static test_model models[MODELS];
static test_run runs[RUNS];

/* Chains of sections on the CPU: a job ended, the next section distributed, the next job
 * taken. */
static void report_dispatch(void **state)
{
    (void)state;
    test_model_chain(&models[0], 20, 1, &hsi_policy_cpu_only);
    for (uint32_t in_flight = 1; in_flight <= 512; in_flight *= 8) {
        hsi_core *core = test_core(1, 1, in_flight);
        uint64_t jobs = 0, begin = hsi_now_ns();
        memset(runs, 0, sizeof runs);
        for (uint32_t i = 0; i < in_flight; i++)
            test_submit(core, &runs[i], &models[0], 0, i);
        for (; jobs < 200000; jobs++) {
            hsi_job *job = hsi_core_take(core, 0);
            assert_non_null(job);
            hsi_core_job_ended(core, job, HSCHED_OK, jobs);
            hsi_core_run *ended = hsi_core_next_ended(core);
            if (ended)
                assert_int_equal(hsi_core_submit(core, ended, NULL, NULL, 0, jobs),
                                 HSCHED_OK);
        }
        uint64_t spent = hsi_now_ns() - begin;
        print_message("%3u runs in flight: %.0f ns a dispatch\n", in_flight,
                      (double)spent / (double)jobs);
        hsi_job *job;
        while ((job = hsi_core_take(core, 0)) != NULL)
            hsi_core_job_ended(core, job, HSCHED_OK, jobs);
        while (hsi_core_next_ended(core))
            ;
        hsi_core_destroy(core);
    }
}

static uint64_t random_state;

static int random_priority(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (int)(random_state >> 33) % 201 - 100;
}

static void submit(hsi_core *core, hsi_core_run *run, int mixed, uint64_t now)
{
    run->priority = mixed ? random_priority() : 0;
    assert_int_equal(hsi_core_submit(core, run, NULL, NULL, 0, now), HSCHED_OK);
}

static void measure_batches(uint32_t in_flight, int mixed, uint32_t wait)
{
    const hsi_core_device gpu = { .workers = 2,
                                  .max_sections_per_job = UINT32_MAX,
                                  .max_batch = BATCH,
                                  .own_memory = 1 };
    hsi_core *core = test_core_of(&gpu, 1, RUNS);
    memset(runs, 0, sizeof runs);
    for (uint32_t i = 0; i < MODELS; i++) {
        test_model_chain(&models[i], 4, 2, &hsi_policy_gpu_only);
        models[i].core.max_batch = BATCH;
        models[i].core.batch_wait_us = wait;
    }
    for (uint32_t i = 0; i < in_flight; i++) {
        runs[i].run.model = &models[i % MODELS].core;
        runs[i].run.jobs = runs[i].jobs;
        submit(core, &runs[i].run, mixed, i);
    }
    uint64_t jobs = 0, batches = 0, begin = hsi_now_ns(), now = RUNS;
    for (; jobs < 200000; now++) {
        hsi_job *batch[BATCH];
        uint32_t count = hsi_core_take_batch(core, 1, batch, BATCH, now);
        jobs += count;
        batches += count > 0;
        for (uint32_t i = 0; i < count; i++)
            hsi_core_job_ended(core, batch[i], HSCHED_OK, now);
        for (uint32_t i = 0; i < count; i++)
            submit(core, hsi_core_next_ended(core), mixed, now);
    }
    uint64_t spent = hsi_now_ns() - begin;
    print_message(
        "%4u runs in flight, %s, wait %3u us: %.0f ns a run, %.1f runs a batch\n",
        in_flight, mixed ? "priorities mixed" : "equal priorities", wait,
        (double)spent / (double)jobs, (double)jobs / (double)batches);
    for (uint32_t i = 0; i < in_flight; i++)
        hsi_core_cancel(core, &runs[i].run, now);
    while (hsi_core_next_ended(core))
        ;
    hsi_core_destroy(core);
}

/* Whole runs of eight models on a device that joins them: submitted, taken in batches,
 * ended. */
static void report_batches(void **state)
{
    (void)state;
    for (uint32_t in_flight = 16; in_flight <= RUNS; in_flight *= 8)
        for (int mixed = 0; mixed < 2; mixed++)
            for (uint32_t wait = 0; wait <= 100; wait += 100)
                measure_batches(in_flight, mixed, wait);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(report_dispatch),
        cmocka_unit_test(report_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
