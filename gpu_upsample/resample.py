"""The public resampling operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gpu_upsample.call import apply
from gpu_upsample.plan.cache import cached

if TYPE_CHECKING:
    from gpu_upsample.plan.steps import Plan

Numbers = float | Sequence[float]
Integers = int | Sequence[int]


@cached
def _plan_interpolate(*call: Any) -> Plan:
    from gpu_upsample.plan.resample import plan_interpolate

    return plan_interpolate(*call)


@cached
def _plan_resize(*call: Any) -> Plan:
    from gpu_upsample.plan.resample import plan_resize

    return plan_resize(*call)


def interpolate(
    x: Any,
    size: Integers | None = None,
    scale_factor: Numbers | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
    *,
    data_format: str = "channels_first",
    out: Any = None,
    backend: str | None = None,
) -> Any:
    """Resize the spatial axes of a batch, as ``torch.nn.functional.interpolate`` does.

    Parameters
    ----------
    x : array, shape (N, C, L), (N, C, H, W) or (N, C, D, H, W)
        The batch; with ``data_format="channels_last"`` its channels are the last axis. Any real, complex or bool
        dtype. Sums are formed in float32 (float64 for 32- and 64-bit integers, float64 and complex128), and
        integers are rounded to nearest, ties to even, and saturated. Nearest modes copy bits.
    size : int or sequence of int, optional
        Output size of the spatial axes, in samples.
    scale_factor : float or sequence of float, optional
        Output size by a factor, ``floor(in * scale_factor)``. Exactly one of `size` and `scale_factor` is given.
    mode : str
        ``"nearest"``, ``"nearest-exact"``, ``"area"`` and ``"lanczos"`` for 1 to 3 spatial axes; ``"linear"`` and
        ``"cubic"`` for 1, ``"bilinear"`` and ``"bicubic"`` for 2, ``"trilinear"`` and ``"tricubic"`` for 3.
    align_corners : bool, optional
        Whether the centres of the corner samples stay in place (linear, cubic and lanczos modes).
    recompute_scale_factor : bool, optional
        Whether coordinates follow the rounded output size instead of `scale_factor` as given.
    antialias : bool
        Whether the filter is widened when shrinking (linear, cubic and lanczos modes).
    data_format : {"channels_first", "channels_last"}
        Where the channels are.
    out : array, optional
        Where the result goes: of the kind and dtype of `x` and the right shape, not overlapping `x`.
    backend : {"auto", "cpu", "cuda"}, optional
        By default the data decides: device arrays on ``"cuda"``, host arrays on ``"cpu"``.

    Returns
    -------
    array
        Of the kind, dtype and place of `x`.

    Raises
    ------
    ValueError
        For a bad value: the message names the argument, what it was and what is accepted.
    TypeError
        For a bad kind of array or dtype.
    BackendUnavailableError
        If the backend cannot run here.

    Notes
    -----
    Conventions are PyTorch 2.13's: half-pixel centres; cubic coefficient -0.75, but -0.5 with `antialias`;
    ``"area"`` is adaptive average pooling. Nearest coordinates are computed in float32, as torch's CUDA kernels
    do for every dtype. ``"cubic"``, ``"tricubic"``, ``"lanczos"`` (three lobes), and antialiasing in 1 and 3
    dimensions go beyond torch.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> interpolate(x, scale_factor=2)[0, 0]
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.],
           [3., 3., 4., 4.],
           [3., 3., 4., 4.]])
    >>> interpolate(x, scale_factor=2, mode="bilinear")[0, 0, 0]
    array([1.  , 1.25, 1.75, 2.  ])
    >>> interpolate(x, size=(3, 5), mode="bilinear", align_corners=True)[0, 0]
    array([[1.  , 1.25, 1.5 , 1.75, 2.  ],
           [2.  , 2.25, 2.5 , 2.75, 3.  ],
           [3.  , 3.25, 3.5 , 3.75, 4.  ]])
    """
    arguments = (size, scale_factor, mode, align_corners, recompute_scale_factor, antialias, data_format)
    return apply(_plan_interpolate, arguments, {"x": x}, out, backend)


def resize(
    x: Any,
    size: Integers | None = None,
    scale: Numbers | None = None,
    *,
    axes: Integers | None = None,
    method: str | Sequence[str] = "linear",
    antialias: bool = False,
    coordinates: str = "half_pixel",
    nearest_rounding: str = "round_prefer_floor",
    cubic_coeff: float = -0.5,
    border: str = "clamp",
    fill_value: float = 0,
    box: Sequence[tuple[float, float]] | None = None,
    out: Any = None,
    backend: str | None = None,
) -> Any:
    """Resize any axes of an array of any rank.

    Parameters
    ----------
    x : array
        Any shape; dtypes and sums as in `interpolate`.
    size : int or sequence of int, optional
        Output size of the resized axes, in samples.
    scale : float or sequence of float, optional
        Output size by a factor, ``floor(in * scale)``; the factor also fixes the coordinates. Exactly one of
        `size` and `scale` is given.
    axes : int or sequence of int, optional
        The resized axes. By default the leading ones that `size` or `scale` speaks of, if at most one axis is left
        over (an image, an image with channels, a volume).
    method : str or sequence of str
        ``"nearest"``, ``"linear"``, ``"cubic"``, ``"lanczos2"`` to ``"lanczos5"``, ``"box"``, ``"hamming"``,
        ``"mitchell"``, ``"gaussian"`` or ``"area"``; one for all axes or one per axis.
    antialias : bool
        Whether the filter is widened by the factor of reduction where an axis shrinks.
    coordinates : str
        ``"half_pixel"``, ``"half_pixel_symmetric"``, ``"pytorch_half_pixel"``, ``"align_corners"`` or
        ``"asymmetric"``, as in ONNX Resize; ``"half_pixel_corners"`` is torch's rule for an antialiased filter
        with aligned corners.
    nearest_rounding : {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"}
        How a coordinate becomes an index (method ``"nearest"``).
    cubic_coeff : float
        Free coefficient of the cubic filter: -0.5 (Pillow, TensorFlow) or -0.75 (torch, OpenCV).
    border : {"clamp", "renormalize", "constant", "extrapolate"}
        What lies beyond the array: the nearest sample; nothing, the weights inside being scaled to 1; `fill_value`;
        or the straight line through the last two samples.
    fill_value : float
        The constant of ``border="constant"``.
    box : sequence of (float, float), optional
        The part of the input that is resized: a (start, stop) pair per resized axis, in pixel edges.
    out, backend
        As in `interpolate`.

    Returns
    -------
    array
        Of the kind, dtype and place of `x`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `interpolate`.

    Examples
    --------
    >>> import numpy as np
    >>> resize(np.array([0, 100], np.uint8), 4)
    array([  0,  25,  75, 100], dtype=uint8)
    >>> resize(np.eye(4), (2, 2), antialias=True, border="renormalize").round(3)
    array([[0.388, 0.122],
           [0.122, 0.388]])
    >>> resize(np.array([1.0, 2.0]), 4, border="extrapolate")
    array([0.75, 1.25, 1.75, 2.25])
    """
    arguments = (
        fill_value, border, size, scale, axes, method, antialias, coordinates, nearest_rounding, cubic_coeff, box,
    )  # fmt: skip
    return apply(_plan_resize, arguments, {"x": x}, out, backend)
