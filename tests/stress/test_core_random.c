/*
 * The scheduler core under seeded random events in virtual time, compared with a slow
 * model of what must happen.
 *
 * A world is a core with random devices, workers, limits and models. A small
 * discrete-event driver submits runs (with random priorities and upstream runs), lets
 * workers take jobs and end them well, with a failure or with a lost device, cancels runs
 * and loses devices. After every event the model, which knows nothing of queues and keys
 * but their definitions, says which runs must have ended and how, and which must be
 * active.
 *
 * HSCHED_TEST_SEED and HSCHED_TEST_EVENTS choose the seed and the number of events.
 */
#include "unit/test_core_model.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/sync.h"
#include "sched/internal.h"

#define RUNS             64
#define MODELS           16
#define DEVICES          4
#define WORKERS          4
#define EVENTS_PER_WORLD 6000

typedef enum section_state {
    TO_RUN = 0,
    RUNNING,
    DONE
} section_state;

typedef struct mirror { /* what the model knows of a run */
    test_run test;      /* first: the core's run is found at the same address */
    const test_model *model;
    int in_flight, active, cancelled, upstream_bad;
    int ended_before; /* this slot may be given as upstream though not in flight */
    hsched_status failure, last_status;
    uint64_t submitted, sequence;
    int64_t key;
    int priority;
    uint32_t upstream_count;
    struct mirror *upstream[TEST_EDGES];
    int upstream_open[TEST_EDGES];
    uint8_t section[TEST_SECTIONS]; /* section_state */
    uint8_t device[TEST_SECTIONS];
    uint8_t pinned[TEST_SECTIONS]; /* was on a lost device: the CPU only */
    uint32_t left, running, jobs, crossings, moved;
} mirror;

typedef struct worker {
    hsi_job *job;
    uint64_t end;
} worker;

typedef struct world {
    hsi_core *core;
    hsi_core_config config;
    uint64_t now, next_arrival, mean_interval, submissions;
    uint32_t lost;
    uint64_t jobs, crossings, moved;
    test_model models[MODELS];
    mirror runs[RUNS];
    worker workers[DEVICES][WORKERS];
    uint32_t outstanding[HSI_LEVELS], peak[HSI_LEVELS], peak_sections[HSI_LEVELS];
} world;

static world w;
static uint64_t seed, events, invalid_answers, random_state;
static uint64_t total[HSCHED_ERROR_INTERNAL + 1], total_lost, total_moved, total_invalid;

