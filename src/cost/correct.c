#include "cost/correct.h"

/* With 10% of jitter the estimate keeps within 2% (standard deviation: the jitter times
 * sqrt(g / (2 - g))); it takes an error in by half within 14 jobs once it is below the clip. */
#define GAIN 0.05
#define CLIP 0.2

static double clip(double value, double most)
{
    return value > most ? most : value < -most ? -most : value;
}

void hsi_cost_correct(hsi_cost_correction *correction, double log_ratio, int observed)
{
    const int first = observed && correction->count < HSI_COST_KNOWN_AFTER;
    const double residual = log_ratio - correction->log;
    if (correction->count < UINT32_MAX)
        correction->count++;
    /* The job that the entry was made from is one of those that the mean is of. */
    correction->log +=
        first ? residual / (correction->count + 1.0) : GAIN * clip(residual, CLIP);
    correction->log = clip(correction->log, HSI_COST_LOG_MAX);
}
