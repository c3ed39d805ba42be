/* Reading of CONV2D steps, and the order in which kernels are tried. */
#include "backend/cpu/conv2d.h"

#include "backend/cpu/xnnpack.h"
#include "base/tensor.h"

static int is_image(const hsched_operand *operand, int64_t *pixel)
{
    return operand->dtype == HSCHED_FLOAT32 &&
           hsi_is_nhwc(operand->rank, operand->dims, operand->strides, pixel);
}

int hsi_conv2d_read(const hsched_step *step, hsi_conv2d *conv)
{
    const hsched_operand *x = &step->in[0], *weights = &step->in[1], *out = &step->out;
    *conv = (hsi_conv2d){ 0 };
    if (step->kind != HSCHED_STEP_CONV2D || step->input_count < 2 ||
        !is_image(x, &conv->x_pixel) || !is_image(out, &conv->y_pixel) ||
        weights->dtype != HSCHED_FLOAT32 || weights->rank != 4 || !weights->constant ||
        step->u.conv2d.groups < 1)
        return 0;
    conv->n = x->dims[0];
    conv->c = x->dims[1];
    conv->h = x->dims[2];
    conv->w = x->dims[3];
    conv->o = out->dims[1];
    conv->oh = out->dims[2];
    conv->ow = out->dims[3];
    conv->kh = weights->dims[2];
    conv->kw = weights->dims[3];
    conv->stride_h = step->u.conv2d.strides[0];
    conv->stride_w = step->u.conv2d.strides[1];
    conv->dilation_h = step->u.conv2d.dilations[0];
    conv->dilation_w = step->u.conv2d.dilations[1];
    conv->pad_top = step->u.conv2d.pads[0];
    conv->pad_left = step->u.conv2d.pads[1];
    conv->groups = step->u.conv2d.groups;
    conv->group_c = conv->c / conv->groups;
    conv->group_o = conv->o / conv->groups;
    conv->has_bias = step->input_count > 2 && step->in[2].dtype != HSCHED_DTYPE_NONE;
    conv->has_residual = step->input_count > 3 && step->in[3].dtype != HSCHED_DTYPE_NONE;
    conv->residual_in_place = conv->has_residual && step->out_aliases == 3;
    if (conv->has_bias && !step->in[2].constant)
        return 0;
    if (conv->has_residual && !is_image(&step->in[3], &conv->residual_pixel))
        return 0;
    return 1;
}

/*
 * Measured with one thread of an AVX-512 processor, dense layers of ResNet, DenseNet, VGG and
 * SqueezeNet: Winograd 280-440 GFLOP/s (of the plain convolution) where it is likely; oneDNN
 * 150-180, less where weights are many and pixels few; own direct kernels 135-170, slices of
 * joint tensors included, whose rows oneDNN has to copy. On an older one oneDNN 86-138 and
 * OpenBLAS 47-101; many small groups: oneDNN 43, OpenBLAS 6.
 */
const hsi_cpu_kernel *const hsi_cpu_kernels_conv2d[] = {
    &hsi_cpu_conv2d_int8,
#if HSI_HAVE_XNNPACK
    &hsi_cpu_conv2d_xnnpack,
#endif
    &hsi_cpu_conv2d_depthwise,
#if HSI_HAVE_ONEDNN
    &hsi_cpu_conv2d_bf16,
#endif
    &hsi_cpu_conv2d_winograd_4x4, &hsi_cpu_conv2d_winograd_2x2,
#if HSI_HAVE_ONEDNN
    &hsi_cpu_conv2d_onednn,
#endif
    &hsi_cpu_conv2d_direct,       &hsi_cpu_conv2d_1x1,
    &hsi_cpu_conv2d_im2col,       NULL,
};
