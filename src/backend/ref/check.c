/*
 * Does a step keep the contract of hsched/backend.h, as far as shapes and types go? The
 * reference kernels rely on it for memory safety, so it is asked before each of them.
 */
#include "backend/ref/ref.h"

#include "backend/separable.h"
#include "base/checked.h"
#include "base/element.h"

static int is_float(const hsched_operand *op, uint32_t rank)
{
    return op->dtype == HSCHED_FLOAT32 && op->rank == rank;
}

/* A float vector of n elements. */
static int is_vector(const hsched_operand *op, int64_t n)
{
    return is_float(op, 1) && op->dims[0] == n;
}

static int same_shape(const hsched_operand *a, const hsched_operand *b)
{
    if (a->rank != b->rank)
        return 0;
    for (uint32_t d = 0; d < a->rank; d++)
        if (a->dims[d] != b->dims[d])
            return 0;
    return 1;
}

/* One float input of out's shape. */
static const char *fault_same(const hsched_step *step)
{
    if (step->in[0].dtype != HSCHED_FLOAT32 || step->out.dtype != HSCHED_FLOAT32)
        return "input and output must be float32";
    if (!same_shape(&step->in[0], &step->out))
        return "input and output must have the same shape";
    return NULL;
}

/* The same of float32 or float64. */
static const char *fault_same_real(const hsched_step *step)
{
    if (!hsi_is_real(step->out.dtype) || step->in[0].dtype != step->out.dtype)
        return "input and output must be float32, or float64";
    if (!same_shape(&step->in[0], &step->out))
        return "input and output must have the same shape";
    return NULL;
}

/* Nothing is fused with steps of float64. */
static int has_act_of_float64(const hsched_step *step)
{
    return step->act.kind != HSCHED_ACTIVATION_NONE && step->out.dtype == HSCHED_FLOAT64;
}

/* The window's parameters of one spatial dimension, conv and pool alike; pads and kernel
 * so large that positions could overflow are refused as well. */
static int window_valid(int64_t kernel, int64_t stride, int64_t pad, int64_t dilation)
{
    const int64_t limit = INT64_C(1) << 31;
    return kernel >= 1 && kernel < limit && stride >= 1 && stride < limit && pad >= 0 &&
           pad < limit && dilation >= 1 && dilation < limit;
}

static const char *fault_conv2d(const hsched_step *step)
{
    const hsched_operand *x = &step->in[0], *w = &step->in[1], *y = &step->out;
    if (!hsi_ref_has(step, 1) || !is_float(x, 4) || !is_float(w, 4) || !is_float(y, 4))
        return "x, weights and output must be float32 of four dimensions";
    const int64_t groups = step->u.conv2d.groups;
    if (groups < 1 || x->dims[1] != w->dims[1] * groups || w->dims[0] % groups != 0)
        return "groups must divide the channels and agree with the weights";
    if (y->dims[0] != x->dims[0] || y->dims[1] != w->dims[0])
        return "the output must have x's batch and the weights' channels";
    for (int d = 0; d < 2; d++) {
        const int64_t *pads = step->u.conv2d.pads;
        const int64_t stride = step->u.conv2d.strides[d],
                      dilation = step->u.conv2d.dilations[d];
        if (!window_valid(w->dims[2 + d], stride, pads[d], dilation) || pads[2 + d] < 0)
            return "kernel, strides and dilations must be positive, pads not negative";
        int64_t room =
            x->dims[2 + d] + pads[d] + pads[2 + d] - dilation * (w->dims[2 + d] - 1) - 1;
        if (room < 0 || y->dims[2 + d] != room / stride + 1)
            return "the output's height and width must follow from kernel, strides and "
                   "pads";
    }
    if (hsi_ref_has(step, 2) && !is_vector(&step->in[2], w->dims[0]))
        return "the bias must be a float32 vector of the output's channels";
    if (hsi_ref_has(step, 3) &&
        (step->in[3].dtype != HSCHED_FLOAT32 || !same_shape(&step->in[3], y)))
        return "the residual must be float32 of the output's shape";
    return NULL;
}

