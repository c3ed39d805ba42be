#include "backend/cuda/slot.h"

#include <string.h>

#include "backend/cuda/background.h"
#include "backend/cuda/host.h"

/* ---- Memory --------------------------------------------------------------- */

/* Gives up what is not in use; 0: there is nothing. What background work uses, and what it has
 * taken for itself, is free when that has ended. */
static int make_room(hsi_cuda_device *d)
{
    return hsi_cuda_evict(d) || hsi_cuda_background_interrupt(d);
}

static hsched_status alloc_evicting(hsi_cuda_device *d, size_t size, CUdeviceptr *address)
{
    hsched_status status;
    do
        status = hsi_cuda_memory_alloc(&d->memory, size, address);
    while (status == HSCHED_ERROR_OUT_OF_MEMORY && make_room(d));
    return status;
}

static hsched_status bring_weights(hsched_backend_section *section)
{
    hsched_status status;
    do
        status = hsi_cuda_load_weights(section);
    while (status == HSCHED_ERROR_OUT_OF_MEMORY && make_room(section->device));
    return status;
}

static size_t table_bytes(const hsched_backend_slot *slot)
{
    size_t entries = (size_t)slot->section->port_count * slot->variant->members;
    return (entries * sizeof(uint64_t) + 255) / 256 * 256;
}

/* The slot has memory and its model weights, whatever was evicted meanwhile. */
static hsched_status fill_slot(hsched_backend_slot *slot)
{
    const hsi_cuda_variant *v = slot->variant;
    hsi_cuda_device *d = slot->section->device;
    const size_t workspace = v->arena_bytes + v->io_bytes;
    const size_t table = workspace + v->workspace_bytes;
    const size_t bytes = table + table_bytes(slot);
    hsched_status status = bring_weights(slot->section);
    if (slot->memory && slot->memory_bytes != bytes) { /* tuning changed the workspace */
        if (slot->goes_on)
            return hsi_cuda_host->set_error(
                HSCHED_ERROR_OUT_OF_MEMORY,
                "GPU: model's kernels were replaced by some that need more memory, "
                "between two jobs of a run");
        hsi_cuda_graphs_drop(slot);
        hsi_cuda_memory_free(&d->memory, slot->memory, slot->memory_bytes);
        slot->memory = 0;
    }
    if (slot->memory || status != HSCHED_OK)
        return status;
    status = alloc_evicting(d, bytes, &slot->memory);
    if (status != HSCHED_OK)
        return status;
    slot->memory_bytes = bytes;
    slot->table_device = slot->memory + table;
    memset(slot->table, 0, table_bytes(slot));
    status = CU_CHECK("clearing counters", cuMemsetD8, slot->memory + workspace, 0,
                      HSI_CUDA_COUNTERS);
    if (status == HSCHED_OK)
        status = CU_CHECK("clearing a table", cuMemsetD8, slot->table_device, 0,
                          table_bytes(slot));
    if (status == HSCHED_OK)
        status = hsi_cuda_finish_default();
    if (status != HSCHED_OK) { /* an empty slot is filled again, half a one is not */
        hsi_cuda_memory_free(&d->memory, slot->memory, slot->memory_bytes);
        slot->memory = 0;
    }
    return status;
}

static hsched_status pinned(hsi_cuda_device *d, size_t size, void **host)
{
    *host = NULL;
    hsched_status status =
        CU_CHECK("taking pinned host memory", cuMemHostAlloc, host, size ? size : 1,
                 CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP);
    if (status == HSCHED_OK)
        __atomic_fetch_add(&d->memory.allocations, 1, __ATOMIC_RELAXED);
    return status;
}

/* ---- Creating and destroying ---------------------------------------------- */

static hsched_status create_entered(hsched_backend_section *section, uint32_t members,
                                    hsched_backend_slot *slot)
{
    hsi_cuda_device *d = section->device;
    hsched_status status = bring_weights(section);
    if (status == HSCHED_OK)
        status = hsi_cuda_variant_get(section, members, NULL, &slot->variant);
    if (status == HSCHED_OK)
        status = pinned(d, table_bytes(slot), (void **)&slot->table);
    if (status == HSCHED_OK)
        status = CU_CHECK("making an event", cuEventCreate, &slot->event,
                          CU_EVENT_DISABLE_TIMING);
    slot->stages = HSI_CUDA_NEW_ARRAY(
        hsi_cuda_stage, (size_t)members * (section->input_count + section->output_count));
    if (status == HSCHED_OK && !slot->stages)
        status = hsi_cuda_no_memory("a slot");
    if (status == HSCHED_OK)
        status = fill_slot(slot);
    return status;
}

