/* Threads: condition variables on the monotonic clock, and that clock. */
#ifndef HSI_BASE_SYNC_H
#define HSI_BASE_SYNC_H

#include <pthread.h>
#include <stdint.h>

#include <hsched/hsched.h>

uint64_t hsi_now_ns(void);
static inline uint64_t hsi_now_us(void)
{
    return hsi_now_ns() / 1000;
}

/* A condition variable whose timed waits use the monotonic clock. */
hsched_status hsi_cond_init(pthread_cond_t *cond);
/* Waits until `deadline_us` (UINT64_MAX: for ever); 0 when it woke, else the time is
 * over. */
int hsi_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex,
                        uint64_t deadline_us);

#endif
