#include "backend/cuda/record.h"

#include "backend/cuda/host.h"

static const char doing[] = "recording a graph";

hsched_status hsi_cuda_record_begin(hsi_cuda_device *device, hsi_cuda_recorder *recorder)
{
    *recorder = (hsi_cuda_recorder){ .device = device };
    return CU_CHECK(doing, cuGraphCreate, &recorder->graph, 0);
}

/* ---- Kernels -------------------------------------------------------------- */

static const CUlaunchAttribute *find(const CUlaunchConfig *config, CUlaunchAttributeID id)
{
    for (uint32_t i = 0; i < config->numAttrs; i++)
        if (config->attrs[i].id == id)
            return &config->attrs[i];
    return NULL;
}

/* May the kernel begin before the kernel that it follows has ended? */
static int begins_early(const hsi_cuda_recorder *r, const CUlaunchConfig *config)
{
    return r->last_is_kernel && hsi_cuda.cuGraphAddDependencies_v2 &&
           find(config, CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION);
}

static hsched_status add_kernel(hsi_cuda_recorder *r, CUfunction function,
                                const CUlaunchConfig *config, void **arguments,
                                CUgraphNode *node)
{
    const int early = begins_early(r, config);
    CUDA_KERNEL_NODE_PARAMS params = { .gridDimX = config->gridDimX,
                                       .gridDimY = config->gridDimY,
                                       .gridDimZ = config->gridDimZ,
                                       .blockDimX = config->blockDimX,
                                       .blockDimY = config->blockDimY,
                                       .blockDimZ = config->blockDimZ,
                                       .sharedMemBytes = config->sharedMemBytes,
                                       .kernelParams = arguments,
                                       .kern = (CUkernel)function, /* module.c */
                                       .ctx = r->device->kernel_context };
    hsched_status status = CU_CHECK(doing, cuGraphAddKernelNode, node, r->graph, &r->last,
                                    r->last && !early, &params);
    if (status != HSCHED_OK || !early)
        return status;
    const CUgraphEdgeData edge = { .from_port = CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC,
                                   .type = CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC };
    return CU_CHECK(doing, cuGraphAddDependencies_v2, r->graph, &r->last, node, &edge, 1);
}

static hsched_status record_kernel(hsi_cuda_recorder *r, CUfunction function,
                                   const CUlaunchConfig *config, void **arguments)
{
    CUgraphNode node;
    hsched_status status = add_kernel(r, function, config, arguments, &node);
    const CUlaunchAttribute *cluster =
        find(config, CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION);
    if (status == HSCHED_OK && cluster)
        status = CU_CHECK(doing, cuGraphKernelNodeSetAttribute, node,
                          CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION, &cluster->value);
    r->last = node;
    r->last_is_kernel = 1;
    return status;
}

hsched_status hsi_cuda_launch_kernel(const char *name, const hsi_cuda_call *call,
                                     CUfunction function, CUlaunchConfig *config,
                                     void **arguments)
{
    if (call->recorder)
        return record_kernel(call->recorder, function, config, arguments);
    config->hStream = call->stream;
    return CU_CHECK(name, cuLaunchKernelEx, config, function, arguments, NULL);
}

/* ---- All else ------------------------------------------------------------- */

hsched_status hsi_cuda_record_child(hsi_cuda_recorder *r, CUgraph child)
{
    CUgraphNode node;
    hsched_status status = CU_CHECK(doing, cuGraphAddChildGraphNode, &node, r->graph,
                                    &r->last, r->last != NULL, child);
    r->last = node;
    r->last_is_kernel = 0;
    return status;
}

/* Thread-local: what other threads call meanwhile is none of its business, but for what waits
 * for the whole context. */
hsched_status hsi_cuda_record_captured(const hsi_cuda_op *op, const hsi_cuda_call *call)
{
    CUgraph child = NULL;
    hsi_cuda_call launch = *call;
    hsi_cuda_host->log(HSCHED_LOG_DEBUG, "GPU: %s has to be captured", op->name);
    launch.stream = call->recorder->device->capture_stream;
    launch.recorder = NULL;
    hsched_status status = CU_CHECK(doing, cuStreamBeginCapture, launch.stream,
                                    CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
    if (status != HSCHED_OK)
        return status;
    status = op->enqueue(op, &launch);
    /* Whatever has happened, the capture must end. */
    const hsched_status ended = hsi_cuda_check(
        hsi_cuda.cuStreamEndCapture(launch.stream, &child), "cuStreamEndCapture", doing);
    if (status == HSCHED_OK)
        status = ended;
    if (status == HSCHED_OK)
        status = hsi_cuda_record_child(call->recorder, child);
    if (child)
        hsi_cuda.cuGraphDestroy(child);
    return status;
}
