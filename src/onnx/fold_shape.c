/* Evaluating operators that move elements without computing any: shapes, slices, joins.
 */
#include "onnx/fold.h"

#include <string.h>

#include "base/checked.h"
#include "base/status.h"
#include "base/tensor.h"

static const hsi_onnx_constant *input(const hsi_onnx_import *im,
                                      const hsi_onnx_node *node, uint32_t k)
{
    return hsi_onnx_constant_input(im, node, k);
}

static hsched_status need(const hsi_onnx_node *node, uint32_t inputs)
{
    for (uint32_t k = 0; k < inputs; k++)
        if (!hsi_onnx_has_input(node, k))
            return hsi_onnx_malformed(node, "input %u is missing", k);
    return HSCHED_OK;
}

/* ---- Shape and Size: the input may be a tensor that is only computed at run time --- */

static uint32_t input_shape(const hsi_onnx_import *im, const hsi_onnx_node *node,
                            int64_t *dims, uint64_t *tags)
{
    const hsi_onnx_state *state = &im->states[node->inputs[0]];
    memset(tags, 0, HSCHED_MAX_DIMS * sizeof *tags);
    if (state->constant) {
        memcpy(dims, state->constant->dims, sizeof state->constant->dims);
        return state->constant->rank;
    }
    uint32_t rank = hsi_onnx_rank(im, state->tensor);
    hsi_onnx_dims(im, state->tensor, dims);
    for (uint32_t k = 0; k < rank; k++)
        tags[k] = hsi_onnx_dim_tag(im, state->tensor, k);
    return rank;
}

static int64_t clamp(int64_t v, int64_t low, int64_t high)
{
    return v < low ? low : v > high ? high : v;
}

hsched_status hsi_onnx_fold_shape(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    int64_t dims[HSCHED_MAX_DIMS], start = 0, end = INT64_MAX;
    uint64_t tags[HSCHED_MAX_DIMS];
    hsched_status status = need(node, 1);
    if (!status)
        status = hsi_onnx_attr_int(node, "start", 0, &start);
    if (!status)
        status = hsi_onnx_attr_int(node, "end", INT64_MAX, &end);
    if (status)
        return status;
    int64_t rank = input_shape(im, node, dims, tags);
    start = clamp(start < 0 ? start + rank : start, 0, rank);
    end = clamp(end < 0 ? end + rank : end, start, rank);
    int64_t count = end - start;
    hsi_onnx_draft *draft;
    status = hsi_onnx_draft_make(im, node, HSCHED_INT64, 1, &count, 1, &draft);
    if (status)
        return status;
    for (int64_t k = 0; k < count; k++) {
        hsi_onnx_put_int(draft, (size_t)k, dims[start + k]);
        draft->tags[k] = tags[start + k];
    }
    hsi_onnx_set_constant(im, node, 0, &draft->result);
    return HSCHED_OK;
}

hsched_status hsi_onnx_fold_size(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    int64_t dims[HSCHED_MAX_DIMS];
    uint64_t tags[HSCHED_MAX_DIMS], all = 0;
    size_t count;
    hsi_onnx_draft *draft;
    hsched_status status = need(node, 1);
    if (!status)
        status = hsi_onnx_draft_make(im, node, HSCHED_INT64, 0, NULL, 1, &draft);
    if (status)
        return status;
    uint32_t rank = input_shape(im, node, dims, tags);
    if (!hsi_element_count(rank, dims, &count))
        return hsi_error(HSCHED_ERROR_LIMIT, "node '%.128s': its input is too large",
                         node->label);
    for (uint32_t k = 0; k < rank; k++)
        all |= tags[k];
    hsi_onnx_put_int(draft, 0, (int64_t)count);
    draft->tags[0] = all & ~HSI_ONNX_EXACT;
    hsi_onnx_set_constant(im, node, 0, &draft->result);
    return HSCHED_OK;
}

/* ---- Constants ------------------------------------------------------------ */

static hsched_status list_constant(hsi_onnx_import *im, const hsi_onnx_node *node,
                                   hsched_dtype dtype, uint32_t rank, size_t count,
                                   const void *data)
{
    int64_t dims[1] = { (int64_t)count };
    hsi_onnx_draft *draft;
    hsched_status status = hsi_onnx_draft_make(im, node, dtype, rank, dims, 0, &draft);
    if (status)
        return status;
    if (count)
        memcpy(draft->data, data, draft->result.size);
    hsi_onnx_set_constant(im, node, 0, &draft->result);
    return HSCHED_OK;
}

