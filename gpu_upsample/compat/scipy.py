"""SciPy's zoom: ``from gpu_upsample.compat import scipy; scipy.ndimage.zoom(...)``.

The numerics are those of ``scipy.ndimage.zoom`` in SciPy 1.17, which CuPy's ``cupyx.scipy.ndimage`` follows: splines of
orders 0 to 5, summed in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import ceil, isfinite
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np

from gpu_upsample.arrays import kind_of
from gpu_upsample.call import apply
from gpu_upsample.plan.axes import once_per_axis
from gpu_upsample.plan.borders import STANDS_FOR, repeated
from gpu_upsample.plan.cache import cached
from gpu_upsample.plan.dtypes import FOREIGN, PARTS, STORAGE, Storage, scalars
from gpu_upsample.plan.filters import FILTERS, Filter
from gpu_upsample.plan.footprints import Footprints
from gpu_upsample.plan.shapes import (
    as_choice,
    as_flag,
    as_integer,
    as_number,
    as_real,
    check_addressable,
    check_resized,
    per_axis,
)
from gpu_upsample.plan.splines import b_spline
from gpu_upsample.plan.steps import FilterStep, Index, Plan, Sums, conversion, plan_steps
from gpu_upsample.plan.taps import LARGEST_TABLE, AxisMap, Floats, Ints, offsets, window_taps
from gpu_upsample.typing import Backend, Numbers

__all__ = ["ndimage", "zoom"]

ModeName = Literal["reflect", "grid-mirror", "constant", "grid-constant", "nearest", "mirror", "grid-wrap"]
"""What SciPy calls the rules for what lies beyond an array."""


# ---- beyond the array ---------------------------------------------------------------------------------------
Extension = Callable[[Ints, int], Ints]
"""Returns the sample for which each index stands on an axis of so many, -1 for the constant around it."""

# Where a spline has no simple continuation, SciPy puts so many samples beside the array, and mirrors those.
_PADDING = 12


def _surrounded(index: Ints, n: int) -> Ints:
    return np.where((index < 0) | (index >= n), -1, index)


@dataclass(frozen=True)
class _Mode:
    """What lies beyond an axis.

    Attributes
    ----------
    samples : callable
        The extension of the samples.
    mirrored : callable, optional
        That of the samples with a padding beside them, where there is one.
    is_cut : bool
        Whether what lies beyond the first and the last sample is the constant, however near.
    repeats : bool
        Whether the first sample follows the last one.
    """

    samples: Extension
    mirrored: Extension | None = None
    is_cut: bool = False
    repeats: bool = False

    def place(self, index: Ints, n: int, padded: bool) -> Ints:
        """Return the sample for which each index stands; `padded` says whether there is a padding."""
        if padded and self.mirrored:
            index = self.mirrored(index + _PADDING, n + 2 * _PADDING) - _PADDING
        return self.samples(index, n)


_clamp, _symmetric, _reflect, _wrap = (STANDS_FOR[name] for name in ("clamp", "symmetric", "reflect", "wrap"))

_MODES: dict[str, _Mode] = {
    "reflect": _Mode(_symmetric),
    "grid-mirror": _Mode(_symmetric),
    "constant": _Mode(_reflect, is_cut=True),
    "grid-constant": _Mode(_surrounded, _reflect),
    "nearest": _Mode(_clamp, _symmetric),
    "mirror": _Mode(_reflect),
    "grid-wrap": _Mode(_wrap, repeats=True),
}


# ---- one axis -----------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Spline:
    """How every axis is zoomed."""

    order: int
    mode: _Mode
    prefilter: bool
    grid_mode: bool

    @property
    def is_exact(self) -> bool:
        """Whether the coefficients are not the samples themselves."""
        return self.prefilter and self.order > 1

    @property
    def kernel(self) -> Filter:
        """The weight of a sample by its distance."""
        if self.is_exact:
            return FILTERS[f"spline{self.order}"]
        return Filter((self.order + 1) / 2, partial(b_spline, order=self.order))


def _coordinates(n_in: int, n_out: int, grid_mode: bool) -> Floats:
    """Return where each output lies, in SciPy's order of operations: of `is_cut`, rounding decides the last one."""
    output = np.arange(n_out, dtype=np.float64)
    if grid_mode:
        return (output + 0.5) * (n_in / n_out) - 0.5
    return output * ((n_in - 1) / (n_out - 1) if n_out > 1 else 1.0)


