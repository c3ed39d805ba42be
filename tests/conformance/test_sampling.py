"""GridSample, RoiAlign, Col2Im, MaxPool with indices and scattering against ONNX Runtime; wrapped
padding against numpy."""
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

import hsched

RNG = np.random.default_rng(24)


def run(tmp_path, x, grid, **attributes):
    path = tmp_path / "sample.onnx"
    graph = helper.make_graph(
        [helper.make_node("GridSample", ["x", "grid"], ["y"], **attributes)], "sample",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape),
         helper.make_tensor_value_info("grid", TensorProto.FLOAT, grid.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), path)
    feed = {"x": x, "grid": grid}
    with hsched.Runtime(cpu_workers=1) as rt:
        (ours,) = rt.load(path).infer(feed).values()
    (expected,) = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, feed)
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("corners", [0, 1])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["linear", "nearest", "cubic"])
@pytest.mark.parametrize("sizes", [(9, 12), (2, 5), (3, 4, 5)])
def test_grid_sample(sizes, mode, padding, corners, tmp_path):
    if mode == "cubic" and len(sizes) == 3:
        pytest.skip("ONNX Runtime has no cubic sampling of volumes")
    x = RNG.standard_normal((2, 3, *sizes)).astype(np.float32)
    points = [int(n) for n in RNG.integers(1, 16, len(sizes))]
    grid = RNG.uniform(-1.7, 1.7, (2, *points, len(sizes))).astype(np.float32)
    run(tmp_path, x, grid, mode=mode, padding_mode=padding, align_corners=corners)


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("sizes", [(17,), (9, 12), (5, 6, 7)])
def test_max_pool_with_indices(sizes, order, tmp_path):
    path = tmp_path / "pool.onnx"
    k = len(sizes)
    x = RNG.integers(0, 9, (2, 3, *sizes)).astype(np.float32)
    node = helper.make_node("MaxPool", ["x"], ["y", "i"], kernel_shape=[3, 2, 2][:k], strides=[2, 1, 3][:k],
                            pads=[1, 0, 1, 0, 1, 0][:2 * k] if k > 1 else [1, 0], storage_order=order)
    graph = helper.make_graph([node], "pool", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, None),
                               helper.make_tensor_value_info("i", TensorProto.INT64, None)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=9), path)
    with hsched.Runtime(cpu_workers=1) as rt:
        ours = rt.load(path).infer({"x": x})
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for name, expected in zip("yi", session.run(["y", "i"], {"x": x})):
        np.testing.assert_array_equal(ours[name], expected)


@pytest.mark.parametrize("pads", [(0, 2, 1, 0, 3, 0), (2, 0, 7, 5, 0, 8)])
def test_wrapped_padding(pads, tmp_path):
    """Also by more than there is, several times over."""
    path = tmp_path / "wrap.onnx"
    x = RNG.standard_normal((2, 3, 4)).astype(np.float32)
    node = helper.make_node("Pad", ["x", "pads"], ["y"], mode="wrap")
    graph = helper.make_graph([node], "wrap", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
                              [onnx.numpy_helper.from_array(np.array(pads, np.int64), "pads")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9), path)
    with hsched.Runtime(cpu_workers=1) as rt:
        (ours,) = rt.load(path).infer({"x": x}).values()
    np.testing.assert_array_equal(ours, np.pad(x, list(zip(pads[:3], pads[3:])), mode="wrap"))


@pytest.mark.parametrize("opset", [10, 16])
@pytest.mark.parametrize("kind", ["avg", "max"])
@pytest.mark.parametrize("samples", [0, 2])
def test_roi_align(samples, kind, opset, tmp_path):
    path = tmp_path / "roi.onnx"
    x = RNG.standard_normal((2, 5, 9, 11)).astype(np.float32)
    corners = RNG.uniform(-8, 50, (7, 2, 2))
    rois = np.concatenate([corners.min(1), corners.max(1)], 1).astype(np.float32)
    images = RNG.integers(0, 2, 7)
    node = helper.make_node("RoiAlign", ["x", "rois", "images"], ["y"], mode=kind, output_height=3, output_width=4,
                            sampling_ratio=samples, spatial_scale=0.25)
    infos = [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape),
             helper.make_tensor_value_info("rois", TensorProto.FLOAT, rois.shape),
             helper.make_tensor_value_info("images", TensorProto.INT64, images.shape)]
    graph = helper.make_graph([node], "roi", infos, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    feed = {"x": x, "rois": rois, "images": images}
    with hsched.Runtime(cpu_workers=1) as rt:
        (ours,) = rt.load(path).infer(feed).values()
    (expected,) = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, feed)
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