hsched_status hsi_onnx_fold_constant(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const Onnx__AttributeProto *attr;
    const hsi_onnx_constant *c;
    const int64_t *ints;
    uint32_t count;
    int64_t i;
    float f;
    hsched_status status;
    if ((attr = hsi_onnx_attr(node, "value")) != NULL) {
        if (!attr->t)
            return hsi_onnx_malformed(node, "attribute 'value' is not a tensor");
        /* Read once, though there may be several passes. */
        hsi_onnx_value *value = node->output_count && node->outputs[0] != HSI_ONNX_NONE
                                    ? &im->model->values[node->outputs[0]]
                                    : NULL;
        if (!value)
            return HSCHED_OK;
        if (!value->constant) {
            status = hsi_onnx_read_tensor(im->model, attr->t, "constant", node->label,
                                          &value->constant);
            if (status)
                return status;
        }
        c = value->constant;
        hsi_onnx_set_constant(im, node, 0, c);
        return HSCHED_OK;
    }
    if (hsi_onnx_attr(node, "value_float")) {
        status = hsi_onnx_attr_float(node, "value_float", 0, &f);
        return status ? status : list_constant(im, node, HSCHED_FLOAT32, 0, 1, &f);
    }
    if (hsi_onnx_attr(node, "value_int")) {
        status = hsi_onnx_attr_int(node, "value_int", 0, &i);
        return status ? status : list_constant(im, node, HSCHED_INT64, 0, 1, &i);
    }
    if (hsi_onnx_attr(node, "value_ints")) {
        status = hsi_onnx_attr_ints(node, "value_ints", &ints, &count);
        return status ? status : list_constant(im, node, HSCHED_INT64, 1, count, ints);
    }
    if ((attr = hsi_onnx_attr(node, "value_floats")) != NULL)
        return list_constant(im, node, HSCHED_FLOAT32, 1, attr->n_floats, attr->floats);
    return hsi_onnx_unsupported(im, node,
                                "a constant that is text, sparse or has no value");
}

hsched_status hsi_onnx_fold_constant_of_shape(hsi_onnx_import *im,
                                              const hsi_onnx_node *node)
{
    const Onnx__AttributeProto *attr = hsi_onnx_attr(node, "value");
    const hsi_onnx_constant *value = NULL, *shape = input(im, node, 0);
    const int64_t *dims;
    uint32_t rank;
    hsi_onnx_draft *draft;
    hsched_status status = need(node, 1);
    if (!status && attr && !attr->t)
        status = hsi_onnx_malformed(node, "attribute 'value' is not a tensor");
    if (!status && attr)
        status =
            hsi_onnx_read_tensor(im->model, attr->t, "value of", node->label, &value);
    if (!status && value && value->count != 1)
        status =
            hsi_onnx_malformed(node, "its value has %zu elements, not one", value->count);
    if (!status)
        status = hsi_onnx_ints_input(im, node, 0, &dims, &rank);
    for (uint32_t k = 0; !status && k < rank; k++)
        if (dims[k] < 0)
            status = hsi_onnx_malformed(node, "dimension %u is negative", k);
    if (!status)
        status = hsi_onnx_draft_make(im, node, value ? value->dtype : HSCHED_FLOAT32,
                                     shape->count ? rank : 0, dims, 0, &draft);
    if (status)
        return status;
    for (size_t k = 0; value && k < draft->result.count; k++)
        hsi_onnx_copy_elements(draft, k, value, 0, 1);
    hsi_onnx_set_constant(im, node, 0, &draft->result);
    return HSCHED_OK;
}

/* ---- The same elements under another shape -------------------------------- */

hsched_status hsi_onnx_fold_identity(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsched_status status = need(node, 1);
    return status ? status : hsi_onnx_alias(im, node, 0);
}

static hsched_status reshape_to(hsi_onnx_import *im, const hsi_onnx_node *node,
                                uint32_t rank, const int64_t *dims)
{
    const hsi_onnx_constant *result;
    hsched_status status =
        hsi_onnx_reshaped(im, node, input(im, node, 0), rank, dims, &result);
    if (!status)
        hsi_onnx_set_constant(im, node, 0, result);
    return status;
}

