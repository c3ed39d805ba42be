#include "unit/random_graph.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_TENSORS = 512,
    MAX_ELEMENTS = 6000,
    MAX_OPERANDS = 6
};
static const double max_size = 48; /* estimated magnitude */

typedef struct item {
    hsched_tensor tensor;
    hsched_dtype dtype;
    uint32_t rank;
    int64_t dims[HSCHED_MAX_DIMS];
    double size; /* estimated magnitude */
    int constant;
    int used;
} item;

typedef struct maker {
    hsched_graph *graph;
    uint64_t random;
    item items[MAX_TENSORS];
    uint32_t count;
    hsched_status status; /* of the first call that failed */
} maker;

uint64_t random_graph_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

int64_t random_graph_range(uint64_t *state, int64_t low, int64_t high)
{
    return low + (int64_t)(random_graph_next(state) % (uint64_t)(high - low + 1));
}

static float uniform(uint64_t *state, double low, double high)
{
    return (float)(low +
                   (high - low) * (double)(random_graph_next(state) >> 11) * 0x1p-53);
}

static int64_t range(maker *m, int64_t low, int64_t high)
{
    return random_graph_range(&m->random, low, high);
}

static int chance(maker *m, int percent)
{
    return range(m, 0, 99) < percent;
}

void random_graph_fill(uint64_t seed, const hsched_tensor_info *info, void *data)
{
    const size_t size = hsched_dtype_size(info->dtype), count = info->byte_size / size;
    for (size_t i = 0; i < count; i++) {
        if (info->dtype == HSCHED_FLOAT32) {
            ((float *)data)[i] = uniform(&seed, -1, 1);
        } else {
            uint64_t bits = random_graph_next(&seed);
            memcpy((char *)data + i * size, &bits, size);
        }
    }
}

/* ---- Tensors ---- */

static int64_t elements(uint32_t rank, const int64_t *dims)
{
    int64_t count = 1;
    for (uint32_t i = 0; i < rank; i++)
        count *= dims[i];
    return count;
}

/* Remembers what a call made; NULL if it failed or there is no room. */
static item *made(maker *m, hsched_status status, const hsched_tensor *tensor,
                  double size)
{
    hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
    if (m->status == HSCHED_OK)
        m->status = status;
    if (m->status == HSCHED_OK && m->count == MAX_TENSORS)
        m->status = HSCHED_ERROR_LIMIT;
    if (m->status == HSCHED_OK)
        m->status = hsched_graph_tensor_info(m->graph, *tensor, &info);
    if (m->status != HSCHED_OK)
        return NULL;
    item *to = &m->items[m->count++];
    memset(to, 0, sizeof *to);
    to->tensor = *tensor;
    to->dtype = info.dtype;
    to->rank = info.rank;
    memcpy(to->dims, info.dims, sizeof to->dims);
    to->size = size;
    return to;
}

static hsched_tensor constant(maker *m, uint32_t rank, const int64_t *dims, double low,
                              double high)
{
    hsched_tensor tensor = HSCHED_NO_TENSOR;
    const size_t count = (size_t)elements(rank, dims);
    float *data = malloc(count * sizeof *data);
    if (data == NULL || m->status != HSCHED_OK) {
        if (m->status == HSCHED_OK)
            m->status = HSCHED_ERROR_OUT_OF_MEMORY;
        free(data);
        return tensor;
    }
    for (size_t i = 0; i < count; i++)
        data[i] = uniform(&m->random, low, high);
    m->status =
        hsched_graph_add_constant(m->graph, NULL, HSCHED_FLOAT32, rank, dims, data,
                                  count * sizeof *data, HSCHED_DATA_COPY, &tensor);
    free(data);
    return tensor;
}

/* A tensor of at least (at most) so many dimensions; late ones are likelier. */
static item *pick(maker *m, uint32_t rank_min, uint32_t rank_max, int any_type)
{
    for (int attempt = 0; attempt < 24; attempt++) {
        int64_t back = range(m, 0, chance(m, 60) ? 5 : m->count - 1);
        if (back >= m->count)
            continue;
        item *x = &m->items[m->count - 1 - back];
        if (x->rank >= rank_min && x->rank <= rank_max &&
            (any_type || x->dtype == HSCHED_FLOAT32) && (!x->constant || chance(m, 15)))
            return x;
    }
    return NULL;
}

/* ---- Layers, each giving NULL if it does not fit ---- */

