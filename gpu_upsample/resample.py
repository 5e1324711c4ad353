"""The public resampling operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, SupportsFloat

from gpu_upsample.call import apply
from gpu_upsample.plan.cache import cached
from gpu_upsample.typing import (
    Array,
    Backend,
    Border,
    Box,
    Coordinates,
    DataFormat,
    Integers,
    Method,
    Mode,
    Numbers,
    Rounding,
)

if TYPE_CHECKING:
    from gpu_upsample.plan.steps import Plan


@cached
def _plan_interpolate(*call: Any) -> Plan:
    from gpu_upsample.plan.resample import plan_interpolate

    return plan_interpolate(*call)


@cached
def _plan_resize(*call: Any) -> Plan:
    from gpu_upsample.plan.resample import plan_resize

    return plan_resize(*call)


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
    """Resize the spatial axes of a batch, as ``torch.nn.functional.interpolate`` does.

    Parameters
    ----------
    x : array, shape (N, C, L), (N, C, H, W) or (N, C, D, H, W)
        The batch. With ``data_format="channels_last"``, the channels are its last axis. Any real, complex or bool
        dtype. Sums are accumulated in float32, or in float64 for 32- and 64-bit integers, float64 and complex128.
        Results of integer dtypes are rounded to nearest, ties to even, and saturate. Nearest modes copy bits.
    size : int or sequence of int, optional
        Output size of the spatial axes, in samples.
    scale_factor : float or sequence of float, optional
        Output size as a multiple of the input size, ``floor(in * scale_factor)``. Give either `size` or
        `scale_factor`.
    mode : str
        ``"nearest"``, ``"nearest-exact"``, ``"area"`` and ``"lanczos"`` for 1 to 3 spatial axes; ``"linear"`` and
        ``"cubic"`` for 1, ``"bilinear"`` and ``"bicubic"`` for 2, ``"trilinear"`` and ``"tricubic"`` for 3.
    align_corners : bool, optional
        If True, the centres of the corner samples of input and output coincide. For linear, cubic and Lanczos modes.
    recompute_scale_factor : bool, optional
        If True, coordinates follow from the rounded output size instead of from `scale_factor` as given.
    antialias : bool
        If True, the filter is widened where an axis shrinks. For linear, cubic and Lanczos modes.
    data_format : {"channels_first", "channels_last"}
        Where the channel axis is.
    out : array, optional
        Array for the result, with the type and dtype of `x` and the result's shape; must not overlap `x`.
    backend : {"auto", "cpu", "cuda"}, optional
        Where to compute. By default device arrays are processed by ``"cuda"`` and host arrays by ``"cpu"``.

    Returns
    -------
    array
        Same array type, dtype and device as `x`.

    Raises
    ------
    ValueError
        If an argument has an invalid value. The message names the argument, its value and what is accepted.
    TypeError
        If an array has an unsupported type or dtype, or an argument has a wrong type.
    BackendUnavailableError
        If the backend cannot run on this machine.

    Notes
    -----
    The conventions are those of PyTorch 2.13: pixel centres lie at half-integers; the cubic coefficient is -0.75, or
    -0.5 with `antialias`; ``"area"`` is adaptive average pooling. Nearest coordinates are computed in float32, as
    torch's CUDA kernels do for every dtype. ``"lanczos"`` has three lobes. Beyond PyTorch, there are ``"cubic"`` and
    ``"tricubic"``, antialiasing along 1 or 3 axes, and ``"lanczos"`` along 1 or 3 axes, with aligned corners, and
    without antialiasing. On a CPU, PyTorch ignores a `scale_factor` along axes whose length it does not change, in
    nearest, linear and antialiased modes; here every factor counts.

    A NaN or an infinity reaches those outputs alone in whose windows it lies; along an axis whose samples stay what
    they are, its own alone, also where PyTorch multiplies it by 0 for its neighbours. A scale factor that leaves no
    sample is an error, while PyTorch's ``"area"`` returns an empty array.

    uint8 is rounded as other integers are. PyTorch's CPU kernels use an integer arithmetic of their own in bilinear,
    bicubic and Lanczos modes: for their bits, call `gpu_upsample.compat.torch_uint8.interpolate`, or
    `gpu_upsample.compat.torch` for tensors.

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
    result: Array = apply(_plan_interpolate, arguments, {"x": x}, out, backend)
    return result


