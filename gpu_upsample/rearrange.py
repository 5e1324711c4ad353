"""The public operators that move samples about: pixel shuffle, fold and unfold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpu_upsample.call import apply
from gpu_upsample.plan import rearrange
from gpu_upsample.plan.cache import cached

Integers = int | Sequence[int]

_cached_shuffle = cached(rearrange.plan_shuffle)
_cached_unfold = cached(rearrange.plan_unfold)
_cached_fold = cached(rearrange.plan_fold)


def pixel_shuffle(
    x: Any, upscale_factor: Integers, *, ndim: int | None = None, out: Any = None, backend: str | None = None
) -> Any:
    """Turn channels into pixels, as ``torch.nn.functional.pixel_shuffle`` does, along any number of axes.

    Parameters
    ----------
    x : array, shape (..., C * prod(r), *spatial)
        The channels that become the pixels of one are neighbours; the factor of the last axis varies fastest. Any
        dtype: bits are copied.
    upscale_factor : int or sequence of int
        The factor r of each spatial axis.
    ndim : int, optional
        Number of spatial axes. By default the length of `upscale_factor`, and 2 (as in torch) if that is one int.
    out : array, optional
        Where the result goes: of the kind and dtype of `x` and the right shape, not overlapping `x`.
    backend : {"auto", "cpu", "cuda"}, optional
        By default the data decides: device arrays on ``"cuda"``, host arrays on ``"cpu"``.

    Returns
    -------
    array, shape (..., C, *(n * r))
        Of the kind, dtype and place of `x`.

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
    return apply(_cached_shuffle, arguments, {"x": x}, out, backend)


def pixel_unshuffle(
    x: Any, downscale_factor: Integers, *, ndim: int | None = None, out: Any = None, backend: str | None = None
) -> Any:
    """Turn pixels into channels, as ``torch.nn.functional.pixel_unshuffle`` does: the inverse of `pixel_shuffle`.

    Parameters
    ----------
    x : array, shape (..., C, *(n * r))
        Any dtype: bits are copied.
    downscale_factor : int or sequence of int
        The factor r of each spatial axis.
    ndim, out, backend
        As in `pixel_shuffle`.

    Returns
    -------
    array, shape (..., C * prod(r), *spatial)
        Of the kind, dtype and place of `x`.

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
    return apply(_cached_shuffle, arguments, {"x": x}, out, backend)


def unfold(
    x: Any,
    kernel_size: Integers,
    dilation: Integers = 1,
    padding: Integers = 0,
    stride: Integers = 1,
    *,
    ndim: int | None = None,
    out: Any = None,
    backend: str | None = None,
) -> Any:
    """Lay the windows of an array side by side, as ``torch.nn.functional.unfold`` does, along 1 to 3 axes.

    Parameters
    ----------
    x : array, shape (N, C, *spatial) or (C, *spatial)
        Any dtype: bits are copied.
    kernel_size, dilation, padding, stride : int or sequence of int
        Taps of a window, their distance, the zeros around every axis, and the distance of the windows: one value
        per axis or one for all.
    ndim : int, optional
        Number of spatial axes. By default the length of an argument that has one value per axis, and 2 (as in
        torch) if none has.
    out, backend
        As in `pixel_shuffle`.

    Returns
    -------
    array, shape (N, C * prod(kernel_size), windows) or (C * prod(kernel_size), windows)
        Of the kind, dtype and place of `x`.

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
    return apply(_cached_unfold, arguments, {"x": x}, out, backend)


def fold(
    columns: Any,
    output_size: Integers,
    kernel_size: Integers,
    dilation: Integers = 1,
    padding: Integers = 0,
    stride: Integers = 1,
    *,
    ndim: int | None = None,
    out: Any = None,
    backend: str | None = None,
) -> Any:
    """Add up overlapping windows, as ``torch.nn.functional.fold`` does: the adjoint of `unfold`.

    Parameters
    ----------
    columns : array, shape (N, C * prod(kernel_size), windows) or (C * prod(kernel_size), windows)
        Any dtype; sums and rounding as in `interpolate`.
    output_size : int or sequence of int
        The spatial axes of the result.
    kernel_size, dilation, padding, stride, ndim
        As in `unfold`.
    out, backend
        As in `pixel_shuffle`.

    Returns
    -------
    array, shape (N, C, *output_size) or (C, *output_size)
        Of the kind, dtype and place of `columns`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `interpolate`.

    Notes
    -----
    Every sample gathers the columns that reach it, in the order of the kernel's taps: the result is the same on
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
    return apply(_cached_fold, arguments, {"columns": columns}, out, backend)
