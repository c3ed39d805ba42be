/* Inception v3 (Szegedy et al. 2015), torchvision's form without the auxiliary head:
 * images of 299x299, long filters of 1x7 and 7x1 and the like. */
#include "zoo/net.h"

#include <stdio.h>

static hsched_tensor unit(zoo_net *net, const char *block, const char *part,
                          hsched_tensor x, const zoo_conv *conv)
{
    static const zoo_norm norm = { 1e-3f, 0.85f, { HSCHED_ACTIVATION_RELU, 0, 0 } };
    return zoo_unit(net, block, part, x, conv, &norm);
}

/* Kernels by height and width, of stride 1, padded so that the size stays. */
static hsched_tensor filter(zoo_net *net, const char *block, const char *part,
                            hsched_tensor x, int64_t out, int64_t height, int64_t width)
{
    return unit(net, block, part, x,
                &(zoo_conv){ .out = out,
                             .kernel = height,
                             .pad = height / 2,
                             .width = width,
                             .pad_width = width / 2 });
}

/* 3x3 with stride 2 and no padding. */
static hsched_tensor halve(zoo_net *net, const char *block, const char *part,
                           hsched_tensor x, int64_t out)
{
    return unit(net, block, part, x, &(zoo_conv){ .out = out, .kernel = 3, .stride = 2 });
}

static hsched_tensor pooled(zoo_net *net, const char *block, hsched_tensor x, int64_t out)
{
    char name[ZOO_NAME_MAX];
    snprintf(name, sizeof name, "%s.branch_pool.avg", block);
    x = zoo_average_pool(net, name, x, &(zoo_pool){ 3, 1, 1, .count_include_pad = 1 });
    return filter(net, block, ".branch_pool", x, out, 1, 1);
}

static hsched_tensor join(zoo_net *net, const char *block, const char *part,
                          const hsched_tensor *branches, uint32_t count)
{
    char name[ZOO_NAME_MAX];
    snprintf(name, sizeof name, "%s%s.concat", block, part);
    return zoo_concat(net, name, branches, count);
}

/* At 35x35; torchvision's InceptionA. */
static hsched_tensor block_a(zoo_net *net, const char *block, hsched_tensor x,
                             int64_t pool)
{
    hsched_tensor b[4];
    b[0] = filter(net, block, ".branch1x1", x, 64, 1, 1);
    b[1] = filter(net, block, ".branch5x5_1", x, 48, 1, 1);
    b[1] = filter(net, block, ".branch5x5_2", b[1], 64, 5, 5);
    b[2] = filter(net, block, ".branch3x3dbl_1", x, 64, 1, 1);
    b[2] = filter(net, block, ".branch3x3dbl_2", b[2], 96, 3, 3);
    b[2] = filter(net, block, ".branch3x3dbl_3", b[2], 96, 3, 3);
    b[3] = pooled(net, block, x, pool);
    return join(net, block, "", b, 4);
}

/* From 35x35 to 17x17; InceptionB. */
static hsched_tensor block_b(zoo_net *net, const char *block, hsched_tensor x)
{
    char name[ZOO_NAME_MAX];
    hsched_tensor b[3];
    b[0] = halve(net, block, ".branch3x3", x, 384);
    b[1] = filter(net, block, ".branch3x3dbl_1", x, 64, 1, 1);
    b[1] = filter(net, block, ".branch3x3dbl_2", b[1], 96, 3, 3);
    b[1] = halve(net, block, ".branch3x3dbl_3", b[1], 96);
    snprintf(name, sizeof name, "%s.branch_pool", block);
    b[2] = zoo_max_pool(net, name, x, &(zoo_pool){ 3, 2 });
    return join(net, block, "", b, 3);
}

/* At 17x17; InceptionC. */
static hsched_tensor block_c(zoo_net *net, const char *block, hsched_tensor x,
                             int64_t inner)
{
    hsched_tensor b[4];
    b[0] = filter(net, block, ".branch1x1", x, 192, 1, 1);
    b[1] = filter(net, block, ".branch7x7_1", x, inner, 1, 1);
    b[1] = filter(net, block, ".branch7x7_2", b[1], inner, 1, 7);
    b[1] = filter(net, block, ".branch7x7_3", b[1], 192, 7, 1);
    b[2] = filter(net, block, ".branch7x7dbl_1", x, inner, 1, 1);
    b[2] = filter(net, block, ".branch7x7dbl_2", b[2], inner, 7, 1);
    b[2] = filter(net, block, ".branch7x7dbl_3", b[2], inner, 1, 7);
    b[2] = filter(net, block, ".branch7x7dbl_4", b[2], inner, 7, 1);
    b[2] = filter(net, block, ".branch7x7dbl_5", b[2], 192, 1, 7);
    b[3] = pooled(net, block, x, 192);
    return join(net, block, "", b, 4);
}