@dataclass(frozen=True)
class _Line:
    """What becomes of one axis: its map, and which result of it each output is, -1 for the constant."""

    mapping: AxisMap
    place: Index | None = None


def _nearest(coordinate: Floats, n_in: int, beyond: Any) -> Index:
    index = np.clip(np.floor(coordinate + 0.5).astype(np.int64), 0, n_in - 1)
    return np.where(beyond, -1, index)


def _summed(coordinate: Floats, n_in: int, how: _Spline) -> AxisMap:
    reach, centre = how.kernel.support, coordinate[:, None]
    first, stop = np.floor(coordinate - reach).astype(np.int64) + 1, np.ceil(coordinate + reach).astype(np.int64)
    index = first[:, None] + offsets(stop - first)
    used = index < stop[:, None]
    weight = np.where(used, how.kernel.function(index - centre), 0.0)
    if how.mode.repeats:
        return repeated(Footprints(first, stop, weight), n_in)
    place = how.mode.place(index, n_in, how.is_exact)
    inside = (place >= 0) & used
    taps = window_taps(place, weight, inside, n_in)
    around = np.where(inside, 0.0, weight).sum(axis=1)
    return replace(taps, outside=around) if around.any() else taps


def _line(n_in: int, n_out: int, how: _Spline) -> _Line:
    coordinate = _coordinates(n_in, n_out, how.grid_mode)
    beyond = (coordinate < 0) | (coordinate > n_in - 1) if how.mode.is_cut else np.zeros(n_out, bool)
    if not how.order:
        return _Line(_nearest(coordinate, n_in, beyond))
    if not beyond.any():
        return _Line(_summed(coordinate, n_in, how))
    # What lies beyond is put in place behind all sums: a sum of the constant need not be the constant.
    chosen = np.flatnonzero(~beyond)
    place = np.full(n_out, -1)
    place[chosen] = np.arange(len(chosen))
    where = coordinate[chosen] if len(chosen) else np.zeros(1)  # an array must not be empty
    return _Line(_summed(where, n_in, how), place)


# ---- plan ---------------------------------------------------------------------------------------------------
def _storage(dtype: str) -> Storage:
    """Return how a scalar is summed: in float64 and rounded away from zero, but for what SciPy does not have."""
    scalar, _ = scalars(dtype)
    return FOREIGN.get(f"{scalar.name} double", scalar)


def _constant(value: Any, dtype: str, is_whole: bool) -> float:
    """Return what surrounds the array; where it `is_whole`, no part of a sum, as the dtype holds it."""
    constant = as_real("cval", value)
    if dtype in PARTS and constant:
        raise ValueError(f"cval must be 0 for {dtype}, got {value!r}")
    scalar, _ = scalars(dtype)
    if "float" in scalar.name:
        return scalar.rounded(constant) if is_whole else constant
    if not isfinite(constant):
        raise ValueError(f"cval must be finite for {dtype}, got {value!r}")
    if not is_whole:
        return constant
    low, high = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    nearest = int(abs(constant) + 0.5) * (1 if constant > 0 else -1)  # ties away from zero, as sums are
    return min(max(nearest, low), high)


