/*
 * Recording: launches become the nodes of a CUDA graph, one after the other, without capturing
 * a stream.
 *
 * We share the application's context, and while any stream of a context is captured, in whatever
 * mode, cuCtxSynchronize (cudaDeviceSynchronize) fails in every thread and spoils the
 * capture. Only what a library cannot put into a graph otherwise is captured, op by op.
 */
#ifndef HSI_BACKEND_CUDA_RECORD_H
#define HSI_BACKEND_CUDA_RECORD_H

#include "backend/cuda/op.h"

struct hsi_cuda_recorder {
    hsi_cuda_device *device;
    CUgraph graph;    /* whoever records destroys it */
    CUgraphNode last; /* what the next node waits for; NULL: it is the first */
    int last_is_kernel;
};

/* An empty graph. The device was entered, for all of these. */
hsched_status hsi_cuda_record_begin(hsi_cuda_device *device, hsi_cuda_recorder *recorder);

/* Launches a kernel of ours as the call says: on its stream, or recorded. config->hStream is set
 * here. `doing` is for errors. */
hsched_status hsi_cuda_launch_kernel(const char *doing, const hsi_cuda_call *call,
                                     CUfunction function, CUlaunchConfig *config,
                                     void **arguments);

/* Adds what `child` does, a graph that the caller keeps. */
hsched_status hsi_cuda_record_child(hsi_cuda_recorder *recorder, CUgraph child);

/* Adds an op that can only launch on a stream, by capturing its launch. */
hsched_status hsi_cuda_record_captured(const hsi_cuda_op *op, const hsi_cuda_call *call);

#endif
