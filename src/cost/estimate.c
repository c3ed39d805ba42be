/*
 * Estimates for what was never measured: the roofline (Williams, Waterman, Patterson, "Roofline:
 * An Insightful Visual Performance Model", 2009) with the rates that the device's measured
 * entries reached on the whole, so not with its peaks: time = max(flops / rate, bytes / rate).
 */
#include "cost/table.h"

static int counts(const hsi_cost_point *p)
{
    return p->key.unit < HSI_COST_RUN && p->key.batch == 1 && p->key.workers == 1 &&
           !p->observed && p->work.bytes > 0;
}

static void add(double *sum, double value, int sign)
{
    *sum += sign * value;
    if (*sum < 0) /* what rounding left of nothing */
        *sum = 0;
}

/* Sections are sums of their steps: where both are there, both count, which changes no rate
 * much. */
void hsi_cost_count_rates(hsi_cost_table *table, const hsi_cost_point *point, int sign)
{
    hsi_cost_rates *r = &table->devices[point->key.device]->rates[point->key.math];
    if (!counts(point))
        return;
    if (point->work.flops > 0) {
        add(&r->arithmetic_us, point->us, sign);
        add(&r->flops, point->work.flops, sign);
    } else {
        add(&r->movement_us, point->us, sign);
        add(&r->bytes, point->work.bytes, sign);
    }
}

double hsi_cost_estimate(const hsi_cost_table *table, const hsi_cost_key *key,
                         const hsi_cost_work *work)
{
    if (!work || key->device >= table->device_count ||
        (unsigned)key->math > HSCHED_MATH_BF16)
        return 0;
    const hsi_cost_rates *r = &table->devices[key->device]->rates[key->math];
    /* Arithmetic is no faster than its device was ever seen to be at it: without that rate there
     * is nothing to say about it. */
    if (work->flops > 0 && !(r->flops > 0))
        return 0;
    const double arithmetic =
        work->flops > 0 ? work->flops * r->arithmetic_us / r->flops : 0;
    const double movement = r->bytes > 0 ? work->bytes * r->movement_us / r->bytes : 0;
    return arithmetic > movement ? arithmetic : movement;
}
