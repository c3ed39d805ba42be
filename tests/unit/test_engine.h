/* For tests of the simulator's engine: small worlds of devices and models with round numbers. */
#ifndef TEST_ENGINE_H
#define TEST_ENGINE_H

#include "common/support.h"

#include <math.h>

#include "simulator/engine.h"

enum {
    ENGINE_SECTIONS = 24,
    ENGINE_DEVICES = 4,
    ENGINE_EVENTS = 4096
};

typedef struct engine_model {
    hsi_engine_model model;
    hsi_core_section sections[ENGINE_SECTIONS];
    hsi_placement_section places[ENGINE_SECTIONS];
    hsi_placement_problem costs;
    uint32_t deps[ENGINE_SECTIONS][ENGINE_SECTIONS],
        users[ENGINE_SECTIONS][ENGINE_SECTIONS],
        crossings[ENGINE_SECTIONS][ENGINE_SECTIONS];
    uint64_t bytes[ENGINE_SECTIONS][ENGINE_SECTIONS];
    double us[ENGINE_SECTIONS * ENGINE_DEVICES];
    hsi_curve batch[ENGINE_DEVICES];
    hsi_batch_queue queues[ENGINE_DEVICES];
} engine_model;

typedef struct engine_world {
    hsi_engine_config config;
    hsi_engine_totals totals;
    hsi_engine_job jobs[ENGINE_EVENTS]; /* runs: one number is kept */
    uint64_t job_runs[ENGINE_EVENTS];
    hsi_engine_run runs[ENGINE_EVENTS]; /* in the order of ending */
    uint32_t job_count, run_count;
} engine_world;

static inline hsched_status note_job(void *user, const hsi_engine_job *job)
{
    engine_world *w = user;
    assert_true(w->job_count < ENGINE_EVENTS);
    w->job_runs[w->job_count] = job->runs[0];
    w->jobs[w->job_count] = *job;
    w->jobs[w->job_count].runs = &w->job_runs[w->job_count];
    w->job_count++;
    return HSCHED_OK;
}

static inline hsched_status note_run(void *user, const hsi_engine_run *run)
{
    engine_world *w = user;
    assert_true(w->run_count < ENGINE_EVENTS);
    w->runs[w->run_count++] = *run;
    return HSCHED_OK;
}

/* A CPU with so many workers, and accelerators that execute so many jobs at once, of any number
 * of sections. */
static inline void engine_init(engine_world *w, uint32_t devices, uint32_t cpu_workers,
                               uint32_t lanes)
{
    memset(w, 0, sizeof *w);
    w->config = (hsi_engine_config){ .device_count = devices,
                                     .ageing_us = 200000,
                                     .active_limit = 64,
                                     .job_ended = note_job,
                                     .run_ended = note_run,
                                     .user = w };
    for (uint32_t d = 0; d < devices; d++)
        w->config.devices[d].core =
            (hsi_core_device){ .workers = d == 0 ? cpu_workers : lanes,
                               .max_sections_per_job = d == 0 ? 1 : UINT32_MAX };
}

/* Sections that read nothing of each other, and take `us` on every device. */
static inline void engine_model_init(engine_model *m, uint32_t sections, uint32_t devices,
                                     double us, const hsi_policy *policy)
{
    assert_in_range(sections, 1, ENGINE_SECTIONS);
    memset(m, 0, sizeof *m);
    for (uint32_t s = 0; s < sections; s++) {
        m->sections[s] = (hsi_core_section){ .class_bits = HSCHED_CLASS_CONVOLUTION,
                                             .device_mask = (1u << devices) - 1,
                                             .deps = m->deps[s],
                                             .users = m->users[s],
                                             .crossing_counts = m->crossings[s] };
        m->places[s] = (hsi_placement_section){ .device_mask = (1u << devices) - 1,
                                                .deps = m->deps[s],
                                                .dep_bytes = m->bytes[s] };
        for (uint32_t d = 0; d < devices; d++)
            m->us[s * devices + d] = us;
    }
    m->costs = (hsi_placement_problem){ .section_count = sections,
                                        .device_count = devices,
                                        .sections = m->places,
                                        .us = m->us };
    m->model = (hsi_engine_model){ .core = { .section_count = sections,
                                             .sections = m->sections,
                                             .policy = policy,
                                             .batch_queues = m->queues },
                                   .costs = &m->costs,
                                   .batch = m->batch };
}

/* Device 1 joins up to so many runs of the model. */
static inline void engine_model_join(engine_world *w, engine_model *m, uint32_t most)
{
    w->config.devices[1].core.max_batch = m->model.core.max_batch = most;
    m->queues[1].ready = most;
}

/* `to` reads so many bytes of `from`. */
static inline void engine_model_edge(engine_model *m, uint32_t from, uint32_t to,
                                     uint64_t bytes)
{
    hsi_core_section *user = &m->sections[to], *dep = &m->sections[from];
    m->deps[to][user->dep_count] = from;
    m->crossings[to][user->dep_count] = 1;
    m->bytes[to][user->dep_count++] = bytes;
    m->places[to].dep_count = user->dep_count;
    m->users[from][dep->user_count++] = to;
}

static inline void engine_model_chain(engine_model *m, uint32_t sections,
                                      uint32_t devices, double us,
                                      const hsi_policy *policy)
{
    engine_model_init(m, sections, devices, us, policy);
    for (uint32_t s = 1; s < sections; s++)
        engine_model_edge(m, s - 1, s, 1000);
}

/* So many runs at once, at 0. */
static inline hsi_engine_stream engine_burst(const engine_model *m, uint32_t runs)
{
    return (hsi_engine_stream){ .model = &m->model, .instances = runs, .runs = 1 };
}

static inline double engine_run(engine_world *w, const hsi_engine_stream *streams,
                                uint32_t count)
{
    w->job_count = w->run_count = 0;
    assert_ok(hsi_engine_run_all(&w->config, streams, count, &w->totals));
    return w->totals.end_us;
}

static inline void assert_us(double got, double want)
{
    if (!(fabs(got - want) <= 1e-6 * (1 + fabs(want))))
        fail_msg("%.9g us, not %.9g", got, want);
}

#endif
