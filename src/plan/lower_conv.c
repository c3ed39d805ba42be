/*
 * Convolutions of one to three spatial dimensions, transposed ones too, as CONV2D steps.
 *
 * Depth goes into the batch, depth-major ("planes", [D*N,C,H,W]): tap k of a kernel's depth
 * then is a convolution of planes that begin k * dilation * N further on, added to what the
 * taps before have given (the step's residual). A length is an image of height 1.
 *
 * A transposed convolution of stride s is, for each of the s phases of its result, a
 * convolution of x with every s-th tap of the kernel, turned around. All phases together are
 * one convolution with s times the output channels, whose result is moved so that phases
 * come to lie between each other.
 */
#include "plan/passes.h"

#include <string.h>

#include "base/status.h"

/* Depth, height, width, as all convolutions have them here. */
typedef struct conv {
    const hsi_layer *layer;
    int64_t n, in[3], out[3];
    int64_t filters, channels; /* the weights' first two dimensions */
    int64_t kernel[3], strides[3], before[3], after[3], dilations[3], groups;
} conv;

/* `count` numbers of the last dimensions among three, the others `fallback`. */
static void spread(int64_t to[3], const int64_t *from, uint32_t count, int64_t fallback)
{
    for (uint32_t i = 0; i < 3; i++)
        to[i] = i + count < 3 ? fallback : from[i + count - 3];
}

/* ---- One convolution of planes -------------------------------------------- */

/* The weights of one depth tap, [O,C/groups,kh,kw]. */
static hsi_value *tap_weights(hsi_ir *ir, const conv *c, const float *weights,
                              int64_t tap)
{
    const int64_t dims[4] = { c->filters, c->channels, c->kernel[1], c->kernel[2] };
    const int64_t area = c->kernel[1] * c->kernel[2];
    float *data;
    if (c->kernel[0] == 1)
        return hsi_ir_constant(ir, HSCHED_FLOAT32, 4, dims, weights);
    hsi_value *w = hsi_ir_weights(ir, 4, dims, &data);
    for (int64_t k = 0; w != NULL && k < c->filters * c->channels; k++)
        memcpy(data + k * area, weights + (k * c->kernel[0] + tap) * area,
               (size_t)area * sizeof *data);
    return w;
}

/* The planes that a depth tap reads; x has its padding already. */
static hsi_value *tap_planes(hsi_ir *ir, const conv *c, hsi_value *x, int64_t tap)
{
    const char *name = c->layer->name;
    const int64_t first = tap * c->dilations[0], step = c->strides[0];
    const int64_t *d = x->dims;
    if (step == 1 || c->n == 1)
        return hsi_lower_slice(ir, name, x, 0, first * c->n, step, c->out[0] * c->n);
    hsi_value *apart = hsi_lower_reshape_to(
        ir, name, x, 5, (const int64_t[5]){ d[0] / c->n, c->n, d[1], d[2], d[3] });
    apart = hsi_lower_slice(ir, name, apart, 0, first, step, c->out[0]);
    return hsi_lower_reshape_to(ir, name, apart, 4,
                                (const int64_t[4]){ c->out[0] * c->n, d[1], d[2], d[3] });
}

/* 0 if a depth tap reads nothing but padding. */
static int tap_counts(const conv *c, int64_t tap)
{
    for (int64_t d = 0; d < c->out[0]; d++) {
        const int64_t at = d * c->strides[0] - c->before[0] + tap * c->dilations[0];
        if (at >= 0 && at < c->in[0])
            return 1;
    }
    return 0;
}

