/* Shapes of the layers that slide a window over an image, and of camera frames. */
#include "graph/infer.h"

#include <math.h>

/* One spatial axis of a convolution or pooling. */
typedef struct window {
    const char *axis; /* "height" */
    int64_t in, kernel, stride, dilation;
    int64_t before, after; /* padding; filled in where auto_pad asks for it */
    int64_t out;           /* result */
} window;

static int64_t window_extent(const window *w)
{
    return (w->kernel - 1) * w->dilation + 1;
}

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

static hsched_status check_numbers(const char *const names[2], int64_t values[2],
                                   int zero_is_one)
{
    for (int i = 0; i < 2; i++) {
        if (zero_is_one && values[i] == 0)
            values[i] = 1;
        hsched_status status = check_number(names[i], values[i], 1);
        if (status != HSCHED_OK)
            return status;
    }
    return HSCHED_OK;
}

/* Fills in default strides and dilations and checks all numbers on their own. */
static hsched_status check_window_config(int64_t kernel[2], int64_t strides[2],
                                         int64_t dilations[2], const int64_t pads[4],
                                         hsched_auto_pad auto_pad)
{
    static const char *const kernel_names[2] = { "the kernel's height",
                                                 "the kernel's width" };
    static const char *const stride_names[2] = { "strides[0]", "strides[1]" };
    static const char *const dilation_names[2] = { "dilations[0]", "dilations[1]" };
    static const char *const pad_names[4] = { "pads[0] (top)", "pads[1] (left)",
                                              "pads[2] (bottom)", "pads[3] (right)" };
    hsched_status status = check_numbers(kernel_names, kernel, 0);
    if (status == HSCHED_OK)
        status = check_numbers(stride_names, strides, 1);
    if (status == HSCHED_OK)
        status = check_numbers(dilation_names, dilations, 1);
    for (int i = 0; status == HSCHED_OK && i < 4; i++)
        status = check_number(pad_names[i], pads[i], 0);
    if (status != HSCHED_OK)
        return status;
    if ((unsigned)auto_pad > HSCHED_PAD_VALID)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "auto_pad is %d, which is no hsched_auto_pad; use one of the "
                         "HSCHED_PAD_ values",
                         (int)auto_pad);
    if (auto_pad != HSCHED_PAD_EXPLICIT && (pads[0] | pads[1] | pads[2] | pads[3]))
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "pads %s were given together with auto_pad; leave the pads zero or "
            "use HSCHED_PAD_EXPLICIT",
            hsi_shape_text(4, pads));
    return HSCHED_OK;
}

