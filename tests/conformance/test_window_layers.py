"""Convolution and pooling of 1 to 3 spatial dimensions, random ones, against ONNX Runtime."""
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

import hsched

SEEDS = range(40)


def compare(tmp_path, node, constants, x, opset=19, tolerance=1e-4):
    """Runs one node both ways; False if ONNX Runtime refuses it."""
    graph = helper.make_graph(
        [node], "one", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    path = tmp_path / "one.onnx"
    onnx.save(model, path)
    try:
        session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        (expected,) = session.run(["y"], {"x": x})
    except ort.capi.onnxruntime_pybind11_state.Fail:
        return False
    with hsched.Runtime(cpu_workers=1) as rt:
        ours = rt.load(path).infer({"x": x})["y"]
    assert ours.shape == expected.shape, node
    assert np.abs(ours - expected).max() <= tolerance * max(1, np.abs(expected).max()), node
    return True


def shape_of(rng, spatial):
    return [int(rng.integers(1, 3)), int(rng.integers(1, 5))] + \
        [int(rng.integers(4, 9)) for _ in range(spatial)]


def numbers(rng, low, high, count):
    return [int(n) for n in rng.integers(low, high + 1, count)]


@pytest.mark.parametrize("seed", SEEDS)
def test_convolution(seed, tmp_path):
    rng = np.random.default_rng(seed)
    spatial = 1 + seed % 3
    shape = shape_of(rng, spatial)
    groups = int(rng.choice([1, shape[1]]))
    kernel = numbers(rng, 1, 3, spatial)
    weights = rng.standard_normal(
        [groups * int(rng.integers(1, 4)), shape[1] // groups] + kernel).astype(np.float32)
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], group=groups,
                            strides=numbers(rng, 1, 2, spatial),
                            dilations=numbers(rng, 1, 2, spatial),
                            pads=numbers(rng, 0, 2, 2 * spatial))
    bias = rng.standard_normal(len(weights)).astype(np.float32)
    x = rng.standard_normal(shape).astype(np.float32)
    assert compare(tmp_path, node, {"w": weights, "b": bias}, x)


@pytest.mark.parametrize("seed", SEEDS)
def test_transposed_convolution(seed, tmp_path):
    rng = np.random.default_rng(seed)
    spatial = 1 + seed % 3
    shape = shape_of(rng, spatial)
    groups = int(rng.choice([1, shape[1]]))
    kernel, strides = numbers(rng, 1, 4, spatial), numbers(rng, 1, 3, spatial)
    if seed % 5 == 4:  # SAME: with less, ONNX Runtime does not keep to stride times the size
        kernel = [max(k, s) for k, s in zip(kernel, strides)]
    weights = rng.standard_normal(
        [shape[1], int(rng.integers(1, 4))] + kernel).astype(np.float32)
    attributes = {"group": groups, "strides": strides,
                  "dilations": numbers(rng, 1, 2, spatial),
                  "output_padding": [int(rng.integers(0, s)) for s in strides]}
    if seed % 5 == 4:
        attributes["auto_pad"] = str(rng.choice(["SAME_UPPER", "SAME_LOWER"]))
        attributes["output_padding"] = [0] * spatial
    elif seed % 5 == 3:
        attributes["output_shape"] = [(size - 1) * s + 1 for size, s in zip(shape[2:], strides)]
        attributes["output_padding"] = [0] * spatial
    else:
        attributes["pads"] = numbers(rng, 0, 1, 2 * spatial)
    node = helper.make_node("ConvTranspose", ["x", "w", "b"], ["y"], **attributes)
    bias = rng.standard_normal(weights.shape[1] * groups).astype(np.float32)
    x = rng.standard_normal(shape).astype(np.float32)
    assert compare(tmp_path, node, {"w": weights, "b": bias}, x)


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool", "LpPool"])
@pytest.mark.parametrize("seed", SEEDS)
def test_pooling(op, seed, tmp_path):
    rng = np.random.default_rng(seed)
    spatial = 1 + seed % 3
    kernel = numbers(rng, 2, 3, spatial)
    attributes = {"kernel_shape": kernel, "strides": numbers(rng, 1, 2, spatial),
                  "pads": [int(rng.integers(0, k)) for k in kernel + kernel]}
    if op == "LpPool":
        attributes["p"] = int(rng.integers(1, 4))
    else:
        attributes["ceil_mode"] = int(rng.integers(0, 2))
    if op == "AveragePool":
        attributes["count_include_pad"] = int(rng.integers(0, 2))
        if attributes["count_include_pad"]:  # windows that hang over: versions disagree
            attributes["ceil_mode"] = 0
    node = helper.make_node(op, ["x"], ["y"], **attributes)
    x = rng.standard_normal(shape_of(rng, spatial)).astype(np.float32)
    assert compare(tmp_path, node, {}, x)


@pytest.mark.parametrize("seed", SEEDS)
def test_large_windows(seed, tmp_path):
    """The largest along one axis after the other, of as many channels as go at a time and of more."""
    rng = np.random.default_rng(seed)
    kernel = numbers(rng, 4, 9, 2)
    node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=kernel, strides=numbers(rng, 1, 2, 2),
                            dilations=[1, int(rng.integers(1, 3))], ceil_mode=int(rng.integers(0, 2)),
                            pads=[int(rng.integers(0, k)) for k in kernel + kernel])
    shape = [int(rng.integers(1, 3)), int(rng.choice([3, 64, 150]))] + numbers(rng, 17, 40, 2)
    x = rng.standard_normal(shape).astype(np.float32)
    assert compare(tmp_path, node, {}, x, tolerance=0)


def test_large_window_with_nan(tmp_path):
    x = np.random.default_rng(5).standard_normal((1, 70, 12, 13)).astype(np.float32)
    x[:, ::3, 2::7, 4::6] = np.nan
    node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[5, 5])
    graph = helper.make_graph([node], "one", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    path = tmp_path / "one.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9), path)
    with hsched.Runtime(cpu_workers=1) as rt:
        ours = rt.load(path).infer({"x": x})["y"]
    windows = np.lib.stride_tricks.sliding_window_view(x, (5, 5), (2, 3))
    np.testing.assert_array_equal(ours, windows.max((4, 5)))
