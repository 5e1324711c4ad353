"""Where an output sample lies on the input axis: the coordinate rules, as a table.

A coordinate of 0.0 is the centre of the first input sample. Every rule takes the output indices and the
geometry of the axis and returns the coordinates with the step between two of them, which is also the factor
by which an antialiasing filter is stretched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

# Denominator at most of a fraction that a scale is taken for.
_SIMPLE = 1000


@dataclass(frozen=True)
class Axis:
    """Geometry of one resized axis.

    Attributes
    ----------
    n_in, n_out : int
        Number of samples before and after.
    scale : float or None
        Output samples per input sample, where the caller fixed it; None lets the sizes decide.
    box : tuple of float or None
        The part of the input that is resized, as (start, stop) in pixel edges; None is (0, n_in).
    """

    n_in: int
    n_out: int
    scale: float | None = None
    box: tuple[float, float] | None = None

    @property
    def length(self) -> float:
        """Extent of the resized part, in input pixels."""
        return self.n_in if self.box is None else self.box[1] - self.box[0]

    @cached_property
    def ratio(self) -> tuple[float, float]:
        """Input pixels per output sample as a fraction (numerator, denominator).

        Kept apart so that a coordinate needs one division of exact integers and is correctly rounded. So a scale
        that is the nearest float to a simple fraction is taken for that fraction.
        """
        if self.scale is None:
            return self.length, self.n_out
        simple = Fraction(self.scale).limit_denominator(_SIMPLE)
        return (simple.denominator, simple.numerator) if float(simple) == self.scale else (1.0, self.scale)


Coordinates = tuple[NDArray[np.float64], float]
Rule = Callable[[NDArray[np.float64], Axis], Coordinates]


def _half_pixel(o: NDArray[np.float64], axis: Axis) -> Coordinates:
    p, q = axis.ratio
    return ((2 * o + 1) * p - q) / (2 * q), p / q


def _pytorch_half_pixel(o: NDArray[np.float64], axis: Axis) -> Coordinates:
    coordinate, step = _half_pixel(o, axis)
    return (coordinate if axis.n_out > 1 else np.zeros_like(o)), step


def _half_pixel_symmetric(o: NDArray[np.float64], axis: Axis) -> Coordinates:
    # ONNX Resize-19: where floor() shortened the output, what is lost is shared by both ends.
    p, q = axis.ratio
    return ((2 * o + 1 - axis.n_out) * p + (axis.length - 1) * q) / (2 * q), p / q


def _align_corners(o: NDArray[np.float64], axis: Axis) -> Coordinates:
    p, q = (axis.length - 1, axis.n_out - 1) if axis.n_out > 1 else (0.0, 1.0)
    return o * p / q, p / q


def _half_pixel_corners(o: NDArray[np.float64], axis: Axis) -> Coordinates:
    # torch with antialias=True and align_corners=True: half-pixel centres at the corner-aligned step.
    p, q = (axis.length - 1, axis.n_out - 1) if axis.n_out > 1 else (0.0, 1.0)
    return ((2 * o + 1) * p - q) / (2 * q), p / q


def _asymmetric(o: NDArray[np.float64], axis: Axis) -> Coordinates:
    p, q = axis.ratio
    return o * p / q, p / q


COORDINATES: dict[str, Rule] = {
    "half_pixel": _half_pixel,
    "half_pixel_symmetric": _half_pixel_symmetric,
    "pytorch_half_pixel": _pytorch_half_pixel,
    "align_corners": _align_corners,
    "half_pixel_corners": _half_pixel_corners,
    "asymmetric": _asymmetric,
}
"""Rule name -> function. The names are those of ONNX Resize; `half_pixel_corners` is torch's own."""


def source_coordinates(rule: str, axis: Axis) -> Coordinates:
    """Return the input coordinate of every output sample, and the step between them.

    Examples
    --------
    >>> source_coordinates("half_pixel", Axis(2, 4))
    (array([-0.25,  0.25,  0.75,  1.25]), 0.5)
    >>> source_coordinates("align_corners", Axis(3, 5))[0]
    array([0. , 0.5, 1. , 1.5, 2. ])
    """
    coordinate, step = COORDINATES[rule](np.arange(axis.n_out, dtype=np.float64), axis)
    return coordinate + (axis.box[0] if axis.box else 0.0), step


def settled(position: NDArray[np.float64], size: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return positions, those that miss a whole number by rounding alone put on it.

    `size` is how large the numbers were that a position was computed from.

    Examples
    --------
    >>> settled(np.array([0.1 * 3 * 10, 3.001]), np.array([3.0, 3.0]))
    array([3.   , 3.001])
    """
    whole = np.rint(position)
    near: NDArray[np.bool_] = np.abs(position - whole) <= 4 * np.finfo(np.float64).eps * size
    return np.where(near, whole, position)
