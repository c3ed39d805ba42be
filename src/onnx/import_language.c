/* Operators of language models that are made of others, besides attention: turning by places,
 * gates, caches and convolutions over what came before. */
#include "onnx/compose.h"
#include "onnx/ops.h"

#include <limits.h>

/* ---- RotaryEmbedding --------------------------------------------------------- */

/* Pairs of numbers of a head, turned by the angle of their place. */
typedef struct rotary {
    hsi_composer c;
    int64_t interleaved;    /* a pair stands side by side, not half a head apart */
    int64_t size;           /* of a head, how much is turned; 0: all */
    int64_t heads;          /* of x [B,S,H*D] */
    int flat;               /* x is so, not [B,H,S,D] */
    hsched_tensor x;        /* [B,S,H,D] or [B,H,S,D] */
    hsched_tensor cos, sin; /* broadcast to half of that */
} rotary;

/* [B,S,size/2], of every place with the places' numbers, else as it is; for all heads */
static hsched_tensor angles(rotary *r, uint32_t k)
{
    hsi_composer *c = &r->c;
    const int64_t axis = r->flat ? 2 : 1;
    hsched_tensor table = hsi_compose_input(c, k);
    if (c->status == HSCHED_OK && hsi_onnx_has_input(c->node, 3))
        table = hsi_compose_gather(c, table, hsi_compose_input(c, 3), 0);
    if (c->status == HSCHED_OK && hsi_compose_rank(c, table) != 3)
        c->status =
            hsi_onnx_malformed(c->node, "the cosines are not of a batch and its places");
    if (c->status == HSCHED_OK && hsi_compose_fixed(c, table, 2) * 2 != r->size)
        c->status = hsi_onnx_malformed(c->node, "the cosines are not half of what turns");
    return hsi_compose_unsqueeze(c, table, 1, &axis);
}

static hsched_tensor of_head(rotary *r, int64_t from, int64_t to, int64_t step)
{
    return hsi_compose_slice(&r->c, r->x, 3, from, to, step);
}

static hsched_tensor turn(rotary *r)
{
    static const int64_t last = 4;
    hsi_composer *c = &r->c;
    const int64_t half = r->size / 2;
    hsched_tensor a = r->interleaved ? of_head(r, 0, r->size, 2) : of_head(r, 0, half, 1);
    hsched_tensor b =
        r->interleaved ? of_head(r, 1, r->size, 2) : of_head(r, half, r->size, 1);
    hsched_tensor real = hsi_compose_pair(
        c, HSCHED_BINARY_SUB, hsi_compose_pair(c, HSCHED_BINARY_MUL, a, r->cos),
        hsi_compose_pair(c, HSCHED_BINARY_MUL, b, r->sin));
    hsched_tensor imaginary = hsi_compose_pair(
        c, HSCHED_BINARY_ADD, hsi_compose_pair(c, HSCHED_BINARY_MUL, a, r->sin),
        hsi_compose_pair(c, HSCHED_BINARY_MUL, b, r->cos));
    if (!r->interleaved)
        return hsi_compose_join(c, real, imaginary, 3);
    const int64_t dims[4] = { 0, 0, 0, r->size };
    return hsi_compose_reshape(
        c,
        hsi_compose_join(c, hsi_compose_unsqueeze(c, real, 1, &last),
                         hsi_compose_unsqueeze(c, imaginary, 1, &last), 4),
        4, dims);
}

