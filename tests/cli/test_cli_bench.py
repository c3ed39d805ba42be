"""hsched bench: what is counted and how it is written; how fast anything is, is not looked at."""
import json
import xml.etree.ElementTree as xml

import pytest

import hsched

CNN = hsched.ROOT / "examples" / "data" / "digits-cnn.onnx"
SVG = "{http://www.w3.org/2000/svg}"


def status(program, *arguments):
    result = program("bench", *arguments, check=False)
    return result.returncode, result.stdout, result.stderr


def texts(path):
    """What a chart says, in the order of the file."""
    root = xml.parse(path).getroot()
    assert root.tag == SVG + "svg" and float(root.get("height")) > 100
    return [e.text for e in root.iter(SVG + "text")]


def tips(path):
    """What the bars are, as tooltips say."""
    return [e.text for e in xml.parse(path).getroot().iter(SVG + "title")]


def test_help_names_all(program):
    out = program("bench", "--help").stdout
    for name in ("deadlines",):
        assert f"\n  {name} " in out
        own = program("bench", name, "--help").stdout
        assert own.startswith(f"usage: hsched bench {name} ") and "exit status:" in own


@pytest.mark.parametrize("arguments, said", [
    ([], "NAME"), (["nonsense"], "'nonsense'"),
    (["deadlines", "mlp"], "--set"), (["deadlines", "--set", "mlp"], "MODEL@HZ"),
    (["deadlines", "--set", "mlp@0"], "MODEL@HZ"), (["deadlines", "--set", "@3"], "MODEL@HZ"),
    (["deadlines", "--set", ","], "no network"), (["deadlines", "--load", "0.7,x"], "0.7,x"),
    (["deadlines", "--load", "0"], "--load"), (["deadlines", "--load", ","], "--load"),
    (["deadlines", "--policies", "edf"], "fifo"), (["deadlines", "--policies", "fifo,fifo"], "once"),
    (["deadlines", "--policies", "fifo,"], "--policies"), (["deadlines", "--copies", "1000"], "256"),
    (["deadlines", "--rounds", "0"], "--rounds"), (["deadlines", "--policy", "fast"], "--policy"),
])
def test_usage_errors(program, arguments, said):
    code, out, err = status(program, *arguments)
    assert code == 2 and out == "" and err.startswith("hsched: ") and said in err


def test_what_cannot_be_loaded_or_written(program, tmp_path):
    code, out, err = status(program, "deadlines", "--set", "no-such-network@5")
    assert code == 3 and out == "" and "hsched zoo" in err
    for option in "--json", "--svg":
        code, out, err = status(program, "deadlines", option, tmp_path / "no" / "file")
        assert code == 4 and out == "" and option in err and "No such file" in err


def deadlines(program, tmp_path, *arguments):
    files = tmp_path / "d.json", tmp_path / "d.svg"
    out = program("bench", "deadlines", "--set", f"mlp@40,{CNN}@20,mlp@10", "--measure", 0.05,
                  "--copies", 2, "--no-gpu", "--json", files[0], "--svg", files[1], *arguments).stdout
    return out, json.loads(files[0].read_text()), files[1]


def test_deadlines(program, tmp_path):
    out, result, svg = deadlines(program, tmp_path, "--load", "0.02,0.05", "--seconds", 0.3, "--rounds", 3)
    assert result["bench"] == "deadlines" and result["copies"] == 2
    assert [n["hz"] for n in result["set"]] == [40, 20, 10]
    assert len(result["measured"]["by_round"]) == 3 and result["measured"]["share"] > 0
    assert [load["load"] for load in result["loads"]] == [0.02, 0.05]
    for load in result["loads"]:
        assert load["rate"] == pytest.approx(load["load"] / (2 * result["measured"]["share"]), rel=1e-6)
        assert [p["policy"] for p in load["policies"]] == ["deadlines", "fifo", "priorities"]
        for policy in load["policies"]:
            check_policy(policy, load["rate"])
        # The same releases, whatever the order.
        released = [[n["releases"] for n in p["networks"]] for p in load["policies"]]
        assert released[0] == released[1] == released[2]
    assert [n["priority"] for n in result["loads"][0]["policies"][2]["networks"]] == [15, 7, 0]
    assert all(n["priority"] == 0 for p in result["loads"][0]["policies"][:2] for n in p["networks"])
    for word in ("of the machine", "deadlines", "fifo", "priorities", "digits-cnn", "MISSED %", "P99 ms"):
        assert word in out
    said = texts(svg)
    for word in ("Deadlines missed", "load 2%", "Response times at load 5%", "digits-cnn", "deadline"):
        assert word in said
    shares = [f"{p['policy']}: {100 * p['share']:.6g}" for load in result["loads"] for p in load["policies"]]
    assert sorted(shares) == sorted(tips(svg)[:6])


def check_policy(policy, rate):
    networks = policy["networks"]
    assert [n["name"] for n in networks] == ["mlp", "digits-cnn", "mlp"]
    for n, hz in zip(networks, (40, 20, 10)):
        assert n["hz"] == pytest.approx(hz * rate) and n["deadline_us"] == pytest.approx(1e6 / n["hz"])
        assert n["missed"] == n["late"] + n["skipped"] + n["failed"] and n["failed"] == 0
        assert 0 <= n["missed"] <= n["releases"]
        if n["p50_us"] is not None:
            assert 0 < n["p50_us"] <= n["p99_us"] <= n["max_us"]
    assert policy["releases"] == sum(n["releases"] for n in networks) > 0
    assert policy["missed"] == sum(n["missed"] for n in networks)
    assert policy["share"] == pytest.approx(policy["missed"] / policy["releases"])
    rounds = policy["missed_and_released_by_round"]
    assert len(rounds) == 3 and [sum(r) for r in zip(*rounds)] == [policy["missed"], policy["releases"]]


def test_more_than_the_machine_can_do(program, tmp_path):
    """Nothing hangs, and what cannot be done counts as missed."""
    _, result, _ = deadlines(program, tmp_path, "--load", "5", "--seconds", 0.2, "--rounds", 1,
                             "--policies", "fifo,deadlines")
    fifo, ours = result["loads"][0]["policies"]
    assert fifo["policy"] == "fifo" and ours["deadlines_to_this"] is None
    for policy in fifo, ours:
        assert sum(n["skipped"] for n in policy["networks"]) > 0 and policy["missed"] > 0
    assert fifo["deadlines_to_this"] == pytest.approx(ours["missed"] / fifo["missed"])
