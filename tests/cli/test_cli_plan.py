"""hsched plan: text, JSON and pictures; loads; measuring; what is wrong usage."""
import json
import re

import pytest

import hsched

CNN = hsched.ROOT / "examples" / "data" / "digits-cnn.onnx"
SIM = ["--workers", 2, "--sim", "conv:2000"]
REASONS = {"only_one", "policy", "cost", "without_costs", "unprepared", "after_loss"}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HSCHED_CACHE_DIR", str(tmp_path / "cache"))


def plan(program, *arguments):
    return json.loads(program("plan", *arguments, "--json", "-").stdout)


def expect_consistent(result):
    """What holds for every document."""
    sections, steps = result["sections"], result["steps"]
    names = [d["name"] for d in result["devices"]]
    assert [s["index"] for s in sections] == list(range(len(sections)))
    assert [s["index"] for s in steps] == list(range(len(steps)))
    for section in sections:
        own = [s for s in steps if s["section"] == section["index"]]
        assert [s["index"] for s in own] == list(range(section["first_step"],
                                                       section["first_step"] + section["steps"]))
        assert {s["device"] for s in own} == {section["device"]} <= set(names)
        assert section["reason"] in REASONS and section["reason_text"]
        if section["predicted_us"] is not None:
            assert sum(s["predicted_us"] for s in own) == pytest.approx(section["predicted_us"], rel=1e-6)
        other = section["runner_up"]
        assert other is None or other["device"] in set(names) - {section["device"]}
    crossings = result["crossings"]
    between = [c for c in crossings["list"] if c["from"] and c["to"]]
    assert len(between) == crossings["tensors"]
    assert sum(c["bytes"] for c in between if not c["there"]) == crossings["bytes"]
    assert sum(c["bytes"] for c in crossings["list"] if c not in between) == crossings["io_bytes"]
    for c in crossings["list"]:
        ends = [e["device"] if e else "cpu" for e in (c["from"], c["to"])]
        assert ends[0] != ends[1] and c["tensor"] and c["bytes"] > 0
    return result


def test_nothing_is_known_before_a_profile(program):
    result = expect_consistent(plan(program, CNN, *SIM, "--policy", "cost"))
    assert result["predicted_us"] is None and result["costs"] == "unknown"
    assert result["measured"] is None and result["profiled_us"] is None and result["candidates"] == 0
    assert {s["reason"] for s in result["sections"]} == {"only_one", "without_costs"}
    assert result["fallback"]["steps"] == sum(s["steps"] for s in result["sections"] if s["reason"] == "only_one")
    out = program("plan", CNN, *SIM, "--policy", "cost").stdout
    assert "predicted  unknown" in out and "`hsched profile` with this model" in out


def test_predicted_profiled_and_measured(program):
    program("profile", CNN, *SIM, "--policy", "layer_type", "--repetitions", 3)
    result = expect_consistent(plan(program, CNN, *SIM, "--policy", "layer_type", "--measure", 3))
    assert result["costs"] == "measured" and result["measured"]["runs"] == 3
    assert result["measured"]["tensors"] == result["crossings"]["tensors"] > 0
    assert result["measured"]["jobs"] == result["jobs"] == len(result["sections"])
    assert result["measured"]["difference"] == pytest.approx(
        result["predicted_us"] / result["measured"]["median_us"] - 1)
    # A chain: what it takes is what its parts take.
    parts = sum(s["predicted_us"] for s in result["sections"])
    assert result["predicted_us"] == pytest.approx(parts + result["crossings"]["us"], rel=1e-6)
    assert result["crossings"]["io_us"] >= 0  # of the parts
    assert {s["device"] for s in result["steps"] if s["kind"] == "conv2d"} == {"sim"}
    assert all(s["profiled_us"] > 0 for s in result["steps"] if s["device"] == "cpu")
    assert result["fallback"] == {"sections": 0, "steps": 0}  # what goes to the CPU does so by the rule
    for section in result["sections"]:
        if section["device"] == "sim":
            assert section["runner_up"]["device"] == "cpu" and section["reason"] == "policy"
            assert section["runner_up"]["difference_us"] == pytest.approx(
                section["runner_up"]["run_us"] - result["predicted_us"])
    out = program("plan", CNN, *SIM, "--policy", "layer_type", "--measure", 1).stdout
    for word in ("predicted", "measured", "fall back  0 of 7", "crossings", "RUNNER-UP", "REASON", "% of that off"):
        assert word in out


