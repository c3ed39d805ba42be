/* Shapes of the layers that normalise by statistics of their input. */
#include "graph/infer.h"

#include <math.h>

/* Scale or bias of a layer: broadcast to x, which they do not enlarge. */
static hsched_status broadcasts(const hsi_graph_tensor *t, const char *role,
                                const hsi_graph_tensor *x)
{
    hsched_status status = hsi_expect_real(t, role);
    if (status != HSCHED_OK)
        return status;
    int fits = t->rank <= x->rank;
    for (uint32_t i = 0; fits && i < t->rank; i++)
        fits = t->dims[i] == 1 || t->dims[i] == x->dims[x->rank - t->rank + i];
    if (fits)
        return HSCHED_OK;
    return hsi_error(HSCHED_ERROR_SHAPE,
                     "%s " HSI_TENSOR_FMT " must broadcast to x " HSI_TENSOR_FMT
                     " and not enlarge it; give one of the normalised dimensions' shape",
                     role, HSI_TENSOR_ARGS(t), HSI_TENSOR_ARGS(x));
}

/* Of channels: [C], constant or not. */
static hsched_status of_channels(const hsi_graph_tensor *t, const char *role,
                                 const hsi_graph_tensor *x)
{
    hsched_status status = hsi_expect_real(t, role);
    if (status != HSCHED_OK || (t->rank == 1 && t->dims[0] == x->dims[1]))
        return status;
    return hsi_error(HSCHED_ERROR_SHAPE,
                     "%s " HSI_TENSOR_FMT
                     " must be of shape [%lld], one for each channel of x " HSI_TENSOR_FMT
                     "; give a tensor of that shape",
                     role, HSI_TENSOR_ARGS(t), (long long)x->dims[1], HSI_TENSOR_ARGS(x));
}

static hsched_status resolve(hsi_infer *f, const hsi_graph_tensor *x, int channels)
{
    int64_t axis = 0;
    const int64_t groups = f->given->norm.groups;
    hsched_status status;
    if (channels) {
        status = hsi_expect_rank_min(x, "x", 2, "[N,C,...]");
    } else {
        status = hsi_resolve_axis(f->given->norm.axis, x->rank, &axis);
        if (status != HSCHED_OK)
            return hsi_error_prefix(status, "x " HSI_TENSOR_FMT ": ", HSI_TENSOR_ARGS(x));
        f->attrs->norm.axis = (int)axis;
    }
    if (status == HSCHED_OK && f->given->norm.kind == HSI_NORM_GROUP &&
        (groups < 1 || x->dims[1] % groups != 0))
        return hsi_error(
            HSCHED_ERROR_SHAPE,
            "%lld groups do not divide the %lld channels of x " HSI_TENSOR_FMT
            "; give a number that does",
            (long long)groups, (long long)x->dims[1], HSI_TENSOR_ARGS(x));
    return status;
}

/* x -> x's shape */
hsched_status hsi_infer_norm(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0);
    const float epsilon = f->given->norm.epsilon;
    const int channels = f->given->norm.kind >= HSI_NORM_INSTANCE;
    hsched_status status = hsi_expect_real(x, "x");
    if (status == HSCHED_OK)
        status = resolve(f, x, channels);
    for (uint32_t i = 1; status == HSCHED_OK && i < 3; i++) {
        const hsi_graph_tensor *t = hsi_infer_input(f, i);
        if (t)
            status = (channels ? of_channels
                               : broadcasts)(t, hsi_input_role(HSI_LAYER_NORM, i), x);
    }
    if (status != HSCHED_OK)
        return status;
    if (!isfinite(epsilon) || epsilon < 0)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "epsilon is %g and must be finite and not negative; 1e-5 is usual",
            (double)epsilon);
    hsi_infer_same(f, x);
    return HSCHED_OK;
}
