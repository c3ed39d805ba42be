/* Shapes of the layers that compute, without a window. */
#include "graph/infer.h"

#include <math.h>

#include "base/element.h"

/* x [M,...] taken as [M,K], weights [O,K], bias [O] -> [M,O] */
hsched_status hsi_infer_fully_connected(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0), *weights = hsi_infer_input(f, 1),
                           *bias = hsi_infer_input(f, 2);
    hsched_status status = hsi_expect_real(x, "x");
    if (status == HSCHED_OK)
        status = hsi_expect_rank_min(x, "x", 2, "[M,...]");
    if (status == HSCHED_OK)
        status = hsi_expect_constant(weights, "weights");
    if (status == HSCHED_OK)
        status = hsi_expect_real(weights, "weights");
    if (status == HSCHED_OK)
        status = hsi_expect_rank(weights, "weights", 2, "[O,K]");
    if (status == HSCHED_OK && bias)
        status = hsi_expect_constant(bias, "bias");
    if (status == HSCHED_OK && bias)
        status = hsi_expect_real(bias, "bias");
    if (status == HSCHED_OK && bias)
        status = hsi_expect_length(bias, "bias", weights->dims[0], "one for each output");
    if (status != HSCHED_OK)
        return status;
    size_t k;
    if (!hsi_element_count(x->rank - 1, x->dims + 1, &k) ||
        k != (uint64_t)weights->dims[1])
        return hsi_error(HSCHED_ERROR_SHAPE,
                         "x " HSI_TENSOR_FMT
                         " has %zu values in a row, but weights " HSI_TENSOR_FMT
                         " take %lld; give weights [O,%zu]",
                         HSI_TENSOR_ARGS(x), k, HSI_TENSOR_ARGS(weights),
                         (long long)weights->dims[1], k);
    hsi_infer_set(f, HSCHED_FLOAT32, 2,
                  (const int64_t[2]){ x->dims[0], weights->dims[0] });
    return HSCHED_OK;
}

int hsi_infer_broadcast(uint32_t rank_a, const int64_t *a, uint32_t rank_b,
                        const int64_t *b, uint32_t *rank, int64_t *dims)
{
    *rank = rank_a > rank_b ? rank_a : rank_b;
    for (uint32_t i = 0; i < *rank; i++) {
        /* Dimensions are aligned at the end; what is missing counts as 1. */
        uint32_t from_end = *rank - i;
        int64_t in_a = from_end <= rank_a ? a[rank_a - from_end] : 1;
        int64_t in_b = from_end <= rank_b ? b[rank_b - from_end] : 1;
        if (in_a != in_b && in_a != 1 && in_b != 1)
            return 0;
        dims[i] = in_a == 1 ? in_b : in_a;
    }
    return 1;
}

/* a [...,M,K], b [...,K,N] -> [...,M,N]; a of one dimension is [1,K], b of one dimension
 * [K,1], and the 1 is dropped from the result. */
