/*
 * Jobs as CUDA graphs, recorded by whoever does background work. The job has run once before,
 * kernel by kernel: modules are loaded and libraries warm.
 */
#include "backend/cuda/slot.h"

#include "backend/cuda/host.h"
#include "backend/cuda/record.h"

enum {
    MOST_APART =
        16384 /* launches: the order has a bit for each pair; else they are a chain */
};

hsi_cuda_graph *hsi_cuda_graph_find(hsched_backend_slot *slot, uint32_t first,
                                    uint32_t count, int stays)
{
    hsi_cuda_graph *g = slot->graphs;
    while (g && (g->first != first || g->count != count || g->stays != stays))
        g = g->next;
    if (g)
        return g;
    g = HSI_CUDA_NEW(hsi_cuda_graph);
    if (!g) /* then this job stays without: slower, but right */
        return NULL;
    g->first = first;
    g->count = count;
    g->stays = stays;
    g->next = slot->graphs;
    slot->graphs = g;
    return g;
}

void hsi_cuda_graphs_drop(hsched_backend_slot *slot)
{
    for (hsi_cuda_graph *g = slot->graphs; g; g = g->next) {
        if (g->exec)
            hsi_cuda.cuGraphExecDestroy(g->exec);
        g->exec = NULL;
        g->wanted = g->refused = 0;
    }
}

/* Records the job's launches. Entered. */
static hsched_status record(hsched_backend_slot *slot, const hsi_cuda_graph *g,
                            CUgraph *graph)
{
    hsi_cuda_variant *v = slot->variant;
    const hsched_backend_section *s = slot->section;
    hsi_cuda_recorder recorder;
    const uint32_t launches = s->step_count + s->port_count;
    hsched_status status = hsi_cuda_record_begin(
        s->device, launches <= MOST_APART ? launches : 0, &recorder);
    hsi_cuda_launch launch = { .recorder = &recorder,
                               .arena = g->wanted_arena,
                               .memory = slot->memory,
                               .workspace = slot->memory + v->arena_bytes + v->io_bytes,
                               .table = slot->table_device,
                               .first = g->first,
                               .count = g->count };
    if (status == HSCHED_OK)
        status = hsi_cuda_variant_launch(slot->section, v, &launch);
    hsi_cuda_record_end(&recorder);
    *graph = recorder.graph;
    return status;
}

/* Instantiating takes longest and touches nothing of the slot: done without `use`. */
static hsched_status instantiate(hsi_cuda_device *d, CUgraph graph, CUgraphExec *exec)
{
    CUcontext mine;
    *exec = NULL;
    hsched_status status =
        CU_CHECK("making the context current", cuCtxPushCurrent, d->context);
    if (status != HSCHED_OK)
        return status;
    status =
        CU_CHECK("instantiating a graph", cuGraphInstantiateWithFlags, exec, graph, 0);
    if (status == HSCHED_OK)
        status = CU_CHECK("uploading a graph", cuGraphUpload, *exec, d->capture_stream);
    hsi_cuda.cuCtxPopCurrent(&mine);
    return status;
}

static void store(hsched_backend_slot *slot, hsi_cuda_graph *g, uint32_t generation,
                  CUdeviceptr arena, CUgraphExec exec)
{
    if (g->exec) /* of an older generation; not running: it is not launched any more, and */
        hsi_cuda.cuGraphExecDestroy(g->exec); /* destroying waits for what is */
    g->exec = exec;
    g->generation = generation;
    g->arena = arena;
    atomic_fetch_add(&slot->section->device->captures, 1);
}

/* The caller has set slot->capturing, so that the slot stays. */
hsched_status hsi_cuda_capture(hsched_backend_slot *slot, int *did)
{
    hsi_cuda_device *d = slot->section->device;
    *did = 0;
    hsched_status status = hsi_cuda_enter(d);
    if (status != HSCHED_OK)
        return status;
    hsi_cuda_graph *g = slot->graphs;
    while (g && !g->wanted)
        g = g->next;
    CUgraph graph = NULL;
    CUdeviceptr memory = slot->memory;
    const uint32_t generation = slot->variant->generation;
    const CUdeviceptr arena = g ? g->wanted_arena : 0;
    if (g && memory && hsi_cuda_has_weights(slot->section)) {
        *did = 1;
        g->wanted = 0;
        status = record(slot, g, &graph);
        /* With more memory it may do, and a lost device is lost; anything else stays so. */
        g->refused = status != HSCHED_OK && status != HSCHED_ERROR_OUT_OF_MEMORY &&
                     status != HSCHED_ERROR_DEVICE;
    }
    hsi_cuda_leave(d);
    if (!*did)
        return status;

    CUgraphExec exec = NULL;
    if (status == HSCHED_OK)
        status = instantiate(d, graph, &exec);
    pthread_mutex_lock(&d->use);
    hsi_cuda.cuCtxPushCurrent(d->context);
    /* Memory that was given up meanwhile makes it worthless. */
    if (status == HSCHED_OK && slot->memory == memory)
        store(slot, g, generation, arena, exec);
    else if (exec)
        hsi_cuda.cuGraphExecDestroy(exec);
    if (graph)
        hsi_cuda.cuGraphDestroy(graph);
    hsi_cuda_leave(d);
    return status;
}
