"""Calls that are timed in turn: what else the machine does falls on all of them alike."""
import math
import statistics
import time

SAMPLE_S = 2e-3  # a sample is as many calls, one after the other, as take so long, or one
WARM_UPS = 2
# Several ticks of the system's clock, at each of which it adds what threads that are running have used.
QUIET_S, ASLEEP, PATIENCE_S = 30e-3, 0.1, 2


class NotQuiet(RuntimeError):
    """Threads of the process are busy though nothing was asked of them."""


def settle():
    """Until threads that go on polling for work after a run have gone to sleep: they would take the
    cores from whoever has the next turn."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        used, since = time.process_time(), time.monotonic()
        time.sleep(QUIET_S)
        if time.process_time() - used < ASLEEP * (time.monotonic() - since):
            return
    raise NotQuiet(f"threads still poll {PATIENCE_S} s after a run")


def repeated(call, count):
    """Of a call that has a way to (repeat.py), without Python in between."""
    if hasattr(call, "repeat"):
        call.repeat(count)
        return
    for _ in range(count):
        call()


def calls_in_a_sample(call):
    repeated(call, WARM_UPS)
    start = time.perf_counter()
    call()
    return max(1, math.ceil(SAMPLE_S / (time.perf_counter() - start)))


def sample(call, count, clock):
    """Milliseconds of one call."""
    start = clock()
    repeated(call, count)
    return (clock() - start) * 1e3 / count


def in_turn(calls, rounds, clock=time.perf_counter, threads=1):
    """Medians in milliseconds of each call, and of the ratio of each to the first, over rounds in which
    all take turns, each time another one before. Of several threads the first call of a turn does not count:
    it wakes them."""
    counts = [calls_in_a_sample(call) for call in calls]
    rows = []
    for first in range(rounds):
        row = [0.0] * len(calls)
        for k in range(len(calls)):
            i = (first + k) % len(calls)
            if threads > 1:
                settle()
                calls[i]()
            row[i] = sample(calls[i], counts[i], clock)
        rows.append(row)
    columns = list(zip(*rows))
    medians = [statistics.median(column) for column in columns]
    ratios = [statistics.median(t / ours for t, ours in zip(column, columns[0]))
              for column in columns]
    return medians, ratios