static const char *fault_separable_conv2d(const hsched_step *step)
{
    if (!hsi_ref_has(step, 1) || !hsi_ref_has(step, 3) || step->in[0].rank != 4 ||
        step->in[1].rank != 4 || step->in[3].rank != 4 || step->out.rank != 4)
        return "x, both weights and output must be of four dimensions";
    if (step->in[1].dims[0] != step->in[0].dims[1] || step->in[3].dims[2] != 1 ||
        step->in[3].dims[3] != 1)
        return "the weights must be [C,1,kh,kw] and [O,C,1,1]";
    hsched_step depthwise, pointwise;
    hsi_separable_split(step, &depthwise, &pointwise);
    const char *fault = fault_conv2d(&depthwise);
    return fault ? fault : fault_conv2d(&pointwise);
}

static const char *fault_fc(const hsched_step *step)
{
    const hsched_operand *x = &step->in[0], *w = &step->in[1], *y = &step->out;
    if (!hsi_ref_has(step, 1) || !is_float(x, 2) || !is_float(w, 2) || !is_float(y, 2))
        return "x, weights and output must be float32 of two dimensions";
    if (x->dims[1] != w->dims[1] || y->dims[0] != x->dims[0] || y->dims[1] != w->dims[0])
        return "the shapes must be [M,K], [O,K] and [M,O]";
    if (hsi_ref_has(step, 2) && !is_vector(&step->in[2], w->dims[0]))
        return "the bias must be a float32 vector [O]";
    return NULL;
}

static const char *fault_matmul(const hsched_step *step)
{
    const hsched_operand *a = &step->in[0], *b = &step->in[1], *y = &step->out;
    const uint32_t rank = y->rank;
    if (!hsi_ref_has(step, 1) || rank < 2 || a->rank != rank || b->rank != rank ||
        !hsi_is_real(y->dtype) || a->dtype != y->dtype || b->dtype != y->dtype)
        return "both inputs and the output must be float32, or float64, of the same "
               "rank, "
               "at least 2";
    if (has_act_of_float64(step))
        return "only float32 takes an activation";
    for (uint32_t d = 0; d + 2 < rank; d++)
        if (a->dims[d] != y->dims[d] || b->dims[d] != y->dims[d])
            return "leading dimensions must be the output's (with stride 0 where "
                   "broadcast)";
    if (a->dims[rank - 2] != y->dims[rank - 2] ||
        b->dims[rank - 1] != y->dims[rank - 1] || a->dims[rank - 1] != b->dims[rank - 2])
        return "the shapes must be [...,M,K], [...,K,N] and [...,M,N]";
    return NULL;
}

static const char *fault_pool2d(const hsched_step *step)
{
    const hsched_operand *x = &step->in[0], *y = &step->out;
    if (!is_float(x, 4) || !is_float(y, 4))
        return "input and output must be float32 of four dimensions";
    if (y->dims[0] != x->dims[0] || y->dims[1] != x->dims[1])
        return "the output must have the input's batch and channels";
    if (step->u.pool2d.kind != HSCHED_POOL_MAX &&
        step->u.pool2d.kind != HSCHED_POOL_AVERAGE)
        return "unknown kind of pooling";
    for (int d = 0; d < 2; d++)
        if (!window_valid(step->u.pool2d.kernel[d], step->u.pool2d.strides[d],
                          step->u.pool2d.pads[d], step->u.pool2d.dilations[d]))
            return "kernel, strides and dilations must be positive, pads not negative";
    return NULL;
}

static const char *fault_scale(const hsched_step *step)
{
    if (step->in[0].rank < 2)
        return "the input must have at least two dimensions";
    if (!hsi_ref_has(step, 1) || !hsi_ref_has(step, 2) ||
        !is_vector(&step->in[1], step->in[0].dims[1]) ||
        !is_vector(&step->in[2], step->in[0].dims[1]))
        return "scale and shift must be float32 vectors of the input's channels";
    return fault_same(step);
}

