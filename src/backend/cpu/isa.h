/*
 * One source, several instruction sets: a loop is written once, compiled for each of them
 * and picked by what the processor has.
 *
 *     HSI_ISA_INLINE void add_body(const float *a, const float *b, float *y, size_t n)
 *     {
 *         for (size_t i = 0; i < n; i++)
 *             y[i] = a[i] + b[i];
 *     }
 *     HSI_ISA_DISPATCH(add, (const float *a, const float *b, float *y, size_t n),
 *                      (a, b, y, n))
 *
 * defines `static void add(const float *, const float *, float *, size_t)`. The loops are
 * compiled with -O3, without errno and traps, and may be contracted to fused
 * multiply-adds where there are any. What a body calls must be HSI_ISA_INLINE too, or
 * else it stays scalar baseline code. Dispatch is a call and some tests: call with rows,
 * not with elements.
 *
 * The order of operations within an element is the same in all variants; only contraction
 * differs. Sums are never reordered by the compiler: a body that wants a fast sum keeps
 * an array of partial sums of its own.
 */
#ifndef HSI_BACKEND_CPU_ISA_H
#define HSI_BACKEND_CPU_ISA_H

typedef enum hsi_isa {
    HSI_ISA_BASE = 0, /* what the compiler's flags say: SSE2 on x86-64, NEON on AArch64 */
    HSI_ISA_AVX2 = 1, /* and FMA */
    HSI_ISA_AVX512 = 2
} hsi_isa;

/* The best of this processor, but not above hsi_isa_limit. Any thread. */
hsi_isa hsi_isa_best(void);
const char *hsi_isa_name(hsi_isa isa); /* "avx512" */

/* For tests, which set it while nothing runs: hides better instruction sets. */
extern hsi_isa hsi_isa_limit;

#define HSI_ISA_INLINE static inline __attribute__((always_inline))
#define HSI_ISA_OPTIMIZE                                                                 \
    __attribute__((                                                                      \
        optimize("O3", "fp-contract=fast", "no-math-errno", "no-trapping-math")))

/* The sum of 16, 32 or 64 floats, by halves, each of which is vector code; they are changed. */
HSI_ISA_INLINE float hsi_isa_sum(float *lane, int lanes)
{
    if (lanes > 32)
        for (int k = 0; k < 32; k++)
            lane[k] += lane[k + 32];
    if (lanes > 16)
        for (int k = 0; k < 16; k++)
            lane[k] += lane[k + 16];
    for (int k = 0; k < 8; k++)
        lane[k] += lane[k + 8];
    for (int k = 0; k < 4; k++)
        lane[k] += lane[k + 4];
    return (lane[0] + lane[2]) + (lane[1] + lane[3]);
}

#if defined(__x86_64__) && defined(__GNUC__)
#define HSI_ISA_X86     1
#define HSI_TARGET_AVX2 __attribute__((target("avx2,fma")))
#define HSI_TARGET_AVX512                                                                \
    __attribute__((                                                                      \
        target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512")))

#define HSI_ISA_DISPATCH(name, params, args)                                             \
    HSI_TARGET_AVX512 HSI_ISA_OPTIMIZE static void name##_avx512 params                  \
    {                                                                                    \
        name##_body args;                                                                \
    }                                                                                    \
    HSI_TARGET_AVX2 HSI_ISA_OPTIMIZE static void name##_avx2 params                      \
    {                                                                                    \
        name##_body args;                                                                \
    }                                                                                    \
    HSI_ISA_OPTIMIZE static void name##_base params                                      \
    {                                                                                    \
        name##_body args;                                                                \
    }                                                                                    \
    static void name params                                                              \
    {                                                                                    \
        hsi_isa isa = hsi_isa_best();                                                    \
        if (isa == HSI_ISA_AVX512)                                                       \
            name##_avx512 args;                                                          \
        else if (isa == HSI_ISA_AVX2)                                                    \
            name##_avx2 args;                                                            \
        else                                                                             \
            name##_base args;                                                            \
    }
#else
#define HSI_ISA_X86 0
#define HSI_ISA_DISPATCH(name, params, args)                                             \
    HSI_ISA_OPTIMIZE static void name params                                             \
    {                                                                                    \
        name##_body args;                                                                \
    }
#endif

#endif
