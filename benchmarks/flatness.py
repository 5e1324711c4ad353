"""Whether the speed depends on the size: our time in parts of a copy's, from small arrays to large ones."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from benchmarks.cases import Case, Resample
from benchmarks.compare import compare
from benchmarks.figures import Figure, Measured
from benchmarks.timing import FULL, QUICK

_SIDES = (256, 512, 1024, 2048, 4096, 8192)
_QUICK_SIDES = (16, 32)
_EFFORT = replace(FULL, budget=2.0)  # the largest takes a good part of a second


def _spread(method: str, quick: bool) -> Measured:
    """Return the largest of the ratios in parts of the smallest, and all of them by the side of the output."""
    ratios = {}
    for side in _QUICK_SIDES if quick else _SIDES:
        shape = (1, 1, side // 2, side // 2)
        case = Case(f"{method} to {{size}}", shape, "float32", "NCHW", Resample(method, (side, side)))
        record = compare(case, (), "cpu", QUICK if quick else _EFFORT)
        ratios[str(side)] = record["copy_ratio"]
    return max(ratios.values()) / min(ratios.values()), ratios


FIGURES = tuple(
    Figure(
        f"{method} x2 float32: spread of time / copy over sizes",
        "largest / smallest",
        partial(_spread, method),
        most=1.25,
    )
    for method in ("nearest", "linear")
)
"""How far the ratios lie apart."""
