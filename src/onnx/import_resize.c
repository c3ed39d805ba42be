/* Resize and Upsample, with scales or sizes that are known. */
#include <math.h>
#include <string.h>

#include "onnx/ops.h"

typedef struct names {
    const char *text;
    int value;
} names;

/* One of the texts that an attribute may have; the first is its default. */
static hsched_status read_choice(hsi_onnx_import *im, const hsi_onnx_node *node,
                                 const char *attribute, const char *fallback,
                                 const names *choices, uint32_t count, int *value)
{
    for (uint32_t k = 0; k < count; k++) {
        int equal;
        hsched_status status =
            hsi_onnx_attr_is(node, attribute, fallback, choices[k].text, &equal);
        if (status)
            return status;
        if (equal) {
            *value = choices[k].value;
            return HSCHED_OK;
        }
    }
    return hsi_onnx_unsupported(im, node, "an unknown value of '%s'", attribute);
}
#define CHOICE(attribute, fallback, choices, value)                                      \
    read_choice(im, node, attribute, fallback, choices,                                  \
                sizeof choices / sizeof *choices, value)

static hsched_status read_modes(hsi_onnx_import *im, const hsi_onnx_node *node,
                                hsched_resize_config *config)
{
    static const names modes[] = { { "nearest", HSCHED_RESIZE_NEAREST },
                                   { "linear", HSCHED_RESIZE_LINEAR },
                                   { "cubic", HSCHED_RESIZE_CUBIC },
                                   { "bilinear", HSCHED_RESIZE_LINEAR } };
    static const names coordinates[] = {
        { "half_pixel", HSCHED_RESIZE_HALF_PIXEL },
        { "half_pixel_symmetric", HSCHED_RESIZE_HALF_PIXEL_SYMMETRIC },
        { "align_corners", HSCHED_RESIZE_ALIGN_CORNERS },
        { "asymmetric", HSCHED_RESIZE_ASYMMETRIC },
        { "pytorch_half_pixel", HSCHED_RESIZE_PYTORCH_HALF_PIXEL },
        { "tf_half_pixel_for_nn", HSCHED_RESIZE_TF_HALF_PIXEL },
        { "tf_crop_and_resize", HSCHED_RESIZE_CROP },
    };
    static const names roundings[] = { { "round_prefer_floor", HSCHED_RESIZE_ROUND_DOWN },
                                       { "round_prefer_ceil", HSCHED_RESIZE_ROUND_UP },
                                       { "floor", HSCHED_RESIZE_FLOOR },
                                       { "ceil", HSCHED_RESIZE_CEIL } };
    int mode = 0, coordinate = HSCHED_RESIZE_ASYMMETRIC, rounding = HSCHED_RESIZE_FLOOR;
    int64_t exclude = 0, antialias = 0;
    hsched_status status = CHOICE("mode", "nearest", modes, &mode);
    if (!status && node->version >= 11) { /* before, there was one way */
        status = CHOICE("coordinate_transformation_mode", "half_pixel", coordinates,
                        &coordinate);
        if (!status)
            status = CHOICE("nearest_mode", "round_prefer_floor", roundings, &rounding);
    }
    if (!status)
        status = hsi_onnx_attr_float(node, "cubic_coeff_a", -0.75f, &config->cubic_a);
    if (!status)
        status = hsi_onnx_attr_float(node, "extrapolation_value", 0,
                                     &config->extrapolation_value);
    if (!status)
        status = hsi_onnx_attr_int(node, "exclude_outside", 0, &exclude);
    if (!status)
        status = hsi_onnx_attr_int(node, "antialias", 0, &antialias);
    config->mode = (hsched_resize_mode)mode;
    config->coordinates = (hsched_resize_coordinates)coordinate;
    config->rounding = (hsched_resize_rounding)rounding;
    config->exclude_outside = exclude != 0;
    config->antialias = antialias != 0 && mode != HSCHED_RESIZE_NEAREST;
    if (!status && mode == HSCHED_RESIZE_CUBIC && config->cubic_a == 0)
        status = hsi_onnx_unsupported(im, node, "a cubic_coeff_a of 0");
    return status;
}

