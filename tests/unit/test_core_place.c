/* The distributor: dependencies, devices, segments, crossings; and the policies. */
#include "unit/test_core_model.h"

/* Policies for tests: what to answer is set per section. */
static uint32_t answers[TEST_SECTIONS];
static hsi_place_query asked; /* the last one */
static uint32_t ask_count;

static uint32_t place_answers(const hsi_place_query *query)
{
    asked = *query;
    ask_count++;
    return answers[query->section];
}

static const hsi_policy scripted = { .name = "scripted", .place = place_answers };

static int setup(void **state)
{
    (void)state;
    memset(answers, 0, sizeof answers);
    ask_count = 0;
    return 0;
}

/* 0 -> {1, 2} -> 3, and 4 alone. */
static void diamond(test_model *model, uint32_t devices, const hsi_policy *policy)
{
    test_model_init(model, 5, devices, policy);
    test_model_edge(model, 0, 1, 1);
    test_model_edge(model, 0, 2, 2);
    test_model_edge(model, 1, 3, 4);
    test_model_edge(model, 2, 3, 8);
}

static void test_dependencies(void **state)
{
    (void)state;
    test_model model;
    diamond(&model, 1, &hsi_policy_cpu_only);
    hsi_core *core = test_core(1, 1, 4);
    test_run run = { 0 };
    test_submit(core, &run, &model, 0, 0);
    assert_int_equal(hsi_core_queued(core, 0), 2);
    hsi_job *first = test_take(core, 0, &run, 0, 1);
    test_step(core, 0, &run, 4);
    test_idle(core, 0);
    test_job_ended(core, first, HSCHED_OK);
    hsi_job *one = test_take(core, 0, &run, 1, 1);
    hsi_job *two = test_take(core, 0, &run, 2, 1); /* beside each other */
    test_idle(core, 0);
    test_job_ended(core, two, HSCHED_OK);
    test_idle(core, 0);
    assert_null(hsi_core_check_run(core, &run.run));
    test_job_ended(core, one, HSCHED_OK);
    test_none_ended(core);
    test_step(core, 0, &run, 3);
    test_ended(core, &run, HSCHED_OK);
    assert_int_equal(run.run.jobs_run, 5);
    assert_int_equal(run.run.crossings, 0);
    hsi_core_destroy(core);
}

/* A model may have its jobs shorter than the device would take them. */
static void test_shorter_jobs(void **state)
{
    (void)state;
    test_model model;
    test_model_init(&model, 5, 2, &scripted);
    for (uint32_t s = 0; s + 1 < 5; s++)
        test_model_edge(&model, s, s + 1, 1);
    for (uint32_t s = 0; s < 5; s++)
        answers[s] = 1;
    hsi_core *core = test_core(2, UINT32_MAX, 4);
    test_run runs[3] = { 0 };
    test_submit(core, &runs[0], &model, 0, 0);
    test_job_ended(core, test_take(core, 1, &runs[0], 0, 5), HSCHED_OK);
    test_ended(core, &runs[0], HSCHED_OK);
    model.core.max_sections_per_job = 2;
    test_submit(core, &runs[1], &model, 0, 1);
    test_job_ended(core, test_take(core, 1, &runs[1], 0, 2), HSCHED_OK);
    test_job_ended(core, test_take(core, 1, &runs[1], 2, 2), HSCHED_OK);
    test_step(core, 1, &runs[1], 4);
    test_ended(core, &runs[1], HSCHED_OK);
    model.core.max_sections_per_job = 1;
    test_submit(core, &runs[2], &model, 0, 2);
    for (uint32_t s = 0; s < 5; s++)
        test_step(core, 1, &runs[2], s);
    test_ended(core, &runs[2], HSCHED_OK);
    hsi_core_destroy(core);
}

static void test_crossings(void **state)
{
    (void)state;
    test_model model;
    diamond(&model, 3, &scripted);
    hsi_core *core = test_core(3, 1, 4);
    test_run run = { 0 };
    answers[0] = 1, answers[1] = 1, answers[2] = 2, answers[3] = 1, answers[4] = 0;
    test_submit(core, &run, &model, 0, 0);
    test_step(core, 1, &run, 0);
    test_step(core, 1, &run, 1);
    assert_int_equal(run.run.crossings, 0);
    hsi_job *job = test_take(core, 2, &run, 2, 1);
    assert_int_equal(job->crossings, 2);
    test_job_ended(core, job, HSCHED_OK);
    job = test_take(core, 1, &run, 3, 1);
    assert_int_equal(job->crossings, 8); /* section 1 ran here, section 2 did not */
    test_job_ended(core, job, HSCHED_OK);
    test_step(core, 0, &run, 4);
    test_ended(core, &run, HSCHED_OK);
    assert_int_equal(run.run.crossings, 10);
    hsi_core_stats stats;
    hsi_core_get_stats(core, &stats);
    assert_int_equal(stats.crossings, 10);
    assert_int_equal(stats.jobs, 5);
    assert_int_equal(stats.invalid_placements, 0);
    hsi_core_destroy(core);
}

