"""libhsched beside other engines: the same networks, in one process, runs in turn.

    make bench                                           all of it, beside ONNX Runtime
    make bench BENCH="--peers onnxruntime,openvino,ncnn" # installs what is not there yet
    make bench BENCH="--rounds 9 --models resnet50,face-*,digits-*"
    make bench BENCH="--mix resnet50:4,densenet121:4"    # what runs at once; "--mix none": nothing
    make bench BENCH="--threads 1,2,4"                   # one network on several threads
    make bench BENCH="--load --threads 1,2"              # loading instead of runs
    make bench BENCH="--math bf16"                       # libhsched in bfloat16, the others in float32

Prints tables and writes build/bench.json. Ratios are the other engine's time divided by ours, so above
1 is faster than it; medians over rounds in which all take turns. Outputs are compared with ONNX Runtime's
first; an engine whose outputs differ is not timed.
"""
import argparse
import concurrent.futures
import functools
import json
import os
import pathlib
import platform
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "common"), str(ROOT / "tests" / "bench")]
import hsched  # noqa: E402
import limits  # noqa: E402
import load_times  # noqa: E402
import networks  # noqa: E402
import peers  # noqa: E402
import peers_onnxruntime  # noqa: E402
import repeat  # noqa: E402
import turns  # noqa: E402

MIX = "resnet50:2,mobilenet_v2:2"
MATHS = {"default": hsched.MATH_DEFAULT, "strict": hsched.MATH_STRICT, "bf16": hsched.MATH_BF16}
AGREE = {"default": 1e-3, "strict": 1e-3, "bf16": 0.5}  # random weights amplify what bfloat16 rounds off


class Ours:
    """libhsched, as peers.py has the others."""

    def __init__(self, path, feed, threads, math="default"):
        self._runtime = hsched.Runtime(cpu_workers=threads, flags=hsched.NO_GPU)
        self.call = repeat.of_model(self._runtime.load(path, math=MATHS[math]), feed)

    def outputs(self):
        return self.call.outputs

    def close(self):
        self._runtime.__exit__()


def difference(outputs, expected):
    """The largest of the outputs' relative errors; shapes need not agree, engines drop dimensions of 1."""
    if [y.size for y in outputs] != [y.size for y in expected]:
        return float("inf")
    return max(hsched.relative_error(y.reshape(e.shape), e) for y, e in zip(outputs, expected))


def opened(engine, network, threads, expected, agree=AGREE["default"]):
    """A session whose outputs are the expected ones."""
    session = engine(network.path, network.feed, threads)
    try:
        session.call()
        error = difference(session.outputs(), expected)
        if not error < agree:
            raise peers.Refused(f"outputs differ by {error:.2g}")
    except peers.Refused:
        session.close()
        raise
    return session


def measured(network, engines, math, threads, rounds, clock):
    """A row of the table: of each engine its time and ratio, or why it has none."""
    reference = peers_onnxruntime.Session(network.path, network.feed, 1)
    reference.call()
    expected = reference.outputs()
    reference.close()
    sessions, row = {}, {"network": network.name, "threads": threads}
    ours = opened(functools.partial(Ours, math=math), network, threads, expected, AGREE[math])
    for engine in engines:
        try:
            sessions[engine.TITLE] = opened(engine.Session, network, threads, expected)
        except peers.Refused as why:
            row[engine.TITLE] = {"refused": str(why)}
    everyone = [ours, *sessions.values()]
    medians, ratios = turns.in_turn([s.call for s in everyone], rounds, clock, threads)
    row["hsched_ms"] = medians[0]
    for title, ms, ratio in zip(sessions, medians[1:], ratios[1:]):
        row[title] = {"ms": ms, "ratio": ratio}
    for session in everyone:
        session.close()
    return row


def milliseconds(ms):
    return f"{ms:.2f}" if ms >= 1 else f"{ms:#.3g}"


def single(found, engines, math, threads, rounds, clock):
    titles = [e.TITLE for e in engines]
    title = f"one network, {threads} thread{'s' * (threads > 1)}"
    if math != "default":
        print(f"libhsched in {math}, the others in float32")
    print(f"{title:24} {'libhsched ms':>13}" + "".join(f" {t + ' ms':>16} {'ratio':>6}" for t in titles))
    rows = []
    for network in found:
        row = measured(network, engines, math, threads, rounds, clock)
        cells = [(milliseconds(row[t]["ms"]), f"{row[t]['ratio']:.2f}") if "ms" in row[t] else ("none", "")
                 for t in titles]
        print(f"{network.name:24} {milliseconds(row['hsched_ms']):>13}" +
              "".join(f" {ms:>16} {ratio:>6}" for ms, ratio in cells), flush=True)
        rows.append(row)
    for row in rows:
        for t in titles:
            if "refused" in row[t]:
                print(f"none: {t}, {row['network']}: {row[t]['refused']}")
    most = limits.table(rows, found, threads)
    print()
    return {"threads": threads, "math": math, "ceilings": most, "rows": rows}


