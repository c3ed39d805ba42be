/* What a series of measurements comes to. Pure. */
#ifndef HSI_COST_SAMPLES_H
#define HSI_COST_SAMPLES_H

#include <stdint.h>

/* The median of values[0..count - 1], count > 0, which are sorted by it, and the distance of the
 * first and the third quartile (between neighbours: linear). Neither minds a few outliers. */
double hsi_cost_median(double *values, uint32_t count, double *spread);

#endif
