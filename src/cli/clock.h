/* The clock that the library's times are of. */
#ifndef CLI_CLOCK_H
#define CLI_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Microseconds, CLOCK_MONOTONIC. */
static inline uint64_t cli_now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* The same in seconds. */
static inline double cli_now_s(void)
{
    return (double)cli_now_us() * 1e-6;
}

#endif
