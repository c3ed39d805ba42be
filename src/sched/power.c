/*
 * The power cap: jobs are kept back so that what the devices draw stays below it on the average.
 *
 * What is drawn above the cap is owed, what is drawn below pays it back, and nothing is saved up. A
 * job that makes the devices draw more than the cap begins when nothing is owed, and no other one
 * beside it. So of any time that begins with nothing owed the average is above the cap by no more
 * than what is owed at its end: what one job, and those that had begun before it, draw above it
 * until they end. Whoever wants a job asks whether it may begin; nobody is stopped.
 *
 * A device draws its watts while any job executes there, the CPU too, whose idle workers help.
 */
#include <math.h>

#include "sched/internal.h"

#define NOTHING_UJ 1.0 /* less is owed by rounding */
/* More is forgiven: what other programs draw is counted where it is measured, and would keep jobs
 * back for as long as it took to pay for all of it. */
#define FORGIVEN_US 1e6
/* Some thirty years. What is paid back more slowly than that (a cap just above what is drawn while
 * all idle) is looked at again then: the quotient itself may be no time at all. */
#define LONGEST_US 1e15

static double active_watts(const hsi_core_device *device)
{
    return device->watts > device->idle_watts ? device->watts - device->idle_watts : 0;
}

static double modelled_watts(const hsi_core *core, uint32_t device)
{
    const hsi_core_device *d = &core->config.devices[device];
    return d->idle_watts + (core->executing[device].count > 0 ? active_watts(d) : 0);
}

static double counted_watts(const hsi_core *core, uint32_t device)
{
    const double watts = modelled_watts(core, device) + core->drawn[device].off_watts;
    return watts > 0 ? watts : 0;
}

static double all_watts(const hsi_core *core)
{
    double watts = 0;
    for (uint32_t d = 0; d < core->config.device_count; d++)
        watts += counted_watts(core, d);
    return watts;
}

static void owe(hsi_core *core, double uj)
{
    const double most = core->config.power_cap_watts * FORGIVEN_US;
    core->owed_uj += uj;
    if (core->owed_uj < NOTHING_UJ)
        core->owed_uj = 0;
    if (core->owed_uj > most)
        core->owed_uj = most;
}

void hsi_power_advance(hsi_core *core, uint64_t now_us)
{
    if (!(core->config.power_cap_watts > 0))
        return;
    const double us = (double)(now_us - core->now_us);
    for (uint32_t d = 0; d < core->config.device_count; d++) {
        core->drawn[d].modelled_uj += modelled_watts(core, d) * us;
        core->drawn[d].counted_uj += counted_watts(core, d) * us;
    }
    owe(core, (all_watts(core) - core->config.power_cap_watts) * us);
}

void hsi_power_told(hsi_core *core, uint32_t device, double watts)
{
    hsi_drawn *drawn = &core->drawn[device];
    if (!(core->config.power_cap_watts > 0) || core->now_us <= drawn->since_us)
        return;
    const double us = (double)(core->now_us - drawn->since_us);
    owe(core, watts * us - drawn->counted_uj);
    drawn->off_watts = watts - drawn->modelled_uj / us;
    drawn->since_us = core->now_us;
    drawn->modelled_uj = drawn->counted_uj = 0;
}

int hsi_power_allows(const hsi_core *core, uint32_t device)
{
    const double cap = core->config.power_cap_watts;
    if (!(cap > 0))
        return 1;
    const double now = all_watts(core);
    const double more = core->executing[device].count > 0
                            ? 0
                            : active_watts(&core->config.devices[device]);
    if (now + more <= cap || (now <= cap && core->owed_uj <= NOTHING_UJ))
        return 1;
    /* Where others draw all there is, waiting pays nothing back: rather one at a time than none. */
    int any = 0;
    for (uint32_t d = 0; d < core->config.device_count; d++)
        any |= core->executing[d].count > 0;
    return !any && now >= cap;
}

uint64_t hsi_power_until(const hsi_core *core, uint32_t device)
{
    const double saved = core->config.power_cap_watts - all_watts(core);
    if (hsi_power_allows(core, device))
        return core->now_us;
    if (!(saved > 0))
        return UINT64_MAX;
    return core->now_us + 1 + (uint64_t)fmin(ceil(core->owed_uj / saved), LONGEST_US);
}

double hsi_power_spare_watts(const hsi_core *core)
{
    double watts = core->config.power_cap_watts;
    if (!(watts > 0))
        return 0;
    for (uint32_t d = 0; d < core->config.device_count; d++)
        watts -= core->config.devices[d].idle_watts;
    return watts > 0 ? watts : 0;
}
