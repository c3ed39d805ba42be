"""Operators one by one beside ONNX Runtime: one thread each, in one process, in turn.

    make bench-ops                       every operator of docs/operators.md that becomes steps
    make bench-ops ONLY='Conv|Pool'      those whose line matches (a regular expression)

Prints a table and writes build/bench-ops.json: medians, and the median of the ratios of neighbouring
turns, our time divided by ONNX Runtime's: below 1 is faster than ONNX Runtime. Outputs are compared
first; one that differs ends the run with status 1.
"""
import argparse
import gc
import json
import os
import pathlib
import re
import statistics
import sys
import tempfile
import time

import numpy as np
import onnx
import onnx.numpy_helper
import onnxruntime as ort
from onnx import helper

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "common"), str(ROOT / "tests" / "bench")]
import hsched  # noqa: E402
import op_cases  # noqa: E402
import peers_onnxruntime  # noqa: E402
import repeat  # noqa: E402

ORT = ort.capi.onnxruntime_pybind11_state
SLOW = 1.5
TURN_S = 500e-6  # calls are repeated for so long before the other has its turn


class Incomparable(Exception):
    """ONNX Runtime has no kernel for it."""


def random(rng, tensor):
    if np.dtype(tensor.dtype).kind == "f":
        return rng.uniform(tensor.low, tensor.high, tensor.shape).astype(tensor.dtype)
    return rng.integers(int(tensor.low), int(tensor.high), tensor.shape).astype(tensor.dtype)


def build(case, seed=3):
    """The model of one operator, and what it is fed with."""
    rng = np.random.default_rng(seed)
    names, feed, constants = [], {}, []
    for i, tensor in enumerate(case.inputs):
        names.append(f"x{i}" if tensor is not None else "")
        if tensor is None:
            continue
        array = tensor.values if isinstance(tensor.values, np.ndarray) else random(rng, tensor)
        if tensor.values is None:
            feed[names[-1]] = hsched.aligned(array)
        else:
            constants.append(onnx.numpy_helper.from_array(array, names[-1]))
    attributes = dict(case.attributes)
    if "to" in attributes:
        attributes["to"] = helper.np_dtype_to_tensor_dtype(np.dtype(attributes["to"]))
    outputs = [f"y{i}" for i in range(case.outputs)]
    graph = helper.make_graph(
        [helper.make_node(case.op, names, outputs, **attributes)], "one",
        [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
         for n, a in feed.items()],
        [helper.make_empty_tensor_value_info(n) for n in outputs], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", case.opset)], ir_version=10)
    return model, feed


def agree(ours, theirs):
    if ours.dtype != theirs.dtype or ours.shape != theirs.shape:
        return False
    if theirs.dtype.kind != "f":
        return np.array_equal(ours, theirs)
    return hsched.relative_error(ours, theirs) < 1e-4


def seconds(turn, times):
    """Of all threads of the process: what else the machine does meanwhile does not count."""
    start = time.process_time()
    turn(times)
    return (time.process_time() - start) / times


def in_turn(ours, theirs, budget_s):
    """Medians of both and of the ratios of neighbouring turns."""
    times = []
    for turn in (ours, theirs):
        once = min(seconds(turn, 1) for _ in range(3))
        times.append(min(max(1, int(TURN_S / once)), 20))
    pairs, end = [], time.perf_counter() + budget_s
    while len(pairs) < 9 or time.perf_counter() < end:
        pairs.append((seconds(ours, times[0]), seconds(theirs, times[1])))
    return (*map(statistics.median, zip(*pairs)), statistics.median(a / b for a, b in pairs))


def measure(case, budget_s):
    """The row of a case; raises hsched.HschedError and ValueError (outputs differ)."""
    model, feed = build(case)
    with tempfile.TemporaryDirectory() as folder, hsched.Runtime(cpu_workers=1) as runtime:
        path = pathlib.Path(folder) / "one.onnx"
        path.write_bytes(model.SerializeToString())
        try:
            s = peers_onnxruntime.session(path, 1)
            expected = s.run(None, feed)
        except ORT.NotImplemented as error:
            raise Incomparable(str(error)) from error
        loaded = runtime.load(path)
        found = loaded.infer_exactly(feed)
        for output, theirs in zip(s.get_outputs(), expected):
            if not agree(found[output.name], theirs):
                raise ValueError(f"{output.name} is not what ONNX Runtime gives")
        their_call, _ = peers_onnxruntime.bound(s, feed, expected)
        ours_s, theirs_s, ratio = in_turn(repeat.of_model(loaded, feed).repeat, their_call.repeat, budget_s)
    gc.collect()
    return {"operator": case.op, "case": case.label, "hsched_us": ours_s * 1e6,
            "onnxruntime_us": theirs_s * 1e6, "ratio": ratio}


def operators():
    """Those of docs/operators.md that become steps."""
    page = (ROOT / "docs" / "operators.md").read_text()
    lines = page.partition("## Of domain")[0].splitlines()
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| ")]
    return [row[0] for row in table[1:]
            if set(row[2].replace(";", ",").replace(",", " ").split()) - {"folded", "always", "nothing"}]


def print_summary(rows, failed, alone, without):
    slow = sorted((r for r in rows if r["ratio"] > SLOW), key=lambda r: -r["ratio"])
    print(f"\n{len(rows)} cases, {len(slow)} slower than {SLOW} x ONNX Runtime's time, median ratio "
          f"{statistics.median(r['ratio'] for r in rows) if rows else 0:.2f}")
    for row in slow:
        print(f"  {row['ratio']:6.2f}  {row['operator']} {row['case']}")
    for line in failed:
        print(f"  failed  {line}")
    for line in alone:
        print(f"  not compared, ONNX Runtime has no kernel: {line}")
    if without:
        print("  without a case: " + ", ".join(without))


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="cases whose line matches this regular expression")
    parser.add_argument("--seconds", type=float, default=0.4, help="of taking turns for each case")
    parser.add_argument("--json", type=pathlib.Path, default=hsched.BUILD / "bench-ops.json")
    a = parser.parse_args(arguments)
    # One processor for both: with two, every run would wake another, whose caches are cold.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo")
                if line.startswith("model name")), "unknown")
    machine = f"one core of {cpu}"
    print(f"{machine}; ONNX Runtime {ort.__version__}; libhsched {hsched.LIB.hsched_version().decode()}\n")
    print(f"{'operator':26}{'case':42}{'hsched us':>11}{'ONNX Runtime us':>17}{'ratio':>8}")
    rows, failed, alone = [], [], []
    for case in op_cases.CASES:
        line = f"{case.op} {case.label}"
        if not re.search(a.only, line):
            continue
        try:
            row = measure(case, a.seconds)
        except Incomparable as error:
            alone.append(f"{line}: {str(error).splitlines()[0]}")
            continue
        except (hsched.HschedError, ValueError, ORT.Fail, ORT.InvalidGraph) as error:
            failed.append(f"{line}: {error}")
            continue
        rows.append(row)
        print(f"{case.op:26}{case.label:42}{row['hsched_us']:11.1f}{row['onnxruntime_us']:17.1f}"
              f"{row['ratio']:8.2f}{'  slow' if row['ratio'] > SLOW else ''}", flush=True)
    known = {case.op for case in op_cases.CASES}
    without = [] if a.only else [op for op in operators() if op not in known]
    print_summary(rows, failed, alone, without)
    a.json.write_text(json.dumps({"machine": machine, "onnxruntime": ort.__version__, "cases": rows,
                                  "failed": failed, "alone": alone, "without": without}, indent=1))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
