/* Times of kernels that are prepared for the same step. */
#ifndef HSI_BACKEND_CPU_MEASURE_H
#define HSI_BACKEND_CPU_MEASURE_H

#include "backend/cpu/choose.h"

/* One of several kernels for a step. */
typedef struct hsi_cpu_rival {
    hsched_step step; /* with this kernel's parts */
    hsi_cpu_choice choice;
    double
        us; /* of CPU time for all parts, one after the other, on one thread; the least seen */
    void *slot_state, *scratch;
} hsi_cpu_rival;

/*
 * Measures rivals (at least one) on made-up tensors, in turns, and sets `us`: infinite for one that
 * fails. Those that are clearly slower than another get few turns. Leaves slot_state and scratch as
 * they were, NULL. Errors: OUT_OF_MEMORY.
 */
hsched_status hsi_cpu_measure(hsi_cpu_rival *rivals, uint32_t count);

#endif
