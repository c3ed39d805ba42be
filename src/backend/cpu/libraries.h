/* The libraries behind the kernels: which there are, and how they are kept to one thread.
 */
#ifndef HSI_BACKEND_CPU_LIBRARIES_H
#define HSI_BACKEND_CPU_LIBRARIES_H

#include <stddef.h>
#include <stdint.h>

#include <hsched/hsched.h>

/* HSCHED_LIBRARY_... that were compiled in. */
uint32_t hsi_cpu_libraries_built(void);

/* "oneDNN 2.6.3, OpenBLAS 0.3.21 (SkylakeX)" of those in `libraries`, the instruction set that own
 * kernels use, and that for bfloat16, if there is one. */
void hsi_cpu_libraries_describe(uint32_t libraries, char *text, size_t size);

/*
 * OpenBLAS, which has one setting per process, gets one thread, unless that is to be
 * kept; warns of environment variables that make it slow. Called when a device is opened;
 * any thread.
 */
void hsi_cpu_libraries_start(int keep_openblas_threads);

/*
 * oneDNN runs on OpenMP, whose number of threads belongs to the calling thread. Workers,
 * which are the library's own, are set to one thread for good with the first part; on the
 * user's threads hsi_backend_cpu_enter and hsi_backend_cpu_leave (backend.h) stand around
 * preparation and execution.
 */
void hsi_cpu_worker_enter(void);

#endif
