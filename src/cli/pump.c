#include "cli/pump.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "cli/progress.h"

typedef struct pump pump;

/* An instance of a lane. `ended_next` is guarded by the pump's lock while the run is in
 * flight; the rest belongs to the calling thread. */
typedef struct ticket {
    pump *owner;
    cli_lane *lane;
    int keeps_last;
    uint64_t left; /* runs still to be submitted */
    hsched_run *run;
    struct ticket *ended_next;
} ticket;

struct pump {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    ticket *ended; /* tickets whose run has ended */
    ticket *tickets;
    uint64_t in_flight, done, total;
};

/* On the library's thread: hands the ticket to the calling thread. */
static void run_ended(void *user, hsched_run *run, hsched_status status)
{
    (void)run, (void)status; /* the calling thread asks the run itself, for the detail */
    ticket *t = user;
    pthread_mutex_lock(&t->owner->lock);
    t->ended_next = t->owner->ended;
    t->owner->ended = t;
    pthread_cond_signal(&t->owner->changed);
    pthread_mutex_unlock(&t->owner->lock);
}

static int submit(ticket *t)
{
    hsched_run_config config = { HSCHED_RUN_CONFIG_INIT,
                                 .inputs = t->lane->inputs.bindings,
                                 .input_count = t->lane->inputs.count,
                                 .callback = run_ended, .callback_user = t };
    t->left--;
    hsched_status status = hsched_submit(t->lane->model, &config, &t->run);
    if (status != HSCHED_OK)
        return cli_failed(CLI_WRONG, status, hsched_model_name(t->lane->model));
    t->owner->in_flight++;
    return CLI_OK;
}

/* Waits for at least one ticket and takes all there are. */
static ticket *take_ended(pump *p)
{
    pthread_mutex_lock(&p->lock);
    while (!p->ended)
        pthread_cond_wait(&p->changed, &p->lock);
    ticket *first = p->ended;
    p->ended = NULL;
    pthread_mutex_unlock(&p->lock);
    return first;
}

/* Counts the run that ended. */
static int settle(ticket *t)
{
    cli_lane *lane = t->lane;
    hsched_run_times times = { HSCHED_RUN_TIMES_INIT };
    hsched_status status = hsched_run_wait(t->run, HSCHED_FOREVER);
    if (status == HSCHED_OK)
        status = hsched_run_get_times(t->run, &times);
    t->owner->in_flight--;
    t->owner->done++;
    if (status == HSCHED_OK) {
        lane->latencies_us[lane->succeeded++] =
            (double)(times.ended_us - times.submitted_us);
        if (lane->first_us == 0 || times.submitted_us < lane->first_us)
            lane->first_us = times.submitted_us;
        lane->last_us = times.ended_us > lane->last_us ? times.ended_us : lane->last_us;
        if (t->keeps_last && t->left == 0)
            lane->last_run = hsched_run_retain(t->run);
    } else if (lane->failed++ == 0) {
        cli_failed(CLI_WRONG, status, hsched_model_name(lane->model));
    }
    hsched_run_release(t->run);
    t->run = NULL;
    return status == HSCHED_OK ? CLI_OK : CLI_WRONG;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
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
            p->tickets[(size_t)i * lane_count + l] = (ticket){
                .owner = p, .lane = lane, .keeps_last = i == 0, .left = iterations
            };
    }
    p->total = (uint64_t)lane_count * instances * iterations;
    return CLI_OK;
}

int cli_pump(cli_lane *lanes, uint32_t lane_count, uint32_t instances,
             uint64_t iterations, int quiet)
{
    pump p = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
    cli_progress bar;
    cli_progress_begin(&bar, quiet);
    int status = prepare(&p, lanes, lane_count, instances, iterations),
        stop = status != CLI_OK;
    for (size_t i = 0; !stop && iterations > 0 && i < (size_t)lane_count * instances;
         i++) {
        status = submit(&p.tickets[i]);
        stop = status != CLI_OK;
    }
    while (p.in_flight > 0) {
        for (ticket *t = take_ended(&p), *next; t; t = next) {
            next =
                t->ended_next; /* before submitting: the ticket may come back at once */
            if (settle(t) != CLI_OK)
                status = CLI_WRONG;
            if (t->left > 0 && !stop && submit(t) != CLI_OK) {
                status = CLI_WRONG;
                stop = 1;
            }
        }
        cli_progress_show(&bar, p.done, p.total);
    }
    cli_progress_end(&bar);
    for (uint32_t l = 0; l < lane_count; l++)
        if (lanes[l].latencies_us)
            qsort(lanes[l].latencies_us, (size_t)lanes[l].succeeded,
                  sizeof *lanes[l].latencies_us, by_value);
    free(p.tickets);
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
