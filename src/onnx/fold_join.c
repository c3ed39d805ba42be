/* Evaluating operators that pick, join and split elements along an axis. */
#include "onnx/fold.h"

#include <string.h>

#include "base/status.h"
#include "base/tensor.h"

/* A tensor seen as [outer, size of the axis, inner]. */
typedef struct blocks {
    size_t outer, size, inner;
} blocks;

static blocks blocks_of(const hsi_onnx_constant *c, uint32_t axis)
{
    blocks b = { 1, (size_t)c->dims[axis], 1 };
    if (c->count == 0)
        return (blocks){ 0, b.size, 0 }; /* the products need not be representable */
    for (uint32_t k = 0; k < c->rank; k++) {
        if (k < axis)
            b.outer *= (size_t)c->dims[k];
        else if (k > axis)
            b.inner *= (size_t)c->dims[k];
    }
    return b;
}

static hsched_status axis_of(const hsi_onnx_node *node, int64_t fallback,
                             const hsi_onnx_constant *x, uint32_t *axis)
{
    int64_t given;
    hsched_status status = hsi_onnx_attr_int(node, "axis", fallback, &given);
    return status ? status : hsi_onnx_axis(node, given, x->rank, x->rank, axis);
}

/* x [outer, size, inner], indices [...] -> [outer, ..., inner]. */
hsched_status hsi_onnx_fold_gather(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *x = hsi_onnx_constant_input(im, node, 0);
    const hsi_onnx_constant *indices = hsi_onnx_constant_input(im, node, 1);
    int64_t dims[2 * HSCHED_MAX_DIMS];
    uint32_t axis, rank = 0;
    if (!x || !indices)
        return hsi_onnx_malformed(node, "an input is missing");
    if (indices->dtype != HSCHED_INT64 && indices->dtype != HSCHED_INT32)
        return hsi_onnx_malformed(node, "the indices are not integers");
    hsched_status status = axis_of(node, 0, x, &axis);
    if (status)
        return status;
    for (uint32_t k = 0; k < axis; k++)
        dims[rank++] = x->dims[k];
    for (uint32_t k = 0; k < indices->rank; k++)
        dims[rank++] = indices->dims[k];
    for (uint32_t k = axis + 1; k < x->rank; k++)
        dims[rank++] = x->dims[k];
    hsi_onnx_draft *draft;
    status = hsi_onnx_draft_make(im, node, x->dtype, rank, dims, x->tags != NULL, &draft);
    if (status)
        return status;
    blocks b = blocks_of(x, axis);
    size_t at = 0;
    for (size_t o = 0; o < b.outer; o++)
        for (size_t i = 0; i < indices->count; i++, at += b.inner) {
            int64_t index = hsi_onnx_get_int(indices, i);
            if (indices->tags)
                hsi_onnx_pin(im, indices->tags[i]);
            if (index < 0)
                index += (int64_t)b.size;
            if (index < 0 || index >= (int64_t)b.size)
                return hsi_onnx_malformed(
                    node, "index %lld is outside a dimension of %zu",
                    (long long)hsi_onnx_get_int(indices, i), b.size);
            hsi_onnx_copy_elements(draft, at, x, (o * b.size + (size_t)index) * b.inner,
                                   b.inner);
        }
    hsi_onnx_set_constant(im, node, 0, &draft->result);
    return HSCHED_OK;
}

static hsched_status concat_shape(const hsi_onnx_import *im, const hsi_onnx_node *node,
                                  uint32_t axis, int64_t *dims, int *with_tags)
{
    const hsi_onnx_constant *first = hsi_onnx_constant_input(im, node, 0);
    memcpy(dims, first->dims, sizeof first->dims);
    dims[axis] = 0;
    *with_tags = 0;
    for (uint32_t i = 0; i < node->input_count; i++) {
        const hsi_onnx_constant *x = hsi_onnx_constant_input(im, node, i);
        int fits = x && x->rank == first->rank && x->dtype == first->dtype;
        for (uint32_t k = 0; fits && k < x->rank; k++)
            fits = k == axis || x->dims[k] == dims[k];
        if (!fits || __builtin_add_overflow(dims[axis], x->dims[axis], &dims[axis]))
            return hsi_onnx_malformed(node,
                                      "input %u does not fit the first one of shape %s",
                                      i, hsi_shape_text(first->rank, first->dims));
        *with_tags |= x->tags != NULL;
    }
    return HSCHED_OK;
}

