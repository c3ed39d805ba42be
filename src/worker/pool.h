/*
 * Workers: threads that take jobs from the scheduler core and execute them.
 *
 * One lock, the scheduler lock, guards the core, the idle lists and all that is marked
 * so. A worker that ends a job reports it under the lock (acting as the controller),
 * takes the next one and goes on; a chain of sections on one worker costs no thread
 * switch. CPU workers that find no job help another worker's step, or sleep on their own
 * condition variable.
 */
#ifndef HSI_WORKER_POOL_H
#define HSI_WORKER_POOL_H

#include <pthread.h>
#include <stdatomic.h>

#include "sched/core.h"
#include "worker/exec.h"
#include "worker/team.h"

typedef struct hsi_worker_pool hsi_worker_pool;
struct hsi_queue;

/* What is told of a job that ended well. */
typedef struct hsi_ended_job {
    uint32_t device;
    const hsi_job *first; /* of the runs that were joined */
    uint32_t count;       /*   so many */
    uint32_t workers;     /* that shared its steps, at most */
    double at_once; /* jobs on the device when it ended, this one included; with a queue:
                       jobs like this one that would have taken up as much */
    uint64_t began_ns, ended_ns;
} hsi_ended_job;

typedef struct hsi_worker {
    hsi_worker_pool *pool;
    pthread_t thread;
    uint32_t device;
    int cpu; /* to be pinned to, or -1 */
    pthread_cond_t wake;
    /* Guarded by the scheduler lock. */
    struct hsi_worker *next_idle; /* or, woken, next in pool->to_signal */
    int woken;
    hsi_team *helping;              /* asked to help there, */
    int help_priority;              /*   with a run of this priority */
    struct hsi_pieces *pieces;      /* asked to help with these; see pieces.h */
    int priority;                   /* of the run that its present job is of */
    uint64_t pauses, long_segments; /* as in hsched_device_stats */
    uint64_t jobs, steps, busy_ns;
    size_t scratch_size, spare_size;
    void *spare; /* larger scratch memory for it to take; NULL: none */
    /* The worker's own. */
    hsi_trace *trace;  /* that its present job is recorded in, or NULL */
    uint64_t clock_ns; /* for hsi_job_now_ns: the time now; 0: it has to be read */
    void *scratch;
    hsi_team team;
    size_t team_scratch; /* scratch that every member of the team has at least */
    uint32_t helpers;    /* that its present job had at once, at most */
} hsi_worker;

typedef struct hsi_worker_pool_config {
    uint32_t device_count;
    const hsi_exec_device *devices;
    const uint32_t *workers; /* per device; with a queue: its lanes */
    const int *cpus;         /* for CPU worker i: cpus[i], or -1; NULL: none pinned */
    hsi_core *core;
    /* Called under the lock after events, to look after runs that ended. */
    void (*after_events)(void *user);
    /* Called without the lock when a device fails for the first time. */
    void (*device_failed)(void *user, uint32_t device, const char *detail);
    /* Called under the lock when a job of a run failed, with the worker's error detail.
     */
    void (*run_failed)(void *user, hsi_core_run *run, const char *detail);
    /* Called under the lock when a device with a queue has begun with jobs. */
    void (*started)(void *user, hsi_job *const *jobs, uint32_t count);
    /* Called under the lock when a job ended well, before the core knows. */
    void (*ended)(void *user, const hsi_ended_job *job);
    /* Called without the lock when a device has background work. */
    void (*background)(void *user);
    void *user;
} hsi_worker_pool_config;

struct hsi_worker_pool {
    pthread_mutex_t lock; /* the scheduler lock */
    hsi_worker_pool_config config;
    hsi_worker *workers;
    uint32_t worker_count;
    uint32_t first_worker[HSI_MAX_DEVICES];
    struct hsi_queue *queues[HSI_MAX_DEVICES]; /* of devices that have one; else NULL */
    atomic_int
        idle_cpu_workers; /* a hint outside the lock: is it worth asking for help? */
    atomic_int
        jobs_waiting; /* a hint: CPU jobs can be begun, helpers should leave their team */
    atomic_int top_priority;  /* a hint: the highest that the CPU is executing; so should
                                helpers of lower ones */
    atomic_uint fair_helpers; /* a hint: each job of that priority has as many; who is
                                 more leaves its team */
    /* Guarded by the lock. */
    hsi_worker *idle[HSI_MAX_DEVICES];
    hsi_worker
        *to_signal; /* are woken, but nobody has told them; while there are any, so is
                              one who has been told and tells two of them when it comes */
    uint32_t executing[HSI_MAX_DEVICES]; /* jobs on workers */
    uint32_t sharing; /* threads at pieces, and workers that were asked to help there */
    uint32_t lost_devices; /* bits */
    size_t scratch_size;   /* what any model loaded so far needs */
    hsi_trace *trace;      /* that events are recorded in, or NULL; see tracing.h */
    uint32_t
        traced_jobs; /* on workers, that are recorded in it or in one that ends now */
    pthread_cond_t untraced; /* traced_jobs became 0 */
    int stopping;
};

/* Starts all workers. The arrays in `config` stay valid. */
hsched_status hsi_worker_pool_create(const hsi_worker_pool_config *config,
                                     hsi_worker_pool **pool);
/* Stops and joins the workers; no run is unfinished. The lock stays usable until
 * hsi_worker_pool_free. */
void hsi_worker_pool_stop(hsi_worker_pool *pool);
void hsi_worker_pool_free(hsi_worker_pool *pool);

/* A model needs so much scratch memory; before its first run, which then takes none of the heap. */
void hsi_worker_pool_reserve_scratch(hsi_worker_pool *pool, size_t size);

/* Under the lock, after events: wakes workers for queued jobs and calls after_events. `self`: a CPU
 * worker that takes the next of them itself, or NULL. */
void hsi_worker_pool_notify(hsi_worker_pool *pool, const hsi_worker *self);
/* The same, and starts queued jobs of devices with queues; gives up the lock in between. */
void hsi_worker_pool_after_events(hsi_worker_pool *pool);
/*
 * The same by a thread that waits for something that CPU jobs bring: it takes the place of an idle
 * CPU worker, whose thread sleeps on, and executes jobs until `done` or there are none. So a run
 * costs no change of threads. Where no worker is idle, or another one is at work on the CPU that
 * this thread is on, it returns at once.
 */
void hsi_worker_pool_stand_in(hsi_worker_pool *pool, int (*done)(void *user), void *user);
/* Wakes a CPU worker that is idle, if there is one. Under the lock. */
int hsi_worker_pool_wake_cpu(hsi_worker_pool *pool);
/* The same, and leaves one idle: the one that is pinned to this CPU, or else any. NULL: there are
 * no others. */
hsi_worker *hsi_worker_pool_wake_cpu_but(hsi_worker_pool *pool, int cpu);

#endif
