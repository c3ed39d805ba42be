import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "common"))
BUILD = ROOT / os.environ.get("BUILD", "build")


@pytest.fixture(scope="session")
def build():
    return BUILD


@pytest.fixture(scope="session")
def program():
    """Runs the hsched program: program("zoo") -> CompletedProcess."""
    def run(*arguments, check=True, **options):
        return subprocess.run([str(BUILD / "hsched"), *map(str, arguments)], check=check,
                              capture_output=True, text=True, timeout=600, **options)
    return run


@pytest.fixture(scope="session")
def shared_models():
    """Real models and photos that lie beside a checkout; they are not part of the project."""
    folder = ROOT.parent / "shared" / "models"
    if not folder.is_dir():
        pytest.skip("no folder ../shared/models with the face models beside this checkout")
    return folder
