/* Executing one job on a worker's thread. */
#ifndef HSI_WORKER_JOB_H
#define HSI_WORKER_JOB_H

#include "worker/pool.h"

/* Computes all sections of the job, in order. Called without the lock. *steps: steps
 * computed. */
hsched_status hsi_job_execute(hsi_worker *worker, const hsi_job *job, uint32_t *steps);

/* Asks idle CPU workers to join the owner's team until it has `helpers` of them. Takes
 * the lock. */
void hsi_worker_recruit(hsi_worker *owner, uint32_t helpers);

#endif