hsched_status hsi_onnx_fold_concat(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *first = hsi_onnx_constant_input(im, node, 0);
    int64_t dims[HSCHED_MAX_DIMS];
    uint32_t axis;
    int with_tags;
    hsi_onnx_draft *draft;
    if (!first)
        return hsi_onnx_malformed(node, "an input is missing");
    if (node->version >= 4 && !hsi_onnx_attr(node, "axis"))
        return hsi_onnx_malformed(node, "attribute 'axis' is missing");
    hsched_status status = axis_of(node, 1, first, &axis);
    if (!status)
        status = concat_shape(im, node, axis, dims, &with_tags);
    if (!status)
        status = hsi_onnx_draft_make(im, node, first->dtype, first->rank, dims, with_tags,
                                     &draft);
    if (status)
        return status;
    blocks whole = blocks_of(&draft->result, axis);
    size_t done = 0;
    for (uint32_t i = 0; i < node->input_count; i++) {
        const hsi_onnx_constant *x = hsi_onnx_constant_input(im, node, i);
        blocks b = blocks_of(x, axis);
        for (size_t o = 0; o < b.outer; o++)
            hsi_onnx_copy_elements(draft, (o * whole.size + done) * whole.inner, x,
                                   o * b.size * b.inner, b.size * b.inner);
        done += b.size;
    }
    hsi_onnx_set_constant(im, node, 0, &draft->result);
    return HSCHED_OK;
}

hsched_status hsi_onnx_fold_split(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *x = hsi_onnx_constant_input(im, node, 0);
    int64_t sizes[HSI_ONNX_MAX_SPLIT], strides[HSCHED_MAX_DIMS], dims[HSCHED_MAX_DIMS],
        at = 0;
    uint32_t axis;
    if (!x)
        return hsi_onnx_malformed(node, "an input is missing");
    hsched_status status = axis_of(node, 0, x, &axis);
    if (!status)
        status = hsi_onnx_split_sizes(im, node, x->dims[axis], sizes);
    if (status)
        return status;
    hsi_dense_strides(x->rank, x->dims, strides);
    memcpy(dims, x->dims, sizeof dims);
    for (uint32_t k = 0; k < node->output_count; k++) {
        hsi_onnx_draft *draft;
        dims[axis] = sizes[k];
        status = hsi_onnx_draft_make(im, node, x->dtype, x->rank, dims, x->tags != NULL,
                                     &draft);
        if (status)
            return status;
        hsi_onnx_copy_strided(draft, x, at * strides[axis], strides);
        hsi_onnx_set_constant(im, node, k, &draft->result);
        at += sizes[k];
    }
    return HSCHED_OK;
}

/* condition, x, y broadcast together. */
hsched_status hsi_onnx_fold_where(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *in[3];
    int64_t strides[3][HSCHED_MAX_DIMS];
    hsi_onnx_constant pair = { 0 };
    int64_t dims[HSCHED_MAX_DIMS];
    uint32_t rank;
    for (uint32_t k = 0; k < 3; k++)
        if (!(in[k] = hsi_onnx_constant_input(im, node, k)))
            return hsi_onnx_malformed(node, "an input is missing");
    if (in[0]->dtype != HSCHED_BOOL || in[1]->dtype != in[2]->dtype)
        return hsi_onnx_malformed(node, "the types of its inputs do not fit");
    hsched_status status = hsi_onnx_broadcast(node, in[1], in[2], &pair.rank, pair.dims);
    if (!status)
        status = hsi_onnx_broadcast(node, in[0], &pair, &rank, dims);
    hsi_onnx_draft *draft;
    if (!status)
        status = hsi_onnx_draft_make(im, node, in[1]->dtype, rank, dims,
                                     in[1]->tags || in[2]->tags, &draft);
    if (status)
        return status;
    for (uint32_t k = 0; k < 3; k++)
        hsi_onnx_broadcast_strides(in[k], rank, dims, strides[k]);
    for (size_t i = 0; i < draft->result.count; i++) {
        size_t rest = i, at[3] = { 0 };
        for (uint32_t k = rank; k-- > 0; rest /= (size_t)dims[k])
            for (int n = 0; n < 3; n++)
                at[n] += rest % (size_t)dims[k] * (size_t)strides[n][k];
        if (in[0]->tags)
            hsi_onnx_pin(im, in[0]->tags[at[0]]);
        int n = hsi_onnx_get_int(in[0], at[0]) ? 1 : 2;
        hsi_onnx_copy_elements(draft, i, in[n], at[n], 1);
    }
    hsi_onnx_set_constant(im, node, 0, &draft->result);
    return HSCHED_OK;
}