static void destroy_entered(hsched_backend_slot *slot)
{
    hsched_backend_section *section = slot->section;
    hsi_cuda_device *d = section->device;
    while (slot->capturing)
        hsi_cuda_background_interrupt(d);
    hsi_cuda_graphs_drop(slot);
    while (slot->graphs) {
        hsi_cuda_graph *g = slot->graphs;
        slot->graphs = g->next;
        hsi_cuda_host->free(g);
    }
    hsi_cuda_memory_free(&d->memory, slot->memory, slot->memory_bytes);
    uint32_t stages = slot->variant ? slot->variant->members *
                                          (section->input_count + section->output_count)
                                    : 0;
    for (uint32_t i = 0; slot->stages && i < stages; i++)
        if (slot->stages[i].host)
            hsi_cuda.cuMemFreeHost(slot->stages[i].host);
    if (slot->table)
        hsi_cuda.cuMemFreeHost(slot->table);
    if (slot->event)
        hsi_cuda.cuEventDestroy(slot->event);
    for (hsched_backend_slot **at = &section->slots; *at; at = &(*at)->next)
        if (*at == slot) {
            *at = slot->next;
            break;
        }
}

hsched_status hsi_cuda_slot_create(hsched_backend_section *section, uint32_t members,
                                   hsched_backend_slot **result)
{
    *result = NULL;
    hsched_backend_slot *slot = HSI_CUDA_NEW(hsched_backend_slot);
    if (!slot)
        return hsi_cuda_no_memory("a slot");
    slot->section = section;
    hsched_status status = hsi_cuda_enter(section->device);
    if (status == HSCHED_OK) {
        section->busy++; /* its weights must not be evicted for its own slot */
        status = create_entered(section, members, slot);
        section->busy--;
        if (status == HSCHED_OK) {
            slot->next = section->slots;
            section->slots = slot;
        } else {
            destroy_entered(slot);
        }
        hsi_cuda_leave(section->device);
    }
    if (status != HSCHED_OK) {
        hsi_cuda_host->free(slot->stages);
        hsi_cuda_host->free(slot);
        return status;
    }
    *result = slot;
    return HSCHED_OK;
}

void hsi_cuda_slot_destroy(hsched_backend_slot *slot)
{
    if (!slot)
        return;
    hsi_cuda_device *d = slot->section->device;
    pthread_mutex_lock(&d->use);
    hsi_cuda.cuCtxPushCurrent(
        d->context); /* fails on a lost device: nothing to free then */
    destroy_entered(slot);
    hsi_cuda_leave(d);
    hsi_cuda_host->free(slot->stages);
    hsi_cuda_host->free(slot);
}

void hsi_cuda_slot_idle(hsched_backend_slot *slot)
{
    atomic_store(&slot->in_use, 0);
}

/* ---- A job's addresses ---------------------------------------------------- */

static hsched_status make_stage(hsi_cuda_device *d, size_t size, hsi_cuda_stage *stage)
{
    hsi_cuda_stage made = { 0 };
    hsched_status status = pinned(d, size, &made.host);
    if (status != HSCHED_OK)
        return status;
    status = CU_CHECK("mapping pinned memory", cuMemHostGetDevicePointer, &made.device,
                      made.host, 0);
    if (status == HSCHED_OK)
        *stage = made;
    else
        hsi_cuda.cuMemFreeHost(made.host);
    return status;
}

/* Where the GPU finds memory of a run: where it is, or in a stage that stands in for it. */
static hsched_status reach(hsched_backend_slot *slot, const hsched_memory *memory,
                           uint32_t member, uint32_t io, uint64_t *address)
{
    const hsched_backend_section *s = slot->section;
    if (memory->device) {
        *address = memory->device;
        return HSCHED_OK;
    }
    hsi_cuda_stage *stage =
        &slot->stages[member * (s->input_count + s->output_count) + io];
    if (!stage->host) {
        const hsched_status status = make_stage(s->device, s->io_bytes[io], stage);
        if (status != HSCHED_OK)
            return status;
    }
    *address = stage->device;
    return HSCHED_OK;
}

static int is_staged(const hsched_memory *memory)
{
    return memory->device == 0;
}

