#!/usr/bin/env python3
"""Trains the recurrent digit classifier in this folder, which reads an image row by row.

    pip install scikit-learn numpy onnx
    python3 train_digits_rows.py [FOLDER]

The data and the split are those of train_digits.py, whose test images it does not write again. The
network is a GRU over the 8 rows of 8 pixels and a fully connected layer on its last state; gradients
are written out below, so that NumPy is all that trains it. README.md describes the files.
"""

import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SPLIT_SEED = 20
SEED = 20
HIDDEN = 64
EPOCHS = 80
BATCH = 64
RATE = 4e-3
DECAY = 1e-2
OPSET = 13


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def new_parameters(rng):
    bound = HIDDEN ** -0.5
    shapes = {"W": (3 * HIDDEN, 8), "R": (3 * HIDDEN, HIDDEN), "Wb": (3 * HIDDEN,),
              "Rb": (3 * HIDDEN,), "F": (10, HIDDEN), "Fb": (10,)}
    return {name: rng.uniform(-bound, bound, shape) for name, shape in shapes.items()}


def forward(p, rows):
    """rows [8,N,8] -> probabilities [N,10], and what the way back needs of each step."""
    h, steps = np.zeros((rows.shape[1], HIDDEN)), []
    for x in rows:
        a, b = x @ p["W"].T + p["Wb"], h @ p["R"].T + p["Rb"]
        z, r = np.split(sigmoid(a[:, :2 * HIDDEN] + b[:, :2 * HIDDEN]), 2, axis=1)
        hidden = b[:, 2 * HIDDEN:]
        n = np.tanh(a[:, 2 * HIDDEN:] + r * hidden)
        steps.append((x, h, z, r, hidden, n))
        h = (1 - z) * n + z * h
    logits = h @ p["F"].T + p["Fb"]
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True), h, steps


def gradients(p, rows, labels):
    """Of the mean cross entropy."""
    probabilities, h, steps = forward(p, rows)
    d = probabilities.copy()
    d[np.arange(len(labels)), labels] -= 1
    d /= len(labels)
    g = {name: np.zeros_like(value) for name, value in p.items()}
    g["F"], g["Fb"] = d.T @ h, d.sum(0)
    dh = d @ p["F"]
    for x, before, z, r, hidden, n in reversed(steps):
        dn = dh * (1 - z) * (1 - n * n)
        dz = dh * (before - n) * z * (1 - z)
        dr = dn * hidden * r * (1 - r)
        da = np.concatenate([dz, dr, dn], 1)
        db = np.concatenate([dz, dr, dn * r], 1)
        g["W"] += da.T @ x
        g["Wb"] += da.sum(0)
        g["R"] += db.T @ before
        g["Rb"] += db.sum(0)
        dh = dh * z + db @ p["R"]
    return g


def shifted(images, rng):
    """Half of the images moved by up to one pixel in each direction, as writers do."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    moved = images.copy()
    for i in np.flatnonzero(rng.random(len(images)) < 0.5):
        row, column = rng.integers(0, 3, 2)
        moved[i] = padded[i, row:row + 8, column:column + 8]
    return moved


def train(images, labels):
    """AdamW with a rate that falls to 0."""
    rng = np.random.default_rng(SEED)
    p = new_parameters(rng)
    mean = {name: np.zeros_like(value) for name, value in p.items()}
    square = {name: np.zeros_like(value) for name, value in p.items()}
    steps, step = EPOCHS * -(-len(images) // BATCH), 0
    for _ in range(EPOCHS):
        order = rng.permutation(len(images))
        for start in range(0, len(order), BATCH):
            chosen = order[start:start + BATCH]
            g = gradients(p, shifted(images[chosen], rng).transpose(1, 0, 2), labels[chosen])
            step += 1
            rate = RATE * 0.5 * (1 + np.cos(np.pi * step / steps))
            for name, value in p.items():
                mean[name] += 0.1 * (g[name] - mean[name])
                square[name] += 0.001 * (g[name] ** 2 - square[name])
                change = mean[name] / (1 - 0.9 ** step)
                change /= np.sqrt(square[name] / (1 - 0.999 ** step)) + 1e-8
                value -= rate * (change + DECAY * value)
    return {name: value.astype(np.float32) for name, value in p.items()}


def export(p, path):
    """image [batch,1,8,8]: rows first, GRU, its last state, classes."""
    constants = {"rows": np.array([-1, 8, 8], np.int64), "W": p["W"][None], "R": p["R"][None],
                 "B": np.concatenate([p["Wb"], p["Rb"]])[None], "F": p["F"], "Fb": p["Fb"],
                 "first": np.array([0], np.int64)}
    nodes = [
        helper.make_node("Reshape", ["image", "rows"], ["image_rows"]),
        helper.make_node("Transpose", ["image_rows"], ["sequence"], perm=[1, 0, 2]),
        helper.make_node("GRU", ["sequence", "W", "R", "B"], ["", "states"],
                         hidden_size=HIDDEN, linear_before_reset=1),
        helper.make_node("Squeeze", ["states", "first"], ["state"]),
        helper.make_node("Gemm", ["state", "F", "Fb"], ["logits"], transB=1),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes, "digits-gru",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 8, 8])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 10])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    digits = load_digits()
    train_images, test_images, train_labels, test_labels = train_test_split(
        digits.images, digits.target, test_size=0.2, random_state=SPLIT_SEED,
        stratify=digits.target)
    p = train(train_images / 16, train_labels)
    probabilities = forward(p, (test_images / 16).transpose(1, 0, 2))[0]
    right = int((probabilities.argmax(1) == test_labels).sum())
    print(f"digits-gru: {right} of {len(test_labels)} held-out digits right "
          f"({100 * right / len(test_labels):.2f}%), {sum(v.size for v in p.values())} parameters")
    export(p, str(folder / "digits-gru.onnx"))
    np.save(folder / "digits-gru-expected.npy", probabilities.astype(np.float32))


if __name__ == "__main__":
    main()
