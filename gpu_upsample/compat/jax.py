"""JAX's image functions: ``from gpu_upsample.compat import jax; jax.image.resize(...)``.

The numerics are those of jax.image in JAX 0.10.2, in its default mode without 64-bit numbers: samples beyond the array
have no weight, the other weights are divided by their sum, and coordinates are rounded to float32. (On a long axis XLA
may fuse two operations and round a coordinate once instead of twice; this last digit is not reproduced.) float64 and
complex128, which that mode does not have, are treated as with ``jax_enable_x64``. float16 and bfloat16 keep weights and
intermediates in float32, while JAX rounds them to the dtype of the image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gpu_upsample.call import apply
from gpu_upsample.compat.spans import LANCZOS, plan_floats, span_taps
from gpu_upsample.plan.axes import once_per_axis
from gpu_upsample.plan.cache import cached
from gpu_upsample.plan.dtypes import PARTS, scalars
from gpu_upsample.plan.filters import FILTERS, Filter, keys_cubic
from gpu_upsample.plan.shapes import (
    LONGEST_AXIS,
    as_choice,
    as_flag,
    as_number,
    as_shape,
    check_addressable,
    normalized_axes,
)
from gpu_upsample.plan.steps import Index, Plan, plan_steps
from gpu_upsample.plan.taps import Reals, Taps, check_table, offsets, window_taps
from gpu_upsample.typing import Backend, Integers, Numbers, Shape

__all__ = ["ResizeMethod", "image", "resize", "scale_and_translate"]


MethodName = Literal[
    "nearest", "linear", "bilinear", "trilinear", "triangle", "lanczos3", "lanczos5", "cubic", "bicubic", "tricubic",
    "cubic-pytorch", "bicubic-pytorch", "area",
]  # fmt: skip
"""What JAX calls the methods in strings."""


class ResizeMethod(Enum):
    """The methods by JAX's names. Every function also takes them as strings."""

    NEAREST = 0
    LINEAR = 1
    LANCZOS3 = 2
    LANCZOS5 = 3
    CUBIC = 4
    CUBIC_PYTORCH = 5
    AREA = 6

    @staticmethod
    def from_string(s: str) -> ResizeMethod:
        """Return the method that a string names.

        Examples
        --------
        >>> ResizeMethod.from_string("bicubic")
        <ResizeMethod.CUBIC: 4>
        """
        return _NAMES[as_choice("s", s, _NAMES)]


_NAMES: dict[str, ResizeMethod] = {
    "nearest": ResizeMethod.NEAREST,
    **dict.fromkeys(("linear", "bilinear", "trilinear", "triangle"), ResizeMethod.LINEAR),
    "lanczos3": ResizeMethod.LANCZOS3,
    "lanczos5": ResizeMethod.LANCZOS5,
    **dict.fromkeys(("cubic", "bicubic", "tricubic"), ResizeMethod.CUBIC),
    **dict.fromkeys(("cubic-pytorch", "bicubic-pytorch"), ResizeMethod.CUBIC_PYTORCH),
    "area": ResizeMethod.AREA,
}


