/*
 * libhsched - several neural networks at once on one machine.
 *
 * SPDX-License-Identifier: MIT
 *
 * The shape of a program:
 *
 *     hsched_runtime *rt;   the devices and their workers; one per process is usual
 *     hsched_model *model;  a network compiled for that runtime; share it between threads
 *     hsched_run *run;      one inference: submit it, wait for it, read its outputs
 *
 *     hsched_runtime_create(NULL, &rt);
 *     hsched_model_load(rt, "digits.onnx", NULL, &model);
 *     hsched_binding in = HSCHED_DATA(image, sizeof image);
 *     hsched_binding out = HSCHED_DATA(scores, sizeof scores);
 *     hsched_infer(model, &in, 1, &out, 1);
 *
 * or, with several in flight:
 *
 *     hsched_submit(model, &(hsched_run_config){ HSCHED_RUN_CONFIG_INIT, .inputs = &in }, &run);
 *     hsched_run_wait(run, HSCHED_FOREVER);
 *     hsched_run_release(run);
 *
 * Conventions that hold for every function:
 *
 * - Functions that can fail return hsched_status; the result is the last parameter and is NULL
 *   (or zeroed) on failure. hsched_error_detail() then says what was wrong, where, and what to do.
 * - Config structs begin with struct_size, set by their ..._INIT macro; every member left zero has
 *   its documented default; NULL means all defaults. A struct of an older or newer size is accepted
 *   as long as members unknown to the library are zero.
 * - create/load/compile give an object that the caller owns and destroys; retain/release count
 *   references; get borrows. Destroying NULL does nothing.
 * - Shapes are logical, in ONNX order (images: N, C, H, W), whatever the memory layout. Times are
 *   microseconds on CLOCK_MONOTONIC. Sizes are bytes.
 * - "Any thread" means: may be called at the same time from any threads. A function without
 *   such a word may be used from any one thread at a time per object.
 */
#ifndef HSCHED_HSCHED_H
#define HSCHED_HSCHED_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define HSCHED_API __attribute__((visibility("default")))
#else
#define HSCHED_API
#endif

/* ---- Version -------------------------------------------------------------- */

#define HSCHED_VERSION_MAJOR 0
#define HSCHED_VERSION_MINOR 1
#define HSCHED_VERSION_PATCH 0
#define HSCHED_VERSION_STRING "0.1.0"

/* The version of the library in use, as "major.minor.patch". Any thread. Since 0.1. */
HSCHED_API const char *hsched_version(void);

/* ---- Status and error detail ---------------------------------------------- */

/* X(NAME, value, text). Values never change; new ones are added at the end. */
#define HSCHED_STATUS_LIST(X)                                                                 \
    X(HSCHED_OK, 0, "success")                                                                \
    X(HSCHED_ERROR_INVALID_ARGUMENT, 1, "an argument is not valid")                           \
    X(HSCHED_ERROR_OUT_OF_MEMORY, 2, "out of memory")                                         \
    X(HSCHED_ERROR_NOT_FOUND, 3, "not found")                                                 \
    X(HSCHED_ERROR_IO, 4, "a file could not be read or written")                              \
    X(HSCHED_ERROR_FORMAT, 5, "malformed data")                                               \
    X(HSCHED_ERROR_UNSUPPORTED, 6, "not supported by this version")                           \
    X(HSCHED_ERROR_SHAPE, 7, "shapes or types do not fit")                                    \
    X(HSCHED_ERROR_STATE, 8, "not allowed in this state")                                     \
    X(HSCHED_ERROR_LIMIT, 9, "a limit was exceeded")                                          \
    X(HSCHED_ERROR_TIMEOUT, 10, "the time ran out")                                           \
    X(HSCHED_ERROR_CANCELLED, 11, "the run was cancelled")                                    \
    X(HSCHED_ERROR_UPSTREAM, 12, "a run that this one takes its input from did not succeed")  \
    X(HSCHED_ERROR_DEVICE, 13, "a device failed")                                             \
    X(HSCHED_ERROR_SYSTEM, 14, "the operating system refused a request")                      \
    X(HSCHED_ERROR_INTERNAL, 15, "an invariant of the library does not hold; please report it") \
    X(HSCHED_ERROR_DEADLINE, 16, "the run was dropped: its deadline had passed")              \
    X(HSCHED_ERROR_BUSY, 17, "too many runs are in flight")

typedef enum hsched_status {
#define HSCHED_STATUS_ENUM(name, value, text) name = value,
    HSCHED_STATUS_LIST(HSCHED_STATUS_ENUM)
#undef HSCHED_STATUS_ENUM
        HSCHED_STATUS_FORCE_INT32 = 0x7fffffff
} hsched_status;

/* "HSCHED_ERROR_SHAPE" and "shapes or types do not fit"; never NULL. Any thread. Since 0.1. */
HSCHED_API const char *hsched_status_name(hsched_status status);
HSCHED_API const char *hsched_status_text(hsched_status status);

/*
 * What the last failing call of this thread had to say: cause, place (file and offset, layer or
 * node) and next step, as one or a few lines; "" if nothing failed yet. The text stays valid until
 * this thread's next failing call. Successful calls leave it as it is. Any thread. Since 0.1.
 */
HSCHED_API const char *hsched_error_detail(void);

/* ---- Log ------------------------------------------------------------------ */

typedef enum hsched_log_level {
    HSCHED_LOG_ERROR = 1,
    HSCHED_LOG_WARNING = 2,
    HSCHED_LOG_INFO = 3,
    HSCHED_LOG_DEBUG = 4
} hsched_log_level;

/* Called with no lock of the library held, from any thread; message ends without a newline and is
 * valid only during the call. It may not call functions of the library. */
typedef void (*hsched_log_callback)(void *user, hsched_log_level level, const char *message);

/*
 * Sends messages up to `level` to `callback` (NULL: to stderr). The default is stderr and
 * HSCHED_LOG_WARNING, or the level that the environment variable HSCHED_LOG names (error, warning,
 * info, debug). Process-wide. Any thread; a message under way may still reach the old callback.
 * Since 0.1.
 */
HSCHED_API void hsched_log_set(hsched_log_callback callback, void *user, hsched_log_level level);

/* ---- Tensors: types, layouts, descriptions -------------------------------- */

#define HSCHED_MAX_DIMS 8

typedef enum hsched_dtype {
    HSCHED_DTYPE_NONE = 0,
    HSCHED_FLOAT32 = 1,
    HSCHED_UINT8 = 2,
    HSCHED_INT64 = 3,
    HSCHED_INT32 = 4,
    HSCHED_BOOL = 5,
    HSCHED_FLOAT16 = 6,
    HSCHED_INT8 = 7,
    HSCHED_BFLOAT16 = 8,
    HSCHED_FLOAT64 = 9
} hsched_dtype;

/* Bytes per element (0 for unknown values), and "float32". Any thread. Since 0.1. */
HSCHED_API size_t hsched_dtype_size(hsched_dtype dtype);
HSCHED_API const char *hsched_dtype_name(hsched_dtype dtype);

/* How the elements of a tensor lie in the user's memory. The shape is logical either way. */
typedef enum hsched_layout {
    HSCHED_LAYOUT_DENSE = 0, /* row-major in the order of the logical shape (images: NCHW) */
    HSCHED_LAYOUT_NHWC = 1   /* channels last; only for tensors of four dimensions */
} hsched_layout;

/* A description that the library fills in; strings live as long as the object they came from. */
typedef struct hsched_tensor_info {
    size_t struct_size;
    const char *name;
    hsched_dtype dtype;
    hsched_layout layout;
    uint32_t rank;
    int64_t dims[HSCHED_MAX_DIMS];        /* of an output of an ONNX model there may be zeros */
    const char *symbols[HSCHED_MAX_DIMS]; /* the dimension's symbol, or NULL if it is a number */
    size_t byte_size;                     /* of the whole tensor, densely packed */
} hsched_tensor_info;
#define HSCHED_TENSOR_INFO_INIT .struct_size = sizeof(hsched_tensor_info)

typedef struct hsched_runtime hsched_runtime;
typedef struct hsched_graph hsched_graph;
typedef struct hsched_model hsched_model;
typedef struct hsched_run hsched_run;
typedef struct hsched_buffer hsched_buffer;

/* ---- Runtime -------------------------------------------------------------- */

typedef enum hsched_policy {
    HSCHED_POLICY_DEFAULT = 0,    /* the runtime's choice: PLUGIN if there is one, else COST if a
                                     GPU is open (GPU_ONLY for HSCHED_MODEL_DETERMINISTIC), else
                                     CPU_ONLY */
    HSCHED_POLICY_CPU_ONLY = 1,   /* every layer on the CPU workers */
    HSCHED_POLICY_LAYER_TYPE = 2, /* convolutions on the first accelerator, all else on the CPU
                                     (M. Kim, 2021); without an accelerator the same as CPU_ONLY */
    HSCHED_POLICY_GPU_ONLY = 3,   /* every layer that it can on the least loaded accelerator, the
                                     others on the CPU; without one the same as CPU_ONLY */
    HSCHED_POLICY_PLUGIN = 4,     /* hsched_runtime_config.policy_plugin, which must be set */
    HSCHED_POLICY_COST = 5        /* each run, section by section, where it is expected to end
                                     first: by what sections take (hsched_model_profile, or
                                     `hsched profile`, measures it; jobs correct it), what is
                                     waiting, and how slowed down each device is by other
                                     programs. A model of which that was never measured, where it
                                     may go, goes as with GPU_ONLY, and a line at INFO says so. What
                                     was measured is kept in a cache (cache_dir), so that it
                                     counts in later processes, too. Ask for GPU_ONLY where a run
                                     must not go to the CPU: its tensors lie in GPU memory, and
                                     would be copied; or hsched_run_get_event is wanted */
} hsched_policy;

/*
 * What the policy COST minimises; the other policies know one rule only, so that an objective needs
 * COST. A runtime has one, and models may have another: an application that answers a user wants
 * LATENCY for that network and ENERGY for the one that sorts pictures at night.
 */
typedef enum hsched_objective {
    HSCHED_OBJECTIVE_DEFAULT = 0,  /* a model's: the runtime's; a runtime's: MAKESPAN */
    HSCHED_OBJECTIVE_MAKESPAN = 1, /* when all that waits has ended: throughput. Runs are joined,
                                      and placed together with those that are submitted right after
                                      them: where a model's runs were followed by others lately,
                                      the first begins when hsched_run_wait, _poll or _get_event is
                                      called for any run, or after a twentieth of what it takes
                                      alone. Not runs with a deadline */
    HSCHED_OBJECTIVE_LATENCY = 2,  /* each run's own end: it is split over devices where that is
                                      sooner; it is never held back to be joined, and joined only
                                      where those that wait end sooner by it on the average */
    HSCHED_OBJECTIVE_ENERGY = 3,   /* what the run adds to the energy that is drawn until all has
                                      ended: the devices' active power for its work, their idle
                                      power for the time that it adds; of placements that meet the
                                      run's deadline, if any do. Needs the devices' watts */
    HSCHED_OBJECTIVE_POWER_CAP = 4 /* as MAKESPAN, under hsched_runtime_config.power_cap_watts;
                                      a runtime's only */
} hsched_objective;

/* "makespan", ...; "default"; never NULL. Any thread. Since 0.1. */
HSCHED_API const char *hsched_objective_name(hsched_objective objective);

/* What a device draws, for objectives that have to know. */
typedef struct hsched_device_watts {
    const char *device; /* hsched_device_info.name */
    double watts;       /* when it works: the CPU with all workers, others with any job */
    double idle_watts;  /* when it does not; at most as many */
} hsched_device_watts;

/* What float32 layers are computed with. The CPU's results are float32, from layer to layer, and
 * FP16 is as DEFAULT there. */
typedef enum hsched_math {
    HSCHED_MATH_DEFAULT = 0, /* float32 in memory; on GPUs convolutions and matrix products round
                                their operands to tf32 (10 bits of mantissa), sums in float32; on
                                the CPU convolutions may be Winograd's, whose errors are
                                about twice those of sums */
    HSCHED_MATH_STRICT = 1,  /* float32 throughout, convolutions as sums of products */
    HSCHED_MATH_FP16 = 2,    /* activations and weights in half precision, sums in float32 */
    HSCHED_MATH_BF16 = 3     /* the same in bfloat16; on the CPU convolutions and matrix products
                                may round their operands to bfloat16 (8 bits), sums in float32,
                                where that is faster: with AMX or AVX-512 BF16 (hsched info says
                                whether there is bfloat16), else as DEFAULT. Which layers do is in
                                hsched_step_info.kernel, and may differ between machines */
} hsched_math;

/* How much time goes into choosing GPU kernels by measuring them. */
typedef enum hsched_gpu_tuning {
    HSCHED_GPU_TUNING_DEFAULT = 0, /* QUICK */
    HSCHED_GPU_TUNING_NONE = 1,    /* what the cache knows, else a guess */
    HSCHED_GPU_TUNING_QUICK = 2,   /* the likeliest kernels when a model is loaded */
    HSCHED_GPU_TUNING_FULL = 3     /* and all others in the background afterwards */
} hsched_gpu_tuning;

/* How the CPU's kernel is chosen for a step that several can do (convolutions and
 * matrix products). */
typedef enum hsched_cpu_tuning {
    HSCHED_CPU_TUNING_DEFAULT = 0, /* MEASURE */
    HSCHED_CPU_TUNING_NONE = 1,    /* what the cache knows, else by rules */
    HSCHED_CPU_TUNING_MEASURE = 2  /* by timing those that can, on the loading thread, the first
                                      time that a shape is met on this machine; the cache keeps
                                      it */
} hsched_cpu_tuning;

