/*
 * Work that is no run's, in pieces: a thread of the user's that loads a model has idle CPU workers
 * help it.
 *
 * Runs come first. While any executes on the CPU, or waits for it, no worker begins a piece;
 * loading threads that share pieces and those that help them are never more than workers;
 * and one worker stays idle, for the run that comes next: the one that is pinned to the CPU that
 * the loading thread is on, if it is among them.
 */
#ifndef HSI_WORKER_PIECES_H
#define HSI_WORKER_PIECES_H

#include "worker/pool.h"

/* hsched_section_config.share_pieces; `pool`: an hsi_worker_pool. No lock is held. */
void hsi_worker_pool_share_pieces(void *pool, uint32_t count, hsched_piece *piece,
                                  void *user);

/* A worker that was woken for them helps until they are all begun, or a run needs it. Under the
 * lock, which it gives up meanwhile. */
void hsi_pieces_help(hsi_worker *worker);

#endif
