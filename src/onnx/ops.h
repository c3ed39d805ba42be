/* Which operator is imported how. */
#ifndef HSI_ONNX_OPS_H
#define HSI_ONNX_OPS_H

#include "onnx/fold.h"

typedef hsched_status hsi_onnx_builder(hsi_onnx_import *im, const hsi_onnx_node *node);

typedef struct hsi_onnx_op {
    const char *name;
    int64_t since;           /* the first opset whose form of it is read */
    hsi_onnx_builder *build; /* makes layers; NULL: can only be folded */
    hsi_onnx_folder *fold;   /* computes it when all inputs are known; NULL: never */
    const char *attributes;  /* all that it may have, " name name " */
    int folds_always;        /* whatever its inputs are (Shape) */
    int64_t before;          /* the first opset whose form of it is not read; 0: none */
    /* For docs/operators.md, which make docs-operators writes. */
    const char *layers; /* that it becomes */
    const char *types;  /* that these take; NULL: float32 */
    const char *note;
    int cpu_only;  /* a GPU has no kernels for it */
    int sequences; /* some input may be a sequence or an empty optional */
    int levels;    /* takes levels that are no tensor yet: quant.h */
    int moves;     /* what it gives are elements of its first input */
} hsi_onnx_op;

/* NULL for unknown names. */
const hsi_onnx_op *hsi_onnx_find_op(const char *name);
/* The operators of the library's own domain. */
const hsi_onnx_op *hsi_onnx_find_own_op(const char *name);
/* Those of com.microsoft, of which few are known: ops_microsoft.c. */
const hsi_onnx_op *hsi_onnx_find_microsoft_op(const char *name);
/* 1 if the operator has such an attribute in some opset. */
int hsi_onnx_knows_attr(const hsi_onnx_op *op, const char *attribute);

/* import_blocks.c */
hsi_onnx_builder hsi_onnx_build_depth_to_space, hsi_onnx_build_space_to_depth;
/* import_control.c */
hsi_onnx_builder hsi_onnx_build_if, hsi_onnx_build_choose, hsi_onnx_build_loop,
    hsi_onnx_build_scan;
/* import_window.c */
hsi_onnx_builder hsi_onnx_build_conv, hsi_onnx_build_pool, hsi_onnx_build_global_pool;
/* import_conv_transpose.c, import_lp_pool.c */
hsi_onnx_builder hsi_onnx_build_conv_transpose, hsi_onnx_build_lp_pool,
    hsi_onnx_build_global_lp_pool;
hsi_onnx_builder hsi_onnx_build_resize; /* import_resize.c */
/* import_math.c */
hsi_onnx_builder hsi_onnx_build_gemm, hsi_onnx_build_matmul, hsi_onnx_build_binary,
    hsi_onnx_build_variadic, hsi_onnx_build_pow;
/* import_unary.c */
hsi_onnx_builder hsi_onnx_build_activation, hsi_onnx_build_clip, hsi_onnx_build_prelu,
    hsi_onnx_build_batch_norm, hsi_onnx_build_lrn, hsi_onnx_build_softmax;
/* import_data.c */
hsi_onnx_builder hsi_onnx_build_concat, hsi_onnx_build_slice, hsi_onnx_build_pad,
    hsi_onnx_build_split, hsi_onnx_build_gather, hsi_onnx_build_gather_elements;
/* import_shape.c */
hsi_onnx_builder hsi_onnx_build_reshape, hsi_onnx_build_flatten, hsi_onnx_build_squeeze,
    hsi_onnx_build_unsqueeze, hsi_onnx_build_transpose, hsi_onnx_build_reduce,
    hsi_onnx_build_expand, hsi_onnx_build_tile, hsi_onnx_build_identity,
    hsi_onnx_build_dropout;
/* import_align.c */
hsi_onnx_builder hsi_onnx_build_align;
/* import_types.c */
hsi_onnx_builder hsi_onnx_build_cast, hsi_onnx_build_cast_like, hsi_onnx_build_where,
    hsi_onnx_build_not, hsi_onnx_build_is_nan, hsi_onnx_build_is_inf,
    hsi_onnx_build_shrink, hsi_onnx_build_swish, hsi_onnx_build_celu;

/* import_norm.c */
hsi_onnx_builder hsi_onnx_build_layer_norm, hsi_onnx_build_instance_norm,
    hsi_onnx_build_group_norm, hsi_onnx_build_mean_variance, hsi_onnx_build_lp_norm;
/* BatchNormalization with parameters that are computed. */
hsched_status hsi_onnx_compose_batch_norm(hsi_onnx_import *im, const hsi_onnx_node *node,
                                          float epsilon);
/* import_batch.c: that trains, from opset 14 on. */
hsched_status hsi_onnx_train_batch_norm(hsi_onnx_import *im, const hsi_onnx_node *node,
                                        float epsilon);
/* import_empty.c: where an input has no elements, sets the output if it has none either, or
 * leaves it unset (HSCHED_OK); a layer is then tried. */
hsched_status hsi_onnx_build_empty(hsi_onnx_import *im, const hsi_onnx_node *node,
                                   hsi_onnx_builder *build);
