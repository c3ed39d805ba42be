import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def shared_models():
    """As in tests/conftest.py, or those that travelled in the kit."""
    for folder in (ROOT.parent / "shared" / "models", ROOT / "kit" / "models"):
        if (folder / "face-rfb-320.onnx").exists():
            return folder
    pytest.skip("the face models are neither in ../shared/models nor in kit/models")
