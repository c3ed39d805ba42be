/*
 * The runtime's own view of its objects. Lock order: scheduler lock (pool->lock), then
 * any of the leaf locks (a model's run_mutex and slot_mutex, a team's mutex, the log's),
 * of which one at a time. A model's make_mutex is taken without the scheduler lock.
 */
#ifndef HSI_RUNTIME_RUNTIME_H
#define HSI_RUNTIME_RUNTIME_H

#include <pthread.h>
#include <stdatomic.h>

#include <hsched/hsched.h>

#include "cost/cost.h"
#include "graph/graph.h"
#include "plan/plan.h"
#include "runtime/histogram.h"
#include "sched/core.h"
#include "sched/policy_plugin.h"
#include "worker/exec.h"
#include "worker/pool.h"

typedef struct hsi_meter_set hsi_meter_set; /* meters.c */
typedef struct hsi_sizes hsi_sizes;         /* sizes.c */

struct hsched_runtime {
    atomic_int references; /* the user's, and one of each model and buffer */
    /* Of models that set none; of those that are deterministic: a rule that never depends on what
     * is known, if the user has not set another. */
    hsched_policy policy, steady_policy;
    hsi_policy_plugin plugin; /* hooks.place is NULL: there is none */
    char *plugin_name;
    uint32_t device_count;
    hsi_exec_device devices[HSI_MAX_DEVICES];
    uint32_t workers[HSI_MAX_DEVICES];
    uint32_t cpu_libraries;             /* as in the configuration */
    uint64_t ageing_us, max_segment_us; /* 0: jobs are never cut */
    int *cpus; /* CPU worker i is pinned to cpus[i]; NULL: not pinned */
    hsi_core *core;
    hsi_worker_pool *pool;

    pthread_t controller;
    pthread_cond_t controller_wake;
    uint64_t controller_alarm_us; /* it sleeps until then; 0: it does not */
    int controller_started;
    pthread_cond_t quiet; /* in_flight became 0 */

    struct {
        pthread_t thread;
        int started;
        pthread_mutex_t mutex; /* a leaf lock: guards the rest */
        pthread_cond_t wake, idle;
        int poked, working, stop;
        int active; /* runs are in flight; else there were until */
        uint64_t active_until_us;
        uint64_t metered_us; /* when meters were read last */
    } background;
    hsi_meter_set *meters;

    /* costs.c */
    struct {
        pthread_mutex_t mutex; /* a leaf lock: guards the table */
        pthread_mutex_t
            profiling; /* held while a model is measured; before all other locks */
        hsi_cost_table *table;
        uint32_t devices[HSI_MAX_DEVICES]; /* of the table */
        char *folder;                      /* hsched_runtime_config.cache_dir, or NULL */
        int loaded;                        /* the cache file was read */
        uint64_t placings;                 /* that were made of it */
    } costs;

    /* power.c; set before there are threads. */
    struct {
        hsched_objective objective; /* of models that have none */
        double cap_watts;           /* 0: none */
        double watts[HSI_MAX_DEVICES],
            idle_watts[HSI_MAX_DEVICES]; /* 0: not known then */
        uint32_t told; /* devices whose watts are the user's word, as bits */
    } power;

    /* source.h */
    struct {
        pthread_mutex_t
            admission; /* guards `all`; before all other locks but a profile's */
        hsched_source *all;
        pthread_mutex_t mutex; /* a leaf lock: guards the rest, and what a source says */
        pthread_cond_t wake,
            quiet; /* for the thread; a fill or a callback has returned */
        pthread_t thread;
        int created, thread_started, stopping;
        hsched_source *started; /* whose releases the thread looks after */
    } sources;

    /* Guarded by the scheduler lock. */
    hsched_model *planned_models; /* planner.h: a list */
    uint64_t refresh_us;          /* when the devices' loads are looked at again */
    /* meters.h: what is known of each device by its meter. */
    struct {
        uint64_t job_ended_us; /* the last of ours; 0: none has */
        double load;           /* by others, as of at_us */
        uint64_t at_us;
        uint32_t jobs; /* that have ended since */
        double joules; /* as of joules_us; 0: not yet */
        uint64_t joules_us;
        double capacity; /* as the models' jobs of late have it; 0: none has */
    } witness[HSI_MAX_DEVICES];
    int stopping;
    int controller_stop;
    hsched_run
        *in_flight; /* doubly linked: submitted and not ended, or callback not done */
    uint64_t in_flight_count, max_runs;
    hsched_run *ended_first,
        *ended_last; /* for the controller: call back, or dispose of */
    uint64_t submitted, succeeded, failed, cancelled;
    struct {
        int reserved; /* a trace is running, or about to, or being written */
        /* What it knows of: */
        uint32_t lost; /* devices, as bits */
        uint64_t incidents, restarts, moved, missed, replaced;
    } traced;
};

