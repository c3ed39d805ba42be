#include "backend/separable.h"

#include <string.h>

#include "base/tensor.h"

/* All that a CONV2D has, but operands and parameters. */
static hsched_step convolution(const hsched_step *step)
{
    hsched_step conv = { .struct_size = sizeof conv,
                         .kind = HSCHED_STEP_CONV2D,
                         .name = step->name,
                         .input_count = 4,
                         .out_aliases = -1,
                         .parts = step->parts };
    conv.in[0] = step->in[0];
    conv.out = step->out;
    conv.u.conv2d.strides[0] = conv.u.conv2d.strides[1] = 1;
    conv.u.conv2d.dilations[0] = conv.u.conv2d.dilations[1] = 1;
    conv.u.conv2d.groups = 1;
    return conv;
}

void hsi_separable_split(const hsched_step *step, hsched_step *depthwise,
                         hsched_step *pointwise)
{
    hsched_step *first = depthwise, *second = pointwise;
    *first = *second = convolution(step);
    first->input_count = 3;
    first->in[1] = step->in[1];
    first->in[2] = step->in[2];
    first->act = step->u.separable_conv2d.depthwise_act;
    memcpy(first->u.conv2d.strides, step->u.separable_conv2d.strides,
           sizeof first->u.conv2d.strides);
    memcpy(first->u.conv2d.pads, step->u.separable_conv2d.pads,
           sizeof first->u.conv2d.pads);
    memcpy(first->u.conv2d.dilations, step->u.separable_conv2d.dilations,
           sizeof first->u.conv2d.dilations);
    first->u.conv2d.groups = step->in[0].dims[1];
    first->out.dims[1] = step->in[0].dims[1];
    first->out.levels = (hsched_levels){ 0 };
    hsi_nhwc_strides(first->out.dims, first->out.dims[1], first->out.strides);
    second->in[0] = first->out;
    for (uint32_t i = 3; i < step->input_count; i++)
        second->in[i - 2] = step->in[i];
    second->act = step->act;
    if (step->out_aliases == 5)
        second->out_aliases = 3;

    const int64_t *out = step->out.dims, *weights = step->in[1].dims;
    const uint64_t results =
        (uint64_t)out[0] * (uint64_t)out[2] * (uint64_t)out[3] * (uint64_t)weights[0];
    first->macs = results * (uint64_t)weights[2] * (uint64_t)weights[3];
    second->macs = results * (uint64_t)out[1];
}