/* x [D*N,C,H,W] -> [D'*N,O,H',W']; weights [O,C/groups,kd,kh,kw]. NULL: out of memory. */
static hsi_value *convolve(hsi_ir *ir, const conv *c, hsi_value *x, const float *weights,
                           hsi_value *bias)
{
    const char *name = c->layer->name;
    const int64_t dims[4] = { c->out[0] * c->n, c->filters, c->out[1], c->out[2] };
    hsi_value *sum = NULL;
    hsi_op *op = NULL;
    x = hsi_lower_pad(ir, name, x, 0, c->before[0] * c->n, c->after[0] * c->n, 0);
    for (int64_t tap = 0; tap < c->kernel[0] && x != NULL; tap++) {
        if (!tap_counts(c, tap) && (sum != NULL || tap + 1 < c->kernel[0]))
            continue;
        hsi_value *planes = tap_planes(ir, c, x, tap);
        hsi_value *w = tap_weights(ir, c, weights, tap);
        hsi_value *y = hsi_ir_value(ir, HSCHED_FLOAT32, 4, dims);
        if (planes == NULL || w == NULL || y == NULL)
            return NULL;
        op = hsi_ir_op(ir, HSCHED_STEP_CONV2D, name, sum != NULL ? 4 : 3, y);
        if (op == NULL)
            return NULL;
        op->in[0] = planes;
        op->in[1] = w;
        op->in[2] = sum == NULL ? bias : NULL;
        if (sum != NULL)
            op->in[3] = sum;
        for (int i = 0; i < 2; i++) {
            op->step.u.conv2d.strides[i] = c->strides[1 + i];
            op->step.u.conv2d.dilations[i] = c->dilations[1 + i];
            op->step.u.conv2d.pads[i] = c->before[1 + i];
            op->step.u.conv2d.pads[2 + i] = c->after[1 + i];
        }
        op->step.u.conv2d.groups = c->groups;
        op->macs = (uint64_t)(c->channels * c->kernel[1] * c->kernel[2]) *
                   (uint64_t)(dims[0] * dims[1] * dims[2] * dims[3]);
        if (hsi_lower_add(ir, op) != HSCHED_OK)
            return NULL;
        sum = y;
    }
    if (op != NULL)
        op->tensor = c->layer->output;
    return sum;
}

hsched_status hsi_lower_conv(hsi_ir *ir, const hsi_layer *layer, hsi_value **in,
                             hsi_value *out)
{
    const hsched_conv_config *config = &layer->attrs.conv;
    const uint32_t spatial = out->rank - 2;
    conv c = { .layer = layer,
               .n = out->dims[0],
               .filters = in[1]->dims[0],
               .channels = in[1]->dims[1],
               .groups = config->groups };
    spread(c.in, in[0]->dims + 2, spatial, 1);
    spread(c.out, out->dims + 2, spatial, 1);
    spread(c.kernel, in[1]->dims + 2, spatial, 1);
    spread(c.strides, config->strides, spatial, 1);
    spread(c.before, config->pads, spatial, 0);
    spread(c.after, config->pads + spatial, spatial, 0);
    spread(c.dilations, config->dilations, spatial, 1);
    hsi_value *x = hsi_lower_to_planes(ir, layer->name, in[0]);
    hsi_value *y = x != NULL ? convolve(ir, &c, x, in[1]->data, in[2]) : NULL;
    return hsi_lower_from_planes(ir, layer->name, y, out);
}

/* ---- Transposed ----------------------------------------------------------- */

/* A transposed convolution along one axis. Element o of the result is phase
 * r = (o + pad) mod phases of place q = (o + pad) / phases, and the sum over taps t of
 * x[q - t * spacing] times tap r + t * phases of the kernel.
 *
 * Where that needs no more taps, places begin `turn` = pad mod phases elements later, with the
 * result's first: then none is cut off, which would be another copy. Phase r is then what was
 * phase r + turn, of the next place where that is past the last: for the others tap t is the
 * one before. */
typedef struct axis {
    int64_t phases, taps, spacing;
    int64_t kernel, dilation;
    int64_t turn;
    int64_t crop; /* elements of the first place that are not in the result */
} axis;

/* The kernel's index for tap t of phase r, or -1: a hole between dilated taps, or past it. */
static int64_t kernel_index(const axis *a, int64_t phase, int64_t tap)
{
    if (a->phases == 1)
        return tap;
    phase += a->turn;
    if (a->turn > 0 && phase < a->phases && tap-- == 0)
        return -1;
    const int64_t at = phase % a->phases + tap * a->phases;
    return at % a->dilation == 0 && at / a->dilation < a->kernel ? at / a->dilation : -1;
}

