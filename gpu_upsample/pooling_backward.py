"""The gradients of pooling and unpooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpu_upsample.call import apply
from gpu_upsample.plan.cache import cached
from gpu_upsample.plan.pooling_backward import plan_max_pool_backward, plan_max_unpool_backward

Integers = int | Sequence[int]

_cached_pool = cached(plan_max_pool_backward)
_cached_unpool = cached(plan_max_unpool_backward)


def _max_pool_backward(
    grad_output: Any, indices: Any, arguments: tuple[Any, ...], out: Any, backend: str | None
) -> Any:
    return apply(_cached_pool, arguments, {"grad_output": grad_output, "indices": indices}, out, backend)


def _max_unpool_backward(
    grad_output: Any, indices: Any, arguments: tuple[Any, ...], out: Any, backend: str | None
) -> Any:
    return apply(_cached_unpool, arguments, {"grad_output": grad_output, "indices": indices}, out, backend)


def max_pool1d_backward(
    grad_output: Any,
    indices: Any,
    input_size: Sequence[int],
    kernel_size: Integers,
    stride: Integers | None = None,
    padding: Integers = 0,
    dilation: Integers = 1,
    ceil_mode: bool = False,
    *,
    validate: bool = False,
    out: Any = None,
    backend: str | None = None,
) -> Any:
    """Return the gradient of `max_pool1d` with respect to its input.

    Every sample gathers the gradients of the windows that chose it. Nothing is scattered, so the same call gives the
    same bits on every run, number of threads and backend.

    Parameters
    ----------
    grad_output : array
        Gradient of the result, of its shape; float16, bfloat16, float32 or float64. Sums are formed in float32 for
        the first three.
    indices : array of int32 or int64, of the shape of `grad_output`
        The positions that the pooling returned.
    input_size : sequence of int
        The whole shape of the array that was pooled.
    kernel_size, stride, padding, dilation, ceil_mode
        As they were given to `max_pool1d`.
    validate : bool
        On a GPU, whether the indices are checked before anything is written, which waits for the GPU. Without it,
        the gradient of a window whose index lies outside of it is passed over, and `check_errors` tells. On the CPU
        they are always checked.
    out : array, optional
        Where the result goes: of the kind and dtype of `grad_output` and the right shape, not overlapping the inputs.
    backend : {"auto", "cpu", "cuda"}, optional
        By default the data decides: device arrays on ``"cuda"``, host arrays on ``"cpu"``.

    Returns
    -------
    array, shape input_size
        Of the kind, dtype and place of `grad_output`; 0.0 where no window chose the sample.

    Raises
    ------
    ValueError
        For a bad value, such as an index outside of its window: the message names the first one and its position.
    TypeError
        For a bad kind of array or dtype.
    BackendUnavailableError
        If the backend cannot run here.

    Notes
    -----
    The sum of a sample runs over its windows in ascending order and starts at 0.0. So does torch's on the CPU:
    in float32 and float64 the bits are those of torch 2.13.

    Examples
    --------
    >>> import numpy as np
    >>> from gpu_upsample import max_pool1d
    >>> x = np.array([[3.0, 1, 4, 1, 5, 9, 2]])
    >>> pooled, indices = max_pool1d(x, 3, stride=1, return_indices=True)
    >>> indices
    array([[2, 2, 4, 5, 5]])
    >>> max_pool1d_backward(np.array([[1.0, 2, 3, 4, 5]]), indices, x.shape, 3, stride=1)
    array([[0., 0., 3., 0., 3., 9., 0.]])
    """
    arguments = (1, input_size, kernel_size, stride, padding, dilation, ceil_mode, validate)
    return _max_pool_backward(grad_output, indices, arguments, out, backend)


def max_pool2d_backward(
    grad_output: Any,
    indices: Any,
    input_size: Sequence[int],
    kernel_size: Integers,
    stride: Integers | None = None,
    padding: Integers = 0,
    dilation: Integers = 1,
    ceil_mode: bool = False,
    *,
    validate: bool = False,
    out: Any = None,
    backend: str | None = None,
) -> Any:
    """Return the gradient of `max_pool2d` with respect to its input.

    Parameters
    ----------
    grad_output : array
        Gradient of the result, of its shape; float16, bfloat16, float32 or float64.
    input_size : sequence of int
        The whole shape of the array that was pooled, (N, C, H, W) or (C, H, W).
    indices, kernel_size, stride, padding, dilation, ceil_mode, validate, out, backend
        As in `max_pool1d_backward`.

    Returns
    -------
    array, shape input_size
        As in `max_pool1d_backward`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `max_pool1d_backward`.

    Examples
    --------
    >>> import numpy as np
    >>> from gpu_upsample import max_pool2d
    >>> x = np.array([[[1.0, 2, 5, 3], [4, 0, 5, 1]]])
    >>> pooled, indices = max_pool2d(x, 2, return_indices=True)
    >>> max_pool2d_backward(np.array([[[10.0, 20.0]]]), indices, x.shape, 2)
    array([[[ 0.,  0., 20.,  0.],
            [10.,  0.,  0.,  0.]]])
    """
    arguments = (2, input_size, kernel_size, stride, padding, dilation, ceil_mode, validate)
    return _max_pool_backward(grad_output, indices, arguments, out, backend)


def max_pool3d_backward(
    grad_output: Any,
    indices: Any,
    input_size: Sequence[int],
    kernel_size: Integers,
    stride: Integers | None = None,
    padding: Integers = 0,
    dilation: Integers = 1,
    ceil_mode: bool = False,
    *,
    validate: bool = False,
    out: Any = None,
    backend: str | None = None,
) -> Any:
    """Return the gradient of `max_pool3d` with respect to its input.

    Parameters
    ----------
    grad_output : array
        Gradient of the result, of its shape; float16, bfloat16, float32 or float64.
    input_size : sequence of int
        The whole shape of the array that was pooled, (N, C, D, H, W) or (C, D, H, W).
    indices, kernel_size, stride, padding, dilation, ceil_mode, validate, out, backend
        As in `max_pool1d_backward`.

    Returns
    -------
    array, shape input_size
        As in `max_pool1d_backward`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `max_pool1d_backward`.

    Examples
    --------
    >>> import numpy as np
    >>> from gpu_upsample import max_pool3d
    >>> x = np.arange(16.0).reshape(1, 2, 2, 4)
    >>> pooled, indices = max_pool3d(x, 2, return_indices=True)
    >>> max_pool3d_backward(np.ones((1, 1, 1, 2)), indices, x.shape, 2)[0, 1]
    array([[0., 0., 0., 0.],
           [0., 1., 0., 1.]])
    """
    arguments = (3, input_size, kernel_size, stride, padding, dilation, ceil_mode, validate)
    return _max_pool_backward(grad_output, indices, arguments, out, backend)


def max_unpool1d_backward(
    grad_output: Any,
    indices: Any,
    input_size: Sequence[int],
    *,
    validate: bool = False,
    out: Any = None,
    backend: str | None = None,
) -> Any:
    """Return the gradient of `max_unpool1d` with respect to `x`.

    Every sample copies the gradient of the place where it went, bit by bit. A sample that another one replaced gets
    0.0: of several samples for one place, only the last has a gradient.

    Parameters
    ----------
    grad_output : array, shape (N, C, L) or (C, L)
        Gradient of the result, of its shape; float16, bfloat16, float32, float64 or complex.
    indices : array of int32 or int64, shape input_size
        As they were given to `max_unpool1d`.
    input_size : sequence of int
        The whole shape of `x`.
    validate : bool
        On a GPU, whether the indices are checked before anything is written, which waits for the GPU. Without it,
        the gradient of a sample whose index is out of range is 0.0, and `check_errors` tells. On the CPU they are
        always checked.
    out : array, optional
        Where the result goes: of the kind and dtype of `grad_output` and the right shape, not overlapping the inputs.
    backend : {"auto", "cpu", "cuda"}, optional
        By default the data decides: device arrays on ``"cuda"``, host arrays on ``"cpu"``.

    Returns
    -------
    array, shape input_size
        Of the kind, dtype and place of `grad_output`.

    Raises
    ------
    ValueError
        For a bad value, such as an index out of range: the message names the first one and its position.
    TypeError
        For a bad kind of array or dtype.
    BackendUnavailableError
        If the backend cannot run here.

    Notes
    -----
    torch 2.13 gives every one of several samples for one place the gradient of the place, which is not the gradient
    of what its forward function returned.

    Examples
    --------
    >>> import numpy as np
    >>> from gpu_upsample import max_unpool1d
    >>> indices = np.array([[3, 3, 0]])
    >>> max_unpool1d(np.array([[1.0, 2, 3]]), indices, 2)
    array([[3., 0., 0., 2., 0., 0.]])
    >>> max_unpool1d_backward(np.array([[10.0, 20, 30, 40, 50, 60]]), indices, (1, 3))
    array([[ 0., 40., 10.]])
    """
    arguments = (1, input_size, validate)
    return _max_unpool_backward(grad_output, indices, arguments, out, backend)


def max_unpool2d_backward(
    grad_output: Any,
    indices: Any,
    input_size: Sequence[int],
    *,
    validate: bool = False,
    out: Any = None,
    backend: str | None = None,
) -> Any:
    """Return the gradient of `max_unpool2d` with respect to `x`.

    Parameters
    ----------
    grad_output : array, shape (N, C, H, W) or (C, H, W)
        Gradient of the result, of its shape; float16, bfloat16, float32, float64 or complex.
    indices, input_size, validate, out, backend
        As in `max_unpool1d_backward`.

    Returns
    -------
    array, shape input_size
        As in `max_unpool1d_backward`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `max_unpool1d_backward`.

    Examples
    --------
    >>> import numpy as np
    >>> indices = np.array([[[4, 2]]])
    >>> grad_output = np.arange(8.0).reshape(1, 2, 4)
    >>> max_unpool2d_backward(grad_output, indices, (1, 1, 2))
    array([[[4., 2.]]])
    """
    arguments = (2, input_size, validate)
    return _max_unpool_backward(grad_output, indices, arguments, out, backend)


def max_unpool3d_backward(
    grad_output: Any,
    indices: Any,
    input_size: Sequence[int],
    *,
    validate: bool = False,
    out: Any = None,
    backend: str | None = None,
) -> Any:
    """Return the gradient of `max_unpool3d` with respect to `x`.

    Parameters
    ----------
    grad_output : array, shape (N, C, D, H, W) or (C, D, H, W)
        Gradient of the result, of its shape; float16, bfloat16, float32, float64 or complex.
    indices, input_size, validate, out, backend
        As in `max_unpool1d_backward`.

    Returns
    -------
    array, shape input_size
        As in `max_unpool1d_backward`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `max_unpool1d_backward`.

    Examples
    --------
    >>> import numpy as np
    >>> indices = np.array([[[[13, 15]]]])
    >>> grad_output = np.arange(16.0).reshape(1, 2, 2, 4)
    >>> max_unpool3d_backward(grad_output, indices, (1, 1, 1, 2))
    array([[[[13., 15.]]]])
    """
    arguments = (3, input_size, validate)
    return _max_unpool_backward(grad_output, indices, arguments, out, backend)
