#include "cli/ended.h"

#include <time.h>

int cli_ended_init(cli_ended *ended)
{
    pthread_condattr_t attributes;
    *ended = (cli_ended){ .lock = PTHREAD_MUTEX_INITIALIZER };
    int failed = pthread_condattr_init(&attributes) != 0;
    if (!failed) {
        failed = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) != 0 ||
                 pthread_cond_init(&ended->changed, &attributes) != 0;
        pthread_condattr_destroy(&attributes);
    }
    if (!failed)
        return CLI_OK;
    cli_error("a condition variable could not be made");
    return CLI_SYSTEM;
}

void cli_ended_destroy(cli_ended *ended)
{
    pthread_cond_destroy(&ended->changed);
    pthread_mutex_destroy(&ended->lock);
}

/* On the library's thread. */
static void run_ended(void *user, hsched_run *run, hsched_status status)
{
    (void)run, (void)status; /* who takes it asks the run itself, for the detail */
    cli_ticket *t = user;
    cli_ended *ended = t->ended;
    pthread_mutex_lock(&ended->lock);
    t->next = ended->first;
    ended->first = t;
    pthread_cond_signal(&ended->changed);
    pthread_mutex_unlock(&ended->lock);
}

hsched_status cli_ended_submit(cli_ended *ended, cli_ticket *t, hsched_model *model,
                               const cli_inputs *inputs)
{
    const hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = inputs->bindings,
                                       .input_count = inputs->count,
                                       .callback = run_ended, .callback_user = t };
    t->ended = ended;
    return hsched_submit(model, &config, &t->run);
}

cli_ticket *cli_ended_take(cli_ended *ended, uint64_t until_us)
{
    const struct timespec end = { .tv_sec = (time_t)(until_us / 1000000),
                                  .tv_nsec = (long)(until_us % 1000000) * 1000 };
    int late = 0;
    pthread_mutex_lock(&ended->lock);
    while (!ended->first && !late)
        if (until_us == UINT64_MAX)
            pthread_cond_wait(&ended->changed, &ended->lock);
        else
            late = pthread_cond_timedwait(&ended->changed, &ended->lock, &end) != 0;
    cli_ticket *first = ended->first;
    ended->first = NULL;
    pthread_mutex_unlock(&ended->lock);
    return first;
}

hsched_status cli_ticket_settle(cli_ticket *t, hsched_run_times *times, hsched_run **kept)
{
    hsched_run *run = t->run;
    *times = (hsched_run_times){ HSCHED_RUN_TIMES_INIT };
    hsched_status status = hsched_run_wait(run, HSCHED_FOREVER);
    if (status == HSCHED_OK)
        status = hsched_run_get_times(run, times);
    t->run = NULL;
    if (kept && status == HSCHED_OK)
        *kept = run;
    else
        hsched_run_release(run);
    return status;
}