static int is_in_job(const hsched_backend_section *s, const hsched_queue_job *job,
                     const hsi_cuda_port *port)
{
    return hsi_cuda_port_is_used(s, port, job->first_step, job->step_count,
                                 job->arena == NULL);
}

/* Copies the elements of a tensor between two blocks in which they lie alike. */
static void copy_tensor(const hsched_operand *t, uint32_t dim, char *to, const char *from)
{
    const size_t element = hsi_cuda_dtype_size(t->dtype);
    if (dim == t->rank) {
        memcpy(to, from, element);
        return;
    }
    if (dim + 1 == t->rank && t->strides[dim] == 1) {
        memcpy(to, from, (size_t)t->dims[dim] * element);
        return;
    }
    for (int64_t i = 0; i < t->dims[dim]; i++) {
        const int64_t at = i * t->strides[dim] * (int64_t)element;
        copy_tensor(t, dim + 1, to + at, from + at);
    }
}

/* Brings a port's tensor from the user's memory to its stage or back, if there is one. */
static void move_staged(hsched_backend_slot *slot, const hsched_queue_job *job,
                        const hsi_cuda_port *port)
{
    const hsched_backend_section *s = slot->section;
    const int is_input = port->kind == HSI_CUDA_PORT_INPUT;
    const uint32_t io = is_input ? port->index : s->input_count + port->index;
    for (uint32_t m = 0; m < job->members; m++) {
        const hsched_memory *memory =
            is_input ? &job->inputs[m][port->index] : &job->outputs[m][port->index];
        char *stage = slot->stages[m * (s->input_count + s->output_count) + io].host;
        if (!is_staged(memory) || !stage)
            continue;
        char *user = memory->host;
        size_t size = s->io_bytes[io];
        if (is_input)
            memcpy(stage, user, size);
        else if (port->to_slot)
            copy_tensor(&port->tensor, 0, stage + port->offset, user + port->offset);
        else
            copy_tensor(&port->tensor, 0, user + port->offset, stage + port->offset);
        atomic_fetch_add(&s->device->staged_bytes, size);
    }
}

/* Brings what the GPU cannot reach to the stages (to_slot), or back. An input with several
 * ports comes once. */
static void move_all_staged(hsched_backend_slot *slot, const hsched_queue_job *job,
                            int to_slot)
{
    const hsched_backend_section *s = slot->section;
    for (uint32_t p = 0; p < s->port_count; p++) {
        const hsi_cuda_port *port = &s->ports[p];
        if (port->kind == HSI_CUDA_PORT_ARENA || port->to_slot != to_slot ||
            !is_in_job(s, job, port))
            continue;
        uint32_t q = 0;
        while (
            port->kind == HSI_CUDA_PORT_INPUT && q < p &&
            (s->ports[q].kind != HSI_CUDA_PORT_INPUT || s->ports[q].index != port->index))
            q++;
        if (port->kind == HSI_CUDA_PORT_OUTPUT || q == p)
            move_staged(slot, job, port);
    }
}

static hsched_status port_address(hsched_backend_slot *slot, const hsched_queue_job *job,
                                  const hsi_cuda_port *port, uint32_t member,
                                  uint64_t *address)
{
    const hsched_backend_section *s = slot->section;
    hsched_status status = HSCHED_OK;
    switch (port->kind) {
    case HSI_CUDA_PORT_INPUT:
        status =
            reach(slot, &job->inputs[member][port->index], member, port->index, address);
        break;
    case HSI_CUDA_PORT_OUTPUT:
        status = reach(slot, &job->outputs[member][port->index], member,
                       s->input_count + port->index, address);
        break;
    case HSI_CUDA_PORT_ARENA:
        if (!job->arena || !job->arena->device)
            return hsi_cuda_host->set_error(
                HSCHED_ERROR_INTERNAL, "GPU: a job with crossings has no mapped arena");
        *address = job->arena->device;
        break;
    }
    *address += port->offset;
    return status;
}

/* Fills the table; *changed: it must be sent. Members that a batch lacks repeat the last. */
static hsched_status fill_table(hsched_backend_slot *slot, const hsched_queue_job *job,
                                int *changed)
{
    const hsched_backend_section *s = slot->section;
    const uint32_t members = slot->variant->members;
    *changed = 0;
    for (uint32_t p = 0; p < s->port_count; p++) {
        if (!is_in_job(s, job, &s->ports[p]))
            continue;
        for (uint32_t m = 0; m < members; m++) {
            uint64_t address = 0;
            uint32_t from = m < job->members ? m : job->members - 1;
            hsched_status status = port_address(slot, job, &s->ports[p], from, &address);
            if (status != HSCHED_OK)
                return status;
            uint64_t *entry = &slot->table[p * members + m];
            *changed |= *entry != address;
            *entry = address;
        }
    }
    return HSCHED_OK;
}