struct hsched_model {
    atomic_int references;
    hsched_runtime *runtime;
    char *name;
    hsi_plan *plan;
    hsi_exec_model exec;
    hsi_core_model core;
    hsi_core_section *core_sections;
    uint32_t *
        able; /* per section: devices that can execute it, as bits, whether or not the policy
                       has them prepare it */
    hsi_batch_queue
        *batch_queues; /* per device of the runtime; NULL: runs are never joined */
    hsched_math math;
    hsched_objective objective; /* DEFAULT: its policy has none */
    int deterministic;
    uint32_t max_batch, batch_wait_us;
    int step_jobs;           /* HSCHED_MODEL_STEP_JOBS */
    hsched_graph *graph;     /* the specialised copy, while its constants are in use */
    hsched_graph *own_graph; /* of hsched_model_load, likewise */
    int constants_stay;
    int cache_weights;
    uint64_t weight_bytes;
    uint8_t followed;            /* the core's: hsi_core_model */
    uint64_t cost_hash;          /* what the cost table knows it by */
    struct hsi_planned *planned; /* what the policy chooses from, or NULL: it does not */
    hsi_sizes *sizes;            /* HSCHED_MODEL_DYNAMIC, else NULL */

    pthread_mutex_t run_mutex; /* a leaf lock: guards free_runs */
    hsched_run *free_runs;

    /* Guarded by the scheduler lock. */
    hsched_model *next_planned;
    uint32_t learnt,
        learn_until; /* jobs that told the cost table; it is planned anew then */
    hsi_histogram latency;
    uint64_t failed, cancelled, missed, dropped;
};

struct hsched_run {
    hsi_exec_run exec; /* first: workers and the core point to it */
    hsched_model *model;
    atomic_int references; /* the user's, and one while in flight */
    hsched_run *next_free; /* in the model's pool */
    hsched_run *
        *upstream; /* runs whose outputs this one reads; one entry per input at most */
    hsi_core_run **upstream_core;
    hsi_core_edge *edges;
    uint32_t upstream_count;
    uint32_t io_count;             /* inputs and outputs */
    const hsi_exec_device *mapper; /* whose memory kept_outputs is, or NULL */
    hsched_memory kept_outputs;    /* for outputs that the user did not bind; made when
                                   needed */
    hsched_buffer **imports;       /* per input, then output: the imported buffer that it
                                      is bound to, or NULL; see imports.h */
    int has_imports;
    int accessing; /* dma-bufs: their accesses are to be ended */
    pthread_cond_t ended_cond;

    /* Guarded by the scheduler lock. */
    int ended;
    uint64_t ended_us;
    uint64_t allowed_us;  /* from its submission to its deadline; 0: it has none */
    uint64_t released_us; /* of a source's: allowed_us counts from then on; else 0 */
    int replaced; /* by a newer one of its source, which is why it was cancelled */
    hsched_run_callback callback;
    void *callback_user;
    hsched_run *previous_in_flight, *next_in_flight;
    hsched_run *next_ended; /* in the controller's list */
    char detail[512];       /* why it failed */
};

/* devices.c */
hsched_status hsi_runtime_open_devices(hsched_runtime *rt,
                                       const hsched_runtime_config *config);
void hsi_runtime_close_devices(hsched_runtime *rt);
hsched_status hsi_runtime_choose_cpus(hsched_runtime *rt,
                                      const hsched_runtime_config *config);

/* runtime.c */
void hsi_runtime_retain(hsched_runtime *rt);
void hsi_runtime_release(hsched_runtime *rt);
/* The scheduler core as the runtime has made it; what it was told since of devices' speeds and
 * watts is left out. */
void hsi_runtime_core_config(const hsched_runtime *rt, hsi_core_config *config);

/* buffers.c: a device that can map memory for all of its kind, or NULL */
hsi_exec_device *hsi_runtime_mapper(hsched_runtime *rt);

/* costs.c: the cost table */
hsched_status hsi_costs_create(hsched_runtime *rt, const hsched_runtime_config *config);
void hsi_costs_destroy(hsched_runtime *rt); /* also after a failed create */
/* Once the plan is made and its graph still there. */
void hsi_costs_identify(hsched_model *model, const hsched_model_config *config);
/* The key of a unit of the model on a device of the runtime, alone and shared by nobody. */
hsi_cost_key hsi_costs_key(const hsched_model *model, hsi_cost_unit unit, uint32_t index,
                           uint32_t device);
/* The work of one run in it. */
hsi_cost_work hsi_costs_work(const hsched_model *model, hsi_cost_unit unit,
                             uint32_t index);
hsched_status hsi_costs_load(hsched_runtime *rt); /* the first time; takes the mutex */
hsched_status hsi_costs_save(hsched_runtime *rt); /* what is new; takes the mutex */

/* power.c: objectives, and what devices draw. */
/* Once devices, policy and costs are there, before the core is. Errors: INVALID_ARGUMENT; NOT_FOUND
 * (what a device draws is not known, and has to be); those of hsi_costs_load. */
