/*
 * What workers and queues record in a trace (trace/trace.h says whose ring is whose).
 *
 * hsi_worker_pool.trace is guarded by the scheduler lock: a worker looks at it when it takes a job
 * and keeps to what it saw until that job has ended, so hsi_worker_pool_end_trace waits for it. If
 * there is no trace, all that is left of this is one test of a pointer at each place.
 */
#ifndef HSI_WORKER_TRACING_H
#define HSI_WORKER_TRACING_H

#include "worker/pool.h"
#include "worker/queue.h"

/* All of these under the scheduler lock. */

void hsi_worker_pool_begin_trace(hsi_worker_pool *pool, hsi_trace *trace);
/* Nobody records anything any more when it returns. Jobs in lanes are recorded as they are. Gives
 * up the lock in between. */
hsi_trace *hsi_worker_pool_end_trace(hsi_worker_pool *pool);

/* Counts what the queue of this device holds, now. */
void hsi_trace_queued(const hsi_worker_pool *pool, uint32_t device, uint64_t now_ns);

/* The worker has taken a job, and is about to report its end, or that it pauses after so many
 * sections. A job that was taken before the trace began is in it as well, without its steps. */
void hsi_trace_job_taken(hsi_worker *worker);
void hsi_trace_job_ended(hsi_worker *worker, const hsi_job *job, uint32_t sections,
                         uint64_t began_ns, uint64_t ended_ns, hsched_status status);

/* Before its jobs are reported as ended. */
void hsi_trace_flight_ended(const hsi_queue *queue, const hsi_flight *flight,
                            uint64_t ended_ns, hsched_status status);

/* Without the lock, in a job that is recorded. */

/* A step of it that began then has ended; gives the time. */
uint64_t hsi_trace_step_ended(const hsi_worker *worker, const hsi_exec_run *run,
                              uint32_t step, uint64_t began_ns, hsched_status status);
/* A part of a shared step, computed by CPU worker `worker`. */
void hsi_trace_part_ended(const hsi_exec_step *step, uint32_t worker, uint32_t part,
                          uint64_t began_ns);

#endif
