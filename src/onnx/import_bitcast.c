/*
 * BitCast: the same bytes as another type. Of what is known, any type; at run time only types of
 * one byte, between which a cast keeps the bits: layers hold floats in whatever way suits them.
 */
#include "onnx/ops.h"

#include <string.h>

static hsched_status target(hsi_onnx_import *im, const hsi_onnx_node *node,
                            hsched_dtype from, hsched_dtype *dtype)
{
    int64_t to;
    hsched_status status = hsi_onnx_attr_int(node, "to", 0, &to);
    if (status)
        return status;
    *dtype = to > 0 && to < 64 ? hsi_onnx_dtype((int32_t)to) : HSCHED_DTYPE_NONE;
    if (*dtype == HSCHED_DTYPE_NONE)
        return hsi_onnx_unsupported(im, node, "its type");
    if (hsched_dtype_size(*dtype) != hsched_dtype_size(from))
        return hsi_onnx_malformed(node, "%s is not as wide as %s",
                                  hsched_dtype_name(*dtype), hsched_dtype_name(from));
    return HSCHED_OK;
}

hsched_status hsi_onnx_fold_bitcast(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *x = hsi_onnx_constant_input(im, node, 0);
    hsched_dtype dtype;
    hsi_onnx_draft *draft;
    if (!x)
        return hsi_onnx_malformed(node, "its input is missing");
    hsched_status status = target(im, node, x->dtype, &dtype);
    if (!status)
        status = hsi_onnx_draft_make(im, node, dtype, x->rank, x->dims, 0, &draft);
    if (status)
        return status;
    for (size_t k = 0; x->tags && k < x->count; k++)
        hsi_onnx_pin(im, x->tags[k]);
    for (size_t k = 0; dtype == HSCHED_BOOL && k < x->count; k++)
        hsi_onnx_put_int(draft, k, hsi_onnx_get_int(x, k)); /* 0 or 1 */
    if (dtype != HSCHED_BOOL && x->count)
        memcpy(draft->data, x->data, draft->result.size);
    hsi_onnx_set_constant(im, node, 0, &draft->result);
    return HSCHED_OK;
}

hsched_status hsi_onnx_build_bitcast(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsched_tensor x, y;
    hsched_dtype from, to;
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (status)
        return status;
    from = im->graph->tensors[x].dtype;
    status = target(im, node, from, &to);
    if (status)
        return status;
    if (from == to)
        return hsi_onnx_alias(im, node, 0);
    if (hsched_dtype_size(to) != 1)
        return hsi_onnx_unsupported(im, node,
                                    "types of more than one byte; these only where it "
                                    "can be computed from constants and shapes while "
                                    "importing");
    status = hsi_onnx_at_node(
        node,
        hsched_graph_add_cast(im->graph, hsi_onnx_output_name(im, node, 0), x, to, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}
