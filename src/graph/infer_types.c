/* Shapes of the layers that take tensors of several types. */
#include "graph/infer.h"

/* x -> x's shape, of the type that was asked for */
hsched_status hsi_infer_cast(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0);
    hsched_dtype to = f->attrs->cast;
    if (hsched_dtype_size(to) == 0)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "type %d is not known; use HSCHED_FLOAT32 or another hsched_dtype", (int)to);
    hsi_infer_set(f, to, x->rank, x->dims);
    return HSCHED_OK;
}

/* condition, a, b -> the shape that all three broadcast to */
hsched_status hsi_infer_where(hsi_infer *f)
{
    const hsi_graph_tensor *condition = hsi_infer_input(f, 0);
    const hsi_graph_tensor *a = hsi_infer_input(f, 1), *b = hsi_infer_input(f, 2);
    uint32_t rank, most;
    int64_t pair[HSCHED_MAX_DIMS], dims[HSCHED_MAX_DIMS];
    if (condition->dtype != HSCHED_BOOL)
        return hsi_error(HSCHED_ERROR_SHAPE,
                         "the condition " HSI_TENSOR_FMT
                         " is %s and must be bool; cast it",
                         HSI_TENSOR_ARGS(condition), hsched_dtype_name(condition->dtype));
    if (a->dtype != b->dtype)
        return hsi_error(HSCHED_ERROR_SHAPE,
                         "a " HSI_TENSOR_FMT " is %s and b " HSI_TENSOR_FMT
                         " is %s; cast one of them to the other's type",
                         HSI_TENSOR_ARGS(a), hsched_dtype_name(a->dtype),
                         HSI_TENSOR_ARGS(b), hsched_dtype_name(b->dtype));
    if (!hsi_infer_broadcast(a->rank, a->dims, b->rank, b->dims, &rank, pair) ||
        !hsi_infer_broadcast(condition->rank, condition->dims, rank, pair, &most, dims))
        return hsi_error(
            HSCHED_ERROR_SHAPE,
            "the condition " HSI_TENSOR_FMT ", a " HSI_TENSOR_FMT " and b " HSI_TENSOR_FMT
            " do not broadcast: aligned at the end, their dimensions must "
            "be equal or 1; reshape one of them",
            HSI_TENSOR_ARGS(condition), HSI_TENSOR_ARGS(a), HSI_TENSOR_ARGS(b));
    hsi_infer_set(f, a->dtype, most, dims);
    return HSCHED_OK;
}
