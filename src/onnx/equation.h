/* The equation of an Einsum: which dimension of which operand bears which label. */
#ifndef HSI_ONNX_EQUATION_H
#define HSI_ONNX_EQUATION_H

#include "onnx/import.h"

/*
 * Labels are numbers: letters in the order of their code, A to Z, then a to z; after them the
 * dimensions that an ellipsis stands for, the last of which has the same label in all operands.
 */
#define HSI_EINSUM_LETTERS 52
#define HSI_EINSUM_LABELS  (HSI_EINSUM_LETTERS + HSCHED_MAX_DIMS)

/* The dimensions of a tensor by their labels, in order. */
typedef struct hsi_einsum_term {
    uint32_t rank;
    uint8_t labels[HSCHED_MAX_DIMS];
} hsi_einsum_term;

/* The node's attribute `equation` for operands of these ranks: `terms` has one entry for each, in
 * which a label may stand twice. The result's labels are all different and among theirs. FORMAT,
 * or UNSUPPORTED for more dimensions than a tensor may have. */
hsched_status hsi_einsum_parse(hsi_onnx_import *im, const hsi_onnx_node *node,
                               const uint32_t *ranks, hsi_einsum_term *terms,
                               hsi_einsum_term *result);

/* The set of a term's labels; that of one label. */
uint64_t hsi_einsum_set(const hsi_einsum_term *term);
#define HSI_EINSUM_BIT(label) (UINT64_C(1) << (label))

#endif
