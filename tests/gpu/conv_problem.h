/*
 * A convolution on the GPU with operands of its own, and what is right: for programs that check
 * and time the plug-in's kernels without the library, whose part (memory, error texts) this file
 * plays. Whatever fails ends the program.
 *
 * Operands are small multiples of powers of two, so that sums are exact in float in any order
 * and results are compared for equality (of the value rounded once to the storage format).
 */
#ifndef TESTS_GPU_CONV_PROBLEM_H
#define TESTS_GPU_CONV_PROBLEM_H

#include "backend/cuda/device.h"
#include "backend/cuda/op.h"

/* ---- The GPU ---- */

enum {
    CONV_COUNTERS = 64 << 10, /* zeros between ops; scratch memory follows (section.h) */
    CONV_WORKSPACE = CONV_COUNTERS + (64 << 20)
};

typedef struct conv_bench_state {
    hsi_cuda_device *device; /* entered */
    CUstream stream;
    CUdeviceptr workspace;
} conv_bench_state;
extern conv_bench_state conv_bench;

void conv_open(void);
void conv_close(void);

/* What the last call that failed said. */
extern char conv_error[512];
/* Ends the program unless the status is good. */
void conv_need(hsched_status status, const char *what);
#define CONV_NEED(name, ...) conv_need(CU_CHECK("benchmark", name, __VA_ARGS__), #name)

/* Launches an op on the stream. */
hsched_status conv_enqueue(const hsi_cuda_op *op, const hsi_cuda_call *call);

/* ---- A layer, its operands, its result ---- */

typedef struct conv_layer {
    const char *name;
    int batch, channels, height, outputs, kernel, stride, pad, groups;
    int residual;
    /* Of odd layers; 0: as usual. */
    int width, dilation, x_gap, out_gap, shift, act;
    float factor; /* of x, so that it is no longer exact in every format */
} conv_layer;

typedef struct conv_problem {
    const conv_layer *of;
    hsi_cuda_step step;
    int64_t x_size, w_size, out_size; /* elements, gaps included */
    float *x, *w, *bias, *residual;
    double *want; /* of the elements that are compared */
    hsi_cuda_call call;
    CUdeviceptr blocks[5];
    double w_scale;
} conv_problem;

void conv_problem_make(conv_problem *p, const conv_layer *l, hsi_cuda_type type);
void conv_problem_free(conv_problem *p);
/* Compares up to `most` elements (0: all); the number of wrong ones. */
int64_t conv_problem_wrong(conv_problem *p, int64_t most, char *first, size_t first_size);
/* The gaps between pixels of out must be as before: the bytes that are not. */
int64_t conv_problem_stray(conv_problem *p);

/* A copy of the values in memory of the GPU that this takes. */
CUdeviceptr conv_upload(const float *values, int64_t count, hsi_cuda_type type,
                        CUdeviceptr *block);

#endif