static const char *fault_lrn(const hsched_step *step)
{
    if (step->in[0].rank < 2)
        return "the input must have at least two dimensions";
    if (step->u.lrn.size < 1)
        return "the window must have at least one channel";
    return fault_same(step);
}

static const char *fault_softmax(const hsched_step *step)
{
    if (step->u.softmax.axis >= step->in[0].rank)
        return "the axis must be one of the input's dimensions";
    return fault_same_real(step);
}

static const char *fault_norm(const hsched_step *step)
{
    const uint32_t axis = step->u.norm.axis;
    if (axis >= step->in[0].rank)
        return "the axis must be one of the input's dimensions";
    if (step->u.norm.groups < 1 || step->in[0].dims[axis] % step->u.norm.groups != 0)
        return "the groups must divide the dimension that the axis is";
    if (!(step->u.norm.epsilon >= 0))
        return "epsilon must not be negative";
    for (uint32_t i = 1; i < 3; i++)
        if (hsi_ref_has(step, i) && (step->in[i].dtype != step->out.dtype ||
                                     !same_shape(&step->in[i], &step->out)))
            return "scale and bias must be of the output's type and shape (stride 0 "
                   "where "
                   "broadcast)";
    if (has_act_of_float64(step))
        return "only float32 takes an activation";
    return fault_same_real(step);
}

static const char *fault_unary(const hsched_step *step)
{
    if (step->in[0].dtype != step->out.dtype ||
        !hsi_activation_takes(step->act.kind, step->out.dtype))
        return "input and output must be of one type that the activation takes";
    if (!same_shape(&step->in[0], &step->out))
        return "input and output must have the same shape";
    return NULL;
}

static const char *fault_binary(const hsched_step *step)
{
    const hsched_binary_kind kind = step->u.binary.kind;
    const hsched_dtype dtype = step->in[0].dtype;
    if (!hsi_binary_is_known(kind))
        return "unknown kind of arithmetic";
    if (!hsi_ref_has(step, 1) || step->in[1].dtype != dtype ||
        !same_shape(&step->in[0], &step->out) || !same_shape(&step->in[1], &step->out))
        return "both operands must be of one type and of the output's shape (stride 0 "
               "where broadcast)";
    if (!hsi_binary_takes(kind, dtype) ||
        step->out.dtype != (hsi_binary_compares(kind) ? HSCHED_BOOL : dtype))
        return "this arithmetic has no such types";
    if (step->act.kind != HSCHED_ACTIVATION_NONE && step->out.dtype != HSCHED_FLOAT32)
        return "only float32 takes an activation";
    return NULL;
}

static const char *fault_rotary(const hsched_step *step)
{
    for (uint32_t i = 0; i < 3; i++)
        if (!hsi_ref_has(step, i) || !is_float(&step->in[i], step->out.rank) ||
            !same_shape(&step->in[i], &step->out))
            return "input, cosines and sines must be float32 of the output's shape "
                   "(stride "
                   "0 where broadcast)";
    if (!is_float(&step->out, step->out.rank))
        return "the output must be float32";
    if (step->u.rotary.axis >= step->out.rank || step->out.dims[step->u.rotary.axis] != 2)
        return "the axis must be one of the output's dimensions, of size 2";
    return NULL;
}

static const char *fault_cast(const hsched_step *step)
{
    if (!same_shape(&step->in[0], &step->out) || step->in[0].dtype == step->out.dtype)
        return "input and output must have the same shape and different types";
    return NULL;
}

static const char *fault_where(const hsched_step *step)
{
    if (!hsi_ref_has(step, 1) || !hsi_ref_has(step, 2) ||
        step->in[0].dtype != HSCHED_BOOL || step->in[1].dtype != step->out.dtype ||
        step->in[2].dtype != step->out.dtype)
        return "the condition must be bool, and both operands of the output's type";
    for (uint32_t i = 0; i < 3; i++)
        if (!same_shape(&step->in[i], &step->out))
            return "all operands must have the output's shape (stride 0 where broadcast)";
    return NULL;
}

