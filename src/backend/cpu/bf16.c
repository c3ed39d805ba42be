#include "backend/cpu/bf16.h"

#include "backend/cpu/isa.h"

#if HSI_HAVE_ONEDNN
#include <dnnl.h>
#endif

/* The processor has it, and DNNL_MAX_CPU_ISA does not keep oneDNN from it. */
#if HSI_HAVE_ONEDNN
static int onednn_has(unsigned isa)
{
    return hsi_cpu_has_bf16() && ((unsigned)dnnl_get_effective_cpu_isa() & isa) == isa;
}

int hsi_onednn_has_bf16(void)
{
    return onednn_has(dnnl_cpu_isa_avx512_core_bf16);
}

int hsi_cpu_has_amx(void)
{
    return onednn_has(dnnl_cpu_isa_avx512_core_amx);
}
#else
int hsi_onednn_has_bf16(void)
{
    return 0;
}

int hsi_cpu_has_amx(void)
{
    return 0;
}
#endif

#if HSI_ISA_X86

#include <immintrin.h>

#define LANES 32

int hsi_cpu_has_bf16(void)
{
    return hsi_isa_best() == HSI_ISA_AVX512 && __builtin_cpu_supports("avx512bf16");
}

__attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16"))) static void convert(
    uint16_t *y, const float *x, int64_t n)
{
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        __m512bh both =
            _mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + i + 16), _mm512_loadu_ps(x + i));
        _mm512_storeu_si512(y + i, (__m512i)both);
    }
    for (; i < n; i += 16) {
        const __mmask16 some = n - i < 16 ? (__mmask16)((1u << (n - i)) - 1) : 0xffff;
        __m256bh half = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(some, x + i));
        _mm256_mask_storeu_epi16(y + i, some, (__m256i)half);
    }
}

#else

int hsi_cpu_has_bf16(void)
{
    return 0;
}

static void convert(uint16_t *y, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        __builtin_memcpy(&bits, x + i, sizeof bits);
        y[i] = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
}

#endif

void hsi_cpu_to_bf16(uint16_t *y, int64_t y_stride, const float *x, int64_t x_stride,
                     int64_t rows, int64_t columns)
{
    if (y_stride == columns && x_stride == columns) {
        convert(y, x, rows * columns);
        return;
    }
    for (int64_t i = 0; i < rows; i++)
        convert(y + i * y_stride, x + i * x_stride, columns);
}
