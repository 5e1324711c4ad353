"""TensorFlow's image resizing: ``from gpu_upsample.compat import tensorflow as tf; tf.image.resize(...)``.

The numerics are those of the CPU kernels of TensorFlow 2.21. Images have its layout, (N, H, W, C). The kernels compute
coordinates in float32; the bicubic kernel takes its weights from a table of 1,024 positions.
"""

from __future__ import annotations

from collections.abc import Callable
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
from gpu_upsample.plan.shapes import LONGEST_AXIS, as_choice, as_flag, as_integer, check_addressable
from gpu_upsample.plan.steps import Index, Plan, plan_steps
from gpu_upsample.plan.taps import Taps, check_table, offsets, window_taps
from gpu_upsample.typing import Backend, Shape

__all__ = ["ResizeMethod", "image", "resize"]

Singles = NDArray[np.float32]
_single = np.float32


MethodName = Literal["bilinear", "lanczos3", "lanczos5", "bicubic", "gaussian", "nearest", "area", "mitchellcubic"]
"""What TensorFlow calls the methods in strings."""


class ResizeMethod:
    """The methods by TensorFlow's names."""

    BILINEAR: Literal["bilinear"] = "bilinear"
    NEAREST_NEIGHBOR: Literal["nearest"] = "nearest"
    BICUBIC: Literal["bicubic"] = "bicubic"
    AREA: Literal["area"] = "area"
    LANCZOS3: Literal["lanczos3"] = "lanczos3"
    LANCZOS5: Literal["lanczos5"] = "lanczos5"
    GAUSSIAN: Literal["gaussian"] = "gaussian"
    MITCHELLCUBIC: Literal["mitchellcubic"] = "mitchellcubic"


# ---- one axis -----------------------------------------------------------------------------------------------
def _step(n_in: int, n_out: int) -> np.float32:
    return _single(n_in) / _single(n_out)


def _centre(n_in: int, n_out: int) -> Singles:
    """Return where each output lies on the input axis, of which the first sample is 0."""
    centre: Singles = (np.arange(n_out, dtype=_single) + _single(0.5)) * _step(n_in, n_out) - _single(0.5)
    return centre


def _nearest(n_in: int, n_out: int) -> Index:
    position = np.floor((np.arange(n_out, dtype=_single) + _single(0.5)) * _step(n_in, n_out))
    index: Index = np.minimum(position.astype(np.int64), n_in - 1)
    return index


def _bilinear(n_in: int, n_out: int) -> Taps:
    centre = _centre(n_in, n_out)
    floor, ceil = np.floor(centre), np.ceil(centre)
    index = np.clip(np.stack([floor, ceil], axis=1).astype(np.int64), 0, n_in - 1)
    part = centre - floor
    return window_taps(index, np.stack([1 - part, part], axis=1), np.ones(index.shape, bool), n_in)


_TABLE = 1024


def _bicubic(n_in: int, n_out: int) -> Taps:
    centre = _centre(n_in, n_out)
    floor = np.floor(centre)
    position = np.rint((centre - floor) * _TABLE) / _TABLE
    index = floor.astype(np.int64)[:, None] + np.arange(-1, 3)
    used = (index >= 0) & (index < n_in)
    weight = keys_cubic(np.arange(-1.0, 3) - position[:, None], -0.5)
    total = np.where(used, weight, 0).sum(axis=1, keepdims=True)
    return window_taps(index, weight / total, used, n_in)


def _area(n_in: int, n_out: int) -> Taps:
    step = _step(n_in, n_out)
    low = (np.arange(n_out, dtype=_single) * step)[:, None]
    high = (np.arange(1, n_out + 1, dtype=_single) * step)[:, None]
    first, stop = np.floor(low).astype(np.int64), np.ceil(high).astype(np.int64)
    index = first + offsets((stop - first)[:, 0])
    after = index + 1 > high
    # A pixel that an output begins and ends in counts as the whole output, however little of it there is.
    begun = np.where(after, step, (index + 1 - low).astype(_single))
    weight = np.where(index < low, begun, np.where(after, (high - index).astype(_single), 1))
    # The sums are not divided by those of the weights, and what rounding puts beyond the last pixel goes to it.
    return window_taps(np.minimum(index, n_in - 1), weight / step, index < stop, n_in)


def _filtered(n_in: int, n_out: int, kernel: Filter, antialias: bool) -> Taps:
    step = 1 / (_single(n_out) / _single(n_in))
    position = (np.arange(n_out, dtype=_single) + _single(0.5)) * step
    return span_taps(position, 0.5, max(float(step), 1.0) if antialias else 1.0, kernel, n_in)


_KERNELS: dict[str, Callable[[int, int], Taps]] = {"bilinear": _bilinear, "bicubic": _bicubic, "area": _area}
"""Method -> the taps of one axis, in the kernels of old, which know no antialiasing."""

_FILTERS: dict[str, Filter] = {
    "bilinear": FILTERS["linear"],
    "bicubic": FILTERS["cubic"],
    "lanczos3": LANCZOS["lanczos3"],
    "lanczos5": LANCZOS["lanczos5"],
    "gaussian": FILTERS["gaussian"],
    "mitchellcubic": FILTERS["mitchell"],
}
"""Method -> its filter in TensorFlow's ScaleAndTranslate."""

_METHODS = ("bilinear", "lanczos3", "lanczos5", "bicubic", "gaussian", "nearest", "area", "mitchellcubic")


def _axis_taps(n_in: int, n_out: int, method: str, antialias: bool) -> Taps:
    check_table(n_out, 1)
    if method in _KERNELS and not (antialias and method in _FILTERS):
        return _KERNELS[method](n_in, n_out)
    return _filtered(n_in, n_out, _FILTERS[method], antialias)


