"""Windows that slide along an axis: how many there are, and which of them reach a sample.

Window ``w`` and kernel tap ``k`` meet the sample ``w * stride + k * dilation - padding``. Read from the windows,
this is unfolding and pooling; read from the samples, it is folding and the transposed convolution, which gather by
the table of `reach` instead of scattering.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_upsample.plan.cache import has_items
from gpu_upsample.plan.shapes import LONGEST_AXIS, as_integer, per_axis

Ints = NDArray[np.int64]
Triple = tuple[int, int, int]


def integers(name: str, value: Any, rank: int, least: int, most: int = LONGEST_AXIS) -> tuple[int, ...]:
    """Return one integer per axis, from `least` to `most`; a single one, or the only item of a sequence, serves all.

    Examples
    --------
    >>> integers("stride", 2, 3, least=1), integers("stride", [2], 3, least=1)
    ((2, 2, 2), (2, 2, 2))
    """
    given = tuple(value) if has_items(value) else (value,)
    each = given * rank if len(given) == 1 else per_axis(name, given, rank)
    numbers = tuple(as_integer(name, number) for number in each)
    if any(number < least for number in numbers):
        raise ValueError(f"{name} must be at least {least}, got {value!r}")
    if any(number > most for number in numbers):
        raise ValueError(f"{name} must be at most {most}, got {value!r}")
    return numbers


def three(numbers: tuple[int, ...], missing: int) -> Triple:
    """Return up to three numbers as exactly three, `missing` for the axes in front that do not exist.

    Examples
    --------
    >>> three((4, 5), 1)
    (1, 4, 5)
    """
    first, second, third = (missing,) * (3 - len(numbers)) + numbers
    return first, second, third


def count_windows(n: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Return how many windows fit into a padded axis; less than 1 where the kernel is too long.

    Examples
    --------
    >>> count_windows(5, kernel=3, stride=2, padding=1, dilation=1)
    3
    """
    return (n + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


@dataclass(frozen=True, eq=False)
class Pairs:
    """The pairs (place on another axis, kernel tap) over which each element of an axis is a sum, ascending by tap.

    Pair ``t`` of element ``e`` is place ``place[e] + t * place_step`` and tap ``tap[e] + t * tap_step``, for
    ``t < count[e]``.
    """

    place: Ints
    tap: Ints
    count: Ints
    place_step: int
    tap_step: int


@dataclass(frozen=True, eq=False)
class Spans:
    """The windows in which each tap of a kernel sees a sample: from ``begin[k]`` up to ``end[k]``.

    There, tap ``k`` of window ``w`` sees the sample ``w * stride + shift[k]``.
    """

    shift: Ints
    begin: Ints
    end: Ints
    stride: int


def spans(n_windows: int, n_samples: int, kernel: int, stride: int, padding: int, dilation: int) -> Spans:
    """Return in which windows each tap sees a sample.

    Examples
    --------
    >>> table = spans(3, 5, kernel=3, stride=2, padding=1, dilation=1)
    >>> table.shift, table.begin, table.end
    (array([-1,  0,  1]), array([1, 0, 0]), array([3, 3, 2]))
    """
    shift = np.arange(kernel) * dilation - padding
    return Spans(shift, *windows_inside(shift, stride, n_windows, n_samples), stride)


def windows_inside(shift: Ints, stride: int, n_windows: int, n_samples: int) -> tuple[Ints, Ints]:
    """Return the first and the end of the windows whose sample ``window * stride + shift`` lies on the axis.

    Examples
    --------
    >>> windows_inside(np.array([-1, 4]), stride=2, n_windows=3, n_samples=5)
    (array([1, 0]), array([3, 1]))
    """
    begin = np.clip(-(shift // stride), 0, n_windows)
    return begin, np.clip((n_samples - 1 - shift) // stride + 1, begin, n_windows)


@dataclass(frozen=True, eq=False)
class Reach:
    """Which (window, kernel tap) pairs reach each sample of an axis, ascending by tap.

    The pairs of a sample form a progression: the taps grow by one step, the windows fall by another. So pair ``t``
    of sample ``o`` is window ``window[o] - t * window_step`` and tap ``tap[o] + t * tap_step``, for
    ``t < count[o]``.

    Attributes
    ----------
    n_windows, kernel : int
        How many windows and taps there are.
    stride, padding, dilation : int
        The rest of the geometry.
    window, tap : ndarray of int64, shape (n_out,)
        The first pair of each sample; zeros where no pair reaches it.
    count : ndarray of int64, shape (n_out,)
        Number of pairs, at most ``ceil(kernel / stride)`` if the dilation is 1.
    """

    n_windows: int
    kernel: int
    stride: int
    padding: int
    dilation: int
    window: Ints
    tap: Ints
    count: Ints

    @property
    def tap_step(self) -> int:
        """How far the tap grows from one pair of a sample to the next."""
        return self.stride // gcd(self.stride, self.dilation)

    @property
    def window_step(self) -> int:
        """How far the window falls from one pair of a sample to the next."""
        return self.dilation // gcd(self.stride, self.dilation)

    @property
    def n_out(self) -> int:
        """Number of samples."""
        return len(self.count)

    @property
    def most(self) -> int:
        """The largest number of pairs of a sample."""
        return int(np.max(self.count, initial=0))

    @property
    def pairs(self) -> Pairs:
        """The pairs (window, tap) of each sample."""
        return Pairs(self.window, self.tap, self.count, -self.window_step, self.tap_step)

    @property
    def spans(self) -> Spans:
        """The windows in which each tap sees a sample."""
        return spans(self.n_windows, self.n_out, self.kernel, self.stride, self.padding, self.dilation)

    @property
    def seen(self) -> Pairs:
        """The pairs (sample, tap) of each window: the same pairs, read from the windows.

        Examples
        --------
        >>> seen = reach(3, 5, kernel=3, stride=2, padding=1, dilation=1).seen
        >>> seen.place, seen.tap, seen.count
        (array([0, 1, 3]), array([1, 0, 0]), array([2, 3, 2]))
        """
        sample = np.arange(self.n_windows) * self.stride - self.padding
        first = np.maximum(0, -(sample // self.dilation))
        last = np.minimum(self.kernel - 1, (self.n_out - 1 - sample) // self.dilation)
        count = np.maximum(last - first + 1, 0)
        place, tap = np.where(count > 0, sample + first * self.dilation, 0), np.where(count > 0, first, 0)
        return Pairs(place, tap, count, self.dilation, 1)


def smallest_tap(place: Ints, stride: int, dilation: int) -> Ints:
    """Return the smallest tap ``k`` of each place for which ``place - k * dilation`` is a multiple of `stride`.

    Where there is no such tap, the result means nothing.

    Examples
    --------
    >>> smallest_tap(np.arange(5), stride=3, dilation=2)
    array([0, 2, 1, 0, 2])
    """
    common = gcd(stride, dilation)
    tap_step, window_step = stride // common, dilation // common
    return place // common % tap_step * pow(window_step, -1, tap_step) % tap_step


def reach(n_windows: int, n_out: int, kernel: int, stride: int, padding: int, dilation: int) -> Reach:
    """Return which windows reach each sample.

    Parameters
    ----------
    n_windows, n_out : int
        Number of windows and of samples.
    kernel, stride, padding, dilation : int
        The geometry of the windows.

    Examples
    --------
    >>> table = reach(3, 5, kernel=3, stride=2, padding=1, dilation=1)
    >>> table.count
    array([1, 2, 1, 2, 1])
    >>> table.window, table.tap, table.window_step, table.tap_step
    (array([0, 1, 1, 2, 2]), array([1, 0, 1, 0, 1]), 1, 2)
    """
    common = gcd(stride, dilation)
    tap_step, window_step = stride // common, dilation // common
    place = np.arange(n_out) + padding
    tap = smallest_tap(place, stride, dilation)
    window = (place - tap * dilation) // stride
    first = np.maximum(0, -(-(window - (n_windows - 1)) // window_step))
    last = np.minimum((kernel - 1 - tap) // tap_step, window // window_step)
    count = np.where(place % common == 0, np.maximum(last - first + 1, 0), 0)
    reached = count > 0
    window, tap = np.where(reached, window - first * window_step, 0), np.where(reached, tap + first * tap_step, 0)
    return Reach(n_windows, kernel, stride, padding, dilation, window, tap, count)
