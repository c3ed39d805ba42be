"""The hsched program: exit statuses, files in and out, JSON, what terminals see."""
import json
import os
import pty
import re
import stat
import subprocess

import numpy as np
import onnx
import pytest

import hsched
from trace_file import Trace

DATA = hsched.ROOT / "examples" / "data"
CNN = DATA / "digits-cnn.onnx"
COMMANDS = ["run", "info", "inspect", "verify", "profile", "plan", "sim", "bench", "export", "zoo"]


def status(program, *arguments, **options):
    result = program(*arguments, check=False, **options)
    return result.returncode, result.stdout, result.stderr


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """All held-out digits as one float input, and what PyTorch made of them."""
    path = tmp_path_factory.mktemp("digits") / "digits.npy"
    np.save(path, np.load(DATA / "digits-test-images.npy")[:, None].astype(np.float32) / 16)
    return path, np.load(DATA / "digits-cnn-expected.npy")


@pytest.mark.parametrize("command", COMMANDS)
def test_help(program, command):
    code, out, err = status(program, command, "--help")
    assert code == 0 and err == ""
    assert out.startswith(f"usage: hsched {command}") and "exit status:" in out
    assert command in program("--help").stdout
    # Two blanks come before a text, or it is on the next line.
    for line in re.findall(r"^  --.*", out, re.M):
        assert re.fullmatch(r"  --\S+( \S+( or \S+)?)?(  +\S.*)?", line), line


@pytest.mark.parametrize("arguments", [
    [], ["nonsense"], ["run"], ["run", "mlp", "--nonsense"], ["run", "mlp", "--iterations"],
    ["run", "mlp", "--iterations", "0"], ["run", "mlp", "--iterations", "1x"],
    ["run", "mlp", "--workers", "-1"], ["run", "mlp", "--policy", "fast"],
    ["run", "mlp", "--sim", "conv"], ["run", "mlp", "--sim", "shoes:3"],
    ["run", "mlp", "--sim", "conv:0"], ["run", "mlp", "--symbol", "batch"],
    ["run", "mlp", "--symbol", "batch=-1"], ["run", "mlp", "--libraries", "mkl"],
    ["run", "mlp", "--mean", "1,2"], ["run", "mlp", "--json=1"], ["run", "mlp", "--input", "x=y.npy"],
    ["inspect"], ["inspect", "mlp", "mlp"], ["verify"], ["verify", "mlp", "--tolerance", "0"],
    ["profile"], ["profile", "mlp", "--seconds", "0"], ["profile", "mlp", "--repetitions", "0"],
    ["bench"], ["bench", "nonsense"], ["bench", "--json", "x"],
    ["verify", "mlp", "--tolerance", "nan"], ["export", "mlp"], ["zoo", "mlp"], ["info", "mlp"],
])
def test_usage_errors(program, arguments):
    code, out, err = status(program, *arguments)
    assert code == 2
    # Without any argument the help is printed; else what is wrong, and nothing that looks like a result.
    assert "usage:" in out if not arguments else err.startswith("hsched: ") and out == ""


@pytest.mark.parametrize("arguments, said", [
    (["run", "no-such-network"], "hsched zoo"),
    (["inspect", __file__], "ONNX"),
    (["run", "mlp", "--symbol", "batch=2"], "batch"),
    (["verify", "mlp", "--tap", "no-such-tensor"], "no-such-tensor"),
    (["run", "mlp", "--input", "no-such-file.npy"], "no-such-file.npy"),
    (["run", "mlp", "--input", DATA / "digits-test-images.npy"], "[360,8,8]"),
    (["run", "mlp", "--input", __file__], ".npy"),
])
def test_load_errors(program, arguments, said):
    code, out, err = status(program, *arguments)
    assert code == 3 and said in err and out == ""


