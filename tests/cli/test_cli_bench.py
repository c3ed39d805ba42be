"""hsched bench: what is counted and how it is written; how fast anything is, is not looked at."""
import json
import os
import select
import subprocess
import xml.etree.ElementTree as xml

import pytest

import hsched
from trace_file import Trace

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
    for name in ("collaborate", "deadlines", "loadstep"):
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
    (["loadstep", "mlp:x"], "MODEL:N"), (["loadstep", ":2"], "MODEL:N"), (["loadstep", "mlp:2000"], "1024"),
    (["loadstep", "--steps", "0"], "--steps"), (["loadstep", "--profile", "-1"], "--profile"),
    (["deadlines", "--rounds", "0"], "--rounds"), (["deadlines", "--policy", "fast"], "--policy"),
])
def test_usage_errors(program, arguments, said):
    code, out, err = status(program, *arguments)
    assert code == 2 and out == "" and err.startswith("hsched: ") and said in err


def test_what_cannot_be_loaded_or_written(program, tmp_path):
    code, out, err = status(program, "deadlines", "--set", "no-such-network@5")
    assert code == 3 and out == "" and "hsched zoo" in err
    code, out, err = status(program, "loadstep", "no-such-network", "--no-gpu", "--sim", "all:2")
    assert code == 3 and out == "" and "hsched zoo" in err
    for name, option in [("deadlines", "--json"), ("deadlines", "--svg"), ("loadstep", "--json"),
                         ("loadstep", "--svg"), ("loadstep", "--trace")]:
        code, out, err = status(program, name, option, tmp_path / "no" / "file")
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
    # Three rounds do not make anybody as sure as 95%.
    assert "75%" in out.splitlines()[0] and out.count(" 75%") == 3 + 1 and "95%" not in out
    assert "of all releases; bars: 75%, over the rounds" in said
    assert result["loads"][0]["policies"][0]["share_interval"]["level"] == 0.75
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
    shares = sorted(missed / released for missed, released in rounds)
    assert policy["round_median"] == pytest.approx(shares[1])
    assert len(rounds) == 3 and [sum(r) for r in zip(*rounds)] == [policy["missed"], policy["releases"]]


FAILING = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <hsched/hsched.h>
#include <stdlib.h>

