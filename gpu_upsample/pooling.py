"""The public operators of max pooling and unpooling."""

from __future__ import annotations

from typing import Any, Literal, overload

from gpu_upsample.call import apply
from gpu_upsample.plan.cache import cached
from gpu_upsample.plan.pooling import plan_max_pool, plan_max_unpool
from gpu_upsample.typing import Array, Backend, Integers

_cached_pool = cached(plan_max_pool)
_cached_unpool = cached(plan_max_unpool)


def _max_pool(x: Any, arguments: tuple[Any, ...], out: Any, backend: Backend | None) -> Any:
    return apply(_cached_pool, arguments, {"x": x}, out, backend)


def _max_unpool(
    x: Array, indices: Any, arguments: tuple[Any, ...], out: Array | None, backend: Backend | None
) -> Array:
    result: Array = apply(_cached_unpool, arguments, {"x": x, "indices": indices}, out, backend)
    return result


@overload
def max_pool1d(
    x: Array, kernel_size: Integers, stride: Integers | None = ..., padding: Integers = ..., dilation: Integers = ...,
    ceil_mode: bool = ..., return_indices: Literal[False] = ..., *,
    out: Array | None = ..., backend: Backend | None = ...,
) -> Array: ...  # fmt: skip
@overload
def max_pool1d(
    x: Array, kernel_size: Integers, stride: Integers | None = ..., padding: Integers = ..., dilation: Integers = ...,
    ceil_mode: bool = ..., *, return_indices: Literal[True],
    out: tuple[Array, Any] | None = ..., backend: Backend | None = ...,
) -> tuple[Array, Any]: ...  # fmt: skip
@overload
def max_pool1d(
    x: Array, kernel_size: Integers, stride: Integers | None, padding: Integers, dilation: Integers,
    ceil_mode: bool, return_indices: Literal[True], *,
    out: tuple[Array, Any] | None = ..., backend: Backend | None = ...,
) -> tuple[Array, Any]: ...  # fmt: skip
@overload
def max_pool1d(
    x: Any, kernel_size: Integers, stride: Integers | None = ..., padding: Integers = ..., dilation: Integers = ...,
    ceil_mode: bool = ..., return_indices: bool = ..., *,
    out: Any = ..., backend: Backend | None = ...,
) -> Any: ...  # fmt: skip
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
    backend: Backend | None = None,
) -> Any:
    """Take the largest sample of every window along one spatial axis, as ``torch.nn.functional.max_pool1d`` does.

    Parameters
    ----------
    x : array, shape (N, C, L) or (C, L)
        The batch, or one item without a batch axis. Any real or bool dtype.
    kernel_size : int or sequence of int
        Number of samples of a window, for all spatial axes or per axis; likewise the next three.
    stride : int or sequence of int, optional
        Distance between windows. Default: `kernel_size`.
    padding : int or sequence of int
        How far the windows reach beyond each end, at most half of `kernel_size`. Padding is never the maximum.
    dilation : int or sequence of int
        Distance between the samples of a window.
    ceil_mode : bool
        Include a last, partial window if it starts inside the input or the leading padding.
    return_indices : bool
        Return the position of each maximum, too.
    out : array or tuple of 2 arrays, optional
        Array for the result, with the type and dtype of `x` and the result's shape; must not overlap `x`. With
        `return_indices` a tuple of two arrays, the second of dtype int64.
    backend : {"auto", "cpu", "cuda"}, optional
        Where to compute. By default device arrays are processed by ``"cuda"`` and host arrays by ``"cpu"``.

    Returns
    -------
    array or (array, array)
        Same array type, dtype and device as `x`. With `return_indices`, also the positions: int64, counted within one
        channel of one item of the batch, over its flattened spatial axes.

    Raises
    ------
    ValueError
        If an argument has an invalid value. The message names the argument, its value and what is accepted.
    TypeError
        If an array has an unsupported type or dtype (complex numbers have no order), or an argument has a wrong type.
    BackendUnavailableError
        If the backend cannot run on this machine.

    See Also
    --------
    max_unpool1d : puts the maxima back in their places.
    max_pool1d_backward : the gradient.

    Notes
    -----
    Of equal samples the first is the maximum, and of several NaNs the last, as in torch. A window whose dilation steps
    over the whole input is an error; torch returns a position outside the input for it.

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


@overload
def max_pool2d(
    x: Array, kernel_size: Integers, stride: Integers | None = ..., padding: Integers = ..., dilation: Integers = ...,
    ceil_mode: bool = ..., return_indices: Literal[False] = ..., *,
    out: Array | None = ..., backend: Backend | None = ...,
) -> Array: ...  # fmt: skip
@overload
def max_pool2d(
    x: Array, kernel_size: Integers, stride: Integers | None = ..., padding: Integers = ..., dilation: Integers = ...,
    ceil_mode: bool = ..., *, return_indices: Literal[True],
    out: tuple[Array, Any] | None = ..., backend: Backend | None = ...,
) -> tuple[Array, Any]: ...  # fmt: skip
@overload
def max_pool2d(
    x: Array, kernel_size: Integers, stride: Integers | None, padding: Integers, dilation: Integers,
    ceil_mode: bool, return_indices: Literal[True], *,
    out: tuple[Array, Any] | None = ..., backend: Backend | None = ...,
) -> tuple[Array, Any]: ...  # fmt: skip
@overload
def max_pool2d(
    x: Any, kernel_size: Integers, stride: Integers | None = ..., padding: Integers = ..., dilation: Integers = ...,
    ceil_mode: bool = ..., return_indices: bool = ..., *,
    out: Any = ..., backend: Backend | None = ...,
) -> Any: ...  # fmt: skip
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
    backend: Backend | None = None,
) -> Any:
    """Take the largest sample of every window of images, as ``torch.nn.functional.max_pool2d`` does.

    Parameters
    ----------
    x : array, shape (N, C, H, W) or (C, H, W)
        The batch, or one item without a batch axis. Any real or bool dtype.
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
    max_unpool2d : puts the maxima back in their places.
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


