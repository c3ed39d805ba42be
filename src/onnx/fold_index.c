/* Evaluating operators that pick, put or keep elements by their places. */
#include "onnx/fold.h"

#include <string.h>

#include "base/status.h"
#include "base/tensor.h"

static int is_index(const hsi_onnx_constant *c)
{
    return c->dtype == HSCHED_INT64 || c->dtype == HSCHED_INT32;
}

/* Inputs 0 to count - 1, which must be there; number 1 holds indices, which are numbers from
 * here on. */
static hsched_status inputs(hsi_onnx_import *im, const hsi_onnx_node *node,
                            uint32_t count, const hsi_onnx_constant **in)
{
    for (uint32_t k = 0; k < count; k++)
        if (!(in[k] = hsi_onnx_constant_input(im, node, k)))
            return hsi_onnx_malformed(node, "input %u is missing", k);
    if (!is_index(in[1]))
        return hsi_onnx_malformed(node, "its indices are not integers");
    for (size_t k = 0; in[1]->tags && k < in[1]->count; k++)
        hsi_onnx_pin(im, in[1]->tags[k]);
    return HSCHED_OK;
}

/* Index k of `indices` into a dimension of `size`; negative ones count from the end. */
static hsched_status index_at(const hsi_onnx_node *node, const hsi_onnx_constant *indices,
                              size_t k, int64_t size, int64_t *index)
{
    const int64_t given = hsi_onnx_get_int(indices, k);
    *index = given < 0 ? given + size : given;
    if (*index < 0 || *index >= size)
        return hsi_onnx_malformed(node, "index %lld is outside a dimension of %lld",
                                  (long long)given, (long long)size);
    return HSCHED_OK;
}

/* ---- Elements along an axis ------------------------------------------------ */

/* The place in x of what element i of `indices` names: the same as its own, but for the
 * axis. */
static hsched_status place_along(const hsi_onnx_node *node, const hsi_onnx_constant *x,
                                 const hsi_onnx_constant *indices, uint32_t axis,
                                 const int64_t *strides, size_t i, size_t *place)
{
    size_t rest = i;
    int64_t index, at = 0;
    hsched_status status = index_at(node, indices, i, x->dims[axis], &index);
    for (uint32_t k = indices->rank; k-- > 0 && !status;
         rest /= (size_t)indices->dims[k]) {
        const int64_t own = (int64_t)(rest % (size_t)indices->dims[k]);
        at += strides[k] * (k == axis ? index : own);
    }
    *place = (size_t)at;
    return status;
}

static hsched_status axis_of(const hsi_onnx_node *node, const hsi_onnx_constant *x,
                             const hsi_onnx_constant *indices, uint32_t *axis)
{
    int64_t given;
    hsched_status status = hsi_onnx_attr_int(node, "axis", 0, &given);
    if (!status)
        status = hsi_onnx_axis(node, given, x->rank, x->rank, axis);
    if (!status && indices->rank != x->rank)
        status = hsi_onnx_malformed(node, "its indices have %u dimensions, not %u",
                                    indices->rank, x->rank);
    for (uint32_t k = 0; k < x->rank && !status; k++)
        if (k != *axis && indices->dims[k] > x->dims[k])
            status = hsi_onnx_malformed(node, "its indices are larger than its input");
    return status;
}

hsched_status hsi_onnx_fold_gather_elements(hsi_onnx_import *im,
                                            const hsi_onnx_node *node)
{
    const hsi_onnx_constant *in[2];
    int64_t strides[HSCHED_MAX_DIMS];
    uint32_t axis;
    hsi_onnx_draft *draft;
    hsched_status status = inputs(im, node, 2, in);
    if (!status)
        status = axis_of(node, in[0], in[1], &axis);
    if (!status)
        status = hsi_onnx_draft_make(im, node, in[0]->dtype, in[1]->rank, in[1]->dims,
                                     in[0]->tags != NULL, &draft);
    if (status)
        return status;
    hsi_dense_strides(in[0]->rank, in[0]->dims, strides);
    for (size_t i = 0; i < in[1]->count; i++) {
        size_t from;
        status = place_along(node, in[0], in[1], axis, strides, i, &from);
        if (status)
            return status;
        hsi_onnx_copy_elements(draft, i, in[0], from, 1);
    }
    hsi_onnx_set_constant(im, node, 0, &draft->result);
    return HSCHED_OK;
}