static item *add_conv(maker *m, item *x, int64_t filters, int64_t kernel, int64_t stride,
                      int same)
{
    if (x == NULL || x->size > max_size / 2)
        return NULL;
    hsched_conv2d_config config = { HSCHED_CONV2D_CONFIG_INIT,
                                    .strides = { stride, stride } };
    int64_t groups = 1, dilation = chance(m, 15) && !same ? 2 : 1;
    int64_t reach = dilation * (kernel - 1);
    if (chance(m, 25)) { /* depthwise or grouped */
        groups = chance(m, 50) || x->dims[1] % 2 != 0 ? x->dims[1] : 2;
        filters = groups * ((filters + groups - 1) / groups);
    }
    for (int i = 0; i < 4; i++)
        config.pads[i] = same ? reach / 2 : range(m, 0, reach / 2 + (reach > 0));
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
    hsched_tensor weights = constant(m, 4, dims, -radius, radius);
    if (chance(m, 50))
        bias = constant(m, 1, &filters, -0.5, 0.5);
    x->used = 1;
    return made(
        m, hsched_graph_add_conv2d(m->graph, NULL, x->tensor, weights, bias, &config, &y),
        &y, x->size * 1.5 + 0.5);
}

static item *add_batch_norm(maker *m, item *x)
{
    if (x == NULL || x->size > max_size / 2)
        return NULL;
    hsched_tensor y, scale = constant(m, 1, &x->dims[1], -1.2, 1.2),
                     shift = constant(m, 1, &x->dims[1], -0.5, 0.5),
                     mean = constant(m, 1, &x->dims[1], -0.5, 0.5),
                     variance = constant(m, 1, &x->dims[1], 0.5, 1.5);
    x->used = 1;
    return made(m,
                hsched_graph_add_batch_norm(m->graph, NULL, x->tensor, scale, shift, mean,
                                            variance, 1e-3f, &y),
                &y, x->size * 1.7 + 1);
}

static item *add_activation(maker *m, item *x)
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
        choices[range(m, 0, sizeof choices / sizeof *choices - 1)];
    hsched_tensor y;
    const int bounded = act.kind == HSCHED_ACTIVATION_SIGMOID ||
                        act.kind == HSCHED_ACTIVATION_TANH ||
                        act.kind == HSCHED_ACTIVATION_HARD_SIGMOID ||
                        act.kind == HSCHED_ACTIVATION_SOFTSIGN;
    x->used = 1;
    return made(m, hsched_graph_add_activation(m->graph, NULL, x->tensor, act, &y), &y,
                bounded ? 1 : x->size + 0.1);
}

static item *add_pool(maker *m, item *x)
{
    if (x == NULL)
        return NULL;
    hsched_pool2d_config config = { HSCHED_POOL2D_CONFIG_INIT };
    const hsched_pool_kind kind = chance(m, 50) ? HSCHED_POOL_MAX : HSCHED_POOL_AVERAGE;
    hsched_tensor y;
    x->used = 1;
    if (chance(m, 20))
        return made(m, hsched_graph_add_global_pool(m->graph, NULL, kind, x->tensor, &y),
                    &y, x->size);
    for (int i = 0; i < 2; i++) {
        int64_t most = x->dims[2 + i] < 3 ? x->dims[2 + i] : 3;
        config.kernel[i] = range(m, 1, most);
        config.strides[i] = range(m, 1, 2);
        config.pads[i] = range(m, 0, config.kernel[i] / 2);
        config.pads[2 + i] = range(m, 0, config.kernel[i] / 2);
    }
    config.ceil_mode = chance(m, 30);
    config.count_include_pad = chance(m, 30);
    return made(m, hsched_graph_add_pool2d(m->graph, NULL, kind, x->tensor, &config, &y),
                &y, x->size);
}

static item *add_fully_connected(maker *m, item *x)
{
    if (x == NULL || x->size > max_size / 2)
        return NULL;
    const int64_t k = elements(x->rank, x->dims) / x->dims[0];
    const int64_t dims[2] = { range(m, 1, 12), k };
    const double radius = 1.5 / sqrt((double)k);
    hsched_tensor y, bias = HSCHED_NO_TENSOR,
                     weights = constant(m, 2, dims, -radius, radius);
    if (chance(m, 50))
        bias = constant(m, 1, dims, -0.5, 0.5);
    x->used = 1;
    return made(
        m, hsched_graph_add_fully_connected(m->graph, NULL, x->tensor, weights, bias, &y),
        &y, x->size * 1.5 + 0.5);
}

