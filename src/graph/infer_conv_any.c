/* Shapes of convolution, pooling and transposed convolution of 1 to 3 spatial dimensions. */
#include "graph/window.h"

/* The layout in words, for messages. */
static const char *image_form(uint32_t rank)
{
    static const char *const forms[] = { "[N,C,L]", "[N,C,H,W]", "[N,C,D,H,W]" };
    return rank >= 3 && rank <= 5 ? forms[rank - 3] : "[N,C,D1..Dk]";
}

static hsched_status check_image(const hsi_graph_tensor *x)
{
    hsched_status status = hsi_expect_float32(x, "x");
    if (status != HSCHED_OK || (x->rank >= 3 && x->rank <= 5))
        return status;
    return hsi_error(HSCHED_ERROR_SHAPE,
                     "x " HSI_TENSOR_FMT
                     " has %u dimensions and must have 3 to 5, [N,C,D1..Dk] with "
                     "k = 1, 2 or 3; reshape it or give another tensor",
                     HSI_TENSOR_ARGS(x), x->rank);
}

/* `form`: what the dimensions of the weights are. */
static hsched_status check_weights(const hsi_graph_tensor *x, const hsi_graph_tensor *w,
                                   const char *form)
{
    hsched_status status = hsi_expect_float32(w, "weights");
    if (status != HSCHED_OK || w->rank == x->rank)
        return status;
    return hsi_error(HSCHED_ERROR_SHAPE,
                     "weights " HSI_TENSOR_FMT
                     " have %u dimensions and must have %u, %s, "
                     "for x %s; give others",
                     HSI_TENSOR_ARGS(w), w->rank, x->rank, form, image_form(x->rank));
}

hsched_status hsi_check_columns(const hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0), *w = hsi_infer_input(f, 1);
    int64_t dims[HSCHED_MAX_DIMS] = { x->dims[0], x->dims[1] };
    const uint32_t spatial = x->rank - 2;
    if (w->data != NULL)
        return HSCHED_OK;
    for (uint32_t axis = 0; axis < spatial; axis++) {
        dims[2 + axis] = w->dims[2 + axis];
        dims[2 + spatial + axis] = f->dims[2 + axis];
    }
    return hsi_check_size(HSCHED_FLOAT32, 2 + 2 * spatial, dims);
}

/* x [N,C,D1..Dk], weights [O,C/groups,k1..kk], bias [O] -> [N,O,D1'..Dk'] */
hsched_status hsi_infer_conv(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0), *weights = hsi_infer_input(f, 1),
                           *bias = hsi_infer_input(f, 2);
    hsched_conv_config *c = &f->attrs->conv;
    hsched_status status = check_image(x);
    if (status == HSCHED_OK)
        status = check_weights(x, weights, "[O,C/groups,k1..kk]");
    if (status == HSCHED_OK && bias)
        status = hsi_expect_per_channel(bias, "bias", weights->dims[0],
                                        "one for each output channel");
    if (status != HSCHED_OK)
        return status;
    const uint32_t spatial = x->rank - 2;
    status = hsi_check_window(spatial, weights->dims + 2, c->strides, c->dilations,
                              c->pads, c->auto_pad);
    if (status == HSCHED_OK)
        status = hsi_check_conv_channels(x, weights, &c->groups);
    if (status != HSCHED_OK)
        return status;
    hsi_infer_same(f, x);
    f->dims[1] = weights->dims[0];
    for (uint32_t axis = 0; axis < spatial; axis++) {
        hsi_window w = hsi_make_window(x, axis, weights->dims[2 + axis], c->strides,
                                       c->dilations, c->pads);
        hsi_resolve_auto_pad(&w, c->auto_pad);
        status = hsi_count_windows(&w, 0);
        if (status != HSCHED_OK)
            return hsi_error_prefix(status,
                                    "x " HSI_TENSOR_FMT ", weights " HSI_TENSOR_FMT ": ",
                                    HSI_TENSOR_ARGS(x), HSI_TENSOR_ARGS(weights));
        c->pads[axis] = w.before;
        c->pads[axis + spatial] = w.after;
        f->dims[2 + axis] = w.out;
    }
    c->auto_pad = HSCHED_PAD_EXPLICIT;
    return hsi_check_columns(f);
}

