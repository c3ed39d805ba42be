/* oneDNN's products of bfloat16 matrices. */
#ifndef HSI_BACKEND_CPU_ONEDNN_PRODUCT_H
#define HSI_BACKEND_CPU_ONEDNN_PRODUCT_H

#include "backend/cpu/onednn.h"

#if HSI_HAVE_ONEDNN

/* c [m,n] = a [m,k] * b [k,n]: a and b bfloat16, c float32; a and c are dense, row after row.
 * Immutable. */
typedef struct hsi_onednn_product {
    int64_t m, k, n;
    dnnl_primitive_t primitive;
    dnnl_memory_desc_t a, b, c, work; /* work: its scratchpad */
    char implementation[64];          /* "brg:avx512_core_bf16" */
} hsi_onednn_product;

/* Makes the product for m, k and n, which are set. `b`: the layout that b is in, or NULL for the
 * one that oneDNN likes. UNSUPPORTED, with no detail, if oneDNN has no good implementation. */
hsched_status hsi_onednn_product_create(const dnnl_memory_desc_t *b,
                                        hsi_onednn_product *product);
/* The layout of a dense b, row after row or, `flipped`, column after column. */
hsched_status hsi_onednn_product_plain(int64_t k, int64_t n, int flipped,
                                       dnnl_memory_desc_t *b);
void hsi_onednn_product_clear(hsi_onednn_product *product);

/* b of a product from floats, element (i, j) at i * row + j * column, strides of at least 1, in new
 * memory of hsi_alloc_aligned. */
hsched_status hsi_onednn_product_pack(const hsi_onednn_product *product,
                                      const float *weights, int64_t row, int64_t column,
                                      void **packed);

/* What one thread at a time needs to execute a product. */
typedef struct hsi_onednn_call {
    dnnl_memory_t a, b, c, work;
    dnnl_stream_t stream;
} hsi_onednn_call;

hsched_status hsi_onednn_call_create(const hsi_onednn_product *product,
                                     hsi_onednn_call *call);
void hsi_onednn_call_clear(hsi_onednn_call *call);
hsched_status hsi_onednn_call_run(const hsi_onednn_call *call,
                                  const hsi_onednn_product *product, void *a, void *b,
                                  float *c, void *work);

#endif
#endif