static item *add_matmul(maker *m, item *x)
{
    if (x == NULL || x->size > 8)
        return NULL;
    int64_t dims[HSCHED_MAX_DIMS];
    hsched_tensor b, y;
    const int64_t k = x->dims[x->rank - 1];
    double size = 1.5;
    x->used = 1;
    if (chance(m, 30) && x->rank >= 2 &&
        x->rank <= 4) { /* x times itself, turned around */
        int64_t perm[HSCHED_MAX_DIMS];
        for (uint32_t i = 0; i < x->rank; i++)
            perm[i] = i + 2 < x->rank ? i : 2 * x->rank - 3 - i;
        item *turned =
            made(m, hsched_graph_add_transpose(m->graph, NULL, x->tensor, perm, &y), &y,
                 x->size);
        if (turned == NULL ||
            elements(x->rank - 1, x->dims) * x->dims[x->rank - 2] > MAX_ELEMENTS)
            return NULL;
        turned->used = 1;
        b = turned->tensor;
        size = x->size * (double)k;
        if (size > max_size)
            return NULL;
    } else {
        uint32_t rank = (uint32_t)range(m, 1, 3);
        for (uint32_t i = 0; i + 2 < rank; i++)
            dims[i] = x->rank <= 2 ? range(m, 1, 2) : 1;
        if (rank >= 2)
            dims[rank - 2] = k;
        dims[rank - 1] = rank >= 2 ? range(m, 1, 6) : k;
        const double radius = 1.5 / sqrt((double)k);
        b = constant(m, rank, dims, -radius, radius);
    }
    return made(m, hsched_graph_add_matmul(m->graph, NULL, x->tensor, b, &y), &y,
                x->size * size);
}

static item *add_binary(maker *m, item *x)
{
    if (x == NULL)
        return NULL;
    hsched_binary_kind kind =
        (hsched_binary_kind)range(m, HSCHED_BINARY_ADD, HSCHED_BINARY_MAX);
    item *other = NULL;
    for (int attempt = 0; attempt < 8 && other == NULL && !chance(m, 25); attempt++) {
        item *y = pick(m, x->rank, x->rank, 0);
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
        const uint32_t from = (uint32_t)range(m, 0, x->rank);
        const int per_channel = chance(m, 40);
        for (uint32_t i = from; i < x->rank; i++)
            dims[i - from] = (per_channel ? i == 1 : chance(m, 60)) ? x->dims[i] : 1;
        if (chance(m, 15))
            kind = HSCHED_BINARY_PRELU;
        if (kind == HSCHED_BINARY_DIV)
            low = 0.5;
        b = constant(m, x->rank - from, dims, low, 1.2);
        x_first =
            kind == HSCHED_BINARY_DIV || kind == HSCHED_BINARY_PRELU || chance(m, 60);
        size = kind == HSCHED_BINARY_DIV ? 2 : 1.2;
    }
    const int product = kind == HSCHED_BINARY_MUL || kind == HSCHED_BINARY_DIV;
    size = product ? x->size * size : x->size + size;
    if (size > max_size)
        return NULL;
    x->used = 1;
    return made(m,
                hsched_graph_add_binary(m->graph, NULL, kind, x_first ? x->tensor : b,
                                        x_first ? b : x->tensor, &y),
                &y, size);
}

static item *add_concat(maker *m, item *x)
{
    if (x == NULL || x->rank == 0)
        return NULL;
    hsched_tensor inputs[MAX_OPERANDS] = { x->tensor }, y;
    const int axis = (int)range(m, 0, x->rank - 1);
    const uint32_t wanted = (uint32_t)range(m, 1, MAX_OPERANDS - 1);
    uint32_t count = 1;
    double size = x->size;
    int64_t total = elements(x->rank, x->dims);
    for (uint32_t attempt = 0; attempt < 12 && count < wanted; attempt++) {
        item *other = pick(m, x->rank, x->rank, 1);
        if (other == NULL || other->dtype != x->dtype)
            continue;
        int fits = 1;
        for (uint32_t i = 0; i < x->rank; i++)
            fits &= (int)i == axis || other->dims[i] == x->dims[i];
        if (!fits || (total += elements(other->rank, other->dims)) > MAX_ELEMENTS)
            continue;
        other->used = 1;
        inputs[count++] = other->tensor;
        if (other->size > size)
            size = other->size;
    }
    x->used = 1;
    return made(m,
                hsched_graph_add_concat(m->graph, NULL, inputs, count,
                                        chance(m, 30) ? axis - (int)x->rank : axis, &y),
                &y, size);
}

