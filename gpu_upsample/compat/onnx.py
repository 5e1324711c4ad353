"""ONNX's operators for arrays: Resize, MaxPool, MaxUnpool, ConvTranspose, DepthToSpace, SpaceToDepth and Col2Im.

Inputs and attributes have the operators' names, order and defaults. The conventions are those of the specification in
onnx 1.23.2 (Resize-19, MaxPool-22, MaxUnpool-22, ConvTranspose-22, DepthToSpace-28, SpaceToDepth-28, Col2Im-18). Where
onnx's own reference evaluator differs from it, the notes of a function say so. Every function also takes `backend`,
as `gpu_upsample.interpolate` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, SupportsFloat, SupportsIndex

from numpy.typing import NDArray

from gpu_upsample.call import apply
from gpu_upsample.compat import onnx_plan as plans
from gpu_upsample.compat.onnx_resize import plan_onnx_resize
from gpu_upsample.plan.cache import cached
from gpu_upsample.typing import Array, Backend, Rounding, Shape

__all__ = ["col2im", "conv_transpose", "depth_to_space", "max_pool", "max_unpool", "resize", "space_to_depth"]

AutoPad = Literal["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]
Blocks = Literal["DCR", "CRD"]
Reals = Sequence[SupportsFloat] | NDArray[Any]

_plan_resize = cached(plan_onnx_resize)
_plan_max_pool = cached(plans.plan_onnx_max_pool)
_plan_max_unpool = cached(plans.plan_onnx_max_unpool)
_plan_conv_transpose = cached(plans.plan_onnx_conv_transpose, inputs=3)
_plan_shuffle = cached(plans.plan_onnx_shuffle)
_plan_col2im = cached(plans.plan_onnx_col2im)


def resize(
    X: Array,  # noqa: N803 - the operator's name
    roi: Reals | None = None,
    scales: Reals | None = None,
    sizes: Shape | None = None,
    *,
    antialias: SupportsIndex = 0,
    axes: Shape | None = None,
    coordinate_transformation_mode: Literal[
        "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_crop_and_resize"
    ] = "half_pixel",
    cubic_coeff_a: SupportsFloat = -0.75,
    exclude_outside: SupportsIndex = 0,
    extrapolation_value: SupportsFloat = 0.0,
    keep_aspect_ratio_policy: Literal["stretch", "not_larger", "not_smaller"] = "stretch",
    mode: Literal["nearest", "linear", "cubic"] = "nearest",
    nearest_mode: Rounding = "round_prefer_floor",
    backend: Backend | None = None,
) -> Array:
    """Resize an array of any rank, as ONNX's ``Resize`` does.

    Parameters
    ----------
    X : array
        Any rank; dtypes and sums as in `gpu_upsample.interpolate`.
    roi : sequence of float, optional
        The part to resize: all starts, then all ends, one per axis, where 0 is the centre of the first sample and 1
        that of the last. If a start is greater than its end, the axis is reversed. Only for ``"tf_crop_and_resize"``.
    scales : sequence of float, optional
        Output size as a multiple of the size of the resized part, ``floor(in * scale)``, per axis. The numbers are used
        as given, while ONNX's are float32.
    sizes : sequence of int, optional
        Output size per axis. Give either `scales` or `sizes`; an empty sequence counts as not given.
    antialias : {0, 1}
        With 1, a linear or cubic filter is widened where an axis shrinks.
    axes : sequence of int, optional
        The axes that `roi`, `scales` and `sizes` refer to; all by default.
    coordinate_transformation_mode : str
        ``"half_pixel"``, ``"half_pixel_symmetric"``, ``"pytorch_half_pixel"``, ``"align_corners"``, ``"asymmetric"``
        or ``"tf_crop_and_resize"``.
    cubic_coeff_a : float
        Coefficient of the cubic filter.
    exclude_outside : {0, 1}
        With 1, samples beyond the array have no weight and the others are scaled up; with 0, the border is repeated.
        No effect on ``"nearest"``.
    extrapolation_value : float
        With ``"tf_crop_and_resize"``, the value of outputs that lie beyond the first or the last sample of an axis,
        rounded to the dtype of `X`.
    keep_aspect_ratio_policy : {"stretch", "not_larger", "not_smaller"}
        Whether each axis gets its own length from `sizes`, or all axes share the smallest or the largest scale that
        `sizes` asks for. Lengths are then rounded to nearest, halves up.
    mode : {"nearest", "linear", "cubic"}
        The interpolation along every axis.
    nearest_mode : {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"}
        How a coordinate becomes an index, with ``"nearest"``.
    backend : {"auto", "cpu", "cuda"}, optional
        As in `gpu_upsample.interpolate`.

    Returns
    -------
    array
        Same array type, dtype and device as `X`.

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
    The reference evaluator differs from the specification, and from this, in six points:

    - it puts the only sample of ``"pytorch_half_pixel"`` at -0.5, where it belongs at 0;
    - in ``"align_corners"`` and ``"tf_crop_and_resize"`` with `scales`, it reaches the end of the axis at the
      fractional length ``in * scale`` and not at the last output;
    - with `scales`, it leaves the extent of `roi` out of the output size;
    - it computes coordinates with a rounded scale, so that a tie, or an output on the border of the extrapolation, may
      fall to the other side, and weights may be given to the neighbours of their samples; here coordinates are exact;
    - with `exclude_outside`, its ``"nearest"`` is 0 where the nearest index lies outside; here that is clamped;
    - it turns infinities into the largest finite number.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> resize(x, scales=[1, 2])
    array([[1., 1., 2., 2.],
           [3., 3., 4., 4.]])
    >>> resize(x, sizes=[3, 9], mode="linear", keep_aspect_ratio_policy="not_larger").shape
    (3, 3)
    >>> resize(
    ...     x, [1, -1], sizes=[3], axes=[1], mode="linear", coordinate_transformation_mode="tf_crop_and_resize"
    ... )
    array([[2., 1., 0.],
           [4., 3., 0.]])
    """
    arguments = (
        roi, scales, sizes, antialias, axes, coordinate_transformation_mode, cubic_coeff_a, exclude_outside,
        extrapolation_value, keep_aspect_ratio_policy, mode, nearest_mode,
    )  # fmt: skip
    result: Array = apply(_plan_resize, arguments, {"X": X}, None, backend)
    return result


def max_pool(
    X: Array,  # noqa: N803
    *,
    kernel_shape: Shape,
    auto_pad: AutoPad = "NOTSET",
    ceil_mode: SupportsIndex = 0,
    dilations: Shape | None = None,
    pads: Shape | None = None,
    storage_order: SupportsIndex = 0,
    strides: Shape | None = None,
    backend: Backend | None = None,
) -> tuple[Array, Any]:
    """Take the largest sample of every window and its position, as ONNX's ``MaxPool`` does.

    Parameters
    ----------
    X : array, shape (N, C, *spatial) with 1 to 3 spatial axes
        Any real or bool dtype.
    kernel_shape : sequence of int
        Number of samples of a window along each spatial axis.
    auto_pad : {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"}
        Where the padding comes from: `pads`; as much as makes ``ceil(in / stride)`` windows, with the odd sample at the
        end or at the beginning; or none.
    ceil_mode : {0, 1}
        With 1, a last, partial window is included if it starts before the trailing padding. No effect if `auto_pad` is
        given.
    dilations, strides : sequence of int, optional
        Distances between the samples of a window, and between windows; 1 by default.
    pads : sequence of int, optional
        Padding before each spatial axis, then after each; 0 by default. Padding is never the maximum.
    storage_order : {0, 1}
        Whether `Indices` number the samples within one channel row by row (0, the last axis varies fastest) or column
        by column (1, the first axis varies fastest).
    backend : {"auto", "cpu", "cuda"}, optional
        As in `gpu_upsample.interpolate`.

    Returns
    -------
    Y : array
        Same array type, dtype and device as `X`.
    Indices : array of int64, of the shape of `Y`
        The positions of the maxima in the flattened `X`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `resize`; also if a window contains no sample.

    Notes
    -----
    Of equal samples the first, row by row, is the maximum, and of several NaNs the last. Where `auto_pad` would give
    negative padding, because the windows do not overlap, there is none, as in TensorFlow. The reference evaluator
    differs: it skips NaN; if all strides and dilations are 1, its `Indices` are not positions in `X`, and with `pads`
    along one axis, windows are missing, or it fails; with ``"SAME_LOWER"`` it rounds the number of windows down and
    puts the odd sample of padding at the end.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[[1, 5, 2], [4, 3, 6]]])                              # N, C, W
    >>> max_pool(x, kernel_shape=[2], strides=[2], pads=[0, 1])
    (array([[[5, 2], [4, 6]]]), array([[[1, 2], [3, 5]]]))
    """
    arguments = (kernel_shape, auto_pad, ceil_mode, dilations, pads, storage_order, strides)
    pooled: tuple[Array, Any] = apply(_plan_max_pool, arguments, {"X": X}, None, backend)
    return pooled


def max_unpool(
    X: Array,  # noqa: N803
    I: Any,  # noqa: E741, N803
    output_shape: Shape | None = None,
    *,
    kernel_shape: Shape,
    pads: Shape | None = None,
    strides: Shape | None = None,
    backend: Backend | None = None,
) -> Array:
    """Place pooled samples at their indices, with zeros elsewhere, as ONNX's ``MaxUnpool`` does.

    Parameters
    ----------
    X : array, shape (N, C, *spatial) with 1 to 3 spatial axes
        Values to place, usually the first output of `max_pool`. Any real, complex or bool dtype.
    I : array of int64 or int32, of the shape of `X`
        The position of each value in the flattened result. If indices repeat, the last value wins. An index out of
        range is an error on the CPU; on a GPU it is skipped and reported by `gpu_upsample.check_errors`.
    output_shape : sequence of int, optional
        Shape of the result. Default: ``(in - 1) * stride + kernel`` minus the padding, along each spatial axis.
    kernel_shape, pads, strides
        As given to `max_pool`. They determine the default of `output_shape`, and nothing else.
    backend : {"auto", "cpu", "cuda"}, optional
        As in `gpu_upsample.interpolate`.

    Returns
    -------
    array
        Same array type, dtype and device as `X`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `resize`.

    Notes
    -----
    Even if `output_shape` is given, the reference evaluator takes `I` as positions in an array of the default shape,
    and appends zeros. The indices of `max_pool` then no longer refer to their original places. In the specification, as
    in ONNX Runtime, they are positions in the result.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[[1.0, 5.0, 2.0, 4.0, 3.0]]])
    >>> max_unpool(*max_pool(x, kernel_shape=[2], strides=[2]), kernel_shape=[2], strides=[2])
    array([[[0., 5., 0., 4.]]])
    >>> max_unpool(*max_pool(x, kernel_shape=[2], strides=[2]), x.shape, kernel_shape=[2], strides=[2])
    array([[[0., 5., 0., 4., 0.]]])
    """
    arguments = (output_shape, kernel_shape, pads, strides)
    result: Array = apply(_plan_max_unpool, arguments, {"X": X, "I": I}, None, backend)
    return result


def conv_transpose(
    X: Array,  # noqa: N803
    W: Any,  # noqa: N803
    B: Any = None,  # noqa: N803
    *,
    auto_pad: AutoPad = "NOTSET",
    dilations: Shape | None = None,
    group: SupportsIndex = 1,
    kernel_shape: Shape | None = None,
    output_padding: Shape | None = None,
    output_shape: Shape | None = None,
    pads: Shape | None = None,
    strides: Shape | None = None,
    backend: Backend | None = None,
) -> Array:
    """Compute a transposed convolution, as ONNX's ``ConvTranspose`` does.

    Parameters
    ----------
    X : array, shape (N, C, *spatial) with 1 to 3 spatial axes
        float16, bfloat16, float32, float64 or complex. float16 and bfloat16 accumulate in float32.
    W : array, shape (C, M / group, *kernel)
        The kernels, with the array type and dtype of `X`.
    B : array, shape (M,), optional
        Added to every output of a channel.
    auto_pad : {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"}
        How many samples are removed from the ends of the output: `pads`; as many as make it ``in * stride`` long, with
        the odd one at the end or at the beginning; or none.
    dilations, strides : sequence of int, optional
        Distances between the taps of a kernel, and between the outputs of neighbouring inputs; 1 by default.
    group : int
        Number of groups into which the channels are divided; channels of different groups do not mix.
    kernel_shape : sequence of int, optional
        The kernel's lengths. If given, they must be those of `W`.
    output_padding : sequence of int, optional
        Number of samples added at the end of each axis, less than its stride or dilation.
    output_shape : sequence of int, optional
        Lengths of the output's spatial axes. They determine how many samples are removed, with the odd one at the
        beginning unless `auto_pad` is ``"SAME_UPPER"``, and `pads` is ignored. If the output is shorter, it is filled
        up with the bias.
    pads : sequence of int, optional
        Number of samples removed before each spatial axis, then after each; 0 by default.
    backend : {"auto", "cpu", "cuda"}, optional
        As in `gpu_upsample.interpolate`.

    Returns
    -------
    array, shape (N, M, *spatial)
        Same array type, dtype and device as `X`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `resize`.

    Notes
    -----
    The reference evaluator differs: with `output_shape` and no `auto_pad`, it removes nothing at the beginning, and
    fails where that does not fit; with groups, it only works if every group has one input and one output channel.

    Examples
    --------
    >>> import numpy as np
    >>> conv_transpose(np.array([[[1.0, 2.0]]]), np.ones((1, 1, 3)), strides=[2], pads=[0, 1])
    array([[[1., 1., 3., 2.]]])
    """
    arguments = (auto_pad, dilations, group, kernel_shape, output_padding, output_shape, pads, strides)
    inputs = {"X": X, "W": W} | ({} if B is None else {"B": B})
    result: Array = apply(_plan_conv_transpose, arguments, inputs, None, backend)
    return result


def depth_to_space(
    input: Array,  # noqa: A002
    *,
    blocksize: SupportsIndex,
    mode: Blocks = "DCR",
    backend: Backend | None = None,
) -> Array:
    """Turn channels into blocks of pixels, as ONNX's ``DepthToSpace`` does.

    Parameters
    ----------
    input : array, shape (N, C * blocksize², H, W)
        Any dtype: bits are copied.
    blocksize : int
        Height and width of the blocks.
    mode : {"DCR", "CRD"}
        Whether the channels that become one block are `C` apart, or adjacent as in `gpu_upsample.pixel_shuffle`.
    backend : {"auto", "cpu", "cuda"}, optional
        As in `gpu_upsample.interpolate`.

    Returns
    -------
    array, shape (N, C, H * blocksize, W * blocksize)
        Same array type, dtype and device as `input`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `resize`.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(8).reshape(1, 8, 1, 1)
    >>> depth_to_space(x, blocksize=2)
    array([[[[0, 2], [4, 6]],
            [[1, 3], [5, 7]]]])
    >>> depth_to_space(x, blocksize=2, mode="CRD")
    array([[[[0, 1], [2, 3]],
            [[4, 5], [6, 7]]]])
    """
    result: Array = apply(_plan_shuffle, (blocksize, mode, True), {"input": input}, None, backend)
    return result


def space_to_depth(
    input: Array,  # noqa: A002
    *,
    blocksize: SupportsIndex,
    mode: Blocks = "DCR",
    backend: Backend | None = None,
) -> Array:
    """Turn blocks of pixels into channels, as ONNX's ``SpaceToDepth`` does: the inverse of `depth_to_space`.

    Parameters
    ----------
    input : array, shape (N, C, H * blocksize, W * blocksize)
        Any dtype: bits are copied.
    blocksize : int
        Height and width of the blocks.
    mode : {"DCR", "CRD"}
        As in `depth_to_space`. Before opset 28, ONNX had ``"DCR"`` only.
    backend : {"auto", "cpu", "cuda"}, optional
        As in `gpu_upsample.interpolate`.

    Returns
    -------
    array, shape (N, C * blocksize², H, W)
        Same array type, dtype and device as `input`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `resize`.

    Examples
    --------
    >>> import numpy as np
    >>> space_to_depth(np.array([[[[0, 2], [4, 6]], [[1, 3], [5, 7]]]]), blocksize=2).ravel()
    array([0, 1, 2, 3, 4, 5, 6, 7])
    """
    result: Array = apply(_plan_shuffle, (blocksize, mode, False), {"input": input}, None, backend)
    return result


def col2im(
    input: Any,  # noqa: A002
    image_shape: Shape,
    block_shape: Shape,
    *,
    dilations: Shape | None = None,
    pads: Shape | None = None,
    strides: Shape | None = None,
    backend: Backend | None = None,
) -> Any:
    """Sum overlapping blocks to an image, as ONNX's ``Col2Im`` does.

    Parameters
    ----------
    input : array, shape (N, C * prod(block_shape), L)
        The L blocks, in the order of their places. Any dtype; sums and rounding as in `gpu_upsample.interpolate`.
    image_shape : sequence of 1 to 3 int
        Lengths of the image's axes.
    block_shape : sequence of int
        Lengths of a block.
    dilations, strides : sequence of int, optional
        Distances between the samples of a block, and between blocks; 1 by default.
    pads : sequence of int, optional
        How far the blocks reach beyond the beginning of each axis, then beyond the end of each; 0 by default.
    backend : {"auto", "cpu", "cuda"}, optional
        As in `gpu_upsample.interpolate`.

    Returns
    -------
    array, shape (N, C, *image_shape)
        Same array type, dtype and device as `input`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `resize`.

    Notes
    -----
    Sums of integers saturate; the reference evaluator's wrap around.

    Examples
    --------
    >>> import numpy as np
    >>> col2im(np.ones((1, 2, 3)), [4], [2])
    array([[[1., 2., 2., 1.]]])
    """
    arguments = (image_shape, block_shape, dilations, pads, strides)
    return apply(_plan_col2im, arguments, {"input": input}, None, backend)
