/*
 * Quantised tensors: whole numbers of 8 bits, here called levels, that stand for
 * (level - zero point) * scale.
 *
 * What makes levels by constants does not add layers for them: the value's state says how they
 * would be made, and whoever reads it decides. A DequantizeLinear with the same numbers makes one
 * activation, fake_quantize, of what was quantised; a quantised operator takes the levels less
 * their zero point, as floats; everybody else gets the levels (hsi_onnx_input).
 */
#ifndef HSI_ONNX_QUANT_H
#define HSI_ONNX_QUANT_H

#include "onnx/compose.h"
#include "onnx/ops.h"

/* The level is round(from / divisor) + zero point, or the nearest one that the type holds. */
typedef struct hsi_onnx_levels {
    hsched_tensor from; /* float32 */
    float divisor;
    float scale;
    int zero_point;
    hsched_dtype
        dtype; /* uint8 or int8; int32 for sums of products, which have no scale */
    /* Made when first asked for, else HSCHED_NO_TENSOR; float32: the level less its zero point,
     * and what it stands for. */
    hsched_tensor whole, meant;
    int moved; /* the value's name is that of `whole` */
} hsi_onnx_levels;

/* Inputs that say what a tensor's levels stand for. The zero point may be left out. */
typedef struct hsi_onnx_scheme {
    uint32_t scale, zero_point; /* which inputs */
    int64_t axis;               /* of those of several numbers; not negative */
    int64_t block;              /* so many neighbours along it share one; 0: none do */
} hsi_onnx_scheme;

/* Input k, a constant of one number: 1, and the number. */
int hsi_quant_number(hsi_composer *c, uint32_t k, double *number);
/* The dimensions of input k, which is left to be no tensor if it is none. */
uint32_t hsi_quant_rank(hsi_composer *c, uint32_t k);
/* Input k as float32 that broadcasts to tensors of x's rank, along axis `axis`. */
hsched_tensor hsi_quant_parameter(hsi_composer *c, uint32_t k, hsched_tensor x,
                                  const hsi_onnx_scheme *scheme);
/* 1 if input k has so many numbers and is not left out, or they are not known. */
int hsi_quant_has_zero_point(hsi_composer *c, uint32_t k);

/* Input k less its zero point, as float32. */
hsched_tensor hsi_quant_whole(hsi_composer *c, uint32_t k, const hsi_onnx_scheme *scheme);
/* The same if both are constants: *values has hsi_onnx_constant's elements as floats. NULL: they
 * are not, or there was an error. */
const hsi_onnx_constant *hsi_quant_whole_constant(hsi_composer *c, uint32_t k,
                                                  const hsi_onnx_scheme *scheme);
/* Input k, which is levels without a tensor, likewise. */
hsched_tensor hsi_quant_levels_whole(hsi_composer *c, uint32_t k);
/* What input k stands for, as float32. */
hsched_tensor hsi_quant_meant(hsi_composer *c, uint32_t k, const hsi_onnx_scheme *scheme);
/* The largest size that a level less its zero point may have. */
double hsi_quant_reach(hsi_composer *c, uint32_t k, uint32_t zero_point);

/* The node's output: `from`, which the scale has divided already if `scaled`, as levels. */
void hsi_quant_output(hsi_composer *c, hsched_tensor from, int scaled,
                      const hsi_onnx_scheme *scheme, hsched_dtype dtype);
/* The same without layers that are not needed where they are whole numbers already, of
 * the type and the scheme of input k. */
void hsi_quant_same_output(hsi_composer *c, hsched_tensor whole, uint32_t k);
/* Sums of levels' products, float32 or int32, as int32. */
void hsi_quant_sum_output(hsi_composer *c, hsched_tensor sum);
/* Input 0 as float32, if it is levels that are no tensor yet and have a zero point of 0; else
 * HSCHED_NO_TENSOR. */
hsched_tensor hsi_quant_cast_levels(hsi_composer *c);
/* The type of the levels whose zero point is input k; `fallback` if it is left out. */
hsched_dtype hsi_quant_dtype(hsi_composer *c, uint32_t k, hsched_dtype fallback);

#endif
