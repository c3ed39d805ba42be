#include "gpu/conv_problem.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cuda/host.h"

/* ---- What the library would do for the plug-in ---------------------------- */

char conv_error[512];

static hsched_status set_error(hsched_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(conv_error, sizeof conv_error, format, arguments);
    va_end(arguments);
    return status;
}

static void log_line(hsched_log_level level, const char *format, ...)
{
    (void)level;
    (void)format;
}

static void *alloc(size_t size)
{
    void *memory = aligned_alloc(64, (size + 63) / 64 * 64);
    return memory ? memset(memory, 0, size) : NULL;
}

static const hsched_backend_host host = { .struct_size = sizeof host,
                                          .set_error = set_error,
                                          .log = log_line,
                                          .alloc = alloc,
                                          .free = free,
                                          .dtype_size = hsched_dtype_size };

void conv_need(hsched_status status, const char *what)
{
    if (status == HSCHED_OK)
        return;
    fprintf(stderr, "bench_conv: %s: %s\n", what, conv_error);
    exit(1);
}

/* ---- The GPU ---------------------------------------------------------------- */

conv_bench_state conv_bench;

void conv_open(void)
{
    const hsched_device_config config = { .struct_size = sizeof config,
                                          .host = &host,
                                          .workers = 1,
                                          .tuning = HSCHED_GPU_TUNING_NONE,
                                          .cache_dir = "/dev/null/hsched" };
    hsi_cuda_host = &host;
    conv_need(hsi_cuda_device_open(&config, &conv_bench.device), "opening the GPU");
    conv_need(hsi_cuda_enter(conv_bench.device), "entering the GPU");
    conv_bench.stream = conv_bench.device->capture_stream;
    CONV_NEED(cuMemAlloc, &conv_bench.workspace, CONV_WORKSPACE);
    CONV_NEED(cuMemsetD8, conv_bench.workspace, 0, CONV_WORKSPACE);
    printf("%s, %d multiprocessors\n", conv_bench.device->description,
           conv_bench.device->sm_count);
}

void conv_close(void)
{
    hsi_cuda_leave(conv_bench.device);
    hsi_cuda_device_close(conv_bench.device);
}

hsched_status conv_enqueue(const hsi_cuda_op *op, const hsi_cuda_call *call)
{
    hsi_cuda_call placed = *call;
    placed.workspace = conv_bench.workspace + CONV_COUNTERS - op->zeroed;
    return op->enqueue(op, &placed);
}

/* ---- Operands --------------------------------------------------------------- */

static uint64_t random_state = 1;

static int random_below(int n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (int)((random_state >> 33) % (uint64_t)n);
}

static hsched_operand operand(int64_t n, int64_t c, int64_t h, int64_t w, int64_t pixel)
{
    return (hsched_operand){ .dtype = HSCHED_FLOAT32,
                             .rank = 4,
                             .dims = { n, c, h, w },
                             .strides = { h * w * pixel, 1, w * pixel, pixel } };
}

static int64_t extent(const hsched_operand *t)
{
    return t->dims[0] * t->strides[0] + 64;
}

static void put(void *to, int64_t i, float value, hsi_cuda_type type)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (type == HSI_CUDA_F32)
        ((float *)to)[i] = value;
    else if (type == HSI_CUDA_F16)
        ((_Float16 *)to)[i] = (_Float16)value;
    else /* to nearest, ties to even */
        ((uint16_t *)to)[i] = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static float get(const void *from, int64_t i, hsi_cuda_type type)
{
    if (type == HSI_CUDA_F32)
        return ((const float *)from)[i];
    if (type == HSI_CUDA_F16)
        return (float)((const _Float16 *)from)[i];
    uint32_t bits = (uint32_t)((const uint16_t *)from)[i] << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

CUdeviceptr conv_upload(const float *values, int64_t count, hsi_cuda_type type,
                        CUdeviceptr *block)
{
    const size_t size = hsi_cuda_type_size(type);
    void *raw = malloc((size_t)count * size);
    for (int64_t i = 0; i < count; i++)
        put(raw, i, values[i], type);
    CONV_NEED(cuMemAlloc, block, (size_t)count * size);
    CONV_NEED(cuMemcpyHtoD, *block, raw, (size_t)count * size);
    conv_need(hsi_cuda_finish_default(), "uploading");
    free(raw);
    return *block;
}

static float *random_values(int64_t count, float unit)
{
    float *values = malloc((size_t)count * sizeof *values);
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)(random_below(17) - 8) * unit;
    return values;
}

