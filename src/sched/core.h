/*
 * The scheduler core: a pure state machine. No threads, no clock, no I/O, no heap call
 * once warm.
 *
 * Events go in as calls with the present time; decisions come out as jobs in the queues
 * of the devices and as a list of ended runs. The runtime calls it under its lock with
 * real workers; tests and the simulator call it with invented ones.
 *
 * A model is a DAG of sections. A run is one execution of that DAG. The controller half
 * checks which sections may run (all their dependencies done); the distributor half asks
 * the policy for a device, formats a job and puts it in that device's queue. A worker
 * takes the job with the best key.
 *
 * Order: a queue is sorted by key = submit_time - priority * ageing_us - gain, the smallest
 * first; so a higher priority goes first, and waiting raises any job linearly until
 * nothing newer can overtake it (no starvation, no timers). The gain is 0 without a deadline,
 * else what of half of ageing_us is not left until the deadline: of one priority, the
 * earliest deadline goes first (exactly so if all are that near), and a run of a lower
 * one passes only if it has waited for half of ageing_us longer. Equal keys go in the
 * order of submission; within a run by section.
 *
 * Deadlines: a run that has not ended at its deadline has missed it; it goes on, or is
 * dropped if it wants to be, which is like being cancelled. hsi_core_tick and
 * hsi_core_take_batch notice that, so no run that is to be dropped is handed out late.
 *
 * Admission: at most active_limit runs of priority >= p are active (started or with jobs
 * queued) when a run of priority p is considered; the others wait, best key first. This
 * bounds memory, since only an active run needs a slot, and an urgent run never waits for
 * admission behind less urgent ones.
 *
 * Gathering: a run whose policy chooses by the makespan, that comes without a deadline and whose
 * model's runs were followed by others at once lately, is not placed when it becomes active, but
 * together with those of its priority that follow it: when hsi_core_place_gathered says so, when
 * none has followed for gather_share of what the first takes alone, or when the first has waited
 * for gather_share of what all of them take alone, one after the other.
 *
 * Joining: a device may execute one job for several runs of a model at once. Jobs that
 * hold all sections of their run are handed out together: see hsi_core_take_batch.
 */
#ifndef HSI_SCHED_CORE_H
#define HSI_SCHED_CORE_H

#include <stdint.h>

#include <hsched/hsched.h>

#include "sched/tree.h"

#define HSI_MAX_DEVICES   16
#define HSI_FOLLOWED_MOST 3 /* of hsi_core_model.followed */

typedef struct hsi_core hsi_core;
typedef struct hsi_core_run hsi_core_run;

/* deps and users say the same: the room that a run may need in the job queues is found
 * from deps. */
typedef struct hsi_core_section {
    uint32_t class_bits;  /* HSCHED_CLASS_... of its steps */
    uint32_t device_mask; /* devices that can execute it; bit 0, the CPU, is always set */
    uint32_t dep_count; /* sections that must be done before; all have smaller indices */
    const uint32_t *deps;
    uint32_t user_count; /* sections that have this one in their deps */
    const uint32_t *users;
    const uint32_t *crossing_counts; /* per entry of deps: tensors that pass there */
} hsi_core_section;

/*
 * The whole-run jobs of one model that are queued on one device, in the order of their
 * keys. The best of them stands in the device's queue for all, unless they are held back
 * so that more may join. The storage is the model's; the caller has zeroed it, and it is
 * the core's from the first submit until no run of the model is unfinished.
 */
typedef struct hsi_batch_queue {
    hsi_tree_node order; /* of the runs */
    hsi_core_run *first; /*   the best of them */
    hsi_core_run *shown; /* whose job is in the device's queue: `first`, or NULL */
    uint32_t count;
    uint32_t
        ready; /* see hsi_core_set_ready; the caller may set it before the first submit */
    uint64_t oldest_us, newest_us; /* when the first and the last of them was submitted;
                        exact while count is below the limit of a batch */
    uint32_t executing;     /* batches that were taken from here and have not ended */
    int executing_priority; /* the highest of their runs', since there were none */
    uint8_t held;
    struct hsi_batch_queue *next_held, *prev_held;
} hsi_batch_queue;

