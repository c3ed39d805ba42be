/* What the kernels of fully connected steps share. */
#ifndef HSI_BACKEND_CPU_FC_H
#define HSI_BACKEND_CPU_FC_H

#include "backend/cpu/kernel.h"

/* 1 if x and y are float32 with contiguous rows, weights and bias constants (fc.c). */
int hsi_fc_supports(const hsched_step *step);
/* 1 if it is one row with so many weights that reading them is all of its time, whatever the
 * kernel: then none is to copy them. */
int hsi_fc_waits_for_weights(const hsched_step *step);

extern const hsi_cpu_kernel hsi_cpu_fc_packed;      /* fc_packed.c */
extern const hsi_cpu_kernel hsi_cpu_fc_bf16;        /* fc_bf16.c */
extern const hsi_cpu_kernel hsi_cpu_fc_onednn_bf16; /* fc_onednn_bf16.c */
extern const hsi_cpu_kernel hsi_cpu_fc_int8;        /* fc_int8.c */

#endif
