"""From the arguments of ONNX's Resize to a plan; every error about them is raised here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from math import floor
from typing import Any

import numpy as np

from gpu_upsample.plan import shapes
from gpu_upsample.plan.axes import once_per_axis
from gpu_upsample.plan.borders import BORDERS
from gpu_upsample.plan.coordinates import Axis, settled, source_coordinates
from gpu_upsample.plan.dtypes import PARTS, scalars
from gpu_upsample.plan.filters import named_filter
from gpu_upsample.plan.footprints import filter_footprints
from gpu_upsample.plan.resample import ROUNDINGS, rounded
from gpu_upsample.plan.steps import Index, Plan, plan_steps
from gpu_upsample.plan.taps import AxisMap, Floats, check_table

Roi = tuple[float, float]
_WHOLE = (0.0, 1.0)


# ---- where an output lies -----------------------------------------------------------------------------------
def _whole(rule: str, axis: Axis, roi: Roi) -> Floats:
    return source_coordinates(rule, axis)[0]


def _crop(axis: Axis, roi: Roi) -> Floats:
    (start, end), last = roi, axis.n_in - 1
    if axis.n_out == 1:
        position = np.array([(start + end) * last / 2])
    else:
        position = start * last + np.arange(axis.n_out) * ((end - start) * last) / (axis.n_out - 1)
    # The border decides between a sample and the extrapolated value: it must not be missed by rounding.
    return settled(position, np.full(axis.n_out, (abs(start) + abs(end)) * last))


CROP = "tf_crop_and_resize"
COORDINATE_MODES: dict[str, Callable[[Axis, Roi], Floats]] = {
    **{
        rule: partial(_whole, rule)
        for rule in ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric")
    },
    CROP: _crop,
}
"""Name of a coordinate transformation mode -> the coordinate of every output of an axis, of which `CROP` takes a part.

Only the coordinates of `CROP` may descend, or lie beyond the samples.
"""


# ---- one axis -----------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Sampling:
    """How every axis is sampled."""

    mode: str
    coordinates: str
    rounding: str
    cubic_coeff: float
    antialias: bool
    border: str


@dataclass(frozen=True)
class _Line:
    """What becomes of one axis: its map, and which result of it each output is, -1 for the extrapolated value."""

    mapping: AxisMap
    place: Index | None = None


def _nearest(axis: Axis, how: _Sampling, coordinate: Floats, beyond: Any) -> _Line:
    index = np.clip(rounded(coordinate, how.rounding), 0, axis.n_in - 1).astype(np.int64)
    return _Line(np.where(beyond, -1, index))


def _filtered(axis: Axis, how: _Sampling, coordinate: Floats, beyond: Any) -> _Line:
    # Taps ascend and know no extrapolated value: a selection behind them puts their results in place.
    chosen = np.flatnonzero(~beyond)
    turned = coordinate[0] > coordinate[-1]
    order = chosen[::-1] if turned else chosen
    p, q = axis.ratio
    stretch = max(1.0, p / q) if how.antialias else 1.0
    where = coordinate[order] if len(order) else np.zeros(1)  # an array must not be empty
    windows = filter_footprints(where, stretch, named_filter(how.mode, how.cubic_coeff))
    taps = BORDERS[how.border](windows, axis.n_in)
    if len(order) == axis.n_out and not turned:
        return _Line(taps)
    place = np.full(axis.n_out, -1)
    place[order] = np.arange(len(order))
    return _Line(taps, place)


MODES: dict[str, Callable[[Axis, _Sampling, Floats, Any], _Line]] = {
    "nearest": _nearest,
    "linear": _filtered,
    "cubic": _filtered,
}
"""Mode -> what becomes of an axis, given its coordinates and which of them take the extrapolated value."""


def _line(axis: Axis, how: _Sampling, roi: Roi) -> _Line:
    if how.mode != "nearest":
        check_table(axis.n_out, 1)
    coordinate = COORDINATE_MODES[how.coordinates](axis, roi)
    beyond = (coordinate < 0) | (coordinate > axis.n_in - 1) if how.coordinates == CROP else np.zeros(axis.n_out, bool)
    return MODES[how.mode](axis, how, coordinate, beyond)


# ---- the arguments ------------------------------------------------------------------------------------------
POLICIES: dict[str, Callable[[Sequence[Fraction]], Fraction] | None] = {
    "stretch": None,
    "not_larger": min,
    "not_smaller": max,
}
"""Aspect ratio policy -> which of the axes' scales they all take; None leaves each its own."""


def as_bit(name: str, value: Any) -> bool:
    """Return one of ONNX's switches, 0 or 1, as a bool."""
    if value not in (0, 1):
        raise ValueError(f"{name} must be 0 or 1, got {value!r}")
    return bool(value)


def _given(name: str, value: Any, length: int) -> tuple[Any, ...] | None:
    """Return an optional input that has one entry per axis, or two; an empty tensor stands for none."""
    if value is None or value == ():
        return None
    if not isinstance(value, tuple) or len(value) != length:
        raise ValueError(f"{name} must have {length} entries, for the rank of X or the length of axes; got {value!r}")
    return value


def _rois(value: Any, coordinates: str, rank: int) -> tuple[Roi, ...]:
    """Return the (start, end) of every axis, of which only `CROP` takes notice."""
    if coordinates != CROP:  # models often give what nobody looks at
        return (_WHOLE,) * rank
    given = _given("roi", value, 2 * rank)
    if given is None:
        raise ValueError(f"roi must be given with coordinate_transformation_mode={CROP!r}")
    edges = [shapes.as_number("roi", edge) for edge in given]
    return tuple(zip(edges[:rank], edges[rank:], strict=True))