hsched_status hsi_infer_matmul(hsi_infer *f)
{
    const hsi_graph_tensor *a = hsi_infer_input(f, 0), *b = hsi_infer_input(f, 1);
    hsched_status status = hsi_expect_real(a, "a");
    if (status == HSCHED_OK)
        status = hsi_expect_real(b, "b");
    if (status == HSCHED_OK)
        status = hsi_expect_rank_min(a, "a", 1, "[...,M,K]");
    if (status == HSCHED_OK)
        status = hsi_expect_rank_min(b, "b", 1, "[...,K,N]");
    if (status != HSCHED_OK)
        return status;
    int64_t inner_a = a->dims[a->rank - 1];
    int64_t inner_b = b->rank == 1 ? b->dims[0] : b->dims[b->rank - 2];
    if (inner_a != inner_b)
        return hsi_error(
            HSCHED_ERROR_SHAPE,
            "the last dimension of a " HSI_TENSOR_FMT " and the last but one of "
            "b " HSI_TENSOR_FMT " differ (%lld and %lld); transpose or reshape "
            "one of them",
            HSI_TENSOR_ARGS(a), HSI_TENSOR_ARGS(b), (long long)inner_a,
            (long long)inner_b);
    uint32_t outer_a = a->rank > 2 ? a->rank - 2 : 0,
             outer_b = b->rank > 2 ? b->rank - 2 : 0;
    uint32_t rank;
    int64_t dims[HSCHED_MAX_DIMS];
    if (!hsi_infer_broadcast(outer_a, a->dims, outer_b, b->dims, &rank, dims))
        return hsi_error(HSCHED_ERROR_SHAPE,
                         "the leading dimensions of a " HSI_TENSOR_FMT
                         " and b " HSI_TENSOR_FMT
                         " do not broadcast; make them equal or 1",
                         HSI_TENSOR_ARGS(a), HSI_TENSOR_ARGS(b));
    if (a->rank > 1)
        dims[rank++] = a->dims[a->rank - 2];
    if (b->rank > 1)
        dims[rank++] = b->dims[b->rank - 1];
    hsi_infer_set(f, HSCHED_FLOAT32, rank, dims);
    return HSCHED_OK;
}

/* x [N,C,...] and four constants [C] -> x's shape */
hsched_status hsi_infer_batch_norm(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0);
    float epsilon = f->attrs->batch_norm.epsilon;
    hsched_status status = hsi_expect_float32(x, "x");
    if (status == HSCHED_OK)
        status = hsi_expect_rank_min(x, "x", 2, "[N,C,...]");
    for (uint32_t i = 1; status == HSCHED_OK && i < 5; i++)
        status = hsi_expect_vector(hsi_infer_input(f, i),
                                   hsi_input_role(HSI_LAYER_BATCH_NORM, i), x->dims[1],
                                   "one for each channel of x");
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

/* x [N,C,...] -> x's shape */
hsched_status hsi_infer_lrn(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0);
    hsched_lrn_config *c = &f->attrs->lrn;
    hsched_status status = hsi_expect_float32(x, "x");
    if (status == HSCHED_OK)
        status = hsi_expect_rank_min(x, "x", 2, "[N,C,...]");
    if (status != HSCHED_OK)
        return status;
    if (c->size < 1)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "size, the number of channels in the window, is %lld and must be at "
            "least 1; 5 is usual",
            (long long)c->size);
    if (c->size > HSI_MAX_WINDOW)
        return hsi_error(HSCHED_ERROR_LIMIT,
                         "size is %lld, and the limit is %lld; give a "
                         "smaller value",
                         (long long)c->size, (long long)HSI_MAX_WINDOW);
    if (c->alpha == 0)
        c->alpha = 1e-4f;
    if (c->beta == 0)
        c->beta = 0.75f;
    if (c->bias == 0)
        c->bias = 1;
    if (!isfinite(c->alpha) || !isfinite(c->beta) || !isfinite(c->bias))
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "alpha %g, beta %g or bias %g is not finite; give finite numbers",
            (double)c->alpha, (double)c->beta, (double)c->bias);
    hsi_infer_same(f, x);
    return HSCHED_OK;
}

/* x of at least one dimension -> x's shape */
hsched_status hsi_infer_softmax(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0);
    int64_t axis = 0;
    hsched_status status = hsi_expect_real(x, "x");
    if (status != HSCHED_OK)
        return status;
    status = hsi_resolve_axis(f->given->softmax.axis, x->rank, &axis);
    if (status != HSCHED_OK)
        return hsi_error_prefix(status, "x " HSI_TENSOR_FMT ": ", HSI_TENSOR_ARGS(x));
    f->attrs->softmax.axis = (int)axis;
    hsi_infer_same(f, x);
    return HSCHED_OK;
}

