/* WHERE: one of two elements of 1, 2, 4 or 8 bytes, whatever their type. */
#include "base/alloc.h"
#include "backend/cpu/blocks.h"
#include "backend/cpu/isa.h"

/* y may be a or b, or the condition: each element is read before it is written, which is
 * what ivdep promises. */
#define WHERE_LOOP(name, type)                                                           \
    HSI_ISA_INLINE void name##_body(const void *const *in, void *out, int64_t n)         \
    {                                                                                    \
        const uint8_t *condition = in[0];                                                \
        const type *a = in[1], *b = in[2];                                               \
        type *y = out;                                                                   \
        _Pragma("GCC ivdep") for (int64_t i = 0; i < n; i++)                             \
        {                                                                                \
            type u = a[i], v = b[i];                                                     \
            y[i] = condition[i] != 0 ? u : v;                                            \
        }                                                                                \
    }                                                                                    \
    HSI_ISA_DISPATCH(name, (const void *const *in, void *out, int64_t n), (in, out, n))

WHERE_LOOP(where_1, uint8_t)
WHERE_LOOP(where_2, uint16_t)
WHERE_LOOP(where_4, uint32_t)
WHERE_LOOP(where_8, uint64_t)

static hsched_status where_prepare(const hsi_cpu_prepare_context *context,
                                   hsched_step *step, hsi_cpu_prepared *prepared)
{
    const size_t size = hsched_dtype_size(step->out.dtype);
    (void)context;
    return hsi_cpu_blocks_prepare(step, 3,
                                  size == 1   ? where_1
                                  : size == 2 ? where_2
                                  : size == 4 ? where_4
                                              : where_8,
                                  prepared);
}

static const hsi_cpu_kernel where_kernel = {
    .name = "own/where",
    .kind = HSCHED_STEP_WHERE,
    .library = HSCHED_LIBRARY_OWN,
    .prepare = where_prepare,
    .destroy = hsi_free,
    .run = hsi_cpu_blocks_run,
};

const hsi_cpu_kernel *const hsi_cpu_kernels_where[] = { &where_kernel, NULL };