def arrangements(count, cores):
    """How ONNX Runtime can be asked for so many networks at once: names, calling threads, threads of a session.
    All that fill the cores without more threads than there are."""
    few = min(cores, count)
    yield f"{few} calling thread{'s' * (few > 1)}, sessions of 1 thread", few, 1
    if count > cores:
        yield "a calling thread each, sessions of 1 thread", count, 1
    callers = few
    while callers >= 1:
        threads = cores // callers
        if threads > 1:
            yield (f"{callers} calling thread{'s' * (callers > 1)}, sessions of {threads} threads", callers, threads)
        callers //= 2


def together(mix, math, folder, rounds):
    """Several at once, beside ONNX Runtime alone."""
    cores = len(os.sched_getaffinity(0))
    by_name = {n.name: n for n in networks.find(dict.fromkeys(mix), folder)}
    paths, feeds = zip(*[(by_name[name].path, by_name[name].feed) for name in mix])
    sessions = functools.cache(lambda threads: [peers_onnxruntime.session(p, threads) for p in paths])

    def theirs(callers, threads):
        pool = concurrent.futures.ThreadPoolExecutor(callers)
        opened = sessions(threads)

        def run_all():
            list(pool.map(lambda pair: pair[0].run(None, pair[1]), zip(opened, feeds)))
        return run_all

    names, callers, threads = zip(*arrangements(len(mix), cores))
    with hsched.Runtime(flags=hsched.NO_GPU) as rt:
        submits = [rt.load(p, math=MATHS[math]).submitter(f) for p, f in zip(paths, feeds)]

        def ours():
            for run in [submit() for submit in submits]:
                hsched.wait(run)
        medians, ratios = turns.in_turn([ours, *map(theirs, callers, threads)], rounds,
                                        threads=max(threads))
    # Last and alone: threads of default sessions go on polling after a run, which would slow down
    # whatever took the next turn.
    (default_ms,), _ = turns.in_turn([theirs(len(mix), 0)], rounds)
    medians.append(default_ms)
    ratios.append(default_ms / medians[0])
    rows = [{"arrangement": a, "makespan_ms": m, "ratio": r} for a, m, r in zip(
        ["hsched", *(f"ONNX Runtime, {name}" for name in names),
         "ONNX Runtime, a calling thread each, default sessions"], medians, ratios)]
    counts = " + ".join(f"{mix.count(n)} x {n}" for n in dict.fromkeys(mix))
    print(f"{counts} at once, {cores} cores: makespan ms (ratio to hsched)")
    for row in rows:
        print(f"  {row['arrangement']:62} {row['makespan_ms']:8.2f} {row['ratio']:6.2f}")
    return rows


def machine():
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo")
                if line.startswith("model name")), platform.processor())
    return f"{len(os.sched_getaffinity(0))} cores of {cpu}"


def options(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", "--networks", default=",".join(networks.DEFAULT),
                        help="names of networks (hsched zoo, examples/data, ../shared/models), patterns of "
                             "such, or ONNX files")
    parser.add_argument("--peers", default="onnxruntime", help=f"of {','.join(peers.NAMES)}")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--mix", default=MIX, help="NAME:COUNT,...: what runs at once, or none")
    parser.add_argument("--cpu-time", action="store_true",
                        help="one network on one thread: CPU time of the process, for machines "
                             "on which other programs run")
    parser.add_argument("--threads", default="1", help="numbers of threads for one network")
    parser.add_argument("--math", choices=MATHS, default="default",
                        help="of libhsched; the others compute in float32")
    parser.add_argument("--load", action="store_true",
                        help="time loading instead of runs, beside ONNX Runtime; with cached weights, too, which "
                             "are left in the folder of the cache")
    parser.add_argument("--json", type=pathlib.Path, default=hsched.BUILD / "bench.json",
                        help="where the figures go")
    return parser.parse_args(arguments)


def main(arguments=None):
    a = options(arguments)
    mix = [] if a.mix == "none" else [name for part in a.mix.split(",")
                                      for name in [part.split(":")[0]] * int(part.partition(":")[2] or 1)]
    folder = hsched.BUILD / "bench"
    folder.mkdir(exist_ok=True)
    engines = peers.wanted(a.peers.split(","))
    versions = {e.TITLE: e.VERSION for e in engines}
    print(f"{machine()}; libhsched {hsched.LIB.hsched_version().decode()}" +
          "".join(f"; {title} {version}" for title, version in versions.items()) + "\n")
    found = networks.find(a.models.split(","), folder)
    result = {"machine": machine(), "peers": versions, "single": [], "together": [], "loads": []}
    for threads in map(int, a.threads.split(",")):
        if a.load:
            result["loads"].append(load_times.table(found, threads, a.rounds))
            continue
        clock = time.process_time if a.cpu_time and threads == 1 else time.perf_counter
        result["single"].append(single(found, engines, a.math, threads, a.rounds, clock))
    if mix and not a.load:
        result["together"] = together(mix, a.math, folder, a.rounds)
    a.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
