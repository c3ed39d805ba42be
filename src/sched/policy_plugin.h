/* A policy of the user's, as the core sees it. */
#ifndef HSI_SCHED_POLICY_PLUGIN_H
#define HSI_SCHED_POLICY_PLUGIN_H

#include <hsched/policy.h>

#include "sched/core.h"

typedef struct hsi_policy_plugin {
    hsi_policy policy; /* first: the core's policy is at the same address */
    hsched_policy_plugin hooks;
    hsched_device_kind kinds[HSI_MAX_DEVICES];
} hsi_policy_plugin;

/* `kinds`: of the devices that there will be. The name is the hooks'. */
void hsi_policy_plugin_init(hsi_policy_plugin *plugin, const hsched_policy_plugin *hooks,
                            const hsched_device_kind *kinds, uint32_t device_count);
/* For hsi_core_config.order; `plugin` is a hsi_policy_plugin that has one. */
int64_t hsi_policy_plugin_order(void *plugin, const hsi_core_run *run);

#endif
