/* Joining runs: which jobs are handed out together, in what order, and when they are held
 * back. */
#include "unit/test_core_model.h"

#define RUNS 12

static uint32_t answers[TEST_SECTIONS];

static uint32_t place_answers(const hsi_place_query *query)
{
    return query->device_mask >> answers[query->section] & 1 ? answers[query->section]
                                                             : 0;
}

static const hsi_policy scripted = { .name = "scripted", .place = place_answers };

static test_model a, b, single;
static test_run runs[RUNS];

static void make_model(test_model *model, uint32_t sections, uint32_t max_batch,
                       uint32_t wait)
{
    test_model_chain(model, sections, 4, &scripted);
    model->core.max_batch = max_batch;
    model->core.batch_wait_us = wait;
}

static int setup(void **state)
{
    (void)state;
    make_model(&a, 3, 8, 0);
    make_model(&b, 2, 8, 0);
    make_model(&single, 2, 0, 0);
    memset(runs, 0, sizeof runs);
    for (uint32_t s = 0; s < TEST_SECTIONS; s++)
        answers[s] = 1;
    return 0;
}

/* Device 1 joins up to four runs and has a memory of its own, 2 joins up to eight, 3
 * none. */
static hsi_core *make_core(void)
{
    const hsi_core_device accelerators[] = {
        { .workers = 2,
          .max_sections_per_job = UINT32_MAX,
          .max_batch = 4,
          .own_memory = 1 },
        { .workers = 2, .max_sections_per_job = UINT32_MAX, .max_batch = 8 },
        { .workers = 2, .max_sections_per_job = UINT32_MAX },
    };
    return test_core_of(accelerators, 3, 1000);
}

/* Takes up to `most` at `now`, and these runs are what it gets; -1 ends the list. */
static void take(hsi_core *core, uint32_t device, uint32_t most, uint64_t now,
                 hsi_job **jobs, const int *expected)
{
    uint32_t count = 0, before = hsi_core_queued(core, device);
    while (expected[count] >= 0)
        count++;
    memset(jobs, 0, most * sizeof *jobs);
    assert_int_equal(hsi_core_take_batch(core, device, jobs, most, now), count);
    for (uint32_t i = 0; i < count; i++) {
        assert_ptr_equal(jobs[i]->run, &runs[expected[i]].run);
        assert_int_equal(jobs[i]->device, device);
        for (uint32_t s = 0; s < jobs[i]->count; s++)
            assert_int_equal(jobs[i][s].state, HSI_JOB_RUNNING);
    }
    for (uint32_t i = count; i < most; i++)
        assert_null(jobs[i]);
    assert_int_equal(hsi_core_queued(core, device), before - count);
    test_check(core);
}

#define TAKE(core, device, most, now, jobs, ...)                                         \
    take(core, device, most, now, jobs, (const int[]){ __VA_ARGS__, -1 })
#define TAKE_NONE(core, device, now)                                                     \
    take(core, device, RUNS, now, (hsi_job *[RUNS]){ NULL }, (const int[]){ -1 })

static void end_all(hsi_core *core, hsi_job **jobs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        test_run *run = (test_run *)jobs[i]->run;
        test_job_ended(core, jobs[i], HSCHED_OK);
        test_ended(core, run, HSCHED_OK);
    }
}

