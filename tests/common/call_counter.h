/* A callback of runs that counts how often it was called, for tests to wait for that. */
#ifndef TESTS_COMMON_CALL_COUNTER_H
#define TESTS_COMMON_CALL_COUNTER_H

#include <pthread.h>

#include "common/support.h"

typedef struct call_counter {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int calls;
    hsched_status last;
} call_counter;

#define CALL_COUNTER_INIT                                                                \
    {                                                                                    \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, HSCHED_OK                \
    }

/* An hsched_run_callback: `user` is a counter. The run has ended by then. */
static inline void count_call(void *user, hsched_run *run, hsched_status status)
{
    call_counter *c = user;
    assert_int_equal(hsched_run_poll(run), 1);
    pthread_mutex_lock(&c->mutex);
    c->calls++;
    c->last = status;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->mutex);
}

static inline void await_calls(call_counter *c, int calls)
{
    pthread_mutex_lock(&c->mutex);
    while (c->calls < calls)
        pthread_cond_wait(&c->changed, &c->mutex);
    pthread_mutex_unlock(&c->mutex);
}

#endif
