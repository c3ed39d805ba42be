/*
 * LinearAttention: a matrix for each head of keys, the state, is written to by every step's key
 * and value and read by its queries. The steps are written out.
 */
#include "onnx/compose.h"
#include "onnx/ops.h"

#include <math.h>

/* Each step is some ten layers. */
#define MAX_STEPS 512

typedef struct linear {
    hsi_composer c;
    int gated, corrected;     /* the update rule */
    int64_t key_heads, group; /* group: query heads that read one state */
    int64_t steps, size, value_size;
    hsched_tensor q;      /* [B,T,H,group,size], scaled */
    hsched_tensor k, v;   /* [B,T,H,size], [B,T,H,value_size] */
    hsched_tensor factor; /* [B,T,H,size or 1]: what of the state stays */
    hsched_tensor beta;   /* [B,T,H or 1]: how far the state is corrected */
    hsched_tensor state;  /* [B,H,size,value_size]; HSCHED_NO_TENSOR: zeros */
} linear;

enum input {
    PAST = 3,
    DECAY = 4,
    BETA = 5
};

static hsched_status read_rule(linear *l)
{
    static const char *const rules[] = { "linear", "gated", "delta", "gated_delta" };
    for (int k = 0; k < 4; k++) {
        int equal;
        hsched_status status =
            hsi_onnx_attr_is(l->c.node, "update_rule", "gated_delta", rules[k], &equal);
        if (status)
            return status;
        if (!equal)
            continue;
        l->gated = k & 1;
        l->corrected = k >> 1;
        if (hsi_onnx_has_input(l->c.node, DECAY) != l->gated ||
            hsi_onnx_has_input(l->c.node, BETA) != l->corrected)
            return hsi_onnx_malformed(l->c.node,
                                      "decay or beta do not go with its update rule");
        return HSCHED_OK;
    }
    return hsi_onnx_malformed(l->c.node, "its update rule is none");
}

/* Input k, [B,T,heads * n], as [B,T,heads,n]. */
static hsched_tensor split(linear *l, uint32_t k, int64_t heads)
{
    const int64_t dims[4] = { 0, 0, heads, HSCHED_DIM_INFER };
    hsched_tensor x = hsi_compose_input(&l->c, k);
    if (l->c.status == HSCHED_OK && hsi_compose_rank(&l->c, x) != 3)
        l->c.status = hsi_onnx_malformed(l->c.node, "input %u is not 3-d", k);
    return hsi_compose_reshape(&l->c, x, 4, dims);
}

static void read_queries(linear *l, double scale)
{
    hsi_composer *c = &l->c;
    l->q = split(l, 0, l->key_heads * l->group);
    l->size = hsi_compose_fixed(c, l->q, 3);
    l->steps = hsi_compose_fixed(c, l->q, 1);
    if (c->status != HSCHED_OK)
        return;
    if (scale == 0)
        scale = 1 / sqrt((double)l->size);
    const int64_t dims[5] = { 0, 0, l->key_heads, l->group, l->size };
    l->q = hsi_compose_pair(c, HSCHED_BINARY_MUL, l->q,
                            hsi_compose_number(c, hsi_compose_dtype(c, l->q), scale));
    l->q = hsi_compose_reshape(c, l->q, 5, dims);
}

static void read_inputs(linear *l, double scale)
{
    hsi_composer *c = &l->c;
    read_queries(l, scale);
    l->k = split(l, 1, l->key_heads);
    l->v = split(l, 2, l->key_heads);
    l->value_size = hsi_compose_fixed(c, l->v, 3);
    l->state = HSCHED_NO_TENSOR;
    if (c->status == HSCHED_OK && (hsi_compose_fixed(c, l->k, 3) != l->size ||
                                   hsi_compose_fixed(c, l->k, 1) != l->steps ||
                                   hsi_compose_fixed(c, l->v, 1) != l->steps))
        c->status = hsi_onnx_malformed(c->node, "its keys or values do not fit");
    if (c->status == HSCHED_OK && l->steps > MAX_STEPS)
        c->status =
            hsi_onnx_unsupported(c->im, c->node, "%lld steps", (long long)l->steps);
    if (l->gated)
        l->factor =
            hsi_compose_act(c, HSCHED_ACTIVATION_EXP, split(l, DECAY, l->key_heads));
    if (l->corrected)
        l->beta = hsi_compose_input(c, BETA);
    if (c->status == HSCHED_OK && hsi_onnx_has_input(c->node, PAST))
        l->state =
            hsi_compose_cast(c, hsi_compose_input(c, PAST), hsi_compose_dtype(c, l->q));
}

