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

hsched_tensor zoo_embedding(zoo_net *net, const char *name, hsched_tensor tokens,
                            int64_t vocabulary, int64_t width)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    hsched_tensor table = zoo_weights(net, name, "weight", 2,
                                      (const int64_t[]){ vocabulary, width }, sqrtf(3));
    if (net->status != HSCHED_OK)
        return y;
    return zoo_made(net, hsched_graph_add_gather(net->graph, name, table, tokens, 0, &y),
                    &y);
}

void zoo_recurrent(zoo_net *net, const char *name, hsched_recurrent_kind kind,
                   hsched_recurrent_direction direction, hsched_tensor x, int64_t hidden,
                   hsched_tensor *y, hsched_tensor *y_h)
{
    int64_t width = zoo_dim(net, x, 2);
    int64_t directions = direction == HSCHED_RECURRENT_BIDIRECTIONAL ? 2 : 1;
    int64_t rows = hidden * (kind == HSCHED_RECURRENT_LSTM  ? 4
                             : kind == HSCHED_RECURRENT_GRU ? 3
                                                            : 1);
    if (net->status != HSCHED_OK)
        return;
    /* The sums that go into the gates have a variance of about 1 for inputs that have. */
    hsched_tensor weights =
        zoo_weights(net, name, "weight", 3, (const int64_t[]){ directions, rows, width },
                    sqrtf(3.0f / (float)width));
    hsched_tensor recurrent = zoo_weights(net, name, "recurrent_weight", 3,
                                          (const int64_t[]){ directions, rows, hidden },
                                          sqrtf(3.0f / (float)hidden));
    hsched_tensor bias = zoo_weights(net, name, "bias", 2,
                                     (const int64_t[]){ directions, 2 * rows }, 0.1f);
    if (net->status != HSCHED_OK)
        return;
    /* After the product, as most frameworks have it. */
    hsched_recurrent_config config = { HSCHED_RECURRENT_CONFIG_INIT, .kind = kind,
                                       .direction = direction, .hidden_size = hidden,
                                       .linear_before_reset =
                                           kind == HSCHED_RECURRENT_GRU };
    net->status = hsched_graph_add_recurrent(net->graph, name, x, weights, recurrent,
                                             bias, HSCHED_NO_TENSOR, HSCHED_NO_TENSOR,
                                             HSCHED_NO_TENSOR, &config, y, y_h, NULL);
}
