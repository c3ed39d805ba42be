/*
 * What the scheduler core alone costs: nanoseconds for one dispatch, which is a job taken and
 * ended, with its share of the submission and the end of its run. A CPU with two workers and a GPU
 * with eight lanes; nothing is executed, so time is the core's only.
 *
 *     bench_core [SECONDS]        for each line and round; 0.1
 *
 * One table for more and more models, one for more and more runs in flight. `active` is what the
 * runtime allows to be active of one priority; or all are, so that all have jobs in the queues.
 * Blocks of dispatches are timed, in CPU time of the thread, and the median block counts: what else
 * the machine does is hardly in it; the best of three rounds. `worst`: the slowest of 100 blocks.
 * `jobs`: how many a run had on the average. A job of `cost` is a whole run or one section, and how
 * many of either depends on the runs there are, so its lines do not all count the same work.
 * Lines with * are above 1000 ns or have grown by more than 1.5x; it ends with 2 then, and with 1
 * if it could not measure.
 */
#include <stdio.h>
#include <stdlib.h>

#include <time.h>

#include "sched/core.h"
#include "sched/policy_cost.h"

enum {
    SECTIONS = 8,
    DEVICES = 2,
    LANES = 8,
    BATCH = 16,
    BLOCK = 64, /* dispatches that are timed together */
    BLOCKS_MOST = 1 << 18,
    MODELS_MOST = 1000,
    RUNS_MOST = 100000,
    ROUNDS = 3,
    LINES_MOST = 8
};
#define AS_RUNTIME (2 * (2 + LANES) + 2 + 64) /* active of one priority */
#define LIMIT_NS   1000.0
#define GROWTH     1.5

typedef struct model {
    hsi_core_model core;
    hsi_batch_queue batch_queues[DEVICES];
    hsi_choices choices;
} model;

typedef struct run {
    hsi_core_run core; /* first: the core's run is found at the same address */
    hsi_job jobs[SECTIONS];
} run;

typedef struct setting {
    const hsi_policy *policy;
    int mixed; /* priorities, and deadlines */
    uint32_t models, runs, active;
} setting;

static hsi_core_section sections[SECTIONS];
static uint32_t links[SECTIONS], ones[SECTIONS];
static uint8_t devices_of[3][SECTIONS];
static float rest_of[3][SECTIONS * (DEVICES + 1)];
static float section_us[SECTIONS * DEVICES];
static model models[MODELS_MOST];
static run *runs;
static double *blocks;
static uint64_t random_state = 1;

static uint32_t below(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) * n >> 31);
}

/* Of this thread alone: not what others take from it. */
static uint64_t spent_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- Models: chains of eight sections ------------------------------------- */

static void fill_choices(hsi_choices *c)
{
    *c = (hsi_choices){ .count = 3,
                        .section_count = SECTIONS,
                        .device_count = DEVICES,
                        .section_us = section_us,
                        .batch_count = { 0, 5 },
                        .batch_us = { { 0 }, { 400, 500, 700, 1100, 1900 } },
                        .team_count = 2,
                        .team = { 1, 0.6f } };
    for (uint32_t k = 0; k < 3; k++)
        c->list[k] = (hsi_choice){ .uses = k == 2 ? 3 : 1u << k,
                                   .devices = devices_of[k],
                                   .rest_us = rest_of[k] };
}

/* Everything on the CPU, on the GPU, or half on either. */
static void make_sections(void)
{
    for (uint32_t s = 0; s < SECTIONS; s++) {
        links[s] = s;
        ones[s] = 1;
        section_us[s * DEVICES] = 500;
        section_us[s * DEVICES + 1] = 50;
        for (uint32_t k = 0; k < 3; k++)
            devices_of[k][s] = (uint8_t)(k < 2 ? k : s < SECTIONS / 2);
    }
    for (uint32_t s = 0; s < SECTIONS; s++)
        sections[s] = (hsi_core_section){ .class_bits = HSCHED_CLASS_CONVOLUTION,
                                          .device_mask = 3,
                                          .dep_count = s > 0,
                                          .deps = s > 0 ? &links[s - 1] : NULL,
                                          .user_count = s + 1 < SECTIONS,
                                          .users = &links[s + 1 < SECTIONS ? s + 1 : s],
                                          .crossing_counts = ones };
    for (uint32_t k = 0; k < 3; k++)
        for (uint32_t s = SECTIONS; s-- > 0;) {
            float *row = &rest_of[k][s * (DEVICES + 1)];
            for (uint32_t d = 0; d <= DEVICES; d++)
                row[d] = s + 1 < SECTIONS ? row[DEVICES + 1 + d] : 0;
            row[devices_of[k][s]] += section_us[s * DEVICES + devices_of[k][s]];
            row[DEVICES] += s > 0 && devices_of[k][s] != devices_of[k][s - 1] ? 5 : 0;
        }
}