def test_what_cannot_be_written(program, tmp_path):
    occupied = tmp_path / "file"
    occupied.write_text("")
    assert status(program, "run", "mlp", "--output", occupied)[0] == 4
    code, out, err = status(program, "run", "mlp", "--trace", tmp_path / "no" / "trace.json")
    assert code == 4 and "No such file" in err and out == ""
    assert status(program, "export", "mlp", tmp_path / "no" / "folder.onnx")[0] == 4
    pipe, link, target = tmp_path / "pipe", tmp_path / "link", tmp_path / "target.onnx"
    os.mkfifo(pipe)
    assert status(program, "export", "mlp", pipe)[0] == 4
    assert stat.S_ISFIFO(pipe.stat().st_mode)  # and not replaced by a file
    target.write_text("")
    link.symlink_to(target)
    assert status(program, "export", "mlp", link)[0] == 0
    assert link.is_symlink() and target.stat().st_size > 1000
    with open("/dev/full", "w") as full:
        result = subprocess.run([str(hsched.BUILD / "hsched"), "zoo"], stdout=full,
                                stderr=subprocess.PIPE, timeout=60)
    assert result.returncode == 4 and b"standard output" in result.stderr


def test_outputs_are_those_of_pytorch(program, digits, tmp_path):
    path, expected = digits
    program("run", CNN, "--symbol", "batch=360", "--input", f"image={path}", "--output", tmp_path,
            "--iterations", 2, "--instances", 2)
    made = np.load(tmp_path / "probabilities.npy")
    assert made.dtype == np.float32 and made.shape == expected.shape
    assert hsched.relative_error(made, expected) < 1e-5


def test_several_models_get_folders(program, tmp_path):
    program("run", "mlp", CNN, "mlp", "--output", tmp_path, "--iterations", 1)
    made = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.npy"))
    assert made == ["digits-cnn/probabilities.npy", "mlp-2/output.npy", "mlp/output.npy"]
    # The same network, seed and input.
    one, two = (np.load(tmp_path / folder / "output.npy") for folder in ("mlp", "mlp-2"))
    assert (one == two).all() and abs(one.sum() - 1) < 1e-5


def test_folders_hide_no_network(program, tmp_path):
    # run --output . makes folders that are called like the networks.
    for _ in range(2):
        program("run", "mlp", CNN, "--output", ".", "--iterations", 1, cwd=tmp_path)
    assert (tmp_path / "mlp" / "output.npy").exists()
    code, _, err = status(program, "inspect", tmp_path)
    assert code == 3 and "not a regular file" in err