static item *add_slice(maker *m, item *x)
{
    if (x == NULL || x->rank == 0)
        return NULL;
    int64_t start[2], end[2], axis[2], step[2];
    hsched_tensor y;
    const uint32_t count = x->rank > 1 && chance(m, 40) ? 2 : 1;
    for (uint32_t i = 0; i < count; i++) {
        axis[i] = i == 0 ? range(m, 0, x->rank - 1) : (axis[0] + 1) % x->rank;
        const int64_t size = x->dims[axis[i]];
        start[i] = range(m, 0, size - 1);
        end[i] = range(m, start[i] + 1, size);
        step[i] = chance(m, 70) ? 1 : 2;
        if (chance(m, 15)) { /* backwards */
            step[i] = -step[i];
            start[i] = end[i] - 1;
            end[i] = -size - 1;
        }
    }
    x->used = 1;
    return made(m,
                hsched_graph_add_slice(m->graph, NULL, x->tensor, count, start, end, axis,
                                       step, &y),
                &y, x->size);
}

static item *add_pad(maker *m, item *x)
{
    int64_t before[HSCHED_MAX_DIMS] = { 0 }, after[HSCHED_MAX_DIMS] = { 0 }, total = 1;
    if (x == NULL || x->rank == 0)
        return NULL;
    const hsched_pad_mode mode = (hsched_pad_mode)range(m, 0, 2);
    for (uint32_t i = 0; i < x->rank; i++) {
        if (chance(m, 60) && (x->rank != 4 || i >= 2 || chance(m, 20))) {
            const int64_t most = mode == HSCHED_PAD_MODE_REFLECT ? x->dims[i] - 1 : 2;
            before[i] = range(m, 0, most < 2 ? most : 2);
            after[i] = range(m, 0, most < 2 ? most : 2);
        }
        total *= x->dims[i] + before[i] + after[i];
    }
    hsched_tensor y;
    if (total > MAX_ELEMENTS)
        return NULL;
    x->used = 1;
    return made(m,
                hsched_graph_add_pad(m->graph, NULL, x->tensor, before, after, mode,
                                     chance(m, 60) ? 0.0f : 0.75f, &y),
                &y, x->size + 0.75);
}

static item *add_reshape(maker *m, item *x)
{
    if (x == NULL)
        return NULL;
    hsched_tensor y;
    int64_t dims[HSCHED_MAX_DIMS], left = elements(x->rank, x->dims);
    x->used = 1;
    switch (range(m, 0, 4)) {
    case 0:
        return made(m,
                    hsched_graph_add_flatten(m->graph, NULL, x->tensor,
                                             (int)range(m, 0, x->rank), &y),
                    &y, x->size);
    case 1:
        return made(m, hsched_graph_add_squeeze(m->graph, NULL, x->tensor, 0, NULL, &y),
                    &y, x->size);
    case 2:
        if (x->rank > 5)
            return NULL;
        dims[0] = range(m, 0, x->rank);
        return made(m, hsched_graph_add_unsqueeze(m->graph, NULL, x->tensor, 1, dims, &y),
                    &y, x->size);
    default:
        break;
    }
    uint32_t rank = 0;
    while (rank < 4 && left > 1) { /* random divisors, the rest at the end */
        int64_t divisor =
            rank == 0 && x->rank > 0 && chance(m, 50) ? x->dims[0] : range(m, 1, 6);
        if (left % divisor == 0) {
            dims[rank++] = divisor;
            left /= divisor;
        } else if (chance(m, 30)) {
            break;
        }
    }
    dims[rank++] = chance(m, 40) ? HSCHED_DIM_INFER : left;
    return made(m, hsched_graph_add_reshape(m->graph, NULL, x->tensor, rank, dims, &y),
                &y, x->size);
}

