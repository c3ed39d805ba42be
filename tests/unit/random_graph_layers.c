/* One function for each kind of layer, with random attributes that fit. */
#include "unit/random_graph_maker.h"

#include <math.h>
#include <string.h>

item *maker_add_conv(maker *m, item *x, int64_t filters, int64_t kernel, int64_t stride,
                     int same)
{
    if (x == NULL || x->size > MAX_SIZE / 2)
        return NULL;
    hsched_conv2d_config config = { HSCHED_CONV2D_CONFIG_INIT,
                                    .strides = { stride, stride } };
    int64_t groups = 1, dilation = maker_chance(m, 15) && !same ? 2 : 1;
    int64_t reach = dilation * (kernel - 1);
    if (maker_chance(m, 25)) { /* depthwise or grouped */
        groups = maker_chance(m, 50) || x->dims[1] % 2 != 0 ? x->dims[1] : 2;
        filters = groups * ((filters + groups - 1) / groups);
    }
    for (int i = 0; i < 4; i++)
        config.pads[i] = same ? reach / 2 : maker_range(m, 0, reach / 2 + (reach > 0));
    for (int i = 0; i < 2; i++)
        if (x->dims[2 + i] + config.pads[i] + config.pads[2 + i] < reach + 1)
            return NULL;
    config.groups = groups;
    config.dilations[0] = config.dilations[1] = dilation;
    const int64_t dims[4] = { filters, x->dims[1] / groups, kernel, kernel };
    const double radius = 1.5 / sqrt((double)(dims[1] * kernel * kernel));
    hsched_tensor bias = HSCHED_NO_TENSOR, y;
    if (x->dims[0] * filters * x->dims[2] * x->dims[3] > MAX_ELEMENTS)
        return NULL;
    hsched_tensor weights = maker_constant(m, 4, dims, -radius, radius);
    if (maker_chance(m, 50))
        bias = maker_constant(m, 1, &filters, -0.5, 0.5);
    x->used = 1;
    return maker_made(
        m, hsched_graph_add_conv2d(m->graph, NULL, x->tensor, weights, bias, &config, &y),
        &y, x->size * 1.5 + 0.5);
}

item *maker_add_batch_norm(maker *m, item *x)
{
    if (x == NULL || x->size > MAX_SIZE / 2)
        return NULL;
    hsched_tensor y, scale = maker_constant(m, 1, &x->dims[1], -1.2, 1.2),
                     shift = maker_constant(m, 1, &x->dims[1], -0.5, 0.5),
                     mean = maker_constant(m, 1, &x->dims[1], -0.5, 0.5),
                     variance = maker_constant(m, 1, &x->dims[1], 0.5, 1.5);
    x->used = 1;
    return maker_made(m,
                      hsched_graph_add_batch_norm(m->graph, NULL, x->tensor, scale, shift,
                                                  mean, variance, 1e-3f, &y),
                      &y, x->size * 1.7 + 1);
}

item *maker_add_activation(maker *m, item *x)
{
    static const hsched_activation choices[] = {
        { HSCHED_ACTIVATION_RELU },
        { HSCHED_ACTIVATION_RELU },
        { HSCHED_ACTIVATION_LEAKY_RELU, 0.1f },
        { HSCHED_ACTIVATION_CLIP, 0, 6 },
        { HSCHED_ACTIVATION_SIGMOID },
        { HSCHED_ACTIVATION_TANH },
        { HSCHED_ACTIVATION_HARD_SIGMOID, 0.2f, 0.5f },
        { HSCHED_ACTIVATION_HARD_SWISH },
        { HSCHED_ACTIVATION_ELU, 1 },
        { HSCHED_ACTIVATION_GELU },
        { HSCHED_ACTIVATION_SILU },
        { HSCHED_ACTIVATION_ABS },
        { HSCHED_ACTIVATION_NEG },
        { HSCHED_ACTIVATION_SOFTSIGN },
        { HSCHED_ACTIVATION_NONE },
    };
    if (x == NULL)
        return NULL;
    const hsched_activation act =
        choices[maker_range(m, 0, sizeof choices / sizeof *choices - 1)];
    hsched_tensor y;
    const int bounded = act.kind == HSCHED_ACTIVATION_SIGMOID ||
                        act.kind == HSCHED_ACTIVATION_TANH ||
                        act.kind == HSCHED_ACTIVATION_HARD_SIGMOID ||
                        act.kind == HSCHED_ACTIVATION_SOFTSIGN;
    x->used = 1;
    return maker_made(m, hsched_graph_add_activation(m->graph, NULL, x->tensor, act, &y),
                      &y, bounded ? 1 : x->size + 0.1);
}

