"""Where cv2.resize reads along one axis, and with which weights.

The formulas are those of ``modules/imgproc/src/resize.cpp`` of OpenCV 5.0 and, for what the wheels of
opencv-python leave to Intel's IPP, those that its results follow. Which precision a coordinate or a weight is computed
in decides more than the last place of a result, so it is part of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpu_upsample.plan.filters import keys_cubic
from gpu_upsample.plan.taps import Floats, Ints, Taps, offsets, window_taps

Singles = NDArray[np.float32]
_single = np.float32


@dataclass(frozen=True)
class Axis:
    """One resized axis.

    Attributes
    ----------
    n_in, n_out : int
        Number of samples before and after.
    factor : float
        Output samples per input sample, as it was asked for: not always ``n_out / n_in``.
    """

    n_in: int
    n_out: int
    factor: float

    @property
    def step(self) -> float:
        """Input samples per output sample."""
        return 1 / self.factor

    @property
    def whole(self) -> int:
        """The step, where it is a whole number; else 0."""
        nearest = round(self.step)
        return nearest if abs(self.step - nearest) < np.finfo(np.float64).eps else 0

    @property
    def places(self) -> Floats:
        """The outputs by number."""
        return np.arange(self.n_out, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows as lists: shape (n_out, taps) each; an index that repeats in a row adds its weights."""

    index: Ints
    weight: Floats | Singles

    def taps(self, n_in: int) -> Taps:
        """Return the windows as taps."""
        return window_taps(self.index, self.weight, np.ones(self.index.shape, bool), n_in)

    def whole(self, bits: int) -> Windows:
        """Return weights in fixed point, ties rounded to even, as whole numbers."""
        scaled = self.weight * self.weight.dtype.type(2.0**bits)
        return Windows(self.index, np.rint(scaled).astype(np.float64))


