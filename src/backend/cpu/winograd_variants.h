/*
 * The transforms for tiles of TILE x TILE pixels, compiled for each instruction set: for
 * winograd_4x4.c and winograd_2x2.c, which define TILE and WINOGRAD_POINTS.
 */
#include <string.h>

#include "backend/cpu/winograd.h"

#define SIDE (TILE + 2) /* of x, and of the points */

#define VECTOR_SOURCE "backend/cpu/winograd_transform.h"
#include "backend/cpu/vector_variants.h"

#define TRANSFORMS(name, lanes)                                                          \
    static const hsi_winograd_transforms name = { TILE, lanes, transform_in_##name,      \
                                                  transform_out_##name,                  \
                                                  transform_kernels_##name };

TRANSFORMS(base, 4)
#if HSI_ISA_X86
TRANSFORMS(avx2, 8)
TRANSFORMS(avx512, 16)
#endif

static const hsi_winograd_transforms *transforms_best(void)
{
#if HSI_ISA_X86
    hsi_isa isa = hsi_isa_best();
    if (isa == HSI_ISA_AVX512)
        return &avx512;
    if (isa == HSI_ISA_AVX2)
        return &avx2;
#endif
    return &base;
}
