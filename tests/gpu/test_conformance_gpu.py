"""ONNX's own backend tests with the GPU doing what it can: as many pass as without it."""
import importlib.util
import pathlib
import re
import subprocess
import sys

import pytest

import gpu_machine

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.skipif(bool(gpu_machine.missing()), reason="no GPU")
@pytest.mark.skipif(importlib.util.find_spec("onnx") is None, reason="onnx cannot be imported")
def test_the_conformance_suite_on_the_gpu():
    run = subprocess.run([sys.executable, "tests/conformance/onnx_suite.py", "--device", "cuda"],
                         cwd=ROOT, capture_output=True, text=True, timeout=400)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    on_gpu = re.search(r"(\d+) of those that passed did so with steps on the GPU", run.stdout)
    assert on_gpu and int(on_gpu[1]) > 500, run.stdout[-1000:]