static void test_policy_sees(void **state)
{
    (void)state;
    test_model model;
    test_model_init(&model, 1, 4, &scripted);
    model.sections[0].device_mask = 0xff & ~4u; /* 1, 3 and devices there are not */
    hsi_core *core = test_core(4, 1, 4);
    test_run a = { 0 }, b = { 0 }, c = { 0 };
    answers[0] = 3;
    test_submit(core, &a, &model, 0, 0);
    assert_ptr_equal(asked.model, &model.core);
    assert_int_equal(asked.section, 0);
    assert_int_equal(asked.device_mask, 0xb);
    assert_int_equal(asked.device_count, 4);
    assert_int_equal(asked.devices[3].workers, 1);
    assert_int_equal(asked.backlog[3], 1); /* read now: this very job */
    hsi_job *job = test_take(core, 3, &a, 0, 1);
    assert_int_equal(asked.backlog[3], 1);
    test_submit(core, &b, &model, 0, 0);
    assert_int_equal(asked.backlog[3], 2);
    assert_int_equal(asked.previous_device, 0);
    hsi_core_device_lost(core, 1, 0);
    test_submit(core, &c, &model, 0, 0);
    assert_int_equal(asked.device_mask, 0x9);
    test_job_ended(core, job, HSCHED_OK);
    test_step(core, 3, &b, 0);
    test_step(core, 3, &c, 0);
    assert_int_equal(asked.backlog[3], 0);
    test_ended(core, &a, HSCHED_OK);
    test_ended(core, &b, HSCHED_OK);
    test_ended(core, &c, HSCHED_OK);
    hsi_core_destroy(core);
}

static void test_invalid_answers(void **state)
{
    (void)state;
    test_model model;
    test_model_chain(&model, 4, 3, &scripted);
    model.sections[1].device_mask = 1;
    hsi_core *core = test_core(3, 1, 4);
    test_run run = { 0 };
    answers[0] = 3, answers[1] = 1, answers[2] = UINT32_MAX, answers[3] = 32;
    test_submit(core, &run, &model, 0, 0);
    for (uint32_t s = 0; s < 4; s++) {
        test_idle(core, 1);
        test_step(core, 0, &run, s);
    }
    test_ended(core, &run, HSCHED_OK);
    hsi_core_stats stats;
    hsi_core_get_stats(core, &stats);
    assert_int_equal(stats.invalid_placements, 4);
    hsi_core_destroy(core);
}

static void test_segment_of_a_chain(void **state)
{
    (void)state;
    test_model model;
    test_model_chain(&model, 8, 2, &scripted);
    hsi_core *core = test_core(2, 3, 4);
    test_run run = { 0 };
    for (uint32_t s = 0; s < 8; s++)
        answers[s] = s != 5; /* 0..2, 3..4 on device 1, 5 on the CPU, 6..7 on device 1 */
    test_submit(core, &run, &model, 0, 0);
    assert_int_equal(run.jobs[2].state, HSI_JOB_QUEUED);
    assert_int_equal(run.jobs[2].count, 0);
    assert_int_equal(run.jobs[3].state, HSI_JOB_WAITING);
    hsi_job *job = test_take(core, 1, &run, 0, 3);
    test_idle(core, 1);
    test_job_ended(core, job, HSCHED_OK);
    assert_int_equal(run.jobs[2].state, HSI_JOB_DONE);
    assert_int_equal(run.jobs[2].device, 1);
    job = test_take(core, 1, &run, 3, 2);
    assert_int_equal(job->crossings, 0);
    test_job_ended(core, job, HSCHED_OK);
    test_step(core, 0, &run, 5);
    test_job_ended(core, test_take(core, 1, &run, 6, 2), HSCHED_OK);
    test_ended(core, &run, HSCHED_OK);
    assert_int_equal(run.run.jobs_run, 4);
    assert_int_equal(run.run.crossings, 2); /* 4 -> 5 and 5 -> 6 */
    hsi_core_destroy(core);
}

/* What a segment may take in: only what waits for the segment alone, and for something.
 */
