/*
 * Sequences: lists of tensors, which exist only while a model is imported. What puts
 * tensors in and takes them out makes no layers, since all positions are known.
 */
#include "onnx/ops.h"

#include <inttypes.h>
#include <string.h>

#include "base/status.h"

enum {
    MAX_ITEMS = 4096
};

static hsched_status sequence_input(const hsi_onnx_import *im, const hsi_onnx_node *node,
                                    const hsi_onnx_sequence **sequence)
{
    *sequence = hsi_onnx_has_input(node, 0) ? im->states[node->inputs[0]].sequence : NULL;
    return *sequence ? HSCHED_OK : hsi_onnx_malformed(node, "input 0 is no sequence");
}

/* What goes into a sequence. */
static hsched_status tensor_input(const hsi_onnx_import *im, const hsi_onnx_node *node,
                                  uint32_t k, hsi_onnx_state *item)
{
    if (!hsi_onnx_has_input(node, k))
        return hsi_onnx_malformed(node, "input %u is missing", k);
    *item = im->states[node->inputs[k]];
    if (item->constant || item->tensor != HSCHED_NO_TENSOR)
        return HSCHED_OK;
    return hsi_onnx_malformed(node, "input %u is no tensor", k);
}

/* A position in 0 to `limit` - 1; *given is 0 where there is no input k. */
static hsched_status position_input(hsi_onnx_import *im, const hsi_onnx_node *node,
                                    uint32_t k, const hsi_onnx_sequence *sequence,
                                    uint32_t limit, uint32_t *position, int *given)
{
    const int64_t *list;
    uint32_t count;
    hsched_status status = hsi_onnx_ints_input(im, node, k, &list, &count);
    *given = list != NULL;
    if (status || !list)
        return status;
    int64_t at = count == 1 ? list[0] : INT64_MAX;
    at += at < 0 ? sequence->count : 0;
    if (at < 0 || at >= limit)
        return hsi_onnx_malformed(node, "input %u is no position in a sequence of %u", k,
                                  sequence->count);
    *position = (uint32_t)at;
    return HSCHED_OK;
}

/* A sequence of `count` items, to be filled, as output 0. */
static hsched_status make_sequence(hsi_onnx_import *im, const hsi_onnx_node *node,
                                   size_t count, hsi_onnx_state **items)
{
    if (count > MAX_ITEMS)
        return hsi_onnx_unsupported(im, node, "a sequence of more than %d tensors",
                                    MAX_ITEMS);
    hsi_onnx_sequence *sequence = HSI_ONNX_NEW(&im->arena, hsi_onnx_sequence);
    *items = HSI_ONNX_NEW_ARRAY(&im->arena, hsi_onnx_state, count + 1);
    if (!sequence || !*items)
        return hsi_onnx_no_memory(im, node);
    *sequence = (hsi_onnx_sequence){ (uint32_t)count, *items };
    if (node->output_count && node->outputs[0] != HSI_ONNX_NONE)
        im->states[node->outputs[0]].sequence = sequence;
    return HSCHED_OK;
}

hsched_status hsi_onnx_build_sequence(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsi_onnx_state *items;
    hsched_status status = make_sequence(im, node, node->input_count, &items);
    for (uint32_t k = 0; k < node->input_count && !status; k++)
        status = tensor_input(im, node, k, &items[k]);
    return status;
}

hsched_status hsi_onnx_build_sequence_insert(hsi_onnx_import *im,
                                             const hsi_onnx_node *node)
{
    const hsi_onnx_sequence *from;
    hsi_onnx_state item, *items;
    uint32_t at = 0;
    int given = 0;
    hsched_status status = sequence_input(im, node, &from);
    if (!status)
        status = tensor_input(im, node, 1, &item);
    if (!status)
        status = position_input(im, node, 2, from, from->count + 1, &at, &given);
    if (!status)
        status = make_sequence(im, node, (size_t)from->count + 1, &items);
    if (status)
        return status;
    if (!given)
        at = from->count;
    memcpy(items, from->items, at * sizeof *items);
    items[at] = item;
    memcpy(items + at + 1, from->items + at, (from->count - at) * sizeof *items);
    return HSCHED_OK;
}

hsched_status hsi_onnx_build_sequence_erase(hsi_onnx_import *im,
                                            const hsi_onnx_node *node)
{
    const hsi_onnx_sequence *from;
    hsi_onnx_state *items;
    uint32_t at = 0;
    int given = 0;
    hsched_status status = sequence_input(im, node, &from);
    if (!status)
        status = position_input(im, node, 1, from, from->count, &at, &given);
    if (!status && from->count == 0)
        status = hsi_onnx_malformed(node, "its sequence is empty");
    if (!status)
        status = make_sequence(im, node, from->count - 1u, &items);
    if (status)
        return status;
    if (!given)
        at = from->count - 1;
    memcpy(items, from->items, at * sizeof *items);
    memcpy(items + at, from->items + at + 1, (from->count - at - 1) * sizeof *items);
    return HSCHED_OK;
}

