/* What the kernels of fully connected steps share. */
#ifndef HSI_BACKEND_CPU_FC_H
#define HSI_BACKEND_CPU_FC_H

#include "backend/cpu/kernel.h"

/* 1 if x and y are float32 with contiguous rows, weights and bias constants (fc.c). */
int hsi_fc_supports(const hsched_step *step);

extern const hsi_cpu_kernel hsi_cpu_fc_int8; /* fc_int8.c */

#endif
