/*
 * Functions of libhsched whose form may still change between minor versions.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef HSCHED_EXPERIMENTAL_H
#define HSCHED_EXPERIMENTAL_H

#include <hsched/hsched.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One step compared with the plain reference kernels. */
typedef struct hsched_step_check {
    size_t struct_size;
    uint32_t step;            /* index, as in hsched_model_step_info */
    double error;             /* ||y - ref|| / ||ref|| (2-norms); the plain norm if ref is zero;
                                 for types other than float32 0 (equal) or 1 */
    double max_abs_error;
    uint64_t not_finite;      /* elements that are NaN or infinite in y and not in ref */
} hsched_step_check;

/* Return 0 to go on, else verification stops with HSCHED_ERROR_CANCELLED. */
typedef int (*hsched_step_check_callback)(void *user, const hsched_step_check *check);

/*
 * Runs the model once on `inputs`, step by step, on a thread of the library while the caller waits;
 * each step's result is compared with what the reference kernels make of the same operands. The
 * callback is called on that thread. Scheduling is not involved. The model was loaded with
 * HSCHED_MODEL_KEEP_CONSTANTS. Errors: those of hsched_submit, CANCELLED. Any thread. Since 0.1.
 */
HSCHED_API hsched_status hsched_model_verify(hsched_model *model, const hsched_binding *inputs,
                                             uint32_t input_count,
                                             hsched_step_check_callback callback, void *user);

#ifdef __cplusplus
}
#endif
#endif