def resize(
    x: Array,
    size: Integers | None = None,
    scale: Numbers | None = None,
    *,
    axes: Integers | None = None,
    method: Method | Sequence[Method] = "linear",
    antialias: bool = False,
    coordinates: Coordinates = "half_pixel",
    nearest_rounding: Rounding = "round_prefer_floor",
    cubic_coeff: SupportsFloat = -0.5,
    border: Border | Sequence[Border] = "clamp",
    fill_value: SupportsFloat = 0,
    box: Box | None = None,
    out: Array | None = None,
    backend: Backend | None = None,
) -> Array:
    """Resize any axes of an array of any rank.

    Parameters
    ----------
    x : array
        Any shape; dtypes, sums and rounding as in `interpolate`.
    size : int or sequence of int, optional
        Output size of the resized axes, in samples.
    scale : float or sequence of float, optional
        Output size as a multiple of the input size, ``floor(in * scale)``, where the product is one of floats, as in
        torch: 100 samples by 0.57 are 56, since the product is just below 57. It also determines the coordinates,
        unless corners are aligned. Give either `size` or `scale`.
    axes : int or sequence of int, optional
        The axes to resize. Default: the first ``len(size)`` axes, if at most one axis remains (an image, an image with
        channels, a volume); `scale` likewise. If `size` is one number, the only axis; if `scale` is, all axes of an
        array with one or two.
    method : str or sequence of str
        ``"nearest"``, ``"linear"``, ``"cubic"``, ``"lanczos2"`` to ``"lanczos5"``, ``"spline2"`` to ``"spline5"``,
        ``"box"``, ``"hamming"``, ``"mitchell"``, ``"gaussian"`` or ``"area"``; one for all axes or one per axis.
    antialias : bool
        If True, the filter is widened where an axis shrinks, in proportion to the reduction. ``"area"`` always covers
        what an output covers, and ignores it; with ``"nearest"``, it is an error.
    coordinates : str
        ``"half_pixel"``, ``"half_pixel_symmetric"``, ``"pytorch_half_pixel"``, ``"align_corners"`` or
        ``"asymmetric"``, as in ONNX Resize; ``"half_pixel_corners"`` is torch's rule for an antialiased filter
        with aligned corners. Method ``"area"`` takes ``"half_pixel"`` only.
    nearest_rounding : {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"}
        How a coordinate becomes an index, with method ``"nearest"``; other methods ignore it.
    cubic_coeff : float
        Coefficient of the cubic filter: -0.5 (Pillow, TensorFlow) or -0.75 (torch, OpenCV). Methods other than
        ``"cubic"`` ignore it.
    border : str or sequence of str
        What lies beyond the array; one for all axes or one per axis. The nearest sample (``"clamp"``); the array's
        mirror image, with the last sample repeated (``"symmetric"``, as MATLAB's ``imresize`` does) or not
        (``"reflect"``), or the array once more, as around a panorama (``"wrap"``), as `numpy.pad` calls them; nothing,
        with the weights inside scaled to a sum of 1 (``"renormalize"``); `fill_value` (``"constant"``); or the straight
        line through the last two samples (``"extrapolate"``). ``"reflect"``, ``"extrapolate"``, and ``"symmetric"``
        with a `box` that reaches outside, may count samples beside the border with a weight of 0: an infinity among
        them gives NaN. With ``"wrap"``, and mirrored where a window lies outside, samples are copied to their places
        first. Method ``"nearest"`` takes the nearest sample with ``"renormalize"`` and ``"extrapolate"``, too.
    fill_value : float, optional
        The constant of ``border="constant"``; other borders ignore it. With every border, it must be one of the
        integers that an integer dtype holds, and 0 for complex dtypes. Beyond the range of others, it is infinite.
    box : sequence of (float, float), optional
        The part of the input to resize: a (start, stop) pair per resized axis, measured between pixel edges. With
        aligned corners, it must span at least one pixel.
    out, backend
        As in `interpolate`.

    Returns
    -------
    array
        Same array type, dtype and device as `x`.

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
    >>> resize(np.array([1, 2, 3]), 7, border="reflect", box=[(-2, 5)])
    array([3, 2, 1, 2, 3, 2, 1])
    >>> panorama = np.array([[0.0, 60.0, 120.0]])
    >>> resize(panorama, (1, 6), border=("clamp", "wrap"))
    array([[ 30.,  15.,  45.,  75., 105.,  90.]])
    """
    arguments = (
        fill_value, border, size, scale, axes, method, antialias, coordinates, nearest_rounding, cubic_coeff, box,
    )  # fmt: skip
    result: Array = apply(_plan_resize, arguments, {"x": x}, out, backend)
    return result
