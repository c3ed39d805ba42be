#include "backend/cuda/record.h"

#include "backend/cuda/host.h"

static const char doing[] = "recording a graph";

enum {
    MOST_PARTS = 16 /* nodes of a library's graph that are taken out of it */
};

hsched_status hsi_cuda_record_begin(hsi_cuda_device *device, uint32_t most,
                                    hsi_cuda_recorder *recorder)
{
    *recorder = (hsi_cuda_recorder){ .device = device };
    recorder->from = HSI_CUDA_NEW_ARRAY(CUgraphNode, most);
    if (!recorder->from)
        return hsi_cuda_no_memory(doing);
    if (most > 0) {
        recorder->order = hsi_cuda_order_create(most);
        recorder->ends = HSI_CUDA_NEW_ARRAY(hsi_cuda_node, most);
        recorder->waits = HSI_CUDA_NEW_ARRAY(uint32_t, most);
        if (!recorder->order || !recorder->ends || !recorder->waits)
            return hsi_cuda_no_memory(doing);
    }
    return CU_CHECK(doing, cuGraphCreate, &recorder->graph, 0);
}

void hsi_cuda_record_end(hsi_cuda_recorder *recorder)
{
    hsi_cuda_order_destroy(recorder->order);
    hsi_cuda_host->free(recorder->from);
    hsi_cuda_host->free(recorder->ends);
    hsi_cuda_host->free(recorder->waits);
}

/* ---- Edges ---------------------------------------------------------------- */

void hsi_cuda_record_launch(hsi_cuda_recorder *r, const hsi_cuda_access *access)
{
    if (!r->order)
        return;
    r->wait_count = hsi_cuda_order_add(r->order, access, r->waits);
    r->begins = 1;
    r->launches++;
}

/* Nodes that the next one waits for, the latest first. */
static uint32_t wait_count(const hsi_cuda_recorder *r)
{
    return r->begins ? r->wait_count : r->last.node != NULL;
}

static const hsi_cuda_node *wait_for(const hsi_cuda_recorder *r, uint32_t i)
{
    return r->begins ? &r->ends[r->waits[i]] : &r->last;
}

/* What the next node waits for to have ended: all, or all but the first. */
static uint32_t dependencies(const hsi_cuda_recorder *r, int but_first)
{
    uint32_t count = 0;
    for (uint32_t i = but_first ? 1 : 0; i < wait_count(r); i++)
        r->from[count++] = wait_for(r, i)->node;
    return count;
}

static hsched_status add_early_edge(const hsi_cuda_recorder *r, CUgraphNode node)
{
    const CUgraphEdgeData edge = { .from_port = CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC,
                                   .type = CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC };
    return CU_CHECK(doing, cuGraphAddDependencies_v2, r->graph, &wait_for(r, 0)->node,
                    &node, &edge, 1);
}

static void added(hsi_cuda_recorder *r, CUgraphNode node, int is_kernel)
{
    r->last = (hsi_cuda_node){ node, is_kernel };
    r->begins = 0;
    if (r->launches > 0)
        r->ends[r->launches - 1] = r->last;
}

/* ---- Kernels -------------------------------------------------------------- */

static const CUlaunchAttribute *find(const CUlaunchConfig *config, CUlaunchAttributeID id)
{
    for (uint32_t i = 0; i < config->numAttrs; i++)
        if (config->attrs[i].id == id)
            return &config->attrs[i];
    return NULL;
}

/* May the kernel begin before the kernel that it follows has ended? It reads what it depends on
 * only after it has waited for that one itself. */
static int begins_early(const hsi_cuda_recorder *r, const CUlaunchConfig *config)
{
    return wait_count(r) > 0 && wait_for(r, 0)->is_kernel &&
           hsi_cuda.cuGraphAddDependencies_v2 &&
           find(config, CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION);
}

