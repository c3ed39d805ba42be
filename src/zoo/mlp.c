/* A multi-layer perceptron for images of 28x28 in ten classes. */
#include "zoo/net.h"

void zoo_mlp(zoo_net *net)
{
    hsched_tensor x = zoo_vector(net, 784);
    x = zoo_relu(net, "relu1", zoo_fc(net, "fc1", x, 1024, 1.0f));
    x = zoo_relu(net, "relu2", zoo_fc(net, "fc2", x, 1024, 1.0f));
    zoo_output(net, zoo_fc(net, "fc3", x, 10, 1.0f));
}
