/*
 * Compiles a source for vectors once for each instruction set: the header that VECTOR_SOURCE names,
 * which has no include guard and finds defined
 *
 *     LANES                  floats of a vector
 *     REGISTERS              vectors that the processor holds
 *     SUFFIX, TARGET         of the instruction set: functions are TARGET ... JOIN(name, SUFFIX)
 *     VECTOR, AT, READ       the type; what lies at any address of floats, to write or to read
 *     VECTOR_MAX, VECTOR_MIN of two vectors; NaN in the second stays
 *     READ_FIRST, WRITE_FIRST of so many floats alone, fewer than LANES; the others read as 0
 *
 *     #define VECTOR_SOURCE "backend/cpu/panel_tile.h"
 *     #include "backend/cpu/vector_variants.h"
 *
 * gives name_avx512, name_avx2 and name_base on x86-64, and name_base elsewhere. One such source
 * in a file. isa.h has a shorter way, for plain loops.
 */
#include "backend/cpu/isa.h"

#define JOIN_(a, b)   a##_##b
#define JOIN(a, b)    JOIN_(a, b)
#define VECTOR        JOIN(vector, SUFFIX)
#define AT(pointer)   (*(VECTOR *)(pointer))
#define READ(pointer) (*(const VECTOR *)(pointer))

#if HSI_ISA_X86
#include <immintrin.h>

typedef float vector_avx512 __attribute__((vector_size(64), aligned(4), may_alias));
typedef float vector_avx2 __attribute__((vector_size(32), aligned(4), may_alias));

#define LANES                      16
#define REGISTERS                  32
#define SUFFIX                     avx512
#define TARGET                     HSI_TARGET_AVX512
#define VECTOR_MAX(a, b)           _mm512_max_ps(a, b)
#define VECTOR_MIN(a, b)           _mm512_min_ps(a, b)
#define FIRST(count)               ((__mmask16)((1u << (count)) - 1))
#define READ_FIRST(pointer, count) _mm512_maskz_loadu_ps(FIRST(count), pointer)
#define WRITE_FIRST(pointer, count, vector)                                              \
    _mm512_mask_storeu_ps(pointer, FIRST(count), vector)
#include VECTOR_SOURCE
#undef LANES
#undef REGISTERS
#undef SUFFIX
#undef TARGET
#undef VECTOR_MAX
#undef VECTOR_MIN
#undef FIRST
#undef READ_FIRST
#undef WRITE_FIRST

#define LANES            8
#define REGISTERS        16
#define SUFFIX           avx2
#define TARGET           HSI_TARGET_AVX2
#define VECTOR_MAX(a, b) _mm256_max_ps(a, b)
#define VECTOR_MIN(a, b) _mm256_min_ps(a, b)
#define FIRST(count)                                                                     \
    _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(count)),                                  \
                       _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
#define READ_FIRST(pointer, count) _mm256_maskload_ps(pointer, FIRST(count))
#define WRITE_FIRST(pointer, count, vector)                                              \
    _mm256_maskstore_ps(pointer, FIRST(count), vector)
#include VECTOR_SOURCE
#undef LANES
#undef REGISTERS
#undef SUFFIX
#undef TARGET
#undef VECTOR_MAX
#undef VECTOR_MIN
#undef FIRST
#undef READ_FIRST
#undef WRITE_FIRST

#define REGISTERS        16
#define VECTOR_MAX(a, b) _mm_max_ps(a, b)
#define VECTOR_MIN(a, b) _mm_min_ps(a, b)
#else
typedef int32_t vector_mask __attribute__((vector_size(16)));
#define REGISTERS 32
#define SELECT(mask, a, b)                                                               \
    ((vector_base)(((mask) & (vector_mask)(a)) | (~(mask) & (vector_mask)(b))))
#define VECTOR_MAX(a, b) SELECT((a) > (b), a, b)
#define VECTOR_MIN(a, b) SELECT((a) < (b), a, b)
#endif

typedef float vector_base __attribute__((vector_size(16), aligned(4), may_alias));

/* Not every source has use for these. */
__attribute__((unused)) static inline vector_base read_first_base(const float *from,
                                                                  int64_t count)
{
    vector_base vector = { 0 };
    for (int64_t i = 0; i < count; i++)
        vector[i] = from[i];
    return vector;
}

__attribute__((unused)) static inline void write_first_base(float *to, int64_t count,
                                                            vector_base vector)
{
    for (int64_t i = 0; i < count; i++)
        to[i] = vector[i];
}

#define LANES  4
#define SUFFIX base
#define TARGET
#define READ_FIRST(pointer, count)          read_first_base(pointer, count)
#define WRITE_FIRST(pointer, count, vector) write_first_base(pointer, count, vector)
#include VECTOR_SOURCE
