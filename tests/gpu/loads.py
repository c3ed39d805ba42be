"""The part `loads` of make check-gpu: the background programs of the benchmarks, checked as programs."""
import json
import subprocess

# No multiple of any block; and small enough for tools that slow kernels down by two orders of magnitude.
ODD = {"stream": 100003, "walk": 100003, "stencil": 517, "eliminate": 203, "bodies": 3001, "paths": 1001}
SMALL = {"stream": 1003, "walk": 1003, "stencil": 77, "eliminate": 37, "bodies": 301, "paths": 101}
TOOLS = {"memcheck": ["--leak-check", "full"], "racecheck": []}
SKIPPED = 77  # the exit status of what cannot be on this machine
LIMIT_S = 120


def check(*command):
    """(passed, failed, skipped) of one program that prints what it found."""
    try:
        status = subprocess.run([str(c) for c in command], timeout=LIMIT_S).returncode
    except subprocess.TimeoutExpired:
        status = f"none after {LIMIT_S} s"
    if status not in (0, SKIPPED):
        print(f"  FAIL {' '.join(map(str, command))}: exit status {status}", flush=True)
    return status == 0, status not in (0, SKIPPED), status == SKIPPED


def ends_in_json(*command, ask):
    """Says "ready", and a line of JSON at the end, which SIGTERM asks for or the program finds itself."""
    what = " ".join(map(str, command))
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, text=True)
    try:
        ready = process.stdout.readline()
        if ask:
            process.terminate()
        answer = json.loads(process.communicate(timeout=LIMIT_S)[0])
        if ready != "ready\n" or process.returncode != 0:
            raise ValueError(f"{ready!r}, exit status {process.returncode}")
        median = answer["median_iteration_us"]
        if median is None and not ask:
            raise ValueError("not one iteration")
    except (ValueError, KeyError, subprocess.TimeoutExpired) as error:
        print(f"  FAIL {what}: {error}", flush=True)
        return 0, 1, 0
    finally:
        process.kill()
        process.wait()
    if median is not None:
        print(f"{what}: {answer['iterations']} iterations, {median:.0f} us", flush=True)
    return 1, 0, 0


def run(folder, sanitizer):
    """(passed, failed, skipped); `sanitizer` is the path of compute-sanitizer, or None."""
    load, hog = folder / "gpu_load", folder / "hog"
    counts = []
    for kind in ODD:
        counts += [check(load, kind, "--check"), check(load, kind, "--size", ODD[kind], "--check"),
                   ends_in_json(load, kind, "--seconds", 1, ask=False)]
    counts += [check(load, "stencil", "--sms", 16, "--check"), ends_in_json(load, "walk", ask=True),
               ends_in_json(hog, 0.5, 2000, ask=True)]
    if not sanitizer:
        print("  skipped: compute-sanitizer is not on PATH, nor in $CUDA_HOME or /opt/nvidia")
        counts.append((0, 0, 1))
    for tool, options in TOOLS.items() if sanitizer else []:
        print(f"  compute-sanitizer {tool}", flush=True)
        for kind, size in SMALL.items():
            counts.append(check(sanitizer, "--tool", tool, "--error-exitcode", 99, *options,
                                load, kind, "--size", size, "--check"))
    return tuple(map(sum, zip(*counts)))