typedef enum hsched_gpu_pool {
    HSCHED_GPU_POOL_GROWING = 0, /* GPU memory is taken as it is needed, up to the limit */
    HSCHED_GPU_POOL_FIXED = 1    /* the whole limit is taken when the runtime is created */
} hsched_gpu_pool;

/* Libraries behind the CPU's kernels, as bits. */
enum {
    HSCHED_LIBRARY_OWN = 1u << 0,      /* the project's own kernels; always on */
    HSCHED_LIBRARY_OPENBLAS = 1u << 1,
    HSCHED_LIBRARY_ONEDNN = 1u << 2,
    HSCHED_LIBRARY_XNNPACK = 1u << 3
};

/* A simulated accelerator: it computes on one host thread with the plain reference kernels and
 * makes each job last at least as long as the given speed says. For trying plans of two devices
 * on a machine that has one; never for speed. */
typedef struct hsched_sim_config {
    size_t struct_size;
    const char *name;      /* default "sim" */
    uint32_t layer_classes;/* bits of HSCHED_CLASS_...; 0 means all */
    double gflops;         /* pretended speed, 1e9 floating point operations a second; 0: no wait */
    double crossing_us;    /* pretended cost of taking a section over from another device */
    uint64_t fail_after_jobs; /* the device is lost after so many jobs (0: never); for tests */
} hsched_sim_config;
#define HSCHED_SIM_CONFIG_INIT .struct_size = sizeof(hsched_sim_config)

enum {
    HSCHED_CLASS_CONVOLUTION = 1u << 0,
    HSCHED_CLASS_MATMUL = 1u << 1, /* fully connected and matrix products */
    HSCHED_CLASS_POOLING = 1u << 2,
    HSCHED_CLASS_NORMALIZATION = 1u << 3, /* normalisations, LRN, softmax */
    HSCHED_CLASS_ELEMENTWISE = 1u << 4,   /* activations and arithmetic */
    HSCHED_CLASS_DATA = 1u << 5           /* layout, concat, slice, pad, image input, reduce */
};

typedef struct hsched_runtime_config {
    size_t struct_size;
    uint32_t cpu_workers;     /* worker threads; default: cpu_count, or else one per usable CPU */
    const int *cpus;          /* worker i is pinned to cpus[i % cpu_count]; default: worker i */
    uint32_t cpu_count;       /*   to the i-th CPU the process may use, if there are enough */
    uint32_t flags;           /* bits of HSCHED_RUNTIME_... */
    hsched_policy policy;     /* for models that set none; set here it holds for deterministic
                                 ones, too */
    uint32_t cpu_libraries;   /* bits of HSCHED_LIBRARY_...; default: all that were compiled in */
    const hsched_sim_config *sims; /* simulated accelerators */
    uint32_t sim_count;
    uint32_t ageing_us;       /* waiting so long is worth one priority level, a near deadline up
                                 to half of one; default 200000 */
    /* GPUs. Default: the first one if there is any (and its libraries), unless the policy is
     * CPU_ONLY or simulated accelerators are given; what keeps it from being used is logged at
     * INFO and told by hsched_backend_get_info. */
    const int *gpus;          /* CUDA's numbers of the GPUs to use; each must be usable */
    uint32_t gpu_count;
    uint64_t gpu_memory_limit;/* bytes of GPU memory that the library may use on each GPU for
                                 weights, activations and workspaces; default: no limit */
    hsched_gpu_pool gpu_pool; /* FIXED needs a limit */
    uint32_t gpu_sm_count;    /* confine the library to so many multiprocessors of each GPU, rounded
                                 up to what the hardware allows (hsched_device_info.sm_count tells);
                                 UNSUPPORTED before CUDA 12.4; default: all */
    hsched_cpu_tuning cpu_tuning;
    hsched_gpu_tuning gpu_tuning;
    uint32_t gpu_streams;     /* jobs at the same time on each GPU; default 8, at most 32 */
    const char *cache_dir;    /* for tuning results, costs and packed weights
                                 (HSCHED_MODEL_CACHE_WEIGHTS); default $HSCHED_CACHE_DIR, else
                                 $XDG_CACHE_HOME/hsched, else ~/.cache/hsched */
    uint32_t max_runs;        /* in flight at once: hsched_submit fails with BUSY beyond that, and
                                 nothing grows further; default 131072 */
    const struct hsched_policy_plugin *policy_plugin; /* a policy of one's own (hsched/policy.h),
                                 copied; default: none */
    uint32_t max_segment_us;  /* how long runs of lower priorities hold an accelerator: while a
                                 higher priority is in use (by runs in flight or in the last two
                                 seconds), their jobs and batches are executed in segments of at
                                 most so long, as far as sections allow, and pause in between for
                                 what is more urgent. Without different priorities nothing is ever
                                 cut. On the CPU a segment is a section. Default 500;
                                 HSCHED_NEVER: not cut at all */
    hsched_objective objective; /* of the policy COST, which must be this runtime's then: given, or
                                   the default */
    /*
     * POWER_CAP, and only then: what the devices may draw together on the average. Whatever the
     * model, a job that would go beyond it begins, alone, when what was drawn above the cap before
     * has been saved again: so the average since such a moment is above the cap by no more than
     * what one job, and those that it began beside, draw above it until they end. A best effort:
     * watts are what device_watts says or meters measure, and what other programs draw is only
     * seen by meters.
     */
    double power_cap_watts;
    const hsched_device_watts *device_watts; /* the user's word counts before what was measured */
    uint32_t device_watts_count;
} hsched_runtime_config;
#define HSCHED_NEVER UINT32_MAX
#define HSCHED_RUNTIME_CONFIG_INIT .struct_size = sizeof(hsched_runtime_config)

enum {
    HSCHED_RUNTIME_NO_PINNING = 1u << 0, /* leave the placement of workers to the system */
    HSCHED_RUNTIME_KEEP_OPENBLAS_THREADS = 1u << 1, /* do not set OpenBLAS, which has one setting
                                        per process, to one thread; our calls may then be slow */
    HSCHED_RUNTIME_REFERENCE = 1u << 2, /* CPU steps use the plain reference kernels: slow, exact */
    HSCHED_RUNTIME_NO_GPU = 1u << 3,    /* open no GPU */
    HSCHED_RUNTIME_NO_GRAPHS = 1u << 4  /* start kernels one by one, never as a CUDA graph: slow,
                                           for comparison and for tools that see no graphs */
};

/*
 * Starts the controller and the workers. Sets OpenBLAS to one thread for the whole process (see
 * HSCHED_RUNTIME_KEEP_OPENBLAS_THREADS). Several runtimes may live in one process.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, SYSTEM (a thread could not be started). Any thread.
 * Since 0.1.
 */
HSCHED_API hsched_status hsched_runtime_create(const hsched_runtime_config *config,
                                               hsched_runtime **runtime);

/*
 * Cancels what still runs, waits for it, stops all threads and frees the runtime. Models, runs and
 * buffers that the user still holds keep it alive until they are released, but new submissions
 * fail with HSCHED_ERROR_STATE. Not from a callback. Since 0.1.
 */
HSCHED_API void hsched_runtime_destroy(hsched_runtime *runtime);

typedef enum hsched_device_kind {
    HSCHED_DEVICE_CPU = 1,
    HSCHED_DEVICE_GPU = 2,
    HSCHED_DEVICE_SIM = 3
} hsched_device_kind;

typedef struct hsched_device_info {
    size_t struct_size;
    const char *name;         /* "cpu", "sim", ...; unique in the runtime */
    const char *description;  /* for people: the processor's model name */
    const char *libraries;    /* "oneDNN 2.6.3, OpenBLAS 0.3.21 (SkylakeX)" */
    hsched_device_kind kind;
    uint32_t workers;         /* jobs that run at the same time */
    uint64_t memory_bytes;
    int lost;                 /* not 0: the device failed and is out of use */
    uint32_t sm_count;        /* GPUs: multiprocessors that the runtime is confined to */
    uint32_t sm_total;        /*   and all that the GPU has */
    uint64_t memory_limit;    /* GPUs: hsched_runtime_config.gpu_memory_limit, or 0 */
} hsched_device_info;
#define HSCHED_DEVICE_INFO_INIT .struct_size = sizeof(hsched_device_info)

/* Devices of a runtime; index 0 is the CPU. Any thread. Since 0.1. */
HSCHED_API uint32_t hsched_runtime_device_count(const hsched_runtime *runtime);
HSCHED_API hsched_status hsched_runtime_device_info(const hsched_runtime *runtime, uint32_t index,
                                                    hsched_device_info *info);

typedef struct hsched_backend_info {
    size_t struct_size;
    const char *name;    /* "cpu", "cuda" */
    int available;       /* not 0: its devices can be used */
    const char *detail;  /* libraries and versions; or which library or driver is missing */
} hsched_backend_info;
#define HSCHED_BACKEND_INFO_INIT .struct_size = sizeof(hsched_backend_info)

/* Backends this library knows about, used or not. NOT_FOUND past the last. Any thread. */
HSCHED_API hsched_status hsched_backend_get_info(uint32_t index, hsched_backend_info *info);

typedef struct hsched_runtime_stats {
    size_t struct_size;
    uint64_t runs_submitted, runs_succeeded, runs_failed, runs_cancelled;
    uint64_t jobs;          /* segments executed */
    uint64_t crossings;     /* tensors handed from one device to another */
    uint64_t jobs_moved;    /* jobs done again on the CPU because their device was lost */
    uint64_t allocations;   /* heap calls made by this library's own code, in this process */
    uint64_t bytes_in_use;  /* of heap memory held by this library's own code, in this process */
    uint64_t runs_restarted;/* runs that began again on the CPU because a GPU could not go on */
    uint64_t runs_joined;   /* runs that were executed in a batch with others */
    uint64_t deadline_misses; /* runs that had not ended at their deadline; */
    uint64_t runs_dropped;    /*   those of them that ended with HSCHED_ERROR_DEADLINE */
    uint64_t invalid_placements; /* a policy's answers that were no device for the section */
    uint64_t runs_replaced; /* runs that were placed anew before they started, because a device had
                               become much slower or faster: HSCHED_POLICY_COST */
    uint64_t runs_gathered; /* runs that were placed together with others: HSCHED_POLICY_COST */
} hsched_runtime_stats;
#define HSCHED_RUNTIME_STATS_INIT .struct_size = sizeof(hsched_runtime_stats)
HSCHED_API hsched_status hsched_runtime_get_stats(const hsched_runtime *runtime,
                                                  hsched_runtime_stats *stats); /* any thread */

typedef struct hsched_device_stats {
    size_t struct_size;
    uint64_t jobs, steps;
    double busy_us;         /* summed over the device's workers */
    /* GPUs only. */
    uint64_t memory_bytes, memory_peak; /* used now, and at most so far, by this library */
    uint64_t allocations;   /* calls that took memory of the GPU or pinned memory of the host */
    uint64_t tunings;       /* steps whose kernel was chosen by timing */
    uint64_t captures;      /* CUDA graphs captured */
    uint64_t graph_launches, direct_launches; /* jobs started as a graph, and kernel by kernel */
    uint64_t evictions;     /* weights or slots given up for want of memory */
    uint64_t staged_bytes;  /* copied by the CPU because the user's memory is not mapped */
    /* All devices; for the first two see hsched_runtime_config.max_segment_us. */
    uint64_t pauses;        /* times that a job was interrupted between two segments */
    uint64_t long_segments; /* that took longer, since a section does, or others shared the device,
                               or what a job takes was not known yet */
    double load;            /* how many times as long jobs take now because of something outside, as
                               HSCHED_POLICY_COST knows it; 1: nothing is noticed, or no model of
                               that policy has told of its jobs lately */
} hsched_device_stats;
#define HSCHED_DEVICE_STATS_INIT .struct_size = sizeof(hsched_device_stats)
/* Any thread. */
HSCHED_API hsched_status hsched_runtime_get_device_stats(const hsched_runtime *runtime,
                                                         uint32_t device,
                                                         hsched_device_stats *stats);

/*
 * Waits until what the runtime does in the background (tuning kernels, capturing CUDA graphs) is
 * done. For benchmarks and tests; runs go on meanwhile and need not wait. Any thread. Since 0.1.
 */
HSCHED_API hsched_status hsched_runtime_settle(hsched_runtime *runtime);

/* ---- Traces --------------------------------------------------------------- */

/*
 * A trace shows what ran where, and when: a file in the JSON trace event format, which
 * https://ui.perfetto.dev and chrome://tracing open. It has
 *
 *     a track for each CPU worker       jobs as slices, with the steps inside by name, and the
 *                                       parts of a step that several workers share
 *     a track for each lane of a GPU    jobs from their submission until their end is noticed, and
 *                                       how many runs were joined
 *     a track for each model            its runs from submission to end: status, priority, deadline
 *     arrows                            from each job to those that use what it has made
 *     counters                          queued jobs and load of each device, active runs
 *     instants                          cancels, missed deadlines, restarted runs, moved jobs, runs
 *                                       placed anew, lost devices
 *
 * Memory is taken when a trace starts, and nothing is allocated until it stops: each worker has
 * room for events_per_thread events (of 56 bytes), and all that is not of one worker (runs,
 * counters, instants, jobs of GPUs) shares as much room once more. What comes when that is full is
 * dropped and counted. A run of a model takes about one event for each step and three for each job.
 */