/* The best first, then by key; no more than the device, the model and the caller take. */
static void test_limits_and_order(void **state)
{
    (void)state;
    hsi_core *core = make_core();
    hsi_job *jobs[RUNS];
    static const int priorities[RUNS] = { 0, 5, -3, 0, 5, -9, 7, 0, 1, 0, 5, 6 };
    for (uint32_t i = 0; i < RUNS; i++)
        test_submit(core, &runs[i], &a, priorities[i], 100);
    TAKE_NONE(core, 2, 100);
    TAKE_NONE(core, 99, 100);
    assert_int_equal(hsi_core_take_batch(core, 1, jobs, 0, 100), 0);
    TAKE(core, 1, RUNS, 100, jobs, 6, 11, 1, 4);
    assert_int_equal(jobs[0]->count, 3);
    end_all(core, jobs, 4);
    TAKE(core, 1, 3, 100, jobs, 10, 8, 0);
    end_all(core, jobs, 3);
    TAKE(core, 1, 1, 100, jobs, 3);
    end_all(core, jobs, 1);
    TAKE(core, 1, RUNS, 100, jobs, 7, 9, 2, 5);
    end_all(core, jobs, 4);
    TAKE_NONE(core, 1, 100);
    make_model(&b, 2, 3, 0);
    for (uint32_t i = 0; i < 5; i++)
        test_submit(core, &runs[i], &b, 0, 100);
    TAKE(core, 1, RUNS, 100, jobs, 0, 1, 2);
    end_all(core, jobs, 3);
    TAKE(core, 1, RUNS, 100, jobs, 3, 4);
    end_all(core, jobs, 2);
    for (uint32_t s = 0; s < 3; s++)
        answers[s] = 2;
    for (uint32_t i = 0; i < RUNS; i++)
        test_submit(core, &runs[i], &a, 0, 100);
    TAKE(core, 2, RUNS, 100, jobs, 0, 1, 2, 3, 4, 5, 6, 7);
    end_all(core, jobs, 8);
    TAKE(core, 2, RUNS, 100, jobs, 8, 9, 10, 11);
    end_all(core, jobs, 4);
    hsi_core_destroy(core);
}

/* What the caller says is ready limits what is taken now, not what is waited for. */
static void test_ready(void **state)
{
    (void)state;
    hsi_core *core = make_core();
    hsi_job *jobs[RUNS];
    make_model(&a, 3, 8, 100);
    a.batch_queues[1].ready = 1;
    a.batch_queues[2].ready = 2; /* of another device */
    for (uint32_t i = 0; i < 3; i++)
        test_submit(core, &runs[i], &a, 0, 1000);
    TAKE_NONE(core, 1, 1099);
    TAKE(core, 1, RUNS, 1100, jobs, 0);
    a.batch_queues[1].ready = 2;
    TAKE(core, 1, 4, 1100, &jobs[1], 1, 2);
    end_all(core, jobs, 3);
    for (uint32_t i = 0; i < 5; i++)
        test_submit(core, &runs[i], &a, 0, 2000);
    TAKE(core, 1, 2, 2000, jobs, 0, 1); /* 5: full; then 3: not */
    TAKE_NONE(core, 1, 2099);
    a.batch_queues[1].ready = 9;
    TAKE(core, 1, 4, 2100, &jobs[2], 2, 3, 4);
    end_all(core, jobs, 5);
    hsi_core_destroy(core);
}

/* Runs of one model only; the other's keep their place. Riders may be less urgent. */
static void test_models_apart(void **state)
{
    (void)state;
    hsi_core *core = make_core();
    hsi_job *jobs[RUNS];
    test_submit(core, &runs[0], &a, 0, 0);
    test_submit(core, &runs[1], &b, 0, 1);
    test_submit(core, &runs[2], &a, -50, 2);
    test_submit(core, &runs[3], &single, 0, 3);
    test_submit(core, &runs[4], &b, 0, 4);
    test_submit(core, &runs[5], &single, 0, 5);
    test_submit(core, &runs[6], &a, -60, 6);
    assert_int_equal(hsi_core_next_due(core, 1), 0);
    TAKE(core, 1, RUNS, 0, jobs, 0, 2, 6);
    end_all(core, jobs, 3);
    TAKE(core, 1, RUNS, 0, jobs, 1, 4);
    end_all(core, jobs, 2);
    TAKE(core, 1, RUNS, 0, jobs, 3);
    end_all(core, jobs, 1);
    TAKE(core, 1, RUNS, 0, jobs, 5);
    end_all(core, jobs, 1);
    assert_int_equal(hsi_core_next_due(core, 1), UINT64_MAX);
    assert_int_equal(hsi_core_next_due(core, 99), UINT64_MAX);
    hsi_core_destroy(core);
}

