/*
 * Functions of libhsched whose form may still change between minor versions.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef HSCHED_EXPERIMENTAL_H
#define HSCHED_EXPERIMENTAL_H

#include <hsched/hsched.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One step compared with the plain reference kernels. */
typedef struct hsched_step_check {
    size_t struct_size;
    uint32_t step;            /* index, as in hsched_model_step_info */
    double error;             /* ||y - ref|| / ||ref|| (2-norms); the plain norm if ref is zero;
                                 for types other than float32 0 (equal) or 1 */
    double max_abs_error;
    uint64_t not_finite;      /* elements that are NaN or infinite in y and not in ref */
} hsched_step_check;

/* Return 0 to go on, else verification stops with HSCHED_ERROR_CANCELLED. */
typedef int (*hsched_step_check_callback)(void *user, const hsched_step_check *check);

/*
 * Runs the model once on `inputs`, step by step, on a thread of the library while the caller waits;
 * each step's result is compared with what the reference kernels make of the same operands. The
 * callback is called on that thread. Scheduling is not involved. The model was loaded with
 * HSCHED_MODEL_KEEP_CONSTANTS. Errors: those of hsched_submit, CANCELLED. Any thread. Since 0.1.
 */
HSCHED_API hsched_status hsched_model_verify(hsched_model *model, const hsched_binding *inputs,
                                             uint32_t input_count,
                                             hsched_step_check_callback callback, void *user);

/* ---- Costs: how long sections and steps take -------------------------------- */

/*
 * What is measured is kept in a table of the runtime and in the cache folder
 * (hsched_runtime_config.cache_dir): another process with the same model, devices and libraries
 * knows it, too. Models are told apart by their structure and shapes, not by names or weights.
 */
typedef enum hsched_cost_unit {
    HSCHED_COST_STEP = 1,    /* devices that execute on the host's threads in real time: the CPU */
    HSCHED_COST_SECTION = 2, /* consecutive steps: what is placed, hsched_step_info.section */
    HSCHED_COST_RUN = 3      /* the whole model on one device, sections one after the other */
} hsched_cost_unit;

typedef struct hsched_profile_config {
    size_t struct_size;
    double seconds;       /* to spend; default 10. First what the model takes alone on each device,
                             which is measured whatever the time; then shared by workers and
                             joined; then several jobs at once. A series of measurements for which
                             there is no time left is left out; one that was begun is done once at
                             least */
    uint32_t repetitions; /* of each measurement, if time allows; default 31, at most 1000 */
    const hsched_binding *inputs; /* data or buffers; NULL: zeros. As for hsched_submit */
    uint32_t input_count;
    uint32_t flags;       /* bits of HSCHED_PROFILE_... */
} hsched_profile_config;
#define HSCHED_PROFILE_CONFIG_INIT .struct_size = sizeof(hsched_profile_config)

enum {
    HSCHED_PROFILE_NOT_SAVED = 1u << 0 /* keep it in the runtime's table only */
};

typedef struct hsched_profile_report {
    size_t struct_size;
    uint32_t measured; /* entries that are new in the table */
    uint32_t skipped;  /* series of measurements that were left out: no time was left, or the
                          device did not do what was to be measured */
    double seconds;    /* spent */
    uint32_t metered;  /* devices of which it was measured what they draw: those that have a meter
                          and can execute all of the model */
} hsched_profile_report;
#define HSCHED_PROFILE_REPORT_INIT .struct_size = sizeof(hsched_profile_report)

/*
 * Measures the model on every device that has prepared a part of it, with runs that go through the
 * scheduler like any other: each section, and on the CPU each step, alone; on the CPU with 1, 2,
 * 4, ... all workers sharing the steps, and with as many runs at once; on a GPU with 2, 4, 8 jobs
 * at once, and with runs joined. Keeps medians. Nothing else should run meanwhile on the machine:
 * what does is measured, too. The runs count in the model's statistics. `report` may be NULL.
 *
 * Errors: those of hsched_submit and of the runs; STATE (runs are in flight; or the runtime has
 * a power cap, which would keep jobs back while they are measured: one without fills the same
 * cache); IO (measured, and in the runtime's table, but the cache file could not be written). One
 * profile at a time in a runtime: a second one waits. Any thread, not from a callback. Since 0.1.
 */
HSCHED_API hsched_status hsched_model_profile(hsched_model *model,
                                              const hsched_profile_config *config,
                                              hsched_profile_report *report);

