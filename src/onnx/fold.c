/* Constants that are being computed: elements, copies, broadcasting. */
#include "onnx/fold.h"

#include <string.h>

#include "base/checked.h"
#include "base/element.h"
#include "base/status.h"
#include "base/tensor.h"

hsched_status hsi_onnx_draft_make(hsi_onnx_import *im, const hsi_onnx_node *node,
                                  hsched_dtype dtype, uint32_t rank, const int64_t *dims,
                                  int with_tags, hsi_onnx_draft **draft)
{
    hsi_onnx_constant c = { .dtype = dtype, .rank = rank };
    *draft = NULL;
    if (rank > HSCHED_MAX_DIMS)
        return hsi_onnx_unsupported(im, node, "more than %d dimensions", HSCHED_MAX_DIMS);
    if (rank)
        memcpy(c.dims, dims, rank * sizeof *dims);
    uint64_t most = im->model->max_bytes;
    if (!hsi_onnx_check_shape(&c) || c.size > most - im->folded_bytes)
        return hsi_error(HSCHED_ERROR_LIMIT,
                         "node '%.128s' (%.64s): the constant %s it computes exceeds "
                         "hsched_onnx_config.max_bytes, %llu bytes for all of them",
                         node->label, node->op, hsi_shape_text(rank, c.dims),
                         (unsigned long long)most);
    im->folded_bytes += c.size;
    hsi_onnx_draft *made = HSI_ONNX_NEW(&im->arena, hsi_onnx_draft);
    if (!made)
        return hsi_onnx_no_memory(im, node);
    made->data = hsi_onnx_alloc(&im->arena, c.size, 1);
    if (with_tags)
        made->tags = HSI_ONNX_NEW_ARRAY(&im->arena, uint64_t, c.count);
    if (!made->data || (with_tags && !made->tags))
        return hsi_onnx_no_memory(im, node);
    made->result = c;
    made->result.data = made->data;
    made->result.tags = made->tags;
    *draft = made;
    return HSCHED_OK;
}

/* ---- Elements. Data of a file may be unaligned: hence memcpy. ------------- */

#define LOAD(type)                                                                       \
    type v;                                                                              \
    memcpy(&v, (const char *)c->data + i * sizeof v, sizeof v)

int64_t hsi_onnx_get_int(const hsi_onnx_constant *c, size_t i)
{
    switch (c->dtype) {
    case HSCHED_INT64: {
        LOAD(int64_t);
        return v;
    }
    case HSCHED_INT32: {
        LOAD(int32_t);
        return v;
    }
    case HSCHED_INT8:
        return ((const int8_t *)c->data)[i];
    case HSCHED_UINT8:
        return ((const uint8_t *)c->data)[i];
    case HSCHED_BOOL:
        return ((const uint8_t *)c->data)[i] != 0;
    default:
        return hsi_int64_of_double(hsi_onnx_get_float(c, i));
    }
}

double hsi_onnx_get_float(const hsi_onnx_constant *c, size_t i)
{
    switch (c->dtype) {
    case HSCHED_FLOAT32: {
        LOAD(float);
        return (double)v;
    }
    case HSCHED_FLOAT64: {
        LOAD(double);
        return v;
    }
    case HSCHED_FLOAT16: {
        LOAD(uint16_t);
        return (double)hsi_float_of_half(v);
    }
    case HSCHED_BFLOAT16: {
        LOAD(uint16_t);
        return (double)hsi_float_of_bfloat(v);
    }
    default:
        return (double)hsi_onnx_get_int(c, i);
    }
}

void hsi_onnx_put_int(hsi_onnx_draft *draft, size_t i, int64_t value)
{
    switch (draft->result.dtype) {
    case HSCHED_INT64:
        ((int64_t *)draft->data)[i] = value;
        break;
    case HSCHED_INT32:
        ((int32_t *)draft->data)[i] = (int32_t)(uint32_t)(uint64_t)value;
        break;
    case HSCHED_INT8:
    case HSCHED_UINT8:
        ((uint8_t *)draft->data)[i] = (uint8_t)(uint64_t)value;
        break;
    case HSCHED_BOOL:
        ((uint8_t *)draft->data)[i] = value != 0;
        break;
    default:
        hsi_onnx_put_float(draft, i, (double)value);
    }
}

void hsi_onnx_put_float(hsi_onnx_draft *draft, size_t i, double value)
{
    switch (draft->result.dtype) {
    case HSCHED_FLOAT32:
        ((float *)draft->data)[i] = (float)value;
        break;
    case HSCHED_FLOAT64:
        ((double *)draft->data)[i] = value;
        break;
    case HSCHED_FLOAT16:
        ((uint16_t *)draft->data)[i] = hsi_half_of_double(value);
        break;
    case HSCHED_BFLOAT16:
        ((uint16_t *)draft->data)[i] = hsi_bfloat_of_double(value);
        break;
    case HSCHED_INT32:
        ((int32_t *)draft->data)[i] = hsi_int32_of_double(value);
        break;
    case HSCHED_INT8:
        ((int8_t *)draft->data)[i] = hsi_int8_of_double(value);
        break;
    case HSCHED_UINT8:
        ((uint8_t *)draft->data)[i] = hsi_uint8_of_double(value);
        break;
    case HSCHED_BOOL:
        ((uint8_t *)draft->data)[i] = value != 0;
        break;
    default:
        hsi_onnx_put_int(draft, i, hsi_int64_of_double(value));
    }
}

