/*
 * Placement search: on which device each section of a model is best executed, when things take
 * so long on each device and tensors take so long to pass between them. Pure: no clock, no
 * threads; the caller says what everything costs.
 *
 * A placement is judged by a list schedule of one run: sections in their order, each as soon as
 * what it reads is there and its device has a free worker. For a chain that is the sum of its
 * sections and crossings; branches on different devices overlap. Times are microseconds.
 *
 * docs/design/placement.md says which search is used, and why.
 */
#ifndef HSI_PLAN_PLACEMENT_H
#define HSI_PLAN_PLACEMENT_H

#include <stdint.h>

#include <hsched/hsched.h>

enum {
    HSI_PLACEMENT_DEVICES = 16, /* at most; device 0 is the CPU */
    HSI_PLACEMENTS_MAX = 16     /* of one model */
};

typedef struct hsi_placement_section {
    uint32_t device_mask; /* devices that can execute it; bit 0 is always set */
    uint32_t dep_count;   /* sections whose results it reads, all with smaller indices */
    const uint32_t *deps;
    const uint64_t *dep_bytes; /* per dep: what passes, of one run */
    uint64_t input_bytes,
        output_bytes; /* of the model's inputs and outputs, which lie in the
                                           CPU's memory, that it reads and writes */
} hsi_placement_section;

/* What it costs to hand tensors over: so long, and so long for each byte. */
typedef struct hsi_placement_link {
    double us, us_per_byte;
} hsi_placement_link;

typedef struct hsi_placement_problem {
    uint32_t section_count, device_count; /* both at least 1 */
    const hsi_placement_section *sections;
    const double
        *us; /* [section * device_count + device]: executing it there, as a part of a
                         longer job; >= 0, and of no meaning where the device cannot */
    double job_us
        [HSI_PLACEMENT_DEVICES]; /* beginning a job there: once for consecutive sections on
                                             the same device */
    uint32_t workers
        [HSI_PLACEMENT_DEVICES]; /* sections that it executes at the same time, >= 1 */
    double
        weight[HSI_PLACEMENT_DEVICES]; /* > 0: its jobs take so many times as long now */
    hsi_placement_link links[HSI_PLACEMENT_DEVICES]
                            [HSI_PLACEMENT_DEVICES]; /* [from][to] */
} hsi_placement_problem;

typedef struct hsi_placement_totals {
    double latency_us; /* of the list schedule, weights included: what is minimised */
    double work_us
        [HSI_PLACEMENT_DEVICES]; /* its sections' and jobs' times there, without weights */
    double crossing_us; /* of all that pass between devices, inputs and outputs too */
    uint64_t crossing_bytes;
    /* Results of sections that pass to another device, once for all that read them there. */
    uint32_t crossings;
    uint32_t jobs; /* maximal groups of consecutive sections on one device */
} hsi_placement_totals;

/* What a placement, one device per section, amounts to. Errors: OUT_OF_MEMORY. */
hsched_status hsi_placement_evaluate(const hsi_placement_problem *problem,
                                     const uint8_t *devices,
                                     hsi_placement_totals *totals);

/*
 * The best placement found; `devices`: section_count entries. For a chain on which every section
 * reads the one before it only, it is the best there is; else it is no worse than any placement
 * on one device (with what that cannot do on the CPU). Errors: OUT_OF_MEMORY.
 */
hsched_status hsi_placement_search(const hsi_placement_problem *problem, uint8_t *devices,
                                   hsi_placement_totals *totals);

/* The placements worth having, whatever the load: those found for weights of the accelerators
 * from 1/8 to 64 of the CPU's, and all on the CPU. No two are the same; by their work on the
 * CPU, ascending. */
typedef struct hsi_placement_set {
    uint32_t count, section_count, device_count;
    uint8_t *devices; /* [placement * section_count + section] */
    hsi_placement_totals totals[HSI_PLACEMENTS_MAX]; /* with all weights 1 */
} hsi_placement_set;

/* `problem->weight` is not looked at. Errors: OUT_OF_MEMORY; *set is empty then. */
hsched_status hsi_placement_set_make(const hsi_placement_problem *problem,
                                     hsi_placement_set *set);
void hsi_placement_set_clear(hsi_placement_set *set); /* zeroed, too: nothing */

#endif