/* Along one axis of x: how it is cut and padded for the places that the result needs. */
static hsi_value *find_places(hsi_ir *ir, conv *c, int i, axis *a, int64_t stride,
                              int64_t pad, int64_t size, hsi_value *x)
{
    const char *name = c->layer->name;
    const int64_t scale = i == 0 ? c->n : 1; /* rows of x per index */
    const uint32_t dim = i == 0 ? 0 : (uint32_t)i + 1;
    const int64_t extent = (a->kernel - 1) * a->dilation + 1;
    a->phases = stride;
    a->taps = stride == 1 ? a->kernel : (extent + stride - 1) / stride;
    a->spacing = stride == 1 ? a->dilation : 1;
    int64_t first = pad / stride, last = (pad + size - 1) / stride;
    const int64_t turn = pad % stride;
    if (turn > 0 && (extent - turn + stride - 1) / stride < a->taps) {
        a->turn = turn;
        first++;
        last = first + (size + stride - 1) / stride - 1;
    }
    const int64_t reach = (a->taps - 1) * a->spacing;
    int64_t before = reach - first, after = last - (c->in[i] - 1);
    a->crop = a->turn > 0 ? 0 : turn;
    const int64_t start = before < 0 ? -before : 0, end = after < 0 ? -after : 0;
    x = hsi_lower_slice(ir, name, x, dim, start * scale, 1,
                        (c->in[i] - start - end) * scale);
    c->in[i] -= start + end;
    c->before[i] = before < 0 ? 0 : before;
    c->after[i] = after < 0 ? 0 : after;
    if (c->after[i] > reach && i > 0) { /* windows are made for no more than that */
        const int64_t more = c->after[i] - reach;
        x = hsi_lower_pad(ir, name, x, dim, 0, more, 0);
        c->in[i] += more;
        c->after[i] = reach;
    }
    c->kernel[i] = a->taps;
    c->dilations[i] = a->spacing;
    c->strides[i] = 1;
    c->out[i] = last - first + 1;
    return x;
}

/* [(group, phases, O/groups), C/groups, taps] of the weights [C,O/groups,k]; `phase` and
 * `tap` of all three axes. */
static void fill_phase(const conv *c, const axis *a, const hsi_value *w,
                       const int64_t phase[3], int64_t group, float *to)
{
    const int64_t outputs = w->dims[1], area = a[0].kernel * a[1].kernel * a[2].kernel;
    const float *from = w->data;
    for (int64_t o = 0; o < outputs; o++)
        for (int64_t ch = 0; ch < c->channels; ch++) {
            const float *kernel =
                from + ((group * c->channels + ch) * outputs + o) * area;
            for (int64_t d = a[0].taps; d-- > 0;)
                for (int64_t h = a[1].taps; h-- > 0;)
                    for (int64_t v = a[2].taps; v-- > 0;) {
                        const int64_t kd = kernel_index(&a[0], phase[0], d),
                                      kh = kernel_index(&a[1], phase[1], h),
                                      kw = kernel_index(&a[2], phase[2], v);
                        *to++ = kd < 0 || kh < 0 || kw < 0
                                    ? 0
                                    : kernel[(kd * a[1].kernel + kh) * a[2].kernel + kw];
                    }
        }
}

static hsched_status phased_weights(hsi_ir *ir, const conv *c, const axis *a,
                                    const hsi_value *w, const hsi_value *bias,
                                    float **weights, hsi_value **phased_bias)
{
    const int64_t outputs = w->dims[1];
    const int64_t per_phase = outputs * c->channels * a[0].taps * a[1].taps * a[2].taps;
    const int64_t dims[5] = { c->filters, c->channels, a[0].taps, a[1].taps, a[2].taps };
    float *to, *b = NULL;
    *phased_bias = NULL;
    if (hsi_ir_weights(ir, 5, dims, weights) == NULL)
        return hsi_ir_no_memory();
    if (bias != NULL && (*phased_bias = hsi_ir_weights(ir, 1, &c->filters, &b)) == NULL)
        return hsi_ir_no_memory();
    to = *weights;
    for (int64_t g = 0; g < c->groups; g++)
        for (int64_t d = 0; d < a[0].phases; d++)
            for (int64_t h = 0; h < a[1].phases; h++)
                for (int64_t v = 0; v < a[2].phases; v++) {
                    fill_phase(c, a, w, (const int64_t[3]){ d, h, v }, g, to);
                    to += per_phase;
                    if (b == NULL)
                        continue;
                    memcpy(b, (const float *)bias->data + g * outputs,
                           (size_t)outputs * sizeof *b);
                    b += outputs;
                }
    return HSCHED_OK;
}

