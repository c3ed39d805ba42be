/*
 * RECURRENT: through cuDNN's RNN functions where they compute what the step says, else by own
 * kernels, which take every form. Which of the two is decided when the weights are packed, once
 * for a model: cuDNN has an order of its own for them.
 */
#ifndef HSI_BACKEND_CUDA_RECURRENT_H
#define HSI_BACKEND_CUDA_RECURRENT_H

#include "backend/cuda/op.h"

/* 1 if the sizes are such that the own kernels can be launched: they take all else. */
int hsi_cuda_recurrent_fits(const hsched_step *step);

/* Where cuDNN has the weights: bytes from the start of its weight space, by direction and number
 * of the matrix, those of the inputs first, then those of the hidden state, in cuDNN's order. */
typedef struct hsi_cuda_rnn_layout {
    size_t bytes;
    size_t matrices[2][8], biases[2][8];
} hsi_cuda_rnn_layout;

/* UNSUPPORTED: the step is nothing for cuDNN. The device was entered; constants are not looked
 * at. */
hsched_status hsi_cuda_rnn_lay_out(const hsi_cuda_step *step,
                                   hsi_cuda_rnn_layout *layout);
/* Fills a weight space, zeros before, from the step's constants. */
void hsi_cuda_rnn_pack(const hsched_step *step, const hsi_cuda_rnn_layout *layout,
                       hsi_cuda_type type, void *to);

/* weights.c: element `index` of an array of `type`. */
void hsi_cuda_put_float(void *to, size_t index, float value, hsi_cuda_type type);

#endif