/* import_index.c */
hsi_onnx_builder hsi_onnx_build_gather_nd, hsi_onnx_build_scatter,
    hsi_onnx_build_compress;
/* import_reduce.c: over no axes, where only what comes before and after the reduction is done;
 * and of bool, as bytes. */
hsched_status hsi_onnx_reduce_nothing(hsi_onnx_import *im, const hsi_onnx_node *node,
                                      hsched_reduce_kind kind, hsched_tensor x);
hsched_status hsi_onnx_reduce_bools(hsi_onnx_import *im, const hsi_onnx_node *node,
                                    hsched_reduce_kind kind, hsched_tensor x,
                                    uint32_t count, const int64_t *axes, int keep_dims);
/* import_select.c */
hsi_onnx_builder hsi_onnx_build_one_hot, hsi_onnx_build_hardmax, hsi_onnx_build_trilu,
    hsi_onnx_build_reverse_sequence;
/* import_order.c */
hsi_onnx_builder hsi_onnx_build_arg, hsi_onnx_build_top_k, hsi_onnx_build_cumsum;
/* import_sequence.c */
hsi_onnx_builder hsi_onnx_build_sequence, hsi_onnx_build_sequence_insert,
    hsi_onnx_build_sequence_erase, hsi_onnx_build_sequence_at,
    hsi_onnx_build_sequence_length, hsi_onnx_build_concat_from_sequence,
    hsi_onnx_build_split_to_sequence;
/* import_optional.c */
hsi_onnx_builder hsi_onnx_build_optional, hsi_onnx_build_optional_has_element,
    hsi_onnx_build_optional_get_element;
hsi_onnx_builder hsi_onnx_build_bitcast; /* import_bitcast.c */
/* import_attention.c */
hsi_onnx_builder hsi_onnx_build_attention;
/* import_linear_attention.c */
hsi_onnx_builder hsi_onnx_build_linear_attention;
/* import_language.c */
hsi_onnx_builder hsi_onnx_build_rotary, hsi_onnx_build_swiglu,
    hsi_onnx_build_tensor_scatter, hsi_onnx_build_causal_conv;
/* import_einsum.c */
hsi_onnx_builder hsi_onnx_build_einsum;
/* import_fourier.c */
hsi_onnx_builder hsi_onnx_build_dft, hsi_onnx_build_stft;
hsi_onnx_builder hsi_onnx_build_range; /* import_range.c */
hsi_onnx_builder hsi_onnx_build_loss;  /* import_loss.c */
hsi_onnx_builder hsi_onnx_build_det;   /* import_det.c */
/* import_crop_pad.c, import_col2im.c */
hsi_onnx_builder hsi_onnx_build_center_crop_pad, hsi_onnx_build_col2im;
/* Pads as if x went on for ever. */
hsched_status hsi_onnx_wrap_around(hsi_onnx_import *im, const hsi_onnx_node *node,
                                   hsched_tensor x, const int64_t *before,
                                   const int64_t *after, hsched_tensor *y);
/* import_sample.c */
hsi_onnx_builder hsi_onnx_build_grid_sample, hsi_onnx_build_affine_grid,
    hsi_onnx_build_roi_align;
hsi_onnx_builder hsi_onnx_build_deform_conv; /* import_deform.c */
/* import_nms.c, import_unpool.c */
hsi_onnx_builder hsi_onnx_build_nms, hsi_onnx_build_max_unpool;
/* import_recurrent.c */
hsi_onnx_builder hsi_onnx_build_recurrent;
/* import_quant.c, import_quant_product.c */
hsi_onnx_builder hsi_onnx_build_quantize, hsi_onnx_build_dequantize,
    hsi_onnx_build_dynamic_quantize, hsi_onnx_build_matmul_integer,
    hsi_onnx_build_conv_integer, hsi_onnx_build_qlinear_matmul,
    hsi_onnx_build_qlinear_conv, hsi_onnx_build_qgemm;
/* import_quant_ops.c */
hsi_onnx_builder hsi_onnx_build_qlinear_add, hsi_onnx_build_qlinear_mul,
    hsi_onnx_build_qlinear_sigmoid, hsi_onnx_build_qlinear_leaky_relu,
    hsi_onnx_build_qlinear_softmax, hsi_onnx_build_qlinear_reduce_mean,
    hsi_onnx_build_qlinear_where, hsi_onnx_build_qlinear_concat,
    hsi_onnx_build_qlinear_average_pool;
/* quant.c: where input 0 is levels that are no tensor yet, and no output is the model's, what moves
 * them may move floats, and gives such levels. */
int hsi_onnx_may_move_levels(const hsi_onnx_import *im, const hsi_onnx_node *node);
hsched_status hsi_onnx_move_levels(hsi_onnx_import *im, const hsi_onnx_node *node,
                                   hsi_onnx_builder *build);
/* A MaxPool of levels, or of other numbers of 8 bits. */
hsched_status hsi_onnx_pool_levels(hsi_onnx_import *im, const hsi_onnx_node *node);

#endif
