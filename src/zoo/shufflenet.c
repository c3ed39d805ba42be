/* ShuffleNet v2 (Ma et al. 2018), width 1.0, torchvision's form: half of the channels pass
 * a block as they are, and a shuffle mixes the halves. */
#include "zoo/net.h"

#include <stdio.h>

static const zoo_norm active = { 1e-5f, 1.0f, { HSCHED_ACTIVATION_RELU, 0, 0 } };
static const zoo_norm linear = { .epsilon = 1e-5f, .gain = 1.0f };

static hsched_tensor pointwise(zoo_net *net, const char *block, const char *part,
                               hsched_tensor x, int64_t out, zoo_from from)
{
    return zoo_unit(net, block, part, x,
                    &(zoo_conv){ .out = out, .kernel = 1, .from = from }, &active);
}

static hsched_tensor depthwise(zoo_net *net, const char *block, const char *part,
                               hsched_tensor x, int64_t stride)
{
    int64_t channels = zoo_channels(net, x);
    return zoo_unit(net, block, part, x,
                    &(zoo_conv){ .out = channels,
                                 .kernel = 3,
                                 .stride = stride,
                                 .pad = 1,
                                 .groups = channels },
                    &linear);
}

/* Channels of the two halves by turns. */
static hsched_tensor shuffle(zoo_net *net, const char *block, hsched_tensor x)
{
    char name[ZOO_NAME_MAX];
    int64_t channels = zoo_channels(net, x), size = zoo_dim(net, x, 2);
    snprintf(name, sizeof name, "%s.shuffle.split", block);
    x = zoo_reshape(net, name, x, 5, (const int64_t[]){ 1, 2, channels / 2, size, size });
    snprintf(name, sizeof name, "%s.shuffle.transpose", block);
    x = zoo_transpose(net, name, x, (const int64_t[]){ 0, 2, 1, 3, 4 });
    snprintf(name, sizeof name, "%s.shuffle.join", block);
    return zoo_reshape(net, name, x, 4, (const int64_t[]){ 1, channels, size, size });
}

/* `stride` 2: both halves come from all of x, and the size is halved. */
static hsched_tensor block_of(zoo_net *net, const char *block, hsched_tensor x,
                              int64_t out, int64_t stride)
{
    char name[ZOO_NAME_MAX];
    hsched_tensor half[2];
    int64_t channels = zoo_channels(net, x);
    if (stride == 1) {
        snprintf(name, sizeof name, "%s.keep", block);
        half[0] = zoo_slice(net, name, x, 1, 0, channels / 2);
        snprintf(name, sizeof name, "%s.change", block);
        half[1] = zoo_slice(net, name, x, 1, channels / 2, channels);
    } else {
        half[0] = depthwise(net, block, ".branch1.0", x, stride);
        half[0] = pointwise(net, block, ".branch1.1", half[0], out / 2, ZOO_FROM_LINEAR);
        half[1] = x;
    }
    half[1] = pointwise(net, block, ".branch2.0", half[1], out / 2, ZOO_FROM_RELU);
    half[1] = depthwise(net, block, ".branch2.1", half[1], stride);
    half[1] = pointwise(net, block, ".branch2.2", half[1], out / 2, ZOO_FROM_LINEAR);
    snprintf(name, sizeof name, "%s.concat", block);
    return shuffle(net, block, zoo_concat(net, name, half, 2));
}

void zoo_shufflenet_v2(zoo_net *net)
{
    static const struct {
        int64_t out;
        int count;
    } stages[3] = { { 116, 4 }, { 232, 8 }, { 464, 4 } };
    char name[ZOO_BLOCK_MAX];
    hsched_tensor x = zoo_unit(
        net, "conv1", "", zoo_image(net),
        &(zoo_conv){
            .out = 24, .kernel = 3, .stride = 2, .pad = 1, .from = ZOO_FROM_LINEAR },
        &active);
    x = zoo_max_pool(net, "maxpool", x, &(zoo_pool){ 3, 2, 1 });
    for (int s = 0; s < 3; s++) {
        for (int b = 0; b < stages[s].count; b++) {
            snprintf(name, sizeof name, "stage%d.%d", s + 2, b);
            x = block_of(net, name, x, stages[s].out, b == 0 ? 2 : 1);
        }
    }
    x = pointwise(net, "conv5", "", x, 1024, ZOO_FROM_RELU);
    zoo_classifier(net, "fc", x, 2.0f);
}
