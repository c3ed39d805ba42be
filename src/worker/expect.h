/*
 * When to look whether a job on a device with a queue has ended. Polling all the time would cost
 * a core, and sleeping until an interrupt comes costs tens of microseconds: so who attends sleeps
 * until shortly before the end that earlier jobs of its kind let expect, and polls from then on. A
 * job that is overdue, since it shares the device with others, is looked for less and less
 * often: each time after it has been overdue for half as long again.
 *
 * With several jobs on the device their ends are hard to tell, and to be late by a few microseconds
 * does not leave the device idle: polling then takes a bounded share of the time, beyond which who
 * attends sleeps for short whiles instead.
 */
#ifndef HSI_WORKER_EXPECT_H
#define HSI_WORKER_EXPECT_H

#include "worker/queue.h"

/* Where the model keeps how long such a job takes, for f->expected_us. Under the lock. */
float *hsi_expect_of(const hsi_flight *flight, uint32_t members);

/* How many of the job's sections, behind those that are done, are expected to take `bound_us` at
 * most, but one at least: f->sections and f->segment_us. All, if nothing is known of its time. A
 * model whose runs are placed one by one can be cut only alone. Gives how long they are expected to
 * take; 0: unknown, or nothing bounds it. Under the lock. */
float hsi_expect_cut(hsi_flight *flight, uint32_t members, uint64_t bound_us);
/* The last segment of a job has ended: so long all of them took. Under the lock. */
void hsi_expect_learn_whole(const hsi_flight *flight, uint32_t members, uint64_t took_ns);

/* The flight was seen to have ended. Under the lock. */
void hsi_expect_learn(hsi_flight *flight, uint64_t now_ns);

/* When to begin polling for it, or to look the next time. `margin_us`: so long before the end. */
uint64_t hsi_expect_look_us(const hsi_flight *flight, uint64_t margin_us);

/* The margin: what sleeping was late by lately, and a little. Under the lock. */
uint64_t hsi_expect_margin_us(const hsi_queue *queue);
/* Who attends has slept until then, and was not woken. */
void hsi_expect_slept(hsi_queue *queue, uint64_t until_us, uint64_t now_us);

/* May who attends poll now? Always for one job alone, and for short ones. Under the lock. */
int hsi_expect_may_poll(hsi_queue *queue, uint64_t now_us);
/* He has polled for so long. Under the lock. */
void hsi_expect_polled(hsi_queue *queue, uint64_t us);

#endif
