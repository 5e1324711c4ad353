"""Layers: the operators with their arguments bound, as in ``torch.nn``.

A layer is called with arrays of any kind that the operators take. Every call also takes their ``out=`` and
``backend=``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import prod, sqrt
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

import gpu_upsample as gu
from gpu_upsample.arrays import kind_of
from gpu_upsample.dispatch import load
from gpu_upsample.plan.shapes import as_integer, as_number
from gpu_upsample.plan.windows import integers

Integers = int | Sequence[int]
Numbers = float | Sequence[float]


# ---- interpolation ------------------------------------------------------------------------------------------
@dataclass(frozen=True, repr=False)
class Upsample:
    """Resize the spatial axes of a batch; the arguments are those of `interpolate`.

    Examples
    --------
    >>> layer = Upsample(scale_factor=2, mode="bilinear")
    >>> layer
    Upsample(scale_factor=2.0, mode='bilinear')
    >>> layer(np.array([[[[1.0, 2.0]]]]))[0, 0]
    array([[1.  , 1.25, 1.75, 2.  ],
           [1.  , 1.25, 1.75, 2.  ]])
    """

    size: Integers | None = None
    scale_factor: Numbers | None = None
    mode: str = "nearest"
    align_corners: bool | None = None
    recompute_scale_factor: bool | None = None

    def __post_init__(self) -> None:
        factor: Any = self.scale_factor
        if isinstance(factor, Iterable) and not isinstance(factor, str):
            factor = tuple(as_number("scale_factor", number) for number in factor)
        elif factor is not None:
            factor = as_number("scale_factor", factor)
        object.__setattr__(self, "scale_factor", factor)

    def __call__(self, x: Any, *, out: Any = None, backend: str | None = None) -> Any:
        """Resize the spatial axes of `x`."""
        return gu.interpolate(
            x,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            self.recompute_scale_factor,
            out=out,
            backend=backend,
        )

    def __repr__(self) -> str:
        given = f"size={self.size!r}" if self.scale_factor is None else f"scale_factor={self.scale_factor!r}"
        return f"{type(self).__name__}({given}, mode={self.mode!r})"


class UpsamplingNearest2d(Upsample):
    """Resize images by repeating pixels."""

    def __init__(self, size: Integers | None = None, scale_factor: Numbers | None = None) -> None:
        super().__init__(size, scale_factor, "nearest")


class UpsamplingBilinear2d(Upsample):
    """Resize images bilinearly, with aligned corners."""

    def __init__(self, size: Integers | None = None, scale_factor: Numbers | None = None) -> None:
        super().__init__(size, scale_factor, "bilinear", align_corners=True)


# ---- pooling ------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _MaxPool:
    """The arguments of max pooling in any rank."""

    rank: ClassVar[int]
    kernel_size: Integers
    stride: Integers | None = None
    padding: Integers = 0
    dilation: Integers = 1
    return_indices: bool = field(default=False, repr=False)
    ceil_mode: bool = False

    def __post_init__(self) -> None:
        if self.stride is None:
            object.__setattr__(self, "stride", self.kernel_size)

    def __call__(self, x: Any, *, out: Any = None, backend: str | None = None) -> Any:
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


class MaxPool1d(_MaxPool):
    """Take the largest sample of each window along one axis; the arguments are those of `max_pool1d`."""

    rank = 1


class MaxPool2d(_MaxPool):
    """Take the largest sample of each window of an image; the arguments are those of `max_pool2d`.

    Examples
    --------
    >>> MaxPool2d(3, stride=2)
    MaxPool2d(kernel_size=3, stride=2, padding=0, dilation=1, ceil_mode=False)
    """

    rank = 2


class MaxPool3d(_MaxPool):
    """Take the largest sample of each window of a volume; the arguments are those of `max_pool3d`."""

    rank = 3


@dataclass(frozen=True)
class _MaxUnpool:
    """The arguments of max unpooling in any rank."""

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
            object.__setattr__(self, name, integers(name, value, self.rank, least))

    def __call__(
        self,
        x: Any,
        indices: Any,
        output_size: Sequence[int] | None = None,
        *,
        out: Any = None,
        backend: str | None = None,
    ) -> Any:
        return getattr(gu, f"max_unpool{self.rank}d")(
            x, indices, self.kernel_size, self.stride, self.padding, output_size, out=out, backend=backend
        )


class MaxUnpool1d(_MaxUnpool):
    """Put samples back where `MaxPool1d` found them; the arguments are those of `max_unpool1d`."""

    rank = 1


class MaxUnpool2d(_MaxUnpool):
    """Put pixels back where `MaxPool2d` found them; the arguments are those of `max_unpool2d`.

    Examples
    --------
    >>> MaxUnpool2d(2)
    MaxUnpool2d(kernel_size=(2, 2), stride=(2, 2), padding=(0, 0))
    """

    rank = 2


class MaxUnpool3d(_MaxUnpool):
    """Put voxels back where `MaxPool3d` found them; the arguments are those of `max_unpool3d`."""

    rank = 3


# ---- transposed convolution ---------------------------------------------------------------------------------
class Learned:
    """Weight and bias of a layer, and their copies where its inputs lie."""

    def __init__(self) -> None:
        self._weight: Any = None
        self._bias: Any = None
        self._elsewhere: dict[Any, tuple[Any, Any]] = {}

    def _parameter(self, name: str, value: Any, shape: tuple[int, ...]) -> NDArray[Any]:
        array = np.array(value)
        if array.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
        array.flags.writeable = False  # a copy elsewhere would not follow a change
        self._elsewhere.clear()
        return array

    def _parameters(self, x: Any) -> tuple[Any, Any]:
        """Return weight and bias as arrays of the kind of `x` and where it lies."""
        held = kind_of("x", x)
        if held.library == "numpy":
            return self._weight, self._bias
        place = (held.library, str(getattr(x, "device", "")))
        if place not in self._elsewhere:
            move = load("cuda").from_host if held.on_device else np.array
            weight, bias = (
                None if array is None else held.give_back(move(array), str(array.dtype))
                for array in (self._weight, self._bias)
            )
            self._elsewhere[place] = weight, bias
        return self._elsewhere[place]


class _ConvTranspose(Learned):
    """Transposed convolution with its parameters, in any rank."""

    rank: ClassVar[int]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Integers,
        stride: Integers = 1,
        padding: Integers = 0,
        output_padding: Integers = 0,
        groups: int = 1,
        bias: Any = True,
        dilation: Integers = 1,
        *,
        weight: Any = None,
        rng: Any = None,
        dtype: str = "float32",
    ) -> None:
        self.in_channels = as_integer("in_channels", in_channels)
        self.out_channels = as_integer("out_channels", out_channels)
        self.groups = as_integer("groups", groups)
        for name, channels in (("in_channels", self.in_channels), ("out_channels", self.out_channels)):
            if self.groups < 1 or channels < 1 or channels % self.groups:
                raise ValueError(f"{name} must be a positive multiple of groups={groups!r}, got {channels}")
        self.kernel_size = integers("kernel_size", kernel_size, self.rank, least=1)
        self.stride = integers("stride", stride, self.rank, least=1)
        self.padding = integers("padding", padding, self.rank, least=0)
        self.output_padding = integers("output_padding", output_padding, self.rank, least=0)
        self.dilation = integers("dilation", dilation, self.rank, least=1)
        super().__init__()
        rng, shape = np.random.default_rng(rng), self._weight_shape
        bound = 1 / sqrt(prod(shape[1:]))
        self.weight = rng.uniform(-bound, bound, shape).astype(dtype) if weight is None else weight
        if isinstance(bias, bool):
            self.bias = rng.uniform(-bound, bound, self.out_channels).astype(dtype) if bias else None
        else:
            self.bias = bias

    @property
    def _weight_shape(self) -> tuple[int, ...]:
        return (self.in_channels, self.out_channels // self.groups, *self.kernel_size)

    @property
    def weight(self) -> NDArray[Any]:
        """The weight."""
        return self._weight  # type: ignore[no-any-return]

    @weight.setter
    def weight(self, value: Any) -> None:
        self._weight = self._parameter("weight", value, self._weight_shape)

    @property
    def bias(self) -> NDArray[Any] | None:
        """The bias, or None."""
        return self._bias  # type: ignore[no-any-return]

    @bias.setter
    def bias(self, value: Any) -> None:
        self._bias = None if value is None else self._parameter("bias", value, (self.out_channels,))

    def __call__(
        self, x: Any, output_size: Sequence[int] | None = None, *, out: Any = None, backend: str | None = None
    ) -> Any:
        extra = self.output_padding if output_size is None else self._extra(tuple(x.shape), output_size)
        weight, bias = self._parameters(x)
        return getattr(gu, f"conv_transpose{self.rank}d")(
            x,
            weight,
            bias,
            self.stride,
            self.padding,
            extra,
            self.groups,
            self.dilation,
            out=out,
            backend=backend,
        )

    def _extra(self, shape: tuple[int, ...], output_size: Sequence[int]) -> tuple[int, ...]:
        """Return the output padding that leads to an output size, given with or without the leading axes."""
        given = tuple(output_size)
        if len(given) == len(shape):
            given = given[-self.rank :]
        wanted = integers("output_size", given, self.rank, least=1)
        geometry = zip(shape[-self.rank :], self.kernel_size, self.stride, self.padding, self.dilation, strict=True)
        least = tuple((n - 1) * s - 2 * p + d * (k - 1) + 1 for n, k, s, p, d in geometry)
        most = tuple(n + s - 1 for n, s in zip(least, self.stride, strict=True))
        if any(not low <= n <= high for low, n, high in zip(least, wanted, most, strict=True)):
            raise ValueError(f"output_size must lie between {least} and {most} for an input of {shape}; got {wanted}")
        return tuple(n - low for n, low in zip(wanted, least, strict=True))

    def __repr__(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        for name, usual in (("padding", 0), ("dilation", 1), ("output_padding", 0)):
            value = getattr(self, name)
            text += f", {name}={value}" if value != (usual,) * self.rank else ""
        text += f", groups={self.groups}" if self.groups != 1 else ""
        text += ", bias=False" if self.bias is None else ""
        return f"{type(self).__name__}({text})"


class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution in 1-D.

    Parameters and attributes are those of `ConvTranspose2d`, with a kernel of one axis.
    """

    rank = 1