/* x [N,C,D1..Dk] -> [N,C,D1'..Dk'] */
hsched_status hsi_infer_pool(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0);
    hsched_pool_config *c = &f->attrs->pool.config;
    hsched_status status = check_image(x);
    if (status == HSCHED_OK)
        status = hsi_check_pool_kind(f->attrs->pool.kind);
    if (status != HSCHED_OK)
        return status;
    const uint32_t spatial = x->rank - 2;
    status = hsi_check_window(spatial, c->kernel, c->strides, c->dilations, c->pads,
                              c->auto_pad);
    if (status != HSCHED_OK)
        return status;
    hsi_infer_same(f, x);
    for (uint32_t axis = 0; axis < spatial; axis++) {
        hsi_window w =
            hsi_make_window(x, axis, c->kernel[axis], c->strides, c->dilations, c->pads);
        status = hsi_pool_window(x, &w, c->auto_pad, c->ceil_mode);
        if (status != HSCHED_OK)
            return status;
        c->pads[axis] = w.before;
        c->pads[axis + spatial] = w.after;
        f->dims[2 + axis] = w.out;
    }
    c->auto_pad = HSCHED_PAD_EXPLICIT;
    return HSCHED_OK;
}

hsched_status hsi_infer_max_pool_indices(hsi_infer *f)
{
    hsched_status status = hsi_infer_pool(f);
    f->dtype = HSCHED_INT64;
    return status;
}

/* ---- Transposed ----------------------------------------------------------- */

/* The most elements that the weights may have as they are laid out for the convolution that
 * does the work (src/plan/lower_window.c): all phases of a stride. */
#define MOST_PHASED_WEIGHTS ((double)((int64_t)1 << 28))

static hsched_status check_transpose_channels(const hsi_graph_tensor *x,
                                              const hsi_graph_tensor *weights,
                                              int64_t *groups)
{
    if (*groups == 0)
        *groups = 1;
    if (*groups < 0 || x->dims[1] % *groups)
        return hsi_error(
            *groups < 0 ? HSCHED_ERROR_INVALID_ARGUMENT : HSCHED_ERROR_SHAPE,
            "%lld groups do not divide the %lld channels of x " HSI_TENSOR_FMT
            "; choose groups that do",
            (long long)*groups, (long long)x->dims[1], HSI_TENSOR_ARGS(x));
    if (weights->dims[0] != x->dims[1])
        return hsi_error(HSCHED_ERROR_SHAPE,
                         "x " HSI_TENSOR_FMT
                         " has %lld channels, but weights " HSI_TENSOR_FMT
                         " take %lld; give weights [C,O/groups,k1..kk]",
                         HSI_TENSOR_ARGS(x), (long long)x->dims[1],
                         HSI_TENSOR_ARGS(weights), (long long)weights->dims[0]);
    if (weights->dims[1] > INT64_MAX / *groups)
        return hsi_error(HSCHED_ERROR_LIMIT, "%lld groups are too many; give fewer",
                         (long long)*groups);
    return HSCHED_OK;
}

