"""Which of OpenCV's ways to resize a call takes, and its steps.

OpenCV has several, each with roundings of its own: fixed point of 8, 11 or 16 bits, sums in float32 or float64, and
Intel's IPP for most dtypes of 1, 3 or 4 channels. The conditions are those of ``modules/imgproc/src/resize.cpp`` and
``hal/ipp/src/resize_ipp.cpp`` of OpenCV 5.0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from gpu_upsample.compat import opencv_axes as axes
from gpu_upsample.compat.opencv_axes import Axis, Windows
from gpu_upsample.plan.axes import once_per_axis
from gpu_upsample.plan.dtypes import FOREIGN, STORAGE, scalars
from gpu_upsample.plan.shapes import LONGEST_AXIS, as_integer, as_number, check_addressable
from gpu_upsample.plan.steps import FilterStep, Index, Output, Plan, SelectStep, Sums, plan_steps
from gpu_upsample.plan.taps import Taps, check_table, selected_taps

INTER_NEAREST = 0
INTER_LINEAR = 1
INTER_CUBIC = 2
INTER_AREA = 3
INTER_LANCZOS4 = 4
INTER_LINEAR_EXACT = 5
INTER_NEAREST_EXACT = 6

Shape = tuple[int, int, int]
Axes = tuple[Axis, Axis]

_SELECTIONS: dict[int, Callable[[Axis], Index]] = {
    INTER_NEAREST: axes.nearest,
    INTER_NEAREST_EXACT: axes.nearest_exact,
}
"""Interpolation -> the samples that it copies, of any dtype."""

_USUAL = ("uint8", "uint16", "int16", "float32", "float64")
_SUMS: dict[int, tuple[str, ...]] = {
    INTER_LINEAR: _USUAL,
    INTER_CUBIC: _USUAL,
    INTER_AREA: _USUAL,
    INTER_LANCZOS4: _USUAL,
    INTER_LINEAR_EXACT: (*_USUAL, "int8", "int32"),
}
"""Interpolation -> the dtypes of which it forms sums."""


# ---- which way ----------------------------------------------------------------------------------------------
_IPP = {INTER_LINEAR: (axes.ipp_linear, 2, "uint8"), INTER_CUBIC: (axes.ipp_cubic, 4, "float64")}
"""Interpolation -> what gives the taps, the least length of an axis, and the dtype that IPP leaves to OpenCV."""


def _uses_ipp(shape: Shape, dtype: str, given: Axes, interpolation: int) -> bool:
    """Return whether Intel's IPP resizes this array."""
    if interpolation not in _IPP or shape[2] not in (1, 3, 4):
        return False
    _, least, left_out = _IPP[interpolation]
    # A factor that the sizes do not follow makes of it an affine map, which needs two samples for any filter.
    tolerance = 0 if dtype == "float64" else 1e-10
    if any(abs(axis.n_out / axis.n_in - axis.factor) > tolerance * axis.factor for axis in given):
        least = 2
    return dtype != left_out and min(shape[:2]) >= least


def _is_halved(given: Axes) -> bool:
    return all(axis.whole == 2 for axis in given)


def _plan_sums(shape: Shape, dtype: str, given: Axes, interpolation: int) -> Plan:
    for axis in given:
        check_table(axis.n_out, 1)
    if interpolation == INTER_LINEAR_EXACT:
        if "float" in dtype:
            interpolation = INTER_LINEAR
        elif not (_is_halved(given) and shape[2] != 2 and dtype in _USUAL):
            return _plan_exact(shape, dtype, given)
        else:
            interpolation = INTER_AREA
    if _uses_ipp(shape, dtype, given, interpolation):
        taps, _, _ = _IPP[interpolation]
        return plan_steps(shape, dtype, {number: once_per_axis(taps, axis) for number, axis in enumerate(given)})
    if interpolation == INTER_LINEAR and _is_halved(given):
        interpolation = INTER_AREA
    if interpolation == INTER_AREA and all(axis.step >= 1 for axis in given):
        return (_plan_blocks if all(axis.whole for axis in given) else _plan_area)(shape, dtype, given)
    return _plan_own(shape, dtype, given, interpolation)


# ---- OpenCV's ways ------------------------------------------------------------------------------------------
def _plain(dtype: str) -> Sums:
    """Return sums in floating point, of products that are rounded before they are added."""
    own = FOREIGN[f"{dtype} plain"]
    return Sums(own, FOREIGN[f"{own.accumulator} plain"], own, exact=True)


def _fixed(dtype: str) -> Sums:
    """Return sums in fixed point, rounded only once."""
    own = FOREIGN[f"{dtype} fixed"]
    return Sums(own, FOREIGN[f"{own.accumulator} fixed"], own, exact=True)


