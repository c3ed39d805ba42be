/*
 * A simulated device with a queue, for tests without a GPU: the complete table of
 * hsched/backend.h in plain C, with the reference kernels. A program that calls any of these
 * functions has it instead of the GPU plug-in: queue_device.c defines hsched_backend_entry,
 * which the library prefers to a plug-in, and comes out of libtests.a for such programs only.
 *
 * It is as separate from the CPU as a GPU: its addresses are none of the CPU's, every slot
 * has memory of its own that holds nonsense (NaNs) when a run begins, tensors cross in the
 * host's arena alone, and jobs are executed by its own threads, in any order that a script
 * asks for. Whatever the library does that hsched/backend.h forbids is noted down, and fails
 * the test in queue_device_end().
 */
#ifndef TESTS_COMMON_QUEUE_DEVICE_H
#define TESTS_COMMON_QUEUE_DEVICE_H

#include <hsched/backend.h>

typedef struct queue_device_script {
    uint64_t seed;        /* jobs are executed in a random order, and their ends are seen
                             late; 0: in order, at once */
    uint64_t unsupported; /* bits 1 << HSCHED_STEP_...: kinds that it cannot execute */
    uint32_t devices;     /* 0: one */
    uint32_t ready;       /* batches of up to so many need no background work first */
    int never_registers;  /* memory of the user's is never reachable */
    int never_maps;       /* nor host memory of its own */
} queue_device_script;

/* Before a runtime is created; and when all are gone: nothing may be left of them. */
void queue_device_begin(const queue_device_script *script);
void queue_device_end(void);

/* Devices that are open: how many. 0: every runtime has let go of its devices. */
uint32_t queue_device_open_count(void);

/* ---- Gates ---------------------------------------------------------------- */

typedef enum queue_gate {
    QUEUE_GATE_JOBS,      /* no job begins to be executed */
    QUEUE_GATE_SUBMIT,    /* queue_submit does not return */
    QUEUE_GATE_BACKGROUND /* a piece of background work does not end by itself */
} queue_gate;

void queue_device_close_gate(queue_gate gate);
void queue_device_open_gate(queue_gate gate);

typedef enum queue_count {
    QUEUE_COUNT_SUBMITS,    /* queue_submit was entered */
    QUEUE_COUNT_STARTED,    /* jobs that are in a lane, or were */
    QUEUE_COUNT_EXECUTED,   /* jobs that were executed to their end */
    QUEUE_COUNT_BACKGROUND, /* pieces of background work begun */
    QUEUE_COUNT_WAITS,      /* wait_event was entered */
    QUEUE_COUNTS
} queue_count;

uint64_t queue_device_count(queue_count what);
void queue_device_await(queue_count what, uint64_t count); /* until there were so many */

/* ---- What it was given ---------------------------------------------------- */

typedef struct queue_device_job {
    uint32_t members, first_step, step_count, lane, device;
    int priority;
} queue_device_job;

/* The k-th job since queue_device_begin, counted from 0; 0: there was none. */
int queue_device_get_job(uint64_t k, queue_device_job *job);
/* The most jobs of one model that were in lanes at the same time. */
uint32_t queue_device_most_jobs(void);

/* ---- Faults --------------------------------------------------------------- */

typedef enum queue_call {
    QUEUE_CALL_PREPARE = 1 << 0, /* section_prepare */
    QUEUE_CALL_SLOT = 1 << 1,    /* queue_slot_create */
    QUEUE_CALL_SUBMIT = 1 << 2,
    QUEUE_CALL_FINISH = 1 << 3,
    QUEUE_CALL_WAIT = 1 << 4, /* wait_event */
    QUEUE_CALL_BACKGROUND = 1 << 5,
    QUEUE_CALL_CREATE = 1 << 6, /* memory_create */
    QUEUE_CALL_REGISTER = 1 << 7,
    QUEUE_CALL_COPY = 1 << 8,
    QUEUE_CALL_ANY = (1 << 9) - 1
} queue_call;

/* The k-th of these calls from now (1: the next) fails with the status; 0: none does. With
 * HSCHED_ERROR_DEVICE the device is lost from then on. */
void queue_device_fail_call(uint64_t k, uint32_t calls, hsched_status status);
/* Has the call failed? */
int queue_device_has_failed(void);
/* The device is lost in the middle of the k-th job that it executes from now; 0: it is not. */
void queue_device_lose_in_job(uint64_t k);

/* ---- Its meters ----------------------------------------------------------- */

/* What they say from now on; known 0, or NULL: there are none. */
void queue_device_set_meters(const hsched_meters *meters);

/* ---- Its memory ----------------------------------------------------------- */

/* For buffers made with hsched_buffer_create_on: no run may use them meanwhile. */
void queue_device_write(uint64_t address, const void *data, size_t size);
void queue_device_read(uint64_t address, void *data, size_t size);

/* ---- Its events ----------------------------------------------------------- */

typedef struct queue_event queue_event;

queue_event *queue_event_create(void);
void queue_event_destroy(queue_event *event);
void queue_event_set(queue_event *event);
int queue_event_is_set(queue_event *event);
void queue_event_await(queue_event *event); /* also those of hsched_run_get_event */

#endif
