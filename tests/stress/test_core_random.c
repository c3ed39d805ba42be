/*
 * The scheduler core under seeded random events in virtual time, compared with a slow
 * model of what must happen.
 *
 * A world is a core with random devices, workers, limits and models. A small
 * discrete-event driver submits runs (with random priorities and upstream runs), lets
 * workers take jobs, one or a batch, and end them well, with a failure or with a lost
 * device, cancels runs and loses devices. After every event the model, which knows nothing
 * of queues and keys but their definitions, says which runs must have ended and how, which
 * must be active and which have been restarted; before every take it says which jobs it
 * will give.
 *
 * HSCHED_TEST_SEED and HSCHED_TEST_EVENTS choose the seed and the number of events.
 */
#include "unit/test_core_model.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "sched/internal.h"
#include "sched/policy_cost.h"
#include "stress/power_model.h"

#define RUNS             64
#define MODELS           16
#define DEVICES          4
#define WORKERS          4
#define BATCH            6
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
    int missed;       /* its deadline */
    int ended_before; /* this slot may be given as upstream though not in flight */
    hsched_status failure, last_status;
    uint64_t submitted, sequence;
    uint64_t deadline; /* 0: none */
    int drop_late;
    int64_t key;
    int priority;
    uint32_t upstream_count;
    struct mirror *upstream[TEST_EDGES];
    int upstream_open[TEST_EDGES];
    uint8_t section[TEST_SECTIONS]; /* section_state */
    uint8_t device[TEST_SECTIONS];
    uint32_t job_of[TEST_SECTIONS]; /* running: the first section of its job */
    uint8_t pinned[TEST_SECTIONS];  /* was on a lost device: the CPU only */
    int restarting;
    int leads;            /* the first of a batch that is executing */
    uint32_t accelerator; /* the first that took a job of it, 0: none */
    uint32_t left, running, jobs, crossings, moved, restarts;
} mirror;

typedef struct worker {
    hsi_job *jobs[BATCH];
    uint32_t count;
    uint32_t taken, done; /* jobs that it took, and sections of them done before */
    uint64_t end;
    const mirror *leads; /* of what it took, the first, which has not ended; or NULL */
} worker;

/* A batch that has paused. */
typedef struct pause {
    hsi_job *jobs[BATCH];
    uint32_t count, device, done;
} pause;

typedef struct world {
    hsi_core *core;
    hsi_core_config config;
    uint64_t now, next_arrival, mean_interval, submissions;
    uint32_t lost;
    uint64_t jobs, crossings, moved, restarts, missed, dropped;
    test_model models[MODELS];
    uint32_t most_jobs[MODELS]; /* of a run at the same time */
    int joining;                /* much is joined: few models, slow accelerators */
    uint32_t slowness[DEVICES]; /* of a section, at most */
    uint8_t followed[MODELS];   /* the core's */
    mirror runs[RUNS];
    worker workers[DEVICES][WORKERS];
    pause pauses[RUNS];
    uint32_t pause_count;
    uint64_t in_use_until[HSI_LEVELS];
    uint32_t outstanding[HSI_LEVELS], peak[HSI_LEVELS], peak_jobs[HSI_LEVELS];
    uint32_t peak_deadlines;
    power_model power;
} world;

/* Of a model on a device: batches that are executing, and the highest priority in them since
 * there were none. */
typedef struct executing {
    uint32_t batches;
    int priority;
} executing;

static world w;
static executing executing_of[MODELS][DEVICES];
static uint64_t seed, events, invalid_answers, random_state;
static uint64_t total[HSCHED_ERROR_DEADLINE + 1], total_lost, total_moved, total_invalid;
static uint64_t total_paused, total_released, total_barred;
static uint64_t total_kept_back, total_overdrawn, total_gathered;
static uint64_t total_missed, total_restarts, total_joined, total_rode_along,
    total_overtook_held;

