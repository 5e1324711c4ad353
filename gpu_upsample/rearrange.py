"""The public operators that rearrange samples: pixel shuffle, fold and unfold."""

from __future__ import annotations

from typing import SupportsIndex

from gpu_upsample.call import apply
from gpu_upsample.plan import rearrange
from gpu_upsample.plan.cache import cached
from gpu_upsample.typing import Array, Backend, Integers

_cached_shuffle = cached(rearrange.plan_shuffle)
_cached_unfold = cached(rearrange.plan_unfold)
_cached_fold = cached(rearrange.plan_fold)


def pixel_shuffle(
    x: Array,
    upscale_factor: Integers,
    *,
    ndim: SupportsIndex | None = None,
    out: Array | None = None,
    backend: Backend | None = None,
) -> Array:
    """Turn channels into pixels, as ``torch.nn.functional.pixel_shuffle`` does, along any number of axes.

    Parameters
    ----------
    x : array, shape (..., C * prod(r), *spatial)
        The prod(r) input channels of each output channel are adjacent; among them, the position along the last axis
        varies fastest. Any dtype: bits are copied.
    upscale_factor : int or sequence of int
        The factor r of each spatial axis.
    ndim : int, optional
        Number of spatial axes. By default the length of `upscale_factor`, or 2, as in torch, if that is one int.
    out : array, optional
        Array for the result, with the type and dtype of `x` and the result's shape; must not overlap `x`.
    backend : {"auto", "cpu", "cuda"}, optional
        Where to compute. By default device arrays are processed by ``"cuda"`` and host arrays by ``"cpu"``.

    Returns
    -------
    array, shape (..., C, *(n * r))
        Same array type, dtype and device as `x`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `interpolate`.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(8).reshape(4, 1, 2)
    >>> pixel_shuffle(x, 2)
    array([[[0, 2, 1, 3],
            [4, 6, 5, 7]]])
    >>> pixel_shuffle(np.array([[1, 2], [3, 4]]), (2,))
    array([[1, 3, 2, 4]])
    """
    arguments = (upscale_factor, ndim, True)
    result: Array = apply(_cached_shuffle, arguments, {"x": x}, out, backend)
    return result


def pixel_unshuffle(
    x: Array,
    downscale_factor: Integers,
    *,
    ndim: SupportsIndex | None = None,
    out: Array | None = None,
    backend: Backend | None = None,
) -> Array:
    """Turn pixels into channels, as ``torch.nn.functional.pixel_unshuffle`` does: the inverse of `pixel_shuffle`.

    Parameters
    ----------
    x : array, shape (..., C, *(n * r))
        Any dtype: bits are copied.
    downscale_factor : int or sequence of int
        The factor r of each spatial axis, whose length it divides.
    ndim, out, backend
        As in `pixel_shuffle`.

    Returns
    -------
    array, shape (..., C * prod(r), *spatial)
        Same array type, dtype and device as `x`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `interpolate`.

    Examples
    --------
    >>> import numpy as np
    >>> pixel_unshuffle(np.array([[[0, 2, 1, 3], [4, 6, 5, 7]]]), 2).reshape(4, 2)
    array([[0, 1],
           [2, 3],
           [4, 5],
           [6, 7]])
    """
    arguments = (downscale_factor, ndim, False)
    result: Array = apply(_cached_shuffle, arguments, {"x": x}, out, backend)
    return result


def unfold(
    x: Array,
    kernel_size: Integers,
    dilation: Integers = 1,
    padding: Integers = 0,
    stride: Integers = 1,
    *,
    ndim: SupportsIndex | None = None,
    out: Array | None = None,
    backend: Backend | None = None,
) -> Array:
    """Extract sliding windows as columns (im2col), as ``torch.nn.functional.unfold`` does, along 1 to 3 axes.

    Parameters
    ----------
    x : array, shape (N, C, *spatial) or (C, *spatial)
        Any dtype: bits are copied.
    kernel_size : int or sequence of int
        Number of samples of a window, for all axes or per axis; likewise the next three.
    dilation : int or sequence of int
        Distance between the samples of a window.
    padding : int or sequence of int
        Number of zeros added at each end of an axis.
    stride : int or sequence of int
        Distance between windows.
    ndim : int, optional
        Number of spatial axes. By default the length of an argument that has one value per axis, or 2, as in torch,
        if none has.
    out, backend
        As in `pixel_shuffle`.

    Returns
    -------
    array, shape (N, C * prod(kernel_size), windows) or (C * prod(kernel_size), windows)
        Same array type, dtype and device as `x`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `interpolate`.

    Examples
    --------
    >>> import numpy as np
    >>> unfold(np.arange(1, 7).reshape(1, 2, 3), 2)
    array([[1, 2],
           [2, 3],
           [4, 5],
           [5, 6]])
    >>> unfold(np.array([[1, 2, 3]]), (3,), padding=1)
    array([[0, 1, 2],
           [1, 2, 3],
           [2, 3, 0]])
    """
    arguments = (kernel_size, dilation, padding, stride, ndim)
    result: Array = apply(_cached_unfold, arguments, {"x": x}, out, backend)
    return result


def fold(
    columns: Array,
    output_size: Integers,
    kernel_size: Integers,
    dilation: Integers = 1,
    padding: Integers = 0,
    stride: Integers = 1,
    *,
    ndim: SupportsIndex | None = None,
    out: Array | None = None,
    backend: Backend | None = None,
) -> Array:
    """Sum overlapping windows (col2im), as ``torch.nn.functional.fold`` does: the adjoint of `unfold`.

    Parameters
    ----------
    columns : array, shape (N, C * prod(kernel_size), windows) or (C * prod(kernel_size), windows)
        Any dtype; sums and rounding as in `interpolate`.
    output_size : int or sequence of int
        Lengths of the spatial axes of the result.
    kernel_size, dilation, padding, stride, ndim
        As in `unfold`.
    out : array, optional
        Array for the result, with the type and dtype of `columns` and the result's shape; must not overlap `columns`.
    backend : {"auto", "cpu", "cuda"}, optional
        As in `pixel_shuffle`.

    Returns
    -------
    array, shape (N, C, *output_size) or (C, *output_size)
        Same array type, dtype and device as `columns`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `interpolate`.

    Notes
    -----
    Every sample gathers the columns that reach it, in the order of the kernel's taps, so the result is the same on
    every run and on both backends.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(1.0, 7).reshape(1, 2, 3)
    >>> fold(unfold(x, 2), (2, 3), 2)
    array([[[ 1.,  4.,  3.],
            [ 4., 10.,  6.]]])
    """
    arguments = (output_size, kernel_size, dilation, padding, stride, ndim)
    result: Array = apply(_cached_fold, arguments, {"columns": columns}, out, backend)
    return result