/* Step t of x as [B,a,b,d], one of which may be inferred. */
static hsched_tensor at_step(linear *l, hsched_tensor x, int64_t t, int64_t a, int64_t b,
                             int64_t d)
{
    const int64_t dims[4] = { 0, a, b, d };
    return hsi_compose_reshape(&l->c, hsi_compose_slice(&l->c, x, 1, t, t + 1, 1), 4,
                               dims);
}

/* The state after step t. */
static void write_state(linear *l, int64_t t)
{
    hsi_composer *c = &l->c;
    hsched_tensor v = at_step(l, l->v, t, l->key_heads, 1, l->value_size);
    const int is_zero = l->state == HSCHED_NO_TENSOR;
    if (l->gated && !is_zero)
        l->state =
            hsi_compose_pair(c, HSCHED_BINARY_MUL, l->state,
                             at_step(l, l->factor, t, l->key_heads, HSCHED_DIM_INFER, 1));
    if (l->corrected && !is_zero) {
        hsched_tensor key = at_step(l, l->k, t, l->key_heads, 1, l->size);
        v = hsi_compose_pair(c, HSCHED_BINARY_SUB, v,
                             hsi_compose_matmul(c, key, l->state));
    }
    if (l->corrected)
        v = hsi_compose_pair(c, HSCHED_BINARY_MUL, v,
                             at_step(l, l->beta, t, HSCHED_DIM_INFER, 1, 1));
    hsched_tensor key = at_step(l, l->k, t, l->key_heads, l->size, 1);
    hsched_tensor more = hsi_compose_pair(c, HSCHED_BINARY_MUL, key, v);
    l->state = is_zero ? more : hsi_compose_pair(c, HSCHED_BINARY_ADD, l->state, more);
}

static void go_through(linear *l, hsched_tensor *outputs)
{
    hsi_composer *c = &l->c;
    const int64_t dims[3] = { 0, 1, l->key_heads * l->group * l->value_size };
    for (int64_t t = 0; t < l->steps && c->status == HSCHED_OK; t++) {
        write_state(l, t);
        outputs[t] = hsi_compose_reshape(
            c,
            hsi_compose_matmul(c, at_step(l, l->q, t, l->key_heads, l->group, l->size),
                               l->state),
            3, dims);
    }
}

hsched_status hsi_onnx_build_linear_attention(hsi_onnx_import *im,
                                              const hsi_onnx_node *node)
{
    linear l = { .c = { im, node, HSCHED_OK } };
    hsi_composer *c = &l.c;
    hsched_tensor outputs[MAX_STEPS];
    int64_t query_heads;
    float scale;
    c->status = read_rule(&l);
    if (c->status == HSCHED_OK)
        c->status = hsi_onnx_attr_int(node, "q_num_heads", 0, &query_heads);
    if (c->status == HSCHED_OK)
        c->status = hsi_onnx_attr_int(node, "kv_num_heads", 0, &l.key_heads);
    if (c->status == HSCHED_OK)
        c->status = hsi_onnx_attr_float(node, "scale", 0, &scale);
    if (c->status != HSCHED_OK)
        return c->status;
    if (query_heads < 1 || l.key_heads < 1 || query_heads % l.key_heads != 0)
        return hsi_onnx_malformed(node, "its heads do not fit each other");
    l.group = query_heads / l.key_heads;
    read_inputs(&l, (double)scale);
    if (c->status == HSCHED_OK)
        go_through(&l, outputs);
    if (c->status != HSCHED_OK)
        return c->status;
    hsi_compose_output(c, 0, hsi_compose_concat(c, outputs, (uint32_t)l.steps, 1));
    if (c->status == HSCHED_OK && hsi_onnx_output_used(im, node, 1)) {
        if (hsi_onnx_has_input(node, PAST))
            l.state = hsi_compose_cast(c, l.state,
                                       hsi_compose_dtype(c, hsi_compose_input(c, PAST)));
        hsi_compose_output(c, 1, l.state);
    }
    return c->status;
}
