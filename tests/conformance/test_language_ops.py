"""RotaryEmbedding, SwiGLU, TensorScatter, CausalConvWithState and LinearAttention against ONNX's reference."""
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import hsched


@pytest.fixture(scope="module")
def runtime():
    with hsched.Runtime(cpu_workers=1) as rt:
        yield rt


def floats(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def check(runtime, tmp_path, op, opset, inputs, outputs=("y",), constants=(), shapes=None, **attributes):
    """inputs: name -> array, in order; None: left out."""
    given = {n: a for n, a in inputs.items() if a is not None}
    feed = {n: a for n, a in given.items() if n not in constants}
    infos = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype),
                                           (shapes or {}).get(n, a.shape)) for n, a in feed.items()]
    dtype = helper.np_dtype_to_tensor_dtype(next(iter(given.values())).dtype)
    graph = helper.make_graph(
        [helper.make_node(op, [n if a is not None else "" for n, a in inputs.items()], outputs,
                          **attributes)], "g", infos,
        [helper.make_tensor_value_info(n, dtype, None) for n in outputs if n],
        [numpy_helper.from_array(given[n], n) for n in constants if n in given])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=11)
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    symbols = {d: feed[n].shape[k] for n, shape in (shapes or {}).items() for k, d in enumerate(shape)
               if isinstance(d, str)}
    ours = runtime.load(path, symbols=symbols).infer(feed)
    for info, theirs in zip(graph.output, ReferenceEvaluator(model).run(None, feed)):
        np.testing.assert_allclose(ours[info.name], theirs, rtol=1e-4, atol=1e-5, err_msg=info.name)


@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("part", [0, 4])
@pytest.mark.parametrize("flat", [0, 1])
@pytest.mark.parametrize("by_place", [0, 1])
@pytest.mark.parametrize("symbols", [0, 1])
def test_rotary(interleaved, part, flat, by_place, symbols, runtime, tmp_path):
    rng = np.random.default_rng(1)
    batch, heads, length, size = 2, 3, 5, 8
    x = floats(rng, batch, length, heads * size) if flat else floats(rng, batch, heads, length, size)
    rows = (11,) if by_place else (batch, length)
    cos, sin = floats(rng, *rows, (part or size) // 2), floats(rng, *rows, (part or size) // 2)
    places = rng.integers(0, 11, (batch, length)) if by_place else None
    shapes = None
    if symbols:
        shapes = {"x": ("B", "L", heads * size) if flat else ("B", heads, "L", size)}
        shapes |= {"places": ("B", "L")} if by_place else {
            n: ("B", "L", cos.shape[-1]) for n in ("cos", "sin")}
    check(runtime, tmp_path, "RotaryEmbedding", 23, {"x": x, "cos": cos, "sin": sin, "places": places},
          shapes=shapes, interleaved=interleaved, rotary_embedding_dim=part,
          **({"num_heads": heads} if flat else {}))


@pytest.mark.parametrize("attributes", [{}, {"alpha": 0.5}])
def test_swiglu(attributes, runtime, tmp_path):
    rng = np.random.default_rng(2)
    check(runtime, tmp_path, "SwiGLU", 28, {"a": floats(rng, 3, 5), "b": floats(rng, 3, 5)}, **attributes)


@pytest.mark.parametrize("mode", ["linear", "circular"])
@pytest.mark.parametrize("shape,axis,update", [((2, 6, 4), None, 3), ((3, 2, 7, 4), -2, 2),
                                               ((2, 5, 3, 2), 1, 5), ((2, 6), -1, 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_tensor_scatter(mode, shape, axis, update, dtype, runtime, tmp_path):
    rng = np.random.default_rng(3)
    at = (-2 if axis is None else axis) % len(shape)
    cache = (floats(rng, *shape) * 9).astype(dtype)
    new = (floats(rng, *shape[:at], update, *shape[at + 1:]) * 9).astype(dtype)
    room = shape[at] if mode == "circular" else shape[at] - update + 1
    for starts in (rng.integers(0, room, shape[0]), None):
        check(runtime, tmp_path, "TensorScatter", 24, {"cache": cache, "new": new, "starts": starts},
              mode=mode, **({} if axis is None else {"axis": axis}))


@pytest.mark.parametrize("activation", ["none", "silu", "swish"])
@pytest.mark.parametrize("past", [0, 1])
@pytest.mark.parametrize("bias", [0, 1])
def test_causal_conv(activation, past, bias, runtime, tmp_path):
    rng = np.random.default_rng(4)
    check(runtime, tmp_path, "CausalConvWithState", 27,
          {"x": floats(rng, 2, 5, 7), "w": floats(rng, 5, 1, 4), "b": floats(rng, 5) if bias else None,
           "past": floats(rng, 2, 5, 3) if past else None}, ("y", "state"), ("w", "b"),
          activation=activation)


@pytest.mark.parametrize("rule", ["linear", "gated", "delta", "gated_delta"])
@pytest.mark.parametrize("past", [0, 1])
@pytest.mark.parametrize("group,wide", [(1, 0), (3, 1)])
def test_linear_attention(rule, past, group, wide, runtime, tmp_path):
    """wide: a decay for each number of a key; else one for each head. Then beta is one for all."""
    rng = np.random.default_rng(5)
    batch, steps, heads, size, value_size = 2, 5, 2, 4, 3
    gated, corrected = "gated" in rule, "delta" in rule
    check(runtime, tmp_path, "LinearAttention", 27,
          {"q": floats(rng, batch, steps, heads * group * size), "k": floats(rng, batch, steps, heads * size),
           "v": floats(rng, batch, steps, heads * value_size),
           "past": floats(rng, batch, heads, size, value_size) if past else None,
           "decay": -np.abs(floats(rng, batch, steps, heads * (size if wide else 1))) if gated else None,
           "beta": np.abs(floats(rng, batch, steps, heads if wide else 1)) / 2 if corrected else None},
          ("y", "state"), shapes={"q": ("B", steps, heads * group * size)}, update_rule=rule,
          q_num_heads=heads * group, kv_num_heads=heads)
