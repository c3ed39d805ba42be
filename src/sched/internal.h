/* What the files of the scheduler core share. Only src/sched and its tests include this.
 */
#ifndef HSI_SCHED_INTERNAL_H
#define HSI_SCHED_INTERNAL_H

#include <stddef.h>

#include "sched/core.h"
#include "sched/heap.h"

#define HSI_LEVELS      (HSCHED_PRIORITY_MAX - HSCHED_PRIORITY_MIN + 1)
#define HSI_LEVEL_WORDS ((HSI_LEVELS + 63) / 64)

/* The runs of one priority. Level 0 is the most urgent priority. */
typedef struct hsi_level {
    /* Runs that wait for admission: in a list if they came in the order of their keys, as those
     * without deadlines mostly do, which costs the same however many there are; else in a heap. */
    hsi_core_run *first, *last;
    hsi_heap waiting;
    uint32_t waiting_count; /* in both */
    uint32_t active;
    uint32_t outstanding;   /* submitted and not ended */
    uint64_t seen_until_us; /* it is in use until then at least */
    uint32_t peak_active; /* what room in the job queues was reserved for: so many active
                             runs */
    uint32_t peak_jobs;   /*   with so many jobs queued at once, each */
} hsi_level;

/* The best of those of a level that wait. What it is compared by stands here, so that finding the
 * best of all levels touches no run. */
typedef struct hsi_head {
    int64_t key;
    uint64_t sequence;
    hsi_core_run *run;
} hsi_head;

typedef struct hsi_admission {
    uint32_t active_limit;
    uint32_t active, waiting; /* runs of all levels */
    /* Runs of levels before `end` may become active; `active_before` of these are. It would be the
     * limit or more with those of the level `end`, unless that is HSI_LEVELS. */
    uint32_t end, active_before;
    uint64_t active_levels[HSI_LEVEL_WORDS]; /* a bit for each level that has any */
    uint64_t waiting_levels[HSI_LEVEL_WORDS];
    hsi_head heads[HSI_LEVELS]; /* of levels where any wait */
    hsi_level levels[HSI_LEVELS];
} hsi_admission;

/* What was handed out of a device and has not ended or paused; a batch is one. */
typedef struct hsi_executing {
    uint32_t count;
    uint32_t of_level[HSI_LEVELS];
    uint64_t levels[HSI_LEVEL_WORDS]; /* a bit for each that has any */
} hsi_executing;

/* power.c: of a device, since it was last told what it drew; counted only if there is a cap. */
typedef struct hsi_drawn {
    uint64_t since_us;
    double modelled_uj, counted_uj; /* by its watts alone; with what it was off by */
    double off_watts; /* what it really draws above its watts, as last told */
} hsi_drawn;

enum {
    HSI_GATHER_MOST = 32
};

/* gather.c */
typedef struct hsi_gather {
    hsi_core_run *runs[HSI_GATHER_MOST]; /* in the order in which they came */
    uint32_t count;
    uint64_t first_us,
        due_us; /* when the first came; when they are placed at the latest */
    uint64_t quiet_us, allowed_us; /* after the last, and after the first */
    hsi_core_run *last;            /* while they are placed: the one that came last */
    /* Was the run that came first, after a while without any, followed by others? It has not
     * ended; NULL: none has come lately. */
    hsi_core_run *opener;
    int was_followed;
    uint64_t open_us, open_until_us;
} hsi_gather;

struct hsi_core {
    hsi_core_config config;
    uint64_t now_us;       /* time of the latest event */
    uint64_t sequence;     /* of the latest run */
    uint32_t available;    /* devices not lost, as bits */
    uint32_t job_capacity; /* room reserved in each job queue */
    uint32_t run_capacity; /* and in the trees: so many runs may be active */
    hsi_heap queues[HSI_MAX_DEVICES];
    hsi_batch_queue *held[HSI_MAX_DEVICES]; /* the batch queues that are held back */
    uint32_t queued[HSI_MAX_DEVICES];       /* jobs, whether in the heap or behind it */
    uint32_t backlog[HSI_MAX_DEVICES];      /* jobs queued or running */
    hsi_tree_pool batch_nodes;              /* of the batch queues */
    /* The active runs whose policy chooses, with the work they bring to each device, and the sums
     * of that. */
    hsi_tree_node *choosing;
    hsi_tree_pool choosing_nodes;
    hsi_tree_path found;           /* the way there to the run looked for last, */
    const hsi_core_run *found_run; /*   or NULL: the tree has changed since */
    int64_t work_ns[HSI_MAX_DEVICES];
    /* How fast devices were when runs were last placed anew for that. */
    double placed_load[HSI_MAX_DEVICES], placed_capacity[HSI_MAX_DEVICES];
    hsi_executing executing[HSI_MAX_DEVICES];
    uint32_t urgent_level; /* no level before this one is in use */
    hsi_drawn drawn[HSI_MAX_DEVICES];
    double owed_uj; /* was drawn above the power cap, and not saved again yet */
    hsi_admission admission;
    hsi_gather gather;
    hsi_heap deadlines; /* of runs that have not ended, and not missed them */
    hsi_core_run *active_runs;
    hsi_core_run
        *next_active; /* who goes through the active runs comes to this one next */
    uint32_t blocked; /* runs that wait for other runs */
    hsi_core_run *first_ended, *last_ended; /* not given out yet */
    hsi_core_run *untold; /* the first of those whose dependents were not told yet */
    hsi_core_stats stats; /* the counts of events; gauges are filled in by get_stats */
};

