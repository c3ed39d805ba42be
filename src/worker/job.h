/* Executing one job on a worker's thread. */
#ifndef HSI_WORKER_JOB_H
#define HSI_WORKER_JOB_H

#include "worker/pool.h"

/* Computes the sections of the job that are not done, in order; no more begin once the next would
 * probably take it beyond `bound_us`. Called without the lock. *steps: steps computed; *sections:
 * how many of the sections, from job->done on. */
hsched_status hsi_job_execute(hsi_worker *worker, const hsi_job *job, uint64_t bound_us,
                              uint32_t *steps, uint32_t *sections);
/* The time, read anew unless the worker has done nothing in its job since it read it for a trace:
 * on a small network's step, reading it takes longer than all else that a trace does. */
uint64_t hsi_job_now_ns(hsi_worker *worker);

/* Asks idle CPU workers to join the owner's team until it has `helpers` of them. Takes
 * the lock. */
void hsi_worker_recruit(hsi_worker *owner, uint32_t helpers);

#endif