item *maker_add_pool(maker *m, item *x)
{
    if (x == NULL)
        return NULL;
    hsched_pool2d_config config = { HSCHED_POOL2D_CONFIG_INIT };
    const hsched_pool_kind kind =
        maker_chance(m, 50) ? HSCHED_POOL_MAX : HSCHED_POOL_AVERAGE;
    hsched_tensor y;
    x->used = 1;
    if (maker_chance(m, 20))
        return maker_made(
            m, hsched_graph_add_global_pool(m->graph, NULL, kind, x->tensor, &y), &y,
            x->size);
    for (int i = 0; i < 2; i++) {
        int64_t most = x->dims[2 + i] < 3 ? x->dims[2 + i] : 3;
        config.kernel[i] = maker_range(m, 1, most);
        config.strides[i] = maker_range(m, 1, 2);
        config.pads[i] = maker_range(m, 0, config.kernel[i] / 2);
        config.pads[2 + i] = maker_range(m, 0, config.kernel[i] / 2);
    }
    config.ceil_mode = maker_chance(m, 30);
    config.count_include_pad = maker_chance(m, 30);
    return maker_made(
        m, hsched_graph_add_pool2d(m->graph, NULL, kind, x->tensor, &config, &y), &y,
        x->size);
}

item *maker_add_fully_connected(maker *m, item *x)
{
    if (x == NULL || x->size > MAX_SIZE / 2)
        return NULL;
    const int64_t k = maker_elements(x->rank, x->dims) / x->dims[0];
    const int64_t dims[2] = { maker_range(m, 1, 12), k };
    const double radius = 1.5 / sqrt((double)k);
    hsched_tensor y, bias = HSCHED_NO_TENSOR,
                     weights = maker_constant(m, 2, dims, -radius, radius);
    if (maker_chance(m, 50))
        bias = maker_constant(m, 1, dims, -0.5, 0.5);
    x->used = 1;
    return maker_made(
        m, hsched_graph_add_fully_connected(m->graph, NULL, x->tensor, weights, bias, &y),
        &y, x->size * 1.5 + 0.5);
}

item *maker_add_matmul(maker *m, item *x)
{
    if (x == NULL || x->size > 8)
        return NULL;
    int64_t dims[HSCHED_MAX_DIMS];
    hsched_tensor b, y;
    const int64_t k = x->dims[x->rank - 1];
    double size = 1.5;
    x->used = 1;
    if (maker_chance(m, 30) && x->rank >= 2 &&
        x->rank <= 4) { /* x times itself, turned around */
        int64_t perm[HSCHED_MAX_DIMS];
        for (uint32_t i = 0; i < x->rank; i++)
            perm[i] = i + 2 < x->rank ? i : 2 * x->rank - 3 - i;
        item *turned =
            maker_made(m, hsched_graph_add_transpose(m->graph, NULL, x->tensor, perm, &y),
                       &y, x->size);
        if (turned == NULL ||
            maker_elements(x->rank - 1, x->dims) * x->dims[x->rank - 2] > MAX_ELEMENTS)
            return NULL;
        turned->used = 1;
        b = turned->tensor;
        size = x->size * (double)k;
        if (size > MAX_SIZE)
            return NULL;
    } else {
        uint32_t rank = (uint32_t)maker_range(m, 1, 3);
        for (uint32_t i = 0; i + 2 < rank; i++)
            dims[i] = x->rank <= 2 ? maker_range(m, 1, 2) : 1;
        if (rank >= 2)
            dims[rank - 2] = k;
        dims[rank - 1] = rank >= 2 ? maker_range(m, 1, 6) : k;
        const double radius = 1.5 / sqrt((double)k);
        b = maker_constant(m, rank, dims, -radius, radius);
    }
    return maker_made(m, hsched_graph_add_matmul(m->graph, NULL, x->tensor, b, &y), &y,
                      x->size * size);
}

