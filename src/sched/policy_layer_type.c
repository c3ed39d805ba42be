/*
 * Convolutions on the first accelerator, all else on the CPU: M. Kim's static split
 * (2021). Sections are cut where convolutions meet other layers, so a section is either
 * all convolutions or has none.
 */
#include "sched/core.h"

static uint32_t place(const hsi_place_query *query)
{
    const hsi_core_section *section = &query->model->sections[query->section];
    uint32_t accelerators = query->device_mask & ~UINT32_C(1);
    if (!(section->class_bits & HSCHED_CLASS_CONVOLUTION) || accelerators == 0)
        return 0;
    return (uint32_t)__builtin_ctz(accelerators);
}

static int cut(uint32_t class_before, uint32_t class_after)
{
    return !(class_before & HSCHED_CLASS_CONVOLUTION) !=
           !(class_after & HSCHED_CLASS_CONVOLUTION);
}

const hsi_policy hsi_policy_layer_type = {
    .name = "layer_type",
    .place = place,
    .cut = cut,
};