# ---- one axis -----------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Warp:
    """How one axis is scaled and moved; `step` and `shift` are in the type in which coordinates are computed.

    Attributes
    ----------
    n_in, n_out : int
        Number of samples before and after.
    step : numpy.float32 or numpy.float64
        Input samples per output sample.
    shift : numpy.float32 or numpy.float64
        What is taken off an input coordinate.
    antialias : bool
        Whether the filter is widened where the axis shrinks.
    """

    n_in: int
    n_out: int
    step: Any
    shift: Any
    antialias: bool

    @property
    def edge(self) -> Reals:
        """Where each output pixel begins on the input axis, of which the first pixel begins at 0."""
        edges: Reals = np.arange(self.n_out, dtype=type(self.step)) * self.step - self.shift
        return edges

    @property
    def centre(self) -> Reals:
        """Where each output lies on the input axis, of which the first sample is 0."""
        half = self.step.dtype.type(0.5)
        centres: Reals = (np.arange(self.n_out, dtype=type(self.step)) + half) * self.step - self.shift - half
        return centres

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Which outputs lie on the input; the others are zero."""
        centre = self.centre
        return (centre >= -0.5) & (centre <= self.n_in - 0.5)


def _filtered(warp: _Warp, kernel: Filter) -> Taps:
    stretch = max(float(warp.step), 1.0) if warp.antialias else 1.0
    return span_taps(warp.centre, 0.0, stretch, kernel, warp.n_in)


def _pytorch_cubic(warp: _Warp) -> Taps:
    if warp.antialias:
        return _filtered(warp, FILTERS["cubic"])
    # JAX repeats the two samples next to the axis, and then forgets the rest: further out, less and less is left.
    n = warp.n_in
    centre = np.clip(warp.centre.astype(np.float64), -4, n + 4)
    index = np.floor(centre).astype(np.int64)[:, None] + np.arange(-1, 3)
    weight = keys_cubic(index - centre[:, None], -0.75)
    used = (index >= -2) & (index < n + 2)
    total = np.where(used, weight, 0).sum(axis=1, keepdims=True)
    enough = np.abs(total) > 1000 * np.finfo(np.float32).eps
    weight = np.where(enough, weight / np.where(enough, total, 1), 0.0)
    return window_taps(np.clip(index, 0, n - 1), weight, used, n)


def _area(warp: _Warp) -> Taps:
    low = warp.edge
    high = low + warp.step
    first = np.floor(np.clip(low, 0, warp.n_in - 1)).astype(np.int64)
    index = first[:, None] + offsets(np.ceil(np.clip(high, 1, warp.n_in)).astype(np.int64) - first)
    covered = np.minimum(high[:, None], index + 1) - np.maximum(low[:, None], index)
    used = (covered > 0) & (index < warp.n_in) & warp.inside[:, None]
    total = np.where(used, covered, 0).sum(axis=1, keepdims=True)
    return window_taps(index, covered / np.where(total == 0, 1, total), used, warp.n_in)


_MAPS: dict[ResizeMethod, Callable[[_Warp], Taps]] = {
    ResizeMethod.LINEAR: partial(_filtered, kernel=FILTERS["linear"]),
    ResizeMethod.LANCZOS3: partial(_filtered, kernel=LANCZOS["lanczos3"]),
    ResizeMethod.LANCZOS5: partial(_filtered, kernel=LANCZOS["lanczos5"]),
    ResizeMethod.CUBIC: partial(_filtered, kernel=FILTERS["cubic"]),
    ResizeMethod.CUBIC_PYTORCH: _pytorch_cubic,
    ResizeMethod.AREA: _area,
}
"""Method -> the taps of one axis."""


def _nearest(n_in: int, n_out: int) -> Index:
    # JAX writes (o + 0.5) * n_in / n_out; XLA makes one constant of what follows the parenthesis.
    single = np.float32
    step = single(n_in) * (1 / single(n_out))
    index: Index = np.floor((np.arange(n_out, dtype=single) + single(0.5)) * step).astype(np.int64)
    return np.minimum(index, n_in - 1)


# ---- plans --------------------------------------------------------------------------------------------------
def _method(method: Any) -> ResizeMethod:
    return _NAMES[as_choice("method", method, _NAMES)]


def _name(method: Any) -> Any:
    """Return the name of a member of `ResizeMethod`, or of JAX's own enumeration of that name."""
    return method.name.lower().replace("_", "-") if isinstance(method, Enum) else method


def _shape_out(shape_in: tuple[int, ...], shape: Any) -> tuple[int, ...]:
    """Return the checked shape of the result."""
    result = as_shape("shape", shape)
    if len(result) != len(shape_in):
        raise ValueError(
            f"shape must have length equal to the number of dimensions of image, {len(shape_in)}; got {shape!r}"
        )
    for n, m in zip(shape_in, result, strict=True):
        if n != m and not (1 <= n <= LONGEST_AXIS and 1 <= m <= LONGEST_AXIS):
            raise ValueError(
                f"a resized axis must have between 1 and {LONGEST_AXIS} samples before and after; "
                f"got shape={shape!r} for an image of shape {shape_in}"
            )
    return result


