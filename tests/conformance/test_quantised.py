"""Networks of random weights that ONNX Runtime's tool has quantised, and single quantised operators, against ONNX
Runtime, which computes on integers: results may differ by a level where a number lies next to the middle of two."""
import json
import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic,
                                      quantize_static)
from onnxruntime.quantization.shape_inference import quant_pre_process

import hsched

FLOAT = TensorProto.FLOAT


@pytest.fixture(scope="module")
def runtime():
    with hsched.Runtime(cpu_workers=1) as rt:
        yield rt


class Network:
    """Nodes one after the other, each of the last one's output unless it is told of what."""

    def __init__(self, *shape, seed=1):
        self.rng = np.random.default_rng(seed)
        self.shape, self.last, self.nodes, self.constants = shape, "x", [], []

    def constant(self, *shape, scale=1.0):
        name = f"w{len(self.constants)}"
        values = self.rng.standard_normal(shape).astype(np.float32) * np.float32(scale)
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def ints(self, *values):
        name = f"w{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def add(self, op, *more, of=None, **attributes):
        out = f"t{len(self.nodes)}"
        of = [self.last] if of is None else of
        self.nodes.append(helper.make_node(op, [*of, *more], [out], name=f"n{len(self.nodes)}", **attributes))
        self.last = out
        return out

    def conv(self, channels, outputs, size=3, act=True, group=1, of=None, stride=1):
        taps = channels // group * size * size
        w = self.constant(outputs, channels // group, size, size, scale=(2 / taps) ** 0.5)
        self.add("Conv", w, self.constant(outputs, scale=0.1), of=of and [of], group=group,
                 kernel_shape=[size, size], pads=[size // 2] * 4, strides=[stride] * 2)
        return self.add("Relu") if act else self.last

    def save(self, path, opset=17):
        graph = helper.make_graph(self.nodes, "g", [helper.make_tensor_value_info("x", FLOAT, self.shape)],
                                  [helper.make_tensor_value_info(self.last, FLOAT, None)], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
        onnx.save(onnx.shape_inference.infer_shapes(model), path)


def residual():
    n = Network(1, 3, 16, 16)
    stem = n.conv(3, 16)
    n.conv(16, 16)
    n.add("Add", stem, of=[n.conv(16, 16, act=False)])
    n.add("Relu")
    n.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    n.add("GlobalAveragePool")
    n.add("Flatten")
    n.add("Gemm", n.constant(10, 16, scale=0.3), n.constant(10, scale=0.1), transB=1)
    return n


def mlp():
    n = Network(4, 40)
    n.add("Gemm", n.constant(40, 64, scale=0.2), n.constant(64, scale=0.1))
    n.add("Relu")
    n.add("MatMul", n.constant(64, 32, scale=0.2))
    n.add("Sigmoid")
    n.add("MatMul", n.constant(32, 7, scale=0.2))
    return n


def depthwise():
    n = Network(2, 8, 9, 9)
    n.conv(8, 24, size=1, act=False)
    n.add("Clip", "low", "high")
    n.constants += [numpy_helper.from_array(np.float32(v), k) for k, v in (("low", 0), ("high", 6))]
    n.conv(24, 24, group=24, stride=2)
    n.conv(24, 8, size=1, act=False)
    n.add("LeakyRelu", alpha=0.1)
    n.add("AveragePool", kernel_shape=[3, 3], strides=[1, 1])
    return n


def branches():
    n = Network(1, 4, 8, 8)
    a = n.conv(4, 6)
    b = n.conv(4, 6, size=1, of="x")
    n.add("Mul", of=[a, b])
    n.add("Concat", b, axis=1)
    n.add("Transpose", perm=[0, 2, 3, 1])
    n.add("MatMul", n.constant(12, 5, scale=0.3))
    n.add("Softmax", axis=-1)
    return n


NETWORKS = [residual, mlp, depthwise, branches]


class Calibration(CalibrationDataReader):
    def __init__(self, shape, count=8):
        rng = np.random.default_rng(5)
        self.batches = iter([{"x": rng.standard_normal(shape).astype(np.float32)} for _ in range(count)])

    def get_next(self):
        return next(self.batches, None)


def theirs(path, feed):
    """Without optimisations: each node by itself, as ONNX says it."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]).run(None, feed)


def both(runtime, path, shape, count=4):
    """What we and they give, of a few inputs."""
    model, rng = runtime.load(path), np.random.default_rng(9)
    feeds = [{"x": rng.standard_normal(shape).astype(np.float32)} for _ in range(count)]
    return (np.array([next(iter(model.infer(feed).values())) for feed in feeds]),
            np.array([theirs(path, feed)[0] for feed in feeds]))


# ---- Networks ----

@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("form", [QuantFormat.QDQ, QuantFormat.QOperator])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("activations, symmetric",
                         [(QuantType.QUInt8, False), (QuantType.QInt8, False), (QuantType.QInt8, True)])
def test_static(network, form, per_channel, activations, symmetric, runtime, tmp_path):
    n, path = network(), tmp_path / "quantised.onnx"
    n.save(tmp_path / "float.onnx")
    quant_pre_process(str(tmp_path / "float.onnx"), str(tmp_path / "ready.onnx"), skip_symbolic_shape=True)
    quantize_static(tmp_path / "ready.onnx", path, Calibration(n.shape), quant_format=form,
                    per_channel=per_channel, activation_type=activations, weight_type=QuantType.QInt8,
                    extra_options={"ActivationSymmetric": symmetric})
    ours, expected = both(runtime, path, n.shape)
    stored = {i.name: numpy_helper.to_array(i) for i in onnx.load(path).graph.initializer}
    (last,) = [node for node in onnx.load(path).graph.node if node.output[0] == n.last]
    assert last.op_type == "DequantizeLinear"
    levels = (ours - expected) / stored[last.input[1]]
    assert np.std(expected) > 0
    assert np.abs(levels).max() < 2.1 and np.mean(np.abs(levels) > 0.1) < 0.02
    # The float network gives something else: it is levels that are compared.
    assert hsched.relative_error(both(runtime, tmp_path / "float.onnx", n.shape)[0], expected) > 1e-3


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("weights", [QuantType.QInt8, QuantType.QUInt8])
def test_dynamic(network, per_channel, weights, runtime, tmp_path):
    n, path = network(), tmp_path / "quantised.onnx"
    n.save(tmp_path / "float.onnx")
    quantize_dynamic(tmp_path / "float.onnx", path, per_channel=per_channel, weight_type=weights)
    ours, expected = both(runtime, path, n.shape)
    error = hsched.relative_error(both(runtime, tmp_path / "float.onnx", n.shape)[0], expected)
    assert hsched.relative_error(ours, expected) < min(2e-3, error / 2)


def test_one_step_each(program, tmp_path):
    """Levels cost a convolution, and a sum, no step of their own."""
    n, path = residual(), tmp_path / "quantised.onnx"
    n.save(tmp_path / "float.onnx")
    for form, most in (QuantFormat.QDQ, 9), (QuantFormat.QOperator, 13):
        quantize_static(tmp_path / "float.onnx", path, Calibration(n.shape), quant_format=form,
                        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
        steps = json.loads(program("inspect", "--json", "--no-gpu", path).stdout)["steps"]
        assert len([s for s in steps if s["kind"] == "conv2d"]) == 3
        assert len(steps) <= most, [s["name"] for s in steps]


def has_products_of_bytes():
    flags = set(Path("/proc/cpuinfo").read_text().split())
    return "avx_vnni" in flags or {"avx512_vnni", "avx512f", "avx512bw", "avx512dq", "avx512vl"} <= flags


@pytest.mark.skipif(not has_products_of_bytes(), reason="no instruction for products of 8 bits")
@pytest.mark.parametrize("form", [QuantFormat.QDQ, QuantFormat.QOperator])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("network, expected", [(residual, 4), (mlp, 3), (depthwise, 2), (branches, 3)])
def test_kernels_of_8_bits(network, expected, form, per_channel, program, tmp_path):
    """All convolutions and products of levels are of 8 bits, but for depthwise ones."""
    n, path = network(), tmp_path / "quantised.onnx"
    n.save(tmp_path / "float.onnx")
    quantize_static(tmp_path / "float.onnx", path, Calibration(n.shape), quant_format=form,
                    per_channel=per_channel, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
    # By the rules, in an empty cache: what was measured may be that another is faster for so few numbers.
    printed = program("plan", "--json", "-", "--no-gpu", "--tuning", "none", path,
                      env={**os.environ, "HSCHED_CACHE_DIR": str(tmp_path)}).stdout
    steps = [s for s in json.loads(printed)["steps"] if s["kind"] in ("conv2d", "fully_connected")]
    assert len([s for s in steps if s["kernel"].startswith("own/int8/")]) == expected, steps


# ---- Operators by themselves ----

def bytes_of(rng, dtype, *shape):
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max + 1, shape).astype(dtype)


def check(runtime, tmp_path, nodes, inputs, results, opset=21, domain="", off=0, symbolic=False):
    """nodes: one as (operator, attributes), which reads all inputs, or a list of NodeProtos. Once with all inputs
    but the first as constants, once with none. off: by how much some of the levels may differ."""
    if isinstance(nodes, tuple):
        nodes = [helper.make_node(nodes[0], [n if a is not None else "" for n, a in inputs.items()], results,
                                  domain=domain, **nodes[1])]
    given = {n: np.asarray(a) for n, a in inputs.items() if a is not None}
    for constants in list(given)[1:], []:
        feed = {n: a for n, a in given.items() if n not in constants}
        infos = [helper.make_tensor_value_info(
            n, helper.np_dtype_to_tensor_dtype(a.dtype), ["N", *a.shape[1:]] if symbolic and a.shape[:1] == X.shape[:1] else a.shape)
            for n, a in feed.items()]
        outputs = [helper.make_empty_tensor_value_info(r) for r in results]
        graph = helper.make_graph(nodes, "g", infos, outputs,
                                  [numpy_helper.from_array(given[n], n) for n in constants])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset),
                                                        helper.make_opsetid("com.microsoft", 1)], ir_version=10)
        path = tmp_path / "model.onnx"
        path.write_bytes(model.SerializeToString())
        expected = theirs(path, feed)
        symbols = {"N": next(iter(feed.values())).shape[0]} if symbolic else {}
        ours = runtime.load(path, symbols=symbols).infer_exactly(feed)
        for name, value in zip(results, expected):
            assert ours[name].dtype == value.dtype and ours[name].shape == value.shape
            difference = np.abs(ours[name].astype(np.float64) - value.astype(np.float64))
            if value.dtype.kind in "iu":
                assert difference.max() <= off, (name, constants)
                assert np.mean(difference > 0) < 0.1
            else:
                np.testing.assert_allclose(ours[name], value, rtol=1e-6, atol=1e-6)


F = np.float32
SPREAD = np.array([[-1e9, -300, -1.25, -0.75, -0.25, 0.25], [0.75, 1.25, 1.75, 63.9, 127.25, 1e9]], F)


@pytest.mark.parametrize("opset", [10, 13, 19, 21])
@pytest.mark.parametrize("zero", [None, np.uint8(0), np.uint8(255), np.uint8(7), np.int8(-128), np.int8(127), np.int8(-3)])
@pytest.mark.parametrize("scale", [0.5, 0.37, 1.0])
def test_there_and_back(opset, zero, scale, runtime, tmp_path):
    """Levels as such, as another node's input, and what they stand for; twice, and by other numbers."""
    names = ["x", "s", *(["z"] if zero is not None else [])]
    nodes = [helper.make_node("QuantizeLinear", names, ["q"]),
             helper.make_node("DequantizeLinear", ["q", *names[1:]], ["y"]),
             helper.make_node("DequantizeLinear", ["q", *names[1:]], ["again"]),
             helper.make_node("DequantizeLinear", ["q", "other", *names[2:]], ["z_other"]),
             helper.make_node("Transpose", ["q"], ["moved"], perm=[1, 0]),
             helper.make_node("DequantizeLinear", ["moved", *names[1:]], ["moved_back"]),
             helper.make_node("Cast", ["moved"], ["cast"], to=FLOAT)]
    inputs = {"x": SPREAD, "s": F(scale), "z": zero, "other": F(0.25)}
    for results in ["y"], ["again", "q"], ["y", "again", "z_other", "moved_back"], ["cast", "moved_back"], ["moved"]:
        check(runtime, tmp_path, nodes, inputs, results, opset=opset)


@pytest.mark.parametrize("axis", [0, 1, -1, -2, 2])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_scales_along_an_axis(axis, dtype, runtime, tmp_path):
    rng = np.random.default_rng(2)
    shape = (3, 4, 5)
    size = shape[axis]
    x, s, z = (rng.standard_normal(shape) * 40).astype(F), rng.uniform(0.1, 1, size).astype(F), bytes_of(rng, dtype, size)
    check(runtime, tmp_path, ("QuantizeLinear", {"axis": axis}), {"x": x, "s": s, "z": z}, ["y"])
    check(runtime, tmp_path, ("DequantizeLinear", {"axis": axis}), {"x": bytes_of(rng, dtype, *shape), "s": s, "z": z}, ["y"])
    check(runtime, tmp_path, ("DequantizeLinear", {"axis": axis}),
          {"x": rng.integers(-99999, 99999, shape).astype(np.int32), "s": s}, ["y"])


@pytest.mark.parametrize("axis, block", [(0, 2), (1, 3), (2, 5), (-1, 2), (1, 4)])
def test_scales_of_blocks(axis, block, runtime, tmp_path):
    rng = np.random.default_rng(3)
    shape = (4, 6, 5)
    few = [-(-n // block) if d == axis % 3 else n for d, n in enumerate(shape)]
    s, z = rng.uniform(0.1, 1, few).astype(F), bytes_of(rng, np.uint8, *few)
    x = (rng.standard_normal(shape) * 40).astype(F)
    check(runtime, tmp_path, ("QuantizeLinear", {"axis": axis, "block_size": block}), {"x": x, "s": s, "z": z}, ["y"])
    check(runtime, tmp_path, ("DequantizeLinear", {"axis": axis, "block_size": block}),
          {"x": bytes_of(rng, np.uint8, *shape), "s": s, "z": z}, ["y"])


@pytest.mark.parametrize("x", [SPREAD, np.zeros((2, 3), F), np.abs(SPREAD), -np.abs(SPREAD), np.array(-2.5, F),
                               np.random.default_rng(4).standard_normal((2, 3, 4, 5)).astype(F)])
def test_dynamic_scale(x, runtime, tmp_path):
    check(runtime, tmp_path, ("DynamicQuantizeLinear", {}), {"x": x}, ["y", "scale", "zero"])


MATRICES = [((3, 4), (4, 5)), ((2, 3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)), ((2, 2, 3, 4), (2, 4, 5)), ((4,), (4, 5)),
            ((1, 2000), (2000, 3)), ((2, 1, 900), (900, 3))]


@pytest.mark.parametrize("shapes", MATRICES)
@pytest.mark.parametrize("types", [(np.uint8, np.uint8), (np.uint8, np.int8), (np.int8, np.int8)])
def test_integer_matrices(shapes, types, runtime, tmp_path):
    """Exact, of the largest numbers as well, where float32 does not hold their sum."""
    rng = np.random.default_rng(5)
    for largest in False, True:
        a, b = (np.full(s, np.iinfo(t).max, t) if largest else bytes_of(rng, t, *s) for s, t in zip(shapes, types))
        az, bz = types[0](3), types[1](0 if types[1] == np.int8 and types[0] == np.int8 else 5)
        check(runtime, tmp_path, ("MatMulInteger", {}), {"a": a, "b": b, "az": az, "bz": bz}, ["y"])
        check(runtime, tmp_path, ("MatMulInteger", {}), {"a": a, "b": b}, ["y"])
        if b.ndim == 2 and a.ndim == 2:
            columns = bytes_of(rng, types[1], b.shape[-1])
            check(runtime, tmp_path, ("MatMulInteger", {}), {"a": a, "b": b, "az": az, "bz": columns}, ["y"])


CONVS = [((1, 3, 7, 7), (4, 3, 3, 3), {"pads": [1, 1, 1, 1]}), ((2, 4, 8, 6), (6, 2, 3, 3), {"group": 2, "strides": [2, 2]}),
         ((1, 5, 9, 9), (5, 1, 3, 3), {"group": 5, "pads": [1, 1, 1, 1]}), ((1, 4, 11), (3, 4, 3), {"auto_pad": "SAME_UPPER"}),
         ((1, 200, 4, 4), (2, 200, 3, 3), {"pads": [1, 1, 1, 1]}), ((1, 3, 9, 9), (2, 3, 3, 3), {"dilations": [2, 2]})]


@pytest.mark.parametrize("shape, kernel, attributes", CONVS)
@pytest.mark.parametrize("zero", [0, 120])
def test_convolutions(shape, kernel, attributes, zero, runtime, tmp_path):
    rng = np.random.default_rng(6)
    x, w = bytes_of(rng, np.uint8, *shape), bytes_of(rng, np.uint8, *kernel)
    xz, wz = np.uint8(zero), np.uint8(127)
    check(runtime, tmp_path, ("ConvInteger", attributes), {"x": x, "w": w, "xz": xz, "wz": wz}, ["y"])
    outputs, reach = kernel[0], np.prod(kernel[1:]) ** 0.5 * 40
    for scales in F(0.02), rng.uniform(0.01, 0.03, outputs).astype(F):
        for bias in None, rng.integers(-30000, 30000, outputs).astype(np.int32), np.full(outputs, 2**30, np.int32):
            ws = rng.integers(-128, 128, kernel).astype(np.int8)
            wzs = np.zeros(scales.shape, np.int8)
            check(runtime, tmp_path, ("QLinearConv", attributes),
                  {"x": x, "xs": F(0.05), "xz": xz, "w": ws, "ws": scales, "wz": wzs, "ys": F(reach * 1e-3), "yz": np.uint8(101),
                   "b": bias}, ["y"], off=1)


@pytest.mark.parametrize("shapes", MATRICES[:4])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_quantised_matrices(shapes, dtype, runtime, tmp_path):
    rng = np.random.default_rng(7)
    a, b = bytes_of(rng, dtype, *shapes[0]), bytes_of(rng, dtype, *shapes[1])
    check(runtime, tmp_path, ("QLinearMatMul", {}),
          {"a": a, "as": F(0.02), "az": dtype(3), "b": b, "bs": F(0.03), "bz": dtype(9), "ys": F(0.13), "yz": dtype(50)}, ["y"],
          off=1)


@pytest.mark.parametrize("trans_a, trans_b", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("form", ["levels", "floats", "plain", "columns"])
def test_gemm(trans_a, trans_b, form, runtime, tmp_path):
    rng = np.random.default_rng(8)
    a, b = bytes_of(rng, np.uint8, 3, 40), bytes_of(rng, np.int8, 40, 6)
    inputs = {"a": a.T.copy() if trans_a else a, "as": F(0.02), "az": np.uint8(100), "b": b.T.copy() if trans_b else b,
              "bs": rng.uniform(0.02, 0.03, 6).astype(F) if form == "columns" else F(0.03),
              "bz": np.zeros(6, np.int8) if form == "columns" else np.int8(0),
              "c": None if form == "plain" else rng.integers(-9000, 9000, 6).astype(np.int32),
              "ys": None if form == "floats" else F(0.7), "yz": None if form == "floats" else np.uint8(120)}
    while list(inputs.values())[-1] is None:
        inputs.popitem()
    check(runtime, tmp_path, ("QGemm", {"transA": trans_a, "transB": trans_b, "alpha": 0.5}), inputs, ["y"],
          domain="com.microsoft", off=1)


X = bytes_of(np.random.default_rng(10), np.uint8, 2, 3, 8, 8)
ONE = {"x": X, "xs": F(0.04), "xz": np.uint8(120), "ys": F(0.03), "yz": np.uint8(99)}
TWO = {"a": X, "as": F(0.04), "az": np.uint8(120), "b": X[:, ::-1].copy(), "bs": F(0.03), "bz": np.uint8(99),
       "ys": F(0.05), "yz": np.uint8(128)}


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize("op, attributes, inputs", [
    ("QLinearAdd", {}, TWO), ("QLinearAdd", {}, TWO | {"b": X[0, :, :1, :1].copy()}), ("QLinearMul", {}, TWO),
    ("QLinearMul", {}, TWO | {"b": np.uint8(3)}),
    ("QLinearSigmoid", {}, ONE), ("QLinearLeakyRelu", {"alpha": 0.2}, ONE),
    ("QLinearAveragePool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2]}, ONE),
    ("QLinearAveragePool", {"kernel_shape": [2, 2], "count_include_pad": 1, "pads": [1, 0, 1, 0]}, ONE),
    ("QLinearAveragePool", {"kernel_shape": [3, 2], "channels_last": 1}, ONE),
    ("QLinearGlobalAveragePool", {}, ONE), ("QLinearGlobalAveragePool", {"channels_last": 1}, ONE),
    ("QLinearSoftmax", {"axis": -1, "opset": 13}, ONE | {"ys": F(1 / 256), "yz": np.uint8(0)}),
    ("QLinearSoftmax", {"axis": 3, "opset": 11}, ONE | {"ys": F(1 / 256), "yz": np.uint8(0)}),
    ("QLinearWhere", {}, {"c": X[:, :1] > 99} | TWO | {"zs": F(0.04), "zz": np.uint8(100)}),
])
def test_of_onnxruntime(op, attributes, inputs, symbolic, runtime, tmp_path):
    if op == "QLinearWhere":
        inputs = dict(zip(["c", "x", "xs", "xz", "y", "ys", "yz", "zs", "zz"],
                          [X[:, :1] > 99, X, F(0.04), np.uint8(120), X[:, ::-1].copy(), F(0.03), np.uint8(99), F(0.05),
                           np.uint8(128)]))
    check(runtime, tmp_path, (op, attributes), inputs, ["result"], domain="com.microsoft", off=1, symbolic=symbolic)


@pytest.mark.parametrize("axis", [1, -1])
def test_concat(axis, runtime, tmp_path):
    inputs = {"a": X, "ys": F(0.05), "yz": np.uint8(128), "as": F(0.04), "az": np.uint8(120), "b": X[:, ::-1].copy(),
              "bs": F(0.05), "bz": np.uint8(128)}
    node = helper.make_node("QLinearConcat", ["ys", "yz", "a", "as", "az", "b", "bs", "bz"], ["y"],
                            domain="com.microsoft", axis=axis)
    check(runtime, tmp_path, [node], inputs, ["y"], off=1)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_max_pool_of_bytes(dtype, runtime, tmp_path):
    rng = np.random.default_rng(11)
    window = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
    check(runtime, tmp_path, ("MaxPool", window), {"x": bytes_of(rng, dtype, 1, 3, 7, 7)}, ["y"])
    nodes = [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]), helper.make_node("MaxPool", ["q"], ["p"], **window),
             helper.make_node("DequantizeLinear", ["p", "s", "z"], ["y"]),
             helper.make_node("DequantizeLinear", ["p", "t", "z"], ["other"])]
    x = rng.standard_normal((1, 3, 7, 7)).astype(F) * 20
    for results in ["y"], ["p"], ["other", "y", "p"]:
        check(runtime, tmp_path, nodes, {"x": x, "s": F(0.3), "z": dtype(5), "t": F(0.7)}, results)


@pytest.mark.parametrize("nodes, reason", [
    ([("QuantizeLinear", ["x", "s", "h"], {})], "uint16|UINT16"),
    ([("QuantizeLinear", ["x", "s"], {"output_dtype": TensorProto.INT4})], "INT4"),
    ([("QuantizeLinear", ["x", "blocks"], {"axis": 1, "block_size": 2**62})], "blocks"),
    ([("QuantizeLinear", ["x", "blocks"], {"axis": 1, "block_size": 1})], "blocks"),
    ([("QuantizeLinear", ["x", "several"], {"axis": 1})], "broadcast|fit|shapes"),
    ([("QuantizeLinear", ["x", "several"], {"axis": 2})], "axis"),
    ([("MatMulInteger", ["b", "none"], {})], "empty"),
    ([("MatMulInteger", ["b"], {})], "missing"),
    ([("QLinearConv", ["b", "s", "u", "b", "s", "u", "s"], {})], "dimensions"),
])
def test_refused(nodes, reason, runtime, tmp_path):
    graph = helper.make_graph(
        [helper.make_node(op, inputs, ["y"], **attributes) for op, inputs, attributes in nodes], "g",
        [helper.make_tensor_value_info("x", FLOAT, [2, 3]), helper.make_tensor_value_info("b", TensorProto.UINT8, [2, 3])],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(value, name) for name, value in {
            "s": F(0.5), "h": np.uint16(3), "u": np.uint8(3), "blocks": np.ones((2, 2), F), "several": np.ones(2, F),
            "none": np.ones((3, 0), np.uint8)}.items()])
    path = tmp_path / "model.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)],
                                       ir_version=10).SerializeToString())
    with pytest.raises(hsched.HschedError, match=reason):
        runtime.load(path)