/* From so many runs on none can be submitted any more. */
hsched_status hsched_submit(hsched_model *model, const hsched_run_config *config, hsched_run **run)
{
    static int count;
    hsched_status (*submit)(hsched_model *, const hsched_run_config *, hsched_run **);
    *(void **)&submit = dlsym(RTLD_NEXT, "hsched_submit");
    return ++count > atoi(getenv("TEST_RUNS")) ? HSCHED_ERROR_BUSY : submit(model, config, run);
}
"""


@pytest.mark.parametrize("runs", [0, 5])
def test_a_measurement_that_fails(program, tmp_path, runs):
    """There is nothing to report without it, and a run has failed."""
    (tmp_path / "failing.c").write_text(FAILING)
    subprocess.run(["cc", "-shared", "-fPIC", "-I", hsched.ROOT / "include", "-o", tmp_path / "failing.so",
                    tmp_path / "failing.c", "-ldl"], check=True)
    environment = os.environ | {"LD_PRELOAD": str(tmp_path / "failing.so"), "TEST_RUNS": str(runs)}
    result = program("bench", "deadlines", "--set", "mlp@40,mlp@10", "--no-gpu", "--measure", 0.05, check=False,
                     env=environment)
    assert result.returncode == 1 and result.stdout == "" and "mlp" in result.stderr


def test_enough_rounds_for_95_percent(program, tmp_path):
    out, result, svg = deadlines(program, tmp_path, "--load", "0.02", "--seconds", 0.6, "--rounds", 6,
                                 "--policies", "deadlines")
    assert "95%" in out.splitlines()[0] and out.count(" 95%") == 3 + 1
    assert "of all releases; bars: 95%, over the rounds" in texts(svg)
    assert result["measured"]["interval"]["level"] == pytest.approx(1 - 2 ** -5)


def test_more_than_the_machine_can_do(program, tmp_path):
    """Nothing hangs, and what cannot be done counts as missed."""
    out, result, _ = deadlines(program, tmp_path, "--load", "5", "--seconds", 0.2, "--rounds", 1,
                             "--policies", "fifo,deadlines")
    assert "95%" not in out and "INTERVAL" in out  # of a single round there is none
    fifo, ours = result["loads"][0]["policies"]
    assert fifo["policy"] == "fifo" and ours["deadlines_to_this"] is None
    for policy in fifo, ours:
        assert sum(n["skipped"] for n in policy["networks"]) > 0 and policy["missed"] > 0
    assert fifo["deadlines_to_this"] == pytest.approx(ours["missed"] / fifo["missed"])


def loadstep(program, tmp_path, *arguments):
    files = tmp_path / "l.json", tmp_path / "l.svg", tmp_path / "l.trace"
    out = program("bench", "loadstep", "mlp:2", CNN, "--no-gpu", "--sim", "all:2", "--profile", 0.2,
                  "--seconds", 0.3, "--json", files[0], "--svg", files[1], "--trace", files[2],
                  *arguments).stdout
    return out, json.loads(files[0].read_text()), files[1], files[2]


def test_loadstep(program, tmp_path):
    out, result, svg, trace = loadstep(program, tmp_path, "--steps", 2)
    assert result["bench"] == "loadstep" and result["policy"] == "cost"
    assert result["devices"] == ["cpu", "sim"] and result["failed"] == 0
    assert [(m["model"], m["instances"]) for m in result["models"]] == [("mlp", 2), (str(CNN), 1)]
    assert len(result["steps"]) == 2
    for step in result["steps"]:
        check_step(step)
    check_series(result)
    for name, summary in result["summary"].items():
        if name != "slower":
            known = [s[name] for s in result["steps"] if s[name] is not None]
            assert summary["steps"] == len(known)
            assert summary["most"] == (pytest.approx(max(known)) if known else None)
    for word in "busy processes", "NOTICED ms", "load noticed", "end noticed", "ui.perfetto.dev":
        assert word in out
    said = texts(svg)
    for word in ("Latency of runs", "Where runs were executed", "Load of devices", "it comes", "sim", "How soon"):
        assert word in said
    # The trace is of the first step, with what the scheduler knew of loads.
    traced = Trace(trace).check()
    first = result["steps"][0]["times"]
    counted = [e for e in traced.of("C") if e["name"] == "load"]
    assert {e["pid"] for e in counted} == {p for p, name in traced.processes().items() if "device" in name}
    assert all(e["args"]["percent"] > 0 for e in counted)
    ends = [e["ts"] for e in traced.of("e", "run")]
    assert min(ends) < first["began_us"] and max(ends) > first["gone_us"]


def check_step(step):
    t = step["times"]
    assert t["quiet_us"] < t["began_us"] <= t["ready_us"] < t["asked_us"] <= t["gone_us"] < t["over_us"]
    assert min(t["began_us"] - t["quiet_us"], t["asked_us"] - t["ready_us"], t["over_us"] - t["gone_us"]) >= 300000
    assert min(step["runs_before"], step["runs_during"], step["runs_after"]) > 0
    assert min(step["p50_before_ms"], step["p50_during_ms"], step["p50_after_ms"]) > 0
    for use in step["use_before"], step["use_during"]:
        assert len(use) == 2 and all(0 <= u <= 1 for u in use) and sum(use) >= 1
    noticed, placed, back = step["noticed_ms"], step["placed_ms"], step["back_ms"]
    assert (step["device"] < 0) == (noticed is None)
    if placed is not None:
        assert noticed <= placed <= (t["asked_us"] - t["ready_us"]) / 1000
    if back is not None:
        assert noticed is not None and 0 <= back <= (t["over_us"] - t["gone_us"]) / 1000


def check_series(result):
    runs = result["submitted_started_ended_devices_model"]
    assert len(runs) == (result["runs"] - 1) // result["every"] + 1
    for submitted, started, ended, devices, model in runs:
        assert submitted <= started <= ended and devices in (1, 2, 3) and model in (0, 1)
    assert all(device in (0, 1) and load > 0 for _, device, load in result["loads"])
    assert sorted(time for time, _, _ in result["loads"]) == [time for time, _, _ in result["loads"]]


def test_loadstep_beside_a_command(program, tmp_path):
    """It is begun for each step, is ready when it says so, and is gone in the end."""
    note = tmp_path / "note"
    script = tmp_path / "program"
    script.write_text(f"#!/bin/sh\necho $$ >>'{note}'\necho ready\nwhile :; do :; done\n")
    script.chmod(0o755)
    out, result, _, _ = loadstep(program, tmp_path, "--steps", 2, "--background", str(script))
    assert result["background"] == str(script) and str(script) in out
    for step in result["steps"]:
        check_step(step)
        assert step["times"]["ready_us"] > step["times"]["began_us"]
    pids = [int(pid) for pid in note.read_text().split()]
    assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize("command, said", [
    ("true", "status 0"), ("/no/such/program", "status 127"), ("kill -9 $$", "signal 9"),
])
def test_a_program_that_ends_by_itself(program, command, said):
    code, out, err = status(program, "loadstep", "mlp", "--no-gpu", "--sim", "all:2", "--profile", "0.1",
                            "--seconds", "0.2", "--background", command)
    assert code == 4 and out == "" and "ended by itself" in err and said in err


def test_processes_do_not_outlive_the_benchmark(tmp_path):
    """Killed in the middle of it: what keeps the CPUs busy goes as well."""
    bench = subprocess.Popen([str(hsched.BUILD / "hsched"), "bench", "loadstep", "mlp", "--no-gpu", "--sim",
                              "all:2", "--profile", "0.1", "--seconds", "30", "--trace", str(tmp_path / "t")],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    children = []
    while len(children) < len(os.sched_getaffinity(0)):
        assert bench.poll() is None
        children = open(f"/proc/{bench.pid}/task/{bench.pid}/children").read().split()
    watched = [os.pidfd_open(int(child)) for child in children]
    bench.kill()
    bench.communicate()
    for child in watched:
        assert select.select([child], [], [], 60)[0], "a process still runs"
        os.close(child)
