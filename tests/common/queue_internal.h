/* The simulated device with a queue: what its files share. See queue_device.h. */
#ifndef TESTS_COMMON_QUEUE_INTERNAL_H
#define TESTS_COMMON_QUEUE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "backend/sim/constants.h"
#include "common/queue_device.h"

enum {
    QUEUE_MAX_LANES = 32,
    QUEUE_MAX_BATCH = 64,
    QUEUE_EXECUTORS = 2,
    QUEUE_MAX_JOBS = 1 << 16 /* that are remembered */
};

struct queue_event {
    int set; /* guarded by the world's mutex */
};

typedef enum lane_state {
    LANE_IDLE = 0,
    LANE_PENDING,
    LANE_EXECUTING,
    LANE_DONE,   /* until the next job */
    LANE_DROPPED /* the device was lost */
} lane_state;

/* A job as the device keeps it: nothing in it points to the caller's description. */
typedef struct queue_lane {
    lane_state state;
    hsched_backend_slot *slot;
    uint32_t members, first_step, step_count;
    queue_event *events[QUEUE_MAX_BATCH]; /* it waits for */
    uint32_t event_count;
    uint64_t sequence;
    uint32_t unseen_polls; /* its end is not seen so many times */
} queue_lane;

struct hsched_backend_device {
    uint32_t ordinal, lane_count, executor_count;
    char name[16];
    uint64_t memory_limit;
    pthread_t executors[QUEUE_EXECUTORS];
    /* Guarded by the world's mutex. */
    queue_lane lanes[QUEUE_MAX_LANES];
    struct hsched_backend_section *sections;
    int lost, closing, background_stopped;
    uint64_t memory_bytes, memory_peak, allocations, tunings, launches;
    atomic_ullong staged_bytes;
};

struct hsched_backend_section {
    hsched_backend_device *device;
    uint32_t step_count;
    const hsched_step *steps;
    hsched_step_places *places; /* a copy, writers included */
    uint32_t *writers;
    uint32_t
        *last_readers; /* per step: the last one that reads its result; 0: none does */
    hsi_sim_constants constants;
    size_t arena_size;
    uint32_t input_count, output_count;
    size_t *io_bytes; /* per input, then output */
    uint32_t max_batch;
    int joinable;
    /* Guarded by the world's mutex. */
    struct hsched_backend_section *next;
    uint64_t ready, wishes; /* bit k: batches of k + 1 */
    int busy, going;        /* background work is at it; it is about to be destroyed */
    uint32_t slots, jobs;
};

/* Memory of one member: the arena, then a copy of each input and output. */
struct hsched_backend_slot {
    hsched_backend_section *section;
    uint32_t members;
    size_t member_bytes;
    size_t *io_offsets; /* in a member's memory */
    char *memory;
    hsched_memory *ios; /* [member][io]: as they were bound; set by the run's first job */
    void **stages; /* [member][io]: stands in for what the device cannot reach, or NULL */
    uint32_t next_step; /* behind those of the run's latest job */
    uint8_t *staged;    /* per step: its result was brought to its stage in this run */
    hsched_memory arena;
    queue_event event; /* of the last job's end */
    int in_run;        /* it holds what a run has made; guarded by the world's mutex */
};

/* ---- queue_device.c: one world for all devices ---- */

typedef struct queue_existing {
    uint32_t devices, sections, slots, memories;
} queue_existing;

typedef struct queue_world {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    const hsched_backend_host *host;
    queue_device_script script;
    uint64_t random;
    hsched_meters meters;
    int closed_gates[3];
    uint64_t counts[QUEUE_COUNTS];
    uint64_t fail_after, lose_after;
    uint32_t fail_calls;
    hsched_status fail_status;
    uint64_t sequence;
    queue_existing now, before; /* at queue_device_begin */
    uint32_t most_jobs;
    uint64_t job_count;
    queue_device_job *jobs;
    char complaint[512]; /* the first */
} queue_world;
extern queue_world queue_the;