item *maker_add_binary(maker *m, item *x)
{
    if (x == NULL)
        return NULL;
    hsched_binary_kind kind =
        (hsched_binary_kind)maker_range(m, HSCHED_BINARY_ADD, HSCHED_BINARY_MAX);
    item *other = NULL;
    for (int attempt = 0; attempt < 8 && other == NULL && !maker_chance(m, 25);
         attempt++) {
        item *y = maker_pick(m, x->rank, x->rank, 0);
        if (y != NULL && memcmp(y->dims, x->dims, x->rank * sizeof *x->dims) == 0)
            other = y;
    }
    hsched_tensor b, y;
    double low = -1, size = 1;
    int x_first = 1;
    if (other != NULL) {
        if (kind == HSCHED_BINARY_DIV)
            kind = HSCHED_BINARY_ADD;
        b = other->tensor;
        size = other->size;
        other->used = 1;
    } else { /* a constant that broadcasts: one element, per channel, or any dimensions at
                1 */
        int64_t dims[HSCHED_MAX_DIMS];
        const uint32_t from = (uint32_t)maker_range(m, 0, x->rank);
        const int per_channel = maker_chance(m, 40);
        for (uint32_t i = from; i < x->rank; i++)
            dims[i - from] =
                (per_channel ? i == 1 : maker_chance(m, 60)) ? x->dims[i] : 1;
        if (maker_chance(m, 15))
            kind = HSCHED_BINARY_PRELU;
        if (kind == HSCHED_BINARY_DIV)
            low = 0.5;
        b = maker_constant(m, x->rank - from, dims, low, 1.2);
        x_first = kind == HSCHED_BINARY_DIV || kind == HSCHED_BINARY_PRELU ||
                  maker_chance(m, 60);
        size = kind == HSCHED_BINARY_DIV ? 2 : 1.2;
    }
    const int product = kind == HSCHED_BINARY_MUL || kind == HSCHED_BINARY_DIV;
    size = product ? x->size * size : x->size + size;
    if (size > MAX_SIZE)
        return NULL;
    x->used = 1;
    return maker_made(m,
                      hsched_graph_add_binary(m->graph, NULL, kind,
                                              x_first ? x->tensor : b,
                                              x_first ? b : x->tensor, &y),
                      &y, size);
}

item *maker_add_concat(maker *m, item *x)
{
    if (x == NULL || x->rank == 0)
        return NULL;
    hsched_tensor inputs[MAX_OPERANDS] = { x->tensor }, y;
    const int axis = (int)maker_range(m, 0, x->rank - 1);
    const uint32_t wanted = (uint32_t)maker_range(m, 1, MAX_OPERANDS - 1);
    uint32_t count = 1;
    double size = x->size;
    int64_t total = maker_elements(x->rank, x->dims);
    for (uint32_t attempt = 0; attempt < 12 && count < wanted; attempt++) {
        item *other = maker_pick(m, x->rank, x->rank, 1);
        if (other == NULL || other->dtype != x->dtype)
            continue;
        int fits = 1;
        for (uint32_t i = 0; i < x->rank; i++)
            fits &= (int)i == axis || other->dims[i] == x->dims[i];
        if (!fits || (total += maker_elements(other->rank, other->dims)) > MAX_ELEMENTS)
            continue;
        other->used = 1;
        inputs[count++] = other->tensor;
        if (other->size > size)
            size = other->size;
    }
    x->used = 1;
    return maker_made(
        m,
        hsched_graph_add_concat(m->graph, NULL, inputs, count,
                                maker_chance(m, 30) ? axis - (int)x->rank : axis, &y),
        &y, size);
}