def _floats(dtype: str) -> str:
    """Return the dtype of weighted sums of a dtype."""
    scalars(dtype)
    return dtype if "float" in dtype or dtype in PARTS else "float32"


def _real(dtype: str) -> Any:
    """Return the type in which coordinates are computed for a result of that dtype."""
    return np.float64 if scalars(dtype)[0].name == "float64" else np.float32


def resize_maps(
    shape_in: tuple[int, ...], shape_out: tuple[int, ...], method: ResizeMethod, antialias: bool, real: Any = np.float32
) -> dict[int, Taps | Index]:
    """Return the map of every axis that `resize` changes; `real` is the type in which coordinates are computed."""
    resized = {axis: (n, m) for axis, (n, m) in enumerate(zip(shape_in, shape_out, strict=True)) if n != m}
    if method is ResizeMethod.NEAREST:
        return {axis: _nearest(n, m) for axis, (n, m) in resized.items()}
    return {axis: once_per_axis(_resized, n, m, method, antialias, real) for axis, (n, m) in resized.items()}


def _resized(n_in: int, n_out: int, method: ResizeMethod, antialias: bool, real: Any) -> Taps:
    return _map(_Warp(n_in, n_out, real(1 / (n_out / n_in)), real(0), antialias), method)


def _map(warp: _Warp, method: ResizeMethod) -> Taps:
    check_table(warp.n_out, 1)
    return _MAPS[method](warp)


def _plan_resize(shape_in: tuple[int, ...], dtype: str, shape: Any, method: Any, antialias: Any) -> Plan:
    """Plan `resize`."""
    kind, shape_out = _method(method), _shape_out(shape_in, shape)
    result = _floats(dtype)
    check_addressable(shape_out, dtype if kind is ResizeMethod.NEAREST else result)
    maps = resize_maps(shape_in, shape_out, kind, as_flag("antialias", antialias), _real(result))
    if kind is ResizeMethod.NEAREST:
        return plan_steps(shape_in, dtype, maps)
    return plan_floats(shape_in, dtype, result, maps)


def _plan_scale_and_translate(
    shape_in: tuple[int, ...],
    dtype: str,
    shape: Any,
    spatial_dims: Any,
    scale: Any,
    translation: Any,
    method: Any,
    antialias: Any,
) -> Plan:
    """Plan `scale_and_translate`."""
    kind, shape_out = _method(method), _shape_out(shape_in, shape)
    if kind not in _MAPS:
        raise ValueError("nearest neighbour resampling is not supported by scale_and_translate; resize has it")
    axes = normalized_axes(spatial_dims, len(shape_in), "spatial_dims") if spatial_dims != () else ()
    others = [axis for axis, (n, m) in enumerate(zip(shape_in, shape_out, strict=True)) if n != m and axis not in axes]
    if others:
        raise ValueError(f"shape may differ from that of image, {shape_in}, in spatial_dims={axes} only; got {shape!r}")
    result = _floats(dtype)
    check_addressable(shape_out, result)
    real, widened = _real(result), as_flag("antialias", antialias)
    warps = {}
    numbers = (_numbers("scale", scale, len(axes)), _numbers("translation", translation, len(axes)))
    for axis, factor, distance in zip(axes, *numbers, strict=True):
        if not 1 / LONGEST_AXIS <= factor <= LONGEST_AXIS or abs(distance) > LONGEST_AXIS:
            raise ValueError(
                f"scale must lie between 1 / {LONGEST_AXIS} and {LONGEST_AXIS}, and translation within "
                f"±{LONGEST_AXIS}; got scale={scale!r}, translation={translation!r}"
            )
        step = 1 / real(factor)
        warps[axis] = _Warp(shape_in[axis], shape_out[axis], step, real(distance) * step, widened)
    return plan_floats(shape_in, dtype, result, {axis: _map(warp, kind) for axis, warp in warps.items()})


def _numbers(name: str, value: Any, count: int) -> tuple[float, ...]:
    """Return one number per spatial axis."""
    if not isinstance(value, tuple) or len(value) != count:
        raise ValueError(f"{name} must have one number per entry of spatial_dims, {count}; got {value!r}")
    return tuple(as_number(name, number) for number in value)


