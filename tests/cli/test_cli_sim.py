"""hsched sim: platforms, networks and options; what it prints; its trace."""
import json

import pytest

import hsched
from trace_file import Trace

PLATFORMS = hsched.ROOT / "examples" / "platforms"
XAVIER, SERVER = PLATFORMS / "xavier.platform", PLATFORMS / "server-h100.platform"
CNN = hsched.ROOT / "examples" / "data" / "digits-cnn.onnx"


def status(program, *arguments):
    result = program("sim", *arguments, check=False)
    return result.returncode, result.stdout, result.stderr


def simulate(program, *arguments):
    return json.loads(program("sim", *arguments, "--json").stdout)


def test_text_says_that_it_is_simulated(program):
    out = program("sim", XAVIER, "alexnet:2").stdout
    assert out.startswith("SIMULATED on Jetson AGX Xavier class: costs from rates")
    for word in ("alexnet", "cost", "P99 MS", "CROSSINGS", "WORKERS BUSY", "cpu", "gpu"):
        assert word in out


def test_help_of_a_command(program):
    out = program("help", "sim").stdout
    assert out == program("sim", "--help").stdout and out.startswith("usage: hsched sim")
    result = program("help", "nonsense", check=False)
    assert result.returncode == 2 and "unknown command 'nonsense'" in result.stderr


def test_json(program):
    result = simulate(program, XAVIER, f"alexnet:2,{CNN}", "squeezenet1_1", "--iterations", 3)
    assert result["simulated"] is True and result["costs"] == "rates"
    assert [m["name"] for m in result["models"]] == ["alexnet", "digits-cnn", "squeezenet1_1"]
    assert [m["runs"] for m in result["models"]] == [6, 3, 3] and result["runs"] == 12
    for model in result["models"]:
        assert 0 < model["p50_us"] <= model["p99_us"] <= model["max_us"] <= result["makespan_us"]
    assert [d["kind"] for d in result["devices"]] == ["cpu", "gpu"]
    assert sum(d["jobs"] for d in result["devices"]) == result["jobs"]
    assert all(0 <= d["use"] <= 1 for d in result["devices"])


def test_the_same_twice_and_another_seed(program):
    arguments = XAVIER, "resnet50:3", "--policy", "layer_type", "--jitter", 0.3
    one, two = (simulate(program, *arguments, "--seed", 5) for _ in range(2))
    assert one == two
    assert simulate(program, *arguments, "--seed", 6)["makespan_us"] != one["makespan_us"]


def test_policies_and_precision(program):
    jobs = {}
    for policy in "cpu_only", "gpu_only", "layer_type":
        result = simulate(program, XAVIER, "resnet50", "--policy", policy)
        jobs[policy] = [d["jobs"] for d in result["devices"]]
        assert result["models"][0]["policy"] == policy
    assert jobs["cpu_only"][1] == 0 and jobs["gpu_only"] == [0, 1]
    assert min(jobs["layer_type"]) > 0
    time = {p: simulate(program, SERVER, "vgg16", "--precision", p)["makespan_us"]
            for p in ("strict", "default", "fp16")}
    assert time["strict"] > time["default"] > time["fp16"]


def test_joining(program):
    joined = simulate(program, SERVER, "resnet50:8")
    alone = simulate(program, SERVER, "resnet50:8", "--max-batch", 1)
    assert joined["jobs"] == alone["jobs"] == 8
    assert joined["makespan_us"] < alone["makespan_us"]


def test_loads(program):
    base = simulate(program, XAVIER, "alexnet")["makespan_us"]
    doubled = simulate(program, XAVIER, "alexnet", "--load", "gpu=2")["makespan_us"]
    late = simulate(program, XAVIER, "alexnet", "--load", f"gpu=2@{base / 2000}")["makespan_us"]
    never = simulate(program, XAVIER, "alexnet", "--load", "gpu=2@100000")["makespan_us"]
    over = simulate(program, XAVIER, "alexnet", "--load", "gpu=2", "--load", "gpu=1@0.5")
    assert base < late < doubled < 2 * base and never == base
    assert base < over["makespan_us"] < doubled


