#include "backend/cpu/gemm.h"

#include <string.h>

#include <cblas.h>

#include "backend/cpu/isa.h"
#include "backend/cpu/onednn.h"
#include "base/status.h"

/* A single row or column is a matrix-vector product, which reads the matrix once, where
 * sgemm would pack it first. */
hsched_status hsi_cpu_gemm_openblas(const hsi_cpu_product *p)
{
    const int m = (int)p->m, n = (int)p->n, k = (int)p->k;
    const int a_lead = (int)p->a_lead, b_lead = (int)p->b_lead;
    if (n == 1 && (m == 1 || p->out_lead == 1)) {
        memset(p->out, 0, (size_t)m * sizeof *p->out);
        cblas_sgemv(CblasRowMajor, p->a_flip ? CblasTrans : CblasNoTrans,
                    p->a_flip ? k : m, p->a_flip ? m : k, 1.0f, p->a, a_lead, p->b,
                    p->b_flip ? 1 : b_lead, 0.0f, p->out, 1);
    } else if (m == 1) {
        memset(p->out, 0, (size_t)n * sizeof *p->out);
        cblas_sgemv(CblasRowMajor, p->b_flip ? CblasNoTrans : CblasTrans,
                    p->b_flip ? n : k, p->b_flip ? k : n, 1.0f, p->b, b_lead, p->a,
                    p->a_flip ? a_lead : 1, 0.0f, p->out, 1);
    } else {
        cblas_sgemm(CblasRowMajor, p->a_flip ? CblasTrans : CblasNoTrans,
                    p->b_flip ? CblasTrans : CblasNoTrans, m, n, k, 1.0f, p->a, a_lead,
                    p->b, b_lead, 0.0f, p->out, (int)p->out_lead);
    }
    return HSCHED_OK;
}

#if HSI_HAVE_ONEDNN && HSI_ISA_X86
int hsi_cpu_gemm_has_onednn(void)
{
    return hsi_isa_best() >= HSI_ISA_AVX2;
}

hsched_status hsi_cpu_gemm_onednn(const hsi_cpu_product *p)
{
    return hsi_onednn_status(dnnl_sgemm(p->a_flip ? 'T' : 'N', p->b_flip ? 'T' : 'N',
                                        p->m, p->n, p->k, 1.0f, p->a, p->a_lead, p->b,
                                        p->b_lead, 0.0f, p->out, p->out_lead),
                             "a matrix product");
}
#else
int hsi_cpu_gemm_has_onednn(void)
{
    return 0;
}

hsched_status hsi_cpu_gemm_onednn(const hsi_cpu_product *p)
{
    return hsi_cpu_gemm_openblas(p);
}
#endif