#define CHECK(condition)                                                                 \
    do {                                                                                 \
        if (!(condition))                                                                \
            fail_msg("seed %llu, event %llu: %s", (unsigned long long)seed,              \
                     (unsigned long long)events, #condition);                            \
    } while (0)

static executing *executing_on(const mirror *m, uint32_t device)
{
    return &executing_of[m->model - w.models][device];
}

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

/* The sections of the longest chain that begins with this one. */
static uint32_t longest_chain(const test_model *model, uint32_t section)
{
    uint32_t longest = 0;
    for (uint32_t s = section + 1; s < model->core.section_count; s++)
        for (uint32_t i = 0; i < model->sections[s].dep_count; i++)
            if (model->sections[s].deps[i] == section) {
                uint32_t length = longest_chain(model, s);
                if (length > longest)
                    longest = length;
            }
    return longest + 1;
}

/* What the policy `cost` chooses from: any placements at any price. */
typedef struct random_choices {
    hsi_choices choices;
    uint8_t devices[HSI_CHOICES_MAX][TEST_SECTIONS];
    float rest_us[HSI_CHOICES_MAX][TEST_SECTIONS * (DEVICES + 1)];
    float section_us[TEST_SECTIONS * DEVICES];
} random_choices;

static random_choices choices_of[MODELS];

static void random_choice(random_choices *r, uint32_t k, uint32_t sections)
{
    const uint32_t devices = r->choices.device_count, width = devices + 1;
    hsi_choice *c = &r->choices.list[k];
    *c = (hsi_choice){ .devices = r->devices[k], .rest_us = r->rest_us[k] };
    for (uint32_t s = sections; s-- > 0;) {
        float *rest = &r->rest_us[k][s * width];
        const uint32_t device =
            s + 1 < sections && below(3) ? r->devices[k][s + 1] : below(devices);
        for (uint32_t d = 0; d < width; d++)
            rest[d] = s + 1 < sections ? rest[width + d] : 0;
        rest[device] += r->section_us[s * devices + device];
        rest[devices] += (float)below(50);
        r->devices[k][s] = (uint8_t)device;
        c->uses |= 1u << device;
    }
}

static void random_costs(random_choices *r, test_model *model)
{
    const uint32_t sections = model->core.section_count;
    memset(r, 0, sizeof *r);
    hsi_choices *c = &r->choices;
    c->count = below(HSI_CHOICES_MAX + 1);
    c->section_count = sections;
    c->device_count = w.config.device_count;
    c->section_us = r->section_us;
    c->least_us = (float)below(2000);
    for (uint32_t i = 0; i < sections * c->device_count; i++)
        r->section_us[i] = 1 + (float)below(1000);
    for (uint32_t k = 0; k < HSI_CHOICES_MAX; k++)
        random_choice(r, k, sections);
    for (uint32_t d = 1; d < c->device_count; d++) {
        c->batch_count[d] = below(HSI_CHOICE_SIZES + 1);
        for (uint32_t k = 0; k < c->batch_count[d]; k++)
            c->batch_us[d][k] = (float)(1000 + below(1000) * k);
    }
    c->team_count = below(HSI_CHOICE_SIZES + 1);
    for (uint32_t k = 0; k < c->team_count; k++)
        c->team[k] = 1 / (float)(1 + k);
    model->core.choices = c;
    model->core.followed = below(8) ? &w.followed[model - w.models] : NULL;
}

static void random_model(test_model *model, uint32_t *most_jobs)
{
    static const hsi_policy *const policies[] = {
        &hsi_policy_cpu_only, &hsi_policy_layer_type, &hsi_policy_gpu_only,
        &hsi_policy_gpu_only, &policy_random,         &policy_wrong,
        &hsi_policy_cost,     &hsi_policy_cost
    };
    static const uint32_t waits[] = { 10, 100, 1000, 20000 };
    uint32_t count = 1 + below(1 + below(below(2) ? TEST_SECTIONS : 6));
    test_model_init(model, count, DEVICES, policies[w.joining ? 2 : below(8)]);
    model->core.max_batch = w.joining || below(4) ? 2 + below(BATCH) : below(2);
    model->core.batch_wait_us = below(2) ? waits[below(4)] : 0;
    if (below(8) == 0)
        model->core.batch_queues = NULL;
    /* Latency has batches of sizes that the mirror does not foresee. */
    model->core.objective = (hsched_objective)below(HSCHED_OBJECTIVE_POWER_CAP + 1);
    if (model->core.objective == HSCHED_OBJECTIVE_LATENCY && model->core.batch_queues)
        model->core.objective = HSCHED_OBJECTIVE_ENERGY;
    uint32_t chained = below(11), more = below(4), everywhere = w.joining || below(2);
    for (uint32_t s = 0; s < count; s++) {
        model->sections[s].class_bits =
            below(2) ? HSCHED_CLASS_CONVOLUTION : 1u << below(6);
        model->sections[s].device_mask =
            everywhere || below(4) ? UINT32_MAX : 1 | below(16);
        for (uint32_t dep = 0; dep < s; dep++)
            if (dep == s - 1 ? below(10) < chained : below(4 * s) < more)
                test_model_edge(model, dep, s, below(4));
    }
    uint32_t longest = 0;
    for (uint32_t s = 0; s < count; s++)
        if (longest_chain(model, s) > longest)
            longest = longest_chain(model, s);
    *most_jobs = count - longest + 1;
    random_costs(&choices_of[model - w.models], model);
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

/* A cap under which no device, some, or all may execute; or none. */
static void random_cap(void)
{
    double idle = 0;
    w.power.device_count = w.config.device_count;
    for (uint32_t d = 0; d < w.config.device_count; d++) {
        idle += w.config.devices[d].idle_watts;
        w.power.watts[d] = w.config.devices[d].watts;
        w.power.idle_watts[d] = w.config.devices[d].idle_watts;
    }
    if (below(3) == 0)
        w.config.power_cap_watts = below(8) ? idle + 1 + below(100) : 1 + below(10);
    w.power.cap = w.config.power_cap_watts;
}

static void world_create(void)
{
    static const uint64_t ageings[] = { 1, 40, 1000, 100000 };
    memset(&w, 0, sizeof w);
    w.joining = below(4) == 0;
    w.config = (hsi_core_config){
        .device_count = 1 + below(DEVICES),
        .ageing_us = ageings[below(4)],
        .active_limit = 1 + below(w.joining ? RUNS : 1 + below(24)),
        .max_segment_us = below(3) ? 1 + below(1000) : 0,
        .class_memory_us = 1 + below(20000),
        .gather_share = below(2) ? 0 : below(50) / 50.0,
    };
    w.config.devices[0] = (hsi_core_device){ 1 + below(WORKERS), below(2), below(2), 0 };
    for (uint32_t d = 1; d < w.config.device_count; d++)
        w.config.devices[d] = (hsi_core_device){
            .workers = 1 + below(WORKERS),
            .max_sections_per_job = w.joining || below(2) ? UINT32_MAX : below(7),
            .max_batch = below(3) ? 2 + below(BATCH - 1) : below(2),
            .own_memory = below(3) > 0,
            .max_batches = below(2) ? below(4) : 0,
            .join_gap_us = below(200),
            .join_most_us = below(1000),
        };
    for (uint32_t d = 0; d < w.config.device_count; d++) {
        w.config.devices[d].strict = below(2) != 0;
        w.config.devices[d].reserved = below(2) ? below(w.config.devices[d].workers) : 0;
        w.config.devices[d].idle_watts = below(5);
        w.config.devices[d].watts = w.config.devices[d].idle_watts + below(50);
    }
    random_cap();
    memset(executing_of, 0, sizeof executing_of);
    assert_int_equal(hsi_core_create(&w.config, &w.core), HSCHED_OK);
    for (uint32_t i = 0; i < MODELS; i++)
        random_model(&w.models[i], &w.most_jobs[i]);
    for (uint32_t d = 0; d < DEVICES; d++)
        w.slowness[d] = d > 0 && w.joining ? 1000 : 100;
    invalid_answers = 0;
}

/* ---- The model ---- */

static int is_stopping(const mirror *m)
{
    return m->cancelled || m->failure != HSCHED_OK;
}

/* It may put jobs into queues. */
static int goes_on(const mirror *m)
{
    return m->active && !is_stopping(m) && !m->restarting;
}

static uint32_t batch_limit(const mirror *m, uint32_t device)
{
    uint32_t of_device = w.config.devices[device].max_batch;
    uint32_t of_model = m->model->core.batch_queues ? m->model->core.max_batch : 1;
    return of_device < of_model ? of_device : of_model;
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
    if (m->upstream_bad && m->failure == HSCHED_OK)
        return HSCHED_ERROR_UPSTREAM; /* it was dropped before it was told, else */
    if (m->failure != HSCHED_OK && m->failure != HSCHED_ERROR_DEADLINE)
        return m->failure;
    if (m->left == 0)
        return HSCHED_OK;
    if (m->failure != HSCHED_OK)
        return m->failure;
    CHECK(m->cancelled); /* else it ended for no reason */
    return HSCHED_ERROR_CANCELLED;
}

static uint32_t level_of(const mirror *m)
{
    return (uint32_t)(HSCHED_PRIORITY_MAX - m->priority);
}

static void model_in_use(const mirror *m)
{
    w.in_use_until[level_of(m)] = w.now + w.config.class_memory_us;
}

/* Until when a higher priority than this one is in use. */
static uint64_t outclassed_until(int priority)
{
    uint64_t until = 0;
    for (int p = priority + 1; p <= HSCHED_PRIORITY_MAX; p++) {
        if (w.outstanding[HSCHED_PRIORITY_MAX - p] > 0)
            return UINT64_MAX;
        if (w.in_use_until[HSCHED_PRIORITY_MAX - p] > until)
            until = w.in_use_until[HSCHED_PRIORITY_MAX - p];
    }
    return until;
}

static void model_executes(void)
{
    for (uint32_t d = 0; d < w.config.device_count; d++) {
        w.power.executes[d] = 0;
        for (uint32_t k = 0; k < w.config.devices[d].workers; k++)
            w.power.executes[d] |= w.workers[d][k].leads != NULL;
    }
}

/* An event happens now: what was drawn until then counts. */
static void model_time(void)
{
    power_model_advance(&w.power, w.now);
}

/* Until when what is executing keeps the run's job from being begun. */
static uint64_t barred_until(const mirror *m, uint32_t device)
{
    const hsi_core_device *d = &w.config.devices[device];
    uint32_t executing_now = 0;
    for (uint32_t k = 0; k < d->workers; k++) {
        const mirror *other = w.workers[device][k].leads;
        executing_now += other != NULL;
        if (other && d->strict && other->priority > m->priority)
            return UINT64_MAX;
    }
    return d->reserved > 0 && executing_now + d->reserved >= d->workers
               ? outclassed_until(m->priority)
               : 0;
}

static void model_ended(mirror *m)
{
    const hsi_core_run *run = &m->test.run;
    CHECK(m->in_flight);
    CHECK(m->running == 0);
    CHECK(run->status == expected_status(m));
    CHECK(run->state == HSI_RUN_ENDED && run->ended_us == w.now);
    w.missed += !m->missed && m->deadline != 0 && w.now > m->deadline;
    CHECK(run->missed == (m->deadline != 0 && w.now > m->deadline));
    CHECK(!m->upstream_bad || m->left == m->model->core.section_count);
    CHECK(run->jobs_run == m->jobs && run->crossings == m->crossings &&
          run->moved == m->moved && run->restarts == m->restarts);
    m->in_flight = m->active = 0;
    m->ended_before = 1;
    m->last_status = run->status;
    w.dropped += run->status == HSCHED_ERROR_DEADLINE;
    total[run->status]++;
    w.outstanding[level_of(m)]--;
    model_in_use(m);
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
    uint32_t jobs = 0;
    for (uint32_t s = 0; s < m->model->core.section_count; s++) {
        const hsi_job *job = &m->test.jobs[s];
        jobs += job->count > 0 && job->state != HSI_JOB_DONE;
        if (m->section[s] != TO_RUN)
            CHECK(job->state == (m->section[s] == DONE ? HSI_JOB_DONE : HSI_JOB_RUNNING));
        else if (!goes_on(m))
            CHECK(job->state == HSI_JOB_WAITING);
        else if (is_ready(m, s, s) && !m->test.run.gathered)
            CHECK(job->state == HSI_JOB_QUEUED &&
                  (job->count > 0 || batch_limit(m, job->device) > 1));
        else
            CHECK(job->state == HSI_JOB_WAITING || job->state == HSI_JOB_QUEUED);
    }
    CHECK(jobs <= w.most_jobs[m->model - w.models]);
}

static void model_restart_if_drained(mirror *m);

/* Of a paused job: nobody works on it any more. */
static void model_paused_over(hsi_job *job, uint32_t device, int lost)
{
    mirror *m = (mirror *)job->run;
    m->running--;
    executing_on(m, device)->batches -= (uint32_t)m->leads;
    m->leads = 0;
    for (uint32_t s = 0; s < m->model->core.section_count; s++)
        if (m->section[s] == RUNNING && m->job_of[s] == job->section) {
            m->section[s] = TO_RUN;
            m->pinned[s] |= lost;
        }
    if (!is_stopping(m) && device != 0 && (m->restarting || lost)) {
        m->moved++;
        w.moved++;
    }
    model_restart_if_drained(m);
}

static void model_end_pause(uint32_t index, int lost)
{
    const pause over = w.pauses[index];
    w.pauses[index] = w.pauses[--w.pause_count];
    for (uint32_t k = 0; k < over.count; k++)
        model_paused_over(over.jobs[k], over.device, lost);
    total_released++;
}

/* Paused batches of which no run goes on. */
static void model_release_paused(void)
{
    for (uint32_t i = w.pause_count; i-- > 0;) {
        int wanted = 0;
        for (uint32_t k = 0; k < w.pauses[i].count; k++)
            wanted |= goes_on((const mirror *)w.pauses[i].jobs[k]->run);
        if (!wanted)
            model_end_pause(i, 0);
    }
}

static int may_be_gathered(const mirror *m)
{
    const hsched_objective objective = m->model->core.objective;
    return m->active && goes_on(m) && m->deadline == 0 && m->running == 0 &&
           m->left == m->model->core.section_count && m->restarts == 0 &&
           m->model->core.policy == &hsi_policy_cost && m->model->core.followed &&
           m->test.run.admitted_us == m->submitted && w.config.gather_share > 0 &&
           objective != HSCHED_OBJECTIVE_LATENCY && objective != HSCHED_OBJECTIVE_ENERGY;
}

static uint64_t window_of(const mirror *m)
{
    return (uint64_t)(w.config.gather_share * (double)m->model->core.choices->least_us);
}

/* None that is gathered has waited for longer than it may. */
static void check_gathered(void)
{
    const mirror *first = NULL, *last = NULL;
    uint64_t allowed = 0;
    for (uint32_t i = 0; i < RUNS; i++) {
        const mirror *m = &w.runs[i];
        if (!m->in_flight || !m->test.run.gathered)
            continue;
        first = first && first->sequence < m->sequence ? first : m;
        last = last && last->sequence > m->sequence ? last : m;
        allowed += window_of(m);
        total_gathered++;
    }
    if (!first)
        return;
    CHECK(first->priority == last->priority);
    CHECK(w.now < first->submitted + allowed);
    CHECK(w.now < last->submitted + w.core->gather.quiet_us);
    CHECK(hsi_core_next_tick(w.core) <= first->submitted + allowed);
}

static void after_event(void)
{
    hsi_core_run *ended;
    model_executes();
    model_release_paused();
    while ((ended = hsi_core_next_ended(w.core)) != NULL)
        model_ended((mirror *)ended);
    model_admit();
    uint32_t active = 0, waiting = 0, blocked = 0, gathered = 0;
    for (uint32_t i = 0; i < RUNS; i++) {
        const mirror *m = &w.runs[i];
        if (!m->in_flight)
            continue;
        CHECK(!m->upstream_bad && m->left > 0);
        CHECK(goes_on(m) || !m->active || m->running > 0);
        CHECK(m->test.run.restarts == m->restarts && m->restarts <= 1);
        CHECK(m->test.run.state == (is_blocked(m) ? HSI_RUN_BLOCKED
                                    : m->active   ? HSI_RUN_ACTIVE
                                                  : HSI_RUN_WAITING));
        active += m->test.run.state == HSI_RUN_ACTIVE;
        gathered += m->test.run.gathered;
        CHECK(!m->test.run.gathered || may_be_gathered(m));
        waiting += m->test.run.state == HSI_RUN_WAITING;
        blocked += m->test.run.state == HSI_RUN_BLOCKED;
    }
    hsi_core_stats stats;
    hsi_core_get_stats(w.core, &stats);
    CHECK(stats.active_runs == active && stats.waiting_runs == waiting &&
          stats.blocked_runs == blocked && stats.gathered_runs == gathered);
    CHECK(stats.jobs == w.jobs && stats.crossings == w.crossings);
    CHECK(stats.jobs_moved == w.moved && stats.restarts == w.restarts);
    CHECK(stats.invalid_placements == invalid_answers);
    CHECK(stats.missed == w.missed && stats.dropped == w.dropped);
    CHECK(stats.owed_uj == w.power.owed_uj && stats.now_us == w.power.now_us);
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
            running += w.workers[d][k].count;
        CHECK(w.core->backlog[d] == hsi_core_queued(w.core, d) + running);
    }
}

/* ---- Deadlines ---- */

static void random_deadline(mirror *m)
{
    static const uint32_t slacks[] = { 10, 300, 5000, 100000 };
    m->deadline = below(3) ? 0 : 1 + w.now + below(slacks[below(4)]);
    if (m->deadline > 1 && below(50) == 0)
        m->deadline = 1; /* long ago */
    m->drop_late = below(2) != 0;
}

/* By half of the ageing at most, as if what is missing of that had been waited for. */
static int64_t gain_of(const mirror *m)
{
    const int64_t most = (int64_t)(w.config.ageing_us / 2);
    const int64_t left = (int64_t)m->deadline - (int64_t)m->submitted;
    return m->deadline == 0 || left >= most ? 0 : left <= 0 ? most : most - left;
}

/* The deadlines that lie before now. 1 if there are any that nobody has noticed yet. */
static int model_tick(void)
{
    int noticed = 0;
    for (uint32_t i = 0; i < RUNS; i++) {
        mirror *m = &w.runs[i];
        if (!m->in_flight || m->deadline == 0 || m->deadline >= w.now || m->missed)
            continue;
        noticed = m->missed = 1;
        w.missed++;
        if (!m->drop_late || is_stopping(m))
            continue;
        m->failure = HSCHED_ERROR_DEADLINE;
    }
    return noticed;
}

/* Those that may still be missed, of runs in flight. 1 if there were never as many. */
static int are_more_than_ever(void)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < RUNS; i++)
        count += w.runs[i].in_flight && w.runs[i].deadline != 0 && !w.runs[i].missed;
    if (count <= w.peak_deadlines)
        return 0;
    w.peak_deadlines = count;
    return 1;
}

