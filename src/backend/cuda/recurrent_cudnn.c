/*
 * RECURRENT through cuDNN: a network of one layer, all of whose sequences have all steps.
 *
 * cuDNN has no network that only goes backwards: the forward one gets x in reverse order, and what
 * it makes is put into out in reverse order. In both directions cuDNN puts the directions of one
 * sequence side by side, [T,N,D*H], where out has [T,D,N,H]. Such orders are copies, to and from
 * the workspace.
 */
#include <stdio.h>
#include <string.h>

#include "backend/cuda/launch.h"
#include "backend/cuda/record.h"
#include "backend/cuda/recurrent.h"

#define WORKSPACE_MAX ((size_t)64 << 20)

static const char doing[] = "a recurrent network by cuDNN";

/* ---- What cuDNN computes --------------------------------------------------- */

static int is_lstm(const hsched_step *s)
{
    return s->u.recurrent.kind == HSCHED_RECURRENT_LSTM;
}

static uint32_t gates_of(const hsched_step *s)
{
    return is_lstm(s) ? 4 : s->u.recurrent.kind == HSCHED_RECURRENT_GRU ? 3 : 1;
}

static uint32_t directions_of(const hsched_step *s)
{
    return s->u.recurrent.direction == HSCHED_RECURRENT_BIDIRECTIONAL ? 2 : 1;
}

static int has(const hsched_step *s, uint32_t i)
{
    return i < s->input_count && s->in[i].dtype != HSCHED_DTYPE_NONE;
}

static int has_usual_activations(const hsched_step *s, uint32_t direction)
{
    const hsched_activation *act = s->u.recurrent.activations[direction];
    const hsched_activation_kind first = s->u.recurrent.activations[0][0].kind;
    if (s->u.recurrent.kind == HSCHED_RECURRENT_RNN)
        return act[0].kind == first &&
               (first == HSCHED_ACTIVATION_TANH || first == HSCHED_ACTIVATION_RELU);
    return act[0].kind == HSCHED_ACTIVATION_SIGMOID &&
           act[1].kind == HSCHED_ACTIVATION_TANH &&
           (!is_lstm(s) || act[2].kind == HSCHED_ACTIVATION_TANH);
}

/* cuDNN's number for it; -1: it has none. */
static int mode_of(const hsched_step *s)
{
    for (uint32_t d = 0; d < directions_of(s); d++)
        if (!has_usual_activations(s, d))
            return -1;
    switch (s->u.recurrent.kind) {
    case HSCHED_RECURRENT_LSTM:
        return CUDNN_LSTM;
    case HSCHED_RECURRENT_GRU: /* the reset gate is applied after the product */
        return s->u.recurrent.linear_before_reset ? CUDNN_GRU : -1;
    default:
        return s->u.recurrent.activations[0][0].kind == HSCHED_ACTIVATION_TANH
                   ? CUDNN_RNN_TANH
                   : CUDNN_RNN_RELU;
    }
}

/*
 * Not deterministic: sums of matrices that run side by side take one order or another, as there is
 * memory for cuBLAS (so cuDNN's release notes). Not in a part of a GPU: cuDNN has streams of its
 * own, which are not confined to it.
 */
static const char *why_not(const hsi_cuda_step *step)
{
    const hsched_step *s = &step->step;
    if (mode_of(s) < 0 || s->u.recurrent.clip != 0 || s->u.recurrent.input_forget)
        return "a recurrent network that cuDNN does not have";
    if (!hsi_cuda.cudnnRNNForward)
        return "cuDNN is here without its part for recurrent networks";
    if (has(s, 4))
        return "lengths of sequences that are known only later";
    if (step->deterministic || step->device->green)
        return "cuDNN's recurrent networks are not deterministic, nor confined";
    return NULL;
}

/* ---- Descriptors ------------------------------------------------------------ */

typedef struct descriptors {
    cudnnRNNDescriptor_t rnn;
    cudnnRNNDataDescriptor_t x, y;
    cudnnTensorDescriptor_t state; /* of h and of c */
    size_t weight_bytes, scratch_bytes;
} descriptors;

