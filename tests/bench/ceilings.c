/*
 * What the machine can do at most, to hold networks against:
 *
 *     build/bench/ceilings [THREADS]
 *
 * Prints {"threads": N, "gflops": the most float32 multiply-adds a second (as two operations),
 * "copy_gbs": bytes that a copy between arrays larger than caches reads and writes}. Each is the
 * best of some rounds. Compiled for the machine it is built on.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

enum {
    ROUNDS = 40, /* short ones: some are not interrupted */
    THREADS_MAX = 1024,
    TURNS = 500000,
    COPY_BYTES = 128 << 20
};

typedef float vector __attribute__((vector_size(VECTOR_BYTES)));

enum {
    MULTIPLY_ADD,
    COPY,
    KINDS
};

typedef struct worker {
    pthread_t thread;
    pthread_barrier_t *barrier;
    unsigned char *from, *to;
    float factor, sum; /* the sum is what was computed, so that it is */
    double begin[KINDS][ROUNDS], end[KINDS][ROUNDS];
} worker;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Chains of multiply-adds: more than a processor has under way at a time, fewer than registers.
 * Each is a variable, so that it is in one. */
#define EACH_CHAIN(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
enum {
    CHAINS = 12
};

static void multiply_add(worker *w)
{
    vector factor = { 0 };
    factor += w->factor;
#define BEGIN(k) vector sum##k = factor + (float)k;
#define STEP(k)  sum##k = sum##k * factor + factor;
#define END(k)   w->sum += sum##k[0];
    EACH_CHAIN(BEGIN)
    for (int i = 0; i < TURNS; i++) {
        EACH_CHAIN(STEP)
    }
    EACH_CHAIN(END)
#undef BEGIN
#undef STEP
#undef END
}

static void copy(worker *w)
{
    memcpy(w->to, w->from, COPY_BYTES);
    __asm__ volatile("" : : "r"(w->to) : "memory");
}

/* All workers begin a round together. */
static void *work(void *user)
{
    static void (*const kinds[KINDS])(worker *) = { multiply_add, copy };
    worker *w = user;
    for (int kind = 0; kind < KINDS; kind++)
        for (int round = 0; round < ROUNDS; round++) {
            pthread_barrier_wait(w->barrier);
            w->begin[kind][round] = now();
            kinds[kind](w);
            w->end[kind][round] = now();
        }
    return NULL;
}

/* Seconds of the best round, from the first worker's begin to the last one's end. */
static double best(const worker *workers, long threads, int kind)
{
    double least = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        double begin = workers[0].begin[kind][round], end = workers[0].end[kind][round];
        for (long i = 1; i < threads; i++) {
            double from = workers[i].begin[kind][round], to = workers[i].end[kind][round];
            begin = from < begin ? from : begin;
            end = to > end ? to : end;
        }
        least = end - begin < least ? end - begin : least;
    }
    return least;
}

static int start(worker *workers, long threads, pthread_barrier_t *barrier)
{
    for (long i = 0; i < threads; i++) {
        worker *w = &workers[i];
        w->barrier = barrier;
        w->factor = 0.5f;
        w->from = malloc(COPY_BYTES);
        w->to = malloc(COPY_BYTES);
        if (!w->from || !w->to)
            return ENOMEM;
        memset(w->from, 1, COPY_BYTES);
        memset(w->to, 2, COPY_BYTES);
    }
    for (long i = 0; i < threads; i++) {
        int error = pthread_create(&workers[i].thread, NULL, work, &workers[i]);
        if (error)
            return error;
    }
    return 0;
}

int main(int argc, char **argv)
{
    long threads = argc > 1 ? strtol(argv[1], NULL, 10) : 1;
    if (argc > 2 || threads < 1 || threads > THREADS_MAX) {
        fprintf(stderr, "usage: ceilings [THREADS], of 1 to %d\n", THREADS_MAX);
        return 2;
    }
    pthread_barrier_t barrier;
    worker *workers = calloc((size_t)threads, sizeof *workers);
    int error =
        workers ? pthread_barrier_init(&barrier, NULL, (unsigned)threads) : ENOMEM;
    if (!error)
        error = start(workers, threads, &barrier);
    if (error) { /* threads that wait at the barrier end with the process */
        fprintf(stderr, "ceilings: %s\n", strerror(error));
        return 1;
    }
    for (long i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
        free(workers[i].from);
        free(workers[i].to);
    }
    double lanes = VECTOR_BYTES / sizeof(float);
    double operations = 2.0 * TURNS * CHAINS * lanes * (double)threads;
    double copied = 2.0 * COPY_BYTES * (double)threads;
    printf("{\"threads\": %ld, \"gflops\": %.1f, \"copy_gbs\": %.1f}\n", threads,
           operations / best(workers, threads, MULTIPLY_ADD) * 1e-9,
           copied / best(workers, threads, COPY) * 1e-9);
    pthread_barrier_destroy(&barrier);
    free(workers);
    return 0;
}
