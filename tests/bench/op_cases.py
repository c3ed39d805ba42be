"""What `make bench-ops` measures: operators at the shapes that networks have them in.

A case is one operator with inputs of run time (`t`) and constants (`k`). Shapes are large enough for a
call to take some 30 us or more, so that what is compared are kernels and not the costs of a call (which
a case of its own shows: Relu of one number)."""
from typing import Any, NamedTuple

import numpy as np


class Tensor(NamedTuple):
    """An input: of random values (uniform between low and high), or a constant of these values."""
    shape: tuple
    dtype: Any = np.float32
    low: float = -1
    high: float = 1
    values: Any = None


class Case(NamedTuple):
    op: str
    label: str
    inputs: list
    attributes: dict
    outputs: int
    opset: int


def t(*shape, dtype=np.float32, low=-1, high=1):
    return Tensor(shape, dtype, low, high)


def k(values, dtype=np.int64):
    """A constant: values, or a Tensor to be drawn."""
    if isinstance(values, Tensor):
        return values._replace(values=values.shape)
    array = np.asarray(values, dtype)
    return Tensor(array.shape, array.dtype, values=array)


CASES = []


def case(op, *inputs, label="", outputs=1, opset=18, **attributes):
    shapes = ", ".join("x".join(map(str, i.shape)) or "1" for i in inputs
                       if i is not None and i.values is None)
    types = {np.dtype(i.dtype).name for i in inputs if i is not None and i.values is None}
    if types != {"float32"}:
        shapes = "/".join(sorted(types - {"float32"})) + " " + shapes
    CASES.append(Case(op, " ".join(filter(None, (shapes, label))), list(inputs), attributes,
                      outputs, opset))


I64, I32, I8, U8, BOOL = np.int64, np.int32, np.int8, np.uint8, np.bool_
MAP = (1, 64, 56, 56)      # of a convolutional network
WIDE = (1, 64, 112, 112)   # for numbers of one byte
TOKENS = (1, 197, 768)     # of a transformer
case("Relu", t(1), label="(what a call costs)")

# ---- Elementwise ----

