#include "cli/statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/random.h"

#define LEVEL 0.95

enum {
    EXACT_MAX = 1000, /* samples; beyond, the binomial distribution is taken for normal */
    DRAWS = 2000
};

static const cli_interval none = { NAN, NAN, 0 };

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void cli_sort(double *samples, size_t n)
{
    if (n > 1)
        qsort(samples, n, sizeof *samples, by_value);
}

static double middle(const double *sorted, size_t n)
{
    if (n == 0)
        return NAN;
    const double low = sorted[(n - 1) / 2], high = sorted[n / 2];
    return low == high ? low : low + (high - low) / 2; /* both may be infinite */
}

double cli_median(double *samples, size_t n)
{
    cli_sort(samples, n);
    return middle(samples, n);
}

double cli_percentile(const double *sorted, size_t n, double part)
{
    if (n == 0)
        return NAN;
    const double rank = ceil(part * (double)n);
    return sorted[rank < 1 ? 0 : rank > (double)n ? n - 1 : (size_t)rank - 1];
}

double cli_interval_level(size_t n)
{
    if (n == 0)
        return 0;
    const double range = 1 - 2 * ldexp(1, n < 64 ? -(int)n : -64);
    return range < LEVEL ? range : LEVEL;
}

/* ---- Order statistics ----------------------------------------------------- */

/* That k of n fair coins show heads. */
static double binomial(size_t n, size_t k)
{
    return exp(lgamma((double)n + 1) - lgamma((double)k + 1) -
               lgamma((double)(n - k) + 1) - (double)n * log(2));
}

/* The k-th smallest and the k-th largest hold the median with *level; the largest k, from 1 on,
 * for which that is enough, or 1. */
static size_t interval_rank(size_t n, double *level)
{
    if (n > EXACT_MAX) {
        const double rank = floor((double)n / 2 - 0.98 * sqrt((double)n));
        *level = LEVEL;
        return (size_t)rank;
    }
    size_t k = 1;
    double outside = 2 * binomial(n, 0); /* fewer than k below the median, or above it */
    while (k < n / 2 && outside + 2 * binomial(n, k) <= 1 - LEVEL)
        outside += 2 * binomial(n, k++);
    *level = outside < 1 ? 1 - outside : 0;
    return k;
}

static cli_interval of_sorted(const double *sorted, size_t n)
{
    double level;
    if (n == 0)
        return none;
    const size_t k = interval_rank(n, &level);
    return (cli_interval){ sorted[k - 1], sorted[n - k], level };
}

cli_interval cli_median_interval(const double *samples, size_t n)
{
    double *sorted = n > 0 ? calloc(n, sizeof *sorted) : NULL;
    if (!sorted)
        return none;
    memcpy(sorted, samples, n * sizeof *sorted);
    cli_sort(sorted, n);
    const cli_interval interval = of_sorted(sorted, n);
    free(sorted);
    return interval;
}

/* ---- Shares --------------------------------------------------------------- */

cli_interval cli_share_interval(const double *above, const double *below, size_t n)
{
    double *shares = n > 1 ? calloc(DRAWS, sizeof *shares) : NULL;
    uint64_t random = 1;
    size_t count = 0;
    if (!shares)
        return none;
    for (int draw = 0; draw < DRAWS; draw++) {
        double up = 0, down = 0;
        for (size_t i = 0; i < n; i++) {
            const size_t drawn = (size_t)(cli_random_next(&random) % n);
            up += above[drawn];
            down += below[drawn];
        }
        if (down != 0) /* rounds without any event say nothing about shares */
            shares[count++] = up / down;
    }
    cli_sort(shares, count);
    const cli_interval interval = {
        cli_percentile(shares, count, (1 - LEVEL) / 2),
        cli_percentile(shares, count, (1 + LEVEL) / 2),
        count > 0 ? cli_interval_level(n) : 0,
    };
    free(shares);
    return interval;
}
