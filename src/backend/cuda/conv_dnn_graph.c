#include "backend/cuda/conv_dnn_graph.h"

#include <math.h>
#include <stdbool.h>

#include "backend/cuda/host.h"

/* ---- Descriptors ---------------------------------------------------------- */

const char hsi_dnn_doing[] = "a convolution by cuDNN";

/* Not through DNN: what is not destroyed because a test made the call fail would leak. */
void hsi_dnn_destroy_desc(hsi_dnn_desc d)
{
    hsi_cuda.cudnnBackendDestroyDescriptor(d);
}

void hsi_dnn_pool_end(hsi_dnn_pool *p)
{
    while (p->count > 0)
        hsi_dnn_destroy_desc(p->items[--p->count]);
}

hsi_dnn_desc hsi_dnn_create(hsi_dnn_pool *p, cudnnBackendDescriptorType_t type)
{
    hsi_dnn_desc d = NULL;
    if (p->status == HSCHED_OK && p->count == HSI_DNN_POOL_MAX)
        p->status = hsi_cuda_host->set_error(
            HSCHED_ERROR_UNSUPPORTED, "GPU: %s: too many descriptors", hsi_dnn_doing);
    if (p->status == HSCHED_OK)
        p->status = DNN_CHECK(hsi_dnn_doing, cudnnBackendCreateDescriptor, type, &d);
    if (p->status != HSCHED_OK)
        return NULL;
    return p->items[p->count++] = d;
}

void hsi_dnn_set(hsi_dnn_pool *p, hsi_dnn_desc d, cudnnBackendAttributeName_t name,
                 cudnnBackendAttributeType_t type, int64_t count, const void *values)
{
    if (p->status == HSCHED_OK)
        p->status = DNN_CHECK(hsi_dnn_doing, cudnnBackendSetAttribute, d, name, type,
                              count, values);
}

