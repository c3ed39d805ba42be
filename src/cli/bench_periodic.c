#include "cli/bench_periodic.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cli/clock.h"
#include "cli/random.h"

#define NO_DEADLINE_US (UINT64_C(1) << 40) /* a source has one; this one is never near */
#define LEAD_US        20000               /* sources are made before the first release */

/* ---- Orders --------------------------------------------------------------- */

static const char *const order_names[CLI_ORDERS] = {
    [CLI_ORDER_DEADLINES] = "deadlines",
    [CLI_ORDER_FIFO] = "fifo",
    [CLI_ORDER_PRIORITIES] = "priorities",
};

const char *cli_order_name(cli_order order)
{
    return order_names[order];
}

int cli_order_find(const char *name, size_t length, cli_order *order)
{
    for (int i = 0; i < CLI_ORDERS; i++)
        if (strlen(order_names[i]) == length &&
            strncmp(order_names[i], name, length) == 0) {
            *order = (cli_order)i;
            return 1;
        }
    return 0;
}

int cli_order_priority(const cli_set *set, uint32_t network)
{
    uint32_t slower = 0, ranks = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        int seen = 0; /* networks of one rate share a rank */
        for (uint32_t k = 0; k < i; k++)
            seen |= set->networks[k].hz == set->networks[i].hz;
        ranks += !seen;
        slower += !seen && set->networks[i].hz < set->networks[network].hz;
    }
    return ranks > 1 ? (int)(CLI_PRIORITY_TOP * slower / (ranks - 1)) : 0;
}

/* ---- Sources -------------------------------------------------------------- */

typedef struct round_of round_of;

/* One copy of a network. The responses are guarded by the round's lock while it runs. */
typedef struct periodic_source {
    round_of *round;
    const cli_set_network *network;
    uint32_t index; /* of the network */
    hsched_source *source;
    uint64_t period_us, offset_us, deadline_us;
    uint64_t expected;    /* releases that are due within the time */
    double *responses_us; /* of each; NaN: it was skipped, or is not over */
    uint64_t failed, over;
} periodic_source;

struct round_of {
    const cli_periodic *periodic;
    periodic_source *sources;
    uint32_t source_count;
    uint64_t start_us, length_us;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int complained;
};

/* On a thread of the library; the run has ended, or there was none. */
static void release_over(void *user, uint64_t release_us, hsched_run *run,
                         hsched_status status)
{
    periodic_source *s = user;
    hsched_run_times times = { HSCHED_RUN_TIMES_INIT };
    round_of *round = s->round;
    const uint64_t k = (release_us - round->start_us - s->offset_us) / s->period_us;
    if (status == HSCHED_OK)
        status = hsched_run_get_times(run, &times);
    pthread_mutex_lock(&round->lock);
    s->over++;
    if (k < s->expected && status == HSCHED_OK) {
        s->responses_us[k] = (double)(times.ended_us - release_us);
    } else if (k < s->expected) {
        s->failed++;
        if (round->complained++ == 0) {
            if (run) /* it has ended: this only fetches the detail */
                hsched_run_wait(run, HSCHED_FOREVER);
            cli_failed(CLI_WRONG, status, s->network->model);
        }
    }
    pthread_cond_signal(&round->changed);
    pthread_mutex_unlock(&round->lock);
}

/* From 0 to below 1. */
static double next_phase(uint64_t *state)
{
    return (double)(cli_random_next(state) >> 11) / 9007199254740992.0;
}

static int make_source(round_of *round, periodic_source *s)
{
    const cli_periodic *p = round->periodic;
    const cli_set_network *network = s->network;
    if (s->offset_us < round->length_us)
        s->expected = (round->length_us - s->offset_us + s->period_us - 1) / s->period_us;
    s->responses_us = calloc(s->expected + 1, sizeof *s->responses_us);
    if (!s->responses_us)
        return cli_no_memory();
    for (uint64_t k = 0; k < s->expected; k++)
        s->responses_us[k] = NAN;
    const hsched_source_config config = {
        HSCHED_SOURCE_CONFIG_INIT,
        .period_us = s->period_us,
        .offset_us = s->offset_us,
        .deadline_us = p->order == CLI_ORDER_DEADLINES ? s->deadline_us : NO_DEADLINE_US,
        .priority =
            p->order == CLI_ORDER_PRIORITIES ? cli_order_priority(p->set, s->index) : 0,
        .flags = HSCHED_SOURCE_NO_ADMISSION, /* overloads are what is to be seen */
        .inputs = network->inputs.bindings,
        .input_count = network->inputs.count,
        .callback = release_over,
        .user = s,
    };
    const hsched_status status =
        hsched_source_create(network->compiled, &config, &s->source);
    return status == HSCHED_OK ? CLI_OK : cli_failed(CLI_SYSTEM, status, network->model);
}

