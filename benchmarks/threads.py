"""What a second thread brings where the work is arithmetic."""

from __future__ import annotations

from functools import partial
from time import perf_counter, sleep

import gpu_upsample as gu
from benchmarks.cases import Case, ConvTranspose, Resample
from benchmarks.compare import make_inputs
from benchmarks.figures import Figure, Measured
from benchmarks.peers import OURS
from benchmarks.timing import FULL, QUICK, Call, Clock, host_seconds, interleaved

# Sums of 16 products: as short as those of a network with many groups.
_GROUPED = ConvTranspose(64, 4, 2, 1, groups=16)

_CASES = (
    Case("cubic x2", (1, 3, 1080, 1920), "float32", "NCHW", Resample("cubic", (2160, 3840))),
    Case("lanczos4 x2", (1080, 1920, 3), "float32", "HWC", Resample("lanczos4", (2160, 3840))),
    Case("grouped conv_transpose 4x4 s2 {channels}", (8, 64, 64, 64), "float32", "NCHW", _GROUPED),
)

# As of a program that shows a video: the threads have gone to sleep since the last call.
_PAUSE = 5e-3
_PAUSED = Case("cubic x2", (540, 960, 3), "uint8", "HWC", Resample("cubic", (1080, 1920)))


def _paused_seconds(call: Call, calls: int) -> float:
    """Return the seconds that one of `calls` calls takes, each after a pause."""
    total = 0.0
    for _ in range(calls):
        sleep(_PAUSE)
        start = perf_counter()
        call()
        total += perf_counter() - start
    return total / calls


def _on(number: int, call: Call) -> Call:
    def run() -> None:
        with gu.use_threads(number):
            call()

    return run


def _speed_up(case: Case, clock: Clock, quick: bool) -> Measured:
    """Return the time of one thread in parts of that of two, and both in milliseconds."""
    case = case.small() if quick else case
    job = OURS.builders[type(case.work)](case, *make_inputs(case, "cpu"))
    assert job is not None
    calls = {name: _on(number, job.run) for number, name in ((1, "one, ms"), (2, "two, ms"))}
    for call in calls.values():
        call()
    times = interleaved(calls, clock, QUICK if quick else FULL)
    one, two = (times[name].median for name in calls)
    return one / two, {name: 1e3 * times[name].median for name in calls}


# As little work as two threads take: here it counts how fast one hands it to the other.
_LITTLE = Case("cubic x2", (1, 1, 512, 512), "float32", "NCHW", Resample("cubic", (1024, 1024)))

_UNIT = "times as fast as one"
FIGURES = (
    *(Figure(f"{case.name}: two threads", _UNIT, partial(_speed_up, case, host_seconds), least=1.7) for case in _CASES),
    Figure(f"{_LITTLE.name}: two threads", _UNIT, partial(_speed_up, _LITTLE, host_seconds), least=1.2),
    Figure(
        f"{_PAUSED.name}, each after a pause: two threads",
        _UNIT,
        partial(_speed_up, _PAUSED, _paused_seconds),
        least=1.2,
    ),
)
"""How many times as fast two threads are as one."""
