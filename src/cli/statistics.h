/*
 * Numbers that say how sure they are. Everything is deterministic: what is drawn at random is
 * drawn from a fixed seed, so the same samples give the same interval.
 */
#ifndef CLI_STATISTICS_H
#define CLI_STATISTICS_H

#include <stddef.h>

/* Where the true value lies with a probability of `level`: 0.95 at least, unless there are too
 * few samples to be so sure. NaN and level 0: there is none (no samples, or no memory). */
typedef struct cli_interval {
    double low, high, level;
} cli_interval;

/* The level that intervals over so many samples are for: 0.95, or what the whole range holds the
 * median with where that is less, 1 - 2^(1-n) below six of them; 0: there are none. */
double cli_interval_level(size_t n);

/* In ascending order; samples are not NaN. */
void cli_sort(double *samples, size_t n);
/* Sorts. Of an even number the mean of the two in the middle; NaN of none. */
double cli_median(double *samples, size_t n);
/* Of sorted samples: the smallest that at least `part` of all do not exceed; NaN of none. */
double cli_percentile(const double *sorted, size_t n, double part);

/*
 * Of the median, by order statistics: nothing is assumed of the distribution but that samples
 * are independent (David and Nagaraja, "Order Statistics", 2003, 7.1). Below six samples it is
 * the whole range, which holds the median with the probability 1 - 2^(1-n).
 */
cli_interval cli_median_interval(const double *samples, size_t n);

/*
 * Of sum(above) / sum(below), as a share of events in all: each pair is a round, rounds are
 * independent, but not what happens within one. By drawing rounds with repetition (percentile
 * bootstrap: Efron and Tibshirani, 1993). It needs more than a few rounds to be worth its name:
 * it lies within the range of the rounds' shares, so it is called no surer than that. Of a single
 * round there is none, and where all rounds agree it has no width.
 */
cli_interval cli_share_interval(const double *above, const double *below, size_t n);

#endif
