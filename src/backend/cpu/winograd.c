#include "backend/cpu/winograd.h"

#include <stddef.h>
#include <string.h>

/* The points are 0, P, -P, Q, -Q and infinity. With 1 and 2, the usual ones, errors are twice as
 * large. */
#define P 0.75f
#define Q 1.5f

#define VECTOR_SOURCE "backend/cpu/winograd_transform.h"
#include "backend/cpu/vector_variants.h"

const hsi_winograd_transforms *hsi_winograd_transforms_best(void)
{
    static const hsi_winograd_transforms base = { 4, transform_in_base,
                                                  transform_out_base,
                                                  transform_kernels_base };
#if HSI_ISA_X86
    static const hsi_winograd_transforms avx2 = { 8, transform_in_avx2,
                                                  transform_out_avx2,
                                                  transform_kernels_avx2 },
                                         avx512 = { 16, transform_in_avx512,
                                                    transform_out_avx512,
                                                    transform_kernels_avx512 };
    hsi_isa isa = hsi_isa_best();
    if (isa == HSI_ISA_AVX512)
        return &avx512;
    if (isa == HSI_ISA_AVX2)
        return &avx2;
#endif
    return &base;
}