hsched_status hsi_onnx_build_sequence_at(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_sequence *from;
    uint32_t at;
    int given = 0;
    hsched_status status = sequence_input(im, node, &from);
    if (!status)
        status = position_input(im, node, 1, from, from->count, &at, &given);
    if (!status && !given)
        status = hsi_onnx_malformed(node, "input 1 is missing");
    if (status)
        return status;
    hsi_onnx_set_constant(im, node, 0, from->items[at].constant);
    hsi_onnx_set_tensor(im, node, 0, from->items[at].tensor);
    return HSCHED_OK;
}

hsched_status hsi_onnx_build_sequence_length(hsi_onnx_import *im,
                                             const hsi_onnx_node *node)
{
    const hsi_onnx_sequence *from;
    hsi_onnx_draft *draft;
    hsched_status status = sequence_input(im, node, &from);
    if (!status)
        status = hsi_onnx_draft_make(im, node, HSCHED_INT64, 0, NULL, 0, &draft);
    if (status)
        return status;
    hsi_onnx_put_int(draft, 0, from->count);
    hsi_onnx_set_constant(im, node, 0, &draft->result);
    return HSCHED_OK;
}

/* ---- To and from one tensor ----------------------------------------------- */

/* An item as a tensor of the graph, with a new dimension of 1 where `axis` is not NULL. */
static hsched_status item_tensor(hsi_onnx_import *im, const hsi_onnx_node *node,
                                 const hsi_onnx_state *item, const int64_t *axis,
                                 hsched_tensor *tensor)
{
    hsched_status status = HSCHED_OK;
    const char *name = hsi_onnx_made_name(im, node->label, "item");
    *tensor = item->tensor;
    if (name && *tensor == HSCHED_NO_TENSOR)
        status = hsi_onnx_add_constant(im, node, name, item->constant, tensor);
    if (name && axis && !status) {
        name = hsi_onnx_made_name(im, node->label, "unsqueezed");
        if (name)
            status = hsi_onnx_at_node(
                node,
                hsched_graph_add_unsqueeze(im->graph, name, *tensor, 1, axis, tensor));
    }
    return name ? status : hsi_onnx_no_memory(im, node);
}

