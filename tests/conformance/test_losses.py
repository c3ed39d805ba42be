"""NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss, against ONNX Runtime, which runs them as functions."""
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

import hsched

RNG = np.random.default_rng(12)
OPS = ["NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"]


def model_of(op, opset, feed, constants, outputs, shapes=None, **attributes):
    def info(name, array):
        return helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(array.dtype), (shapes or {}).get(name, array.shape))
    names = [n for n in "xlw" if n in feed or n in constants]
    graph = helper.make_graph(
        [helper.make_node(op, names, outputs, **attributes)], "loss",
        [info(n, a) for n, a in feed.items()],
        [helper.make_empty_tensor_value_info(n) for n in outputs if n],
        [numpy_helper.from_array(a, n) for n, a in constants.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def run(tmp_path, model, feed, symbols=None):
    path = tmp_path / "loss.onnx"
    onnx.save(model, path)
    with hsched.Runtime(cpu_workers=1) as rt:
        return rt.load(path, symbols=symbols or {}).infer_exactly(feed)


def reference(model, feed):
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feed)


def compare(tmp_path, op, opset, feed, constants=None, outputs=("y",), **attributes):
    outputs = list(outputs)
    model = model_of(op, opset, feed, constants or {}, outputs, **attributes)
    expected = reference(model, feed)
    found = run(tmp_path, model, feed)
    for name, value in zip([n for n in outputs if n], expected):
        assert found[name].shape == value.shape and found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-6)
    return found


def some(shape, classes=5, dtype="int64"):
    x = RNG.standard_normal((shape[0], classes, *shape[1:])).astype(np.float32)
    return {"x": x, "l": RNG.integers(0, classes, shape).astype(dtype)}


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("reduction", [None, "none", "sum", "mean"])
@pytest.mark.parametrize("shape", [(3,), (2, 7), (2, 3, 4), (2, 1, 2, 2, 3)])
@pytest.mark.parametrize("ignored", [None, 2, -1, 99])
@pytest.mark.parametrize("weighted", [None, "constant", "computed"])
def test_losses(op, reduction, shape, ignored, weighted, tmp_path):
    feed = some(shape, dtype="int32" if weighted else "int64")
    if ignored is not None:
        feed["l"].flat[::3] = ignored
    constants = {}
    if weighted:
        (constants if weighted == "constant" else feed)["w"] = RNG.random(5).astype(np.float32)
    attributes = {} if reduction is None else {"reduction": reduction}
    if ignored is not None:
        attributes["ignore_index"] = ignored
    compare(tmp_path, op, 13, feed, constants, **attributes)


@pytest.mark.parametrize("outputs", [("y", "p"), ("", "p")])
def test_the_logarithms_of_probabilities(outputs, tmp_path):
    feed = some((4, 3))
    model = model_of(OPS[1], 12, feed, {}, list(outputs))
    found = run(tmp_path, model, feed)
    x = feed["x"].astype(np.float64)
    expected = x - np.log(np.exp(x).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(found["p"], expected, rtol=1e-5)
    assert set(found) == {n for n in outputs if n}


@pytest.mark.parametrize("op", OPS)
def test_what_is_ignored_is_not_computed_with(op, tmp_path):
    """An infinite loss that is ignored is 0; if all are, their mean is that of nothing."""
    feed = {"x": np.array([[0, -np.inf], [-1, -2]], np.float32), "l": np.array([1, 0])}
    found = run(tmp_path, model_of(op, 13, feed, {}, ["y"], ignore_index=1, reduction="none"), feed)
    assert found["y"][0] == 0 and np.isfinite(found["y"][1])
    feed["l"] = np.array([1, 1])
    found = run(tmp_path, model_of(op, 13, feed, {}, ["y"], ignore_index=1), feed)
    assert np.isnan(found["y"])


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("names", [("batch", "batch"), ("batch", "labels")])
def test_any_batch(op, names, tmp_path):
    feed = some((4, 3))
    model = model_of(op, 13, feed, {}, ["y"], {"x": (names[0], 5, 3), "l": (names[1], 3)},
                     ignore_index=1)
    expected = reference(model, feed)[0]
    found = run(tmp_path, model, feed, dict.fromkeys(names, 4))
    np.testing.assert_allclose(found["y"], expected, rtol=1e-5)


@pytest.mark.parametrize("op", OPS)
def test_what_is_no_loss(op, tmp_path):
    feed = some((2, 7))
    for reason, given, attributes in [
            ("reduction", feed, {"reduction": "min"}),
            ("do not fit dimension 2", {**feed, "l": feed["l"][:, :6]}, {}),
            ("do not fit 3 dimensions", {**feed, "l": feed["l"][..., None]}, {}),
            ("one for each class", {**feed, "w": np.ones(4, np.float32)}, {})]:
        with pytest.raises(hsched.HschedError, match=reason):
            run(tmp_path, model_of(op, 13, given, {}, ["y"], **attributes), given)
