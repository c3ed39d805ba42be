/* Shapes of what is found by comparing, or adding up, the elements along an axis. */
#include "graph/infer.h"

#include <string.h>

#include "base/element.h"

/* Types whose elements are in an order, and the axis. */
static hsched_status begin(const hsi_graph_tensor *x, int given, int *axis)
{
    int64_t resolved = 0;
    hsched_status status = hsi_is_integer(x->dtype) ? HSCHED_OK : hsi_expect_real(x, "x");
    if (status != HSCHED_OK)
        return status;
    status = hsi_resolve_axis(given, x->rank, &resolved);
    if (status != HSCHED_OK)
        return hsi_error_prefix(status, "x " HSI_TENSOR_FMT ": ", HSI_TENSOR_ARGS(x));
    *axis = (int)resolved;
    return HSCHED_OK;
}

/* x [A,B,C], axis 1 -> [A,1,C] or [A,C] */
hsched_status hsi_infer_arg(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0);
    const hsched_arg_kind kind = f->given->arg.kind;
    int64_t dims[HSCHED_MAX_DIMS];
    uint32_t rank = 0;
    if (kind != HSCHED_ARG_MAX && kind != HSCHED_ARG_MIN)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "arg kind %d is not known; use HSCHED_ARG_MAX or HSCHED_ARG_MIN",
                         (int)kind);
    hsched_status status = begin(x, f->given->arg.axis, &f->attrs->arg.axis);
    if (status != HSCHED_OK)
        return status;
    for (uint32_t d = 0; d < x->rank; d++)
        if ((int)d != f->attrs->arg.axis)
            dims[rank++] = x->dims[d];
        else if (f->attrs->arg.keep_dims)
            dims[rank++] = 1;
    hsi_infer_set(f, HSCHED_INT64, rank, dims);
    return HSCHED_OK;
}

/* x [A,B,C], axis 1 -> [A,k,C] */
hsched_status hsi_infer_top_k(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0);
    const int64_t k = f->given->top_k.k;
    hsched_status status = begin(x, f->given->top_k.axis, &f->attrs->top_k.axis);
    if (status != HSCHED_OK)
        return status;
    const int axis = f->attrs->top_k.axis;
    if (k < 1 || k > x->dims[axis])
        return hsi_error(HSCHED_ERROR_SHAPE,
                         "%lld elements are asked for of the %lld along axis %d of "
                         "x " HSI_TENSOR_FMT "; ask for 1 at least, and no more",
                         (long long)k, (long long)x->dims[axis], axis,
                         HSI_TENSOR_ARGS(x));
    hsi_infer_set(f, HSCHED_INT64, x->rank, x->dims);
    f->dims[axis] = k;
    return HSCHED_OK;
}

hsched_status hsi_infer_cumsum(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0);
    hsched_status status = HSCHED_OK;
    int64_t axis = 0;
    if (x->dtype != HSCHED_INT64 && x->dtype != HSCHED_INT32)
        status = hsi_expect_real(x, "x");
    if (status != HSCHED_OK)
        return status;
    status = hsi_resolve_axis(f->given->cumsum.axis, x->rank, &axis);
    if (status != HSCHED_OK)
        return hsi_error_prefix(status, "x " HSI_TENSOR_FMT ": ", HSI_TENSOR_ARGS(x));
    f->attrs->cumsum.axis = (int)axis;
    hsi_infer_same(f, x);
    return HSCHED_OK;
}
