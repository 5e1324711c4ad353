"""Transposed convolution: learned upsampling."""

from __future__ import annotations

from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gpu_upsample.call import apply
from gpu_upsample.plan.cache import cached, plain
from gpu_upsample.plan.conv_transpose import plan_conv_transpose
from gpu_upsample.plan.dtypes import as_floating
from gpu_upsample.plan.shapes import as_integer, check_addressable
from gpu_upsample.plan.windows import integers
from gpu_upsample.typing import Array, Backend, DataFormat, Integers, Precision

_plan = cached(plan_conv_transpose, inputs=3)


def _conv_transpose(
    x: Array, weight: Any, bias: Any, arguments: tuple[Any, ...], out: Array | None, backend: Backend | None
) -> Array:
    """Run a transposed convolution; `arguments` are those of its plan."""
    inputs = {"x": x, "weight": weight} | ({} if bias is None else {"bias": bias})
    result: Array = apply(_plan, arguments, inputs, out, backend)
    return result


def conv_transpose1d(
    x: Array,
    weight: Any,
    bias: Any = None,
    stride: Integers = 1,
    padding: Integers = 0,
    output_padding: Integers = 0,
    groups: SupportsIndex = 1,
    dilation: Integers = 1,
    *,
    data_format: DataFormat = "channels_first",
    precision: Precision = "float32",
    deterministic: bool = False,
    out: Array | None = None,
    backend: Backend | None = None,
) -> Array:
    """Compute a transposed convolution in 1-D: spread every input sample over the output with a learned kernel.

    Arguments, results and errors are those of `conv_transpose2d`, with `x` of shape (N, C_in, L) or (C_in, L),
    and `weight` of shape (C_in, C_out / groups, k).

    Examples
    --------
    >>> import numpy as np
    >>> conv_transpose1d(np.array([[1.0, 2.0]]), np.ones((1, 1, 3)), stride=2)
    array([[1., 1., 3., 2., 2.]])
    """
    arguments = (1, stride, padding, output_padding, groups, dilation, data_format, precision, deterministic)
    return _conv_transpose(x, weight, bias, arguments, out, backend)


def conv_transpose2d(
    x: Array,
    weight: Any,
    bias: Any = None,
    stride: Integers = 1,
    padding: Integers = 0,
    output_padding: Integers = 0,
    groups: SupportsIndex = 1,
    dilation: Integers = 1,
    *,
    data_format: DataFormat = "channels_first",
    precision: Precision = "float32",
    deterministic: bool = False,
    out: Array | None = None,
    backend: Backend | None = None,
) -> Array:
    """Compute a transposed convolution in 2-D: spread every input pixel over the output with a learned kernel.

    Parameters
    ----------
    x : array, shape (N, C_in, H, W) or (C_in, H, W)
        The input. With ``data_format="channels_last"``, the channels are its last axis. float16, bfloat16, float32,
        float64 or complex.
    weight : array, shape (C_in, C_out / groups, kH, kW)
        The kernels, in torch's layout whatever the data format, with the array type and dtype of `x`.
    bias : array, shape (C_out,), optional
        Added to every output of a channel; array type and dtype as `x`.
    stride : int or sequence of int
        Distance between the outputs of neighbouring inputs, for all axes or per axis.
    padding : int or sequence of int
        Number of samples removed from each end of the output.
    output_padding : int or sequence of int
        Number of samples added at the end of the output, less than `stride` or `dilation`.
    groups : int
        Number of groups into which the channels are divided; channels of different groups do not mix.
    dilation : int or sequence of int
        Distance between the taps of a kernel.
    data_format : {"channels_first", "channels_last"}
        Where the channel axis of input and output is.
    precision : {"float32", "tf32"}
        Whether cuBLAS may round the factors of float32 products to TF32.
    deterministic : bool
        Form every sum in one fixed order, so that both backends give the same bits. The CPU always does, and so do
        short sums (few channels, depthwise) on a GPU; on a GPU, long sums otherwise use cuBLAS, whose summation order
        is unspecified.
    out : array, optional
        Array for the result, with the type and dtype of `x` and the result's shape; must not overlap an input.
    backend : {"auto", "cpu", "cuda"}, optional
        As in `interpolate`.

    Returns
    -------
    array, shape (N, C_out, H_out, W_out) or (C_out, H_out, W_out)
        Same array type, dtype and device as `x`. The length of a spatial axis is ``(in - 1) * stride - 2 * padding +
        dilation * (kernel - 1) + output_padding + 1``.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `interpolate`.

    Notes
    -----
    float16 and bfloat16 accumulate in float32. The conventions are those of PyTorch 2.13.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    >>> conv_transpose2d(x, np.ones((1, 1, 2, 2)), stride=2)
    array([[[1., 1., 2., 2.],
            [1., 1., 2., 2.],
            [3., 3., 4., 4.],
            [3., 3., 4., 4.]]])
    """
    arguments = (2, stride, padding, output_padding, groups, dilation, data_format, precision, deterministic)
    return _conv_transpose(x, weight, bias, arguments, out, backend)


