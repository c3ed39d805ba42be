/*
 * A team: one worker executing a step in parts, with the help of workers that would idle.
 *
 * Which part holds what is fixed when the model is compiled and each part is computed
 * whole by one thread, so results do not depend on who helps. `work` packs a generation
 * (high half) and a bit for every chunk of parts that is not yet claimed (low half) into one
 * word: a claim is a compare-and-swap that takes one chunk of exactly the generation it has
 * seen, and only after a successful claim are the plain members of the step read. They stay
 * unchanged until every claimed chunk is done.
 *
 * A member first claims the chunks of its own share of a step, by its place in the team, then
 * what others have left. So step after step it computes the same rows, and reads what it has
 * written itself: the rest comes from another core's cache.
 */
#ifndef HSI_WORKER_TEAM_H
#define HSI_WORKER_TEAM_H

#include <pthread.h>
#include <stdatomic.h>

#include "worker/exec.h"

/* Bits of a word: members of a team, and chunks of a step, which have several parts if there are
 * more parts than that. */
#define HSI_TEAM_MOST 32

typedef struct hsi_team {
    _Atomic uint64_t work;
    atomic_uint chunks;     /* of the present step */
    atomic_uint unfinished; /*   that are not done */
    atomic_uint places;     /* a bit for each that is taken, the first by the owner */
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

/* Helpers that have been asked to join and have not left. Any thread. */
uint32_t hsi_team_helpers(const hsi_team *team);
/* Gives the place of one more helper, who gives it back: by hsi_team_help, or by hsi_team_leave if
 * it does not help after all. 0: all are taken. One thread at a time. */
uint32_t hsi_team_join(hsi_team *team);
void hsi_team_leave(hsi_team *team, uint32_t place);

/* When a helper leaves its team: as soon as one of these says so. */
typedef struct hsi_team_limits {
    const atomic_int *jobs_waiting; /* not 0 */
    const atomic_int *top_priority; /* above this one: */
    int priority;
    const atomic_uint *most; /* helpers that the team is to have */
} hsi_team_limits;

/* A helper: computes parts until none appeared for some microseconds, or it is to leave. */
void hsi_team_help(hsi_team *team, void *scratch, uint32_t worker, uint32_t place,
                   const hsi_team_limits *limits);

#endif
