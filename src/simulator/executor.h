/* The engine's devices: what executes there, how fast, and when the next thing happens. */
#ifndef HSI_SIMULATOR_EXECUTOR_H
#define HSI_SIMULATOR_EXECUTOR_H

#include "simulator/engine.h"

typedef struct hsi_executor_worker { /* a worker of a device, and its job if it has one */
    hsi_job **members;               /* room for the device's largest batch */
    uint32_t count;                  /* 0: it has none */
    double began_us, fixed_us, work_us;
    double fixed_left, work_left;
    double speed; /* of the work, for as long as nothing changes */
} hsi_executor_worker;

typedef struct hsi_executor {
    const hsi_engine_device *device;
    int is_cpu;
    hsi_executor_worker *workers; /* device->core.workers of them */
    hsi_job **members;            /* theirs */
    uint32_t most;                /* runs that a job can be of */
    uint32_t busy, helpers;
    double starting_until_us; /* no other job is begun before */
    double busy_us, worker_us;
} hsi_executor;

hsched_status hsi_executor_init(hsi_executor *executor, const hsi_engine_device *device,
                                int is_cpu);
void hsi_executor_clear(hsi_executor *executor); /* zeroed, too: nothing */

/* A worker without a job, if one can be begun; or NULL. */
hsi_executor_worker *hsi_executor_idle(hsi_executor *executor, double now_us);
/* What is `count` and `members` of the worker begins: so much work after so long. */
void hsi_executor_begin(hsi_executor *executor, hsi_executor_worker *worker,
                        double now_us, double fixed_us, double work_us);
/* The factor of the outside load then. */
double hsi_executor_load(const hsi_executor *executor, double now_us);
/* Sets the speed of all that is at work, after anything has begun or ended. */
void hsi_executor_set_speeds(hsi_executor *executor, double now_us);
/* When something changes by itself: a phase ends, or the load changes; INFINITY: never. Speeds are
 * set. */
double hsi_executor_next(const hsi_executor *executor, double now_us);
/* Time goes on until then, which is not after what hsi_executor_next has said. */
void hsi_executor_advance(hsi_executor *executor, double now_us, double then_us);
/* A worker whose job is done, for the caller to look at and to end; or NULL. */
hsi_executor_worker *hsi_executor_done(hsi_executor *executor);
void hsi_executor_end(hsi_executor *executor, hsi_executor_worker *worker);

#endif