static int make_sources(round_of *round)
{
    const cli_periodic *p = round->periodic;
    uint64_t random = p->seed;
    round->sources = calloc((size_t)p->set->count * p->copies, sizeof *round->sources);
    if (!round->sources)
        return cli_no_memory();
    for (uint32_t i = 0; i < p->set->count; i++)
        for (uint32_t c = 0; c < p->copies; c++) {
            periodic_source *s = &round->sources[round->source_count++];
            const double period_us = 1e6 / (p->set->networks[i].hz * p->rate);
            s->round = round;
            s->network = &p->set->networks[i];
            s->index = i;
            s->period_us = period_us < 1 ? 1 : (uint64_t)llround(period_us);
            s->deadline_us = (uint64_t)ceil((double)s->period_us * p->deadline);
            s->offset_us = (uint64_t)((double)s->period_us * next_phase(&random));
            const int status = make_source(round, s);
            if (status != CLI_OK)
                return status;
        }
    return CLI_OK;
}

/* ---- A round -------------------------------------------------------------- */

static int start_sources(round_of *round)
{
    round->start_us = cli_now_us() + LEAD_US;
    for (uint32_t i = 0; i < round->source_count; i++) {
        const hsched_status status =
            hsched_source_start(round->sources[i].source, round->start_us);
        if (status != HSCHED_OK)
            return cli_failed(CLI_SYSTEM, status, round->sources[i].network->model);
    }
    return CLI_OK;
}

/* Until the time is over: what is released later does not count. */
static void await_end(round_of *round)
{
    const uint64_t end_us = round->start_us + round->length_us;
    const struct timespec end = { .tv_sec = (time_t)(end_us / 1000000),
                                  .tv_nsec = (long)(end_us % 1000000) * 1000 };
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL) != 0)
        ;
}

/* No further releases; those under way end as they would. */
static void drain(round_of *round)
{
    for (uint32_t i = 0; i < round->source_count; i++)
        hsched_source_stop(round->sources[i].source);
    for (uint32_t i = 0; i < round->source_count; i++) {
        periodic_source *s = &round->sources[i];
        hsched_source_stats stats = { HSCHED_SOURCE_STATS_INIT };
        if (hsched_source_get_stats(s->source, &stats) != HSCHED_OK)
            continue; /* NULL: it could not be made, and the round has failed */
        pthread_mutex_lock(&round->lock);
        while (s->over < stats.released + stats.not_submitted)
            pthread_cond_wait(&round->changed, &round->lock);
        pthread_mutex_unlock(&round->lock);
    }
}

static int grow(double **values, size_t capacity)
{
    double *grown = realloc(*values, capacity * sizeof *grown);
    if (!grown)
        return cli_no_memory();
    *values = grown;
    return CLI_OK;
}

static int add_response(cli_periodic_tally *tally, double response_us, double share)
{
    if (tally->count == tally->capacity) {
        const size_t capacity = tally->capacity ? 2 * tally->capacity : 256;
        if (grow(&tally->responses_us, capacity) != CLI_OK ||
            grow(&tally->shares, capacity) != CLI_OK)
            return CLI_SYSTEM;
        tally->capacity = capacity;
    }
    tally->responses_us[tally->count] = response_us;
    tally->shares[tally->count++] = share;
    return CLI_OK;
}

int cli_periodic_tally_add(cli_periodic_tally *tally, const cli_periodic_tally *more)
{
    tally->releases += more->releases;
    tally->late += more->late;
    tally->skipped += more->skipped;
    tally->failed += more->failed;
    for (size_t i = 0; i < more->count; i++)
        if (add_response(tally, more->responses_us[i], more->shares[i]) != CLI_OK)
            return CLI_SYSTEM;
    return CLI_OK;
}

static int add_source(const periodic_source *s, cli_periodic_tally *tally)
{
    uint64_t ended = 0;
    for (uint64_t k = 0; k < s->expected; k++) {
        const double response_us = s->responses_us[k];
        if (isnan(response_us))
            continue;
        ended++;
        tally->late += response_us > (double)s->deadline_us;
        const int status =
            add_response(tally, response_us, response_us / (double)s->deadline_us);
        if (status != CLI_OK)
            return status;
    }
    tally->releases += s->expected;
    tally->failed += s->failed;
    tally->skipped += s->expected - ended - s->failed;
    return CLI_OK;
}

int cli_periodic_run(const cli_periodic *periodic, cli_periodic_tally *tallies)
{
    round_of round = { .periodic = periodic,
                       .length_us = (uint64_t)llround(1e6 * periodic->seconds),
                       .lock = PTHREAD_MUTEX_INITIALIZER,
                       .changed = PTHREAD_COND_INITIALIZER };
    int status = make_sources(&round);
    if (status == CLI_OK)
        status = start_sources(&round);
    if (status == CLI_OK)
        await_end(&round);
    drain(&round);
    for (uint32_t i = 0; i < round.source_count; i++) {
        periodic_source *s = &round.sources[i];
        hsched_source_destroy(s->source);
        if (status == CLI_OK)
            status = add_source(s, &tallies[s->index]);
        free(s->responses_us);
    }
    free(round.sources);
    return status == CLI_OK && round.complained ? CLI_WRONG : status;
}

void cli_periodic_tally_free(cli_periodic_tally *tally)
{
    free(tally->responses_us);
    free(tally->shares);
    *tally = (cli_periodic_tally){ 0 };
}
