#include "onnx/attention.h"

#include "onnx/fold.h"

int hsi_attention_is_bounded(const hsi_attention_sight *s)
{
    return s->causal || s->left >= 0 || s->right >= 0 || s->lengths != HSCHED_NO_TENSOR;
}

/* ---- By places that are known -------------------------------------------------- */

static int sees(const hsi_attention_sight *s, int64_t query, int64_t key)
{
    const int64_t behind = query + s->offset - key;
    return (!s->causal || behind >= 0) && (s->left < 0 || behind <= s->left) &&
           (s->right < 0 || -behind <= s->right);
}

/* [queries,keys] of 0 and minus infinity */
static hsched_tensor fixed_bias(hsi_composer *c, const hsi_attention_sight *s,
                                hsched_dtype dtype, int *blind)
{
    const int64_t dims[2] = { s->queries, s->keys };
    hsi_onnx_draft *draft;
    if (c->status == HSCHED_OK)
        c->status = hsi_onnx_draft_make(c->im, c->node, dtype, 2, dims, 0, &draft);
    if (c->status != HSCHED_OK)
        return HSCHED_NO_TENSOR;
    for (int64_t i = 0; i < s->queries; i++) {
        int64_t seen = 0;
        for (int64_t j = 0; j < s->keys; j++) {
            const int yes = sees(s, i, j);
            hsi_onnx_put_float(draft, (size_t)(i * s->keys + j),
                               yes ? 0 : -__builtin_inf());
            seen += yes;
        }
        *blind |= seen == 0;
    }
    return hsi_compose_constant(c, dtype, 2, dims, draft->data);
}

/* ---- By lengths that are computed ---------------------------------------------- */

static hsched_tensor both(hsi_composer *c, hsched_tensor a, hsched_tensor b)
{
    return hsi_compose_pair(c, HSCHED_BINARY_AND, a, b);
}

static hsched_tensor whole(hsi_composer *c, int64_t number)
{
    return hsi_compose_number(c, HSCHED_INT64, (double)number);
}

/* [B,1,queries or 1,keys] */
static hsched_tensor lengths_bias(hsi_composer *c, const hsi_attention_sight *s,
                                  hsched_dtype dtype)
{
    static const int64_t behind_batch[3] = { 1, 2, 3 };
    hsched_tensor keys = hsi_compose_places(c, s->keys, 0),
                  queries = hsi_compose_places(c, s->queries, 1);
    hsched_tensor lengths = hsi_compose_unsqueeze(
        c, hsi_compose_cast(c, s->lengths, HSCHED_INT64), 3, behind_batch);
    hsched_tensor seen = hsi_compose_pair(c, HSCHED_BINARY_LESS, keys, lengths);
    if (s->causal || s->left >= 0 || s->right >= 0) {
        /* Where the query stands: its number + length - queries. */
        hsched_tensor at =
            hsi_compose_pair(c, HSCHED_BINARY_SUB, lengths, whole(c, s->queries));
        at = hsi_compose_pair(c, HSCHED_BINARY_ADD, queries, at);
        hsched_tensor ahead = hsi_compose_pair(c, HSCHED_BINARY_SUB, keys, at);
        if (s->causal || s->right >= 0)
            seen = both(c, seen,
                        hsi_compose_pair(c, HSCHED_BINARY_LESS_OR_EQUAL, ahead,
                                         whole(c, s->causal ? 0 : s->right)));
        if (s->left >= 0)
            seen = both(c, seen,
                        hsi_compose_pair(c, HSCHED_BINARY_GREATER_OR_EQUAL, ahead,
                                         whole(c, -s->left)));
    }
    return hsi_compose_where(c, seen, hsi_compose_number(c, dtype, 0),
                             hsi_compose_number(c, dtype, -__builtin_inf()));
}

/* ---- The mask ------------------------------------------------------------------ */

/* As a float; keys that it has no number for are masked. */
static hsched_tensor mask_bias(hsi_composer *c, hsched_tensor mask, int64_t keys,
                               hsched_dtype dtype)
{
    if (hsi_compose_dtype(c, mask) == HSCHED_BOOL)
        mask = hsi_compose_where(c, mask, hsi_compose_number(c, dtype, 0),
                                 hsi_compose_number(c, dtype, -__builtin_inf()));
    else
        mask = hsi_compose_cast(c, mask, dtype);
    const uint32_t rank = hsi_compose_rank(c, mask);
    if (c->status == HSCHED_OK && (rank == 0 || rank > 4))
        c->status = hsi_onnx_malformed(c->node, "its mask has %u dimensions", rank);
    if (c->status != HSCHED_OK || hsi_compose_size(c, mask, rank - 1) >= keys)
        return mask;
    const int64_t have = hsi_compose_fixed(c, mask, rank - 1);
    return hsi_compose_pad(c, mask, rank - 1, 0, keys - have, -__builtin_inff());
}

hsched_tensor hsi_attention_bias(hsi_composer *c, const hsi_attention_sight *s,
                                 hsched_tensor mask, hsched_dtype dtype, int *blind)
{
    hsched_tensor bias = HSCHED_NO_TENSOR, own;
    *blind = mask != HSCHED_NO_TENSOR || s->lengths != HSCHED_NO_TENSOR;
    if (mask != HSCHED_NO_TENSOR)
        bias = mask_bias(c, mask, s->keys, dtype);
    if (!hsi_attention_is_bounded(s))
        return bias;
    own = s->lengths != HSCHED_NO_TENSOR ? lengths_bias(c, s, dtype)
                                         : fixed_bias(c, s, dtype, blind);
    return mask == HSCHED_NO_TENSOR ? own
                                    : hsi_compose_pair(c, HSCHED_BINARY_ADD, bias, own);
}
