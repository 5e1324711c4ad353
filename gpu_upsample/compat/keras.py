"""Keras' upsampling layers: ``from gpu_upsample.compat import keras; keras.layers.UpSampling2D(2)``.

The conventions are those of Keras 3.15 on its JAX backend. Results have the dtype of the input, while a Keras layer
first converts floating-point inputs to its own dtype, usually float32. Arguments that initialise, regularise or
constrain a layer are not taken.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import prod, sqrt
from types import SimpleNamespace
from typing import Any, ClassVar, SupportsIndex

import numpy as np
from numpy.typing import DTypeLike, NDArray

import gpu_upsample as gu
from gpu_upsample.arrays import kind_of
from gpu_upsample.call import apply
from gpu_upsample.compat import jax
from gpu_upsample.nn.conv_transpose import Learned
from gpu_upsample.plan.cache import cached, has_items, plain
from gpu_upsample.plan.conv_transpose import conv_transpose_step
from gpu_upsample.plan.dtypes import scalars
from gpu_upsample.plan.shapes import LONGEST_AXIS, SPATIAL, as_choice, as_flag, as_integer, check_addressable
from gpu_upsample.plan.steps import Output, Plan, plan_steps
from gpu_upsample.plan.windows import integers, reach, three
from gpu_upsample.typing import Array, Backend, DataFormat, Integers, Shape

__all__ = [
    "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose", "UpSampling1D", "UpSampling2D", "UpSampling3D", "layers",
]  # fmt: skip


def _data_format(value: Any) -> str:
    return "channels_last" if value is None else as_choice("data_format", value, SPATIAL)


def _shape(x: Any, rank: int) -> tuple[int, ...]:
    """Return the shape of an input, checked for its rank."""
    shape = kind_of("x", x).shape
    if len(shape) != rank + 2:
        raise ValueError(f"x must have {rank + 2} axes, batch, channels and {rank} spatial ones; got shape {shape}")
    return shape


# ---- UpSampling ---------------------------------------------------------------------------------------------
_FILTERS: dict[str, jax.ResizeMethod] = {
    "bicubic": jax.ResizeMethod.CUBIC,
    "bilinear": jax.ResizeMethod.LINEAR,
    "lanczos3": jax.ResizeMethod.LANCZOS3,
    "lanczos5": jax.ResizeMethod.LANCZOS5,
}


def _plan_filter(shape: tuple[int, ...], dtype: str, shape_out: tuple[int, ...], interpolation: str) -> Plan:
    """Plan upsampling by a filter."""
    scalars(dtype)
    if 0 in shape[1:] and shape != shape_out:
        raise ValueError(f"x must not be empty, but for the batch; got shape {shape}")
    check_addressable(shape_out, dtype)
    return plan_steps(shape, dtype, jax.resize_maps(shape, shape_out, _FILTERS[interpolation], antialias=False))


_cached_filter = cached(_plan_filter)


@dataclass(frozen=True)
class _UpSampling:
    """The arguments of upsampling in any rank."""

    rank: ClassVar[int]
    size: Any = 2
    data_format: DataFormat | None = None
    interpolation: str = field(default="nearest", repr=False)
    name: str | None = field(default=None, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", integers("size", plain(self.size), self.rank, least=1))
        object.__setattr__(self, "data_format", _data_format(self.data_format))

    def __call__(self, x: Array, *, out: Array | None = None, backend: Backend | None = None) -> Array:
        """Enlarge the spatial axes of `x`."""
        shape = _shape(x, self.rank)
        axes = range(len(shape))[SPATIAL[str(self.data_format)]]
        larger = {axis: shape[axis] * factor for axis, factor in zip(axes, self.size, strict=True)}
        if self.interpolation == "nearest":
            sizes = tuple(larger.values())
            return gu.resize(x, sizes, axes=tuple(larger), method="nearest", out=out, backend=backend)
        whole = tuple(larger.get(axis, n) for axis, n in enumerate(shape))
        result: Array = apply(_cached_filter, (whole, self.interpolation), {"x": x}, out, backend)
        return result


class UpSampling1D(_UpSampling):
    """Repeat every step of a sequence.

    Parameters
    ----------
    size : int
        Number of repetitions.
    name : str, optional
        Kept as an attribute.

    Examples
    --------
    >>> UpSampling1D(2)(np.array([[[1], [2]]]))[0, :, 0]
    array([1, 1, 2, 2])
    """

    rank = 1

    def __init__(self, size: SupportsIndex = 2, *, name: str | None = None) -> None:
        super().__init__(as_integer("size", plain(size)), name=name)

    def __repr__(self) -> str:
        return f"UpSampling1D(size={self.size[0]})"


@dataclass(frozen=True)
class UpSampling2D(_UpSampling):
    """Enlarge images by whole factors.

    Parameters
    ----------
    size : int or sequence of 2 int
        The factors of rows and columns.
    data_format : {"channels_last", "channels_first"}, optional
        Where the channel axis is; ``"channels_last"`` by default.
    interpolation : str
        ``"nearest"`` repeats pixels; ``"bilinear"``, ``"bicubic"`` (coefficient -0.5), ``"lanczos3"`` and
        ``"lanczos5"`` are the methods of `gpu_upsample.compat.jax.image.resize`. Results of integer dtypes are rounded
        to nearest, ties to even, and saturate.
    name : str, optional
        Kept as an attribute.

    Examples
    --------
    >>> layer = UpSampling2D((1, 2), interpolation="bilinear")
    >>> layer
    UpSampling2D(size=(1, 2), data_format='channels_last', interpolation='bilinear')
    >>> layer(np.array([[[[0.0], [1.0]]]]))[0, 0, :, 0]
    array([0.  , 0.25, 0.75, 1.  ])
    """

    rank = 2
    interpolation: str = "nearest"

    def __post_init__(self) -> None:
        super().__post_init__()
        name = as_choice("interpolation", self.interpolation, (*_FILTERS, "nearest"), str.lower)
        object.__setattr__(self, "interpolation", name)


class UpSampling3D(_UpSampling):
    """Repeat the voxels of a volume.

    Parameters
    ----------
    size : int or sequence of 3 int
        The factors of the three spatial axes.
    data_format : {"channels_last", "channels_first"}, optional
        Where the channel axis is; ``"channels_last"`` by default.
    name : str, optional
        Kept as an attribute.

    Examples
    --------
    >>> UpSampling3D(2)
    UpSampling3D(size=(2, 2, 2), data_format='channels_last')
    """

    rank = 3

    def __init__(self, size: Integers = 2, data_format: DataFormat | None = None, *, name: str | None = None) -> None:
        super().__init__(size, data_format, name=name)


# ---- ConvTranspose ------------------------------------------------------------------------------------------
def _extent(n: int, kernel: int, stride: int, dilation: int, padding: str, extra: int | None) -> tuple[int, int]:
    """Return how much of the full result is cut off in front, and the length of what remains.

    Examples
    --------
    >>> _extent(5, kernel=3, stride=2, dilation=1, padding="same", extra=None)
    (0, 10)
    """
    spread = (kernel - 1) * dilation + 1
    if padding == "valid":
        return 0, (n - 1) * stride + (max(spread, stride) if extra is None else spread + extra)
    total = stride + spread - 2 if extra is None else spread + spread % 2 - 2 + extra
    return spread - 1 - min((total + 1) // 2, spread - 1), (n - 1) * stride + total - spread + 2


def _plan_conv_transpose(
    shape: tuple[int, ...],
    dtype: str,
    weight_shape: tuple[int, ...],
    weight_dtype: str,
    bias_shape: tuple[int, ...] | None,
    bias_dtype: str | None,
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    padding: str,
    output_padding: tuple[int | None, ...],
    data_format: str,
) -> Plan:
    """Plan a transposed convolution that is cut off at either end as Keras does, or continued by the bias."""
    rank = len(stride)
    parameters = (weight_shape, weight_dtype, bias_shape, bias_dtype)
    options = (rank, stride, 0, 0, 1, dilation, data_format, "float32", False)
    whole, step = conv_transpose_step(shape, dtype, *parameters, *options)
    where = SPATIAL[data_format]
    axes = zip(shape[where], weight_shape[2:], stride, dilation, output_padding, strict=True)
    cut, size = zip(*(_extent(n, k, s, d, padding, extra) for n, k, s, d, extra in axes), strict=True)
    if not 1 <= min(size) <= max(size) <= LONGEST_AXIS:
        raise ValueError(
            f"padding={padding!r}, output_padding={output_padding} and x of shape {shape} give spatial sizes {size}; "
            f"each must lie between 1 and {LONGEST_AXIS}"
        )
    shape_out = list(whole.shape)
    shape_out[where] = size
    check_addressable(shape_out, dtype)
    geometry = (three(stride, 1), three(cut, 0), three(dilation, 1))
    first, second, third = (
        reach(*axis) for axis in zip(step.size_in, three(size, 1), step.kernel, *geometry, strict=True)
    )
    step = replace(step, size_out=three(size, 1), padding=cut[-1], axes=(first, second, third))
    return Plan((Output(tuple(shape_out), dtype),), (step,))


_cached_conv_transpose = cached(_plan_conv_transpose, inputs=3)


def _functions_for(y: Any) -> Any:
    """Return the module with the functions of the library that an array comes from."""
    if hasattr(y, "__array_namespace__"):
        return y.__array_namespace__()
    return sys.modules[type(y).__module__.partition(".")[0]]


def _relu(y: Any) -> Any:
    library = _functions_for(y)
    return library.where(y < 0, library.zeros_like(y), y)


def _sigmoid(y: Any) -> Any:
    with np.errstate(over="ignore"):
        return 1 / (1 + _functions_for(y).exp(-y))


def _tanh(y: Any) -> Any:
    return _functions_for(y).tanh(y)


_ACTIVATIONS: dict[str, Callable[[Any], Any] | None] = {
    "linear": None,
    "relu": _relu,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
}
"""Name -> the function of an array."""


def _activation(value: Any) -> Callable[[Any], Any] | None:
    """Return the function that an activation names, or is; None for that which changes nothing."""
    if value is None or callable(value):
        return value  # type: ignore[no-any-return]
    if isinstance(value, str) and value in _ACTIVATIONS:
        return _ACTIVATIONS[value]
    listed = ", ".join(map(repr, _ACTIVATIONS))
    kind = ValueError if isinstance(value, str) else TypeError
    raise kind(f"activation must be one of {listed}, a function of an array, or None; got {value!r}")


class ConvTranspose(Learned):
    """Transposed convolution with Keras' arguments, in any rank."""

    rank: ClassVar[int]

    def __init__(
        self,
        filters: SupportsIndex,
        kernel_size: Integers,
        strides: Integers = 1,
        padding: str = "valid",
        output_padding: Integers | None = None,
        data_format: DataFormat | None = None,
        dilation_rate: Integers = 1,
        activation: str | Callable[[Any], Any] | None = None,
        use_bias: bool = True,
        *,
        name: str | None = None,
        rng: Any = None,
        dtype: DTypeLike | None = None,
        **others: Any,
    ) -> None:
        if others:
            raise TypeError(
                f"{type(self).__name__} takes no argument {next(iter(others))!r}: those that initialise, regularise or "
                "constrain a layer are not there; assign kernel and bias"
            )
        super().__init__(dtype)
        self.name = name
        self.filters = as_integer("filters", filters)
        if self.filters < 1:
            raise ValueError(f"filters must be positive, got {filters}")
        self.kernel_size = integers("kernel_size", plain(kernel_size), self.rank, least=1)
        self.strides = integers("strides", plain(strides), self.rank, least=1)
        self.dilation_rate = integers("dilation_rate", plain(dilation_rate), self.rank, least=1)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"strides and dilation_rate must not both be above 1; got strides={strides!r}, "
                f"dilation_rate={dilation_rate!r}"
            )
        self.padding = as_choice("padding", padding, ("valid", "same"), str.lower)
        self.output_padding = (
            None if output_padding is None else integers("output_padding", plain(output_padding), self.rank, least=0)
        )
        if any(extra >= s for extra, s in zip(self.output_padding or (), self.strides, strict=False)):
            raise ValueError(f"output_padding must be smaller than strides={self.strides}; got {output_padding!r}")
        self.data_format = _data_format(data_format)
        self.activation = _activation(activation)
        self.use_bias = as_flag("use_bias", use_bias)
        self._random = np.random.default_rng(rng)

    @property
    def built(self) -> bool:
        """Whether there is a kernel: after `build`, a first call, or an assignment."""
        return self._weight is not None

    def build(self, input_shape: Shape) -> None:
        """Draw the kernel for inputs of a shape, uniformly after Glorot, and set the bias to zero."""
        given = tuple(input_shape) if has_items(input_shape) else (input_shape,)
        if len(given) != self.rank + 2:
            raise ValueError(f"input_shape must have {self.rank + 2} entries, got {input_shape!r}")
        channels = as_integer("input_shape", given[-1 if self.data_format == "channels_last" else 1])
        if channels < 1:
            raise ValueError(f"input_shape must have at least one channel, got {input_shape!r}")
        shape = (*self.kernel_size, self.filters, channels)
        bound = sqrt(6 / (prod(self.kernel_size) * (shape[-1] + shape[-2])))
        self.kernel = self._random.uniform(-bound, bound, shape).astype(self._dtype)
        if self.use_bias:
            self.bias = np.zeros(self.filters, self._dtype)

    @property
    def kernel(self) -> NDArray[Any] | None:
        """The kernel, shape (*kernel_size, filters, channels), read-only; None before the layer is built."""
        return None if self._weight is None else np.moveaxis(self._weight, (1, 0), (-2, -1))

    @kernel.setter
    def kernel(self, value: Any) -> None:
        array = self._array("kernel", value)
        wanted = (*self.kernel_size, self.filters)
        if array.shape[:-1] != wanted or array.shape[-1:] == (0,):
            raise ValueError(f"kernel must have shape {(*wanted, 'channels')}, got {array.shape}")
        weight = np.ascontiguousarray(np.moveaxis(array, (-1, -2), (0, 1)))
        self._hold(weight=self._parameter("kernel", weight, weight.shape))

    @property
    def bias(self) -> NDArray[Any] | None:
        """The bias, shape (filters,), read-only; None without one, or before the layer is built."""
        return self._bias

    @bias.setter
    def bias(self, value: Any) -> None:
        if not self.use_bias:
            raise ValueError("bias must not be set on a layer with use_bias=False")
        self._hold(bias=self._parameter("bias", value, (self.filters,)))

    def get_weights(self) -> list[NDArray[Any]]:
        """Return the kernel and, where there is one, the bias."""
        return [array for array in (self.kernel, self.bias) if array is not None]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set the kernel and, where there is one, the bias."""
        given = list(weights) if has_items(weights) else [weights]
        if len(given) != 1 + self.use_bias:
            raise ValueError(
                f"weights must be {'kernel and bias' if self.use_bias else 'the kernel'}; got {len(given)}"
            )
        self.kernel = given[0]
        if self.use_bias:
            self.bias = given[1]

    def __call__(self, x: Any, *, out: Any = None, backend: Backend | None = None) -> Any:
        """Return the transposed convolution of `x`, with the activation applied; builds the layer if need be."""
        shape = _shape(x, self.rank)
        if not self.built:
            self.build(shape)
        weight, bias = self._parameters(x)
        extra = self.output_padding or (None,) * self.rank
        arguments = (self.strides, self.dilation_rate, self.padding, extra, self.data_format)
        inputs = {"x": x, "kernel": weight} | ({} if bias is None else {"bias": bias})
        result = apply(_cached_conv_transpose, arguments, inputs, out, backend)
        return result if self.activation is None else self.activation(result)

    def __repr__(self) -> str:
        text = f"{self.filters}, kernel_size={self.kernel_size}, strides={self.strides}, padding={self.padding!r}"
        text += "" if self.output_padding is None else f", output_padding={self.output_padding}"
        text += f", data_format={self.data_format!r}"
        text += f", dilation_rate={self.dilation_rate}" if max(self.dilation_rate) > 1 else ""
        text += "" if self.use_bias else ", use_bias=False"
        return f"{type(self).__name__}({text})"


class Conv1DTranspose(ConvTranspose):
    """Transposed convolution of sequences; arguments and attributes are those of `Conv2DTranspose`.

    Examples
    --------
    >>> layer = Conv1DTranspose(1, 2, strides=2, use_bias=False)
    >>> layer.kernel = np.ones((2, 1, 1))
    >>> layer(np.array([[[1.0], [2.0]]]))[0, :, 0]
    array([1., 1., 2., 2.])
    """

    rank = 1


class Conv2DTranspose(ConvTranspose):
    """Transposed convolution of images.

    Parameters
    ----------
    filters : int
        Number of output channels.
    kernel_size, strides, dilation_rate : int or sequence of int
        Number of taps, distance between the outputs of neighbouring inputs, and distance between taps. Strides and
        dilation must not both exceed 1.
    padding : {"valid", "same"}
        ``"valid"`` keeps the whole result, ``"same"`` crops it to ``n * stride``.
    output_padding : int or sequence of int, optional
        Makes the result ``(n - 1) * stride + kernel + output_padding`` long, or ``(n - 1) * stride + kernel % 2 +
        output_padding`` with ``"same"``. Must be less than the strides.
    data_format : {"channels_last", "channels_first"}, optional
        Where the channel axis is; ``"channels_last"`` by default.
    activation : str or callable, optional
        A function that is applied to the result, or ``"linear"``, ``"relu"``, ``"sigmoid"`` or ``"tanh"``.
    use_bias : bool
        Whether there is a bias.
    name : str, optional
        Kept as an attribute.
    rng : numpy.random.Generator or seed, optional
        Draws the kernel when the layer is built, as ``glorot_uniform`` does.
    dtype : dtype, optional
        The dtype of the kernel and the bias when the layer is built; float32 by default.

    Attributes
    ----------
    kernel : ndarray, shape (*kernel_size, filters, channels)
        The kernel in Keras' layout, drawn at the first call if it was not set. It is read-only; assign a new array to
        change it.
    bias : ndarray, shape (filters,), or None
        The bias, likewise.

    Examples
    --------
    >>> layer = Conv2DTranspose(8, 3, strides=2, padding="same", rng=0)
    >>> layer
    Conv2DTranspose(8, kernel_size=(3, 3), strides=(2, 2), padding='same', data_format='channels_last')
    >>> layer(np.zeros((1, 4, 5, 3), np.float32)).shape
    (1, 8, 10, 8)
    >>> layer.kernel.shape
    (3, 3, 8, 3)
    """

    rank = 2


class Conv3DTranspose(ConvTranspose):
    """Transposed convolution of volumes; arguments and attributes are those of `Conv2DTranspose`.

    As in Keras, `data_format` precedes `output_padding` here.
    """

    rank = 3

    def __init__(
        self,
        filters: SupportsIndex,
        kernel_size: Integers,
        strides: Integers = 1,
        padding: str = "valid",
        data_format: DataFormat | None = None,
        output_padding: Integers | None = None,
        *others: Any,
        **options: Any,
    ) -> None:
        super().__init__(filters, kernel_size, strides, padding, output_padding, data_format, *others, **options)


layers = SimpleNamespace(
    Conv1DTranspose=Conv1DTranspose,
    Conv2DTranspose=Conv2DTranspose,
    Conv3DTranspose=Conv3DTranspose,
    UpSampling1D=UpSampling1D,
    UpSampling2D=UpSampling2D,
    UpSampling3D=UpSampling3D,
)
"""Stands for the module ``keras.layers``."""
