/*
 * CONV2D through cuDNN's graphs: convolution, residual, bias and activation as one graph of
 * operations with virtual float tensors between them, executed by one of cuDNN's engines.
 *
 * A variant is "cudnn:ENGINE:KNOB=VALUE,...": what an engine configuration consists of, so that
 * a stored choice is made again without asking the heuristics. With "a" after the engine the
 * activation is no part of the graph and follows as an own kernel, in place: for activations
 * that cuDNN has not, or not exactly, or only in engines that it compiles at run time. Those
 * have a "c", and come last.
 */
#include "backend/cuda/bias.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "backend/cuda/host.h"
#include "backend/cuda/record.h"
#include "backend/cuda/tune.h"

#define WORKSPACE_MAX ((int64_t)64 << 20)
#define POOL_MAX      64 /* descriptors of one op: 20 and a knob choice each */
#define KNOBS_MAX     32
#define CONFIGS_MAX   128 /* that are asked of the heuristics */
#define NOTES_MAX     32
#define COMPILED_MAX  24 /* variants with engines that are compiled at run time */

typedef cudnnBackendDescriptor_t desc;

/* ---- Descriptors ---------------------------------------------------------- */

/*
 * Descriptors that live and die together. Once something has failed, all else does nothing:
 * `status` is looked at in the end. All are kept as long as the plan that was made of them,
 * since cuDNN does not say which of them it copies.
 */
typedef struct pool {
    desc items[POOL_MAX];
    uint32_t count;
    hsched_status status;
} pool;

static const char doing[] = "a convolution by cuDNN";

/* Not through DNN: what is not destroyed because a test made the call fail would leak. */
static void destroy_desc(desc d)
{
    hsi_cuda.cudnnBackendDestroyDescriptor(d);
}

static void pool_end(pool *p)
{
    while (p->count > 0)
        destroy_desc(p->items[--p->count]);
}

static desc create(pool *p, cudnnBackendDescriptorType_t type)
{
    desc d = NULL;
    if (p->status == HSCHED_OK && p->count == POOL_MAX)
        p->status = hsi_cuda_host->set_error(HSCHED_ERROR_UNSUPPORTED,
                                             "GPU: %s: too many descriptors", doing);
    if (p->status == HSCHED_OK)
        p->status = DNN_CHECK(doing, cudnnBackendCreateDescriptor, type, &d);
    if (p->status != HSCHED_OK)
        return NULL;
    return p->items[p->count++] = d;
}

static void set(pool *p, desc d, cudnnBackendAttributeName_t name,
                cudnnBackendAttributeType_t type, int64_t count, const void *values)
{
    if (p->status == HSCHED_OK)
        p->status =
            DNN_CHECK(doing, cudnnBackendSetAttribute, d, name, type, count, values);
}

