/*
 * Platforms: what a machine that is simulated consists of, and what things cost there, from a
 * text file (docs/design/simulator.md has the keys). Read once, immutable afterwards.
 */
#ifndef HSI_SIMULATOR_PLATFORM_H
#define HSI_SIMULATOR_PLATFORM_H

#include <hsched/backend.h>

#include "plan/placement.h"
#include "simulator/curve.h"

enum {
    HSI_PLATFORM_NAME = 32, /* bytes of a device's name, the 0 at the end included */
    HSI_PLATFORM_CLASSES = 7,
    HSI_PLATFORM_DEPTHWISE = 6 /* in the same array: convolutions in groups */
};

typedef enum hsi_platform_kind {
    HSI_PLATFORM_CPU = 1,
    HSI_PLATFORM_GPU,
    HSI_PLATFORM_DLA,
    HSI_PLATFORM_SIM /* of a runtime; not in files */
} hsi_platform_kind;

typedef struct hsi_platform_device {
    char name[HSI_PLATFORM_NAME];
    hsi_platform_kind kind;
    uint32_t workers;          /* jobs that are executed at once */
    uint32_t sections_per_job; /* UINT32_MAX: all */
    uint32_t max_batch;
    uint32_t team;   /* the CPU: workers that share a job */
    double parallel; /* the CPU: of the work, what they can share */
    /* Of one worker of the CPU; of all of another device. By hsched_math, 0: as in float32. */
    double gflops[HSCHED_MATH_BF16 + 1];
    double gb_per_s;
    double step_us, job_us;
    double watts,
        idle_watts; /* when it works, all workers of the CPU; when not. 0: not known */
    double efficiency
        [HSI_PLATFORM_CLASSES]; /* by number of the class: of gflops for those that
                                                compute, of gb_per_s for the others */
    uint64_t classes;           /* HSCHED_CLASS_... that it can execute, */
    uint64_t without;           /*   but for these kinds: bits 1 << kind */
    uint32_t conv_kernel, pool_kernel, channels, groups; /* at most; 0: any */
    hsi_curve stretch, batch;
} hsi_platform_device;

typedef struct hsi_platform {
    char *path, *name, *description;
    int measured; /* costs are the cost cache's, not the devices' rates */
    uint32_t device_count;
    hsi_platform_device devices[HSI_PLACEMENT_DEVICES];
    hsi_placement_link links[HSI_PLACEMENT_DEVICES]
                            [HSI_PLACEMENT_DEVICES]; /* [from][to] */
} hsi_platform;

/* Errors: IO; FORMAT, with the file's name, the line, and what to write there; OUT_OF_MEMORY. */
hsched_status hsi_platform_load(const char *path, hsi_platform **platform);
/* The same of a text; `path` is for errors. */
hsched_status hsi_platform_parse(const char *path, const char *text, size_t size,
                                 hsi_platform **platform);
void hsi_platform_destroy(hsi_platform *platform);

/* UINT32_MAX: there is none of that name. */
uint32_t hsi_platform_find_device(const hsi_platform *platform, const char *name);
const char *hsi_platform_kind_name(hsi_platform_kind kind);

/* ---- What things cost by the rates ----------------------------------------- */

int hsi_platform_supports(const hsi_platform_device *device, const hsched_step *step);
/* A step of one run, as a part of a longer job, alone: the roofline. */
double hsi_platform_step_us(const hsi_platform_device *device, hsched_math math,
                            const hsched_step *step, double flops, double bytes);

#endif
