/*
 * The source thread: it sleeps until the next release of any source, has its data filled in and
 * submits its run. What the run's end means for the source is noted on the controller's thread.
 */
#include <string.h>
#include <sys/prctl.h>

#include "base/log.h"
#include "base/status.h"
#include "base/sync.h"
#include "runtime/source.h"

/* ---- The end of a release ------------------------------------------------- */

/* Under the mutex: the run has ended. */
static void count_end(hsched_source *s, const hsi_release *r, const hsched_run *run,
                      hsched_status status)
{
    hsched_source_stats *stats = &s->stats;
    stats->deadline_misses += run->exec.core.missed;
    if (status == HSCHED_OK) {
        stats->completed++;
        hsi_histogram_add(&s->latency, run->ended_us - r->release_us);
    } else if (status == HSCHED_ERROR_DEADLINE) {
        stats->dropped++;
    } else if (status != HSCHED_ERROR_CANCELLED) {
        stats->failed++;
    } else if (run->replaced) {
        stats->replaced++;
    } else {
        stats->cancelled++;
    }
}

/* Under the mutex: the release is over, and whoever waits for that may free the source. */
static void give_back(hsi_release *r)
{
    hsched_source *s = r->source;
    s->live -= !r->gone;
    s->used--;
    if (s->last == r)
        s->last = NULL;
    r->in_use = 0;
    r->run = NULL;
    r->next_free = s->free_releases;
    s->free_releases = r;
    pthread_cond_broadcast(&s->model->runtime->sources.quiet);
}

static void run_ended(void *user, hsched_run *run, hsched_status status)
{
    hsi_release *r = user;
    hsched_source *s = r->source;
    hsched_runtime *rt = s->model->runtime;
    pthread_mutex_lock(&rt->sources.mutex);
    count_end(s, r, run, status);
    pthread_mutex_unlock(&rt->sources.mutex);
    if (s->config.callback)
        s->config.callback(s->config.user, r->release_us, run, status);
    pthread_mutex_lock(&rt->sources.mutex);
    give_back(r);
    pthread_mutex_unlock(&rt->sources.mutex);
    hsched_run_release(run);
}

/* ---- A release ------------------------------------------------------------ */

static hsched_status make_run(hsi_release *r, hsched_run **run)
{
    hsched_source *s = r->source;
    const hsched_run_config config = {
        HSCHED_RUN_CONFIG_INIT,
        .inputs = s->working,
        .outputs = s->working + s->input_count,
        .priority = s->config.priority,
        .callback = run_ended,
        .callback_user = r,
        .deadline_us = s->config.deadline_us,
        .late = s->config.late,
    };
    hsched_status status = hsi_run_make(s->model, &config, run);
    if (status == HSCHED_OK)
        (*run)->released_us = r->release_us;
    return status;
}

/* Hands the run over. It may have ended, and the release be over, when this returns. */
static hsched_status submit(hsi_release *r, hsched_run *run)
{
    hsched_source *s = r->source;
    hsched_runtime *rt = s->model->runtime;
    pthread_mutex_lock(&rt->sources.mutex);
    hsi_release *old =
        s->config.flags & HSCHED_SOURCE_LATEST_ONLY && s->last ? s->last : NULL;
    hsched_run *old_run = old ? hsched_run_retain(old->run) : NULL;
    const int both = s->live <= s->config.max_in_flight; /* this one included */
    r->run = run;
    s->stats.released++;
    pthread_mutex_unlock(&rt->sources.mutex);
    int replaced;
    hsched_status status = hsi_run_submit_instead(run, old_run, both, &replaced);
    hsched_run_release(old_run);
    pthread_mutex_lock(&rt->sources.mutex);
    if (status != HSCHED_OK) {
        r->run = NULL;
        s->stats.released--;
    } else if (r->in_use) {
        s->last = r;
    }
    if (replaced && old->in_use) { /* it has not been told yet that it was */
        old->gone = 1;
        s->live--;
    }
    pthread_mutex_unlock(&rt->sources.mutex);
    return status;
}

/* Tells that there will be no run, though there is data. */
static void give_up(hsi_release *r, hsched_status status)
{
    hsched_source *s = r->source;
    pthread_mutex_t *mutex = &s->model->runtime->sources.mutex;
    pthread_mutex_lock(mutex);
    s->stats.not_submitted++;
    const int complain = status != HSCHED_ERROR_BUSY && !s->complained;
    s->complained |= complain;
    pthread_mutex_unlock(mutex);
    if (complain)
        hsi_log(HSCHED_LOG_WARNING,
                "source '%s': no run could be submitted, and others may follow: %s",
                s->name, hsched_error_detail());
    if (s->config.callback)
        s->config.callback(s->config.user, r->release_us, NULL, status);
    pthread_mutex_lock(mutex);
    give_back(r);
    pthread_mutex_unlock(mutex);
}

/* Without the mutex; the source is kept by `releasing`. */
static void release(hsi_release *r)
{
    hsched_source *s = r->source;
    pthread_mutex_t *mutex = &s->model->runtime->sources.mutex;
    memcpy(s->working, s->fixed, (s->input_count + s->output_count) * sizeof *s->working);
    if (s->config.fill && s->config.fill(s->config.user, r->release_us, s->working,
                                         s->working + s->input_count) != 0) {
        pthread_mutex_lock(mutex);
        s->stats.declined++;
        give_back(r);
        pthread_mutex_unlock(mutex);
        return;
    }
    hsched_run *run = NULL;
    hsched_status status = make_run(r, &run);
    if (status == HSCHED_OK)
        status = submit(r, run);
    if (status != HSCHED_OK) {
        if (run)
            hsi_run_dispose(run);
        give_up(r, status);
    }
}

/* ---- Which, and when ------------------------------------------------------ */