item *maker_add_slice(maker *m, item *x)
{
    if (x == NULL || x->rank == 0)
        return NULL;
    int64_t start[2], end[2], axis[2], step[2];
    hsched_tensor y;
    const uint32_t count = x->rank > 1 && maker_chance(m, 40) ? 2 : 1;
    for (uint32_t i = 0; i < count; i++) {
        axis[i] = i == 0 ? maker_range(m, 0, x->rank - 1) : (axis[0] + 1) % x->rank;
        const int64_t size = x->dims[axis[i]];
        start[i] = maker_range(m, 0, size - 1);
        end[i] = maker_range(m, start[i] + 1, size);
        step[i] = maker_chance(m, 70) ? 1 : 2;
        if (maker_chance(m, 15)) { /* backwards */
            step[i] = -step[i];
            start[i] = end[i] - 1;
            end[i] = -size - 1;
        }
    }
    x->used = 1;
    return maker_made(m,
                      hsched_graph_add_slice(m->graph, NULL, x->tensor, count, start, end,
                                             axis, step, &y),
                      &y, x->size);
}

item *maker_add_pad(maker *m, item *x)
{
    int64_t before[HSCHED_MAX_DIMS] = { 0 }, after[HSCHED_MAX_DIMS] = { 0 }, total = 1;
    if (x == NULL || x->rank == 0)
        return NULL;
    const hsched_pad_mode mode = (hsched_pad_mode)maker_range(m, 0, 2);
    for (uint32_t i = 0; i < x->rank; i++) {
        if (maker_chance(m, 60) && (x->rank != 4 || i >= 2 || maker_chance(m, 20))) {
            const int64_t most = mode == HSCHED_PAD_MODE_REFLECT ? x->dims[i] - 1 : 2;
            before[i] = maker_range(m, 0, most < 2 ? most : 2);
            after[i] = maker_range(m, 0, most < 2 ? most : 2);
        }
        total *= x->dims[i] + before[i] + after[i];
    }
    hsched_tensor y;
    if (total > MAX_ELEMENTS)
        return NULL;
    x->used = 1;
    return maker_made(m,
                      hsched_graph_add_pad(m->graph, NULL, x->tensor, before, after, mode,
                                           maker_chance(m, 60)          ? 0.0f
                                           : x->dtype == HSCHED_FLOAT32 ? 0.75f
                                                                        : 1.0f,
                                           &y),
                      &y, x->size + 1);
}

item *maker_add_reshape(maker *m, item *x)
{
    if (x == NULL)
        return NULL;
    hsched_tensor y;
    int64_t dims[HSCHED_MAX_DIMS], left = maker_elements(x->rank, x->dims);
    x->used = 1;
    switch (maker_range(m, 0, 4)) {
    case 0:
        return maker_made(m,
                          hsched_graph_add_flatten(m->graph, NULL, x->tensor,
                                                   (int)maker_range(m, 0, x->rank), &y),
                          &y, x->size);
    case 1:
        return maker_made(
            m, hsched_graph_add_squeeze(m->graph, NULL, x->tensor, 0, NULL, &y), &y,
            x->size);
    case 2:
        if (x->rank > 5)
            return NULL;
        dims[0] = maker_range(m, 0, x->rank);
        return maker_made(
            m, hsched_graph_add_unsqueeze(m->graph, NULL, x->tensor, 1, dims, &y), &y,
            x->size);
    default:
        break;
    }
    uint32_t rank = 0;
    while (rank < 4 && left > 1) { /* random divisors, the rest at the end */
        int64_t divisor = rank == 0 && x->rank > 0 && maker_chance(m, 50)
                              ? x->dims[0]
                              : maker_range(m, 1, 6);
        if (left % divisor == 0) {
            dims[rank++] = divisor;
            left /= divisor;
        } else if (maker_chance(m, 30)) {
            break;
        }
    }
    dims[rank++] = maker_chance(m, 40) ? HSCHED_DIM_INFER : left;
    return maker_made(m,
                      hsched_graph_add_reshape(m->graph, NULL, x->tensor, rank, dims, &y),
                      &y, x->size);
}

