/*
 * Vision transformer, ViT-Tiny (Dosovitskiy et al. 2020; the size is that of DeiT-Tiny, Touvron et
 * al. 2020): an image is 196 patches of 16x16, each a token of 192 numbers, and a class token
 * stands before them. In twelve blocks every token looks at all others, by three heads, and then
 * goes through a perceptron by itself.
 */
#include "zoo/net.h"

#include <math.h>
#include <stdio.h>

enum {
    PATCH = 16,
    SIDE = 224 / PATCH,
    TOKENS = SIDE * SIDE + 1,
    WIDTH = 192,
    BLOCKS = 12,
    HEADS = 3,
    SIZE = WIDTH / HEADS, /* of a head */
    HIDDEN = 4 * WIDTH,
    CLASSES = 1000
};

/* Over the numbers of each token. */
static hsched_tensor layer_norm(zoo_net *net, const char *name, hsched_tensor x)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    hsched_tensor weight = zoo_weights_around(net, name, "weight", WIDTH, 1.0f, 0.2f);
    hsched_tensor bias = zoo_weights_around(net, name, "bias", WIDTH, 0.0f, 0.2f);
    if (net->status != HSCHED_OK)
        return y;
    return zoo_made(
        net,
        hsched_graph_add_layer_norm(net->graph, name, x, weight, bias, -1, 1e-6f, &y),
        &y);
}

/* Every token by itself: [1,TOKENS,in] to [1,TOKENS,out], around zero. */
static hsched_tensor linear(zoo_net *net, const char *name, hsched_tensor x, int64_t out)
{
    char part[ZOO_NAME_MAX];
    int64_t in = zoo_dim(net, x, 2);
    hsched_tensor weight = zoo_weights(net, name, "weight", 2, (int64_t[]){ in, out },
                                       sqrtf(3.0f / (float)(in ? in : 1)));
    hsched_tensor bias = zoo_weights_around(net, name, "bias", out, 0.0f, 0.1f);
    snprintf(part, sizeof part, "%s.product", name);
    return zoo_add(net, name, zoo_matmul(net, part, x, weight), bias);
}

/* Number `which` of queries, keys and values, of all heads: [HEADS,TOKENS,SIZE]. */
static hsched_tensor of_heads(zoo_net *net, const char *block, const char *role,
                              hsched_tensor qkv, int64_t which)
{
    char name[ZOO_NAME_MAX];
    snprintf(name, sizeof name, "%s.attn.%s.part", block, role);
    hsched_tensor x = zoo_slice(net, name, qkv, 0, which, which + 1);
    snprintf(name, sizeof name, "%s.attn.%s", block, role);
    return zoo_reshape(net, name, x, 4, (const int64_t[]){ 1, HEADS, TOKENS, SIZE });
}

static hsched_tensor attention(zoo_net *net, const char *block, hsched_tensor x)
{
    const float scale = 1.0f / sqrtf((float)SIZE);
    char name[ZOO_NAME_MAX];
    snprintf(name, sizeof name, "%s.attn.qkv", block);
    x = linear(net, name, x, 3 * WIDTH);
    snprintf(name, sizeof name, "%s.attn.qkv.heads", block);
    x = zoo_reshape(net, name, x, 5, (const int64_t[]){ 1, TOKENS, 3, HEADS, SIZE });
    snprintf(name, sizeof name, "%s.attn.qkv.apart", block);
    x = zoo_transpose(net, name, x, (const int64_t[]){ 2, 0, 3, 1, 4 });
    hsched_tensor q = of_heads(net, block, "q", x, 0),
                  k = of_heads(net, block, "k", x, 1),
                  v = of_heads(net, block, "v", x, 2);
    snprintf(name, sizeof name, "%s.attn.scale", block);
    hsched_tensor factor = zoo_constant(net, name, 0, NULL, &scale);
    snprintf(name, sizeof name, "%s.attn.q.scaled", block);
    q = zoo_binary(net, name, HSCHED_BINARY_MUL, q, factor);
    snprintf(name, sizeof name, "%s.attn.k.transposed", block);
    k = zoo_transpose(net, name, k, (const int64_t[]){ 0, 1, 3, 2 });
    snprintf(name, sizeof name, "%s.attn.scores", block);
    x = zoo_matmul(net, name, q, k);
    snprintf(name, sizeof name, "%s.attn.softmax", block);
    x = zoo_softmax(net, name, x, 3);
    snprintf(name, sizeof name, "%s.attn.seen", block);
    x = zoo_matmul(net, name, x, v);
    snprintf(name, sizeof name, "%s.attn.tokens", block);
    x = zoo_transpose(net, name, x, (const int64_t[]){ 0, 2, 1, 3 });
    snprintf(name, sizeof name, "%s.attn.joined", block);
    x = zoo_reshape(net, name, x, 3, (const int64_t[]){ 1, TOKENS, WIDTH });
    snprintf(name, sizeof name, "%s.attn.proj", block);
    return linear(net, name, x, WIDTH);
}

