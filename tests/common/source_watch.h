/* What tests of sources share: a fill and a callback that note down what they are called with, and
 * can be held. */
#ifndef TESTS_COMMON_SOURCE_WATCH_H
#define TESTS_COMMON_SOURCE_WATCH_H

#include <pthread.h>

#include "base/sync.h"
#include "common/support.h"

enum {
    WATCH_RELEASES = 4096,
    WATCH_STATUSES = 20
};

typedef struct watch {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    /* What fill binds, unless data is NULL: as many bytes of it for the input. */
    const void *data;
    size_t size;
    int declines;    /* fill does not want any */
    int fill_held;   /* fill does not return; */
    int ended_held;  /*   nor does the callback */
    int fill_passes; /* so many calls of fill are let through all the same */
    uint32_t fills;  /* that were called */
    uint32_t ends;   /* callbacks that were called */
    uint32_t inside; /* calls that have not returned */
    uint32_t by_status[WATCH_STATUSES];
    uint32_t without_run;
    uint64_t released_us[WATCH_RELEASES]; /* of fills, in order */
    uint64_t ended_us[WATCH_RELEASES];    /* of ends: the release, in order */
    hsched_source *stops;                 /* fill stops it */
} watch;

static inline void watch_init(watch *w)
{
    memset(w, 0, sizeof *w);
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->changed, NULL);
}

static inline void watch_destroy(watch *w)
{
    assert_int_equal(w->inside, 0);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->mutex);
}

/* Under the mutex. */
static inline void watch_pass(watch *w, const int *held, int *passes)
{
    w->inside++;
    pthread_cond_broadcast(&w->changed);
    while (*held && *passes == 0)
        pthread_cond_wait(&w->changed, &w->mutex);
    *passes -= *passes > 0;
    w->inside--;
    pthread_cond_broadcast(&w->changed);
}

static int watch_fill(void *user, uint64_t release_us, hsched_binding *inputs,
                      hsched_binding *outputs)
{
    watch *w = user;
    (void)outputs;
    pthread_mutex_lock(&w->mutex);
    if (w->fills < WATCH_RELEASES)
        w->released_us[w->fills] = release_us;
    w->fills++;
    if (w->data)
        inputs[0] = (hsched_binding)HSCHED_DATA(w->data, w->size);
    watch_pass(w, &w->fill_held, &w->fill_passes);
    const int declines = w->declines;
    hsched_source *stops = w->stops;
    pthread_mutex_unlock(&w->mutex);
    hsched_source_stop(stops);
    return declines;
}

static void watch_ended(void *user, uint64_t release_us, hsched_run *run,
                        hsched_status status)
{
    watch *w = user;
    pthread_mutex_lock(&w->mutex);
    if (w->ends < WATCH_RELEASES)
        w->ended_us[w->ends] = release_us;
    w->ends++;
    w->without_run += !run;
    if ((unsigned)status < WATCH_STATUSES)
        w->by_status[status]++;
    int none = 0;
    watch_pass(w, &w->ended_held, &none);
    pthread_mutex_unlock(&w->mutex);
}

/* Until a count is so large. */
static inline void watch_await(watch *w, const uint32_t *count, uint32_t most)
{
    pthread_mutex_lock(&w->mutex);
    while (*count < most)
        pthread_cond_wait(&w->changed, &w->mutex);
    pthread_mutex_unlock(&w->mutex);
}

static inline void watch_set(watch *w, int *what, int value)
{
    pthread_mutex_lock(&w->mutex);
    *what = value;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->mutex);
}

static inline hsched_source_stats source_stats(const hsched_source *source)
{
    hsched_source_stats stats = { HSCHED_SOURCE_STATS_INIT };
    assert_ok(hsched_source_get_stats(source, &stats));
    assert_int_equal(stats.released, stats.completed + stats.failed + stats.cancelled +
                                         stats.dropped + stats.replaced +
                                         stats.in_flight);
    return stats;
}

#endif