/* Which dimensions the lists are about: all, or those of `axes` (18). */
typedef struct listed {
    uint32_t rank, count;
    uint32_t axes[HSCHED_MAX_DIMS];
} listed;

static hsched_status read_axes(const hsi_onnx_node *node, listed *l)
{
    const int64_t *axes;
    uint32_t count, seen = 0;
    hsched_status status = hsi_onnx_attr_ints(node, "axes", &axes, &count);
    if (status)
        return status;
    l->count = axes ? count : l->rank;
    if (l->count > l->rank)
        return hsi_onnx_malformed(node, "it names %u axes of %u", l->count, l->rank);
    for (uint32_t k = 0; k < l->count && !status; k++) {
        l->axes[k] = k;
        if (axes)
            status = hsi_onnx_axis(node, axes[k], l->rank, l->rank, &l->axes[k]);
        if (!status && seen >> l->axes[k] & 1)
            status = hsi_onnx_malformed(node, "axis %u is listed twice", l->axes[k]);
        seen |= 1u << l->axes[k];
    }
    return status;
}

/* Input `place`, a list of `count` numbers; NULL if it is left out or empty. */
static hsched_status read_list(hsi_onnx_import *im, const hsi_onnx_node *node,
                               uint32_t place, uint32_t count,
                               const hsi_onnx_constant **list)
{
    *list = NULL;
    if (!hsi_onnx_has_input(node, place))
        return HSCHED_OK;
    const hsi_onnx_constant *c = hsi_onnx_constant_input(im, node, place);
    if (!c)
        return hsi_onnx_unsupported(
            im, node, "input %u is computed at run time, not constant", place);
    if (c->count == 0)
        return HSCHED_OK;
    if (c->rank > 1 || c->count != count)
        return hsi_onnx_malformed(node, "input %u has %zu numbers instead of %u", place,
                                  c->count, count);
    if (c->dtype != HSCHED_FLOAT32 && c->dtype != HSCHED_INT64 &&
        c->dtype != HSCHED_INT32)
        return hsi_onnx_unsupported(im, node, "input %u is of %s", place,
                                    hsched_dtype_name(c->dtype));
    for (size_t k = 0; c->tags && k < c->count; k++)
        hsi_onnx_pin(im, c->tags[k]);
    *list = c;
    return HSCHED_OK;
}

/* Sizes that keep the proportions of x: the scale that is the least, or the largest. */
static hsched_status keep_aspect(hsi_onnx_import *im, const hsi_onnx_node *node,
                                 hsched_tensor x, const listed *l,
                                 hsched_resize_config *config)
{
    static const names policies[] = { { "stretch", 0 },
                                      { "not_larger", 1 },
                                      { "not_smaller", 2 } };
    int64_t dims[HSCHED_MAX_DIMS];
    int policy = 0;
    float scale = 0;
    hsched_status status =
        CHOICE("keep_aspect_ratio_policy", "stretch", policies, &policy);
    if (status || policy == 0)
        return status;
    hsi_onnx_dims(im, x, dims);
    for (uint32_t k = 0; k < l->count; k++) {
        const uint32_t d = l->axes[k];
        hsi_onnx_pin(im, hsi_onnx_dim_tag(im, x, d));
        const float own = (float)config->sizes[d] / (float)dims[d];
        if (k == 0 || (policy == 1 ? own < scale : own > scale))
            scale = own;
    }
    for (uint32_t k = 0; k < l->count; k++) {
        const uint32_t d = l->axes[k];
        config->scales[d] = scale;
        config->sizes[d] = (int64_t)floorf(scale * (float)dims[d] + 0.5f);
    }
    return HSCHED_OK;
}

