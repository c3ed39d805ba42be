/* A stop watch for ops: operands and a stream of its own, on which ops of one step are run. */
#ifndef HSI_BACKEND_CUDA_BENCH_H
#define HSI_BACKEND_CUDA_BENCH_H

#include "backend/cuda/op.h"

#define HSI_CUDA_BENCH_REPLAYS 7

typedef struct hsi_cuda_bench_memory {
    CUdeviceptr address; /* 0: none */
    size_t size;
} hsi_cuda_bench_memory;

typedef struct hsi_cuda_bench {
    const hsi_cuda_step *step;
    /* In the background, waiting for the GPU gives the device back meanwhile, and the shortest
     * time counts: others disturb, and only ever lengthen it. */
    int background;
    uint64_t breathed_us; /* when others had their turn last; 0: not yet */
    int outside; /* the device could not be entered again: the user must not leave it */
    CUstream stream;
    CUevent events[HSI_CUDA_BENCH_REPLAYS + 1];
    hsi_cuda_bench_memory memory[HSCHED_STEP_MAX_INPUTS + 1]; /* of inputs, then out */
    hsi_cuda_bench_memory workspace;
    hsi_cuda_call call;
    CUgraph graph;
    CUgraphExec exec;
} hsi_cuda_bench;

/* The device was entered, for all of these. *bench is fit for _close whatever happens. */
hsched_status hsi_cuda_bench_open(hsi_cuda_bench *bench, const hsi_cuda_step *step,
                                  int background);
void hsi_cuda_bench_close(hsi_cuda_bench *bench);

/* The time of one launch, INFINITY if it is soon clear that it is over twice `limit`
 * (INFINITY: none). */
hsched_status hsi_cuda_bench_time(hsi_cuda_bench *bench, const hsi_cuda_op *op,
                                  float limit, float *microseconds);

/* Of a CONV2D whose out is its residual: *safe is 1 if the op computes the same as when they
 * are apart, so that it does not overwrite what it has still to read. */
hsched_status hsi_cuda_bench_alias(hsi_cuda_bench *bench, const hsi_cuda_op *op,
                                   int *safe);

/* Background: gives others a chance to enter the device, and jobs that are running most of the
 * GPU's time. */
hsched_status hsi_cuda_bench_breathe(hsi_cuda_bench *bench);

#endif
