"""The interpolation filters, as a table: name -> (support, function).

A filter is a function of the distance to the output coordinate, in input samples, that is zero beyond its
support. Antialiasing stretches it by the downscaling factor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from math import comb, factorial

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float64]


@dataclass(frozen=True)
class Filter:
    """One filter.

    Attributes
    ----------
    support : float
        The function is zero where ``abs(distance) > support``.
    function : callable
        Weight of a sample at a distance (input minus output coordinate, in samples).
    closed : bool
        Whether a sample at exactly ``+support`` counts: only where the function jumps there.
    """

    support: float
    function: Callable[[Weights], Weights]
    closed: bool = False


def _triangle(d: Weights) -> Weights:
    return np.where(np.abs(d) < 1, 1 - np.abs(d), 0.0)


def _bicubic_spline(d: Weights, b: float, c: float) -> Weights:
    # Mitchell and Netravali, "Reconstruction Filters in Computer Graphics", SIGGRAPH 1988, equation 8.
    x = np.abs(d)
    near = ((12 - 9 * b - 6 * c) * x - (18 - 12 * b - 6 * c)) * x * x + (6 - 2 * b)
    far = ((-(b + 6 * c) * x + (6 * b + 30 * c)) * x - (12 * b + 48 * c)) * x + (8 * b + 24 * c)
    return np.where(x < 1, near, np.where(x < 2, far, 0.0)) / 6


def keys_cubic(d: Weights, a: float) -> Weights:
    """Cubic convolution with the free coefficient `a` (Keys, IEEE Trans. ASSP 29, 1981)."""
    x = np.abs(d)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _lanczos(d: Weights, a: int) -> Weights:
    return np.where(np.abs(d) < a, np.sinc(d) * np.sinc(d / a), 0.0)


def _hamming(d: Weights) -> Weights:
    # Pillow: a sinc of support 1 under a Hamming window.
    return np.where(np.abs(d) < 1, np.sinc(d) * (0.54 + 0.46 * np.cos(np.pi * d)), 0.0)


def _gaussian(d: Weights) -> Weights:
    # TensorFlow: standard deviation 0.5, cut at three of them.
    return np.where(np.abs(d) < 1.5, np.exp(-2 * d * d), 0.0)


# ---- splines ------------------------------------------------------------------------------------------------
# A spline is a sum of B-splines, one at each sample. Their coefficients are what a recursive filter makes of the
# samples, which others compute first. Here the weights of the samples themselves are tabulated: what the same filter
# makes of those of the coefficients ("cardinal splines"; Unser, "Splines: a perfect fit for signal and image
# processing", IEEE Signal Processing Magazine 16, 1999). They fall by a factor from sample to sample, so few count.
@cache
def _pieces(order: int) -> Weights:
    """Return the polynomials of a B-spline from knot to knot, one in each row: the factor of each power."""
    table = np.zeros((order + 1, order + 1))
    for piece, power in np.ndindex(table.shape):
        # A sum of powers over the knots that a place is behind, in exact integers.
        knots = ((-1) ** k * comb(order + 1, k) * (piece - k) ** (order - power) for k in range(piece + 1))
        table[piece, power] = comb(order, power) * sum(knots) / factorial(order)
    return table


def _by_pieces(distance: Weights, table: Weights) -> Weights:
    """Evaluate a piecewise polynomial, whose knots are 0, 1, 2 and so on; the last piece serves all beyond."""
    begin = np.floor(distance)
    piece, t = np.minimum(begin, len(table) - 1).astype(np.int64), distance - begin
    value: Weights = table[piece, -1]
    for power in reversed(range(table.shape[1] - 1)):
        value *= t
        value += table[piece, power]
    return value


def b_spline(d: Weights, order: int) -> Weights:
    """Return the B-spline of an order: a weight that blurs, within ``(order + 1) / 2``.

    Examples
    --------
    >>> b_spline(np.array([0.0, 1.0, 2.0]), 3) * 6
    array([4., 1., 0.])
    """
    beyond = np.zeros((1, order + 1))
    return _by_pieces((order + 1) / 2 + np.abs(d), np.vstack([_pieces(order), beyond]))


_REACHES = {2: 22, 3: 29, 4: 37, 5: 45}
"""Order of a spline -> how far its samples have weights of 2**-54 and more, which is where sums in float64 end."""


@cache
def _cardinal_pieces(order: int) -> Weights:
    """Return the polynomials of the spline that is 1 at one sample and 0 at all others, from that sample on.

    Those of an even order begin in the middle between two samples, the first half a sample before.
    """
    length, half = 4 * _REACHES[order], order // 2  # a circle that is too long for its ends to meet
    values = np.zeros(length)
    values[np.arange(-half, half + 1)] = b_spline(np.arange(-half, half + 1.0), order)
    coefficients = np.fft.ifft(1 / np.fft.fft(values)).real
    knot = np.arange(_REACHES[order] + 1)[:, None] + (order + 1) // 2 - np.arange(order + 1)
    pieces: Weights = (coefficients[np.abs(knot)][..., None] * _pieces(order)).sum(axis=1)
    return pieces


def _cardinal_spline(d: Weights, order: int) -> Weights:
    distance = np.abs(d)
    value = _by_pieces(distance + (0 if order % 2 else 0.5), _cardinal_pieces(order))
    return np.where(d == np.rint(d), np.where(d == 0, 1.0, 0.0), value)  # exact at the samples


FILTERS: dict[str, Filter] = {
    "box": Filter(0.5, np.ones_like, closed=True),
    "linear": Filter(1.0, _triangle),
    "hamming": Filter(1.0, _hamming),
    "gaussian": Filter(1.5, _gaussian),
    "cubic": Filter(2.0, partial(keys_cubic, a=-0.5)),
    "mitchell": Filter(2.0, partial(_bicubic_spline, b=1 / 3, c=1 / 3)),
    "lanczos2": Filter(2.0, partial(_lanczos, a=2)),
    "lanczos3": Filter(3.0, partial(_lanczos, a=3)),
    "lanczos4": Filter(4.0, partial(_lanczos, a=4)),
    "lanczos5": Filter(5.0, partial(_lanczos, a=5)),
    **{f"spline{order}": Filter(reach, partial(_cardinal_spline, order=order)) for order, reach in _REACHES.items()},
}
"""Filter name -> filter. `cubic` stands here with its usual coefficient; see `named_filter`."""


def named_filter(name: str, cubic_coeff: float) -> Filter:
    """Return the filter called `name`, the cubic one with the coefficient that the caller chose.

    Examples
    --------
    >>> named_filter("cubic", -0.75).function(np.array([-1.5, -0.5, 0.5, 1.5]))
    array([-0.09375,  0.59375,  0.59375, -0.09375])
    """
    if name == "cubic":
        return Filter(2.0, partial(keys_cubic, a=cubic_coeff))
    return FILTERS[name]