static item *add_transpose(maker *m, item *x)
{
    static const int64_t common[2][4] = { { 0, 2, 3, 1 }, { 0, 3, 1, 2 } };
    int64_t perm[HSCHED_MAX_DIMS];
    hsched_tensor y;
    if (x == NULL || x->rank == 0)
        return NULL;
    for (uint32_t i = 0; i < x->rank; i++)
        perm[i] = i;
    for (uint32_t i = x->rank; i-- > 1;) {
        const int64_t k = range(m, 0, i), t = perm[k];
        perm[k] = perm[i];
        perm[i] = t;
    }
    if (x->rank == 4 && chance(m, 70))
        memcpy(perm, common[range(m, 0, 1)], sizeof common[0]);
    x->used = 1;
    return made(m,
                hsched_graph_add_transpose(m->graph, NULL, x->tensor,
                                           chance(m, 10) ? NULL : perm, &y),
                &y, x->size);
}

static item *add_reduce_mean(maker *m, item *x)
{
    int64_t axes[HSCHED_MAX_DIMS] = { 2, 3 };
    uint32_t count = 0;
    hsched_tensor y;
    if (x == NULL || x->rank == 0)
        return NULL;
    if (x->rank == 4 && chance(m, 40))
        count = 2;
    else
        for (uint32_t i = 0; i < x->rank; i++)
            if (chance(m, 40))
                axes[count++] = i;
    x->used = 1;
    return made(m,
                hsched_graph_add_reduce_mean(m->graph, NULL, x->tensor, count, axes,
                                             chance(m, 50), &y),
                &y, x->size);
}

static item *add_lrn(maker *m, item *x)
{
    hsched_lrn_config config = { HSCHED_LRN_CONFIG_INIT, .size = range(m, 1, 5),
                                 .alpha = 0.1f };
    hsched_tensor y;
    if (x == NULL)
        return NULL;
    x->used = 1;
    return made(m, hsched_graph_add_lrn(m->graph, NULL, x->tensor, &config, &y), &y,
                x->size);
}

static item *add_softmax(maker *m, item *x)
{
    hsched_tensor y;
    if (x == NULL || x->rank == 0)
        return NULL;
    x->used = 1;
    return made(m,
                hsched_graph_add_softmax(m->graph, NULL, x->tensor,
                                         (int)range(m, -(int64_t)x->rank, x->rank - 1),
                                         &y),
                &y, 1);
}

/* ---- Motifs: what real networks are made of, and optimisers look for ---- */

static item *conv_block(maker *m, item *x, int64_t filters, int64_t kernel)
{
    item *y = add_conv(m, x, filters, kernel, 1, 1);
    if (y != NULL && chance(m, 60))
        y = add_batch_norm(m, y);
    return y != NULL && chance(m, 70) ? add_activation(m, y) : y;
}

static void residual_block(maker *m)
{
    item *x = pick(m, 4, 4, 0);
    if (x == NULL || x->dims[1] > 10)
        return;
    item *y = conv_block(m, x, x->dims[1], 3);
    if (y == NULL || (y = add_conv(m, y, x->dims[1], 3, 1, 1)) == NULL)
        return;
    if (chance(m, 50))
        y = add_batch_norm(m, y);
    item *side = chance(m, 40) ? add_conv(m, x, x->dims[1], 1, 1, 1) : x;
    if (y == NULL || side == NULL || y->dims[1] != side->dims[1] ||
        y->size + side->size > max_size)
        return;
    hsched_tensor sum;
    y->used = side->used = 1;
    const hsched_tensor a = chance(m, 50) ? y->tensor : side->tensor;
    const hsched_tensor b = a == y->tensor ? side->tensor : y->tensor;
    y = made(m, hsched_graph_add_binary(m->graph, NULL, HSCHED_BINARY_ADD, a, b, &sum),
             &sum, y->size + side->size);
    if (y != NULL && chance(m, 60))
        add_activation(m, y);
}

/* Each layer sees all layers before it, joined (PyTorch's DenseNet). */
static void dense_block(maker *m)
{
    item *x = pick(m, 4, 4, 0);
    hsched_tensor all[4], joint;
    if (x == NULL || x->size > 8 || elements(4, x->dims) > MAX_ELEMENTS / 8)
        return;
    all[0] = x->tensor;
    double size = x->size;
    for (uint32_t k = 1; k < 4; k++) {
        item *y = x;
        if (k > 1)
            y = made(m, hsched_graph_add_concat(m->graph, NULL, all, k, 1, &joint),
                     &joint, size);
        if (y != NULL && chance(m, 50))
            y = add_batch_norm(m, y);
        y = conv_block(m, y, range(m, 1, 4), 1 + 2 * range(m, 0, 1));
        if (y == NULL)
            return;
        y->used = 1;
        all[k] = y->tensor;
        size = y->size > size ? y->size : size;
    }
    x->used = 1;
    made(m, hsched_graph_add_concat(m->graph, NULL, all, 4, 1, &joint), &joint, size);
}

