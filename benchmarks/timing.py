"""Times of calls that take turns, so that whatever slows the machine down slows all of them down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from math import ceil
from statistics import quantiles
from time import perf_counter
from typing import Any

import numpy as np

Call = Callable[[], Any]
Clock = Callable[[Call, int], float]


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes
    ----------
    rounds : int
        Samples of each call.
    sample : float
        Least duration of a sample in seconds: short calls are repeated within one.
    warm_up : float
        Least duration of the untimed calls before a sample, in seconds.
    budget : float
        Seconds that one call may use up: a slow one gets fewer rounds.
    most_calls : int
        Calls of a sample at most.
    """

    rounds: int
    sample: float
    warm_up: float
    budget: float
    most_calls: int = 1000


FULL = Effort(rounds=21, sample=5e-3, warm_up=0.03, budget=6.0)
QUICK = Effort(rounds=3, sample=0.0, warm_up=0.0, budget=0.2)
# No threads go to sleep there, and the queue of a stream holds about a thousand kernels.
DEVICE = Effort(rounds=21, sample=2e-3, warm_up=0.0, budget=1.0, most_calls=200)
EFFORTS = {"cpu": FULL, "cuda": DEVICE}
"""Backend -> how much a full run measures."""
_FEWEST_ROUNDS = 3


@dataclass(frozen=True)
class Timing:
    """Seconds of one call: the median and the quartiles over `rounds` samples of `calls` calls."""

    median: float
    low: float
    high: float
    rounds: int
    calls: int


def host_seconds(call: Call, calls: int) -> float:
    """Return the seconds that one of `calls` calls takes on the host."""
    start = perf_counter()
    for _ in range(calls):
        call()
    return (perf_counter() - start) / calls


_WAIT = """
extern "C" __global__ void wait(long long nanoseconds) {
    unsigned long long start, now;
    asm volatile("mov.u64 %0, %globaltimer;" : "=l"(start));
    do asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now)); while (now - start < nanoseconds);
}
"""


@cache
def _wait() -> Any:
    return import_module("cupy").RawKernel(_WAIT, "wait")


def device_seconds(call: Call, calls: int) -> float:
    """Return the seconds between two events on CuPy's current stream, per call.

    The device begins when all calls are queued: what the host does for them is a figure of its own.
    """
    cuda = import_module("cupy").cuda
    start, stop = cuda.Event(), cuda.Event()
    wait = 20e-6 * calls
    while True:
        began = perf_counter()
        _wait()((1,), (1,), (np.int64(1e9 * wait),))
        start.record()
        for _ in range(calls):
            call()
        stop.record()
        queued = perf_counter() - began
        stop.synchronize()
        if queued < wait:
            return float(cuda.get_elapsed_time(start, stop)) * 1e-3 / calls
        wait = 2 * queued


CLOCKS: dict[str, Clock] = {"cpu": host_seconds, "cuda": device_seconds}
"""Backend -> clock."""


def interleaved(calls: Mapping[str, Call], clock: Clock, effort: Effort) -> dict[str, Timing]:
    """Time several calls in turns.

    Before each sample the same calls run untimed: the caches then hold their data; the worker threads of the library
    before, which spin for a while when they have nothing to do (OpenMP's), are asleep; and the scheduler, which
    may wake a thread on the core of the one that wakes it, has spread them over the cores.

    Parameters
    ----------
    calls : mapping
        Name -> call. Each must have run at least once, so that nothing is compiled here.
    clock : callable
        `host_seconds` or `device_seconds`.
    effort : Effort
        How much to measure.

    Returns
    -------
    dict
        Name -> timing.
    """
    repeats, untimed, rounds = {}, {}, {}
    for name, call in calls.items():
        once = max(clock(call, 1), 1e-9)
        repeats[name] = min(effort.most_calls, max(1, ceil(effort.sample / once)))
        untimed[name] = max(repeats[name], ceil(effort.warm_up / once))
        cost = once * (repeats[name] + untimed[name])
        rounds[name] = min(effort.rounds, max(_FEWEST_ROUNDS, int(effort.budget / cost)))
    samples: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    for turn in range(max(rounds.values())):
        first = turn % len(names)  # nobody always follows the same other
        for name in names[first:] + names[:first]:
            if len(samples[name]) < rounds[name]:
                clock(calls[name], untimed[name])
                samples[name].append(clock(calls[name], repeats[name]))
    return {name: _summary(samples[name], repeats[name]) for name in calls}


def _summary(samples: list[float], calls: int) -> Timing:
    low, median, high = quantiles(samples, n=4, method="inclusive")
    return Timing(median, low, high, len(samples), calls)
