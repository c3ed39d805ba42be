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


@pytest.mark.parametrize("kind", GATES)
def test_random_networks_agree(kind, tmp_path):
    path = tmp_path / "m.onnx"
    rng = np.random.default_rng(11)
    with hsched.Runtime(cpu_workers=2) as rt:
        for _ in range(40):
            model, feed = random_model(kind, rng)
            onnx.checker.check_model(model)
            onnx.save(model, path)
            session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
            names = [o.name for o in session.get_outputs()]
            ours = rt.load(path, symbols={"steps": len(feed["x"])}).infer(feed)
            for name, expected in zip(names, session.run(names, feed)):
                assert ours[name].shape == expected.shape, model.graph.node[0]
                assert np.abs(ours[name] - expected).max() < 2e-5, (name, model.graph.node[0])
