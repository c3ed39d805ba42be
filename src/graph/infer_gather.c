/* Shapes of what is picked by indices. */
#include "graph/infer.h"

#include <string.h>

hsched_status hsi_expect_indices(const hsi_graph_tensor *indices)
{
    if (indices->dtype == HSCHED_INT64 || indices->dtype == HSCHED_INT32)
        return HSCHED_OK;
    return hsi_error(HSCHED_ERROR_SHAPE,
                     "indices " HSI_TENSOR_FMT
                     " is %s, and indices are int64 or int32; cast it",
                     HSI_TENSOR_ARGS(indices), hsched_dtype_name(indices->dtype));
}

/* x, indices of a type that is one, and the axis. */
static hsched_status begin(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0), *indices = hsi_infer_input(f, 1);
    int64_t axis = 0;
    hsched_status status = hsi_expect_indices(indices);
    if (status != HSCHED_OK)
        return status;
    status = hsi_resolve_axis(f->given->softmax.axis, x->rank, &axis);
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

/* x [A,B,C,D], indices [A,M,2], batch_dims 1 -> [A,M,D] */
hsched_status hsi_infer_gather_nd(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0), *indices = hsi_infer_input(f, 1);
    const int64_t batch = f->given->batch_dims, last = (int64_t)indices->rank - 1;
    hsched_status status = hsi_expect_indices(indices);
    if (status != HSCHED_OK)
        return status;
    int fits = batch >= 0 && batch <= last && batch < x->rank &&
               indices->dims[last] <= x->rank - batch;
    for (int64_t d = 0; fits && d < batch; d++)
        fits = x->dims[d] == indices->dims[d];
    if (!fits)
        return hsi_error(
            HSCHED_ERROR_SHAPE,
            "indices " HSI_TENSOR_FMT " do not name places in x " HSI_TENSOR_FMT
            ": the first %lld dimensions (batch_dims) must agree, and the "
            "last be at most the number of those of x behind them; reshape it",
            HSI_TENSOR_ARGS(indices), HSI_TENSOR_ARGS(x), (long long)batch);
    const uint32_t first = (uint32_t)(batch + indices->dims[last]);
    const uint32_t rank = (uint32_t)last + x->rank - first;
    if (rank > HSCHED_MAX_DIMS)
        return hsi_error(
            HSCHED_ERROR_LIMIT,
            "the result has %u dimensions, more than %d; flatten the indices", rank,
            HSCHED_MAX_DIMS);
    int64_t dims[HSCHED_MAX_DIMS];
    memcpy(dims, indices->dims, (size_t)last * sizeof *dims);
    memcpy(dims + last, x->dims + first, (x->rank - first) * sizeof *dims);
    hsi_infer_set(f, x->dtype, rank, dims);
    return HSCHED_OK;
}
