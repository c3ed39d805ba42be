/* Shapes of what elements are put into by indices. */
#include "graph/infer.h"

#include "base/element.h"

/* The kind, x and updates of one type that it takes, and indices. */
static hsched_status begin(const hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0), *updates = hsi_infer_input(f, 2);
    const hsched_scatter_kind kind = f->given->scatter.kind;
    if (kind < HSCHED_SCATTER_SET || kind > HSCHED_SCATTER_MIN)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "scatter kind %d is not known; use one of the HSCHED_SCATTER_ values",
            (int)kind);
    if (updates->dtype != x->dtype)
        return hsi_error(HSCHED_ERROR_SHAPE,
                         "updates " HSI_TENSOR_FMT " is %s and x " HSI_TENSOR_FMT
                         " is %s, but they must be of one type; cast one of them",
                         HSI_TENSOR_ARGS(updates), hsched_dtype_name(updates->dtype),
                         HSI_TENSOR_ARGS(x), hsched_dtype_name(x->dtype));
    hsched_status status = HSCHED_OK;
    if (kind != HSCHED_SCATTER_SET && !hsi_is_integer(x->dtype))
        status = hsi_expect_real(x, "x");
    return status == HSCHED_OK ? hsi_expect_indices(hsi_infer_input(f, 1)) : status;
}

/* x [A,B,C], indices and updates [D,E,F], axis 1 -> [A,B,C], D <= A, F <= C */
hsched_status hsi_infer_scatter_elements(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0), *indices = hsi_infer_input(f, 1),
                           *updates = hsi_infer_input(f, 2);
    int64_t axis = 0;
    hsched_status status = begin(f);
    if (status != HSCHED_OK)
        return status;
    status = hsi_resolve_axis(f->given->scatter.axis, x->rank, &axis);
    if (status != HSCHED_OK)
        return hsi_error_prefix(status, "x " HSI_TENSOR_FMT ": ", HSI_TENSOR_ARGS(x));
    f->attrs->scatter.axis = (int)axis;
    int fits = x->rank == indices->rank && x->rank == updates->rank;
    for (uint32_t d = 0; fits && d < x->rank; d++)
        fits = indices->dims[d] == updates->dims[d] &&
               (d == axis || indices->dims[d] <= x->dims[d]);
    if (!fits)
        return hsi_error(HSCHED_ERROR_SHAPE,
                         "indices " HSI_TENSOR_FMT " do not lie within x " HSI_TENSOR_FMT
                         " or are not as many as updates " HSI_TENSOR_FMT
                         "; give as many dimensions, none larger but that of the axis",
                         HSI_TENSOR_ARGS(indices), HSI_TENSOR_ARGS(x),
                         HSI_TENSOR_ARGS(updates));
    hsi_infer_same(f, x);
    return HSCHED_OK;
}

/* x [A,B,C], indices [M,2], updates [M,C] -> [A,B,C] */
hsched_status hsi_infer_scatter_nd(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0), *indices = hsi_infer_input(f, 1),
                           *updates = hsi_infer_input(f, 2);
    hsched_status status = begin(f);
    if (status != HSCHED_OK)
        return status;
    const uint32_t last = indices->rank - 1; /* of a scalar: refused below */
    int fits = indices->rank > 0 && indices->dims[last] <= x->rank;
    const uint32_t first = fits ? (uint32_t)indices->dims[last] : 0;
    fits = fits && updates->rank == last + x->rank - first;
    for (uint32_t d = 0; fits && d < updates->rank; d++)
        fits =
            updates->dims[d] == (d < last ? indices->dims[d] : x->dims[first + d - last]);
    if (!fits)
        return hsi_error(
            HSCHED_ERROR_SHAPE,
            "updates " HSI_TENSOR_FMT " are not what indices " HSI_TENSOR_FMT
            " name in x " HSI_TENSOR_FMT
            ": the last dimension of the indices is how many of x's they are "
            "about, and the updates have the others of both; reshape them",
            HSI_TENSOR_ARGS(updates), HSI_TENSOR_ARGS(indices), HSI_TENSOR_ARGS(x));
    hsi_infer_same(f, x);
    return HSCHED_OK;
}
