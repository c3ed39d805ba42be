/* Products of whole numbers that floats hold: of matrices, or of an image and filters. */
#ifndef HSI_ONNX_QUANT_PRODUCT_H
#define HSI_ONNX_QUANT_PRODUCT_H

#include "onnx/quant.h"

/* What the factors are. b is [..,K,N] for products of matrices, else a kernel [O,C,k1..kk]. */
typedef struct hsi_quant_factors {
    hsi_composer *c;
    hsched_tensor a, b;               /* float32; b: only if it is not known */
    const hsi_onnx_constant *weights; /* b, if it is known */
    double reach_a, reach_b;          /* the most that an element of each may be */
    uint32_t bias;                    /* the input that it is, int32; 0: none */
    int64_t terms;                    /* K, or C, of `each` products */
    int64_t each;
    uint32_t axis_a, axis_b; /* along which the terms lie */
    int matrices;
    int transposed; /* known weights [N,K] */
    int rounded;    /* the sum may be, as a float is */
    hsched_conv_config conv;
} hsi_quant_factors;

/* Product and bias: float32 where that is exact, or may be rounded, else int32. */
hsched_tensor hsi_quant_product(const hsi_quant_factors *factors);

#endif
