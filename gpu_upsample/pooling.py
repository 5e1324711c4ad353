"""The public pooling and unpooling operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpu_upsample.call import apply
from gpu_upsample.plan.cache import cached
from gpu_upsample.plan.pooling import plan_max_pool, plan_max_unpool

Integers = int | Sequence[int]

_cached_pool = cached(plan_max_pool)
_cached_unpool = cached(plan_max_unpool)


def _max_pool(x: Any, arguments: tuple[Any, ...], out: Any, backend: str | None) -> Any:
    return apply(_cached_pool, arguments, {"x": x}, out, backend)


def _max_unpool(x: Any, indices: Any, arguments: tuple[Any, ...], out: Any, backend: str | None) -> Any:
    return apply(_cached_unpool, arguments, {"x": x, "indices": indices}, out, backend)


def max_pool1d(
    x: Any,
    kernel_size: Integers,
    stride: Integers | None = None,
    padding: Integers = 0,
    dilation: Integers = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    out: Any = None,
    backend: str | None = None,
) -> Any:
    """Take the largest sample of every window along one spatial axis, as ``torch.nn.functional.max_pool1d`` does.

    Parameters
    ----------
    x : array, shape (N, C, L) or (C, L)
        The batch, or one unbatched array, of any real or bool dtype.
    kernel_size : int or sequence of int
        Length of the windows, one for all spatial axes or one per axis; so are `stride`, `padding` and `dilation`.
    stride : int or sequence of int, optional
        Distance between windows, `kernel_size` by default.
    padding : int or sequence of int
        How far the windows reach beyond both ends, at most half of `kernel_size`. Nothing there is ever chosen.
    dilation : int or sequence of int
        Distance between the samples of a window.
    ceil_mode : bool
        Whether a last window that does not fit counts, provided it begins before the end.
    return_indices : bool
        Whether the position of each chosen sample is returned, too.
    out : array or pair of arrays, optional
        Where the result goes: of the kind and dtype of `x` and the right shape, not overlapping `x`. With
        `return_indices` a pair, the second of dtype int64.
    backend : {"auto", "cpu", "cuda"}, optional
        By default the data decides: device arrays on ``"cuda"``, host arrays on ``"cpu"``.

    Returns
    -------
    array or (array, array)
        Of the kind, dtype and place of `x`. With `return_indices`, also the positions: int64, flat within the
        spatial axes of one array and one channel.

    Raises
    ------
    ValueError
        For a bad value: the message names the argument, what it was and what is accepted.
    TypeError
        For a bad kind of array or dtype, such as complex numbers, which have no order.
    BackendUnavailableError
        If the backend cannot run here.

    See Also
    --------
    max_unpool1d : puts the samples back where they came from.
    max_pool1d_backward : the gradient.

    Notes
    -----
    Of equal samples the first is chosen, and of NaNs the last, as torch does. Where torch returns a position outside
    of the array, because dilation steps over all of it, this is an error.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[3, 1, 4, 1, 5, 9, 2]])
    >>> max_pool1d(x, 2)
    array([[3, 4, 9]])
    >>> max_pool1d(x, 3, stride=2, padding=1, return_indices=True)
    (array([[3, 4, 9, 9]]), array([[0, 2, 5, 5]]))
    """
    arguments = (1, kernel_size, stride, padding, dilation, ceil_mode, return_indices)
    return _max_pool(x, arguments, out, backend)


def max_pool2d(
    x: Any,
    kernel_size: Integers,
    stride: Integers | None = None,
    padding: Integers = 0,
    dilation: Integers = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    out: Any = None,
    backend: str | None = None,
) -> Any:
    """Take the largest sample of every window of images, as ``torch.nn.functional.max_pool2d`` does.

    Parameters
    ----------
    x : array, shape (N, C, H, W) or (C, H, W)
        The batch, or one unbatched array, of any real or bool dtype.
    kernel_size, stride, padding, dilation, ceil_mode, return_indices, out, backend
        As in `max_pool1d`.

    Returns
    -------
    array or (array, array)
        As in `max_pool1d`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `max_pool1d`.

    See Also
    --------
    max_unpool2d : puts the samples back where they came from.
    max_pool2d_backward : the gradient.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[[1, 2, 5, 3], [4, 0, 5, 1]]])
    >>> max_pool2d(x, 2)
    array([[[4, 5]]])
    >>> pooled, indices = max_pool2d(x, 2, return_indices=True)
    >>> indices
    array([[[4, 2]]])
    >>> max_pool2d(x, (2, 3), stride=1, ceil_mode=True)
    array([[[5, 5]]])
    """
    arguments = (2, kernel_size, stride, padding, dilation, ceil_mode, return_indices)
    return _max_pool(x, arguments, out, backend)


def max_pool3d(
    x: Any,
    kernel_size: Integers,
    stride: Integers | None = None,
    padding: Integers = 0,
    dilation: Integers = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    out: Any = None,
    backend: str | None = None,
) -> Any:
    """Take the largest sample of every window of volumes, as ``torch.nn.functional.max_pool3d`` does.

    Parameters
    ----------
    x : array, shape (N, C, D, H, W) or (C, D, H, W)
        The batch, or one unbatched array, of any real or bool dtype.
    kernel_size, stride, padding, dilation, ceil_mode, return_indices, out, backend
        As in `max_pool1d`.

    Returns
    -------
    array or (array, array)
        As in `max_pool1d`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `max_pool1d`.

    See Also
    --------
    max_unpool3d : puts the samples back where they came from.
    max_pool3d_backward : the gradient.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(16).reshape(1, 2, 2, 4)
    >>> max_pool3d(x, 2)
    array([[[[13, 15]]]])
    """
    arguments = (3, kernel_size, stride, padding, dilation, ceil_mode, return_indices)
    return _max_pool(x, arguments, out, backend)


def max_unpool1d(
    x: Any,
    indices: Any,
    kernel_size: Integers,
    stride: Integers | None = None,
    padding: Integers = 0,
    output_size: Sequence[int] | None = None,
    *,
    validate: bool = False,
    out: Any = None,
    backend: str | None = None,
) -> Any:
    """Put pooled samples back where they came from, into zeros, as ``torch.nn.functional.max_unpool1d`` does.

    Parameters
    ----------
    x : array, shape (N, C, L) or (C, L)
        What `max_pool1d` returned, or anything in its place; any real, complex or bool dtype.
    indices : array of int32 or int64, of the shape of `x`
        Where each sample goes: flat within the spatial axes of one array and one channel. If several samples
        go to one place, the last of them wins.
    kernel_size, stride, padding : int or sequence of int
        The windows of the pooling. They only decide the output size: ``(in - 1) * stride + kernel_size -
        2 * padding``.
    output_size : sequence of int, optional
        Another output size, since several lengths pool to the same: the spatial axes alone, or the whole shape.
        Each length differs from the above by less than one stride.
    validate : bool
        On a GPU, whether the indices are checked before anything is written, which waits for the GPU. Without it,
        an index out of range is passed over, and `check_errors` tells. On the CPU they are always checked.
    out : array, optional
        Where the result goes: of the kind and dtype of `x` and the right shape, not overlapping the inputs.
    backend : {"auto", "cpu", "cuda"}, optional
        By default the data decides: device arrays on ``"cuda"``, host arrays on ``"cpu"``.

    Returns
    -------
    array
        Of the kind, dtype and place of `x`.

    Raises
    ------
    ValueError
        For a bad value, such as an index out of range: the message names the first one and its position.
    TypeError
        For a bad kind of array or dtype.
    BackendUnavailableError
        If the backend cannot run here.

    See Also
    --------
    max_pool1d : with ``return_indices=True`` gives the indices.
    max_unpool1d_backward : the gradient.

    Examples
    --------
    >>> import numpy as np
    >>> pooled, indices = max_pool1d(np.array([[3, 1, 4, 1, 5, 9, 2]]), 2, return_indices=True)
    >>> max_unpool1d(pooled, indices, 2)
    array([[3, 0, 4, 0, 0, 9]])
    >>> max_unpool1d(pooled, indices, 2, output_size=[7])
    array([[3, 0, 4, 0, 0, 9, 0]])
    """
    arguments = (1, kernel_size, stride, padding, output_size, validate)
    return _max_unpool(x, indices, arguments, out, backend)


def max_unpool2d(
    x: Any,
    indices: Any,
    kernel_size: Integers,
    stride: Integers | None = None,
    padding: Integers = 0,
    output_size: Sequence[int] | None = None,
    *,
    validate: bool = False,
    out: Any = None,
    backend: str | None = None,
) -> Any:
    """Put pooled samples back where they came from, into zeros, as ``torch.nn.functional.max_unpool2d`` does.

    Parameters
    ----------
    x : array, shape (N, C, H, W) or (C, H, W)
        What `max_pool2d` returned, or anything in its place; any real, complex or bool dtype.
    indices, kernel_size, stride, padding, output_size, validate, out, backend
        As in `max_unpool1d`.

    Returns
    -------
    array
        Of the kind, dtype and place of `x`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `max_unpool1d`.

    See Also
    --------
    max_pool2d : with ``return_indices=True`` gives the indices.
    max_unpool2d_backward : the gradient.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[[1, 2, 5, 3], [4, 0, 5, 1]]])
    >>> max_unpool2d(*max_pool2d(x, 2, return_indices=True), 2)
    array([[[0, 0, 5, 0],
            [4, 0, 0, 0]]])
    """
    arguments = (2, kernel_size, stride, padding, output_size, validate)
    return _max_unpool(x, indices, arguments, out, backend)


def max_unpool3d(
    x: Any,
    indices: Any,
    kernel_size: Integers,
    stride: Integers | None = None,
    padding: Integers = 0,
    output_size: Sequence[int] | None = None,
    *,
    validate: bool = False,
    out: Any = None,
    backend: str | None = None,
) -> Any:
    """Put pooled samples back where they came from, into zeros, as ``torch.nn.functional.max_unpool3d`` does.

    Parameters
    ----------
    x : array, shape (N, C, D, H, W) or (C, D, H, W)
        What `max_pool3d` returned, or anything in its place; any real, complex or bool dtype.
    indices, kernel_size, stride, padding, output_size, validate, out, backend
        As in `max_unpool1d`.

    Returns
    -------
    array
        Of the kind, dtype and place of `x`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `max_unpool1d`.

    See Also
    --------
    max_pool3d : with ``return_indices=True`` gives the indices.
    max_unpool3d_backward : the gradient.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(16).reshape(1, 2, 2, 4)
    >>> max_unpool3d(*max_pool3d(x, 2, return_indices=True), 2)[0, 1]
    array([[ 0,  0,  0,  0],
           [ 0, 13,  0, 15]])
    """
    arguments = (3, kernel_size, stride, padding, output_size, validate)
    return _max_unpool(x, indices, arguments, out, backend)
