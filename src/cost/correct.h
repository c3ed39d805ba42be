/*
 * The correction of one entry of the cost table: it was mis-measured, by a factor that jobs tell.
 *
 * A running M-estimate of the location of the log-ratios "took / expected" (Huber, "Robust
 * Estimation of a Location Parameter", 1964; run recursively as by Martin and Masreliez, "Robust
 * Estimation via Stochastic Approximation", 1975): each observation moves the estimate by a small
 * share of its residual, which is clipped, so that one job that took ten times as long moves it
 * by no more than one that took 1.22 times as long. Pure.
 */
#ifndef HSI_COST_CORRECT_H
#define HSI_COST_CORRECT_H

#include <stdint.h>

typedef struct hsi_cost_correction {
    double log;     /* of the factor; between -HSI_COST_LOG_MAX and +HSI_COST_LOG_MAX */
    uint32_t count; /* observations that it learned from, at most UINT32_MAX */
} hsi_cost_correction;

#define HSI_COST_LOG_MAX 3.5 /* a factor of 33 */
/* An entry that was made from jobs counts as known after so many of them. */
#define HSI_COST_KNOWN_AFTER 8

/* `log_ratio`: of what a job took to the entry's uncorrected time. `observed`: the entry was made
 * from a job itself: the first ones count fully, as a plain mean. */
void hsi_cost_correct(hsi_cost_correction *correction, double log_ratio, int observed);

#endif
