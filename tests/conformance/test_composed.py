"""Operators that become several others: determinants, normalisation that trains; dropout that drops nothing;
bits seen as another type;
ranges between numbers that are computed."""
import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import hsched

RNG = np.random.default_rng(14)


def model_of(op, opset, names, feed, constants, outputs, shapes=None, **attributes):
    def info(name, array):
        return helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(array.dtype), (shapes or {}).get(name, array.shape))
    graph = helper.make_graph(
        [helper.make_node(op, names, outputs, **attributes)], "composed",
        [info(n, a) for n, a in feed.items()],
        [helper.make_empty_tensor_value_info(n) for n in outputs if n],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in constants.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def run(tmp_path, model, feed, symbols=None):
    path = tmp_path / "composed.onnx"
    onnx.save(model, path)
    with hsched.Runtime(cpu_workers=1) as rt:
        return rt.load(path, symbols=symbols or {}).infer_exactly(feed)


def some(*shape, mean=0):
    return (RNG.standard_normal(shape) + mean).astype(np.float32)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize("batch", [(), (5,), (2, 3)])
def test_determinants(size, batch, tmp_path):
    x = {"x": some(*batch, size, size)}
    y = run(tmp_path, model_of("Det", 11, ["x"], x, {}, ["y"]), x)["y"]
    assert y.shape == batch and y.dtype == np.float32
    np.testing.assert_allclose(y, np.linalg.det(x["x"].astype(np.float64)), rtol=1e-4, atol=1e-5)


def test_a_determinant_of_any_batch(tmp_path):
    x = {"x": np.stack([np.eye(4)[[1, 0, 2, 3]], np.diag([1, 2, 3, 4])]).astype(np.float32)}
    y = run(tmp_path, model_of("Det", 22, ["x"], x, {}, ["y"], {"x": ("n", 4, 4)}), x, {"n": 2})["y"]
    assert y.tolist() == [-1, 24]


@pytest.mark.parametrize("shape, reason", [((5, 5), "more than 4 rows"), ((2, 3), "not square"),
                                           ((3,), "1 dimensions")])
def test_what_has_no_determinant(shape, reason, tmp_path):
    x = {"x": some(*shape)}
    with pytest.raises(hsched.HschedError, match=reason):
        run(tmp_path, model_of("Det", 11, ["x"], x, {}, ["y"]), x)


@pytest.mark.parametrize("shape", [(6, 3), (2, 3, 4), (2, 3, 4, 5), (1, 3, 2, 2, 3)])
@pytest.mark.parametrize("outputs", [["y"], ["y", "m", "v"], ["y", "", "v"]])
@pytest.mark.parametrize("attributes", [{}, {"momentum": 0.25, "epsilon": 1e-2}])
def test_batch_norm_that_trains(shape, outputs, attributes, tmp_path):
    x = {"x": some(*shape, mean=2)}
    constants = {"s": some(3), "b": some(3), "i": some(3), "j": some(3) ** 2}
    names = ["x", *constants]
    expected = ReferenceEvaluator(
        model_of("BatchNormalization", 15, names, x, constants, ["y", "m", "v"], training_mode=1,
                 **attributes)).run(None, x)
    model = model_of("BatchNormalization", 15, names, x, constants, outputs, {"x": ("n", *shape[1:])},
                     training_mode=1, **attributes)
    found = run(tmp_path, model, x, {"n": shape[0]})
    for name, value in zip(outputs, expected):
        if name:
            assert found[name].shape == value.shape
            np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-4)


def test_batch_norm_that_trains_what_is_computed(tmp_path):
    feed = {"x": some(4, 3, 2), "s": some(3), "b": some(3), "i": some(3), "j": some(3) ** 2}
    model = model_of("BatchNormalization", 14, list(feed), feed, {}, ["y", "m", "v"], training_mode=1)
    found = run(tmp_path, model, feed)
    for name, value in zip("ymv", ReferenceEvaluator(model).run(None, feed)):
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-4)


def test_what_trains_in_older_forms(tmp_path):
    x = {"x": some(4, 3)}
    constants = {"s": some(3), "b": some(3), "i": some(3), "j": some(3) ** 2}
    for opset, outputs in [(6, ["y"]), (9, ["y", "m"])]:
        with pytest.raises(hsched.HschedError, match="training mode"):
            run(tmp_path, model_of("BatchNormalization", opset, ["x", *constants], x, constants, outputs),
                x)


@pytest.mark.parametrize("opset, constants, attributes", [
    (6, {}, {"ratio": 0.0}), (6, {}, {"is_test": 1}), (10, {}, {"ratio": 0.5}),
    (12, {"r": np.float32(0), "t": True}, {}), (13, {"r": np.float32(0.5), "t": False}, {}),
    (13, {"r": np.float32(0.5)}, {})])