static void test_segment_of_a_dag(void **state)
{
    (void)state;
    test_model model; /* 0 -> 1 -> 2, 0 -> 2; 3 waits for nothing; 4 for 2 and 3 */
    test_model_init(&model, 5, 2, &scripted);
    test_model_edge(&model, 0, 1, 1);
    test_model_edge(&model, 0, 2, 1);
    test_model_edge(&model, 1, 2, 1);
    test_model_edge(&model, 2, 4, 1);
    test_model_edge(&model, 3, 4, 1);
    hsi_core *core = test_core(2, 8, 4);
    test_run run = { 0 };
    for (uint32_t s = 0; s < 5; s++)
        answers[s] = 1;
    test_submit(core, &run, &model, 0, 0);
    hsi_job *left =
        test_take(core, 1, &run, 0, 3); /* 3 waits for nothing: a job of its own */
    hsi_job *right = test_take(core, 1, &run, 3, 1); /* 4 waits for 2 as well */
    test_job_ended(core, right, HSCHED_OK);
    test_idle(core, 1);
    test_job_ended(core, left, HSCHED_OK);
    test_job_ended(core, test_take(core, 1, &run, 4, 1), HSCHED_OK);
    test_ended(core, &run, HSCHED_OK);

    /* Submitted again; the right branch ends first: now 4's unmet dependency is in the
     * segment. */
    answers[0] = 0;
    test_submit(core, &run, &model, 0, 0);
    test_job_ended(core, test_take(core, 1, &run, 3, 1), HSCHED_OK);
    test_step(core, 0, &run, 0);
    hsi_job *job = test_take(core, 1, &run, 1, 2); /* 3 is done and ends the segment */
    test_job_ended(core, job, HSCHED_OK);
    test_job_ended(core, test_take(core, 1, &run, 4, 1), HSCHED_OK);
    test_ended(core, &run, HSCHED_OK);
    assert_int_equal(run.run.crossings, 2);
    hsi_core_destroy(core);
}

/* What a section waits for besides the segment keeps it out of it only until it is done.
 */
static void test_segment_joins_when_the_rest_is_met(void **state)
{
    (void)state;
    test_model model; /* 2 <- 0, 1; 1 on its own root */
    test_model_init(&model, 3, 2, &scripted);
    test_model_edge(&model, 0, 2, 1);
    test_model_edge(&model, 1, 2, 1);
    hsi_core *core = test_core(2, 8, 1);
    test_run run = { 0 };
    answers[0] = 0, answers[1] = 1, answers[2] = 1;
    test_submit(core, &run, &model, 0, 0);
    hsi_job *one = test_take(core, 1, &run, 1, 1); /* 2 still waits for 0 */
    test_step(core, 0, &run, 0);
    test_idle(core, 1);
    test_job_ended(core, one, HSCHED_OK);
    test_job_ended(core, test_take(core, 1, &run, 2, 1), HSCHED_OK);
    test_ended(core, &run, HSCHED_OK);

    model.sections[1] = (hsi_core_section){ /* 0 -> 1 -> 2 <- 0 */
                                            .class_bits = 1,
                                            .device_mask = 3,
                                            .deps = model.deps[1],
                                            .users = model.users[1],
                                            .crossing_counts = model.crossings[1],
                                            .user_count = 1
    };
    test_model_edge(&model, 0, 1, 1);
    test_submit(core, &run, &model, 0, 0);
    test_step(core, 0, &run, 0);
    hsi_job *job = test_take(core, 1, &run, 1, 2);
    assert_int_equal(job->crossings, 2); /* both sections read section 0 */
    test_job_ended(core, job, HSCHED_OK);
    test_ended(core, &run, HSCHED_OK);
    hsi_core_destroy(core);
}

/* Whatever lies behind the run's records, they end where the model ends. */
static void test_segment_ends_with_the_model(void **state)
{
    (void)state;
    test_model model;
    test_model_chain(&model, 6, 2, &scripted);
    model.core.section_count = 4;
    model.sections[3].user_count = 0;
    hsi_core *core = test_core(2, 8, 1);
    test_run run = { 0 };
    run.jobs[4] = (hsi_job){ .run = &run.run, .section = 4, .pending = 1 };
    for (uint32_t s = 0; s < 6; s++)
        answers[s] = 1;
    test_submit(core, &run, &model, 0, 0);
    test_job_ended(core, test_take(core, 1, &run, 0, 4), HSCHED_OK);
    test_ended(core, &run, HSCHED_OK);
    hsi_core_destroy(core);
}

/* A section that follows but for which the policy wants another device, or gives a wrong
 * one. */