typedef struct hsched_cost_query {
    size_t struct_size;
    hsched_cost_unit unit;
    uint32_t index;   /* of the step or section; RUN: 0 */
    uint32_t device;  /* of the runtime */
    uint32_t batch;   /* runs joined; default 1 */
    uint32_t workers; /* CPU workers that share the steps; default 1 */
    uint32_t jobs;    /* that the device executes at once, this one included; default 1 */
} hsched_cost_query;
#define HSCHED_COST_QUERY_INIT .struct_size = sizeof(hsched_cost_query)

/* From bad to good. */
typedef enum hsched_cost_source {
    HSCHED_COST_UNKNOWN = 0,
    HSCHED_COST_ESTIMATED = 1,    /* from the work, or beyond what was measured */
    HSCHED_COST_INTERPOLATED = 2, /* between batches, workers or jobs that were measured */
    HSCHED_COST_OBSERVED = 3,     /* from jobs that took place, not measured alone */
    HSCHED_COST_MEASURED = 4
} hsched_cost_source;

typedef struct hsched_cost {
    size_t struct_size;
    hsched_cost_source source;
    double us;         /* the median; 0: unknown */
    double spread_us;  /* between the first and the third quartile */
    uint32_t samples;  /* if it was measured, or else 0 */
    double stretch;    /* the factor for `jobs` that us contains */
    double correction; /* the factor that us contains because jobs took longer than measured */
    double load;       /* the factor by which the device is slowed down now; not in us */
} hsched_cost;
#define HSCHED_COST_INIT .struct_size = sizeof(hsched_cost)

/* "measured", ...; never NULL. Any thread. Since 0.1. */
HSCHED_API const char *hsched_cost_source_name(hsched_cost_source source);

/*
 * What the table knows. Not knowing is no error: see `source`. Reads the cache file the first time
 * in a runtime; one that cannot be read is logged, and is an empty one. Errors: INVALID_ARGUMENT,
 * NOT_FOUND (no such step, section or device), OUT_OF_MEMORY. Any thread. Since 0.1.
 */
HSCHED_API hsched_status hsched_model_get_cost(hsched_model *model,
                                               const hsched_cost_query *query,
                                               hsched_cost *cost);

/* ---- Explaining: where a run goes, why, and what that is expected to cost ---- */

/*
 * What the model's policy does with a run on a machine that has nothing else to do, found by the
 * scheduler itself in virtual time, from what the cost table knows: nothing is executed or measured
 * (hsched_model_profile does that). An explanation does not change; it holds a reference to its
 * model, and what it points to lives as long as it does. Any thread may read it.
 *
 * What is predicted: sections take what the table says, times the device's load; what passes
 * between devices and starting jobs on them cost what they do for the policy `cost`. Not predicted:
 * what the hand-over between threads takes, and what disturbs them. docs/design/explain.md has
 * figures.
 */
typedef struct hsched_explanation hsched_explanation;

typedef struct hsched_explain_config {
    size_t struct_size;
    const double *loads; /* per device of the runtime: what it executes takes so many times as long,
                            because of something outside; 0, or beyond load_count: 1. From 0.001
                            to 1e6 */
    uint32_t load_count;
    uint32_t batch;      /* runs submitted together, 1 to 64; default 1. They are joined on devices
                            that join runs, as far as the model's max_batch allows */
} hsched_explain_config;
#define HSCHED_EXPLAIN_CONFIG_INIT .struct_size = sizeof(hsched_explain_config)

/* Why a section is where it is. */
typedef enum hsched_placement_reason {
    HSCHED_PLACED_AS_ONLY_ONE = 1,   /* on the CPU: no other device can execute it. Where there are
                                        accelerators it falls back */
    HSCHED_PLACED_BY_POLICY = 2,     /* the policy's rule says so: cpu_only, gpu_only, layer_type */
    HSCHED_PLACED_BY_COST = 3,       /* the model's objective is expected to be met best like this:
                                        the run ends first, or takes the least energy */
    HSCHED_PLACED_WITHOUT_COSTS = 4, /* the policy is `cost`, but too little was measured: as with
                                        gpu_only */
    HSCHED_PLACED_UNPREPARED = 5,    /* on the CPU: a device that could execute it could not prepare
                                        it, for want of memory for example; the log said why */
    HSCHED_PLACED_AFTER_LOSS = 6     /* on the CPU: a device that could execute it is lost */
} hsched_placement_reason;

