/*
 * Every section on an accelerator that can take it; the CPU gets what none can. A run
 * keeps to one accelerator, so that its tensors stay in that one's memory; with several,
 * each run begins on the one with the smallest backlog.
 */
#include "sched/core.h"

static uint32_t place(const hsi_place_query *query)
{
    uint32_t accelerators = query->device_mask & ~UINT32_C(1);
    if (accelerators >> query->previous_device & 1)
        return query->previous_device;
    uint32_t best = 0;
    for (; accelerators != 0; accelerators &= accelerators - 1) {
        uint32_t device = (uint32_t)__builtin_ctz(accelerators);
        if (best == 0 || query->backlog[device] < query->backlog[best])
            best = device;
    }
    return best;
}

static int cut(uint32_t class_before, uint32_t class_after)
{
    (void)class_before;
    (void)class_after;
    return 0;
}

const hsi_policy hsi_policy_gpu_only = {
    .name = "gpu_only",
    .place = place,
    .cut = cut,
};