static void inception_block(maker *m)
{
    item *x = pick(m, 4, 4, 0);
    hsched_tensor all[3], joint;
    double size = 0;
    for (uint32_t k = 0; k < 3; k++) {
        item *y = x != NULL ? conv_block(m, x, range(m, 1, 4), k == 1 ? 3 : 1) : NULL;
        if (y == NULL)
            return;
        y->used = 1;
        all[k] = y->tensor;
        size = y->size > size ? y->size : size;
    }
    item *y =
        made(m, hsched_graph_add_concat(m->graph, NULL, all, 3, 1, &joint), &joint, size);
    if (y != NULL && chance(m, 50)) { /* a nested join */
        y->used = 1;
        const hsched_tensor both[2] = { joint, x->tensor };
        made(m, hsched_graph_add_concat(m->graph, NULL, both, 2, 1, &joint), &joint,
             size > x->size ? size : x->size);
    }
}

/* Heads of a detector: convolution, transpose, reshape to rows, joined along the rows. */
static void detector_heads(maker *m)
{
    hsched_tensor rows[3], y;
    uint32_t count = 0;
    double size = 0;
    int64_t batch = 0;
    for (uint32_t k = 0; k < 3; k++) {
        item *x = pick(m, 4, 4, 0);
        if (x == NULL || (count > 0 && x->dims[0] != batch))
            continue;
        item *head = add_conv(m, x, 4, 3, 1, 1);
        if (head == NULL || head->dims[1] != 4)
            continue;
        const int64_t perm[4] = { 0, 2, 3, 1 }, dims[3] = { head->dims[0], -1, 2 };
        head->used = 1;
        item *turned =
            made(m, hsched_graph_add_transpose(m->graph, NULL, head->tensor, perm, &y),
                 &y, head->size);
        if (turned == NULL)
            return;
        turned->used = 1;
        item *row =
            made(m, hsched_graph_add_reshape(m->graph, NULL, turned->tensor, 3, dims, &y),
                 &y, head->size);
        if (row == NULL)
            return;
        row->used = 1;
        batch = row->dims[0];
        size = row->size > size ? row->size : size;
        rows[count++] = row->tensor;
    }
    if (count == 0)
        return;
    item *joint =
        made(m, hsched_graph_add_concat(m->graph, NULL, rows, count, 1, &y), &y, size);
    if (joint != NULL && chance(m, 50))
        add_softmax(m, joint);
}

static void pad_and_conv(maker *m)
{
    item *x = pick(m, 4, 4, 0);
    hsched_tensor y;
    if (x == NULL || elements(4, x->dims) > MAX_ELEMENTS / 4)
        return;
    const int64_t before[4] = { 0, 0, 1, 1 }, after[4] = { 0, 0, 1, range(m, 0, 1) };
    x->used = 1;
    item *padded = made(m,
                        hsched_graph_add_pad(m->graph, NULL, x->tensor, before, after,
                                             HSCHED_PAD_MODE_CONSTANT, 0, &y),
                        &y, x->size);
    add_conv(m, padded, range(m, 1, 6), 3, range(m, 1, 2), 0);
}

/* ---- The whole ---- */