static hsched_status record_kernel(hsi_cuda_recorder *r, CUfunction function,
                                   const CUlaunchConfig *config, void **arguments)
{
    CUgraphNode node;
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
    const CUlaunchAttribute *cluster =
        find(config, CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION);
    const int early = begins_early(r, config);
    hsched_status status = CU_CHECK(doing, cuGraphAddKernelNode, &node, r->graph, r->from,
                                    dependencies(r, early), &params);
    if (status == HSCHED_OK && cluster)
        status = CU_CHECK(doing, cuGraphKernelNodeSetAttribute, node,
                          CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION, &cluster->value);
    if (status == HSCHED_OK && early)
        status = add_early_edge(r, node);
    if (status == HSCHED_OK)
        added(r, node, 1);
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

/* ---- Graphs of libraries --------------------------------------------------- */

typedef struct parts {
    CUgraphNode
        nodes[MOST_PARTS]; /* in an order in which each follows what it waits for */
    CUgraphNodeType types[MOST_PARTS];
    size_t count;
} parts;

static int can_take_apart(void)
{
    return hsi_cuda.cuGraphGetNodes && hsi_cuda.cuGraphGetEdges &&
           hsi_cuda.cuGraphNodeGetType && hsi_cuda.cuGraphKernelNodeGetParams &&
           hsi_cuda.cuGraphKernelNodeGetAttribute &&
           hsi_cuda.cuGraphMemsetNodeGetParams && hsi_cuda.cuGraphAddMemsetNode;
}

static int waits_for_any(CUgraphNode node, const CUgraphNode *from, const CUgraphNode *to,
                         size_t edges, const CUgraphNode *left, size_t left_count)
{
    for (size_t e = 0; e < edges; e++)
        for (size_t i = 0; to[e] == node && i < left_count; i++)
            if (from[e] == left[i])
                return 1;
    return 0;
}

/* 1 if it is a few kernels and fills, in order then. */
static int list_parts(CUgraph child, parts *p)
{
    CUgraphNode left[MOST_PARTS], from[MOST_PARTS * MOST_PARTS],
        to[MOST_PARTS * MOST_PARTS];
    CUgraphEdgeData data[MOST_PARTS * MOST_PARTS];
    size_t count = 0, edges = 0;
    if (CU(cuGraphGetNodes, child, NULL, &count) != CUDA_SUCCESS || count > MOST_PARTS ||
        CU(cuGraphGetNodes, child, left, &count) != CUDA_SUCCESS ||
        CU(cuGraphGetEdges, child, NULL, NULL, NULL, &edges) != CUDA_SUCCESS ||
        edges > MOST_PARTS * MOST_PARTS ||
        (edges > 0 && CU(cuGraphGetEdges, child, from, to, data, &edges) != CUDA_SUCCESS))
        return 0;
    for (p->count = 0; count > 0;) {
        size_t i = 0;
        while (i < count && waits_for_any(left[i], from, to, edges, left, count))
            i++;
        CUgraphNodeType *type = &p->types[p->count];
        if (i == count || CU(cuGraphNodeGetType, left[i], type) != CUDA_SUCCESS ||
            (*type != CU_GRAPH_NODE_TYPE_KERNEL && *type != CU_GRAPH_NODE_TYPE_MEMSET))
            return 0;
        p->nodes[p->count++] = left[i];
        left[i] = left[--count];
    }
    return p->count > 0;
}

/* What a kernel cannot be launched without. (To copy all attributes is refused for some.) */
static hsched_status copy_cluster(CUgraphNode to, CUgraphNode from)
{
    CUlaunchAttributeValue size, cooperative;
    hsched_status status = CU_CHECK(doing, cuGraphKernelNodeGetAttribute, from,
                                    CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION, &size);
    if (status == HSCHED_OK && size.clusterDim.x > 0)
        status = CU_CHECK(doing, cuGraphKernelNodeSetAttribute, to,
                          CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION, &size);
    if (status == HSCHED_OK)
        status = CU_CHECK(doing, cuGraphKernelNodeGetAttribute, from,
                          CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &cooperative);
    if (status == HSCHED_OK && cooperative.cooperative)
        status = CU_CHECK(doing, cuGraphKernelNodeSetAttribute, to,
                          CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &cooperative);
    return status;
}

static hsched_status record_same_kernel(hsi_cuda_recorder *r, CUgraphNode part)
{
    CUgraphNode node;
    CUDA_KERNEL_NODE_PARAMS params;
    hsched_status status = CU_CHECK(doing, cuGraphKernelNodeGetParams, part, &params);
    if (status == HSCHED_OK)
        status = CU_CHECK(doing, cuGraphAddKernelNode, &node, r->graph, r->from,
                          dependencies(r, 0), &params);
    if (status == HSCHED_OK)
        status = copy_cluster(node, part);
    if (status == HSCHED_OK)
        added(r, node, 0); /* it may be one that never lets the next begin early */
    return status;
}

static hsched_status record_same_fill(hsi_cuda_recorder *r, CUgraphNode part)
{
    CUgraphNode node;
    CUDA_MEMSET_NODE_PARAMS params;
    hsched_status status = CU_CHECK(doing, cuGraphMemsetNodeGetParams, part, &params);
    if (status == HSCHED_OK)
        status = CU_CHECK(doing, cuGraphAddMemsetNode, &node, r->graph, r->from,
                          dependencies(r, 0), &params, r->device->kernel_context);
    if (status == HSCHED_OK)
        added(r, node, 0);
    return status;
}

/* As one node. */
static hsched_status record_whole(hsi_cuda_recorder *r, CUgraph child)
{
    CUgraphNode node;
    hsched_status status = CU_CHECK(doing, cuGraphAddChildGraphNode, &node, r->graph,
                                    r->from, dependencies(r, 0), child);
    if (status == HSCHED_OK)
        added(r, node, 0);
    return status;
}

/* Its nodes one after the other where possible: a graph of graphs whose kernels are clusters cannot
 * be instantiated in a green context (CUDA_ERROR_INVALID_CLUSTER_SIZE, driver of CUDA 13.0), the
 * same kernels as nodes of one graph can. */
hsched_status hsi_cuda_record_child(hsi_cuda_recorder *r, CUgraph child)
{
    parts p;
    if (!can_take_apart() || !list_parts(child, &p))
        return record_whole(r, child);
    hsched_status status = HSCHED_OK;
    for (size_t i = 0; i < p.count && status == HSCHED_OK; i++)
        status = p.types[i] == CU_GRAPH_NODE_TYPE_KERNEL
                     ? record_same_kernel(r, p.nodes[i])
                     : record_same_fill(r, p.nodes[i]);
    return status;
}

/* ---- All else ------------------------------------------------------------- */

hsched_status hsi_cuda_record_copy(hsi_cuda_recorder *r, CUdeviceptr to, CUdeviceptr from,
                                   size_t bytes)
{
    CUgraphNode node;
    const CUDA_MEMCPY3D copy = { .srcMemoryType = CU_MEMORYTYPE_UNIFIED,
                                 .srcDevice = from,
                                 .dstMemoryType = CU_MEMORYTYPE_UNIFIED,
                                 .dstDevice = to,
                                 .WidthInBytes = bytes,
                                 .Height = 1,
                                 .Depth = 1 };
    hsched_status status = CU_CHECK(doing, cuGraphAddMemcpyNode, &node, r->graph, r->from,
                                    dependencies(r, 0), &copy, r->device->kernel_context);
    if (status == HSCHED_OK)
        added(r, node, 0);
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