static void make_models(const setting *set)
{
    for (uint32_t i = 0; i < set->models; i++) {
        model *m = &models[i];
        *m = (model){ 0 };
        fill_choices(&m->choices);
        m->core = (hsi_core_model){ .section_count = SECTIONS,
                                    .sections = sections,
                                    .policy = set->policy,
                                    .max_batch = BATCH,
                                    .batch_queues = m->batch_queues,
                                    .choices = &m->choices };
    }
}

/* ---- One setting ------------------------------------------------------------ */

static int failed(const char *what)
{
    fprintf(stderr, "bench_core: %s\n", what);
    return 0;
}

static uint64_t submissions;

static int submit(hsi_core *core, const setting *set, hsi_core_run *r, uint64_t now)
{
    submissions++;
    r->priority = set->mixed ? (int)below(21) - 10 : 0;
    r->deadline_us = set->mixed && below(2) ? now + 1 + below(1000000) : 0;
    return hsi_core_submit(core, r, NULL, NULL, 0, now) == HSCHED_OK ||
           failed("a submission failed");
}

/* Takes the best of the device and ends it, submits what has ended again; counts jobs. */
static int dispatch(hsi_core *core, const setting *set, uint32_t device, uint64_t now,
                    uint32_t *count)
{
    hsi_job *jobs[BATCH];
    const uint32_t taken =
        hsi_core_take_batch(core, device, jobs, device ? BATCH : 1, now);
    for (uint32_t i = 0; i < taken; i++)
        hsi_core_job_ended(core, jobs[i], HSCHED_OK, now);
    hsi_core_run *ended;
    while ((ended = hsi_core_next_ended(core)) != NULL)
        if (!submit(core, set, ended, now))
            return 0;
    *count += taken;
    return 1;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct figures {
    double median, worst; /* ns */
    double jobs;          /* of a run */
} figures;

static int measure(hsi_core *core, const setting *set, double seconds, figures *f)
{
    uint64_t all = 0;
    uint64_t now = set->runs, end = 0;
    uint32_t count = 0;
    /* Every run once: nothing is cold, and queues have their size. */
    for (uint64_t warm = 0; warm < 2 * (uint64_t)set->runs + 1000;) {
        uint32_t jobs = 0;
        if (!dispatch(core, set, (uint32_t)(now / 10 & 1), now, &jobs))
            return 0;
        warm += jobs;
        now += 10;
    }
    const uint64_t submitted = submissions;
    end = spent_ns() + (uint64_t)(seconds * 1e9);
    while (count < BLOCKS_MOST) {
        uint32_t jobs = 0;
        const uint64_t began = spent_ns();
        for (uint32_t idle = 0; jobs < BLOCK; now += 10) {
            const uint32_t before = jobs;
            if (!dispatch(core, set, (uint32_t)(now / 10 & 1), now, &jobs))
                return 0;
            idle = jobs == before ? idle + 1 : 0;
            if (idle > 1000)
                return failed("there is nothing to take");
        }
        const uint64_t ended = spent_ns();
        blocks[count++] = (double)(ended - began) / jobs;
        all += jobs;
        if (ended > end)
            break;
    }
    qsort(blocks, count, sizeof *blocks, compare);
    const uint64_t begun = submissions - submitted;
    *f = (figures){ .median = blocks[count / 2],
                    .worst = blocks[count - 1 - count / 100],
                    .jobs = (double)all / (double)(begun > 0 ? begun : 1) };
    return 1;
}

static int run_setting(const setting *set, double seconds, figures *f)
{
    hsi_core *core;
    hsi_core_config config = { .device_count = DEVICES,
                               .devices = { { .workers = 2, .max_sections_per_job = 1 },
                                            { .workers = LANES,
                                              .max_sections_per_job = UINT32_MAX,
                                              .max_batch = BATCH,
                                              .own_memory = 1,
                                              .capacity = 1 } },
                               .ageing_us = 200000,
                               .active_limit = set->active };
    if (hsi_core_create(&config, &core) != HSCHED_OK)
        return failed("no core");
    make_models(set);
    int ok = 1;
    for (uint32_t i = 0; i < set->runs && ok; i++) {
        runs[i] = (run){ .core = { .model = &models[i % set->models].core,
                                   .jobs = runs[i].jobs } };
        ok = submit(core, set, &runs[i].core, i);
    }
    ok = ok && measure(core, set, seconds, f);
    for (uint32_t i = 0; i < set->runs; i++)
        hsi_core_cancel(core, &runs[i].core, UINT64_MAX / 2);
    while (hsi_core_next_ended(core))
        ;
    hsi_core_destroy(core);
    return ok;
}

/* ---- Tables ------------------------------------------------------------------- */

typedef struct line {
    setting set;
    figures f;
} line;

/* A shared machine has faster and slower times, so that every line has its chance in each. */
static int measure_lines(line *lines, uint32_t count, double seconds)
{
    for (uint32_t round = 0; round < ROUNDS; round++)
        for (uint32_t i = 0; i < count; i++) {
            figures f = { 0 };
            if (!run_setting(&lines[i].set, seconds, &f))
                return 0;
            if (round == 0 || f.median < lines[i].f.median)
                lines[i].f = f;
        }
    return 1;
}

/* Lines of one kind: by models, or by runs. 0: a call failed; 2: too slow. */
static int table(setting set, int by_models, double seconds)
{
    line lines[LINES_MOST];
    uint32_t count = 0;
    int slow = 0;
    for (uint32_t n = by_models ? 1 : 10; n <= (by_models ? MODELS_MOST : RUNS_MOST);
         n *= 10) {
        line *l = &lines[count++];
        l->set = set;
        if (by_models)
            l->set.models = n;
        else
            l->set.runs = n;
        if (set.active == 0)
            l->set.active = l->set.runs;
    }
    if (!measure_lines(lines, count, seconds))
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        const line *l = &lines[i];
        const double growth = l->f.median / lines[0].f.median;
        const int bad = l->f.median > LIMIT_NS || growth > GROWTH;
        printf("%-8s  %-5s  %6u  %7u  %7u  %5.2f  %7.0f  %7.0f  %6.2f%s\n",
               set.policy->name, set.mixed ? "mixed" : "equal", l->set.models,
               l->set.runs, l->set.active, l->f.jobs, l->f.median, l->f.worst, growth,
               bad ? "  *" : "");
        slow |= bad;
    }
    fflush(stdout);
    return slow ? 2 : 1;
}

