#include "cost/samples.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double quantile(const double *sorted, uint32_t count, double share)
{
    const double at = share * (count - 1);
    const uint32_t low = (uint32_t)at;
    if (low + 1 >= count)
        return sorted[count - 1];
    return sorted[low] + (at - low) * (sorted[low + 1] - sorted[low]);
}

double hsi_cost_median(double *values, uint32_t count, double *spread)
{
    qsort(values, count, sizeof *values, compare);
    *spread = quantile(values, count, 0.75) - quantile(values, count, 0.25);
    return quantile(values, count, 0.5);
}
