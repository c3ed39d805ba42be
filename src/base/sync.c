#include "base/sync.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/status.h"

uint64_t hsi_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

hsched_status hsi_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    int error = pthread_condattr_init(&attr);
    if (error == 0) {
        error = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        if (error == 0)
            error = pthread_cond_init(cond, &attr);
        pthread_condattr_destroy(&attr);
    }
    if (error != 0)
        return hsi_error(HSCHED_ERROR_SYSTEM,
                         "a condition variable could not be made: %s", strerror(error));
    return HSCHED_OK;
}

int hsi_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex,
                        uint64_t deadline_us)
{
    if (deadline_us == UINT64_MAX)
        return pthread_cond_wait(cond, mutex);
    struct timespec t = { .tv_sec = (time_t)(deadline_us / 1000000u),
                          .tv_nsec = (long)(deadline_us % 1000000u) * 1000 };
    return pthread_cond_timedwait(cond, mutex, &t);
}