/* Under the mutex, which it gives up in between: as many runs are in flight as may be, but has the
 * last one not begun, so that it can be replaced? */
static int last_can_be_replaced(hsched_source *s)
{
    hsched_runtime *rt = s->model->runtime;
    if (!(s->config.flags & HSCHED_SOURCE_LATEST_ONLY) || !s->last)
        return 0;
    hsched_run *run = hsched_run_retain(s->last->run);
    pthread_mutex_unlock(&rt->sources.mutex);
    const int waits = hsi_run_waits(run);
    hsched_run_release(run);
    pthread_mutex_lock(&rt->sources.mutex);
    return waits;
}

/* Under the mutex, which it gives up in between: a release is due, and the next one is set. NULL:
 * it is skipped. */
static hsi_release *take(hsched_source *s, uint64_t now_us)
{
    const uint64_t missed = (now_us - s->next_us) / s->config.period_us;
    const uint64_t release_us = s->next_us + missed * s->config.period_us;
    s->next_us = release_us + s->config.period_us;
    s->stats.skipped_late += missed;
    if ((double)(now_us - release_us) > s->stats.jitter_max_us)
        s->stats.jitter_max_us = (double)(now_us - release_us);
    if (s->live >= s->config.max_in_flight && !last_can_be_replaced(s)) {
        s->stats.skipped_busy++;
        return NULL;
    }
    hsi_release *r = s->free_releases;
    if (!r) { /* the callback of one that was replaced has not returned yet */
        s->stats.skipped_busy++;
        return NULL;
    }
    s->free_releases = r->next_free;
    *r = (hsi_release){ .source = s, .release_us = release_us, .in_use = 1 };
    s->used++;
    s->live++;
    return r;
}

/* The one whose release is the first; NULL: none is started. */
static hsched_source *find_next(const hsched_runtime *rt)
{
    hsched_source *next = rt->sources.started;
    for (hsched_source *s = next; s; s = s->next_started)
        if (s->next_us < next->next_us)
            next = s;
    return next;
}

static void *source_main(void *argument)
{
    hsched_runtime *rt = argument;
    pthread_mutex_t *mutex = &rt->sources.mutex;
    prctl(PR_SET_NAME, "hsched-source");
    prctl(PR_SET_TIMERSLACK, 1ul); /* a period is not to be late by the usual 50 us */
    pthread_mutex_lock(mutex);
    while (!rt->sources.stopping) {
        hsched_source *s = find_next(rt);
        const uint64_t now = hsi_now_us();
        if (!s || s->next_us > now) {
            hsi_cond_wait_until(&rt->sources.wake, mutex, s ? s->next_us : UINT64_MAX);
            continue;
        }
        s->releasing = 1;
        hsi_release *r = take(s, now);
        pthread_mutex_unlock(mutex);
        if (r)
            release(r);
        pthread_mutex_lock(mutex);
        s->releasing = 0;
        pthread_cond_broadcast(&rt->sources.quiet);
    }
    pthread_mutex_unlock(mutex);
    return NULL;
}

/* ---- The thread ----------------------------------------------------------- */

hsched_status hsi_sources_start_thread(hsched_runtime *rt)
{
    if (rt->sources.thread_started)
        return HSCHED_OK;
    if (pthread_create(&rt->sources.thread, NULL, source_main, rt) != 0)
        return hsi_error(HSCHED_ERROR_SYSTEM, "the source thread could not be started; "
                                              "check the limit on threads");
    rt->sources.thread_started = 1;
    return HSCHED_OK;
}

void hsi_source_await_release(hsched_source *s)
{
    hsched_runtime *rt = s->model->runtime;
    pthread_mutex_lock(&rt->sources.mutex);
    while (s->releasing && !pthread_equal(rt->sources.thread, pthread_self()))
        pthread_cond_wait(&rt->sources.quiet, &rt->sources.mutex);
    pthread_mutex_unlock(&rt->sources.mutex);
}

hsched_status hsi_sources_create(hsched_runtime *rt)
{
    if (pthread_mutex_init(&rt->sources.admission, NULL) != 0)
        return hsi_error(HSCHED_ERROR_SYSTEM, "a mutex could not be made");
    if (pthread_mutex_init(&rt->sources.mutex, NULL) != 0) {
        pthread_mutex_destroy(&rt->sources.admission);
        return hsi_error(HSCHED_ERROR_SYSTEM, "a mutex could not be made");
    }
    hsched_status status = hsi_cond_init(&rt->sources.wake);
    if (status == HSCHED_OK) {
        status = hsi_cond_init(&rt->sources.quiet);
        if (status == HSCHED_OK) {
            rt->sources.created = 1;
            return HSCHED_OK;
        }
        pthread_cond_destroy(&rt->sources.wake);
    }
    pthread_mutex_destroy(&rt->sources.mutex);
    pthread_mutex_destroy(&rt->sources.admission);
    return status;
}

void hsi_sources_stop(hsched_runtime *rt)
{
    pthread_mutex_lock(&rt->sources.mutex);
    rt->sources.stopping = 1;
    for (hsched_source *s = rt->sources.started; s; s = s->next_started)
        s->is_started = 0;
    rt->sources.started = NULL;
    pthread_cond_signal(&rt->sources.wake);
    const int started = rt->sources.thread_started;
    pthread_mutex_unlock(&rt->sources.mutex);
    if (started)
        pthread_join(rt->sources.thread, NULL);
}

void hsi_sources_destroy(hsched_runtime *rt)
{
    if (!rt->sources.created)
        return;
    pthread_cond_destroy(&rt->sources.wake);
    pthread_cond_destroy(&rt->sources.quiet);
    pthread_mutex_destroy(&rt->sources.mutex);
    pthread_mutex_destroy(&rt->sources.admission);
}
