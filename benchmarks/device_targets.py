"""What is aimed at on a GPU: it follows from what a case is."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from benchmarks.cases import Case, Imitation, Resample, ResampleBackward
from benchmarks.targets import Target, at_least

_SMALLEST = 1 << 16  # samples: on fewer, a GPU does little but start a kernel

_FRACTIONS: tuple[tuple[Callable[[Case], bool], float], ...] = (
    (lambda case: case.dtype == "uint8", 0.60),
    (lambda case: case.work.antialias, 0.70),
    (lambda case: isinstance(case.work, ResampleBackward), 0.75),
    (lambda case: not _channels_first(case) or not case.enlarges_evenly, 0.75),
    (lambda case: case.dtype in ("float32", "float16") and case.work.method in ("nearest", "linear", "cubic"), 0.85),
)
"""What a case is -> the least fraction of the speed of memory; the first that fits counts."""


def device_targets(case: Case) -> tuple[Target, ...]:
    """Return the targets of a case on a GPU: none where a library's numbers are imitated, which cost what they cost."""
    if prod(case.shape) < _SMALLEST or isinstance(case.work, Imitation):
        return ()
    return (*_of_memory(case), at_least("torch", _of_torch(case)))


def _of_memory(case: Case) -> tuple[Target, ...]:
    if not isinstance(case.work, Resample):
        return ()
    fractions = (at_least("floor", fraction) for fits, fraction in _FRACTIONS if fits(case))
    return tuple(fractions)[:1]


def _of_torch(case: Case) -> float:
    """Return how many times as fast as torch: at least as fast, whatever the case."""
    smooth = type(case.work) is Resample and case.work.method in ("linear", "cubic") and not case.work.antialias
    planar = case.layout == "NCHW" and case.dtype == "float32"
    return 3.0 if smooth and planar else 1.0


def _channels_first(case: Case) -> bool:
    return case.layout.index("C") < case.layout.index("W")
