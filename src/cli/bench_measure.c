/* How much of the machine a set takes: it is kept busy with the set, and rounds are timed. */
#include <math.h>
#include <stdlib.h>

#include "cli/bench_set.h"
#include "cli/clock.h"
#include "cli/ended.h"

enum {
    ROUND_MOST = 20, /* runs of the slowest network in a round, at most */
    LEAST_ROUNDS = 3,
    ROUNDS_MOST = 10000
};

typedef struct measuring {
    const cli_set *set;
    uint32_t *order; /* networks in a round, as they are released */
    uint32_t length;
    double round_seconds; /* what a round takes by the clock, at the set's rates */
    cli_ended ended;
    uint64_t submitted, done;
    double *durations_us; /* of whole rounds, from the end of one to that of the next */
    uint32_t rounds;
    uint64_t last_us;
} measuring;

/* ---- A round -------------------------------------------------------------- */

static double slowest(const cli_set *set)
{
    double hz = set->networks[0].hz;
    for (uint32_t i = 1; i < set->count; i++)
        hz = fmin(hz, set->networks[i].hz);
    return hz;
}

/* By what share whole numbers of runs in `seconds` miss the rates, at worst. */
static double rounding_error(const cli_set *set, double seconds)
{
    double worst = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        const double exact = set->networks[i].hz * seconds;
        worst = fmax(worst, fabs(round(exact) - exact) / exact);
    }
    return worst;
}

typedef struct release {
    double when;
    uint32_t network;
} release;

static int by_time(const void *a, const void *b)
{
    const release *x = a, *y = b;
    if (x->when != y->when)
        return x->when < y->when ? -1 : 1;
    return (x->network > y->network) - (x->network < y->network);
}

static int plan_round(measuring *m)
{
    const cli_set *set = m->set;
    const double least = slowest(set);
    double best = INFINITY;
    for (int runs = 1; runs <= ROUND_MOST && best > 0.005; runs++)
        if (rounding_error(set, runs / least) < best) {
            best = rounding_error(set, runs / least);
            m->round_seconds = runs / least;
        }
    for (uint32_t i = 0; i < set->count; i++)
        m->length += (uint32_t)lround(set->networks[i].hz * m->round_seconds);
    release *releases = calloc(m->length, sizeof *releases);
    m->order = calloc(m->length, sizeof *m->order);
    if (!releases || !m->order) {
        free(releases);
        return cli_no_memory();
    }
    uint32_t next = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        const uint32_t runs = (uint32_t)lround(set->networks[i].hz * m->round_seconds);
        for (uint32_t k = 0; k < runs; k++)
            releases[next++] = (release){ (k + 0.5) / runs, i };
    }
    qsort(releases, m->length, sizeof *releases, by_time);
    for (uint32_t k = 0; k < m->length; k++)
        m->order[k] = releases[k].network;
    free(releases);
    return CLI_OK;
}

/* ---- Keeping busy --------------------------------------------------------- */

static int submit(measuring *m, cli_ticket *t)
{
    const cli_set_network *network =
        &m->set->networks[m->order[m->submitted % m->length]];
    const hsched_status status =
        cli_ended_submit(&m->ended, t, network->compiled, &network->inputs);
    if (status != HSCHED_OK)
        return cli_failed(CLI_WRONG, status, network->model);
    m->submitted++;
    return CLI_OK;
}

/* Counts the run that ended, and with the last one of a round the round. The first round warms up:
 * its end is where the second begins. */
static int settle(measuring *m, cli_ticket *t)
{
    hsched_run_times times;
    const hsched_status status = cli_ticket_settle(t, &times, NULL);
    const int exit_status = status == HSCHED_OK
                                ? CLI_OK
                                : cli_failed(CLI_WRONG, status, "measuring the load");
    if (++m->done % m->length == 0 && exit_status == CLI_OK) {
        if (m->last_us != 0 && m->rounds < ROUNDS_MOST)
            m->durations_us[m->rounds++] = (double)(times.ended_us - m->last_us);
        m->last_us = times.ended_us;
    }
    return exit_status;
}

static int keep_busy(measuring *m, cli_ticket *tickets, uint32_t in_flight,
                     double seconds)
{
    const double end = cli_now_s() + seconds;
    int status = CLI_OK;
    for (uint32_t i = 0; i < in_flight && status == CLI_OK; i++)
        status = submit(m, &tickets[i]);
    while (m->done < m->submitted) {
        cli_ticket *next;
        for (cli_ticket *t = cli_ended_take(&m->ended, UINT64_MAX); t; t = next) {
            next = t->next; /* before submitting: the ticket may come back at once */
            const int settled = settle(m, t);
            status = status == CLI_OK ? settled : status;
            if (status == CLI_OK && (m->rounds < LEAST_ROUNDS ||
                                     (cli_now_s() < end && m->rounds < ROUNDS_MOST)))
                status = submit(m, t);
        }
    }
    return status;
}

/* ---- The measure ---------------------------------------------------------- */

/* 1: a step of the set is placed there. */
static int has_steps(const cli_set *set, uint32_t device)
{
    for (uint32_t i = 0; i < set->count; i++) {
        const hsched_model *model = set->networks[i].compiled;
        for (uint32_t k = 0; k < hsched_model_step_count(model); k++) {
            hsched_step_info info = { HSCHED_STEP_INFO_INIT };
            if (hsched_model_step_info(model, k, &info) == HSCHED_OK &&
                info.device == device)
                return 1;
        }
    }
    return 0;
}

static uint32_t in_flight_of(const cli_set *set, const cli_session *session)
{
    uint32_t most = set->count;
    for (uint32_t d = 0; d < hsched_runtime_device_count(session->runtime); d++) {
        hsched_device_info info = { HSCHED_DEVICE_INFO_INIT };
        if (has_steps(set, d) &&
            hsched_runtime_device_info(session->runtime, d, &info) == HSCHED_OK &&
            info.workers > most)
            most = info.workers;
    }
    return most;
}

int cli_set_measure(const cli_set *set, const cli_session *session, double seconds,
                    double *share)
{
    measuring m = { .set = set };
    const uint32_t in_flight = in_flight_of(set, session);
    *share = 0;
    int status = cli_ended_init(&m.ended);
    if (status != CLI_OK)
        return status;
    cli_ticket *tickets = calloc(in_flight, sizeof *tickets);
    m.durations_us = calloc(ROUNDS_MOST, sizeof *m.durations_us);
    status = tickets && m.durations_us ? plan_round(&m) : cli_no_memory();
    if (status == CLI_OK)
        status = keep_busy(&m, tickets, in_flight, seconds);
    if (status == CLI_OK) {
        for (uint32_t i = 0; i < m.rounds; i++)
            m.durations_us[i] /= 1e6 * m.round_seconds;
        *share = cli_median(m.durations_us, m.rounds);
    }
    free(tickets);
    free(m.durations_us);
    free(m.order);
    cli_ended_destroy(&m.ended);
    return status;
}