static void test_segment_asks_the_policy(void **state)
{
    (void)state;
    test_model model;
    test_model_chain(&model, 3, 3, &scripted);
    hsi_core *core = test_core(3, 8, 1);
    test_run run = { 0 };
    answers[0] = 1, answers[1] = 2, answers[2] = 77;
    test_submit(core, &run, &model, 0, 0);
    test_step(core, 1, &run, 0);
    test_step(core, 2, &run, 1);
    test_step(core, 0, &run, 2);
    test_ended(core, &run, HSCHED_OK);
    hsi_core_stats stats;
    hsi_core_get_stats(core, &stats);
    assert_int_equal(stats.invalid_placements,
                     2); /* as a follower, and when it may run */
    hsi_core_destroy(core);
}

/* The accelerator that the run's sections went to last, also within a segment; it is
 * remembered across sections on the CPU, and by each run for itself. */
static void test_previous_device(void **state)
{
    (void)state;
    test_model model;
    test_model_chain(&model, 5, 3, &scripted);
    hsi_core *core = test_core(3, 2, 4);
    test_run run = { 0 }, other = { 0 };
    answers[0] = 0, answers[1] = 2, answers[2] = 2, answers[3] = 0, answers[4] = 1;
    test_submit(core, &run, &model, 0, 0);
    assert_int_equal(asked.previous_device, 0);
    test_step(core, 0, &run, 0);
    assert_int_equal(asked.section, 2);
    assert_int_equal(asked.previous_device, 2);
    test_job_ended(core, test_take(core, 2, &run, 1, 2), HSCHED_OK);
    test_submit(core, &other, &model, 1, 0);
    assert_int_equal(asked.previous_device, 0);
    hsi_core_cancel(core, &other.run, 0);
    test_ended(core, &other, HSCHED_ERROR_CANCELLED);
    test_step(core, 0, &run, 3);
    assert_int_equal(asked.section, 4);
    assert_int_equal(asked.previous_device, 2);
    test_step(core, 1, &run, 4);
    test_ended(core, &run, HSCHED_OK);
    test_submit(core, &run, &model, 1, 0); /* again: it knows nothing of before */
    assert_int_equal(asked.previous_device, 0);
    hsi_core_cancel(core, &run.run, 0);
    hsi_core_destroy(core);
}

static uint32_t layer_type(uint32_t class_bits, uint32_t device_mask)
{
    const uint32_t backlog[4] = { 0, 100, 0, 0 };
    const hsi_core_device devices[4] = { { 1, 1 }, { 1, 1 }, { 1, 1 }, { 1, 1 } };
    hsi_core_section section = { .class_bits = class_bits, .device_mask = 0xf };
    hsi_core_model model = { "", 1, &section, &hsi_policy_layer_type };
    hsi_place_query query = { .model = &model,
                              .device_mask = device_mask,
                              .available = 0xf,
                              .device_count = 4,
                              .devices = devices,
                              .backlog = backlog };
    return hsi_policy_layer_type.place(&query);
}

static void test_policy_layer_type(void **state)
{
    (void)state;
    assert_string_equal(hsi_policy_layer_type.name, "layer_type");
    assert_int_equal(layer_type(HSCHED_CLASS_CONVOLUTION, 0xf), 1);
    assert_int_equal(layer_type(HSCHED_CLASS_CONVOLUTION, 0xd), 2);
    assert_int_equal(layer_type(HSCHED_CLASS_CONVOLUTION, 0x9), 3);
    assert_int_equal(layer_type(HSCHED_CLASS_CONVOLUTION, 0x1), 0);
    const uint32_t others[] = { HSCHED_CLASS_MATMUL, HSCHED_CLASS_POOLING,
                                HSCHED_CLASS_NORMALIZATION, HSCHED_CLASS_ELEMENTWISE,
                                HSCHED_CLASS_DATA };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_int_equal(layer_type(others[i], 0xf), 0);
        assert_true(hsi_policy_layer_type.cut(HSCHED_CLASS_CONVOLUTION, others[i]));
        assert_true(hsi_policy_layer_type.cut(others[i], HSCHED_CLASS_CONVOLUTION));
        for (size_t k = 0; k < sizeof others / sizeof *others; k++) {
            assert_false(hsi_policy_layer_type.cut(others[i], others[k]));
            assert_false(hsi_policy_cpu_only.cut(others[i], others[k]));
        }
        assert_false(hsi_policy_cpu_only.cut(HSCHED_CLASS_CONVOLUTION, others[i]));
    }
    assert_false(
        hsi_policy_layer_type.cut(HSCHED_CLASS_CONVOLUTION, HSCHED_CLASS_CONVOLUTION));
}

