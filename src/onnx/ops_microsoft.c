/* Operators of domain com.microsoft that are read: what ONNX Runtime's tool for quantising models
 * writes. docs-operators lists them, too. */
#include "onnx/ops.h"

#include <stdlib.h>
#include <string.h>

#define BUILD(name) hsi_onnx_build_##name
#define FOLD(name)  hsi_onnx_fold_##name
#define BYTES       "int8, uint8"
#define WINDOW      " auto_pad kernel_shape pads strides "

/* Sorted by name. */
static const hsi_onnx_op ops[] = {
    { "DequantizeLinear", 1, BUILD(dequantize), FOLD(dequantize), " axis block_size ", 0,
      .layers = "as ONNX's", .types = BYTES ", int32", .levels = 1 },
    { "QGemm", 1, BUILD(qgemm), NULL, " alpha transA transB ", 0,
      .layers = "fully_connected, binary, activation (fake_quantize), cast; matmul",
      .types = BYTES,
      .note = "a result next to the middle of two levels may become the other one",
      .levels = 1 },
    { "QLinearAdd", 1, BUILD(qlinear_add), NULL, "", 0,
      .layers = "binary, activation (fake_quantize), cast", .types = BYTES, .levels = 1 },
    { "QLinearAveragePool", 1, BUILD(qlinear_average_pool), NULL,
      WINDOW "ceil_mode channels_last count_include_pad dilations ", 0,
      .layers = "pool, binary, activation (fake_quantize), cast", .types = BYTES,
      .levels = 1 },
    { "QLinearConcat", 1, BUILD(qlinear_concat), NULL, " axis ", 0,
      .layers = "concat, binary, activation (fake_quantize), cast", .types = BYTES,
      .levels = 1 },
    { "QLinearGlobalAveragePool", 1, BUILD(qlinear_average_pool), NULL, " channels_last ",
      0, .layers = "global_pool, binary, activation (fake_quantize), cast",
      .types = BYTES, .levels = 1 },
    { "QLinearLeakyRelu", 1, BUILD(qlinear_leaky_relu), NULL, " alpha ", 0,
      .layers = "activation, binary, cast", .types = BYTES, .levels = 1 },
    { "QLinearMul", 1, BUILD(qlinear_mul), NULL, "", 0,
      .layers = "binary, activation (fake_quantize), cast", .types = BYTES, .levels = 1 },
    { "QLinearReduceMean", 1, BUILD(qlinear_reduce_mean), NULL, " axes keepdims ", 0,
      .layers = "reduce, binary, activation (fake_quantize), cast", .types = BYTES,
      .levels = 1 },
    { "QLinearSigmoid", 1, BUILD(qlinear_sigmoid), NULL, "", 0,
      .layers = "activation, binary, cast", .types = BYTES, .levels = 1 },
    { "QLinearSoftmax", 1, BUILD(qlinear_softmax), NULL, " axis opset ", 0,
      .layers = "softmax, binary, activation (fake_quantize), cast", .types = BYTES,
      .levels = 1 },
    { "QLinearWhere", 1, BUILD(qlinear_where), NULL, "", 0,
      .layers = "where, binary, activation (fake_quantize), cast", .types = BYTES,
      .levels = 1 },
    { "QuantizeLinear", 1, BUILD(quantize), FOLD(quantize), " axis block_size ", 0,
      .layers = "as ONNX's", .types = "float32, int32" },
};

static int compare_names(const void *name, const void *op)
{
    return strcmp(name, ((const hsi_onnx_op *)op)->name);
}

const hsi_onnx_op *hsi_onnx_find_microsoft_op(const char *name)
{
    return bsearch(name, ops, sizeof ops / sizeof *ops, sizeof *ops, compare_names);
}
