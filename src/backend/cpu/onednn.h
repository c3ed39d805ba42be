/* oneDNN's convolution primitives, as conv2d_onednn.c uses them. */
#ifndef HSI_BACKEND_CPU_ONEDNN_H
#define HSI_BACKEND_CPU_ONEDNN_H

#include "backend/cpu/conv2d.h"

#if HSI_HAVE_ONEDNN

#include <dnnl.h>

typedef enum hsi_onednn_residual {
    HSI_ONEDNN_RESIDUAL_NONE = 0,
    HSI_ONEDNN_RESIDUAL_SUM,   /* y holds it before the primitive runs */
    HSI_ONEDNN_RESIDUAL_BINARY /* an operand of its own, dense */
} hsi_onednn_residual;

/* A band: rows of y and what they need of x, all dense. The first group is the caller's.
 */
typedef struct hsi_onednn_band {
    dnnl_data_type_t type; /* of x and the weights; all else is float32 */
    int64_t images, in_rows, out_rows, pad_top, pad_bottom;

    dnnl_primitive_t primitive;
    dnnl_memory_desc_t x, y, weights, work; /* work: its scratchpad */
    char implementation[64];                /* "brgconv:avx512_core" */
} hsi_onednn_band;

/* The engine for all primitives of the process. Any thread. */
hsched_status hsi_onednn_engine(dnnl_engine_t *engine);

/* OK, or an error with detail; `what` is what oneDNN was to do. */
hsched_status hsi_onednn_status(dnnl_status_t status, const char *what);

/* 1 if a post-op computes the activation's formula, extremes included. */
int hsi_onednn_fuses(hsched_activation act);

/*
 * Makes the primitive of a band: act(conv + bias + residual). weights: the layout they
 * are in, or NULL for the one that oneDNN likes. UNSUPPORTED, with no detail, if oneDNN
 * has no good implementation.
 */
hsched_status hsi_onednn_band_create(const hsi_conv2d *conv, hsched_activation act,
                                     hsi_onednn_residual residual,
                                     const dnnl_memory_desc_t *weights,
                                     hsi_onednn_band *band);

/* What `data` in the layout `from` is in the layout and type `to`, in new memory of
 * hsi_alloc_aligned. */
hsched_status hsi_onednn_reorder(const dnnl_memory_desc_t *from, const float *data,
                                 const dnnl_memory_desc_t *to, void **made);

/* Weights [o,c/groups,kh,kw] in the layout and type of `desc`, in new memory of
 * hsi_alloc_aligned. */
hsched_status hsi_onednn_pack_weights(const hsi_conv2d *conv, const float *weights,
                                      const dnnl_memory_desc_t *desc, void **packed);

#endif
#endif
