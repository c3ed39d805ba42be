/* Elements of a type that is known only at run time. All threads take the same branch. */
#ifndef HSI_BACKEND_CUDA_KERNELS_TYPES_CUH
#define HSI_BACKEND_CUDA_KERNELS_TYPES_CUH

#include "backend/cuda/kernels/common.cuh"
#include "backend/cuda/kernels/types.h"

/* ---- Floats to integers: a not-a-number is 0, what is beyond the type is its end ---- */

template <typename REAL> __device__ __forceinline__ int64_t int64_of(REAL x)
{
    if (!(x < (REAL)0x1p63))
        return x == x ? INT64_MAX : 0;
    return x < (REAL)-0x1p63 ? INT64_MIN : (int64_t)x;
}

template <typename REAL> __device__ __forceinline__ int32_t int32_of(REAL x)
{
    if (!(x < (REAL)0x1p31))
        return x == x ? INT32_MAX : 0;
    return x < (REAL)-0x1p31 ? INT32_MIN : (int32_t)x;
}

template <typename REAL> __device__ __forceinline__ int8_t int8_of(REAL x)
{
    return (int8_t)max(-128, min(127, int32_of(x)));
}

template <typename REAL> __device__ __forceinline__ uint8_t uint8_of(REAL x)
{
    return (uint8_t)max(0, min(255, int32_of(x)));
}

/* ---- Elements ---------------------------------------------------------------- */

__device__ __forceinline__ bool is_whole(int32_t stored)
{
    return stored >= HSI_CUDA_STORED_I64;
}

/* Integers, and bool (0 or 1). */
__device__ __forceinline__ int64_t load_whole(int32_t stored, uint64_t address,
                                              int64_t at)
{
    switch (stored) {
    case HSI_CUDA_STORED_I64:
        return reinterpret_cast<const int64_t *>(address)[at];
    case HSI_CUDA_STORED_I32:
        return reinterpret_cast<const int32_t *>(address)[at];
    case HSI_CUDA_STORED_I8:
        return reinterpret_cast<const int8_t *>(address)[at];
    case HSI_CUDA_STORED_U8:
        return reinterpret_cast<const uint8_t *>(address)[at];
    default:
        return reinterpret_cast<const uint8_t *>(address)[at] != 0;
    }
}

/* Floats, but for those of 64 bits. */
__device__ __forceinline__ float load_real(int32_t stored, uint64_t address, int64_t at)
{
    switch (stored) {
    case HSI_CUDA_STORED_F16:
        return to_float(reinterpret_cast<const __half *>(address)[at]);
    case HSI_CUDA_STORED_BF16:
        return to_float(reinterpret_cast<const __nv_bfloat16 *>(address)[at]);
    default:
        return reinterpret_cast<const float *>(address)[at];
    }
}

template <typename T>
__device__ __forceinline__ void put(uint64_t address, int64_t at, T value)
{
    reinterpret_cast<T *>(address)[at] = value;
}

/* An integer keeps its low bits; for bool, what is not 0 is 1. */
__device__ __forceinline__ void store_whole(int32_t stored, uint64_t address, int64_t at,
                                            int64_t value)
{
    switch (stored) {
    case HSI_CUDA_STORED_F32:
        return put(address, at, (float)value);
    case HSI_CUDA_STORED_F16:
        return put(address, at, __double2half((double)value));
    case HSI_CUDA_STORED_BF16:
        return put(address, at, __double2bfloat16((double)value));
    case HSI_CUDA_STORED_F64:
        return put(address, at, (double)value);
    case HSI_CUDA_STORED_I64:
        return put(address, at, value);
    case HSI_CUDA_STORED_I32:
        return put(address, at, (uint32_t)(uint64_t)value);
    case HSI_CUDA_STORED_BOOL:
        return put(address, at, (uint8_t)(value != 0));
    default:
        return put(address, at, (uint8_t)(uint64_t)value);
    }
}

/* By the rules of hsched_graph_add_cast. */
__device__ __forceinline__ void store_real(int32_t stored, uint64_t address, int64_t at,
                                           float value)
{
    switch (stored) {
    case HSI_CUDA_STORED_F32:
        return put(address, at, value);
    case HSI_CUDA_STORED_F16:
        return put(address, at, from_float<__half>(value));
    case HSI_CUDA_STORED_BF16:
        return put(address, at, from_float<__nv_bfloat16>(value));
    case HSI_CUDA_STORED_F64:
        return put(address, at, (double)value);
    case HSI_CUDA_STORED_I64:
        return put(address, at, int64_of(value));
    case HSI_CUDA_STORED_I32:
        return put(address, at, int32_of(value));
    case HSI_CUDA_STORED_I8:
        return put(address, at, int8_of(value));
    case HSI_CUDA_STORED_U8:
        return put(address, at, uint8_of(value));
    default:
        return put(address, at, (uint8_t)(value != 0));
    }
}

__device__ __forceinline__ void store_double(int32_t stored, uint64_t address, int64_t at,
                                             double value)
{
    switch (stored) {
    case HSI_CUDA_STORED_F32:
        return put(address, at, (float)value);
    case HSI_CUDA_STORED_F16:
        return put(address, at, __double2half(value));
    case HSI_CUDA_STORED_BF16:
        return put(address, at, __double2bfloat16(value));
    case HSI_CUDA_STORED_F64:
        return put(address, at, value);
    case HSI_CUDA_STORED_I64:
        return put(address, at, int64_of(value));
    case HSI_CUDA_STORED_I32:
        return put(address, at, int32_of(value));
    case HSI_CUDA_STORED_I8:
        return put(address, at, int8_of(value));
    case HSI_CUDA_STORED_U8:
        return put(address, at, uint8_of(value));
    default:
        return put(address, at, (uint8_t)(value != 0));
    }
}

#endif
