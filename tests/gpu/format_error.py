"""How far a network's scores are from float32's only because of the number format: FORMAT_ERROR of
gpu_networks.py is what this prints.

    build/venv/bin/python tests/gpu/format_error.py [NETWORK...]

ONNX Runtime runs each network on the CPU in float32, once as it is and once with the operands of every
convolution, matrix product and recurrent layer rounded to the format's bits of mantissa (of a recurrent layer but
the states from step to step). None of libhsched's own arithmetic takes part: what its GPU kernels err beyond this is
theirs.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "common"))
import hsched  # noqa: E402
from gpu_networks import ZOO, logits  # noqa: E402

# tf32 and float16 have 10 bits of mantissa, bfloat16 has 7.
FORMATS = {"fp16": (onnx.TensorProto.FLOAT16, 13), "bf16": (onnx.TensorProto.BFLOAT16, 16)}
SEEDS = range(3)


def round_weights(tensor, bits):
    """To the nearest number that has `bits` bits of mantissa less than float32."""
    words = onnx.numpy_helper.to_array(tensor).astype(np.float32).view(np.uint32).astype(np.uint64)
    words = (words + (1 << (bits - 1))) >> bits << bits
    return onnx.numpy_helper.from_array(words.astype(np.uint32).view(np.float32), tensor.name)


def rounded(model, format, bits):
    """A copy of the model that rounds the operands of its products."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes, names = [], {}
    for node in model.graph.node:
        if node.op_type in ("Conv", "Gemm", "MatMul", "LSTM", "GRU"):
            for name in node.input[1:3 if node.op_type in ("LSTM", "GRU") else 2]:
                if name in weights:
                    weights[name].CopyFrom(round_weights(weights[name], bits))
            x = node.input[0]
            if x not in names:
                names[x] = x + ".rounded"
                nodes += [onnx.helper.make_node("Cast", [x], [x + ".short"], to=format),
                          onnx.helper.make_node("Cast", [x + ".short"], [names[x]], to=onnx.TensorProto.FLOAT)]
            node.input[0] = names[x]
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def session(model):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def infer(session, seed):
    entry = session.get_inputs()[0]
    rng = np.random.default_rng(seed)
    tokens = entry.type == "tensor(int64)"
    x = rng.integers(0, 2, entry.shape) if tokens else rng.uniform(-1, 1, entry.shape).astype(np.float32)
    return logits(session.run(None, {entry.name: x})[0])


def main():
    program = str(hsched.ROOT / os.environ.get("BUILD", "build") / "hsched")
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:] or ZOO:
            path = os.path.join(folder, "model.onnx")
            subprocess.run([program, "export", name, path], check=True)
            model = onnx.load(path)
            exact = [infer(session(model), seed) for seed in SEEDS]
            errors = []
            for format, bits in FORMATS.values():
                short = session(rounded(model, format, bits))
                errors.append(max(hsched.relative_error(infer(short, s), e) for s, e in zip(SEEDS, exact)))
            print('    "{}": {{"default": {:.2g}, "fp16": {:.2g}, "bf16": {:.2g}}},'.format(
                name, errors[0], *errors), flush=True)


if __name__ == "__main__":
    main()