static const char *fault_copy(const hsched_step *step)
{
    if (step->in[0].dtype != step->out.dtype || !same_shape(&step->in[0], &step->out))
        return "input and output must have the same shape and type";
    return NULL;
}

static const char *fault_pad(const hsched_step *step)
{
    if (step->in[0].dtype != step->out.dtype || step->in[0].rank != step->out.rank)
        return "input and output must have the same type and rank";
    if (step->out.dtype == HSCHED_FLOAT16 || step->out.dtype == HSCHED_BFLOAT16)
        return "narrow floats must be converted first";
    if (step->u.pad.mode < HSCHED_PAD_MODE_CONSTANT ||
        step->u.pad.mode > HSCHED_PAD_MODE_EDGE)
        return "unknown padding mode";
    return NULL;
}

static const char *fault_reduce(const hsched_step *step)
{
    const hsched_reduce_kind kind = step->u.reduce.kind;
    const hsched_dtype dtype = step->in[0].dtype;
    const int extreme = kind == HSCHED_REDUCE_MAX || kind == HSCHED_REDUCE_MIN;
    if (kind < HSCHED_REDUCE_MEAN || kind > HSCHED_REDUCE_PROD)
        return "unknown kind of reduction";
    if (dtype != step->out.dtype || step->in[0].rank != step->out.rank)
        return "input and output must be of the same type and rank";
    if (!hsi_is_real(dtype) && dtype != HSCHED_INT64 && dtype != HSCHED_INT32 &&
        (!extreme || (dtype != HSCHED_UINT8 && dtype != HSCHED_INT8)))
        return "the type is none that the kind has";
    for (uint32_t d = 0; d < step->out.rank; d++)
        if (step->out.dims[d] != 1 && step->out.dims[d] != step->in[0].dims[d])
            return "the output's dimensions must be 1 or the input's";
    return NULL;
}

static const char *fault_resize(const hsched_step *step)
{
    const hsched_operand *x = &step->in[0], *y = &step->out;
    const int copies = step->u.resize.mode == HSCHED_RESIZE_NEAREST;
    const int crops = step->u.resize.coordinates == HSCHED_RESIZE_CROP;
    if (x->rank != y->rank || x->dtype != y->dtype ||
        ((!copies || crops) && x->dtype != HSCHED_FLOAT32))
        return "input and output must have the same rank and type, float32 to "
               "interpolate";
    if (step->u.resize.mode < HSCHED_RESIZE_NEAREST ||
        step->u.resize.mode > HSCHED_RESIZE_CUBIC ||
        (unsigned)step->u.resize.coordinates > HSCHED_RESIZE_CROP ||
        (unsigned)step->u.resize.rounding > HSCHED_RESIZE_CEIL)
        return "unknown way to resize";
    for (uint32_t d = 0; d < y->rank; d++)
        if (!(step->u.resize.scales[d] > 0) || !(step->u.resize.lengths[d] > 0))
            return "scales and lengths must be positive";
    return NULL;
}

static const char *fault_grid_sample(const hsched_step *step)
{
    const hsched_operand *x = &step->in[0], *grid = &step->in[1], *y = &step->out;
    const uint32_t rank = x->rank;
    if (!hsi_ref_has(step, 1) || rank < 4 || rank > 5 || !is_float(x, rank) ||
        !is_float(grid, rank) || !is_float(y, rank))
        return "input, grid and output must be float32, all of 4 or 5 dimensions";
    if (step->u.grid_sample.mode < HSCHED_RESIZE_NEAREST ||
        step->u.grid_sample.mode > HSCHED_RESIZE_CUBIC ||
        (unsigned)step->u.grid_sample.padding > HSCHED_GRID_REFLECTION)
        return "unknown way to sample";
    if (x->dims[0] != y->dims[0] || x->dims[1] != y->dims[1] ||
        grid->dims[0] != y->dims[0] || grid->dims[rank - 1] != rank - 2)
        return "input, grid and output must be of as many images, with their channels, "
               "and "
               "have a coordinate per dimension";
    for (uint32_t d = 2; d < rank; d++)
        if (grid->dims[d - 1] != y->dims[d])
            return "the grid must have the output's points";
    return NULL;
}

