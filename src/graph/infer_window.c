/* Shapes of the layers that slide a window over an image, and of camera frames. */
#include "graph/window.h"

#include <math.h>
#include <stdio.h>

static hsched_status check_number(const char *what, int64_t value, int64_t least)
{
    if (value < least)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "%s is %lld and must be at least %lld; give another value", what,
                         (long long)value, (long long)least);
    if (value > HSI_MAX_WINDOW)
        return hsi_error(HSCHED_ERROR_LIMIT,
                         "%s is %lld, and the limit is %lld; give a smaller value", what,
                         (long long)value, (long long)HSI_MAX_WINDOW);
    return HSCHED_OK;
}

/* What a number is called: "strides[0]". */
static hsched_status check_numbers(const char *what, uint32_t count, int64_t *values,
                                   int64_t least, int zero_is_one)
{
    char name[40];
    for (uint32_t i = 0; i < count; i++) {
        if (zero_is_one && values[i] == 0)
            values[i] = 1;
        snprintf(name, sizeof name, "%s[%u]", what, i);
        hsched_status status = check_number(name, values[i], least);
        if (status != HSCHED_OK)
            return status;
    }
    return HSCHED_OK;
}

const char *hsi_axis_name(uint32_t spatial, uint32_t axis)
{
    static const char *const names[] = { "depth", "height", "width" };
    return spatial == 1             ? "length"
           : axis + 3 - spatial < 3 ? names[axis + 3 - spatial]
                                    : "axis";
}

static hsched_status check_pads(uint32_t spatial, const int64_t *pads)
{
    static const char *const sides[4] = { "pads[0] (top)", "pads[1] (left)",
                                          "pads[2] (bottom)", "pads[3] (right)" };
    hsched_status status = HSCHED_OK;
    if (spatial != 2)
        return check_numbers("pads", 2 * spatial, (int64_t *)pads, 0, 0);
    for (int i = 0; status == HSCHED_OK && i < 4; i++)
        status = check_number(sides[i], pads[i], 0);
    return status;
}

hsched_status hsi_check_window(uint32_t spatial, const int64_t *kernel, int64_t *strides,
                               int64_t *dilations, const int64_t *pads,
                               hsched_auto_pad auto_pad)
{
    hsched_status status = HSCHED_OK;
    int64_t any = 0;
    for (uint32_t i = 0; status == HSCHED_OK && i < spatial; i++) {
        char name[40];
        snprintf(name, sizeof name, "the kernel's %s", hsi_axis_name(spatial, i));
        status = check_number(name, kernel[i], 1);
        any |= pads[i] | pads[spatial + i];
    }
    if (status == HSCHED_OK)
        status = check_numbers("strides", spatial, strides, 1, 1);
    if (status == HSCHED_OK)
        status = check_numbers("dilations", spatial, dilations, 1, 1);
    if (status == HSCHED_OK)
        status = check_pads(spatial, pads);
    if (status != HSCHED_OK)
        return status;
    if ((unsigned)auto_pad > HSCHED_PAD_VALID)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "auto_pad is %d, which is no hsched_auto_pad; use one of the "
                         "HSCHED_PAD_ values",
                         (int)auto_pad);
    if (auto_pad != HSCHED_PAD_EXPLICIT && any)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "pads %s were given together with auto_pad; leave the pads zero or "
            "use HSCHED_PAD_EXPLICIT",
            hsi_shape_text(2 * spatial, pads));
    return HSCHED_OK;
}

/* SAME: as much padding as makes the output ceil(in / stride) long. */
void hsi_resolve_auto_pad(hsi_window *w, hsched_auto_pad auto_pad)
{
    if (auto_pad != HSCHED_PAD_SAME_UPPER && auto_pad != HSCHED_PAD_SAME_LOWER)
        return;
    int64_t out = (w->in - 1) / w->stride + 1;
    int64_t total = (out - 1) * w->stride + hsi_window_extent(w) - w->in;
    if (total < 0)
        total = 0;
    int64_t less = total / 2, more = total - less;
    w->before = auto_pad == HSCHED_PAD_SAME_UPPER ? less : more;
    w->after = auto_pad == HSCHED_PAD_SAME_UPPER ? more : less;
}

