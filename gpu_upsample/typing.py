"""The types of public arguments, under one name each.

The names of choices stand here for type checkers; the tests compare them with the tables in ``plan/``, which decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, SupportsFloat, SupportsIndex, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = TypeVar("Array")
"""Any array that the operators take; a result has the type of the array given."""

Integers = SupportsIndex | Sequence[SupportsIndex] | NDArray[np.integer[Any]]
"""One integer for all axes, or one per axis."""

Numbers = SupportsFloat | Sequence[SupportsFloat] | NDArray[Any]
"""One number for all axes, or one per axis."""

Shape = Sequence[SupportsIndex] | NDArray[np.integer[Any]]
"""Lengths of axes."""

Box = Sequence[Sequence[SupportsFloat]] | NDArray[Any]
"""One (start, stop) pair per axis."""

Backend = Literal["auto", "cpu", "cuda"]

DataFormat = Literal["channels_first", "channels_last"]

Precision = Literal["float32", "tf32"]

Mode = Literal[
    "nearest", "nearest-exact", "linear", "bilinear", "trilinear", "cubic", "bicubic", "tricubic", "lanczos", "area"
]
"""A mode of `interpolate`."""

Method = Literal[
    "nearest", "area", "box", "linear", "hamming", "gaussian", "cubic", "mitchell",
    "lanczos2", "lanczos3", "lanczos4", "lanczos5", "spline2", "spline3", "spline4", "spline5",
]  # fmt: skip
"""A method of `resize`."""

Coordinates = Literal[
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "half_pixel_corners",
    "asymmetric",
]
"""A coordinate rule of `resize`."""

Border = Literal["clamp", "symmetric", "reflect", "wrap", "renormalize", "constant", "extrapolate"]
"""A border rule of `resize`."""

Rounding = Literal["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]
"""How `resize` turns a coordinate into an index, with the method ``"nearest"``."""
