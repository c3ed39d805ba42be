/* Reductions over a warp or a block, in an order that depends on the number of threads alone. */
#ifndef HSI_BACKEND_CUDA_KERNELS_GROUP_CUH
#define HSI_BACKEND_CUDA_KERNELS_GROUP_CUH

#include "backend/cuda/kernels/common.cuh"

struct plus {
    static constexpr float neutral = 0;
    static __device__ __forceinline__ float of(float a, float b)
    {
        return a + b;
    }
};
struct maximum {
    static __device__ __forceinline__ float of(float a, float b)
    {
        return fmaxf(a, b);
    }
};

/* Every thread of the group gets the result. `memory`: a float per warp, for blocks; not to
 * be used again before a barrier. */
template <typename OPERATION, int GROUP>
__device__ __forceinline__ float reduce_group(float x, float *memory)
{
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2)
        x = OPERATION::of(x, __shfl_xor_sync(0xffffffffu, x, offset));
    if (GROUP == 32)
        return x;
    if (threadIdx.x % 32 == 0)
        memory[threadIdx.x / 32] = x;
    __syncthreads();
    x = memory[0];
#pragma unroll
    for (int warp = 1; warp < GROUP / 32; warp++)
        x = OPERATION::of(x, memory[warp]);
    return x;
}

#endif