def _scaled(n_in: tuple[int, ...], scales: tuple[Any, ...], rois: tuple[Roi, ...]) -> tuple[Axis, ...]:
    factors = [shapes.as_number("scales", s) for s in scales]
    if min(factors) <= 0:
        raise ValueError(f"scales must be positive, got {scales!r}")
    lengths = (n * (end - start) * s for n, s, (start, end) in zip(n_in, factors, rois, strict=True))
    sizes = (floor(min(length, 2.0**63)) for length in lengths)  # infinity has no floor
    return tuple(Axis(n, m, s) for n, m, s in zip(n_in, sizes, factors, strict=True))


def _sized(n_in: tuple[int, ...], sizes: tuple[Any, ...], policy: str) -> tuple[Axis, ...]:
    wanted = [shapes.as_integer("sizes", m) for m in sizes]
    choose, ratios = POLICIES[policy], [Fraction(m, n) for n, m in zip(n_in, wanted, strict=True) if n]
    if choose is None or not ratios:
        return tuple(Axis(n, m) for n, m in zip(n_in, wanted, strict=True))
    scale = choose(ratios)
    return tuple(Axis(n, floor(scale * n + Fraction(1, 2)), float(scale)) for n in n_in)


def _check_lengths(axes: tuple[Axis, ...], asked: str) -> None:
    resized = [length for axis in axes if axis.n_in or axis.n_out for length in (axis.n_in, axis.n_out)]
    if not all(1 <= length <= shapes.LONGEST_AXIS for length in resized):
        raise ValueError(
            f"{asked} gives output sizes {tuple(axis.n_out for axis in axes)} for input sizes "
            f"{tuple(axis.n_in for axis in axes)}; all must lie between 1 and {shapes.LONGEST_AXIS}"
        )


def _extrapolated(value: Any, dtype: str) -> float:
    """Return the extrapolated value as results are: rounded to the dtype, integers saturated."""
    number = shapes.as_real("extrapolation_value", value)
    if dtype in PARTS and number != 0:
        raise ValueError(f"extrapolation_value must be 0 for {dtype}, got {value!r}")
    storage, _ = scalars(dtype)
    if "float" in storage.name:
        with np.errstate(over="ignore"):
            return storage.rounded(number)
    low, high = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    if np.isnan(number):
        raise ValueError(f"extrapolation_value must be a number for {dtype}, got {value!r}")
    return low if number <= low else high if number >= high else round(number)


def plan_onnx_resize(
    shape: tuple[int, ...],
    dtype: str,
    roi: Any,
    scales: Any,
    sizes: Any,
    antialias: Any,
    axes: Any,
    coordinate_transformation_mode: Any,
    cubic_coeff_a: Any,
    exclude_outside: Any,
    extrapolation_value: Any,
    keep_aspect_ratio_policy: Any,
    mode: Any,
    nearest_mode: Any,
) -> Plan:
    """Plan a Resize; the arguments are its inputs and attributes.

    Examples
    --------
    >>> plan = plan_onnx_resize(
    ...     (1, 3, 4), "uint8", None, (1, 1, 2), None, 0, None, "half_pixel", -0.75, 0, 0, "stretch", "linear", "floor"
    ... )
    >>> plan.outputs[0].shape
    (1, 3, 8)
    """
    scalars(dtype)
    chosen = tuple(range(len(shape))) if axes is None else shapes.normalized_axes(axes, len(shape))
    how = _Sampling(
        shapes.as_choice("mode", mode, MODES),
        shapes.as_choice("coordinate_transformation_mode", coordinate_transformation_mode, COORDINATE_MODES),
        shapes.as_choice("nearest_mode", nearest_mode, ROUNDINGS),
        shapes.as_number("cubic_coeff_a", cubic_coeff_a),
        as_bit("antialias", antialias),
        "renormalize" if as_bit("exclude_outside", exclude_outside) else "clamp",
    )
    if how.antialias and how.mode == "nearest":
        raise ValueError("antialias=1 has no meaning for mode 'nearest'")
    policy = shapes.as_choice("keep_aspect_ratio_policy", keep_aspect_ratio_policy, POLICIES)
    n_in = tuple(shape[a] for a in chosen)
    rois = _rois(roi, how.coordinates, len(chosen))
    scales, sizes = _given("scales", scales, len(chosen)), _given("sizes", sizes, len(chosen))
    if scales is not None and sizes is not None:
        raise ValueError(f"only one of scales and sizes may be given; got scales={scales!r} and sizes={sizes!r}")
    if scales is not None:
        geometry, asked = _scaled(n_in, scales, rois), f"scales={scales!r}"
    elif sizes is not None:
        geometry, asked = _sized(n_in, sizes, policy), f"sizes={sizes!r}"
    else:
        raise ValueError("one of scales and sizes must be given; got neither")
    _check_lengths(geometry, asked)
    shapes.check_addressable(shape, dtype, {a: axis.n_out for a, axis in zip(chosen, geometry, strict=True)})
    fill = _extrapolated(extrapolation_value, dtype) if how.coordinates == CROP else 0.0
    lines = {
        a: once_per_axis(_line, g, how, r) for a, g, r in zip(chosen, geometry, rois, strict=True) if not _stays(g, r)
    }
    sampled = plan_steps(shape, dtype, {a: line.mapping for a, line in lines.items()}, fill)
    places = {a: line.place for a, line in lines.items() if line.place is not None}
    return sampled.then(plan_steps(sampled.shapes[0], dtype, places, fill))


def _stays(axis: Axis, roi: Roi) -> bool:
    """Return whether every output is its own input, under any rule; a cubic filter would read its neighbours, too."""
    return axis.n_in == axis.n_out and (axis.scale in (None, 1.0) or axis.n_in == 0) and roi == _WHOLE