static void add_random(maker *m)
{
    switch (range(m, 0, 26)) {
    case 0:
    case 1:
        add_conv(m, pick(m, 4, 4, 0), range(m, 1, 8), range(m, 1, 3), range(m, 1, 2),
                 chance(m, 50));
        break;
    case 2:
        add_batch_norm(m, pick(m, 2, 5, 0));
        break;
    case 3:
    case 4:
        add_activation(m, pick(m, 0, 8, 0));
        break;
    case 5:
    case 6:
        add_pool(m, pick(m, 4, 4, 0));
        break;
    case 7:
        add_fully_connected(m, pick(m, 2, 5, 0));
        break;
    case 8:
        add_matmul(m, pick(m, 1, 4, 0));
        break;
    case 9:
    case 10:
        add_binary(m, pick(m, 0, 6, 0));
        break;
    case 11:
    case 12:
        add_concat(m, pick(m, 1, 6, 1));
        break;
    case 13:
        add_slice(m, pick(m, 1, 6, 1));
        break;
    case 14:
        add_pad(m, pick(m, 1, 5, 0));
        break;
    case 15:
    case 16:
        add_reshape(m, pick(m, 0, 6, 1));
        break;
    case 17:
        add_transpose(m, pick(m, 1, 6, 1));
        break;
    case 18:
        add_reduce_mean(m, pick(m, 1, 5, 0));
        break;
    case 19:
        add_lrn(m, pick(m, 2, 5, 0));
        break;
    case 20:
        add_softmax(m, pick(m, 1, 5, 0));
        break;
    case 21:
        residual_block(m);
        break;
    case 22:
        dense_block(m);
        break;
    case 23:
        inception_block(m);
        break;
    case 24:
        detector_heads(m);
        break;
    case 25:
        pad_and_conv(m);
        break;
    default: /* an image again, of anything */
        add_activation(m, conv_block(m, pick(m, 4, 4, 0), range(m, 1, 8), 3));
        break;
    }
}

static void add_inputs(maker *m)
{
    hsched_tensor t;
    const int64_t batch = chance(m, 30) ? 2 : 1;
    if (chance(m, 25)) {
        hsched_image_config config = { HSCHED_IMAGE_CONFIG_INIT, .mean = { 127, 100, 90 },
                                       .scale = { 0.008f, 0.01f, 0.009f },
                                       .swap_red_blue = chance(m, 50) };
        made(m,
             hsched_graph_add_image_input(m->graph, "frame", batch, range(m, 4, 8),
                                          range(m, 4, 8), 3, &config, &t),
             &t, 1.5);
    }
    if (chance(m, 30)) {
        const int64_t dims[3] = { range(m, 1, 4), range(m, 1, 4), range(m, 1, 4) };
        made(m, hsched_graph_add_input(m->graph, "numbers", HSCHED_INT64, 3, dims, &t),
             &t, 1);
    }
    if (chance(m, 40)) {
        int64_t dims[5];
        const uint32_t rank = (uint32_t)range(m, 1, 5);
        for (uint32_t i = 0; i < rank; i++)
            dims[i] = range(m, 1, 5);
        made(m, hsched_graph_add_input(m->graph, "side", HSCHED_FLOAT32, rank, dims, &t),
             &t, 1);
    }
    if (chance(m, 30)) { /* layers of constants alone */
        const int64_t dims[2] = { range(m, 1, 4), range(m, 1, 6) };
        t = constant(m, 2, dims, -1, 1);
        item *c = made(m, m->status, &t, 1);
        if (c != NULL)
            c->constant = 1;
    }
    const int64_t dims[4] = { batch, chance(m, 20) ? 1 : range(m, 2, 6), range(m, 3, 8),
                              range(m, 3, 8) };
    made(m, hsched_graph_add_input(m->graph, "image", HSCHED_FLOAT32, 4, dims, &t), &t,
         1);
}

hsched_status random_graph_make(uint64_t seed, uint32_t layers, hsched_graph **graph)
{
    *graph = NULL;
    maker *m = calloc(1, sizeof *m);
    if (m == NULL)
        return HSCHED_ERROR_OUT_OF_MEMORY;
    m->random = seed * 77 + 5;
    m->status = hsched_graph_create("random", &m->graph);
    if (m->status == HSCHED_OK)
        add_inputs(m);
    for (uint32_t i = 0; i < 8 * layers && m->status == HSCHED_OK &&
                         hsched_graph_layer_count(m->graph) < layers;
         i++)
        add_random(m);
    /* What nothing uses is an output, and so is now and then what something uses. */
    uint32_t outputs = 0;
    for (uint32_t i = 0; i < m->count && m->status == HSCHED_OK; i++) {
        const item *x = &m->items[i];
        if (x->constant || (x->used ? !chance(m, 8) : i + 1 < m->count && chance(m, 20)))
            continue;
        m->status = hsched_graph_add_output(m->graph, x->tensor);
        outputs++;
    }
    if (outputs == 0 && m->status == HSCHED_OK)
        m->status = hsched_graph_add_output(m->graph, m->items[m->count - 1].tensor);
    hsched_status status = m->status;
    if (status == HSCHED_OK)
        *graph = m->graph;
    else
        hsched_graph_destroy(m->graph);
    free(m);
    return status;
}
