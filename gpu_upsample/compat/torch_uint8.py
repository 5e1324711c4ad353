"""uint8 images as ``torch.nn.functional.interpolate`` resizes them on a CPU: in integers, rounded after each pass.

The numerics are those of torch 2.13 (``UpSampleKernel.cpp``) in modes ``"bilinear"``, ``"bicubic"``, ``"lanczos"``: the
horizontal pass comes first, a pass whose axis keeps its length is left out, and the weights of an axis are 16-bit
integers with as many fractional bits as its largest weight allows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gpu_upsample.call import apply
from gpu_upsample.compat.pillow_plan import KERNELS, widened_taps
from gpu_upsample.plan import resample, shapes
from gpu_upsample.plan.axes import once_per_axis
from gpu_upsample.plan.cache import cached
from gpu_upsample.plan.dtypes import FOREIGN
from gpu_upsample.plan.filters import FILTERS, Filter, named_filter
from gpu_upsample.plan.steps import Plan, Sums, plan_steps
from gpu_upsample.plan.taps import Taps
from gpu_upsample.typing import Array, Backend, DataFormat, Integers, Mode, Numbers

__all__ = ["interpolate"]

_KERNELS: dict[tuple[Any, bool], Filter] = {
    ("bilinear", False): FILTERS["linear"],
    ("bilinear", True): FILTERS["linear"],
    ("bicubic", False): named_filter("cubic", -0.75),
    ("bicubic", True): named_filter("cubic", -0.5),
    ("lanczos", True): Filter(3.0, lambda distance: KERNELS[1].function(np.abs(distance))),
}
"""Mode and antialiasing -> the filter, where torch has an arithmetic of its own for bytes."""

_STORAGE = FOREIGN["uint8 fixed"]


# ---- one axis -----------------------------------------------------------------------------------------------
def _whole(taps: Taps) -> Taps:
    """Return taps whose weights are whole numbers of 16 bits, shifted to the fraction of the storage.

    They get the most bits behind the point with which the largest weight does not reach 2**15; no more than 22.
    """
    bits, largest = 0, float(taps.weight.max())
    while bits < _STORAGE.fraction and int(0.5 + largest * 2.0 ** (bits + 1)) < 2**15:
        bits += 1
    scaled = taps.weight * 2.0**bits
    rounded = np.trunc(scaled + np.where(scaled < 0, -0.5, 0.5))
    return Taps(taps.n_in, taps.start, taps.count, rounded * 2.0 ** (_STORAGE.fraction - bits))


def _step(n_in: int, n_out: int, scale: float | None, align_corners: bool) -> float:
    if align_corners:
        return (n_in - 1) / (n_out - 1) if n_out > 1 else 0.0
    return n_in / n_out if scale is None else 1.0 / scale


def _plain(n_in: int, n_out: int, step: float, align_corners: bool, kernel: Filter) -> Taps:
    """Return the taps of a filter as wide as it is; what lies outside goes to the sample at the edge."""
    output = np.arange(n_out)
    position = (step * output if align_corners else step * (output + 0.5) - 0.5).astype(np.float64)
    # torch rounds down what it has first rounded to float32.
    below = np.minimum(np.floor(position.astype(np.float32)).astype(np.int64), n_in - 1)
    part = np.clip(position - below, 0.0, 1.0)
    half = int(kernel.support)
    start = np.maximum(below - half + 1, 0)
    weight = np.zeros((n_out, 2 * half))
    for k in range(1 - half, half + 1):
        place = np.clip(below + k, 0, n_in - 1) - start
        weight[output, place] += kernel.function(k - part)
    return _whole(Taps(n_in, start, np.minimum(below + half + 1, n_in) - start, weight))


def _widened(n_in: int, n_out: int, step: float, align_corners: bool, kernel: Filter) -> Taps:
    """Return the taps of a filter that is widened when shrinking; corners are not aligned."""
    return _whole(widened_taps(n_in, step * (np.arange(n_out) + 0.5), step, kernel))


# ---- plan ---------------------------------------------------------------------------------------------------
def plan_interpolate(
    shape: tuple[int, ...],
    dtype: str,
    size: Any,
    scale_factor: Any,
    mode: Any,
    align_corners: Any,
    recompute_scale_factor: Any,
    antialias: Any,
    data_format: Any,
) -> Plan:
    """Plan `interpolate` for bytes; the arguments are its own.

    Examples
    --------
    >>> plan = plan_interpolate((1, 1, 4, 4), "uint8", 3, None, "bilinear", None, None, True, "channels_first")
    >>> plan.outputs[0].shape, plan.steps[0].columns.weight[0] / 2**8
    ((1, 1, 3, 3), array([11469.,  4915.]))
    """
    if dtype != "uint8":
        raise TypeError(f"x must have dtype uint8, got {dtype}")
    given = (size, scale_factor, mode, align_corners, recompute_scale_factor, antialias, data_format)
    plan = resample.plan_interpolate(shape, dtype, *given)  # which checks them, too
    kernel = _KERNELS.get((mode, bool(antialias)))
    if kernel is None:
        return plan
    axes = range(len(shape))[shapes.SPATIAL[data_format]]
    n_in = tuple(shape[axis] for axis in axes)
    sizes, scales = shapes.output_sizes(n_in, size, scale_factor, "scale_factor")
    corners, taps, maps = bool(align_corners), _widened if antialias else _plain, {}
    for axis, n, m, scale in zip(axes, n_in, sizes, scales, strict=True):
        if n != m:
            step = _step(n, m, None if recompute_scale_factor else scale, corners)
            maps[axis] = once_per_axis(taps, n, m, step, corners, kernel)
    return plan_steps(shape, dtype, maps, sums=Sums(_STORAGE, _STORAGE, _STORAGE, exact=True))


_cached_interpolate = cached(plan_interpolate)


# ---- public -------------------------------------------------------------------------------------------------
def interpolate(
    x: Array,
    size: Integers | None = None,
    scale_factor: Numbers | None = None,
    mode: Mode = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
    *,
    data_format: DataFormat = "channels_first",
    out: Array | None = None,
    backend: Backend | None = None,
) -> Array:
    """Resize a batch of uint8 images, as ``torch.nn.functional.interpolate`` does on a CPU, bit for bit.

    Parameters
    ----------
    x : array, shape (N, C, H, W), or (N, H, W, C) with ``data_format="channels_last"``
        uint8.
    size, scale_factor, align_corners, recompute_scale_factor, antialias, data_format, out, backend
        As in `gpu_upsample.interpolate`.
    mode : str
        ``"bilinear"``, ``"bicubic"`` or, with `antialias`, ``"lanczos"`` follow torch's integer arithmetic. Other modes
        are those of `gpu_upsample.interpolate`; of these, torch accepts uint8 in the nearest modes only.

    Returns
    -------
    array
        uint8; same array type and device as `x`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `gpu_upsample.interpolate`; TypeError also if `x` is not uint8.

    Notes
    -----
    torch 2.13 gives these bits on every CPU capability (AVX-512, AVX2, and none) and in both memory formats. The one
    exception is a defect. For a contiguous NCHW tensor whose height changes and whose new width is 1, torch returns
    other values without AVX2 or with more than 4 channels, and may raise an internal error with 3 channels.

    The nearest modes round coordinates as torch's CUDA kernels do. Without a `scale_factor`, its CPU kernels do so for
    small results and for channels-last images of more than 3 channels; otherwise they sometimes choose a neighbouring
    sample. With a `scale_factor`, they copy every axis whose length does not change.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[[[0, 100]]]], np.uint8)
    >>> interpolate(x, (1, 4), mode="bilinear")[0, 0, 0], interpolate(x, (1, 4), mode="bicubic")[0, 0, 0]
    (array([  0,  25,  75, 100], dtype=uint8), array([  0,  23,  77, 111], dtype=uint8))
    """
    arguments = (size, scale_factor, mode, align_corners, recompute_scale_factor, antialias, data_format)
    result: Array = apply(_cached_interpolate, arguments, {"x": x}, out, backend)
    return result