/* ---- Events ---- */

static void event_tick(void)
{
    model_time();
    model_tick();
    uint64_t calls = hsi_alloc_count();
    hsi_core_tick(w.core, w.now);
    CHECK(hsi_alloc_count() == calls);
    after_event();
    CHECK(hsi_core_next_tick(w.core) > w.now);
    check_gathered();
}

/* Whoever submits waits. */
static void event_place(void)
{
    model_time();
    uint64_t calls = hsi_alloc_count();
    hsi_core_place_gathered(w.core, w.now);
    CHECK(hsi_alloc_count() == calls && !hsi_core_gathers(w.core));
    after_event();
}

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
    model_time();
    hsi_core_run *upstream[TEST_EDGES];
    mirror fresh = { .test = m->test };
    fresh.ended_before = m->ended_before;
    fresh.last_status = m->last_status;
    *m = fresh;
    m->model = &w.models[below(w.joining ? 3 : MODELS)];
    choose_upstream(m, upstream);
    m->priority = random_priority();
    m->left = m->model->core.section_count;
    m->submitted = w.now;
    m->sequence = w.submissions++;
    random_deadline(m);
    m->key = (int64_t)w.now - m->priority * (int64_t)w.config.ageing_us - gain_of(m);
    m->in_flight = 1;
    m->test.run.deadline_us = m->deadline;
    m->test.run.drop_late = (uint8_t)m->drop_late;
    m->test.run.model = &m->model->core;
    m->test.run.jobs = m->test.jobs;
    m->test.run.priority = m->priority;

    uint32_t level = (uint32_t)(HSCHED_PRIORITY_MAX - m->priority);
    uint32_t jobs = w.most_jobs[m->model - w.models];
    int may_grow = ++w.outstanding[level] > w.peak[level] || jobs > w.peak_jobs[level];
    if (w.outstanding[level] > w.peak[level])
        w.peak[level] = w.outstanding[level];
    if (jobs > w.peak_jobs[level])
        w.peak_jobs[level] = jobs;
    may_grow |= are_more_than_ever();
    uint64_t calls = hsi_alloc_count();
    model_in_use(m);
    hsched_status status = hsi_core_submit(w.core, &m->test.run, upstream, m->test.edges,
                                           m->upstream_count, w.now);
    CHECK(status == HSCHED_OK);
    CHECK(may_grow || hsi_alloc_count() == calls);
    after_event();
}