static void describe(conv_problem *p, const conv_layer *l, hsi_cuda_type type)
{
    hsched_step *s = &p->step.step;
    const int width = l->width ? l->width : l->height,
              dilation = l->dilation ? l->dilation : 1;
    const int reach = (l->kernel - 1) * dilation + 1;
    const int oh = (l->height + 2 * l->pad - reach) / l->stride + 1;
    const int ow = (width + 2 * l->pad - reach) / l->stride + 1;
    p->of = l;
    p->step = (hsi_cuda_step){ .device = conv_bench.device, .type = type };
    *s = (hsched_step){
        .struct_size = sizeof *s,
        .kind = HSCHED_STEP_CONV2D,
        .name = l->name,
        .input_count = 4,
        .out_aliases = -1,
        .act = { .kind =
                     (hsched_activation_kind)(l->act ? l->act : HSCHED_ACTIVATION_RELU),
                 .a = -0.5f,
                 .b = 1.0f }
    };
    s->in[0] = operand(l->batch, l->channels, l->height, width, l->channels + l->x_gap);
    s->in[1] = operand(l->outputs, l->channels / l->groups, l->kernel, l->kernel,
                       l->channels / l->groups);
    s->in[2] = (hsched_operand){
        .dtype = HSCHED_FLOAT32, .rank = 1, .dims = { l->outputs }, .strides = { 1 }
    };
    s->out = operand(l->batch, l->outputs, oh, ow, l->outputs + l->out_gap);
    if (l->residual)
        s->in[3] = s->out;
    s->u.conv2d.strides[0] = s->u.conv2d.strides[1] = l->stride;
    s->u.conv2d.dilations[0] = s->u.conv2d.dilations[1] = dilation;
    for (int i = 0; i < 4; i++)
        s->u.conv2d.pads[i] = l->pad;
    s->u.conv2d.groups = l->groups;
    for (int i = 0; i < HSCHED_STEP_MAX_INPUTS; i++)
        p->step.alignment[i] = 256;
    p->step.out_alignment = 256;
    if (l->shift)
        p->step.alignment[0] = p->step.alignment[3] = p->step.out_alignment =
            (uint32_t)hsi_cuda_type_size(type);
}

void conv_problem_make(conv_problem *p, const conv_layer *l, hsi_cuda_type type)
{
    memset(p, 0, sizeof *p);
    describe(p, l, type);
    const size_t size = hsi_cuda_type_size(type);
    const int64_t k = (int64_t)l->channels / l->groups * l->kernel * l->kernel;
    p->x_size = extent(&p->step.step.in[0]);
    p->w_size = k * l->outputs;
    p->out_size = extent(&p->step.step.out);
    p->w_scale = 1;
    while (p->w_scale * p->w_scale * (double)k > 1)
        p->w_scale /= 2;
    p->x = random_values(p->x_size, l->factor > 0 ? 0.125f * l->factor : 0.125f);
    p->w = random_values(p->w_size, (float)(0.125 * p->w_scale));
    p->bias = random_values(l->outputs, 0.0625f);
    p->residual = l->residual ? random_values(p->out_size, 0.125f) : NULL;
    p->call.stream = conv_bench.stream;
    p->call.in[0] =
        conv_upload(p->x, p->x_size, type, &p->blocks[0]) + (size_t)l->shift * size;
    p->call.in[1] = conv_upload(p->w, p->w_size, type, &p->blocks[1]);
    p->call.in[2] = conv_upload(p->bias, l->outputs, HSI_CUDA_F32, &p->blocks[2]);
    p->step.constants[1] = p->call.in[1];
    p->step.constants[2] = p->call.in[2];
    if (l->residual)
        p->call.in[3] = conv_upload(p->residual, p->out_size, type, &p->blocks[3]) +
                        (size_t)l->shift * size;
    CONV_NEED(cuMemAlloc, &p->blocks[4], (size_t)p->out_size * size);
    p->call.out = p->blocks[4] + (size_t)l->shift * size;
}

void conv_problem_free(conv_problem *p)
{
    for (int i = 0; i < 5; i++)
        if (p->blocks[i])
            CONV_NEED(cuMemFree, p->blocks[i]);
    free(p->x);
    free(p->w);
    free(p->bias);
    free(p->residual);
    free(p->want);
}

static double activate(double x, hsched_activation act)
{
    switch (act.kind) {
    case HSCHED_ACTIVATION_RELU:
        return x < 0 ? 0 : x;
    case HSCHED_ACTIVATION_CLIP:
        return x < (double)act.a ? (double)act.a : x > (double)act.b ? (double)act.b : x;
    case HSCHED_ACTIVATION_SIGMOID:
        return 1 / (1 + exp(-x));
    default:
        return x;
    }
}

