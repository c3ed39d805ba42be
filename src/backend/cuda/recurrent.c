/* RECURRENT by own kernels: any form, in any format, deterministic. */
#include "backend/cuda/recurrent.h"

#include <stdio.h>
#include <string.h>

#include "backend/cuda/kernels/recurrent.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/record.h"

enum {
    MOST_STATES = 1 << 21, /* D * N * H: up to four arrays of those in the workspace */
    MOST_SEQUENCES = 65535 * HSI_CUDA_RECURRENT_SEQUENCES
};

typedef struct recurrent_op {
    hsi_cuda_op op;
    hsi_cuda_recurrent_params params;
    CUfunction start, steps[2]; /* the second may be NULL */
    uint32_t start_blocks, blocks, rows;
} recurrent_op;

int hsi_cuda_recurrent_fits(const hsched_step *s)
{
    const int64_t *x = s->in[0].dims, *out = s->out.dims;
    return x[0] < INT32_MAX / 2 && x[1] <= MOST_SEQUENCES && x[2] < INT32_MAX / 2 &&
           out[2] * out[3] <= MOST_STATES / out[1];
}

/* ---- Launching -------------------------------------------------------------- */

static hsched_status launch(const recurrent_op *o, const hsi_cuda_call *call,
                            CUfunction function, uint32_t blocks, uint32_t rows,
                            hsi_cuda_recurrent_call *own)
{
    void *arguments[] = { (void *)(uintptr_t)&o->params, own };
    CUlaunchConfig config = { .gridDimX = blocks,
                              .gridDimY = rows,
                              .gridDimZ = 1,
                              .blockDimX = HSI_CUDA_RECURRENT_THREADS,
                              .blockDimY = 1,
                              .blockDimZ = 1 };
    return hsi_cuda_launch_kernel(o->op.name, call, function, &config, arguments);
}

static hsched_status enqueue(const hsi_cuda_op *op, const hsi_cuda_call *call)
{
    const recurrent_op *o = (const recurrent_op *)op;
    hsi_cuda_recurrent_call own = { .out = call->out, .workspace = call->workspace };
    for (size_t i = 0; i < sizeof own.in / sizeof own.in[0]; i++)
        own.in[i] = call->in[i];
    hsched_status status = launch(o, call, o->start, o->start_blocks, 1, &own);
    for (; own.step < o->params.steps && status == HSCHED_OK; own.step++)
        for (int k = 0; k < 2 && o->steps[k] && status == HSCHED_OK; k++)
            status = launch(o, call, o->steps[k], o->blocks, o->rows, &own);
    return status;
}

static void destroy(hsi_cuda_op *op)
{
    hsi_cuda_host->free(op);
}

/* ---- Making ----------------------------------------------------------------- */

static int has(const hsched_step *s, uint32_t i)
{
    return i < s->input_count && s->in[i].dtype != HSCHED_DTYPE_NONE;
}

static void set_params(const hsched_step *s, hsi_cuda_recurrent_params *p)
{
    const int64_t *x = s->in[0].dims, *out = s->out.dims;
    *p = (hsi_cuda_recurrent_params){
        .steps = (uint32_t)x[0],
        .sequences = (uint32_t)x[1],
        .inputs = (uint32_t)x[2],
        .hidden = (uint32_t)out[3],
        .directions = (uint32_t)out[1],
        .states = (uint32_t)(out[1] * out[2] * out[3]),
        .reverse = s->u.recurrent.direction == HSCHED_RECURRENT_REVERSE,
        .has_bias = has(s, 3),
        .has_lengths = has(s, 4),
        .has_h = has(s, 5),
        .has_c = has(s, 6),
        .input_forget = s->u.recurrent.input_forget,
        .clip = s->u.recurrent.clip,
    };
    memcpy(p->activations, s->u.recurrent.activations, sizeof p->activations);
}

static hsched_status find(const hsi_cuda_step *step, const char *name,
                          CUfunction *function)
{
    char kernel[48];
    snprintf(kernel, sizeof kernel, "recurrent_%s_%s", name,
             hsi_cuda_type_suffix(step->type));
    return hsi_cuda_kernel(step->device, HSI_CUDA_MODULE_RECURRENT, kernel, 0, function);
}

hsched_status hsi_cuda_make_recurrent(const hsi_cuda_step *step, hsi_cuda_op **op)
{
    const hsched_step *s = &step->step;
    const int is_gru = s->u.recurrent.kind == HSCHED_RECURRENT_GRU;
    const int resets_first = is_gru && !s->u.recurrent.linear_before_reset;
    const char *name = s->u.recurrent.kind == HSCHED_RECURRENT_LSTM  ? "step_lstm"
                       : s->u.recurrent.kind == HSCHED_RECURRENT_RNN ? "step_rnn"
                       : resets_first                                ? "step_gru_gates"
                                                                     : "step_gru_after";
    *op = NULL;
    if (!hsi_cuda_recurrent_fits(s))
        return hsi_cuda_unsupported("a recurrent network too large");
    recurrent_op *o = HSI_CUDA_NEW(recurrent_op);
    if (!o)
        return hsi_cuda_no_memory("an operation");
    set_params(s, &o->params);
    o->op.enqueue = enqueue;
    o->op.destroy = destroy;
    o->op.workspace = (size_t)o->params.states * sizeof(float) * (resets_first ? 4 : 3);
    snprintf(o->op.name, sizeof o->op.name, "own/recurrent_%s_%s", name,
             hsi_cuda_type_suffix(step->type));
    o->start_blocks =
        (uint32_t)hsi_cuda_blocks(o->params.states, HSI_CUDA_RECURRENT_THREADS);
    o->blocks = (uint32_t)hsi_cuda_blocks(o->params.directions * o->params.hidden,
                                          HSI_CUDA_RECURRENT_WARPS);
    o->rows =
        (uint32_t)hsi_cuda_blocks(o->params.sequences, HSI_CUDA_RECURRENT_SEQUENCES);
    hsched_status status = find(step, "start", &o->start);
    if (status == HSCHED_OK)
        status = find(step, name, &o->steps[0]);
    if (status == HSCHED_OK && resets_first)
        status = find(step, "step_gru_candidate", &o->steps[1]);
    if (status != HSCHED_OK) {
        destroy(&o->op);
        return status;
    }
    *op = &o->op;
    return HSCHED_OK;
}
