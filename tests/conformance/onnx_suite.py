"""make conformance: the ONNX package's own backend tests (onnx.backend.test) with libhsched.

Every case runs. Those that excluded.txt names must be refused, for the reason it gives; all others must
pass. Cases run in a process of their own, which is made anew after one that crashed or hung.

    onnx_suite.py [--update] [--device cuda] [REGEX]
        --update       writes excluded.txt anew, as far as cases are refused
        --device cuda  with the GPU doing what it can; what is refused is the same
"""
import argparse
import collections
import multiprocessing
import os
import pathlib
import re
import sys
import unittest
import warnings

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "common")]

import hsched  # noqa: E402

# Where the suite puts what it generates.
os.environ["ONNX_HOME"] = str(hsched.BUILD.resolve() / "onnx")
warnings.simplefilter("ignore")

import onnx  # noqa: E402
from onnx.backend.test.loader import load_model_tests  # noqa: E402
from onnx.backend.test.runner import Runner  # noqa: E402

import reasons  # noqa: E402
from backend import HschedBackend, Prepared  # noqa: E402

EXCLUDED = HERE / "excluded.txt"
# The expected values of these have rounding errors of 2e-7 where the result is 0.
TOLERANCES = {name: {"atol": 1e-6} for name in ("test_dft_inverse", "test_dft_inverse_opset19")}
HANGS_AFTER = 120  # seconds; the longest case takes a few
FLAKY = "flaky: passes or not"
DOWNLOAD = "download: needs the network"
HEAD = """\
# Cases of onnx.backend.test of onnx {version} that the library refuses, under the reason it gives.
# `make conformance` checks each line. A case that needs several operators stands under one of them.
# Cases under "[{flaky}]" run, but are not judged.
"""

# fixed, all_fixed: it passed with all inputs but the first, or all, as constants (backend.py).
Result = collections.namedtuple("Result", "passed message reason fixed all_fixed on_gpu",
                                defaults=[False, False, False])


def read_excluded():
    """The suite's version, and name -> reason."""
    version, found, reason = None, {}, None
    for line in EXCLUDED.read_text().splitlines():
        if match := re.match(r"# .* of onnx (\S+) that", line):
            version = match[1]
        elif match := re.match(r"\[(.+)\]$", line):
            reason = match[1]
        elif line and not line.startswith("#"):
            if line in found:
                raise SystemExit(f"{EXCLUDED.name}: {line} stands in it twice")
            found[line] = reason
    return version, found


def write_excluded(results, before):
    """Refused cases; what failed otherwise is not written, and fails next time, too."""
    groups = collections.defaultdict(list)
    for name, result in results.items():
        reason = FLAKY if before.get(name) == FLAKY else result.reason
        if reason:
            groups[reason].append(name)
    parts = [HEAD.format(version=onnx.__version__, flaky=FLAKY)]
    for reason in sorted(groups):
        parts.append("\n".join([f"[{reason}]", *sorted(groups[reason])]) + "\n")
    EXCLUDED.write_text("\n".join(parts))


def all_cases(device):
    """name -> (kind, test case class, method), and the names of those that need a download.

    Names are those of the CPU's cases, whatever the device."""
    remote = {f"{case.name}_cpu" for case in load_model_tests(kind="real")
              if case.url and not case.url.startswith("onnx/backend/test/data/light/")}
    found = {}
    for kind in Runner(HschedBackend, test_kwargs=TOLERANCES).test_cases.values():
        for name in unittest.defaultTestLoader.getTestCaseNames(kind):
            if name.endswith(f"_{device}"):
                label = kind.__name__.removeprefix("OnnxBackend").removesuffix("ModelTest")
                found[f"{name.removesuffix(device)}cpu"] = (label, kind, name)
    return found, remote


def run_here(kind, method):
    fixed, all_fixed, on_gpu = Prepared.fixed, Prepared.all_fixed, Prepared.on_gpu
    try:
        kind(method).debug()
        return Result(True, "", None, Prepared.fixed > fixed, Prepared.all_fixed > all_fixed,
                      Prepared.on_gpu > on_gpu)
    except hsched.HschedError as error:
        return Result(False, str(error), reasons.of_message(str(error)))
    except Exception as error:  # A failure of the case, whatever it is.
        return Result(False, f"{type(error).__name__}: {error}", None)