/* Looks at the core's records of queued jobs, so this comes before the core's event. */
static void model_begin_restart(mirror *m)
{
    m->restarting = 1;
    for (uint32_t s = 0; s < m->model->core.section_count; s++) {
        const hsi_job *job = &m->test.jobs[s];
        if (job->state == HSI_JOB_QUEUED && job->count > 0 && job->device != 0) {
            m->moved++;
            w.moved++;
        }
    }
}

static void model_restart_if_drained(mirror *m)
{
    if (!m->restarting || m->running > 0 || is_stopping(m) || m->left == 0)
        return;
    m->restarting = 0;
    m->restarts++;
    w.restarts++;
    m->left = m->model->core.section_count;
    memset(m->section, TO_RUN, sizeof m->section);
    memset(m->pinned, 1, sizeof m->pinned);
}

/* The runs that a device that is about to be lost has worked on. */
static void model_lost_memory(uint32_t device)
{
    for (uint32_t i = 0; i < RUNS; i++) {
        mirror *m = &w.runs[i];
        int used = 0;
        for (uint32_t s = 0; goes_on(m) && s < m->model->core.section_count; s++) {
            const hsi_job *job = &m->test.jobs[s];
            used |= m->section[s] != TO_RUN
                        ? m->device[s] == device
                        : job->state == HSI_JOB_QUEUED && job->device == device;
        }
        if (used) {
            model_begin_restart(m);
            model_restart_if_drained(m);
        }
    }
}

