"""DFT, STFT, the windows and the mel filters, against numpy and the reference of the ONNX package."""
import itertools

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import hsched

RNG = np.random.default_rng(17)


def model_of(op, opset, names, feed, constants, shapes=None, **attributes):
    def info(name, array):
        return helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(array.dtype), (shapes or {}).get(name, array.shape))
    graph = helper.make_graph(
        [helper.make_node(op, names, ["y"], **attributes)], "signal",
        [info(n, a) for n, a in feed.items()], [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in constants.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def run(tmp_path, model, feed, symbols=None):
    path = tmp_path / "signal.onnx"
    onnx.save(model, path)
    with hsched.Runtime(cpu_workers=1) as rt:
        return rt.load(path, symbols=symbols or {}).infer_exactly(feed)["y"]


def compare(tmp_path, op, opset, names, feed, constants, rtol=1e-5, **attributes):
    model = model_of(op, opset, names, feed, constants, **attributes)
    expected = ReferenceEvaluator(model).run(None, feed)[0]
    found = run(tmp_path, model, feed)
    assert found.shape == expected.shape and found.dtype == expected.dtype
    largest = np.abs(expected.astype(np.float64)).max()
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * largest)


def refused(tmp_path, reason, op, opset, names, feed, constants, **attributes):
    with pytest.raises(hsched.HschedError, match=reason):
        run(tmp_path, model_of(op, opset, names, feed, constants, **attributes), feed)


def some(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("opset", [17, 20])
@pytest.mark.parametrize("inverse, onesided, parts", [(0, 0, 1), (0, 0, 2), (1, 0, 1), (1, 0, 2),
                                                      (0, 1, 1), (1, 1, 2)])
@pytest.mark.parametrize("length", [None, 1, 4, 7, 12])
def test_dft(opset, inverse, onesided, parts, length, tmp_path):
    for shape, axis in [((7,), 0), ((3, 9), 1), ((2, 5, 6), -2), ((2, 5, 6), 1), ((2, 5, 6), 0)]:
        x = {"x": some(*shape, parts)}
        constants = {} if length is None else {"l": length}
        attributes = {"inverse": inverse, "onesided": onesided}
        if opset == 20:
            constants["a"] = axis
        else:
            attributes["axis"] = axis
        names = ["x", "l" if length else "", *(["a"] if opset == 20 else [])]
        compare(tmp_path, "DFT", opset, names, x, constants, **attributes)


@pytest.mark.parametrize("inverse, onesided, parts", [(0, 0, 1), (0, 0, 2), (1, 0, 1), (1, 0, 2), (0, 1, 1)])
@pytest.mark.parametrize("shape, axis, length", [((1000,), 0, None), ((3, 900), 1, 1024), ((2, 1500, 2), 1, 1200),
                                                 ((2, 3, 1155), -2, None)])
def test_long_dfts(inverse, onesided, parts, shape, axis, length, tmp_path):
    """In two products; with zeros behind the signal, or a part of it."""
    x = some(*shape, parts)
    names, constants = (["x", "", "a"], {}) if length is None else (["x", "l", "a"], {"l": length})
    model = model_of("DFT", 20, names, {"x": x}, {**constants, "a": axis}, inverse=inverse,
                     onesided=onesided)
    expected = ReferenceEvaluator(model).run(None, {"x": x})[0]
    found = run(tmp_path, model, {"x": x})
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())


def test_dfts_that_are_too_long(tmp_path):
    x = {"x": some(1, 1000, 1)}
    for length in (100003, 2**40):  # a prime
        refused(tmp_path, f"a length of {length}", "DFT", 20, ["x", "l"], x, {"l": length})
    refused(tmp_path, "a length of 8000", "DFT", 20, ["x", "l"], {"x": some(1, 4001, 2)}, {"l": 8000},
            inverse=1, onesided=1)


@pytest.mark.parametrize("window", ["constant", "computed"])
def test_long_frames(window, tmp_path):
    feed, constants = {"x": some(2, 5000, 1)}, {"s": 700}
    (constants if window == "constant" else feed)["w"] = some(1024)
    model = model_of("STFT", 17, ["x", "s", "w"], feed, constants, {"x": ("batch", 5000, 1)})
    expected = ReferenceEvaluator(model).run(None, feed)[0][:, :, :513]  # which keeps all bins
    found = run(tmp_path, model, feed, {"batch": 2})
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("op, names, constants", [("DFT", ["x"], {}), ("STFT", ["x", "s", "w"], {
    "s": 3, "w": np.hanning(8).astype(np.float32)})])
def test_any_batch(op, names, constants, tmp_path):
    """The first dimension stays a symbol."""
    x = some(5, 20, 1)
    model = model_of(op, 20, names, {"x": x}, constants, {"x": ("batch", 20, 1)}, onesided=1)
    expected = ReferenceEvaluator(model).run(None, {"x": x})[0]
    np.testing.assert_allclose(run(tmp_path, model, {"x": x}, {"batch": 5}), expected, atol=1e-5)


@pytest.mark.parametrize("parts, onesided", [(1, 1), (1, 0), (2, 0), (None, 1)])
@pytest.mark.parametrize("window", [None, "constant", "computed"])
def test_stft(parts, onesided, window, tmp_path):
    shape = (2, 20) if parts is None else (2, 20, parts)
    for step, length in itertools.product([1, 3, 16], [None, 8]):
        feed, constants = {"x": some(*shape)}, {"s": step}
        if length:
            constants["l"] = length
        if window:
            (constants if window == "constant" else feed)["w"] = some(length or 9)
        names = ["x", "s", "w" if window else "", "l" if length else ""]
        if parts is None:  # as if it were real; the reference asks for three dimensions
            reshaped = {**feed, "x": feed["x"][..., None]}
            model = model_of("STFT", 17, names, reshaped, constants, onesided=onesided)
            expected = ReferenceEvaluator(model).run(None, reshaped)[0]
            found = run(tmp_path, model_of("STFT", 17, names, feed, constants, onesided=onesided),
                        feed)
            np.testing.assert_allclose(found, expected, atol=1e-4)
        else:
            compare(tmp_path, "STFT", 17, names, feed, constants, onesided=onesided)


def test_what_is_no_transform(tmp_path):
    x = {"x": some(2, 8, 2)}
    refused(tmp_path, "one-sided and its input complex", "DFT", 20, ["x"], x, {}, onesided=1)
    refused(tmp_path, "its axis is the last one", "DFT", 20, ["x", "", "a"], x, {"a": -1})
    refused(tmp_path, "3 parts", "DFT", 20, ["x"], {"x": some(2, 8, 3)}, {})
    refused(tmp_path, "its length is not positive", "DFT", 20, ["x", "l"], x, {"l": 0})
    refused(tmp_path, "one-sided and its input complex", "STFT", 17, ["x", "s"], x, {"s": 1})
    refused(tmp_path, "frames of 9 each 1 of 8", "STFT", 17, ["x", "s", "", "l"], x,
            {"s": 1, "l": 9}, onesided=0)
    refused(tmp_path, "as long as a frame", "STFT", 17, ["x", "s", "w", "l"], x,
            {"s": 1, "l": 4, "w": some(3)}, onesided=0)


@pytest.mark.parametrize("op", ["HannWindow", "HammingWindow", "BlackmanWindow"])
@pytest.mark.parametrize("periodic", [0, 1])
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "int32"])
def test_windows(op, periodic, dtype, tmp_path):
    for size in [3, 5, 16]:
        compare(tmp_path, op, 17, ["a"], {}, {"a": np.array(size, "int32")},
                rtol=5e-3 if dtype == "float16" else 1e-6, periodic=periodic,
                output_datatype=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def test_a_symmetric_window_of_one(tmp_path):
    model = model_of("HannWindow", 17, ["a"], {}, {"a": 1}, periodic=0)
    assert np.isnan(run(tmp_path, model, {})).all()  # as in ONNX Runtime: 0 / 0
    refused(tmp_path, "not one size", "HannWindow", 17, ["a"], {}, {"a": -2})
    refused(tmp_path, "while importing", "HannWindow", 17, ["x"], {"x": np.array(3)}, {})


def test_mel_filters(tmp_path):
    def constants(bands, length, rate, low, high):
        return {"a": bands, "b": length, "c": rate, "d": np.float32(low), "e": np.float32(high)}
    for numbers in [(8, 16, 8192, 0, 4096), (20, 64, 16000, 100, 7000), (4, 512, 44100, 20.5, 20000),
                    (3, 17, 8000, 300, 300)]:
        compare(tmp_path, "MelWeightMatrix", 17, list("abcde"), {}, constants(*numbers))
    refused(tmp_path, "past the spectrum", "MelWeightMatrix", 17, list("abcde"), {},
            constants(4, 16, 8000, 0, 8000))
