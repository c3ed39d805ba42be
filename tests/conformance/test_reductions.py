"""The Reduce operators against ONNX Runtime, over shapes, axes, opsets and types."""
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

import hsched

FLOATS = ["ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
          "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"]
INTEGERS = [(op, t) for op in ("ReduceMax", "ReduceMin", "ReduceSum", "ReduceProd")
            for t in (TensorProto.INT32, TensorProto.INT64)]
BYTES = [(op, t) for op in ("ReduceMax", "ReduceMin") for t in (TensorProto.UINT8, TensorProto.INT8)]
CASES = [((2, 3, 4, 5), [1], 1), ((2, 3, 4, 5), [2, 3], 0), ((7, 33), [-1], 1), ((7, 300), [0], 0),
         ((2, 3, 70), None, 1), ((1, 5, 1, 6), [0, 2], 0)]


def build(path, op, dtype, shape, axes, keep, opset):
    inputs, constants, attributes = ["x"], [], {"keepdims": keep}
    if axes is not None and opset < (13 if op == "ReduceSum" else 18):
        attributes["axes"] = axes
    elif axes is not None:
        inputs.append("axes")
        constants.append(helper.make_tensor("axes", TensorProto.INT64, [len(axes)], axes))
    graph = helper.make_graph([helper.make_node(op, inputs, ["y"], **attributes)], "reduce",
                              [helper.make_tensor_value_info("x", dtype, shape)],
                              [helper.make_tensor_value_info("y", dtype, None)], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8),
              path)


def compare(path, x):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    (expected,) = ort.InferenceSession(str(path), options,
                                       providers=["CPUExecutionProvider"]).run(None, {"x": x})
    with hsched.Runtime(cpu_workers=1) as rt:
        (ours,) = rt.load(path).infer({"x": x}).values()
    assert ours.dtype == expected.dtype and ours.shape == expected.shape
    if expected.dtype == np.float32:
        np.testing.assert_allclose(ours, expected, rtol=2e-5, atol=1e-5)
    else:
        np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("opset", [12, 13, 18])
@pytest.mark.parametrize("op", FLOATS)
def test_floats(op, opset, tmp_path):
    rng = np.random.default_rng(5)
    for shape, axes, keep in CASES:
        path = tmp_path / "reduce.onnx"
        build(path, op, TensorProto.FLOAT, shape, axes, keep, opset)
        compare(path, rng.uniform(0.5, 1.5, shape).astype(np.float32))


@pytest.mark.parametrize("op, dtype", INTEGERS + BYTES)
def test_integers(op, dtype, tmp_path):
    rng = np.random.default_rng(6)
    low = 0 if dtype == TensorProto.UINT8 else -3
    for shape, axes, keep in CASES:
        path = tmp_path / "reduce.onnx"
        build(path, op, dtype, shape, axes, keep, 18)
        compare(path, rng.integers(low, 4, shape).astype(helper.tensor_dtype_to_np_dtype(dtype)))


@pytest.mark.parametrize("op, expected", [
    ("ReduceL1", np.abs), ("ReduceL2", np.abs), ("ReduceLogSum", np.log), ("ReduceLogSumExp", lambda x: x),
    ("ReduceMax", lambda x: x), ("ReduceMean", lambda x: x), ("ReduceSumSquare", np.square)])
def test_over_no_axes(op, expected, tmp_path):
    """As the operators' descriptions say: what is done besides the reduction is done."""
    x = np.random.default_rng(5).random((3, 4), np.float32) + np.float32(0.5)
    path = tmp_path / "noop.onnx"
    graph = helper.make_graph(
        [helper.make_node(op, ["x"], ["y"], noop_with_empty_axes=1)], "noop",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    with hsched.Runtime(cpu_workers=1) as rt:
        (ours,) = rt.load(path).infer({"x": x}).values()
    np.testing.assert_allclose(ours, expected(x), rtol=1e-6)


@pytest.mark.parametrize("op", ["ReduceMax", "ReduceMin"])
def test_bools(op, tmp_path):
    x = np.random.default_rng(5).random((3, 4)) < 0.5
    path = tmp_path / "bool.onnx"
    for axes, keep in (([1], 1), ([0], 0), (None, 0)):
        build(path, op, TensorProto.BOOL, x.shape, axes, keep, 20)
        with hsched.Runtime(cpu_workers=1) as rt:
            (ours,) = rt.load(path).infer_exactly({"x": x}).values()
        reduce = np.any if op == "ReduceMax" else np.all
        expected = reduce(x, axis=None if axes is None else tuple(axes), keepdims=bool(keep))
        np.testing.assert_array_equal(ours, expected)
