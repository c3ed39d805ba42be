/* Random layers that slide a window over one to three spatial dimensions. */
#include <math.h>

#include "unit/random_graph_maker.h"

item *maker_add_conv_any(maker *m, item *x)
{
    hsched_conv_config config = { HSCHED_CONV_CONFIG_INIT, .groups = 1 };
    int64_t dims[5], work = 1;
    if (x == NULL || x->size > MAX_SIZE / 2)
        return NULL;
    const uint32_t spatial = x->rank - 2;
    dims[0] = maker_range(m, 1, 6);
    if (maker_chance(m, 30)) {
        config.groups = x->dims[1];
        dims[0] = config.groups * maker_range(m, 1, 2);
    }
    dims[1] = x->dims[1] / config.groups;
    for (uint32_t i = 0; i < spatial; i++) {
        dims[2 + i] = maker_range(m, 1, 3);
        config.strides[i] = maker_chance(m, 70) ? 1 : maker_range(m, 2, 3);
        config.dilations[i] = maker_chance(m, 80) ? 1 : 2;
        const int64_t reach = (dims[2 + i] - 1) * config.dilations[i];
        config.pads[i] = maker_range(m, 0, reach);
        config.pads[spatial + i] = maker_range(m, 0, reach);
        if (x->dims[2 + i] + config.pads[i] + config.pads[spatial + i] <= reach)
            return NULL;
        work *= x->dims[2 + i] + config.pads[i] + config.pads[spatial + i];
    }
    if (x->dims[0] * dims[0] * work > MAX_ELEMENTS)
        return NULL;
    if (maker_chance(m, 15)) {
        for (uint32_t i = 0; i < 2 * spatial; i++)
            config.pads[i] = 0;
        config.auto_pad =
            (hsched_auto_pad)maker_range(m, HSCHED_PAD_SAME_UPPER, HSCHED_PAD_SAME_LOWER);
    }
    const double radius = 1.5 / sqrt((double)maker_elements(x->rank - 1, dims + 1));
    hsched_tensor y, bias = HSCHED_NO_TENSOR,
                     weights = maker_constant(m, x->rank, dims, -radius, radius);
    if (maker_chance(m, 50))
        bias = maker_constant(m, 1, dims, -0.5, 0.5);
    x->used = 1;
    return maker_made(
        m, hsched_graph_add_conv(m->graph, NULL, x->tensor, weights, bias, &config, &y),
        &y, x->size * 1.5 + 0.5);
}

item *maker_add_conv_transpose(maker *m, item *x)
{
    hsched_conv_transpose_config config = { HSCHED_CONV_TRANSPOSE_CONFIG_INIT,
                                            .groups = 1 };
    int64_t dims[5], elements = 1;
    if (x == NULL || x->size > MAX_SIZE / 2)
        return NULL;
    const uint32_t spatial = x->rank - 2;
    dims[0] = x->dims[1];
    dims[1] = maker_range(m, 1, 4);
    if (maker_chance(m, 30)) {
        config.groups = maker_chance(m, 50) || x->dims[1] % 2 != 0 ? x->dims[1] : 2;
        dims[1] = maker_range(m, 1, 2);
    }
    for (uint32_t i = 0; i < spatial; i++) {
        dims[2 + i] = maker_range(m, 1, 4);
        config.strides[i] = maker_range(m, 1, 3);
        config.dilations[i] = maker_chance(m, 80) ? 1 : 2;
        const int64_t most = config.strides[i] > config.dilations[i]
                                 ? config.strides[i]
                                 : config.dilations[i];
        config.output_padding[i] = maker_chance(m, 70) ? 0 : maker_range(m, 0, most - 1);
        const int64_t full = (x->dims[2 + i] - 1) * config.strides[i] +
                             (dims[2 + i] - 1) * config.dilations[i] + 1;
        config.pads[i] = maker_range(m, 0, full - 1 < 3 ? full - 1 : 3);
        const int64_t left = full + config.output_padding[i] - config.pads[i];
        const int64_t rest = full - config.pads[i] - 1; /* something of x is to be left */
        config.pads[spatial + i] = maker_range(m, 0, rest < 3 ? rest : 3);
        elements *= left - config.pads[spatial + i];
        if (maker_chance(m, 10))
            config.output_sizes[i] = left - config.pads[spatial + i];
    }
    if (x->dims[0] * dims[1] * config.groups * elements > MAX_ELEMENTS)
        return NULL;
    const double radius = 1.5 / sqrt((double)maker_elements(x->rank, dims) /
                                     (double)(dims[1] * config.groups));
    const int64_t outputs = dims[1] * config.groups;
    hsched_tensor y, bias = HSCHED_NO_TENSOR,
                     weights = maker_constant(m, x->rank, dims, -radius, radius);
    if (maker_chance(m, 50))
        bias = maker_constant(m, 1, &outputs, -0.5, 0.5);
    x->used = 1;
    return maker_made(m,
                      hsched_graph_add_conv_transpose(m->graph, NULL, x->tensor, weights,
                                                      bias, &config, &y),
                      &y, x->size * 1.5 + 0.5);
}

