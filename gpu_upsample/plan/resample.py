"""From the arguments of `interpolate` and `resize` to a plan; every error about them is raised here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_upsample.plan import shapes
from gpu_upsample.plan.axes import once_per_axis
from gpu_upsample.plan.borders import BORDERS, STANDS_FOR
from gpu_upsample.plan.coordinates import COORDINATES, Axis, settled, source_coordinates
from gpu_upsample.plan.dtypes import PARTS, check_floating, scalars
from gpu_upsample.plan.filters import FILTERS, named_filter
from gpu_upsample.plan.footprints import filter_footprints, overlap_footprints
from gpu_upsample.plan.steps import Index, Plan, plan_in_turn, plan_steps
from gpu_upsample.plan.taps import AxisMap, Gathered, Taps, check_table, pooling_taps, selected_taps

ROUNDINGS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "round_prefer_floor": lambda c: np.ceil(c - 0.5),
    "round_prefer_ceil": lambda c: np.floor(c + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}
"""How a nearest coordinate becomes an index; the names are those of ONNX Resize."""


@dataclass(frozen=True)
class Sampling:
    """How one axis is sampled: everything but its geometry."""

    method: str
    coordinates: str = "half_pixel"
    antialias: bool = False
    border: str = "clamp"
    cubic_coeff: float = -0.5
    nearest_rounding: str = "round_prefer_floor"


def rounded(coordinate: NDArray[np.float64], rounding: str) -> NDArray[np.float64]:
    """Return coordinates as whole numbers; what misses a half by rounding errors alone is one."""
    return ROUNDINGS[rounding](settled(2 * coordinate, 2 * np.abs(coordinate) + 1) / 2)


# ---- methods: name -> the map of one axis -------------------------------------------------------------------
def _nearest(axis: Axis, how: Sampling) -> Index:
    coordinate, _ = source_coordinates(how.coordinates, axis)
    index = rounded(coordinate, how.nearest_rounding).astype(np.int64)
    if how.border == "constant":
        return np.where((index < 0) | (index >= axis.n_in), -1, index)
    return STANDS_FOR.get(how.border, STANDS_FOR["clamp"])(index, axis.n_in)


def _torch_index(axis: Axis, offset: float) -> Index:
    # torch computes in float32 whatever the dtype (UpSample.h, nearest_idx; the CUDA kernels likewise).
    single = np.float32
    scale = single(axis.n_in) / single(axis.n_out) if axis.scale is None else single(1.0 / axis.scale)
    coordinate = (np.arange(axis.n_out).astype(single) + single(offset)) * scale
    index: Index = np.floor(coordinate).astype(np.int64)
    return np.minimum(index, axis.n_in - 1)


def _filtered(axis: Axis, how: Sampling) -> AxisMap:
    kernel = named_filter(how.method, how.cubic_coeff)
    check_table(axis.n_out, max(1, ceil(2 * kernel.support) - 1))  # the coordinates tell how long they are
    coordinate, step = source_coordinates(how.coordinates, axis)
    stretch = max(1.0, step) if how.antialias else 1.0
    windows = filter_footprints(coordinate, stretch, kernel)
    output = np.arange(axis.n_out)
    if axis.n_in == axis.n_out and np.array_equal(windows.weight, windows.index == output[:, None]):
        return selected_taps(output, axis.n_in)  # an infinity beside a sample, times 0, would be NaN
    return BORDERS[how.border](windows, axis.n_in)


def _covered(axis: Axis, how: Sampling) -> AxisMap:
    return BORDERS[how.border](overlap_footprints(axis), axis.n_in)


METHODS: dict[str, Callable[[Axis, Sampling], AxisMap]] = {
    "nearest": _nearest,
    "area": _covered,
    **dict.fromkeys(FILTERS, _filtered),
}
"""Method name of `resize` -> the map of one axis."""

_ALL_METHODS: dict[str, Callable[[Axis, Sampling], AxisMap]] = {
    **METHODS,
    "torch_nearest": lambda axis, how: _torch_index(axis, 0.0),
    "torch_nearest_exact": lambda axis, how: _torch_index(axis, 0.5),
    "adaptive_area": lambda axis, how: pooling_taps(axis.n_in, axis.n_out),
}
"""The same, and what torch's `interpolate` means by some of its modes."""