def serve(pipe, cases):
    while (name := pipe.recv()) is not None:
        _, kind, method = cases[name]
        pipe.send(run_here(kind, method))


class Worker:
    """A forked process that runs cases one after the other; a new one after a crash or a hang."""

    def __init__(self, cases):
        self.cases, self.process, self.pipe = cases, None, None

    def start(self):
        context = multiprocessing.get_context("fork")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, self.cases), daemon=True)
        self.process.start()
        theirs.close()

    def end(self):
        self.process.kill()
        self.process.join()
        self.process = None

    def run(self, name):
        if not self.process:
            self.start()
        self.pipe.send(name)
        try:
            if self.pipe.poll(HANGS_AFTER):
                return self.pipe.recv()
            self.end()
            return Result(False, f"no end after {HANGS_AFTER} seconds", None)
        except EOFError:
            self.process.join()
            code = self.process.exitcode
            self.process = None
            return Result(False, f"the process died: exit code {code}", None)


def judge(name, result, excluded):
    """What is wrong with this result, or None."""
    reason = excluded.get(name)
    if reason == FLAKY or (reason is None and result.passed):
        return None
    if reason is None:
        return result.message
    if result.passed:
        return f"passes, but is excluded: {reason}"
    if result.reason != reason:
        return f"excluded: {reason}; but it failed so: {result.message}"
    return None


def report(cases, results, wrong, excluded):
    passed = [name for name, result in results.items() if result.passed and name not in wrong]
    ran = collections.Counter(cases[name][0] for name in results)
    good = collections.Counter(cases[name][0] for name in passed)
    out = collections.Counter(excluded[name] for name in results
                              if name in excluded and name not in wrong and name not in passed)
    for name, what in wrong.items():
        print(f"FAILED {name}: {' | '.join(what.splitlines())}")
    for reason, count in out.most_common():
        print(f"{count:5}  {reason}")
    print(", ".join(f"{kind} {good[kind]} of {ran[kind]}" for kind in sorted(ran)))
    fixed = sum(results[name].fixed for name in passed)
    print(f"{fixed} of those that passed did so with all inputs but the first as constants")
    if all_fixed := sum(results[name].all_fixed for name in passed):
        print(f"{all_fixed} of those that passed did so with all inputs as constants")
    if on_gpu := sum(results[name].on_gpu for name in passed):
        print(f"{on_gpu} of those that passed did so with steps on the GPU")
    print(f"{len(passed)} passed, {len(wrong)} failed, {sum(out.values())} excluded")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("regex", nargs="?", default="")
    options = parser.parse_args()
    if options.update and options.regex:
        parser.error("--update takes all cases")
    version, excluded = read_excluded() if EXCLUDED.exists() else (None, {})
    here = onnx.__version__
    if not options.update and (version or "").split(".")[:2] != here.split(".")[:2]:
        raise SystemExit(f"{EXCLUDED.name} is for onnx {version}, but {here} is installed; see "
                         "tests/setup/requirements.txt")
    if version != here:
        print(f"{EXCLUDED.name} is for onnx {version}, this is {here}: cases may differ")
    cases, remote = all_cases(options.device)
    worker = Worker(cases)
    chosen = [name for name in cases if re.search(options.regex, name)]
    results = {name: Result(False, DOWNLOAD, DOWNLOAD) if name in remote else worker.run(name)
               for name in chosen}
    if worker.process:
        worker.end()
    if options.update:
        write_excluded(results, excluded)
        _, excluded = read_excluded()
    excluded |= dict.fromkeys(remote, DOWNLOAD)
    wrong = {name: what for name in chosen if (what := judge(name, results[name], excluded))}
    if version == here:
        wrong |= {name: "is excluded, but the suite has no such case" for name in excluded
                  if name not in cases}
    report(cases, results, wrong, excluded)
    return 1 if wrong or not results else 0


if __name__ == "__main__":
    sys.exit(main())
