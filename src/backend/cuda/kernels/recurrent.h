/* Parameters of kernels/recurrent.cu. */
#ifndef HSI_BACKEND_CUDA_KERNELS_RECURRENT_H
#define HSI_BACKEND_CUDA_KERNELS_RECURRENT_H

#include <stdint.h>

#include <hsched/hsched.h>

#define HSI_CUDA_RECURRENT_WARPS     8 /* of a block: hidden units */
#define HSI_CUDA_RECURRENT_SEQUENCES 4 /* of a warp */
#define HSI_CUDA_RECURRENT_THREADS   256

/*
 * The workspace is arrays of `states` floats, which are [D,N,H]: the hidden states before and
 * after a step, in turns, and the cell states; a GRU whose reset gate comes first has its update
 * gates there instead, and behind them the hidden states that its reset gates have left.
 */
typedef struct hsi_cuda_recurrent_params {
    uint32_t steps, sequences, inputs, hidden, directions;
    uint32_t states; /* D * N * H */
    int32_t reverse; /* the first direction; a second one always is */
    int32_t has_bias, has_lengths, has_h, has_c, input_forget;
    float clip; /* 0: none */
    hsched_activation activations[2][3];
} hsi_cuda_recurrent_params;

/* A kernel's second argument. */
typedef struct hsi_cuda_recurrent_call {
    uint64_t in[7], out, workspace;
    uint32_t step; /* how many were before */
} hsi_cuda_recurrent_call;

#endif
