#include "graph/infer.h"

#include <string.h>

#include "base/element.h"

static const char *const kind_names[HSI_LAYER_KINDS] = {
#define KIND_NAME(name, text) [HSI_LAYER_##name] = text,
    HSI_LAYER_LIST(KIND_NAME)
#undef KIND_NAME
};

static hsched_status (*const infer_functions[HSI_LAYER_KINDS])(hsi_infer *f) = {
    [HSI_LAYER_CONV2D] = hsi_infer_conv2d,
    [HSI_LAYER_FULLY_CONNECTED] = hsi_infer_fully_connected,
    [HSI_LAYER_MATMUL] = hsi_infer_matmul,
    [HSI_LAYER_POOL2D] = hsi_infer_pool2d,
    [HSI_LAYER_GLOBAL_POOL] = hsi_infer_global_pool,
    [HSI_LAYER_BATCH_NORM] = hsi_infer_batch_norm,
    [HSI_LAYER_LRN] = hsi_infer_lrn,
    [HSI_LAYER_SOFTMAX] = hsi_infer_softmax,
    [HSI_LAYER_NORM] = hsi_infer_norm,
    [HSI_LAYER_ACTIVATION] = hsi_infer_activation,
    [HSI_LAYER_BINARY] = hsi_infer_binary,
    [HSI_LAYER_CONCAT] = hsi_infer_concat,
    [HSI_LAYER_SLICE] = hsi_infer_slice,
    [HSI_LAYER_PAD] = hsi_infer_pad,
    [HSI_LAYER_RESHAPE] = hsi_infer_reshape,
    [HSI_LAYER_FLATTEN] = hsi_infer_flatten,
    [HSI_LAYER_SQUEEZE] = hsi_infer_squeeze,
    [HSI_LAYER_UNSQUEEZE] = hsi_infer_unsqueeze,
    [HSI_LAYER_TRANSPOSE] = hsi_infer_transpose,
    [HSI_LAYER_REDUCE] = hsi_infer_reduce,
    [HSI_LAYER_CONV] = hsi_infer_conv,
    [HSI_LAYER_POOL] = hsi_infer_pool,
    [HSI_LAYER_CONV_TRANSPOSE] = hsi_infer_conv_transpose,
    [HSI_LAYER_RESIZE] = hsi_infer_resize,
    [HSI_LAYER_RECURRENT] = hsi_infer_recurrent,
    [HSI_LAYER_CAST] = hsi_infer_cast,
    [HSI_LAYER_WHERE] = hsi_infer_where,
    [HSI_LAYER_EXPAND] = hsi_infer_expand,
    [HSI_LAYER_GATHER] = hsi_infer_gather,
    [HSI_LAYER_GATHER_ELEMENTS] = hsi_infer_gather_elements,
    [HSI_LAYER_GATHER_ND] = hsi_infer_gather_nd,
    [HSI_LAYER_SCATTER_ELEMENTS] = hsi_infer_scatter_elements,
    [HSI_LAYER_SCATTER_ND] = hsi_infer_scatter_nd,
    [HSI_LAYER_ARG] = hsi_infer_arg,
    [HSI_LAYER_TOP_K] = hsi_infer_top_k,
    [HSI_LAYER_CUMSUM] = hsi_infer_cumsum,
    [HSI_LAYER_GRID_SAMPLE] = hsi_infer_grid_sample,
    [HSI_LAYER_ROI_ALIGN] = hsi_infer_roi_align,
    [HSI_LAYER_MAX_POOL_INDICES] = hsi_infer_max_pool_indices,
    [HSI_LAYER_NMS] = hsi_infer_nms,
    [HSI_LAYER_IMAGE_INPUT] = hsi_infer_image_input,
};

const char *hsi_layer_kind_name(hsi_layer_kind kind)
{
    return (unsigned)kind < HSI_LAYER_KINDS ? kind_names[kind] : "unknown";
}