hsched_status hsi_onnx_fold_reshape(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *x = input(im, node, 0);
    const int64_t *given;
    int64_t dims[HSCHED_MAX_DIMS], allowzero = 0;
    uint32_t rank, inferred = HSI_ONNX_NONE;
    size_t rest = 1;
    hsched_status status = need(node, 2);
    if (!status)
        status = hsi_onnx_attr_int(node, "allowzero", 0, &allowzero);
    if (!status)
        status = hsi_onnx_ints_input(im, node, 1, &given, &rank);
    if (!status && rank > HSCHED_MAX_DIMS)
        status =
            hsi_onnx_unsupported(im, node, "more than %d dimensions", HSCHED_MAX_DIMS);
    if (status)
        return status;
    for (uint32_t k = 0; k < rank; k++) {
        dims[k] = given[k] == 0 && !allowzero && k < x->rank ? x->dims[k] : given[k];
        if (dims[k] < -1 || (dims[k] == -1 && inferred != HSI_ONNX_NONE))
            return hsi_onnx_malformed(node, "shape %s", hsi_shape_text(rank, given));
        if (dims[k] == -1)
            inferred = k;
        else if (!hsi_mul_size(rest, (size_t)dims[k], &rest))
            return hsi_onnx_malformed(node, "shape %s is too large",
                                      hsi_shape_text(rank, given));
    }
    if (inferred != HSI_ONNX_NONE)
        dims[inferred] = rest ? (int64_t)(x->count / rest) : 0;
    return reshape_to(im, node, rank, dims);
}

hsched_status hsi_onnx_fold_flatten(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *x = input(im, node, 0);
    int64_t axis, dims[2] = { 1, 1 };
    uint32_t at;
    hsched_status status = need(node, 1);
    if (!status)
        status = hsi_onnx_attr_int(node, "axis", 1, &axis);
    if (!status)
        status = hsi_onnx_axis(node, axis, x->rank, x->rank + 1, &at);
    if (status)
        return status;
    for (uint32_t k = 0; k < x->rank; k++)
        dims[k >= at] *= x->dims[k]; /* see hsi_onnx_check_shape: cannot overflow */
    return reshape_to(im, node, 2, dims);
}

/* The axes of Squeeze and Unsqueeze as a set of bits, for a tensor of `rank` dimensions.
 */
static hsched_status axes_set(hsi_onnx_import *im, const hsi_onnx_node *node,
                              const int64_t *axes, uint32_t count, uint32_t rank,
                              uint32_t *set)
{
    *set = 0;
    if (rank > HSCHED_MAX_DIMS)
        return hsi_onnx_unsupported(im, node, "more than %d dimensions", HSCHED_MAX_DIMS);
    for (uint32_t k = 0; k < count; k++) {
        uint32_t at;
        hsched_status status = hsi_onnx_axis(node, axes[k], rank, rank, &at);
        if (status)
            return status;
        if (*set >> at & 1)
            return hsi_onnx_malformed(node, "axis %u is listed twice", at);
        *set |= 1u << at;
    }
    return HSCHED_OK;
}

hsched_status hsi_onnx_fold_squeeze(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *x = input(im, node, 0);
    const int64_t *axes;
    int64_t dims[HSCHED_MAX_DIMS];
    uint32_t count, set, rank = 0;
    hsched_status status = need(node, 1);
    if (!status)
        status = hsi_onnx_ints(im, node, "axes", 13, 1, &axes, &count);
    if (!status)
        status = axes_set(im, node, axes, count, x->rank, &set);
    if (status)
        return status;
    for (uint32_t k = 0; k < x->rank; k++) {
        int listed = axes ? set >> k & 1 : x->dims[k] == 1;
        if (!listed)
            dims[rank++] = x->dims[k];
    }
    return reshape_to(im, node, rank, dims); /* counts differ if a dimension is not 1 */
}

hsched_status hsi_onnx_fold_unsqueeze(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *x = input(im, node, 0);
    const int64_t *axes;
    int64_t dims[HSCHED_MAX_DIMS];
    uint32_t count, set, from = 0;
    hsched_status status = need(node, 1);
    if (!status)
        status = hsi_onnx_ints(im, node, "axes", 13, 1, &axes, &count);
    if (!status && !axes)
        status = hsi_onnx_malformed(node, "axes are missing");
    if (!status && count > HSCHED_MAX_DIMS)
        status =
            hsi_onnx_unsupported(im, node, "more than %d dimensions", HSCHED_MAX_DIMS);
    if (!status)
        status = axes_set(im, node, axes, count, x->rank + count, &set);
    if (status)
        return status;
    for (uint32_t k = 0; k < x->rank + count; k++)
        dims[k] = set >> k & 1 ? 1 : x->dims[from++];
    return reshape_to(im, node, x->rank + count, dims);
}

