#include "trace/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"
#include "base/sync.h"

/* No counter has this value: the first one is always recorded. */
#define NOT_COUNTED UINT32_MAX

static hsched_status open_file(hsi_trace *trace)
{
    trace->file = open(trace->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (trace->file >= 0)
        return HSCHED_OK;
    return hsi_error(HSCHED_ERROR_IO,
                     "the trace '%.512s' cannot be written: %s; check the "
                     "folder and its permissions",
                     trace->path, strerror(errno));
}

/* Memory that has been written: Linux gives a page when it is written first, which takes as long as
 * recording twenty events. */
static hsched_status make_rings(hsi_trace *trace, uint32_t events)
{
    size_t bytes, records;
    if (!hsi_mul_size(trace->ring_count, sizeof *trace->rings, &bytes) ||
        !hsi_mul_size(events, sizeof(hsi_trace_event), &records))
        return hsi_out_of_memory("a trace");
    trace->rings = hsi_alloc_aligned(bytes);
    for (uint32_t i = 0; trace->rings && i < trace->ring_count; i++) {
        trace->rings[i].records = hsi_alloc_aligned(records);
        trace->rings[i].capacity = events;
        if (!trace->rings[i].records)
            return hsi_out_of_memory("a trace's rings");
    }
    return trace->rings ? HSCHED_OK : hsi_out_of_memory("a trace's rings");
}

static hsched_status fill(hsi_trace *trace, const char *path, uint32_t events,
                          const hsi_trace_device *devices)
{
    trace->path = hsi_strdup(path);
    trace->devices = HSI_NEW_ARRAY(hsi_trace_device, trace->device_count);
    trace->counts =
        HSI_NEW_ARRAY(uint32_t, (size_t)trace->device_count * HSI_TRACE_COUNTERS);
    if (!trace->path || !trace->devices || !trace->counts)
        return hsi_out_of_memory("a trace");
    trace->ring_count = 1;
    for (uint32_t d = 0; d < trace->device_count; d++) {
        trace->devices[d] = devices[d];
        trace->devices[d].first_ring = trace->ring_count;
        trace->ring_count += devices[d].has_lanes ? 0 : devices[d].threads;
    }
    for (uint32_t i = 0; i < trace->device_count * HSI_TRACE_COUNTERS; i++)
        trace->counts[i] = NOT_COUNTED;
    hsched_status status = make_rings(trace, events);
    return status == HSCHED_OK ? open_file(trace) : status;
}

hsched_status hsi_trace_create(const char *path, uint32_t events,
                               const hsi_trace_device *devices, uint32_t device_count,
                               hsi_trace **result)
{
    *result = NULL;
    hsi_trace *trace = HSI_NEW(hsi_trace);
    if (!trace)
        return hsi_out_of_memory("a trace");
    trace->file = -1;
    trace->device_count = device_count;
    hsched_status status = fill(trace, path, events, devices);
    if (status != HSCHED_OK) {
        hsi_trace_destroy(trace);
        return status;
    }
    trace->clock = "CLOCK_MONOTONIC";
    trace->began_ns = hsi_now_ns();
    *result = trace;
    return HSCHED_OK;
}

void hsi_trace_destroy(hsi_trace *trace)
{
    if (!trace)
        return;
    while (trace->models) {
        hsi_trace_model *model = trace->models;
        trace->models = model->next;
        model->seen_by = NULL; /* the next trace may have this one's address */
        hsi_trace_model_release(model);
    }
    for (uint32_t i = 0; trace->rings && i < trace->ring_count; i++)
        hsi_free(trace->rings[i].records);
    if (trace->file >= 0)
        close(trace->file);
    hsi_free(trace->rings);
    hsi_free(trace->devices);
    hsi_free(trace->counts);
    hsi_free(trace->path);
    hsi_free(trace);
}

const hsi_trace_model *hsi_trace_see(hsi_trace *trace, hsi_trace_model *model)
{
    if (model->seen_by == trace)
        return model;
    model->seen_by = trace;
    model->track = trace->model_count++;
    model->next = trace->models;
    trace->models = hsi_trace_model_retain(model);
    return model;
}

void hsi_trace_count_change(hsi_trace *trace, hsi_trace_counter counter, uint32_t device,
                            uint32_t value, uint64_t now_ns)
{
    trace->counts[device * HSI_TRACE_COUNTERS + counter] = value;
    /* Times are read before the lock is taken: one may come after a later one. */
    if (now_ns > trace->counted_ns)
        trace->counted_ns = now_ns;
    hsi_trace_event *event = hsi_trace_next(hsi_trace_shared(trace), trace->counted_ns);
    if (event)
        *event = (hsi_trace_event){ .begin_ns = trace->counted_ns,
                                    .kind = HSI_TRACE_COUNT,
                                    .device = (uint8_t)device,
                                    .count = { counter, value } };
}

static int goes_on(const hsi_trace_event *record, const hsi_trace_step_end *step)
{
    return record->kind == HSI_TRACE_STEPS && record->run == step->run &&
           record->status == HSCHED_OK && step->status == HSCHED_OK &&
           record->end_ns == step->begin_ns &&
           record->steps.first + record->steps.count == step->step &&
           record->steps.count < HSI_TRACE_STEPS_MAX &&
           step->end_ns - record->begin_ns <= UINT32_MAX;
}

void hsi_trace_put_step(hsi_trace_ring *ring, const hsi_trace_step_end *step)
{
    hsi_trace_event *record = ring->records + ring->count;
    if (ring->count > 0 && goes_on(record - 1, step)) {
        record--;
        if (!hsi_trace_admit(ring, step->begin_ns))
            return;
        record->end_ns = step->end_ns;
        record->steps.ended_ns[record->steps.count++] =
            (uint32_t)(step->end_ns - record->begin_ns);
        return;
    }
    record = hsi_trace_next(ring, step->begin_ns);
    if (record) /* if it took longer than 32 bits can tell, none will share its record */
        *record = (hsi_trace_event){
            .begin_ns = step->begin_ns,
            .end_ns = step->end_ns,
            .model = step->model,
            .run = step->run,
            .kind = HSI_TRACE_STEPS,
            .device = step->device,
            .thread = step->thread,
            .status = (int16_t)step->status,
            .steps = { .first = step->step,
                       .count = 1,
                       .ended_ns = { (uint32_t)(step->end_ns - step->begin_ns) } },
        };
}