def test_loads_are_in_the_trace(program, tmp_path):
    path = tmp_path / "trace.json"
    end_ms = simulate(program, XAVIER, "alexnet", "--trace", path, "--load", "gpu=2.5@0.5", "--load",
                      "gpu=1@1", "--load", "gpu=3@100000")["makespan_us"] / 1000
    assert 1 < end_ms < 100000
    trace = Trace(path).check()
    gpu = [pid for pid, name in trace.processes().items() if name.startswith("device gpu")]
    assert [(e["pid"], e["ts"], e["args"]) for e in trace.of("C")] == [
        (gpu[0], 500, {"percent": 250}), (gpu[0], 1000, {"percent": 100})]


def test_periods_and_deadlines(program):
    slow = simulate(program, XAVIER, "alexnet", "--period", 100000, "--iterations", 5)
    assert slow["makespan_us"] > 400000 and slow["missed"] == 0
    busy = ["alexnet:4", "--period", 5000, "--iterations", 20, "--deadline", 20000]
    late = simulate(program, XAVIER, *busy)
    assert late["missed"] > 0 and late["dropped"] == 0 and late["runs"] == 80
    dropped = simulate(program, XAVIER, *busy, "--drop-late")
    assert dropped["dropped"] > 0 and dropped["runs"] + dropped["dropped"] == 80
    assert dropped["makespan_us"] < late["makespan_us"]


def test_what_the_dla_cannot_do_falls_back(program):
    result = simulate(program, PLATFORMS / "orin-dla.platform", "resnet50", "--policy", "gpu_only")
    jobs = {d["name"]: d["jobs"] for d in result["devices"]}
    assert jobs["dla"] >= 1 and jobs["gpu"] >= 1 and result["crossings"] >= 1
    # The crossing alone takes 2.5 ms.
    assert result["makespan_us"] > 2500


def test_trace(program, tmp_path):
    path = tmp_path / "trace.json"
    result = simulate(program, XAVIER, "resnet50:3", "--policy", "layer_type", "--deadline", 1000,
                      "--trace", path)
    trace = Trace(path).check()
    assert result["trace"] == str(path) and trace.document["otherData"]["clock"] == "simulated"
    assert len(trace.slices("job")) == result["jobs"] and len(trace.runs()) == 3
    devices = [name for name in trace.processes().values() if name.startswith("device ")]
    assert len(devices) == 2 and all("simulated, Jetson AGX Xavier class" in d for d in devices)
    assert len(trace.instants("deadline missed")) == result["missed"] == 3
    assert max(e["ts"] + e["dur"] for e in trace.slices("job")) == pytest.approx(
        result["makespan_us"], abs=0.01)
    assert "simulated" in program("sim", XAVIER, "mlp", "--trace", path).stdout.splitlines()[-1]


def test_costs_of_this_machine(program, tmp_path, monkeypatch):
    monkeypatch.setenv("HSCHED_CACHE_DIR", str(tmp_path))
    here = PLATFORMS / "this-machine.platform"
    code, out, err = status(program, here, "mlp")
    assert code == 3 and out == "" and "hsched profile" in err
    profiled = json.loads(program("profile", "mlp", "--policy", "cpu_only", "--repetitions", 3, "--json").stdout)
    result = simulate(program, here, "mlp")
    assert result["costs"] == "measured"
    # With all workers, as long as the whole run took with all of them, even where that is longer
    # than with one.
    run = max(profiled["models"][0]["runs"], key=lambda r: r["workers"])
    assert result["makespan_us"] == pytest.approx(run["median_us"], rel=0.01)


