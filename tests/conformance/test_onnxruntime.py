"""The same networks in ONNX Runtime: zoo networks exported, trained face models, the digits."""
import numpy as np
import onnx
import onnxruntime as ort
import pytest

import hsched

ZOO = ["alexnet", "vgg16", "resnet18", "resnet50", "resnet152", "densenet121", "densenet201",
       "googlenet", "mobilenet_v1", "mobilenet_v2", "squeezenet1_1", "mlp",
       "inception_v3", "efficientnet_b0", "shufflenet_v2", "unet", "yolov3_tiny", "yolov3",
       "text_bilstm", "text_gru", "vit_tiny"]


def ort_session(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def test_the_zoo_is_what_is_tested_here(program):
    listed = [line.split()[0] for line in program("zoo").stdout.splitlines() if line.strip()]
    assert set(ZOO) <= set(listed)


@pytest.mark.parametrize("name", ZOO)
def test_exported_network_agrees(name, program, tmp_path):
    path = tmp_path / f"{name}.onnx"
    program("export", name, path)
    onnx.checker.check_model(str(path))
    session = ort_session(path)
    rng = np.random.default_rng(3)
    feed = {i.name: rng.integers(0, 25000, i.shape) if i.type == "tensor(int64)"
            else rng.standard_normal(i.shape).astype(np.float32) for i in session.get_inputs()}
    names = [o.name for o in session.get_outputs()]
    expected = dict(zip(names, session.run(names, feed)))
    # The graph as it was built (through the program), and the exported file read back.
    for key, value in feed.items():
        np.save(tmp_path / f"{key}.npy", value)
    (key,) = feed
    program("run", name, "--input", tmp_path / f"{key}.npy", "--output", tmp_path,
            "--iterations", 1, "--math", "strict")
    with hsched.Runtime(cpu_workers=1) as rt:
        again = rt.load(path, math=hsched.MATH_STRICT).infer(feed)
        fast = rt.load(path).infer(feed)  # Winograd's convolutions, one after the other in VGG16
    for output in names:
        direct = np.load(tmp_path / f"{output}.npy")
        assert np.std(expected[output]) > 0
        assert hsched.relative_error(direct, expected[output]) < 1e-4
        assert hsched.relative_error(again[output], expected[output]) < 1e-4
        assert hsched.relative_error(again[output], direct) < 1e-5
        assert hsched.relative_error(fast[output], expected[output]) < 1e-4


@pytest.mark.parametrize("name, grids, anchors", [
    ("yolov3_tiny", [13, 26], [[(81, 82), (135, 169), (344, 319)], [(10, 14), (23, 27), (37, 58)]]),
    ("yolov3", [13, 26, 52], [[(116, 90), (156, 198), (373, 326)], [(30, 61), (62, 45), (59, 119)],
                              [(10, 13), (16, 30), (33, 23)]])])
def test_boxes_are_decoded_from_the_heads(name, grids, anchors, program, tmp_path):
    """Against numpy's decoding of what the last convolutions give."""
    path = tmp_path / f"{name}.onnx"
    program("export", name, path)
    model = onnx.load(path)
    heads = [node.output[0] for node in model.graph.node if node.op_type == "Conv"
             and [i for i in model.graph.initializer if i.name == node.input[1]][0].dims[0] == 255]
    for head in heads:
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(head))
    onnx.save(model, path)
    image = np.random.default_rng(3).standard_normal((1, 3, 416, 416)).astype(np.float32)
    boxes, scores, *raw = ort_session(path).run(["boxes", "scores", *heads], {"input": image})
    assert [r.shape[2] for r in raw] == grids
    expected_boxes, expected_scores = [], []
    for value, grid, sizes in zip(raw, grids, anchors):
        value = value.astype(np.float64)
        for a, (width, height) in enumerate(sizes):
            for row in range(grid):
                for column in range(grid):
                    v = value[0, 85 * a:85 * (a + 1), row, column]
                    p = 1 / (1 + np.exp(-v))
                    x, y = (p[0] + column) * 416 / grid, (p[1] + row) * 416 / grid
                    w, h = np.exp(v[2]) * width, np.exp(v[3]) * height
                    expected_boxes.append([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
                    expected_scores.append(p[4] * p[5:])
    assert hsched.relative_error(boxes[0], np.array(expected_boxes)) < 1e-5
    assert hsched.relative_error(scores[0], np.array(expected_scores)) < 1e-5


def overlap(a, b):
    """Of two boxes (x, y, x, y): the area they share, of that of both."""
    width, height = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = max(width, 0) * max(height, 0)
    return shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared)


def select(boxes, scores, most, iou, least):
    """Non-maximum suppression in a few lines: rows (image, class, box) for scores [classes, boxes]."""
    rows = []
    for label, row in enumerate(scores):
        kept = []
        for box in np.argsort(-row, kind="stable"):
            if row[box] <= least or len(kept) == most:
                break
            if all(overlap(boxes[box], boxes[k]) <= iou for k in kept):
                kept.append(box)
        rows += [(0, label, box) for box in kept]
    return np.array(rows, np.int64).reshape(-1, 3)


def test_detector_chooses_its_boxes(program, tmp_path):
    """The selection against numpy's, and ONNX Runtime's from the same boxes and scores."""
    path = tmp_path / "detector.onnx"
    program("export", "yolov3_tiny_nms", path)
    image = np.random.default_rng(3).standard_normal((1, 3, 416, 416)).astype(np.float32)
    with hsched.Runtime(cpu_workers=2) as rt:
        ours = rt.load(path).infer({"input": image})
    boxes, scores = ours["boxes"], ours["scores"]
    expected = select(boxes[0], scores[0].T, 100, 0.45, 0.25)
    assert len(expected) > 100
    assert np.array_equal(ours["selected"][:len(expected)], expected)
    assert (ours["selected"][len(expected):] == -1).all()
    node = onnx.helper.make_node("NonMaxSuppression", ["boxes", "scores", "most", "iou", "least"], ["selected"])
    inputs = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, (1, None, None)) for n in ("boxes", "scores")]
    constants = [onnx.numpy_helper.from_array(np.array([v], t), n) for n, v, t in
                 (("most", 100, np.int64), ("iou", 0.45, np.float32), ("least", 0.25, np.float32))]
    output = onnx.helper.make_tensor_value_info("selected", onnx.TensorProto.INT64, None)
    only = onnx.helper.make_model(onnx.helper.make_graph([node], "nms", inputs, [output], constants),
                                  opset_imports=[onnx.helper.make_opsetid("", 11)], ir_version=8)
    onnx.save(only, path)
    (theirs,) = ort_session(path).run(None, {"boxes": boxes, "scores": scores.transpose(0, 2, 1)})
    assert np.array_equal(theirs, expected)