# ---- plan ---------------------------------------------------------------------------------------------------
def _size(size: Any) -> tuple[int, int]:
    wrong = f"size must be two integers, (new_height, new_width); got {size!r}"
    if not isinstance(size, tuple) or len(size) != 2:
        raise ValueError(wrong)
    try:
        height, width = (as_integer("size", n) for n in size)
    except TypeError:
        raise ValueError(wrong) from None
    return height, width


def _fitting(size: tuple[int, int], n_in: tuple[int, int]) -> tuple[int, int]:
    """Return the largest size within `size` that keeps the aspect ratio; float32 as in TensorFlow."""
    scale = min(_single(new) / _single(old) for new, old in zip(size, n_in, strict=True))
    height, width = (int(np.rint(scale * _single(old))) for old in n_in)
    return height, width


def _plan_resize(
    shape: tuple[int, ...], dtype: str, size: Any, method: Any, preserve_aspect_ratio: Any, antialias: Any
) -> Plan:
    """Plan `resize`."""
    scalars(dtype)
    as_choice("method", method, _METHODS)
    if len(shape) not in (3, 4):
        raise ValueError(f"images must have 3 axes, (H, W, C), or 4, (N, H, W, C); got shape {shape}")
    if dtype == "bool" or dtype in PARTS:
        raise TypeError(f"images must be of real numbers; got {dtype}")
    rows, columns = len(shape) - 3, len(shape) - 2
    n_in = (shape[rows], shape[columns])
    n_out = _size(size)
    if min(n_in) < 1 or max(n_in) > LONGEST_AXIS:
        raise ValueError(f"height and width of images must lie between 1 and {LONGEST_AXIS}; got shape {shape}")
    if as_flag("preserve_aspect_ratio", preserve_aspect_ratio):
        n_out = _fitting(n_out, n_in)
    if not 1 <= min(n_out) <= max(n_out) <= LONGEST_AXIS:
        raise ValueError(f"size={size!r} gives {n_out} for images of {n_in}; both must be from 1 to {LONGEST_AXIS}")
    check_addressable(shape, dtype if method == "nearest" else "float32", {rows: n_out[0], columns: n_out[1]})
    axes, widened = {rows: (n_in[0], n_out[0]), columns: (n_in[1], n_out[1])}, as_flag("antialias", antialias)
    if method == "nearest":
        return plan_steps(shape, dtype, {axis: _nearest(*lengths) for axis, lengths in axes.items()})
    maps = {axis: once_per_axis(_axis_taps, *lengths, method, widened) for axis, lengths in axes.items()}
    return plan_floats(shape, dtype, "float32", maps)


_cached_resize = cached(_plan_resize)


# ---- tf.image -----------------------------------------------------------------------------------------------
def resize(
    images: Any,
    size: Shape,
    method: MethodName = ResizeMethod.BILINEAR,
    preserve_aspect_ratio: bool = False,
    antialias: bool = False,
    name: str | None = None,
    *,
    out: Any = None,
    backend: Backend | None = None,
) -> Any:
    """Resize images, as ``tf.image.resize`` of TensorFlow 2 does.

    Parameters
    ----------
    images : array, shape (N, H, W, C) or (H, W, C)
        Integers or real floating-point numbers.
    size : sequence of 2 int
        New height and width.
    method : str
        ``"bilinear"``, ``"lanczos3"``, ``"lanczos5"``, ``"bicubic"``, ``"gaussian"``, ``"nearest"``, ``"area"`` or
        ``"mitchellcubic"``, or a member of `ResizeMethod`.
    preserve_aspect_ratio : bool
        If True, the result is the largest within `size` that keeps the proportions of the image.
    antialias : bool
        If True, the filter is widened when shrinking. Ignored by ``"nearest"`` and ``"area"``.
    name : str, optional
        Accepted and ignored.
    out, backend
        As in `gpu_upsample.interpolate`.

    Returns
    -------
    array, shape (N, new_height, new_width, C) or (new_height, new_width, C)
        Same array type and device as `images`. The dtype is float32, or that of `images` with ``"nearest"``.

    Raises
    ------
    ValueError
        If the method is unknown, or a shape or size does not fit.
    TypeError
        If an array has an unsupported type or dtype, which bool and complex are, or an argument has a wrong type.
    BackendUnavailableError
        If the backend cannot run on this machine.

    Notes
    -----
    Without `antialias`, ``"bilinear"`` and ``"bicubic"`` (coefficient -0.5) have kernels of their own; with it, and
    for the other filters, TensorFlow calls ScaleAndTranslate. Except in the ``"bilinear"`` kernel, the weights of the
    samples inside are divided by their sum. ``"gaussian"`` and ``"mitchellcubic"`` also blur an axis that keeps its
    length.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([0, 100], np.uint8).reshape(1, 2, 1)
    >>> resize(x, (1, 4))[0, :, 0]
    array([  0.,  25.,  75., 100.], dtype=float32)
    >>> image.resize(x, (1, 4), image.ResizeMethod.NEAREST_NEIGHBOR)[0, :, 0]
    array([  0,   0, 100, 100], dtype=uint8)
    >>> resize(np.zeros((6, 9, 3)), (4, 4), preserve_aspect_ratio=True).shape
    (3, 4, 3)
    """
    arguments = (size, method, preserve_aspect_ratio, antialias)
    return apply(_cached_resize, arguments, {"images": images}, out, backend)


image = SimpleNamespace(resize=resize, ResizeMethod=ResizeMethod)
"""Stands for the module ``tf.image``."""
