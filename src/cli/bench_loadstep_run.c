/* The runs of hsched bench loadstep, which go on and on, and the program that comes and goes. */
#include <math.h>
#include <stdlib.h>

#include "cli/bench_loadstep.h"
#include "cli/clock.h"
#include "cli/ended.h"

#define LITTLE 1.02 /* loads that differ by less are not worth a sample */

enum {
    TICK_US = 1000 /* loads are looked at so often */
};

/* An instance. */
typedef struct ticket {
    cli_ticket of; /* first: what is taken is one of these */
    uint32_t lane;
} ticket;

typedef struct stepping {
    cli_loadstep *l;
    hsched_runtime *runtime;
    cli_background *background;
    cli_trace *trace;
    cli_ended ended;
    ticket *tickets;
    uint32_t in_flight;
    double loads[CLI_STEP_DEVICES]; /* as they were seen last */
} stepping;

/* ---- Runs ----------------------------------------------------------------- */

static int submit(stepping *c, ticket *t)
{
    const cli_step_lane *lane = &c->l->lanes[t->lane];
    const hsched_status status =
        cli_ended_submit(&c->ended, &t->of, lane->compiled, &lane->inputs);
    if (status != HSCHED_OK)
        return cli_failed(CLI_WRONG, status, lane->model);
    c->in_flight++;
    return CLI_OK;
}

static int settle(stepping *c, ticket *t)
{
    hsched_run_times times;
    const hsched_status status = cli_ticket_settle(&t->of, &times, NULL);
    c->in_flight--;
    if (status != HSCHED_OK) {
        c->l->failed++;
        return cli_failed(CLI_WRONG, status, c->l->lanes[t->lane].model);
    }
    const cli_step_run run = { times.submitted_us, times.started_us, times.ended_us,
                               times.devices, t->lane };
    return cli_loadstep_add_run(c->l, &run) ? CLI_OK : cli_no_memory();
}

static int look_at_loads(stepping *c)
{
    for (uint32_t d = 0; d < c->l->device_count; d++) {
        hsched_device_stats stats = { HSCHED_DEVICE_STATS_INIT };
        const hsched_status status =
            hsched_runtime_get_device_stats(c->runtime, d, &stats);
        if (status != HSCHED_OK)
            return cli_failed(CLI_SYSTEM, status, "device statistics");
        const double change = stats.load / c->loads[d];
        if (change == 1 || (change < LITTLE && change * LITTLE > 1 && stats.load != 1))
            continue;
        c->loads[d] = stats.load;
        const cli_step_sample sample = { cli_now_us(), d, stats.load };
        if (!cli_loadstep_add_sample(c->l, &sample))
            return cli_no_memory();
    }
    return CLI_OK;
}

/* What goes on all the time: a tick, or until a run has ended. `last`: no run follows. */
static int go_on(stepping *c, int last)
{
    int status = CLI_OK;
    cli_ticket *next;
    for (cli_ticket *of = cli_ended_take(&c->ended, cli_now_us() + TICK_US); of;
         of = next) {
        ticket *t = (ticket *)of;
        next = of->next; /* before submitting: the ticket may come back at once */
        const int settled = settle(c, t);
        status = settled != CLI_OK ? settled : status;
        if (!last && status == CLI_OK)
            status = submit(c, t);
    }
    const int looked = look_at_loads(c);
    return status != CLI_OK ? status : looked;
}

/* ---- Steps ---------------------------------------------------------------- */

static int go_on_until(stepping *c, uint64_t end_us)
{
    int status = CLI_OK;
    while (status == CLI_OK && cli_now_us() < end_us)
        status = go_on(c, 0);
    return status;
}

static int do_step(stepping *c, cli_step *step, uint64_t length_us)
{
    int is_ready = 0;
    step->quiet_us = cli_now_us();
    int status = go_on_until(c, step->quiet_us + length_us);
    step->began_us = cli_now_us();
    if (status == CLI_OK)
        status = cli_background_begin(c->background);
    while (status == CLI_OK && (!is_ready || cli_now_us() < step->ready_us + length_us)) {
        status = cli_background_poll(c->background, &is_ready, &step->ready_us);
        if (status == CLI_OK)
            status = go_on(c, 0);
    }
    step->asked_us = cli_now_us();
    cli_background_end(c->background);
    while (status == CLI_OK && !cli_background_gone(c->background))
        status = go_on(c, 0);
    step->gone_us = cli_now_us();
    if (status == CLI_OK)
        status = go_on_until(c, step->gone_us + length_us);
    step->over_us = cli_now_us();
    return status;
}

static int do_steps(stepping *c)
{
    const uint64_t length_us = (uint64_t)llround(1e6 * c->l->seconds);
    int status = cli_trace_start(c->trace, c->runtime);
    for (uint32_t i = 0; i < c->l->steps_wanted && status == CLI_OK; i++) {
        status = do_step(c, &c->l->steps[i], length_us);
        c->l->step_count += status == CLI_OK;
        if (i == 0)
            cli_trace_stop(c->trace, c->runtime);
    }
    return status;
}

static int submit_all(stepping *c)
{
    int status = CLI_OK;
    uint32_t next = 0;
    for (uint32_t i = 0; i < c->l->lane_count; i++)
        for (uint32_t k = 0; k < c->l->lanes[i].instances && status == CLI_OK; k++) {
            c->tickets[next] = (ticket){ .lane = i };
            status = submit(c, &c->tickets[next++]);
        }
    return status;
}

static int measure(stepping *c)
{
    hsched_runtime_stats stats = { HSCHED_RUNTIME_STATS_INIT };
    size_t instances = 0;
    for (uint32_t i = 0; i < c->l->lane_count; i++)
        instances += c->l->lanes[i].instances;
    for (uint32_t d = 0; d < c->l->device_count; d++)
        c->loads[d] = 1;
    c->tickets = calloc(instances, sizeof *c->tickets);
    c->l->steps = calloc(c->l->steps_wanted, sizeof *c->l->steps);
    if (!c->tickets || !c->l->steps)
        return cli_no_memory();
    int status = submit_all(c);
    if (status == CLI_OK)
        status = do_steps(c);
    while (c->in_flight > 0) {
        const int ended = go_on(c, 1);
        status = status != CLI_OK ? status : ended;
    }
    if (hsched_runtime_get_stats(c->runtime, &stats) == HSCHED_OK)
        c->l->replaced = stats.runs_replaced;
    return status;
}

int cli_loadstep_run(cli_loadstep *l, hsched_runtime *runtime, cli_background *background,
                     cli_trace *trace)
{
    stepping c = { .l = l, .runtime = runtime, .background = background, .trace = trace };
    int status = cli_ended_init(&c.ended);
    if (status != CLI_OK)
        return status;
    status = measure(&c);
    free(c.tickets);
    cli_ended_destroy(&c.ended);
    return status;
}