typedef struct hsched_trace_config {
    size_t struct_size;
    const char *path;           /* of the file, which is written over; required */
    uint32_t events_per_thread; /* default 65536 */
} hsched_trace_config;
#define HSCHED_TRACE_CONFIG_INIT .struct_size = sizeof(hsched_trace_config)

typedef struct hsched_trace_stats {
    size_t struct_size;
    uint64_t events;  /* recorded; they are in the file */
    uint64_t dropped; /* for which there was no room; the file says how many, too */
} hsched_trace_stats;
#define HSCHED_TRACE_STATS_INIT .struct_size = sizeof(hsched_trace_stats)

/*
 * Starts a trace of all that the runtime does. Runs that are in flight are in it from now on. A
 * runtime has one trace at a time; hsched_runtime_destroy stops it.
 * Errors, all of which leave everything as it was: INVALID_ARGUMENT, STATE (there is a trace
 * already), IO (the file cannot be opened; the detail says why), OUT_OF_MEMORY. Any thread.
 * Since 0.1.
 */
HSCHED_API hsched_status hsched_trace_start(hsched_runtime *runtime,
                                            const hsched_trace_config *config);
/*
 * Stops the trace and writes the file; `stats` may be NULL. Waits for the sections that CPU
 * workers are executing, not for runs: those in flight go on, and are in the file up to now.
 * Errors: STATE (there is no trace, or another thread is stopping it), IO and OUT_OF_MEMORY (the
 * file is not complete); the trace has ended all the same. Any thread, also from a callback.
 * Since 0.1.
 */
HSCHED_API hsched_status hsched_trace_stop(hsched_runtime *runtime, hsched_trace_stats *stats);

/* ---- Zero-copy buffers ---------------------------------------------------- */

/*
 * Memory that every device of the runtime can use in place: `size` bytes, aligned to 64, not
 * initialised. What a device cannot give so (it is lost, or there is no memory to lock) is plain
 * memory, copied for it. Reference-counted: create gives one reference. OUT_OF_MEMORY. Any thread.
 * Since 0.1.
 */
HSCHED_API hsched_status hsched_buffer_create(hsched_runtime *runtime, size_t size,
                                              hsched_buffer **buffer);
/*
 * The user's own memory as a buffer, without a copy. `data` must be aligned to its element type and
 * stay valid until `released` (may be NULL) was called with `user`, which happens once, on any
 * thread, when the last reference is gone. On failure `released` is not called. Where there is
 * a GPU the memory is registered with it, so that it is used in place there too; where that is
 * refused the library copies, which hsched_device_stats counts.
 */
HSCHED_API hsched_status hsched_buffer_wrap(hsched_runtime *runtime, void *data, size_t size,
                                            void (*released)(void *user, void *data), void *user,
                                            hsched_buffer **buffer);
/*
 * Memory that is known by a file descriptor as a buffer, without a copy: a dma-buf (what V4L2, DRM
 * and NvBufSurface export), a memfd or POSIX shared memory of this or another process, a file.
 * `size` bytes from `offset`, which need not be a multiple of the page size, are mapped shared:
 * what others write there is seen, and what runs write others see. The descriptor may be closed
 * afterwards. Runs that the buffer is bound to, and those that read their outputs, hold it until
 * they are released, so the caller may release it at any time; the memory is unmapped when the last
 * reference is gone. A file must not be made shorter before (seal a memfd with F_SEAL_SHRINK).
 * GPUs use the memory in place where their driver takes it, as for hsched_buffer_wrap, else copies
 * of it; the driver may refuse memory that is mapped for reading only.
 *
 * Without write access (a descriptor opened with O_RDONLY, a memfd sealed against writing, or
 * HSCHED_IMPORT_READ_ONLY) the buffer can only be an input: binding it as an output fails with
 * INVALID_ARGUMENT, and the application must not write to it either.
 *
 * Dma-bufs: a run begins its accesses (DMA_BUF_IOCTL_SYNC) in hsched_submit, which waits for the
 * fences that devices have attached to the buffer, and ends them before anybody can see that it has
 * ended; for inputs as reading, for outputs as reading and writing. What devices write to a buffer
 * must be written, or fenced, when the run is submitted; no device may write to any part of it
 * while a run that writes to it is in flight. What several runs write at the same time to one
 * dma-buf is for devices to see when the last of them has ended. A dma-buf is imported once, as a
 * whole, and bound at offsets: accesses by way of several imports do not know of each other.
 *
 * Errors: INVALID_ARGUMENT (no open descriptor, one that does not allow reading, beyond the end of
 * the file), UNSUPPORTED (it cannot be mapped), OUT_OF_MEMORY, SYSTEM. Any thread. Since 0.1.
 */
HSCHED_API hsched_status hsched_buffer_import_fd(hsched_runtime *runtime, int fd, uint64_t offset,
                                                 size_t size, uint32_t flags,
                                                 hsched_buffer **buffer);
enum {
    HSCHED_IMPORT_READ_ONLY = 1u << 0 /* map for reading only, whatever the descriptor allows */
};
/*
 * Memory of device `device` itself, which the CPU cannot address: hsched_buffer_map fails with
 * UNSUPPORTED. Bound to runs on that device it is used in place; bound to others the library
 * copies. UNSUPPORTED: the device has no memory of its own (use hsched_buffer_create). Any
 * thread. Since 0.1.
 */
HSCHED_API hsched_status hsched_buffer_create_on(hsched_runtime *runtime, uint32_t device,
                                                 size_t size, hsched_buffer **buffer);
/*
 * The user's own memory on device `device` as such a buffer: a CUdeviceptr (or what cudaMalloc
 * gave) of at least `size` bytes on that GPU. `released` as for hsched_buffer_wrap. Since 0.1.
 */
HSCHED_API hsched_status hsched_buffer_wrap_on(hsched_runtime *runtime, uint32_t device,
                                               uintptr_t address, size_t size,
                                               void (*released)(void *user, void *data),
                                               void *user, hsched_buffer **buffer);
/* The address in the device's memory of a buffer made by the two above; else 0. Since 0.1. */
HSCHED_API uintptr_t hsched_buffer_device_address(const hsched_buffer *buffer);
HSCHED_API hsched_buffer *hsched_buffer_retain(hsched_buffer *buffer);
HSCHED_API void hsched_buffer_release(hsched_buffer *buffer);
HSCHED_API size_t hsched_buffer_size(const hsched_buffer *buffer);
/*
 * The buffer's address for the CPU. Memory is coherent: there is no unmap, and what a finished run
 * wrote is visible to every thread that waited for that run. The caller keeps runs and its own
 * accesses apart. An imported dma-buf is accessed between the two calls below. Any thread.
 */
HSCHED_API hsched_status hsched_buffer_map(hsched_buffer *buffer, void **data);
/*
 * What the application itself reads or writes in a dma-buf, by the address that hsched_buffer_map
 * gives, lies between these two, with the same bits of HSCHED_ACCESS_...; runs do so by themselves.
 * Begin waits for fences. Any number of threads may be in between, beside runs; the rules of
 * hsched_buffer_import_fd hold for them as for runs. Both do nothing for all other buffers, so that
 * a program need not know which it has. Errors: INVALID_ARGUMENT (WRITE without write access
 * included), STATE (end of what was not begun), SYSTEM. Any thread. Since 0.1.
 */
HSCHED_API hsched_status hsched_buffer_begin_access(hsched_buffer *buffer, uint32_t access);
HSCHED_API hsched_status hsched_buffer_end_access(hsched_buffer *buffer, uint32_t access);
enum {
    HSCHED_ACCESS_READ = 1u << 0,
    HSCHED_ACCESS_WRITE = 1u << 1
};

/* ---- Graphs: networks built layer by layer -------------------------------- */

/*
 * A tensor of a graph. Functions that add a layer append it and give its output. A layer's name
 * must be unique in the graph and becomes its output tensor's name; NULL makes one up.
 * Errors of all hsched_graph_add_...: INVALID_ARGUMENT, SHAPE (the detail names the layer, the
 * tensors with their shapes and what did not fit), STATE (the graph is frozen), OUT_OF_MEMORY,
 * LIMIT; a failed call leaves the graph unchanged.
 */
typedef uint32_t hsched_tensor;
#define HSCHED_NO_TENSOR UINT32_MAX

HSCHED_API hsched_status hsched_graph_create(const char *name, hsched_graph **graph);
HSCHED_API void hsched_graph_destroy(hsched_graph *graph);

/*
 * Declares the symbol `name` (or changes its value) and gives a code to be used wherever a
 * dimension is asked for. `value` >= 1 is what shapes are inferred with until
 * hsched_model_config.symbols gives another; the whole graph is then inferred and checked again.
 */
HSCHED_API hsched_status hsched_graph_set_symbol(hsched_graph *graph, const char *name,
                                                 int64_t value, int64_t *dim);

/* An input of the network: logical `dims`, each >= 1 or a symbol's code. */
HSCHED_API hsched_status hsched_graph_add_input(hsched_graph *graph, const char *name,
                                                hsched_dtype dtype, uint32_t rank,
                                                const int64_t *dims, hsched_tensor *tensor);

typedef enum hsched_data_ownership {
    HSCHED_DATA_COPY = 0,   /* the graph keeps a copy */
    HSCHED_DATA_BORROW = 1  /* the memory stays valid and unchanged until the graph is destroyed */
} hsched_data_ownership;

/* A constant (weights, bias, ...): densely packed data of exactly the tensor's size. */
HSCHED_API hsched_status hsched_graph_add_constant(hsched_graph *graph, const char *name,
                                                   hsched_dtype dtype, uint32_t rank,
                                                   const int64_t *dims, const void *data,
                                                   size_t size, hsched_data_ownership ownership,
                                                   hsched_tensor *tensor);

/* Marks a tensor as an output of the network; outputs are numbered in the order of the calls. */
HSCHED_API hsched_status hsched_graph_add_output(hsched_graph *graph, hsched_tensor tensor);

/*
 * Element types. Layers that do arithmetic compute on float32 unless they say otherwise, and those
 * that only move elements take any type. Where float32 is said below, float16 and bfloat16 are
 * taken, too: all such inputs of a layer are then of the same type, which is the output's as well.
 * They are the types of tensors outside: inside, everything is computed in float32 (by GPUs as
 * hsched_math says) and not rounded from layer to layer, but by a cast to a narrow type; inputs,
 * outputs and constants are converted. float64 is computed in float64, by the layers that name it
 * and never in less, on the CPU (a GPU moves and casts it); others refuse it. It has the parameters
 * that are numbers, as those of activations are, as floats.
 */

/* Spatial parameters are {height, width}; pads are {top, left, bottom, right}. */
typedef enum hsched_auto_pad {
    HSCHED_PAD_EXPLICIT = 0,
    HSCHED_PAD_SAME_UPPER = 1, /* output = ceil(input / stride), the odd pixel at the end */
    HSCHED_PAD_SAME_LOWER = 2, /* the same, the odd pixel at the start */
    HSCHED_PAD_VALID = 3
} hsched_auto_pad;

typedef struct hsched_conv2d_config {
    size_t struct_size;
    int64_t strides[2];   /* default 1 */
    int64_t pads[4];
    int64_t dilations[2]; /* default 1 */
    int64_t groups;       /* default 1; groups == C is a depthwise convolution */
    hsched_auto_pad auto_pad;
} hsched_conv2d_config;
#define HSCHED_CONV2D_CONFIG_INIT .struct_size = sizeof(hsched_conv2d_config)

/* x [N,C,H,W], weights [O,C/groups,kh,kw], bias [O] or HSCHED_NO_TENSOR -> [N,O,H',W'].
 * Weights and bias that are not constants are as right, but slower: they cannot be packed. */
HSCHED_API hsched_status hsched_graph_add_conv2d(hsched_graph *graph, const char *name,
                                                 hsched_tensor x, hsched_tensor weights,
                                                 hsched_tensor bias,
                                                 const hsched_conv2d_config *config,
                                                 hsched_tensor *y);

/* Convolutions of images of k = 1, 2 or 3 spatial dimensions, x [N,C,D1..Dk]. Numbers are those of
 * the dimensions in order, of which the first k count; pads are k before, then k behind. */
typedef struct hsched_conv_config {
    size_t struct_size;
    int64_t strides[3];   /* default 1 */
    int64_t pads[6];
    int64_t dilations[3]; /* default 1 */
    int64_t groups;       /* default 1 */
    hsched_auto_pad auto_pad;
} hsched_conv_config;
#define HSCHED_CONV_CONFIG_INIT .struct_size = sizeof(hsched_conv_config)

/* weights [O,C/groups,k1..kk], bias [O] or HSCHED_NO_TENSOR -> [N,O,D1'..Dk']. Weights and bias
 * as above. For k = 2 the layer is that of hsched_graph_add_conv2d. */
HSCHED_API hsched_status hsched_graph_add_conv(hsched_graph *graph, const char *name,
                                               hsched_tensor x, hsched_tensor weights,
                                               hsched_tensor bias,
                                               const hsched_conv_config *config, hsched_tensor *y);

typedef struct hsched_conv_transpose_config {
    size_t struct_size;
    int64_t strides[3];        /* default 1 */
    int64_t pads[6];           /* what is cut off the result: k before, then k behind */
    int64_t dilations[3];      /* default 1 */
    int64_t output_padding[3]; /* what the result is longer at its end */
    int64_t output_sizes[3];   /* D1'..Dk': the pads follow from them; or 0 */
    int64_t groups;            /* default 1 */
    hsched_auto_pad auto_pad;  /* SAME: the result has stride times the size of x. It also says
                                  where the odd element of pads that follow from sizes is cut
                                  off: at the end for SAME_UPPER, else at the start */
} hsched_conv_transpose_config;
#define HSCHED_CONV_TRANSPOSE_CONFIG_INIT .struct_size = sizeof(hsched_conv_transpose_config)

