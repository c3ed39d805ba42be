#define TILE            2
#define WINOGRAD_POINTS "backend/cpu/winograd_points_2x2.h"
#include "backend/cpu/winograd_variants.h"

const hsi_winograd_transforms *hsi_winograd_2x2(void)
{
    return transforms_best();
}
