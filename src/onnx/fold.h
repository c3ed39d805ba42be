/*
 * The evaluator: computes nodes whose inputs are all known while importing, above all the
 * shape arithmetic that exporters write around Reshape. Plain and slow; what it may
 * compute is bounded.
 */
#ifndef HSI_ONNX_FOLD_H
#define HSI_ONNX_FOLD_H

#include "onnx/import.h"

/* A constant that is being computed: `result` with writable data. */
typedef struct hsi_onnx_draft {
    hsi_onnx_constant result;
    void *data;
    uint64_t *tags; /* NULL unless an input has some */
} hsi_onnx_draft;

/*
 * Makes room for a result; `with_tags` if it may depend on symbols. All results of a pass
 * together may take max_bytes. Errors: LIMIT, OUT_OF_MEMORY, SHAPE.
 */
hsched_status hsi_onnx_draft_make(hsi_onnx_import *im, const hsi_onnx_node *node,
                                  hsched_dtype dtype, uint32_t rank, const int64_t *dims,
                                  int with_tags, hsi_onnx_draft **draft);

/* Element i, converted. */
int64_t hsi_onnx_get_int(const hsi_onnx_constant *c, size_t i);
double hsi_onnx_get_float(const hsi_onnx_constant *c, size_t i);
void hsi_onnx_put_int(hsi_onnx_draft *draft, size_t i, int64_t value);
void hsi_onnx_put_float(hsi_onnx_draft *draft, size_t i, double value);
int hsi_onnx_is_float(hsched_dtype dtype); /* float32, float64 or a narrower one */
int hsi_onnx_can_make(hsched_dtype dtype); /* the types that put_... know */

/* Copies `count` elements and what they depend on. */
void hsi_onnx_copy_elements(hsi_onnx_draft *to, size_t at, const hsi_onnx_constant *from,
                            size_t from_at, size_t count);
/* Fills the whole draft: its element [i0,i1,...] is `from` at offset + i0*strides[0] +
 * ... */
void hsi_onnx_copy_strided(hsi_onnx_draft *to, const hsi_onnx_constant *from,
                           int64_t offset, const int64_t *strides);
/* The same elements under another shape, without a copy. */
hsched_status hsi_onnx_reshaped(hsi_onnx_import *im, const hsi_onnx_node *node,
                                const hsi_onnx_constant *c, uint32_t rank,
                                const int64_t *dims, const hsi_onnx_constant **result);
hsched_status hsi_onnx_cast(hsi_onnx_import *im, const hsi_onnx_node *node,
                            const hsi_onnx_constant *c, hsched_dtype dtype,
                            const hsi_onnx_constant **result);

/* Where input 1, a list of bool, is true; it may be shorter than `size`. */
hsched_status hsi_onnx_true_places(hsi_onnx_import *im, const hsi_onnx_node *node,
                                   int64_t size, const hsi_onnx_constant **places);

/* How many elements Slice takes of a dimension of `size`. */
int64_t hsi_onnx_slice_count(int64_t start, int64_t end, int64_t step, int64_t size);

/* Shape of a broadcast result, and strides (0 where broadcast) of an operand in it. */
hsched_status hsi_onnx_broadcast(const hsi_onnx_node *node, const hsi_onnx_constant *a,
                                 const hsi_onnx_constant *b, uint32_t *rank,
                                 int64_t *dims);
void hsi_onnx_broadcast_strides(const hsi_onnx_constant *c, uint32_t rank,
                                const int64_t *dims, int64_t *strides);

/*
 * Operators, by what they do. Each sets the node's outputs, or leaves them unset
 * (HSCHED_OK) where it cannot compute this case; a layer is then tried.
 */
typedef hsched_status hsi_onnx_folder(hsi_onnx_import *im, const hsi_onnx_node *node);
/* fold_shape.c: elements are moved, not computed. */
hsi_onnx_folder hsi_onnx_fold_shape, hsi_onnx_fold_size, hsi_onnx_fold_constant,
    hsi_onnx_fold_identity, hsi_onnx_fold_reshape, hsi_onnx_fold_flatten,
    hsi_onnx_fold_squeeze, hsi_onnx_fold_unsqueeze, hsi_onnx_fold_transpose,
    hsi_onnx_fold_gather, hsi_onnx_fold_concat, hsi_onnx_fold_slice, hsi_onnx_fold_split,
    hsi_onnx_fold_expand, hsi_onnx_fold_constant_of_shape, hsi_onnx_fold_where,
    hsi_onnx_fold_tile, hsi_onnx_fold_non_zero;
/* import_data.c */
hsi_onnx_folder hsi_onnx_fold_pad;
/* fold_index.c: by places. */
hsi_onnx_folder hsi_onnx_fold_gather_elements, hsi_onnx_fold_gather_nd,
    hsi_onnx_fold_scatter_elements, hsi_onnx_fold_scatter_nd, hsi_onnx_fold_trilu,
    hsi_onnx_fold_eye_like, hsi_onnx_fold_compress;
hsi_onnx_folder hsi_onnx_fold_bitcast; /* import_bitcast.c */
/* fold_signal.c */
hsi_onnx_folder hsi_onnx_fold_window, hsi_onnx_fold_mel;
/* import_align.c */
hsi_onnx_folder hsi_onnx_fold_align;
/* import_quant.c */
hsi_onnx_folder hsi_onnx_fold_quantize, hsi_onnx_fold_dequantize;
/* fold_math.c */
hsi_onnx_folder hsi_onnx_fold_cast, hsi_onnx_fold_cast_like, hsi_onnx_fold_unary,
    hsi_onnx_fold_binary, hsi_onnx_fold_compare, hsi_onnx_fold_range,
    hsi_onnx_fold_reduce, hsi_onnx_fold_not;

#endif