/* ---- Starting and ending a job -------------------------------------------- */

static hsched_status wait_for_events(CUstream stream, const hsched_queue_job *job)
{
    hsched_status status = HSCHED_OK;
    for (uint32_t m = 0; job->wait_events && m < job->members && status == HSCHED_OK; m++)
        if (job->wait_events[m])
            status = CU_CHECK("waiting for the user's event", cuStreamWaitEvent, stream,
                              (CUevent)job->wait_events[m], 0);
    return status;
}

static int is_done(const hsi_cuda_device *d, uint32_t lane, uint32_t sequence)
{
    /* Acquire: what the job wrote to mapped memory is seen by who has seen the flag. */
    const uint32_t done =
        __atomic_load_n(&d->done[lane * HSI_CUDA_DONE_STRIDE], __ATOMIC_ACQUIRE);
    return (int32_t)(done - sequence) >= 0;
}

/* Jobs of one run share memory, the workspace for one: on different lanes they still go one after
 * the other. */
static hsched_status wait_for_own_jobs(hsched_backend_slot *slot, CUstream stream)
{
    const hsi_cuda_device *d = slot->section->device;
    if (!slot->goes_on || !slot->stream || slot->stream == stream ||
        (d->stream_writes && is_done(d, slot->lane, slot->sequence)))
        return HSCHED_OK;
    /* Its lane has had no other job since, or only after it. */
    hsched_status status = CU_CHECK("waiting for the run's own job", cuEventRecord,
                                    slot->event, slot->stream);
    if (status != HSCHED_OK)
        return status;
    return CU_CHECK("waiting for the run's own job", cuStreamWaitEvent, stream,
                    slot->event, 0);
}

/* Runs of priorities above 0 go before other work of this process on the GPU. */
static CUstream choose_stream(hsi_cuda_lane *lane, int priority)
{
    const int level = priority <= 0 ? 0 : priority < 10 ? 1 : 2;
    lane->stream = lane->streams[level];
    return lane->stream;
}

static hsched_status launch_steps(hsched_backend_slot *slot, const hsched_queue_job *job,
                                  CUstream stream)
{
    hsi_cuda_device *d = slot->section->device;
    hsi_cuda_variant *v = slot->variant;
    const CUdeviceptr arena = job->arena ? job->arena->device : 0;
    hsi_cuda_graph *graph =
        d->no_graphs
            ? NULL
            : hsi_cuda_graph_find(slot, job->first_step, job->step_count, arena == 0);
    if (graph && graph->exec && graph->generation == v->generation &&
        graph->arena == arena) {
        atomic_fetch_add(&d->graph_launches, 1);
        return CU_CHECK("launching a graph", cuGraphLaunch, graph->exec, stream);
    }
    if (graph && !graph->refused) {
        graph->wanted = 1;
        graph->wanted_arena = arena;
        atomic_store(&d->has_work, 1);
    }
    atomic_fetch_add(&d->direct_launches, 1);
    hsi_cuda_launch launch = { .stream = stream,
                               .arena = arena,
                               .memory = slot->memory,
                               .workspace = slot->memory + v->arena_bytes + v->io_bytes,
                               .table = slot->table_device,
                               .first = job->first_step,
                               .count = job->step_count };
    return hsi_cuda_variant_launch(slot->section, v, &launch);
}

static hsched_status mark_end(hsi_cuda_device *d, uint32_t lane_index)
{
    hsi_cuda_lane *lane = &d->lanes[lane_index];
    lane->sequence++;
    if (!d->stream_writes)
        return CU_CHECK("marking a job's end", cuEventRecord, lane->event, lane->stream);
    return CU_CHECK("marking a job's end", cuStreamWriteValue32, lane->stream,
                    d->done_device + lane_index * HSI_CUDA_DONE_STRIDE * sizeof(uint32_t),
                    lane->sequence, 0);
}

