#include "zoo/net.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Weights -------------------------------------------------------------- */

/* splitmix64 (Steele, Lea, Flood 2014): integer arithmetic only, the same on every
 * machine. */
static uint64_t random_next(zoo_net *net)
{
    uint64_t z = net->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* `count` values, even in [-radius, radius). Integers of 25 bits become floats exactly;
 * each is then rounded once, so that no compiler can change a bit. */
static void random_fill(zoo_net *net, float *values, size_t count, float radius)
{
    float unit = radius / (float)(1 << 24);
    for (size_t i = 0; i < count; i += 2) {
        uint64_t bits = random_next(net);
        values[i] = (float)((int32_t)(bits >> 39) - (1 << 24)) * unit;
        if (i + 1 < count)
            values[i + 1] = (float)((int32_t)(bits & 0x1ffffff) - (1 << 24)) * unit;
    }
}

static void random_around(zoo_net *net, float *values, size_t count, float middle,
                          float radius)
{
    random_fill(net, values, count, radius);
    for (size_t i = 0; i < count; i++)
        values[i] = middle + values[i];
}

static int scratch_reserve(zoo_net *net, size_t count)
{
    if (count <= net->scratch_count)
        return 1;
    free(net->scratch);
    net->scratch = calloc(count, sizeof *net->scratch);
    net->scratch_count = net->scratch ? count : 0;
    if (!net->scratch)
        net->status = HSCHED_ERROR_OUT_OF_MEMORY;
    return net->scratch != NULL;
}

/*
 * `out` filters of `fan_in` weights each into the scratch memory, even with a standard
 * deviation that keeps the size of the values. After a ReLU the values have mean m and
 * second moment s: plain weights would pass on the mean, which says nothing about the
 * input and in a deep network drowns what does; so each filter's own mean is taken off,
 * and the rest is made larger for what is left, (1 - 1/pi)/2 of the second moment before
 * the ReLU. Filters too small for that (depthwise) keep their mean and have He's factor
 * of 2.
 */
static int make_filters(zoo_net *net, int64_t out, int64_t fan_in, zoo_from from,
                        float gain)
{
    size_t count = (size_t)out * (size_t)fan_in;
    if (!scratch_reserve(net, count))
        return 0;
    int centre = from == ZOO_FROM_RELU && fan_in >= 16;
    float variance = (from == ZOO_FROM_LINEAR ? 1.0f
                      : centre                ? 2.933884f
                                              : 2.0f) /
                     (float)fan_in;
    random_fill(net, net->scratch, count, gain * sqrtf(3.0f * variance));
    for (int64_t o = 0; centre && o < out; o++) {
        float *filter = net->scratch + o * fan_in;
        double sum = 0;
        for (int64_t i = 0; i < fan_in; i++)
            sum += (double)filter[i];
        float mean = (float)(sum / (double)fan_in);
        for (int64_t i = 0; i < fan_in; i++)
            filter[i] = filter[i] - mean;
    }
    return 1;
}

/* The scratch memory as the constant "layer.role". */
static hsched_tensor add_constant(zoo_net *net, const char *layer, const char *role,
                                  uint32_t rank, const int64_t *dims)
{
    char name[ZOO_NAME_MAX + 32];
    size_t size = sizeof(float);
    hsched_tensor tensor = HSCHED_NO_TENSOR;
    snprintf(name, sizeof name, "%s.%s", layer, role);
    for (uint32_t i = 0; i < rank; i++)
        size *= (size_t)dims[i];
    net->status =
        hsched_graph_add_constant(net->graph, name, HSCHED_FLOAT32, rank, dims,
                                  net->scratch, size, HSCHED_DATA_COPY, &tensor);
    return net->status == HSCHED_OK ? tensor : HSCHED_NO_TENSOR;
}

hsched_tensor zoo_weights_around(zoo_net *net, const char *layer, const char *role,
                                 int64_t count, float middle, float radius)
{
    if (net->status != HSCHED_OK || !scratch_reserve(net, (size_t)count))
        return HSCHED_NO_TENSOR;
    random_around(net, net->scratch, (size_t)count, middle, radius);
    return add_constant(net, layer, role, 1, &count);
}

hsched_tensor zoo_weights(zoo_net *net, const char *layer, const char *role,
                          uint32_t rank, const int64_t *dims, float radius)
{
    size_t count = 1;
    for (uint32_t i = 0; i < rank; i++)
        count *= (size_t)dims[i];
    if (net->status != HSCHED_OK || !scratch_reserve(net, count))
        return HSCHED_NO_TENSOR;
    random_fill(net, net->scratch, count, radius);
    return add_constant(net, layer, role, rank, dims);
}

/* ---- The net -------------------------------------------------------------- */

void zoo_net_init(zoo_net *net, const char *name, uint64_t seed)
{
    *net = (zoo_net){ .random = seed };
    net->status = hsched_graph_create(name, &net->graph);
}

hsched_status zoo_net_finish(zoo_net *net, hsched_graph **graph)
{
    free(net->scratch);
    net->scratch = NULL;
    if (net->status == HSCHED_OK) {
        *graph = net->graph;
    } else {
        hsched_graph_destroy(net->graph);
        *graph = NULL;
    }
    net->graph = NULL;
    return net->status;
}

hsched_tensor zoo_made(zoo_net *net, hsched_status status, const hsched_tensor *y)
{
    net->status = status;
    return status == HSCHED_OK ? *y : HSCHED_NO_TENSOR;
}

static int tensor_info(zoo_net *net, hsched_tensor x, hsched_tensor_info *info)
{
    if (net->status != HSCHED_OK)
        return 0;
    net->status = hsched_graph_tensor_info(net->graph, x, info);
    return net->status == HSCHED_OK;
}

int64_t zoo_dim(zoo_net *net, hsched_tensor x, uint32_t axis)
{
    hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
    return tensor_info(net, x, &info) ? info.dims[axis] : 0;
}

int64_t zoo_channels(zoo_net *net, hsched_tensor x)
{
    return zoo_dim(net, x, 1);
}

static hsched_tensor add_typed(zoo_net *net, hsched_dtype dtype, uint32_t rank,
                               const int64_t *dims)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (net->status != HSCHED_OK)
        return y;
    return zoo_made(
        net, hsched_graph_add_input(net->graph, "input", dtype, rank, dims, &y), &y);
}

