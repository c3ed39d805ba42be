/* Size arithmetic that cannot wrap unnoticed: each returns 1, or 0 on overflow. */
#ifndef HSI_BASE_CHECKED_H
#define HSI_BASE_CHECKED_H

#include <stddef.h>
#include <stdint.h>

static inline int hsi_mul_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static inline int hsi_add_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

static inline int hsi_mul_i64(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static inline int hsi_add_i64(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

/* Rounds up to a multiple of `to`, a power of two. */
static inline int hsi_round_up_size(size_t a, size_t to, size_t *out)
{
    size_t sum;
    if (!hsi_add_size(a, to - 1, &sum))
        return 0;
    *out = sum & ~(to - 1);
    return 1;
}

#endif