typedef struct hsched_explanation_info {
    size_t struct_size;
    const char *policy;       /* "cost", ... */
    uint32_t batch;           /* runs; all that follows but predicted_us is of the first one */
    uint32_t sections, steps, edges, crossings; /* that there are, to be asked for below */
    uint32_t candidates;      /* policy cost: placements that it chose from; 0: there were none */
    double predicted_us;      /* until the last run has ended; 0: something is not known */
    hsched_cost_source source; /* the worst of what predicted_us is made of */
    double measured_us;       /* a run (or all of them joined) that is all on one device, as
                                 profiled, without load; 0: it is not, or was not measured */
    double measured_spread_us;
    uint32_t jobs;
    uint32_t fallback_sections, fallback_steps; /* HSCHED_PLACED_AS_ONLY_ONE, beside accelerators */
    uint32_t tensors;         /* that pass between devices: hsched_run_times.crossings */
    uint64_t crossing_bytes;  /* of tensors that pass between devices, those that are there already
                                 not counted again */
    double crossing_us;       /* and what that takes */
    uint64_t io_bytes;        /* of the model's inputs and outputs that pass from or to an
                                 accelerator */
    double io_us;             /* and what that is thought to take of the sections' times, which
                                 were measured with it */
} hsched_explanation_info;
#define HSCHED_EXPLANATION_INFO_INIT .struct_size = sizeof(hsched_explanation_info)

typedef struct hsched_explained_section {
    size_t struct_size;
    uint32_t device;          /* of the runtime */
    uint32_t first_step, step_count;
    uint32_t job;             /* from 0 in the order in which they end; sections with the same
                                 number are one job */
    hsched_placement_reason reason;
    const char *reason_text;  /* for people */
    double begin_us;          /* when its job is expected to begin, after the submission */
    double predicted_us;      /* what it takes there, with the model's inputs and outputs that pass
                                 to it and from it, and with the start of its job if it is the
                                 first of that; crossings from other sections not included. 0: not
                                 known */
    hsched_cost_source source; /* of predicted_us */
    double measured_us, measured_spread_us; /* alone there, shared by all CPU workers, without load;
                                 0: it was not measured */
    uint32_t runner_up;       /* the next best device for it; UINT32_MAX: there is none */
    double runner_up_us;      /* what predicted_us of the whole would be with this section there and
                                 all others where they are; 0: not known. Less than that if the
                                 objective is ENERGY or POWER_CAP and it would be faster there */
} hsched_explained_section;
#define HSCHED_EXPLAINED_SECTION_INIT .struct_size = sizeof(hsched_explained_section)

typedef struct hsched_explained_step {
    size_t struct_size;
    uint32_t section, device;
    double predicted_us;      /* its share of the section's */
    hsched_cost_source source;
    double measured_us, measured_spread_us; /* as for sections; 0 on devices that have no times of
                                 steps */
    const char *kernel;       /* that executes it there; lives as long as the model; NULL: none was
                                 prepared */
} hsched_explained_step;
#define HSCHED_EXPLAINED_STEP_INIT .struct_size = sizeof(hsched_explained_step)

/* A step reads what another has made, wherever they are: what a picture is drawn of. */
typedef struct hsched_explained_edge {
    size_t struct_size;
    const char *tensor;       /* the step that makes it, or the model's input or output */
    uint32_t from_step, to_step; /* HSCHED_EXPLAINED_USER: the application */
    uint64_t bytes;
} hsched_explained_edge;
#define HSCHED_EXPLAINED_EDGE_INIT .struct_size = sizeof(hsched_explained_edge)

#define HSCHED_EXPLAINED_USER UINT32_MAX /* in place of a step and a section: the application */

/* A tensor that is read on another device than it was made on. */
typedef struct hsched_explained_crossing {
    size_t struct_size;
    const char *tensor;       /* the step that makes it, or the model's input or output */
    uint32_t from_step, from_section, from_device;
    uint32_t to_step, to_section, to_device; /* the first step of the section that reads it */
    uint64_t bytes;
    double us;                /* 0 if it is there already. Of inputs and outputs: in the sections'
                                 times */
    int there;                /* not 0: another section's result that was taken over before */
} hsched_explained_crossing;
#define HSCHED_EXPLAINED_CROSSING_INIT .struct_size = sizeof(hsched_explained_crossing)

