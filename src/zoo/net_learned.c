/* Layers with weights that are neither convolutions nor fully connected. */
#include "zoo/net.h"

#include <math.h>

hsched_tensor zoo_conv_transpose(zoo_net *net, const char *name, hsched_tensor x,
                                 int64_t out)
{
    int64_t channels = zoo_channels(net, x);
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (net->status != HSCHED_OK)
        return y;
    /* Stride and kernel agree, so that one pixel of each channel makes a result. */
    hsched_tensor weights =
        zoo_weights(net, name, "weight", 4, (const int64_t[]){ channels, out, 2, 2 },
                    sqrtf(6.0f / (float)channels));
    hsched_tensor bias =
        zoo_weights(net, name, "bias", 1, (const int64_t[]){ out }, 0.1f);
    if (net->status != HSCHED_OK)
        return y;
    hsched_conv_transpose_config config = { HSCHED_CONV_TRANSPOSE_CONFIG_INIT,
                                            .strides = { 2, 2 } };
    return zoo_made(
        net,
        hsched_graph_add_conv_transpose(net->graph, name, x, weights, bias, &config, &y),
        &y);
}
