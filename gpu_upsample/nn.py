"""Layers: the operators with their arguments bound, as in ``torch.nn``.

A layer is built with the arguments of ``torch.nn``, which are checked at once, and called with arrays of any type that
the operators take. Every call also takes their ``out=`` and ``backend=``. A layer is pickled with its parameters.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from math import prod, sqrt
from typing import Any, ClassVar, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

import gpu_upsample as gu
from gpu_upsample.arrays import kind_of
from gpu_upsample.dispatch import load
from gpu_upsample.plan.cache import plain
from gpu_upsample.plan.shapes import as_choice, as_integer, as_number, check_exactly_one, per_axis
from gpu_upsample.plan.windows import integers
from gpu_upsample.typing import Array, Backend, Integers, Mode, Numbers, Shape

__all__ = [
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "Fold",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
    "PixelShuffle",
    "PixelUnshuffle",
    "Unfold",
    "Upsample",
    "UpsamplingBilinear2d",
    "UpsamplingNearest2d",
]


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]


# ---- arguments ----------------------------------------------------------------------------------------------
class _Layer:
    """A layer whose arguments are its fields.

    Its text shows what torch's shows, and the other arguments (fields without `repr`) where they are not the default.
    """

    _IMPLIED: ClassVar[tuple[str, ...]] = ()
    """Arguments that the class itself decides."""

    def __repr__(self) -> str:
        values = {f: getattr(self, f.name) for f in fields(self) if f.name not in self._IMPLIED}  # type: ignore[arg-type]
        text = ", ".join(f"{f.name}={value!r}" for f, value in values.items() if f.repr or value != f.default)
        return f"{type(self).__name__}({text})"

    def _set(self, **arguments: Any) -> None:
        for name, value in arguments.items():
            object.__setattr__(self, name, value)


def _given(value: Any) -> Any:
    """Return an argument in Python's own types: something single, or a tuple."""
    value = plain(value)
    return tuple(value) if isinstance(value, Iterable) and not isinstance(value, str | bytes) else value


def _checked(name: str, value: Any, rank: int | None, least: int) -> Any:
    """Return one integer if it was one, or a tuple of `rank` integers (None: of any number), none below `least`."""
    given = _given(value)
    if not isinstance(given, tuple):
        return integers(name, given, 1, least)[0]
    return integers(name, given, len(given) if rank is None else rank, least)


def _check_rank(ndim: Any, arguments: dict[str, Any], most: int | None) -> Any:
    """Return `ndim` as an int or None, if it and the arguments agree in the number of spatial axes."""
    from gpu_upsample.plan.rearrange import rank_of

    rank_of(ndim, arguments, most)
    return None if ndim is None else as_integer("ndim", ndim)


# ---- interpolation ------------------------------------------------------------------------------------------
@dataclass(frozen=True, repr=False)
class Upsample(_Layer):
    """Resize the spatial axes of a batch.

    Parameters
    ----------
    size, scale_factor, mode, align_corners, recompute_scale_factor
        As in `interpolate`.

    Examples
    --------
    >>> layer = Upsample(scale_factor=2, mode="bilinear")
    >>> layer
    Upsample(scale_factor=2.0, mode='bilinear')
    >>> layer(np.array([[[[1.0, 2.0]]]]))[0, 0]
    array([[1.  , 1.25, 1.75, 2.  ],
           [1.  , 1.25, 1.75, 2.  ]])
    """

    size: Integers | None = field(default=None, repr=False)
    scale_factor: Numbers | None = field(default=None, repr=False)
    mode: Mode = "nearest"
    align_corners: bool | None = field(default=None, repr=False)
    recompute_scale_factor: bool | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        from gpu_upsample.plan.resample import MODES

        as_choice("mode", self.mode, MODES)
        size, factor = self.size, _given(self.scale_factor)
        check_exactly_one(size, factor, "scale_factor")
        if size is not None:
            size = _checked("size", size, None, 1)
        elif isinstance(factor, tuple):
            factor = tuple(as_number("scale_factor", number) for number in factor)
        else:
            factor = as_number("scale_factor", factor)
        self._set(size=size, scale_factor=factor)

    def __call__(self, x: Array, *, out: Array | None = None, backend: Backend | None = None) -> Array:
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


