"""make bench-gpu: libhsched on one GPU beside PyTorch, on the same networks, taking turns.

    make bench-gpu                                   every part but tune, one after the other
    make bench-gpu PART=single MODELS=resnet50,vgg16 PRECISIONS=fp16
    make bench-gpu PART=mixes HOG=0,0.4,0.6          beside a process that takes that share of the GPU

    tune      finds the fastest kernels for all that is measured here; build/gpu/cache/gpu-tuning.txt keeps them
    single    one inference at a time, submit to wait; PyTorch eager and as a CUDA graph
    compile   the same beside torch.compile, whose compilations, up to a minute a network, run at the same time first
    mixes     several networks at once, until the last has ended; PyTorch as CUDA graphs on streams
    crossing  handing a small tensor from one device to the other (see bench_crossing.c)
    latency   a network of one kernel, submit to wait: what a run costs besides its kernels; submit to the first
              kernel is less
    cpu       CPU time of the whole process over wall time, while the GPU does all the work

A part starts nothing new after LIMIT_S seconds and says what it has not measured: run it again with MODELS.
Every result goes to build/gpu/bench.json, in place of an earlier one of the same kind from the same machine;
the tables at the end show all that is known of this machine. Ratios are libhsched's time divided by PyTorch's,
below 1 is faster than PyTorch: medians of rounds in which both ran, one after the other.
"""
import concurrent.futures
import contextlib
import json
import math
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "gpu"))
import gpu_machine  # noqa: E402

BUILD = ROOT / os.environ.get("BUILD", "build")
RESULTS = BUILD / "gpu" / "bench.json"
LIMIT_S = float(os.environ.get("LIMIT_S", 400))
MODELS = os.environ.get("MODELS", "alexnet,vgg16,resnet50,resnet152,densenet201,mobilenet_v2,"
                                  "squeezenet1_1,googlenet").split(",")
PRECISIONS = os.environ.get("PRECISIONS", "tf32,fp16").split(",")
HOG = [float(share) for share in os.environ.get("HOG", "0,0.6").split(",")]
MIXES = {
    "8 x DenseNet201": "densenet201:8",
    "14 x ResNet152": "resnet152:14",
    "2 each of DenseNet201, ResNet152, VGG16, AlexNet": "densenet201:2,resnet152:2,vgg16:2,alexnet:2",
}
PRETTY = {"alexnet": "AlexNet", "vgg16": "VGG16", "resnet50": "ResNet50", "resnet152": "ResNet152",
          "densenet201": "DenseNet201", "mobilenet_v2": "MobileNet v2", "squeezenet1_1": "SqueezeNet 1.1",
          "googlenet": "GoogLeNet"}
ROUNDS = 5          # in which the two take turns
RUNS_A_ROUND = 40   # samples of each in a round of single
MIXES_A_ROUND = 10
HOG_PERIOD_US = 2000


# ---- The two sides ----

class SideError(RuntimeError):
    pass