void hsi_dnn_set_desc(hsi_dnn_pool *p, hsi_dnn_desc d, cudnnBackendAttributeName_t name,
                      hsi_dnn_desc value)
{
    hsi_dnn_set(p, d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

void hsi_dnn_finalize(hsi_dnn_pool *p, hsi_dnn_desc d)
{
    if (p->status == HSCHED_OK)
        p->status = DNN_CHECK(hsi_dnn_doing, cudnnBackendFinalize, d);
}

/* ---- The graph ------------------------------------------------------------ */

static cudnnDataType_t data_type(hsi_cuda_type type)
{
    return type == HSI_CUDA_F16    ? CUDNN_DATA_HALF
           : type == HSI_CUDA_BF16 ? CUDNN_DATA_BFLOAT16
                                   : CUDNN_DATA_FLOAT;
}

static hsi_dnn_desc tensor(hsi_dnn_pool *p, int64_t id, cudnnDataType_t type,
                           const int64_t *dims, const int64_t *strides, int64_t alignment)
{
    const bool is_virtual = id >= HSI_DNN_VIRTUAL;
    hsi_dnn_desc d = hsi_dnn_create(p, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    hsi_dnn_set(p, d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id);
    hsi_dnn_set(p, d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    hsi_dnn_set(p, d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dims);
    hsi_dnn_set(p, d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides);
    hsi_dnn_set(p, d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    if (is_virtual)
        hsi_dnn_set(p, d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1,
                    &is_virtual);
    hsi_dnn_finalize(p, d);
    return d;
}

/* An image of the step. More than 16 bytes of alignment help no engine. */
static hsi_dnn_desc image(hsi_dnn_pool *p, int64_t id, const hsi_cuda_step *step,
                          const hsched_operand *operand, uint32_t alignment)
{
    return tensor(p, id, data_type(step->type), operand->dims, operand->strides,
                  alignment < 16 ? alignment : 16);
}

static hsi_dnn_desc weights(hsi_dnn_pool *p, const hsi_cuda_step *step)
{
    const int64_t *dims = step->step.in[1].dims; /* stored [O][kh][kw][C/groups] */
    const int64_t strides[4] = { dims[1] * dims[2] * dims[3], 1, dims[3] * dims[1],
                                 dims[1] };
    return tensor(p, HSI_DNN_WEIGHTS, data_type(step->type), dims, strides, 16);
}

static hsi_dnn_desc bias(hsi_dnn_pool *p, cudnnDataType_t type, int64_t channels)
{
    return tensor(p, HSI_DNN_BIAS, type, (int64_t[]){ 1, channels, 1, 1 },
                  (int64_t[]){ channels, 1, channels, channels }, 16);
}

static hsi_dnn_desc virtual_image(hsi_dnn_pool *p, int64_t id, const int64_t *dims)
{
    const int64_t strides[4] = { dims[1] * dims[2] * dims[3], 1, dims[3] * dims[1],
                                 dims[1] };
    return tensor(p, id, CUDNN_DATA_FLOAT, dims, strides, 16);
}

static hsi_dnn_desc convolution(hsi_dnn_pool *p, const hsched_step *s, hsi_dnn_desc x,
                                hsi_dnn_desc w, hsi_dnn_desc y)
{
    const int64_t two = 2;
    const cudnnDataType_t compute = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const float one = 1, zero = 0;
    const int64_t *pads = s->u.conv2d.pads; /* top, left, bottom, right */
    hsi_dnn_desc c = hsi_dnn_create(p, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    hsi_dnn_set(p, c, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1,
                &compute);
    hsi_dnn_set(p, c, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1,
                &mode);
    hsi_dnn_set(p, c, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &two);
    hsi_dnn_set(p, c, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2,
                s->u.conv2d.dilations);
    hsi_dnn_set(p, c, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2,
                s->u.conv2d.strides);
    hsi_dnn_set(p, c, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, pads);
    hsi_dnn_set(p, c, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2,
                pads + 2);
    hsi_dnn_finalize(p, c);
    hsi_dnn_desc o =
        hsi_dnn_create(p, CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    hsi_dnn_set_desc(p, o, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, c);
    hsi_dnn_set_desc(p, o, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, x);
    hsi_dnn_set_desc(p, o, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, w);
    hsi_dnn_set_desc(p, o, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, y);
    hsi_dnn_set(p, o, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1,
                &one);
    hsi_dnn_set(p, o, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, 1,
                &zero);
    hsi_dnn_finalize(p, o);
    return o;
}

static hsi_dnn_desc pointwise_desc(hsi_dnn_pool *p, cudnnPointwiseMode_t mode)
{
    const cudnnDataType_t compute = CUDNN_DATA_FLOAT;
    hsi_dnn_desc d = hsi_dnn_create(p, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    hsi_dnn_set(p, d, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    hsi_dnn_set(p, d, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &compute);
    return d;
}

/* y = how(x) or, where b is not NULL, how(x, b); `how` is not finalized yet. */
static hsi_dnn_desc pointwise(hsi_dnn_pool *p, hsi_dnn_desc how, hsi_dnn_desc x,
                              hsi_dnn_desc b, hsi_dnn_desc y)
{
    hsi_dnn_finalize(p, how);
    hsi_dnn_desc o = hsi_dnn_create(p, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    hsi_dnn_set_desc(p, o, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, how);
    hsi_dnn_set_desc(p, o, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
    if (b)
        hsi_dnn_set_desc(p, o, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
    hsi_dnn_set_desc(p, o, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    hsi_dnn_finalize(p, o);
    return o;
}

/* ---- Activations ---------------------------------------------------------- */

static void set_double(hsi_dnn_pool *p, hsi_dnn_desc d, cudnnBackendAttributeName_t name,
                       double value)
{
    hsi_dnn_set(p, d, name, CUDNN_TYPE_DOUBLE, 1, &value);
}

/* 1 if the activation can be part of the graph. Strict steps take from cuDNN only what can be
 * computed in one way: its engines are free to approximate exponentials. */
int hsi_dnn_can_fuse(const hsi_cuda_step *step)
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

static hsi_dnn_desc activation_desc(hsi_dnn_pool *p, hsched_activation act)
{
    hsi_dnn_desc d;
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

int hsi_dnn_is_present(const hsched_step *s, uint32_t input)
{
    return input < s->input_count && s->in[input].dtype != HSCHED_DTYPE_NONE;
}

hsched_status hsi_dnn_refuse(const char *why)
{
    return hsi_cuda_host->set_error(HSCHED_ERROR_UNSUPPORTED, "GPU: %s: %s",
                                    hsi_dnn_doing, why);
}

hsched_status hsi_dnn_check_step(const hsi_cuda_step *step)
{
    const hsched_step *s = &step->step;
    if (s->kind != HSCHED_STEP_CONV2D)
        return hsi_dnn_refuse("the step is none");
    /* Depthwise weights lie as [kh][kw][O], which no engine reads; with one channel that is
     * the usual order as well. */
    if (s->u.conv2d.groups > 1 && s->in[1].dims[0] == s->u.conv2d.groups &&
        s->in[1].dims[1] == 1)
        return hsi_dnn_refuse("depthwise");
    if (!step->device->cudnn)
        return hsi_dnn_refuse("no cuDNN");
    return HSCHED_OK;
}

/* 1 if the graph has a bias: the step's own or, so that something can be fused, one of zeros. */
int hsi_dnn_graph_has_bias(const hsi_cuda_step *step, int fused)
{
    return hsi_dnn_is_present(&step->step, 2) || hsi_dnn_is_present(&step->step, 3) ||
           fused;
}

/* convolution, + residual, + bias, activation if `fused`; the last writes `out`. The order is
 * the one that cuDNN's compiled engines know. */
hsi_dnn_desc hsi_dnn_make_graph(hsi_dnn_pool *p, const hsi_cuda_step *step, int fused)
{
    const hsched_step *s = &step->step;
    hsi_dnn_desc x = image(p, HSI_DNN_X, step, &s->in[0], step->alignment[0]);
    hsi_dnn_desc w = weights(p, step);
    hsi_dnn_desc out = image(p, HSI_DNN_OUT, step, &s->out, step->out_alignment);
    hsi_dnn_desc how[3], second[3], ops[4];
    int64_t stages = 0, id = HSI_DNN_VIRTUAL;
    if (hsi_dnn_is_present(s, 3)) {
        how[stages] = pointwise_desc(p, CUDNN_POINTWISE_ADD);
        second[stages++] =
            image(p, HSI_DNN_RESIDUAL, step, &s->in[3], step->alignment[3]);
    }
    if (hsi_dnn_graph_has_bias(step, fused)) {
        how[stages] = pointwise_desc(p, CUDNN_POINTWISE_ADD);
        second[stages++] = bias(p, data_type(step->type), s->out.dims[1]);
    }
    if (fused) {
        how[stages] = activation_desc(p, s->act);
        second[stages++] = NULL;
    }
    hsi_dnn_desc y = stages > 0 ? virtual_image(p, id++, s->out.dims) : out;
    ops[0] = convolution(p, s, x, w, y);
    for (int64_t i = 0; i < stages; i++) {
        hsi_dnn_desc from = y;
        y = i + 1 < stages ? virtual_image(p, id++, s->out.dims) : out;
        ops[i + 1] = pointwise(p, how[i], from, second[i], y);
    }
    hsi_dnn_desc graph = hsi_dnn_create(p, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    hsi_dnn_set(p, graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1,
                &step->device->cudnn);
    hsi_dnn_set(p, graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                stages + 1, ops);
    hsi_dnn_finalize(p, graph);
    return graph;
}
