/* Instructions for tiles in shared memory: copies that run beside the threads, barriers,
 * tensor cores, clusters. */
#ifndef HSI_BACKEND_CUDA_KERNELS_ASYNC_CUH
#define HSI_BACKEND_CUDA_KERNELS_ASYNC_CUH

#include <math.h>

#include "backend/cuda/kernels/common.cuh"

__device__ __forceinline__ uint32_t shared_address(const void *pointer)
{
    return (uint32_t)__cvta_generic_to_shared(pointer);
}

/* 16 bytes, or zeros if not ok; past the first-level cache. */
__device__ __forceinline__ void copy16(uint32_t to, const void *from, bool ok)
{
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(to),
                 "l"(from), "r"(ok ? 16 : 0)
                 : "memory");
}

/* The same, kept in the first-level cache: windows overlap. */
__device__ __forceinline__ void copy16_cached(uint32_t to, const void *from, bool ok)
{
    asm volatile("cp.async.ca.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(to),
                 "l"(from), "r"(ok ? 16 : 0)
                 : "memory");
}

__device__ __forceinline__ void copy4(uint32_t to, const void *from, bool ok)
{
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to), "l"(from),
                 "r"(ok ? 4 : 0)
                 : "memory");
}

/* Barriers in shared memory; `phase` is 0 or 1, and changes whenever all have arrived. */
__device__ __forceinline__ void make_barrier(uint32_t barrier, int arrivals)
{
    asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals)
                 : "memory");
}

__device__ __forceinline__ void arrive(uint32_t barrier)
{
    asm volatile(
        "{ .reg .b64 state; mbarrier.arrive.shared.b64 state, [%0]; }" ::"r"(barrier)
        : "memory");
}

/* Arrives when all cp.async of this thread so far have ended. */
__device__ __forceinline__ void arrive_with_copies(uint32_t barrier)
{
    asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(barrier)
                 : "memory");
}

/* Until the phase has ended. */
__device__ __forceinline__ void wait_phase(uint32_t barrier, int phase)
{
    uint32_t done;
    do {
        asm volatile("{ .reg .pred p;\n"
#if __CUDA_ARCH__ >= 900
                     "mbarrier.try_wait.parity.shared.b64 p, [%1], %2;\n"
#else
                     "mbarrier.test_wait.parity.shared.b64 p, [%1], %2;\n"
#endif
                     "selp.u32 %0, 1, 0, p; }"
                     : "=r"(done)
                     : "r"(barrier), "r"(phase)
                     : "memory");
    } while (!done);
}

/* Four 8 x 16-byte matrices; lane l gives the address of row l & 7 of matrix l >> 3. */
__device__ __forceinline__ void load_matrices(uint32_t from, uint32_t &a, uint32_t &b,
                                              uint32_t &c, uint32_t &d)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(a), "=r"(b), "=r"(c), "=r"(d)
                 : "r"(from)
                 : "memory");
}

/* c += a * b for 16 x 32 bytes of a, 8 x 32 bytes of b. */
template <typename T>
__device__ __forceinline__ void multiply(float (&c)[4], const uint32_t (&a)[4],
                                         const uint32_t (&b)[2]);
#define MULTIPLY(type, shape, name)                                                      \
    template <>                                                                          \
    __device__ __forceinline__ void multiply<type>(                                      \
        float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2])                   \
    {                                                                                    \
        asm("mma.sync.aligned." shape ".row.col.f32." name "." name                      \
            ".f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"                 \
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])                             \
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));         \
    }
MULTIPLY(float, "m16n8k8", "tf32")
MULTIPLY(__half, "m16n8k16", "f16")
MULTIPLY(__nv_bfloat16, "m16n8k16", "bf16")

/*
 * Floats are rounded to tf32's 10 bits of mantissa, halves away from zero; the tensor core
 * would cut the others off. cvt.rna.tf32 does that at an eighth of the speed of an addition,
 * slower than the tensor core multiplies. Infinities and NaNs stay what they are.
 */
template <typename T> __device__ __forceinline__ uint32_t round_operand(uint32_t x)
{
    return x;
}
template <> __device__ __forceinline__ uint32_t round_operand<float>(uint32_t x)
{
    if (fabsf(__uint_as_float(x)) < INFINITY)
        x += 0x1000;
    return x;
}

#if __CUDA_ARCH__ >= 900
__device__ __forceinline__ void cluster_arrive(void)
{
    asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
}
__device__ __forceinline__ void cluster_wait(void)
{
    asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
}
/* Four floats of the shared memory of another block of the cluster. */
__device__ __forceinline__ float4 load_remote(uint32_t address, int rank)
{
    uint32_t remote;
    float4 v;
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;"
                 : "=r"(remote)
                 : "r"(address), "r"(rank));
    asm volatile("ld.shared::cluster.v4.f32 {%0,%1,%2,%3}, [%4];"
                 : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
                 : "r"(remote)
                 : "memory");
    return v;
}
#endif

#endif