/* The queued jobs of a device that is about to be lost. */
static void model_lost(uint32_t device)
{
    if (w.lost >> device & 1)
        return;
    w.lost |= 1u << device;
    total_lost++;
    if (w.config.devices[device].own_memory) {
        model_lost_memory(device);
        return;
    }
    for (uint32_t i = w.pause_count; i-- > 0;)
        if (w.pauses[i].device == device)
            model_end_pause(i, 1);
    for (uint32_t i = 0; i < RUNS; i++) {
        mirror *m = &w.runs[i];
        for (uint32_t s = 0; m->in_flight && s < m->model->core.section_count; s++) {
            const hsi_job *job = &m->test.jobs[s];
            if (m->restarting || job->state != HSI_JOB_QUEUED || job->device != device)
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
    return below(w.config.devices[device].own_memory ? 60 : 400) ? HSCHED_OK
           : below(2)                                            ? HSCHED_ERROR_IO
                      : HSCHED_ERROR_OUT_OF_MEMORY;
}

/* What a job that ended badly means for its run. */
static void model_job_failed(mirror *m, uint32_t device, hsched_status status)
{
    int own = w.config.devices[device].own_memory;
    int lost = status == HSCHED_ERROR_DEVICE && device != 0;
    if (is_stopping(m))
        return;
    if (device != 0 && (own || lost || m->restarting)) {
        m->moved++;
        w.moved++;
    }
    if (own && !m->restarting)
        model_begin_restart(m);
    else if (!own && !lost && !m->restarting)
        m->failure = status;
}

static void event_job_ended(worker *by)
{
    model_time();
    uint32_t which = below(by->count);
    hsi_job *job = by->jobs[which];
    by->jobs[which] = by->jobs[--by->count];
    mirror *m = (mirror *)job->run;
    by->leads = by->leads == m ? NULL : by->leads;
    uint32_t first = job->section, count = job->count, device = job->device;
    hsched_status status = random_result(device);
    int lost = status == HSCHED_ERROR_DEVICE && device != 0;
    m->running--;
    executing_on(m, device)->batches -= (uint32_t)m->leads;
    m->leads = 0;
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
    } else {
        model_job_failed(m, device, status);
    }
    if (lost)
        model_lost(device);
    model_restart_if_drained(m);
    uint64_t calls = hsi_alloc_count();
    hsi_core_job_ended(w.core, job, status, w.now);
    CHECK(hsi_alloc_count() == calls);
    after_event();
}

/* What the worker has taken pauses, if it has sections left after the next. */
static void event_paused(worker *by)
{
    hsi_job *first = by->jobs[0];
    const uint32_t device = first->device;
    if (by->count == 0 || by->count != by->taken || by->done + 1 >= first->count)
        return;
    model_time();
    pause *p = &w.pauses[w.pause_count++];
    const uint32_t more = 1 + below(first->count - by->done - 1);
    *p = (pause){ .count = by->count, .device = device, .done = by->done + more };
    memcpy(p->jobs, by->jobs, sizeof p->jobs);
    by->count = 0;
    by->leads = NULL;
    total_paused++;
    const int lost = w.lost >> device & 1 && !w.config.devices[device].own_memory;
    if (lost)
        model_end_pause(w.pause_count - 1, 1);
    uint64_t calls = hsi_alloc_count();
    hsi_core_job_paused(w.core, by->jobs, by->taken, more, w.now);
    CHECK(hsi_alloc_count() == calls);
    after_event();
}

static void event_cancel(mirror *m)
{
    if (m->in_flight)
        model_time();
    if (m->in_flight && m->failure == HSCHED_OK)
        m->cancelled = 1;
    uint64_t calls = hsi_alloc_count();
    hsi_core_cancel(w.core, &m->test.run, w.now);
    CHECK(hsi_alloc_count() == calls);
    after_event();
}

static void event_device_lost(uint32_t device)
{
    model_time();
    if (device > 0)
        model_lost(device);
    uint64_t calls = hsi_alloc_count();
    hsi_core_device_lost(w.core, device, w.now);
    CHECK(hsi_alloc_count() == calls);
    after_event();
}

/* ---- What a take must give ---- */

static int is_queued(const mirror *m, uint32_t section, uint32_t device)
{
    const hsi_job *job = &m->test.jobs[section];
    return m->active && job->state == HSI_JOB_QUEUED && job->count > 0 &&
           job->device == device;
}

static int is_joinable(const mirror *m, uint32_t section, uint32_t device)
{
    return batch_limit(m, device) > 1 && section == 0 &&
           m->test.jobs[0].count == m->model->core.section_count;
}

/* Until when batches that are executing hold runs back of which the best is `first`. */
static uint64_t joining_until(const mirror *first, uint32_t device, uint64_t oldest,
                              uint64_t newest)
{
    const executing *e = executing_on(first, device);
    const hsi_core_device *d = &w.config.devices[device];
    if (d->max_batches == 0 || e->batches == 0 || first->priority > e->priority ||
        first->model->batch_queues[device].ready == 1)
        return 0;
    if (e->batches >= d->max_batches)
        return UINT64_MAX;
    uint64_t gap = newest + d->join_gap_us, most = oldest + d->join_most_us;
    return gap < most ? gap : most;
}

/* Until when the model's whole-run jobs on the device are held back; 0: they are not. */
static uint64_t held_until(const mirror *of, uint32_t device, uint64_t now)
{
    uint64_t oldest = UINT64_MAX, newest = 0, count = 0;
    const mirror *first = of;
    for (uint32_t i = 0; i < RUNS; i++) {
        const mirror *m = &w.runs[i];
        if (m->model != of->model || !is_queued(m, 0, device) ||
            !is_joinable(m, 0, device))
            continue;
        count++;
        first = goes_before(m, first) ? m : first;
        oldest = m->submitted < oldest ? m->submitted : oldest;
        newest = m->submitted > newest ? m->submitted : newest;
    }
    uint64_t wait = of->model->core.batch_wait_us;
    uint64_t due = wait ? oldest + wait : 0;
    uint64_t joining = joining_until(first, device, oldest, newest);
    due = joining > due ? joining : due;
    return due > now && count < batch_limit(of, device) ? due : 0;
}

/* The best of the queued jobs that nothing holds back; fills in how many there are. None
 * that has waited for so long that nothing newer may overtake it goes behind it. */
static const hsi_job *expected_first(uint32_t device, uint64_t now, uint32_t *queued,
                                     uint64_t *due)
{
    const hsi_job *best = NULL;
    const mirror *free_runs[RUNS];
    uint32_t free_count = 0;
    *queued = 0;
    *due = UINT64_MAX;
    for (uint32_t i = 0; i < RUNS; i++) {
        const mirror *m = &w.runs[i];
        int is_free = 0;
        for (uint32_t s = 0; m->active && s < m->model->core.section_count; s++) {
            if (!is_queued(m, s, device))
                continue;
            ++*queued;
            uint64_t held = is_joinable(m, s, device) ? held_until(m, device, now) : 0;
            if (held > 0) {
                *due = held < *due ? held : *due;
                continue;
            }
            is_free = 1;
            if (!best || goes_before(m, (const mirror *)best->run))
                best = &m->test.jobs[s];
        }
        if (is_free)
            free_runs[free_count++] = m;
    }
    for (uint32_t i = 0; i < w.pause_count; i++) {
        const hsi_job *job = w.pauses[i].jobs[0];
        if (w.pauses[i].device != device)
            continue;
        *queued += w.pauses[i].count;
        const mirror *m = (const mirror *)job->run,
                     *other = best ? (mirror *)best->run : m;
        if (!best || goes_before(m, other) ||
            (m == other && job->section < best->section))
            best = job;
    }
    for (uint32_t i = 0; i < free_count; i++) {
        const mirror *m = free_runs[i];
        uint64_t levels = (uint64_t)(HSCHED_PRIORITY_MAX - m->priority);
        CHECK(((const mirror *)best->run)->submitted <=
              m->submitted + levels * w.config.ageing_us + w.config.ageing_us / 2);
    }
    return best;
}

/* Not before the cap allows it, as things are at the time of the latest event. */
static uint64_t capped(uint32_t device, uint64_t due)
{
    if (due == UINT64_MAX || power_model_allows(&w.power, device))
        return due;
    const uint64_t until = power_model_until(&w.power, device);
    return until > due ? until : due;
}

/* The cap keeps back what could begin at `now`: the account says why. */
static int is_kept_back(uint32_t device, uint64_t now)
{
    power_model then = w.power;
    power_model_advance(&then, now);
    if (power_model_allows(&then, device))
        return 0;
    total_kept_back++;
    return 1;
}

/* Searches for the jobs that a take must give now, in order, and returns how many. */
static uint32_t expect_taken(uint32_t device, uint32_t most, uint64_t now,
                             const hsi_job **expected)
{
    uint32_t queued, count = 1;
    uint64_t due, core_due = hsi_core_next_due(w.core, device);
    expected[0] = expected_first(device, now, &queued, &due);
    CHECK(queued == hsi_core_queued(w.core, device));
    const int allowed = power_model_allows(&w.power, device);
    CHECK(allowed || hsi_core_startable(w.core, device) == 0);
    const mirror *head = expected[0] ? (const mirror *)expected[0]->run : NULL;
    if (head && barred_until(head, device) > now) {
        const uint64_t barred = barred_until(head, device);
        CHECK(core_due <= capped(device, now) ||
              core_due == capped(device, barred < due ? barred : due));
        total_barred++;
        return 0;
    }
    CHECK(head ? core_due <= capped(device, now) : core_due == capped(device, due));
    CHECK(!head || !allowed || barred_until(head, device) > w.core->now_us ||
          hsi_core_startable(w.core, device) > 0);
    if (!head || is_kept_back(device, now))
        return 0;
    for (uint32_t i = 0; i < w.pause_count; i++)
        if (w.pauses[i].jobs[0] == expected[0]) {
            for (uint32_t k = 0; k < w.pauses[i].count; k++)
                expected[k] = w.pauses[i].jobs[k];
            return w.pauses[i].count <= most ? w.pauses[i].count : 0;
        }
    if (!is_joinable(head, expected[0]->section, device))
        return 1;
    uint32_t ready = head->model->batch_queues[device].ready;
    if (ready > 0 && ready < most)
        most = ready;
    for (; count < most && count < batch_limit(head, device); count++) {
        const mirror *last = (const mirror *)expected[count - 1]->run, *next = NULL;
        for (uint32_t i = 0; i < RUNS; i++) {
            const mirror *m = &w.runs[i];
            if (m->model == head->model && is_queued(m, 0, device) &&
                is_joinable(m, 0, device) && goes_before(last, m) &&
                (!next || goes_before(m, next)))
                next = m;
        }
        if (!next)
            break;
        expected[count] = &next->test.jobs[0];
    }
    return count;
}

/* Not all of its sections could go wherever the first did. */
static int is_scattered(const mirror *m)
{
    for (uint32_t s = 0; s < m->model->core.section_count; s++)
        if (m->model->sections[s].device_mask != UINT32_MAX)
            return 1;
    return 0;
}

static void check_placement(const mirror *m, const hsi_job *job)
{
    const hsi_policy *policy = m->model->core.policy;
    for (uint32_t s = job->section; s < job->section + job->count; s++) {
        uint32_t mask = m->model->sections[s].device_mask & ~w.lost;
        CHECK(mask >> job->device & 1);
        CHECK(!m->pinned[s] || (job->device == 0 && job->count == 1));
        CHECK(policy != &hsi_policy_cpu_only || job->device == 0);
        if (m->pinned[s])
            continue;
        if (policy == &hsi_policy_gpu_only) {
            uint32_t accelerators = mask & ~1u & ((1u << w.config.device_count) - 1);
            CHECK((job->device != 0) == (accelerators != 0));
            CHECK(!(accelerators >> m->accelerator & 1) || is_scattered(m) ||
                  job->device == m->accelerator);
        }
        if (policy != &hsi_policy_layer_type)
            continue;
        uint32_t expected = 0;
        if (m->model->sections[s].class_bits & HSCHED_CLASS_CONVOLUTION)
            for (uint32_t d = w.config.device_count - 1; d > 0; d--)
                if (mask >> d & 1)
                    expected = d;
        CHECK(job->device == expected);
    }
}

static void model_taken(const hsi_job *job, uint32_t device)
{
    mirror *m = (mirror *)job->run;
    CHECK(goes_on(m));
    CHECK(job->device == device);
    uint32_t limit = w.config.devices[device].max_sections_per_job;
    CHECK(job->count >= 1 && job->count <= (limit ? limit : 1));
    uint32_t crossings = 0;
    for (uint32_t s = job->section; s < job->section + job->count; s++) {
        const hsi_core_section *section = &m->model->sections[s];
        CHECK(m->section[s] == TO_RUN && is_ready(m, s, job->section));
        CHECK(m->test.jobs[s].state == HSI_JOB_RUNNING);
        m->section[s] = RUNNING;
        m->job_of[s] = job->section;
        m->device[s] = (uint8_t)device;
        for (uint32_t i = 0; i < section->dep_count; i++)
            if (m->device[section->deps[i]] != device)
                crossings += section->crossing_counts[i];
    }
    CHECK(job->crossings == crossings);
    check_placement(m, job);
    if (m->accelerator == 0)
        m->accelerator = device;
    m->running++;
}

static void model_batch_taken(const worker *by, uint32_t device)
{
    mirror *head = (mirror *)by->jobs[0]->run;
    executing *e = executing_on(head, device);
    if (by->jobs[0]->count != head->model->core.section_count ||
        batch_limit(head, device) < 2)
        return;
    if (e->batches++ == 0)
        e->priority = HSCHED_PRIORITY_MIN;
    for (uint32_t i = 0; i < by->count; i++) {
        int priority = ((const mirror *)by->jobs[i]->run)->priority;
        e->priority = priority > e->priority ? priority : e->priority;
    }
    head->leads = 1;
}

/* A batch goes on that had paused: takes it out of the list. 0: it is none. */
static int model_resumed(worker *by)
{
    for (uint32_t i = 0; i < w.pause_count; i++) {
        const pause p = w.pauses[i];
        if (p.jobs[0] != by->jobs[0])
            continue;
        CHECK(p.count == by->count);
        for (uint32_t k = 0; k < p.count; k++)
            CHECK(p.jobs[k] == by->jobs[k] && p.jobs[k]->done == p.done);
        by->done = p.done;
        w.pauses[i] = w.pauses[--w.pause_count];
        return 1;
    }
    return 0;
}

/* Who sleeps until the next tick wakes when the cap allows more: what it keeps back is let go. */
static void check_next_tick(void)
{
    const uint64_t next = hsi_core_next_tick(w.core);
    for (uint32_t d = 0; d < w.config.device_count; d++)
        if (hsi_core_queued(w.core, d) > 0 && !power_model_allows(&w.power, d))
            CHECK(next <= power_model_until(&w.power, d));
}

/* Something begins: if more is drawn by that than the cap, nothing was owed, or no waiting would
 * have helped. So what is owed at any time was drawn by one such job and those beside it. */
static void model_draws(uint32_t device)
{
    const double before = power_model_watts(&w.power), cap = w.power.cap;
    int idle = 1;
    for (uint32_t d = 0; d < w.config.device_count; d++)
        idle &= !w.power.executes[d];
    w.power.executes[device] = 1;
    if (!(cap > 0) || power_model_watts(&w.power) <= cap)
        return;
    hsi_core_stats stats;
    hsi_core_get_stats(w.core, &stats);
    CHECK((before <= cap && stats.owed_uj <= 1) || (idle && before >= cap));
    total_overdrawn++;
}

static void event_take(uint32_t device, worker *by)
{
    if (hsi_core_next_tick(w.core) <= w.now)
        event_tick();
    check_next_tick();
    int single = below(w.config.devices[device].max_batch > 1 ? 16 : 2) == 0;
    uint32_t most = single ? 1 : 1 + below(BATCH);
    const hsi_job *expected[BATCH];
    uint32_t count =
        expect_taken(device, most, single ? w.core->now_us : w.now, expected);
    uint64_t calls = hsi_alloc_count();
    if (single) {
        by->jobs[0] = hsi_core_take(w.core, device);
        by->count = by->jobs[0] != NULL;
    } else {
        by->count = hsi_core_take_batch(w.core, device, by->jobs, most, w.now);
    }
    CHECK(hsi_alloc_count() == calls);
    events++;
    CHECK(by->count == count);
    if (!single)
        model_time();
    if (count > 0)
        model_draws(device);
    uint32_t work = 0;
    by->done = 0;
    by->taken = count;
    by->leads = count > 0 ? (const mirror *)by->jobs[0]->run : NULL;
    const int resumed = count > 0 && model_resumed(by);
    if (count > 0 && !resumed)
        model_batch_taken(by, device);
    for (uint32_t i = 0; i < count; i++) {
        CHECK(by->jobs[i] == expected[i]);
        if (!resumed)
            model_taken(by->jobs[i], device);
        work += by->jobs[i]->count;
        total_joined += i > 0;
        total_rode_along += ((mirror *)by->jobs[i]->run)->priority <
                            ((mirror *)by->jobs[0]->run)->priority;
    }
    if (count > 0)
        by->end = w.now + 1 + below(w.slowness[device] * work);
    const int priority = random_priority();
    CHECK(hsi_core_segment_us(w.core, priority) ==
          (w.config.max_segment_us > 0 && outclassed_until(priority) > w.core->now_us
               ? w.config.max_segment_us
               : UINT64_MAX));
    total_overtook_held += count > 0 && w.core->held[device] != NULL;
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
            if (each->count > 0 && (!next || each->end < next->end))
                next = each;
        }
    return next;
}

