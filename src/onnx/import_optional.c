/*
 * Optionals: a tensor, a sequence, or nothing. As with sequences, which of these is known while a
 * model is imported, so that they make no layers: one with an element is that element.
 */
#include "onnx/ops.h"

static int is_nothing(const hsi_onnx_import *im, const hsi_onnx_node *node)
{
    return !hsi_onnx_has_input(node, 0) || im->states[node->inputs[0]].nothing;
}

hsched_status hsi_onnx_build_optional(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    if (hsi_onnx_has_input(node, 0))
        return hsi_onnx_alias(im, node, 0);
    if (node->output_count && node->outputs[0] != HSI_ONNX_NONE)
        im->states[node->outputs[0]].nothing = 1;
    return HSCHED_OK;
}

hsched_status hsi_onnx_build_optional_has_element(hsi_onnx_import *im,
                                                  const hsi_onnx_node *node)
{
    hsi_onnx_draft *draft;
    hsched_status status = hsi_onnx_draft_make(im, node, HSCHED_BOOL, 0, NULL, 0, &draft);
    if (status)
        return status;
    hsi_onnx_put_int(draft, 0, !is_nothing(im, node));
    hsi_onnx_set_constant(im, node, 0, &draft->result);
    return HSCHED_OK;
}

hsched_status hsi_onnx_build_optional_get_element(hsi_onnx_import *im,
                                                  const hsi_onnx_node *node)
{
    if (is_nothing(im, node))
        return hsi_onnx_unsupported(im, node, "its optional has no element");
    return hsi_onnx_alias(im, node, 0);
}
