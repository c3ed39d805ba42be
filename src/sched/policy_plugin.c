#include "sched/policy_plugin.h"

static hsched_policy_run describe_run(const hsi_core_run *run)
{
    return (hsched_policy_run){ .struct_size = sizeof(hsched_policy_run),
                                .model = run->model->name ? run->model->name : "",
                                .priority = run->priority,
                                .submitted_us = run->submitted_us,
                                .deadline_us = run->deadline_us };
}

static uint32_t place(const hsi_place_query *query)
{
    const hsi_policy_plugin *plugin = (const hsi_policy_plugin *)query->model->policy;
    const hsi_core_section *section = &query->model->sections[query->section];
    const hsched_policy_run run = describe_run(query->run);
    uint32_t workers[HSI_MAX_DEVICES];
    for (uint32_t d = 0; d < query->device_count; d++)
        workers[d] = query->devices[d].workers;
    const hsched_policy_section asked = { .struct_size = sizeof asked,
                                          .run = &run,
                                          .section = query->section,
                                          .section_count = query->model->section_count,
                                          .layer_classes = section->class_bits,
                                          .device_mask = query->device_mask,
                                          .device_count = query->device_count,
                                          .kinds = plugin->kinds,
                                          .workers = workers,
                                          .backlog = query->backlog,
                                          .previous_device = query->previous_device,
                                          .now_us = query->now_us };
    return plugin->hooks.place(plugin->hooks.user, &asked);
}

/* A user's policy that cuts does so by way of hsi_plan_config.groups. */
static int never_cut(uint32_t class_before, uint32_t class_after)
{
    (void)class_before;
    (void)class_after;
    return 0;
}

int64_t hsi_policy_plugin_order(void *object, const hsi_core_run *core_run)
{
    const hsi_policy_plugin *plugin = object;
    const hsched_policy_run run = describe_run(core_run);
    return plugin->hooks.order(plugin->hooks.user, &run);
}

void hsi_policy_plugin_init(hsi_policy_plugin *plugin, const hsched_policy_plugin *hooks,
                            const hsched_device_kind *kinds, uint32_t device_count)
{
    *plugin = (hsi_policy_plugin){
        .policy = { .name = hooks->name,
                    .anywhere = 1,
                    .place = place,
                    .cut = never_cut },
        .hooks = *hooks,
    };
    for (uint32_t d = 0; d < device_count; d++)
        plugin->kinds[d] = kinds[d];
}