static hsched_status submit_entered(hsched_backend_slot *slot,
                                    const hsched_queue_job *job, uint32_t lane)
{
    hsi_cuda_device *d = slot->section->device;
    CUstream stream = choose_stream(&d->lanes[lane], job->priority);
    int changed;
    hsched_status status = fill_slot(slot);
    if (status == HSCHED_OK)
        status = fill_table(slot, job, &changed);
    if (status != HSCHED_OK)
        return status;
    move_all_staged(slot, job, 1);
    status = wait_for_own_jobs(slot, stream);
    slot->stream = stream;
    if (status == HSCHED_OK)
        status = wait_for_events(stream, job);
    if (status == HSCHED_OK && changed)
        status = CU_CHECK("sending a table", cuMemcpyHtoDAsync, slot->table_device,
                          slot->table, table_bytes(slot), stream);
    if (status == HSCHED_OK)
        status = launch_steps(slot, job, stream);
    if (status == HSCHED_OK)
        status = mark_end(d, lane);
    slot->lane = lane;
    slot->sequence = d->lanes[lane].sequence;
    if (status != HSCHED_OK) {
        /* Some of it may run: it must not touch memory that is thought free. */
        hsi_cuda.cuStreamSynchronize(stream);
        memset(slot->table, 0, table_bytes(slot));
    }
    return status;
}

hsched_status hsi_cuda_submit(hsched_backend_slot *slot, const hsched_queue_job *job,
                              uint32_t lane)
{
    hsched_backend_section *section = slot->section;
    hsi_cuda_device *d = section->device;
    if (atomic_load(&d->lost))
        return hsi_cuda_host->set_error(HSCHED_ERROR_DEVICE, "GPU: it has failed before");
    hsched_status status = hsi_cuda_enter(d);
    if (status != HSCHED_OK)
        return status;
    slot->goes_on = atomic_exchange(&slot->in_use, 1);
    slot->last_used = section->last_used = ++d->clock;
    section->busy++; /* making room for this slot must not take its own weights */
    status = submit_entered(slot, job, lane);
    section->busy--;
    hsi_cuda_leave(d);
    if (status == HSCHED_ERROR_DEVICE)
        atomic_store(&d->lost, 1);
    return status;
}

static CUresult query(hsi_cuda_device *d, uint32_t lane)
{
    CUcontext mine;
    CUresult result = CU(cuCtxPushCurrent, d->context);
    if (result != CUDA_SUCCESS)
        return result;
    result = d->stream_writes ? CU(cuStreamQuery, d->lanes[lane].stream)
                              : CU(cuEventQuery, d->lanes[lane].event);
    hsi_cuda.cuCtxPopCurrent(&mine);
    return result;
}

/* What a poisoned context says, it says again; an error of the query itself, for want of memory
 * perhaps, says nothing about the jobs. */
static hsched_status look_for_errors(hsi_cuda_device *d, uint32_t lane, int *done)
{
    CUresult result = query(d, lane);
    if (result != CUDA_SUCCESS && result != CUDA_ERROR_NOT_READY)
        result = query(d, lane);
    *done = result == CUDA_SUCCESS && !d->stream_writes;
    if (result == CUDA_SUCCESS || result == CUDA_ERROR_NOT_READY)
        return HSCHED_OK;
    atomic_store(&d->lost, 1);
    hsi_cuda_check(result, "cuStreamQuery", "executing a job");
    return HSCHED_ERROR_DEVICE;
}

hsched_status hsi_cuda_poll(hsi_cuda_device *d, uint32_t lane, int *done)
{
    enum {
        POLLS_PER_QUERY = 512 /* a query costs a call of the driver */
    };
    static _Thread_local uint32_t polls;
    if (!d->stream_writes)
        return look_for_errors(d, lane, done);
    *done = is_done(d, lane, d->lanes[lane].sequence);
    if (*done || ++polls % POLLS_PER_QUERY != 0)
        return HSCHED_OK;
    int idle;
    return look_for_errors(d, lane, &idle);
}

hsched_status hsi_cuda_finish(hsched_backend_slot *slot, const hsched_queue_job *job)
{
    move_all_staged(slot, job, 0);
    return HSCHED_OK;
}

void *hsi_cuda_slot_event(hsched_backend_slot *slot)
{
    hsi_cuda_device *d = slot->section->device;
    void *event = NULL;
    if (hsi_cuda_enter(d) != HSCHED_OK)
        return NULL;
    if (CU(cuEventRecord, slot->event, slot->stream) == CUDA_SUCCESS)
        event = slot->event;
    hsi_cuda_leave(d);
    return event;
}
