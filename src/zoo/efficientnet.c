/* EfficientNet-B0 (Tan, Le 2019), torchvision's form: inverted residual blocks whose
 * channels are weighted by squeeze and excitation. */
#include "zoo/net.h"

#include <stdio.h>

#define EPSILON 1e-5f

static const hsched_activation silu = { HSCHED_ACTIVATION_SILU, 0, 0 };

static hsched_tensor depthwise(zoo_net *net, const char *block, hsched_tensor x,
                               int64_t kernel, int64_t stride)
{
    int64_t channels = zoo_channels(net, x);
    return zoo_unit(net, block, ".depthwise", x,
                    &(zoo_conv){ .out = channels,
                                 .kernel = kernel,
                                 .stride = stride,
                                 .pad = kernel / 2,
                                 .groups = channels },
                    &(zoo_norm){ EPSILON, 1.0f, silu });
}

/* Each channel times a number from 0 to 1 that all channels' averages decide. */
static hsched_tensor excite(zoo_net *net, const char *block, hsched_tensor x,
                            int64_t squeezed)
{
    char name[ZOO_NAME_MAX];
    int64_t channels = zoo_channels(net, x);
    snprintf(name, sizeof name, "%s.se.avgpool", block);
    hsched_tensor s = zoo_global_average(net, name, x);
    snprintf(name, sizeof name, "%s.se.fc1", block);
    s = zoo_conv2d(net, name, s, &(zoo_conv){ .out = squeezed, .kernel = 1, .bias = 1 });
    snprintf(name, sizeof name, "%s.se.silu", block);
    s = zoo_activation(net, name, s, silu);
    snprintf(name, sizeof name, "%s.se.fc2", block);
    s = zoo_conv2d(net, name, s, &(zoo_conv){ .out = channels, .kernel = 1, .bias = 1 });
    snprintf(name, sizeof name, "%s.se.sigmoid", block);
    s = zoo_activation(net, name, s,
                       (hsched_activation){ HSCHED_ACTIVATION_SIGMOID, 0, 0 });
    snprintf(name, sizeof name, "%s.se.scale", block);
    return zoo_binary(net, name, HSCHED_BINARY_MUL, x, s);
}

typedef struct stage {
    int64_t expand, kernel, stride, out;
    int count;
} stage;

static hsched_tensor mb_conv(zoo_net *net, const char *block, hsched_tensor x,
                             const stage *s, int64_t stride)
{
    char name[ZOO_NAME_MAX];
    int64_t channels = zoo_channels(net, x);
    int skip = stride == 1 && channels == s->out;
    hsched_tensor y = x;
    if (s->expand != 1)
        y = zoo_unit(net, block, ".expand", y,
                     &(zoo_conv){ .out = channels * s->expand,
                                  .kernel = 1,
                                  .from = ZOO_FROM_LINEAR },
                     &(zoo_norm){ EPSILON, 1.0f, silu });
    y = depthwise(net, block, y, s->kernel, stride);
    y = excite(net, block, y, channels / 4);
    /* The gain makes up for what excitation takes away: half, on the average. */
    y = zoo_unit(net, block, ".project", y, &(zoo_conv){ .out = s->out, .kernel = 1 },
                 &(zoo_norm){ .epsilon = EPSILON, .gain = skip ? 0.8f : 1.8f });
    if (!skip)
        return y;
    snprintf(name, sizeof name, "%s.add", block);
    return zoo_add(net, name, x, y);
}

void zoo_efficientnet_b0(zoo_net *net)
{
    static const stage stages[7] = { { 1, 3, 1, 16, 1 },  { 6, 3, 2, 24, 2 },
                                     { 6, 5, 2, 40, 2 },  { 6, 3, 2, 80, 3 },
                                     { 6, 5, 1, 112, 3 }, { 6, 5, 2, 192, 4 },
                                     { 6, 3, 1, 320, 1 } };
    static const zoo_norm norm = { EPSILON, 1.0f, { HSCHED_ACTIVATION_SILU, 0, 0 } };
    char name[ZOO_BLOCK_MAX];
    hsched_tensor x = zoo_unit(
        net, "features.0", "", zoo_image(net),
        &(zoo_conv){
            .out = 32, .kernel = 3, .stride = 2, .pad = 1, .from = ZOO_FROM_LINEAR },
        &norm);
    for (int s = 0; s < 7; s++) {
        for (int b = 0; b < stages[s].count; b++) {
            snprintf(name, sizeof name, "features.%d.%d", s + 1, b);
            x = mb_conv(net, name, x, &stages[s], b == 0 ? stages[s].stride : 1);
        }
    }
    x = zoo_unit(net, "features.8", "", x,
                 &(zoo_conv){ .out = 1280, .kernel = 1, .from = ZOO_FROM_LINEAR }, &norm);
    zoo_classifier(net, "classifier", x, 4.0f);
}