def test_outputs_of_similar_names(program, tmp_path):
    model = onnx.helper.make_model(onnx.helper.make_graph(
        [onnx.helper.make_node("Relu", ["x"], ["../a"]), onnx.helper.make_node("Neg", ["x"], [".._a"])],
        "names", [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [4])],
        [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [4]) for name in ("../a", ".._a")]),
        opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", np.array([-1, 2, -3, 4], np.float32))
    program("run", tmp_path / "m.onnx", "--input", tmp_path / "x.npy", "--output", tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["_._a-2.npy", "_._a.npy"]
    assert np.load(tmp_path / "out" / "_._a.npy").tolist() == [0, 2, 0, 4]
    assert np.load(tmp_path / "out" / "_._a-2.npy").tolist() == [1, -2, 3, -4]


def test_seed(program, tmp_path):
    for name, seed in ("a", 5), ("b", 5), ("c", 6):
        program("run", "mlp", "--seed", seed, "--output", tmp_path / name, "--iterations", 1)
    a, b, c = (np.load(tmp_path / name / "output.npy") for name in "abc")
    assert (a == b).all() and (a != c).any()


@pytest.mark.parametrize("order", [["mlp", CNN], [CNN, "mlp"]])
def test_symbols_of_one_of_several_models(program, tmp_path, order):
    program("run", *order, "--symbol", "batch=3", "--iterations", 1, "--output", tmp_path)
    assert np.load(tmp_path / "digits-cnn" / "probabilities.npy").shape == (3, 10)
    code, out, err = status(program, "run", *order, "--symbol", "batch=3", "--symbol", "height=4")
    assert code == 3 and "height=4" in err and out == ""
    for command in ["inspect"], ["verify"], ["export"]:
        code, _, err = status(program, *command, CNN, *([tmp_path / "m.onnx"] * (command == ["export"])),
                              "--symbol", "height=4")
        assert code == 3 and "height=4" in err
    assert not (tmp_path / "m.onnx").exists()


def test_run_json(program):
    result = json.loads(program("run", "mlp", CNN, "--instances", 3, "--iterations", 4,
                                "--workers", 2, "--json").stdout)
    assert [m["name"] for m in result["models"]] == ["mlp", "digits-cnn"]
    for model in result["models"]:
        assert model["succeeded"] == 12 and model["failed"] == 0
        latency = model["latency_us"]
        assert 0 < latency["p50"] <= latency["p99"] <= latency["max"]
        assert 0 < latency["mean"] <= latency["max"] and model["runs_per_second"] > 0
        assert [w["device"] for w in model["where"]] == [0] and model["where"][0]["steps"] > 0
    (cpu,) = result["devices"]
    assert cpu["name"] == "cpu" and cpu["workers"] == 2
    # Jobs of the measured runs only, at least one a run.
    assert 24 <= cpu["jobs"] <= cpu["steps"] and cpu["busy_us"] > 0
    assert cpu["steps"] == sum(12 * m["where"][0]["steps"] for m in result["models"])


def test_run_on_a_simulated_accelerator(program, tmp_path):
    result = json.loads(program("run", CNN, "--sim", "conv:1000", "--iterations", 3, "--json",
                                "--output", tmp_path / "sim").stdout)
    cpu, sim = result["models"][0]["where"]
    assert cpu["steps"] > 0 and sim["steps"] == 3  # the convolutions
    assert result["devices"][1]["name"] == "sim" and result["devices"][1]["steps"] == 9
    program("run", CNN, "--iterations", 1, "--output", tmp_path / "cpu")
    a, b = (np.load(tmp_path / f / "probabilities.npy") for f in ("sim", "cpu"))
    assert hsched.relative_error(a, b) < 1e-5
    only = json.loads(program("run", CNN, "--sim", "conv:1000", "--policy", "cpu_only",
                              "--iterations", 1, "--json").stdout)
    assert only["models"][0]["where"][1]["steps"] == 0


def test_run_trace(program, tmp_path):
    path = tmp_path / "trace.json"
    result = json.loads(program("run", "squeezenet1_1", "mlp", "--instances", 2, "--iterations", 3,
                                "--workers", 2, "--trace", path, "--json").stdout)
    trace = Trace(path).check()
    assert result["trace"]["dropped"] == trace.dropped == 0
    assert result["trace"]["events"] == trace.document["otherData"]["events"]
    assert len(trace.slices("job")) == sum(d["jobs"] for d in result["devices"])
    assert len(trace.slices("step")) == sum(d["steps"] for d in result["devices"])
    assert len(trace.runs()) == 12
    assert {"model squeezenet1_1", "model mlp", "device cpu"} <= set(trace.processes().values())
    assert {"worker 0", "worker 1"} <= set(trace.threads().values())
    steps = {e["name"] for e in trace.slices("step")}
    compiled = json.loads(program("inspect", "squeezenet1_1", "--workers", 2, "--json").stdout)
    assert {step["name"] for step in compiled["steps"]} <= steps
    # A chain: an arrow into each job but a run's first.
    assert len(trace.of("s", "flow")) >= len(trace.slices("job")) - 12


def test_run_trace_across_devices(program, tmp_path):
    path = tmp_path / "trace.json"
    result = program("run", CNN, "--sim", "conv:1000", "--iterations", 2, "--trace", path)
    trace = Trace(path).check()
    assert str(path) in result.stdout
    crossings = [e for e in trace.of("s", "flow") if e["name"] == "crossing"]
    assert crossings and all(e["args"]["bytes"] > 0 for e in crossings)
    assert sum(e["args"]["crossings"] for e in trace.slices("job")) >= len(crossings)
    assert {"device cpu", "device sim"} <= set(trace.processes().values())


def test_run_trace_without_room(program, tmp_path):
    path = tmp_path / "trace.json"
    result = program("run", "mlp", "--trace", path, "--trace-events", 2)
    trace = Trace(path)
    trace.check()
    assert trace.dropped > 0 and f"lacks {trace.dropped} events" in result.stderr
    assert trace.instants("events dropped from here on")
    # A disk that is full: the results are shown all the same.
    code, out, err = status(program, "run", "mlp", "--trace", "/dev/full")
    assert code == 4 and "No space left" in err and "mlp" in out


def test_verify(program, digits, tmp_path):
    path, _ = digits
    out = program("verify", CNN, "--symbol", "batch=360", "--input", path).stdout
    assert "steps agree within 0.0001" in out and "DIVERGES" not in out
    code, out, _ = status(program, "verify", CNN, "--tolerance", "1e-30")
    assert code == 1 and "first divergence: step 0 " in out
    code, out, _ = status(program, "verify", CNN, "--tolerance", "1e-30", "--json")
    result = json.loads(out)
    assert code == 1 and not result["agrees"] and result["steps"][0]["diverges"]


def test_verify_taps(program, tmp_path):
    result = json.loads(program("verify", "mlp", "--tap", "relu1", "--tap", "fc2", "--json",
                                "--output", tmp_path).stdout)
    assert result["agrees"] and [t["name"] for t in result["taps"]] == ["relu1", "fc2"]
    for tap in result["taps"]:
        values = np.load(tmp_path / f"{tap['name']}.npy")
        assert list(values.shape) == tap["shape"] == [1, 1024] and tap["not_finite"] == 0
        assert np.isclose(values.min(), tap["min"]) and np.isclose(values.max(), tap["max"])
        assert np.isclose(values.mean(), tap["mean"])
    assert not (tmp_path / "output.npy").exists()
    assert np.load(tmp_path / "relu1.npy").min() == 0 > np.load(tmp_path / "fc2.npy").min()


def test_profile(program, tmp_path, monkeypatch):
    monkeypatch.setenv("HSCHED_CACHE_DIR", str(tmp_path / "cache"))
    short = "profile", "mlp", "--workers", 2, "--repetitions", 3
    out = program(*short, "--no-save", "--tuning", "none").stdout
    assert "fc1+relu1" in out and "whole run" in out and "sum of steps" in out and "%" in out
    assert not (tmp_path / "cache").exists()
    program(*short, "--no-save")  # which kernels loading has found to be the fastest is kept
    assert not (tmp_path / "cache" / "costs.txt").exists()
    result = json.loads(program("profile", "mlp", CNN, "--workers", 2, "--repetitions", 3, "--json").stdout)
    assert [m["name"] for m in result["models"]] == ["mlp", "digits-cnn"]
    for model in result["models"]:
        assert model["measured"] > 0 and model["skipped"] == 0 and model["seconds"] > 0
        assert {s["workers"] for s in model["steps"]} == {1, 2}
        for entry in model["steps"] + model["sections"] + model["runs"]:
            assert entry["device"] == "cpu" and entry["samples"] == 3
            assert entry["median_us"] > 0 and entry["spread_us"] >= 0
        for run in model["runs"]:
            total = sum(s["median_us"] for s in model["steps"] if s["workers"] == run["workers"])
            assert run["sum_of"] == "steps" and run["sum_us"] == pytest.approx(total)
            assert run["difference"] == pytest.approx(total / run["median_us"] - 1)
        assert [(s["device"], s["jobs"]) for s in model["stretch"]] == [("cpu", 2)]
    lines = (tmp_path / "cache" / "costs.txt").read_text().splitlines()
    assert lines[0] == "hsched costs 2"
    assert sum(line.startswith("point\t") for line in lines) >= 2 * (4 + 1 + 1)


def test_models_are_known_whatever_their_files_are_called(program, tmp_path, monkeypatch):
    monkeypatch.setenv("HSCHED_CACHE_DIR", str(tmp_path))
    costs, counts = tmp_path / "costs.txt", []
    (tmp_path / "copy.onnx").write_bytes(CNN.read_bytes())
    for model, more in [(CNN, []), (tmp_path / "copy.onnx", []), (CNN, ["--symbol", "batch=2"]),
                        (CNN, ["--no-fusion"]), (CNN, ["--reference"]), (CNN, ["--libraries", "own"])]:
        program("profile", model, "--workers", 1, "--repetitions", 1, *more)
        counts.append(costs.read_text().count("point\t"))
    assert counts[0] == counts[1]  # the same model: measured anew, in place of what was there
    assert counts[1] < counts[2] < counts[3] < counts[4] < counts[5]


def test_packed_weights_are_kept(program, tmp_path, monkeypatch):
    monkeypatch.setenv("HSCHED_CACHE_DIR", str(tmp_path))
    run = ["run", "squeezenet1_1", "--iterations", 1, "--libraries", "own", "--tuning", "none", "--no-gpu"]
    program(*run)
    assert not (tmp_path / "packed-weights").exists()
    program(*run, "--cache-weights")
    files = sorted((tmp_path / "packed-weights").iterdir())
    assert files and all(f.suffix == ".packed" for f in files)
    written = [f.stat().st_ino for f in files]
    program(*run, "--cache-weights")
    assert [f.stat().st_ino for f in sorted((tmp_path / "packed-weights").iterdir())] == written


def test_profile_on_a_simulated_accelerator(program, tmp_path, monkeypatch):
    monkeypatch.setenv("HSCHED_CACHE_DIR", str(tmp_path))
    (model,) = json.loads(program("profile", CNN, "--sim", "conv:1000", "--repetitions", 2, "--json").stdout)["models"]
    # Pacing is by section; the steps between are those that only the CPU has.
    assert {s["device"] for s in model["steps"]} == {"cpu"}
    assert {s["device"] for s in model["sections"]} == {"cpu", "sim"}
    (model,) = json.loads(program("profile", "mlp", "--sim", "all:1000", "--policy", "gpu_only", "--repetitions",
                                  2, "--json").stdout)["models"]
    (run,) = [r for r in model["runs"] if r["device"] == "sim"]
    assert run["sum_of"] == "sections" and run["sum_us"] > 0


def test_profile_that_cannot_be_kept(program, tmp_path, monkeypatch):
    occupied = tmp_path / "file"
    occupied.write_text("")
    monkeypatch.setenv("HSCHED_CACHE_DIR", str(occupied / "folder"))
    code, out, err = status(program, "profile", "mlp", "--repetitions", 1)
    assert code == 4 and str(occupied) in err and out == ""


def test_inspect(program):
    result = json.loads(program("inspect", "squeezenet1_1", "--json").stdout)
    assert result["parameters"] == 1235496  # torchvision's
    assert sum(layer["parameters"] for layer in result["layers"]) == 1235496
    assert sum(layer["kind"] == "conv2d" for layer in result["layers"]) == 26
    assert result["macs"] == sum(layer["macs"] for layer in result["layers"])
    # The first convolution: 111*111 places, 64 filters of 3*3*3.
    assert result["layers"][0]["macs"] == 111 * 111 * 64 * 27
    assert 0 < len(result["steps"]) < len(result["layers"])
    assert result["packed_bytes"] >= 4 * 1235496 and result["arena_bytes"] > 0
    plain = json.loads(program("inspect", "squeezenet1_1", "--no-fusion", "--json").stdout)
    assert len(plain["steps"]) > len(result["steps"])
    text = program("inspect", "squeezenet1_1").stdout
    for word in ("fire9.concat", "classifier", "[1,64,111,111]", "1.24 M parameters"):
        assert word in text


def test_inspect_tells_what_an_accelerator_has_no_kernel_for(program):
    result = json.loads(program("inspect", CNN, "--sim", "conv:1000", "--json").stdout)
    assert {s["kind"] for s in result["steps"] if s["able"] == ["cpu", "sim"]} == {"conv2d"}
    others = [s for s in result["steps"] if s["able"] == ["cpu"]]
    assert len(others) > 0 and all(s["kind"] != "conv2d" for s in others)
    text = program("inspect", CNN, "--sim", "conv:1000").stdout.split("no kernel on sim\n")[1]
    assert [line.split()[1] for line in text.splitlines()] == [s["name"] for s in others]
    assert "no kernel" not in program("inspect", CNN).stdout


def test_info(program):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS")}
    result = json.loads(program("info", "--json", "--workers", 1, env=environment).stdout)
    assert result["devices"][0]["kind"] == "cpu" and result["devices"][0]["workers"] == 1
    assert result["cpus"] == len(os.sched_getaffinity(0)) and result["warnings"] == []
    assert "cpu" in [b["name"] for b in result["backends"]]
    environment["OPENBLAS_CORETYPE"] = "Haswell"
    assert "OPENBLAS_CORETYPE=Haswell" in program("info", env=environment).stdout
    warned = json.loads(program("info", "--json", env=environment).stdout)["warnings"]
    assert [w["variable"] for w in warned] == ["OPENBLAS_CORETYPE"]


def test_zoo(program):
    listed = json.loads(program("zoo", "--json").stdout)
    assert len(listed) == 23 and all(n["name"] and n["description"] for n in listed)


def write_npy(path, header, values, version=b"\x01\x00"):
    text = header.encode() + b"\n"
    length = len(text).to_bytes(2 if version[0] == 1 else 4, "little")
    path.write_bytes(b"\x93NUMPY" + version + length + text + values)


GOOD = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 784), }"