def _exact(axis: Axis, bits: int, factor: float) -> Taps:
    taps = axes.exact(axis, bits)
    return replace(taps, weight=taps.weight * factor)


def _plan_exact(shape: Shape, dtype: str, given: Axes) -> Plan:
    """LINEAR_EXACT: as many bits behind the binary point as the integers have, but 16 for int8."""
    if dtype == "int32":  # 64-bit products in float64
        maps = {number: once_per_axis(_exact, axis, 32, 2.0**-32) for number, axis in enumerate(given)}
        own = FOREIGN["int32 double"]
        return plan_steps(shape, dtype, maps, sums=Sums(own, FOREIGN["float64 plain"], own, exact=True))
    bits = 8 if dtype == "uint8" else 16
    sums = _fixed(dtype)
    spare = 2.0 ** (sums.result.fraction // 2 - bits)
    maps = {number: once_per_axis(_exact, axis, bits, spare) for number, axis in enumerate(given)}
    return plan_steps(shape, dtype, maps, sums=sums)


def _plan_area(shape: Shape, dtype: str, given: Axes) -> Plan:
    return plan_steps(
        shape, dtype, {n: once_per_axis(axes.area, axis) for n, axis in enumerate(given)}, sums=_plain(dtype)
    )


def _means(axis: Axis, unit: float) -> Taps:
    sums = axes.blocks(axis)
    return replace(sums, weight=sums.weight * unit / sums.count[:, None])


def _plan_blocks(shape: Shape, dtype: str, given: Axes) -> Plan:
    """AREA by whole numbers: exact sums, then one product; the means of four integers are rounded half up."""
    if _is_halved(given) and shape[2] in (1, 3, 4) and "int" in dtype:
        fixed = _fixed(dtype)
        unit = 2.0 ** (fixed.result.fraction // 2)
        maps = {n: once_per_axis(_means, axis, unit) for n, axis in enumerate(given)}
        return plan_steps(shape, dtype, maps, sums=fixed)
    sums = [once_per_axis(axes.blocks, axis) for axis in given]
    own = STORAGE[dtype]
    real = STORAGE[own.accumulator]
    plan = plan_steps(shape, dtype, dict(enumerate(sums)), sums=Sums(own, real, real))
    # Pixels that the array's end cuts off are missing in the count as in the sum; most often there are none.
    (full_rows, full_columns), (rows, columns) = (axis.whole for axis in given), (taps.count for taps in sums)
    if np.any(rows != full_rows):
        down = _product(1 / np.float32(rows * full_columns))
        across = _product(full_columns / columns) if np.any(columns != full_columns) else None
    else:
        down, across = None, _product(1 / np.float32(full_rows * columns))
    shape_out = (1, given[0].n_out, given[1].n_out, shape[2])
    return Plan(plan.outputs, (*plan.steps, FilterStep(shape_out, down, across, real, own)))


def _product(factor: Any) -> Taps:
    """Return the taps that multiply each sample by a factor of its own."""
    n = len(factor)
    return Taps(n, np.arange(n), np.ones(n, np.int64), factor[:, None].astype(np.float64))


_WINDOWS: dict[int, Callable[[Axis], Windows]] = {
    INTER_LINEAR: axes.linear,
    INTER_CUBIC: axes.cubic,
    INTER_AREA: axes.enlarged_area,
    INTER_LANCZOS4: axes.lanczos,
}
"""Interpolation -> its windows in OpenCV's own kernels."""


def _windows(axis: Axis, interpolation: int, is_byte: bool, is_held: bool) -> Windows:
    found = _WINDOWS[interpolation](axis)
    if is_held:
        found = axes.held(found)
    return found.whole(11) if is_byte else found


def _taps(axis: Axis, interpolation: int, is_byte: bool, is_held: bool) -> Taps:
    return _windows(axis, interpolation, is_byte, is_held).taps(axis.n_in)


def _plan_own(shape: Shape, dtype: str, given: Axes, interpolation: int) -> Plan:
    (above, beside), two, is_byte = given, interpolation in (INTER_LINEAR, INTER_AREA), dtype == "uint8"
    columns = once_per_axis(_taps, beside, interpolation, is_byte, two)
    if two and is_byte:
        return _plan_truncated(shape, once_per_axis(_pairs, above, interpolation), columns)
    maps = {0: once_per_axis(_taps, above, interpolation, is_byte, False), 1: columns}
    return plan_steps(shape, dtype, maps, sums=_fixed(dtype) if is_byte else _plain(dtype))


def _padded(height: int) -> Taps:
    """Return the taps that repeat the first and the last row of a column."""
    return selected_taps(np.arange(-1, height + 1).clip(0, height - 1), height)


def _pairs(axis: Axis, interpolation: int) -> Taps:
    """Return the windows of two rows of a column whose first and last row are repeated."""
    rows = _windows(axis, interpolation, is_byte=True, is_held=False)
    first, second = rows.index.T
    start = np.where((first == second) & (first == 0), 0, first + 1)
    return Taps(axis.n_in + 2, start, np.full(len(start), 2), rows.weight.astype(np.float64))


def _plan_truncated(shape: Shape, pairs: Taps, columns: Taps) -> Plan:
    """Bilinear uint8: each of the two products of a column keeps only its high 16 bits before they are added.

    A window beyond the end of a column takes the last sample twice, in two products: the array in between has one row
    more at either end.
    """
    height, width, channels = shape
    above = once_per_axis(_padded, height)
    byte, sixteenth, truncated = (FOREIGN[name] for name in ("uint8 fixed", "int16 sixteenth", "uint8 truncated"))
    steps = (
        FilterStep((1, height, width, channels), above, columns, byte, sixteenth),
        FilterStep((1, height + 2, 1, columns.n_out * channels), pairs, None, sixteenth, truncated),
    )
    return Plan((Output((pairs.n_out, columns.n_out, channels), "uint8"),), steps)


# ---- plan ---------------------------------------------------------------------------------------------------
def _axes(shape: tuple[int, ...], dsize: Any, fx: Any, fy: Any) -> Axes:
    """Return rows and columns with their new lengths."""
    wrong = f"dsize must be two integers, (width, height), or None with fx and fy given; got {dsize!r}"
    if dsize is not None and not (isinstance(dsize, tuple) and len(dsize) == 2):
        raise ValueError(wrong)
    width, height = (as_integer("dsize", n) for n in dsize or (0, 0))
    factors = tuple(as_number(name, factor) for name, factor in (("fy", fy), ("fx", fx)))
    sizes: tuple[int, ...] = (height, width)
    if min(sizes) > 0:
        factors = tuple(m / n for m, n in zip(sizes, shape[:2], strict=True))
    elif min(factors) > 0:
        sizes = tuple(round(min(n * f, 2.0**63)) for n, f in zip(shape[:2], factors, strict=True))
    else:
        raise ValueError(f"either dsize or both fx and fy must be positive; got dsize={dsize!r}, fx={fx!r}, fy={fy!r}")
    if not 1 <= min(sizes) <= max(sizes) <= LONGEST_AXIS:
        raise ValueError(
            f"dsize={dsize!r}, fx={fx!r}, fy={fy!r} give {sizes} rows and columns for an array of shape {shape}; "
            f"both must be from 1 to {LONGEST_AXIS}"
        )
    rows, columns = (Axis(*axis) for axis in zip(shape[:2], sizes, factors, strict=True))
    return rows, columns


def plan_resize(shape: tuple[int, ...], dtype: str, dsize: Any, fx: Any, fy: Any, interpolation: Any) -> Plan:
    """Plan `gpu_upsample.compat.opencv.resize`.

    Examples
    --------
    >>> plan = plan_resize((4, 6, 1), "uint8", (3, 2), 0, 0, INTER_CUBIC)
    >>> plan.outputs[0].shape, [step.result.name for step in plan.steps]
    ((2, 3), ['uint8'])
    """
    storage, parts = scalars(dtype)
    way = as_integer("interpolation", interpolation)
    if way not in _SELECTIONS and way not in _SUMS:
        raise ValueError(f"interpolation must be one of the INTER_ numbers from 0 to 6; got {interpolation!r}")
    if len(shape) not in (2, 3):
        raise ValueError(f"src must have 2 axes, (H, W), or 3, (H, W, C); got shape {shape}")
    if not 1 <= min(shape) <= max(shape) <= LONGEST_AXIS:
        raise ValueError(f"every axis of src must have between 1 and {LONGEST_AXIS} samples; got shape {shape}")
    given = _axes(shape, dsize, fx, fy)
    image: Shape = (shape[0], shape[1], prod(shape[2:]))
    # An only channel is not an axis of the result.
    result = Output((given[0].n_out, given[1].n_out, *(n for n in shape[2:] if n > 1)), dtype)
    check_addressable(result.shape, dtype)
    if all(axis.n_in == axis.n_out for axis in given):
        copy = SelectStep((1, shape[0], 1, prod(shape[1:]) * parts), np.arange(shape[0]), None, storage)
        return Plan((result,), () if result.shape == shape else (copy,))
    if way in _SELECTIONS:
        maps: dict[int, Taps | Index] = {n: _SELECTIONS[way](axis) for n, axis in enumerate(given)}
        return Plan((result,), plan_steps(image, dtype, maps).steps)
    if dtype not in _SUMS[way]:
        raise TypeError(f"interpolation={way} takes arrays of {', '.join(_SUMS[way])}; got {dtype}")
    return Plan((result,), _plan_sums(image, dtype, given, way).steps)