struct hsi_choices;

typedef struct hsi_core_model {
    const char *name;       /* for policies of the user's; may be NULL */
    uint32_t section_count; /* at least 1 */
    const hsi_core_section *sections;
    const struct hsi_policy *policy;
    /* Runs that one job may execute at once; 0 means 1. */
    uint32_t max_batch;
    /* A whole-run job may be held back for so long from its submission, until the batch
     * is full; 0: never. */
    uint32_t batch_wait_us;
    /* A job of it holds at most so many sections; 0: as many as its device takes. */
    uint32_t max_sections_per_job;
    /* If max_batch > 1: one for each device of the core; NULL means a max_batch of 1. */
    hsi_batch_queue *batch_queues;
    /* What the policy `cost` chooses from (policy_cost.h); NULL: nothing is known. The caller may
     * change what is in it between two calls. */
    const struct hsi_choices *choices;
    hsched_objective
        objective; /* of a policy that chooses; DEFAULT: MAKESPAN. See objective.h */
    /* How often runs of it were followed by others, 0 at first; the storage is the model's, and the
     * core's from the first submit on. NULL: its runs are not gathered. */
    uint8_t *followed;
} hsi_core_model;

typedef enum hsi_job_state {
    HSI_JOB_WAITING = 0, /* dependencies not done */
    HSI_JOB_QUEUED,
    HSI_JOB_RUNNING,
    HSI_JOB_DONE
} hsi_job_state;

/* A segment of one run: sections [section, section + count), executed by one worker in
 * order. The storage is the run's, one record per section; the job is known by its first
 * section's record. The records of the segment's other sections share its state and
 * device and have count 0. */
typedef struct hsi_job {
    hsi_core_run *run;
    uint32_t section;
    uint32_t count;
    uint32_t pending; /* dependencies not done yet */
    uint8_t device;   /* where it is queued, runs or ran */
    uint8_t state;    /* hsi_job_state */
    uint8_t moved;    /* its device was lost, or the run was restarted: it may only be
                            queued on the CPU */
    uint8_t leads;    /* running, the first of a batch */
    uint8_t executes; /* running, the first of what was handed out, and not paused */
    uint8_t paused;   /* running, and back in the queue: hsi_core_job_paused */
    uint32_t done;    /* running: so many of its sections are done, when it was paused */
    uint32_t crossings;  /* tensors this job takes over from other devices */
    uint32_t heap_index; /* in its queue */
} hsi_job;

typedef enum hsi_run_state {
    HSI_RUN_IDLE = 0, /* not submitted */
    HSI_RUN_BLOCKED,  /* waits for other runs' outputs */
    HSI_RUN_WAITING,  /* waits for admission */
    HSI_RUN_ACTIVE,
    HSI_RUN_ENDED
} hsi_run_state;

/* That `to` takes an output of `from`; storage is the waiting run's. */
typedef struct hsi_core_edge {
    hsi_core_run *to;
    hsi_core_run *from;         /* NULL: not, or no longer, in its list */
    struct hsi_core_edge *next; /* in the list of `from` */
    struct hsi_core_edge *prev; /* the first one's is the last */
} hsi_core_edge;

/* Embedded in the runtime's run. The storage (jobs: section_count entries) is the
 * caller's and lasts from submit until the run was given out as ended. The caller sets
 * the first group and has zeroed the rest before the first submit; a run that was given
 * out may be submitted again as it is. */
struct hsi_core_run {
    const hsi_core_model *model;
    hsi_job *jobs;
    int priority;
    uint64_t deadline_us; /* a time; 0: none */
    uint8_t drop_late;    /* it ends with HSCHED_ERROR_DEADLINE if that passes */

