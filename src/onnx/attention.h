/* What an Attention adds to its scores, so that they do not count. */
#ifndef HSI_ONNX_ATTENTION_H
#define HSI_ONNX_ATTENTION_H

#include "onnx/compose.h"

/* Which keys a query may see, by place. Query i stands at i + offset among the keys. */
typedef struct hsi_attention_sight {
    int causal;
    int64_t left, right; /* how far; -1: unbounded */
    int64_t queries, keys;
    int64_t offset; /* where there is no `lengths` */
    hsched_tensor
        lengths; /* [B]: how many keys there are in truth, the last of which is the
                              last query's; or HSCHED_NO_TENSOR */
} hsi_attention_sight;

/* 1 if the sight bounds anything. */
int hsi_attention_is_bounded(const hsi_attention_sight *s);

/*
 * The sum of the mask (bool or a float; HSCHED_NO_TENSOR: none) and of minus infinity for keys out
 * of sight, of that type. *blind: 1 if there may be queries that see nothing.
 */
hsched_tensor hsi_attention_bias(hsi_composer *c, const hsi_attention_sight *s,
                                 hsched_tensor mask, hsched_dtype dtype, int *blind);

#endif