static hsched_tensor add_input(zoo_net *net, uint32_t rank, const int64_t *dims)
{
    return add_typed(net, HSCHED_FLOAT32, rank, dims);
}

hsched_tensor zoo_image(zoo_net *net)
{
    return zoo_square(net, 224);
}

hsched_tensor zoo_square(zoo_net *net, int64_t size)
{
    return add_input(net, 4, (const int64_t[]){ 1, 3, size, size });
}

hsched_tensor zoo_tokens(zoo_net *net, int64_t length)
{
    return add_typed(net, HSCHED_INT64, 2, (const int64_t[]){ 1, length });
}

hsched_tensor zoo_vector(zoo_net *net, int64_t length)
{
    return add_input(net, 2, (const int64_t[]){ 1, length });
}

/* ---- Layers --------------------------------------------------------------- */

hsched_tensor zoo_conv2d(zoo_net *net, const char *name, hsched_tensor x,
                         const zoo_conv *conv)
{
    int64_t groups = conv->groups ? conv->groups : 1;
    int64_t channels = zoo_channels(net, x) / groups;
    int64_t width = conv->width ? conv->width : conv->kernel;
    int64_t pad_width = conv->width ? conv->pad_width : conv->pad;
    int64_t fan_in = channels * conv->kernel * width;
    float gain = conv->gain != 0.0f ? conv->gain : 1.0f;
    hsched_tensor y = HSCHED_NO_TENSOR, weights, bias = HSCHED_NO_TENSOR;
    if (net->status != HSCHED_OK ||
        !make_filters(net, conv->out, fan_in, conv->from, gain))
        return y;
    weights = add_constant(net, name, "weight", 4,
                           (const int64_t[]){ conv->out, channels, conv->kernel, width });
    if (conv->bias)
        bias = zoo_weights_around(net, name, "bias", conv->out, 0.0f, 0.1f);
    if (net->status != HSCHED_OK)
        return y;
    int64_t stride = conv->stride ? conv->stride : 1;
    hsched_conv2d_config config = {
        HSCHED_CONV2D_CONFIG_INIT,
        .strides = { stride, stride },
        .pads = { conv->pad, pad_width, conv->pad, pad_width },
        .groups = groups,
    };
    return zoo_made(
        net, hsched_graph_add_conv2d(net->graph, name, x, weights, bias, &config, &y),
        &y);
}

hsched_tensor zoo_fc(zoo_net *net, const char *name, hsched_tensor x, int64_t out,
                     float gain)
{
    hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (!tensor_info(net, x, &info))
        return y;
    int64_t fan_in = 1;
    for (uint32_t i = 1; i < info.rank; i++)
        fan_in *= info.dims[i];
    if (!make_filters(net, out, fan_in, ZOO_FROM_RELU, gain))
        return y;
    hsched_tensor weights =
        add_constant(net, name, "weight", 2, (const int64_t[]){ out, fan_in });
    hsched_tensor bias = zoo_weights_around(net, name, "bias", out, 0.0f, 0.1f);
    if (net->status != HSCHED_OK)
        return y;
    return zoo_made(
        net, hsched_graph_add_fully_connected(net->graph, name, x, weights, bias, &y),
        &y);
}

