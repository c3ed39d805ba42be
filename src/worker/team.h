/*
 * A team: one worker executing a step in parts, with the help of workers that would idle.
 *
 * Which part holds what is fixed when the model is compiled and each part is computed
 * whole by one thread, so results do not depend on who helps. `work` packs a generation
 * (high half) and the number of parts not yet claimed (low half) into one word: a claim
 * is a compare-and-swap that takes one part of exactly the generation it has seen, and
 * only after a successful claim are the plain members of the step read. They stay
 * unchanged until every claimed part is done.
 */
#ifndef HSI_WORKER_TEAM_H
#define HSI_WORKER_TEAM_H

#include <pthread.h>
#include <stdatomic.h>

#include "worker/exec.h"

typedef struct hsi_team {
    _Atomic uint64_t work;
    atomic_uint unfinished; /* parts of the present step that are not done */
    atomic_uint members;    /* helpers that have been asked to join and have not left */
    atomic_int at_work;     /* a hint: the owner has a job, more steps may come */
    hsi_exec_step step;     /* plain: see above */
    _Atomic int status;     /* the first failure of a part, or HSCHED_OK */
    pthread_mutex_t mutex;  /* a leaf lock, for the owner's sleep */
    pthread_cond_t done;
    int owner_waits;
    char detail[512]; /* of the failure; guarded by mutex */
} hsi_team;

hsched_status hsi_team_init(hsi_team *team);
void hsi_team_clear(hsi_team *team);

/* The owner: computes all parts of the step, with whoever helps; returns when all are
 * done. `worker`: the number of the CPU worker that calls. */
hsched_status hsi_team_run(hsi_team *team, const hsi_exec_step *step, void *scratch,
                           uint32_t worker);

/* When a helper leaves its team: as soon as one of these says so. */
typedef struct hsi_team_leave {
    const atomic_int *jobs_waiting; /* not 0 */
    const atomic_int *top_priority; /* above this one: */
    int priority;
    const atomic_uint *most; /* members that the team is to have */
} hsi_team_leave;

/* A helper: computes parts until none appeared for some microseconds, or it is to leave. */
void hsi_team_help(hsi_team *team, void *scratch, uint32_t worker,
                   const hsi_team_leave *leave);

#endif
