/* The text that a device is known by in the cost table. */
#ifndef HSI_COST_DEVICE_H
#define HSI_COST_DEVICE_H

#include "cost/cost.h"

typedef struct hsi_cost_device_facts {
    hsched_device_info info; /* of the device */
    hsched_device_info cpu;  /* GPUs and simulated devices depend on the processor, too */
    int is_cpu;
    int reference;          /* the CPU's kernels are the plain ones */
    uint32_t cpu_libraries; /* that it was confined to; 0: it was not */
} hsi_cost_device_facts;

/* Everything that times depend on. Parts are cut off where they are too long, so that what comes
 * behind them stays. */
void hsi_cost_describe_device(const hsi_cost_device_facts *facts,
                              char text[HSI_COST_DEVICE_TEXT]);

#endif