def axis_map(axis: Axis, how: Sampling) -> AxisMap:
    """Return the taps of one axis, or the index that each output selects."""
    found: AxisMap = once_per_axis(_ALL_METHODS[how.method], axis, how)
    return found


# ---- gradients ----------------------------------------------------------------------------------------------
Maps = dict[int, AxisMap]
"""The map of every resized axis."""


def _as_sums(mapping: AxisMap, n_in: int) -> Taps | Gathered:
    """Return any map as sums; an index that jumps back as what is gathered, or its windows would be long."""
    if isinstance(mapping, Taps | Gathered):
        return mapping
    if (mapping >= 0).all() and (np.diff(mapping) < 0).any():
        return Gathered(n_in, mapping, selected_taps(np.arange(len(mapping)), len(mapping)))
    return selected_taps(mapping, n_in)


def _plan_backward(shape: tuple[int, ...], dtype: str, input_size: tuple[int, ...], maps: Maps) -> Plan:
    """Plan the transpose of a resampling of an array of shape `input_size`, for a gradient of its result."""
    check_floating("grad_output", dtype)
    sums = {axis: _as_sums(mapping, input_size[axis]) for axis, mapping in maps.items()}
    transposed = {axis: (m.taps if isinstance(m, Gathered) else m).T for axis, m in sums.items()}
    expected = tuple(transposed[axis].n_in if axis in maps else n for axis, n in enumerate(input_size))
    if shape != expected:
        raise ValueError(
            f"grad_output must have the shape of the result for input_size={input_size}, {expected}; got {shape}"
        )
    turns: list[Maps] = [{axis: transposed[axis] for axis, m in sums.items() if isinstance(m, Taps)}]
    for axis, mapping in sums.items():
        if isinstance(mapping, Gathered):  # what was gathered is added up at its sources
            order, folded = mapping.folding()
            turns += [{axis: transposed[axis]}, {axis: order}, {axis: folded}]
    return plan_in_turn(shape, dtype, turns)


# ---- interpolate --------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Mode:
    """One mode of `interpolate`: its method, the ranks it works in, and which of torch's switches it has."""

    method: str
    ranks: tuple[int, ...]
    align_corners: bool = False
    antialias: bool = False


MODES: dict[str, Mode] = {
    "nearest": Mode("torch_nearest", (1, 2, 3)),
    "nearest-exact": Mode("torch_nearest_exact", (1, 2, 3)),
    "linear": Mode("linear", (1,), True, True),
    "bilinear": Mode("linear", (2,), True, True),
    "trilinear": Mode("linear", (3,), True, True),
    "cubic": Mode("cubic", (1,), True, True),
    "bicubic": Mode("cubic", (2,), True, True),
    "tricubic": Mode("cubic", (3,), True, True),
    "lanczos": Mode("lanczos3", (1, 2, 3), True, True),
    "area": Mode("adaptive_area", (1, 2, 3)),
}
"""Mode name of `interpolate` -> what it means."""


def _sampling(mode: str, align_corners: bool, antialias: bool) -> Sampling:
    """Return the sampling that torch means by a mode and its switches."""
    if antialias:
        rule = "half_pixel_corners" if align_corners else "half_pixel"
        return Sampling(MODES[mode].method, rule, True, "renormalize", -0.5)
    rule = "align_corners" if align_corners else "half_pixel"
    return Sampling(MODES[mode].method, rule, cubic_coeff=-0.75)


def interpolation_flags(
    size: Any, mode: Any, align_corners: Any, recompute_scale_factor: Any, antialias: Any, data_format: Any
) -> tuple[bool, bool, bool]:
    """Return the flags of `interpolate`: aligned corners, a scale that is recomputed, antialiasing."""
    spec = MODES[shapes.as_choice("mode", mode, MODES)]
    shapes.as_choice("data_format", data_format, shapes.SPATIAL)
    if align_corners is not None and not spec.align_corners:
        raise ValueError(f"align_corners has no meaning for mode {mode!r}; got align_corners={align_corners!r}")
    widened = shapes.as_flag("antialias", antialias)
    if widened and not spec.antialias:
        fitting = [name for name, other in MODES.items() if other.antialias]
        raise ValueError(f"antialias=True needs one of the modes {', '.join(map(repr, fitting))}; got {mode!r}")
    recomputed = recompute_scale_factor is not None and shapes.as_flag("recompute_scale_factor", recompute_scale_factor)
    if recomputed and size is not None:
        raise ValueError("recompute_scale_factor=True needs scale_factor, not size")
    aligned = align_corners is not None and shapes.as_flag("align_corners", align_corners)
    return aligned, recomputed, widened


