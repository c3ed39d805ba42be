/*
 * What the background programs of the benchmarks have in common: they print "ready" once they
 * run on the GPU, go on until SIGTERM (or SIGINT), and end with a line of JSON.
 */
#ifndef TESTS_BENCH_BACKGROUND_H
#define TESTS_BENCH_BACKGROUND_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static volatile sig_atomic_t background_ended;

static inline void background_end(int signal)
{
    (void)signal;
    background_ended = 1;
}

/* From here on these signals are a request, which background_ended tells. */
static inline void background_begin(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = background_end;
    action.sa_flags = SA_RESTART;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
}

static inline void background_ready(void)
{
    puts("ready");
    fflush(stdout);
}

static inline double background_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

/* ---- Times of iterations -------------------------------------------------- */

#define BACKGROUND_KEPT 65536u

/* The last BACKGROUND_KEPT are kept, however long a program runs. */
typedef struct background_times {
    double us[BACKGROUND_KEPT];
    unsigned long long count;
    double first_us; /* on the clock: the begin of the first */
} background_times;

static inline void background_add(background_times *times, double begin_us, double end_us)
{
    if (times->count == 0)
        times->first_us = begin_us;
    times->us[times->count++ % BACKGROUND_KEPT] = end_us - begin_us;
}

static inline int background_compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Prints the members that all programs have: "iterations": ... to the median, null if there
 * was none. Sorts the times, so it comes last. */
static inline void background_print(background_times *times)
{
    const size_t kept =
        times->count < BACKGROUND_KEPT ? (size_t)times->count : BACKGROUND_KEPT;
    printf("\"iterations\": %llu, \"seconds\": %.6f, \"median_iteration_us\": ",
           times->count, kept ? (background_us() - times->first_us) * 1e-6 : 0.0);
    qsort(times->us, kept, sizeof *times->us, background_compare);
    if (kept)
        printf("%.3f", times->us[kept / 2]);
    else
        printf("null");
}

#endif