/* [D*N,(group,phases,o),H,W] -> the planes of the result, not cut yet. In channels-last
 * memory o stays together, so that the copy that this needs moves whole pixels. */
static hsi_value *merge_phases(hsi_ir *ir, const conv *c, const axis *a, hsi_value *y)
{
    static const int64_t to_last[4] = { 0, 2, 3, 1 }, from_last[4] = { 0, 3, 1, 2 };
    static const int64_t deepen[6] = { 0, 3, 1, 2, 4, 5 };
    static const int64_t widen[7] = { 0, 1, 4, 2, 5, 3, 6 };
    const char *name = c->layer->name;
    const int64_t d = a[0].phases, h = a[1].phases, w = a[2].phases, g = c->groups;
    const int64_t o = c->filters / (g * d * h * w), rows = c->out[1], columns = c->out[2];
    int64_t planes = c->out[0] * c->n;
    if (d * h * w == 1)
        return y;
    y = hsi_lower_transpose(ir, name, y, to_last);
    if (d > 1) {
        const int64_t apart[6] = { c->out[0], c->n * rows * columns, g, d, h * w * o, 1 };
        y = hsi_lower_reshape_to(ir, name, y, 6, apart);
        y = hsi_lower_transpose(ir, name, y, deepen);
        planes *= d;
    }
    y = hsi_lower_reshape_to(ir, name, y, 7,
                             (const int64_t[7]){ planes, rows, columns, g, h, w, o });
    y = hsi_lower_transpose(ir, name, y, widen);
    y = hsi_lower_reshape_to(ir, name, y, 4,
                             (const int64_t[4]){ planes, rows * h, columns * w, g * o });
    return hsi_lower_transpose(ir, name, y, from_last);
}

hsched_status hsi_lower_conv_transpose(hsi_ir *ir, const hsi_layer *layer, hsi_value **in,
                                       hsi_value *out)
{
    const hsched_conv_transpose_config *config = &layer->attrs.conv_transpose;
    const char *name = layer->name;
    const uint32_t spatial = out->rank - 2;
    conv c = { .layer = layer, .n = out->dims[0], .groups = config->groups };
    int64_t kernel[3], strides[3], pads[3], dilations[3], sizes[3];
    axis a[3];
    spread(c.in, in[0]->dims + 2, spatial, 1);
    spread(sizes, out->dims + 2, spatial, 1);
    spread(kernel, in[1]->dims + 2, spatial, 1);
    spread(strides, config->strides, spatial, 1);
    spread(pads, config->pads, spatial, 0);
    spread(dilations, config->dilations, spatial, 1);
    c.channels = in[1]->dims[0] / c.groups;
    c.filters = in[1]->dims[1] * c.groups * strides[0] * strides[1] * strides[2];
    hsi_value *x = hsi_lower_to_planes(ir, name, in[0]), *bias;
    for (int i = 0; i < 3; i++) {
        a[i] = (axis){ .kernel = kernel[i], .dilation = dilations[i] };
        x = find_places(ir, &c, i, &a[i], strides[i], pads[i], sizes[i], x);
    }
    float *weights;
    hsched_status status = phased_weights(ir, &c, a, in[1], in[2], &weights, &bias);
    if (status != HSCHED_OK)
        return status;
    hsi_value *y = x != NULL ? convolve(ir, &c, x, weights, bias) : NULL;
    y = y != NULL ? merge_phases(ir, &c, a, y) : NULL;
    y = hsi_lower_slice(ir, name, y, 0, a[0].crop * c.n, 1, sizes[0] * c.n);
    y = hsi_lower_slice(ir, name, y, 2, a[1].crop, 1, sizes[1]);
    y = hsi_lower_slice(ir, name, y, 3, a[2].crop, 1, sizes[2]);
    return hsi_lower_from_planes(ir, name, y, out);
}