/* From 17x17 to 8x8; InceptionD. */
static hsched_tensor block_d(zoo_net *net, const char *block, hsched_tensor x)
{
    char name[ZOO_NAME_MAX];
    hsched_tensor b[3];
    b[0] = filter(net, block, ".branch3x3_1", x, 192, 1, 1);
    b[0] = halve(net, block, ".branch3x3_2", b[0], 320);
    b[1] = filter(net, block, ".branch7x7x3_1", x, 192, 1, 1);
    b[1] = filter(net, block, ".branch7x7x3_2", b[1], 192, 1, 7);
    b[1] = filter(net, block, ".branch7x7x3_3", b[1], 192, 7, 1);
    b[1] = halve(net, block, ".branch7x7x3_4", b[1], 192);
    snprintf(name, sizeof name, "%s.branch_pool", block);
    b[2] = zoo_max_pool(net, name, x, &(zoo_pool){ 3, 2 });
    return join(net, block, "", b, 3);
}

/* At 8x8, two branches fork again; InceptionE. */
static hsched_tensor block_e(zoo_net *net, const char *block, hsched_tensor x)
{
    hsched_tensor b[4], t, fork[2];
    b[0] = filter(net, block, ".branch1x1", x, 320, 1, 1);
    t = filter(net, block, ".branch3x3_1", x, 384, 1, 1);
    fork[0] = filter(net, block, ".branch3x3_2a", t, 384, 1, 3);
    fork[1] = filter(net, block, ".branch3x3_2b", t, 384, 3, 1);
    b[1] = join(net, block, ".branch3x3", fork, 2);
    t = filter(net, block, ".branch3x3dbl_1", x, 448, 1, 1);
    t = filter(net, block, ".branch3x3dbl_2", t, 384, 3, 3);
    fork[0] = filter(net, block, ".branch3x3dbl_3a", t, 384, 1, 3);
    fork[1] = filter(net, block, ".branch3x3dbl_3b", t, 384, 3, 1);
    b[2] = join(net, block, ".branch3x3dbl", fork, 2);
    b[3] = pooled(net, block, x, 192);
    return join(net, block, "", b, 4);
}

void zoo_inception_v3(zoo_net *net)
{
    hsched_tensor x = zoo_square(net, 299);
    x = unit(net, "Conv2d_1a_3x3", "", x,
             &(zoo_conv){ .out = 32, .kernel = 3, .stride = 2, .from = ZOO_FROM_LINEAR });
    x = unit(net, "Conv2d_2a_3x3", "", x, &(zoo_conv){ .out = 32, .kernel = 3 });
    x = filter(net, "Conv2d_2b_3x3", "", x, 64, 3, 3);
    x = zoo_max_pool(net, "maxpool1", x, &(zoo_pool){ 3, 2 });
    x = filter(net, "Conv2d_3b_1x1", "", x, 80, 1, 1);
    x = unit(net, "Conv2d_4a_3x3", "", x, &(zoo_conv){ .out = 192, .kernel = 3 });
    x = zoo_max_pool(net, "maxpool2", x, &(zoo_pool){ 3, 2 });
    x = block_a(net, "Mixed_5b", x, 32);
    x = block_a(net, "Mixed_5c", x, 64);
    x = block_a(net, "Mixed_5d", x, 64);
    x = block_b(net, "Mixed_6a", x);
    x = block_c(net, "Mixed_6b", x, 128);
    x = block_c(net, "Mixed_6c", x, 160);
    x = block_c(net, "Mixed_6d", x, 160);
    x = block_c(net, "Mixed_6e", x, 192);
    x = block_d(net, "Mixed_7a", x);
    x = block_e(net, "Mixed_7b", x);
    x = block_e(net, "Mixed_7c", x);
    zoo_classifier(net, "fc", x, 4.0f);
}