@pytest.mark.parametrize("name", ["face-rfb-320", "face-slim-320"])
def test_face_model_agrees(name, shared_models):
    path = shared_models / f"{name}.onnx"
    session = ort_session(path)
    rng = np.random.default_rng(5)
    feed = {"input": rng.uniform(-1, 1, (1, 3, 240, 320)).astype(np.float32)}
    names = [o.name for o in session.get_outputs()]
    with hsched.Runtime(cpu_workers=2) as rt:
        ours = rt.load(path).infer(feed)
    for output, expected in zip(names, session.run(names, feed)):
        assert np.abs(ours[output] - expected).max() < 1e-4, output


@pytest.mark.parametrize("kind, least", [("cnn", 0.97), ("mlp", 0.94), ("gru", 0.97)])
def test_digits(kind, least):
    data = hsched.ROOT / "examples" / "data"
    images = np.load(data / "digits-test-images.npy")
    labels = np.load(data / "digits-test-labels.npy")
    session = ort_session(data / f"digits-{kind}.onnx")
    (item,) = session.get_inputs()
    (output,) = [o.name for o in session.get_outputs()]
    batch = len(images)
    with hsched.Runtime(cpu_workers=2) as rt:
        model = rt.load(data / f"digits-{kind}.onnx", symbols={"batch": batch})
        ((name, _, shape),) = model.inputs
        x = (images.astype(np.float32) / 16).reshape(shape)
        ours = model.infer({name: x})[output]
        one = rt.load(data / f"digits-{kind}.onnx")
        single = one.infer({name: x[:1]})[output]
    (expected,) = session.run([output], {item.name: x})
    assert hsched.relative_error(ours, expected) < 1e-4
    assert hsched.relative_error(single, expected[:1]) < 1e-4
    assert len(labels) >= 300 and (ours.argmax(axis=1) == labels).mean() >= least
