/*
 * Recording: launches become the nodes of a CUDA graph without capturing a stream.
 *
 * We share the application's context, and while any stream of a context is captured, in whatever
 * mode, cuCtxSynchronize (cudaDeviceSynchronize) fails in every thread and spoils the
 * capture. Only what a library cannot put into a graph otherwise is captured, op by op.
 *
 * A node follows the node before it, unless the launch that it begins is announced with the memory
 * that it uses: then it waits only for those that it must wait for (order.h).
 */
#ifndef HSI_BACKEND_CUDA_RECORD_H
#define HSI_BACKEND_CUDA_RECORD_H

#include "backend/cuda/op.h"
#include "backend/cuda/order.h"

typedef struct hsi_cuda_node {
    CUgraphNode node;
    int is_kernel;
} hsi_cuda_node;

struct hsi_cuda_recorder {
    hsi_cuda_device *device;
    CUgraph graph;         /* whoever records destroys it */
    hsi_cuda_node last;    /* the latest node; NULL: none yet */
    hsi_cuda_order *order; /* NULL: a chain */
    hsi_cuda_node *ends;   /* per launch announced: its last node */
    uint32_t launches;
    int begins;      /* the next node is the first of the launch announced last; */
    uint32_t *waits; /*   it waits for the ends of these, any other for `last` */
    uint32_t wait_count;
    CUgraphNode *from; /* scratch */
};

/* An empty graph. The device was entered, for all of these. `most`: launches to be announced at
 * most; 0: none are. */
hsched_status hsi_cuda_record_begin(hsi_cuda_device *device, uint32_t most,
                                    hsi_cuda_recorder *recorder);
/* Frees all but the graph. */
void hsi_cuda_record_end(hsi_cuda_recorder *recorder);

/* Announces the launch of an op. Every op adds a node at least. */
void hsi_cuda_record_launch(hsi_cuda_recorder *recorder, const hsi_cuda_access *access);

/* Launches a kernel of ours as the call says: on its stream, or recorded. config->hStream is set
 * here. `doing` is for errors. */
hsched_status hsi_cuda_launch_kernel(const char *doing, const hsi_cuda_call *call,
                                     CUfunction function, CUlaunchConfig *config,
                                     void **arguments);

/* Adds what `child` does, a graph that the caller keeps. */
hsched_status hsi_cuda_record_child(hsi_cuda_recorder *recorder, CUgraph child);

hsched_status hsi_cuda_record_copy(hsi_cuda_recorder *recorder, CUdeviceptr to,
                                   CUdeviceptr from, size_t bytes);

/* Adds an op that can only launch on a stream, by capturing its launch. */
hsched_status hsi_cuda_record_captured(const hsi_cuda_op *op, const hsi_cuda_call *call);

#endif