HSCHED_API const char *hsched_activation_name(hsched_activation_kind kind)
{
    switch (kind) {
#define NAME_CASE(name, value, text, formula)                                            \
    case HSCHED_ACTIVATION_##name:                                                       \
        return text;
        HSCHED_ACTIVATION_LIST(NAME_CASE)
#undef NAME_CASE
    default:
        return "unknown";
    }
}

static int activation_known(hsched_activation_kind kind)
{
    switch (kind) {
#define KIND_CASE(name, value, text, formula) case HSCHED_ACTIVATION_##name:
        HSCHED_ACTIVATION_LIST(KIND_CASE)
#undef KIND_CASE
        return 1;
    default:
        return 0;
    }
}

/* How many of the parameters a, b the kind's formula names. */
static int activation_parameters(hsched_activation_kind kind)
{
    switch (kind) {
    case HSCHED_ACTIVATION_CLIP:
    case HSCHED_ACTIVATION_HARD_SIGMOID:
    case HSCHED_ACTIVATION_SELU:
    case HSCHED_ACTIVATION_FAKE_QUANTIZE:
        return 2;
    case HSCHED_ACTIVATION_LEAKY_RELU:
    case HSCHED_ACTIVATION_ELU:
    case HSCHED_ACTIVATION_THRESHOLDED_RELU:
        return 1;
    default:
        return 0;
    }
}

hsched_status hsi_resolve_activation(hsched_activation *act)
{
    int parameters = activation_parameters(act->kind);
    if (!activation_known(act->kind))
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "activation kind %d is not known; use one of the HSCHED_ACTIVATION_ "
            "values",
            (int)act->kind);
    /* Those not named are ignored: the same activation always looks the same. */
    if (parameters < 1)
        act->a = 0;
    if (parameters < 2)
        act->b = 0;
    if (isnan(act->a) || isnan(act->b))
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "parameter a or b of activation %s is not a number; give numbers",
            hsched_activation_name(act->kind));
    if (act->kind == HSCHED_ACTIVATION_FAKE_QUANTIZE &&
        (!(act->a > 0 && isfinite(act->a)) || fabsf(act->b) > 65536 ||
         act->b != rintf(act->b)))
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "activation fake_quantize has a step of %g and a lowest level of "
            "%g; give a positive one and a whole number of at most 65536",
            (double)act->a, (double)act->b);
    return HSCHED_OK;
}

hsched_status hsi_infer_activation(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0);
    hsched_status status = hsi_resolve_activation(&f->attrs->activation);
    if (status == HSCHED_OK && !hsi_activation_takes(f->attrs->activation.kind, x->dtype))
        status = hsi_expect_float32(x, "x");
    if (status != HSCHED_OK)
        return status;
    hsi_infer_same(f, x);
    return HSCHED_OK;
}

/* Two operands of one type that the kind takes. */
static hsched_status binary_types(hsched_binary_kind kind, const hsi_graph_tensor *a,
                                  const hsi_graph_tensor *b)
{
    if (!hsi_binary_is_known(kind))
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "binary kind %d is not known; use one of the HSCHED_BINARY_ values",
            (int)kind);
    if (a->dtype != b->dtype)
        return hsi_error(HSCHED_ERROR_SHAPE,
                         "a " HSI_TENSOR_FMT " is %s and b " HSI_TENSOR_FMT
                         " is %s; cast one of them to the other's type",
                         HSI_TENSOR_ARGS(a), hsched_dtype_name(a->dtype),
                         HSI_TENSOR_ARGS(b), hsched_dtype_name(b->dtype));
    if (hsi_binary_takes(kind, a->dtype))
        return HSCHED_OK;
    if (hsi_binary_takes(kind, HSCHED_FLOAT32))
        return hsi_expect_float32(a, "a");
    return hsi_error(HSCHED_ERROR_SHAPE,
                     "a " HSI_TENSOR_FMT " is %s, but this kind of layer computes on "
                     "%s; cast both operands",
                     HSI_TENSOR_ARGS(a), hsched_dtype_name(a->dtype),
                     hsi_binary_takes(kind, HSCHED_BOOL) ? "bool" : "integers");
}

