#include "backend/cpu/product.h"

#include <string.h>

#include <cblas.h>

#include "backend/cpu/isa.h"
#include "backend/cpu/onednn.h"

/* A single row or column is a matrix-vector product, which reads the matrix once, where sgemm
 * would pack it first. */
hsched_status hsi_openblas_multiply(const hsi_product *p)
{
    int m = (int)p->m, k = (int)p->k, n = (int)p->n;
    int a_lead = (int)p->a_lead, b_lead = (int)p->b_lead;
    if (k > 0 && n > 1 && m > 1) {
        cblas_sgemm(CblasRowMajor, p->a_flip ? CblasTrans : CblasNoTrans,
                    p->b_flip ? CblasTrans : CblasNoTrans, m, n, k, 1.0f, p->a, a_lead,
                    p->b, b_lead, 0.0f, p->c, (int)p->c_lead);
        return HSCHED_OK;
    }
    for (int i = 0; i < m; i++)
        memset(p->c + i * p->c_lead, 0, (size_t)n * sizeof *p->c);
    if (k == 0)
        return HSCHED_OK;
    if (n == 1)
        cblas_sgemv(CblasRowMajor, p->a_flip ? CblasTrans : CblasNoTrans,
                    p->a_flip ? k : m, p->a_flip ? m : k, 1.0f, p->a, a_lead, p->b,
                    p->b_flip ? 1 : b_lead, 0.0f, p->c, (int)p->c_lead);
    else
        cblas_sgemv(CblasRowMajor, p->b_flip ? CblasNoTrans : CblasTrans,
                    p->b_flip ? n : k, p->b_flip ? k : n, 1.0f, p->b, b_lead, p->a,
                    p->a_flip ? a_lead : 1, 0.0f, p->c, 1);
    return HSCHED_OK;
}

int hsi_onednn_multiplies(void)
{
    return HSI_HAVE_ONEDNN && hsi_isa_best() >= HSI_ISA_AVX2;
}

#if HSI_HAVE_ONEDNN
hsched_status hsi_onednn_multiply(const hsi_product *p)
{
    if (p->k == 0) {
        for (int64_t i = 0; i < p->m; i++)
            memset(p->c + i * p->c_lead, 0, (size_t)p->n * sizeof *p->c);
        return HSCHED_OK;
    }
    return hsi_onednn_status(dnnl_sgemm(p->a_flip ? 'T' : 'N', p->b_flip ? 'T' : 'N',
                                        p->m, p->n, p->k, 1.0f, p->a, p->a_lead, p->b,
                                        p->b_lead, 0.0f, p->c, p->c_lead),
                             "a matrix product");
}
#else
hsched_status hsi_onednn_multiply(const hsi_product *p)
{
    (void)p; /* hsi_onednn_multiplies says no */
    return HSCHED_ERROR_UNSUPPORTED;
}
#endif
