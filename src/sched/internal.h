/* What the files of the scheduler core share. Only src/sched and its tests include this.
 */
#ifndef HSI_SCHED_INTERNAL_H
#define HSI_SCHED_INTERNAL_H

#include "sched/core.h"
#include "sched/heap.h"

#define HSI_LEVELS      (HSCHED_PRIORITY_MAX - HSCHED_PRIORITY_MIN + 1)
#define HSI_LEVEL_WORDS ((HSI_LEVELS + 63) / 64)

/* The runs of one priority. Level 0 is the most urgent priority. */
typedef struct hsi_level {
    hsi_heap waiting; /* runs that wait for admission */
    uint32_t active;
    uint32_t outstanding; /* submitted and not ended */
    uint32_t peak_active; /* what room in the job queues was reserved for: so many active
                             runs */
    uint32_t peak_sections; /*   with so many sections each */
} hsi_level;

typedef struct hsi_admission {
    uint32_t active_limit;
    uint32_t active, waiting;                /* runs of all levels */
    uint64_t active_levels[HSI_LEVEL_WORDS]; /* a bit for each level that has any */
    uint64_t waiting_levels[HSI_LEVEL_WORDS];
    hsi_level levels[HSI_LEVELS];
} hsi_admission;

struct hsi_core {
    hsi_core_config config;
    uint64_t now_us;       /* time of the latest event */
    uint64_t sequence;     /* of the latest run */
    uint32_t available;    /* devices not lost, as bits */
    uint32_t job_capacity; /* room reserved in each job queue */
    hsi_heap queues[HSI_MAX_DEVICES];
    uint32_t backlog[HSI_MAX_DEVICES]; /* jobs queued or running */
    hsi_admission admission;
    uint32_t blocked;                       /* runs that wait for other runs */
    hsi_core_run *first_ended, *last_ended; /* not given out yet */
    hsi_core_run *untold; /* the first of those whose dependents were not told yet */
    hsi_core_stats stats; /* the counts of events; gauges are filled in by get_stats */
};

/* ---- jobq.c: the queues of the devices ------------------------------------ */

/* Puts a formatted job into its device's queue. There is room: see hsi_admission_reserve.
 */
void hsi_jobq_push(hsi_core *core, hsi_job *job);
/* The best job of the queue leaves it; NULL if there is none. States are the caller's. */
hsi_job *hsi_jobq_pop(hsi_core *core, uint32_t device);
/* A queued job leaves its queue. */
void hsi_jobq_remove(hsi_core *core, hsi_job *job);

/* ---- distributor.c: choosing the device, forming the segment -------------- */

/* A section may run now: asks the policy, forms a job of it and what can follow it,
 * queues it. */
void hsi_distribute(hsi_core *core, hsi_job *job);
/* A job that is in no queue and not running any more goes to the CPU, section by section.
 */
void hsi_distribute_moved(hsi_core *core, hsi_job *job);
/* A job that is in no queue and not running any more is taken apart: its sections wait
 * again. */
void hsi_distribute_undo(hsi_job *job);

/* ---- admission.c: how many runs are active -------------------------------- */

/* Makes room for one more run, here and in the job queues. LIMIT, OUT_OF_MEMORY: nothing
 * changed. */
hsched_status hsi_admission_reserve(hsi_core *core, const hsi_core_run *run);
void hsi_admission_clear(hsi_admission *admission);

void hsi_admission_submitted(hsi_admission *admission, const hsi_core_run *run);
void hsi_admission_wait(hsi_admission *admission, hsi_core_run *run);
void hsi_admission_stop_waiting(hsi_admission *admission, hsi_core_run *run);
/* The best waiting run that may become active leaves the waiting ones and counts as
 * active, or NULL. */
hsi_core_run *hsi_admission_next(hsi_admission *admission);
/* A run has ended; was_active: hsi_admission_next had given it. */
void hsi_admission_ended(hsi_admission *admission, const hsi_core_run *run,
                         int was_active);

#endif