    /* The core's own. */
    uint8_t state; /* hsi_run_state */
    uint8_t cancel_requested;
    uint8_t restarting;  /* it is restarted when its running jobs have ended */
    uint8_t missed;      /* it had not ended at its deadline */
    uint8_t gathered;    /* active, and not placed yet */
    uint8_t accelerator; /* where one of its sections was queued last, other than the CPU;
                            0: nowhere */
    hsched_status status; /* of an ended run; else the first failure so far */
    uint64_t submitted_us;
    uint64_t admitted_us; /* when it became active; 0: it did not */
    uint64_t ended_us;
    uint64_t sequence; /* order of submission */
    int64_t key;
    uint32_t blockers;         /* upstream runs that have not ended */
    hsi_core_edge *dependents; /* who waits for this run, in the order of submission */
    hsi_core_edge *edges;      /* whom this run waits for */
    uint32_t edge_count;
    uint32_t sections_left;
    uint32_t jobs_out;    /* queued or running */
    uint32_t jobs_run;    /* jobs that ended well */
    uint32_t executed_on; /* where those were executed, as bits */
    uint32_t crossings;   /* tensors that those took over from other devices */
    uint32_t moved;    /* jobs that went to the CPU because their device was lost or did
                            not execute them */
    uint32_t restarts; /* times that all its sections went back to waiting */
    uint8_t choice;    /* the policy's */
    float
        work_us[HSI_MAX_DEVICES]; /* that it still brings to each device; 0: not known */
    uint32_t
        heap_index; /* among those that wait for admission; UINT32_MAX: in their list */
    uint32_t deadline_index; /* among the deadlines, until it has ended or missed it */
    hsi_core_run *next_ended;
    hsi_core_run *leader, *next_member;      /* of the paused batch that its job is in */
    hsi_core_run *next_active, *prev_active; /* or, before, among those in that list */
    /* Its work as it is counted among the active runs whose policy chooses; set when it becomes
     * one. Whole numbers: what is added and taken away again leaves nothing. */
    int64_t counted_ns[HSI_MAX_DEVICES];
};

typedef struct hsi_core_device {
    uint32_t workers;              /* jobs that run at the same time; > 0; for policies */
    uint32_t max_sections_per_job; /* a job may hold so many consecutive sections; 0 means
                                      1, UINT32_MAX all of them; at most 1 on the CPU,
                                      whose preemption point is the section */
    uint32_t max_batch; /* runs of a model that one job may execute at once; 0 means 1; at
                           most 1 on the CPU */
    uint32_t max_batches; /* batches of a model that it executes at the same time; 0: any
                             number. See hsi_core_take_batch */
    uint32_t join_gap_us, join_most_us; /* how long runs are held back while a batch of
                                           their model is executing; see there */
    /* A job is not begun while one of a higher priority is executing: those that share the device
     * slow each other down. */
    int strict;
    /* So many workers, less than all, begin no job but of the highest priority in use: so a run of
     * that finds one. In use: by runs in flight, or a short while ago. */
    uint32_t reserved;
    int own_memory; /* what its sections have made may lie in its memory only, so that
                           runs are restarted: see hsi_core_job_ended; not the CPU */
    /* For policies; hsi_core_set_speed. 0: 1, and on the CPU its workers. */
    double load; /* jobs take so many times as long now, for reasons outside */
    double
        capacity; /* that many jobs' work is done at the same time, if so many are there */
    /* What it draws when it works, the CPU with all workers, and when it does not; 0: not known. */
    double watts, idle_watts;
} hsi_core_device;

/* What a policy sees and answers. Hooks run under the scheduler's lock: they never block
 * and call nothing of the library. */
typedef struct hsi_place_query {
    const hsi_core_model *model;
    uint32_t section;
    uint32_t device_mask; /* devices that can take it now */
    uint32_t available;   /* devices that are not lost, as bits */
    uint32_t device_count;
    const hsi_core_device *devices;
    const uint32_t *backlog; /* jobs queued or running, per device */
    uint32_t
        previous_device;     /* the accelerator that was chosen last for a section of this
                                 run; 0: none was */
    const hsi_core_run *run; /* NULL: a model is being prepared */
    /* For `choose`, per device: work of runs that go before this one, and of all others. */
    const double *ahead_us, *work_us;
    double spare_watts; /* the power cap without what devices draw that idle; 0: no cap */
    double owed_uj;     /* was drawn above the cap, and not saved again yet */
    uint64_t now_us;
} hsi_place_query;