/*
 * The number of windows. Rounding up may add a window that reaches past the trailing
 * padding, but none that starts past the input and its leading padding (as ONNX and
 * PyTorch have it).
 */
hsched_status hsi_count_windows(hsi_window *w, int ceil_mode)
{
    int64_t room = w->in + w->before + w->after - hsi_window_extent(w);
    if (ceil_mode)
        room += w->stride - 1;
    if (room < 0)
        return hsi_error(
            HSCHED_ERROR_SHAPE,
            "the window does not fit along the %s: kernel %lld with dilation "
            "%lld covers %lld, the input of %lld with padding %lld+%lld has "
            "%lld; use a smaller kernel or more padding",
            w->axis, (long long)w->kernel, (long long)w->dilation,
            (long long)hsi_window_extent(w), (long long)w->in, (long long)w->before,
            (long long)w->after, (long long)(w->in + w->before + w->after));
    w->out = room / w->stride + 1;
    int64_t starts = (w->in + w->before - 1) / w->stride + 1;
    if (ceil_mode && w->out > starts)
        w->out = starts;
    return HSCHED_OK;
}

/* 1 if some window touches no element of the input. */
static int some_window_misses(const hsi_window *w)
{
    if ((w->out - 1) * w->stride - w->before >= w->in)
        return 1; /* the last one starts behind the input */
    if (w->before > (w->kernel - 1) * w->dilation)
        return 1; /* the first one ends in front of it */
    if (w->in >= w->dilation)
        return 0;
    /* The taps of a window that starts in front of the input may step over all of it. */
    for (int64_t i = 0; i < w->out; i++) {
        int64_t start = i * w->stride - w->before;
        if (start >= 0)
            break;
        int64_t first = start % w->dilation; /* the first tap that is not in front */
        if (first < 0)
            first += w->dilation;
        if (first >= w->in)
            return 1;
    }
    return 0;
}

hsi_window hsi_make_window(const hsi_graph_tensor *x, uint32_t axis, int64_t kernel,
                           const int64_t *strides, const int64_t *dilations,
                           const int64_t *pads)
{
    const uint32_t spatial = x->rank - 2;
    return (hsi_window){ .axis = hsi_axis_name(spatial, axis),
                         .in = x->dims[2 + axis],
                         .kernel = kernel,
                         .stride = strides[axis],
                         .dilation = dilations[axis],
                         .before = pads[axis],
                         .after = pads[axis + spatial] };
}

/* Sets H' and W' of the output and the explicit pads. */
static hsched_status conv2d_windows(hsi_infer *f, const hsi_graph_tensor *x,
                                    const hsi_graph_tensor *weights)
{
    hsched_conv2d_config *c = &f->attrs->conv2d;
    for (int axis = 0; axis < 2; axis++) {
        hsi_window w = hsi_make_window(x, (uint32_t)axis, weights->dims[2 + axis],
                                       c->strides, c->dilations, c->pads);
        hsi_resolve_auto_pad(&w, c->auto_pad);
        hsched_status status = hsi_count_windows(&w, 0);
        if (status != HSCHED_OK)
            return hsi_error_prefix(status,
                                    "x " HSI_TENSOR_FMT ", weights " HSI_TENSOR_FMT ": ",
                                    HSI_TENSOR_ARGS(x), HSI_TENSOR_ARGS(weights));
        c->pads[axis] = w.before;
        c->pads[axis + 2] = w.after;
        f->dims[2 + axis] = w.out;
    }
    c->auto_pad = HSCHED_PAD_EXPLICIT;
    return HSCHED_OK;
}

