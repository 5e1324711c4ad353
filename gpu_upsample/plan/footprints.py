"""Where the filter of each output falls on an axis, and how it weighs the samples there: before there are any ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpu_upsample.plan.coordinates import Axis, settled
from gpu_upsample.plan.filters import Filter
from gpu_upsample.plan.taps import Floats, Ints, check_table, offsets


@dataclass(frozen=True)
class Footprints:
    """The windows of some outputs on an axis that goes on beyond both ends.

    Attributes
    ----------
    start, stop : ndarray of int64, shape (n_out,)
        The window of each output, ``start <= i < stop``; neither decreases from one output to the next.
    weight : ndarray of float64, shape (n_out, width)
        Weights, left-aligned; zero beyond a window.
    """

    start: Ints
    stop: Ints
    weight: Floats

    @property
    def index(self) -> Ints:
        """The sample of each weight, beyond a window, too."""
        return self.start[:, None] + np.arange(self.weight.shape[1])

    @property
    def used(self) -> NDArray[np.bool_]:
        """Which weights belong to a window."""
        return self.index < self.stop[:, None]

    def __getitem__(self, outputs: Ints) -> Footprints:
        """Return the windows of some of the outputs."""
        return Footprints(self.start[outputs], self.stop[outputs], self.weight[outputs])


def _weighed(start: Ints, stop: Ints, index: Ints, weight: Floats) -> Footprints:
    """Return windows whose weights are made to sum up to 1, given those of longer ones."""
    weight = np.where(index < stop[:, None], weight, 0.0)
    weight /= weight.sum(axis=1, keepdims=True)
    return Footprints(start, stop, weight)


def filter_footprints(coordinate: Floats, stretch: float, kernel: Filter) -> Footprints:
    """Return the windows of a filter placed at each coordinate.

    Parameters
    ----------
    coordinate : ndarray of float64, shape (n_out,)
        Where each output lies on the input axis; never decreasing.
    stretch : float
        Factor by which the filter is widened; 1 without antialiasing.
    kernel : Filter
        The filter.

    Examples
    --------
    >>> from gpu_upsample.plan.filters import FILTERS
    >>> windows = filter_footprints(np.array([-0.25, 0.25]), 1.0, FILTERS["linear"])
    >>> windows.start, windows.stop
    (array([-1,  0]), array([1, 2]))
    >>> windows.weight
    array([[0.25, 0.75],
           [0.75, 0.25]])
    """
    low, high = _rims(coordinate, kernel.support * stretch)
    start = np.floor(low).astype(np.int64) + 1
    # A sample at the very end of the support has weight zero, and is no tap, if the filter is not closed.
    stop = np.floor(high).astype(np.int64) + 1 if kernel.closed else np.ceil(high).astype(np.int64)
    index = start[:, None] + offsets(stop - start)
    return _weighed(start, stop, index, kernel.function((index - coordinate[:, None]) / stretch))


def _rims(coordinate: Floats, reach: float) -> Floats:
    """Return both ends of the filter's support; one that misses a sample by rounding alone lies on it.

    Otherwise a sample at the rim of a box filter would count in two windows, or in none.
    """
    ends = np.stack([coordinate - reach, coordinate + reach])
    return settled(ends, np.abs(coordinate) + reach)


def overlap_footprints(axis: Axis) -> Footprints:
    """Return the windows of area resampling: every output is the mean of the input pixels that it covers.

    Each weight is the covered part of a pixel, as in OpenCV's ``INTER_AREA``.

    Examples
    --------
    >>> overlap_footprints(Axis(3, 2)).weight
    array([[0.66666667, 0.33333333],
           [0.33333333, 0.66666667]])
    """
    check_table(axis.n_out, 1)
    p, q = axis.ratio
    begin = axis.box[0] if axis.box else 0.0
    edge = np.asarray(begin + np.arange(axis.n_out + 1) * p / q, np.float64)
    edge = settled(edge, np.abs(edge) + abs(begin))  # or a pixel beside it would weigh next to nothing
    start, stop = np.floor(edge[:-1]).astype(np.int64), np.ceil(edge[1:]).astype(np.int64)
    index = start[:, None] + offsets(stop - start)
    covered = np.minimum(index + 1, edge[1:, None]) - np.maximum(index, edge[:-1, None])
    return _weighed(start, stop, index, covered)
