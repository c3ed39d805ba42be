/* A factor that depends on a number: of jobs at once, of runs joined. */
#ifndef HSI_SIMULATOR_CURVE_H
#define HSI_SIMULATOR_CURVE_H

#include <stdint.h>

enum {
    HSI_CURVE_MAX = 16
};

typedef struct hsi_curve {
    uint32_t count; /* 0: the factor is 1, whatever the number */
    uint32_t at[HSI_CURVE_MAX];
    double factor[HSI_CURVE_MAX];
} hsi_curve;

/*
 * As the cost table does it: the first point is (1, 1) unless the curve has another, between
 * points linear, beyond the last in proportion (what is full gains nothing more), and with a single
 * point at 1 that is the line factor = number.
 */
double hsi_curve_at(const hsi_curve *curve, double number);
/* So many jobs' work is done at the same time, at best, by a curve of jobs at once; at least 1. */
double hsi_curve_capacity(const hsi_curve *curve);
/* Of workers that share something, as the cost table does it: between points linear in 1 / number,
 * which is exact where a part is shared and the rest is not (Amdahl); more workers than at the last
 * point are no faster. */
double hsi_curve_shared_at(const hsi_curve *curve, uint32_t workers);

#endif