def _plan_zoom(
    shape: tuple[int, ...],
    dtype: str,
    result: Any,
    factors: Any,
    order: Any,
    mode: Any,
    cval: Any,
    prefilter: Any,
    grid_mode: Any,
) -> Plan:
    """Plan `zoom` for an array whose result is of the dtype `result`; the other arguments are its own."""
    if scalars(dtype)[1] != scalars(result)[1]:
        raise TypeError(f"output must be complex if input is, and only then; got {result} for {dtype}")
    if not shape:
        raise ValueError("input must have at least one axis; got a 0-d array")
    how = _Spline(
        as_integer("order", order),
        _MODES[as_choice("mode", mode, _MODES)],
        as_flag("prefilter", prefilter),
        as_flag("grid_mode", grid_mode),
    )
    if not 0 <= how.order <= 5:
        raise ValueError(f"order must lie between 0 and 5, got {order!r}")
    if how.order and "bool" in (dtype, result):
        raise TypeError(f"input and output of dtype bool need order=0, got order={order!r}")
    zooms = tuple(as_number("zoom", factor) for factor in per_axis("zoom", factors, len(shape)))
    # What is too large for a float has no integer.
    size = tuple(round(min(max(n * factor, -(2.0**63)), 2.0**63)) for n, factor in zip(shape, zooms, strict=True))
    check_resized(shape, size, f"zoom={factors!r}")
    check_addressable(size, result)
    longest = ceil(2 * how.kernel.support) if how.order else 1
    if max(size) * longest > LARGEST_TABLE:
        raise ValueError(
            f"zoom={factors!r} gives output sizes {size}, each a table of {longest} weights for every output along an "
            f"axis; a table may hold {LARGEST_TABLE} weights"
        )
    fill = _constant(cval, result, how.order == 0 or how.mode.is_cut)
    lines = {
        axis: once_per_axis(_line, n, m, how)
        for axis, (n, m) in enumerate(zip(shape, size, strict=True))
        if n != m or not (how.is_exact or how.order < 2)  # what blurs leaves no axis as it is
    }
    source, own = _storage(dtype), _storage(result)
    sums = Sums(source, STORAGE[own.accumulator], own)
    maps = {axis: line.mapping for axis, line in lines.items()}
    copies = all(isinstance(mapping, np.ndarray) for mapping in maps.values())
    sampled = plan_steps(shape, result, maps, fill, None if copies else sums)
    places = {axis: line.place for axis, line in lines.items() if line.place is not None}
    plan = sampled.then(plan_steps(sampled.shapes[0], result, places, fill))
    if dtype != result and not any(isinstance(step, FilterStep) for step in plan.steps):
        return replace(plan, steps=(conversion(shape, scalars(dtype)[1], source, own), *plan.steps))
    return plan


_cached_zoom = cached(_plan_zoom)


def _dtype_name(output: Any) -> str:
    """Return NumPy's name of a dtype of NumPy or torch."""
    own = str(output).removeprefix("torch.") if type(output).__name__ == "dtype" else output
    try:
        name: str = np.dtype(own).name
    except (TypeError, ValueError):
        raise TypeError(f"output must be an array or a dtype that NumPy has, got {output!r}") from None
    return name


def _is_dtype(output: Any) -> bool:
    """Say whether an output is no array, but a dtype, or something that can only be taken for one."""
    arrays = ("shape", "__cuda_array_interface__", "__dlpack__")
    return isinstance(output, type | np.dtype) or not any(hasattr(output, name) for name in arrays)


