/*
 * The best way to share a set of runs out to a GPU and the CPU, found by measuring.
 *
 * Whole runs first. T_gpu(g) and T_cpu(c) are the makespans of so many runs of each network when
 * the other device is idle. What is left is a choice of g: the least of max(T_gpu(g),
 * T_cpu(N - g)).
 * It is as good as any placement of whole runs can be, since beside each other both are slower,
 * if at all. All g are ranked by the sum of what the networks take one by one, and measured in that
 * order until what is left cannot be the best one.
 *
 * Then placements, with both devices at work: from the best g and from the pure ones, one run
 * after the other is moved, or split between the devices at a quarter of its sections, as long as
 * that gains.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/clock.h"
#include "cli/collaborate.h"
#include "cli/statistics.h"

enum {
    SAMPLES = 3, /* of a placement */
    WARM = 2,
    CELLS_MAX = 4096, /* numbers of runs on a device that are told apart */
};
/* Networks that run at once take at least so much of the sum of what they take one by one. */
#define TOGETHER 0.5

typedef struct search {
    cli_machine *machine;
    const cli_mix *mix;
    double end_s;
    /* [code of how many runs of each network]; 0: not measured */
    double *us[2]; /* GPU, CPU */
    uint32_t codes;
    cli_best *best;
} search;

static int time_is_left(search *s)
{
    if (cli_now_s() < s->end_s)
        return 1;
    s->best->complete = 0;
    return 0;
}

/* ---- How many of each network ---------------------------------------------- */

static void decode(const cli_mix *mix, uint32_t code, uint32_t *runs)
{
    for (uint32_t i = 0; i < mix->count; i++) {
        runs[i] = code % (mix->instances[i] + 1);
        code /= mix->instances[i] + 1;
    }
}

static uint32_t encode(const cli_mix *mix, const uint32_t *runs)
{
    uint32_t code = 0;
    for (uint32_t i = mix->count; i-- > 0;)
        code = code * (mix->instances[i] + 1) + runs[i];
    return code;
}

static uint32_t rest_of(const cli_mix *mix, uint32_t code)
{
    uint32_t runs[CLI_NETWORKS_MAX];
    decode(mix, code, runs);
    for (uint32_t i = 0; i < mix->count; i++)
        runs[i] = mix->instances[i] - runs[i];
    return encode(mix, runs);
}

/* ---- Measuring ------------------------------------------------------------- */

static int measure(search *s, const cli_shares *shares, double *us)
{
    double samples[SAMPLES];
    /* What the GPU lacks for it (a batch of this size, a graph) is made in the background. */
    int status = cli_machine_samples(s->machine, s->mix, shares, WARM, NULL, 0);
    if (status != CLI_OK)
        return status;
    const hsched_status settled = hsched_runtime_settle(s->machine->runtime);
    if (settled != HSCHED_OK)
        return cli_failed(CLI_WRONG, settled, s->mix->text);
    status = cli_machine_samples(s->machine, s->mix, shares, 0, samples, SAMPLES);
    s->best->measurements++;
    *us = status == CLI_OK ? cli_median(samples, SAMPLES) : 0;
    return status;
}

/* So many of each network on one device alone; kept. */
static int measure_alone(search *s, int on_cpu, uint32_t code, double *us)
{
    cli_shares shares = { 0 };
    uint32_t runs[CLI_NETWORKS_MAX];
    *us = 0;
    if (code == 0)
        return CLI_OK;
    if (s->us[on_cpu][code] == 0) {
        decode(s->mix, code, runs);
        for (uint32_t i = 0; i < s->mix->count; i++)
            shares.runs[i][on_cpu ? CLI_WAY_CPU : CLI_WAY_GPU] = (uint8_t)runs[i];
        const int status = measure(s, &shares, &s->us[on_cpu][code]);
        if (status != CLI_OK)
            return status;
    }
    *us = s->us[on_cpu][code];
    return CLI_OK;
}

