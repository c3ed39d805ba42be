/*
 * y [rows, columns] = act(bias + residual + x * weights) by packed panels (panel.h), x's rows as
 * they lie: what fully connected steps, matrix products and separable convolutions share.
 *
 * A block of rows, so many that they stay in the second-level cache, goes through all panels. An
 * element's value does not depend on which others are computed with it.
 */
#ifndef HSI_BACKEND_CPU_PANEL_PRODUCT_H
#define HSI_BACKEND_CPU_PANEL_PRODUCT_H

#include "backend/cpu/kernel.h"
#include "backend/cpu/panel.h"

typedef struct hsi_panel_product {
    const hsi_panel_kernels *kernels;
    hsi_panel_chunks chunks;
    int64_t depth, columns, panels;
    int64_t block; /* rows */
    hsched_activation act;
    float lo, hi;
    int clamp; /* else the activation follows, block by block */
} hsi_panel_product;

/* depth and columns: at least 1. */
void hsi_panel_product_init(hsi_panel_product *product, int64_t depth, int64_t columns,
                            hsched_activation act);
/* Bytes of `sums` for products of so many rows; a multiple of 64. */
size_t hsi_panel_product_scratch(const hsi_panel_product *product, int64_t rows);

/* Weights and bias of all panels. */
typedef struct hsi_panel_weights {
    const float *weights;
    void *owned; /* if they are */
    float *bias; /* or NULL */
} hsi_panel_weights;

/* Packs copies of constant weights [columns, depth], dense, and a bias [columns], which may be
 * NULL. What is made is to be cleared, whatever the result. */
hsched_status hsi_panel_weights_init(hsi_panel_weights *packed,
                                     const hsi_cpu_prepare_context *context,
                                     const hsi_panel_product *product,
                                     const hsched_operand *weights, const float *bias,
                                     uint64_t *weight_bytes);
void hsi_panel_weights_clear(hsi_panel_weights *packed);

typedef struct hsi_panel_operands {
    const float *x, *weights; /* weights: of all panels */
    const float *bias;        /* hsi_panel_floats(kernels, 1, columns); or NULL */
    const float *residual;    /* or NULL; may be y */
    float *y;
    int64_t x_row, residual_row, y_row; /* floats from row to row */
    int64_t rows;                       /* at least 1 */
    int64_t panel, panel_end;           /* columns of these */
} hsi_panel_operands;

void hsi_panel_product_run(const hsi_panel_product *product,
                           const hsi_panel_operands *operands, float *sums);

#endif