static void read_rotary(rotary *r)
{
    hsi_composer *c = &r->c;
    c->status = hsi_onnx_attr_int(c->node, "interleaved", 0, &r->interleaved);
    if (c->status == HSCHED_OK)
        c->status = hsi_onnx_attr_int(c->node, "rotary_embedding_dim", 0, &r->size);
    if (c->status == HSCHED_OK)
        c->status = hsi_onnx_attr_int(c->node, "num_heads", 0, &r->heads);
    r->x = hsi_compose_input(c, 0);
    const uint32_t rank = hsi_compose_rank(c, r->x);
    if (c->status != HSCHED_OK)
        return;
    r->flat = rank == 3;
    if ((rank != 3 && rank != 4) || (r->flat && r->heads < 1)) {
        c->status = hsi_onnx_malformed(c->node, "x of %u dimensions and %lld heads", rank,
                                       (long long)r->heads);
        return;
    }
    const int64_t dims[4] = { 0, 0, r->heads, HSCHED_DIM_INFER };
    if (r->flat)
        r->x = hsi_compose_reshape(c, r->x, 4, dims);
    const int64_t whole = hsi_compose_fixed(c, r->x, 3);
    if (r->size == 0)
        r->size = whole;
    if (c->status == HSCHED_OK && (r->size < 2 || r->size > whole || r->size % 2 != 0))
        c->status = hsi_onnx_malformed(c->node, "%lld of %lld numbers are to be turned",
                                       (long long)r->size, (long long)whole);
    r->cos = angles(r, 1);
    r->sin = angles(r, 2);
}

hsched_status hsi_onnx_build_rotary(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    static const int64_t joined[3] = { 0, 0, HSCHED_DIM_INFER };
    rotary r = { .c = { im, node, HSCHED_OK } };
    hsi_composer *c = &r.c;
    read_rotary(&r);
    if (c->status != HSCHED_OK)
        return c->status;
    hsched_tensor y = turn(&r);
    if (r.size < hsi_compose_size(c, r.x, 3))
        y = hsi_compose_join(c, y, of_head(&r, r.size, INT64_MAX, 1), 3);
    hsi_compose_output(c, 0, r.flat ? hsi_compose_reshape(c, y, 3, joined) : y);
    return c->status;
}

/* ---- SwiGLU ------------------------------------------------------------------ */

/* a * sigmoid(alpha * a) * b */
hsched_status hsi_onnx_build_swiglu(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsi_composer c = { im, node, HSCHED_OK };
    float alpha;
    c.status = hsi_onnx_attr_float(node, "alpha", 1, &alpha);
    hsched_tensor a = hsi_compose_input(&c, 0), b = hsi_compose_input(&c, 1), gate;
    if (alpha == 1) {
        gate = hsi_compose_act(&c, HSCHED_ACTIVATION_SILU, a);
    } else {
        gate = hsi_compose_number(&c, hsi_compose_dtype(&c, a), (double)alpha);
        gate = hsi_compose_pair(&c, HSCHED_BINARY_MUL, a, gate);
        gate = hsi_compose_act(&c, HSCHED_ACTIVATION_SIGMOID, gate);
        gate = hsi_compose_pair(&c, HSCHED_BINARY_MUL, a, gate);
    }
    hsi_compose_output(&c, 0, hsi_compose_pair(&c, HSCHED_BINARY_MUL, gate, b));
    return c.status;
}

/* ---- TensorScatter ------------------------------------------------------------ */

/* Where along the axis each element of `update` goes, in its shape. */
static hsched_tensor write_places(hsi_composer *c, hsched_tensor cache,
                                  hsched_tensor update, uint32_t axis, int circular)
{
    const uint32_t rank = hsi_compose_rank(c, update);
    int64_t dims[HSCHED_MAX_DIMS], axes[HSCHED_MAX_DIMS];
    hsched_tensor y =
        hsi_compose_places(c, hsi_compose_fixed(c, update, axis), rank - 1 - axis);
    if (hsi_onnx_has_input(c->node, 2)) {
        hsched_tensor starts = hsi_compose_cast(c, hsi_compose_input(c, 2), HSCHED_INT64);
        for (uint32_t k = 1; k < rank; k++)
            axes[k - 1] = k;
        starts = hsi_compose_unsqueeze(c, starts, rank - 1, axes);
        y = hsi_compose_pair(c, HSCHED_BINARY_ADD, starts, y);
    }
    if (circular)
        y = hsi_compose_pair(
            c, HSCHED_BINARY_MOD, y,
            hsi_compose_number(c, HSCHED_INT64,
                               (double)hsi_compose_fixed(c, cache, axis)));
    for (uint32_t k = 0; k < rank; k++)
        dims[k] = hsi_compose_dim(c, update, k);
    return hsi_compose_expand(c, y, rank, dims);
}