/* Transposed convolution ("deconvolution"): every element of x [N,C,D1..Dk], k = 1 to 3, adds the
 * kernel times itself to the result, at its place times the stride. Weights
 * [C,O/groups,k1..kk], bias [O] or HSCHED_NO_TENSOR -> [N,O,D1'..Dk'], where
 * D' = (D - 1) * stride + output_padding + (kernel - 1) * dilation + 1 - pads. */
HSCHED_API hsched_status hsched_graph_add_conv_transpose(hsched_graph *graph, const char *name,
                                                         hsched_tensor x, hsched_tensor weights,
                                                         hsched_tensor bias,
                                                         const hsched_conv_transpose_config *config,
                                                         hsched_tensor *y);

/* x [M,...] flattened to [M,K], constant weights [O,K], constant bias [O] or HSCHED_NO_TENSOR
 * -> [M,O] = x * weights^T + bias. All float32 or float64. */
HSCHED_API hsched_status hsched_graph_add_fully_connected(hsched_graph *graph, const char *name,
                                                          hsched_tensor x, hsched_tensor weights,
                                                          hsched_tensor bias, hsched_tensor *y);

/* a [...,M,K], b [...,K,N] -> [...,M,N]; leading dimensions broadcast; as numpy.matmul, operands of
 * one dimension included. Both float32 or float64. */
HSCHED_API hsched_status hsched_graph_add_matmul(hsched_graph *graph, const char *name,
                                                 hsched_tensor a, hsched_tensor b,
                                                 hsched_tensor *y);

typedef enum hsched_pool_kind {
    HSCHED_POOL_MAX = 1,
    HSCHED_POOL_AVERAGE = 2
} hsched_pool_kind;

typedef struct hsched_pool2d_config {
    size_t struct_size;
    int64_t kernel[2];    /* required */
    int64_t strides[2];   /* default 1 */
    int64_t pads[4];
    int64_t dilations[2]; /* default 1 */
    hsched_auto_pad auto_pad;
    int ceil_mode;         /* the output size is rounded up; no window starts past the input and its
                              leading padding */
    int count_include_pad; /* averages divide by all pixels of the window that lie in the input or
                              its padding, not only those in the input */
} hsched_pool2d_config;
#define HSCHED_POOL2D_CONFIG_INIT .struct_size = sizeof(hsched_pool2d_config)

/* x [N,C,H,W] -> [N,C,H',W']. */
HSCHED_API hsched_status hsched_graph_add_pool2d(hsched_graph *graph, const char *name,
                                                 hsched_pool_kind kind, hsched_tensor x,
                                                 const hsched_pool2d_config *config,
                                                 hsched_tensor *y);
/* Pooling of images of k = 1, 2 or 3 spatial dimensions; the numbers as in hsched_conv_config. */
typedef struct hsched_pool_config {
    size_t struct_size;
    int64_t kernel[3];    /* required */
    int64_t strides[3];   /* default 1 */
    int64_t pads[6];
    int64_t dilations[3]; /* default 1 */
    hsched_auto_pad auto_pad;
    int ceil_mode;         /* as in hsched_pool2d_config */
    int count_include_pad; /* likewise */
} hsched_pool_config;
#define HSCHED_POOL_CONFIG_INIT .struct_size = sizeof(hsched_pool_config)

/* x [N,C,D1..Dk] -> [N,C,D1'..Dk']. For k = 2 the layer is that of hsched_graph_add_pool2d. */
HSCHED_API hsched_status hsched_graph_add_pool(hsched_graph *graph, const char *name,
                                               hsched_pool_kind kind, hsched_tensor x,
                                               const hsched_pool_config *config,
                                               hsched_tensor *y);
/* Where the elements that hsched_graph_add_pool gives with HSCHED_POOL_MAX come from: int64
 * [N,C,D1'..Dk'], of equal ones the first. All elements of x are counted as they lie or, with
 * `column_major`, those of an image's channel so that the first of its dimensions changes fastest.
 * hsched_graph_add_scatter_elements puts elements back to such places of a flattened tensor. */
HSCHED_API hsched_status hsched_graph_add_max_pool_indices(hsched_graph *graph, const char *name,
                                                           hsched_tensor x,
                                                           const hsched_pool_config *config,
                                                           int column_major, hsched_tensor *y);
/* x [N,C,D1..Dk], k >= 1 -> [N,C,1..1]. */
HSCHED_API hsched_status hsched_graph_add_global_pool(hsched_graph *graph, const char *name,
                                                      hsched_pool_kind kind, hsched_tensor x,
                                                      hsched_tensor *y);

/* x [N,C,...], constants scale, shift, mean, variance [C] each:
 * y = (x - mean) / sqrt(variance + epsilon) * scale + shift. */
HSCHED_API hsched_status hsched_graph_add_batch_norm(hsched_graph *graph, const char *name,
                                                     hsched_tensor x, hsched_tensor scale,
                                                     hsched_tensor shift, hsched_tensor mean,
                                                     hsched_tensor variance, float epsilon,
                                                     hsched_tensor *y);

/* Normalisations by statistics of x itself: y = (x - mean) / sqrt(variance + epsilon) * scale +
 * bias; x and y of one shape, float32 or float64; epsilon not negative; scale and bias of that
 * type, constants or not, HSCHED_NO_TENSOR where absent. Precise for means far from 0, too.
 *
 * Over the dimensions of x from `axis` on (negative: from the end), for each index of those before:
 * scale and bias broadcast to x and do not enlarge it, as those of these dimensions' shape do. */
HSCHED_API hsched_status hsched_graph_add_layer_norm(hsched_graph *graph, const char *name,
                                                     hsched_tensor x, hsched_tensor scale,
                                                     hsched_tensor bias, int axis, float epsilon,
                                                     hsched_tensor *y);
/* The same with the mean of the squares for the variance, and nothing taken away:
 * y = x / sqrt(mean(x * x) + epsilon) * scale + bias. */
HSCHED_API hsched_status hsched_graph_add_rms_norm(hsched_graph *graph, const char *name,
                                                   hsched_tensor x, hsched_tensor scale,
                                                   hsched_tensor bias, int axis, float epsilon,
                                                   hsched_tensor *y);
/* x [N,C,...], scale and bias [C]: each channel of each of the N by itself. */
HSCHED_API hsched_status hsched_graph_add_instance_norm(hsched_graph *graph, const char *name,
                                                        hsched_tensor x, hsched_tensor scale,
                                                        hsched_tensor bias, float epsilon,
                                                        hsched_tensor *y);
/* The same for `groups` groups of as many neighbouring channels; groups divides C. */
HSCHED_API hsched_status hsched_graph_add_group_norm(hsched_graph *graph, const char *name,
                                                     hsched_tensor x, int64_t groups,
                                                     hsched_tensor scale, hsched_tensor bias,
                                                     float epsilon, hsched_tensor *y);

typedef struct hsched_lrn_config {
    size_t struct_size;
    int64_t size;  /* channels in the window, required */
    float alpha;   /* default 1e-4; divided by size, as in ONNX */
    float beta;    /* default 0.75 */
    float bias;    /* default 1 */
} hsched_lrn_config;
#define HSCHED_LRN_CONFIG_INIT .struct_size = sizeof(hsched_lrn_config)

/* Local response normalization across channels; x [N,C,...]. */
HSCHED_API hsched_status hsched_graph_add_lrn(hsched_graph *graph, const char *name,
                                              hsched_tensor x, const hsched_lrn_config *config,
                                              hsched_tensor *y);

/* Along one axis (negative: from the end), of float32 or float64. */
HSCHED_API hsched_status hsched_graph_add_softmax(hsched_graph *graph, const char *name,
                                                  hsched_tensor x, int axis, hsched_tensor *y);
/* The softmax's logarithm, which keeps its digits where the softmax is next to 0. */
HSCHED_API hsched_status hsched_graph_add_log_softmax(hsched_graph *graph, const char *name,
                                                      hsched_tensor x, int axis, hsched_tensor *y);

/* X(NAME, value, "name", formula). a and b are the activation's parameters. */
#define HSCHED_ACTIVATION_LIST(X)                                                              \
    X(NONE, 0, "none", "x")                                                                    \
    X(RELU, 1, "relu", "max(x, 0)")                                                            \
    X(LEAKY_RELU, 2, "leaky_relu", "x < 0 ? a*x : x")                                          \
    X(CLIP, 3, "clip", "min(max(x, a), b); ReLU6 is a = 0, b = 6")                             \
    X(SIGMOID, 4, "sigmoid", "1 / (1 + exp(-x))")                                              \
    X(TANH, 5, "tanh", "tanh(x)")                                                              \
    X(HARD_SIGMOID, 6, "hard_sigmoid", "min(max(a*x + b, 0), 1)")                              \
    X(HARD_SWISH, 7, "hard_swish", "x * min(max(x/6 + 0.5, 0), 1)")                            \
    X(ELU, 8, "elu", "x < 0 ? a*(exp(x)-1) : x")                                               \
    X(SELU, 9, "selu", "b * (x < 0 ? a*(exp(x)-1) : x)")                                       \
    X(GELU, 10, "gelu", "0.5*x*(1 + erf(x/sqrt(2)))")                                          \
    X(SILU, 11, "silu", "x / (1 + exp(-x))")                                                   \
    X(SOFTPLUS, 12, "softplus", "log(1 + exp(x))")                                             \
    X(SOFTSIGN, 13, "softsign", "x / (1 + |x|)")                                               \
    X(MISH, 14, "mish", "x * tanh(softplus(x))")                                               \
    X(ABS, 15, "abs", "|x|")                                                                   \
    X(NEG, 16, "neg", "-x")                                                                    \
    X(EXP, 17, "exp", "exp(x)")                                                                \
    X(LOG, 18, "log", "log(x)")                                                                \
    X(SQRT, 19, "sqrt", "sqrt(x)")                                                             \
    X(RECIPROCAL, 20, "reciprocal", "1/x")                                                     \
    X(ERF, 21, "erf", "erf(x)")                                                                \
    X(FLOOR, 22, "floor", "floor(x)")                                                          \
    X(CEIL, 23, "ceil", "ceil(x)")                                                             \
    X(GELU_TANH, 24, "gelu_tanh", "0.5*x*(1 + tanh(sqrt(2/pi)*(x + 0.044715*x^3)))")           \
    X(THRESHOLDED_RELU, 25, "thresholded_relu", "x > a ? x : 0")                               \
    X(ROUND, 26, "round", "the nearest integer, of two the even one")                          \
    X(SIGN, 27, "sign", "-1, 0 or 1")                                                          \
    X(SIN, 28, "sin", "sin(x)")                                                                \
    X(COS, 29, "cos", "cos(x)")                                                                \
    X(TAN, 30, "tan", "tan(x)")                                                                \
    X(ASIN, 31, "asin", "asin(x)")                                                             \
    X(ACOS, 32, "acos", "acos(x)")                                                             \
    X(ATAN, 33, "atan", "atan(x)")                                                             \
    X(SINH, 34, "sinh", "sinh(x)")                                                             \
    X(COSH, 35, "cosh", "cosh(x)")                                                             \
    X(ASINH, 36, "asinh", "asinh(x)")                                                          \
    X(ACOSH, 37, "acosh", "acosh(x)")                                                          \
    X(ATANH, 38, "atanh", "atanh(x)")                                                          \
    X(FAKE_QUANTIZE, 39, "fake_quantize", "a * min(max(round(x/a), b), b + 255), b whole")

typedef enum hsched_activation_kind {
#define HSCHED_ACTIVATION_ENUM(name, value, text, formula) HSCHED_ACTIVATION_##name = value,
    HSCHED_ACTIVATION_LIST(HSCHED_ACTIVATION_ENUM)
#undef HSCHED_ACTIVATION_ENUM
        HSCHED_ACTIVATION_FORCE_INT32 = 0x7fffffff
} hsched_activation_kind;

typedef struct hsched_activation {
    hsched_activation_kind kind;
    float a, b; /* parameters as in the list; those that a kind does not name are ignored */
} hsched_activation;

HSCHED_API const char *hsched_activation_name(hsched_activation_kind kind); /* "relu"; any thread */

/* Of float32 and float64; NONE, RELU, ABS, NEG and SIGN also of int64, int32, int8 and uint8, where
 * the negative of the least integer is itself. FAKE_QUANTIZE, of float32 alone, gives what is left
 * of x in 8 bits: a is the size of a step (positive), b the lowest level less the zero point,
 * -65536 to 65536. */
HSCHED_API hsched_status hsched_graph_add_activation(hsched_graph *graph, const char *name,
                                                     hsched_tensor x, hsched_activation activation,
                                                     hsched_tensor *y);

