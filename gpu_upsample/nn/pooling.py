"""Layers of max pooling and unpooling."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import gpu_upsample as gu
from gpu_upsample.nn.layer import Layer, checked
from gpu_upsample.plan.cache import plain
from gpu_upsample.plan.shapes import per_axis
from gpu_upsample.plan.windows import integers
from gpu_upsample.typing import Array, Backend, Integers


@dataclass(frozen=True, repr=False)
class MaxPool(Layer):
    """Max pooling in any rank."""

    rank: ClassVar[int]
    kernel_size: Integers
    stride: Integers | None = None
    padding: Integers = 0
    dilation: Integers = 1
    return_indices: bool = field(default=False, repr=False)
    ceil_mode: bool = False

    def __post_init__(self) -> None:
        from gpu_upsample.plan.pooling import plan_max_pool

        kernel, dilation = (
            checked(name, getattr(self, name), self.rank, least=1) for name in ("kernel_size", "dilation")
        )
        stride = kernel if self.stride is None else checked("stride", self.stride, self.rank, least=1)
        padding = checked("padding", self.padding, self.rank, least=0)
        # What depends on several arguments is checked for the smallest input, of one window.
        pairs = zip(per_axis("kernel_size", kernel, self.rank), per_axis("dilation", dilation, self.rank), strict=True)
        shape = (1, *(d * (k - 1) + 1 for k, d in pairs))
        switches = (self.ceil_mode, self.return_indices)
        plan_max_pool(shape, "float32", self.rank, kernel, stride, padding, dilation, *switches)
        self._set(kernel_size=kernel, stride=stride, padding=padding, dilation=dilation)

    def __call__(self, x: Any, *, out: Any = None, backend: Backend | None = None) -> Any:
        """Return the maxima of `x`, and with `return_indices` a tuple of them and their positions."""
        return getattr(gu, f"max_pool{self.rank}d")(
            x,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
            out=out,
            backend=backend,
        )


class MaxPool1d(MaxPool):
    """Take the largest sample of every window along one axis.

    Parameters
    ----------
    kernel_size, stride, padding, dilation, return_indices, ceil_mode
        As in `max_pool1d`.

    Examples
    --------
    >>> import numpy as np
    >>> MaxPool1d(2)(np.array([[3, 1, 4, 1, 5, 9]]))
    array([[3, 4, 9]])
    """

    rank = 1


class MaxPool2d(MaxPool):
    """Take the largest sample of every window of images.

    Parameters
    ----------
    kernel_size, stride, padding, dilation, return_indices, ceil_mode
        As in `max_pool2d`.

    Examples
    --------
    >>> MaxPool2d(3, stride=2)
    MaxPool2d(kernel_size=3, stride=2, padding=0, dilation=1, ceil_mode=False)
    """

    rank = 2


class MaxPool3d(MaxPool):
    """Take the largest sample of every window of volumes.

    Parameters
    ----------
    kernel_size, stride, padding, dilation, return_indices, ceil_mode
        As in `max_pool3d`.
    """

    rank = 3


@dataclass(frozen=True, repr=False)
class MaxUnpool(Layer):
    """Max unpooling in any rank."""

    rank: ClassVar[int]
    kernel_size: Integers
    stride: Integers | None = None
    padding: Integers = 0

    def __post_init__(self) -> None:
        stride = self.kernel_size if self.stride is None else self.stride
        for name, value, least in (
            ("kernel_size", self.kernel_size, 1),
            ("stride", stride, 1),
            ("padding", self.padding, 0),
        ):
            self._set(**{name: integers(name, plain(value), self.rank, least)})

    def __call__(
        self,
        x: Array,
        indices: Any,
        output_size: Integers | None = None,
        *,
        validate: bool = False,
        out: Array | None = None,
        backend: Backend | None = None,
    ) -> Array:
        """Place the values `x` at `indices`, with zeros elsewhere; `output_size`, `validate` as in `max_unpool2d`."""
        result: Array = getattr(gu, f"max_unpool{self.rank}d")(
            x,
            indices,
            self.kernel_size,
            self.stride,
            self.padding,
            output_size,
            validate=validate,
            out=out,
            backend=backend,
        )
        return result


class MaxUnpool1d(MaxUnpool):
    """Put the maxima of `MaxPool1d` back in their places.

    Parameters
    ----------
    kernel_size, stride, padding
        As in `max_unpool1d`.
    """

    rank = 1


class MaxUnpool2d(MaxUnpool):
    """Put the maxima of `MaxPool2d` back in their places.

    Parameters
    ----------
    kernel_size, stride, padding
        As in `max_unpool2d`.

    Examples
    --------
    >>> MaxUnpool2d(2)
    MaxUnpool2d(kernel_size=(2, 2), stride=(2, 2), padding=(0, 0))
    """

    rank = 2


class MaxUnpool3d(MaxUnpool):
    """Put the maxima of `MaxPool3d` back in their places.

    Parameters
    ----------
    kernel_size, stride, padding
        As in `max_unpool3d`.
    """

    rank = 3