hsched_status hsi_onnx_build_concat_from_sequence(hsi_onnx_import *im,
                                                  const hsi_onnx_node *node)
{
    const hsi_onnx_sequence *from;
    int64_t given, along, is_new;
    uint32_t axis, count = 0;
    hsched_tensor y;
    hsched_status status = sequence_input(im, node, &from);
    if (!status)
        status = hsi_onnx_attr_int(node, "new_axis", 0, &is_new);
    if (!status && !hsi_onnx_attr(node, "axis"))
        status = hsi_onnx_malformed(node, "attribute 'axis' is missing");
    if (!status)
        status = hsi_onnx_attr_int(node, "axis", 0, &given);
    if (!status && from->count == 0)
        status = hsi_onnx_malformed(node, "its sequence is empty");
    if (status)
        return status;
    const hsi_onnx_state *first = &from->items[0];
    uint32_t rank =
        (first->constant ? first->constant->rank : hsi_onnx_rank(im, first->tensor)) +
        (is_new != 0);
    hsched_tensor *inputs = HSI_ONNX_NEW_ARRAY(&im->arena, hsched_tensor, from->count);
    if (!inputs)
        return hsi_onnx_no_memory(im, node);
    status = hsi_onnx_axis(node, given, rank, rank, &axis);
    along = axis;
    for (uint32_t k = 0; k < from->count && !status; k++) {
        const hsi_onnx_constant *c = from->items[k].constant;
        if (!c || c->count || is_new) /* else it adds nothing */
            status = item_tensor(im, node, &from->items[k], is_new ? &along : NULL,
                                 &inputs[count++]);
    }
    if (!status)
        status = hsi_onnx_at_node(
            node, hsched_graph_add_concat(im->graph, hsi_onnx_output_name(im, node, 0),
                                          inputs, count, (int)axis, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

/* How SplitToSequence cuts a dimension: parts of one size, the last one maybe shorter, or
 * those that are listed. */
static hsched_status part_sizes(hsi_onnx_import *im, const hsi_onnx_node *node,
                                int64_t size, const int64_t **sizes, uint32_t *count)
{
    const hsi_onnx_constant *c = hsi_onnx_constant_input(im, node, 1);
    int64_t total = 0;
    hsched_status status = hsi_onnx_ints_input(im, node, 1, sizes, count);
    if (status)
        return status;
    if (*sizes && c->rank == 1) {
        for (uint32_t k = 0; k < *count; k++) {
            if ((*sizes)[k] < 0 || (*sizes)[k] > size - total)
                return hsi_onnx_malformed(
                    node, "its parts do not fit a dimension of %" PRId64, size);
            total += (*sizes)[k];
        }
        return total == size
                   ? HSCHED_OK
                   : hsi_onnx_malformed(
                         node, "its parts do not fill a dimension of %" PRId64, size);
    }
    int64_t part = *sizes ? (*sizes)[0] : 1;
    if (part < 1)
        return hsi_onnx_malformed(node, "parts of %" PRId64, part);
    int64_t parts = size / part + (size % part != 0);
    if (parts > MAX_ITEMS)
        return hsi_onnx_unsupported(im, node, "a sequence of more than %d tensors",
                                    MAX_ITEMS);
    int64_t *list = HSI_ONNX_NEW_ARRAY(&im->arena, int64_t, (size_t)parts);
    if (!list)
        return hsi_onnx_no_memory(im, node);
    for (int64_t k = 0; k < parts; k++)
        list[k] = k + 1 < parts ? part : size - k * part;
    *sizes = list;
    *count = (uint32_t)parts;
    return HSCHED_OK;
}

static hsched_status cut(hsi_onnx_import *im, const hsi_onnx_node *node, hsched_tensor x,
                         int64_t axis, int64_t start, int64_t size, int keep,
                         hsched_tensor *y)
{
    int64_t end = start + size;
    const char *name = hsi_onnx_made_name(im, node->label, "part");
    const char *squeezed = hsi_onnx_made_name(im, node->label, "squeezed");
    if (!name || !squeezed)
        return hsi_onnx_no_memory(im, node);
    hsched_status status =
        hsched_graph_add_slice(im->graph, name, x, 1, &start, &end, &axis, NULL, y);
    if (!status && !keep)
        status = hsched_graph_add_squeeze(im->graph, squeezed, *y, 1, &axis, y);
    return hsi_onnx_at_node(node, status);
}

/* What is split: a tensor, or only its shape where it has no elements. */
typedef struct whole {
    hsched_tensor x; /* HSCHED_NO_TENSOR: none */
    hsched_dtype dtype;
    uint32_t rank;
    int64_t dims[HSCHED_MAX_DIMS];
} whole;

static hsched_status read_whole(hsi_onnx_import *im, const hsi_onnx_node *node, whole *w)
{
    const hsi_onnx_constant *c = hsi_onnx_constant_input(im, node, 0);
    if (c && c->count == 0) {
        *w = (whole){ HSCHED_NO_TENSOR, c->dtype, c->rank, { 0 } };
        memcpy(w->dims, c->dims, sizeof w->dims);
        return HSCHED_OK;
    }
    hsched_status status = hsi_onnx_input(im, node, 0, &w->x);
    if (status)
        return status;
    w->dtype = im->graph->tensors[w->x].dtype;
    w->rank = hsi_onnx_rank(im, w->x);
    hsi_onnx_dims(im, w->x, w->dims);
    return HSCHED_OK;
}

/* A part without elements; its shape holds for these sizes only. */
static hsched_status empty_item(hsi_onnx_import *im, const hsi_onnx_node *node,
                                const whole *w, uint32_t axis, int64_t size, int keep,
                                hsi_onnx_state *item)
{
    int64_t dims[HSCHED_MAX_DIMS];
    uint32_t rank = 0;
    hsi_onnx_draft *draft;
    for (uint32_t k = 0; k < w->rank; k++) {
        if (w->x != HSCHED_NO_TENSOR)
            hsi_onnx_pin(im, hsi_onnx_dim_tag(im, w->x, k));
        if (k != axis || keep)
            dims[rank++] = k == axis ? size : w->dims[k];
    }
    hsched_status status = hsi_onnx_draft_make(im, node, w->dtype, rank, dims, 0, &draft);
    if (!status)
        item->constant = &draft->result;
    return status;
}

hsched_status hsi_onnx_build_split_to_sequence(hsi_onnx_import *im,
                                               const hsi_onnx_node *node)
{
    const int64_t *sizes;
    int64_t given, keep, start = 0;
    uint32_t axis, count;
    hsi_onnx_state *items;
    whole w;
    hsched_status status = read_whole(im, node, &w);
    if (!status)
        status = hsi_onnx_attr_int(node, "axis", 0, &given);
    if (!status)
        status = hsi_onnx_attr_int(node, "keepdims", 1, &keep);
    if (!status)
        status = hsi_onnx_axis(node, given, w.rank, w.rank, &axis);
    if (status)
        return status;
    if (w.x != HSCHED_NO_TENSOR)
        hsi_onnx_pin(im, hsi_onnx_dim_tag(im, w.x, axis));
    status = part_sizes(im, node, w.dims[axis], &sizes, &count);
    if (!status)
        status = make_sequence(im, node, count, &items);
    keep |= hsi_onnx_has_input(node, 1);
    for (uint32_t k = 0; k < count && !status; start += sizes[k++]) {
        items[k] = (hsi_onnx_state){ .tensor = HSCHED_NO_TENSOR };
        status =
            w.x == HSCHED_NO_TENSOR || sizes[k] == 0
                ? empty_item(im, node, &w, axis, sizes[k], keep != 0, &items[k])
                : cut(im, node, w.x, axis, start, sizes[k], keep != 0, &items[k].tensor);
    }
    return status;
}