typedef enum hsched_binary_kind {
    HSCHED_BINARY_ADD = 1,
    HSCHED_BINARY_SUB = 2,
    HSCHED_BINARY_MUL = 3,
    HSCHED_BINARY_DIV = 4,
    HSCHED_BINARY_MIN = 5,
    HSCHED_BINARY_MAX = 6,
    HSCHED_BINARY_POW = 7,
    HSCHED_BINARY_PRELU = 8, /* a < 0 ? a*b : a; b broadcasts to a only */
    HSCHED_BINARY_MOD = 9,   /* the remainder that has the divisor's sign */
    HSCHED_BINARY_FMOD = 10, /* the remainder that has the dividend's sign */
    HSCHED_BINARY_EQUAL = 11, /* these five give bool */
    HSCHED_BINARY_GREATER = 12,
    HSCHED_BINARY_GREATER_OR_EQUAL = 13,
    HSCHED_BINARY_LESS = 14,
    HSCHED_BINARY_LESS_OR_EQUAL = 15,
    HSCHED_BINARY_AND = 16, /* these three of bool; anything but 0 is true */
    HSCHED_BINARY_OR = 17,
    HSCHED_BINARY_XOR = 18,
    HSCHED_BINARY_BIT_AND = 19, /* and these of integers */
    HSCHED_BINARY_BIT_OR = 20,
    HSCHED_BINARY_BIT_XOR = 21,
    HSCHED_BINARY_SHIFT_LEFT = 22, /* by as many bits as there are or more, or by a negative */
    HSCHED_BINARY_SHIFT_RIGHT = 23 /*   number: all of them; right: the sign is kept */
} hsched_binary_kind;

/*
 * Element by element; shapes broadcast as in numpy. Both operands are of one type: float32,
 * float64, or int64, int32, int8, uint8, but for PRELU; EQUAL also takes bool. Results that an
 * integer type does not hold wrap around. On integers DIV drops the fraction; DIV, MOD and FMOD by
 * 0 give 0; POW with a negative exponent is 1 / x^n without its fraction, and 0 for x = 0.
 */
HSCHED_API hsched_status hsched_graph_add_binary(hsched_graph *graph, const char *name,
                                                 hsched_binary_kind kind, hsched_tensor a,
                                                 hsched_tensor b, hsched_tensor *y);

typedef enum hsched_recurrent_kind {
    HSCHED_RECURRENT_RNN = 1,
    HSCHED_RECURRENT_LSTM = 2,
    HSCHED_RECURRENT_GRU = 3
} hsched_recurrent_kind;

typedef enum hsched_recurrent_direction {
    HSCHED_RECURRENT_FORWARD = 0,
    HSCHED_RECURRENT_REVERSE = 1,      /* from a sequence's end to its start */
    HSCHED_RECURRENT_BIDIRECTIONAL = 2 /* forward, then reverse, along the dimension D */
} hsched_recurrent_direction;

typedef struct hsched_recurrent_config {
    size_t struct_size;
    hsched_recurrent_kind kind; /* required */
    hsched_recurrent_direction direction;
    int64_t hidden_size;     /* H; 0: what the recurrent weights say */
    float clip;              /* what goes into the gates' activations is kept in -clip..clip; 0: it
                                is not */
    int linear_before_reset; /* GRU: the reset gate is applied after the recurrent product */
    int input_forget;        /* LSTM: the forget gate is 1 - the input gate */
    /* Per direction f (RNN), f, g (GRU) or f, g, h (LSTM), as ONNX calls them; NONE is the default:
     * tanh; sigmoid, tanh; sigmoid, tanh, tanh. */
    hsched_activation activations[2][3];
} hsched_recurrent_config;
#define HSCHED_RECURRENT_CONFIG_INIT .struct_size = sizeof(hsched_recurrent_config)

/*
 * A recurrent network over sequences: as ONNX's RNN, LSTM and GRU, without peepholes. G is 1, 4 and
 * 3 gates, in ONNX's order (LSTM: input, output, forget, cell; GRU: update, reset, hidden); D is 1
 * or, bidirectional, 2. x [T,N,I]; constants weights [D,G*H,I], recurrent_weights [D,G*H,H] and
 * bias [D,2*G*H] (that of the input products, then that of the recurrent ones) or HSCHED_NO_TENSOR;
 * lengths int32 [N], how many of the T rows of a sequence count, or HSCHED_NO_TENSOR; initial_h and
 * (LSTM) initial_c [D,N,H], or HSCHED_NO_TENSOR for 0. All floats are float32.
 *
 * y [T,D,N,H]: the hidden states, 0 beyond a sequence's length. y_h [D,N,H]: the last one of each
 * sequence. y_c (LSTM only) [D,N,H]: the last cell state. Each may be NULL where it is not wanted.
 * They are views of the layer's own output [T+1,D,N,H] (LSTM: [T+2,D,N,H]): y, then y_h and y_c as
 * further rows.
 */
HSCHED_API hsched_status hsched_graph_add_recurrent(
    hsched_graph *graph, const char *name, hsched_tensor x, hsched_tensor weights,
    hsched_tensor recurrent_weights, hsched_tensor bias, hsched_tensor lengths,
    hsched_tensor initial_h, hsched_tensor initial_c, const hsched_recurrent_config *config,
    hsched_tensor *y, hsched_tensor *y_h, hsched_tensor *y_c);

/*
 * Every element as `dtype`: float32, float16, bfloat16, float64, int64, int32, int8, uint8 or bool,
 * from any of them. To bool: what is not 0 is true. Floats to integers: the fraction is dropped;
 * what is out of range becomes the nearest that the type holds, and not-a-number 0. Integers to
 * narrower ones keep their low bits. To floats: rounded to the nearest, of two the even one.
 */
HSCHED_API hsched_status hsched_graph_add_cast(hsched_graph *graph, const char *name,
                                               hsched_tensor x, hsched_dtype dtype,
                                               hsched_tensor *y);

/* condition ? a : b, element by element; `condition` is bool, a and b are of one type, any; all
 * three broadcast as in numpy. */
HSCHED_API hsched_status hsched_graph_add_where(hsched_graph *graph, const char *name,
                                                hsched_tensor condition, hsched_tensor a,
                                                hsched_tensor b, hsched_tensor *y);

/* Joins `count` >= 1 tensors along `axis`; the other dimensions agree. */
HSCHED_API hsched_status hsched_graph_add_concat(hsched_graph *graph, const char *name,
                                                 const hsched_tensor *inputs, uint32_t count,
                                                 int axis, hsched_tensor *y);

/* x cut along `axis` (negative: from the end) into `count` parts of these sizes, which fill it, or,
 * with sizes NULL, equal ones. As slices named "<name>/0", "<name>/1" ...; parts takes `count`
 * tensors. Any type. */
HSCHED_API hsched_status hsched_graph_add_split(hsched_graph *graph, const char *name,
                                                hsched_tensor x, int axis, uint32_t count,
                                                const int64_t *sizes, hsched_tensor *parts);

/* For k < count: along axes[k] (NULL: axis k) from starts[k] to before ends[k] in steps[k]
 * (NULL: 1; not 0). Negative positions count from the end, all are clamped, as in ONNX. */
HSCHED_API hsched_status hsched_graph_add_slice(hsched_graph *graph, const char *name,
                                                hsched_tensor x, uint32_t count,
                                                const int64_t *starts, const int64_t *ends,
                                                const int64_t *axes, const int64_t *steps,
                                                hsched_tensor *y);

typedef enum hsched_pad_mode {
    HSCHED_PAD_MODE_CONSTANT = 0,
    HSCHED_PAD_MODE_REFLECT = 1,
    HSCHED_PAD_MODE_EDGE = 2
} hsched_pad_mode;

/* before and after: one count per dimension of x, not negative. Of float64, too, the value is one
 * that a float holds. */
HSCHED_API hsched_status hsched_graph_add_pad(hsched_graph *graph, const char *name,
                                              hsched_tensor x, const int64_t *before,
                                              const int64_t *after, hsched_pad_mode mode,
                                              float value, hsched_tensor *y);

/* dims: sizes or symbol codes; 0 copies the dimension of x at that place; one may be
 * HSCHED_DIM_INFER. */
#define HSCHED_DIM_INFER (-1)
HSCHED_API hsched_status hsched_graph_add_reshape(hsched_graph *graph, const char *name,
                                                  hsched_tensor x, uint32_t rank,
                                                  const int64_t *dims, hsched_tensor *y);
/* x repeated to the shape that it and `dims` (sizes or symbol codes) broadcast to, as in numpy; any
 * type. */
HSCHED_API hsched_status hsched_graph_add_expand(hsched_graph *graph, const char *name,
                                                 hsched_tensor x, uint32_t rank,
                                                 const int64_t *dims, hsched_tensor *y);
/* x behind itself repeats[k] >= 1 times along each dimension k; any type. */
HSCHED_API hsched_status hsched_graph_add_tile(hsched_graph *graph, const char *name,
                                               hsched_tensor x, const int64_t *repeats,
                                               hsched_tensor *y);

/* Where a block's pixels lie among the channels. */
typedef enum hsched_block_order {
    HSCHED_BLOCK_ORDER_DCR = 0, /* [block][block][C]: as TensorFlow and, by default, ONNX */
    HSCHED_BLOCK_ORDER_CRD = 1  /* [C][block][block]: as PyTorch's PixelShuffle */
} hsched_block_order;

/* Channels to blocks of pixels: x [N,C*block*block,H,W], y [N,C,H*block,W*block]; any type. */
HSCHED_API hsched_status hsched_graph_add_depth_to_space(hsched_graph *graph, const char *name,
                                                         hsched_tensor x, int64_t block,
                                                         hsched_block_order order,
                                                         hsched_tensor *y);
/* And back: x [N,C,H*block,W*block], y [N,C*block*block,H,W]. */
HSCHED_API hsched_status hsched_graph_add_space_to_depth(hsched_graph *graph, const char *name,
                                                         hsched_tensor x, int64_t block,
                                                         hsched_block_order order,
                                                         hsched_tensor *y);
/* `dtype` 1 at the place that each index names along a new dimension `axis` of y (negative: from
 * the end) of size `depth`, else 0. indices is int64 or int32; a negative one counts from the end,
 * and of one that is out of range all is 0. Several layers, whose names begin with this one's. */
HSCHED_API hsched_status hsched_graph_add_one_hot(hsched_graph *graph, const char *name,
                                                  hsched_tensor indices, int64_t depth, int axis,
                                                  hsched_dtype dtype, hsched_tensor *y);
/* Along `axis` (negative: from the end) the elements of x that `indices` names, int64 or int32:
 * what stands there has the dimensions of `indices` in place of that one. An index may be negative,
 * from the end; one that is out of range gives zeros. x is of any type. */
HSCHED_API hsched_status hsched_graph_add_gather(hsched_graph *graph, const char *name,
                                                 hsched_tensor x, hsched_tensor indices, int axis,
                                                 hsched_tensor *y);
/* y has the shape of `indices`: its element is x's at the same place, but for the index along
 * `axis`, which is what `indices` has there. x has the same rank and, but for `axis`, no dimension
 * that is smaller. Indices as above. */
HSCHED_API hsched_status hsched_graph_add_gather_elements(hsched_graph *graph, const char *name,
                                                          hsched_tensor x, hsched_tensor indices,
                                                          int axis, hsched_tensor *y);
/* The last dimension of `indices`, of size m, is m indices into the dimensions of x behind the
 * first `batch_dims`, which x and `indices` share; what they name, with the remaining dimensions
 * of x, stands in place of it. Indices as above. */
HSCHED_API hsched_status hsched_graph_add_gather_nd(hsched_graph *graph, const char *name,
                                                    hsched_tensor x, hsched_tensor indices,
                                                    int batch_dims, hsched_tensor *y);
/* What becomes of an element for which there is another one. */
typedef enum hsched_scatter_kind {
    HSCHED_SCATTER_SET = 1, /* that one */
    HSCHED_SCATTER_ADD = 2, /* the sum of both ... */
    HSCHED_SCATTER_MUL = 3,
    HSCHED_SCATTER_MAX = 4,
    HSCHED_SCATTER_MIN = 5,
    HSCHED_SCATTER_FORCE_INT32 = 0x7fffffff
} hsched_scatter_kind;

/* x, but for the elements for which there are others in `updates`, of x's type and the shape of
 * `indices`: an element goes to the same place, but for the index along `axis`, which is what
 * `indices` has there. `indices` has x's rank and, but for `axis`, no dimension that is larger.
 * They are taken in order; indices as above, but that an element whose index is out of range is
 * left out. Any type for SET, else float32, float16, bfloat16, float64, int64, int32, uint8 or
 * int8. */
HSCHED_API hsched_status hsched_graph_add_scatter_elements(hsched_graph *graph, const char *name,
                                                           hsched_tensor x, hsched_tensor indices,
                                                           hsched_tensor updates, int axis,
                                                           hsched_scatter_kind kind,
                                                           hsched_tensor *y);
/* The same by tuples, as hsched_graph_add_gather_nd takes them without batch_dims: `updates` has
 * the shape of its result. */
HSCHED_API hsched_status hsched_graph_add_scatter_nd(hsched_graph *graph, const char *name,
                                                     hsched_tensor x, hsched_tensor indices,
                                                     hsched_tensor updates,
                                                     hsched_scatter_kind kind, hsched_tensor *y);
/* To two dimensions: those before `axis` and those from it on. */
HSCHED_API hsched_status hsched_graph_add_flatten(hsched_graph *graph, const char *name,
                                                  hsched_tensor x, int axis, hsched_tensor *y);
/* Drops dimensions of size 1: the named ones, or all of them if count is 0. */
HSCHED_API hsched_status hsched_graph_add_squeeze(hsched_graph *graph, const char *name,
                                                  hsched_tensor x, uint32_t count,
                                                  const int64_t *axes, hsched_tensor *y);
/* Adds dimensions of size 1 so that they stand at `axes` of the result. */
HSCHED_API hsched_status hsched_graph_add_unsqueeze(hsched_graph *graph, const char *name,
                                                    hsched_tensor x, uint32_t count,
                                                    const int64_t *axes, hsched_tensor *y);
