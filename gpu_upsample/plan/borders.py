"""What lies beyond the ends of an axis: the border rules, as a table.

A rule moves the windows that leave the axis into it, with other weights. Where samples of a window then would lie far
apart, or windows run backwards, it gathers the samples first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gpu_upsample.plan.footprints import Footprints
from gpu_upsample.plan.taps import Floats, Gathered, Ints, Taps, window_taps

# ---- one sample for another -------------------------------------------------------------------------------------
Extension = Callable[[Ints, int], Ints]
"""Returns the sample inside an axis of so many for which each index stands."""


def _nearest(index: Ints, n: int) -> Ints:
    return np.clip(index, 0, n - 1)


def _symmetric(index: Ints, n: int) -> Ints:
    place = index % (2 * n)
    return np.where(place < n, place, 2 * n - 1 - place)


def _reflected(index: Ints, n: int) -> Ints:
    period = max(2 * n - 2, 1)
    place = index % period
    return np.where(place < n, place, period - place)


def _repeated(index: Ints, n: int) -> Ints:
    return index % n


STANDS_FOR: dict[str, Extension] = {
    "clamp": _nearest,
    "symmetric": _symmetric,
    "reflect": _reflected,
    "wrap": _repeated,
}
"""Rule name -> the extension of an axis, where it is one of samples."""


# ---- windows that are moved into the axis -----------------------------------------------------------------------
@dataclass(frozen=True)
class _Terms:
    """The terms of some windows' sums, shape (windows, taps); an index that repeats adds its weights."""

    index: Ints
    weight: Floats
    used: NDArray[np.bool_]
    outside: Floats | None = None


_Rule = Callable[[_Terms, int], _Terms]


def _replaced(place: Extension, w: _Terms, n: int) -> _Terms:
    return replace(w, index=place(w.index, n))


def _renormalize(w: _Terms, n: int) -> _Terms:
    inside = w.used & (w.index >= 0) & (w.index < n)
    cut = (inside != w.used).any(axis=1, keepdims=True)
    total = np.where(cut, np.where(inside, w.weight, 0).sum(axis=1, keepdims=True), 1.0)
    # A window that lies outside, or whose weights inside cancel, has nothing to renormalise: it is clamped.
    alone = np.abs(total) < 1e-9
    weight = np.where(inside, w.weight / np.where(alone, 1, total), np.where(alone, w.weight, 0))
    return _Terms(np.clip(w.index, 0, n - 1), weight, inside | (w.used & alone))


def _constant(w: _Terms, n: int) -> _Terms:
    inside = (w.index >= 0) & (w.index < n)
    return replace(w, used=w.used & inside, outside=np.where(inside, 0, w.weight).sum(axis=1))


def _extrapolate(w: _Terms, n: int) -> _Terms:
    # x[-j] continues the line through the first two samples: x[0] + j * (x[0] - x[1]); likewise at the end.
    if n == 1:
        return _replaced(_nearest, w, n)
    edge = np.clip(w.index, 0, n - 1)
    beyond = np.abs(w.index - edge)
    inner = np.where(w.index < 0, 1, n - 2)
    return _Terms(
        np.hstack([edge, inner]),
        np.hstack([w.weight * (1 + beyond), -w.weight * beyond]),
        np.hstack([w.used, w.used & (beyond > 0)]),
    )


def _moved(rule: _Rule, windows: Footprints, n: int) -> Taps:
    """Return the taps of windows of which each is moved into the axis."""
    terms = rule(_Terms(windows.index, windows.weight, windows.used), n)
    return replace(window_taps(terms.index, terms.weight, terms.used, n), outside=terms.outside)


def _in_place(rule: _Rule, windows: Footprints, n: int) -> Taps:
    """Return the taps of windows of which those that leave the axis, a few most often, are moved into it."""
    leaving = np.flatnonzero((windows.start < 0) | (windows.stop > n))
    start, count, outside = windows.start.copy(), windows.stop - windows.start, None
    if not len(leaving):
        return Taps(n, start, count, windows.weight)
    moved = _moved(rule, windows[leaving], n)
    start[leaving], count[leaving] = moved.start, moved.count
    if (np.diff(start) < 0).any() or (np.diff(start + count) < 0).any():
        return _moved(rule, windows, n)  # out of order: some of the other windows must be longer, too
    weight = np.zeros((len(start), int(np.max(count, initial=1))))
    width = min(weight.shape[1], windows.weight.shape[1])
    weight[:, :width] = windows.weight[:, :width] + 0.0  # never -0.0
    weight[leaving] = 0
    weight[leaving, : moved.width] = moved.weight
    if moved.outside is not None:
        outside = np.zeros(len(start))
        outside[leaving] = moved.outside
    return Taps(n, start, count, weight, outside)


# ---- samples that are gathered -----------------------------------------------------------------------------------
def _gathered(place: Extension, period: int, windows: Footprints, n: int) -> Taps | Gathered:
    """Return windows over copies of their samples, in the order in which they need them.

    So many samples in a row as the `period` has are all of the axis.
    """
    count = windows.stop - windows.start
    if count.min() >= period:  # each needs all samples of the axis
        return _moved(partial(_replaced, place), windows, n)
    fresh = np.maximum(windows.start[1:], windows.stop[:-1])  # what no window before has begins here
    first = np.append(windows.start[0], fresh)
    added = windows.stop - first
    ends = np.cumsum(added)
    index = np.repeat(first - (ends - added), added) + np.arange(ends[-1])
    return Gathered(n, place(index, n), Taps(len(index), ends - count, count, windows.weight))


def _mirrored(place: Extension, windows: Footprints, n: int) -> Taps | Gathered:
    """Return windows on an axis with mirrors at its ends, behind which the order is the other way round."""
    if windows.stop[0] <= 0 or windows.start[-1] >= n:
        return _gathered(place, 2 * n, windows, n)
    return _in_place(partial(_replaced, place), windows, n)


def repeated(windows: Footprints, n: int) -> Taps | Gathered:
    """Return windows on an axis behind whose end its first sample follows: the samples of one may lie at both ends.

    Examples
    --------
    >>> windows = Footprints(np.array([-1, 0, 7]), np.array([1, 2, 9]), np.full((3, 2), 0.5))
    >>> mapping = repeated(windows, 3)
    >>> mapping.source, mapping.taps.start
    (array([2, 0, 1, 1, 2]), array([0, 1, 3]))
    """
    start = windows.start - windows.start[0] // n * n
    stop = start + (windows.stop - windows.start)
    if stop[-1] <= n:  # all within one round
        return Taps(n, start, stop - start, windows.weight)
    return _gathered(_repeated, n, windows, n)


BORDERS: dict[str, Callable[[Footprints, int], Taps | Gathered]] = {
    "clamp": partial(_in_place, partial(_replaced, _nearest)),
    "symmetric": partial(_mirrored, _symmetric),
    "reflect": partial(_mirrored, _reflected),
    "wrap": repeated,
    "renormalize": partial(_in_place, _renormalize),
    "constant": partial(_in_place, _constant),
    "extrapolate": partial(_in_place, _extrapolate),
}
"""Rule name -> the map of an axis of so many samples, given the windows on it."""