/* Runs of one network need not all start at once: two groups, one after the other, may be faster.
 * All numbers of runs are measured then (rank), and become no larger. */
static void allow_groups(double *us, uint32_t most)
{
    for (uint32_t runs = 2; runs <= most; runs++)
        for (uint32_t k = 1; k <= runs / 2; k++)
            if (us[k] + us[runs - k] < us[runs])
                us[runs] = us[k] + us[runs - k];
}

/* ---- Whole runs ------------------------------------------------------------ */

typedef struct ranked {
    uint32_t code;
    double us; /* by what the networks take one by one */
} ranked;

static int by_us(const void *a, const void *b)
{
    const double x = ((const ranked *)a)->us, y = ((const ranked *)b)->us;
    return (x > y) - (x < y);
}

/* What so many of each take one network after the other. *status becomes what measuring gives. */
static double sum_alone(search *s, int on_cpu, uint32_t code, int *status)
{
    uint32_t runs[CLI_NETWORKS_MAX];
    double sum = 0, us;
    decode(s->mix, code, runs);
    for (uint32_t i = 0; i < s->mix->count && *status == CLI_OK; i++) {
        uint32_t single[CLI_NETWORKS_MAX] = { 0 };
        single[i] = runs[i];
        *status = measure_alone(s, on_cpu, encode(s->mix, single), &us);
        sum += us;
    }
    return sum;
}

static int rank(search *s, ranked *order)
{
    int status = CLI_OK;
    for (uint32_t code = 0; code < s->codes && status == CLI_OK; code++) {
        const double gpu = sum_alone(s, 0, code, &status);
        const double cpu =
            status == CLI_OK ? sum_alone(s, 1, rest_of(s->mix, code), &status) : 0;
        order[code] = (ranked){ code, gpu > cpu ? gpu : cpu };
    }
    qsort(order, s->codes, sizeof *order, by_us);
    return status;
}

static int find_optimum(search *s)
{
    ranked *order = calloc(s->codes, sizeof *order);
    if (!order)
        return cli_no_memory();
    int status = rank(s, order);
    if (status == CLI_OK && s->mix->count == 1) {
        allow_groups(s->us[0], s->mix->instances[0]);
        allow_groups(s->us[1], s->mix->instances[0]);
    }
    s->best->optimum_us = 0;
    for (uint32_t k = 0; k < s->codes && status == CLI_OK; k++) {
        double gpu, cpu;
        if (s->best->optimum_us > 0 &&
            (order[k].us * TOGETHER > s->best->optimum_us || !time_is_left(s)))
            break;
        status = measure_alone(s, 0, order[k].code, &gpu);
        if (status == CLI_OK)
            status = measure_alone(s, 1, rest_of(s->mix, order[k].code), &cpu);
        if (status != CLI_OK)
            break;
        const double us = gpu > cpu ? gpu : cpu;
        if (s->best->optimum_us > 0 && us >= s->best->optimum_us)
            continue;
        s->best->optimum_us = us;
        decode(s->mix, order[k].code, s->best->optimum_gpu);
    }
    free(order);
    return status;
}

/* ---- Placements ------------------------------------------------------------ */

static const cli_way statics[] = { CLI_WAY_GPU, CLI_WAY_CPU, CLI_WAY_LAYER_TYPE,
                                   CLI_WAY_SPLIT };
enum {
    STATICS = sizeof statics / sizeof statics[0]
};

/* Times it, and keeps it if it is the best one; *gained. */
static int try(search *s, const cli_shares *shares, int *gained)
{
    double us;
    *gained = 0;
    const int status = measure(s, shares, &us);
    if (status != CLI_OK || (s->best->static_us > 0 && us >= s->best->static_us))
        return status;
    s->best->static_us = us;
    s->best->shares = *shares;
    memcpy(s->best->splits, s->machine->splits, sizeof s->best->splits);
    *gained = 1;
    return CLI_OK;
}