static void close_descriptors(descriptors *d)
{
    if (d->rnn)
        hsi_cuda.cudnnDestroyRNNDescriptor(d->rnn);
    if (d->x)
        hsi_cuda.cudnnDestroyRNNDataDescriptor(d->x);
    if (d->y)
        hsi_cuda.cudnnDestroyRNNDataDescriptor(d->y);
    if (d->state)
        hsi_cuda.cudnnDestroyTensorDescriptor(d->state);
    *d = (descriptors){ 0 };
}

static cudnnDataType_t data_type(const hsi_cuda_step *step)
{
    return step->type == HSI_CUDA_F32   ? CUDNN_DATA_FLOAT
           : step->type == HSI_CUDA_F16 ? CUDNN_DATA_HALF
                                        : CUDNN_DATA_BFLOAT16;
}

static hsched_status describe_network(const hsi_cuda_step *step, descriptors *d)
{
    const hsched_step *s = &step->step;
    const cudnnMathType_t math = step->type != HSI_CUDA_F32 ? CUDNN_TENSOR_OP_MATH
                                 : step->strict             ? CUDNN_FMA_MATH
                                                            : CUDNN_DEFAULT_MATH;
    const int32_t inputs = (int32_t)s->in[0].dims[2], hidden = (int32_t)s->out.dims[3];
    hsched_status status = DNN_CHECK(doing, cudnnCreateRNNDescriptor, &d->rnn);
    if (status != HSCHED_OK)
        return status;
    return DNN_CHECK(doing, cudnnSetRNNDescriptor_v8, d->rnn, CUDNN_RNN_ALGO_STANDARD,
                     (cudnnRNNMode_t)mode_of(s), CUDNN_RNN_DOUBLE_BIAS,
                     directions_of(s) == 2 ? CUDNN_BIDIRECTIONAL : CUDNN_UNIDIRECTIONAL,
                     CUDNN_LINEAR_INPUT, data_type(step), CUDNN_DATA_FLOAT, math, inputs,
                     hidden, hidden, 1, NULL, CUDNN_RNN_PADDED_IO_DISABLED);
}

/* [T,N,size], all sequences of T steps. */
static hsched_status describe_sequences(const hsi_cuda_step *step, const int *lengths,
                                        int64_t size, cudnnRNNDataDescriptor_t *data)
{
    const int64_t *dims = step->step.in[0].dims;
    hsched_status status = DNN_CHECK(doing, cudnnCreateRNNDataDescriptor, data);
    if (status != HSCHED_OK)
        return status;
    return DNN_CHECK(doing, cudnnSetRNNDataDescriptor, *data, data_type(step),
                     CUDNN_RNN_DATA_LAYOUT_SEQ_MAJOR_PACKED, (int)dims[0], (int)dims[1],
                     (int)size, lengths, NULL);
}

static hsched_status describe_state(const hsi_cuda_step *step,
                                    cudnnTensorDescriptor_t *state)
{
    const int64_t *out = step->step.out.dims;
    const int n = (int)out[2], h = (int)out[3];
    const int dims[] = { (int)out[1], n, h }, strides[] = { n * h, h, 1 };
    hsched_status status = DNN_CHECK(doing, cudnnCreateTensorDescriptor, state);
    if (status != HSCHED_OK)
        return status;
    return DNN_CHECK(doing, cudnnSetTensorNdDescriptor, *state, data_type(step), 3, dims,
                     strides);
}

static hsched_status measure(const hsi_cuda_step *step, descriptors *d)
{
    size_t reserve = 0; /* for training only */
    hsched_status status = DNN_CHECK(doing, cudnnGetRNNWeightSpaceSize,
                                     step->device->cudnn, d->rnn, &d->weight_bytes);
    if (status != HSCHED_OK)
        return status;
    return DNN_CHECK(doing, cudnnGetRNNTempSpaceSizes, step->device->cudnn, d->rnn,
                     CUDNN_FWD_MODE_INFERENCE, d->x, &d->scratch_bytes, &reserve);
}