item *maker_add_pool_any(maker *m, item *x)
{
    hsched_pool_config config = { HSCHED_POOL_CONFIG_INIT };
    const hsched_pool_kind kind =
        maker_chance(m, 50) ? HSCHED_POOL_MAX : HSCHED_POOL_AVERAGE;
    hsched_tensor y;
    if (x == NULL)
        return NULL;
    const uint32_t spatial = x->rank - 2;
    x->used = 1;
    if (maker_chance(m, 15))
        return maker_made(
            m, hsched_graph_add_global_pool(m->graph, NULL, kind, x->tensor, &y), &y,
            x->size);
    for (uint32_t i = 0; i < spatial; i++) {
        const int64_t most = x->dims[2 + i] < 3 ? x->dims[2 + i] : 3;
        config.kernel[i] = maker_range(m, 1, most);
        config.strides[i] = maker_range(m, 1, 2);
        config.pads[i] = maker_range(m, 0, config.kernel[i] / 2);
        config.pads[spatial + i] = maker_range(m, 0, config.kernel[i] / 2);
    }
    config.ceil_mode = maker_chance(m, 30);
    config.count_include_pad = maker_chance(m, 30);
    return maker_made(m,
                      hsched_graph_add_pool(m->graph, NULL, kind, x->tensor, &config, &y),
                      &y, x->size);
}

item *maker_add_resize(maker *m, item *x)
{
    hsched_resize_config config = { HSCHED_RESIZE_CONFIG_INIT };
    hsched_tensor y;
    if (x == NULL || x->size > MAX_SIZE / 4)
        return NULL;
    config.mode = (hsched_resize_mode)maker_range(m, 1, 3);
    config.coordinates = (hsched_resize_coordinates)maker_range(m, 0, HSCHED_RESIZE_CROP);
    config.rounding = (hsched_resize_rounding)maker_range(m, 0, HSCHED_RESIZE_CEIL);
    config.extrapolation_value = 0.5f;
    const int smooth = config.mode != HSCHED_RESIZE_NEAREST;
    config.exclude_outside = smooth && maker_chance(m, 20);
    config.antialias = smooth && maker_chance(m, 30);
    if (!smooth || config.coordinates == HSCHED_RESIZE_CROP) {
        /* Coordinates that are no whole numbers but for rounding would round either way;
         * those of the region's ends are inside or not. */
        config.coordinates = HSCHED_RESIZE_HALF_PIXEL;
        config.rounding = HSCHED_RESIZE_ROUND_DOWN;
    }
    int64_t elements = 1;
    for (uint32_t k = 0; k < x->rank; k++) {
        int64_t size = x->dims[k];
        if (maker_chance(m, k < 2 && x->rank > 2 ? 10 : 60)) {
            size = smooth ? maker_range(m, 1, 2 * size + 1) : size * maker_range(m, 1, 3);
            config.sizes[k] = size;
        }
        elements *= size;
    }
    if (elements > MAX_ELEMENTS)
        return NULL;
    x->used = 1;
    return maker_made(m, hsched_graph_add_resize(m->graph, NULL, x->tensor, &config, &y),
                      &y, x->size * 2);
}
