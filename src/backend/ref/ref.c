/* The oracle's entry: checks a step and calls the reference kernel of its kind. */
#include "backend/ref/ref.h"

#include "backend/backend.h"
#include "base/status.h"

typedef void (*ref_kernel)(const hsched_step *step, const void *const *inputs, void *out);

/* By step kind; hsi_ref_fault has refused kinds that are not here. */
static const ref_kernel kernels[] = {
    [HSCHED_STEP_CONV2D] = hsi_ref_conv2d,
    [HSCHED_STEP_FC] = hsi_ref_fc,
    [HSCHED_STEP_MATMUL] = hsi_ref_matmul,
    [HSCHED_STEP_POOL2D] = hsi_ref_pool2d,
    [HSCHED_STEP_SCALE] = hsi_ref_scale,
    [HSCHED_STEP_LRN] = hsi_ref_lrn,
    [HSCHED_STEP_SOFTMAX] = hsi_ref_softmax,
    [HSCHED_STEP_NORM] = hsi_ref_norm,
    [HSCHED_STEP_UNARY] = hsi_ref_unary,
    [HSCHED_STEP_BINARY] = hsi_ref_binary,
    [HSCHED_STEP_COPY] = hsi_ref_copy,
    [HSCHED_STEP_PAD] = hsi_ref_pad,
    [HSCHED_STEP_REDUCE] = hsi_ref_reduce,
    [HSCHED_STEP_IMAGE] = hsi_ref_image,
    [HSCHED_STEP_RESIZE] = hsi_ref_resize,
    [HSCHED_STEP_GRID_SAMPLE] = hsi_ref_grid_sample,
    [HSCHED_STEP_ROI_ALIGN] = hsi_ref_roi_align,
    [HSCHED_STEP_POOL_INDEX] = hsi_ref_pool_index,
    [HSCHED_STEP_NMS] = hsi_ref_nms,
    [HSCHED_STEP_CAST] = hsi_ref_cast,
    [HSCHED_STEP_WHERE] = hsi_ref_where,
    [HSCHED_STEP_GATHER] = hsi_ref_gather,
    [HSCHED_STEP_RECURRENT] = hsi_ref_recurrent,
    [HSCHED_STEP_SCATTER] = hsi_ref_scatter,
    [HSCHED_STEP_CUMSUM] = hsi_ref_cumsum,
    [HSCHED_STEP_TUPLE_INDEX] = hsi_ref_tuple_index,
    [HSCHED_STEP_ARG] = hsi_ref_arg,
    [HSCHED_STEP_TOP_K] = hsi_ref_top_k,
    [HSCHED_STEP_ROTARY] = hsi_ref_rotary,
    [HSCHED_STEP_SEPARABLE_CONV2D] = hsi_ref_separable_conv2d,
};

hsched_status hsi_ref_run(const hsched_step *step, const void *const *inputs, void *out)
{
    const char *name = step->name ? step->name : "";
    const char *fault = hsi_ref_fault(step);
    if (fault)
        return hsi_error(
            HSCHED_ERROR_INTERNAL,
            "step '%s' (%s): %s; the compiled model is wrong, please report it", name,
            hsched_step_kind_name(step->kind), fault);
    const void *present[HSCHED_STEP_MAX_INPUTS] = { NULL };
    for (uint32_t i = 0; i < step->input_count; i++) {
        if (!hsi_ref_has(step, i))
            continue;
        present[i] = inputs[i] ? inputs[i] : step->in[i].constant;
        if (!present[i])
            return hsi_error(
                HSCHED_ERROR_INTERNAL,
                "step '%s' (%s): no data was given for input %u; please report it", name,
                hsched_step_kind_name(step->kind), i);
    }
    if (!out)
        return hsi_error(
            HSCHED_ERROR_INTERNAL,
            "step '%s' (%s): no memory was given for the output; please report it", name,
            hsched_step_kind_name(step->kind));
    kernels[step->kind](step, present, out);
    return HSCHED_OK;
}
