/*
 * One GPU of a runtime.
 *
 * Which thread calls: everything that enqueues work or uses a library handle does so with
 * the device's `use` mutex held and its context current (hsi_cuda_enter, _leave); the
 * mutex is never held while waiting for the GPU, except by the tuner, before the model
 * that it tunes for has any run.
 */
#ifndef HSI_BACKEND_CUDA_DEVICE_H
#define HSI_BACKEND_CUDA_DEVICE_H

#include <pthread.h>
#include <stdatomic.h>

#include "backend/cuda/api.h"
#include "backend/cuda/memory.h"
#include "backend/cuda/module.h"
#include "backend/cuda/nvml.h"

typedef struct hsi_tune_cache hsi_tune_cache; /* tune_cache.h */

#define HSI_CUDA_MAX_LANES   32
#define HSI_CUDA_DONE_STRIDE 16 /* words between the lanes' flags: a cache line each */

/* A lane: a stream, and the word that the GPU writes when the lane's job has ended. */
/* Streams of a lane, by the priority of the job's most urgent run: up to 0, up to 9, more. */
#define HSI_CUDA_LEVELS 3

typedef struct hsi_cuda_lane {
    CUstream streams[HSI_CUDA_LEVELS];
    CUstream stream; /* of the lane's latest job */
    CUevent event;   /* recorded at the end of each job where stream writes are missing */
    uint32_t sequence; /* of the lane's latest job */
} hsi_cuda_lane;

struct hsched_backend_device {
    const hsched_backend_host *host;
    int ordinal;
    CUdevice device;
    CUcontext context; /* the primary context, retained */
    CUgreenCtx green;  /* or NULL: the whole GPU */
    int capability;    /* 90 for 9.0 */
    int sm_count;      /* of the partition */
    int sm_total;
    int integrated;     /* shares the host's memory */
    size_t mapped_most; /* bytes of a tensor of the host's that steps use where it is */
    char name[24];      /* "gpu0" */
    char description[160];
    char libraries[160];
    char key[200]; /* names this GPU, partition, driver and cuDNN in caches */
    uint64_t memory_bytes;
    hsi_nvml nvml; /* the meter, if there is one */

    pthread_mutex_t use;
    pthread_cond_t changed; /* background work on a section or slot has ended */
    cudnnHandle_t cudnn;
    cublasLtHandle_t lt;
    CUlibrary modules[HSI_CUDA_MODULE_COUNT];
    hsi_tune_cache *tune_cache; /* NULL: tuning is off */
    int tuning;                 /* hsched_gpu_tuning */
    int usual_tuning; /* that, while background work has none done for its own steps */
    int no_graphs;

    hsi_cuda_memory memory;
    int stream_writes; /* streams can write and wait for words in mapped memory */
    hsi_cuda_lane lanes[HSI_CUDA_MAX_LANES];
    uint32_t lane_count;
    volatile uint32_t
        *done; /* per lane: sequence of its last ended job; mapped memory, */
    CUdeviceptr done_device; /*   one cache line each */
    CUstream
        capture_stream; /* for the ops that must be captured; background work runs there */
    CUcontext kernel_context; /* of recorded kernels: the partition's, or `context` */
    atomic_int has_work;      /* for background */
    atomic_int stopping;      /* background work is to end for good */
    atomic_int yield;         /* the present piece of it is to end soon */
    atomic_int lost;          /* a call failed in a way that poisons the context */

    /* Guarded by `use`. */
    struct hsched_backend_section *sections; /* all, for eviction and background work */
    uint64_t clock;                          /* counts uses, for "least recently" */
    int in_background; /* a piece of background work is being done */
    int interrupting; /* threads that wait for its end: no other piece begins before them */

    _Atomic uint64_t tunings, captures, graph_launches, direct_launches, evictions,
        staged_bytes;
};
typedef hsched_backend_device hsi_cuda_device;

/* One line for people: versions, or what is missing. *available: a GPU can be opened. */
const char *hsi_cuda_describe(int *available);
uint32_t hsi_cuda_device_count(void);

hsched_status hsi_cuda_device_open(const hsched_device_config *config,
                                   hsi_cuda_device **device);
void hsi_cuda_device_close(hsi_cuda_device *device);

/* Makes the device's context current on this thread and takes `use`; leave undoes both, so
 * that the caller's own context is as it was. */
hsched_status hsi_cuda_enter(hsi_cuda_device *device);
void hsi_cuda_leave(hsi_cuda_device *device);

/*
 * Waits for what was put on the default stream. Copies to the GPU and memsets there return
 * before they are done, and our streams, which do not block, would not wait for them. Entered,
 * or with the context current.
 */
hsched_status hsi_cuda_finish_default(void);

/* A stream of the device's, confined to its partition, of CUDA's default priority. */
/* `level` as in a lane; 0 for what is not urgent. */
hsched_status hsi_cuda_stream_create(hsi_cuda_device *device, int level,
                                     CUstream *stream);

#endif