class UpsamplingNearest2d(Upsample):
    """Resize images with nearest-neighbour interpolation.

    Parameters
    ----------
    size, scale_factor
        As in `interpolate`.

    Examples
    --------
    >>> UpsamplingNearest2d(scale_factor=2)(np.array([[[[1, 2]]]]))[0, 0]
    array([[1, 1, 2, 2],
           [1, 1, 2, 2]])
    """

    _IMPLIED = ("mode", "align_corners")

    def __init__(self, size: Integers | None = None, scale_factor: Numbers | None = None) -> None:
        super().__init__(size, scale_factor, "nearest")


class UpsamplingBilinear2d(Upsample):
    """Resize images bilinearly, with aligned corners.

    Parameters
    ----------
    size, scale_factor
        As in `interpolate`.

    Examples
    --------
    >>> UpsamplingBilinear2d(size=(1, 3))(np.array([[[[1.0, 2.0]]]]))
    array([[[[1. , 1.5, 2. ]]]])
    """

    _IMPLIED = ("mode", "align_corners")

    def __init__(self, size: Integers | None = None, scale_factor: Numbers | None = None) -> None:
        super().__init__(size, scale_factor, "bilinear", align_corners=True)


# ---- pooling ------------------------------------------------------------------------------------------------
@dataclass(frozen=True, repr=False)
class _MaxPool(_Layer):
    """The arguments of max pooling in any rank."""

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
            _checked(name, getattr(self, name), self.rank, least=1) for name in ("kernel_size", "dilation")
        )
        stride = kernel if self.stride is None else _checked("stride", self.stride, self.rank, least=1)
        padding = _checked("padding", self.padding, self.rank, least=0)
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


class MaxPool1d(_MaxPool):
    """Take the largest sample of every window along one axis.

    Parameters
    ----------
    kernel_size, stride, padding, dilation, return_indices, ceil_mode
        As in `max_pool1d`.

    Examples
    --------
    >>> MaxPool1d(2)(np.array([[3, 1, 4, 1, 5, 9]]))
    array([[3, 4, 9]])
    """

    rank = 1


class MaxPool2d(_MaxPool):
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


class MaxPool3d(_MaxPool):
    """Take the largest sample of every window of volumes.

    Parameters
    ----------
    kernel_size, stride, padding, dilation, return_indices, ceil_mode
        As in `max_pool3d`.
    """

    rank = 3


@dataclass(frozen=True, repr=False)
class _MaxUnpool(_Layer):
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
            self._set(**{name: integers(name, _given(value), self.rank, least)})

    def __call__(
        self,
        x: Array,
        indices: Any,
        output_size: Shape | None = None,
        *,
        out: Array | None = None,
        backend: Backend | None = None,
    ) -> Array:
        """Place the values `x` at `indices`, with zeros elsewhere; `output_size` as in `max_unpool2d`."""
        result: Array = getattr(gu, f"max_unpool{self.rank}d")(
            x, indices, self.kernel_size, self.stride, self.padding, output_size, out=out, backend=backend
        )
        return result


class MaxUnpool1d(_MaxUnpool):
    """Put the maxima of `MaxPool1d` back in their places.

    Parameters
    ----------
    kernel_size, stride, padding
        As in `max_unpool1d`.
    """

    rank = 1


class MaxUnpool2d(_MaxUnpool):
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


class MaxUnpool3d(_MaxUnpool):
    """Put the maxima of `MaxPool3d` back in their places.

    Parameters
    ----------
    kernel_size, stride, padding
        As in `max_unpool3d`.
    """

    rank = 3