int main(int argc, char **argv)
{
    static const hsi_policy *const policies[] = { &hsi_policy_gpu_only,
                                                  &hsi_policy_cost };
    const double seconds = argc > 1 ? atof(argv[1]) : 0.1;
    int slow = 0;
    runs = calloc(RUNS_MOST, sizeof *runs);
    blocks = calloc(BLOCKS_MOST, sizeof *blocks);
    if (!runs || !blocks)
        return !failed("no memory");
    make_sections();
    puts("policy    order  models     runs   active   jobs   ns med    worst  growth");
    for (uint32_t p = 0; p < 2; p++)
        for (int mixed = 0; mixed < 2; mixed++)
            for (int kind = 0; kind < 3; kind++) {
                const int ended = table((setting){ .policy = policies[p],
                                                   .mixed = mixed,
                                                   .models = 10,
                                                   .runs = 1000,
                                                   .active = kind == 2 ? 0 : AS_RUNTIME },
                                        kind == 0, seconds);
                if (ended == 0)
                    return 1;
                slow |= ended == 2;
            }
    printf("median above %.0f ns, or growth above %.1f: %s\n", LIMIT_NS, GROWTH,
           slow ? "yes, see *" : "nowhere");
    free(runs);
    free(blocks);
    return slow ? 2 : 0;
}