/* Dimension k of y is dimension perm[k] of x; NULL reverses all. */
HSCHED_API hsched_status hsched_graph_add_transpose(hsched_graph *graph, const char *name,
                                                    hsched_tensor x, const int64_t *perm,
                                                    hsched_tensor *y);
/* X(NAME, value, "name", formula): what is made of the elements x of each group. */
#define HSCHED_REDUCE_LIST(X)                              \
    X(MEAN, 1, "mean", "sum(x) / count")                   \
    X(SUM, 2, "sum", "sum(x)")                             \
    X(MAX, 3, "max", "the largest")                        \
    X(MIN, 4, "min", "the smallest")                       \
    X(PROD, 5, "prod", "the product")                      \
    X(L1, 6, "l1", "sum(|x|)")                             \
    X(L2, 7, "l2", "sqrt(sum(x*x))")                       \
    X(LOG_SUM, 8, "log_sum", "log(sum(x))")                \
    X(LOG_SUM_EXP, 9, "log_sum_exp", "log(sum(exp(x)))")   \
    X(SUM_SQUARE, 10, "sum_square", "sum(x*x)")

typedef enum hsched_reduce_kind {
#define HSCHED_REDUCE_ENUM(name, value, text, formula) HSCHED_REDUCE_##name = value,
    HSCHED_REDUCE_LIST(HSCHED_REDUCE_ENUM)
#undef HSCHED_REDUCE_ENUM
        HSCHED_REDUCE_FORCE_INT32 = 0x7fffffff
} hsched_reduce_kind;

/* Over `axes` (count 0: over all), which become 1 or, without keep_dims, are dropped. float32,
 * float64, and all kinds but L2 and the logarithms for int64 and int32, MAX and MIN for uint8 and
 * int8; a mean of integers is rounded towards 0. */
HSCHED_API hsched_status hsched_graph_add_reduce(hsched_graph *graph, const char *name,
                                                 hsched_reduce_kind kind, hsched_tensor x,
                                                 uint32_t count, const int64_t *axes,
                                                 int keep_dims, hsched_tensor *y);
/* That with HSCHED_REDUCE_MEAN. */
HSCHED_API hsched_status hsched_graph_add_reduce_mean(hsched_graph *graph, const char *name,
                                                      hsched_tensor x, uint32_t count,
                                                      const int64_t *axes, int keep_dims,
                                                      hsched_tensor *y);

typedef enum hsched_arg_kind {
    HSCHED_ARG_MAX = 1,
    HSCHED_ARG_MIN = 2,
    HSCHED_ARG_FORCE_INT32 = 0x7fffffff
} hsched_arg_kind;

/* The index, an int64, of the largest or smallest element along `axis` (negative: from the end),
 * which becomes 1 or, without keep_dims, is dropped; of several equal ones the first or, with
 * select_last, the last. A not-a-number wins over all. x is float32, float16, bfloat16,
 * float64, int64, int32, uint8 or int8. */
HSCHED_API hsched_status hsched_graph_add_arg(hsched_graph *graph, const char *name,
                                              hsched_arg_kind kind, hsched_tensor x, int axis,
                                              int keep_dims, int select_last, hsched_tensor *y);

/* The k largest elements along `axis` (negative: from the end), or the smallest, in this order, and
 * their indices, int64; of equal ones the first come first; a not-a-number counts as the largest. k
 * is at least 1 and at most what x has there. x as above. Two layers, that of the indices named
 * "<name>/indices"; with y_values NULL the indices only, named as given. */
HSCHED_API hsched_status hsched_graph_add_top_k(hsched_graph *graph, const char *name,
                                                hsched_tensor x, int64_t k, int axis, int largest,
                                                hsched_tensor *y_values, hsched_tensor *y_indices);

/* Sums along `axis` (negative: from the end) of the elements up to each, or those before it where
 * `exclusive`, from the last one on where `reverse`. x is float32, float16, bfloat16, float64,
 * int64 or int32; integers wrap around. */
HSCHED_API hsched_status hsched_graph_add_cumsum(hsched_graph *graph, const char *name,
                                                 hsched_tensor x, int axis, int exclusive,
                                                 int reverse, hsched_tensor *y);
/* The products likewise; of no elements, 1. */
HSCHED_API hsched_status hsched_graph_add_cumprod(hsched_graph *graph, const char *name,
                                                  hsched_tensor x, int axis, int exclusive,
                                                  int reverse, hsched_tensor *y);

typedef enum hsched_resize_mode {
    HSCHED_RESIZE_NEAREST = 1, /* tensors of any type */
    HSCHED_RESIZE_LINEAR = 2,
    HSCHED_RESIZE_CUBIC = 3
} hsched_resize_mode;

/* Which coordinate in x, of `in` elements along an axis, element i of y's `out` has. */
typedef enum hsched_resize_coordinates {
    HSCHED_RESIZE_HALF_PIXEL = 0,           /* (i + 0.5) / scale - 0.5 */
    HSCHED_RESIZE_HALF_PIXEL_SYMMETRIC = 1, /* with the middle of x in the middle of y */
    HSCHED_RESIZE_ALIGN_CORNERS = 2,        /* i * (in - 1) / (out - 1) */
    HSCHED_RESIZE_ASYMMETRIC = 3,           /* i / scale */
    HSCHED_RESIZE_PYTORCH_HALF_PIXEL = 4,   /* as HALF_PIXEL; 0 if out is 1 */
    HSCHED_RESIZE_TF_HALF_PIXEL = 5,        /* (i + 0.5) / scale */
    HSCHED_RESIZE_CROP = 6                  /* from roi_start to roi_end, 0 and 1 being x's ends */
} hsched_resize_coordinates;

typedef enum hsched_resize_rounding { /* of coordinates to the nearest element */
    HSCHED_RESIZE_ROUND_DOWN = 0, /* halves down */
    HSCHED_RESIZE_ROUND_UP = 1,   /* halves up */
    HSCHED_RESIZE_FLOOR = 2,
    HSCHED_RESIZE_CEIL = 3
} hsched_resize_rounding;

/* Numbers are those of x's dimensions in order, as many as there are. */
typedef struct hsched_resize_config {
    size_t struct_size;
    hsched_resize_mode mode; /* required */
    hsched_resize_coordinates coordinates;
    hsched_resize_rounding rounding; /* NEAREST only */
    float cubic_a;                   /* default -0.75 */
    int exclude_outside;  /* what lies outside of x has no weight; else it is x's edge */
    int antialias;        /* where y is smaller than x, windows are as much wider */
    float extrapolation_value; /* CROP: of elements whose coordinate is outside of x */
    float scales[HSCHED_MAX_DIMS];  /* 0: y's size / x's size */
    int64_t sizes[HSCHED_MAX_DIMS]; /* 0: x's size times scale, rounded down; or x's size */
    float roi_start[HSCHED_MAX_DIMS], roi_end[HSCHED_MAX_DIMS]; /* CROP only */
} hsched_resize_config;
#define HSCHED_RESIZE_CONFIG_INIT .struct_size = sizeof(hsched_resize_config)

/* Interpolates along every dimension whose size or scale is given; as ONNX's Resize. */
HSCHED_API hsched_status hsched_graph_add_resize(hsched_graph *graph, const char *name,
                                                 hsched_tensor x,
                                                 const hsched_resize_config *config,
                                                 hsched_tensor *y);

typedef enum hsched_grid_padding { /* what lies outside of x */
    HSCHED_GRID_ZEROS = 0,
    HSCHED_GRID_BORDER = 1,    /* the nearest element of x */
    HSCHED_GRID_REFLECTION = 2 /* x again, turned around at its ends */
} hsched_grid_padding;

typedef struct hsched_grid_sample_config {
    size_t struct_size;
    hsched_resize_mode mode; /* default LINEAR; nearest: halves to the even element */
    hsched_grid_padding padding;
    int align_corners; /* -1 and 1 are the middles of the outer elements; else their ends */
} hsched_grid_sample_config;
#define HSCHED_GRID_SAMPLE_CONFIG_INIT .struct_size = sizeof(hsched_grid_sample_config)

/* x [N,C,H,W] at the places that `grid` [N,H',W',2] names as (column, row), each from -1, x's
 * beginning, to 1, its end: [N,C,H',W']. Or x [N,C,D,H,W] and grid [N,D',H',W',3]. As ONNX's
 * GridSample. A coordinate that is not a number lies before all others. Places are computed in
 * float32 in any case; but with HSCHED_MATH_FP16 or _BF16 a GPU keeps the grid itself in half
 * precision, as all that passes between layers: of 1024 elements a place is then right to an eighth
 * of one, or (bfloat16) to a whole one. */
HSCHED_API hsched_status hsched_graph_add_grid_sample(hsched_graph *graph, const char *name,
                                                      hsched_tensor x, hsched_tensor grid,
                                                      const hsched_grid_sample_config *config,
                                                      hsched_tensor *y);

typedef struct hsched_roi_align_config {
    size_t struct_size;
    hsched_pool_kind kind;   /* default AVERAGE */
    int64_t height, width;   /* bins; default 1 */
    int64_t sampling_ratio;  /* samples along each side of a bin; 0: as many as it has elements */
    float spatial_scale;     /* from the regions' coordinates to x's; default 1 */
    int output_half_pixel;   /* as ONNX before opset 16: no half pixel is taken off, and regions
                                are 1 long at least */
} hsched_roi_align_config;
#define HSCHED_ROI_ALIGN_CONFIG_INIT .struct_size = sizeof(hsched_roi_align_config)

/* Regions of images at one size: x [N,C,H,W], regions [R,4] of corners (x, y, x, y), and in which
 * image each is, `images` [R], int64 or int32 -> [R,C,height,width]. As ONNX's RoiAlign; MAX is
 * the largest of the samples' weighted elements. With HSCHED_MATH_FP16 or _BF16 a GPU keeps
 * corners in half precision: numbers up to 1024 are right to a quarter, or (bfloat16) to two. */
HSCHED_API hsched_status hsched_graph_add_roi_align(hsched_graph *graph, const char *name,
                                                    hsched_tensor x, hsched_tensor regions,
                                                    hsched_tensor images,
                                                    const hsched_roi_align_config *config,
                                                    hsched_tensor *y);

typedef struct hsched_nms_config {
    size_t struct_size;
    int64_t max_per_class; /* required; more than there are boxes is as many as there are */
    float iou_threshold;   /* of area shared to area of both: above it one of two boxes goes */
    float score_threshold; /* boxes must score more; -INFINITY: all may be chosen */
    int center_point_box;  /* boxes are (x, y, width, height), x and y of the middle; else two
                              opposite corners (y, x, y, x) */
} hsched_nms_config;
#define HSCHED_NMS_CONFIG_INIT .struct_size = sizeof(hsched_nms_config)

/* Non-maximum suppression: of boxes [B,N,4] with scores [B,C,N], for every image and class those
 * that score best and do not overlap too much with one that is chosen already. int64 [B*C*M,3], M
 * boxes at most per class: rows (image, class, box) by image, class and falling score, of equal
 * ones the first. As ONNX's NonMaxSuppression, whose result has as many rows as boxes are chosen:
 * here they come first, and the rows behind them are -1, -1, -1. */
HSCHED_API hsched_status hsched_graph_add_non_max_suppression(
    hsched_graph *graph, const char *name, hsched_tensor boxes, hsched_tensor scores,
    const hsched_nms_config *config, hsched_tensor *y);

typedef struct hsched_image_config {
    size_t struct_size;
    float mean[4];   /* per channel of the result: y = (pixel - mean) * scale */
    float scale[4];  /* default 1; 1/255 and so on */
    int swap_red_blue; /* the frame is BGR(A), the network wants RGB(A), or the other way round */
} hsched_image_config;
#define HSCHED_IMAGE_CONFIG_INIT .struct_size = sizeof(hsched_image_config)

/*
 * A camera frame: adds an input of uint8 [N,height,width,channels] (1 to 4 channels) under `name`
 * and a layer that makes float32 [N,channels,height,width] of it.
 */
HSCHED_API hsched_status hsched_graph_add_image_input(hsched_graph *graph, const char *name,
                                                      int64_t n, int64_t height, int64_t width,
                                                      int64_t channels,
                                                      const hsched_image_config *config,
                                                      hsched_tensor *y);
/* Turns the float32 [N,C,H,W] input `name` of a graph into such a camera-frame input. */
HSCHED_API hsched_status hsched_graph_convert_input_to_image(hsched_graph *graph, const char *name,
                                                             const hsched_image_config *config);

/* What a graph holds; indices follow the order in which things were added. */
HSCHED_API const char *hsched_graph_name(const hsched_graph *graph);
HSCHED_API uint32_t hsched_graph_input_count(const hsched_graph *graph);
HSCHED_API uint32_t hsched_graph_output_count(const hsched_graph *graph);
HSCHED_API hsched_tensor hsched_graph_input(const hsched_graph *graph, uint32_t index);
HSCHED_API hsched_tensor hsched_graph_output(const hsched_graph *graph, uint32_t index);
HSCHED_API hsched_status hsched_graph_find_tensor(const hsched_graph *graph, const char *name,
                                                  hsched_tensor *tensor);
HSCHED_API hsched_status hsched_graph_tensor_info(const hsched_graph *graph, hsched_tensor tensor,
                                                  hsched_tensor_info *info);