static const char *fault_nms(const hsched_step *step)
{
    const hsched_operand *boxes = &step->in[0], *scores = &step->in[1], *y = &step->out;
    if (!hsi_ref_has(step, 1) || !is_float(boxes, 3) || !is_float(scores, 3) ||
        y->dtype != HSCHED_INT64 || y->rank != 3)
        return "boxes and scores must be float32, the output int64, all of three "
               "dimensions";
    if (boxes->dims[2] != 4 || boxes->dims[0] != scores->dims[0] ||
        boxes->dims[1] != scores->dims[2] || y->dims[0] != scores->dims[0] ||
        y->dims[1] != scores->dims[1] || y->dims[2] > boxes->dims[1])
        return "the shapes must be [B,N,4], [B,C,N] and [B,C,M], M not above N";
    return NULL;
}

static const char *fault_pool_index(const hsched_step *step)
{
    const hsched_operand *x = &step->in[0], *y = &step->out;
    if (x->rank < 3 || x->rank > 5 || !is_float(x, x->rank) || y->dtype != HSCHED_INT64 ||
        y->rank != x->rank || x->dims[0] != y->dims[0] || x->dims[1] != y->dims[1])
        return "the input must be float32 [N,C,...] of 3 to 5 dimensions, the output "
               "int64 of "
               "as many";
    for (uint32_t d = 0; d + 2 < x->rank; d++)
        if (step->u.pool_index.kernel[d] < 1 || step->u.pool_index.strides[d] < 1 ||
            step->u.pool_index.dilations[d] < 1 || step->u.pool_index.before[d] < 0)
            return "kernel, strides and dilations must be 1 at least, pads not negative";
    return NULL;
}

static const char *fault_roi_align(const hsched_step *step)
{
    const hsched_operand *x = &step->in[0], *rois = &step->in[1], *images = &step->in[2],
                         *y = &step->out;
    if (!hsi_ref_has(step, 1) || !hsi_ref_has(step, 2) || !is_float(x, 4) ||
        !is_float(rois, 2) || !is_float(y, 4) || images->rank != 1 ||
        (images->dtype != HSCHED_INT64 && images->dtype != HSCHED_INT32))
        return "input, regions and output must be float32, the images int64 or int32";
    if (rois->dims[1] != 4 || rois->dims[0] != images->dims[0] ||
        y->dims[0] != rois->dims[0] || y->dims[1] != x->dims[1])
        return "the shapes must be [N,C,H,W], [R,4], [R] and [R,C,h,w]";
    return NULL;
}

static int is_cube(const hsched_operand *op, int64_t a, int64_t b, int64_t c)
{
    return is_float(op, 3) && op->dims[0] == a && op->dims[1] == b && op->dims[2] == c;
}