/*
 * Reads the cost cache's file the first time in a runtime. The policy `cost` is asked to choose
 * from what it has at present, which lags behind the table a little while jobs teach it. config
 * NULL: the defaults. Errors: INVALID_ARGUMENT; UNSUPPORTED (the policy is the user's: it may only
 * be asked under the scheduler's lock, about runs that there are); OUT_OF_MEMORY. Any thread, not
 * from a callback. Since 0.1.
 */
HSCHED_API hsched_status hsched_model_explain(hsched_model *model,
                                              const hsched_explain_config *config,
                                              hsched_explanation **explanation);
HSCHED_API void hsched_explanation_destroy(hsched_explanation *explanation); /* NULL: nothing */

/* NOT_FOUND past the last. Since 0.1. */
HSCHED_API hsched_status hsched_explanation_get_info(const hsched_explanation *explanation,
                                                     hsched_explanation_info *info);
HSCHED_API hsched_status hsched_explanation_get_section(const hsched_explanation *explanation,
                                                        uint32_t section,
                                                        hsched_explained_section *info);
HSCHED_API hsched_status hsched_explanation_get_step(const hsched_explanation *explanation,
                                                     uint32_t step, hsched_explained_step *info);
HSCHED_API hsched_status hsched_explanation_get_edge(const hsched_explanation *explanation,
                                                     uint32_t edge, hsched_explained_edge *info);
HSCHED_API hsched_status hsched_explanation_get_crossing(const hsched_explanation *explanation,
                                                         uint32_t crossing,
                                                         hsched_explained_crossing *info);

/* "only_one", "policy", "cost", "without_costs", "unprepared", "after_loss"; never NULL. Any
 * thread. Since 0.1. */
HSCHED_API const char *hsched_placement_reason_name(hsched_placement_reason reason);

/* ---- Meters: what devices draw ------------------------------------------------- */

enum {
    HSCHED_METER_WATTS = 1u << 0,
    HSCHED_METER_JOULES = 1u << 1,
    HSCHED_METER_USE = 1u << 2
};

typedef struct hsched_meter_reading {
    size_t struct_size;
    const char *name; /* "NVML", "RAPL package-0", "rail VDD_CPU_CV"; lives as long as the runtime
                       */
    uint32_t known;   /* bits of HSCHED_METER_...: which of the following */
    double watts;     /* now, or lately */
    double joules;    /* since the runtime was made. Meters that know watts only are read 10 times
                         a second while there is work and two seconds longer, and added up; times
                         in between count as the reading that ends them */
    double use;       /* the share of the time, lately, in which anything executed there: 0 to 1 */
} hsched_meter_reading;
#define HSCHED_METER_READING_INIT .struct_size = sizeof(hsched_meter_reading)

/*
 * Reads what measures a device: NVML of a GPU, RAPL of the CPU, or the rails that an INA3221 of
 * the board watches. All that draws is in it, other programs' doings too; of a CPU's rail sometimes
 * more than the CPU, as its name says. Errors: INVALID_ARGUMENT; NOT_FOUND (nothing that this
 * process can read measures it, or there is no such device). May block for as long as the driver
 * takes, milliseconds. Any thread. Since 0.1.
 */
HSCHED_API hsched_status hsched_runtime_read_meter(hsched_runtime *runtime, uint32_t device,
                                                   hsched_meter_reading *reading);

/*
 * What the scheduler takes a device to draw, for the objectives ENERGY and POWER_CAP: what the user
 * has said in hsched_runtime_config.device_watts, else what hsched_model_profile has measured in
 * this runtime, from then on, or in another before. *watts when all of it works, *idle_watts when
 * it does not; either may be NULL. Errors: INVALID_ARGUMENT, NOT_FOUND (it is not known, or there
 * is no such device), OUT_OF_MEMORY. Any thread. Since 0.1.
 */
HSCHED_API hsched_status hsched_runtime_get_watts(hsched_runtime *runtime, uint32_t device,
                                                  double *watts, double *idle_watts);

/* ---- Simulation: the scheduler on a machine that is not there ---------------- */

/*
 * The same scheduler, policies and compiled networks in virtual time, on a platform that a text
 * file describes: devices, what their layers cost, what passing tensors costs. Nothing is computed;
 * no GPU and no thread is needed; the same input gives the same result. What comes out are
 * predictions of a model: docs/design/simulator.md says what that leaves out, and what platform
 * files say.
 *
 *     hsched_simulation_create("examples/platforms/xavier.platform", &sim);
 *     hsched_simulation_add(sim, graph, NULL, &model);
 *     hsched_simulation_submit(sim, &(hsched_simulation_stream){ HSCHED_SIMULATION_STREAM_INIT,
 *                              .model = model, .instances = 8 });
 *     hsched_simulation_run(sim, NULL, &report);
 *
 * A simulation belongs to one thread at a time.
 */
