"""libhsched beside ONNX Runtime: the same exported networks, in one process, runs in turn.

    make bench                       all of it
    make bench BENCH="--rounds 9 --networks resnet50,mobilenet_v2"
    make bench BENCH="--mix resnet50:4,densenet121:4"    # what runs at once
    make bench BENCH="--threads 1,2,4"                   # one network on several threads
    make bench BENCH="--math bf16"                       # ONNX Runtime goes on in float32

Prints a table and writes build/bench.json. Ratios are ONNX Runtime's time divided by ours, so above
1 is faster than ONNX Runtime; medians over rounds in which the two take turns.
"""
import argparse
import concurrent.futures
import gc
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

import numpy as np
import onnxruntime as ort

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "common"))
import hsched  # noqa: E402

NETWORKS = "resnet50,mobilenet_v2,squeezenet1_1,densenet121,densenet201,googlenet,vgg16,alexnet"
MIX = "resnet50:2,mobilenet_v2:2"
MATHS = {"default": hsched.MATH_DEFAULT, "strict": hsched.MATH_STRICT, "bf16": hsched.MATH_BF16}


def export(name, folder):
    path = folder / f"{name}.onnx"
    if not path.exists():
        subprocess.run([str(hsched.BUILD / "hsched"), "export", name, str(path)], check=True,
                       stdout=subprocess.DEVNULL)
    return path


def session(path, threads):
    options = ort.SessionOptions()
    if threads:
        options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def feed_of(s):
    rng = np.random.default_rng(0)
    return {i.name: rng.standard_normal(i.shape).astype(np.float32) for i in s.get_inputs()}


def milliseconds(call, clock=time.perf_counter):
    start = clock()
    call()
    return (clock() - start) * 1e3


def in_turn(calls, rounds, clock=time.perf_counter):
    """Medians of each call, and of the ratio of the first to each, over rounds of taking turns."""
    for call in calls:
        for _ in range(2):
            call()
    times = [[milliseconds(call, clock) for call in calls] for _ in range(rounds)]
    medians = [statistics.median(t) for t in zip(*times)]
    ratios = [statistics.median(row[0] / t for row, t in zip(times, column))
              for column in zip(*times)]
    return medians, ratios


def one_after_the_other(make_session, feed, ours, rounds):
    """Threads of a session of several go on polling after a run, so the session is closed before
    our turn: medians and their ratio."""
    s = make_session()
    (theirs_ms,), _ = in_turn([lambda: s.run(None, feed)], rounds)
    del s
    gc.collect()
    (ours_ms,), _ = in_turn([ours], rounds)
    return theirs_ms, ours_ms, theirs_ms / ours_ms


def single(names, threads, math, folder, rounds, clock):
    rows = []
    title = f"one network, {threads} thread{'s' if threads > 1 else ''}"
    if math != "default":
        print(f"hsched in {math}, ONNX Runtime in float32")
    print(f"{title:24} {'ONNX Runtime ms':>16} {'hsched ms':>10} {'ratio':>6}")
    for name in names:
        path = export(name, folder)
        s = session(path, 1)
        feed = feed_of(s)
        with hsched.Runtime(cpu_workers=threads) as rt:
            ours = rt.load(path, math=MATHS[math]).prepared(feed)
            if threads == 1:
                (theirs_ms, ours_ms), (_, ratio) = in_turn([lambda: s.run(None, feed), ours],
                                                           rounds, clock)
            else:
                theirs_ms, ours_ms, ratio = one_after_the_other(
                    lambda: session(path, threads), feed, ours, rounds)
        print(f"{name:24} {theirs_ms:16.2f} {ours_ms:10.2f} {ratio:6.2f}", flush=True)
        rows.append({"network": name, "threads": threads, "math": math,
                     "onnxruntime_ms": theirs_ms, "hsched_ms": ours_ms, "ratio": ratio})
    return rows


def together(mix, math, folder, rounds):
    cores = len(os.sched_getaffinity(0))
    paths = [export(name, folder) for name in mix]
    ones = [session(p, 1) for p in paths]
    feeds = [feed_of(s) for s in ones]
    few = concurrent.futures.ThreadPoolExecutor(cores)
    many = concurrent.futures.ThreadPoolExecutor(len(mix))

    def run_all(pool, sessions):
        list(pool.map(lambda pair: pair[0].run(None, pair[1]), zip(sessions, feeds)))

    with hsched.Runtime() as rt:
        submits = [rt.load(p, math=MATHS[math]).submitter(f) for p, f in zip(paths, feeds)]

        def ours():
            for run in [submit() for submit in submits]:
                hsched.wait(run)
        medians, ratios = in_turn([ours, lambda: run_all(few, ones),
                                   lambda: run_all(many, ones)], rounds)
    # Last and alone: threads of default sessions go on polling after a run, which would slow down
    # whatever took the next turn.
    defaults = [session(p, 0) for p in paths]
    (default_ms,), _ = in_turn([lambda: run_all(many, defaults)], rounds)
    medians.append(default_ms)
    ratios.append(medians[0] / default_ms)
    rows = [{"arrangement": a, "makespan_ms": m, "ratio": 1 / r} for a, m, r in zip(
        ["hsched", f"ONNX Runtime, {cores} calling threads, sessions of 1 thread",
         "ONNX Runtime, a calling thread each, sessions of 1 thread",
         "ONNX Runtime, a calling thread each, default sessions"], medians, ratios)]
    counts = " + ".join(f"{mix.count(n)} x {n}" for n in dict.fromkeys(mix))
    print(f"\n{counts} at once, {cores} cores: makespan ms (ratio to hsched)")
    for row in rows:
        print(f"  {row['arrangement']:62} {row['makespan_ms']:8.2f} {row['ratio']:6.2f}")
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", default=NETWORKS)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--mix", default=MIX, help="NAME:COUNT,...: what runs at once")
    parser.add_argument("--cpu-time", action="store_true",
                        help="one network on one thread: CPU time of the process, for machines "
                             "on which other programs run")
    parser.add_argument("--threads", default="1", help="numbers of threads for one network")
    parser.add_argument("--math", choices=MATHS, default="default",
                        help="of libhsched; ONNX Runtime computes in float32")
    a = parser.parse_args()
    mix = [name for part in a.mix.split(",")
           for name in [part.split(":")[0]] * int(part.partition(":")[2] or 1)]
    folder = hsched.BUILD / "bench"
    folder.mkdir(exist_ok=True)
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo")
                if line.startswith("model name")), platform.processor())
    machine = f"{len(os.sched_getaffinity(0))} cores of {cpu}"
    print(f"{machine}; ONNX Runtime {ort.__version__}; libhsched "
          f"{hsched.LIB.hsched_version().decode()}\n")
    clock = time.process_time if a.cpu_time else time.perf_counter
    result = {"machine": machine, "onnxruntime": ort.__version__,
              "single": [row for threads in map(int, a.threads.split(","))
                         for row in single(a.networks.split(","), threads, a.math, folder,
                                           a.rounds, clock)],
              "together": together(mix, a.math, folder, a.rounds)}
    (hsched.BUILD / "bench.json").write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
