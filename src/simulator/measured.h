/*
 * Costs of this machine, for a platform whose costs are measured: what the cost cache's file has of
 * its devices (cost/cache.h), which hsched profile has written there. The devices are opened to ask
 * what they can execute and what they are known by; nothing is executed.
 */
#ifndef HSI_SIMULATOR_MEASURED_H
#define HSI_SIMULATOR_MEASURED_H

#include "cost/cost.h"
#include "simulator/platform.h"

typedef struct hsi_measured {
    uint32_t device_count;
    const hsched_backend *backends[HSI_PLACEMENT_DEVICES];
    hsched_backend_device *handles[HSI_PLACEMENT_DEVICES];
    hsi_cost_table *table;
    uint32_t numbers[HSI_PLACEMENT_DEVICES]; /* of the devices in the table */
} hsi_measured;

/* Errors: those of opening the devices and of hsi_cost_cache_load; NOT_FOUND (there is no GPU);
 * UNSUPPORTED (a kind of device that has no backend). */
hsched_status hsi_measured_open(const hsi_platform *platform, hsi_measured **measured);
void hsi_measured_close(hsi_measured *measured); /* NULL: nothing */

int hsi_measured_supports(const hsi_measured *measured, uint32_t device,
                          const hsched_step *step);

typedef struct hsi_measured_query {
    const char *name; /* of the model */
    uint64_t model;   /* hsi_plan_hash */
    uint32_t sections;
    hsched_math math;
    uint32_t max_batch;
    uint32_t workers; /* of the CPU */
    uint32_t jobs;    /* of the device, at once */
} hsi_measured_query;

typedef struct hsi_measured_times {
    double *us; /* per section, of those that the device can execute */
    const uint8_t *wanted;
    /* The CPU: what so many workers take of what one takes (hsi_curve_shared_at), per section and
     * of a run; no points where that was never measured, so that help gains nothing. */
    hsi_curve *team, run_team;
    hsi_curve batch;   /* of whole runs */
    hsi_curve stretch; /* of the model's jobs; no points: never measured */
} hsi_measured_times;

/* The sections sum up to the whole run, if that was measured there and all of it is wanted. Errors:
 * NOT_FOUND (something was never measured: the detail says how that is done). */
hsched_status hsi_measured_find(const hsi_measured *measured, uint32_t device,
                                const hsi_measured_query *query,
                                hsi_measured_times *times);

/* How a model's jobs stretch, up to so many at once; no points where that was never measured.
 * `key`: of the model, the device and the number format. */
void hsi_measured_stretch_of(const hsi_cost_table *table, const hsi_cost_key *key,
                             uint32_t most, hsi_curve *curve);
/* How jobs on a device of the table stretch, up to so many at once. */
void hsi_measured_stretch(const hsi_cost_table *table, uint32_t device, uint32_t most,
                          hsi_curve *curve);

#endif
