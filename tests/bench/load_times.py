"""How long networks take from a file to a model that can run, and to the end of its first run, beside ONNX Runtime's
sessions. Kernels are chosen before, and what is written once is written."""
import statistics
import time

import hsched
import peers_onnxruntime

WAYS = {"libhsched": 0, "cached": hsched.CACHE_WEIGHTS}
THEIRS = peers_onnxruntime.TITLE
WARM_UPS = 2  # the first chooses kernels, the second writes packed weights


class Loader:
    """Loads networks again and again; gives seconds until it was there and until it has run once."""

    def __init__(self, runtime, flags):
        self._runtime, self._flags = runtime, flags

    def __call__(self, network):
        start = time.perf_counter()
        model = self._runtime.load(network.path, flags=self._flags)
        there = time.perf_counter()
        model.infer(network.feed)
        ran = time.perf_counter()
        model.close()
        return there - start, ran - start


def their_loader(threads):
    def load(network):
        start = time.perf_counter()
        session = peers_onnxruntime.session(network.path, threads)
        there = time.perf_counter()
        session.run(None, network.feed)
        return there - start, time.perf_counter() - start
    return load


def measured(network, loaders, rounds):
    """Of each loader the medians in milliseconds, and of the ratio of ONNX Runtime's time to its own."""
    for _ in range(WARM_UPS):
        for load in loaders.values():
            load(network)
    names, rows = list(loaders), []
    for first in range(rounds):
        order = names[first % len(names):] + names[:first % len(names)]
        times = {name: loaders[name](network) for name in order}
        rows.append(times)
    row = {"network": network.name}
    for name in names:
        for k, what in enumerate(["load", "first_run"]):
            row.setdefault(name, {})[f"{what}_ms"] = statistics.median(r[name][k] for r in rows) * 1e3
            row[name][f"{what}_ratio"] = statistics.median(r[THEIRS][k] / r[name][k] for r in rows)
    return row


def table(found, threads, rounds):
    print(f"{f'loading, {threads} thread' + 's' * (threads > 1):24}" +
          f" {THEIRS + ' ms':>16} {'libhsched ms':>13} {'ratio':>6} {'cached ms':>10} {'ratio':>6}"
          f"   to the end of the first run: {'ms':>8} {'ms':>8} {'ratio':>6} {'ms':>8} {'ratio':>6}")
    rows = []
    with hsched.Runtime(cpu_workers=threads, flags=hsched.NO_GPU) as runtime:
        loaders = {name: Loader(runtime, flags) for name, flags in WAYS.items()}
        loaders[THEIRS] = their_loader(threads)
        for network in found:
            row = measured(network, loaders, rounds)
            ours, cached, theirs = row["libhsched"], row["cached"], row[THEIRS]
            print(f"{network.name:24} {theirs['load_ms']:16.1f} {ours['load_ms']:13.1f} {ours['load_ratio']:6.2f} "
                  f"{cached['load_ms']:10.1f} {cached['load_ratio']:6.2f} {'':31}"
                  f"{theirs['first_run_ms']:8.1f} {ours['first_run_ms']:8.1f} {ours['first_run_ratio']:6.2f} "
                  f"{cached['first_run_ms']:8.1f} {cached['first_run_ratio']:6.2f}", flush=True)
            rows.append(row)
    print()
    return {"threads": threads, "rows": rows}
