/*
 * Steps that go element by element over operands of any types and strides: every operand
 * is brought to the loops as a contiguous block, from where it lies if it lies so, else
 * by way of a buffer on the stack, so that a loop is written for one case only.
 */
#ifndef HSI_BACKEND_CPU_BLOCKS_H
#define HSI_BACKEND_CPU_BLOCKS_H

#include "backend/cpu/kernel.h"

#define HSI_BLOCKS_INPUTS 3
#define HSI_BLOCK_LENGTH                                                                 \
    512 /* elements; of 8 bytes: all buffers in the first-level cache */

/* out[i] of n elements; out may be one of the inputs. */
typedef void hsi_cpu_block_loop(const void *const *in, void *out, int64_t n);

/* Makes the state of a step of `inputs` inputs, and lowers its parts; freed with hsi_free. */
hsched_status hsi_cpu_blocks_prepare(hsched_step *step, uint32_t inputs,
                                     hsi_cpu_block_loop *loop,
                                     hsi_cpu_prepared *prepared);
/* hsi_cpu_kernel.run of such a step. */
hsched_status hsi_cpu_blocks_run(const hsched_step *step, const void *state,
                                 void *slot_state, void *const *operands, uint32_t part,
                                 void *scratch);

#endif
