/*
 * Runs whose sections may be executed on several devices, as each comes to be: what all of them
 * need of the busiest device at the least, however they are shared out.
 *
 * If a microsecond of each device had a price, and all microseconds that devices do in one cost 1
 * together, nobody could pay less for a section than it costs where it is cheapest. The sum of that
 * is a lower bound of what the busiest device is asked for, whatever the prices (the dual of the
 * linear program that shares sections out in fractions). Prices are found by multiplicative weights
 * (Plotkin, Shmoys and Tardos, 1995): who is asked for more becomes dearer. They need not be the
 * best ones for the bound to hold.
 */
#include <math.h>

#include "sched/periodic.h"

enum {
    STEPS = 600
};

typedef struct prices {
    double logs[HSI_MAX_DEVICES]; /* of the shares of the price of all time; not scaled */
    double of_us[HSI_MAX_DEVICES];
    double load
        [HSI_MAX_DEVICES]; /* what is asked for at these prices, of each microsecond */
} prices;

static void set_prices(const hsi_periodic_set *set, prices *p)
{
    double highest = -INFINITY, sum = 0;
    for (uint32_t d = 0; d < set->device_count; d++)
        highest = fmax(highest, p->logs[d]);
    for (uint32_t d = 0; d < set->device_count; d++)
        sum += exp(p->logs[d] - highest);
    for (uint32_t d = 0; d < set->device_count; d++)
        p->of_us[d] = exp(p->logs[d] - highest) / sum / set->devices[d].capacity;
}

/* All go where it is cheapest; what that costs. */
static double share_out(const hsi_periodic_set *set, prices *p)
{
    double cost = 0;
    for (uint32_t d = 0; d < set->device_count; d++)
        p->load[d] = hsi_periodic_used(set, d);
    for (uint32_t i = 0; i < set->task_count; i++) {
        const hsi_periodic_task *t = &set->tasks[i];
        for (uint32_t s = 0; t->anywhere_us && s < t->section_count; s++) {
            const double *us = t->anywhere_us + (size_t)s * set->device_count;
            uint32_t best = 0;
            for (uint32_t d = 1; d < set->device_count; d++)
                if (p->of_us[d] * us[d] < p->of_us[best] * us[best])
                    best = d;
            p->load[best] += us[best] / t->period_us;
        }
    }
    for (uint32_t d = 0; d < set->device_count; d++)
        cost += p->of_us[d] * p->load[d];
    return cost;
}

double hsi_periodic_needed(const hsi_periodic_set *set)
{
    prices p = { .load = { 0 } };
    double most = 0;
    for (int step = 1; step <= STEPS; step++) {
        double busiest = 0;
        set_prices(set, &p);
        most = fmax(most, share_out(set, &p));
        for (uint32_t d = 0; d < set->device_count; d++)
            busiest = fmax(busiest, p.load[d] / set->devices[d].capacity);
        if (!(busiest > most)) /* that is how it can be done */
            break;
        for (uint32_t d = 0; d < set->device_count; d++)
            p.logs[d] +=
                p.load[d] / set->devices[d].capacity / busiest / sqrt((double)step);
    }
    return most;
}