static void set_desc(pool *p, desc d, cudnnBackendAttributeName_t name, desc value)
{
    set(p, d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

static void finalize(pool *p, desc d)
{
    if (p->status == HSCHED_OK)
        p->status = DNN_CHECK(doing, cudnnBackendFinalize, d);
}

/* ---- The graph ------------------------------------------------------------ */

/* Names of tensors: in[i] is i + 1; virtual ones follow. */
enum {
    ID_X = 1,
    ID_WEIGHTS,
    ID_BIAS,
    ID_RESIDUAL,
    ID_OUT,
    ID_VIRTUAL
};

static cudnnDataType_t data_type(hsi_cuda_type type)
{
    return type == HSI_CUDA_F16    ? CUDNN_DATA_HALF
           : type == HSI_CUDA_BF16 ? CUDNN_DATA_BFLOAT16
                                   : CUDNN_DATA_FLOAT;
}

static desc tensor(pool *p, int64_t id, cudnnDataType_t type, const int64_t *dims,
                   const int64_t *strides, int64_t alignment)
{
    const bool is_virtual = id >= ID_VIRTUAL;
    desc d = create(p, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    set(p, d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id);
    set(p, d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    set(p, d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dims);
    set(p, d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides);
    set(p, d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    if (is_virtual)
        set(p, d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual);
    finalize(p, d);
    return d;
}

/* An image of the step. More than 16 bytes of alignment help no engine. */
static desc image(pool *p, int64_t id, const hsi_cuda_step *step,
                  const hsched_operand *operand, uint32_t alignment)
{
    return tensor(p, id, data_type(step->type), operand->dims, operand->strides,
                  alignment < 16 ? alignment : 16);
}

static desc weights(pool *p, const hsi_cuda_step *step)
{
    const int64_t *dims = step->step.in[1].dims; /* stored [O][kh][kw][C/groups] */
    const int64_t strides[4] = { dims[1] * dims[2] * dims[3], 1, dims[3] * dims[1],
                                 dims[1] };
    return tensor(p, ID_WEIGHTS, data_type(step->type), dims, strides, 16);
}

static desc bias(pool *p, cudnnDataType_t type, int64_t channels)
{
    return tensor(p, ID_BIAS, type, (int64_t[]){ 1, channels, 1, 1 },
                  (int64_t[]){ channels, 1, channels, channels }, 16);
}

static desc virtual_image(pool *p, int64_t id, const int64_t *dims)
{
    const int64_t strides[4] = { dims[1] * dims[2] * dims[3], 1, dims[3] * dims[1],
                                 dims[1] };
    return tensor(p, id, CUDNN_DATA_FLOAT, dims, strides, 16);
}

static desc convolution(pool *p, const hsched_step *s, desc x, desc w, desc y)
{
    const int64_t two = 2;
    const cudnnDataType_t compute = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const float one = 1, zero = 0;
    const int64_t *pads = s->u.conv2d.pads; /* top, left, bottom, right */
    desc c = create(p, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    set(p, c, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &compute);
    set(p, c, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    set(p, c, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &two);
    set(p, c, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2,
        s->u.conv2d.dilations);
    set(p, c, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2,
        s->u.conv2d.strides);
    set(p, c, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, pads);
    set(p, c, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, pads + 2);
    finalize(p, c);
    desc o = create(p, CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    set_desc(p, o, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, c);
    set_desc(p, o, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, x);
    set_desc(p, o, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, w);
    set_desc(p, o, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, y);
    set(p, o, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1, &one);
    set(p, o, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, 1, &zero);
    finalize(p, o);
    return o;
}

static desc pointwise_desc(pool *p, cudnnPointwiseMode_t mode)
{
    const cudnnDataType_t compute = CUDNN_DATA_FLOAT;
    desc d = create(p, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    set(p, d, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    set(p, d, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &compute);
    return d;
}

/* y = how(x) or, where b is not NULL, how(x, b); `how` is not finalized yet. */
static desc pointwise(pool *p, desc how, desc x, desc b, desc y)
{
    finalize(p, how);
    desc o = create(p, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    set_desc(p, o, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, how);
    set_desc(p, o, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
    if (b)
        set_desc(p, o, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
    set_desc(p, o, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    finalize(p, o);
    return o;
}

/* ---- Activations ---------------------------------------------------------- */

static void set_double(pool *p, desc d, cudnnBackendAttributeName_t name, double value)
{
    set(p, d, name, CUDNN_TYPE_DOUBLE, 1, &value);
}

/* 1 if the activation can be part of the graph. Strict steps take from cuDNN only what can be
 * computed in one way: its engines are free to approximate exponentials. */
static int can_fuse(const hsi_cuda_step *step)
{
    const hsched_activation act = step->step.act;
    switch (act.kind) {
    case HSCHED_ACTIVATION_RELU:
    case HSCHED_ACTIVATION_LEAKY_RELU:
        return 1;
    case HSCHED_ACTIVATION_CLIP:
        return isfinite(act.a) && isfinite(act.b) && act.a <= act.b;
    case HSCHED_ACTIVATION_SIGMOID:
    case HSCHED_ACTIVATION_TANH:
    case HSCHED_ACTIVATION_ELU:
    case HSCHED_ACTIVATION_GELU:
    case HSCHED_ACTIVATION_SILU:
    case HSCHED_ACTIVATION_SOFTPLUS:
    case HSCHED_ACTIVATION_GELU_TANH:
        return !step->strict;
    default:
        return 0;
    }
}

static desc activation_desc(pool *p, hsched_activation act)
{
    desc d;
    switch (act.kind) {
    case HSCHED_ACTIVATION_LEAKY_RELU:
        d = pointwise_desc(p, CUDNN_POINTWISE_RELU_FWD);
        set_double(p, d, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, act.a);
        return d;
    case HSCHED_ACTIVATION_CLIP:
        d = pointwise_desc(p, CUDNN_POINTWISE_RELU_FWD);
        set_double(p, d, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP, act.a);
        set_double(p, d, CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, act.b);
        return d;
    case HSCHED_ACTIVATION_SIGMOID:
        return pointwise_desc(p, CUDNN_POINTWISE_SIGMOID_FWD);
    case HSCHED_ACTIVATION_TANH:
        return pointwise_desc(p, CUDNN_POINTWISE_TANH_FWD);
    case HSCHED_ACTIVATION_ELU:
        d = pointwise_desc(p, CUDNN_POINTWISE_ELU_FWD);
        set_double(p, d, CUDNN_ATTR_POINTWISE_ELU_ALPHA, act.a);
        return d;
    case HSCHED_ACTIVATION_GELU:
        return pointwise_desc(p, CUDNN_POINTWISE_GELU_FWD);
    case HSCHED_ACTIVATION_GELU_TANH:
        return pointwise_desc(p, CUDNN_POINTWISE_GELU_APPROX_TANH_FWD);
    case HSCHED_ACTIVATION_SILU:
        d = pointwise_desc(p, CUDNN_POINTWISE_SWISH_FWD);
        set_double(p, d, CUDNN_ATTR_POINTWISE_SWISH_BETA, 1);
        return d;
    case HSCHED_ACTIVATION_SOFTPLUS:
        d = pointwise_desc(p, CUDNN_POINTWISE_SOFTPLUS_FWD);
        set_double(p, d, CUDNN_ATTR_POINTWISE_SOFTPLUS_BETA, 1);
        return d;
    default: /* RELU: can_fuse refuses all others */
        return pointwise_desc(p, CUDNN_POINTWISE_RELU_FWD);
    }
}

/* ---- The graph of a step -------------------------------------------------- */

static int is_present(const hsched_step *s, uint32_t input)
{
    return input < s->input_count && s->in[input].dtype != HSCHED_DTYPE_NONE;
}

static hsched_status refuse(const char *why)
{
    return hsi_cuda_host->set_error(HSCHED_ERROR_UNSUPPORTED, "GPU: %s: %s", doing, why);
}

static hsched_status check_step(const hsi_cuda_step *step)
{
    const hsched_step *s = &step->step;
    if (s->kind != HSCHED_STEP_CONV2D)
        return refuse("the step is none");
    /* Depthwise weights lie as [kh][kw][O], which no engine reads; with one channel that is
     * the usual order as well. */
    if (s->u.conv2d.groups > 1 && s->in[1].dims[0] == s->u.conv2d.groups &&
        s->in[1].dims[1] == 1)
        return refuse("depthwise");
    if (!step->device->cudnn)
        return refuse("no cuDNN");
    return HSCHED_OK;
}

/* 1 if the graph has a bias: the step's own or, so that something can be fused, one of zeros. */
static int graph_has_bias(const hsi_cuda_step *step, int fused)
{
    return is_present(&step->step, 2) || is_present(&step->step, 3) || fused;
}

/* convolution, + residual, + bias, activation if `fused`; the last writes `out`. The order is
 * the one that cuDNN's compiled engines know. */
static desc make_graph(pool *p, const hsi_cuda_step *step, int fused)
{
    const hsched_step *s = &step->step;
    desc x = image(p, ID_X, step, &s->in[0], step->alignment[0]);
    desc w = weights(p, step);
    desc out = image(p, ID_OUT, step, &s->out, step->out_alignment);
    desc how[3], second[3], ops[4];
    int64_t stages = 0, id = ID_VIRTUAL;
    if (is_present(s, 3)) {
        how[stages] = pointwise_desc(p, CUDNN_POINTWISE_ADD);
        second[stages++] = image(p, ID_RESIDUAL, step, &s->in[3], step->alignment[3]);
    }
    if (graph_has_bias(step, fused)) {
        how[stages] = pointwise_desc(p, CUDNN_POINTWISE_ADD);
        second[stages++] = bias(p, data_type(step->type), s->out.dims[1]);
    }
    if (fused) {
        how[stages] = activation_desc(p, s->act);
        second[stages++] = NULL;
    }
    desc y = stages > 0 ? virtual_image(p, id++, s->out.dims) : out;
    ops[0] = convolution(p, s, x, w, y);
    for (int64_t i = 0; i < stages; i++) {
        desc from = y;
        y = i + 1 < stages ? virtual_image(p, id++, s->out.dims) : out;
        ops[i + 1] = pointwise(p, how[i], from, second[i], y);
    }
    desc graph = create(p, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    set(p, graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1,
        &step->device->cudnn);
    set(p, graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
        stages + 1, ops);
    finalize(p, graph);
    return graph;
}

/* ---- Engines -------------------------------------------------------------- */

typedef struct choice {
    int fused;    /* the activation, if there is one, is part of the graph */
    int compiled; /* at run time */
    int64_t engine;
    int64_t knobs; /* how many */
    int64_t types[KNOBS_MAX], values[KNOBS_MAX];
} choice;

static int engine_is_compiled(desc engine)
{
    cudnnBackendBehaviorNote_t notes[NOTES_MAX];
    int64_t count = 0;
    if (DNN_CHECK(doing, cudnnBackendGetAttribute, engine,
                  CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE,
                  CUDNN_BEHAVIOR_NOTE_TYPE_COUNT, &count, notes) != HSCHED_OK)
        return 1; /* not known: as if */
    for (int64_t i = 0; i < count && i < NOTES_MAX; i++)
        if (notes[i] == CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION)
            return 1;
    return 0;
}

/* Is x a slice of a joint tensor? Engines compiled at run time take what lies between its
 * pixels for zeros that may be multiplied (seen with cuDNN 9.14, engine 4: 16 channels, a pixel
 * stride of 17): if it is no number, neither is the result. */
static int is_slice(const hsched_operand *x)
{
    return x->strides[3] != x->dims[1] || x->strides[2] != x->dims[3] * x->dims[1];
}

/* 1 if what the engine says of its arithmetic is what the step allows. */
static int engine_is_allowed(const hsi_cuda_step *step, desc engine)
{
    cudnnBackendNumericalNote_t notes[NOTES_MAX];
    int64_t count = 0;
    if (is_slice(&step->step.in[0]) && engine_is_compiled(engine))
        return 0;
    if (DNN_CHECK(doing, cudnnBackendGetAttribute, engine,
                  CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                  CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &count, notes) != HSCHED_OK)
        return 0;
    for (int64_t i = 0; i < count && i < NOTES_MAX; i++)
        switch (notes[i]) {
        case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS: /* to half, not to tf32 */
            if (step->type == HSI_CUDA_F32)
                return 0;
            break;
        case CUDNN_NUMERICAL_NOTE_TENSOR_CORE:
        case CUDNN_NUMERICAL_NOTE_WINOGRAD:
            if (step->strict)
                return 0;
            break;
        case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC:
            if (step->deterministic)
                return 0;
            break;
        case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION:
        case CUDNN_NUMERICAL_NOTE_FFT:
        case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6: /* lose digits */
        case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13:
            return 0;
        default:
            break;
        }
    return 1;
}

/* Reads an engine configuration; 0 if it is of no use for the step. */
static int read_config(pool *p, const hsi_cuda_step *step, desc config, choice *out)
{
    desc engine = create(p, CUDNN_BACKEND_ENGINE_DESCRIPTOR), knobs[KNOBS_MAX];
    int64_t count = 0;
    for (int i = 0; i < KNOBS_MAX; i++)
        knobs[i] = create(p, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
    if (p->status != HSCHED_OK ||
        DNN_CHECK(doing, cudnnBackendGetAttribute, config, CUDNN_ATTR_ENGINECFG_ENGINE,
                  CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &engine) != HSCHED_OK ||
        DNN_CHECK(doing, cudnnBackendGetAttribute, engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX,
                  CUDNN_TYPE_INT64, 1, &count, &out->engine) != HSCHED_OK ||
        !engine_is_allowed(step, engine) ||
        DNN_CHECK(doing, cudnnBackendGetAttribute, config,
                  CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                  KNOBS_MAX, &out->knobs, knobs) != HSCHED_OK ||
        out->knobs > KNOBS_MAX)
        return 0;
    out->compiled = engine_is_compiled(engine);
    for (int64_t i = 0; i < out->knobs; i++) {
        cudnnBackendKnobType_t type = CUDNN_KNOB_TYPE_COUNTS;
        if (DNN_CHECK(doing, cudnnBackendGetAttribute, knobs[i],
                      CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &count,
                      &type) != HSCHED_OK ||
            DNN_CHECK(doing, cudnnBackendGetAttribute, knobs[i],
                      CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, &count,
                      &out->values[i]) != HSCHED_OK)
            return 0;
        out->types[i] = type;
    }
    return 1;
}

/* ---- Variants ------------------------------------------------------------- */

/* 0 if it is too long to be stored. */
static int write_variant(const choice *c, char *text)
{
    int length =
        snprintf(text, HSI_CUDA_VARIANT_LENGTH, "cudnn:%" PRId64 "%s%s:", c->engine,
                 c->compiled ? "c" : "", c->fused ? "" : "a");
    for (int64_t i = 0; i < c->knobs && length < HSI_CUDA_VARIANT_LENGTH; i++)
        length += snprintf(text + length, (size_t)(HSI_CUDA_VARIANT_LENGTH - length),
                           "%s%" PRId64 "=%" PRId64, i > 0 ? "," : "", c->types[i],
                           c->values[i]);
    return length < HSI_CUDA_VARIANT_LENGTH;
}

/* Takes a decimal number off *text; 0 if there is none or it is too long. */
static int read_number(const char **text, int64_t *value)
{
    const char *at = *text;
    const int negative = *at == '-';
    at += negative;
    const char *first = at;
    for (*value = 0; *at >= '0' && *at <= '9' && at - first < 18; at++)
        *value = *value * 10 + (*at - '0');
    if (at == first)
        return 0;
    if (negative)
        *value = -*value;
    *text = at;
    return 1;
}

static int read_char(const char **text, char c)
{
    return **text == c ? ((*text)++, 1) : 0;
}

static int parse_variant(const char *text, choice *c)
{
    static const char head[] = "cudnn:";
    if (strncmp(text, head, sizeof head - 1) != 0)
        return 0;
    text += sizeof head - 1;
    c->knobs = 0;
    if (!read_number(&text, &c->engine) || c->engine < 0)
        return 0;
    c->compiled = read_char(&text, 'c');
    c->fused = !read_char(&text, 'a');
    if (!read_char(&text, ':'))
        return 0;
    while (*text) {
        if (c->knobs == KNOBS_MAX || (c->knobs > 0 && !read_char(&text, ',')) ||
            !read_number(&text, &c->types[c->knobs]) || c->types[c->knobs] < 0 ||
            c->types[c->knobs] > 1000 || !read_char(&text, '=') ||
            !read_number(&text, &c->values[c->knobs]))
            return 0;
        c->knobs++;
    }
    return 1;
}

/* ---- Heuristics ----------------------------------------------------------- */

typedef struct list {
    const hsi_cuda_step *step;
    char (*texts)[HSI_CUDA_VARIANT_LENGTH];
    uint32_t count;
    char compiled[COMPILED_MAX][HSI_CUDA_VARIANT_LENGTH]; /* to come last */
    uint32_t compiled_count;
} list;

/* The fallbacks repeat some of the best. */
static void add_text(char (*texts)[HSI_CUDA_VARIANT_LENGTH], uint32_t *count,
                     const char *text)
{
    for (uint32_t i = 0; i < *count; i++)
        if (strcmp(texts[i], text) == 0)
            return;
    strcpy(texts[(*count)++], text);
}

static void add_config(list *l, int fused, desc config)
{
    pool p = { .status = HSCHED_OK };
    choice c = { .fused = fused };
    char text[HSI_CUDA_VARIANT_LENGTH];
    if (read_config(&p, l->step, config, &c) && write_variant(&c, text)) {
        if (!c.compiled)
            add_text(l->texts, &l->count, text);
        else if (l->compiled_count < COMPILED_MAX)
            add_text(l->compiled, &l->compiled_count, text);
    }
    pool_end(&p);
}

/* The configurations that a heuristic proposes, to be destroyed; at most CONFIGS_MAX. */
static int64_t read_results(pool *p, desc heuristic, desc *configs)
{
    int64_t there = 0, made = 0;
    if (p->status == HSCHED_OK)
        p->status = DNN_CHECK(doing, cudnnBackendGetAttribute, heuristic,
                              CUDNN_ATTR_ENGINEHEUR_RESULTS,
                              CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &there, NULL);
    if (there > CONFIGS_MAX)
        there = CONFIGS_MAX;
    while (p->status == HSCHED_OK && made < there) {
        p->status = DNN_CHECK(doing, cudnnBackendCreateDescriptor,
                              CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &configs[made]);
        made += p->status == HSCHED_OK;
    }
    there = 0; /* fewer than announced: those that do not run here are left out */
    if (p->status == HSCHED_OK && made > 0)
        p->status = DNN_CHECK(doing, cudnnBackendGetAttribute, heuristic,
                              CUDNN_ATTR_ENGINEHEUR_RESULTS,
                              CUDNN_TYPE_BACKEND_DESCRIPTOR, made, &there, configs);
    if (p->status != HSCHED_OK)
        there = 0;
    while (made > there)
        destroy_desc(configs[--made]);
    return made;
}

/* Appends what one of cuDNN's heuristics proposes for a graph, up to `most` texts in all. */
static void ask(list *l, int fused, cudnnBackendHeurMode_t mode, uint32_t most)
{
    const hsi_cuda_device *device = l->step->device;
    pool p = { .status = HSCHED_OK };
    desc configs[CONFIGS_MAX];
    desc graph = make_graph(&p, l->step, fused && can_fuse(l->step));
    desc heuristic = create(&p, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    set_desc(&p, heuristic, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    set(&p, heuristic, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    if (p.status == HSCHED_OK && device->sm_count < device->sm_total) {
        /* A hint: a cuDNN that does not know it proposes for the whole GPU. */
        const int32_t sms = device->sm_count;
        (void)DNN(cudnnBackendSetAttribute, heuristic,
                  CUDNN_ATTR_ENGINEHEUR_SM_COUNT_TARGET, CUDNN_TYPE_INT32, 1, &sms);
    }
    finalize(&p, heuristic);
    int64_t count = read_results(&p, heuristic, configs);
    for (int64_t i = 0; i < count && l->count < most; i++)
        add_config(l, fused, configs[i]);
    while (count > 0)
        destroy_desc(configs[--count]);
    pool_end(&p);
}

/*
 * An activation other than relu is fused only by engines that cuDNN compiles at run time,
 * while the convolution without it has many that are ready.
 */
static uint32_t variants(const hsi_cuda_step *step, uint32_t most,
                         char (*texts)[HSI_CUDA_VARIANT_LENGTH])
{
    const hsched_activation_kind act = step->step.act.kind;
    const int fused = act == HSCHED_ACTIVATION_NONE || can_fuse(step);
    const int apart = act != HSCHED_ACTIVATION_NONE && act != HSCHED_ACTIVATION_RELU;
    if (check_step(step) != HSCHED_OK)
        return 0;
    list *l = HSI_CUDA_NEW(list);
    if (!l)
        return 0;
    l->step = step;
    l->texts = texts;
    if (fused)
        ask(l, 1, CUDNN_HEUR_MODE_A, most);
    if (apart)
        ask(l, 0, CUDNN_HEUR_MODE_A, most);
    if (fused)
        ask(l, 1, CUDNN_HEUR_MODE_FALLBACK, most);
    if (apart)
        ask(l, 0, CUDNN_HEUR_MODE_FALLBACK, most);
    for (uint32_t i = 0; i < l->compiled_count && l->count < most; i++)
        add_text(texts, &l->count, l->compiled[i]);
    const uint32_t count = l->count;
    hsi_cuda_host->free(l);
    return count;
}

int hsi_cuda_cudnn_compiles(const char *variant)
{
    choice c;
    return parse_variant(variant, &c) && c.compiled;
}

/* ---- The op --------------------------------------------------------------- */

typedef struct cudnn_op {
    hsi_cuda_op op;
    hsi_cuda_device *device;
    pool descriptors;
    desc plan;
    int64_t tensors, ids[ID_OUT];
    hsi_cuda_bias bias; /* own copy, or none: the step's */
    hsi_cuda_op *after; /* the activation, in place; or NULL */
} cudnn_op;

static void destroy(hsi_cuda_op *op)
{
    cudnn_op *o = (cudnn_op *)op;
    if (o->after)
        o->after->destroy(o->after);
    pool_end(&o->descriptors);
    hsi_cuda_bias_free(o->device, &o->bias);
    hsi_cuda_host->free(o);
}

/* Addresses change from call to call, and a finalized variant pack does not: so each call has
 * its own. The heap that it takes is cuDNN's. */
static desc make_pack(pool *p, const cudnn_op *o, const hsi_cuda_call *call)
{
    void *addresses[ID_OUT], *workspace = (void *)(uintptr_t)call->workspace;
    for (int64_t i = 0; i < o->tensors; i++) {
        const int64_t id = o->ids[i];
        addresses[i] =
            (void *)(uintptr_t)(id == ID_OUT                       ? call->out
                                : id == ID_BIAS && o->bias.address ? o->bias.address
                                                                   : call->in[id - ID_X]);
    }
    desc pack = create(p, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    set(p, pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, o->tensors,
        o->ids);
    set(p, pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, o->tensors,
        addresses);
    set(p, pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
    finalize(p, pack);
    return pack;
}

/* Some engines can say what they launch as a graph. 0: not this one. */
static int record_plan(const cudnn_op *o, const hsi_cuda_call *call,
                       hsched_status *status)
{
    CUgraph child = NULL;
    if (!hsi_cuda.cudnnBackendPopulateCudaGraph || o->device->green)
        return 0;
    pool p = { .status = HSCHED_OK };
    desc pack = make_pack(&p, o, call);
    if (p.status == HSCHED_OK)
        p.status = CU_CHECK(doing, cuGraphCreate, &child, 0);
    const int populated = p.status == HSCHED_OK &&
                          DNN(cudnnBackendPopulateCudaGraph, o->device->cudnn, o->plan,
                              pack, (cudaGraph_t)child) == CUDNN_STATUS_SUCCESS;
    *status = populated ? hsi_cuda_record_child(call->recorder, child) : p.status;
    if (child)
        hsi_cuda.cuGraphDestroy(child);
    pool_end(&p);
    return populated;
}

static hsched_status execute(const cudnn_op *o, const hsi_cuda_call *call)
{
    pool p = { .status = HSCHED_OK };
    desc pack = make_pack(&p, o, call);
    if (p.status == HSCHED_OK)
        p.status = DNN_CHECK(doing, cudnnSetStream, o->device->cudnn,
                             (cudaStream_t)call->stream);
    if (p.status == HSCHED_OK)
        p.status =
            DNN_CHECK(o->op.name, cudnnBackendExecute, o->device->cudnn, o->plan, pack);
    pool_end(&p);
    return p.status;
}

static hsched_status enqueue(const hsi_cuda_op *op, const hsi_cuda_call *call)
{
    const cudnn_op *o = (const cudnn_op *)op;
    hsched_status status;
    if (!call->recorder)
        status = execute(o, call);
    else if (!record_plan(o, call, &status))
        return hsi_cuda_record_captured(op, call);
    if (status != HSCHED_OK || !o->after)
        return status;
    hsi_cuda_call after = { .stream = call->stream,
                            .recorder = call->recorder,
                            .in = { call->out },
                            .out = call->out,
                            .workspace = call->workspace };
    return o->after->enqueue(o->after, &after);
}

/* Engine, configuration and plan of a choice. */
static void make_plan(cudnn_op *o, const hsi_cuda_step *step, const choice *c)
{
    pool *p = &o->descriptors;
    desc graph = make_graph(p, step, c->fused && can_fuse(step));
    desc engine = create(p, CUDNN_BACKEND_ENGINE_DESCRIPTOR), knobs[KNOBS_MAX];
    set_desc(p, engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, graph);
    set(p, engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &c->engine);
    finalize(p, engine);
    if (p->status == HSCHED_OK && !engine_is_allowed(step, engine))
        p->status = refuse("the engine's arithmetic is not what the step asks for");
    for (int64_t i = 0; i < c->knobs; i++) {
        const cudnnBackendKnobType_t type = (cudnnBackendKnobType_t)c->types[i];
        knobs[i] = create(p, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
        set(p, knobs[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1,
            &type);
        set(p, knobs[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1,
            &c->values[i]);
        finalize(p, knobs[i]);
    }
    desc config = create(p, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    set_desc(p, config, CUDNN_ATTR_ENGINECFG_ENGINE, engine);
    if (c->knobs > 0)
        set(p, config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR,
            c->knobs, knobs);
    finalize(p, config);
    o->plan = create(p, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    set(p, o->plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1,
        &step->device->cudnn);
    set_desc(p, o->plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
    finalize(p, o->plan);
}

/* The activation that is no part of the graph. */
static hsched_status make_after(cudnn_op *o, const hsi_cuda_step *step)
{
    const hsched_step *s = &step->step;
    hsi_cuda_step act = { .device = step->device,
                          .type = step->type,
                          .strict = step->strict,
                          .deterministic = step->deterministic,
                          .out_alignment = step->out_alignment };
    act.step = (hsched_step){ .struct_size = sizeof(hsched_step),
                              .kind = HSCHED_STEP_UNARY,
                              .name = s->name,
                              .input_count = 1,
                              .in = { s->out },
                              .out = s->out,
                              .out_aliases = 0,
                              .act = s->act,
                              .parts = 1 };
    act.alignment[0] = step->out_alignment;
    hsched_status status = hsi_cuda_make_unary(&act, &o->after);
    if (status == HSCHED_OK && o->after->zeroed > 0)
        status = refuse("the activation needs counters"); /* cuDNN would overwrite them */
    return status;
}

/* What the op needs besides the plan. */
static hsched_status make_rest(cudnn_op *o, const hsi_cuda_step *step, int fused)
{
    const int has_bias = graph_has_bias(step, fused && can_fuse(step));
    int64_t workspace = 0, count = 0;
    hsched_status status = DNN_CHECK(doing, cudnnBackendGetAttribute, o->plan,
                                     CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                     CUDNN_TYPE_INT64, 1, &count, &workspace);
    if (status == HSCHED_OK && (workspace < 0 || workspace > WORKSPACE_MAX))
        status = refuse("the engine needs too much workspace");
    if (status == HSCHED_OK && has_bias && hsi_cuda_bias_needs_copy(step))
        status = hsi_cuda_bias_copy(step, &o->bias);
    if (status == HSCHED_OK && !fused)
        status = make_after(o, step);
    if (status != HSCHED_OK)
        return status;
    o->op.workspace = (size_t)workspace;
    if (o->after && o->after->workspace > o->op.workspace)
        o->op.workspace = o->after->workspace;
    for (int64_t id = ID_X; id <= ID_OUT; id++)
        if (id == ID_OUT || (id == ID_BIAS && has_bias) ||
            (id != ID_BIAS && is_present(&step->step, (uint32_t)(id - ID_X))))
            o->ids[o->tensors++] = id;
    return HSCHED_OK;
}

static hsched_status make(const hsi_cuda_step *step, const char *text, hsi_cuda_op **op)
{
    choice c;
    *op = NULL;
    if (!parse_variant(text, &c))
        return hsi_cuda_host->set_error(HSCHED_ERROR_FORMAT,
                                        "GPU: \"%s\" is no variant of cuDNN's", text);
    hsched_status status = check_step(step);
    if (status == HSCHED_OK &&
        !(c.fused ? step->step.act.kind == HSCHED_ACTIVATION_NONE || can_fuse(step)
                  : step->step.act.kind != HSCHED_ACTIVATION_NONE))
        status = refuse("the variant is of another activation");
    if (status != HSCHED_OK)
        return status;
    cudnn_op *o = HSI_CUDA_NEW(cudnn_op);
    if (!o)
        return hsi_cuda_no_memory(doing);
    o->op.enqueue = enqueue;
    o->op.destroy = destroy;
    o->device = step->device;
    make_plan(o, step, &c);
    status = o->descriptors.status;
    if (status == HSCHED_OK)
        status = make_rest(o, step, c.fused);
    if (status != HSCHED_OK) {
        destroy(&o->op);
        return status;
    }
    snprintf(o->op.name, sizeof o->op.name, "cudnn/eng %" PRId64 "%s", c.engine,
             o->after ? " + activation" : "");
    *op = &o->op;
    return HSCHED_OK;
}

const hsi_cuda_family hsi_cuda_family_cudnn = { .name = "cudnn",
                                                .variants = variants,
                                                .make = make };