typedef struct hsched_simulation hsched_simulation;

/* Errors: INVALID_ARGUMENT; IO; FORMAT (the file's name, the line, and what to write there);
 * NOT_FOUND (costs are measured, and a device is not there); OUT_OF_MEMORY. Since 0.1. */
HSCHED_API hsched_status hsched_simulation_create(const char *platform_path,
                                                  hsched_simulation **simulation);
/*
 * The same of a runtime, instead of a platform: its devices with their workers as they are, its
 * models as it has compiled them (hsched_simulation_add_model), with what its cost table knows of
 * them by now; so what is simulated can be executed, and compared. Devices are named cpu, gpu and
 * sim, the second of a kind gpu2 and so on, as hsched_simulation_get_device tells; no load is
 * assumed but what hsched_simulation_set_load says (hsched_device_stats.load is what is sensed).
 * Any thread, also while runs are in flight: the runtime is only looked at. It may be destroyed
 * before the simulation. Errors: INVALID_ARGUMENT, OUT_OF_MEMORY. Since 0.1.
 */
HSCHED_API hsched_status hsched_simulation_create_of(hsched_runtime *runtime,
                                                     hsched_simulation **simulation);
HSCHED_API void hsched_simulation_destroy(hsched_simulation *simulation); /* NULL: nothing */

typedef struct hsched_simulation_model_config {
    size_t struct_size;
    const char *name;       /* default: the graph's */
    const char *policy;     /* "cpu_only", "gpu_only", "layer_type", "cost"; default: cost where
                               the platform has more than the CPU, else cpu_only */
    hsched_math math;       /* on other devices than the CPU, and of costs that were measured */
    uint32_t max_batch;     /* runs that may be joined; default: as many as the platform's devices
                               take; 1: never */
    uint32_t batch_wait_us; /* as in hsched_model_config */
    const hsched_symbol *symbols; /* values of named dimensions; others are 1 */
    uint32_t symbol_count;
    hsched_objective objective; /* of the policy "cost"; default: hsched_simulation_config's. Not
                                   POWER_CAP */
} hsched_simulation_model_config;
#define HSCHED_SIMULATION_MODEL_CONFIG_INIT .struct_size = sizeof(hsched_simulation_model_config)

/*
 * Compiles the graph for the platform, as hsched_model_compile does for a runtime. *model: its
 * number in this simulation, from 0. The graph is frozen, and not needed afterwards. Errors: those
 * of hsched_model_compile; NOT_FOUND (a policy; or costs are measured, and nobody measured this
 * model: hsched profile does). Since 0.1.
 */
HSCHED_API hsched_status hsched_simulation_add(hsched_simulation *simulation, hsched_graph *graph,
                                               const hsched_simulation_model_config *config,
                                               uint32_t *model);

/*
 * A model of the simulation's runtime, with its policy, which may be the user's: that is asked by
 * hsched_simulation_run, on the calling thread. What it costs is looked up now, and planned as it
 * is planned now. The simulation holds a reference to it. *number: as above. Errors:
 * INVALID_ARGUMENT (also: it is another runtime's); STATE (the simulation is of a platform);
 * NOT_FOUND (something was never measured: hsched_model_profile does that); OUT_OF_MEMORY.
 * Since 0.1.
 */
HSCHED_API hsched_status hsched_simulation_add_model(hsched_simulation *simulation,
                                                     hsched_model *model, uint32_t *number);

typedef struct hsched_simulation_stream {
    size_t struct_size;
    uint32_t model;
    uint32_t instances;  /* default 1 */
    uint32_t runs;       /* of each instance; default 1 */
    double first_us;     /* when the instances submit their first runs */
    double period_us;    /* all instances submit a run every so often; 0: each submits its next run
                            when the one before has ended */
    double deadline_us;  /* of each run, from its submission; 0: none */
    int priority;        /* as in hsched_run_config */
    hsched_late late;    /* likewise */
} hsched_simulation_stream;
#define HSCHED_SIMULATION_STREAM_INIT .struct_size = sizeof(hsched_simulation_stream)

/* Runs that hsched_simulation_run will submit. Errors: INVALID_ARGUMENT, NOT_FOUND (no such model),
 * LIMIT (more than 2^24 runs), OUT_OF_MEMORY. Since 0.1. */