#define CHECK(condition)                                                                 \
    do {                                                                                 \
        if (!(condition))                                                                \
            fail_msg("seed %llu, event %llu: %s", (unsigned long long)seed,              \
                     (unsigned long long)events, #condition);                            \
    } while (0)

/* ---- Random things ---- */

static uint64_t random_u64(void)
{
    uint64_t z = (random_state += 0x9e3779b97f4a7c15u); /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint32_t below(uint32_t n)
{
    return (uint32_t)((random_u64() >> 32) * n >> 32);
}

static uint32_t place_anywhere(const hsi_place_query *query)
{
    CHECK((query->device_mask & w.lost) == 0);
    CHECK((query->device_mask & 1) == 1);
    CHECK((query->device_mask & ~query->model->sections[query->section].device_mask) ==
          0);
    uint32_t device;
    do
        device = below(DEVICES);
    while (!(query->device_mask >> device & 1));
    return device;
}

static uint32_t place_wrongly(const hsi_place_query *query)
{
    static const uint32_t wrong[] = { 4, 15, 16, 31, 32, 63, 64, UINT32_MAX };
    if (below(3) == 0) {
        invalid_answers++;
        return wrong[below(sizeof wrong / sizeof *wrong)];
    }
    uint32_t device = below(DEVICES);
    invalid_answers += !(query->device_mask >> device & 1);
    return device;
}

static const hsi_policy policy_random = { .name = "random", .place = place_anywhere };
static const hsi_policy policy_wrong = { .name = "wrong", .place = place_wrongly };

static void random_model(test_model *model)
{
    static const hsi_policy *const policies[] = { &hsi_policy_cpu_only,
                                                  &hsi_policy_layer_type, &policy_random,
                                                  &policy_wrong };
    uint32_t count = 1 + below(1 + below(TEST_SECTIONS));
    test_model_init(model, count, DEVICES, policies[below(4)]);
    uint32_t chained = below(11), more = below(4);
    for (uint32_t s = 0; s < count; s++) {
        model->sections[s].class_bits =
            below(2) ? HSCHED_CLASS_CONVOLUTION : 1u << below(6);
        model->sections[s].device_mask = below(4) ? UINT32_MAX : 1 | below(16);
        for (uint32_t dep = 0; dep < s; dep++)
            if (dep == s - 1 ? below(10) < chained : below(4 * s) < more)
                test_model_edge(model, dep, s, below(4));
    }
}

static int random_priority(void)
{
    switch (below(4)) {
    case 0:
        return 0;
    case 1:
        return (int)below(201) - 100;
    case 2:
        return below(2) ? HSCHED_PRIORITY_MIN : HSCHED_PRIORITY_MAX;
    default:
        return (int)below(5) - 2;
    }
}

static void world_create(void)
{
    static const uint64_t ageings[] = { 1, 40, 1000, 100000 };
    memset(&w, 0, sizeof w);
    w.config = (hsi_core_config){
        .device_count = 1 + below(DEVICES),
        .ageing_us = ageings[below(4)],
        .active_limit = 1 + below(1 + below(24)),
    };
    for (uint32_t d = 0; d < w.config.device_count; d++)
        w.config.devices[d] =
            (hsi_core_device){ 1 + below(WORKERS), d == 0 ? below(2) : below(7) };
    assert_int_equal(hsi_core_create(&w.config, &w.core), HSCHED_OK);
    for (uint32_t i = 0; i < MODELS; i++)
        random_model(&w.models[i]);
    invalid_answers = 0;
}

/* ---- The model ---- */

static int is_stopping(const mirror *m)
{
    return m->cancelled || m->failure != HSCHED_OK;
}

static int is_blocked(const mirror *m)
{
    for (uint32_t i = 0; i < m->upstream_count; i++)
        if (m->upstream_open[i])
            return 1;
    return 0;
}

static int is_ready(const mirror *m, uint32_t s, uint32_t segment)
{
    const hsi_core_section *section = &m->model->sections[s];
    for (uint32_t i = 0; i < section->dep_count; i++)
        if (section->deps[i] < segment && m->section[section->deps[i]] != DONE)
            return 0;
    return 1;
}

static int goes_before(const mirror *a, const mirror *b)
{
    return a->key != b->key ? a->key < b->key : a->sequence < b->sequence;
}

/* Admits, one by one, the best waiting run with fewer than the limit active at or above
 * it. */
static void model_admit(void)
{
    uint32_t active[HSI_LEVELS] = { 0 };
    for (uint32_t i = 0; i < RUNS; i++)
        if (w.runs[i].active)
            for (int p = w.runs[i].priority; p >= HSCHED_PRIORITY_MIN; p--)
                active[p - HSCHED_PRIORITY_MIN]++;
    for (;;) {
        mirror *best = NULL;
        for (uint32_t i = 0; i < RUNS; i++) {
            mirror *m = &w.runs[i];
            if (m->in_flight && !m->active && !is_blocked(m) &&
                active[m->priority - HSCHED_PRIORITY_MIN] < w.config.active_limit &&
                (!best || goes_before(m, best)))
                best = m;
        }
        if (!best)
            return;
        best->active = 1;
        for (int p = best->priority; p >= HSCHED_PRIORITY_MIN; p--)
            active[p - HSCHED_PRIORITY_MIN]++;
    }
}

static hsched_status expected_status(const mirror *m)
{
    if (m->upstream_bad)
        return HSCHED_ERROR_UPSTREAM;
    if (m->failure != HSCHED_OK)
        return m->failure;
    if (m->left == 0)
        return HSCHED_OK;
    CHECK(m->cancelled); /* else it ended for no reason */
    return HSCHED_ERROR_CANCELLED;
}

static void model_ended(mirror *m)
{
    const hsi_core_run *run = &m->test.run;
    CHECK(m->in_flight);
    CHECK(m->running == 0);
    CHECK(run->status == expected_status(m));
    CHECK(run->state == HSI_RUN_ENDED && run->ended_us == w.now);
    CHECK(!m->upstream_bad || m->left == m->model->core.section_count);
    CHECK(run->jobs_run == m->jobs && run->crossings == m->crossings &&
          run->moved == m->moved);
    m->in_flight = m->active = 0;
    m->ended_before = 1;
    m->last_status = run->status;
    total[run->status]++;
    w.outstanding[HSCHED_PRIORITY_MAX - m->priority]--;
    /* The storage is the caller's again. */
    memset(m->test.jobs, 0xa5, sizeof m->test.jobs);
    memset(m->test.edges, 0xa5, sizeof m->test.edges);
    for (uint32_t i = 0; i < RUNS; i++)
        for (uint32_t k = 0; k < w.runs[i].upstream_count; k++)
            if (w.runs[i].in_flight && w.runs[i].upstream_open[k] &&
                w.runs[i].upstream[k] == m) {
                w.runs[i].upstream_open[k] = 0;
                w.runs[i].upstream_bad |= run->status != HSCHED_OK;
            }
}

/* A section that may run is in a queue; records of sections agree with the model's. */
static void check_sections(const mirror *m)
{
    for (uint32_t s = 0; s < m->model->core.section_count; s++) {
        const hsi_job *job = &m->test.jobs[s];
        if (m->section[s] != TO_RUN)
            CHECK(job->state == (m->section[s] == DONE ? HSI_JOB_DONE : HSI_JOB_RUNNING));
        else if (m->active && !is_stopping(m) && is_ready(m, s, s))
            CHECK(job->state == HSI_JOB_QUEUED && job->count > 0);
        else
            CHECK(job->state == HSI_JOB_WAITING || job->state == HSI_JOB_QUEUED);
    }
}

static void after_event(void)
{
    hsi_core_run *ended;
    while ((ended = hsi_core_next_ended(w.core)) != NULL)
        model_ended((mirror *)ended);
    model_admit();
    uint32_t active = 0, waiting = 0, blocked = 0;
    for (uint32_t i = 0; i < RUNS; i++) {
        const mirror *m = &w.runs[i];
        if (!m->in_flight)
            continue;
        CHECK(!m->upstream_bad && m->left > 0);
        CHECK(!is_stopping(m) || m->running > 0);
        CHECK(m->test.run.state == (is_blocked(m) ? HSI_RUN_BLOCKED
                                    : m->active   ? HSI_RUN_ACTIVE
                                                  : HSI_RUN_WAITING));
        active += m->test.run.state == HSI_RUN_ACTIVE;
        waiting += m->test.run.state == HSI_RUN_WAITING;
        blocked += m->test.run.state == HSI_RUN_BLOCKED;
    }
    hsi_core_stats stats;
    hsi_core_get_stats(w.core, &stats);
    CHECK(stats.active_runs == active && stats.waiting_runs == waiting &&
          stats.blocked_runs == blocked);
    CHECK(stats.jobs == w.jobs && stats.crossings == w.crossings);
    CHECK(stats.jobs_moved == w.moved && stats.invalid_placements == invalid_answers);
    CHECK(hsi_core_lost_devices(w.core) == w.lost);
    if (++events % 32 != 0)
        return;
    const char *wrong = hsi_core_check(w.core);
    for (uint32_t i = 0; i < RUNS && !wrong; i++)
        if (w.runs[i].in_flight) {
            wrong = hsi_core_check_run(w.core, &w.runs[i].test.run);
            check_sections(&w.runs[i]);
        }
    if (wrong)
        fail_msg("seed %llu, event %llu: %s", (unsigned long long)seed,
                 (unsigned long long)events, wrong);
    for (uint32_t d = 0; d < w.config.device_count; d++) {
        uint32_t running = 0;
        for (uint32_t k = 0; k < w.config.devices[d].workers; k++)
            running += w.workers[d][k].job != NULL;
        CHECK(w.core->backlog[d] == hsi_core_queued(w.core, d) + running);
    }
}

/* ---- Events ---- */

static void choose_upstream(mirror *m, hsi_core_run **upstream)
{
    m->upstream_count = below(3) ? 0 : 1 + below(TEST_EDGES);
    uint32_t found = 0;
    for (uint32_t i = 0; i < m->upstream_count; i++) {
        mirror *from = found > 0 && below(8) == 0 ? m->upstream[0] : &w.runs[below(RUNS)];
        int usable = from->in_flight || (from->ended_before && below(4) == 0);
        /* An ended run that failed would end this one at once: rarely. */
        if (!from->in_flight && from->last_status != HSCHED_OK && below(8) != 0)
            usable = 0;
        if (!usable || from == m)
            continue;
        m->upstream[found] = from;
        m->upstream_open[found] = from->in_flight;
        m->upstream_bad |= !from->in_flight && from->last_status != HSCHED_OK;
        upstream[found++] = &from->test.run;
    }
    m->upstream_count = found;
}

static void event_submit(void)
{
    mirror *m = &w.runs[below(RUNS)];
    if (m->in_flight)
        return;
    hsi_core_run *upstream[TEST_EDGES];
    mirror fresh = { .test = m->test, .model = &w.models[below(MODELS)] };
    fresh.ended_before = m->ended_before;
    fresh.last_status = m->last_status;
    *m = fresh;
    choose_upstream(m, upstream);
    m->priority = random_priority();
    m->left = m->model->core.section_count;
    m->submitted = w.now;
    m->sequence = w.submissions++;
    m->key = (int64_t)w.now - m->priority * (int64_t)w.config.ageing_us;
    m->in_flight = 1;
    m->test.run.model = &m->model->core;
    m->test.run.jobs = m->test.jobs;
    m->test.run.priority = m->priority;

    uint32_t level = (uint32_t)(HSCHED_PRIORITY_MAX - m->priority);
    int may_grow =
        ++w.outstanding[level] > w.peak[level] || m->left > w.peak_sections[level];
    if (w.outstanding[level] > w.peak[level])
        w.peak[level] = w.outstanding[level];
    if (m->left > w.peak_sections[level])
        w.peak_sections[level] = m->left;
    uint64_t calls = hsi_alloc_count();
    hsched_status status = hsi_core_submit(w.core, &m->test.run, upstream, m->test.edges,
                                           m->upstream_count, w.now);
    CHECK(status == HSCHED_OK);
    CHECK(may_grow || hsi_alloc_count() == calls);
    after_event();
}

/* The queued jobs of a device that is about to be lost. */
static void model_lost(uint32_t device)
{
    if (w.lost >> device & 1)
        return;
    w.lost |= 1u << device;
    total_lost++;
    for (uint32_t i = 0; i < RUNS; i++) {
        mirror *m = &w.runs[i];
        for (uint32_t s = 0; m->in_flight && s < m->model->core.section_count; s++) {
            const hsi_job *job = &m->test.jobs[s];
            if (job->state != HSI_JOB_QUEUED || job->device != device)
                continue;
            m->pinned[s] = 1;
            m->moved += job->count > 0;
            w.moved += job->count > 0;
        }
    }
}

static hsched_status random_result(uint32_t device)
{
    if (below(3000) == 0)
        return HSCHED_ERROR_DEVICE;
    if (w.lost >> device & 1 && below(2))
        return HSCHED_ERROR_DEVICE;
    return below(400) ? HSCHED_OK
           : below(2) ? HSCHED_ERROR_IO
                      : HSCHED_ERROR_OUT_OF_MEMORY;
}

static void event_job_ended(worker *by)
{
    hsi_job *job = by->job;
    mirror *m = (mirror *)job->run;
    uint32_t first = job->section, count = job->count, device = job->device;
    hsched_status status = random_result(device);
    int lost = status == HSCHED_ERROR_DEVICE && device != 0;
    by->job = NULL;
    m->running--;
    if (lost)
        model_lost(device);
    for (uint32_t s = first; s < first + count; s++) {
        CHECK(m->section[s] == RUNNING);
        m->section[s] = status == HSCHED_OK ? DONE : TO_RUN;
        m->pinned[s] |= lost;
    }
    if (status == HSCHED_OK) {
        m->left -= count;
        m->jobs++;
        w.jobs++;
        m->crossings += job->crossings; /* checked when it was taken */
        w.crossings += job->crossings;
    } else if (!is_stopping(m)) {
        if (lost) {
            m->moved++;
            w.moved++;
        } else {
            m->failure = status;
        }
    }
    uint64_t calls = hsi_alloc_count();
    hsi_core_job_ended(w.core, job, status, w.now);
    CHECK(hsi_alloc_count() == calls);
    after_event();
}

static void event_cancel(mirror *m)
{
    if (m->in_flight && m->failure == HSCHED_OK)
        m->cancelled = 1;
    uint64_t calls = hsi_alloc_count();
    hsi_core_cancel(w.core, &m->test.run, w.now);
    CHECK(hsi_alloc_count() == calls);
    after_event();
}

static void event_device_lost(uint32_t device)
{
    if (device > 0)
        model_lost(device);
    uint64_t calls = hsi_alloc_count();
    hsi_core_device_lost(w.core, device, w.now);
    CHECK(hsi_alloc_count() == calls);
    after_event();
}

/* No job that was queued on the device should have gone before the one that was taken,
 * and none that has waited for so long that nothing newer may overtake it was overtaken.
 */
static void check_taken(uint32_t device, const hsi_job *taken, uint32_t queued_before)
{
    uint32_t queued = taken != NULL;
    const mirror *first = taken ? (const mirror *)taken->run : NULL;
    for (uint32_t i = 0; i < RUNS; i++) {
        const mirror *m = &w.runs[i];
        for (uint32_t s = 0; m->active && s < m->model->core.section_count; s++) {
            const hsi_job *job = &m->test.jobs[s];
            if (job->state != HSI_JOB_QUEUED || job->count == 0 || job->device != device)
                continue;
            queued++;
            CHECK(taken);
            CHECK(m == first ? taken->section < s : goes_before(first, m));
            uint64_t levels = (uint64_t)(HSCHED_PRIORITY_MAX - m->priority);
            CHECK(first->submitted <= m->submitted + levels * w.config.ageing_us);
        }
    }
    CHECK(queued == queued_before);
}

static void check_placement(const mirror *m, const hsi_job *job)
{
    const hsi_policy *policy = m->model->core.policy;
    for (uint32_t s = job->section; s < job->section + job->count; s++) {
        uint32_t mask = m->model->sections[s].device_mask & ~w.lost;
        CHECK(mask >> job->device & 1);
        CHECK(!m->pinned[s] || (job->device == 0 && job->count == 1));
        CHECK(policy != &hsi_policy_cpu_only || job->device == 0);
        if (policy != &hsi_policy_layer_type || m->pinned[s])
            continue;
        uint32_t expected = 0;
        if (m->model->sections[s].class_bits & HSCHED_CLASS_CONVOLUTION)
            for (uint32_t d = w.config.device_count - 1; d > 0; d--)
                if (mask >> d & 1)
                    expected = d;
        CHECK(job->device == expected);
    }
}

static void event_take(uint32_t device, worker *by)
{
    uint32_t queued = hsi_core_queued(w.core, device);
    uint64_t calls = hsi_alloc_count();
    hsi_job *job = hsi_core_take(w.core, device);
    CHECK(hsi_alloc_count() == calls);
    events++;
    if (events % 4 == 0 || !job)
        check_taken(device, job, queued);
    if (!job)
        return;
    mirror *m = (mirror *)job->run;
    CHECK(m->active && !is_stopping(m));
    CHECK(job->device == device);
    uint32_t limit = w.config.devices[device].max_sections_per_job;
    CHECK(job->count >= 1 && job->count <= (limit ? limit : 1));
    uint32_t crossings = 0;
    for (uint32_t s = job->section; s < job->section + job->count; s++) {
        const hsi_core_section *section = &m->model->sections[s];
        CHECK(m->section[s] == TO_RUN && is_ready(m, s, job->section));
        CHECK(m->test.jobs[s].state == HSI_JOB_RUNNING);
        m->section[s] = RUNNING;
        m->device[s] = (uint8_t)device;
        for (uint32_t i = 0; i < section->dep_count; i++)
            if (m->device[section->deps[i]] != device)
                crossings += section->crossing_counts[i];
    }
    CHECK(job->crossings == crossings);
    check_placement(m, job);
    m->running++;
    by->job = job;
    by->end = w.now + 1 + below(100 * job->count);
}

/* ---- The driver ---- */

static uint32_t runs_in_flight(void)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < RUNS; i++)
        count += w.runs[i].in_flight != 0;
    return count;
}