/* x [N,C,...], weights [O,C/groups,...] */
hsched_status hsi_check_conv_channels(const hsi_graph_tensor *x,
                                      const hsi_graph_tensor *weights, int64_t *groups)
{
    if (*groups == 0)
        *groups = 1;
    if (*groups < 0 || x->dims[1] % *groups || weights->dims[0] % *groups)
        return hsi_error(
            *groups < 0 ? HSCHED_ERROR_INVALID_ARGUMENT : HSCHED_ERROR_SHAPE,
            "%lld groups do not divide the %lld channels of x " HSI_TENSOR_FMT
            " and the %lld output channels of weights " HSI_TENSOR_FMT
            "; choose groups that divide both",
            (long long)*groups, (long long)x->dims[1], HSI_TENSOR_ARGS(x),
            (long long)weights->dims[0], HSI_TENSOR_ARGS(weights));
    if (weights->dims[1] != x->dims[1] / *groups)
        return hsi_error(
            HSCHED_ERROR_SHAPE,
            "x " HSI_TENSOR_FMT " has %lld channels in each of %lld groups, but "
            "weights " HSI_TENSOR_FMT " take %lld; give weights "
            "[O,C/groups,kh,kw] or change groups",
            HSI_TENSOR_ARGS(x), (long long)(x->dims[1] / *groups), (long long)*groups,
            HSI_TENSOR_ARGS(weights), (long long)weights->dims[1]);
    return HSCHED_OK;
}

/* x [N,C,H,W], weights [O,C/groups,kh,kw], bias [O] -> [N,O,H',W'] */
hsched_status hsi_infer_conv2d(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0), *weights = hsi_infer_input(f, 1),
                           *bias = hsi_infer_input(f, 2);
    hsched_conv2d_config *c = &f->attrs->conv2d;
    hsched_status status = hsi_expect_float32(x, "x");
    if (status == HSCHED_OK)
        status = hsi_expect_rank(x, "x", 4, "[N,C,H,W]");
    if (status == HSCHED_OK)
        status = hsi_expect_float32(weights, "weights");
    if (status == HSCHED_OK)
        status = hsi_expect_rank(weights, "weights", 4, "[O,C/groups,kh,kw]");
    if (status == HSCHED_OK && bias)
        status = hsi_expect_per_channel(bias, "bias", weights->dims[0],
                                        "one for each output channel");
    if (status == HSCHED_OK) {
        int64_t kernel[2] = { weights->dims[2], weights->dims[3] };
        status =
            hsi_check_window(2, kernel, c->strides, c->dilations, c->pads, c->auto_pad);
    }
    if (status != HSCHED_OK)
        return status;
    status = hsi_check_conv_channels(x, weights, &c->groups);
    if (status != HSCHED_OK)
        return status;
    hsi_infer_set(f, HSCHED_FLOAT32, 4,
                  (const int64_t[4]){ x->dims[0], weights->dims[0], 0, 0 });
    status = conv2d_windows(f, x, weights);
    return status == HSCHED_OK ? hsi_check_columns(f) : status;
}

hsched_status hsi_pool_window(const hsi_graph_tensor *x, hsi_window *w,
                              hsched_auto_pad auto_pad, int ceil_mode)
{
    hsi_resolve_auto_pad(w, auto_pad);
    hsched_status status = hsi_count_windows(w, ceil_mode);
    if (status == HSCHED_OK && some_window_misses(w))
        status = hsi_error(HSCHED_ERROR_SHAPE,
                           "padding %lld+%lld along the %s is so large that a window of "
                           "kernel %lld and dilation %lld sees padding only; use less "
                           "padding",
                           (long long)w->before, (long long)w->after, w->axis,
                           (long long)w->kernel, (long long)w->dilation);
    if (status != HSCHED_OK)
        return hsi_error_prefix(status, "x " HSI_TENSOR_FMT ": ", HSI_TENSOR_ARGS(x));
    return HSCHED_OK;
}

hsched_status hsi_check_pool_kind(hsched_pool_kind kind)
{
    if (kind == HSCHED_POOL_MAX || kind == HSCHED_POOL_AVERAGE)
        return HSCHED_OK;
    return hsi_error(
        HSCHED_ERROR_INVALID_ARGUMENT,
        "pool kind %d is not known; use HSCHED_POOL_MAX or HSCHED_POOL_AVERAGE",
        (int)kind);
}