/* What is joined: whole runs, on a device and of a model that allow it. */
static void test_what_is_not_joined(void **state)
{
    (void)state;
    hsi_core *core = make_core();
    hsi_job *jobs[RUNS];
    test_model unequipped;
    make_model(&unequipped, 3, 8, 50);
    unequipped.core.batch_queues = NULL;
    make_model(&single, 2, 1, 50); /* nor held back */
    for (uint32_t i = 0; i < 2; i++) {
        answers[2] = 0; /* begins at the first section, but not all of it */
        test_submit(core, &runs[i], &a, 9, 0);
        answers[2] = 1, answers[0] = 0; /* all but the first section */
        test_submit(core, &runs[2 + i], &a, 8, 0);
        test_step(core, 0, &runs[2 + i], 0);
        answers[0] = 1;
        test_submit(core, &runs[4 + i], &unequipped, 7, 0);
        test_submit(core, &runs[6 + i], &single, 6, 0);
        for (uint32_t s = 0; s < 3; s++)
            answers[s] = 3;
        test_submit(core, &runs[8 + i], &a, 5, 0);
        for (uint32_t s = 0; s < 3; s++)
            answers[s] = 1;
    }
    for (int i = 0; i < 2; i++) {
        TAKE(core, 1, RUNS, 0, jobs, i);
        assert_int_equal(jobs[0]->count, 2);
        test_job_ended(core, jobs[0], HSCHED_OK);
        test_job_ended(core, test_take(core, 1, &runs[i], 2, 1), HSCHED_OK);
        test_ended(core, &runs[i], HSCHED_OK);
    }
    for (int i = 2; i < 8; i++) {
        TAKE(core, 1, RUNS, 0, jobs, i);
        end_all(core, jobs, 1);
    }
    for (int i = 8; i < 10; i++) {
        TAKE(core, 3, RUNS, 0, jobs, i);
        end_all(core, jobs, 1);
    }
    hsi_core_destroy(core);
}

/* hsi_core_take is a batch of one. */
static void test_take_single(void **state)
{
    (void)state;
    hsi_core *core = make_core();
    test_submit(core, &runs[0], &a, 0, 0);
    test_submit(core, &runs[1], &b, 1, 0);
    test_submit(core, &runs[2], &a, 2, 0);
    hsi_job *two = test_take(core, 1, &runs[2], 0, 3);
    hsi_job *one = test_take(core, 1, &runs[1], 0, 2);
    hsi_job *zero = test_take(core, 1, &runs[0], 0, 3);
    test_idle(core, 1);
    end_all(core, (hsi_job *[]){ two, one, zero }, 3);
    hsi_core_destroy(core);
}

/* Runs that are cancelled leave from the front, the middle and the end. */
static void test_cancel_leaves_the_queue(void **state)
{
    (void)state;
    hsi_core *core = make_core();
    hsi_job *jobs[RUNS];
    for (uint32_t i = 0; i < 6; i++)
        test_submit(core, &runs[i], &a, 0, i);
    test_submit(core, &runs[6], &b, -1, 6);
    static const int cancelled[] = { 0, 3, 5 };
    for (uint32_t i = 0; i < 3; i++) {
        hsi_core_cancel(core, &runs[cancelled[i]].run, 10);
        test_check(core);
        test_ended(core, &runs[cancelled[i]], HSCHED_ERROR_CANCELLED);
    }
    TAKE(core, 1, RUNS, 10, jobs, 1, 2, 4);
    hsi_core_cancel(core, &runs[2].run, 11); /* running: too late */
    end_all(core, jobs, 3);
    hsi_core_cancel(core, &runs[6].run, 12);
    test_ended(core, &runs[6], HSCHED_ERROR_CANCELLED);
    TAKE_NONE(core, 1, 12);
    hsi_core_destroy(core);
}

/* Each job of a batch ends for itself, in any order and any way. */
static void test_jobs_end_apart(void **state)
{
    (void)state;
    hsi_core *core = make_core();
    hsi_job *jobs[RUNS];
    for (uint32_t i = 0; i < 4; i++)
        test_submit(core, &runs[i], &a, 0, i);
    TAKE(core, 1, RUNS, 10, jobs, 0, 1, 2, 3);
    test_job_ended(core, jobs[2], HSCHED_OK);
    test_ended(core, &runs[2], HSCHED_OK);
    test_job_ended(core, jobs[0], HSCHED_ERROR_OUT_OF_MEMORY);
    hsi_core_cancel(core, &runs[3].run, 11);
    test_job_ended(core, jobs[3], HSCHED_ERROR_OUT_OF_MEMORY);
    test_ended(core, &runs[3], HSCHED_ERROR_CANCELLED);
    test_job_ended(core, jobs[1], HSCHED_OK);
    test_ended(core, &runs[1], HSCHED_OK);
    for (uint32_t s = 0; s < 3; s++)
        test_step(core, 0, &runs[0], s);
    test_ended(core, &runs[0], HSCHED_OK);
    assert_int_equal(runs[0].run.restarts, 1);
    hsi_core_destroy(core);
}

