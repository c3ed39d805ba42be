/* Joining, cutting and padding. */
#include "onnx/ops.h"

#include <string.h>

#include "base/status.h"
#include "base/tensor.h"

static hsched_status axis_attr(const hsi_onnx_import *im, const hsi_onnx_node *node,
                               int64_t fallback, hsched_tensor x, uint32_t *axis)
{
    int64_t given;
    uint32_t rank = hsi_onnx_rank(im, x);
    hsched_status status = hsi_onnx_attr_int(node, "axis", fallback, &given);
    return status ? status : hsi_onnx_axis(node, given, rank, rank, axis);
}

hsched_status hsi_onnx_build_concat(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsched_tensor *inputs =
        HSI_ONNX_NEW_ARRAY(&im->arena, hsched_tensor, node->input_count);
    hsched_tensor y;
    uint32_t axis, count = 0;
    hsched_status status = HSCHED_OK;
    if (!inputs)
        return hsi_onnx_no_memory(im, node);
    for (uint32_t k = 0; k < node->input_count && !status; k++) {
        const hsi_onnx_constant *c = hsi_onnx_constant_input(im, node, k);
        if (c && c->count == 0)
            continue; /* adds nothing */
        status = hsi_onnx_input(im, node, k, &inputs[count++]);
    }
    if (!status && count == 0)
        status = hsi_onnx_malformed(node, "it has no inputs");
    if (!status && node->version >= 4 && !hsi_onnx_attr(node, "axis"))
        status = hsi_onnx_malformed(node, "attribute 'axis' is missing");
    if (!status)
        status = axis_attr(im, node, 1, inputs[0], &axis);
    if (!status)
        status = hsi_onnx_at_node(
            node, hsched_graph_add_concat(im->graph, hsi_onnx_output_name(im, node, 0),
                                          inputs, count, (int)axis, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

hsched_status hsi_onnx_build_slice(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const int64_t *starts, *ends, *given, *steps = NULL;
    int64_t axes[HSCHED_MAX_DIMS], dims[HSCHED_MAX_DIMS];
    uint32_t count, ends_count, axes_count, steps_count = 0;
    int empty = 0;
    hsched_tensor x, y;
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (!status)
        status = hsi_onnx_ints(im, node, "starts", 10, 1, &starts, &count);
    if (!status)
        status = hsi_onnx_ints(im, node, "ends", 10, 2, &ends, &ends_count);
    if (!status)
        status = hsi_onnx_ints(im, node, "axes", 10, 3, &given, &axes_count);
    if (!status && node->version >= 10)
        status = hsi_onnx_ints_input(im, node, 4, &steps, &steps_count);
    if (status)
        return status;
    uint32_t rank = hsi_onnx_rank(im, x);
    if (!starts || !ends || ends_count != count || (given && axes_count != count) ||
        (steps && steps_count != count) || count > rank)
        return hsi_onnx_malformed(node,
                                  "starts, ends, axes and steps do not fit each other");
    hsi_onnx_dims(im, x, dims);
    for (uint32_t k = 0; k < count && !status; k++) {
        uint32_t at;
        status = hsi_onnx_axis(node, given ? given[k] : (int64_t)k, rank, rank, &at);
        axes[k] = at;
        if (!status && steps && steps[k] == 0)
            status = hsi_onnx_malformed(node, "a step is 0");
        if (!status)
            dims[at] =
                hsi_onnx_slice_count(starts[k], ends[k], steps ? steps[k] : 1, dims[at]);
        empty |= !status && dims[at] == 0;
    }
    if (!status && empty)
        return hsi_onnx_empty_part(im, node, 0, x, dims);
    if (!status)
        status = hsi_onnx_at_node(
            node, hsched_graph_add_slice(im->graph, hsi_onnx_output_name(im, node, 0), x,
                                         count, starts, ends, axes, steps, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

/* ---- Pad ------------------------------------------------------------------ */

typedef struct padding {
    int64_t before[HSCHED_MAX_DIMS], after[HSCHED_MAX_DIMS];
    hsched_pad_mode mode;
    int wraps; /* instead of a mode */
    float value;
} padding;

static hsched_status pad_mode(hsi_onnx_import *im, const hsi_onnx_node *node, padding *p)
{
    static const char *const names[] = { [HSCHED_PAD_MODE_CONSTANT] = "constant",
                                         [HSCHED_PAD_MODE_REFLECT] = "reflect",
                                         [HSCHED_PAD_MODE_EDGE] = "edge" };
    hsched_status status = hsi_onnx_attr_is(node, "mode", "constant", "wrap", &p->wraps);
    if (status || p->wraps)
        return status;
    for (int k = 0; k < 3; k++) {
        int equal;
        status = hsi_onnx_attr_is(node, "mode", "constant", names[k], &equal);
        if (status)
            return status;
        if (equal) {
            p->mode = (hsched_pad_mode)k;
            return HSCHED_OK;
        }
    }
    return hsi_onnx_unsupported(im, node,
                                "a mode that is not constant, reflect, edge or wrap");
}

/* Opset 18 can name the axes; before, all are listed: first all begins, then all ends. */
static hsched_status pad_amounts(hsi_onnx_import *im, const hsi_onnx_node *node,
                                 uint32_t rank, padding *p)
{
    const int64_t *pads, *axes = NULL;
    uint32_t count, axes_count = rank, seen = 0;
    hsched_status status = hsi_onnx_ints(im, node, "pads", 11, 1, &pads, &count);
    if (!status && node->version >= 18)
        status = hsi_onnx_ints_input(im, node, 3, &axes, &axes_count);
    if (status)
        return status;
    if (!axes)
        axes_count = rank;
    if (!pads || axes_count > rank || count != 2 * axes_count)
        return hsi_onnx_malformed(node,
                                  "%u pads for %u axes of a tensor of %u dimensions",
                                  count, axes_count, rank);
    for (uint32_t k = 0; k < axes_count; k++) {
        uint32_t at;
        status = hsi_onnx_axis(node, axes ? axes[k] : (int64_t)k, rank, rank, &at);
        if (!status && seen >> at & 1)
            status = hsi_onnx_malformed(node, "axis %u is listed twice", at);
        if (status)
            return status;
        seen |= 1u << at;
        p->before[at] = pads[k];
        p->after[at] = pads[axes_count + k];
    }
    return HSCHED_OK;
}

/* Negative padding takes away: as a slice before what is added. */
static hsched_status take_away(hsi_onnx_import *im, const hsi_onnx_node *node, padding *p,
                               hsched_tensor *x)
{
    int64_t starts[HSCHED_MAX_DIMS], ends[HSCHED_MAX_DIMS], dims[HSCHED_MAX_DIMS];
    uint32_t rank = hsi_onnx_rank(im, *x);
    int any = 0;
    hsi_onnx_dims(im, *x, dims);
    for (uint32_t k = 0; k < rank; k++) {
        if (p->before[k] < -dims[k] || p->after[k] < -dims[k])
            return hsi_onnx_malformed(node, "takes more than dimension %u has", k);
        starts[k] = p->before[k] < 0 ? -p->before[k] : 0;
        ends[k] = p->after[k] < 0 ? p->after[k] : INT64_MAX;
        any |= p->before[k] < 0 || p->after[k] < 0;
        p->before[k] = p->before[k] < 0 ? 0 : p->before[k];
        p->after[k] = p->after[k] < 0 ? 0 : p->after[k];
    }
    if (!any)
        return HSCHED_OK;
    if (p->mode != HSCHED_PAD_MODE_CONSTANT || p->wraps)
        return hsi_onnx_unsupported(im, node,
                                    "negative pads in another mode than constant");
    const char *name = hsi_onnx_made_name(im, node->label, "cut");
    if (!name)
        return hsi_onnx_no_memory(im, node);
    return hsi_onnx_at_node(node, hsched_graph_add_slice(im->graph, name, *x, rank,
                                                         starts, ends, NULL, NULL, x));
}

/* Constants and no elements; with other modes and negative pads it is left to the layer. */
hsched_status hsi_onnx_fold_pad(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *x = hsi_onnx_constant_input(im, node, 0);
    const hsi_onnx_constant *value =
        node->version < 11 ? NULL : hsi_onnx_constant_input(im, node, 2);
    padding p = { .value = 0 };
    int64_t dims[HSCHED_MAX_DIMS], strides[HSCHED_MAX_DIMS];
    hsi_onnx_draft *draft;
    if (!x || (value && (value->count != 1 || value->dtype != x->dtype)))
        return hsi_onnx_malformed(node, "its inputs do not fit");
    hsched_status status = pad_mode(im, node, &p);
    if (!status)
        status = pad_amounts(im, node, x->rank, &p);
    if (!status && node->version < 11)
        status = hsi_onnx_attr_float(node, "value", 0, &p.value);
    if (status || p.mode != HSCHED_PAD_MODE_CONSTANT)
        return status;
    for (uint32_t k = 0; k < x->rank; k++) {
        if (p.before[k] < 0 || p.after[k] < 0)
            return HSCHED_OK;
        if (__builtin_add_overflow(p.before[k], p.after[k], &dims[k]) ||
            __builtin_add_overflow(dims[k], x->dims[k], &dims[k]))
            return hsi_onnx_malformed(node, "its pads are too large");
    }
    status = hsi_onnx_draft_make(im, node, x->dtype, x->rank, dims,
                                 x->tags || (value && value->tags), &draft);
    if (status)
        return status;
    for (size_t i = 0; i < draft->result.count; i++) {
        if (value)
            hsi_onnx_copy_elements(draft, i, value, 0, 1);
        else
            hsi_onnx_put_float(draft, i, (double)p.value);
    }
    hsi_dense_strides(x->rank, dims, strides);
    for (size_t i = 0; i < x->count; i++) {
        size_t rest = i, to = 0;
        for (uint32_t k = x->rank; k-- > 0; rest /= (size_t)x->dims[k])
            to += (rest % (size_t)x->dims[k] + (size_t)p.before[k]) * (size_t)strides[k];
        hsi_onnx_copy_elements(draft, to, x, i, 1);
    }
    hsi_onnx_set_constant(im, node, 0, &draft->result);
    return HSCHED_OK;
}

/* The layer has the value as a float. */
static hsched_status check_value(hsi_onnx_import *im, const hsi_onnx_node *node,
                                 const padding *p)
{
    const hsi_onnx_constant *c =
        node->version < 11 ? NULL : hsi_onnx_constant_input(im, node, 2);
    if (p->mode != HSCHED_PAD_MODE_CONSTANT || !c || c->dtype != HSCHED_FLOAT64)
        return HSCHED_OK;
    const double value = hsi_onnx_get_float(c, 0);
    if (value == (double)p->value || value != value)
        return HSCHED_OK;
    return hsi_onnx_unsupported(im, node, "a value of float64, %.17g, that no float32 is",
                                value);
}

hsched_status hsi_onnx_build_pad(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    padding p = { .value = 0 };
    hsched_tensor x, y;
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (!status)
        status = pad_mode(im, node, &p);
    if (!status)
        status = pad_amounts(im, node, hsi_onnx_rank(im, x), &p);
    if (!status)
        status = node->version < 11 ? hsi_onnx_attr_float(node, "value", 0, &p.value)
                                    : hsi_onnx_float_input(im, node, 2, 0, &p.value);
    if (!status)
        status = check_value(im, node, &p);
    if (!status)
        status = take_away(im, node, &p, &x);
    if (!status)
        status = hsi_onnx_at_node(
            node, p.wraps
                      ? hsi_onnx_wrap_around(im, node, x, p.before, p.after, &y)
                      : hsched_graph_add_pad(im->graph, hsi_onnx_output_name(im, node, 0),
                                             x, p.before, p.after, p.mode, p.value, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

/* ---- Split and Gather ----------------------------------------------------- */

hsched_status hsi_onnx_split_sizes(hsi_onnx_import *im, const hsi_onnx_node *node,
                                   int64_t size, int64_t *sizes)
{
    const int64_t *given;
    uint32_t count, outputs = node->output_count;
    int64_t wanted, total = 0;
    hsched_status status = hsi_onnx_ints(im, node, "split", 13, 1, &given, &count);
    if (!status)
        status = hsi_onnx_attr_int(node, "num_outputs", outputs, &wanted);
    if (status)
        return status;
    if (node->version < 13 && hsi_onnx_has_input(node, 1))
        return hsi_onnx_unsupported(im, node, "its sizes as an input before opset 13");
    if (outputs == 0 || wanted != (int64_t)outputs)
        return hsi_onnx_malformed(node, "%lld parts for %u outputs", (long long)wanted,
                                  outputs);
    if (outputs > HSI_ONNX_MAX_SPLIT)
        return hsi_onnx_unsupported(im, node, "more than %d outputs", HSI_ONNX_MAX_SPLIT);
    if (given && count != outputs)
        return hsi_onnx_malformed(node, "%u sizes for %u outputs", count, outputs);
    /* Uneven parts: all are equal but the last one, from opset 18 on. */
    int64_t part = (size + outputs - 1) / outputs;
    for (uint32_t k = 0; k < outputs; k++) {
        int64_t left = size - total;
        sizes[k] = given ? given[k] : left < part ? left : part;
        if (sizes[k] < 0 || sizes[k] > left)
            return hsi_onnx_malformed(node, "its parts do not fit a dimension of %lld",
                                      (long long)size);
        total += sizes[k];
    }
    if (total != size || (!given && size % outputs && node->version < 18))
        return hsi_onnx_malformed(node, "its parts do not fill a dimension of %lld",
                                  (long long)size);
    return HSCHED_OK;
}

/* Slices, of which only those that are used are made. */
hsched_status hsi_onnx_build_split(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    int64_t dims[HSCHED_MAX_DIMS], sizes[HSI_ONNX_MAX_SPLIT], start = 0;
    uint32_t axis;
    hsched_tensor x, y;
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (!status)
        status = axis_attr(im, node, 0, x, &axis);
    if (status)
        return status;
    hsi_onnx_dims(im, x, dims);
    hsi_onnx_pin(im, hsi_onnx_dim_tag(im, x, axis));
    status = hsi_onnx_split_sizes(im, node, dims[axis], sizes);
    for (uint32_t k = 0; k < node->output_count && !status; start += sizes[k], k++) {
        int64_t end = start + sizes[k], along = axis;
        if (!hsi_onnx_output_used(im, node, k))
            continue;
        if (sizes[k] == 0) {
            int64_t part[HSCHED_MAX_DIMS];
            memcpy(part, dims, sizeof part);
            part[axis] = 0;
            status = hsi_onnx_empty_part(im, node, k, x, part);
            continue;
        }
        status = hsi_onnx_at_node(
            node, hsched_graph_add_slice(im->graph, hsi_onnx_output_name(im, node, k), x,
                                         1, &start, &end, &along, NULL, &y));
        if (!status)
            hsi_onnx_set_tensor(im, node, k, y);
    }
    return status;
}

/* The slice of x at one index. One from the end stays so where a symbol has another value. */
static hsched_status add_pick(hsi_onnx_import *im, const hsi_onnx_node *node,
                              const char *name, hsched_tensor x, uint32_t axis,
                              int64_t index, hsched_tensor *y)
{
    int64_t dims[HSCHED_MAX_DIMS], along = axis;
    const int64_t end = index == -1 ? INT64_MAX : index + 1;
    hsi_onnx_dims(im, x, dims);
    if (index < -dims[axis] || index >= dims[axis])
        return hsi_onnx_malformed(node, "index %lld is outside a dimension of %lld",
                                  (long long)index, (long long)dims[axis]);
    return hsi_onnx_at_node(node, hsched_graph_add_slice(im->graph, name, x, 1, &index,
                                                         &end, &along, NULL, y));
}

enum {
    MAX_PICKED = 16
};

/* A list of indices: one slice for each, joined; for reordering channels. */
static hsched_status build_picks(hsi_onnx_import *im, const hsi_onnx_node *node,
                                 hsched_tensor x, const hsi_onnx_constant *indices,
                                 uint32_t axis)
{
    hsched_tensor picked[MAX_PICKED], y;
    for (uint32_t k = 0; k < indices->count; k++) {
        const char *name = hsi_onnx_made_name(im, node->label, "picked");
        if (!name)
            return hsi_onnx_no_memory(im, node);
        hsched_status status =
            add_pick(im, node, name, x, axis, hsi_onnx_get_int(indices, k), &picked[k]);
        if (status)
            return status;
    }
    hsched_status status =
        hsched_graph_add_concat(im->graph, hsi_onnx_output_name(im, node, 0), picked,
                                (uint32_t)indices->count, (int)axis, &y);
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return hsi_onnx_at_node(node, status);
}

/* Whatever the indices are. */
static hsched_status by_indices(hsi_onnx_import *im, const hsi_onnx_node *node,
                                hsched_tensor x, uint32_t axis)
{
    const char *name = hsi_onnx_output_name(im, node, 0);
    hsched_tensor indices, y;
    hsched_status status = hsi_onnx_input(im, node, 1, &indices);
    if (!status)
        status = hsi_onnx_at_node(
            node,
            strcmp(node->op, "Gather") == 0
                ? hsched_graph_add_gather(im->graph, name, x, indices, (int)axis, &y)
                : hsched_graph_add_gather_elements(im->graph, name, x, indices, (int)axis,
                                                   &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

hsched_status hsi_onnx_build_gather_elements(hsi_onnx_import *im,
                                             const hsi_onnx_node *node)
{
    uint32_t axis;
    hsched_tensor x;
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (!status)
        status = axis_attr(im, node, 0, x, &axis);
    return status ? status : by_indices(im, node, x, axis);
}

hsched_status hsi_onnx_build_gather(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *indices = hsi_onnx_constant_input(im, node, 1);
    const char *name = hsi_onnx_output_name(im, node, 0);
    uint32_t axis;
    hsched_tensor x, y;
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (!status)
        status = axis_attr(im, node, 0, x, &axis);
    if (status)
        return status;
    if (indices && !indices->tags && indices->rank == 1 && indices->count > 1 &&
        indices->count <= MAX_PICKED && indices->dtype == HSCHED_INT64)
        return build_picks(im, node, x, indices, axis);
    if (!indices || indices->count != 1 || indices->rank > 1 ||
        (indices->dtype != HSCHED_INT64 && indices->dtype != HSCHED_INT32))
        return by_indices(im, node, x, axis);
    if (indices->tags)
        hsi_onnx_pin(im, indices->tags[0]);
    const int64_t along = axis; /* a slice, and for a number (not a list) a squeeze */
    const char *sliced =
        indices->rank ? name : hsi_onnx_made_name(im, node->label, "picked");
    if (!sliced)
        return hsi_onnx_no_memory(im, node);
    status = add_pick(im, node, sliced, x, axis, hsi_onnx_get_int(indices, 0), &y);
    if (!status && indices->rank == 0)
        status = hsi_onnx_at_node(
            node, hsched_graph_add_squeeze(im->graph, name, y, 1, &along, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}