/* A run that does not go on: it ends when its running jobs have. */
static inline int hsi_run_is_stopping(const hsi_core_run *run)
{
    return run->cancel_requested || run->status != HSCHED_OK;
}

/* Where the run stands in the scheduler's order. */
static inline hsi_tree_place hsi_run_place(const hsi_core_run *run)
{
    return (hsi_tree_place){ .key = run->key, .sequence = run->sequence };
}

/* Runs of the model that one job may execute on the device; below 2: they are not joined.
 */
static inline uint32_t hsi_batch_limit(const hsi_core_device *devices,
                                       const hsi_core_model *model, uint32_t device)
{
    uint32_t limit = devices[device].max_batch;
    if (limit > model->max_batch)
        limit = model->max_batch;
    return model->batch_queues ? limit : 0;
}

/* The same for the time being: no more than the device is ready for. */
static inline uint32_t hsi_batch_limit_now(const hsi_core_device *devices,
                                           const hsi_core_model *model, uint32_t device)
{
    const uint32_t limit = hsi_batch_limit(devices, model, device);
    const uint32_t ready = limit > 0 ? model->batch_queues[device].ready : 0;
    return ready != 0 && ready < limit ? ready : limit;
}

/* ---- core.c --------------------------------------------------------------- */

/* Takes the jobs of an active run that nobody works on out of their queues. */
void hsi_run_withdraw(hsi_core *core, hsi_core_run *run);
/* Ends, or restarts, an active run if there is nothing more to wait for. */
void hsi_run_end_if_done(hsi_core *core, hsi_core_run *run);

/* Has a run stop for which status or cancel_requested says so already: at once, or when its
 * running jobs have ended. `status`: how it ends if it has not started. */
void hsi_run_stop(hsi_core *core, hsi_core_run *run, hsched_status status);

/* A job that was running has ended. */
void hsi_job_end(hsi_core *core, hsi_job *job, hsched_status status);

/* ---- executing.c ---------------------------------------------------------- */

/* A run was submitted, or has ended. */
void hsi_class_seen(hsi_core *core, const hsi_core_run *run);
/* The first of what was handed out together is executing; a job is not, if it was that one. */
void hsi_executing_began(hsi_core *core, hsi_job *leader);
void hsi_executing_ended(hsi_core *core, hsi_job *job);
/* Until when what is executing keeps this job from being begun; it does not if that has passed;
 * UINT64_MAX: until an event. */
uint64_t hsi_executing_bars_until(const hsi_core *core, const hsi_job *job);
static inline int hsi_executing_bars(const hsi_core *core, const hsi_job *job)
{
    return hsi_executing_bars_until(core, job) > core->now_us;
}

void hsi_pause(hsi_core *core, hsi_job *const *jobs, uint32_t count, uint32_t sections);
/* Of a paused job that is the first of its batch: */
uint32_t hsi_paused_members(const hsi_job *leader);
int hsi_paused_is_wanted(const hsi_job *leader);       /* some run of it goes on */
void hsi_paused_lose(hsi_core *core, hsi_job *leader); /* with its device */
hsi_job *hsi_paused_next(const hsi_job *job); /* the next of its batch, or NULL */
/* The run of this paused job goes on no more: the batch is over if no other does. The caller calls
 * hsi_run_end_if_done for it. */
void hsi_paused_release(hsi_core *core, hsi_job *job);

/* ---- deadline.c ----------------------------------------------------------- */

/* Room for one more deadline; 0: there is no memory. */
int hsi_deadline_reserve(hsi_core *core, const hsi_core_run *run);
/* From what time on hsi_deadlines_pass changes something; UINT64_MAX: never, as it is. */
uint64_t hsi_deadline_next(const hsi_core *core);
/* What the run's deadline takes off its key. */
int64_t hsi_deadline_gain(const hsi_core *core, const hsi_core_run *run);
void hsi_deadline_submitted(hsi_core *core, hsi_core_run *run);
/* The run ends now. */
void hsi_deadline_ended(hsi_core *core, hsi_core_run *run);
/* Those that lie before the time of the latest event have passed. */
void hsi_deadlines_pass(hsi_core *core);

/* ---- work.c: how much work runs bring, and choosing where ------------------ */

