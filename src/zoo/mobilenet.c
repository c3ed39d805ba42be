/* MobileNet v1 (Howard et al. 2017) and v2 (Sandler et al. 2018, torchvision's form),
 * width 1.0. */
#include "zoo/net.h"

#include <stdio.h>

#define EPSILON 1e-5f

typedef hsched_tensor (*activation_maker)(zoo_net *net, const char *name,
                                          hsched_tensor x);

/* Convolution "prefix.conv", normalization "prefix.bn" and, unless it is linear, the
 * activation. */
static hsched_tensor unit(zoo_net *net, const char *block, const char *part,
                          hsched_tensor x, const zoo_conv *conv,
                          activation_maker make_activation, float gain)
{
    char name[ZOO_NAME_MAX];
    snprintf(name, sizeof name, "%s%s.conv", block, part);
    x = zoo_conv2d(net, name, x, conv);
    snprintf(name, sizeof name, "%s%s.bn", block, part);
    x = zoo_batch_norm(net, name, x, EPSILON, gain);
    if (!make_activation)
        return x;
    snprintf(name, sizeof name, "%s%s.relu", block, part);
    return make_activation(net, name, x);
}

static hsched_tensor depthwise(zoo_net *net, const char *block, hsched_tensor x,
                               int64_t stride, activation_maker make_activation)
{
    int64_t channels = zoo_channels(net, x);
    return unit(net, block, ".depthwise", x,
                &(zoo_conv){ .out = channels,
                             .kernel = 3,
                             .stride = stride,
                             .pad = 1,
                             .groups = channels },
                make_activation, 1.0f);
}

static hsched_tensor stem(zoo_net *net, activation_maker make_activation)
{
    return unit(
        net, "features.0", "", zoo_image(net),
        &(zoo_conv){
            .out = 32, .kernel = 3, .stride = 2, .pad = 1, .from = ZOO_FROM_LINEAR },
        make_activation, 1.0f);
}

void zoo_mobilenet_v1(zoo_net *net)
{
    static const struct {
        int64_t out, stride;
    } blocks[13] = { { 64, 1 },  { 128, 2 },  { 128, 1 }, { 256, 2 }, { 256, 1 },
                     { 512, 2 }, { 512, 1 },  { 512, 1 }, { 512, 1 }, { 512, 1 },
                     { 512, 1 }, { 1024, 2 }, { 1024, 1 } };
    char name[ZOO_BLOCK_MAX];
    hsched_tensor x = stem(net, zoo_relu);
    for (int b = 0; b < 13; b++) {
        snprintf(name, sizeof name, "features.%d", b + 1);
        x = depthwise(net, name, x, blocks[b].stride, zoo_relu);
        x = unit(net, name, ".pointwise", x,
                 &(zoo_conv){ .out = blocks[b].out, .kernel = 1 }, zoo_relu, 1.0f);
    }
    zoo_classifier(net, "fc", x, 3.0f);
}

static hsched_tensor inverted_residual(zoo_net *net, const char *name, hsched_tensor x,
                                       int64_t expand, int64_t out, int64_t stride)
{
    char add[ZOO_NAME_MAX];
    int64_t channels = zoo_channels(net, x);
    int skip = stride == 1 && channels == out;
    hsched_tensor y = x;
    if (expand != 1)
        y = unit(
            net, name, ".expand", y,
            &(zoo_conv){ .out = channels * expand, .kernel = 1, .from = ZOO_FROM_LINEAR },
            zoo_relu6, 1.0f);
    y = depthwise(net, name, y, stride, zoo_relu6);
    y = unit(net, name, ".project", y, &(zoo_conv){ .out = out, .kernel = 1 }, NULL,
             skip ? 0.5f : 1.0f);
    if (!skip)
        return y;
    snprintf(add, sizeof add, "%s.add", name);
    return zoo_add(net, add, x, y);
}

void zoo_mobilenet_v2(zoo_net *net)
{
    static const struct {
        int64_t expand, out;
        int count;
        int64_t stride;
    } stages[7] = { { 1, 16, 1, 1 }, { 6, 24, 2, 2 },  { 6, 32, 3, 2 }, { 6, 64, 4, 2 },
                    { 6, 96, 3, 1 }, { 6, 160, 3, 2 }, { 6, 320, 1, 1 } };
    char name[ZOO_BLOCK_MAX];
    int block = 0;
    hsched_tensor x = stem(net, zoo_relu6);
    for (int s = 0; s < 7; s++) {
        for (int b = 0; b < stages[s].count; b++) {
            snprintf(name, sizeof name, "features.%d", ++block);
            x = inverted_residual(net, name, x, stages[s].expand, stages[s].out,
                                  b == 0 ? stages[s].stride : 1);
        }
    }
    x = unit(net, "features.18", "", x,
             &(zoo_conv){ .out = 1280, .kernel = 1, .from = ZOO_FROM_LINEAR }, zoo_relu6,
             1.0f);
    zoo_classifier(net, "classifier", x, 1.5f);
}