def _interpolate_maps(
    name: str,
    shape: tuple[int, ...],
    dtype: str,
    size: Any,
    scale_factor: Any,
    mode: Any,
    align_corners: Any,
    recompute_scale_factor: Any,
    antialias: Any,
    data_format: Any,
) -> Maps:
    """Return the maps of `interpolate` for an array `name` of that shape and dtype; the others are its arguments."""
    aligned, recomputed, widened = interpolation_flags(
        size, mode, align_corners, recompute_scale_factor, antialias, data_format
    )
    if not 3 <= len(shape) <= 5:
        raise ValueError(
            f"{name} must have 3, 4 or 5 axes (batch, channels and 1 to 3 spatial ones); got shape {shape}. "
            f"{'resize' if name == 'x' else 'resize_backward'}() takes any rank"
        )
    spec, axes = MODES[mode], tuple(range(len(shape))[shapes.SPATIAL[data_format]])
    if len(axes) not in spec.ranks:
        fitting = [name for name, other in MODES.items() if len(axes) in other.ranks]
        axis = "axis" if len(axes) == 1 else "axes"
        raise ValueError(
            f"mode must be one of {', '.join(map(repr, fitting))} for {len(axes)} spatial {axis}; got {mode!r}, "
            f"and {name} of shape {shape}{shapes.nearest_names(mode, fitting)}"
        )
    n_in = tuple(shape[a] for a in axes)
    sizes, scales = shapes.output_sizes(n_in, size, scale_factor, "scale_factor")
    shapes.check_addressable(shape, dtype)
    shapes.check_addressable(shape, dtype, dict(zip(axes, sizes, strict=True)))
    if recomputed:
        scales = (None,) * len(axes)
    how = _sampling(mode, aligned, widened)
    return {a: axis_map(Axis(n, m, s), how) for a, n, m, s in zip(axes, n_in, sizes, scales, strict=True)}


def plan_interpolate(shape: tuple[int, ...], dtype: str, *arguments: Any) -> Plan:
    """Plan `interpolate`; the arguments are its own."""
    scalars(dtype)
    return plan_steps(shape, dtype, _interpolate_maps("x", shape, dtype, *arguments))


def plan_interpolate_backward(shape: tuple[int, ...], dtype: str, input_size: Any, *arguments: Any) -> Plan:
    """Plan `interpolate_backward` for a gradient of that shape; the other arguments are its own."""
    size = shapes.as_shape("input_size", input_size)
    return _plan_backward(shape, dtype, size, _interpolate_maps("input_size", size, dtype, *arguments))


