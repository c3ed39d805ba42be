/* Arithmetic that all backends do alike, to the last bit: functions that kernels call, too. */
#ifndef HSI_BACKEND_HOST_DEVICE_H
#define HSI_BACKEND_HOST_DEVICE_H

#ifdef __CUDACC__
#define HSI_HOST_DEVICE __host__ __device__
#else
#define HSI_HOST_DEVICE
#endif

#endif
