"""Operators on float64, to more digits than float32 has: against ONNX Runtime, ONNX's own package or the formula."""
import math

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper, reference

import hsched

RNG = np.random.default_rng(64)
CLOSE = {"rtol": 1e-12, "atol": 1e-13}  # float32 has 6e-8


def some(*shape, low=-3.0, high=3.0):
    return RNG.uniform(low, high, shape)


def info(name, array):
    return helper.make_tensor_value_info(
        name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)


def model_of(op, opset, feed, constants=(), outputs=1, attributes=None):
    """A node that reads what is fed, then the constants (None: left out)."""
    names = [f"c{k}" if c is not None else "" for k, c in enumerate(constants)]
    results = [f"y{k}" for k in range(outputs)]
    node = helper.make_node(op, [*feed, *names], results, **(attributes or {}))
    graph = helper.make_graph(
        [node], "float64", [info(n, a) for n, a in feed.items()],
        [helper.make_empty_tensor_value_info(n) for n in results],
        [numpy_helper.from_array(c, n) for c, n in zip(constants, names) if c is not None])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def expectation(model, feed):
    """By ONNX Runtime, where it has the operator for these types."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(model.SerializeToString(), options,
                                       providers=["CPUExecutionProvider"])
    except Exception:  # its own classes, by cause
        return reference.ReferenceEvaluator(model).run(None, feed)
    return session.run(None, feed)


def check(tmp_path, op, opset, feed, constants=(), outputs=1, expected=None, **attributes):
    if not isinstance(feed, dict):
        feed = {f"x{k}": x for k, x in enumerate(feed)}
    model = model_of(op, opset, feed, constants, outputs, attributes)
    path = tmp_path / "float64.onnx"
    onnx.save(model, path)
    with hsched.Runtime(cpu_workers=2) as rt:
        found = list(rt.load(path).infer_exactly(feed).values())
    if expected is None:
        expected = expectation(model, feed)
    for ours, theirs in zip(found, expected):
        assert ours.dtype == theirs.dtype
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, **CLOSE)
    return found


PLAIN = ["Abs", "Atan", "Asinh", "Ceil", "Cos", "Elu", "Erf", "Exp", "Floor", "HardSigmoid", "HardSwish",
         "Identity", "LeakyRelu", "Mish", "Neg", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign",
         "Sin", "Sinh", "Cosh", "Softplus", "Softsign", "Tan", "Tanh", "ThresholdedRelu", "Celu", "Gelu",
         "Shrink", "LogSoftmax", "Softmax", "Hardmax", "IsNaN", "IsInf"]
ERF = np.vectorize(math.erf)
OWN = {"Erf": ERF,
       "Gelu": (lambda x: x / 2 * (1 + ERF(x / math.sqrt(2)))),
       "Celu": (lambda x: np.where(x < 0, np.expm1(x), x)),
       "HardSwish": (lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
       "Mish": (lambda x: x * np.tanh(np.log1p(np.exp(x)))),
       "Shrink": (lambda x: np.where(x < -0.5, x, np.where(x > 0.5, x, 0))),
       "Softplus": (lambda x: np.log1p(np.exp(x)))}


@pytest.mark.parametrize("op", PLAIN)
def test_functions(op, tmp_path):
    x = some(4, 5, 7)
    check(tmp_path, op, 22, [x], expected=[OWN[op](x)] if op in OWN else None)


@pytest.mark.parametrize("op, low, high", [("Acos", -1, 1), ("Asin", -1, 1), ("Atanh", -0.9, 0.9),
                                           ("Acosh", 1, 9), ("Log", 1e-3, 9), ("Sqrt", 0, 9)])
def test_functions_of_some(op, low, high, tmp_path):
    check(tmp_path, op, 22, [some(40, low=low, high=high)])


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div", "Pow", "PRelu", "Max", "Min", "Sum",
                                "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"])
def test_arithmetic(op, tmp_path):
    a, b = some(3, 4, 5, low=0.1 if op == "Pow" else -3), some(4, 1)
    b[0, 0] = a[0, 0, 0]
    check(tmp_path, op, 19, [a, b])
    check(tmp_path, op, 19, [a], [b])
    if op != "PRelu":
        check(tmp_path, op, 19, [b], [a])


def test_mean(tmp_path):
    a, b, c = some(3, 4), some(3, 4), some(3, 4)
    check(tmp_path, "Mean", 13, [a, b, c], expected=[(a + b + c) / 3])


@pytest.mark.parametrize("fmod", [0, 1])
def test_remainders(fmod, tmp_path):
    a, b = some(60, low=-1e9, high=1e9), some(60)
    check(tmp_path, "Mod", 13, [a, b], fmod=fmod, expected=[np.fmod(a, b) if fmod else np.mod(a, b)])


def test_what_float32_does_not_hold(tmp_path):
    x = np.array([1e300, -1e300, 1e-300, 1 + 2**-50, np.inf, np.nan])
    check(tmp_path, "Add", 14, [x], [np.array(1e-301)])
    check(tmp_path, "Mul", 14, [x], [np.array(1e5)])
    check(tmp_path, "Clip", 13, [x], [np.array(1 + 2**-51), np.array(1e299)])
    check(tmp_path, "Max", 13, [x], [np.array(-1e299)])
    check(tmp_path, "ReduceMax", 13, [x[:5]])
    check(tmp_path, "ReduceLogSumExp", 13, [x[:4] * 1e3], expected=[np.array([1e303])], keepdims=1)


@pytest.mark.parametrize("bounds", [(np.array(-0.1), None), (None, np.array(0.3)), (np.array(-0.1), np.array(0.3))])
def test_clip(bounds, tmp_path):
    x = some(50)
    low, high = bounds
    check(tmp_path, "Clip", 13, [x], bounds,
          expected=[np.clip(x, -np.inf if low is None else low, np.inf if high is None else high)])
    given = [b if b is not None else np.array(d) for b, d in zip(bounds, (-9.0, 9.0))]
    check(tmp_path, "Clip", 13, [x, *given])


@pytest.mark.parametrize("op", ["ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
                                "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"])
@pytest.mark.parametrize("axes", [None, [1], [2, 3], [0, 3]])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_reductions(op, axes, keepdims, tmp_path):
    x = some(2, 3, 4, 5, low=0.5, high=1.5)
    check(tmp_path, op, 18, [x], [np.array(axes)] if axes else [], keepdims=keepdims)


def test_the_root_of_large_squares(tmp_path):
    check(tmp_path, "ReduceL2", 13, [some(4, 9) * 1e100], axes=[1])
    x = some(4, 9)
    check(tmp_path, "LpNormalization", 22, [x * 1e-300], expected=[x / np.sqrt((x * x).sum(1, keepdims=True))])


@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("axis", [0, 2])
@pytest.mark.parametrize("last", [0, 1])
def test_arg(op, axis, last, tmp_path):
    x = 1 + np.round(some(3, 4, 70)) * 2**-45
    check(tmp_path, op, 13, [x], axis=axis, select_last_index=last)


@pytest.mark.parametrize("largest", [0, 1])
def test_top_k(largest, tmp_path):
    x = 1 + RNG.permutation(5 * 60).reshape(5, 60) * 2**-45
    check(tmp_path, "TopK", 11, [x], [np.array([7])], outputs=2, largest=largest)


@pytest.mark.parametrize("a, b", [((3, 4), (4, 5)), ((2, 3, 4), (4, 5)), ((2, 1, 3, 4), (5, 4, 6)), ((4,), (4, 5)),
                                  ((3, 4), (4,)), ((4,), (4,)), ((1, 300), (300, 70)), ((130, 120), (120, 110))])
def test_matmul(a, b, tmp_path):
    x, y = some(*a), some(*b)
    check(tmp_path, "MatMul", 13, [x, y])
    check(tmp_path, "MatMul", 13, [x], [y])
    check(tmp_path, "MatMul", 13, {"x": x}, [y])


@pytest.mark.parametrize("constant", [0, 1, 2])
@pytest.mark.parametrize("trans_a, trans_b", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("c", [None, (5,), (3, 1), (3, 5), ()])
def test_gemm(constant, trans_a, trans_b, c, tmp_path):
    a, b = some(*((4, 3) if trans_a else (3, 4))), some(*((5, 4) if trans_b else (4, 5)))
    given = [a, b] if c is None else [a, b, some(*c)]
    known = min(constant, len(given) - 1)
    attributes = {"alpha": 0.7, "beta": 1.3} if constant else {}
    check(tmp_path, "Gemm", 13, given[:len(given) - known], given[len(given) - known:],
          transA=trans_a, transB=trans_b, **attributes)


@pytest.mark.parametrize("equation, shapes", [("ij,jk", [(3, 4), (4, 5)]), ("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)]),
                                              ("ij->i", [(3, 4)]), ("i,i", [(7,), (7,)]), ("ii->i", [(4, 4)])])
def test_einsum(equation, shapes, tmp_path):
    check(tmp_path, "Einsum", 12, [some(*s) for s in shapes], equation=equation)


@pytest.mark.parametrize("op", ["CumSum"])
@pytest.mark.parametrize("exclusive, reverse", [(0, 0), (1, 0), (0, 1)])
def test_running_sums(op, exclusive, reverse, tmp_path):
    check(tmp_path, op, 14, [some(3, 50)], [np.array(1)], exclusive=exclusive, reverse=reverse)


@pytest.mark.parametrize("reduction", ["none", "add", "mul", "max", "min"])
def test_scatter(reduction, tmp_path):
    x, indices = some(4, 6), RNG.integers(0, 4, (3, 6))
    if reduction == "none":
        indices = np.stack([RNG.permutation(4)[:3] for _ in range(6)], axis=1)
    updates = some(3, 6)
    feed = {"x": x, "indices": indices, "updates": updates}
    expected = x.copy()
    join = {"none": lambda a, b: b, "add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}[reduction]
    for i in range(3):
        for k in range(6):
            expected[indices[i, k], k] = join(expected[indices[i, k], k], updates[i, k])
    check(tmp_path, "ScatterElements", 18, feed, axis=0, reduction=reduction, expected=[expected])
    rows = RNG.permutation(4)[:2].reshape(2, 1)
    expected = x.copy()
    expected[rows[:, 0]] = join(expected[rows[:, 0]], updates[:2])
    check(tmp_path, "ScatterND", 18, {"x": x, "i": rows, "u": updates[:2]}, reduction=reduction, expected=[expected])


def test_moves(tmp_path):
    x = some(2, 3, 4)
    check(tmp_path, "Transpose", 13, [x], perm=[2, 0, 1])
    check(tmp_path, "Reshape", 13, [x], [np.array([4, 6])])
    check(tmp_path, "Concat", 13, [x, some(2, 5, 4)], axis=1)
    check(tmp_path, "Slice", 13, [x], [np.array([3, 0]), np.array([-9, 2]), np.array([2, 1]), np.array([-2, 1])])
    check(tmp_path, "Tile", 13, [x], [np.array([1, 2, 3])])
    check(tmp_path, "Expand", 13, [x[:, :1]], [np.array([2, 3, 4])])
    check(tmp_path, "Gather", 13, [x], [np.array([2, 0, -1])], axis=1)
    check(tmp_path, "GatherElements", 13, [x], [RNG.integers(0, 3, (2, 2, 4))], axis=1)
    check(tmp_path, "GatherND", 13, [x], [np.array([[0, 1], [1, 2]])])
    check(tmp_path, "Where", 16, [some(2, 3, 4) > 0, x, some(3, 1)])
    check(tmp_path, "Split", 18, [x], [np.array([1, 2])], outputs=2, axis=1)
    check(tmp_path, "ReverseSequence", 10, [x], [np.array([3, 1])], time_axis=1, batch_axis=0)
    check(tmp_path, "DepthToSpace", 13, [some(1, 8, 2, 3)], blocksize=2)
    check(tmp_path, "Trilu", 14, [some(4, 5)])
    check(tmp_path, "CenterCropPad", 18, [x], [np.array([3, 2, 4])])


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
def test_pad(mode, tmp_path):
    value = [np.array(-1e9)] if mode == "constant" else []
    x = some(3, 4)
    expected = np.pad(x, ((1, 0), (2, 3)), mode, **({"constant_values": -1e9} if value else {}))
    check(tmp_path, "Pad", 19, [x], [np.array([1, 2, 0, 3]), *value], mode=mode, expected=[expected])


@pytest.mark.parametrize("to", ["float32", "float16", "int64", "int32", "int8", "uint8", "bool", "float64"])
def test_casts(to, tmp_path):
    kind = np.dtype(to)
    x = some(30, low=0, high=100)
    found = check(tmp_path, "Cast", 13, [x], to=helper.np_dtype_to_tensor_dtype(kind), expected=[x.astype(kind)])
    check(tmp_path, "Cast", 13, found, to=onnx.TensorProto.DOUBLE, expected=[found[0].astype(np.float64)])


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax", "LpNormalization", "Hardmax"])
def test_along_an_axis(op, axis, tmp_path):
    x = some(3, 4, 50)
    expected = {"LpNormalization": lambda: x / np.sqrt((x * x).sum(axis, keepdims=True))}.get(op)
    check(tmp_path, op, 22, [x], axis=axis, expected=expected and [expected()])
    if op == "Softmax":
        check(tmp_path, op, 22, [x * 300], axis=axis)


def normalised(x, axes, epsilon):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + np.float32(epsilon).astype(float))


def test_normalisations(tmp_path):
    x, scale, bias = some(2, 6, 5, 4), some(6), some(6)
    wide = (slice(None), None, None)
    y = normalised(x, (2, 3), 1e-4) * scale[wide] + bias[wide]
    check(tmp_path, "InstanceNormalization", 22, [x], [scale, bias], epsilon=1e-4, expected=[y])
    check(tmp_path, "InstanceNormalization", 22, [x, scale, bias], epsilon=1e-4, expected=[y])
    groups = x.reshape(2, 3, 2, 5, 4)
    y = normalised(groups, (2, 3, 4), 1e-5).reshape(x.shape) * scale[wide] + bias[wide]
    check(tmp_path, "GroupNormalization", 21, [x], [scale, bias], num_groups=3, expected=[y])
    s, b = some(5, 4), some(5, 4)
    y = normalised(x, (2, 3), 1e-5) * s + b
    check(tmp_path, "LayerNormalization", 17, [x], [s, b], axis=2, expected=[y])
    y = x / np.sqrt((x * x).mean((2, 3), keepdims=True) + np.float32(1e-5).astype(float)) * s
    check(tmp_path, "RMSNormalization", 23, [x], [s], axis=2, expected=[y])
    mean, variance = some(6), some(6, low=0.1)
    y = (x - mean[wide]) / np.sqrt(variance[wide] + np.float32(1e-5).astype(float)) * scale[wide] + bias[wide]
    check(tmp_path, "BatchNormalization", 15, [x], [scale, bias, mean, variance], expected=[y])
    y = (x - x.mean((0, 2, 3), keepdims=True)) / (x.std((0, 2, 3), keepdims=True) + 1e-9)
    check(tmp_path, "MeanVarianceNormalization", 13, [x], expected=[y])


def test_attention(tmp_path):
    q, k, v = some(2, 3, 4, 8), some(2, 3, 5, 8), some(2, 3, 5, 6)
    scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(8)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    check(tmp_path, "Attention", 23, [q, k, v], expected=[weights / weights.sum(-1, keepdims=True) @ v])
    mask = some(4, 5)
    weights = np.exp(scores + mask)
    check(tmp_path, "Attention", 23, [q, k, v, mask], expected=[weights / weights.sum(-1, keepdims=True) @ v])
    weights = np.exp(scores) * np.tri(4, 5)
    check(tmp_path, "Attention", 23, [q, k, v], is_causal=1,
          expected=[weights / weights.sum(-1, keepdims=True) @ v])


def test_compositions(tmp_path):
    a, b = some(3, 8), some(3, 8)
    check(tmp_path, "SwiGLU", 28, [a, b], expected=[a / (1 + np.exp(-a)) * b])
    check(tmp_path, "Swish", 24, [a], alpha=0.75, expected=[a / (1 + np.exp(-0.75 * a))])
    check(tmp_path, "Shrink", 9, [a], bias=0.25, lambd=0.5,
          expected=[np.where(a < -0.5, a + 0.25, np.where(a > 0.5, a - 0.25, 0))])
    check(tmp_path, "RotaryEmbedding", 23, [some(2, 3, 4, 8), some(2, 4, 4), some(2, 4, 4)])
    check(tmp_path, "Col2Im", 18, [some(1, 8, 9)], [np.array([4, 4]), np.array([2, 2])])
    check(tmp_path, "OneHot", 11, [np.array([1, 2, 0])], [np.array(3), np.array([0.1, 0.7])])
    check(tmp_path, "TensorScatter", 24, [some(2, 3, 4, 5), some(2, 3, 2, 5)], [np.array([1, 2])])
    check(tmp_path, "MaxUnpool", 9, [some(1, 1, 2, 2)], [np.array([[[[0, 3], [8, 10]]]])],
          kernel_shape=[2, 2], strides=[2, 2])
    check(tmp_path, "Resize", 13, [some(1, 1, 2, 2)], [None, np.array([1, 1, 2, 2], np.float32)], mode="nearest")


def test_formulas_are_not_taken_for_less(tmp_path):
    """A written gelu is one activation of float32, and stays what it is of float64."""
    x = some(3, 40)
    node, c = helper.make_node, np.array
    nodes = [node("Div", ["x", "root"], ["a"]), node("Erf", ["a"], ["b"]), node("Add", ["b", "one"], ["c"]),
             node("Mul", ["x", "c"], ["d"]), node("Mul", ["d", "half"], ["gelu"]),
             node("ReduceMean", ["gelu"], ["m"], axes=[1]), node("Sub", ["gelu", "m"], ["e"]),
             node("Mul", ["e", "e"], ["f"]), node("ReduceMean", ["f"], ["g"], axes=[1]),
             node("Add", ["g", "epsilon"], ["h"]), node("Sqrt", ["h"], ["i"]), node("Div", ["e", "i"], ["j"]),
             node("Relu", ["j"], ["y"])]
    numbers = {"root": c(2**0.5), "one": c(1.0), "half": c(0.5), "epsilon": c(1e-13)}
    graph = helper.make_graph(nodes, "formula", [info("x", x)], [helper.make_empty_tensor_value_info("y")],
                              [numpy_helper.from_array(v, n) for n, v in numbers.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, tmp_path / "formula.onnx")
    with hsched.Runtime(cpu_workers=1) as rt:
        (ours,) = rt.load(tmp_path / "formula.onnx").infer_exactly({"x": x}).values()
    y = x / 2 * (1 + ERF(x / math.sqrt(2)))
    y = (y - y.mean(1, keepdims=True)) / np.sqrt(y.var(1, keepdims=True) + 1e-13)
    np.testing.assert_allclose(ours, np.maximum(y, 0), **CLOSE)


def test_the_program(program, tmp_path):
    """Inputs that are made up, outputs in files, and each step against the reference."""
    path = tmp_path / "softmax.onnx"
    onnx.save(model_of("Softmax", 13, {"x": some(40, 3)}), path)
    program("run", path, "--output", tmp_path, "--iterations", 1)
    y = np.load(tmp_path / "y0.npy")
    assert y.dtype == np.float64 and y.shape == (40, 3)
    np.testing.assert_allclose(y.sum(1), 1, **CLOSE)
    assert y.std() > 0.1 and (y != y.astype(np.float32)).all()
    assert "softmax-double" in program("verify", path).stdout


@pytest.mark.parametrize("op, opset, shapes, attributes", [
    ("Conv", 13, [(1, 2, 5, 5), (3, 2, 3, 3)], {}),
    ("MaxPool", 13, [(1, 2, 5, 5)], {"kernel_shape": [2, 2]}),
    ("AveragePool", 13, [(1, 2, 5, 5)], {"kernel_shape": [2, 2]}),
    ("GlobalAveragePool", 13, [(1, 2, 5, 5)], {}),
    ("LRN", 13, [(1, 2, 5, 5)], {"size": 3}),
    ("GridSample", 20, [(1, 2, 5, 5), (1, 3, 3, 2)], {}),
    ("RNN", 14, [(3, 2, 4), (1, 5, 4), (1, 5, 5)], {"hidden_size": 5})])
def test_what_is_refused(op, opset, shapes, attributes, tmp_path):
    first, *rest = (some(*s) for s in shapes)
    path = tmp_path / "refused.onnx"
    onnx.save(model_of(op, opset, {"x": first}, rest, 1, attributes), path)
    with hsched.Runtime(cpu_workers=1) as rt, pytest.raises(hsched.HschedError,
                                                            match="float64.*convert the model to float32"):
        rt.load(path)


def test_a_pad_of_no_float32_is_refused(tmp_path):
    path = tmp_path / "refused.onnx"
    onnx.save(model_of("Pad", 13, {"x": some(3)}, [np.array([1, 1]), np.array(0.1)]), path)
    with hsched.Runtime(cpu_workers=1) as rt, pytest.raises(hsched.HschedError, match="no float32"):
        rt.load(path)
