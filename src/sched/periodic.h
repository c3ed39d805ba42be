/*
 * Is there time for a set of periodic sources? A pure function of what they need of each device: no
 * clock, no heap. It refuses only what certainly cannot be met, and says of the rest whether it is
 * proven. docs/design/scheduler.md has the tests, and what they take for granted.
 */
#ifndef HSI_SCHED_PERIODIC_H
#define HSI_SCHED_PERIODIC_H

#include "sched/core.h"

/* What one run takes of a device; zeros: nothing. Times are microseconds. */
typedef struct hsi_periodic_demand {
    double cost_us;  /* alone, on one worker */
    double least_us; /* of the device's time, at the very least: joined with others */
    double block_us; /* the longest job of it, which nothing interrupts */
    uint32_t pieces; /* jobs that it is executed as */
} hsi_periodic_demand;

typedef struct hsi_periodic_task {
    double period_us;
    double deadline_us; /* from the release */
    double due_us;      /* a run that ends later costs a release; at most the deadline */
    int priority;
    int known;    /* `on` says what a run takes, and where; 0: it is all zeros */
    int may_move; /* to other devices, later: nothing is proven of it */
    double
        span_us; /* a run cannot take less from beginning to end; 0: nothing is known */
    hsi_periodic_demand on[HSI_MAX_DEVICES];
    /* Not NULL: where its sections are executed is not known before each run is; `on` is where they
     * are expected, and counts for nothing but what is said. [section * device_count + device]:
     * what one takes of each device's time, at the very least; INFINITY: it is never there. */
    const double *anywhere_us;
    uint32_t section_count;
} hsi_periodic_task;

typedef struct hsi_periodic_device {
    uint32_t workers;
    double capacity; /* it does at most so many microseconds of cost in one */
    double stretch;  /* cost_us takes so many times as long when all workers are busy */
    int one_by_one;  /* each worker executes one job at a time, the best first */
} hsi_periodic_device;

typedef struct hsi_periodic_set {
    const hsi_periodic_task *tasks;
    uint32_t task_count;
    hsi_periodic_device devices[HSI_MAX_DEVICES];
    uint32_t device_count;
    /* Of one priority the earliest deadline goes first, as far as deadlines lie within this; one
     * priority level is worth more. 0: the order is not known. */
    double window_us;
} hsi_periodic_set;

/* From bad to good. */
typedef enum hsi_periodic_verdict {
    HSI_PERIODIC_TOO_LONG = 1,      /* a task's span is longer than its deadline */
    HSI_PERIODIC_TOO_MUCH,          /* a device has less time than is asked for */
    HSI_PERIODIC_TOO_MUCH_ANYWHERE, /* some device has, however runs are shared out */
    HSI_PERIODIC_UNKNOWN,           /* some are not known; the others are not refused */
    HSI_PERIODIC_POSSIBLE,
    HSI_PERIODIC_PROVEN
} hsi_periodic_verdict;

typedef struct hsi_periodic_result {
    hsi_periodic_verdict verdict;
    uint32_t task;   /* TOO_LONG: this one; UNKNOWN: the first of them */
    uint32_t device; /* TOO_MUCH: this one; POSSIBLE: of which it is not proven */
    double used; /* TOO_MUCH: what is asked for of each microsecond; ANYWHERE: of all that
                    the device does in one */
} hsi_periodic_result;

hsi_periodic_result hsi_periodic_admit(const hsi_periodic_set *set);

/* What is asked for of each microsecond of a device by those of which that is certain. */
double hsi_periodic_used(const hsi_periodic_set *set, uint32_t device);
/* periodic_share.c: what is asked for of all that a device does, of the busiest, however runs that
 * may be executed anywhere are shared out: not more than that, and usually hardly less. */
double hsi_periodic_needed(const hsi_periodic_set *set);

#endif
