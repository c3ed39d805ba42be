"""Normalisations and LogSoftmax against ONNX Runtime, or the formula where it has none."""
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

import hsched

RNG = np.random.default_rng(8)


def run(tmp_path, op, opset, x, weights=(), ours_only=False, **attributes):
    path = tmp_path / "norm.onnx"
    names = [f"w{k}" for k in range(len(weights))]
    graph = helper.make_graph(
        [helper.make_node(op, ["x", *names], ["y"], **attributes)], "norm",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(w, n) for w, n in zip(weights, names)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8),
              path)
    with hsched.Runtime(cpu_workers=1) as rt:
        (ours,) = rt.load(path).infer({"x": x}).values()
    if ours_only:
        return ours
    options = ort.SessionOptions()
    options.log_severity_level = 3
    (expected,) = ort.InferenceSession(str(path), options,
                                       providers=["CPUExecutionProvider"]).run(None, {"x": x})
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=2e-5)
    return ours


def floats(*shape, mean=0):
    return (RNG.standard_normal(shape) + mean).astype(np.float32)


@pytest.mark.parametrize("axis", [-1, 1, 2])
@pytest.mark.parametrize("shifted", [0, 1])
def test_layer_norm(axis, shifted, tmp_path):
    x = floats(2, 5, 48, mean=3)
    weights = [floats(*x.shape[axis:]) for _ in range(1 + shifted)]
    run(tmp_path, "LayerNormalization", 17, x, weights, axis=axis, epsilon=1e-3)


def test_a_large_mean_costs_no_precision(tmp_path):
    x = floats(4, 64, mean=1000)
    y = run(tmp_path, "LayerNormalization", 17, x, [np.ones(64, np.float32)], ours_only=True)
    z = x.astype(np.float64)
    z = (z - z.mean(1, keepdims=True)) / np.sqrt(z.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(y, z, atol=1e-3)


@pytest.mark.parametrize("shape", [(2, 6, 5, 7), (1, 4, 9), (2, 3, 2, 3, 4)])
def test_instance_norm(shape, tmp_path):
    run(tmp_path, "InstanceNormalization", 13, floats(*shape, mean=2),
        [floats(shape[1]), floats(shape[1])], epsilon=1e-3)


@pytest.mark.parametrize("opset", [18, 21])
@pytest.mark.parametrize("shape", [(2, 6, 5, 7), (1, 12, 9)])
def test_group_norm(opset, shape, tmp_path):
    n = 3 if opset == 18 else shape[1]
    x, scale, shift = floats(*shape, mean=2), floats(n), floats(n)
    y = run(tmp_path, "GroupNormalization", opset, x, [scale, shift], ours_only=True, num_groups=3)
    z = x.reshape(shape[0], 3, -1).astype(np.float64)
    z = (z - z.mean(2, keepdims=True)) / np.sqrt(z.var(2, keepdims=True) + 1e-5)
    each = shape[1] // n
    scale, shift = (np.repeat(w, each).reshape(-1, *[1] * (len(shape) - 2)) for w in (scale, shift))
    np.testing.assert_allclose(y, z.reshape(shape) * scale + shift, atol=1e-4)


@pytest.mark.parametrize("axes", [None, [1], [-1, 0]])
def test_mean_variance_norm(axes, tmp_path):
    attributes = {} if axes is None else {"axes": axes}
    run(tmp_path, "MeanVarianceNormalization", 13, floats(2, 3, 5, 7, mean=2), **attributes)


@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (4, 6)])
def test_batch_norm_of_computed_statistics(shape, tmp_path):
    """The statistics come from a second input, so none of them is constant."""
    path, c = tmp_path / "norm.onnx", shape[1]
    nodes = [helper.make_node("Abs", ["s"], ["v"]),
             helper.make_node("BatchNormalization", ["x", "s", "s", "s", "v"], ["y"])]
    graph = helper.make_graph(
        nodes, "norm", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape),
                        helper.make_tensor_value_info("s", TensorProto.FLOAT, [c])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8), path)
    feed = {"x": floats(*shape), "s": floats(c, mean=2)}
    with hsched.Runtime(cpu_workers=1) as rt:
        (ours,) = rt.load(path).infer(feed).values()
    (expected,) = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, feed)
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_lp_norm(p, axis, tmp_path):
    run(tmp_path, "LpNormalization", 13, floats(3, 4, 5, mean=1), p=p, axis=axis)


@pytest.mark.parametrize("magnitude", [1e-40, 1e-30, 1e-20, 1e20, 1e38])
def test_squares_of_an_lp_norm_stay_in_range(magnitude, tmp_path):
    x = floats(3, 8) * np.float32(magnitude) / 4
    x[1] = 0
    y = run(tmp_path, "LpNormalization", 13, x, ours_only=True, p=2, axis=-1)
    z = x.astype(np.float64)
    norm = np.sqrt((z * z).sum(1, keepdims=True))
    np.testing.assert_allclose(y, z / np.where(norm == 0, 1, norm), rtol=1e-5)


@pytest.mark.parametrize("opset", [11, 13])
@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_log_softmax(opset, axis, tmp_path):
    run(tmp_path, "LogSoftmax", opset, 200 * floats(3, 4, 50), axis=axis)


def test_log_softmax_keeps_its_digits_at_an_offset(tmp_path):
    x = floats(8, 32, mean=1e4)
    y = run(tmp_path, "LogSoftmax", 13, x, ours_only=True)
    z = x.astype(np.float64) - x.max(1, keepdims=True)
    np.testing.assert_allclose(y, z - np.log(np.exp(z).sum(1, keepdims=True)), atol=1e-5)


def formula_of_a_layer(nodes, x, out):
    """Layer norm as exporters write it before opset 17, with gelu behind it."""
    def add(op, *inputs, output=None, **attributes):
        output = output or f"n{len(nodes)}"
        nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output
    centred = add("Sub", x, add("ReduceMean", x, axes=[-1]))
    variance = add("ReduceMean", add("Pow", centred, "two"), axes=[-1])
    y = add("Div", centred, add("Sqrt", add("Add", variance, "epsilon")))
    y = add("Add", add("Mul", y, "scale"), "bias")
    gate = add("Add", add("Erf", add("Div", y, "root")), "one")
    add("Mul", add("Mul", y, gate), "half", output=out)


def test_formulas_of_older_exporters(tmp_path):
    path, nodes = tmp_path / "formula.onnx", []
    formula_of_a_layer(nodes, "x", "y")
    numbers = {"two": 2, "epsilon": 1e-12, "root": np.sqrt(2), "one": 1, "half": 0.5,
               "scale": floats(48), "bias": floats(48)}
    graph = helper.make_graph(
        nodes, "formula", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 5, 48])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(v, np.float32), n) for n, v in numbers.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    feed = {"x": floats(2, 5, 48, mean=3)}
    with hsched.Runtime(cpu_workers=1) as rt:
        (ours,) = rt.load(path).infer(feed).values()
    (expected,) = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, feed)
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("n", [1, 15, 16, 17, 49, 63, 64, 65, 197, 1000, 1025])
@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax"])
def test_softmax_of_rows_of_any_length(op, n, tmp_path):
    x = 20 * floats(3, n)
    x[1, n // 2] = -np.inf
    run(tmp_path, op, 13, x, ours_only=n == 1)  # which is infinite then: a NaN, or not
