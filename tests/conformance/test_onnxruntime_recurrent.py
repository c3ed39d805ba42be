"""Random recurrent networks in ONNX Runtime: kinds, directions, lengths, initial states, outputs."""
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

import hsched

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def random_model(kind, rng):
    """A network of one node, and data for its inputs."""
    steps, batch, width, hidden = (int(rng.integers(1, n)) for n in (12, 9, 30, 50))
    direction = str(rng.choice(["forward", "reverse", "bidirectional"]))
    directions = 2 if direction == "bidirectional" else 1
    rows = GATES[kind] * hidden
    bound = hidden ** -0.5
    initializers, inputs, feed = [], [], {}
    names = ["x", "W", "R", "", "", "", ""]

    def constant(name, *shape):
        data = rng.uniform(-bound, bound, shape).astype(np.float32)
        initializers.append(onnx.numpy_helper.from_array(data, name))

    def fed(place, name, data, dtype=TensorProto.FLOAT, shape=None):
        names[place] = name
        inputs.append(helper.make_tensor_value_info(name, dtype, shape or data.shape))
        feed[name] = data

    fed(0, "x", rng.standard_normal((steps, batch, width)).astype(np.float32),
        shape=["steps", batch, width])
    constant("W", directions, rows, width)
    constant("R", directions, rows, hidden)
    if rng.random() < 0.7:
        constant("B", directions, 2 * rows)
        names[3] = "B"
    if rng.random() < 0.5:
        fed(4, "lengths", rng.integers(1, steps + 1, batch).astype(np.int32), TensorProto.INT32)
    for place, name in ((5, "h"), (6, "c")):
        if (name == "h" or kind == "LSTM") and rng.random() < 0.5:
            fed(place, name, rng.standard_normal((directions, batch, hidden)).astype(np.float32))
    while not names[-1]:
        names.pop()
    attributes = {"hidden_size": hidden, "direction": direction}
    if kind == "GRU":
        attributes["linear_before_reset"] = int(rng.integers(2))
    if kind == "LSTM":
        attributes["input_forget"] = int(rng.integers(2))
    if rng.random() < 0.3:
        attributes["clip"] = 0.5
    ranks = {"y": 4, "y_h": 3, "y_c": 3} if kind == "LSTM" else {"y": 4, "y_h": 3}
    used = [name for name in ranks if rng.random() < 0.6] or ["y"]
    node = helper.make_node(kind, names, [n if n in used else "" for n in ranks], **attributes)
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [None] * ranks[n]) for n in used]
    graph = helper.make_graph([node], "g", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    return model, feed


def agree(rt, path, model, feed):
    """With ONNX Runtime."""
    onnx.checker.check_model(model)
    onnx.save(model, path)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    ours = rt.load(path, symbols={"steps": len(feed["x"])}).infer(feed)
    for name, expected in zip(names, session.run(names, feed)):
        assert ours[name].shape == expected.shape, model.graph.node[0]
        assert np.abs(ours[name] - expected).max() < 2e-5, (name, model.graph.node[0])


@pytest.mark.parametrize("kind", GATES)
def test_random_networks_agree(kind, tmp_path):
    rng = np.random.default_rng(11)
    with hsched.Runtime(cpu_workers=2) as rt:
        for _ in range(40):
            agree(rt, tmp_path / "m.onnx", *random_model(kind, rng))


def written_out(kind, rng):
    """One that is no layer: with peepholes, or with weights that are inputs."""
    while True:
        model, feed = random_model(kind, rng)
        if feed["x"].shape[0] < 7:
            break
    graph, node = model.graph, model.graph.node[0]
    directions = 2 if onnx.helper.get_node_attr_value(node, "direction") == b"bidirectional" else 1
    hidden = onnx.helper.get_node_attr_value(node, "hidden_size")
    peepholes = kind == "LSTM" and rng.random() < 0.7
    if peepholes:
        data = rng.uniform(-1, 1, (directions, 3 * hidden)).astype(np.float32)
        node.input.extend([""] * (7 - len(node.input)) + ["P"])
        graph.initializer.append(onnx.numpy_helper.from_array(data, "P"))
    computed = [i for i in graph.initializer if rng.random() < 0.4]
    if not peepholes and not computed:
        computed = [graph.initializer[0]]
    for stored in computed:
        data = onnx.numpy_helper.to_array(stored)
        graph.initializer.remove(stored)
        graph.input.append(helper.make_tensor_value_info(stored.name, TensorProto.FLOAT, data.shape))
        feed[stored.name] = data
    return model, feed


@pytest.mark.parametrize("kind", GATES)
def test_networks_that_are_written_out_agree(kind, tmp_path):
    rng = np.random.default_rng(23)
    with hsched.Runtime(cpu_workers=2) as rt:
        for _ in range(25):
            agree(rt, tmp_path / "m.onnx", *written_out(kind, rng))


@pytest.mark.parametrize("kind", GATES)
def test_batches_first_and_of_any_size(kind, tmp_path):
    """Layout 1, which ONNX Runtime lacks: as the same network of layout 0 with its inputs turned."""
    rng = np.random.default_rng(31)
    rows, hidden = GATES[kind] * 5, 5
    feed = {"x": rng.standard_normal((3, 4, 6)).astype(np.float32),
            "W": rng.standard_normal((2, rows, 6)).astype(np.float32),
            "R": rng.standard_normal((2, rows, hidden)).astype(np.float32),
            "h": rng.standard_normal((2, 4, hidden)).astype(np.float32)}
    turned = {**feed, "x": feed["x"].swapaxes(0, 1), "h": feed["h"].swapaxes(0, 1)}
    results = []
    for layout, given in ((0, feed), (1, turned)):
        node = helper.make_node(kind, ["x", "W", "R", "", "", "h"], ["y", "y_h"], hidden_size=hidden,
                                direction="bidirectional", layout=layout, activations=[
                                    "HardSigmoid", "Tanh", "Softsign"][:{"LSTM": 3, "GRU": 2}.get(kind, 1)] * 2)
        shapes = {n: list(a.shape) for n, a in given.items()}
        shapes["x"][1 - layout] = shapes["h"][1 - layout] = "batch"
        graph = helper.make_graph(
            [node], "g", [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()],
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("y", "y_h")])
        path = tmp_path / "m.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8), path)
        with hsched.Runtime(cpu_workers=1) as rt:
            results.append(rt.load(path, symbols={"batch": 4}).infer(given))
        if layout == 0:
            expected = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, given)
            np.testing.assert_allclose(results[0]["y"], expected[0], atol=2e-5)
    np.testing.assert_array_equal(results[1]["y"], results[0]["y"].transpose(2, 0, 1, 3))
    np.testing.assert_array_equal(results[1]["y_h"], results[0]["y_h"].swapaxes(0, 1))


@pytest.mark.parametrize("name, shape", [("W", (1, 19, 6)), ("R", (2, 20, 5)), ("B", (1, 20)), ("n", (3,)),
                                         ("h", (1, 1, 5)), ("c", (1, 4, 4)), ("P", (1, 20))])
def test_shapes_that_do_not_fit(name, shape, tmp_path):
    shapes = {"x": (3, 4, 6), "W": (1, 20, 6), "R": (1, 20, 5), "B": (1, 40), "n": (4,), "h": (1, 4, 5),
              "c": (1, 4, 5), "P": (1, 15)}
    node = helper.make_node("LSTM", list(shapes), ["y"], hidden_size=5)
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info(
            n, TensorProto.INT32 if n == "n" else TensorProto.FLOAT, shape if n == name else s)
            for n, s in shapes.items()], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8), path)
    with hsched.Runtime(cpu_workers=1) as rt, pytest.raises(hsched.HschedError, match="fit|one for each"):
        rt.load(path)
