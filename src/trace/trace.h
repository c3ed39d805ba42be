/*
 * Tracing: events of a runtime in memory, written to a file when the trace ends.
 *
 * Each thread of the runtime that executes jobs has a ring of its own, which nobody else writes;
 * everything that happens under the scheduler lock goes into one more ring, whoever holds the lock.
 * So no ring has two writers at a time and none needs atomics: a worker's events are handed to who
 * writes the file by the scheduler lock, which the worker takes after each job, and a helper's by
 * the count of unfinished parts, which the owner of the job waits for (worker/team.c). When a trace
 * ends, no job begins to be recorded, and who ends it waits under the lock until those under
 * way have ended (worker/tracing.h).
 *
 * A ring that is full keeps what it has; what comes then is counted. A slice is one event, recorded
 * when it ends, so that none can lack its begin or end. An event takes a record, a cache line, but
 * steps that follow one another share one: of most networks they are most of what there is.
 *
 * A new kind of event: a value below, a member of the union if it has anything to tell, a function
 * in file.c's table that writes it, and a call of hsi_trace_put where it happens (of hsi_trace_next
 * where each run passes). A new counter: a value of hsi_trace_counter, its line in file.c's table,
 * and a call of hsi_trace_count.
 */
#ifndef HSI_TRACE_TRACE_H
#define HSI_TRACE_TRACE_H

#include <stdint.h>

#include <hsched/hsched.h>

#include "trace/model.h"

typedef enum hsi_trace_kind {
    /* Slices of a worker or of a lane of a device. */
    HSI_TRACE_JOB,
    HSI_TRACE_MEMBER, /* a job that shares the slice of another one: it was joined with it */
    HSI_TRACE_STEPS, /* that followed one another; each is a slice, and an event */
    HSI_TRACE_PART,
    /* A slice of a model. */
    HSI_TRACE_RUN,
    HSI_TRACE_COUNT,
    /* Instants. */
    HSI_TRACE_CANCEL,
    HSI_TRACE_RESTARTED,
    HSI_TRACE_MOVED,
    HSI_TRACE_LOST,
    HSI_TRACE_MISSED,   /* a deadline */
    HSI_TRACE_REPLACED, /* runs that were placed anew before they started */
    HSI_TRACE_KINDS
} hsi_trace_kind;

typedef enum hsi_trace_counter {
    HSI_TRACE_QUEUED, /* jobs in a device's queue */
    HSI_TRACE_LOAD, /* what jobs of a device take now, in percent of what they take unloaded */
    HSI_TRACE_ACTIVE, /* runs that are started or have jobs queued; of device 0 */
    HSI_TRACE_COUNTERS
} hsi_trace_counter;

enum {
    HSI_TRACE_STEPS_MAX = 4, /* of a record */
    HSI_TRACE_AHEAD = 4      /* so many records ahead, memory is fetched */
};

/* A record: one event, or several steps. */
typedef struct hsi_trace_event {
    uint64_t begin_ns, end_ns;    /* CLOCK_MONOTONIC; instants have the first only */
    const hsi_trace_model *model; /* that this trace has seen, or NULL */
    uint64_t run;                 /* in the order of submission, from 1; 0: none */
    uint8_t kind;                 /* hsi_trace_kind */
    uint8_t device;
    uint16_t thread;  /* worker or lane of the device */
    int16_t status;   /* hsched_status */
    uint8_t flags;    /* HSI_TRACE_CUT_SHORT, ... */
    uint8_t restarts; /* of the run, so far */
    union {
        struct {
            uint32_t section, count;
            uint16_t batch; /* runs that the slice is of */
            uint16_t crossings;
        } job;
        struct {
            uint32_t first, count;
            uint32_t ended_ns[HSI_TRACE_STEPS_MAX]; /* of each, from begin_ns on */
        } steps;
        struct {
            uint32_t step, index, count;
        } part;
        struct {
            int32_t priority;
            uint32_t jobs;
            uint32_t wait_us;     /* from its submission to its first job */
            uint32_t deadline_us; /* from its submission; 0: none */
        } run_end;
        struct {
            uint32_t counter, value;
        } count;
        struct {
            uint32_t jobs;
        } moved;
        struct {
            uint32_t runs;
        } replaced;
    };
} hsi_trace_event;

/* A step that has ended, on a worker. */
typedef struct hsi_trace_step_end {
    uint64_t begin_ns, end_ns;
    const hsi_trace_model *model;
    uint64_t run;
    uint32_t step;
    uint8_t device;
    uint16_t thread;
    hsched_status status;
} hsi_trace_step_end;

#define HSI_TRACE_NEVER UINT32_MAX /* run_end.wait_us: it had no job */

