"""ONNX's operators for arrays: Resize, MaxPool, MaxUnpool, ConvTranspose, DepthToSpace, SpaceToDepth and Col2Im.

Inputs and attributes have the operators' names, order and defaults; conventions are those of the specification in
onnx 1.23.2 (Resize-19, MaxPool-22, MaxUnpool-22, ConvTranspose-22, DepthToSpace-28, SpaceToDepth-28, Col2Im-18). Where
onnx's own reference evaluator differs from it, the notes of a function say so. Every function also takes `backend`,
as `gpu_upsample.interpolate` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpu_upsample.call import apply
from gpu_upsample.compat import onnx_plan as plans
from gpu_upsample.compat.onnx_resize import plan_onnx_resize
from gpu_upsample.plan.cache import cached

Integers = Sequence[int]

_plan_resize = cached(plan_onnx_resize)
_plan_max_pool = cached(plans.plan_onnx_max_pool)
_plan_max_unpool = cached(plans.plan_onnx_max_unpool)
_plan_conv_transpose = cached(plans.plan_onnx_conv_transpose, inputs=3)
_plan_shuffle = cached(plans.plan_onnx_shuffle)
_plan_col2im = cached(plans.plan_onnx_col2im)


def resize(
    X: Any,  # noqa: N803 - the operator's name
    roi: Sequence[float] | None = None,
    scales: Sequence[float] | None = None,
    sizes: Integers | None = None,
    *,
    antialias: int = 0,
    axes: Integers | None = None,
    coordinate_transformation_mode: str = "half_pixel",
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    extrapolation_value: float = 0.0,
    keep_aspect_ratio_policy: str = "stretch",
    mode: str = "nearest",
    nearest_mode: str = "round_prefer_floor",
    backend: str | None = None,
) -> Any:
    """Resize an array of any rank, as ONNX's ``Resize`` does.

    Parameters
    ----------
    X : array
        Any rank; dtypes and sums as in `gpu_upsample.interpolate`.
    roi : sequence of float, optional
        The starts and then the ends of the part that is resized, one each per axis, 0 being the centre of the first
        sample and 1 that of the last. A start behind its end turns the axis around. Only for
        ``"tf_crop_and_resize"``.
    scales : sequence of float, optional
        Output size by a factor per axis, ``floor(in * scale)``, of the part that is resized. The numbers count as they
        are given: ONNX's own are float32.
    sizes : sequence of int, optional
        Output size per axis. Exactly one of `scales` and `sizes` is given; an empty sequence counts as not given.
    antialias : {0, 1}
        Whether a linear or cubic filter is widened where an axis shrinks.
    axes : sequence of int, optional
        The axes that `roi`, `scales` and `sizes` speak of; by default all.
    coordinate_transformation_mode : str
        ``"half_pixel"``, ``"half_pixel_symmetric"``, ``"pytorch_half_pixel"``, ``"align_corners"``, ``"asymmetric"``
        or ``"tf_crop_and_resize"``.
    cubic_coeff_a : float
        Coefficient of the cubic filter.
    exclude_outside : {0, 1}
        Whether the weights of samples beyond the array are spread over those inside, instead of repeating the border.
        Without effect on ``"nearest"``.
    extrapolation_value : float
        With ``"tf_crop_and_resize"``, the value of every output that lies beyond the first or the last sample of an
        axis, rounded to the dtype of `X`.
    keep_aspect_ratio_policy : {"stretch", "not_larger", "not_smaller"}
        Whether each axis gets its own of `sizes`, or all of them the smallest or the largest scale that `sizes` ask
        for, lengths being rounded to nearest, halves up.
    mode : {"nearest", "linear", "cubic"}
        How samples are interpolated, along every axis.
    nearest_mode : {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"}
        How a coordinate becomes an index, for ``"nearest"``.
    backend : {"auto", "cpu", "cuda"}, optional
        By default the data decides.

    Returns
    -------
    array
        Of the kind, dtype and place of `X`.

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
    return apply(_plan_resize, arguments, {"X": X}, None, backend)


def max_pool(
    X: Any,  # noqa: N803
    *,
    kernel_shape: Integers,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Integers | None = None,
    pads: Integers | None = None,
    storage_order: int = 0,
    strides: Integers | None = None,
    backend: str | None = None,
) -> tuple[Any, Any]:
    """Take the largest sample of every window and its position, as ONNX's ``MaxPool`` does.

    Parameters
    ----------
    X : array, shape (N, C, *spatial) with 1 to 3 spatial axes
        Of any real or bool dtype.
    kernel_shape : sequence of int
        Length of the windows along each spatial axis.
    auto_pad : {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"}
        Whether `pads` counts, or the padding is such that there are ``ceil(in / stride)`` windows, an odd one being
        longer at the end or at the beginning, or there is none.
    ceil_mode : {0, 1}
        Whether a last window that does not fit counts, provided that it starts before the padding at the end.
        Without effect if `auto_pad` is given.
    dilations, strides : sequence of int, optional
        Distances of the samples of a window, and of the windows; 1 by default.
    pads : sequence of int, optional
        Padding before each spatial axis, and then behind each; 0 by default. Nothing there is ever chosen.
    storage_order : {0, 1}
        Whether `Indices` count the samples of one array and channel by rows, the last axis varying fastest, or by
        columns, the first varying fastest.
    backend : {"auto", "cpu", "cuda"}, optional
        By default the data decides.

    Returns
    -------
    Y : array
        Of the kind, dtype and place of `X`.
    Indices : array of int64, of the shape of `Y`
        The positions of the chosen samples in the whole of `X`, flat.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `resize`. It is also an error if a window holds no sample.

    Notes
    -----
    Of equal samples the first by rows is chosen, and of NaNs the last. Where the windows do not overlap and `auto_pad`
    would have less than no padding, it has none, as in TensorFlow. The reference evaluator differs in these points: it
    passes over NaN; if all strides and dilations are 1 its `Indices` are no positions in `X`; with ``"SAME_LOWER"`` it
    rounds the number of windows down and puts the longer padding behind.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[[1, 5, 2], [4, 3, 6]]])                              # N, C, W
    >>> max_pool(x, kernel_shape=[2], strides=[2], pads=[0, 1])
    (array([[[5, 2], [4, 6]]]), array([[[1, 2], [3, 5]]]))
    """
    arguments = (kernel_shape, auto_pad, ceil_mode, dilations, pads, storage_order, strides)
    pooled: tuple[Any, Any] = apply(_plan_max_pool, arguments, {"X": X}, None, backend)
    return pooled


def max_unpool(
    X: Any,  # noqa: N803
    I: Any,  # noqa: E741, N803
    output_shape: Integers | None = None,
    *,
    kernel_shape: Integers,
    pads: Integers | None = None,
    strides: Integers | None = None,
    backend: str | None = None,
) -> Any:
    """Put pooled samples back where they came from, into zeros, as ONNX's ``MaxUnpool`` does.

    Parameters
    ----------
    X : array, shape (N, C, *spatial) with 1 to 3 spatial axes
        What `max_pool` returned first, or anything in its place; any real, complex or bool dtype.
    I : array of int64 or int32, of the shape of `X`
        Where each sample goes: flat positions in the whole result, by rows. If several samples go to one place, the
        last of them wins. An index out of range is an error on the CPU; on a GPU it is passed over, and
        `gpu_upsample.check_errors` tells.
    output_shape : sequence of int, optional
        Shape of the result, by default ``(in - 1) * stride + kernel`` less the padding along each spatial axis.
    kernel_shape, pads, strides
        As they were given to `max_pool`; they only decide the default of `output_shape`.
    backend : {"auto", "cpu", "cuda"}, optional
        By default the data decides.

    Returns
    -------
    array
        Of the kind, dtype and place of `X`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `resize`.

    Notes
    -----
    The reference evaluator reads `I` as positions in an array of the default shape, even if `output_shape` is given,
    and adds zeros behind it. Then indices that `max_pool` returned no longer lead back to where they come from; in
    the specification, as in ONNX Runtime, they are positions in the result.

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
    return apply(_plan_max_unpool, arguments, {"X": X, "I": I}, None, backend)


def conv_transpose(
    X: Any,  # noqa: N803
    W: Any,  # noqa: N803
    B: Any = None,  # noqa: N803
    *,
    auto_pad: str = "NOTSET",
    dilations: Integers | None = None,
    group: int = 1,
    kernel_shape: Integers | None = None,
    output_padding: Integers | None = None,
    output_shape: Integers | None = None,
    pads: Integers | None = None,
    strides: Integers | None = None,
    backend: str | None = None,
) -> Any:
    """Spread every sample over the output by a learned kernel, as ONNX's ``ConvTranspose`` does.

    Parameters
    ----------
    X : array, shape (N, C, *spatial) with 1 to 3 spatial axes
        float16, bfloat16, float32, float64 or complex. Sums are formed in float32 for the first three.
    W : array, shape (C, M / group, *kernel)
        The kernels; dtype and kind of `X`.
    B : array, shape (M,), optional
        Added to every output of a channel.
    auto_pad : {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"}
        Whether `pads` counts, or what is cut off makes the output ``in * stride`` long, an odd one more at the end or
        at the beginning, or nothing is cut off.
    dilations, strides : sequence of int, optional
        Distances of the taps of a kernel, and of the outputs of neighbouring inputs; 1 by default.
    group : int
        Number of groups of channels that do not mix.
    kernel_shape : sequence of int, optional
        The kernel's lengths, if given those of `W`.
    output_padding : sequence of int, optional
        Outputs added at the end of each axis; less than its stride or dilation.
    output_shape : sequence of int, optional
        Lengths of the output's spatial axes. What is cut off follows from them, an odd one more at the beginning
        unless `auto_pad` is ``"SAME_UPPER"``, and `pads` is ignored. A length that there is too little for is filled
        up with the bias.
    pads : sequence of int, optional
        How much is cut off before each spatial axis, and then behind each; 0 by default.
    backend : {"auto", "cpu", "cuda"}, optional
        By default the data decides.

    Returns
    -------
    array, shape (N, M, *spatial)
        Of the kind, dtype and place of `X`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `resize`.

    Notes
    -----
    The reference evaluator differs in these points: with `output_shape` and no `auto_pad` it cuts off nothing at the
    beginning, and fails where that does not fit; and with groups it works for one output channel of each, only if
    there are as many of them as input channels.

    Examples
    --------
    >>> import numpy as np
    >>> conv_transpose(np.array([[[1.0, 2.0]]]), np.ones((1, 1, 3)), strides=[2], pads=[0, 1])
    array([[[1., 1., 3., 2.]]])
    """
    arguments = (auto_pad, dilations, group, kernel_shape, output_padding, output_shape, pads, strides)
    inputs = {"X": X, "W": W} | ({} if B is None else {"B": B})
    return apply(_plan_conv_transpose, arguments, inputs, None, backend)


def depth_to_space(
    input: Any,  # noqa: A002
    *,
    blocksize: int,
    mode: str = "DCR",
    backend: str | None = None,
) -> Any:
    """Turn channels into blocks of pixels, as ONNX's ``DepthToSpace`` does.

    Parameters
    ----------
    input : array, shape (N, C * blocksize², H, W)
        Any dtype: bits are copied.
    blocksize : int
        Height and width of the blocks.
    mode : {"DCR", "CRD"}
        Whether the channels that become one block lie `C` apart, or are neighbours as in
        `gpu_upsample.pixel_shuffle`.
    backend : {"auto", "cpu", "cuda"}, optional
        By default the data decides.

    Returns
    -------
    array, shape (N, C, H * blocksize, W * blocksize)
        Of the kind, dtype and place of `input`.

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
    return apply(_plan_shuffle, (blocksize, mode, True), {"input": input}, None, backend)


def space_to_depth(
    input: Any,  # noqa: A002
    *,
    blocksize: int,
    mode: str = "DCR",
    backend: str | None = None,
) -> Any:
    """Turn blocks of pixels into channels, as ONNX's ``SpaceToDepth`` does: the inverse of `depth_to_space`.

    Parameters
    ----------
    input : array, shape (N, C, H * blocksize, W * blocksize)
        Any dtype: bits are copied.
    blocksize : int
        Height and width of the blocks.
    mode : {"DCR", "CRD"}
        As in `depth_to_space`; before opset 28 there was only ``"DCR"``.
    backend : {"auto", "cpu", "cuda"}, optional
        By default the data decides.

    Returns
    -------
    array, shape (N, C * blocksize², H, W)
        Of the kind, dtype and place of `input`.

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
    return apply(_plan_shuffle, (blocksize, mode, False), {"input": input}, None, backend)


def col2im(
    input: Any,  # noqa: A002
    image_shape: Integers,
    block_shape: Integers,
    *,
    dilations: Integers | None = None,
    pads: Integers | None = None,
    strides: Integers | None = None,
    backend: str | None = None,
) -> Any:
    """Add up overlapping blocks to an image, as ONNX's ``Col2Im`` does.

    Parameters
    ----------
    input : array, shape (N, C * prod(block_shape), L)
        The L blocks in the order of their places; any dtype, sums and rounding as in `gpu_upsample.interpolate`.
    image_shape : sequence of 1 to 3 int
        Lengths of the image's axes.
    block_shape : sequence of int
        Lengths of a block.
    dilations, strides : sequence of int, optional
        Distances of the samples of a block, and of the blocks; 1 by default.
    pads : sequence of int, optional
        How far the blocks reach beyond the beginning of each axis, and then beyond the end of each; 0 by default.
    backend : {"auto", "cpu", "cuda"}, optional
        By default the data decides.

    Returns
    -------
    array, shape (N, C, *image_shape)
        Of the kind, dtype and place of `input`.

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