const char *hsi_input_role(hsi_layer_kind kind, uint32_t place)
{
    static const char *const weighted[] = { "x", "weights", "bias" };
    static const char *const norm[] = { "x", "scale", "shift", "mean", "variance" };
    static const char *const own[] = { "x", "scale", "bias" };
    static const char *const pair[] = { "a", "b" };
    static const char *const recurrent[] = { "x",        "weights", "recurrent weights",
                                             "bias",     "lengths", "initial h",
                                             "initial c" };
    static const char *const scatter[] = { "x", "indices", "updates" };
    static const char *const choice[] = { "condition", "a", "b" };
    static const char *const sampled[] = { "x", "grid" };
    static const char *const regions[] = { "x", "regions", "images" };
    static const char *const scored[] = { "boxes", "scores" };
    switch (kind) {
    case HSI_LAYER_CONV2D:
    case HSI_LAYER_CONV:
    case HSI_LAYER_CONV_TRANSPOSE:
    case HSI_LAYER_FULLY_CONNECTED:
        return place < 3 ? weighted[place] : "input";
    case HSI_LAYER_BATCH_NORM:
        return place < 5 ? norm[place] : "input";
    case HSI_LAYER_NORM:
        return place < 3 ? own[place] : "input";
    case HSI_LAYER_MATMUL:
    case HSI_LAYER_BINARY:
        return place < 2 ? pair[place] : "input";
    case HSI_LAYER_RECURRENT:
        return place < 7 ? recurrent[place] : "input";
    case HSI_LAYER_GATHER:
    case HSI_LAYER_GATHER_ELEMENTS:
    case HSI_LAYER_GATHER_ND:
    case HSI_LAYER_SCATTER_ELEMENTS:
    case HSI_LAYER_SCATTER_ND:
        return place < 3 ? scatter[place] : "input";
    case HSI_LAYER_GRID_SAMPLE:
        return place < 2 ? sampled[place] : "input";
    case HSI_LAYER_NMS:
        return place < 2 ? scored[place] : "input";
    case HSI_LAYER_ROI_ALIGN:
        return place < 3 ? regions[place] : "input";
    case HSI_LAYER_WHERE:
        return place < 3 ? choice[place] : "input";
    case HSI_LAYER_CONCAT:
        return "input";
    default:
        return "x";
    }
}

int hsi_input_optional(hsi_layer_kind kind, uint32_t place)
{
    if (kind == HSI_LAYER_RECURRENT)
        return place >= 3;
    if (kind == HSI_LAYER_NORM)
        return place >= 1;
    return place == 2 && (kind == HSI_LAYER_CONV2D || kind == HSI_LAYER_FULLY_CONNECTED ||
                          kind == HSI_LAYER_CONV || kind == HSI_LAYER_CONV_TRANSPOSE);
}

hsched_status hsi_resolve_dim(const hsi_symbol *symbols, uint32_t symbol_count,
                              int64_t dim, int64_t *value, uint32_t *symbol)
{
    *symbol = HSI_NO_INDEX;
    if (dim >= 1) {
        *value = dim;
        return HSCHED_OK;
    }
    if (dim == 0)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "a dimension is 0, so that the tensor would be empty; "
                         "give a size of at least 1 or a symbol's code");
    if (!HSI_IS_SYMBOL_CODE(dim))
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "a dimension is -1, but nothing tells its size here; give a size of "
            "at least 1 or a code from hsched_graph_set_symbol");
    /* Compared as 64-bit values: HSI_SYMBOL_INDEX narrows. */
    if (dim <= HSI_SYMBOL_CODE(symbol_count))
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "dimension %lld is neither a size nor the code of one of the "
                         "graph's %u symbols; take codes from hsched_graph_set_symbol",
                         (long long)dim, symbol_count);
    *symbol = HSI_SYMBOL_INDEX(dim);
    *value = symbols[*symbol].value;
    return HSCHED_OK;
}

hsched_status hsi_check_size(hsched_dtype dtype, uint32_t rank, const int64_t *dims)
{
    size_t bytes;
    if (!hsi_byte_size(dtype, rank, dims, &bytes) || bytes > PTRDIFF_MAX)
        return hsi_error(
            HSCHED_ERROR_LIMIT,
            "a %s tensor of shape %s has more bytes than memory has addresses; "
            "use smaller dimensions",
            hsched_dtype_name(dtype), hsi_shape_text(rank, dims));
    return HSCHED_OK;
}

static int is_float(hsched_dtype dtype)
{
    return dtype == HSCHED_FLOAT32 || hsi_is_narrow_float(dtype);
}

hsched_status hsi_expect_float32(const hsi_graph_tensor *t, const char *role)
{
    if (is_float(t->dtype))
        return HSCHED_OK;
    if (t->dtype == HSCHED_FLOAT64)
        return hsi_error(HSCHED_ERROR_SHAPE,
                         "%s " HSI_TENSOR_FMT
                         " is float64, but this layer computes on float32; convert the "
                         "model to float32, or cast this tensor",
                         role, HSI_TENSOR_ARGS(t));
    return hsi_error(HSCHED_ERROR_SHAPE,
                     "%s " HSI_TENSOR_FMT
                     " is %s, but this layer computes on float32; give "
                     "a float32, float16 or bfloat16 tensor",
                     role, HSI_TENSOR_ARGS(t), hsched_dtype_name(t->dtype));
}

hsched_status hsi_expect_real(const hsi_graph_tensor *t, const char *role)
{
    return t->dtype == HSCHED_FLOAT64 ? HSCHED_OK : hsi_expect_float32(t, role);
}

hsched_status hsi_expect_constant(const hsi_graph_tensor *t, const char *role)
{
    if (t->data)
        return HSCHED_OK;
    return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                     "%s " HSI_TENSOR_FMT " is not a constant; make it with "
                     "hsched_graph_add_constant",
                     role, HSI_TENSOR_ARGS(t));
}