def _windows(first: Ints, weight: Floats | Singles, n_in: int) -> Windows:
    """Return windows whose second tap of two, fourth of eight and so on lies on or before the centre."""
    count = weight.shape[1]
    return Windows(np.clip(first[:, None] + np.arange(count) - (count // 2 - 1), 0, n_in - 1), weight)


# ---- nearest ------------------------------------------------------------------------------------------------
def nearest(axis: Axis) -> Ints:
    """Return the samples of INTER_NEAREST: those above whose left edges the outputs' left edges lie.

    Examples
    --------
    >>> nearest(Axis(3, 5, 5 / 3))
    array([0, 0, 1, 1, 2])
    """
    return np.minimum(np.floor(axis.places * axis.step).astype(np.int64), axis.n_in - 1)


def nearest_exact(axis: Axis) -> Ints:
    """Return the samples of INTER_NEAREST_EXACT: those that the outputs' centres lie in, found by a running sum.

    Examples
    --------
    >>> nearest_exact(Axis(3, 5, 5 / 3))
    array([0, 0, 1, 2, 2])
    """
    step = axis.n_in / axis.n_out
    centre = np.add.accumulate(np.r_[step * 0.5, np.full(axis.n_out - 1, step)])
    return np.minimum(np.floor(centre).astype(np.int64), axis.n_in - 1)


# ---- OpenCV's own weights ------------------------------------------------------------------------------------
def _centres(axis: Axis) -> tuple[Ints, Singles]:
    """Return the sample before each centre, and how far behind it the centre lies: float32 from the first on."""
    centre = ((axis.places + 0.5) * axis.step - 0.5).astype(_single)
    first = np.floor(centre)
    return first.astype(np.int64), centre - first


def _overlaps(axis: Axis) -> tuple[Ints, Singles]:
    """Return the sample that each output pixel begins in, and the part of the pixel beyond that sample."""
    first = np.floor(axis.places * axis.step)
    part = ((axis.places + 1) - (first + 1) * axis.factor).astype(_single)
    return first.astype(np.int64), np.where(part <= 0, _single(0), part - np.floor(part))


def _two(part: Singles) -> Singles:
    return np.stack([1 - part, part], axis=1)


def _cubic(part: Singles) -> Singles:
    a, one = _single(-0.75), _single(1)
    far, other = part + one, one - part
    before = ((a * far - 5 * a) * far + 8 * a) * far - 4 * a
    near = ((a + 2) * part - (a + 3)) * part * part + 1
    behind = ((a + 2) * other - (a + 3)) * other * other + 1
    return np.stack([before, near, behind, one - before - near - behind], axis=1)


def _lanczos(part: Singles) -> Singles:
    # A sine at eight places an eighth of a turn apart, from one sine and cosine. Correctly rounded, or nearly: to
    # float64 from something longer, where there is such a type.
    turn = np.sqrt(0.5)
    sines = np.array([1, -turn, 0, turn, -1, turn, 0, -turn])
    cosines = np.array([0, -turn, 1, -turn, 0, turn, -1, turn])
    angle = (-(part + _single(3)).astype(np.float64) * np.pi * 0.25).astype(np.longdouble)
    sine, cosine = np.sin(angle).astype(np.float64), np.cos(angle).astype(np.float64)
    distance = (part + _single(3))[:, None] - np.arange(8, dtype=_single)
    radian = -distance.astype(np.float64) * np.pi * 0.25
    centred = np.abs(distance) < 1e-6
    value = (sines * sine[:, None] + cosines * cosine[:, None]) / np.where(centred, 1, radian * radian)
    weight = np.where(centred, 1e30, value).astype(_single)
    total = np.add.accumulate(weight, axis=1)[:, -1:]  # one after the other
    return (weight * (1 / total)).astype(_single)


def linear(axis: Axis) -> Windows:
    """Return the windows of INTER_LINEAR.

    Examples
    --------
    >>> linear(Axis(2, 4, 2.0)).taps(2).matrix()[:2]
    array([[1.  , 0.  ],
           [0.75, 0.25]])
    """
    first, part = _centres(axis)
    return _windows(first, _two(part), axis.n_in)


def enlarged_area(axis: Axis) -> Windows:
    """Return the windows of INTER_AREA where it does not shrink: neighbouring pixels blend only where they share one.

    Examples
    --------
    >>> enlarged_area(Axis(2, 3, 1.5)).taps(2).matrix()
    array([[1. , 0. ],
           [0.5, 0.5],
           [0. , 1. ]])
    """
    first, part = _overlaps(axis)
    return _windows(first, _two(part), axis.n_in)


def cubic(axis: Axis) -> Windows:
    """Return the windows of INTER_CUBIC; the coefficient is -0.75."""
    first, part = _centres(axis)
    return _windows(first, _cubic(part), axis.n_in)


def lanczos(axis: Axis) -> Windows:
    """Return the windows of INTER_LANCZOS4: four lobes, divided by their sum."""
    first, part = _centres(axis)
    return _windows(first, _lanczos(part), axis.n_in)


def held(windows: Windows) -> Windows:
    """Return windows of two taps in which a sample that is both of them counts as exactly 1.

    Examples
    --------
    >>> held(Windows(np.array([[0, 0], [0, 1]]), np.full((2, 2), 0.3))).weight
    array([[1. , 0. ],
           [0.3, 0.3]])
    """
    same = windows.index[:, :1] == windows.index[:, 1:]
    weight: Singles = np.where(same, np.array([1, 0], windows.weight.dtype), windows.weight)
    return Windows(windows.index, weight)


def exact(axis: Axis, bits: int) -> Taps:
    """Return the taps of INTER_LINEAR_EXACT: weights of so many bits, as whole numbers, that sum to a power of two.

    Examples
    --------
    >>> exact(Axis(2, 4, 2.0), 8).matrix()[:2]
    array([[256.,   0.],
           [192.,  64.]])
    """
    centre = axis.step * (axis.places + 0.5) - 0.5
    first = np.floor(centre)
    part = np.rint((centre - first) * 2.0**bits)
    return _windows(first.astype(np.int64), np.stack([2.0**bits - part, part], axis=1), axis.n_in).taps(axis.n_in)


# ---- area ---------------------------------------------------------------------------------------------------
def blocks(axis: Axis) -> Taps:
    """Return the plain sums over the samples of each output, of a whole number each but at the end.

    Examples
    --------
    >>> blocks(Axis(5, 3, 0.5)).matrix()
    array([[1., 1., 0., 0., 0.],
           [0., 0., 1., 1., 0.],
           [0., 0., 0., 0., 1.]])
    """
    start = np.arange(axis.n_out) * axis.whole
    count = np.minimum(axis.whole, axis.n_in - start)
    return Taps(axis.n_in, start, count, (offsets(count) < count[:, None]).astype(np.float64))


def area(axis: Axis) -> Taps:
    """Return the taps of INTER_AREA where it shrinks; less than a thousandth of a sample does not count.

    Examples
    --------
    >>> area(Axis(3, 2, 2 / 3)).matrix().round(3)
    array([[0.667, 0.333, 0.   ],
           [0.   , 0.333, 0.667]])
    """
    low = axis.places * axis.step
    high = low + axis.step
    extent = np.minimum(axis.step, axis.n_in - low)
    last = np.minimum(np.floor(high), axis.n_in - 1)
    first = np.minimum(np.ceil(low), last)
    index = (first - 1)[:, None] + offsets((last - first).astype(np.int64) + 2)
    begun, ended = first - low, np.minimum(np.minimum(high - last, 1), extent)
    weight = np.where(index < first[:, None], begun[:, None], np.where(index < last[:, None], 1, ended[:, None]))
    used = np.where(
        index < first[:, None], begun[:, None] > 1e-3, (index < last[:, None]) | (high - last > 1e-3)[:, None]
    )
    used &= index <= last[:, None]
    weight = (weight / extent[:, None]).astype(_single)
    return window_taps(index.astype(np.int64), weight, used, axis.n_in)


# ---- IPP's weights -------------------------------------------------------------------------------------------
def _long_centres(axis: Axis) -> tuple[Ints, Floats]:
    step = axis.n_in / axis.n_out if axis.factor == axis.n_out / axis.n_in else axis.step
    centre = (axis.places + 0.5) * step - 0.5
    first = np.floor(centre)
    return first.astype(np.int64), centre - first


def ipp_linear(axis: Axis) -> Taps:
    """Return the taps of INTER_LINEAR from coordinates in float64."""
    first, part = _long_centres(axis)
    return _windows(first, np.stack([1 - part, part], axis=1), axis.n_in).taps(axis.n_in)


def ipp_cubic(axis: Axis) -> Taps:
    """Return the taps of INTER_CUBIC from coordinates in float64."""
    first, part = _long_centres(axis)
    return _windows(first, keys_cubic(np.arange(-1, 3) - part[:, None], -0.75), axis.n_in).taps(axis.n_in)
