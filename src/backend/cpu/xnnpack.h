/* Convolutions of XNNPACK, as conv2d_xnnpack.c and fc_xnnpack.c use them. */
#ifndef HSI_BACKEND_CPU_XNNPACK_H
#define HSI_BACKEND_CPU_XNNPACK_H

#include "backend/cpu/conv2d.h"
#include "backend/cpu/fc.h"

#if HSI_HAVE_XNNPACK

#if !__has_include(<xnnpack.h>) || !__has_include(<pthreadpool.h>)
#error                                                                                   \
    "XNNPACK=1 needs xnnpack.h and pthreadpool.h (Debian 12: libxnnpack-dev libpthreadpool-dev)"
#endif

extern const hsi_cpu_kernel hsi_cpu_conv2d_xnnpack; /* conv2d_xnnpack.c */
extern const hsi_cpu_kernel hsi_cpu_fc_xnnpack;     /* fc_xnnpack.c */

/* 1 if XNNPACK has kernels for this processor, found out once. Any thread. */
int hsi_xnnpack_starts(void);

/* 1 if XNNPACK can do it: sizes and strides within its bounds. */
int hsi_xnnpack_supports(const hsi_conv2d *conv);

/* 1: where nothing is measured, XNNPACK's kernel is taken first. */
int hsi_xnnpack_is_first_choice(void);

/*
 * The functions of a kernel (kernel.h), for a step that reads as `conv`: in[1] are the weights
 * [o,c/groups,kh,kw], in[2] the bias if there is one, in[3] the residual. The state is immutable.
 */
hsched_status hsi_xnnpack_prepare(const hsi_conv2d *conv,
                                  const hsi_cpu_prepare_context *context,
                                  hsched_step *step, hsi_cpu_prepared *prepared);
void hsi_xnnpack_destroy(void *state);
hsched_status hsi_xnnpack_slot_create(const hsched_step *step, const void *state,
                                      void **slot_state);
void hsi_xnnpack_slot_destroy(void *slot_state);
hsched_status hsi_xnnpack_run(const hsched_step *step, const void *state,
                              void *slot_state, void *const *operands, uint32_t part,
                              void *scratch);

#endif
#endif