/* ---- Strided views -------------------------------------------------------- */

static hsched_status strided(hsi_onnx_import *im, const hsi_onnx_node *node,
                             uint32_t output, const hsi_onnx_constant *x, uint32_t rank,
                             const int64_t *dims, int64_t offset, const int64_t *strides)
{
    hsi_onnx_draft *draft;
    hsched_status status =
        hsi_onnx_draft_make(im, node, x->dtype, rank, dims, x->tags != NULL, &draft);
    if (status)
        return status;
    hsi_onnx_copy_strided(draft, x, offset, strides);
    hsi_onnx_set_constant(im, node, output, &draft->result);
    return HSCHED_OK;
}

hsched_status hsi_onnx_fold_transpose(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *x = input(im, node, 0);
    const int64_t *perm;
    int64_t own[HSCHED_MAX_DIMS], dims[HSCHED_MAX_DIMS], strides[HSCHED_MAX_DIMS];
    uint32_t count, set = 0;
    hsched_status status = need(node, 1);
    if (!status)
        status = hsi_onnx_attr_ints(node, "perm", &perm, &count);
    if (!status && perm && count != x->rank)
        status = hsi_onnx_malformed(node, "perm has %u entries for %u dimensions", count,
                                    x->rank);
    if (status)
        return status;
    hsi_dense_strides(x->rank, x->dims, own);
    for (uint32_t k = 0; k < x->rank; k++) {
        int64_t from = perm ? perm[k] : (int64_t)(x->rank - 1 - k);
        if (from < 0 || from >= (int64_t)x->rank || set >> from & 1)
            return hsi_onnx_malformed(node, "perm is no permutation");
        set |= 1u << from;
        dims[k] = x->dims[from];
        strides[k] = own[from];
    }
    return strided(im, node, 0, x, x->rank, dims, 0, strides);
}

hsched_status hsi_onnx_fold_expand(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *x = input(im, node, 0);
    const int64_t *shape;
    hsi_onnx_constant target = { 0 };
    int64_t dims[HSCHED_MAX_DIMS], strides[HSCHED_MAX_DIMS];
    uint32_t count, rank;
    hsched_status status = need(node, 2);
    if (!status)
        status = hsi_onnx_ints_input(im, node, 1, &shape, &count);
    if (!status && count > HSCHED_MAX_DIMS)
        status =
            hsi_onnx_unsupported(im, node, "more than %d dimensions", HSCHED_MAX_DIMS);
    if (status)
        return status;
    target.rank = count;
    for (uint32_t k = 0; k < count; k++) {
        if (shape[k] < 0)
            return hsi_onnx_malformed(node, "dimension %u is negative", k);
        target.dims[k] = shape[k];
    }
    status = hsi_onnx_broadcast(node, x, &target, &rank, dims);
    if (status)
        return status;
    hsi_onnx_broadcast_strides(x, rank, dims, strides);
    return strided(im, node, 0, x, rank, dims, 0, strides);
}

typedef struct range {
    int64_t start, step, count;
} range;

/* One axis of Slice, as ONNX clamps it. */
static range slice_range(int64_t start, int64_t end, int64_t step, int64_t size)
{
    int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
    if (start < 0)
        start = start < -size ? -1 : start + size;
    if (end < 0)
        end = end < -size ? -1 : end + size;
    start = clamp(start, 0, high);
    end = clamp(end, low, size);
    int64_t distance = step > 0 ? end - start : start - end;
    uint64_t stride = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
    int64_t count = 0;
    if (distance > 0 && size > 0)
        count = (int64_t)(((uint64_t)distance - 1) / stride) + 1;
    return (range){ start, count > 1 ? step : 1, count };
}

int64_t hsi_onnx_slice_count(int64_t start, int64_t end, int64_t step, int64_t size)
{
    return slice_range(start, end, step, size).count;
}

