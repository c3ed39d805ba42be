"""Constants of a model: their types and values stay what they are; what is no valid ONNX is said to be so."""
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

import hsched

RNG = np.random.default_rng(12)


def wide(*shape):
    return RNG.standard_normal(shape)


def model_of(op, opset, feed, constants, inputs, attributes):
    def info(name, array):
        return helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
    graph = helper.make_graph(
        [helper.make_node(op, inputs, ["y"], **attributes)], "constants",
        [info(n, a) for n, a in feed.items()], [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(a, n) for n, a in constants.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def ours(model, feed, tmp_path):
    path = tmp_path / "constants.onnx"
    onnx.save(model, path)
    with hsched.Runtime(cpu_workers=1) as runtime:
        return runtime.load(path).infer_exactly(feed)["y"]


@pytest.mark.parametrize("op, opset, feed, constants, inputs, attributes", [
    ("GatherElements", 13, {"i": np.array([[1, 0]])}, {"c": wide(2, 2)}, "ci", {"axis": 1}),
    ("Gather", 13, {"i": np.array([1, 0, 0])}, {"c": wide(3, 2)}, "ci", {}),
    ("Concat", 13, {"x": wide(2, 3)}, {"c": wide(1, 3)}, "xc", {"axis": 0}),
    ("Where", 16, {"b": np.array([True, False])}, {"c": wide(2), "d": wide(1)}, "bcd", {}),
    ("ScatterElements", 13, {"x": wide(4)}, {"i": np.array([2, 0]), "c": wide(2)}, "xic", {}),
    ("Identity", 13, {}, {"c": wide(3)}, "c", {}),
    # One float type beside another one.
    ("Pow", 15, {"x": np.array([1.5, 4], "float32")}, {"c": np.array([2.0, 0.5])}, "xc", {}),
    ("Pow", 15, {"x": np.array([4, 9], "int32")}, {"c": np.array([0.5, 2.0])}, "xc", {}),
    ("Relu", 14, {}, {"c": np.array([np.nan, -1, 2], "float32")}, "c", {}),
])
def test_stay_what_they_are(op, opset, feed, constants, inputs, attributes, tmp_path):
    model = model_of(op, opset, feed, constants, list(inputs), attributes)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = session.run(["y"], feed)[0]
    found = ours(model, feed, tmp_path)
    assert found.dtype == expected.dtype and found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_parameters_wider_than_x(tmp_path):
    x, mean, variance = wide(1, 2, 3).astype(np.float32), wide(2), wide(2)**2 + 0.5
    constants = {"s": np.ones(2, np.float32), "b": np.zeros(2, np.float32), "m": mean, "v": variance}
    model = model_of("BatchNormalization", 15, {"x": x}, constants, list("xsbmv"), {"epsilon": 0.0})
    expected = (x - mean[:, None]) / np.sqrt(variance[:, None])
    found = ours(model, {"x": x}, tmp_path)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5)


INTS, FLOATS = np.array([1, 2]), np.array([1, 2], "float32")


@pytest.mark.parametrize("op, feed, constants, inputs, attributes, reason", [
    ("Mean", {"x": INTS}, {"c": INTS}, "xc", {}, "its inputs are integers"),
    ("And", {}, {"c": FLOATS, "d": FLOATS}, "cd", {}, "its inputs are no bools"),
    ("HardSigmoid", {"x": FLOATS}, {}, "x", {"alpha": float("nan")}, "give numbers"),
    ("GRU", {"x": wide(1, 1, 1).astype("float32")}, {}, "x", {"hidden_size": 1}, "weights"),
])
def test_refused(op, feed, constants, inputs, attributes, reason, tmp_path):
    model = model_of(op, 14, feed, constants, list(inputs), attributes)
    with pytest.raises(hsched.HschedError, match=f"^HSCHED_ERROR_FORMAT.*{reason}"):
        ours(model, feed, tmp_path)