@pytest.mark.parametrize("arguments", [
    [], [XAVIER], [XAVIER, "mlp:0"], [XAVIER, "mlp:x"], [XAVIER, ":2"],
    [XAVIER, "mlp", "--load", "gpu"], [XAVIER, "mlp", "--load", "gpu=0"],
    [XAVIER, "mlp", "--load", "gpu=2@-1"], [XAVIER, "mlp", "--load", "=2"],
    [XAVIER, "mlp", "--load", "npu=2"], [XAVIER, "mlp", "--period", "0"],
    [XAVIER, "mlp", "--priority", "101"], [XAVIER, "mlp", "--priority", "1.5"],
    [XAVIER, "mlp", "--precision", "int8"], [XAVIER, "mlp", "--jitter", "1"],
    [XAVIER, "mlp", "--drop-late"], [XAVIER, "mlp", "--nonsense"],
])
def test_usage_errors(program, arguments):
    code, out, err = status(program, *arguments)
    assert code == 2 and out == "" and err.startswith("hsched: ")


def test_load_errors(program, tmp_path):
    bad = tmp_path / "bad.platform"
    bad.write_text("name = x\n[device cpu]\nkind = cpu\nspeed = 3\n")
    for arguments, said in [
        ([tmp_path / "none", "mlp"], "No such file"), ([bad, "mlp"], f"{bad}:4: 'speed' is not a key"),
        ([XAVIER, "no-such-network"], "hsched zoo"), ([XAVIER, __file__], "ONNX"),
        ([XAVIER, "mlp", "--policy", "fastest"], "use one of cpu_only, gpu_only"),
        ([XAVIER, "mlp", "--symbol", "width=3"], "width=3"),
    ]:
        code, out, err = status(program, *arguments)
        assert code == 3 and said in err and out == "", arguments
    code, out, err = status(program, XAVIER, "mlp", "--trace", tmp_path / "no" / "trace.json")
    assert code == 4 and "No such file" in err and out == ""


@pytest.fixture
def with_watts(tmp_path):
    text = (PLATFORMS / "orin-dla.platform").read_text()
    for device, watts, idle in ("cpu", 20, 3), ("dla", 4, 0.25), ("gpu", 30, 2):
        text = text.replace(f"[device {device}]\n", f"[device {device}]\nwatts = {watts}\nidle_watts = {idle}\n")
    path = tmp_path / "watts.platform"
    path.write_text(text)
    return path


def test_objectives(program, with_watts):
    results = {name: simulate(program, with_watts, "resnet50:6", "--objective", name)
               for name in ("makespan", "latency", "energy")}
    assert all(r["models"][0]["policy"] == "cost" for r in results.values())
    assert results["energy"]["joules"] < results["makespan"]["joules"]
    assert results["makespan"]["makespan_us"] < results["energy"]["makespan_us"]
    result = results["makespan"]
    assert abs(sum(d["joules"] for d in result["devices"]) - result["joules"]) < 1e-6
    out = program("sim", with_watts, "resnet50:6", "--objective", "energy").stdout
    assert "J a run" in out and "JOULES" in out


def test_power_cap(program, with_watts):
    free = simulate(program, with_watts, "resnet50:6", "--iterations", 5, "--policy", "cost")
    capped = simulate(program, with_watts, "resnet50:6", "--iterations", 5, "--power-cap", 15)
    assert 1e6 * free["joules"] / free["makespan_us"] > 20
    assert 1e6 * capped["joules"] / capped["makespan_us"] < 15.75


def test_objectives_that_cannot_be(program, with_watts):
    for arguments, expected, said in (
            (["--objective", "speed"], 2, "none of makespan, latency, energy and power_cap"),
            (["--objective", "power_cap"], 2, "go together"),
            (["--objective", "energy", "--power-cap", 20], 2, "go together"),
            (["--power-cap", 0], 2, "not a valid value"),
            (["--power-cap", 5], 2, "draw 5.25 W when they idle"),
            (["--objective", "energy", "--policy", "gpu_only"], 2, "no model has it")):
        code, _, err = status(program, with_watts, "alexnet", *arguments)
        assert code == expected and said in err
    code, _, err = status(program, XAVIER, "alexnet", "--objective", "energy")
    assert code == 3 and "add 'watts = ...'" in err
    assert simulate(program, XAVIER, "alexnet")["joules"] is None