hsched_status hsi_onnx_build_tensor_scatter(hsi_onnx_import *im,
                                            const hsi_onnx_node *node)
{
    hsi_composer c = { im, node, HSCHED_OK };
    hsched_tensor cache = hsi_compose_input(&c, 0), update = hsi_compose_input(&c, 1);
    const uint32_t rank = hsi_compose_rank(&c, cache);
    int64_t given;
    uint32_t axis = 0;
    int linear, circular = 0;
    if (c.status == HSCHED_OK)
        c.status = hsi_onnx_attr_is(node, "mode", "linear", "linear", &linear);
    if (c.status == HSCHED_OK)
        c.status = hsi_onnx_attr_is(node, "mode", "linear", "circular", &circular);
    if (c.status == HSCHED_OK)
        c.status = hsi_onnx_attr_int(node, "axis", -2, &given);
    if (c.status == HSCHED_OK)
        c.status = hsi_onnx_axis(node, given, rank, rank, &axis);
    if (c.status != HSCHED_OK)
        return c.status;
    if ((!linear && !circular) || axis == 0 || hsi_compose_rank(&c, update) != rank)
        return hsi_onnx_malformed(node, "its mode, its axis or its update is none");
    hsched_tensor places = write_places(&c, cache, update, axis, circular);
    hsi_compose_output(&c, 0, hsi_compose_put(&c, cache, places, update, (int)axis));
    return c.status;
}

/* ---- CausalConvWithState -------------------------------------------------------- */

/* x [B,C,L] after the k - 1 elements before it, or zeros. */
static hsched_tensor with_past(hsi_composer *c, hsched_tensor x, int64_t k)
{
    if (hsi_onnx_has_input(c->node, 3) && k > 1)
        return hsi_compose_join(c, hsi_compose_input(c, 3), x, 2);
    return hsi_compose_pad(c, x, 2, k - 1, 0, 0);
}

hsched_status hsi_onnx_build_causal_conv(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsi_composer c = { im, node, HSCHED_OK };
    hsched_tensor weights, bias = HSCHED_NO_TENSOR, x = hsi_compose_input(&c, 0);
    int silu = 0, swish = 0, none = 0;
    if (c.status == HSCHED_OK)
        c.status = hsi_onnx_weights(im, node, 1, &weights);
    if (c.status == HSCHED_OK)
        c.status = hsi_onnx_weights(im, node, 2, &bias);
    if (c.status == HSCHED_OK)
        c.status = hsi_onnx_attr_is(node, "activation", "none", "none", &none);
    if (c.status == HSCHED_OK)
        c.status = hsi_onnx_attr_is(node, "activation", "none", "silu", &silu);
    if (c.status == HSCHED_OK)
        c.status = hsi_onnx_attr_is(node, "activation", "none", "swish", &swish);
    if (c.status != HSCHED_OK)
        return c.status;
    if (hsi_compose_rank(&c, x) != 3 || weights == HSCHED_NO_TENSOR ||
        hsi_compose_rank(&c, weights) != 3 || (!none && !silu && !swish))
        return hsi_onnx_malformed(node, "its input, weights or activation are none");
    const int64_t k = hsi_compose_size(&c, weights, 2);
    x = with_past(&c, x, k);
    hsched_tensor y = hsi_compose_depthwise(&c, x, weights, bias);
    if (!none)
        y = hsi_compose_act(&c, HSCHED_ACTIVATION_SILU, y);
    hsi_compose_output(&c, 0, y);
    if (c.status != HSCHED_OK || !hsi_onnx_output_used(im, node, 1))
        return c.status;
    if (k == 1) {
        const int64_t dims[3] = { hsi_compose_size(&c, x, 0), hsi_compose_size(&c, x, 1),
                                  0 };
        const uint64_t tags[3] = { hsi_onnx_dim_tag(im, x, 0), hsi_onnx_dim_tag(im, x, 1),
                                   0 };
        return hsi_onnx_set_empty(im, node, 1, hsi_compose_dtype(&c, x), 3, dims, tags);
    }
    hsi_compose_output(&c, 1, hsi_compose_slice(&c, x, 2, 1 - k, INT64_MAX, 1));
    return c.status;
}