@pytest.mark.parametrize("header, values, version, said", [
    (GOOD, b"\0" * 3136, b"\x01\x00", None),
    ("{'shape': (1,784), 'descr': '<f4', 'fortran_order': False}", b"\0" * 3136, b"\x02\x00", None),
    (GOOD, b"\0" * 3135, b"\x01\x00", "ends before"),
    (GOOD, b"\0" * 3137, b"\x01\x00", "after its last"),
    (GOOD, b"\0" * 3136, b"\x09\x00", "version"),
    (GOOD.replace("<f4", ">f4"), b"\0" * 3136, b"\x01\x00", "big-endian"),
    (GOOD.replace("<f4", "<c8"), b"\0" * 3136, b"\x01\x00", "element type"),
    (GOOD.replace("False", "True"), b"\0" * 3136, b"\x01\x00", "row-major"),
    (GOOD.replace("(1, 784)", "(1, -784)"), b"\0" * 3136, b"\x01\x00", "shape"),
    (GOOD.replace("(1, 784)", "(1, 784"), b"\0" * 3136, b"\x01\x00", "shape"),
    (GOOD.replace("(1, 784)", "(4611686018427387904, 784)"), b"", b"\x01\x00", "8 GiB"),
    (GOOD.replace("(1, 784)", "(1,1,1,1,1,1,1,1,784)"), b"", b"\x01\x00", "8 dimensions"),
    ("{}", b"", b"\x01\x00", "element type"),
])
def test_npy_files(program, tmp_path, header, values, version, said):
    path = tmp_path / "x.npy"
    write_npy(path, header, values, version)
    code, _, err = status(program, "run", "mlp", "--input", path, "--iterations", 1)
    assert code == (0 if said is None else 3) and (said or "") in err