/* a, b -> the shape both broadcast to; PReLU: a's */
hsched_status hsi_infer_binary(hsi_infer *f)
{
    const hsi_graph_tensor *a = hsi_infer_input(f, 0), *b = hsi_infer_input(f, 1);
    hsched_binary_kind kind = f->attrs->binary;
    hsched_status status = binary_types(kind, a, b);
    if (status != HSCHED_OK)
        return status;
    uint32_t rank;
    int64_t dims[HSCHED_MAX_DIMS];
    if (!hsi_infer_broadcast(a->rank, a->dims, b->rank, b->dims, &rank, dims))
        return hsi_error(
            HSCHED_ERROR_SHAPE,
            "a " HSI_TENSOR_FMT " and b " HSI_TENSOR_FMT " do not broadcast: "
            "aligned at the end, their dimensions must be equal or 1; reshape "
            "one of them",
            HSI_TENSOR_ARGS(a), HSI_TENSOR_ARGS(b));
    int same_as_a = rank == a->rank;
    for (uint32_t i = 0; same_as_a && i < rank; i++)
        same_as_a = dims[i] == a->dims[i];
    if (kind == HSCHED_BINARY_PRELU && !same_as_a)
        return hsi_error(HSCHED_ERROR_SHAPE,
                         "the slope b " HSI_TENSOR_FMT
                         " of a PReLU must broadcast to a " HSI_TENSOR_FMT
                         " and not enlarge it; give one slope per channel as "
                         "[C,1,1], or one for all",
                         HSI_TENSOR_ARGS(b), HSI_TENSOR_ARGS(a));
    hsi_infer_set(f, hsi_binary_compares(kind) ? HSCHED_BOOL : a->dtype, rank, dims);
    return HSCHED_OK;
}

/* x -> x's shape with 1 at the axes, or without them */
int hsi_reduce_takes(hsched_reduce_kind kind, hsched_dtype dtype)
{
    switch (dtype) {
    case HSCHED_FLOAT64:
        return 1;
    case HSCHED_INT64:
    case HSCHED_INT32:
        return kind <= HSCHED_REDUCE_L1 || kind == HSCHED_REDUCE_SUM_SQUARE;
    case HSCHED_UINT8:
    case HSCHED_INT8:
        return kind == HSCHED_REDUCE_MAX || kind == HSCHED_REDUCE_MIN;
    default:
        return 0;
    }
}

hsched_status hsi_infer_reduce(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0);
    const hsched_reduce_kind kind = f->attrs->axes.reduce;
    if (kind < HSCHED_REDUCE_MEAN || kind > HSCHED_REDUCE_SUM_SQUARE)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "reduce kind %d is not known; use one of the HSCHED_REDUCE_ values",
            (int)kind);
    hsched_status status = HSCHED_OK;
    if (!hsi_reduce_takes(kind, x->dtype))
        status = hsi_expect_float32(x, "x");
    if (status != HSCHED_OK)
        return status;
    int64_t *axes = f->attrs->axes.axes;
    uint32_t count = f->attrs->axes.count;
    if (count == 0)
        for (; count < x->rank; count++)
            axes[count] = count;
    status = hsi_resolve_axes(axes, count, x->rank);
    if (status != HSCHED_OK)
        return hsi_error_prefix(status, "x " HSI_TENSOR_FMT ": ", HSI_TENSOR_ARGS(x));
    f->attrs->axes.count = count;
    int64_t dims[HSCHED_MAX_DIMS];
    uint32_t rank = 0;
    for (uint32_t i = 0, next = 0; i < x->rank; i++) {
        int reduced = next < count && axes[next] == i;
        next += (uint32_t)reduced;
        if (!reduced)
            dims[rank++] = x->dims[i];
        else if (f->attrs->axes.keep_dims)
            dims[rank++] = 1;
    }
    hsi_infer_set(f, x->dtype, rank, dims);
    return HSCHED_OK;
}
