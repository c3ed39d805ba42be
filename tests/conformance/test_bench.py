"""bench.py works: it finds networks, measures and compares. How fast anything is, is not looked at."""
import json
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import hsched

sys.path.append(str(hsched.ROOT / "tests" / "bench"))
import bench  # noqa: E402
import networks  # noqa: E402
import peers  # noqa: E402
import turns  # noqa: E402


@pytest.fixture
def figures(tmp_path):
    """Runs bench.py in one round; gives its figures."""
    def run(*arguments):
        out = tmp_path / "bench.json"
        bench.main(["--rounds", "1", "--mix", "none", "--json", str(out), *arguments])
        return json.loads(out.read_text())
    return run


@pytest.fixture
def old(tmp_path):
    """A network as old exporters have it: its weights are inputs, too. The batch is left open."""
    def value(name, *shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [value("x", "batch", 4), value("w", 4, 4)],
        [value("y", "batch", 4)],
        [onnx.numpy_helper.from_array(np.arange(16, dtype=np.float32).reshape(4, 4), "w")])
    path = tmp_path / "bench-test-old.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def test_networks_are_found_and_timed(figures, old, capsys):
    (single,) = figures("--models", f"digits-*,{networks.NOTHING},{old},no-such-*")["single"]
    rows = {row["network"]: row for row in single["rows"]}
    assert set(rows) == {"digits-cnn", "digits-gru", "digits-mlp", networks.NOTHING, old.stem}
    for row in rows.values():
        theirs = row["ONNX Runtime"]
        assert theirs["ratio"] == pytest.approx(theirs["ms"] / row["hsched_ms"])
    assert "no-such-*: no network has such a name" in capsys.readouterr().out


def test_loading_is_timed(figures, monkeypatch, tmp_path):
    monkeypatch.setenv("HSCHED_CACHE_DIR", str(tmp_path))
    figures_of = figures("--load", "--threads", "1,2", "--models", "digits-cnn")
    assert figures_of["single"] == figures_of["together"] == []
    assert [loading["threads"] for loading in figures_of["loads"]] == [1, 2]
    for loading in figures_of["loads"]:
        (row,) = loading["rows"]
        assert row["network"] == "digits-cnn"
        for name in ["libhsched", "cached", "ONNX Runtime"]:
            assert 0 < row[name]["load_ms"] < row[name]["first_run_ms"]
            assert row[name]["load_ratio"] == pytest.approx(row["ONNX Runtime"]["load_ms"] / row[name]["load_ms"])


def test_all_engines_read_a_network_that_is_fixed(old, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (network,) = networks.find([str(old)], folder)
    assert [list(x.shape) for x in network.feed.values()] == [[1, 4]]
    assert network.flops == 2 * 16
    assert [i.name for i in onnx.load(network.path).graph.input] == ["x"]


def test_an_engine_that_is_not_there_is_left_out(figures, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "peers_openvino", raising=False)
    found = figures("--models", networks.NOTHING, "--peers", "openvino,onnxruntime")
    assert list(found["peers"]) == ["ONNX Runtime"]
    out = capsys.readouterr().out
    assert "openvino is left out" in out and "pip install" in out and peers.REQUIREMENTS in out


def test_what_differs_is_not_timed(monkeypatch):
    class Wrong(bench.Ours):
        def outputs(self):
            return [y + 1 for y in super().outputs()]

    engine = type("Engine", (), {"TITLE": "wrong", "Session": Wrong})
    folder = hsched.BUILD / "bench"
    folder.mkdir(exist_ok=True)
    (network,) = networks.find(["digits-mlp"], folder)
    row = bench.measured(network, [engine], "default", 1, 1, turns.time.perf_counter)
    assert "outputs differ" in row["wrong"]["refused"] and "ms" not in row["wrong"]
    assert row["hsched_ms"] > 0


def test_engines_take_turns_that_begin_with_another_each_time(monkeypatch):
    monkeypatch.setattr(turns, "calls_in_a_sample", lambda call: 2)
    order, now = [], [0.0]

    def engine(name, seconds):
        def call():
            order.append(name)
            now[0] += seconds
        return call
    medians, ratios = turns.in_turn([engine("a", 1), engine("b", 3)], 3, clock=lambda: now[0])
    assert "".join(order) == "aabb" "bbaa" "aabb"
    assert medians == [1e3, 3e3] and ratios == [1, 3]


@pytest.mark.parametrize("count, cores, expected", [
    (4, 2, [(2, 1), (4, 1), (1, 2)]),
    (4, 16, [(4, 1), (4, 4), (2, 8), (1, 16)]),
    (16, 16, [(16, 1), (8, 2), (4, 4), (2, 8), (1, 16)]),
    (1, 1, [(1, 1)])])
def test_other_engines_may_share_out_the_cores_as_is_best_for_them(count, cores, expected):
    assert [(callers, threads) for _, callers, threads in bench.arrangements(count, cores)] == expected


def test_networks_at_once_are_timed(tmp_path, capsys):
    out = tmp_path / "bench.json"
    bench.main(["--rounds", "1", "--models", networks.NOTHING, "--mix", "digits-mlp:2,digits-cnn:1", "--json", str(out)])
    rows = json.loads(out.read_text())["together"]
    cores = len(bench.os.sched_getaffinity(0))
    assert len(rows) == 2 + len(list(bench.arrangements(3, cores)))
    assert "2 x digits-mlp + 1 x digits-cnn at once" in capsys.readouterr().out
