/* The table of operators. README.md says the same for people. */
#include "onnx/ops.h"

#include <stdlib.h>
#include <string.h>

#define BUILD(name) hsi_onnx_build_##name
#define FOLD(name)  hsi_onnx_fold_##name
#define WINDOW      " auto_pad kernel_shape pads strides "
#define RECURRENT                                                                        \
    " activation_alpha activation_beta activations clip direction hidden_size layout "
#define REDUCE " axes keepdims noop_with_empty_axes "

/* Sorted by name. */
static const hsi_onnx_op ops[] = {
    { "Abs", 1, BUILD(activation), FOLD(unary), "", 0 },
    { "Acos", 7, BUILD(activation), NULL, "", 0 },
    { "Acosh", 9, BUILD(activation), NULL, "", 0 },
    { "Add", 1, BUILD(binary), FOLD(binary), " axis broadcast ", 0 },
    { "And", 1, BUILD(binary), FOLD(compare), " axis broadcast ", 0 },
    { "ArgMax", 1, BUILD(arg), NULL, " axis keepdims select_last_index ", 0 },
    { "ArgMin", 1, BUILD(arg), NULL, " axis keepdims select_last_index ", 0 },
    { "Asin", 7, BUILD(activation), NULL, "", 0 },
    { "Asinh", 9, BUILD(activation), NULL, "", 0 },
    { "Atan", 7, BUILD(activation), NULL, "", 0 },
    { "Atanh", 9, BUILD(activation), NULL, "", 0 },
    { "AveragePool", 1, BUILD(pool), NULL,
      WINDOW "ceil_mode count_include_pad dilations ", 0 },
    { "BatchNormalization", 1, BUILD(batch_norm), NULL,
      " epsilon is_test momentum spatial training_mode ", 0 },
    { "BitShift", 11, BUILD(binary), NULL, " direction ", 0 },
    { "BitwiseAnd", 18, BUILD(binary), NULL, "", 0 },
    { "BitwiseNot", 18, BUILD(not ), NULL, "", 0 },
    { "BitwiseOr", 18, BUILD(binary), NULL, "", 0 },
    { "BitwiseXor", 18, BUILD(binary), NULL, "", 0 },
    { "Cast", 6, BUILD(cast), FOLD(cast), " round_mode saturate to ", 0 },
    { "CastLike", 15, BUILD(cast_like), NULL, " saturate ", 0 },
    { "Ceil", 1, BUILD(activation), FOLD(unary), "", 0 },
    { "Celu", 12, BUILD(celu), NULL, " alpha ", 0 },
    { "Clip", 1, BUILD(clip), NULL, " max min ", 0 },
    { "Concat", 4, BUILD(concat), FOLD(concat), " axis ", 0 },
    { "Constant", 1, NULL, FOLD(constant),
      " value value_float value_floats value_int value_ints value_string value_strings "
      "sparse_value ",
      0 },
    { "ConstantOfShape", 9, NULL, FOLD(constant_of_shape), " value ", 0 },
    { "Conv", 1, BUILD(conv), NULL, WINDOW "dilations group ", 0 },
    { "ConvTranspose", 1, BUILD(conv_transpose), NULL,
      WINDOW "dilations group output_padding output_shape ", 0 },
    { "Cos", 7, BUILD(activation), FOLD(unary), "", 0 },
    { "Cosh", 9, BUILD(activation), NULL, "", 0 },
    { "CumSum", 11, BUILD(cumsum), NULL, " exclusive reverse ", 0 },
    { "Div", 1, BUILD(binary), FOLD(binary), " axis broadcast ", 0 },
    { "Dropout", 1, BUILD(dropout), NULL, " is_test ratio seed ", 0 },
    { "Elu", 1, BUILD(activation), NULL, " alpha ", 0 },
    { "Equal", 1, BUILD(binary), FOLD(compare), " axis broadcast ", 0 },
    { "Erf", 9, BUILD(activation), FOLD(unary), "", 0 },
    { "Exp", 1, BUILD(activation), FOLD(unary), "", 0 },
    { "Expand", 8, BUILD(expand), FOLD(expand), "", 0 },
    { "Flatten", 1, BUILD(flatten), FOLD(flatten), " axis ", 0 },
    { "Floor", 1, BUILD(activation), FOLD(unary), "", 0 },
    { "GRU", 3, BUILD(recurrent), NULL, RECURRENT "linear_before_reset output_sequence ",
      0 },
    { "Gather", 1, BUILD(gather), FOLD(gather), " axis ", 0 },
    { "GatherElements", 11, BUILD(gather_elements), NULL, " axis ", 0 },
    { "GatherND", 11, BUILD(gather_nd), NULL, " batch_dims ", 0 },
    { "Gelu", 20, BUILD(activation), NULL, " approximate ", 0 },
    { "Gemm", 1, BUILD(gemm), NULL, " alpha beta broadcast transA transB ", 0 },
    { "GlobalAveragePool", 1, BUILD(global_pool), NULL, "", 0 },
    { "GlobalLpPool", 1, BUILD(global_lp_pool), NULL, " p ", 0 },
    { "GlobalMaxPool", 1, BUILD(global_pool), NULL, "", 0 },
    { "Greater", 1, BUILD(binary), FOLD(compare), " axis broadcast ", 0 },
    { "GreaterOrEqual", 12, BUILD(binary), FOLD(compare), "", 0 },
    { "GroupNormalization", 18, BUILD(group_norm), NULL,
      " epsilon num_groups stash_type ", 0 },
    { "HardSigmoid", 1, BUILD(activation), NULL, " alpha beta ", 0 },
    { "HardSwish", 14, BUILD(activation), NULL, "", 0 },
    { "Identity", 1, BUILD(identity), FOLD(identity), "", 0 },
    { "InstanceNormalization", 6, BUILD(instance_norm), NULL, " epsilon ", 0 },
    { "IsInf", 10, BUILD(is_inf), NULL, " detect_negative detect_positive ", 0 },
    { "IsNaN", 9, BUILD(is_nan), NULL, "", 0 },
    { "LRN", 1, BUILD(lrn), NULL, " alpha beta bias size ", 0 },
    { "LSTM", 1, BUILD(recurrent), NULL, RECURRENT "input_forget output_sequence ", 0 },
    { "LayerNormalization", 17, BUILD(layer_norm), NULL, " axis epsilon stash_type ", 0 },
    { "LeakyRelu", 1, BUILD(activation), NULL, " alpha ", 0 },
    { "Less", 1, BUILD(binary), FOLD(compare), " axis broadcast ", 0 },
    { "LessOrEqual", 12, BUILD(binary), FOLD(compare), "", 0 },
    { "Log", 1, BUILD(activation), FOLD(unary), "", 0 },
    { "LogSoftmax", 1, BUILD(log_softmax), NULL, " axis ", 0 },
    { "LpNormalization", 1, BUILD(lp_norm), NULL, " axis p ", 0 },
    { "LpPool", 1, BUILD(lp_pool), NULL, WINDOW "ceil_mode dilations p ", 0 },
    { "MatMul", 1, BUILD(matmul), NULL, "", 0 },
    { "Max", 1, BUILD(variadic), FOLD(binary), "", 0 },
    { "MaxPool", 1, BUILD(pool), NULL, WINDOW "ceil_mode dilations storage_order ", 0 },
    { "Mean", 1, BUILD(variadic), NULL, "", 0 },
    { "MeanVarianceNormalization", 9, BUILD(mean_variance), NULL, " axes ", 0 },
    { "Min", 1, BUILD(variadic), FOLD(binary), "", 0 },
    { "Mish", 18, BUILD(activation), NULL, "", 0 },
    { "Mod", 10, BUILD(binary), FOLD(binary), " fmod ", 0 },
    { "Mul", 1, BUILD(binary), FOLD(binary), " axis broadcast ", 0 },
    { "Neg", 1, BUILD(activation), FOLD(unary), "", 0 },
    { "Not", 1, BUILD(not ), FOLD(not ), "", 0 },
    { "Or", 1, BUILD(binary), FOLD(compare), " axis broadcast ", 0 },
    { "PRelu", 1, BUILD(prelu), NULL, "", 0 },
    { "Pad", 2, BUILD(pad), NULL, " mode pads value ", 0 },
    { "Pow", 7, BUILD(pow), FOLD(binary), "", 0 },
    { "RMSNormalization", 23, BUILD(layer_norm), NULL, " axis epsilon stash_type ", 0 },
    { "RNN", 1, BUILD(recurrent), NULL, RECURRENT "output_sequence ", 0 },
    { "Range", 11, NULL, FOLD(range), " stash_type ", 0 },
    { "Reciprocal", 1, BUILD(activation), FOLD(unary), "", 0 },
    { "ReduceL1", 1, BUILD(reduce), NULL, REDUCE, 0 },
    { "ReduceL2", 1, BUILD(reduce), NULL, REDUCE, 0 },
    { "ReduceLogSum", 1, BUILD(reduce), NULL, REDUCE, 0 },
    { "ReduceLogSumExp", 1, BUILD(reduce), NULL, REDUCE, 0 },
    { "ReduceMax", 1, BUILD(reduce), FOLD(reduce), REDUCE, 0 },
    { "ReduceMean", 1, BUILD(reduce), NULL, REDUCE, 0 },
    { "ReduceMin", 1, BUILD(reduce), FOLD(reduce), REDUCE, 0 },
    { "ReduceProd", 1, BUILD(reduce), FOLD(reduce), REDUCE, 0 },
    { "ReduceSum", 1, BUILD(reduce), FOLD(reduce), REDUCE, 0 },
    { "ReduceSumSquare", 1, BUILD(reduce), NULL, REDUCE, 0 },
    { "Relu", 1, BUILD(activation), FOLD(unary), "", 0 },
    { "Reshape", 5, BUILD(reshape), FOLD(reshape), " allowzero ", 0 },
    { "Resize", 10, BUILD(resize), NULL,
      " antialias axes coordinate_transformation_mode cubic_coeff_a exclude_outside "
      "extrapolation_value keep_aspect_ratio_policy mode nearest_mode ",
      0 },
    { "Round", 11, BUILD(activation), FOLD(unary), "", 0 },
    { "Scatter", 9, BUILD(scatter), NULL, " axis ", 0 },
    { "ScatterElements", 11, BUILD(scatter), NULL, " axis reduction ", 0 },
    { "ScatterND", 11, BUILD(scatter), NULL, " reduction ", 0 },
    { "Selu", 1, BUILD(activation), NULL, " alpha gamma ", 0 },
    { "Shape", 1, NULL, FOLD(shape), " end start ", 1 },
    { "Shrink", 9, BUILD(shrink), NULL, " bias lambd ", 0 },
    { "Sigmoid", 1, BUILD(activation), FOLD(unary), "", 0 },
    { "Sign", 9, BUILD(activation), NULL, "", 0 },
    { "Sin", 7, BUILD(activation), FOLD(unary), "", 0 },
    { "Sinh", 9, BUILD(activation), NULL, "", 0 },
    { "Size", 1, NULL, FOLD(size), "", 1 },
    { "Slice", 1, BUILD(slice), FOLD(slice), " axes ends starts ", 0 },
    { "Softmax", 1, BUILD(softmax), NULL, " axis ", 0 },
    { "Softplus", 1, BUILD(activation), NULL, "", 0 },
    { "Softsign", 1, BUILD(activation), NULL, "", 0 },
    { "Split", 2, BUILD(split), FOLD(split), " axis num_outputs split ", 0 },
    { "Sqrt", 1, BUILD(activation), FOLD(unary), "", 0 },
    { "Squeeze", 1, BUILD(squeeze), FOLD(squeeze), " axes ", 0 },
    { "Sub", 1, BUILD(binary), FOLD(binary), " axis broadcast ", 0 },
    { "Sum", 1, BUILD(variadic), FOLD(binary), "", 0 },
    { "Swish", 24, BUILD(swish), NULL, " alpha ", 0 },
    { "Tan", 7, BUILD(activation), NULL, "", 0 },
    { "Tanh", 1, BUILD(activation), FOLD(unary), "", 0 },
    { "ThresholdedRelu", 10, BUILD(activation), NULL, " alpha ", 0 },
    { "Tile", 6, BUILD(tile), FOLD(tile), "", 0 },
    { "TopK", 1, BUILD(top_k), NULL, " axis k largest sorted ", 0 },
    { "Transpose", 1, BUILD(transpose), FOLD(transpose), " perm ", 0 },
    { "Unsqueeze", 1, BUILD(unsqueeze), FOLD(unsqueeze), " axes ", 0 },
    { "Upsample", 7, BUILD(resize), NULL, " mode scales ", 0 },
    { "Where", 9, BUILD(where), FOLD(where), "", 0 },
    { "Xor", 1, BUILD(binary), FOLD(compare), " axis broadcast ", 0 },
};

static int compare_names(const void *name, const void *op)
{
    return strcmp(name, ((const hsi_onnx_op *)op)->name);
}

const hsi_onnx_op *hsi_onnx_find_op(const char *name)
{
    return bsearch(name, ops, sizeof ops / sizeof *ops, sizeof *ops, compare_names);
}

int hsi_onnx_knows_attr(const hsi_onnx_op *op, const char *attribute)
{
    size_t length = strlen(attribute);
    if (length == 0 || strchr(attribute, ' '))
        return 0;
    for (const char *at = op->attributes; (at = strstr(at, attribute)) != NULL; at++)
        if (at > op->attributes && at[-1] == ' ' && at[length] == ' ')
            return 1;
    return 0;
}