/* Pads and size of the result along one axis. */
static hsched_status transpose_axis(hsi_infer *f, const hsi_graph_tensor *x,
                                    const hsi_graph_tensor *weights, uint32_t axis)
{
    hsched_conv_transpose_config *c = &f->attrs->conv_transpose;
    const uint32_t spatial = x->rank - 2;
    const int64_t in = x->dims[2 + axis], stride = c->strides[axis];
    const int64_t extra = c->output_padding[axis];
    const int64_t extent = (weights->dims[2 + axis] - 1) * c->dilations[axis] + 1;
    int64_t *before = &c->pads[axis], *after = &c->pads[axis + spatial], full, out;
    if (__builtin_mul_overflow(in - 1, stride, &full) ||
        __builtin_add_overflow(full, extent + extra, &full) ||
        __builtin_mul_overflow(in, stride, &out))
        return hsi_error(HSCHED_ERROR_LIMIT, "the result is too large; give a smaller x");
    const int same =
        c->auto_pad == HSCHED_PAD_SAME_UPPER || c->auto_pad == HSCHED_PAD_SAME_LOWER;
    if (c->output_sizes[axis] > 0)
        out = c->output_sizes[axis];
    else if (!same)
        out = full - *before - *after;
    if (c->output_sizes[axis] > 0 || same) {
        const int64_t total = full > out ? full - out : 0;
        const int upper = c->auto_pad == HSCHED_PAD_SAME_UPPER;
        *before = upper ? total / 2 : total - total / 2;
        *after = total - *before;
    }
    if (out < 1)
        return hsi_error(HSCHED_ERROR_SHAPE,
                         "along the %s nothing is left of %lld elements, since padding "
                         "%lld+%lld is cut off; use less padding",
                         hsi_axis_name(spatial, axis), (long long)full,
                         (long long)*before, (long long)*after);
    if (*before > full - extra - 1)
        return hsi_error(
            HSCHED_ERROR_SHAPE,
            "along the %s padding %lld cuts off all that x adds to; use less "
            "padding",
            hsi_axis_name(spatial, axis), (long long)*before);
    f->dims[2 + axis] = out;
    return HSCHED_OK;
}

static hsched_status check_transpose_config(hsched_conv_transpose_config *c,
                                            const hsi_graph_tensor *weights,
                                            uint32_t spatial)
{
    hsched_status status = hsi_check_window(spatial, weights->dims + 2, c->strides,
                                            c->dilations, c->pads, c->auto_pad);
    double phased = (double)weights->dims[0] * (double)weights->dims[1];
    for (uint32_t k = 0; k < spatial && status == HSCHED_OK; k++) {
        if (c->output_padding[k] < 0 || c->output_padding[k] > HSI_MAX_WINDOW ||
            c->output_sizes[k] < 0)
            status = hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                               "output_padding[%u] is %lld and output_sizes[%u] is %lld, "
                               "which must not be negative, nor the first larger than "
                               "%lld; give other values",
                               k, (long long)c->output_padding[k], k,
                               (long long)c->output_sizes[k], (long long)HSI_MAX_WINDOW);
        phased *= (double)(weights->dims[2 + k] * c->dilations[k] + c->strides[k]);
    }
    if (status == HSCHED_OK && phased > MOST_PHASED_WEIGHTS)
        status = hsi_error(HSCHED_ERROR_LIMIT,
                           "kernel, strides and dilations of weights " HSI_TENSOR_FMT
                           " are too large together; give smaller ones",
                           HSI_TENSOR_ARGS(weights));
    return status;
}

/* x [N,C,D1..Dk], weights [C,O/groups,k1..kk], bias [O] -> [N,O,D1'..Dk'] */
hsched_status hsi_infer_conv_transpose(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0), *weights = hsi_infer_input(f, 1),
                           *bias = hsi_infer_input(f, 2);
    hsched_conv_transpose_config *c = &f->attrs->conv_transpose;
    hsched_status status = check_image(x);
    if (status == HSCHED_OK)
        status = check_weights(x, weights, "[C,O/groups,k1..kk]");
    if (status == HSCHED_OK)
        status = check_transpose_config(c, weights, x->rank - 2);
    if (status == HSCHED_OK)
        status = check_transpose_channels(x, weights, &c->groups);
    if (status == HSCHED_OK && bias)
        status = hsi_expect_per_channel(bias, "bias", weights->dims[1] * c->groups,
                                        "one for each output channel");
    if (status != HSCHED_OK)
        return status;
    hsi_infer_same(f, x);
    f->dims[1] = weights->dims[1] * c->groups;
    for (uint32_t axis = 0; axis + 2 < x->rank && status == HSCHED_OK; axis++)
        status = transpose_axis(f, x, weights, axis);
    if (status != HSCHED_OK)
        return hsi_error_prefix(status,
                                "x " HSI_TENSOR_FMT ", weights " HSI_TENSOR_FMT ": ",
                                HSI_TENSOR_ARGS(x), HSI_TENSOR_ARGS(weights));
    for (uint32_t axis = 0; axis + 2 < x->rank; axis++)
        c->output_sizes[axis] = f->dims[2 + axis];
    c->auto_pad = HSCHED_PAD_EXPLICIT;
    return hsi_check_columns(f);
}