static void idle_workers_take(int all)
{
    for (uint32_t d = 0; d < w.config.device_count; d++)
        for (uint32_t k = 0; k < w.config.devices[d].workers; k++)
            if (w.workers[d][k].count == 0 && (all || below(8)) &&
                (hsi_core_queued(w.core, d) > 0 || below(64) == 0))
                event_take(d, &w.workers[d][k]);
}

/* The first moment after `from` at which an idle worker could take a job that is queued
 * now. */
static uint64_t next_due(uint64_t from)
{
    uint64_t next = UINT64_MAX;
    for (uint32_t d = 0; d < w.config.device_count; d++) {
        int idle = 0;
        for (uint32_t k = 0; k < w.config.devices[d].workers; k++)
            idle |= w.workers[d][k].count == 0;
        uint64_t due = idle ? hsi_core_next_due(w.core, d) : UINT64_MAX;
        if (due >= from && due < next)
            next = due;
    }
    const uint64_t gathered = hsi_gather_due(w.core);
    return gathered >= from && gathered < next ? gathered : next;
}

static void change_ready(void)
{
    uint32_t m = below(MODELS), device = below(DEVICES);
    hsi_core_set_ready(w.core, &w.models[m].core, device, below(BATCH));
    after_event();
}

static void change_speed(void)
{
    static const double loads[] = { 1, 1.1, 2, 16 };
    const uint32_t device = below(DEVICES + 1);
    model_time();
    uint64_t calls = hsi_alloc_count();
    hsi_core_set_speed(w.core, device, loads[below(4)], below(3), w.now);
    CHECK(hsi_alloc_count() == calls);
    after_event();
    if (below(4) == 0) /* costs become known, or are forgotten */
        choices_of[below(MODELS)].choices.count = below(HSI_CHOICES_MAX + 1);
}