/* ---- Holding back ---- */

static void test_held_until_due(void **state)
{
    (void)state;
    hsi_core *core = make_core();
    hsi_job *jobs[RUNS];
    make_model(&a, 3, 8, 100);
    test_submit(core, &runs[0], &a, 0, 1000);
    assert_int_equal(hsi_core_queued(core, 1), 1);
    TAKE_NONE(core, 1, 1000);
    assert_null(hsi_core_take(core, 1));
    assert_int_equal(hsi_core_next_due(core, 1), 1100);
    assert_int_equal(hsi_core_next_due(core, 2), UINT64_MAX);
    test_submit(core, &runs[1], &a, 1, 1050); /* the better one, but due later */
    assert_int_equal(hsi_core_next_due(core, 1), 1100);
    TAKE_NONE(core, 1, 1099);
    TAKE(core, 1, RUNS, 1100, jobs, 1, 0);
    assert_int_equal(hsi_core_next_due(core, 1), UINT64_MAX);
    end_all(core, jobs, 2);
    /* Submitted earlier than wait ago, admitted now: nothing to wait for. */
    test_submit(core, &runs[2], &b, 0, 2000);
    test_submit_after(core, &runs[3], &a, 0, 2000, (hsi_core_run *[]){ &runs[2].run }, 1);
    TAKE(core, 1, RUNS, 2500, jobs, 2);
    end_all(core, jobs, 1);
    assert_int_equal(hsi_core_next_due(core, 1), 0);
    TAKE(core, 1, RUNS, 2500, jobs, 3);
    end_all(core, jobs, 1);
    hsi_core_destroy(core);
}

/* Full for the device (4) and the model: at once; what is left is held anew. */
static void test_full_goes_at_once(void **state)
{
    (void)state;
    for (uint32_t limit = 2; limit <= 5; limit++) {
        setup(state);
        hsi_core *core = make_core();
        hsi_job *jobs[RUNS];
        uint32_t full = limit < 4 ? limit : 4;
        make_model(&a, 3, limit, 100);
        for (uint32_t i = 0; i <= full; i++) {
            if (i < full)
                TAKE_NONE(core, 1, 1000 + i);
            test_submit(core, &runs[i], &a, 0, 1000 + i);
        }
        assert_int_equal(hsi_core_next_due(core, 1), 0);
        assert_int_equal(hsi_core_take_batch(core, 1, jobs, RUNS, 1010), full);
        test_check(core);
        end_all(core, jobs, full);
        assert_int_equal(hsi_core_next_due(core, 1), 1100 + full);
        TAKE_NONE(core, 1, 1099 + full);
        TAKE(core, 1, RUNS, 1100 + full, jobs, (int)full);
        end_all(core, jobs, 1);
        hsi_core_destroy(core);
    }
}

static void test_held_blocks_nobody(void **state)
{
    (void)state;
    hsi_core *core = make_core();
    hsi_job *jobs[RUNS];
    make_model(&a, 3, 8, 100);
    make_model(&b, 2, 8, 300);
    test_submit(core, &runs[0], &a, 50, 1000);
    test_submit(core, &runs[1], &b, 20, 1001);
    test_submit(core, &runs[2], &single, -50, 1002);
    answers[2] = 0; /* only the first two sections of a: not a whole run, not held */
    test_submit(core, &runs[3], &a, -60, 1003);
    assert_int_equal(hsi_core_next_due(core, 1), 0);
    TAKE(core, 1, RUNS, 1003, jobs, 2);
    end_all(core, jobs, 1);
    TAKE(core, 1, RUNS, 1003, jobs, 3);
    assert_int_equal(hsi_core_next_due(core, 1), 1100);
    TAKE_NONE(core, 1, 1050);
    TAKE(core, 1, 2, 1301, &jobs[1], 0); /* both are due: by key */
    TAKE(core, 1, 2, 1301, &jobs[2], 1);
    test_job_ended(core, jobs[0], HSCHED_OK);
    test_step(core, 0, &runs[3], 2);
    test_ended(core, &runs[3], HSCHED_OK);
    end_all(core, &jobs[1], 2);
    hsi_core_destroy(core);
}

