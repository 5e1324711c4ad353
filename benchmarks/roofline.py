"""The roof: how long a case must take at the least, if memory is all that limits it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

Record = dict[str, Any]


def bytes_moved(*groups: Iterable[Any]) -> int:
    """Return how many bytes must move: every input is read once, every output written once.

    Shrinking without antialiasing may skip some of its input; memory is read in lines, so this counts all of it.
    """
    return sum(array.nbytes for array in chain.from_iterable(groups))


def floor(moved: int, copied: int, copy_seconds: float) -> float:
    """Return the seconds that moving some bytes takes at the speed of a copy.

    Parameters
    ----------
    moved : int
        Bytes that must move.
    copied : int
        Bytes of the array that was copied: each was read and written.
    copy_seconds : float
        What the copy took, in the same turns as the case.
    """
    return moved / (2 * copied / copy_seconds)


def bandwidth(case: Record) -> float:
    """Return the bytes per second of the copy that was timed with a case, counting what it reads and what it writes."""
    return float(case["bytes"] / case["floor_seconds"])


def draw(axes: Any, cases: Sequence[Record]) -> None:
    """Draw the fraction of the memory's speed that each case reaches, and a tick where a target sets one.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where to draw; case `i` is at height `i`.
    cases : sequence of dict
        The records of cases without errors.
    """
    axes.barh(range(len(cases)), [case["floor_fraction"] for case in cases], color="#9db7c9", height=0.6)
    for row, case in enumerate(cases):
        for verdict in case["verdicts"]:
            if (fraction := _fraction(case, verdict)) is not None:
                axes.plot([fraction] * 2, [row - 0.4, row + 0.4], color="#1b8a5a" if verdict["met"] else "#d0021b")
    axes.axvline(1, color="#444444", linewidth=1)
    axes.set_xlabel("of the speed of memory")


def _fraction(case: Record, verdict: Record) -> float | None:
    """Return the fraction that a target asks for, or None if it bounds something else."""
    if verdict["of"] == "floor":
        return float(verdict["bound"])
    if verdict["of"] == "copy":
        return float(case["floor_seconds"] / (verdict["bound"] * case["copy"]["median"]))
    return None
