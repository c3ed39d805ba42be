/*
 * How much of a device with a queue each job has while others are there, by what its model and
 * theirs take up of it (hsi_objective_fill). docs/design/cost.md says what that is for. All of it
 * under the scheduler lock.
 */
#ifndef HSI_WORKER_SHARE_H
#define HSI_WORKER_SHARE_H

#include "worker/queue.h"

/* The flight is about to be RUNNING: until now it was not there, and what starting it took it has
 * had for itself. */
void hsi_share_begin(hsi_queue *queue, hsi_flight *flight, uint64_t now_ns);
/* Time has passed for those that are there: before one of them goes. */
void hsi_share_count(hsi_queue *queue, uint64_t now_ns);

/*
 * So many jobs like this one would have slowed it down as much as those did that were there while
 * it was, itself included: others may leave more room beside them, or less. The mean is of the
 * speed, not of the number: on a device that is full with one the shares of all jobs, each its
 * time by this, sum up to the time that the device was busy, in whatever order it has served
 * them.
 */
double hsi_share_at_once(const hsi_flight *flight, uint64_t now_ns);

#endif
