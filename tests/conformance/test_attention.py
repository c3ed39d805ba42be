"""Attention in random forms against ONNX's reference, and with sizes that are symbols."""
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

import hsched

TYPES = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.bool_): TensorProto.BOOL,
         np.dtype(np.int64): TensorProto.INT64}
OPTIONAL = ["mask", "past_key", "past_value", "lengths"]


@pytest.fixture(scope="module")
def runtime():
    with hsched.Runtime(cpu_workers=1) as rt:
        yield rt


def make(feed, opset, outputs, shapes=None, **attributes):
    names = ["q", "k", "v"] + [n if n in feed else "" for n in OPTIONAL]
    while not names[-1]:
        names.pop()
    inputs = [helper.make_tensor_value_info(n, TYPES[feed[n].dtype], (shapes or {}).get(n, feed[n].shape))
              for n in feed]
    results = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs if n]
    graph = helper.make_graph([helper.make_node("Attention", names, outputs, **attributes)], "attention",
                              inputs, results)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=11)


def check(runtime, tmp_path, model, feed, symbols=None):
    path = tmp_path / "attention.onnx"
    onnx.save(model, path)
    ours = runtime.load(path, symbols=symbols).infer(feed)
    if "mask" in feed:  # The reference does not repeat a mask for queries where it is causal.
        mask, queries = feed["mask"], feed["q"].shape[-2]
        shape = (*mask.shape[:-2], queries, mask.shape[-1])
        feed = feed | {"mask": np.ascontiguousarray(np.broadcast_to(mask, shape))}
    with np.errstate(all="ignore"):
        expected = ReferenceEvaluator(model).run(None, feed)
    for info, theirs in zip(model.graph.output, expected):
        assert ours[info.name].shape == theirs.shape
        np.testing.assert_allclose(ours[info.name], theirs, rtol=1e-4, atol=1e-4, err_msg=info.name)


def draw_mask(rng, batch, heads, queries, keys):
    shape = [batch, heads, queries, keys][rng.integers(0, 4):]
    shape = [1 if k + 1 < len(shape) and rng.random() < 0.3 else n for k, n in enumerate(shape)]
    mask = rng.random(shape) < 0.6
    if rng.random() < 0.5:
        return mask
    return np.where(mask, rng.standard_normal(shape), -np.inf).astype(np.float32)


@pytest.mark.parametrize("seed", range(120))
def test_random_forms(seed, runtime, tmp_path):
    rng = np.random.default_rng(seed)
    batch, key_heads, group = (int(rng.integers(1, 4)) for _ in range(3))
    queries, new_keys, past, size, value_size = (int(rng.integers(1, 7)) for _ in range(5))
    past *= rng.random() < 0.4
    heads, flat, opset = key_heads * group, rng.random() < 0.5, int(rng.choice([23, 24, 25]))

    def floats(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    def operand(count, length, width):
        return floats(batch, length, count * width) if flat else floats(batch, count, length, width)

    feed = {"q": operand(heads, queries, size), "k": operand(key_heads, new_keys, size),
            "v": operand(key_heads, new_keys, value_size)}
    attributes = {"q_num_heads": heads, "kv_num_heads": key_heads} if flat else {}
    outputs = ["y", "", "", ""]
    if rng.random() < 0.6:
        feed["mask"] = draw_mask(rng, batch, heads, queries, past + new_keys)
    if past:
        feed |= {"past_key": floats(batch, key_heads, past, size),
                 "past_value": floats(batch, key_heads, past, value_size)}
        outputs[1:3] = ["present_key", "present_value"]
    elif opset > 23 and rng.random() < 0.4:
        feed["lengths"] = rng.integers(0, new_keys + 1, batch)
    if rng.random() < 0.4:
        attributes["is_causal"] = 1
    if opset == 25 and rng.random() < 0.5:
        attributes |= {"left_window_size": int(rng.integers(-1, 3)),
                       "right_window_size": int(rng.integers(-1, 3))}
    if rng.random() < 0.3:
        attributes["scale"] = [0.3, 1.7][seed % 2]
    if rng.random() < 0.4:
        outputs[3], attributes["qk_matmul_output_mode"] = "scores", int(rng.integers(0, 4))
    # The reference caps the raw scores, too.
    if rng.random() < 0.3 and attributes.get("qk_matmul_output_mode"):
        attributes["softcap"] = 1.5
    while not outputs[-1]:
        outputs.pop()
    check(runtime, tmp_path, make(feed, opset, outputs, **attributes), feed)


@pytest.mark.parametrize("key_heads", [1, 2, 4])
@pytest.mark.parametrize("causal", [0, 1])
def test_symbols(key_heads, causal, runtime, tmp_path):
    rng = np.random.default_rng(5)
    feed = {n: rng.standard_normal((3, 6, 8 * h)).astype(np.float32)
            for n, h in [("q", 4), ("k", key_heads), ("v", key_heads)]}
    shapes = {n: ("batch", "length", 8 * h) for n, h in [("q", 4), ("k", key_heads), ("v", key_heads)]}
    model = make(feed, 23, ["y"], shapes, q_num_heads=4, kv_num_heads=key_heads, is_causal=causal)
    check(runtime, tmp_path, model, feed, {"batch": 3, "length": 6})


@pytest.mark.parametrize("q,k,attributes", [
    ((1, 2, 8), (1, 2, 8), {}), ((1, 3, 2, 4), (1, 2, 2, 4), {}), ((1, 2, 4), (1, 2, 2, 4), {}),
    ((1, 2, 2, 4), (1, 2, 2, 4), {"scale": -1.0}), ((1, 2, 2, 4), (1, 2, 2, 4), {"qk_matmul_output_mode": 4})])
def test_what_does_not_fit(q, k, attributes, runtime, tmp_path):
    feed = {"q": np.zeros(q, np.float32), "k": np.zeros(k, np.float32), "v": np.zeros(k, np.float32)}
    path = tmp_path / "attention.onnx"
    onnx.save(make(feed, 23, ["y"], **attributes), path)
    with pytest.raises(hsched.HschedError, match="Attention"):
        runtime.load(path)
