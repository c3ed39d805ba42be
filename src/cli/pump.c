#include "cli/pump.h"

#include <math.h>
#include <stdlib.h>

#include "cli/ended.h"
#include "cli/progress.h"
#include "cli/statistics.h"

/* An instance of a lane. */
typedef struct ticket {
    cli_ticket of; /* first: what is taken is one of these */
    cli_lane *lane;
    int keeps_last;
    uint64_t left; /* runs still to be submitted */
} ticket;

typedef struct pump {
    cli_ended ended;
    ticket *tickets;
    uint64_t in_flight, done, total;
} pump;

static int submit(pump *p, ticket *t)
{
    t->left--;
    const hsched_status status =
        cli_ended_submit(&p->ended, &t->of, t->lane->model, &t->lane->inputs);
    if (status != HSCHED_OK)
        return cli_failed(CLI_WRONG, status, hsched_model_name(t->lane->model));
    p->in_flight++;
    return CLI_OK;
}

/* Counts the run that ended. */
static int settle(pump *p, ticket *t)
{
    cli_lane *lane = t->lane;
    hsched_run_times times;
    const hsched_status status = cli_ticket_settle(
        &t->of, &times, t->keeps_last && t->left == 0 ? &lane->last_run : NULL);
    p->in_flight--;
    p->done++;
    if (status == HSCHED_OK) {
        lane->latencies_us[lane->succeeded++] =
            (double)(times.ended_us - times.submitted_us);
        if (lane->first_us == 0 || times.submitted_us < lane->first_us)
            lane->first_us = times.submitted_us;
        lane->last_us = times.ended_us > lane->last_us ? times.ended_us : lane->last_us;
    } else if (lane->failed++ == 0) {
        cli_failed(CLI_WRONG, status, hsched_model_name(lane->model));
    }
    return status == HSCHED_OK ? CLI_OK : CLI_WRONG;
}

static int prepare(pump *p, cli_lane *lanes, uint32_t lane_count, uint32_t instances,
                   uint64_t iterations)
{
    p->tickets = calloc((size_t)lane_count * instances, sizeof *p->tickets);
    if (!p->tickets)
        return cli_no_memory();
    for (uint32_t l = 0; l < lane_count; l++) {
        cli_lane *lane = &lanes[l];
        hsched_run_release(lane->last_run);
        free(lane->latencies_us);
        lane->last_run = NULL;
        lane->succeeded = lane->failed = lane->first_us = lane->last_us = 0;
        lane->latencies_us = NULL;
        if (iterations <= SIZE_MAX / instances)
            lane->latencies_us =
                calloc(instances * (size_t)iterations, sizeof *lane->latencies_us);
        if (!lane->latencies_us)
            return cli_no_memory();
        for (uint32_t i = 0; i < instances; i++)
            /* Instances of the lanes in turn, so that none starts ahead of the others. */
            p->tickets[(size_t)i * lane_count + l] =
                (ticket){ .lane = lane, .keeps_last = i == 0, .left = iterations };
    }
    p->total = (uint64_t)lane_count * instances * iterations;
    return CLI_OK;
}

/* Until nothing is in flight. */
static int go_on(pump *p, cli_progress *bar, int status)
{
    int stop = status != CLI_OK;
    while (p->in_flight > 0) {
        cli_ticket *next;
        for (cli_ticket *of = cli_ended_take(&p->ended, UINT64_MAX); of; of = next) {
            ticket *t = (ticket *)of;
            next = of->next; /* before submitting: the ticket may come back at once */
            if (settle(p, t) != CLI_OK)
                status = CLI_WRONG;
            if (t->left > 0 && !stop && submit(p, t) != CLI_OK) {
                status = CLI_WRONG;
                stop = 1;
            }
        }
        cli_progress_show(bar, p->done, p->total);
    }
    return status;
}

int cli_pump(cli_lane *lanes, uint32_t lane_count, uint32_t instances,
             uint64_t iterations, int quiet)
{
    pump p = { .tickets = NULL };
    cli_progress bar;
    int status = cli_ended_init(&p.ended);
    if (status != CLI_OK)
        return status;
    cli_progress_begin(&bar, quiet);
    status = prepare(&p, lanes, lane_count, instances, iterations);
    for (size_t i = 0;
         status == CLI_OK && iterations > 0 && i < (size_t)lane_count * instances; i++)
        status = submit(&p, &p.tickets[i]);
    status = go_on(&p, &bar, status);
    cli_progress_end(&bar);
    for (uint32_t l = 0; l < lane_count; l++)
        cli_sort(lanes[l].latencies_us, (size_t)lanes[l].succeeded);
    free(p.tickets);
    cli_ended_destroy(&p.ended);
    return status;
}

void cli_lane_free(cli_lane *lane)
{
    hsched_run_release(lane->last_run);
    hsched_model_release(lane->model);
    cli_inputs_free(&lane->inputs);
    free(lane->latencies_us);
    *lane = (cli_lane){ 0 };
}

double cli_lane_quantile(const cli_lane *lane, double part)
{
    if (lane->succeeded == 0)
        return 0;
    /* The smallest value that at least `part` of all do not exceed. */
    uint64_t rank = (uint64_t)ceil(part * (double)lane->succeeded);
    return lane->latencies_us[rank > 0 ? rank - 1 : 0];
}

double cli_lane_mean(const cli_lane *lane)
{
    double sum = 0;
    for (uint64_t i = 0; i < lane->succeeded; i++)
        sum += lane->latencies_us[i];
    return lane->succeeded ? sum / (double)lane->succeeded : 0;
}
