/* SqueezeNet 1.1 (Iandola et al. 2016), torchvision's form: no normalization and no fully
 * connected layer; the last convolution's maps are averaged into the scores. */
#include "zoo/net.h"

#include <stdio.h>

#define HEAD_GAIN 12.0f /* averages of what a ReLU left differ little */

static hsched_tensor unit(zoo_net *net, const char *block, const char *part,
                          hsched_tensor x, const zoo_conv *conv)
{
    char name[ZOO_NAME_MAX];
    snprintf(name, sizeof name, "%s%s", block, part);
    x = zoo_conv2d(net, name, x, conv);
    snprintf(name, sizeof name, "%s%s.relu", block, part);
    return zoo_relu(net, name, x);
}

static hsched_tensor fire(zoo_net *net, const char *block, hsched_tensor x,
                          int64_t squeeze, int64_t expand)
{
    char name[ZOO_NAME_MAX];
    hsched_tensor branch[2];
    x = unit(net, block, ".squeeze", x,
             &(zoo_conv){ .out = squeeze, .kernel = 1, .bias = 1 });
    branch[0] = unit(net, block, ".expand1x1", x,
                     &(zoo_conv){ .out = expand, .kernel = 1, .bias = 1 });
    branch[1] = unit(net, block, ".expand3x3", x,
                     &(zoo_conv){ .out = expand, .kernel = 3, .pad = 1, .bias = 1 });
    snprintf(name, sizeof name, "%s.concat", block);
    return zoo_concat(net, name, branch, 2);
}

void zoo_squeezenet1_1(zoo_net *net)
{
    static const zoo_pool pool = { 3, 2, 0, 1 };
    hsched_tensor x = zoo_image(net);
    x = unit(
        net, "", "conv1", x,
        &(zoo_conv){
            .out = 64, .kernel = 3, .stride = 2, .bias = 1, .from = ZOO_FROM_LINEAR });
    x = zoo_max_pool(net, "pool1", x, &pool);
    x = fire(net, "fire2", x, 16, 64);
    x = fire(net, "fire3", x, 16, 64);
    x = zoo_max_pool(net, "pool3", x, &pool);
    x = fire(net, "fire4", x, 32, 128);
    x = fire(net, "fire5", x, 32, 128);
    x = zoo_max_pool(net, "pool5", x, &pool);
    x = fire(net, "fire6", x, 48, 192);
    x = fire(net, "fire7", x, 48, 192);
    x = fire(net, "fire8", x, 64, 256);
    x = fire(net, "fire9", x, 64, 256);
    x = unit(net, "", "classifier", x,
             &(zoo_conv){ .out = 1000, .kernel = 1, .bias = 1, .gain = HEAD_GAIN });
    x = zoo_global_average(net, "avgpool", x);
    zoo_output(net, zoo_flatten(net, "flatten", x));
}