/* The one that was due leaves: the others are held until they are due themselves. */
static void test_due_run_is_cancelled(void **state)
{
    (void)state;
    hsi_core *core = make_core();
    hsi_job *jobs[RUNS];
    make_model(&a, 3, 3, 100);
    test_submit(core, &runs[0], &a, -1, 1000);
    test_submit(core, &runs[1], &a, 0, 1020);
    test_submit(core, &runs[2], &b, 9, 1020);
    TAKE(core, 1, RUNS, 1105, jobs, 2); /* b first; a is due too */
    assert_int_equal(hsi_core_next_due(core, 1), 0);
    hsi_core_cancel(core, &runs[0].run, 1106);
    test_check(core);
    test_ended(core, &runs[0], HSCHED_ERROR_CANCELLED);
    assert_int_equal(hsi_core_next_due(core, 1), 1120);
    TAKE_NONE(core, 1, 1119);
    end_all(core, jobs, 1);
    /* Full, then no longer. */
    test_submit(core, &runs[3], &a, 0, 1119);
    test_submit(core, &runs[4], &a, 5, 1119);
    assert_int_equal(hsi_core_next_due(core, 1), 0);
    hsi_core_cancel(core, &runs[1].run, 1119);
    test_check(core);
    test_ended(core, &runs[1], HSCHED_ERROR_CANCELLED);
    assert_int_equal(hsi_core_next_due(core, 1), 1219);
    hsi_core_cancel(core, &runs[3].run, 1119);
    hsi_core_cancel(core, &runs[4].run, 1119); /* all of a held queue */
    test_check(core);
    test_ended(core, &runs[3], HSCHED_ERROR_CANCELLED);
    test_ended(core, &runs[4], HSCHED_ERROR_CANCELLED);
    assert_int_equal(hsi_core_next_due(core, 1), UINT64_MAX);
    TAKE_NONE(core, 1, 5000);
    hsi_core_destroy(core);
}

/* ---- Beside batches that are executing ---- */

/* Two batches of a model at most; the second is held until nobody has come for 10 us, at most
 * 50 us from its first run on. */
static hsi_core *make_patient_core(void)
{
    const hsi_core_device accelerator = { .workers = 4,
                                          .max_sections_per_job = UINT32_MAX,
                                          .max_batch = 4,
                                          .max_batches = 2,
                                          .join_gap_us = 10,
                                          .join_most_us = 50 };
    return test_core_of(&accelerator, 1, 1000);
}

static void test_joins_beside_a_batch(void **state)
{
    (void)state;
    hsi_core *core = make_patient_core();
    hsi_job *jobs[RUNS];
    test_submit(core, &runs[0], &a, 0, 100);
    TAKE(core, 1, RUNS, 100, jobs, 0); /* nothing is executing: at once */
    test_submit(core, &runs[1], &a, 0, 101);
    assert_int_equal(hsi_core_next_due(core, 1), 111);
    TAKE_NONE(core, 1, 105);
    test_submit(core, &runs[2], &a, 0, 109); /* the gap begins anew */
    assert_int_equal(hsi_core_next_due(core, 1), 119);
    test_submit(core, &runs[3], &b, 0, 110); /* another model: at once */
    TAKE(core, 1, 4, 110, &jobs[1], 3);
    TAKE_NONE(core, 1, 118);
    TAKE(core, 1, 4, 119, &jobs[2], 1, 2);
    /* Two are executing: until one has ended, be it the later one. */
    test_submit(core, &runs[4], &a, 0, 120);
    assert_int_equal(hsi_core_next_due(core, 1), UINT64_MAX);
    TAKE_NONE(core, 1, 5000);
    end_all(core, &jobs[2], 2);
    TAKE(core, 1, 4, 5000, &jobs[2], 4);
    end_all(core, jobs, 3);
    hsi_core_destroy(core);
}