void queue_lock(void);
void queue_unlock(void);
void queue_changed(void);                  /* wakes all who wait for something */
void queue_wait(void);                     /* for that; under the mutex */
uint64_t queue_random(uint64_t below);     /* under the mutex */
void queue_count_up(queue_count what);     /* under the mutex */
void queue_wait_for_gate(queue_gate gate); /* under the mutex */
/* The library has broken a rule. Any thread, with the mutex or without. */
void queue_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* To be called first by whatever can fail; under the mutex. */
hsched_status queue_enter(hsched_backend_device *device, queue_call call);
void queue_lose(hsched_backend_device *device); /* under the mutex */
hsched_status queue_out_of_memory(const char *what);

/* ---- queue_memory.c ---- */

hsched_status queue_memory_create(hsched_backend_device *device, size_t size,
                                  int on_device, hsched_memory *memory);
hsched_status queue_memory_register(hsched_backend_device *device, void *host,
                                    size_t size, hsched_memory *memory);
void queue_memory_destroy(hsched_backend_device *device, hsched_memory *memory);
hsched_status queue_memory_copy(hsched_backend_device *device, uint64_t address,
                                void *host, size_t size, int to_device);
/* What lies at an address, all of it within one piece of memory: the device's own or mapped host
 * memory, no other device's. NULL: any device's. */
void *queue_translate(const hsched_backend_device *device, uint64_t address, size_t size);
uint32_t queue_memory_count(void); /* pieces that exist */
/* Memory of its own that no address is known of. */
hsched_status queue_take(hsched_backend_device *device, size_t size, char **memory);
void queue_give(hsched_backend_device *device, char *memory, size_t size);

/* ---- queue_section.c ---- */

int queue_supports(const hsched_backend_device *device, const hsched_step *step);
hsched_status queue_section_prepare(hsched_backend_device *device,
                                    hsched_section_config *config,
                                    hsched_backend_section **section);
void queue_section_destroy(hsched_backend_section *section);
const char *queue_kernel_name(const hsched_backend_section *section, uint32_t step);
uint64_t queue_weight_bytes(const hsched_backend_section *section);
int queue_joinable(const hsched_backend_section *section);
uint32_t queue_batch(hsched_backend_section *section, uint32_t joined, uint32_t others,
                     uint32_t *members);
hsched_status queue_background(hsched_backend_device *device, int *did);
int queue_has_background(const hsched_backend_device *device);
void queue_background_stop(hsched_backend_device *device);
hsched_status queue_slot_create(hsched_backend_section *section, uint32_t members,
                                hsched_backend_slot **slot);
void queue_slot_destroy(hsched_backend_slot *slot);
void queue_slot_idle(hsched_backend_slot *slot);

/* ---- queue_execute.c ---- */

/* One step for one member, with what passes in before and out after it. */
hsched_status queue_execute_step(hsched_backend_slot *slot, const queue_lane *job,
                                 uint32_t member, uint32_t step);
/* For what the device cannot reach. To the stages: before a job begins; back: after it. */
hsched_status queue_make_stages(hsched_backend_slot *slot, uint32_t members);
void queue_stage_inputs(hsched_backend_slot *slot, uint32_t members);
void queue_stage_job(hsched_backend_slot *slot, const hsched_queue_job *job, int to_slot);

/* ---- queue_lanes.c ---- */

hsched_status queue_start_executors(hsched_backend_device *device);
void queue_stop_executors(hsched_backend_device *device);
hsched_status queue_submit(hsched_backend_slot *slot, const hsched_queue_job *job,
                           uint32_t lane);
hsched_status queue_poll(hsched_backend_device *device, uint32_t lane, int *done);
hsched_status queue_finish(hsched_backend_slot *slot, const hsched_queue_job *job);
void *queue_slot_event(hsched_backend_slot *slot);
hsched_status queue_wait_event(hsched_backend_device *device, void *event);

#endif