static worker *next_to_end(void)
{
    worker *next = NULL;
    for (uint32_t d = 0; d < w.config.device_count; d++)
        for (uint32_t k = 0; k < w.config.devices[d].workers; k++) {
            worker *each = &w.workers[d][k];
            if (each->job && (!next || each->end < next->end))
                next = each;
        }
    return next;
}

static void idle_workers_take(int all)
{
    for (uint32_t d = 0; d < w.config.device_count; d++)
        for (uint32_t k = 0; k < w.config.devices[d].workers; k++)
            if (!w.workers[d][k].job && (all || below(8)) &&
                (hsi_core_queued(w.core, d) > 0 || below(64) == 0))
                event_take(d, &w.workers[d][k]);
}

/* One event; closing: no new runs come. */
static void step(int closing)
{
    static const uint64_t intervals[] = { 5, 60, 250,
                                          2000 }; /* from overload to idleness */
    if (w.mean_interval == 0 || below(2000) == 0)
        w.mean_interval = intervals[below(4)];
    worker *next = next_to_end();
    if (below(150) == 0)
        event_cancel(&w.runs[below(RUNS)]);
    else if (below(10000) == 0)
        event_device_lost(below(w.config.device_count));
    else if (next && (closing || next->end <= w.next_arrival)) {
        w.now = next->end > w.now ? next->end : w.now;
        event_job_ended(next);
    } else if (!closing) {
        w.now = w.next_arrival > w.now ? w.next_arrival : w.now;
        w.next_arrival = w.now + below((uint32_t)(2 * w.mean_interval));
        event_submit();
    }
    idle_workers_take(closing);
}

