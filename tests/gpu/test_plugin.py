"""What packagers rely on of the GPU plug-in: what it exports, what it needs, where it is installed."""
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def sh(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def plugin(build):
    path = build / "libhsched_cuda.so"
    if not path.exists():
        pytest.skip("the GPU plug-in was not built: no nvcc or no cuDNN headers (make says which)")
    return path


def test_exports_its_entry_only(plugin):
    table = sh("nm", "-D", "--defined-only", str(plugin))
    assert [line.split()[-1] for line in table.splitlines()] == ["hsched_backend_entry"]


def test_is_linked_with_nothing_of_nvidia_or_the_library(plugin):
    needed = [line.split("[")[1].rstrip("]") for line in sh("readelf", "-d", str(plugin)).splitlines()
              if "(NEEDED)" in line]
    assert needed and all(name.startswith(("libc.", "libm.", "libdl.", "libpthread.", "libgcc", "ld-linux"))
                          for name in needed), needed


def test_is_installed_beside_the_library(plugin, build, tmp_path):
    def make(target):
        sh("make", "-C", str(ROOT), f"BUILD={build.relative_to(ROOT)}", f"PREFIX={tmp_path}",
           f"LIBDIR={tmp_path}/lib64", target)
    make("install")
    assert (tmp_path / "lib64/libhsched_cuda.so").stat().st_size == plugin.stat().st_size
    assert (tmp_path / "lib64/libhsched.so").exists()
    make("uninstall")
    assert not (tmp_path / "lib64/libhsched_cuda.so").exists()
