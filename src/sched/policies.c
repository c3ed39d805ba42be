/* The policies that have a name. */
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
