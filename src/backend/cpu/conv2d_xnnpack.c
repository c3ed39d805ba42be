/* Convolution by XNNPACK, channels-last (xnnpack.h). */
#include "backend/cpu/xnnpack.h"

#if HSI_HAVE_XNNPACK

static int xnnpack_supports(const hsched_step *step)
{
    hsi_conv2d conv;
    return hsi_conv2d_read(step, &conv) && hsi_xnnpack_supports(&conv) &&
           hsi_xnnpack_starts();
}

static int xnnpack_likely(const hsched_step *step)
{
    (void)step;
    return hsi_xnnpack_is_first_choice();
}

static hsched_status xnnpack_prepare(const hsi_cpu_prepare_context *context,
                                     hsched_step *step, hsi_cpu_prepared *prepared)
{
    hsi_conv2d conv;
    hsi_conv2d_read(step, &conv);
    return hsi_xnnpack_prepare(&conv, context, step, prepared);
}

const hsi_cpu_kernel hsi_cpu_conv2d_xnnpack = {
    .name = "xnnpack/conv2d",
    .kind = HSCHED_STEP_CONV2D,
    .library = HSCHED_LIBRARY_XNNPACK,
    .supports = xnnpack_supports,
    .likely = xnnpack_likely,
    .prepare = xnnpack_prepare,
    .destroy = hsi_xnnpack_destroy,
    .slot_create = hsi_xnnpack_slot_create,
    .slot_destroy = hsi_xnnpack_slot_destroy,
    .run = hsi_xnnpack_run,
};

#else
typedef int hsi_conv2d_xnnpack_is_absent; /* a translation unit is never empty */
#endif