static hsched_status read_sizes(hsi_onnx_import *im, const hsi_onnx_node *node,
                                hsched_tensor x, const listed *l,
                                hsched_resize_config *config)
{
    const hsi_onnx_constant *roi = NULL, *scales = NULL, *sizes = NULL;
    const int old = node->version < 11;
    hsched_status status = HSCHED_OK;
    if (config->coordinates == HSCHED_RESIZE_CROP)
        status = read_list(im, node, 1, 2 * l->count, &roi);
    if (!status)
        status = read_list(im, node, old ? 1 : 2, l->count, &scales);
    if (!status && !old)
        status = read_list(im, node, 3, l->count, &sizes);
    if (status)
        return status;
    if (!scales == !sizes || (config->coordinates == HSCHED_RESIZE_CROP && !roi))
        return hsi_onnx_malformed(node, "it has not exactly one of scales and sizes, or "
                                        "no region to crop to");
    for (uint32_t d = 0; d < l->rank; d++) {
        config->roi_end[d] = 1;
        config->scales[d] = sizes ? 0 : 1;
    }
    for (uint32_t k = 0; k < l->count; k++) {
        const uint32_t d = l->axes[k];
        if (sizes)
            config->sizes[d] = hsi_onnx_get_int(sizes, k);
        else
            config->scales[d] = (float)hsi_onnx_get_float(scales, k);
        if (roi) {
            config->roi_start[d] = (float)hsi_onnx_get_float(roi, k);
            config->roi_end[d] = (float)hsi_onnx_get_float(roi, l->count + k);
        }
        if (sizes ? config->sizes[d] < 1 : !(config->scales[d] > 0))
            return hsi_onnx_malformed(node, "a scale or size is not positive");
    }
    return sizes ? keep_aspect(im, node, x, l, config) : HSCHED_OK;
}

/* Opset 10 has no nearest_mode: along axes that shrink coordinates are rounded up, as its own test
 * shows, along others down. */
static hsched_status round_as_opset_10(hsi_onnx_import *im, const hsi_onnx_node *node,
                                       uint32_t rank, hsched_resize_config *config)
{
    int shrinks = 0, grows = 0;
    for (uint32_t d = 0; d < rank; d++) {
        const float step = 1 / config->scales[d];
        grows |= step < 1;
        shrinks |= step > 1 && step != rintf(step); /* else no rounding is needed */
    }
    if (shrinks && grows)
        return hsi_onnx_unsupported(
            im, node, "nearest elements where one axis shrinks and another grows");
    if (shrinks)
        config->rounding = HSCHED_RESIZE_CEIL;
    return HSCHED_OK;
}

/* Upsample before opset 9 has its scales in an attribute. */
static hsched_status read_scales(const hsi_onnx_node *node, uint32_t rank,
                                 hsched_resize_config *config)
{
    const Onnx__AttributeProto *scales = hsi_onnx_attr(node, "scales");
    if (!scales || scales->n_floats != rank)
        return hsi_onnx_malformed(node, "attribute 'scales' has not %u numbers", rank);
    for (uint32_t k = 0; k < rank; k++) {
        config->scales[k] = scales->floats[k];
        if (!(config->scales[k] > 0))
            return hsi_onnx_malformed(node, "attribute 'scales' is not positive");
    }
    return HSCHED_OK;
}

hsched_status hsi_onnx_build_resize(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsched_resize_config config = { HSCHED_RESIZE_CONFIG_INIT };
    listed l = { 0 };
    hsched_tensor x, y;
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (!status)
        status = read_modes(im, node, &config);
    if (status)
        return status;
    l.rank = hsi_onnx_rank(im, x);
    if (strcmp(node->op, "Upsample") == 0 && node->version < 9)
        status = read_scales(node, l.rank, &config);
    else {
        status = read_axes(node, &l);
        if (!status)
            status = read_sizes(im, node, x, &l, &config);
        if (!status && node->version == 10 && config.mode == HSCHED_RESIZE_NEAREST)
            status = round_as_opset_10(im, node, l.rank, &config);
    }
    if (!status)
        status = hsi_onnx_at_node(
            node, hsched_graph_add_resize(im->graph, hsi_onnx_output_name(im, node, 0), x,
                                          &config, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}
