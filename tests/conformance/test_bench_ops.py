"""bench_ops.py works: it measures, compares, and says what is slow. How fast anything is, is not looked at."""
import json
import sys

import numpy as np
import pytest

import hsched

sys.path.append(str(hsched.ROOT / "tests" / "bench"))
import bench_ops  # noqa: E402
import op_cases  # noqa: E402


@pytest.fixture(autouse=True)
def every_processor():
    """The benchmark keeps the process on one."""
    before = bench_ops.os.sched_getaffinity(0)
    yield
    bench_ops.os.sched_setaffinity(0, before)


def test_cases_are_of_operators_that_become_steps():
    assert {case.op for case in op_cases.CASES} <= set(bench_ops.operators())


def test_lines_of_cases_differ():
    lines = [(case.op, case.label) for case in op_cases.CASES]
    assert len(lines) == len(set(lines))


def test_a_case_is_measured(tmp_path, capsys):
    out = tmp_path / "ops.json"
    assert bench_ops.main(["--only", "^Relu 1 ", "--seconds", "0.01", "--json", str(out)]) == 0
    (row,) = json.loads(out.read_text())["cases"]
    assert row["operator"] == "Relu" and row["hsched_us"] > 0 and row["onnxruntime_us"] > 0
    assert "Relu" in capsys.readouterr().out


def test_what_differs_is_an_error(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bench_ops, "agree", lambda ours, theirs: not np.array_equal(ours, theirs))
    out = tmp_path / "ops.json"
    assert bench_ops.main(["--only", "^Relu 1 ", "--seconds", "0.01", "--json", str(out)]) == 1
    assert "failed  Relu 1" in capsys.readouterr().out
    assert not json.loads(out.read_text())["cases"]


def test_what_is_slow_is_summed_up(capsys):
    row = {"operator": "Relu", "case": "1", "hsched_us": 3, "onnxruntime_us": 2, "ratio": 1.6}
    bench_ops.print_summary([row, row | {"ratio": 1.4}], [], ["SwiGLU 1"], ["Abs"])
    text = capsys.readouterr().out
    assert "2 cases, 1 slower" in text and "1.60  Relu 1" in text and "without a case: Abs" in text
    assert "ONNX Runtime has no kernel: SwiGLU 1" in text
