/*
 * Attention: softmax(scale * Q * K^T + bias) * V, of matrix products. Q is scaled, which is of one
 * query often, and not K, of all that came before; by more than 1 both are, each by the root, as
 * the specification does it, so that neither goes out of range.
 */
#include "onnx/attention.h"
#include "onnx/ops.h"

#include <math.h>

typedef struct attention {
    hsi_composer c;
    int64_t query_heads, key_heads; /* 0: as the inputs have them */
    int64_t mode;                   /* what output 3 is */
    double scale;                   /* 0: by the heads' size */
    float softcap;                  /* 0: none */
    int flat;                       /* inputs and Y are [B,S,H*D] */
    hsched_tensor q, k, v;          /* [B,H,S,D] */
    hsi_attention_sight sight;
} attention;

enum input {
    MASK = 3,
    PAST_KEY = 4,
    PAST_VALUE = 5,
    LENGTHS = 6
};

/* What output 3 is: the scores as they are, capped, with the bias, or their softmax. */
enum mode {
    RAW = 0,
    CAPPED = 1,
    BIASED = 2,
    PROBABILITIES = 3
};

static hsched_status read_attributes(attention *a)
{
    const hsi_onnx_node *node = a->c.node;
    int64_t causal;
    float scale;
    hsched_status status = hsi_onnx_attr_int(node, "is_causal", 0, &causal);
    if (!status)
        status = hsi_onnx_attr_int(node, "q_num_heads", 0, &a->query_heads);
    if (!status)
        status = hsi_onnx_attr_int(node, "kv_num_heads", 0, &a->key_heads);
    if (!status)
        status = hsi_onnx_attr_int(node, "qk_matmul_output_mode", 0, &a->mode);
    if (!status)
        status = hsi_onnx_attr_float(node, "softcap", 0, &a->softcap);
    if (!status)
        status = hsi_onnx_attr_float(node, "scale", 0, &scale);
    if (!status)
        status = hsi_onnx_attr_int(node, "left_window_size", -1, &a->sight.left);
    if (!status)
        status = hsi_onnx_attr_int(node, "right_window_size", -1, &a->sight.right);
    if (status)
        return status;
    a->scale = (double)scale;
    a->sight.causal = causal != 0;
    if (a->scale < 0 || a->softcap < 0 || a->query_heads < 0 || a->key_heads < 0 ||
        a->mode < RAW || a->mode > PROBABILITIES)
        return hsi_onnx_unsupported(a->c.im, node, "a number out of range");
    return HSCHED_OK;
}

/* [B,S,H*D] to [B,H,S,D] */
static hsched_tensor split_heads(hsi_composer *c, hsched_tensor x, int64_t heads)
{
    static const int64_t perm[4] = { 0, 2, 1, 3 };
    const int64_t dims[4] = { 0, 0, heads, HSCHED_DIM_INFER };
    return hsi_compose_transpose(c, hsi_compose_reshape(c, x, 4, dims), perm);
}

static void read_inputs(attention *a)
{
    hsi_composer *c = &a->c;
    a->q = hsi_compose_input(c, 0);
    a->k = hsi_compose_input(c, 1);
    a->v = hsi_compose_input(c, 2);
    const uint32_t rank = hsi_compose_rank(c, a->q);
    if (c->status != HSCHED_OK)
        return;
    a->flat = rank == 3;
    if ((rank != 3 && rank != 4) || hsi_compose_rank(c, a->k) != rank ||
        hsi_compose_rank(c, a->v) != rank)
        c->status = hsi_onnx_malformed(c->node, "Q, K and V are not all 3-d or all 4-d");
    else if (a->flat && (a->query_heads == 0 || a->key_heads == 0))
        c->status = hsi_onnx_malformed(c->node, "the numbers of heads are missing");
    if (a->flat) {
        a->q = split_heads(c, a->q, a->query_heads);
        a->k = split_heads(c, a->k, a->key_heads);
        a->v = split_heads(c, a->v, a->key_heads);
    }
    a->query_heads = hsi_compose_fixed(c, a->q, 1);
    a->key_heads = hsi_compose_fixed(c, a->k, 1);
    if (c->status == HSCHED_OK && (a->query_heads % a->key_heads != 0 ||
                                   hsi_compose_size(c, a->v, 1) != a->key_heads))
        c->status = hsi_onnx_malformed(c->node, "its heads do not fit each other");
    a->v = hsi_compose_cast(c, a->v, hsi_compose_dtype(c, a->q));
}