int hsi_onnx_is_float(hsched_dtype dtype)
{
    return dtype == HSCHED_FLOAT32 || dtype == HSCHED_FLOAT64 ||
           hsi_is_narrow_float(dtype);
}

int hsi_onnx_can_make(hsched_dtype dtype)
{
    return dtype != HSCHED_DTYPE_NONE;
}

/* ---- Copies --------------------------------------------------------------- */

void hsi_onnx_copy_elements(hsi_onnx_draft *to, size_t at, const hsi_onnx_constant *from,
                            size_t from_at, size_t count)
{
    size_t width = hsched_dtype_size(from->dtype);
    if (count == 0)
        return;
    memcpy((char *)to->data + at * width, (const char *)from->data + from_at * width,
           count * width);
    if (to->tags && from->tags)
        memcpy(to->tags + at, from->tags + from_at, count * sizeof *to->tags);
}

void hsi_onnx_copy_strided(hsi_onnx_draft *to, const hsi_onnx_constant *from,
                           int64_t offset, const int64_t *strides)
{
    int64_t index[HSCHED_MAX_DIMS] = { 0 }, at = offset;
    uint32_t rank = to->result.rank;
    for (size_t i = 0; i < to->result.count; i++) {
        hsi_onnx_copy_elements(to, i, from, (size_t)at, 1);
        for (uint32_t k = rank; k-- > 0;) {
            at += strides[k];
            if (++index[k] < to->result.dims[k])
                break;
            at -= strides[k] * index[k];
            index[k] = 0;
        }
    }
}

hsched_status hsi_onnx_reshaped(hsi_onnx_import *im, const hsi_onnx_node *node,
                                const hsi_onnx_constant *c, uint32_t rank,
                                const int64_t *dims, const hsi_onnx_constant **result)
{
    hsi_onnx_constant reshaped = *c;
    *result = NULL;
    if (rank > HSCHED_MAX_DIMS)
        return hsi_onnx_unsupported(im, node, "more than %d dimensions", HSCHED_MAX_DIMS);
    reshaped.rank = rank;
    reshaped.dim_tags = NULL;
    memset(reshaped.dims, 0, sizeof reshaped.dims);
    if (rank)
        memcpy(reshaped.dims, dims, rank * sizeof *dims);
    if (!hsi_onnx_check_shape(&reshaped) || reshaped.count != c->count)
        return hsi_error(
            HSCHED_ERROR_SHAPE,
            "node '%.128s' (%.64s): %s cannot become %s; the numbers of elements differ",
            node->label, node->op, hsi_shape_text(c->rank, c->dims),
            hsi_shape_text(rank, dims));
    hsi_onnx_constant *made = HSI_ONNX_NEW(&im->arena, hsi_onnx_constant);
    if (!made)
        return hsi_onnx_no_memory(im, node);
    *made = reshaped;
    *result = made;
    return HSCHED_OK;
}

hsched_status hsi_onnx_cast(hsi_onnx_import *im, const hsi_onnx_node *node,
                            const hsi_onnx_constant *c, hsched_dtype dtype,
                            const hsi_onnx_constant **result)
{
    *result = c;
    if (dtype == c->dtype)
        return HSCHED_OK;
    hsi_onnx_draft *draft;
    hsched_status status =
        hsi_onnx_draft_make(im, node, dtype, c->rank, c->dims, c->tags != NULL, &draft);
    if (status)
        return status;
    for (size_t i = 0; i < c->count; i++) {
        if (hsi_onnx_is_float(c->dtype))
            hsi_onnx_put_float(draft, i, hsi_onnx_get_float(c, i));
        else
            hsi_onnx_put_int(draft, i, hsi_onnx_get_int(c, i));
    }
    if (c->tags && c->count)
        memcpy(draft->tags, c->tags, c->count * sizeof *c->tags);
    *result = &draft->result;
    return HSCHED_OK;
}

/* ---- Broadcasting --------------------------------------------------------- */

hsched_status hsi_onnx_broadcast(const hsi_onnx_node *node, const hsi_onnx_constant *a,
                                 const hsi_onnx_constant *b, uint32_t *rank,
                                 int64_t *dims)
{
    *rank = a->rank > b->rank ? a->rank : b->rank;
    for (uint32_t k = 0; k < *rank; k++) {
        int64_t da = k + a->rank < *rank ? 1 : a->dims[k + a->rank - *rank];
        int64_t db = k + b->rank < *rank ? 1 : b->dims[k + b->rank - *rank];
        if (da != db && da != 1 && db != 1)
            return hsi_error(HSCHED_ERROR_SHAPE,
                             "node '%.128s' (%.64s): shapes %s and %s do not broadcast",
                             node->label, node->op, hsi_shape_text(a->rank, a->dims),
                             hsi_shape_text(b->rank, b->dims));
        dims[k] = da == 1 ? db : da;
    }
    return HSCHED_OK;
}

void hsi_onnx_broadcast_strides(const hsi_onnx_constant *c, uint32_t rank,
                                const int64_t *dims, int64_t *strides)
{
    int64_t own[HSCHED_MAX_DIMS];
    hsi_dense_strides(c->rank, c->dims, own);
    for (uint32_t k = 0; k < rank; k++) {
        int missing = k + c->rank < rank;
        uint32_t at = k + c->rank - rank;
        strides[k] = missing || (c->dims[at] == 1 && dims[k] != 1) ? 0 : own[at];
    }
}
