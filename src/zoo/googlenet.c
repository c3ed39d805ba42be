/*
 * GoogLeNet (Szegedy et al. 2014), torchvision's form: batch normalization after each
 * convolution, the "5x5" branch of a block made of 3x3 filters, no auxiliary heads.
 */
#include "zoo/net.h"

#include <stdio.h>

#define EPSILON 1e-3f

static hsched_tensor unit(zoo_net *net, const char *block, const char *part,
                          hsched_tensor x, const zoo_conv *conv)
{
    char name[ZOO_NAME_MAX];
    snprintf(name, sizeof name, "%s%s.conv", block, part);
    x = zoo_conv2d(net, name, x, conv);
    snprintf(name, sizeof name, "%s%s.bn", block, part);
    x = zoo_batch_norm(net, name, x, EPSILON, 1.0f);
    snprintf(name, sizeof name, "%s%s.relu", block, part);
    return zoo_relu(net, name, x);
}

/* Output channels of the four branches: 1x1; 1x1 and 3x3; 1x1 and 3x3; pooling and 1x1.
 */
typedef struct inception {
    const char *name;
    int64_t one, reduce3, three, reduce5, five, pool;
} inception;

static hsched_tensor inception_block(zoo_net *net, const inception *block,
                                     hsched_tensor x)
{
    char name[ZOO_NAME_MAX];
    hsched_tensor branch[4], t;
    branch[0] = unit(net, block->name, ".branch1", x,
                     &(zoo_conv){ .out = block->one, .kernel = 1 });
    t = unit(net, block->name, ".branch2.0", x,
             &(zoo_conv){ .out = block->reduce3, .kernel = 1 });
    branch[1] = unit(net, block->name, ".branch2.1", t,
                     &(zoo_conv){ .out = block->three, .kernel = 3, .pad = 1 });
    t = unit(net, block->name, ".branch3.0", x,
             &(zoo_conv){ .out = block->reduce5, .kernel = 1 });
    branch[2] = unit(net, block->name, ".branch3.1", t,
                     &(zoo_conv){ .out = block->five, .kernel = 3, .pad = 1 });
    snprintf(name, sizeof name, "%s.branch4.0", block->name);
    t = zoo_max_pool(net, name, x, &(zoo_pool){ 3, 1, 1, 1 });
    branch[3] = unit(net, block->name, ".branch4.1", t,
                     &(zoo_conv){ .out = block->pool, .kernel = 1 });
    snprintf(name, sizeof name, "%s.concat", block->name);
    return zoo_concat(net, name, branch, 4);
}

void zoo_googlenet(zoo_net *net)
{
    static const inception blocks[] = {
        { "inception3a", 64, 96, 128, 16, 32, 32 },
        { "inception3b", 128, 128, 192, 32, 96, 64 },
        { "inception4a", 192, 96, 208, 16, 48, 64 },
        { "inception4b", 160, 112, 224, 24, 64, 64 },
        { "inception4c", 128, 128, 256, 24, 64, 64 },
        { "inception4d", 112, 144, 288, 32, 64, 64 },
        { "inception4e", 256, 160, 320, 32, 128, 128 },
        { "inception5a", 256, 160, 320, 32, 128, 128 },
        { "inception5b", 384, 192, 384, 48, 128, 128 },
    };
    static const zoo_pool pool3 = { 3, 2, 0, 1 }, pool2 = { 2, 2, 0, 1 };
    hsched_tensor x = zoo_image(net);
    x = unit(
        net, "", "conv1", x,
        &(zoo_conv){
            .out = 64, .kernel = 7, .stride = 2, .pad = 3, .from = ZOO_FROM_LINEAR });
    x = zoo_max_pool(net, "maxpool1", x, &pool3);
    x = unit(net, "", "conv2", x, &(zoo_conv){ .out = 64, .kernel = 1 });
    x = unit(net, "", "conv3", x, &(zoo_conv){ .out = 192, .kernel = 3, .pad = 1 });
    x = zoo_max_pool(net, "maxpool2", x, &pool3);
    for (int b = 0; b < 9; b++) {
        if (b == 2)
            x = zoo_max_pool(net, "maxpool3", x, &pool3);
        if (b == 7)
            x = zoo_max_pool(net, "maxpool4", x, &pool2);
        x = inception_block(net, &blocks[b], x);
    }
    zoo_classifier(net, "fc", x, 1.5f);
}