hsched_status hsi_power_create(hsched_runtime *rt, const hsched_runtime_config *config);
typedef struct hsi_watts {
    double active[HSI_MAX_DEVICES], idle[HSI_MAX_DEVICES]; /* 0: not known */
} hsi_watts;

/* The core is told what is known now: from then on it counts. *used: what the core goes by. Takes
 * the scheduler lock. Errors: INVALID_ARGUMENT (under the power cap nothing could run; the core
 * goes by what it knew). */
hsched_status hsi_power_update(hsched_runtime *rt, hsi_watts *used);
/* The objective of a model of such a config, checked. Errors: as above. */
hsched_status hsi_power_model_objective(hsched_runtime *rt,
                                        const hsched_model_config *config,
                                        hsched_objective *objective);

/* release.c: the thread that makes runs of the releases of sources */
hsched_status hsi_sources_create(hsched_runtime *rt);
void hsi_sources_stop(hsched_runtime *rt);    /* no release comes any more */
void hsi_sources_destroy(hsched_runtime *rt); /* also after a failed create */

/* background.c: the thread that does the devices' background work */
hsched_status hsi_background_start(hsched_runtime *rt); /* if a device has any */
void hsi_background_stop(hsched_runtime *rt);
void hsi_background_poke(void *runtime); /* there is some; any thread */
/* The first run is in flight, or the last one is not any more: it reads meters accordingly. */
void hsi_background_set_active(hsched_runtime *rt, int active);

/* controller.c: all but the thread's own function under the scheduler lock */
hsched_status hsi_controller_start(hsched_runtime *rt);
void hsi_controller_stop(hsched_runtime *rt); /* without the lock */
void hsi_controller_after_events(void *runtime);
void hsi_controller_run_failed(void *runtime, hsi_core_run *run, const char *detail);
void hsi_controller_device_failed(void *runtime, uint32_t device, const char *detail);
void hsi_controller_started(void *runtime, hsi_job *const *jobs, uint32_t count);
void hsi_controller_set_alarm(hsched_runtime *rt); /* after a run was submitted */
void hsi_controller_enlist(hsched_runtime *rt, hsched_run *run); /* a run is in flight */

/* prepare.c: between steps with different groups[i] sections must be cut: other accelerators
 * can take them, or the user's policy says so. 1 if they differ within a section */
int hsi_model_find_groups(const hsched_runtime *rt, const hsi_policy *policy,
                          const hsi_plan *plan, uint32_t *groups);
/* prepare.c: the device, of these, that the model's policy has a section of a run on that has begun
 * nowhere yet, with such backlogs; an answer that is none of these means the CPU. */
uint32_t hsi_model_ask_policy(const hsched_model *model, uint32_t section,
                              uint32_t device_mask, const uint32_t *backlog);
/* prepare.c: has the devices prepare the model's sections; fills exec and core */
hsched_status hsi_model_prepare(hsched_model *model, const hsi_policy *policy);
void hsi_model_unprepare(hsched_model *model);

/* run.c */
void hsi_run_dispose(
    hsched_run *run); /* no reference is left: back to the model's pool */
void hsi_run_destroy(hsched_run *run); /* frees a pooled run */
hsched_status hsi_run_acquire(hsched_model *model, hsched_run **run);
/* What hsched_run_config says of the order, checked. */
hsched_status hsi_run_check_order(const hsched_model *model, int priority,
                                  hsched_late late);
/* A run with its bindings and all that the config says, to be submitted or disposed of. */
hsched_status hsi_run_make(hsched_model *model, const hsched_run_config *config,
                           hsched_run **run);
/* Hands bound runs of one runtime to the core, all before any of them starts; the caller then acts
 * as the controller. Stops at the first that cannot be submitted; *submitted: how many were. */
hsched_status hsi_runs_submit(hsched_run *const *runs, uint32_t count,
                              uint32_t *submitted);
/* Submits a run that hsi_run_make has made, and in the same moment cancels `old` (may be NULL) if
 * nothing of it has begun: *replaced. If it cannot be replaced, the run is only submitted if there
 * may be `both`, else BUSY. On failure nothing has changed, and the run is the caller's. */
hsched_status hsi_run_submit_instead(hsched_run *run, hsched_run *old, int both,
                                     int *replaced);
/* Nothing of it has begun yet. Takes the scheduler lock. */
int hsi_run_waits(hsched_run *run);

/* sizes.c: the other sizes of a dynamic model. `path` and the config are copied; of a model that
 * was compiled, `path` is NULL and the user keeps the graph. */
hsched_status hsi_sizes_create(hsched_model *model, const char *path, hsched_graph *graph,
                               const hsched_model_config *config);
void hsi_sizes_destroy(hsi_sizes *sizes); /* NULL does nothing */

/* model.c */
hsched_status hsi_model_check_policy(const hsched_runtime *rt, hsched_policy policy);
/* The model's own, else the runtime's; never DEFAULT. */
hsched_policy hsi_model_policy(const hsched_runtime *rt,
                               const hsched_model_config *config);

#endif