typedef struct hsched_layer_info {
    size_t struct_size;
    const char *name;
    const char *kind;         /* "conv2d", "pool2d", ... */
    uint32_t input_count;
    hsched_tensor output;
    uint64_t macs;            /* multiply-accumulates of one run */
    uint64_t parameters;      /* elements of its constant inputs */
    uint64_t parameter_bytes;
} hsched_layer_info;
#define HSCHED_LAYER_INFO_INIT .struct_size = sizeof(hsched_layer_info)
HSCHED_API uint32_t hsched_graph_layer_count(const hsched_graph *graph);
HSCHED_API hsched_status hsched_graph_layer_info(const hsched_graph *graph, uint32_t index,
                                                 hsched_layer_info *info);
HSCHED_API hsched_tensor hsched_graph_layer_input(const hsched_graph *graph, uint32_t layer,
                                                  uint32_t index); /* or HSCHED_NO_TENSOR */

/* ---- ONNX ----------------------------------------------------------------- */

/* A value for a named dimension. */
typedef struct hsched_symbol {
    const char *name;
    int64_t value;
} hsched_symbol;

typedef struct hsched_onnx_config {
    size_t struct_size;
    const hsched_symbol *symbols; /* named dimensions; those not set are 1, with a log line; an
                                     input that has no elements by a 0 is none of the graph */
    uint32_t symbol_count;
    int allow_external_data;      /* weights in other files, inside the model's own folder only */
    uint64_t max_bytes;           /* of all tensors that import may hold; default 8 GiB */
    int fix_symbols;              /* those of `symbols` become plain numbers of the graph */
} hsched_onnx_config;
#define HSCHED_ONNX_CONFIG_INIT .struct_size = sizeof(hsched_onnx_config)

/*
 * Reads an ONNX model (opsets 1 to 28). The file is mapped, not copied; the graph keeps the mapping
 * until it is destroyed. `data` of the second form must stay valid until then.
 * Errors: IO, FORMAT (with the file's offset or the node's name), UNSUPPORTED (one error that lists
 * every operator that is not supported, with node names), SHAPE, LIMIT, OUT_OF_MEMORY. Since 0.1.
 */
HSCHED_API hsched_status hsched_graph_load_onnx(const char *path, const hsched_onnx_config *config,
                                                hsched_graph **graph);
HSCHED_API hsched_status hsched_graph_parse_onnx(const void *data, size_t size,
                                                 const hsched_onnx_config *config,
                                                 hsched_graph **graph);
/* Writes any graph as an ONNX model (opset 13, weights inside; LIMIT above 2 GiB). The file appears
 * whole or not at all. */
HSCHED_API hsched_status hsched_graph_save_onnx(const hsched_graph *graph, const char *path);

/* ---- Models --------------------------------------------------------------- */

typedef struct hsched_model_config {
    size_t struct_size;
    const char *name;             /* default: the graph's */
    hsched_policy policy;         /* default: the runtime's */
    uint32_t flags;               /* bits of HSCHED_MODEL_... */
    const hsched_symbol *symbols; /* values of named dimensions; others are 1, and logged */
    uint32_t symbol_count;
    hsched_layout input_layout;   /* of all inputs of four dimensions, in the user's memory */
    hsched_layout output_layout;  /* likewise of outputs */
    const char *const *taps;      /* names of tensors that become outputs too, after the others */
    uint32_t tap_count;
    uint32_t max_parts;           /* a step is cut into at most so many parts for idle workers, of
                                     whom 32 at most share one; default: as many as there are CPU
                                     workers, up to 32 */
    hsched_math math;             /* on the CPU FP16 is as DEFAULT */
    uint32_t max_batch;           /* runs of this model that wait for a GPU are joined into batches
                                     of at most so many; default 16; 1: never; at most 64 */
    uint32_t batch_wait_us;       /* a run may wait so long for others to join it; default 0: only
                                     what waits already is joined */
    hsched_objective objective;   /* default: the runtime's, if the model's policy is COST. Not
                                     POWER_CAP; LATENCY waits for nobody: no batch_wait_us then */
    uint32_t max_sizes;           /* HSCHED_MODEL_DYNAMIC: so many other sizes are kept compiled;
                                     default 8 */
} hsched_model_config;
#define HSCHED_MODEL_CONFIG_INIT .struct_size = sizeof(hsched_model_config)

enum {
    HSCHED_MODEL_MAP_WEIGHTS = 1u << 0, /* keep the model file mapped and use weights in place where
                                           a kernel can; the file must not change */
    HSCHED_MODEL_ALLOW_EXTERNAL_DATA = 1u << 1, /* hsched_model_load only */
    HSCHED_MODEL_NO_FUSION = 1u << 2,   /* one step per layer: slow, for finding faults */
    HSCHED_MODEL_KEEP_CONSTANTS = 1u << 3, /* keep unpacked weights too, for hsched_model_verify */
    HSCHED_MODEL_DETERMINISTIC = 1u << 4, /* runs are never joined and only kernels whose sums have
                                             a fixed order are used: the same input gives the same
                                             bits on the same device, while the tuning cache says
                                             the same. By default, with a GPU, the policy is then
                                             GPU_ONLY, so that it is the same device; COST and
                                             PLUGIN may choose another for each run */
    HSCHED_MODEL_STEP_JOBS = 1u << 5, /* each step is a section and a job of its own, as systems
                                         work that submit layer by layer: slow, for comparison */
    HSCHED_MODEL_DYNAMIC = 1u << 6,   /* for hsched_model_specialise; a graph that was compiled so
                                         must stay until the model is released for the last time */
    HSCHED_MODEL_CACHE_WEIGHTS = 1u << 7 /* keep packed weights on disk, map them in later loads:
                                            see below */
};

/*
 * HSCHED_MODEL_CACHE_WEIGHTS: what the CPU's kernels make of weights when a model is loaded (an
 * order that suits them, Winograd's transform, or a copy) is written to files in the folder
 * packed-weights of hsched_runtime_config.cache_dir. Later loads, also of other processes, map it:
 * it is not made again, not on the heap, and shared by all that map it. What a load measures
 * kernels for it does not write; the next one does, and takes longer for it; those after it map.
 *
 * Which: from 256 KiB on, of own kernels and of those that use weights as they are. What oneDNN
 * packs, and weights of 8 bits and bfloat16, are packed in every load as without the option.
 * How large: as the weights, and up to 4 times that where Winograd's way is taken. All files
 * together have 8 GiB at most; those that were not used for the longest time are deleted. A model
 * that has more gains nothing.
 * When invalid: never. A file is found by the weights' contents and shape, the kernel's layout, the
 * instruction set and the library's version; where one of them changes another file is made.
 * Damaged: a file whose size or first page is not what it should be is made anew, with a warning in
 * the log. The rest of it is trusted: nobody else should be able to write to the folder.
 * Who may delete them: anybody, at any time; models that have mapped a file keep it. They must not
 * be written to, or cut off, while they are mapped. On a file system of a network, a file that
 * another machine deletes is gone for who has mapped it, too, and the process with it: cache_dir
 * is to be on a disk of the machine then. They are for the user only who has made them.
 * Any number of threads and processes may load at once. Where nothing can be written, loading goes
 * on, with one warning in the log for each model. Since 0.1.
 */

/*
 * Compiles a graph: checks it, fuses layers into steps, assigns layouts and devices, packs weights.
 * The graph is frozen but not consumed: the user destroys it, before or after the model; after it
 * if HSCHED_MODEL_MAP_WEIGHTS or _KEEP_CONSTANTS is set, since the model then reads the graph's
 * weights. Errors: INVALID_ARGUMENT, SHAPE, STATE (no outputs), NOT_FOUND (a tap or a symbol),
 * OUT_OF_MEMORY. Any thread, one at a time per graph. Since 0.1.
 */
HSCHED_API hsched_status hsched_model_compile(hsched_runtime *runtime, hsched_graph *graph,
                                              const hsched_model_config *config,
                                              hsched_model **model);
/* Loads and compiles an ONNX file. Errors: those of both. Any thread. Since 0.1. */
HSCHED_API hsched_status hsched_model_load(hsched_runtime *runtime, const char *path,
                                           const hsched_model_config *config,
                                           hsched_model **model);
/* Models are reference-counted; compile and load give one reference; runs in flight hold one. */
HSCHED_API hsched_model *hsched_model_retain(hsched_model *model);
HSCHED_API void hsched_model_release(hsched_model *model);

/*
 * The same model for other values of its symbols: batch, image size, length of a sequence. *sized
 * is a model of its own, with runs, buffers and statistics of its own, and one reference for the
 * caller; symbols that are not named have the values that `model` has. It is compiled when a size
 * is asked for the first time, which takes as long as hsched_model_load; `model` keeps the
 * max_sizes that were asked for last, and gives them again at once. For the values that `model`
 * itself has it is `model`. Errors: STATE (`model` is not HSCHED_MODEL_DYNAMIC), INVALID_ARGUMENT,
 * NOT_FOUND (it has no such symbol), those of hsched_model_load or _compile. Any thread; while one
 * size is being compiled, others of `model` that are not ready wait. Since 0.1.
 */
HSCHED_API hsched_status hsched_model_specialise(hsched_model *model,
                                                 const hsched_symbol *symbols,
                                                 uint32_t symbol_count, hsched_model **sized);

HSCHED_API const char *hsched_model_name(const hsched_model *model);
HSCHED_API uint32_t hsched_model_input_count(const hsched_model *model);
HSCHED_API uint32_t hsched_model_output_count(const hsched_model *model);
/* Name, type, logical shape and the layout expected in the user's memory. Any thread. */
HSCHED_API hsched_status hsched_model_input_info(const hsched_model *model, uint32_t index,
                                                 hsched_tensor_info *info);
HSCHED_API hsched_status hsched_model_output_info(const hsched_model *model, uint32_t index,
                                                  hsched_tensor_info *info);

typedef struct hsched_step_info {
    size_t struct_size;
    const char *name;    /* the layers it was fused from: "conv1+bn1+relu1" */
    const char *kind;    /* "conv2d", ... */
    const char *kernel;  /* what computes it: "onednn/jit:avx512_core", "openblas/im2col", ... */
    uint32_t device;     /* index into the runtime's devices */
    uint32_t section;
    uint32_t parts;
    uint64_t macs;
    hsched_tensor_info output;
    uint32_t able;       /* bit d: the runtime's device d has a kernel for it */
} hsched_step_info;
#define HSCHED_STEP_INFO_INIT .struct_size = sizeof(hsched_step_info)
HSCHED_API uint32_t hsched_model_step_count(const hsched_model *model);
HSCHED_API hsched_status hsched_model_step_info(const hsched_model *model, uint32_t index,
                                                hsched_step_info *info);

typedef struct hsched_model_stats {
    size_t struct_size;
    uint64_t runs_succeeded, runs_failed, runs_cancelled;
    double latency_mean_us;  /* submit to end, of runs that succeeded */
    double latency_p50_us, latency_p99_us; /* from a histogram, within 3% */
    double latency_max_us;
    uint64_t weight_bytes;   /* packed weights and constants */
    uint64_t arena_bytes;    /* activations of one run in flight */
    uint32_t slots;          /* arenas that exist now */
    uint32_t sections;
    uint64_t deadline_misses, runs_dropped; /* as in hsched_runtime_stats */
} hsched_model_stats;
#define HSCHED_MODEL_STATS_INIT .struct_size = sizeof(hsched_model_stats)
HSCHED_API hsched_status hsched_model_get_stats(const hsched_model *model,
                                                hsched_model_stats *stats); /* any thread */

/* ---- Runs ----------------------------------------------------------------- */

/*
 * Where the data of one input or output lies; exactly one of buffer, data and run is set. For an
 * input given by `run`, the run waits for that one and reads its output `run_output` in place; the
 * shapes, types and layouts must agree. All of it stays valid and, for inputs, unchanged until the
 * run has ended; a run given as an input and imported buffers are kept alive by the library.
 */
typedef struct hsched_binding {
    hsched_buffer *buffer;
    size_t offset;        /* into the buffer; a multiple of the element size */
    void *data;           /* the user's plain memory, aligned to its element type */
    size_t size;          /* bytes there (data only): at least the tensor's byte_size */
    hsched_run *run;
    uint32_t run_output;
    uint32_t reserved[5]; /* zero */
} hsched_binding;
/* The pointer's constness is dropped for inputs, which the library never writes. */
#define HSCHED_DATA(pointer, bytes) { .data = (void *)(pointer), .size = (bytes) }
#define HSCHED_BUFFER(handle) { .buffer = (handle) }
#define HSCHED_RUN_OUTPUT(handle, index) { .run = (handle), .run_output = (index) }

#define HSCHED_PRIORITY_MIN (-100)
#define HSCHED_PRIORITY_MAX 100

/*
 * Called once for every submitted run when it ends, in whatever way, on the controller's thread
 * with no lock held. It may call any function except hsched_runtime_destroy, and hsched_run_wait
 * on runs that have not ended; it should be brief, since other callbacks wait for it. The run is
 * borrowed. hsched_run_wait may return before the callback was called.
 */
typedef void (*hsched_run_callback)(void *user, hsched_run *run, hsched_status status);

typedef enum hsched_late {
    HSCHED_LATE_FINISH = 0, /* it goes on; the miss is counted */
    HSCHED_LATE_DROP = 1    /* it stops as if it were cancelled, and ends with
                               HSCHED_ERROR_DEADLINE: nobody wants its results any more */
} hsched_late;

