"""Transposed convolution: learned upsampling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpu_upsample.call import apply
from gpu_upsample.plan.cache import cached
from gpu_upsample.plan.conv_transpose import plan_conv_transpose
from gpu_upsample.plan.shapes import as_integer
from gpu_upsample.plan.windows import integers

Integers = int | Sequence[int]

_plan = cached(plan_conv_transpose, inputs=3)


def _conv_transpose(x: Any, weight: Any, bias: Any, arguments: tuple[Any, ...], out: Any, backend: str | None) -> Any:
    """Run a transposed convolution; `arguments` are those of its plan."""
    inputs = {"x": x, "weight": weight} | ({} if bias is None else {"bias": bias})
    return apply(_plan, arguments, inputs, out, backend)


def conv_transpose1d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Integers = 1,
    padding: Integers = 0,
    output_padding: Integers = 0,
    groups: int = 1,
    dilation: Integers = 1,
    *,
    data_format: str = "channels_first",
    precision: str = "float32",
    deterministic: bool = False,
    out: Any = None,
    backend: str | None = None,
) -> Any:
    """Spread every input sample over the output by a learned kernel: transposed convolution in 1-D.

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
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Integers = 1,
    padding: Integers = 0,
    output_padding: Integers = 0,
    groups: int = 1,
    dilation: Integers = 1,
    *,
    data_format: str = "channels_first",
    precision: str = "float32",
    deterministic: bool = False,
    out: Any = None,
    backend: str | None = None,
) -> Any:
    """Spread every input pixel over the output by a learned kernel: transposed convolution in 2-D.

    Parameters
    ----------
    x : array, shape (N, C_in, H, W) or (C_in, H, W)
        The input; with ``data_format="channels_last"`` its channels are the last axis. float16, bfloat16, float32,
        float64 or complex.
    weight : array, shape (C_in, C_out / groups, kH, kW)
        The kernels, in torch's layout whatever the data format; dtype and kind of `x`.
    bias : array, shape (C_out,), optional
        Added to every output of a channel.
    stride, padding, output_padding, dilation : int or sequence of int
        Distance of the outputs of neighbouring inputs; rows cut off at both ends; rows added at the end; distance
        of the taps of a kernel. In samples, one for all axes or one per axis.
    groups : int
        Number of groups of channels that do not mix.
    data_format : {"channels_first", "channels_last"}
        Where the channels of input and output are.
    precision : {"float32", "tf32"}
        How a GPU may round the factors of a float32 matrix product.
    deterministic : bool
        Whether to form every sum in one fixed order, so that both backends give the same bits. The CPU always
        does; on a GPU short sums (few channels, depthwise) are, while long ones go through a matrix product, whose
        order belongs to cuBLAS.
    out, backend
        As in `interpolate`.

    Returns
    -------
    array
        Of shape ``(in - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1`` per spatial axis,
        and of the kind, dtype and place of `x`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `interpolate`.

    Notes
    -----
    Sums are formed in float32 for float16, bfloat16 and float32. Conventions are PyTorch 2.13's.

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
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Integers = 1,
    padding: Integers = 0,
    output_padding: Integers = 0,
    groups: int = 1,
    dilation: Integers = 1,
    *,
    data_format: str = "channels_first",
    precision: str = "float32",
    deterministic: bool = False,
    out: Any = None,
    backend: str | None = None,
) -> Any:
    """Spread every input voxel over the output by a learned kernel: transposed convolution in 3-D.

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


def bilinear_weight(channels: int, scale: Any, dtype: Any = np.float32) -> Any:
    """Return the weight with which a depthwise transposed convolution is linear interpolation.

    Use it with ``stride=scale, padding=(kernel - scale + 1) // 2, groups=channels``; for an even scale the kernel
    is ``2 * scale`` and the padding ``scale // 2``.

    Parameters
    ----------
    channels : int
        Number of channels.
    scale : int or sequence of int
        Enlargement per spatial axis; one number means two axes.
    dtype : dtype
        Of the weight.

    Returns
    -------
    ndarray, shape (channels, 1, kernel...)
        The kernel of every channel, of length ``2 * scale - scale % 2`` per axis.

    Notes
    -----
    The initialisation of Long, Shelhamer and Darrell, "Fully convolutional networks for semantic segmentation",
    CVPR 2015. Away from the border the result is that of ``interpolate(mode="bilinear")``.

    Examples
    --------
    >>> bilinear_weight(1, 2)[0, 0]
    array([[0.0625, 0.1875, 0.1875, 0.0625],
           [0.1875, 0.5625, 0.5625, 0.1875],
           [0.1875, 0.5625, 0.5625, 0.1875],
           [0.0625, 0.1875, 0.1875, 0.0625]], dtype=float32)
    """
    channels = as_integer("channels", channels)
    scales = integers("scale", scale, 2 if isinstance(scale, int) else len(tuple(scale)), least=1)
    if channels < 1:
        raise ValueError(f"channels must be positive, got {channels}")
    kernel = np.ones(())
    for s in scales:
        size = 2 * s - s % 2
        axis = 1 - np.abs(np.arange(size) - (size - 1) / 2) / s
        kernel = kernel[..., None] * axis
    return np.broadcast_to(kernel, (channels, 1, *kernel.shape)).astype(dtype)