def test_loads(program):
    program("profile", CNN, *SIM, "--policy", "gpu_only", "--repetitions", 3)
    base, loaded = (plan(program, CNN, *SIM, "--policy", "gpu_only", "--load", f"sim={factor}")
                    for factor in (1, 3))
    sim = sum(s["predicted_us"] for s in base["sections"] if s["device"] == "sim")
    assert loaded["predicted_us"] - base["predicted_us"] == pytest.approx(2 * sim, rel=1e-6)
    assert [d["load"] for d in loaded["devices"]] == [1, 3]
    assert base["fallback"]["steps"] == 4
    # The simulated device computes with plain loops: so slow that nothing goes there.
    moved = plan(program, CNN, *SIM, "--policy", "cost", "--load", "sim=1000")
    assert {s["device"] for s in moved["sections"]} == {"cpu"} and moved["candidates"] > 0


def test_several_runs(program):
    program("profile", "mlp", "--workers", 2, "--repetitions", 3)
    one, four = (plan(program, "mlp", "--workers", 2, "--batch", n) for n in (1, 4))
    assert (one["batch"], four["batch"]) == (1, 4)
    assert four["predicted_us"] > one["predicted_us"] and four["profiled_us"] is None


def test_files(program, tmp_path):
    document, picture = tmp_path / "plan.json", tmp_path / "plan.dot"
    out = program("plan", CNN, *SIM, "--policy", "gpu_only", "--json", document, "--dot", picture).stdout
    assert out.startswith("digits-cnn: policy gpu_only")
    result = expect_consistent(json.loads(document.read_text()))
    text = picture.read_text()
    assert text == program("plan", CNN, *SIM, "--policy", "gpu_only", "--dot", "-").stdout
    assert text.startswith("digraph plan {\n") and text.endswith("}\n") and text.count("{") == text.count("}")
    assert len(re.findall(r"subgraph cluster_\d+", text)) == len(result["sections"])
    assert len(re.findall(r"^    s\d+ \[", text, re.M)) == len(result["steps"])
    assert len(set(re.findall(r'fillcolor="(#\w+)"', text))) == 2
    edges = re.findall(r'^  ("[^"]+"|s\d+) -> ("[^"]+"|s\d+)(.*);$', text, re.M)
    assert len(edges) == text.count(" -> ") == 8  # a chain of 7 steps, its input, its output
    red = [e for e in edges if "color=red" in e[2]]
    assert len(red) == len(result["crossings"]["list"]) and all("B\\n" in e[2] for e in red)


def test_files_that_cannot_be_written(program, tmp_path):
    for option in "--json", "--dot":
        result = program("plan", "mlp", option, tmp_path / "none" / "file", check=False)
        assert result.returncode == 4 and str(tmp_path / "none") in result.stderr and result.stdout == ""
        result = program("plan", "no-such-network", option, tmp_path / "none" / "file", check=False)
        assert result.returncode == 4  # before anything is loaded or measured
        result = program("plan", "mlp", option, "/dev/full", check=False)
        assert result.returncode == 4 and "/dev/full" in result.stderr


@pytest.mark.parametrize("arguments, said", [
    ([], "one MODEL"), (["mlp", "mlp"], "one MODEL"), (["mlp", "--load", "sim"], "DEVICE=FACTOR"),
    (["mlp", "--load", "=2"], "DEVICE=FACTOR"), (["mlp", "--load", "cpu=0"], "DEVICE=FACTOR"),
    (["mlp", "--load", "cpu=2x"], "DEVICE=FACTOR"), (["mlp", "--load", "cpu=1e7"], "DEVICE=FACTOR"),
    (["mlp", "--no-gpu", "--load", "gpu=2"], "there are cpu"), (["mlp", "--batch", "0"], "--batch"),
    (["mlp", "--batch", "65"], "more than 64"), (["mlp", "--measure", "0"], "--measure"),
    (["mlp", "--measure", "2", "--load", "cpu=2"], "leave one of them out"),
    (["mlp", "--json", "-", "--dot", "-"], "both"), (["mlp", "--policy", "mine"], "--policy"),
])
def test_wrong_usage(program, arguments, said):
    result = program("plan", *arguments, check=False)
    assert result.returncode == 2 and said in result.stderr and result.stdout == ""


def test_a_model_that_is_not_there(program):
    result = program("plan", "no-such-network", check=False)
    assert result.returncode == 3 and "no-such-network" in result.stderr