# ---- resize -------------------------------------------------------------------------------------------------
def _resize_maps(
    name: str,
    shape: tuple[int, ...],
    dtype: str,
    border: Any,
    size: Any,
    scale: Any,
    axes: Any,
    method: Any,
    antialias: Any,
    coordinates: Any,
    nearest_rounding: Any,
    cubic_coeff: Any,
    box: Any,
) -> Maps:
    """Return the maps of `resize` for an array `name` of that shape and dtype; the others are its arguments."""
    if not shape:
        raise ValueError(f"{name} must have at least one axis; got a 0-d array")
    shapes.check_exactly_one(size, scale, "scale")
    ndim = len(shape)
    axes = shapes.default_axes(ndim, size, scale) if axes is None else shapes.normalized_axes(axes, ndim)
    rank = len(axes)
    n_in = tuple(shape[a] for a in axes)
    boxes = checked_boxes(box, n_in)
    lengths = tuple(n if b is None else b[1] - b[0] for n, b in zip(n_in, boxes, strict=True))
    sizes, scales = shapes.output_sizes(n_in, size, scale, "scale", lengths)
    shapes.check_addressable(shape, dtype)
    shapes.check_addressable(shape, dtype, dict(zip(axes, sizes, strict=True)))
    samplings = tuple(
        Sampling(
            shapes.as_choice("method", m, METHODS),
            shapes.as_choice("coordinates", coordinates, COORDINATES),
            shapes.as_flag("antialias", antialias),
            shapes.as_choice("border", rule, BORDERS),
            shapes.as_number("cubic_coeff", cubic_coeff),
            shapes.as_choice("nearest_rounding", nearest_rounding, ROUNDINGS),
        )
        for m, rule in zip(
            shapes.per_axis("method", method, rank), shapes.per_axis("border", border, rank), strict=True
        )
    )
    for how in samplings:
        if how.method == "nearest" and how.antialias:
            raise ValueError("antialias=True has no meaning for method 'nearest'")
        if how.method == "area" and coordinates != "half_pixel":
            raise ValueError(f"method 'area' needs coordinates='half_pixel', got {coordinates!r}")
    if coordinates in ("align_corners", "half_pixel_corners") and min(lengths) < 1:
        raise ValueError(f"box must span at least one pixel with coordinates={coordinates!r}; got {box!r}")
    geometry = zip(n_in, sizes, scales, boxes, strict=True)
    return {a: axis_map(Axis(*g), how) for a, g, how in zip(axes, geometry, samplings, strict=True)}


def plan_resize(shape: tuple[int, ...], dtype: str, fill_value: Any, *arguments: Any) -> Plan:
    """Plan `resize`; the arguments are its own."""
    scalars(dtype)
    maps = _resize_maps("x", shape, dtype, *arguments)
    return plan_steps(shape, dtype, maps, _fill(fill_value, dtype))


def plan_resize_backward(shape: tuple[int, ...], dtype: str, input_size: Any, fill_value: Any, *arguments: Any) -> Plan:
    """Plan `resize_backward` for a gradient of that shape; the other arguments are its own."""
    size = shapes.as_shape("input_size", input_size)
    maps = _resize_maps("input_size", size, dtype, *arguments)
    _fill(fill_value, dtype)  # a number like that of `resize`, on which the gradient does not depend
    return _plan_backward(shape, dtype, size, maps)


def checked_boxes(box: Any, n_in: tuple[int, ...]) -> tuple[tuple[float, float] | None, ...]:
    """Return the checked crop box of each axis."""
    if box is None:
        return (None,) * len(n_in)
    wrong = f"box must be one (start, stop) pair per resized axis ({len(n_in)}); got {box!r}"
    try:
        pairs = [tuple(pair) for pair in box]
    except TypeError:
        raise TypeError(wrong) from None
    if len(pairs) != len(n_in) or any(len(pair) != 2 for pair in pairs):
        raise ValueError(wrong)
    result = []
    for pair in pairs:
        start, stop = (shapes.as_number("box", edge) for edge in pair)
        if not start < stop or max(abs(start), abs(stop)) > shapes.LONGEST_AXIS:
            raise ValueError(f"box must have start < stop, and edges within ±{shapes.LONGEST_AXIS}; got {pair!r}")
        result.append((start, stop))
    return tuple(result)


def _fill(value: Any, dtype: str) -> float:
    """Return the surrounding constant as a number that the dtype holds."""
    value = int(value) if isinstance(value, bool) else value
    fill = shapes.as_real("fill_value", value)
    if dtype in PARTS and fill != 0:
        raise ValueError(f"fill_value must be 0 for {dtype}, got {value!r}")
    storage, _ = scalars(dtype)
    carrier = np.dtype(storage.carrier)
    if dtype == "bool" or (carrier.name == dtype and carrier.kind in "iu"):
        low, high = (0, 1) if dtype == "bool" else (np.iinfo(carrier).min, np.iinfo(carrier).max)
        exact = value if isinstance(value, int) else fill  # a float does not hold every int64
        if not low <= exact <= high or exact != int(exact):
            raise ValueError(f"fill_value must be an integer between {low} and {high} for {dtype}, got {value!r}")
        return int(exact)
    with np.errstate(over="ignore"):
        return storage.rounded(fill)
