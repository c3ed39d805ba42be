/*
 * A step in one number format, as a test of an op has it: its operands in the GPU's memory, the
 * op's run, and whether what it made is right.
 *
 * An op runs twice, launched and as a CUDA graph. Nothing but elements of out may change in all the
 * memory around the operands. For half formats the reference computes from the rounded inputs, so
 * that only the op's own rounding is judged.
 *
 * Tolerances, in the terms of random_step.h:
 *                                 f32 strict   f32 (tf32)   f16    bf16
 *   conv2d, fully_connected, matmul,
 *   recurrent                           1e-5         2e-3   1e-2   8e-2
 *   all else                            1e-5         1e-5   1e-3   5e-3
 *   copy, pad, max pooling, nearest resizing, cast, where, what indices are for, integers and bool:
 *                                       the same bits, after rounding to the format
 *   fake_quantize                       one level more where the tolerance of what it is done to
 *                                       reaches the middle of two
 */
#ifndef TESTS_GPU_OP_TRIAL_H
#define TESTS_GPU_OP_TRIAL_H

#include "backend/random_step.h"
#include "gpu/op_session.h"

typedef struct op_format {
    const char *name;
    hsi_cuda_type type;
    int strict;
    double sums, others; /* tolerances */
    int capability;      /* the least */
} op_format;

#define OP_FORMATS    4
#define OP_FORMAT_F16 2
extern const op_format op_formats[OP_FORMATS];

typedef struct op_trial {
    random_step *made;
    const op_format *format;
    hsi_cuda_step step;
    hsi_cuda_call call;
    size_t out_at;    /* out's block in session.bench.memory */
    const char *what; /* the maker or variant under test */
} op_trial;

/* Convolutions, matrix products and recurrent networks. */
int op_is_sum(hsched_step_kind kind);
/* Rounds the inputs to the format, and computes what is expected from those. */
void op_round_inputs(random_step *made, hsi_cuda_type type);

/* Puts all operands into the GPU's memory; `index` varies where. */
void op_trial_prepare(op_trial *t, uint32_t index);
/* Puts an operand's block into the GPU's memory, its floats in the format. Returns where the block
 * begins; *address is that of its first element. */
size_t op_trial_place(const op_trial *t, const random_memory *from, hsched_dtype dtype,
                      uint64_t *rng, CUdeviceptr *address);

/* Packs a recurrent step's weights for cuDNN; 0: cuDNN does not take the step. */
int op_trial_pack_rnn(op_trial *t);

/* Runs what a maker made, and destroys it. 1 if it took the step. `must`: it has to. */
int op_trial_run(op_trial *t, const char *what, hsched_status status, hsi_cuda_op *op,
                 int must);
/* A failure. */
void op_trial_report(const op_trial *t, const char *what, const char *why);

#endif
