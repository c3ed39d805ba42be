/*
 * DenseNet-BC (Huang et al. 2016), torchvision's form. A dense layer reads all features
 * made before it in its block, joined by one concatenation each, and adds 32. The
 * classifier is a 1x1 convolution on the pooled features, as in the authors' Caffe
 * models: the same arithmetic and parameters as a fully connected layer, and what makes
 * the convolutions of DenseNet-201 number 201.
 */
#include "zoo/net.h"

#include <stdio.h>

#define EPSILON   1e-5f
#define GROWTH    32
#define BLOCK_MAX 48
#define HEAD_GAIN 3.0f

/* Normalization, ReLU and convolution `name` + 'n'. */
static hsched_tensor unit(zoo_net *net, const char *layer, const char *suffix,
                          hsched_tensor x, const zoo_conv *conv)
{
    char name[ZOO_NAME_MAX];
    snprintf(name, sizeof name, "%s.norm%s", layer, suffix);
    x = zoo_batch_norm(net, name, x, EPSILON, 1.0f);
    snprintf(name, sizeof name, "%s.relu%s", layer, suffix);
    x = zoo_relu(net, name, x);
    snprintf(name, sizeof name, "%s.conv%s", layer, suffix);
    return zoo_conv2d(net, name, x, conv);
}

static hsched_tensor dense_block(zoo_net *net, int block, int layers, hsched_tensor x)
{
    char name[ZOO_BLOCK_MAX];
    hsched_tensor features[BLOCK_MAX + 1];
    features[0] = x;
    for (int l = 1; l <= layers; l++) {
        snprintf(name, sizeof name, "denseblock%d.denselayer%d", block, l);
        x = unit(net, name, "1", x, &(zoo_conv){ .out = 4 * GROWTH, .kernel = 1 });
        features[l] =
            unit(net, name, "2", x, &(zoo_conv){ .out = GROWTH, .kernel = 3, .pad = 1 });
        snprintf(name, sizeof name, "denseblock%d.concat%d", block, l);
        x = zoo_concat(net, name, features, (uint32_t)l + 1);
    }
    return x;
}

static hsched_tensor transition(zoo_net *net, int block, hsched_tensor x)
{
    char name[ZOO_BLOCK_MAX];
    snprintf(name, sizeof name, "transition%d", block);
    x = unit(net, name, "", x,
             &(zoo_conv){ .out = zoo_channels(net, x) / 2, .kernel = 1 });
    snprintf(name, sizeof name, "transition%d.pool", block);
    return zoo_average_pool(net, name, x, &(zoo_pool){ 2, 2, 0, 0 });
}

static void densenet(zoo_net *net, const int layers[4])
{
    hsched_tensor x = zoo_image(net);
    x = zoo_conv2d(
        net, "conv0", x,
        &(zoo_conv){
            .out = 64, .kernel = 7, .stride = 2, .pad = 3, .from = ZOO_FROM_LINEAR });
    x = zoo_relu(net, "relu0", zoo_batch_norm(net, "norm0", x, EPSILON, 1.0f));
    x = zoo_max_pool(net, "pool0", x, &(zoo_pool){ 3, 2, 1, 0 });
    for (int b = 0; b < 4; b++) {
        x = dense_block(net, b + 1, layers[b], x);
        if (b < 3)
            x = transition(net, b + 1, x);
    }
    x = zoo_relu(net, "relu5", zoo_batch_norm(net, "norm5", x, EPSILON, 1.0f));
    x = zoo_global_average(net, "avgpool", x);
    x = zoo_conv2d(net, "classifier", x,
                   &(zoo_conv){ .out = 1000, .kernel = 1, .bias = 1, .gain = HEAD_GAIN });
    zoo_output(net, zoo_flatten(net, "flatten", x));
}

void zoo_densenet121(zoo_net *net)
{
    densenet(net, (const int[]){ 6, 12, 24, 16 });
}

void zoo_densenet201(zoo_net *net)
{
    densenet(net, (const int[]){ 6, 12, BLOCK_MAX, 32 });
}
