"""ONNX's own cases of Conv, ConvTranspose and Resize, whose weights, scales and sizes are inputs,
with these as constants."""
import os

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import hsched

os.environ.setdefault("ONNX_HOME", str(hsched.BUILD.resolve() / "onnx"))

from onnx.backend.test.loader import load_model_tests  # noqa: E402

PREFIXES = ("test_basic_conv", "test_conv_", "test_convtranspose", "test_resize", "test_upsample")
NEWEST = 21  # opsets above only list more types for these operators

CASES = [case for case in load_model_tests(kind="node") if case.name.startswith(PREFIXES)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case, tmp_path):
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    ((inputs, outputs),) = case.data_sets
    for item, value in list(zip(model.graph.input, inputs))[1:]:
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), item.name))
    first = model.graph.input[0].name
    del model.graph.input[1:]
    model.opset_import[0].version = min(model.opset_import[0].version, NEWEST)
    onnx.save(model, tmp_path / "case.onnx")
    (expected,) = outputs
    with hsched.Runtime(cpu_workers=1) as rt:
        (ours,) = rt.load(tmp_path / "case.onnx").infer(
            {first: inputs[0]}).values()
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, rtol=case.rtol, atol=max(case.atol, 1e-5))