typedef struct hsi_policy {
    const char *name;
    int anywhere; /* it may answer any device that can take the section: all are prepared */
    /* The device for a section that may run now, or right after the one before it in its
     * segment. An answer outside device_mask is counted, and means device 0. */
    uint32_t (*place)(const hsi_place_query *query);
    /* Optional: a section of the run, query->section, may run now, and those after it that are
     * not done will follow: its choice for these, and the work_us that they bring. Asked before
     * `place`. */
    void (*choose)(const hsi_place_query *query, hsi_core_run *run);
    /* 1 if sections must be cut between steps of these classes (asked when a model is
     * compiled). */
    int (*cut)(uint32_t class_before, uint32_t class_after);
} hsi_policy;

extern const hsi_policy hsi_policy_cpu_only;
extern const hsi_policy hsi_policy_layer_type;
extern const hsi_policy hsi_policy_gpu_only;
extern const hsi_policy hsi_policy_cost; /* policy_cost.h */

/* The library's policy of this name, or NULL. hsi_policy_get: all of them, by number; NULL past
 * the last. */
const hsi_policy *hsi_policy_find(const char *name);
const hsi_policy *hsi_policy_get(uint32_t index);

#define HSI_AGEING_MAX_US (UINT64_C(1) << 48)

typedef struct hsi_core_config {
    uint32_t device_count; /* device 0 is the CPU */
    hsi_core_device devices[HSI_MAX_DEVICES];
    uint64_t ageing_us;    /* > 0, at most HSI_AGEING_MAX_US */
    uint32_t active_limit; /* > 0 */
    /* While a higher priority is in use a job ought to pause after so long: hsi_core_segment_us. 0:
     * it need not. */
    uint64_t max_segment_us;
    uint64_t
        class_memory_us; /* a priority is in use for so long after its last run was submitted
                                 or has ended; 0: 2 s */
    /* The key of a run instead of the one above, asked once when it is submitted; or NULL. */
    int64_t (*order)(void *user, const hsi_core_run *run);
    void *order_user;
    /* The devices are to draw so much on the average; 0: any. More than they draw when they idle.
     * What jobs draw above it is owed, in microjoules; it is paid back by drawing less. A job
     * begins if that makes them draw no more than the cap, or if nothing is owed and they do not
     * yet. */
    double power_cap_watts;
    double gather_share; /* see above; 0: no run is gathered */
} hsi_core_config;

hsched_status hsi_core_create(const hsi_core_config *config, hsi_core **core);
void hsi_core_destroy(hsi_core *core); /* no run may be unfinished */

/*
 * Event: a run is submitted. It starts once the `edge_count` runs in `upstream` have
 * ended well; edges: storage for as many, in the run. An upstream run that has already
 * ended counts at once; if it did not end well, this run ends at once with
 * HSCHED_ERROR_UPSTREAM. The same upstream may appear several times. Errors, all of which
 * leave everything as it was: INVALID_ARGUMENT (priority out of range, an upstream that
 * was never submitted), STATE (the run is in flight), LIMIT, OUT_OF_MEMORY (queues could
 * not grow: they do when more runs of a priority are outstanding than ever before). Times
 * never go back: an event with an older time than the one before it happens at the
 * latter's.
 */
hsched_status hsi_core_submit(hsi_core *core, hsi_core_run *run,
                              hsi_core_run *const *upstream, hsi_core_edge *edges,
                              uint32_t edge_count, uint64_t now_us);

/* Are there runs that are active and not placed yet? */
int hsi_core_gathers(const hsi_core *core);
/* Event: who submits waits for what was submitted: runs that were gathered are placed. */
void hsi_core_place_gathered(hsi_core *core, uint64_t now_us);

/*
 * Event: it is now `now_us`. Runs that have been gathered for long enough are placed. Runs whose
 * deadline was before that have missed it; those that are to be dropped end with
 * HSCHED_ERROR_DEADLINE as they would if they were cancelled.
 */
void hsi_core_tick(hsi_core *core, uint64_t now_us);

/* Decision: from what time on a tick changes something: a deadline has passed, what was gathered is
 * placed, or jobs may begin that the power cap had kept back; UINT64_MAX: never, as it is. */
uint64_t hsi_core_next_tick(const hsi_core *core);

/* Are there runs for hsi_core_next_ended to give out? */
int hsi_core_has_ended(const hsi_core *core);