static hsched_tensor perceptron(zoo_net *net, const char *block, hsched_tensor x)
{
    static const hsched_activation gelu = { .kind = HSCHED_ACTIVATION_GELU };
    char name[ZOO_NAME_MAX];
    snprintf(name, sizeof name, "%s.mlp.fc1", block);
    x = linear(net, name, x, HIDDEN);
    snprintf(name, sizeof name, "%s.mlp.act", block);
    x = zoo_activation(net, name, x, gelu);
    snprintf(name, sizeof name, "%s.mlp.fc2", block);
    return linear(net, name, x, WIDTH);
}

/* [1,TOKENS,WIDTH]: the class token, then the patches, each with what says where it is. */
static hsched_tensor embed(zoo_net *net, hsched_tensor x)
{
    static const int64_t token[3] = { 1, 1, WIDTH }, places[3] = { 1, TOKENS, WIDTH };
    x = zoo_conv2d(net, "patch_embed.proj", x,
                   &(zoo_conv){ .out = WIDTH,
                                .kernel = PATCH,
                                .stride = PATCH,
                                .bias = 1,
                                .from = ZOO_FROM_LINEAR });
    x = zoo_reshape(net, "patch_embed.flat", x, 3,
                    (const int64_t[]){ 1, WIDTH, TOKENS - 1 });
    x = zoo_transpose(net, "patch_embed.tokens", x, (const int64_t[]){ 0, 2, 1 });
    const hsched_tensor all[2] = {
        zoo_weights(net, "cls_token", "weight", 3, token, 1.0f), x
    };
    x = zoo_concat_along(net, "tokens", all, 2, 1);
    hsched_tensor embedding = zoo_weights(net, "pos_embed", "weight", 3, places, 0.5f);
    return zoo_add(net, "embedded", x, embedding);
}

void zoo_vit_tiny(zoo_net *net)
{
    char block[ZOO_BLOCK_MAX], name[ZOO_NAME_MAX];
    hsched_tensor x = embed(net, zoo_image(net)), y;
    for (int b = 0; b < BLOCKS; b++) {
        snprintf(block, sizeof block, "blocks.%d", b);
        snprintf(name, sizeof name, "%s.norm1", block);
        y = attention(net, block, layer_norm(net, name, x));
        snprintf(name, sizeof name, "%s.add1", block);
        x = zoo_add(net, name, x, y);
        snprintf(name, sizeof name, "%s.norm2", block);
        y = perceptron(net, block, layer_norm(net, name, x));
        snprintf(name, sizeof name, "%s.add2", block);
        x = zoo_add(net, name, x, y);
    }
    x = layer_norm(net, "norm", x);
    x = zoo_slice(net, "class", x, 1, 0, 1);
    x = zoo_reshape(net, "class.flat", x, 2, (const int64_t[]){ 1, WIDTH });
    zoo_output(net, zoo_fc(net, "head", x, CLASSES, 1.0f));
}