static const char *fault_recurrent(const hsched_step *step)
{
    const hsched_operand *x = &step->in[0], *w = &step->in[1], *y = &step->out;
    const hsched_recurrent_kind kind = step->u.recurrent.kind;
    if (kind < HSCHED_RECURRENT_RNN || kind > HSCHED_RECURRENT_GRU ||
        step->u.recurrent.direction < HSCHED_RECURRENT_FORWARD ||
        step->u.recurrent.direction > HSCHED_RECURRENT_BIDIRECTIONAL)
        return "unknown kind or direction";
    if (!hsi_ref_has(step, 1) || !hsi_ref_has(step, 2) || !is_float(x, 3) ||
        !is_float(w, 3) || !is_float(y, 4))
        return "x and weights must be float32 of three dimensions, the output of four";
    const int64_t gates = kind == HSCHED_RECURRENT_LSTM  ? 4
                          : kind == HSCHED_RECURRENT_GRU ? 3
                                                         : 1;
    const int64_t directions =
        step->u.recurrent.direction == HSCHED_RECURRENT_BIDIRECTIONAL ? 2 : 1;
    const int64_t n = x->dims[1], hidden = y->dims[3];
    if (y->dims[0] != x->dims[0] + (kind == HSCHED_RECURRENT_LSTM ? 2 : 1) ||
        y->dims[1] != directions || y->dims[2] != n)
        return "the output must be [T+1,D,N,H], or [T+2,D,N,H] of an LSTM";
    if (!is_cube(w, directions, gates * hidden, x->dims[2]) ||
        !is_cube(&step->in[2], directions, gates * hidden, hidden))
        return "the weights must be [D,G*H,I] and [D,G*H,H]";
    const hsched_operand *bias = &step->in[3], *lengths = &step->in[4];
    if (hsi_ref_has(step, 3) && (!is_float(bias, 2) || bias->dims[0] != directions ||
                                 bias->dims[1] != 2 * gates * hidden))
        return "the bias must be [D,2*G*H]";
    if (hsi_ref_has(step, 4) &&
        (lengths->dtype != HSCHED_INT32 || lengths->rank != 1 || lengths->dims[0] != n))
        return "the lengths must be int32 [N]";
    for (uint32_t i = 5; i < 7; i++)
        if (hsi_ref_has(step, i) && !is_cube(&step->in[i], directions, n, hidden))
            return "the initial states must be [D,N,H]";
    for (int i = 0; i < 6; i++) {
        hsched_activation_kind act = step->u.recurrent.activations[i / 3][i % 3].kind;
        if (act < HSCHED_ACTIVATION_NONE || act > HSCHED_ACTIVATION_THRESHOLDED_RELU)
            return "unknown activation of a gate";
    }
    return NULL;
}

static const char *fault_gather(const hsched_step *step)
{
    const hsched_operand *x = &step->in[0], *indices = &step->in[1], *y = &step->out;
    if (!hsi_ref_has(step, 1) || x->dtype != y->dtype || x->rank != y->rank)
        return "input and output must be of the same type and rank";
    if ((indices->dtype != HSCHED_INT64 && indices->dtype != HSCHED_INT32) ||
        !same_shape(indices, y))
        return "indices must be int64 or int32 of the output's shape";
    if (step->u.gather.axis >= x->rank)
        return "the axis must be one of the input's dimensions";
    for (uint32_t d = 0; d < x->rank; d++)
        if (d != step->u.gather.axis && y->dims[d] > x->dims[d])
            return "the output must lie within the input";
    return NULL;
}

static const char *fault_scatter(const hsched_step *step)
{
    const hsched_operand *x = &step->in[0], *indices = &step->in[1], *u = &step->in[2],
                         *y = &step->out;
    const hsched_scatter_kind kind = step->u.scatter.kind;
    const uint32_t axis = step->u.scatter.axis;
    if (!hsi_ref_has(step, 1) || !hsi_ref_has(step, 2) || !same_shape(x, y) ||
        x->dtype != y->dtype || u->dtype != y->dtype || u->rank != y->rank)
        return "inputs, updates and output must be of the same type and rank, input and "
               "output of the same shape";
    if ((indices->dtype != HSCHED_INT64 && indices->dtype != HSCHED_INT32) ||
        !same_shape(indices, u))
        return "indices must be int64 or int32 of the updates' shape";
    if (kind < HSCHED_SCATTER_SET || kind > HSCHED_SCATTER_MIN ||
        (kind != HSCHED_SCATTER_SET && !hsi_is_real(x->dtype) &&
         !hsi_is_integer(x->dtype)))
        return "the kind must be known, and take the type";
    if (axis >= x->rank)
        return "the axis must be one of the input's dimensions";
    for (uint32_t d = 0; d < x->rank; d++)
        if (d != axis && u->dims[d] > x->dims[d])
            return "the updates must lie within the output";
    return NULL;
}

