"""The examples do what they say."""
import re
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import hsched


def example(name, *arguments):
    return subprocess.run([str(hsched.BUILD / "examples" / name), *map(str, arguments)], check=True,
                          capture_output=True, text=True, timeout=600, cwd=hsched.ROOT).stdout


def test_first():
    out = example("01_first", 3).splitlines()
    assert [line.split(":")[0] for line in out] == [str(digit) for digit in range(10)]
    scores = [float(line.split()[1].rstrip("%")) for line in out]
    label = np.load(hsched.ROOT / "examples/data/digits-test-labels.npy")[3]
    assert abs(sum(scores) - 100) < 1 and scores.index(max(scores)) == label
    for index in "-1", "360":  # neither before nor after the images
        result = subprocess.run([str(hsched.BUILD / "examples" / "01_first"), index], cwd=hsched.ROOT,
                                capture_output=True, text=True, timeout=60)
        assert result.returncode == 1 and result.stdout == "" and f"no digit {index}" in result.stderr


def test_several():
    out = example("02_several", "mlp", "examples/data/digits-mlp.onnx").splitlines()
    assert [line.split()[:2] for line in out] == [["mlp", "8"], ["examples/data/digits-mlp.onnx", "8"]]


def test_graph(tmp_path):
    out = example("03_graph", tmp_path / "edges.onnx").splitlines()
    picture = out[:16]
    assert all(len(line) == 32 for line in picture)
    # The middle of the disc and the corners are flat, its rim is not.
    assert picture[8][16] == "." and picture[0][0] == "." and "#" in picture[5]
    # A step from 0 to 1 under (1, 2, 1).
    assert out[16].endswith("middle row: 4")
    assert (tmp_path / "edges.onnx").stat().st_size > 100


@pytest.mark.parametrize("model", ["face-rfb-320", "face-slim-320"])
@pytest.mark.parametrize("faces", [4, 5, 9])
def test_faces(shared_models, tmp_path, model, faces):
    annotated = tmp_path / "annotated.jpg"
    out = example("04_faces", shared_models / f"{model}.onnx",
                  shared_models / f"photo-{faces}-faces.jpg", "--out", annotated).splitlines()
    assert out[0] == f"{faces} faces" and len(out) == faces + 1
    assert annotated.read_bytes()[:2] == b"\xff\xd8"


def bright_square_detector(path):
    """A detector of the same form, made by hand: bright tiles of 40x40 in an image of 120x160."""
    weights = np.zeros((2, 3, 1, 1), np.float32)
    weights[1] = 10  # logits 0 and 10 * (r + g + b), pixels from -1 to 1
    tiles = [[x / 4, y / 3, (x + 1) / 4, (y + 1) / 3] for y in range(3) for x in range(4)]
    tensors = {"w": weights, "shape": np.array([1, 12, 2]),
               "tiles": np.array([tiles], np.float32), "nothing": np.zeros((1, 12, 4), np.float32)}
    nodes = [helper.make_node("AveragePool", ["input"], ["mean"], kernel_shape=[40, 40],
                              strides=[40, 40]),
             helper.make_node("Conv", ["mean", "w"], ["logits"]),
             helper.make_node("Transpose", ["logits"], ["last"], perm=[0, 2, 3, 1]),
             helper.make_node("Reshape", ["last", "shape"], ["flat"]),
             helper.make_node("Softmax", ["flat"], ["scores"], axis=2),
             helper.make_node("Add", ["tiles", "nothing"], ["boxes"])]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "squares", [value("input", TensorProto.FLOAT, [1, 3, 120, 160])],
        [value("scores", TensorProto.FLOAT, [1, 12, 2]), value("boxes", TensorProto.FLOAT, [1, 12, 4])],
        [numpy_helper.from_array(data, name) for name, data in tensors.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8),
              path)


def test_faces_of_a_detector_made_by_hand(tmp_path):
    model, photo, annotated = (tmp_path / n for n in ("squares.onnx", "photo.jpg", "annotated.jpg"))
    bright_square_detector(model)
    pixels = np.full((240, 320, 3), 20, np.uint8)
    pixels[80:160, 80:160] = pixels[0:80, 240:320] = 240
    Image.fromarray(pixels).save(photo, quality=95)
    out = example("04_faces", model, photo, "--out", annotated).splitlines()
    assert out[0] == "2 faces" and len(out) == 3
    assert Image.open(annotated).size == (320, 240)
    assert np.asarray(Image.open(annotated)).std() > 0


def test_pipeline():
    first, second = example("05_pipeline", 720).splitlines()
    produced, in_flight, cancelled, completed = map(int, re.findall(r"\d+", first))
    assert 720 <= produced <= 720 + 8 and in_flight == cancelled + completed <= 8
    right, of = map(int, re.findall(r"\d+", second))
    assert (right, of) == (2 * 357, 720)  # each held-out digit twice; 357 is PyTorch's count


def test_policy():
    *runs, last = example("06_policy").splitlines()
    in_order, ended, in_time = map(int, re.findall(r"\d+", last))
    assert len(runs) == ended == 64 and 1 <= in_order <= 64 and in_time <= 64
    deadlines = [float(re.search(r"deadline after +([\d.]+) ms", run)[1]) for run in runs]
    assert sorted(deadlines) == [2 + 0.5 * turn for turn in range(64)]


def test_periodic():
    controller, eye, digits = example("07_periodic").splitlines()
    counts = {line.split(":")[0]: list(map(int, re.findall(r"(\d+) [cdr]", line))) for line in (controller, eye)}
    assert counts["controller"][0] + counts["controller"][2] > 0 and counts["controller"][1] == 0
    assert counts["eye"][0] >= 100 and counts["eye"][2] == 0
    right, seen = map(int, re.findall(r"\d+", digits))
    assert seen >= 100 and right >= seen - 6  # PyTorch is wrong about 3 of 360, which may come twice


def test_demo():
    out = example("00_demo", "examples/data", 0.5)
    for right in ("357 right, 99.17%", "358 right, 99.44%", "354 right, 98.33%"):
        assert right in out
    for network in ("resnet18", "mobilenet_v2", "squeezenet1_1"):
        assert re.search(rf"{network} +[1-9]\d* runs +p50", out)
    assert " 0 failed" in out