@overload
def max_pool3d(
    x: Array, kernel_size: Integers, stride: Integers | None = ..., padding: Integers = ..., dilation: Integers = ...,
    ceil_mode: bool = ..., return_indices: Literal[False] = ..., *,
    out: Array | None = ..., backend: Backend | None = ...,
) -> Array: ...  # fmt: skip
@overload
def max_pool3d(
    x: Array, kernel_size: Integers, stride: Integers | None = ..., padding: Integers = ..., dilation: Integers = ...,
    ceil_mode: bool = ..., *, return_indices: Literal[True],
    out: tuple[Array, Any] | None = ..., backend: Backend | None = ...,
) -> tuple[Array, Any]: ...  # fmt: skip
@overload
def max_pool3d(
    x: Array, kernel_size: Integers, stride: Integers | None, padding: Integers, dilation: Integers,
    ceil_mode: bool, return_indices: Literal[True], *,
    out: tuple[Array, Any] | None = ..., backend: Backend | None = ...,
) -> tuple[Array, Any]: ...  # fmt: skip
@overload
def max_pool3d(
    x: Any, kernel_size: Integers, stride: Integers | None = ..., padding: Integers = ..., dilation: Integers = ...,
    ceil_mode: bool = ..., return_indices: bool = ..., *,
    out: Any = ..., backend: Backend | None = ...,
) -> Any: ...  # fmt: skip
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
    backend: Backend | None = None,
) -> Any:
    """Take the largest sample of every window of volumes, as ``torch.nn.functional.max_pool3d`` does.

    Parameters
    ----------
    x : array, shape (N, C, D, H, W) or (C, D, H, W)
        The batch, or one item without a batch axis. Any real or bool dtype.
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
    max_unpool3d : puts the maxima back in their places.
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
    x: Array,
    indices: Any,
    kernel_size: Integers,
    stride: Integers | None = None,
    padding: Integers = 0,
    output_size: Integers | None = None,
    *,
    validate: bool = False,
    out: Array | None = None,
    backend: Backend | None = None,
) -> Array:
    """Place pooled samples at their indices, with zeros elsewhere, as ``torch.nn.functional.max_unpool1d`` does.

    Parameters
    ----------
    x : array, shape (N, C, L) or (C, L)
        Values to place, usually the output of `max_pool1d`. Any real, complex or bool dtype.
    indices : array of int32 or int64, of the shape of `x`
        The position of each value, counted within one channel of one item of the batch, over the flattened spatial
        axes of the result. If indices repeat, the last value wins.
    kernel_size, stride, padding : int or sequence of int
        As given to the pooling. They determine the output size, ``(in - 1) * stride + kernel_size - 2 * padding``, and
        nothing else.
    output_size : int or sequence of int, optional
        Output size, since inputs of several sizes pool to the same: one for all spatial axes, one per spatial axis, or
        the whole shape. Each length differs from the default by less than one stride.
    validate : bool
        On a GPU, check all indices before anything is written, which waits for the GPU. Without it, an index out of
        range is skipped and reported by `check_errors`. On the CPU, indices are always checked.
    out : array, optional
        Array for the result, with the type and dtype of `x` and the result's shape; must not overlap `x` or `indices`.
    backend : {"auto", "cpu", "cuda"}, optional
        Where to compute. By default device arrays are processed by ``"cuda"`` and host arrays by ``"cpu"``.

    Returns
    -------
    array
        Same array type, dtype and device as `x`.

    Raises
    ------
    ValueError
        If an argument has an invalid value, such as an index out of range; the message names the first such index.
    TypeError
        If an array has an unsupported type or dtype, or an argument has a wrong type.
    BackendUnavailableError
        If the backend cannot run on this machine.

    See Also
    --------
    max_pool1d : returns the indices with ``return_indices=True``.
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
    x: Array,
    indices: Any,
    kernel_size: Integers,
    stride: Integers | None = None,
    padding: Integers = 0,
    output_size: Integers | None = None,
    *,
    validate: bool = False,
    out: Array | None = None,
    backend: Backend | None = None,
) -> Array:
    """Place pooled samples at their indices, with zeros elsewhere, as ``torch.nn.functional.max_unpool2d`` does.

    Parameters
    ----------
    x : array, shape (N, C, H, W) or (C, H, W)
        Values to place, usually the output of `max_pool2d`. Any real, complex or bool dtype.
    indices, kernel_size, stride, padding, output_size, validate, out, backend
        As in `max_unpool1d`.

    Returns
    -------
    array
        Same array type, dtype and device as `x`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `max_unpool1d`.

    See Also
    --------
    max_pool2d : returns the indices with ``return_indices=True``.
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
    x: Array,
    indices: Any,
    kernel_size: Integers,
    stride: Integers | None = None,
    padding: Integers = 0,
    output_size: Integers | None = None,
    *,
    validate: bool = False,
    out: Array | None = None,
    backend: Backend | None = None,
) -> Array:
    """Place pooled samples at their indices, with zeros elsewhere, as ``torch.nn.functional.max_unpool3d`` does.

    Parameters
    ----------
    x : array, shape (N, C, D, H, W) or (C, D, H, W)
        Values to place, usually the output of `max_pool3d`. Any real, complex or bool dtype.
    indices, kernel_size, stride, padding, output_size, validate, out, backend
        As in `max_unpool1d`.

    Returns
    -------
    array
        Same array type, dtype and device as `x`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `max_unpool1d`.

    See Also
    --------
    max_pool3d : returns the indices with ``return_indices=True``.
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