static void change_watts(void)
{
    const uint32_t device = below(w.config.device_count);
    model_time();
    w.power.idle_watts[device] = below(5);
    w.power.watts[device] = below(60); /* less than idle, too */
    hsi_core_set_watts(w.core, device, w.power.watts[device], w.power.idle_watts[device],
                       w.now);
    after_event();
}

/* One event; closing: no new runs come. */
static void step(int closing)
{
    static const uint64_t intervals[] = { 5, 60, 250,
                                          2000 }; /* from overload to idleness */
    if (w.mean_interval == 0 || below(2000) == 0)
        w.mean_interval = intervals[below(4)];
    if (below(100) == 0)
        change_ready();
    if (below(100) == 0)
        change_speed();
    if (below(500) == 0)
        change_watts();
    worker *next = next_to_end();
    uint64_t due = next_due(w.now + 1);
    if (below(150) == 0)
        event_cancel(&w.runs[below(RUNS)]);
    else if (below(60) == 0)
        event_tick();
    else if (below(60) == 0)
        event_place();
    else if (below(10000) == 0)
        event_device_lost(below(w.config.device_count));
    else if ((!next || due < next->end) && due < (closing ? UINT64_MAX : w.next_arrival))
        w.now = due;
    else if (next && (closing || next->end <= w.next_arrival)) {
        w.now = next->end > w.now ? next->end : w.now;
        if (below(3) == 0)
            event_paused(next);
        if (next->count > 0)
            event_job_ended(next);
    } else if (!closing) {
        w.now = w.next_arrival > w.now ? w.next_arrival : w.now;
        w.next_arrival = w.now + below((uint32_t)(2 * w.mean_interval));
        event_submit();
    }
    if (hsi_gather_due(w.core) <= w.now && (closing || below(2)))
        event_tick();
    idle_workers_take(closing);
}

