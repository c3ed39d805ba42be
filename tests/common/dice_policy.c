#include "common/dice_policy.h"

static uint32_t place(void *user, const hsched_policy_section *section)
{
    dice *d = user;
    d->random = d->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    const uint32_t thrown = (uint32_t)(d->random >> 33);
    if (thrown % 8 >= d->stay)
        d->device = thrown / 8 % section->device_count;
    return section->device_mask >> d->device & 1 ? d->device : 0;
}

static int cut(void *user, uint32_t before, uint32_t after)
{
    (void)user;
    return before != after;
}

hsched_policy_plugin dice_policy(dice *d)
{
    return (hsched_policy_plugin){ HSCHED_POLICY_PLUGIN_INIT, .name = "dice", .user = d,
                                   .place = place, .cut = cut };
}