/* A copy of input 0, to be written into; *draft is NULL for reductions, which are left to
 * the layer. */
static hsched_status copy_of(hsi_onnx_import *im, const hsi_onnx_node *node,
                             const hsi_onnx_constant *const *in, hsi_onnx_draft **draft)
{
    int replaces;
    *draft = NULL;
    hsched_status status = hsi_onnx_attr_is(node, "reduction", "none", "none", &replaces);
    if (!status && in[0]->dtype != in[2]->dtype)
        status = hsi_onnx_malformed(node, "its updates are of another type");
    if (status || !replaces)
        return status;
    status = hsi_onnx_draft_make(im, node, in[0]->dtype, in[0]->rank, in[0]->dims,
                                 in[0]->tags || in[2]->tags, draft);
    if (!status)
        hsi_onnx_copy_elements(*draft, 0, in[0], 0, in[0]->count);
    return status;
}

hsched_status hsi_onnx_fold_scatter_elements(hsi_onnx_import *im,
                                             const hsi_onnx_node *node)
{
    const hsi_onnx_constant *in[3];
    int64_t strides[HSCHED_MAX_DIMS];
    uint32_t axis;
    hsi_onnx_draft *draft;
    hsched_status status = inputs(im, node, 3, in);
    if (!status)
        status = axis_of(node, in[0], in[1], &axis);
    if (!status && in[2]->count != in[1]->count)
        status = hsi_onnx_malformed(node, "its updates have another shape than its "
                                          "indices");
    if (!status)
        status = copy_of(im, node, in, &draft);
    if (status || !draft)
        return status;
    hsi_dense_strides(in[0]->rank, in[0]->dims, strides);
    for (size_t i = 0; i < in[1]->count; i++) {
        size_t to;
        status = place_along(node, in[0], in[1], axis, strides, i, &to);
        if (status)
            return status;
        hsi_onnx_copy_elements(draft, to, in[2], i, 1);
    }
    hsi_onnx_set_constant(im, node, 0, &draft->result);
    return HSCHED_OK;
}

/* ---- Tuples ----------------------------------------------------------------- */

/* How tuples of indices name blocks of x. */
typedef struct tuples {
    const hsi_onnx_constant *x, *indices;
    uint32_t batch, size; /* shared dimensions; indices in a tuple */
    size_t count, block;  /* tuples; elements that each names */
    size_t per_batch;     /* tuples for each place in the shared dimensions */
    int64_t strides[HSCHED_MAX_DIMS];
} tuples;

static hsched_status tuples_of(const hsi_onnx_node *node, const hsi_onnx_constant *x,
                               const hsi_onnx_constant *indices, int64_t batch, tuples *t)
{
    const uint32_t last = indices->rank - 1;
    *t = (tuples){ .x = x, .indices = indices, .count = 1, .block = 1, .per_batch = 1 };
    if (indices->rank < 1 || batch < 0 || batch > last || indices->dims[last] < 1 ||
        batch + indices->dims[last] > x->rank)
        return hsi_onnx_malformed(node, "its indices of shape %s do not fit %s",
                                  hsi_shape_text(indices->rank, indices->dims),
                                  hsi_shape_text(x->rank, x->dims));
    t->batch = (uint32_t)batch;
    t->size = (uint32_t)indices->dims[last];
    for (uint32_t k = 0; k < last; k++) {
        t->count *= (size_t)indices->dims[k];
        if (k >= t->batch)
            t->per_batch *= (size_t)indices->dims[k];
        else if (indices->dims[k] != x->dims[k])
            return hsi_onnx_malformed(node, "its first dimensions differ");
    }
    for (uint32_t k = t->batch + t->size; k < x->rank; k++)
        t->block *= (size_t)x->dims[k];
    hsi_dense_strides(x->rank, x->dims, t->strides);
    return HSCHED_OK;
}

/* Where the block that tuple n names begins. */
static hsched_status block_at(const hsi_onnx_node *node, const tuples *t, size_t n,
                              size_t *place)
{
    size_t rest = t->batch ? n / t->per_batch : 0;
    int64_t at = 0, index;
    for (uint32_t k = t->batch; k-- > 0; rest /= (size_t)t->x->dims[k])
        at += (int64_t)(rest % (size_t)t->x->dims[k]) * t->strides[k];
    for (uint32_t k = 0; k < t->size; k++) {
        hsched_status status =
            index_at(node, t->indices, n * t->size + k, t->x->dims[t->batch + k], &index);
        if (status)
            return status;
        at += index * t->strides[t->batch + k];
    }
    *place = (size_t)at;
    return HSCHED_OK;
}