/* x [N,C,H,W] -> [N,C,H',W'] */
hsched_status hsi_infer_pool2d(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0);
    hsched_pool2d_config *c = &f->attrs->pool2d.config;
    hsched_status status = hsi_expect_float32(x, "x");
    if (status == HSCHED_OK)
        status = hsi_expect_rank(x, "x", 4, "[N,C,H,W]");
    if (status == HSCHED_OK)
        status = hsi_check_pool_kind(f->attrs->pool2d.kind);
    if (status == HSCHED_OK)
        status = hsi_check_window(2, c->kernel, c->strides, c->dilations, c->pads,
                                  c->auto_pad);
    if (status != HSCHED_OK)
        return status;
    hsi_infer_same(f, x);
    for (int axis = 0; axis < 2; axis++) {
        hsi_window w = hsi_make_window(x, (uint32_t)axis, c->kernel[axis], c->strides,
                                       c->dilations, c->pads);
        status = hsi_pool_window(x, &w, c->auto_pad, c->ceil_mode);
        if (status != HSCHED_OK)
            return status;
        c->pads[axis] = w.before;
        c->pads[axis + 2] = w.after;
        f->dims[2 + axis] = w.out;
    }
    c->auto_pad = HSCHED_PAD_EXPLICIT;
    return HSCHED_OK;
}

/* x [N,C,D1..Dk] -> [N,C,1..1] */
hsched_status hsi_infer_global_pool(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0);
    hsched_status status = hsi_expect_float32(x, "x");
    if (status == HSCHED_OK)
        status = hsi_expect_rank_min(x, "x", 3, "[N,C,D1..Dk]");
    if (status == HSCHED_OK)
        status = hsi_check_pool_kind(f->attrs->global_pool);
    if (status != HSCHED_OK)
        return status;
    hsi_infer_same(f, x);
    for (uint32_t i = 2; i < x->rank; i++)
        f->dims[i] = 1;
    return HSCHED_OK;
}

/* x uint8 [N,H,W,C] -> float32 [N,C,H,W] */
hsched_status hsi_infer_image_input(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0);
    hsched_image_config *c = &f->attrs->image;
    hsched_status status = hsi_expect_rank(x, "x", 4, "[N,H,W,C]");
    if (status != HSCHED_OK)
        return status;
    if (x->dtype != HSCHED_UINT8)
        return hsi_error(HSCHED_ERROR_SHAPE,
                         "frame " HSI_TENSOR_FMT " is %s and must be uint8; give a uint8 "
                         "input",
                         HSI_TENSOR_ARGS(x), hsched_dtype_name(x->dtype));
    int64_t channels = x->dims[3];
    if (channels > 4)
        return hsi_error(HSCHED_ERROR_SHAPE,
                         "a frame " HSI_TENSOR_FMT
                         " has %lld channels and may have 1 to 4; "
                         "use a float32 input for other data",
                         HSI_TENSOR_ARGS(x), (long long)channels);
    if (c->swap_red_blue && channels < 3)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "swap_red_blue needs 3 or 4 channels, but frame " HSI_TENSOR_FMT
                         " has %lld; leave it 0",
                         HSI_TENSOR_ARGS(x), (long long)channels);
    for (int i = 0; i < 4; i++) {
        if (c->scale[i] == 0)
            c->scale[i] = 1;
        if (!isfinite(c->scale[i]) || !isfinite(c->mean[i]))
            return hsi_error(
                HSCHED_ERROR_INVALID_ARGUMENT,
                "mean %g or scale %g of channel %d is not finite; give finite "
                "numbers",
                (double)c->mean[i], (double)c->scale[i], i);
    }
    hsi_infer_set(f, HSCHED_FLOAT32, 4,
                  (const int64_t[4]){ x->dims[0], channels, x->dims[1], x->dims[2] });
    return HSCHED_OK;
}
