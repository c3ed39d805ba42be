"""hsched bench collaborate on a simulated accelerator, beside programs that only say that they run."""
import json
import stat
import xml.dom.minidom

import pytest

from test_cli import status

SHORT = ["--sim", "all:50", "--workers", 2, "--seconds", 0.2, "--search-seconds", 0.2, "--profile-seconds", 0.5]
PEER = """
import json, sys
print(json.dumps({"hello": 1}), flush=True)
for line in sys.stdin:
    verb, mix, precision, how, rounds = line.split()
    assert verb == "time" and precision == "tf32"
    print(json.dumps({"samples_us": [1000.0 if how == "eager" else 10.0] * int(rounds)}), flush=True)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """With programs that stand for the background, and a cache of its own."""
    monkeypatch.setenv("HSCHED_CACHE_DIR", str(tmp_path / "cache"))
    for name in "hog", "gpu_load":
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\necho "$0 $@" >> {tmp_path}/started\necho ready\nexec sleep 1000\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "peer.py").write_text(PEER)
    return tmp_path


def test_a_grid(program, folder):
    result = program("bench", "collaborate", "mlp:3", "mlp:1,mlp:1", *SHORT, "--programs", folder, "--background",
                     "none", "--background", "hog:0.6", "--background", "walk", "--peer",
                     f"python3 {folder / 'peer.py'}", "--json", folder / "o.json", "--svg", folder / "o.svg")
    assert "OPTIMUM" in result.stdout and "peer eager" in result.stdout
    assert [line.split()[1:] for line in (folder / "started").read_text().splitlines()] == \
        [["0.6", "2000"], ["walk"]] * 2
    cells = json.loads((folder / "o.json").read_text())["cells"]
    assert [(c["set"], c["beside"]) for c in cells] == \
        [(s, b) for s in ("mlp:3", "mlp:1,mlp:1") for b in ("none", "hog:0.6", "walk")]
    for cell in cells:
        names = [s["name"] for s in cell["series"]]
        assert names == ["gpu_only", "cpu_only", "layer_type", "static", "cost", "layer by layer", "peer eager",
                         "peer streams"]
        for s in cell["series"]:
            assert len(s["samples_us"]) >= 12 and min(s["samples_us"]) <= s["median_us"] <= max(s["samples_us"])
            assert s["interval_us"][0] <= s["median_us"] <= s["interval_us"][1]
        medians = {s["name"]: s["median_us"] for s in cell["series"]}
        assert medians["peer eager"] == 1000 and medians["peer streams"] == 10
        gpu, cpu = medians["gpu_only"], medians["cpu_only"]
        assert cell["sharing_us"] == pytest.approx(gpu * cpu / (gpu + cpu))
        assert 0 < cell["optimum_us"] and cell["placements_timed"] > 0 and cell["static_placement"]
        assert cell["best"] == min(names[:4], key=medians.get)
        for s in cell["series"]:
            if s["name"] in names[:5]:
                assert s["simulated_us"] > 0
                assert s["simulated_by_measured"] == pytest.approx(s["simulated_us"] / s["median_us"])
            else:
                assert "simulated_us" not in s
        simulation = cell["simulation"]
        assert len(simulation["loads"]) == 2 and min(simulation["loads"]) > 0
        expect_order(cell["series"], simulation["ordered_otherwise"])
    assert "ORDER" in result.stdout and "could not be simulated" not in result.stdout
    document = xml.dom.minidom.parse(str(folder / "o.svg"))
    assert len(document.getElementsByTagName("rect")) > 2 * 3 * 8


def expect_order(series, pairs):
    """Pairs are those whose intervals are apart, the faster one first, and that are simulated the other way round."""
    simulated = [s for s in series if "simulated_us" in s]
    expected = {(a["name"], b["name"]) for a in simulated for b in simulated
                if a["interval_us"][1] < b["interval_us"][0] and a["simulated_us"] > 1.001 * b["simulated_us"]}
    assert {tuple(pair) for pair in pairs} == expected


def test_without_a_simulation(program, folder):
    result = program("bench", "collaborate", "mlp:2", *SHORT, "--background", "none", "--no-layer-by-layer",
                     "--no-simulation", "--json", folder / "o.json")
    cell, = json.loads((folder / "o.json").read_text())["cells"]
    assert "simulation" not in cell and not any("simulated_us" in s for s in cell["series"])
    assert "ORDER" not in result.stdout and "as another policy cuts it" not in result.stderr


def test_a_peer_that_does_not_answer(program, folder):
    code, _, err = status(program, "bench", "collaborate", "mlp:1", *SHORT, "--background", "none", "--peer",
                          "echo hello", "--no-layer-by-layer")
    assert code == 4 and "echo hello" in err
    code, _, err = status(program, "bench", "collaborate", "mlp:1", *SHORT, "--background", "none", "--peer",
                          "while echo '{}'; do read line; done", "--no-layer-by-layer")
    assert code == 4 and "answered" in err


def test_a_background_that_does_not_run(program, folder):
    (folder / "hog").write_text("#!/bin/sh\necho no GPU\n")
    code, _, err = status(program, "bench", "collaborate", "mlp:1", *SHORT, "--background", "hog:0.5", "--programs",
                          folder)
    assert code == 4 and "no GPU" in err


@pytest.mark.parametrize("arguments, said", [
    (["mlp:0"], "set of networks"),
    (["mlp:1,,mlp"], "set of networks"),
    (["mlp", "--machine", "8"], "SMS:WORKERS"),
    (["mlp", "--background", "hog:0.5", "--programs", "/nowhere"], "/nowhere/hog"),
    (["mlp", "--policy", "cost"], "leave it out"),
    (["mlp:64,mlp:64", "--no-layer-by-layer"], "too many to search"),
    (["mlp", "--peer", "x", "--peer-ways", "a,b,c,d,e"], "--peer-ways"),
])
def test_wrong_usage(program, folder, arguments, said):
    code, _, err = status(program, "bench", "collaborate", *SHORT, "--background", "none", *arguments)
    assert code == 2 and said in err