hsched_status hsi_onnx_fold_gather_nd(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *in[2];
    int64_t batch, dims[2 * HSCHED_MAX_DIMS];
    uint32_t rank = 0;
    tuples t;
    hsi_onnx_draft *draft;
    hsched_status status = inputs(im, node, 2, in);
    if (!status)
        status = hsi_onnx_attr_int(node, "batch_dims", 0, &batch);
    if (!status)
        status = tuples_of(node, in[0], in[1], batch, &t);
    if (status)
        return status;
    for (uint32_t k = 0; k + 1 < in[1]->rank; k++)
        dims[rank++] = in[1]->dims[k];
    for (uint32_t k = t.batch + t.size; k < in[0]->rank; k++)
        dims[rank++] = in[0]->dims[k];
    status = hsi_onnx_draft_make(im, node, in[0]->dtype, rank, dims, in[0]->tags != NULL,
                                 &draft);
    for (size_t n = 0; n < t.count && !status; n++) {
        size_t from;
        status = block_at(node, &t, n, &from);
        if (!status)
            hsi_onnx_copy_elements(draft, n * t.block, in[0], from, t.block);
    }
    if (!status)
        hsi_onnx_set_constant(im, node, 0, &draft->result);
    return status;
}

hsched_status hsi_onnx_fold_scatter_nd(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *in[3];
    tuples t;
    hsi_onnx_draft *draft;
    hsched_status status = inputs(im, node, 3, in);
    if (!status)
        status = tuples_of(node, in[0], in[1], 0, &t);
    if (!status && (in[2]->count != t.count * t.block))
        status = hsi_onnx_malformed(node, "its updates do not fit its indices");
    if (!status)
        status = copy_of(im, node, in, &draft);
    if (status || !draft)
        return status;
    for (size_t n = 0; n < t.count; n++) {
        size_t to;
        status = block_at(node, &t, n, &to);
        if (status)
            return status;
        hsi_onnx_copy_elements(draft, to, in[2], n * t.block, t.block);
    }
    hsi_onnx_set_constant(im, node, 0, &draft->result);
    return HSCHED_OK;
}

/* ---- Compress ---------------------------------------------------------------- */

hsched_status hsi_onnx_true_places(hsi_onnx_import *im, const hsi_onnx_node *node,
                                   int64_t size, const hsi_onnx_constant **places)
{
    const hsi_onnx_constant *c = hsi_onnx_constant_input(im, node, 1);
    int64_t count = 0, at = 0;
    hsi_onnx_draft *draft;
    if (c->dtype != HSCHED_BOOL || c->rank != 1 || c->dims[0] > size)
        return hsi_onnx_malformed(node, "its condition of shape %s does not fit %lld",
                                  hsi_shape_text(c->rank, c->dims), (long long)size);
    for (size_t k = 0; k < c->count; k++) {
        if (c->tags)
            hsi_onnx_pin(im, c->tags[k]);
        count += hsi_onnx_get_int(c, k) != 0;
    }
    hsched_status status =
        hsi_onnx_draft_make(im, node, HSCHED_INT64, 1, &count, 0, &draft);
    if (status)
        return status;
    for (size_t k = 0; k < c->count; k++)
        if (hsi_onnx_get_int(c, k) != 0)
            hsi_onnx_put_int(draft, (size_t)at++, (int64_t)k);
    *places = &draft->result;
    return HSCHED_OK;
}