# ---- scipy.ndimage ------------------------------------------------------------------------------------------
def zoom(
    input: Any,  # noqa: A002 - SciPy's word
    zoom: Numbers,
    output: Any = None,
    order: int = 3,
    mode: ModeName = "constant",
    cval: float = 0.0,
    prefilter: bool = True,
    *,
    grid_mode: bool = False,
    backend: Backend | None = None,
) -> Any:
    """Enlarge or shrink an array with splines, as ``scipy.ndimage.zoom`` does.

    Parameters
    ----------
    input : array
        Any shape but (); bool with ``order=0`` only.
    zoom : float or sequence of float
        The new length of every axis in parts of the old one, rounded to the nearest integer, ties to even.
    output : array or dtype, optional
        Array for the result, which must not overlap `input`, or the dtype of the result. Default: that of `input`.
    order : int
        Order of the spline: 0 takes the nearest sample, 1 is linear, 3 cubic; at most 5.
    mode : {"reflect", "grid-mirror", "constant", "grid-constant", "nearest", "mirror", "grid-wrap"}
        What lies beyond the array: its mirror image, with the last sample repeated (the first two are the same) or not
        (``"mirror"``); the array once more (``"grid-wrap"``); `cval` (``"grid-constant"``); or the last sample
        (``"nearest"``). With ``"constant"``, an output that lies beyond the outermost samples is `cval`, and the spline
        continues as in ``"mirror"``. SciPy's ``"wrap"``, in which the first and the last sample are one, is not there.
    cval : float
        What surrounds the array: 0 if the result is complex, finite if it is of integers.
    prefilter : bool
        If False, `input` holds the coefficients of the spline and not the samples that it passes through: the result
        of an `order` above 1 is blurred, unless ``scipy.ndimage.spline_filter`` has made the input.
    grid_mode : bool
        If True, lengths are measured between the edges of pixels, as in `gpu_upsample.resize`. If False, they are
        measured between the centres of the outermost samples, which stay where they are.
    backend : {"auto", "cpu", "cuda"}, optional
        As in `gpu_upsample.interpolate`.

    Returns
    -------
    array
        Same array type and device as `input`; `output` itself, if that is an array. Integers are rounded to nearest,
        ties away from zero, and saturate.

    Raises
    ------
    ValueError
        If an axis is empty or would be, or is too long for its table; if `zoom`, `order`, `mode` or `cval` is not
        accepted, or `output` has the wrong shape.
    TypeError
        If an array has an unsupported type or dtype, or an argument has a wrong type.
    BackendUnavailableError
        If the backend cannot run on this machine.

    Notes
    -----
    Results of float64 agree with SciPy's to about 13 digits, others accordingly; those of ``order=0`` are the same
    samples. The exceptions: With ``mode="reflect"`` and ``"grid-mirror"``, SciPy begins its recursive filter with a
    value that is inexact on axes of less than 10 (order 2) to 20 samples (order 5), so that its spline misses the
    samples that it should pass through; here it does not. SciPy 1.17 forgets `grid_mode` for complex numbers. An
    infinity or a NaN spoils whole lines in SciPy, but only some dozens of samples to each side here. And what SciPy
    casts without rounding or saturation, as it does where all factors are 1, is rounded and saturates here.

    float16 and bfloat16, which SciPy does not have, are summed in float32. Like SciPy, this does not antialias. Each
    output along an axis has a table of its weights, of some dozens from order 2 on: an axis of more than one or two
    million outputs is refused.

    Examples
    --------
    >>> import numpy as np
    >>> zoom(np.array([1.0, 2.0, 4.0, 8.0]), 1.75).round(3)
    array([1.   , 1.35 , 2.   , 2.625, 4.   , 6.525, 8.   ])
    >>> ndimage.zoom(np.array([[0, 100]], np.uint8), (1, 2), order=1, mode="nearest", grid_mode=True)
    array([[  0,  25,  75, 100]], dtype=uint8)
    """
    kind, out = kind_of("input", input), None
    if output is None:
        result = kind.dtype
    elif _is_dtype(output):
        result = _dtype_name(output)
    else:
        result, out = kind_of("output", output, is_out=True).dtype, output
    arguments = (result, zoom, order, mode, cval, prefilter, grid_mode)
    return apply(_cached_zoom, arguments, {"input": input}, out, backend, "output")


ndimage = SimpleNamespace(zoom=zoom)
"""Stands for the module ``scipy.ndimage``."""