/* However closely they come, the first is held no longer than that; a full batch is not held. */
static void test_joining_ends(void **state)
{
    (void)state;
    hsi_core *core = make_patient_core();
    hsi_job *jobs[RUNS];
    a.core.max_batch = 8;
    test_submit(core, &runs[0], &a, 0, 100);
    TAKE(core, 1, RUNS, 100, jobs, 0);
    test_submit(core, &runs[1], &a, 0, 200);
    test_submit(core, &runs[2], &a, 0, 245);
    assert_int_equal(hsi_core_next_due(core, 1), 250);
    TAKE_NONE(core, 1, 249);
    TAKE(core, 1, 4, 250, &jobs[1], 1, 2);
    for (uint32_t i = 3; i < 6; i++)
        test_submit(core, &runs[i], &a, 0, 251);
    TAKE_NONE(core, 1, 251);
    test_submit(core, &runs[6], &a, 0, 252);
    TAKE(core, 1, 4, 252, &jobs[3], 3, 4, 5, 6);
    test_submit(core, &runs[7], &a, 0, 253);
    TAKE_NONE(core, 1, 9000); /* three are executing now */
    end_all(core, jobs, 1);
    TAKE_NONE(core, 1, 9000); /* two */
    hsi_core_cancel(core, &runs[7].run, 9001);
    test_ended(core, &runs[7], HSCHED_ERROR_CANCELLED);
    assert_int_equal(hsi_core_next_due(core, 1), UINT64_MAX);
    end_all(core, &jobs[1], 6);
    hsi_core_destroy(core);
}

/* What is more urgent than all that is executing starts at once; what cannot be joined, too. */
static void test_urgent_starts_beside(void **state)
{
    (void)state;
    hsi_core *core = make_patient_core();
    hsi_job *jobs[RUNS];
    test_submit(core, &runs[0], &a, 3, 100);
    TAKE(core, 1, RUNS, 100, jobs, 0);
    test_submit(core, &runs[1], &a, 3, 101);
    TAKE_NONE(core, 1, 101);
    test_submit(core, &runs[2], &a, 4, 102);
    TAKE(core, 1, 4, 102, &jobs[1], 2, 1); /* who was held rides along */
    test_submit(core, &runs[3], &a, 4, 103);
    TAKE_NONE(core, 1, 9000);
    hsi_core_set_ready(core, &a.core, 1, 1);
    test_check(core);
    assert_int_equal(hsi_core_next_due(core, 1), 0);
    TAKE(core, 1, 4, 9000, &jobs[3], 3);
    test_submit(core, &runs[4], &a, 4, 9001);
    hsi_core_set_ready(core, &a.core, 1, 2);
    test_check(core);
    TAKE_NONE(core, 1, 9001);
    end_all(core, jobs, 4);
    TAKE(core, 1, RUNS, 9002, jobs, 4);
    end_all(core, jobs, 1);
    hsi_core_destroy(core);
}

/* ---- Lost devices ---- */