static const char *fault_tuple_index(const hsched_step *step)
{
    const hsched_operand *x = &step->in[0], *y = &step->out;
    int64_t places = 1;
    if ((x->dtype != HSCHED_INT64 && x->dtype != HSCHED_INT32) ||
        y->dtype != HSCHED_INT64)
        return "indices must be int64 or int32, and the output int64";
    if (x->rank < 1 || x->rank != y->rank || x->dims[x->rank - 1] > HSCHED_MAX_DIMS ||
        y->dims[y->rank - 1] != 1)
        return "the last dimension must be that of the tuples, and 1 in the output";
    for (uint32_t d = 0; d + 1 < x->rank; d++)
        if (x->dims[d] != y->dims[d])
            return "input and output must differ in the last dimension only";
    for (int64_t d = 0; d < x->dims[x->rank - 1]; d++)
        if (step->u.tuple_index.dims[d] < 1 ||
            !hsi_mul_i64(places, step->u.tuple_index.dims[d], &places))
            return "the places must be 1 at least, and fit into 64 bits";
    return NULL;
}

/* Elements that are in an order, along an axis that there is; indices as output. */
static const char *fault_order(const hsched_step *step, uint32_t axis)
{
    const hsched_operand *x = &step->in[0], *y = &step->out;
    if ((!hsi_is_real(x->dtype) && !hsi_is_integer(x->dtype)) || y->dtype != HSCHED_INT64)
        return "the input must be float32, float64 or of integers, the output int64";
    if (x->rank != y->rank || axis >= x->rank)
        return "input and output must have the same rank, and the axis in it";
    for (uint32_t d = 0; d < x->rank; d++)
        if (d != axis && x->dims[d] != y->dims[d])
            return "input and output must differ in the axis only";
    return NULL;
}

static const char *fault_arg(const hsched_step *step)
{
    const char *fault = fault_order(step, step->u.arg.axis);
    if (fault == NULL && step->out.dims[step->u.arg.axis] != 1)
        return "the output must have one element along the axis";
    return fault;
}

static const char *fault_top_k(const hsched_step *step)
{
    const uint32_t axis = step->u.top_k.axis;
    const char *fault = fault_order(step, axis);
    if (fault == NULL && step->out.dims[axis] > step->in[0].dims[axis])
        return "the output must not have more elements along the axis than the input";
    return fault;
}

static const char *fault_cumsum(const hsched_step *step)
{
    const hsched_operand *x = &step->in[0], *y = &step->out;
    if ((!hsi_is_real(x->dtype) && x->dtype != HSCHED_INT64 &&
         x->dtype != HSCHED_INT32) ||
        x->dtype != y->dtype || !same_shape(x, y))
        return "input and output must be float32, float64, int64 or int32 of one shape";
    if (step->u.cumsum.axis >= x->rank)
        return "the axis must be one of the input's dimensions";
    return NULL;
}

static const char *fault_image(const hsched_step *step)
{
    const hsched_operand *x = &step->in[0], *y = &step->out;
    if (x->dtype != HSCHED_UINT8 || x->rank != 4 || !is_float(y, 4))
        return "the input must be uint8 and the output float32, both of four dimensions";
    if (x->dims[0] != y->dims[0] || x->dims[1] != y->dims[2] ||
        x->dims[2] != y->dims[3] || x->dims[3] != y->dims[1])
        return "the shapes must be [N,H,W,C] and [N,C,H,W]";
    if (y->dims[1] > 4 || (step->u.image.swap_red_blue && y->dims[1] < 3))
        return "there must be at most 4 channels, and at least 3 to swap";
    return NULL;
}

/* Faults of any operand: rank, dimensions, type. */
static const char *fault_operand(const hsched_operand *op)
{
    if (hsched_dtype_size(op->dtype) == 0)
        return "an operand has an unknown type";
    if (op->rank > HSCHED_MAX_DIMS)
        return "an operand has too many dimensions";
    for (uint32_t d = 0; d < op->rank; d++)
        if (op->dims[d] < 1)
            return "an operand has a dimension below 1";
    return NULL;
}