typedef struct hsched_run_config {
    size_t struct_size;
    const hsched_binding *inputs;  /* one per input of the model, in order; required */
    uint32_t input_count;          /* default: the model's */
    const hsched_binding *outputs; /* one per output, in order; NULL, or entries all zero: the
                                      library keeps the output, see hsched_run_output */
    uint32_t output_count;         /* default: the model's */
    int priority;                  /* HSCHED_PRIORITY_MIN to _MAX; higher goes first; default 0.
                                      While it executes on a device, or waits there for its event,
                                      nothing of a lower one is begun on that. Above 0, and from 10
                                      on again, its work on a GPU also goes before other work of
                                      this process there */
    hsched_run_callback callback;
    void *callback_user;
    void *wait_event;              /* a CUDA event (CUevent or cudaEvent_t) already recorded: the
                                      run's work on a GPU starts after it. NULL: none. For a run
                                      that has layers on the CPU a thread of the library waits for
                                      it, and starts nothing else on that device meanwhile: record
                                      it behind work that does not wait for such runs */
    uint64_t deadline_us;          /* from the submission on; 0: none. Of runs of one priority the
                                      one with the earliest deadline goes first, as far as these are
                                      within half of ageing_us; the others count as if they were */
    hsched_late late;              /* what becomes of it if it has not ended by then */
} hsched_run_config;
#define HSCHED_RUN_CONFIG_INIT .struct_size = sizeof(hsched_run_config)

/*
 * Queues one inference and returns at once. The caller owns one reference of *run.
 * Errors: INVALID_ARGUMENT (the detail names the input or output), SHAPE, STATE, LIMIT, SYSTEM,
 * OUT_OF_MEMORY, BUSY (hsched_runtime_config.max_runs are in flight: wait for one and try again, or
 * do without); the callback is called only if the submission succeeded. Any thread. Since 0.1.
 */
HSCHED_API hsched_status hsched_submit(hsched_model *model, const hsched_run_config *config,
                                       hsched_run **run);

/*
 * Submits one run and waits for it. What is for the CPU alone, the calling thread executes itself,
 * in the place of a CPU worker that idles, which saves two changes of threads; it is not pinned for
 * that. Any thread, not from a callback. Since 0.1.
 */
HSCHED_API hsched_status hsched_infer(hsched_model *model, const hsched_binding *inputs,
                                      uint32_t input_count, const hsched_binding *outputs,
                                      uint32_t output_count);

#define HSCHED_FOREVER UINT64_MAX

/*
 * Waits until the run has ended: HSCHED_OK if it succeeded, else why it did not (the detail tells
 * more); HSCHED_ERROR_TIMEOUT if it has not ended after `timeout_us`, and it goes on. Any thread.
 */
HSCHED_API hsched_status hsched_run_wait(hsched_run *run, uint64_t timeout_us);

/* 1 if the run has ended, else 0. Any thread. */
HSCHED_API int hsched_run_poll(hsched_run *run);

/*
 * Asks for the run to stop: at once if it has not started, else when the section under way ends. It
 * then ends with HSCHED_ERROR_CANCELLED, unless it came to its end first; what its outputs hold is
 * undefined. Runs that wait for it end with HSCHED_ERROR_UPSTREAM. Any thread.
 */
HSCHED_API void hsched_run_cancel(hsched_run *run);

/*
 * An output of a run that succeeded: its data, in the layout of hsched_model_output_info, valid
 * until the run is released. STATE before the run has ended well. Any thread.
 */
HSCHED_API hsched_status hsched_run_output(hsched_run *run, uint32_t index, const void **data,
                                           size_t *size);

/*
 * The CUDA event that marks the end of the run's work on its GPU, for streams of the user's
 * that go on with its outputs: cuStreamWaitEvent(stream, event, 0). Outputs that this GPU does not
 * write in place (plain memory, memory of another GPU) are copied only after that: wait for the
 * run. This call waits until the work has been enqueued, not until it is done. The event is the
 * library's, valid until the run is released. STATE: the run ended in failure; UNSUPPORTED: its
 * last layers run on the CPU (wait for the run instead). With the policies COST, the default, and
 * PLUGIN, which decide run by run, a run that is not on the GPU as a whole says so when it has
 * ended: GPU_ONLY keeps whole runs there. Any thread.
 */
HSCHED_API hsched_status hsched_run_get_event(hsched_run *run, void **event);

typedef struct hsched_run_times {
    size_t struct_size;
    uint64_t submitted_us, started_us, ended_us; /* CLOCK_MONOTONIC; 0: not yet */
    uint32_t jobs;       /* executed for this run */
    uint32_t crossings;
    uint32_t batch;      /* runs in the batch that it was executed in; 1: alone */
    uint64_t deadline_us;/* CLOCK_MONOTONIC; 0: none */
    uint32_t devices;    /* that have executed its jobs so far, as bits by number */
} hsched_run_times;
#define HSCHED_RUN_TIMES_INIT .struct_size = sizeof(hsched_run_times)
HSCHED_API hsched_status hsched_run_get_times(hsched_run *run, hsched_run_times *times);

HSCHED_API hsched_run *hsched_run_retain(hsched_run *run);   /* any thread */
/* The last reference gives the run back to its model; a run in flight still ends as it would. */
HSCHED_API void hsched_run_release(hsched_run *run);         /* any thread */

/* ---- Sources: models that run periodically -------------------------------- */

/*
 * A source has the library run a model once in every period, as a camera or a control loop wants
 * it: at start + k * period on CLOCK_MONOTONIC, so nothing drifts. Each such time is a release; a
 * release becomes an ordinary run, with a priority and a deadline that counts from the release, or
 * it is skipped, and counted. Releases that could not be seen to in time, because the process was
 * stopped or a fill took too long, are skipped but for the last one: there are no bursts.
 *
 * One thread of the runtime, the source thread, looks after all sources.
 */
typedef struct hsched_source hsched_source;

/*
 * Called on the source thread with no lock held, before a release becomes a run: it binds the
 * newest data. `inputs` and `outputs` have an entry for each input and output of the model, as
 * hsched_source_config binds them or else zero; what it leaves zero of the outputs the library
 * keeps. An input may be the output of another run, which the caller may release when fill is
 * called again, or when this source is destroyed. Returns 0, or another value to skip this release,
 * which then counts as declined. It should be brief, since releases of all sources wait for it; it
 * may call any function except hsched_runtime_destroy and hsched_source_destroy of this source.
 */
typedef int (*hsched_source_fill)(void *user, uint64_t release_us, hsched_binding *inputs,
                                  hsched_binding *outputs);

/*
 * Called once for every release that fill was called for and not declined (without a fill: that was
 * not skipped), when it is over. In general that is when its run has ended, in whatever way, on the
 * controller's thread and as hsched_run_callback. Where no run could be submitted it is called on
 * the source thread with `run` NULL, and hsched_error_detail tells why; the status is then
 * HSCHED_ERROR_BUSY if, while fill was working, the run that was to be replaced has begun. Memory
 * that fill gave is the caller's again when this is called. The run is borrowed: retain it to keep
 * its outputs.
 */
typedef void (*hsched_source_callback)(void *user, uint64_t release_us, hsched_run *run,
                                       hsched_status status);

typedef struct hsched_source_config {
    size_t struct_size;
    const char *name;              /* in messages; copied; default: the model's */
    uint64_t period_us;            /* required; at most 2^40 */
    uint64_t deadline_us;          /* from the release; default: the period */
    uint64_t offset_us;            /* the first release comes so long after the start */
    hsched_late late;              /* as in hsched_run_config */
    int priority;                  /* as in hsched_run_config */
    uint32_t flags;                /* bits of HSCHED_SOURCE_... */
    uint32_t max_in_flight;        /* of its runs: released, and the callback has not returned. What
                                      would be more is skipped. Default 2: one is executed, one
                                      waits; 1 if outputs are bound here and there is no fill, since
                                      they are written by one run at a time; at most 1024 */
    const hsched_binding *inputs;  /* fixed bindings, copied; what they refer to stays valid until
                                      the source is destroyed. Data and buffers only */
    uint32_t input_count;          /* default: the model's */
    const hsched_binding *outputs;
    uint32_t output_count;
    hsched_source_fill fill;       /* NULL: inputs are always those above */
    hsched_source_callback callback; /* NULL: nobody is told, only the counts tell */
    void *user;                    /* given to both */
    uint64_t wcet_us;              /* the longest that one run takes alone, on one worker; default:
                                      what hsched_model_get_cost knows, which is a median */
} hsched_source_config;
#define HSCHED_SOURCE_CONFIG_INIT .struct_size = sizeof(hsched_source_config)

enum {
    /* The network always sees the newest data: if the source's last run has not begun when the next
     * is released, the new one takes its place, and it ends with HSCHED_ERROR_CANCELLED. Until its
     * callback has returned there is one run more than max_in_flight: so many buffers and one more
     * are enough for a fill that takes a free one. (3 by default: one in work, one that waits, one
     * that is being filled.) */
    HSCHED_SOURCE_LATEST_ONLY = 1u << 0,
    /* No test whether there is time for it, and it is left out of the tests of others: for sources
     * that are meant to leave out what they cannot do. */
    HSCHED_SOURCE_NO_ADMISSION = 1u << 1
};

/* What is known about a set of sources, from bad to good. */
typedef enum hsched_admission {
    HSCHED_ADMISSION_NONE = 0,     /* not tested: HSCHED_SOURCE_NO_ADMISSION */
    HSCHED_ADMISSION_UNKNOWN = 1,  /* the cost of some is not known, or where they run (with COST,
                                      too, until it was measured); nothing that is known speaks
                                      against it. Logged at INFO */
    HSCHED_ADMISSION_POSSIBLE = 2, /* there is time enough, but it is not certain that each
                                      deadline is met. Logged as a warning */
    HSCHED_ADMISSION_PROVEN = 3    /* all deadlines are met and no release is skipped, if no run
                                      takes longer than was said and nothing else runs */
} hsched_admission;

/*
 * Makes a source, which does nothing until it is started. It keeps its model.
 *
 * Admission: all sources of the runtime, started or not, are taken together. What certainly cannot
 * be met is refused with HSCHED_ERROR_LIMIT: a run that takes longer than its deadline even with
 * all workers, or more work in each second than a device can do in one. With the policy COST, which
 * has each run where it suits then, that is: longer wherever its sections are executed, and more
 * work than devices can do however runs are shared out. The detail says which device, how much each
 * source needs of it, and what would help. What may be met is admitted:
 * hsched_source_stats.admission and a message of the log tell how certain it is
 * (docs/design/scheduler.md has the tests). Runs that are submitted otherwise are not considered.
 *
 * Errors: INVALID_ARGUMENT, SHAPE (bindings, if there is no fill), LIMIT (refused), STATE (the
 * runtime was destroyed), SYSTEM (a thread could not be started), OUT_OF_MEMORY. Any thread.
 * Since 0.1.
 */
HSCHED_API hsched_status hsched_source_create(hsched_model *model,
                                              const hsched_source_config *config,
                                              hsched_source **source);

/*
 * Starts it: releases come at start_us + offset_us + k * period_us. `start_us` is a time on
 * CLOCK_MONOTONIC, so that several sources can be started in step; 0: now. Of a start in the past
 * the first release is the next one that is not. Errors: INVALID_ARGUMENT, STATE (it is started
 * already, or the runtime was destroyed). Any thread. Since 0.1.
 */
HSCHED_API hsched_status hsched_source_start(hsched_source *source, uint64_t start_us);

/*
 * There are no further releases: when it returns no fill is being called, unless it is called from
 * one; what that one gives still becomes a run. Runs in flight go on, and are called back. It may
 * be started again. Does nothing if it is not started. Any thread; not from what a fill waits for.
 * Since 0.1.
 */
HSCHED_API void hsched_source_stop(hsched_source *source);

/*
 * Stops it, cancels its runs in flight and waits until the last callback has returned: nothing of
 * the source's is called or used any more. Before or after hsched_runtime_destroy, which stops all
 * sources first. NULL: nothing. Any thread, not from a callback of any run or source, and not from
 * the source's own fill. Since 0.1.
 */
HSCHED_API void hsched_source_destroy(hsched_source *source);

/* Since it was created. A release that became a run is in exactly one of completed, failed,
 * cancelled, dropped, replaced and in_flight, from before its callback on; any other one that was
 * due is in skipped_busy, skipped_late, declined or not_submitted. */
typedef struct hsched_source_stats {
    size_t struct_size;
    uint64_t released;        /* runs submitted */
    uint64_t completed;       /* runs that succeeded, late ones included */
    uint64_t failed;          /* runs that failed, those after an upstream run that did included */
    uint64_t cancelled;       /* by the application or by destroying something */
    uint64_t dropped;         /* ended with HSCHED_ERROR_DEADLINE */
    uint64_t replaced;        /* by a newer one: HSCHED_SOURCE_LATEST_ONLY */
    uint64_t skipped_busy;    /* max_in_flight runs were in flight */
    uint64_t skipped_late;    /* a later release was due as well */
    uint64_t declined;        /* by fill */
    uint64_t not_submitted;   /* fill had given data, and no run could be made of them: what
                                 hsched_submit refuses (the first since the start is logged), or no
                                 room: see hsched_source_callback */
    uint64_t deadline_misses; /* runs that had not ended at their deadline, dropped or not */
    uint32_t in_flight;       /* runs that have not ended */
    hsched_admission admission; /* of the sources there were when it was created, with it */
    double latency_mean_us, latency_p50_us, latency_p99_us, latency_max_us; /* from the release to
                                 the end, of runs that succeeded; percentiles within 3% */
    double jitter_max_us;     /* the latest that a release was seen to, after its time */
} hsched_source_stats;
#define HSCHED_SOURCE_STATS_INIT .struct_size = sizeof(hsched_source_stats)
HSCHED_API hsched_status hsched_source_get_stats(const hsched_source *source,
                                                 hsched_source_stats *stats); /* any thread */

#ifdef __cplusplus
}
#endif
#endif
