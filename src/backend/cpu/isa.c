#include "backend/cpu/isa.h"

hsi_isa hsi_isa_limit = HSI_ISA_AVX512;

hsi_isa hsi_isa_best(void)
{
#if HSI_ISA_X86
    /* The flags were read by the compiler's runtime at start, the system's support for
     * the wide registers included. */
    if (hsi_isa_limit >= HSI_ISA_AVX512 && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma"))
        return HSI_ISA_AVX512;
    if (hsi_isa_limit >= HSI_ISA_AVX2 && __builtin_cpu_supports("avx2") &&
        __builtin_cpu_supports("fma"))
        return HSI_ISA_AVX2;
#endif
    return HSI_ISA_BASE;
}

const char *hsi_isa_name(hsi_isa isa)
{
    switch (isa) {
    case HSI_ISA_AVX512:
        return "avx512";
    case HSI_ISA_AVX2:
        return "avx2";
    case HSI_ISA_BASE:
        break;
    }
    return "baseline";
}