item *maker_add_transpose(maker *m, item *x)
{
    static const int64_t common[2][4] = { { 0, 2, 3, 1 }, { 0, 3, 1, 2 } };
    int64_t perm[HSCHED_MAX_DIMS];
    hsched_tensor y;
    if (x == NULL || x->rank == 0)
        return NULL;
    for (uint32_t i = 0; i < x->rank; i++)
        perm[i] = i;
    for (uint32_t i = x->rank; i-- > 1;) {
        const int64_t k = maker_range(m, 0, i), t = perm[k];
        perm[k] = perm[i];
        perm[i] = t;
    }
    if (x->rank == 4 && maker_chance(m, 70))
        memcpy(perm, common[maker_range(m, 0, 1)], sizeof common[0]);
    x->used = 1;
    return maker_made(m,
                      hsched_graph_add_transpose(m->graph, NULL, x->tensor,
                                                 maker_chance(m, 10) ? NULL : perm, &y),
                      &y, x->size);
}

item *maker_add_reduce(maker *m, item *x)
{
    int64_t axes[HSCHED_MAX_DIMS] = { 2, 3 };
    uint32_t count = 0;
    hsched_tensor y;
    if (x == NULL || x->rank == 0)
        return NULL;
    if (x->rank == 4 && maker_chance(m, 40))
        count = 2;
    else
        for (uint32_t i = 0; i < x->rank; i++)
            if (maker_chance(m, 40))
                axes[count++] = i;
    static const hsched_reduce_kind kinds[] = {
        HSCHED_REDUCE_MEAN, HSCHED_REDUCE_MAX, HSCHED_REDUCE_MIN,       HSCHED_REDUCE_SUM,
        HSCHED_REDUCE_L1,   HSCHED_REDUCE_L2,  HSCHED_REDUCE_SUM_SQUARE
    };
    hsched_reduce_kind kind = kinds[maker_range(m, 0, 6)];
    double size = x->size, group = 1;
    for (uint32_t i = 0; i < (count > 0 ? count : x->rank); i++)
        group *= (double)x->dims[count > 0 ? axes[i] : i];
    if (kind == HSCHED_REDUCE_SUM_SQUARE)
        size *= size;
    if (kind != HSCHED_REDUCE_MEAN && kind != HSCHED_REDUCE_MAX &&
        kind != HSCHED_REDUCE_MIN)
        size *= group;
    if (size > MAX_SIZE) {
        kind = HSCHED_REDUCE_MEAN;
        size = x->size;
    }
    x->used = 1;
    return maker_made(m,
                      hsched_graph_add_reduce(m->graph, NULL, kind, x->tensor, count,
                                              axes, maker_chance(m, 50), &y),
                      &y, size);
}

/* To a few more of what it has one of, with up to two dimensions in front. */
item *maker_add_expand(maker *m, item *x)
{
    int64_t dims[HSCHED_MAX_DIMS];
    hsched_tensor y;
    if (x == NULL)
        return NULL;
    const item *t = x;
    const uint32_t more = t->rank < 4 ? (uint32_t)maker_range(m, 0, 2) : 0;
    for (uint32_t k = 0; k < more + t->rank; k++)
        dims[k] = k < more                 ? maker_range(m, 1, 3)
                  : t->dims[k - more] != 1 ? maker_chance(m, 50) ? 1 : t->dims[k - more]
                                           : maker_range(m, 1, 4);
    x->used = 1;
    return maker_made(
        m, hsched_graph_add_expand(m->graph, NULL, x->tensor, more + t->rank, dims, &y),
        &y, x->size);
}

item *maker_add_lrn(maker *m, item *x)
{
    hsched_lrn_config config = { HSCHED_LRN_CONFIG_INIT, .size = maker_range(m, 1, 5),
                                 .alpha = 0.1f };
    hsched_tensor y;
    if (x == NULL)
        return NULL;
    x->used = 1;
    return maker_made(m, hsched_graph_add_lrn(m->graph, NULL, x->tensor, &config, &y), &y,
                      x->size);
}

item *maker_add_softmax(maker *m, item *x)
{
    hsched_tensor y;
    if (x == NULL || x->rank == 0)
        return NULL;
    x->used = 1;
    return maker_made(
        m,
        hsched_graph_add_softmax(m->graph, NULL, x->tensor,
                                 (int)maker_range(m, -(int64_t)x->rank, x->rank - 1), &y),
        &y, 1);
}
