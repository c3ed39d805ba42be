/* AlexNet in torchvision's form ("One weird trick", Krizhevsky 2014). The adaptive
 * pooling to 6x6 before the classifier does nothing for images of 224x224 and is left
 * out; so is dropout. */
#include "zoo/net.h"

void zoo_alexnet(zoo_net *net)
{
    static const zoo_pool pool = { 3, 2, 0, 0 };
    hsched_tensor x = zoo_image(net);
    x = zoo_conv2d(net, "conv1", x,
                   &(zoo_conv){ .out = 64,
                                .kernel = 11,
                                .stride = 4,
                                .pad = 2,
                                .bias = 1,
                                .from = ZOO_FROM_LINEAR });
    x = zoo_relu(net, "relu1", x);
    x = zoo_max_pool(net, "pool1", x, &pool);
    x = zoo_conv2d(net, "conv2", x,
                   &(zoo_conv){ .out = 192, .kernel = 5, .pad = 2, .bias = 1 });
    x = zoo_relu(net, "relu2", x);
    x = zoo_max_pool(net, "pool2", x, &pool);
    x = zoo_conv2d(net, "conv3", x,
                   &(zoo_conv){ .out = 384, .kernel = 3, .pad = 1, .bias = 1 });
    x = zoo_relu(net, "relu3", x);
    x = zoo_conv2d(net, "conv4", x,
                   &(zoo_conv){ .out = 256, .kernel = 3, .pad = 1, .bias = 1 });
    x = zoo_relu(net, "relu4", x);
    x = zoo_conv2d(net, "conv5", x,
                   &(zoo_conv){ .out = 256, .kernel = 3, .pad = 1, .bias = 1 });
    x = zoo_relu(net, "relu5", x);
    x = zoo_max_pool(net, "pool5", x, &pool);
    x = zoo_flatten(net, "flatten", x);
    x = zoo_relu(net, "relu6", zoo_fc(net, "fc6", x, 4096, 1.0f));
    x = zoo_relu(net, "relu7", zoo_fc(net, "fc7", x, 4096, 1.0f));
    zoo_output(net, zoo_fc(net, "fc8", x, 1000, 2.0f));
}