/* Queued and held ones: with its own memory (1) runs are restarted, else (2) jobs move. */
static void test_lost_with_queues(void **state)
{
    (void)state;
    for (uint32_t device = 1; device <= 2; device++) {
        setup(state);
        hsi_core *core = make_core();
        hsi_job *jobs[RUNS];
        hsi_core_stats stats;
        make_model(&a, 3, 8, 100);
        for (uint32_t s = 0; s < 3; s++)
            answers[s] = device;
        for (uint32_t i = 0; i < 3; i++)
            test_submit(core, &runs[i], &a, 9, 1000);
        TAKE(core, device, RUNS, 1100, jobs, 0, 1, 2);
        for (uint32_t i = 3; i < 6; i++)
            test_submit(core, &runs[i], &a, 9, 1100);
        for (uint32_t i = 6; i < 9; i++)
            test_submit(core, &runs[i], &b, 8, 1100);
        TAKE_NONE(core, 0, 1100);
        test_job_ended(core, jobs[1], HSCHED_OK);
        test_ended(core, &runs[1], HSCHED_OK);
        test_job_ended(core, jobs[0], HSCHED_ERROR_DEVICE);
        test_idle(core, device);
        assert_int_equal(hsi_core_next_due(core, device), UINT64_MAX);
        test_job_ended(core, jobs[2], HSCHED_ERROR_DEVICE);
        static const int left[] = { 0, 2, 3, 4, 5, 6, 7, 8 };
        for (uint32_t i = 0; i < 8; i++) {
            for (uint32_t s = 0; s < (i < 5 ? 3 : 2); s++)
                test_step(core, 0, &runs[left[i]], s);
            test_ended(core, &runs[left[i]], HSCHED_OK);
            assert_int_equal(runs[left[i]].run.restarts, device == 1);
        }
        hsi_core_get_stats(core, &stats);
        assert_int_equal(stats.jobs_moved, 8);
        assert_int_equal(stats.restarts, device == 1 ? 8 : 0);
        hsi_core_destroy(core);
    }
}

/* ---- Whole runs ---- */

/* Sections that wait for nothing follow where runs of the model are joined, else not; a
 * lost device's job falls apart into both. */
static void test_roots_join(void **state)
{
    (void)state;
    hsi_core *core = make_core();
    hsi_job *jobs[RUNS];
    test_model two; /* 0 -> 2 <- 1, 3 alone */
    test_model_init(&two, 4, 4, &scripted);
    test_model_edge(&two, 0, 2, 1);
    test_model_edge(&two, 1, 2, 1);
    for (uint32_t s = 0; s < 4; s++)
        answers[s] = 2;
    test_submit(core, &runs[0], &two, 0, 0);
    assert_int_equal(hsi_core_queued(core, 2), 3);
    hsi_core_cancel(core, &runs[0].run, 0);
    test_ended(core, &runs[0], HSCHED_ERROR_CANCELLED);
    two.core.max_batch = 2;
    test_submit(core, &runs[0], &two, 0, 0);
    test_submit(core, &runs[1], &two, 0, 0);
    assert_int_equal(hsi_core_queued(core, 2), 2);
    assert_null(hsi_core_check_run(core, &runs[0].run));
    TAKE(core, 2, RUNS, 0, jobs, 0, 1);
    assert_int_equal(jobs[1]->count, 4);
    test_job_ended(core, jobs[0], HSCHED_OK);
    test_ended(core, &runs[0], HSCHED_OK);
    test_job_ended(core, jobs[1], HSCHED_ERROR_DEVICE);
    assert_null(hsi_core_check_run(core, &runs[1].run));
    assert_int_equal(hsi_core_queued(core, 0), 3);
    test_step(core, 0, &runs[1], 0);
    test_step(core, 0, &runs[1], 1);
    test_step(core, 0, &runs[1], 2);
    test_step(core, 0, &runs[1], 3);
    test_ended(core, &runs[1], HSCHED_OK);
    assert_int_equal(runs[1].run.moved, 1);
    hsi_core_destroy(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_limits_and_order, setup),
        cmocka_unit_test_setup(test_ready, setup),
        cmocka_unit_test_setup(test_models_apart, setup),
        cmocka_unit_test_setup(test_what_is_not_joined, setup),
        cmocka_unit_test_setup(test_take_single, setup),
        cmocka_unit_test_setup(test_cancel_leaves_the_queue, setup),
        cmocka_unit_test_setup(test_jobs_end_apart, setup),
        cmocka_unit_test_setup(test_held_until_due, setup),
        cmocka_unit_test_setup(test_full_goes_at_once, setup),
        cmocka_unit_test_setup(test_held_blocks_nobody, setup),
        cmocka_unit_test_setup(test_due_run_is_cancelled, setup),
        cmocka_unit_test_setup(test_joins_beside_a_batch, setup),
        cmocka_unit_test_setup(test_joining_ends, setup),
        cmocka_unit_test_setup(test_urgent_starts_beside, setup),
        cmocka_unit_test_setup(test_lost_with_queues, setup),
        cmocka_unit_test_setup(test_roots_join, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