/* Keys and values of before come first; both together are outputs. */
static void add_past(attention *a)
{
    hsi_composer *c = &a->c;
    const int has_key = hsi_onnx_has_input(c->node, PAST_KEY);
    if (has_key != hsi_onnx_has_input(c->node, PAST_VALUE)) {
        c->status = hsi_onnx_malformed(c->node, "past_key and past_value go together");
        return;
    }
    if (has_key) {
        hsched_tensor key = hsi_compose_input(c, PAST_KEY),
                      value = hsi_compose_cast(c, hsi_compose_input(c, PAST_VALUE),
                                               hsi_compose_dtype(c, a->q));
        if (hsi_attention_is_bounded(&a->sight))
            a->sight.offset = hsi_compose_fixed(c, key, 2);
        a->k = hsi_compose_join(c, key, a->k, 2);
        a->v = hsi_compose_join(c, value, a->v, 2);
    }
    if (c->status == HSCHED_OK && hsi_onnx_output_used(c->im, c->node, 1))
        hsi_compose_output(c, 1, a->k);
    if (c->status == HSCHED_OK && hsi_onnx_output_used(c->im, c->node, 2))
        hsi_compose_output(c, 2, a->v);
}

/* ---- Groups of query heads that share a key's ----------------------------------- */

/* [B,H,...] of queries to [B,key heads,group,...] */
static hsched_tensor to_groups(attention *a, hsched_tensor x)
{
    hsi_composer *c = &a->c;
    if (a->query_heads == a->key_heads)
        return x;
    const int64_t dims[5] = { 0, a->key_heads, a->query_heads / a->key_heads,
                              hsi_compose_dim(c, x, 2), hsi_compose_dim(c, x, 3) };
    return hsi_compose_reshape(c, x, 5, dims);
}

static hsched_tensor from_groups(attention *a, hsched_tensor x)
{
    hsi_composer *c = &a->c;
    if (a->query_heads == a->key_heads)
        return x;
    const int64_t dims[4] = { 0, a->query_heads, hsi_compose_dim(c, x, 3),
                              hsi_compose_dim(c, x, 4) };
    return hsi_compose_reshape(c, x, 4, dims);
}

/* Of keys and values: the same for each of a group. */
static hsched_tensor for_groups(attention *a, hsched_tensor x)
{
    static const int64_t axis = 2;
    return a->query_heads == a->key_heads ? x : hsi_compose_unsqueeze(&a->c, x, 1, &axis);
}

/* ---- Scores and what becomes of them -------------------------------------------- */

static hsched_tensor scaled(attention *a, hsched_tensor x, double by)
{
    hsi_composer *c = &a->c;
    return hsi_compose_pair(c, HSCHED_BINARY_MUL, x,
                            hsi_compose_number(c, hsi_compose_dtype(c, a->q), by));
}

static hsched_tensor scores(attention *a)
{
    static const int64_t perm[4] = { 0, 1, 3, 2 };
    hsi_composer *c = &a->c;
    const double scale =
        a->scale > 0 ? a->scale : 1 / sqrt((double)hsi_compose_fixed(c, a->q, 3));
    const int both = scale > 1;
    hsched_tensor q = to_groups(a, scaled(a, a->q, both ? sqrt(scale) : scale));
    hsched_tensor k =
        hsi_compose_transpose(c, both ? scaled(a, a->k, sqrt(scale)) : a->k, perm);
    return from_groups(a, hsi_compose_matmul(c, q, for_groups(a, k)));
}

static hsched_tensor capped(attention *a, hsched_tensor x)
{
    hsi_composer *c = &a->c;
    if (a->softcap == 0)
        return x;
    hsched_tensor cap =
        hsi_compose_number(c, hsi_compose_dtype(c, a->q), (double)a->softcap);
    x = hsi_compose_pair(c, HSCHED_BINARY_DIV, x, cap);
    return hsi_compose_pair(c, HSCHED_BINARY_MUL,
                            hsi_compose_act(c, HSCHED_ACTIVATION_TANH, x), cap);
}

