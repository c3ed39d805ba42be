#include "stress/power_model.h"

/* The cap for a second: more is forgiven. */
#define FORGIVEN_US 1e6
#define NOTHING_UJ  1.0

double power_model_watts(const power_model *power)
{
    double watts = 0;
    for (uint32_t d = 0; d < power->device_count; d++)
        watts += power->executes[d] && power->watts[d] > power->idle_watts[d]
                     ? power->watts[d]
                     : power->idle_watts[d];
    return watts;
}

void power_model_advance(power_model *power, uint64_t now_us)
{
    if (now_us <= power->now_us)
        return;
    const double us = (double)(now_us - power->now_us);
    power->now_us = now_us;
    if (!(power->cap > 0))
        return;
    power->owed_uj += (power_model_watts(power) - power->cap) * us;
    if (power->owed_uj < 0)
        power->owed_uj = 0;
    if (power->owed_uj > power->cap * FORGIVEN_US)
        power->owed_uj = power->cap * FORGIVEN_US;
}

int power_model_allows(const power_model *power, uint32_t device)
{
    const double now = power_model_watts(power);
    power_model with = *power;
    if (!(power->cap > 0))
        return 1;
    with.executes[device] = 1;
    if (power_model_watts(&with) <= power->cap)
        return 1; /* it fits */
    int idle = 1;
    for (uint32_t d = 0; d < power->device_count; d++)
        idle &= !power->executes[d];
    if (now >= power->cap && idle)
        return 1; /* waiting would pay nothing back */
    return now <= power->cap && power->owed_uj <= NOTHING_UJ;
}

uint64_t power_model_until(const power_model *power, uint32_t device)
{
    if (power_model_allows(power, device))
        return power->now_us;
    const double saved = power->cap - power_model_watts(power);
    if (!(saved > 0))
        return UINT64_MAX;
    uint64_t us = (uint64_t)(power->owed_uj / saved);
    us += (double)us * saved < power->owed_uj;
    return power->now_us + 1 + us;
}
