"""Every interpolation is a table of taps.

Output ``o`` is the sum over ``k < count[o]`` of ``weight[o, k] * x[start[o] + k]``. Filters, coordinate rules,
antialiasing, borders and crop boxes are all decided before, once per axis, in float64; a kernel sees only taps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

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
        return Taps(self.n_out, start, stop - start, weight, _around_nothing(start == stop))

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


def _around_nothing(empty: NDArray[np.bool_]) -> Floats | None:
    """Return what weighs a constant of 0 where a window is empty: the sum over nothing is -0.0, with it +0.0."""
    return empty.astype(np.float64) if empty.any() else None


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
    return Taps(n, start, count, table, _around_nothing(empty))


def selected_taps(index: Ints, n_in: int) -> Taps:
    """Return a selection as taps: one sample of weight 1 per output, none where the index is -1.

    Examples
    --------
    >>> selected_taps(np.array([0, 0, 1]), 2).T.matrix()
    array([[1., 1., 0.],
           [0., 0., 1.]])
    """
    return Taps(n_in, np.maximum(index, 0), (index >= 0).astype(np.int64), np.ones((len(index), 1)))


@dataclass(frozen=True, eq=False)
class Gathered:
    """A linear map along one axis, as windows over samples that are gathered first.

    Attributes
    ----------
    n_in : int
        Length of the input axis.
    source : ndarray of int64
        The sample of the axis that each gathered one is a copy of.
    taps : Taps
        Windows over the gathered samples.

    Examples
    --------
    >>> mapping = Gathered(3, np.array([2, 0, 1]), Taps(3, np.array([0, 1]), np.array([2, 2]), np.full((2, 2), 0.5)))
    >>> mapping.matrix()
    array([[0.5, 0. , 0.5],
           [0.5, 0.5, 0. ]])
    """

    n_in: int
    source: Ints
    taps: Taps

    def folding(self) -> tuple[Ints, Taps]:
        """Return what adds the gathered samples up at their sources.

        First an order of the samples that brings those of one source together, then their sums.

        Examples
        --------
        >>> order, sums = Gathered(3, np.array([2, 0, 1, 2, 0]), selected_taps(np.arange(5), 5)).folding()
        >>> order, sums.start, sums.count
        (array([1, 4, 2, 0, 3]), array([0, 2, 3]), array([2, 1, 2]))
        """
        count = np.bincount(self.source, minlength=self.n_in)
        ones = np.where(offsets(count) < count[:, None], 1.0, 0.0)
        sums = Taps(len(self.source), np.cumsum(count) - count, count, ones, _around_nothing(count == 0))
        return np.argsort(self.source, kind="stable"), sums

    def matrix(self) -> Floats:
        """Return the map as a dense matrix of shape (n_out, n_in)."""
        return self.taps.matrix() @ np.eye(self.n_in)[self.source]


AxisMap = Taps | Gathered | Ints
"""What becomes of one axis: sums, or the sample that each output is a copy of, -1 for a constant."""


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
