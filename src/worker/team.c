#include "worker/team.h"

#include <stdio.h>

#include "base/status.h"
#include "base/sync.h"
#include "worker/tracing.h"

/* A helper waits so long for the next step before it goes to sleep. While the owner has a job that
 * is longer than most steps that are not shared: waking helpers again for each step behind such a
 * one takes longer than the step. */
#define HELPER_SPIN_NS 200000u
#define IDLE_SPIN_NS   20000u /* and between two jobs of the owner's */
/* The owner's wait for the last parts: these many looks, then it sleeps. */
#define OWNER_SPINS 4000

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

hsched_status hsi_team_init(hsi_team *team)
{
    if (pthread_mutex_init(&team->mutex, NULL) != 0)
        return hsi_error(HSCHED_ERROR_SYSTEM, "a mutex could not be made");
    hsched_status status = hsi_cond_init(&team->done);
    if (status != HSCHED_OK)
        pthread_mutex_destroy(&team->mutex);
    return status;
}

void hsi_team_clear(hsi_team *team)
{
    pthread_cond_destroy(&team->done);
    pthread_mutex_destroy(&team->mutex);
}

static void note_failure(hsi_team *team, hsched_status status)
{
    pthread_mutex_lock(&team->mutex);
    if (atomic_load_explicit(&team->status, memory_order_relaxed) == HSCHED_OK) {
        snprintf(team->detail, sizeof team->detail, "%s", hsched_error_detail());
        atomic_store_explicit(&team->status, (int)status, memory_order_relaxed);
    }
    pthread_mutex_unlock(&team->mutex);
}

/* Claims one part and computes it; 0 if there was none to claim. */
static int compute_one(hsi_team *team, void *scratch, uint32_t worker, int is_owner)
{
    /* acquire: pairs with the release in hsi_team_run, so that a claimed step is seen
     * whole. */
    uint64_t word = atomic_load_explicit(&team->work, memory_order_acquire);
    do {
        if ((uint32_t)word == 0)
            return 0;
    } while (!atomic_compare_exchange_weak_explicit(
        &team->work, &word, word - 1, memory_order_acquire, memory_order_acquire));
    const hsi_exec_step *s = &team->step;
    uint32_t part = s->parts - (uint32_t)word; /* claimed in ascending order */
    uint64_t began_ns = s->trace ? hsi_now_ns() : 0;
    hsched_status status =
        s->backend->run_part(s->slot, s->step, s->operands, part, scratch);
    if (s->trace)
        hsi_trace_part_ended(s, worker, part, began_ns);
    if (status != HSCHED_OK)
        note_failure(team, status);
    /* acq_rel: results of all parts, and what a helper has recorded in its ring, happen before
     * the owner goes on, who then hands them on by the scheduler lock. */
    if (atomic_fetch_sub_explicit(&team->unfinished, 1, memory_order_acq_rel) == 1 &&
        !is_owner) {
        pthread_mutex_lock(&team->mutex);
        if (team->owner_waits)
            pthread_cond_signal(&team->done);
        pthread_mutex_unlock(&team->mutex);
    }
    return 1;
}

static void wait_for_parts(hsi_team *team)
{
    for (int i = 0; i < OWNER_SPINS; i++) {
        if (atomic_load_explicit(&team->unfinished, memory_order_acquire) == 0)
            return;
        relax();
    }
    pthread_mutex_lock(&team->mutex);
    team->owner_waits = 1;
    while (atomic_load_explicit(&team->unfinished, memory_order_acquire) != 0)
        pthread_cond_wait(&team->done, &team->mutex);
    team->owner_waits = 0;
    pthread_mutex_unlock(&team->mutex);
}

hsched_status hsi_team_run(hsi_team *team, const hsi_exec_step *step, void *scratch,
                           uint32_t worker)
{
    uint64_t generation =
        (atomic_load_explicit(&team->work, memory_order_relaxed) >> 32) + 1;
    team->step = *step;
    atomic_store_explicit(&team->status, HSCHED_OK, memory_order_relaxed);
    atomic_store_explicit(&team->unfinished, step->parts, memory_order_relaxed);
    /* release: the members above are seen by whoever claims a part. */
    atomic_store_explicit(&team->work, generation << 32 | step->parts,
                          memory_order_release);
    while (compute_one(team, scratch, worker, 1))
        ;
    wait_for_parts(team);
    hsched_status status = (hsched_status)atomic_load(&team->status);
    if (status != HSCHED_OK)
        hsi_error_set_detail(team->detail);
    return status;
}

static int is_to_leave(const hsi_team_leave *leave)
{
    return atomic_load_explicit(leave->jobs_waiting, memory_order_relaxed) ||
           atomic_load_explicit(leave->top_priority, memory_order_relaxed) >
               leave->priority;
}

/* 1: there were too many members, and this one is none any more. */
static int left_the_many(hsi_team *team, const hsi_team_leave *leave)
{
    unsigned members = atomic_load_explicit(&team->members, memory_order_relaxed);
    while (members > atomic_load_explicit(leave->most, memory_order_relaxed))
        if (atomic_compare_exchange_weak_explicit(&team->members, &members, members - 1,
                                                  memory_order_relaxed,
                                                  memory_order_relaxed))
            return 1;
    return 0;
}

void hsi_team_help(hsi_team *team, void *scratch, uint32_t worker,
                   const hsi_team_leave *leave)
{
    uint64_t idle_since = hsi_now_ns(), at_work_until = idle_since;
    while (!is_to_leave(leave)) {
        if (left_the_many(team, leave))
            return;
        if (compute_one(team, scratch, worker, 0)) {
            idle_since = at_work_until = hsi_now_ns();
            continue;
        }
        for (int i = 0; i < 32; i++)
            relax();
        const uint64_t now = hsi_now_ns();
        if (atomic_load_explicit(&team->at_work, memory_order_relaxed)) {
            at_work_until = now;
            if (now - idle_since > HELPER_SPIN_NS)
                break;
        } else if (now - at_work_until > IDLE_SPIN_NS) {
            /* Not from when it had its last part: all would leave as soon as the owner goes from
             * one section of a run to the next. */
            break;
        }
    }
    atomic_fetch_sub_explicit(&team->members, 1, memory_order_relaxed);
}
