/* ResNet (He et al. 2015) in torchvision's form ("v1.5"): a bottleneck's stride lies in
 * its 3x3. */
#include "zoo/net.h"

#include <math.h>
#include <stdio.h>

#define EPSILON 1e-5f
/* Convolution and batch normalization `c`, `n` of the block, and the ReLU `r` if it is
 * given. */
static hsched_tensor unit(zoo_net *net, const char *block, const char *c, const char *n,
                          const char *r, hsched_tensor x, const zoo_conv *conv,
                          float gain)
{
    char name[ZOO_NAME_MAX];
    snprintf(name, sizeof name, "%s%s", block, c);
    x = zoo_conv2d(net, name, x, conv);
    snprintf(name, sizeof name, "%s%s", block, n);
    x = zoo_batch_norm(net, name, x, EPSILON, gain);
    if (!r)
        return x;
    snprintf(name, sizeof name, "%s%s", block, r);
    return zoo_relu(net, name, x);
}

static hsched_tensor residual_block(zoo_net *net, const char *block, hsched_tensor x,
                                    int64_t width, int bottleneck, int64_t stride,
                                    float branch_gain)
{
    char name[ZOO_NAME_MAX];
    int64_t out = bottleneck ? 4 * width : width;
    hsched_tensor identity = x, y;
    if (bottleneck) {
        y = unit(net, block, ".conv1", ".bn1", ".relu1", x,
                 &(zoo_conv){ .out = width, .kernel = 1 }, 1.0f);
        y = unit(net, block, ".conv2", ".bn2", ".relu2", y,
                 &(zoo_conv){ .out = width, .kernel = 3, .stride = stride, .pad = 1 },
                 1.0f);
        y = unit(net, block, ".conv3", ".bn3", NULL, y,
                 &(zoo_conv){ .out = out, .kernel = 1 }, branch_gain);
    } else {
        y = unit(net, block, ".conv1", ".bn1", ".relu1", x,
                 &(zoo_conv){ .out = width, .kernel = 3, .stride = stride, .pad = 1 },
                 1.0f);
        y = unit(net, block, ".conv2", ".bn2", NULL, y,
                 &(zoo_conv){ .out = out, .kernel = 3, .pad = 1 }, branch_gain);
    }
    if (stride != 1 || zoo_channels(net, x) != out)
        identity = unit(net, block, ".downsample.0", ".downsample.1", NULL, x,
                        &(zoo_conv){ .out = out, .kernel = 1, .stride = stride }, 1.0f);
    snprintf(name, sizeof name, "%s.add", block);
    y = zoo_add(net, name, y, identity);
    snprintf(name, sizeof name, "%s.relu", block);
    return zoo_relu(net, name, y);
}

static void resnet(zoo_net *net, int bottleneck, const int blocks[4])
{
    char name[ZOO_BLOCK_MAX];
    /* Each block adds to what passes it by. The last normalization of a block is small,
     * as after training, and the smaller the more blocks there are: else the sum grows
     * with every block, and so do rounding errors, until results say more about those
     * than about the image. */
    float branch_gain = 1 / sqrtf((float)(blocks[0] + blocks[1] + blocks[2] + blocks[3]));
    hsched_tensor x = zoo_image(net);
    x = unit(net, "", "conv1", "bn1", "relu", x,
             &(zoo_conv){
                 .out = 64, .kernel = 7, .stride = 2, .pad = 3, .from = ZOO_FROM_LINEAR },
             1.0f);
    x = zoo_max_pool(net, "maxpool", x, &(zoo_pool){ 3, 2, 1, 0 });
    for (int stage = 0; stage < 4; stage++) {
        for (int b = 0; b < blocks[stage]; b++) {
            snprintf(name, sizeof name, "layer%d.%d", stage + 1, b);
            x = residual_block(net, name, x, INT64_C(64) << stage, bottleneck,
                               stage > 0 && b == 0 ? 2 : 1, branch_gain);
        }
    }
    zoo_classifier(net, "fc", x, 3.0f);
}

void zoo_resnet18(zoo_net *net)
{
    resnet(net, 0, (const int[]){ 2, 2, 2, 2 });
}

void zoo_resnet50(zoo_net *net)
{
    resnet(net, 1, (const int[]){ 3, 4, 6, 3 });
}

void zoo_resnet152(zoo_net *net)
{
    resnet(net, 1, (const int[]){ 3, 8, 36, 3 });
}
