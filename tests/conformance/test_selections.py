"""Operators that choose by places, against ONNX Runtime: one-hot, triangles, reversed sequences."""
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

import hsched

RNG = np.random.default_rng(9)
ANY_TYPE = ["float32", "float64", "int64", "int32", "uint8", "bool"]


def model_of(op, opset, feed, constants, outputs, attributes):
    """A node that reads x, then the constants or inputs of the other names, in the order given."""
    names = [*feed, *constants]
    names.sort(key=lambda n: "xabcd".index(n))

    def info(name, array):
        return helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
    graph = helper.make_graph(
        [helper.make_node(op, names, outputs, **attributes)], "selection",
        [info(n, a) for n, a in feed.items()],
        [helper.make_empty_tensor_value_info(n) for n in outputs],
        [numpy_helper.from_array(a, n) for n, a in constants.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def run(tmp_path, op, opset, feed, constants=None, outputs=("y",), expected=None, **attributes):
    model = model_of(op, opset, feed, constants or {}, list(outputs), attributes)
    path = tmp_path / "selection.onnx"
    onnx.save(model, path)
    if expected is None:
        session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        expected = session.run(list(outputs), feed)
    with hsched.Runtime(cpu_workers=1) as rt:
        found = rt.load(path).infer_exactly(feed)
    for name, value in zip(outputs, expected):
        assert found[name].dtype == value.dtype and found[name].shape == value.shape
        np.testing.assert_array_equal(found[name], value)


def refused(tmp_path, reason, op, opset, feed, constants=None, **attributes):
    path = tmp_path / "refused.onnx"
    onnx.save(model_of(op, opset, feed, constants or {}, ["y"], attributes), path)
    with hsched.Runtime(cpu_workers=1) as rt, pytest.raises(hsched.HschedError, match=reason):
        rt.load(path)


def some(dtype, *shape):
    if dtype == "bool":
        return RNG.random(shape) < 0.5
    return (RNG.standard_normal(shape) * 100).astype(dtype)


@pytest.mark.parametrize("opset", [9, 11])
@pytest.mark.parametrize("axis", [-1, 0, 1, 2])
@pytest.mark.parametrize("kind, values", [("int64", "float32"), ("int32", "int64"),
                                          ("float32", "float32")])
def test_one_hot(opset, axis, kind, values, tmp_path):
    x = RNG.integers(-9, 9, (3, 5)).astype(kind)
    places = np.where(x < 0, x + 7, x)
    expected = np.moveaxis(np.where(places[..., None] == np.arange(7), 5, 2), -1, axis)
    run(tmp_path, "OneHot", opset, {"x": x},
        {"a": np.array(7, "int64"), "b": np.array([2, 5], values)},
        expected=[expected.astype(values)], axis=axis)


def test_one_hot_of_computed_values(tmp_path):
    x, b = RNG.integers(-4, 4, (2, 3, 2)), some("float32", 2)
    run(tmp_path, "OneHot", 11, {"x": x, "b": b}, {"a": np.array([4], "int64")}, axis=1)
    refused(tmp_path, "known while loading", "OneHot", 11, {"x": x, "a": np.array(4), "b": b})


@pytest.mark.parametrize("opset", [1, 11, 13])
@pytest.mark.parametrize("axis", [None, 0, 1, 2])
def test_hardmax(opset, axis, tmp_path):
    x = RNG.integers(0, 5, (3, 4, 5)).astype(np.float32)  # several are the largest
    run(tmp_path, "Hardmax", opset, {"x": x}, **({} if axis is None else {"axis": axis}))


@pytest.mark.parametrize("dtype", ANY_TYPE)
@pytest.mark.parametrize("upper", [0, 1])
def test_triangles(dtype, upper, tmp_path):
    for shape in [(4, 6), (6, 4), (2, 3, 5, 5)]:
        x = some(dtype, *shape)
        for k in [None, -2, 0, 3, 40]:
            expected = (np.triu if upper else np.tril)(x, k or 0).astype(dtype)
            constants = {} if k is None else {"a": np.array(k, "int64")}
            run(tmp_path, "Trilu", 14, {"x": x}, constants, expected=[expected], upper=upper)
            if k is not None:
                run(tmp_path, "Trilu", 14, {"x": x, **constants}, expected=[expected], upper=upper)


def test_what_a_triangle_leaves_out_is_zero(tmp_path):
    x = np.full((3, 3), np.nan, np.float32)
    x[0] = np.inf
    expected = np.where(np.tri(3, dtype=bool), x, np.float32(0))
    run(tmp_path, "Trilu", 14, {"x": x}, expected=[expected], upper=0)


@pytest.mark.parametrize("constant", [0, 1])
@pytest.mark.parametrize("time", [0, 1])
@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8"])
def test_reversed_sequences(constant, time, dtype, tmp_path):
    x = some(dtype, *((7, 4, 3) if time == 0 else (4, 7, 3)))
    lengths = {"a": np.array([7, 1, 4, 0 if constant else 2], "int64")}
    expected = x.copy()
    for n, length in enumerate(lengths["a"]):
        if time == 0:
            expected[:length, n] = x[:length, n][::-1]
        else:
            expected[n, :length] = x[n, :length][::-1]
    run(tmp_path, "ReverseSequence", 10, {"x": x, **({} if constant else lengths)},
        lengths if constant else {}, expected=[expected], time_axis=time, batch_axis=1 - time)


@pytest.mark.parametrize("kind", [None, "float32", "int64", "bool"])
def test_diagonals(kind, tmp_path):
    x = some("int32", 4, 6)
    attributes = {} if kind is None else {
        "dtype": helper.np_dtype_to_tensor_dtype(np.dtype(kind))}
    for k in [-1, 0, 5, 9]:
        run(tmp_path, "EyeLike", 9, {"x": x}, expected=[np.eye(4, 6, k).astype(kind or "int32")],
            k=k, **attributes)


@pytest.mark.parametrize("op, opset, constants, attributes", [
    ("ScatterElements", 16, {"a": np.array([[1, -1, 0], [0, 1, 1]]),
                             "b": np.array([[10, 20, 30], [1, 2, 3]])}, {"axis": 1}),
    ("ScatterElements", 16, {"a": np.array([[1, -1, 0]]), "b": np.array([[10, 20, 30]])},
     {"axis": 0, "reduction": "add"}),
    ("ScatterND", 16, {"a": np.array([[0, -1], [2, 2]]), "b": np.array([70, 80])}, {}),
    ("ScatterND", 16, {"a": np.array([[[1]]]), "b": np.array([[[7, 8, 9, 6]]])}, {}),
    ("GatherElements", 13, {"a": np.array([[1, -1, 0, 2]])}, {"axis": 0}),
    ("GatherND", 13, {"a": np.array([[[0, -1], [2, 2]]])}, {}),
    ("GatherND", 13, {"a": np.array([[1], [-1], [0]])}, {"batch_dims": 1}),
    ("Trilu", 14, {"a": np.array(1)}, {"upper": 0}),
])
def test_of_constants(op, opset, constants, attributes, tmp_path):
    """Evaluated while loading: the result is used as a shape, which must be a constant."""
    data = np.arange(12).reshape(3, 4)
    node = helper.make_node(op, ["d", *constants], ["f"], **attributes)
    tail = [helper.make_node("ReduceSum", ["f"], ["s"], keepdims=0),
            helper.make_node("Reshape", ["s", "one"], ["r"]),
            helper.make_node("Expand", ["x", "r"], ["z"])]
    graph = helper.make_graph(
        [node, *tail], "folded", [helper.make_tensor_value_info("x", 1, [1])],
        [helper.make_empty_tensor_value_info("z"), helper.make_empty_tensor_value_info("f")],
        [numpy_helper.from_array(np.asarray(a, "int64"), n)
         for n, a in {"d": data, "one": np.array([1]), **constants}.items()])
    path = tmp_path / "folded.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8),
              path)
    feed = {"x": np.ones(1, np.float32)}
    z, f = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(["z", "f"], feed)
    with hsched.Runtime(cpu_workers=1) as rt:
        if attributes.get("reduction") == "add":
            with pytest.raises(hsched.HschedError, match="a shape that is computed"):
                rt.load(path)
            return
        found = rt.load(path).infer_exactly(feed)
    np.testing.assert_array_equal(found["f"], f)
    assert found["z"].shape == z.shape


@pytest.mark.parametrize("axis", [None, 0, -1])
@pytest.mark.parametrize("dtype", ["float32", "bool"])
def test_compress(axis, dtype, tmp_path):
    x = some(dtype, 3, 4)
    chosen = np.array([1, 0, 1], bool)
    for condition in (chosen, np.array([0, 1], bool)):
        run(tmp_path, "Compress", 11, {"x": x}, {"a": condition},
            expected=[np.compress(condition, x, axis)], **({} if axis is None else {"axis": axis}))
    refused(tmp_path, "the size of the result", "Compress", 11, {"x": x, "a": chosen})


@pytest.mark.parametrize("opset, kind", [(7, "float32"), (10, "bool"), (13, "bool")])
def test_the_mask_of_dropout(opset, kind, tmp_path):
    x = some("float32", 3, 4)
    run(tmp_path, "Dropout", opset, {"x": x}, outputs=("y", "z"), expected=[x, np.ones((3, 4), kind)])