_cached_resize = cached(_plan_resize)
_cached_scale_and_translate = cached(_plan_scale_and_translate)


# ---- jax.image ----------------------------------------------------------------------------------------------
def resize(
    image: Any,
    shape: Shape,
    method: MethodName | Enum,
    antialias: bool = True,
    precision: Any = None,
    *,
    out: Any = None,
    backend: Backend | None = None,
) -> Any:
    """Resize an array to a shape, as ``jax.image.resize`` does.

    Parameters
    ----------
    image : array
        Any shape and dtype.
    shape : sequence of int
        The shape of the result, one entry per axis. An axis that keeps its length is not filtered.
    method : str or ResizeMethod
        ``"nearest"``; ``"linear"``, ``"bilinear"``, ``"trilinear"`` or ``"triangle"``; ``"cubic"``, ``"bicubic"`` or
        ``"tricubic"`` (coefficient -0.5); ``"lanczos3"``, ``"lanczos5"``, ``"area"``; ``"cubic-pytorch"`` or
        ``"bicubic-pytorch"`` (coefficient -0.75 and repeated border without `antialias`). A member of
        ``jax.image.ResizeMethod`` does as well.
    antialias : bool
        If True, the filter is widened where an axis shrinks. Ignored by ``"nearest"`` and ``"area"``.
    precision : object
        Accepted and ignored. Sums are as precise as with ``jax.lax.Precision.HIGHEST``.
    out, backend
        As in `gpu_upsample.interpolate`.

    Returns
    -------
    array
        Same array type, device and dtype as `image`; but bool and integers give float32, except with ``"nearest"``.

    Raises
    ------
    ValueError
        If the method is unknown, or the shape does not fit the image.
    TypeError
        If an array has an unsupported type or dtype, or an argument has a wrong type.
    BackendUnavailableError
        If the backend cannot run on this machine.

    Notes
    -----
    JAX multiplies by a dense matrix, so that one infinite sample turns everything into NaN. Here it spreads only as
    far as the filter reaches.

    Examples
    --------
    >>> import numpy as np
    >>> resize(np.array([0, 100], np.uint8), (4,), "linear")
    array([  0.,  25.,  75., 100.], dtype=float32)
    >>> image.resize(np.eye(4), (2, 4), "nearest")
    array([[0., 1., 0., 0.],
           [0., 0., 0., 1.]])
    """
    arguments = (shape, _name(method), antialias)
    return apply(_cached_resize, arguments, {"image": image}, out, backend)


def scale_and_translate(
    image: Any,
    shape: Shape,
    spatial_dims: Integers,
    scale: Numbers,
    translation: Numbers,
    method: MethodName | Enum,
    antialias: bool = True,
    precision: Any = None,
    *,
    out: Any = None,
    backend: Backend | None = None,
) -> Any:
    """Scale and move an array, as ``jax.image.scale_and_translate`` does.

    The sample at ``x`` moves to ``x * scale + translation``; both positions are measured from the edge of the first
    pixel. Outside the image, the result is zero.

    Parameters
    ----------
    image : array
        Any shape and dtype.
    shape : sequence of int
        The shape of the result, one entry per axis.
    spatial_dims : sequence of int
        The axes to scale and move. The others keep their length.
    scale, translation : array or sequence of float
        One number per spatial axis. The scale must be positive; JAX mirrors the image if it is negative.
    method : str or ResizeMethod
        As in `resize`, without ``"nearest"``.
    antialias, precision, out, backend
        As in `resize`.

    Returns
    -------
    array
        As in `resize`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `resize`.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([1.0, 2.0, 3.0, 4.0])
    >>> scale_and_translate(x, (6,), (0,), [1.0], [1.5], "linear")
    array([0. , 1. , 1.5, 2.5, 3.5, 4. ])
    """
    arguments = (shape, spatial_dims, scale, translation, _name(method), antialias)
    return apply(_cached_scale_and_translate, arguments, {"image": image}, out, backend)


image = SimpleNamespace(resize=resize, scale_and_translate=scale_and_translate, ResizeMethod=ResizeMethod)
"""Stands for the module ``jax.image``."""
