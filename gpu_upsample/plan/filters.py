"""The interpolation filters, as a table: name -> (support, function).

A filter is a function of the distance to the output coordinate, in input samples, that is zero beyond its
support. Antialiasing stretches it by the downscaling factor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from gpu_upsample.plan.elementary import exp, sinc
from gpu_upsample.plan.splines import REACHES, cardinal_spline
from gpu_upsample.plan.taps import Floats as Weights


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
    return np.where(np.abs(d) < a, sinc(d) * sinc(d / a), 0.0)


def _hamming(d: Weights) -> Weights:
    # Pillow: a sinc of support 1 under a Hamming window, 0.54 + 0.46 * cos(pi * d) as the sine of half the angle.
    sine = np.pi / 2 * d * sinc(d / 2)
    return np.where(np.abs(d) < 1, sinc(d) * (1 - 0.92 * sine * sine), 0.0)


def _gaussian(d: Weights) -> Weights:
    # TensorFlow: standard deviation 0.5, cut at three of them.
    return np.where(np.abs(d) < 1.5, exp(-2 * d * d), 0.0)


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
    **{f"spline{order}": Filter(reach, partial(cardinal_spline, order=order)) for order, reach in REACHES.items()},
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
