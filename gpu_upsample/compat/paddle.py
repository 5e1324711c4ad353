"""Paddle's interpolation: ``from gpu_upsample.compat import paddle; paddle.nn.functional.interpolate(...)``.

The numerics are those of the CPU kernels of PaddlePaddle 3.3.1, which compute coordinates in float32. (Where their
compiler fused two operations, they round a coordinate once instead of twice; this last digit is not reproduced.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_upsample.call import apply
from gpu_upsample.plan.axes import once_per_axis
from gpu_upsample.plan.cache import cached
from gpu_upsample.plan.dtypes import scalars
from gpu_upsample.plan.filters import keys_cubic
from gpu_upsample.plan.shapes import as_choice, as_flag, as_integer, check_addressable, nearest_names, output_sizes
from gpu_upsample.plan.steps import Index, Plan, plan_steps
from gpu_upsample.plan.taps import Taps, check_table, pooling_taps, window_taps
from gpu_upsample.typing import Array, Backend, Integers, Numbers

__all__ = ["Upsample", "interpolate", "nn"]

_single = np.float32


# ---- one axis -----------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Axis:
    """How one axis is resized; `scale` is None where the sizes decide."""

    n_in: int
    n_out: int
    scale: float | None
    align_corners: bool
    align_mode: int
    rank: int

    @property
    def step(self) -> np.float32:
        """Input samples per output sample."""
        if self.align_corners:
            return _single(self.n_in - 1) / _single(self.n_out - 1) if self.n_out > 1 else _single(0)
        if self.n_out == 1 and self.rank == 2:  # the kernels for images leave it at that
            return _single(0)
        if self.scale is not None:
            return _single(1 / self.scale)
        return _single(self.n_in) / _single(self.n_out)

    def coordinates(self, shifted: bool) -> NDArray[np.float32]:
        """Return where each output lies, centres on centres where they are `shifted`, else corner on corner."""
        o, half = np.arange(self.n_out, dtype=_single), _single(0.5)
        position: NDArray[np.float32] = (o + half) * self.step - half if shifted else o * self.step
        return position


def _nearest(axis: _Axis) -> Index:
    index: Index = np.floor(axis.coordinates(shifted=False)).astype(np.int64)
    return np.minimum(index, axis.n_in - 1)


def _linear(axis: _Axis) -> Taps:
    check_table(axis.n_out, 1)
    shifted = axis.align_mode == 0 and not axis.align_corners
    position = np.clip(axis.coordinates(shifted), 0, None)
    index = np.minimum(np.floor(position).astype(np.int64), axis.n_in - 1)
    part = position - index
    both = np.minimum(np.stack([index, index + 1], axis=1), axis.n_in - 1)
    return window_taps(both, np.stack([1 - part, part], axis=1), np.ones(both.shape, bool), axis.n_in)


def _cubic(axis: _Axis) -> Taps:
    check_table(axis.n_out, 1)
    position = axis.coordinates(shifted=not axis.align_corners)
    index = np.floor(position)[:, None] + np.arange(-1.0, 3)
    weight = keys_cubic(index - position[:, None], -0.75)
    inside = np.clip(index.astype(np.int64), 0, axis.n_in - 1)
    return window_taps(inside, weight, np.ones(index.shape, bool), axis.n_in)


@dataclass(frozen=True)
class _Mode:
    """One mode: the ranks that it works in, and the map of one axis."""

    ranks: tuple[int, ...]
    map: Callable[[_Axis], Taps | Index]


_MODES: dict[str, _Mode] = {
    "nearest": _Mode((2, 3), _nearest),
    "linear": _Mode((1,), _linear),
    "bilinear": _Mode((2,), _linear),
    "trilinear": _Mode((3,), _linear),
    "bicubic": _Mode((2,), _cubic),
    "area": _Mode((1, 2, 3), lambda axis: pooling_taps(axis.n_in, axis.n_out)),
}

_FORMATS: dict[str, tuple[int, ...]] = {
    "NCW": (2,),
    "NWC": (1,),
    "NCHW": (2, 3),
    "NHWC": (1, 2),
    "NCDHW": (2, 3, 4),
    "NDHWC": (1, 2, 3),
}
"""Data format -> spatial axes."""


# ---- plan ---------------------------------------------------------------------------------------------------
def _spatial_axes(shape: tuple[int, ...], data_format: Any) -> tuple[int, ...]:
    """Return the spatial axes of `x`."""
    fitting = [name for name in _FORMATS if len(name) == len(shape)]
    if not fitting:
        raise ValueError(f"x must have 3, 4 or 5 axes; got shape {shape}")
    return _FORMATS[as_choice("data_format", fitting[0] if data_format is None else data_format, fitting, str.upper)]


def _plan_interpolate(
    shape: tuple[int, ...],
    dtype: str,
    size: Any,
    scale_factor: Any,
    mode: Any,
    align_corners: Any,
    align_mode: Any,
    data_format: Any,
    recompute_scale_factor: Any,
) -> Plan:
    """Plan `interpolate`; the arguments are its own."""
    scalars(dtype)
    axes = _spatial_axes(shape, data_format)
    mode = as_choice("mode", mode, _MODES, str.lower)
    if len(axes) not in _MODES[mode].ranks:
        fitting = [name for name, other in _MODES.items() if len(axes) in other.ranks]
        listed, nearest = ", ".join(map(repr, fitting)), nearest_names(mode, fitting)
        raise ValueError(f"mode must be one of {listed} for x of shape {shape}; got {mode!r}{nearest}")
    if as_flag("align_corners", align_corners) and mode == "nearest":
        raise ValueError("align_corners=True has no meaning for mode 'nearest'")
    if as_integer("align_mode", align_mode) not in (0, 1):
        raise ValueError(f"align_mode must be 0 or 1, got {align_mode!r}")
    if mode == "area" and size is None:
        raise ValueError("mode 'area' needs size, not scale_factor")
    recomputed = recompute_scale_factor is not None and as_flag("recompute_scale_factor", recompute_scale_factor)
    if recomputed and size is not None:
        raise ValueError("recompute_scale_factor=True needs scale_factor, not size")
    n_in = tuple(shape[axis] for axis in axes)
    sizes, scales = output_sizes(n_in, size, scale_factor, "scale_factor")
    check_addressable(shape, dtype, dict(zip(axes, sizes, strict=True)))
    if recomputed:
        scales = (None,) * len(axes)
    maps = {
        axis: once_per_axis(_MODES[mode].map, _Axis(n, m, scale, align_corners, align_mode, len(axes)))
        for axis, n, m, scale in zip(axes, n_in, sizes, scales, strict=True)
    }
    return plan_steps(shape, dtype, maps)


_cached_interpolate = cached(_plan_interpolate)


# ---- paddle.nn.functional, paddle.nn ------------------------------------------------------------------------
def interpolate(
    x: Array,
    size: Integers | None = None,
    scale_factor: Numbers | None = None,
    mode: str = "nearest",
    align_corners: bool = False,
    align_mode: int = 0,
    data_format: str | None = None,
    recompute_scale_factor: bool | None = None,
    name: str | None = None,
    *,
    out: Array | None = None,
    backend: Backend | None = None,
) -> Array:
    """Resize the spatial axes of a batch, as ``paddle.nn.functional.interpolate`` does.

    Parameters
    ----------
    x : array, shape (N, C, L), (N, C, H, W) or (N, C, D, H, W)
        The batch, or one in another `data_format`. Dtypes and sums as in `gpu_upsample.interpolate`; Paddle has fewer
        dtypes.
    size : int or sequence of int, optional
        Output size of the spatial axes.
    scale_factor : float or sequence of float, optional
        Output size as a multiple of the input size. It also determines the coordinates. Give either `size` or
        `scale_factor`.
    mode : str
        ``"nearest"`` (2 and 3 spatial axes), ``"linear"``, ``"bilinear"``, ``"trilinear"``, ``"bicubic"``
        (coefficient -0.75) or ``"area"`` (adaptive average pooling; needs `size`).
    align_corners : bool
        If True, the centres of the corner samples of input and output coincide.
    align_mode : {0, 1}
        Linear coordinates are ``(o + 0.5) / scale - 0.5`` with 0, and ``o / scale`` with 1. Ignored with
        `align_corners`.
    data_format : {"NCW", "NWC", "NCHW", "NHWC", "NCDHW", "NDHWC"}, optional
        The order of the axes. By default the channels are the second axis. ``"area"`` follows it too, while Paddle
        always pools the last axes.
    recompute_scale_factor : bool, optional
        If True, coordinates follow from the rounded output size instead of from `scale_factor` as given.
    name : str, optional
        Accepted and ignored.
    out, backend
        As in `gpu_upsample.interpolate`.

    Returns
    -------
    array
        Same array type, dtype and device as `x`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `gpu_upsample.interpolate`.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[[1.0, 2.0]]])
    >>> interpolate(x, size=[4], mode="linear")
    array([[[1.  , 1.25, 1.75, 2.  ]]])
    >>> interpolate(x, scale_factor=2, mode="linear", align_mode=1)
    array([[[1. , 1.5, 2. , 2. ]]])
    """
    arguments = (size, scale_factor, mode, align_corners, align_mode, data_format, recompute_scale_factor)
    result: Array = apply(_cached_interpolate, arguments, {"x": x}, out, backend)
    return result


@dataclass(frozen=True, repr=False)
class Upsample:
    """Resize the spatial axes of a batch.

    Parameters
    ----------
    size, scale_factor, mode, align_corners, align_mode, data_format, recompute_scale_factor, name
        As in `interpolate`. They are checked when the layer is called.

    Examples
    --------
    >>> layer = Upsample(scale_factor=2, mode="bilinear")
    >>> layer
    Upsample(scale_factor=2, mode=bilinear, align_corners=False, align_mode=0, data_format=None)
    >>> layer(np.zeros((1, 3, 4, 5))).shape
    (1, 3, 8, 10)
    """

    size: Integers | None = None
    scale_factor: Numbers | None = None
    mode: str = "nearest"
    align_corners: bool = False
    align_mode: int = 0
    data_format: str | None = None
    recompute_scale_factor: bool | None = None
    name: str | None = None

    def __call__(self, x: Array, *, out: Array | None = None, backend: Backend | None = None) -> Array:
        """Resize the spatial axes of `x`."""
        return interpolate(
            x,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            self.align_mode,
            self.data_format,
            self.recompute_scale_factor,
            out=out,
            backend=backend,
        )

    def __repr__(self) -> str:
        given = f"size={self.size}" if self.scale_factor is None else f"scale_factor={self.scale_factor}"
        named = f", name={self.name}" if self.name else ""
        return (
            f"{type(self).__name__}({given}, mode={self.mode}, align_corners={self.align_corners}, "
            f"align_mode={self.align_mode}, data_format={self.data_format}{named})"
        )


nn = SimpleNamespace(Upsample=Upsample, functional=SimpleNamespace(interpolate=interpolate))
"""Stands for the module ``paddle.nn``."""
