/* Fully connected by XNNPACK: a convolution of 1x1 over a column of pixels (xnnpack.h). */
#include "backend/cpu/xnnpack.h"

#if HSI_HAVE_XNNPACK

static int read_step(const hsched_step *step, hsi_conv2d *conv)
{
    if (!hsi_fc_supports(step))
        return 0;
    const hsched_operand *x = &step->in[0], *y = &step->out;
    const int64_t m = x->dims[0];
    *conv = (hsi_conv2d){
        .n = 1,
        .c = x->dims[1],
        .h = m,
        .w = 1,
        .o = y->dims[1],
        .oh = m,
        .ow = 1,
        .kh = 1,
        .kw = 1,
        .stride_h = 1,
        .stride_w = 1,
        .dilation_h = 1,
        .dilation_w = 1,
        .groups = 1,
        .group_c = x->dims[1],
        .group_o = y->dims[1],
        .x_pixel = m == 1 ? x->dims[1] : x->strides[0],
        .y_pixel = m == 1 ? y->dims[1] : y->strides[0],
        .has_bias = step->input_count > 2 && step->in[2].dtype != HSCHED_DTYPE_NONE,
    };
    return 1;
}

static int xnnpack_supports(const hsched_step *step)
{
    hsi_conv2d conv;
    return read_step(step, &conv) && hsi_xnnpack_supports(&conv) && hsi_xnnpack_starts();
}

/* A row that waits for its weights gains nothing from a copy of them. */
static int xnnpack_likely(const hsched_step *step)
{
    return hsi_xnnpack_is_first_choice() && !hsi_fc_waits_for_weights(step);
}

static hsched_status xnnpack_prepare(const hsi_cpu_prepare_context *context,
                                     hsched_step *step, hsi_cpu_prepared *prepared)
{
    hsi_conv2d conv;
    read_step(step, &conv);
    return hsi_xnnpack_prepare(&conv, context, step, prepared);
}

const hsi_cpu_kernel hsi_cpu_fc_xnnpack = {
    .name = "xnnpack/fc",
    .kind = HSCHED_STEP_FC,
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
typedef int hsi_fc_xnnpack_is_absent; /* a translation unit is never empty */
#endif