static hsched_status describe(const hsi_cuda_step *step, descriptors *d)
{
    const hsched_step *s = &step->step;
    const int64_t *x = s->in[0].dims, *out = s->out.dims;
    int *lengths = HSI_CUDA_NEW_ARRAY(int, (size_t)x[1]);
    if (!lengths)
        return hsi_cuda_no_memory(doing);
    for (int64_t n = 0; n < x[1]; n++)
        lengths[n] = (int)x[0];
    hsched_status status = describe_network(step, d);
    if (status == HSCHED_OK)
        status = describe_sequences(step, lengths, x[2], &d->x);
    if (status == HSCHED_OK)
        status = describe_sequences(step, lengths, out[1] * out[3], &d->y);
    if (status == HSCHED_OK)
        status = describe_state(step, &d->state);
    if (status == HSCHED_OK)
        status = measure(step, d);
    hsi_cuda_host->free(lengths);
    return status;
}

/* ---- The workspace ---------------------------------------------------------- */

/* What has to be copied, and where in the workspace. cuDNN does not say how operands have to be
 * aligned; what may not be as memory usually is has a copy that is. */
typedef struct places {
    int copies_x, copies_y, copies_states, copies_h, copies_c;
    size_t x, y, states[2], h, c, scratch; /* states: those after the last step */
    size_t bytes;
} places;

enum {
    ENOUGH = 16 /* bytes of alignment */
};

static size_t reserve(places *p, int needed, size_t bytes)
{
    const size_t at = p->bytes;
    if (needed)
        p->bytes += (bytes + 255) / 256 * 256;
    return at;
}

static places place(const hsi_cuda_step *step, const descriptors *d)
{
    const hsched_step *s = &step->step;
    const int64_t *x = s->in[0].dims, *out = s->out.dims;
    const size_t element = hsi_cuda_type_size(step->type),
                 state = (size_t)(out[1] * out[2] * out[3]) * element;
    const int reverse = s->u.recurrent.direction == HSCHED_RECURRENT_REVERSE,
              loose = step->out_alignment < ENOUGH;
    places p = { .copies_x = reverse || step->alignment[0] < ENOUGH,
                 .copies_y = reverse || loose || (out[1] == 2 && out[2] > 1),
                 .copies_states = loose || state % ENOUGH != 0,
                 .copies_h = has(s, 5) && step->alignment[5] < ENOUGH,
                 .copies_c = has(s, 6) && step->alignment[6] < ENOUGH };
    p.x = reserve(&p, p.copies_x, (size_t)(x[0] * x[1] * x[2]) * element);
    p.y = reserve(&p, p.copies_y, (size_t)x[0] * state);
    p.states[0] = reserve(&p, p.copies_states, state);
    p.states[1] = reserve(&p, p.copies_states && is_lstm(s), state);
    p.h = reserve(&p, p.copies_h, state);
    p.c = reserve(&p, p.copies_c, state);
    p.scratch = reserve(&p, 1, d->scratch_bytes);
    return p;
}

/* ---- Weights ---------------------------------------------------------------- */

/* An address that nothing is read from or written to: cuDNN only adds to it. */
#define NOWHERE ((char *)(uintptr_t)(UINT32_C(1) << 20))

static hsched_status find_weights(const hsi_cuda_step *step, const descriptors *d,
                                  hsi_cuda_rnn_layout *layout)
{
    cudnnTensorDescriptor_t matrix = NULL, bias = NULL;
    const int count = 2 * (int)gates_of(&step->step);
    hsched_status status = DNN_CHECK(doing, cudnnCreateTensorDescriptor, &matrix);
    if (status == HSCHED_OK)
        status = DNN_CHECK(doing, cudnnCreateTensorDescriptor, &bias);
    layout->bytes = d->weight_bytes;
    for (int k = 0; k < count * (int)directions_of(&step->step); k++) {
        void *m = NULL, *b = NULL;
        if (status == HSCHED_OK)
            status = DNN_CHECK(doing, cudnnGetRNNWeightParams, step->device->cudnn,
                               d->rnn, k / count, d->weight_bytes, NOWHERE, k % count,
                               matrix, &m, bias, &b);
        if (status == HSCHED_OK && (!m || !b))
            status = hsi_cuda_unsupported("cuDNN has no place for some weights");
        layout->matrices[k / count][k % count] = (size_t)((char *)m - NOWHERE);
        layout->biases[k / count][k % count] = (size_t)((char *)b - NOWHERE);
    }
    if (matrix)
        hsi_cuda.cudnnDestroyTensorDescriptor(matrix);
    if (bias)
        hsi_cuda.cudnnDestroyTensorDescriptor(bias);
    return status;
}