hsched_status hsi_onnx_fold_slice(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *x = input(im, node, 0);
    const int64_t *starts, *ends, *axes, *steps = NULL;
    int64_t dims[HSCHED_MAX_DIMS], strides[HSCHED_MAX_DIMS], offset = 0;
    uint32_t count, ends_count, axes_count, steps_count = 0;
    hsched_status status = need(node, 1);
    if (!status)
        status = hsi_onnx_ints(im, node, "starts", 10, 1, &starts, &count);
    if (!status)
        status = hsi_onnx_ints(im, node, "ends", 10, 2, &ends, &ends_count);
    if (!status)
        status = hsi_onnx_ints(im, node, "axes", 10, 3, &axes, &axes_count);
    if (!status && node->version >= 10)
        status = hsi_onnx_ints_input(im, node, 4, &steps, &steps_count);
    if (status)
        return status;
    if (!starts || !ends || ends_count != count || (axes && axes_count != count) ||
        (steps && steps_count != count) || count > x->rank)
        return hsi_onnx_malformed(node,
                                  "starts, ends, axes and steps do not fit each other");
    memcpy(dims, x->dims, sizeof dims);
    hsi_dense_strides(x->rank, x->dims, strides);
    for (uint32_t k = 0; k < count; k++) {
        uint32_t at;
        status = hsi_onnx_axis(node, axes ? axes[k] : (int64_t)k, x->rank, x->rank, &at);
        if (!status && steps && steps[k] == 0)
            status = hsi_onnx_malformed(node, "a step is 0");
        if (status)
            return status;
        range r = slice_range(starts[k], ends[k], steps ? steps[k] : 1, dims[at]);
        offset += r.start * strides[at];
        strides[at] *= r.step;
        dims[at] = r.count;
    }
    return strided(im, node, 0, x, x->rank, dims, offset, strides);
}

hsched_status hsi_onnx_fold_tile(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *x = input(im, node, 0);
    const int64_t *repeats;
    int64_t own[HSCHED_MAX_DIMS], dims[HSCHED_MAX_DIMS];
    uint32_t count;
    hsi_onnx_draft *draft;
    hsched_status status = need(node, 2);
    if (!status)
        status = hsi_onnx_ints_input(im, node, 1, &repeats, &count);
    if (!status && count != x->rank)
        status = hsi_onnx_malformed(node, "%u repeats for %u dimensions", count, x->rank);
    for (uint32_t k = 0; !status && k < count; k++)
        if (repeats[k] < 0 || !hsi_mul_i64(x->dims[k], repeats[k], &dims[k]))
            status = hsi_onnx_malformed(node, "a repeat is negative or too large");
    if (!status)
        status =
            hsi_onnx_draft_make(im, node, x->dtype, count, dims, x->tags != NULL, &draft);
    if (status)
        return status;
    hsi_dense_strides(x->rank, x->dims, own);
    for (size_t i = 0; i < draft->result.count; i++) {
        size_t rest = i, from = 0;
        for (uint32_t k = count; k-- > 0;) {
            from += rest % (size_t)dims[k] % (size_t)x->dims[k] * (size_t)own[k];
            rest /= (size_t)dims[k];
        }
        hsi_onnx_copy_elements(draft, i, x, from, 1);
    }
    hsi_onnx_set_constant(im, node, 0, &draft->result);
    return HSCHED_OK;
}

/* ---- Where something is --------------------------------------------------- */

/* [rank, count]: the indices of all elements that are not zero, one column each. */
hsched_status hsi_onnx_fold_non_zero(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *x = input(im, node, 0);
    int64_t count = 0, at = 0;
    hsi_onnx_draft *draft;
    hsched_status status = need(node, 1);
    if (status)
        return status;
    for (size_t i = 0; i < x->count; i++) {
        if (x->tags) /* how many there are depends on it */
            hsi_onnx_pin(im, x->tags[i]);
        count += hsi_onnx_get_float(x, i) != 0;
    }
    const int64_t dims[2] = { x->rank ? x->rank : 1, count };
    status = hsi_onnx_draft_make(im, node, HSCHED_INT64, 2, dims, 0, &draft);
    for (size_t i = 0; i < x->count && !status; i++) {
        size_t rest = i;
        if (hsi_onnx_get_float(x, i) == 0)
            continue;
        for (uint32_t k = x->rank; k-- > 0; rest /= (size_t)x->dims[k])
            hsi_onnx_put_int(draft, (size_t)(k * count + at),
                             (int64_t)(rest % (size_t)x->dims[k]));
        at++;
    }
    if (!status)
        hsi_onnx_set_constant(im, node, 0, &draft->result);
    return status;
}
