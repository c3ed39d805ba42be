"""Objectives, power caps and meters of the hsched program, with a tree of meters of its own."""
import json
import os

import pytest


@pytest.fixture
def meters(tmp_path):
    """A board with a rail for its CPU, 5 V and 1 A."""
    folder = tmp_path / "sys" / "class" / "hwmon" / "hwmon0"
    folder.mkdir(parents=True)
    for name, value in ("name", "ina3221"), ("in1_label", "VDD_CPU_CV"), ("in1_input", 5000), ("curr1_input", 1000):
        (folder / name).write_text(f"{value}\n")
    return environment(tmp_path)


def environment(folder):
    return os.environ | {"HSCHED_METERS_ROOT": str(folder), "HSCHED_CACHE_DIR": str(folder / "cache")}


def test_info_shows_meters(program, meters, tmp_path_factory):
    assert "power meter rail VDD_CPU_CV: 5.0 W" in program("info", "--no-gpu", env=meters).stdout
    device = json.loads(program("info", "--no-gpu", "--json", env=meters).stdout)["devices"][0]
    assert device["meter"] == {"name": "rail VDD_CPU_CV", "watts": 5.0, "use": None}
    without = environment(tmp_path_factory.mktemp("nothing"))
    assert "no power meter" in program("info", "--no-gpu", env=without).stdout
    assert json.loads(program("info", "--no-gpu", "--json", env=without).stdout)["devices"][0]["meter"] is None


def test_run_tells_energy(program, meters, tmp_path_factory):
    arguments = "run", "mlp", "--no-gpu", "--iterations", 50
    result = json.loads(program(*arguments, "--json", env=meters).stdout)
    joules = result["devices"][0]["joules"]
    assert abs(result["joules_per_run"] - joules / 50) < 1e-9
    assert joules >= 0.9 * 5 * result["elapsed_us"] / 1e6  # 5 W for at least as long
    out = program(*arguments, env=meters).stdout
    assert "J a run" in out and "JOULES" in out
    without = environment(tmp_path_factory.mktemp("nothing"))
    result = json.loads(program(*arguments, "--json", env=without).stdout)
    assert result["joules_per_run"] is None and result["devices"][0]["joules"] is None


def test_objectives(program, meters):
    run = "run", "mlp", "--no-gpu"
    for arguments in (["--objective", "latency"], ["--objective", "makespan", "--policy", "cost"],
                      ["--objective", "energy", "--device-watts", "cpu=10:1"],
                      ["--power-cap", 5, "--device-watts", "cpu=10:1", "--instances", 3]):
        assert json.loads(program(*run, *arguments, "--json", env=meters).stdout)["models"][0]["failed"] == 0


def test_a_profile_for_energy_measures_what_that_needs(program, meters, tmp_path_factory):
    profile = "profile", "mlp", "--no-gpu", "--repetitions", 1, "--seconds", 1, "--objective", "energy"
    energy = "run", "mlp", "--no-gpu", "--objective", "energy"
    assert program(*energy, check=False, env=meters).returncode == 4
    assert "cpu draws 5.00 W, 5.00 W when it idles" in program(*profile, env=meters).stdout
    program(*energy, env=meters)
    without = environment(tmp_path_factory.mktemp("nothing"))
    result = program(*profile, "--json", check=False, env=without)
    assert result.returncode == 4 and "what 'cpu' draws could not be measured" in result.stderr
    assert json.loads(result.stdout)["models"][0]["measured"] > 0  # times are kept all the same
    program(*profile, "--device-watts", "cpu=10:1", env=without)


@pytest.mark.parametrize("objective", [["--power-cap", 20], ["--objective", "power_cap", "--power-cap", 20]])
def test_a_profile_has_no_cap(program, meters, objective):
    result = program("profile", "mlp", "--no-gpu", *objective, check=False, env=meters)
    assert result.returncode == 2 and "leave out --power-cap" in result.stderr


@pytest.mark.parametrize("arguments, code, said", [
    (["--objective", "speed"], 2, "none of makespan, latency, energy and power_cap"),
    (["--objective", "power_cap"], 2, "go together"),
    (["--objective", "latency", "--power-cap", 5], 2, "go together"),
    (["--device-watts", "cpu"], 2, "not DEVICE=WATTS"),
    (["--device-watts", "cpu=5:6"], 2, "not DEVICE=WATTS"),
    (["--device-watts", "cpu=0"], 2, "not DEVICE=WATTS"),
    (["--objective", "energy"], 4, "of 'cpu' it is not known"),
    (["--objective", "latency", "--policy", "cpu_only"], 4, "HSCHED_POLICY_COST"),
    (["--device-watts", "tpu=5"], 4, "no device 'tpu'"),
    (["--power-cap", 1, "--device-watts", "cpu=10:1"], 4, "draw 1 W when they idle")])
def test_what_cannot_be(program, meters, arguments, code, said):
    result = program("run", "mlp", "--no-gpu", *arguments, check=False, env=meters)
    assert result.returncode == code and said in result.stderr