class Side:
    """A process that answers each line with one of JSON."""

    def __init__(self, name, command, **environment):
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        cwd=ROOT, env={**os.environ, **environment})
        self.about = self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SideError(f"{self.name} ended with status {self.process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise SideError(f"{self.name}: {answer['error']}")
        return answer

    def ask(self, *words):
        try:
            self.process.stdin.write(" ".join(map(str, words)) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise SideError(f"{self.name} ended with status {self.process.wait()}") from None
        return self._answer()

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def open_ours(tuning="quick"):
    return Side("libhsched", [str(BUILD / "bench" / "bench_gpu"), tuning])


def open_torch(**environment):
    """PyTorch in whatever interpreter has it; None, and a word about it, if none does."""
    python = os.environ.get("TORCH_PYTHON") or shutil.which("python3") or sys.executable
    found = subprocess.run([python, "-c", "import torch, torchvision"], capture_output=True, text=True)
    if found.returncode != 0:
        why = (found.stderr.strip().splitlines() or ["no reason given"])[-1]
        print(f"PyTorch is not measured: {python}: {why} (TORCH_PYTHON names an interpreter that has it)")
        return None
    return Side("PyTorch", [python, str(ROOT / "tests" / "bench" / "torch_peer.py")], **environment)


class Hog:
    """Another process that keeps the GPU busy for a share of the time; none for share 0."""

    def __init__(self, share):
        self.process = None
        if share:
            self.process = subprocess.Popen([str(BUILD / "bench" / "hog"), str(share), str(HOG_PERIOD_US)],
                                            stdout=subprocess.PIPE, text=True)
            if self.process.stdout.readline() != "ready\n":
                raise SideError(f"the hog ended with status {self.process.wait()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.terminate()
            self.process.wait()


# ---- Results ----

def quantile(samples, q):
    return sorted(samples)[min(int(len(samples) * q), len(samples) - 1)]


def spread(samples):
    return {"median_us": statistics.median(samples), "p10_us": quantile(samples, 0.1),
            "p90_us": quantile(samples, 0.9), "samples": len(samples)}


class Results:
    """bench.json: {"rows": [...]}; a row is known by its part, machine and key."""

    def __init__(self, machine):
        self.machine = machine
        self.rows = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else []

    def add(self, part, key, **values):
        self.rows = [r for r in self.rows if (r["part"], r["machine"], r["key"]) != (part, self.machine, key)]
        self.rows.append({"part": part, "key": key, "machine": self.machine, **values,
                          "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())})
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(json.dumps({"rows": self.rows}, indent=1) + "\n")

    def of(self, part):
        """Those of this machine: key -> row."""
        return {r["key"]: r for r in self.rows if r["part"] == part and r["machine"] == self.machine}


class Clock:
    """Starts nothing after the limit."""

    def __init__(self):
        self.end, self.left_out = time.monotonic() + LIMIT_S, []

    def allows(self, what):
        if time.monotonic() < self.end:
            return True
        self.left_out.append(what)
        return False

    def report(self):
        if self.left_out:
            print(f"After {LIMIT_S:.0f} s nothing more was started; not measured: {', '.join(self.left_out)}.",
                  flush=True)


def take_turns(ours, torch, mix, precision, arrangements, count):
    """{arrangement: [samples of a round]}, "hsched" first; what PyTorch cannot do is left out, with a word."""
    calls = {"hsched": lambda: ours.ask("time", mix, precision, count)}
    for how in arrangements if torch else []:
        calls[how] = lambda how=how: torch.ask("time", mix, precision, how, count)
    rounds, details = {name: [] for name in calls}, None
    for _ in range(ROUNDS):
        for name, call in list(calls.items()):
            try:
                answer = call()
            except SideError as error:
                if name == "hsched" or torch.process.poll() is not None:
                    raise
                print(f"  {mix}, {precision}, {name}: {error}", flush=True)
                del calls[name], rounds[name]
                continue
            rounds[name].append(answer["samples_us"])
            if name == "hsched":
                details = {k: v for k, v in answer.items() if k != "samples_us"}
                details["start_us"] = statistics.median(details["start_us"])
    return rounds, details


def summarise(rounds, details):
    """Medians of all samples; ratios as medians over rounds of ours / theirs."""
    medians = {name: [statistics.median(r) for r in samples] for name, samples in rounds.items()}
    return {"times": {name: spread(sum(samples, [])) for name, samples in rounds.items()},
            "ratios": {name: statistics.median(a / b for a, b in zip(medians["hsched"], theirs))
                       for name, theirs in medians.items() if name != "hsched"},
            "hsched": details}


def say(what, row):
    times = "  ".join(f"{name} {t['median_us']:.0f}" for name, t in row["times"].items())
    print(f"  {what}: {times} us", flush=True)


# ---- Parts ----

def measure_networks(part, arrangements, results, skip_known=False):
    ours, torch, clock = open_ours(), open_torch(), Clock()
    try:
        for name in MODELS:
            for precision in PRECISIONS:
                key = f"{name} {precision}"
                known = skip_known and key in results.of(part) and "MODELS" not in os.environ
                if known or not clock.allows(key):
                    continue
                row = summarise(*take_turns(ours, torch, name, precision, arrangements, RUNS_A_ROUND))
                results.add(part, key, **row)
                say(key, row)
            for side in filter(None, (ours, torch)):
                side.ask("forget")
    finally:
        for side in filter(None, (ours, torch)):
            side.close()
    clock.report()


def part_single(results):
    measure_networks("single", ["eager", "graph"], results)


def part_compile(results):
    """What an earlier call has measured on this machine stays, unless MODELS asks for it again."""
    fill_inductor_cache([f"{name} {precision}" for name in MODELS for precision in PRECISIONS
                         if f"{name} {precision}" not in results.of("compile") or "MODELS" in os.environ])
    measure_networks("compile", ["compile"], results, skip_known=True)


def fill_inductor_cache(keys):
    """Has PyTorch compile all that is to be measured, as many at once as there are two cores for each.

    What it found by timing beside the others is forgotten: it times again, alone, when it is measured.
    """
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(BUILD / "gpu" / "inductor"))
    cores = len(os.sched_getaffinity(0))

    def compile_one(key):
        torch = open_torch(TORCHINDUCTOR_COMPILE_THREADS="2")
        if torch:
            with contextlib.closing(torch):
                torch.ask("time", *key.split(), "compile", 1)

    start = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(max(1, cores // 2)) as pool:
        for key, done in [(key, pool.submit(compile_one, key)) for key in keys]:
            if done.exception():
                print(f"  {key}, compiling ahead: {done.exception()}", flush=True)
    for choice in pathlib.Path(os.environ["TORCHINDUCTOR_CACHE_DIR"]).glob("**/*.best_config"):
        choice.unlink()
    print(f"  compiled in {time.monotonic() - start:.0f} s", flush=True)


def part_mixes(results):
    ours, torch, clock = open_ours(), open_torch(), Clock()
    try:
        for title, mix in MIXES.items():
            for precision in PRECISIONS:
                for share in HOG:
                    key = f"{title}, {precision}, hog {share:g}"
                    if not clock.allows(key):
                        continue
                    ours.ask("time", mix, precision, 1)  # warm before the hog is there
                    with Hog(share):
                        row = summarise(*take_turns(ours, torch, mix, precision,
                                                    ["streams", "shared", "sequence"], MIXES_A_ROUND))
                    results.add("mixes", key, **row)
                    say(key, row)
                for side in filter(None, (ours, torch)):
                    side.ask("forget")
    finally:
        for side in filter(None, (ours, torch)):
            side.close()
    clock.report()


def part_crossing(results):
    done = subprocess.run([str(BUILD / "bench" / "bench_crossing"), "300"], cwd=ROOT, capture_output=True,
                          text=True, timeout=LIMIT_S)
    answer = json.loads(done.stdout.splitlines()[-1]) if done.stdout else {"error": done.stderr.strip()}
    if "error" in answer:
        raise SideError(answer["error"])
    more = [spread(column)["median_us"] for column in zip(*answer["rounds"])]
    row = {"crossing": spread(answer["samples_us"]), "crossings": answer["crossings"],
           "more_us": dict(zip(("both", "convolutions", "poolings"), more))}
    results.add("crossing", "4 KiB", **row)
    print(f"  one crossing: {row['crossing']['median_us']:.2f} us")


def part_latency(results):
    ours = open_ours()
    try:
        answer = ours.ask("time", "tiny", "tf32", 2000)
    finally:
        ours.close()
    row = spread(answer["samples_us"])
    results.add("latency", "one kernel", **row)
    print(f"  one kernel, submit to wait: {row['median_us']:.2f} us")


def part_cpu(results):
    ours = open_ours()
    try:
        for name in [n for n in MODELS if n in ("resnet50", "mobilenet_v2", "densenet201")]:
            for count in 1, 4, 8:
                key = f"{name} {PRECISIONS[0]} x {count}"
                row = ours.ask("cpu", f"{name}:{count}", PRECISIONS[0], 5)
                results.add("cpu", key, **row)
                print(f"  {key}: {100 * row['cpu_share']:.0f}% of one core, "
                      f"{row['runs_per_second']:.0f} runs a second", flush=True)
    finally:
        ours.close()


def part_tune(_results):
    """Each in a process of its own, so that what was found is kept even if the part is stopped."""
    clock = Clock()
    for precision in PRECISIONS:
        for mix in [*MODELS, *(MIXES.values() if "MODELS" not in os.environ else [])]:
            if not clock.allows(f"{mix} {precision}"):
                continue
            start, ours = time.monotonic(), open_ours("full")
            try:
                ours.ask("time", mix, precision, 1)
            finally:
                ours.close()
            print(f"  {mix} {precision}: {time.monotonic() - start:.0f} s", flush=True)
    clock.report()
    print(f"  choices: {os.environ['HSCHED_CACHE_DIR']}/gpu-tuning.txt")


# ---- Tables ----

def table(header, rows):
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in (header, ["---"] * len(header), *rows)]
    return "\n".join(lines)


def time_cell(row, name, unit=1e3):
    known = row and row["times"].get(name)
    return f"{known['median_us'] / unit:.3f}" if known else "-"


def best_ratio(*rows):
    """Ours beside the fastest of all peers that were measured."""
    ratios = [r for row in rows if row for r in row["ratios"].values()]
    return max(ratios) if ratios else None


def single_tables(results):
    for precision in dict.fromkeys([*PRECISIONS, "tf32", "fp16"]):
        rows, ratios = [], []
        for name, pretty in PRETTY.items():
            single, compiled = (results.of(p).get(f"{name} {precision}") for p in ("single", "compile"))
            if not single:
                continue
            ratio = best_ratio(single, compiled)
            ratios += [ratio] if ratio else []
            rows.append([pretty, time_cell(single, "hsched"), time_cell(single, "eager"),
                         time_cell(single, "graph"), time_cell(compiled, "compile"),
                         f"{ratio:.2f}" if ratio else "-"])
        if rows and ratios:
            rows.append([f"geometric mean of {len(ratios)}", "", "", "", "",
                         f"{math.exp(statistics.mean(map(math.log, ratios))):.2f}"])
        if rows:
            yield table([f"one inference, {precision}, ms", "libhsched", "PyTorch eager", "CUDA graph",
                         "torch.compile", "ratio to the best"], rows)


def mix_table(results):
    rows = []
    for key, row in sorted(results.of("mixes").items()):
        ratios = [f"{row['ratios'][n]:.2f}" if n in row["ratios"] else "-" for n in ("streams", "shared")]
        rows.append([key, *(time_cell(row, n) for n in ("hsched", "streams", "shared", "sequence")), *ratios])
    if rows:
        yield table(["at once, ms", "libhsched", "graphs on streams", "the same, weights shared", "in sequence",
                     "ratio to streams", "ratio to shared"], rows)


def small_tables(results):
    rows = [[key, f"{r['crossing']['median_us']:.2f}", f"{r['crossing']['p90_us']:.2f}"]
            for key, r in results.of("crossing").items()]
    if rows:
        yield table(["crossing, one direction, us", "median", "90%"], rows)
    rows = [[key, f"{r['median_us']:.2f}", f"{r['p90_us']:.2f}"] for key, r in results.of("latency").items()]
    if rows:
        yield table(["submit to wait, us", "median", "90%"], rows)
    rows = [[key, f"{100 * r['cpu_share']:.0f}%", f"{r['runs_per_second']:.0f}"]
            for key, r in sorted(results.of("cpu").items())]
    if rows:
        yield table(["GPU only, runs in flight", "CPU time, of one core", "runs a second"], rows)
    rows = [[key, f"{r['hsched']['start_us']:.1f}", r["hsched"]["host_allocations"],
             r["hsched"]["gpu_allocations"], r["hsched"]["direct_launches"]]
            for key, r in sorted(results.of("single").items())]
    if rows:
        yield table([f"in {RUNS_A_ROUND} warm runs", "submit to start, us", "host allocations",
                     "GPU allocations", "launches without a graph"], rows)


def print_tables(results):
    print("\n" + "{gpu}, driver {driver}, CUDA {cuda}, cuDNN {cudnn}".format(**results.machine))
    for text in [*single_tables(results), *mix_table(results), *small_tables(results)]:
        print("\n" + text)


PARTS = {"single": part_single, "compile": part_compile, "mixes": part_mixes, "crossing": part_crossing,
         "latency": part_latency, "cpu": part_cpu, "tune": part_tune}


def main():
    parts = [p for text in sys.argv[1:] for p in text.split(",")] or [p for p in PARTS if p != "tune"]
    unknown = [p for p in parts if p not in PARTS]
    if unknown:
        sys.exit(f"bench-gpu: no part is called {', '.join(unknown)}; PART={'|'.join(PARTS)}")
    why = os.environ.get("CUDA_MISSING", "") or gpu_machine.missing()
    if why:
        print(f"bench-gpu: nothing was measured: {why}")
        return 0
    gpu_machine.use_tuning_cache(ROOT, BUILD / "gpu" / "cache")
    results, status = Results(gpu_machine.describe()), 0
    for part in parts:
        print(f"\n{part}", flush=True)
        try:
            PARTS[part](results)
        except SideError as error:
            print(f"  {part} was given up: {error}", flush=True)
            status = 1
    print_tables(results)
    return status


if __name__ == "__main__":
    sys.exit(main())