static uint32_t gpu_only(uint32_t previous, uint32_t device_mask, uint32_t b1,
                         uint32_t b2, uint32_t b3)
{
    const uint32_t backlog[4] = { 0, b1, b2, b3 };
    hsi_core_section section = { .class_bits = 1, .device_mask = 0xf };
    hsi_core_model model = { "", 1, &section, &hsi_policy_gpu_only };
    hsi_place_query query = { .model = &model,
                              .device_mask = device_mask,
                              .backlog = backlog,
                              .previous_device = previous };
    return hsi_policy_gpu_only.place(&query);
}

static void test_policy_gpu_only(void **state)
{
    (void)state;
    assert_string_equal(hsi_policy_gpu_only.name, "gpu_only");
    assert_int_equal(gpu_only(0, 0xf, 0, 0, 0), 1);
    assert_int_equal(gpu_only(0, 0xf, 2, 1, 1), 2);
    assert_int_equal(gpu_only(0, 0xf, 2, 1, 0), 3);
    assert_int_equal(gpu_only(0, 0xb, 1, 0, 1), 1);
    assert_int_equal(gpu_only(0, 0x1, 0, 0, 0), 0);
    assert_int_equal(gpu_only(3, 0xf, 0, 0, 9), 3);
    assert_int_equal(gpu_only(3, 0x7, 1, 0, 0), 2);
    assert_int_equal(gpu_only(3, 0x1, 0, 0, 0), 0);
    for (uint32_t a = 1; a <= HSCHED_CLASS_DATA; a *= 2)
        for (uint32_t b = 1; b <= HSCHED_CLASS_DATA; b *= 2)
            assert_false(hsi_policy_gpu_only.cut(a, b));

    /* Runs spread over the accelerators, and each keeps to its own: also after a section
     * that only the CPU takes, whatever the backlogs are then. */
    test_model model;
    test_model_chain(&model, 4, 3, &hsi_policy_gpu_only);
    model.sections[2].device_mask = 1;
    hsi_core *core = test_core(3, UINT32_MAX, 8);
    test_run a = { 0 }, b = { 0 }, c = { 0 };
    test_submit(core, &a, &model, 0, 0);
    test_submit(core, &b, &model, 0, 0);
    test_submit(core, &c, &model, 0, 0);
    hsi_job *first = test_take(core, 1, &a, 0, 2);
    test_job_ended(core, test_take(core, 2, &b, 0, 2), HSCHED_OK);
    test_job_ended(core, first, HSCHED_OK);
    first = test_take(core, 1, &c, 0, 2);
    test_step(core, 0, &a, 2);
    test_step(core, 0, &b, 2);
    test_step(core, 1, &a, 3);
    test_step(core, 2, &b, 3);
    test_job_ended(core, first, HSCHED_OK);
    test_step(core, 0, &c, 2);
    test_step(core, 1, &c, 3);
    test_ended(core, &a, HSCHED_OK);
    test_ended(core, &b, HSCHED_OK);
    test_ended(core, &c, HSCHED_OK);
    assert_int_equal(a.run.crossings, 2);
    hsi_core_destroy(core);
}

static void test_policy_cpu_only(void **state)
{
    (void)state;
    assert_string_equal(hsi_policy_cpu_only.name, "cpu_only");
    test_model model;
    test_model_chain(&model, 3, 2, &hsi_policy_cpu_only);
    hsi_core *core = test_core(2, 4, 1);
    test_run run = { 0 };
    test_submit(core, &run, &model, 0, 0);
    for (uint32_t s = 0; s < 3; s++) {
        test_idle(core, 1);
        test_step(core, 0, &run, s);
    }
    test_ended(core, &run, HSCHED_OK);
    hsi_core_destroy(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_dependencies, setup),
        cmocka_unit_test_setup(test_shorter_jobs, setup),
        cmocka_unit_test_setup(test_crossings, setup),
        cmocka_unit_test_setup(test_policy_sees, setup),
        cmocka_unit_test_setup(test_invalid_answers, setup),
        cmocka_unit_test_setup(test_segment_of_a_chain, setup),
        cmocka_unit_test_setup(test_segment_of_a_dag, setup),
        cmocka_unit_test_setup(test_segment_joins_when_the_rest_is_met, setup),
        cmocka_unit_test_setup(test_segment_ends_with_the_model, setup),
        cmocka_unit_test_setup(test_segment_asks_the_policy, setup),
        cmocka_unit_test_setup(test_previous_device, setup),
        cmocka_unit_test(test_policy_layer_type),
        cmocka_unit_test(test_policy_gpu_only),
        cmocka_unit_test(test_policy_cpu_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