@pytest.mark.parametrize("size, said", [(100, ""), (5000, "Premature end")])
def test_a_photo_cut_off(program, shared_models, tmp_path, size, said):
    photo = tmp_path / "photo.jpg"
    photo.write_bytes((shared_models / "photo-4-faces.jpg").read_bytes()[:size])
    code, out, err = status(program, "run", "squeezenet1_1", "--input", photo, "--iterations", 1)
    assert code == 3 and f"{photo}: {said}" in err and out == ""


def test_a_folder_as_input(program, tmp_path):
    for name in "x.jpg", "x.npy":
        (tmp_path / name).mkdir()
        assert status(program, "run", "squeezenet1_1", "--input", tmp_path / name)[0] == 3


def test_progress_bar_on_a_terminal_only(program):
    assert "%" not in program("run", "mlp", "--iterations", 200).stderr
    try:
        reader, terminal = pty.openpty()
    except OSError:
        pytest.skip("this system gives no pseudo-terminals")
    process = subprocess.Popen([str(hsched.BUILD / "hsched"), "run", "mlp", "--iterations", "200"],
                               stdout=subprocess.DEVNULL, stderr=terminal)
    os.close(terminal)
    seen = b""
    while True:
        try:
            part = os.read(reader, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        seen += part
    os.close(reader)
    assert process.wait(timeout=60) == 0
    assert b"100%" in seen and seen.endswith(b"\r")


def test_export_with_a_number_for_a_symbol(program, tmp_path):
    path = tmp_path / "three.onnx"
    program("export", CNN, path)
    assert onnx.load(path).graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    program("export", CNN, path, "--symbol", "batch=3")
    assert onnx.load(path).graph.input[0].type.tensor_type.shape.dim[0].dim_value == 3