enum {
    HSI_TRACE_CUT_SHORT = 1 << 0, /* it had not ended when the trace did */
    HSI_TRACE_LATE = 1 << 1       /* a run that had not ended at its deadline */
};

typedef struct hsi_trace_ring {
    hsi_trace_event *records;
    uint32_t count;            /* of records */
    uint32_t events, capacity; /* there are no more records than events */
    uint64_t dropped, first_dropped_ns;
    char apart[24]; /* rings are written by different threads: each has its cache line */
} hsi_trace_ring;

typedef struct hsi_trace_device {
    const char *name;
    uint32_t threads; /* workers or lanes */
    int has_lanes;
    uint32_t first_ring; /* of its workers */
} hsi_trace_device;

typedef struct hsi_trace {
    hsi_trace_ring *rings; /* [0]: what happens under the scheduler lock */
    uint32_t ring_count;
    hsi_trace_device *devices;
    uint32_t device_count;
    uint32_t *counts;    /* the last of each counter and device */
    uint64_t counted_ns; /* when the latest of all was recorded */
    int file;
    char *path;
    const char
        *clock; /* what times are of; set at first to "CLOCK_MONOTONIC", which began_ns is
                          of, too */
    uint64_t began_ns;
    /* Guarded by the scheduler lock. */
    hsi_trace_model *models;
    uint32_t model_count;
} hsi_trace;

/*
 * Takes memory for `events` events in each ring and opens the file. The devices' names stay valid;
 * first_ring is set here. Errors: OUT_OF_MEMORY, LIMIT, IO.
 */
hsched_status hsi_trace_create(const char *path, uint32_t events,
                               const hsi_trace_device *devices, uint32_t device_count,
                               hsi_trace **trace);
/* Nobody records any more: writes and closes the file. `stats`: what is in it. Errors: IO,
 * OUT_OF_MEMORY. */
hsched_status hsi_trace_write(hsi_trace *trace, hsched_trace_stats *stats);
void hsi_trace_destroy(hsi_trace *trace);

/* Ring 0 belongs to who holds the scheduler lock; the others each to a worker. */
static inline hsi_trace_ring *hsi_trace_shared(hsi_trace *trace)
{
    return &trace->rings[0];
}

static inline hsi_trace_ring *hsi_trace_ring_of(hsi_trace *trace, uint32_t device,
                                                uint32_t worker)
{
    return &trace->rings[trace->devices[device].first_ring + worker];
}

/* 1: there is room for an event, which is counted. 0: it is dropped. */
static inline int hsi_trace_admit(hsi_trace_ring *ring, uint64_t begin_ns)
{
    if (ring->events < ring->capacity) {
        ring->events++;
        return 1;
    }
    if (ring->dropped++ == 0)
        ring->first_dropped_ns = begin_ns;
    return 0;
}

/* The record for an event that began then, to be filled in by the caller; NULL: no room. In place,
 * since a copy of what has just been written in pieces waits until all of them are in the cache. */
static inline hsi_trace_event *hsi_trace_next(hsi_trace_ring *ring, uint64_t begin_ns)
{
    if (!hsi_trace_admit(ring, begin_ns))
        return NULL;
    hsi_trace_event *record = ring->records + ring->count++;
    /* Those to come are fetched meanwhile: else the unlock that follows most events waits for
     * memory that is in no cache. */
    __builtin_prefetch(record + HSI_TRACE_AHEAD, 1);
    return record;
}

static inline void hsi_trace_put(hsi_trace_ring *ring, const hsi_trace_event *event)
{
    hsi_trace_event *record = hsi_trace_next(ring, event->begin_ns);
    if (record)
        *record = *event;
}

/* Into the record of the steps before it, if it goes on where they end; else one of its own. */
void hsi_trace_put_step(hsi_trace_ring *ring, const hsi_trace_step_end *step);

/* All of these under the scheduler lock. */

/* An event will name the model: the trace keeps what it needs of it. */
const hsi_trace_model *hsi_trace_see(hsi_trace *trace, hsi_trace_model *model);
/* Records the counter if its value has changed: at `now_ns`, a time that the caller has read
 * already, or that of the last one if that is later. */
void hsi_trace_count_change(hsi_trace *trace, hsi_trace_counter counter, uint32_t device,
                            uint32_t value, uint64_t now_ns);
static inline void hsi_trace_count(hsi_trace *trace, hsi_trace_counter counter,
                                   uint32_t device, uint32_t value, uint64_t now_ns)
{
    if (trace->counts[device * HSI_TRACE_COUNTERS + counter] != value)
        hsi_trace_count_change(trace, counter, device, value, now_ns);
}
/* A factor as the value of HSI_TRACE_LOAD. */
static inline uint32_t hsi_trace_percent(double factor)
{
    return factor < 1e6 ? (uint32_t)(100 * factor + 0.5) : 100000000u;
}

#endif