def conv_transpose3d(
    x: Array,
    weight: Any,
    bias: Any = None,
    stride: Integers = 1,
    padding: Integers = 0,
    output_padding: Integers = 0,
    groups: SupportsIndex = 1,
    dilation: Integers = 1,
    *,
    data_format: DataFormat = "channels_first",
    precision: Precision = "float32",
    deterministic: bool = False,
    out: Array | None = None,
    backend: Backend | None = None,
) -> Array:
    """Compute a transposed convolution in 3-D: spread every input voxel over the output with a learned kernel.

    Arguments, results and errors are those of `conv_transpose2d`, with `x` of shape (N, C_in, D, H, W) or
    (C_in, D, H, W), and `weight` of shape (C_in, C_out / groups, kD, kH, kW).

    Examples
    --------
    >>> import numpy as np
    >>> conv_transpose3d(np.ones((1, 1, 4, 4, 4)), np.ones((1, 8, 2, 2, 2)), stride=2).shape
    (1, 8, 8, 8, 8)
    """
    arguments = (3, stride, padding, output_padding, groups, dilation, data_format, precision, deterministic)
    return _conv_transpose(x, weight, bias, arguments, out, backend)


def bilinear_weight(channels: SupportsIndex, scale: Integers, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Return weights that make a depthwise transposed convolution interpolate linearly.

    Use them with ``stride=scale, padding=(kernel - scale + 1) // 2, groups=channels``. For an even scale, the kernel
    has ``2 * scale`` taps and the padding is ``scale // 2``.

    Parameters
    ----------
    channels : int
        Number of channels.
    scale : int or sequence of int
        Enlargement per spatial axis. A single integer means two axes.
    dtype : dtype
        The dtype of the weights.

    Returns
    -------
    ndarray, shape (channels, 1, kernel...)
        The kernel of every channel, with ``2 * scale - scale % 2`` taps per axis.

    Raises
    ------
    ValueError
        If `channels` or a scale is less than 1 or too large, or there are not one to three scales.
    TypeError
        If `channels` or a scale is not an integer, or `dtype` not a floating-point or complex one.

    Notes
    -----
    This is the initialisation of Long, Shelhamer and Darrell, "Fully convolutional networks for semantic
    segmentation", CVPR 2015. Away from the border, the result equals that of ``interpolate(mode="bilinear")`` up
    to rounding.

    Examples
    --------
    >>> bilinear_weight(1, 2)[0, 0]
    array([[0.0625, 0.1875, 0.1875, 0.0625],
           [0.1875, 0.5625, 0.5625, 0.1875],
           [0.1875, 0.5625, 0.5625, 0.1875],
           [0.0625, 0.1875, 0.1875, 0.0625]], dtype=float32)
    """
    kind = as_floating("dtype", dtype)
    n_channels, given = as_integer("channels", channels), plain(scale)
    if n_channels < 1:
        raise ValueError(f"channels must be positive, got {channels!r}")
    scales = integers("scale", given, len(given) if isinstance(given, tuple) else 2, least=1)
    if not 1 <= len(scales) <= 3:
        raise ValueError(f"scale must have one to three entries, one per spatial axis; got {scale!r}")
    sizes = tuple(2 * s - s % 2 for s in scales)
    check_addressable((n_channels, 1, *sizes), str(kind))
    kernel = np.ones(())
    for s, size in zip(scales, sizes, strict=True):
        axis = 1 - np.abs(np.arange(size) - (size - 1) / 2) / s
        kernel = kernel[..., None] * axis
    return np.broadcast_to(kernel, (n_channels, 1, *kernel.shape)).astype(kind)
