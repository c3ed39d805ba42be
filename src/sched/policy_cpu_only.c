/* Every section on the CPU workers. */
#include "sched/core.h"

static uint32_t place(const hsi_place_query *query)
{
    (void)query;
    return 0;
}

static int cut(uint32_t class_before, uint32_t class_after)
{
    (void)class_before;
    (void)class_after;
    return 0;
}

const hsi_policy hsi_policy_cpu_only = {
    .name = "cpu_only",
    .place = place,
    .cut = cut,
};
