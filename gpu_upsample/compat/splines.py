"""Splines as filters: what interpolates with a spline is a sum of weighted samples, too.

A spline of order n is a sum of B-splines, one at each sample. Their coefficients are the samples behind a recursive
filter, which is often computed first. Here the weights of the samples themselves are tabulated: those of the
coefficients, behind the same filter ("cardinal splines"; Unser, "Splines: a perfect fit for signal and image
processing", IEEE Signal Processing Magazine 16, 1999). They decay by a constant factor from sample to sample, so few
count. So a spline needs no kernel of its own.
"""

from __future__ import annotations

from functools import cache, partial
from math import ceil, comb, factorial, log

import numpy as np

from gpu_upsample.plan.filters import Filter
from gpu_upsample.plan.taps import Floats

ORDERS = range(6)
"""Orders of the splines: piecewise constant, linear, quadratic, cubic, quartic and quintic."""

# A sample of less weight, in parts of the largest one, changes no sum in float64.
_NEGLIGIBLE = 2.0**-54


def _b_spline(distance: Floats, order: int) -> Floats:
    # Sums of powers of what a knot is behind, from the near end on, where few knots are.
    from_end = (order + 1) / 2 - np.abs(distance)
    powers = (
        (-1) ** knot * comb(order + 1, knot) * np.maximum(from_end - knot, 0) ** order for knot in range(order // 2 + 1)
    )
    value: Floats = sum(powers, np.zeros_like(from_end)) / factorial(order)
    return value


@cache
def b_spline(order: int) -> Filter:
    """Return the B-spline of an order from 1 on; its weights blur.

    Examples
    --------
    >>> b_spline(3).function(np.array([0.0, 1.0, 2.0])) * 6
    array([4., 1., 0.])
    """
    return Filter((order + 1) / 2, partial(_b_spline, order=order))


def _cardinal_spline(distance: Floats, order: int, coefficients: Floats) -> Floats:
    nearest = np.rint(distance)
    value = np.zeros_like(distance)
    for shift in range(-(order // 2) - 1, order // 2 + 2):
        knot = nearest + shift
        value += coefficients[np.abs(knot).astype(np.int64)] * _b_spline(distance - knot, order)
    return value


@cache
def cardinal_spline(order: int) -> Filter:
    """Return the spline of an order from 2 on that is 1 at one sample and 0 at all others: its weights interpolate.

    Examples
    --------
    >>> abs(cardinal_spline(3).function(np.array([0.0, 1.0, 2.0]))).round(15)
    array([1., 0., 0.])
    """
    half = order // 2
    at_samples = _b_spline(np.arange(-half, half + 1.0), order)
    slowest = max(abs(root) for root in np.roots(at_samples) if abs(root) < 1)
    reach = ceil(log(_NEGLIGIBLE) / log(slowest))
    # What turns the samples of a B-spline into a single 1, on a circle that is too long for the ends to meet.
    around = np.zeros(4 * reach)
    around[np.arange(-half, half + 1)] = at_samples
    coefficients = np.fft.ifft(1 / np.fft.fft(around)).real
    return Filter(reach, partial(_cardinal_spline, order=order, coefficients=coefficients[: 2 * reach]))
