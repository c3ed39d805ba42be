#include "backend/cpu/winograd.h"

#include <stddef.h>

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
    const double a = g[0] + g[2 * stride], b = g[stride];
    const double c = g[0] + 4 * g[2 * stride], d = 2 * b;
    to[0] = g[0] / 4;
    to[1] = -(a + b) / 6;
    to[2] = -(a - b) / 6;
    to[3] = (c + d) / 24;
    to[4] = (c - d) / 24;
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