hsched_status hsi_cuda_rnn_lay_out(const hsi_cuda_step *step, hsi_cuda_rnn_layout *layout)
{
    descriptors d = { 0 };
    *layout = (hsi_cuda_rnn_layout){ 0 };
    const char *why = why_not(step);
    if (why)
        return hsi_cuda_unsupported(why);
    hsched_status status = describe(step, &d);
    if (status == HSCHED_OK && place(step, &d).bytes > WORKSPACE_MAX)
        status = hsi_cuda_unsupported("cuDNN needs too much workspace");
    if (status == HSCHED_OK)
        status = find_weights(step, &d, layout);
    close_descriptors(&d);
    if (status == HSCHED_ERROR_UNSUPPORTED)
        hsi_cuda_host->log(HSCHED_LOG_DEBUG,
                           "GPU: step '%s': cuDNN refused it; own kernels take it",
                           step->step.name);
    return status;
}

/* The place of ONNX's gate in cuDNN's order: i, o, f, c are i, f, c, o; z, r, h are r, z, h. */
static uint32_t gate_in_cudnn(uint32_t gates, uint32_t gate)
{
    static const uint8_t lstm[] = { 0, 3, 1, 2 }, gru[] = { 1, 0, 2 };
    return gates == 4 ? lstm[gate] : gates == 3 ? gru[gate] : gate;
}

static void put_floats(void *space, size_t at, const float *from, size_t count,
                       hsi_cuda_type type)
{
    for (size_t i = 0; i < count; i++)
        hsi_cuda_put_float((char *)space + at, i, from[i], type);
}

/* cuDNN's matrices are as ONNX's: row by row, a row for each hidden unit. */
void hsi_cuda_rnn_pack(const hsched_step *s, const hsi_cuda_rnn_layout *layout,
                       hsi_cuda_type type, void *to)
{
    const uint32_t gates = gates_of(s);
    const size_t inputs = (size_t)s->in[0].dims[2], hidden = (size_t)s->out.dims[3];
    const float *w = s->in[1].constant, *r = s->in[2].constant,
                *bias = has(s, 3) ? s->in[3].constant : NULL;
    for (uint32_t d = 0; d < directions_of(s); d++)
        for (uint32_t g = 0; g < gates; g++) {
            const uint32_t at = gate_in_cudnn(gates, g);
            const size_t block = (size_t)d * gates + g;
            put_floats(to, layout->matrices[d][at], w + block * hidden * inputs,
                       hidden * inputs, type);
            put_floats(to, layout->matrices[d][gates + at], r + block * hidden * hidden,
                       hidden * hidden, type);
            if (!bias)
                continue;
            const float *of = bias + ((size_t)d * 2 * gates + g) * hidden;
            put_floats(to, layout->biases[d][at], of, hidden, type);
            put_floats(to, layout->biases[d][gates + at], of + gates * hidden, hidden,
                       type);
        }
}

/* ---- The op ----------------------------------------------------------------- */

typedef struct rnn_op {
    hsi_cuda_op op;
    hsi_cuda_device *device;
    descriptors descriptors;
    places places;
    hsi_cuda_op *copy_x, *copy_y; /* NULL: not copied */
    size_t last_x, last_y;        /* bytes to the step that is copied first */
    size_t state;                 /* bytes of the states after a step */
    size_t rows;                  /* bytes of those after all steps */
    int is_lstm;
} rnn_op;

