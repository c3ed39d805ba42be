/* U-Net (Ronneberger et al. 2015) as it is mostly used now: padded convolutions with batch
 * normalization, two classes; an image [1,3,256,256] gives [1,2,256,256]. */
#include "zoo/net.h"

#include <stdio.h>

static const zoo_norm norm = { 1e-5f, 0.9f, { HSCHED_ACTIVATION_RELU, 0, 0 } };

static hsched_tensor two_convs(zoo_net *net, const char *block, hsched_tensor x,
                               int64_t out, zoo_from from)
{
    x = zoo_unit(net, block, ".0", x,
                 &(zoo_conv){ .out = out, .kernel = 3, .pad = 1, .from = from }, &norm);
    return zoo_unit(net, block, ".1", x, &(zoo_conv){ .out = out, .kernel = 3, .pad = 1 },
                    &norm);
}

void zoo_unet(zoo_net *net)
{
    enum {
        LEVELS = 4
    };
    char block[ZOO_BLOCK_MAX], name[ZOO_NAME_MAX];
    hsched_tensor level[LEVELS], pair[2];
    int64_t channels = 64;
    hsched_tensor x =
        two_convs(net, "inc", zoo_square(net, 256), channels, ZOO_FROM_LINEAR);
    for (int l = 0; l < LEVELS; l++) {
        level[l] = x;
        channels *= 2;
        snprintf(block, sizeof block, "down%d", l + 1);
        snprintf(name, sizeof name, "%s.pool", block);
        x = zoo_max_pool(net, name, x, &(zoo_pool){ 2, 2 });
        x = two_convs(net, block, x, channels, ZOO_FROM_RELU);
    }
    for (int l = LEVELS - 1; l >= 0; l--) {
        channels /= 2;
        snprintf(block, sizeof block, "up%d", LEVELS - l);
        snprintf(name, sizeof name, "%s.up", block);
        pair[0] = level[l];
        pair[1] = zoo_conv_transpose(net, name, x, channels);
        snprintf(name, sizeof name, "%s.concat", block);
        x = two_convs(net, block, zoo_concat(net, name, pair, 2), channels,
                      ZOO_FROM_RELU);
    }
    zoo_output(net,
               zoo_conv2d(net, "outc", x,
                          &(zoo_conv){ .out = 2, .kernel = 1, .bias = 1, .gain = 1 }));
}