for name in ("Abs", "Ceil", "Floor", "Relu", "LeakyRelu", "HardSigmoid", "Neg", "Sign", "Sigmoid", "Tanh",
             "Exp", "Erf", "Elu", "Selu", "Softplus", "Softsign", "Celu", "ThresholdedRelu", "HardSwish",
             "Round", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Mish", "Shrink"):
    case(name, t(*MAP))
case("Atanh", t(*MAP, low=-.9, high=.9))
case("Acosh", t(*MAP, low=1, high=4))
for name in ("Log", "Sqrt", "Reciprocal"):
    case(name, t(*MAP, low=.1, high=4))
case("Gelu", t(*TOKENS), opset=20)
case("Gelu", t(*TOKENS), label="tanh", opset=20, approximate="tanh")
case("Swish", t(*MAP), opset=24)
case("Clip", t(*MAP), k(0, np.float32), k(.5, np.float32))
case("Clip", t(*MAP, dtype=I64, low=-90, high=90), k(0), k(50))
case("Abs", t(*MAP, dtype=I64, low=-90, high=90))
case("Neg", t(*MAP, dtype=I32, low=-90, high=90))
case("IsNaN", t(*MAP))
case("IsInf", t(*MAP))
case("Not", t(*WIDE, dtype=BOOL, low=0, high=2))
case("BitwiseNot", t(*MAP, dtype=I32, low=0, high=99))

for name in ("Add", "Sub", "Mul", "Div", "Max", "Min"):
    case(name, t(*MAP), t(*MAP, low=.5, high=2))
for name in ("Add", "Mul", "Div"):
    case(name, t(*TOKENS), t(768, low=.5, high=2), label="rows")
    case(name, t(*MAP), t(1, 64, 1, 1, low=.5, high=2), label="channels")
case("Add", t(12, 197, 197), t(12, 197, 1), label="columns")
case("Mul", t(*MAP), k(.5, np.float32), label="constant")
case("Add", t(256, 1), t(1, 1024), label="outer")
case("Add", t(*MAP, dtype=I64, low=0, high=99), t(*MAP, dtype=I64, low=0, high=99))
case("Mul", t(*MAP, dtype=I32, low=0, high=99), k(3, I32), label="constant")
case("Div", t(*MAP, dtype=I64, low=0, high=99), k(7), label="constant")
case("Sum", t(*MAP), t(*MAP), t(*MAP))
case("Mean", t(*MAP), t(*MAP), t(*MAP))
case("Pow", t(*MAP, low=.1, high=2), k(2, np.float32), label="square")
case("Pow", t(*MAP, low=.1, high=2), k(.3, np.float32), label="0.3")
case("Pow", t(*MAP, low=.1, high=2), t(*MAP))
case("Mod", t(*MAP, low=1, high=9), t(*MAP, low=1, high=2), fmod=1)
case("Mod", t(*MAP, dtype=I64, low=0, high=99), k(7), label="constant")
case("PRelu", t(*MAP), k(t(64, 1, 1)))
for name in ("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal"):
    case(name, t(*MAP), t(*MAP))
case("Equal", t(1024, 512, dtype=I64, low=0, high=9), k(0), label="constant")
case("Less", t(1, 512, dtype=I64, low=0, high=512), t(512, 1, dtype=I64, low=0, high=512), label="a mask")
for name in ("And", "Or", "Xor"):
    case(name, t(*WIDE, dtype=BOOL, low=0, high=2), t(*WIDE, dtype=BOOL, low=0, high=2))
for name in ("BitwiseAnd", "BitwiseOr", "BitwiseXor"):
    case(name, t(*MAP, dtype=I32, low=0, high=99), t(*MAP, dtype=I32, low=0, high=99))
case("BitShift", t(*WIDE, dtype=U8, low=0, high=99), k(3, U8), direction="RIGHT")
case("Where", t(*MAP, dtype=BOOL, low=0, high=2), t(*MAP), t(*MAP))
case("Where", t(1, 1, 256, 256, dtype=BOOL, low=0, high=2), t(1, 12, 256, 256), k(-1e9, np.float32),
     label="a mask")

for source, target in (("float32", "int64"), ("int64", "float32"), ("float32", "int32"), ("int32", "float32"),
                       ("bool", "float32"), ("float32", "bool"), ("uint8", "float32"), ("float32", "uint8"),
                       ("int64", "int32"), ("int32", "int64"), ("bool", "int64")):
    case("Cast", t(*MAP, dtype=np.dtype(source).type, low=0, high=2 if source == "bool" else 99),
         label="to " + target, to=target)
case("CastLike", t(*MAP, dtype=I64, low=0, high=99), k([0], np.float32))

# ---- Moving ----

case("Concat", t(1, 128, 28, 28), t(1, 256, 28, 28), label="channels", axis=1)
case("Concat", t(8, 197, 384), t(8, 197, 384), label="last", axis=2)
case("Concat", t(100000, 1), t(100000, 1), label="pairs", axis=1)
case("Concat", t(300, 4, dtype=I64, low=0, high=9), t(20000, 4, dtype=I64, low=0, high=9), axis=0)
case("Split", t(1, 256, 28, 28), k([64, 192]), label="channels", outputs=2, axis=1)
case("Split", t(197, 2304), label="last", outputs=3, axis=1, num_outputs=3)
case("Slice", t(1, 64, 112, 112), k([0]), k([112]), k([2]), k([2]), label="every other row")
case("Slice", t(1, 64, 112, 112), k([0]), k([112]), k([3]), k([2]), label="every other column")
case("Slice", t(1, 64, 112, 112), k([1, 1]), k([111, 111]), k([2, 3]), label="the middle")
case("Slice", t(197, 2304), k([768]), k([1536]), k([1]), label="columns")
case("Slice", t(512, 1024), k([-1]), k([-2000]), k([1]), k([-1]), label="backwards")
case("Transpose", t(1, 197, 12, 64), label="heads", perm=[0, 2, 1, 3])
case("Transpose", t(12, 197, 64), label="last two", perm=[0, 2, 1])
case("Transpose", t(1, 64, 56, 56), label="to last", perm=[0, 2, 3, 1])
case("Transpose", t(1, 56, 56, 64), label="from last", perm=[0, 3, 1, 2])
case("Transpose", t(1, 3, 224, 224), label="to last", perm=[0, 2, 3, 1])
case("Transpose", t(1024, 768), label="matrix", perm=[1, 0])
case("Transpose", t(1, 2, 58, 28, 28), label="shuffle", perm=[0, 2, 1, 3, 4])
case("Transpose", t(512, 768, dtype=I8, low=0, high=99), label="matrix", perm=[1, 0])
case("DepthToSpace", t(1, 64, 56, 56), blocksize=2)
case("DepthToSpace", t(1, 64, 56, 56), blocksize=2, mode="CRD", label="CRD")
case("SpaceToDepth", t(1, 12, 128, 128), blocksize=2)
case("Reshape", t(*MAP), k([64, 3136]))
case("Flatten", t(*MAP))
case("Squeeze", t(*MAP), k([0]))
case("Unsqueeze", t(*MAP), k([0]))
case("Expand", t(1, 768), k([512, 768]), label="rows")
case("Expand", t(512, 1), k([512, 768]), label="columns")
case("Expand", t(1, 8, 1, 128, 64), k([1, 8, 4, 128, 64]), label="heads")
case("Tile", t(1, 64, 28, 28), k([1, 4, 1, 1]))
case("Tile", t(512, 64), k([1, 8]))
case("Pad", t(1, 64, 56, 56), k([0, 0, 1, 1, 0, 0, 1, 1]), label="zeros")
case("Pad", t(1, 64, 56, 56), k([0, 0, 3, 3, 0, 0, 3, 3]), label="reflect", mode="reflect")
case("Pad", t(1, 64, 56, 56), k([0, 0, 3, 3, 0, 0, 3, 3]), label="edge", mode="edge")
case("Gather", t(30000, 768), t(1, 128, dtype=I64, low=0, high=30000), label="rows")
case("Gather", t(512, 768), t(256, dtype=I64, low=0, high=768), label="columns", axis=1)
case("GatherElements", t(1000, 256), t(1000, 128, dtype=I64, low=0, high=256), label="last", axis=1)
case("GatherElements", t(1000, 256), t(500, 256, dtype=I64, low=0, high=1000), label="first", axis=0)
case("GatherND", t(128, 128, 256), t(500, 2, dtype=I64, low=0, high=128), label="rows")
case("GatherND", t(1000, 1000), t(50000, 2, dtype=I64, low=0, high=1000), label="numbers")
case("ScatterElements", t(1000, 256), t(500, 256, dtype=I64, low=0, high=1000), t(500, 256),
     label="add", axis=0, reduction="add")
case("ScatterElements", t(1000, 256), k(np.argsort(np.random.default_rng(1).random((1000, 256)))),
     t(1000, 256), label="last", axis=1)
case("ScatterND", t(1000, 768), k(np.random.default_rng(1).permutation(1000)[:500, None]), t(500, 768),
     label="rows")
case("ScatterND", t(1000, 1000), k(np.stack(np.divmod(
    np.random.default_rng(1).permutation(1000000)[:50000], 1000), 1)), t(50000), label="numbers")
case("Scatter", t(1000, 256), k(np.argsort(np.random.default_rng(1).random((1000, 256)))), t(1000, 256),
     opset=10, axis=1)

# ---- Along an axis ----

for name in ("ReduceSum", "ReduceMean", "ReduceMax"):
    case(name, t(1024, 768), k([1]), label="rows")
    case(name, t(1024, 768), k([0]), label="columns")
    case(name, t(1, 256, 28, 28), k([2, 3]), label="maps")
    case(name, t(16, 197, 256), k([1]), label="the middle")
for name in ("ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp",
             "ReduceSumSquare"):
    case(name, t(1024, 768, low=.5, high=1.5), k([1]), label="rows")
case("ReduceSum", t(1024, 768, dtype=I64, low=0, high=9), k([1]), label="rows")
case("ReduceMax", t(1024, 768, dtype=I32, low=0, high=999), k([0]), label="columns")
case("ArgMax", t(1024, 1000), label="last", axis=1, keepdims=0)
case("ArgMax", t(1, 21, 256, 256), label="channels", axis=1)
case("ArgMin", t(1024, 1000), label="last", axis=1)
case("TopK", t(1, 100000), k([100]), outputs=2, axis=1)
case("TopK", t(256, 1000), k([5]), outputs=2, axis=1)
case("TopK", t(1, 80, 8400), k([1]), label="channels", outputs=2, axis=1)
case("CumSum", t(1024, 768), k(1), label="last")
case("CumSum", t(1024, 768), k(0), label="first")
case("CumSum", t(8, 256, 128), k(1), label="the middle")
case("CumSum", t(512, 256, dtype=I64, low=0, high=9), k(1), label="last")
case("Softmax", t(12, 197, 197), axis=-1)
case("Softmax", t(1, 21, 128, 128), label="channels", axis=1)
case("LogSoftmax", t(256, 1000), axis=-1)
case("LayerNormalization", t(*TOKENS), k(t(768)), k(t(768)), axis=-1)
case("RMSNormalization", t(*TOKENS), k(t(768)), opset=23, axis=-1)
case("BatchNormalization", t(*MAP), k(t(64)), k(t(64)), k(t(64)), k(t(64, low=.5, high=2)))
case("InstanceNormalization", t(*MAP), k(t(64)), k(t(64)))
case("GroupNormalization", t(*MAP), k(t(64)), k(t(64)), opset=21, num_groups=32)
case("MeanVarianceNormalization", t(4, 64, 56, 56))
case("LpNormalization", t(1024, 768), axis=-1)
case("LRN", t(1, 96, 55, 55), size=5)

# ---- Windows ----

for channels, size, kernel, stride in ((64, 56, 3, 1), (256, 14, 1, 1), (128, 28, 3, 2)):
    case("Conv", t(1, channels, size, size), k(t(channels, channels, kernel, kernel)), k(t(channels)),
         label=f"k{kernel} s{stride}", kernel_shape=[kernel] * 2, pads=[kernel // 2] * 4,
         strides=[stride] * 2)
case("Conv", t(1, 3, 224, 224), k(t(64, 3, 7, 7)), label="k7 s2", kernel_shape=[7, 7], pads=[3] * 4,
     strides=[2, 2])
case("Conv", t(1, 144, 56, 56), k(t(144, 1, 3, 3)), label="depthwise k3", group=144, pads=[1] * 4)
case("Conv", t(1, 128, 28, 28), k(t(128, 4, 3, 3)), label="32 groups k3", group=32, pads=[1] * 4)
case("Conv", t(1, 64, 56, 56), k(t(64, 64, 3, 3)), label="k3 dilated", dilations=[2, 2], pads=[2] * 4)
case("Conv", t(1, 80, 3000), k(t(384, 80, 3)), label="k3", pads=[1, 1])
case("Conv", t(1, 3, 16, 64, 64), k(t(32, 3, 3, 3, 3)), label="k3", pads=[1] * 6)
case("Conv", t(1, 32, 8, 28, 28), k(t(32, 32, 3, 3, 3)), label="k3", pads=[1] * 6)
case("ConvTranspose", t(1, 128, 28, 28), k(t(128, 64, 2, 2)), k(t(64)), label="k2 s2", strides=[2, 2])
case("ConvTranspose", t(1, 64, 32, 32), k(t(64, 32, 4, 4)), label="k4 s2", strides=[2, 2], pads=[1] * 4)
case("ConvTranspose", t(1, 64, 32, 32), k(t(64, 32, 3, 3)), label="k3 s2", strides=[2, 2], pads=[1] * 4,
     output_padding=[1, 1])
case("ConvTranspose", t(1, 64, 32, 32), k(t(64, 64, 3, 3)), label="k3 s1", pads=[1] * 4)
case("ConvTranspose", t(1, 128, 400), k(t(128, 64, 16)), label="k16 s8", strides=[8], pads=[4, 4])
case("MaxPool", t(1, 64, 112, 112), label="k3 s2", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
case("MaxPool", t(1, 64, 56, 56), label="k2 s2", kernel_shape=[2, 2], strides=[2, 2])
case("MaxPool", t(1, 256, 20, 20), label="k5 s1", kernel_shape=[5, 5], pads=[2] * 4)
case("MaxPool", t(1, 32, 16, 28, 28), label="k3 s2", kernel_shape=[3] * 3, strides=[2] * 3, pads=[1] * 6)
case("MaxPool", t(1, 64, 4000), label="k4 s4", kernel_shape=[4], strides=[4])
case("AveragePool", t(1, 64, 56, 56), label="k2 s2", kernel_shape=[2, 2], strides=[2, 2])
case("AveragePool", t(1, 192, 28, 28), label="k3 s1", kernel_shape=[3, 3], pads=[1] * 4)
case("AveragePool", t(1, 32, 16, 28, 28), label="k2 s2", kernel_shape=[2] * 3, strides=[2] * 3)
case("LpPool", t(1, 64, 56, 56), label="k2 s2", kernel_shape=[2, 2], strides=[2, 2])
case("GlobalAveragePool", t(1, 512, 28, 28))
case("GlobalMaxPool", t(1, 512, 28, 28))
case("GlobalLpPool", t(1, 512, 28, 28))
TWICE = k([1, 1, 2, 2], np.float32)
case("Resize", t(1, 64, 56, 56), None, TWICE, label="nearest", mode="nearest",
     coordinate_transformation_mode="asymmetric", nearest_mode="floor")
case("Resize", t(1, 64, 56, 56), None, TWICE, label="linear", mode="linear")
case("Resize", t(1, 64, 56, 56), None, TWICE, label="linear, corners", mode="linear",
     coordinate_transformation_mode="align_corners")
case("Resize", t(1, 3, 64, 64), None, TWICE, label="cubic", mode="cubic")
case("Upsample", t(1, 64, 56, 56), TWICE, opset=9, mode="nearest")

# ---- Products and sequences ----

case("Gemm", t(1, 2048), k(t(1000, 2048)), k(t(1000)), transB=1)
case("Gemm", t(64, 768), k(t(768, 768)), k(t(768)))
case("MatMul", t(*TOKENS), k(t(768, 768)), label="constant")
case("MatMul", t(12, 197, 64), t(12, 64, 197), label="scores")
case("MatMul", t(12, 197, 197), t(12, 197, 64), label="values")
case("MatMul", t(512, 768), k(t(768, 3072)), label="constant")
for name, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
    case(name, t(64, 1, 128), k(t(1, gates * 128, 128)), k(t(1, gates * 128, 128, low=-.1, high=.1)),
         k(t(1, gates * 256)), hidden_size=128)
case("LSTM", t(64, 8, 128), k(t(2, 512, 128)), k(t(2, 512, 128, low=-.1, high=.1)), k(t(2, 1024)),
     label="both ways", hidden_size=128, direction="bidirectional")
case("ReduceMean", t(1, 28, 28, 512), k([1, 2]), label="maps, channels last")
case("ReduceMax", t(1, 28, 28, 512), k([1, 2]), label="maps, channels last")
case("ReduceMean", t(1, 7, 7, 2048), k([1, 2]), label="maps, channels last")

# ---- Regions, places and samples ----

GRID = t(1, 56, 56, 2, low=-1.1, high=1.1)
case("GridSample", t(1, 64, 56, 56), GRID, label="linear", opset=20, mode="linear")
case("GridSample", t(1, 64, 56, 56), GRID, label="nearest", opset=20, mode="nearest")
case("GridSample", t(1, 64, 56, 56), GRID, label="cubic", opset=20, mode="cubic")
case("GridSample", t(1, 3, 32, 32), t(1, 224, 224, 2), label="linear", opset=20, mode="linear")
case("GridSample", t(1, 3, 32, 32), t(1, 224, 224, 2), label="nearest", opset=20, mode="nearest")
case("GridSample", t(1, 3, 32, 32), t(1, 224, 224, 2), label="cubic", opset=20, mode="cubic")
case("GridSample", t(1, 64, 56, 56), GRID, label="reflected", opset=20, mode="linear",
     padding_mode="reflection")
case("GridSample", t(1, 16, 8, 28, 28), t(1, 8, 28, 28, 3), label="linear", opset=20, mode="linear")
case("AffineGrid", t(4, 2, 3), k([4, 3, 112, 112]), opset=20)
BOXES = np.random.default_rng(1).uniform(0, 500, (1, 2000, 2)).astype(np.float32)
case("NonMaxSuppression", k(np.concatenate([BOXES, BOXES + 20], 2), np.float32), t(1, 1, 2000, low=0),
     k(200), k(.5, np.float32), label="one class", opset=11)
case("NonMaxSuppression", k(np.concatenate([BOXES, BOXES + 20], 2), np.float32), t(1, 20, 2000, low=0),
     k(50), k(.5, np.float32), k(.5, np.float32), label="20 classes, scores above 0.5", opset=11)
ROIS = np.random.default_rng(1).uniform(0, 100, (100, 2)).astype(np.float32)
for mode in ("avg", "max"):
    case("RoiAlign", t(1, 64, 50, 50), k(np.concatenate([ROIS, ROIS + 90], 1), np.float32), k([0] * 100),
         label=f"100 regions, {mode}", opset=16, mode=mode, output_height=7, output_width=7, sampling_ratio=2,
         spatial_scale=.25)
case("DeformConv", t(1, 32, 28, 28), k(t(32, 32, 3, 3)), t(1, 18, 28, 28), label="k3", opset=19,
     pads=[1] * 4)
case("MaxPool", t(1, 64, 56, 56), label="k2 s2, indices", outputs=2, kernel_shape=[2, 2], strides=[2, 2])
case("MaxPool", t(1, 64, 56, 56), label="k3 s2, indices", outputs=2, kernel_shape=[3, 3], strides=[2, 2],
     pads=[1] * 4)
UNPOOLED = (np.arange(28)[:, None] * 112 + np.arange(28) * 2
            + np.arange(64)[:, None, None] * 56 * 56)[None]
case("MaxUnpool", t(1, 64, 28, 28), k(UNPOOLED), label="k2 s2", kernel_shape=[2, 2], strides=[2, 2])
case("Col2Im", t(1, 64 * 9, 56 * 56), k([56, 56]), k([3, 3]), label="k3", pads=[1] * 4)
case("Col2Im", t(1, 64 * 4, 28 * 28), k([56, 56]), k([2, 2]), label="k2 s2", strides=[2, 2])
case("CenterCropPad", t(1, 64, 56, 56), k([48, 64]), axes=[2, 3])

# ---- Of transformers and texts ----

HEADS = (1, 12, 197, 64)
case("Attention", t(*HEADS), t(*HEADS), t(*HEADS), opset=23)
case("Attention", t(*HEADS), t(*HEADS), t(*HEADS), label="causal", opset=23, is_causal=1)
case("Attention", t(1, 16, 1, 64), t(1, 16, 512, 64), t(1, 16, 512, 64), label="one token", opset=23)
case("RotaryEmbedding", t(1, 12, 256, 64), t(1, 256, 32), t(1, 256, 32), opset=23)
case("RotaryEmbedding", t(1, 12, 256, 64), t(1, 256, 32), t(1, 256, 32), label="interleaved", opset=23,
     interleaved=1)
case("Einsum", t(*HEADS), t(*HEADS), label="scores", equation="bhid,bhjd->bhij")
case("Einsum", t(1, 197, 12, 64), t(1, 197, 12, 64), label="scores, heads within",
     equation="bihd,bjhd->bhij")
case("Einsum", t(*TOKENS), t(768, 12, 64), label="projection", equation="bic,chd->bhid")
case("Einsum", t(512, 768), t(512, 768), label="of rows", equation="ij,ij->i")
case("OneHot", t(512, dtype=I64, low=0, high=1000), k(1000), k([0, 1], np.float32))
case("OneHot", t(1, 64, 64, dtype=I64, low=0, high=21), k(21), k([0, 1], np.float32), label="channels",
     axis=1)
case("Trilu", t(12, 256, 256), upper=0)
case("Trilu", t(1024, 1024), k(1), upper=1)
case("ReverseSequence", t(64, 16, 256), t(16, dtype=I64, low=1, high=65), batch_axis=1, time_axis=0)
case("CumProd", t(512, 256, low=.9, high=1.1), k(1), label="last", opset=26)
case("Hardmax", t(256, 1000), axis=-1)
case("Compress", t(1024, 256), k(np.arange(1024) % 3 > 0, BOOL), axis=0)
case("TensorScatter", t(1, 8, 1024, 64), t(1, 8, 4, 64), t(1, dtype=I64, low=0, high=1000), opset=24)
case("SwiGLU", t(197, 2048), t(197, 2048), opset=28)
case("LinearAttention", t(1, 64, 256), t(1, 64, 256), t(1, 64, 256), outputs=2, opset=27, q_num_heads=4,
     kv_num_heads=4, update_rule="linear")
case("CausalConvWithState", t(1, 256, 128), k(t(256, 1, 4)), outputs=2, opset=27)
