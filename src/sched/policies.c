/* The policies that have a name, and the names of objectives. */
#include <string.h>

#include "sched/core.h"

static const hsi_policy *const policies[] = { &hsi_policy_cpu_only, &hsi_policy_gpu_only,
                                              &hsi_policy_layer_type, &hsi_policy_cost };

const hsi_policy *hsi_policy_get(uint32_t index)
{
    return index < sizeof policies / sizeof policies[0] ? policies[index] : NULL;
}

const hsi_policy *hsi_policy_find(const char *name)
{
    for (uint32_t i = 0; i < sizeof policies / sizeof policies[0]; i++)
        if (strcmp(policies[i]->name, name) == 0)
            return policies[i];
    return NULL;
}

HSCHED_API const char *hsched_objective_name(hsched_objective objective)
{
    switch (objective) {
    case HSCHED_OBJECTIVE_MAKESPAN:
        return "makespan";
    case HSCHED_OBJECTIVE_LATENCY:
        return "latency";
    case HSCHED_OBJECTIVE_ENERGY:
        return "energy";
    case HSCHED_OBJECTIVE_POWER_CAP:
        return "power_cap";
    case HSCHED_OBJECTIVE_DEFAULT:
        break;
    }
    return "default";
}
