/* The runs of hsched bench loadstep, which go on and on, and the program that comes and goes. */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "cli/bench_loadstep.h"
#include "cli/clock.h"

#define LITTLE 1.02 /* loads that differ by less are not worth a sample */

enum {
    TICK_US = 1000 /* loads are looked at so often */
};

typedef struct stepping stepping;

/* An instance. `next_ended` is guarded by the lock while the run is in flight. */
typedef struct ticket {
    stepping *owner;
    uint32_t lane;
    hsched_run *run;
    struct ticket *next_ended;
} ticket;

struct stepping {
    cli_loadstep *l;
    hsched_runtime *runtime;
    cli_background *background;
    cli_trace *trace;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* by CLOCK_MONOTONIC */
    ticket *ended;
    ticket *tickets;
    uint32_t in_flight;
    double loads[CLI_STEP_DEVICES]; /* as they were seen last */
};

/* ---- Runs ----------------------------------------------------------------- */

static void run_ended(void *user, hsched_run *run, hsched_status status)
{
    (void)run, (void)status; /* the calling thread asks the run itself, for the detail */
    ticket *t = user;
    pthread_mutex_lock(&t->owner->lock);
    t->next_ended = t->owner->ended;
    t->owner->ended = t;
    pthread_cond_signal(&t->owner->changed);
    pthread_mutex_unlock(&t->owner->lock);
}

static int submit(stepping *c, ticket *t)
{
    const cli_step_lane *lane = &c->l->lanes[t->lane];
    const hsched_run_config config = { HSCHED_RUN_CONFIG_INIT,
                                       .inputs = lane->inputs.bindings,
                                       .input_count = lane->inputs.count,
                                       .callback = run_ended, .callback_user = t };
    const hsched_status status = hsched_submit(lane->compiled, &config, &t->run);
    if (status != HSCHED_OK)
        return cli_failed(CLI_WRONG, status, lane->model);
    c->in_flight++;
    return CLI_OK;
}

static int settle(stepping *c, ticket *t)
{
    hsched_run_times times = { HSCHED_RUN_TIMES_INIT };
    hsched_status status = hsched_run_wait(t->run, HSCHED_FOREVER);
    if (status == HSCHED_OK)
        status = hsched_run_get_times(t->run, &times);
    hsched_run_release(t->run);
    t->run = NULL;
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

/* Waits for ended runs, but not for longer than a tick, and takes them. */
static ticket *await_ended(stepping *c)
{
    const uint64_t until = cli_now_us() + TICK_US;
    const struct timespec end = { .tv_sec = (time_t)(until / 1000000),
                                  .tv_nsec = (long)(until % 1000000) * 1000 };
    pthread_mutex_lock(&c->lock);
    while (!c->ended && pthread_cond_timedwait(&c->changed, &c->lock, &end) == 0)
        ;
    ticket *first = c->ended;
    c->ended = NULL;
    pthread_mutex_unlock(&c->lock);
    return first;
}

/* What goes on all the time: a tick, or until a run has ended. `last`: no run follows. */
static int go_on(stepping *c, int last)
{
    int status = CLI_OK;
    for (ticket *t = await_ended(c), *next; t; t = next) {
        next = t->next_ended; /* before submitting: the ticket may come back at once */
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
            c->tickets[next] = (ticket){ .owner = c, .lane = i };
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

static int make_waiting(stepping *c)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    const int failed = pthread_cond_init(&c->changed, &attributes) != 0;
    pthread_condattr_destroy(&attributes);
    if (!failed)
        return CLI_OK;
    cli_error("a condition variable could not be made");
    return CLI_SYSTEM;
}

int cli_loadstep_run(cli_loadstep *l, hsched_runtime *runtime, cli_background *background,
                     cli_trace *trace)
{
    stepping c = { .l = l,
                   .runtime = runtime,
                   .background = background,
                   .trace = trace,
                   .lock = PTHREAD_MUTEX_INITIALIZER };
    int status = make_waiting(&c);
    if (status != CLI_OK)
        return status;
    status = measure(&c);
    free(c.tickets);
    pthread_cond_destroy(&c.changed);
    return status;
}