static void run_world(uint64_t event_count)
{
    world_create();
    uint64_t end = events + event_count;
    while (events < end)
        step(0);
    while (runs_in_flight() > 0) { /* and none of them hangs */
        idle_workers_take(1);
        CHECK(next_to_end() || next_due(0) != UINT64_MAX || runs_in_flight() == 0);
        step(1);
    }
    for (uint32_t d = 0; d < w.config.device_count; d++)
        CHECK(hsi_core_queued(w.core, d) == 0 && w.core->backlog[d] == 0);
    CHECK(next_to_end() == NULL && w.pause_count == 0);
    total_moved += w.moved;
    total_restarts += w.restarts;
    total_missed += w.missed;
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
        "invalid placements, %llu restarts; %llu deadlines missed, %llu runs dropped for "
        "that; %llu jobs joined others, %llu of them less "
        "urgent, %llu takes passed over jobs held back; %llu pauses, %llu of them for "
        "good; "
        "%llu takes were barred; %llu were kept back by a power cap, %llu went above "
        "it; %llu times a run was gathered\n",
        (unsigned long long)events, (unsigned long long)worlds,
        (unsigned long long)total[HSCHED_OK],
        (unsigned long long)total[HSCHED_ERROR_CANCELLED],
        (unsigned long long)(total[HSCHED_ERROR_IO] + total[HSCHED_ERROR_DEVICE] +
                             total[HSCHED_ERROR_OUT_OF_MEMORY]),
        (unsigned long long)total[HSCHED_ERROR_UPSTREAM], (unsigned long long)total_lost,
        (unsigned long long)total_moved, (unsigned long long)total_invalid,
        (unsigned long long)total_restarts, (unsigned long long)total_missed,
        (unsigned long long)total[HSCHED_ERROR_DEADLINE],
        (unsigned long long)total_joined, (unsigned long long)total_rode_along,
        (unsigned long long)total_overtook_held, (unsigned long long)total_paused,
        (unsigned long long)total_released, (unsigned long long)total_barred,
        (unsigned long long)total_kept_back, (unsigned long long)total_overdrawn,
        (unsigned long long)total_gathered);
    if (count >= 1000000) { /* the walk went everywhere */
        assert_true(total[HSCHED_OK] > 0 && total[HSCHED_ERROR_CANCELLED] > 0);
        assert_true(total[HSCHED_ERROR_IO] > 0 && total[HSCHED_ERROR_DEVICE] > 0);
        assert_true(total[HSCHED_ERROR_UPSTREAM] > 0 && total_invalid > 0);
        assert_true(total_lost > 0 && total_moved > 0 && total_restarts > 0);
        assert_true(total_missed > total[HSCHED_ERROR_DEADLINE]);
        assert_true(total[HSCHED_ERROR_DEADLINE] > 0);
        assert_true(total_joined > 0 && total_rode_along > 0 && total_overtook_held > 0);
        assert_true(total_paused > total_released && total_released > 0);
        assert_true(total_barred > 0);
        assert_true(total_kept_back > 0 && total_overdrawn > 0);
        assert_true(total_gathered > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