int hsi_work_init(hsi_core *core); /* 0: there is no memory */
void hsi_work_clear(hsi_core *core);
/* The run becomes active; and it is active no more. */
void hsi_work_began(hsi_core *core, hsi_core_run *run);
void hsi_work_ended(hsi_core *core, hsi_core_run *run);
/* Asks the run's policy for its choice, if it makes one: this section may run now. */
void hsi_work_choose(hsi_core *core, hsi_core_run *run, uint32_t section);
/* A job of the run has ended well; hsi_work_count is due. */
void hsi_work_done(const hsi_job *job);
/* Counts what work the run brings now, for those that come behind it. */
void hsi_work_count(hsi_core *core, hsi_core_run *run);
/* Active runs of which nothing has started are placed anew. */
void hsi_work_replace_all(hsi_core *core);
/* The run brings no more work for now: it is placed anew, or starts anew on the CPU. */
void hsi_work_forget(hsi_core *core, hsi_core_run *run);

/* ---- power.c: the power cap ------------------------------------------------ */

/* The time goes on to now_us: what was drawn until then counts. */
void hsi_power_advance(hsi_core *core, uint64_t now_us);
/* The device drew so much on the average since this was last told of it. */
void hsi_power_told(hsi_core *core, uint32_t device, double watts);
/* May a job begin on the device at the time of the latest event? */
int hsi_power_allows(const hsi_core *core, uint32_t device);
/* From what time on it may if no event comes; UINT64_MAX: not before one. It may not now. */
uint64_t hsi_power_until(const hsi_core *core, uint32_t device);
/* The cap without what devices draw that idle; 0: there is no cap. */
double hsi_power_spare_watts(const hsi_core *core);

/* ---- gather.c: runs that come together -------------------------------------- */

/* The run becomes active. 1: it is placed later, or was now, together with others. */
int hsi_gather_takes(hsi_core *core, hsi_core_run *run);
/* When what is gathered is placed at the latest; UINT64_MAX: there is nothing. */
uint64_t hsi_gather_due(const hsi_core *core);
void hsi_gather_place(hsi_core *core);
/* An active run ends. */
void hsi_gather_ended(hsi_core *core, hsi_core_run *run);

/* ---- recovery.c: lost devices, restarts ----------------------------------- */

/* A device is out of use: its jobs, or the runs that it worked on, go to the CPU. */
void hsi_recovery_lose_device(hsi_core *core, uint32_t device);
/* The run is to be restarted: its queued jobs are withdrawn. */
void hsi_recovery_begin_restart(hsi_core *core, hsi_core_run *run);
/* No job of the run is running: it starts again from its first sections, on the CPU. */
void hsi_recovery_restart(hsi_core *core, hsi_core_run *run);

/* ---- jobq.c: the queues of the devices ------------------------------------ */

/* Puts a formatted job into its device's queue. There is room: see hsi_admission_reserve.
 */
void hsi_jobq_push(hsi_core *core, hsi_job *job);
/* The same for a paused one. */
void hsi_jobq_push_paused(hsi_core *core, hsi_job *leader);
/* The job that would leave the queue first, if nothing is due to be shown; and the one after it; or
 * NULL. */
hsi_job *hsi_jobq_first(const hsi_core *core, uint32_t device);
hsi_job *hsi_jobq_second(const hsi_core *core, uint32_t device);
/* The best job of the queue leaves it, and up to `most` in all that may join it; returns
 * how many, 0 if all there are, are held back, or the best may not be begun. States are the
 * caller's. */
uint32_t hsi_jobq_pop(hsi_core *core, uint32_t device, hsi_job **jobs, uint32_t most);
/* A running job has ended. */
void hsi_jobq_ended(hsi_core *core, hsi_job *job);
void hsi_jobq_set_ready(hsi_core *core, uint32_t device, hsi_batch_queue *queue,
                        uint32_t ready);
/* Until when the jobs of a batch queue, which is not empty, are held back if nothing happens;
 * they are not if that has passed. */
uint64_t hsi_jobq_held_until(const hsi_core *core, uint32_t device,
                             const hsi_batch_queue *queue);
/* Any job of the queue, held back or not; NULL if there is none. */
hsi_job *hsi_jobq_any(const hsi_core *core, uint32_t device);
/* A queued job leaves its queue. */
void hsi_jobq_remove(hsi_core *core, hsi_job *job);
/* Where the job is queued together with those that may join it, or NULL. */
static inline hsi_batch_queue *hsi_jobq_batch_queue(const hsi_core *core,
                                                    const hsi_job *job)
{
    const hsi_core_model *model = job->run->model;
    if (job->count != model->section_count ||
        hsi_batch_limit(core->config.devices, model, job->device) < 2)
        return NULL;
    return &model->batch_queues[job->device];
}

/* ---- distributor.c: choosing the device, forming the segment -------------- */

/* A section may run now: asks the policy, forms a job of it and what can follow it,
 * queues it. */
void hsi_distribute(hsi_core *core, hsi_job *job);
/* All sections of the run that may run now and are in no job. */
void hsi_distribute_ready(hsi_core *core, hsi_core_run *run);
/* Counts a job that goes to the CPU instead of where it was. */
void hsi_distribute_count_moved(hsi_core *core, hsi_core_run *run);
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
void hsi_admission_init(hsi_admission *admission, uint32_t active_limit);
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
