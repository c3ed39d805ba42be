/*
 * What the devices' meters say: of a GPU its driver's (hsched_backend.read_meters) or a rail of the
 * board, of the CPU RAPL or a rail. The background thread reads them while there is work, and a
 * little longer; whoever asks (hsched_runtime_read_meter, a profile) has them read at once.
 *
 * Readings serve three ends: energy adds up, also of meters that know watts only; under a power cap
 * the core is told what was drawn; and where nothing of ours was executing, use is the doing of
 * others, so that their load is known before a first job has shown it.
 */
#ifndef HSI_RUNTIME_METERS_H
#define HSI_RUNTIME_METERS_H

#include "runtime/runtime.h"

typedef struct hsi_metered {
    uint32_t known; /* bits of HSCHED_METERS_...; JOULES with WATTS, too */
    double watts, use;
    double joules; /* since the runtime was made */
    uint64_t at_us;
    const char *name;
} hsi_metered;

/* Once the devices are open. Errors: OUT_OF_MEMORY, SYSTEM. */
hsched_status hsi_meters_open(hsched_runtime *rt);
void hsi_meters_close(hsched_runtime *rt); /* also after a failed open */

/* Is there any? */
int hsi_meters_any(const hsched_runtime *rt);
/* Reads the device's meter. 0: it has none, or it cannot be read now. Not under a lock. */
int hsi_meters_read(hsched_runtime *rt, uint32_t device, hsi_metered *reading);
/* The background thread's part: reads all, and tells the core. Not under a lock. */
void hsi_meters_work(hsched_runtime *rt);
/* How long until it should be done again: 0.1 s, or as much more as keeps it below a thousandth of
 * a CPU. */
uint64_t hsi_meters_period_us(const hsched_runtime *rt);

/* Under the scheduler lock: how slowed down a device is by others, by what its meter says of a time
 * in which we did nothing there; 1: nothing is known, or its own jobs have shown it since. */
double hsi_meters_load(const hsched_runtime *rt, uint32_t device, uint64_t now_us);

#endif