static int takes_activation(hsched_step_kind kind)
{
    return kind == HSCHED_STEP_CONV2D || kind == HSCHED_STEP_SEPARABLE_CONV2D ||
           kind == HSCHED_STEP_FC || kind == HSCHED_STEP_MATMUL ||
           kind == HSCHED_STEP_SCALE || kind == HSCHED_STEP_UNARY ||
           kind == HSCHED_STEP_BINARY || kind == HSCHED_STEP_NORM;
}

static const char *fault_kind(const hsched_step *step)
{
    switch (step->kind) {
    case HSCHED_STEP_CONV2D:
        return fault_conv2d(step);
    case HSCHED_STEP_SEPARABLE_CONV2D:
        return fault_separable_conv2d(step);
    case HSCHED_STEP_FC:
        return fault_fc(step);
    case HSCHED_STEP_MATMUL:
        return fault_matmul(step);
    case HSCHED_STEP_POOL2D:
        return fault_pool2d(step);
    case HSCHED_STEP_SCALE:
        return fault_scale(step);
    case HSCHED_STEP_LRN:
        return fault_lrn(step);
    case HSCHED_STEP_SOFTMAX:
        return fault_softmax(step);
    case HSCHED_STEP_NORM:
        return fault_norm(step);
    case HSCHED_STEP_UNARY:
        return fault_unary(step);
    case HSCHED_STEP_BINARY:
        return fault_binary(step);
    case HSCHED_STEP_COPY:
        return fault_copy(step);
    case HSCHED_STEP_PAD:
        return fault_pad(step);
    case HSCHED_STEP_REDUCE:
        return fault_reduce(step);
    case HSCHED_STEP_IMAGE:
        return fault_image(step);
    case HSCHED_STEP_RESIZE:
        return fault_resize(step);
    case HSCHED_STEP_GRID_SAMPLE:
        return fault_grid_sample(step);
    case HSCHED_STEP_ROI_ALIGN:
        return fault_roi_align(step);
    case HSCHED_STEP_POOL_INDEX:
        return fault_pool_index(step);
    case HSCHED_STEP_NMS:
        return fault_nms(step);
    case HSCHED_STEP_GATHER:
        return fault_gather(step);
    case HSCHED_STEP_ARG:
        return fault_arg(step);
    case HSCHED_STEP_TOP_K:
        return fault_top_k(step);
    case HSCHED_STEP_TUPLE_INDEX:
        return fault_tuple_index(step);
    case HSCHED_STEP_SCATTER:
        return fault_scatter(step);
    case HSCHED_STEP_CUMSUM:
        return fault_cumsum(step);
    case HSCHED_STEP_RECURRENT:
        return fault_recurrent(step);
    case HSCHED_STEP_CAST:
        return fault_cast(step);
    case HSCHED_STEP_WHERE:
        return fault_where(step);
    case HSCHED_STEP_ROTARY:
        return fault_rotary(step);
    case HSCHED_STEP_FORCE_INT32:
        break;
    }
    return "unknown kind of step";
}

const char *hsi_ref_fault(const hsched_step *step)
{
    if (step->input_count > HSCHED_STEP_MAX_INPUTS || !hsi_ref_has(step, 0))
        return "the first input must be there, and at most 8 in all";
    for (uint32_t i = 0; i < step->input_count; i++) {
        const char *fault = hsi_ref_has(step, i) ? fault_operand(&step->in[i]) : NULL;
        if (fault)
            return fault;
    }
    const char *fault = fault_operand(&step->out);
    if (fault)
        return fault;
    if (step->act.kind < HSCHED_ACTIVATION_NONE ||
        step->act.kind > HSCHED_ACTIVATION_FAKE_QUANTIZE)
        return "unknown activation";
    if (step->act.kind != HSCHED_ACTIVATION_NONE && !takes_activation(step->kind))
        return "this kind of step takes no activation";
    return fault_kind(step);
}