def test_dropout_that_drops_nothing(opset, constants, attributes, tmp_path):
    x = {"x": some(3, 4)}
    model = model_of("Dropout", opset, ["x", *constants], x, constants, ["y", "m"], **attributes)
    found = run(tmp_path, model, x)
    np.testing.assert_array_equal(found["y"], x["x"])
    assert found["m"].all()


@pytest.mark.parametrize("opset, constants", [(6, {}), (12, {"r": np.float32(0.5), "t": True})])
def test_dropout_that_drops(opset, constants, tmp_path):
    x = {"x": some(3, 4)}
    with pytest.raises(hsched.HschedError, match="training mode"):
        run(tmp_path, model_of("Dropout", opset, ["x", *constants], x, constants, ["y"]), x)


def bits(tmp_path, x, to, constant, after="Identity"):
    """y: the same bits as that type, by another operator so that it is not all of the model."""
    nodes = [helper.make_node("BitCast", ["x"], ["z"], to=helper.np_dtype_to_tensor_dtype(np.dtype(to))),
             helper.make_node(after, ["z"], ["y"])]
    given = [] if constant else [
        helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)]
    graph = helper.make_graph(nodes, "bits", given, [helper.make_empty_tensor_value_info("y")],
                              [numpy_helper.from_array(x, "x")] if constant else [])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 26)], ir_version=13)
    return run(tmp_path, model, {} if constant else {"x": x})["y"]


@pytest.mark.parametrize("constant", [0, 1])
@pytest.mark.parametrize("from_, to", [("int8", "uint8"), ("uint8", "int8"), ("bool", "uint8"),
                                       ("bool", "int8"), ("uint8", "uint8"), ("float32", "float32")])
def test_bits_of_bytes(from_, to, constant, tmp_path):
    x = (RNG.integers(0, 2, (3, 4)) if from_ == "bool" else RNG.integers(-128, 128, (3, 4))).astype(from_)
    y = bits(tmp_path, x, to, constant)
    assert y.dtype == to
    np.testing.assert_array_equal(y, x.view(to))


@pytest.mark.parametrize("x, to", [
    (np.array([1, -0.0, np.inf], np.float32), "int32"), (np.array(1.5, np.float32), "int32"),
    (np.array([[1, 0x7f800000]], np.int32), "float32"), (np.array([-0.0, 3.25]), "int64"),
    (np.array([1, 2]), "float64")])
def test_bits_of_wider_types(x, to, tmp_path):
    np.testing.assert_array_equal(bits(tmp_path, x, to, 1).view(x.dtype), x)
    with pytest.raises(hsched.HschedError, match="more than one byte"):
        bits(tmp_path, x, to, 0)
    with pytest.raises(hsched.HschedError, match="not as wide as"):
        bits(tmp_path, x, "bool", 1)


RANGE = """<ir_version: 9, opset_import: ["" : 18]>
main ({kind}{shape} n) => ({kind}[K] y) <{kind} three = {{3}}, {kind} seven = {{7}}, {kind} step = {{{step}}}, int64[1] first = {{0}}> {{
  {body}
}}"""


@pytest.mark.parametrize("kind", ["int64", "int32"])
@pytest.mark.parametrize("shape, body, length", [
    ("", "limit = Add(n, seven)  y = Range(n, limit, step)", 7),
    ("", "start = Sub(n, three)  y = Range(start, n, step)", 3),
    ("", "a = Add(three, n)  start = Sub(a, seven)  b = Add(n, seven)  limit = Add(b, three) "
         "y = Range(start, limit, step)", 14),
    ("[1]", "s = Squeeze(n, first)  limit = Add(s, seven)  y = Range(s, limit, step)", 7),
    ("[1]", "s = Squeeze(n, first)  m = Add(n, seven)  limit = Squeeze(m, first)  y = Range(s, limit, step)",
     7),
])
def test_ranges_between_computed_numbers(kind, shape, body, length, tmp_path):
    for step in (1, 2, 3, 100, -1):
        model = onnx.parser.parse_model(RANGE.format(kind=kind, shape=shape, body=body, step=step))
        feed = {"n": np.full([1] if shape else [], 40, kind)}
        found = run(tmp_path, model, feed)["y"]
        expected = ReferenceEvaluator(model).run(None, feed)[0]
        assert found.dtype == kind and len(found) == (-(-length // step) if step > 0 else 0)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind, body", [
    ("int64", "y = Range(three, n, step)"), ("int64", "limit = Mul(n, three)  y = Range(n, limit, step)"),
    ("int64", "a = Add(n, three)  y = Range(three, a, n)"),
    ("float", "limit = Add(n, seven)  y = Range(n, limit, step)")])
def test_ranges_of_any_length_are_refused(kind, body, tmp_path):
    model = onnx.parser.parse_model(RANGE.format(kind=kind, shape="", body=body, step=1))
    with pytest.raises(hsched.HschedError, match="while importing"):
        run(tmp_path, model, {"n": np.array(4, "float32" if kind == "float" else kind)})
