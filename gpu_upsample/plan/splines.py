"""Splines as filters: the weight of each sample in the curve that runs through all of them.

A spline is a sum of B-splines, one at each sample. Their coefficients are what a recursive filter makes of the samples,
which others compute first. Here the weights of the samples themselves are tabulated: what the same filter makes of
those of the coefficients ("cardinal splines"; Unser, "Splines: a perfect fit for signal and image processing", IEEE
Signal Processing Magazine 16, 1999). They fall by a factor from sample to sample, so few count.
"""

from __future__ import annotations

from functools import cache
from math import comb, factorial, sqrt

import numpy as np

from gpu_upsample.plan.elementary import horner
from gpu_upsample.plan.taps import Floats

REACHES = {2: 22, 3: 29, 4: 37, 5: 45}
"""Order of a spline -> how far its samples have weights of 2**-54 and more, which is where sums in float64 end."""


@cache
def _pieces(order: int) -> Floats:
    """Return the polynomials of a B-spline from knot to knot, one in each row: the factor of each power."""
    table = np.zeros((order + 1, order + 1))
    for piece, power in np.ndindex(table.shape):
        # A sum of powers over the knots that a place is behind, in exact integers.
        knots = ((-1) ** k * comb(order + 1, k) * (piece - k) ** (order - power) for k in range(piece + 1))
        table[piece, power] = comb(order, power) * sum(knots) / factorial(order)
    return table


def _by_pieces(distance: Floats, table: Floats) -> Floats:
    """Evaluate a piecewise polynomial, whose knots are 0, 1, 2 and so on; the last piece serves all beyond."""
    begin = np.floor(distance)
    piece = np.minimum(begin, len(table) - 1).astype(np.int64)
    return horner((factor[piece] for factor in table.T), distance - begin)


def b_spline(d: Floats, order: int) -> Floats:
    """Return the B-spline of an order: a weight that blurs, within ``(order + 1) / 2``.

    Examples
    --------
    >>> b_spline(np.array([0.0, 1.0, 2.0]), 3) * 6
    array([4., 1., 0.])
    """
    beyond = np.zeros((1, order + 1))
    return _by_pieces((order + 1) / 2 + np.abs(d), np.vstack([_pieces(order), beyond]))


def _coefficients(order: int, number: int) -> Floats:
    """Return the first coefficients of the cardinal spline, from the sample in the middle on.

    They are a sum of powers of the poles of the recursive filter: the numbers z in the circle of 1 at which the sum of
    ``b[k] * z**k`` vanishes, where b is the B-spline at whole numbers. With ``w = z + 1 / z``, that is a quadratic
    equation, or a linear one, since there are two samples to each side at most.
    """
    middle, first, second = b_spline(np.arange(3.0), order).tolist()
    q = first + sqrt(first * first - 4 * second * (middle - 2 * second))
    total = np.zeros(number)
    for w in (-2 * (middle - 2 * second) / q, *([-q / (2 * second)] if second else [])):
        z = 2 / (w - sqrt(w * w - 4))
        residue = 1 / (first * (z - 1 / z) + 2 * second * (z * z - 1 / (z * z)))
        total += residue * np.multiply.accumulate(np.array([1.0] + [z] * (number - 1)))
    return total


@cache
def _cardinal_pieces(order: int) -> Floats:
    """Return the polynomials of the spline that is 1 at one sample and 0 at all others, from that sample on.

    Those of an even order begin in the middle between two samples, the first half a sample before.
    """
    knot = np.arange(REACHES[order] + 1)[:, None] + (order + 1) // 2 - np.arange(order + 1)
    coefficients = _coefficients(order, knot.max() + 1)
    pieces: Floats = (coefficients[np.abs(knot)][..., None] * _pieces(order)).sum(axis=1)
    return pieces


def cardinal_spline(d: Floats, order: int) -> Floats:
    """Return the spline of an order that is 1 at one sample and 0 at all others.

    Examples
    --------
    >>> cardinal_spline(np.array([0.0, 0.5, 1.0, 1.5]), 3).round(2)
    array([ 1.  ,  0.6 ,  0.  , -0.13])
    """
    distance = np.abs(d)
    value = _by_pieces(distance + (0 if order % 2 else 0.5), _cardinal_pieces(order))
    return np.where(d == np.rint(d), np.where(d == 0, 1.0, 0.0), value)  # exact at the samples
