"""What a user of the installed library relies on: pkg-config, SONAME, exported names, C++."""
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def sh(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory, build):
    folder = tmp_path_factory.mktemp("prefix")
    sh("make", "-C", str(ROOT), f"BUILD={build.relative_to(ROOT)}", f"PREFIX={folder}", "install")
    return folder


def pkg_config(prefix, *arguments):
    environment = {**os.environ, "PKG_CONFIG_PATH": str(prefix / "lib" / "pkgconfig")}
    return sh("pkg-config", *arguments, "hsched", env=environment).split()


@pytest.mark.parametrize("compiler", [["gcc", "-std=c99", "-x", "c"], ["g++", "-std=c++11", "-x", "c++"]])
def test_outside_program(prefix, tmp_path, compiler):
    program = tmp_path / "outside"
    sh(*compiler, "-Wall", "-Wextra", "-Werror", str(ROOT / "tests/abi/outside.c"), "-x", "none",
       "-o", str(program), *pkg_config(prefix, "--cflags", "--libs"),
       f"-Wl,-rpath,{prefix / 'lib'}")
    assert sh(str(program)).startswith("libhsched ")


def test_version_is_the_same_everywhere(prefix):
    header = (prefix / "include/hsched/hsched.h").read_text()
    version = re.search(r'HSCHED_VERSION_STRING "([^"]+)"', header).group(1)
    assert pkg_config(prefix, "--modversion") == [version]
    assert f"libhsched.so.{version}" == (prefix / "lib/libhsched.so").resolve().name
    dynamic = sh("readelf", "-d", str(prefix / "lib/libhsched.so"))
    assert re.search(r"SONAME.*\[libhsched\.so\.0\]", dynamic)


def test_only_public_names_are_exported(prefix):
    table = sh("nm", "-D", "--defined-only", str(prefix / "lib/libhsched.so"))
    names = {line.split()[-1].split("@")[0] for line in table.splitlines()} - {"HSCHED_0.1"}
    assert names and all(name.startswith("hsched_") for name in names), sorted(names)[:10]
    declared = set()
    for header in (ROOT / "include/hsched").glob("*.h"):
        declared |= set(re.findall(r"HSCHED_API[^;]*?\b(hsched_\w+)\(", header.read_text()))
    assert declared == names


def test_installed_program(prefix):
    out = sh(str(prefix / "bin/hsched"), "zoo")
    assert "resnet50" in out
    assert (prefix / "share/man/man1/hsched.1").exists()
    platform = prefix / "share/hsched/platforms/xavier.platform"
    assert "SIMULATED" in sh(str(prefix / "bin/hsched"), "sim", str(platform), "mlp")


def test_uninstall(prefix, build):
    sh("make", "-C", str(ROOT), f"BUILD={build.relative_to(ROOT)}", f"PREFIX={prefix}",
       "uninstall")
    left = [p for p in prefix.rglob("*") if p.is_file() or p.is_symlink()]
    assert left == []