def against_onnxruntime(tmp_path, node, feed, constants, opset=18):
    path = tmp_path / "one.onnx"
    graph = helper.make_graph(
        [node], "one", [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
                        for n, a in feed.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(a, n) for n, a in constants.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    with hsched.Runtime(cpu_workers=1) as rt:
        (ours,) = rt.load(path).infer(feed).values()
    (expected,) = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, feed)
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kernel,strides,dilations,pads", [
    ((2, 3), (2, 3), (1, 1), (0, 0, 0, 0)),     # side by side
    ((2, 3), (2, 3), (1, 1), (1, 2, 1, 0)),
    ((3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),     # one over the other
    ((3, 2), (2, 1), (1, 2), (0, 1, 2, 1)),
    ((2, 2), (2, 2), (2, 2), (0, 0, 0, 0)),     # as far apart as they are long, but with holes
    ((4,), (4,), (1,), (2, 1)), ((3,), (3,), (1,), (0, 0)), ((1, 1), (1, 1), (3, 3), (0, 0, 0, 0)),
    ((2, 2), (3, 3), (1, 1), (0, 0, 0, 0))])
def test_col2im(kernel, strides, dilations, pads, tmp_path):
    """Sizes of which the last blocks leave something over, too."""
    k = len(kernel)
    image = (13, 20)[:k]
    places = [(n + pads[i] + pads[k + i] - (kernel[i] - 1) * dilations[i] - 1) // strides[i] + 1
              for i, n in enumerate(image)]
    x = RNG.standard_normal((2, 3 * np.prod(kernel), np.prod(places))).astype(np.float32)
    node = helper.make_node("Col2Im", ["x", "image", "block"], ["y"], strides=strides, dilations=dilations,
                            pads=pads)
    against_onnxruntime(tmp_path, node, {"x": x}, {"image": np.array(image, np.int64),
                                                   "block": np.array(kernel, np.int64)})


@pytest.mark.parametrize("reduction", ["none", "add", "max"])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("step", [1, -1])
def test_scatter_of_neighbours(step, dtype, reduction, tmp_path):
    """Indices that count upwards for a while, or downwards, some of them from the end."""
    n = 200
    x = RNG.standard_normal((5, n)).astype(np.float32)
    runs = [np.arange(RNG.integers(1, 40))[::step] + RNG.integers(0, n - 40) for _ in range(12)]
    runs.append(np.arange(n - 17, n))
    runs.insert(0, np.array([100, 102, 101, 103, 104, 105, 106, 107]))  # from 100 to 107, but not in order
    indices = np.concatenate(runs)
    if reduction == "none":  # which of two updates wins is not said
        indices = np.unique(indices)
    indices[::31] -= n
    indices = np.tile(indices.astype(dtype), (5, 1))
    updates = RNG.standard_normal(indices.shape).astype(np.float32)
    node = helper.make_node("ScatterElements", ["x", "i", "u"], ["y"], axis=1, reduction=reduction)
    against_onnxruntime(tmp_path, node, {"x": x, "i": indices, "u": updates}, {})


@pytest.mark.parametrize("scales", [(0.6, 0.6), (0.5, 0.3), (2, 1.5), (0.5, 2), (1, 0.7)])
def test_nearest_elements_of_opset_10(scales, tmp_path):
    """It has no nearest_mode: axes that shrink round up, others down."""
    path = tmp_path / "resize.onnx"
    x = RNG.standard_normal((1, 2, 5, 7)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Resize", ["x", "scales"], ["y"])], "resize",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [helper.make_tensor("scales", TensorProto.FLOAT, [4], [1, 1, *scales])])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 10)], ir_version=8), path)
    with hsched.Runtime(cpu_workers=1) as rt:
        ours = rt.load(path).infer({"x": x})["y"]
    expected, = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": x})
    np.testing.assert_array_equal(ours, expected)