/* Zeros for queries that see nothing, whatever their scores are. */
static hsched_tensor guarded(attention *a, hsched_tensor bias, hsched_tensor x)
{
    hsi_composer *c = &a->c;
    const hsched_dtype dtype = hsi_compose_dtype(c, a->q);
    const int64_t last = (int64_t)hsi_compose_rank(c, bias) - 1;
    hsched_tensor most = hsi_compose_reduce(c, HSCHED_REDUCE_MAX, bias, 1, &last, 1);
    hsched_tensor blind = hsi_compose_pair(
        c, HSCHED_BINARY_EQUAL, most, hsi_compose_number(c, dtype, -__builtin_inf()));
    return hsi_compose_where(c, blind, hsi_compose_number(c, dtype, 0), x);
}

static void keep_scores(attention *a, enum mode mode, hsched_tensor x)
{
    if (a->c.status == HSCHED_OK && a->mode == mode &&
        hsi_onnx_output_used(a->c.im, a->c.node, 3))
        hsi_compose_output(&a->c, 3, x);
}

static hsched_tensor attend(attention *a)
{
    hsi_composer *c = &a->c;
    hsched_tensor mask = HSCHED_NO_TENSOR, bias, x = scores(a);
    int blind;
    if (hsi_onnx_has_input(c->node, MASK))
        mask = hsi_compose_input(c, MASK);
    keep_scores(a, RAW, x);
    x = capped(a, x);
    keep_scores(a, CAPPED, x);
    bias = hsi_attention_bias(c, &a->sight, mask, hsi_compose_dtype(c, a->q), &blind);
    if (c->status == HSCHED_OK && bias != HSCHED_NO_TENSOR)
        x = hsi_compose_pair(c, HSCHED_BINARY_ADD, x, bias);
    keep_scores(a, BIASED, x);
    x = hsi_compose_softmax(c, x, 3);
    /* Y has fewer elements than the probabilities, where those are no output. */
    const int early = a->mode == PROBABILITIES && hsi_onnx_output_used(c->im, c->node, 3);
    if (blind && early)
        x = guarded(a, bias, x);
    keep_scores(a, PROBABILITIES, x);
    x = hsi_compose_matmul(c, to_groups(a, x), for_groups(a, a->v));
    x = from_groups(a, x);
    return blind && !early ? guarded(a, bias, x) : x;
}

static hsched_tensor join_heads(hsi_composer *c, hsched_tensor x)
{
    static const int64_t perm[4] = { 0, 2, 1, 3 }, dims[3] = { 0, 0, HSCHED_DIM_INFER };
    return hsi_compose_reshape(c, hsi_compose_transpose(c, x, perm), 3, dims);
}

/* How many keys and queries there are matters to what is in sight, and to a shorter mask. */
static void take_sizes(attention *a)
{
    hsi_composer *c = &a->c;
    const int bounded = hsi_attention_is_bounded(&a->sight);
    a->sight.queries =
        bounded ? hsi_compose_fixed(c, a->q, 2) : hsi_compose_size(c, a->q, 2);
    a->sight.keys =
        bounded ? hsi_compose_fixed(c, a->k, 2) : hsi_compose_size(c, a->k, 2);
}

hsched_status hsi_onnx_build_attention(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    attention a = { .c = { im, node, HSCHED_OK },
                    .sight = { .lengths = HSCHED_NO_TENSOR } };
    a.c.status = read_attributes(&a);
    if (a.c.status == HSCHED_OK && hsi_onnx_has_input(node, LENGTHS)) {
        if (hsi_onnx_has_input(node, PAST_KEY))
            return hsi_onnx_malformed(node, "nonpad_kv_seqlen beside past_key");
        a.sight.lengths = hsi_compose_input(&a.c, LENGTHS);
        if (a.c.status == HSCHED_OK && hsi_compose_rank(&a.c, a.sight.lengths) != 1)
            return hsi_onnx_malformed(node, "nonpad_kv_seqlen is no vector");
    }
    if (a.c.status == HSCHED_OK)
        read_inputs(&a);
    if (a.c.status == HSCHED_OK)
        add_past(&a);
    if (a.c.status != HSCHED_OK)
        return a.c.status;
    take_sizes(&a);
    hsched_tensor y = attend(&a);
    hsi_compose_output(&a.c, 0, a.flat ? join_heads(&a.c, y) : y);
    return a.c.status;
}