class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution of images.

    Parameters
    ----------
    in_channels, out_channels : int
        Numbers of channels.
    kernel_size, stride, padding, output_padding, groups, dilation
        As in `conv_transpose2d`.
    bias : bool or array
        The bias, shape (out_channels,), or whether there is one.
    weight : array, optional
        The weight, shape (in_channels, out_channels / groups, *kernel_size).
    rng : numpy.random.Generator or seed, optional
        Draws the parameters that are not given, as torch does: uniformly between ±1 / sqrt(fan), where fan is
        out_channels / groups times the number of taps.
    dtype : str
        dtype of the parameters that are not given.

    Attributes
    ----------
    weight, bias : ndarray or None
        The parameters, read-only: assign a new array to change one. For arrays of another library or on a device
        they are copied there once.

    Examples
    --------
    >>> layer = ConvTranspose2d(16, 33, 3, stride=2, rng=0)
    >>> layer
    ConvTranspose2d(16, 33, kernel_size=(3, 3), stride=(2, 2))
    >>> layer(np.zeros((1, 16, 4, 5), np.float32)).shape
    (1, 33, 9, 11)
    """

    rank = 2


class ConvTranspose3d(_ConvTranspose):
    """Transposed convolution of volumes.

    Parameters and attributes are those of `ConvTranspose2d`, with a kernel of three axes.
    """

    rank = 3


# ---- rearrangement ------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class PixelShuffle:
    """Turn channels into pixels; the arguments are those of `pixel_shuffle`.

    Examples
    --------
    >>> PixelShuffle(2)(np.arange(4).reshape(4, 1, 1))
    array([[[0, 1],
            [2, 3]]])
    """

    upscale_factor: Integers
    ndim: int | None = field(default=None, repr=False, kw_only=True)

    def __call__(self, x: Any, *, out: Any = None, backend: str | None = None) -> Any:
        """Shuffle `x`."""
        return gu.pixel_shuffle(x, self.upscale_factor, ndim=self.ndim, out=out, backend=backend)


@dataclass(frozen=True)
class PixelUnshuffle:
    """Turn pixels into channels; the arguments are those of `pixel_unshuffle`."""

    downscale_factor: Integers
    ndim: int | None = field(default=None, repr=False, kw_only=True)

    def __call__(self, x: Any, *, out: Any = None, backend: str | None = None) -> Any:
        """Unshuffle `x`."""
        return gu.pixel_unshuffle(x, self.downscale_factor, ndim=self.ndim, out=out, backend=backend)


@dataclass(frozen=True)
class Fold:
    """Add up overlapping windows; the arguments are those of `fold`.

    Examples
    --------
    >>> Fold((2, 3), (2, 2))
    Fold(output_size=(2, 3), kernel_size=(2, 2), dilation=1, padding=0, stride=1)
    """

    output_size: Integers
    kernel_size: Integers
    dilation: Integers = 1
    padding: Integers = 0
    stride: Integers = 1
    ndim: int | None = field(default=None, repr=False, kw_only=True)

    def __call__(self, columns: Any, *, out: Any = None, backend: str | None = None) -> Any:
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


@dataclass(frozen=True)
class Unfold:
    """Lay the windows of an array side by side; the arguments are those of `unfold`."""

    kernel_size: Integers
    dilation: Integers = 1
    padding: Integers = 0
    stride: Integers = 1
    ndim: int | None = field(default=None, repr=False, kw_only=True)

    def __call__(self, x: Any, *, out: Any = None, backend: str | None = None) -> Any:
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
