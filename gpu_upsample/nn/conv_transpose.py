"""Layers of transposed convolution, with their parameters."""

from __future__ import annotations

from math import prod, sqrt
from typing import Any, ClassVar, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

import gpu_upsample as gu
from gpu_upsample.arrays import kind_of
from gpu_upsample.dispatch import load
from gpu_upsample.plan.cache import plain
from gpu_upsample.plan.conv_transpose import check_output_padding
from gpu_upsample.plan.dtypes import as_floating, check_floating
from gpu_upsample.plan.shapes import as_integer
from gpu_upsample.plan.windows import integers
from gpu_upsample.typing import Array, Backend, Integers, Precision


class Learned:
    """Weight and bias of a layer, and copies of them where its inputs lie."""

    _weight: NDArray[Any] | None
    _bias: NDArray[Any] | None

    def __init__(self, dtype: DTypeLike | None) -> None:
        self._dtype = as_floating("dtype", "float32" if dtype is None else dtype)
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

    def _array(self, name: str, value: Any) -> NDArray[Any]:
        """Return what the convolution can multiply by: an array as it is, numbers in the dtype of the layer."""
        given = value.detach() if hasattr(value, "detach") else value
        try:
            array = np.asarray(given, None if hasattr(given, "dtype") else self._dtype)
        except (TypeError, ValueError) as error:
            raise TypeError(f"{name} must be an array or numbers: {error}") from None
        check_floating(name, str(array.dtype.newbyteorder("=")))
        return array

    def _parameter(self, name: str, value: Any, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return a copy of the values of a parameter."""
        array = self._array(name, value)
        if array.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
        return array.copy()

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
            with home.placed((array,), (array.flags.c_contiguous,)):
                weight, bias = (
                    None if parameter is None else held.give_back(move(parameter), str(parameter.dtype))
                    for parameter in (self._weight, self._bias)
                )
            copies[place] = weight, bias
        return copies[place]


class ConvTranspose(Learned):
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
        dtype: DTypeLike | None = None,
    ) -> None:
        self.in_channels = as_integer("in_channels", in_channels)
        self.out_channels = as_integer("out_channels", out_channels)
        self.groups = as_integer("groups", groups)
        for name, channels in (("in_channels", self.in_channels), ("out_channels", self.out_channels)):
            if self.groups < 1 or channels < 1 or channels % self.groups:
                raise ValueError(f"{name} must be a positive multiple of groups={groups!r}, got {channels}")
        self.kernel_size = integers("kernel_size", plain(kernel_size), self.rank, least=1)
        self.stride = integers("stride", plain(stride), self.rank, least=1)
        self.padding = integers("padding", plain(padding), self.rank, least=0)
        self.output_padding = integers("output_padding", plain(output_padding), self.rank, least=0)
        self.dilation = integers("dilation", plain(dilation), self.rank, least=1)
        check_output_padding(self.output_padding, self.stride, self.dilation)
        super().__init__(dtype)
        rng, shape = np.random.default_rng(rng), self._weight_shape
        bound = 1 / sqrt(prod(shape[1:]))
        self.weight = rng.uniform(-bound, bound, shape).astype(self._dtype) if weight is None else weight
        if isinstance(bias, bool | np.bool_):
            self.bias = rng.uniform(-bound, bound, self.out_channels).astype(self._dtype) if bias else None
        else:
            self.bias = bias
        if self.bias is not None and self.bias.dtype != self._dtype:
            raise TypeError(f"bias must have the dtype of weight, {self._dtype}; got {self.bias.dtype}")

    @property
    def _weight_shape(self) -> tuple[int, ...]:
        return (self.in_channels, self.out_channels // self.groups, *self.kernel_size)

    @property
    def weight(self) -> Any:
        """The weight, a read-only NumPy array."""
        return self._weight

    @weight.setter
    def weight(self, value: Any) -> None:
        array = self._parameter("weight", value, self._weight_shape)
        self._hold(weight=array)
        self._dtype = array.dtype

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
        output_size: Integers | None = None,
        *,
        precision: Precision = "float32",
        deterministic: bool = False,
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
            precision=precision,
            deterministic=deterministic,
            out=out,
            backend=backend,
        )
        return result

    def _extra(self, shape: tuple[int, ...], output_size: Integers) -> tuple[int, ...]:
        """Return the output padding that leads to an output size, given with or without the leading axes."""
        given = plain(output_size)
        if len(shape) not in (self.rank + 1, self.rank + 2):
            return self.output_padding  # the operator says what is wrong
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


class ConvTranspose1d(ConvTranspose):
    """Transposed convolution in 1-D; parameters and attributes are those of `ConvTranspose2d`.

    Examples
    --------
    >>> import numpy as np
    >>> layer = ConvTranspose1d(1, 1, 3, stride=2, weight=np.ones((1, 1, 3)), bias=False)
    >>> layer(np.array([[1.0, 2.0]]))
    array([[1., 1., 3., 2., 2.]])
    """

    rank = 1


class ConvTranspose2d(ConvTranspose):
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
        The weight, shape (in_channels, out_channels / groups, *kernel_size); float16, bfloat16, float32, float64 or
        complex, like the bias. Either may be a list of numbers.
    rng : numpy.random.Generator or seed, optional
        Draws the parameters that are not given, uniformly between ±1 / sqrt(fan), as torch does. The fan is
        out_channels / groups times the number of taps.
    dtype : dtype, optional
        The dtype of a weight that is not given, or given as a list; float32 by default. A bias that is no array gets
        that of the weight.

    Attributes
    ----------
    weight, bias : ndarray or None
        The parameters. They are read-only; assign a new array to change one. For inputs of another library or on a
        device, they are copied there once.

    Examples
    --------
    >>> import numpy as np
    >>> layer = ConvTranspose2d(16, 33, 3, stride=2, rng=0)
    >>> layer
    ConvTranspose2d(16, 33, kernel_size=(3, 3), stride=(2, 2))
    >>> layer(np.zeros((1, 16, 4, 5), np.float32)).shape
    (1, 33, 9, 11)
    """

    rank = 2


class ConvTranspose3d(ConvTranspose):
    """Transposed convolution of volumes; parameters and attributes are those of `ConvTranspose2d`."""

    rank = 3
