"""The geometry of a transposed convolution, and the route by which it is computed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from gpu_upsample.plan import shapes
from gpu_upsample.plan.dtypes import Storage, check_floating, scalars
from gpu_upsample.plan.steps import Output, Plan
from gpu_upsample.plan.windows import Pairs, Reach, Triple, integers, reach, three

KERNELS = {1: "k", 2: "kH, kW", 3: "kD, kH, kW"}
"""Rank -> the lengths of a kernel, as messages name them."""
PRECISIONS = ("float32", "tf32")


@dataclass(frozen=True, eq=False)
class ConvTransposeStep:
    """A transposed convolution over three spatial axes, of which the leading ones may have length 1.

    Every output is a sum over the pairs that reach it. Directly, it starts at the bias or 0 and adds one fused
    multiply-add per term in the accumulator: taps of the first two axes ascending, then the input channels, then the
    taps of the last axis; at last 0, so that no sum is -0.0 and a term of 0 changes none. A CPU always does so. By way
    of a matrix product, on a GPU, all products of a tap are formed at once, and the sums gather them.

    The adjoint is the same sum read the other way: input and output change places, the windows gather what their taps
    see, and complex weights are conjugated. It is always formed directly.

    Attributes
    ----------
    batch, groups : int
        Number of arrays, and of groups of channels.
    channels_in, channels_out : int
        Channels of one group.
    size_in, size_out, kernel : tuple of 3 int
        Lengths of the spatial axes.
    stride, padding, dilation : int
        Geometry of the last axis.
    storage : Storage
        The scalar of all arrays.
    parts : int
        Scalars of an element, 2 for complex numbers. Of a complex product, the real part is formed first.
    bias : bool
        Whether a bias is added.
    channels_last : bool
        Whether the channels are the last axis of input and output.
    direct : bool
        The route of a GPU.
    precision : str
        ``"float32"`` or ``"tf32"``: how a GPU may round the factors of a float32 matrix product.
    axes : tuple of 3 Reach
        Which pairs of input sample ("window") and kernel tap reach each output of an axis.
    adjoint : bool
        Whether this is the adjoint; then the input has the shape of the transposed convolution's output.
    """

    batch: int
    groups: int
    channels_in: int
    channels_out: int
    size_in: Triple
    size_out: Triple
    kernel: Triple
    stride: int
    padding: int
    dilation: int
    storage: Storage
    parts: int
    bias: bool
    channels_last: bool
    direct: bool
    precision: str
    axes: tuple[Reach, Reach, Reach]
    adjoint: bool = False

    @cached_property
    def pairs(self) -> tuple[Pairs, Pairs, Pairs]:
        """The pairs (input sample, tap) of each output of an axis."""
        first, second, third = (axis.seen if self.adjoint else axis.pairs for axis in self.axes)
        return first, second, third

    @property
    def weight_strides(self) -> Triple:
        """Distance of the groups, of the input's channels and of the output's channels within the weight."""
        taps = prod(self.kernel)
        whole = self.channels_in * self.channels_out * taps
        if self.adjoint:
            return whole, taps, self.channels_in * taps
        return whole, self.channels_out * taps, taps

    def strides(self, size: Triple, channels: int) -> Triple:
        """Return the distance of arrays, channels and samples of the input or the output, in elements."""
        whole = prod(size) * channels * self.groups
        return (whole, 1, channels * self.groups) if self.channels_last else (whole, prod(size), 1)

    # ---- contiguous arrays of NumPy or CuPy, for matrix products ----
    def numbers(self, x: Any) -> Any:
        """Return stored words as numbers that BLAS can multiply."""
        if self.storage.name == "bfloat16":
            return (x.astype(np.uint32) << np.uint32(16)).view(np.float32)
        if self.storage.name == "float16":
            return x.view(np.float16).astype(np.float32)
        return self.elements(x)

    def elements(self, x: Any) -> Any:
        """Return scalars as elements: the parts of a complex number as one."""
        return x if self.parts == 1 else x.view(np.result_type(x.dtype, np.complex64))

    def planes(self, x: Any, size: Triple) -> Any:
        """Return a view of the shape (batch, groups, channels of a group, samples), whatever the layout."""
        if self.channels_last:
            return x.reshape(self.batch, prod(size), self.groups, -1).transpose(0, 2, 3, 1)
        return x.reshape(self.batch, self.groups, -1, prod(size))


# From this many products per output on, a matrix product outweighs the pass over its columns.
LONG_SUM = 32


def takes_direct_route(channels_in: int, channels_out: int, kernel: Triple, stride: Triple) -> bool:
    """Return whether the sums are short enough to be formed one by one.

    Examples
    --------
    >>> takes_direct_route(1, 1, (1, 16, 16), (1, 8, 8))      # depthwise
    True
    >>> takes_direct_route(512, 256, (1, 4, 4), (1, 2, 2))
    False
    """
    taps = prod(-(-k // s) for k, s in zip(kernel, stride, strict=True))
    return channels_in == 1 or channels_out == 1 or channels_in * taps < LONG_SUM


def plan_conv_transpose(*arguments: Any) -> Plan:
    """Plan a transposed convolution; the arguments are those of `conv_transpose_step`."""
    output, step = conv_transpose_step(*arguments)
    return Plan((output,), (step,))


def check_output_padding(extra: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]) -> None:
    """Refuse an output padding that another stride or dilation would be needed for."""
    if any(more >= max(s, d) for more, s, d in zip(extra, stride, dilation, strict=True)):
        raise ValueError(
            f"output_padding must be smaller than stride or dilation; got output_padding={extra}, stride={stride}, "
            f"dilation={dilation}"
        )


def conv_transpose_step(
    shape: tuple[int, ...],
    dtype: str,
    weight_shape: tuple[int, ...],
    weight_dtype: str,
    bias_shape: tuple[int, ...] | None,
    bias_dtype: str | None,
    rank: int,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: Any,
    dilation: Any,
    data_format: Any,
    precision: Any,
    deterministic: Any,
) -> tuple[Output, ConvTransposeStep]:
    """Check a transposed convolution of `rank` spatial axes, of arrays of these shapes; a bias may be absent."""
    shapes.as_choice("data_format", data_format, shapes.SPATIAL)
    shapes.as_choice("precision", precision, PRECISIONS)
    _check_dtypes(dtype, weight=weight_dtype, bias=bias_dtype)
    if len(shape) not in (rank + 1, rank + 2):
        raise ValueError(
            f"x of conv_transpose{rank}d must have {rank + 2} axes, or {rank + 1} without a batch; got shape {shape}"
        )
    if len(weight_shape) != rank + 2:
        raise ValueError(f"weight must have shape (C_in, C_out / groups, {KERNELS[rank]}); got {weight_shape}")
    last = data_format == "channels_last"
    batch = shape[: len(shape) - rank - 1]
    n_channels, size_in = (shape[-1], shape[-rank - 1 : -1]) if last else (shape[-rank - 1], shape[-rank:])
    groups = shapes.as_integer("groups", groups)
    kernel = weight_shape[2:]
    geometry = {
        name: integers(name, value, rank, least)
        for name, value, least in (
            ("stride", stride, 1),
            ("padding", padding, 0),
            ("output_padding", output_padding, 0),
            ("dilation", dilation, 1),
        )
    }
    _check_channels(shape, weight_shape, bias_shape, n_channels, groups)
    if min(size_in) < 1 or min(kernel) < 1 or n_channels < 1:
        raise ValueError(f"x and weight must not be empty, but for the batch; got shapes {shape} and {weight_shape}")
    check_output_padding(geometry["output_padding"], geometry["stride"], geometry["dilation"])
    size_out = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + extra + 1
        for n, k, s, p, extra, d in zip(size_in, kernel, *geometry.values(), strict=True)
    )
    if max(n + 2 * p for n, p in zip(size_out, geometry["padding"], strict=True)) > shapes.LONGEST_AXIS:
        raise ValueError(
            f"stride={stride!r} and dilation={dilation!r} give more than {shapes.LONGEST_AXIS} outputs along an axis, "
            f"before padding={padding!r} cuts them off"
        )
    if min(size_out) < 1:
        raise ValueError(f"padding={padding!r} leaves nothing: the output would have spatial sizes {size_out}")
    n_out = weight_shape[1] * groups
    shape_out = (*batch, *size_out, n_out) if last else (*batch, n_out, *size_out)
    shapes.check_addressable(shape_out, dtype)
    step = make_step(
        batch=prod(batch),
        groups=groups,
        channels_in=n_channels // groups,
        channels_out=weight_shape[1],
        size_in=size_in,
        size_out=size_out,
        kernel=kernel,
        geometry=geometry,
        dtype=dtype,
        bias=bias_shape is not None,
        channels_last=last,
        precision=precision,
        deterministic=shapes.as_flag("deterministic", deterministic),
    )
    return Output(shape_out, dtype), step


def make_step(
    *,
    batch: int,
    groups: int,
    channels_in: int,
    channels_out: int,
    size_in: tuple[int, ...],
    size_out: tuple[int, ...],
    kernel: tuple[int, ...],
    geometry: dict[str, tuple[int, ...]],
    dtype: str,
    bias: bool,
    channels_last: bool,
    precision: str,
    deterministic: bool,
) -> ConvTransposeStep:
    """Return the step, with every rank made three."""
    n_in, n_out, taps = three(size_in, 1), three(size_out, 1), three(kernel, 1)
    stride, dilation = three(geometry["stride"], 1), three(geometry["dilation"], 1)
    padding = three(geometry["padding"], 0)
    # Along an axis of one sample, each output sees that one by a tap of its own: as if no windows overlapped.
    axes = zip(n_in, stride, taps, dilation, strict=True)
    stride = three(tuple(max(s, d * (k - 1) + 1) if n == 1 else s for n, s, k, d in axes), 1)
    first, second, third = (reach(*axis) for axis in zip(n_in, n_out, taps, stride, padding, dilation, strict=True))
    direct = deterministic or takes_direct_route(channels_in, channels_out, taps, stride)
    return ConvTransposeStep(
        batch, groups, channels_in, channels_out, n_in, n_out, taps, stride[2], padding[2], dilation[2],
        *scalars(dtype), bias, channels_last, direct, precision, (first, second, third),
    )  # fmt: skip


def _check_dtypes(dtype: str, **others: str | None) -> None:
    check_floating("x", dtype)
    for name, other in others.items():
        if other not in (dtype, None):
            raise TypeError(f"{name} must have the dtype of x, {dtype}; got {other}")


def _check_channels(
    shape: tuple[int, ...], weight: tuple[int, ...], bias: tuple[int, ...] | None, n_channels: int, groups: int
) -> None:
    if groups < 1 or n_channels % groups:
        raise ValueError(f"groups must be positive and divide the {n_channels} channels of x; got {groups}")
    if weight[0] != n_channels:
        raise ValueError(
            f"weight must begin with the channels of x: x of shape {shape} has {n_channels}, weight has {weight[0]}"
        )
    if bias is not None and bias != (weight[1] * groups,):
        raise ValueError(f"bias must have shape ({weight[1] * groups},), one per output channel; got {bias}")
