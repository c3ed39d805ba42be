/* Shapes of what is picked by indices. */
#include "graph/infer.h"

#include <string.h>

/* x, indices of a type that is one, and the axis. */
static hsched_status begin(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0), *indices = hsi_infer_input(f, 1);
    int64_t axis = 0;
    if (indices->dtype != HSCHED_INT64 && indices->dtype != HSCHED_INT32)
        return hsi_error(HSCHED_ERROR_SHAPE,
                         "indices " HSI_TENSOR_FMT
                         " is %s, and indices are int64 or int32; cast it",
                         HSI_TENSOR_ARGS(indices), hsched_dtype_name(indices->dtype));
    hsched_status status = hsi_resolve_axis(f->given->softmax.axis, x->rank, &axis);
    if (status != HSCHED_OK)
        return hsi_error_prefix(status, "x " HSI_TENSOR_FMT ": ", HSI_TENSOR_ARGS(x));
    f->attrs->softmax.axis = (int)axis;
    return HSCHED_OK;
}

/* x [A,B,C], indices [M,N], axis 1 -> [A,M,N,C] */
hsched_status hsi_infer_gather(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0), *indices = hsi_infer_input(f, 1);
    int64_t dims[HSCHED_MAX_DIMS];
    hsched_status status = begin(f);
    if (status != HSCHED_OK)
        return status;
    const uint32_t axis = (uint32_t)f->attrs->softmax.axis, more = indices->rank;
    if (x->rank - 1 + more > HSCHED_MAX_DIMS)
        return hsi_error(
            HSCHED_ERROR_LIMIT,
            "the result has %u dimensions, more than %d; flatten the indices",
            x->rank - 1 + more, HSCHED_MAX_DIMS);
    memcpy(dims, x->dims, axis * sizeof *dims);
    memcpy(dims + axis, indices->dims, more * sizeof *dims);
    memcpy(dims + axis + more, x->dims + axis + 1, (x->rank - axis - 1) * sizeof *dims);
    hsi_infer_set(f, x->dtype, x->rank - 1 + more, dims);
    return HSCHED_OK;
}

/* x [A,B,C], indices [D,E,F], axis 1 -> [D,E,F], D <= A, F <= C */
hsched_status hsi_infer_gather_elements(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0), *indices = hsi_infer_input(f, 1);
    hsched_status status = begin(f);
    if (status != HSCHED_OK)
        return status;
    int fits = x->rank == indices->rank;
    for (uint32_t d = 0; fits && d < x->rank; d++)
        fits = (int)d == f->attrs->softmax.axis || indices->dims[d] <= x->dims[d];
    if (!fits)
        return hsi_error(HSCHED_ERROR_SHAPE,
                         "indices " HSI_TENSOR_FMT " do not lie within x " HSI_TENSOR_FMT
                         "; give as many dimensions, none larger but that of the axis",
                         HSI_TENSOR_ARGS(indices), HSI_TENSOR_ARGS(x));
    hsi_infer_set(f, x->dtype, indices->rank, indices->dims);
    return HSCHED_OK;
}
