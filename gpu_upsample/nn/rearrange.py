"""Layers that rearrange samples."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, SupportsIndex

import gpu_upsample as gu
from gpu_upsample.nn.layer import Layer, checked, checked_rank
from gpu_upsample.typing import Array, Backend, Integers

_LEAST = {
    "upscale_factor": 1,
    "downscale_factor": 1,
    "output_size": 1,
    "kernel_size": 1,
    "dilation": 1,
    "padding": 0,
    "stride": 1,
}
"""The arguments that are numbers, for all axes or per axis, and the least value of each."""


class _Rearrangement(Layer):
    """A layer whose arguments also say how many spatial axes there are, if `ndim` does not."""

    ndim: SupportsIndex | None
    _most: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        given = {name: checked(name, value, None, _LEAST[name]) for name, value in vars(self).items() if name in _LEAST}
        self._set(**given, ndim=checked_rank(self.ndim, given, self._most))


@dataclass(frozen=True, repr=False)
class PixelShuffle(_Rearrangement):
    """Turn channels into pixels.

    Parameters
    ----------
    upscale_factor, ndim
        As in `pixel_shuffle`.

    Examples
    --------
    >>> import numpy as np
    >>> PixelShuffle(2)(np.arange(4).reshape(4, 1, 1))
    array([[[0, 1],
            [2, 3]]])
    """

    upscale_factor: Integers
    ndim: SupportsIndex | None = field(default=None, repr=False, kw_only=True)

    def __call__(self, x: Array, *, out: Array | None = None, backend: Backend | None = None) -> Array:
        """Shuffle `x`."""
        return gu.pixel_shuffle(x, self.upscale_factor, ndim=self.ndim, out=out, backend=backend)


@dataclass(frozen=True, repr=False)
class PixelUnshuffle(_Rearrangement):
    """Turn pixels into channels.

    Parameters
    ----------
    downscale_factor, ndim
        As in `pixel_unshuffle`.
    """

    downscale_factor: Integers
    ndim: SupportsIndex | None = field(default=None, repr=False, kw_only=True)

    def __call__(self, x: Array, *, out: Array | None = None, backend: Backend | None = None) -> Array:
        """Unshuffle `x`."""
        return gu.pixel_unshuffle(x, self.downscale_factor, ndim=self.ndim, out=out, backend=backend)


@dataclass(frozen=True, repr=False)
class Fold(_Rearrangement):
    """Sum overlapping windows (col2im).

    Parameters
    ----------
    output_size, kernel_size, dilation, padding, stride, ndim
        As in `fold`.

    Examples
    --------
    >>> Fold((2, 3), (2, 2))
    Fold(output_size=(2, 3), kernel_size=(2, 2), dilation=1, padding=0, stride=1)
    """

    _most = 3
    output_size: Integers
    kernel_size: Integers
    dilation: Integers = 1
    padding: Integers = 0
    stride: Integers = 1
    ndim: SupportsIndex | None = field(default=None, repr=False, kw_only=True)

    def __call__(self, columns: Any, *, out: Any = None, backend: Backend | None = None) -> Any:
        """Fold the columns."""
        return gu.fold(
            columns,
            self.output_size,
            self.kernel_size,
            self.dilation,
            self.padding,
            self.stride,
            ndim=self.ndim,
            out=out,
            backend=backend,
        )


@dataclass(frozen=True, repr=False)
class Unfold(_Rearrangement):
    """Extract sliding windows as columns (im2col).

    Parameters
    ----------
    kernel_size, dilation, padding, stride, ndim
        As in `unfold`.

    Examples
    --------
    >>> import numpy as np
    >>> Unfold(2)(np.arange(1, 7).reshape(1, 2, 3))
    array([[1, 2],
           [2, 3],
           [4, 5],
           [5, 6]])
    """

    _most = 3
    kernel_size: Integers
    dilation: Integers = 1
    padding: Integers = 0
    stride: Integers = 1
    ndim: SupportsIndex | None = field(default=None, repr=False, kw_only=True)

    def __call__(self, x: Any, *, out: Any = None, backend: Backend | None = None) -> Any:
        """Unfold `x`."""
        return gu.unfold(
            x,
            self.kernel_size,
            self.dilation,
            self.padding,
            self.stride,
            ndim=self.ndim,
            out=out,
            backend=backend,
        )