/* Decision: the best job of a device's queue, now running, or NULL, also if what is executing
 * keeps it from being begun (strict, reserved). Jobs that are held
 * back at the time of the latest event are passed over. As hsi_core_take_batch it is a tick,
 * too, at that time. */
hsi_job *hsi_core_take(hsi_core *core, uint32_t device);

/*
 * A tick; then the decision: the best job of a device's queue, and with it, if it holds
 * all sections of its run, such jobs of other runs of the same model that are queued
 * there, in the order of their keys and whatever their priorities: at most `most`, the
 * device's max_batch, the model's, and what its batch queue has `ready`. All are running
 * now; each ends by its own hsi_core_job_ended. Returns how many; 0: there is none to take.
 *
 * Whole-run jobs of a model that are fewer than the two max_batch allow may be held back;
 * jobs of other models behind them go first then. They are
 *   with batch_wait_us, until one of them has waited for so long since it was submitted;
 *   on a device with max_batches where the model's `ready` is not 1, while batches of the
 *   model are executing there and the best of those held is not more urgent than any of
 *   these: if there are max_batches, until one has ended; if there are fewer, until
 *   join_gap_us after the last of them was submitted or join_most_us after the first.
 */
uint32_t hsi_core_take_batch(hsi_core *core, uint32_t device, hsi_job **jobs,
                             uint32_t most, uint64_t now_us);

/*
 * Decision: how long a job, or batch, whose highest priority is this one may execute before it
 * pauses for others, at the end of one of its sections; UINT64_MAX: as long as it likes.
 */
uint64_t hsi_core_segment_us(const hsi_core *core, int priority);

/*
 * Event: jobs that were taken together have done `sections` more of their sections, but not all,
 * and pause. They go back into the queue, as one, in the place of the first; a take gives all of
 * them again (or nothing, if it has not the room), with `done` sections less to do. Meanwhile they
 * are running, as far as their runs are concerned, which end or are restarted when no run of the
 * batch goes on.
 */
void hsi_core_job_paused(hsi_core *core, hsi_job *const *jobs, uint32_t count,
                         uint32_t sections, uint64_t now_us);

/* The highest priority that is executing on a device, and HSCHED_PRIORITY_MIN if nothing is. */
int hsi_core_executing(const hsi_core *core, uint32_t device);
/* How many jobs of that priority are. */
uint32_t hsi_core_executing_count(const hsi_core *core, uint32_t device);

/* Decision: how many jobs of a queue workers could begin now, about; at least 1 if there is one to
 * take, 0 if the power cap or what is executing keeps all back. */
uint32_t hsi_core_startable(const hsi_core *core, uint32_t device);

/* Event: how fast a device is now; as in hsi_core_device. If that makes much of a difference to
 * what was known, runs that have not started anything are placed anew, where the policy chooses. */
void hsi_core_set_speed(hsi_core *core, uint32_t device, double load, double capacity,
                        uint64_t now_us);

/* Event: a device is known to draw so much when it works, and when it idles; as in
 * hsi_core_device. Runs that have a place keep it. */
void hsi_core_set_watts(hsi_core *core, uint32_t device, double watts, double idle_watts,
                        uint64_t now_us);

/* Event: what a device drew on the average since the last event of this kind for it. It counts
 * instead of what was thought, and what it differed by is expected to go on. Nothing without a
 * power cap. */
void hsi_core_set_drawn(hsi_core *core, uint32_t device, double watts, uint64_t now_us);

/* Event: so many runs of the model may be joined on the device for the time being; 0: no such
 * limit. It does not change what makes a batch full. */
void hsi_core_set_ready(hsi_core *core, const hsi_core_model *model, uint32_t device,
                        uint32_t ready);

/* Decision: from what time on there is a job to take if no event comes: 0 or a time that
 * has passed: now; UINT64_MAX: not before an event. Events may change it. */
uint64_t hsi_core_next_due(const hsi_core *core, uint32_t device);

