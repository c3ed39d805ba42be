/* The registry of backends, what threads do to execute steps, and the reference kernels that every
 * comparison stands on. */
#ifndef HSI_BACKEND_BACKEND_H
#define HSI_BACKEND_BACKEND_H

#include <hsched/backend.h>

extern const hsched_backend hsi_backend_cpu;
extern const hsched_backend hsi_backend_sim;

/* Around the preparation and execution of CPU steps by a thread that is no worker: what libraries
 * know of it is as they need it, and afterwards as it was. */
int hsi_backend_cpu_enter(void);
void hsi_backend_cpu_leave(int entered);

/* The GPU backend, from its plug-in, if it is there and can be used; else NULL. *why: one
 * line, for either case. Any thread. */
const hsched_backend *hsi_backend_cuda(const char **why);

/* Backend k of the library's list, NULL past the last. */
const hsched_backend *hsi_backend_get(uint32_t index);
extern const hsched_backend_host hsi_backend_host;

/*
 * The oracle: computes a whole step with plain loops over logical indices, in double
 * where sums are long. `operands` as in hsched_backend.run_part, except that constants
 * are given too (from step->in[i].constant where the entry is NULL). `act` included. Any
 * thread; no heap.
 */
hsched_status hsi_ref_run(const hsched_step *step, const void *const *inputs, void *out);

/* Kinds of steps that take several steps' place and take the CPU longer than those, on this
 * processor and by these libraries (0: all there are): bits 1 << HSCHED_STEP_...
 * (cpu/separable_conv2d.c). */
uint64_t hsi_cpu_slower_kinds(uint32_t libraries);

#endif
