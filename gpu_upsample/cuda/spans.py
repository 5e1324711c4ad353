"""Where the windows of all threads lie alike along an axis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHORT = 32
"""Rows of fewer pixels have no span: they have more border than inside, and one kernel serves them all."""

PIXEL = 4
"""Pixels of so many scalars at most may lie in a span: a thread owns whole pixels."""


@dataclass(frozen=True)
class Span:
    """Where the windows of every thread lie alike.

    Attributes
    ----------
    phases, step, shift : int
        The period of the kernels' specialisations.
    start, stop : int
        The output pixels ``start <= i < stop`` have such windows.
    first : int
        The first of them at which a thread begins.
    at : int
        The sample at which the windows of a thread would begin if its first pixel were pixel 0; negative, maybe.
    """

    phases: int
    step: int
    shift: int
    start: int
    stop: int
    first: int
    at: int

    def threads(self, pixels: int) -> tuple[int, int]:
        """Return the first thread of a row whose pixels all lie so, if each owns that many, and how many do."""
        first = -(-self.start // pixels) if self.phases else 0
        return first, self.stop // pixels - first if self.phases else 0

    def ends(self, n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return those of n pixels whose windows do not lie so, and where these would begin if they did."""
        pixel = np.r_[: self.start, self.stop : n]
        return pixel, self.at + (pixel * self.step + self.shift) // self.phases


NO_SPAN = Span(0, 0, 0, 0, 0, 0, 0)


def find_span(start: Any, pixels: int, alike: Callable[[int], Any]) -> Span:
    """Return the period of an axis in threads of so many output pixels, if it covers half of them.

    Parameters
    ----------
    start : ndarray
        Where the windows begin.
    pixels : int
        Output pixels of a thread.
    alike : callable
        ``alike(n)`` says of every window but the last n whether the one n further on has the same weights.
    """
    middle = len(start) // 2
    for phases in (n for n in range(1, pixels + 1) if pixels % n == 0 and middle + n < len(start)):
        step = int(start[middle + phases] - start[middle])
        repeated = alike(phases) & (start[phases:] - start[:-phases] == step)
        breaks = np.flatnonzero(~repeated)
        begin = int(breaks[breaks < middle].max(initial=-1)) + 1
        first = -(-begin // pixels) * pixels
        stop = int(breaks[breaks >= middle].min(initial=len(repeated))) + phases
        if 2 * (stop - first) < len(start) or stop - first < pixels:
            continue
        begins, i = start[first : first + phases] - start[first], np.arange(phases)
        for shift in range(phases):
            if np.array_equal(begins, (i * step + shift) // phases):
                return Span(phases, step, shift, begin, stop, first, int(start[first]) - first // phases * step)
    return NO_SPAN
