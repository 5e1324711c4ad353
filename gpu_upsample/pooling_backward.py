"""The gradients of max pooling and unpooling."""

from __future__ import annotations

from typing import Any

from gpu_upsample.call import apply
from gpu_upsample.plan.cache import cached
from gpu_upsample.plan.pooling_backward import plan_max_pool_backward, plan_max_unpool_backward
from gpu_upsample.typing import Array, Backend, Integers, Shape

_cached_pool = cached(plan_max_pool_backward)
_cached_unpool = cached(plan_max_unpool_backward)


def _max_pool_backward(
    grad_output: Array, indices: Any, arguments: tuple[Any, ...], out: Array | None, backend: Backend | None
) -> Array:
    result: Array = apply(_cached_pool, arguments, {"grad_output": grad_output, "indices": indices}, out, backend)
    return result


def _max_unpool_backward(
    grad_output: Array, indices: Any, arguments: tuple[Any, ...], out: Array | None, backend: Backend | None
) -> Array:
    result: Array = apply(_cached_unpool, arguments, {"grad_output": grad_output, "indices": indices}, out, backend)
    return result


def max_pool1d_backward(
    grad_output: Array,
    indices: Any,
    input_size: Shape,
    kernel_size: Integers,
    stride: Integers | None = None,
    padding: Integers = 0,
    dilation: Integers = 1,
    ceil_mode: bool = False,
    *,
    validate: bool = False,
    out: Array | None = None,
    backend: Backend | None = None,
) -> Array:
    """Return the gradient of `max_pool1d` with respect to its input.

    Every sample gets the sum of the gradients of the windows whose maximum it is, in ascending order of the windows. So
    results are identical on every run, with any number of threads and on both backends.

    Parameters
    ----------
    grad_output : array
        Gradient of a scalar loss with respect to the output, in its shape; float16, bfloat16, float32 or float64. Sums
        of the first three are accumulated in float32.
    indices : array of int32 or int64, of the shape of `grad_output`
        The positions that `max_pool1d` returned.
    input_size : sequence of int
        The whole shape of the input of `max_pool1d`.
    kernel_size, stride, padding, dilation, ceil_mode
        As given to `max_pool1d`.
    validate : bool
        On a GPU, check all indices before anything is written, which waits for the GPU. Without it, a window whose
        index lies outside it is skipped and reported by `check_errors`. On the CPU, indices are always checked.
    out : array, optional
        Array for the result, with the type and dtype of `grad_output` and the shape `input_size`; must not overlap
        `grad_output` or `indices`.
    backend : {"auto", "cpu", "cuda"}, optional
        Where to compute. By default device arrays are processed by ``"cuda"`` and host arrays by ``"cpu"``.

    Returns
    -------
    array, shape input_size
        Same array type, dtype and device as `grad_output`; 0.0 for a sample that is the maximum of no window.

    Raises
    ------
    ValueError
        If an argument has an invalid value, such as an index outside its window; the message names the first such
        index.
    TypeError
        If an array has an unsupported type or dtype, or an argument has a wrong type.
    BackendUnavailableError
        If the backend cannot run on this machine.

    Notes
    -----
    The sum of a sample starts at 0.0 and runs over its windows in ascending order. So does torch's on the CPU: in
    float32 and float64, results equal those of torch 2.13 bit for bit.

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
    grad_output: Array,
    indices: Any,
    input_size: Shape,
    kernel_size: Integers,
    stride: Integers | None = None,
    padding: Integers = 0,
    dilation: Integers = 1,
    ceil_mode: bool = False,
    *,
    validate: bool = False,
    out: Array | None = None,
    backend: Backend | None = None,
) -> Array:
    """Return the gradient of `max_pool2d` with respect to its input.

    Parameters
    ----------
    grad_output : array
        Gradient of a scalar loss with respect to the output, in its shape; float16, bfloat16, float32 or float64.
    input_size : sequence of int
        The whole shape of the input of `max_pool2d`, (N, C, H, W) or (C, H, W).
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
    grad_output: Array,
    indices: Any,
    input_size: Shape,
    kernel_size: Integers,
    stride: Integers | None = None,
    padding: Integers = 0,
    dilation: Integers = 1,
    ceil_mode: bool = False,
    *,
    validate: bool = False,
    out: Array | None = None,
    backend: Backend | None = None,
) -> Array:
    """Return the gradient of `max_pool3d` with respect to its input.

    Parameters
    ----------
    grad_output : array
        Gradient of a scalar loss with respect to the output, in its shape; float16, bfloat16, float32 or float64.
    input_size : sequence of int
        The whole shape of the input of `max_pool3d`, (N, C, D, H, W) or (C, D, H, W).
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
    grad_output: Array,
    indices: Any,
    input_size: Shape,
    *,
    validate: bool = False,
    out: Array | None = None,
    backend: Backend | None = None,
) -> Array:
    """Return the gradient of `max_unpool1d` with respect to `x`.

    The gradient of every value is that of its place in the output, copied bit for bit. If indices repeat, only the
    last value, which won, has a gradient; the others get 0.0.

    Parameters
    ----------
    grad_output : array, shape (N, C, L) or (C, L)
        Gradient of a scalar loss with respect to the output; float16, bfloat16, float32, float64 or complex.
    indices : array of int32 or int64, shape input_size
        As given to `max_unpool1d`.
    input_size : sequence of int
        The whole shape of `x`, the input of `max_unpool1d`.
    validate : bool
        On a GPU, check all indices before anything is written, which waits for the GPU. Without it, the gradient of a
        value whose index is out of range is 0.0, and the index is reported by `check_errors`. On the CPU, indices are
        always checked.
    out : array, optional
        Array for the result, with the type and dtype of `grad_output` and the shape `input_size`; must not overlap
        `grad_output` or `indices`.
    backend : {"auto", "cpu", "cuda"}, optional
        Where to compute. By default device arrays are processed by ``"cuda"`` and host arrays by ``"cpu"``.

    Returns
    -------
    array, shape input_size
        Same array type, dtype and device as `grad_output`.

    Raises
    ------
    ValueError
        If an argument has an invalid value, such as an index out of range; the message names the first such index.
    TypeError
        If an array has an unsupported type or dtype, or an argument has a wrong type.
    BackendUnavailableError
        If the backend cannot run on this machine.

    Notes
    -----
    If indices repeat, torch 2.13 gives all of their values the gradient of the place, which is not the gradient of its
    forward function.

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
    grad_output: Array,
    indices: Any,
    input_size: Shape,
    *,
    validate: bool = False,
    out: Array | None = None,
    backend: Backend | None = None,
) -> Array:
    """Return the gradient of `max_unpool2d` with respect to `x`.

    Parameters
    ----------
    grad_output : array, shape (N, C, H, W) or (C, H, W)
        Gradient of a scalar loss with respect to the output; float16, bfloat16, float32, float64 or complex.
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
    grad_output: Array,
    indices: Any,
    input_size: Shape,
    *,
    validate: bool = False,
    out: Array | None = None,
    backend: Backend | None = None,
) -> Array:
    """Return the gradient of `max_unpool3d` with respect to `x`.

    Parameters
    ----------
    grad_output : array, shape (N, C, D, H, W) or (C, D, H, W)
        Gradient of a scalar loss with respect to the output; float16, bfloat16, float32, float64 or complex.
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