static void run_world(uint64_t event_count)
{
    world_create();
    uint64_t end = events + event_count;
    while (events < end)
        step(0);
    while (runs_in_flight() > 0) {
        idle_workers_take(1);
        CHECK(next_to_end() != NULL || runs_in_flight() == 0); /* else they hang */
        step(1);
    }
    for (uint32_t d = 0; d < w.config.device_count; d++)
        CHECK(hsi_core_queued(w.core, d) == 0 && w.core->backlog[d] == 0);
    CHECK(next_to_end() == NULL);
    total_moved += w.moved;
    total_invalid += invalid_answers;
    hsi_core_destroy(w.core);
}

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static void test_random_events(void **state)
{
    (void)state;
    uint64_t first = from_environment("HSCHED_TEST_SEED", 1);
    uint64_t count = from_environment("HSCHED_TEST_EVENTS", 3000000);
    uint64_t bytes = hsi_alloc_bytes(), worlds = 0;
    print_message("first seed %llu\n", (unsigned long long)first);
    while (events < count) {
        seed = random_state = first + worlds++;
        uint64_t left = count - events;
        run_world(left < EVENTS_PER_WORLD ? left : EVENTS_PER_WORLD);
    }
    assert_int_equal(hsi_alloc_bytes(), bytes);
    print_message(
        "%llu events in %llu worlds: %llu runs ended well, %llu cancelled, %llu failed, "
        "%llu because of upstream runs; %llu devices lost, %llu jobs moved, %llu "
        "invalid placements\n",
        (unsigned long long)events, (unsigned long long)worlds,
        (unsigned long long)total[HSCHED_OK],
        (unsigned long long)total[HSCHED_ERROR_CANCELLED],
        (unsigned long long)(total[HSCHED_ERROR_IO] + total[HSCHED_ERROR_DEVICE] +
                             total[HSCHED_ERROR_OUT_OF_MEMORY]),
        (unsigned long long)total[HSCHED_ERROR_UPSTREAM], (unsigned long long)total_lost,
        (unsigned long long)total_moved, (unsigned long long)total_invalid);
    if (count >= 1000000) { /* the walk went everywhere */
        assert_true(total[HSCHED_OK] > 0 && total[HSCHED_ERROR_CANCELLED] > 0);
        assert_true(total[HSCHED_ERROR_IO] > 0 && total[HSCHED_ERROR_DEVICE] > 0);
        assert_true(total[HSCHED_ERROR_UPSTREAM] > 0 && total_invalid > 0);
        assert_true(total_lost > 0 && total_moved > 0);
    }
}

/* Not a test: what one dispatch costs (job ended, next section distributed, next job
 * taken). */
static void report_cost(void **state)
{
    (void)state;
    static test_model model;
    static test_run runs[RUNS];
    test_model_chain(&model, 20, 1, &hsi_policy_cpu_only);
    for (uint32_t in_flight = 1; in_flight <= RUNS; in_flight *= 8) {
        hsi_core *core = test_core(1, 1, in_flight);
        uint64_t jobs = 0, begin = hsi_now_ns();
        memset(runs, 0, sizeof runs);
        for (uint32_t i = 0; i < in_flight; i++)
            test_submit(core, &runs[i], &model, 0, i);
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
        print_message("%2u runs in flight: %.0f ns a dispatch\n", in_flight,
                      (double)spent / (double)jobs);
        hsi_job *job;
        while ((job = hsi_core_take(core, 0)) != NULL)
            hsi_core_job_ended(core, job, HSCHED_OK, jobs);
        hsi_core_destroy(core);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_events),
        cmocka_unit_test(report_cost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