static double expected(const conv_problem *p, int64_t n, int64_t o, int64_t oy,
                       int64_t ox)
{
    const conv_layer *l = p->of;
    const hsched_operand *x = &p->step.step.in[0], *out = &p->step.step.out;
    const int64_t shift = l->shift, per_group = l->channels / l->groups;
    const int64_t first_c = o / (l->outputs / l->groups) * per_group;
    const int depthwise = per_group == 1 && l->groups > 1 && l->groups == l->outputs;
    const int64_t place =
        shift + n * out->strides[0] + oy * out->strides[2] + ox * out->strides[3] + o;
    double sum = (double)p->bias[o] + (l->residual ? (double)p->residual[place] : 0);
    for (int r = 0; r < l->kernel; r++)
        for (int s = 0; s < l->kernel; s++) {
            const int64_t y =
                oy * l->stride - l->pad + r * p->step.step.u.conv2d.dilations[0];
            const int64_t v =
                ox * l->stride - l->pad + s * p->step.step.u.conv2d.dilations[1];
            if (y < 0 || y >= x->dims[2] || v < 0 || v >= x->dims[3])
                continue;
            const float *from = p->x + shift + n * x->strides[0] + y * x->strides[2] +
                                v * x->strides[3] + first_c;
            const int64_t tap = r * l->kernel + s;
            for (int64_t c = 0; c < per_group; c++)
                sum +=
                    (double)from[c] *
                    (double)p->w[depthwise
                                     ? tap * l->outputs + o
                                     : (o * l->kernel * l->kernel + tap) * per_group + c];
        }
    return activate(sum, p->step.step.act);
}

/* The i-th of `count` elements that are compared: all, or some with the first and last. */
static void choose_element(const hsched_operand *t, int64_t i, int64_t count, int64_t *at)
{
    const int64_t all = t->dims[0] * t->dims[1] * t->dims[2] * t->dims[3];
    int64_t e = count == all ? i : i < 2 ? i * (all - 1) : (i * 2654435761 + 12345) % all;
    at[1] = e % t->dims[1];
    e /= t->dims[1];
    at[3] = e % t->dims[3];
    e /= t->dims[3];
    at[2] = e % t->dims[2];
    at[0] = e / t->dims[2];
}

int64_t conv_problem_wrong(conv_problem *p, int64_t most, char *first, size_t first_size)
{
    const hsi_cuda_type type = p->step.type;
    const hsched_operand *t = &p->step.step.out;
    const size_t bytes = (size_t)p->out_size * hsi_cuda_type_size(type);
    const int64_t all = t->dims[0] * t->dims[1] * t->dims[2] * t->dims[3];
    const int64_t count = most && most < all ? most : all;
    const int rounded =
        p->step.step.act.kind == HSCHED_ACTIVATION_SIGMOID || p->of->factor > 0;
    const double near = type == HSI_CUDA_BF16 ? 0.01 : 0.002;
    char *raw = malloc(bytes);
    int64_t wrong = 0, at[4];
    CONV_NEED(cuMemcpyDtoH, raw, p->blocks[4], bytes);
    if (!p->want) {
        p->want = malloc((size_t)count * sizeof *p->want);
        for (int64_t i = 0; i < count; i++) {
            choose_element(t, i, count, at);
            p->want[i] = expected(p, at[0], at[1], at[2], at[3]);
        }
    }
    for (int64_t i = 0; i < count; i++) {
        choose_element(t, i, count, at);
        char one[4];
        put(one, 0, (float)p->want[i], type);
        const float got = get(raw,
                              p->of->shift + at[0] * t->strides[0] +
                                  at[2] * t->strides[2] + at[3] * t->strides[3] + at[1],
                              type);
        const int ok =
            rounded ? fabs((double)got - p->want[i]) <= near : got == get(one, 0, type);
        if (!ok && wrong++ == 0)
            snprintf(first, first_size,
                     "[%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 "] is %g, not %g",
                     at[0], at[1], at[2], at[3], (double)got, p->want[i]);
    }
    free(raw);
    return wrong;
}

int64_t conv_problem_stray(conv_problem *p)
{
    const hsched_operand *t = &p->step.step.out;
    const size_t size = hsi_cuda_type_size(p->step.type);
    unsigned char *raw = malloc((size_t)p->out_size * size);
    int64_t stray = 0;
    CONV_NEED(cuMemcpyDtoH, raw, p->blocks[4], (size_t)p->out_size * size);
    const int64_t pixels = t->dims[0] * t->dims[2] * t->dims[3];
    for (int64_t i = 0; i < p->out_size; i++) {
        const int64_t at = i - p->of->shift, m = at < 0 ? -1 : at / t->strides[3];
        const int inside = m >= 0 && m < pixels && at % t->strides[3] < t->dims[1];
        for (size_t b = 0; b < size && !inside; b++)
            stray += raw[(size_t)i * size + b] != 0xff;
    }
    free(raw);
    return stray;
}