hsched_tensor zoo_batch_norm(zoo_net *net, const char *name, hsched_tensor x,
                             float epsilon, float gain)
{
    int64_t channels = zoo_channels(net, x);
    hsched_tensor y = HSCHED_NO_TENSOR;
    hsched_tensor scale =
        zoo_weights_around(net, name, "weight", channels, gain, 0.2f * gain);
    hsched_tensor shift =
        zoo_weights_around(net, name, "bias", channels, 0.0f, 0.2f * gain);
    hsched_tensor mean =
        zoo_weights_around(net, name, "running_mean", channels, 0.0f, 0.2f);
    hsched_tensor variance =
        zoo_weights_around(net, name, "running_var", channels, 1.0f, 0.2f);
    if (net->status != HSCHED_OK)
        return y;
    return zoo_made(net,
                    hsched_graph_add_batch_norm(net->graph, name, x, scale, shift, mean,
                                                variance, epsilon, &y),
                    &y);
}

hsched_tensor zoo_activation(zoo_net *net, const char *name, hsched_tensor x,
                             hsched_activation function)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (net->status != HSCHED_OK)
        return y;
    return zoo_made(net, hsched_graph_add_activation(net->graph, name, x, function, &y),
                    &y);
}

hsched_tensor zoo_unit(zoo_net *net, const char *block, const char *part, hsched_tensor x,
                       const zoo_conv *conv, const zoo_norm *norm)
{
    char name[ZOO_NAME_MAX];
    snprintf(name, sizeof name, "%s%s.conv", block, part);
    x = zoo_conv2d(net, name, x, conv);
    snprintf(name, sizeof name, "%s%s.bn", block, part);
    x = zoo_batch_norm(net, name, x, norm->epsilon, norm->gain);
    if (norm->activation.kind == HSCHED_ACTIVATION_NONE)
        return x;
    snprintf(name, sizeof name, "%s%s.%s", block, part,
             hsched_activation_name(norm->activation.kind));
    return zoo_activation(net, name, x, norm->activation);
}

hsched_tensor zoo_relu(zoo_net *net, const char *name, hsched_tensor x)
{
    return zoo_activation(net, name, x,
                          (hsched_activation){ HSCHED_ACTIVATION_RELU, 0, 0 });
}

hsched_tensor zoo_relu6(zoo_net *net, const char *name, hsched_tensor x)
{
    return zoo_activation(net, name, x,
                          (hsched_activation){ HSCHED_ACTIVATION_CLIP, 0, 6 });
}

static hsched_tensor pool2d(zoo_net *net, const char *name, hsched_pool_kind kind,
                            hsched_tensor x, const zoo_pool *pool)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (net->status != HSCHED_OK)
        return y;
    hsched_pool2d_config config = {
        HSCHED_POOL2D_CONFIG_INIT,
        .kernel = { pool->kernel, pool->kernel },
        .strides = { pool->stride, pool->stride },
        .pads = { pool->pad, pool->pad, pool->pad, pool->pad },
        .auto_pad = pool->same ? HSCHED_PAD_SAME_UPPER : HSCHED_PAD_EXPLICIT,
        .ceil_mode = pool->ceil_mode,
        .count_include_pad = pool->count_include_pad,
    };
    return zoo_made(net, hsched_graph_add_pool2d(net->graph, name, kind, x, &config, &y),
                    &y);
}

hsched_tensor zoo_max_pool(zoo_net *net, const char *name, hsched_tensor x,
                           const zoo_pool *pool)
{
    return pool2d(net, name, HSCHED_POOL_MAX, x, pool);
}

hsched_tensor zoo_average_pool(zoo_net *net, const char *name, hsched_tensor x,
                               const zoo_pool *pool)
{
    return pool2d(net, name, HSCHED_POOL_AVERAGE, x, pool);
}

hsched_tensor zoo_global_average(zoo_net *net, const char *name, hsched_tensor x)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (net->status != HSCHED_OK)
        return y;
    return zoo_made(
        net, hsched_graph_add_global_pool(net->graph, name, HSCHED_POOL_AVERAGE, x, &y),
        &y);
}

hsched_tensor zoo_add(zoo_net *net, const char *name, hsched_tensor a, hsched_tensor b)
{
    return zoo_binary(net, name, HSCHED_BINARY_ADD, a, b);
}

hsched_tensor zoo_concat(zoo_net *net, const char *name, const hsched_tensor *x,
                         uint32_t count)
{
    return zoo_concat_along(net, name, x, count, 1);
}

hsched_tensor zoo_flatten(zoo_net *net, const char *name, hsched_tensor x)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (net->status != HSCHED_OK)
        return y;
    return zoo_made(net, hsched_graph_add_flatten(net->graph, name, x, 1, &y), &y);
}

void zoo_output(zoo_net *net, hsched_tensor x)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (net->status != HSCHED_OK)
        return;
    net->status = hsched_graph_add_softmax(net->graph, "output", x, 1, &y);
    zoo_mark(net, y);
}

void zoo_classifier(zoo_net *net, const char *name, hsched_tensor x, float gain)
{
    x = zoo_global_average(net, "avgpool", x);
    x = zoo_flatten(net, "flatten", x);
    zoo_output(net, zoo_fc(net, name, x, 1000, gain));
}
