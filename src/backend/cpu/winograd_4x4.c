#define TILE            4
#define WINOGRAD_POINTS "backend/cpu/winograd_points_4x4.h"
#include "backend/cpu/winograd_variants.h"

const hsi_winograd_transforms *hsi_winograd_4x4(void)
{
    return transforms_best();
}