hsched_status hsi_expect_rank(const hsi_graph_tensor *t, const char *role, uint32_t rank,
                              const char *form)
{
    if (t->rank == rank)
        return HSCHED_OK;
    return hsi_error(HSCHED_ERROR_SHAPE,
                     "%s " HSI_TENSOR_FMT
                     " has %u dimensions and must have %u, %s; reshape "
                     "it or give another tensor",
                     role, HSI_TENSOR_ARGS(t), t->rank, rank, form);
}

hsched_status hsi_expect_rank_min(const hsi_graph_tensor *t, const char *role,
                                  uint32_t rank, const char *form)
{
    if (t->rank >= rank)
        return HSCHED_OK;
    return hsi_error(HSCHED_ERROR_SHAPE,
                     "%s " HSI_TENSOR_FMT
                     " has %u dimensions and must have at least %u, %s; "
                     "reshape it or give another tensor",
                     role, HSI_TENSOR_ARGS(t), t->rank, rank, form);
}

hsched_status hsi_expect_per_channel(const hsi_graph_tensor *t, const char *role,
                                     int64_t size, const char *why)
{
    hsched_status status = hsi_expect_float32(t, role);
    return status == HSCHED_OK ? hsi_expect_length(t, role, size, why) : status;
}

hsched_status hsi_expect_length(const hsi_graph_tensor *t, const char *role, int64_t size,
                                const char *why)
{
    if (t->rank == 1 && t->dims[0] == size)
        return HSCHED_OK;
    return hsi_error(HSCHED_ERROR_SHAPE,
                     "%s " HSI_TENSOR_FMT
                     " must be of shape [%lld], %s; give a tensor of "
                     "that shape",
                     role, HSI_TENSOR_ARGS(t), (long long)size, why);
}

hsched_status hsi_expect_vector(const hsi_graph_tensor *t, const char *role, int64_t size,
                                const char *why)
{
    hsched_status status = hsi_expect_constant(t, role);
    return status == HSCHED_OK ? hsi_expect_per_channel(t, role, size, why) : status;
}

hsched_status hsi_resolve_axis(int64_t axis, uint32_t rank, int64_t *resolved)
{
    if (rank == 0)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "axis %lld was given for a tensor without dimensions; reshape the "
            "tensor first",
            (long long)axis);
    if (axis < -(int64_t)rank || axis >= (int64_t)rank)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "axis %lld is outside -%u..%u, the axes of a tensor of %u dimensions; "
            "choose one of them",
            (long long)axis, rank, rank - 1, rank);
    *resolved = axis < 0 ? axis + rank : axis;
    return HSCHED_OK;
}

hsched_status hsi_resolve_axes(int64_t *axes, uint32_t count, uint32_t rank)
{
    unsigned seen = 0;
    for (uint32_t i = 0; i < count; i++) {
        int64_t axis = 0;
        hsched_status status = hsi_resolve_axis(axes[i], rank, &axis);
        if (status != HSCHED_OK)
            return status;
        if (seen & 1u << axis)
            return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                             "axis %lld (given as %lld) is named twice; name it once",
                             (long long)axis, (long long)axes[i]);
        seen |= 1u << axis;
    }
    for (uint32_t axis = 0, next = 0; axis < rank; axis++)
        if (seen & 1u << axis)
            axes[next++] = axis;
    return HSCHED_OK;
}

void hsi_infer_set(hsi_infer *f, hsched_dtype dtype, uint32_t rank, const int64_t *dims)
{
    f->dtype = dtype;
    f->rank = rank;
    for (uint32_t i = 0; i < HSCHED_MAX_DIMS; i++)
        f->dims[i] = i < rank ? dims[i] : 0;
}

/* Layers that compute on float32 take float16 and bfloat16, too, and some float64: all such
 * inputs are of one type, and what would be float32 is of that type. */
static hsched_status infer_float_type(hsi_infer *f)
{
    const hsi_graph_tensor *first = NULL;
    for (uint32_t i = 0; i < f->input_count; i++) {
        const hsi_graph_tensor *t = hsi_infer_input(f, i);
        if (t == NULL || (!is_float(t->dtype) && t->dtype != HSCHED_FLOAT64))
            continue;
        if (first == NULL)
            first = t;
        if (t->dtype != first->dtype)
            return hsi_error(HSCHED_ERROR_SHAPE,
                             HSI_TENSOR_FMT
                             " is %s and " HSI_TENSOR_FMT
                             " is %s; cast one of them to the other's type",
                             HSI_TENSOR_ARGS(first), hsched_dtype_name(first->dtype),
                             HSI_TENSOR_ARGS(t), hsched_dtype_name(t->dtype));
    }
    if (first != NULL && f->dtype == HSCHED_FLOAT32)
        f->dtype = first->dtype;
    return HSCHED_OK;
}

hsched_status hsi_infer_layer(hsi_layer_kind kind, hsi_infer *f)
{
    *f->attrs = *f->given;
    hsched_status status = infer_functions[kind](f);
    if (status == HSCHED_OK && kind != HSI_LAYER_CAST)
        status = infer_float_type(f);
    return status == HSCHED_OK ? hsi_check_size(f->dtype, f->rank, f->dims) : status;
}
