"""Every interpolation is a table of taps.

Output ``o`` is the sum over ``k < count[o]`` of ``weight[o, k] * x[start[o] + k]``. Filters, coordinate rules,
antialiasing, borders and crop boxes are all decided here, once per axis, in float64; a kernel sees only taps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from gpu_upsample.plan.coordinates import Axis, settled
from gpu_upsample.plan.filters import Filter

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Reals = NDArray[np.float32] | Floats


@dataclass(frozen=True, eq=False)
class Taps:
    """A linear map along one axis, as one window of weights per output sample.

    Windows, not index lists: a list padded with index 0 and weight 0 would turn an infinite first sample into
    NaN everywhere. Both ends of the windows never decrease from one output to the next, but in `blocks`.

    Attributes
    ----------
    n_in : int
        Length of the input axis.
    start, count : ndarray of int64, shape (n_out,)
        The window of each output: ``start <= i < start + count``, always inside the axis.
    weight : ndarray of float64, shape (n_out, width)
        Weights, left-aligned; beyond ``count`` they are zero and never used.
    outside : ndarray of float64, shape (n_out,), or None
        Weight of a constant that surrounds the axis; None where there is no such constant.

    Examples
    --------
    >>> taps = Taps(3, np.array([0, 1]), np.array([2, 2]), np.array([[0.5, 0.5], [0.25, 0.75]]))
    >>> taps.matrix()
    array([[0.5 , 0.5 , 0.  ],
           [0.  , 0.25, 0.75]])
    >>> taps.T.matrix()
    array([[0.5 , 0.  ],
           [0.5 , 0.25],
           [0.  , 0.75]])
    """

    n_in: int
    start: Ints
    count: Ints
    weight: Floats
    outside: Floats | None = None

    @property
    def n_out(self) -> int:
        """Length of the output axis."""
        return len(self.start)

    @property
    def width(self) -> int:
        """The longest window."""
        return int(self.weight.shape[1])

    @cached_property
    def overlap(self) -> int:
        """The largest number of windows, from the first to the last, that reach one input sample."""
        ends = self.start + self.count
        last = np.searchsorted(self.start, ends - 1, side="right")
        return int(np.max(last - np.arange(self.n_out), initial=1))

    @cached_property
    def is_identity(self) -> bool:
        """Whether the output is the input."""
        return (
            self.n_in == self.n_out
            and self.outside is None
            and bool(np.all(self.count == 1))
            and np.array_equal(self.start, np.arange(self.n_in))
            and bool(np.all(self.weight[:, 0] == 1))
        )

    @cached_property
    def T(self) -> Taps:  # noqa: N802 - the name that every NumPy user knows
        """The transpose, again a table of windows: what a gradient gathers with."""
        rows, k = np.nonzero(np.arange(self.width) < self.count[:, None])
        columns = self.start[rows] + k
        start, stop = np.full(self.n_in, self.n_out), np.zeros(self.n_in, np.int64)
        np.minimum.at(start, columns, rows)
        np.maximum.at(stop, columns, rows + 1)
        # An input that no output reads gets an empty window, put where its neighbours keep the order.
        start = np.minimum(start, np.minimum.accumulate(start[::-1])[::-1])
        stop = np.maximum(np.maximum.accumulate(stop), start)
        weight = np.zeros((self.n_in, _longest(stop - start)))
        weight[columns, rows - start[columns]] = self.weight[rows, k]
        # The sum over an empty window is -0.0: a constant of 0 makes it +0.0.
        outside = (start == stop).astype(np.float64) if (start == stop).any() else None
        return Taps(self.n_out, start, stop - start, weight, outside)

    def blocks(self, length: int) -> tuple[Taps, Taps]:
        """Return two maps that do as this one: sums over at most `length` samples each, and the sums of those.

        The windows of the first follow one another output by output, so their ends may decrease.

        Examples
        --------
        >>> parts, sums = Taps(5, np.array([0, 1]), np.array([3, 4]), np.ones((2, 4))).blocks(2)
        >>> parts.start, parts.count
        (array([0, 2, 1, 3]), array([2, 1, 2, 2]))
        >>> sums.start, sums.count
        (array([0, 2]), array([2, 2]))
        """
        number = -(-self.count // length)
        first = np.cumsum(number) - number
        output = np.repeat(np.arange(self.n_out), number)
        begin = (np.arange(len(output)) - first[output]) * length
        k = begin[:, None] + np.arange(length)
        used = k < self.count[output, None]
        weight = np.where(used, self.weight[output[:, None], np.minimum(k, self.width - 1)], 0)
        parts = Taps(self.n_in, self.start[output] + begin, used.sum(axis=1), weight)
        return parts, Taps(len(output), first, number, np.ones((self.n_out, int(np.max(number)))), self.outside)

    def __getitem__(self, part: slice) -> Taps:
        """Return the taps of a slice of the outputs."""
        outside = None if self.outside is None else self.outside[part]
        return Taps(self.n_in, self.start[part], self.count[part], self.weight[part], outside)

    def matrix(self) -> Floats:
        """Return the map as a dense matrix of shape (n_out, n_in)."""
        dense = np.zeros((self.n_out, self.n_in))
        rows, k = np.nonzero(np.arange(self.width) < self.count[:, None])
        dense[rows, self.start[rows] + k] = self.weight[rows, k]
        return dense


LARGEST_TABLE = 2**27
"""Weights that a table may hold: 1 GiB, and about ten times that while it is made."""


def check_table(windows: int, samples: int, bound: str = "at least") -> None:
    """Refuse a table that would not fit into memory: of windows of `samples` samples, at least or up to that."""
    if samples * windows > LARGEST_TABLE:
        raise ValueError(
            f"size (or scale, scale_factor) and box ask for {windows} windows of {bound} {samples} samples; "
            f"a table may hold {LARGEST_TABLE} weights. Resize in two steps, or part by part"
        )


def _longest(count: Ints) -> int:
    """Return the length of the longest window, or say that a table of them would not fit into memory."""
    longest = int(np.max(count, initial=1))
    check_table(len(count), longest, "up to")
    return longest


def offsets(count: Ints) -> Ints:
    """Return the offsets of the samples of the longest window."""
    return np.arange(_longest(count))


def window_taps(index: Ints, weight: Reals, used: NDArray[np.bool_], n: int) -> Taps:
    """Return the taps of windows given as one row of indices and weights per output.

    Parameters
    ----------
    index, weight : ndarray, shape (n_out, taps)
        The samples and their weights; an index that repeats in a row adds its weights.
    used : ndarray of bool, shape (n_out, taps)
        Which of them count. An output without any is zero.
    n : int
        Length of the input axis; every index that counts lies inside.

    Examples
    --------
    >>> window_taps(np.array([[0, 0], [0, 1]]), np.full((2, 2), 0.5), np.ones((2, 2), bool), 2).matrix()
    array([[1. , 0. ],
           [0.5, 0.5]])
    """
    empty = np.logical_not(used.any(axis=1))
    start = np.where(used, index, n).min(axis=1)
    stop = np.where(used, index, -1).max(axis=1) + 1
    # An empty window lies where its neighbours keep the order.
    stop = np.maximum.accumulate(stop)
    start = np.minimum.accumulate(np.where(empty, stop, start)[::-1])[::-1]
    count = np.where(empty, 0, stop - start)
    table = np.zeros((len(index), _longest(count)))
    place = index - start[:, None] + np.arange(len(index))[:, None] * table.shape[1]  # in the flat table
    np.add.at(table.reshape(-1), place[used], weight[used])
    # The sum over nothing is -0.0: a constant of 0 makes it +0.0.
    outside: Floats | None = empty.astype(np.float64) if empty.any() else None
    return Taps(n, start, count, table, outside)


# ---- borders ----------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Window:
    """The taps of some windows as index lists, shape (windows, taps); an index that repeats adds its weights."""

    index: Ints
    weight: Floats
    used: NDArray[np.bool_]
    outside: Floats | None = None

    def __getitem__(self, windows: Ints) -> _Window:
        """Return some of the windows."""
        return _Window(self.index[windows], self.weight[windows], self.used[windows])


def _nearest(index: Ints, n: int) -> Ints:
    return np.clip(index, 0, n - 1)


def _symmetric(index: Ints, n: int) -> Ints:
    place = index % (2 * n)
    return np.where(place < n, place, 2 * n - 1 - place)


def _reflected(index: Ints, n: int) -> Ints:
    period = max(2 * n - 2, 1)
    place = index % period
    return np.where(place < n, place, period - place)


STANDS_FOR: dict[str, Callable[[Ints, int], Ints]] = {
    "clamp": _nearest,
    "symmetric": _symmetric,
    "reflect": _reflected,
}
"""Rule name -> the sample inside the axis for which any other one stands."""


def _replaced(place: Callable[[Ints, int], Ints], w: _Window, n: int) -> _Window:
    return replace(w, index=place(w.index, n))


def _renormalize(w: _Window, n: int) -> _Window:
    inside = w.used & (w.index >= 0) & (w.index < n)
    cut = (inside != w.used).any(axis=1, keepdims=True)
    total = np.where(cut, np.where(inside, w.weight, 0).sum(axis=1, keepdims=True), 1.0)
    # A window that lies outside, or whose weights inside cancel, has nothing to renormalise: it is clamped.
    alone = np.abs(total) < 1e-9
    weight = np.where(inside, w.weight / np.where(alone, 1, total), np.where(alone, w.weight, 0))
    return _Window(np.clip(w.index, 0, n - 1), weight, inside | (w.used & alone))


def _constant(w: _Window, n: int) -> _Window:
    inside = (w.index >= 0) & (w.index < n)
    return replace(w, used=w.used & inside, outside=np.where(inside, 0, w.weight).sum(axis=1))


def _extrapolate(w: _Window, n: int) -> _Window:
    # x[-j] continues the line through the first two samples: x[0] + j * (x[0] - x[1]); likewise at the end.
    if n == 1:
        return _replaced(_nearest, w, n)
    edge = np.clip(w.index, 0, n - 1)
    beyond = np.abs(w.index - edge)
    inner = np.where(w.index < 0, 1, n - 2)
    return _Window(
        np.hstack([edge, inner]),
        np.hstack([w.weight * (1 + beyond), -w.weight * beyond]),
        np.hstack([w.used, w.used & (beyond > 0)]),
    )


BORDERS: dict[str, Callable[[_Window, int], _Window]] = {
    **{name: partial(_replaced, place) for name, place in STANDS_FOR.items()},
    "renormalize": _renormalize,
    "constant": _constant,
    "extrapolate": _extrapolate,
}
"""Rule name -> what the samples outside the axis stand for, written as weights of samples inside it."""


def selected_taps(index: Ints, n_in: int) -> Taps:
    """Return a selection as taps: one sample of weight 1 per output, none where the index is -1.

    Examples
    --------
    >>> selected_taps(np.array([0, 0, 1]), 2).T.matrix()
    array([[1., 1., 0.],
           [0., 0., 1.]])
    """
    return Taps(n_in, np.maximum(index, 0), (index >= 0).astype(np.int64), np.ones((len(index), 1)))


def filter_taps(coordinate: Floats, stretch: float, kernel: Filter, n: int, border: str) -> Taps:
    """Return the taps of a filter placed at each coordinate.

    Parameters
    ----------
    coordinate : ndarray of float64, shape (n_out,)
        Where each output lies on the input axis; never decreasing.
    stretch : float
        Factor by which the filter is widened; 1 without antialiasing.
    kernel : Filter
        The filter.
    n : int
        Length of the input axis.
    border : str
        A key of `BORDERS`.

    Examples
    --------
    >>> from gpu_upsample.plan.filters import FILTERS
    >>> filter_taps(np.array([-0.25, 0.25]), 1.0, FILTERS["linear"], 2, "clamp").matrix()
    array([[1.  , 0.  ],
           [0.75, 0.25]])
    """
    low, high = _rims(coordinate, kernel.support * stretch)
    first = np.floor(low).astype(np.int64) + 1
    # A sample at the very end of the support has weight zero, and is no tap, if the filter is not closed.
    stop = np.floor(high).astype(np.int64) + 1 if kernel.closed else np.ceil(high).astype(np.int64)
    index = first[:, None] + offsets(stop - first)
    used = index < stop[:, None]
    weight = np.where(used, kernel.function((index - coordinate[:, None]) / stretch), 0.0)
    weight /= weight.sum(axis=1, keepdims=True)
    return _bordered(first, stop, _Window(index, weight, used), n, border)


def _rims(coordinate: Floats, reach: float) -> Floats:
    """Return both ends of the filter's support; one that misses a sample by rounding alone lies on it.

    Otherwise a sample at the rim of a box filter would count in two windows, or in none.
    """
    ends = np.stack([coordinate - reach, coordinate + reach])
    return settled(ends, np.abs(coordinate) + reach)


def _bordered(start: Ints, stop: Ints, w: _Window, n: int, border: str) -> Taps:
    """Apply the border rule to the windows that leave the axis: a few, most often."""
    leaves, count = (start < 0) | (stop > n), stop - start
    leaving = np.flatnonzero(leaves)
    outside = np.zeros(len(start)) if border == "constant" else None
    if not len(leaving):
        return Taps(n, start, count, w.weight, outside)
    moved = _moved(w[leaving], n, border)
    start[leaving], count[leaving] = moved.start, moved.count
    if (np.diff(start) < 0).any() or (np.diff(start + count) < 0).any():
        return _moved(w, n, border)  # out of order: some of the other windows must be longer, too
    weight = np.zeros((len(start), _longest(count)))
    weight[leaving, : moved.width] = moved.weight
    width = min(weight.shape[1], w.weight.shape[1])
    stays = ~leaves
    weight[stays, :width] = w.weight[stays, :width] + 0.0  # never -0.0
    if outside is not None:
        outside[leaving] = moved.outside
    return Taps(n, start, count, weight, outside)


def _moved(w: _Window, n: int, border: str) -> Taps:
    """Return the taps of some windows by a border rule."""
    moved = BORDERS[border](w, n)
    return replace(window_taps(moved.index, moved.weight, moved.used, n), outside=moved.outside)


def overlap_taps(axis: Axis, border: str) -> Taps:
    """Return the taps of area resampling: every output is the mean of the input pixels that it covers.

    Each weight is the covered part of a pixel, as in OpenCV's ``INTER_AREA``.

    Examples
    --------
    >>> overlap_taps(Axis(3, 2), "clamp").matrix()
    array([[0.66666667, 0.33333333, 0.        ],
           [0.        , 0.33333333, 0.66666667]])
    """
    check_table(axis.n_out, 1)
    p, q = axis.ratio
    begin = axis.box[0] if axis.box else 0.0
    edge = np.asarray(begin + np.arange(axis.n_out + 1) * p / q, np.float64)
    edge = settled(edge, np.abs(edge) + abs(begin))  # or a pixel beside it would weigh next to nothing
    start, stop = np.floor(edge[:-1]).astype(np.int64), np.ceil(edge[1:]).astype(np.int64)
    index = start[:, None] + offsets(stop - start)
    used = index < stop[:, None]
    covered = np.minimum(index + 1, edge[1:, None]) - np.maximum(index, edge[:-1, None])
    weight = np.where(used, covered, 0.0)
    weight /= weight.sum(axis=1, keepdims=True)
    return _bordered(start, stop, _Window(index, weight, used), axis.n_in, border)


def pooling_taps(n_in: int, n_out: int) -> Taps:
    """Return the taps of adaptive average pooling: the plain mean of every pixel that an output touches.

    This is torch's ``mode="area"``.

    Examples
    --------
    >>> pooling_taps(3, 2).matrix()
    array([[0.5, 0.5, 0. ],
           [0. , 0.5, 0.5]])
    """
    check_table(n_out, 1)
    o = np.arange(n_out)
    start = o * n_in // n_out
    count = -(-(o + 1) * n_in // n_out) - start
    weight = (offsets(count) < count[:, None]) / count[:, None]
    return Taps(n_in, start, count, weight)