HSCHED_API hsched_status hsched_simulation_submit(hsched_simulation *simulation,
                                                  const hsched_simulation_stream *stream);

/*
 * From that time on, what executes on the device (its name in the platform file) takes `factor`
 * times as long, because of something outside: another program that has the GPU for 60% of the time
 * makes that 1 / (1 - 0.6). Steps are given in the order of time. Errors: INVALID_ARGUMENT,
 * NOT_FOUND (no such device; the detail names those there are), OUT_OF_MEMORY. Since 0.1.
 */
HSCHED_API hsched_status hsched_simulation_set_load(hsched_simulation *simulation,
                                                    const char *device, double from_us,
                                                    double factor);

typedef struct hsched_simulation_config {
    size_t struct_size;
    double jitter;     /* each job's work is varied by up to this share of it, evenly; below 1 */
    uint64_t seed;     /* of that: the same seed gives the same result */
    const char *trace; /* a file that is written, for ui.perfetto.dev; NULL: none */
    hsched_objective objective; /* of models of the policy "cost" that have none; there must be one
                                   of that policy. ENERGY and POWER_CAP need the watts of all
                                   devices in the platform file */
    double power_cap_watts;     /* with POWER_CAP, and only then: what all devices may draw on the
                                   average, but for what jobs that execute draw above it */
} hsched_simulation_config;
#define HSCHED_SIMULATION_CONFIG_INIT .struct_size = sizeof(hsched_simulation_config)

typedef struct hsched_simulation_report {
    size_t struct_size;
    const char *platform;    /* its name; lives as long as the simulation */
    const char *description; /* likewise; "" if the file has none */
    int measured;            /* costs are those of this machine's cost cache */
    double makespan_us;      /* from 0 to the end of the last run */
    uint64_t runs_succeeded, runs_dropped; /* dropped: late, and submitted so */
    uint64_t deadline_misses;              /* of both */
    uint64_t jobs, crossings;              /* crossings: tensors that passed between devices */
    uint32_t model_count, device_count;
    double joules; /* drawn by all devices until the last run ended; 0: watts of one of them are
                      not in the platform file */
} hsched_simulation_report;
#define HSCHED_SIMULATION_REPORT_INIT .struct_size = sizeof(hsched_simulation_report)

typedef struct hsched_simulation_model_report {
    size_t struct_size;
    const char *name, *policy; /* live as long as the simulation */
    uint64_t runs_succeeded, runs_dropped, deadline_misses;
    uint64_t jobs, crossings;
    double latency_mean_us, latency_p50_us, latency_p99_us, latency_max_us; /* from submission to
                                          end, of the runs that succeeded */
    uint32_t sections;
} hsched_simulation_model_report;
#define HSCHED_SIMULATION_MODEL_REPORT_INIT .struct_size = sizeof(hsched_simulation_model_report)

typedef struct hsched_simulation_device_report {
    size_t struct_size;
    const char *name, *kind; /* of the platform file; live as long as the simulation */
    uint32_t workers;
    uint64_t jobs;
    double busy_us; /* with at least one job there */
    double use;     /* of its workers, until the last run ended: 0 to 1 */
    double joules;  /* idle watts until then, the rest for the CPU's workers and others' time that
                       are busy; 0: its watts are not in the platform file */
} hsched_simulation_device_report;
#define HSCHED_SIMULATION_DEVICE_REPORT_INIT .struct_size = sizeof(hsched_simulation_device_report)

/*
 * Executes all that was submitted, from time 0 until the last run has ended; may be called again,
 * with the same result for the same config. `report` may be NULL. Errors: INVALID_ARGUMENT;
 * NOT_FOUND (an objective needs watts that the platform file does not have); STATE
 * (nothing was submitted); IO (the trace); OUT_OF_MEMORY. Since 0.1.
 */
HSCHED_API hsched_status hsched_simulation_run(hsched_simulation *simulation,
                                               const hsched_simulation_config *config,
                                               hsched_simulation_report *report);
/* Of the last hsched_simulation_run; zeros before. NOT_FOUND past the last. Since 0.1. */
HSCHED_API hsched_status hsched_simulation_get_model(const hsched_simulation *simulation,
                                                     uint32_t model,
                                                     hsched_simulation_model_report *report);
HSCHED_API hsched_status hsched_simulation_get_device(const hsched_simulation *simulation,
                                                      uint32_t device,
                                                      hsched_simulation_device_report *report);

#ifdef __cplusplus
}
#endif
#endif
