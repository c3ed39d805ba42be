/*
 * Models, runs and cores for tests of the scheduler core: small DAGs written as lists of
 * edges, and steps that check what they do. Everything lives in the test; only the core
 * itself is on the heap.
 */
#ifndef TEST_CORE_MODEL_H
#define TEST_CORE_MODEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sched/core.h"

#define TEST_SECTIONS 24
#define TEST_EDGES    4
#define TEST_DEVICES  4

typedef struct test_model {
    hsi_core_model core;
    hsi_core_section sections[TEST_SECTIONS];
    uint32_t deps[TEST_SECTIONS][TEST_SECTIONS];
    uint32_t users[TEST_SECTIONS][TEST_SECTIONS];
    uint32_t crossings[TEST_SECTIONS][TEST_SECTIONS];
    hsi_batch_queue batch_queues[TEST_DEVICES];
} test_model;

typedef struct test_run {
    hsi_core_run run;
    hsi_job jobs[TEST_SECTIONS];
    hsi_core_edge edges[TEST_EDGES];
} test_run;

/* `count` sections for all of the devices, without edges. */
static inline void test_model_init(test_model *model, uint32_t count, uint32_t devices,
                                   const hsi_policy *policy)
{
    memset(model, 0, sizeof *model);
    assert_in_range(count, 1, TEST_SECTIONS);
    for (uint32_t s = 0; s < count; s++)
        model->sections[s] = (hsi_core_section){
            .class_bits = HSCHED_CLASS_MATMUL,
            .device_mask = (1u << devices) - 1,
            .deps = model->deps[s],
            .users = model->users[s],
            .crossing_counts = model->crossings[s],
        };
    model->core = (hsi_core_model){ .section_count = count,
                                    .sections = model->sections,
                                    .policy = policy,
                                    .batch_queues = model->batch_queues };
}

/* Section `to` reads `tensors` tensors of section `from`. */
static inline void test_model_edge(test_model *model, uint32_t from, uint32_t to,
                                   uint32_t tensors)
{
    assert_true(from < to && to < model->core.section_count);
    hsi_core_section *user = &model->sections[to], *dep = &model->sections[from];
    model->deps[to][user->dep_count] = from;
    model->crossings[to][user->dep_count++] = tensors;
    model->users[from][dep->user_count++] = to;
}

/* A chain 0 -> 1 -> ..., one tensor from each to the next. */
static inline void test_model_chain(test_model *model, uint32_t count, uint32_t devices,
                                    const hsi_policy *policy)
{
    test_model_init(model, count, devices, policy);
    for (uint32_t s = 1; s < count; s++)
        test_model_edge(model, s - 1, s, 1);
}

/* A CPU and these accelerators. */
static inline hsi_core *test_core_of(const hsi_core_device *accelerators, uint32_t count,
                                     uint32_t active_limit)
{
    hsi_core_config config = {
        .device_count = 1 + count,
        .devices = { { .workers = 1, .max_sections_per_job = 1 } },
        .ageing_us = 1000,
        .active_limit = active_limit,
    };
    assert_in_range(count, 0, TEST_DEVICES - 1);
    for (uint32_t d = 0; d < count; d++)
        config.devices[1 + d] = accelerators[d];
    hsi_core *core;
    assert_int_equal(hsi_core_create(&config, &core), HSCHED_OK);
    return core;
}

/* Devices with one worker; those that are not the CPU take jobs of up to `segment`
 * sections. */
static inline hsi_core *test_core(uint32_t devices, uint32_t segment,
                                  uint32_t active_limit)
{
    hsi_core_device accelerators[TEST_DEVICES];
    for (uint32_t d = 0; d < TEST_DEVICES; d++)
        accelerators[d] =
            (hsi_core_device){ .workers = 1, .max_sections_per_job = segment };
    return test_core_of(accelerators, devices - 1, active_limit);
}

static inline void test_check(const hsi_core *core)
{
    const char *wrong = hsi_core_check(core);
    if (wrong)
        fail_msg("%s", wrong);
}

/* Submits after up to TEST_EDGES others; a run may be used again when it was given out.
 */
static inline void test_submit_after(hsi_core *core, test_run *run,
                                     const test_model *model, int priority, uint64_t now,
                                     hsi_core_run *const *upstream,
                                     uint32_t upstream_count)
{
    assert_in_range(upstream_count, 0, TEST_EDGES);
    run->run.model = &model->core;
    run->run.jobs = run->jobs;
    run->run.priority = priority;
    assert_int_equal(
        hsi_core_submit(core, &run->run, upstream, run->edges, upstream_count, now),
        HSCHED_OK);
    test_check(core);
}

static inline void test_submit(hsi_core *core, test_run *run, const test_model *model,
                               int priority, uint64_t now)
{
    test_submit_after(core, run, model, priority, now, NULL, 0);
}

/* The next job of the device is this one. */
static inline hsi_job *test_take(hsi_core *core, uint32_t device, const test_run *run,
                                 uint32_t section, uint32_t count)
{
    hsi_job *job = hsi_core_take(core, device);
    assert_non_null(job);
    assert_ptr_equal(job->run, &run->run);
    assert_int_equal(job->section, section);
    assert_int_equal(job->count, count);
    assert_int_equal(job->device, device);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(job[i].state, HSI_JOB_RUNNING);
    test_check(core);
    return job;
}

static inline void test_job_ended(hsi_core *core, hsi_job *job, hsched_status status)
{
    hsi_core_job_ended(core, job, status, 0);
    test_check(core);
}

/* Takes this job and ends it well. */
static inline void test_step(hsi_core *core, uint32_t device, const test_run *run,
                             uint32_t section)
{
    test_job_ended(core, test_take(core, device, run, section, 1), HSCHED_OK);
}

static inline void test_idle(hsi_core *core, uint32_t device)
{
    assert_int_equal(hsi_core_queued(core, device), 0);
    assert_null(hsi_core_take(core, device));
}

static inline void test_ended(hsi_core *core, const test_run *run, hsched_status status)
{
    hsi_core_run *ended = hsi_core_next_ended(core);
    assert_non_null(ended);
    assert_ptr_equal(ended, &run->run);
    assert_int_equal(ended->state, HSI_RUN_ENDED);
    assert_int_equal(ended->status, status);
}

static inline void test_none_ended(hsi_core *core)
{
    assert_null(hsi_core_next_ended(core));
}

#endif