static void destroy(hsi_cuda_op *op)
{
    rnn_op *o = (rnn_op *)op;
    if (o->copy_x)
        o->copy_x->destroy(o->copy_x);
    if (o->copy_y)
        o->copy_y->destroy(o->copy_y);
    close_descriptors(&o->descriptors);
    hsi_cuda_host->free(o);
}

static hsched_status launch_copy(const hsi_cuda_op *op, const hsi_cuda_call *call,
                                 CUdeviceptr from, CUdeviceptr to)
{
    const hsi_cuda_call own = { .stream = call->stream, .in = { from }, .out = to };
    return op->enqueue(op, &own);
}

static hsched_status copy_states(const rnn_op *o, const hsi_cuda_call *call,
                                 CUdeviceptr to, CUdeviceptr from)
{
    return CU_CHECK(doing, cuMemcpyDtoDAsync, to, from, o->state, call->stream);
}

/* Where cuDNN finds and puts everything. */
typedef struct operands {
    CUdeviceptr x, y, h, c, last_h, last_c;
} operands;

static hsched_status bring(const rnn_op *o, const hsi_cuda_call *call, operands *at)
{
    const places *p = &o->places;
    const CUdeviceptr w = call->workspace;
    hsched_status status = HSCHED_OK;
    *at = (operands){ .x = p->copies_x ? w + p->x : call->in[0],
                      .y = p->copies_y ? w + p->y : call->out,
                      .h = p->copies_h ? w + p->h : call->in[5],
                      .c = p->copies_c ? w + p->c : call->in[6] };
    at->last_h = p->copies_states ? w + p->states[0] : call->out + o->rows;
    at->last_c = p->copies_states ? w + p->states[1] : call->out + o->rows + o->state;
    if (p->copies_x)
        status = launch_copy(o->copy_x, call, call->in[0] + o->last_x, at->x);
    if (status == HSCHED_OK && p->copies_h)
        status = copy_states(o, call, at->h, call->in[5]);
    if (status == HSCHED_OK && p->copies_c)
        status = copy_states(o, call, at->c, call->in[6]);
    return status;
}

static hsched_status put_back(const rnn_op *o, const hsi_cuda_call *call,
                              const operands *at)
{
    hsched_status status = HSCHED_OK;
    if (o->places.copies_y)
        status = launch_copy(o->copy_y, call, at->y + o->last_y, call->out);
    if (status == HSCHED_OK && o->places.copies_states)
        status = copy_states(o, call, call->out + o->rows, at->last_h);
    if (status == HSCHED_OK && o->places.copies_states && o->is_lstm)
        status = copy_states(o, call, call->out + o->rows + o->state, at->last_c);
    return status;
}

static void *pointer(CUdeviceptr address)
{
    return (void *)(uintptr_t)address;
}

static hsched_status forward(const rnn_op *o, const hsi_cuda_call *call,
                             const operands *at)
{
    const descriptors *d = &o->descriptors;
    hsched_status status =
        DNN_CHECK(doing, cudnnSetStream, o->device->cudnn, (cudaStream_t)call->stream);
    if (status != HSCHED_OK)
        return status;
    return DNN_CHECK(
        o->op.name, cudnnRNNForward, o->device->cudnn, d->rnn, CUDNN_FWD_MODE_INFERENCE,
        NULL, d->x, pointer(at->x), d->y, pointer(at->y), d->state, pointer(at->h),
        pointer(at->last_h), d->state, o->is_lstm ? pointer(at->c) : NULL,
        o->is_lstm ? pointer(at->last_c) : NULL, d->weight_bytes, pointer(call->in[1]),
        d->scratch_bytes, pointer(call->workspace + o->places.scratch), 0, NULL);
}

static hsched_status enqueue(const hsi_cuda_op *op, const hsi_cuda_call *call)
{
    const rnn_op *o = (const rnn_op *)op;
    operands at;
    if (call->recorder)
        return hsi_cuda_record_captured(op, call);
    hsched_status status = bring(o, call, &at);
    if (status == HSCHED_OK)
        status = forward(o, call, &at);
    return status == HSCHED_OK ? put_back(o, call, &at) : status;
}