static int try_pure(search *s)
{
    int status = CLI_OK, gained;
    cli_shares shares = { 0 };
    for (uint32_t i = 0; i < s->mix->count; i++) {
        shares.runs[i][CLI_WAY_GPU] = (uint8_t)s->best->optimum_gpu[i];
        shares.runs[i][CLI_WAY_CPU] =
            (uint8_t)(s->mix->instances[i] - s->best->optimum_gpu[i]);
    }
    status = try(s, &shares, &gained);
    for (int k = 0; k < STATICS - 1 && status == CLI_OK; k++) {
        shares = cli_shares_all(s->mix, statics[k]);
        status = try(s, &shares, &gained);
    }
    return status;
}

/* One run of the i-th network from one way to another. */
static int try_move(search *s, uint32_t i, cli_way from, cli_way to, int *gained)
{
    cli_shares shares = s->best->shares;
    *gained = 0;
    if (from == to || shares.runs[i][from] == 0)
        return CLI_OK;
    shares.runs[i][from]--;
    shares.runs[i][to]++;
    return try(s, &shares, gained);
}

/* One run more that is split, at a quarter, a half, three quarters of its sections, either way
 * round. */
static int try_splits(search *s, uint32_t i, cli_way from, int *gained)
{
    cli_split *split = &s->machine->splits[s->mix->network[i]];
    int status = CLI_OK;
    *gained = 0;
    for (uint32_t k = 0; k < 6 && status == CLI_OK && !*gained && time_is_left(s); k++) {
        *split = s->best->splits[s->mix->network[i]];
        split->at = split->sections * (1 + k % 3) / 4;
        split->gpu_first = k < 3;
        if (split->at > 0)
            status = try_move(s, i, from, CLI_WAY_SPLIT, gained);
    }
    *split = s->best->splits[s->mix->network[i]];
    return status;
}

/* A round over all single changes; *gained. */
static int improve(search *s, int *gained)
{
    int status = CLI_OK, one;
    *gained = 0;
    for (uint32_t i = 0; i < s->mix->count; i++)
        for (int from = 0; from < STATICS; from++)
            for (int to = 0; to < STATICS; to++) {
                if (!time_is_left(s))
                    return CLI_OK;
                if (statics[to] == CLI_WAY_SPLIT)
                    status = try_splits(s, i, statics[from], &one);
                else
                    status = try_move(s, i, statics[from], statics[to], &one);
                if (status != CLI_OK)
                    return status;
                *gained |= one;
            }
    return status;
}

int cli_best_find(cli_machine *machine, const cli_mix *mix, double seconds,
                  cli_best *best)
{
    const double begin_s = cli_now_s();
    search s = { .machine = machine,
                 .mix = mix,
                 .best = best,
                 .codes = 1,
                 .end_s = begin_s + seconds / 2 };
    *best = (cli_best){ .complete = 1 };
    memcpy(best->splits, machine->splits, sizeof best->splits);
    for (uint32_t i = 0; i < mix->count; i++) {
        s.codes *= mix->instances[i] + 1;
        if (s.codes <= CELLS_MAX)
            continue;
        cli_error("'%s' can be shared out in more than %d ways, which is too many to "
                  "search; take fewer networks or runs",
                  mix->text, CELLS_MAX);
        return CLI_USAGE;
    }
    s.us[0] = calloc(s.codes, sizeof *s.us[0]);
    s.us[1] = calloc(s.codes, sizeof *s.us[1]);
    int status = s.us[0] && s.us[1] ? find_optimum(&s) : cli_no_memory();
    s.end_s = begin_s + seconds;
    if (status == CLI_OK)
        status = try_pure(&s);
    for (int gained = 1; gained && status == CLI_OK;)
        status = improve(&s, &gained);
    if (status == CLI_OK && best->static_us < best->optimum_us)
        best->optimum_us = best->static_us;
    memcpy(machine->splits, best->splits, sizeof best->splits);
    free(s.us[0]);
    free(s.us[1]);
    return status;
}
