/*
 * Choosing among the variants of a step by timing them, and remembering the choice.
 *
 * A choice is stored under the device's key (GPU, multiprocessor count, driver, cuDNN) and the
 * step's key (kind, fused pattern, shapes, strides, alignment, number format), see tune_cache.h,
 * and is made again from its text. What is not stored is chosen as the device's `tuning` says.
 */
#ifndef HSI_BACKEND_CUDA_TUNE_H
#define HSI_BACKEND_CUDA_TUNE_H

#include "backend/cuda/op.h"
#include "backend/tune_cache.h"

/* The values of hsched_gpu_tuning. */
enum {
    HSI_CUDA_TUNING_DEFAULT = 0, /* quick */
    HSI_CUDA_TUNING_NONE = 1,    /* by guess: the first variant that can be made */
    HSI_CUDA_TUNING_QUICK = 2,   /* times the first few variants of each family */
    HSI_CUDA_TUNING_FULL = 3     /* times all that can be made */
};

/* The median time of one launch of an op in microseconds, in launches inside a CUDA graph, on
 * operands of its own. The device was entered; waits for the GPU. */
hsched_status hsi_cuda_time_op(const hsi_cuda_step *step, const hsi_cuda_op *op,
                               float *microseconds);

/* The text that a step's choice is stored under, without blanks; into key[size]. One that does
 * not fit ends in a hash of itself. */
void hsi_cuda_step_key(const hsi_cuda_step *step, char *key, size_t size);

/*
 * The full search for a step whose stored choice comes from a quick one, beside a GPU at work:
 * the device is entered in short turns only, and not while the GPU is waited for. If it was done
 * before, for an equal step, its result counts. *better: an op that is faster than `current`, or
 * NULL: there is none, or *stop became other than 0. The device was not entered. The step's
 * constants and `current` stay valid until it returns. Variants that would be compiled at run
 * time are left out.
 */
hsched_status hsi_cuda_retune(const hsi_cuda_step *step, const hsi_cuda_op *current,
                              atomic_int *stop, hsi_cuda_op **better);

/* conv_cudnn.c: 1 if making this variant has cuDNN compile a kernel, a second or so. */
int hsi_cuda_cudnn_compiles(const char *variant);

#endif
