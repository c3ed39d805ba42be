"""make check-gpu: the tests that need a GPU, in parts that each end within a few minutes.

    BUILD=build python tests/gpu/check.py [PART[,PART...]]

Adds a row for each part to BUILD/gpu/check.json and ends with "N passed, N failed, N skipped".
"""
import glob
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import gpu_machine
import loads

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD", "build"))
LIMIT_S = 470  # of one part, most of which is its first program
TESTS = {
    "ops": ["gpu/test_ops", "gpu/test_transfers"],
    "graphs": ["gpu/test_graphs_gpu"],
    "runtime": ["gpu/test_runtime_gpu"],
    "onnx": ["tests/gpu/test_models_gpu.py"],
    "conformance": ["tests/gpu/test_conformance_gpu.py"],
    "sanitizer": ["gpu/test_ops", "gpu/test_transfers"],
    "two-gpus": ["tests/gpu/test_two_gpus.py"],
    "loads": [],  # programs that answer for themselves: loads.py
}
# Every step kind a few times: the tools slow kernels down by two orders of magnitude and more. Races are
# looked for in own kernels only.
SANITIZER = {
    "memcheck": {"HSCHED_TEST_STEPS": "4", "HSCHED_TEST_VARIANTS": "2"},
    "racecheck": {"HSCHED_TEST_STEPS": "4", "HSCHED_TEST_VARIANTS": "0", "HSCHED_TEST_OWN": "3"},
}


def sanitizer():
    """The path of compute-sanitizer, or None."""
    home = os.environ.get("CUDA_HOME", "/usr/local/cuda")
    places = [f"{home}/bin/compute-sanitizer", f"{home}/compute-sanitizer/compute-sanitizer",
              *sorted(glob.glob("/opt/nvidia/**/compute-sanitizer", recursive=True))]
    return shutil.which("compute-sanitizer") or next((p for p in places if os.path.isfile(p)), None)


def run_tests(tests, **environment):
    """(passed, failed, skipped) of tests/run.sh on them."""
    programs = [t if t.endswith(".py") else str(BUILD / "tests" / t) for t in tests]
    with tempfile.NamedTemporaryFile("r") as results:
        subprocess.run(["bash", "tests/run.sh", "only", *programs], cwd=ROOT,
                       env={**os.environ, "RESULTS": results.name, **environment})
        return tuple(map(int, results.read().split())) or (0, 1, 0)


def run_part(part):
    if part == "loads":
        return loads.run(ROOT / BUILD / "bench", sanitizer())
    if part != "sanitizer":
        return run_tests(TESTS[part], TEST_TIMEOUT=str(LIMIT_S))
    tool = sanitizer()
    if not tool:
        print("  skipped: compute-sanitizer is not on PATH, nor in $CUDA_HOME or /opt/nvidia")
        return 0, 0, 1
    counts = []
    for checker, few in SANITIZER.items():
        print(f"  compute-sanitizer {checker}", flush=True)
        counts.append(run_tests(TESTS[part], TEST_TIMEOUT=str(LIMIT_S // 2),
                                **few, UNDER=f"{tool} --tool {checker} --error-exitcode 99"))
    return tuple(map(sum, zip(*counts)))


def append(row):
    path = ROOT / BUILD / "gpu" / "check.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = json.loads(path.read_text()) if path.exists() else []
    path.write_text(json.dumps([*rows, row], indent=1) + "\n")


def main():
    parts = [p for text in sys.argv[1:] for p in text.split(",")] or list(TESTS)
    unknown = [p for p in parts if p not in TESTS]
    if unknown:
        sys.exit(f"check-gpu: no part is called {', '.join(unknown)}; PART={'|'.join(TESTS)}")
    why = os.environ.get("CUDA_MISSING", "") or gpu_machine.missing()
    if why:
        print(f"check-gpu: nothing to run: {why}")
        print(f"0 passed, 0 failed, {len(parts)} skipped")
        return 0
    gpu_machine.use_tuning_cache(ROOT, ROOT / BUILD / "gpu" / "cache")
    machine, total = gpu_machine.describe(), (0, 0, 0)
    print("{gpu} x {gpus}, driver {driver}, CUDA {cuda}, cuDNN {cudnn}".format(**machine))
    for part in parts:
        print(f"\n{part}", flush=True)
        start = time.monotonic()
        counts = run_part(part)
        append({"part": part, **dict(zip(("passed", "failed", "skipped"), counts)),
                "seconds": round(time.monotonic() - start, 1), "machine": machine})
        total = tuple(map(sum, zip(total, counts)))
    print("\n{} passed, {} failed, {} skipped".format(*total))
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main())