# ---- transposed convolution ---------------------------------------------------------------------------------
class Learned:
    """Weight and bias of a layer, and copies of them where its inputs lie."""

    _weight: NDArray[Any] | None
    _bias: NDArray[Any] | None

    def __init__(self) -> None:
        self._hold(weight=None, bias=None)

    def _hold(self, **parameters: NDArray[Any] | None) -> None:
        """Set parameters, and forget the copies of earlier ones."""
        for name, array in parameters.items():
            if array is not None:
                array.flags.writeable = False  # a copy elsewhere would not follow a change
            setattr(self, f"_{name}", array)
        self._elsewhere: dict[Any, tuple[Any, Any]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_elsewhere"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._hold(weight=self._weight, bias=self._bias)  # which neither a deep copy nor a pickle keeps read-only

    @staticmethod
    def _parameter(name: str, value: Any, shape: tuple[int, ...]) -> NDArray[Any]:
        array = np.array(value)
        if array.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
        return array

    def _parameters(self, x: Any) -> tuple[Any, Any]:
        """Return weight and bias as arrays of the kind of `x` and where it lies."""
        held, copies = kind_of("x", x), self._elsewhere
        if held.library == "numpy":
            return self._weight, self._bias
        home = load("cuda" if held.on_device else "cpu")
        array = home.as_array(held.take(x))
        place = (held.library, array.device.id if held.on_device else None)
        if place not in copies:
            move = home.from_host if held.on_device else np.array
            with home.placed((array,)):
                weight, bias = (
                    None if parameter is None else held.give_back(move(parameter), str(parameter.dtype))
                    for parameter in (self._weight, self._bias)
                )
            copies[place] = weight, bias
        return copies[place]


class _ConvTranspose(Learned):
    """Transposed convolution with its parameters, in any rank."""

    rank: ClassVar[int]

    def __init__(
        self,
        in_channels: SupportsIndex,
        out_channels: SupportsIndex,
        kernel_size: Integers,
        stride: Integers = 1,
        padding: Integers = 0,
        output_padding: Integers = 0,
        groups: SupportsIndex = 1,
        bias: bool | ArrayLike | None = True,
        dilation: Integers = 1,
        *,
        weight: ArrayLike | None = None,
        rng: Any = None,
        dtype: DTypeLike = "float32",
    ) -> None:
        self.in_channels = as_integer("in_channels", in_channels)
        self.out_channels = as_integer("out_channels", out_channels)
        self.groups = as_integer("groups", groups)
        for name, channels in (("in_channels", self.in_channels), ("out_channels", self.out_channels)):
            if self.groups < 1 or channels < 1 or channels % self.groups:
                raise ValueError(f"{name} must be a positive multiple of groups={groups!r}, got {channels}")
        self.kernel_size = integers("kernel_size", _given(kernel_size), self.rank, least=1)
        self.stride = integers("stride", _given(stride), self.rank, least=1)
        self.padding = integers("padding", _given(padding), self.rank, least=0)
        self.output_padding = integers("output_padding", _given(output_padding), self.rank, least=0)
        self.dilation = integers("dilation", _given(dilation), self.rank, least=1)
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
    def weight(self) -> Any:
        """The weight, a read-only NumPy array."""
        return self._weight

    @weight.setter
    def weight(self, value: Any) -> None:
        self._hold(weight=self._parameter("weight", value, self._weight_shape))

    @property
    def bias(self) -> Any:
        """The bias, a read-only NumPy array, or None."""
        return self._bias

    @bias.setter
    def bias(self, value: Any) -> None:
        self._hold(bias=None if value is None else self._parameter("bias", value, (self.out_channels,)))

    def __call__(
        self,
        x: Array,
        output_size: Shape | None = None,
        *,
        out: Array | None = None,
        backend: Backend | None = None,
    ) -> Array:
        """Return the transposed convolution of `x`; `output_size` takes the place of `output_padding`."""
        extra = self.output_padding if output_size is None else self._extra(kind_of("x", x).shape, output_size)
        weight, bias = self._parameters(x)
        result: Array = getattr(gu, f"conv_transpose{self.rank}d")(
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
        return result

    def _extra(self, shape: tuple[int, ...], output_size: Shape) -> tuple[int, ...]:
        """Return the output padding that leads to an output size, given with or without the leading axes."""
        given = _given(output_size)
        if isinstance(given, tuple) and len(given) == len(shape):
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
    """Transposed convolution in 1-D; parameters and attributes are those of `ConvTranspose2d`.

    Examples
    --------
    >>> layer = ConvTranspose1d(1, 1, 3, stride=2, weight=np.ones((1, 1, 3)), bias=False)
    >>> layer(np.array([[1.0, 2.0]]))
    array([[1., 1., 3., 2., 2.]])
    """

    rank = 1


class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution of images.

    Parameters
    ----------
    in_channels, out_channels : int
        Numbers of channels.
    kernel_size : int or sequence of int
        Number of taps of the kernel, for all axes or per axis.
    stride, padding, output_padding, groups, dilation
        As in `conv_transpose2d`.
    bias : bool or array
        Whether there is a bias, or the bias itself, shape (out_channels,).
    weight : array, optional
        The weight, shape (in_channels, out_channels / groups, *kernel_size).
    rng : numpy.random.Generator or seed, optional
        Draws the parameters that are not given, uniformly between ±1 / sqrt(fan), as torch does. The fan is
        out_channels / groups times the number of taps.
    dtype : dtype
        The dtype of the parameters that are not given.

    Attributes
    ----------
    weight, bias : ndarray or None
        The parameters. They are read-only; assign a new array to change one. For inputs of another library or on a
        device, they are copied there once.

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
    """Transposed convolution of volumes; parameters and attributes are those of `ConvTranspose2d`."""

    rank = 3


# ---- rearrangement ------------------------------------------------------------------------------------------
@dataclass(frozen=True, repr=False)
class PixelShuffle(_Layer):
    """Turn channels into pixels.

    Parameters
    ----------
    upscale_factor, ndim
        As in `pixel_shuffle`.

    Examples
    --------
    >>> PixelShuffle(2)(np.arange(4).reshape(4, 1, 1))
    array([[[0, 1],
            [2, 3]]])
    """

    upscale_factor: Integers
    ndim: SupportsIndex | None = field(default=None, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        factor = _checked("upscale_factor", self.upscale_factor, None, 1)
        self._set(upscale_factor=factor, ndim=_check_rank(self.ndim, {"upscale_factor": factor}, None))

    def __call__(self, x: Array, *, out: Array | None = None, backend: Backend | None = None) -> Array:
        """Shuffle `x`."""
        return gu.pixel_shuffle(x, self.upscale_factor, ndim=self.ndim, out=out, backend=backend)


@dataclass(frozen=True, repr=False)
class PixelUnshuffle(_Layer):
    """Turn pixels into channels.

    Parameters
    ----------
    downscale_factor, ndim
        As in `pixel_unshuffle`.
    """

    downscale_factor: Integers
    ndim: SupportsIndex | None = field(default=None, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        factor = _checked("downscale_factor", self.downscale_factor, None, 1)
        self._set(downscale_factor=factor, ndim=_check_rank(self.ndim, {"downscale_factor": factor}, None))

    def __call__(self, x: Array, *, out: Array | None = None, backend: Backend | None = None) -> Array:
        """Unshuffle `x`."""
        return gu.pixel_unshuffle(x, self.downscale_factor, ndim=self.ndim, out=out, backend=backend)


_LEAST = {"output_size": 1, "kernel_size": 1, "dilation": 1, "padding": 0, "stride": 1}
"""The arguments of folding, and the least value of each."""


class _Sliding(_Layer):
    """A layer of sliding windows."""

    ndim: SupportsIndex | None

    def __post_init__(self) -> None:
        given = {
            name: _checked(name, value, None, _LEAST[name]) for name, value in vars(self).items() if name in _LEAST
        }
        self._set(**given, ndim=_check_rank(self.ndim, given, 3))


@dataclass(frozen=True, repr=False)
class Fold(_Sliding):
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
class Unfold(_Sliding):
    """Extract sliding windows as columns (im2col).

    Parameters
    ----------
    kernel_size, dilation, padding, stride, ndim
        As in `unfold`.

    Examples
    --------
    >>> Unfold(2)(np.arange(1, 7).reshape(1, 2, 3))
    array([[1, 2],
           [2, 3],
           [4, 5],
           [5, 6]])
    """

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
