/* VGG-16 (Simonyan, Zisserman 2014), torchvision's form without batch normalization. */
#include "zoo/net.h"

#include <stdio.h>

void zoo_vgg16(zoo_net *net)
{
    static const struct {
        int64_t channels;
        int convs;
    } blocks[] = { { 64, 2 }, { 128, 2 }, { 256, 3 }, { 512, 3 }, { 512, 3 } };
    char name[ZOO_NAME_MAX];
    hsched_tensor x = zoo_image(net);
    for (int b = 0; b < 5; b++) {
        for (int c = 0; c < blocks[b].convs; c++) {
            int first = b == 0 && c == 0;
            snprintf(name, sizeof name, "conv%d_%d", b + 1, c + 1);
            x = zoo_conv2d(
                net, name, x,
                &(zoo_conv){ .out = blocks[b].channels,
                             .kernel = 3,
                             .pad = 1,
                             .bias = 1,
                             .from = first ? ZOO_FROM_LINEAR : ZOO_FROM_RELU });
            snprintf(name, sizeof name, "relu%d_%d", b + 1, c + 1);
            x = zoo_relu(net, name, x);
        }
        snprintf(name, sizeof name, "pool%d", b + 1);
        x = zoo_max_pool(net, name, x, &(zoo_pool){ 2, 2, 0, 0 });
    }
    x = zoo_flatten(net, "flatten", x);
    x = zoo_relu(net, "relu6", zoo_fc(net, "fc6", x, 4096, 1.0f));
    x = zoo_relu(net, "relu7", zoo_fc(net, "fc7", x, 4096, 1.0f));
    zoo_output(net, zoo_fc(net, "fc8", x, 1000, 2.0f));
}
