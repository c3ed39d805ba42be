#include "backend/cpu/product.h"

#include <pthread.h>
#include <string.h>

#include <cblas.h>

#include "backend/cpu/isa.h"
#include "backend/cpu/onednn.h"

static void clear(const hsi_product *p, size_t size)
{
    for (int64_t i = 0; i < p->m; i++)
        memset((char *)p->c + (size_t)(i * p->c_lead) * size, 0, (size_t)p->n * size);
}

/* A single row or column is a matrix-vector product, which reads the matrix once, where gemm
 * would pack it first. */
#define MULTIPLY(name, type, gemm, gemv)                                                 \
    hsched_status name(const hsi_product *p)                                             \
    {                                                                                    \
        const int m = (int)p->m, k = (int)p->k, n = (int)p->n;                           \
        const int a_lead = (int)p->a_lead, b_lead = (int)p->b_lead;                      \
        const type one = 1, zero = 0;                                                    \
        if (k > 0 && n > 1 && m > 1) {                                                   \
            gemm(CblasRowMajor, p->a_flip ? CblasTrans : CblasNoTrans,                   \
                 p->b_flip ? CblasTrans : CblasNoTrans, m, n, k, one, p->a, a_lead,      \
                 p->b, b_lead, zero, p->c, (int)p->c_lead);                              \
            return HSCHED_OK;                                                            \
        }                                                                                \
        clear(p, sizeof(type));                                                          \
        if (k == 0)                                                                      \
            return HSCHED_OK;                                                            \
        if (n == 1)                                                                      \
            gemv(CblasRowMajor, p->a_flip ? CblasTrans : CblasNoTrans,                   \
                 p->a_flip ? k : m, p->a_flip ? m : k, one, p->a, a_lead, p->b,          \
                 p->b_flip ? 1 : b_lead, zero, p->c, (int)p->c_lead);                    \
        else                                                                             \
            gemv(CblasRowMajor, p->b_flip ? CblasNoTrans : CblasTrans,                   \
                 p->b_flip ? n : k, p->b_flip ? k : n, one, p->b, b_lead, p->a,          \
                 p->a_flip ? a_lead : 1, zero, p->c, 1);                                 \
        return HSCHED_OK;                                                                \
    }
MULTIPLY(hsi_openblas_multiply, float, cblas_sgemm, cblas_sgemv)
MULTIPLY(hsi_openblas_multiply_doubles, double, cblas_dgemm, cblas_dgemv)

int hsi_onednn_multiplies(void)
{
    return HSI_HAVE_ONEDNN && hsi_isa_best() >= HSI_ISA_AVX2;
}

#if HSI_HAVE_ONEDNN
static void multiply_once(void)
{
    float a[4] = { 0 }, b[4] = { 0 }, c[4];
    (void)dnnl_sgemm('N', 'N', 2, 2, 2, 1.0f, a, 2, b, 2, 0.0f, c, 2);
}

void hsi_onednn_warm_up(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, multiply_once);
}

hsched_status hsi_onednn_multiply(const hsi_product *p)
{
    if (p->k == 0) {
        clear(p, sizeof(float));
        return HSCHED_OK;
    }
    return hsi_onednn_status(dnnl_sgemm(p->a_flip ? 'T' : 'N', p->b_flip ? 'T' : 'N',
                                        p->m, p->n, p->k, 1.0f, p->a, p->a_lead, p->b,
                                        p->b_lead, 0.0f, p->c, p->c_lead),
                             "a matrix product");
}
#else
void hsi_onednn_warm_up(void)
{
}

hsched_status hsi_onednn_multiply(const hsi_product *p)
{
    (void)p; /* hsi_onednn_multiplies says no */
    return HSCHED_ERROR_UNSUPPORTED;
}
#endif