/* SAME: as much padding as makes the output ceil(in / stride) long. */
static void resolve_auto_pad(window *w, hsched_auto_pad auto_pad)
{
    if (auto_pad != HSCHED_PAD_SAME_UPPER && auto_pad != HSCHED_PAD_SAME_LOWER)
        return;
    int64_t out = (w->in - 1) / w->stride + 1;
    int64_t total = (out - 1) * w->stride + window_extent(w) - w->in;
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
static hsched_status count_windows(window *w, int ceil_mode)
{
    int64_t room = w->in + w->before + w->after - window_extent(w);
    if (ceil_mode)
        room += w->stride - 1;
    if (room < 0)
        return hsi_error(
            HSCHED_ERROR_SHAPE,
            "the window does not fit along the %s: kernel %lld with dilation "
            "%lld covers %lld, the input of %lld with padding %lld+%lld has "
            "%lld; use a smaller kernel or more padding",
            w->axis, (long long)w->kernel, (long long)w->dilation,
            (long long)window_extent(w), (long long)w->in, (long long)w->before,
            (long long)w->after, (long long)(w->in + w->before + w->after));
    w->out = room / w->stride + 1;
    int64_t starts = (w->in + w->before - 1) / w->stride + 1;
    if (ceil_mode && w->out > starts)
        w->out = starts;
    return HSCHED_OK;
}

/* 1 if some window touches no element of the input. */
static int some_window_misses(const window *w)
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

static window make_window(const hsi_graph_tensor *x, int axis, int64_t kernel,
                          const int64_t strides[2], const int64_t dilations[2],
                          const int64_t pads[4])
{
    return (window){ .axis = axis == 0 ? "height" : "width",
                     .in = x->dims[2 + axis],
                     .kernel = kernel,
                     .stride = strides[axis],
                     .dilation = dilations[axis],
                     .before = pads[axis],
                     .after = pads[axis + 2] };
}

/* Sets H' and W' of the output and the explicit pads. */
static hsched_status conv2d_windows(hsi_infer *f, const hsi_graph_tensor *x,
                                    const hsi_graph_tensor *weights)
{
    hsched_conv2d_config *c = &f->attrs->conv2d;
    for (int axis = 0; axis < 2; axis++) {
        window w = make_window(x, axis, weights->dims[2 + axis], c->strides, c->dilations,
                               c->pads);
        resolve_auto_pad(&w, c->auto_pad);
        hsched_status status = count_windows(&w, 0);
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
        status = hsi_expect_constant(weights, "weights");
    if (status == HSCHED_OK)
        status = hsi_expect_float32(weights, "weights");
    if (status == HSCHED_OK)
        status = hsi_expect_rank(weights, "weights", 4, "[O,C/groups,kh,kw]");
    if (status == HSCHED_OK && bias)
        status = hsi_expect_vector(bias, "bias", weights->dims[0],
                                   "one for each output channel");
    if (status == HSCHED_OK) {
        int64_t kernel[2] = { weights->dims[2], weights->dims[3] };
        status =
            check_window_config(kernel, c->strides, c->dilations, c->pads, c->auto_pad);
    }
    if (status != HSCHED_OK)
        return status;
    if (c->groups == 0)
        c->groups = 1;
    if (c->groups < 0 || x->dims[1] % c->groups || weights->dims[0] % c->groups)
        return hsi_error(
            c->groups < 0 ? HSCHED_ERROR_INVALID_ARGUMENT : HSCHED_ERROR_SHAPE,
            "%lld groups do not divide the %lld channels of x " HSI_TENSOR_FMT
            " and the %lld output channels of weights " HSI_TENSOR_FMT
            "; choose groups that divide both",
            (long long)c->groups, (long long)x->dims[1], HSI_TENSOR_ARGS(x),
            (long long)weights->dims[0], HSI_TENSOR_ARGS(weights));
    if (weights->dims[1] != x->dims[1] / c->groups)
        return hsi_error(
            HSCHED_ERROR_SHAPE,
            "x " HSI_TENSOR_FMT " has %lld channels in each of %lld groups, but "
            "weights " HSI_TENSOR_FMT " take %lld; give weights "
            "[O,C/groups,kh,kw] or change groups",
            HSI_TENSOR_ARGS(x), (long long)(x->dims[1] / c->groups), (long long)c->groups,
            HSI_TENSOR_ARGS(weights), (long long)weights->dims[1]);
    hsi_infer_set(f, HSCHED_FLOAT32, 4,
                  (const int64_t[4]){ x->dims[0], weights->dims[0], 0, 0 });
    return conv2d_windows(f, x, weights);
}

static hsched_status check_pool_kind(hsched_pool_kind kind)
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
        status = check_pool_kind(f->attrs->pool2d.kind);
    if (status == HSCHED_OK)
        status = check_window_config(c->kernel, c->strides, c->dilations, c->pads,
                                     c->auto_pad);
    if (status != HSCHED_OK)
        return status;
    hsi_infer_same(f, x);
    for (int axis = 0; axis < 2; axis++) {
        window w =
            make_window(x, axis, c->kernel[axis], c->strides, c->dilations, c->pads);
        resolve_auto_pad(&w, c->auto_pad);
        status = count_windows(&w, c->ceil_mode);
        if (status == HSCHED_OK && some_window_misses(&w))
            status =
                hsi_error(HSCHED_ERROR_SHAPE,
                          "padding %lld+%lld along the %s is so large that a window of "
                          "kernel %lld and dilation %lld sees padding only; use less "
                          "padding",
                          (long long)w.before, (long long)w.after, w.axis,
                          (long long)w.kernel, (long long)w.dilation);
        if (status != HSCHED_OK)
            return hsi_error_prefix(status, "x " HSI_TENSOR_FMT ": ", HSI_TENSOR_ARGS(x));
        c->pads[axis] = w.before;
        c->pads[axis + 2] = w.after;
        f->dims[2 + axis] = w.out;
    }
    c->auto_pad = HSCHED_PAD_EXPLICIT;
    return HSCHED_OK;
}

/* x [N,C,H,W] -> [N,C,1,1] */
hsched_status hsi_infer_global_pool(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0);
    hsched_status status = hsi_expect_float32(x, "x");
    if (status == HSCHED_OK)
        status = hsi_expect_rank(x, "x", 4, "[N,C,H,W]");
    if (status == HSCHED_OK)
        status = check_pool_kind(f->attrs->global_pool);
    if (status != HSCHED_OK)
        return status;
    hsi_infer_set(f, HSCHED_FLOAT32, 4,
                  (const int64_t[4]){ x->dims[0], x->dims[1], 1, 1 });
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