/*
 * Event: a job ended. status != OK: its run fails with it (the first failure counts), its
 * queued jobs are withdrawn, and it ends when its running jobs have ended; runs that wait
 * for it end with HSCHED_ERROR_UPSTREAM. HSCHED_ERROR_DEVICE from another device than the
 * CPU: see device_lost.
 *
 * A device with own_memory fails no run: if a job ends there with any other status than
 * OK, its run is restarted. Its queued jobs are withdrawn; when its running jobs have
 * ended, well or not, all sections, also those done, wait again, for the CPU only, and
 * `restarts` counts one. So a run is restarted once at most. It ends instead if it is
 * cancelled before, and ends well if the running jobs were its last and ended well.
 */
void hsi_core_job_ended(hsi_core *core, hsi_job *job, hsched_status status,
                        uint64_t now_us);

/* Event: cancel. A run that is not active ends at once, an active one when its running
 * jobs end; queued jobs are withdrawn. It ends well all the same if those were its last
 * sections. No effect on a run that has ended or failed. */
void hsi_core_cancel(hsi_core *core, hsi_core_run *run, uint64_t now_us);
/* 1 if the run was submitted and nothing of it has begun: no job of it was taken that has not
 * been given up since, by the loss of its device. A cancel would end it at once. */
int hsi_core_waits(const hsi_core_run *run);

/*
 * Event: a device is out of use for good. Its queued jobs go to the CPU; so do jobs whose
 * job_ended says HSCHED_ERROR_DEVICE on it: they run again, since a section's inputs are
 * kept until it is done (sections of such a job that were done before are given out again;
 * the worker skips them). Device 0 cannot be lost.
 *
 * With a device with own_memory, inputs may be lost as well: every active run that has a
 * section queued, running or done there is restarted. Nothing that the worker knows of
 * the run's sections counts then: it compares hsi_core_run.restarts, under the caller's
 * lock, when it takes a job. Whoever finds while working for another device that this one
 * is lost says so here before he ends his job: the job's failure then counts for nothing.
 */
void hsi_core_device_lost(hsi_core *core, uint32_t device, uint64_t now_us);

/* The devices lost so far, as bits. */
uint32_t hsi_core_lost_devices(const hsi_core *core);

/* Decision: the next run that has ended since, in the order of ending, or NULL. Its
 * status is final and the core no longer refers to it. */
hsi_core_run *hsi_core_next_ended(hsi_core *core);

/* Jobs waiting in a device's queue, also those held back. */
uint32_t hsi_core_queued(const hsi_core *core, uint32_t device);

/* How many times as long jobs take on the device now, as hsi_core_set_speed was told last. */
double hsi_core_load(const hsi_core *core, uint32_t device);

/* What the device is taken to draw, as hsi_core_set_watts was told last. */
void hsi_core_get_watts(const hsi_core *core, uint32_t device, double *watts,
                        double *idle_watts);

typedef struct hsi_core_stats {
    uint64_t jobs, crossings, jobs_moved; /* as in hsi_core_run */
    uint64_t invalid_placements;
    uint64_t restarts;        /* as in hsi_core_run */
    uint64_t missed, dropped; /* deadlines; runs for that */
    uint64_t replaced;        /* runs that were placed anew before they started */
    uint64_t
        gathered;    /* runs that were placed together with others, or waited for them */
    double owed_uj;  /* was drawn above the power cap, and not saved again yet */
    uint64_t now_us; /* the time of the latest event */
    uint32_t active_runs;
    uint32_t gathered_runs; /* of these: not placed yet */
    uint32_t waiting_runs;  /* for admission */
    uint32_t blocked_runs;  /* for other runs */
} hsi_core_stats;
void hsi_core_get_stats(const hsi_core *core, hsi_core_stats *stats);

/* What a trace looks at after each event, for less than copying all of them takes: now_us and
 * active_runs, and a number that grows when restarts, jobs_moved, missed or replaced do. */
uint64_t hsi_core_now_us(const hsi_core *core);
uint32_t hsi_core_active_runs(const hsi_core *core);
uint64_t hsi_core_incidents(const hsi_core *core);

/* Tests: what is wrong with the core, or with an unfinished run in it, or NULL. Slow. */
const char *hsi_core_check(const hsi_core *core);
const char *hsi_core_check_run(const hsi_core *core, const hsi_core_run *run);

#endif
