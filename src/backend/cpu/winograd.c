#include "backend/cpu/winograd.h"

#include <stddef.h>

/* The points are 0, P, -P, Q, -Q and infinity. With 1 and 2, the usual ones, errors are twice as
 * large. */
#define P 0.75f
#define Q 1.5f

#define VECTOR_SOURCE "backend/cpu/winograd_transform.h"
#include "backend/cpu/vector_variants.h"

const hsi_winograd_transforms *hsi_winograd_transforms_best(void)
{
    static const hsi_winograd_transforms base = { 4, transform_in_base,
                                                  transform_out_base };
#if HSI_ISA_X86
    static const hsi_winograd_transforms avx2 = { 8, transform_in_avx2,
                                                  transform_out_avx2 },
                                         avx512 = { 16, transform_in_avx512,
                                                    transform_out_avx512 };
    hsi_isa isa = hsi_isa_best();
    if (isa == HSI_ISA_AVX512)
        return &avx512;
    if (isa == HSI_ISA_AVX2)
        return &avx2;
#endif
    return &base;
}

/* Six of three: G g. */
static void kernel_points(const double *g, int stride, double *to)
{
    const double p = P, q = Q, pp = p * p, qq = q * q;
    const double even_p = g[0] + pp * g[2 * stride], odd_p = p * g[stride],
                 even_q = g[0] + qq * g[2 * stride], odd_q = q * g[stride];
    to[0] = g[0] / (pp * qq);
    to[1] = (even_p + odd_p) / (2 * pp * (pp - qq));
    to[2] = (even_p - odd_p) / (2 * pp * (pp - qq));
    to[3] = (even_q + odd_q) / (2 * qq * (qq - pp));
    to[4] = (even_q - odd_q) / (2 * qq * (qq - pp));
    to[5] = g[2 * stride];
}

void hsi_winograd_kernel(const float *kernel, int64_t stride, float points[36])
{
    double g[9], columns[3][6], row[6];
    for (int i = 0; i < 9; i++)
        g[i] = kernel[i * stride];
    for (int j = 0; j < 3; j++)
        kernel_points(g + j, 3, columns[j]);
    for (int i = 0; i < 6; i++) {
        const double taps[3] = { columns[0][i], columns[1][i], columns[2][i] };
        kernel_points(taps, 1, row);
        for (int j = 0; j < 6; j++)
            points[6 * i + j] = (float)row[j];
    }
}