/* A copy of `in` to what has the same dims and is dense. */
static hsched_status make_copy(const hsi_cuda_step *step, hsched_operand in,
                               hsi_cuda_op **op)
{
    hsi_cuda_step copy = { .device = step->device, .type = step->type };
    const uint32_t element = (uint32_t)hsi_cuda_type_size(step->type);
    hsched_operand out = in;
    in.dtype = out.dtype = HSCHED_FLOAT32;
    for (uint32_t d = out.rank; d-- > 0;)
        out.strides[d] = d + 1 == out.rank ? 1 : out.strides[d + 1] * out.dims[d + 1];
    copy.step = (hsched_step){ .struct_size = sizeof copy.step,
                               .kind = HSCHED_STEP_COPY,
                               .name = step->step.name,
                               .input_count = 1,
                               .in = { in },
                               .out = out,
                               .out_aliases = -1,
                               .parts = 1 };
    copy.alignment[0] = copy.out_alignment = element;
    hsched_status status = hsi_cuda_make_copy(&copy, op);
    if (status == HSCHED_OK && (*op)->workspace > 0)
        status = hsi_cuda_unsupported("a copy needs a workspace");
    return status;
}

static hsched_status make_copies(const hsi_cuda_step *step, rnn_op *o)
{
    const hsched_step *s = &step->step;
    const size_t element = hsi_cuda_type_size(step->type);
    const int64_t steps = s->in[0].dims[0], d = s->out.dims[1], n = s->out.dims[2],
                  h = s->out.dims[3], x_row = n * s->in[0].dims[2], y_row = d * n * h;
    const int reverse = s->u.recurrent.direction == HSCHED_RECURRENT_REVERSE;
    const hsched_operand x = { .rank = 2,
                               .dims = { steps, x_row },
                               .strides = { reverse ? -x_row : x_row, 1 } };
    /* As cuDNN has it, [T,N,D,H], in the order of out. */
    const hsched_operand y = { .rank = 4,
                               .dims = { steps, d, n, h },
                               .strides = { reverse ? -y_row : y_row, h, d * h, 1 } };
    hsched_status status = HSCHED_OK;
    o->state = (size_t)y_row * element;
    o->rows = (size_t)steps * o->state;
    if (reverse) {
        o->last_x = (size_t)((steps - 1) * x_row) * element;
        o->last_y = o->rows - o->state;
    }
    if (o->places.copies_x)
        status = make_copy(step, x, &o->copy_x);
    if (status == HSCHED_OK && o->places.copies_y)
        status = make_copy(step, y, &o->copy_y);
    return status;
}

hsched_status hsi_cuda_make_rnn(const hsi_cuda_step *step, hsi_cuda_op **op)
{
    static const char *const names[] = { [CUDNN_RNN_RELU] = "relu",
                                         [CUDNN_RNN_TANH] = "tanh",
                                         [CUDNN_LSTM] = "lstm",
                                         [CUDNN_GRU] = "gru" };
    *op = NULL;
    const char *why = why_not(step);
    if (why)
        return hsi_cuda_unsupported(why);
    rnn_op *o = HSI_CUDA_NEW(rnn_op);
    if (!o)
        return hsi_cuda_no_memory(doing);
    o->op.enqueue = enqueue;
    o->op.destroy = destroy;
    o->device = step->device;
    o->is_lstm = is_lstm(&step->step);
    snprintf(o->op.name, sizeof o->op.name, "cudnn/rnn %s", names[mode_of(&step->step)]);
    hsched_status status = describe(step, &o->descriptors);
    if (status == HSCHED_OK) {
        o->places = place(step, &o->descriptors);
        o->op.workspace = o->places.bytes;
        status = make_copies(step, o);
    }
    if (status != HSCHED_OK) {
        destroy(&o->op);
        return status;
    }
    *op = &o->op;
    return HSCHED_OK;
}
