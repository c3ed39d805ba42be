/*
 * Programmatic dependent launch, device side (compute capability 9.0; nothing elsewhere).
 *
 * A kernel that hsi_cuda_launch() starts with `early` may begin before the kernel in front
 * of it has ended: until grid_wait() it reads constants only and writes nothing. It calls
 * grid_wait() in every thread, and grid_let_next_start() only afterwards, so that never more
 * than two kernels of a stream overlap.
 */
#ifndef HSI_BACKEND_CUDA_KERNELS_LAUNCH_CUH
#define HSI_BACKEND_CUDA_KERNELS_LAUNCH_CUH

/* Until the kernels in front have ended and what they wrote is visible. */
__device__ __forceinline__ void grid_wait(void)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/* The kernel behind may begin as soon as every block of this one has called this. */
__device__ __forceinline__ void grid_let_next_start(void)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

#endif
