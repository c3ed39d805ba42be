/* What the kernels of fully connected steps share. */
#ifndef HSI_BACKEND_CPU_FC_H
#define HSI_BACKEND_CPU_FC_H

#include "backend/cpu/kernel.h"

/* 1 if the step is of float32 rows, with constants. */
int hsi_cpu_fc_reads(const hsched_step *step);

extern const hsi_cpu_kernel hsi_cpu_fc_int8; /* fc_int8.c */

#endif
