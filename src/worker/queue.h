/*
 * Devices with queues: giving them jobs and noticing when these have ended.
 *
 * There is no thread that everything has to pass through. Whoever brings an event that queues a
 * job (a submitting thread, a CPU worker) starts it on the device by itself, and one thread at
 * a time attends: it sleeps until shortly before the first job should end, then polls, and acts
 * as the controller for what has ended. That is a thread waiting for a run (hsched_run_wait), a
 * CPU worker with nothing else to do while a run will come back to the CPU, or else the queue's
 * own thread. So one run alone costs no thread switch, and nobody spins for long.
 */
#ifndef HSI_WORKER_QUEUE_H
#define HSI_WORKER_QUEUE_H

#include "worker/pool.h"

enum {
    HSI_QUEUE_LANES = 32,
    HSI_QUEUE_BATCH = 64
};

typedef enum hsi_flight_state {
    HSI_FLIGHT_FREE = 0,
    HSI_FLIGHT_STARTING, /* somebody is submitting it */
    HSI_FLIGHT_RUNNING,
    HSI_FLIGHT_ENDING /* somebody is bringing in its results */
} hsi_flight_state;

enum {
    HSI_QUEUE_FULL =
        1024 /* of hsi_flight.fill: what a job takes up that others only slow down */
};

/* A job in one lane of the device. */
typedef struct hsi_flight {
    hsi_flight_state state;
    uint32_t count; /* runs joined */
    hsi_job *jobs[HSI_QUEUE_BATCH];
    hsched_backend_slot *slot;
    hsched_queue_job job;
    const hsched_memory *inputs[HSI_QUEUE_BATCH], *outputs[HSI_QUEUE_BATCH];
    void *wait_events[HSI_QUEUE_BATCH];
    uint64_t started_ns;
    uint32_t fill;      /* what the job takes up of the device, of HSI_QUEUE_FULL */
    double slope;       /* how others slow it down (share.h), and so far: */
    double progress_ns; /*   how long it would have taken alone for what it has done */
    uint64_t unfinished_ns; /* when it was last seen not to have ended */
    float *expected_us;     /* of the model, or segment_us */
    uint32_t sections; /* the segment: so many of the job's sections, behind those done */
    uint64_t bound_us; /* so long it should be at most; UINT64_MAX: as long as it likes */
    float segment_us;  /* how long it is expected to be; 0: it is the whole job */
} hsi_flight;

typedef struct hsi_queue {
    hsi_worker_pool *pool;
    uint32_t device;
    uint32_t lanes;
    pthread_t thread;
    /* Guarded by the scheduler lock. */
    hsi_flight flights[HSI_QUEUE_LANES];
    uint32_t running;    /* flights that are RUNNING, or ENDING */
    uint64_t counted_ns; /* until when the progress of flights was counted */
    int submitting; /* somebody is starting jobs: he will start those that come, too */
    int attended;   /* somebody attends: */
    const hsi_worker *worker; /*   this CPU worker, or else NULL, */
    int (*stop)(void *user);  /*   until then */
    void *stop_user;
    int summoned;             /* a CPU worker was woken to do so, or is about to */
    pthread_cond_t attendant; /* wakes him early */
    pthread_cond_t wake;      /* wakes the queue's own thread */
    /* When that, or he, wakes by himself; 0: he sleeps until he is woken, or works. */
    uint64_t alarm_us, attendant_us;
    uint32_t late_us;      /* what sleeping was late by lately, at most */
    double poll_credit_us; /* so long polling may still take (expect.h), as of */
    uint64_t credited_us;
    uint64_t jobs, steps, busy_ns, busy_since_ns;
    uint64_t runs_joined;
    uint64_t pauses, long_segments; /* as in hsched_device_stats */
} hsi_queue;

hsched_status hsi_queue_start(hsi_worker_pool *pool, uint32_t device, uint32_t lanes,
                              hsi_queue **queue);
void hsi_queue_stop(hsi_queue *queue); /* nothing is in flight; without the lock */

/* Starts what is queued on free lanes. Under the lock, which it gives up in between. `self`: the
 * CPU worker that calls, or NULL. */
void hsi_queue_pump(hsi_queue *queue, const hsi_worker *self);

/*
 * Attends, under the lock, which it gives up in between, until stop(user) is true, deadline_us has
 * passed, or the device has nothing to do. Returns at once if somebody else attends. `self`: the
 * CPU worker that calls, or NULL.
 */
void hsi_queue_attend(hsi_queue *queue, const hsi_worker *self, int (*stop)(void *user),
                      void *user, uint64_t deadline_us);
/* Events may have been what who attends waits for, or have left him nothing to do: he is woken if
 * he sleeps, which he does for any time where nothing is running. Under the lock. */
void hsi_queue_recall(hsi_queue *queue);
/* A CPU worker that may have been woken to attend has something else to do. Under the lock. */
void hsi_queue_excuse(hsi_queue *queue);

/* For how long the device has had anything to do until now. Under the lock. */
uint64_t hsi_queue_busy_ns(const hsi_queue *queue, uint64_t now_ns);
/* Is there anything to attend to, and nobody does? Under the lock. */
int hsi_queue_needs_attention(const hsi_queue *queue);
/* The same, and some run in flight has sections left for the CPU. */
int hsi_queue_feeds_cpu(const hsi_queue *queue);

#endif