hsched_status hsi_onnx_fold_compress(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *x = hsi_onnx_constant_input(im, node, 0), *places;
    int64_t given, dims[HSCHED_MAX_DIMS], inner = 1, size;
    uint32_t axis = 0;
    const int along = hsi_onnx_attr(node, "axis") != NULL;
    hsi_onnx_draft *draft;
    if (!x || !hsi_onnx_constant_input(im, node, 1))
        return hsi_onnx_malformed(node, "an input is missing");
    hsched_status status = hsi_onnx_attr_int(node, "axis", 0, &given);
    if (!status && along)
        status = hsi_onnx_axis(node, given, x->rank, x->rank, &axis);
    if (status)
        return status;
    size = along ? x->dims[axis] : (int64_t)x->count;
    for (uint32_t k = axis + 1; along && k < x->rank; k++)
        inner *= x->dims[k];
    status = hsi_onnx_true_places(im, node, size, &places);
    if (status)
        return status;
    memcpy(dims, x->dims, sizeof dims);
    dims[axis] = places->dims[0];
    status = hsi_onnx_draft_make(im, node, x->dtype, along ? x->rank : 1, dims,
                                 x->tags != NULL, &draft);
    for (size_t i = 0; !status && i < draft->result.count; i += (size_t)inner) {
        const size_t n = i / (size_t)inner, kept = places->count;
        const size_t from =
            n / kept * (size_t)size + (size_t)hsi_onnx_get_int(places, n % kept);
        hsi_onnx_copy_elements(draft, i, x, from * (size_t)inner, (size_t)inner);
    }
    if (!status)
        hsi_onnx_set_constant(im, node, 0, &draft->result);
    return status;
}

/* ---- Triangles and diagonals ------------------------------------------------- */

hsched_status hsi_onnx_fold_trilu(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *x = hsi_onnx_constant_input(im, node, 0);
    const hsi_onnx_constant *k = hsi_onnx_constant_input(im, node, 1);
    int64_t upper;
    hsi_onnx_draft *draft;
    hsched_status status = hsi_onnx_attr_int(node, "upper", 1, &upper);
    if (!status && (!x || x->rank < 2 || (k && k->count != 1)))
        status = hsi_onnx_malformed(node, "its inputs do not fit");
    if (!status)
        status = hsi_onnx_draft_make(im, node, x->dtype, x->rank, x->dims,
                                     x->tags != NULL, &draft);
    if (status)
        return status;
    if (k && k->tags)
        hsi_onnx_pin(im, k->tags[0]);
    const int64_t diagonal = k ? hsi_onnx_get_int(k, 0) : 0;
    const size_t rows = (size_t)x->dims[x->rank - 2], cols = (size_t)x->dims[x->rank - 1];
    for (size_t i = 0; i < x->count; i++) { /* the draft is zeros */
        const int64_t right = (int64_t)(i % cols) - (int64_t)(i / cols % rows);
        if (upper ? right >= diagonal : right <= diagonal)
            hsi_onnx_copy_elements(draft, i, x, i, 1);
    }
    hsi_onnx_set_constant(im, node, 0, &draft->result);
    return HSCHED_OK;
}

/* Only the shape of the input counts, and its type where none is given. */
hsched_status hsi_onnx_fold_eye_like(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *c = hsi_onnx_constant_input(im, node, 0);
    int64_t diagonal, given, dims[HSCHED_MAX_DIMS];
    uint32_t rank;
    hsched_dtype dtype;
    if (!hsi_onnx_has_input(node, 0))
        return hsi_onnx_malformed(node, "its input is missing");
    if (c) {
        rank = c->rank;
        dtype = c->dtype;
        memcpy(dims, c->dims, sizeof c->dims);
    } else {
        const hsched_tensor x = im->states[node->inputs[0]].tensor;
        rank = hsi_onnx_rank(im, x);
        dtype = im->graph->tensors[x].dtype;
        hsi_onnx_dims(im, x, dims);
        for (uint32_t k = 0; k < rank; k++)
            hsi_onnx_pin(im, hsi_onnx_dim_tag(im, x, k));
    }
    hsched_status status = hsi_onnx_attr_int(node, "k", 0, &diagonal);
    if (!status)
        status = hsi_onnx_attr_int(node, "dtype", 0, &given);
    if (status)
        return status;
    if (given)
        dtype =
            given > 0 && given < 64 ? hsi_onnx_dtype((int32_t)given) : HSCHED_DTYPE_NONE;
    if (dtype == HSCHED_DTYPE_NONE)
        return hsi_onnx_unsupported(im, node, "its type");
    if (rank != 2)
        return hsi_onnx_malformed(node, "its input has %u dimensions, not 2", rank);
    hsi_onnx_draft *draft;
    status = hsi_onnx_draft_make(im, node, dtype, 2, dims, 0, &draft);
    if (status)
        return status;
    for (size_t i = 0; i < draft->result.count; i++)
        hsi_onnx_put_int(
            draft, i,
            (int64_t)(i % (size_t)dims[1]) - (int64_t)(i / (size_t)dims[1]) == diagonal);
    hsi_onnx_set_constant(im, node, 0, &draft->result);
    return HSCHED_OK;
}
