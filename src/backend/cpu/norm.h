/*
 * NORM: what its two ways share. By rows (norm.c) a group of elements that is normalised lies one
 * behind the other, or is gathered; across (norm_across.c) groups, or the channels of several,
 * lie side by side, as those of channels-last images do.
 *
 * Statistics are exact enough for any mean: of blocks that fit into the cache the sum of squares is
 * taken about the block's own mean, and blocks are put together in double (Chan, Golub and
 * LeVeque). The mean is applied as a float and the rest that the float lacks.
 */
#ifndef HSI_BACKEND_CPU_NORM_H
#define HSI_BACKEND_CPU_NORM_H

#include <float.h>
#include <math.h>

#include "backend/cpu/isa.h"
#include "backend/cpu/loop.h"

#define HSI_NORM_ACROSS 128 /* columns side by side */

/* The operands of the loops. */
enum {
    HSI_NORM_X,
    HSI_NORM_SCALE,
    HSI_NORM_BIAS,
    HSI_NORM_Y
};

typedef struct hsi_norm {
    int across;
    int plain;       /* by rows, of neighbours in all operands */
    hsi_loop kept;   /* groups; across: what remains of them without the columns */
    hsi_loop read;   /* x of a group; across: of a column */
    hsi_loop inside; /* the same for all operands */
    double epsilon;
    int rms;
    hsched_activation act;
    /* Across: columns side by side, `members` of them to a group. */
    int64_t columns, members, units, groups_each; /* groups to a unit */
    int64_t scale_stride, bias_stride;            /* from column to column: 0 or 1 */
    int folded; /* scale and bias are the same all along a column */
} hsi_norm;

typedef struct hsi_norm_sum {
    double count, mean, squares; /* about the mean; rms: mean 0, about 0 */
} hsi_norm_sum;

/* What an element is taken through: ((x - mean) * inverse + rest) * scale + bias. */
typedef struct hsi_norm_map {
    float mean, inverse, rest;
} hsi_norm_map;

HSI_ISA_INLINE void hsi_norm_join(hsi_norm_sum *sum, double count, double mean,
                                  double squares)
{
    const double all = sum->count + count, delta = mean - sum->mean;
    sum->squares += squares + delta * delta * (sum->count * count / all);
    sum->mean += delta * (count / all);
    sum->count = all;
}

/* The sum of `members` columns of x, summed once more as doubles (norm.c). */
hsi_norm_sum hsi_norm_sum_slowly(const hsi_norm *norm, const float *x, int64_t members,
                                 double count);

/* For what was summed of `members` columns of x: once more where floats do not hold the
 * squares. */
HSI_ISA_INLINE hsi_norm_map hsi_norm_make_map(const hsi_norm *norm, hsi_norm_sum sum,
                                              const float *x, int64_t members)
{
    if (!(sum.squares <= (double)FLT_MAX) ||
        (sum.squares < 1e-30 && norm->epsilon < 1e-20))
        sum = hsi_norm_sum_slowly(norm, x, members, sum.count);
    const double squares = sum.squares < 0 ? 0 : sum.squares;
    const double inverse = 1 / sqrt(squares / sum.count + norm->epsilon);
    const float mean = (float)sum.mean;
    return (hsi_norm_map){ mean, (float)inverse,
                           (float)(((double)mean - sum.mean) * inverse) };
}

/* Units [begin, end): bundles of groups; scale and bias are never NULL (norm_across.c). */
void hsi_norm_run_across(const hsi_norm *norm, const float *x, const float *scale,
                         const float *bias, float *y, int64_t begin, int64_t end);

#endif
